//! `ftrisk check --fix-diff`: what to change in a run file, as a diff. Nothing is written.
//!
//! Every change is tried: it counts only if the changed file, read and judged again, has fewer findings than before.

use std::path::Path;

use super::judging::{Judging, Looked, NO_RUN};
use super::targets::Target;
use super::{Outcome, many, terminal};
use crate::adapt;
use crate::diag::{Code, Diagnostic, Edit, Severity};
use crate::report::{FileReport, Tally, Totals, unified};
use crate::source::{SourceId, Sources, Span};

/// More changes than this are no repair of a file but another file.
const MOST: usize = 100;

/// Prints the diffs on standard output, and on standard error what none of them repairs.
pub(super) fn run(judging: &Judging<'_>, targets: &[Target], fail_fast: bool) -> Outcome {
    let mut totals = Totals::default();
    let look = |target: &Target| match judging.look(target) {
        Looked::NoRun { .. } => None,
        Looked::Run { report, sources, own } => {
            let tally = Tally::of(&report);
            Some((repaired(judging, target, Version { report, sources, own }), tally))
        }
    };
    many::in_order(targets, look, |looked| {
        let Some((Repaired { diff, left }, tally)) = looked else {
            return Ok(true);
        };
        terminal::print(&diff)?;
        for line in left {
            terminal::note(&line);
        }
        totals.add(&tally);
        Ok(!(fail_fast && tally.code() != 0))
    })?;
    if totals.files() == 0 {
        terminal::complain(NO_RUN);
    }
    Ok(totals.exit_code())
}

struct Repaired {
    diff: String,
    left: Vec<String>,
}

fn repaired<'p>(judging: &Judging<'p>, target: &Target, mut now: Version<'p>) -> Repaired {
    let (Target::Named(path) | Target::Found(path) | Target::Facts(path) | Target::Nothing(path, _)) = target;
    let Some(original) = now.text() else {
        return Repaired {
            diff: String::new(),
            left: now.left(),
        };
    };
    let name = if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let mut text = original.clone();
    for _ in 0..MOST {
        let better = now.changes(&text).into_iter().find_map(|changed| {
            let next = Version::of(judging, path, &name, &changed);
            (next.badness() < now.badness()).then_some((changed, next))
        });
        let Some((changed, next)) = better else {
            break;
        };
        text = changed;
        now = next;
    }
    Repaired {
        diff: unified(&name, &original, &text),
        left: now.left(),
    }
}

/// A version of a run file with what is said about it.
struct Version<'p> {
    report: FileReport<'p>,
    sources: Sources,
    /// The run file itself, if it was read.
    own: Option<SourceId>,
}

impl<'p> Version<'p> {
    fn of(judging: &Judging<'p>, path: &Path, name: &str, text: &str) -> Self {
        let mut sources = judging.sources.clone();
        let source = sources.add(name, text);
        let read = adapt::read_beside(Some(source), &sources, judging.launch, judging.beside);
        Version {
            report: judging.under_all(path, read, &mut sources),
            sources,
            own: Some(source),
        }
    }

    fn text(&self) -> Option<String> {
        Some(self.sources.get(self.own?).text().to_owned())
    }

    /// Mistakes of the file, then limits that it is over: a file is better when it has fewer of the first, or as many and
    /// fewer of the second. A file that is judged no more is worst of all.
    fn badness(&self) -> (bool, usize, usize) {
        let over = self.report.shown().into_iter().filter(|found| is_over(found)).count();
        let mistakes = self
            .report
            .diagnostics
            .iter()
            .filter(|found| is_repairable(found))
            .count();
        (self.report.judged.is_empty(), mistakes, over)
    }

    /// Every change that a finding knows, as the text that it makes.
    fn changes(&self, text: &str) -> Vec<String> {
        let Some(source) = self.own else {
            return Vec::new();
        };
        let mistakes = self.report.diagnostics.iter().filter(|found| is_repairable(found));
        let mistakes = mistakes.filter_map(|found| {
            Some(Edit {
                place: found.place()?,
                text: found.instead.clone()?,
            })
        });
        let shown = self.report.shown();
        let limits = shown
            .iter()
            .filter(|found| is_over(found))
            .flat_map(|found| found.edits.clone());
        mistakes
            .chain(limits)
            .filter(|edit| edit.place.source == source)
            .filter_map(|edit| changed(text, edit.place.span, &edit.text))
            .collect()
    }

    /// What is wrong, over or open, and what to do about it.
    fn left(&self) -> Vec<String> {
        let wrong = self
            .report
            .shown()
            .into_iter()
            .filter(|found| found.severity == Severity::Error);
        wrong
            .map(|found| {
                let next = found
                    .next_step()
                    .map_or(String::new(), |step| format!("\n  help: {step}"));
                let file = if found.place().is_none() {
                    format!("{}: ", self.report.file)
                } else {
                    String::new()
                };
                format!("not repaired: {file}{}{next}", found.concise(&self.sources))
            })
            .collect()
    }
}

fn is_over(found: &Diagnostic) -> bool {
    found.code == Code::Over && found.severity == Severity::Error
}

/// A mistake in the file, or a number that only some loaders read as one. Whether a file trains at all is its author's to say.
fn is_repairable(found: &Diagnostic) -> bool {
    let is_wrong = found.severity == Severity::Error || found.code == Code::LoaderText;
    is_wrong && !found.code.is_verdict() && found.code != Code::NotARun
}

/// The text with a place written otherwise. At an empty place a line is added, indented as the one that ends there.
fn changed(text: &str, span: Span, new: &str) -> Option<String> {
    let (before, after) = (text.get(..span.start)?, text.get(span.end..)?);
    if !span.is_empty() {
        return Some(format!("{before}{new}{after}"));
    }
    let line = before.rsplit('\n').next().unwrap_or(before);
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    // The place may lie before the carriage return of its line, or behind it.
    let before = before.strip_suffix('\r').unwrap_or(before);
    let after = after.strip_prefix('\r').unwrap_or(after);
    let after = if end == "\r\n" && after.starts_with('\n') {
        format!("\r{after}")
    } else {
        after.to_owned()
    };
    Some(format!("{before}{end}{indent}{new}{after}"))
}
