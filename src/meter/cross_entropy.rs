//! The loss that training minimises: how badly a model predicts given text.

use super::kl::{Logits, log_sum_exp};

/// The mean over positions of −ln p(the token that came next), in nats. `next` has one token for each row of `logits`.
///
/// Cost: one forward pass of the text. NaN when a logit is not finite, when there is not one token a row, when a token is
/// outside of the vocabulary, and when there is no row.
pub fn cross_entropy(logits: Logits<'_>, next: &[u32]) -> f64 {
    let Some(rows) = logits.followed_by(next) else {
        return f64::NAN;
    };
    let loss = |(row, token): (&[f32], usize)| row.get(token).map_or(f64::NAN, |x| log_sum_exp(row) - f64::from(*x));
    rows.map(loss).sum::<f64>() / logits.positions()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vocab: usize, values: &[f32], next: &[u32]) -> f64 {
        cross_entropy(Logits { vocab, values }, next)
    }

    #[test]
    fn known_probabilities() {
        // Even odds of four; then three quarters and a quarter.
        assert!((of(4, &[2.0; 8], &[0, 3]) - 4.0_f64.ln()).abs() < 1e-15);
        let row = [3.0_f32.ln(), 0.0];
        assert!((of(2, &row, &[0]) - (4.0_f64 / 3.0).ln()).abs() < 1e-7);
        assert!((of(2, &row, &[1]) - 4.0_f64.ln()).abs() < 1e-7);
        assert_eq!(of(2, &[0.0, 1000.0], &[0]), 1000.0);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        let row = [0.0_f32, 1.0];
        for next in [&[][..], &[2], &[u32::MAX], &[0, 1]] {
            assert!(of(2, &row, next).is_nan(), "{next:?}");
        }
        assert!(of(2, &[0.0, f32::NAN], &[0]).is_nan());
        assert!(of(2, &[0.0, f32::NEG_INFINITY], &[0]).is_nan());
        assert!(of(0, &[], &[]).is_nan() && of(3, &row, &[0]).is_nan());
    }
}
