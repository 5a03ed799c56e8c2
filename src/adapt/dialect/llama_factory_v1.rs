//! Run files of LLaMA-Factory's v1 trainers (`USE_V1=1`).
//!
//! A flat file with a mapping for each plugin. Read against commit ff6d4d12.

use super::quantized;
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::Data;
use crate::adapt::{Launch, keys, launch};
use crate::diag::{Code, Diagnostic, one_of};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength,
    WarmupRatio, WarmupSteps, WeightDecay,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How LLaMA-Factory's v1 trainers read run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "llama-factory-v1",
    framework: "LLaMA-Factory v1",
    unknown: Unknown::Refuses,
    elsewhere: &[],
    launcher: "llamafactory-cli",
    loader: Loader::OmegaConf,
    default: "LLaMA-Factory v1's default",
    nested_text_is_read: true,
    order: "
        model trust_remote_code model_class custom_chat_template flash_attn peft_config peft_config.name
        peft_config.r peft_config.lora_alpha peft_config.lora_dropout peft_config.target_modules
        peft_config.use_rslora peft_config.use_dora kernel_config quant_config quant_config.name
        quant_config.quantization_bit dist_config cp_size init_config train_dataset eval_dataset output_dir
        micro_batch_size global_batch_size batching_strategy cutoff_len learning_rate optim_config
        optim_config.name optim_config.wd lr_scheduler_config max_grad_norm bf16 num_train_epochs max_steps seed
        pref_loss pref_beta sample_backend max_new_tokens",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::LLAMA_FACTORY_V1),
    read,
};

/// Numbers that every run has.
const ALWAYS: &[Row] = &[
    row("micro_batch_size", PerDevice, Whole, Is(1.0)),
    row(
        "global_batch_size",
        GlobalBatch,
        Whole,
        Absent("without global_batch_size an update takes one micro-batch of every device"),
    )
    .or_null(),
    row("learning_rate", LearningRate, Real, Is(1e-4)),
    row("num_train_epochs", Epochs, Whole, Is(3.0)),
    row("max_grad_norm", ClipNorm, Real, Is(1.0)),
    row("cutoff_len", SequenceLength, Whole, Is(2048.0)),
    row("seed", Seed, Whole, Is(42.0)),
];

/// Numbers of LoRA.
const LORA: &[Row] = &[
    row("peft_config.r", Rank, Whole, Is(8.0)),
    row("peft_config.lora_alpha", Alpha, Real, Is(16.0)),
    row("peft_config.lora_dropout", Dropout, Real, Is(0.05)),
];

const BETA: Row = row("pref_beta", PreferenceBeta, Real, Is(0.1));

/// What the plugins of `peft_config` and `quant_config` take; they refuse anything else.
const LORA_KEYS: &str = "
    name r lora_alpha lora_dropout target_modules use_rslora use_dora modules_to_save adapter_name_or_path
    export_dir export_size export_hub_model_id infer_dtype export_legacy_format";
const FREEZE_KEYS: &str = "
    name freeze_trainable_layers freeze_trainable_modules freeze_extra_modules cast_trainable_params_to_fp32";
const QUANT_KEYS: &str = "
    name quantization_bit compute_dtype double_quantization quantization_type";
/// Reads a run file of LLaMA-Factory v1.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    run.facts.drops_last = true;
    stage(run, launch);
    method(run);
    data(run, launch);
    run.numbers(ALWAYS);
    batch(run);
    max_steps(run);
    run.numbers(&[BETA]);
    optimizer(run);
    schedule(run);
    parallel(run);
    presence(run);
}

/// The file does not say what is taught; the sub-command does.
fn stage(run: &mut Run<'_>, launch: Launch) {
    let (words, origin) = match (launch.stage, run.told_stage) {
        (Some(_), _) => (one(launch.stage), Origin::Flag("--stage")),
        (None, Some((stage, place))) => (one(Some(stage)), Origin::Given(place)),
        (None, None) => {
            let why = "in v1 the command says what is taught, and the run file does not";
            let supply =
                "say --stage sft, dpo or rm, as the command `llamafactory-cli sft`, `dpo` or `rm` will have it";
            (Words::Unknown, unknown(why, supply, None))
        }
    };
    run.tell(Category::Stage, "train_dataset", words, origin);
}

/// Whether a plugin is configured: not at all, in a mapping, or in a way that we do not read.
fn plugin(run: &Run<'_>, key: &str) -> Said<()> {
    let Some(entry) = run.entry(key) else {
        return Said::Nothing;
    };
    let place = run.place(entry.value.span);
    if entry.value.map().is_some() {
        return Said::Value((), place);
    }
    let is_null = entry
        .value
        .scalar()
        .is_some_and(|value| value.is_plain && resolve(&value.text, DIALECT.loader) == Value::Null);
    if is_null {
        return Said::Nothing;
    }
    let why = format!("ftrisk reads `{key}` only as a mapping");
    Said::Unclear(unknown(why, "write it as one, with a `name`", Some(place)))
}

/// The name of a plugin in our words.
fn name(run: &mut Run<'_>, key: &'static str, names: &[(&'static str, &'static str)]) -> Said<&'static str> {
    let parent = key.rsplit_once('.').map_or(key, |(parent, _)| parent);
    match plugin(run, parent) {
        Said::Nothing => Said::Nothing,
        Said::Unclear(origin) => Said::Unclear(origin),
        Said::Value((), place) => match run.word(key, names) {
            Said::Nothing => {
                let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                let diagnostic = Diagnostic::new(Code::ValueType, format!("`{parent}` needs a name"))
                    .at(place, "LLaMA-Factory refuses it without one")
                    .help(format!("write a `name`: {}", one_of(&known)));
                run.refuse(key, place, diagnostic)
            }
            said => said,
        },
    }
}

/// The tuning method, and with it the model, how it is quantised, and the adapter.
fn method(run: &mut Run<'_>) {
    run.named(Category::Model, "model", "the run file names no model");
    let origin = by_default("v1 has no key for a revision");
    run.tell(Category::ModelRevision, "model", Words::One("main".into()), origin);
    let (base, base_origin) = quantization(run);
    let rule = "without peft_config every weight moves";
    let (mut method, mut origin) =
        name(run, "peft_config.name", &[("lora", "lora"), ("freeze", "freeze")]).or_default("full", rule);
    let mut key = "peft_config.name";
    match method {
        Some("lora") => {
            keys::check_nested(run, "peft_config", LORA_KEYS);
            match run.switch("peft_config.use_dora") {
                Said::Value(true, place) => {
                    (method, origin, key) = (Some("dora"), Origin::Given(place), "peft_config.use_dora")
                }
                Said::Unclear(why) => (method, origin, key) = (None, why, "peft_config.use_dora"),
                _ if base.map(quantized::tuned_as) != Some("lora") => {
                    (method, origin, key) = (
                        base.map(quantized::tuned_as),
                        base_origin,
                        "quant_config.quantization_bit",
                    );
                }
                _ => {}
            }
            adapter(run);
        }
        Some(word) => {
            if word == "freeze" {
                keys::check_nested(run, "peft_config", FREEZE_KEYS);
            }
            no_adapter(
                run,
                if word == "full" {
                    "full fine-tuning"
                } else {
                    "freeze tuning"
                },
            );
        }
        None => adapter(run),
    }
    run.tell(Category::Method, key, one(method), origin);
}

fn quantization(run: &mut Run<'_>) -> (Option<&'static str>, Origin) {
    const KEY: &str = "quant_config.quantization_bit";
    let bits = Ask {
        key: KEY,
        takes: Whole,
        domain: Domain::integers(4.0, 8.0),
        null: Null::IsDefault,
        usual: None,
    };
    let named = name(run, "quant_config.name", &[("bnb", "bnb"), ("auto", "auto")]);
    if named.given().is_some() {
        keys::check_nested(run, "quant_config", QUANT_KEYS);
    }
    let (word, origin) = match (named, run.number(&bits)) {
        (Said::Nothing, _) => (Some("none"), by_default("no quant_config is written")),
        (Said::Unclear(origin), _) | (_, Said::Unclear(origin)) => (None, origin),
        (_, Said::Value(8.0, place)) => (Some("8bit"), Origin::Given(place)),
        (_, Said::Value(4.0, place)) => (Some("4bit"), Origin::Given(place)),
        (_, Said::Value(_, place)) => (Some("other"), Origin::Given(place)),
        (Said::Value("bnb", _), Said::Nothing) => {
            (Some("4bit"), by_default("bnb without quantization_bit means 4 bits"))
        }
        (Said::Value(..), Said::Nothing) => (
            Some("none"),
            by_default("auto without quantization_bit quantises nothing"),
        ),
    };
    run.tell(Category::Quantization, KEY, one(word), origin.clone());
    (word, origin)
}

fn no_adapter(run: &mut Run<'_>, phrase: &str) {
    for (fact, key) in [
        (Rank, "peft_config.r"),
        (Alpha, "peft_config.lora_alpha"),
        (Dropout, "peft_config.lora_dropout"),
        (RankStabilised, "peft_config.use_rslora"),
    ] {
        run.absent(fact, key, format!("{phrase} has no {}", fact.name()));
    }
    let origin = by_default(format!("{phrase} has no adapter"));
    run.tell(
        Category::LoraTargets,
        "peft_config.target_modules",
        Words::Absent,
        origin,
    );
}

fn adapter(run: &mut Run<'_>) {
    const TARGETS: &str = "peft_config.target_modules";
    run.numbers(LORA);
    let stabilised = run.switch("peft_config.use_rslora").map(|on| f64::from(u8::from(on)));
    run.set(
        &row("peft_config.use_rslora", RankStabilised, Whole, Is(0.0)),
        stabilised,
    );
    let is_list = run
        .entry(TARGETS)
        .is_some_and(|entry| matches!(entry.value.data, Data::List(_)));
    // A text is one module, commas and all.
    let said = if is_list {
        run.list(TARGETS)
    } else {
        run.text(TARGETS).map(|module| vec![module])
    };
    let (targets, origin) = said.or_default(vec!["all".into()], DIALECT.default);
    run.tell(
        Category::LoraTargets,
        TARGETS,
        targets.map_or(Words::Unknown, Words::Set),
        origin,
    );
    continued(run);
}

/// An adapter that is trained on keeps its own shape, whatever the file says.
fn continued(run: &mut Run<'_>) {
    let Some(entry) = run.entry("peft_config.adapter_name_or_path") else {
        return;
    };
    let is_null = entry
        .value
        .scalar()
        .is_some_and(|path| path.is_plain && resolve(&path.text, DIALECT.loader) == Value::Null);
    if is_null {
        return;
    }
    let why = "the adapter of adapter_name_or_path is trained on, with its own rank, alpha and targets";
    let place = run.place(entry.value.span);
    let origin = unknown(
        why,
        "merge it into the model first, or look into its adapter_config.json",
        Some(place),
    );
    for (fact, key) in [
        (Rank, "peft_config.r"),
        (Alpha, "peft_config.lora_alpha"),
        (RankStabilised, "peft_config.use_rslora"),
    ] {
        run.fact(fact, key, Some(fact.domain().interval), origin.clone());
    }
    run.tell(
        Category::LoraTargets,
        "peft_config.target_modules",
        Words::Unknown,
        origin,
    );
}

/// The data set, and what of it a pass walks.
fn data(run: &mut Run<'_>, launch: Launch) {
    let (words, origin) = match run.text("train_dataset") {
        Said::Value(path, place) => (Words::Set(vec![path]), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown("the run file names no data set", "write `train_dataset`", None),
        ),
    };
    run.tell(Category::Dataset, "train_dataset", words, origin);
    let why = "v1 uses the model's own chat template, and no key names one";
    let origin = unknown(why, "leave the template to the model in the policy", None);
    run.tell(Category::Template, "custom_chat_template", Words::Unknown, origin);
    run.absent(MaxSamples, "train_dataset", "v1 has no max_samples: every row is used");
    launch::world(run, launch, "LLaMA-Factory uses every GPU it sees");
    run.fact(Packs, "batching_strategy", point(0.0), by_default("v1 does not pack"));
    launch::rows(run, launch, None, Some(false), None);
}

/// Accumulation follows from the global batch; a token budget makes the number of samples a matter of their lengths.
fn batch(run: &mut Run<'_>) {
    const STRATEGIES: &[(&str, &str)] = &[
        ("normal", "fixed"),
        ("padding_free", "fixed"),
        ("dynamic_batching", "budget"),
        ("dynamic_padding_free", "budget"),
    ];
    const KEY: &str = "global_batch_size";
    if run.facts.values(GlobalBatch).is_some() {
        run.nameless(
            Accumulation,
            None,
            by_default("it follows from global_batch_size and the devices"),
        );
    } else {
        let rule = "without global_batch_size an update takes one micro-batch of every device";
        run.nameless(Accumulation, point(1.0), by_default(rule));
    }
    let origin = match run.word("batching_strategy", STRATEGIES) {
        Said::Value("budget", place) => {
            let why = "this batching_strategy fills a budget of tokens, so that short samples make a larger batch";
            unknown(why, "write batching_strategy: normal", Some(place))
        }
        Said::Unclear(origin) => origin,
        _ => return,
    };
    let longest = run.facts.values(SequenceLength).map_or(1.0, Interval::hi);
    for (fact, key) in [(PerDevice, "micro_batch_size"), (GlobalBatch, KEY)] {
        if let Some(samples) = run.facts.values(fact) {
            let most = (samples.hi() * longest).min(fact.domain().interval.hi());
            run.fact(fact, key, Interval::new(samples.lo(), most), origin.clone());
        }
    }
}

fn max_steps(run: &mut Run<'_>) {
    const ANY: Domain = Domain::integers(-9_007_199_254_740_992.0, 9_007_199_254_740_992.0);
    const KEY: &str = "max_steps";
    match run.number(&Ask {
        key: KEY,
        takes: Whole,
        domain: ANY,
        null: Null::IsDefault,
        usual: None,
    }) {
        Said::Value(steps, place) if steps > 0.0 => run.fact(MaxSteps, KEY, point(steps), Origin::Given(place)),
        Said::Unclear(origin) => run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin),
        Said::Value(..) | Said::Nothing => {
            run.absent(MaxSteps, KEY, "no max_steps is written: num_train_epochs decides")
        }
    }
}

fn optimizer(run: &mut Run<'_>) {
    const DECAY: &str = "optim_config.wd";
    let (word, origin) = name(run, "optim_config.name", &[("muon", "muon")])
        .or_default("adamw", "without optim_config it is PyTorch's AdamW");
    run.tell(Category::Optimizer, "optim_config.name", one(word), origin);
    if word == Some("adamw") {
        run.fact(
            WeightDecay,
            DECAY,
            point(0.01),
            by_default("AdamW's default in PyTorch"),
        );
    } else {
        run.numbers(&[row(DECAY, WeightDecay, Real, Is(0.1))]);
    }
    run.absent(LoraPlusRatio, "optim_config.name", "v1 has no LoRA+");
}

/// The rate is constant; the plugin that could change it has no implementation yet.
fn schedule(run: &mut Run<'_>) {
    const KEY: &str = "lr_scheduler_config";
    let rule = "v1 keeps the learning rate constant";
    let (words, origin) = match plugin(run, KEY) {
        Said::Nothing => (Words::One("constant".into()), by_default(rule)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Value((), place) => {
            let diagnostic = Diagnostic::new(
                Code::ValueType,
                format!("`{KEY}` names a scheduler that v1 does not have"),
            )
            .at(place, "LLaMA-Factory knows none by any name")
            .help("delete it; the rate is constant");
            match run.refuse::<()>(KEY, place, diagnostic) {
                Said::Unclear(origin) => (Words::Unknown, origin),
                _ => (Words::Unknown, by_default(rule)),
            }
        }
    };
    run.tell(Category::Scheduler, KEY, words, origin);
    run.fact(WarmupRatio, KEY, point(0.0), by_default(rule));
    run.fact(WarmupSteps, KEY, point(0.0), by_default(rule));
    run.absent(MinLearningRate, KEY, rule);
}

/// Devices that share one copy of the model.
fn parallel(run: &mut Run<'_>) {
    const KEY: &str = "cp_size";
    let ask = Ask {
        key: KEY,
        takes: Whole,
        domain: ModelParallel.domain(),
        null: Null::Refused,
        usual: Some(1.0),
    };
    match run.number(&ask) {
        Said::Value(size, place) if size > 1.0 => run.fact(ModelParallel, KEY, point(size), Origin::Given(place)),
        Said::Unclear(origin) => run.fact(ModelParallel, KEY, Some(ModelParallel.domain().interval), origin),
        _ => run.absent(ModelParallel, KEY, "every device takes its own batches"),
    }
}

/// What a run has or has not.
fn presence(run: &mut Run<'_>) {
    launch::seeded(run);
    // 0 is no way to turn clipping off here: it scales every gradient to nothing.
    let origin = run
        .facts
        .number(ClipNorm)
        .map_or_else(|| by_default(""), |clip| clip.origin.clone());
    run.tell(Category::Clipping, "max_grad_norm", Words::Had(true), origin);
    let rule = "v1 does not evaluate while it trains";
    run.tell(
        Category::Evaluation,
        "eval_dataset",
        Words::Had(false),
        by_default(rule),
    );
    launch::lineage(run);
}
