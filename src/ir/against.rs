//! How a run differs from its parent, as plain data.

use crate::quantity::{Category, Finite, Lever};
use crate::source::{Place, SourceId};

/// Everything that differs between a run and its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The parent's run file.
    pub parent: SourceId,
    /// Facts that make two runs incomparable, where they differ or may differ.
    pub apart: Vec<Apart>,
    /// Everything else that differs: by lever, what is written before what moved.
    pub changes: Vec<Change>,
}

/// A fact in which runs have to agree so that levers can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// The fact.
    pub category: Category,
    /// What the parent has.
    pub old: String,
    /// What the run has.
    pub new: String,
    /// Whether they differ; otherwise one of them is not known, so they may.
    pub is_known: bool,
    /// Where the run file says it.
    pub place: Option<Place>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The name of the quantity or fact; of a number that a key gives, its plain name.
    pub name: &'static str,
    /// The key that the run file writes it with.
    pub key: Option<String>,
    /// The lever that it belongs to; `None` is shown beside.
    pub lever: Option<Lever>,
    /// What the parent has.
    pub old: Side,
    /// What the run has.
    pub new: Side,
    /// New over old, where both are one number above nothing.
    pub factor: Option<Finite>,
    /// What kind of difference it is.
    pub how: How,
    /// Where the run file writes it.
    pub place: Option<Place>,
}

/// One side of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The value as people read it.
    pub shown: String,
    /// Whether it is written there, rather than a default.
    pub is_written: bool,
}

/// What kind of difference it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// A key was changed, added or taken out.
    Written,
    /// A key is written otherwise, and one of the values is not known, so they may still be the same.
    Unsure {
        /// Why it is not known.
        why: String,
        /// What would supply it.
        supply: String,
    },
    /// Nobody wrote it: a default that moved, or what follows from something else.
    Moved {
        /// From what: `follows lora_rank`, or the rule of the default.
        why: String,
    },
}

/// What can be said about the parent of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparable {
    /// The levers can be compared.
    Yes,
    /// Something else differs, which no lever accounts for.
    No,
    /// It is not known whether something else differs.
    Unknown,
}

/// The four levers.
pub const LEVERS: [Lever; 4] = [Lever::Step, Lever::Averaging, Lever::Commitment, Lever::Reach];

impl Comparison {
    /// Whether the levers of the two runs can be compared.
    pub fn comparable(&self) -> Comparable {
        match (self.apart.is_empty(), self.apart.iter().any(|apart| apart.is_known)) {
            (true, _) => Comparable::Yes,
            (false, true) => Comparable::No,
            (false, false) => Comparable::Unknown,
        }
    }

    /// The levers of which a written key differs.
    pub fn changed(&self) -> Vec<Lever> {
        self.levers_of(|change| change.how == How::Written)
    }

    /// The other levers of which a written key may differ.
    pub fn unsure(&self) -> Vec<Lever> {
        let changed = self.changed();
        let mut unsure = self.levers_of(|change| matches!(change.how, How::Unsure { .. }));
        unsure.retain(|lever| !changed.contains(lever));
        unsure
    }

    fn levers_of(&self, counts: impl Fn(&Change) -> bool) -> Vec<Lever> {
        let has = |lever: &Lever| {
            self.changes
                .iter()
                .any(|change| change.lever == Some(*lever) && counts(change))
        };
        LEVERS.into_iter().filter(has).collect()
    }
}

impl Change {
    /// How people know it: the key of the run file, else its name.
    pub fn called(&self) -> &str {
        match self.how {
            // What follows from other keys is known by its own name.
            How::Moved { .. } => self.name,
            How::Written | How::Unsure { .. } => self.key.as_deref().unwrap_or(self.name),
        }
    }

    /// Whether somebody wrote it.
    pub fn is_written(&self) -> bool {
        !matches!(self.how, How::Moved { .. })
    }
}

/// What a difference in this fact is called.
pub fn another(category: Category) -> &'static str {
    match category {
        Category::Model | Category::ModelRevision => "another base model",
        Category::Dataset => "another data set",
        Category::Template => "another template",
        Category::Stage => "another stage",
        _ => "something else",
    }
}
