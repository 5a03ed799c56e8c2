//! What Unsloth makes of a run file.

use super::{Case, case};
use crate::facts::Input::{self, *};
use crate::facts::Words;
use crate::quantity::Category;

fn run(training: &str, lora: &str) -> Case {
    case(&format!(
        "model: org/base\ndata:\n  dataset: org/data\ntraining:\n  train_on_completions: true\n{training}lora:\n  use_loftq: false\n{lora}"
    ))
}

#[test]
fn what_is_written_is_given() {
    let read = run(
        "  load_in_4bit: false\n  num_epochs: 2\n  learning_rate: 0.0001\n  batch_size: 4\n  gradient_accumulation_steps: 8\n  warmup_steps: 10\n  weight_decay: 0.1\n  random_seed: 7\n  max_seq_length: 1024\n  packing: true\n",
        "  lora_r: 16\n  lora_alpha: 32\n  lora_dropout: 0.1\n  target_modules: \"q_proj, v_proj\"\n",
    );
    read.clean();
    for (input, value) in [
        (Epochs, 2.0),
        (LearningRate, 1e-4),
        (PerDevice, 4.0),
        (Accumulation, 8.0),
        (WarmupSteps, 10.0),
        (WeightDecay, 0.1),
        (Input::Seed, 7.0),
        (SequenceLength, 1024.0),
        (Packs, 1.0),
        (Rank, 16.0),
        (Alpha, 32.0),
        (Dropout, 0.1),
        (WorldSize, 1.0),
    ] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
    }
    assert_eq!(read.word(Category::Method), "lora");
    assert_eq!(read.word(Category::Stage), "sft");
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["q_proj".into(), "v_proj".into()])
    );
    assert_eq!(read.words(Category::Clipping), &Words::Had(true));
}

#[test]
fn what_is_not_written_is_the_commands_default() {
    let read = run("", "");
    for (input, value) in [
        (Rank, 64.0),
        (Alpha, 16.0),
        (LearningRate, 2e-4),
        (PerDevice, 2.0),
        (Accumulation, 4.0),
        (Epochs, 3.0),
        (WarmupSteps, 5.0),
        (WeightDecay, 0.01),
        (Input::Seed, 3407.0),
    ] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
        assert_eq!(read.rule(input), "Unsloth's default", "{input:?}");
    }
    assert_eq!(read.word(Category::Method), "qlora");
    let full = run("  training_type: full\n", "");
    assert_eq!(full.word(Category::Method), "full");
    assert_eq!(full.word(Category::Quantization), "none");
    assert_eq!(full.value(Rank), None);
    assert_eq!(run("", "  use_dora: true\n").word(Category::Method), "dora");
}

#[test]
fn zero_is_unset() {
    assert_eq!(run("  max_steps: 0\n", "").value(MaxSteps), None);
    assert_eq!(
        run("  max_steps: 30\n  num_epochs: 0\n", "").value(MaxSteps),
        Some(30.0)
    );
    assert_eq!(run("  num_epochs: 0\n", "").open(Epochs), Some("0"));
}

#[test]
fn what_the_command_drops_is_found() {
    let read = run("  optim: adamw_8bit\n  warmup_ratio: 0.1\n  learnig_rate: 0.1\n", "");
    assert_eq!(
        read.told(),
        [
            "unknown-key: optim",
            "unknown-key: warmup_ratio",
            "unknown-key: learnig_rate -> learning_rate"
        ]
    );
    assert_eq!(read.words(Category::Optimizer), &Words::Unknown);
    assert_eq!(read.value(WarmupSteps), Some(5.0));
    let list = run("", "  target_modules: [q_proj]\n");
    assert_eq!(list.told(), ["value-type: [q_proj]"]);
}

#[test]
fn texts_are_numbers() {
    let read = run(
        "  learning_rate: 2e-4\n  batch_size: '2'\n  num_epochs: 2.0\n",
        "  lora_r: '8'\n",
    );
    assert_eq!(read.value(LearningRate), Some(2e-4));
    assert_eq!(read.value(PerDevice), Some(2.0));
    assert_eq!(read.value(Rank), Some(8.0));
    assert_eq!(read.told(), ["loader-text: 2e-4 -> 2.0e-4"]);
    assert_eq!(run("  learning_rate: ${LR}\n", "").open(LearningRate), Some("${LR}"));
}

#[test]
fn a_preset_is_read_as_the_studio_reads_it() {
    let read = case(
        "training:\n  num_epochs: 0\n  max_steps: 30\n  learning_rate: 0.0002\n  warmup_ratio: 0.1\n  warmup_steps: 5\n  random_seed: 3407\n  optim: adamw_8bit\n  lr_scheduler_type: linear\nlora:\n  lora_r: 16\n  target_modules: [q_proj]\n",
    );
    read.clean();
    assert_eq!(read.value(MaxSteps), Some(30.0));
    assert_eq!(read.value(WarmupRatio), Some(0.1));
    assert_eq!(read.value(WarmupSteps), Some(0.0));
    assert_eq!(read.word(Category::Optimizer), "adamw_8bit");
    assert_eq!(read.word(Category::Scheduler), "linear");
    // The command and the Studio have different defaults.
    for input in [Alpha, WeightDecay, WorldSize] {
        assert_eq!(read.open(input), Some(""), "{input:?}");
    }
    assert_eq!(read.words(Category::Method), &Words::Unknown);
}
