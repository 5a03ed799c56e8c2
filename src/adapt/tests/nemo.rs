//! What NeMo Automodel makes of a recipe.

use super::{Case, case, launched};
use crate::adapt::Launch;
use crate::diag::Code;
use crate::facts::Input::*;
use crate::facts::{Derived, Words, derive};
use crate::quantity::{Category, Quantity};

const RUN: &str = "\
recipe: TrainFinetuneRecipeForNextTokenPrediction
step_scheduler:
  global_batch_size: 32
  local_batch_size: 8
model:
  _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained
  pretrained_model_name_or_path: Qwen/Qwen3-0.6B
dataset:
  _target_: my.module.make_dataset
optimizer:
  _target_: torch.optim.Adam
  lr: 1e-5
";

fn run(more: &str) -> Case {
    case(&format!("{RUN}{more}"))
}

fn derived(read: &Case, quantity: Quantity) -> (f64, f64) {
    match derive(quantity, read.facts()) {
        Derived::Values { values, .. } => (values.lo(), values.hi()),
        other => panic!("{quantity:?}: {other:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_recipes() {
    let read = run("");
    read.clean();
    for (input, value) in [
        (LearningRate, Some(1e-5)),
        (GlobalBatch, Some(32.0)),
        (PerDevice, Some(8.0)),
        (Accumulation, None),
        (Epochs, Some(10.0)),
        (MaxSteps, None),
        (ClipNorm, Some(1.0)),
        (WeightDecay, Some(0.0)),
        (WarmupSteps, Some(0.0)),
        (Rank, None),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    assert_eq!(read.word(Category::Stage), "sft");
    assert_eq!(read.word(Category::Method), "full");
    assert_eq!(read.word(Category::Optimizer), "adam");
    assert_eq!(read.word(Category::Scheduler), "constant");
    assert_eq!(read.words(Category::Seed), &Words::Had(true));
    assert_eq!(read.value(Seed), Some(42.0));
    // The batch is what the recipe says, whatever the launch.
    assert_eq!(derived(&read, Quantity::BatchEffective), (32.0, 32.0));
}

#[test]
fn python_literals_in_texts_are_what_they_look_like() {
    let read =
        run("lr_scheduler:\n  lr_warmup_steps: '20'\n  min_lr: 1e-6\nvalidation_dataset: none\npeft:\n  dim: 16\n");
    read.clean();
    assert_eq!(read.value(WarmupSteps), Some(20.0));
    assert_eq!(read.value(MinLearningRate), Some(1e-6));
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    assert_eq!(read.word(Category::Method), "lora");
}

#[test]
fn a_run_ends_at_the_first_of_epochs_and_steps() {
    let of = |rows| {
        let text = RUN.replace(
            "local_batch_size: 8",
            "local_batch_size: 8\n  num_epochs: 2\n  max_steps: 100",
        );
        let launch = Launch {
            dataset_rows: Some(rows),
            ..Launch::default()
        };
        let read = launched(&text, launch);
        (derived(&read, Quantity::Updates), derived(&read, Quantity::Epochs))
    };
    // 2 passes of 640 rows are 40 updates; of 6,400 rows they would be 400.
    assert_eq!(of(640), ((40.0, 40.0), (2.0, 2.0)));
    assert_eq!(of(6400), ((100.0, 100.0), (0.5, 0.5)));
}

#[test]
fn the_schedule_of_another_framework_is_not_computed_by_ours() {
    let read = run("lr_scheduler:\n  lr_decay_style: cosine\n");
    assert!(matches!(
        derive(Quantity::LearningRateFinal, read.facts()),
        Derived::Unknown { .. }
    ));
    assert_eq!(read.value(MinLearningRate), Some(1e-7));
}

#[test]
fn a_batch_that_does_not_divide_is_refused() {
    let read = case(&RUN.replace("global_batch_size: 32", "global_batch_size: 30"));
    assert!(
        read.diagnostics
            .iter()
            .any(|found| found.message.contains("no multiple"))
    );
}

#[test]
fn a_rate_that_is_missing_is_that_of_the_class() {
    let of = |optimizer: &str| case(&RUN.replace("_target_: torch.optim.Adam\n  lr: 1e-5", optimizer));
    let bare = of("_target_: torch.optim.AdamW");
    bare.clean();
    assert_eq!(
        (bare.value(LearningRate), bare.value(WeightDecay)),
        (Some(1e-3), Some(0.01))
    );
    let typed = of("_target_: nemo_automodel.components.optim.optimizer.AdamWConfig");
    assert_eq!(typed.value(LearningRate), Some(1e-4));
    let fused = of("_target_: transformer_engine.pytorch.optimizers.FusedAdam\n  adam_w_mode: false");
    assert_eq!(
        (fused.value(WeightDecay), fused.word(Category::Optimizer)),
        (Some(0.0), "adam")
    );
    let theirs = of("_target_: acme.Sparse");
    theirs.clean();
    assert!(!theirs.number(LearningRate).is_known());
    let none = of("lr: 1e-5");
    assert!(none.diagnostics[0].message.ends_with("is missing"));
    // Recipes for draft models ask for it.
    let draft = case(
        "recipe: TrainEagle3Recipe\nrecipe_args: {num_epochs: 1, target_model_name_or_path: a}\noptimizer: {betas: [0.9, 0.95]}\n",
    );
    assert!(
        draft
            .diagnostics
            .iter()
            .any(|found| found.message == "`optimizer.lr` is missing")
    );
    assert_eq!(draft.value(WeightDecay), Some(0.0));
}

#[test]
fn a_seed_where_nobody_looks_is_told() {
    let read = run("rng: {_target_: nemo_automodel.components.training.rng.StatefulRNG, seed: 7}\n");
    assert_eq!(read.told(), ["unknown-key: rng"]);
    assert_eq!(read.value(Seed), Some(42.0));
    assert_eq!(run("seed: 7\n").value(Seed), Some(7.0));
}

#[test]
fn keys_that_lead_nowhere_are_told() {
    let read = run(concat!(
        "learning_rate: 1e-5\nepoch: 3\npefts: {dim: 8}\nvalidation_dataset_math: {_target_: a}\n_dataset: {}\nci: {}\n",
        "lr_scheduler: {lr_warmup_step: 10}\nclip_grad_norm: {max_grad_norm: 1.0}\n",
        "peft: {_target_: nemo_automodel.components._peft.lora.PeftConfig, lora_rank: 8}\n",
    ));
    assert_eq!(
        read.told(),
        [
            "unknown-key: learning_rate",
            "unknown-key: epoch",
            "unknown-key: pefts",
            "unknown-key: lr_warmup_step -> lr_warmup_steps",
            "unknown-key: max_grad_norm -> max_norm",
            "unknown-key: lora_rank -> dim",
        ]
    );
    let of = |optimizer: &str| case(&RUN.replace("lr: 1e-5", optimizer)).told();
    assert_eq!(of("learning_rate: 1e-5"), ["unknown-key: learning_rate -> lr"]);
    assert_eq!(of("lr: 1e-5\n  param_group_overrides: []"), [""; 0]);
    let steps = case(&RUN.replace("local_batch_size: 8", "local_batch_size: 8\n  num_epoch: 1"));
    assert_eq!(steps.told(), ["unknown-key: num_epoch -> num_epochs"]);
    // An image recipe has a schedule of its own.
    let own = case(&format!(
        "{}lr_scheduler: {{schedule: constant, warmup_steps: 10}}\n",
        RUN.replace(
            "TrainFinetuneRecipeForNextTokenPrediction",
            "FinetuneRecipeForMultimodal"
        )
    ));
    assert_eq!(own.told(), [""; 0]);
}

#[test]
fn without_a_recipe_the_stage_is_open() {
    let text = RUN.replace("recipe: TrainFinetuneRecipeForNextTokenPrediction\n", "");
    assert_eq!(case(&text).words(Category::Stage), &Words::Unknown);
    let told = Launch {
        stage: Some("sft"),
        ..Launch::default()
    };
    assert_eq!(launched(&text, told).word(Category::Stage), "sft");
}

const DRAFT: &str = "\
recipe: TrainEagle3Recipe
recipe_args:
  target_model_name_or_path: Qwen/Qwen3-0.6B
  train_data_path: pairs
  seq_length: 512
  micro_batch_size: 2
  num_epochs: 3
optimizer:
  lr: 1e-4
";

#[test]
fn a_draft_model_is_trained_by_a_loop_of_its_own() {
    let read = case(DRAFT);
    read.clean();
    for (input, value) in [
        (LearningRate, Some(1e-4)),
        (WeightDecay, Some(0.0)),
        (WarmupRatio, Some(0.05)),
        (MinLearningRate, Some(1e-5)),
        (ClipNorm, Some(1.0)),
        (PerDevice, Some(2.0)),
        (Accumulation, Some(1.0)),
        (Epochs, Some(3.0)),
        (MaxSteps, None),
        (SequenceLength, Some(512.0)),
        (Packs, Some(0.0)),
        (Seed, Some(42.0)),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    assert_eq!(read.word(Category::Scheduler), "cosine");
    assert_eq!(read.word(Category::Optimizer), "adamw");
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    // Neither section is read.
    let more = "lr_scheduler:\n  lr_decay_style: linear\nvalidation_dataset:\n  _target_: a.b\n";
    let read = case(&format!("{DRAFT}{more}"));
    assert_eq!(read.word(Category::Scheduler), "cosine");
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
}

#[test]
fn a_draft_packs_and_evaluates_by_its_own_keys() {
    let with = |line: &str| case(&DRAFT.replace("  seq_length: 512\n", &format!("  seq_length: 512\n  {line}\n")));
    let packed = with("packed_sequence_size: 4096");
    assert_eq!(
        (packed.value(Packs), packed.value(SequenceLength)),
        (Some(1.0), Some(4096.0))
    );
    assert_eq!(with("packed_sequence_size: 0").value(Packs), Some(0.0));
    let of = |read: &Case| read.words(Category::Evaluation).clone();
    assert_eq!(of(&with("val_data_path: held-out")), Words::Had(true));
    assert_eq!(of(&with("val_data_path: null")), Words::Had(false));
    assert_eq!(
        of(&case(&format!("{DRAFT}val_dataset:\n  _target_: a.b\n"))),
        Words::Had(true)
    );
    // What the target says of the data was computed before, and is all there is.
    let cached = with("val_data_path: held-out\n  cached_target_path: cache");
    assert_eq!(of(&cached), Words::Had(false));
}

#[test]
fn the_rate_of_a_draft_stays_where_its_floor_is_its_peak() {
    let of = |more: &str| {
        let read = case(&format!("{DRAFT}  min_lr_ratio: 1.0\n{more}"));
        read.word(Category::Scheduler).to_owned()
    };
    assert_eq!(of(""), "constant_with_warmup");
    assert_eq!(of("  warmup_ratio: 0.0\n"), "constant");
}

#[test]
fn dspark_takes_an_optimizer_and_warms_up_for_20_updates() {
    let of = |recipe: &str, more: &str| {
        let text = format!("{DRAFT}{more}");
        case(&text.replace("TrainEagle3Recipe", recipe))
    };
    let muon = "  _target_: torch.optim.Muon\n";
    assert_eq!(of("TrainEagle3Recipe", muon).word(Category::Optimizer), "adamw");
    assert_eq!(of("TrainDSparkRecipe", muon).word(Category::Optimizer), "muon");
    let warmup = |more| of("TrainDSparkRecipe", more).value(WarmupRatio);
    assert_eq!(
        (warmup("  warmup_ratio: 0.04\n"), warmup("  warmup_ratio: 0\n")),
        (None, Some(0.0))
    );
}

#[test]
fn each_recipe_packs_by_its_own_key() {
    let of = |recipe: &str, key: &str| {
        let text = RUN.replace("TrainFinetuneRecipeForNextTokenPrediction", recipe);
        case(&format!("{text}packed_sequence:\n  {key}: 4096\n")).value(Packs)
    };
    let (texts, images) = ("TrainFinetuneRecipeForNextTokenPrediction", "FinetuneRecipeForVLM");
    assert_eq!(of(texts, "packed_sequence_size"), Some(1.0));
    assert_eq!(of(texts, "pack_size"), Some(0.0));
    assert_eq!(of(images, "pack_size"), Some(1.0));
    assert_eq!(of(images, "packed_sequence_size"), Some(0.0));
    let older = RUN.replace(texts, images).replace(
        "_target_: my.module.make_dataset",
        "_target_: my.module.make_dataset\n  packing:\n    enabled: true\n    pack_size: 2048",
    );
    assert_eq!(case(&older).value(Packs), Some(1.0));
}

#[test]
fn a_benchmark_clips_and_evaluates_nothing_and_leaves_its_rate() {
    let more = "lr_scheduler:\n  lr_decay_style: cosine\nvalidation_dataset:\n  _target_: a.b\n";
    let text = format!("{RUN}{more}").replace(
        "TrainFinetuneRecipeForNextTokenPrediction",
        "BenchmarkingRecipeForNextTokenPrediction",
    );
    let read = case(&text);
    assert_eq!(read.value(ClipNorm), Some(0.0));
    assert_eq!(read.words(Category::Clipping), &Words::Had(false));
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    assert_eq!(read.word(Category::Scheduler), "constant");
}

#[test]
fn a_model_that_is_no_file_is_named_by_each_launch() {
    let text = RUN.replace("Qwen/Qwen3-0.6B", "/dev/null  # overridden");
    let read = case(&text);
    assert_eq!(read.codes(), [Code::ValueUnresolved]);
    assert_eq!(read.words(Category::Model), &Words::Unknown);
}

#[test]
fn the_loop_for_images_and_texts_knows_one_schedule() {
    let with = |more: &str| {
        let text = RUN.replace(
            "TrainFinetuneRecipeForNextTokenPrediction",
            "PretrainRecipeForMultimodal",
        );
        case(&format!("{text}{more}"))
    };
    let read = with("lr_scheduler:\n  schedule: constant\nvalidation_dataset:\n  _target_: a.b\n");
    read.clean();
    assert_eq!(read.word(Category::Scheduler), "constant_with_warmup");
    assert_eq!(read.words(Category::Evaluation), &Words::Had(false));
    for (input, value) in [
        (WarmupSteps, Some(2000.0)),
        (Epochs, Some(1.0)),
        (GlobalBatch, Some(32.0)),
        (Packs, Some(1.0)),
        (SequenceLength, Some(36864.0)),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    assert_eq!(with("").word(Category::Scheduler), "constant");
    assert!(
        with("lr_scheduler:\n  schedule: cosine\n")
            .codes()
            .contains(&Code::ValueType)
    );
}
