//! Learning-rate schedules, as sets of what is known of them.
//!
//! One schedule, and its sums, is a [`Course`].

use super::recipe::{Recipe, Scheduler};
use super::{Facts, Input, Words};
use crate::quantity::{Category, Course, Finite, Interval, Shape};

/// How long the warmup is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Warmup {
    None,
    Steps(Interval),
    /// A share of all updates, rounded up.
    Share(Interval),
}

/// Who walks a schedule by formulas of their own.
fn walker(facts: &Facts) -> &str {
    match facts
        .word(Category::Scheduler)
        .and_then(|fact| fact.key.name.as_deref())
    {
        Some("scheduler.type") => "DeepSpeed",
        _ => facts.framework,
    }
}

/// A schedule with a peak of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    shape: Shape,
    warmup: Warmup,
}

impl Schedule {
    /// The schedule of a run; `Err` says why it cannot be computed.
    pub(super) fn of(facts: &Facts) -> Result<Schedule, String> {
        let name = match facts.word(Category::Scheduler).map(|fact| &fact.words) {
            Some(Words::One(name)) => name.as_str(),
            _ => return Err("the scheduler is not known".into()),
        };
        let (shape, warms) = match name {
            "constant" => (Shape::Constant, false),
            "constant_with_warmup" => (Shape::Constant, true),
            "linear" => (Shape::Linear, true),
            "cosine" => (Shape::Cosine, true),
            other => {
                return Err(format!(
                    "this version of ftrisk does not compute the schedule `{other}`"
                ));
            }
        };
        if shape != Shape::Constant
            && facts
                .values(Input::MinLearningRate)
                .is_some_and(|floor| floor.hi() > 0.0)
        {
            return Err("this version of ftrisk does not compute a schedule that ends at a floor".into());
        }
        let steps = facts.values(Input::WarmupSteps).filter(|steps| steps.hi() > 0.0);
        if facts.own_schedule {
            return Err(format!(
                "this version of ftrisk does not compute the schedule `{name}` as {} walks it",
                walker(facts)
            ));
        }
        let warmup = match (warms, steps, facts.values(Input::WarmupRatio)) {
            (false, _, _) | (true, None, None) => Warmup::None,
            // No steps would mean the share, which may be anything up to the whole run.
            (true, Some(steps), Some(share)) if steps.lo() <= 0.0 && share.hi() > 0.0 => {
                Warmup::Steps(Input::WarmupSteps.domain().interval)
            }
            (true, Some(steps), _) => Warmup::Steps(steps),
            (true, None, Some(share)) => Warmup::Share(share),
        };
        Ok(Schedule { shape, warmup })
    }

    /// The rate of the last of `updates`.
    pub(super) fn last(&self, peak: Interval, updates: Interval) -> Option<Interval> {
        // It rises with the updates through the warmup, to the whole peak in the update after it, and never again.
        let [least, most] = self
            .ends(updates)
            .map(|course| (course.last(), course.is_past_warmup()));
        let low = if updates.lo() < 1.0 { 0.0 } else { least.0.min(most.0) };
        let high = match (least.1, most.1) {
            (false, true) => 1.0,
            _ => least.0.max(most.0),
        };
        scaled(peak, low, high.max(low))
    }

    /// The sum of the rate over all `updates`.
    pub(super) fn area(&self, peak: Interval, updates: Interval) -> Option<Interval> {
        // It never falls with the updates: each adds at least half a rate, also where it makes the warmup one longer.
        let [least, most] = self.ends(updates);
        scaled(peak, least.dose(), most.dose())
    }

    /// The course of the fewest updates with the longest warmup, and that of the most with the shortest.
    pub(super) fn ends(&self, updates: Interval) -> [Course; 2] {
        let (fewest, most) = (updates.lo(), updates.hi());
        let (longest, shortest) = match self.warmup {
            Warmup::None => (0.0, 0.0),
            Warmup::Steps(steps) => (steps.hi(), steps.lo()),
            Warmup::Share(share) => (warmup_updates(share.hi(), fewest), warmup_updates(share.lo(), most)),
        };
        [(fewest, longest), (most, shortest)].map(|(updates, warmup)| Course::over(self.shape, updates, warmup))
    }

    /// Whether the warmup is one share of the updates, whatever their number.
    pub(super) fn has_one_share(&self) -> bool {
        matches!(self.warmup, Warmup::Share(share) if share.is_point())
    }

    /// The one course that it can be; `None` where the count of updates or the length of the warmup is a range.
    pub(super) fn course(&self, updates: Interval) -> Option<Course> {
        let warmup = match self.warmup {
            Warmup::None => 0.0,
            Warmup::Steps(steps) if steps.is_point() => steps.lo(),
            Warmup::Share(share) if share.is_point() => warmup_updates(share.lo(), updates.lo()),
            _ => return None,
        };
        updates
            .is_point()
            .then(|| Course::over(self.shape, updates.lo(), warmup))
    }
}

/// A peak times a factor between two.
pub(super) fn scaled(peak: Interval, least: f64, most: f64) -> Option<Interval> {
    Interval::new(Finite::decimal(peak.lo() * least), Finite::decimal(peak.hi() * most))
}

/// Updates of a warmup that is `share` of all `updates`: rounded up.
pub fn warmup_updates(share: f64, updates: f64) -> f64 {
    (share * updates).ceil()
}

impl Recipe {
    /// The course of the learning rate over a run of `updates` updates in all.
    pub fn course(&self, updates: u64) -> Course {
        let (shape, warms) = match self.scheduler.value {
            Scheduler::Linear => (Shape::Linear, true),
            Scheduler::Cosine => (Shape::Cosine, true),
            Scheduler::Constant => (Shape::Constant, false),
            Scheduler::ConstantWithWarmup => (Shape::Constant, true),
        };
        let updates = updates as f64;
        let warmup = match (warms, self.warmup_steps.value) {
            (false, _) => 0.0,
            (true, 0) => warmup_updates(self.warmup_ratio.value.get(), updates),
            (true, steps) => steps as f64,
        };
        Course::over(shape, updates, warmup)
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, Warmup};
    use crate::quantity::{Course, Finite, Interval, Shape};

    fn point(value: f64) -> Interval {
        Interval::point(Finite::new(value).unwrap())
    }

    #[test]
    fn a_range_of_updates_encloses_each_of_them() {
        let schedule = Schedule {
            shape: Shape::Cosine,
            warmup: Warmup::Share(point(0.1)),
        };
        let range = schedule.area(point(1e-4), Interval::new(5.0, 60.0).unwrap()).unwrap();
        for updates in 5..=60 {
            let one = schedule.area(point(1e-4), point(f64::from(updates))).unwrap();
            assert!(range.contains(one), "{updates}: {one:?} not in {range:?}");
        }
    }

    #[test]
    fn the_last_update_of_a_cosine_is_near_zero() {
        let schedule = Schedule {
            shape: Shape::Cosine,
            warmup: Warmup::None,
        };
        let last = schedule.last(point(1.0), point(100.0)).unwrap();
        assert!((last.lo() - 0.000_246_719_817_134_215_4).abs() < 1e-12, "{last:?}");
    }

    #[test]
    fn a_course_is_known_where_each_of_its_numbers_is() {
        let schedule = |warmup| Schedule {
            shape: Shape::Cosine,
            warmup,
        };
        let range = Interval::new(5.0, 60.0).unwrap();
        // The warmup is rounded up.
        for (warmup, updates) in [
            (Warmup::Share(point(0.15)), 2),
            (Warmup::Steps(point(7.0)), 7),
            (Warmup::None, 0),
        ] {
            let course = schedule(warmup).course(point(10.0));
            assert_eq!(course, Some(Course::new(Shape::Cosine, 10, updates)), "{warmup:?}");
            assert_eq!(schedule(warmup).course(range), None);
        }
        assert_eq!(schedule(Warmup::Steps(range)).course(point(10.0)), None);
    }
}
