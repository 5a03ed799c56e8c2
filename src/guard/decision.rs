//! What goes into the guard and what comes out.

use crate::ir::Rung;
use crate::meter::Reading;
use crate::quantity::{Finite, Quantity};

/// A reading of one quantity on one probe. Each is read once, however many limits it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// What was read.
    pub quantity: Quantity,
    /// On which probe: an index into the policy's probes.
    pub probe: Option<usize>,
    /// The result.
    pub reading: Reading,
    /// Its standard error over prompts, where it has one. It decides nothing after the start.
    pub standard_error: Option<Finite>,
    /// Each prompt's value, in the order in which they were evaluated: the evidence of a limit at a confidence. Empty
    /// where no limit asks for it ([`asks_prompts`](super::Guard::asks_prompts)).
    ///
    /// The order is random and the same at every evaluation of a run, so that the prompts are a sample wherever one stops.
    /// The values may end early, where [`is_certain`](super::Guard::is_certain) says that they decide everything that is
    /// asked of them; the reading is then the mean of these.
    pub prompts: Vec<Reading>,
}

impl Measured {
    /// A bare reading.
    pub fn new(quantity: Quantity, probe: Option<usize>, reading: Reading) -> Self {
        Measured {
            quantity,
            probe,
            reading,
            standard_error: None,
            prompts: Vec::new(),
        }
    }
}

/// Why a limit is breached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The reading is outside of the bound.
    Outside,
    /// The reading is NaN, infinite, or its meter failed.
    NotFinite,
    /// The reading was due and is not there.
    Missing,
    /// The bound is a share of the base's reading, which is 0 or was never taken: it bounds nothing.
    NoBase,
    /// The limit is asked at a confidence, and these prompts do not certify that it holds.
    Uncertain {
        /// How many there are.
        prompts: u64,
    },
}

/// A limit that a reading broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The limit: an index into the policy's lines.
    pub line: usize,
    /// What was read.
    pub quantity: Quantity,
    /// On which probe: an index into the policy's probes.
    pub probe: Option<usize>,
    /// The reading that broke it; for a step that was scaled, the reading of the whole update.
    pub reading: Reading,
    /// The bound in the quantity's own measure; 0 when there is no base to take a share of.
    pub bound: Finite,
    /// Whether the bound is a floor.
    pub is_floor: bool,
    /// Why it is broken.
    pub cause: Cause,
    /// The proposal at which it was read; 0 is before training.
    pub update: u64,
    /// The rung that this breach used, and which use of it this was, from 1; none for advice and before training.
    pub rung: Option<(Rung, u64)>,
    /// Whether the limit is advice: then the breach is recorded and nothing else.
    pub advice: bool,
}

/// What becomes of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The weights move by `scale` times the update; 1 is the whole of it.
    Commit {
        /// In [1/64, 1].
        scale: Finite,
    },
    /// The update is dropped: weights, moments and step counter stay.
    Skip,
    /// Back to the kept state.
    Rollback {
        /// The update that the kept state stands at.
        to: u64,
    },
    /// Back to the kept state, and the run ends.
    Stop {
        /// The update that the kept state stands at.
        to: u64,
    },
}

/// The answer to one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub action: Act,
    /// Whether the learning rate is halved from here on.
    pub slow: bool,
    /// Halvings of the learning rate that pace asks for from here on, besides those of ladders.
    pub paced: u32,
    /// Whether the state after the action becomes the kept one, which rollbacks and the end of the run go back to.
    pub keep: bool,
    /// Whether the run ends because too many proposals in a row were not committed whole.
    pub stalled: bool,
    /// Every limit that was broken, advice included, in the order of the policy within each of the two steps.
    pub breaches: Vec<Breach>,
}

/// What the per-update limits say about a proposal.
#[derive(Debug, Clone, PartialEq)]
pub enum Fit {
    /// Read the per-update quantities at this scale and ask again.
    Measure {
        /// In [1/64, 1).
        scale: f64,
    },
    /// This much of the update would be committed; 1 is the whole of it. `decide` is next.
    Fixed {
        /// In [1/64, 1].
        scale: f64,
    },
    /// Nothing of it would be. `decide` is next, with readings of the unchanged state if an evaluation is due.
    Drop,
    /// A per-update limit goes back or ends the run: the proposal is over.
    Act(Decision),
}
