//! Lines to write instead are compiled before they are offered.

use super::Lowering;
use crate::diag::{Code, Diagnostic, Severity};
use crate::source::{SourceFile, Sources};
use crate::syntax::{self, StatementKind};

/// Takes back every offered line that would be reported in its turn.
///
/// A line with two mistakes gets two offers, each with the other mistake still in it: what was wrong before may stay
/// wrong, but no offer brings a mistake of its own.
pub(super) fn keep_what_compiles(diagnostics: &mut [Diagnostic], file: &syntax::File, text: &SourceFile) {
    // Limits are typed against the probes of the file.
    let probes: Vec<&str> = file
        .statements
        .iter()
        .filter(|statement| matches!(statement.kind, StatementKind::Probe(_)))
        .map(|statement| text.slice(statement.span))
        .collect();
    let line_of = |d: &Diagnostic| d.place().map(|place| text.line(place.span.start));
    let known: Vec<(Option<usize>, Code)> = diagnostics.iter().map(|d| (line_of(d), d.code)).collect();
    for diagnostic in diagnostics.iter_mut() {
        let line = line_of(diagnostic);
        let offered = diagnostic.instead.as_deref().filter(|line| is_statement(line));
        let brings_a_mistake = offered.is_some_and(|instead| {
            mistakes(instead, &probes)
                .iter()
                .any(|code| *code == diagnostic.code || !known.contains(&(line, *code)))
        });
        if brings_a_mistake {
            diagnostic.instead = None;
        }
        if diagnostic.next_step().is_none() {
            diagnostic.help = Some(format!("`ftrisk explain {}` has an example", diagnostic.code.name()));
        }
    }
}

/// Whether a text is a whole statement that can be tried by itself.
fn is_statement(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or("");
    matches!(
        first,
        "max" | "min" | "range" | "allow" | "require" | "advise" | "assume"
    ) || (first == "for" && text.contains('{'))
}

/// The errors of a policy that holds the probes and this line.
fn mistakes(line: &str, probes: &[&str]) -> Vec<Code> {
    let mut sources = Sources::default();
    let source = sources.add("", format!("policy \"offer\"\n{}\n{line}\n", probes.join("\n")));
    let parsed = syntax::parse(source, &sources);
    let mut lowering = Lowering::new(source, sources.get(source));
    lowering.policy(&parsed.file);
    parsed
        .diagnostics
        .iter()
        .chain(&lowering.diagnostics)
        // A premise alone is no policy, and that is not its fault.
        .filter(|found| found.severity == Severity::Error && found.code != Code::EmptyPolicy)
        .map(|found| found.code)
        .collect()
}
