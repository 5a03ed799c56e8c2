//! Words for what makes a text no YAML.
//!
//! The parser names the rule of the grammar that failed; people need to know what they wrote and what to write instead.

use super::screen;
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceFile, SourceId, Span};

/// What a parser's message means, and what to do. The first row whose words all occur in the message is taken.
const MEANINGS: &[(&[&str], &str, &str)] = &[
    (
        &["unprintable"],
        "a control character",
        "delete it; the file may not be text at all",
    ),
    (
        &["recursion limit"],
        "brackets nested more than 128 deep",
        "a run file is a flat list of `key: value` lines; check that this is the file you meant",
    ),
    (
        &["quoted scalar", "end of stream"],
        "a quote that is never closed",
        "close it on the same line; the file may have been cut off",
    ),
    (
        &["quoted scalar", "document indicator"],
        "a quote that is never closed",
        "close it on the same line",
    ),
    (
        &["indentation in quoted scalar"],
        "a quote that is not closed on its line",
        "close it; a text that goes on has to be indented further than its key",
    ),
    (
        &["escape"],
        "a backslash that YAML does not understand",
        "use single quotes, in which a backslash is a backslash",
    ),
    (
        &["hexadecimal"],
        "a backslash that YAML does not understand",
        "use single quotes, in which a backslash is a backslash",
    ),
    (&["tab"], "a tab where YAML takes only spaces", "replace it with spaces"),
    (
        &["mapping values are not allowed"],
        "a second `:` where one value is expected",
        "quote the value, or check the indentation of this line",
    ),
    (
        &["simple key"],
        "a line that is no `key: value`",
        "write a space after the colon, or quote the value that this line continues",
    ),
    (
        &["must be followed by a valid YAML whitespace"],
        "a colon without a space after it",
        "write one space, no tab, after the colon",
    ),
    (
        &["unexpected character"],
        "a value that starts with a character YAML keeps for itself",
        "put the value in quotes",
    ),
    (
        &["byte order mark"],
        "a byte order mark inside the file",
        "delete it; two files may have been joined",
    ),
    (
        &["unknown anchor"],
        "an alias of something that is not named above it",
        "name the value with `&name` first, or quote a value that starts with `*`",
    ),
    (
        &["misplaced bracket"],
        "a bracket that was never opened",
        "delete it, or quote the value",
    ),
    (
        &["flow"],
        "a bracket whose items do not read",
        "separate items with commas and close the bracket; quote values that hold brackets",
    ),
    (
        &["did not find expected key"],
        "a line that fits none of the lines above it",
        "check its indentation, and quote a value that starts with a bracket or holds `: `",
    ),
    (
        &["directive"],
        "a line that starts with `%` and is none of YAML's own",
        "delete it, or quote the value; below `%YAML` goes a line `---`",
    ),
    (
        &["document"],
        "a line indented less than the first",
        "start every top-level key in the same column",
    ),
    (
        &["block sequence entries"],
        "a list item where none can stand",
        "write the list under its key, each `- item` on a line of its own",
    ),
    (
        &["indentation"],
        "a line that is not indented as those around it",
        "indent it with the same number of spaces",
    ),
    (
        &["indented"],
        "a line that is not indented as those around it",
        "indent it with the same number of spaces",
    ),
];

/// The diagnostic for the parser's message `info` at byte `at`; `opened` is the innermost mapping or list.
pub(super) fn explain(source: SourceId, file: &SourceFile, info: &str, at: usize, opened: Option<Span>) -> Diagnostic {
    let place = |span| Place { source, span };
    if let Some(span) = placeholder_near(file, at) {
        return Diagnostic::new(
            Code::ValueUnresolved,
            "a placeholder that something else has to fill in",
        )
        .at(place(span), "not filled in yet")
        .help("run the template first, or write the value");
    }
    if let Some(span) = tab_near(file, at) {
        return Diagnostic::new(Code::Yaml, "a tab where YAML takes only spaces")
            .at(place(span), "here")
            .help("indent with spaces");
    }
    let is_at_end = file.text().get(at..).is_none_or(|rest| rest.trim().is_empty());
    let bracket = opened.filter(|span| is_at_end && file.slice(*span).starts_with(['[', '{']));
    if let Some(span) = bracket {
        let bracket = Span::new(span.start, span.start + 1);
        return Diagnostic::new(Code::Yaml, "a bracket that is never closed")
            .at(place(bracket), "opened here")
            .help("close it; the file may have been cut off");
    }
    let info = match file.text().starts_with('%') && info.contains("document start") {
        true => "directive",
        false => info,
    };
    let meaning = MEANINGS
        .iter()
        .find(|(words, ..)| words.iter().all(|word| info.contains(word)));
    let span = if info.contains("simple key") {
        statement(file, at)
    } else {
        character(file, at)
    };
    match meaning {
        Some((_, message, help)) => Diagnostic::new(Code::Yaml, *message)
            .at(place(span), "here")
            .help(*help),
        None => Diagnostic::new(Code::Yaml, "this is not well-formed YAML")
            .at(place(span), "here")
            .note(format!("the YAML reader says: {info}"))
            .help("check the line and the one above it"),
    }
}

/// The character at an offset, or the last one of the file.
fn character(file: &SourceFile, at: usize) -> Span {
    let text = file.text();
    match text.get(at..).and_then(|rest| rest.chars().next()) {
        Some(c) if c != '\n' && c != '\r' => Span::new(at, at + c.len_utf8()),
        _ => {
            let before = text.get(..at).unwrap_or(text).trim_end();
            let last = before.chars().next_back().map_or(0, char::len_utf8);
            Span::new(before.len() - last, before.len())
        }
    }
}

/// The last line that says something before an offset, without blanks.
fn statement(file: &SourceFile, at: usize) -> Span {
    let before = file.text().get(..at).unwrap_or("").trim_end().len();
    let line = file.line_span(file.line(before.saturating_sub(1)));
    let text = file.slice(line);
    Span::new(
        line.start + text.len() - text.trim_start().len(),
        line.start + text.trim_end().len(),
    )
}

/// A tab in the indentation of the line of an error or of the next.
fn tab_near(file: &SourceFile, at: usize) -> Option<Span> {
    let number = file.line(at);
    [number, number + 1, number.saturating_sub(1).max(1)]
        .into_iter()
        .find_map(|number| {
            let line = file.line_span(number);
            let text = file.slice(line);
            let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
            let tab = text.get(..indent)?.find('\t')?;
            Some(Span::new(line.start + tab, line.start + tab + 1))
        })
}

/// A template's placeholder on the line of an error, which then is its cause.
fn placeholder_near(file: &SourceFile, at: usize) -> Option<Span> {
    let number = file.line(at);
    // The parser often notices only on the next line.
    [number, number.saturating_sub(1)]
        .into_iter()
        .filter(|number| *number > 0)
        .find_map(|number| {
            let line = file.line_span(number);
            let text = file.slice(line);
            let code = text.split(" #").next().unwrap_or("");
            [("{{", "}}"), ("{%", "%}")].into_iter().find_map(|(opens, closes)| {
                let start = code.find(opens)?;
                let end = start + code.get(start..)?.find(closes)? + closes.len();
                let is_template = code.get(start..end).is_some_and(screen::has_template);
                is_template.then(|| Span::new(line.start + start, line.start + end))
            })
        })
}
