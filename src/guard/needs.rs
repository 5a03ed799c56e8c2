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
    /// Whether nothing but advice waits for it.
    pub advice: bool,
    /// At which proposals.
    pub moment: When,
    /// Updates between the evaluations of its probe, also where it is read at every update; for a quantity without a
    /// probe the shortest of them all.
    pub every: u64,
}

/// Updates between two evaluations of a probe.
pub(super) fn cadence(probe: Option<usize>, policy: &Policy) -> u64 {
    let probe = probe.and_then(|index| policy.probes.get(index));
    probe.map_or(DEFAULT_CADENCE, |probe| probe.every.max(1))
}

/// The readings that the limits wait for, each once, in the order of the table of quantities.
///
/// When enforced limits are read follows from enforced limits alone, so that a line of advice changes no decision.
pub(super) fn needs(limits: &[Armed], policy: &Policy) -> Vec<Need> {
    let mut needs: Vec<Need> = limits
        .iter()
        .map(|limit| {
            let beside = || limits.iter().filter(|other| limit.advice || !other.advice);
            let shares_a_probe =
                || limit.probe.is_some() && beside().any(|other| other.is_per_update() && other.probe == limit.probe);
            let shortest = || {
                let of_probes = beside().filter(|other| other.probe.is_some());
                of_probes.map(|other| cadence(other.probe, policy)).min()
            };
            let moment = match limit.quantity.row().moment {
                Moment::Update => When::EveryUpdate,
                // Each look at a confidence costs some of it, so looks are evaluations alone.
                Moment::UpdateOrEvaluation if limit.confidence.is_none() && shares_a_probe() => When::EveryUpdate,
                _ => When::Evaluation,
            };
            Need {
                quantity: limit.quantity,
                probe: limit.probe,
                advice: limit.advice,
                moment,
                every: match limit.probe {
                    Some(_) => cadence(limit.probe, policy),
                    None => shortest().unwrap_or(DEFAULT_CADENCE),
                },
            }
        })
        .collect();
    // Of several limits on one reading the enforced ones say when, and the one that wants it most often.
    needs.sort_unstable();
    needs.dedup_by_key(|need| (need.quantity, need.probe));
    needs
}
