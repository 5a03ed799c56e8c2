//! How drift grows within a run, against the number of the update and against the dose.

use std::fmt::Write as _;

use super::cells::{SCHEDULES, SMOOTH_RATES, SMOOTH_SEEDS, smooth};
use super::rules::{Cells, Run as _, sig};
use super::sums::exponent;

/// A clock: where in the run an update stands, from 0 to 1.
type Clock = fn(&[f64; 6], &[f64; 6]) -> f64;

const CLOCKS: [(&str, Clock); 2] = [
    ("t/N", |at, end| at[0] / end[0]),
    ("dose share", |at, end| at[1] / end[1]),
];

/// The largest drift over its allowance when the run ends exactly at its bound and the allowance is the bound times
/// `clock^power`; updates before the tenth part of the run do not count.
fn worst(reads: &[[f64; 6]], clock: Clock, power: f64) -> f64 {
    let Some(end) = reads.last() else { return f64::NAN };
    let late = reads.iter().filter(|at| at[0] >= 0.1 * end[0] && at[1] > 0.0);
    late.map(|at| at[2] / end[2] / clock(at, end).powf(power))
        .fold(f64::NEG_INFINITY, f64::max)
}

/// Exponents of drift against a clock in the first and in the second half of the updates, from the fourth on.
fn exponents(reads: &[[f64; 6]], clock: Clock) -> Option<[f64; 2]> {
    let end = reads.last()?;
    let part = |from: f64, to: f64| {
        let inside = reads.iter().filter(|at| at[0] >= from && at[0] <= to && at[1] > 0.0);
        let points: Vec<(f64, f64)> = inside.map(|at| (clock(at, end), at[2])).collect();
        exponent(&points)
    };
    Some([part(4.0, end[0] / 2.0), part(end[0] / 2.0, end[0])])
}

/// The table of every smooth run that is there.
pub fn table(cells: &Cells) -> String {
    let mut text = String::from(
        "| schedule | rate | seed | drift at the end | KL ~ t^γ early, late | KL ~ dose^γ early, late | worst drift over \
         allowance: t/N | dose share | √(t/N) | √(dose share) |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for schedule in SCHEDULES {
        for rate in SMOOTH_RATES {
            for seed in SMOOTH_SEEDS {
                let Some(reads) = cells.reads(&smooth(rate, schedule, seed)) else {
                    continue;
                };
                let end = reads.last().map_or(f64::NAN, |end| end[2]);
                write!(text, "| {schedule} | {rate} | {seed} | {} |", sig(end)).ok();
                for (_, clock) in CLOCKS {
                    let [early, late] = exponents(&reads, clock).unwrap_or([f64::NAN; 2]);
                    write!(text, " {early:.2}, {late:.2} |").ok();
                }
                for power in [1.0, 0.5] {
                    for (_, clock) in CLOCKS {
                        write!(text, " {:.2} |", worst(&reads, clock, power)).ok();
                    }
                }
                text.push('\n');
            }
        }
    }
    text
}

/// The worst drift over a linear allowance in each cosine run, by update and by dose.
pub fn worsts(cells: &Cells) -> Option<[Vec<f64>; 2]> {
    let mut worsts = CLOCKS.map(|_| Vec::new());
    for rate in SMOOTH_RATES {
        for seed in SMOOTH_SEEDS {
            let reads = cells.reads(&smooth(rate, "cosine", seed))?;
            for ((_, clock), worsts) in CLOCKS.iter().zip(&mut worsts) {
                worsts.push(worst(&reads, *clock, 1.0));
            }
        }
    }
    Some(worsts)
}
