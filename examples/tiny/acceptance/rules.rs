//! What the cells say: one row for each rule, and the tables behind it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::cells::{Cell, DOSE, DOSES, RATES, SEEDS, at_data, at_dose, at_rate};
use super::sums::{deviation, exponent, mean, spearman, spread};
use super::{contraction, forgetting, guarding, levers, pace, runs};

/// The cells that are there, by name.
pub type Cells = BTreeMap<String, Value>;

/// A row of the table.
pub struct Row {
    pub number: &'static str,
    pub what: &'static str,
    pub rule: &'static str,
    pub result: String,
    pub holds: String,
}

/// What a plain run measured.
pub trait Run {
    /// Update, dose, drift, root JS, path, sum of KL.
    fn reads(&self, run: &runs::Run) -> Option<Vec<[f64; 6]>>;
    fn drift(&self, run: &runs::Run, update: u64) -> Option<f64>;
    /// The mean loss of the ten batches up to an update.
    fn loss(&self, run: &runs::Run, update: usize) -> Option<f64>;
    fn held(&self, run: &runs::Run, update: u64) -> Option<f64>;
}

impl Run for Cells {
    fn reads(&self, run: &runs::Run) -> Option<Vec<[f64; 6]>> {
        let rows = self.get(&run.to_string())?.get("reads")?.as_array()?;
        rows.iter().map(|row| numbers(row)?.try_into().ok()).collect()
    }

    fn drift(&self, run: &runs::Run, update: u64) -> Option<f64> {
        let reads = self.reads(run)?;
        reads.iter().find(|read| read[0] == update as f64).map(|read| read[2])
    }

    fn loss(&self, run: &runs::Run, update: usize) -> Option<f64> {
        let losses = numbers(self.get(&run.to_string())?.get("losses")?)?;
        losses.get(update.checked_sub(10)?..update).map(mean)
    }

    fn held(&self, run: &runs::Run, update: u64) -> Option<f64> {
        let held = self.get(&run.to_string())?.get("held")?.as_array()?;
        let of = held
            .iter()
            .find(|of| of.get(0).and_then(Value::as_u64) == Some(update))?;
        of.get(1)?.as_f64()
    }
}

/// The numbers of a JSON array; what is none is NaN.
pub fn numbers(value: &Value) -> Option<Vec<f64>> {
    let of = value.as_array()?.iter().map(|x| x.as_f64().unwrap_or(f64::NAN));
    Some(of.collect())
}

/// A number with three digits.
pub fn sig(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 0.1 => format!("{value:.3}"),
        size if size >= 1e-3 => format!("{value:.5}"),
        _ => format!("{value:.2e}"),
    }
}

/// A number with two digits and no exponent: what the page shows.
pub fn two(value: f64) -> String {
    let places = (1.0 - value.abs().log10().floor()).clamp(0.0, 9.0);
    format!("{value:.0$}", if places.is_nan() { 1 } else { places as usize })
}

/// Whether a rule holds.
pub fn yes(holds: bool) -> String {
    if holds { "holds" } else { "does not hold" }.to_owned()
}

/// The cells of a log by name. A line that broke off counts as none.
pub fn read(log: &str) -> Cells {
    let cell = |line: &str| {
        let found: Value = serde_json::from_str(line).ok()?;
        Some((found.get("cell")?.as_str()?.to_owned(), found))
    };
    log.lines().filter_map(cell).collect()
}

/// The table of the rules whose cells are all there.
pub fn table(cells: &Cells) -> String {
    let rows = [
        first_step(cells),
        rises_with_rate(cells),
        invisible(cells),
        dose(cells),
        forgetting::row(cells),
        contraction::row(cells),
        levers::rank(cells),
        tasks(cells),
        levers::batch(cells),
        guarding::rollback(cells),
        guarding::path(cells),
    ];
    let mut page = String::from("| | what | rule | result | |\n|---|---|---|---|---|\n");
    for Row {
        number,
        what,
        rule,
        result,
        holds,
    } in rows.into_iter().flatten()
    {
        writeln!(page, "| {number} | {what} | {rule} | {result} | {holds} |").ok();
    }
    page
}

/// The tables behind the rules and the sentences.
pub fn tables(cells: &Cells) -> String {
    let mut page = String::new();
    for (title, table) in [
        ("H1: drift of the first update", first_step_table(cells)),
        ("H2, H3: drift and losses after 40 updates", rate_table(cells)),
        ("H4: drift at equal dose", dose_table(cells)),
        ("H5: forgetting", forgetting::table(cells)),
        ("H7: contraction with epochs", contraction::table(cells)),
        ("H8: drift after 40 updates by rank", levers::rank_table(cells)),
        ("H10: drift by batch", levers::batch_table(cells)),
        (
            "H11: KL to the run that never saw the batch",
            guarding::rollback_table(cells),
        ),
        ("H15: path, displacement, sum of KL", guarding::path_table(cells)),
        ("MOM: under a bound on every update", guarding::moments_table(cells)),
        ("RATE: drift within a run", pace::table(cells)),
    ] {
        writeln!(page, "{title}\n\n{table}").ok();
    }
    page
}

/// Rates with drifts of one seed.
fn first_steps(cells: &Cells, seed: u64) -> Option<Vec<(f64, f64)>> {
    let rows = cells.get(&Cell::FirstStep { seed }.to_string())?.get("drift")?;
    let pair = |row: &Value| Some((row.get(0)?.as_f64()?, row.get(1)?.as_f64()?));
    rows.as_array()?.iter().map(pair).collect()
}

fn first_step(cells: &Cells) -> Option<Row> {
    let mut slopes = Vec::new();
    for seed in SEEDS {
        let fitted = |(rate, _): &(f64, f64)| (3e-5..=3e-3).contains(rate);
        let points: Vec<(f64, f64)> = first_steps(cells, seed)?.into_iter().filter(fitted).collect();
        slopes.push(exponent(&points));
    }
    let shown: Vec<String> = slopes.iter().map(|slope| format!("{slope:.3}")).collect();
    Some(Row {
        number: "H1",
        what: "drift of the first update against the rate, 3e-5 to 3e-3",
        rule: "slope 2 ± 0.05",
        result: format!("slopes {} for three seeds", shown.join(", ")),
        holds: yes(slopes.iter().all(|slope| (slope - 2.0).abs() <= 0.05)),
    })
}

fn first_step_table(cells: &Cells) -> String {
    let mut text = String::from("| rate | seeds 1, 2, 3 | KL over rate², seed 1 |\n|---|---|---|\n");
    let all: Vec<Vec<(f64, f64)>> = SEEDS.iter().filter_map(|seed| first_steps(cells, *seed)).collect();
    for rate in runs::STEP_RATES {
        let at: Vec<f64> = all
            .iter()
            .flatten()
            .filter(|(of, _)| *of == rate)
            .map(|(_, kl)| *kl)
            .collect();
        let shown: Vec<String> = at.iter().map(|kl| sig(*kl)).collect();
        let per_square = at.first().map_or(f64::NAN, |kl| kl / rate / rate);
        writeln!(text, "| {rate:e} | {} | {per_square:.1} |", shown.join(", ")).ok();
    }
    text
}

fn drifts_at(cells: &Cells, rate: f64) -> Option<Vec<f64>> {
    SEEDS
        .iter()
        .map(|seed| cells.drift(&at_rate(rate, *seed), 40))
        .collect()
}

fn rises_with_rate(cells: &Cells) -> Option<Row> {
    let (mut points, mut means) = (Vec::new(), Vec::new());
    for rate in RATES {
        let drifts = drifts_at(cells, rate)?;
        means.push(mean(&drifts));
        points.extend(drifts.into_iter().map(|kl| (rate, kl)));
    }
    let rho = spearman(&points);
    let rises = means.is_sorted_by(|a, b| a < b);
    let shown: Vec<String> = means.iter().map(|kl| two(*kl)).collect();
    Some(Row {
        number: "H2",
        what: "drift against the rate, 1e-4 to 3e-2, 3 seeds",
        rule: "Spearman at least 0.95, and every step up raises the mean",
        result: format!("Spearman {rho:.3}; means {}", shown.join(", ")),
        holds: yes(rho >= 0.95 && rises),
    })
}

fn rate_table(cells: &Cells) -> String {
    let mut text = String::from(
        "| rate | seed | drift | training loss, updates 31 to 40 | held-out loss |\n|---|---|---|---|---|\n",
    );
    for rate in RATES {
        for seed in SEEDS {
            let run = at_rate(rate, seed);
            let (Some(kl), Some(loss)) = (cells.drift(&run, 40), cells.loss(&run, 40)) else {
                continue;
            };
            let held = cells.held(&run, 40).unwrap_or(f64::NAN);
            writeln!(text, "| {rate} | {seed} | {} | {loss:.3} | {held:.3} |", sig(kl)).ok();
        }
    }
    text
}

/// The largest ratio of drifts among runs of one seed whose losses are within 5 %, with their rates.
fn least_visible(cells: &Cells, loss: impl Fn(&runs::Run) -> Option<f64>) -> Option<(f64, f64, f64)> {
    let mut largest = (0.0, f64::NAN, f64::NAN);
    for seed in SEEDS {
        for low in RATES {
            for high in RATES {
                let (a, b) = (at_rate(low, seed), at_rate(high, seed));
                let ratio = cells.drift(&b, 40)? / cells.drift(&a, 40)?;
                if spread(&[loss(&a)?, loss(&b)?]) <= 1.05 && ratio > largest.0 {
                    largest = (ratio, low, high);
                }
            }
        }
    }
    Some(largest)
}

fn invisible(cells: &Cells) -> Option<Row> {
    let (ratio, low, high) = least_visible(cells, |run| cells.loss(run, 40))?;
    Some(Row {
        number: "H3",
        what: "drift among runs of one seed with losses within 5 %",
        rule: "a pair with a ratio of at least 1.5",
        result: format!("{ratio:.1}, at rates {low} and {high}"),
        holds: yes(ratio >= 1.5),
    })
}

pub const DOSE_PARTS: [u64; 3] = [4, 2, 1];

/// Drifts at a part of the longest dose, by rate.
fn at_part(cells: &Cells, part: u64, seed: u64) -> Option<Vec<f64>> {
    let at = DOSES
        .iter()
        .map(|(rate, updates)| cells.drift(&at_dose(*rate, *updates, seed), updates / part));
    at.collect()
}

/// The mean drifts over the seeds at a part of the longest dose, by rate.
pub fn means_at_part(cells: &Cells, part: u64) -> Option<Vec<f64>> {
    let mut means = vec![0.0; DOSES.len()];
    for seed in SEEDS {
        for (mean, kl) in means.iter_mut().zip(at_part(cells, part, seed)?) {
            *mean += kl / SEEDS.len() as f64;
        }
    }
    Some(means)
}

fn dose(cells: &Cells) -> Option<Row> {
    let (mut shown, mut beyond) = (Vec::new(), Vec::new());
    for part in DOSE_PARTS {
        let (dose, ratio) = (DOSE / part as f64, spread(&means_at_part(cells, part)?));
        shown.push(format!("{ratio:.2} at dose {dose:.3}"));
        if ratio > 2.0 {
            beyond.push(format!("{dose:.3}"));
        }
    }
    Some(Row {
        number: "H4",
        what: "drift at equal dose, rates 3e-4 to 9e-3",
        rule: "the largest at most twice the smallest",
        result: shown.join(", "),
        holds: match beyond.as_slice() {
            [] => yes(true),
            beyond => format!("{} at dose {}", yes(false), beyond.join(", ")),
        },
    })
}

/// Whether the data decide where a run of the same settings ends.
fn tasks(cells: &Cells) -> Option<Row> {
    let of = |data| -> Option<Vec<f64>> {
        let drifts = SEEDS.iter().map(|seed| cells.drift(&at_data(data, *seed), 40));
        drifts.collect()
    };
    let (sound, narrow) = (of("sound")?, of("narrow")?);
    let pooled = ((deviation(&sound).powi(2) + deviation(&narrow).powi(2)) / 2.0).sqrt();
    let apart = (mean(&sound) - mean(&narrow)).abs() / pooled;
    Some(Row {
        number: "H9",
        what: "drift of the same settings on the sound and on the narrow data, 3 seeds",
        rule: "the means more than 2 pooled deviations apart",
        result: format!(
            "{} and {}, {apart:.1} deviations",
            two(mean(&sound)),
            two(mean(&narrow))
        ),
        holds: yes(apart > 2.0),
    })
}

fn dose_table(cells: &Cells) -> String {
    let mut text = String::from("| dose | seed | 3e-4 | 1e-3 | 3e-3 | 9e-3 |\n|---|---|---|---|---|---|\n");
    for part in DOSE_PARTS {
        for seed in SEEDS {
            if let Some(drifts) = at_part(cells, part, seed) {
                let shown: Vec<String> = drifts.iter().map(|kl| sig(*kl)).collect();
                writeln!(text, "| {:.3} | {seed} | {} |", DOSE / part as f64, shown.join(" | ")).ok();
            }
        }
    }
    text
}
