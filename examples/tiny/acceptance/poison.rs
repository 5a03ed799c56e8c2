//! One spoilt update, taken back in part or whole.

use ftrisk::train::engine::{Engine, Step};
use ftrisk::train::optim::{Matrices, Proposal};
use ftrisk::train::random::{Purpose, Stream};
use ftrisk::train::state::State;
use serde_json::{Value, json};

use super::bench::{Bench, Outcome};
use super::runs::{Run, short};

/// The number of the spoilt proposal, counted from 0.
const AT: u64 = 30;
/// Updates after it.
const AFTER: u64 = 30;
const READ_EVERY: u64 = 10;

/// How an update is spoilt.
#[derive(Debug, Clone, Copy)]
pub enum Poison {
    /// The gradient a thousand times too large, behind the clipping, as an overflow in a sum would make it.
    Magnified,
    /// The tokens of every answer of the batch in another order.
    Shuffled,
}

/// The proposal of a step with its gradient multiplied.
pub fn magnified(engine: &Engine, state: &State, step: &Step, factor: f64) -> Outcome<Proposal> {
    let beta = engine.optimizer.beta1;
    let before = &state.moments.first;
    // What went into the mean is what it is now without what it was.
    let gradient = |(name, now): (&String, &Vec<f32>)| {
        let old = before.get(name).cloned().unwrap_or_else(|| vec![0.0; now.len()]);
        let fresh =
            |(now, old): (&f32, &f32)| (factor * (f64::from(*now) - beta * f64::from(*old)) / (1.0 - beta)) as f32;
        (name.clone(), now.iter().zip(&old).map(fresh).collect())
    };
    let gradients: Matrices = step.proposal.moments.first.iter().map(gradient).collect();
    let parameters = state.adapter.values()?;
    Ok(engine
        .optimizer
        .propose(&state.moments, &parameters, &gradients, step.rate))
}

/// KL of each way on, to the run that never saw the batch, some updates later.
pub fn measure(poison: Poison, seed: u64) -> Outcome<Value> {
    let run = Run {
        seed,
        updates: AT + AFTER + 1,
        ..Run::default()
    };
    let bench = Bench::new(&run.keys())?;
    let mut state = bench.start.clone();
    while state.proposals < AT {
        state = state.after(&bench.engine.propose(&state, 0)?.proposal, 1.0)?;
    }
    let proposal = match poison {
        Poison::Magnified => magnified(&bench.engine, &state, &bench.engine.propose(&state, 0)?, 1e3)?,
        Poison::Shuffled => {
            let mut spoilt = Bench::new(&run.keys())?;
            for (row, index) in spoilt.engine.rows.iter_mut().zip(0..) {
                let is_answer = |at: &usize| row.answers.get(*at) == Some(&true);
                let places: Vec<usize> = (0..row.tokens.len()).filter(is_answer).collect();
                let mut tokens: Vec<u32> = places.iter().filter_map(|at| row.tokens.get(*at).copied()).collect();
                Stream::new(seed, Purpose::Order, u64::MAX, index).shuffle(&mut tokens);
                for (at, token) in places.into_iter().zip(tokens) {
                    if let Some(place) = row.tokens.get_mut(at) {
                        *place = token;
                    }
                }
            }
            spoilt.engine.propose(&state, 0)?.proposal
        }
    };
    let spoilt = state.after(&proposal, 1.0)?;
    let (was, is) = (
        bench.answers(Some(&state.adapter), 1)?,
        bench.answers(Some(&spoilt.adapter), 1)?,
    );
    let spoilt_by = bench.kl(&was, &is);
    let weights_only = State {
        adapter: state.adapter.clone(),
        ..spoilt.clone()
    };
    let clean = onward(&bench, state.skipped())?;
    let mut result = json!({ "spoilt_by": short(spoilt_by) });
    // Whole: the state from before the update, as the run keeps it, and the batch is spent.
    for (name, from) in [("none", spoilt), ("weights", weights_only), ("whole", state.skipped())] {
        let ways = onward(&bench, from)?;
        let mut reads = Vec::new();
        for (clean, way) in clean.iter().zip(&ways) {
            let (clean, way) = (
                bench.answers(Some(&clean.adapter), 1)?,
                bench.answers(Some(&way.adapter), 1)?,
            );
            reads.push(short(bench.kl(&clean, &way)));
        }
        let bits = |states: &[State]| states.last().map(|state| state.adapter.values()).transpose();
        let same = bits(&clean)? == bits(&ways)?;
        if let Some(result) = result.as_object_mut() {
            result.insert(name.to_owned(), json!({ "kl": reads, "same_bits": same }));
        }
    }
    Ok(result)
}

/// The states every few updates from here.
fn onward(bench: &Bench, mut state: State) -> Outcome<Vec<State>> {
    let mut states = Vec::new();
    for update in 1..=AFTER {
        state = state.after(&bench.engine.propose(&state, 0)?.proposal, 1.0)?;
        if update % READ_EVERY == 0 {
            states.push(state.clone());
        }
    }
    Ok(states)
}
