//! What wrong input gets: exit 2 before anything is trained, in a sentence that names the file and the place in it.

use std::fs;

use super::super::harness::{Folder, Ran};
use super::fixture::{case, folder, policy, run_file, safetensors, weights};

const LINES: &str = "max drift.per_update 1 nats on voices\nmax drift.total 1 nats on voices";

const V1: &str = "model: base\ntrain_dataset: few\noutput_dir: out\npeft_config:\n  name: lora\n  r: 4\n";

/// A screen as it is printed, in a folder that was changed.
fn screen(change: impl FnOnce(&Folder), policy: &str, run: &str) -> Ran {
    let folder = folder();
    change(&folder);
    let ran = case(folder, policy, run).run();
    let out = ran.folder.path().join("out");
    assert!(!out.join("journal.jsonl").exists(), "{}", ran.stdout);
    ran
}

/// The finding of input that is refused, without the verdicts before it.
#[track_caller]
fn refused(said: &mut String, name: &str, change: impl FnOnce(&Folder), policy: &str, run: &str) {
    let ran = screen(change, policy, run).code(2).stdout_lacks("panic");
    assert_eq!(ran.stderr, "", "{name}");
    *said += &format!("## {name}\n\n{}\n", ran.stdout);
}

fn remove(name: &'static str) -> impl FnOnce(&Folder) {
    move |folder| fs::remove_file(folder.path().join(name)).unwrap()
}

fn write(name: &'static str, bytes: impl Into<Vec<u8>>) -> impl FnOnce(&Folder) {
    let bytes = bytes.into();
    move |folder| folder.write(name, &bytes)
}

/// Replaces a text of a file by another.
fn replace(name: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&Folder) {
    move |folder| {
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        bytes.splice(at..at + from.len(), to.bytes());
        fs::write(path, bytes).unwrap();
    }
}

const MODEL: &str = "base/model.safetensors";
const DATA: &str = "data/few.json";

#[test]
fn a_model_that_cannot_be_loaded() {
    let mut said = String::new();
    let (wide, run) = (policy(2, LINES), run_file(&[]));
    let mut of = |name, change: Box<dyn FnOnce(&Folder)>| refused(&mut said, name, change, &wide, &run);
    of(
        "no folder",
        Box::new(|folder| fs::remove_dir_all(folder.path().join("base")).unwrap()),
    );
    of("no config", Box::new(remove("base/config.json")));
    of("no tokenizer", Box::new(remove("base/tokenizer.json")));
    of("a broken tokenizer", Box::new(write("base/tokenizer.json", "{}")));
    of("no weights", Box::new(remove(MODEL)));
    of("no bytes", Box::new(write(MODEL, "")));
    of(
        "cut off in the header",
        Box::new(|folder| folder.write(MODEL, &safetensors(&weights())[..100])),
    );
    of(
        "cut off in the numbers",
        Box::new(|folder| {
            let bytes = safetensors(&weights());
            folder.write(MODEL, &bytes[..bytes.len() - 5]);
        }),
    );
    of("a header that lies", Box::new(replace(MODEL, "[260,32]", "[32,266]")));
    of(
        "a header of many bytes",
        Box::new(|folder| {
            let mut bytes = safetensors(&weights());
            bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
            folder.write(MODEL, &bytes);
        }),
    );
    of(
        "another shape than the config's",
        Box::new(replace(
            "base/config.json",
            "\"intermediate_size\": 64",
            "\"intermediate_size\": 65",
        )),
    );
    of(
        "an architecture that is not built",
        Box::new(replace("base/config.json", "\"llama\"", "\"mamba\"")),
    );
    of(
        "a number that is none",
        Box::new(|folder| {
            let mut weights = weights();
            let norm = weights.get_mut("model.layers.1.input_layernorm.weight").unwrap();
            *norm = (&*norm * f64::NAN).unwrap();
            folder.write(MODEL, &safetensors(&weights));
        }),
    );
    of(
        "a tensor too few",
        Box::new(|folder| {
            let mut weights = weights();
            weights.remove("model.norm.weight");
            folder.write(MODEL, &safetensors(&weights));
        }),
    );
    insta::assert_snapshot!(said);
}

#[test]
fn data_that_cannot_be_trained_on() {
    let mut said = String::new();
    let (wide, run) = (policy(2, LINES), run_file(&[]));
    let mut of = |name, change: Box<dyn FnOnce(&Folder)>| refused(&mut said, name, change, &wide, &run);
    of("no index", Box::new(remove("data/dataset_info.json")));
    of("no file", Box::new(remove(DATA)));
    of("no row", Box::new(write(DATA, "[]")));
    of("no JSON", Box::new(write(DATA, "[\n{\"instruction\": \n")));
    of("a row without an answer", Box::new(replace(DATA, "no, not at all", "")));
    of(
        "a data set of another name",
        Box::new(write("data/dataset_info.json", r#"{"fwe": {"file_name": "few.json"}}"#)),
    );
    insta::assert_snapshot!(said);
}

#[test]
fn probes_that_cannot_be_measured_on() {
    let mut said = String::new();
    let (wide, run) = (policy(2, LINES), run_file(&[]));
    let pinned = |text: &str| {
        let pin = wide.split('"').nth(5).unwrap();
        wide.replace(pin, &ftrisk::source::sha256(text.as_bytes()))
    };
    let mut of = |name, change: Box<dyn FnOnce(&Folder)>, policy: &str| refused(&mut said, name, change, policy, &run);
    of(
        "another file",
        Box::new(replace("voices.jsonl", "kettle", "cattle")),
        &wide,
    );
    of("no file", Box::new(remove("voices.jsonl")), &wide);
    let line = wide.lines().find(|line| line.starts_with("probe")).unwrap();
    of(
        "no pin",
        Box::new(|_| ()),
        &wide.replace(line, "probe text voices \"voices.jsonl\" every 2 updates"),
    );
    of("no row", Box::new(write("voices.jsonl", "\n\n")), &pinned("\n\n"));
    let other = "{\"text\":\"a\"}\n{\"prompt\":\"b\"}\n";
    of(
        "a row of another kind",
        Box::new(write("voices.jsonl", other)),
        &pinned(other),
    );
    insta::assert_snapshot!(said);
}

#[test]
fn run_files_that_are_not_trained() {
    let mut said = String::new();
    let wide = policy(2, LINES);
    let mut of = |name, run: &str| refused(&mut said, name, |_| (), &wide, run);
    of("a key that is refused", &run_file(&[("quantization_bit", "4")]));
    of("a template that is not built", &run_file(&[("template", "qwen3")]));
    of("a file of v1", V1);
    let without_scope = wide.replace(" for stage sft", "");
    refused(
        &mut said,
        "a file of v1 under a policy for every stage",
        |_| (),
        &without_scope,
        V1,
    );
    let mut of = |name, run: &str| refused(&mut said, name, |_| (), &wide, run);
    let without = |key: &str| {
        run_file(&[])
            .lines()
            .filter(|line| !line.starts_with(key))
            .collect::<Vec<_>>()
            .join("\n")
    };
    of("no run directory", &without("output_dir"));
    of("no data set", &without("dataset:"));
    refused(
        &mut said,
        "a run directory that holds something",
        write("out/notes.txt", "mine"),
        &wide,
        &run_file(&[]),
    );
    refused(
        &mut said,
        "a run directory that is a file",
        write("out", "mine"),
        &wide,
        &run_file(&[]),
    );
    insta::assert_snapshot!(said);
}

/// The check comes first, and reads nothing of the model.
#[test]
fn a_run_that_is_over_or_open_is_not_loaded() {
    let nowhere = run_file(&[("model_name_or_path", "nowhere")]);
    screen(|_| (), &policy(2, "max lora.rank 2"), &nowhere)
        .code(1)
        .stdout_has("over[lora.rank]")
        .stdout_lacks("no model folder");
    screen(|_| (), &policy(2, "max lora.rank 2\nmax world_size 1"), &nowhere).code(1);
    let mut said = String::new();
    let unknown: String = nowhere
        .lines()
        .filter(|line| !line.starts_with("max_steps"))
        .map(|line| format!("{line}\n"))
        .collect();
    refused(
        &mut said,
        "rows that nobody can count",
        remove(DATA),
        &policy(2, "max updates 100"),
        &unknown,
    );
    insta::assert_snapshot!(said);
}

/// `train` counts the rows itself, so what a flag has to say to `check` is known.
#[test]
fn rows_are_counted_from_the_data() {
    let run = run_file(&[("num_train_epochs", "1.0")]).replace("max_steps: 10\n", "");
    let ran = case(folder(), &policy(2, &format!("max updates 3\n{LINES}")), &run)
        .run()
        .code(0);
    assert!(
        ran.stdout.contains("finished after 3 proposed updates of a run of 3"),
        "{}",
        ran.stdout
    );
    screen(|_| (), &policy(2, "max updates 2"), &run)
        .code(1)
        .stdout_has("over[updates]");
}
