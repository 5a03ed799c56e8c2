//! What is known of a run, without a policy: every fact by name, with where it comes from.

use super::explain::{formula, used};
use super::show;
use crate::facts::{Derived, Facts, Input, Key, Origin, Part, Words, derive};
use crate::ir::{From, Known, KnownFact};
use crate::quantity::{CATEGORIES, Category, QUANTITIES, Quantity};

/// Inputs that no quantity shows by itself: people look for them, and what is derived from them names them.
const INPUTS: &[Input] = &[
    Input::PerDevice,
    Input::Accumulation,
    Input::GlobalBatch,
    Input::ModelParallel,
    Input::MaxSteps,
    Input::MaxSamples,
    Input::SequenceLength,
    Input::Packs,
    Input::WarmupRatio,
    Input::WarmupSteps,
    Input::MinLearningRate,
    Input::LoraPlusRatio,
    Input::Beta1,
    Input::Beta2,
    Input::Dropout,
    Input::RankStabilised,
    Input::Seed,
];

/// Everything that is known of a run.
pub fn known(facts: &Facts) -> Known {
    let quantities = QUANTITIES
        .iter()
        .filter(|quantity| quantity.row().moment.is_before_training() && **quantity != Quantity::ChangedLevers)
        .map(|quantity| of_quantity(*quantity, facts));
    let words = CATEGORIES
        .iter()
        .filter(|category| !matches!(category, Category::Parent | Category::Guard | Category::Seed))
        .map(|category| of_category(*category, facts));
    let inputs = INPUTS
        .iter()
        .filter(|input| facts.number(**input).is_some())
        .map(|input| of_input(*input, facts));
    Known {
        framework: facts.framework,
        source: facts.source,
        facts: quantities.chain(words).chain(inputs).collect(),
    }
}

fn of_quantity(quantity: Quantity, facts: &Facts) -> KnownFact {
    let derived = derive(quantity, facts);
    let only = match &derived {
        Derived::Values {
            by: [Part::Of(input)], ..
        } => facts.number(*input),
        _ => None,
    };
    let (values, from) = match &derived {
        Derived::Values { values, .. } => {
            let from = match only {
                Some(fact) => of_origin(&fact.origin, &fact.key),
                None => From::Derived {
                    rule: formula(&derived, facts).unwrap_or_default(),
                    missing: missing(&derived, facts),
                },
            };
            (Some(*values), from)
        }
        Derived::Absent { why } => (None, From::Absent(why.clone())),
        Derived::Unknown { why } => (
            None,
            From::Unknown {
                why: why.clone(),
                supply: String::new(),
                place: None,
            },
        ),
    };
    KnownFact {
        name: quantity.name(),
        is_named: true,
        values,
        words: Vec::new(),
        shown: values.map_or_else(String::new, |values| show::value(quantity, values, None)),
        key: only.and_then(|fact| fact.key.name.clone()),
        from,
    }
}

/// What would have to be supplied for a derived value to be one value.
fn missing(derived: &Derived, facts: &Facts) -> Vec<(String, String)> {
    used(derived)
        .into_iter()
        .filter_map(|input| match facts.number(input).map(|fact| &fact.origin) {
            Some(Origin::Unknown { supply, .. }) => Some((facts.called(input).to_owned(), supply.clone())),
            _ => None,
        })
        .collect()
}

fn of_input(input: Input, facts: &Facts) -> KnownFact {
    let fact = facts.number(input);
    let values = fact.and_then(|fact| fact.values);
    let shown = values.map_or_else(String::new, |values| show::input(input, values));
    let from = match fact {
        Some(fact) => match (&fact.origin, fact.values) {
            (Origin::Default { rule }, None) => From::Absent(fact.key.explains(rule)),
            (origin, _) => of_origin(origin, &fact.key),
        },
        None => From::Absent(String::new()),
    };
    KnownFact {
        name: input.name(),
        is_named: false,
        values,
        words: Vec::new(),
        shown,
        key: fact.and_then(|fact| fact.key.name.clone()),
        from,
    }
}

fn of_category(category: Category, facts: &Facts) -> KnownFact {
    let fact = facts.word(category);
    let (words, shown) = match fact.map(|fact| &fact.words) {
        Some(Words::One(word)) => (vec![word.clone()], word.clone()),
        Some(Words::Set(words)) => (words.clone(), words.join(", ")),
        Some(Words::Had(had)) => (Vec::new(), (if *had { "yes" } else { "no" }).to_owned()),
        _ => (Vec::new(), String::new()),
    };
    let from = match fact.map(|fact| (&fact.words, &fact.origin, &fact.key)) {
        Some((Words::Absent, Origin::Default { rule }, key)) => From::Absent(key.explains(rule)),
        Some((_, origin, key)) => of_origin(origin, key),
        None => From::Unknown {
            why: format!("the run file does not say what {} is", category.name()),
            supply: String::new(),
            place: None,
        },
    };
    KnownFact {
        name: category.name(),
        is_named: true,
        values: None,
        words,
        // Whatever a file says, it stays in its line of a table.
        shown: shown.replace(char::is_control, "\u{fffd}"),
        key: fact.and_then(|fact| fact.key.name.clone()),
        from,
    }
}

fn of_origin(origin: &Origin, key: &Key) -> From {
    match origin {
        Origin::Given(place) => From::Given(*place),
        Origin::Flag(flag) => From::Flag(flag),
        Origin::Default { rule } => From::Default(key.explains(rule)),
        Origin::Assumed(place) => From::Assumed(*place),
        Origin::Unknown { why, supply, place } => From::Unknown {
            why: why.clone(),
            supply: supply.clone(),
            place: *place,
        },
    }
}
