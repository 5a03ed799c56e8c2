//! Words of a shell script, each with its place, and the variables that it sets.
//!
//! It reads what scripts that launch training are made of: quotes, continued lines, comments, assignments, arrays,
//! expansions of what the script itself assigned, whole-number arithmetic. Whatever else a word depends on stays in it
//! as `${…}`, which no reader takes for a value.

use std::collections::BTreeMap;

use super::{LOOKED_AT, arithmetic};
use crate::source::Span;

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What the command gets; holds `${…}` where that is not known.
    pub(in crate::adapt) text: String,
    /// Where it is written.
    pub(in crate::adapt) span: Span,
    /// Where its text starts, if it stands there as it is.
    pub(in crate::adapt) verbatim: Option<usize>,
}

impl Word {
    /// Whether the whole text is known.
    pub(in crate::adapt) fn is_known(&self) -> bool {
        !self.text.contains("${")
    }
}

/// A command with the environment that the script gives it.
#[derive(Debug, Clone, Default)]
pub(super) struct Command {
    pub(super) environment: BTreeMap<String, Word>,
    pub(super) words: Vec<Word>,
    /// Whether it has more words than these.
    pub(super) is_cut: bool,
}

/// More nested expansions than anybody writes.
const MAX_DEPTH: usize = 16;
/// How many bytes of variables are put in their places; later ones stay unknown, so that doubling ends.
const MAX_EXPANDED: usize = 1 << 20;
/// Words that a command has at most; one that has more is cut behind them, and nobody may read it.
pub(super) const MAX_WORDS: usize = 4096;

/// Hands on the commands of a script, in its order. Where it opens something and never closes it, a shell stops there
/// with an error: the place is returned.
pub(super) fn commands(text: &str, each: &mut dyn FnMut(&Command)) -> Option<Span> {
    let mut reader = Reader::new(text);
    reader.script(each);
    reader.unclosed
}

/// The words of a text, none of which is an assignment; at most one more than a command has.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut reader = Reader::new(text);
    let mut words = Vec::new();
    loop {
        reader.blanks();
        match reader.peek() {
            None => return words,
            _ if words.len() > MAX_WORDS => return words,
            Some('\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>') => reader.at += 1,
            Some(_) => words.extend(reader.word()),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    variables: BTreeMap<String, Vec<Word>>,
    exported: Vec<String>,
    /// Open `if`, `for`, `case` and the like: what is assigned there may not be assigned.
    blocks: usize,
    /// Ends of here-documents that start after this line.
    heredocs: Vec<String>,
    /// Bytes of variables that were put in their places.
    expanded: usize,
    /// Whether words of this command were left out.
    is_cut: bool,
    /// The first quote that is never closed.
    unclosed: Option<Span>,
}

/// A word under construction.
#[derive(Default)]
struct Draft {
    words: Vec<Word>,
    text: String,
    start: usize,
    is_begun: bool,
    verbatim: Option<usize>,
    is_plain: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader {
            text,
            at: 0,
            variables: BTreeMap::new(),
            exported: Vec::new(),
            blocks: 0,
            heredocs: Vec::new(),
            expanded: 0,
            is_cut: false,
            unclosed: None,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let is_there = self.rest().starts_with(prefix);
        if is_there {
            self.at += prefix.len();
        }
        is_there
    }

    /// Everything up to `end`, which is passed over.
    fn until(&mut self, end: &str) -> &'a str {
        let rest = self.rest();
        let (inside, after) = match rest.find(end) {
            Some(at) => (rest.get(..at).unwrap_or(""), at + end.len()),
            None => (rest, rest.len()),
        };
        self.at += after;
        inside
    }

    fn script(&mut self, each: &mut dyn FnMut(&Command)) {
        let mut words: Vec<Word> = Vec::new();
        let mut assigned: Vec<(String, Vec<Word>)> = Vec::new();
        loop {
            self.blanks();
            let Some(c) = self.peek() else { break };
            match c {
                '#' => {
                    let line = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.at += line;
                }
                '\n' | ';' | '&' | '|' | '(' | ')' => {
                    self.at += 1;
                    if let Some(command) = self.command(&mut words, &mut assigned) {
                        each(&command);
                    }
                    if c == '\n' {
                        self.skip_heredocs();
                    }
                }
                '<' | '>' => self.redirection(),
                _ => {
                    if words.is_empty()
                        && let Some(name) = self.assignment()
                    {
                        let values = self.value();
                        assigned.push((name, values));
                        continue;
                    }
                    let more = self.word();
                    let is_descriptor = more.iter().all(|word| word.text.chars().all(|c| c.is_ascii_digit()));
                    if is_descriptor && matches!(self.peek(), Some('<' | '>')) {
                        continue;
                    }
                    words.extend(more);
                    self.is_cut |= words.len() > MAX_WORDS;
                    words.truncate(MAX_WORDS);
                }
            }
        }
        if let Some(command) = self.command(&mut words, &mut assigned) {
            each(&command);
        }
    }

    fn blanks(&mut self) {
        loop {
            if self.eat("\\\r\n") || self.eat("\\\n") {
                continue;
            }
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                _ => return,
            }
        }
    }

    /// `<`, `>>`, `2>&1`, `<<EOF`: none of the command's words.
    fn redirection(&mut self) {
        if self.eat("<<<") {
            self.blanks();
            self.word();
        } else if self.eat("<<-") || self.eat("<<") {
            self.blanks();
            if let Some(end) = self.word().pop() {
                self.heredocs.push(end.text);
            }
        } else {
            while matches!(self.peek(), Some('<' | '>' | '&' | '|')) {
                self.at += 1;
            }
            self.blanks();
            self.word();
        }
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            while !self.rest().is_empty() {
                let line = self.until("\n");
                if line.trim() == end {
                    break;
                }
            }
        }
    }

    /// The name of `NAME=`, `NAME+=` or `NAME[…]=` that starts here; passes over it.
    fn assignment(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = name_length(rest);
        let name = rest.get(..length).filter(|name| !name.is_empty())?;
        let after = rest.get(length..)?;
        if after.starts_with('=') {
            self.at += length + 1;
            Some(name.to_owned())
        } else if after.starts_with("+=") {
            self.at += length + 2;
            Some(format!("{name}+"))
        } else {
            None
        }
    }

    /// What is assigned: a word, or the words of an array.
    fn value(&mut self) -> Vec<Word> {
        if !self.eat("(") {
            let words = self.word();
            return if words.is_empty() { Vec::new() } else { joined(words) };
        }
        let mut words = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                None => return words,
                Some(')') => {
                    self.at += 1;
                    return words;
                }
                Some('\n') => self.at += 1,
                Some('#') => {
                    self.until("\n");
                }
                Some(';' | '&' | '|' | '(' | '<' | '>') => self.at += 1,
                Some(_) => words.extend(self.word()),
            }
        }
    }

    /// A command has ended; what only changes variables is none.
    fn command(&mut self, words: &mut Vec<Word>, assigned: &mut Vec<(String, Vec<Word>)>) -> Option<Command> {
        let is_cut = std::mem::take(&mut self.is_cut);
        let mut words = std::mem::take(words);
        let assigned = std::mem::take(assigned);
        while let Some(first) = words.first() {
            match first.text.as_str() {
                "then" | "else" | "elif" | "do" | "!" | "time" | "{" | "}" => {
                    match first.text.as_str() {
                        "{" => self.blocks += 1,
                        "}" => self.blocks = self.blocks.saturating_sub(1),
                        _ => {}
                    }
                    words.remove(0);
                }
                "if" | "while" | "until" => {
                    self.blocks += 1;
                    words.remove(0);
                }
                "for" | "select" | "case" | "function" => {
                    self.blocks += 1;
                    if let Some(name) = words.get(1) {
                        self.variables.remove(&name.text);
                    }
                    return None;
                }
                "fi" | "done" | "esac" => {
                    self.blocks = self.blocks.saturating_sub(1);
                    words.remove(0);
                }
                "export" | "declare" | "local" | "readonly" | "typeset" => {
                    self.declare(&words);
                    return None;
                }
                "unset" | "read" => {
                    for name in words.iter().skip(1) {
                        self.variables.remove(&name.text);
                    }
                    return None;
                }
                _ => break,
            }
        }
        if words.is_empty() {
            for (name, values) in assigned {
                self.assign(&name, values);
            }
            return None;
        }
        let mut command = Command {
            words,
            is_cut,
            ..Command::default()
        };
        for name in self.exported.clone() {
            // Where there is no room for more, what the command gets is not known.
            let unknown = self.variables.get(&name).map(|values| Word {
                text: format!("${{{name}}}"),
                span: values.first().map_or(Span::default(), |value| value.span),
                verbatim: None,
            });
            let value = self.variable(&name, false).and_then(|mut values| values.pop());
            command.environment.extend(value.or(unknown).map(|value| (name, value)));
        }
        for (name, values) in assigned {
            if let [value] = values.as_slice()
                && LOOKED_AT.contains(&name.as_str())
            {
                command.environment.insert(name, value.clone());
            }
        }
        Some(command)
    }

    /// `export NAME=value`, `export NAME`.
    fn declare(&mut self, words: &[Word]) {
        let exports = words.first().is_some_and(|word| word.text == "export");
        for word in words.iter().skip(1).filter(|word| !word.text.starts_with('-')) {
            let (name, value) = match word.text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.text.clone(), None),
            };
            if let Some(value) = value {
                let skipped = name.len() + 1;
                let span = word
                    .verbatim
                    .map_or(word.span, |at| Span::new(at + skipped, word.span.end));
                let verbatim = word.verbatim.map(|at| at + skipped);
                let text = value;
                self.assign(&name, vec![Word { text, span, verbatim }]);
            }
            if exports && LOOKED_AT.contains(&name.as_str()) && !self.exported.contains(&name) {
                self.exported.push(name);
            }
        }
    }

    fn assign(&mut self, name: &str, values: Vec<Word>) {
        let (name, adds) = match name.strip_suffix('+') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if self.blocks > 0 {
            // Whether this is run is not known.
            self.variables.remove(name);
        } else if adds {
            if let Some(words) = self.variables.get_mut(name) {
                words.extend(values);
            }
        } else {
            self.variables.insert(name.to_owned(), values);
        }
    }

    /// The word that starts here, or the words that its expansions make of it.
    fn word(&mut self) -> Vec<Word> {
        let mut draft = Draft {
            start: self.at,
            is_plain: true,
            ..Draft::default()
        };
        while let Some(c) = self.peek() {
            if self.eat("\\\r\n") || self.eat("\\\n") {
                continue;
            }
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\\' => {
                    self.at += 1;
                    draft.is_plain = false;
                    if let Some(c) = self.peek() {
                        self.at += c.len_utf8();
                        draft.push(c, self.at - c.len_utf8());
                    }
                }
                '\'' => {
                    self.at += 1;
                    draft.begin(self.at);
                    let at = self.at;
                    let inside = self.until("'");
                    if at + inside.len() == self.at {
                        self.unclosed.get_or_insert(Span::new(at - 1, at));
                    }
                    draft.text(inside, at);
                }
                '"' => {
                    self.at += 1;
                    draft.begin(self.at);
                    self.quoted(&mut draft);
                }
                '$' | '`' => {
                    let at = self.at;
                    let values = self.expansion(0);
                    draft.expanded(values, Span::new(at, self.at), false);
                }
                c => {
                    draft.push(c, self.at);
                    self.at += c.len_utf8();
                }
            }
        }
        if self.at == draft.start {
            // A character that begins no word here.
            self.at += self.peek().map_or(0, char::len_utf8);
            return Vec::new();
        }
        draft.finish(self.at)
    }

    /// The inside of double quotes.
    fn quoted(&mut self, draft: &mut Draft) {
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => self.at += 1,
                        Some(c @ ('"' | '\\' | '$' | '`')) => {
                            draft.is_plain = false;
                            draft.push(c, self.at);
                            self.at += 1;
                        }
                        _ => draft.push('\\', self.at - 1),
                    }
                }
                '$' | '`' => {
                    let at = self.at;
                    let values = self.expansion(0);
                    draft.expanded(values, Span::new(at, self.at), true);
                }
                c => {
                    draft.push(c, self.at);
                    self.at += c.len_utf8();
                }
            }
        }
        self.unclosed.get_or_insert(Span::new(start - 1, start));
    }

    /// What `$…` stands for; the words of an array are several.
    fn expansion(&mut self, depth: usize) -> Vec<Word> {
        let start = self.at;
        let open = |reader: &Reader<'_>| {
            let span = Span::new(start, reader.at);
            let inside = reader.text.get(start..reader.at).unwrap_or("");
            let inside = inside.trim_start_matches(['$', '{', '`']).trim_end_matches(['}', '`']);
            vec![Word {
                text: format!("${{{inside}}}"),
                span,
                verbatim: None,
            }]
        };
        if self.eat("`") {
            self.until("`");
            return open(self);
        }
        self.at += 1;
        if self.eat("((") {
            let inside = self.until("))");
            return match self.computed(inside, depth) {
                Some(value) => self.literal(value.to_string(), start),
                None => open(self),
            };
        }
        if self.eat("(") {
            let inside = self.nested();
            let sum = inside.trim().strip_prefix("expr ");
            return match sum.and_then(|sum| self.computed(sum, depth)) {
                Some(value) => self.literal(value.to_string(), start),
                None => open(self),
            };
        }
        if self.eat("{") {
            let inside = self.until("}");
            let name = inside.strip_suffix("[@]").or_else(|| inside.strip_suffix("[*]"));
            let is_all = name.is_some();
            let name = name.unwrap_or(inside);
            return self.variable(name, is_all).unwrap_or_else(|| open(self));
        }
        let length = name_length(self.rest());
        if length == 0 {
            if let Some(c) = self.peek().filter(|c| c.is_ascii_digit() || "@*#?$!-".contains(*c)) {
                self.at += c.len_utf8();
                return open(self);
            }
            // A dollar that expands nothing.
            return self.literal("$".to_owned(), start);
        }
        let name = self.rest().get(..length).unwrap_or("");
        self.at += length;
        self.variable(name, false).unwrap_or_else(|| open(self))
    }

    /// The words of a variable, as long as there is room for more.
    fn variable(&mut self, name: &str, is_all: bool) -> Option<Vec<Word>> {
        let words = self.variables.get(name).filter(|words| is_all || words.len() == 1)?;
        self.expanded += words.iter().map(|word| word.text.len() + 1).sum::<usize>();
        (self.expanded <= MAX_EXPANDED).then(|| words.clone())
    }

    fn literal(&self, text: String, start: usize) -> Vec<Word> {
        vec![Word {
            text,
            span: Span::new(start, self.at),
            verbatim: None,
        }]
    }

    /// The inside of parentheses that are already open.
    fn nested(&mut self) -> &'a str {
        let start = self.at;
        let mut open = 1_usize;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                '\'' => {
                    self.until("'");
                }
                _ => {}
            }
            if open == 0 {
                return self.text.get(start..self.at - 1).unwrap_or("");
            }
        }
        self.text.get(start..).unwrap_or("")
    }

    /// A sum of whole numbers and of variables that are some.
    fn computed(&self, sum: &str, depth: usize) -> Option<i64> {
        if depth > MAX_DEPTH {
            return None;
        }
        arithmetic::value(sum, &|name| match self.variables.get(name).map(Vec::as_slice) {
            Some([word]) => word.text.trim().parse().ok(),
            _ => None,
        })
    }
}

impl Draft {
    fn begin(&mut self, at: usize) {
        if self.is_begun || !self.text.is_empty() {
            self.is_plain &= self.verbatim.is_some_and(|from| from + self.text.len() == at);
        }
        self.is_begun = true;
        self.verbatim.get_or_insert(at);
    }

    fn push(&mut self, c: char, at: usize) {
        let mut buffer = [0; 4];
        self.text(c.encode_utf8(&mut buffer), at);
    }

    fn text(&mut self, text: &str, at: usize) {
        if text.is_empty() {
            return;
        }
        let from = *self.verbatim.get_or_insert(at);
        self.is_plain &= from + self.text.len() == at;
        self.is_begun = true;
        self.text.push_str(text);
    }

    /// Adds an expansion; without quotes its blanks part words.
    fn expanded(&mut self, values: Vec<Word>, span: Span, is_quoted: bool) {
        self.is_plain = false;
        let mut pieces: Vec<(String, Span)> = Vec::new();
        for value in values {
            let splits = !is_quoted && value.is_known() && value.text.contains(char::is_whitespace);
            if splits {
                pieces.extend(value.text.split_whitespace().map(|piece| (piece.to_owned(), span)));
            } else {
                pieces.push((value.text, value.span));
            }
        }
        let last = pieces.len().saturating_sub(1);
        let whole = pieces.len() > 1;
        for (i, (piece, place)) in pieces.into_iter().enumerate() {
            self.text.push_str(&piece);
            self.is_begun = true;
            if i < last {
                let text = std::mem::take(&mut self.text);
                let span = if whole { place } else { span };
                self.words.push(Word {
                    text,
                    span,
                    verbatim: None,
                });
            }
        }
    }

    fn finish(mut self, end: usize) -> Vec<Word> {
        if self.is_begun || !self.text.is_empty() {
            self.words.push(Word {
                span: Span::new(self.start, end),
                verbatim: self.verbatim.filter(|_| self.is_plain),
                text: self.text,
            });
        }
        self.words
    }
}

/// The words of an assignment as the one that they are.
fn joined(words: Vec<Word>) -> Vec<Word> {
    if words.len() < 2 {
        return words;
    }
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let span = words.iter().map(|word| word.span).reduce(Span::to).unwrap_or_default();
    vec![Word {
        text: texts.join(" "),
        span,
        verbatim: None,
    }]
}

/// How many bytes of a variable's name stand at the start.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}
