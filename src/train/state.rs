//! Where a run stands: everything that an update changes, as one value.
//!
//! Nothing in it is mutated. A proposal makes another state beside the old one, committing is taking the new one, and
//! rolling back is taking an older one: what is restored is the whole of it by construction.

use super::error::Result;
use super::lora::Adapter;
use super::optim::{Moments, Proposal};

/// From this part of an update on, its moments are taken over.
const MOST_OF_IT: f64 = 0.5;

/// The state of a run between two updates. Cloning shares the tensors.
#[derive(Debug, Clone)]
pub struct State {
    /// The trained weights.
    pub adapter: Adapter,
    /// The optimizer's moments, with its own count of steps.
    pub moments: Moments,
    /// Updates proposed so far, dropped ones included: the place in the data, and the number of the update.
    pub proposals: u64,
    /// Updates committed so far: the place in the learning-rate schedule.
    pub commits: u64,
}

impl State {
    /// Before the first update.
    pub fn new(adapter: Adapter) -> State {
        State {
            adapter,
            moments: Moments::default(),
            proposals: 0,
            commits: 0,
        }
    }

    /// The state after `scale` times the proposed update.
    ///
    /// Where at least half of it is taken the moments are those of the whole proposal, else those from before: a batch that
    /// was refused for the most part does not steer what comes after it. By experiment (`examples/tiny/acceptance`): so no
    /// more updates have to be scaled than with moments always taken over, and a spoilt gradient leaves no trace.
    ///
    /// # Errors
    /// When candle cannot make the tensors.
    pub fn after(&self, proposal: &Proposal, scale: f64) -> Result<State> {
        Ok(State {
            adapter: self.adapter.with(&proposal.deltas, scale)?,
            moments: if scale >= MOST_OF_IT {
                proposal.moments.clone()
            } else {
                self.moments.clone()
            },
            proposals: self.proposals + 1,
            commits: self.commits + 1,
        })
    }

    /// The state after a dropped proposal: the batch is spent, and nothing else happened.
    pub fn skipped(&self) -> State {
        State {
            proposals: self.proposals + 1,
            ..self.clone()
        }
    }
}
