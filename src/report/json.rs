//! The machine-readable report of `ftrisk check --format json`.
//!
//! Fields are only ever added within a version; docs/reference/json.md describes them.

use serde::Serialize;

use super::{CheckReport, Counts, RunReport, shown};
use crate::diag::{Diagnostic, Severity};
use crate::ir::{Coverage, Level, Policy, Verdict};
use crate::source::Sources;

/// The version of the format.
pub const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    ftrisk: &'static str,
    exit_code: u8,
    policy: PolicyJson<'a>,
    runs: Vec<RunJson<'a>>,
}

#[derive(Serialize)]
pub(super) struct PolicyJson<'a> {
    file: &'a str,
    name: Option<&'a str>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
pub(super) struct RunJson<'a> {
    file: &'a str,
    framework: Option<&'a str>,
    exit_code: u8,
    covered: Option<&'static str>,
    premises: &'a [String],
    counts: Option<CountsJson>,
    lines: Vec<LineJson<'a>>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
struct CountsJson {
    over: usize,
    open: usize,
    within: usize,
    later: usize,
    not_applicable: usize,
    advised: usize,
    advised_over: usize,
}

#[derive(Serialize)]
struct LineJson<'a> {
    subject: &'static str,
    level: &'static str,
    verdict: &'static str,
    because: &'a str,
    policy_line: usize,
    conditions: Vec<ConditionJson<'a>>,
}

#[derive(Serialize)]
struct ConditionJson<'a> {
    fact: &'a str,
    within: Option<&'a str>,
    supply: &'a str,
}

#[derive(Serialize)]
pub(super) struct DiagnosticJson<'a> {
    code: &'static str,
    subject: Option<&'a str>,
    severity: &'static str,
    message: &'a str,
    labels: Vec<LabelJson<'a>>,
    notes: &'a [String],
    help: Option<&'a str>,
    instead: Option<&'a str>,
}

#[derive(Serialize)]
struct LabelJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    text: &'a str,
}

/// The report as one JSON document, with a line end.
pub fn check(report: &CheckReport, sources: &Sources) -> String {
    let json = Report {
        version: JSON_VERSION,
        ftrisk: env!("CARGO_PKG_VERSION"),
        exit_code: report.exit_code(),
        policy: policy(report, sources),
        runs: report
            .policy
            .as_ref()
            .map(|policy| {
                report
                    .runs
                    .iter()
                    .map(|r| run(r, policy, report.strict, sources))
                    .collect()
            })
            .unwrap_or_default(),
    };
    // Strings and whole numbers only: there is nothing in it that JSON cannot say.
    let mut text = serde_json::to_string_pretty(&json).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn policy<'a>(report: &'a CheckReport, sources: &'a Sources) -> PolicyJson<'a> {
    PolicyJson {
        file: &report.policy_file,
        name: report.policy.as_ref().map(|policy| policy.name.as_str()),
        diagnostics: report.diagnostics.iter().map(|d| diagnostic(d, sources)).collect(),
    }
}

/// A level as the policy says it.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::Advise => "advise",
        Level::Enforce => "enforce",
        Level::NoWaiver => "no waiver",
    }
}

pub(super) fn run<'a>(run: &'a RunReport, policy: &'a Policy, strict: bool, sources: &'a Sources) -> RunJson<'a> {
    let judgement = run.judgement.as_ref();
    RunJson {
        file: &run.file,
        framework: run.framework,
        exit_code: run.exit_code(policy, strict),
        covered: judgement.map(|judgement| match judgement.coverage {
            Coverage::Covered => "yes",
            Coverage::NotCovered => "no",
            Coverage::Unknown => "unknown",
        }),
        premises: judgement.map_or(&[], |judgement| judgement.premises.as_slice()),
        counts: judgement.map(|judgement| {
            let counts = Counts::of(judgement, policy, strict);
            CountsJson {
                over: counts.over,
                open: counts.open,
                within: counts.within,
                later: counts.later,
                not_applicable: counts.not_applicable,
                advised: counts.advised,
                advised_over: counts.advised_over,
            }
        }),
        lines: judgement
            .map(|judgement| {
                judgement
                    .lines
                    .iter()
                    .filter_map(|judged| {
                        let line = policy.lines.get(judged.line)?;
                        Some(LineJson {
                            subject: line.subject(),
                            level: level(line.level),
                            verdict: judged.verdict.word(),
                            because: judged.verdict.because(),
                            policy_line: sources.get(line.place.source).line(line.place.span.start),
                            conditions: conditions(&judged.verdict),
                        })
                    })
                    .collect()
            })
            .unwrap_or_default(),
        diagnostics: shown(run).into_iter().map(|d| diagnostic(d, sources)).collect(),
    }
}

fn conditions(verdict: &Verdict) -> Vec<ConditionJson<'_>> {
    let Verdict::Open { conditions, .. } = verdict else {
        return Vec::new();
    };
    conditions
        .iter()
        .map(|condition| ConditionJson {
            fact: &condition.fact,
            within: condition.within.as_deref(),
            supply: &condition.supply.how,
        })
        .collect()
}

pub(super) fn diagnostic<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> DiagnosticJson<'a> {
    DiagnosticJson {
        code: diagnostic.code.name(),
        subject: diagnostic.subject.as_deref(),
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        },
        message: &diagnostic.message,
        labels: diagnostic
            .labels
            .iter()
            .map(|label| {
                let file = sources.get(label.place.source);
                let span = label.place.span;
                LabelJson {
                    file: file.name(),
                    line: file.line(span.start),
                    column: file.column(span.start),
                    end_line: file.line(span.end),
                    end_column: file.column(span.end),
                    text: &label.text,
                }
            })
            .collect(),
        notes: &diagnostic.notes,
        help: diagnostic.help.as_deref(),
        instead: diagnostic.instead.as_deref(),
    }
}
