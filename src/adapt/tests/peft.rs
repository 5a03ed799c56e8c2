//! What PEFT makes of the description of an adapter, and its benchmarks of their parameters.

use super::{Case, case};
use crate::diag::Code;
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Origin, Words, derive};
use crate::quantity::{Category, Quantity};

fn range(read: &Case, quantity: Quantity) -> (f64, f64) {
    match derive(quantity, read.facts()) {
        Derived::Values { values, .. } => (values.lo(), values.hi()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_adapter_has_its_shape_and_nothing_of_training() {
    let read = case(
        r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base", "revision": null, "r": 64, "lora_alpha": 64,
            "lora_dropout": 0.05, "use_rslora": true, "target_modules": ["q_proj", "v_proj"], "rank_pattern": {},
            "alpha_pattern": {}, "task_type": "CAUSAL_LM"}"#,
    );
    read.clean();
    assert_eq!(read.given(Rank), "64");
    assert_eq!(read.value(Alpha), Some(64.0));
    assert_eq!(read.value(Dropout), Some(0.05));
    assert_eq!(range(&read, Quantity::LoraScale), (8.0, 8.0));
    assert_eq!(read.word(Category::Method), "lora");
    assert_eq!(read.word(Category::Model), "org/base");
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["q_proj".into(), "v_proj".into()])
    );
    for input in [
        LearningRate,
        Epochs,
        MaxSteps,
        PerDevice,
        WorldSize,
        ClipNorm,
        Input::Seed,
    ] {
        assert_eq!(read.open(input), Some(""), "{input:?}");
    }
    for category in [
        Category::Stage,
        Category::Quantization,
        Category::Optimizer,
        Category::Dataset,
    ] {
        assert_eq!(read.words(category), &Words::Unknown, "{category:?}");
    }
    match &read.number(LearningRate).origin {
        Origin::Unknown { why, supply, .. } => {
            assert_eq!(why, "an adapter_config.json says nothing of training");
            assert_eq!(supply, "check the run file that trains the adapter");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_an_adapter_leaves_out_is_pefts_default() {
    let read = case("peft_type: LORA\n");
    for (input, value) in [(Rank, 8.0), (Alpha, 8.0), (Dropout, 0.0), (RankStabilised, 0.0)] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
        assert_eq!(read.rule(input), "PEFT's default", "{input:?}");
    }
    assert_eq!(case("peft_type: LORA\nuse_dora: true\n").word(Category::Method), "dora");
    assert_eq!(case("peft_type: LOHA\nalpha: 16\n").value(Alpha), Some(16.0));
    // What stands under r is not used.
    assert_eq!(case("peft_type: ADALORA\nr: 8\ninit_r: 64\n").value(Rank), Some(64.0));
    assert_eq!(case("peft_type: VERA\n").value(Rank), Some(256.0));
    assert_eq!(case("peft_type: NEWER\n").open(Rank), Some(""));
    assert_eq!(case("peft_type: NEWER\nr: 4\n").value(Rank), Some(4.0));
    assert_eq!(case("peft_type: VERA\n").open(Alpha), Some(""));
    let oft = case("peft_type: OFT\nr: 8\n");
    assert_eq!(oft.word(Category::Method), "oft");
    assert_eq!(oft.rule(Rank), "OFT has no LoRA rank");
    assert_eq!(case("peft_type: IA3\n").word(Category::Method), "other");
}

#[test]
fn a_pattern_makes_the_rank_the_largest_and_loses_no_scale() {
    // Most modules: 16/8 = 2; q_proj: 16/64 = 1/4.
    let read = case("peft_type: LORA\nr: 8\nlora_alpha: 16\nrank_pattern: {q_proj: 64}\n");
    assert_eq!(read.value(Rank), Some(64.0));
    assert_eq!(range(&read, Quantity::LoraScale), (0.25, 2.0));
    let smaller = case("peft_type: LORA\nr: 8\nlora_alpha: 16\nrank_pattern: {q_proj: 4}\n");
    assert_eq!(smaller.value(Rank), Some(8.0));
    assert_eq!(range(&smaller, Quantity::LoraScale), (2.0, 4.0));
    let alphas = case("peft_type: LORA\nr: 8\nlora_alpha: 16\nalpha_pattern: {q_proj: 64, v_proj: 8}\n");
    assert_eq!(alphas.value(Rank), Some(8.0));
    assert_eq!(range(&alphas, Quantity::LoraScale), (1.0, 8.0));
    let rooted = case("peft_type: LORA\nr: 16\nlora_alpha: 16\nuse_rslora: true\nrank_pattern: {q_proj: 64}\n");
    assert_eq!(range(&rooted, Quantity::LoraScale), (2.0, 4.0));
    let wrong = case("peft_type: LORA\nr: 16\nrank_pattern: {q_proj: many}\n");
    assert!(wrong.open(Rank).is_some());
    assert_eq!(
        case("peft_type: LORA\nr: 16\nrank_pattern: null\n").value(Rank),
        Some(16.0)
    );
}

#[test]
fn parameters_of_a_benchmark_lie_over_its_own_file() {
    let read = case(r#"{"optimizer_kwargs": {"lr": 3e-3}}"#);
    read.clean();
    assert_eq!(read.value(LearningRate), Some(3e-3));
    // The mapping is replaced whole, so that the benchmark's own weight decay is gone.
    assert_eq!(read.value(WeightDecay), Some(0.01));
    assert_eq!(
        read.rule(WeightDecay),
        "PyTorch's AdamW: optimizer_kwargs replaces the benchmark's own whole"
    );
    for input in [MaxSteps, PerDevice, Rank, Alpha] {
        assert_eq!(read.open(input), Some(""), "{input:?}");
    }
    assert_eq!(read.value(WorldSize), Some(1.0));
    assert_eq!(read.words(Category::Method), &Words::Unknown);
    let more = case(
        r#"{"max_steps": 300, "batch_size": 4, "lr_scheduler": null, "optimizer_kwargs": {"lr": 1e-4, "weight_decay": 0.1}}"#,
    );
    assert_eq!(more.value(MaxSteps), Some(300.0));
    assert_eq!(more.word(Category::Scheduler), "constant");
    assert_eq!(more.value(WarmupRatio), Some(0.0));
    let other = case(r#"{"optimizer_type": "lora-fa"}"#);
    assert_eq!(other.value(LearningRate), Some(1e-4));
    assert_eq!(other.word(Category::Optimizer), "other");
    assert_eq!(
        case(r#"{"optimizer_kwargs": {"lr": 1e-4}, "max_steps": 10, "batchsize": 4}"#).told(),
        ["unknown-key: \"batchsize\" -> batch_size"]
    );
    case("optimizer_kwargs: {lr: 1.0e-4}\nepochs: 3\nbatch: 8\nlora_r: 4\n").refused(Code::UnknownFormat);
}
