//! The largest share that one sample has in an update.
//!
//! Shares are of lengths, ‖P gᵢ‖ / Σⱼ ‖P gⱼ‖ with Adam's preconditioner P: a share is between 0 and 1 whatever the others
//! do, and the largest of B samples is at least 1/B. Shares by projection on the update, which [`super::bias`] takes for
//! groups, may be negative or above 1 and would not suit a limit in percent of one sample. P belongs in it because Adam
//! does not step along the gradient: an entry whose gradients are small counts as much as one whose gradients are large.

use super::Reading;

/// `batch.top_share`: the largest ‖P gᵢ‖ / Σⱼ ‖P gⱼ‖ over the samples of a batch.
///
/// `parts` has a row for each sample, its part of the batch's gradient as in [`super::noise`]; `preconditioner` is the
/// diagonal of P, 1/(√v̂ + ε) for each entry, with the moments that the step itself divides by. Not finite when a number
/// is not, when shapes do not fit, and when all gradients are zero.
pub fn top_share(parts: &[Vec<f32>], preconditioner: &[f64]) -> Reading {
    if preconditioner.is_empty() || parts.iter().any(|part| part.len() != preconditioner.len()) {
        return Reading::NotFinite;
    }
    let lengths: Vec<f64> = parts
        .iter()
        .map(|part| {
            let stepped = part.iter().zip(preconditioner).map(|(x, p)| f64::from(*x) * p);
            stepped.map(|x| x * x).sum::<f64>().sqrt()
        })
        .collect();
    let sum: f64 = lengths.iter().sum();
    // `f64::max` passes over a NaN; the sum does not.
    if !sum.is_finite() {
        return Reading::NotFinite;
    }
    Reading::from(lengths.into_iter().fold(0.0, f64::max) / sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_of_lengths() {
        let parts = [vec![3.0, 4.0], vec![0.0, 5.0], vec![0.0, 0.0]];
        assert_eq!(top_share(&parts, &[1.0, 1.0]), 0.5.into());
        // The second entry no longer counts: 3 of 3.
        assert_eq!(top_share(&parts, &[1.0, 0.0]), 1.0.into());
        // (6, 4) and (0, 5).
        let long = 52.0_f64.sqrt();
        assert_eq!(top_share(&parts, &[2.0, 1.0]), Reading::from(long / (long + 5.0)));
        // Samples that cancel have shares all the same.
        assert_eq!(top_share(&[vec![1.0], vec![-1.0]], &[1.0]), 0.5.into());
        assert_eq!(top_share(&[vec![1.0]], &[1.0]), 1.0.into());
    }

    #[test]
    fn what_cannot_be_measured() {
        for (parts, preconditioner) in [
            (vec![], vec![1.0]),
            (vec![vec![]], vec![]),
            (vec![vec![1.0, 2.0]], vec![1.0]),
            (vec![vec![0.0], vec![0.0]], vec![1.0]),
            (vec![vec![1.0], vec![f32::NAN]], vec![1.0]),
            (vec![vec![1.0], vec![f32::INFINITY]], vec![1.0]),
            (vec![vec![1.0]], vec![f64::NAN]),
            (vec![vec![1.0]], vec![f64::INFINITY]),
        ] {
            assert_eq!(top_share(&parts, &preconditioner), Reading::NotFinite, "{parts:?}");
        }
    }

    proptest! {
        #[test]
        fn between_an_equal_share_and_the_whole(parts in prop::collection::vec(prop::collection::vec(0.5_f32..2.0, 3), 1..9)) {
            let found = top_share(&parts, &[1.0, 2.0, 0.5]).as_f64();
            prop_assert!(found >= 1.0 / parts.len() as f64 - 1e-12 && found <= 1.0, "{}", found);
        }
    }
}
