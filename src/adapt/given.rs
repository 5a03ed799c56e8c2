//! Facts by their names: a file for runs that no dialect reads.
//!
//! A mapping, nested or dotted, of quantities, categorical facts and plain inputs. What it says is known, and nothing else:
//! there is no framework, so there are no defaults.

use std::collections::BTreeSet;

use super::pages::Pages;
use super::said::{by_default, unknown};
use super::scalar::{Loader, Value, resolve};
use super::screen;
use super::table::{Ask, Dialect, Null, Takes, Unknown};
use super::told::{Told, What};
use super::tree::{Data, Entry, Map, Node};
use super::words::{self, Problem, near, shown};
use crate::diag::{Code, Diagnostic, one_of};
use crate::facts::{Facts, Input, Key, NumberFact, WordFact, Words, input_of};
use crate::quantity::{CATEGORIES, Category, CategoryKind, Dimension, Domain, QUANTITIES, Quantity};
use crate::source::{Place, SourceId, Sources};

/// What a facts file is read as where messages speak of a dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "facts",
    framework: "facts",
    unknown: Unknown::Refuses,
    elsewhere: &[],
    launcher: "hand-rolled",
    loader: Loader::OmegaConf,
    default: "no default",
    nested_text_is_read: false,
    order: "",
};

/// What to do where the facts are not the run's.
const HELP: &str = "correct the one that is wrong, or leave the fact out";

/// Numbers that only some runs have: what is not written is taken as not there.
const EXTRAS: &[Input] = &[
    Input::LoraPlusRatio,
    Input::MinLearningRate,
    Input::WarmupSteps,
    Input::GlobalBatch,
    Input::ModelParallel,
    Input::MaxSteps,
    Input::MaxSamples,
    Input::AlphaPerRank,
    Input::RankStabilised,
];

/// Categorical facts that a file cannot give: who watches a run and what it is compared with.
const NOT_GIVEN: &[Category] = &[Category::Parent, Category::Guard];

/// A name that can stand in a facts file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    Quantity(Quantity, Input),
    Input(Input),
    Word(Category),
}

/// The plain name of an input as a key: `per_device_batch_size`, `lora_rank`.
fn key_of(name: &str) -> String {
    let name = name.to_lowercase().replace('+', "plus");
    name.replace([' ', '-'], "_")
}

fn named(name: &str) -> Option<Name> {
    let quantity = Quantity::named(name).and_then(|quantity| Some(Name::Quantity(quantity, input_of(quantity)?)));
    let word = || Category::named(name).filter(|category| !NOT_GIVEN.contains(category));
    let input = || {
        let wanted = key_of(name);
        let mut inputs = Input::ALL.iter().filter(|input| **input != Input::AlphaPerRank);
        inputs.find(|input| key_of(input.name()) == wanted).copied()
    };
    // `seed: 42` is the number, from which it follows that there is one.
    quantity
        .or_else(|| (name == "seed").then_some(Name::Input(Input::Seed)))
        .or_else(|| word().map(Name::Word))
        .or_else(|| input().map(Name::Input))
}

/// What a facts file tells.
pub(super) fn read(source: SourceId, map: &Map, sources: &Sources) -> (Vec<Told>, Vec<Diagnostic>) {
    let mut reader = Reader {
        pages: Pages::new(sources, source, None),
        told: Vec::new(),
        names: BTreeSet::new(),
        found: Vec::new(),
    };
    reader.map("", map);
    (reader.told, reader.found)
}

struct Reader<'a> {
    pages: Pages<'a>,
    told: Vec<Told>,
    /// The names that were told, as keys.
    names: BTreeSet<String>,
    found: Vec<Diagnostic>,
}

/// Bytes that a name has at most, those above it included.
const LONGEST: usize = 128;

impl Reader<'_> {
    fn map(&mut self, above: &str, map: &Map) {
        for entry in &map.entries {
            if above.len() + entry.name().len() > LONGEST {
                let at = self.pages.place(entry.key.span);
                self.found.push(no_name(entry.name(), at, false));
                continue;
            }
            let name = match above {
                "" => entry.name().to_owned(),
                above => format!("{above}.{}", entry.name()),
            };
            self.entry(&name, entry);
        }
    }

    fn entry(&mut self, name: &str, entry: &Entry) {
        // Placeholders and what is written twice are reported for every file alike.
        if entry.is_repeated || screen::is_placeholder(name, &entry.value, self.pages) {
            return;
        }
        let at = self.pages.place(entry.key.span);
        match (named(name), entry.value.map()) {
            (Some(_), None) if !self.names.insert(key_of(name)) => {
                let message = format!("`{name}` is told twice, in two spellings");
                let finding = Diagnostic::new(Code::DuplicateKey, message).at(at, "the second time");
                self.found.push(finding.help("keep one of the two"));
            }
            (Some(name_of), _) => self.value(name, name_of, &entry.value),
            (None, Some(map)) => self.map(name, map),
            (None, None) => {
                let is_compared = self.found.len() < COMPARED;
                self.found.push(no_name(name, at, is_compared));
            }
        }
    }

    fn value(&mut self, name: &str, name_of: Name, node: &Node) {
        let place = self.pages.place(node.span);
        let what = match name_of {
            Name::Quantity(quantity, input) => {
                let is_share = quantity.row().dimension == Dimension::Ratio;
                self.number(quantity.name(), input, is_share, node, place)
                    .map(|value| What::Number(input, Some(quantity), value))
            }
            Name::Input(input @ (Input::Packs | Input::RankStabilised)) => self
                .switch(name, node, place)
                .map(|on| What::Number(input, None, f64::from(u8::from(on)))),
            Name::Input(input) => {
                let is_share = input.domain() == Domain::RATIO;
                self.number(input.name(), input, is_share, node, place)
                    .map(|value| What::Number(input, None, value))
            }
            Name::Word(category) => self
                .words(name, category, node, place)
                .map(|words| What::Word(category, words)),
        };
        self.told.extend(what.map(|what| Told {
            name: name.to_owned(),
            place,
            what,
            help: HELP,
        }));
    }

    fn number(&mut self, name: &'static str, input: Input, is_share: bool, node: &Node, place: Place) -> Option<f64> {
        let domain = input.domain();
        let scalar = node.scalar();
        let text = scalar.map_or("", |scalar| &scalar.text);
        if let Some(number) = text.strip_suffix('%').filter(|_| is_share) {
            let share = match resolve(number.trim(), Loader::OmegaConf) {
                Value::Int(percent) => percent as f64 / 100.0,
                Value::Float(percent) => percent / 100.0,
                _ => f64::NAN,
            };
            if domain.contains(share) {
                return Some(share);
            }
        }
        let value = scalar.map(|scalar| match scalar.is_plain {
            true => resolve(&scalar.text, Loader::OmegaConf),
            false => Value::Text,
        });
        // A whole number may be written with a point.
        let problem = match Problem::or_number(value, Takes::Real, domain) {
            Ok(number) => return Some(number),
            Err(problem) => problem,
        };
        let ask = Ask {
            key: name,
            takes: if domain.integer { Takes::Whole } else { Takes::Real },
            domain,
            null: Null::Refused,
            usual: None,
        };
        let mut finding = words::number(&DIALECT, &ask, place, text, problem);
        if problem == Problem::Null {
            finding.labels.clear();
            finding = finding.at(place, "`null` tells nothing");
        }
        self.found.push(finding);
        None
    }

    fn switch(&mut self, name: &str, node: &Node, place: Place) -> Option<bool> {
        let scalar = node.scalar();
        let text = scalar.map_or("", |scalar| &scalar.text);
        match scalar.filter(|scalar| scalar.is_plain) {
            Some(scalar) => match resolve(&scalar.text, Loader::OmegaConf) {
                Value::Bool(on) => return Some(on),
                _ => self.found.push(words::switch(name, place, text)),
            },
            None => self.found.push(words::switch(name, place, text)),
        }
        None
    }

    fn words(&mut self, name: &str, category: Category, node: &Node, place: Place) -> Option<Words> {
        let text = node
            .scalar()
            .filter(|scalar| !scalar.is_plain || resolve(&scalar.text, Loader::OmegaConf) == Value::Text)
            .map(|scalar| &*scalar.text);
        match (category.row().kind, text, &node.data) {
            (CategoryKind::Presence, ..) => self.switch(name, node, place).map(Words::Had),
            (CategoryKind::Word(known), Some(text), _) if known.contains(&text) => Some(Words::One(text.to_owned())),
            (CategoryKind::Word(known), ..) => {
                let written = shown(self.pages.slice(node.span));
                let message = format!("`{name}` cannot be `{written}`");
                let finding = Diagnostic::new(Code::UnknownWord, message).at(place, "no word of it");
                let finding = finding.note(format!("it is {}", one_of(known)));
                self.found.push(match near(&written, known.iter().copied()) {
                    Some(near) => finding.help("did you mean").instead(near),
                    None => finding.help("write one of them"),
                });
                None
            }
            (CategoryKind::Text, Some(text), _) => Some(Words::One(text.to_owned())),
            (CategoryKind::Set, Some(text), _) => Some(Words::Set(words::split(text))),
            (CategoryKind::Set, None, Data::List(items)) => {
                let texts: Option<Vec<String>> = items
                    .iter()
                    .map(|item| item.scalar().map(|scalar| scalar.text.to_string()))
                    .collect();
                if texts.is_none() {
                    self.found.push(words::text(name, place, None));
                }
                texts.map(Words::Set)
            }
            (CategoryKind::Text | CategoryKind::Set, ..) => {
                let written = self.pages.slice(node.span);
                self.found
                    .push(words::text(name, place, node.scalar().map(|_| written)));
                None
            }
        }
    }
}

/// How many unknown names are compared with the known ones; a file with more of them is something else.
const COMPARED: usize = 20;

/// A name that is none, with the one that may have been meant.
fn no_name(name: &str, at: Place, is_compared: bool) -> Diagnostic {
    let told = || {
        QUANTITIES
            .iter()
            .copied()
            .filter(|quantity| input_of(*quantity).is_some())
    };
    if let Some(quantity) = Quantity::named(name) {
        let later = if quantity.row().moment.is_before_training() {
            "this version of ftrisk does not judge it"
        } else {
            "it is measured while training"
        };
        return Diagnostic::new(Code::UnknownName, format!("`{name}` cannot be told: {later}"))
            .at(at, "this name")
            .help("leave it out");
    }
    let finding = Diagnostic::new(Code::UnknownName, format!("`{}` is no fact of a run", shown(name)))
        .at(at, "nothing is called so");
    if !is_compared {
        return finding.help("check that this is the file you meant");
    }
    let meant = told()
        .find(|quantity| quantity.row().also.contains(&name))
        .map(Quantity::name);
    let inputs: Vec<String> = Input::ALL.iter().map(|input| key_of(input.name())).collect();
    let words = CATEGORIES.iter().filter(|category| !NOT_GIVEN.contains(category));
    let mut names: Vec<&str> = told().map(Quantity::name).collect();
    names.extend(words.map(|category| category.name()));
    names.extend(inputs.iter().map(String::as_str));
    match meant.or_else(|| near(name, names)) {
        Some(near) => finding.help("did you mean").instead(near),
        None => finding.help("`ftrisk facts` lists the names of a run's facts; `ftrisk explain` says what they are"),
    }
}

/// Facts of a run of which a facts file says everything that is known.
pub(super) fn nothing_but(source: SourceId, told: &[Told]) -> Facts {
    let mut facts = Facts::new(DIALECT.framework, DIALECT.launcher, source);
    let word = |category| told.iter().find_map(|told| told.word(category));
    let no_adapter = match word(Category::Method) {
        Some(method @ ("full" | "freeze")) => Some(format!("method {method} has no adapter")),
        _ => None,
    };
    let no_pull = match word(Category::Stage) {
        Some(stage @ ("pt" | "sft" | "rm" | "prm")) => Some(format!("stage {stage} has no preference beta")),
        _ => None,
    };
    for input in Input::ALL.iter().filter(|input| !EXTRAS.contains(input)) {
        let why = match input {
            Input::Rank | Input::Alpha | Input::Dropout => no_adapter.as_ref(),
            Input::PreferenceBeta => no_pull.as_ref(),
            _ => None,
        };
        let quantity = QUANTITIES.iter().find(|quantity| input_of(**quantity) == Some(*input));
        let name = quantity.map_or_else(|| key_of(input.name()), |quantity| quantity.name().to_owned());
        let open = unknown("the facts do not say it", format!("write `{name}: …`"), None);
        let key = Key {
            name: Some(name),
            ..Key::default()
        };
        match why {
            Some(why) => facts.set(
                *input,
                NumberFact {
                    values: None,
                    origin: by_default(why.clone()),
                    key,
                },
            ),
            None => facts.open(*input, open, key),
        }
    }
    for category in CATEGORIES.iter().filter(|category| !NOT_GIVEN.contains(category)) {
        let name = category.name();
        let (words, origin) = match (category, &no_adapter) {
            (Category::LoraTargets, Some(why)) => (Words::Absent, by_default(why.clone())),
            _ => {
                let open = unknown("the facts do not say it", format!("write `{name}: …`"), None);
                (Words::Unknown, open)
            }
        };
        let key = Key {
            name: Some(name.to_owned()),
            ..Key::default()
        };
        facts.set_words(*category, WordFact { words, origin, key });
    }
    facts
}

/// What follows for facts that are words from numbers that were told: a seed is there, a norm clips.
pub(super) fn follow(facts: &mut Facts) {
    for (input, category) in [(Input::Seed, Category::Seed), (Input::ClipNorm, Category::Clipping)] {
        let is_open = facts.word(category).is_none_or(|fact| fact.words == Words::Unknown);
        let number = facts.number(input).filter(|fact| fact.is_known()).cloned();
        if let Some(number) = number.filter(|_| is_open) {
            let had = input == Input::Seed || number.values.is_some_and(|norm| norm.lo() > 0.0);
            let fact = WordFact {
                words: Words::Had(had),
                origin: number.origin,
                key: number.key,
            };
            facts.set_words(category, fact);
        }
    }
}
