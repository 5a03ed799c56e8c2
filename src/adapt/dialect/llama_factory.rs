//! LLaMA-Factory's run files, as its own trainers read them.
//!
//! Read against commit ff6d4d12 with transformers 5.8 (and 4.55 to 4.57 where they differ). Values are passed on as the
//! loader made them: nothing is converted, so a quoted number is text and `null` is a value.

use super::hf::{self, OPTIMIZERS};
use super::{quantized, refusals};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::{Launch, keys, launch};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::Input::{
    Accumulation, Alpha, AlphaPerRank, Beta1, Beta2, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate,
    LoraPlusRatio, MaxSamples, ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed,
    SequenceLength, WeightDecay,
};
use crate::facts::{Origin, Words};
use crate::quantity::Category;
use crate::source::Place;

/// How LLaMA-Factory reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "llama-factory",
    framework: "LLaMA-Factory",
    unknown: Unknown::Refuses,
    elsewhere: ELSEWHERE,
    launcher: "llamafactory-cli",
    loader: Loader::OmegaConf,
    default: "LLaMA-Factory's default",
    nested_text_is_read: false,
    order: "
        model_name_or_path model_revision adapter_name_or_path create_new_adapter quantization_bit
        quantization_method trust_remote_code stage do_train finetuning_type lora_rank lora_alpha lora_dropout
        lora_target use_rslora use_dora loraplus_lr_ratio oft_target use_galore use_apollo use_badam
        use_adam_mini use_muon pref_beta pref_loss deepspeed dataset dataset_dir template cutoff_len packing
        neat_packing streaming max_samples preprocessing_num_workers output_dir logging_steps save_steps
        overwrite_output_dir report_to per_device_train_batch_size gradient_accumulation_steps learning_rate
        num_train_epochs max_steps lr_scheduler_type lr_scheduler_kwargs warmup_ratio warmup_steps optim
        weight_decay max_grad_norm seed bf16 ddp_timeout eval_dataset val_size eval_strategy eval_steps
        tensor_model_parallel_size",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::LLAMA_FACTORY),
    read,
};

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

/// Numbers that every run has.
const ALWAYS: &[Row] = &[
    row("per_device_train_batch_size", PerDevice, Whole, Is(8.0)),
    row("gradient_accumulation_steps", Accumulation, Whole, Is(1.0)),
    row("learning_rate", LearningRate, Real, Is(5e-5)),
    row("num_train_epochs", Epochs, Real, Is(3.0)),
    row("weight_decay", WeightDecay, Real, Is(0.0)),
    row("max_grad_norm", ClipNorm, Real, Is(1.0)),
    row("adam_beta1", Beta1, Real, Is(0.9)),
    row("adam_beta2", Beta2, Real, Is(0.999)),
    row("seed", Seed, Whole, Is(42.0)),
    row(
        "max_samples",
        MaxSamples,
        Whole,
        Absent("no max_samples is written: every row is used"),
    )
    .or_null(),
];

/// Numbers of LoRA.
const LORA: &[Row] = &[
    row("lora_rank", Rank, Whole, Is(8.0)),
    row("lora_dropout", Dropout, Real, Is(0.0)),
    row(
        "loraplus_lr_ratio",
        LoraPlusRatio,
        Real,
        Absent("no loraplus_lr_ratio is written: A and B learn at one rate"),
    )
    .or_null(),
];

/// `lora_alpha`; without it the rank decides.
const ALPHA: Row = row("lora_alpha", Alpha, Real, Absent("")).or_null();
/// The pull towards the reference model in preference tuning.
const BETA: Row = row("pref_beta", PreferenceBeta, Real, Is(0.1));
const CUTOFF: Row = row("cutoff_len", SequenceLength, Whole, Is(2048.0));

const STAGES: &[(&str, &str)] = &[
    ("pt", "pt"),
    ("sft", "sft"),
    ("rm", "rm"),
    ("ppo", "ppo"),
    ("dpo", "dpo"),
    ("kto", "kto"),
];
/// `pref_loss`, and the stage that it makes of `dpo`.
const LOSSES: &[(&str, &str)] = &[
    ("sigmoid", "dpo"),
    ("hinge", "dpo"),
    ("ipo", "ipo"),
    ("kto_pair", "dpo"),
    ("orpo", "orpo"),
    ("simpo", "simpo"),
];
const METHODS: &[(&str, &str)] = &[("lora", "lora"), ("oft", "oft"), ("freeze", "freeze"), ("full", "full")];
/// Switches that put another optimizer in the place of `optim`; the first that is on wins.
const OVERRIDES: &[(&str, &str)] = &[
    ("use_galore", "galore"),
    ("use_apollo", "apollo"),
    // LoRA+ comes here: it keeps `optim` and looks at nothing below.
    ("use_badam", "badam"),
    ("use_adam_mini", "adam_mini"),
    ("use_muon", "muon"),
];

/// Reads a run file of LLaMA-Factory.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    told_to_train(run);
    let stage = stage(run, launch);
    let method = method(run);
    run.numbers(ALWAYS);
    data(run, stage, launch);
    batch(run);
    hf::max_steps(run);
    adapter(run, method);
    match stage {
        Some("dpo" | "ipo" | "orpo" | "simpo" | "kto") | None => run.numbers(&[BETA]),
        Some("ppo") => run.absent(
            PreferenceBeta,
            "pref_beta",
            "PPO steers by ppo_target, not by pref_beta",
        ),
        Some(_) => run.absent(
            PreferenceBeta,
            "pref_beta",
            "only preference tuning has a preference beta",
        ),
    }
    hf::schedule(run);
    optimizer(run);
    parallel(run);
    presence(run);
    refusals::report(run, method);
    refusals::loader_text(run);
}

/// `do_train` may also come from the command line, so a file without it is judged as the run it describes.
fn told_to_train(run: &mut Run<'_>) {
    if run.switch("do_train") == Said::Nothing
        && let Some(goes) = run.key("do_train").goes
    {
        let diagnostic = Diagnostic::new(
            Code::NotARun,
            "do_train is not written: as it stands the file trains nothing",
        )
        .weighing(Severity::Warning)
        .at(goes, "it would go here")
        .help("add the line")
        .instead("do_train: true");
        run.diagnostics.push(diagnostic);
    }
}

fn stage(run: &mut Run<'_>, launch: Launch) -> Option<&'static str> {
    if let Some(stage) = launch.stage {
        run.tell(Category::Stage, "stage", one(Some(stage)), Origin::Flag("--stage"));
        return Some(stage);
    }
    let said = run.word("stage", STAGES);
    let (mut stage, mut origin) = said.or_default("sft", DIALECT.default);
    let mut key = "stage";
    let loss = run.word("pref_loss", LOSSES);
    if stage == Some("dpo") {
        match loss {
            Said::Value(word, place) if word != "dpo" => {
                (stage, origin, key) = (Some(word), Origin::Given(place), "pref_loss")
            }
            Said::Unclear(why) => (stage, origin, key) = (None, why, "pref_loss"),
            _ => {}
        }
    }
    run.tell(Category::Stage, key, one(stage), origin);
    stage
}

/// The tuning method, and with it the model and how it is quantised.
fn method(run: &mut Run<'_>) -> Option<&'static str> {
    run.named(Category::Model, "model_name_or_path", "the run file names no model");
    let (revision, origin) = run.text("model_revision").or_default("main".into(), DIALECT.default);
    run.tell(
        Category::ModelRevision,
        "model_revision",
        one(revision.as_deref()),
        origin,
    );
    let base = quantized::base(run);
    let (word, mut origin) = run.word("finetuning_type", METHODS).or_default("lora", DIALECT.default);
    let (mut method, mut key) = (word, "finetuning_type");
    if word == Some("lora") {
        match run.switch("use_dora") {
            Said::Value(true, place) => (method, origin, key) = (Some("dora"), Origin::Given(place), "use_dora"),
            Said::Unclear(why) => (method, origin, key) = (None, why, "use_dora"),
            _ => match (base.word, base.origin) {
                (None, why) => (method, origin, key) = (None, why, base.key),
                (Some(bits), _) if quantized::tuned_as(bits) == "lora" => {}
                (Some(bits), given) => (method, origin, key) = (Some(quantized::tuned_as(bits)), given, base.key),
            },
        }
    }
    run.tell(Category::Method, key, one(method), origin);
    method
}

/// The data sets, and how many rows of them a pass walks.
fn data(run: &mut Run<'_>, stage: Option<&str>, launch: Launch) {
    let dataset = run.list("dataset");
    let sets = dataset.given().map(Vec::len);
    let (words, origin) = match dataset {
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown("the run file names no data set", "write `dataset`", None),
        ),
    };
    run.tell(Category::Dataset, "dataset", words, origin);
    let why = "without `template` the tokenizer's own chat template is used";
    run.named(Category::Template, "template", why);
    launch::world(run, launch, "LLaMA-Factory uses every GPU it sees");
    let asked = packing(run);
    let packs = match (asked, stage) {
        (None, _) => None,
        (Some(asked), Some(stage)) => Some(matches!(
            (stage, asked),
            ("pt", None | Some(true)) | ("sft", Some(true))
        )),
        (Some(asked), None) => (asked == Some(false)).then_some(false),
    };
    let origin = run.written("packing").unwrap_or_else(|| by_default(DIALECT.default));
    run.fact(Packs, "packing", of_switch(packs), origin);
    launch::rows(run, launch, sets, packs, stage);
    sequence_length(run, asked == Some(Some(true)));
}

/// What the file says about packing; the outer `None` when that is not clear.
fn packing(run: &mut Run<'_>) -> Option<Option<bool>> {
    match (run.switch("neat_packing"), run.switch("packing")) {
        (Said::Value(true, _), _) => Some(Some(true)),
        (Said::Unclear(_), _) | (_, Said::Unclear(_)) => None,
        (_, said) => Some(said.given().copied()),
    }
}

/// A sequence is one token shorter where packing is asked for.
fn sequence_length(run: &mut Run<'_>, is_packed: bool) {
    match (run.asked(&CUTOFF), is_packed) {
        (Said::Nothing, true) => {
            let origin = by_default("LLaMA-Factory's default, less one token for packing");
            run.fact(SequenceLength, "cutoff_len", point(2047.0), origin);
        }
        (said, true) => run.set(&CUTOFF, said.map(|length| (length - 1.0).max(1.0))),
        (said, false) => run.set(&CUTOFF, said),
    }
}

fn batch(run: &mut Run<'_>) {
    run.nameless(GlobalBatch, None, by_default("LLaMA-Factory counts batches per device"));
    hf::found_batch(run);
}

/// Rank, alpha and targets of the adapter, where there is one.
fn adapter(run: &mut Run<'_>, method: Option<&str>) {
    let phrase = match method {
        Some("full") => "full fine-tuning",
        Some("freeze") => "freeze tuning",
        Some("oft") => "OFT",
        _ => {
            run.numbers(LORA);
            rank_stabilised(run);
            alpha(run);
            targets(run);
            continued(run);
            return;
        }
    };
    for (fact, key) in [
        (Rank, "lora_rank"),
        (Alpha, "lora_alpha"),
        (Dropout, "lora_dropout"),
        (RankStabilised, "use_rslora"),
        (LoraPlusRatio, "loraplus_lr_ratio"),
    ] {
        run.absent(fact, key, format!("{phrase} has no {}", fact.name()));
    }
    if method == Some("oft") {
        targets(run);
        oft_targets(run);
    } else {
        let origin = by_default(format!("{phrase} has no adapter"));
        run.tell(Category::LoraTargets, "lora_target", Words::Absent, origin);
    }
}

fn rank_stabilised(run: &mut Run<'_>) {
    let said = run.switch("use_rslora").map(|on| f64::from(u8::from(on)));
    run.set(&row("use_rslora", RankStabilised, Whole, Is(0.0)), said);
}

fn alpha(run: &mut Run<'_>) {
    match run.asked(&ALPHA) {
        // Python's `or`: 0 is as good as nothing.
        Said::Nothing | Said::Value(0.0, _) => {
            let twice = run
                .facts
                .values(Rank)
                .and_then(|rank| rank.map_rising(|rank| 2.0 * rank));
            let origin = match run.facts.number(Rank).map(|rank| &rank.origin) {
                Some(Origin::Unknown { supply, place, .. }) => {
                    let origin = unknown("it is 2 × lora_rank, which is not known", supply.clone(), *place);
                    let rule = "2 × lora_rank by LLaMA-Factory's default";
                    run.fact(AlphaPerRank, "lora_alpha", point(2.0), by_default(rule));
                    origin
                }
                _ => by_default("2 × lora_rank by LLaMA-Factory's default"),
            };
            run.fact(Alpha, "lora_alpha", twice, origin);
        }
        said => run.set(&ALPHA, said),
    }
}

/// OFT is placed by the same key.
fn targets(run: &mut Run<'_>) {
    const KEY: &str = "lora_target";
    let said = match null(run, KEY) {
        // Of an adapter that is trained on it asks nothing.
        Some(_) if trained_on(run).is_some() => Said::Nothing,
        Some(place) => {
            let diagnostic = Diagnostic::new(Code::ValueType, format!("`{KEY}` needs a value"))
                .at(place, "`null` is passed on, and LLaMA-Factory fails on it")
                .help("write all, which is the default, or leave it out");
            run.refuse(KEY, place, diagnostic)
        }
        None => run.list(KEY),
    };
    let (words, origin) = said.or_default(vec!["all".into()], DIALECT.default);
    run.tell(
        Category::LoraTargets,
        KEY,
        words.map_or(Words::Unknown, Words::Set),
        origin,
    );
}

/// Where a key is written as null.
fn null(run: &Run<'_>, key: &str) -> Option<Place> {
    let value = &run.entry(key)?.value;
    let scalar = value.scalar().filter(|scalar| scalar.is_plain)?;
    (resolve(&scalar.text, DIALECT.loader) == Value::Null).then(|| run.place(value.span))
}

/// The key that looks as if it placed OFT is taken and never read.
fn oft_targets(run: &mut Run<'_>) {
    const KEY: &str = "oft_target";
    let Said::Value(asked, place) = run.list(KEY) else {
        return;
    };
    let placed = run.facts.word(Category::LoraTargets).map(|fact| &fact.words);
    if placed.is_some_and(|placed| *placed != Words::Set(asked)) {
        let diagnostic = Diagnostic::new(
            Code::ValueType,
            format!("`{KEY}` has no effect: OFT is placed by lora_target"),
        )
        .weighing(Severity::Warning)
        .at(place, "LLaMA-Factory takes it and never reads it")
        .help("write it as lora_target");
        run.diagnostics.push(diagnostic);
    }
}

/// Where an adapter is named that is trained on.
fn trained_on(run: &mut Run<'_>) -> Option<Place> {
    let starts_anew = matches!(run.switch("create_new_adapter"), Said::Value(true, _));
    match run.text("adapter_name_or_path") {
        Said::Value(_, place) if !starts_anew => Some(place),
        _ => None,
    }
}

/// An adapter that is trained on keeps its own shape, whatever the file says.
fn continued(run: &mut Run<'_>) {
    let Some(place) = trained_on(run) else { return };
    let why = "the adapter of adapter_name_or_path is trained on, with its own rank, alpha and targets";
    let origin = unknown(
        why,
        "write create_new_adapter: true, or look into that adapter's adapter_config.json",
        Some(place),
    );
    for (fact, key) in [
        (Rank, "lora_rank"),
        (Alpha, "lora_alpha"),
        (RankStabilised, "use_rslora"),
    ] {
        run.fact(fact, key, Some(fact.domain().interval), origin.clone());
    }
    run.tell(Category::LoraTargets, "lora_target", Words::Unknown, origin);
}

fn optimizer(run: &mut Run<'_>) {
    let (mut word, mut origin) = run.word("optim", OPTIMIZERS).or_default("adamw", DIALECT.default);
    let mut key = "optim";
    let has_plus = run.facts.values(LoraPlusRatio).is_some();
    for (switch, name) in OVERRIDES {
        let is_below_plus = !matches!(*switch, "use_galore" | "use_apollo");
        if has_plus && is_below_plus {
            break;
        }
        match run.switch(switch) {
            Said::Value(true, place) => (word, origin, key) = (Some(*name), Origin::Given(place), *switch),
            Said::Unclear(why) => (word, origin, key) = (None, why, *switch),
            _ => continue,
        }
        break;
    }
    run.tell(Category::Optimizer, key, one(word), origin);
    clipping(run);
}

/// Clipping is off at 0, and without effect where each layer steps as soon as its gradient is there.
fn clipping(run: &mut Run<'_>) {
    for (switch, layerwise) in [("use_galore", "galore_layerwise"), ("use_apollo", "apollo_layerwise")] {
        let is_on = matches!(run.switch(switch), Said::Value(true, _));
        if let (true, Said::Value(true, place)) = (is_on, run.switch(layerwise)) {
            run.tell(Category::Clipping, layerwise, Words::Had(false), Origin::Given(place));
            return;
        }
    }
    hf::clipping(run);
}

/// Devices that share one copy of the model.
fn parallel(run: &mut Run<'_>) {
    const SIZES: &[&str] = &[
        "tensor_model_parallel_size",
        "pipeline_model_parallel_size",
        "context_parallel_size",
        "expert_model_parallel_size",
        "hyper_parallel_cp_size",
    ];
    let mut shared = 1.0;
    let mut from = None;
    for key in SIZES {
        let ask = Ask {
            key,
            takes: Whole,
            domain: ModelParallel.domain(),
            null: Null::Refused,
            usual: Some(1.0),
        };
        match run.number(&ask) {
            Said::Value(size, place) if size > 1.0 => {
                shared *= size;
                from.get_or_insert((*key, Origin::Given(place)));
            }
            Said::Unclear(origin) => {
                run.fact(ModelParallel, key, Some(ModelParallel.domain().interval), origin);
                return;
            }
            _ => {}
        }
    }
    let elsewhere = [
        (
            "hyper_parallel_args",
            "the file of hyper_parallel_args says how many devices share one copy of the model",
        ),
        (
            "parallelism_config",
            "parallelism_config says how many devices share one copy of the model, and ftrisk does not read it",
        ),
    ];
    for (key, why) in elsewhere {
        if let Some(entry) = run.entry(key) {
            let origin = unknown(why, format!("leave `{key}` out"), Some(run.place(entry.value.span)));
            run.fact(ModelParallel, key, Some(ModelParallel.domain().interval), origin);
            return;
        }
    }
    match from {
        Some((key, origin)) => run.fact(ModelParallel, key, point(shared), origin),
        None => run.nameless(ModelParallel, None, by_default("every device takes its own batches")),
    }
}

/// What a run has or has not.
fn presence(run: &mut Run<'_>) {
    launch::seeded(run);
    hf::evaluation(run);
    launch::lineage(run);
}
