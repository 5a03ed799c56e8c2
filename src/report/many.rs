//! A run file under several policies: what is to be said about it, and where.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::{CheckReport, Counts, RunReport};
use crate::diag::{Code, Diagnostic, Label, Severity, has_errors};
use crate::ir::{Comparison, Coverage, Judgement, Policy};
use crate::source::Place;

/// A judgement with the policy that it was made under.
#[derive(Debug)]
pub struct Under<'p> {
    /// The policy as the user named it.
    pub policy_file: &'p str,
    /// The policy as it judged the run, waivers applied.
    pub policy: Cow<'p, Policy>,
    /// What it says.
    pub judgement: Judgement,
}

/// Everything that is to be said about one run file under the policies that speak about it.
#[derive(Debug)]
pub struct FileReport<'p> {
    /// The run file as the user wrote it, or as it was found.
    pub file: String,
    /// The framework that reads it; `None` when that is not known.
    pub framework: Option<&'static str>,
    /// What is wrong with the file itself.
    pub diagnostics: Vec<Diagnostic>,
    /// The judgements, in the order of the policies; empty when there was nothing to judge.
    pub judged: Vec<Under<'p>>,
    /// Policies that were asked and do not speak about the run, where another does.
    pub passed_over: Vec<&'p str>,
    /// Whether advice counts as a limit.
    pub strict: bool,
}

impl<'p> FileReport<'p> {
    /// A run under each policy that covers it. Where none does, that is what is to be said, and by all of them.
    pub fn new(run: RunReport, judged: Vec<Under<'p>>, strict: bool) -> Self {
        let is_outside = |under: &Under<'p>| under.judgement.coverage == Coverage::NotCovered;
        let (outside, inside): (Vec<_>, Vec<_>) = judged.into_iter().partition(is_outside);
        let (judged, passed_over) = match (inside.is_empty(), outside.len()) {
            (true, 0 | 1) => (outside, Vec::new()),
            (true, _) => (of_none(outside), Vec::new()),
            (false, _) => (inside, outside.iter().map(|under| under.policy_file).collect()),
        };
        FileReport {
            file: run.file,
            framework: run.framework,
            diagnostics: run.diagnostics,
            judged,
            passed_over,
            strict,
        }
    }

    /// A run file that was checked by itself.
    pub(super) fn alone(run: &RunReport, policy_file: &'p str, policy: &'p Policy, strict: bool) -> Self {
        let judged = run.judgement.iter().map(|judgement| Under {
            policy_file,
            policy: Cow::Borrowed(policy),
            judgement: judgement.clone(),
        });
        let judged = judged.collect();
        let run = RunReport {
            file: run.file.clone(),
            framework: run.framework,
            diagnostics: run.diagnostics.clone(),
            judgement: None,
        };
        FileReport::new(run, judged, strict)
    }

    /// 0, 1 or 2, as `check` means them.
    pub fn exit_code(&self) -> u8 {
        let counts = self.counts();
        if counts.over > 0 {
            1
        } else if self.judged.is_empty() || counts.open > 0 || has_errors(&self.diagnostics) {
            2
        } else {
            0
        }
    }

    /// The verdicts under all of its policies.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for under in &self.judged {
            counts += Counts::of(&under.judgement, &under.policy, self.strict);
        }
        counts
    }

    /// Whether any policy speaks about the run; `None` when there was nothing to judge.
    pub(super) fn coverage(&self) -> Option<&Coverage> {
        let all = || self.judged.iter().map(|under| &under.judgement.coverage);
        all()
            .find(|coverage| **coverage == Coverage::Covered)
            .or_else(|| all().next())
    }

    /// What differs from the run that this one was made from; every policy asks it of the same two.
    pub(super) fn against(&self) -> Option<&Comparison> {
        self.judged.iter().find_map(|under| under.judgement.against.as_ref())
    }

    /// The findings in the order they are shown: what is wrong with the file, then verdicts from the gravest on.
    pub fn shown(&self) -> Vec<&Diagnostic> {
        let mut verdicts: Vec<&Diagnostic> = self.judged.iter().flat_map(Under::findings).collect();
        verdicts.sort_by_key(|d| (Reverse(d.severity == Severity::Error), d.code));
        self.diagnostics.iter().chain(verdicts).collect()
    }
}

impl Under<'_> {
    /// What is to be shown of the judgement, in its own order.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        let of_lines = self
            .judgement
            .lines
            .iter()
            .filter_map(|judged| judged.diagnostic.as_ref());
        self.judgement.findings.iter().chain(of_lines)
    }
}

/// One finding for a run that several policies were asked about and none covers.
fn of_none(outside: Vec<Under<'_>>) -> Vec<Under<'_>> {
    let asked: Vec<&str> = outside.iter().map(|under| under.policy_file).collect();
    let message = format!("no policy covers this run; asked were {}", asked.join(", "));
    let mut finding = Diagnostic::new(Code::NotCovered, message);
    for found in outside.iter().flat_map(|under| &under.judgement.findings) {
        for label in &found.labels {
            if !finding.labels.contains(label) {
                finding.labels.push(label.clone());
            }
        }
        finding.notes.push(found.message.clone());
        for note in &found.notes {
            if !finding.notes.contains(note) {
                finding.notes.push(note.clone());
            }
        }
    }
    finding = finding.help("nobody judged this run: add a policy that covers it with --policy");
    let mut outside = outside;
    outside.truncate(1);
    for under in &mut outside {
        under.judgement.findings = vec![finding.clone()];
    }
    outside
}

/// Where a finding is in the run file, and the other places that belong to it.
pub(super) fn located<'d>(finding: &'d Diagnostic, policies: &[CheckReport]) -> (Option<Place>, Vec<&'d Label>) {
    let of_policy = |place: Place| {
        let texts = policies.iter().filter_map(|report| report.policy.as_ref());
        texts.map(|policy| policy.source).any(|source| source == place.source)
    };
    let main = finding.labels.iter().position(|label| !of_policy(label.place));
    let others = finding.labels.iter().enumerate();
    (
        main.and_then(|at| finding.labels.get(at)).map(|label| label.place),
        others
            .filter(|(at, _)| Some(*at) != main)
            .map(|(_, label)| label)
            .collect(),
    )
}

/// The headline, what follows from what, and the next step: a finding where nothing can be drawn.
pub(super) fn told(finding: &Diagnostic) -> String {
    let mut lines = vec![finding.message.clone()];
    lines.extend(finding.notes.iter().cloned());
    lines.extend(finding.next_step().map(|step| format!("help: {step}")));
    lines.join("\n")
}
