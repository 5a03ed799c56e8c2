//! The chain: each line holds the SHA-256 of the line before it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, FORMAT};
use crate::source::sha256;

/// A line as it is written: `prev` first, then the fields of the entry.
#[derive(Serialize, Deserialize)]
struct Line<E> {
    /// SHA-256 in hex of the bytes of the line before, its newline not included; 64 zeros in the first.
    prev: String,
    #[serde(flatten)]
    entry: E,
}

/// What the first line has for a line before it.
fn zeros() -> String {
    "0".repeat(64)
}

/// Writes entries as lines of a chain, into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    head: String,
}

impl Default for Journal {
    fn default() -> Self {
        Journal::new()
    }
}

impl Journal {
    /// An empty journal.
    pub fn new() -> Self {
        Journal { head: zeros() }
    }

    /// A journal that goes on after what was read.
    pub fn after(read: &Read) -> Self {
        Journal {
            head: read.head.clone(),
        }
    }

    /// The JSON of the next line, without its newline. It has to be written, or the chain has a gap.
    pub fn line(&mut self, entry: &Entry) -> String {
        let line = Line {
            prev: std::mem::take(&mut self.head),
            entry,
        };
        // Entries hold strings, numbers that are finite and maps with strings for keys: nothing that JSON cannot say.
        let text = serde_json::to_string(&line).unwrap_or_default();
        self.head = sha256(text.as_bytes());
        text
    }

    /// The hash of the last line: what has to be kept elsewhere to cover that line too.
    pub fn head(&self) -> &str {
        &self.head
    }
}

/// A journal that was read and whose chain is whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Its entries, one a line.
    pub entries: Vec<Entry>,
    /// The hash of the last whole line.
    pub head: String,
    /// Bytes of the whole lines, newlines included: where writing goes on.
    pub bytes: usize,
    /// Bytes of a torn last line, which has no newline and was dropped: the run died while it was written.
    pub torn: usize,
}

/// A journal whose chain is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// Reads a journal.
///
/// # Errors
///
/// The first line that is no entry, does not hold the hash of the line before it, stands in a place where its kind
/// cannot stand, or is not written as this format writes it (so that no byte of it can be changed unseen).
pub fn read(bytes: &[u8]) -> Result<Read, Broken> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let (lines, torn) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
    let mut entries = Vec::new();
    let mut journal = Journal::new();
    for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let broken = |why: String| Broken { line: index + 1, why };
        let parsed: Line<Entry> =
            serde_json::from_slice(line).map_err(|error| broken(format!("is no entry of a journal: {error}")))?;
        if parsed.prev != journal.head {
            return Err(broken(if index == 0 {
                "is not the first line of a journal".to_owned()
            } else {
                "does not follow the line before it: one of the two was changed, or lines are missing or swapped"
                    .to_owned()
            }));
        }
        place(index, &parsed.entry, entries.last()).map_err(broken)?;
        if journal.line(&parsed.entry).as_bytes() != line {
            return Err(broken("is not written as a journal of this format is".to_owned()));
        }
        entries.push(parsed.entry);
    }
    Ok(Read {
        entries,
        head: journal.head,
        bytes: lines.len(),
        torn: torn.len(),
    })
}

/// Whether an entry can stand where it stands.
fn place(index: usize, entry: &Entry, before: Option<&Entry>) -> Result<(), String> {
    match (entry, before) {
        (Entry::Start(start), None) if start.format == FORMAT => Ok(()),
        (Entry::Start(start), None) => Err(format!(
            "has format {}; this version reads format {FORMAT}",
            start.format
        )),
        (_, None) => Err("is not a `start` entry, which comes first".to_owned()),
        (Entry::Start(_), Some(_)) => Err("is a second `start` entry".to_owned()),
        (_, Some(Entry::End(_))) => Err("comes after the `end` entry".to_owned()),
        (Entry::Base(_), Some(_)) if index != 1 => Err("is a `base` entry, which comes second".to_owned()),
        (Entry::Update(_), Some(Entry::Start(_))) => Err("is an update before the `base` entry".to_owned()),
        _ => Ok(()),
    }
}
