//! One file looked at: read, told from what is no run, judged under every policy.

use std::path::Path;

use super::targets::Target;
use super::{against, files, waivers};
use crate::adapt::{self, Beside, Launch};
use crate::check::{self, Parent};
use crate::diag::{Code, Diagnostic};
use crate::ir::{Day, Policy};
use crate::report::{CheckReport, FileReport, RunReport, Under};
use crate::source::{SourceId, Sources};

/// A gate that looked at nothing must not be taken for one that found nothing.
pub(super) const NO_RUN: &str =
    "nothing was judged: no file in what was named is a run file; -v says what each of them is";

/// What every run is judged by.
#[derive(Clone, Copy)]
pub(super) struct Judging<'p> {
    /// The policies, without runs.
    pub(super) policies: &'p [CheckReport],
    /// Their texts.
    pub(super) sources: &'p Sources,
    /// What the command line says of the launch.
    pub(super) launch: Launch,
    /// What it says beside the run file; with several runs, beside each.
    pub(super) beside: &'p Beside,
    /// The run that each of them was made from.
    pub(super) parent: Option<&'p against::Named>,
    /// Whether advice counts as a limit.
    pub(super) strict: bool,
    /// The day on which waivers hold or do not.
    pub(super) today: Day,
}

/// What came of looking at a file.
pub(super) enum Looked<'p> {
    /// A run, or a file that was named for one, with the texts that its findings point at; its own is none of them where
    /// it could not be read, or facts stand in its place.
    Run {
        report: FileReport<'p>,
        sources: Sources,
        own: Option<SourceId>,
    },
    /// A file of a folder that is no run.
    NoRun { file: String, why: String },
}

impl<'p> Judging<'p> {
    /// Reads a file and judges it under every policy.
    pub(super) fn look(&self, target: &Target) -> Looked<'p> {
        let mut sources = self.sources.clone();
        let refused = |path: &Path, finding: Diagnostic, sources: Sources| Looked::Run {
            report: self.refused(path, finding),
            sources,
            own: None,
        };
        let (path, is_named) = match target {
            Target::Named(path) => (path, true),
            Target::Found(path) => (path, false),
            Target::Facts(path) => {
                let read = adapt::read_beside(None, &sources, self.launch, self.beside);
                return Looked::Run {
                    report: self.under_all(path, read, &mut sources),
                    sources,
                    own: None,
                };
            }
            Target::Nothing(path, finding) => return refused(path, *finding.clone(), sources),
        };
        match files::run(path, &mut sources) {
            Ok(source) => {
                let read = adapt::read_beside(Some(source), &sources, self.launch, self.beside);
                if !is_named && let Some(why) = no_run(path, &read, sources.get(source).text()) {
                    let file = path.display().to_string();
                    return Looked::NoRun { file, why };
                }
                Looked::Run {
                    report: self.under_all(path, read, &mut sources),
                    sources,
                    own: Some(source),
                }
            }
            // Data lie beside run files, larger than any of them or in no text at all.
            Err(finding) if !is_named && matches!(finding.code, Code::TooLarge | Code::NotText) => Looked::NoRun {
                file: path.display().to_string(),
                why: finding.message,
            },
            Err(finding) => refused(path, *finding, sources),
        }
    }

    /// A run file that was read, under every policy.
    pub(super) fn under_all(&self, path: &Path, read: adapt::Read, sources: &mut Sources) -> FileReport<'p> {
        let mut run = RunReport {
            diagnostics: read.diagnostics,
            ..unread(path)
        };
        let launch = (self.launch, self.beside);
        let parent = self.parent.map(|parent| against::parent(parent, path, launch, sources));
        let parent = match &parent {
            None => Parent::None,
            Some(Ok(facts)) => Parent::Read(facts),
            Some(Err(why_not)) => {
                run.diagnostics.extend_from_slice(why_not);
                Parent::Unread
            }
        };
        let mut judged = Vec::new();
        if let Some(facts) = &read.facts {
            run.framework = Some(facts.framework);
            let policies = self.policies.iter();
            judged.extend(policies.filter_map(|report| {
                let policy = report.judging()?;
                let policy = waivers::applied(policy, &report.policy_file, path, self.today);
                Some(Under {
                    policy_file: &report.policy_file,
                    judgement: check::judge_against(&policy, facts, parent, sources, self.strict),
                    policy,
                })
            }));
        }
        FileReport::new(run, judged, self.strict)
    }

    fn refused(&self, path: &Path, finding: Diagnostic) -> FileReport<'p> {
        let run = RunReport {
            diagnostics: vec![finding],
            ..unread(path)
        };
        FileReport::new(run, Vec::new(), self.strict)
    }
}

/// Why a file that was found in a folder is no run; `None` when it is one, or when it trains and cannot be read: what
/// nobody judged must not look as if somebody had.
fn no_run(path: &Path, read: &adapt::Read, text: &str) -> Option<String> {
    let is_script = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("sh"));
    if read.facts.is_some() || read.diagnostics.iter().any(|found| found.code == Code::UnknownFormat) {
        return None;
    }
    let no_run = read.diagnostics.iter().find(|found| found.code == Code::NotARun);
    match (no_run, read.diagnostics.first()) {
        (Some(finding), _) => Some(finding.message.clone()),
        (None, Some(finding)) if is_script || !adapt::names_training(text) => Some(finding.message.clone()),
        (None, _) => None,
    }
}

/// What was read of one run, under one policy.
pub(super) fn alone(policy: &Policy, path: &Path, read: adapt::Read, strict: bool, sources: &Sources) -> RunReport {
    let mut run = RunReport {
        diagnostics: read.diagnostics,
        ..unread(path)
    };
    if let Some(facts) = read.facts {
        run.framework = Some(facts.framework);
        run.judgement = Some(check::judge(policy, &facts, sources, strict));
    }
    run
}

/// A run file of which nothing is known but its name.
fn unread(path: &Path) -> RunReport {
    RunReport {
        file: path.display().to_string(),
        framework: None,
        diagnostics: Vec::new(),
        judgement: None,
    }
}
