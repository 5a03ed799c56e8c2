//! Closed forms that put a bound into other words, before anything is measured.

use super::Reading;
use super::kl::LEAST;

/// The share of next-token mass that a drift of so many nats has moved at most: the smaller of √(KL/2) (Pinsker) and
/// √(1 − e^−KL) (Bretagnolle and Huber 1979), which bound the total variation.
///
/// Both are concave, so that the share, too, may be taken as a mean over positions and prompts. Below 1.59 nats the
/// first is smaller. A ratio. Not finite when `kl` is, or when it is further below zero than rounding explains.
pub fn translated(kl: Reading) -> Reading {
    let kl = kl.as_f64();
    if kl.is_nan() || kl < LEAST {
        return Reading::NotFinite;
    }
    let kl = kl.max(0.0);
    Reading::from((kl / 2.0).sqrt().min((-(-kl).exp_m1()).sqrt()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::kl::{Logits, forward_kl};
    use super::*;

    #[test]
    fn known_values() {
        for (kl, share) in [
            (0.0, 0.0),
            (0.05, 0.158_113_883),
            (0.5, 0.5),
            (2.0, 0.929_873_495),
            (800.0, 1.0),
        ] {
            assert!((translated(Reading::from(kl)).as_f64() - share).abs() < 1e-9, "{kl}");
        }
        assert_eq!(translated(Reading::from(-1e-12)), 0.0.into());
        assert_eq!(translated(Reading::from(-1e-3)), Reading::NotFinite);
        assert_eq!(translated(Reading::NotFinite), Reading::NotFinite);
    }

    proptest! {
        #[test]
        fn no_more_mass_moves(
            before in prop::collection::vec(-8.0_f32..8.0, 12),
            shift in prop::collection::vec(-8.0_f32..8.0, 12),
            size in 0.0_f32..1.0,
        ) {
            // Three positions of four tokens: the bound holds for the means.
            let now: Vec<f32> = before.iter().zip(&shift).map(|(x, d)| x + d * size).collect();
            let logits = |values| Logits { vocab: 4, values };
            let softmax = |row: &[f32]| -> Vec<f64> {
                let exps: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
                exps.iter().map(|x| x / exps.iter().sum::<f64>()).collect()
            };
            let moved: f64 = before.chunks(4).zip(now.chunks(4)).map(|(x, y)| {
                softmax(x).iter().zip(softmax(y)).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
            }).sum();
            let bound = translated(forward_kl(logits(&before), logits(&now)).into());
            prop_assert!(moved / 3.0 <= bound.as_f64() + 1e-9);
        }
    }
}
