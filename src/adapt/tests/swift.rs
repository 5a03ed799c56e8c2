//! ms-swift's run files: defaults, and what makes its reading its own.

use super::super::Launch;
use super::{Case, case, launched};
use crate::diag::Severity;
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, ModelParallel, PerDevice, PreferenceBeta, Rank, Rows, Seed, SequenceLength, WarmupRatio,
    WarmupSteps, WeightDecay, WorldSize,
};
use crate::facts::{Input, Words};
use crate::quantity::Category;

const SFT: &str = "model: a/b\ntuner_type: lora\ndataset: ['a/x#500', 'b/y#300']\n";
const MEGATRON: &str = "model: a/b\nsplit_dataset_ratio: 0\nmicro_batch_size: 2\nglobal_batch_size: 32\ndataset: a/x\n";

fn sft(more: &str) -> Case {
    case(&format!("{SFT}{more}"))
}

fn megatron(more: &str) -> Case {
    case(&format!("{MEGATRON}{more}"))
}

#[track_caller]
fn values(read: &Case, expected: &[(Input, Option<f64>)]) {
    for (input, value) in expected {
        assert_eq!(read.value(*input), *value, "{input:?}: {:?}", read.number(*input));
    }
}

#[test]
fn defaults_are_those_of_ms_swift() {
    let read = sft("");
    read.clean();
    values(
        &read,
        &[
            (PerDevice, Some(1.0)),
            (LearningRate, Some(1e-4)),
            (Epochs, Some(3.0)),
            (WeightDecay, Some(0.1)),
            (ClipNorm, Some(1.0)),
            (Seed, Some(42.0)),
            (Rank, Some(8.0)),
            (Alpha, Some(32.0)),
            (Dropout, Some(0.05)),
            (MaxSamples, Some(800.0)),
            (MaxSteps, None),
            (SequenceLength, None),
        ],
    );
    assert_eq!(read.word(Category::Scheduler), "cosine");
    assert_eq!(
        read.words(Category::Dataset),
        &Words::Set(vec!["a/x#500".into(), "b/y#300".into()])
    );
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["all-linear".into()])
    );
    assert_eq!(read.words(Category::Stage), &Words::Unknown);
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    assert_eq!(read.number(Rows).values.unwrap().hi(), 800.0);
    let full = case("model: m\ntuner_type: full\ndataset: d\n");
    assert_eq!((full.value(LearningRate), full.value(Rank)), (Some(1e-5), None));
    assert_eq!(full.word(Category::Method), "full");
}

#[test]
fn accumulation_aims_at_sixteen_samples() {
    let with = |world_size| {
        launched(
            &format!("{SFT}per_device_train_batch_size: 3\n"),
            Launch {
                world_size,
                ..Launch::default()
            },
        )
    };
    assert_eq!(with(Some(2)).value(Accumulation), Some(3.0));
    assert_eq!(with(Some(64)).value(Accumulation), Some(1.0));
    let open = with(None);
    let range = open.number(Accumulation).values.unwrap();
    assert_eq!((range.lo(), range.hi()), (1.0, 6.0));
    assert_eq!(sft("rlhf_type: grpo\n").value(Accumulation), Some(1.0));
    assert_eq!(sft("gradient_accumulation_steps: 5\n").value(Accumulation), Some(5.0));
}

#[test]
fn a_value_becomes_a_word_that_its_argument_reads_again() {
    let read = sft("learning_rate: '2e-5'\nlora_rank: \"16\"\nuse_dora: 'yes'\nmax_grad_norm: 0\nlora_alpha: 010\n");
    read.clean();
    values(
        &read,
        &[
            (LearningRate, Some(2e-5)),
            (Rank, Some(16.0)),
            (ClipNorm, Some(0.0)),
            (Alpha, Some(8.0)),
        ],
    );
    assert_eq!(read.word(Category::Method), "dora");
    assert_eq!(read.words(Category::Clipping), &Words::Had(false));
    let read = sft("learning_rate: 1e-4\n");
    assert_eq!(read.value(LearningRate), Some(1e-4));
    assert_eq!(read.told(), ["loader-text: 1e-4 -> 1.0e-4"]);
    // JSON has numbers of its own.
    case("{\"model\": \"m\", \"tuner_type\": \"lora\", \"dataset\": \"d\", \"learning_rate\": 1e-4}").clean();
    for (line, input, under) in [
        ("lora_rank: 8.0", Rank, "8.0"),
        ("learning_rate: null", LearningRate, "null"),
        ("num_train_epochs: a few", Epochs, "a few"),
        ("learning_rate: ${LR}", LearningRate, "${LR}"),
        ("seed: [1, 2]", Seed, "[1, 2]"),
    ] {
        let read = sft(&format!("{line}\n"));
        assert_eq!(read.open(input), Some(under), "{line}");
        assert!(
            read.diagnostics.iter().any(|found| found.severity == Severity::Error),
            "{line}"
        );
    }
}

#[test]
fn what_replaces_something_else_wins() {
    let read = sft("lorap_lr_ratio: 16\nvit_lr: 0.001\nmax_epochs: 2\nsequence_parallel_size: 4\n");
    values(
        &read,
        &[
            (LoraPlusRatio, Some(16.0)),
            (LearningRate, Some(1e-3)),
            (Epochs, Some(2.0)),
            (ModelParallel, Some(4.0)),
        ],
    );
    assert_eq!(read.given(LearningRate), "0.001");
    let read = sft("max_epochs: 2\nmax_steps: 100\n");
    let steps = read.number(MaxSteps).values.unwrap();
    assert_eq!((steps.lo(), steps.hi()), (1.0, 100.0));
    assert_eq!(sft("optimizer: muonclip\n").word(Category::Optimizer), "muon");
    assert_eq!(sft("use_galore: true\n").word(Category::Optimizer), "galore");
    assert_eq!(sft("optimizer: mine\n").word(Category::Optimizer), "other");
    assert_eq!(sft("quant_bits: 4\n").word(Category::Method), "qlora");
    assert_eq!(
        case("model: x-GPTQ-Int4\ntuner_type: lora\ndataset: d\n").word(Category::Method),
        "qlora"
    );
    assert_eq!(sft("adapters: [x]\n").open(Rank), Some("[x]"));
    let read = sft("quant_method: bnb\n");
    assert_eq!(read.told(), ["value-type: bnb"]);
    assert_eq!(read.words(Category::Method), &Words::Unknown);
}

#[test]
fn each_preference_tuning_has_a_beta() {
    for (stage, beta) in [("dpo", 0.1), ("kto", 0.1), ("grpo", 0.04), ("gkd", 0.5), ("simpo", 2.0)] {
        let read = sft(&format!("rlhf_type: {stage}\n"));
        assert_eq!(read.value(PreferenceBeta), Some(beta), "{stage}");
        assert_eq!(read.word(Category::Stage), stage);
    }
    for stage in ["rm", "ppo"] {
        assert_eq!(
            sft(&format!("rlhf_type: {stage}\n")).number(PreferenceBeta).values,
            None,
            "{stage}"
        );
    }
}

#[test]
fn something_must_be_held_out_to_evaluate() {
    for (more, had) in [
        ("split_dataset_ratio: 0.01\n", true),
        ("split_dataset_ratio: 0.01\nstreaming: true\n", false),
        ("val_dataset: [v]\n", true),
        ("val_dataset: [v]\neval_strategy: 'no'\n", false),
        ("eval_steps: 10\n", false),
        ("cached_val_dataset: [v]\n", true),
    ] {
        assert_eq!(sft(more).words(Category::Evaluation), &Words::Had(had), "{more}");
    }
}

#[test]
fn a_key_of_another_time_or_framework_is_refused_with_the_one_that_was_meant() {
    for (line, meant) in [
        ("sft_type: lora", "unknown-key: sft_type"),
        ("lora_r: 8", "unknown-key: lora_r -> lora_rank"),
        ("max_lenght: 8", "unknown-key: max_lenght -> max_length"),
        ("cutoff_len: 8", "unknown-key: cutoff_len -> max_length"),
    ] {
        assert_eq!(sft(&format!("{line}\n")).told(), [meant], "{line}");
    }
}

#[test]
fn environment_of_a_file_says_how_many_processes() {
    let read = sft("ENV:\n  NPROC_PER_NODE: '4'\n  NNODES: 2\n");
    read.clean();
    assert_eq!((read.value(WorldSize), read.given(WorldSize)), (Some(8.0), "'4'"));
    assert_eq!(sft("").open(WorldSize), Some(""));
}

#[test]
fn megatron_counts_batches_globally_and_epochs_win() {
    let read =
        megatron("num_train_epochs: 2\ntrain_iters: 500\nlr: 1.0e-5\nmin_lr: 1.0e-6\nlr_warmup_fraction: 0.05\n");
    read.clean();
    assert_eq!(read.facts().framework, "ms-swift (Megatron)");
    values(
        &read,
        &[
            (PerDevice, Some(2.0)),
            (GlobalBatch, Some(32.0)),
            (Accumulation, None),
            (Epochs, Some(2.0)),
            (MaxSteps, None),
            (LearningRate, Some(1e-5)),
            (MinLearningRate, Some(1e-6)),
            (WarmupRatio, Some(0.05)),
            (WarmupSteps, Some(0.0)),
        ],
    );
    assert_eq!(read.word(Category::Method), "full");
    assert_eq!(read.word(Category::Optimizer), "adamw");
    assert_eq!(megatron("train_iters: 500\n").value(MaxSteps), Some(500.0));
    assert_eq!(megatron("").open(MaxSteps), Some(""));
    let streamed = megatron("train_iters: 500\nnum_train_epochs: 1\nstreaming: true\n");
    assert_eq!(streamed.number(MaxSteps).values.unwrap().hi(), 500.0);
    assert_eq!(streamed.value(MaxSteps), None);
    let parallel = megatron("tensor_model_parallel_size: 2\npipeline_model_parallel_size: 4\n");
    assert_eq!(parallel.value(ModelParallel), Some(8.0));
}

#[test]
fn the_group_that_trains_wins_over_what_a_ray_file_shares() {
    let read = megatron(
        "num_train_epochs: 1\nlora_rank: 4\ncolocate_groups: [[train, rollout]]\ntrain:\n  gpus: 4\n  tuner_type: lora\n  \
         lora_rank: 16\nrollout:\n  gpus: 4\n  vllm_max_model_len: 4096\n",
    );
    read.clean();
    values(
        &read,
        &[(Rank, Some(16.0)), (WorldSize, Some(4.0)), (LearningRate, Some(1e-4))],
    );
    assert_eq!(read.given(Rank), "16");
}

#[test]
fn a_floor_leaves_the_end_of_a_schedule_open() {
    use crate::facts::{Derived, derive};
    use crate::quantity::Quantity;
    let read = megatron("num_train_epochs: 1\nmin_lr: 1.0e-6\n");
    assert!(matches!(
        derive(Quantity::LearningRateFinal, read.facts()),
        Derived::Unknown { .. }
    ));
    let read = megatron("num_train_epochs: 1\n");
    assert!(matches!(
        derive(Quantity::LearningRateFinal, read.facts()),
        Derived::Values { .. }
    ));
}

/// ms-swift's own warmup_ratio of 0 displaces warmup_steps in some versions of transformers, and both are refused.
#[test]
fn warmup_steps_are_open_and_a_ratio_is_not() {
    let steps = sft("warmup_steps: 20\n");
    assert_eq!(steps.open(WarmupSteps), Some("20"));
    assert_eq!(steps.open(WarmupRatio), Some("20"));
    assert_eq!(sft("warmup_steps: 0.2\n").open(WarmupRatio), Some("0.2"));
    let ratio = sft("warmup_ratio: 0.05\n");
    ratio.clean();
    values(&ratio, &[(WarmupRatio, Some(0.05)), (WarmupSteps, Some(0.0))]);
    sft("warmup_steps: 0\n").clean();
    values(
        &sft("warmup_steps: 20\nlr_scheduler_type: constant\n"),
        &[(WarmupSteps, Some(0.0))],
    );
    let both = sft("warmup_ratio: 0.05\nwarmup_steps: 20\n");
    assert_eq!(both.told(), ["value-type: warmup_steps: 20"]);
    assert_eq!(sft("warmup_ratio: 1\n").told(), ["value-type: warmup_ratio: 1"]);
}
