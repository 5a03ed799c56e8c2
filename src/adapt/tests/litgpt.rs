//! What LitGPT's commands make of a run file.

use super::{Case, case, told};
use crate::facts::Input::{self, *};
use crate::facts::Words;
use crate::quantity::{Category, Interval};

const TRAIN: &str =
    "train: {epochs: 2, global_batch_size: 8, micro_batch_size: 2, min_lr: 6e-5}\neval: {interval: 100}\n";

fn run(more: &str) -> Case {
    case(&format!("checkpoint_dir: checkpoints/acme/m\n{TRAIN}{more}"))
}

#[test]
fn an_adapter_is_read() {
    let read = run(
        "lora_r: 16\nlora_key: true\nlora_value: false\ndevices: 2\ndata: {class_path: litgpt.data.JSON, init_args: {json_path: d.json}}\n\
         optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 2e-4}}\n",
    );
    read.clean();
    for (input, value) in [
        (LearningRate, Some(2e-4)),
        (WeightDecay, Some(0.01)),
        (PerDevice, Some(2.0)),
        (GlobalBatch, Some(8.0)),
        (WorldSize, Some(2.0)),
        (Epochs, Some(2.0)),
        (WarmupSteps, Some(100.0)),
        (Rank, Some(16.0)),
        (Alpha, Some(16.0)),
        (Dropout, Some(0.05)),
        (Input::Seed, Some(1337.0)),
        (MinLearningRate, None),
        (ClipNorm, Some(0.0)),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["query".into(), "key".into()])
    );
    assert_eq!(
        (read.word(Category::Method), read.word(Category::Scheduler)),
        ("lora", "cosine")
    );
    for input in told(&[AlphaPerRank]) {
        assert!(read.facts().number(input).is_some(), "{input:?}");
    }
    for category in crate::quantity::CATEGORIES {
        assert!(read.facts().word(*category).is_some(), "{category:?}");
    }
}

#[test]
fn the_keys_tell_the_command() {
    assert_eq!(run("resume: false\n").word(Category::Method), "full");
    assert_eq!(run("").words(Category::Method), &Words::Unknown);
    let quantized = run("lora_r: 8\nquantize: bnb.nf4\n");
    assert_eq!(quantized.word(Category::Method), "qlora");
    assert_eq!(quantized.word(Category::Optimizer), "paged_adamw");
    let pretrain = case(
        "model_name: m\ndevices: 1\ntrain: {global_batch_size: 8, micro_batch_size: 2, max_seq_length: 100, max_tokens: 80000}\neval: {}\n",
    );
    pretrain.clean();
    assert_eq!(pretrain.word(Category::Stage), "pt");
    // 400 micro-batches of 200 tokens, four to an update.
    assert_eq!(
        (pretrain.value(MaxSteps), pretrain.value(ClipNorm)),
        (Some(100.0), Some(1.0))
    );
    assert_eq!(pretrain.word(Category::Scheduler), "cosine_with_min_lr");
}

#[test]
fn a_batch_that_does_not_divide_is_smaller() {
    let read = run("resume: false\ndevices: 3\n");
    assert_eq!(read.value(GlobalBatch), Some(6.0));
    assert_eq!(run("resume: false\ndevices: 8\n").told().len(), 1);
    assert!(run("resume: false\ndevices: auto\n").open(WorldSize).is_some());
}

#[test]
fn what_a_command_does_not_take_is_refused() {
    let read = run("lora_r: 8\nlora_rank: 8\nlearning_rate: 1e-4\n");
    assert_eq!(
        read.told(),
        ["unknown-key: lora_rank", "unknown-key: learning_rate -> optimizer"]
    );
    let train = case("lora_r: 8\ntrain: {micro_batch_size: 1, num_epochs: 3, max_norm: 1.0}\neval: {}\n");
    assert_eq!(
        train.told(),
        ["unknown-key: num_epochs -> epochs", "value-type: max_norm: 1.0"]
    );
    assert_eq!(run("lora_r: 8\nquantize: nf4\n").told().len(), 1);
}

#[test]
fn steps_and_epochs_both_end_a_run() {
    let read = case("lora_r: 8\ntrain: {micro_batch_size: 1, max_steps: 50}\neval: {}\n");
    assert_eq!(read.number(MaxSteps).values, Interval::new(1.0, 50.0));
}

#[test]
fn a_file_without_evaluation_is_known_by_having_nothing_else() {
    let read =
        case("checkpoint_dir: checkpoints/acme/m\nlora_r: 16\ntrain: {epochs: 2, micro_batch_size: 2}\nseed: 7\n");
    assert_eq!((read.value(Rank), read.value(Epochs)), (Some(16.0), Some(2.0)));
    assert_eq!(read.facts().framework, "LitGPT");
    for other in [
        "checkpoint_dir: out\nmodel: m\ntrain: {epochs: 2, micro_batch_size: 2, lr: 1e-4, optim: x}\n",
        "model_name: m\nprecision: bf16\ntrain: {epochs: 2, micro_batch_size: 2, max_steps: 9}\n",
    ] {
        assert!(case(other).facts.is_none(), "{other}");
    }
}
