//! What a person reads after `ftrisk check`.

use std::fmt::Write as _;

use super::{CheckReport, Counts, RunReport, shown};
use crate::diag::render::{Style, render};
use crate::diag::{Diagnostic, Severity};
use crate::ir::{Coverage, Judgement, Level, Policy, Verdict};
use crate::source::Sources;

/// More findings than this are counted, not drawn: nobody reads them, and drawing them takes long.
const MOST_SHOWN: usize = 50;

/// The report as text; `verbose` lists every line of the policy with its verdict.
pub fn check(report: &CheckReport, sources: &Sources, style: Style, verbose: bool) -> String {
    let mut out = String::new();
    drawn(&mut out, &report.diagnostics.iter().collect::<Vec<_>>(), sources, style);
    let Some(policy) = report.judging() else {
        let found = report
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        let mistakes = if found == 1 {
            "1 mistake".to_owned()
        } else {
            format!("{found} mistakes")
        };
        let _ = writeln!(
            out,
            "{} judges nothing until it is repaired: {mistakes}",
            report.policy_file
        );
        return out;
    };
    for run in &report.runs {
        drawn(&mut out, &shown(run), sources, style);
        if let Some(judgement) = &run.judgement {
            if verbose {
                listed(&mut out, judgement, policy, sources, report.strict);
            }
            for premise in &judgement.premises {
                let _ = writeln!(out, "{premise}");
            }
        }
        if report.runs.len() > 1 {
            let _ = write!(out, "{}: ", run.file);
        }
        let _ = writeln!(out, "{}", last_line(run, policy, report.strict));
        if report.runs.len() > 1 {
            out.push('\n');
        }
    }
    if report.runs.len() > 1 {
        let codes: Vec<u8> = report
            .runs
            .iter()
            .map(|run| run.exit_code(policy, report.strict))
            .collect();
        let count = |code| codes.iter().filter(|c| **c == code).count();
        let _ = writeln!(
            out,
            "{} run files: {} within budget, {} over, {} open or unreadable",
            codes.len(),
            count(0),
            count(1),
            count(2)
        );
    }
    out
}

fn drawn(out: &mut String, diagnostics: &[&Diagnostic], sources: &Sources, style: Style) {
    for diagnostic in diagnostics.iter().take(MOST_SHOWN) {
        out.push_str(&render(diagnostic, sources, style));
        out.push('\n');
    }
    if diagnostics.len() > MOST_SHOWN {
        let _ = writeln!(
            out,
            "and {} more findings; repair these first\n",
            diagnostics.len() - MOST_SHOWN
        );
    }
}

/// Every line of the policy with its verdict and what it rests on.
fn listed(out: &mut String, judgement: &Judgement, policy: &Policy, sources: &Sources, strict: bool) {
    let rows: Vec<[String; 4]> = judgement
        .lines
        .iter()
        .filter_map(|judged| {
            let line = policy.lines.get(judged.line)?;
            let word = match &judged.verdict {
                Verdict::NotApplicable { .. } => "–",
                verdict => verdict.word(),
            };
            let level = match line.level {
                Level::Advise if !strict => " (advice)",
                Level::Advise | Level::Enforce | Level::NoWaiver => "",
            };
            Some([
                format!("{word}{level}"),
                line.subject().to_owned(),
                sources.locate(line.place),
                judged.verdict.because().to_owned(),
            ])
        })
        .collect();
    let [a, b, c, _] = super::widths(&rows);
    for [verdict, subject, place, because] in &rows {
        let _ = writeln!(out, "{verdict:a$}  {subject:b$}  {place:c$}  {because}");
    }
    if !rows.is_empty() {
        out.push('\n');
    }
}

/// `2 over, 9 within, 3 later: decided while training under ftrisk; a plain llamafactory-cli run measures none of them`
fn last_line(run: &RunReport, policy: &Policy, strict: bool) -> String {
    let Some(judgement) = &run.judgement else {
        return "not judged".to_owned();
    };
    if judgement.coverage == Coverage::NotCovered {
        return format!("not judged: {} does not cover this run", policy.name);
    }
    let counts = Counts::of(judgement, policy, strict);
    let mut parts = Vec::new();
    let mistakes = run.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    if mistakes > 0 {
        let plural = if mistakes == 1 { "" } else { "s" };
        parts.push(format!("{mistakes} mistake{plural} in the run file"));
    }
    for (count, word) in [(counts.over, "over"), (counts.open, "open"), (counts.within, "within")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if counts.advised > 0 {
        let over = if counts.advised_over > 0 {
            format!(" ({} over)", counts.advised_over)
        } else {
            String::new()
        };
        parts.push(format!("{} advised{over}", counts.advised));
    }
    if counts.not_applicable > 0 {
        let verb = if counts.not_applicable == 1 { "does" } else { "do" };
        parts.push(format!("{} {verb} not apply", counts.not_applicable));
    }
    if counts.later > 0 {
        let of_them = if counts.later == 1 {
            "does not measure it"
        } else {
            "measures none of them"
        };
        parts.push(format!(
            "{} later: decided while training under ftrisk; a plain {} run {of_them}",
            counts.later, judgement.launcher
        ));
    }
    parts.join(", ")
}
