//! What every dialect's reader asks a run file, and how answers become facts.
//!
//! A question names a key and what the framework takes there. The answer is a value with its place, nothing, or
//! unclear. An unclear one has been reported, and the fact it feeds is unknown: no default stands in for what somebody
//! wrote.

use std::borrow::Cow;

use super::pages::Pages;
use super::said::{Said, by_default, point, unknown};
use super::scalar::{Loader, Value, bool_of, number_of, resolve, word_of};
use super::screen;
use super::table::{Ask, Dialect, Missing, Null, Row, Takes};
use super::tree::{Entry, Map, Node, Scalar};
use super::words;
use crate::diag::{Code, Diagnostic};
use crate::facts::{Facts, Input, Key, NumberFact, Origin, Stands, WordFact, Words};
use crate::quantity::{Category, Interval};
use crate::source::{Place, Span};

/// A run file under a reader, and what is known of the run so far.
pub(super) struct Run<'a> {
    dialect: &'static Dialect,
    pages: Pages<'a>,
    root: &'a Map,
    /// How scalars are read: as the dialect does, unless they come from a command line.
    pub(super) loader: Loader,
    /// The number of processes, where the command that launches the run says it.
    pub(super) world: Option<(Option<f64>, Origin)>,
    /// What the command that launches the run teaches, and where it says so.
    pub(super) told_stage: Option<(&'static str, Place)>,
    /// The command that launches the run, as the table of trainers calls it.
    pub(super) told_command: Option<&'static str>,
    /// The dialect's keys in their order, with their entries.
    order: Vec<(&'static str, Option<&'a Entry>)>,
    /// What is known.
    pub(super) facts: Facts,
    /// What is wrong.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What stands under a key, before anybody asks what it means.
enum Found<'a> {
    Nothing,
    Unclear(Origin),
    Node(&'a Node),
}

impl<'a> Run<'a> {
    /// A file that nobody has read yet.
    pub(super) fn new(dialect: &'static Dialect, pages: Pages<'a>, root: &'a Map) -> Self {
        let order = dialect.order.split_whitespace().map(|key| (key, find(root, key)));
        Run {
            dialect,
            pages,
            root,
            loader: dialect.loader,
            world: None,
            told_stage: None,
            told_command: None,
            order: order.collect(),
            facts: Facts::new(dialect.framework, dialect.launcher, pages.first),
            diagnostics: Vec::new(),
        }
    }

    /// The dialect that it is read in.
    pub(super) fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// The texts that it is read from.
    pub(super) fn pages(&self) -> Pages<'a> {
        self.pages
    }

    /// The place of a span.
    pub(super) fn place(&self, span: Span) -> Place {
        self.pages.place(span)
    }

    /// The text under a span.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        self.pages.slice(span)
    }

    /// The entry of a key, dotted where it is nested.
    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        find(self.root, key)
    }

    /// The origin of a fact that stands under a key; `None` when the key is not written.
    pub(super) fn written(&self, key: &str) -> Option<Origin> {
        self.entry(key).map(|entry| Origin::Given(self.place(entry.value.span)))
    }

    /// How the run file writes a fact.
    pub(super) fn key(&self, name: &str) -> Key {
        let entry = self.entry(name);
        let stands = match entry.map(|entry| (&entry.value, entry.value.scalar())) {
            None => Stands::Nothing,
            Some((node, Some(scalar))) if self.value(name, scalar) == Value::Null => {
                Stands::Null(self.place(node.span))
            }
            Some(_) => Stands::Value,
        };
        Key {
            name: Some(name.to_owned()),
            goes: entry.is_none().then(|| self.goes(name)),
            stands,
        }
    }

    /// The end of the line after which a missing key belongs: that of the neighbour nearest to it in the usual order.
    fn goes(&self, key: &str) -> Place {
        let parent = key.rsplit_once('.').map(|(parent, _)| parent);
        let at = self
            .order
            .iter()
            .position(|(known, _)| *known == key)
            .unwrap_or(usize::MAX);
        let neighbour = self
            .order
            .iter()
            .enumerate()
            .filter_map(|(i, (known, entry))| entry.map(|entry| (i, known, entry)))
            .filter(|(_, known, _)| known.rsplit_once('.').map(|(parent, _)| parent) == parent)
            .min_by_key(|(i, ..)| (at.abs_diff(*i), *i))
            .map(|(.., entry)| entry)
            .or_else(|| parent.and_then(|parent| self.entry(parent)));
        match (neighbour.or_else(|| self.root.entries.last()), parent) {
            (Some(_), Some(parent)) if neighbour.is_none() => self.goes(parent),
            (Some(entry), _) => self.end_of_line(entry),
            (None, _) => self.place(Span::default()),
        }
    }

    /// The end of the last line of an entry.
    fn end_of_line(&self, entry: &Entry) -> Place {
        let after = entry.key.span.to(entry.value.span).end;
        self.pages.end_of_line(after)
    }

    fn find(&self, key: &str) -> Found<'a> {
        let Some(entry) = self.entry(key) else {
            return Found::Nothing;
        };
        let place = Some(self.place(entry.value.span));
        if entry.is_repeated {
            let why = format!("`{key}` is written twice");
            return Found::Unclear(unknown(why, "keep one of the two lines", place));
        }
        if screen::is_placeholder(entry.name(), &entry.value, self.pages) {
            let text = words::shown(self.slice(entry.value.span));
            let why = format!("`{text}` is filled in later");
            return Found::Unclear(unknown(why, format!("write the value of `{key}`"), place));
        }
        Found::Node(&entry.value)
    }

    /// What the framework's loader makes of a scalar under a key.
    fn value(&self, key: &str, scalar: &Scalar) -> Value {
        if self.loader == Loader::Argparse {
            return number_of(&word_of(&scalar.text, scalar.is_plain));
        }
        if scalar.is_plain {
            return resolve(&scalar.text, self.loader);
        }
        let is_nested = key.contains('.') && self.dialect.nested_text_is_read;
        let text = scalar.text.to_ascii_lowercase();
        let digits = text.replacen('.', "", 1);
        let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        match text.as_str() {
            "true" if is_nested => Value::Bool(true),
            "false" if is_nested => Value::Bool(false),
            number if is_nested && is_number => resolve(number.trim_start_matches('0'), self.loader),
            _ => Value::Text,
        }
    }

    /// The text that a scalar is to the framework; `None` where its loader makes something else of it.
    fn text_of(&self, key: &str, scalar: &'a Scalar) -> Option<Cow<'a, str>> {
        if self.loader == Loader::Argparse {
            return Some(word_of(&scalar.text, scalar.is_plain));
        }
        (self.value(key, scalar) == Value::Text).then(|| Cow::Borrowed(&*scalar.text))
    }

    /// The same where a yes or no is asked for.
    fn switch_of(&self, key: &str, scalar: &Scalar) -> Value {
        if self.loader == Loader::Argparse {
            return bool_of(&word_of(&scalar.text, scalar.is_plain)).map_or(Value::Text, Value::Bool);
        }
        self.value(key, scalar)
    }

    /// Whether the loader makes numbers and switches of texts under a key.
    fn is_typed(&self, key: &str) -> bool {
        self.dialect.loader == Loader::Typed && (self.dialect.nested_text_is_read || !key.contains('.'))
    }

    /// What a default of the framework is called.
    pub(super) fn default(&self) -> &'static str {
        self.dialect.default
    }

    /// The top of the file.
    pub(super) fn root(&self) -> &'a Map {
        self.root
    }

    /// Reports a value that the framework cannot use; once, however often it is asked for.
    pub(super) fn refuse<T>(&mut self, key: &str, place: Place, diagnostic: Diagnostic) -> Said<T> {
        let why = format!("the value of `{key}` cannot be used");
        let is_told = self
            .diagnostics
            .iter()
            .any(|told| told.place() == Some(place) && told.code == diagnostic.code);
        if !is_told {
            self.diagnostics.push(diagnostic);
        }
        Said::Unclear(unknown(why, "correct it", Some(place)))
    }

    /// The number under a key.
    pub(super) fn number(&mut self, ask: &Ask) -> Said<f64> {
        let node = match self.find(ask.key) {
            Found::Nothing => return Said::Nothing,
            Found::Unclear(origin) => return Said::Unclear(origin),
            Found::Node(node) => node,
        };
        let place = self.place(node.span);
        let value = node.scalar().map(|scalar| match self.value(ask.key, scalar) {
            Value::Text if self.is_typed(ask.key) => match number_of(&scalar.text) {
                // `int` takes no text with a point or an exponent.
                Value::Float(_) if ask.takes == Takes::Whole => Value::Text,
                number => number,
            },
            value => value,
        });
        let problem = match words::Problem::or_number(value, ask.takes, ask.domain) {
            Ok(number) => return Said::Value(number, place),
            Err(words::Problem::Null) if ask.null == Null::IsDefault => return Said::Nothing,
            Err(problem) => problem,
        };
        let written = node.scalar().map_or("", |scalar| &scalar.text);
        let diagnostic = words::number(self.dialect, ask, place, written, problem);
        self.refuse(ask.key, place, diagnostic)
    }

    /// The word under a key, in our spelling; `spellings` pairs the framework's with ours.
    pub(super) fn word(&mut self, key: &str, spellings: &[(&'static str, &'static str)]) -> Said<&'static str> {
        let node = match self.find(key) {
            Found::Nothing => return Said::Nothing,
            Found::Unclear(origin) => return Said::Unclear(origin),
            Found::Node(node) => node,
        };
        let place = self.place(node.span);
        let text = node.scalar().and_then(|scalar| self.text_of(key, scalar));
        let known = spellings.iter().find(|(theirs, _)| Some(*theirs) == text.as_deref());
        match known {
            Some((_, ours)) => Said::Value(*ours, place),
            None => {
                let written = self.slice(node.span);
                let diagnostic = words::word(self.dialect, key, place, written, spellings);
                self.refuse(key, place, diagnostic)
            }
        }
    }

    /// The yes or no under a key.
    pub(super) fn switch(&mut self, key: &str) -> Said<bool> {
        let node = match self.find(key) {
            Found::Nothing => return Said::Nothing,
            Found::Unclear(origin) => return Said::Unclear(origin),
            Found::Node(node) => node,
        };
        let place = self.place(node.span);
        match node.scalar().map(|scalar| self.switch_of(key, scalar)) {
            Some(Value::Bool(value)) => Said::Value(value, place),
            // Python takes 0 and 1 for false and true, and nothing for false.
            Some(Value::Int(value @ (0 | 1))) => Said::Value(value == 1, place),
            Some(Value::Null) => Said::Nothing,
            _ => {
                let written = node.scalar().map_or("", |scalar| &scalar.text);
                if let Some(on) = bool_of(written).filter(|_| self.is_typed(key)) {
                    return Said::Value(on, place);
                }
                let diagnostic = words::switch(key, place, written);
                self.refuse(key, place, diagnostic)
            }
        }
    }

    /// The text under a key.
    pub(super) fn text(&mut self, key: &str) -> Said<String> {
        let node = match self.find(key) {
            Found::Nothing => return Said::Nothing,
            Found::Unclear(origin) => return Said::Unclear(origin),
            Found::Node(node) => node,
        };
        let place = self.place(node.span);
        if let Some(text) = node.scalar().and_then(|scalar| self.text_of(key, scalar)) {
            return Said::Value(text.into_owned(), place);
        }
        match node.scalar().map(|scalar| self.value(key, scalar)) {
            Some(Value::Null) => Said::Nothing,
            _ => {
                let written = self.slice(node.span);
                let diagnostic = words::text(key, place, node.scalar().map(|_| written));
                self.refuse(key, place, diagnostic)
            }
        }
    }

    /// The words under a key, between commas or as a list.
    pub(super) fn list(&mut self, key: &str) -> Said<Vec<String>> {
        let items = match self.find(key) {
            Found::Node(Node {
                data: super::tree::Data::List(items),
                span,
                ..
            }) => (items, self.place(*span)),
            _ => return self.text(key).map(|text| words::split(&text)),
        };
        let (items, place) = items;
        let texts: Option<Vec<String>> = items
            .iter()
            .map(|item| item.scalar().map(|scalar| scalar.text.to_string()))
            .collect();
        match texts {
            Some(texts) => Said::Value(texts, place),
            None => {
                let diagnostic = words::text(key, place, None);
                self.refuse(key, place, diagnostic)
            }
        }
    }

    /// The words under a key that takes several, each as it is: one word, or a list of them.
    pub(super) fn several(&mut self, key: &str) -> Said<Vec<String>> {
        let is_list = self
            .entry(key)
            .is_some_and(|entry| matches!(entry.value.data, super::tree::Data::List(_)));
        if is_list {
            self.list(key)
        } else {
            self.text(key).map(|text| vec![text])
        }
    }

    /// Sets the facts of a table.
    pub(super) fn numbers(&mut self, rows: &[Row]) {
        for row in rows {
            let said = self.number(&row.ask());
            self.set(row, said);
        }
    }

    /// The number of a row.
    pub(super) fn asked(&mut self, row: &Row) -> Said<f64> {
        self.number(&row.ask())
    }

    /// Sets the fact of a row to what was said.
    pub(super) fn set(&mut self, row: &Row, said: Said<f64>) {
        let (values, origin) = match said {
            Said::Value(value, place) => (point(value), Origin::Given(place)),
            Said::Unclear(origin) => (Some(row.fact.domain().interval), origin),
            Said::Nothing => match row.missing {
                Missing::Is(value) => (point(value), by_default(self.dialect.default)),
                Missing::Absent(why) => (None, by_default(why)),
            },
        };
        self.fact(row.fact, row.key, values, origin);
    }

    /// Sets a number.
    pub(super) fn fact(&mut self, fact: Input, key: &str, values: Option<Interval>, origin: Origin) {
        let key = self.key(key);
        self.facts.set(fact, NumberFact { values, origin, key });
    }

    /// Sets a number that no key of the run file gives.
    pub(super) fn nameless(&mut self, fact: Input, values: Option<Interval>, origin: Origin) {
        let key = Key::default();
        self.facts.set(fact, NumberFact { values, origin, key });
    }

    /// Says that the run has no such number.
    pub(super) fn absent(&mut self, fact: Input, key: &str, why: impl Into<String>) {
        self.fact(fact, key, None, by_default(why));
    }

    /// Sets a fact that is a text; without the key nothing is known of it, because of `why`.
    pub(super) fn named(&mut self, category: Category, key: &str, why: &str) {
        let said = match self.text(key) {
            Said::Value(text, place) if category == Category::Model && text == "/dev/null" => self.stand_in(key, place),
            said => said,
        };
        let (words, origin) = match said {
            Said::Value(text, place) => (Words::One(text), Origin::Given(place)),
            Said::Unclear(origin) => (Words::Unknown, origin),
            Said::Nothing => (Words::Unknown, unknown(why, format!("write `{key}`"), None)),
        };
        self.tell(category, key, words, origin);
    }

    /// Reports a model that is none: nothing can be loaded from it, so that each launch has to name another.
    fn stand_in(&mut self, key: &str, place: Place) -> Said<String> {
        let message = "`/dev/null` stands for a model that each launch has to name";
        let found = Diagnostic::new(Code::ValueUnresolved, message)
            .at(place, "not filled in yet")
            .help("write the model, or check the command that names it");
        self.refuse(key, place, found)
    }

    /// Sets a categorical fact that has no key of its own.
    pub(super) fn tell_nameless(&mut self, category: Category, words: Words, origin: Origin) {
        let key = Key::default();
        self.facts.set_words(category, WordFact { words, origin, key });
    }

    /// Sets a fact that is a word.
    pub(super) fn tell(&mut self, category: Category, key: &str, words: Words, origin: Origin) {
        let key = self.key(key);
        self.facts.set_words(category, WordFact { words, origin, key });
    }
}

fn find<'a>(root: &'a Map, key: &str) -> Option<&'a Entry> {
    match key.split_once('.') {
        None => root.get(key),
        Some((parent, rest)) => root.map(parent).and_then(|map| find(map, rest)),
    }
}
