//! How much more a group of the data weighs in an update than among the samples.
//!
//! A group's share of the update is by projection: with the update u = P Σᵢ gᵢ, P Adam's preconditioner,
//!
//! ```text
//! share = ⟨P Σ_{i in group} gᵢ, u⟩ / |u|²
//! ```
//!
//! Shares by lengths, Σ ‖P gᵢ‖ of the group over that of all, would be between 0 and 1, and miss the point: samples that
//! pull the same way, as those of a template do, add up, while those that differ average out, at the same lengths. The
//! shares by projection see that, sum to 1, and are those of the samples where no group is different, however small it is.
//! They may be negative, where the update goes against a group, and above 1, where another does; the largest over groups
//! is at least 1.

use std::collections::BTreeMap;

use super::Reading;

/// For each group of a batch its share of the update over its share of the samples.
///
/// `parts` has a row for each sample, its part of the batch's gradient as in [`super::noise`], and `groups` what each
/// belongs to; `preconditioner` is that of [`super::top_share::top_share`]. A long answer has a large part, so groups of
/// longer answers are amplified, as they are in training. `None` when a number is not finite, when shapes do not fit, and
/// when there is no update.
pub fn by_group<G: Ord + Copy>(parts: &[Vec<f32>], preconditioner: &[f64], groups: &[G]) -> Option<BTreeMap<G, f64>> {
    if parts.len() != groups.len() || parts.iter().any(|part| part.len() != preconditioner.len()) {
        return None;
    }
    let mut sum = vec![0.0; preconditioner.len()];
    for part in parts {
        for (sum, x) in sum.iter_mut().zip(part) {
            *sum += f64::from(*x);
        }
    }
    // ⟨P x, u⟩ = Σ x P² Σ g: P is on both sides.
    let along: Vec<f64> = sum.iter().zip(preconditioner).map(|(x, p)| x * p * p).collect();
    let whole: f64 = sum.iter().zip(&along).map(|(x, along)| x * along).sum();
    if !whole.is_finite() || whole <= 0.0 {
        return None;
    }
    let mut of_groups: BTreeMap<G, (f64, f64)> = BTreeMap::new();
    for (part, group) in parts.iter().zip(groups) {
        let projection: f64 = part.iter().zip(&along).map(|(x, along)| f64::from(*x) * along).sum();
        let (share, count) = of_groups.entry(*group).or_default();
        *share += projection / whole;
        *count += 1.0;
    }
    let samples = parts.len() as f64;
    let amplified = |(group, (share, count)): (G, (f64, f64))| (group, share / (count / samples));
    Some(of_groups.into_iter().map(amplified).collect())
}

/// `bias.amplification`: the largest of [`by_group`] over the groups that the batch has; 1 where there is one group.
pub fn amplification<G: Ord + Copy>(parts: &[Vec<f32>], preconditioner: &[f64], groups: &[G]) -> Reading {
    let Some(of_groups) = by_group(parts, preconditioner, groups) else {
        return Reading::NotFinite;
    };
    if of_groups.len() == 1 {
        return Reading::from(1.0);
    }
    // `f64::max` would pass over a NaN.
    let largest = |most: f64, share: f64| if share > most || share.is_nan() { share } else { most };
    Reading::from(of_groups.into_values().fold(f64::MIN, largest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Samples with one entry each to themselves, and then the entries that follow for all.
    fn apart(count: usize) -> Vec<Vec<f32>> {
        let row = |i: usize| (0..count).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        (0..count).map(row).collect()
    }

    #[test]
    fn samples_without_a_difference_have_their_share() {
        let parts = apart(8);
        // A group of one and a group of seven, however uneven.
        for alone in 1..8 {
            let groups: Vec<usize> = (0..8).map(|i| usize::from(i >= alone)).collect();
            assert_eq!(amplification(&parts, &[1.0; 8], &groups), 1.0.into());
        }
        assert_eq!(amplification(&[vec![1.0], vec![1.0]], &[1.0], &["a", "b"]), 1.0.into());
    }

    #[test]
    fn samples_that_pull_together_are_amplified_at_the_same_length() {
        // Six that have nothing in common, and two alike: |u|² = 6 + 2², of which the two have 4; their share of the
        // samples is a quarter.
        let mut parts = apart(8);
        parts[7] = parts[6].clone();
        let groups = [0, 0, 0, 0, 0, 0, 1, 1];
        let found = by_group(&parts, &[1.0; 8], &groups).unwrap();
        assert_eq!(found[&0], 0.6 / 0.75);
        assert_eq!(found[&1], 0.4 / 0.25);
        assert_eq!(amplification(&parts, &[1.0; 8], &groups), 1.6.into());
    }

    #[test]
    fn an_update_against_a_group_gives_it_less_than_nothing() {
        // u = 2: the first has 3/2 of it, the second −1/2; twice that over half of the samples.
        let found = by_group(&[vec![3.0], vec![-1.0]], &[1.0], &["a", "b"]).unwrap();
        assert_eq!((found["a"], found["b"]), (3.0, -1.0));
    }

    #[test]
    fn the_preconditioner_weighs_entries() {
        let parts = [vec![1.0, 0.0], vec![0.0, 1.0]];
        // u = (1, 2): 1/5 and 4/5.
        assert_eq!(amplification(&parts, &[1.0, 2.0], &[0, 1]), 1.6.into());
        assert_eq!(amplification(&parts, &[0.0, 2.0], &[0, 1]), 2.0.into());
    }

    #[test]
    fn what_cannot_be_measured() {
        for (parts, preconditioner) in [
            (vec![vec![1.0], vec![-1.0]], vec![1.0]),
            (vec![vec![0.0], vec![0.0]], vec![1.0]),
            (vec![vec![1.0], vec![f32::NAN]], vec![1.0]),
            (vec![vec![f32::INFINITY], vec![1.0]], vec![1.0]),
            (vec![vec![1.0], vec![1.0]], vec![f64::INFINITY]),
            (vec![vec![1.0], vec![1.0]], vec![f64::NAN]),
            (vec![vec![1.0], vec![1.0, 2.0]], vec![1.0]),
            (vec![vec![1.0]], vec![1.0]),
            (vec![vec![], vec![]], vec![]),
        ] {
            for groups in [[0, 1], [0, 0]] {
                assert_eq!(
                    amplification(&parts, &preconditioner, &groups),
                    Reading::NotFinite,
                    "{parts:?}"
                );
            }
        }
        assert_eq!(amplification::<usize>(&[], &[1.0], &[]), Reading::NotFinite);
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_the_largest_is_at_least_one(
            parts in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 4), 6),
            groups in prop::collection::vec(0_usize..3, 6),
        ) {
            let preconditioner = [1.0, 0.5, 4.0, 2.0];
            let Some(found) = by_group(&parts, &preconditioner, &groups) else { return Ok(()) };
            let share = |(group, value): (&usize, &f64)| {
                value * groups.iter().filter(|of| *of == group).count() as f64 / 6.0
            };
            let size: f64 = found.values().map(|x| x.abs()).sum();
            prop_assert!((found.iter().map(share).sum::<f64>() - 1.0).abs() < 1e-12 * size.max(1.0));
            let largest = amplification(&parts, &preconditioner, &groups).as_f64();
            prop_assert!(largest >= 1.0 - 1e-12 * size.max(1.0), "{}", largest);
        }
    }
}
