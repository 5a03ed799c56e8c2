//! From a policy's lines to limits under guard.

use super::ladder::Ladder;
use super::limit::Armed;
use super::needs::cadence;
use super::pace::Pace;
use super::plan::has_meter;
use crate::ir::{Action, Asks, Level, Limit, Policy, default_response};
use crate::quantity::Moment;

/// Whether this version can read what a limit asks for.
fn is_read(limit: &Limit, policy: &Policy) -> bool {
    match limit.probe.map(|index| policy.probes.get(index)) {
        None => has_meter(limit.quantity, None),
        Some(probe) => probe.is_some_and(|probe| has_meter(limit.quantity, Some(probe.kind))),
    }
}

/// Whether a confidence can be asked of the limit: of a ceiling over a mean of bounded values. A compiled policy has no
/// other.
fn can_certify(limit: &Limit) -> bool {
    limit.confidence.is_none() || (limit.quantity.row().bounded && limit.min.is_none())
}

/// Whether every rung can act where the quantity is read; a compiled policy has no other.
fn can_act(limit: &Limit) -> bool {
    limit.quantity.row().moment == Moment::Update
        || limit
            .response
            .iter()
            .all(|rung| !matches!(rung.action, Action::Scale | Action::Skip))
}

/// The limits among the lines `later`; `Err` has the lines that this version cannot guard.
pub(super) fn limits(policy: &Policy, later: &[usize], strict: bool) -> Result<Vec<Armed>, Vec<usize>> {
    let mut armed = Vec::new();
    let mut refused = Vec::new();
    for &index in later {
        let Some(line) = policy.lines.get(index) else {
            refused.push(index);
            continue;
        };
        // `require guard` is met by there being a guard.
        let Asks::Limit(limit) = &line.asks else {
            continue;
        };
        let bounded = limit.min.is_some() || limit.max.is_some();
        if !bounded || !is_read(limit, policy) || !can_certify(limit) || !can_act(limit) {
            refused.push(index);
            continue;
        }
        let ladder = if limit.response.is_empty() {
            Ladder::new(default_response(limit.quantity.row().moment))
        } else {
            Ladder::new(limit.response.clone())
        };
        armed.push(Armed {
            line: index,
            quantity: limit.quantity,
            probe: limit.probe,
            min: limit.min.as_ref().map(|bound| bound.value),
            max: limit.max.as_ref().map(|bound| bound.value),
            of_base: limit.of_base,
            confidence: limit.confidence,
            looks: 0,
            pace: limit.paced.then(|| Pace::new(cadence(limit.probe, policy))),
            history: Vec::new(),
            advice: line.level == Level::Advise && !strict,
            ladder,
            base: None,
            spent: None,
            kept: None,
        });
    }
    if refused.is_empty() { Ok(armed) } else { Err(refused) }
}
