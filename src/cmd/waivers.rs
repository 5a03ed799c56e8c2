//! Which waivers hold: the day, and where the run file lies.

use std::borrow::Cow;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::files;
use crate::builtin;
use crate::ir::{Day, Policy};
use crate::report::CheckReport;

/// The day in UTC. A clock from before 1970 says the first one, on which every waiver is too far away to hold.
pub(super) fn today() -> Day {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Day::of_unix(since.map_or(0, |since| since.as_secs()))
}

/// The policy as it judges the run in that file. A run or a policy that is no file in the policy's root has no path that a
/// waiver could name.
pub(super) fn applied<'p>(policy: &'p Policy, policy_file: &str, run: &Path, today: Day) -> Cow<'p, Policy> {
    if policy.waivers.is_empty() {
        return Cow::Borrowed(policy);
    }
    policy.waived_for(from_root(policy_file, run).as_deref(), today)
}

/// Puts in the place of a report's policy the one that judges the run in that file, the only run of the report.
pub(super) fn apply(report: &mut CheckReport, run: &Path, today: Day) {
    if let Some(Cow::Owned(policy)) = report
        .policy
        .as_ref()
        .map(|policy| applied(policy, &report.policy_file, run, today))
    {
        report.policy = Some(policy);
    }
}

/// The path of a run file from the policy's root on, links followed, with `/` between folders.
fn from_root(policy_file: &str, run: &Path) -> Option<String> {
    if policy_file == "-" || policy_file.starts_with(builtin::PREFIX) || run == Path::new("-") {
        return None;
    }
    let policy = Path::new(policy_file).canonicalize().ok()?;
    let run = run.canonicalize().ok()?;
    let path = run.strip_prefix(files::root(policy.parent()?)).ok()?;
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}
