//! Jensen-Shannon divergence: bounded, symmetric, and the square of a metric (Endres and Schindelin 2003).

use std::f64::consts::LN_2;

use super::kl::{Logits, log_sum_exp};
use super::{Estimate, Reading};

/// What one prompt can count for in [`clipped`].
///
/// A bound can be certified only for a quantity whose largest value is known, and the number of prompts that it takes
/// grows with that value: none can do with fewer than ln 20 · CLIP / bound at 95 %. At a tenth, 15 prompts may certify
/// 2 % where the whole range would need 150. The price: a prompt that moved beyond it counts as if it had just reached
/// it, so the tail needs a limit of its own.
pub const CLIP: f64 = 0.1;

/// JS of one position in nats.
///
/// With m = (p + q)/2 and u = (p − q)/(p + q) it is Σ m h(u), h(u) = ½ ((1 + u) ln(1 + u) + (1 − u) ln(1 − u)) ≥ 0, and
/// u = tanh(a/2) for a = |ln p − ln q|. No term is negative, so a small divergence is no difference of large numbers, and
/// an error of a log-sum-exp enters by its square.
fn row_js(before: &[f32], now: &[f32]) -> f64 {
    let (lse_before, lse_now) = (log_sum_exp(before), log_sum_exp(now));
    let shift = lse_before - lse_now;
    before
        .iter()
        .zip(now)
        .map(|(before, now)| {
            let (before, now) = (f64::from(*before), f64::from(*now));
            let apart = (before - now - shift).abs();
            let more = (before - lse_before).max(now - lse_now).exp();
            // 1 − e^−a, and e^−a: the smaller probability over the larger.
            let lost = -(-apart).exp_m1();
            let left = 1.0 - lost;
            let u = lost / (1.0 + left);
            let h = if apart < 1.0 {
                // ½ ln(1 − u²) + u artanh(u): −u²/2 + u², not u − u.
                0.5 * (-u * u).ln_1p() + u * apart / 2.0
            } else {
                LN_2 - left.ln_1p() - apart * left / (1.0 + left)
            };
            more * (1.0 + left) / 2.0 * h
        })
        .sum()
}

/// The mean over positions of the Jensen-Shannon divergence in nats: between 0 and ln 2, the same in both directions.
///
/// Accurate relative to its own size: to about 1e-12 while the divergence is above 1e-20. NaN when a logit is not
/// finite, and when the shapes differ or hold nothing.
pub fn js(before: Logits<'_>, now: Logits<'_>) -> f64 {
    let Some(rows) = before.beside(now) else {
        return f64::NAN;
    };
    let sum: f64 = rows.map(|(before, now)| row_js(before, now)).sum();
    // Rounding alone can leave the range; `clamp` keeps a NaN.
    (sum / before.positions()).clamp(0.0, LN_2)
}

/// `drift.clipped`: JS / ln 2 of each prompt, at most [`CLIP`], and their mean. A ratio between 0 and [`CLIP`].
///
/// Cost: one forward pass of the probe's tokens, the one that drift needs. Read at updates and at evaluations. Standard
/// error: of the mean over prompts.
pub fn clipped<'a>(pairs: impl IntoIterator<Item = (Logits<'a>, Logits<'a>)>) -> Estimate {
    let prompts = pairs.into_iter().map(|(before, now)| {
        let share = js(before, now) / LN_2;
        // Not `min`, which would make a NaN the clip.
        Reading::from(if share > CLIP { CLIP } else { share })
    });
    Estimate::mean(prompts.collect())
}

/// The distance between two models on a probe: the root of the mean over prompts of JS, in nats^½.
///
/// It is a metric. The path that a run walked is the sum over its updates, (before, after) each; the displacement is
/// the distance from the base. The path is never shorter, up to rounding (1e-13 of it), and no rollback refunds it.
///
/// Cost: one forward pass of the probe's tokens, the one that drift needs. Read wherever drift is, and shown, never
/// limited. No standard error.
pub fn root_js<'a>(pairs: impl IntoIterator<Item = (Logits<'a>, Logits<'a>)>) -> Reading {
    let prompts: Vec<Reading> = pairs.into_iter().map(|(before, now)| js(before, now).into()).collect();
    Reading::from(Reading::mean(&prompts).as_f64().sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logits(vocab: usize, values: &[f32]) -> Logits<'_> {
        Logits { vocab, values }
    }

    fn of(before: &[f32], now: &[f32]) -> f64 {
        js(logits(before.len(), before), logits(now.len(), now))
    }

    #[test]
    fn two_points_have_the_closed_form() {
        // p = (1/2, 1/2), q = (3/4, 1/4), m = (5/8, 3/8).
        let (p, q, m) = ([0.5, 0.5], [0.75, 0.25], [0.625, 0.375]);
        let kl = |p: [f64; 2]| -> f64 { p.iter().zip(m).map(|(p, m)| p * (p / m).ln()).sum() };
        let found = of(&[0.0, 0.0], &[3.0_f32.ln(), 0.0]);
        assert!((found - f64::midpoint(kl(p), kl(q))).abs() < 1e-8, "{found}");
    }

    #[test]
    fn small_shifts_keep_their_digits() {
        // Even odds moved by ±d/2: p = ½(1, 1), q = ½(1 + t, 1 − t) with t = tanh(d/2), so that JS = d²/32 (1 + O(d²)).
        for power in [4, 8, 12, 18, 24, 30] {
            let d = 0.5_f32.powi(power);
            let found = of(&[0.0, 0.0], &[d, 0.0]);
            let d = f64::from(d);
            assert!(
                (found / (d * d / 32.0) - 1.0).abs() < d * d / 4.0 + 1e-12,
                "{d}: {found}"
            );
        }
        assert_eq!(of(&[1.0, 2.0, -7.5], &[1.0, 2.0, -7.5]), 0.0);
        // A shift of all logits is none: what is left is the square of a rounding.
        assert!(of(&[1.0, 2.0, -7.5], &[4.0, 5.0, -4.5]) < 1e-30);
    }

    #[test]
    fn nothing_in_common_is_ln_2() {
        for far in [800.0, 1e30, f32::MAX] {
            assert_eq!(of(&[far, -far], &[-far, far]), LN_2);
        }
        let (here, there) = ([50.0_f32, 0.0], [0.0_f32, 50.0]);
        let pairs = [
            (logits(2, &here), logits(2, &there)),
            (logits(2, &here), logits(2, &here)),
        ];
        let found = clipped(pairs);
        assert_eq!(found.prompts, [Reading::from(CLIP), Reading::from(0.0)]);
        assert_eq!(found.value, Reading::from(CLIP / 2.0));
        assert!((found.standard_error.unwrap().get() - CLIP / 2.0).abs() < 1e-16);
        assert!((root_js(pairs).as_f64() - (LN_2 / 2.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        let good = [0.0_f32, 1.0];
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bad = [0.0, bad];
            assert!(of(&good, &bad).is_nan() && of(&bad, &good).is_nan() && of(&bad, &bad).is_nan());
            let pairs = [
                (logits(2, &good), logits(2, &good)),
                (logits(2, &good), logits(2, &bad)),
            ];
            assert_eq!(clipped(pairs).value, Reading::NotFinite);
            assert_eq!(clipped(pairs).prompts, [Reading::from(0.0), Reading::NotFinite]);
            assert_eq!(root_js(pairs), Reading::NotFinite);
        }
        assert!(js(logits(2, &good), logits(1, &good)).is_nan());
        assert!(js(logits(2, &good), logits(2, &[0.0; 4])).is_nan());
        assert!(js(logits(0, &[]), logits(0, &[])).is_nan());
        assert_eq!(clipped([]).value, Reading::NotFinite);
        assert_eq!(root_js([]), Reading::NotFinite);
    }

    /// A model's logits on three prompts of four tokens and two positions.
    type Model = Vec<Vec<f32>>;

    fn model(size: f32) -> impl Strategy<Value = Model> {
        prop::collection::vec(prop::collection::vec(-size..size, 8), 3)
    }

    fn distance(one: &Model, other: &Model) -> f64 {
        root_js(one.iter().zip(other).map(|(x, y)| (logits(4, x), logits(4, y)))).as_f64()
    }

    proptest! {
        #[test]
        fn in_range_symmetric_and_as_defined((before, now) in (model(20.0), model(20.0))) {
            for (x, y) in before.iter().zip(&now) {
                let found = js(logits(4, x), logits(4, y));
                prop_assert!((0.0..=LN_2).contains(&found));
                prop_assert_eq!(found, js(logits(4, y), logits(4, x)));
                let softmax = |row: &[f32]| -> Vec<f64> {
                    let exps: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
                    exps.iter().map(|x| x / exps.iter().sum::<f64>()).collect()
                };
                let defined: f64 = x.chunks(4).zip(y.chunks(4)).flat_map(|(x, y)| {
                    softmax(x).into_iter().zip(softmax(y)).map(|(p, q)| {
                        let m = f64::midpoint(p, q);
                        f64::midpoint(p * (p / m).ln(), q * (q / m).ln())
                    })
                }).sum();
                prop_assert!((found - defined / 2.0).abs() < 1e-14, "{} {}", found, defined / 2.0);
            }
        }

        #[test]
        fn a_path_is_never_shorter_than_the_displacement(
            base in model(6.0),
            steps in prop::collection::vec(model(1.0), 1..6),
            small in 0_i32..14,
        ) {
            let (mut at, mut path) = (base.clone(), 0.0);
            for step in &steps {
                let now: Model = at.iter().zip(step).map(|(row, step)| {
                    row.iter().zip(step).map(|(x, d)| x + d * 0.5_f32.powi(small)).collect()
                }).collect();
                path += distance(&at, &now);
                at = now;
            }
            prop_assert!(path >= distance(&base, &at) * (1.0 - 1e-13));
        }

        #[test]
        fn straight_steps_hardly_lose_anything(base in model(6.0), step in model(1.0)) {
            // The hardest case for the inequality: a straight walk, in which both sides are nearly equal.
            let at = |k: f32| -> Model {
                base.iter().zip(&step).map(|(row, step)| row.iter().zip(step).map(|(x, d)| x + d * k).collect()).collect()
            };
            let path: f64 = (0..8_u8).map(|k| distance(&at(f32::from(k) / 64.0), &at(f32::from(k + 1) / 64.0))).sum();
            let displacement = distance(&base, &at(0.125));
            prop_assert!(path >= displacement * (1.0 - 1e-13) && path <= displacement * 1.1, "{} {}", path, displacement);
        }
    }
}
