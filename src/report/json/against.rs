//! A run beside its parent, for programs.

use serde::Serialize;

use crate::ir::{Change, Comparable, Comparison, How};
use crate::quantity::Lever;
use crate::source::Sources;

#[derive(Serialize)]
pub(super) struct AgainstJson<'a> {
    parent: &'a str,
    comparable: &'static str,
    apart: Vec<ApartJson<'a>>,
    levers: Vec<&'static str>,
    unsure: Vec<&'static str>,
    changes: Vec<ChangeJson<'a>>,
}

#[derive(Serialize)]
struct ApartJson<'a> {
    fact: &'static str,
    old: &'a str,
    new: &'a str,
    known: bool,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    name: &'a str,
    key: Option<&'a str>,
    lever: Option<&'static str>,
    how: &'static str,
    old: &'a str,
    old_written: bool,
    new: &'a str,
    new_written: bool,
    factor: Option<f64>,
    why: Option<&'a str>,
}

/// What differs, for programs.
pub(super) fn json<'a>(against: &'a Comparison, sources: &'a Sources) -> AgainstJson<'a> {
    AgainstJson {
        parent: sources.get(against.parent).name(),
        comparable: match against.comparable() {
            Comparable::Yes => "yes",
            Comparable::No => "no",
            Comparable::Unknown => "unknown",
        },
        apart: against
            .apart
            .iter()
            .map(|apart| ApartJson {
                fact: apart.category.name(),
                old: &apart.old,
                new: &apart.new,
                known: apart.is_known,
            })
            .collect(),
        levers: against.changed().into_iter().map(Lever::word).collect(),
        unsure: against.unsure().into_iter().map(Lever::word).collect(),
        changes: against.changes.iter().map(change).collect(),
    }
}

fn change(change: &Change) -> ChangeJson<'_> {
    let (how, why) = match &change.how {
        How::Written => ("written", None),
        How::Unsure { why, .. } => ("unsure", Some(why.as_str())),
        How::Moved { why } => ("moved", Some(why.as_str())),
    };
    ChangeJson {
        name: change.name,
        key: change.key.as_deref(),
        lever: change.lever.map(Lever::word),
        how,
        old: &change.old.shown,
        old_written: change.old.is_written,
        new: &change.new.shown,
        new_written: change.new.is_written,
        factor: change.factor.map(|factor| factor.get()),
        why,
    }
}
