//! Exponentials, sums and maxima of f32 slices, written so that they are vectorised, always in the same order.
//!
//! A plain fold is one long chain of additions that a compiler may not reorder. Here [`LANES`] chains run side by side and
//! are joined at the end: the order is another one, and as fixed.

const LANES: usize = 8;

/// Adding it to a number below 2²² rounds to a whole number, which then stands in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// `e^x` with a relative error below 1e-7 for x from −87 to 88; 0 below, infinite above, NaN for NaN.
///
/// `e^x = 2^n · e^r` with n whole and `|r| ≤ ln 2 / 2`. ln 2 is subtracted in two parts, the first of them (355/512) so short
/// that its product with n is exact (Cody and Waite 1980). `(e^r − 1 − r) / r²` is interpolated at Chebyshev's points.
pub(super) fn exp(x: f32) -> f32 {
    let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = (x - n * (355.0 / 512.0)) + n * 2.121_944_4e-4;
    let q = 1.989_118e-4;
    let q = q * r + 1.393_382_1e-3;
    let q = q * r + 8.333_31e-3;
    let q = q * r + 4.166_646_3e-2;
    let q = q * r + 0.166_666_67;
    let q = q * r + 0.5;
    let fraction = q * (r * r) + r + 1.0;
    // The bits of n, moved to where the exponent stands.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let inside = if x < -87.0 { 0.0 } else { fraction * power };
    if x > 88.0 { f32::INFINITY } else { inside }
}

/// `1 / (1 + e^(−x))`.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Σ over both slices of `term`; what is longer than the other is left out.
pub(super) fn sum(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (mut lefts, mut rights) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    for (left, right) in lefts.by_ref().zip(rights.by_ref()) {
        for (lane, (x, y)) in lanes.iter_mut().zip(left.iter().zip(right)) {
            *lane += term(*x, *y);
        }
    }
    let rest = lefts.remainder().iter().zip(rights.remainder());
    lanes.iter().sum::<f32>() + rest.map(|(x, y)| term(*x, *y)).sum::<f32>()
}

/// The largest number; −∞ of none. A NaN is passed over.
pub(super) fn largest(row: &[f32]) -> f32 {
    let larger = |most: f32, x: f32| if x > most { x } else { most };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in chunks.by_ref() {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *x);
        }
    }
    lanes
        .iter()
        .chain(chunks.remainder())
        .copied()
        .fold(f32::NEG_INFINITY, larger)
}

/// Softmax of `scale · row`, in place. NaN when a number is NaN or +∞.
pub(super) fn softmax(row: &mut [f32], scale: f32) {
    let most = largest(row);
    for x in row.iter_mut() {
        *x = exp((*x - most) * scale);
    }
    let inverse = sum(row, row, |x, _| x).recip();
    for x in row.iter_mut() {
        *x *= inverse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_f64_over_the_whole_range() {
        let mut worst = 0.0_f64;
        // Every 97th positive float up to 88, and its negative.
        for bits in (0..88.0_f32.to_bits()).step_by(97) {
            let x = f32::from_bits(bits);
            for x in [x, (-x).max(-87.0)] {
                worst = worst.max((f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs());
            }
        }
        assert!(worst < 1e-7, "{worst:e}");
    }

    #[test]
    fn exp_at_its_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(-87.1), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(88.1), f32::INFINITY);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(
            [sigmoid(f32::NEG_INFINITY), sigmoid(0.0), sigmoid(f32::INFINITY)],
            [0.0, 0.5, 1.0]
        );
    }

    #[test]
    fn sums_and_maxima_of_every_length() {
        for length in 0..40_u8 {
            // Whole numbers, so that every order gives the same sum.
            let row: Vec<f32> = (0..length).map(|i| f32::from(i * 5 % 31) - 9.0).collect();
            assert_eq!(sum(&row, &row, |x, y| x * y), row.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(largest(&row), row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for bad in [f32::NAN, f32::INFINITY] {
            for place in 0..11 {
                let mut row = [0.5; 11];
                row[place] = bad;
                softmax(&mut row, 1.0);
                assert!(row.iter().all(|p| p.is_nan()), "{bad} at {place}: {row:?}");
            }
        }
    }
}
