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

/// A record that we do not follow.
struct Dispute {
    /// The folder of the corpus.
    framework: String,
    /// The beginning of the file's name.
    start: String,
    field: String,
    /// The rule that decides.
    rule: String,
    /// Where a reader finds that rule: source file and function of the framework, and what was run of it.
    evidence: String,
}

impl Dispute {
    /// One line about it.
    fn told(&self, times: usize) -> String {
        let Dispute {
            framework,
            start,
            field,
            rule,
            evidence,
        } = self;
        format!("disputed {times} times: {field} of {framework}/{start}*: {rule} [{evidence}]")
    }
}

/// Prints, for each framework, how many fields each piece of evidence covers.
fn print_evidence<'a>(met: impl Iterator<Item = (&'a Dispute, usize)>) {
    let mut covers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (dispute, times) in met.filter(|(_, times)| *times > 0) {
        *covers.entry((&dispute.framework, &dispute.evidence)).or_default() += times;
    }
    for ((framework, evidence), times) in covers {
        println!("{framework}: {times} fields rest on {evidence}");
    }
}

/// Every dispute: one file a framework in `corpus/disputes`, tabs between start, field, rule and evidence.
///
/// A line without evidence is no dispute: a record is followed until somebody has looked.
fn disputes() -> Vec<Dispute> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus/disputes");
    let mut all = Vec::new();
    for path in files(&folder) {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [start, field, rule, evidence] = cells[..] else {
                panic!("{}: not four cells: {line}", path.display())
            };
            assert!(
                [rule, evidence].iter().all(|cell| cell.len() > 10) && evidence.contains(['.', '/']),
                "{}: no rule, or no source that shows it: {line}",
                path.display()
            );
            all.push(Dispute {
                framework: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                start: start.to_owned(),
                field: field.to_owned(),
                rule: rule.to_owned(),
                evidence: evidence.to_owned(),
            });
        }
    }
    all
}

/// The folders whose files are all read; the others are refused by name.
const READ: &[&str] = &[
    "llamafactory",
    "nemo-automodel",
    "axolotl",
    "litgpt",
    "mlx-lm",
    "torchtune",
    "ms-swift",
    "trl",
    "alignment-handbook",
    "peft",
];

/// At most this share of the comparable fields of `configs/` may be disputed.
///
/// Records say what is written; a fact is what happens. Most of the disputes are of that kind: a validation set that is
/// never evaluated, a floor that the trainer never reads, a schedule that a recipe makes by itself, a benchmark that
/// clips nothing, and, a third of all, a seed where no recipe of NeMo Automodel looks for one.
const MOST_DISPUTED: f64 = 0.035;

/// The same of `commands/`.
const MOST_DISPUTED_OF_COMMANDS: f64 = 0.01;

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
pub fn ours(facts: &Facts, field: &str) -> Option<String> {
    let shown = |value: Option<f64>| value.map(|value| value.to_string());
    let switch = |value: Option<f64>| value.map(|value| (value > 0.0).to_string());
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
        "seq" => shown(number(facts, Input::SequenceLength)),
        "packing" => switch(number(facts, Input::Packs)),
        "min_lr" => shown(number(facts, Input::MinLearningRate)),
        "dropout" => shown(number(facts, Input::Dropout)),
        "rslora" => switch(number(facts, Input::RankStabilised)),
        "dora" => word(facts, Category::Method).map(|method| (method == "dora").to_string()),
        "loraplus" => shown(number(facts, Input::LoraPlusRatio)),
        "global_bs" => shown(number(facts, Input::GlobalBatch)),
        "a_over_r" => {
            let (alpha, rank) = (number(facts, Input::Alpha), number(facts, Input::Rank));
            shown(alpha.zip(rank).map(|(alpha, rank)| alpha / rank))
        }
        "evals" => match facts.word(Category::Evaluation)?.words {
            Words::Had(had) => Some(had.to_string()),
            _ => None,
        },
        "kl_beta" => shown(number(facts, Input::PreferenceBeta)),
        "world" => shown(number(facts, Input::WorldSize)),
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
    "seq",
    "packing",
    "min_lr",
    "dropout",
    "rslora",
    "dora",
    "loraplus",
    "global_bs",
    "a_over_r",
    "evals",
];

/// Optimizers as records spell them, with the word of our table.
const OPTIMIZERS: &[(&str, &str)] = &[
    ("adamw_torch*", "adamw"),
    ("adamw_torch", "adamw"),
    ("adamw_torch_fused", "adamw"),
    ("adamw_torch_8bit", "adamw_8bit"),
    ("adamw_bnb_8bit", "adamw_8bit"),
    ("adamw_torch_4bit", "other"),
    ("paged_adamw_32bit", "paged_adamw"),
    ("rmsprop", "other"),
    ("torch.optim.AdamW", "adamw"),
    ("torch.optim.Adam", "adam"),
    ("flashoptim.FlashAdamW", "adamw"),
    ("bitsandbytes.optim.PagedAdamW8bit", "paged_adamw_8bit"),
    ("bitsandbytes.optim.PagedAdamW", "paged_adamw"),
    ("transformer_engine.pytorch.optimizers.fused_adam.FusedAdam", "adamw"),
    ("transformer_engine.pytorch.optimizers.FusedAdam", "adamw"),
];

/// Fields of other kinds: stages, targets and schedules as records spell them.
const SPELLINGS: &[(&str, &str, &str)] = &[
    ("sched", "get_cosine_schedule_with_warmup", "cosine"),
    ("sched", "rex", "other"),
    ("stage", "pretrain", "pt"),
    ("stage", "benchmark", "sft"),
    ("stage", "diffusion", "other"),
    ("stage", "draft-model", "other"),
    ("stage", "retrieval", "other"),
    ("tuner", "boft", "other"),
    ("tuner", "llamapro", "other"),
    ("tuner", "reft", "other"),
];

/// What a record claims; `None` is no claim.
fn theirs(record: &Value, field: &str) -> Option<String> {
    if let Some(text) = floored(record, field) {
        return Some(text);
    }
    // DoRA is a method of its own here, and a mark beside LoRA or QLoRA there.
    if field == "tuner" && record["dora"] == true {
        return Some("dora".to_owned());
    }
    match &record[field] {
        Value::Null => None,
        // What is filled in later is nobody's claim.
        Value::String(text) if text.starts_with("${") => None,
        Value::String(text) => Some(spelled(field, text)),
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().flat_map(words_of).collect();
            Some(words.join(","))
        }
        other => panic!("{field} is {other}"),
    }
}

/// Axolotl's floor stands in the records as a share of the peak, beside a plain `cosine`.
fn floored(record: &Value, field: &str) -> Option<String> {
    let share = record["min_lr"].as_f64().filter(|_| record["framework"] == "axolotl")?;
    match field {
        "min_lr" => record["lr"].as_f64().map(|peak| (peak * share).to_string()),
        "sched" => Some("cosine_with_min_lr".to_owned()),
        _ => None,
    }
}

/// The words in a part of a list; true stands for the modules of torchtune's `apply_lora_to_mlp`.
fn words_of(part: &Value) -> Vec<&str> {
    match part {
        Value::String(word) => vec![word],
        Value::Bool(true) => vec!["mlp"],
        Value::Array(parts) => parts.iter().flat_map(words_of).collect(),
        _ => Vec::new(),
    }
}

pub fn spelled(field: &str, text: &str) -> String {
    let optimizer = OPTIMIZERS
        .iter()
        .find(|(theirs, _)| field == "optim" && *theirs == text)
        .map(|(_, ours)| *ours);
    let other = SPELLINGS
        .iter()
        .find(|(of, theirs, _)| *of == field && *theirs == text)
        .map(|(.., ours)| *ours);
    // A list of modules that was written down as Python shows it.
    let text = text.trim_matches(['[', ']']).replace("', '", ",");
    optimizer
        .or(other)
        .map_or_else(|| text.trim_matches('\'').to_owned(), str::to_owned)
}

/// Agreements, disagreements that are disputed, of one framework.
#[derive(Default)]
struct Tally {
    files: usize,
    fields: BTreeMap<&'static str, [usize; 2]>,
}

#[test]
fn facts_agree_with_the_records() {
    let Some(corpus) = corpus() else { return };
    let only = std::env::var("FTRISK_CORPUS_ONLY").ok();
    let is_meant = |framework: &str| match &only {
        Some(only) => only == framework,
        None => READ.contains(&framework),
    };
    let disputes = disputes();
    let text = std::fs::read_to_string(corpus.join("expected.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let launch = Launch {
        world_size: Some(1),
        ..Launch::default()
    };
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut met = vec![0_usize; disputes.len()];
    let mut domains: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for record in records {
        let framework = record["framework"].as_str().unwrap();
        if !is_meant(framework) {
            continue;
        }
        let path = record["path"].as_str().unwrap();
        let name = path.rsplit('/').next().unwrap();
        let tally = tallies.entry(framework.to_owned()).or_default();
        tally.files += 1;
        let read = read_file(&corpus.join(path), launch);
        let is_template = read.diagnostics.iter().any(|found| found.code == Code::ValueUnresolved);
        let Some(facts) = read.facts else {
            wrong.push(format!("{path} has no facts"));
            continue;
        };
        for field in FIELDS {
            let Some(theirs) = theirs(&record, field) else { continue };
            let ours = ours(&facts, field);
            if is_template && ours.is_none() {
                // What is filled in later is nobody's claim, default or not.
                continue;
            }
            let agrees = ours.as_deref() == Some(&theirs);
            tally.fields.entry(field).or_default()[usize::from(!agrees)] += 1;
            let domain = record["domain"].as_str().unwrap_or("other").to_owned();
            domains.entry(domain).or_default()[usize::from(!agrees)] += 1;
            let dispute = disputes.iter().position(|dispute| {
                dispute.framework == framework && name.starts_with(&dispute.start) && dispute.field == *field
            });
            match (agrees, dispute) {
                (false, Some(at)) => met[at] += 1,
                (true, _) => {}
                (false, None) => wrong.push(format!("{path}: {field} is {ours:?}, recorded {theirs}")),
            }
        }
    }
    let (mut all, mut disputed) = (0, 0);
    for (framework, tally) in &tallies {
        println!("{framework}: {} files; field: agreed / disputed", tally.files);
        for (field, [agreed, not]) in &tally.fields {
            println!("  {field:<12} {agreed:>4} / {not}");
            all += agreed + not;
            disputed += not;
        }
        if only.is_none() {
            let there = files(&corpus.join("configs").join(framework)).len();
            assert_eq!(tally.files, there, "a file of {framework} has no record");
        }
    }
    for (dispute, times) in disputes.iter().zip(&met) {
        if *times > 0 {
            println!("{}", dispute.told(*times));
        } else if is_meant(&dispute.framework) {
            wrong.push(dispute.told(0));
        }
    }
    print_evidence(disputes.iter().zip(met));
    for (domain, [agreed, not]) in &domains {
        println!("records of {domain}: {agreed} fields agree, {not} are disputed");
    }
    println!("{disputed} of {all} fields are disputed");
    assert!(wrong.is_empty(), "{} disagreements\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        disputed as f64 <= MOST_DISPUTED * all as f64 || only.is_some(),
        "too many disputes"
    );
}

/// The command lines of `commands/`, each read from its script, with the processes that it starts.
#[test]
fn commands_agree_with_the_records() {
    let Some(corpus) = corpus() else { return };
    let disputes: Vec<Dispute> = disputes()
        .into_iter()
        .filter(|dispute| dispute.framework == "commands")
        .collect();
    let mut met = vec![0_usize; disputes.len()];
    let text = std::fs::read_to_string(corpus.join("expected-commands.jsonl")).unwrap();
    let mut fields: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut unexpanded = 0;
    let (mut scripts, mut cut, mut elsewhere, mut wrong) = (0, Vec::new(), Vec::new(), Vec::new());
    for record in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (file, folder) = (record["file"].as_str().unwrap(), record["framework"].as_str().unwrap());
        let path = corpus.join("commands").join(folder.trim_end_matches("-sh")).join(file);
        // Where the script leaves the processes to something else, the record takes one.
        let launch = Launch {
            world_size: record["world"].is_null().then_some(1),
            ..Launch::default()
        };
        let read = read_file(&path, launch);
        let Some(facts) = read.facts else {
            let message = &read.diagnostics[0].message;
            if message.contains("holds none of its values") {
                elsewhere.push(file.to_owned());
            } else {
                wrong.push(format!("{file} has no facts: {message}"));
            }
            continue;
        };
        if is_cut(&path, &record) {
            cut.push(file.to_owned());
            continue;
        }
        scripts += 1;
        for found in read
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
        {
            wrong.push(format!("{file}: {}", found.message));
        }
        for field in FIELDS.iter().chain(&["world"]) {
            let Some(theirs) = theirs(&record, field) else { continue };
            if ["accum", "eff_bs"].contains(field) && is_unexpanded(&record["raw"]["gradient_accumulation_steps"]) {
                unexpanded += 1;
                continue;
            }
            let ours = ours(&facts, field);
            let agrees = ours.as_deref() == Some(&theirs);
            fields.entry(field).or_default()[usize::from(!agrees)] += 1;
            let dispute = disputes
                .iter()
                .position(|dispute| file.starts_with(&dispute.start) && dispute.field == *field);
            match (agrees, dispute) {
                (false, Some(at)) => met[at] += 1,
                (true, _) => {}
                (false, None) => wrong.push(format!("{file}: {field} is {ours:?}, recorded {theirs}")),
            }
        }
    }
    println!("{scripts} scripts; field: agreed / disputed");
    let (mut all, mut disputed) = (0, 0);
    for (field, [agreed, not]) in &fields {
        println!("  {field:<12} {agreed:>4} / {not}");
        all += agreed + not;
        disputed += not;
    }
    println!("{unexpanded} fields of records follow from a `$(…)` that was not expanded");
    println!(
        "{} records lost flags after a `#` inside a word, and are not compared: {cut:?}",
        cut.len()
    );
    println!(
        "{} scripts name a run file, and have no values of their own: {elsewhere:?}",
        elsewhere.len()
    );
    for (dispute, times) in disputes.iter().zip(&met) {
        println!("{}", dispute.told(*times));
        if *times == 0 {
            wrong.push(dispute.told(0));
        }
    }
    print_evidence(disputes.iter().zip(met));
    println!("{disputed} of {all} fields are disputed");
    assert!(wrong.is_empty(), "{} disagreements\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        disputed as f64 <= MOST_DISPUTED_OF_COMMANDS * all as f64,
        "too many disputes"
    );
}

/// Whether a record lost most of its command: one that took a `#` inside a word, as in `name#500`, for a comment.
fn is_cut(path: &Path, record: &Value) -> bool {
    let text = std::fs::read_to_string(path).unwrap();
    let words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace);
    let (mut flags, mut has_inner) = (0, false);
    for word in words {
        flags += usize::from(word.starts_with("--"));
        has_inner |= word.contains('#') && !word.starts_with(['#', '\'', '"']);
    }
    has_inner && flags >= record["raw"].as_object().unwrap().len() + 10
}

/// Whether a record holds the words of a `$(…)`, and not what comes of it.
fn is_unexpanded(value: &Value) -> bool {
    value.as_array().is_some_and(|words| {
        words
            .iter()
            .any(|word| word.as_str().is_some_and(|word| word.contains("$(")))
    })
}

#[test]
fn every_run_has_facts_and_says_what_is_wrong_with_it() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    for framework in READ {
        let mut found = 0;
        for path in files(&corpus.join("configs").join(framework)) {
            let read = read_file(&path, Launch::default());
            let has_errors = read.diagnostics.iter().any(|found| found.severity == Severity::Error);
            found += usize::from(has_errors);
            // What the others ship has keys that their trainers drop, placeholders and keys written twice.
            if read.facts.is_none() || (has_errors && *framework == "llamafactory") {
                wrong.push(format!("{}: {:#?}", path.display(), read.diagnostics));
            }
        }
        println!("{framework}: {found} files with findings");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Keys that a framework's own files have and that nobody reads, by the framework's sources: the folder, the beginning of
/// the message, and how many files have it.
const DEAD: &[(&str, &str, usize)] = &[
    ("torchtune", "torchtune has no key `fsdp`", 1),
    ("torchtune", "torchtune has no key `memory_efficient_fsdp_wrap`", 1),
    ("torchtune", "torchtune's recipes for GRPO do not read `log_level`", 1),
    ("nemo-automodel", "NeMo Automodel has no key `autocast`", 2),
    ("nemo-automodel", "NeMo Automodel has no key `autopipeline`", 2),
    ("nemo-automodel", "NeMo Automodel has no key `distributed_config`", 1),
    ("nemo-automodel", "NeMo Automodel has no key `parallelizer`", 5),
    ("nemo-automodel", "no recipe of NeMo Automodel reads `rng`", 165),
];

#[test]
fn no_key_of_a_shipped_file_is_called_unknown_that_is_read() {
    let Some(corpus) = corpus() else { return };
    for framework in ["torchtune", "nemo-automodel"] {
        let mut met: BTreeMap<String, usize> = BTreeMap::new();
        for path in files(&corpus.join("configs").join(framework)) {
            let found = read_file(&path, Launch::default()).diagnostics;
            for found in found.into_iter().filter(|found| found.code == Code::UnknownKey) {
                *met.entry(found.message).or_default() += 1;
            }
        }
        let dead = DEAD.iter().filter(|(folder, ..)| *folder == framework);
        let dead: BTreeMap<String, usize> = dead.map(|(_, key, files)| ((*key).to_owned(), *files)).collect();
        assert_eq!(met, dead, "{framework}");
    }
}

/// Files of tests and tutorials that are whole recipes, each with what shows that they train when they are launched.
///
/// Nothing in them tells them from the recipes under `configs/`: six of those have no `recipe` either, which scripts do
/// without (`recipes/llm/train_ft.py: main`), four train retrievers, and many name data on somebody's disk.
const TRAIN_ALL_THE_SAME: &[(&str, &str)] = &[
    (
        "hf_peft__deepseek_moe_lora_small_for_test.yaml",
        "hf_peft/L2_HF_PEFT_DeepSeek_MoE_LoRA.sh gives it to recipes/llm/train_ft.py: a LoRA of the experts, on SQuAD",
    ),
    (
        "hf_peft__qlora_tiny_squad.yaml",
        "hf_peft/L2_HF_QLORA_Tiny.sh gives it to the same recipe: QLoRA of a model on the Hub, on SQuAD",
    ),
    (
        "hf_transformer_finetune__gpt_oss_2layer_expert_bias_torch.yaml",
        "L2_HF_Transformer_GptOss_MoE_ExpertBias.sh gives it to examples/llm_finetune/finetune.py: two layers, on SQuAD",
    ),
    (
        "llm_pretrain_and_kd__customizer_retrieval__recipe.yaml",
        "test_bi_encoder_finetuning_inline.sh gives it to recipes/retrieval/train_bi_encoder.py, and reads the checkpoint",
    ),
    (
        "llm_pretrain_and_kd__customizer_retrieval__recipe_peft.yaml",
        "test_bi_encoder_checkpoint_restoration.py trains it by the same recipe, under LoRA",
    ),
    (
        "llm_pretrain_and_kd__nanogpt_pretrain_nn.yaml",
        "llm_pretrain_and_kd/L2_Pretrain.sh launches it as it is: ten updates of a GPT-2 on FineWeb",
    ),
    (
        "retrieval__recipe_cross_encoder.yaml",
        "retrieval/L2_Cross_Encoder_Finetune.sh gives it to recipes/retrieval/train_cross_encoder.py",
    ),
    (
        "tutorials__llama-peft__llama_peft_config.yaml",
        "tutorials/llama-peft/finetune.ipynb runs `automodel llama_peft_config.yaml`: 250 updates of Llama-3.2-1B",
    ),
];

#[test]
fn what_is_no_run_is_refused() {
    let Some(corpus) = corpus() else { return };
    let paths = files(&corpus.join("not-runs"));
    let mut wrong = Vec::new();
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &paths {
        let read = read_file(path, Launch::default());
        let error = read.diagnostics.iter().find(|found| found.severity == Severity::Error);
        let name = path.to_string_lossy();
        let trains = TRAIN_ALL_THE_SAME.iter().find(|(end, _)| name.ends_with(end));
        match (read.facts, error, trains) {
            (Some(_), None, Some((end, why))) => println!("{end} trains: {why}"),
            (None, Some(error), None) => *codes.entry(error.code.name()).or_default() += 1,
            // A template of a run, which never passes as it is.
            (Some(_), Some(error), None) if error.code == Code::ValueUnresolved => {
                *codes.entry(error.code.name()).or_default() += 1;
            }
            _ => wrong.push(path.display().to_string()),
        }
    }
    let refused: usize = codes.values().sum();
    println!(
        "{refused} of {} files that are no runs are refused: {codes:?}",
        paths.len()
    );
    assert!(wrong.is_empty(), "not refused:\n{}", wrong.join("\n"));
}
