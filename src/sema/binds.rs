//! Lines that can never bind, because another line of the policy is tighter.

use std::collections::BTreeMap;

use super::Lowering;
use crate::diag::{Code, Diagnostic};
use crate::ir::{Action, Asks, Limit, Line, Rung, Selector};

/// Lines about one subject, by a selector that their scope has.
type Shelves = BTreeMap<(&'static str, String), Vec<usize>>;

impl Lowering<'_> {
    /// Reports each line that another makes superfluous, and names that other.
    ///
    /// Only a line about the same subject whose scope holds wherever this one's does can do that. Candidates are looked
    /// up rather than compared with everything, so that a long policy takes time in proportion to its length.
    pub(super) fn binds(&mut self) {
        let mut shelves = Shelves::new();
        for (i, line) in self.lines.iter().enumerate() {
            for key in keys_of(&line.scope) {
                shelves.entry((line.subject(), key)).or_default().push(i);
            }
        }
        let mut found = Vec::new();
        for (i, slack) in self.lines.iter().enumerate() {
            let candidates = keys_around(&slack.scope)
                .into_iter()
                .filter_map(|key| shelves.get(&(slack.subject(), key)))
                .flatten();
            let tighter = candidates
                .filter_map(|j| Some((*j, self.lines.get(*j)?)))
                .find(|(j, tight)| {
                    // Of two lines that say the same, the later one is superfluous.
                    *j != i && implies(tight, slack) && (*j < i || !implies(slack, tight))
                });
            if let Some((_, tight)) = tighter {
                found.push(superfluous(slack, tight));
            }
        }
        self.diagnostics.append(&mut found);
    }
}

fn superfluous(slack: &Line, tight: &Line) -> Diagnostic {
    let message = match (&slack.asks, &tight.asks) {
        (Asks::Limit(slack), Asks::Limit(tight)) => format!(
            "{} {} can never bind: {} is already asked",
            slack.quantity.name(),
            slack.asked(),
            tight.asked()
        ),
        _ => format!("{} is already asked", slack.subject()),
    };
    Diagnostic::new(Code::NeverBinds, message)
        .at(slack.place, "never decides anything")
        .at(tight.place, "at least as tight, and at least as strong")
        .help("take one of the two out")
}

/// Where a line is shelved: under each word of its scope's first selector.
fn keys_of(scope: &[Selector]) -> Vec<String> {
    match scope.first() {
        None => vec![String::new()],
        Some(Selector::Word { category, patterns }) => patterns
            .iter()
            .map(|pattern| format!("{} {}", category.name(), pattern.text))
            .collect(),
        Some(Selector::Number { quantity, .. }) => vec![quantity.name().to_owned()],
    }
}

/// Where every line is found whose scope holds wherever this one does: its first selector has all words of one of these.
fn keys_around(scope: &[Selector]) -> Vec<String> {
    let of_each = scope
        .iter()
        .filter_map(|selector| keys_of(std::slice::from_ref(selector)).into_iter().next());
    std::iter::once(String::new()).chain(of_each).collect()
}

/// Whether `wide` holds for every run that `narrow` holds for.
fn selector_implies(narrow: &Selector, wide: &Selector) -> bool {
    match (narrow, wide) {
        (
            Selector::Word { category, patterns },
            Selector::Word {
                category: other,
                patterns: wider,
            },
        ) => category == other && patterns.iter().all(|pattern| wider.contains(pattern)),
        (
            Selector::Number { quantity, accepts, .. },
            Selector::Number {
                quantity: other,
                accepts: wider,
                ..
            },
        ) => quantity == other && wider.contains(*accepts),
        _ => false,
    }
}

/// Whether a run that keeps `tight` keeps `slack` as well, with no milder an answer to a breach.
fn implies(tight: &Line, slack: &Line) -> bool {
    let around = |wide: &Selector| slack.scope.iter().any(|narrow| selector_implies(narrow, wide));
    tight.scope.iter().all(around)
        && tight.level >= slack.level
        && match (&tight.asks, &slack.asks) {
            (Asks::Limit(tight), Asks::Limit(slack)) => limit_implies(tight, slack),
            (
                Asks::Allow { category, patterns },
                Asks::Allow {
                    category: other,
                    patterns: wider,
                },
            ) => category == other && patterns.iter().all(|pattern| wider.contains(pattern)),
            (Asks::Require(category), Asks::Require(other)) => category == other,
            _ => false,
        }
}

fn limit_implies(tight: &Limit, slack: &Limit) -> bool {
    tight.quantity == slack.quantity
        && tight.probe == slack.probe
        && tight.of_base == slack.of_base
        && tight.confidence == slack.confidence
        // Pacing only adds: the bound is the same, and the run is slowed before it.
        && (tight.paced || !slack.paced)
        && slack.accepts().contains(tight.accepts())
        && at_least_as_strong(&tight.response, &slack.response)
}

/// Whether the first ladder answers its n-th breach at least as strongly as the second, for every n.
///
/// A breach of the slack limit is one of the tight limit too, so the tight one has always been used at least as often.
fn at_least_as_strong(tight: &[Rung], slack: &[Rung]) -> bool {
    // Ladders only change where a rung is left, so comparing there is comparing everywhere.
    let mut uses: Vec<u64> = vec![0];
    for ladder in [tight, slack] {
        let mut sum = 0_u64;
        for times in ladder.iter().filter_map(|rung| rung.times) {
            sum = sum.saturating_add(times);
            uses.push(sum);
        }
    }
    uses.into_iter()
        .all(|used| strength(tight, used) >= strength(slack, used))
}

/// What the ladder does after it has been used so often.
fn strength(ladder: &[Rung], used: u64) -> Option<(Action, bool)> {
    let mut left = used;
    for rung in ladder {
        match rung.times {
            Some(times) if left >= times => left -= times,
            _ => return Some((rung.action, rung.slow)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Action, Rung, at_least_as_strong};

    fn rung(action: Action, times: Option<u64>) -> Rung {
        Rung {
            action,
            slow: action == Action::Rollback,
            times,
        }
    }

    #[test]
    fn ladders_are_compared_use_by_use() {
        let stop = [rung(Action::Stop, None)];
        let twice = [rung(Action::Rollback, Some(2)), rung(Action::Stop, None)];
        let often = [rung(Action::Rollback, Some(5)), rung(Action::Stop, None)];
        assert!(at_least_as_strong(&stop, &twice));
        assert!(!at_least_as_strong(&twice, &stop));
        assert!(at_least_as_strong(&twice, &often));
        assert!(!at_least_as_strong(&often, &twice));
        assert!(at_least_as_strong(&[], &[]));
    }
}
