//! A base model of a few thousand numbers with data, probes, policies and run files: a whole run takes about a second.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ftrisk::adapt::recipe;
use ftrisk::ir::Policy;
use ftrisk::ledger::{self, Entry, Update};
use ftrisk::sema;
use ftrisk::source::Sources;
use ftrisk::source::sha256;
use ftrisk::train::config::Config;
use ftrisk::train::data::files as data;
use ftrisk::train::model::{Weights, initial};
use ftrisk::train::probe::Probe;
use ftrisk::train::setup::Setup;
use ftrisk::train::tensors;

use super::super::harness::{Case, Folder, Ran, read};

/// How much larger than for training from scratch the weights are: at the usual size a model of this width answers
/// everything alike, and no training moves it within a few updates.
const LIVELY: f64 = 10.0;

/// Texts that are neither in the data nor in the prompts.
const TEXTS: [&str; 5] = [
    "The kettle sings at noon.",
    "A road goes on, and turns.",
    "Seven grey birds on a wire",
    "Who has seen the wind?",
    "Count the coins twice over",
];

const PROMPTS: [&str; 3] = ["Say something:", "What is a river?", "Once upon"];

/// The shape of the base.
pub fn config() -> Config {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 260, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "max_position_embeddings": 256, "tie_word_embeddings": false,
        "pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 258,
    });
    Config::read(json.to_string().as_bytes(), "config.json").unwrap()
}

/// The base's weights.
pub fn weights() -> Weights {
    let mut weights = initial(&config(), 1).unwrap();
    for tensor in weights.values_mut().filter(|tensor| tensor.dims().len() > 1) {
        *tensor = (&*tensor * LIVELY).unwrap();
    }
    weights
}

/// `model.safetensors` with these weights.
pub fn safetensors(weights: &Weights) -> Vec<u8> {
    tensors::write(weights, candle_core::DType::F32).unwrap()
}

fn rows_of(key: &str, texts: &[&str]) -> String {
    let row = |(at, text): (usize, &&str)| format!("{{\"id\":\"t-{at}\",\"{key}\":\"{text}\"}}\n");
    texts.iter().enumerate().map(row).collect()
}

/// A folder with base, data and probes.
pub fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("base/config.json", config().to_json().as_bytes());
    folder.write(
        "base/tokenizer.json",
        read("examples/tiny/base/tokenizer.json").as_bytes(),
    );
    folder.write("base/model.safetensors", &safetensors(&weights()));
    // Two answers among all rows: what is learnt is the same in every batch, so that drift grows.
    let rows: Vec<_> = (0..12)
        .map(|at| {
            serde_json::json!({
                "instruction": format!("Question {at}?"),
                "input": "",
                "output": if at % 3 == 0 { "yes, so it is" } else { "no, not at all" },
            })
        })
        .collect();
    folder.write("data/few.json", serde_json::to_string_pretty(&rows).unwrap().as_bytes());
    folder.write("data/dataset_info.json", br#"{"few": {"file_name": "few.json"}}"#);
    folder.write("voices.jsonl", rows_of("text", &TEXTS).as_bytes());
    folder.write("prompts.jsonl", rows_of("prompt", &PROMPTS).as_bytes());
    folder
}

/// A run file; `keys` replace what is there, or are added.
pub fn run_file(keys: &[(&str, &str)]) -> String {
    let mut all: Vec<(&str, &str)> = vec![
        ("model_name_or_path", "base"),
        ("stage", "sft"),
        ("do_train", "true"),
        ("finetuning_type", "lora"),
        ("lora_rank", "4"),
        ("lora_alpha", "8"),
        ("lora_target", "all"),
        ("dataset_dir", "data"),
        ("dataset", "few"),
        ("template", "default"),
        ("cutoff_len", "64"),
        ("output_dir", "out"),
        ("per_device_train_batch_size", "4"),
        ("learning_rate", "0.01"),
        ("lr_scheduler_type", "constant"),
        ("max_steps", "10"),
        ("seed", "7"),
    ];
    for (key, value) in keys {
        match all.iter_mut().find(|(known, _)| known == key) {
            Some(known) => known.1 = value,
            None => all.push((key, value)),
        }
    }
    all.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

/// A policy with its text probe pinned and evaluated every so many updates, and these lines. One about diversity brings
/// the prompts: samples cost more than everything else of a run this small.
pub fn policy(every: u64, lines: &str) -> String {
    let pin = |key: &str, texts: &[&str]| sha256(rows_of(key, texts).as_bytes());
    let prompts = if lines.contains("diversity") {
        let pin = pin("prompt", &PROMPTS);
        format!("probe prompts \"prompts.jsonl\" sha256 \"{pin}\" every {every} updates\n")
    } else {
        String::new()
    };
    let pin = pin("text", &TEXTS);
    format!(
        "policy \"small\" for stage sft\n\n\
         probe text voices \"voices.jsonl\" sha256 \"{pin}\" every {every} updates\n{prompts}\n{lines}\n"
    )
}

/// A folder with everything, and the command that trains in it.
pub fn case(folder: Folder, policy: &str, run: &str) -> Case {
    Case::within(folder)
        .file("p.riskpolicy", policy)
        .file("run.yaml", run)
        .args(["train", "p.riskpolicy", "run.yaml"])
}

/// Trains in a fresh folder.
pub fn train(policy: &str, run: &str) -> Ran {
    case(folder(), policy, run).run()
}

/// The journal that a run left, which is whole.
#[track_caller]
pub fn journal(folder: &Path) -> ledger::Read {
    let bytes = fs::read(folder.join("out/journal.jsonl")).unwrap();
    ledger::read(&bytes).unwrap_or_else(|broken| panic!("{broken}"))
}

/// The updates of a journal.
pub fn updates(entries: &[Entry]) -> Vec<&Update> {
    fn update(entry: &Entry) -> Option<&Update> {
        match entry {
            Entry::Update(update) => Some(update),
            _ => None,
        }
    }
    entries.iter().filter_map(update).collect()
}

/// The summary that a run left.
#[track_caller]
pub fn summary(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("out/summary.json")).unwrap()).unwrap()
}

/// A run as the engine has it, without the command around it.
pub struct Bench {
    pub policy: Policy,
    pub setup: Setup,
    pub probes: BTreeMap<usize, Probe>,
}

impl Bench {
    /// As `ftrisk train` would set it up in a fresh folder.
    pub fn new(policy: &str, keys: &[(&str, &str)]) -> Bench {
        Bench::within(&folder(), policy, keys)
    }

    /// The same in a folder that is there already.
    pub fn within(folder: &Folder, policy: &str, keys: &[(&str, &str)]) -> Bench {
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (base, data_dir) = (at("base"), at("data"));
        let keys = [
            &[("model_name_or_path", base.as_str()), ("dataset_dir", &data_dir)],
            keys,
        ]
        .concat();
        let mut sources = Sources::default();
        let policy = sources.add("p.riskpolicy", policy);
        let run = sources.add("run.yaml", run_file(&keys));
        let compiled = sema::compile(policy, &sources);
        let policy = compiled.policy.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
        let read = recipe(run, &sources);
        let recipe = read.recipe.unwrap_or_else(|| panic!("{:?}", read.diagnostics));
        let setup = Setup::new(&recipe, data::read(&recipe).unwrap()).unwrap();
        let probes = policy.probes.iter().enumerate().map(|(index, probe)| {
            let bytes = fs::read(folder.path().join(&probe.path)).unwrap();
            (
                index,
                setup.probe(&probe.name, &probe.path, probe.kind, &bytes).unwrap(),
            )
        });
        let probes = probes.collect();
        Bench { policy, setup, probes }
    }
}
