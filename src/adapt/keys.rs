//! The keys that LLaMA-Factory's loaders take.
//!
//! The list is made from the framework's own argument classes by `tests/reference/llama_factory_keys.py`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::reader::Run;
use super::tree::{Entry, Map};
use super::{screen, words};
use crate::diag::{Code, Diagnostic};

/// Keys with the argument class that holds them.
pub(super) type Keys = BTreeMap<&'static str, &'static str>;

const TABLE: &str = include_str!("llama_factory_keys.tsv");

/// Keys of LLaMA-Factory v0.
pub(super) static V0: LazyLock<Keys> = LazyLock::new(|| keys("v0"));
/// Keys of LLaMA-Factory v1.
pub(super) static V1: LazyLock<Keys> = LazyLock::new(|| keys("v1"));

fn keys(version: &str) -> Keys {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let is_ours = cells.next() == Some(version);
            Some((cells.next()?, cells.next()?)).filter(|_| is_ours)
        })
        .collect()
}

/// Whether a key of v0 says how a run trains, and not only which model is loaded.
pub(super) fn is_of_training(key: &str) -> bool {
    V0.get(key).is_some_and(|class| {
        let class = class.split('@').next().unwrap_or(class);
        matches!(
            class,
            "TrainingArguments" | "Seq2SeqTrainingArguments" | "RayArguments" | "Fp8Arguments"
        )
    })
}

/// What other frameworks call things.
const ELSEWHERE: &[(&str, &str)] = &[
    ("base_model", "model_name_or_path"),
    ("batch_size", "per_device_train_batch_size"),
    ("early_stopping_patience", "early_stopping_steps"),
    ("epochs", "num_train_epochs"),
    ("evaluation_strategy", "eval_strategy"),
    ("load_in_4bit", "quantization_bit"),
    ("lora_r", "lora_rank"),
    ("lora_target_modules", "lora_target"),
    ("lr", "learning_rate"),
    ("lr_scheduler", "lr_scheduler_type"),
    ("max_length", "cutoff_len"),
    ("max_seq_length", "cutoff_len"),
    ("micro_batch_size", "per_device_train_batch_size"),
    ("model", "model_name_or_path"),
    ("model_name", "model_name_or_path"),
    ("model_path", "model_name_or_path"),
    ("num_epochs", "num_train_epochs"),
    ("optimizer", "optim"),
    ("sequence_len", "cutoff_len"),
    ("target_modules", "lora_target"),
    ("warmup", "warmup_ratio"),
];

/// How many unknown keys are compared with the known ones; a file with more of them is something else.
const COMPARED: usize = 20;

/// Reports top-level keys that the framework refuses.
pub(super) fn check(run: &mut Run<'_>, known: &Keys) {
    let root = run.root();
    let unknown = root
        .entries
        .iter()
        .filter(|entry| entry.key.scalar().is_some_and(|key| !known.contains_key(&*key.text)))
        .filter(|entry| !screen::speaks(entry));
    for (i, entry) in unknown.enumerate() {
        let compared = if i < COMPARED {
            known.keys().copied().collect()
        } else {
            Vec::new()
        };
        report(run, root, entry, compared);
    }
}

/// Reports keys inside a nested mapping that the framework refuses; `known` holds those it takes, between blanks.
pub(super) fn check_nested(run: &mut Run<'_>, key: &str, known: &'static str) {
    let Some(map) = run.entry(key).and_then(|entry| entry.value.map()) else {
        return;
    };
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

fn report(run: &mut Run<'_>, map: &Map, entry: &Entry, known: Vec<&'static str>) {
    let name = entry.name();
    let framework = run.facts.framework;
    let diagnostic = Diagnostic::new(
        Code::UnknownKey,
        format!("{framework} has no key `{}`", words::shown(name)),
    )
    .at(
        run.place(entry.key.span),
        format!("{framework} refuses the whole file for it"),
    );
    let elsewhere = ELSEWHERE
        .iter()
        .find(|(theirs, ours)| *theirs == name && known.contains(ours))
        .map(|(_, ours)| *ours);
    let meant = elsewhere.or_else(|| words::near(name, known.iter().copied()));
    run.diagnostics.push(match meant {
        Some(meant) if map.get(meant).is_some() => diagnostic.help(format!("delete it; `{meant}` is written too")),
        Some("quantization_bit") if name == "load_in_4bit" => diagnostic.help("write `quantization_bit: 4` for it"),
        Some(meant) => diagnostic.instead(meant),
        None => diagnostic.help("delete the line, or check its spelling"),
    });
}
