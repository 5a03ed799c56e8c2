//! The typed policy and the verdicts on it, as plain data.
//!
//! A limit here has a quantity, a region it accepts in the quantity's own measure, and a response that can act: a unit
//! error or a response at the wrong moment cannot be expressed. Knows nothing of texts but places in them.

mod against;
mod day;
mod glob;
mod known;
mod shown;
mod verdict;
mod waiver;

pub use against::{Apart, Change, Comparable, Comparison, How, LEVERS, Side, another};
pub use day::Day;
pub use glob::glob;
pub use known::{From, Known, KnownFact};
pub(crate) use shown::{HUGE, TINY, shown_set, shown_value};
pub use verdict::{Condition, Coverage, Inside, Judged, Judgement, Supply, Unwaived, Verdict};
pub use waiver::{MOST_DAYS, Moved, Waiver};

use crate::quantity::{Category, Dimension, Direction, Finite, Interval, Moment, ProbeKind, Quantity, Unit};
use crate::source::{Place, SourceId};

/// Evaluations happen every so many updates where a probe does not say otherwise.
pub const DEFAULT_CADENCE: u64 = 50;

/// A compiled policy: a conjunction of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its text.
    pub source: SourceId,
    /// Where its header is.
    pub header: Place,
    /// The runs it speaks about: all of these hold.
    pub covers: Vec<Selector>,
    /// Its premises.
    pub assumes: Vec<Assume>,
    /// The fixed evaluation sets.
    pub probes: Vec<Probe>,
    /// Its lines; `until` and `require F, G` are several.
    pub lines: Vec<Line>,
    /// What it relaxes, for whom and until when.
    pub waivers: Vec<Waiver>,
}

/// A premise about the launch, and a condition on it at the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assume {
    /// The launch fact.
    pub quantity: Quantity,
    /// The values that are assumed.
    pub values: Interval,
    /// Where it says so.
    pub place: Place,
}

/// A fixed evaluation set.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What limits call it.
    pub name: String,
    /// What it holds.
    pub kind: ProbeKind,
    /// The file, as written.
    pub path: String,
    /// SHA-256 of the file, 64 hex digits, when it is pinned.
    pub sha256: Option<String>,
    /// Updates between its evaluations.
    pub every: u64,
    /// Where it is declared.
    pub place: Place,
}

/// How firmly a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Shown, never fails, never acts.
    Advise,
    /// Enforced, may be waived.
    Enforce,
    /// Enforced, may not be waived.
    NoWaiver,
}

/// One line of the conjunction.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// How firmly it is meant.
    pub level: Level,
    /// When it is in force: all of these hold; always when there are none.
    pub scope: Vec<Selector>,
    /// What it asks.
    pub asks: Asks,
    /// The statement, or the clause of it that says this.
    pub place: Place,
}

impl Line {
    /// The name that it is about.
    pub fn subject(&self) -> &'static str {
        match &self.asks {
            Asks::Limit(limit) => limit.quantity.name(),
            Asks::Allow { category, .. } | Asks::Require(category) => category.name(),
        }
    }
}

/// What a line asks of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Asks {
    /// A quantity stays inside.
    Limit(Limit),
    /// A fact is one of these.
    Allow {
        /// The fact.
        category: Category,
        /// What it may be.
        patterns: Vec<Pattern>,
    },
    /// A fact is had.
    Require(Category),
}

/// A word, or a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The text.
    pub text: String,
    /// Whether `*` and `**` are wild in it.
    pub glob: bool,
}

impl Pattern {
    /// Whether a word or text is meant by it.
    pub fn matches(&self, text: &str) -> bool {
        if self.glob {
            glob(&self.text, text)
        } else {
            self.text == text
        }
    }
}

/// A condition on the run that decides whether lines are in force.
#[derive(Debug, Clone, PartialEq)]
pub enum Selector {
    /// A fact is one of these.
    Word {
        /// The fact.
        category: Category,
        /// What it may be.
        patterns: Vec<Pattern>,
    },
    /// A number is in this region, its ends included or not.
    Number {
        /// The quantity.
        quantity: Quantity,
        /// The region with its ends; strictness is in it, because no f64 lies between.
        accepts: Interval,
        /// As written: `below 1000`.
        shown: String,
    },
}

/// A bound as it is compared and as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// In the quantity's own measure (a share of 1, nats); for `of base` a share of the base's reading.
    pub value: Finite,
    /// As the author wrote it, blanks and underscores tidied: `85% of base`.
    pub shown: String,
}

/// A limit on one quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// What is limited.
    pub quantity: Quantity,
    /// The floor, inclusive.
    pub min: Option<Bound>,
    /// The ceiling, inclusive.
    pub max: Option<Bound>,
    /// The unit that the author wrote.
    pub unit: Option<Unit>,
    /// Whether the bounds are shares of the base's reading.
    pub of_base: bool,
    /// Which probe it is read on: an index into the policy's probes.
    pub probe: Option<usize>,
    /// The confidence at which a bound on the mean must be inside.
    pub confidence: Option<Finite>,
    /// Whether the ceiling is a budget that is spread over the run ([`can_be_paced`]): who spends it too fast is slowed early.
    /// The ceiling itself stays what it is.
    pub paced: bool,
    /// What answers a breach; empty where training never sees the limit, and for advice.
    pub response: Vec<Rung>,
    /// Its bounds that are waived for the run at hand; at most one of each end, and none in a policy as compiled.
    pub moved: Vec<Moved>,
}

impl Limit {
    /// The region it accepts, bounds included; meaningless as numbers when they are shares of the base's reading.
    pub fn accepts(&self) -> Interval {
        let lo = self.min.as_ref().map(|bound| Interval::at_least(bound.value));
        let hi = self.max.as_ref().map(|bound| Interval::at_most(bound.value));
        match (lo, hi) {
            (Some(lo), Some(hi)) => lo.intersect(hi).unwrap_or(lo),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Interval::ALL,
        }
    }

    /// What is asked, in words: `at most 16`, `4 to 128`, `at most 128 (waived from 64, 36 days left)`.
    pub fn asked(&self) -> String {
        let asked = match (&self.min, &self.max) {
            (Some(min), Some(max)) => format!("{} to {}", min.shown, max.shown),
            (Some(min), None) => format!("at least {}", min.shown),
            (None, Some(max)) => format!("at most {}", max.shown),
            (None, None) => "anything".to_owned(),
        };
        match self.moved.iter().map(|moved| moved.days_left).min() {
            None => asked,
            Some(days) => {
                let from: Vec<&str> = self.moved.iter().map(|moved| moved.from.shown.as_str()).collect();
                format!(
                    "{asked} (waived from {}, {})",
                    from.join(" and "),
                    waiver::days_left(days)
                )
            }
        }
    }
}

/// What the guard does about a breach, from the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Commit the largest part of the update that fits.
    Scale,
    /// Drop the update.
    Skip,
    /// Back to the last evaluated state inside every limit.
    Rollback,
    /// Back to it, and end the run.
    Stop,
}

/// A step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rung {
    /// What is done.
    pub action: Action,
    /// Whether the learning rate is halved from there on.
    pub slow: bool,
    /// How many uses before the next rung; no limit when `None`.
    pub times: Option<u64>,
}

impl Rung {
    /// The last of every ladder.
    pub const STOP: Rung = Rung {
        action: Action::Stop,
        slow: false,
        times: None,
    };
}

/// Whether a ceiling on it is a budget that a run spends as it goes, so that it can be spread over the run: a displacement
/// in nats, whose square root is a length.
pub fn can_be_paced(quantity: Quantity) -> bool {
    let row = quantity.row();
    row.moment == Moment::UpdateOrEvaluation
        && row.dimension == Dimension::Information
        && row.direction == Direction::Ceiling
}

/// What answers a breach where the policy does not say: `scale 20 times then stop` for what is read of each update, `stop`
/// for other readings, nothing for what training never sees.
pub fn default_response(moment: Moment) -> Vec<Rung> {
    match moment {
        Moment::Config | Moment::Launch => Vec::new(),
        Moment::Update => vec![
            Rung {
                action: Action::Scale,
                slow: false,
                times: Some(20),
            },
            Rung::STOP,
        ],
        Moment::UpdateOrEvaluation | Moment::Evaluation => vec![Rung::STOP],
    }
}
