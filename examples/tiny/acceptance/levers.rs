//! What rank and batch do to drift.

use std::fmt::Write as _;

use super::cells::{RANK_SEEDS, RANKS, SCALES, SEEDS, at_batch, at_rank};
use super::rules::{Cells, Row, Run as _, sig, yes};
use super::runs::Scale;
use super::sums::{exponent, mean};

pub fn by_rank(cells: &Cells, scale: Scale) -> Option<Vec<f64>> {
    let of_rank = |rank: &u64| {
        let drifts: Option<Vec<f64>> = RANK_SEEDS
            .iter()
            .map(|seed| cells.drift(&at_rank(*rank, scale, *seed), 40))
            .collect();
        drifts.map(|drifts| mean(&drifts))
    };
    RANKS.iter().map(of_rank).collect()
}

pub fn rank(cells: &Cells) -> Option<Row> {
    let rises = |means: &[f64]| means.is_sorted_by(|a, b| a < b);
    let (per_root, constant) = (by_rank(cells, Scale::PerRoot)?, by_rank(cells, Scale::Constant)?);
    let result = match (rises(&per_root), rises(&constant)) {
        (true, true) => "both rise",
        (true, false) => "at a constant scale it does not rise throughout",
        (false, true) => "under alpha ÷ √rank it does not rise throughout",
        (false, false) => "neither rises throughout",
    };
    Some(Row {
        number: "H8",
        what: "drift against the rank, 1 to 16",
        rule: "rises under alpha ÷ √rank and at a constant scale; no claim under alpha ÷ rank",
        result: result.to_owned(),
        holds: yes(rises(&per_root) && rises(&constant)),
    })
}

pub fn rank_table(cells: &Cells) -> String {
    let mut text = String::from("| scale | seed | 1 | 2 | 4 | 8 | 16 |\n|---|---|---|---|---|---|---|\n");
    for scale in SCALES {
        for seed in RANK_SEEDS {
            let drifts = RANKS.map(|rank| cells.drift(&at_rank(rank, scale, seed), 40).map_or("".to_owned(), sig));
            writeln!(text, "| {scale:?} | {seed} | {} |", drifts.join(" | ")).ok();
        }
    }
    text
}

pub const BATCHES: [u64; 3] = [1, 4, 16];

/// Drift by batch at 40 updates, or at 160 samples.
pub fn by_batch(cells: &Cells, samples: bool, seed: u64) -> Option<Vec<f64>> {
    let at = |batch: &u64| {
        let updates = if samples { 160 / batch } else { 40 };
        cells.drift(&at_batch(*batch, seed), updates)
    };
    BATCHES.iter().map(at).collect()
}

pub fn batch(cells: &Cells) -> Option<Row> {
    let mut slopes = [Vec::new(), Vec::new()];
    for seed in SEEDS {
        for (samples, slopes) in [false, true].into_iter().zip(&mut slopes) {
            let drifts = by_batch(cells, samples, seed)?;
            let points: Vec<(f64, f64)> = BATCHES.map(|batch| batch as f64).into_iter().zip(drifts).collect();
            slopes.push(exponent(&points));
        }
    }
    let [updates, samples] = slopes;
    // From the weakest to the strongest.
    let shown = |slopes: &[f64]| {
        let mut sorted = slopes.to_vec();
        sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let ends = [sorted.first(), sorted.last()].map(|end| end.copied().unwrap_or(f64::NAN));
        ends.map(|slope| format!("{slope:+.2}").replace('-', "−")).join(" to ")
    };
    Some(Row {
        number: "H10",
        what: "drift against the batch, 1 to 16",
        rule: "up at equal updates, down at equal samples",
        result: format!("exponents {} and {}", shown(&updates), shown(&samples)),
        holds: yes(updates.iter().all(|slope| *slope > 0.0) && samples.iter().all(|slope| *slope < 0.0)),
    })
}

pub fn batch_table(cells: &Cells) -> String {
    let mut text = String::from("| matched | seed | 1 | 4 | 16 |\n|---|---|---|---|---|\n");
    for samples in [false, true] {
        for seed in SEEDS {
            if let Some(drifts) = by_batch(cells, samples, seed) {
                let shown: Vec<String> = drifts.iter().map(|kl| sig(*kl)).collect();
                let axis = if samples { "160 samples" } else { "40 updates" };
                writeln!(text, "| {axis} | {seed} | {} |", shown.join(" | ")).ok();
            }
        }
    }
    text
}
