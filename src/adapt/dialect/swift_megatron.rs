//! ms-swift's Megatron runs, as its `megatron pt`, `sft` and `rlhf` read them, Ray files included.
//!
//! Read against ms-swift 4.6.0 (and commit 3602360a). Batches are global, and epochs win over iterations.

use super::swift::{self, ELSEWHERE};
use super::swift_data;
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::Map;
use crate::adapt::{Launch, keys, launch};
use crate::facts::Input::{
    Accumulation, ClipNorm, Epochs, GlobalBatch, MaxSteps, MinLearningRate, PerDevice, Seed, WarmupRatio, WarmupSteps,
    WeightDecay,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How ms-swift reads run files for Megatron.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "ms-swift-megatron",
    framework: "ms-swift (Megatron)",
    unknown: Unknown::Refuses,
    elsewhere: ELSEWHERE,
    launcher: "megatron",
    loader: Loader::Argparse,
    default: "ms-swift's default for Megatron",
    nested_text_is_read: false,
    order: "
        model model_revision tuner_type rlhf_type lora_rank lora_alpha lora_dropout target_modules use_rslora beta
        dataset val_dataset split_dataset_ratio streaming template max_length packing micro_batch_size
        global_batch_size num_train_epochs train_iters lr lr_decay_style lr_warmup_fraction lr_warmup_iters min_lr
        optimizer weight_decay clip_grad seed eval_iters eval_steps output_dir tensor_model_parallel_size
        pipeline_model_parallel_size context_parallel_size",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::SWIFT_MEGATRON),
    read,
};

/// Numbers that every run has.
const ALWAYS: &[Row] = &[
    row("micro_batch_size", PerDevice, Whole, Is(1.0)),
    row("global_batch_size", GlobalBatch, Whole, Is(16.0)),
    row("weight_decay", WeightDecay, Real, Is(0.1)),
    row("clip_grad", ClipNorm, Real, Is(1.0)),
    row("min_lr", MinLearningRate, Real, Is(0.0)),
    row("seed", Seed, Whole, Is(42.0)),
];
const EPOCHS: Row = row(
    "num_train_epochs",
    Epochs,
    Whole,
    Absent("no num_train_epochs is written: train_iters decides"),
);
const WARMUP: Row = row("lr_warmup_fraction", WarmupRatio, Real, Is(0.0));
const WARMUP_ITERS: Row = row("lr_warmup_iters", WarmupSteps, Whole, Is(0.0));

const TUNERS: &[(&str, &str)] = &[("lora", "lora"), ("full", "full"), ("lora_llm", "other")];
const DECAYS: &[(&str, &str)] = &[
    ("constant", "constant_with_warmup"),
    ("linear", "linear"),
    ("cosine", "cosine"),
    ("inverse-square-root", "inverse_sqrt"),
    ("WSD", "warmup_stable_decay"),
];
/// Megatron's Adam decays weights apart from the gradient, as AdamW does.
const OPTIMIZERS: &[(&str, &str)] = &[
    ("adam", "adamw"),
    ("sgd", "sgd"),
    ("muon", "muon"),
    ("dist_muon", "muon"),
];

/// A Ray file with the keys of its group `train` at the top, where they win over shared ones.
pub(in crate::adapt) fn flattened(root: &Map) -> Option<Map> {
    let train = root.map("train")?;
    let mut flat = Map::default();
    let shared = root.entries.iter().filter(|entry| train.get(entry.name()).is_none());
    for entry in train
        .entries
        .iter()
        .chain(shared.filter(|entry| entry.name() != "train"))
    {
        flat.insert(entry.clone());
    }
    Some(flat)
}

/// Reads a run of `megatron pt`, `sft` or `rlhf`.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let stage = swift::stage(run, launch);
    swift::model(run, "tuner_type");
    let method = swift::method(run, "full", TUNERS);
    run.numbers(ALWAYS);
    swift::rate(run, "lr", method, &["vit_lr", "aligner_lr", "muon_lr"]);
    of_ray(run);
    swift::world(run, launch);
    swift_data::data(run, stage, launch);
    let rule = "it follows from global_batch_size and the devices";
    run.nameless(Accumulation, None, by_default(rule));
    length(run);
    swift::adapter(run, method);
    swift::beta(run, stage);
    schedule(run);
    let (word, origin) = run.word("optimizer", OPTIMIZERS).or_default("adamw", run.default());
    run.tell(Category::Optimizer, "optimizer", one(word), origin);
    launch::parallel(
        run,
        &[
            "tensor_model_parallel_size",
            "pipeline_model_parallel_size",
            "context_parallel_size",
        ],
        Null::Refused,
    );
    launch::seeded(run);
    evaluation(run);
    swift::clipping(run, "clip_grad");
    launch::lineage(run);
    swift_data::loader_text(run);
}

/// A Ray file says how many devices train.
fn of_ray(run: &mut Run<'_>) {
    let ask = Ask {
        key: "gpus",
        takes: Whole,
        domain: Domain::WORLD,
        null: Null::Refused,
        usual: None,
    };
    match run.number(&ask) {
        Said::Value(gpus, place) => run.world = Some((Some(gpus), Origin::Given(place))),
        Said::Unclear(origin) => run.world = Some((None, origin)),
        Said::Nothing => {}
    }
}

/// Epochs, where they are written and the data have an end, replace `train_iters`.
fn length(run: &mut Run<'_>) {
    const ITERS: &str = "train_iters";
    let iters = row(ITERS, MaxSteps, Whole, Absent("num_train_epochs decides"));
    let streams = run.switch("streaming");
    let (epochs, asked) = (run.asked(&EPOCHS), run.asked(&iters));
    let is_endless = match streams {
        Said::Value(on, _) => on,
        Said::Nothing => false,
        Said::Unclear(origin) => {
            run.fact(MaxSteps, ITERS, Some(MaxSteps.domain().interval), origin);
            return run.set(&EPOCHS, epochs);
        }
    };
    match (&epochs, asked) {
        (Said::Nothing, Said::Nothing) => {
            let why = "neither num_train_epochs nor train_iters is written, and ms-swift stops without either";
            let origin = unknown(why, "write `num_train_epochs`", None);
            run.fact(MaxSteps, ITERS, Some(MaxSteps.domain().interval), origin);
        }
        (Said::Value(_, place), Said::Value(most, _)) if is_endless => {
            let why = "streamed data can end after num_train_epochs passes, before train_iters";
            let origin = unknown(why, "delete `num_train_epochs`", Some(*place));
            run.fact(MaxSteps, ITERS, Interval::new(1.0, most), origin);
        }
        (Said::Value(..), _) => run.absent(MaxSteps, ITERS, "num_train_epochs decides, and replaces train_iters"),
        (Said::Unclear(origin), _) => {
            run.fact(MaxSteps, ITERS, Some(MaxSteps.domain().interval), origin.clone());
        }
        (Said::Nothing, said) => run.set(&iters, said),
    }
    // The samples of all passes are counted together, so that with several the last of each is not lost.
    run.facts.drops_last = matches!(&epochs, Said::Value(passes, _) if *passes <= 1.0);
    run.set(&EPOCHS, epochs);
}

fn schedule(run: &mut Run<'_>) {
    const KEY: &str = "lr_decay_style";
    let (word, origin) = run.word(KEY, DECAYS).or_default("cosine", run.default());
    run.tell(Category::Scheduler, KEY, one(word), origin);
    let share = run.asked(&WARMUP);
    // A fraction that is written wins, 0 included.
    let iters = match &share {
        Said::Nothing => run.asked(&WARMUP_ITERS),
        _ => Said::Nothing,
    };
    run.set(&WARMUP, share);
    run.set(&WARMUP_ITERS, iters);
}

fn evaluation(run: &mut Run<'_>) {
    let iters = Ask {
        key: "eval_iters",
        takes: Whole,
        domain: Domain::integers(-1.0, 9_007_199_254_740_992.0),
        null: Null::Refused,
        usual: Some(-1.0),
    };
    let rule = "nothing is held out: split_dataset_ratio is 0 and no val_dataset is named";
    let (words, origin) = match (run.number(&iters), swift_data::holds_out(run)) {
        (Said::Unclear(origin), _) | (_, Said::Unclear(origin)) => (Words::Unknown, origin),
        (Said::Value(0.0, place), _) => (Words::Had(false), Origin::Given(place)),
        (_, Said::Value(held, place)) => (Words::Had(held), Origin::Given(place)),
        (_, Said::Nothing) => (Words::Had(false), by_default(rule)),
    };
    run.tell(Category::Evaluation, "split_dataset_ratio", words, origin);
}
