//! Looking at one line of text that was not understood.

use crate::source::Span;

/// The text up to the end of its first line, trailing space and comment taken off.
pub(super) fn first_line(text: &str, span: Span) -> &str {
    let slice = text.get(span.start..span.end).unwrap_or("");
    let line = slice.lines().next().unwrap_or("");
    line.trim_end()
}

pub(super) const STARTERS: &[&str] = &[
    "policy", "extends", "assume", "probe", "audit", "advise", "max", "min", "range", "allow", "require", "waive",
    "for", "test",
];

pub(super) fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        quoted ^= c == '"';
        if c == '#' && !quoted {
            let (code, comment) = line.split_at_checked(at).unwrap_or((line, ""));
            return (code.trim_end(), comment);
        }
    }
    (line, "")
}

pub(super) fn words_of(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.')
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

/// Runs of blanks to one.
pub(super) fn tidy(line: &str) -> String {
    let mut tidy = String::with_capacity(line.len());
    for c in line.chars() {
        if !(c == ' ' && tidy.ends_with(' ')) {
            tidy.push(c);
        }
    }
    tidy.replace(" ,", ",").replace(" %", "%")
}

/// Text of the user's as a message can hold it.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// A span that ends inside the text and covers no line end.
pub(super) fn clip(text: &str, start: usize, end: usize) -> Span {
    let end = (end.min(text.len()).max(start)..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(start);
    let line_end = text.get(start..end).and_then(|slice| slice.find('\n'));
    Span::new(start, line_end.map_or(end, |at| start + at))
}
