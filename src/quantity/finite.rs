//! The only number that crosses rooms.

use std::cmp::Ordering;
use std::fmt;

/// A number that is neither NaN nor infinite, and never −0.
///
/// A reading that is not finite cannot become one of these, so it cannot be mistaken for a small value.
#[derive(Clone, Copy, PartialEq)]
pub struct Finite(f64);

impl Finite {
    /// Zero.
    pub const ZERO: Finite = Finite(0.0);
    /// One.
    pub const ONE: Finite = Finite(1.0);

    /// `None` for NaN and for both infinities.
    pub fn new(value: f64) -> Option<Self> {
        // Adding zero turns −0 into 0, which keeps `Ord` and `Eq` in agreement.
        value.is_finite().then_some(Finite(value + 0.0))
    }

    /// The number itself.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The shortest decimal that reads back as this number, in the notation a person would choose: `2e-4`, `0.05`, `16`.
    pub fn shortest(value: f64) -> String {
        let size = value.abs();
        let is_count = value.fract() == 0.0 && size < 1e15;
        if is_count || (1e-3..1e7).contains(&size) || !value.is_finite() {
            format!("{value}")
        } else {
            format!("{value:e}")
        }
    }

    /// `value` to the 15 decimal digits that every f64 holds, so that the product of two decimals is the decimal that a
    /// person computes: 1e-4 × 3 is 3e-4. It never falls where `value` rises.
    pub fn decimal(value: f64) -> f64 {
        if value == 0.0 || !value.is_finite() {
            return value;
        }
        // Fifteen digits as a whole number are exact, and so is a power of ten up to 10^22: the division rounds once.
        for power in POWERS_OF_TEN {
            let scaled = value * power;
            if scaled.abs() >= 1e14 {
                return scaled.round() / power;
            }
        }
        format!("{value:.14e}").parse().unwrap_or(value)
    }

    /// `value` in as few digits as keep it on its own side of `bound`, so that a number shown never contradicts its verdict.
    pub fn beside(value: f64, bound: f64) -> String {
        for digits in 3..17 {
            if let Ok(rounded) = format!("{value:.digits$e}").parse::<f64>()
                && rounded.partial_cmp(&bound) == value.partial_cmp(&bound)
            {
                return Self::shortest(rounded);
            }
        }
        Self::shortest(value)
    }
}

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Debug for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::shortest(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Finite;

    #[test]
    fn what_is_not_finite_is_refused() {
        assert_eq!(Finite::new(f64::NAN), None);
        assert_eq!(Finite::new(f64::INFINITY), None);
        assert_eq!(Finite::new(f64::NEG_INFINITY), None);
        assert_eq!(Finite::new(-0.0).map(|x| x.get().to_bits()), Some(0));
    }

    #[test]
    fn shown_as_people_write_it() {
        for (value, text) in [
            (2e-4, "2e-4"),
            (0.05, "0.05"),
            (16.0, "16"),
            (1e-3, "0.001"),
            (0.0, "0"),
            (65_536.0, "65536"),
            (261_619_713.0, "261619713"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(Finite::shortest(value), text);
        }
    }

    #[test]
    fn products_of_decimals_are_decimals() {
        assert_eq!(Finite::decimal(1e-4 * 3.0), 3e-4);
        assert_eq!(Finite::decimal(0.07 * 100.0), 7.0);
        assert_eq!(Finite::decimal(0.1 + 0.2), 0.3);
        assert_eq!(Finite::decimal(2e-4), 2e-4);
        assert!(Finite::decimal(f64::INFINITY).is_infinite());
        // Both ways of rounding agree, at any size.
        for value in [
            1.0 / 3.0,
            2.0 / 3e7,
            12_345.678_901_234_567,
            9.999_999_999_999_999e-5,
            5e-324,
            1e300,
        ] {
            let written: f64 = format!("{value:.14e}").parse().unwrap();
            assert_eq!(Finite::decimal(value), written, "{value}");
        }
    }

    #[test]
    fn a_number_shown_stays_on_its_side_of_the_bound() {
        assert_eq!(Finite::beside(0.1 + 0.2, 0.2), "0.3");
        assert_eq!(Finite::beside(0.1 + 0.2, 0.3), "0.30000000000000004");
        assert_eq!(Finite::beside(15.999_999, 16.0), "15.999999");
        assert_eq!(Finite::beside(2.0 / 3.0, 0.5), "0.6667");
    }
}
