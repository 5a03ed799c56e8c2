//! How widely drift varies over prompts.

use super::{Estimate, Reading};

/// The standard deviation (n − 1) of readings as numbers; NaN for fewer than two.
fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    if n < 2.0 {
        // The empty sum over −1 would be a zero.
        return f64::NAN;
    }
    let mean = values.clone().sum::<f64>() / n;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    (squares / (n - 1.0)).sqrt()
}

/// The standard deviation (n − 1) over prompts of their KL, in nats.
///
/// Cost: no forward token beyond those of the per-prompt drift. Read at evaluations. Standard error: jackknife over
/// prompts, from three prompts on. Not finite when a prompt is, or when there are fewer than two.
pub fn spread(prompts: &[Reading]) -> Estimate {
    let values = prompts.iter().map(|prompt| prompt.as_f64());
    let without = |left_out: usize| {
        let rest = values.clone().enumerate().filter(move |(i, _)| *i != left_out);
        Reading::from(deviation(rest.map(|(_, value)| value)))
    };
    Estimate::jackknife(deviation(values.clone()).into(), prompts.len(), without)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Estimate {
        spread(&values.iter().copied().map(Reading::from).collect::<Vec<_>>())
    }

    #[test]
    fn of_few_prompts() {
        // Deviations −2, −1, 3 from 4: 14 over 2.
        let found = of(&[2.0, 3.0, 7.0]);
        assert!((found.value.as_f64() - 7.0_f64.sqrt()).abs() < 1e-15);
        // Left out one by one: 4/√2, 5/√2, 1/√2; their squared deviations sum to 13/3, times (n − 1)/n.
        let error = found.standard_error.unwrap().get();
        assert!((error - (26.0_f64 / 9.0).sqrt()).abs() < 1e-14, "{error}");
        assert_eq!(of(&[0.5; 4]).value, 0.0.into());
        assert_eq!(of(&[0.5; 4]).standard_error.unwrap().get(), 0.0);
        let two = of(&[1.0, 3.0]);
        assert!((two.value.as_f64() - 2.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(two.standard_error, None);
    }

    #[test]
    fn what_cannot_be_measured_is_not_finite() {
        for values in [&[][..], &[1.0], &[1.0, f64::NAN, 2.0]] {
            let found = of(values);
            assert_eq!((found.value, found.standard_error), (Reading::NotFinite, None));
        }
    }
}
