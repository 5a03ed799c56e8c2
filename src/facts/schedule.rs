//! Learning-rate schedules, as transformers runs them.
//!
//! Update t of N uses the multiplier of step t: 0 in the first update of a warmup, and never quite the floor in the last.

use super::recipe::{Recipe, Scheduler};
use super::{Facts, Input, Words};
use crate::quantity::{Category, Finite, Interval};

/// The part of a schedule after the warmup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Constant,
    Linear,
    Cosine,
}

/// How long the warmup is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Warmup {
    None,
    Steps(Interval),
    /// A share of all updates, rounded up.
    Share(Interval),
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
                facts.framework
            ));
        }
        let warmup = match (warms, steps, facts.values(Input::WarmupRatio)) {
            (false, _, _) | (true, None, None) => Warmup::None,
            (true, Some(steps), _) => Warmup::Steps(steps),
            (true, None, Some(share)) => Warmup::Share(share),
        };
        Ok(Schedule { shape, warmup })
    }

    /// The rate of the last of `updates`.
    pub(super) fn last(&self, peak: Interval, updates: Interval) -> Option<Interval> {
        self.each(peak, updates, |updates, warmup| {
            self.multiplier(updates - 1.0, updates, warmup)
        })
        // Between the corners it is somewhere from nothing to the peak; the solver narrows it where that matters.
        .or_else(|| Interval::new(0.0, Finite::decimal(peak.hi())))
    }

    /// The sum of the rate over all `updates`.
    pub(super) fn area(&self, peak: Interval, updates: Interval) -> Option<Interval> {
        self.each(peak, updates, |updates, warmup| self.sum(updates, warmup))
            .or_else(|| {
                // A warmup and a decay each average a half, a plateau one; the rounding of the warmup is worth one update.
                // A run may end inside a warmup of fixed length, with next to nothing.
                let least = match (self.shape, self.warmup) {
                    (_, Warmup::Steps(_)) => 0.0,
                    (Shape::Constant, Warmup::None) => updates.lo(),
                    _ => (updates.lo() / 2.0 - 1.0).max(0.0),
                };
                let most = match self.shape {
                    Shape::Constant => updates.hi(),
                    _ => updates.hi() / 2.0 + 1.0,
                };
                Interval::new(Finite::decimal(peak.lo() * least), Finite::decimal(peak.hi() * most))
            })
    }

    /// `f` at one count of updates and one length of warmup, times the peak; `None` where either is a range.
    fn each(&self, peak: Interval, updates: Interval, f: impl Fn(f64, f64) -> f64) -> Option<Interval> {
        let warmup = match self.warmup {
            Warmup::None => 0.0,
            Warmup::Steps(steps) if steps.is_point() => steps.lo(),
            Warmup::Share(share) if share.is_point() => warmup_updates(share.lo(), updates.lo()),
            _ => return None,
        };
        if !updates.is_point() {
            return None;
        }
        if updates.lo() < 1.0 {
            // No update, no rate.
            return Interval::new(0.0, 0.0);
        }
        let factor = f(updates.lo(), warmup);
        peak.map_rising(|peak| Finite::decimal(peak * factor))
    }

    fn multiplier(&self, step: f64, updates: f64, warmup: f64) -> f64 {
        if step < warmup {
            return step / warmup.max(1.0);
        }
        let progress = (step - warmup) / (updates - warmup).max(1.0);
        match self.shape {
            Shape::Constant => 1.0,
            Shape::Linear => (1.0 - progress).max(0.0),
            Shape::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
        }
    }

    /// The sum of the multipliers in closed form, so that a million updates cost what one does.
    fn sum(&self, updates: f64, warmup: f64) -> f64 {
        if warmup >= updates {
            // The run ends inside the warmup: 0 + 1 + ... + (N - 1) over the warmup.
            return updates * (updates - 1.0) / 2.0 / warmup.max(1.0);
        }
        // 0 + 1 + ... + (w - 1) over w.
        let rising = (warmup - 1.0).max(0.0) / 2.0;
        let rest = updates - warmup;
        rising
            + match self.shape {
                Shape::Constant => rest,
                // 1 - k/n for k = 0 .. n-1, and the same for the cosine: its deviations from the line cancel in pairs.
                Shape::Linear | Shape::Cosine => (rest + 1.0) / 2.0,
            }
    }
}

/// Updates of a warmup that is `share` of all `updates`: rounded up.
pub fn warmup_updates(share: f64, updates: f64) -> f64 {
    (share * updates).ceil()
}

/// The learning rate of one run, update by update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    schedule: Schedule,
    updates: f64,
    warmup: f64,
}

impl Course {
    /// The course of a run of `updates` updates in all.
    pub fn of(recipe: &Recipe, updates: u64) -> Course {
        let (shape, warms) = match recipe.scheduler.value {
            Scheduler::Linear => (Shape::Linear, true),
            Scheduler::Cosine => (Shape::Cosine, true),
            Scheduler::Constant => (Shape::Constant, false),
            Scheduler::ConstantWithWarmup => (Shape::Constant, true),
        };
        let updates = updates as f64;
        let warmup = match (warms, recipe.warmup_steps.value) {
            (false, _) => 0.0,
            (true, 0) => warmup_updates(recipe.warmup_ratio.value.get(), updates),
            (true, steps) => steps as f64,
        };
        let schedule = Schedule {
            shape,
            warmup: Warmup::None,
        };
        Course {
            schedule,
            updates,
            warmup,
        }
    }

    /// What the peak is multiplied with in update `update`, counted from 0; between 0 and 1.
    pub fn multiplier(&self, update: u64) -> f64 {
        self.schedule.multiplier(update as f64, self.updates, self.warmup)
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, Shape, Warmup};
    use crate::quantity::{Finite, Interval};

    fn point(value: f64) -> Interval {
        Interval::point(Finite::new(value).unwrap())
    }

    #[test]
    fn the_dose_is_the_sum_over_all_updates() {
        for shape in [Shape::Constant, Shape::Linear, Shape::Cosine] {
            for updates in [1, 2, 3, 10, 375, 1000] {
                for warmup in [0, 1, 2, 38, 400] {
                    let schedule = Schedule {
                        shape,
                        warmup: Warmup::Steps(point(f64::from(warmup))),
                    };
                    let (n, w) = (f64::from(updates), f64::from(warmup));
                    let summed: f64 = (0..updates).map(|t| schedule.multiplier(f64::from(t), n, w)).sum();
                    let closed = schedule.sum(n, w);
                    assert!(
                        (summed - closed).abs() < 1e-9 * n.max(1.0),
                        "{shape:?} {updates} {warmup}: {summed} {closed}"
                    );
                }
            }
        }
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
    fn a_course_has_a_rate_for_every_update() {
        let course = |shape, warmup| super::Course {
            schedule: Schedule {
                shape,
                warmup: Warmup::None,
            },
            updates: 10.0,
            warmup,
        };
        let linear = course(Shape::Linear, super::warmup_updates(0.15, 10.0));
        let rates: Vec<f64> = (0..10).map(|update| linear.multiplier(update)).collect();
        assert_eq!(rates, [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        assert_eq!(course(Shape::Cosine, 0.0).multiplier(5), 0.5);
        assert_eq!(course(Shape::Constant, 0.0).multiplier(9), 1.0);
    }
}
