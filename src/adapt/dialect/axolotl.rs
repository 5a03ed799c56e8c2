//! Axolotl's run files, as its schema and its trainer builders read them.
//!
//! Read against commit 067b021c (0.18) and the wheel of 0.21, with transformers 5.14 to 5.20 and TRL 1.8 to 1.14. PyYAML
//! reads the file and pydantic converts its values, so `1e-4` under a key of the schema is a number in the end; `null`
//! is as good as nothing except where the schema wants a value; keys that the schema does not have are dropped.

use super::{
    axolotl_adapter as adapter, axolotl_findings as findings, axolotl_rates as rates, axolotl_refused as refused,
    pydantic,
};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::screen;
use crate::adapt::table::Missing::Is;
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::{Data, Node};
use crate::adapt::{Launch, keys, launch};
use crate::facts::Input::{
    Accumulation, Beta1, Beta2, ClipNorm, Epochs, GlobalBatch, MaxSamples, MaxSteps, ModelParallel, Packs, PerDevice,
    PreferenceBeta, Seed, SequenceLength, WeightDecay,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How Axolotl reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "axolotl",
    framework: "Axolotl",
    unknown: Unknown::Drops,
    elsewhere: ELSEWHERE,
    launcher: "axolotl",
    loader: Loader::PyYaml,
    default: "Axolotl's default",
    nested_text_is_read: false,
    order: "
        base_model revision_of_model model_type tokenizer_type trust_remote_code plugins load_in_8bit load_in_4bit
        gptq rl rl_beta orpo_alpha reward_model process_reward_model trl trl.beta pretraining_dataset datasets
        test_datasets dataset_prepared_path val_set_size output_dir chat_template adapter lora_model_dir sequence_len
        sample_packing pad_to_sequence_len lora_r lora_alpha lora_dropout lora_target_modules lora_target_linear
        lora_target_parameters peft_use_rslora peft_use_dora loraplus_lr_ratio unfrozen_parameters wandb_project
        gradient_accumulation_steps micro_batch_size batch_size num_epochs max_steps optimizer lr_scheduler
        lr_scheduler_kwargs cosine_min_lr_ratio learning_rate embedding_lr bf16 tf32 gradient_checkpointing
        logging_steps warmup_ratio warmup_steps evals_per_epoch eval_steps saves_per_epoch weight_decay max_grad_norm
        seed deepspeed fsdp_config tensor_parallel_size context_parallel_size special_tokens",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::AXOLOTL),
    read,
};

/// What other frameworks call things.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cutoff_len", "sequence_len"),
    ("epochs", "num_epochs"),
    ("finetuning_type", "adapter"),
    ("lora_rank", "lora_r"),
    ("lora_target", "lora_target_modules"),
    ("lr", "learning_rate"),
    ("lr_scheduler_type", "lr_scheduler"),
    ("max_length", "sequence_len"),
    ("max_seq_length", "sequence_len"),
    ("model", "base_model"),
    ("model_name_or_path", "base_model"),
    ("num_train_epochs", "num_epochs"),
    ("optim", "optimizer"),
    ("packing", "sample_packing"),
    ("per_device_train_batch_size", "micro_batch_size"),
    ("target_modules", "lora_target_modules"),
    ("use_dora", "peft_use_dora"),
    ("use_rslora", "peft_use_rslora"),
    ("warmup", "warmup_ratio"),
];

/// Numbers that every run has.
const ALWAYS: &[Row] = &[
    row("micro_batch_size", PerDevice, Whole, Is(1.0)),
    row("num_epochs", Epochs, Real, Is(1.0)),
    row("weight_decay", WeightDecay, Real, Is(0.0)).or_null(),
    row("adam_beta1", Beta1, Real, Is(0.9)).or_null(),
    row("adam_beta2", Beta2, Real, Is(0.999)).or_null(),
    row("sequence_len", SequenceLength, Whole, Is(512.0)),
];
const CLIP: Row = row("max_grad_norm", ClipNorm, Real, Is(1.0)).or_null();

/// `rl`, with the stage that it makes.
const STAGES: &[(&str, &str)] = &[
    ("dpo", "dpo"),
    ("gdpo", "gdpo"),
    ("grpo", "grpo"),
    ("ipo", "ipo"),
    ("orpo", "orpo"),
    ("kto", "kto"),
    ("simpo", "simpo"),
    ("ebft", "ebft"),
];

/// Keys and plugins that change what is taught where `rl` is not written; the first that is there decides.
const TEACHES: &[(&str, &str)] = &[
    ("reward_model", "rm"),
    ("process_reward_model", "prm"),
    ("kd_trainer", "kd"),
    ("pretraining_dataset", "pt"),
];
const PLUGINS: &[(&str, &str)] = &[
    ("axolotl.integrations.diffusion.", "other"),
    ("axolotl.integrations.diffusion_decision.", "other"),
];

/// Reads a run file of Axolotl.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let stage = stage(run, launch);
    let method = adapter::method(run);
    pydantic::numbers(run, ALWAYS);
    data(run, stage, launch);
    batch(run);
    max_steps(run);
    adapter::shape(run, &method);
    beta(run, stage);
    parallel(run);
    rates::read(run, method.word, stage);
    presence(run);
    findings::report(run, &method);
    refused::report(run);
}

fn stage(run: &mut Run<'_>, launch: Launch) -> Option<&'static str> {
    if let Some(stage) = launch.stage {
        run.tell(Category::Stage, "rl", one(Some(stage)), Origin::Flag("--stage"));
        return Some(stage);
    }
    let (stage, origin, key) = match pydantic::word(run, "rl", STAGES) {
        Said::Unclear(why) => (None, why, "rl"),
        Said::Value("dpo", place) => match losses(run) {
            Said::Unclear(why) => (None, why, "dpo_loss_type"),
            Said::Value(true, place) => (Some("ipo"), Origin::Given(place), "dpo_loss_type"),
            _ => (Some("dpo"), Origin::Given(place), "rl"),
        },
        Said::Value(stage, place) => (Some(stage), Origin::Given(place), "rl"),
        Said::Nothing => taught(run),
    };
    run.tell(Category::Stage, key, one(stage), origin);
    stage
}

/// Whether IPO is the only loss of a DPO trainer.
fn losses(run: &mut Run<'_>) -> Said<bool> {
    run.list("dpo_loss_type").map(|losses| losses == ["ipo"])
}

/// What a run without `rl` teaches.
fn taught(run: &mut Run<'_>) -> (Option<&'static str>, Origin, &'static str) {
    for (key, stage) in TEACHES {
        if pydantic::is_true(run, key)
            && let Some(origin) = run.written(key)
        {
            return (Some(*stage), origin, key);
        }
    }
    let plugins = adapter::plugins(run);
    for (start, stage) in PLUGINS {
        if plugins.iter().any(|plugin| plugin.starts_with(start))
            && let Some(origin) = run.written("plugins")
        {
            return (Some(*stage), origin, "plugins");
        }
    }
    let rule = "without rl, a reward model or pretraining_dataset, Axolotl fine-tunes under supervision";
    (Some("sft"), by_default(rule), "rl")
}

/// The data sets, and what a row of them is.
fn data(run: &mut Run<'_>, stage: Option<&str>, launch: Launch) {
    let key = if pydantic::is_true(run, "pretraining_dataset") && !pydantic::is_true(run, "datasets") {
        "pretraining_dataset"
    } else {
        "datasets"
    };
    let (words, origin) = match (paths(run, key), run.written(key)) {
        (Some(names), Some(origin)) if !names.is_empty() => (Words::Set(names), origin),
        (_, Some(Origin::Given(place))) => {
            let why = format!("`{key}` does not name a path for each data set");
            (Words::Unknown, unknown(why, "write the `path` of each", Some(place)))
        }
        _ => {
            let why = "the run file names no data set";
            (Words::Unknown, unknown(why, "write `datasets`", None))
        }
    };
    let sets = match &words {
        Words::Set(names) => Some(names.len()),
        _ => None,
    };
    run.tell(Category::Dataset, key, words, origin);
    let why = "without `chat_template` each data set or the tokenizer brings its own";
    run.named(Category::Template, "chat_template", why);
    launch::world(run, launch, "the launch decides how many processes train");
    run.absent(
        MaxSamples,
        "datasets",
        "Axolotl has no cap on samples, only a data set's `split` and `shards`",
    );
    let (packs, origin) = pydantic::switch(run, "sample_packing").or_default(false, DIALECT.default);
    run.fact(Packs, "sample_packing", of_switch(packs), origin);
    // Packed batches that are not full are dropped.
    run.facts.drops_last = packs == Some(true);
    launch::rows(run, launch, sets, packs, stage);
}

/// The paths of data sets; `None` where one is not clear.
fn paths(run: &Run<'_>, key: &str) -> Option<Vec<String>> {
    let text = |node: &Node| {
        let scalar = node.scalar()?;
        let is_open = scalar.text.contains("${") || screen::has_template(&scalar.text);
        (!is_open).then(|| scalar.text.to_string())
    };
    let entry = run.entry(key)?;
    match &entry.value.data {
        Data::Scalar(_) => text(&entry.value).map(|path| vec![path]),
        Data::Map(map) => text(&map.get("path")?.value).map(|path| vec![path]),
        Data::List(items) => items
            .iter()
            .map(|item| match item.map() {
                Some(map) => text(&map.get("path")?.value),
                None => text(item),
            })
            .collect(),
    }
}

const STEPS: Ask = Ask {
    key: "gradient_accumulation_steps",
    takes: Whole,
    domain: Domain::integers(0.0, 9_007_199_254_740_992.0),
    null: Null::IsDefault,
    usual: Some(1.0),
};

fn batch(run: &mut Run<'_>) {
    run.nameless(GlobalBatch, None, by_default("Axolotl counts batches per device"));
    accumulation(run);
    if let Said::Value(true, place) = pydantic::switch(run, "auto_find_batch_size") {
        let most = run.facts.values(PerDevice).map_or(f64::MAX, Interval::hi);
        let why = "auto_find_batch_size makes the batch smaller until it fits into memory";
        let origin = unknown(why, "write auto_find_batch_size: false", Some(place));
        run.fact(PerDevice, "micro_batch_size", Interval::new(1.0, most), origin);
    }
}

/// `batch_size` decides only where gradient_accumulation_steps is written as null or 0: left out, it is 1.
fn accumulation(run: &mut Run<'_>) {
    const KEY: &str = "gradient_accumulation_steps";
    let total = pydantic::number(
        run,
        &Ask {
            key: "batch_size",
            ..STEPS
        },
    );
    let (values, origin) = match (pydantic::number(run, &STEPS), total) {
        (Said::Value(steps, place), Said::Nothing | Said::Value(0.0, _)) if steps > 0.0 => {
            (point(steps), Origin::Given(place))
        }
        (Said::Unclear(origin), _) | (_, Said::Unclear(origin)) => (Some(Accumulation.domain().interval), origin),
        (Said::Value(steps, _), Said::Value(_, place)) if steps > 0.0 => {
            let said = findings::refuse(
                run,
                "batch_size",
                place,
                "cannot stand beside gradient_accumulation_steps",
                "delete batch_size",
            );
            (Some(Accumulation.domain().interval), said)
        }
        (_, Said::Nothing | Said::Value(0.0, _)) => (point(1.0), by_default(DIALECT.default)),
        (_, Said::Value(total, place)) => by_total(run, total, Origin::Given(place)),
    };
    run.fact(Accumulation, KEY, values, origin);
}

fn by_total(run: &Run<'_>, total: f64, given: Origin) -> (Option<Interval>, Origin) {
    const KEY: &str = "gradient_accumulation_steps";
    let per_device = run.facts.values(PerDevice).filter(|size| size.is_point());
    let steps = per_device.map(|size| (total / size.lo()).floor().max(1.0));
    match (steps, run.entry(KEY)) {
        (Some(steps), Some(_)) => (point(steps), given),
        (steps, _) => {
            let place = match given {
                Origin::Given(place) => Some(place),
                _ => None,
            };
            let why = "beside batch_size alone Axolotl counts updates of that size, and makes them of one step";
            let origin = unknown(why, "write gradient_accumulation_steps in place of batch_size", place);
            let most = steps.unwrap_or(Accumulation.domain().interval.hi());
            (Interval::new(1.0, most), origin)
        }
    }
}

/// `max_steps` wins over epochs when it is above 0.
fn max_steps(run: &mut Run<'_>) {
    const KEY: &str = "max_steps";
    const ANY: Domain = Domain::integers(-9_007_199_254_740_992.0, 9_007_199_254_740_992.0);
    match pydantic::number(
        run,
        &Ask {
            key: KEY,
            domain: ANY,
            ..STEPS
        },
    ) {
        Said::Value(steps, place) if steps > 0.0 => run.fact(MaxSteps, KEY, point(steps), Origin::Given(place)),
        Said::Unclear(origin) => run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin),
        Said::Value(..) | Said::Nothing => run.absent(MaxSteps, KEY, "no max_steps is written: num_epochs decides"),
    }
}

/// The pull towards the reference model; the first key that is written decides.
fn beta(run: &mut Run<'_>, stage: Option<&str>) {
    const KEYS: &[&str] = &["trl.beta", "rl_beta", "orpo_alpha"];
    let default = match stage {
        Some("dpo" | "ipo" | "kto" | "orpo" | "simpo") => Some(0.1),
        Some("grpo" | "gdpo") => Some(0.0),
        None => None,
        Some(_) => {
            run.absent(
                PreferenceBeta,
                "rl_beta",
                "only preference tuning has a preference beta",
            );
            return;
        }
    };
    for key in KEYS {
        let asked = row(key, PreferenceBeta, Real, Is(0.1)).or_null();
        let said = pydantic::number(run, &asked.ask());
        if said != Said::Nothing {
            run.set(&asked, said);
            return;
        }
    }
    match default {
        Some(beta) => run.fact(PreferenceBeta, "rl_beta", point(beta), by_default("TRL's default")),
        None => {
            let origin = unknown("the default depends on the stage", "write rl_beta", None);
            let all = Some(PreferenceBeta.domain().interval);
            run.fact(PreferenceBeta, "rl_beta", all, origin);
        }
    }
}

/// Devices that share one copy of the model, and with it one batch.
fn parallel(run: &mut Run<'_>) {
    let context = if pydantic::is_true(run, "context_parallel_size") {
        "context_parallel_size"
    } else {
        "sequence_parallel_degree"
    };
    let mut shared = 1.0;
    let mut from = None;
    for key in [context, "tensor_parallel_size"] {
        match pydantic::number(run, &Ask { key, ..STEPS }) {
            Said::Value(size, place) if size > 1.0 => {
                shared *= size;
                from.get_or_insert((key, Origin::Given(place)));
            }
            Said::Unclear(origin) => {
                run.fact(ModelParallel, key, Some(ModelParallel.domain().interval), origin);
                return;
            }
            _ => {}
        }
    }
    match from {
        Some((key, origin)) => run.fact(ModelParallel, key, point(shared), origin),
        None => run.nameless(ModelParallel, None, by_default("every device takes its own batches")),
    }
}

/// What a run has or has not.
fn presence(run: &mut Run<'_>) {
    seed(run);
    evaluation(run);
    clipping(run);
    launch::lineage(run);
}

/// Without the key the trainer has a seed of its own, but the data are shuffled without one.
fn seed(run: &mut Run<'_>) {
    const KEY: &str = "seed";
    if run.entry(KEY).is_none() {
        let rule = "without `seed` Axolotl shuffles the data by chance";
        run.absent(Seed, KEY, rule);
        run.tell(Category::Seed, KEY, Words::Had(false), by_default(rule));
        return;
    }
    pydantic::numbers(run, &[row(KEY, Seed, Whole, Is(42.0)).or_null()]);
    launch::seeded(run);
}

/// Held-out rows are read only where something says when.
fn evaluation(run: &mut Run<'_>) {
    let share = Ask {
        key: "val_set_size",
        takes: Real,
        domain: Domain::reals(0.0, f64::MAX),
        ..STEPS
    };
    let key = if pydantic::is_true(run, "test_datasets") {
        "test_datasets"
    } else {
        "val_set_size"
    };
    let (words, origin, key) = match pydantic::number(run, &share) {
        _ if key == "test_datasets" => moment(run, key),
        Said::Value(share, _) if share > 0.0 => moment(run, key),
        Said::Unclear(origin) => (Words::Unknown, origin, key),
        _ => {
            let rule = "neither val_set_size nor test_datasets holds rows out";
            (Words::Had(false), by_default(rule), key)
        }
    };
    run.tell(Category::Evaluation, key, words, origin);
}

/// When the rows that `held` holds out are read; one evaluation in the whole run counts as none.
fn moment(run: &mut Run<'_>, held: &'static str) -> (Words, Origin, &'static str) {
    const OFTEN: &str = "evals_per_epoch";
    let had = |had, place, key| (Words::Had(had), Origin::Given(place), key);
    let strategy = match run.text("eval_strategy") {
        Said::Nothing => run.text("evaluation_strategy"),
        said => said,
    };
    let steps = Ask {
        key: "eval_steps",
        takes: Real,
        // Below 1 it is a share of all updates.
        domain: Domain::reals(0.0, 9_007_199_254_740_992.0),
        ..STEPS
    };
    match (strategy, pydantic::number(run, &steps)) {
        (Said::Value(strategy, place), _) => return had(strategy != "no", place, "eval_strategy"),
        (Said::Unclear(origin), _) => return (Words::Unknown, origin, "eval_strategy"),
        (_, Said::Value(steps, place)) if steps > 0.0 => return had(true, place, "eval_steps"),
        (_, Said::Unclear(origin)) => return (Words::Unknown, origin, "eval_steps"),
        _ => {}
    }
    match pydantic::number(run, &Ask { key: OFTEN, ..STEPS }) {
        Said::Value(times, place) if times > 0.0 => match run.facts.values(Epochs) {
            Some(epochs) if epochs.lo() * times > 1.0 => had(true, place, OFTEN),
            Some(epochs) if epochs.hi() * times <= 1.0 => {
                let rule = "Axolotl skips evals_per_epoch where evals_per_epoch × num_epochs is not above 1";
                (Words::Had(false), by_default(rule), "eval_steps")
            }
            _ => {
                let why = "whether evals_per_epoch counts depends on num_epochs";
                (Words::Unknown, unknown(why, "write num_epochs", Some(place)), OFTEN)
            }
        },
        Said::Unclear(origin) => (Words::Unknown, origin, OFTEN),
        _ => {
            let rule = format!("{held} holds rows out, but no eval_steps, evals_per_epoch or eval_strategy reads them");
            (Words::Had(false), by_default(rule), OFTEN)
        }
    }
}

/// Clipping is off at 0.
fn clipping(run: &mut Run<'_>) {
    match pydantic::number(run, &CLIP.ask()) {
        Said::Nothing => {
            let rule = "transformers' default: Axolotl sets none";
            run.fact(ClipNorm, CLIP.key, point(1.0), by_default(rule));
        }
        said => run.set(&CLIP, said),
    }
    let (words, origin) = match run.facts.number(ClipNorm).cloned() {
        Some(fact) if fact.is_known() => (Words::Had(fact.values.is_some_and(|norm| norm.lo() > 0.0)), fact.origin),
        Some(fact) => (Words::Unknown, fact.origin),
        None => (Words::Unknown, by_default("")),
    };
    run.tell(Category::Clipping, CLIP.key, words, origin);
}
