//! The values of a command line as entries of a run file's tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shell::MAX_WORDS;
use super::{Form, Word};
use crate::adapt::keys::Keys;
use crate::adapt::scalar::{Loader, number_of};
use crate::adapt::tree::{Data, Entry, Map, Node, Scalar};
use crate::adapt::{words, yaml};
use crate::diag::{Code, Diagnostic, Severity};
use crate::source::{Place, SourceId, Sources, Span};

/// What a command line changes.
#[derive(Debug)]
pub(in crate::adapt) struct Edits {
    /// Path, word of the key, and value; no value takes the key away.
    each: Vec<(Vec<String>, Span, Option<Node>)>,
    /// Whether a value for a component is its class.
    of_components: bool,
    /// The word of each path that was set last.
    words: BTreeMap<Vec<String>, Span>,
    /// Nodes that values in brackets may still have.
    left: usize,
    /// What cannot be read.
    pub(in crate::adapt) problems: Vec<Diagnostic>,
}

/// Keys inside each other, as no framework has them.
const MAX_DEPTH: usize = 16;

/// Reads the values of a command line. Scalars are what `loader` finds in them; `known` are the keys of the framework.
pub(in crate::adapt) fn edits(
    given: &[Word],
    form: Form,
    loader: Loader,
    known: Option<&Keys>,
    source: SourceId,
) -> Edits {
    let mut edits = Edits {
        of_components: form == Form::PairsAndDeletions,
        each: Vec::new(),
        words: BTreeMap::new(),
        left: yaml::MAX_NODES,
        problems: Vec::new(),
    };
    if let Some(first) = given.get(MAX_WORDS) {
        let place = Place {
            source,
            span: first.span,
        };
        edits.problems.push(
            Diagnostic::new(
                Code::TooLarge,
                format!("more than {MAX_WORDS} words behind the run file"),
            )
            .at(place, "this and what follows is not read")
            .help("write the values into the run file"),
        );
    }
    let given = given.get(..MAX_WORDS).unwrap_or(given);
    let is_plain = loader != Loader::Argparse;
    match form {
        Form::Pairs | Form::PairsAndDeletions => {
            given.iter().for_each(|word| edits.pair(word, form, is_plain, source));
        }
        Form::Flags | Form::Dotted | Form::Paths => edits.flags(given, (form, known), is_plain, source),
    }
    edits
}

fn is_flag(word: &Word) -> bool {
    let is_long = word.text.starts_with("--") && word.text.len() > 2;
    // A number below 0 is a value.
    let is_short = word.text.starts_with('-')
        && word.text.len() > 1
        && !word.text.contains(char::is_whitespace)
        && matches!(number_of(&word.text), crate::adapt::scalar::Value::Text);
    is_long || is_short
}

impl Edits {
    fn pair(&mut self, word: &Word, form: Form, is_plain: bool, source: SourceId) {
        let place = Place {
            source,
            span: word.span,
        };
        if form == Form::PairsAndDeletions
            && let Some(key) = word.text.strip_prefix('~')
        {
            let key = key.split('=').next().unwrap_or(key);
            self.each.push((path(key, Form::Pairs), word.span, None));
            return;
        }
        let Some((key, value)) = word.text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            let shown = words::shown(&word.text);
            let diagnostic = Diagnostic::new(Code::ValueType, format!("`{shown}` is no `key=value`"))
                .at(place, "the framework takes pairs after the run file");
            let key = word.text.trim_start_matches('-');
            self.problems.push(if word.text.starts_with("--") && !key.is_empty() {
                diagnostic.help(format!("write {key}=VALUE"))
            } else {
                diagnostic.help("write key=value")
            });
            return;
        };
        let key = key.trim_start_matches('+').trim_start_matches("--");
        let skipped = word.text.len() - value.len();
        let span = match word.verbatim {
            Some(at) if at == word.span.start => Span::new(at + skipped, word.span.end),
            _ => word.span,
        };
        // torchtune's word for nothing.
        let value = if form == Form::PairsAndDeletions && value == "None" {
            "null"
        } else {
            value
        };
        let value = Word {
            text: value.to_owned(),
            span,
            verbatim: word.verbatim.map(|at| at + skipped),
        };
        let node = self.node_of(&value, is_plain, source);
        self.push(path(key, Form::Pairs), word.span, node, source);
    }

    fn flags(&mut self, given: &[Word], (form, known): (Form, Option<&Keys>), is_plain: bool, source: SourceId) {
        let mut rest = given;
        while let Some((flag, after)) = rest.split_first() {
            rest = after;
            if !is_flag(flag) {
                let place = Place {
                    source,
                    span: flag.span,
                };
                let shown = words::shown(&flag.text);
                self.problems.push(if flag.is_known() {
                    Diagnostic::new(Code::ValueType, format!("`{shown}` belongs to no flag"))
                        .at(place, "nothing takes this")
                        .help("write `--key` before it, or delete it")
                } else {
                    Diagnostic::new(Code::ValueUnresolved, "flags that the text does not spell out")
                        .at(place, "filled in when the command is run")
                        .help("write the flags, or check the command with its values in place")
                });
                continue;
            }
            let name = flag.text.trim_start_matches('-');
            let (name, inline) = match name.split_once('=') {
                Some((name, _)) => (name, Some(flag)),
                None => (name, None),
            };
            let mut values: Vec<Word> = Vec::new();
            if let Some(flag) = inline {
                let skipped = flag.text.len() - flag.text.split_once('=').map_or("", |(_, value)| value).len();
                values.push(Word {
                    text: flag.text.get(skipped..).unwrap_or("").to_owned(),
                    span: match flag.verbatim {
                        Some(at) if at == flag.span.start => Span::new(at + skipped, flag.span.end),
                        _ => flag.span,
                    },
                    verbatim: flag.verbatim.map(|at| at + skipped),
                });
            } else {
                while let Some((value, after)) = rest.split_first().filter(|(value, _)| !is_flag(value)) {
                    values.push(value.clone());
                    rest = after;
                }
            }
            let mut nodes: Vec<Node> = values
                .iter()
                .map(|value| self.node_of(value, is_plain, source))
                .collect();
            let mut path = path(name, form);
            let node = match (nodes.pop(), nodes.is_empty()) {
                (None, _) => {
                    let negated = negated(&path, known);
                    let text = if negated.is_some() { "false" } else { "true" };
                    path = negated.unwrap_or(path);
                    scalar(text, is_plain, flag.span)
                }
                (Some(node), true) => node,
                (Some(last), false) => {
                    nodes.push(last);
                    let span = nodes.iter().map(|node| node.span).reduce(Span::to).unwrap_or(flag.span);
                    Node {
                        span,
                        size: nodes.len() + 1,
                        depth: 2,
                        data: Data::List(nodes),
                    }
                }
            };
            self.push(path, flag.span, node, source);
        }
    }

    fn push(&mut self, path: Vec<String>, span: Span, node: Node, source: SourceId) {
        let place = |span| Place { source, span };
        if path.len() > MAX_DEPTH {
            self.problems.push(
                Diagnostic::new(
                    Code::ValueType,
                    format!("a key that is nested more than {MAX_DEPTH} deep"),
                )
                .at(place(span), "no framework has keys like this")
                .help("check its dots"),
            );
            return;
        }
        if let Some(before) = self.words.insert(path.clone(), span) {
            let message = format!("`{}` is given twice", words::shown(&path.join(".")));
            // The last one wins, whatever parses it.
            self.problems.push(
                Diagnostic::new(Code::DuplicateKey, message)
                    .weighing(Severity::Warning)
                    .at(place(span), "the last one counts")
                    .at(place(before), "without effect")
                    .help("keep one of the two"),
            );
        }
        self.each.push((path, span, Some(node)));
    }

    /// Values for keys that Axolotl does not add to a file with `strict: true`.
    pub(in crate::adapt) fn kept_out(&self, root: &Map, source: SourceId) -> Vec<Diagnostic> {
        let strict = root.get("strict").and_then(|entry| entry.value.scalar());
        let is_strict = strict.is_some_and(|value| matches!(&*value.text.to_ascii_lowercase(), "true" | "yes" | "on"));
        let added = |path: &Vec<String>| path.first().is_some_and(|first| root.get(first).is_none());
        let each = self.each.iter().filter(|(path, ..)| is_strict && added(path));
        each.map(|(path, span, _)| {
            let message = format!("`{}` is dropped: the run file is strict", words::shown(&path.join(".")));
            Diagnostic::new(Code::UnknownKey, message)
                .at(Place { source, span: *span }, "`strict: true` lets no key be added")
                .help("write the key into the run file")
        })
        .collect()
    }

    /// A value; one in braces is JSON, or as good as.
    fn node_of(&mut self, word: &Word, is_plain: bool, source: SourceId) -> Node {
        let is_nested = word.text.starts_with('{') || (is_plain && word.text.starts_with('['));
        if is_nested && word.is_known() {
            let mut scratch = Sources::default();
            let id = scratch.add("value", word.text.as_str());
            let parsed = yaml::parse_within(id, scratch.get(id), self.left);
            self.left = parsed.left;
            match parsed.root {
                Some(mut root) if parsed.problems.is_empty() => {
                    match word.verbatim {
                        Some(at) => shifted(&mut root, at),
                        None => placed(&mut root, word.span),
                    }
                    return root;
                }
                _ => {
                    let place = Place {
                        source,
                        span: word.span,
                    };
                    let why = parsed.problems.first().map(|problem| problem.message.clone());
                    let mut problem = Diagnostic::new(Code::ValueType, "this value in brackets cannot be read")
                        .at(place, "neither JSON nor YAML")
                        .help("check its quotes and brackets");
                    problem.notes.extend(why);
                    self.problems.push(problem);
                }
            }
        }
        scalar(&word.text, is_plain, word.span)
    }

    /// Makes the changes; places of a second text are `shift` further on.
    pub(in crate::adapt) fn apply(self, root: &mut Map, shift: usize) {
        for (mut path, span, node) in self.each {
            // `model=other` names another class, and keeps the values of the first.
            let is_component = |key: &String| root.map(key).is_some_and(|child| child.get("_component_").is_some());
            if self.of_components && node.is_some() && path.len() == 1 && path.iter().all(is_component) {
                path.push("_component_".to_owned());
            }
            match node {
                None => remove(root, &path),
                Some(mut node) => {
                    shifted(&mut node, shift);
                    let span = Span::new(span.start + shift, span.end + shift);
                    set(root, &path, span, node);
                }
            }
        }
    }
}

/// A key as people write it on a command line, as the path of it in a run file.
fn path(key: &str, form: Form) -> Vec<String> {
    match form {
        Form::Flags => vec![key.replace('-', "_")],
        Form::Pairs | Form::PairsAndDeletions | Form::Paths => key.split('.').map(str::to_owned).collect(),
        Form::Dotted => key
            .replace('-', "_")
            .replace("__", ".")
            .split('.')
            .map(str::to_owned)
            .collect(),
    }
}

/// The key that a switch such as `--no-packing` turns off.
fn negated(path: &[String], known: Option<&Keys>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let known = known.filter(|known| !known.contains_key(first))?;
    let key = first.strip_prefix("no_").filter(|key| known.contains_key(key))?;
    Some([&[key.to_owned()], rest].concat())
}

fn scalar(text: &str, is_plain: bool, span: Span) -> Node {
    let text = Arc::from(text);
    Node {
        span,
        data: Data::Scalar(Scalar { text, is_plain }),
        size: 1,
        depth: 1,
    }
}

/// Moves every place of a tree.
fn shifted(node: &mut Node, by: usize) {
    each(node, &|span| Span::new(span.start + by, span.end + by));
}

/// Puts every place of a tree onto one.
fn placed(node: &mut Node, at: Span) {
    each(node, &|_| at);
}

fn each(node: &mut Node, f: &dyn Fn(Span) -> Span) {
    node.span = f(node.span);
    match &mut node.data {
        Data::Scalar(_) => {}
        Data::List(items) => items.iter_mut().for_each(|item| each(item, f)),
        Data::Map(map) => {
            for entry in &mut map.entries {
                each(&mut entry.key, f);
                each(&mut entry.value, f);
            }
        }
    }
}

fn remove(map: &mut Map, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        let mut kept = Map::default();
        for entry in map.entries.drain(..).filter(|entry| entry.name() != first) {
            kept.insert(entry);
        }
        *map = kept;
    } else if let Some(Data::Map(child)) = map.get_mut(first).map(|entry| &mut entry.value.data) {
        remove(child, rest);
    }
}

fn set(map: &mut Map, path: &[String], span: Span, node: Node) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let key = || scalar(first, false, span);
    if rest.is_empty() {
        match map.get_mut(first) {
            Some(entry) => {
                *entry = Entry {
                    key: key(),
                    value: node,
                    is_repeated: false,
                }
            }
            None => map.insert(Entry {
                key: key(),
                value: node,
                is_repeated: false,
            }),
        }
        return;
    }
    let is_map = map.map(first).is_some();
    if !is_map {
        let child = Node {
            span,
            data: Data::Map(Map::default()),
            size: 1,
            depth: 1,
        };
        let entry = Entry {
            key: key(),
            value: child,
            is_repeated: false,
        };
        match map.get_mut(first) {
            Some(there) => *there = entry,
            None => map.insert(entry),
        }
    }
    if let Some(Data::Map(child)) = map.get_mut(first).map(|entry| &mut entry.value.data) {
        set(child, rest, span, node);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Form, words_of};
    use super::{Map, edits};
    use crate::adapt::scalar::Loader;
    use crate::source::Sources;

    fn after(text: &str, form: Form, words: &str) -> String {
        let mut sources = Sources::default();
        let id = sources.add("run.yaml", text);
        let parsed = crate::adapt::yaml::parse(id, sources.get(id));
        let mut map = parsed.root.and_then(|root| root.map().cloned()).unwrap_or_default();
        let made = edits(&words_of(words), form, Loader::OmegaConf, None, id);
        assert!(made.problems.is_empty(), "{:?}", made.problems);
        made.apply(&mut map, 0);
        shown(&map)
    }

    fn shown(map: &Map) -> String {
        let each = map
            .entries
            .iter()
            .map(|entry| match (entry.value.map(), entry.value.scalar()) {
                (Some(child), _) => format!("{}: {{{}}}", entry.name(), shown(child)),
                (_, Some(scalar)) => format!("{}: {}", entry.name(), scalar.text),
                _ => format!("{}: []", entry.name()),
            });
        each.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_form_changes_the_tree_as_its_framework_does() {
        let file = "a: 1\nb:\n  c: 2\n  d: 3\n";
        for (form, words, expected) in [
            (Form::Pairs, "a=5 b.c=6 e=7", "a: 5, b: {c: 6, d: 3}, e: 7"),
            (Form::Pairs, "b=1", "a: 1, b: 1"),
            (Form::Pairs, "f.g=1", "a: 1, b: {c: 2, d: 3}, f: {g: 1}"),
            (Form::Pairs, "b='{c: 9}'", "a: 1, b: {c: 9}"),
            (Form::PairsAndDeletions, "~a ~b.c", "b: {d: 3}"),
            (Form::PairsAndDeletions, "a=None", "a: null, b: {c: 2, d: 3}"),
            (Form::Paths, "--b.c 6 --b__c 7", "a: 1, b: {c: 6, d: 3}, b__c: 7"),
            (Form::Dotted, "--b.c 6 --a=5", "a: 5, b: {c: 6, d: 3}"),
            (Form::Dotted, "--b__c 6 --b-d -1", "a: 1, b: {c: 6, d: 3}, b_d: -1"),
            (
                Form::Flags,
                "--a 5 6 --on --b-c x",
                "a: [], b: {c: 2, d: 3}, on: true, b_c: x",
            ),
        ] {
            assert_eq!(after(file, form, words), expected, "{words}");
        }
    }

    #[test]
    fn a_class_takes_the_place_of_a_class_and_leaves_its_values() {
        let file = "model:\n  _component_: a.b\n  rank: 8\n";
        assert_eq!(
            after(file, Form::PairsAndDeletions, "model=c.d model.rank=4"),
            "model: {_component_: c.d, rank: 4}"
        );
    }

    #[test]
    fn a_switch_with_no_in_front_turns_off_the_key_behind_it() {
        let mut sources = Sources::default();
        let id = sources.add("command", "");
        let words = words_of("--no-use-peft --no_cuda");
        let made = edits(
            &words,
            Form::Flags,
            Loader::OmegaConf,
            Some(&crate::adapt::keys::TRL),
            id,
        );
        let mut map = Map::default();
        made.apply(&mut map, 0);
        assert_eq!(shown(&map), "use_peft: false, no_cuda: true");
    }
}
