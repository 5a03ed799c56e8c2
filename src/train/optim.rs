//! AdamW (Loshchilov and Hutter 2019) and gradient clipping, as functions from numbers to numbers.

use std::collections::BTreeMap;

/// Matrices by name, each flattened row by row. Sums over several matrices run in the order of the names.
pub type Matrices = BTreeMap<String, Vec<f32>>;

/// The hyperparameters of AdamW; the defaults are those of `torch.optim.AdamW`, but for the decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// How much of the mean gradient is kept from one step to the next.
    pub beta1: f64,
    /// How much of the mean squared gradient is kept.
    pub beta2: f64,
    /// Keeps the division finite where gradients vanish.
    pub eps: f64,
    /// The share of each parameter that is taken away a step, times the learning rate; decoupled from the gradient.
    pub decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            decay: 0.0,
        }
    }
}

/// What AdamW remembers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Steps taken.
    pub step: u64,
    /// The running means of the gradients; empty before the first step.
    pub first: Matrices,
    /// The running means of the squared gradients.
    pub second: Matrices,
}

/// An update that nobody has applied yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What is to be added to each parameter.
    pub deltas: Matrices,
    /// The moments after it.
    pub moments: Moments,
}

impl Proposal {
    /// Whether the update is made of numbers, and the moments after it: an infinite moment would keep its weight where it
    /// is for ever after.
    pub fn is_finite(&self) -> bool {
        [&self.deltas, &self.moments.first, &self.moments.second]
            .into_iter()
            .flat_map(Matrices::values)
            .flatten()
            .all(|number| number.is_finite())
    }
}

impl AdamW {
    /// The update at learning rate `rate`, for the matrices that have gradients.
    ///
    /// ```text
    /// m ← β1 m + (1 − β1) g        v ← β2 v + (1 − β2) g²
    /// Δ = −rate · ( (m / (1 − β1^t)) / (sqrt(v / (1 − β2^t)) + eps) + decay · θ )
    /// ```
    ///
    /// A matrix without moments starts with zeros.
    pub fn propose(&self, moments: &Moments, params: &Matrices, grads: &Matrices, rate: f64) -> Proposal {
        let step = moments.step.saturating_add(1);
        let times = step as f64;
        let (correct1, correct2) = (1.0 - self.beta1.powf(times), 1.0 - self.beta2.powf(times));
        let mut deltas = Matrices::new();
        let mut after = Moments {
            step,
            ..Moments::default()
        };
        let old = |of: &Matrices, name: &str, len: usize| of.get(name).cloned().unwrap_or_else(|| vec![0.0; len]);
        for (name, grad) in grads {
            let Some(param) = params.get(name) else { continue };
            let mut first = old(&moments.first, name, grad.len());
            let mut second = old(&moments.second, name, grad.len());
            let mut delta = Vec::with_capacity(grad.len());
            for (((m, v), g), p) in first.iter_mut().zip(&mut second).zip(grad).zip(param) {
                let g = f64::from(*g);
                let mean = self.beta1 * f64::from(*m) + (1.0 - self.beta1) * g;
                let square = self.beta2 * f64::from(*v) + (1.0 - self.beta2) * g * g;
                let direction = (mean / correct1) / ((square / correct2).sqrt() + self.eps);
                delta.push((-rate * (direction + self.decay * f64::from(*p))) as f32);
                (*m, *v) = (mean as f32, square as f32);
            }
            deltas.insert(name.clone(), delta);
            after.first.insert(name.clone(), first);
            after.second.insert(name.clone(), second);
        }
        Proposal { deltas, moments: after }
    }
}

/// The Euclidean norm of all numbers together, accumulated in f64.
pub fn norm(matrices: &Matrices) -> f64 {
    matrices
        .values()
        .flatten()
        .map(|x| f64::from(*x) * f64::from(*x))
        .sum::<f64>()
        .sqrt()
}

/// Scales `grads` so that their norm is at most `max`, as `torch.nn.utils.clip_grad_norm_` does; gives the norm before.
///
/// The factor is `max / (norm + 1e-6)`, at most 1. A norm that is not finite leaves the gradients alone: judging it is not
/// the business of clipping.
pub fn clip(grads: &mut Matrices, max: f64) -> f64 {
    let norm = norm(grads);
    let factor = max / (norm + 1e-6);
    if norm.is_finite() && factor < 1.0 {
        for value in grads.values_mut().flatten() {
            *value = (f64::from(*value) * factor) as f32;
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(values: &[f32]) -> Matrices {
        Matrices::from([("w".to_owned(), values.to_vec())])
    }

    #[test]
    fn the_first_step_is_the_rate_against_the_sign() {
        let proposal = AdamW::default().propose(&Moments::default(), &one(&[5.0, 5.0]), &one(&[0.3, -40.0]), 1e-3);
        let deltas = &proposal.deltas["w"];
        assert!((f64::from(deltas[0]) + 1e-3).abs() < 1e-9, "{deltas:?}");
        assert!((f64::from(deltas[1]) - 1e-3).abs() < 1e-9, "{deltas:?}");
        assert_eq!(proposal.moments.step, 1);
    }

    #[test]
    fn three_steps_agree_with_the_closed_form() {
        let adam = AdamW {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            decay: 0.1,
        };
        let (rate, gradients) = (0.01, [1.0f64, -2.0, 0.5]);
        let (mut moments, mut params, mut expected) = (Moments::default(), one(&[1.0]), 1.0f64);
        for t in 1..=gradients.len() {
            let proposal = adam.propose(&moments, &params, &one(&[gradients[t - 1] as f32]), rate);
            // m_t = (1 − β) Σ β^(t−i) g_i, divided by 1 − β^t.
            let mean = |beta: f64, power: i32| {
                let sum: f64 = (1..=t)
                    .map(|i| beta.powi((t - i) as i32) * gradients[i - 1].powi(power))
                    .sum();
                (1.0 - beta) * sum / (1.0 - beta.powi(t as i32))
            };
            expected -= rate * (mean(0.9, 1) / (mean(0.99, 2).sqrt() + 1e-8) + 0.1 * expected);
            params.get_mut("w").unwrap()[0] += proposal.deltas["w"][0];
            moments = proposal.moments;
            assert!((f64::from(params["w"][0]) - expected).abs() < 1e-6, "step {t}");
        }
        // By hand: 1 − 0.01·1.1, then + 0.01·(1.1/1.9 / sqrt(4.99/1.99) − 0.1·0.989), then …
        assert_eq!(moments.step, 3);
        assert!((moments.first["w"][0] - (0.081 - 0.18 + 0.05)).abs() < 1e-7);
        assert!((moments.second["w"][0] - (0.009801 + 0.0396 + 0.0025)).abs() < 1e-7);
    }

    #[test]
    fn a_proposal_changes_nothing_it_was_given() {
        let (moments, params, grads) = (Moments::default(), one(&[1.0]), one(&[1.0]));
        let first = AdamW::default().propose(&moments, &params, &grads, 0.1);
        assert_eq!(first, AdamW::default().propose(&moments, &params, &grads, 0.1));
    }

    #[test]
    fn clipping_scales_by_the_norm_of_everything() {
        let mut grads = Matrices::from([("a".to_owned(), vec![3.0]), ("b".to_owned(), vec![0.0, 4.0])]);
        assert_eq!(clip(&mut grads, 10.0), 5.0);
        assert_eq!(grads["b"], [0.0, 4.0]);
        assert_eq!(clip(&mut grads, 1.0), 5.0);
        assert!(
            (grads["a"][0] - 0.6).abs() < 1e-6 && (grads["b"][1] - 0.8).abs() < 1e-6,
            "{grads:?}"
        );
        let huge = AdamW::default().propose(&Moments::default(), &one(&[1.0]), &one(&[1e21]), 1e-3);
        assert!(huge.deltas["w"][0].is_finite() && !huge.is_finite());
        let mut bad = one(&[f32::NAN]);
        assert!(clip(&mut bad, 1.0).is_nan());
    }
}
