//! What the shipped policies say about run files that other projects ship; `corpus` says where those come from.

use std::collections::BTreeMap;

use ftrisk::adapt::{Launch, read};
use ftrisk::check::judge;
use ftrisk::ir::{Coverage, Judgement, Policy, Verdict};
use ftrisk::report::RunReport;
use ftrisk::sema::compile;
use ftrisk::source::Sources;

use super::corpus::{corpus, files};

struct Judged {
    name: String,
    exit: u8,
    judgement: Judgement,
}

/// Every LLaMA-Factory run of the corpus under a shipped policy.
fn judged(policy: &str, launch: Launch) -> Option<(Policy, Vec<Judged>)> {
    let corpus = corpus()?;
    let mut sources = Sources::default();
    let source = sources.add(policy, ftrisk::builtin::policy(policy).unwrap().text);
    let policy = compile(source, &sources).policy.unwrap();
    let mut all = Vec::new();
    for path in files(&corpus.join("configs/llamafactory")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let id = sources.add(name.as_str(), std::fs::read_to_string(&path).unwrap());
        let read = read(id, &sources, launch);
        let judgement = judge(&policy, &read.facts.expect("a run file"), &sources, false);
        let report = RunReport {
            file: name.clone(),
            framework: None,
            diagnostics: read.diagnostics,
            judgement: Some(judgement.clone()),
        };
        all.push(Judged {
            name,
            exit: report.exit_code(&policy, false),
            judgement,
        });
    }
    Some((policy, all))
}

/// Prints how many runs have which verdict on which line.
fn table(title: &str, policy: &Policy, runs: &[&Judged]) {
    println!("{title}: {} runs", runs.len());
    let mut exits: BTreeMap<u8, usize> = BTreeMap::new();
    for run in runs {
        *exits.entry(run.exit).or_default() += 1;
    }
    println!("  exit codes: {exits:?}");
    for (index, line) in policy.lines.iter().enumerate() {
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        for run in runs {
            if let Some(judged) = run.judgement.lines.iter().find(|judged| judged.line == index) {
                *verdicts.entry(judged.verdict.word()).or_default() += 1;
            }
        }
        println!("  {:22} {verdicts:?}", line.subject());
    }
}

const KNOWN_LAUNCH: Launch = Launch {
    world_size: Some(8),
    dataset_rows: Some(2000),
    stage: None,
    framework: None,
};

#[test]
fn a_known_launch_leaves_nothing_open() {
    let Some((policy, runs)) = judged("cautious-sft", KNOWN_LAUNCH) else {
        return;
    };
    let covered: Vec<&Judged> = runs
        .iter()
        .filter(|run| run.judgement.coverage == Coverage::Covered)
        .collect();
    assert!(covered.len() >= 5, "only {} runs are covered", covered.len());
    table("cautious-sft, --world-size 8 --dataset-rows 2000", &policy, &covered);
    for run in &covered {
        assert!(run.exit <= 1, "{} ends {}", run.name, run.exit);
    }
    for run in runs.iter().filter(|run| run.exit == 1) {
        let over: Vec<&str> = run
            .judgement
            .lines
            .iter()
            .filter(|judged| matches!(judged.verdict, Verdict::Over { .. }))
            .map(|judged| policy.lines[judged.line].subject())
            .collect();
        println!("  over: {} {over:?}", run.name);
    }
    let named = Launch {
        stage: Some("sft"),
        ..KNOWN_LAUNCH
    };
    let (_, runs) = judged("cautious-sft", named).unwrap();
    let v1: Vec<&Judged> = runs
        .iter()
        .filter(|run| run.name.contains("__v1__") && run.name.contains("lora"))
        .collect();
    assert!(!v1.is_empty());
    for run in v1 {
        assert_eq!(run.judgement.coverage, Coverage::Covered, "{}", run.name);
        assert!(run.exit <= 1, "{} ends {}", run.name, run.exit);
    }
}

#[test]
fn no_open_limit_lacks_its_condition() {
    let Some((policy, runs)) = judged("cautious-sft", Launch::default()) else {
        return;
    };
    let covered: Vec<&Judged> = runs
        .iter()
        .filter(|run| run.judgement.coverage != Coverage::NotCovered)
        .collect();
    table("cautious-sft, no flags", &policy, &covered);
    let (exploratory, all) = judged("exploratory", Launch::default()).unwrap();
    table("exploratory, no flags", &exploratory, &all.iter().collect::<Vec<_>>());
    let mut seen = 0;
    for run in covered.into_iter().chain(&all) {
        for judged in &run.judgement.lines {
            let Verdict::Open { conditions, .. } = &judged.verdict else {
                continue;
            };
            seen += 1;
            assert!(!conditions.is_empty(), "{}: {judged:?}", run.name);
            for condition in conditions {
                assert!(!condition.supply.how.is_empty(), "{}: {condition:?}", run.name);
            }
            let decided = conditions.iter().any(|condition| condition.within.is_some());
            assert!(decided || conditions.len() > 1, "{}: {conditions:?}", run.name);
        }
    }
    assert!(seen > 0, "nothing was open, so nothing was tested");
}
