//! Judgements as text and in four formats for programs, and the pages of the reference: data in, string out.

#[cfg(feature = "cli")]
mod against;
mod breach;
mod diff;
pub mod facts;
mod github;
mod json;
mod junit;
mod many;
pub mod probe;
pub mod reference;
mod sarif;
#[cfg(feature = "cli")]
mod text;
mod totals;
pub mod train;
mod waived;
mod words;
mod writer;

pub use diff::unified;
pub use json::JSON_VERSION;
pub use many::{FileReport, Under};
#[cfg(feature = "cli")]
pub use text::check as check_text;
pub use totals::{LimitCount, Tally, Totals};
pub use writer::{Form, Writer};

use crate::diag::{Code, Diagnostic};
use crate::ir::{Judgement, Level, Policy, Verdict};

/// Everything that is to be said about one run file.
#[derive(Debug)]
pub struct RunReport {
    /// The run file as the user wrote it.
    pub file: String,
    /// The framework that reads it; `None` when that is not known.
    pub framework: Option<&'static str>,
    /// What is wrong with the file itself.
    pub diagnostics: Vec<Diagnostic>,
    /// The judgement; `None` when there was nothing to judge.
    pub judgement: Option<Judgement>,
}

/// Everything that a check says.
#[derive(Debug)]
pub struct CheckReport {
    /// The policy as the user named it.
    pub policy_file: String,
    /// The policy; `None` when it does not compile.
    pub policy: Option<Policy>,
    /// What is wrong with the policy or its probes.
    pub diagnostics: Vec<Diagnostic>,
    /// One entry a run file, in the order of the command line.
    pub runs: Vec<RunReport>,
    /// Whether advice counts as a limit.
    pub strict: bool,
}

/// How many lines of a judgement have which verdict; advice apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Enforced lines that are within.
    pub within: usize,
    /// Those of them that would not be, had they not been waived.
    pub waived: usize,
    /// Enforced lines that are over, launches outside of a premise included.
    pub over: usize,
    /// Enforced lines that are open, an open coverage included.
    pub open: usize,
    /// Enforced lines that a reading will decide.
    pub later: usize,
    /// Lines that are not in force for this run.
    pub not_applicable: usize,
    /// Advised lines.
    pub advised: usize,
    /// Advised lines that are over.
    pub advised_over: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.within += other.within;
        self.waived += other.waived;
        self.over += other.over;
        self.open += other.open;
        self.later += other.later;
        self.not_applicable += other.not_applicable;
        self.advised += other.advised;
        self.advised_over += other.advised_over;
    }
}

impl Counts {
    /// Counts a judgement.
    pub fn of(judgement: &Judgement, policy: &Policy, strict: bool) -> Counts {
        let mut counts = Counts::default();
        for judged in &judgement.lines {
            let level = policy.lines.get(judged.line).map(|line| line.level);
            let advice = level == Some(Level::Advise) && !strict;
            match judged.verdict {
                Verdict::NotApplicable { .. } => counts.not_applicable += 1,
                ref verdict if advice => {
                    counts.advised += 1;
                    counts.advised_over += usize::from(matches!(verdict, Verdict::Over { .. }));
                }
                Verdict::Within { .. } => {
                    counts.within += 1;
                    counts.waived += usize::from(judged.waived().is_some());
                }
                Verdict::Over { .. } => counts.over += 1,
                Verdict::Open { .. } => counts.open += 1,
                Verdict::Later { .. } => counts.later += 1,
            }
        }
        for finding in &judgement.findings {
            match finding.code {
                Code::Over => counts.over += 1,
                Code::Open | Code::NotCovered => counts.open += 1,
                _ => {}
            }
        }
        counts
    }
}

impl RunReport {
    /// 0, 1 or 2, as `check` means them.
    pub fn exit_code(&self, policy: &Policy, strict: bool) -> u8 {
        let Some(judgement) = &self.judgement else {
            return 2;
        };
        let counts = Counts::of(judgement, policy, strict);
        if counts.over > 0 {
            1
        } else if counts.open > 0 || crate::diag::has_errors(&self.diagnostics) {
            2
        } else {
            0
        }
    }
}

impl CheckReport {
    /// The policy, when it can judge anything.
    pub fn judging(&self) -> Option<&Policy> {
        self.policy
            .as_ref()
            .filter(|_| !crate::diag::has_errors(&self.diagnostics))
    }

    /// The worst of its runs; 2 when the policy judges nothing.
    pub fn exit_code(&self) -> u8 {
        let Some(policy) = self.judging() else {
            return 2;
        };
        let codes: Vec<u8> = self.runs.iter().map(|run| run.exit_code(policy, self.strict)).collect();
        [1, 2]
            .into_iter()
            .find(|code| codes.contains(code))
            .unwrap_or(if codes.is_empty() { 2 } else { 0 })
    }
}

/// The characters of the widest cell of each column.
fn widths<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}
