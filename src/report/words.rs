//! Numbers and answers as the pages about a run write them.

use crate::ir::{Action, Limit};
use crate::meter::Reading;
use crate::quantity::{Finite, Unit};

/// A reading in the unit that the author wrote, short, and on its own side of the bound.
pub fn shown(limit: Option<&Limit>, reading: Reading, bound: Option<Finite>) -> String {
    let Reading::Value(value) = reading else {
        return "not finite".to_owned();
    };
    let unit = limit.and_then(|limit| limit.unit);
    let (scale, after) = match unit {
        Some(Unit::Percent) => (100.0, "%"),
        Some(Unit::Bits) => (1.0 / std::f64::consts::LN_2, " bits"),
        Some(Unit::Nats) => (1.0, " nats"),
        _ => (1.0, ""),
    };
    let text = match bound {
        Some(bound) => Finite::beside(value.get() * scale, bound.get() * scale),
        None => rounded(value.get() * scale),
    };
    format!("{text}{after}")
}

/// Four digits, for numbers beside which no bound stands.
pub(super) fn rounded(value: impl Into<Reading>) -> String {
    match value.into() {
        Reading::Value(value) => {
            let short: f64 = format!("{:.3e}", value.get()).parse().unwrap_or(value.get());
            Finite::shortest(short)
        }
        Reading::NotFinite => "not finite".to_owned(),
    }
}

/// A share, to a tenth of a per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", Finite::shortest((share * 1000.0).round() / 10.0))
}

/// A rung's word in the policy.
pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Scale => "scale",
        Action::Skip => "skip",
        Action::Rollback => "rollback",
        Action::Stop => "stop",
    }
}

/// What a limit asks, in words: `at most 2% with 95% confidence`.
pub(super) fn wanted(limit: &Limit) -> String {
    let confidence = limit.confidence.map_or_else(String::new, |confidence| {
        format!(" with {}% confidence", Finite::shortest(confidence.get() * 100.0))
    });
    format!("{}{confidence}", limit.asked())
}
