//! Waivers that hold for a run, as reports tell them.

use super::Under;
use crate::diag::{Diagnostic, Severity};
use crate::ir::{Asks, Judged, Limit, Moved, Verdict, Waiver};
use crate::source::Sources;

/// The limit of a line that is waived for the run.
fn limit<'a>(under: &'a Under<'_>, judged: &Judged) -> Option<&'a Limit> {
    match &under.policy.lines.get(judged.line)?.asks {
        Asks::Limit(limit) => Some(limit).filter(|limit| !limit.moved.is_empty()),
        Asks::Allow { .. } | Asks::Require(_) => None,
    }
}

/// Each bound of a line that is waived for the run, and by what.
pub(super) fn of<'a>(under: &'a Under<'_>, judged: &Judged) -> impl Iterator<Item = (&'a Moved, &'a Waiver)> {
    let moved = limit(under, judged).into_iter().flat_map(|limit| &limit.moved);
    moved.filter_map(|moved| Some((moved, under.policy.waivers.get(moved.waiver)?)))
}

/// What is to be said of a line that is waived for the run: `lora.rank: at most 128 (waived from 64, 36 days left); by
/// @ml-safety, org.riskpolicy:12: RISK-112`.
pub(super) fn told(under: &Under<'_>, judged: &Judged, sources: &Sources) -> Option<String> {
    let limit = limit(under, judged)?;
    let mut told = format!("{}: {}", limit.quantity.name(), limit.asked());
    // Readings are still to come, and may yet need it.
    if matches!(&judged.unwaived, Some(unwaived) if matches!(unwaived.verdict, Verdict::Within { .. })) {
        told.push_str(", and not needed by this run");
    }
    for (_, waiver) in of(under, judged) {
        let place = sources.locate(waiver.place);
        told.push_str(&format!("; by {}, {place}: {}", waiver.by, waiver.because));
    }
    Some(told)
}

/// What would have been found had the line not been waived, for those who look at findings.
pub(super) fn finding(under: &Under<'_>, judged: &Judged, sources: &Sources) -> Option<Diagnostic> {
    let mut finding = judged.waived()?.clone().weighing(Severity::Advice);
    finding.message = format!("waived: {}", finding.message);
    // It passes, so there is nothing to be done.
    (finding.help, finding.instead) = (None, None);
    Some(finding.note(told(under, judged, sources)?))
}
