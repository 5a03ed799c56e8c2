//! A file as a tree in which every node knows its place.
//!
//! Scalars are kept as they are written: what they mean depends on the framework's loader.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::source::Span;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it is written; for an alias, where the alias stands.
    pub(super) span: Span,
    /// What is written.
    pub(super) data: Data,
    /// How many nodes it is, itself included.
    pub(super) size: usize,
    /// How many nodes deep it is, itself included.
    pub(super) depth: usize,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Text, a number, nothing: whatever fits between brackets and colons.
    Scalar(Scalar),
    /// Items in order.
    List(Vec<Node>),
    /// Keys and values.
    Map(Map),
}

/// A scalar as it is written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// The text, quotes and escapes removed.
    pub(super) text: Arc<str>,
    /// Whether the loader looks for numbers, bools and nulls in it; not so in quotes.
    pub(super) is_plain: bool,
}

/// A mapping, its keys in the order of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    /// Keys with their values; a key that is written twice is in it once, with its last value.
    pub(super) entries: Vec<Entry>,
    index: BTreeMap<Arc<str>, usize>,
}

/// One key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: Node,
    /// The value.
    pub(super) value: Node,
    /// Whether the mapping has the key more than once.
    pub(super) is_repeated: bool,
}

impl Node {
    /// The scalar that it is.
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The mapping that it is.
    pub(super) fn map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }
}

impl Entry {
    /// The key's text; empty when the key is no scalar.
    pub(super) fn name(&self) -> &str {
        self.key.scalar().map_or("", |scalar| &scalar.text)
    }
}

impl Map {
    /// The entry of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.index.get(key).and_then(|at| self.entries.get(*at))
    }

    /// The mapping under a key.
    pub(super) fn map(&self, key: &str) -> Option<&Map> {
        self.get(key).and_then(|entry| entry.value.map())
    }

    /// The entry of a key, to change it.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.index.get(key).and_then(|at| self.entries.get_mut(*at))
    }

    /// Whether it has any of these keys, which stand between blanks.
    pub(super) fn has_any(&self, keys: &str) -> bool {
        keys.split_whitespace().any(|key| self.get(key).is_some())
    }

    /// Adds an entry whose key is new.
    pub(super) fn insert(&mut self, entry: Entry) {
        if let Some(scalar) = entry.key.scalar() {
            self.index.insert(Arc::clone(&scalar.text), self.entries.len());
        }
        self.entries.push(entry);
    }
}
