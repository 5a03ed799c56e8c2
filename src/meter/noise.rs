//! The gradient noise scale: the batch size at which noise and signal of the gradient are equal (McCandlish et al. 2018).
//!
//! What a sample contributes is its *part*: the gradient of its own summed loss over the number of answer tokens of the
//! whole batch, so that the parts of a batch sum to the gradient it is trained on. The per-sample gradient gᵢ of the
//! formulas, whose mean over the B samples is the batch's gradient ḡ, is then B times the part. A long answer weighs more,
//! as it does in training; against answers of one length this adds the squared coefficient of variation of the lengths to
//! the noise scale, typically less than one sample.
//!
//! A factor common to all parts, such as that of clipping, changes no noise scale.

use super::Reading;

/// What one batch says of noise and signal. Both are unbiased and their quotient is not: sum them, or average them, over
/// evaluations and divide last, by [`scale`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// tr Σ, the variance of a sample's gradient summed over its entries; NaN when it cannot be told.
    pub trace: f64,
    /// |G|², the squared length of the true gradient; the estimate is negative where noise drowns it, and NaN when it
    /// cannot be told.
    pub square: f64,
}

/// Noise and signal from the parts of one batch, a row of as many numbers for each sample.
///
/// ```text
/// tr Σ = Σ |gᵢ − ḡ|² / (B − 1)        |G|² = |ḡ|² − tr Σ / B
/// ```
///
/// which is B/(B − 1) · (mean |gᵢ|² − |ḡ|²) and (B |ḡ|² − mean |gᵢ|²)/(B − 1) without their cancellation. NaN for fewer
/// than two samples, rows that are empty or of different lengths, and numbers that are none.
pub fn noise(parts: &[Vec<f32>]) -> Noise {
    let unknown = Noise {
        trace: f64::NAN,
        square: f64::NAN,
    };
    let width = parts.first().map_or(0, Vec::len);
    if parts.len() < 2 || width == 0 || parts.iter().any(|part| part.len() != width) {
        return unknown;
    }
    let count = parts.len() as f64;
    let mut mean = vec![0.0; width];
    for part in parts {
        for (sum, x) in mean.iter_mut().zip(part) {
            *sum += f64::from(*x);
        }
    }
    let away: f64 = parts
        .iter()
        .flat_map(|part| part.iter().zip(&mean))
        .map(|(x, mean)| (count * f64::from(*x) - mean).powi(2))
        .sum();
    let trace = away / (count - 1.0);
    let square = mean.iter().map(|x| x * x).sum::<f64>() - trace / count;
    if trace.is_finite() && square.is_finite() {
        Noise { trace, square }
    } else {
        unknown
    }
}

/// `batch.noise_scale` in samples: `trace` over `square`, each summed or averaged alike over the same evaluations.
///
/// Not finite where `square` is not above zero: no signal was found in the noise, so the noise scale is beyond what these
/// batches can tell, and no number stands in for that. More evaluations in the sums, or larger batches, tell it.
pub fn scale(trace: f64, square: f64) -> Reading {
    if trace.is_finite() && square.is_finite() && square > 0.0 {
        Reading::from(trace / square)
    } else {
        Reading::NotFinite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(gradients: &[&[f64]]) -> Vec<Vec<f32>> {
        let count = gradients.len() as f64;
        let part = |gradient: &&[f64]| gradient.iter().map(|x| (x / count) as f32).collect();
        gradients.iter().map(part).collect()
    }

    #[test]
    fn two_samples_by_hand() {
        // ḡ = (2, 0); away by (±1, ±1): tr Σ = 4, |G|² = 4 − 2 = ⟨g₁, g₂⟩.
        let found = noise(&parts(&[&[1.0, 1.0], &[3.0, -1.0]]));
        assert_eq!((found.trace, found.square), (4.0, 2.0));
        assert_eq!(scale(found.trace, found.square), 2.0.into());
        // Alike: no noise at all.
        let found = noise(&parts(&[&[1.0, 2.0], &[1.0, 2.0]]));
        assert_eq!((found.trace, found.square), (0.0, 5.0));
        assert_eq!(scale(found.trace, found.square), 0.0.into());
    }

    #[test]
    fn over_all_batches_of_a_population_both_are_exact() {
        // Every batch that can be drawn, with replacement, from four gradients: unbiased means equal to the last digits.
        let population = [[1.0, 0.5, -2.0], [3.0, -0.25, 0.0], [-0.5, 1.0, 1.0], [0.5, 0.75, 3.0]];
        let mean = |k: usize| population.iter().map(|g| g[k]).sum::<f64>() / 4.0;
        let square: f64 = (0..3).map(|k| mean(k).powi(2)).sum();
        let trace: f64 = (0..3)
            .map(|k| population.iter().map(|g| (g[k] - mean(k)).powi(2)).sum::<f64>() / 4.0)
            .sum();
        for size in [2_u32, 3, 4] {
            let batches = 4_usize.pow(size);
            let (mut traces, mut squares) = (0.0, 0.0);
            for batch in 0..batches {
                let drawn: Vec<&[f64]> = (0..size)
                    .map(|i| population[batch / 4_usize.pow(i) % 4].as_slice())
                    .collect();
                let found = noise(&parts(&drawn));
                traces += found.trace;
                squares += found.square;
            }
            let n = batches as f64;
            assert!((traces / n - trace).abs() < 1e-6, "{size}: {} {trace}", traces / n);
            assert!((squares / n - square).abs() < 1e-6, "{size}: {} {square}", squares / n);
            assert!((scale(traces, squares).as_f64() - trace / square).abs() < 1e-5);
        }
    }

    #[test]
    fn a_common_factor_changes_no_scale() {
        let of = |factor: f64| {
            let scaled = |g: [f64; 3]| g.map(|x| factor * x);
            let (one, two) = (scaled([1.0, 2.0, 0.5]), scaled([2.0, 1.0, 1.0]));
            let found = noise(&parts(&[&one, &two]));
            scale(found.trace, found.square)
        };
        assert_eq!(of(1.0), of(0.125));
    }

    #[test]
    fn lengths_that_differ_add_their_variation() {
        // Every token has the gradient 1, answers have 1 and 3 tokens: their variance 2 over their mean squared, 4.
        let found = noise(&[vec![0.25], vec![0.75]]);
        assert_eq!((found.trace, found.square), (0.5, 0.75));
    }

    #[test]
    fn noise_without_a_signal_has_no_scale() {
        let found = noise(&parts(&[&[1.0, 0.0], &[-1.0, 0.0]]));
        assert_eq!((found.trace, found.square), (2.0, -1.0));
        assert_eq!(scale(found.trace, found.square), Reading::NotFinite);
        assert_eq!(scale(1.0, 0.0), Reading::NotFinite);
        assert_eq!(scale(1.0, f64::INFINITY), Reading::NotFinite);
        assert_eq!(scale(f64::NAN, 1.0), Reading::NotFinite);
    }

    #[test]
    fn what_cannot_be_measured() {
        for parts in [
            vec![],
            vec![vec![1.0]],
            vec![vec![], vec![]],
            vec![vec![1.0], vec![1.0, 2.0]],
            vec![vec![1.0], vec![f32::NAN]],
            vec![vec![f32::INFINITY], vec![1.0]],
            vec![vec![f32::INFINITY], vec![f32::NEG_INFINITY]],
        ] {
            let found = noise(&parts);
            assert!(found.trace.is_nan() && found.square.is_nan(), "{parts:?}");
            assert_eq!(scale(found.trace, found.square), Reading::NotFinite);
        }
    }
}
