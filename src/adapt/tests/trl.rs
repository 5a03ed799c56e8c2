//! What TRL makes of a run file.

use super::{Case, case, launched};
use crate::adapt::Launch;
use crate::diag::Severity;
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Origin, Words, derive};
use crate::quantity::{Category, Quantity};

const BASE: &str = "\
model_name_or_path: org/base
dataset_name: org/data
output_dir: out
report_to: none
";

fn run(more: &str) -> Case {
    case(&format!("{BASE}{more}"))
}

fn staged(more: &str, stage: &'static str) -> Case {
    let launch = Launch {
        world_size: Some(2),
        dataset_rows: Some(1000),
        stage: Some(stage),
        ..Launch::default()
    };
    launched(&format!("{BASE}{more}"), launch)
}

/// Why a word is not known, and what would supply it.
fn open(read: &Case, category: Category) -> (String, String) {
    match &read.facts().word(category).unwrap().origin {
        Origin::Unknown { why, supply, .. } => (why.clone(), supply.clone()),
        other => panic!("{category:?} is {other:?}"),
    }
}

#[test]
fn what_is_written_is_given() {
    let read = run(
        "use_peft: true\nload_in_4bit: true\nlora_r: 64\nlora_alpha: 16\nlora_dropout: 0.1\nlora_target_modules: [q_proj, v_proj]\nuse_rslora: true\npacking: true\nmax_length: 512\nlearning_rate: 1.0e-4\nper_device_train_batch_size: 4\ngradient_accumulation_steps: 2\nnum_train_epochs: 2\nmax_steps: 100\nlr_scheduler_type: cosine\nwarmup_ratio: 0.1\noptim: paged_adamw_8bit\nweight_decay: 0.01\nmax_grad_norm: 0.3\nseed: 7\neval_strategy: steps\n",
    );
    read.clean();
    assert_eq!(read.facts().framework, "TRL");
    for (input, value, under) in [
        (Rank, 64.0, "64"),
        (Alpha, 16.0, "16"),
        (Dropout, 0.1, "0.1"),
        (RankStabilised, 1.0, "true"),
        (Packs, 1.0, "true"),
        (SequenceLength, 512.0, "512"),
        (LearningRate, 1e-4, "1.0e-4"),
        (PerDevice, 4.0, "4"),
        (Accumulation, 2.0, "2"),
        (Epochs, 2.0, "2"),
        (MaxSteps, 100.0, "100"),
        (WarmupRatio, 0.1, "0.1"),
        (WeightDecay, 0.01, "0.01"),
        (ClipNorm, 0.3, "0.3"),
        (Input::Seed, 7.0, "7"),
    ] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
        assert_eq!(read.given(input), under, "{input:?}");
    }
    for (category, word) in [
        (Category::Stage, "sft"),
        (Category::Method, "qlora"),
        (Category::Quantization, "4bit"),
        (Category::Optimizer, "paged_adamw_8bit"),
        (Category::Scheduler, "cosine"),
    ] {
        assert_eq!(read.word(category), word);
    }
    assert_eq!(read.words(Category::Dataset), &Words::Set(vec!["org/data".into()]));
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["q_proj".into(), "v_proj".into()])
    );
    match derive(Quantity::LoraScale, read.facts()) {
        Derived::Values { values, .. } => assert_eq!((values.lo(), values.hi()), (2.0, 2.0)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_written_has_a_default_and_a_place() {
    let read = run("use_peft: true\npacking: false\n");
    for (input, value) in [
        (Rank, 16.0),
        (Alpha, 32.0),
        (Dropout, 0.05),
        (PerDevice, 8.0),
        (Accumulation, 1.0),
        (Epochs, 3.0),
        (LearningRate, 2e-5),
        (ClipNorm, 1.0),
        (SequenceLength, 1024.0),
        (Input::Seed, 42.0),
    ] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
        assert_eq!(read.rule(input), "TRL's default", "{input:?}");
    }
    assert_eq!(read.goes_after(Rank), "use_peft: true");
    assert_eq!(read.words(Category::LoraTargets), &Words::Unknown);
}

#[test]
fn keys_of_one_trainer_say_which_it_is() {
    for (keys, stage) in [
        ("max_seq_length: 512\n", "sft"),
        ("packing: true\nmax_length: 512\n", "sft"),
        ("beta: 0.1\nloss_type: sigmoid\n", "dpo"),
        ("beta: 0.1\nloss_type: [sigmoid, sft]\n", "dpo"),
        ("beta: 0.1\nloss_type: ipo\n", "ipo"),
        ("beta: 0.1\nloss_type: apo_zero_unpaired\n", "kto"),
        ("desirable_weight: 1.0\n", "kto"),
        ("center_rewards_coefficient: 0.01\n", "rm"),
        ("num_generations: 8\nscale_rewards: group\n", "grpo"),
        ("num_generations: 8\nloss_type: dapo\n", "grpo"),
        ("rloo_k: 2\n", "rloo"),
        ("cpo_alpha: 1.0\nloss_type: simpo\n", "simpo"),
        ("seq_kd: true\nlmbda: 0.5\nmax_new_tokens: 64\n", "gkd"),
    ] {
        assert_eq!(run(keys).word(Category::Stage), stage, "{keys}");
    }
}

#[test]
fn keys_of_several_trainers_leave_the_stage_open() {
    for (keys, supply) in [
        ("beta: 0.1\nmax_length: 512\n", "say --stage dpo or kto,"),
        ("num_generations: 8\n", "say --stage grpo or rloo,"),
        ("", "say --stage sft, dpo, kto, rm, grpo or rloo,"),
        (
            "dataset_mixture: {datasets: [{id: a}]}\nbeta: 0.1\nmax_prompt_length: 64\n",
            "say --stage dpo or orpo,",
        ),
    ] {
        let read = run(keys);
        assert_eq!(read.words(Category::Stage), &Words::Unknown, "{keys}");
        let (why, next) = open(&read, Category::Stage);
        assert_eq!(
            why,
            "which trainer reads the file depends on the command, not on the file"
        );
        assert!(next.starts_with(supply), "{keys}: {next}");
    }
}

#[test]
fn a_default_that_the_trainer_decides_is_open_until_the_trainer_is_known() {
    let read = run("");
    assert_eq!(read.open(LearningRate), Some(""));
    assert_eq!(read.open(PreferenceBeta), Some(""));
    assert_eq!(read.open(Rows), Some(""));
    // Where all trainers that are left agree, it is known.
    let some = run("beta: 0.1\nmax_length: 512\n");
    assert_eq!(some.value(LearningRate), Some(1e-6));
    for (stage, rate, beta) in [
        ("sft", 2e-5, None),
        ("pt", 2e-5, None),
        ("dpo", 1e-6, Some(0.1)),
        ("kto", 1e-6, Some(0.1)),
        ("rm", 1e-4, None),
        ("rloo", 1e-6, Some(0.05)),
        ("orpo", 1e-6, Some(0.1)),
    ] {
        let read = staged("", stage);
        assert_eq!(read.word(Category::Stage), stage);
        assert_eq!(read.value(LearningRate), Some(rate), "{stage}");
        assert_eq!(read.value(PreferenceBeta), beta, "{stage}");
    }
    // Its beta was 0.04 before it was 0.
    assert_eq!(staged("", "grpo").open(PreferenceBeta), Some(""));
    assert_eq!(staged("", "gdpo").open(LearningRate), Some(""));
}

#[test]
fn a_trainer_that_samples_does_not_walk_the_rows_once() {
    assert_eq!(staged("", "sft").value(Rows), Some(1000.0));
    assert_eq!(staged("num_generations: 8\n", "grpo").open(Rows), Some(""));
}

#[test]
fn without_use_peft_everything_is_trained() {
    let read = run("lora_r: 8\nlora_alpha: 16\npacking: true\n");
    assert_eq!(read.word(Category::Method), "full");
    assert_eq!(read.value(Rank), None);
    assert_eq!(read.rule(Rank), "full fine-tuning has no LoRA rank");
    assert_eq!(read.told(), ["value-type: lora_r: 8"]);
    assert_eq!(read.diagnostics[0].severity, Severity::Warning);
    let refused = run("load_in_4bit: true\npacking: true\n");
    assert_eq!(refused.told(), ["value-type: true"]);
    assert_eq!(refused.diagnostics[0].severity, Severity::Error);
    let both = run("use_peft: true\nload_in_4bit: true\nload_in_8bit: true\n");
    assert_eq!(both.words(Category::Method), &Words::Unknown);
    assert_eq!(both.told(), ["value-type: true"]);
    assert_eq!(run("use_peft: true\nuse_dora: true\n").word(Category::Method), "dora");
    assert_eq!(run("use_peft: true\n").word(Category::Method), "lora");
    let quantised = run("use_peft: true\n").facts;
    assert!(quantised.is_some());
    let named = case("model_name_or_path: org/m-bnb-4bit\noutput_dir: o\nseed: 1\nuse_peft: true\n");
    assert_eq!(named.word(Category::Method), "qlora");
}

#[test]
fn texts_are_numbers_at_the_top_and_nowhere_else() {
    let read = run(
        "packing: true\nlearning_rate: 1e-4\nper_device_train_batch_size: '4'\nuse_peft: 'yes'\nlr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs:\n  min_lr: 1e-6\n",
    );
    assert_eq!(read.value(LearningRate), Some(1e-4));
    assert_eq!(read.value(PerDevice), Some(4.0));
    assert_eq!(read.word(Category::Method), "lora");
    assert_eq!(
        read.told(),
        ["loader-text: 1e-4 -> 1.0e-4", "value-type: 1e-6 -> 1.0e-6"]
    );
    assert_eq!(read.open(MinLearningRate), Some("1e-6"));
    // Python's int takes no point, in a text or not.
    let wrong = run("packing: true\nper_device_train_batch_size: '8.0'\n");
    assert_eq!(wrong.told(), ["value-type: '8.0' -> 8"]);
    let much = run("packing: true\nlearning_rate: much\n");
    assert_eq!(much.told(), ["value-type: much -> 5.0e-5"]);
    assert_eq!(much.open(LearningRate), Some("much"));
    let infinite = run("packing: true\nlearning_rate: inf\n");
    assert_eq!(infinite.open(LearningRate), Some("inf"));
}

#[test]
fn what_nobody_filled_in_is_open() {
    let read = run("packing: true\nlearning_rate: ${LR}\nnum_train_epochs: null\nuse_peft: ${PEFT}\n");
    assert_eq!(read.open(LearningRate), Some("${LR}"));
    assert_eq!(read.open(Epochs), Some("null"));
    assert_eq!(read.words(Category::Method), &Words::Unknown);
    assert_eq!(
        read.told(),
        [
            "value-unresolved: ${LR}",
            "value-type: null -> 3.0",
            "value-unresolved: ${PEFT}"
        ]
    );
}

#[test]
fn keys_that_nobody_takes_are_refused() {
    let read =
        run("packing: true\nseed: 1\ntarget_modules: all\nnum_epochs: 3\nlearnig_rate: 1.0e-4\nuse_lora: true\n");
    assert_eq!(
        read.told(),
        [
            "unknown-key: target_modules -> lora_target_modules",
            "unknown-key: num_epochs -> num_train_epochs",
            "unknown-key: learnig_rate -> learning_rate",
            "unknown-key: use_lora -> use_peft",
        ]
    );
}

#[test]
fn the_names_of_versions_are_all_taken() {
    run("max_seq_length: 64\nwarmup_ratio: 0.1\ntorch_dtype: bfloat16\noverwrite_output_dir: true\ngroup_by_length: true\n")
        .clean();
    run("packing: true\ndtype: bfloat16\nwarmup_steps: 0.1\nenv: {WANDB_PROJECT: x}\naccelerate_config: zero2\n")
        .clean();
    let both = run("max_seq_length: 64\nmax_length: 128\n");
    assert_eq!(both.given(SequenceLength), "64");
    assert_eq!(run("packing: true\nmax_length: null\n").value(SequenceLength), None);
}

#[test]
fn processes_come_from_the_file_or_the_flag() {
    assert_eq!(run("packing: true\nnum_processes: 8\n").given(WorldSize), "8");
    assert_eq!(staged("num_processes: 8\n", "sft").value(WorldSize), Some(2.0));
    assert_eq!(run("packing: true\n").open(WorldSize), Some(""));
    let parallel = run("packing: true\nparallelism_config: {tp_size: 2}\n");
    assert!(parallel.open(ModelParallel).is_some());
}

#[test]
fn data_sets_are_named_in_several_ways() {
    for (keys, names) in [
        ("datasets: [{path: b}, {path: a}]\n", Some(vec!["a", "b"])),
        ("dataset_mixture: {datasets: [{id: c}, {id: c}]}\n", Some(vec!["c"])),
        (
            "dataset_mixer:\n  org/x: 1.0\n  org/y: 0.5\n",
            Some(vec!["org/x", "org/y"]),
        ),
        ("datasets: [{name: b}]\n", None),
    ] {
        let expected = names.map_or(Words::Unknown, |names| {
            Words::Set(names.into_iter().map(str::to_owned).collect())
        });
        assert_eq!(run(keys).words(Category::Dataset), &expected, "{keys}");
    }
}

#[test]
fn a_layout_that_borrows_a_few_names_is_not_trls() {
    let own = case(
        "learning_rate: 1.0e-4\nseed: 1\nepochs: 3\nbatch_size: 8\ndropout: 0.1\nmodel: m\ndata: d\nuse_lora: true\n",
    );
    own.refused(crate::diag::Code::UnknownFormat);
}
