//! What a person reads after `ftrisk check`.

use std::fmt::Write as _;

use super::{CheckReport, Counts, FileReport, Tally, Totals, Under, against, waived};
use crate::diag::render::{Style, render};
use crate::diag::{Diagnostic, Severity};
use crate::ir::{Coverage, Judgement, Level, Policy, Verdict};
use crate::source::Sources;

/// More findings than this are counted, not drawn: nobody reads them, and drawing them takes long.
const MOST_SHOWN: usize = 50;

/// The report as text; `verbose` lists every line of the policy with its verdict.
pub fn check(report: &CheckReport, sources: &Sources, style: Style, verbose: bool) -> String {
    let mut out = head(std::slice::from_ref(report), sources, style);
    let several = report.runs.len() > 1;
    let mut totals = Totals::default();
    if let Some(policy) = report.judging() {
        for run in &report.runs {
            let run = FileReport::alone(run, &report.policy_file, policy, report.strict);
            totals.add(&Tally::of(&run));
            out.push_str(&file(&run, sources, style, verbose, several));
        }
        out.push_str(&tail(std::slice::from_ref(report), &totals, several, verbose, false));
    }
    out
}

/// What is wrong with the policies; a last line for each that judges nothing because of it.
pub(super) fn head(policies: &[CheckReport], sources: &Sources, style: Style) -> String {
    let mut out = String::new();
    for report in policies {
        drawn(&mut out, &report.diagnostics.iter().collect::<Vec<_>>(), sources, style);
        if report.judging().is_some() {
            continue;
        }
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
    }
    out
}

/// One run file: what was found, and a line of counts for each policy.
pub(super) fn file(report: &FileReport<'_>, sources: &Sources, style: Style, verbose: bool, several: bool) -> String {
    let mut out = String::new();
    drawn(&mut out, &report.shown(), sources, style);
    for under in &report.judged {
        if verbose {
            listed(&mut out, &under.judgement, &under.policy, sources, report.strict);
        }
    }
    if let Some(comparison) = report.against() {
        out.push_str(&against::text(comparison, sources));
    }
    for under in &report.judged {
        for premise in &under.judgement.premises {
            let _ = writeln!(out, "{premise}");
        }
        let lines = under.judgement.lines.iter();
        for waived in lines.filter_map(|judged| waived::told(under, judged, sources)) {
            let _ = writeln!(out, "{waived}");
        }
    }
    if verbose {
        for policy in &report.passed_over {
            let _ = writeln!(out, "{policy} does not cover this run");
        }
    }
    out.push_str(&counted(report, several));
    if several {
        out.push('\n');
    }
    out
}

/// One run file in a line, unless it is within.
pub(super) fn in_a_line(report: &FileReport<'_>, several: bool) -> String {
    if report.exit_code() == 0 {
        String::new()
    } else {
        counted(report, several)
    }
}

/// A line of counts for each policy that judged the run.
fn counted(report: &FileReport<'_>, several: bool) -> String {
    let mut out = String::new();
    let mistakes = mistakes(report);
    if report.judged.is_empty() {
        let _ = writeln!(out, "{}not judged", named(report, None, several));
    }
    for (index, under) in report.judged.iter().enumerate() {
        let policy = (report.judged.len() > 1).then_some(under.policy_file);
        // What is wrong with the file is said once.
        let mistakes = mistakes.clone().filter(|_| index == 0);
        let line = last_line(mistakes, under, report.strict);
        let _ = writeln!(out, "{}{line}", named(report, policy, several));
    }
    out
}

fn named(report: &FileReport<'_>, policy: Option<&str>, several: bool) -> String {
    let file = several.then_some(report.file.as_str());
    let names: Vec<&str> = file.into_iter().chain(policy).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("{}: ", names.join(": "))
    }
}

fn mistakes(report: &FileReport<'_>) -> Option<String> {
    let mistakes = report
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    let plural = if mistakes == 1 { "" } else { "s" };
    (mistakes > 0).then(|| format!("{mistakes} mistake{plural} in the run file"))
}

/// The counts of a check of several files: how often each limit is broken, and how many files are what.
pub(super) fn tail(policies: &[CheckReport], totals: &Totals, several: bool, verbose: bool, quiet: bool) -> String {
    let mut out = String::new();
    if !several || (quiet && totals.exit_code() == 0) {
        return out;
    }
    if totals.files() > 1 {
        for limit in totals.broken() {
            if policies.len() > 1 {
                let _ = write!(out, "{}: ", limit.policy_file);
            }
            let counts = [(limit.over, "over"), (limit.open, "open")];
            let counts: Vec<String> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            let _ = writeln!(out, "{}: {} of {}", limit.subject, counts.join(", "), limit.of);
        }
    }
    let files = if totals.files() == 1 {
        "1 run file".to_owned()
    } else {
        format!("{} run files", totals.files())
    };
    let _ = writeln!(
        out,
        "{files}: {} within budget, {} over, {} open or unreadable",
        totals.within, totals.over, totals.open
    );
    let hint = if verbose { "" } else { ": -v lists them" };
    match totals.not_runs {
        0 => {}
        1 => {
            let _ = writeln!(out, "1 other file is no run{hint}");
        }
        more => {
            let _ = writeln!(out, "{more} other files are no runs{hint}");
        }
    }
    match totals.not_checked {
        0 => {}
        1 => out.push_str("stopped there; 1 file was not looked at\n"),
        more => {
            let _ = writeln!(out, "stopped there; {more} files were not looked at");
        }
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
                judged.verdict.because(line).into_owned(),
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
fn last_line(mistakes: Option<String>, under: &Under<'_>, strict: bool) -> String {
    let (judgement, policy) = (&under.judgement, &under.policy);
    if judgement.coverage == Coverage::NotCovered {
        let several = judgement
            .findings
            .iter()
            .any(|finding| finding.message.starts_with("no policy"));
        return if several {
            "not judged: no policy covers this run".to_owned()
        } else {
            format!("not judged: {} does not cover this run", policy.name)
        };
    }
    let counts = Counts::of(judgement, policy, strict);
    let mut parts: Vec<String> = mistakes.into_iter().collect();
    for (count, word) in [(counts.over, "over"), (counts.open, "open"), (counts.within, "within")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if let (1.., Some(within)) = (counts.waived, parts.last_mut()) {
        within.push_str(&format!(" ({} waived)", counts.waived));
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
