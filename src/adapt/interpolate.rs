//! References to other keys of the same file, as OmegaConf fills them in: `${batch_size}`, `${training.seed}`.
//!
//! Only a text that is one reference is filled in, with the scalar that it names and its own place. Whatever asks for
//! more stays a placeholder: resolvers such as `${oc.env:LR}`, keys that are not there, circles, lists and mappings.

use std::collections::{BTreeMap, BTreeSet};

use super::pages::Pages;
use super::scalar::Loader;
use super::tree::{Data, Map, Node, Scalar};
use super::words::shown;
use super::yaml::{MAX_NODES, weight};
use crate::diag::{Code, Diagnostic, Severity};
use crate::source::Span;

/// How many references lead from one to the next at most; a circle has no end.
const MOST_HOPS: usize = 16;
/// How many references are followed in a file at most, each counted with the length of the text that it leads to.
const MOST_FOLLOWED: usize = MAX_NODES;

/// Fills in the references of a file whose loader does so. Returns the texts that are built around references that
/// could be filled in, as `${output_dir}/logs` is.
pub(super) fn fill_in(root: &mut Node, loader: Loader) -> BTreeSet<Span> {
    let mut found = Found {
        named: BTreeMap::new(),
        composed: BTreeSet::new(),
        left: MOST_FOLLOWED,
    };
    if let (Loader::Interpolating, Some(map)) = (loader, root.map()) {
        found.look(map, root);
    }
    if !found.named.is_empty() {
        put(root, &found.named);
    }
    found.composed
}

/// What is said of texts that are built around references: once a file, because a file has many.
pub(super) fn told(pages: Pages<'_>, composed: &BTreeSet<Span>) -> Option<Diagnostic> {
    let first = *composed.first()?;
    let text = shown(pages.slice(first));
    let diagnostic = Diagnostic::new(
        Code::ValueUnresolved,
        format!("`{text}` is a text around a reference, and ftrisk does not put it together"),
    )
    .weighing(Severity::Warning)
    .at(pages.place(first), "what follows from it is not known")
    .help("nothing, where no limit asks for it; else write the text out");
    Some(match composed.len() {
        1 => diagnostic,
        2 => diagnostic.note("1 more such text in this file"),
        all => diagnostic.note(format!("{} more such texts in this file", all - 1)),
    })
}

struct Found {
    /// What stands in the place of a text that is one reference.
    named: BTreeMap<Span, Scalar>,
    /// Texts with references that could be filled in, and more around them.
    composed: BTreeSet<Span>,
    /// How many more references are followed.
    left: usize,
}

/// Where a text leads.
enum Leads<'a> {
    /// To a value.
    Value(&'a Scalar),
    /// To a text that is put together from values.
    Composed,
}

impl Found {
    fn look(&mut self, root: &Map, node: &Node) {
        match &node.data {
            Data::Scalar(scalar) if scalar.text.contains("${") => match self.leads(root, scalar, MOST_HOPS) {
                Some(Leads::Value(value)) => {
                    self.named.insert(node.span, value.clone());
                }
                Some(Leads::Composed) => {
                    self.composed.insert(node.span);
                }
                None => {}
            },
            Data::Scalar(_) => {}
            Data::List(items) => items.iter().for_each(|item| self.look(root, item)),
            Data::Map(map) => map.entries.iter().for_each(|entry| self.look(root, &entry.value)),
        }
    }

    /// Where a scalar leads; `None` when something in it cannot be filled in.
    fn leads<'a>(&mut self, root: &'a Map, scalar: &'a Scalar, hops: usize) -> Option<Leads<'a>> {
        self.left = self.left.checked_sub(weight(&scalar.text))?;
        if !scalar.text.contains("${") {
            return (&*scalar.text != "???").then_some(Leads::Value(scalar));
        }
        let hops = hops.checked_sub(1)?;
        if let Some(path) = reference(&scalar.text) {
            return self.leads(root, named(root, path)?, hops);
        }
        for part in scalar.text.split("${").skip(1) {
            let (path, _) = part.split_once('}')?;
            self.leads(root, named(root, path_of(path)?)?, hops)?;
        }
        Some(Leads::Composed)
    }
}

/// Puts the values in the places of the references.
fn put(node: &mut Node, values: &BTreeMap<Span, Scalar>) {
    match &mut node.data {
        Data::Scalar(scalar) => {
            if let Some(value) = values.get(&node.span) {
                *scalar = value.clone();
            }
        }
        Data::List(items) => items.iter_mut().for_each(|item| put(item, values)),
        Data::Map(map) => map.entries.iter_mut().for_each(|entry| put(&mut entry.value, values)),
    }
}

/// The path of a text that is one reference from the top of the file.
fn reference(text: &str) -> Option<&str> {
    path_of(text.strip_prefix("${")?.strip_suffix('}')?)
}

/// What stands between the braces of a reference, where it is a path of keys and asks for nothing more.
fn path_of(inside: &str) -> Option<&str> {
    let path = inside.trim();
    let is_key = |key: &str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    path.split('.').all(is_key).then_some(path)
}

/// The scalar under a path; a key that is written twice has none.
fn named<'a>(root: &'a Map, path: &str) -> Option<&'a Scalar> {
    let once = |map: &'a Map, key: &str| map.get(key).filter(|entry| !entry.is_repeated);
    match path.rsplit_once('.') {
        None => once(root, path)?.value.scalar(),
        Some((parents, key)) => {
            let map = parents
                .split('.')
                .try_fold(root, |map, key| once(map, key)?.value.map())?;
            once(map, key)?.value.scalar()
        }
    }
}
