//! `max changed_levers N`: how many of the four levers differ from the parent's, as written.

use super::scope::InForce;
use super::{Case, scope};
use crate::diag::{Code, Diagnostic};
use crate::facts::{Facts, Key, Origin, WordFact, Words};
use crate::ir::{
    Apart, Asks, Comparable, Comparison, Condition, How, Inside, Level, Limit, Line, Selector, Supply, Verdict, another,
};
use crate::quantity::{Category, Lever};

/// What is known of the run that this one is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parent<T> {
    /// None was named.
    None,
    /// One was named, and it cannot be read.
    Unread,
    /// This one.
    Read(T),
}

impl<T> Parent<T> {
    /// Whether one was named.
    pub fn is_given(&self) -> bool {
        !matches!(self, Parent::None)
    }
}

/// Says in the facts that a parent was named.
pub(super) fn tell(facts: &mut Facts) {
    let parent = WordFact {
        words: Words::Had(true),
        origin: Origin::Flag("--against"),
        key: Key::default(),
    };
    facts.set_words(Category::Parent, parent);
}

const NAME_ONE: &str = "name the run that this one was made from with --against";

impl Case<'_> {
    /// `max changed_levers N`
    pub(super) fn levers(&self, line: &Line, limit: &Limit, undecided: &[Selector]) -> (Verdict, Option<Diagnostic>) {
        match self.parent {
            Parent::None if self.requires_parent() => {
                let because = "there is no parent to compare with, and this policy requires one";
                self.no_levers(line, limit, because, NAME_ONE)
            }
            Parent::None => {
                let because = "there is no parent to compare with".to_owned();
                (Verdict::NotApplicable { because }, None)
            }
            Parent::Unread => {
                let because = "the parent cannot be read";
                self.no_levers(
                    line,
                    limit,
                    because,
                    "repair what --against names, or name another parent",
                )
            }
            Parent::Read(against) => self.levers_against(line, limit, against, undecided),
        }
    }

    /// Whether a line that may be in force requires a parent.
    fn requires_parent(&self) -> bool {
        self.policy.lines.iter().any(|line| {
            line.level != Level::Advise
                && line.asks == Asks::Require(Category::Parent)
                && !matches!(self.scope(&line.scope), InForce::No { .. })
        })
    }

    /// An open limit for want of a parent.
    fn no_levers(&self, line: &Line, limit: &Limit, because: &str, how: &str) -> (Verdict, Option<Diagnostic>) {
        let name = limit.quantity.name();
        let message = format!("{name} cannot be counted; {} is asked", limit.asked());
        let finding = Diagnostic::new(Code::Open, message)
            .about(name)
            .at(line.place, "")
            .note(because)
            .help(how);
        let verdict = Verdict::Open {
            because: because.to_owned(),
            conditions: vec![condition("parent", how)],
        };
        (verdict, Some(finding))
    }

    fn levers_against(
        &self,
        line: &Line,
        limit: &Limit,
        against: &Comparison,
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let parent = self.sources.get(against.parent).name();
        if against.comparable() != Comparable::Yes {
            return self.not_comparable(line, limit, against, undecided);
        }
        let (changed, unsure) = (against.changed(), against.unsure());
        let most = limit.max.as_ref().map_or(f64::INFINITY, |max| max.value.get());
        let [least, all] = [changed.len(), changed.len() + unsure.len()];
        let is = match (least == all, changed.is_empty()) {
            (true, true) => "0".to_owned(),
            (true, false) => format!("{least}, {}", words(&changed)),
            (false, _) => format!("{least} to {all}"),
        };
        if all as f64 <= most {
            let because = format!("{is}; {} is asked", limit.asked());
            let because = Inside::Said(because.into());
            return (Verdict::Within { because }, None);
        }
        let is_over = least as f64 > most;
        let code = if is_over { Code::Over } else { Code::Open };
        let name = limit.quantity.name();
        let shown = if least == all { least.to_string() } else { is.clone() };
        let mut finding = Diagnostic::new(code, format!("{name} is {shown}; {} is asked", limit.asked())).about(name);
        let counted = || {
            against
                .changes
                .iter()
                .filter(|change| change.lever.is_some() && change.is_written())
        };
        for change in counted() {
            let Some(lever) = change.lever else { continue };
            let said = match &change.how {
                How::Unsure { why, .. } => format!("{}: {} in the parent; {why}", lever.word(), change.old.shown),
                _ if change.old.is_written => format!("{}: {} in the parent", lever.word(), change.old.shown),
                _ => format!("{}: {} by default in the parent", lever.word(), change.old.shown),
            };
            finding = match change.place {
                Some(place) => finding.at(place, said),
                None => finding.note(format!(
                    "{}: {} is {} in the parent, {} here",
                    lever.word(),
                    change.called(),
                    change.old.shown,
                    change.new.shown
                )),
            };
        }
        finding = finding.at(line.place, "");
        if is_over && undecided.is_empty() {
            let repair = if most < 1.0 {
                format!("write these keys as {parent} has them")
            } else {
                format!(
                    "keep {} of {}, and write the keys of the others as {parent} has them: what one lever did is only seen where the others stood still",
                    if most < 2.0 {
                        "one".to_owned()
                    } else {
                        format!("at most {most}")
                    },
                    words(&changed)
                )
            };
            return (Verdict::Over { because: is }, Some(finding.help(repair)));
        }
        if is_over {
            return self.open_scope(finding, &is, undecided);
        }
        let mut conditions = Vec::new();
        for change in counted() {
            if let How::Unsure { supply, .. } = &change.how {
                conditions.push(condition(change.called(), supply));
            }
        }
        conditions.extend(self.words_that_decide(undecided));
        let finding = with_help(finding, &conditions);
        (
            Verdict::Open {
                because: is,
                conditions,
            },
            Some(finding),
        )
    }

    /// Runs that differ, or may differ, in more than levers.
    fn not_comparable(
        &self,
        line: &Line,
        limit: &Limit,
        against: &Comparison,
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let name = limit.quantity.name();
        let is_known = against.comparable() == Comparable::No;
        let what: Vec<&str> = against
            .apart
            .iter()
            .filter(|apart| apart.is_known || !is_known)
            .map(|apart| another(apart.category))
            .collect();
        let because = if is_known {
            format!("not comparable with the parent: {}", what.join(", "))
        } else {
            format!(
                "not known whether it is comparable with the parent: perhaps {}",
                what.join(", ")
            )
        };
        let message = format!("{name} cannot be counted; {} is asked", limit.asked());
        let mut finding = Diagnostic::new(Code::Open, message).about(name);
        for apart in &against.apart {
            finding = match apart.place {
                Some(place) => finding.at(place, format!("{} in the parent", apart.old)),
                None => finding.note(differs(apart)),
            };
        }
        let parent = self.sources.get(against.parent).name();
        let how = if is_known {
            "name a parent with the same base model, data set, template and stage".to_owned()
        } else {
            format!("write what is not known, here or in {parent}")
        };
        let mut conditions = vec![condition("parent", &how)];
        conditions.extend(self.words_that_decide(undecided));
        let mut finding = finding.at(line.place, "").note(because.clone());
        if !undecided.is_empty() {
            let scope: Vec<String> = undecided.iter().map(scope::asked).collect();
            finding = finding.note(format!(
                "the line is in force for {}; whether this run is one is not known",
                scope.join(", ")
            ));
        }
        let finding = with_help(finding, &conditions);
        (Verdict::Open { because, conditions }, Some(finding))
    }
}

fn differs(apart: &Apart) -> String {
    format!(
        "{} is {} in the parent, {} here",
        apart.category.name(),
        apart.old,
        apart.new
    )
}

fn condition(fact: &str, how: &str) -> Condition {
    Condition {
        fact: fact.to_owned(),
        within: None,
        supply: Supply { how: how.to_owned() },
    }
}

fn with_help(finding: Diagnostic, conditions: &[Condition]) -> Diagnostic {
    let mut ways: Vec<&str> = conditions
        .iter()
        .map(|condition| condition.supply.how.as_str())
        .collect();
    ways.dedup();
    finding.help(ways.join(", or "))
}

/// `step, averaging and reach`
fn words(levers: &[Lever]) -> String {
    match levers.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.word().to_owned(),
        Some((last, rest)) => {
            let rest: Vec<&str> = rest.iter().map(|lever| lever.word()).collect();
            format!("{} and {}", rest.join(", "), last.word())
        }
    }
}
