//! A meter's result.

use std::fmt;

use crate::quantity::Finite;

/// A meter's result. What is not finite is a breach, never a small value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A number.
    Value(Finite),
    /// NaN, an infinity, or a meter that failed.
    NotFinite,
}

impl Reading {
    /// The number, if it is one.
    pub fn value(self) -> Option<Finite> {
        match self {
            Reading::Value(value) => Some(value),
            Reading::NotFinite => None,
        }
    }

    /// The mean of readings; not finite when one of them is, or when there is none.
    pub fn mean(readings: &[Reading]) -> Reading {
        let sum: f64 = readings.iter().map(|reading| reading.as_f64()).sum();
        Reading::from(sum / readings.len() as f64)
    }

    /// The number, or NaN.
    pub fn as_f64(self) -> f64 {
        self.value().map_or(f64::NAN, Finite::get)
    }
}

impl From<f64> for Reading {
    fn from(value: f64) -> Self {
        Finite::new(value).map_or(Reading::NotFinite, Reading::Value)
    }
}

impl From<Finite> for Reading {
    fn from(value: Finite) -> Self {
        Reading::Value(value)
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Value(value) => value.fmt(f),
            Reading::NotFinite => f.write_str("not finite"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reading;

    #[test]
    fn what_is_not_finite_stays_so() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Reading::from(value), Reading::NotFinite);
        }
        assert_eq!(Reading::mean(&[1.0.into(), 3.0.into()]), 2.0.into());
        assert_eq!(Reading::mean(&[1.0.into(), Reading::NotFinite]), Reading::NotFinite);
        assert_eq!(Reading::mean(&[]), Reading::NotFinite);
        assert_eq!(Reading::NotFinite.to_string(), "not finite");
    }
}
