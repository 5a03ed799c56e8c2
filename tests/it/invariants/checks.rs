//! The promises, one check each.

use std::fmt::Write as _;

use ftrisk::guard::{Act, Cause, Decision, Fit, Guard, LEAST_SCALE};
use ftrisk::ir::Action;
use ftrisk::ledger::{self, Entry, Journal, Why};
use ftrisk::meter::Reading;
use ftrisk::quantity::Finite;

use super::Tally;
use super::oracle::Oracle;
use super::random::{Random, Subject};
use super::runner::{self, Record, Run};
use super::toy::State;

/// What a large campaign has to meet.
pub const ALL: [&str; 19] = [
    "advice alone",
    "commit",
    "finished",
    "halving",
    "interrupted",
    "kept",
    "missing",
    "not finite",
    "not started",
    "outside",
    "part",
    "rollback",
    "rollback gone on from",
    "scale scanned",
    "skip",
    "stalled",
    "stop",
    "stopped",
    "update of no numbers",
];

fn count(tally: &mut Tally, what: &'static str) {
    *tally.entry(what).or_default() += 1;
}

/// A run in short.
pub fn trace(run: &Run<'_>) -> String {
    let mut text = format!("base: {:?}\n", run.base);
    for record in &run.records {
        let _ = writeln!(
            text,
            "{} tries {:?}\n  readings {:?} complete {}\n  {:?}",
            record.update,
            record
                .tries
                .iter()
                .map(|(scale, readings)| (scale, readings.iter().map(|m| m.reading.as_f64()).collect::<Vec<_>>()))
                .collect::<Vec<_>>(),
            record
                .readings
                .iter()
                .map(|m| (m.quantity.name(), m.probe, m.reading.as_f64()))
                .collect::<Vec<_>>(),
            record.complete,
            record.decision,
        );
    }
    let _ = writeln!(text, "end: {:?} kept {}", run.end, run.kept.proposals);
    text
}

fn began(run: &Run<'_>) -> bool {
    run.end != Some(Why::NotStarted)
}

/// Every decision is the one that the readings ask for; what is due is read, and what is not there is a breach; ladders
/// are climbed rung by rung; halvings never decrease; the run ends.
pub fn decisions(run: &Run<'_>, later: &[usize], strict: bool, tally: &mut Tally) {
    let mut oracle = Oracle::new(run.policy, later, strict);
    let begins = oracle.begin(&run.base);
    assert_eq!(begins, began(run), "{:?}", run.base);
    count(
        tally,
        match run.end {
            Some(Why::Finished) => "finished",
            Some(Why::Stopped) => "stopped",
            Some(Why::NotStarted) => "not started",
            Some(Why::NotFinite) => "update of no numbers",
            Some(Why::Interrupted) => "interrupted",
            Some(Why::Unresolved) => panic!("the toy resolves everything"),
            None => panic!("the run did not end"),
        },
    );
    let (mut halvings, mut without_whole) = (0, 0);
    for record in &run.records {
        let Record { update, is_last, .. } = *record;
        let expected = oracle.expect(record);
        assert_eq!(record.decision, expected, "update {update}");
        assert!(
            oracle.agrees_with(&record.guard),
            "update {update}: {oracle:?}, {:?}",
            record.guard
        );
        let acted_at_once = matches!(record.decision.action, Act::Rollback { .. } | Act::Stop { .. })
            && record.due.is_empty()
            && record.readings.is_empty();

        // What is read, and when.
        for rule in oracle.rules.iter().filter(|rule| !rule.is_per_update()) {
            let need = record
                .due
                .iter()
                .find(|need| (need.quantity, need.probe) == (rule.quantity, rule.probe));
            let due = oracle.is_due(rule, update, is_last);
            assert!(acted_at_once || due == need.is_some(), "update {update}: {rule:?}");
        }
        assert!(
            record.complete == oracle.is_complete(update, is_last) || acted_at_once,
            "update {update}"
        );

        // Fail closed.
        let broken = |line: usize| record.decision.breaches.iter().find(|breach| breach.line == line);
        for rule in oracle.rules.iter().filter(|rule| !rule.advice) {
            let reading = if rule.is_per_update() {
                rule.reading(&record.tries[0].1)
            } else {
                let asked = record
                    .due
                    .iter()
                    .any(|need| (need.quantity, need.probe) == (rule.quantity, rule.probe));
                match rule.reading(&record.readings) {
                    None if !asked => continue,
                    // An unchanged state was judged where it was reached, and only an evaluation asks again.
                    None if record.dropped && !is_last && !oracle.is_evaluated_with(rule, update) => continue,
                    reading => reading,
                }
            };
            match reading {
                Some(Reading::Value(value)) if rule.holds(value.get()) => {}
                Some(Reading::Value(_)) => assert!(broken(rule.line).is_some(), "update {update}: {rule:?}"),
                Some(Reading::NotFinite) => {
                    assert_eq!(broken(rule.line).unwrap().cause, Cause::NotFinite, "update {update}");
                }
                None => assert_eq!(broken(rule.line).unwrap().cause, Cause::Missing, "update {update}"),
            }
        }

        // No rung is used more often than it says.
        for limit in record.guard.limits() {
            for (rung, uses) in limit.ladder.rungs().iter().zip(limit.ladder.uses()) {
                assert!(
                    rung.times.is_none_or(|times| *uses <= times),
                    "update {update}: {limit:?}"
                );
                assert!(*uses == 0 || !limit.advice);
            }
            let worst = limit.spent.map(|spent| spent.worst);
            assert!(
                limit.advice || worst.is_none_or(|worst| !limit.is_outside(worst)),
                "update {update}: {limit:?}"
            );
        }
        assert!(record.guard.halvings() >= halvings);
        assert_eq!(record.guard.halvings() - halvings, u32::from(record.decision.slow));
        assert_eq!(record.halvings, halvings);
        halvings = record.guard.halvings();

        let whole = record.decision.action == (Act::Commit { scale: Finite::ONE });
        without_whole = if whole { 0 } else { without_whole + 1 };
        assert!(without_whole <= 100, "update {update}");
        tell(&record.decision, tally);
    }
    let rollbacks = oracle
        .rules
        .iter()
        .filter(|rule| !rule.advice)
        .flat_map(|rule| &rule.rungs);
    let rollbacks: u64 = rollbacks
        .filter(|rung| rung.action == Action::Rollback)
        .map(|rung| rung.times.unwrap())
        .sum();
    assert!(run.proposed <= run.toy.updates * (rollbacks + 1));
}

fn tell(decision: &Decision, tally: &mut Tally) {
    count(
        tally,
        match decision.action {
            Act::Commit { scale } if scale == Finite::ONE => "commit",
            Act::Commit { .. } => "part",
            Act::Skip => "skip",
            Act::Rollback { .. } => "rollback",
            Act::Stop { .. } => "stop",
        },
    );
    for (happened, what) in [
        (decision.slow, "halving"),
        (decision.keep, "kept"),
        (decision.stalled, "stalled"),
    ] {
        if happened {
            count(tally, what);
        }
    }
    for breach in &decision.breaches {
        count(
            tally,
            match breach.cause {
                Cause::Outside => "outside",
                Cause::NotFinite => "not finite",
                Cause::Missing => "missing",
                Cause::NoBase => "no base",
                Cause::Uncertain { .. } => panic!("no policy here asks for a confidence"),
            },
        );
    }
}

/// The proposals that were not taken back, with the halvings at which they were made.
fn path(records: &[Record]) -> Vec<&Record> {
    let mut path = Vec::new();
    for record in records {
        match record.decision.action {
            Act::Rollback { to } | Act::Stop { to } => path.truncate(to as usize),
            Act::Commit { .. } | Act::Skip => path.push(record),
        }
    }
    path
}

/// The state at the end of a path, made without any detour.
fn made_again(run: &Run<'_>, path: &[&Record]) -> State {
    path.iter().fold(run.toy.start(), |state, record| {
        let step = run.toy.propose(&state, record.halvings);
        match record.decision.action {
            Act::Commit { scale } => state.after(&step, scale.get()),
            _ => state.skipped(),
        }
    })
}

/// A skip spends its batch and leaves everything else; a part has the moments of the whole; what was taken back left no
/// trace but the halved rate.
pub fn states(run: &Run<'_>, tally: &mut Tally) {
    let mut kept = run.toy.start();
    for (at, record) in run.records.iter().enumerate() {
        let (before, after) = (&record.before, &record.after);
        match record.decision.action {
            Act::Skip => {
                assert_eq!(before.learnt(), after.learnt(), "update {}", record.update);
                assert_eq!(after.proposals, before.proposals + 1);
            }
            Act::Commit { scale } => {
                let scale = scale.get();
                assert!((LEAST_SCALE..=1.0).contains(&scale), "{scale}");
                assert_eq!(
                    (after.proposals, after.commits, after.steps),
                    (before.proposals + 1, before.commits + 1, before.steps + 1)
                );
                assert_eq!(after.first, record.step.first);
                assert_eq!(after.second, record.step.second);
                assert!(record.step.is_finite());
            }
            Act::Rollback { to } | Act::Stop { to } => {
                assert_eq!(to, kept.proposals, "update {}", record.update);
                assert_eq!(after.bits(), kept.bits(), "update {}", record.update);
            }
        }
        if record.decision.keep {
            kept = after.clone();
        }
        assert_eq!(record.kept.bits(), kept.bits());
        assert_eq!(record.guard.kept(), kept.proposals);
        if let Act::Rollback { .. } = record.decision.action {
            let there = made_again(run, &path(&run.records[..=at]));
            assert_eq!(there.bits(), after.bits(), "update {}", record.update);
        }
    }
    if !began(run) {
        assert!(run.records.is_empty());
        return;
    }
    assert_eq!(run.kept.bits(), kept.bits());
    let path = path(&run.records);
    let saved = made_again(run, &path[..run.kept.proposals as usize]);
    assert_eq!(saved.bits(), run.kept.bits());
    if run.end != Some(Why::Stopped) {
        assert_eq!(made_again(run, &path).bits(), run.now.bits());
    }
    if run.kept.proposals == 0 {
        count(tally, "saved untouched");
    }
}

/// No committed state is outside of what is read at every update, and no kept one outside of anything, by measurements
/// that share nothing with the meters.
pub fn measured_again(run: &Run<'_>, later: &[usize], strict: bool) {
    if !began(run) {
        return;
    }
    let mut oracle = Oracle::new(run.policy, later, strict);
    assert!(oracle.begin(&run.base));
    let enforced = || oracle.rules.iter().filter(|rule| !rule.advice);
    for record in &run.records {
        if let Act::Commit { .. } = record.decision.action {
            for rule in enforced().filter(|rule| rule.is_per_update() || oracle.is_read_with_updates(rule)) {
                let value = run.toy.again(rule.quantity, rule.probe, &record.after, &record.before);
                assert!(
                    rule.holds(value),
                    "committed at {}: {value} under {rule:?}",
                    record.update
                );
            }
        }
    }
    let states = run
        .records
        .iter()
        .filter(|record| record.decision.keep)
        .map(|record| &record.after);
    for state in states.chain([&run.kept, &run.toy.start()]) {
        for rule in enforced().filter(|rule| !rule.is_per_update()) {
            let value = run.toy.again(rule.quantity, rule.probe, state, state);
            assert!(rule.holds(value), "kept at {}: {value} under {rule:?}", state.proposals);
        }
    }
}

/// At least half of the largest part that fits is committed, and nothing is dropped where a part fits, wherever a
/// smaller part never moves more than a larger one and no meter fails.
pub fn scales(run: &Run<'_>, tally: &mut Tally) {
    let limits: Vec<_> = run
        .guard
        .limits()
        .iter()
        .filter(|limit| limit.is_per_update() && !limit.advice)
        .collect();
    let searched = run.records.iter().filter(|record| {
        let breaches = record.decision.breaches.iter().filter_map(|breach| breach.rung);
        let strongest = breaches
            .filter(|(rung, _)| rung.action <= Action::Skip)
            .map(|(rung, _)| rung.action)
            .max();
        strongest == Some(Action::Scale) && record.tries.len() > 1 && record.step.is_finite()
    });
    let mut random = Random::new(run.toy.seed, Subject::Checks, 0);
    for record in searched.take(3) {
        let fits = |scale: f64| {
            let state = record.before.after(&record.step, scale);
            limits.iter().all(|limit| {
                let value = run.toy.again(limit.quantity, limit.probe, &state, &record.before);
                limit
                    .bounds_now()
                    .and_then(|(_, max)| max)
                    .is_some_and(|max| value <= max.get())
            })
        };
        let tried_alike = record.tries[1..].iter().all(|(scale, readings)| {
            let all_fit = limits.iter().all(|limit| {
                let found = readings
                    .iter()
                    .find(|m| (m.quantity, m.probe) == (limit.quantity, limit.probe));
                found.is_some_and(|measured| !limit.is_outside(measured.reading))
            });
            all_fit == fits(*scale)
        });
        // Fine enough to see a law that is not monotone; the offset keeps campaigns from looking at the same places.
        let offset = random.unit();
        let mut scan: Vec<f64> = (0..64)
            .map(|i| LEAST_SCALE + (1.0 - LEAST_SCALE) * (f64::from(i) + offset) / 64.0)
            .chain([LEAST_SCALE])
            .chain(record.tries.iter().map(|(scale, _)| *scale))
            .collect();
        scan.sort_by(f64::total_cmp);
        let verdicts: Vec<bool> = scan.iter().map(|scale| fits(*scale)).collect();
        let is_monotone = verdicts.is_sorted_by(|small, large| *small >= *large);
        if !tried_alike || !is_monotone {
            continue;
        }
        count(tally, "scale scanned");
        let largest = (0..scan.len()).rev().find(|at| verdicts[*at]).map(|at| scan[at]);
        let fixed: Vec<f64> = record.tries[1..]
            .iter()
            .map(|(scale, _)| *scale)
            .filter(|scale| fits(*scale))
            .collect();
        let fixed = fixed.iter().copied().fold(0.0, f64::max);
        match largest {
            Some(largest) => assert!(2.0 * fixed >= largest, "update {}: {fixed} of {largest}", record.update),
            None => assert_eq!(fixed, 0.0),
        }
    }
}

/// The journal reads back, is written again to the byte, and leads a fresh guard to the same decisions.
pub fn journal(run: &Run<'_>, later: &[usize], strict: bool) {
    let write = |entries: &[Entry]| {
        let mut journal = Journal::new();
        let lines = entries.iter().map(|entry| journal.line(entry) + "\n");
        lines.collect::<String>()
    };
    let text = write(&run.entries);
    let read = ledger::read(text.as_bytes()).unwrap();
    assert_eq!((read.torn, read.bytes), (0, text.len()));
    assert!(read.entries == run.entries, "entries differ after reading");
    assert_eq!(write(&read.entries), text);
    ledger::replay(run.policy, later, strict, &read.entries).unwrap_or_else(|difference| panic!("{difference:?}"));
}

/// Feeds a guard what was read at some proposals.
fn fed(run: &Run<'_>, mut guard: Guard, records: &[Record], is_same: impl Fn(&Decision, &Decision) -> bool) -> Guard {
    guard.begin(&run.base).unwrap();
    for record in records {
        let mut tries = record.tries.iter();
        let decision = loop {
            let Some((scale, readings)) = tries.next() else {
                break guard.decide(record.update, &record.readings, record.complete);
            };
            if let Fit::Act(decision) = guard.fit(record.update, *scale, readings) {
                break decision;
            }
        };
        assert!(
            is_same(&record.decision, &decision),
            "{:?}, {decision:?}",
            record.decision
        );
    }
    guard
}

/// A rollback is the run that starts from the kept state at half the rate: gone on from there with a guard that was fed
/// the journal and a state that was made again, the rest of the run is the same to the bit.
pub fn goes_on_after_a_rollback(run: &Run<'_>, later: &[usize], strict: bool, tally: &mut Tally) {
    let is_rollback = |at: &usize| matches!(run.records[*at].decision.action, Act::Rollback { .. });
    let rollbacks: Vec<usize> = (0..run.records.len()).filter(is_rollback).collect();
    if rollbacks.is_empty() {
        return;
    }
    count(tally, "rollback gone on from");
    let at = Random::new(run.toy.seed, Subject::Checks, 1).one_of(&rollbacks);
    let (past, rest) = run.records.split_at(at + 1);
    let guard = Guard::arm(run.policy, later, strict).unwrap();
    let guard = fed(run, guard, past, |one, other| one == other);
    assert_eq!(guard, past[at].guard);
    let state = made_again(run, &path(past));
    let halved = past[at].halvings + 1;
    assert_eq!(guard.halvings(), halved);
    let rate = run.toy.rate(&state, past[at].halvings) / 2.0;
    assert_eq!(run.toy.propose(&state, halved).rate, rate);

    let mut again = Run::new(run.toy, run.policy, guard, state);
    again.proposed = at as u64 + 1;
    again.last = past[at].update;
    again.walk();
    assert_eq!(again.records.len(), rest.len());
    // After the entries of the start and of the base comes one a proposal.
    assert!(
        again.entries == run.entries[2 + past.len()..],
        "the rest of the journal differs"
    );
    assert_eq!(again.end, run.end);
    assert_eq!(again.kept.bits(), run.kept.bits());
    assert_eq!(again.now.bits(), run.now.bits());
    if let Some(first) = rest.first() {
        assert_eq!(first.step.rate, rate);
    }
}

/// Without the lines of advice the decisions are the same.
pub fn advice_never_acts(run: &Run<'_>, enforced: &[usize], tally: &mut Tally) {
    let without = |decision: &Decision| {
        let mut decision = decision.clone();
        decision.breaches.retain(|breach| !breach.advice);
        decision
    };
    let guard = Guard::arm(run.policy, enforced, false).unwrap();
    if began(run) && run.toy.fails == 0.0 {
        // On the same readings, whatever they were taken for.
        fed(run, guard.clone(), &run.records, |with, alone| without(with) == *alone);
    }
    count(tally, "advice alone");
    let alone = runner::run(run.toy, run.policy, enforced, false);
    assert_eq!(run.records.len(), alone.records.len());
    for (with, alone) in run.records.iter().zip(&alone.records) {
        assert_eq!(without(&with.decision), alone.decision, "update {}", with.update);
    }
    assert_eq!((run.end, run.kept.bits()), (alone.end, alone.kept.bits()));
    assert_eq!(run.now.bits(), alone.now.bits());
}
