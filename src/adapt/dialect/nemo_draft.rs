//! NeMo Automodel's recipes for draft models, which guess ahead of the model that is served.
//!
//! Read against commit 36044ad3, `recipes/llm/train_{eagle1,eagle3,dflash,dspark}.py`. They are configured under
//! `recipe_args` and run loops of their own, which never look for `step_scheduler`, `lr_scheduler`, `clip_grad_norm`,
//! `packed_sequence` or `validation_dataset`.

use super::nemo_parts::{DEFAULT, class, needed, optimizer};
use super::plain;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Null, Row, row};
use crate::facts::Input::{
    Accumulation, ClipNorm, Epochs, GlobalBatch, MaxSteps, MinLearningRate, Packs, PerDevice, Seed, SequenceLength,
    WarmupRatio, WarmupSteps, WeightDecay,
};
use crate::facts::{Input, Origin, Words};
use crate::quantity::{Category, Domain, Finite, Interval};

const LENGTH: Row = row("recipe_args.seq_length", SequenceLength, Whole, Absent(""));
const WARMUP: &str = "optimizer.warmup_ratio";

/// Whether the recipe trains a draft model.
pub(super) fn is_draft(run: &Run<'_>) -> bool {
    run.entry("step_scheduler").is_none() && run.entry("recipe_args").is_some()
}

/// The one recipe that takes an optimizer by name, and has a least number of updates to warm up for.
fn is_dspark(run: &mut Run<'_>) -> bool {
    class(run).is_some_and(|class| class == "TrainDSparkRecipe")
}

/// Everything that is read in another place than in the other recipes.
pub(super) fn read(run: &mut Run<'_>) {
    batch(run);
    length(run);
    rate(run);
    schedule(run);
    clipping(run);
    run.numbers(&[row("recipe_args.shuffle_seed", Seed, Whole, Is(42.0))]);
    evaluation(run);
}

fn batch(run: &mut Run<'_>) {
    needed(run, &row("recipe_args.micro_batch_size", PerDevice, Whole, Absent("")));
    run.numbers(&[row("recipe_args.grad_accumulation_steps", Accumulation, Whole, Is(1.0))]);
    run.nameless(GlobalBatch, None, by_default("draft recipes count batches per device"));
}

fn length(run: &mut Run<'_>) {
    needed(run, &row("recipe_args.num_epochs", Epochs, Whole, Absent("")));
    run.nameless(
        MaxSteps,
        None,
        by_default("draft recipes end after num_epochs, and take no max_steps"),
    );
}

/// Whether rows are packed, and how long they are.
pub(super) fn packing(run: &mut Run<'_>) -> Option<bool> {
    const KEY: &str = "recipe_args.packed_sequence_size";
    let size = run.number(&Ask {
        key: KEY,
        takes: Whole,
        domain: Domain::integers(0.0, Domain::COUNT.interval.hi()),
        null: Null::IsDefault,
        usual: None,
    });
    let (packs, origin) = match &size {
        Said::Value(size, place) => (Some(*size > 0.0), Origin::Given(*place)),
        Said::Unclear(origin) => (None, origin.clone()),
        Said::Nothing => (Some(false), by_default("no packed_sequence_size is written")),
    };
    run.fact(Packs, KEY, of_switch(packs), origin);
    match size {
        Said::Value(size, place) if size > 0.0 => run.fact(SequenceLength, KEY, point(size), Origin::Given(place)),
        _ => needed(run, &LENGTH),
    }
    packs
}

/// EAGLE and DFlash make an AdamW, whatever `_target_` says.
fn rate(run: &mut Run<'_>) {
    if is_dspark(run) && run.entry("optimizer._target_").is_some() {
        optimizer(run);
        return;
    }
    plain::required(run, &row("optimizer.lr", Input::LearningRate, Real, Absent("")));
    let rule = "this recipe makes an AdamW, whatever `_target_` is";
    let word = one(Some("adamw"));
    run.tell(Category::Optimizer, "optimizer._target_", word, by_default(rule));
    run.numbers(&[row("optimizer.weight_decay", WeightDecay, Real, Is(0.0))]);
}

/// A warm-up, then a cosine down to a share of the rate; a share of 1 leaves the rate where it is.
fn schedule(run: &mut Run<'_>) {
    run.facts.own_schedule = true;
    let share = Ask {
        key: "optimizer.min_lr_ratio",
        takes: Real,
        domain: Domain::RATIO,
        null: Null::IsDefault,
        usual: Some(0.1),
    };
    let (share, floor) = run.number(&share).or_default(0.1, DEFAULT);
    warmup(run);
    let warms_up = run.facts.values(WarmupRatio).is_none_or(|ratio| ratio.hi() > 0.0);
    let stays = share == Some(1.0);
    let word = match (share, stays, warms_up) {
        (None, ..) => None,
        (_, false, _) => Some("cosine"),
        (_, true, true) => Some("constant_with_warmup"),
        (_, true, false) => Some("constant"),
    };
    let origin = match (word, stays) {
        (None, _) | (_, true) => floor.clone(),
        _ => by_default("recipes for draft models warm up, then follow a cosine"),
    };
    // No key of the file names the schedule; the nearest is the one that bends it.
    run.tell(Category::Scheduler, "optimizer.min_lr_ratio", one(word), origin);
    let least = share
        .zip(run.facts.values(Input::LearningRate))
        .and_then(|(share, rate)| rate.map_rising(|rate| Finite::decimal(rate * share)));
    run.fact(MinLearningRate, "optimizer.min_lr_ratio", least, floor);
}

/// A share of all updates; DSpark warms up for 20 at least.
fn warmup(run: &mut Run<'_>) {
    run.numbers(&[row(WARMUP, WarmupRatio, Real, Is(0.05))]);
    run.absent(WarmupSteps, WARMUP, "the warm-up is a share of all updates");
    if is_dspark(run)
        && let Some(ratio) = run.facts.values(WarmupRatio).filter(|ratio| ratio.hi() > 0.0)
    {
        let why = "the warm-up is 20 updates at least, and how many there are is not known";
        let origin = unknown(why, format!("write `{WARMUP}: 0` to go without"), None);
        run.fact(WarmupRatio, WARMUP, Interval::new(ratio.lo(), 1.0), origin);
    }
}

fn clipping(run: &mut Run<'_>) {
    const KEY: &str = "recipe_args.max_grad_norm";
    run.numbers(&[row(KEY, ClipNorm, Real, Is(1.0))]);
    let origin = run
        .facts
        .number(ClipNorm)
        .map_or_else(|| by_default(DEFAULT), |clip| clip.origin.clone());
    run.tell(Category::Clipping, KEY, Words::Had(true), origin);
}

/// Held-out data are read where they are named, unless what the target says of the data was computed before.
fn evaluation(run: &mut Run<'_>) {
    const PATH: &str = "recipe_args.val_data_path";
    const CACHE: &str = "recipe_args.cached_target_path";
    let (had, origin) = match (run.text(CACHE), run.text(PATH), run.written("val_dataset")) {
        (Said::Value(_, place), ..) => (Words::Had(false), Origin::Given(place)),
        (Said::Unclear(origin), ..) | (_, Said::Unclear(origin), _) => (Words::Unknown, origin),
        (_, Said::Value(_, place), _) => (Words::Had(true), Origin::Given(place)),
        (.., Some(origin)) => (Words::Had(true), origin),
        _ => (Words::Had(false), by_default("no val_data_path is written")),
    };
    run.tell(Category::Evaluation, PATH, had, origin);
}
