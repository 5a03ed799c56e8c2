//! What is measured, in the order of measuring.

use std::fmt;

use serde_json::Value;

use super::bench::Outcome;
use super::contraction;
use super::forgetting;
use super::moments::{self, Case, Rule};
use super::poison::{self, Poison};
use super::runs::{self, Run, Scale};

/// One measurement; its words are its name.
#[derive(Debug, Clone, Copy)]
pub enum Cell {
    FirstStep { seed: u64 },
    Run(Run),
    Poison { poison: Poison, seed: u64 },
    Moments { rule: Rule, case: Case, seed: u64 },
    Forgetting(Run),
    Contraction { seed: u64 },
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::FirstStep { seed } => write!(f, "first step seed {seed}"),
            Cell::Run(run) => run.fmt(f),
            Cell::Poison { poison, seed } => write!(f, "poison {poison:?} seed {seed}"),
            Cell::Moments { rule, case, seed } => write!(f, "moments {rule:?} {case:?} seed {seed}"),
            Cell::Forgetting(run) => write!(f, "forgetting in {run}"),
            Cell::Contraction { seed } => write!(f, "contraction seed {seed}"),
        }
    }
}

impl Cell {
    pub fn measure(&self) -> Outcome<Value> {
        match *self {
            Cell::FirstStep { seed } => runs::first_step(seed),
            Cell::Run(run) => run.measure(),
            Cell::Poison { poison, seed } => poison::measure(poison, seed),
            Cell::Moments { rule, case, seed } => moments::measure(rule, case, seed),
            Cell::Forgetting(run) => forgetting::measure(&run),
            Cell::Contraction { seed } => contraction::measure(seed),
        }
    }
}

pub const SEEDS: [u64; 3] = [1, 2, 3];
pub const CONTRACTION_SEEDS: [u64; 3] = [1, 2, 3];
pub const POISONS: [Poison; 2] = [Poison::Magnified, Poison::Shuffled];
pub const POISON_SEEDS: [u64; 2] = [1, 2];
pub const CASES: [Case; 4] = [Case::Sound, Case::Mild, Case::Narrow, Case::Poisoned];
pub const MOMENT_RULES: [Rule; 6] = [
    Rule::Kept,
    Rule::Restored,
    Rule::ByHalf,
    Rule::MixedCorrected,
    Rule::Mixed,
    Rule::Free,
];
pub const RATES: [f64; 6] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2];
pub const SCALES: [Scale; 3] = [Scale::PerRank, Scale::PerRoot, Scale::Constant];
pub const RANKS: [u64; 5] = [1, 2, 4, 8, 16];
pub const RANK_SEEDS: [u64; 2] = [1, 2];
/// Rates with updates for one dose, the longest of them.
pub const DOSES: [(f64, u64); 4] = [(3e-4, 120), (1e-3, 36), (3e-3, 12), (9e-3, 4)];
/// What rate times updates is in each of them.
pub const DOSE: f64 = 0.036;
pub const SMOOTH_RATES: [f64; 3] = [3e-4, 1e-3, 3e-3];
pub const SCHEDULES: [&str; 2] = ["constant", "cosine"];
pub const SMOOTH_SEEDS: [u64; 1] = [1];

/// A run of the drift against the rate; the slow one goes on for the dose.
pub fn at_rate(rate: f64, seed: u64) -> Run {
    Run {
        rate,
        seed,
        updates: if rate == 3e-4 { 120 } else { 40 },
        ..Run::default()
    }
}

/// A run of the dose law: one of the above where there is one.
pub fn at_dose(rate: f64, updates: u64, seed: u64) -> Run {
    match RATES.contains(&rate) {
        true => at_rate(rate, seed),
        false => Run {
            rate,
            seed,
            updates,
            ..Run::default()
        },
    }
}

/// A run on other data.
pub fn at_data(data: &'static str, seed: u64) -> Run {
    Run {
        data,
        seed,
        ..Run::default()
    }
}

/// The runs whose forgetting is read: every rate with every rank at 4 rows, and with other batches at rank 8.
pub fn forgetful() -> Vec<Run> {
    let mut runs = Vec::new();
    for rate in [3e-4, 1e-3, 3e-3, 1e-2] {
        for (batch, rank) in [(4, 2), (4, 8), (4, 16), (1, 8), (8, 8)] {
            runs.push(Run {
                rate,
                batch,
                rank,
                ..Run::default()
            });
        }
    }
    runs
}

/// A run of the rank sweep; at rank 8 all scales are one.
pub fn at_rank(rank: u64, scale: Scale, seed: u64) -> Run {
    let scale = if rank == 8 { Scale::Constant } else { scale };
    Run {
        rank,
        scale,
        seed,
        ..Run::default()
    }
}

/// A run of a batch size, long enough for 40 updates and for 160 samples.
pub fn at_batch(batch: u64, seed: u64) -> Run {
    Run {
        batch,
        seed,
        updates: if batch == 1 { 160 } else { 40 },
        ..Run::default()
    }
}

/// A run that is read after every update.
pub fn smooth(rate: f64, schedule: &'static str, seed: u64) -> Run {
    Run {
        rate,
        schedule,
        seed,
        updates: 60,
        every: true,
        ..Run::default()
    }
}

/// The rules that are measured in a case; all in the first.
pub fn rules(case: Case) -> &'static [Rule] {
    match case {
        Case::Sound => &MOMENT_RULES,
        Case::Mild | Case::Narrow | Case::Poisoned => &[Rule::Kept, Rule::Restored, Rule::ByHalf, Rule::MixedCorrected],
    }
}

/// Every cell once.
pub fn all() -> Vec<Cell> {
    let mut cells: Vec<Cell> = SEEDS.map(|seed| Cell::FirstStep { seed }).to_vec();
    for seed in SEEDS {
        if POISON_SEEDS.contains(&seed) {
            cells.extend(POISONS.map(|poison| Cell::Poison { poison, seed }));
        }
        for case in CASES {
            let cell = |rule: &Rule| Cell::Moments {
                rule: *rule,
                case,
                seed,
            };
            cells.extend(rules(case).iter().map(cell));
        }
        push(&mut cells, RATES.map(|rate| at_rate(rate, seed)));
        push(&mut cells, DOSES.map(|(rate, updates)| at_dose(rate, updates, seed)));
    }
    for seed in SMOOTH_SEEDS {
        for schedule in SCHEDULES {
            push(&mut cells, SMOOTH_RATES.map(|rate| smooth(rate, schedule, seed)));
        }
    }
    for seed in SEEDS {
        push(&mut cells, [1, 16].map(|batch| at_batch(batch, seed)));
    }
    for seed in RANK_SEEDS {
        for scale in SCALES {
            push(&mut cells, RANKS.map(|rank| at_rank(rank, scale, seed)));
        }
    }
    push(&mut cells, SEEDS.map(|seed| at_data("narrow", seed)));
    cells.extend(CONTRACTION_SEEDS.map(|seed| Cell::Contraction { seed }));
    cells.extend(forgetful().into_iter().map(Cell::Forgetting));
    cells
}

fn push(cells: &mut Vec<Cell>, runs: impl IntoIterator<Item = Run>) {
    for run in runs {
        let is_there = |cell: &Cell| matches!(cell, Cell::Run(known) if *known == run);
        if !cells.iter().any(is_there) {
            cells.push(Cell::Run(run));
        }
    }
}
