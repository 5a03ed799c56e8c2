//! How far Adam can move a weight at most, whatever the gradients are.
//!
//! An update divides a mean of past gradients by the root of a mean of their squares, so that their size cancels. By
//! Cauchy-Schwarz, update t moves a weight by no more than its rate times
//!
//! ```text
//! c(t) = (1 − β₁)/(1 − β₁ᵗ) · √( (1 − β₂ᵗ)/(1 − β₂) · Σ i<t (β₁²/β₂)ⁱ )
//! ```
//!
//! which gradients proportional to (β₁/β₂)ⁱ attain. It is 1 in the first update and rises, for the usual decays to 7.27;
//! an epsilon only lowers it. What decoupled weight decay takes of the weight that was there is no part of the bound.

use super::{Facts, Input, Words};
use crate::quantity::{Category, Course};

/// The decays of Adam's two means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decays {
    first: f64,
    second: f64,
}

impl Decays {
    /// Those of a run: none where a range of them is all that is known, and `Err` where its optimizer is none that divides
    /// so, or not known.
    pub(super) fn of(facts: &Facts) -> Result<Option<Decays>, String> {
        let told = facts.word(Category::Optimizer);
        let (Some(Words::One(name)), Some(key)) = (told.map(|told| &told.words), told.map(|told| &told.key)) else {
            return Err("the optimizer is not known".into());
        };
        if !matches!(name.as_str(), "adam" | "adamw" | "paged_adamw") {
            return Err(format!(
                "how far an update moves a weight is proven for Adam with 32-bit moments, not for `{name}`"
            ));
        }
        let of_another_file = key.name.as_deref() == Some("optimizer.type");
        let (Some(first), Some(second), false) =
            (facts.values(Input::Beta1), facts.values(Input::Beta2), of_another_file)
        else {
            let whose = if of_another_file { "DeepSpeed" } else { facts.framework };
            return Err(format!(
                "this version of ftrisk does not read the decays of Adam as {whose} sets them"
            ));
        };
        let known = first.is_point() && second.is_point();
        Ok(known.then(|| Decays {
            first: first.lo(),
            second: second.lo(),
        }))
    }

    /// The most that update `t`, counted from 1, moves a weight at a rate of one. It never falls with `t`.
    pub(super) fn factor(self, t: f64) -> f64 {
        let Decays { first, second } = self;
        let ratio = first * first / second.max(f64::MIN_POSITIVE);
        // 1 + q + … + qᵗ⁻¹
        let powers = if (ratio - 1.0).abs() < 1e-9 {
            t
        } else {
            (1.0 - ratio.powf(t)) / (1.0 - ratio)
        };
        let squares = (1.0 - second.powf(t)) / (1.0 - second) * powers;
        (1.0 - first) / (1.0 - first.powf(t)) * squares.sqrt()
    }

    /// The most that all updates of a course move a weight at a peak of one: their sum, in which neighbours far from the
    /// start share the largest of their factors. At most 2 % above the sum itself.
    pub(super) fn reach(self, course: &Course) -> f64 {
        let (mut done, mut reach) = (0, 0.0);
        let last = self.factor(course.updates() as f64);
        while done < course.updates() {
            // Once the factor has risen to its last value, the rest share it.
            let end = match self.factor((done + 1) as f64) {
                factor if factor == last => course.updates(),
                _ => (done + 1).max(done + done / 25).min(course.updates()),
            };
            reach += (course.dose_until(end) - course.dose_until(done)) * self.factor(end as f64);
            done = end;
        }
        reach
    }
}

#[cfg(test)]
mod tests {
    use super::Decays;
    use crate::quantity::{Course, Shape};

    const USUAL: Decays = Decays {
        first: 0.9,
        second: 0.999,
    };

    /// Adam with bias correction on one weight, as its authors write it: the size of the last update at a rate of one.
    fn adam(decays: Decays, gradients: &[f64]) -> f64 {
        let (mut mean, mut square) = (0.0, 0.0);
        for gradient in gradients {
            mean = decays.first * mean + (1.0 - decays.first) * gradient;
            square = decays.second * square + (1.0 - decays.second) * gradient * gradient;
        }
        let t = gradients.len() as f64;
        let corrected = square / (1.0 - decays.second.powf(t));
        mean / (1.0 - decays.first.powf(t)) / corrected.sqrt()
    }

    #[test]
    fn the_factor_is_attained_and_never_passed() {
        for (first, second) in [(0.9, 0.999), (0.9, 0.99), (0.9, 0.95), (0.95, 0.9), (0.0, 0.99)] {
            let decays = Decays { first, second };
            for t in [1_i32, 2, 10, 200] {
                let factor = decays.factor(f64::from(t));
                // The newest gradient is the last.
                let worst: Vec<f64> = (0..t).rev().map(|i| (first / second).powi(i)).collect();
                assert!((adam(decays, &worst) - factor).abs() < 1e-9 * factor, "{decays:?} {t}");
                let (spike, noise): (Vec<f64>, Vec<f64>) = (0..t)
                    .map(|i| (if i + 1 == t { 1e3 } else { 1e-3 }, f64::from(i * 7919 % 101) - 50.0))
                    .unzip();
                for gradients in [spike, noise] {
                    assert!(
                        adam(decays, &gradients).abs() <= factor * (1.0 + 1e-12),
                        "{decays:?} {t}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_factor_rises_from_one_to_its_published_limit() {
        for (first, second, limit) in [(0.9, 0.999, 7.27), (0.9, 0.99, 2.35), (0.9, 0.95, 1.165)] {
            let decays = Decays { first, second };
            assert!((decays.factor(1.0) - 1.0).abs() < 1e-12);
            assert!((decays.factor(1e6) - limit).abs() < 0.005, "{}", decays.factor(1e6));
        }
        for (t, factor) in [(10.0, 1.04), (200.0, 3.10), (1000.0, 5.78)] {
            assert!((USUAL.factor(t) - factor).abs() < 0.005, "{t}: {}", USUAL.factor(t));
        }
        for (first, second) in [(0.9, 0.999), (0.95, 0.9), (0.0, 0.9), (0.9, 0.81), (0.99, 0.5)] {
            let decays = Decays { first, second };
            let factors: Vec<f64> = (1..2000).map(|t| decays.factor(f64::from(t))).collect();
            assert!(
                factors.windows(2).all(|pair| pair[1] >= pair[0] * (1.0 - 1e-12)),
                "{decays:?}"
            );
        }
    }

    #[test]
    fn the_reach_encloses_the_sum_closely() {
        for (shape, updates, warmup) in [
            (Shape::Constant, 1, 0),
            (Shape::Constant, 1000, 0),
            (Shape::Cosine, 333, 30),
            (Shape::Linear, 20_000, 600),
        ] {
            let course = Course::new(shape, updates, warmup);
            let sum: f64 = (0..updates)
                .map(|step| course.multiplier(step) * USUAL.factor((step + 1) as f64))
                .sum();
            let reach = USUAL.reach(&course);
            assert!(
                reach >= sum * (1.0 - 1e-9) && reach <= sum * 1.02,
                "{updates}: {reach} {sum}"
            );
        }
        // 4228 for a thousand updates at a constant rate, summed one by one elsewhere.
        let thousand = USUAL.reach(&Course::new(Shape::Constant, 1000, 0));
        assert!((4228.0..4228.0 * 1.02).contains(&thousand), "{thousand}");
    }

    #[test]
    fn a_longer_run_behind_one_share_reaches_further() {
        for shape in [Shape::Constant, Shape::Linear, Shape::Cosine] {
            for share in [0.01, 0.03, 0.1, 0.5, 1.0] {
                let reach = |updates: u64| {
                    let warmup = (share * updates as f64).ceil() as u64;
                    USUAL.reach(&Course::new(shape, updates, warmup))
                };
                for updates in (1..400).chain([3_999, 40_000, 1_000_000]) {
                    let (this, next) = (reach(updates), reach(updates + 1));
                    assert!(
                        next >= this * (1.0 - 1e-9),
                        "{shape:?} {share} {updates}: {this} {next}"
                    );
                }
            }
        }
    }
}
