//! The vocabulary of a dialect's table: keys, the facts they set, and what holds without them.

use super::scalar::Loader;
use crate::facts::Input;
use crate::quantity::Domain;

/// What a framework does with a key that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It refuses the whole file.
    Refuses,
    /// It goes on without the key and says nothing.
    Drops,
}

/// A way of writing run files.
#[derive(Debug)]
pub(super) struct Dialect {
    /// What `--framework` calls it: `llama-factory`.
    pub(super) name: &'static str,
    /// The framework that reads them, as people write it.
    pub(super) framework: &'static str,
    /// What becomes of keys that it does not know.
    pub(super) unknown: Unknown,
    /// What other frameworks call its keys, to name the one that was meant: theirs, ours, dotted where it is nested.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
    /// The command that launches it.
    pub(super) launcher: &'static str,
    /// How scalars are read.
    pub(super) loader: Loader,
    /// What a default of the framework is called where one applies.
    pub(super) default: &'static str,
    /// Whether quoted numbers inside nested mappings are read as numbers.
    pub(super) nested_text_is_read: bool,
    /// Keys between blanks, in the order in which people write them; a missing one is shown beside its neighbours.
    pub(super) order: &'static str,
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// With or without a fraction.
    Real,
    /// As a whole number; `8.0` is refused.
    Whole,
}

/// What an explicit `null` is to the framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Null {
    /// As if the key were not there.
    IsDefault,
    /// A value that it cannot use.
    Refused,
}

/// A question about a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// The key, dotted where it is nested.
    pub(super) key: &'static str,
    /// How it is written.
    pub(super) takes: Takes,
    /// What it can be.
    pub(super) domain: Domain,
    /// What `null` means.
    pub(super) null: Null,
    /// A value to offer instead of one that cannot be used.
    pub(super) usual: Option<f64>,
}

/// What holds when nothing is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Missing {
    /// The framework's default.
    Is(f64),
    /// The run has no such thing, because:
    Absent(&'static str),
}

/// One line of a dialect's table: a key, the fact that it sets, and what holds without it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The key, dotted where it is nested.
    pub(super) key: &'static str,
    /// The fact.
    pub(super) fact: Input,
    /// What holds without it.
    pub(super) missing: Missing,
    takes: Takes,
    null: Null,
}

/// A row of a dialect's table.
pub(super) const fn row(key: &'static str, fact: Input, takes: Takes, missing: Missing) -> Row {
    Row {
        key,
        fact,
        takes,
        null: Null::Refused,
        missing,
    }
}

impl Row {
    /// The same row with another default.
    pub(super) const fn or(self, default: f64) -> Row {
        Row {
            missing: Missing::Is(default),
            ..self
        }
    }

    /// The same row where `null` is as good as nothing.
    pub(super) const fn or_null(self) -> Row {
        Row {
            null: Null::IsDefault,
            ..self
        }
    }

    /// The question that it asks.
    pub(super) fn ask(&self) -> Ask {
        Ask {
            key: self.key,
            takes: self.takes,
            domain: Domain {
                integer: self.takes == Takes::Whole || self.fact.domain().integer,
                ..self.fact.domain()
            },
            null: self.null,
            usual: match self.missing {
                Missing::Is(value) => Some(value),
                Missing::Absent(_) => None,
            },
        }
    }
}
