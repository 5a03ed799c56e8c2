//! What the guard promises, over random policies on random runs of a toy: `docs/explanation/guard.md`, held to its word.
//!
//! `FTRISK_RUNS` says how many runs there are (1,000 by default), `FTRISK_RUN_SEED` makes the one of that seed again.

mod checks;
mod oracle;
pub mod policies;
pub mod random;
mod runner;
mod toy;

use std::collections::BTreeMap;
use std::time::Instant;

use ftrisk::ir::{Asks, Level};

use random::{Random, Subject};
use toy::Toy;

/// How often each thing happened: a campaign in which something never happens proves nothing about it.
type Tally = BTreeMap<&'static str, u64>;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text}: no number")))
}

/// Says which run it was when a check fails in it.
struct Case<'c> {
    seed: u64,
    text: &'c str,
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FTRISK_RUN_SEED={} makes this run again:\n{}", self.seed, self.text);
        }
    }
}

fn one(seed: u64, tally: &mut Tally, told: bool) {
    let toy = Toy::new(seed);
    let (policy, text) = policies::compiled(policies::text(seed, toy.updates));
    let _case = Case { seed, text: &text };
    let all: Vec<usize> = (0..policy.lines.len()).collect();
    assert!(policy.lines.iter().all(|line| matches!(line.asks, Asks::Limit(_))));
    let strict = Random::new(seed, Subject::Settings, 1).chance(0.1);
    let run = runner::run(&toy, &policy, &all, strict);
    if told {
        eprintln!("{toy:?}\n{text}strict: {strict}\n{}", checks::trace(&run));
    }
    checks::decisions(&run, &all, strict, tally);
    checks::states(&run, tally);
    checks::measured_again(&run, &all, strict);
    checks::scales(&run, tally);
    checks::journal(&run, &all, strict);
    checks::goes_on_after_a_rollback(&run, &all, strict, tally);
    let enforced: Vec<usize> = all
        .iter()
        .copied()
        .filter(|line| policy.lines[*line].level != Level::Advise)
        .collect();
    if enforced.len() < all.len() && !strict {
        checks::advice_never_acts(&run, &enforced, tally);
    }
}

#[test]
fn the_guard_keeps_its_promises() {
    let mut tally = Tally::new();
    if let Some(seed) = number("FTRISK_RUN_SEED") {
        one(seed, &mut tally, true);
        return;
    }
    let runs = number("FTRISK_RUNS").unwrap_or(1000);
    let began = Instant::now();
    for seed in 0..runs {
        one(seed, &mut tally, false);
    }
    let mean = began.elapsed().as_secs_f64() * 1000.0 / runs as f64;
    println!("{runs} runs, {mean:.2} ms each: {tally:#?}");
    if runs >= 1000 {
        for happened in checks::ALL {
            assert!(tally.contains_key(happened), "{happened} never happened: {tally:#?}");
        }
    }
}
