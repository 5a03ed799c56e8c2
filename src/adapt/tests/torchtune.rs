//! What torchtune's recipes make of a run file.

use super::{Case, launched, told};
use crate::adapt::Launch;
use crate::facts::Input::{self, *};
use crate::facts::{Derived, Words, derive};
use crate::quantity::{Category, Interval, Quantity};

const TAIL: &str = "\
tokenizer: {_component_: torchtune.models.llama3.llama3_tokenizer, max_seq_len: 4096}
checkpointer: {_component_: torchtune.training.FullModelHFCheckpointer, checkpoint_dir: /models/llama}
dataset: {_component_: torchtune.datasets.instruct_dataset, source: acme/tickets, packed: False}
optimizer: {_component_: torch.optim.AdamW, lr: 3e-4}
batch_size: 2
epochs: 3
gradient_accumulation_steps: 8
";

fn run(builder: &str, more: &str) -> Case {
    at(Launch::default(), builder, more)
}

fn at(launch: Launch, builder: &str, more: &str) -> Case {
    let loss = if more.contains("loss:") {
        ""
    } else {
        "loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}\n"
    };
    launched(
        &format!("model: {{_component_: torchtune.models.llama3.{builder}}}\n{TAIL}{loss}{more}"),
        launch,
    )
}

fn adapter(builder: &str, more: &str) -> Case {
    run(&format!("{builder}, lora_attn_modules: [q_proj, v_proj]{more}"), "")
}

fn derived(read: &Case, quantity: Quantity) -> Option<Interval> {
    match derive(quantity, read.facts()) {
        Derived::Values { values, .. } => Some(values),
        _ => None,
    }
}

#[test]
fn a_full_run_has_everything_said() {
    let read = run("llama3_8b", "");
    read.clean();
    for (input, value) in [
        (LearningRate, Some(3e-4)),
        (WeightDecay, Some(0.01)),
        (PerDevice, Some(2.0)),
        (Accumulation, Some(8.0)),
        (Epochs, Some(3.0)),
        (MaxSteps, None),
        (ClipNorm, Some(0.0)),
        (WarmupSteps, Some(0.0)),
        (SequenceLength, Some(4096.0)),
        (Input::Seed, None),
        (Rank, None),
    ] {
        assert_eq!(read.value(input), value, "{input:?}");
    }
    for (category, word) in [
        (Category::Method, "full"),
        (Category::Stage, "sft"),
        (Category::Scheduler, "constant"),
        (Category::Optimizer, "adamw"),
        (Category::Model, "/models/llama"),
    ] {
        assert_eq!(read.word(category), word);
    }
    for category in [Category::Clipping, Category::Evaluation, Category::Seed] {
        assert_eq!(read.words(category), &Words::Had(false), "{category:?}");
    }
    // Nothing bounds a gradient that is not clipped.
    assert_eq!(derived(&read, Quantity::ClipNorm).unwrap().lo(), f64::INFINITY);
    assert!(read.facts().drops_last);
    for input in told(&[AlphaPerRank]) {
        assert!(read.facts().number(input).is_some(), "{input:?}");
    }
    for category in crate::quantity::CATEGORIES {
        assert!(read.facts().word(*category).is_some(), "{category:?}");
    }
}

#[test]
fn the_builder_says_what_is_tuned() {
    for (builder, more, method) in [
        ("lora_llama3_8b", "", "lora"),
        ("qlora_llama3_8b", "", "qlora"),
        ("lora_llama3_8b", ", quantize_base: True", "qlora"),
        ("lora_llama3_8b", ", use_dora: True", "dora"),
        ("qlora_llama3_8b", ", use_dora: True", "dora"),
    ] {
        let read = adapter(builder, more);
        read.clean();
        assert_eq!(read.word(Category::Method), method, "{builder}{more}");
        assert_eq!((read.value(Rank), read.value(Alpha)), (Some(8.0), Some(16.0)));
    }
    let targets = adapter(
        "lora_llama3_8b",
        ", apply_lora_to_mlp: True, apply_lora_to_output: True",
    );
    let names = ["q_proj", "v_proj", "mlp", "output"].map(str::to_owned);
    assert_eq!(targets.words(Category::LoraTargets), &Words::Set(names.into()));
    let theirs = launched(
        &format!("model: {{_component_: acme.build}}\n{TAIL}"),
        Launch::default(),
    );
    assert_eq!(theirs.words(Category::Method), &Words::Unknown);
}

#[test]
fn the_loss_says_what_is_taught() {
    let dpo = run("llama3_8b", "loss: {_component_: torchtune.rlhf.loss.DPOLoss}\n");
    assert_eq!(
        (dpo.word(Category::Stage), dpo.value(PreferenceBeta)),
        ("dpo", Some(0.1))
    );
    let kd = run(
        "llama3_8b",
        "kd_loss: {_component_: torchtune.modules.loss.ForwardKLLoss}\n",
    );
    assert_eq!(kd.word(Category::Stage), "kd");
    let other = run("llama3_8b", "loss: {_component_: acme.Loss}\n");
    assert_eq!(other.words(Category::Stage), &Words::Unknown);
}

#[test]
fn a_bound_on_the_steps_of_a_pass_needs_the_rows() {
    let bound = "max_steps_per_epoch: 10\n";
    let open = run("llama3_8b", bound);
    assert_eq!(open.number(MaxSteps).values, Interval::new(1.0, 30.0));
    let of = |rows| {
        let launch = Launch {
            world_size: Some(1),
            dataset_rows: Some(rows),
            ..Launch::default()
        };
        at(launch, "llama3_8b", bound)
    };
    // 9 whole updates of 16 rows in a pass, and 100.
    assert_eq!(derived(&of(159), Quantity::Updates), Interval::new(27.0, 27.0));
    assert_eq!(derived(&of(1600), Quantity::Updates), Interval::new(30.0, 30.0));
}

#[test]
fn ppo_counts_prompts() {
    let read = launched(
        "policy_model: {_component_: torchtune.models.mistral.mistral_7b}\nloss: {_component_: torchtune.rlhf.loss.PPOLoss}\n\
         optimizer: {_component_: bitsandbytes.optim.PagedAdamW, lr: 3e-6}\ndataset: {_component_: d}\n\
         batch_size: 64\nnum_steps: 1000\nppo_epochs: 2\nppo_batch_size: 32\ngradient_accumulation_steps: 4\n",
        Launch::default(),
    );
    read.clean();
    assert_eq!(read.word(Category::Optimizer), "paged_adamw");
    // 15 batches, twice, in two parts.
    assert_eq!((read.value(MaxSteps), read.value(PerDevice)), (Some(60.0), Some(8.0)));
    assert_eq!(read.value(Epochs), None);
}

#[test]
fn what_nobody_reads_is_told() {
    let read = run("llama3_8b", "learning_rate: 1e-5\nmax_grad_norm: 1.0\n");
    assert_eq!(
        read.told(),
        [
            "unknown-key: learning_rate",
            "unknown-key: max_grad_norm -> clip_grad_norm"
        ]
    );
    let near = run("llama3_8b", "epoch: 3\ngradient_accumulation_step: 4\nmy_notes: a\n");
    assert_eq!(
        near.told(),
        [
            "unknown-key: epoch",
            "unknown-key: gradient_accumulation_step",
            "unknown-key: my_notes"
        ]
    );
    // Somebody's variable.
    let used = run(
        "llama3_8b",
        "lr: 1e-5\nlr_scheduler: {_component_: acme.schedule, num_warmup_steps: 1, rate: \"${lr}\"}\n",
    );
    used.clean();
    run(
        "llama3_8b",
        "base: {dir: /tmp}\nname: a\noutput_dir: \"${ base.dir }/${name}\"\n",
    );
    let other = run(
        "llama3_8b",
        "ppo_epochs: 4\nppo_batch_size: null\noptimizer_in_bwd: False\n",
    );
    assert_eq!(other.told(), ["unknown-key: ppo_epochs"]);
    let clip = run(
        "lora_llama3_8b, lora_attn_modules: [q_proj]",
        "loss: {_component_: torchtune.rlhf.loss.DPOLoss}\nclip_grad_norm: 1.0\n",
    );
    assert_eq!(clip.told(), ["unknown-key: clip_grad_norm"]);
    assert_eq!(clip.words(Category::Clipping), &Words::Had(false));
}

#[test]
fn arguments_that_a_component_does_not_take_are_told() {
    let of = |builder: &str, optimizer: &str, dataset: &str| {
        launched(
            &format!("model: {{_component_: torchtune.models.llama3.{builder}}}\n{TAIL}")
                .replace("AdamW, lr: 3e-4", optimizer)
                .replace("source: acme/tickets, packed: False", dataset),
            Launch::default(),
        )
    };
    let fine = of(
        "llama3_8b",
        "AdamW, lr: 3e-4, fused: True",
        "source: a, data_files: b.json",
    );
    assert_eq!(fine.told(), [""; 0]);
    let rate = of("llama3_8b", "AdamW, learning_rate: 3e-4", "source: a");
    assert_eq!(rate.told(), ["unknown-key: learning_rate -> lr"]);
    assert_eq!(rate.diagnostics[0].message, "`AdamW` has no argument `learning_rate`");
    // Without it the class has its own.
    assert_eq!(rate.value(LearningRate), Some(1e-3));
    let ranks = of(
        "lora_llama3_8b, lora_attn_modules: [q_proj], lora_ranks: 8, rank: 4",
        "AdamW, lr: 3e-4",
        "source: a",
    );
    assert_eq!(
        ranks.told(),
        ["unknown-key: lora_ranks -> lora_rank", "unknown-key: rank -> lora_rank"]
    );
    let full = of("llama3_8b, lora_rank: 8", "AdamW, lr: 3e-4", "source: a");
    assert_eq!(
        full.diagnostics[0].help.as_deref(),
        Some("delete it, or name `torchtune.models.llama3.lora_llama3_8b`, which takes it")
    );
    // What a data set does not know it hands on.
    let packed = of("llama3_8b", "AdamW, lr: 3e-4", "source: a, packd: True");
    assert_eq!(packed.told(), ["unknown-key: packd -> packed"]);
    assert_eq!(packed.diagnostics[0].severity, crate::diag::Severity::Warning);
    // Somebody's own class takes what it takes.
    of("llama3_8b", "AdamW, lr: 3e-4", "source: a").clean();
    launched(
        &format!("model: {{_component_: acme.build, depth: 3}}\n{TAIL}"),
        Launch::default(),
    )
    .clean();
}

#[test]
fn what_is_null_is_not_said_to_be_missing() {
    let read = run("llama3_8b", "run_val_every_n_steps: null\n");
    let fact = read.facts().word(Category::Evaluation).unwrap();
    assert!(matches!(fact.key.stands, crate::facts::Stands::Null(_)));
    assert_eq!(fact.key.explains("why"), "run_val_every_n_steps is null: why");
    let absent = run("llama3_8b", "");
    let fact = absent.facts().word(Category::Evaluation).unwrap();
    assert_eq!(fact.key.explains("why"), "why");
}

#[test]
fn what_a_recipe_refuses_is_refused() {
    let read = run("llama3_8b", "optimizer_in_bwd: True\nclip_grad_norm: 1.0\n");
    assert_eq!(
        read.told(),
        [
            "value-type: gradient_accumulation_steps: 8",
            "value-type: clip_grad_norm: 1.0"
        ]
    );
    let bare = launched(
        "model: {_component_: torchtune.models.llama3.llama3_8b}\noptimizer: {_component_: torch.optim.AdamW, lr: null}\n",
        Launch::default(),
    );
    assert!(bare.open(PerDevice).is_some());
    assert!(
        bare.told()
            .contains(&"value-type: null -> ".trim_end_matches(" -> ").to_owned()),
        "{:?}",
        bare.told()
    );
    let missing: Vec<_> = bare
        .diagnostics
        .iter()
        .filter(|found| found.message.ends_with("is missing"))
        .collect();
    assert_eq!(missing.len(), 3);
}

#[test]
fn an_infinite_norm_only_logs() {
    for norm in ["'inf'", ".inf", "inf", "null"] {
        let read = run("llama3_8b", &format!("clip_grad_norm: {norm}\n"));
        read.clean();
        assert_eq!(read.words(Category::Clipping), &Words::Had(false), "{norm}");
    }
    assert_eq!(
        run("llama3_8b", "clip_grad_norm: 1.0\n").words(Category::Clipping),
        &Words::Had(true)
    );
}
