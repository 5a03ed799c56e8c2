//! Whether lines are in force: the header's `for` and the blocks'.

use super::{Answer, Case};
use crate::diag::{Code, Diagnostic};
use crate::facts::{Facts, Input, Origin, Words, derive};
use crate::ir::{Coverage, Pattern, Selector};

/// Whether a scope holds for a run.
pub(super) enum InForce {
    Yes,
    No { because: String },
    Unknown,
}

impl Case<'_> {
    /// Whether all of these hold.
    pub(super) fn scope(&self, selectors: &[Selector]) -> InForce {
        let mut in_force = InForce::Yes;
        for selector in selectors {
            match holds(selector, self.facts) {
                Answer::Within => {}
                Answer::Over => {
                    return InForce::No {
                        because: format!(
                            "only for {}; this run is {}",
                            asked(selector),
                            had(selector, self.facts)
                        ),
                    };
                }
                Answer::Mixed => in_force = InForce::Unknown,
            }
        }
        in_force
    }

    /// The selectors of which it is not known whether they hold.
    pub(super) fn undecided<'s>(&self, selectors: impl Iterator<Item = &'s Selector>) -> Vec<Selector> {
        selectors
            .filter(|selector| holds(selector, self.facts) == Answer::Mixed)
            .cloned()
            .collect()
    }

    /// Whether the policy speaks about the run at all.
    pub(super) fn coverage(&self, findings: &mut Vec<Diagnostic>) -> Coverage {
        let outside = self
            .policy
            .covers
            .iter()
            .find(|selector| holds(selector, self.facts) == Answer::Over);
        if let Some(selector) = outside {
            let is = had(selector, self.facts);
            let mut finding = Diagnostic::new(
                Code::NotCovered,
                format!("{} covers {}; this run is {is}", self.policy.name, asked(selector)),
            );
            if let Selector::Word { category, .. } = selector
                && let Some(fact) = self.facts.word(*category)
            {
                if let Some(place) = place_of(&fact.origin, fact.key.goes) {
                    finding = finding.at(place, format!("{} {is}", category.name()));
                }
                finding = super::show::with_default(finding, category.name(), &fact.key, &fact.origin);
            }
            findings.push(
                finding
                    .at(self.policy.header, "what the policy speaks about")
                    .help("nobody judged this run: check it against a policy that covers it; `ftrisk policy list` names the shipped ones"),
            );
            return Coverage::NotCovered;
        }
        if !matches!(self.scope(&self.policy.covers), InForce::Unknown) {
            return Coverage::Covered;
        }
        for selector in &self.policy.covers {
            if holds(selector, self.facts) != Answer::Mixed {
                continue;
            }
            let what = name(selector);
            let mut finding = Diagnostic::new(
                Code::Open,
                format!("{} covers {}; {what} is not known", self.policy.name, asked(selector)),
            )
            .about(what);
            let mut how = format!("say in the run file what {what} is");
            if let Selector::Word { category, .. } = selector
                && let Some(fact) = self.facts.word(*category)
                && let Origin::Unknown { why, supply, place } = &fact.origin
            {
                if let Some(place) = place.or(fact.key.goes) {
                    finding = finding.at(place, why.clone());
                } else {
                    finding = finding.note(why.clone());
                }
                how.clone_from(supply);
            }
            findings.push(
                finding
                    .at(self.policy.header, format!("covered for {}", asked(selector)))
                    .help(how),
            );
        }
        Coverage::Unknown
    }
}

fn place_of(origin: &Origin, goes: Option<crate::source::Place>) -> Option<crate::source::Place> {
    match origin {
        Origin::Given(place) => Some(*place),
        _ => goes,
    }
}

/// Whether a selector holds: `Mixed` when the fact is not known well enough.
pub(super) fn holds(selector: &Selector, facts: &Facts) -> Answer {
    match selector {
        Selector::Word { category, patterns } => {
            let matches = |word: &String| patterns.iter().any(|pattern| pattern.matches(word));
            match facts.word(*category).map(|fact| &fact.words) {
                Some(Words::One(word)) => answer(matches(word)),
                Some(Words::Set(words)) => answer(words.iter().any(matches)),
                Some(Words::Absent | Words::Had(_)) => Answer::Over,
                Some(Words::Unknown) | None => Answer::Mixed,
            }
        }
        Selector::Number { quantity, accepts, .. } => match derive(*quantity, facts) {
            crate::facts::Derived::Values { values, .. } => {
                if accepts.contains(values) {
                    Answer::Within
                } else if accepts.is_disjoint(values) {
                    Answer::Over
                } else {
                    Answer::Mixed
                }
            }
            crate::facts::Derived::Absent { .. } => Answer::Over,
            crate::facts::Derived::Unknown { .. } => Answer::Mixed,
        },
    }
}

/// Whether a scope may hold, whatever the words are of which nothing is known: `Over` where a number takes it out of force.
pub(super) fn may_hold(selectors: &[Selector], facts: &Facts) -> Answer {
    selectors.iter().fold(Answer::Within, |so_far, selector| {
        let this = match selector {
            Selector::Word { .. } => Answer::Within,
            Selector::Number { .. } => holds(selector, facts),
        };
        match (so_far, this) {
            (Answer::Over, _) | (_, Answer::Over) => Answer::Over,
            (Answer::Mixed, _) | (_, Answer::Mixed) => Answer::Mixed,
            _ => Answer::Within,
        }
    })
}

fn answer(holds: bool) -> Answer {
    if holds { Answer::Within } else { Answer::Over }
}

/// The numbers that a scope depends on.
pub(super) fn inputs(selectors: &[Selector], facts: &Facts) -> Vec<Input> {
    selectors
        .iter()
        .filter_map(|selector| match selector {
            Selector::Number { quantity, .. } => Some(derive(*quantity, facts).inputs().collect::<Vec<_>>()),
            Selector::Word { .. } => None,
        })
        .flatten()
        .collect()
}

/// The fact that a selector is about.
pub(super) fn name(selector: &Selector) -> &'static str {
    match selector {
        Selector::Word { category, .. } => category.name(),
        Selector::Number { quantity, .. } => quantity.name(),
    }
}

/// What a selector asks: `method lora | qlora`.
pub(super) fn asked(selector: &Selector) -> String {
    match selector {
        Selector::Word { category, patterns } => format!("{} {}", category.name(), choices(patterns)),
        Selector::Number { quantity, shown, .. } => format!("{} {shown}", quantity.name()),
    }
}

/// Patterns as they are written.
pub(super) fn choices(patterns: &[Pattern]) -> String {
    let words: Vec<String> = patterns
        .iter()
        .map(|pattern| {
            if pattern.glob {
                format!("{:?}", pattern.text)
            } else {
                pattern.text.clone()
            }
        })
        .collect();
    words.join(" | ")
}

/// What a run has where a selector asks.
fn had(selector: &Selector, facts: &Facts) -> String {
    match selector {
        Selector::Word { category, .. } => match facts.word(*category).map(|fact| &fact.words) {
            Some(Words::One(word)) => word.clone(),
            Some(Words::Set(words)) => words.join(", "),
            _ => format!("without {}", category.name()),
        },
        Selector::Number { quantity, .. } => match derive(*quantity, facts) {
            crate::facts::Derived::Values { values, .. } => {
                format!("at {} {}", quantity.name(), super::show::value(*quantity, values, None))
            }
            _ => format!("without {}", quantity.name()),
        },
    }
}
