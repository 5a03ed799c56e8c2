//! Run files that other projects ship, read and compared with records that were made from the frameworks' own sources.
//!
//! The files are not part of the repository; `FTRISK_CORPUS` names the folder that holds them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ftrisk::adapt::{Launch, Read, read};
use ftrisk::diag::{Code, Severity};
use ftrisk::facts::{Derived, Facts, Input, Words, derive};
use ftrisk::quantity::{Category, Quantity};
use ftrisk::source::Sources;
use serde_json::Value;

/// A record that we do not follow, and the rule that decides. The path is the beginning of a file's name.
const DISPUTES: &[(&str, &str, &str)] = &[
    (
        "examples__v1__",
        "stage",
        "in v1 the sub-command says what is taught (train or sft, dpo, rm); the record guesses it from file names",
    ),
    (
        "examples__v1__train_batching_strategy__train_full_fsdp2_dynamic_padding_free",
        "per_device",
        "dynamic_padding_free fills micro_batch_size × cutoff_len tokens: micro_batch_size is the least number of samples",
    ),
    (
        "examples__v1__train_batching_strategy__train_full_fsdp2_dynamic_padding_free",
        "eff_bs",
        "the number of samples in an update follows from their lengths, see per_device",
    ),
    (
        "examples__extras__adam_mini__",
        "optim",
        "use_adam_mini puts another optimizer in the place of optim (create_custom_optimizer)",
    ),
    (
        "examples__extras__apollo__",
        "optim",
        "use_apollo puts another optimizer in the place of optim (create_custom_optimizer)",
    ),
    (
        "examples__extras__badam__",
        "optim",
        "use_badam puts another optimizer in the place of optim (create_custom_optimizer)",
    ),
    (
        "examples__extras__galore__",
        "optim",
        "use_galore puts another optimizer in the place of optim (create_custom_optimizer)",
    ),
];

/// The corpus, or `None` where it is not there; then `FTRISK_NO_SKIP` decides whether that is a failure.
pub fn corpus() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FTRISK_CORPUS") {
        return Some(PathBuf::from(path));
    }
    // Past the capture of the test runner, which hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: FTRISK_CORPUS is not set");
    assert!(
        std::env::var_os("FTRISK_NO_SKIP").is_none(),
        "FTRISK_CORPUS is not set, and FTRISK_NO_SKIP forbids to skip"
    );
    None
}

pub fn read_file(path: &Path, launch: Launch) -> Read {
    let mut sources = Sources::default();
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let id = sources.add(path.display().to_string(), text);
    read(id, &sources, launch)
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect();
    paths.sort();
    paths
}

fn number(facts: &Facts, input: Input) -> Option<f64> {
    facts.values(input).filter(|set| set.is_point()).map(|set| set.lo())
}

fn derived(facts: &Facts, quantity: Quantity) -> Option<f64> {
    match derive(quantity, facts) {
        Derived::Values { values, .. } if values.is_point() => Some(values.lo()),
        _ => None,
    }
}

fn word(facts: &Facts, category: Category) -> Option<String> {
    match &facts.word(category)?.words {
        Words::One(word) => Some(word.clone()),
        Words::Set(words) => Some(words.join(",")),
        _ => None,
    }
}

/// What we know of a field of the records; numbers as the shortest text that reads back.
fn ours(facts: &Facts, field: &str) -> Option<String> {
    let shown = |value: Option<f64>| value.map(|value| value.to_string());
    match field {
        "tuner" => word(facts, Category::Method),
        "stage" => word(facts, Category::Stage),
        "lr" => shown(number(facts, Input::LearningRate)),
        "sched" => word(facts, Category::Scheduler),
        "warmup" => {
            let steps = number(facts, Input::WarmupSteps).filter(|steps| *steps > 0.0);
            shown(steps.or(number(facts, Input::WarmupRatio)))
        }
        "optim" => word(facts, Category::Optimizer),
        "wd" => shown(number(facts, Input::WeightDecay)),
        "clip" => shown(number(facts, Input::ClipNorm)),
        "per_device" => shown(number(facts, Input::PerDevice)),
        "accum" => shown(number(facts, Input::Accumulation)),
        "eff_bs" => shown(derived(facts, Quantity::BatchEffective)),
        "epochs" => shown(number(facts, Input::Epochs)),
        "max_steps" => shown(number(facts, Input::MaxSteps)),
        "rank" => shown(number(facts, Input::Rank)),
        "alpha" => shown(number(facts, Input::Alpha)),
        "scale" => shown(derived(facts, Quantity::LoraScale)),
        "targets" => word(facts, Category::LoraTargets),
        "bits" => word(facts, Category::Quantization).map(|word| word.trim_end_matches("bit").to_owned()),
        "seed" => shown(number(facts, Input::Seed)),
        "max_samples" => shown(number(facts, Input::MaxSamples)),
        "kl_beta" => shown(number(facts, Input::PreferenceBeta)),
        other => panic!("no such field: {other}"),
    }
}

const FIELDS: &[&str] = &[
    "tuner",
    "stage",
    "lr",
    "sched",
    "warmup",
    "optim",
    "wd",
    "clip",
    "per_device",
    "accum",
    "eff_bs",
    "epochs",
    "max_steps",
    "rank",
    "alpha",
    "scale",
    "targets",
    "bits",
    "seed",
    "max_samples",
    "kl_beta",
];

/// What a record claims; `None` is no claim.
fn theirs(record: &Value, field: &str) -> Option<String> {
    match &record[field] {
        Value::Null => None,
        Value::String(text) if text == "adamw_torch*" => Some("adamw".into()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        other => panic!("{field} is {other}"),
    }
}

#[test]
fn facts_agree_with_the_records() {
    let Some(corpus) = corpus() else { return };
    let text = std::fs::read_to_string(corpus.join("expected.jsonl")).unwrap();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["framework"] == "llamafactory");
    let launch = Launch {
        world_size: Some(1),
        dataset_rows: None,
        ..Launch::default()
    };
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut met: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut read = 0;
    for record in records {
        let path = record["path"].as_str().unwrap();
        let name = path.rsplit('/').next().unwrap();
        read += 1;
        let facts = read_file(&corpus.join(path), launch)
            .facts
            .unwrap_or_else(|| panic!("{path} has no facts"));
        for field in FIELDS {
            let Some(theirs) = theirs(&record, field) else { continue };
            let agrees = ours(&facts, field).as_deref() == Some(&theirs);
            counts.entry(*field).or_default()[usize::from(!agrees)] += 1;
            let dispute = DISPUTES
                .iter()
                .find(|(start, disputed, _)| name.starts_with(start) && disputed == field);
            match (agrees, dispute) {
                (true, None) => {}
                (false, Some((start, field, _))) => *met.entry((*start, *field)).or_default() += 1,
                (true, Some((_, _, rule))) => wrong.push(format!("{name}: {field} agrees, though: {rule}")),
                (false, None) => wrong.push(format!(
                    "{name}: {field} is {:?}, recorded {theirs}",
                    ours(&facts, field)
                )),
            }
        }
    }
    assert_eq!(
        read,
        files(&corpus.join("configs/llamafactory")).len(),
        "a file has no record"
    );
    println!("{read} LLaMA-Factory files; field: agreed / disputed");
    for field in FIELDS {
        let [agreed, not] = counts.get(field).copied().unwrap_or_default();
        println!("  {field:<12} {agreed:>3} / {not}");
    }
    for (start, field, rule) in DISPUTES {
        match met.get(&(*start, *field)) {
            Some(times) => println!("  disputed {times} times: {field} of {start}*: {rule}"),
            None => wrong.push(format!("a dispute that does not occur: {field} of {start}*")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_llama_factory_run_is_read_without_an_error() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    for path in files(&corpus.join("configs/llamafactory")) {
        let read = read_file(&path, Launch::default());
        if read.facts.is_none() || read.diagnostics.iter().any(|found| found.severity == Severity::Error) {
            wrong.push(format!("{}: {:#?}", path.display(), read.diagnostics));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_run_is_refused() {
    let Some(corpus) = corpus() else { return };
    let paths = files(&corpus.join("not-runs"));
    let mut wrong = Vec::new();
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &paths {
        let read = read_file(path, Launch::default());
        let error = read.diagnostics.iter().find(|found| found.severity == Severity::Error);
        match (read.facts, error) {
            (None, Some(error)) => *codes.entry(error.code.name()).or_default() += 1,
            _ => wrong.push(path.display().to_string()),
        }
    }
    println!("{} files that are no runs: {codes:?}", paths.len());
    assert!(wrong.is_empty(), "not refused:\n{}", wrong.join("\n"));
}

/// The beginning of the message for each folder.
const NAMES: &[(&str, &str)] = &[
    ("axolotl", "this looks like an Axolotl"),
    ("torchtune", "this looks like a torchtune"),
    ("trl", "this looks like a TRL or transformers"),
    ("alignment-handbook", "this looks like a TRL or transformers"),
    ("ms-swift", "this looks like an ms-swift"),
    ("nemo-automodel", "this looks like a NeMo Automodel"),
    ("litgpt", "this looks like a LitGPT"),
    ("mlx-lm", "this looks like an mlx-lm"),
];

#[test]
fn runs_of_other_frameworks_are_refused_by_name() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    for folder in other_frameworks(&corpus) {
        let framework = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let (mut all, mut named) = (0, 0);
        for path in files(&folder) {
            all += 1;
            let read = read_file(&path, Launch::default());
            let refusal = read
                .diagnostics
                .iter()
                .find(|found| matches!(found.code, Code::UnknownFormat | Code::NotARun));
            let message = refusal.map_or("", |found| &found.message);
            let name = NAMES
                .iter()
                .find(|(folder, _)| *folder == framework)
                .map(|(_, name)| *name);
            named += usize::from(name.is_some_and(|name| message.starts_with(name)));
            if read.facts.is_some() || refusal.is_none() {
                wrong.push(path.display().to_string());
            } else if name.is_some_and(|name| !message.starts_with(name)) {
                println!("  {}: {message}", path.display());
            }
        }
        println!("{framework}: {named} of {all} by name");
    }
    assert!(wrong.is_empty(), "not refused:\n{}", wrong.join("\n"));
}

/// The folders of all frameworks but ours.
fn other_frameworks(corpus: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(corpus.join("configs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("llamafactory"))
        .collect();
    folders.sort();
    folders
}
