//! NeMo Automodel's recipes.
//!
//! Read against commit 36044ad3. A recipe is a mapping of components, read with PyYAML; then every text that Python could
//! read as a number, a bool or None becomes one, so that `1e-8` and `none` are what they look like.

use super::nemo_draft::{self, is_draft};
use super::nemo_multimodal::{self, is_multimodal};
use super::nemo_parts::{DEFAULT, class, component, last_part, optimizer};
use super::{nemo_keys, plain, quantized};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::{Launch, launch};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength, WarmupRatio,
    WarmupSteps,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Finite, Interval};

/// How NeMo Automodel reads recipes.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "nemo-automodel",
    framework: "NeMo Automodel",
    launcher: "automodel",
    unknown: Unknown::Drops,
    elsewhere: nemo_keys::ELSEWHERE,
    loader: Loader::PyYamlThenPython,
    default: DEFAULT,
    nested_text_is_read: true,
    order: "
        recipe step_scheduler step_scheduler.global_batch_size step_scheduler.local_batch_size
        step_scheduler.num_epochs step_scheduler.max_steps dist_env seed rng rng.seed model
        model.pretrained_model_name_or_path checkpoint clip_grad_norm clip_grad_norm.max_norm peft
        peft.target_modules peft.match_all_linear peft.dim peft.alpha peft.dropout peft.use_dora distributed
        distributed.tp_size distributed.cp_size distributed.pp_size loss_fn dataset packed_sequence
        packed_sequence.packed_sequence_size dataloader validation_dataset validation_dataloader optimizer
        optimizer.lr optimizer.weight_decay lr_scheduler lr_scheduler.lr_decay_style
        lr_scheduler.lr_warmup_steps lr_scheduler.min_lr",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: None,
    read,
};

/// A positive count without which no recipe starts.
const fn count(key: &'static str) -> Ask {
    Ask {
        key,
        takes: Whole,
        domain: Domain::COUNT,
        null: Null::IsDefault,
        usual: None,
    }
}

/// Numbers of LoRA.
const LORA: &[Row] = &[
    row("peft.dim", Rank, Whole, Is(8.0)),
    row("peft.alpha", Alpha, Real, Is(32.0)),
    row("peft.dropout", Dropout, Real, Is(0.0)),
];

/// What the class of a recipe teaches; the last part of its path decides.
const RECIPES: &[(&str, &str)] = &[
    ("TrainFinetuneRecipeForNextTokenPrediction", "sft"),
    ("TrainFinetuneRecipeForSequenceClassification", "sft"),
    ("BenchmarkingRecipeForNextTokenPrediction", "sft"),
    ("FinetuneRecipeForVLM", "sft"),
    ("FinetuneRecipeForMultimodal", "sft"),
    ("DiffusionLMSFTRecipe", "sft"),
    ("DiffusionGemmaSFTRecipe", "sft"),
    ("KnowledgeDistillationRecipeForNextTokenPrediction", "kd"),
    ("KnowledgeDistillationRecipeForVLM", "kd"),
    ("PretrainRecipeForMultimodal", "pt"),
];

/// `lr_decay_style`.
const STYLES: &[(&str, &str)] = &[
    ("constant", "constant"),
    ("linear", "linear"),
    ("cosine", "cosine"),
    ("inverse-square-root", "inverse_sqrt"),
    ("WSD", "warmup_stable_decay"),
];

/// Reads a recipe.
fn read(run: &mut Run<'_>, launch: Launch) {
    run.facts.drops_last = false;
    run.facts.ends_at_first = true;
    stage(run, launch);
    method(run);
    data(run, launch);
    if is_draft(run) {
        nemo_draft::read(run);
    } else if is_multimodal(run) {
        nemo_multimodal::read(run);
        clipping(run);
        seed(run);
    } else {
        batch(run);
        length(run);
        rate(run);
        schedule(run);
        clipping(run);
        seed(run);
        evaluation(run);
    }
    launch::parallel(
        run,
        &["distributed.tp_size", "distributed.cp_size", "distributed.pp_size"],
        Null::IsDefault,
    );
    launch::seeded(run);
    run.absent(
        PreferenceBeta,
        "loss_fn",
        "only preference tuning has a preference beta",
    );
    run.absent(LoraPlusRatio, "peft", "NeMo Automodel has no LoRA+");
    launch::lineage(run);
    let (is_draft, has_own_schedule) = (is_draft(run), is_multimodal(run));
    nemo_keys::check(run, is_draft, !has_own_schedule);
}

/// Whether the recipe measures how fast the updates are, in a loop of its own.
fn is_benchmark(run: &mut Run<'_>) -> bool {
    class(run).is_some_and(|class| class == "BenchmarkingRecipeForNextTokenPrediction")
}

/// The class of the recipe says what is taught, and where there is none the script that is launched.
fn stage(run: &mut Run<'_>, launch: Launch) {
    let (words, origin) = match (launch.stage, component(run, "recipe")) {
        (Some(_), _) => (one(launch.stage), Origin::Flag("--stage")),
        (None, Said::Value(path, place)) => {
            let known = RECIPES.iter().find(|(class, _)| *class == last_part(&path));
            // The recipes for next-token prediction also read unlabelled text.
            let reads_text = component(run, "dataset")
                .given()
                .is_some_and(|dataset| dataset.contains("nanogpt") || dataset.contains("megatron"));
            let word = match known {
                Some((_, "sft")) if reads_text => "pt",
                Some((_, word)) => word,
                None => "other",
            };
            (one(Some(word)), Origin::Given(place))
        }
        (None, Said::Unclear(origin)) => (Words::Unknown, origin),
        (None, Said::Nothing) if run.entry("flow_matching").is_some() => {
            let origin = run
                .written("flow_matching")
                .unwrap_or_else(|| by_default(DIALECT.default));
            (one(Some("other")), origin)
        }
        (None, Said::Nothing) => {
            let why = "no `recipe` is written: the script that is launched decides what is taught";
            (Words::Unknown, unknown(why, "write `recipe`, or say --stage", None))
        }
    };
    run.tell(Category::Stage, "recipe", words, origin);
}

/// The tuning method, the model and how it is quantised.
fn method(run: &mut Run<'_>) {
    const MODEL: &str = "model.pretrained_model_name_or_path";
    let key = if is_draft(run) {
        "recipe_args.target_model_name_or_path"
    } else {
        MODEL
    };
    run.named(Category::Model, key, "the recipe names no pretrained model");
    let (revision, origin) = run.text("model.revision").or_default("main".into(), DIALECT.default);
    run.tell(
        Category::ModelRevision,
        "model.revision",
        one(revision.as_deref()),
        origin,
    );
    let (base, base_origin) = quantization(run);
    let has_adapter = run.entry("peft").is_some_and(|entry| entry.value.map().is_some());
    if !has_adapter {
        let rule = "without `peft` every weight that is not frozen moves";
        run.tell(Category::Method, "peft", one(Some("full")), by_default(rule));
        for (fact, key) in [
            (Rank, "peft.dim"),
            (Alpha, "peft.alpha"),
            (Dropout, "peft.dropout"),
            (RankStabilised, "peft"),
        ] {
            run.absent(fact, key, format!("full fine-tuning has no {}", fact.name()));
        }
        let origin = by_default("full fine-tuning has no adapter");
        run.tell(Category::LoraTargets, "peft.target_modules", Words::Absent, origin);
        return;
    }
    let given = run.written("peft").unwrap_or_else(|| by_default(DIALECT.default));
    let (word, origin) = match run.switch("peft.use_dora") {
        Said::Value(true, place) => (Some("dora"), Origin::Given(place)),
        Said::Unclear(origin) => (None, origin),
        _ => match base {
            Some(base) if quantized::tuned_as(base) == "lora" => (Some("lora"), given),
            base => (base.map(quantized::tuned_as), base_origin),
        },
    };
    run.tell(Category::Method, "peft", one(word), origin);
    run.numbers(LORA);
    run.fact(
        RankStabilised,
        "peft",
        point(0.0),
        by_default("NeMo Automodel divides alpha by the rank"),
    );
    // A mixture of experts may divide the rank of its experts: the largest rank is the one that is written.
    targets(run);
}

fn targets(run: &mut Run<'_>) {
    let all = matches!(run.switch("peft.match_all_linear"), Said::Value(true, _));
    let (words, origin) = match run.list("peft.target_modules") {
        Said::Value(words, place) => (Words::Set(words), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing if all => (
            Words::Set(vec!["all-linear".into()]),
            run.written("peft.match_all_linear")
                .unwrap_or_else(|| by_default(DIALECT.default)),
        ),
        Said::Nothing => (
            Words::Unknown,
            unknown(
                "no module is named for the adapter",
                "write `peft.target_modules`, or match_all_linear: true",
                None,
            ),
        ),
    };
    run.tell(Category::LoraTargets, "peft.target_modules", words, origin);
}

fn quantization(run: &mut Run<'_>) -> (Option<&'static str>, Origin) {
    let mut found = (
        Some("none"),
        by_default("without `quantization` the base is loaded as it is"),
    );
    for (key, word) in [
        ("quantization.load_in_8bit", "8bit"),
        ("quantization.load_in_4bit", "4bit"),
    ] {
        match run.switch(key) {
            Said::Value(true, place) => found = (Some(word), Origin::Given(place)),
            Said::Unclear(origin) => found = (None, origin),
            _ => {}
        }
    }
    run.tell(Category::Quantization, "quantization", one(found.0), found.1.clone());
    found
}

/// The data set, and how many rows a pass walks.
fn data(run: &mut Run<'_>, launch: Launch) {
    const NAMES: &[&str] = &[
        "dataset.path_or_dataset_id",
        "dataset.path_or_dataset",
        "dataset.dataset_name",
        "dataset.paths",
        "recipe_args.train_data_path",
        "dataset._target_",
    ];
    let key = NAMES
        .iter()
        .find(|key| run.entry(key).is_some())
        .copied()
        .unwrap_or("dataset._target_");
    let (words, origin) = match run.list(key) {
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown("the recipe names no data set", "write `dataset`", None),
        ),
    };
    run.tell(Category::Dataset, key, words, origin);
    run.named(
        Category::Template,
        "dataset.chat_template",
        "without `chat_template` the tokenizer's own is used",
    );
    run.absent(MaxSamples, "dataset", "every row of the split is used");
    launch::world(run, launch, "the launcher says how many processes there are");
    let packs = packing(run);
    launch::rows(run, launch, None, packs, None);
}

/// Recipes for images count `pack_size`, those for texts `packed_sequence_size`; neither looks at the other's key.
fn packing_keys(run: &mut Run<'_>) -> &'static [&'static str] {
    const TEXTS: &str = "packed_sequence.packed_sequence_size";
    const IMAGES: &str = "packed_sequence.pack_size";
    // The older way, which holds without the section alone.
    const OLDER: &str = "dataset.packing.pack_size";
    let is_older =
        run.entry("packed_sequence").is_none() && matches!(run.switch("dataset.packing.enabled"), Said::Value(true, _));
    match class(run) {
        Some(class) if class.ends_with("ForVLM") && is_older => &[OLDER],
        Some(class) if class.ends_with("ForVLM") => &[IMAGES],
        Some(class) if RECIPES.iter().any(|(known, _)| *known == class) => &[TEXTS],
        // A script of one or the other kind decides.
        _ => &[TEXTS, IMAGES],
    }
}

fn packing(run: &mut Run<'_>) -> Option<bool> {
    if is_draft(run) {
        return nemo_draft::packing(run);
    }
    if is_multimodal(run) {
        return nemo_multimodal::packing(run);
    }
    let keys = packing_keys(run);
    let (mut size, mut key) = (Said::Nothing, keys.first().copied().unwrap_or_default());
    for candidate in keys {
        let ask = Ask {
            domain: Domain::integers(0.0, Domain::COUNT.interval.hi()),
            ..count(candidate)
        };
        match run.number(&ask) {
            Said::Nothing => {}
            said => (size, key) = (said, *candidate),
        }
    }
    let (packs, origin) = match &size {
        Said::Value(size, place) => (Some(*size > 0.0), Origin::Given(*place)),
        Said::Unclear(origin) => (None, origin.clone()),
        Said::Nothing => (
            Some(false),
            by_default("without packed_sequence_size nothing is packed"),
        ),
    };
    run.fact(Packs, key, of_switch(packs), origin);
    let length = match size {
        Said::Value(size, place) if size > 0.0 => Said::Value(size, place),
        _ => {
            let given = run.number(&count("dataset.seq_length"));
            if given == Said::Nothing {
                run.number(&count("dataset.seq_len"))
            } else {
                given
            }
        }
    };
    let why = "the data set decides how long its rows are";
    match length {
        Said::Value(length, place) => run.fact(
            SequenceLength,
            "dataset.seq_length",
            point(length),
            Origin::Given(place),
        ),
        Said::Unclear(origin) => run.fact(
            SequenceLength,
            "dataset.seq_length",
            Some(SequenceLength.domain().interval),
            origin,
        ),
        Said::Nothing => run.fact(
            SequenceLength,
            "dataset.seq_length",
            Some(SequenceLength.domain().interval),
            unknown(why, "write `dataset.seq_length`", None),
        ),
    }
    packs
}

fn batch(run: &mut Run<'_>) {
    let (global, local) = ("step_scheduler.global_batch_size", "step_scheduler.local_batch_size");
    // Recipes that measure or draw count by themselves, and have no default.
    let has_defaults = class(run).is_some_and(|recipe| {
        let counts = ["Benchmarking", "Diffusion"];
        RECIPES.iter().any(|(known, _)| *known == recipe) && !counts.iter().any(|part| recipe.contains(part))
    });
    for (fact, key, default) in [(GlobalBatch, global, 32.0), (PerDevice, local, 1.0)] {
        let default = has_defaults.then_some((default, DIALECT.default));
        let why = "this recipe may have no default for it";
        plain::or_else(run, &row(key, fact, Whole, Absent("")), default, why);
    }
    run.nameless(
        Accumulation,
        None,
        by_default("it follows from global_batch_size and the devices"),
    );
    let (global, local) = (run.facts.values(GlobalBatch), run.facts.values(PerDevice));
    if let (Some(global), Some(local)) = (global, local)
        && global.is_point()
        && local.is_point()
        && global.lo() % local.lo() != 0.0
        && let Some(entry) = run.entry("step_scheduler.global_batch_size")
    {
        let place = run.place(entry.value.span);
        let message = "`global_batch_size` is no multiple of `local_batch_size`";
        run.diagnostics.push(
            Diagnostic::new(Code::ValueType, message)
                .at(place, "NeMo Automodel refuses this before the first update")
                .help("write a multiple of local_batch_size × the data-parallel processes"),
        );
    }
}

/// Epochs and the maximum of steps; the run ends at the first of them.
fn length(run: &mut Run<'_>) {
    let (epochs, steps) = ("step_scheduler.num_epochs", "step_scheduler.max_steps");
    match run.number(&count(steps)) {
        Said::Value(steps_said, place) => run.fact(MaxSteps, steps, point(steps_said), Origin::Given(place)),
        Said::Unclear(origin) => run.fact(MaxSteps, steps, Some(MaxSteps.domain().interval), origin),
        Said::Nothing => run.absent(MaxSteps, steps, "without max_steps num_epochs decides"),
    }
    match run.number(&count(epochs)) {
        Said::Value(passes, place) => run.fact(Epochs, epochs, point(passes), Origin::Given(place)),
        Said::Unclear(origin) => run.fact(Epochs, epochs, Some(Epochs.domain().interval), origin),
        Said::Nothing if run.facts.values(MaxSteps).is_some() => {
            run.absent(Epochs, epochs, "without num_epochs max_steps decides");
        }
        Said::Nothing => {
            let rule = "10 passes, NeMo Automodel's default without num_epochs and max_steps";
            run.fact(Epochs, epochs, point(10.0), by_default(rule));
        }
    }
}

/// The rate, the optimizer and its decay.
fn rate(run: &mut Run<'_>) {
    optimizer(run);
}

/// Constant without `lr_scheduler`; with it a warm-up from a tenth of the rate, and a decay to a hundredth.
fn schedule(run: &mut Run<'_>) {
    const KEY: &str = "lr_scheduler.lr_decay_style";
    let is_there = run
        .entry("lr_scheduler")
        .is_some_and(|entry| entry.value.map().is_some());
    run.facts.own_schedule = is_there;
    let (is_benchmark, without) = (is_benchmark(run), "without `lr_scheduler` the rate stays as it is");
    if is_benchmark || !is_there {
        let rule = if is_benchmark {
            "a benchmark never steps its schedule"
        } else {
            without
        };
        run.tell(Category::Scheduler, KEY, one(Some("constant")), by_default(rule));
        run.fact(
            WarmupRatio,
            "lr_scheduler.lr_warmup_steps",
            point(0.0),
            by_default(rule),
        );
        run.fact(
            WarmupSteps,
            "lr_scheduler.lr_warmup_steps",
            point(0.0),
            by_default(rule),
        );
        run.absent(MinLearningRate, "lr_scheduler.min_lr", rule);
        return;
    }
    let (word, origin) = run.word(KEY, STYLES).or_default("cosine", DIALECT.default);
    run.tell(Category::Scheduler, KEY, one(word), origin);
    let steps = Ask {
        domain: Domain::integers(0.0, Domain::COUNT.interval.hi()),
        ..count("lr_scheduler.lr_warmup_steps")
    };
    match run.number(&steps) {
        Said::Value(steps, place) => {
            run.fact(
                WarmupSteps,
                "lr_scheduler.lr_warmup_steps",
                point(steps),
                Origin::Given(place),
            );
            let rule = by_default("the warm-up is given in steps");
            run.fact(WarmupRatio, "lr_scheduler.lr_warmup_steps", point(0.0), rule);
        }
        Said::Unclear(origin) => {
            run.fact(
                WarmupSteps,
                "lr_scheduler.lr_warmup_steps",
                Some(WarmupSteps.domain().interval),
                origin,
            );
        }
        Said::Nothing => {
            // A tenth of all updates, and never more than a thousand.
            let rule = "a tenth of all updates, at most 1000, by NeMo Automodel's default";
            run.fact(
                WarmupRatio,
                "lr_scheduler.lr_warmup_steps",
                Interval::new(0.0, 0.1),
                by_default(rule),
            );
            run.absent(WarmupSteps, "lr_scheduler.lr_warmup_steps", rule);
        }
    }
    let least = Ask {
        key: "lr_scheduler.min_lr",
        takes: Real,
        domain: MinLearningRate.domain(),
        null: Null::IsDefault,
        usual: None,
    };
    match run.number(&least) {
        Said::Value(least, place) => run.fact(
            MinLearningRate,
            "lr_scheduler.min_lr",
            point(least),
            Origin::Given(place),
        ),
        Said::Unclear(origin) => run.fact(
            MinLearningRate,
            "lr_scheduler.min_lr",
            Some(MinLearningRate.domain().interval),
            origin,
        ),
        Said::Nothing => {
            let hundredth = run
                .facts
                .values(LearningRate)
                .and_then(|rate| rate.map_rising(|rate| Finite::decimal(rate * 0.01)));
            let rule = "a hundredth of the learning rate, by NeMo Automodel's default";
            run.fact(MinLearningRate, "lr_scheduler.min_lr", hundredth, by_default(rule));
        }
    }
}

/// Clipping is always on, but in a benchmark.
fn clipping(run: &mut Run<'_>) {
    let key = "clip_grad_norm.max_norm";
    if is_benchmark(run) {
        plain::never_clips(
            run,
            key,
            "the loop of a benchmark steps the optimizer, and clips nothing",
        );
        return;
    }
    run.numbers(&[row(key, ClipNorm, Real, Is(1.0)).or_null()]);
    let origin = run
        .facts
        .number(ClipNorm)
        .map_or_else(|| by_default(DIALECT.default), |clip| clip.origin.clone());
    run.tell(Category::Clipping, key, Words::Had(true), origin);
}

/// Recipes make their generator from `seed` at the top, those for draft models from how they shuffle.
fn seed(run: &mut Run<'_>) {
    let default = if is_multimodal(run) { 4396.0 } else { 42.0 };
    run.numbers(&[row("seed", Seed, Whole, Is(default))]);
}

/// Held-out data are read where they are named, under one name or several.
fn evaluation(run: &mut Run<'_>) {
    const KEY: &str = "validation_dataset";
    let named = run
        .root()
        .entries
        .iter()
        .find(|entry| entry.name().starts_with(KEY) && entry.value.map().is_some())
        // The older way.
        .or_else(|| run.entry("validation_dataloader.dataset"));
    let (had, origin) = match named {
        Some(_) if is_benchmark(run) => (false, by_default("a benchmark never evaluates")),
        Some(entry) => (true, Origin::Given(run.place(entry.key.span))),
        None => (false, by_default("without validation_dataset nothing is evaluated")),
    };
    run.tell(Category::Evaluation, KEY, Words::Had(had), origin);
}
