//! A state under way with what it answered to the probes.

use super::behaviour::Behaviour;
use super::engine::Step;
use super::error::Result;
use super::state::State;
use crate::meter::noise::Noise;

/// A state with what it answered so far.
#[derive(Clone)]
pub struct Live {
    /// The state.
    pub state: State,
    /// What was looked at of it.
    pub behaviour: Behaviour,
    /// What the evaluations so far say of the gradient's noise, summed: one batch alone says too little.
    pub noise: Noise,
}

impl Live {
    /// A state that nothing was asked yet.
    pub fn new(state: State) -> Live {
        Live {
            state,
            behaviour: Behaviour::default(),
            noise: Noise {
                trace: 0.0,
                square: 0.0,
            },
        }
    }

    /// After `scale` times a proposed update.
    ///
    /// # Errors
    /// When candle cannot make the tensors.
    pub fn after(&self, step: &Step, scale: f64) -> Result<Live> {
        Ok(Live {
            noise: self.noise,
            ..Live::new(self.state.after(&step.proposal, scale)?)
        })
    }

    /// After a dropped proposal: the same weights, and another batch.
    pub fn skipped(&self) -> Live {
        Live {
            state: self.state.skipped(),
            behaviour: self.behaviour.without_batch(),
            noise: self.noise,
        }
    }
}
