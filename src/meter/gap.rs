//! What a model knows of its training rows beyond what it knows of such text: memorisation.

use super::{Estimate, Reading};
use crate::quantity::Finite;

/// `memorisation.gap`: the mean of the held-out losses less the mean of the training losses, in nats; it can be negative.
///
/// Each reading is the cross-entropy of one row ([`cross_entropy`](super::cross_entropy::cross_entropy)), so that a long
/// row weighs as much as a short one.
///
/// Cost: one forward pass of the held-out rows and of the training rows that are read. Read at evaluations. Standard
/// error: the root of the sum of both means' squared errors, as the rows are drawn apart. Not finite when a row is, or
/// when there is none on one side.
pub fn memorisation_gap(held_out: &[Reading], training: &[Reading]) -> Estimate {
    let (held_out, training) = (Estimate::mean(held_out.to_vec()), Estimate::mean(training.to_vec()));
    let errors = held_out.standard_error.zip(training.standard_error);
    Estimate {
        value: Reading::from(held_out.value.as_f64() - training.value.as_f64()),
        standard_error: errors.and_then(|(one, other)| Finite::new(one.get().hypot(other.get()))),
        prompts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(held_out: &[f64], training: &[f64]) -> Estimate {
        let readings = |values: &[f64]| values.iter().copied().map(Reading::from).collect::<Vec<_>>();
        memorisation_gap(&readings(held_out), &readings(training))
    }

    #[test]
    fn signed_and_with_both_errors() {
        // Means 3 and 1; s²/n is 2/2 and 8/2.
        let found = of(&[2.0, 4.0], &[-1.0, 3.0]);
        assert_eq!(found.value, 2.0.into());
        assert!((found.standard_error.unwrap().get() - 5.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(found.prompts, []);
        assert_eq!(of(&[-1.0, 3.0], &[2.0, 4.0]).value, (-2.0).into());
        assert_eq!(of(&[1.0, 2.0], &[1.0]).standard_error, None);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        for (held_out, training) in [(&[][..], &[1.0][..]), (&[1.0], &[]), (&[1.0, f64::NAN], &[1.0, 1.0])] {
            let found = of(held_out, training);
            assert_eq!((found.value, found.standard_error), (Reading::NotFinite, None));
        }
    }
}
