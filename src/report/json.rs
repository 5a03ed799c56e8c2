//! The machine-readable report of `ftrisk check --format json`.
//!
//! Fields are only ever added within a version; docs/reference/json.md describes them.

mod against;

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use self::against::AgainstJson;
use super::{CheckReport, Counts, FileReport, LimitCount, Totals, Under, waived};
use crate::diag::{Diagnostic, Severity};
use crate::ir::{Coverage, Judged, Level, Verdict};
use crate::source::Sources;

/// The version of the format.
pub const JSON_VERSION: u32 = 1;

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
    policies: Vec<&'a str>,
    premises: Vec<&'a str>,
    against: Option<AgainstJson<'a>>,
    counts: Option<CountsJson>,
    lines: Vec<LineJson<'a>>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
struct LimitJson<'a> {
    policy: &'a str,
    subject: &'a str,
    over: usize,
    open: usize,
    of: usize,
}

#[derive(Serialize)]
struct CountsJson {
    over: usize,
    open: usize,
    within: usize,
    waived: usize,
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
    because: Cow<'a, str>,
    policy: &'a str,
    policy_line: usize,
    conditions: Vec<ConditionJson<'a>>,
    waivers: Vec<WaiverJson<'a>>,
}

#[derive(Serialize)]
struct WaiverJson<'a> {
    from: &'a str,
    to: &'a str,
    without: &'static str,
    until: String,
    days_left: i64,
    by: &'a str,
    because: &'a str,
    policy_line: usize,
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

/// A value as it stands at a depth of the document: every line but the first is indented.
pub(super) fn at_depth(value: &impl Serialize, depth: usize) -> String {
    // Strings and whole numbers only: there is nothing in it that JSON cannot say. A line end inside a string is an escape.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.replace('\n', &format!("\n{}", "  ".repeat(depth)))
}

/// The document up to its first run.
pub(super) fn head(policies: &[CheckReport], code: Option<u8>, sources: &Sources) -> String {
    let policies: Vec<PolicyJson<'_>> = policies.iter().map(|report| policy(report, sources)).collect();
    let mut out = format!(
        "{{\n  \"version\": {JSON_VERSION},\n  \"ftrisk\": {:?},\n",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(code) = code {
        let _ = writeln!(out, "  \"exit_code\": {code},");
    }
    let _ = writeln!(out, "  \"policy\": {},", at_depth(&policies.first(), 1));
    let _ = writeln!(out, "  \"policies\": {},", at_depth(&policies, 1));
    out.push_str("  \"runs\": [");
    out
}

/// One run of the list.
pub(super) fn file(report: &FileReport<'_>, sources: &Sources) -> String {
    format!("\n    {}", at_depth(&run(report, sources), 2))
}

/// The document from behind its last run, with a line end.
pub(super) fn tail(policies: &[CheckReport], totals: &Totals, code: Option<u8>, some: bool) -> String {
    let judges = policies.iter().all(|report| report.judging().is_some());
    let limits: Vec<LimitJson<'_>> = totals.limits.iter().filter(|_| judges).map(limit).collect();
    let mut out = String::from(if some { "\n  ],\n" } else { "],\n" });
    if let Some(code) = code {
        let _ = writeln!(out, "  \"exit_code\": {code},");
    }
    let _ = writeln!(out, "  \"limits\": {},", at_depth(&limits, 1));
    let _ = writeln!(out, "  \"not_runs\": {},", totals.not_runs);
    let _ = writeln!(out, "  \"not_checked\": {}\n}}", totals.not_checked);
    out
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

fn limit(count: &LimitCount) -> LimitJson<'_> {
    LimitJson {
        policy: &count.policy_file,
        subject: &count.subject,
        over: count.over,
        open: count.open,
        of: count.of,
    }
}

pub(super) fn run<'a>(run: &'a FileReport<'_>, sources: &'a Sources) -> RunJson<'a> {
    RunJson {
        file: &run.file,
        framework: run.framework,
        exit_code: run.exit_code(),
        covered: run.coverage().map(|coverage| match coverage {
            Coverage::Covered => "yes",
            Coverage::NotCovered => "no",
            Coverage::Unknown => "unknown",
        }),
        policies: run
            .judged
            .iter()
            .filter(|under| under.judgement.coverage != Coverage::NotCovered)
            .map(|under| under.policy_file)
            .collect(),
        premises: run
            .judged
            .iter()
            .flat_map(|under| under.judgement.premises.iter().map(String::as_str))
            .collect(),
        against: run.against().map(|comparison| against::json(comparison, sources)),
        counts: (!run.judged.is_empty()).then(|| {
            let Counts {
                within,
                waived,
                over,
                open,
                later,
                not_applicable,
                advised,
                advised_over,
            } = run.counts();
            CountsJson {
                over,
                open,
                within,
                waived,
                later,
                not_applicable,
                advised,
                advised_over,
            }
        }),
        lines: run.judged.iter().flat_map(|under| lines(under, sources)).collect(),
        diagnostics: run.shown().into_iter().map(|d| diagnostic(d, sources)).collect(),
    }
}

fn lines<'a>(under: &'a Under<'_>, sources: &'a Sources) -> Vec<LineJson<'a>> {
    let lines = under.judgement.lines.iter().filter_map(|judged| {
        let line = under.policy.lines.get(judged.line)?;
        Some(LineJson {
            subject: line.subject(),
            level: level(line.level),
            verdict: judged.verdict.word(),
            because: judged.verdict.because(line),
            policy: under.policy_file,
            policy_line: sources.get(line.place.source).line(line.place.span.start),
            conditions: conditions(&judged.verdict),
            waivers: waivers(under, judged, sources),
        })
    });
    lines.collect()
}

fn waivers<'a>(under: &'a Under<'_>, judged: &Judged, sources: &Sources) -> Vec<WaiverJson<'a>> {
    let without = judged
        .unwaived
        .as_ref()
        .map_or(judged.verdict.word(), |unwaived| unwaived.verdict.word());
    let each = waived::of(under, judged).map(|(moved, waiver)| WaiverJson {
        from: &moved.from.shown,
        to: &waiver.bound.shown,
        without,
        until: waiver.until.to_string(),
        days_left: moved.days_left,
        by: &waiver.by,
        because: &waiver.because,
        policy_line: sources.get(waiver.place.source).line(waiver.place.span.start),
    });
    each.collect()
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
