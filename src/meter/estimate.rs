//! A reading with what it rests on: how far it might be off, and what each prompt said.

use super::Reading;
use crate::quantity::Finite;

/// A reading with its standard error and the values that it is a mean of.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The reading.
    pub value: Reading,
    /// The standard error over prompts, if the probe is taken as a sample of all prompts; none where fewer than two
    /// prompts, or nothing finite, were read.
    pub standard_error: Option<Finite>,
    /// The value of each prompt, in the probe's order, where the reading is their mean; else empty.
    pub prompts: Vec<Reading>,
}

impl Estimate {
    /// The mean over prompts, the independent unit of a probe; the standard error is the sample's standard deviation
    /// (n − 1) over √n.
    pub fn mean(prompts: Vec<Reading>) -> Estimate {
        let n = prompts.len() as f64;
        let value = Reading::mean(&prompts);
        let mean = value.as_f64();
        let squares: f64 = prompts.iter().map(|x| (x.as_f64() - mean).powi(2)).sum();
        Estimate {
            value,
            standard_error: Finite::new((squares / (n - 1.0) / n).sqrt()),
            prompts,
        }
    }

    /// A statistic of `n` prompts that is no mean, with the delete-one jackknife's standard error (Efron 1982):
    /// `without(i)` is the statistic of all prompts but the `i`th.
    pub fn jackknife(value: Reading, n: usize, without: impl Fn(usize) -> Reading) -> Estimate {
        let left: Vec<Reading> = (0..n).map(without).collect();
        let mean = Reading::mean(&left).as_f64();
        let squares: f64 = left.iter().map(|x| (x.as_f64() - mean).powi(2)).sum();
        let n = n as f64;
        Estimate {
            value,
            standard_error: Finite::new((squares * (n - 1.0) / n).sqrt()).filter(|_| n >= 2.0),
            prompts: Vec::new(),
        }
    }

    /// A reading without an error that anybody could tell: of weights, not of prompts.
    pub fn exact(value: Reading) -> Estimate {
        Estimate {
            value,
            standard_error: None,
            prompts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(values: &[f64]) -> Vec<Reading> {
        values.iter().copied().map(Reading::from).collect()
    }

    #[test]
    fn a_mean_has_the_standard_error_of_the_mean() {
        // Deviations ±1, ±1: s² = 4/3, and s/√4 = √(1/3).
        let found = Estimate::mean(readings(&[1.0, 3.0, 1.0, 3.0]));
        assert_eq!(found.value, 2.0.into());
        let error = found.standard_error.unwrap().get();
        assert!((error - (1.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(Estimate::mean(readings(&[1.0])).standard_error, None);
        assert_eq!(Estimate::mean(Vec::new()).value, Reading::NotFinite);
        let bad = Estimate::mean(readings(&[1.0, f64::NAN]));
        assert_eq!((bad.value, bad.standard_error), (Reading::NotFinite, None));
    }

    #[test]
    fn the_jackknife_of_a_mean_is_the_standard_error_of_the_mean() {
        let values = [0.5, 2.0, -1.0, 4.0, 0.25];
        let mean = Estimate::mean(readings(&values));
        let without = |i: usize| {
            let left: Vec<f64> = (0..values.len()).filter(|j| *j != i).map(|j| values[j]).collect();
            Reading::mean(&readings(&left))
        };
        let found = Estimate::jackknife(mean.value, values.len(), without);
        let difference = found.standard_error.unwrap().get() - mean.standard_error.unwrap().get();
        assert!(difference.abs() < 1e-15, "{difference}");
        assert_eq!(Estimate::jackknife(1.0.into(), 1, |_| 1.0.into()).standard_error, None);
    }
}
