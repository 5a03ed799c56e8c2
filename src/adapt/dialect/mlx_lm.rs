//! mlx-lm's run files, as `mlx_lm.lora` reads them.
//!
//! Read against 0.32.0 (commit d78bf58e). A null at the top is as good as nothing; inside of `lora_parameters` nothing
//! has a default. Three names mean something else than elsewhere: `scale` is alpha ÷ rank itself, `iters` counts
//! micro-batches, and `batch_size` is that of all workers together.

use super::{plain, quantized};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::Data;
use crate::adapt::{Launch, keys, launch};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::Input::{
    Accumulation, Alpha, AlphaPerRank, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength,
    WarmupRatio, WarmupSteps, WeightDecay, WorldSize,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How mlx-lm reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "mlx-lm",
    framework: "mlx-lm",
    // The whole list is short enough to stand here; see `KEYS`.
    unknown: Unknown::Drops,
    elsewhere: &[
        ("epochs", "iters"),
        ("gradient_accumulation_steps", "grad_accumulation_steps"),
        ("lora_layers", "num_layers"),
        ("lr", "learning_rate"),
        ("max_steps", "iters"),
        ("num_train_epochs", "iters"),
        ("optim", "optimizer"),
        ("per_device_train_batch_size", "batch_size"),
        ("r", "rank"),
        ("lora_rank", "lora_parameters"),
        ("lora_alpha", "lora_parameters"),
    ],
    launcher: "mlx_lm.lora",
    loader: Loader::MoreFloats,
    default: "mlx-lm's default",
    nested_text_is_read: false,
    order: "
        model train fine_tune_type optimizer optimizer_config optimizer_config.adamw optimizer_config.adamw.weight_decay
        data hf_dataset seed num_layers batch_size iters val_batches learning_rate steps_per_report steps_per_eval
        grad_accumulation_steps resume_adapter_file adapter_path save_every test test_batches max_seq_length
        grad_checkpoint lora_parameters lora_parameters.keys lora_parameters.rank lora_parameters.scale
        lora_parameters.dropout lr_schedule lr_schedule.name lr_schedule.warmup lr_schedule.warmup_init
        lr_schedule.arguments mask_prompt",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: None,
    read,
};

/// What `mlx_lm.lora` and its readers of data look for; anything else is carried along and never looked at.
const KEYS: &str = "
    adapter_path batch_size chat_feature clear_cache_threshold completion_feature config data fine_tune_type
    grad_accumulation_steps grad_checkpoint hf_dataset iters learning_rate lora_parameters lr_schedule mask_prompt
    max_seq_length model num_layers optimizer optimizer_config project_name prompt_feature report_to
    resume_adapter_file save_every seed steps_per_eval steps_per_report test test_batches text_feature train
    trust_remote_code val_batches";
const OF_LORA: &str = "rank scale dropout keys";
const OF_SCHEDULE: &str = "name arguments warmup warmup_init";

const METHODS: &[(&str, &str)] = &[("lora", "lora"), ("dora", "dora"), ("full", "full")];
/// `optimizer` in small letters: our word, the key of its weight decay, and MLX's default of that.
const OPTIMIZERS: &[(&str, &str, &str, f64)] = &[
    ("adam", "adam", "optimizer_config.adam.weight_decay", 0.0),
    ("adamw", "adamw", "optimizer_config.adamw.weight_decay", 0.01),
    ("muon", "muon", "optimizer_config.muon.weight_decay", 0.01),
    ("sgd", "sgd", "optimizer_config.sgd.weight_decay", 0.0),
    ("adafactor", "adafactor", "optimizer_config.adafactor.weight_decay", 0.0),
];

const RATE: Row = row("learning_rate", LearningRate, Real, Is(1e-5)).or_null();
const ACCUMULATION: Row = row("grad_accumulation_steps", Accumulation, Whole, Is(1.0)).or_null();
const ITERS: Row = row("iters", MaxSteps, Whole, Is(1000.0)).or_null();
const BATCH: Row = row("batch_size", GlobalBatch, Whole, Is(4.0)).or_null();
const SCALE: &str = "lora_parameters.scale";
const SCHEDULE: &str = "lr_schedule";

/// Reads a run file of mlx-lm.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    // Batches that are not full are never made.
    run.facts.drops_last = true;
    let known: Vec<&str> = KEYS.split_whitespace().collect();
    keys::check_top(run, &known);
    keys::check_nested(run, "lora_parameters", OF_LORA);
    keys::check_nested(run, SCHEDULE, OF_SCHEDULE);
    told_to_train(run);
    let (stage, origin) = match launch.stage {
        Some(stage) => (stage, Origin::Flag("--stage")),
        None => ("sft", by_default("`mlx_lm.lora` does supervised fine-tuning")),
    };
    run.tell(Category::Stage, "train", one(Some(stage)), origin);
    method(run);
    data(run, launch);
    batch(run);
    run.numbers(&[
        row("max_seq_length", SequenceLength, Whole, Is(2048.0)).or_null(),
        row("seed", Seed, Whole, Is(0.0)).or_null(),
    ]);
    optimizer(run);
    schedule(run);
    presence(run);
}

/// `--train` may also come from the command line, so a file without it is judged as the run it describes.
fn told_to_train(run: &mut Run<'_>) {
    if run.switch("train") == Said::Nothing
        && let Some(goes) = run.key("train").goes
    {
        let message = "train is not written: as it stands the file trains nothing";
        let diagnostic = Diagnostic::new(Code::NotARun, message)
            .weighing(Severity::Warning)
            .at(goes, "it would go here")
            .help("add the line")
            .instead("train: true");
        run.diagnostics.push(diagnostic);
    }
}

/// Whether something stands under the key that is not null.
fn has(run: &Run<'_>, key: &str) -> bool {
    let is_null = |text: &str| resolve(text, DIALECT.loader) == Value::Null;
    run.entry(key).is_some_and(|entry| {
        !entry
            .value
            .scalar()
            .is_some_and(|scalar| scalar.is_plain && is_null(&scalar.text))
    })
}

/// The tuning method, and with it the model, how it is quantised, and the adapter.
fn method(run: &mut Run<'_>) {
    const KEY: &str = "fine_tune_type";
    let (model, origin) = run.text("model").or_default("Qwen/Qwen3-0.6b".into(), DIALECT.default);
    let base = model.as_deref().map(quantization);
    run.tell(Category::Model, "model", one(model.as_deref()), origin.clone());
    let rule = "mlx-lm has no key for a revision";
    run.tell(
        Category::ModelRevision,
        "model",
        Words::One("main".into()),
        by_default(rule),
    );
    let base_origin = match base {
        Some("none") => by_default("the model's name names no quantisation"),
        _ => origin,
    };
    run.tell(Category::Quantization, "model", one(base), base_origin.clone());
    let layers = Ask {
        key: "num_layers",
        takes: Whole,
        domain: Domain::integers(-1.0, Domain::COUNT.interval.hi()),
        null: Null::IsDefault,
        usual: Some(16.0),
    };
    let (layers, layers_origin) = run.number(&layers).or_default(16.0, DIALECT.default);
    let said = if has(run, KEY) {
        run.word(KEY, METHODS)
    } else {
        Said::Nothing
    };
    let (word, origin) = said.or_default("lora", DIALECT.default);
    let (word, origin, key) = match (word, base, layers) {
        (Some("lora"), Some(base), _) if quantized::tuned_as(base) == "lora" => (Some("lora"), origin, KEY),
        (Some("lora"), base, _) => (base.map(quantized::tuned_as), base_origin, "model"),
        // Only the last layers move; below 1 it is all of them.
        (Some("full"), _, Some(layers)) if layers >= 1.0 => (Some("freeze"), layers_origin, "num_layers"),
        (Some("full"), _, None) => (None, layers_origin, "num_layers"),
        (word, ..) => (word, origin, KEY),
    };
    run.tell(Category::Method, key, one(word), origin);
    run.absent(LoraPlusRatio, "learning_rate", "mlx-lm has no LoRA+");
    match word {
        Some("full" | "freeze") => no_adapter(
            run,
            if word == Some("full") {
                "full fine-tuning"
            } else {
                "freeze tuning"
            },
        ),
        _ => adapter(run),
    }
}

/// What the name of a converted model says: `-4bit`, `-8bit`.
fn quantization(name: &str) -> &'static str {
    const MARKS: &[(&str, &str)] = &[
        ("2bit", "2bit"),
        ("3bit", "3bit"),
        ("4bit", "4bit"),
        ("5bit", "other"),
        ("6bit", "other"),
        ("8bit", "8bit"),
        ("mxfp4", "4bit"),
        ("nvfp4", "4bit"),
    ];
    let name = name.to_ascii_lowercase().replace("-bit", "bit");
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .find_map(|word| MARKS.iter().find(|(mark, _)| *mark == word))
        .map_or("none", |(_, ours)| *ours)
}

fn no_adapter(run: &mut Run<'_>, phrase: &str) {
    let keys = [
        (Rank, "lora_parameters.rank"),
        (Alpha, SCALE),
        (Dropout, "lora_parameters.dropout"),
        (RankStabilised, SCALE),
    ];
    plain::none_of(run, &keys, phrase);
    let origin = by_default(format!("{phrase} has no adapter"));
    run.tell(Category::LoraTargets, "lora_parameters.keys", Words::Absent, origin);
}

/// The adapter; what is written under `lora_parameters` takes the place of all its defaults together.
fn adapter(run: &mut Run<'_>) {
    const TARGETS: &str = "lora_parameters.keys";
    let is_written = has(run, "lora_parameters");
    let rows = [
        row("lora_parameters.rank", Rank, Whole, Is(8.0)),
        row(SCALE, AlphaPerRank, Real, Is(20.0)),
        row("lora_parameters.dropout", Dropout, Real, Is(0.0)),
    ];
    for row in &rows {
        if is_written {
            plain::required(run, row);
        } else {
            run.numbers(&[*row]);
        }
    }
    run.nameless(
        RankStabilised,
        point(0.0),
        by_default("mlx-lm multiplies by scale, whatever the rank"),
    );
    let alpha = match (plain::sole(run, AlphaPerRank), plain::sole(run, Rank)) {
        (Some(scale), Some(rank)) => (
            point(scale * rank),
            by_default("scale × rank: mlx-lm's scale is alpha ÷ rank"),
        ),
        _ => (
            Some(Alpha.domain().interval),
            unknown("it is scale × rank", "write lora_parameters.rank and .scale", None),
        ),
    };
    run.fact(Alpha, SCALE, alpha.0, alpha.1);
    let said = if has(run, TARGETS) {
        run.list(TARGETS)
    } else {
        Said::Nothing
    };
    let (words, origin) = said.or_default(vec!["all".into()], "without keys every linear layer gets an adapter");
    run.tell(
        Category::LoraTargets,
        TARGETS,
        words.map_or(Words::Unknown, Words::Set),
        origin,
    );
}

fn data(run: &mut Run<'_>, launch: Launch) {
    const SETS: &str = "hf_dataset";
    let (words, origin, key) = if has(run, SETS) {
        match run.text("hf_dataset.path") {
            Said::Value(path, place) => (Words::Set(vec![path]), Origin::Given(place), "hf_dataset.path"),
            Said::Unclear(origin) => (Words::Unknown, origin, "hf_dataset.path"),
            Said::Nothing => {
                let why = "ftrisk reads `hf_dataset` only as one mapping with a path";
                (Words::Unknown, unknown(why, "name one data set", None), SETS)
            }
        }
    } else {
        let (name, origin) = run
            .text("data")
            .or_default("mlx-community/WikiSQL".into(), DIALECT.default);
        (
            name.map_or(Words::Unknown, |name| Words::Set(vec![name])),
            origin,
            "data",
        )
    };
    run.tell(Category::Dataset, key, words, origin);
    let why = "mlx-lm uses the tokenizer's own chat template, and no key names one";
    let origin = unknown(why, "leave the template to the model in the policy", None);
    run.tell(Category::Template, "data", Words::Unknown, origin);
    run.absent(MaxSamples, key, "mlx-lm has no max_samples: every row is used");
    launch::world(run, launch, "`mlx.launch` says how many workers there are");
    run.nameless(Packs, point(0.0), by_default("mlx-lm does not pack"));
    launch::rows(run, launch, None, Some(false), None);
}

/// The batch of an update and the updates of the run, from a batch of all workers and a count of micro-batches.
fn batch(run: &mut Run<'_>) {
    run.nameless(
        ModelParallel,
        None,
        by_default("every worker takes its share of the batch"),
    );
    run.numbers(&[ACCUMULATION]);
    let pieces = run.facts.values(Accumulation);
    let said = run.asked(&BATCH);
    let micro = said.given().copied().or((said == Said::Nothing).then_some(4.0));
    run.set(&BATCH, said);
    let domain = PerDevice.domain().interval;
    match (micro, plain::sole(run, WorldSize)) {
        (Some(micro), Some(world)) => {
            let rule = "batch_size is that of all workers together";
            run.fact(
                PerDevice,
                BATCH.key,
                point((micro / world).floor().max(1.0)),
                by_default(rule),
            );
            if micro % world > 0.0 {
                plain::refuse(
                    run,
                    BATCH.key,
                    "does not divide by the number of workers",
                    "write a multiple of it",
                );
            }
        }
        (micro, _) => {
            let why = "batch_size is that of all workers together, and their number is not known";
            let origin = unknown(why, "say --world-size N", None);
            let values = Interval::new(domain.lo(), micro.unwrap_or(domain.hi()));
            run.fact(PerDevice, BATCH.key, values, origin);
        }
    }
    let origin = |run: &Run<'_>, fact| {
        run.facts
            .number(fact)
            .map_or_else(|| by_default(""), |fact| fact.origin.clone())
    };
    let whole = run.facts.values(GlobalBatch).zip(pieces);
    if let Some((micro, pieces)) = whole {
        let values = Interval::new(micro.lo() * pieces.lo(), (micro.hi() * pieces.hi()).min(domain.hi()));
        let from = if micro.is_point() && !pieces.is_point() {
            origin(run, Accumulation)
        } else {
            origin(run, GlobalBatch)
        };
        run.fact(GlobalBatch, BATCH.key, values, from);
    }
    run.absent(Epochs, ITERS.key, "mlx-lm counts iters, not passes");
    let said = run.asked(&ITERS);
    run.set(&ITERS, said);
    // What is accumulated when the iterations end is never applied.
    if let Some((iters, pieces)) = run.facts.values(MaxSteps).zip(pieces) {
        let least = (iters.lo() / pieces.hi()).floor();
        let most = (iters.hi() / pieces.lo()).floor();
        let from = if pieces.is_point() {
            origin(run, MaxSteps)
        } else {
            origin(run, Accumulation)
        };
        run.fact(MaxSteps, ITERS.key, Interval::new(least, most), from);
    }
}

fn optimizer(run: &mut Run<'_>) {
    const KEY: &str = "optimizer";
    let said = run.text(KEY).map(|name| name.to_ascii_lowercase());
    let name = said
        .given()
        .cloned()
        .or((said == Said::Nothing).then(|| "adam".to_owned()));
    let known = name.and_then(|name| OPTIMIZERS.iter().find(|(theirs, ..)| *theirs == name));
    let said = match (said, known) {
        (Said::Value(..), None) => {
            const NAMES: &[(&str, &str)] = &[
                ("adam", ""),
                ("adamw", ""),
                ("muon", ""),
                ("sgd", ""),
                ("adafactor", ""),
            ];
            run.word(KEY, NAMES)
        }
        (said, Some((_, ours, ..))) => said.map(|_| *ours),
        (said, None) => said.map(|_| "other"),
    };
    let (word, origin) = said.or_default("adam", DIALECT.default);
    run.tell(Category::Optimizer, KEY, one(word), origin.clone());
    match known {
        Some((theirs, _, decay, default)) => {
            let rule = format!("the default of {theirs} in MLX");
            plain::or_else(
                run,
                &row(decay, WeightDecay, Real, Absent("")),
                Some((*default, &rule)),
                "",
            );
        }
        None => run.fact(
            WeightDecay,
            "optimizer_config",
            Some(WeightDecay.domain().interval),
            origin,
        ),
    }
    plain::cannot_clip(run, "mlx-lm does not clip");
    run.absent(PreferenceBeta, "train", "only preference tuning has a preference beta");
}

/// The rate is constant without `lr_schedule`, and is that of the schedule with it.
fn schedule(run: &mut Run<'_>) {
    const NAME: &str = "lr_schedule.name";
    const ARGUMENTS: &str = "lr_schedule.arguments";
    run.nameless(
        WarmupRatio,
        point(0.0),
        by_default("mlx-lm counts the warmup in updates"),
    );
    if !has(run, SCHEDULE) {
        let rule = "without lr_schedule the rate is constant";
        run.numbers(&[RATE]);
        run.tell(Category::Scheduler, NAME, one(Some("constant")), by_default(rule));
        run.fact(WarmupSteps, "lr_schedule.warmup", point(0.0), by_default(rule));
        run.absent(MinLearningRate, ARGUMENTS, rule);
        return;
    }
    if has(run, RATE.key)
        && let Some(entry) = run.entry(RATE.key)
    {
        let message = "`learning_rate` has no effect beside `lr_schedule`";
        let diagnostic = Diagnostic::new(Code::UnknownKey, message)
            .weighing(Severity::Warning)
            .at(
                run.place(entry.key.span),
                "mlx-lm takes the rate from lr_schedule.arguments",
            )
            .help("delete the line");
        run.diagnostics.push(diagnostic);
    }
    run.numbers(&[row("lr_schedule.warmup", WarmupSteps, Whole, Is(0.0))]);
    let name = run.text(NAME);
    let arguments = arguments(run, ARGUMENTS);
    let given = |run: &Run<'_>, key| run.written(key).unwrap_or_else(|| by_default("nothing is written"));
    let first = arguments.first().copied().flatten();
    let end = match name.given().map(String::as_str) {
        Some("linear_schedule") => arguments.get(1).copied().flatten(),
        Some("cosine_decay") => Some(arguments.get(2).copied().flatten().unwrap_or(0.0)),
        _ => None,
    };
    // A line can also rise.
    let peak = match (name.given().map(String::as_str), first, end) {
        (Some("linear_schedule"), Some(first), Some(end)) => Some(first.max(end)),
        (Some("cosine_decay" | "exponential_decay" | "step_decay"), Some(first), _) => Some(first),
        _ => None,
    };
    match peak.filter(|peak| LearningRate.domain().contains(*peak)) {
        Some(peak) => {
            let origin = given(run, ARGUMENTS);
            run.fact(LearningRate, ARGUMENTS, point(peak), origin);
        }
        None => {
            let why = "ftrisk cannot tell the highest rate of this schedule";
            let supply = "write cosine_decay, linear_schedule, exponential_decay or step_decay with its arguments";
            let place = run.entry(SCHEDULE).map(|entry| run.place(entry.value.span));
            let origin = unknown(why, supply, place);
            run.fact(LearningRate, ARGUMENTS, Some(LearningRate.domain().interval), origin);
        }
    }
    match end.filter(|end| MinLearningRate.domain().contains(*end)) {
        Some(end) => {
            let origin = given(run, ARGUMENTS);
            run.fact(MinLearningRate, ARGUMENTS, point(end), origin);
        }
        None => run.absent(MinLearningRate, ARGUMENTS, "the schedule names no last rate"),
    }
    // It is the cosine of other frameworks only where it ends with the run, at 0.
    let lasts = arguments.get(1).copied().flatten();
    let warmup = plain::sole(run, WarmupSteps);
    let updates = plain::sole(run, MaxSteps);
    let ends_with_run = lasts
        .zip(warmup)
        .zip(updates)
        .is_some_and(|((lasts, warmup), updates)| (lasts + warmup - updates).abs() <= 1.0);
    let (word, origin) = match name {
        Said::Value(name, place) => {
            let word = match (name.as_str(), ends_with_run, end.is_some_and(|end| end > 0.0)) {
                ("cosine_decay", true, false) => "cosine",
                ("cosine_decay", true, true) => "cosine_with_min_lr",
                _ => "other",
            };
            (Some(word), Origin::Given(place))
        }
        Said::Unclear(origin) => (None, origin),
        Said::Nothing => (
            None,
            unknown("the schedule has no name", format!("write `{NAME}`"), None),
        ),
    };
    run.tell(Category::Scheduler, NAME, one(word), origin);
}

/// The numbers in a list; `None` for what is no number.
fn arguments(run: &Run<'_>, key: &str) -> Vec<Option<f64>> {
    let Some(Data::List(items)) = run.entry(key).map(|entry| &entry.value.data) else {
        return Vec::new();
    };
    let number = |text: &str| match resolve(text, DIALECT.loader) {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number).filter(|number| number.is_finite()),
        _ => None,
    };
    items
        .iter()
        .map(|item| {
            item.scalar()
                .filter(|scalar| scalar.is_plain)
                .and_then(|scalar| number(&scalar.text))
        })
        .collect()
}

/// What a run has or has not.
fn presence(run: &mut Run<'_>) {
    launch::seeded(run);
    let (words, origin) = match run.text("hf_dataset.valid_split") {
        Said::Value(_, place) => (Words::Had(true), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => {
            let why = "mlx-lm evaluates where the data have a validation set, and goes on without one";
            (Words::Unknown, unknown(why, "look for the data's validation set", None))
        }
    };
    run.tell(Category::Evaluation, "steps_per_eval", words, origin);
    launch::lineage(run);
}
