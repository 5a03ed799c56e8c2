//! The betting test: against `confseq`, how often it is wrong, and how many prompts it takes.

use ftrisk::meter::certainty::{Certainty, Test, alpha_at, prompts_needed};
use serde_json::Value;

use crate::it::harness::read;

fn run(bound: f64, top: f64, alpha: f64, values: &[f64]) -> (Certainty, usize) {
    let mut test = Test::new(bound, top, alpha);
    for (index, value) in values.iter().enumerate() {
        if test.tell((*value).into()) != Certainty::Undecided {
            return (test.certainty(), index + 1);
        }
    }
    (Certainty::Undecided, values.len())
}

/// The capital itself is not to be seen, but it is where it decides: at an α just above 1/K, and not at one just below.
#[test]
fn the_capital_is_that_of_confseq() {
    let fixture: Value = serde_json::from_str(&read("tests/reference/certainty.json")).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        let list = value.as_array().unwrap().iter();
        list.map(|number| number.as_f64().unwrap()).collect()
    };
    let mut compared = 0;
    for stream in fixture["streams"].as_array().unwrap() {
        let (top, bound) = (stream["top"].as_f64().unwrap(), stream["bound"].as_f64().unwrap());
        let values = numbers(&stream["values"]);
        let (below, above) = (numbers(&stream["below"]), numbers(&stream["above"]));
        for (ours, others, certainty) in [(&below, &above, Certainty::Below), (&above, &below, Certainty::Above)] {
            let mut best: f64 = 1e-6;
            for (index, log_capital) in ours.iter().copied().enumerate() {
                let other = others[..=index].iter().copied().fold(0.0, f64::max);
                if log_capital < best + 1e-6 || other > log_capital - 1e-6 {
                    best = best.max(log_capital);
                    continue;
                }
                best = log_capital;
                let values = &values[..=index];
                let found = run(bound, top, (-(log_capital - 1e-9)).exp(), values);
                assert_eq!(found, (certainty, index + 1), "{bound} of {top}, {log_capital}");
                let found = run(bound, top, (-(log_capital + 1e-9)).exp(), values).0;
                assert_eq!(found, Certainty::Undecided, "{bound} of {top}, {log_capital}");
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

/// SplitMix64, for draws that are the same everywhere.
struct Draws(u64);

impl Draws {
    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with this mean, clipped at `top`.
    fn exponential(&mut self, mean: f64, top: f64) -> f64 {
        (-mean * (1.0 - self.uniform()).ln()).min(top)
    }
}

/// With the mean at the bound both certificates are wrong.
#[test]
fn wrong_certificates_are_as_rare_as_asked() {
    const CASES: u32 = 2000;
    const LOOKS: u64 = 4;
    const PROMPTS: usize = 200;
    let (bound, top, alpha) = (0.02, 0.1, 0.05);
    type Law = fn(&mut Draws) -> f64;
    let laws: [(&str, Law); 5] = [
        ("all or nothing", |draws| if draws.uniform() < 0.2 { 0.1 } else { 0.0 }),
        ("uniform", |draws| 0.04 * draws.uniform()),
        ("two values", |draws| if draws.uniform() < 0.5 { 0.01 } else { 0.03 }),
        ("mostly small", |draws| 0.1 * draws.uniform().powi(4)),
        (
            "rarely small",
            |draws| if draws.uniform() < 0.05 { 0.0 } else { 0.02 / 0.95 },
        ),
    ];
    let allowed = alpha + 2.0 * (alpha * (1.0 - alpha) / f64::from(CASES)).sqrt();
    for (name, law) in laws {
        for looks in [1, LOOKS] {
            let (mut below, mut above) = (0, 0);
            for case in 0..CASES {
                let mut draws = Draws(u64::from(case) << 32 | looks);
                let found: Vec<Certainty> = (1..=looks)
                    .map(|look| {
                        let alpha = if looks == 1 { alpha } else { alpha_at(alpha, look) };
                        let values: Vec<f64> = (0..PROMPTS).map(|_| law(&mut draws)).collect();
                        run(bound, top, alpha, &values).0
                    })
                    .collect();
                below += u32::from(found.contains(&Certainty::Below));
                above += u32::from(found.contains(&Certainty::Above));
            }
            let share = |count: u32| f64::from(count) / f64::from(CASES);
            println!("{name}, {looks} looks: below {}, above {}", share(below), share(above));
            assert!(share(below) <= allowed && share(above) <= allowed, "{name}");
        }
    }
}

/// Prompts that it takes at 95 %, median and 90th percentile.
#[test]
fn few_prompts_certify_a_mean_well_inside() {
    for (mean, bound, top, median, most, least) in [
        (0.005, 0.02, 1.0, 225, 235, 165),
        (0.005, 0.02, 0.1, 21, 24, 15),
        (0.01, 0.02, 0.1, 32, 45, 15),
        (0.002, 0.01, 0.1, 41, 45, 32),
    ] {
        let mut took: Vec<usize> = (0..500)
            .map(|case| {
                let mut draws = Draws(case << 32);
                let values: Vec<f64> = (0..2000).map(|_| draws.exponential(mean, top)).collect();
                let (certainty, took) = run(bound, top, 0.05, &values);
                assert_ne!(certainty, Certainty::Above);
                took
            })
            .collect();
        took.sort_unstable();
        println!(
            "{mean} under {bound} of {top}: {}/{}, at least {least}",
            took[250], took[450]
        );
        assert!(took[250] <= median && took[450] <= most, "{} {}", took[250], took[450]);
        assert_eq!(prompts_needed(bound, top, 0.05), Some(least));
        assert!(took[0] as u64 >= least);
    }
    // Means outside.
    for (times, median) in [(2.0, 30), (4.0, 14), (10.0, 9)] {
        let mut took: Vec<usize> = (0..500)
            .map(|case| {
                let mut draws = Draws(case << 32 | 7);
                let values: Vec<f64> = (0..2000).map(|_| draws.exponential(0.02 * times, 1.0)).collect();
                run(0.02, 1.0, 0.05, &values).1
            })
            .collect();
        took.sort_unstable();
        println!("{times} times the bound: {}/{}", took[250], took[450]);
        assert!(took[250] <= median, "{}", took[250]);
    }
}
