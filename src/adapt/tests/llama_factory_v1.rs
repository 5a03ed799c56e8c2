//! What LLaMA-Factory's v1 trainers make of a run file.

use super::{Case, case, told};
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Words, derive};
use crate::quantity::{Category, Quantity};

const RUN: &str = "model: Qwen/Qwen3-0.6B\nmodel_class: llm\ntrain_dataset: data/v1_sft_demo.yaml\n";

fn run(more: &str) -> Case {
    case(&format!("{RUN}{more}"))
}

#[test]
fn defaults_are_those_of_v1() {
    let read = run("");
    read.clean();
    for (input, value) in [
        (LearningRate, Some(1e-4)),
        (PerDevice, Some(1.0)),
        (Accumulation, Some(1.0)),
        (GlobalBatch, None),
        (Epochs, Some(3.0)),
        (MaxSteps, None),
        (ClipNorm, Some(1.0)),
        (WeightDecay, Some(0.01)),
        (WarmupRatio, Some(0.0)),
        (Input::Seed, Some(42.0)),
        (SequenceLength, Some(2048.0)),
        (Rank, None),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    assert_eq!(read.word(Category::Method), "full");
    assert_eq!(read.word(Category::Scheduler), "constant");
    assert_eq!(read.word(Category::Optimizer), "adamw");
    assert_eq!(read.word(Category::Quantization), "none");
    assert_eq!(read.words(Category::Stage), &Words::Unknown);
    assert!(read.facts().drops_last);
    for input in told(&[Input::AlphaPerRank]) {
        assert!(read.facts().number(input).is_some(), "{input:?}");
    }
    for category in crate::quantity::CATEGORIES {
        assert!(read.facts().word(*category).is_some(), "{category:?}");
    }
}

#[test]
fn plugins_are_read_where_they_stand() {
    let read = run(
        "peft_config:\n  name: lora\n  r: 16\n  lora_alpha: '32'\n  target_modules: [q_proj, v_proj]\nquant_config:\n  name: bnb\n  quantization_bit: 4\n",
    );
    read.clean();
    assert_eq!((read.given(Rank), read.given(Alpha)), ("16", "'32'"));
    assert_eq!(read.value(Alpha), Some(32.0));
    assert_eq!(read.facts().called(Rank), "peft_config.r");
    assert_eq!(read.word(Category::Method), "qlora");
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["q_proj".into(), "v_proj".into()])
    );
    assert_eq!(read.goes_after(RankStabilised), "  target_modules: [q_proj, v_proj]");
    let bare = run("peft_config: {name: lora}\n");
    assert_eq!((bare.value(Rank), bare.value(Alpha)), (Some(8.0), Some(16.0)));
    assert_eq!(run("peft_config: {name: freeze}\n").word(Category::Method), "freeze");
    assert_eq!(run("peft_config: null\n").word(Category::Method), "full");
    assert_eq!(
        run("peft_config: {name: lora, use_dora: true}\n").word(Category::Method),
        "dora"
    );
}

#[test]
fn plugins_refuse_what_they_do_not_take() {
    let read = run("peft_config:\n  name: lora\n  rank: 16\n  lora_rank: 16\n  use_rslor: true\n");
    assert_eq!(
        read.told(),
        [
            "unknown-key: rank",
            "unknown-key: lora_rank",
            "unknown-key: use_rslor -> use_rslora"
        ]
    );
    assert_eq!(
        run("peft_config:\n  r: 16\n").diagnostics[0].message,
        "`peft_config` needs a name"
    );
    assert_eq!(run("peft_config:\n  name: loha\n").told(), ["value-type: loha -> lora"]);
    assert_eq!(
        run("lr_scheduler_config:\n  name: cosine\n").words(Category::Scheduler),
        &Words::Unknown
    );
    assert_eq!(
        run("learning_rates: 1.0e-4\n").told(),
        ["unknown-key: learning_rates -> learning_rate"]
    );
}

#[test]
fn a_global_batch_is_what_it_says() {
    let read = run("micro_batch_size: 2\nglobal_batch_size: 64\n");
    match derive(Quantity::BatchEffective, read.facts()) {
        Derived::Values { values, .. } => assert_eq!((values.lo(), values.hi()), (64.0, 64.0)),
        other => panic!("{other:?}"),
    }
    assert_eq!(read.number(Accumulation).values, None);
    assert_eq!(run("cp_size: 2\n").given(ModelParallel), "2");
}

#[test]
fn a_budget_of_tokens_is_a_range_of_samples() {
    let read = run("micro_batch_size: 4\ncutoff_len: 100\nbatching_strategy: dynamic_padding_free\n");
    let values = read.number(PerDevice).values.unwrap();
    assert_eq!((values.lo(), values.hi()), (4.0, 400.0));
    assert_eq!(run("batching_strategy: padding_free\n").value(PerDevice), Some(1.0));
}

#[test]
fn clipping_at_zero_is_not_off() {
    assert_eq!(run("max_grad_norm: 0\n").words(Category::Clipping), &Words::Had(true));
}

#[test]
fn an_adapter_that_is_trained_on_brings_its_own_shape() {
    let read = run("peft_config:\n  name: lora\n  r: 8\n  adapter_name_or_path: saves/x\n");
    assert_eq!(read.open(Rank), Some("saves/x"));
    let none = run("peft_config:\n  name: lora\n  r: 8\n  adapter_name_or_path: null\n");
    assert_eq!(none.value(Rank), Some(8.0));
}
