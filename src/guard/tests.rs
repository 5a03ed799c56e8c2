//! The guard as a training loop sees it, on policies as they are written.

mod certainty;

use proptest::prelude::*;

use super::*;
use crate::ir::{Action, Asks, Policy};
use crate::meter::Reading;
use crate::quantity::{Finite, Quantity};
use crate::sema::compile;
use crate::source::Sources;

/// The policy of these lines, with a text and a prompts probe.
fn policy(lines: &str) -> Policy {
    let mut sources = Sources::default();
    let text = format!(
        "policy \"p\"\nprobe text general \"g.jsonl\" every 10 updates\nprobe prompts \"p.jsonl\" every 20 updates\n{lines}\n"
    );
    let id = sources.add("p.riskpolicy", text);
    let compiled = compile(id, &sources);
    compiled.policy.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

fn later(policy: &Policy) -> Vec<usize> {
    let is_later = |asks: &Asks| match asks {
        Asks::Limit(limit) => !limit.quantity.row().moment.is_before_training(),
        _ => false,
    };
    (0..policy.lines.len())
        .filter(|index| is_later(&policy.lines[*index].asks))
        .collect()
}

fn arm(lines: &str) -> Guard {
    let policy = policy(lines);
    Guard::arm(&policy, &later(&policy), false).unwrap()
}

/// An armed guard that has begun with base readings: drift 0, diversity 0.5, effective rank 0.
fn begun(lines: &str) -> Guard {
    let mut guard = arm(lines);
    guard.begin(&[total(0.0), distinct(0.5), rank(0.0)]).unwrap();
    guard
}

fn measured(quantity: Quantity, probe: Option<usize>, value: f64) -> Measured {
    Measured::new(quantity, probe, value.into())
}

fn step(value: f64) -> Measured {
    measured(Quantity::DriftPerUpdate, Some(0), value)
}

fn total(value: f64) -> Measured {
    measured(Quantity::DriftTotal, Some(0), value)
}

fn distinct(value: f64) -> Measured {
    measured(Quantity::DiversityDistinct2, Some(1), value)
}

fn rank(value: f64) -> Measured {
    measured(Quantity::LoraEffectiveRank, None, value)
}

fn commit(scale: f64) -> Act {
    Act::Commit {
        scale: Finite::new(scale).unwrap(),
    }
}

/// One proposal whose step reads `f(scale)`.
fn propose(
    guard: &mut Guard,
    update: u64,
    f: impl Fn(f64) -> f64,
    readings: &[Measured],
    complete: bool,
) -> (Decision, Vec<f64>) {
    let mut scale = 1.0;
    let mut tried = Vec::new();
    loop {
        tried.push(scale);
        match guard.fit(update, scale, &[step(f(scale))]) {
            Fit::Measure { scale: next } => scale = next,
            Fit::Fixed { .. } | Fit::Drop => return (guard.decide(update, readings, complete), tried),
            Fit::Act(decision) => return (decision, tried),
        }
        assert!(tried.len() < 20);
    }
}

const STEP: &str = "max drift.per_update 0.01 nats on general";

#[test]
fn inside_is_committed_whole_and_bounds_are_inclusive() {
    let mut guard = begun(STEP);
    let (decision, tried) = propose(&mut guard, 1, |_| 0.01, &[], false);
    assert_eq!(
        decision,
        Decision {
            action: commit(1.0),
            slow: false,
            paced: 0,
            keep: false,
            stalled: false,
            breaches: vec![]
        }
    );
    assert_eq!(tried, [1.0]);
    let spent = guard.limits()[0].spent.unwrap();
    assert_eq!((spent.last, spent.at_update), (0.01.into(), 1));
}

#[test]
fn scale_commits_a_part_that_fits() {
    let mut guard = begun(STEP);
    let (decision, tried) = propose(&mut guard, 1, |s| 0.04 * s * s, &[], false);
    assert_eq!(decision.action, commit(tried[1]));
    assert!((tried[1] - 0.475).abs() < 1e-9 && tried.len() == 3, "{tried:?}");
    let breach = &decision.breaches[0];
    assert_eq!((breach.reading, breach.bound.get()), (0.04.into(), 0.01));
    assert_eq!(breach.cause, Cause::Outside);
    assert_eq!(breach.rung.map(|(rung, n)| (rung.action, n)), Some((Action::Scale, 1)));
    // What was committed is what is spent.
    assert_eq!(
        guard.limits()[0].spent.unwrap().last,
        Reading::from(0.04 * tried[1] * tried[1])
    );
    assert_eq!(guard.limits()[0].ladder.uses(), [1, 0]);
}

#[test]
fn nothing_fits_is_a_skip_and_the_same_use() {
    let mut guard = begun(STEP);
    let (decision, tried) = propose(&mut guard, 1, |_| 1.0, &[], false);
    assert_eq!(decision.action, Act::Skip);
    assert_eq!(*tried.last().unwrap(), LEAST_SCALE);
    assert_eq!(guard.limits()[0].ladder.uses(), [1, 0]);
    assert_eq!(guard.limits()[0].spent, None);
    assert_eq!(guard.without_whole(), 1);
}

#[test]
fn each_rung_in_its_turn() {
    let mut guard = begun(&format!(
        "{STEP} else scale 2 times then skip and slow 1 times then rollback and slow 1 times then stop"
    ));
    guard.decide(10, &[], false);
    let mut acts = Vec::new();
    for update in 1..=5 {
        let (decision, _) = propose(&mut guard, update, |s| 0.02 * s, &[], false);
        acts.push((decision.action, decision.slow, guard.halvings()));
    }
    let scaled = |act: Act| matches!(act, Act::Commit { scale } if scale < Finite::ONE);
    assert!(scaled(acts[0].0));
    // The proposal that was decided without a reading was a use of the first rung.
    assert_eq!(
        acts[1..],
        [
            (Act::Skip, true, 1),
            (Act::Rollback { to: 0 }, true, 2),
            (Act::Stop { to: 0 }, false, 2),
            (Act::Stop { to: 0 }, false, 2)
        ]
    );
}

#[test]
fn what_is_not_finite_or_missing_is_a_breach_everywhere() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut guard = begun(&format!("{STEP}\nmax drift.total 1 nats on general"));
        // The whole update is not finite, its half is fine.
        let (decision, tried) = propose(
            &mut guard,
            1,
            |s| if s > 0.7 { value } else { 0.001 },
            &[total(0.1)],
            false,
        );
        assert_eq!((decision.action, &tried[..]), (commit(0.5), &[1.0, 0.5][..]));
        assert_eq!(decision.breaches[0].cause, Cause::NotFinite);
        let (decision, _) = propose(&mut guard, 2, |_| 0.0, &[total(value)], false);
        assert_eq!(decision.action, Act::Stop { to: 0 });
        assert!(arm("max drift.total 1 nats on general").begin(&[total(value)]).is_err());
    }
    // Read at every update, because a per-update limit reads the same probe.
    let mut guard = begun(&format!("{STEP}\nmax drift.total 1 nats on general"));
    let (decision, _) = propose(&mut guard, 1, |_| 0.0, &[], false);
    assert_eq!(decision.action, Act::Stop { to: 0 });
    assert_eq!(decision.breaches[0].cause, Cause::Missing);
    // At evaluations alone: due when the evaluation is complete.
    let mut guard = begun("min diversity.distinct_2 10%");
    assert_eq!(guard.fit(1, 1.0, &[]), Fit::Fixed { scale: 1.0 });
    assert_eq!(guard.decide(1, &[], false).action, commit(1.0));
    assert_eq!(guard.decide(20, &[], true).action, Act::Stop { to: 0 });
    // A decision without step 1: nothing is committed that was not measured.
    let mut guard = begun(STEP);
    assert_eq!(guard.decide(1, &[step(0.0)], false).action, Act::Skip);
}

#[test]
fn a_scale_that_was_not_asked_for_decides_nothing() {
    let mut guard = begun(STEP);
    assert_eq!(guard.fit(1, 0.25, &[step(0.0)]), Fit::Measure { scale: 0.5 });
    assert_eq!(guard.fit(1, 0.25, &[step(0.0)]), Fit::Measure { scale: 0.5 });
    assert_eq!(guard.fit(1, 0.5, &[step(0.0)]), Fit::Fixed { scale: 0.5 });
    let decision = guard.decide(1, &[], false);
    assert_eq!(decision.action, commit(0.5));
    assert_eq!(guard.limits()[0].ladder.uses(), [1, 0]);
}

#[test]
fn the_second_step_judges_what_the_first_would_commit() {
    let mut guard = begun(&format!(
        "{STEP} else scale and slow 5 times\nmax drift.total 0.05 nats on general else rollback and slow 2 times then stop"
    ));
    assert!(guard.needs().iter().all(|need| need.moment == When::EveryUpdate));
    let (decision, _) = propose(&mut guard, 1, |s| 0.04 * s * s, &[total(0.06)], false);
    assert_eq!(decision.action, Act::Rollback { to: 0 });
    // Both counted one use, the rate is halved once.
    assert_eq!(decision.breaches.len(), 2);
    assert!(decision.slow);
    assert_eq!(guard.halvings(), 1);
    assert_eq!(guard.limits()[0].ladder.uses()[0], 1);
    assert_eq!(guard.limits()[1].ladder.uses()[0], 1);
    // Nothing of the update is spent.
    assert_eq!(guard.limits()[0].spent, None);
    assert_eq!(guard.limits()[1].spent.unwrap().last, 0.0.into());
    // An evaluation of the unchanged state after a skip.
    let (decision, _) = propose(&mut guard, 1, |_| 1.0, &[total(0.01)], true);
    assert_eq!((decision.action, decision.keep), (Act::Skip, true));
    assert_eq!(guard.kept(), 1);
}

#[test]
fn the_strongest_rung_acts_once_and_each_breach_counts() {
    let mut guard = begun(&format!(
        "{STEP} else scale 5 times\nmax drift.per_update 0.02 nats on general else skip 5 times\n\
         max drift.per_update 0.5 nats on general else rollback and slow 1 times"
    ));
    let uses = |guard: &Guard| -> Vec<u64> { guard.limits().iter().map(|limit| limit.ladder.uses()[0]).collect() };
    assert_eq!(propose(&mut guard, 1, |_| 0.015, &[], false).0.action, Act::Skip);
    assert_eq!(uses(&guard), [1, 0, 0]);
    let (decision, tried) = propose(&mut guard, 2, |s| 0.03 * s, &[], false);
    assert_eq!((decision.action, tried.len()), (Act::Skip, 1));
    assert_eq!(uses(&guard), [2, 1, 0]);
    let (decision, _) = propose(&mut guard, 3, |_| 0.6, &[], false);
    assert_eq!(decision.action, Act::Rollback { to: 0 });
    assert_eq!(uses(&guard), [3, 2, 1]);
    assert_eq!(decision.breaches.len(), 3);
}

#[test]
fn only_a_complete_evaluation_inside_is_kept_and_counts_survive_a_rollback() {
    let mut guard = begun(
        "max drift.total 0.05 nats on general else rollback and slow 2 times then stop\nmin diversity.distinct_2 80% of base",
    );
    let all = [total(0.01), distinct(0.45)];
    assert!(!guard.decide(10, &[total(0.02)], false).keep);
    assert_eq!(guard.kept(), 0);
    assert!(guard.decide(20, &all, true).keep);
    assert_eq!(guard.kept(), 20);
    let decision = guard.decide(30, &[total(0.06)], false);
    assert_eq!(decision.action, Act::Rollback { to: 20 });
    assert_eq!(guard.limits()[0].spent.unwrap().last, 0.01.into());
    let decision = guard.decide(30, &[total(0.06)], false);
    assert_eq!(decision.breaches[0].rung.unwrap().1, 2);
    assert_eq!(guard.halvings(), 2);
    assert_eq!(guard.decide(30, &[total(0.06)], false).action, Act::Stop { to: 20 });
}

#[test]
fn a_hundred_in_a_row_end_the_run() {
    let mut guard = begun(&format!("{STEP} else scale"));
    for update in 1..100 {
        let (decision, _) = propose(&mut guard, update, |s| 0.02 * s, &[], false);
        assert!(matches!(decision.action, Act::Commit { .. }), "{update}");
    }
    let mut saved = guard.clone();
    let (decision, _) = propose(&mut guard, 100, |s| 0.02 * s, &[], true);
    assert_eq!((decision.action, decision.stalled), (Act::Stop { to: 0 }, true));
    assert!(!decision.keep);
    // One that is committed whole begins the count anew.
    propose(&mut saved, 100, |_| 0.0, &[], false);
    assert_eq!(saved.without_whole(), 0);
}

#[test]
fn advice_is_recorded_and_never_acts() {
    let lines = "advise max drift.per_update 0.01 nats on general\nadvise max drift.total 0.05 nats on general\n\
                 advise min diversity.distinct_2 80% of base";
    let mut guard = begun(lines);
    let (decision, tried) = propose(&mut guard, 20, |_| f64::NAN, &[total(9.0)], true);
    assert_eq!((decision.action, tried.len()), (commit(1.0), 1));
    assert!(decision.keep && !decision.slow);
    assert_eq!(decision.breaches.len(), 3);
    assert!(
        decision
            .breaches
            .iter()
            .all(|breach| breach.advice && breach.rung.is_none())
    );
    assert!(
        guard
            .limits()
            .iter()
            .all(|limit| limit.ladder.uses().iter().all(|n| *n == 0))
    );
    // Not even at the start, whatever its meter does.
    assert_eq!(arm(lines).begin(&[total(9.0)]), Ok(()));
    // `strict` makes it a limit with the default response.
    let policy = policy(lines);
    let mut strict = Guard::arm(&policy, &later(&policy), true).unwrap();
    strict.begin(&[total(0.0), distinct(0.5)]).unwrap();
    assert_eq!(strict.limits()[0].ladder.rungs()[0].times, Some(20));
    let (decision, _) = propose(&mut strict, 1, |s| 0.02 * s, &[total(0.0)], false);
    assert!(matches!(decision.action, Act::Commit { scale } if scale < Finite::ONE));
    assert_eq!(
        propose(&mut strict, 2, |_| 0.0, &[total(0.06)], false).0.action,
        Act::Stop { to: 0 }
    );
}

#[test]
fn shares_of_the_base() {
    let lines = "min diversity.distinct_2 80% of base";
    let mut guard = arm(lines);
    assert_eq!(guard.limits()[0].bound_now(), None);
    guard.begin(&[distinct(0.5)]).unwrap();
    assert_eq!(guard.limits()[0].bound_now(), Finite::new(0.4));
    assert_eq!(guard.decide(20, &[distinct(0.4)], true).action, commit(1.0));
    let decision = guard.decide(40, &[distinct(0.399_999)], true);
    assert_eq!(decision.action, Act::Stop { to: 20 });
    assert!(decision.breaches[0].is_floor);
    assert_eq!(decision.breaches[0].bound.get(), 0.4);
    let spent = guard.limits()[0].spent.unwrap();
    assert_eq!((spent.worst, spent.at_update), (0.4.into(), 20));
    for bad in [&[distinct(0.0)][..], &[], &[distinct(f64::NAN)]] {
        let breaches = arm(lines).begin(bad).unwrap_err();
        assert_eq!((breaches.len(), breaches[0].cause), (1, Cause::NoBase));
        assert_eq!(breaches[0].rung, None);
    }
}

#[test]
fn a_run_that_starts_outside_does_not_start() {
    let mut guard = arm(&format!(
        "{STEP}\nmax drift.total 0.05 nats on general\nmax lora.effective_rank 2"
    ));
    let breaches = guard.begin(&[total(0.06), rank(3.0)]).unwrap_err();
    assert_eq!(breaches.iter().map(|b| b.line).collect::<Vec<_>>(), [1, 2]);
    assert!(guard.clone().begin(&[total(0.05)]).is_err());
    assert_eq!(guard.begin(&[total(0.05), rank(2.0)]), Ok(()));
}

#[test]
fn what_cannot_be_read_is_refused_by_line() {
    let policy = policy("max drift.total 1 nats on general\nmax lora.rank 8");
    assert_eq!(Guard::arm(&policy, &[0], false).unwrap().limits().len(), 1);
    assert_eq!(Guard::arm(&policy, &[1, 99], false).unwrap_err(), [1, 99]);
}

#[test]
fn what_is_read_and_when() {
    let guard = arm(
        "max drift.total 2 nats on general\nadvise max drift.total 1 nats on general\nmin diversity.distinct_2 10%\nmax lora.effective_rank 4",
    );
    let at = |update, last| -> Vec<Quantity> {
        let due = guard.needs().iter().filter(|need| guard.is_due(need, update, last));
        due.map(|need| need.quantity).collect()
    };
    use Quantity::{DiversityDistinct2, DriftTotal, LoraEffectiveRank};
    assert_eq!(at(0, false), [DriftTotal, LoraEffectiveRank, DiversityDistinct2]);
    assert_eq!(at(7, false), []);
    assert_eq!(at(10, false), [DriftTotal, LoraEffectiveRank]);
    assert_eq!(at(20, false), at(0, false));
    assert_eq!(at(7, true), at(0, false));
    assert!(guard.is_complete(20, false) && guard.is_complete(7, true) && !guard.is_complete(10, false));
    // Read at every update and evaluated at its cadence.
    let guard = arm(&format!("{STEP}\nmax drift.total 1 nats on general"));
    assert!(guard.needs().iter().all(|need| guard.is_due(need, 7, false)));
    assert!(!guard.is_complete(7, false) && guard.is_complete(10, false));
    let alone = arm("max lora.effective_rank 4");
    assert!(alone.is_complete(50, false) && !alone.is_complete(10, false));
    // Nothing to read: states are kept at the default cadence all the same.
    let nothing = arm("max lora.rank 8");
    assert!(nothing.needs().is_empty());
    assert!(nothing.is_complete(50, false) && nothing.is_complete(7, true) && !nothing.is_complete(7, false));
}

/// What a random run does at a proposal: how far the whole update moves, by which law, and what is read afterwards.
type Proposal = (f64, f64, f64, f64);

fn proposals() -> impl Strategy<Value = Vec<Proposal>> {
    let reading = |most: f64| prop_oneof![20 => 0.0..most, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    prop::collection::vec((reading(0.03), 0.2..4.0_f64, reading(0.06), reading(1.0)), 1..80)
}

const LADDERS: &str = "max drift.per_update 0.01 nats on general else scale 4 times then skip and slow 3 times then stop\n\
    max drift.per_update 0.025 nats on general else rollback and slow 3 times\n\
    max drift.total 0.05 nats on general else rollback and slow 4 times then stop\n\
    min diversity.distinct_2 40% of base on prompts else rollback and slow 2 times\n\
    advise max drift.total 0.01 nats on general";

proptest! {
    #[test]
    fn no_committed_state_is_over_a_budget_read_at_every_update_and_no_kept_one_over_any(run in proposals()) {
        let mut guard = begun(LADDERS);
        let mut update = 0;
        for (size, power, drift, diversity) in run {
            update += 1;
            let law = |s: f64| size * s.powf(power);
            let complete = guard.is_complete(update, false);
            let mut readings = vec![total(drift)];
            if complete {
                readings.push(distinct(diversity));
            }
            let mut twin = guard.clone();
            let (decision, tried) = propose(&mut guard, update, law, &readings, complete);
            // A pure function: the same inputs give the same decision and leave the same guard.
            prop_assert_eq!(&propose(&mut twin, update, law, &readings, complete), &(decision.clone(), tried));
            prop_assert_eq!(&twin, &guard);
            if let Act::Commit { scale } = decision.action {
                let (step, s) = (law(scale.get()), scale.get());
                prop_assert!(step <= 0.01 && drift <= 0.05, "{} {}", step, drift);
                // At least half of the largest part that fits.
                prop_assert!(2.0 * s >= 1.0 || law(2.0 * s).is_nan() || law(2.0 * s) > 0.01);
            }
            if decision.keep {
                prop_assert!(complete && drift <= 0.05 && diversity >= 0.2);
                prop_assert_eq!(guard.kept(), update);
            }
            for limit in guard.limits().iter().filter(|limit| !limit.advice) {
                if let (Some(spent), Some((min, max))) = (limit.spent, limit.bounds_now()) {
                    let worst = spent.worst.value().unwrap();
                    prop_assert!(min.is_none_or(|min| worst >= min) && max.is_none_or(|max| worst <= max));
                }
            }
            match decision.action {
                Act::Stop { to } => {
                    prop_assert_eq!(to, guard.kept());
                    break;
                }
                Act::Rollback { to } => {
                    prop_assert!(to == guard.kept() && decision.slow);
                    update = to;
                }
                Act::Commit { .. } | Act::Skip => {}
            }
        }
    }
}
