//! What a governed run says: breaches drawn on the policy line (`breach.rs`), the table of budgets, the summary.

use std::fmt::Write as _;

use serde::Serialize;

pub use super::breach::{MovedWords, Repeated, breach};
use super::json::JSON_VERSION;
pub use super::words::shown;
use super::words::{action, wanted};
use crate::diag::{Code, Diagnostic};
use crate::guard::{Guard, Unresolvable};
use crate::ir::{Asks, Policy};
use crate::ledger::Why;
use crate::meter::Reading;
use crate::quantity::Finite;

/// One row of the table of budgets.
#[derive(Debug, Clone, Serialize)]
pub struct Budget {
    /// The quantity.
    pub quantity: &'static str,
    /// The probe it is read on.
    pub probe: Option<String>,
    /// What the policy asks.
    pub limit: String,
    /// Whether it is advice.
    pub advice: bool,
    /// The reading of the state that is saved; none when it was never read.
    pub saved: Option<String>,
    /// The reading nearest to the bound, or furthest beyond it, of what was committed.
    pub worst: Option<String>,
    /// The update of that reading.
    pub at_update: Option<u64>,
    /// Whether the saved state is outside; only advice can be.
    pub outside: bool,
    /// Uses of each rung that was used: `scale 3 of 20`.
    pub done: Vec<String>,
    /// The update near which the budget would have ended at the last pace, where that is before the end of the run.
    pub ends_near: Option<u64>,
}

impl Budget {
    /// What it is a budget of: `drift.total on voices`.
    fn name(&self) -> String {
        let probe = self
            .probe
            .as_ref()
            .map_or_else(String::new, |probe| format!(" on {probe}"));
        let advice = if self.advice { " (advice)" } else { "" };
        format!("{}{probe}{advice}", self.quantity)
    }
}

/// The budgets of a run that ended, in the policy's order.
pub fn budgets(guard: &Guard, policy: &Policy) -> Vec<Budget> {
    guard
        .limits()
        .iter()
        .map(|armed| {
            let limit = policy.lines.get(armed.line).and_then(|line| match &line.asks {
                Asks::Limit(limit) => Some(limit),
                _ => None,
            });
            let probe = armed.probe.and_then(|probe| policy.probes.get(probe));
            let reading = |reading: Reading| shown(limit, reading, armed.bound_now());
            Budget {
                quantity: armed.quantity.name(),
                probe: probe.map(|probe| probe.name.clone()),
                limit: limit.map_or_else(String::new, wanted),
                advice: armed.advice,
                saved: armed.spent.map(|spent| reading(spent.last)),
                worst: armed.spent.map(|spent| reading(spent.worst)),
                at_update: armed.spent.map(|spent| spent.at_update),
                outside: armed.spent.is_some_and(|spent| armed.is_outside(spent.last)),
                done: armed
                    .ladder
                    .rungs()
                    .iter()
                    .zip(armed.ladder.uses().iter().copied())
                    .filter(|(_, used)| *used > 0)
                    .map(|(rung, used)| match rung.times {
                        Some(times) => format!("{} {used} of {times}", action(rung.action)),
                        None => format!("{} {used}", action(rung.action)),
                    })
                    .collect(),
                ends_near: armed
                    .forecast(guard.clock())
                    .filter(|update| *update < guard.clock().updates()),
            }
        })
        .collect()
}

/// The table of budgets as people read it.
pub fn budget_table(budgets: &[Budget]) -> String {
    let head = ["budget", "limit", "saved", "worst", "at update", "answered"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head)
        .chain(budgets.iter().map(|budget| {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
            [
                budget.name(),
                budget.limit.clone(),
                or_dash(&budget.saved),
                or_dash(&budget.worst),
                budget
                    .at_update
                    .map_or_else(|| "–".to_owned(), |update| update.to_string()),
                if budget.done.is_empty() {
                    "–".to_owned()
                } else {
                    budget.done.join(", ")
                },
            ]
        }))
        .collect();
    let widths = super::widths(&rows);
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

/// What paced limits were spread over; none where no limit is paced.
pub fn clock(guard: &Guard) -> Option<String> {
    guard.is_paced().then(|| guard.clock().to_string())
}

/// How budgets were spread over the run, and which would have ended before it: a line each, and mostly none.
pub fn outlook(budgets: &[Budget], guard: &Guard) -> String {
    let mut out = String::new();
    for budget in budgets {
        if let Some(update) = budget.ends_near {
            let _ = writeln!(
                out,
                "{}: at the last pace the budget would have ended near update {update} of {}",
                budget.name(),
                guard.clock().updates()
            );
        }
    }
    if let Some(clock) = clock(guard) {
        let _ = writeln!(out, "paced limits were spread over {clock}");
    }
    out
}

/// How far a run walked on a probe, and how far from the base what is saved stands: in root-JS, whose lengths add up.
#[derive(Debug, Clone, Serialize)]
pub struct Walked {
    /// The probe.
    pub probe: String,
    /// The path in √nats; nothing gives it back.
    pub path: f64,
    /// The distance from the base in √nats; never longer than the path.
    pub displacement: f64,
}

/// One line for each probe that drift was read on.
pub fn walked(walked: &[Walked]) -> String {
    let line = |walked: &Walked| {
        format!(
            "walked on {}: {:.3} √nats, and {:.3} from the base\n",
            walked.probe, walked.path, walked.displacement
        )
    };
    walked.iter().map(line).collect()
}

/// What base and tuned model say to one prompt.
#[derive(Debug)]
pub struct Saying {
    /// The prompt, or the end of it.
    pub prompt: String,
    /// The base's sample.
    pub base: String,
    /// The sample of what is saved.
    pub tuned: String,
}

/// Samples side by side, drawn with the same random numbers.
pub fn sayings(sayings: &[Saying]) -> String {
    let mut out = String::new();
    for saying in sayings {
        let _ = writeln!(out, "prompt  {:?}", saying.prompt);
        let _ = writeln!(out, "  base  {:?}", saying.base);
        let _ = writeln!(out, "  tuned {:?}", saying.tuned);
        out.push('\n');
    }
    out
}

/// The last line: how the run ended, and what is saved where.
pub fn end(summary: &TrainSummary<'_>, adapter: &str) -> String {
    let saved = match summary.saved_from {
        None if summary.end == Why::Unresolved.word() => "nothing was trained and nothing is saved".to_owned(),
        None => "nothing was trained and nothing is saved: the untouched model is outside already".to_owned(),
        Some(0) => format!("nothing was learnt: {adapter} is the adapter of update 0, which changes nothing"),
        Some(update) => format!(
            "{adapter} is the adapter of update {update}, {}",
            standing(&summary.budgets)
        ),
    };
    let slowed = match summary.halvings {
        0 => String::new(),
        1 => ", the learning rate halved once".to_owned(),
        times => format!(", the learning rate halved {times} times"),
    };
    format!(
        "{} after {} proposed updates of a run of {}{slowed}; {saved}\n",
        summary.end, summary.proposed, summary.updates
    )
}

/// Where the saved state stands.
fn standing(budgets: &[Budget]) -> String {
    let outside: Vec<&str> = budgets
        .iter()
        .filter(|budget| budget.outside)
        .map(|budget| budget.quantity)
        .collect();
    match (outside.as_slice(), budgets.iter().any(|budget| !budget.advice)) {
        ([], _) => "inside every budget".to_owned(),
        (outside, true) => format!(
            "inside every enforced budget, against the advice on {}",
            outside.join(", ")
        ),
        (outside, false) => format!("against the advice on {}", outside.join(", ")),
    }
}

/// How a run ended, for programs.
#[derive(Debug, Serialize)]
pub struct TrainSummary<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Why the run ended.
    pub end: &'a str,
    /// The exit code.
    pub exit_code: u8,
    /// How far the run walked, by probe.
    pub walked: &'a [Walked],
    /// Updates of the whole run.
    pub updates: u64,
    /// Updates that were proposed, those that were rolled back included.
    pub proposed: u64,
    /// The update whose state is saved; none when nothing is.
    pub saved_from: Option<u64>,
    /// Halvings of the learning rate.
    pub halvings: u32,
    /// What paced limits were spread over; none where no limit is paced.
    pub clock: Option<String>,
    /// Every armed limit.
    pub budgets: Vec<Budget>,
    /// The hash of the journal's last line.
    pub journal_head: String,
}

/// The summary as JSON.
pub fn summary_json(summary: &TrainSummary<'_>) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        version: u32,
        ftrisk: &'static str,
        #[serde(flatten)]
        summary: &'a TrainSummary<'a>,
    }
    let document = Document {
        version: JSON_VERSION,
        ftrisk: env!("CARGO_PKG_VERSION"),
        summary,
    };
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The finding for a limit that no meter of this version reads.
pub fn not_measured(policy: &Policy, line: usize) -> Option<Diagnostic> {
    let line = policy.lines.get(line)?;
    let name = line.subject();
    Some(
        Diagnostic::new(
            Code::NotBuilt,
            format!("{name} has no meter in this version, so it cannot be enforced while training"),
        )
        .about(name)
        .at(line.place, "nothing would read this")
        .help("take the line out for `train`, or make it a comment for the version that brings its meter"),
    )
}

/// Which sample of a refused batch moves the model most. Readings are of updates made of it alone, and of the others.
pub fn suspect(update: u64, file: &str, row: u64, alone: Reading, others: Option<Reading>) -> String {
    let others = others.map_or_else(String::new, |others| format!(", the others {}", size(others)));
    format!(
        "update {update}: nothing of it fits; {file} row {row} moves most: alone {}{others}",
        size(alone)
    )
}

fn size(reading: Reading) -> String {
    reading
        .value()
        .map_or_else(|| "not finite".to_owned(), |value| format!("{:.3e}", value.get()))
}

/// The refusal of a limit that its probe is too small to resolve.
pub fn unresolvable(policy: &Policy, found: &Unresolvable) -> Option<Diagnostic> {
    let line = policy.lines.get(found.line)?;
    let name = line.subject();
    let probe = match &line.asks {
        Asks::Limit(limit) => policy.probes.get(limit.probe?)?,
        _ => return None,
    };
    let mut finding = Diagnostic::new(
        Code::ProbeResolution,
        format!(
            "{} prompts of `{}` cannot resolve this bound on {name}",
            found.has, probe.name
        ),
    )
    .at(line.place, "asks for more than the probe can tell")
    .at(probe.place, format!("{} prompts", found.has));
    if found.advice {
        finding = finding.weighing(crate::diag::Severity::Advice);
    }
    Some(finding.help(match found.needed {
        Some(needed) => format!("{needed} prompts would do; or move the bound away from what the base reads"),
        None => "no number of prompts would do: move the bound away from what the base reads".to_owned(),
    }))
}

/// The refusal of a bound on drift below what rounding alone makes of two readings of the same model.
pub fn below_noise(policy: &Policy, line: usize, floor: Finite) -> Option<Diagnostic> {
    let line = policy.lines.get(line)?;
    let name = line.subject();
    Some(
        Diagnostic::new(
            Code::ProbeResolution,
            format!("the base, read twice, differs by {floor} nats, and this bound on {name} is below that"),
        )
        .at(line.place, "rounding alone would break this")
        .help("raise the bound"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Measured;
    use crate::quantity::Quantity;
    use crate::sema::compile;
    use crate::source::Sources;

    #[test]
    fn what_prompts_do_not_settle_is_said_in_a_sentence() {
        let mut sources = Sources::default();
        let text = "policy \"p\"\nprobe text general \"g.jsonl\"\nmax drift.clipped 2% at 95% confidence\n";
        let policy = compile(sources.add("p.riskpolicy", text), &sources).policy.unwrap();
        let mut guard = Guard::arm(&policy, &[0], false).unwrap();
        let clipped = |prompts: usize, value: f64| Measured {
            prompts: vec![value.into(); prompts],
            ..Measured::new(Quantity::DriftClipped, Some(0), value.into())
        };
        guard.begin(&[clipped(64, 0.0)]).unwrap();
        let decision = guard.decide(50, &[clipped(48, 0.0175)], true);
        let found = breach(
            &decision.breaches[0],
            Some(&decision),
            &guard.limits()[0],
            &policy,
            &MovedWords::default(),
        );
        assert_eq!(
            found.message,
            "48 prompts do not settle at update 50 that drift.clipped is at most 2% with 95% confidence"
        );
        assert_eq!(found.notes, ["the mean of these prompts is 1.75%"]);
        assert_eq!(budgets(&guard, &policy)[0].limit, "at most 2% with 95% confidence");
    }
}
