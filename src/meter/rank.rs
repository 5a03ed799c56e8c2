//! How many directions an adapter really uses: the effective rank of the product BA (Roy and Vetterli 2007).

use super::Reading;

/// Sweeps of the Jacobi method; it converges quadratically, in fewer than ten for any size met here.
const SWEEPS: usize = 60;

/// exp of the entropy of the normalised singular values of BA: 1 when one direction carries everything, k when k
/// directions carry equal parts, 0 when BA is zero, never above `rank`.
///
/// `b` is out × rank and `a` is rank × in, row major. The singular values come from the rank × rank Gram matrices BᵀB
/// and AAᵀ in f64, so that no out × in matrix is made: with AAᵀ = VΛVᵀ they are the square roots of the eigenvalues of
/// Λ^½ Vᵀ (BᵀB) V Λ^½. Singular values below about 1e-7 of the largest are rounding and count as zero.
/// Not finite when a number is not, or when the lengths are no multiples of `rank`.
pub fn effective_rank(b: &[f32], a: &[f32], rank: usize) -> Reading {
    let whole = |values: &[f32]| !values.is_empty() && values.len().is_multiple_of(rank);
    if rank == 0 || !whole(b) || !whole(a) || !b.iter().chain(a).all(|value| value.is_finite()) {
        return Reading::NotFinite;
    }
    let mut gram_b = Square::zero(rank);
    for row in b.chunks_exact(rank) {
        gram_b.add_outer(row);
    }
    let rows: Vec<&[f32]> = a.chunks_exact(a.len() / rank).collect();
    let mut gram_a = Square::zero(rank);
    for (i, one) in rows.iter().enumerate() {
        for (j, other) in rows.iter().enumerate() {
            let dot = one.iter().zip(*other).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            gram_a.set(i, j, dot);
        }
    }
    let (lambda, vectors) = gram_a.eigen();
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
    exp_entropy(&squares, rank)
}

/// From squared singular values to exp of the entropy of the singular values as shares of their sum.
fn exp_entropy(squares: &[f64], rank: usize) -> Reading {
    let most = squares.iter().copied().fold(0.0, f64::max);
    let noise = most * f64::EPSILON * 16.0 * rank as f64;
    let values: Vec<f64> = squares
        .iter()
        .filter(|square| **square > noise)
        .map(|square| square.sqrt())
        .collect();
    if squares.iter().any(|square| !square.is_finite()) {
        return Reading::NotFinite;
    }
    if values.is_empty() {
        return Reading::from(0.0);
    }
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

/// A square matrix, row major.
#[derive(Debug, Clone)]
struct Square {
    size: usize,
    values: Vec<f64>,
}

impl Square {
    fn zero(size: usize) -> Self {
        Square {
            size,
            values: vec![0.0; size * size],
        }
    }

    fn unit(size: usize) -> Self {
        let mut unit = Square::zero(size);
        for i in 0..size {
            unit.set(i, i, 1.0);
        }
        unit
    }

    /// NaN outside of it, so that a slip becomes a reading that is not finite.
    fn at(&self, row: usize, column: usize) -> f64 {
        self.values.get(row * self.size + column).copied().unwrap_or(f64::NAN)
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        if let Some(slot) = self.values.get_mut(row * self.size + column) {
            *slot = value;
        }
    }

    /// Adds row ⊗ row.
    fn add_outer(&mut self, row: &[f32]) {
        for (slots, left) in self.values.chunks_exact_mut(self.size).zip(row) {
            for (slot, right) in slots.iter_mut().zip(row) {
                *slot += f64::from(*left) * f64::from(*right);
            }
        }
    }

    fn transposed(&self) -> Square {
        let mut out = Square::zero(self.size);
        for i in 0..self.size {
            for j in 0..self.size {
                out.set(i, j, self.at(j, i));
            }
        }
        out
    }

    fn times(&self, other: &Square) -> Square {
        let mut out = Square::zero(self.size);
        for i in 0..self.size {
            for j in 0..self.size {
                out.set(i, j, (0..self.size).map(|k| self.at(i, k) * other.at(k, j)).sum());
            }
        }
        out
    }

    /// The eigenvalues of a symmetric matrix, and its eigenvectors as columns, by cyclic Jacobi rotations
    /// (Golub and Van Loan, Matrix Computations, 8.5).
    fn eigen(mut self) -> (Vec<f64>, Square) {
        let size = self.size;
        let mut vectors = Square::unit(size);
        for _ in 0..SWEEPS {
            let mut turned = false;
            for p in 0..size {
                for q in p + 1..size {
                    let (pp, qq, pq) = (self.at(p, p), self.at(q, q), self.at(p, q));
                    // Small beside its own diagonal: small eigenvalues keep their relative accuracy.
                    if pq.abs() <= f64::EPSILON * (pp.abs() * qq.abs()).sqrt() || pq == 0.0 {
                        continue;
                    }
                    turned = true;
                    let theta = (qq - pp) / (2.0 * pq);
                    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                    let cosine = 1.0 / tangent.hypot(1.0);
                    let sine = tangent * cosine;
                    for k in 0..size {
                        let (kp, kq) = (self.at(k, p), self.at(k, q));
                        self.set(k, p, cosine * kp - sine * kq);
                        self.set(k, q, sine * kp + cosine * kq);
                        let (vp, vq) = (vectors.at(k, p), vectors.at(k, q));
                        vectors.set(k, p, cosine * vp - sine * vq);
                        vectors.set(k, q, sine * vp + cosine * vq);
                    }
                    for k in 0..size {
                        let (pk, qk) = (self.at(p, k), self.at(q, k));
                        self.set(p, k, cosine * pk - sine * qk);
                        self.set(q, k, sine * pk + cosine * qk);
                    }
                    // Exactly what the rotation was chosen for.
                    self.set(p, q, 0.0);
                    self.set(q, p, 0.0);
                }
            }
            if !turned {
                break;
            }
        }
        ((0..size).map(|i| self.at(i, i)).collect(), vectors)
    }
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
    fn zero_and_what_cannot_be_measured() {
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
