//! The keys that frameworks' loaders take.
//!
//! Each list is made from the framework's own argument classes by a script in `tests/reference`.

use super::reader::Run;
use super::table::Unknown;
use super::tree::{Entry, Map};
use super::{screen, words};
use crate::diag::{Code, Diagnostic};

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
    let (root, pages) = (run.root(), run.pages());
    let unknown = root
        .entries
        .iter()
        .filter(|entry| entry.key.scalar().is_some_and(|key| !known.contains_key(&key.text)))
        .filter(|entry| !screen::speaks(entry, pages));
    for (i, entry) in unknown.enumerate() {
        let compared = if i < COMPARED {
            known.names().collect()
        } else {
            Vec::new()
        };
        report(run, root, entry, compared);
    }
}

/// Reports keys inside a nested mapping that the framework does not take; `known` holds those it takes, between blanks.
pub(super) fn check_nested(run: &mut Run<'_>, key: &str, known: &'static str) {
    if let Some(map) = run.entry(key).and_then(|entry| entry.value.map()) {
        check_map(run, map, known);
    }
}

fn check_map(run: &mut Run<'_>, map: &Map, known: &'static str) {
    let known: Vec<&str> = known.split_whitespace().collect();
    for entry in map
        .entries
        .iter()
        .filter(|entry| !known.contains(&entry.name()))
        .take(COMPARED)
    {
        report(run, map, entry, known.clone());
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
        report(run, root, entry, known.to_vec());
    }
}

fn report(run: &mut Run<'_>, map: &Map, entry: &Entry, known: Vec<&'static str>) {
    let name = entry.name();
    let framework = run.facts.framework;
    let is_flag = run.slice(entry.key.span).starts_with("--");
    let label = match run.dialect().unknown {
        _ if is_flag => "the parser of flags may refuse it, complete it or hand it on".to_owned(),
        Unknown::Refuses => format!("{framework} refuses the whole file for it"),
        Unknown::Drops => format!("{framework} drops it without a word"),
    };
    let diagnostic = Diagnostic::new(
        Code::UnknownKey,
        format!("{framework} has no key `{}`", words::shown(name)),
    )
    .at(run.place(entry.key.span), label);
    let elsewhere = run
        .dialect()
        .elsewhere
        .iter()
        .find(|(theirs, ours)| *theirs == name && known.contains(ours))
        .map(|(_, ours)| *ours);
    // Some parsers take a flag that is cut short.
    let mut begun = known.iter().copied().filter(|key| is_flag && key.starts_with(name));
    let begun = begun.next().filter(|_| begun.next().is_none());
    let meant = elsewhere.or_else(|| words::near(name, known.iter().copied()));
    run.diagnostics.push(match (begun, meant) {
        (Some(begun), _) => diagnostic.help("write it in full").instead(format!("--{begun}")),
        (None, Some(meant)) if map.get(meant).is_some() => {
            diagnostic.help(format!("delete it; `{meant}` is written too"))
        }
        (None, Some("quantization_bit")) if name == "load_in_4bit" => {
            diagnostic.help("write `quantization_bit: 4` for it")
        }
        (None, Some(meant)) => diagnostic.instead(meant),
        (None, None) if is_flag => diagnostic.help("check its spelling, and write it in full"),
        (None, None) => diagnostic.help("delete the line, or check its spelling"),
    });
}

#[cfg(test)]
mod tests {
    use super::{AXOLOTL, LLAMA_FACTORY, LLAMA_FACTORY_V1, SWIFT, SWIFT_MEGATRON, TRL};

    #[test]
    fn every_key_is_found_and_no_other() {
        for keys in [LLAMA_FACTORY, LLAMA_FACTORY_V1, AXOLOTL, SWIFT, SWIFT_MEGATRON, TRL] {
            assert!(keys.names().count() > 40);
            for name in keys.names() {
                assert!(keys.class(name).is_some_and(|class| !class.is_empty()), "{name}");
                assert!(!keys.contains_key(&format!("{name}_")), "{name}_");
            }
        }
        assert_eq!(LLAMA_FACTORY.class("lora_rank"), Some("LoraArguments"));
        let across = "lora_rank\tLoraArguments\nv0\tlora_target";
        for other in ["", "#", "lora_r", "zzz", "v0", "peft_config", "~", across] {
            assert!(!LLAMA_FACTORY.contains_key(other), "{other}");
        }
    }
}
