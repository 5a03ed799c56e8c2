//! NeMo Automodel's recipes for models that read and draw images, which run BAGEL's loop.
//!
//! Read against commit 36044ad3, `recipes/multimodal/finetune.py`. The loop warms up and then leaves the rate where it
//! is, fills sequences with samples of every kind, and evaluates nothing.

use super::nemo_parts::{DEFAULT, class, optimizer};
use crate::adapt::reader::Run;
use crate::adapt::said::{by_default, of_switch, one, point};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::Whole;
use crate::adapt::table::row;
use crate::facts::Input::{
    Accumulation, Epochs, GlobalBatch, MaxSteps, MinLearningRate, Packs, PerDevice, SequenceLength, WarmupRatio,
    WarmupSteps,
};
use crate::facts::Words;
use crate::quantity::Category;

const WARMUP: &str = "lr_scheduler.warmup_steps";

/// Whether the recipe is one of these.
pub(super) fn is_multimodal(run: &mut Run<'_>) -> bool {
    class(run).is_some_and(|class| class.ends_with("ForMultimodal"))
}

/// Everything that has other keys or other defaults than in the other recipes.
pub(super) fn read(run: &mut Run<'_>) {
    run.numbers(&[
        row("step_scheduler.global_batch_size", GlobalBatch, Whole, Is(8.0)),
        row("step_scheduler.local_batch_size", PerDevice, Whole, Is(1.0)),
        row("step_scheduler.num_epochs", Epochs, Whole, Is(1.0)),
        row(
            "step_scheduler.max_steps",
            MaxSteps,
            Whole,
            Absent("no max_steps is written: num_epochs decides"),
        )
        .or_null(),
    ]);
    run.nameless(
        Accumulation,
        None,
        by_default("it follows from global_batch_size and the devices"),
    );
    optimizer(run);
    schedule(run);
    let why = "the loop evaluates nothing";
    run.tell(
        Category::Evaluation,
        "validation_dataset",
        Words::Had(false),
        by_default(why),
    );
}

/// Constant, after a warm-up where there is a section `lr_scheduler`; no other is taken.
fn schedule(run: &mut Run<'_>) {
    const KEY: &str = "lr_scheduler.schedule";
    run.facts.own_schedule = true;
    run.absent(MinLearningRate, KEY, "the rate stays as it is");
    let rule = by_default("the warm-up is given in steps");
    run.fact(WarmupRatio, WARMUP, point(0.0), rule);
    if run
        .entry("lr_scheduler")
        .is_some_and(|entry| entry.value.map().is_some())
    {
        let said = run.word(KEY, &[("constant", "constant_with_warmup")]);
        let (word, origin) = said.or_default("constant_with_warmup", DEFAULT);
        run.tell(Category::Scheduler, KEY, one(word), origin);
        run.numbers(&[row(WARMUP, WarmupSteps, Whole, Is(2000.0))]);
    } else {
        let rule = "without `lr_scheduler` the rate stays as it is";
        run.tell(Category::Scheduler, KEY, one(Some("constant")), by_default(rule));
        run.fact(WarmupSteps, WARMUP, point(0.0), by_default(rule));
    }
}

/// Sequences are always filled, up to a number of tokens.
pub(super) fn packing(run: &mut Run<'_>) -> Option<bool> {
    const KEY: &str = "dataset.max_num_tokens";
    let rule = "the loop fills sequences with samples of every kind";
    run.fact(Packs, KEY, of_switch(Some(true)), by_default(rule));
    run.numbers(&[row(KEY, SequenceLength, Whole, Is(36864.0))]);
    Some(true)
}
