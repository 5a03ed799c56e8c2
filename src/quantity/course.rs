//! The course of a learning rate over a run, as transformers runs it, and its dose in closed form.
//!
//! Update t of N uses the multiplier of step t − 1: 0 in the first update of a warmup, and never quite the floor in the
//! last.

use std::f64::consts::PI;

/// How the rate goes on after the warmup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It stays at the peak.
    Constant,
    /// It falls to nothing on a line.
    Linear,
    /// It falls to nothing on half a cosine.
    Cosine,
}

impl Shape {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Constant => "constant",
            Shape::Linear => "linear",
            Shape::Cosine => "cosine",
        }
    }
}

/// The learning rate of one run, update by update, with a peak of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    shape: Shape,
    updates: f64,
    warmup: f64,
}

impl Course {
    /// The course over `updates` updates, of which the first `warmup` rise to the peak.
    pub fn new(shape: Shape, updates: u64, warmup: u64) -> Course {
        Course::over(shape, updates as f64, warmup as f64)
    }

    /// The same for whole numbers that were computed, which may be larger than a `u64`.
    pub(crate) fn over(shape: Shape, updates: f64, warmup: f64) -> Course {
        Course { shape, updates, warmup }
    }

    /// How the rate goes on after the warmup.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Updates of the whole run.
    pub fn updates(&self) -> u64 {
        self.updates as u64
    }

    /// Updates of the warmup; it may be longer than the run.
    pub fn warmup(&self) -> u64 {
        self.warmup as u64
    }

    /// What the peak is multiplied with in step `step`, counted from 0; between 0 and 1.
    pub fn multiplier(&self, step: u64) -> f64 {
        self.at(step as f64)
    }

    /// The multiplier of the last update.
    pub fn last(&self) -> f64 {
        match self.shape {
            // The same as the cosine of the last step, to the last digit also where that is nearly -1.
            Shape::Cosine if self.is_past_warmup() => (PI / 2.0 / (self.updates - self.warmup)).sin().powi(2),
            _ => self.at(self.updates - 1.0),
        }
    }

    /// Whether it has an update after those of the warmup.
    pub(crate) fn is_past_warmup(&self) -> bool {
        self.updates > self.warmup
    }

    /// The sum of the multipliers of all updates: the dose at a peak of one.
    pub fn dose(&self) -> f64 {
        self.first(self.updates)
    }

    /// The sum of the multipliers of the first `updates` updates, in closed form, so that a million of them cost what one
    /// does. Beyond the last update nothing is added.
    pub fn dose_until(&self, updates: u64) -> f64 {
        self.first((updates as f64).min(self.updates))
    }

    fn at(&self, step: f64) -> f64 {
        if step < self.warmup {
            return step / self.warmup.max(1.0);
        }
        let progress = (step - self.warmup) / (self.updates - self.warmup).max(1.0);
        match self.shape {
            Shape::Constant => 1.0,
            Shape::Linear => (1.0 - progress).max(0.0),
            Shape::Cosine => (0.5 * (1.0 + (PI * progress).cos())).max(0.0),
        }
    }

    /// The sum over steps 0 to `steps` − 1, for no more of them than the run has.
    fn first(&self, steps: f64) -> f64 {
        // 0 + 1 + … + (k − 1) over the warmup.
        let rest = steps - self.warmup;
        if rest < 0.0 {
            return steps * (steps - 1.0).max(0.0) / 2.0 / self.warmup;
        }
        // Halves are exact where a product of two counts is not: the dose never falls where the updates rise.
        let rising = (self.warmup - 1.0).max(0.0) / 2.0;
        if rest == 0.0 {
            return rising;
        }
        let all = self.updates - self.warmup;
        rising
            + match self.shape {
                Shape::Constant => rest,
                // 1 − k/n for k = 0 … n − 1, and the same for the cosine: its deviations from the line cancel in pairs.
                Shape::Linear | Shape::Cosine if rest >= all => (all + 1.0) / 2.0,
                Shape::Linear => rest - rest * (rest - 1.0) / (2.0 * all),
                // Σ cos kθ for k = 0 … m − 1 is sin(mθ/2) cos((m − 1)θ/2) / sin(θ/2), by Lagrange's identity.
                Shape::Cosine => {
                    let half = PI / all / 2.0;
                    let cosines = (rest * half).sin() * ((rest - 1.0) * half).cos() / half.sin();
                    (rest + cosines) / 2.0
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape() -> impl Strategy<Value = Shape> {
        prop_oneof![Just(Shape::Constant), Just(Shape::Linear), Just(Shape::Cosine)]
    }

    fn summed(course: &Course, updates: u64) -> f64 {
        (0..updates.min(course.updates()))
            .map(|step| course.multiplier(step))
            .sum()
    }

    #[test]
    fn the_dose_never_falls_with_the_updates_nor_rises_with_the_warmup() {
        for shape in [Shape::Constant, Shape::Linear, Shape::Cosine] {
            for (updates, warmup) in (0..60).flat_map(|n| (0..60).map(move |w| (n, w))) {
                let dose = Course::new(shape, updates, warmup).dose();
                let one_more = Course::new(shape, updates + 1, warmup).dose();
                let longer = Course::new(shape, updates, warmup + 1).dose();
                assert!(one_more >= dose && longer <= dose, "{shape:?} {updates} {warmup}");
                // A share that is rounded up makes the warmup one longer at times.
                let both = Course::new(shape, updates + 1, warmup + 1).dose();
                assert!(
                    warmup == 0 || warmup > updates || both >= dose,
                    "{shape:?} {updates} {warmup}"
                );
            }
        }
    }

    #[test]
    fn every_update_has_a_rate() {
        let linear = Course::new(Shape::Linear, 10, 2);
        let rates: Vec<f64> = (0..10).map(|update| linear.multiplier(update)).collect();
        assert_eq!(rates, [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        assert_eq!(linear.last(), 0.125);
        assert_eq!(Course::new(Shape::Cosine, 10, 0).multiplier(5), 0.5);
        assert_eq!(Course::new(Shape::Constant, 10, 0).multiplier(9), 1.0);
    }

    #[test]
    fn known_doses() {
        for (shape, updates, warmup, until, dose) in [
            (Shape::Constant, 10, 0, 4, 4.0),
            (Shape::Linear, 10, 0, 10, 5.5),
            (Shape::Cosine, 10, 0, 10, 5.5),
            // 1 + (1 + cos 60°)/2.
            (Shape::Cosine, 3, 0, 2, 1.75),
            // 0 + 1/2 + 1 + 3/4.
            (Shape::Linear, 6, 2, 4, 2.25),
            // The run ends within its warmup: (0 + 1 + 2) / 4.
            (Shape::Cosine, 3, 4, 3, 0.75),
            (Shape::Cosine, 1, 1, 1, 0.0),
            (Shape::Linear, 0, 0, 0, 0.0),
            (Shape::Linear, 10, 0, 99, 5.5),
        ] {
            let found = Course::new(shape, updates, warmup).dose_until(until);
            assert!(
                (found - dose).abs() < 1e-12,
                "{shape:?} {updates} {warmup} {until}: {found}"
            );
        }
        // A million updates, of which half have seen the upper half of the cosine: 1/2 + 1/π of the whole.
        let long = Course::new(Shape::Cosine, 1_000_000, 0);
        let share = long.dose_until(500_000) / long.dose();
        assert!((share - (0.5 + 1.0 / PI)).abs() < 1e-6, "{share}");
    }

    proptest! {
        #[test]
        fn the_closed_form_is_the_sum(
            shape in shape(),
            updates in 0..3000_u64,
            warmup in prop_oneof![0..3_u64, 0..4000_u64],
            until in 0..3500_u64,
        ) {
            let course = Course::new(shape, updates, warmup);
            for until in [until, updates, updates.saturating_sub(1), warmup, warmup + 1] {
                let (closed, summed) = (course.dose_until(until), summed(&course, until));
                prop_assert!((closed - summed).abs() <= 1e-9 * summed.max(1.0), "{} {}", closed, summed);
            }
            prop_assert_eq!(course.dose(), course.dose_until(updates));
        }

        /// But for the rounding of a sum, near the end of a fall.
        #[test]
        fn the_dose_never_falls(shape in shape(), updates in 1..100_000_u64, warmup in 0..200_u64, at in 0.0..1.0_f64) {
            let course = Course::new(shape, updates, warmup);
            let update = (at * updates as f64) as u64;
            let (less, more) = (course.dose_until(update), course.dose_until(update + 1));
            prop_assert!(more >= less - 1e-12 * less.max(1.0), "{} {}", less, more);
        }
    }
}
