//! The fuzzers' seeds through the ordinary compiler, so that they cannot rot: tests/fuzz says how the fuzzers run.

use ftrisk::diag::render::{Style, render};
use ftrisk::source::Sources;
use ftrisk::{adapt, builtin, check, sema};

use super::harness::{files, repository};

const STYLE: Style = Style { color: false };

#[test]
fn every_policy_seed_is_read() {
    let seeds = seeds("policy");
    for (name, text) in &seeds {
        let mut sources = Sources::default();
        let source = sources.add(name.as_str(), text.as_str());
        let compiled = sema::compile(source, &sources);
        assert!(
            compiled.policy.is_some() || !compiled.diagnostics.is_empty(),
            "{name} is dropped without a word"
        );
        for diagnostic in compiled.diagnostics.iter().take(20) {
            assert!(!render(diagnostic, &sources, STYLE).is_empty());
        }
    }
}

#[test]
fn every_run_seed_is_read_and_judged() {
    let seeds = seeds("run");
    for (name, text) in &seeds {
        let mut sources = Sources::default();
        let source = sources.add(name.as_str(), text.as_str());
        let read = adapt::read(source, &sources, adapt::Launch::default());
        assert!(
            read.facts.is_some() || !read.diagnostics.is_empty(),
            "{name} is refused without a word"
        );
        for diagnostic in read.diagnostics.iter().take(20) {
            assert!(!render(diagnostic, &sources, STYLE).is_empty());
        }
        let Some(facts) = read.facts else { continue };
        for shipped in builtin::POLICIES {
            let id = sources.add(shipped.name, shipped.text);
            let policy = sema::compile(id, &sources).policy.unwrap();
            let judgement = check::judge(&policy, &facts, &sources, false);
            assert!(
                !judgement.lines.is_empty() || !judgement.findings.is_empty(),
                "{name} under {}",
                shipped.name
            );
        }
    }
}

/// Seeds may be any bytes; the fuzzers take the ones that are text.
fn seeds(target: &str) -> Vec<(String, String)> {
    let seeds: Vec<_> = files(&format!("tests/fuzz/seeds/{target}"), "")
        .into_iter()
        .filter_map(|name| Some((name.clone(), std::fs::read_to_string(repository().join(&name)).ok()?)))
        .collect();
    assert!(!seeds.is_empty(), "no seeds for {target}");
    seeds
}
