//! Limits at a confidence: what is certified, when it is judged, and which probes are too small.

use super::*;

fn arm(lines: &str) -> Guard {
    let policy = policy(&format!("probe pairs \"b.jsonl\" every 20 updates\n{lines}"));
    Guard::arm(&policy, &later(&policy), false).unwrap()
}

/// `drift.clipped` with these values of the prompts.
fn clipped(prompts: &[f64]) -> Measured {
    let prompts: Vec<Reading> = prompts.iter().copied().map(Reading::from).collect();
    Measured {
        prompts: prompts.clone(),
        ..Measured::new(Quantity::DriftClipped, Some(0), Reading::mean(&prompts))
    }
}

/// A mean of 0.5 % over so many prompts.
fn low(prompts: usize) -> Measured {
    clipped(&[0.002, 0.008].repeat(prompts / 2))
}

const CERTAIN: &str = "max drift.clipped 2% on general at 95% confidence else rollback and slow 5 times then stop";

fn begun_with(lines: &str) -> Guard {
    let mut guard = arm(lines);
    guard.begin(&[clipped(&[0.0; 64]), total(0.0), distinct(0.5)]).unwrap();
    guard
}

fn cause(decision: &Decision) -> Option<Cause> {
    decision.breaches.first().map(|breach| breach.cause)
}

#[test]
fn inside_is_what_is_certified() {
    let uncertain = |prompts| Some(Cause::Uncertain { prompts });
    let not_finite = [&[f64::NAN][..], &[0.0; 63]].concat();
    let mut late = vec![0.0; 63];
    late.push(f64::INFINITY);
    let bare = Measured::new(Quantity::DriftClipped, Some(0), 0.0.into());
    let mixed = Measured {
        reading: 0.0.into(),
        ..clipped(&not_finite)
    };
    for (measured, expected) in [
        (low(64), None),
        // Inside by its reading, and too few to tell.
        (low(16), uncertain(16)),
        // Straddles.
        (clipped(&[0.018; 64]), uncertain(64)),
        (clipped(&[0.021; 64]), uncertain(64)),
        (clipped(&[0.09; 64]), Some(Cause::Outside)),
        // The first prompts certify, the reading is outside all the same.
        (clipped(&[&[0.0; 32][..], &[0.1; 32]].concat()), Some(Cause::Outside)),
        (clipped(&not_finite), Some(Cause::NotFinite)),
        (clipped(&late), Some(Cause::NotFinite)),
        (mixed, Some(Cause::NotFinite)),
        // No value of a prompt is over its top.
        (clipped(&[&[0.2][..], &[0.0; 63]].concat()), uncertain(64)),
        // A reading without its prompts is no evidence.
        (bare, Some(Cause::Missing)),
    ] {
        let mut guard = begun_with(CERTAIN);
        let decision = guard.decide(10, std::slice::from_ref(&measured), true);
        assert_eq!(cause(&decision), expected, "{measured:?}");
        let action = if expected.is_none() {
            commit(1.0)
        } else {
            Act::Rollback { to: 0 }
        };
        assert_eq!((decision.action, decision.keep), (action, expected.is_none()));
        assert_eq!(guard.limits()[0].looks, 2);
        // What stands in the tables is the reading, and that is compared with the bound alone.
        assert!(!guard.limits()[0].is_outside(0.02.into()) && guard.limits()[0].is_outside(0.03.into()));
    }
    let decision = begun_with(CERTAIN).decide(10, &[], true);
    assert_eq!(cause(&decision), Some(Cause::Missing));
    assert!(!decision.breaches[0].is_floor && decision.breaches[0].bound.get() == 0.02);
}

#[test]
fn the_base_is_the_first_look() {
    // Half of the 5 %: 19 zeros certify, 18 do not.
    assert_eq!(arm(CERTAIN).begin(&[clipped(&[0.0; 19])]), Ok(()));
    let mut guard = arm(CERTAIN);
    let breaches = guard.begin(&[clipped(&[0.0; 18])]).unwrap_err();
    assert_eq!(breaches[0].cause, Cause::Uncertain { prompts: 18 });
    assert_eq!((guard.limits()[0].looks, breaches[0].rung), (1, None));
    assert_eq!(arm(CERTAIN).begin(&[]).unwrap_err()[0].cause, Cause::Missing);
    // Advice never holds a run up, and looks at the same price.
    let mut advice = arm("advise max drift.clipped 2% on general at 95% confidence");
    assert_eq!(advice.begin(&[clipped(&[0.0; 3])]), Ok(()));
    assert_eq!(advice.limits()[0].looks, 1);
    let decision = advice.decide(10, &[clipped(&[0.0; 3])], true);
    assert_eq!(
        (decision.action, cause(&decision)),
        (commit(1.0), Some(Cause::Uncertain { prompts: 3 }))
    );
}

#[test]
fn every_look_costs_and_no_rollback_gives_it_back() {
    let mut guard = begun_with(CERTAIN);
    // 1.225^n is to reach 20 k(k + 1) at look k.
    for (look, needed) in [(2, 24), (3, 28), (4, 30), (5, 32)] {
        let mut fewer = guard.clone();
        let decision = fewer.decide(10, &[clipped(&vec![0.0; needed - 1])], true);
        assert_eq!(decision.action, Act::Rollback { to: 10 * (look - 2) }, "{look}");
        assert_eq!(fewer.limits()[0].looks, look);
        assert_eq!(
            fewer.decide(10, &[clipped(&vec![0.0; needed])], true).action,
            Act::Rollback { to: fewer.kept() }
        );
        let decision = guard.decide(10 * (look - 1), &[clipped(&vec![0.0; needed])], true);
        assert_eq!((decision.action, guard.limits()[0].looks), (commit(1.0), look));
    }
}

#[test]
fn judged_at_evaluations_alone() {
    // A per-update limit reads the same probe, and so does a limit on the probe itself.
    let lines = format!("{STEP}\n{CERTAIN}\nmax drift.clipped 5% on general\nmin diversity.distinct_2 10%");
    let mut guard = begun_with(&lines);
    let clipped_needs: Vec<&Need> = guard
        .needs()
        .iter()
        .filter(|need| need.quantity == Quantity::DriftClipped)
        .collect();
    assert_eq!(clipped_needs.len(), 1);
    assert_eq!(clipped_needs[0].moment, When::EveryUpdate);
    // Between evaluations the reading comes without evidence, and is none of this limit's.
    let bare = Measured::new(Quantity::DriftClipped, Some(0), 0.03.into());
    let (decision, _) = propose(&mut guard, 1, |_| 0.0, std::slice::from_ref(&bare), false);
    assert_eq!((decision.action, guard.limits()[1].looks), (commit(1.0), 1));
    assert_eq!(guard.limits()[1].spent.unwrap().last, 0.0.into());
    assert_eq!(guard.limits()[2].spent.unwrap().last, 0.03.into());
    // The probe's own evaluation, while the other's is not due.
    let (decision, _) = propose(&mut guard, 10, |_| 0.0, std::slice::from_ref(&bare), false);
    assert_eq!((cause(&decision), guard.limits()[1].looks), (Some(Cause::Missing), 2));
    let (decision, _) = propose(&mut guard, 10, |_| 0.0, &[low(64)], false);
    assert_eq!((decision.action, guard.limits()[1].looks), (commit(1.0), 3));
    // The last update.
    let (decision, _) = propose(&mut guard, 13, |_| 0.0, &[low(64), distinct(0.5)], true);
    assert_eq!((decision.action, guard.limits()[1].looks), (commit(1.0), 4));

    let alone = arm(&format!("{STEP}\n{CERTAIN}"));
    let moments: Vec<When> = alone.needs().iter().map(|need| need.moment).collect();
    assert_eq!(moments, [When::EveryUpdate, When::Evaluation]);
    let need = alone.needs()[1];
    assert!(alone.is_due(&need, 0, false) && alone.is_due(&need, 10, false) && !alone.is_due(&need, 7, false));
    assert!(alone.is_complete(10, false) && !alone.is_complete(7, false));
}

#[test]
fn prompts_are_enough_when_every_limit_is_decided_by_them() {
    let zeros = |n: usize| vec![Reading::from(0.0); n];
    let on = (Quantity::DriftClipped, Some(0));
    let mut guard = arm(&format!(
        "{CERTAIN}\nadvise max drift.clipped 1% on general at 90% confidence"
    ));
    assert!(guard.asks_prompts(on.0, on.1) && !guard.asks_prompts(on.0, Some(1)));
    // The second needs 1.1^n = 20.
    assert!(!guard.is_certain(on.0, on.1, &zeros(31)) && guard.is_certain(on.0, on.1, &zeros(32)));
    // Its answer is that of the look that follows.
    guard.begin(&[clipped(&[0.0; 32])]).unwrap();
    assert!(!guard.is_certain(on.0, on.1, &zeros(32)));
    assert!(guard.is_certain(on.0, on.1, &vec![0.09.into(); 20]));
    assert!(!guard.is_certain(on.0, on.1, &[]) && !guard.is_certain(on.0, Some(1), &zeros(900)));
    // A limit without a confidence speaks about the whole probe.
    let both = arm(&format!("{CERTAIN}\nmax drift.clipped 5% on general"));
    assert!(!both.is_certain(on.0, on.1, &zeros(900)));
    // The base's reading is that of the whole probe.
    let mut share = arm("max tone.absolutes 150% of base at 95% confidence");
    let tone = (Quantity::ToneAbsolutes, Some(1));
    assert!(!share.is_certain(tone.0, tone.1, &zeros(900)));
    let prompts = vec![Reading::from(0.1); 400];
    let base = Measured {
        prompts: prompts.clone(),
        ..Measured::new(tone.0, tone.1, 0.1.into())
    };
    share.begin(&[base]).unwrap();
    assert!(share.is_certain(tone.0, tone.1, &prompts) && !share.is_certain(tone.0, tone.1, &prompts[..20]));
}

#[test]
fn probes_that_are_too_small_are_named_with_what_would_do() {
    let named = |line: &str, has: u64, looks: u64| -> Option<(Option<u64>, bool)> {
        let found = arm(line).resolves(|_| has, looks);
        assert!(found.iter().all(|found| (found.line, found.has) == (0, has)));
        found.first().map(|found| (found.needed, found.advice))
    };
    // 64 zeros certify 2 % up to look 147.
    let certain = "max drift.clipped 2% on general at 95% confidence";
    assert_eq!((named(certain, 64, 1), named(certain, 64, 147)), (None, None));
    assert_eq!(named(certain, 64, 148), Some((Some(65), false)));
    assert_eq!(named(certain, 18, 1), Some((Some(19), false)));
    assert_eq!(named(certain, u64::MAX, 1_000_000), None);
    assert_eq!(
        named("max boundary.flips 5% at 90% confidence", 48, 1),
        Some((Some(65), false))
    );
    // Nothing is certified to be 0.
    let never = "max drift.clipped 0% on general at 95% confidence";
    assert_eq!(named(never, u64::MAX, 1), Some((None, false)));
    // 48 pairs read in steps of 1/48, which is more than 2 %.
    assert_eq!(named("max boundary.flips 2%", 48, 1), Some((Some(50), false)));
    assert_eq!(named("advise max boundary.flips 2%", 49, 1), Some((Some(50), true)));
    assert_eq!(named("max boundary.flips 2%", 50, 1), None);
    assert_eq!(named("max boundary.flips 3%", 48, 1), None);
    assert_eq!(named("max template.share 1%", 99, 1), Some((Some(100), false)));
    assert_eq!(named("max template.share 1%", 100, 1), None);
    // None at all is a bound that every probe resolves.
    assert_eq!(named("max boundary.flips 0%", 48, 1), None);
    // What is no share of rows, or has no bound yet.
    for line in [
        "max drift.total 0.05 nats on general",
        "max tone.absolutes 120% of base",
        "max drift.clipped 1% on general",
    ] {
        assert_eq!(named(line, 3, 1), None, "{line}");
    }
}

#[test]
fn a_bound_that_the_base_cannot_be_told_from_is_named() {
    let mut guard = arm(
        "min diversity.distinct_2 98% of base\nadvise min diversity.distinct_2 100% of base\n\
         min diversity.distinct_3 90% of base\nmin diversity.distinct_1 80% of base\nmax drift.total 1 nats on general",
    );
    let base = |quantity, value: f64, error: Option<f64>| Measured {
        standard_error: error.and_then(Finite::new),
        ..measured(quantity, Some(1), value)
    };
    let readings = [
        base(Quantity::DiversityDistinct2, 0.5, Some(0.02)),
        base(Quantity::DiversityDistinct3, 0.5, Some(0.02)),
        base(Quantity::DiversityDistinct1, 0.5, None),
        total(0.0),
    ];
    assert_eq!(guard.too_coarse(&readings, |_| 64), []);
    guard.begin(&readings).unwrap();
    let found: Vec<(usize, Option<u64>, bool)> = guard
        .too_coarse(&readings, |_| 64)
        .iter()
        .map(|found| (found.line, found.needed, found.advice))
        .collect();
    // The bound is 0.01 away where two errors are 0.04: 16 times the prompts. 0.05 away is enough.
    assert_eq!(found, [(0, Some(1024), false), (1, None, true), (3, None, false)]);
}

#[test]
fn a_confidence_is_armed_for_ceilings_on_bounded_means() {
    let policy = policy("max drift.clipped 2% on general at 95% confidence");
    assert_eq!(
        Guard::arm(&policy, &[0], false).unwrap().limits()[0].confidence,
        Finite::new(0.95)
    );
    let mut other = policy.clone();
    let Asks::Limit(limit) = &mut other.lines[0].asks else {
        unreachable!()
    };
    limit.min = limit.max.clone();
    assert_eq!(Guard::arm(&other, &[0], false).unwrap_err(), [0]);
    let mut other = policy.clone();
    let Asks::Limit(limit) = &mut other.lines[0].asks else {
        unreachable!()
    };
    limit.quantity = Quantity::DriftTotal;
    assert_eq!(Guard::arm(&other, &[0], false).unwrap_err(), [0]);
}
