//! The tail of drift: what the worst prompts show while the mean is still small.

use super::{Estimate, Reading};

/// The 0.99 quantile over prompts by nearest rank: the smallest reading that at least 99 % of the prompts do not exceed.
///
/// A reading of the probe and no interpolation. With fewer than 100 prompts it is the largest.
///
/// Cost: no forward token beyond those of the per-prompt drift. Read at updates and at evaluations. Standard error: none,
/// because resampling says nothing about a tail that few prompts reach. Not finite when a prompt is, or when there is none.
pub fn tail(prompts: &[Reading]) -> Estimate {
    let values: Option<Vec<f64>> = prompts.iter().map(|x| x.value().map(|x| x.get())).collect();
    let mut values = values.unwrap_or_default();
    values.sort_by(f64::total_cmp);
    // In whole numbers: 0.99 has no exact f64, and ⌈0.99 n⌉ must not turn on its rounding.
    let rank = (values.len() * 99).div_ceil(100);
    let found = rank.checked_sub(1).and_then(|index| values.get(index));
    Estimate::exact(found.map_or(Reading::NotFinite, |value| Reading::from(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_the_nearest() {
        for (n, rank) in [
            (1_u32, 1_u32),
            (2, 2),
            (99, 99),
            (100, 99),
            (101, 100),
            (200, 198),
            (201, 199),
        ] {
            // Largest first, to show that order makes no difference.
            let prompts: Vec<Reading> = (1..=n).rev().map(|x| Reading::from(f64::from(x))).collect();
            let found = tail(&prompts);
            assert_eq!(found.value, f64::from(rank).into(), "{n}");
            assert_eq!((found.standard_error, found.prompts.len()), (None, 0));
        }
    }

    #[test]
    fn what_is_not_finite_is_no_small_tail() {
        let mut prompts = vec![Reading::from(0.0); 300];
        assert_eq!(tail(&prompts).value, 0.0.into());
        prompts[7] = Reading::NotFinite;
        assert_eq!(tail(&prompts).value, Reading::NotFinite);
        assert_eq!(tail(&[]).value, Reading::NotFinite);
    }
}
