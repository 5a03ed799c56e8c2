//! Limits on quantities.

use super::scope::{self, holds};
use super::solve::missing_of;
use super::{Answer, Case, decide, explain, show, suffices};
use crate::diag::{Code, Diagnostic};
use crate::facts::{Derived, Facts, Input, Origin, derive};
use crate::ir::{Asks, Condition, Limit, Line, Selector, Supply, Verdict};
use crate::quantity::{Finite, Interval, Moment, Quantity};

impl Case<'_> {
    /// `max Q v`, `min Q v`, `range Q a to b`
    pub(super) fn limit(&self, line: &Line, limit: &Limit, unknown_scope: &[String]) -> (Verdict, Option<Diagnostic>) {
        if limit.quantity == Quantity::ChangedLevers {
            let because = "there is no parent to compare with".to_owned();
            return (Verdict::NotApplicable { because }, None);
        }
        if limit.quantity.row().moment.is_before_training() {
            return self.known_before(line, limit, unknown_scope);
        }
        self.read_later(line, limit, unknown_scope)
    }

    /// A limit that a reading decides, unless the configuration proves it.
    fn read_later(&self, line: &Line, limit: &Limit, unknown_scope: &[String]) -> (Verdict, Option<Diagnostic>) {
        let name = limit.quantity.name();
        if name.starts_with("lora.") {
            match derive(Quantity::LoraRank, self.facts) {
                Derived::Absent { why } => {
                    let finding = Diagnostic::new(Code::Open, format!("{name} is limited, and this run has none"))
                        .about(name)
                        .at(line.place, "");
                    return explain::absent(finding, name, &why);
                }
                Derived::Values { values, .. } => {
                    if let Some(max) = limit.max.as_ref().filter(|max| values.hi() <= max.value.get()) {
                        let rank = show::value(Quantity::LoraRank, values, Some(limit));
                        let because = format!("proved: it never exceeds the nominal rank, {rank}, and {} is allowed", max.shown);
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
            || (moment == Moment::UpdateOrEvaluation && limit.confidence.is_none() && self.is_read_at_updates(limit.probe));
        let when = match probe {
            _ if at_updates => "at every update".to_owned(),
            Some(probe) => format!("every {} updates", probe.every),
            None => "at every evaluation".to_owned(),
        };
        let confidence = limit.confidence.map_or(String::new(), |confidence| {
            format!(" at {}% confidence", Finite::shortest(confidence.get() * 100.0))
        });
        let reads = format!("read{on} {when}; {}{confidence} is asked", limit.asked());
        if unknown_scope.is_empty() {
            return (Verdict::Later { reads }, None);
        }
        let finding = Diagnostic::new(Code::Open, format!("whether {name} is limited here is not known"))
            .about(name)
            .at(line.place, "");
        explain::open_scope(finding, &reads, unknown_scope, &line.scope)
    }

    /// Whether a per-update limit reads the same probe, so that it is measured at every update anyway.
    fn is_read_at_updates(&self, probe: Option<usize>) -> bool {
        self.policy.lines.iter().any(|line| match &line.asks {
            Asks::Limit(other) => other.quantity.row().moment == Moment::Update && other.probe == probe,
            Asks::Allow { .. } | Asks::Require(_) => false,
        })
    }

    /// A limit that facts decide.
    fn known_before(&self, line: &Line, limit: &Limit, unknown_scope: &[String]) -> (Verdict, Option<Diagnostic>) {
        let name = limit.quantity.name();
        let derived = derive(limit.quantity, self.facts);
        let values = match &derived {
            Derived::Values { values, .. } => *values,
            Derived::Absent { why } => {
                let finding = Diagnostic::new(Code::Open, format!("{name} is limited, and this run has none"))
                    .about(name)
                    .at(line.place, "");
                return explain::absent(finding, name, why);
            }
            Derived::Unknown { why } => {
                let condition = Condition {
                    fact: name.to_owned(),
                    within: None,
                    supply: Supply { how: why.clone() },
                };
                let finding = Diagnostic::new(Code::Open, format!("{name} cannot be derived; {} is asked", limit.asked()))
                    .about(name)
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
        let is = show::value(limit.quantity, values, Some(limit));
        match decide(self.facts, &missing, &alone) {
            Answer::Within => return (Verdict::Within { because: format!("{is}; {} is asked", limit.asked()) }, None),
            Answer::Over if unknown_scope.is_empty() => {
                let finding = self.about_number(line, limit, &derived, &is, Code::Over);
                let finding = self.with_repair(finding, limit, &derived);
                return (Verdict::Over { because: is }, Some(finding));
            }
            _ => {}
        }
        // Outside of the block's scope the line asks nothing: a missing fact may decide that as well.
        let scoped = |facts: &Facts| match in_scope(&line.scope, facts) {
            Answer::Over => Answer::Within,
            Answer::Within => alone(facts),
            Answer::Mixed if alone(facts) == Answer::Within => Answer::Within,
            Answer::Mixed => Answer::Mixed,
        };
        missing.extend(missing_of(self.facts, scope::inputs(&line.scope, self.facts).into_iter()));
        missing.sort_unstable();
        missing.dedup();
        if decide(self.facts, &missing, &scoped) == Answer::Within {
            return (Verdict::Within { because: format!("{is}; {} is asked", limit.asked()) }, None);
        }
        let mut conditions: Vec<Condition> = missing
            .iter()
            .map(|input| self.condition(*input, &missing, &scoped))
            .collect();
        conditions.extend(unknown_words(&line.scope, self.facts));
        let mut finding = self.about_number(line, limit, &derived, &is, Code::Open);
        if !unknown_scope.is_empty() {
            let scope: Vec<String> = line.scope.iter().map(scope::asked).collect();
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
        let ways: Vec<String> = conditions.iter().map(|condition| condition.supply.how.clone()).collect();
        let finding = self.with_ways(finding, limit, &derived, ways);
        (Verdict::Open { because: is, conditions }, Some(finding))
    }

    /// For which values of one missing fact the limit is within, whatever the others are.
    fn condition(&self, input: Input, missing: &[Input], question: &dyn Fn(&Facts) -> Answer) -> Condition {
        let others: Vec<Input> = missing.iter().copied().filter(|other| *other != input).collect();
        let runs = suffices(self.facts, input, &others, question).unwrap_or_default();
        let how = match self.facts.number(input).map(|fact| &fact.origin) {
            Some(Origin::Unknown { supply, .. }) if matches!(input, Input::WorldSize | Input::Rows) => {
                format!("{supply} (or let the policy assume a range)")
            }
            Some(Origin::Unknown { supply, .. }) => supply.clone(),
            Some(Origin::Assumed(_)) => match input {
                Input::WorldSize => "say --world-size N".to_owned(),
                _ => "say --dataset-rows N".to_owned(),
            },
            _ => format!("say what {} is", self.facts.called(input)),
        };
        let shown: Vec<String> = runs.iter().take(6).map(|run| show::set(input.domain(), *run)).collect();
        let more = if runs.len() > 6 { format!(" and {} more ranges", runs.len() - 6) } else { String::new() };
        Condition {
            fact: self.facts.called(input).to_owned(),
            within: (!runs.is_empty()).then(|| format!("{}{more}", shown.join(", "))),
            supply: Supply { how },
        }
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

/// Whether every selector holds, one does not, or that is not known.
fn in_scope(selectors: &[Selector], facts: &Facts) -> Answer {
    selectors.iter().fold(Answer::Within, |so_far, selector| match (so_far, holds(selector, facts)) {
        (Answer::Over, _) | (_, Answer::Over) => Answer::Over,
        (Answer::Mixed, _) | (_, Answer::Mixed) => Answer::Mixed,
        _ => Answer::Within,
    })
}

/// Words that decide a scope and are not known: any other word takes the line out of force.
fn unknown_words(selectors: &[Selector], facts: &Facts) -> Vec<Condition> {
    selectors
        .iter()
        .filter(|selector| matches!(selector, Selector::Word { .. }) && holds(selector, facts) == Answer::Mixed)
        .map(|selector| explain::outside_of(selector, facts))
        .collect()
}
