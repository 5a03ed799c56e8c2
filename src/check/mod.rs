//! The evaluator at time zero: which lines of a policy hold for every value a run may still have.
//!
//! Pure: the same policy and the same facts give the same judgement. Knows the typed policy and the facts; knows no
//! file, no framework and no training.

mod compare;
mod dated;
mod explain;
mod known;
mod levers;
mod number;
mod scope;
mod show;
mod solve;
mod words;

pub use compare::compare;
pub use dated::dated;
pub use known::known;
pub use levers::Parent;
pub use solve::{Answer, Missing, decide, suffices};

use std::borrow::Cow;

use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::{Facts, Input, Origin};
use crate::ir::{Asks, Comparison, Coverage, Judged, Judgement, Level, Line, Policy, Unwaived, Verdict};
use crate::quantity::Quantity;
use crate::source::Sources;

/// What a judgement is made from.
#[derive(Clone, Copy)]
struct Case<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    sources: &'a Sources,
    parent: Parent<&'a Comparison>,
}

/// Judges a run that has no parent. `strict` makes advice a limit.
pub fn judge(policy: &Policy, facts: &Facts, sources: &Sources, strict: bool) -> Judgement {
    judge_against(policy, facts, Parent::None, sources, strict)
}

/// Judges a run beside its parent. `strict` makes advice a limit.
pub fn judge_against(
    policy: &Policy,
    facts: &Facts,
    parent: Parent<&Facts>,
    sources: &Sources,
    strict: bool,
) -> Judgement {
    let mut findings = Vec::new();
    let (mut facts, premises) = under_premises(policy, facts, sources, &mut findings);
    let against = match parent {
        // The parent was launched under the same premises; what it breaks of them is not about this run.
        Parent::Read(parent) => {
            let (parent, _) = under_premises(policy, parent, sources, &mut Vec::new());
            Some(compare(&parent, &facts, sources))
        }
        Parent::None | Parent::Unread => None,
    };
    if parent.is_given() {
        levers::tell(facts.to_mut());
    }
    let case = Case {
        policy,
        facts: &facts,
        sources,
        parent: match (&against, parent.is_given()) {
            (Some(against), _) => Parent::Read(against),
            (None, true) => Parent::Unread,
            (None, false) => Parent::None,
        },
    };
    let coverage = case.coverage(&mut findings);
    let lines = if coverage == Coverage::NotCovered {
        Vec::new()
    } else {
        policy
            .lines
            .iter()
            .enumerate()
            .map(|(index, line)| {
                let (verdict, diagnostic) = case.line(line);
                let advice = line.level == Level::Advise && !strict;
                Judged {
                    line: index,
                    verdict,
                    diagnostic: diagnostic.map(|d| if advice { d.weighing(Severity::Advice) } else { d }),
                    unwaived: case.unwaived(line),
                }
            })
            .collect()
    };
    Judgement {
        lines,
        findings,
        // Nobody judged the run, so nothing was assumed about it.
        premises: if coverage == Coverage::NotCovered {
            Vec::new()
        } else {
            premises
        },
        coverage,
        launcher: facts.launcher,
        against,
    }
}

/// The input that a launch quantity is read from.
fn launch_input(quantity: Quantity) -> Option<Input> {
    match quantity {
        Quantity::WorldSize => Some(Input::WorldSize),
        Quantity::DatasetRows => Some(Input::Rows),
        _ => None,
    }
}

/// The facts with every premise of the policy applied, and a finding for each launch that is outside of one.
fn under_premises<'f>(
    policy: &Policy,
    facts: &'f Facts,
    sources: &Sources,
    findings: &mut Vec<Diagnostic>,
) -> (Cow<'f, Facts>, Vec<String>) {
    let mut facts = Cow::Borrowed(facts);
    let mut premises = Vec::new();
    for assume in &policy.assumes {
        let Some(input) = launch_input(assume.quantity) else {
            continue;
        };
        let Some(fact) = facts.number(input).cloned() else {
            continue;
        };
        let Some(values) = fact.values else {
            continue;
        };
        let name = assume.quantity.name();
        let assumed = show::set(input.domain(), assume.values);
        match values.intersect(assume.values) {
            Some(both) => {
                if !fact.is_known() && both != values {
                    let narrowed = crate::facts::NumberFact {
                        values: Some(both),
                        origin: Origin::Assumed(assume.place),
                        key: fact.key.clone(),
                    };
                    facts.to_mut().set(input, narrowed);
                }
                let used = if fact.is_known() {
                    let shown = show::set(input.domain(), values);
                    format!(
                        "{name} {shown}, inside the {assumed} assumed ({})",
                        sources.locate(assume.place)
                    )
                } else {
                    format!("{name} {assumed} assumed ({})", sources.locate(assume.place))
                };
                premises.push(used);
            }
            None => {
                let shown = show::set(input.domain(), values);
                let mut finding =
                    Diagnostic::new(Code::Over, format!("{name} is {shown}; {assumed} is assumed")).about(name);
                if let Origin::Given(place) = fact.origin {
                    finding = finding.at(place, "outside of the premise");
                }
                let how = match &fact.origin {
                    Origin::Flag(flag) => Some(format!("{flag} says {shown}")),
                    Origin::Default { rule } => Some(rule.clone()),
                    Origin::Unknown { why, .. } => Some(why.clone()),
                    Origin::Given(_) | Origin::Assumed(_) => None,
                };
                finding.notes.extend(how);
                findings.push(
                    finding
                        .at(assume.place, "the policy was written for launches inside this")
                        .help(format!(
                            "launch with {name} {assumed}, or have the policy's owners widen the premise"
                        )),
                );
            }
        }
    }
    (facts, premises)
}

impl Case<'_> {
    /// What would hold of a line that is waived for this run, had it not been waived.
    fn unwaived(&self, line: &Line) -> Option<Box<Unwaived>> {
        let Asks::Limit(limit) = &line.asks else {
            return None;
        };
        let written = Line {
            asks: Asks::Limit(limit.as_written()?),
            ..line.clone()
        };
        let (verdict, diagnostic) = self.line(&written);
        Some(Box::new(Unwaived { verdict, diagnostic }))
    }

    /// The verdict on one line, and what to show about it.
    fn line(&self, line: &Line) -> (Verdict, Option<Diagnostic>) {
        if let scope::InForce::No { because } = self.scope(&line.scope) {
            return (Verdict::NotApplicable { because }, None);
        }
        // What is over is over only if the policy speaks about the run at all.
        let undecided = self.undecided(self.policy.covers.iter().chain(&line.scope));
        match &line.asks {
            Asks::Limit(limit) => self.limit(line, limit, &undecided),
            Asks::Allow { category, patterns } => self.allow(line, *category, patterns, &undecided),
            Asks::Require(category) => self.require(line, *category, &undecided),
        }
    }
}
