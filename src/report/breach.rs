//! Broken limits, drawn on their lines of the policy: what was read, what moved, what was done about it.

use std::fmt::Write as _;

use super::words::{action, percent, rounded, shown, wanted};
use crate::diag::{Code, Diagnostic};
use crate::guard::{Act, Armed, Breach, Cause, Decision};
use crate::ir::{Action, Asks, Policy};
use crate::meter::Reading;
use crate::meter::floor::translated;
use crate::meter::template::Phrasing;
use crate::quantity::Quantity;

/// Words of a phrasing that a report quotes: samples can have a whole answer in common.
const MOST_WORDS: usize = 16;

/// What is behind a breach, in words: what moved most where a drift limit broke, what samples say alike.
#[derive(Debug, Clone, Default)]
pub struct MovedWords {
    /// The probe's rows with the largest drift, in nats.
    pub rows: Vec<(String, Reading)>,
    /// The tokens that gained most probability, in shares of the next token's mass.
    pub gained: Vec<(String, f64)>,
    /// The tokens that lost most.
    pub lost: Vec<(String, f64)>,
    /// For templates, the phrasing of most samples.
    pub phrasing: Option<Phrasing>,
}

/// A broken limit, drawn on its line of the policy.
pub fn breach(
    breach: &Breach,
    decision: Option<&Decision>,
    limit: &Armed,
    policy: &Policy,
    moved: &MovedWords,
) -> Diagnostic {
    let name = breach.quantity.name();
    let line = policy.lines.get(breach.line);
    let asked = line.and_then(|line| match &line.asks {
        Asks::Limit(limit) => Some(limit),
        _ => None,
    });
    let when = match breach.update {
        0 => "before the first update".to_owned(),
        update => format!("at update {update}"),
    };
    let asks = asked.map_or_else(String::new, |limit| format!("; {} is asked", wanted(limit)));
    let is = |is: &str| format!("{name} {is} {when}{asks}");
    let message = match breach.cause {
        Cause::Outside => is(&format!(
            "is {}{}",
            shown(asked, breach.reading, Some(breach.bound)),
            mass(breach.quantity, breach.reading)
        )),
        Cause::NotFinite => is("is not finite"),
        Cause::Missing => is("was not read"),
        Cause::NoBase => is("has no reading of the base to take a share of"),
        Cause::Uncertain { prompts } => {
            let wanted = asked.map_or_else(|| "inside".to_owned(), wanted);
            format!("{prompts} prompts do not settle {when} that {name} is {wanted}")
        }
    };
    let mut diagnostic = Diagnostic::new(Code::Over, message).about(name);
    if matches!(breach.cause, Cause::Uncertain { .. }) {
        diagnostic = diagnostic.note(format!(
            "the mean of these prompts is {}",
            shown(asked, breach.reading, None)
        ));
    }
    if breach.advice {
        diagnostic = diagnostic.weighing(crate::diag::Severity::Advice);
    }
    if let Some(line) = line {
        diagnostic = diagnostic.at(line.place, answer(breach, decision));
    }
    if let (Some(base), true) = (limit.base, limit.of_base) {
        diagnostic = diagnostic.note(format!(
            "the base reads {}, so the bound is {}",
            shown(asked, base.into(), None),
            shown(asked, breach.bound.into(), None)
        ));
    }
    let list = |of: &[(String, f64)]| {
        let words: Vec<String> = of
            .iter()
            .map(|(token, mass)| format!("{token:?} {:.2} %", 100.0 * mass))
            .collect();
        words.join(", ")
    };
    if !moved.rows.is_empty() {
        let rows: Vec<String> = moved
            .rows
            .iter()
            .map(|(row, drift)| format!("{row} ({} nats)", rounded(*drift)))
            .collect();
        diagnostic = diagnostic.note(format!("moved most on {}", rows.join(", ")));
    }
    if !moved.gained.is_empty() {
        diagnostic = diagnostic.note(format!(
            "next-token mass gained: {}; lost: {}",
            list(&moved.gained),
            list(&moved.lost)
        ));
    }
    if let Some(phrasing) = &moved.phrasing {
        diagnostic = diagnostic.note(phrased(phrasing));
    }
    diagnostic
}

/// What a drift in nats is in people's terms, for behind the reading: no more of the probability of the next token than
/// this went from some tokens to others. Rounded up, so that it stays true. Nothing for what is no mean of KLs.
fn mass(quantity: Quantity, reading: Reading) -> String {
    let at = match quantity {
        Quantity::DriftPerUpdate | Quantity::DriftTotal => "",
        // One prompt's mean over positions.
        Quantity::DriftTail => " on one prompt",
        _ => return String::new(),
    };
    translated(reading).value().map_or_else(String::new, |share| {
        let percent = (share.get() * 1000.0).ceil() / 10.0;
        format!(" (up to {percent:.1} % of next-token mass moved{at})")
    })
}

/// Which phrasing samples share.
fn phrased(phrasing: &Phrasing) -> String {
    let quoted = Phrasing {
        words: phrasing.words.iter().take(MOST_WORDS).cloned().collect(),
        ..phrasing.clone()
    };
    let how = if phrasing.opens { "open with" } else { "share" };
    format!("{} samples {how} \"{quoted}\"", phrasing.samples.len())
}

/// Breaches of one limit in a row that were answered alike: the first is drawn, the others are counted.
#[derive(Debug)]
pub struct Repeated {
    first: Diagnostic,
    line: usize,
    quantity: Quantity,
    kind: Kind,
    more: u64,
    last_update: u64,
    worst: Reading,
    is_floor: bool,
}

/// How a breach was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Advice,
    NotStarted,
    Scaled,
    Skipped,
    RolledBack,
    Stopped,
}

impl Kind {
    fn of(breach: &Breach, decision: Option<&Decision>) -> Kind {
        match decision.map(|decision| decision.action) {
            _ if breach.advice => Kind::Advice,
            None => Kind::NotStarted,
            Some(Act::Commit { .. }) => Kind::Scaled,
            Some(Act::Skip) => Kind::Skipped,
            Some(Act::Rollback { .. }) => Kind::RolledBack,
            Some(Act::Stop { .. }) => Kind::Stopped,
        }
    }
}

impl Repeated {
    /// Takes a breach into the latest of its limit's, when that was answered alike; `false` when it has to be drawn.
    pub fn take(told: &mut [Repeated], breach: &Breach, decision: Option<&Decision>) -> bool {
        let latest = told.iter_mut().rev().find(|told| told.line == breach.line);
        let Some(latest) = latest.filter(|latest| latest.kind == Kind::of(breach, decision)) else {
            return false;
        };
        // Going back is rare and worth its own picture.
        if latest.kind == Kind::RolledBack {
            return false;
        }
        latest.more += 1;
        latest.last_update = breach.update;
        latest.worst = match (latest.worst, breach.reading) {
            (Reading::Value(old), Reading::Value(new)) if (new < old) == latest.is_floor => breach.reading,
            (Reading::Value(_), Reading::NotFinite) => Reading::NotFinite,
            (worst, _) => worst,
        };
        true
    }

    /// The first of its kind.
    pub fn new(first: Diagnostic, breach: &Breach, decision: Option<&Decision>) -> Repeated {
        Repeated {
            first,
            line: breach.line,
            quantity: breach.quantity,
            kind: Kind::of(breach, decision),
            more: 0,
            last_update: breach.update,
            worst: breach.reading,
            is_floor: breach.is_floor,
        }
    }

    /// The first, with what is to be said about the others.
    pub fn told(&self, policy: &Policy) -> Diagnostic {
        let limit = policy.lines.get(self.line).and_then(|line| match &line.asks {
            Asks::Limit(limit) => Some(limit),
            _ => None,
        });
        let first = self.first.clone();
        if self.more == 0 {
            return first;
        }
        let bound = limit.and_then(|limit| limit.max.as_ref().or(limit.min.as_ref()));
        let bound = bound.filter(|_| limit.is_some_and(|limit| !limit.of_base));
        let what = if self.is_floor { "smallest" } else { "largest" };
        first.note(format!(
            "{} more like it until update {}, the {what} of all {}{}",
            self.more,
            self.last_update,
            shown(limit, self.worst, bound.map(|bound| bound.value)),
            mass(self.quantity, self.worst),
        ))
    }
}

/// What was done about a breach, for the label on the policy line.
fn answer(breach: &Breach, decision: Option<&Decision>) -> String {
    let Some(decision) = decision.filter(|_| !breach.advice) else {
        return if breach.advice {
            "advice: recorded"
        } else {
            "the run does not start"
        }
        .to_owned();
    };
    let (mut said, done) = match decision.action {
        Act::Commit { scale } => (
            format!("committed {} of the update", percent(scale.get())),
            Action::Scale,
        ),
        Act::Skip => ("dropped the update".to_owned(), Action::Skip),
        Act::Rollback { to } => (format!("rolled back to update {to}"), Action::Rollback),
        Act::Stop { to } => (format!("stopped; what is saved is update {to}"), Action::Stop),
    };
    if decision.slow {
        said.push_str(", half the learning rate from here on");
    }
    if let Some((rung, used)) = breach.rung
        && let Some(times) = rung.times
    {
        // A stronger answer to another limit takes the place of this one's own, which is used up all the same.
        let own = if done >= Action::Rollback && rung.action < done {
            "this limit's own: "
        } else {
            ""
        };
        let _ = write!(said, " ({own}{} {used} of {times})", action(rung.action));
    }
    if decision.stalled {
        said.push_str(": too many updates in a row were not committed whole");
    }
    said
}
