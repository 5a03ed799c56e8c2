//! What NeMo Automodel makes of a recipe.

use super::{Case, case, launched};
use crate::adapt::Launch;
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
    assert_eq!(read.words(Category::Seed), &Words::Had(false));
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
fn without_a_recipe_the_stage_is_open() {
    let text = RUN.replace("recipe: TrainFinetuneRecipeForNextTokenPrediction\n", "");
    assert_eq!(case(&text).words(Category::Stage), &Words::Unknown);
    let told = Launch {
        stage: Some("sft"),
        ..Launch::default()
    };
    assert_eq!(launched(&text, told).word(Category::Stage), "sft");
}
