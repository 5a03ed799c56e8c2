//! What comes before update 0, whoever trains: the run is judged, and the guard armed with what waits for readings.

use std::path::Path;

use super::check::compiled;
use super::judging::alone;
use super::{BAD_INPUT, files, waivers};
use crate::adapt::{self, Beside, Launch};
use crate::diag::Diagnostic;
use crate::guard::Guard;
use crate::ir::{Judgement, Policy};
use crate::report::{CheckReport, train::not_measured};
use crate::source::{SourceId, Sources};

/// A run that the check lets through.
pub(super) struct Passed<T> {
    pub(super) policy: Policy,
    pub(super) run: SourceId,
    /// The lines that wait for a reading.
    pub(super) later: Vec<usize>,
    /// What was found on the way to the launch.
    pub(super) found: T,
}

/// Why the check lets a run not through.
pub(super) struct Stopped<T> {
    /// The code that the command ends with.
    pub(super) code: u8,
    /// What is to be said below the check.
    pub(super) causes: Vec<Diagnostic>,
    /// What was found on the way to the launch, if it came so far.
    #[cfg_attr(
        not(feature = "train"),
        expect(dead_code, reason = "only `train` finds causes on the way")
    )]
    pub(super) found: Option<T>,
}

/// Judges a run with what is beside it, and says nothing. `launch` says how it is launched, and may find more on the way.
pub(super) fn gate<T>(
    (policy_file, run_file): (&str, &Path),
    beside: &Beside,
    strict: bool,
    sources: &mut Sources,
    launch: impl FnOnce(SourceId, &Sources) -> (Launch, T),
) -> (CheckReport, Result<Passed<T>, Stopped<T>>) {
    let today = waivers::today();
    let mut report = compiled(policy_file, strict, today, sources);
    waivers::apply(&mut report, run_file, today);
    let stopped = |code, causes, found| Err(Stopped { code, causes, found });
    let Some(policy) = report.judging().cloned() else {
        let code = report.exit_code();
        return (report, stopped(code, Vec::new(), None));
    };
    let run = match files::run(run_file, sources) {
        Ok(run) => run,
        Err(finding) => return (report, stopped(BAD_INPUT, vec![*finding], None)),
    };
    let (launch, found) = launch(run, sources);
    let read = adapt::read_beside(Some(run), sources, launch, beside);
    let judged = alone(&policy, run_file, read, strict, sources);
    let later = judged.judgement.iter().flat_map(Judgement::later).collect();
    report.runs = vec![judged];
    let outcome = match report.exit_code() {
        0 => Ok(Passed {
            policy,
            run,
            later,
            found,
        }),
        code => stopped(code, Vec::new(), Some(found)),
    };
    (report, outcome)
}

/// The guard for what the check left for later.
pub(super) fn armed(policy: &Policy, later: &[usize], strict: bool) -> Result<Guard, Vec<Diagnostic>> {
    Guard::arm(policy, later, strict)
        .map_err(|lines| lines.iter().filter_map(|line| not_measured(policy, *line)).collect())
}
