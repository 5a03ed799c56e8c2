//! Run files of TRL and alignment-handbook, as TrlParser and the Hugging Face trainer read them.
//!
//! Read against TRL 0.15 to 1.16, transformers 4.57 and 5.24, PEFT 0.21 and alignment-handbook at 925acdfe. PyYAML reads
//! the file, and argparse makes numbers and switches of texts at the top; inside nested mappings nobody does.

use super::hf::{self, OPTIMIZERS};
use super::trainers::{self, Trainer};
use super::{quantized, refusals};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::table::Missing::Is;
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::{Data, Node};
use crate::adapt::{Launch, keys, launch};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::Input::{
    Accumulation, Alpha, Beta1, Beta2, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples,
    ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Rows, Seed, SequenceLength, WeightDecay,
    WorldSize,
};
use crate::facts::{Origin, Words};
use crate::quantity::Category;

/// How TRL reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "trl",
    framework: "TRL",
    unknown: Unknown::Refuses,
    elsewhere: ELSEWHERE,
    launcher: "trl",
    loader: Loader::Typed,
    default: "TRL's default",
    nested_text_is_read: false,
    order: "
        model_name_or_path model_revision dtype torch_dtype attn_implementation use_peft load_in_4bit load_in_8bit
        lora_r lora_alpha lora_dropout lora_target_modules use_rslora use_dora lora_modules_to_save dataset_name
        dataset_config datasets dataset_mixture dataset_train_split dataset_num_proc chat_template chat_template_path
        beta loss_type num_generations max_prompt_length max_completion_length max_length max_seq_length packing
        eval_strategy eval_steps per_device_train_batch_size gradient_accumulation_steps learning_rate
        num_train_epochs max_steps lr_scheduler_type lr_scheduler_kwargs warmup_ratio warmup_steps optim weight_decay
        max_grad_norm seed bf16 output_dir num_processes",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::TRL),
    read,
};

/// What other frameworks call things.
const ELSEWHERE: &[(&str, &str)] = &[
    ("base_model", "model_name_or_path"),
    ("batch_size", "per_device_train_batch_size"),
    ("cutoff_len", "max_length"),
    ("dataset", "dataset_name"),
    ("epochs", "num_train_epochs"),
    ("evaluation_strategy", "eval_strategy"),
    ("lora_rank", "lora_r"),
    ("lora_target", "lora_target_modules"),
    ("lr", "learning_rate"),
    ("lr_scheduler", "lr_scheduler_type"),
    ("micro_batch_size", "per_device_train_batch_size"),
    ("model", "model_name_or_path"),
    ("model_name", "model_name_or_path"),
    ("num_epochs", "num_train_epochs"),
    ("optimizer", "optim"),
    ("pref_beta", "beta"),
    ("quantization_bit", "load_in_4bit"),
    ("r", "lora_r"),
    ("sequence_len", "max_length"),
    ("target_modules", "lora_target_modules"),
    ("use_lora", "use_peft"),
    ("warmup", "warmup_ratio"),
];

/// Numbers that every run has, by whichever trainer.
const ALWAYS: &[Row] = &[
    row("per_device_train_batch_size", PerDevice, Whole, Is(8.0)),
    row("gradient_accumulation_steps", Accumulation, Whole, Is(1.0)),
    row("num_train_epochs", Epochs, Real, Is(3.0)),
    row("weight_decay", WeightDecay, Real, Is(0.0)),
    row("max_grad_norm", ClipNorm, Real, Is(1.0)),
    row("adam_beta1", Beta1, Real, Is(0.9)),
    row("adam_beta2", Beta2, Real, Is(0.999)),
    row("seed", Seed, Whole, Is(42.0)),
];

/// Numbers of LoRA.
const LORA: &[Row] = &[
    row("lora_r", Rank, Whole, Is(16.0)),
    row("lora_alpha", Alpha, Real, Is(32.0)),
    row("lora_dropout", Dropout, Real, Is(0.05)),
];

const STABILISED: Row = row("use_rslora", RankStabilised, Whole, Is(0.0));
const RATE: Row = row("learning_rate", LearningRate, Real, Is(5e-5));
const BETA: Row = row("beta", PreferenceBeta, Real, Is(0.1));

/// Keys that do nothing without `use_peft`.
const OF_LORA: &[&str] = &[
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
    "lora_target_parameters",
    "lora_modules_to_save",
    "use_rslora",
    "use_dora",
];

/// Reads a run file of TRL.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let told = run.told_stage.map(|(stage, _)| stage);
    let trainers = trainers::of(run, launch.stage.or(told));
    trainers::tell(run, &trainers, launch.stage);
    method(run);
    run.numbers(ALWAYS);
    rate(run, &trainers);
    beta(run, &trainers);
    data(run, &trainers, launch);
    run.nameless(GlobalBatch, None, by_default("TRL counts batches per device"));
    hf::found_batch(run);
    hf::max_steps(run);
    hf::schedule(run);
    let (word, origin) = run.word("optim", OPTIMIZERS).or_default("adamw", DIALECT.default);
    run.tell(Category::Optimizer, "optim", one(word), origin);
    hf::clipping(run);
    parallel(run);
    launch::seeded(run);
    hf::evaluation(run);
    launch::lineage(run);
    let root = run.root();
    let message = |text: &str| format!("YAML reads `{text}` as text");
    let label = "a number to TRL's own parser, and to none that takes the file as it is";
    refusals::texts_for_numbers(run, root, message, label);
}

/// Its default is the trainer's.
fn rate(run: &mut Run<'_>, trainers: &[&'static Trainer]) {
    match (run.asked(&RATE), trainers::common(trainers, |trainer| trainer.rate)) {
        (Said::Nothing, Some(rate)) => {
            let origin = by_default(DIALECT.default);
            run.fact(LearningRate, RATE.key, point(rate), origin);
        }
        (Said::Nothing, None) => {
            let origin = trainers::open("the default of `learning_rate`", trainers);
            run.fact(LearningRate, RATE.key, Some(LearningRate.domain().interval), origin);
        }
        (said, _) => run.set(&RATE, said),
    }
}

/// The pull towards the reference model.
fn beta(run: &mut Run<'_>, trainers: &[&'static Trainer]) {
    let domain = Some(PreferenceBeta.domain().interval);
    match (run.asked(&BETA), trainers::common(trainers, |trainer| trainer.beta)) {
        (Said::Nothing, Some([])) => {
            run.absent(PreferenceBeta, BETA.key, "only preference tuning has a preference beta")
        }
        (Said::Nothing, Some([only])) => {
            run.fact(PreferenceBeta, BETA.key, point(*only), by_default(DIALECT.default));
        }
        (Said::Nothing, Some(_)) => {
            let origin = unknown(
                "the default of `beta` depends on the version of TRL",
                "write `beta`",
                None,
            );
            run.fact(PreferenceBeta, BETA.key, domain, origin);
        }
        (Said::Nothing, None) => {
            let origin = trainers::open("the default of `beta`", trainers);
            run.fact(PreferenceBeta, BETA.key, domain, origin);
        }
        (said, _) => run.set(&BETA, said),
    }
}

/// The tuning method, and with it the model, how it is quantised, and the adapter.
fn method(run: &mut Run<'_>) {
    run.named(Category::Model, "model_name_or_path", "the run file names no model");
    let (revision, origin) = run.text("model_revision").or_default("main".into(), DIALECT.default);
    let revision = one(revision.as_deref());
    run.tell(Category::ModelRevision, "model_revision", revision, origin);
    let (base, base_key, base_origin) = quantization(run);
    let off = "use_peft is off by TRL's default: every weight is trained";
    let (uses_peft, mut origin) = run.switch("use_peft").or_default(false, off);
    let (mut method, mut key) = (uses_peft.map(|on| if on { "lora" } else { "full" }), "use_peft");
    if method == Some("lora") {
        match run.switch("use_dora") {
            Said::Value(true, place) => (method, origin, key) = (Some("dora"), Origin::Given(place), "use_dora"),
            Said::Unclear(why) => (method, origin, key) = (None, why, "use_dora"),
            _ if base.map(quantized::tuned_as) != Some("lora") => {
                (method, origin, key) = (base.map(quantized::tuned_as), base_origin, base_key);
            }
            _ => {}
        }
    }
    run.tell(Category::Method, key, one(method), origin);
    if uses_peft == Some(false) {
        no_adapter(run);
    } else {
        adapter(run);
    }
}

/// How the base is quantised, by which key.
fn quantization(run: &mut Run<'_>) -> (Option<&'static str>, &'static str, Origin) {
    let (word, key, origin) = match (run.switch("load_in_4bit"), run.switch("load_in_8bit")) {
        (Said::Unclear(origin), _) => (None, "load_in_4bit", origin),
        (_, Said::Unclear(origin)) => (None, "load_in_8bit", origin),
        (Said::Value(true, place), Said::Value(true, _)) => {
            let diagnostic = Diagnostic::new(Code::ValueType, "`load_in_4bit` and `load_in_8bit` exclude each other")
                .at(place, "TRL refuses both")
                .help("keep one of them");
            match run.refuse::<()>("load_in_4bit", place, diagnostic) {
                Said::Unclear(origin) => (None, "load_in_4bit", origin),
                _ => (None, "load_in_4bit", Origin::Given(place)),
            }
        }
        (Said::Value(true, place), _) => (Some("4bit"), "load_in_4bit", Origin::Given(place)),
        (_, Said::Value(true, place)) => (Some("8bit"), "load_in_8bit", Origin::Given(place)),
        _ => match quantized::by_name(run, "model_name_or_path") {
            Some(base) => (base.word, base.key, base.origin),
            None => {
                let rule = "neither load_in_4bit nor load_in_8bit is on, and the model's name names no quantisation";
                (Some("none"), "load_in_4bit", by_default(rule))
            }
        },
    };
    run.tell(Category::Quantization, key, one(word), origin.clone());
    (word, key, origin)
}

fn no_adapter(run: &mut Run<'_>) {
    for (fact, key) in [
        (Rank, "lora_r"),
        (Alpha, "lora_alpha"),
        (Dropout, "lora_dropout"),
        (RankStabilised, "use_rslora"),
        (LoraPlusRatio, "lora_r"),
    ] {
        run.absent(fact, key, format!("full fine-tuning has no {}", fact.name()));
    }
    let origin = by_default("full fine-tuning has no adapter");
    run.tell(Category::LoraTargets, "lora_target_modules", Words::Absent, origin);
    for key in ["load_in_4bit", "load_in_8bit"] {
        if let Said::Value(true, place) = run.switch(key) {
            let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` needs an adapter to train"))
                .at(place, "the trainer refuses to train a quantised base")
                .help("write `use_peft: true`, or delete the line");
            run.diagnostics.push(diagnostic);
        }
    }
    let idle = OF_LORA.iter().find_map(|key| run.entry(key).map(|entry| (key, entry)));
    if let Some((key, entry)) = idle {
        let message = format!("`{key}` does nothing: `use_peft` is not true, so every weight is trained");
        let diagnostic = Diagnostic::new(Code::ValueType, message)
            .weighing(Severity::Warning)
            .at(run.place(entry.key.span.to(entry.value.span)), "no adapter has it")
            .help("write `use_peft: true`, or delete what is about the adapter");
        run.diagnostics.push(diagnostic);
    }
}

fn adapter(run: &mut Run<'_>) {
    run.numbers(LORA);
    run.absent(LoraPlusRatio, "lora_r", "TRL has no LoRA+: A and B learn at one rate");
    let stabilised = run.switch("use_rslora").map(|on| f64::from(u8::from(on)));
    run.set(&STABILISED, stabilised);
    targets(run);
}

/// A text is one name or pattern, commas and all.
fn targets(run: &mut Run<'_>) {
    let why = "without lora_target_modules PEFT picks the modules by the kind of model";
    let mut all = Vec::new();
    let mut from = None;
    for key in ["lora_target_modules", "lora_target_parameters"] {
        let is_list = run
            .entry(key)
            .is_some_and(|entry| matches!(entry.value.data, Data::List(_)));
        let said = if is_list {
            run.list(key)
        } else {
            run.text(key).map(|text| vec![text])
        };
        match said {
            Said::Value(names, place) => {
                all.extend(names);
                from.get_or_insert((key, Origin::Given(place)));
            }
            Said::Unclear(origin) => {
                run.tell(Category::LoraTargets, key, Words::Unknown, origin);
                return;
            }
            Said::Nothing => {}
        }
    }
    let (words, (key, origin)) = match from {
        Some(from) => (Words::Set(all), from),
        None => (
            Words::Unknown,
            ("lora_target_modules", unknown(why, "write `lora_target_modules`", None)),
        ),
    };
    run.tell(Category::LoraTargets, key, words, origin);
}

/// The data sets, and what of them a pass walks.
fn data(run: &mut Run<'_>, trainers: &[&'static Trainer], launch: Launch) {
    dataset(run);
    let template = if run.entry("chat_template_path").is_some() {
        "chat_template_path"
    } else {
        "chat_template"
    };
    let why = "without a template in the file the tokenizer's own is used";
    run.named(Category::Template, template, why);
    run.absent(MaxSamples, "dataset_name", "TRL has no max_samples: every row is used");
    world(run, launch);
    let (packs, origin) = run.switch("packing").or_default(false, DIALECT.default);
    run.fact(Packs, "packing", of_switch(packs), origin);
    rows(run, trainers, packs, launch);
    sequence_length(run, trainers);
}

fn dataset(run: &mut Run<'_>) {
    const PLACES: &[(&str, &str)] = &[("datasets", "path"), ("dataset_mixture.datasets", "id")];
    for (key, name) in PLACES {
        let Some(entry) = run.entry(key) else { continue };
        let Data::List(items) = &entry.value.data else { continue };
        let named = |item: &Node| Some(item.map()?.get(name)?.value.scalar()?.text.to_string());
        let names: Option<Vec<String>> = items.iter().map(named).collect();
        let place = run.place(entry.value.span);
        let (words, origin) = match names {
            Some(mut names) => {
                names.sort();
                names.dedup();
                (Words::Set(names), Origin::Given(place))
            }
            None => {
                let why = format!("not every part of `{key}` has its `{name}`");
                (Words::Unknown, unknown(why, "write them", Some(place)))
            }
        };
        run.tell(Category::Dataset, key, words, origin);
        return;
    }
    if let Some(entry) = run.entry("dataset_mixer")
        && let Some(map) = entry.value.map()
    {
        let names = map.entries.iter().map(|entry| entry.name().to_owned()).collect();
        let origin = Origin::Given(run.place(entry.value.span));
        run.tell(Category::Dataset, "dataset_mixer", Words::Set(names), origin);
        return;
    }
    let (words, origin) = match run.text("dataset_name") {
        Said::Value(name, place) => (Words::Set(vec![name]), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown("the run file names no data set", "write `dataset_name`", None),
        ),
    };
    run.tell(Category::Dataset, "dataset_name", words, origin);
}

/// `trl` hands `num_processes` on to accelerate.
fn world(run: &mut Run<'_>, launch: Launch) {
    let ask = Ask {
        key: "num_processes",
        takes: Whole,
        domain: WorldSize.domain(),
        null: Null::IsDefault,
        usual: None,
    };
    match (launch.world_size, run.number(&ask)) {
        (None, Said::Value(size, place)) => run.fact(WorldSize, ask.key, point(size), Origin::Given(place)),
        (None, Said::Unclear(origin)) => run.fact(WorldSize, ask.key, Some(ask.domain.interval), origin),
        _ => launch::world(
            run,
            launch,
            "accelerate's own file or arguments say how many processes train",
        ),
    }
}

/// A trainer that samples from the model takes each row several times, by several keys.
fn rows(run: &mut Run<'_>, trainers: &[&'static Trainer], packs: Option<bool>, launch: Launch) {
    let samples = |trainer: &Trainer| matches!(trainer.stage, "grpo" | "rloo" | "ppo");
    if !trainers.is_empty() && !trainers.iter().any(|trainer| samples(trainer)) {
        launch::rows(run, launch, None, packs, None);
        return;
    }
    let origin = match trainers {
        [_] => unknown(
            "each row is taken num_generations × num_iterations times, which ftrisk does not count",
            "write max_steps, and limit updates instead",
            None,
        ),
        several => trainers::open("how often a row is taken", several),
    };
    run.nameless(Rows, Some(Rows.domain().interval), origin);
}

fn sequence_length(run: &mut Run<'_>, trainers: &[&'static Trainer]) {
    let ask = Ask {
        key: "max_length",
        takes: Whole,
        domain: SequenceLength.domain(),
        null: Null::IsDefault,
        usual: Some(1024.0),
    };
    let domain = Some(ask.domain.interval);
    // TRL 0.15 to 0.19 take the older name, and it wins.
    let older = Ask {
        key: "max_seq_length",
        ..ask
    };
    for ask in [older, ask] {
        match run.number(&ask) {
            Said::Value(length, place) => {
                run.fact(SequenceLength, ask.key, point(length), Origin::Given(place));
                return;
            }
            Said::Unclear(origin) => {
                run.fact(SequenceLength, ask.key, domain, origin);
                return;
            }
            Said::Nothing if run.entry(ask.key).is_some() && ask.key == "max_length" => {
                run.absent(SequenceLength, ask.key, "max_length is null: nothing is cut");
                return;
            }
            Said::Nothing => {}
        }
    }
    match trainers::common(trainers, |trainer| trainer.length) {
        Some(Some(length)) => run.fact(SequenceLength, ask.key, point(length), by_default(DIALECT.default)),
        Some(None) => run.absent(
            SequenceLength,
            ask.key,
            "the trainer cuts prompts and answers each on its own",
        ),
        None => {
            let origin = trainers::open("the default of `max_length`", trainers);
            run.fact(SequenceLength, ask.key, domain, origin);
        }
    }
}

/// Devices that share one copy of the model.
fn parallel(run: &mut Run<'_>) {
    const KEY: &str = "parallelism_config";
    match run.entry(KEY) {
        None => run.nameless(ModelParallel, None, by_default("every device takes its own batches")),
        Some(entry) => {
            let why =
                "parallelism_config says how many devices share one copy of the model, and ftrisk does not read it";
            let place = run.place(entry.value.span);
            let origin = unknown(why, "leave `parallelism_config` out", Some(place));
            run.fact(ModelParallel, KEY, Some(ModelParallel.domain().interval), origin);
        }
    }
}
