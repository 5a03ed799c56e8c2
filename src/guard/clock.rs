//! The clock of a run: how much of it an update is, for budgets that are spread over it and for forecasts.

use std::fmt;

use crate::quantity::Course;

/// What the time of a run is counted in. It is the run as planned: no halving, skip or rollback changes it.
///
/// Were it the dose that was really given, a halving would slow the allowance as well as the run. Who was slowed would be
/// measured against less and less, and could be slowed again for having been slowed; and the clock would never come to its
/// end, so that a part of the budget could not be spent at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clock {
    /// Updates, so many in the whole run; 0 where nobody said.
    Updates(u64),
    /// The dose: the sum of the learning rate up to an update, by a schedule.
    Dose(Course),
}

impl Clock {
    /// The last update of the run; 0 where nobody said.
    pub fn updates(&self) -> u64 {
        match self {
            Clock::Updates(updates) => *updates,
            Clock::Dose(course) => course.updates(),
        }
    }

    /// The share of the run that is over after `update` updates, 0 to 1. 1 from the last on, and where the run has no
    /// length: then nothing is spread.
    pub fn share(&self, update: u64) -> f64 {
        if update >= self.updates() {
            return 1.0;
        }
        let share = match self {
            Clock::Updates(updates) => update as f64 / *updates as f64,
            Clock::Dose(course) => course.dose_until(update) / course.dose(),
        };
        // A schedule that ends before its first step above nothing has no dose to share.
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 }
    }

    /// The time after `update` updates, in the clock's own measure: updates, or doses at a peak of one.
    pub(super) fn time(&self, update: u64) -> f64 {
        match self {
            Clock::Updates(_) => update as f64,
            Clock::Dose(course) => course.dose_until(update),
        }
    }

    /// The update after which the time is nearest to `time`. `None` where there is none: beyond the last dose of a
    /// schedule, and beyond what numbers an update. Updates are counted on beyond the last.
    pub(super) fn update_at(&self, time: f64) -> Option<u64> {
        let course = match self {
            // 2^64 as f64: below it the cast is exact to the rounding. Not a number is never below.
            Clock::Updates(_) => return (time.round() < u64::MAX as f64).then_some(time.round() as u64),
            Clock::Dose(course) => course,
        };
        if time.is_nan() || time > course.dose() {
            return None;
        }
        let (mut below, mut from) = (0, course.updates());
        // The first update from which on the dose is there; before `below` it is not.
        while below < from {
            let middle = below + (from - below) / 2;
            if course.dose_until(middle) < time {
                below = middle + 1;
            } else {
                from = middle;
            }
        }
        let before = from.saturating_sub(1);
        let is_nearer = time - course.dose_until(before) < course.dose_until(from) - time;
        Some(if is_nearer { before } else { from })
    }
}

/// What is counted, for people.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clock::Updates(0) => f.write_str("nothing, because the run has no known length"),
            Clock::Updates(updates) => write!(f, "{updates} updates"),
            Clock::Dose(course) => {
                write!(
                    f,
                    "the dose of a {} schedule of {} updates",
                    course.shape().name(),
                    course.updates()
                )?;
                match course.warmup() {
                    0 => Ok(()),
                    warmup => write!(f, ", {warmup} of them warmup"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantity::Shape;

    fn clock() -> impl Strategy<Value = Clock> {
        let shape = prop_oneof![Just(Shape::Constant), Just(Shape::Linear), Just(Shape::Cosine)];
        let dose = (shape, 0..2000_u64, 0..300_u64);
        prop_oneof![
            (0..2000_u64).prop_map(Clock::Updates),
            dose.prop_map(|(shape, updates, warmup)| Clock::Dose(Course::new(shape, updates, warmup))),
        ]
    }

    #[test]
    fn shares_of_known_runs() {
        assert_eq!(Clock::Updates(1200).share(300), 0.25);
        // 10 + 9 + 8 of 55 tenths.
        let linear = Clock::Dose(Course::new(Shape::Linear, 10, 0));
        assert!((linear.share(3) - 27.0 / 55.0).abs() < 1e-15);
        // At a constant rate, the two clocks are the same.
        assert_eq!(Clock::Dose(Course::new(Shape::Constant, 1200, 0)).share(300), 0.25);
        // The first update of a warmup has no rate.
        assert_eq!(Clock::Dose(Course::new(Shape::Cosine, 10, 2)).share(1), 0.0);
        for clock in [
            Clock::Updates(0),
            Clock::Dose(Course::new(Shape::Cosine, 0, 0)),
            Clock::Dose(Course::new(Shape::Cosine, 1, 4)),
        ] {
            assert_eq!((clock.share(1), clock.share(7)), (1.0, 1.0), "{clock:?}");
        }
    }

    #[test]
    fn a_clock_says_what_it_counts() {
        for (clock, said) in [
            (Clock::Updates(0), "nothing, because the run has no known length"),
            (Clock::Updates(1200), "1200 updates"),
            (
                Clock::Dose(Course::new(Shape::Cosine, 1200, 120)),
                "the dose of a cosine schedule of 1200 updates, 120 of them warmup",
            ),
            (
                Clock::Dose(Course::new(Shape::Constant, 40, 0)),
                "the dose of a constant schedule of 40 updates",
            ),
        ] {
            assert_eq!(clock.to_string(), said);
        }
    }

    proptest! {
        #[test]
        fn a_clock_goes_from_nothing_to_the_whole(clock in clock(), update in 0..2500_u64) {
            let share = clock.share(update);
            prop_assert!((0.0..=1.0).contains(&share));
            prop_assert!(clock.share(update + 1) >= share - 1e-12);
            prop_assert!(update < clock.updates() || share == 1.0);
        }

        /// Where the time stands still, at the start of a warmup, any update of the same time will do.
        #[test]
        fn a_time_leads_back_to_its_update(clock in clock(), update in 0..2000_u64) {
            let time = clock.time(update);
            let back = clock.update_at(time).unwrap();
            prop_assert!((clock.time(back) - time).abs() <= 1e-9 * time.max(1.0), "{} for {}", back, update);
            let before = clock.update_at(0.9 * time).unwrap();
            prop_assert!(before <= back);
        }
    }

    #[test]
    fn beyond_the_last_dose_there_is_no_time() {
        let clock = Clock::Dose(Course::new(Shape::Linear, 10, 0));
        assert_eq!(clock.update_at(5.5), Some(10));
        assert_eq!(clock.update_at(5.6), None);
        assert_eq!(clock.update_at(f64::NAN), None);
        assert_eq!(Clock::Updates(10).update_at(99.4), Some(99));
        assert_eq!(Clock::Updates(10).update_at(f64::NAN), None);
        assert_eq!(Clock::Updates(10).update_at(1e300), None);
    }
}
