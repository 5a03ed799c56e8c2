//! What other files say about a run, laid beside what its run file says.
//!
//! It supplies what the run file leaves open, and must agree where the run file speaks; a default speaks as well, because
//! it is what the trainer takes.

use std::collections::BTreeSet;

use super::said::{point, unknown};
use super::words::shown;
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::{Derived, Facts, Input, Key, NumberFact, Origin, Part, Stands, WordFact, Words, derive};
use crate::quantity::{Category, Finite, Interval, Quantity};
use crate::source::{Place, Sources};

/// One thing that is told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// How the file that tells it calls it.
    pub(super) name: String,
    /// Where the value is written.
    pub(super) place: Place,
    /// What it is.
    pub(super) what: What,
    /// What to do where it is not what the run file says.
    pub(super) help: &'static str,
}

/// What is told.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A number; the quantity, where it was told by the name of one.
    Number(Input, Option<Quantity>, f64),
    /// A word.
    Word(Category, Words),
    /// A number that the run file's value does not reach: why, and what would let it.
    Open(Input, &'static str, &'static str),
    /// A word that wins over the run file's, because it takes the place of what that one would make.
    Instead(Category, Words),
}

impl Told {
    /// The value of an input that is told.
    pub(super) fn number(&self, of: Input) -> Option<f64> {
        match self.what {
            What::Number(input, _, value) if input == of => Some(value),
            _ => None,
        }
    }

    /// The word of a category that is told.
    pub(super) fn word(&self, of: Category) -> Option<&str> {
        match &self.what {
            What::Word(category, Words::One(word)) if *category == of => Some(word),
            _ => None,
        }
    }

    /// Whether it has an input of its own beside the rule, so that it can be told where the rule leaves it open.
    fn is_direct(&self) -> bool {
        match self.what {
            What::Number(input, Some(_), _) => input == Input::GlobalBatch || Input::DIRECT.contains(&input),
            _ => false,
        }
    }
}

/// Lays what is told beside the facts: what follows from others after those.
pub(super) fn merge(facts: &mut Facts, told: &[Told], sources: &Sources) -> Vec<Diagnostic> {
    let (direct, plain): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|told| told.is_direct());
    let all = plain.into_iter().chain(direct);
    all.filter_map(|told| match &told.what {
        What::Number(input, None, value) => input_told(facts, told, *input, *value, sources),
        What::Number(input, Some(quantity), value) => quantity_told(facts, told, (*input, *quantity), *value, sources),
        What::Word(category, words) => word_told(facts, told, *category, words, sources),
        What::Open(input, why, supply) => {
            open(facts, told, *input, why, supply);
            None
        }
        What::Instead(category, words) => instead(facts, told, *category, words),
    })
    .collect()
}

/// Whether a set has a number, but for the rounding of somebody's own arithmetic.
fn holds(values: Interval, value: f64) -> bool {
    const ROUNDING: f64 = 1e-9;
    let slack = value.abs() * ROUNDING;
    values.lo() - slack <= value && value <= values.hi() + slack
}

fn set(facts: &mut Facts, told: &Told, input: Input, value: f64) {
    let key = Key {
        name: Some(told.name.clone()),
        ..Key::default()
    };
    let origin = Origin::Given(told.place);
    let values = point(value);
    facts.set(input, NumberFact { values, origin, key });
}

fn input_told(facts: &mut Facts, told: &Told, input: Input, value: f64, sources: &Sources) -> Option<Diagnostic> {
    let Some(fact) = facts.number(input) else {
        set(facts, told, input, value);
        return None;
    };
    match fact.values {
        // A batch that is counted per device has a size in all as well.
        None if input == Input::GlobalBatch => {}
        Some(values) if fact.is_known() && holds(values, value) => return None,
        Some(values) if !fact.is_known() && holds(values, value) => {}
        values => {
            let is = values.map_or("none".to_owned(), |values| among(values, input.domain().integer));
            let name = facts.called(input).to_owned();
            return Some(against(
                told,
                &number(value),
                &name,
                &is,
                &fact.origin,
                &fact.key,
                sources,
            ));
        }
    }
    set(facts, told, input, value);
    None
}

fn quantity_told(
    facts: &mut Facts,
    told: &Told,
    (input, quantity): (Input, Quantity),
    value: f64,
    sources: &Sources,
) -> Option<Diagnostic> {
    let derived = derive(quantity, facts);
    let (values, by) = match &derived {
        Derived::Values { values, by } => (*values, *by),
        Derived::Absent { why } if told.is_direct() && facts.number(input).is_none() => {
            let message = format!("`{}` is {} here, and the run has none", told.name, number(value));
            let finding = Diagnostic::new(Code::Contradiction, message).at(told.place, "told here");
            return Some(finding.note(why.clone()).help(told.help));
        }
        _ => return input_told(facts, told, input, value, sources),
    };
    if by == [Part::Of(input)] {
        return input_told(facts, told, input, value, sources);
    }
    if !holds(values, value) {
        let domain = quantity.row().domain.integer;
        return Some(against_rule(facts, told, value, &derived, &among(values, domain)));
    }
    if told.is_direct() {
        set(facts, told, input, value);
        return None;
    }
    (!values.is_point()).then(|| {
        let from: Vec<&str> = derived.inputs().map(|input| facts.called(input)).collect();
        let message = format!("`{}` cannot be told beside this run: it follows from others", told.name);
        Diagnostic::new(Code::Contradiction, message)
            .at(told.place, "told here")
            .help(format!("tell what it follows from: {}", from.join(", ")))
    })
}

fn word_told(
    facts: &mut Facts,
    told: &Told,
    category: Category,
    words: &Words,
    sources: &Sources,
) -> Option<Diagnostic> {
    if let Some(fact) = facts.word(category).filter(|fact| fact.words != Words::Unknown) {
        if is_same(&fact.words, words) {
            return None;
        }
        let name = fact.key.name.as_deref().unwrap_or(category.name());
        let (is, says) = (of_words(&fact.words), of_words(words));
        return Some(against(told, &says, name, &is, &fact.origin, &fact.key, sources));
    }
    let key = Key {
        name: Some(told.name.clone()),
        ..Key::default()
    };
    let (words, origin) = (words.clone(), Origin::Given(told.place));
    facts.set_words(category, WordFact { words, origin, key });
    None
}

/// Takes back what is known of a number, and of what follows from it.
fn open(facts: &mut Facts, told: &Told, input: Input, why: &str, supply: &str) {
    let Some(fact) = facts.number(input).filter(|fact| fact.values.is_some()).cloned() else {
        return;
    };
    let origin = unknown(why, supply, Some(told.place));
    if input == Input::ClipNorm
        && let Some(word) = facts.word(Category::Clipping).cloned()
    {
        let (words, origin) = (Words::Unknown, origin.clone());
        facts.set_words(Category::Clipping, WordFact { words, origin, ..word });
    }
    let values = Some(input.domain().interval);
    facts.set(input, NumberFact { values, origin, ..fact });
}

/// Whether two words are the same; the order of a set is none.
fn is_same(one: &Words, other: &Words) -> bool {
    match (one, other) {
        (Words::Set(one), Words::Set(other)) => one.iter().collect::<BTreeSet<_>>() == other.iter().collect(),
        _ => one == other,
    }
}

/// Takes the place of a word, and says so where somebody wrote another.
fn instead(facts: &mut Facts, told: &Told, category: Category, words: &Words) -> Option<Diagnostic> {
    let fact = facts.word(category).cloned();
    let key = Key {
        name: Some(told.name.clone()),
        ..Key::default()
    };
    let new = WordFact {
        words: words.clone(),
        origin: Origin::Given(told.place),
        key,
    };
    facts.set_words(category, new);
    // It walks a formula of its own, which is not computed here.
    facts.own_schedule |= category == Category::Scheduler;
    let fact = fact.filter(|fact| !is_same(&fact.words, words))?;
    let Origin::Given(place) = fact.origin else {
        return None;
    };
    let name = fact.key.name.as_deref().unwrap_or(category.name());
    let message = format!("`{}` takes the place of `{name}`", told.name);
    Some(
        Diagnostic::new(Code::Contradiction, message)
            .weighing(Severity::Warning)
            .at(place, "has no effect")
            .at(told.place, format!("this counts: {}", of_words(words)))
            .help(told.help),
    )
}

/// The finding that two places disagree. A flag wins, so that this is only said.
fn against(told: &Told, says: &str, name: &str, is: &str, origin: &Origin, key: &Key, sources: &Sources) -> Diagnostic {
    let here = sources.get(told.place.source).name();
    let finding = |message: String| Diagnostic::new(Code::Contradiction, message).at(told.place, "told here");
    let disagree = format!("`{}` is {says} in {here}", told.name);
    match origin {
        Origin::Flag(flag) => finding(format!("{disagree}, and {flag} says {is}"))
            .weighing(Severity::Warning)
            .note(format!("{flag} counts"))
            .help("leave out the one that is wrong"),
        Origin::Given(place) => {
            let there = sources.get(place.source).name();
            let finding = finding(format!("{disagree}, and `{name}` is {is} in {there}"));
            finding.at(*place, format!("{is} here")).help(told.help)
        }
        Origin::Default { .. } => {
            let finding = finding(format!("{disagree}, and the run has {is}"));
            default_of(finding, name, origin, key).help(told.help)
        }
        Origin::Assumed(place) | Origin::Unknown { place: Some(place), .. } => {
            let finding = finding(format!("{disagree}, and it can only be {is}"));
            finding.at(*place, "because of this").help(told.help)
        }
        Origin::Unknown { why, place: None, .. } => finding(format!("{disagree}, and it can only be {is}"))
            .note(why.clone())
            .help(told.help),
    }
}

/// Says which default applies, at the place where its key would go.
fn default_of(finding: Diagnostic, name: &str, origin: &Origin, key: &Key) -> Diagnostic {
    match (origin, key.goes, key.stands) {
        (Origin::Default { rule }, Some(place), _) => finding.at(place, format!("{name} is not written: {rule}")),
        (Origin::Default { rule }, None, Stands::Null(place)) => finding.at(place, format!("{name} is null: {rule}")),
        (Origin::Default { rule }, None, _) => finding.note(rule.clone()),
        _ => finding,
    }
}

/// The finding that what is told is not what follows.
fn against_rule(facts: &Facts, told: &Told, value: f64, derived: &Derived, is: &str) -> Diagnostic {
    let message = format!(
        "`{}` is {} here, and {is} follows from the rest",
        told.name,
        number(value)
    );
    let mut finding = Diagnostic::new(Code::Contradiction, message).at(told.place, "told here");
    let mut names = Vec::new();
    for input in derived.inputs() {
        names.push(facts.called(input));
        if let Some(Origin::Given(place)) = facts.number(input).map(|fact| &fact.origin)
            && finding.labels.iter().all(|label| label.place != *place)
        {
            finding = finding.at(*place, "");
        }
        if let Some(fact) = facts.number(input) {
            finding = default_of(finding, facts.called(input), &fact.origin, &fact.key);
        }
    }
    finding
        .note(format!("it follows from {}", names.join(", ")))
        .help(told.help)
}

fn number(value: f64) -> String {
    Finite::shortest(value)
}

fn among(values: Interval, is_whole: bool) -> String {
    const MANY: f64 = 1e15;
    match (values.is_point(), values.hi() > MANY) {
        (true, _) => number(values.lo()),
        (false, true) if is_whole => format!("at least {}", number(values.lo())),
        (false, true) => format!("more than {}", number(values.lo())),
        (false, false) => format!("{} to {}", number(values.lo()), number(values.hi())),
    }
}

fn of_words(words: &Words) -> String {
    match words {
        Words::One(word) => shown(word),
        Words::Set(words) => shown(&words.join(", ")),
        Words::Had(true) => "there".to_owned(),
        Words::Had(false) => "not there".to_owned(),
        Words::Absent => "none".to_owned(),
        Words::Unknown => "not known".to_owned(),
    }
}
