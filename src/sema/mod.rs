//! Tree to typed policy: names, units, directions, probes, responses.
//!
//! Every mistake is reported at its own place with the line to write instead; a policy with one compiles to nothing.
//! Knows the table of quantities; knows no run and reads no file.

mod binds;
mod limit;
mod names;
mod offers;
mod pace;
mod response;
mod selector;
mod statement;
mod value;
mod waiver;

use crate::diag::{self, Code, Diagnostic, Severity};
use crate::ir::{Assume, Line, Policy, Probe, Selector, Waiver};
use crate::source::{Place, SourceFile, SourceId, Sources, Span};
use crate::syntax;

/// A policy with everything that was found in its text.
#[derive(Debug)]
pub struct Compiled {
    /// The policy; `None` when the text has an error, because half a policy judges nothing.
    pub policy: Option<Policy>,
    /// Findings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and types a policy.
pub fn compile(source: SourceId, sources: &Sources) -> Compiled {
    let parsed = syntax::parse(source, sources);
    let mut lowering = Lowering::new(source, sources.get(source));
    lowering.diagnostics = parsed.diagnostics;
    let policy = lowering.policy(&parsed.file);
    let mut diagnostics = lowering.diagnostics;
    diag::sort(&mut diagnostics);
    diagnostics.dedup();
    offers::keep_what_compiles(&mut diagnostics, &parsed.file, sources.get(source));
    Compiled {
        policy: policy.filter(|_| !diag::has_errors(&diagnostics)),
        diagnostics,
    }
}

/// What has been typed so far.
struct Lowering<'s> {
    source: SourceId,
    text: &'s SourceFile,
    diagnostics: Vec<Diagnostic>,
    covers: Vec<Selector>,
    probes: Vec<Probe>,
    assumes: Vec<Assume>,
    lines: Vec<Line>,
    waivers: Vec<Waiver>,
}

impl<'s> Lowering<'s> {
    fn new(source: SourceId, text: &'s SourceFile) -> Self {
        Lowering {
            source,
            text,
            diagnostics: Vec::new(),
            covers: Vec::new(),
            probes: Vec::new(),
            assumes: Vec::new(),
            lines: Vec::new(),
            waivers: Vec::new(),
        }
    }

    fn policy(&mut self, file: &syntax::File) -> Option<Policy> {
        self.covers = match file.header.as_ref().and_then(|header| header.scope.as_ref()) {
            Some(scope) => self.selectors(scope, file.header.as_ref().map_or(scope.span, |header| header.span)),
            None => Vec::new(),
        };
        // Probes first: the order of statements never matters.
        for statement in &file.statements {
            if let syntax::StatementKind::Probe(probe) = &statement.kind {
                self.probe(probe, statement.span);
            }
        }
        for statement in &file.statements {
            self.statement(statement, &[], None);
        }
        self.assumes_agree();
        self.binds();
        self.waivers_relax();
        // A mistake may have cost the file its only limit; then the mistake is the thing to tell.
        if self.lines.is_empty() && !diag::has_errors(&self.diagnostics) {
            let at = file.header.as_ref().map_or(Span::new(0, 0), |header| header.span);
            self.report(
                Diagnostic::new(Code::EmptyPolicy, "this policy limits nothing")
                    .at(self.place(at), "no limit follows")
                    .help("add a line")
                    .instead("max learning_rate 2e-4"),
            );
        }
        let header = file.header.as_ref()?;
        Some(Policy {
            name: header.name.value.clone(),
            source: self.source,
            header: self.place(header.span),
            covers: std::mem::take(&mut self.covers),
            assumes: std::mem::take(&mut self.assumes),
            probes: std::mem::take(&mut self.probes),
            lines: std::mem::take(&mut self.lines),
            waivers: std::mem::take(&mut self.waivers),
        })
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn place(&self, span: Span) -> Place {
        Place {
            source: self.source,
            span,
        }
    }

    /// The text of a statement with one part of it replaced, on one line: what to write instead.
    fn rewritten(&self, statement: Span, part: Span, with: &str) -> String {
        let before = self.text.slice(Span::new(statement.start, part.start));
        let after = self.text.slice(Span::new(part.end.min(statement.end), statement.end));
        let text = format!("{before}{with}{after}");
        // On one line a comment would swallow what follows it.
        let lines: Vec<&str> = text.lines().map(without_comment).collect();
        lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn has_error_since(&self, before: usize) -> bool {
        self.diagnostics
            .iter()
            .skip(before)
            .any(|d| d.severity == Severity::Error)
    }
}

/// A line up to its comment.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let hash = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '#' && !quoted
    });
    hash.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

/// Where a statement stands: which scope it is in, and the statement that a rewrite shows.
#[derive(Clone, Copy)]
struct Context<'a> {
    scope: &'a [Selector],
    statement: Span,
}
