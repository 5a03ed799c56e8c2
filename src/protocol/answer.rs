//! What a training loop is told.

use serde::Serialize;

use crate::guard::{self, Guard, Need, When};
use crate::ir::{self, Asks, Policy};
use crate::ledger::{Action, Cause, Number, Rung, Why};
use crate::quantity::{Finite, Moment};
use crate::source::Sources;

/// An answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer<'a> {
    /// The first line, before anything is said.
    Hello {
        protocol: u32,
        ftrisk: &'static str,
        policy: &'a str,
        needs: Vec<Wanted<'a>>,
        limits: Vec<Limit<'a>>,
        /// What paced limits are spread over, in words; left out where none is paced.
        #[serde(skip_serializing_if = "Option::is_none")]
        clock: Option<String>,
        due: Vec<Due<'a>>,
    },
    /// The base is inside every limit: the first update may be proposed.
    Ready { update: u64, rate_factor: f64 },
    /// The per-update quantities are to be read at this scale.
    Measure { update: u64, scale: f64 },
    /// This much would be committed.
    Fixed {
        update: u64,
        scale: f64,
        due: Vec<Due<'a>>,
        complete: bool,
    },
    /// Nothing would be committed.
    Drop {
        update: u64,
        due: Vec<Due<'a>>,
        complete: bool,
    },
    /// What becomes of the proposal.
    Decision {
        update: u64,
        #[serde(flatten)]
        action: Action,
        rate_factor: f64,
        keep: bool,
        stalled: bool,
        /// The update to propose next; none when the run is over.
        next: Option<u64>,
        breaches: Vec<Breach<'a>>,
    },
    /// The last line of a session that came to an end.
    Summary {
        end: Why,
        exit_code: u8,
        proposed: u64,
        saved_from: Option<u64>,
        halvings: u32,
        budgets: Vec<Budget<'a>>,
        journal_head: &'a str,
    },
    /// The last line of one that did not.
    Error { message: String, next: &'static str },
}

impl Answer<'_> {
    /// The line, without its newline.
    pub(super) fn line(&self) -> String {
        // Strings, lists and finite numbers: nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A reading that is due.
#[derive(Debug, Serialize)]
pub(super) struct Due<'a> {
    quantity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a str>,
}

impl<'a> Due<'a> {
    pub(super) fn of(need: &Need, policy: &'a Policy) -> Self {
        Due {
            quantity: need.quantity.name(),
            probe: probe_name(need.probe, policy),
        }
    }
}

fn probe_name(probe: Option<usize>, policy: &Policy) -> Option<&str> {
    Some(policy.probes.get(probe?)?.name.as_str())
}

/// A reading that is waited for, and when.
#[derive(Debug, Serialize)]
pub(super) struct Wanted<'a> {
    quantity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe<'a>>,
    /// The message that carries it.
    message: &'static str,
    moment: &'static str,
    /// Updates between evaluations.
    every: u64,
}

#[derive(Debug, Serialize)]
struct Probe<'a> {
    name: &'a str,
    kind: &'static str,
    path: &'a str,
    sha256: Option<&'a str>,
}

pub(super) fn wanted<'a>(guard: &Guard, policy: &'a Policy) -> Vec<Wanted<'a>> {
    let wanted = |need: &Need| Wanted {
        quantity: need.quantity.name(),
        probe: need
            .probe
            .and_then(|probe| policy.probes.get(probe))
            .map(|probe| Probe {
                name: &probe.name,
                kind: probe.kind.word(),
                path: &probe.path,
                sha256: probe.sha256.as_deref(),
            }),
        message: if is_per_update(need) { "propose" } else { "decide" },
        moment: match need.moment {
            When::EveryUpdate => "every update",
            When::Evaluation => "evaluation",
        },
        every: need.every,
    };
    guard.needs().iter().map(wanted).collect()
}

/// Whether a need is read on the proposal itself, before anything is fixed.
pub(super) fn is_per_update(need: &Need) -> bool {
    need.quantity.row().moment == Moment::Update
}

/// A limit under guard.
#[derive(Debug, Serialize)]
pub(super) struct Limit<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    quantity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a str>,
    asks: String,
    /// The ladder in the words of the language; none for advice.
    response: Option<String>,
    advice: bool,
}

/// A line of the policy: its number in the text, from 1, and the statement or clause.
#[derive(Debug, Serialize)]
struct Line<'a> {
    line: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(index: usize, policy: &Policy, sources: &'a Sources) -> Self {
        match policy.lines.get(index).map(|line| line.place) {
            Some(place) => {
                let file = sources.get(place.source);
                Line {
                    line: file.line(place.span.start),
                    text: file.slice(place.span),
                }
            }
            None => Line { line: 0, text: "" },
        }
    }
}

pub(super) fn limits<'a>(guard: &Guard, policy: &'a Policy, sources: &'a Sources) -> Vec<Limit<'a>> {
    let limit = |armed: &guard::Armed| Limit {
        line: Line::of(armed.line, policy, sources),
        quantity: armed.quantity.name(),
        probe: probe_name(armed.probe, policy),
        asks: match policy.lines.get(armed.line).map(|line| &line.asks) {
            Some(Asks::Limit(limit)) => limit.asked(),
            _ => String::new(),
        },
        response: (!armed.advice).then(|| response(armed.ladder.rungs())),
        advice: armed.advice,
    };
    guard.limits().iter().map(limit).collect()
}

fn response(rungs: &[ir::Rung]) -> String {
    let rung = |rung: &ir::Rung| {
        let word = match rung.action {
            ir::Action::Scale => "scale",
            ir::Action::Skip => "skip",
            ir::Action::Rollback => "rollback",
            ir::Action::Stop => "stop",
        };
        let slow = if rung.slow { " and slow" } else { "" };
        let times = rung.times.map_or_else(String::new, |times| format!(" {times} times"));
        format!("{word}{slow}{times}")
    };
    rungs.iter().map(rung).collect::<Vec<_>>().join(" then ")
}

/// A limit that was broken.
#[derive(Debug, Serialize)]
pub(super) struct Breach<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    quantity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a str>,
    value: Number,
    bound: f64,
    floor: bool,
    cause: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<Rung>,
    advice: bool,
}

impl<'a> Breach<'a> {
    pub(super) fn of(breach: &guard::Breach, was_sent: bool, policy: &'a Policy, sources: &'a Sources) -> Self {
        let written = crate::ledger::Breach::of(breach, policy);
        Breach {
            line: Line::of(breach.line, policy, sources),
            quantity: breach.quantity.name(),
            probe: probe_name(breach.probe, policy),
            value: written.value,
            bound: breach.bound.get(),
            floor: breach.is_floor,
            cause: match written.cause {
                Cause::NotFinite if !was_sent => Cause::Missing,
                cause => cause,
            },
            rung: written.rung,
            advice: breach.advice,
        }
    }
}

/// How much of a limit is spent.
#[derive(Debug, Serialize)]
pub(super) struct Budget<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    quantity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a str>,
    /// In the quantity's own measure; none while a base reading is wanted and not there.
    bound: Option<f64>,
    saved: Option<Number>,
    worst: Option<Number>,
    at_update: Option<u64>,
    /// How often each rung was used, the mildest first; the closing `stop` is one of them.
    uses: Vec<u64>,
    advice: bool,
}

pub(super) fn budgets<'a>(guard: &Guard, policy: &'a Policy, sources: &'a Sources) -> Vec<Budget<'a>> {
    let budget = |armed: &guard::Armed| Budget {
        line: Line::of(armed.line, policy, sources),
        quantity: armed.quantity.name(),
        probe: probe_name(armed.probe, policy),
        bound: armed.bound_now().map(Finite::get),
        saved: armed.spent.map(|spent| Number(spent.last)),
        worst: armed.spent.map(|spent| Number(spent.worst)),
        at_update: armed.spent.map(|spent| spent.at_update),
        uses: armed.ladder.uses().to_vec(),
        advice: armed.advice,
    };
    guard.limits().iter().map(budget).collect()
}
