//! Text to tree; never fails.
//!
//! Every text has a tree: what is no statement becomes a finding of its own and costs only itself. Knows words and
//! order; knows no quantity, no unit and no meaning.

mod ast;
mod build;
mod line;
mod number;
mod rules;
mod traps;
mod unexpected;

pub use ast::{
    Allow, Assume, Bound, Choice, Comment, Comparison, Condition, Expectation, Extends, File, ForBlock, GivenFact,
    Header, Limit, Name, Number, On, Probe, Reading, Require, Response, Rung, Scope, Selector, SelectorTest, Side,
    Statement, StatementKind, Test, TestLine, Until, Value, Waive,
};

use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Sources, Span};

/// The largest policy that is read, in bytes. The longest policy anybody wrote by hand is a hundredth of it.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;

/// A tree with what was wrong in the text.
#[derive(Debug)]
pub struct Parsed {
    /// The statements that were understood.
    pub file: File,
    /// One finding a mistake, each at its own place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a policy.
pub fn parse(source: SourceId, sources: &Sources) -> Parsed {
    let file = sources.get(source);
    if file.text().len() > MAX_BYTES {
        let place = Place {
            source,
            span: Span::new(0, 0),
        };
        let message = format!(
            "{} has {} bytes; a policy has at most {MAX_BYTES}",
            file.name(),
            file.text().len()
        );
        return Parsed {
            file: File::default(),
            diagnostics: vec![
                Diagnostic::new(Code::TooLarge, message)
                    .at(place, "")
                    .help("split it, or check that this is the file you meant"),
            ],
        };
    }
    let mut diagnostics = hidden_text(source, file.text());
    let (tree, mut found) = build::build(source, file.text());
    diagnostics.append(&mut found);
    Parsed {
        file: tree,
        diagnostics,
    }
}

/// Characters that reorder or hide what a reviewer sees, wherever they stand, comments included.
fn hidden_text(source: SourceId, text: &str) -> Vec<Diagnostic> {
    if text.is_ascii() {
        return Vec::new();
    }
    text.char_indices()
        .filter(|(at, c)| is_hidden(*c) && !(*at == 0 && *c == BYTE_ORDER_MARK))
        .map(|(at, c)| {
            let span = Span::new(at, at + c.len_utf8());
            Diagnostic::new(
                Code::HiddenText,
                format!(
                    "U+{:04X} cannot be seen and can make a line read otherwise than it is",
                    c as u32
                ),
            )
            .at(Place { source, span }, "here")
            .help("delete it")
        })
        .collect()
}

const BYTE_ORDER_MARK: char = '\u{FEFF}';

fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}'
        | '\u{061C}' | '\u{00AD}' | BYTE_ORDER_MARK)
}
