//! What must not stand in a run file, whichever framework reads it: placeholders and characters that nobody sees.

use std::collections::BTreeSet;

use super::pages::Pages;
use super::tree::{Data, Entry, Node};
use super::words::shown;
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Span};

/// Keys whose values are prose or templates for the model, in which braces and joiners belong to the text.
const PROSE: &[&str] = &["default_system", "custom_chat_template", "chat_template"];

/// Whether a value under `key` is still to be filled in by a shell, a template engine or the loader.
pub(super) fn is_placeholder(key: &str, node: &Node, pages: Pages<'_>) -> bool {
    match &node.data {
        Data::Scalar(scalar) => {
            let text = scalar.text.trim();
            let is_template = !PROSE.contains(&key) && has_template(text);
            text.contains("${") || text == "???" || is_template || is_shell_name(text)
        }
        // `{{ lr }}` without quotes is a mapping whose key is a mapping.
        Data::Map(_) => pages.slice(node.span).starts_with("{{"),
        Data::List(_) => false,
    }
}

/// `{{ name }}` or `{% if ... %}`; empty braces and TeX's are none.
pub(super) fn has_template(text: &str) -> bool {
    [("{{", "}}"), ("{%", "%}")].iter().any(|(opens, closes)| {
        let inside = text.split_once(opens).and_then(|(_, rest)| rest.split_once(closes));
        inside.is_some_and(|(inside, _)| {
            let first = inside.trim_start_matches(['-', ' ', '\t']);
            first.starts_with(|c: char| c.is_alphabetic() || c == '_')
        })
    })
}

/// `$LR`, as a shell writes a variable.
fn is_shell_name(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Reports every placeholder, hidden character and key that is no word, but for those that were `told` before.
pub(super) fn screen(pages: Pages<'_>, root: &Node, told: BTreeSet<Span>) -> Vec<Diagnostic> {
    let mut screen = Screen {
        pages,
        seen: told,
        found: Vec::new(),
    };
    screen.node("", root);
    screen.found
}

/// Whether the screen reports the key itself, so that nobody else has to.
pub(super) fn speaks(entry: &Entry, pages: Pages<'_>) -> bool {
    let written = pages.slice(entry.key.span);
    is_placeholder("", &entry.key, pages) || written.chars().any(|c| is_invisible(c) || is_odd_space(c))
}

struct Screen<'a> {
    pages: Pages<'a>,
    /// What aliases repeat is reported once.
    seen: BTreeSet<Span>,
    found: Vec<Diagnostic>,
}

impl Screen<'_> {
    fn node(&mut self, key: &str, node: &Node) {
        if is_placeholder(key, node, self.pages) {
            self.placeholder(node.span);
            return;
        }
        match &node.data {
            Data::Scalar(_) => self.hidden(key, node.span),
            Data::List(items) => items.iter().for_each(|item| self.node(key, item)),
            Data::Map(map) => {
                for entry in &map.entries {
                    match entry.key.scalar() {
                        None => self.no_word(entry.key.span),
                        Some(_) => self.node("", &entry.key),
                    }
                    self.node(entry.name(), &entry.value);
                }
            }
        }
    }

    fn placeholder(&mut self, span: Span) {
        if !self.seen.insert(span) {
            return;
        }
        let text = shown(self.pages.slice(span));
        let message = if text == "???" {
            "`???` stands for a value that nobody has given yet".to_owned()
        } else {
            format!("`{text}` is a placeholder that something else has to fill in")
        };
        self.found.push(
            Diagnostic::new(Code::ValueUnresolved, message)
                .at(self.at(span), "not filled in yet")
                .help("write the value, or check the file that comes out when it is filled in"),
        );
    }

    fn no_word(&mut self, span: Span) {
        if self.seen.insert(span) {
            self.found.push(
                Diagnostic::new(Code::Yaml, "a key that is a list or a mapping")
                    .at(self.at(span), "this is no word")
                    .help("write `key: value`; quote a value that starts with a bracket"),
            );
        }
    }

    /// Looks at the text as it is written: an escape such as `\u200b` can be seen.
    fn hidden(&mut self, key: &str, span: Span) {
        let written = self.pages.slice(span);
        if written.is_ascii() || PROSE.contains(&key) {
            return;
        }
        let found = written
            .char_indices()
            .find(|(_, c)| is_invisible(*c) || is_odd_space(*c));
        if let Some((at, c)) = found {
            let start = span.start + at;
            self.report(Span::new(start, start + c.len_utf8()), c);
        }
    }

    fn report(&mut self, span: Span, c: char) {
        if self.seen.insert(span) {
            self.found.push(hidden_character(self.at(span), c));
        }
    }

    fn at(&self, span: Span) -> Place {
        self.pages.place(span)
    }
}

/// Characters anywhere in a text, comments included, that make a line read otherwise than it is; in a text that is no
/// YAML also those that merely cannot be seen, because they are a likely cause.
pub(super) fn hidden_anywhere(source: SourceId, text: &str, is_broken: bool) -> Vec<Diagnostic> {
    if text.is_ascii() {
        return Vec::new();
    }
    // Loaders pass over one byte order mark; a second is part of the first key.
    let is_second_mark = |at: usize| at == MARK.len_utf8() && text.starts_with(MARK);
    text.char_indices()
        .skip_while(|(at, c)| *at == 0 && *c == MARK)
        .filter(|(at, c)| {
            let is_seen = !is_invisible(*c) && !is_odd_space(*c);
            reorders(*c) || ends_line(*c) || (!is_seen && (is_broken || (*c == MARK && is_second_mark(*at))))
        })
        .take(10)
        .map(|(at, c)| {
            let span = Span::new(at, at + c.len_utf8());
            hidden_character(Place { source, span }, c)
        })
        .collect()
}

/// The first character of a text that loaders refuse the whole file for; those of a shell too.
pub(super) fn control(source: SourceId, text: &str) -> Option<Diagnostic> {
    let (at, c) = text.char_indices().find(|(_, c)| is_control(*c))?;
    let span = Span::new(at, at + c.len_utf8());
    let is_wide = c == '\0' && text.chars().skip(1).step_by(2).take(8).all(|c| c == '\0');
    let diagnostic = Diagnostic::new(Code::Yaml, "a control character").at(Place { source, span }, "here");
    Some(diagnostic.help(if is_wide {
        "save the file as UTF-8: this looks like UTF-16"
    } else {
        "delete it; the file may not be text at all"
    }))
}

/// What PyYAML 6.0.3 calls not printable, wherever it stands.
fn is_control(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || matches!(c, '\u{FFFE}' | '\u{FFFF}')
}

fn hidden_character(place: Place, c: char) -> Diagnostic {
    let code = c as u32;
    let diagnostic = if ends_line(c) {
        let message = format!("U+{code:04X} ends a line for the loader, and looks as if it did not");
        Diagnostic::new(Code::HiddenText, message).help("write a plain space, or break the line")
    } else if is_odd_space(c) {
        let message = format!("U+{code:04X} looks like a space and is none");
        Diagnostic::new(Code::HiddenText, message)
            .help("write a plain space")
            .instead(" ")
    } else {
        let message = format!("U+{code:04X} cannot be seen and can make a line read otherwise than it is");
        Diagnostic::new(Code::HiddenText, message).help("delete it")
    };
    diagnostic.at(place, "here")
}

/// Characters that change the order in which a line is shown.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A byte order mark.
const MARK: char = '\u{FEFF}';

/// Characters at which a line of YAML 1.1 ends, a comment's too.
fn ends_line(c: char) -> bool {
    matches!(c, '\u{0085}' | '\u{2028}' | '\u{2029}')
}

fn is_invisible(c: char) -> bool {
    reorders(c) || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{061C}' | '\u{00AD}' | '\u{FEFF}')
}

fn is_odd_space(c: char) -> bool {
    matches!(
        c,
        '\u{00A0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{2028}' | '\u{2029}' | '\u{0085}'
    )
}
