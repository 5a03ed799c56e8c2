//! Run files that the frameworks themselves have read, and what we make of them.
//!
//! `tests/reference/frameworks/oracle.py` hands a run file to the framework's own loader, parser and post-init, and
//! prints the values that training would start with. Those of our own fixtures lie beside them; `FTRISK_FRAMEWORKS`
//! names a file of further ones, one a line, whose run files lie elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ftrisk::adapt::{Launch, Read, frameworks};
use ftrisk::diag::Severity;
use serde_json::Value;

use super::corpus::{files, ours, read_file, spelled};

/// Where we say less than the framework did, on purpose: the file, the field, and why.
const OPEN: &[(&str, &str, &str)] = &[
    ("batch.yaml", "accum", OF_BATCH_SIZE),
    ("batch.yaml", "eff_bs", OF_BATCH_SIZE),
    (
        "both_warmups.yaml",
        "warmup",
        "transformers 4 takes the steps, and 5 takes the ratio",
    ),
    (
        "no_seed.yaml",
        "seed",
        "the trainer has one, and the data are shuffled without",
    ),
    ("never.yaml", "passes", "a key that is dropped is a finding here"),
    (
        "ratio.sft.yaml",
        "refused",
        "transformers up to 5.14 take the older spelling, and no release trains without a word",
    ),
    (
        "steps.sft.yaml",
        "warmup",
        "some versions of transformers 5 drop the steps",
    ),
];

const OF_BATCH_SIZE: &str = "updates are counted in batches of batch_size, and made of micro_batch_size";

/// The verdict on a field.
enum Field {
    Agrees,
    /// We say that it is not known.
    Open,
    Differs(String),
}

fn compared(read: &Read, field: &str, theirs: &Value) -> Field {
    let Some(facts) = &read.facts else {
        return Field::Differs("no facts".into());
    };
    let known = ours(facts, field);
    let theirs = match theirs {
        Value::Null if known.is_none() => return Field::Agrees,
        // The kind of model decides, and is not read here.
        Value::String(word) if word == "by the model" => return Field::Agrees,
        Value::Array(words) => sorted(words.iter().map(|word| word.as_str().unwrap())),
        Value::String(word) => spelled(field, word),
        other => other.to_string(),
    };
    let Some(known) = known else { return Field::Open };
    let known = if field == "targets" {
        sorted(known.split(','))
    } else {
        known
    };
    let is_same = match (known.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(ours), Ok(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs(),
        _ => known == theirs,
    };
    if is_same {
        Field::Agrees
    } else {
        Field::Differs(format!("{known}, and {theirs} to the framework"))
    }
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.join(",")
}

/// The stage that a command names, where the record says one.
fn launch(record: &Value, folder: &str) -> Launch {
    const STAGES: &[&str] = &["sft", "pt", "dpo", "kto", "rm", "grpo", "rloo", "orpo"];
    let stage = record["launch"].as_str();
    let name = match folder {
        "swift" => "ms-swift".to_owned(),
        folder => folder.replace('_', "-"),
    };
    Launch {
        world_size: Some(1),
        framework: frameworks().find(|framework| *framework == name),
        stage: stage.and_then(|said| STAGES.iter().copied().find(|stage| *stage == said)),
        ..Launch::default()
    }
}

fn is_refused(read: &Read) -> bool {
    read.facts.is_none() || read.diagnostics.iter().any(|found| found.severity == Severity::Error)
}

/// Fields that agreed and that are open, with what is wrong.
#[derive(Default)]
struct Tally {
    files: usize,
    agreed: usize,
    open: Vec<String>,
    refused: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn take(&mut self, path: &Path, record: &Value, framework: &str) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let read = read_file(path, launch(record, framework));
        if let Some(words) = record["refused"].as_str() {
            self.refused += 1;
            if !is_refused(&read) {
                self.open.push(format!("{name}: refused with {words}"));
            }
            return;
        }
        let error = read.diagnostics.iter().find(|found| found.severity == Severity::Error);
        if let Some(error) = error {
            self.open
                .push(format!("{name}: passes there, and here {}", error.message));
        }
        self.files += 1;
        for (field, theirs) in record["values"].as_object().unwrap() {
            match compared(&read, field, theirs) {
                Field::Agrees => self.agreed += 1,
                Field::Open => self.open.push(format!("{name}: {field} is {theirs}")),
                Field::Differs(text) => self.wrong.push(format!("{name}: {field} is {text}")),
            }
        }
    }
}

/// The folder of the fixtures, and of what was made of them.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/frameworks/fixtures")
}

#[test]
fn our_facts_are_the_frameworks_own() {
    let mut wrong = Vec::new();
    let mut met = vec![false; OPEN.len()];
    for folder in std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if !folder.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(folder.with_extension("json")).unwrap();
        let records: Vec<Value> = serde_json::from_str(&text).unwrap();
        let framework = folder.file_name().unwrap().to_str().unwrap();
        let mut tally = Tally::default();
        let mut names = Vec::new();
        for record in records.iter().filter(|record| record["pins"].is_null()) {
            let path = folder.join(record["file"].as_str().unwrap());
            tally.take(&path, record, framework);
            names.push(path);
        }
        assert_eq!(names, files(&folder), "a fixture has no record, or a record no fixture");
        let names = |text: &str, file, field| text.starts_with(&format!("{file}: {field}"));
        for (at, (file, field, _)) in OPEN.iter().enumerate() {
            met[at] |= tally.open.iter().any(|text| names(text, file, field));
        }
        let is_listed = |text: &String| OPEN.iter().any(|(file, field, _)| names(text, file, field));
        println!(
            "{framework}: {} files and {} that are refused, {} fields agree, {} are open",
            tally.files,
            tally.refused,
            tally.agreed,
            tally.open.len(),
        );
        wrong.extend(tally.wrong);
        wrong.extend(
            tally
                .open
                .into_iter()
                .filter(|text| !is_listed(text))
                .map(|text| format!("open: {text}")),
        );
    }
    for (_, (file, field, _)) in met.into_iter().zip(OPEN).filter(|(met, _)| !met) {
        wrong.push(format!("listed, and not open: {field} of {file}"));
    }
    assert!(wrong.is_empty(), "{} disagreements\n{}", wrong.len(), wrong.join("\n"));
}

/// The same with run files that are not ours, whose records a framework made elsewhere; told, and judged by people.
#[test]
fn further_records_are_told() {
    let Some(path) = std::env::var_os("FTRISK_FRAMEWORKS") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for record in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let framework = record["framework"].as_str().unwrap().to_owned();
        let path = PathBuf::from(record["path"].as_str().unwrap());
        tallies
            .entry(framework.clone())
            .or_default()
            .take(&path, &record, &framework);
    }
    for (framework, tally) in tallies {
        println!(
            "{framework}: {} files and {} that are refused, {} fields agree",
            tally.files, tally.refused, tally.agreed
        );
        for text in tally.open {
            println!("  open: {text}");
        }
        for text in tally.wrong {
            println!("  wrong: {text}");
        }
    }
}
