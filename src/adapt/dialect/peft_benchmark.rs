//! training_params.json of the benchmarks in PEFT's repository: an overlay on a default_training_params.json.
//!
//! Read against peft at 5d602fdb. There are two benchmarks, each with a default file of its own; which of them reads
//! this one its text does not say, so only defaults on which both agree are taken.

use super::hf;
use crate::adapt::format::Format;
use crate::adapt::keys::check_top;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Dialect, Row, Unknown, row};
use crate::adapt::tree::{Entry, Map};
use crate::adapt::{Launch, launch};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength,
    WarmupRatio, WarmupSteps, WeightDecay, WorldSize,
};
use crate::facts::{Input, Origin, Words};
use crate::quantity::{Category, Interval};

/// How the benchmarks of PEFT's repository read the parameters of an experiment.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "peft-benchmark",
    framework: "PEFT's benchmark",
    launcher: "run.py",
    default: "the benchmark's default_training_params.json",
    unknown: Unknown::Refuses,
    elsewhere: &[],
    loader: Loader::Json,
    nested_text_is_read: false,
    order: "model_id max_steps batch_size seed grad_norm_clip optimizer_type optimizer_kwargs lr_scheduler",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: None,
    read,
};

/// Keys of the two default files.
const KEYS: &str = "
    model_id dtype max_seq_length batch_size batch_size_eval max_steps eval_steps compile use_gc seed
    grad_norm_clip optimizer_type optimizer_kwargs lr_scheduler use_amp autocast_adapter_dtype attn_implementation
    generation_kwargs query_template init_kv_cache_prefix dataset_id dataset_split resolution repeats image_column
    valid_size test_size num_inference_steps guidance_scale max_sequence_length text_encoder_out_layers
    weighting_scheme logit_mean logit_std mode_scale dino_model_id dino_image_size instance_prompts
    sample_image_prompts drift_image_prompts";

/// Whether a file is one of a benchmark: it says something of the optimizer as they do, and most keys are theirs.
pub(in crate::adapt) fn is_ours(map: &Map) -> bool {
    let known = |entry: &&Entry| KEYS.split_whitespace().any(|key| key == entry.name());
    let says = map.map("optimizer_kwargs").is_some() || map.get("optimizer_type").is_some();
    says && map.entries.iter().filter(known).count() * 2 > map.entries.len()
}

/// Numbers on which the default files of both benchmarks agree.
const AGREED: &[Row] = &[
    row("grad_norm_clip", ClipNorm, Real, Is(1.0)),
    row("seed", Seed, Whole, Is(0.0)),
];

/// Numbers that each benchmark has its own default of.
const OWN: &[(Input, &str)] = &[
    (PerDevice, "batch_size"),
    (MaxSteps, "max_steps"),
    (SequenceLength, "max_seq_length"),
];

/// Reads a training_params.json: what it writes replaces the benchmark's own file key by key, and nested ones whole.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let aside = |what: &str| {
        let why = format!("{what} is in the benchmark's default_training_params.json");
        unknown(why, "write it in this file too", None)
    };
    check_top(run, &KEYS.split_whitespace().collect::<Vec<_>>());
    run.numbers(AGREED);
    for (fact, key) in OWN {
        let ask = row(key, *fact, Whole, Absent("")).or_null();
        match run.asked(&ask) {
            Said::Nothing => run.fact(*fact, key, Some(fact.domain().interval), aside(key)),
            said => run.set(&ask, said),
        }
    }
    run.nameless(Epochs, None, by_default("the benchmark counts steps"));
    run.nameless(
        Accumulation,
        point(1.0),
        by_default("the benchmark does not accumulate"),
    );
    run.nameless(GlobalBatch, None, by_default("the benchmark counts batches per device"));
    run.nameless(ModelParallel, None, by_default("the benchmark uses one device"));
    run.nameless(Packs, point(0.0), by_default("the benchmark does not pack"));
    run.nameless(MaxSamples, None, by_default("the benchmark uses every row"));
    run.nameless(LoraPlusRatio, None, by_default("LoRA+ is an optimizer of its own here"));
    run.nameless(PreferenceBeta, None, by_default("the benchmark is supervised"));
    optimizer(run);
    schedule(run);
    match launch.world_size {
        Some(_) => launch::world(run, launch, ""),
        None => run.nameless(WorldSize, point(1.0), by_default("the benchmark is one process")),
    }
    launch::rows(run, launch, None, Some(false), None);
    let beside = || {
        let why = "the adapter_config.json beside this file says what is trained";
        unknown(why, "check that file for the limits of the adapter", None)
    };
    for fact in [Rank, Alpha, Dropout, RankStabilised] {
        run.nameless(fact, Some(fact.domain().interval), beside());
    }
    for category in [Category::Method, Category::LoraTargets] {
        run.tell(category, "optimizer_kwargs", Words::Unknown, beside());
    }
    let stage = launch.stage.map_or((Words::Unknown, aside("the task")), |stage| {
        (one(Some(stage)), Origin::Flag("--stage"))
    });
    run.tell(Category::Stage, "model_id", stage.0, stage.1);
    run.named(Category::Model, "model_id", "the benchmark's own file names the model");
    for category in [
        Category::ModelRevision,
        Category::Quantization,
        Category::Dataset,
        Category::Template,
    ] {
        run.tell(category, "model_id", Words::Unknown, aside(category.name()));
    }
    launch::seeded(run);
    let origin = by_default("the benchmark evaluates every eval_steps");
    run.tell(Category::Evaluation, "eval_steps", Words::Had(true), origin);
    hf::clipping_by(run, "grad_norm_clip");
    launch::lineage(run);
}

/// `optimizer_kwargs` replaces the default mapping whole, so that what it leaves out has the optimizer's own default.
fn optimizer(run: &mut Run<'_>) {
    const RATE: &str = "optimizer_kwargs.lr";
    const DECAY: &str = "optimizer_kwargs.weight_decay";
    const KINDS: &[(&str, &str)] = &[
        ("AdamW", "adamw"),
        ("Adam", "adam"),
        ("SGD", "sgd"),
        ("Adafactor", "adafactor"),
        ("Muon", "muon"),
        ("lora+", "other"),
        ("lora-fa", "other"),
        ("riemannian", "other"),
    ];
    let (word, origin) = run.word("optimizer_type", KINDS).or_default("adamw", DIALECT.default);
    run.tell(Category::Optimizer, "optimizer_type", one(word), origin);
    let is_replaced = run.entry("optimizer_kwargs").is_some();
    let rows = [
        (
            row(RATE, LearningRate, Real, Is(1e-4)),
            point(1e-3).filter(|_| word == Some("adamw")),
        ),
        (
            row(DECAY, WeightDecay, Real, Is(0.1)),
            point(0.01).filter(|_| word == Some("adamw")),
        ),
    ];
    for (row, of_torch) in rows {
        match (run.asked(&row), is_replaced, of_torch) {
            (Said::Nothing, true, Some(values)) => {
                let rule = "PyTorch's AdamW: optimizer_kwargs replaces the benchmark's own whole";
                run.fact(row.fact, row.key, Some(values), by_default(rule));
            }
            (Said::Nothing, true, None) => {
                let why = format!("`{}` is the optimizer's own", row.key);
                let origin = unknown(why, "write it", None);
                run.fact(row.fact, row.key, Some(row.fact.domain().interval), origin);
            }
            (Said::Nothing, false, _) if row.fact == WeightDecay => {
                let origin = unknown(
                    "the benchmarks have different weight decays in their default_training_params.json",
                    "write `optimizer_kwargs` in this file",
                    None,
                );
                run.fact(row.fact, row.key, Some(row.fact.domain().interval), origin);
            }
            (said, ..) => run.set(&row, said),
        }
    }
}

/// A cosine warms up over a tenth; `null` is a constant rate. Which of them is the default differs.
fn schedule(run: &mut Run<'_>) {
    const KEY: &str = "lr_scheduler";
    let is_null = run
        .entry(KEY)
        .and_then(|entry| entry.value.scalar())
        .is_some_and(|scalar| scalar.is_plain && resolve(&scalar.text, Loader::Json) == Value::Null);
    let (word, origin) = match if is_null {
        Said::Nothing
    } else {
        run.word(KEY, &[("cosine", "cosine")])
    } {
        Said::Value(word, place) => (Some(word), Origin::Given(place)),
        Said::Unclear(origin) => (None, origin),
        Said::Nothing if is_null => (Some("constant"), by_default("null is no schedule")),
        Said::Nothing => {
            let why = "the schedule is in the benchmark's default_training_params.json";
            (None, unknown(why, "write `lr_scheduler`", None))
        }
    };
    run.tell(Category::Scheduler, KEY, one(word), origin.clone());
    run.absent(MinLearningRate, KEY, "the schedule has no floor");
    run.nameless(
        WarmupSteps,
        point(0.0),
        by_default("warm-up is a share of the steps here"),
    );
    let share = match word {
        Some("cosine") => (
            point(0.1),
            by_default("the benchmark warms up over a tenth of the steps"),
        ),
        Some(_) => (point(0.0), by_default("constant never warms up")),
        None => (Interval::new(0.0, 0.1), origin),
    };
    run.nameless(WarmupRatio, share.0, share.1);
}
