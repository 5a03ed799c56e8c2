//! `allow` and `require`: limits on facts that are words.

use super::{Case, scope, show};
use crate::diag::{Code, Diagnostic};
use crate::facts::{Origin, WordFact, Words};
use crate::ir::{Asks, Condition, Inside, Line, Pattern, Selector, Supply, Verdict};
use crate::quantity::{Category, CategoryKind};

impl Case<'_> {
    /// `allow FACT a | b`
    pub(super) fn allow(
        &self,
        line: &Line,
        category: Category,
        patterns: &[Pattern],
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let words = match self.facts.word(category).map(|fact| &fact.words) {
            Some(Words::One(word)) => std::slice::from_ref(word),
            Some(Words::Set(words)) => words,
            Some(Words::Absent) => return self.no_word(line, category, undecided),
            _ => {
                let asked = scope::choices(patterns);
                return self.word_open(line, category, &asked, Some(asked.clone()));
            }
        };
        let refused: Vec<&str> = words
            .iter()
            .filter(|word| !patterns.iter().any(|pattern| pattern.matches(word)))
            .map(String::as_str)
            .collect();
        if refused.is_empty() {
            let because = Inside::Said(words.join(", ").into());
            return (Verdict::Within { because }, None);
        }
        let asked = scope::choices(patterns);
        let is = refused.join(", ");
        let verb = if category.row().kind == CategoryKind::Set {
            "has"
        } else {
            "is"
        };
        let message = format!("{} {verb} {is}; {asked} is allowed", category.name());
        self.word_over(line, category, is, message, undecided)
    }

    /// `require FACT`
    pub(super) fn require(
        &self,
        line: &Line,
        category: Category,
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let name = category.name();
        if category == Category::Guard {
            let reads = "decided by the launch: training under ftrisk has it".to_owned();
            return (Verdict::Later { reads }, None);
        }
        match self.facts.word(category).map(|fact| (&fact.words, &fact.origin)) {
            Some((Words::One(revision), _)) if category == Category::ModelRevision && !is_commit(revision) => {
                let message = format!("model_revision is `{revision}`, which moves; a commit is required");
                self.word_over(line, category, revision.clone(), message, undecided)
            }
            Some((Words::One(_) | Words::Set(_) | Words::Had(true), origin)) => {
                let because = match origin {
                    Origin::Default { rule } => format!("had: {rule}").into(),
                    _ => "had".into(),
                };
                let because = Inside::Said(because);
                (Verdict::Within { because }, None)
            }
            Some((Words::Had(false) | Words::Absent, _)) => {
                let message = format!("{name} is required; this run has none");
                self.word_over(line, category, "none".to_owned(), message, undecided)
            }
            _ => self.word_open(line, category, "required", None),
        }
    }

    fn word_over(
        &self,
        line: &Line,
        category: Category,
        is: String,
        message: String,
        undecided: &[Selector],
    ) -> (Verdict, Option<Diagnostic>) {
        let finding = self.about_word(Diagnostic::new(Code::Over, message), line, category);
        if undecided.is_empty() {
            let fact = self.facts.word(category);
            let key = fact.and_then(|fact| fact.key.name.clone());
            let help = match (&line.asks, key) {
                (Asks::Require(Category::ModelRevision), _) => {
                    "name the commit that was tried, so that everybody trains the same base".to_owned()
                }
                (Asks::Require(Category::Parent), _) => {
                    "name the run that this one was made from with --against: a run file, a run directory, or a git revision"
                        .to_owned()
                }
                (Asks::Require(_), Some(key)) => format!("switch it on with {key}"),
                (Asks::Require(_), None) => match fact.map(|fact| &fact.origin) {
                    Some(Origin::Default { rule }) => format!("{rule}: train otherwise, or have the policy's owners drop the line"),
                    _ => "have the run use it".to_owned(),
                },
                (_, Some(key)) => format!("change {key}, or have the policy's owners allow it"),
                (_, None) => "change the run, or have the policy's owners allow it".to_owned(),
            };
            return (Verdict::Over { because: is }, Some(finding.help(help)));
        }
        self.open_scope(finding, &is, undecided)
    }

    fn word_open(
        &self,
        line: &Line,
        category: Category,
        asked: &str,
        within: Option<String>,
    ) -> (Verdict, Option<Diagnostic>) {
        let name = category.name();
        let how = match self.facts.word(category).map(|fact| &fact.origin) {
            Some(Origin::Unknown { supply, .. }) => supply.clone(),
            _ => format!("say in the run file what {name} is"),
        };
        let condition = Condition {
            fact: name.to_owned(),
            within: within.clone(),
            supply: Supply { how: how.clone() },
        };
        let because = format!("{name} is not known");
        let mut finding = self.about_word(
            Diagnostic::new(
                Code::Open,
                match &within {
                    Some(_) => format!("{name} is not known; {asked} is allowed"),
                    None => format!("{name} is {asked}, and whether this run has it is not known"),
                },
            ),
            line,
            category,
        );
        if let Some(within) = &condition.within {
            finding = finding.note(format!("within for {name} {within}"));
        }
        let verdict = Verdict::Open {
            because,
            conditions: vec![condition],
        };
        (verdict, Some(finding.help(how)))
    }

    /// A fact that this kind of run does not have.
    fn no_word(&self, line: &Line, category: Category, undecided: &[Selector]) -> (Verdict, Option<Diagnostic>) {
        let name = category.name();
        let why = match self.facts.word(category).map(|fact| &fact.origin) {
            Some(Origin::Default { rule }) => rule.clone(),
            _ => format!("this run has no {name}"),
        };
        self.not_had(line, name, &why, undecided)
    }

    fn about_word(&self, finding: Diagnostic, line: &Line, category: Category) -> Diagnostic {
        let name = category.name();
        let mut finding = finding.about(name);
        if let Some(fact) = self.facts.word(category) {
            finding = place_word(finding, name, fact);
        }
        finding.at(line.place, "")
    }
}

fn place_word(finding: Diagnostic, name: &str, fact: &WordFact) -> Diagnostic {
    match &fact.origin {
        Origin::Given(place) => finding.at(*place, ""),
        Origin::Unknown {
            why,
            place: Some(place),
            ..
        } => finding.at(*place, why.clone()),
        Origin::Unknown { why, place: None, .. } => finding.note(why.clone()),
        origin => show::with_default(finding, name, &fact.key, origin),
    }
}

/// Whether a revision names one commit: a hash, in full or abbreviated.
fn is_commit(revision: &str) -> bool {
    (7..=40).contains(&revision.len()) && revision.bytes().all(|b| b.is_ascii_hexdigit())
}
