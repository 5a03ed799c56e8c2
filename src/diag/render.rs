//! Diagnostics as people see them; the only file that names miette.
//!
//! miette draws one source per diagnostic, and a finding about a run points at two files. So the texts that a
//! diagnostic points at are laid end to end into one virtual source that refuses to read across a border: miette then
//! draws one excerpt a file, each under its own name.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan,
    SpanContents, ThemeCharacters, ThemeStyles,
};

use super::{Diagnostic, Severity};
use crate::source::{SourceFile, SourceId, Sources};

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether to colour.
    pub color: bool,
}

/// Terminals wrap by themselves; a wrapped headline could not be searched for.
const NO_WRAP: usize = 100_000;
/// Bytes that an underline covers at most.
const MOST_UNDERLINED: usize = 200;
/// Bytes of an excerpt that are shown whole.
const MOST_EXCERPT: usize = 1000;
/// Bytes shown before and after a place in a longer one.
const AROUND: usize = 60;

/// The last place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// A diagnostic with excerpts of every text it points at.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let mut theme = GraphicalTheme {
        characters: ThemeCharacters::unicode(),
        styles: if style.color {
            ThemeStyles::ansi()
        } else {
            ThemeStyles::none()
        },
    };
    // The headline starts with the kind where miette puts its icon.
    let kind = format!("{}:", diagnostic.kind());
    theme.characters.error = kind.clone();
    theme.characters.warning = kind.clone();
    theme.characters.advice = kind;
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(NO_WRAP)
        .with_context_lines(0)
        .without_cause_chain()
        .with_links(false);
    let drawing = Drawing::new(diagnostic, sources);
    let mut drawn = String::new();
    if handler.render_report(&mut drawn, &drawing).is_err() {
        // An excerpt that cannot be drawn must not hide the finding.
        return format!("{}\n", diagnostic.concise(sources));
    }
    let mut text = String::with_capacity(drawn.len());
    for line in drawn.trim_start().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let (note, help) = if style.color {
        ("\u{1b}[36mnote\u{1b}[0m", "\u{1b}[36mhelp\u{1b}[0m")
    } else {
        ("note", "help")
    };
    for line in &diagnostic.notes {
        text.push_str(&format!("  {note}: {}\n", one_line(line)));
    }
    if let Some(step) = diagnostic.next_step() {
        text.push_str(&format!("  {help}: {step}\n"));
    }
    visible(text, style.color)
}

/// What is one line of ours stays one, whatever a file's text holds.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, MARK)
}

/// Stands for a character that is not shown.
const MARK: &str = "\u{fffd}";

/// Shows a mark where a file's own text would steer the terminal, or change the order in which a line is read.
fn visible(text: String, color: bool) -> String {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(steers) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        let length = Some(painted(from)).filter(|length| color && *length > 0);
        shown.push_str(length.and_then(|length| from.get(..length)).unwrap_or(MARK));
        let passed = length.unwrap_or_else(|| from.chars().next().map_or(0, char::len_utf8));
        rest = from.get(passed..).unwrap_or("");
    }
    shown.push_str(rest);
    shown
}

/// How many bytes at the start only choose a colour.
fn painted(text: &str) -> usize {
    let inside = text.strip_prefix("\u{1b}[").unwrap_or("");
    let end = inside.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(0);
    if inside.get(end..).is_some_and(|rest| rest.starts_with('m')) {
        end + 3
    } else {
        0
    }
}

/// A diagnostic and its virtual source, in miette's terms.
#[derive(Debug)]
struct Drawing<'a> {
    diagnostic: &'a Diagnostic,
    source: Joined<'a>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Drawing<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Self {
        let mut source = Joined { parts: Vec::new() };
        let labels = diagnostic
            .labels
            .iter()
            .map(|label| {
                let offset = source.offset_of(label.place.source, sources);
                let text = (!label.text.is_empty()).then(|| label.text.clone());
                let span = label.place.span;
                let file = sources.get(label.place.source);
                let end = floor(file.text(), span.end.min(span.start + MOST_UNDERLINED));
                LabeledSpan::new(text, offset + span.start, end.saturating_sub(span.start))
            })
            .collect();
        Drawing {
            diagnostic,
            source,
            labels,
        }
    }
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.diagnostic.message))
    }
}

impl std::error::Error for Drawing<'_> {}

impl miette::Diagnostic for Drawing<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Advice => miette::Severity::Advice,
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// Texts laid end to end, one unreadable byte between neighbours.
#[derive(Debug)]
struct Joined<'a> {
    parts: Vec<(SourceId, &'a SourceFile, usize)>,
}

impl<'a> Joined<'a> {
    /// Where a text begins; it is laid down at its first mention, so excerpts come in the order of the labels.
    fn offset_of(&mut self, id: SourceId, sources: &'a Sources) -> usize {
        if let Some((_, _, offset)) = self.parts.iter().find(|(known, _, _)| *known == id) {
            return *offset;
        }
        let offset = self
            .parts
            .last()
            .map_or(0, |(_, file, start)| start + file.text().len() + 1);
        self.parts.push((id, sources.get(id), offset));
        offset
    }
}

impl SourceCode for Joined<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        context_before: usize,
        context_after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let (_, file, base) = self
            .parts
            .iter()
            .rev()
            .find(|(_, _, base)| *base <= span.offset())
            .ok_or(MietteError::OutOfBounds)?;
        let start = span.offset() - base;
        let end = start + span.len();
        if end > file.text().len() {
            return Err(MietteError::OutOfBounds);
        }
        let first = file.line(start).saturating_sub(context_before).max(1);
        let last = (file.line(end.saturating_sub(usize::from(end > start))) + context_after).min(file.line_count());
        let mut from = file.line_span(first).start;
        // With its line end, so that what would go behind the last character can be shown there.
        let mut to = file.line_span(last + 1).start.max(end);
        if to - from > MOST_EXCERPT {
            // A line that no screen can hold: what stands around the place is enough.
            if end - start > MOST_UNDERLINED {
                return Err(MietteError::OutOfBounds);
            }
            from = floor(file.text(), start.saturating_sub(AROUND)).max(from);
            to = floor(file.text(), end + AROUND).min(to);
        }
        let data = file.text().as_bytes().get(from..to).ok_or(MietteError::OutOfBounds)?;
        // miette prints the position of the excerpt's first byte; the label's own column is what people look for.
        let column = if context_before == 0 {
            file.column(start).saturating_sub(1)
        } else {
            0
        };
        Ok(Box::new(MietteSpanContents::new_named(
            file.name().to_owned(),
            data,
            (base + from, to - from).into(),
            first - 1,
            column,
            last - first + 1,
        )))
    }
}
