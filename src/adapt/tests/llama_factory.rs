//! What LLaMA-Factory makes of a run file.

use super::{Case, LORA, case, launched, lora};
use crate::adapt::Launch;
use crate::diag::{Code, Severity};
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Origin, Words, derive};
use crate::quantity::{Category, Quantity};

fn full(more: &str) -> Case {
    case(&format!(
        "{}{more}",
        LORA.replace("finetuning_type: lora", "finetuning_type: full")
    ))
}

#[test]
fn what_is_written_is_given() {
    let read = lora(
        "lora_rank: 16\nlora_alpha: 8\nloraplus_lr_ratio: 16.0\nuse_rslora: true\nlearning_rate: 2.0e-5\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 4\nnum_train_epochs: 1.5\nweight_decay: 0.1\nmax_grad_norm: 0.3\nseed: 7\nmax_samples: 500\nwarmup_ratio: 0.03\ncutoff_len: 1024\n",
    );
    read.clean();
    for (input, value, under) in [
        (Rank, 16.0, "16"),
        (Alpha, 8.0, "8"),
        (LoraPlusRatio, 16.0, "16.0"),
        (RankStabilised, 1.0, "true"),
        (LearningRate, 2e-5, "2.0e-5"),
        (PerDevice, 2.0, "2"),
        (Accumulation, 4.0, "4"),
        (Epochs, 1.5, "1.5"),
        (WeightDecay, 0.1, "0.1"),
        (ClipNorm, 0.3, "0.3"),
        (Input::Seed, 7.0, "7"),
        (MaxSamples, 500.0, "500"),
        (WarmupRatio, 0.03, "0.03"),
        (SequenceLength, 1024.0, "1024"),
    ] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
        assert_eq!(read.given(input), under, "{input:?}");
    }
    assert_eq!(read.facts().called(Rank), "lora_rank");
}

#[test]
fn what_is_not_written_has_a_default_and_a_place() {
    let read = lora("lora_rank: 4\nlearning_rate: 1.0e-4\n");
    for (input, value, rule) in [
        (PerDevice, 8.0, "LLaMA-Factory's default"),
        (Accumulation, 1.0, "LLaMA-Factory's default"),
        (Epochs, 3.0, "LLaMA-Factory's default"),
        (WeightDecay, 0.0, "LLaMA-Factory's default"),
        (ClipNorm, 1.0, "LLaMA-Factory's default"),
        (Input::Seed, 42.0, "LLaMA-Factory's default"),
        (WarmupRatio, 0.0, "LLaMA-Factory's default"),
        (WarmupSteps, 0.0, "LLaMA-Factory's default"),
        (SequenceLength, 2048.0, "LLaMA-Factory's default"),
        (RankStabilised, 0.0, "LLaMA-Factory's default"),
        (Alpha, 8.0, "2 × lora_rank by LLaMA-Factory's default"),
    ] {
        assert_eq!(read.value(input), Some(value), "{input:?}");
        assert_eq!(read.rule(input), rule, "{input:?}");
    }
    assert_eq!(read.goes_after(Alpha), "lora_rank: 4");
    assert_eq!(read.goes_after(Epochs), "learning_rate: 1.0e-4");
    assert_eq!(read.goes_after(MaxSamples), "template: qwen3");
    assert_eq!(lora("").value(LearningRate), Some(5e-5));
    assert_eq!(lora("").value(Rank), Some(8.0));
    assert_eq!(
        lora("lora_alpha: 0\n").rule(Alpha),
        "2 × lora_rank by LLaMA-Factory's default"
    );
    assert_eq!(lora("lora_alpha: null\n").value(Alpha), Some(16.0));
    assert_eq!(lora("max_samples:\n").value(MaxSamples), None);
}

#[test]
fn what_a_run_cannot_have_is_absent() {
    let read = full("");
    for (input, why) in [
        (Rank, "full fine-tuning has no LoRA rank"),
        (Alpha, "full fine-tuning has no LoRA alpha"),
        (RankStabilised, "full fine-tuning has no rank-stabilised LoRA"),
        (LoraPlusRatio, "full fine-tuning has no LoRA+ ratio"),
        (PreferenceBeta, "only preference tuning has a preference beta"),
        (MaxSteps, "no max_steps is written: num_train_epochs decides"),
        (GlobalBatch, "LLaMA-Factory counts batches per device"),
        (ModelParallel, "every device takes its own batches"),
    ] {
        assert_eq!(read.number(input).values, None, "{input:?}");
        assert_eq!(read.rule(input), why);
    }
    assert_eq!(read.words(Category::LoraTargets), &Words::Absent);
    let oft = case(&LORA.replace("finetuning_type: lora", "finetuning_type: oft"));
    assert_eq!(oft.rule(Rank), "OFT has no LoRA rank");
    assert_eq!(oft.words(Category::LoraTargets), &Words::Set(vec!["all".into()]));
    assert_eq!(lora("max_steps: -1\n").number(MaxSteps).values, None);
}

#[test]
fn max_steps_wins_when_it_is_set() {
    assert_eq!(lora("max_steps: 100\n").given(MaxSteps), "100");
    let zero = lora("max_steps: 0\n");
    assert_eq!(zero.value(MaxSteps), Some(1.0));
    assert_eq!(zero.rule(MaxSteps), "max_steps: 0 stops after the first update");
}

#[test]
fn a_value_that_cannot_be_used_is_reported_and_unknown() {
    for (line, instead, input) in [
        ("learning_rate: '1e-4'", Some("1.0e-4"), LearningRate),
        ("learning_rate: fast", Some("5.0e-5"), LearningRate),
        ("learning_rate: 0", Some("5.0e-5"), LearningRate),
        ("learning_rate: null", Some("5.0e-5"), LearningRate),
        ("learning_rate:", Some("5.0e-5"), LearningRate),
        ("learning_rate: [1.0e-4, 2.0e-4]", None, LearningRate),
        ("learning_rate: {a: 1}", None, LearningRate),
        ("learning_rate: .nan", Some("5.0e-5"), LearningRate),
        ("learning_rate: -.inf", Some("5.0e-5"), LearningRate),
        ("learning_rate: 1e999", Some("5.0e-5"), LearningRate),
        ("lora_rank: -8", Some("8"), Rank),
        ("lora_rank: 16.0", Some("16"), Rank),
        ("lora_rank: 1e3", Some("1000"), Rank),
        ("lora_rank: 2.5", Some("8"), Rank),
        ("lora_rank: yes", Some("8"), Rank),
        ("lora_rank: 99999999999999999999999", Some("8"), Rank),
        ("lora_alpha: abc", None, Alpha),
        ("lora_alpha: -16", None, Alpha),
        ("warmup_ratio: 3", Some("0.0"), WarmupRatio),
        ("weight_decay: none", Some("0.0"), WeightDecay),
        ("num_train_epochs: \"1,000\"", Some("1000.0"), Epochs),
        ("seed: 1.5", Some("42"), Input::Seed),
        ("seed: -1", Some("42"), Input::Seed),
        ("use_rslora: 'false'", Some("false"), RankStabilised),
        ("use_rslora: maybe", None, RankStabilised),
    ] {
        let read = lora(line);
        let value = line.split_once(':').unwrap().1.trim();
        let found = read
            .diagnostics
            .iter()
            .find(|found| found.code == Code::ValueType)
            .unwrap_or_else(|| panic!("{line}: {:?}", read.told()));
        assert_eq!(found.severity, Severity::Error);
        assert_eq!(read.under(found.place().unwrap()), value, "{line}");
        assert_eq!(found.instead.as_deref(), instead, "{line}");
        assert!(found.next_step().is_some());
        assert_eq!(read.open(input), Some(value), "{line}");
    }
}

#[test]
fn a_word_that_cannot_be_used_is_reported_and_unknown() {
    for (line, instead, category) in [
        ("optim: adamw", Some("adamw_torch"), Category::Optimizer),
        ("optim: adamw_hf", Some("adamw_torch"), Category::Optimizer),
        ("lr_scheduler_type: Cosine", Some("cosine"), Category::Scheduler),
        ("lr_scheduler_type: zigzag", None, Category::Scheduler),
        ("eval_strategy: no", Some("\"no\""), Category::Evaluation),
        ("pref_loss: 3", None, Category::Parent),
        ("template: 1", Some("\"1\""), Category::Template),
    ] {
        let text = LORA.replace(
            "template: qwen3\n",
            if line.starts_with("template") {
                ""
            } else {
                "template: qwen3\n"
            },
        );
        let read = case(&format!("{text}{line}\n"));
        let found = &read.diagnostics[0];
        assert_eq!(found.code, Code::ValueType, "{line}");
        assert_eq!(found.instead.as_deref(), instead, "{line}");
        if category != Category::Parent {
            assert_eq!(read.words(category), &Words::Unknown, "{line}");
        }
    }
    let stage = case(&LORA.replace("stage: sft", "stage: SFT"));
    assert_eq!(stage.told(), ["value-type: SFT -> sft"]);
    assert_eq!(stage.words(Category::Stage), &Words::Unknown);
}

#[test]
fn numbers_that_older_loaders_read_as_text_are_used_with_a_warning() {
    let read =
        lora("learning_rate: 1e-4\nweight_decay: 2E-5\nadam_epsilon: 1e-8\nrun_name: 1e5\nwarmup_ratio: 1.0e-1\n");
    assert_eq!(
        read.told(),
        [
            "loader-text: 1e-4 -> 1.0e-4",
            "loader-text: 2E-5 -> 2.0e-5",
            "loader-text: 1e-8 -> 1.0e-8"
        ]
    );
    assert!(read.diagnostics.iter().all(|found| found.severity == Severity::Warning));
    assert_eq!(read.value(LearningRate), Some(1e-4));
    assert_eq!(read.given(LearningRate), "1e-4");
}

#[test]
fn a_key_that_is_refused_is_reported() {
    let read = lora(
        "lr: 1.0e-4\nlearning_rat: 1.0e-4\nlora_rank: 8\nlora_rnk: 8\nsomething_else: 1\nevaluation_strategy: steps\nsave_safetensors: true\ntensor_model_parallel_size: 1\n",
    );
    assert_eq!(
        read.told(),
        [
            "unknown-key: lr -> learning_rate",
            "unknown-key: learning_rat -> learning_rate",
            "unknown-key: lora_rnk",
            "unknown-key: something_else",
            "unknown-key: evaluation_strategy -> eval_strategy",
        ]
    );
    assert_eq!(
        read.diagnostics[2].help.as_deref(),
        Some("delete it; `lora_rank` is written too")
    );
}

#[test]
fn combinations_that_are_refused_are_reported() {
    let read = full("use_rslora: true\nloraplus_lr_ratio: 16\nquantization_bit: 4\nval_size: 0.1\neval_dataset: d\n");
    assert_eq!(
        read.told(),
        [
            "value-type: use_rslora: true",
            "value-type: loraplus_lr_ratio: 16",
            "value-type: quantization_bit: 4",
            "value-type: val_size: 0.1",
        ]
    );
    let streamed = lora("streaming: true\nmax_samples: 100\n");
    assert_eq!(
        streamed.told(),
        ["value-type: streaming: true", "value-type: max_samples: 100"]
    );
    lora("streaming: true\nmax_steps: 100\n").clean();
}

#[test]
fn the_stage_is_what_is_taught() {
    for (lines, stage) in [
        ("stage: pt", "pt"),
        ("stage: rm", "rm"),
        ("stage: dpo", "dpo"),
        ("stage: dpo\npref_loss: hinge", "dpo"),
        ("stage: dpo\npref_loss: ipo", "ipo"),
        ("stage: dpo\npref_loss: orpo", "orpo"),
        ("stage: dpo\npref_loss: simpo", "simpo"),
        ("stage: sft\npref_loss: simpo", "sft"),
        ("", "sft"),
    ] {
        let read = case(&LORA.replace("stage: sft", lines));
        assert_eq!(read.word(Category::Stage), stage);
        let has_beta = matches!(stage, "dpo" | "ipo" | "orpo" | "simpo");
        assert_eq!(read.value(PreferenceBeta), has_beta.then_some(0.1), "{stage}");
    }
    let kto = case(&LORA.replace("stage: sft", "stage: kto\npref_beta: 0.3"));
    assert_eq!(kto.given(PreferenceBeta), "0.3");
    let ppo = case(&LORA.replace("stage: sft", "stage: ppo"));
    assert_eq!(ppo.rule(PreferenceBeta), "PPO steers by ppo_target, not by pref_beta");
    let unclear = case(&LORA.replace("stage: sft", "stage: dpo\npref_loss: ${LOSS}"));
    assert_eq!(unclear.words(Category::Stage), &Words::Unknown);
}

#[test]
fn the_method_follows_from_the_base_and_the_switches() {
    for (lines, method, base) in [
        ("", "lora", "none"),
        ("quantization_bit: 4\n", "qlora", "4bit"),
        ("quantization_bit: 3\nquantization_method: hqq\n", "qlora", "3bit"),
        // QLoRA has 4 bits; on 8 it is LoRA, for every framework.
        ("quantization_bit: 8\n", "lora", "8bit"),
        ("use_dora: true\n", "dora", "none"),
        ("use_dora: true\nquantization_bit: 4\n", "dora", "4bit"),
        ("use_dora: false\n", "lora", "none"),
    ] {
        let read = lora(lines);
        assert_eq!(
            (read.word(Category::Method), read.word(Category::Quantization)),
            (method, base),
            "{lines}"
        );
    }
    for (model, method, base) in [
        ("TechxGenus/Meta-Llama-3-8B-Instruct-GPTQ", "qlora", "gptq"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qlora", "awq"),
        ("ISTA-DASLab/Llama-2-7b-AQLM-2Bit-1x16-hf", "qlora", "aqlm"),
        ("unsloth/Qwen3-4B-bnb-4bit", "qlora", "4bit"),
        ("someone/Hawqs-7B", "lora", "none"),
    ] {
        let read = case(&LORA.replace("Qwen/Qwen3-4B", model));
        assert_eq!(
            (read.word(Category::Method), read.word(Category::Quantization)),
            (method, base),
            "{model}"
        );
    }
    let read = lora("quantization_bit: 4\nquantization_method: bitsandbytes\n");
    assert_eq!(read.told(), ["value-type: bitsandbytes -> bnb"]);
    assert_eq!(read.words(Category::Method), &Words::Unknown);
    assert_eq!(full("").word(Category::Method), "full");
}

#[test]
fn the_optimizer_that_steps_is_the_one_that_wins() {
    for (lines, optimizer) in [
        ("", "adamw"),
        ("optim: adamw_torch_fused\n", "adamw"),
        ("optim: paged_adamw_8bit\n", "paged_adamw_8bit"),
        ("optim: lion_8bit\n", "lion"),
        ("optim: lomo\n", "other"),
        ("use_muon: true\n", "muon"),
        ("use_badam: true\nuse_muon: true\n", "badam"),
        ("use_adam_mini: true\n", "adam_mini"),
        ("use_galore: true\noptim: adafactor\n", "galore"),
    ] {
        assert_eq!(full(lines).word(Category::Optimizer), optimizer, "{lines}");
    }
    // LoRA+ comes before Muon and keeps `optim`.
    assert_eq!(
        lora("loraplus_lr_ratio: 16\nuse_muon: true\n").word(Category::Optimizer),
        "adamw"
    );
}

#[test]
fn clipping_is_what_acts() {
    assert_eq!(lora("").words(Category::Clipping), &Words::Had(true));
    assert_eq!(lora("max_grad_norm: 0\n").words(Category::Clipping), &Words::Had(false));
    assert_eq!(lora("max_grad_norm: ${X}\n").words(Category::Clipping), &Words::Unknown);
    let layerwise = full("use_galore: true\ngalore_layerwise: true\n");
    assert_eq!(layerwise.words(Category::Clipping), &Words::Had(false));
}

#[test]
fn a_warm_up_is_as_long_as_every_version_agrees() {
    let both = lora("warmup_ratio: 0.1\nwarmup_steps: 10\n");
    assert_eq!(both.open(WarmupSteps), Some("0.1"));
    assert_eq!(both.open(WarmupRatio), Some("0.1"));
    let agree = lora("warmup_ratio: 0.1\nwarmup_steps: 0\n");
    assert_eq!(
        (agree.value(WarmupRatio), agree.value(WarmupSteps)),
        (Some(0.1), Some(0.0))
    );
    let share = lora("warmup_steps: 0.05\n");
    assert_eq!(
        (share.value(WarmupRatio), share.value(WarmupSteps)),
        (Some(0.05), Some(0.0))
    );
    assert_eq!(share.facts().called(WarmupRatio), "warmup_steps");
    assert_eq!(lora("warmup_steps: 20\n").given(WarmupSteps), "20");
    let constant = lora("lr_scheduler_type: constant\nwarmup_ratio: 0.1\n");
    assert_eq!(constant.value(WarmupRatio), Some(0.0));
    assert_eq!(constant.rule(WarmupRatio), "constant never warms up");
}

#[test]
fn a_schedule_may_have_a_floor() {
    let floor = "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs:\n  ";
    assert_eq!(
        lora(&format!("{floor}min_lr: 1.0e-6\n")).given(MinLearningRate),
        "1.0e-6"
    );
    let share = lora(&format!("learning_rate: 1.0e-4\n{floor}min_lr_rate: 0.5\n"));
    assert_eq!(share.value(MinLearningRate), Some(5e-5));
    assert_eq!(lora("").number(MinLearningRate).values, None);
}

#[test]
fn an_adapter_that_is_trained_on_brings_its_own_shape() {
    let read = lora("adapter_name_or_path: saves/sft\nlora_rank: 8\n");
    for input in [Rank, Alpha, RankStabilised] {
        assert_eq!(read.open(input), Some("saves/sft"), "{input:?}");
    }
    assert_eq!(read.words(Category::LoraTargets), &Words::Unknown);
    let anew = lora("adapter_name_or_path: saves/sft\ncreate_new_adapter: true\nlora_rank: 8\n");
    assert_eq!(anew.value(Rank), Some(8.0));
}

#[test]
fn a_batch_that_finds_its_own_size_is_not_known() {
    let read = lora("per_device_train_batch_size: 16\nauto_find_batch_size: true\n");
    let values = read.number(PerDevice).values.unwrap();
    assert_eq!((values.lo(), values.hi()), (1.0, 16.0));
}

#[test]
fn devices_that_share_a_copy_are_counted() {
    let read = lora("tensor_model_parallel_size: 2\npipeline_model_parallel_size: 4\n");
    assert_eq!(read.value(ModelParallel), Some(8.0));
    assert_eq!(
        lora("use_hyper_parallel: true\nhyper_parallel_args: x.json\n").open(ModelParallel),
        Some("x.json")
    );
}

#[test]
fn the_launch_comes_from_the_command_line() {
    let read = lora("");
    assert_eq!(read.open(WorldSize), Some(""));
    let Origin::Unknown { why, supply, .. } = &read.number(WorldSize).origin else {
        panic!()
    };
    assert_eq!(
        (why.as_str(), supply.as_str()),
        ("LLaMA-Factory uses every GPU it sees", "say --world-size N")
    );
    assert_eq!(read.facts().called(WorldSize), "world_size");
    let launch = Launch {
        world_size: Some(4),
        dataset_rows: Some(1000),
        ..Launch::default()
    };
    let read = launched(&format!("{LORA}gradient_accumulation_steps: 2\n"), launch);
    assert_eq!(read.number(WorldSize).origin, Origin::Flag("--world-size"));
    assert_eq!(read.number(Rows).origin, Origin::Flag("--dataset-rows"));
    match derive(Quantity::BatchEffective, read.facts()) {
        Derived::Values { values, .. } => assert_eq!((values.lo(), values.hi()), (64.0, 64.0)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn max_samples_caps_the_rows_where_it_can() {
    let rows = |more: &str, rows: Option<u64>| {
        let launch = Launch {
            world_size: None,
            dataset_rows: rows,
            ..Launch::default()
        };
        let read = launched(&format!("{LORA}{more}"), launch);
        let values = read.number(Rows).values.unwrap();
        (values.lo(), values.hi())
    };
    const ALL: f64 = 9_007_199_254_740_992.0;
    assert_eq!(rows("max_samples: 100\n", None), (1.0, 200.0));
    assert_eq!(rows("max_samples: 100\n", Some(50)), (50.0, 50.0));
    assert_eq!(rows("max_samples: 100\n", Some(5000)), (200.0, 200.0));
    assert_eq!(rows("max_samples: 100\npacking: true\n", None), (1.0, 200.0));
    assert_eq!(rows("max_samples: 100\nneat_packing: true\n", None), (1.0, 200.0));
    assert_eq!(rows("max_samples: 100\npacking: ${P}\n", None), (1.0, ALL));
    assert_eq!(rows("max_samples: 100\ntokenized_path: saves/t\n", None), (1.0, ALL));
    assert_eq!(rows("", None), (1.0, ALL));
    let pt = case(&LORA.replace("stage: sft", "stage: pt\nmax_samples: 100"));
    assert_eq!(pt.number(Rows).values.unwrap().hi(), ALL);
    let cut = launched(
        &format!("{LORA}max_samples: 100\n"),
        Launch {
            world_size: None,
            dataset_rows: Some(5000),
            ..Launch::default()
        },
    );
    assert_eq!(
        cut.rule(Rows),
        "of the 5000 rows said, max_samples keeps at most 100 of each of 2 data sets"
    );
}

#[test]
fn packing_makes_sequences_shorter_where_it_is_asked_for() {
    assert_eq!(lora("packing: true\n").value(SequenceLength), Some(2047.0));
    assert_eq!(
        lora("packing: true\ncutoff_len: 512\n").value(SequenceLength),
        Some(511.0)
    );
    assert_eq!(lora("packing: false\n").value(SequenceLength), Some(2048.0));
}

#[test]
fn words_are_told_with_their_origin() {
    let read = lora("model_revision: abc123\nval_size: 0.1\neval_strategy: steps\nlora_target: q_proj, v_proj\n");
    assert_eq!(read.word(Category::ModelRevision), "abc123");
    assert_eq!(
        read.words(Category::Dataset),
        &Words::Set(vec!["identity".into(), "alpaca_en_demo".into()])
    );
    assert_eq!(
        read.words(Category::LoraTargets),
        &Words::Set(vec!["q_proj".into(), "v_proj".into()])
    );
    assert_eq!(read.words(Category::Evaluation), &Words::Had(true));
    assert_eq!(read.words(Category::Seed), &Words::Had(true));
    assert_eq!(read.words(Category::Parent), &Words::Had(false));
    assert_eq!(read.words(Category::Guard), &Words::Unknown);
    assert_eq!(read.word(Category::Template), "qwen3");
    assert_eq!(lora("").word(Category::ModelRevision), "main");
    assert_eq!(lora("").words(Category::Evaluation), &Words::Had(false));
}

#[test]
fn every_fact_is_told() {
    for read in [lora(""), full(""), lora("learning_rate: ${X}\n")] {
        for input in Input::ALL.iter().filter(|input| **input != Input::AlphaPerRank) {
            assert!(read.facts().number(*input).is_some(), "{input:?}");
        }
        for category in crate::quantity::CATEGORIES {
            assert!(read.facts().word(*category).is_some(), "{category:?}");
        }
    }
}

#[test]
fn how_far_adam_can_move_a_weight_is_proven_from_the_file() {
    let bound = |more: &str| derive(Quantity::MovementBound, lora(more).facts());
    let of = |more: &str| match bound(more) {
        Derived::Values { values, .. } => (values.lo(), values.hi()),
        other => panic!("{more}: {other:?}"),
    };
    // One update moves a weight by the rate at most; two by 1 and 1.001358 times the rate.
    let constant = "lr_scheduler_type: constant\nlearning_rate: 1.0e-3\n";
    assert_eq!(of(&format!("{constant}max_steps: 1\n")), (1e-3, 1e-3));
    let (low, high) = of(&format!("{constant}max_steps: 2\n"));
    assert!(low == high && (high - 2.001_357_916e-3).abs() < 1e-12, "{high}");
    // Without the first mean, what is left is √(1 + β₂).
    let (_, high) = of(&format!("{constant}max_steps: 2\nadam_beta1: 0\nadam_beta2: 0.5\n"));
    assert!((high - 1e-3 * (1.0 + 1.5_f64.sqrt())).abs() < 1e-12, "{high}");
    let (low, high) = of(&format!("{constant}max_steps: 2\nadam_beta2: ${{B}}\n"));
    assert_eq!((low, high), (2e-3, f64::INFINITY));
    // With the number of updates it is open, and at least what one update moves.
    assert!(of(constant).1 > 1.0);
    for (more, why) in [
        ("optim: adafactor\n", "`adafactor`"),
        ("optim: adamw_bnb_8bit\n", "32-bit"),
        ("lr_scheduler_type: inverse_sqrt\n", "inverse_sqrt"),
    ] {
        let Derived::Unknown { why: told } = bound(more) else {
            panic!("{more}");
        };
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_scale_that_may_be_rank_stabilised_is_both() {
    let more = "lora_rank: 16\nlora_alpha: 32\nlearning_rate: 1.0e-4\n";
    let of = |line: &str, quantity| match derive(quantity, lora(&format!("{more}{line}")).facts()) {
        Derived::Values { values, .. } => (values.lo(), values.hi()),
        other => panic!("{other:?}"),
    };
    assert_eq!(of("", Quantity::LoraScale), (2.0, 2.0));
    assert_eq!(of("use_rslora: true\n", Quantity::LoraScale), (8.0, 8.0));
    assert_eq!(of("use_rslora: ${R}\n", Quantity::LoraScale), (2.0, 8.0));
    assert_eq!(of("use_rslora: ${R}\n", Quantity::UpdateScale), (2e-4, 8e-4));
}

#[test]
fn the_place_of_an_adapter_is_lora_target_and_no_null() {
    let null = lora("lora_target: null\n");
    assert_eq!(null.told(), ["value-type: null"]);
    assert_eq!(null.diagnostics[0].severity, Severity::Error);
    assert_eq!(null.words(Category::LoraTargets), &Words::Unknown);
    // The adapter that is trained on has its places already.
    lora("lora_target:\nadapter_name_or_path: out/first\n").clean();
    assert_eq!(
        lora("lora_target: ~\nadapter_name_or_path: out/first\ncreate_new_adapter: true\n").codes(),
        [Code::ValueType]
    );

    let oft = LORA.replace("finetuning_type: lora", "finetuning_type: oft");
    case(&format!("{oft}oft_target: all\n")).clean();
    let unread = case(&format!("{oft}oft_target: q_proj\n"));
    assert_eq!(unread.told(), ["value-type: q_proj"]);
    assert_eq!(unread.diagnostics[0].severity, Severity::Warning);
    assert_eq!(unread.words(Category::LoraTargets), &Words::Set(vec!["all".into()]));
    let placed = case(&format!("{oft}lora_target: q_proj\noft_target: q_proj\n"));
    placed.clean();
    assert_eq!(placed.words(Category::LoraTargets), &Words::Set(vec!["q_proj".into()]));
}
