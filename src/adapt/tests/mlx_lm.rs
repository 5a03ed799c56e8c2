//! What mlx-lm makes of a run file.

use super::{Case, launched, told};
use crate::adapt::Launch;
use crate::diag::Code;
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Words, derive};
use crate::quantity::{Category, Quantity};

fn run(more: &str) -> Case {
    let launch = Launch {
        world_size: Some(2),
        ..Launch::default()
    };
    launched(
        &format!("model: acme/m-bf16\ntrain: true\ndata: d\nadapter_path: a\n{more}"),
        launch,
    )
}

fn derived(read: &Case, quantity: Quantity) -> Option<f64> {
    match derive(quantity, read.facts()) {
        Derived::Values { values, .. } if values.is_point() => Some(values.lo()),
        _ => None,
    }
}

#[test]
fn defaults_are_those_of_mlx_lm() {
    let read = run("iters: null\n");
    read.clean();
    for (input, value) in [
        (LearningRate, Some(1e-5)),
        (WeightDecay, Some(0.0)),
        (GlobalBatch, Some(4.0)),
        (PerDevice, Some(2.0)),
        (MaxSteps, Some(1000.0)),
        (Rank, Some(8.0)),
        (AlphaPerRank, Some(20.0)),
        (Alpha, Some(160.0)),
        (Dropout, Some(0.0)),
        (ClipNorm, Some(0.0)),
        (Input::Seed, Some(0.0)),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    assert_eq!(read.word(Category::Optimizer), "adam");
    assert_eq!(read.word(Category::Scheduler), "constant");
    for input in told(&[]) {
        assert!(read.facts().number(input).is_some(), "{input:?}");
    }
    for category in crate::quantity::CATEGORIES {
        assert!(read.facts().word(*category).is_some(), "{category:?}");
    }
}

#[test]
fn scale_is_alpha_over_rank() {
    let read = run("lora_parameters: {rank: 16, scale: 32.0, dropout: 0.0}\n");
    read.clean();
    assert_eq!(derived(&read, Quantity::LoraScale), Some(32.0));
    assert_eq!(derived(&read, Quantity::LoraAlpha), Some(512.0));
    assert_eq!(read.facts().called(AlphaPerRank), "lora_parameters.scale");
    // What is written takes the place of all the defaults.
    let short = run("lora_parameters: {rank: 16, alpha: 32}\n");
    assert_eq!(short.codes(), [Code::UnknownKey, Code::ValueType, Code::ValueType]);
    assert!(short.open(AlphaPerRank).is_some());
}

#[test]
fn iterations_are_parts_of_updates() {
    let read = run("iters: 103\ngrad_accumulation_steps: 4\nbatch_size: 6\n");
    read.clean();
    assert_eq!(derived(&read, Quantity::Updates), Some(25.0));
    assert_eq!(derived(&read, Quantity::BatchEffective), Some(24.0));
    assert_eq!(run("batch_size: 3\n").told(), ["value-type: batch_size: 3"]);
}

#[test]
fn the_schedule_has_the_rate() {
    let read = run(
        "learning_rate: 1e-5\niters: 1100\nlr_schedule: {name: cosine_decay, warmup: 100, arguments: [1e-4, 1000]}\n",
    );
    assert_eq!(read.told(), ["unknown-key: learning_rate"]);
    assert_eq!(
        (read.value(LearningRate), read.value(WarmupSteps)),
        (Some(1e-4), Some(100.0))
    );
    assert_eq!(read.word(Category::Scheduler), "cosine");
    let short = run("iters: 1000\nlr_schedule: {name: cosine_decay, arguments: [1e-4, 10, 1e-7]}\n");
    assert_eq!(
        (short.word(Category::Scheduler), short.value(MinLearningRate)),
        ("other", Some(1e-7))
    );
    let rising = run("lr_schedule: {name: linear_schedule, arguments: [0.0, 1e-3, 100]}\n");
    assert_eq!(rising.value(LearningRate), Some(1e-3));
    assert!(
        run("lr_schedule: {name: join_schedules, arguments: []}\n")
            .open(LearningRate)
            .is_some()
    );
}

#[test]
fn what_moves_is_told_by_three_keys() {
    assert_eq!(run("fine_tune_type: dora\n").word(Category::Method), "dora");
    assert_eq!(run("fine_tune_type: full\n").word(Category::Method), "freeze");
    assert_eq!(
        run("fine_tune_type: full\nnum_layers: -1\n").word(Category::Method),
        "full"
    );
    let quantized = launched("model: acme/m-4bit\ntrain: true\niters: 1\n", Launch::default());
    assert_eq!(quantized.word(Category::Method), "qlora");
    assert_eq!(quantized.words(Category::Evaluation), &Words::Unknown);
}

#[test]
fn what_nobody_reads_is_told() {
    let read = run("lora_layers: 8\niters: 10\n");
    assert_eq!(read.told(), ["unknown-key: lora_layers -> num_layers"]);
    let off = launched("model: m\ntrain: false\niters: 10\n", Launch::default());
    off.refused(Code::NotARun);
    let bare = launched("model: m\ndata: d\niters: 10\n", Launch::default());
    assert_eq!(bare.told(), ["not-a-run:  -> train: true"]);
}
