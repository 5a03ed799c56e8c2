//! YAML into a tree: the only file that names the YAML crate.
//!
//! It never follows an alias further than a fixed number of nodes, never recurses, and stops at the first error.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::malformed;
use super::scalar::{Loader, Value, resolve};
use super::tree::{Data, Entry, Map, Node, Scalar};
use super::words::shown;
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceFile, SourceId, Span};

/// Brackets, mappings and lists inside each other.
const MAX_DEPTH: usize = 128;
/// Nodes that a file may hold, copies made by aliases included. Real run files have a few hundred.
pub(super) const MAX_NODES: usize = 100_000;
/// Bytes of a text that count as one node more: what aliases repeat is bounded in bytes as well.
const BYTES_A_NODE: usize = 64;

/// What came of a text.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The document; `None` when the text is empty or not well-formed.
    pub(super) root: Option<Node>,
    /// What is wrong with it.
    pub(super) problems: Vec<Diagnostic>,
    /// Nodes that could have come on top.
    pub(super) left: usize,
}

/// What a text counts for, copied or followed.
pub(super) fn weight(text: &str) -> usize {
    1 + text.len() / BYTES_A_NODE
}

/// Reads a text; never fails, and takes no longer than its length asks for.
pub(super) fn parse(source: SourceId, file: &SourceFile) -> Parsed {
    parse_within(source, file, MAX_NODES)
}

/// Reads a text of at most `most` nodes, because others were read before it.
pub(super) fn parse_within(source: SourceId, file: &SourceFile, most: usize) -> Parsed {
    let mut indented = BTreeSet::new();
    loop {
        let text = Text::of(file.text(), &indented);
        let mut builder = Builder {
            file,
            source,
            text: &text,
            open: Vec::new(),
            root: None,
            anchors: BTreeMap::new(),
            documents: 0,
            left: most,
            underindented: None,
            problems: Vec::new(),
        };
        let failed = builder.run().err();
        if let Some(at) = builder.underindented
            && indented.len() < MAX_INDENTED
            && file.text().len() <= MAX_REREAD
            && indented.insert(at)
        {
            continue;
        }
        let left = builder.left;
        let root = builder.root.filter(|_| failed.is_none());
        let mut problems = builder.problems;
        problems.extend(failed.map(|failed| *failed));
        return Parsed { root, problems, left };
    }
}

/// Lines inside brackets that may stand further left than the crate allows, and how long a text is read again for them.
const MAX_INDENTED: usize = 64;
const MAX_REREAD: usize = 1 << 16;

/// The text that the crate reads, and where its characters stand in the file.
///
/// The crate counts characters, everybody else bytes. Python's loaders take any indentation between brackets, the crate
/// does not; the lines that it refuses are indented here.
struct Text<'t> {
    read: Cow<'t, str>,
    /// Byte offsets of the characters that are read; `None` where both are the same.
    starts: Option<Vec<usize>>,
}

impl<'t> Text<'t> {
    fn of(text: &'t str, indented: &BTreeSet<usize>) -> Self {
        const INDENT: usize = 40;
        if indented.is_empty() {
            return Text {
                read: Cow::Borrowed(text),
                starts: (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect()),
            };
        }
        let mut read = String::with_capacity(text.len() + indented.len() * INDENT);
        let mut starts = Vec::new();
        for (at, c) in text.char_indices() {
            if indented.contains(&at) {
                read.extend(std::iter::repeat_n(' ', INDENT));
                starts.extend(std::iter::repeat_n(at, INDENT));
            }
            read.push(c);
            starts.push(at);
        }
        Text {
            read: Cow::Owned(read),
            starts: Some(starts),
        }
    }

    /// The byte of the file at which a marker stands, at most `end`.
    fn byte(&self, marker: Marker, end: usize) -> usize {
        match &self.starts {
            None => marker.index().min(end),
            Some(starts) => starts.get(marker.index()).copied().unwrap_or(end),
        }
    }
}

/// A mapping or list whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    size: usize,
    depth: usize,
    held: Held,
}

enum Held {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Node> },
}

type Step = Result<(), Box<Diagnostic>>;

struct Builder<'t> {
    file: &'t SourceFile,
    source: SourceId,
    text: &'t Text<'t>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Node>,
    documents: usize,
    left: usize,
    /// Where a line inside brackets stands too far left for the crate.
    underindented: Option<usize>,
    problems: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn run(&mut self) -> Step {
        let file = self.file;
        let length = file.text().len();
        let mut parser = Parser::new_from_str(&self.text.read);
        // After an error the crate goes on with whatever comes next; the first error is the last that can be trusted.
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = self.text.byte(*error.marker(), length);
                    let is_indentation = matches!(
                        error.info(),
                        "invalid indentation" | "invalid indentation in flow construct"
                    );
                    self.underindented = is_indentation.then_some(at);
                    let opened = self.open.last().map(|open| open.span);
                    let told = malformed::explain(self.source, file, error.info(), at, opened);
                    return Err(Box::new(told));
                }
            };
            let start = self.text.byte(span.start, length);
            let end = self.text.byte(span.end, length);
            self.event(event, Span::new(start, end))?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Step {
        match event {
            Event::DocumentStart(is_explicit) => {
                self.documents += 1;
                if is_explicit {
                    self.known_version()?;
                }
                if self.documents > 1 {
                    return Err(self
                        .fault(span, "several documents in one file", "the second one starts here")
                        .help("ftrisk judges one run a file; put each document into a file of its own")
                        .into());
                }
                Ok(())
            }
            Event::Alias(id) => self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), span),
            Event::SequenceStart(anchor, tag) => self.start(Held::List(Vec::new()), anchor, tag.as_deref(), span),
            Event::MappingStart(anchor, tag) => {
                let held = Held::Map {
                    entries: Vec::new(),
                    key: None,
                };
                self.start(held, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// Refuses another YAML than 1, as PyYAML does; the crate reads any.
    fn known_version(&self) -> Step {
        let mut at = 0;
        for line in self.file.text().split_inclusive('\n') {
            if line.starts_with("---") {
                break;
            }
            let major = line
                .strip_prefix("%YAML")
                .and_then(|version| version.trim_start().split('.').next());
            if major.is_some_and(|major| major.trim_start_matches('0') != "1") {
                let span = Span::new(at, at + line.trim_end().len());
                let fault = self.fault(
                    span,
                    "another version of YAML than 1",
                    "PyYAML refuses the file for this",
                );
                return Err(fault.help("delete the line, or write `%YAML 1.1`").into());
            }
            at += line.len();
        }
        Ok(())
    }

    fn fault(&self, span: Span, message: &str, label: &str) -> Diagnostic {
        let place = Place {
            source: self.source,
            span,
        };
        Diagnostic::new(Code::Yaml, message).at(place, label)
    }

    /// Pays for nodes; what a file can make of a few lines with aliases has to end somewhere.
    fn spend(&mut self, nodes: usize, span: Span) -> Step {
        match self.left.checked_sub(nodes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self
                .fault(
                    span,
                    &format!("more than {MAX_NODES} values, those repeated by aliases included"),
                    "the limit is reached here",
                )
                .help("a run file has a few hundred; write the values out, or check that this is the file you meant")
                .into()),
        }
    }

    fn start(&mut self, held: Held, anchor: usize, tag: Option<&Tag>, span: Span) -> Step {
        self.spend(1, span)?;
        let is = if matches!(held, Held::List(_)) { "seq" } else { "map" };
        self.known_tag(tag, || is, span)?;
        self.descend(1, span)?;
        self.open.push(Open {
            span,
            anchor,
            size: 1,
            depth: 0,
            held,
        });
        Ok(())
    }

    /// Refuses what would be nested too deeply to walk.
    fn descend(&self, levels: usize, span: Span) -> Step {
        if self.open.len() + levels <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("nested more than {MAX_DEPTH} deep");
        Err(self
            .fault(span, &message, "one level too many")
            .help("a run file is a flat list of `key: value` lines; check that this is the file you meant")
            .into())
    }

    fn end(&mut self, span: Span) -> Step {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let is_flow = self.file.slice(open.span).starts_with(['[', '{']);
        let (data, last) = match open.held {
            Held::List(items) => {
                let last = items.last().map(|item| item.span);
                (Data::List(items), last)
            }
            Held::Map { entries, .. } => {
                let last = entries.last().map(|entry| entry.key.span.to(entry.value.span));
                (Data::Map(self.map(entries)?), last)
            }
        };
        // A block ends with its last child; the event stands at whatever comes next.
        let end = if is_flow {
            span.end
        } else {
            last.map_or(open.span.end, |last| last.end)
        };
        let node = Node {
            span: Span::new(open.span.start, end),
            data,
            size: open.size,
            depth: open.depth + 1,
        };
        self.anchor(open.anchor, &node)?;
        self.put(node);
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span) -> Step {
        let Some((size, depth)) = self.anchors.get(&id).map(|node| (node.size, node.depth)) else {
            return Err(self
                .fault(
                    span,
                    "an alias inside the value that it repeats",
                    "repeats itself for ever",
                )
                .help("write the value out")
                .into());
        };
        self.spend(size, span)?;
        self.descend(depth - 1, span)?;
        if let Some(node) = self.anchors.get(&id) {
            let node = Node { span, ..node.clone() };
            self.put(node);
        }
        Ok(())
    }

    fn anchor(&mut self, id: usize, node: &Node) -> Step {
        if id > 0 {
            self.spend(node.size, node.span)?;
            self.anchors.insert(id, node.clone());
        }
        Ok(())
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, anchor: usize, tag: Option<&Tag>, span: Span) -> Step {
        let size = weight(&text);
        self.spend(size, span)?;
        let is = || match resolve(&text, Loader::OmegaConf) {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text => "str",
        };
        let is_plain = match self.known_tag(tag, is, span)? {
            Some("str") => false,
            Some(_) => true,
            None => style == ScalarStyle::Plain,
        };
        let span = if text.is_empty() && style == ScalarStyle::Plain {
            Span::new(self.after_colon(span), self.after_colon(span))
        } else {
            tidy(self.file.text(), span, style)
        };
        let node = Node {
            span,
            data: Data::Scalar(Scalar {
                text: text.into(),
                is_plain,
            }),
            size,
            depth: 1,
        };
        self.anchor(anchor, &node)?;
        self.put(node);
        Ok(())
    }

    /// Where a value would start that is not written.
    fn after_colon(&self, span: Span) -> usize {
        match self.open.last().map(|open| &open.held) {
            Some(Held::Map { key: Some(key), .. }) => {
                let rest = self.file.text().get(key.span.end..).unwrap_or("");
                let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
                let colon = usize::from(rest.get(blank..).is_some_and(|rest| rest.starts_with(':')));
                key.span.end + if colon > 0 { blank + colon } else { 0 }
            }
            _ => span.start,
        }
    }

    /// The tag of a value that without it is `is`. Loaders fail where a value is none of what its tag says.
    fn known_tag<'t>(
        &self,
        tag: Option<&'t Tag>,
        is: impl Fn() -> &'static str,
        span: Span,
    ) -> Result<Option<&'t str>, Box<Diagnostic>> {
        let Some(tag) = tag.filter(|tag| !tag.handle.is_empty()) else {
            return Ok(None);
        };
        if !tag.is_yaml_core_schema() || tag.suffix.starts_with("python/") {
            return Err(self
                .fault(
                    span,
                    &format!("no loader of run files knows the tag `{}`", tag_name(tag)),
                    "",
                )
                .help("write the value itself")
                .into());
        }
        let suffix = tag.suffix.as_str();
        let is = is();
        let fits = suffix == is
            || matches!(
                (suffix, is),
                ("str", "null" | "bool" | "int" | "float") | ("float", "int")
            );
        if fits {
            return Ok(Some(suffix));
        }
        Err(self
            .fault(span, &format!("this is no value for the tag `{}`", tag_name(tag)), "")
            .help("delete the tag, and write the value as it is meant")
            .into())
    }

    /// Hands a finished node to what is open around it.
    fn put(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.size += node.size;
        open.depth = open.depth.max(node.depth);
        match &mut open.held {
            Held::List(items) => items.push(node),
            Held::Map { entries, key } => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push(Entry {
                    key,
                    value: node,
                    is_repeated: false,
                }),
            },
        }
    }

    /// A mapping of these entries: repeated keys are reported, merge keys are followed.
    fn map(&mut self, entries: Vec<Entry>) -> Result<Map, Box<Diagnostic>> {
        let mut map = Map::default();
        let mut merges: Vec<Entry> = Vec::new();
        for entry in entries {
            let is_merge = entry.key.scalar().is_some_and(|key| key.is_plain && &*key.text == "<<");
            if is_merge {
                if let Some(first) = merges.first() {
                    return Err(self
                        .twice(&entry, first.key.span)
                        .help("merge several with one list: `<<: [*a, *b]`")
                        .into());
                }
                merges.push(entry);
            } else {
                self.add(&mut map, entry);
            }
        }
        for entry in merges {
            let nodes = match entry.value.data {
                Data::List(items) => items,
                _ => vec![entry.value],
            };
            for node in nodes {
                let Data::Map(merged) = node.data else {
                    return Err(self
                        .fault(node.span, "`<<` takes a mapping", "this is none")
                        .help("merge with an alias of a mapping: `<<: *name`")
                        .into());
                };
                for entry in merged.entries {
                    if map.get(entry.name()).is_none() {
                        map.insert(entry);
                    }
                }
            }
        }
        Ok(map)
    }

    fn add(&mut self, map: &mut Map, entry: Entry) {
        let Some(first) = map.get_mut(entry.name()).filter(|_| entry.key.scalar().is_some()) else {
            map.insert(entry);
            return;
        };
        let before = first.key.span;
        first.is_repeated = true;
        let found = self.twice(&entry, before).help("keep one of them");
        first.value = entry.value;
        self.problems.push(found);
    }

    fn twice(&self, entry: &Entry, first: Span) -> Diagnostic {
        let place = |span| Place {
            source: self.source,
            span,
        };
        Diagnostic::new(
            Code::DuplicateKey,
            format!("`{}` is written twice", shown(entry.name())),
        )
        .at(place(entry.key.span), "here again")
        .at(place(first), "first here")
    }
}

/// A tag as people write it.
fn tag_name(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() {
        format!("!!{}", shown(&tag.suffix))
    } else {
        shown(&tag.to_string())
    }
}

/// The span of the scalar alone: the crate's covers tags and anchors before it, and blanks and comments after a quote.
fn tidy(text: &str, span: Span, style: ScalarStyle) -> Span {
    let mut start = span.start;
    let mut rest = text.get(span.start..span.end).unwrap_or("");
    while rest.starts_with(['!', '&']) {
        let after = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let blank = rest.get(after..).map_or(0, |tail| tail.len() - tail.trim_start().len());
        start += after + blank;
        rest = rest.get(after + blank..).unwrap_or("");
    }
    let length = match style {
        ScalarStyle::SingleQuoted => closing(rest, '\''),
        ScalarStyle::DoubleQuoted => closing(rest, '"'),
        _ => rest.trim_end().len(),
    };
    Span::new(start, start + length)
}

/// The length of a quoted text, both quotes included.
fn closing(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let is_doubled = c == quote && quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote);
        if is_doubled || (c == '\\' && quote == '"') {
            chars.next();
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.trim_end().len()
}
