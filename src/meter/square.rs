//! Small square matrices in f64: Gram matrices of low-rank factors, and their eigenvalues.

/// Sweeps of the Jacobi method; it converges quadratically, in fewer than ten for any size met here.
const SWEEPS: usize = 60;

/// A square matrix, row major.
#[derive(Debug, Clone)]
pub(super) struct Square {
    size: usize,
    values: Vec<f64>,
}

impl Square {
    pub(super) fn zero(size: usize) -> Self {
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
    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.values.get(row * self.size + column).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn set(&mut self, row: usize, column: usize, value: f64) {
        if let Some(slot) = self.values.get_mut(row * self.size + column) {
            *slot = value;
        }
    }

    /// PᵀP of a matrix P of which these are the rows, `size` numbers each.
    pub(super) fn of_columns<R: AsRef<[f64]>>(size: usize, rows: impl IntoIterator<Item = R>) -> Self {
        let mut gram = Square::zero(size);
        for row in rows {
            let row = row.as_ref();
            for (slots, left) in gram.values.chunks_exact_mut(size).zip(row) {
                for (slot, right) in slots.iter_mut().zip(row) {
                    *slot += left * right;
                }
            }
        }
        gram
    }

    /// QQᵀ of a matrix Q of which these are the rows, all of one length.
    pub(super) fn of_rows<R: AsRef<[f64]>>(rows: &[R]) -> Self {
        let mut gram = Square::zero(rows.len());
        for (i, one) in rows.iter().enumerate() {
            for (j, other) in rows.iter().enumerate() {
                let dot = one.as_ref().iter().zip(other.as_ref()).map(|(x, y)| x * y).sum();
                gram.set(i, j, dot);
            }
        }
        gram
    }

    /// The sum of the products of entries: tr(XYᵀ).
    pub(super) fn dot(&self, other: &Square) -> f64 {
        self.values.iter().zip(&other.values).map(|(x, y)| x * y).sum()
    }

    pub(super) fn transposed(&self) -> Square {
        let mut out = Square::zero(self.size);
        for i in 0..self.size {
            for j in 0..self.size {
                out.set(i, j, self.at(j, i));
            }
        }
        out
    }

    pub(super) fn times(&self, other: &Square) -> Square {
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
    pub(super) fn eigen(mut self) -> (Vec<f64>, Square) {
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
    use super::Square;

    #[test]
    fn grams_and_eigenvalues_of_a_matrix_known_by_hand() {
        let rows = [[1.0, 2.0], [0.0, 2.0], [2.0, 0.0]];
        let (columns, lines) = (Square::of_columns(2, rows), Square::of_rows(&rows));
        assert_eq!(columns.values, [5.0, 2.0, 2.0, 8.0]);
        assert_eq!(lines.values, [5.0, 4.0, 2.0, 4.0, 4.0, 0.0, 2.0, 0.0, 4.0]);
        // ‖PᵀP‖_F² = ‖PPᵀ‖_F².
        assert_eq!(columns.dot(&columns), lines.dot(&lines));
        // (5 − λ)(8 − λ) = 4.
        let (mut values, vectors) = columns.clone().eigen();
        for (k, value) in values.iter().enumerate() {
            for i in 0..2 {
                let turned: f64 = (0..2).map(|j| columns.at(i, j) * vectors.at(j, k)).sum();
                assert!((turned - value * vectors.at(i, k)).abs() < 1e-14);
            }
        }
        values.sort_by(f64::total_cmp);
        assert!((values[0] - 4.0).abs() < 1e-14 && (values[1] - 9.0).abs() < 1e-14);
    }
}
