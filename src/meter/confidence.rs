//! How sure a model is of its next token: the largest probability, and the entropy.

use super::kl::Logits;
use super::{Estimate, Reading};

/// Where the largest logit of a row is, the first of equals, and its value; `None` when a logit is not finite.
fn most(row: &[f32]) -> Option<(usize, f64)> {
    let place = row
        .iter()
        .enumerate()
        .reduce(|best, here| if here.1 > best.1 { here } else { best })?;
    row.iter()
        .all(|logit| logit.is_finite())
        .then_some((place.0, f64::from(*place.1)))
}

/// The most likely token, the first of equals, and its probability; `None` when a logit is not finite.
pub(super) fn top(row: &[f32]) -> Option<(usize, f64)> {
    let (token, most) = most(row)?;
    let sum: f64 = row.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
    Some((token, 1.0 / sum))
}

/// H(p) in nats: ln Σ e^z − Σ z e^z / Σ e^z with z the distance below the largest logit, in which no term is negative.
fn row_entropy(row: &[f32]) -> f64 {
    let Some((_, most)) = most(row) else {
        return f64::NAN;
    };
    let (mut sum, mut weighted) = (0.0, 0.0);
    for logit in row {
        let below = most - f64::from(*logit);
        let weight = (-below).exp();
        sum += weight;
        weighted += weight * below;
    }
    sum.ln() + weighted / sum
}

/// The mean over positions, then over prompts.
fn mean<'a>(prompts: impl IntoIterator<Item = Logits<'a>>, of: impl Fn(&[f32]) -> f64) -> Estimate {
    let one = |logits: Logits<'a>| {
        let sum = logits.rows().map(|rows| rows.map(&of).sum::<f64>());
        sum.map_or(Reading::NotFinite, |sum| Reading::from(sum / logits.positions()))
    };
    Estimate::mean(prompts.into_iter().map(one).collect())
}

/// `confidence.top1`: the probability of the most likely next token, mean over positions, then over prompts. A ratio.
///
/// Cost: one forward pass of the probe's tokens, shared with every other meter on that text. Read at evaluations.
/// Standard error: of the mean over prompts. Not finite when a logit is, or when a prompt has no whole row.
pub fn top1<'a>(prompts: impl IntoIterator<Item = Logits<'a>>) -> Estimate {
    mean(prompts, |row| top(row).map_or(f64::NAN, |(_, probability)| probability))
}

/// `confidence.entropy` on given text, `diversity.entropy` along samples: the entropy of the next-token distribution in
/// nats, mean over positions, then over prompts (or samples).
///
/// Cost: one forward pass of the probe's tokens, shared with every other meter on that text; along samples none beyond
/// drawing them, if the logits are kept. Read at evaluations. Standard error: of the mean over prompts. Not finite when a
/// logit is, or when a prompt has no whole row.
pub fn entropy<'a>(prompts: impl IntoIterator<Item = Logits<'a>>) -> Estimate {
    mean(prompts, row_entropy)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logits(vocab: usize, values: &[f32]) -> Logits<'_> {
        Logits { vocab, values }
    }

    #[test]
    fn even_and_certain() {
        for n in [1_usize, 2, 7, 1000] {
            let row = vec![3.5_f32; n];
            let (sure, unsure) = (top1([logits(n, &row)]), entropy([logits(n, &row)]));
            assert!((sure.value.as_f64() * n as f64 - 1.0).abs() < 1e-14);
            assert!((unsure.value.as_f64() - (n as f64).ln()).abs() < 1e-14);
        }
        let row = [f32::MAX, 0.0, -f32::MAX];
        assert_eq!(top1([logits(3, &row)]).value, 1.0.into());
        assert_eq!(entropy([logits(3, &row)]).value, 0.0.into());
        assert_eq!(top(&[1.0, 4.0, 4.0]).unwrap().0, 1);
    }

    #[test]
    fn positions_then_prompts_are_averaged() {
        // One prompt of a certain and an even position, and one of an even one.
        let (one, other) = ([100.0_f32, 0.0, 0.0, 0.0], [0.0_f32, 0.0]);
        let found = top1([logits(2, &one), logits(2, &other)]);
        assert_eq!(found.prompts, [0.75.into(), 0.5.into()]);
        assert_eq!(found.value, 0.625.into());
        assert!((found.standard_error.unwrap().get() - 0.125).abs() < 1e-15);
        let half = std::f64::consts::LN_2 / 2.0;
        assert!((entropy([logits(2, &one), logits(2, &other)]).value.as_f64() - 1.5 * half).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        let good = [0.0_f32, 1.0];
        let meters: [fn(Vec<Logits<'_>>) -> Estimate; 2] = [|all| top1(all), |all| entropy(all)];
        for meter in meters {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for bad in [[bad, 0.0], [0.0, bad]] {
                    let found = meter(vec![logits(2, &good), logits(2, &bad)]);
                    assert_eq!(
                        (found.value, found.prompts[1]),
                        (Reading::NotFinite, Reading::NotFinite)
                    );
                }
            }
            for shape in [logits(2, &[]), logits(0, &good), logits(3, &good)] {
                assert_eq!(meter(vec![shape]).value, Reading::NotFinite);
            }
            assert_eq!(meter(Vec::new()).value, Reading::NotFinite);
        }
    }

    proptest! {
        #[test]
        fn within_their_ranges(row in prop::collection::vec(-30.0_f32..30.0, 1..40)) {
            let n = row.len() as f64;
            let (sure, unsure) = (top1([logits(row.len(), &row)]), entropy([logits(row.len(), &row)]));
            let (sure, unsure) = (sure.value.as_f64(), unsure.value.as_f64());
            prop_assert!(sure >= 1.0 / n - 1e-15 && sure <= 1.0);
            prop_assert!(unsure >= 0.0 && unsure <= n.ln() + 1e-13);
            // The most likely token is never less likely than e^−H.
            prop_assert!(-sure.ln() <= unsure + 1e-13);
        }
    }
}
