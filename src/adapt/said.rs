//! Answers of a run file, and the origins that facts have because of them.

use crate::facts::{Origin, Words};
use crate::quantity::{Finite, Interval};
use crate::source::Place;

/// What the file says under a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said<T> {
    /// Nothing: the framework's own default applies.
    Nothing,
    /// This, at this place.
    Value(T, Place),
    /// Something that is no value yet, or none that the framework can use.
    Unclear(Origin),
}

impl<T> Said<T> {
    /// The value, and where it comes from when nothing is written; `None` when it is unclear.
    pub(super) fn or_default(self, default: T, rule: &str) -> (Option<T>, Origin) {
        match self {
            Said::Nothing => (Some(default), by_default(rule)),
            Said::Value(value, place) => (Some(value), Origin::Given(place)),
            Said::Unclear(origin) => (None, origin),
        }
    }

    /// The value that is written.
    pub(super) fn given(&self) -> Option<&T> {
        match self {
            Said::Value(value, _) => Some(value),
            _ => None,
        }
    }

    /// Another value in its place.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Said<U> {
        match self {
            Said::Nothing => Said::Nothing,
            Said::Value(value, place) => Said::Value(f(value), place),
            Said::Unclear(origin) => Said::Unclear(origin),
        }
    }
}

/// The origin of a default.
pub(super) fn by_default(rule: impl Into<String>) -> Origin {
    Origin::Default { rule: rule.into() }
}

/// The origin of what is not known.
pub(super) fn unknown(why: impl Into<String>, supply: impl Into<String>, place: Option<Place>) -> Origin {
    Origin::Unknown {
        why: why.into(),
        supply: supply.into(),
        place,
    }
}

/// The set of one number; a number that is not finite never gets here, and would be no set.
pub(super) fn point(value: f64) -> Option<Interval> {
    Finite::new(value).map(Interval::point)
}

/// The set of a switch, as 0 and 1; both where it is not clear.
pub(super) fn of_switch(on: Option<bool>) -> Option<Interval> {
    match on {
        Some(on) => point(f64::from(u8::from(on))),
        None => Interval::new(0.0, 1.0),
    }
}

/// A word that may not be known.
pub(super) fn one(word: Option<&str>) -> Words {
    word.map_or(Words::Unknown, |word| Words::One(word.to_owned()))
}
