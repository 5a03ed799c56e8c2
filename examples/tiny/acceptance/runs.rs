//! Plain runs: one step at many rates, and training without a guard.

use std::fmt;

use serde_json::{Value, json};

use super::bench::{Bench, Keys, Outcome};

/// What an adapter is multiplied by, as a function of its rank; 2 at rank 8 for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// alpha = 2r.
    Constant,
    /// alpha/r with alpha 16.
    PerRank,
    /// alpha/√r (rsLoRA) with alpha 2√8.
    PerRoot,
}

/// A run by its settings; two runs with the same words are the same run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    pub data: &'static str,
    pub rate: f64,
    pub schedule: &'static str,
    pub batch: u64,
    pub rank: u64,
    pub scale: Scale,
    pub seed: u64,
    pub updates: u64,
    /// Whether drift is read after every update and not only at some.
    pub every: bool,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            data: "sound",
            rate: 1e-3,
            schedule: "constant",
            batch: 4,
            rank: 8,
            scale: Scale::Constant,
            seed: 1,
            updates: 40,
            every: false,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run {
            data,
            rate,
            schedule,
            batch,
            rank,
            scale,
            seed,
            updates,
            every,
        } = self;
        let every = if *every { " every" } else { "" };
        write!(
            f,
            "run {data} rate {rate} {schedule} batch {batch} rank {rank} {scale:?} seed {seed} updates {updates}{every}"
        )
    }
}

/// Updates after which drift is read; among them 1, 1/3, 1/10 and 1/30 of 30, 60 and 120.
const READ_AT: [u64; 16] = [1, 2, 3, 4, 6, 9, 10, 12, 18, 20, 30, 36, 40, 60, 120, 160];

impl Run {
    pub fn keys(&self) -> Keys {
        let rank = self.rank as f64;
        let (alpha, stabilised) = match self.scale {
            Scale::Constant => (2.0 * rank, false),
            Scale::PerRank => (16.0, false),
            Scale::PerRoot => (2.0 * 8.0_f64.sqrt(), true),
        };
        let warmup = if self.schedule == "constant" { 0.0 } else { 0.1 };
        vec![
            ("dataset", self.data.to_owned()),
            ("learning_rate", self.rate.to_string()),
            ("lr_scheduler_type", self.schedule.to_owned()),
            ("warmup_ratio", format!("{warmup:.1}")),
            ("per_device_train_batch_size", self.batch.to_string()),
            ("lora_rank", self.rank.to_string()),
            ("lora_alpha", format!("{alpha:.9}")),
            ("use_rslora", stabilised.to_string()),
            ("seed", self.seed.to_string()),
            ("max_steps", self.updates.to_string()),
        ]
    }

    /// `reads`: update, dose (sum of rates), drift from the base, root JS from the base, and, for runs that read every
    /// update, the path (sum of root JS) and the sum of the updates' KL. `losses` are each batch's before its update.
    pub fn measure(&self) -> Outcome<Value> {
        let bench = Bench::new(&self.keys())?;
        let base = bench.answers(None, 1)?;
        let (mut state, mut last) = (bench.start.clone(), base.clone());
        let (mut losses, mut reads, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let (mut dose, mut path, mut sum) = (0.0, 0.0, 0.0);
        for update in 1..=self.updates {
            let step = bench.engine.propose(&state, 0)?;
            state = state.after(&step.proposal, 1.0)?;
            losses.push(short(step.loss));
            dose += step.rate;
            if self.every || update == self.updates || READ_AT.contains(&update) {
                let now = bench.answers(Some(&state.adapter), 1)?;
                path += bench.root_js(&last, &now);
                sum += bench.kl(&last, &now);
                let (kl, js) = (bench.kl(&base, &now), bench.root_js(&base, &now));
                reads.push([update as f64, dose, kl, js, path, sum].map(short).to_vec());
                last = now;
            }
            if update == 40 || update == self.updates {
                held.push((update, short(bench.held_out(&state.adapter)?)));
            }
        }
        Ok(json!({ "losses": losses, "held": held, "reads": reads }))
    }
}

/// The rates of the first step; the law is fitted over the five from 3e-5 to 3e-3, and the lowest show where noise begins.
pub const STEP_RATES: [f64; 12] = [1e-8, 1e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2];

/// The drift of the first update at each rate.
pub fn first_step(seed: u64) -> Outcome<Value> {
    let mut bench = Bench::new(&Run { seed, ..Run::default() }.keys())?;
    let base = bench.answers(None, 1)?;
    let mut drift = Vec::new();
    for rate in STEP_RATES {
        bench.engine.peak_rate = rate;
        let step = bench.engine.propose(&bench.start, 0)?;
        let state = bench.start.after(&step.proposal, 1.0)?;
        let now = bench.answers(Some(&state.adapter), 1)?;
        drift.push([rate, bench.kl(&base, &now)]);
    }
    Ok(json!({ "drift": drift }))
}

/// A number with six digits: what is kept of a reading.
pub fn short(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(f64::NAN)
}
