//! Which framework a file was written for, and whether it trains at all.
//!
//! The first test that fits decides. The tests were written against the files that eleven frameworks ship; each looks
//! for keys that only one of them has.

use super::command::Launching;
use super::dialect::{
    self, ALL, axolotl, litgpt, llama_factory, llama_factory_v1, mlx_lm, nemo, swift, swift_megatron, torchtune, trl,
};
use super::format::Format;
use super::keys::{self, AXOLOTL, LLAMA_FACTORY, TRL};
use super::scalar::{Loader, Value, resolve};
use super::tree::{Entry, Map};
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Span};

/// What a file is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A run in a dialect that we read.
    Run(&'static Format),
    /// No run: what it does, what to check instead, and the key that gave it away.
    NotARun(&'static str, &'static str, &'static str),
    /// It has keys that a trainer would read, in a layout of its own.
    Homemade,
    /// It has nothing that a trainer would read.
    Nothing,
}

/// What the file is that holds this mapping.
pub(super) fn kind(map: &Map) -> Kind {
    let tests = [
        launcher,
        torchtune,
        nemo,
        litgpt,
        peft,
        bench,
        unsloth,
        of_axolotl,
        llama_board,
        of_llama_factory,
        of_llama_factory_v1,
        mlx,
        of_swift,
        trainer,
    ];
    tests.iter().find_map(|test| test(map)).unwrap_or_else(|| {
        if talks_of_training(map, 3) {
            Kind::Homemade
        } else {
            Kind::Nothing
        }
    })
}

const READS: &str = "ftrisk reads run files of LLaMA-Factory and ms-swift so far";

/// The diagnostic for a command that launches what we do not read.
pub(super) fn not_yet(source: SourceId, launching: &Launching) -> Diagnostic {
    let span = launching.span;
    let message = format!("this launches a run of {}; {READS}", launching.framework);
    Diagnostic::new(Code::UnknownFormat, message)
        .at(Place { source, span }, "its command")
        .help("check a run of one of them")
}

/// The diagnostic for a file that we do not read.
pub(super) fn refusal(source: SourceId, map: &Map, kind: Kind) -> Diagnostic {
    let first = map.entries.first().map_or(Span::new(0, 0), |entry| entry.key.span);
    let at = |key: &str| {
        let span = map.get(key).map_or(first, |entry| entry.key.span);
        Place { source, span }
    };
    if let (Kind::Homemade | Kind::Nothing, Some((entry, format))) = (kind, wrapped(map)) {
        return under_a_key(source, entry, format);
    }
    let read: Vec<&str> = ALL.iter().map(|format| format.dialect.framework).collect();
    let reads = format!("ftrisk reads run files of {}", read.join(", "));
    match kind {
        Kind::NotARun(does, instead, key) => {
            Diagnostic::new(Code::NotARun, format!("this file trains nothing: {does}"))
                .at(at(key), "this key says so")
                .help(instead)
        }
        Kind::Homemade => Diagnostic::new(Code::UnknownFormat, "the keys are of no framework that ftrisk knows")
            .at(Place { source, span: first }, "the file starts here")
            .help(format!(
                "check the file that the framework's own command takes, or name its framework with --framework; for a layout of your own, write its facts down by name and check those with --facts FILE; {reads}"
            )),
        Kind::Nothing | Kind::Run(_) => Diagnostic::new(
            Code::NotARun,
            "this file trains nothing: no trainer reads any of its keys",
        )
        .at(Place { source, span: first }, "the file starts here")
        .help("check that this is the file you meant"),
    }
}

/// A key that holds a whole run, and whose.
fn wrapped(map: &Map) -> Option<(&Entry, &'static Format)> {
    // Settings of the trainer alone, or the shape of an adapter, are a part of many layouts.
    const MODEL: &str = "model model_name_or_path base_model checkpoint_dir";
    map.entries.iter().find_map(|entry| {
        let inside = entry.value.map().filter(|inside| inside.has_any(MODEL))?;
        match kind(inside) {
            Kind::Run(format) => Some((entry, format)),
            _ => None,
        }
    })
}

/// A run one level too deep: the program that unwraps it may as well change it.
fn under_a_key(source: SourceId, entry: &Entry, format: &Format) -> Diagnostic {
    let (key, framework) = (entry.name(), format.dialect.framework);
    let place = Place {
        source,
        span: entry.key.span,
    };
    let message = format!("under `{key}` stands a run of {framework}, whose own command reads keys at the top alone");
    Diagnostic::new(Code::UnknownFormat, message)
        .at(place, "whoever takes these out may change them")
        .help(format!(
            "check what {framework} is given: write what stands under `{key}` into a file of its own, without that key"
        ))
}

fn launcher(map: &Map) -> Option<Kind> {
    let accelerate = Kind::NotARun(
        "it tells accelerate how to launch processes",
        "check the run file that is launched, and name this file beside it: --with FILE",
        if map.get("compute_environment").is_some() {
            "compute_environment"
        } else {
            "distributed_type"
        },
    );
    let beside = "num_processes mixed_precision num_machines fsdp_config deepspeed_config";
    let is_accelerate =
        map.get("compute_environment").is_some() || (map.get("distributed_type").is_some() && map.has_any(beside));
    let is_deepspeed = ["zero_optimization", "train_micro_batch_size_per_gpu"]
        .into_iter()
        .find(|key| map.get(key).is_some());
    if is_accelerate {
        return Some(accelerate);
    }
    is_deepspeed.map(|key| {
        Kind::NotARun(
            "it configures DeepSpeed",
            "check the run file whose `deepspeed` key names it, and name this file beside it: --with FILE",
            key,
        )
    })
}

/// A child mapping that has `key`.
fn child_with<'m>(map: &'m Map, key: &str) -> Option<&'m str> {
    map.entries
        .iter()
        .find(|entry| entry.value.map().is_some_and(|child| child.get(key).is_some()))
        .map(|entry| entry.name())
}

fn torchtune(map: &Map) -> Option<Kind> {
    child_with(map, "_component_")?;
    let trains = map.get("optimizer").is_some() || child_with(map, "optimizer").is_some();
    Some(if trains {
        Kind::Run(&torchtune::FORMAT)
    } else {
        Kind::NotARun(
            "it is a torchtune recipe without an optimizer",
            "check the recipe that trains",
            "model",
        )
    })
}

fn nemo(map: &Map) -> Option<Kind> {
    let targets = map.entries.iter().any(|entry| {
        let target = entry.value.map().and_then(|child| child.get("_target_"));
        target
            .and_then(|target| target.value.scalar())
            .is_some_and(|target| target.text.starts_with("nemo_automodel"))
    });
    let is_recipe = map.get("recipe").is_some() && map.has_any("dist_env distributed recipe_args");
    let is_nemo = map.get("step_scheduler").is_some() || targets || is_recipe;
    is_nemo.then_some(Kind::Run(&nemo::FORMAT))
}

fn litgpt(map: &Map) -> Option<Kind> {
    let train = map.map("train")?;
    let has_both = train.has_any("global_batch_size micro_batch_size") && map.map("eval").is_some();
    (has_both || litgpt::has_only_its_own(map, train)).then_some(Kind::Run(&litgpt::FORMAT))
}

fn peft(map: &Map) -> Option<Kind> {
    map.get("peft_type")?;
    Some(Kind::Run(&dialect::peft::FORMAT))
}

fn unsloth(map: &Map) -> Option<Kind> {
    map.map("training")?;
    let is_risky = |key: &str| is_of_risk(key) || matches!(key, "r" | "rank" | "alpha" | "dropout");
    dialect::unsloth::is_ours(map, is_risky).then_some(Kind::Run(&dialect::unsloth::FORMAT))
}

/// Keys of Axolotl that say a file is one of its own beside `base_model`.
const AXOLOTL_MARKS: &str = "
    micro_batch_size sequence_len datasets adapter val_set_size lora_target_linear lora_model_dir merge_lora
    sample_packing rl pretraining_dataset num_epochs plugins";
/// Those without which it trains nothing.
const AXOLOTL_TRAINS: &str = "
    datasets pretraining_dataset learning_rate micro_batch_size gradient_accumulation_steps num_epochs max_steps";

fn of_axolotl(map: &Map) -> Option<Kind> {
    map.get("base_model").filter(|_| map.has_any(AXOLOTL_MARKS))?;
    let known = map
        .entries
        .iter()
        .filter(|entry| AXOLOTL.contains_key(entry.name()))
        .count();
    if known * 2 < map.entries.len() {
        // Most keys are none of Axolotl's: somebody's own layout that borrows some of its names.
        return Some(Kind::Homemade);
    }
    if map.has_any(AXOLOTL_TRAINS) {
        return Some(Kind::Run(&axolotl::FORMAT));
    }
    let (does, key) = if map.get("merge_lora").is_some() {
        ("it merges an adapter into its model", "merge_lora")
    } else {
        ("it loads a model to merge, quantise or talk to it", "base_model")
    };
    Some(Kind::NotARun(does, "check the run file that trained the model", key))
}

fn llama_board(map: &Map) -> Option<Kind> {
    let saved = map
        .entries
        .iter()
        .any(|entry| entry.name().starts_with("top.") || entry.name().starts_with("train."));
    let is_board = saved || (map.get("path_dict").is_some() && map.get("last_model").is_some());
    is_board.then_some(Kind::NotARun(
        "it is what LlamaBoard saves of its own forms",
        "export the run file with LlamaBoard's preview, or check the training_args.yaml of the run",
        "path_dict",
    ))
}

/// Keys of LLaMA-Factory that no other framework has beside `model_name_or_path`.
const LLAMA_FACTORY_MARKS: &str = "
    finetuning_type cutoff_len lora_target lora_rank infer_backend export_dir quantization_method dataset_dir
    pref_loss max_samples template";
const STAGES: &[&str] = &["pt", "sft", "rm", "ppo", "dpo", "kto"];

fn of_llama_factory(map: &Map) -> Option<Kind> {
    let has_stage = map
        .get("stage")
        .and_then(|entry| entry.value.scalar())
        .is_some_and(|stage| STAGES.contains(&&*stage.text));
    let marks = ["finetuning_type", "cutoff_len", "lora_target"];
    let certain = marks.iter().filter(|key| map.get(key).is_some()).count() + usize::from(has_stage);
    let names_model = map.get("model_name_or_path").is_some();
    let is_ours = if names_model {
        has_stage || map.has_any(LLAMA_FACTORY_MARKS)
    } else {
        // The model's key may be misspelled, or come from the command line.
        certain >= 2
    };
    if !is_ours {
        return None;
    }
    let known = map
        .entries
        .iter()
        .filter(|entry| LLAMA_FACTORY.contains_key(entry.name()))
        .count();
    if known * 3 < map.entries.len() {
        // Most keys are none of LLaMA-Factory's: somebody's own layout that borrows some of its names.
        return Some(Kind::Homemade);
    }
    Some(llama_factory_task(map))
}

/// What LLaMA-Factory would do with the file.
fn llama_factory_task(map: &Map) -> Kind {
    if is_true(map, "do_train") {
        return Kind::Run(&llama_factory::FORMAT);
    }
    for key in ["do_predict", "do_eval", "predict_with_generate"] {
        if is_true(map, key) {
            return Kind::NotARun(
                "it evaluates or predicts, and do_train is not true",
                "check the run file that trained the model",
                key,
            );
        }
    }
    if is_off(map, "do_train") {
        return Kind::NotARun(
            "do_train is false",
            "write do_train: true, or check the run file that trains",
            "do_train",
        );
    }
    let trains = map.entries.iter().any(|entry| keys::is_of_training(entry.name()));
    if trains {
        return Kind::Run(&llama_factory::FORMAT);
    }
    if map.get("export_dir").is_some() {
        return Kind::NotARun(
            "it merges an adapter into its model or exports one",
            "check the run file that trained the adapter",
            "export_dir",
        );
    }
    let key = if map.get("infer_backend").is_some() {
        "infer_backend"
    } else {
        "model_name_or_path"
    };
    Kind::NotARun(
        "it loads a model to talk to it",
        "check the run file that trained the model",
        key,
    )
}

/// Whether the framework takes the value for true: any text in quotes is.
fn is_true(map: &Map, key: &str) -> bool {
    let scalar = map.get(key).and_then(|entry| entry.value.scalar());
    scalar.is_some_and(|scalar| match resolve(&scalar.text, Loader::OmegaConf) {
        _ if !scalar.is_plain => !scalar.text.is_empty(),
        Value::Bool(value) => value,
        Value::Int(value) => value != 0,
        Value::Text => true,
        Value::Null | Value::Float(_) => false,
    })
}

fn of_llama_factory_v1(map: &Map) -> Option<Kind> {
    map.get("model").filter(|model| model.value.scalar().is_some())?;
    let plugins = [
        "peft_config",
        "dist_config",
        "quant_config",
        "optim_config",
        "init_config",
        "kernel_config",
    ];
    let has_plugin = plugins
        .iter()
        .any(|key| map.map(key).is_some_and(|plugin| plugin.get("name").is_some()));
    let is_v1 = has_plugin || map.has_any("model_class sample_backend train_dataset batching_strategy");
    if !is_v1 {
        return None;
    }
    let merges = map
        .map("peft_config")
        .is_some_and(|peft| peft.get("export_dir").is_some());
    Some(match (map.get("train_dataset").is_some(), merges) {
        (true, _) => Kind::Run(&llama_factory_v1::FORMAT),
        (false, true) => Kind::NotARun(
            "it merges an adapter into its model",
            "check the run file that trained the adapter",
            "peft_config",
        ),
        (false, false) => Kind::NotARun(
            "it names no train_dataset",
            "check the run file that trains, or add its train_dataset",
            "model",
        ),
    })
}

fn mlx(map: &Map) -> Option<Kind> {
    let key = ["iters", "lora_parameters", "fine_tune_type", "adapter_path"]
        .into_iter()
        .find(|key| map.get(key).is_some())?;
    if !map.has_any("model data") {
        return None;
    }
    Some(if key == "adapter_path" && !is_trained(map) {
        Kind::NotARun(
            "it names an mlx-lm adapter and nothing to train it with",
            "check the run file that trains the adapter",
            key,
        )
    } else if is_off(map, "train") {
        Kind::NotARun(
            "train is false",
            "write train: true, or check the run file that trains",
            "train",
        )
    } else {
        Kind::Run(&mlx_lm::FORMAT)
    })
}

/// Whether a switch is written and off.
fn is_off(map: &Map, key: &str) -> bool {
    map.get(key)
        .and_then(|entry| entry.value.scalar())
        .is_some_and(|scalar| scalar.is_plain && resolve(&scalar.text, Loader::PyYaml) == Value::Bool(false))
}

fn is_trained(map: &Map) -> bool {
    talks_of_training(map, 1) || map.has_any("iters train data")
}

fn of_swift(map: &Map) -> Option<Kind> {
    if map.get("model_name_or_path").is_some() {
        return None;
    }
    const MARKS: &str = "
        tuner_type train_type rlhf_type split_dataset_ratio lora_rank sft_type mcore_model
        tensor_model_parallel_size vit_lr external_plugins";
    let key = MARKS.split_whitespace().find(|key| map.get(key).is_some())?;
    let has_data = map.has_any("dataset cached_dataset");
    let names_model = map.has_any("model load mcore_model adapters");
    if !has_data && !names_model {
        return None;
    }
    // Keys that only Megatron has; others of it stand in files for it too.
    const MEGATRON: &str = "
        micro_batch_size global_batch_size lr train_iters tensor_model_parallel_size mcore_model lr_warmup_fraction
        pipeline_model_parallel_size expert_model_parallel_size colocate_groups";
    Some(if has_data && map.has_any(MEGATRON) {
        Kind::Run(&swift_megatron::FORMAT)
    } else if has_data {
        Kind::Run(&swift::FORMAT)
    } else {
        Kind::NotARun("it names no data set", "check the run file that trains", key)
    })
}

fn trainer(map: &Map) -> Option<Kind> {
    let classes = || map.entries.iter().filter_map(|entry| TRL.class(entry.name()));
    let of_training = classes().filter(|class| class.split('@').next() == Some("TrainingArguments"));
    if of_training.count() < 2 {
        return None;
    }
    // Where most keys are none of TRL's, it is somebody's own layout that borrows some of its names.
    Some(if classes().count() * 2 < map.entries.len() {
        Kind::Homemade
    } else {
        Kind::Run(&trl::FORMAT)
    })
}

fn bench(map: &Map) -> Option<Kind> {
    dialect::peft_benchmark::is_ours(map).then_some(Kind::Run(&dialect::peft_benchmark::FORMAT))
}

/// Names that a file which trains cannot do without, in whatever layout.
const RISK: &str = "
    learning_rate lr num_epochs num_train_epochs epochs max_steps batch_size per_device_train_batch_size
    micro_batch_size global_batch_size gradient_accumulation_steps lora_rank lora_r lora_alpha use_lora
    use_qlora lora_dropout target_modules weight_decay warmup_ratio warmup_steps lr_scheduler lr_scheduler_type
    max_seq_len max_seq_length optim";

fn is_of_risk(key: &str) -> bool {
    RISK.split_whitespace().any(|name| name == key)
}

/// Whether at least `least` such names occur at the top or one level below.
fn talks_of_training(map: &Map, least: usize) -> bool {
    let of = |map: &Map| map.entries.iter().filter(|entry| is_of_risk(entry.name())).count();
    let nested: usize = map.entries.iter().filter_map(|entry| entry.value.map()).map(of).sum();
    of(map) + nested >= least
}

/// Whether a text that could not be read as a run file says several of these names: it was meant to train.
pub(super) fn is_said_to_train(text: &str) -> bool {
    let mut said: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| RISK.split_whitespace().any(|name| name == *word))
        .collect();
    said.sort_unstable();
    said.dedup();
    said.len() >= 2
}
