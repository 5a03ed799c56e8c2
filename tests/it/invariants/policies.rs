//! Random policies, as text: what the guard is armed with went through the whole language.

use std::fmt::Write as _;

use ftrisk::diag::{Code, Severity};
use ftrisk::ir::Policy;
use ftrisk::sema::compile;
use ftrisk::source::Sources;

use super::random::{Random, Subject};

/// A policy with everything that this version can read, for a run of so many updates.
pub fn text(seed: u64, updates: u64) -> String {
    let mut random = Random::new(seed, Subject::Policy, 0);
    let mut text = "policy \"p\"\n".to_owned();
    // The toy knows its probes by their places: two of texts, then the prompts.
    for probe in ["text one \"1.jsonl\"", "text two \"2.jsonl\"", "prompts \"3.jsonl\""] {
        let every = match random.one_of(&[0, 1, 2, 3, 4, 5, 7, 10]) {
            0 => String::new(),
            every => format!(" every {every} updates"),
        };
        let _ = writeln!(text, "probe {probe}{every}");
    }
    for _ in 0..random.between(1, 6) {
        let line = line(&mut random);
        let _ = writeln!(text, "{line}");
    }
    // Whatever is never left and never lets anything pass has to end all the same.
    if updates > 100 && random.chance(0.6) {
        let rung = random.one_of(&["scale", "skip", "skip and slow"]);
        let _ = writeln!(text, "max drift.per_update 1e-12 nats on one else {rung}");
    }
    text
}

fn line(random: &mut Random) -> String {
    let probe = random.one_of(&["one", "one", "two"]);
    let (limit, at_updates) = match random.below(10) {
        0..4 => {
            let most = if random.chance(0.2) {
                random.magnitude(0.1, 100.0)
            } else {
                random.magnitude(1e-6, 0.3)
            };
            (format!("max drift.per_update {most:.3e} nats on {probe}"), true)
        }
        4..7 => {
            let most = random.magnitude(1e-4, 2.0);
            (format!("max drift.total {most:.3e} nats on {probe}"), false)
        }
        7..9 => {
            let n = random.one_of(&[1, 2, 2, 2, 3]);
            let share = random.between(5, 99);
            let of_base = random.one_of(&["", " of base", " of base"]);
            (format!("min diversity.distinct_{n} {share}%{of_base}"), false)
        }
        _ => {
            let most = 1.0 + random.unit();
            (format!("max lora.effective_rank {most:.3}"), false)
        }
    };
    if random.chance(0.25) {
        return format!("advise {limit}");
    }
    let response = if random.chance(0.8) {
        format!(" else {}", ladder(random, at_updates))
    } else {
        String::new()
    };
    let waiver = random.one_of(&["", "", "", " no waiver"]);
    format!("{limit}{response}{waiver}")
}

/// A response that can act at updates, or at evaluations alone.
pub fn ladder(random: &mut Random, at_updates: bool) -> String {
    let mut rungs = Vec::new();
    for _ in 0..random.between(0, 3) {
        let rung = match (at_updates, random.below(5)) {
            (true, 0..2) => random.one_of(&["scale", "scale and slow"]),
            (true, 2..4) => random.one_of(&["skip", "skip and slow"]),
            _ => "rollback and slow",
        };
        let times = random.one_of(&[1, 1, 2, 3, 5, 20]);
        rungs.push(format!("{rung} {times} times"));
    }
    match random.below(4) {
        0 if at_updates => rungs.push(random.one_of(&["scale", "skip", "scale and slow"]).to_owned()),
        1 if !rungs.is_empty() => {}
        _ => rungs.push("stop".to_owned()),
    }
    rungs.join(" then ")
}

/// Compiles a text that is right but for lines that another makes superfluous, which are taken out; with what is left.
pub fn compiled(mut text: String) -> (Policy, String) {
    loop {
        let mut sources = Sources::default();
        let source = sources.add("p.riskpolicy", text.as_str());
        let compiled = compile(source, &sources);
        if let Some(policy) = compiled.policy {
            return (policy, text);
        }
        let errors = compiled
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error);
        let mut starts: Vec<usize> = errors
            .map(|error| {
                assert_eq!(error.code, Code::NeverBinds, "{text}\n{error:?}");
                error.labels[0].place.span.start
            })
            .collect();
        starts.sort_unstable();
        for start in starts.into_iter().rev() {
            let end = text.bytes().skip(start).position(|byte| byte == b'\n');
            let end = end.map_or(text.len(), |length| start + length + 1);
            text.replace_range(start..end, "");
        }
    }
}
