//! The keys that frameworks' loaders take.
//!
//! Each list is made from the framework's own code by a script in `tests/reference`: from its argument classes, or,
//! where recipes ask for keys by name and hand the others to what a dotted path names, from its recipes and from the
//! arguments of what can be named.

use std::collections::BTreeSet;

use super::reader::Run;
use super::scalar::Loader;
use super::table::Unknown;
use super::tree::{Data, Entry, Map, Node};
use super::{screen, words};
use crate::diag::{Code, Diagnostic, Severity};

/// The keys of one loader.
///
/// They are looked up in the text of the table by halving it: a run file has thirty keys, and a check is over before a
/// map of all four hundred would be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    /// Lines of version, key and the class that holds it, between tabs, sorted.
    table: &'static str,
    version: &'static str,
}

/// Keys of LLaMA-Factory v0.
pub(super) const LLAMA_FACTORY: Keys = Keys {
    table: include_str!("keys/llama_factory.tsv"),
    version: "v0",
};
/// Keys of LLaMA-Factory v1.
pub(super) const LLAMA_FACTORY_V1: Keys = Keys {
    version: "v1",
    ..LLAMA_FACTORY
};
/// Keys of TRL, with alignment-handbook's.
pub(super) const TRL: Keys = Keys {
    table: include_str!("keys/trl.tsv"),
    version: "trl",
};

/// Keys of Axolotl; the class of a plugin's key ends with `:` and the plugin's package.
pub(super) const AXOLOTL: Keys = Keys {
    table: include_str!("keys/axolotl.tsv"),
    version: "axolotl",
};
/// Keys of ms-swift's `swift` commands.
pub(super) const SWIFT: Keys = Keys {
    table: include_str!("keys/swift.tsv"),
    version: "hf",
};
/// Keys of ms-swift's `megatron` commands.
pub(super) const SWIFT_MEGATRON: Keys = Keys {
    version: "megatron",
    ..SWIFT
};
/// Keys that torchtune's recipes read; the class is the recipes that do, between commas.
pub(super) const TORCHTUNE: Keys = Keys {
    table: include_str!("keys/torchtune.tsv"),
    version: "recipe",
};
/// torchtune's components by their paths; the class is their arguments, between blanks.
pub(super) const TORCHTUNE_COMPONENTS: Keys = Keys {
    version: "component",
    ..TORCHTUNE
};
/// Keys that NeMo Automodel's recipes read.
pub(super) const NEMO: Keys = Keys {
    table: include_str!("keys/nemo.tsv"),
    version: "recipe",
};
/// NeMo Automodel's components by their paths; the class is their arguments, between blanks.
pub(super) const NEMO_COMPONENTS: Keys = Keys {
    version: "component",
    ..NEMO
};
/// Sections that NeMo Automodel checks; the class is the keys that they may have, between blanks.
pub(super) const NEMO_TYPED: Keys = Keys {
    version: "typed",
    ..NEMO
};
/// Sections from which NeMo Automodel reads what it knows.
pub(super) const NEMO_READ: Keys = Keys {
    version: "read",
    ..NEMO
};
/// Optimizers by their paths; the class is their arguments, between blanks.
pub(super) const OPTIMIZERS: Keys = Keys {
    table: include_str!("keys/optimizers.tsv"),
    version: "optimizer",
};

impl Keys {
    /// The argument class that holds a key.
    pub(super) fn class(&self, key: &str) -> Option<&'static str> {
        if key.contains(|c: char| c.is_ascii_control()) {
            return None;
        }
        // A tab comes before whatever a key is written with, so the lines are in the order of their bytes.
        let sought = [self.version, "\t", key, "\t"].concat();
        let bytes = self.table.as_bytes();
        let is_end = |byte: &u8| *byte == b'\n';
        let (mut from, mut to) = (0, bytes.len());
        while from < to {
            let before = bytes.get(from..from + (to - from) / 2)?;
            let start = before.iter().rposition(is_end).map_or(from, |end| from + end + 1);
            let line = bytes.get(start..to)?;
            match line.get(..sought.len()).unwrap_or(line).cmp(sought.as_bytes()) {
                std::cmp::Ordering::Less => from = start + line.iter().position(is_end)? + 1,
                std::cmp::Ordering::Greater => to = start,
                std::cmp::Ordering::Equal => return self.table.get(start + sought.len()..)?.lines().next(),
            }
        }
        None
    }

    /// Whether the framework takes a key.
    pub(super) fn contains_key(&self, key: &str) -> bool {
        self.class(key).is_some()
    }

    /// Every key, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let version = self.version;
        self.table
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(move |(theirs, _)| *theirs == version)
            .filter_map(|(_, rest)| Some(rest.split_once('\t')?.0))
    }
}

/// Whether a key of v0 says how a run trains, and not only which model is loaded.
pub(super) fn is_of_training(key: &str) -> bool {
    LLAMA_FACTORY.class(key).is_some_and(|class| {
        let class = class.split('@').next().unwrap_or(class);
        matches!(
            class,
            "TrainingArguments" | "Seq2SeqTrainingArguments" | "RayArguments" | "Fp8Arguments"
        )
    })
}

/// How many unknown keys are compared with the known ones; a file with more of them is something else.
const COMPARED: usize = 20;

/// Reports top-level keys that the framework does not take.
pub(super) fn check(run: &mut Run<'_>, known: &Keys) {
    check_but(run, known, |_| false);
}

/// Reports top-level keys that the framework does not take, but for some.
pub(super) fn check_but(run: &mut Run<'_>, known: &Keys, is_known: fn(&str) -> bool) {
    let (root, pages) = (run.root(), run.pages());
    let variables = variables(run);
    let unknown = root
        .entries
        .iter()
        .filter(|entry| entry.key.scalar().is_some_and(|key| !known.contains_key(&key.text)))
        .filter(|entry| !is_known(entry.name()) && !variables.contains(entry.name()))
        .filter(|entry| !screen::speaks(entry, pages));
    for (i, entry) in unknown.enumerate() {
        let compared = if i < COMPARED {
            known.names().collect()
        } else {
            Vec::new()
        };
        report(run, root, entry, compared, Fate::OfFile);
    }
}

/// The keys that a file which is filled in from itself refers to: those are somebody's variables.
fn variables<'a>(run: &Run<'a>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    if run.dialect().loader == Loader::Interpolating {
        for entry in &run.root().entries {
            refer(run, &entry.value, &mut names);
        }
    }
    names
}

/// The first names of all references under a node.
fn refer<'a>(run: &Run<'a>, node: &Node, names: &mut BTreeSet<&'a str>) {
    match &node.data {
        Data::Scalar(_) => {
            let inside = run.slice(node.span).split("${").skip(1);
            names.extend(inside.filter_map(|rest| rest.trim_start().split(['}', '.', '[', ':', ' ']).next()));
        }
        Data::List(items) => items.iter().for_each(|item| refer(run, item, names)),
        Data::Map(map) => map.entries.iter().for_each(|entry| refer(run, &entry.value, names)),
    }
}

/// Reports keys inside a nested mapping that the framework does not take; `known` holds those it takes, between blanks.
pub(super) fn check_nested(run: &mut Run<'_>, key: &str, known: &'static str) {
    check_section(run, key, known, Fate::OfFile);
}

/// The same where the framework checks a section by itself, whatever it does with others.
pub(super) fn check_typed(run: &mut Run<'_>, key: &str, known: &'static str) {
    check_section(run, key, known, Fate::Stops);
}

fn check_section(run: &mut Run<'_>, key: &str, known: &'static str, fate: Fate<'_>) {
    if let Some(map) = run.entry(key).and_then(|entry| entry.value.map()) {
        let known: Vec<&str> = known.split_whitespace().collect();
        check_map(run, map, &known, fate);
    }
}

fn check_map(run: &mut Run<'_>, map: &Map, known: &[&'static str], fate: Fate<'_>) {
    for entry in map
        .entries
        .iter()
        .filter(|entry| !known.contains(&entry.name()))
        .take(COMPARED)
    {
        report(run, map, entry, known.to_vec(), fate);
    }
}

/// Reports arguments that what is named beside them does not take; `sections` are the keys at the top that are made of
/// such mappings, and `tables` hold what can be named.
pub(super) fn check_components(run: &mut Run<'_>, mark: Mark, sections: &Keys, tables: &[Keys]) {
    let root = run.root();
    let mut maps = Vec::new();
    for entry in &root.entries {
        if sections.contains_key(entry.name()) {
            collect(&entry.value, mark.key, &mut maps);
        }
    }
    // What an alias or a reference repeats is reported once.
    let mut seen = BTreeSet::new();
    for map in maps {
        let Some(mark_entry) = map.get(mark.key).filter(|entry| seen.insert(entry.key.span)) else {
            continue;
        };
        let path = mark_entry.value.scalar();
        let class = |path: &str| tables.iter().find_map(|table| table.class(path));
        let Some((path, arguments)) = path.and_then(|path| Some((&*path.text, class(&path.text)?))) else {
            continue;
        };
        let (module, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut known: Vec<&str> = arguments.split_whitespace().collect();
        let hands_on = known.last() == Some(&OTHERS);
        known.retain(|name| *name != OTHERS);
        known.extend([mark.key].into_iter().chain(mark.own));
        // torchtune has a builder of its own for a model with an adapter.
        let with_adapter = format!("{module}.lora_{name}");
        let adapted: Vec<&str> = class(&with_adapter).map_or(Vec::new(), |all| all.split_whitespace().collect());
        for entry in map
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.name()))
            .take(COMPARED)
        {
            let fate = match (hands_on, adapted.contains(&entry.name())) {
                (false, false) => Fate::NoArgument(name),
                (false, true) => Fate::OfAnother(name, &with_adapter),
                (true, _) => Fate::HandedOn(name),
            };
            // Whoever is handed the rest may take it; what is nearly an argument was meant for this one.
            if !hands_on || words::near(entry.name(), known.iter().copied()).is_some() {
                report(run, map, entry, known.clone(), fate);
            }
        }
    }
}

/// How a framework names a component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// The key that holds the dotted path.
    key: &'static str,
    /// What the framework takes for itself, whatever is named.
    own: Option<&'static str>,
}

/// torchtune's.
pub(super) const COMPONENT: Mark = Mark {
    key: "_component_",
    own: None,
};
/// NeMo Automodel's; it groups an optimizer's parameters before the optimizer sees them.
pub(super) const TARGET: Mark = Mark {
    key: "_target_",
    own: Some("param_group_overrides"),
};
/// In the arguments of what hands others on.
const OTHERS: &str = "**";

/// Every mapping under a node that names a component.
fn collect<'a>(node: &'a Node, mark: &str, maps: &mut Vec<&'a Map>) {
    match &node.data {
        Data::Scalar(_) => {}
        Data::List(items) => items.iter().for_each(|item| collect(item, mark, maps)),
        Data::Map(map) => {
            if map.get(mark).is_some() {
                maps.push(map);
            }
            map.entries.iter().for_each(|entry| collect(&entry.value, mark, maps));
        }
    }
}

/// Reports top-level keys that are none of `known`, for a dialect without a table of them.
pub(super) fn check_top(run: &mut Run<'_>, known: &[&'static str]) {
    let (root, pages) = (run.root(), run.pages());
    let unknown = root
        .entries
        .iter()
        .filter(|entry| entry.key.scalar().is_some() && !known.contains(&entry.name()))
        .filter(|entry| !screen::speaks(entry, pages));
    for entry in unknown.take(COMPARED) {
        report(run, root, entry, known.to_vec(), Fate::OfFile);
    }
}

/// What becomes of a key that is not known.
#[derive(Clone, Copy)]
enum Fate<'a> {
    /// What the framework does with any of the file.
    OfFile,
    /// The framework checks this section, and stops.
    Stops,
    /// It is an argument of this component, which takes none of this name.
    NoArgument(&'a str),
    /// The same, and that component takes it.
    OfAnother(&'a str, &'a str),
    /// This component hands it on to others.
    HandedOn(&'a str),
}

fn report(run: &mut Run<'_>, map: &Map, entry: &Entry, known: Vec<&'static str>, fate: Fate<'_>) {
    let name = entry.name();
    let framework = run.facts.framework;
    let is_flag = run.slice(entry.key.span).starts_with("--");
    let shown = words::shown(name);
    let message = match fate {
        Fate::NoArgument(component) | Fate::OfAnother(component, _) | Fate::HandedOn(component) => {
            format!("`{}` has no argument `{shown}`", words::shown(component))
        }
        Fate::OfFile | Fate::Stops => format!("{framework} has no key `{shown}`"),
    };
    let label = match (fate, run.dialect().unknown) {
        (Fate::OfFile, _) if is_flag => "the parser of flags may refuse it, complete it or hand it on".to_owned(),
        (Fate::OfFile, Unknown::Refuses) => format!("{framework} refuses the whole file for it"),
        (Fate::OfFile, Unknown::Drops) => format!("{framework} drops it without a word"),
        (Fate::Stops, _) => format!("{framework} checks this section, and stops"),
        (Fate::NoArgument(_) | Fate::OfAnother(..), _) => format!("{framework} stops with a TypeError"),
        (Fate::HandedOn(_), _) => "it is handed on to what this calls, which may refuse it".to_owned(),
    };
    let mut diagnostic = Diagnostic::new(Code::UnknownKey, message).at(run.place(entry.key.span), label);
    if let Fate::HandedOn(_) = fate {
        diagnostic = diagnostic.weighing(Severity::Warning);
    }
    if let Fate::OfAnother(_, other) = fate {
        let diagnostic = diagnostic.help(format!("delete it, or name `{other}`, which takes it"));
        run.diagnostics.push(diagnostic);
        return;
    }
    let is_top = std::ptr::eq(map, run.root());
    let is_here = |ours: &str| match ours.split_once('.') {
        Some((parent, _)) => is_top && known.contains(&parent),
        None => known.contains(&ours),
    };
    let elsewhere = run.dialect().elsewhere.iter();
    let elsewhere = elsewhere
        .filter(|(theirs, _)| *theirs == name)
        .find_map(|(_, ours)| is_here(ours).then_some(*ours));
    // Some parsers take a flag that is cut short.
    let mut begun = known.iter().copied().filter(|key| is_flag && key.starts_with(name));
    let begun = begun.next().filter(|_| begun.next().is_none());
    let meant = elsewhere.or_else(|| words::near(name, known.iter().copied()));
    let is_written = |ours: &str| match ours.split_once('.') {
        Some(_) => run.entry(ours).is_some(),
        None => map.get(ours).is_some(),
    };
    let diagnostic = match (begun, meant) {
        (Some(begun), _) => diagnostic.help("write it in full").instead(format!("--{begun}")),
        (None, Some(meant)) if is_written(meant) => diagnostic.help(format!("delete it; `{meant}` is written too")),
        (None, Some("quantization_bit")) if name == "load_in_4bit" => {
            diagnostic.help("write `quantization_bit: 4` for it")
        }
        (None, Some(meant)) => match meant.rsplit_once('.') {
            Some((parent, key)) => diagnostic.help(format!("write `{key}` under `{parent}`")),
            None => diagnostic.instead(meant),
        },
        (None, None) if is_flag => diagnostic.help("check its spelling, and write it in full"),
        (None, None) => diagnostic.help("delete the line, or check its spelling"),
    };
    run.diagnostics.push(diagnostic);
}

#[cfg(test)]
mod tests {
    use super::{
        AXOLOTL, LLAMA_FACTORY, LLAMA_FACTORY_V1, NEMO, NEMO_COMPONENTS, NEMO_READ, NEMO_TYPED, OPTIMIZERS, SWIFT,
        SWIFT_MEGATRON, TORCHTUNE, TORCHTUNE_COMPONENTS, TRL,
    };

    #[test]
    fn every_key_is_found_and_no_other() {
        for (keys, least) in [
            (LLAMA_FACTORY, 400),
            (LLAMA_FACTORY_V1, 40),
            (AXOLOTL, 400),
            (SWIFT, 400),
            (SWIFT_MEGATRON, 200),
            (TRL, 400),
            (TORCHTUNE, 90),
            (TORCHTUNE_COMPONENTS, 400),
            (NEMO, 70),
            (NEMO_COMPONENTS, 300),
            (NEMO_TYPED, 8),
            (NEMO_READ, 3),
            (OPTIMIZERS, 60),
        ] {
            assert!(keys.names().count() >= least, "{:?}", keys.names().count());
            for name in keys.names() {
                assert!(keys.contains_key(name), "{name}");
                assert!(!keys.contains_key(&format!("{name}~")), "{name}~");
            }
        }
        assert_eq!(LLAMA_FACTORY.class("lora_rank"), Some("LoraArguments"));
        // A builder that takes nothing.
        assert_eq!(
            TORCHTUNE_COMPONENTS.class("torchtune.models.llama3.llama3_8b"),
            Some("")
        );
        let across = "lora_rank\tLoraArguments\nv0\tlora_target";
        for other in ["", "#", "lora_r", "zzz", "v0", "peft_config", "~", across] {
            assert!(!LLAMA_FACTORY.contains_key(other), "{other}");
        }
    }
}
