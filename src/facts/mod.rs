//! What is known about a run before it trains, in one vocabulary for every framework.
//!
//! A fact is the set of values it may still have: one value when it is given, defaulted or supplied by a flag, its whole
//! domain when nothing is known. Knows nothing of policies' limits and of file formats.

mod derive;
mod direct;
mod length;
mod movement;
mod recipe;
mod rule;
mod schedule;
mod walk;

pub use derive::{Derived, Part};
pub use direct::input_of;
pub use length::updates_of;
pub use recipe::{Recipe, Scheduler, Template, Told};
pub use rule::derive;
pub use schedule::warmup_updates;

use std::collections::BTreeMap;

use crate::quantity::{Category, Course, Domain, Finite, Interval, Quantity};
use crate::source::{Place, SourceId};

macro_rules! inputs {
    ($($variant:ident $name:literal $domain:expr;)* => $($direct:ident $told:literal $of:expr;)*) => {
        /// A number that a trainer is given, before anything is derived from it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Input { $(#[doc = concat!("`", $name, "`")] $variant,)* $(#[doc = concat!("`", $told, "`, told directly")] $direct),* }

        impl Input {
            /// Every input that a run file can give.
            pub const ALL: &'static [Input] = &[$(Input::$variant),*];
            /// Quantities that are told as they are, in the place of their rules; no run file gives them.
            pub const DIRECT: &'static [Input] = &[$(Input::$direct),*];

            /// What it is called where the run file has no key for it.
            pub fn name(self) -> &'static str {
                match self { $(Input::$variant => $name,)* $(Input::$direct => $told),* }
            }

            /// The values it can have at all.
            pub fn domain(self) -> Domain {
                match self { $(Input::$variant => $domain,)* $(Input::$direct => $of),* }
            }
        }
    };
}

const POSITIVE: Domain = Domain::reals(f64::MIN_POSITIVE, f64::MAX);
const NON_NEGATIVE: Domain = Domain::reals(0.0, f64::MAX);
/// What a running mean keeps of itself; at 1 it would never learn anything.
const DECAY: Domain = Domain::reals(0.0, 0.999_999_999_999);

inputs! {
    LearningRate "learning rate" POSITIVE;
    LoraPlusRatio "LoRA+ ratio" POSITIVE;
    MinLearningRate "minimum learning rate" NON_NEGATIVE;
    WarmupRatio "warmup ratio" Domain::RATIO;
    WarmupSteps "warmup steps" Domain::integers(0.0, Domain::COUNT.interval.hi());
    ClipNorm "clip norm" NON_NEGATIVE;
    WeightDecay "weight decay" NON_NEGATIVE;
    Beta1 "Adam's beta1" DECAY;
    Beta2 "Adam's beta2" DECAY;
    PreferenceBeta "preference beta" NON_NEGATIVE;
    PerDevice "per-device batch size" Domain::COUNT;
    Accumulation "gradient accumulation" Domain::COUNT;
    GlobalBatch "global batch size" Domain::COUNT;
    ModelParallel "devices that share one model copy" Domain::COUNT;
    WorldSize "world_size" Domain::WORLD;
    Rows "dataset.rows" Domain::COUNT;
    Epochs "epochs" NON_NEGATIVE;
    MaxSteps "maximum of steps" Domain::COUNT;
    Rank "LoRA rank" Domain::COUNT;
    Alpha "LoRA alpha" NON_NEGATIVE;
    AlphaPerRank "alpha by default, as a multiple of the rank" POSITIVE;
    RankStabilised "rank-stabilised LoRA" Domain::integers(0.0, 1.0);
    Dropout "LoRA dropout" Domain::RATIO;
    Packs "packing" Domain::integers(0.0, 1.0);
    SequenceLength "sequence length" Domain::COUNT;
    MaxSamples "samples per data set" Domain::COUNT;
    Seed "seed" NON_NEGATIVE;
    // Told as they are, in the place of their rules.
    =>
    FinalRate "learning_rate.final" NON_NEGATIVE;
    RateArea "learning_rate.area" NON_NEGATIVE;
    WarmupShare "warmup_fraction" Domain::RATIO;
    UpdateScale "update_scale" NON_NEGATIVE;
    LoraScale "lora.scale" NON_NEGATIVE;
    Updates "updates" Domain::COUNT;
    Samples "samples" NON_NEGATIVE;
}

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// Written in the run file, value and all.
    Given(Place),
    /// Supplied on the command line by this flag.
    Flag(&'static str),
    /// Not written; the framework's own default applies.
    Default {
        /// Whose default and by which rule: `LLaMA-Factory: 2 x lora_rank`.
        rule: String,
    },
    /// A premise of the policy, at this place.
    Assumed(Place),
    /// Not known; says why and what would supply it.
    Unknown {
        /// Why: `LLaMA-Factory uses every GPU it sees`.
        why: String,
        /// The next step: `say --world-size N`.
        supply: String,
        /// The text that leaves it open, such as `${LR}`.
        place: Option<Place>,
    },
}

/// How the run file writes a fact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key {
    /// The key, dotted where it is nested; `None` for facts of the launch.
    pub name: Option<String>,
    /// Where the key would go when it is not written: the end of the line after which it belongs.
    pub goes: Option<Place>,
    /// What stands under it.
    pub stands: Stands,
}

impl Key {
    /// Why a default applies, in the words of what stands in the run file.
    pub fn explains(&self, rule: &str) -> String {
        match (&self.name, self.stands) {
            (Some(name), Stands::Null(_)) => format!("{name} is null: {rule}"),
            _ => rule.to_owned(),
        }
    }
}

/// What stands under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stands {
    /// Nothing: the key is not written.
    #[default]
    Nothing,
    /// A null, at this place.
    Null(Place),
    /// Something, whether or not it decides the fact.
    Value,
}

/// A number that may not be known yet, or that the run cannot have.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberFact {
    /// The values it may have; `None` when the run has no such thing (the rank of a full fine-tune).
    pub values: Option<Interval>,
    /// Where they come from; for an absent fact, why it is absent.
    pub origin: Origin,
    /// How the run file writes it.
    pub key: Key,
}

impl NumberFact {
    /// A fact of one value.
    pub fn known(value: Finite, origin: Origin, key: Key) -> Self {
        NumberFact {
            values: Some(Interval::point(value)),
            origin,
            key,
        }
    }

    /// Whether there is one value left.
    pub fn is_known(&self) -> bool {
        self.values.is_some_and(Interval::is_point)
    }
}

/// A fact that is a word, several words, or had at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// It is this word or text.
    One(String),
    /// It is this set.
    Set(Vec<String>),
    /// The run has it (`true`) or has it not.
    Had(bool),
    /// The run has no such thing (LoRA targets of a full fine-tune).
    Absent,
    /// Nothing is known.
    Unknown,
}

/// A categorical fact with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct WordFact {
    /// What is known.
    pub words: Words,
    /// Where from.
    pub origin: Origin,
    /// How the run file writes it.
    pub key: Key,
}

/// Everything that is known about one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The framework that reads the run file: `LLaMA-Factory`.
    pub framework: &'static str,
    /// The command that launches it: `llamafactory-cli`.
    pub launcher: &'static str,
    /// The run file.
    pub source: SourceId,
    /// Whether samples that fill no whole batch are dropped at the end of a pass, instead of making a smaller update.
    pub drops_last: bool,
    /// Whether a run ends at the first of its epochs and its maximum of steps, instead of at the maximum alone.
    pub ends_at_first: bool,
    /// Whether the framework walks its schedules by formulas of its own, which are not computed here.
    pub own_schedule: bool,
    numbers: BTreeMap<Input, NumberFact>,
    words: BTreeMap<Category, WordFact>,
}

impl Facts {
    /// Facts of a run of which nothing is known yet.
    pub fn new(framework: &'static str, launcher: &'static str, source: SourceId) -> Self {
        Facts {
            framework,
            launcher,
            source,
            drops_last: false,
            ends_at_first: false,
            own_schedule: false,
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
        }
    }

    /// Sets a number.
    pub fn set(&mut self, input: Input, fact: NumberFact) {
        self.numbers.insert(input, fact);
    }

    /// Says of every number of which nothing is known yet that it is so, for this reason.
    pub(crate) fn open(&mut self, input: Input, origin: Origin, key: Key) {
        let values = Some(input.domain().interval);
        self.numbers.entry(input).or_insert(NumberFact { values, origin, key });
    }

    /// Takes a number out: the run has no such thing.
    pub(crate) fn forget(&mut self, input: Input) {
        self.numbers.remove(&input);
    }

    /// Sets a categorical fact.
    pub fn set_words(&mut self, category: Category, fact: WordFact) {
        self.words.insert(category, fact);
    }

    /// A number; a fact that nobody set is one the run cannot have.
    pub fn number(&self, input: Input) -> Option<&NumberFact> {
        self.numbers.get(&input)
    }

    /// A categorical fact, if anybody set it.
    pub fn word(&self, category: Category) -> Option<&WordFact> {
        self.words.get(&category)
    }

    /// The values of an input; `None` when the run has no such thing.
    pub fn values(&self, input: Input) -> Option<Interval> {
        self.number(input).and_then(|fact| fact.values)
    }

    /// The course of the learning rate, where the schedule is one that ftrisk computes and each number of it is known.
    pub fn course(&self) -> Option<Course> {
        match derive(Quantity::Updates, self) {
            Derived::Values { values, .. } if values.lo() >= 1.0 => schedule::Schedule::of(self).ok()?.course(values),
            _ => None,
        }
    }

    /// How people know an input in this run: the key of the run file, else its plain name.
    pub fn called(&self, input: Input) -> &str {
        self.number(input)
            .and_then(|fact| fact.key.name.as_deref())
            .unwrap_or(input.name())
    }

    /// Narrows an input to a part of its values; an input that the run does not have stays absent.
    pub fn narrow(&mut self, input: Input, values: Interval) {
        if let Some(fact) = self.numbers.get_mut(&input) {
            fact.values = Some(values);
        }
    }
}
