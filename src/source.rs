//! Texts and places in them.
//!
//! Knows files by name and bytes by offset; knows nothing of what a text means.
//! Everything that can be pointed at carries a [`Place`], and equality of values never depends on one.

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of bytes, in 64 hexadecimal digits: what a file is known by wherever its name may lie.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which text of a [`Sources`] a place lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A half-open range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The range from `start` to before `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Span {
            start,
            end: end.max(start),
        }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// How many bytes it covers.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it covers nothing (a position between two bytes).
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Span::new(range.start, range.end)
    }
}

/// A span in a known text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The text.
    pub source: SourceId,
    /// Where in it.
    pub span: Span,
}

/// A value with the place it was written at.
///
/// Equality and order ignore the place, so that trees compare by meaning.
#[derive(Debug, Clone, Copy)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

/// One text with the name people know it by.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    text: Arc<str>,
    line_starts: Vec<usize>,
}

impl SourceFile {
    fn new(name: String, text: Arc<str>) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        SourceFile {
            name,
            text,
            line_starts,
        }
    }

    /// The path as the user wrote it, or `builtin:NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text under a span; empty when the span lies outside or cuts a character.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// Line of an offset, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Column of an offset in characters, counted from 1.
    pub fn column(&self, offset: usize) -> usize {
        let line = self.line_span(self.line(offset));
        self.text
            .get(line.start..offset.min(self.text.len()))
            .map_or(1, |before| before.chars().count() + 1)
    }

    /// The span of a line (counted from 1) without its line end; lines past the end are empty.
    pub fn line_span(&self, line: usize) -> Span {
        let start_of = |n: usize| self.line_starts.get(n).copied();
        let start = start_of(line.saturating_sub(1)).unwrap_or(self.text.len());
        let end = start_of(line).unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or("");
        Span::new(start, start + text.trim_end_matches(['\n', '\r']).len())
    }

    /// How many lines the text has, an empty last one included.
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }
}

/// All texts of one invocation.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a text and returns its id.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let id = SourceId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile::new(name.into(), text.into()));
        id
    }

    /// The text of an id. An id from another `Sources` gives the empty text.
    pub fn get(&self, id: SourceId) -> &SourceFile {
        static NOTHING: std::sync::LazyLock<SourceFile> =
            std::sync::LazyLock::new(|| SourceFile::new(String::new(), Arc::from("")));
        self.files.get(id.0 as usize).unwrap_or(&NOTHING)
    }

    /// `name:line` of a place, as reports write it.
    pub fn locate(&self, place: Place) -> String {
        let file = self.get(place.source);
        format!("{}:{}", file.name(), file.line(place.span.start))
    }
}
