//! Limits on quantities.

use super::scope;
use super::solve::missing_of;
use super::{Answer, Case, decide, show};
use crate::diag::{Code, Diagnostic};
use crate::facts::{Derived, Facts, Origin, derive};
use crate::ir::{Asks, Condition, Inside, Limit, Line, Selector, Supply, Verdict};
use crate::quantity::{Category, Finite, Interval, Moment, Quantity};

impl Case<'_> {
    /// `max Q v`, `min Q v`, `range Q a to b`
    pub(super) fn limit(&self, line: &Line, limit: &Limit, undecided: &[Selector]) -> (Verdict, Option<Diagnostic>) {
        if limit.quantity == Quantity::ChangedLevers {
            return self.levers(line, limit, undecided);
        }
        if limit.quantity.row().moment.is_before_training() {
            return self.known_before(line, limit, undecided);
        }
        self.read_later(line, limit, undecided)
    }

    /// A limit that a reading decides, unless the configuration proves it.
    fn read_later(&self, line: &Line, limit: &Limit, undecided: &[Selector]) -> (Verdict, Option<Diagnostic>) {
        let name = limit.quantity.name();
        if name.starts_with("lora.") {
            match derive(Quantity::LoraRank, self.facts) {
                Derived::Absent { why } => {
                    return self.not_had(line, name, &why, undecided);
                }
                Derived::Values { values, .. } => {
                    if let Some(max) = limit.max.as_ref().filter(|max| values.hi() <= max.value.get()) {
                        let rank = show::value(Quantity::LoraRank, values, Some(limit));
                        let because = format!(
                            "proved: it never exceeds the nominal rank, {rank}, and {} is allowed",
                            max.shown
                        );
                        let because = Inside::Said(because.into());
                        return (Verdict::Within { because }, None);
                    }
                }
                Derived::Unknown { .. } => {}
            }
        }
        let probe = limit.probe.and_then(|index| self.policy.probes.get(index));
        let on = probe.map_or(String::new(), |probe| format!(" on {}", probe.name));
        let moment = limit.quantity.row().moment;
        let at_updates = moment == Moment::Update
            || (moment == Moment::UpdateOrEvaluation
                && limit.confidence.is_none()
                && self.is_read_at_updates(limit.probe));
        let when = match probe {
            _ if at_updates => "at every update".to_owned(),
            Some(probe) => format!("every {} updates", probe.every),
            None => "at every evaluation".to_owned(),
        };
        let confidence = limit.confidence.map_or(String::new(), |confidence| {
            format!(" at {}% confidence", Finite::shortest(confidence.get() * 100.0))
        });
        let paced = if limit.paced { ", spread over the run" } else { "" };
        let reads = format!("read{on} {when}; {}{confidence} is asked{paced}", limit.asked());
        // Whether the policy covers the run is asked once, not at every reading that it would take.
        let undecided = self.undecided(line.scope.iter());
        if undecided.is_empty() {
            return (Verdict::Later { reads }, None);
        }
        let finding = Diagnostic::new(Code::Open, format!("whether {name} is limited here is not known"))
            .about(name)
            .at(line.place, "");
        self.open_scope(finding, &reads, &undecided)
    }

    /// Whether a per-update limit reads the same probe, so that it is measured at every update anyway.
    fn is_read_at_updates(&self, probe: Option<usize>) -> bool {
        self.policy.lines.iter().any(|line| match &line.asks {
            Asks::Limit(other) => other.quantity.row().moment == Moment::Update && other.probe == probe,
            Asks::Allow { .. } | Asks::Require(_) => false,
        })
    }

    /// A limit that facts decide.
    fn known_before(&self, line: &Line, limit: &Limit, undecided: &[Selector]) -> (Verdict, Option<Diagnostic>) {
        let name = limit.quantity.name();
        let derived = derive(limit.quantity, self.facts);
        let values = match &derived {
            Derived::Values { values, .. } => *values,
            Derived::Absent { why } => return self.not_had(line, name, why, undecided),
            Derived::Unknown { why } => {
                let condition = Condition {
                    fact: name.to_owned(),
                    within: None,
                    supply: Supply { how: why.clone() },
                };
                let mut finding = Diagnostic::new(
                    Code::Open,
                    format!("{name} cannot be derived; {} is asked", limit.asked()),
                )
                .about(name);
                if let Some(Origin::Given(place)) = self.facts.word(Category::Scheduler).map(|fact| &fact.origin) {
                    finding = finding.at(*place, "");
                }
                let finding = finding
                    .at(line.place, "")
                    .note(why.clone())
                    .help("change what cannot be computed, or take the line out of the policy");
                let verdict = Verdict::Open {
                    because: why.clone(),
                    conditions: vec![condition],
                };
                return (verdict, Some(finding));
            }
        };
        let mut missing = missing_of(self.facts, derived.inputs());
        let accepts = limit.accepts();
        let alone = |facts: &Facts| region(limit.quantity, accepts, facts);
        let within = Verdict::Within {
            because: Inside::Values(values),
        };
        let is = || show::value(limit.quantity, values, Some(limit));
        match decide(self.facts, &missing, &alone) {
            Answer::Within => {
                return (within, None);
            }
            Answer::Over if undecided.is_empty() => {
                let is = is();
                let finding = self.about_number(line, limit, &derived, &is, Code::Over);
                let finding = self.with_repair(finding, limit, &derived);
                return (Verdict::Over { because: is }, Some(finding));
            }
            _ => {}
        }
        // Outside of the block's scope the line asks nothing: a missing fact may decide that as well.
        let scoped = |facts: &Facts| match scope::may_hold(undecided, facts) {
            Answer::Over => Answer::Within,
            Answer::Within => alone(facts),
            Answer::Mixed if alone(facts) == Answer::Within => Answer::Within,
            Answer::Mixed => Answer::Mixed,
        };
        missing.extend(missing_of(self.facts, scope::inputs(undecided, self.facts).into_iter()));
        missing.sort_unstable();
        missing.dedup();
        if decide(self.facts, &missing, &scoped) == Answer::Within {
            return (within, None);
        }
        let is = is();
        let mut conditions: Vec<Condition> = missing
            .iter()
            .map(|input| self.condition(*input, &missing, &scoped))
            .collect();
        conditions.extend(self.words_that_decide(undecided));
        let mut finding = self.about_number(line, limit, &derived, &is, Code::Open);
        if !undecided.is_empty() {
            let scope: Vec<String> = undecided.iter().map(scope::asked).collect();
            finding = finding.note(format!(
                "the line is in force for {}; whether this run is one is not known",
                scope.join(", ")
            ));
        }
        for condition in &conditions {
            finding = finding.note(match &condition.within {
                Some(values) => format!("within for {} {values}", condition.fact),
                None => format!("{} does not decide it by itself", condition.fact),
            });
        }
        let finding = self.with_ways(finding, limit, &derived, &conditions);
        (
            Verdict::Open {
                because: is,
                conditions,
            },
            Some(finding),
        )
    }
}

/// Whether every value, or none, lies in the region.
fn region(quantity: Quantity, accepts: Interval, facts: &Facts) -> Answer {
    match derive(quantity, facts) {
        Derived::Values { values, .. } if accepts.contains(values) => Answer::Within,
        Derived::Values { values, .. } if accepts.is_disjoint(values) => Answer::Over,
        _ => Answer::Mixed,
    }
}
