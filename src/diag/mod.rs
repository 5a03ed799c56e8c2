//! What went wrong, as plain data.
//!
//! A diagnostic points at as many texts as it needs: a finding about a run has one label in the policy and one in the
//! run file. Words are made where the fact is known; how they look is decided in `render` and in `report`.

mod code;
#[cfg(feature = "cli")]
pub mod render;
mod suggest;

pub use code::{CODES, Code};
pub use suggest::{closest, one_of};

use crate::source::{Place, Sources};

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Shown, changes nothing.
    Advice,
    /// Shown, changes no exit code.
    Warning,
    /// Exit 2, unless its code is a verdict.
    Error,
}

/// A place with the words that belong beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What to say there; may be empty.
    pub text: String,
}

/// A change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What goes; an empty place takes nothing away.
    pub place: Place,
    /// What comes instead: at an empty place a line of its own, below the one that ends there.
    pub text: String,
}

/// One thing to tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of thing.
    pub code: Code,
    /// The limit's quantity or fact, for verdicts.
    pub subject: Option<String>,
    /// How much it weighs.
    pub severity: Severity,
    /// The headline: lower case, no period, stands alone.
    pub message: String,
    /// Places, the primary one first.
    pub labels: Vec<Label>,
    /// What follows from what: derivations, defaults, counts.
    pub notes: Vec<String>,
    /// What to do next.
    pub help: Option<String>,
    /// The text to write at the primary place instead, where one is known.
    pub instead: Option<String>,
    /// Changes of the run file that would do, each by itself, the best first. No report shows them: the help says them in
    /// words, and `--fix-diff` tries them.
    pub edits: Vec<Edit>,
}

impl Diagnostic {
    /// A diagnostic of this code, at its usual weight.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            subject: None,
            severity: code.severity(),
            message: readable(message.into()),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
            instead: None,
            edits: Vec::new(),
        }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub fn at(mut self, place: Place, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            place,
            text: readable(text.into()),
        });
        self
    }

    /// Adds a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(readable(text.into()));
        self
    }

    /// Sets the next step.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(readable(text.into()));
        self
    }

    /// Sets the text to write at the primary place; one that nobody would write by hand is left out.
    #[must_use]
    pub fn instead(mut self, text: impl Into<String>) -> Self {
        self.instead = Some(text.into()).filter(|text| text.len() <= MOST_READABLE);
        self
    }

    /// Sets the changes that would do.
    #[must_use]
    pub fn edits(mut self, edits: Vec<Edit>) -> Self {
        self.edits = edits;
        self
    }

    /// Names the limit that it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Changes the weight.
    #[must_use]
    pub fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The primary place.
    pub fn place(&self) -> Option<Place> {
        self.labels.first().map(|label| label.place)
    }

    /// `over[lora.rank]`, `error[unit-missing]`, `warning[probe-unpinned]`, `advice[lora.rank]`.
    pub fn kind(&self) -> String {
        match (&self.subject, self.severity) {
            (Some(subject), Severity::Advice) => format!("advice[{subject}]"),
            (Some(subject), _) => format!("{}[{subject}]", self.code.name()),
            (None, Severity::Error) if self.code == Code::NotCovered => "open[not-covered]".to_owned(),
            (None, Severity::Error) => format!("error[{}]", self.code.name()),
            (None, Severity::Warning) => format!("warning[{}]", self.code.name()),
            (None, Severity::Advice) => format!("advice[{}]", self.code.name()),
        }
    }

    /// What to do next: the help, then the text to write, as far as there are any.
    pub fn next_step(&self) -> Option<String> {
        match (&self.help, &self.instead) {
            (Some(help), Some(instead)) => Some(format!("{help}: `{instead}`")),
            (Some(help), None) => Some(help.clone()),
            (None, Some(instead)) => Some(format!("write `{instead}`")),
            (None, None) => None,
        }
    }

    /// One line: `file:line:column: kind: message`.
    pub fn concise(&self, sources: &Sources) -> String {
        let head = format!("{}: {}", self.kind(), self.message);
        self.place().map_or(head.clone(), |place| {
            let file = sources.get(place.source);
            let column = file.column(place.span.start);
            format!("{}:{column}: {head}", sources.locate(place))
        })
    }
}

/// Longer texts quote something that no person wrote; a message stays one that a person can read.
const MOST_READABLE: usize = 800;

fn readable(text: String) -> String {
    if text.len() <= MOST_READABLE {
        return text;
    }
    let end = (0..=MOST_READABLE)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or(""))
}

/// Puts diagnostics into the order people read: by file, then by place, then by code.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|d| (d.place(), d.code));
}

/// Whether any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
