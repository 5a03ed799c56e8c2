//! Pace: a budget that is spread over the run, so that who would overspend is slowed early and not stopped late.
//!
//! What is spent is a distance. KL is a squared length where it is small, and a run covers a length in one of two ways: in
//! a straight line √KL = c · Σ rate (ballistic), or as a random walk KL = c · Σ rate² (diffusive). The allowance is the
//! bound times the share of the run that is over, and the best clock for that is the dose, Σ rate (`clock.rs`): D ≤ B · s.
//!
//! A straight line that meets its budget at the end is at B · s², so that it is below its allowance under every schedule.
//! A random walk is at it all along where the rate is constant. Where the rate falls it spends early, and comes to 3/2 of
//! its allowance under a line and to 4/3 under a cosine, by t/N to 3 and 8/3 of it. But for that, nobody is slowed who will
//! meet the budget, and who is above will overspend either way.

use super::clock::Clock;
use crate::quantity::Finite;

/// So many halvings at most: together they are the least part of an update that is worth committing, `LEAST_SCALE`.
const MOST_HALVINGS: u32 = 6;

/// Below this share of the allowance a halving is given back.
///
/// At half the rate, a whole run comes to a quarter of the KL, by either law; and since what was spent before stays spent,
/// a halving takes a run that is over its allowance no lower than to this share of it. Were the share larger, a run that was
/// a hair over would be given its rate back because of the halving, and be over again. Where it is this one, a reading
/// below says that the rate before would have been inside as well.
const GIVE_BACK: f64 = 0.25;

/// What a reading did to the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is halved from here on.
    Slower,
    /// One halving is given back.
    Faster,
    /// It stays.
    Same,
}

/// The pace of one limit. It breaches nothing, counts no use, and no rollback restores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    halvings: u32,
    /// The update of the last change, or where the run began or began anew after it.
    since: u64,
    every: u64,
}

impl Pace {
    /// A run at full rate. `every` is the number of updates between two evaluations of the probe: a change comes no sooner
    /// than that after the start and after another change, so that it can show its effect.
    pub fn new(every: u64) -> Self {
        Pace {
            halvings: 0,
            since: 0,
            every: every.max(1),
        }
    }

    /// The learning rate is × 0.5 to this power, besides what ladders took; at most 6.
    pub fn halvings(&self) -> u32 {
        self.halvings
    }

    /// A reading of the state that the run stands at after `update` updates, in the measure of `bound`.
    pub fn tell(&mut self, reading: Finite, bound: Finite, update: u64, clock: &Clock) -> Change {
        // A rollback to before the last change: its interval begins anew.
        self.since = self.since.min(update);
        if update - self.since < self.every {
            return Change::Same;
        }
        // While the schedule has not begun, what is read is rounding.
        if clock.share(update) <= 0.0 {
            return Change::Same;
        }
        let allowance = allowance(bound, update, clock).get();
        let change = if reading.get() > allowance && self.halvings < MOST_HALVINGS {
            self.halvings += 1;
            Change::Slower
        } else if reading.get() < GIVE_BACK * allowance && self.halvings > 0 {
            self.halvings -= 1;
            Change::Faster
        } else {
            return Change::Same;
        };
        self.since = update;
        change
    }
}

/// What may be spent of a budget by update `update`: the bound times the share of the run that is over, and the whole of
/// it from the last update on.
pub fn allowance(bound: Finite, update: u64, clock: &Clock) -> Finite {
    Finite::new(bound.get() * clock.share(update)).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::search::LEAST_SCALE;
    use super::*;
    use crate::quantity::{Course, Shape};

    fn finite(value: f64) -> Finite {
        Finite::new(value).unwrap()
    }

    #[derive(Debug, Clone, Copy)]
    enum Law {
        /// √KL = c · Σ rate
        Ballistic,
        /// KL = c · Σ rate²
        Diffusive,
    }

    /// A run that would spend `over` times its budget of 1 at a constant rate.
    struct Run {
        law: Law,
        over: f64,
        /// A reading is off by at most this share of it.
        noise: f64,
    }

    const UPDATES: u64 = 1000;
    const EVERY: u64 = 10;

    struct Ran {
        spent: f64,
        changes: Vec<(u64, Change)>,
    }

    fn ran(run: &Run, mut pace: Option<Pace>) -> Ran {
        let (mut rates, mut squares) = (0.0, 0.0);
        let n = UPDATES as f64;
        let mut ran = Ran {
            spent: 0.0,
            changes: Vec::new(),
        };
        for update in 1..=UPDATES {
            let rate = 0.5_f64.powi(pace.as_ref().map_or(0, |pace| pace.halvings() as i32));
            rates += rate / n;
            squares += rate * rate / n;
            ran.spent = run.over
                * match run.law {
                    Law::Ballistic => rates * rates,
                    Law::Diffusive => squares,
                };
            if let Some(pace) = pace.as_mut().filter(|_| update.is_multiple_of(EVERY)) {
                // Anywhere between −1 and 1, and not in any order.
                let off = (update * 7919 % 1009) as f64 / 504.0 - 1.0;
                let reading = finite(ran.spent * (1.0 + run.noise * off));
                match pace.tell(reading, Finite::ONE, update, &Clock::Updates(UPDATES)) {
                    Change::Same => {}
                    change => ran.changes.push((update, change)),
                }
            }
        }
        ran
    }

    fn paced(run: &Run) -> Ran {
        ran(run, Some(Pace::new(EVERY)))
    }

    fn law() -> impl Strategy<Value = Law> {
        prop_oneof![Just(Law::Ballistic), Just(Law::Diffusive)]
    }

    #[test]
    fn the_halvings_end_at_the_least_scale() {
        assert_eq!(MOST_HALVINGS, 6);
        assert_eq!(0.5_f64.powi(MOST_HALVINGS as i32), LEAST_SCALE);
        let mut pace = Pace::new(1);
        for update in 1..=100 {
            let change = pace.tell(Finite::ONE, finite(1e-9), update, &Clock::Updates(100));
            assert_eq!(change == Change::Slower, update <= 6, "{update}");
        }
        assert_eq!(pace.halvings(), 6);
        // And full rate is the most that is ever given back.
        for update in 101..=200 {
            let change = pace.tell(Finite::ZERO, Finite::ONE, update, &Clock::Updates(200));
            assert_eq!(change == Change::Faster, update <= 106, "{update}");
        }
        assert_eq!(pace.halvings(), 0);
    }

    #[test]
    fn the_allowance_is_the_budget_by_time() {
        let (bound, clock) = (finite(0.05), Clock::Updates(1200));
        assert_eq!(allowance(bound, 0, &clock), Finite::ZERO);
        assert_eq!(allowance(bound, 300, &clock), finite(0.0125));
        for (update, of) in [(1200, 1200), (1300, 1200), (0, 0), (1, 0)] {
            assert_eq!(allowance(bound, update, &Clock::Updates(of)), bound, "{update} of {of}");
        }
        // Its root is the distance of a random walk: half of it after a quarter of the run.
        assert_eq!(allowance(bound, 300, &clock).get().sqrt(), 0.5 * bound.get().sqrt());
    }

    #[test]
    fn the_edges_of_the_band_belong_to_it() {
        let mut pace = Pace::new(10);
        let mut tell = |reading: f64, update| {
            let change = pace.tell(finite(reading), finite(8.0), update, &Clock::Updates(800));
            (change, pace.halvings())
        };
        assert_eq!(tell(1.0, 100), (Change::Same, 0));
        assert_eq!(tell(1.1 + f64::EPSILON, 110), (Change::Slower, 1));
        assert_eq!(tell(0.3, 120), (Change::Same, 1));
        assert_eq!(tell(0.29, 120), (Change::Faster, 0));
        assert_eq!(tell(0.0, 130), (Change::Same, 0));
    }

    #[test]
    fn one_change_in_an_interval_and_none_before_the_first() {
        let run = Clock::Updates(1000);
        let mut pace = Pace::new(10);
        let mut changed = Vec::new();
        for update in 1..=45 {
            if pace.tell(Finite::ONE, finite(0.01), update, &run) == Change::Slower {
                changed.push(update);
            }
        }
        assert_eq!(changed, [10, 20, 30, 40]);
        // The run goes back to 32: its interval begins there, and the halvings stay.
        assert_eq!(pace.tell(Finite::ONE, finite(0.01), 33, &run), Change::Same);
        assert_eq!(pace.halvings(), 4);
        assert_eq!(pace.tell(Finite::ONE, finite(0.01), 42, &run), Change::Same);
        assert_eq!(pace.tell(Finite::ONE, finite(0.01), 43, &run), Change::Slower);
    }

    /// What a run has spent of a budget that it just meets, after `update` updates of a schedule at full rate.
    fn spent(law: Law, course: &Course, update: u64) -> f64 {
        let sum = |until: u64| match law {
            Law::Ballistic => course.dose_until(until),
            Law::Diffusive => (0..until).map(|step| course.multiplier(step).powi(2)).sum(),
        };
        let share = sum(update) / sum(course.updates());
        match law {
            Law::Ballistic => share * share,
            Law::Diffusive => share,
        }
    }

    #[test]
    fn the_dose_is_the_better_clock_where_the_rate_falls() {
        // The worst of what is spent over what is allowed, by the dose and by updates.
        let worst = |law, course: Course| {
            let over = |clock: Clock| {
                let ratio = |update| spent(law, &course, update) / allowance(Finite::ONE, update, &clock).get();
                (10..=UPDATES).step_by(10).map(ratio).fold(0.0, f64::max)
            };
            (over(Clock::Dose(course)), over(Clock::Updates(UPDATES)))
        };
        let near = |(dose, updates): (f64, f64), expected: (f64, f64)| {
            let is_near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.02;
            assert!(
                is_near(dose, expected.0) && is_near(updates, expected.1),
                "{dose} {updates} {expected:?}"
            );
        };
        let course = |shape| Course::new(shape, UPDATES, 0);
        // Nearly at the start, a random walk; in the middle, a straight line: s(2 − s)² at s = 2/3.
        near(worst(Law::Diffusive, course(Shape::Linear)), (1.5, 3.0));
        near(worst(Law::Diffusive, course(Shape::Cosine)), (4.0 / 3.0, 8.0 / 3.0));
        near(worst(Law::Ballistic, course(Shape::Linear)), (1.0, 32.0 / 27.0));
        near(worst(Law::Ballistic, course(Shape::Cosine)), (1.0, 1.36));
        for law in [Law::Ballistic, Law::Diffusive] {
            let (dose, updates) = worst(law, course(Shape::Constant));
            assert_eq!(dose, updates, "{law:?}");
        }
    }

    #[test]
    fn a_straight_line_that_meets_its_budget_is_never_slowed_by_any_schedule() {
        for shape in [Shape::Constant, Shape::Linear, Shape::Cosine] {
            for warmup in [0, 1, 50, 400, 1200] {
                let course = Course::new(shape, UPDATES, warmup);
                let mut pace = Pace::new(EVERY);
                for update in (EVERY..=UPDATES).step_by(EVERY as usize) {
                    let reading = finite(spent(Law::Ballistic, &course, update) * 0.999_999);
                    let change = pace.tell(reading, Finite::ONE, update, &Clock::Dose(course));
                    assert_eq!(change, Change::Same, "{shape:?} {warmup} {update}");
                }
            }
        }
    }

    #[test]
    fn before_the_schedule_begins_nothing_is_slowed() {
        let clock = Clock::Dose(Course::new(Shape::Linear, 100, 10));
        let mut pace = Pace::new(1);
        assert_eq!(pace.tell(finite(1e-12), Finite::ONE, 1, &clock), Change::Same);
        assert_eq!(pace.tell(finite(1e-2), Finite::ONE, 2, &clock), Change::Slower);
    }

    #[test]
    fn who_would_overspend_ends_inside() {
        for law in [Law::Ballistic, Law::Diffusive] {
            for over in [1.2, 1.5, 2.0, 4.0, 9.0, 20.0] {
                let run = Run { law, over, noise: 0.0 };
                let alone = ran(&run, None);
                assert!((alone.spent - over).abs() < 1e-9 * over, "{law:?} {over}");
                let held = paced(&run);
                assert!(held.spent <= 1.0, "{law:?} {over}: {}", held.spent);
                // And not by standing still.
                assert!(held.spent > 0.2, "{law:?} {over}: {}", held.spent);
            }
        }
    }

    #[test]
    fn who_meets_the_budget_is_never_slowed() {
        for law in [Law::Ballistic, Law::Diffusive] {
            let run = Run {
                law,
                over: 0.999_999,
                noise: 0.0,
            };
            assert_eq!(paced(&run).changes, []);
        }
    }

    #[test]
    fn a_steady_run_is_not_flapped() {
        for law in [Law::Ballistic, Law::Diffusive] {
            for over in [1.01, 1.5, 2.0, 3.0, 3.9, 4.0, 4.1, 6.0, 8.0] {
                for noise in [0.0, 0.05, 0.2] {
                    let changes = paced(&Run { law, over, noise }).changes;
                    let turns = changes.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
                    assert!(turns <= 2, "{law:?} {over} {noise}: {changes:?}");
                    // Who is far over goes down several halvings and comes back some; who is near makes a few changes.
                    let is_near = over <= 2.0 && noise < 0.1;
                    assert!(!is_near || changes.len() <= 3, "{law:?} {over} {noise}: {changes:?}");
                }
            }
        }
    }

    proptest! {
        /// With a hundred evaluations. What is over by less than one of them is seen too late; the limit itself is there.
        #[test]
        fn a_run_up_to_twenty_times_over_ends_at_its_budget(law in law(), over in 1.0..20.0_f64) {
            let run = Run { law, over, noise: 0.0 };
            let spent = paced(&run).spent;
            prop_assert!(spent <= 1.03, "{}", spent);
        }

        /// What is spent only grows in a run without rollbacks. Then it takes four times the updates to fall from over the
        /// allowance to a quarter of it, so that turns become rare.
        #[test]
        fn a_turn_takes_four_times_the_updates(steps in prop::collection::vec(0.0..0.02_f64, 1..200), every in 1..20_u64) {
            let run = Clock::Updates(steps.len() as u64);
            let mut pace = Pace::new(every);
            let (mut spent, mut slower) = (0.0, None);
            for (step, update) in steps.iter().zip(1..) {
                spent += step;
                match pace.tell(finite(spent), Finite::ONE, update, &run) {
                    Change::Slower => slower = Some(update),
                    Change::Faster => prop_assert!(slower.is_some_and(|slower| update >= 4 * slower)),
                    Change::Same => {}
                }
            }
        }

        #[test]
        fn changes_are_an_interval_apart_and_halvings_are_their_sum(
            readings in prop::collection::vec(0.0..2.0_f64, 1..200),
            every in 0..30_u64,
        ) {
            let run = Clock::Updates(readings.len() as u64);
            let mut pace = Pace::new(every);
            let mut last = 0;
            for (reading, update) in readings.into_iter().zip(1..) {
                let before = pace.halvings();
                let change = pace.tell(finite(reading), Finite::ONE, update, &run);
                let after = match change {
                    Change::Slower => before + 1,
                    Change::Faster => before - 1,
                    Change::Same => before,
                };
                prop_assert_eq!(pace.halvings(), after);
                prop_assert!(after <= 6);
                if change != Change::Same {
                    prop_assert!(update >= last + every);
                    last = update;
                }
            }
        }

        /// Read at its cadence, a run that has spent more, or has the tighter budget, is never the faster one.
        #[test]
        fn who_has_spent_more_is_never_faster(
            readings in prop::collection::vec((0.0..2.0_f64, 0.0..1.0_f64), 1..100),
            bounds in (0.1..2.0_f64, 0.0..1.0_f64),
        ) {
            let run = Clock::Updates(readings.len() as u64);
            let (mut more, mut less) = (Pace::new(1), Pace::new(1));
            let (tight, wide) = (finite(bounds.0), finite(bounds.0 + bounds.1));
            for ((reading, extra), update) in readings.into_iter().zip(1..) {
                more.tell(finite(reading + extra), tight, update, &run);
                less.tell(finite(reading), wide, update, &run);
                prop_assert!(more.halvings() >= less.halvings());
            }
        }
    }
}
