//! Verdicts: what holds for every value that a run may still have.

use std::borrow::Cow;

use super::{Asks, Comparison, Line, shown_value};
use crate::diag::Diagnostic;
use crate::quantity::Interval;

/// What a line that is within rests on. Most lines are, and of most nobody asks why: numbers become words when they are
/// read.
#[derive(Debug, Clone, PartialEq)]
pub enum Inside {
    /// These values of the quantity.
    Values(Interval),
    /// The facts, or the proof, in words.
    Said(Cow<'static, str>),
}

/// The verdict on one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Every value is inside.
    Within {
        /// The value, or the proof.
        because: Inside,
    },
    /// Every value is outside.
    Over {
        /// The value.
        because: String,
    },
    /// A reading will decide it; the guard is armed with it.
    Later {
        /// What will be read, when and where.
        reads: String,
    },
    /// Some values are inside and some are not, and the fact could have been known by now.
    Open {
        /// What is not known.
        because: String,
        /// What would make it within, for each missing fact.
        conditions: Vec<Condition>,
    },
    /// The line is not in force for this run; no verdict.
    NotApplicable {
        /// Why.
        because: String,
    },
}

impl Verdict {
    /// Its name in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Within { .. } => "within",
            Verdict::Over { .. } => "over",
            Verdict::Later { .. } => "later",
            Verdict::Open { .. } => "open",
            Verdict::NotApplicable { .. } => "not applicable",
        }
    }

    /// What it rests on, in words. `line` is the line of the policy that it is about.
    pub fn because(&self, line: &Line) -> Cow<'_, str> {
        match self {
            Verdict::Within { because } => because.words(line),
            Verdict::Over { because } | Verdict::Open { because, .. } | Verdict::NotApplicable { because } => {
                because.into()
            }
            Verdict::Later { reads } => reads.into(),
        }
    }
}

impl Inside {
    fn words(&self, line: &Line) -> Cow<'_, str> {
        match (self, &line.asks) {
            (Inside::Said(words), _) => Cow::Borrowed(words),
            (Inside::Values(values), Asks::Limit(limit)) => {
                let is = shown_value(limit.quantity, *values, Some(limit));
                format!("{is}; {} is asked", limit.asked()).into()
            }
            // Only limits are on values.
            (Inside::Values(_), Asks::Allow { .. } | Asks::Require(_)) => Cow::Borrowed(""),
        }
    }
}

/// For which values of one missing fact an open limit is within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The missing fact: `world_size`.
    pub fact: String,
    /// The values that suffice, whatever the other missing facts are: `2 to 16`; `None` when none does by itself.
    pub within: Option<String>,
    /// Who can supply the fact.
    pub supply: Supply,
}

/// Who can supply a missing fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    /// The next step in words: `say --world-size N`.
    pub how: String,
}

/// Whether the policy speaks about the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Coverage {
    /// It does.
    Covered,
    /// It does not: nobody judged the run.
    NotCovered,
    /// A fact that decides it is not known; the lines are judged as if it did.
    Unknown,
}

/// A line with its verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Index into the policy's lines.
    pub line: usize,
    /// What holds.
    pub verdict: Verdict,
    /// What to show, for `Over` and `Open`.
    pub diagnostic: Option<Diagnostic>,
    /// What holds of a limit that is waived for this run, had it not been waived.
    pub unwaived: Option<Box<Unwaived>>,
}

/// The verdict on a limit as it is written, beside the one that a waiver made.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwaived {
    /// What would hold.
    pub verdict: Verdict,
    /// What would be shown, for `Over` and `Open`.
    pub diagnostic: Option<Diagnostic>,
}

impl Judged {
    /// What would be shown, and is not because a waiver holds.
    pub fn waived(&self) -> Option<&Diagnostic> {
        let passes = matches!(self.verdict, Verdict::Within { .. } | Verdict::Later { .. });
        self.unwaived.as_ref().filter(|_| passes)?.diagnostic.as_ref()
    }
}

/// Everything that `check` says about one run under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Whether the policy speaks about the run.
    pub coverage: Coverage,
    /// The lines in the policy's order; empty when nobody judged the run.
    pub lines: Vec<Judged>,
    /// Findings that belong to no line: the coverage, a launch outside the premises.
    pub findings: Vec<Diagnostic>,
    /// The premises that were used, in words: `world_size 1 to 8 (cautious-sft.riskpolicy:4)`.
    pub premises: Vec<String>,
    /// The command that would launch the run: `llamafactory-cli`.
    pub launcher: &'static str,
    /// How the run differs from its parent; `None` when no parent was given, or none that can be read.
    pub against: Option<Comparison>,
}

impl Judgement {
    /// The lines that wait for a reading, as indices into the policy's: what a guard is armed with.
    pub fn later(&self) -> impl Iterator<Item = usize> + '_ {
        let waits = |judged: &&Judged| matches!(judged.verdict, Verdict::Later { .. });
        self.lines.iter().filter(waits).map(|judged| judged.line)
    }
}
