//! What is said about a verdict: both excerpts, the derivation, the condition, the nearest change that would pass.

use super::show::{self, portable, set, with_default};
use super::solve::{missing_of, nearest};
use super::{Answer, Case, scope, suffices};
use crate::diag::{Code, Diagnostic, Edit};
use crate::facts::{Derived, Facts, Input, Origin, Part, derive};
use crate::ir::{Condition, Limit, Line, Selector, Supply, Verdict};
use crate::quantity::{Finite, Interval};

/// A block that would speak only about the runs that have a fact.
fn block_for(name: &str) -> &'static str {
    match name.split('.').next() {
        Some("lora") => "for method lora | qlora { … }",
        Some("preference") => "for stage dpo | kto { … }",
        _ => "for … { … }",
    }
}

impl Case<'_> {
    /// A limit on something that this kind of run does not have: not the same as a small one.
    pub(super) fn not_had(
        &self,
        line: &Line,
        name: &str,
        why: &str,
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let finding = Diagnostic::new(Code::Open, format!("{name} is limited, and this run has none"))
            .about(name)
            .at(line.place, "")
            .note(format!("{why}; that is not the same as a small one"));
        if !undecided.is_empty() {
            return self.open_scope(finding, why, undecided);
        }
        let how = format!(
            "put the line into a block for the runs that have it: `{}`",
            block_for(name)
        );
        let condition = Condition {
            fact: name.to_owned(),
            within: None,
            supply: Supply { how: how.clone() },
        };
        let verdict = Verdict::Open {
            because: why.to_owned(),
            conditions: vec![condition],
        };
        (verdict, Some(finding.help(how)))
    }

    /// A line of which it is not known whether it is in force, and that would not be within if it were.
    pub(super) fn open_scope(
        &self,
        finding: Diagnostic,
        is: &str,
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let outside = |facts: &Facts| match scope::may_hold(undecided, facts) {
            Answer::Over => Answer::Within,
            Answer::Within => Answer::Over,
            Answer::Mixed => Answer::Mixed,
        };
        let missing = missing_of(self.facts, scope::inputs(undecided, self.facts).into_iter());
        let mut conditions: Vec<Condition> = missing
            .iter()
            .map(|input| self.condition(*input, &missing, &outside))
            .collect();
        conditions.extend(self.words_that_decide(undecided));
        let asked: Vec<String> = undecided.iter().map(scope::asked).collect();
        let mut finding = finding.note(format!(
            "the line is in force for {}; whether this run is one is not known",
            asked.join(", ")
        ));
        finding.code = Code::Open;
        for condition in &conditions {
            if let Some(within) = &condition.within {
                finding = finding.note(format!("within for {} {within}", condition.fact));
            }
        }
        let ways: Vec<&str> = conditions
            .iter()
            .map(|condition| condition.supply.how.as_str())
            .collect();
        let finding = finding.help(ways.join(", or "));
        let because = format!("{is}; not known whether the line is in force ({})", asked.join(", "));
        (Verdict::Open { because, conditions }, Some(finding))
    }

    /// Words that decide a scope and are not known: any other word takes the line out of force.
    pub(super) fn words_that_decide(&self, undecided: &[Selector]) -> Vec<Condition> {
        let words = undecided.iter().filter_map(|selector| match selector {
            Selector::Word { category, patterns } => Some((*category, patterns)),
            Selector::Number { .. } => None,
        });
        words
            .map(|(category, patterns)| {
                let how = match self.facts.word(category).map(|fact| &fact.origin) {
                    Some(Origin::Unknown { supply, .. }) => supply.clone(),
                    _ => format!("say what {} is", category.name()),
                };
                Condition {
                    fact: category.name().to_owned(),
                    within: Some(format!("other than {}", scope::choices(patterns))),
                    supply: Supply { how },
                }
            })
            .collect()
    }

    /// For which values of one missing fact the limit is within, whatever the others are.
    pub(super) fn condition(&self, input: Input, missing: &[Input], question: &dyn Fn(&Facts) -> Answer) -> Condition {
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
        let more = if runs.len() > 6 {
            format!(" and {} more ranges", runs.len() - 6)
        } else {
            String::new()
        };
        Condition {
            fact: self.facts.called(input).to_owned(),
            within: (!runs.is_empty()).then(|| format!("{}{more}", shown.join(", "))),
            supply: Supply { how },
        }
    }

    /// The headline, both excerpts and the derivation.
    pub(super) fn about_number(
        &self,
        line: &Line,
        limit: &Limit,
        derived: &Derived,
        is: &str,
        code: Code,
    ) -> Diagnostic {
        let name = limit.quantity.name();
        let mut finding = Diagnostic::new(code, format!("{name} is {is}; {} is asked", limit.asked())).about(name);
        let inputs = used(derived);
        let single = inputs.len() == 1;
        for input in &inputs {
            let Some(fact) = self.facts.number(*input) else {
                continue;
            };
            match &fact.origin {
                Origin::Given(place) => {
                    let over = single && code == Code::Over;
                    let text = if over {
                        self.against(limit, derived)
                    } else {
                        String::new()
                    };
                    finding = finding.at(*place, text);
                }
                // One place may leave several facts open; it is drawn once.
                Origin::Unknown { place: Some(place), .. }
                    if finding.labels.iter().any(|label| label.place == *place) => {}
                Origin::Unknown {
                    why,
                    place: Some(place),
                    ..
                } => finding = finding.at(*place, why.clone()),
                Origin::Unknown { why, place: None, .. } => {
                    finding = finding.note(format!("{} is not known: {why}", self.facts.called(*input)))
                }
                Origin::Default { rule } => {
                    let shown = fact.values.map_or(rule.clone(), |values| {
                        format!("{rule}, {}", set(input.domain(), values))
                    });
                    finding = with_default(finding, input.name(), &fact.key, &Origin::Default { rule: shown });
                }
                Origin::Flag(_) | Origin::Assumed(_) => {}
            }
        }
        finding = finding.at(line.place, "");
        if let Some(trail) = self.derivation(limit, derived, is).filter(|_| !single) {
            finding.notes.insert(0, trail);
        }
        finding
    }

    /// How far over, where that can be said in a few words.
    fn against(&self, limit: &Limit, derived: &Derived) -> String {
        let Derived::Values { values, .. } = derived else {
            return String::new();
        };
        match (&limit.max, values.is_point()) {
            (Some(max), true) if values.lo() > max.value.get() && max.value.get() > 0.0 && values.hi().is_finite() => {
                let times = values.lo() / max.value.get();
                if times >= 1.5 {
                    format!("{} times the limit", Finite::shortest((times * 10.0).round() / 10.0))
                } else {
                    "over the limit".to_owned()
                }
            }
            _ => String::new(),
        }
    }

    /// `batch.effective = per_device × accumulation × world_size = 1 × 8 × 1 to 8 = 8 to 64`
    fn derivation(&self, limit: &Limit, derived: &Derived, is: &str) -> Option<String> {
        let formula = formula(derived, self.facts)?;
        let assumed: Vec<String> = used(derived)
            .iter()
            .filter_map(|input| match self.facts.number(*input).map(|fact| &fact.origin) {
                Some(Origin::Assumed(place)) => Some(format!(
                    "{} assumed, {}",
                    self.facts.called(*input),
                    self.sources.locate(*place)
                )),
                Some(Origin::Flag(flag)) => Some(format!("{} by {flag}", self.facts.called(*input))),
                _ => None,
            })
            .collect();
        let assumed = if assumed.is_empty() {
            String::new()
        } else {
            format!(" ({})", assumed.join("; "))
        };
        Some(format!("{} = {formula} = {is}{assumed}", limit.quantity.name()))
    }

    /// The nearest value of each key that would pass, as the next step.
    pub(super) fn with_repair(&self, finding: Diagnostic, limit: &Limit, derived: &Derived) -> Diagnostic {
        let repairs = self.repairs(limit, derived);
        if repairs.is_empty() {
            return finding.help("no single change of the run file passes; ask the policy's owners");
        }
        let (told, edits): (Vec<String>, Vec<Option<Edit>>) = repairs.into_iter().unzip();
        finding
            .help(told.join(", or "))
            .edits(edits.into_iter().flatten().collect())
    }

    /// Who can supply what is missing, and the nearest change that would do without.
    pub(super) fn with_ways(
        &self,
        finding: Diagnostic,
        limit: &Limit,
        derived: &Derived,
        conditions: &[Condition],
    ) -> Diagnostic {
        let mut ways: Vec<&str> = conditions
            .iter()
            .map(|condition| condition.supply.how.as_str())
            .collect();
        ways.dedup();
        // Where one fact can settle it, any of them may; where none can, it takes all.
        let any = conditions.iter().any(|condition| condition.within.is_some());
        let supply = ways.join(if any { ", or " } else { ", and " });
        let missing = missing_of(self.facts, derived.inputs());
        let whatever: Vec<&str> = missing.iter().map(|input| self.facts.called(*input)).collect();
        let all_assumed = missing.iter().all(|input| {
            matches!(
                self.facts.number(*input).map(|fact| &fact.origin),
                Some(Origin::Assumed(_))
            )
        });
        let assumed = if all_assumed { " assumed" } else { "" };
        match self.repairs(limit, derived).first() {
            Some((repair, _)) if !whatever.is_empty() => finding.help(format!(
                "{supply}; or {repair}: it passes for every {}{assumed}",
                whatever.join(" and ")
            )),
            _ => finding.help(supply),
        }
    }

    /// `set lora_rank to 16`: for each key that the run file can write, the nearest value that passes by itself, in words
    /// and as a change of the file.
    fn repairs(&self, limit: &Limit, derived: &Derived) -> Vec<(String, Option<Edit>)> {
        let accepts = limit.accepts();
        let question = |facts: &Facts| match derive(limit.quantity, facts) {
            Derived::Values { values, .. } if accepts.contains(values) => Answer::Within,
            Derived::Values { values, .. } if accepts.is_disjoint(values) => Answer::Over,
            _ => Answer::Mixed,
        };
        let mut inputs = used(derived);
        inputs.sort_by_key(|input| preference(*input));
        inputs
            .iter()
            .filter_map(|input| {
                let fact = self.facts.number(*input)?;
                let key = fact.key.name.as_ref()?;
                let current = fact.values.filter(|values| values.is_point())?;
                let others: Vec<Input> = missing_of(self.facts, derived.inputs());
                let mut free = self.facts.clone();
                free.narrow(*input, writable(*input));
                let runs = suffices(&free, *input, &others, &question)?;
                let best = nearest(&runs, Finite::new(current.lo()).unwrap_or(Finite::ZERO))?;
                let value = portable(best);
                let edit = match (&fact.origin, fact.key.goes) {
                    (Origin::Given(place), _) => Some(Edit {
                        place: *place,
                        text: value.clone(),
                    }),
                    (_, Some(place)) => Some(Edit {
                        place,
                        text: format!("{}: {value}", key.rsplit('.').next().unwrap_or(key)),
                    }),
                    _ => None,
                };
                show::is_writable(best).then(|| (format!("set {key} to {value}"), edit))
            })
            .take(2)
            .collect()
    }
}

/// The rule of a derivation with names, then with numbers: `lora_alpha ÷ lora_rank = 16 ÷ 8`.
pub(super) fn formula(derived: &Derived, facts: &Facts) -> Option<String> {
    let Derived::Values { by, .. } = derived else {
        return None;
    };
    let names: String = by
        .iter()
        .map(|part| match part {
            Part::Of(input) => facts.called(*input),
            Part::Text(text) => text,
        })
        .collect();
    let numbers: String = by
        .iter()
        .map(|part| match part {
            Part::Of(input) => facts.values(*input).map_or("?".to_owned(), |values| {
                let shown = set(input.domain(), values);
                if values.is_point() || by.len() == 1 {
                    shown
                } else {
                    format!("({shown})")
                }
            }),
            Part::Text(text) => (*text).to_owned(),
        })
        .collect();
    Some(format!("{names} = {numbers}"))
}

/// Values that somebody would write: no batch of a million, no rank of 2^53, no rate that teaches nothing. A search that
/// may leave them looks long for what nobody would take.
fn writable(input: Input) -> Interval {
    let domain = input.domain().interval;
    let (least, most) = match input {
        Input::PerDevice | Input::Accumulation | Input::GlobalBatch | Input::Rank => (1.0, 65_536.0),
        Input::LearningRate => (1e-9, 10.0),
        Input::Epochs => (0.01, 10_000.0),
        Input::MaxSteps | Input::WarmupSteps => (0.0, 1e9),
        _ => (domain.lo(), domain.hi()),
    };
    Interval::new(domain.lo().max(least), domain.hi().min(most)).unwrap_or(domain)
}

/// Which key to change first: accumulation costs no memory, a rate is the cheapest of all.
fn preference(input: Input) -> u8 {
    match input {
        Input::LearningRate | Input::Accumulation | Input::MaxSteps | Input::Epochs => 0,
        Input::PerDevice | Input::GlobalBatch => 1,
        _ => 2,
    }
}

/// The inputs of a derivation, each once, in the order of the rule.
pub(super) fn used(derived: &Derived) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for input in derived.inputs() {
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    inputs
}
