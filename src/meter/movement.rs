//! How far one update moves the weights: ‖ΔW‖_F / ‖W‖_F over all trained matrices.
//!
//! W is what a module multiplies by, the frozen matrix W0 plus `scale` · BA, and ΔW the change of the product. The
//! factors themselves say nothing: BA = (BM)(M⁻¹A) for every invertible M. Squares of norms are passed around, because
//! squares add up over modules and over updates; one that cannot be told is NaN, and the reading is then not finite.

use super::Reading;
use super::square::Square;

/// A product `scale` · BA.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// out × rank, row major.
    pub b: &'a [f32],
    /// rank × in, row major.
    pub a: &'a [f32],
    /// Columns of B and rows of A.
    pub rank: usize,
    /// What the product is multiplied by.
    pub scale: f64,
}

impl Product<'_> {
    fn is_whole(&self) -> bool {
        let whole = |values: &[f32]| !values.is_empty() && values.len().is_multiple_of(self.rank);
        self.rank > 0 && whole(self.b) && whole(self.a)
    }

    /// Numbers of a row of A, the width of the product.
    fn width(&self) -> usize {
        self.a.len() / self.rank
    }
}

/// `movement.relative` of one update: the root of the sum of ‖ΔW‖_F² over the root of the sum of ‖W‖_F², W before the
/// update.
///
/// `modules` gives ‖ΔW‖_F² ([`change`]) and ‖W‖_F² ([`adapted`]) of each trained matrix. Not finite when a number is not,
/// when there is no module, or when every weight is zero.
pub fn relative(modules: impl IntoIterator<Item = (f64, f64)>) -> Reading {
    let (mut changes, mut weights) = (0.0, 0.0);
    for (change, weight) in modules {
        changes += change;
        weights += weight;
    }
    // An infinite weight must not make a movement small.
    Reading::from(if f64::is_finite(weights) {
        (changes / weights).sqrt()
    } else {
        f64::NAN
    })
}

/// The squared Frobenius norm of a matrix, in f64: ‖W0‖_F² of frozen weights, which is worth computing once.
pub fn square(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum()
}

/// ‖W0 + scale · BA‖_F² = ‖W0‖_F² + 2 · scale · ⟨W0, BA⟩ + scale² · ‖BA‖_F².
///
/// `base` is W0, out × in and row major, and `base_square` its [`square`]. ⟨W0, BA⟩ = tr(A W0ᵀ B) costs rank · out · in
/// multiplications, as many as the adapter costs on `out` tokens. NaN when the shapes do not fit.
pub fn adapted(base: &[f32], base_square: f64, product: Product<'_>) -> f64 {
    let Product { b, a, rank, scale } = product;
    if !product.is_whole() || base.len() != b.len() / rank * product.width() {
        return f64::NAN;
    }
    let width = product.width();
    let mut inner = 0.0;
    for (weights, left) in base.chunks_exact(width).zip(b.chunks_exact(rank)) {
        for (left, right) in left.iter().zip(a.chunks_exact(width)) {
            inner += f64::from(*left) * dot(weights, right);
        }
    }
    let rows: Vec<Vec<f64>> = a.chunks_exact(width).map(wide).collect();
    let own = Square::of_columns(rank, b.chunks_exact(rank).map(wide)).dot(&Square::of_rows(&rows));
    // Rounding can leave a sum of squares a little below zero; NaN stays.
    let sum = base_square + 2.0 * scale * inner + scale * scale * own;
    if sum < 0.0 { 0.0 } else { sum }
}

/// ‖ΔW‖_F² of an update from `before` to `after`. NaN when the shapes or the scales differ or a number is none.
///
/// ΔW = scale · (dB · A' + B · dA) with dB = B' − B and dA = A' − A, which f64 holds to the last digit: of B'A' − BA the
/// digits that count would be lost where an update is small. With the factors stacked, P = [dB, B] and Q = [A'; dA],
/// ‖PQ‖_F² is the sum of products of the entries of the 2·rank × 2·rank matrices PᵀP and QQᵀ; no out × in matrix is made.
pub fn change(before: Product<'_>, after: Product<'_>) -> f64 {
    let (rank, scale) = (before.rank, before.scale);
    let alike = before.rank == after.rank
        && before.scale == after.scale
        && before.b.len() == after.b.len()
        && before.a.len() == after.a.len();
    if !before.is_whole() || !alike {
        return f64::NAN;
    }
    let gram_left = Square::of_columns(
        2 * rank,
        before
            .b
            .chunks_exact(rank)
            .zip(after.b.chunks_exact(rank))
            .map(|(old, new)| {
                let mut row = difference(new, old);
                row.extend(old.iter().copied().map(f64::from));
                row
            }),
    );
    let width = before.width();
    let mut rows: Vec<Vec<f64>> = after.a.chunks_exact(width).map(wide).collect();
    let pairs = after.a.chunks_exact(width).zip(before.a.chunks_exact(width));
    rows.extend(pairs.map(|(new, old)| difference(new, old)));
    let sum = scale * scale * gram_left.dot(&Square::of_rows(&rows));
    if sum < 0.0 { 0.0 } else { sum }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn difference(new: &[f32], old: &[f32]) -> Vec<f64> {
    new.iter()
        .zip(old)
        .map(|(new, old)| f64::from(*new) - f64::from(*old))
        .collect()
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCALE: f64 = 2.0;

    fn product<'a>(b: &'a [f32], a: &'a [f32], rank: usize) -> Product<'a> {
        let scale = SCALE;
        Product { b, a, rank, scale }
    }

    /// scale · LR of an out × n and an n × in matrix, entry by entry.
    fn dense(left: &[f64], right: &[f64], n: usize) -> Vec<f64> {
        let width = right.len() / n;
        let entry = |row: &[f64], j: usize| (0..n).map(|k| row[k] * right[k * width + j]).sum::<f64>();
        let rows = left.chunks_exact(n);
        rows.flat_map(|row| (0..width).map(|j| SCALE * entry(row, j)).collect::<Vec<_>>())
            .collect()
    }

    fn sum_of_squares(values: &[f64]) -> f64 {
        values.iter().map(|x| x * x).sum()
    }

    fn close(left: f64, right: f64, most: f64) -> bool {
        (left / right - 1.0).abs() < most
    }

    /// Numbers without a pattern that a Gram matrix could be lucky on.
    fn uneven(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn one_entry_by_hand() {
        // BA = [3 · 2] and then [3 · 2.5]: ΔW = 2 · 1.5; W = 10 + 2 · 6.
        let (before, after) = (product(&[3.0], &[2.0], 1), product(&[3.0], &[2.5], 1));
        assert_eq!(change(before, after), 9.0);
        assert_eq!(adapted(&[10.0], square(&[10.0]), before), 484.0);
        assert_eq!(relative([(9.0, 484.0)]), Reading::from((9.0_f64 / 484.0).sqrt()));
        // Squares are added before the root is taken: (9 + 16) / (400 + 500).
        assert_eq!(relative([(9.0, 400.0), (16.0, 500.0)]), Reading::from(5.0 / 30.0));
        assert_eq!(change(before, before), 0.0);
    }

    #[test]
    fn the_first_update_of_an_adapter_moves_b_alone() {
        // B = 0 and A of orthonormal rows: ‖s·dB·A‖_F = s·‖dB‖_F.
        let (a, zero, moved) = ([1.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0; 8], [0.5_f32; 8]);
        let found = change(product(&zero, &a, 2), product(&moved, &a, 2));
        assert_eq!(found, 4.0 * 8.0 * 0.25);
        // And before it the effective weight is the frozen one.
        let base = uneven(12, 3);
        assert_eq!(adapted(&base, square(&base), product(&zero, &a, 2)), square(&base));
    }

    #[test]
    fn an_update_in_the_last_digits_of_f32_keeps_its_own() {
        let (out, inner, rank) = (40, 30, 4);
        let (b, a) = (uneven(out * rank, 1), uneven(rank * inner, 2));
        let step = |values: &[f32], seed| -> Vec<f32> {
            let signs = uneven(values.len(), seed);
            let moved = values
                .iter()
                .zip(signs)
                .map(|(x, sign)| x + x.abs() * 1e-7 * sign.signum());
            moved.collect()
        };
        let (b2, a2) = (step(&b, 5), step(&a, 6));
        let found = change(product(&b, &a, rank), product(&b2, &a2, rank));
        // Every entry of dB A' + B dA, summed in f64: nothing cancels in it beyond what the update itself does.
        let stacked = |left: &[f64], right: &[f64]| -> Vec<f64> {
            let rows = left.chunks_exact(rank).zip(right.chunks_exact(rank));
            rows.flat_map(|(left, right)| [left, right].concat()).collect()
        };
        let expected = sum_of_squares(&dense(
            &stacked(&difference(&b2, &b), &wide(&b)),
            &[wide(&a2), difference(&a2, &a)].concat(),
            2 * rank,
        ));
        let relative_size = (found / sum_of_squares(&dense(&wide(&b), &wide(&a), rank))).sqrt();
        assert!(relative_size > 1e-8 && relative_size < 1e-6, "{relative_size}");
        assert!(close(found.sqrt(), expected.sqrt(), 1e-12), "{found} {expected}");
        // [B', B] against [A'; −A], the same product written the other way, has lost it.
        let minus: Vec<f64> = wide(&a).iter().map(|x| -x).collect();
        let rows: Vec<Vec<f64>> = [wide(&a2), minus].concat().chunks(inner).map(<[f64]>::to_vec).collect();
        let left = stacked(&wide(&b2), &wide(&b));
        let naive = SCALE * SCALE * Square::of_columns(2 * rank, left.chunks(2 * rank)).dot(&Square::of_rows(&rows));
        assert!(!close(naive.abs().sqrt(), expected.sqrt(), 1e-6), "{naive} {expected}");
    }

    #[test]
    fn what_cannot_be_told_is_no_small_movement() {
        let fine = product(&[1.0, 2.0], &[1.0, 2.0], 2);
        for other in [
            product(&[1.0, f32::NAN], &[1.0, 2.0], 2),
            product(&[1.0, 2.0], &[f32::INFINITY, 2.0], 2),
            product(&[1.0, 2.0, 3.0], &[1.0, 2.0], 2),
            product(&[1.0, 2.0], &[1.0, 2.0], 1),
            Product { scale: 1.0, ..fine },
            Product { rank: 0, ..fine },
            product(&[], &[], 2),
        ] {
            assert!(
                !change(fine, other).is_finite() && !change(other, fine).is_finite(),
                "{other:?}"
            );
        }
        assert!(adapted(&[1.0, 2.0], 5.0, fine).is_nan());
        assert!(adapted(&[f32::NAN], f64::NAN, fine).is_nan());
        for modules in [
            &[][..],
            &[(1.0, 0.0)],
            &[(0.0, 0.0)],
            &[(1.0, f64::INFINITY)],
            &[(f64::NAN, 1.0)],
            &[(f64::INFINITY, 1.0)],
        ] {
            assert_eq!(relative(modules.iter().copied()), Reading::NotFinite, "{modules:?}");
        }
    }

    fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-2.0_f32..2.0, count)
    }

    proptest! {
        #[test]
        fn norms_are_those_of_dense_matrices(
            (rank, b, a, b2, a2) in (1..4_usize).prop_flat_map(|r| {
                (Just(r), numbers(5 * r), numbers(6 * r), numbers(5 * r), numbers(6 * r))
            }),
            base in numbers(30),
        ) {
            let (old, new) = (dense(&wide(&b), &wide(&a), rank), dense(&wide(&b2), &wide(&a2), rank));
            let moved: Vec<f64> = new.iter().zip(&old).map(|(new, old)| new - old).collect();
            let whole: Vec<f64> = base.iter().zip(&old).map(|(w, old)| f64::from(*w) + old).collect();
            let found = change(product(&b, &a, rank), product(&b2, &a2, rank));
            prop_assert!((found - sum_of_squares(&moved)).abs() < 1e-10);
            let found = adapted(&base, square(&base), product(&b, &a, rank));
            prop_assert!((found - sum_of_squares(&whole)).abs() < 1e-10);
        }

        #[test]
        fn another_factoring_of_the_same_product_is_no_movement(b in numbers(10), a in numbers(12), power in -6_i32..6) {
            let by = |values: &[f32], power: i32| -> Vec<f32> { values.iter().map(|x| x * 2.0_f32.powi(power)).collect() };
            let (b2, a2) = (by(&b, power), by(&a, -power));
            let size = sum_of_squares(&dense(&wide(&b), &wide(&a), 2));
            prop_assert!(change(product(&b, &a, 2), product(&b2, &a2, 2)) <= 1e-10 * size.max(1.0));
        }
    }
}
