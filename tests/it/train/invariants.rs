//! What the guard promises, over random policies and rates on the engine: the toy of `invariants` in earnest.

use ftrisk::guard::{Fit, Guard, Measured};
use ftrisk::ledger::{self, Action, Base, Entry, Update, Why};
use ftrisk::meter::tone::Lexicon;
use ftrisk::train::live::Live;
use ftrisk::train::lora::Adapter;
use ftrisk::train::measure::Meters;
use ftrisk::train::run::{self, Outcome};
use ftrisk::train::state::State;

use super::super::invariants::policies::{compiled, ladder};
use super::super::invariants::random::{Random, Subject};
use super::fixture::{Bench, config, policy, updates};
use super::states::{Memory, assert_same, count};

const RUNS: u64 = 50;

/// The lines of a policy, at magnitudes that the fixture meets within a few updates.
fn lines(random: &mut Random) -> String {
    let mut lines = Vec::new();
    for _ in 0..random.between(1, 3) {
        let (limit, at_updates) = match random.below(20) {
            0..9 => (
                format!(
                    "max drift.per_update {:.3e} nats on voices",
                    random.magnitude(1e-6, 0.03)
                ),
                true,
            ),
            9..17 => (
                format!("max drift.total {:.3e} nats on voices", random.magnitude(1e-4, 1.0)),
                false,
            ),
            // Samples take as long as everything else together.
            17 => (
                format!("min diversity.distinct_2 {}% of base", random.between(60, 99)),
                false,
            ),
            _ => (
                format!("max lora.effective_rank {:.3}", 1.0 + 2.0 * random.unit()),
                false,
            ),
        };
        lines.push(match random.below(8) {
            0 => format!("advise {limit}"),
            1 => limit,
            _ => format!("{limit} else {}", ladder(random, at_updates)),
        });
    }
    lines.join("\n")
}

/// The engine's setup for one seed: only the policy, the rate and the length differ from run to run.
fn set_up(bench: &mut Bench, seed: u64) -> String {
    let mut random = Random::new(seed, Subject::Policy, 1);
    let (policy, text) = compiled(policy(random.between(1, 4), &lines(&mut random)));
    bench.policy = policy;
    bench.setup.engine.peak_rate = match random.below(12) {
        0 => random.magnitude(1.0, 1e3),
        // Weights beyond f32.
        1 => 1e39,
        _ => random.magnitude(1e-4, 0.1),
    };
    bench.setup.engine.updates = random.between(3, 8);
    bench.setup.engine.clip_norm = random.one_of(&[None, Some(1.0)]);
    text
}

fn run(bench: &Bench, guard: &mut Guard, start: State) -> (Outcome, Vec<Entry>) {
    let mut memory = Memory::default();
    let decode = |tokens: &[u32]| bench.setup.decode(tokens);
    let lexicon = Lexicon::new([]);
    let meters = Meters::new(&bench.setup.engine, &bench.probes, &decode, &lexicon, guard.needs()).unwrap();
    let outcome = run::run(&bench.setup.engine, &meters, &bench.policy, guard, start, &mut memory).unwrap();
    (outcome, memory.entries)
}

/// Measured from the bytes of the adapter that would be saved, by meters that saw nothing else.
fn is_inside(bench: &Bench, guard: &Guard, kept: &State) {
    let saved = kept.adapter.save("base").unwrap();
    let adapter = Adapter::load(&config(), &saved).unwrap();
    let decode = |tokens: &[u32]| bench.setup.decode(tokens);
    let lexicon = Lexicon::new([]);
    let meters = Meters::new(&bench.setup.engine, &bench.probes, &decode, &lexicon, guard.needs()).unwrap();
    let mut live = Live::new(State::new(adapter));
    for again in meters.read(guard, |_| true, &mut live, None).unwrap() {
        let is_its = |limit: &&ftrisk::guard::Armed| (limit.quantity, limit.probe) == (again.quantity, again.probe);
        let asked = guard.limits().iter().filter(is_its);
        for limit in asked.filter(|limit| !limit.advice && !limit.is_per_update()) {
            assert!(!limit.is_outside(again.reading), "{limit:?}: {:?}", again.reading);
        }
    }
}

/// No commit is outside of a per-update limit, and every part is between 1/64 and the whole.
fn commits_are_inside(guard: &Guard, entries: &[Entry]) {
    for update in updates(entries) {
        let Action::Commit { scale } = update.decision.action else {
            continue;
        };
        assert!((1.0 / 64.0..=1.0).contains(&scale.get()));
        let at_scale = update.tries.iter().find(|tried| tried.scale == scale).unwrap();
        for limit in guard
            .limits()
            .iter()
            .filter(|limit| !limit.advice && limit.is_per_update())
        {
            let read = at_scale
                .readings
                .iter()
                .find(|reading| reading.quantity == limit.quantity.name());
            assert!(!limit.is_outside(read.unwrap().reading()), "{update:?}");
        }
    }
}

fn measured(bench: &Bench, readings: &[ledger::Reading]) -> Vec<Measured> {
    readings
        .iter()
        .map(|reading| reading.measured(&bench.policy).unwrap())
        .collect()
}

/// A guard that was fed the entries of a journal.
fn fed(bench: &Bench, entries: &[Entry]) -> Guard {
    let mut guard = bench.guard();
    for entry in entries {
        match entry {
            Entry::Base(Base { readings }) => guard.begin(&measured(bench, readings)).unwrap(),
            Entry::Update(update) => {
                let fits = update
                    .tries
                    .iter()
                    .map(|tried| guard.fit(update.update, tried.scale.get(), &measured(bench, &tried.readings)));
                if !matches!(fits.last(), Some(Fit::Act(_))) {
                    guard.decide(update.update, &measured(bench, &update.readings), update.complete);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    guard
}

/// The state that the decisions lead to, or the one on the way that stands at this update, made without any detour.
fn made_again(bench: &Bench, entries: &[Entry], at: Option<u64>) -> State {
    let mut path: Vec<(u32, &Update)> = Vec::new();
    let mut halvings = 0;
    for update in updates(entries) {
        match update.decision.action {
            Action::Rollback { to } | Action::Stop { to } => path.truncate(to as usize),
            _ => path.push((halvings, update)),
        }
        halvings += u32::from(update.decision.slow);
    }
    path.truncate(at.map_or(path.len(), |at| at as usize));
    path.iter()
        .fold(bench.setup.start.clone(), |state, (halvings, update)| {
            match update.decision.action {
                Action::Commit { scale } => {
                    let step = bench.setup.engine.propose(&state, *halvings).unwrap();
                    assert_eq!(update.rate.get(), step.rate);
                    state.after(&step.proposal, scale.get()).unwrap()
                }
                _ => state.skipped(),
            }
        })
}

/// Goes on from the state that the last rollback went back to, made again, with a guard that only knows the journal: the
/// rest of the run is the same to the bit.
fn goes_on_after_a_rollback(bench: &Bench, outcome: &Outcome, entries: &[Entry]) -> bool {
    let is_rollback = |entry: &Entry| match entry {
        Entry::Update(update) => matches!(update.decision.action, Action::Rollback { .. }),
        _ => false,
    };
    let Some(at) = entries.iter().rposition(is_rollback) else {
        return false;
    };
    let (past, rest) = entries.split_at(at + 1);
    let mut guard = fed(bench, past);
    let halvings = guard.halvings();
    let start = made_again(bench, past, None);
    let half = bench.setup.engine.peak_rate * 0.5_f64.powi(halvings as i32);
    assert_eq!(bench.setup.engine.propose(&start, halvings).unwrap().rate, half);
    // Beginning takes the readings of its start for those of the base; a share of the base would be another bound.
    if guard.limits().iter().any(|limit| limit.of_base) {
        return false;
    }
    let (again, mut entries) = run(bench, &mut guard, start);
    // The path is counted from where a run begins, and what was walked before is walked.
    let mut rest = rest.to_vec();
    for entry in entries.iter_mut().chain(&mut rest) {
        if let Entry::Update(update) = entry {
            update.path.clear();
        }
    }
    assert_eq!(entries[1..], rest);
    assert_eq!(again.end, outcome.end);
    assert_same(&again.kept, &outcome.kept);
    true
}

#[test]
fn the_guard_keeps_its_promises_on_the_engine() {
    let all = policy(1, "min diversity.distinct_2 1%");
    let mut bench = Bench::new(&all, &[]);
    let (mut parts, mut skips, mut rollbacks, mut gone_on, mut stopped, mut trained) = (0, 0, 0, 0, 0, 0);
    for seed in 0..RUNS {
        let text = set_up(&mut bench, seed);
        let rate = bench.setup.engine.peak_rate;
        eprintln!(
            "seed {seed}, rate {rate}, {} updates\n{text}",
            bench.setup.engine.updates
        );
        let mut guard = bench.guard();
        let (outcome, entries) = run(&bench, &mut guard, bench.setup.start.clone());
        let later: Vec<usize> = (0..bench.policy.lines.len()).collect();
        ledger::replay(&bench.policy, &later, false, &entries).unwrap();

        is_inside(&bench, &guard, &outcome.kept);
        commits_are_inside(&guard, &entries);
        // A skip leaves the spent batch, a rollback the halved rate, and neither anything else.
        assert_same(
            &outcome.kept,
            &made_again(&bench, &entries, Some(outcome.kept.proposals)),
        );
        // A small part of an update leaves the moments from before.
        assert!(outcome.kept.moments.step <= outcome.kept.commits);

        gone_on += u64::from(goes_on_after_a_rollback(&bench, &outcome, &entries));
        parts += count(
            &entries,
            |action| matches!(action, Action::Commit { scale } if scale.get() < 1.0),
        );
        skips += count(&entries, |action| *action == Action::Skip);
        rollbacks += count(&entries, |action| matches!(action, Action::Rollback { .. }));
        stopped += u64::from(outcome.end == Why::Stopped);
        trained += u64::from(outcome.kept.commits > 0);
    }
    let happened = format!(
        "{parts} parts, {skips} skips, {rollbacks} rollbacks, {gone_on} gone on from, {stopped} stopped, {trained} saved with training"
    );
    eprintln!("{happened}");
    assert!(
        parts > 10 && skips > 10 && rollbacks > 10 && gone_on > 5 && stopped > 5 && trained > 10,
        "{happened}"
    );
}
