//! How many directions an adapter uses: the effective rank of the product BA (Roy and Vetterli 2007) and its stable rank.

use super::Reading;
use super::square::Square;

/// exp of the entropy of the normalised singular values of BA: 1 when one direction carries everything, k when k
/// directions carry equal parts, 0 when BA is zero, never above `rank`.
///
/// `b` is out × rank and `a` is rank × in, row major. Singular values below about 1e-7 of the largest are rounding and
/// count as zero.
/// Not finite when a number is not, or when the lengths are no multiples of `rank`.
pub fn effective_rank(b: &[f32], a: &[f32], rank: usize) -> Reading {
    let Some(squares) = squared_singular_values(b, a, rank) else {
        return Reading::NotFinite;
    };
    if squares.is_empty() {
        return Reading::from(0.0);
    }
    let values: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
    let sum: f64 = values.iter().sum();
    let entropy: f64 = values
        .iter()
        .map(|value| {
            let share = value / sum;
            -share * share.ln()
        })
        .sum();
    Reading::from(entropy.exp().clamp(1.0, values.len() as f64))
}

/// ‖BA‖_F² / ‖BA‖_2²: 1 when one direction carries everything, k when k directions carry equal parts, 0 when BA is zero,
/// never above `rank`. Weak directions count for less than in [`effective_rank`].
///
/// Shapes, and what is not finite, as in [`effective_rank`].
pub fn stable_rank(b: &[f32], a: &[f32], rank: usize) -> Reading {
    let Some(squares) = squared_singular_values(b, a, rank) else {
        return Reading::NotFinite;
    };
    let most = squares.iter().copied().fold(0.0, f64::max);
    if most == 0.0 {
        return Reading::from(0.0);
    }
    let sum: f64 = squares.iter().sum();
    Reading::from((sum / most).clamp(1.0, squares.len() as f64))
}

/// The squared singular values of BA that are more than rounding, in no order; none when BA is zero. `None` when a number
/// is not finite, or when the lengths are no multiples of `rank`.
///
/// They come from the rank × rank Gram matrices BᵀB and AAᵀ in f64, so that no out × in matrix is made: with AAᵀ = VΛVᵀ
/// they are the eigenvalues of Λ^½ Vᵀ (BᵀB) V Λ^½.
fn squared_singular_values(b: &[f32], a: &[f32], rank: usize) -> Option<Vec<f64>> {
    let whole = |values: &[f32]| !values.is_empty() && values.len().is_multiple_of(rank);
    if rank == 0 || !whole(b) || !whole(a) || !b.iter().chain(a).all(|value| value.is_finite()) {
        return None;
    }
    let wide = |row: &[f32]| row.iter().copied().map(f64::from).collect::<Vec<f64>>();
    let gram_b = Square::of_columns(rank, b.chunks_exact(rank).map(wide));
    let rows: Vec<Vec<f64>> = a.chunks_exact(a.len() / rank).map(wide).collect();
    let (lambda, vectors) = Square::of_rows(&rows).eigen();
    let root: Vec<f64> = lambda.iter().map(|value| value.max(0.0).sqrt()).collect();
    let turned = vectors.transposed().times(&gram_b).times(&vectors);
    let mut product = Square::zero(rank);
    for (i, left) in root.iter().enumerate() {
        for (j, right) in root.iter().enumerate() {
            // The mean of the two halves, because rounding leaves them apart.
            let middle = f64::midpoint(turned.at(i, j), turned.at(j, i));
            product.set(i, j, left * middle * right);
        }
    }
    let (squares, _) = product.eigen();
    if squares.iter().any(|square| !square.is_finite()) {
        return None;
    }
    let most = squares.iter().copied().fold(0.0, f64::max);
    let noise = most * f64::EPSILON * 16.0 * rank as f64;
    Some(squares.into_iter().filter(|square| *square > noise).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// B and A whose product has these singular values, turned by orthogonal matrices of ones (Hadamard) on both sides.
    fn with_singular_values(values: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let r = values.len();
        let size = r.next_power_of_two().max(2) * 2;
        let sign = |i: usize, j: usize| {
            if (i & j).count_ones().is_multiple_of(2) {
                1.0_f32
            } else {
                -1.0
            }
        };
        let norm = (size as f32).sqrt();
        let b = (0..size)
            .flat_map(|i| (0..r).map(move |k| sign(i, k) / norm * values[k]))
            .collect();
        let a = (0..r).flat_map(|k| (0..size).map(move |j| sign(k, j) / norm)).collect();
        (b, a)
    }

    fn of(values: &[f32]) -> f64 {
        let (b, a) = with_singular_values(values);
        effective_rank(&b, &a, values.len()).as_f64()
    }

    fn expected(values: &[f32]) -> f64 {
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        let entropy: f64 = values
            .iter()
            .map(|v| f64::from(*v) / sum)
            .filter(|share| *share > 0.0)
            .map(|share| -share * share.ln())
            .sum();
        entropy.exp()
    }

    #[test]
    fn known_singular_values() {
        for values in [
            &[3.0_f32][..],
            &[1.0, 1.0],
            &[2.0, 1.0],
            &[4.0, 2.0, 1.0],
            &[5.0, 0.0, 0.0, 0.0],
            &[1.0, 1.0, 1.0, 0.0, 0.0],
            &[1.0; 16],
            &[100.0, 1.0, 0.01],
        ] {
            assert!(
                (of(values) - expected(values)).abs() < 1e-6,
                "{values:?}: {}",
                of(values)
            );
        }
        assert!((of(&[7.0, 0.0, 0.0]) - 1.0).abs() < 1e-9);
        assert!((of(&[2.0; 8]) - 8.0).abs() < 1e-9);
    }

    #[test]
    fn the_stable_rank_of_known_singular_values() {
        for values in [
            &[3.0_f32][..],
            &[2.0, 1.0],
            &[4.0, 2.0, 1.0],
            &[100.0, 1.0, 0.01],
            &[1.0, 1.0, 0.0],
        ] {
            let (b, a) = with_singular_values(values);
            let found = stable_rank(&b, &a, values.len()).as_f64();
            let squares = values.iter().map(|v| f64::from(*v).powi(2));
            let most = squares.clone().fold(0.0, f64::max);
            assert!(
                (found - squares.sum::<f64>() / most).abs() < 1e-6,
                "{values:?}: {found}"
            );
        }
        for rank in [1_usize, 2, 5, 8] {
            // Orthonormal directions of equal strength, then one direction written in many columns.
            let (b, a) = with_singular_values(&vec![2.0; rank]);
            assert!((stable_rank(&b, &a, rank).as_f64() - rank as f64).abs() < 1e-9);
            let alike = stable_rank(&vec![1.0; 3 * rank], &vec![0.5; 4 * rank], rank).as_f64();
            assert!((alike - 1.0).abs() < 1e-12, "{alike}");
        }
    }

    #[test]
    fn zero_and_what_cannot_be_measured() {
        assert_eq!(stable_rank(&[0.0; 8], &[1.0; 8], 2), Reading::from(0.0));
        for (b, a, rank) in [
            (&[f32::NAN; 2][..], &[1.0_f32; 2][..], 1),
            (&[1.0; 2], &[f32::INFINITY; 2], 1),
            (&[1.0; 3], &[1.0; 4], 2),
            (&[], &[1.0; 4], 2),
            (&[1.0; 4], &[1.0; 4], 0),
        ] {
            assert_eq!(stable_rank(b, a, rank), Reading::NotFinite);
        }
        assert_eq!(effective_rank(&[0.0; 8], &[1.0; 8], 2), Reading::from(0.0));
        assert_eq!(effective_rank(&[0.0; 8], &[0.0; 8], 2), Reading::from(0.0));
        assert_eq!(effective_rank(&[f32::NAN; 2], &[1.0; 2], 1), Reading::NotFinite);
        assert_eq!(effective_rank(&[1.0; 2], &[f32::INFINITY; 2], 1), Reading::NotFinite);
        assert_eq!(effective_rank(&[1.0; 3], &[1.0; 4], 2), Reading::NotFinite);
        assert_eq!(effective_rank(&[], &[1.0; 4], 2), Reading::NotFinite);
        assert_eq!(effective_rank(&[1.0; 4], &[1.0; 4], 0), Reading::NotFinite);
    }

    /// rank, B (6 × rank), A (rank × 5).
    fn adapters() -> impl Strategy<Value = (usize, Vec<f32>, Vec<f32>)> {
        (1..5_usize).prop_flat_map(|r| {
            (
                Just(r),
                prop::collection::vec(-2.0_f32..2.0, 6 * r),
                prop::collection::vec(-2.0_f32..2.0, 5 * r),
            )
        })
    }

    proptest! {
        #[test]
        fn never_above_the_rank_and_never_between_zero_and_one((r, b, a) in adapters()) {
            let found = effective_rank(&b, &a, r).as_f64();
            prop_assert!(found <= r as f64 + 1e-9 && (found == 0.0 || found >= 1.0), "{}", found);
            let stable = stable_rank(&b, &a, r).as_f64();
            prop_assert!(stable <= found + 1e-9 && (stable == 0.0) == (found == 0.0), "{} {}", stable, found);
        }

        #[test]
        fn scale_makes_no_difference((r, b, a) in adapters(), power in -20_i32..20) {
            let scaled: Vec<f32> = b.iter().map(|x| x * 2.0_f32.powi(power)).collect();
            let (one, other) = (effective_rank(&b, &a, r).as_f64(), effective_rank(&scaled, &a, r).as_f64());
            prop_assert!((one - other).abs() < 1e-9, "{} {}", one, other);
        }

        #[test]
        fn another_factoring_of_the_product_makes_no_difference((r, b, a) in adapters(), shear in -2_i8..3) {
            // M adds `shear` times each column to the next: B M and M⁻¹ A.
            let shear = f32::from(shear);
            let mut b2 = b.clone();
            for row in b2.chunks_exact_mut(r) {
                for k in (1..r).rev() {
                    row[k] += shear * row[k - 1];
                }
            }
            let mut a2 = a.clone();
            for k in (0..r - 1).rev() {
                for j in 0..5 {
                    a2[k * 5 + j] -= shear * a2[(k + 1) * 5 + j];
                }
            }
            let (one, other) = (effective_rank(&b, &a, r).as_f64(), effective_rank(&b2, &a2, r).as_f64());
            prop_assert!((one - other).abs() < 1e-3, "{} {}", one, other);
        }
    }
}
