//! What should happen to Adam's moments when only a part of an update is taken.

use ftrisk::train::engine::Engine;
use ftrisk::train::optim::{Matrices, Moments, Proposal};
use ftrisk::train::state::State;
use serde_json::{Value, json};

use super::bench::{Answers, Bench, Outcome};
use super::poison::magnified;
use super::runs::{Run, short};

/// The moments after `scale` times an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// No bound: every update whole.
    Free,
    /// Those of the whole proposal.
    Kept,
    /// Those from before.
    Restored,
    /// Those of the whole proposal where at least half of it was taken, else those from before.
    ByHalf,
    /// Between the two by the scale: raw means, count of steps as after the whole.
    Mixed,
    /// The same between the means as corrected for their start.
    MixedCorrected,
}

/// Where the bound bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// At a rate where every update is too large.
    Sound,
    /// At a rate where the first update is too large, and few others need to be.
    Mild,
    /// The held-out rows are not its task: there the loss only tells how much else was lost.
    Narrow,
    /// Sound with one gradient a thousand times too large.
    Poisoned,
}

pub const UPDATES: u64 = 40;
const BOUND: f64 = 1e-3;
const POISONED: u64 = 20;
const LEAST: f64 = 1.0 / 64.0;
/// The bound is read on every second snippet, the total on all.
const NTH: usize = 2;

/// Trains under the bound.
pub fn measure(rule: Rule, case: Case, seed: u64) -> Outcome<Value> {
    let run = Run {
        data: if case == Case::Narrow { "narrow" } else { "sound" },
        rate: if case == Case::Mild { 5e-3 } else { 1e-2 },
        seed,
        updates: UPDATES,
        ..Run::default()
    };
    let bench = Bench::new(&run.keys())?;
    let mut state = bench.start.clone();
    let mut last = bench.answers(None, NTH)?;
    let (mut losses, mut scales, mut tries) = (Vec::new(), Vec::new(), 0);
    let (mut held, mut path) = (Vec::new(), 0.0);
    for update in 1..=UPDATES {
        let step = bench.engine.propose(&state, 0)?;
        losses.push(short(step.loss));
        let proposal = match case {
            Case::Poisoned if update == POISONED => magnified(&bench.engine, &state, &step, 1e3)?,
            _ => step.proposal,
        };
        let (scale, now, read) = search(&bench, &state, &proposal, &last, rule)?;
        tries += read;
        scales.push(short(scale));
        state = if scale > 0.0 {
            let taken = state.after(&proposal, scale)?;
            State {
                moments: moments(rule, &bench.engine, &state.moments, proposal, scale),
                ..taken
            }
        } else {
            state.skipped()
        };
        path += bench.root_js(&last, &now);
        last = now;
        if update % 20 == 0 {
            held.push(short(bench.held_out(&state.adapter)?));
        }
    }
    let (base, now) = (bench.answers(None, 1)?, bench.answers(Some(&state.adapter), 1)?);
    Ok(json!({
        "losses": losses,
        "scales": scales,
        "tries": tries,
        "held": held,
        "drift": short(bench.kl(&base, &now)),
        "path": short(path),
    }))
}

/// The part of the update that fits, 0 for none, with what the model then says and how often it was asked.
fn search(
    bench: &Bench,
    state: &State,
    proposal: &Proposal,
    last: &Answers,
    rule: Rule,
) -> Outcome<(f64, Answers, u64)> {
    let mut scale = 1.0;
    for read in 1.. {
        let now = bench.answers(Some(&state.after(proposal, scale)?.adapter), NTH)?;
        let kl = bench.kl(last, &now);
        if kl <= BOUND || rule == Rule::Free {
            return Ok((scale, now, read));
        }
        if scale <= LEAST {
            return Ok((0.0, last.clone(), read));
        }
        let next = if read == 1 && kl.is_finite() {
            0.95 * (BOUND / kl).sqrt()
        } else {
            scale / 2.0
        };
        scale = next.max(LEAST);
    }
    Err("a search has an end".into())
}

fn moments(rule: Rule, engine: &Engine, before: &Moments, proposal: Proposal, scale: f64) -> Moments {
    let after = proposal.moments;
    // Before the first step there is nothing to lie between.
    let corrected = rule == Rule::MixedCorrected;
    match rule {
        _ if scale >= 1.0 => after,
        Rule::Free | Rule::Kept => after,
        Rule::ByHalf if scale >= 0.5 => after,
        Rule::Restored | Rule::ByHalf => before.clone(),
        Rule::MixedCorrected if before.step == 0 => after,
        Rule::Mixed | Rule::MixedCorrected => {
            let (old, new) = (before.step as f64, after.step as f64);
            let share = |beta: f64| match corrected {
                true => (1.0 - beta.powf(new)) / (1.0 - beta.powf(old)),
                false => 1.0,
            };
            let (first, second) = (share(engine.optimizer.beta1), share(engine.optimizer.beta2));
            Moments {
                step: after.step,
                first: between(&before.first, &after.first, scale, first),
                second: between(&before.second, &after.second, scale, second),
            }
        }
    }
}

/// `(1 − scale) share · before + scale · after`.
fn between(before: &Matrices, after: &Matrices, scale: f64, share: f64) -> Matrices {
    let one = |(name, after): (&String, &Vec<f32>)| {
        let before = before.get(name).cloned().unwrap_or_else(|| vec![0.0; after.len()]);
        let mix = |(before, after): (&f32, &f32)| {
            ((1.0 - scale) * share * f64::from(*before) + scale * f64::from(*after)) as f32
        };
        (name.clone(), before.iter().zip(after).map(mix).collect())
    };
    after.iter().map(one).collect()
}
