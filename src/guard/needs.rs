//! What has to be read, and when.

use super::limit::Armed;
use crate::ir::{DEFAULT_CADENCE, Policy};
use crate::quantity::{Moment, Quantity};

/// At which proposals something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// At every one, before it is committed.
    EveryUpdate,
    /// At evaluations: before update 0, every so many updates, and after the last.
    Evaluation,
}

/// A reading that an armed limit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What is read.
    pub quantity: Quantity,
    /// On which probe: an index into the policy's probes.
    pub probe: Option<usize>,
    /// At which proposals.
    pub moment: When,
    /// Updates between the evaluations of its probe, also where it is read at every update; for a quantity without a
    /// probe the shortest of them all.
    pub every: u64,
}

/// The readings that the limits wait for, each once, in the order of the table of quantities.
pub(super) fn needs(limits: &[Armed], policy: &Policy) -> Vec<Need> {
    let cadence = |probe: Option<usize>| {
        let probe = probe.and_then(|index| policy.probes.get(index))?;
        Some(probe.every.max(1))
    };
    let shortest = limits
        .iter()
        .filter_map(|limit| cadence(limit.probe))
        .min()
        .unwrap_or(DEFAULT_CADENCE);
    let mut needs: Vec<Need> = limits
        .iter()
        .map(|limit| {
            let shares_a_probe = || {
                limits
                    .iter()
                    .any(|other| other.is_per_update() && other.probe == limit.probe && limit.probe.is_some())
            };
            let moment = match limit.quantity.row().moment {
                Moment::Update => When::EveryUpdate,
                Moment::UpdateOrEvaluation if shares_a_probe() => When::EveryUpdate,
                _ => When::Evaluation,
            };
            Need {
                quantity: limit.quantity,
                probe: limit.probe,
                moment,
                every: cadence(limit.probe).unwrap_or(shortest),
            }
        })
        .collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}
