//! What is known of a run before it trains, as reports show it.

use crate::quantity::Interval;
use crate::source::{Place, SourceId};

/// Everything that is known of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The framework that reads the run file.
    pub framework: &'static str,
    /// The run file.
    pub source: SourceId,
    /// Facts that policies can name, then those that only others are derived from.
    pub facts: Vec<KnownFact>,
}

/// One fact with where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownFact {
    /// The name in a policy; the plain name of a fact that no policy can name.
    pub name: &'static str,
    /// Whether a policy can name it.
    pub is_named: bool,
    /// The values it may have, in the quantity's own unit; `None` for words, and for what the run does not have.
    pub values: Option<Interval>,
    /// The words that it is.
    pub words: Vec<String>,
    /// The value as people read it; empty where nothing is known, or where the run has no such thing.
    pub shown: String,
    /// The key that the run file writes it with.
    pub key: Option<String>,
    /// Where it comes from.
    pub from: From,
}

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// Written in the run file or on its command line, at this place.
    Given(Place),
    /// Supplied by this flag.
    Flag(&'static str),
    /// A default, by this rule.
    Default(String),
    /// A premise of the policy, at this place.
    Assumed(Place),
    /// It follows from others.
    Derived {
        /// The rule with names, then with numbers: `learning_rate × lora_alpha ÷ lora_rank = 1e-4 × 16 ÷ 8`.
        rule: String,
        /// What would make it known, where something it follows from is not: a fact and the next step.
        missing: Vec<(String, String)>,
    },
    /// The run has no such thing, because of this.
    Absent(String),
    /// Not known.
    Unknown {
        /// Why.
        why: String,
        /// What would supply it.
        supply: String,
        /// The text that leaves it open.
        place: Option<Place>,
    },
}

impl From {
    /// Its name in reports.
    pub fn word(&self) -> &'static str {
        match self {
            From::Given(_) => "given",
            From::Flag(_) => "flag",
            From::Default(_) => "default",
            From::Assumed(_) => "assumed",
            From::Derived { .. } => "derived",
            From::Absent(_) => "absent",
            From::Unknown { .. } => "unknown",
        }
    }
}
