//! What a guard rests on: rollback, the accounting of drift, and moments after a part of an update.

use std::fmt::Write as _;

use serde_json::Value;

use super::cells::{
    CASES, Cell, MOMENT_RULES, POISON_SEEDS, POISONS, SCHEDULES, SEEDS, SMOOTH_RATES, SMOOTH_SEEDS, smooth,
};
use super::moments::{Case, Rule};
use super::poison::Poison;
use super::rules::{Cells, Row, Run as _, numbers, sig, two, yes};
use super::sums::{deviation, mean};

/// The KLs of one way back, 10, 20 and 30 updates later.
fn back(cells: &Cells, name: &str, way: &str) -> Option<Vec<f64>> {
    numbers(cells.get(name)?.get(way)?.get("kl")?)
}

pub fn rollback(cells: &Cells) -> Option<Row> {
    let (mut shares, mut helps, mut same) = (Vec::new(), Vec::new(), true);
    for poison in POISONS {
        for seed in POISON_SEEDS {
            let name = Cell::Poison { poison, seed }.to_string();
            let last = |way| back(cells, &name, way)?.last().copied();
            shares.push(last("whole")? / last("weights")?);
            helps.push(last("weights")? / last("none")?);
            same &= cells.get(&name)?.get("whole")?.get("same_bits")?.as_bool()?;
        }
    }
    let most = shares.iter().copied().fold(0.0, f64::max);
    let (low, high) = (
        helps.iter().copied().fold(f64::INFINITY, f64::min),
        helps.iter().copied().fold(0.0, f64::max),
    );
    Some(Row {
        number: "H11",
        what: "a spoilt update rolled back, KL to the clean run 30 updates later",
        rule: "with weights and moments below 5 % of weights alone",
        result: format!(
            "{} %, {}; weights alone leave {:.0} to {:.0} % of the damage",
            if most == 0.0 { "0".to_owned() } else { two(100.0 * most) },
            if same { "the same bits" } else { "not the same bits" },
            100.0 * low,
            100.0 * high
        ),
        holds: yes(most < 0.05 && same),
    })
}

pub fn rollback_table(cells: &Cells) -> String {
    let mut text = String::from(
        "| poison | seed | KL of the spoilt update | back | after 10, 20, 30 updates |\n|---|---|---|---|---|\n",
    );
    for poison in POISONS {
        for seed in POISON_SEEDS {
            let name = Cell::Poison { poison, seed }.to_string();
            let by = cells.get(&name).and_then(|cell| cell.get("spoilt_by")?.as_f64());
            for way in ["none", "weights", "whole"] {
                if let (Some(by), Some(kl)) = (by, back(cells, &name, way)) {
                    let shown: Vec<String> = kl.iter().map(|kl| sig(*kl)).collect();
                    writeln!(
                        text,
                        "| {poison:?} | {seed} | {} | {way} | {} |",
                        sig(by),
                        shown.join(", ")
                    )
                    .ok();
                }
            }
        }
    }
    text
}

pub fn path(cells: &Cells) -> Option<Row> {
    let (mut longer, mut ratios) = (true, Vec::new());
    for seed in SMOOTH_SEEDS {
        let reads = cells.reads(&smooth(3e-4, "constant", seed))?;
        longer &= reads
            .iter()
            .all(|[_, _, _, displacement, path, _]| path >= displacement);
        ratios.push(reads.last().map(|[_, _, kl, _, _, sum]| kl / sum)?);
    }
    let shown: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.0}")).collect();
    Some(Row {
        number: "H15",
        what: "the path in root-JS, and the sum of the updates' KL, at rate 3e-4",
        rule: "path never shorter than displacement; drift over the sum above 10",
        result: shown.join(", "),
        holds: yes(longer && ratios.iter().all(|ratio| *ratio > 10.0)),
    })
}

pub fn path_table(cells: &Cells) -> String {
    let mut text = String::from(
        "| schedule | rate | seed | root JS from the base | path | share | KL from the base | sum of KL | ratio |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for schedule in SCHEDULES {
        for rate in SMOOTH_RATES {
            for seed in SMOOTH_SEEDS {
                let reads = cells.reads(&smooth(rate, schedule, seed)).unwrap_or_default();
                if let Some([_, _, kl, js, path, sum]) = reads.last() {
                    let [share, ratio] = [js / path, kl / sum];
                    let [js, path, kl, sum] = [js, path, kl, sum].map(|x| sig(*x));
                    writeln!(
                        text,
                        "| {schedule} | {rate} | {seed} | {js} | {path} | {share:.2} | {kl} | {sum} | {ratio:.1} |"
                    )
                    .ok();
                }
            }
        }
    }
    text
}

/// What one rule came to in one case: a mean over seeds each.
struct Came {
    seeds: usize,
    held: f64,
    held_deviation: f64,
    loss: f64,
    scaled: f64,
    dropped: f64,
    scale: f64,
    tries: f64,
    drift: f64,
    path: f64,
}

fn came(cells: &Cells, rule: Rule, case: Case) -> Option<Came> {
    let mut columns = vec![Vec::new(); 8];
    for seed in SEEDS {
        let Some(cell) = cells.get(&Cell::Moments { rule, case, seed }.to_string()) else {
            continue;
        };
        let scales = numbers(cell.get("scales")?)?;
        let losses = numbers(cell.get("losses")?)?;
        let number = |key: &str| cell.get(key).and_then(Value::as_f64);
        let row = [
            numbers(cell.get("held")?)?.last().copied()?,
            mean(losses.get(losses.len().checked_sub(10)?..)?),
            scales.iter().filter(|scale| **scale < 1.0).count() as f64,
            scales.iter().filter(|scale| **scale == 0.0).count() as f64,
            mean(&scales),
            number("tries")?,
            number("drift")?,
            number("path")?,
        ];
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let seeds = columns.first()?.len();
    let held_deviation = deviation(columns.first()?);
    let [held, loss, scaled, dropped, scale, tries, drift, path] =
        <[f64; 8]>::try_from(columns.iter().map(|column| mean(column)).collect::<Vec<_>>()).ok()?;
    held.is_finite().then_some(Came {
        seeds,
        held,
        held_deviation,
        loss,
        scaled,
        dropped,
        scale,
        tries,
        drift,
        path,
    })
}

/// The table of the page: held-out loss, drift and scaled updates of each rule in each case.
pub fn moments(cells: &Cells) -> Option<String> {
    let mut text = String::from("| moments | sound | mild | narrow | poisoned |\n|---|---|---|---|---|\n");
    for (rule, words) in [
        (Rule::Kept, "those of the whole update"),
        (Rule::Restored, "those from before"),
        (Rule::MixedCorrected, "interpolated by the part"),
        (
            Rule::ByHalf,
            "**of the whole where at least half is taken, else from before**",
        ),
    ] {
        write!(text, "| {words} |").ok()?;
        for case in CASES {
            let came = came(cells, rule, case)?;
            write!(text, " {:.3}, {:.3}, {:.0} |", came.held, came.drift, came.scaled).ok()?;
        }
        text.push('\n');
    }
    Some(text)
}

/// How far the spoilt updates of a kind moved the model, on average, in nats.
pub fn spoilt_by(cells: &Cells, poison: Poison) -> Option<f64> {
    let by = |seed| {
        cells
            .get(&Cell::Poison { poison, seed }.to_string())?
            .get("spoilt_by")?
            .as_f64()
    };
    let by: Option<Vec<f64>> = POISON_SEEDS.iter().map(|seed| by(*seed)).collect();
    Some(mean(&by?))
}

pub fn moments_table(cells: &Cells) -> String {
    let mut text = String::from(
        "| case | moments | seeds | held-out loss (sd over seeds) | training loss, last ten | scaled of 40 | dropped | mean scale | \
         measurements | drift | path |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for case in CASES {
        for rule in MOMENT_RULES {
            if let Some(came) = came(cells, rule, case) {
                writeln!(
                    text,
                    "| {case:?} | {rule:?} | {} | {:.4} ({:.4}) | {:.4} | {:.1} | {:.1} | {:.2} | {:.0} | {} | {} |",
                    came.seeds,
                    came.held,
                    came.held_deviation,
                    came.loss,
                    came.scaled,
                    came.dropped,
                    came.scale,
                    came.tries,
                    sig(came.drift),
                    sig(came.path)
                )
                .ok();
            }
        }
    }
    text
}
