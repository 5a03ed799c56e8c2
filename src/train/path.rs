//! How far a run has walked, and how far it stands from where it began.
//!
//! The square root of the Jensen-Shannon divergence is a metric (Endres and Schindelin 2003), so lengths add up: the path
//! is never shorter than the displacement. A rollback or a smaller adapter refunds displacement; what was walked stays
//! walked.

use std::collections::BTreeMap;

use super::behaviour::Behaviour;
use super::measure::Meters;

/// The path of a run on each probe on which drift is read.
#[derive(Clone)]
pub struct Path {
    /// What the run last said on the probes; each probe as of the last state that was asked.
    stand: Behaviour,
    walked: BTreeMap<usize, Length>,
}

/// Two lengths on a probe, in √nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length {
    /// The sum of the legs between the states that were asked, what was rolled back included.
    pub path: f64,
    /// The distance from the base.
    pub displacement: f64,
}

impl Path {
    /// A path that begins at a state.
    pub fn new(start: &Behaviour) -> Path {
        Path {
            stand: start.clone(),
            walked: BTreeMap::new(),
        }
    }

    /// The run now stands on a state. Probes that it was not asked about keep their last stand.
    pub fn walk(&mut self, meters: &Meters<'_>, to: &Behaviour) {
        let displaced = meters.displacement(to);
        for (probe, leg) in meters.legs(&self.stand, to) {
            let length = self.walked.entry(probe).or_insert(Length {
                path: 0.0,
                displacement: 0.0,
            });
            length.path += leg.as_f64();
            length.displacement = displaced.get(&probe).map_or(f64::NAN, |reading| reading.as_f64());
        }
        self.stand.take_logits(to);
    }

    /// The run went back to a state: nothing was walked, and nothing of the path is given back.
    pub fn back(&mut self, meters: &Meters<'_>, to: &Behaviour) {
        for (probe, displacement) in meters.displacement(to) {
            if let Some(length) = self.walked.get_mut(&probe) {
                length.displacement = displacement.as_f64();
            }
        }
        self.stand.take_logits(to);
    }

    /// The lengths by probe.
    pub fn lengths(&self) -> &BTreeMap<usize, Length> {
        &self.walked
    }
}
