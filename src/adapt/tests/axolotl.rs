//! What Axolotl makes of a run file.

use super::super::Launch;
use super::{Case, case, launched};
use crate::diag::{Code, Severity};
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Words, derive};
use crate::quantity::{CATEGORIES, Category, Quantity};

const FULL: &str = "\
base_model: Qwen/Qwen3-4B
datasets:
  - path: acme/support
    type: chat_template
  - path: acme/faq
    type: alpaca
micro_batch_size: 2
gradient_accumulation_steps: 8
learning_rate: 2e-5
";

const LORA: &str = "adapter: lora\nlora_r: 16\nlora_alpha: 32\n";

fn full(more: &str) -> Case {
    case(&format!("{FULL}{more}"))
}

fn lora(more: &str) -> Case {
    full(&format!("{LORA}{more}"))
}

/// A run with one process and so many rows.
fn with_rows(rows: u64, more: &str) -> Case {
    let launch = Launch {
        world_size: Some(1),
        dataset_rows: Some(rows),
        ..Launch::default()
    };
    launched(&format!("{FULL}{more}"), launch)
}

fn range(read: &Case, input: Input) -> (f64, f64) {
    let values = read.number(input).values.unwrap();
    (values.lo(), values.hi())
}

#[test]
fn defaults_are_those_of_axolotl() {
    let read = full("");
    read.clean();
    for (input, value) in [
        (LearningRate, Some(2e-5)),
        (PerDevice, Some(2.0)),
        (Accumulation, Some(8.0)),
        (GlobalBatch, None),
        (Epochs, Some(1.0)),
        (MaxSteps, None),
        (ClipNorm, Some(1.0)),
        (WeightDecay, Some(0.0)),
        (SequenceLength, Some(512.0)),
        (Packs, Some(0.0)),
        (MinLearningRate, None),
        (Rank, None),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    for (category, word) in [
        (Category::Stage, "sft"),
        (Category::Method, "full"),
        (Category::Scheduler, "cosine"),
        (Category::Optimizer, "adamw"),
        (Category::Quantization, "none"),
        (Category::ModelRevision, "main"),
    ] {
        assert_eq!(read.word(category), word);
    }
    let sets = Words::Set(vec!["acme/support".into(), "acme/faq".into()]);
    assert_eq!(read.words(Category::Dataset), &sets);
    assert_eq!(read.words(Category::Seed), &Words::Had(false));
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    assert_eq!(read.words(Category::Clipping), &Words::Had(true));
    for input in Input::ALL.iter().filter(|input| **input != AlphaPerRank) {
        assert!(read.facts().number(*input).is_some(), "{input:?}");
    }
    for category in CATEGORIES {
        assert!(read.facts().word(*category).is_some(), "{category:?}");
    }
}

#[test]
fn text_that_the_schema_converts_is_a_number_and_no_finding() {
    let read =
        lora("weight_decay: 1e-2\nwarmup_ratio: '0.1'\nnum_epochs: '2'\nsample_packing: 'yes'\nlora_dropout: 0\n");
    read.clean();
    assert_eq!(
        (read.value(LearningRate), read.given(LearningRate)),
        (Some(2e-5), "2e-5")
    );
    assert_eq!(read.value(WeightDecay), Some(0.01));
    assert_eq!(read.value(WarmupRatio), Some(0.1));
    assert_eq!(read.value(Epochs), Some(2.0));
    assert_eq!(read.value(Packs), Some(1.0));
    assert!(read.facts().drops_last);
    // Values of a mapping without a schema stay text.
    let kept = full("lr_scheduler: cosine_with_min_lr\nlr_scheduler_kwargs:\n  min_lr: 1e-6\n");
    assert_eq!(kept.told(), ["value-type: 1e-6 -> 1.0e-6"]);
    for (line, told) in [
        ("num_epochs: null", "value-type: null -> 1.0"),
        ("lora_r: 8.5", "value-type: 8.5"),
        ("weight_decay: much", "value-type: much -> 0.0"),
    ] {
        let read = case(&format!(
            "{FULL}adapter: lora\nlora_alpha: 8\n{line}\n{}",
            if line.contains("lora_r") { "" } else { "lora_r: 8\n" }
        ));
        assert_eq!(read.told(), [told], "{line}");
    }
}

#[test]
fn a_rate_has_no_default() {
    let read = case(&FULL.replace("learning_rate: 2e-5\n", ""));
    assert_eq!(read.diagnostics[0].message, "`learning_rate` needs a value");
    assert_eq!(read.number(LearningRate).values, Some(LearningRate.domain().interval));
    assert_eq!(case(&FULL.replace("2e-5", "${LR}")).open(LearningRate), Some("${LR}"));
}

#[test]
fn the_adapter_decides_what_trains() {
    for (more, method) in [
        (LORA, "lora"),
        ("adapter: lora\nlora_r: 8\nlora_alpha: 8\nload_in_8bit: true\n", "lora"),
        ("adapter: lora\nlora_r: 8\nlora_alpha: 8\nload_in_4bit: true\n", "qlora"),
        (
            "adapter: qlora\nlora_r: 8\nlora_alpha: 8\nload_in_4bit: true\n",
            "qlora",
        ),
        (
            "adapter: lora\nlora_r: 8\nlora_alpha: 8\nmodel_quantization_config: Mxfp4Config\n",
            "qlora",
        ),
        (
            "adapter: lora\nlora_r: 8\nlora_alpha: 8\nmodel_quantization_config: Mxfp4Config\nmodel_quantization_config_kwargs: {dequantize: true}\n",
            "lora",
        ),
        ("adapter: lora\nlora_r: 8\nlora_alpha: 8\npeft_use_dora: true\n", "dora"),
        ("adapter: lora\nlora_r: 8\nlora_alpha: 8\nrelora: true\n", "other"),
        ("adapter: llama-adapter\n", "other"),
        ("adapter:\n", "full"),
        ("unfrozen_parameters:\n  - ^lm_head\n", "freeze"),
    ] {
        let read = full(more);
        read.clean();
        assert_eq!(read.word(Category::Method), method, "{more}");
    }
    let odd = full("adapter: lroa\nlora_r: 8\n");
    assert_eq!(odd.told(), ["value-type: lroa -> lora"]);
    assert_eq!(odd.words(Category::Method), &Words::Unknown);
    let plugin = full("adapter: mine\nplugins:\n  - acme.adapters.Mine\n");
    assert_eq!(plugin.word(Category::Method), "other");
    assert_eq!(plugin.number(Rank).values, Some(Rank.domain().interval));
}

#[test]
fn keys_of_an_adapter_that_is_not_there_are_a_finding() {
    let read = full("lora_r: 16\nlora_alpha: 32\nlora_target_linear: true\nlora_dropout:\n");
    assert_eq!(read.word(Category::Method), "full");
    let [found] = &read.diagnostics[..] else {
        panic!("{:?}", read.told())
    };
    assert_eq!(
        (found.code, found.severity, found.message.as_str()),
        (
            Code::ValueType,
            Severity::Warning,
            "`adapter` is not written, so `lora_r` and 2 more keys have no effect: every weight trains"
        )
    );
    for (more, message) in [
        ("load_in_4bit: true\n", "`load_in_4bit` needs an adapter to train"),
        (
            "adapter: qlora\nlora_r: 8\nlora_alpha: 8\n",
            "`adapter` cannot be `qlora` without load_in_4bit",
        ),
        ("adapter: lora\nlora_alpha: 8\n", "`lora_r` needs a value"),
    ] {
        let read = full(more);
        assert_eq!(read.diagnostics[0].message, message);
        assert_eq!(read.codes(), [Code::ValueType], "{more}");
    }
}

#[test]
fn an_adapter_has_the_shape_that_is_written() {
    let read = lora("peft_use_rslora: true\nlora_target_linear: true\nlora_target_modules: [q_proj, lm_head]\n");
    read.clean();
    assert_eq!((read.value(Rank), read.value(Alpha)), (Some(16.0), Some(32.0)));
    assert_eq!(read.value(RankStabilised), Some(1.0));
    let targets = |read: &Case| match read.words(Category::LoraTargets) {
        Words::Set(words) => words.join(" "),
        other => panic!("{other:?}"),
    };
    assert_eq!(targets(&read), "all-linear lm_head");
    let experts = lora("lora_target_modules: a{1,2}\nlora_target_parameters: [experts.down_proj]\n");
    assert_eq!(targets(&experts), "a{1,2} experts.down_proj");
    assert_eq!(lora("").words(Category::LoraTargets), &Words::Unknown);
    let pattern = lora("lora_rank_pattern:\n  q_proj: 64\n  v_proj: 4\n");
    assert_eq!(range(&pattern, Rank), (4.0, 64.0));
    assert_eq!(lora("lora_model_dir: out/a\n").open(Rank), Some("out/a"));
}

#[test]
fn what_is_taught_is_read_from_several_keys() {
    for (more, stage) in [
        ("rl: dpo\n", "dpo"),
        ("rl: dpo\ndpo_loss_type: [ipo]\n", "ipo"),
        ("rl: dpo\ndpo_loss_type: [sigmoid, ipo]\n", "dpo"),
        ("rl: simpo\n", "simpo"),
        ("rl: gdpo\n", "gdpo"),
        ("rl:\n", "sft"),
        ("reward_model: true\n", "rm"),
        ("process_reward_model: true\n", "prm"),
        ("pretraining_dataset: acme/web\n", "pt"),
    ] {
        assert_eq!(full(more).word(Category::Stage), stage, "{more}");
    }
    assert_eq!(full("rl: dop\n").words(Category::Stage), &Words::Unknown);
    assert_eq!(full("rl: dpo\n").value(PreferenceBeta), Some(0.1));
    assert_eq!(full("rl: kto\nrl_beta: 0.5\n").value(PreferenceBeta), Some(0.5));
    let both = full("rl: grpo\nrl_beta: 0.5\ntrl:\n  beta: 1e-3\n");
    assert_eq!(both.given(PreferenceBeta), "1e-3");
    assert_eq!(full("").number(PreferenceBeta).values, None);
}

#[test]
fn a_batch_needs_two_of_three_keys() {
    let without = FULL.replace("gradient_accumulation_steps: 8\n", "");
    let alone = case(&without);
    assert_eq!(alone.diagnostics[0].message, "`gradient_accumulation_steps` is missing");
    // Only older versions refuse it.
    assert_eq!(alone.diagnostics[0].severity, Severity::Warning);
    assert_eq!(alone.value(Accumulation), Some(1.0));
    let total = without.replace("micro_batch_size: 2\n", "batch_size: 32\n");
    assert!(case(&total).codes().contains(&Code::ValueType));
    // Left out it is 1 by the schema, whatever batch_size says; as null it follows from batch_size.
    let total = case(&format!("{without}batch_size: 32\n"));
    assert_eq!(range(&total, Accumulation), (1.0, 16.0));
    let null = case(&format!("{without}batch_size: 32\ngradient_accumulation_steps:\n"));
    assert_eq!((null.value(Accumulation), null.given(Accumulation)), (Some(16.0), "32"));
    let both = full("batch_size: 32\n");
    assert_eq!(both.told(), ["value-type: 32"]);
    let shared = full("tensor_parallel_size: 2\ncontext_parallel_size: 4\n");
    assert_eq!(shared.value(ModelParallel), Some(8.0));
}

#[test]
fn a_warmup_that_nobody_wrote_depends_on_the_length() {
    let open = full("");
    assert_eq!(range(&open, WarmupRatio), (0.0, 2.0 / 34.0));
    for (rows, steps) in [(160, 0.0), (640, 2.0), (1600, 3.0), (160_000, 100.0)] {
        let read = with_rows(rows, "");
        assert_eq!(read.value(WarmupSteps), Some(steps), "{rows}");
    }
    let most = full("max_steps: 1000\n");
    assert_eq!(range(&most, WarmupSteps), (0.0, 30.0));
    assert_eq!(with_rows(1600, "max_steps: 1000\n").value(WarmupSteps), Some(3.0));
    let streamed = full("streaming: true\nmax_steps: 1000\n");
    assert_eq!(streamed.value(WarmupSteps), Some(30.0));
    assert_eq!(full("rl: grpo\n").value(WarmupRatio), Some(0.03));
    // What it can be encloses what it is.
    let most = range(&open, WarmupRatio).1;
    for rows in (16..3200).step_by(16) {
        match derive(Quantity::WarmupFraction, with_rows(rows, "").facts()) {
            Derived::Values { values, .. } => assert!(values.hi() <= most, "{rows}: {values:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_warmup_that_is_written_is_taken() {
    assert_eq!(full("warmup_steps: 1\n").value(WarmupSteps), Some(2.0));
    assert_eq!(
        full("warmup_steps: 0\nwarmup_ratio: 0.1\n").value(WarmupRatio),
        Some(0.0)
    );
    assert_eq!(full("warmup_ratio: 0.1\n").value(WarmupRatio), Some(0.1));
    let both = full("warmup_steps: 10\nwarmup_ratio: 0.1\n");
    assert_eq!(both.told(), ["value-type: warmup_ratio: 0.1"]);
    assert_eq!(both.open(WarmupSteps), Some("10"));
    assert_eq!(
        full("warmup_ratio: 0.1\nlr_scheduler: constant\n").value(WarmupRatio),
        Some(0.0)
    );
    // The share is one of the updates that the epochs make, where max_steps is more.
    let short = with_rows(160, "max_steps: 100\nwarmup_ratio: 0.1\n");
    assert_eq!(range(&short, WarmupRatio), (0.1 * 10.0 / 100.0, 0.1 * 10.0 / 100.0));
    assert_eq!(range(&full("max_steps: 100\nwarmup_ratio: 0.1\n"), WarmupRatio).1, 0.1);
}

#[test]
fn a_rate_of_its_own_counts_towards_the_peak() {
    let low = full("embedding_lr: 1e-6\n");
    assert_eq!(low.value(LearningRate), Some(2e-5));
    let high = full("embedding_lr: 1e-3\n");
    assert_eq!(
        (high.value(LearningRate), high.given(LearningRate)),
        (Some(1e-3), "1e-3")
    );
    assert_eq!(high.facts().called(LearningRate), "embedding_lr");
    assert_eq!(range(&lora("embedding_lr: 1e-3\n"), LearningRate), (2e-5, 1e-3));
    assert_eq!(full("embedding_lr_scale: 10\n").value(LearningRate), Some(2e-5 * 10.0));
    let groups = full("lr_groups:\n  - {name: a, modules: [q_proj], lr: 1e-2}\n");
    assert_eq!(range(&groups, LearningRate), (2e-5, 1e-2));
    let open = full("lr_groups:\n  - {name: a, modules: [q_proj]}\n");
    assert_eq!(range(&open, LearningRate).1, f64::MAX);
    let plus = lora("loraplus_lr_ratio: 16\nembedding_lr: 1\n");
    assert_eq!(
        (plus.value(LearningRate), plus.value(LoraPlusRatio)),
        (Some(2e-5), Some(16.0))
    );
}

#[test]
fn a_cosine_may_have_a_floor() {
    let read = full("cosine_min_lr_ratio: 0.1\n");
    assert_eq!(read.word(Category::Scheduler), "cosine_with_min_lr");
    assert_eq!(read.value(MinLearningRate), Some(2e-5 * 0.1));
    assert_eq!(full("cosine_min_lr_ratio: 0\n").word(Category::Scheduler), "cosine");
    assert_eq!(full("lr_scheduler:\n").word(Category::Scheduler), "cosine");
    for more in [
        "lr_scheduler: rex\n",
        "lr_quadratic_warmup: true\n",
        "jagged_restart_steps: 10\n",
    ] {
        assert_eq!(full(more).word(Category::Scheduler), "other", "{more}");
    }
    assert_eq!(full("optimizer: muon\n").word(Category::Optimizer), "muon");
    assert_eq!(
        full("optimizer: adamw_bnb_8bit\n").word(Category::Optimizer),
        "adamw_8bit"
    );
}

#[test]
fn rows_that_are_held_out_are_not_yet_an_evaluation() {
    for (more, had) in [
        ("val_set_size: 0.1\n", false),
        ("val_set_size: 0.1\neval_steps: 50\n", true),
        ("val_set_size: 0.1\nevals_per_epoch: 1\n", false),
        ("val_set_size: 0.1\nevals_per_epoch: 1\nnum_epochs: 2\n", true),
        ("val_set_size: 0.1\neval_strategy: epoch\n", true),
        ("val_set_size: 0.1\neval_strategy: \"no\"\n", false),
        ("test_datasets:\n  - {path: acme/test}\nevals_per_epoch: 4\n", true),
        ("evals_per_epoch: 4\n", false),
    ] {
        let read = full(more);
        read.clean();
        assert_eq!(read.words(Category::Evaluation), &Words::Had(had), "{more}");
    }
    assert_eq!(
        full("val_set_size: 0\neval_steps: 5\n").diagnostics[0].message,
        "`eval_steps` needs rows that are held out, and val_set_size is 0"
    );
    assert_eq!(full("seed:\n").value(Input::Seed), Some(42.0));
    assert_eq!(full("seed: 7\n").words(Category::Seed), &Words::Had(true));
    assert_eq!(full("max_grad_norm: 0\n").words(Category::Clipping), &Words::Had(false));
}

#[test]
fn keys_are_dropped_unless_a_plugin_takes_them() {
    let read = lora("lora_rank: 8\nlr_scheduler_type: linear\n");
    assert_eq!(
        read.told(),
        [
            "unknown-key: lora_rank",
            "unknown-key: lr_scheduler_type -> lr_scheduler"
        ]
    );
    let off = full("liger_rope: true\nliger_swiglu:\n");
    assert_eq!(off.told(), ["unknown-key: liger_rope"]);
    assert!(
        off.diagnostics[0]
            .help
            .as_ref()
            .unwrap()
            .contains("axolotl.integrations.liger")
    );
    full("liger_rope: true\nplugins:\n  - axolotl.integrations.liger.LigerPlugin\n").clean();
    let theirs = full("acme_rate: 3\nplugins:\n  - acme.train.Plugin\n");
    assert_eq!(theirs.diagnostics[0].severity, Severity::Warning);
}

#[test]
fn what_axolotl_refuses_is_an_error() {
    for (more, told) in [
        ("rl: dpo\nsample_packing: true\n", "value-type: sample_packing: true"),
        (
            "val_set_size: 0.1\ntest_datasets: [{path: a}]\neval_steps: 5\n",
            "value-type: val_set_size: 0.1",
        ),
    ] {
        assert_eq!(full(more).told(), [told]);
    }
    let bare = case("base_model: m\nmicro_batch_size: 1\ngradient_accumulation_steps: 1\nlearning_rate: 1.0e-5\n");
    assert_eq!(bare.diagnostics[0].message, "`datasets` is missing");
    assert_eq!(bare.words(Category::Dataset), &Words::Unknown);
}

/// Below 1 it is a share of all updates, and evaluates as a number of them does.
#[test]
fn eval_steps_may_be_a_share() {
    let read = full("val_set_size: 0.1\neval_steps: 0.2\n");
    read.clean();
    assert_eq!(read.words(Category::Evaluation), &Words::Had(true));
}

/// What the frameworks' own loader said of each: 0.19 and 0.21.
#[test]
fn what_the_schema_refuses_is_told_with_the_release() {
    for (more, severity, message) in [
        (
            "fsdp: [full_shard, auto_wrap]\nfsdp_config: {fsdp_offload_params: true}\n",
            Severity::Warning,
            "`fsdp` is how FSDP1 was asked for, which is gone",
        ),
        (
            "fsdp_version: 1\nfsdp_config: {offload_params: true}\n",
            Severity::Warning,
            "`fsdp_version` asks for FSDP1, which is gone",
        ),
        (
            "fsdp_config: {fsdp_version: 1}\n",
            Severity::Warning,
            "`fsdp_config.fsdp_version` asks for FSDP1, which is gone",
        ),
        (
            "fsdp_version: 2\nfsdp_config: {fsdp_sharding_strategy: FULL_SHARD}\n",
            Severity::Warning,
            "`fsdp_config.fsdp_sharding_strategy` is an option of FSDP1, which is gone",
        ),
        (
            "fsdp_version: 2\nfsdp_config: {forward_prefetch: false}\n",
            Severity::Warning,
            "`fsdp_config.forward_prefetch` is an option of FSDP1, which is gone",
        ),
        (
            "fsdp_version: 2\nfsdp_config: {offload_params: true}\noptimizer: adamw_bnb_8bit\n",
            Severity::Error,
            "`optimizer` cannot be adamw_bnb_8bit under FSDP2",
        ),
        (
            "fsdp_config: {offload_params: false}\noptimizer: adamw_8bit\n",
            Severity::Warning,
            "`optimizer` cannot be adamw_8bit under FSDP2",
        ),
        (
            "deepspeed: ds.json\nfsdp_config: {offload_params: true}\n",
            Severity::Warning,
            "`deepspeed` cannot stand beside fsdp_config",
        ),
        (
            "deepspeed: ds.json\nfsdp: [full_shard]\n",
            Severity::Error,
            "`deepspeed` cannot stand beside fsdp",
        ),
        (
            "max_packed_sequence_len: 2048\n",
            Severity::Error,
            "`max_packed_sequence_len` is gone from Axolotl",
        ),
        (
            "flash_attn_rms_norm: true\n",
            Severity::Error,
            "`flash_attn_rms_norm` is gone from Axolotl",
        ),
        ("rpo_alpha: 0.0\n", Severity::Error, "`rpo_alpha` is gone from Axolotl"),
        (
            "tokens: {pad_token: \"<pad>\"}\n",
            Severity::Error,
            "`tokens` takes a list",
        ),
    ] {
        let read = full(more);
        let told: Vec<_> = read
            .diagnostics
            .iter()
            .map(|found| (found.severity, found.message.as_str()))
            .collect();
        assert_eq!(told, [(severity, message)], "{more}");
        assert_eq!(read.value(LearningRate), Some(2e-5), "{more}");
    }
    full("fsdp_version: 2\nfsdp_config: {fsdp_version: \"2\", offload_params: true}\n").clean();
    let ebft = "rl: ebft\nebft: {mode: strided}\ngradient_checkpointing: true\n";
    let found = full(&format!("{ebft}torch_compile: true\n"));
    assert_eq!(
        found.diagnostics[0].message,
        "`torch_compile` cannot stand beside gradient_checkpointing in strided EBFT"
    );
    full("fsdp: []\nmax_packed_sequence_len:\nrpo_alpha: null\ntokens: [a]\nflash_attn_rms_norm: false\n").clean();
    let falcon = case(
        &FULL
            .replace("Qwen/Qwen3-4B", "tiiuae/Falcon3-1B")
            .replace("micro_batch", "fsdp_config: {offload_params: true}\nmicro_batch"),
    );
    assert_eq!(
        falcon.diagnostics[0].message,
        "`fsdp_config` is not taken for Falcon models"
    );
}
