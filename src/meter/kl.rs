//! How far the next-token distribution moved: forward KL, exact over the vocabulary, and what moved.

use std::collections::BTreeMap;
use std::slice::ChunksExact;

use super::{Estimate, Reading};

/// A mean below this is no rounding error: the meter failed.
pub(super) const LEAST: f64 = -1e-9;

/// The logits of one prompt: a row of `vocab` numbers for each position.
#[derive(Debug, Clone, Copy)]
pub struct Logits<'a> {
    /// Numbers in a row.
    pub vocab: usize,
    /// positions × vocab, row major.
    pub values: &'a [f32],
}

impl<'a> Logits<'a> {
    /// The rows; `None` when they are not whole or there is none.
    pub(super) fn rows(self) -> Option<ChunksExact<'a, f32>> {
        let fits = self.vocab > 0 && !self.values.is_empty() && self.values.len().is_multiple_of(self.vocab);
        fits.then(|| self.values.chunks_exact(self.vocab))
    }

    /// The rows of two sets of logits side by side; `None` when their shapes differ, are not whole, or hold nothing.
    pub(super) fn beside(self, other: Logits<'a>) -> Option<impl Iterator<Item = (&'a [f32], &'a [f32])>> {
        let (rows, others) = (self.rows()?, other.rows()?);
        let fits = self.vocab == other.vocab && rows.len() == others.len();
        fits.then(|| rows.zip(others))
    }

    /// The rows, each with the token that came next; `None` when there is not one token a row, or one is outside of the
    /// vocabulary.
    pub(super) fn followed_by(self, next: &'a [u32]) -> Option<impl Iterator<Item = (&'a [f32], usize)>> {
        let rows = self.rows()?;
        let tokens: Vec<usize> = next.iter().filter_map(|token| usize::try_from(*token).ok()).collect();
        let fits =
            tokens.len() == rows.len() && next.len() == rows.len() && tokens.iter().all(|token| *token < self.vocab);
        fits.then(|| rows.zip(tokens))
    }

    pub(super) fn positions(self) -> f64 {
        self.values.len() as f64 / self.vocab as f64
    }
}

/// The logarithm of the sum of exponentials; NaN when a logit is not finite.
pub(super) fn log_sum_exp(row: &[f32]) -> f64 {
    log_sum_exp_of_each(row, |_| {})
}

/// The same; `seen` is given each exponential, relative to the largest.
fn log_sum_exp_of_each(row: &[f32], mut seen: impl FnMut(f64)) -> f64 {
    if !row.iter().all(|logit| logit.is_finite()) {
        return f64::NAN;
    }
    let most = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row
        .iter()
        .map(|logit| {
            let term = (f64::from(*logit) - most).exp();
            seen(term);
            term
        })
        .sum();
    most + sum.ln()
}

/// KL(before ‖ now) of one position, in nats. Takes each exponential once: every `p` is a term of the sum, over the sum.
fn row_kl(before: &[f32], now: &[f32], terms: &mut Vec<f64>) -> f64 {
    terms.clear();
    let lse_before = log_sum_exp_of_each(before, |term| terms.push(term));
    let lse_now = log_sum_exp(now);
    let sum: f64 = terms.iter().sum();
    let weighted = terms.iter().zip(before.iter().zip(now)).map(|(term, (before, now))| {
        let log_p = f64::from(*before) - lse_before;
        let log_q = f64::from(*now) - lse_now;
        term * (log_p - log_q)
    });
    // Without a term, where a logit is not finite, this is 0 / 0.
    weighted.sum::<f64>() / sum
}

/// The mean over positions of KL(before ‖ now) in nats: Σ p (ln p − ln q), logits f32, all sums in f64.
///
/// NaN when a logit is not finite, when the shapes differ or hold nothing, and when the mean is below −1e-9, which no
/// rounding explains. A smaller negative is rounding and is kept.
pub fn forward_kl(before: Logits<'_>, now: Logits<'_>) -> f64 {
    let Some(rows) = before.beside(now) else {
        return f64::NAN;
    };
    let mut terms = Vec::with_capacity(before.vocab);
    let sum: f64 = rows.map(|(before, now)| row_kl(before, now, &mut terms)).sum();
    let mean = sum / before.positions();
    if mean < LEAST { f64::NAN } else { mean }
}

/// The forward KL of each prompt, (before, now), and their mean: drift on a probe, in nats a token.
pub fn drift<'a>(pairs: impl IntoIterator<Item = (Logits<'a>, Logits<'a>)>) -> Estimate {
    let prompts = pairs.into_iter().map(|(before, now)| forward_kl(before, now).into());
    Estimate::mean(prompts.collect())
}

/// What a drift consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Prompts (by their number in the probe) with their forward KL in nats, largest first; what is not finite is larger
    /// than any number.
    pub prompts: Vec<(usize, Reading)>,
    /// Tokens that gained probability mass, most first. The mass is now − before, averaged over positions, then prompts.
    pub gained: Vec<(u32, f64)>,
    /// Tokens that lost probability mass, most first, the mass as a positive number.
    pub lost: Vec<(u32, f64)>,
}

/// What moved between the pairs (before, now): at most `most` prompts, and as many tokens each way. Prompts whose
/// logits are not finite or do not fit are listed and count for no token.
pub fn moved<'a>(pairs: impl IntoIterator<Item = (Logits<'a>, Logits<'a>)>, most: usize) -> Moved {
    let mut prompts: Vec<(usize, Reading)> = Vec::new();
    let mut mass: Vec<f64> = Vec::new();
    let mut measured = 0_u32;
    for (index, (before, now)) in pairs.into_iter().enumerate() {
        let reading = Reading::from(forward_kl(before, now));
        prompts.push((index, reading));
        let Some(rows) = before.beside(now).filter(|_| reading != Reading::NotFinite) else {
            continue;
        };
        if mass.len() < before.vocab {
            mass.resize(before.vocab, 0.0);
        }
        measured += 1;
        for (before_row, now_row) in rows {
            let (lse_before, lse_now) = (
                log_sum_exp_of_each(before_row, |_| ()),
                log_sum_exp_of_each(now_row, |_| ()),
            );
            for (slot, (p, q)) in mass.iter_mut().zip(before_row.iter().zip(now_row)) {
                let gain = (f64::from(*q) - lse_now).exp() - (f64::from(*p) - lse_before).exp();
                *slot += gain / before.positions();
            }
        }
    }
    prompts.sort_by(|(i, a), (j, b)| {
        let size = |reading: &Reading| reading.value().map_or(f64::INFINITY, |value| value.get());
        size(b).total_cmp(&size(a)).then(i.cmp(j))
    });
    prompts.truncate(most);
    let by_token: BTreeMap<u32, f64> = (0_u32..)
        .zip(&mass)
        .map(|(token, sum)| (token, sum / f64::from(measured.max(1))))
        .collect();
    let largest = |sign: f64| -> Vec<(u32, f64)> {
        let mut found: Vec<(u32, f64)> = by_token
            .iter()
            .map(|(token, gain)| (*token, gain * sign))
            .filter(|(_, gain)| *gain > 0.0)
            .collect();
        found.sort_by(|(i, a), (j, b)| b.total_cmp(a).then(i.cmp(j)));
        found.truncate(most);
        found
    };
    Moved {
        prompts,
        gained: largest(1.0),
        lost: largest(-1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logits(vocab: usize, values: &[f32]) -> Logits<'_> {
        Logits { vocab, values }
    }

    /// Straight from the definition.
    fn brute(before: &[f32], now: &[f32]) -> f64 {
        let softmax = |row: &[f32]| -> Vec<f64> {
            let exps: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
            let sum: f64 = exps.iter().sum();
            exps.iter().map(|x| x / sum).collect()
        };
        let (p, q) = (softmax(before), softmax(now));
        p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum()
    }

    #[test]
    fn two_points_have_the_closed_form() {
        // p = (1/2, 1/2), q = (3/4, 1/4): KL = ½ ln(4/3).
        let now = [3.0_f32.ln(), 0.0];
        let kl = forward_kl(logits(2, &[0.0, 0.0]), logits(2, &now));
        assert!((kl - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-7, "{kl}");
        // Another direction is another number: KL(q ‖ p) = ¾ ln(3/2) + ¼ ln(1/2).
        let back = forward_kl(logits(2, &now), logits(2, &[0.0, 0.0]));
        assert!(
            (back - (0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln())).abs() < 1e-7,
            "{back}"
        );
    }

    #[test]
    fn positions_and_prompts_are_averaged() {
        let (still, moved_row) = ([0.0_f32, 0.0], [3.0_f32.ln(), 0.0]);
        let one = forward_kl(logits(2, &still), logits(2, &moved_row));
        let before = [0.0_f32; 4];
        let now = [still, moved_row].concat();
        assert!((forward_kl(logits(2, &before), logits(2, &now)) - one / 2.0).abs() < 1e-15);
        let found = drift([
            (logits(2, &before), logits(2, &now)),
            (logits(2, &still), logits(2, &still)),
        ]);
        assert_eq!(found.prompts.len(), 2);
        assert!((found.value.as_f64() - one / 4.0).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        let good = [0.0_f32, 1.0];
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bad = [0.0, bad];
            assert!(forward_kl(logits(2, &good), logits(2, &bad)).is_nan());
            assert!(forward_kl(logits(2, &bad), logits(2, &good)).is_nan());
            let all = drift([
                (logits(2, &good), logits(2, &good)),
                (logits(2, &good), logits(2, &bad)),
            ]);
            assert_eq!(all.value, Reading::NotFinite);
            assert_eq!(all.prompts, [Reading::from(0.0), Reading::NotFinite]);
        }
        let four = [0.0_f32; 4];
        assert!(forward_kl(logits(2, &four), logits(2, &good)).is_nan());
        assert!(forward_kl(logits(2, &four), logits(4, &four)).is_nan());
        assert!(forward_kl(logits(3, &four), logits(3, &four)).is_nan());
        assert!(forward_kl(logits(0, &[]), logits(0, &[])).is_nan());
        assert!(forward_kl(logits(2, &[]), logits(2, &[])).is_nan());
        assert_eq!(drift([]).value, Reading::NotFinite);
    }

    #[test]
    fn what_moved_is_named_largest_first() {
        let ln = f32::ln;
        let even = [0.0_f32; 3];
        // From thirds to (1/2, 1/4, 1/4), and to (1/3, 2/3, 0…).
        let one = [ln(2.0), 0.0, 0.0];
        let two = [0.0, ln(2.0), -30.0];
        let bad = [0.0, f32::NAN, 0.0];
        let pairs = [
            (logits(3, &even), logits(3, &one)),
            (logits(3, &even), logits(3, &two)),
            (logits(3, &even), logits(3, &bad)),
        ];
        let found = moved(pairs, 2);
        assert_eq!(found.prompts.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(found.prompts[0].1, Reading::NotFinite);
        let near = |found: &[(u32, f64)], expected: &[(u32, f64)]| {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for ((token, mass), (want, size)) in found.iter().zip(expected) {
                assert!(token == want && (mass - size).abs() < 1e-6, "{found:?}");
            }
        };
        let third = 1.0 / 3.0;
        near(
            &found.gained,
            &[(1, (0.25 - third + third) / 2.0), (0, (0.5 - third) / 2.0)],
        );
        near(&found.lost, &[(2, (third - 0.25 + third) / 2.0)]);
        assert_eq!(moved(pairs, 1).gained.len(), 1);
    }

    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (2..20_usize).prop_flat_map(|n| {
            (
                prop::collection::vec(-12.0_f32..12.0, n),
                prop::collection::vec(-4.0_f32..4.0, n),
            )
        })
    }

    proptest! {
        #[test]
        fn equal_is_zero((row, _) in rows()) {
            prop_assert_eq!(forward_kl(logits(row.len(), &row), logits(row.len(), &row)), 0.0);
        }

        #[test]
        fn agrees_with_the_definition_and_with_the_closed_form((row, delta) in rows()) {
            let now: Vec<f32> = row.iter().zip(&delta).map(|(x, d)| x + d).collect();
            // The shift as f32 arithmetic left it.
            let delta: Vec<f64> = row.iter().zip(&now).map(|(x, y)| f64::from(*y) - f64::from(*x)).collect();
            let kl = forward_kl(logits(row.len(), &row), logits(row.len(), &now));
            prop_assert!((kl - brute(&row, &now)).abs() < 1e-11, "{} {}", kl, brute(&row, &now));
            // KL(p ‖ p·e^δ/Z) = ln E[e^δ] − E[δ].
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            let mean = |f: &dyn Fn(f64) -> f64| -> f64 {
                row.iter().zip(&delta).map(|(x, d)| f64::from(*x).exp() / sum * f(*d)).sum()
            };
            let closed = mean(&f64::exp).ln() - mean(&|d| d);
            prop_assert!((kl - closed).abs() < 1e-11, "{} {}", kl, closed);
            // Hoeffding's lemma bounds it by the squared range over 8.
            let range = delta.iter().copied().fold(f64::MIN, f64::max) - delta.iter().copied().fold(f64::MAX, f64::min);
            prop_assert!(kl <= range * range / 8.0 + 1e-12);
            prop_assert!(kl >= -1e-12);
        }

        #[test]
        fn a_shift_of_all_logits_moves_nothing((row, _) in rows(), shift in -8_i8..8) {
            // Whole numbers, so that the shift is exact.
            let row: Vec<f32> = row.iter().map(|x| x.round()).collect();
            let now: Vec<f32> = row.iter().map(|x| x + f32::from(shift)).collect();
            prop_assert!(forward_kl(logits(row.len(), &row), logits(row.len(), &now)).abs() < 1e-13);
        }

        #[test]
        fn mass_is_neither_made_nor_lost((row, delta) in rows()) {
            let now: Vec<f32> = row.iter().zip(&delta).map(|(x, d)| x + d).collect();
            let found = moved([(logits(row.len(), &row), logits(row.len(), &now))], row.len());
            let sum = |part: &[(u32, f64)]| part.iter().map(|(_, mass)| mass).sum::<f64>();
            prop_assert!((sum(&found.gained) - sum(&found.lost)).abs() < 1e-12);
        }
    }
}
