//! Whether a model is right as often as it believes: expected calibration error, less what chance alone would show.

use std::f64::consts::FRAC_2_PI;

use super::confidence::top;
use super::kl::Logits;
use super::{Estimate, Reading};

/// Bins of equal width over the confidences; each holds its upper end (Guo et al. 2017).
const BINS: usize = 15;

/// A bin of more positions has the normal law's expectation instead of the exact one, which costs their square.
const EXACT: usize = 1024;

/// Sums over the positions of a bin.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Σ (confidence − 1 where the most likely token came).
    gap: f64,
    /// Σ confidence (1 − confidence): what that varies by if the confidences are right.
    variance: f64,
}

/// The positions of one prompt.
#[derive(Debug, Clone, Default)]
struct Prompt {
    positions: usize,
    bins: [Sums; BINS],
}

/// E|S − E S| for a sum S of independent events with these probabilities, from its exact distribution by convolution.
fn exact_deviation(probabilities: &[f64]) -> f64 {
    let mut masses = vec![1.0];
    for p in probabilities {
        masses.push(0.0);
        let mut below = 0.0;
        for mass in &mut masses {
            let here = *mass;
            *mass = here * (1.0 - p) + below * p;
            below = here;
        }
    }
    let mean: f64 = probabilities.iter().sum();
    masses
        .iter()
        .enumerate()
        .map(|(count, mass)| (count as f64 - mean).abs() * mass)
        .sum()
}

/// The same from the variance by the normal law; it is off by at most 0.11, whatever the number of events.
fn normal_deviation(variance: f64) -> f64 {
    (FRAC_2_PI * variance).sqrt()
}

/// Adds up each position of a prompt, and its confidence to those of its bin; `None` when it cannot be measured.
fn read(logits: Logits<'_>, next: &[u32], confidences: &mut [Vec<f64>; BINS]) -> Option<Prompt> {
    let mut prompt = Prompt::default();
    for (row, token) in logits.followed_by(next)? {
        let (predicted, confidence) = top(row)?;
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let sums = prompt.bins.get_mut(bin)?;
        sums.gap += confidence - f64::from(u8::from(predicted == token));
        sums.variance += confidence * (1.0 - confidence);
        confidences.get_mut(bin)?.push(confidence);
        prompt.positions += 1;
    }
    Some(prompt)
}

/// `confidence.ece`: the expected calibration error of the most likely next token over all positions of all prompts, less
/// its null, and at least 0. A ratio. Each prompt is its logits and the token that came next at each row.
///
/// The error is Σ_b n_b/N |accuracy_b − confidence_b| over 15 bins of equal width. It is above 0 for a perfectly
/// calibrated model too, by chance, and the more so the fewer positions there are: 0.1 at a hundred. The null is the
/// expectation for a model with the same confidences that is calibrated, Σ_b E|S_b − E S_b| / N, where S_b counts
/// independent events with the bin's confidences as probabilities: exact in bins of up to 1024 positions, √(2 var/π) in
/// larger ones, which is off by less than 1.1e-4 of the reading. (The positions of one text are no independent events,
/// but if the model is calibrated their deviations are uncorrelated, so that their variances add up all the same.)
/// A model that is far from calibrated reads up to the null less than its true error: compare only on one probe.
///
/// Cost: one forward pass of the probe's tokens, shared with every other meter on that text. Read at evaluations.
/// Standard error: jackknife over prompts of the difference before it is cut at 0; the null of the prompts left is scaled
/// by the root of their variance. Near 0 it is up to 1.66 times too large, because |accuracy − confidence| has a kink
/// there. Not finite when a logit is, or when a prompt does not have one token of the
/// vocabulary for each row, and at least one.
pub fn ece<'a>(prompts: impl IntoIterator<Item = (Logits<'a>, &'a [u32])>) -> Estimate {
    let mut confidences: [Vec<f64>; BINS] = Default::default();
    let mut read_prompts = Vec::new();
    for (logits, next) in prompts {
        let Some(prompt) = read(logits, next, &mut confidences) else {
            return Estimate::exact(Reading::NotFinite);
        };
        read_prompts.push(prompt);
    }
    let prompts = read_prompts;
    let mut whole = Prompt::default();
    for prompt in &prompts {
        whole.positions += prompt.positions;
        for (sum, part) in whole.bins.iter_mut().zip(&prompt.bins) {
            sum.gap += part.gap;
            sum.variance += part.variance;
        }
    }
    // The null of each bin over the root of its variance; √(2/π) in a large bin.
    let mut scales = [0.0; BINS];
    for ((scale, bin), confidences) in scales.iter_mut().zip(&whole.bins).zip(&confidences) {
        let deviation = if confidences.len() <= EXACT {
            exact_deviation(confidences)
        } else {
            normal_deviation(bin.variance)
        };
        // A bin in which nothing can vary has no null.
        *scale = if bin.variance > 0.0 {
            deviation / bin.variance.sqrt()
        } else {
            0.0
        };
    }
    let excess = |bins: &mut dyn Iterator<Item = Sums>, positions: usize| -> f64 {
        let sum: f64 = bins
            .zip(scales)
            .map(|(bin, scale)| bin.gap.abs() - scale * bin.variance.sqrt())
            .sum();
        sum / positions as f64
    };
    let value = excess(&mut whole.bins.iter().copied(), whole.positions);
    let without = |index: usize| {
        let left = prompts.get(index).map_or(f64::NAN, |prompt| {
            let mut rest = whole.bins.iter().zip(&prompt.bins).map(|(all, part)| Sums {
                gap: all.gap - part.gap,
                // What is left of nothing may round to less than nothing.
                variance: (all.variance - part.variance).max(0.0),
            });
            excess(&mut rest, whole.positions - prompt.positions)
        });
        Reading::from(left)
    };
    // `clamp` keeps a NaN.
    Estimate::jackknife(value.clamp(0.0, 1.0).into(), prompts.len(), without)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splitmix64 (Steele, Lea and Flood 2014): the `index`th number of a stream, in [0, 1).
    fn uniform(stream: u64, index: u64) -> f64 {
        let mut z = (stream << 40)
            .wrapping_add(index + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Logits of two tokens, the first with this probability.
    fn row(p: f64) -> [f32; 2] {
        [(p / (1.0 - p)).ln() as f32, 0.0]
    }

    fn of(prompts: &[(Vec<f32>, Vec<u32>)]) -> Estimate {
        ece(prompts
            .iter()
            .map(|(values, next)| (Logits { vocab: 2, values }, next.as_slice())))
    }

    /// Prompts of a model that says p ∈ [½, 1) where p^power, rescaled, is right: calibrated at power 1.
    fn drawn(stream: u64, prompts: u64, positions: u64, power: f64) -> Vec<(Vec<f32>, Vec<u32>)> {
        (0..prompts)
            .map(|prompt| {
                (0..positions)
                    .map(|position| {
                        let index = 2 * (prompt * positions + position);
                        let p = 0.5 + uniform(stream, index) * 0.4999;
                        let truth = 0.5 + (2.0 * p - 1.0).powf(power) / 2.0;
                        (row(p), u32::from(uniform(stream, index + 1) >= truth))
                    })
                    .fold((Vec::new(), Vec::new()), |(mut values, mut next), (row, token)| {
                        values.extend(row);
                        next.push(token);
                        (values, next)
                    })
            })
            .collect()
    }

    fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (
            mean,
            (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt(),
        )
    }

    #[test]
    fn the_exact_deviation() {
        // One event: 2 p (1 − p). Four even ones: (2·1 + 1·4 + 0 + 1·4 + 2·1)/16.
        assert!((exact_deviation(&[0.3]) - 0.42).abs() < 1e-15);
        assert!((exact_deviation(&[0.5; 4]) - 0.75).abs() < 1e-15);
        assert_eq!(exact_deviation(&[]), 0.0);
        assert_eq!(exact_deviation(&[1.0; 5]), 0.0);
        // De Moivre: 2 v C(n, v) p^v (1 − p)^(n − v + 1), v = ⌊n p⌋ + 1; here n = 10, p = 0.7, v = 8, C = 45.
        let p: f64 = 0.7;
        let known = 16.0 * 45.0 * p.powi(8) * (1.0 - p).powi(3);
        assert!((exact_deviation(&[p; 10]) - known).abs() < 1e-14);
    }

    #[test]
    fn the_normal_law_is_off_by_a_tenth_of_a_position_at_most() {
        let mut most = 0.0_f64;
        for n in [1_usize, 2, 3, 5, 10, 30, 100, 300, 1024] {
            for spread in [0.0, 1.0 / 15.0] {
                for from in (0..15).map(|k| f64::from(k) / 15.0).chain([0.99, 0.999, 0.9999]) {
                    let p: Vec<f64> = (0..n).map(|i| (from + spread * i as f64 / n as f64).min(1.0)).collect();
                    let variance: f64 = p.iter().map(|p| p * (1.0 - p)).sum();
                    most = most.max((exact_deviation(&p) - normal_deviation(variance)).abs());
                }
            }
        }
        assert!(most < 0.11, "{most}");
        assert!((exact_deviation(&[0.6; EXACT]) / normal_deviation(0.24 * EXACT as f64) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn the_null_is_what_simulation_shows() {
        // 400 positions of known confidences, 4000 calibrated worlds.
        let p: Vec<f64> = (0..400).map(|i| 0.5 + uniform(1, i) * 0.4999).collect();
        let bin = |p: f64| (p * 15.0).ceil() as usize - 1;
        let mut worlds = Vec::new();
        for world in 0..4000 {
            let mut gaps = [0.0; 15];
            for (p, index) in p.iter().zip(0..) {
                gaps[bin(*p)] += p - f64::from(u8::from(uniform(2 + world, index) < *p));
            }
            worlds.push(gaps.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / 400.0);
        }
        let (simulated, deviation) = mean_and_deviation(&worlds);
        let mut exact = 0.0;
        for b in 0..15 {
            exact += exact_deviation(&p.iter().copied().filter(|p| bin(*p) == b).collect::<Vec<_>>()) / 400.0;
        }
        let error = deviation / 4000.0_f64.sqrt();
        assert!(
            (simulated - exact).abs() < 3.0 * error,
            "{simulated} ± {error} and {exact}"
        );
    }

    #[test]
    fn certain_and_right_certain_and_wrong() {
        let certain = vec![(vec![500.0, 0.0, 0.0, 500.0], vec![0, 1]); 3];
        assert_eq!(of(&certain).value, 0.0.into());
        let wrong = vec![(vec![500.0, 0.0, 0.0, 500.0], vec![1, 0]); 3];
        let found = of(&wrong);
        assert_eq!(found.value, 1.0.into());
        assert_eq!(found.standard_error.unwrap().get(), 0.0);
        assert_eq!(found.prompts, []);
        // Even odds of two, the first of equals is predicted and right half of the time: below the null, so 0.
        assert_eq!(of(&vec![(vec![0.0; 4], vec![0, 1]); 4]).value, 0.0.into());
    }

    #[test]
    fn a_calibrated_model_reads_next_to_nothing_and_the_standard_error_is_honest() {
        // 100 worlds of 60 prompts of 12 positions each, of which the null is 0.03. With x = 2p − 1 uniform the error of the
        // second model is (½ − 1/3.5)/2 = 0.107, and of that the null is taken in the bins where it is no chance.
        for (power, least, most) in [(1.0, 0.0, 0.01), (2.5, 0.107 - 0.033, 0.107)] {
            let found: Vec<Estimate> = (0..100).map(|world| of(&drawn(500 + world, 60, 12, power))).collect();
            let values: Vec<f64> = found.iter().map(|x| x.value.as_f64()).collect();
            let errors: Vec<f64> = found.iter().map(|x| x.standard_error.unwrap().get()).collect();
            let ((mean, deviation), (error, _)) = (mean_and_deviation(&values), mean_and_deviation(&errors));
            println!("{power}: {mean} ± {deviation}, standard error {error}");
            assert!((least..most).contains(&mean), "{mean}");
            // Not below what it estimates, by more than the deviation's own error (7 %).
            assert!(error > deviation * 0.8 && error < 0.02, "{error} and {deviation}");
        }
    }

    #[test]
    fn many_positions_in_one_bin() {
        // 3000 positions at 0.9 of which 0.8 are right: 0.1, less √(2 · 0.09/π/3000).
        let values: Vec<f32> = (0..30).flat_map(|_| row(0.9)).collect();
        let next: Vec<u32> = (0..30).map(|i| u32::from(i < 6)).collect();
        let found = of(&vec![(values, next); 100]);
        assert!((found.value.as_f64() - (0.1 - (FRAC_2_PI * 0.09 / 3000.0).sqrt())).abs() < 1e-7);
        assert!(found.standard_error.unwrap().get() < 1e-6);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        let good = || (vec![0.0_f32, 1.0], vec![1_u32]);
        for bad in [
            (vec![0.0, f32::NAN], vec![1]),
            (vec![f32::INFINITY, 0.0], vec![1]),
            (vec![0.0, 1.0], vec![2]),
            (vec![0.0, 1.0], vec![]),
            (vec![0.0, 1.0], vec![0, 1]),
            (vec![0.0, 1.0, 2.0], vec![0]),
            (vec![], vec![]),
        ] {
            let found = of(&[good(), bad.clone(), good()]);
            assert_eq!(
                (found.value, found.standard_error),
                (Reading::NotFinite, None),
                "{bad:?}"
            );
        }
        assert_eq!(of(&[]).value, Reading::NotFinite);
        assert_eq!(of(&[good()]).standard_error, None);
    }
}
