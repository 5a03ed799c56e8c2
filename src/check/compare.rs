//! A run beside its parent: what differs as written, and what moved with it.
//!
//! Pure: two sets of facts in, their differences out. A key belongs to the lever of the quantity that is derived from it.

use super::explain::used;
use super::show;
use crate::facts::{Derived, Facts, Input, NumberFact, Origin, Part, WordFact, Words, derive};
use crate::ir::{Apart, Change, Comparison, How, Side};
use crate::quantity::{CATEGORIES, Category, CategoryKind, Finite, Interval, Lever, QUANTITIES, Quantity};
use crate::source::{Place, Sources};

/// The quantity that people know an input as, if there is one.
fn own(input: Input) -> Option<Quantity> {
    Some(match input {
        Input::LearningRate => Quantity::LearningRate,
        Input::WarmupRatio => Quantity::WarmupFraction,
        Input::ClipNorm => Quantity::ClipNorm,
        Input::WeightDecay => Quantity::WeightDecay,
        Input::PreferenceBeta => Quantity::PreferenceBeta,
        Input::GlobalBatch => Quantity::BatchEffective,
        Input::WorldSize => Quantity::WorldSize,
        Input::Rows => Quantity::DatasetRows,
        Input::Epochs => Quantity::Epochs,
        Input::MaxSteps => Quantity::Updates,
        Input::Rank => Quantity::LoraRank,
        Input::Alpha | Input::AlphaPerRank => Quantity::LoraAlpha,
        _ => return None,
    })
}

/// The lever of a number.
fn lever_of(input: Input) -> Option<Lever> {
    let lever = match input {
        Input::MinLearningRate | Input::LoraPlusRatio | Input::WarmupSteps => Lever::Step,
        Input::PerDevice | Input::Accumulation | Input::ModelParallel => Lever::Averaging,
        // Tokens of an update follow from them.
        Input::SequenceLength | Input::Packs => Lever::Averaging,
        Input::MaxSamples => Lever::Commitment,
        Input::RankStabilised => Lever::Reach,
        Input::Dropout | Input::Seed => return None,
        other => own(other)?.row().lever,
    };
    pulled(lever)
}

/// The lever of a word.
fn lever_of_word(category: Category) -> Option<Lever> {
    match category {
        Category::Scheduler | Category::Optimizer => Some(Lever::Step),
        Category::Method | Category::LoraTargets => Some(Lever::Reach),
        _ => None,
    }
}

/// One of the four; what belongs to none or to all of them is shown beside.
fn pulled(lever: Lever) -> Option<Lever> {
    (!matches!(lever, Lever::All | Lever::Launch)).then_some(lever)
}

/// Facts in which runs have to agree: what a lever does is only seen where they do.
const SAME: [Category; 4] = [Category::Model, Category::Dataset, Category::Template, Category::Stage];

/// What differs between a run and its parent.
pub fn compare(parent: &Facts, run: &Facts, sources: &Sources) -> Comparison {
    let pair = Pair { parent, run, sources };
    let mut changes: Vec<Change> = Input::ALL.iter().filter_map(|input| pair.number(*input)).collect();
    let moved: Vec<(Quantity, Change)> = QUANTITIES
        .iter()
        .filter(|quantity| quantity.row().moment.is_before_training() && quantity.row().derived)
        .filter_map(|quantity| pair.quantity(*quantity, &changes).map(|change| (*quantity, change)))
        .collect();
    // A default that moved is shown once: as the quantity that people know it by.
    let is_shown = |change: &Change| {
        let input = Input::ALL.iter().find(|input| input.name() == change.name);
        let quantity = input.and_then(|input| own(*input));
        quantity.is_some_and(|quantity| moved.iter().any(|(other, _)| *other == quantity))
    };
    changes.retain(|change| change.is_written() || !is_shown(change));
    let words = CATEGORIES.iter().filter(|category| !SAME.contains(category));
    changes.extend(words.filter_map(|category| pair.word(*category)));
    changes.extend(moved.into_iter().map(|(_, change)| change));
    changes.sort_by_key(|change| (!change.is_written(), change.lever.is_none(), change.lever));
    Comparison {
        parent: parent.source,
        apart: SAME.iter().filter_map(|category| pair.apart(*category)).collect(),
        changes,
    }
}

/// A parent and its run, with the texts that they are written in.
#[derive(Clone, Copy)]
struct Pair<'a> {
    parent: &'a Facts,
    run: &'a Facts,
    sources: &'a Sources,
}

/// How two facts differ.
enum Differs {
    Not,
    Surely,
    /// One is not known.
    Perhaps,
}

impl Pair<'_> {
    /// How two facts differ; `same` compares what is known of them. What is not known is compared by its text.
    fn differ(self, same: bool, old: Option<&Origin>, new: Option<&Origin>) -> Differs {
        let is_unknown = |origin: Option<&Origin>| matches!(origin, Some(Origin::Unknown { .. }));
        match (is_unknown(old), is_unknown(new)) {
            (false, false) if same => Differs::Not,
            (false, false) => Differs::Surely,
            (true, true) => {
                let text = |origin: Option<&Origin>| origin.and_then(place_of).map(|place| self.text(place));
                let is_same = same && text(old) == text(new);
                if is_same { Differs::Not } else { Differs::Perhaps }
            }
            _ => Differs::Perhaps,
        }
    }

    fn text(&self, place: Place) -> &str {
        self.sources.get(place.source).slice(place.span)
    }

    /// What differs in a number: as written, or because a default moved.
    fn number(self, input: Input) -> Option<Change> {
        let (old, new) = (self.parent.number(input), self.run.number(input));
        let values = |fact: Option<&NumberFact>| fact.and_then(|fact| fact.values);
        let origins = [old, new].map(|fact| fact.map(|fact| &fact.origin));
        let [from, to] = origins;
        let differs = self.differ(values(old) == values(new), from, to);
        let how = how(differs, origins)?;
        let side = |fact: Option<&NumberFact>| {
            let shown = match (values(fact), fact.map(|fact| &fact.origin)) {
                (_, Some(Origin::Unknown { place: Some(place), .. })) => self.text(*place).trim().to_owned(),
                (Some(values), _) => show::input(input, values),
                (None, _) => "none".to_owned(),
            };
            Side {
                shown,
                is_written: is_written(fact.map(|fact| &fact.origin)),
            }
        };
        let key = [new, old].into_iter().flatten().find_map(|fact| fact.key.name.clone());
        Some(Change {
            name: input.name(),
            key,
            lever: lever_of(input),
            old: side(old),
            new: side(new),
            // Seeds have no size.
            factor: factor(values(old), values(new)).filter(|_| input != Input::Seed),
            how,
            place: to.and_then(place_of),
        })
    }

    /// What differs in a word that two comparable runs may differ in.
    fn word(self, category: Category) -> Option<Change> {
        // The numbers behind these are compared.
        if matches!(
            category,
            Category::Parent | Category::Guard | Category::Seed | Category::Clipping
        ) {
            return None;
        }
        let (old, new) = (self.parent.word(category), self.run.word(category));
        let origins = [old, new].map(|fact| fact.map(|fact| &fact.origin));
        let [from, to] = origins;
        let differs = self.differ(same_words(old, new), from, to);
        let mut how = how(differs, origins)?;
        let is_lora = |fact: Option<&WordFact>| matches!(fact.map(|fact| &fact.words), Some(Words::One(word)) if word == "lora" || word == "qlora");
        if category == Category::Method && is_lora(old) && is_lora(new) {
            // The same method; another key quantises the base under it.
            how = How::Moved {
                why: "follows quantization".to_owned(),
            };
        }
        Some(Change {
            name: category.name(),
            key: [new, old].into_iter().flatten().find_map(|fact| fact.key.name.clone()),
            lever: lever_of_word(category),
            old: self.said(category, old),
            new: self.said(category, new),
            factor: None,
            how,
            place: to.and_then(place_of),
        })
    }

    /// A fact in which the runs have to agree and do not.
    fn apart(self, category: Category) -> Option<Apart> {
        let (old, new) = (self.parent.word(category), self.run.word(category));
        let origin = |fact: Option<&'_ WordFact>| fact.map(|fact| fact.origin.clone());
        let differs = self.differ(same_words(old, new), origin(old).as_ref(), origin(new).as_ref());
        let is_known = match differs {
            Differs::Not => return None,
            Differs::Surely => true,
            Differs::Perhaps => false,
        };
        Some(Apart {
            category,
            old: self.said(category, old).shown,
            new: self.said(category, new).shown,
            is_known,
            place: new.and_then(|fact| place_of(&fact.origin)),
        })
    }

    fn said(self, category: Category, fact: Option<&WordFact>) -> Side {
        let shown = match fact.map(|fact| (&fact.words, &fact.origin)) {
            Some((_, Origin::Unknown { place: Some(place), .. })) => self.text(*place).trim().to_owned(),
            Some((Words::One(word), _)) => word.clone(),
            Some((Words::Set(words), _)) => words.join(", "),
            Some((Words::Had(had), _)) => (if *had { "yes" } else { "no" }).to_owned(),
            Some((Words::Absent, _)) => "none".to_owned(),
            None if category.row().kind == CategoryKind::Presence => "no".to_owned(),
            Some((Words::Unknown, _)) | None => "not known".to_owned(),
        };
        Side {
            shown,
            is_written: is_written(fact.map(|fact| &fact.origin)),
        }
    }

    /// What moved without being written: a quantity that is more than a key of its own.
    fn quantity(self, quantity: Quantity, changes: &[Change]) -> Option<Change> {
        let (old, new) = (derive(quantity, self.parent), derive(quantity, self.run));
        if values_of(&old) == values_of(&new) {
            return None;
        }
        let changed = |input: Input| changes.iter().find(|change| change.name == input.name());
        let plain = |derived: &Derived| match derived {
            Derived::Values {
                by: [Part::Of(input)], ..
            } => Some(*input),
            _ => None,
        };
        let single = plain(&old)
            .filter(|input| plain(&new) == Some(*input))
            .and_then(changed);
        if single.is_some_and(Change::is_written) {
            return None;
        }
        let why = match single.map(|change| &change.how) {
            Some(How::Moved { why }) => why.clone(),
            _ => self.follows(quantity, [&old, &new], changes),
        };
        let shown = |derived: &Derived, round: bool| match derived {
            Derived::Values { values, .. } => {
                let values = open_ended(*values);
                show::value(quantity, if round { rounded(values) } else { values }, None)
            }
            Derived::Absent { .. } => "none".to_owned(),
            Derived::Unknown { .. } => "not known".to_owned(),
        };
        // Counts are exact, and so is what would look the same in four digits.
        let round = !quantity.row().domain.integer && shown(&old, true) != shown(&new, true);
        let side = |derived: &Derived| Side {
            shown: shown(derived, round),
            is_written: false,
        };
        Some(Change {
            name: quantity.name(),
            key: None,
            lever: pulled(quantity.row().lever),
            old: side(&old),
            new: side(&new),
            factor: factor(values_of(&old), values_of(&new)),
            how: How::Moved { why },
            place: None,
        })
    }

    /// The changes that a quantity follows, by the keys that people know them by.
    fn follows(self, quantity: Quantity, sides: [&Derived; 2], changes: &[Change]) -> String {
        let inputs: Vec<Input> = sides.into_iter().flat_map(used).collect();
        let mut keys: Vec<&str> = changes
            .iter()
            .filter(|change| inputs.iter().any(|input| input.name() == change.name))
            .map(|change| change.key.as_deref().unwrap_or(change.name))
            .collect();
        let walks_schedule = matches!(quantity, Quantity::LearningRateArea | Quantity::LearningRateFinal);
        let schedulers = [self.parent, self.run].map(|facts| facts.word(Category::Scheduler));
        let [old, new] = schedulers;
        if walks_schedule && !same_words(old, new) {
            let key = schedulers
                .into_iter()
                .flatten()
                .find_map(|fact| fact.key.name.as_deref());
            keys.push(key.unwrap_or(Category::Scheduler.name()));
        }
        if keys.is_empty() {
            return match sides {
                [Derived::Absent { why } | Derived::Unknown { why }, _]
                | [_, Derived::Absent { why } | Derived::Unknown { why }] => why.clone(),
                _ => "follows what changed".to_owned(),
            };
        }
        format!("follows {}", keys.join(", "))
    }
}

/// What kind of difference it is, by who wrote which side.
fn how(differs: Differs, origins: [Option<&Origin>; 2]) -> Option<How> {
    let unknown = origins.into_iter().flatten().find_map(|origin| match origin {
        Origin::Unknown { why, supply, .. } => Some((why, supply)),
        _ => None,
    });
    let is_written = origins.into_iter().any(is_written);
    Some(match (differs, unknown) {
        (Differs::Not, _) => return None,
        (Differs::Perhaps, Some((why, supply))) if is_written => How::Unsure {
            why: why.clone(),
            supply: supply.clone(),
        },
        _ if is_written => How::Written,
        _ => {
            let rules = origins.into_iter().rev().flatten().filter_map(|origin| match origin {
                Origin::Default { rule } => Some(rule.clone()),
                Origin::Unknown { why, .. } => Some(why.clone()),
                _ => None,
            });
            How::Moved {
                why: rules.into_iter().next().unwrap_or_default(),
            }
        }
    })
}

/// Whether somebody wrote it: in the file, or with a flag.
fn is_written(origin: Option<&Origin>) -> bool {
    match origin {
        Some(Origin::Given(_) | Origin::Flag(_)) => true,
        Some(Origin::Unknown { place, .. }) => place.is_some(),
        Some(Origin::Default { .. } | Origin::Assumed(_)) | None => false,
    }
}

fn place_of(origin: &Origin) -> Option<Place> {
    match origin {
        Origin::Given(place) => Some(*place),
        Origin::Unknown { place, .. } => *place,
        _ => None,
    }
}

/// Whether two facts are the same words; sets have no order.
fn same_words(old: Option<&WordFact>, new: Option<&WordFact>) -> bool {
    let sorted = |fact: Option<&WordFact>| {
        fact.map(|fact| match &fact.words {
            Words::Set(words) => {
                let mut words = words.clone();
                words.sort_unstable();
                Words::Set(words)
            }
            other => other.clone(),
        })
    };
    sorted(old) == sorted(new)
}

fn values_of(derived: &Derived) -> Option<Interval> {
    match derived {
        Derived::Values { values, .. } => Some(*values),
        _ => None,
    }
}

/// A set with its ends in four digits.
fn rounded(values: Interval) -> Interval {
    let [lo, hi] = [values.lo(), values.hi()].map(|end| format!("{end:.3e}").parse().unwrap_or(end));
    Interval::new(lo, hi).unwrap_or(values)
}

/// What the range of a missing fact leaves without a sensible end has none.
fn open_ended(values: Interval) -> Interval {
    let has_end = values.is_point() || values.hi() < 1e9;
    let open = Interval::new(values.lo(), f64::INFINITY).filter(|_| !has_end);
    open.unwrap_or(values)
}

/// New over old in three digits.
fn factor(old: Option<Interval>, new: Option<Interval>) -> Option<Finite> {
    let point = |set: Option<Interval>| set.filter(|set| set.is_point() && set.lo() > 0.0 && set.lo().is_finite());
    let ratio = point(new)?.lo() / point(old)?.lo();
    Finite::new(format!("{ratio:.2e}").parse().ok()?)
}
