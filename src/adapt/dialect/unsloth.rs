//! Unsloth's YAML: run files of `unsloth train -c`, and presets of its Studio.
//!
//! Read against commit 015bdef0. PyYAML reads the file and pydantic its sections: numbers and switches may be texts, and
//! a key that a section does not have is dropped. A preset names neither model nor data, and has keys that only the
//! Studio reads.

use super::hf::{self, OPTIMIZERS};
use super::{quantized, refusals};
use crate::adapt::format::Format;
use crate::adapt::keys::{check_nested, check_top};
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::{Data, Map};
use crate::adapt::{Launch, launch};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength,
    WarmupRatio, WarmupSteps, WeightDecay, WorldSize,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How Unsloth reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "unsloth",
    framework: "Unsloth",
    unknown: Unknown::Drops,
    elsewhere: ELSEWHERE,
    launcher: "unsloth",
    loader: Loader::Typed,
    default: "Unsloth's default",
    nested_text_is_read: true,
    order: "
        model data data.dataset data.local_dataset training training.training_type training.max_seq_length
        training.load_in_4bit training.num_epochs training.learning_rate training.batch_size
        training.gradient_accumulation_steps training.warmup_steps training.warmup_ratio training.max_steps
        training.weight_decay training.random_seed training.packing training.optim training.lr_scheduler_type lora
        lora.lora_r lora.lora_alpha lora.lora_dropout lora.target_modules lora.use_rslora lora.use_dora logging",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: None,
    read,
};

/// What other frameworks call things.
const ELSEWHERE: &[(&str, &str)] = &[
    ("lora_rank", "lora_r"),
    ("lora_target_modules", "target_modules"),
    ("max_length", "max_seq_length"),
    ("num_train_epochs", "num_epochs"),
    ("seed", "random_seed"),
];

/// Sections of a file.
const SECTIONS: &str = "model data training lora logging";
/// Keys of `training` that the command reads.
const TRAINING: &str = "
    training_type max_seq_length load_in_4bit output_dir num_epochs learning_rate batch_size
    gradient_accumulation_steps warmup_steps max_steps save_steps weight_decay random_seed packing
    train_on_completions gradient_checkpointing";
/// Keys of `training` that only the Studio reads.
const STUDIO: &str = "warmup_ratio optim lr_scheduler_type eval_steps embedding_learning_rate";
/// Keys of `lora`.
const LORA: &str = "
    lora_r lora_alpha lora_dropout target_modules vision_all_linear use_rslora use_loftq use_dora
    finetune_vision_layers finetune_language_layers finetune_attention_modules finetune_mlp_modules";
const DATA: &str = "dataset local_dataset format_type";
const LOGGING: &str = "enable_wandb wandb_project wandb_token enable_tensorboard tensorboard_dir hf_token";

/// Keys that nobody but Unsloth has in these sections.
const MARKS: &[(&str, &str)] = &[
    (
        "training",
        "training_type train_on_completions random_seed load_in_4bit",
    ),
    (
        "lora",
        "use_loftq vision_all_linear finetune_vision_layers finetune_language_layers finetune_attention_modules
         finetune_mlp_modules",
    ),
];

/// Whether a file is Unsloth's and not somebody's own layout with the same sections: it has keys of Unsloth alone, and
/// nothing that a trainer would read stands where Unsloth does not look.
pub(in crate::adapt) fn is_ours(map: &Map, is_risky: impl Fn(&str) -> bool) -> bool {
    let has_mark = MARKS
        .iter()
        .any(|(section, keys)| map.map(section).is_some_and(|section| section.has_any(keys)));
    let reads = |section: &str, key: &str| {
        let known = match section {
            "training" => [TRAINING, STUDIO],
            "lora" => [LORA, ""],
            _ => ["", ""],
        };
        known
            .iter()
            .any(|keys| keys.split_whitespace().any(|known| known == key))
    };
    let is_elsewhere = map.entries.iter().any(|entry| match entry.value.map() {
        None => is_risky(entry.name()),
        Some(section) => section
            .entries
            .iter()
            .any(|inner| is_risky(inner.name()) && !reads(entry.name(), inner.name())),
    });
    has_mark && !is_elsewhere
}

/// Numbers, with the default of the command; it and the Studio agree on these.
const ALWAYS: &[Row] = &[
    row("training.batch_size", PerDevice, Real, Is(2.0)),
    row("training.gradient_accumulation_steps", Accumulation, Real, Is(4.0)),
    row("training.learning_rate", LearningRate, Real, Is(2e-4)),
    row("training.max_seq_length", SequenceLength, Real, Is(2048.0)),
    row("training.random_seed", Seed, Real, Is(3407.0)),
];
const DECAY: Row = row("training.weight_decay", WeightDecay, Real, Is(0.01));
const RANK: Row = row("lora.lora_r", Rank, Real, Is(64.0));
const ALPHA: Row = row("lora.lora_alpha", Alpha, Real, Is(16.0));
const DROPOUT: Row = row("lora.lora_dropout", Dropout, Real, Is(0.0));
const STABILISED: Row = row("lora.use_rslora", RankStabilised, Whole, Is(0.0));
const SHARE: Row = row("training.warmup_ratio", WarmupRatio, Real, Absent("")).or_null();
const WARMUP: Row = row("training.warmup_steps", WarmupSteps, Real, Is(5.0));

/// Reads a run file of Unsloth.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let is_preset = run.entry("model").is_none() && run.entry("data").is_none();
    if !is_preset {
        check_top(run, &SECTIONS.split_whitespace().collect::<Vec<_>>());
        for (section, known) in [
            ("data", DATA),
            ("training", TRAINING),
            ("lora", LORA),
            ("logging", LOGGING),
        ] {
            check_nested(run, section, known);
        }
    }
    let stage = match launch.stage {
        Some(stage) => (stage, Origin::Flag("--stage")),
        None => ("sft", by_default("Unsloth's files are for supervised fine-tuning")),
    };
    run.tell(Category::Stage, "training", one(Some(stage.0)), stage.1);
    method(run, is_preset);
    run.numbers(ALWAYS);
    own(run, &DECAY, is_preset);
    data(run, is_preset, launch);
    duration(run);
    schedule(run, is_preset);
    run.nameless(GlobalBatch, None, by_default("Unsloth counts batches per device"));
    run.nameless(ModelParallel, None, by_default("every device takes its own batches"));
    let why = "only preference tuning has a preference beta";
    run.nameless(PreferenceBeta, None, by_default(why));
    let why = "Unsloth clips at 0.3 for vision models and at 1 for others, and the file does not say which this is";
    run.nameless(
        ClipNorm,
        Interval::new(0.3, 1.0),
        unknown(why, "limit clip_norm by 1, or leave it to Unsloth", None),
    );
    run.tell(
        Category::Clipping,
        "training",
        Words::Had(true),
        by_default("Unsloth always clips"),
    );
    launch::seeded(run);
    let origin = by_default("no key of the file asks for evaluation");
    run.tell(Category::Evaluation, "training", Words::Had(false), origin);
    launch::lineage(run);
    for section in ["training", "lora"] {
        if let Some(map) = run.root().map(section) {
            let message = |text: &str| format!("YAML reads `{text}` as text");
            let label = "a number to Unsloth, and to nobody who takes the file as it is";
            refusals::texts_for_numbers(run, map, message, label);
        }
    }
}

/// A number whose default the command and the Studio do not share.
fn own(run: &mut Run<'_>, row: &Row, is_preset: bool) {
    match run.asked(row) {
        Said::Nothing if is_preset => {
            let why = "the Studio has a default of its own for it";
            let origin = unknown(why, format!("write `{}`", row.key), None);
            run.fact(row.fact, row.key, Some(row.fact.domain().interval), origin);
        }
        said => run.set(row, said),
    }
}

/// The tuning method, and with it the model, how it is quantised, and the adapter.
fn method(run: &mut Run<'_>, is_preset: bool) {
    const TYPE: &str = "training.training_type";
    const BITS: &str = "training.load_in_4bit";
    let why = if is_preset {
        "a preset names no model"
    } else {
        "the run file names no model"
    };
    run.named(Category::Model, "model", why);
    let origin = by_default("Unsloth has no key for a revision");
    run.tell(Category::ModelRevision, "model", Words::One("main".into()), origin);
    let (kind, origin) = run
        .word(TYPE, &[("lora", "lora"), ("full", "full")])
        .or_default("lora", DIALECT.default);
    let bits = run.switch(BITS);
    let by_name = quantized::by_name(run, "model");
    let (base, key, why) = match (kind, bits, by_name) {
        (None, ..) => (None, TYPE, origin.clone()),
        (_, _, Some(base)) => (base.word, base.key, base.origin),
        (Some("full"), ..) => (
            Some("none"),
            TYPE,
            by_default("full fine-tuning loads no quantised base"),
        ),
        (_, Said::Value(on, place), None) => (Some(if on { "4bit" } else { "none" }), BITS, Origin::Given(place)),
        (_, Said::Unclear(origin), None) => (None, BITS, origin),
        (_, Said::Nothing, None) if is_preset => {
            let origin = unknown(
                "the Studio asks how the base is loaded",
                format!("write `{BITS}`"),
                None,
            );
            (None, BITS, origin)
        }
        (_, Said::Nothing, None) => (Some("4bit"), BITS, by_default(DIALECT.default)),
    };
    run.tell(Category::Quantization, key, one(base), why.clone());
    if kind == Some("full") {
        run.tell(Category::Method, TYPE, one(kind), origin);
        no_adapter(run);
        return;
    }
    let (word, key, origin) = match (run.switch("lora.use_dora"), kind, base) {
        (Said::Value(true, place), Some(_), _) => (Some("dora"), "lora.use_dora", Origin::Given(place)),
        (Said::Unclear(origin), ..) => (None, "lora.use_dora", origin),
        (_, None, _) => (None, TYPE, origin),
        (_, _, Some(base)) if quantized::tuned_as(base) == "lora" => (kind, TYPE, origin),
        (_, _, base) => (base.map(quantized::tuned_as), key, why),
    };
    run.tell(Category::Method, key, one(word), origin);
    for row in [&RANK, &ALPHA] {
        own(run, row, is_preset);
    }
    run.numbers(&[DROPOUT]);
    let stabilised = run.switch(STABILISED.key).map(|on| f64::from(u8::from(on)));
    run.set(&STABILISED, stabilised);
    run.absent(LoraPlusRatio, RANK.key, "Unsloth's files have no LoRA+");
    targets(run, is_preset);
}

fn no_adapter(run: &mut Run<'_>) {
    for (fact, key) in [
        (Rank, RANK.key),
        (Alpha, ALPHA.key),
        (Dropout, DROPOUT.key),
        (RankStabilised, STABILISED.key),
        (LoraPlusRatio, RANK.key),
    ] {
        run.absent(fact, key, format!("full fine-tuning has no {}", fact.name()));
    }
    let origin = by_default("full fine-tuning has no adapter");
    run.tell(Category::LoraTargets, "lora.target_modules", Words::Absent, origin);
}

/// The command takes one text of names between commas, a preset also a list.
fn targets(run: &mut Run<'_>, is_preset: bool) {
    const KEY: &str = "lora.target_modules";
    let all = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj".split(',');
    let said = if is_preset {
        run.list(KEY)
    } else {
        run.text(KEY)
            .map(|text| text.split(',').map(|name| name.trim().to_owned()).collect())
    };
    let (words, origin) = match said {
        Said::Nothing => (
            Words::Set(all.map(str::to_owned).collect()),
            by_default(DIALECT.default),
        ),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Value(names, place) if names.iter().all(String::is_empty) => {
            let why = "without a name Unsloth picks the modules";
            (Words::Unknown, unknown(why, format!("write `{KEY}`"), Some(place)))
        }
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
    };
    run.tell(Category::LoraTargets, KEY, words, origin);
}

/// The data set, and what of it a pass walks.
fn data(run: &mut Run<'_>, is_preset: bool, launch: Launch) {
    let local = run
        .entry("data.local_dataset")
        .is_some_and(|entry| matches!(entry.value.data, Data::List(_)));
    let (key, said) = if local {
        ("data.local_dataset", run.list("data.local_dataset"))
    } else {
        ("data.dataset", run.text("data.dataset").map(|name| vec![name]))
    };
    let (words, origin) = match said {
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown("the file names no data set", "write `data.dataset`", None),
        ),
    };
    run.tell(Category::Dataset, key, words, origin);
    let why = "Unsloth uses the model's own chat template, and no key names one";
    let origin = unknown(why, "leave the template to the model in the policy", None);
    run.tell(Category::Template, "data", Words::Unknown, origin);
    run.absent(
        MaxSamples,
        "data",
        "Unsloth's files have no max_samples: every row is used",
    );
    match launch.world_size {
        None if !is_preset => {
            let origin = by_default("`unsloth train` is one process");
            run.nameless(WorldSize, point(1.0), origin);
        }
        _ => launch::world(run, launch, "the Studio decides on how many devices it trains"),
    }
    let (packs, origin) = run.switch("training.packing").or_default(false, DIALECT.default);
    run.fact(Packs, "training.packing", of_switch(packs), origin);
    launch::rows(run, launch, None, packs, None);
}

/// `max_steps` wins over the epochs; 0 is unset for both.
fn duration(run: &mut Run<'_>) {
    const STEPS: &str = "training.max_steps";
    const EPOCHS: Row = row("training.num_epochs", Epochs, Real, Is(3.0));
    let ask = Ask {
        key: STEPS,
        takes: Real,
        domain: Domain::integers(-9_007_199_254_740_992.0, 9_007_199_254_740_992.0),
        null: Null::Refused,
        usual: Some(0.0),
    };
    match run.number(&ask) {
        Said::Value(steps, place) if steps > 0.0 => run.fact(MaxSteps, STEPS, point(steps), Origin::Given(place)),
        Said::Unclear(origin) => run.fact(MaxSteps, STEPS, Some(MaxSteps.domain().interval), origin),
        _ => run.absent(MaxSteps, STEPS, "max_steps is not set: num_epochs decides"),
    }
    match run.asked(&EPOCHS) {
        Said::Value(epochs, place) if epochs <= 0.0 && run.facts.values(MaxSteps).is_none() => {
            let why = "neither num_epochs nor max_steps is above 0";
            let origin = unknown(why, "write one of them", Some(place));
            run.fact(Epochs, EPOCHS.key, Some(Epochs.domain().interval), origin);
        }
        said => run.set(&EPOCHS, said),
    }
}

/// The schedule, its warm-up and the optimizer. Where the file may not say, they depend on the kind of model.
fn schedule(run: &mut Run<'_>, is_preset: bool) {
    let open = |what: &str| {
        let why = format!("Unsloth picks the {what} by the kind of model: one for text, another for vision");
        unknown(why, format!("leave the {what} out of the policy"), None)
    };
    for (category, key, what, spellings) in [
        (
            Category::Scheduler,
            "training.lr_scheduler_type",
            "schedule",
            hf::SCHEDULERS,
        ),
        (Category::Optimizer, "training.optim", "optimizer", OPTIMIZERS),
    ] {
        let said = if is_preset {
            run.word(key, spellings)
        } else {
            Said::Nothing
        };
        let (word, origin) = match said {
            Said::Value(word, place) => (Some(word), Origin::Given(place)),
            Said::Unclear(origin) => (None, origin),
            Said::Nothing => (None, open(what)),
        };
        run.tell(category, key, one(word), origin);
    }
    run.nameless(MinLearningRate, None, by_default("the schedule has no floor"));
    let share = if is_preset { run.asked(&SHARE) } else { Said::Nothing };
    match share {
        Said::Nothing => {
            let steps = run.asked(&WARMUP);
            run.set(&WARMUP, steps);
            run.absent(WarmupRatio, SHARE.key, "warm-up is counted in steps");
        }
        said => {
            run.set(&SHARE, said);
            let rule = "warmup_ratio wins over warmup_steps";
            run.fact(WarmupSteps, WARMUP.key, point(0.0), by_default(rule));
        }
    }
}
