//! torchtune's run files, as its recipes read them.
//!
//! Read against commit bd2a0fc7. Every object is a mapping with the path of its class under `_component_`; which recipe
//! runs is not in the file, and is told by the loss and by the keys that only one recipe has.

use super::{plain, quantized, torchtune_updates};
use crate::adapt::format::Format;
use crate::adapt::keys;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, one, point, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::{Data, Map};
use crate::adapt::{Launch, launch};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, GlobalBatch, LoraPlusRatio, MaxSamples, MaxSteps, MinLearningRate, Packs,
    PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength, WarmupRatio, WarmupSteps,
};
use crate::facts::{Origin, Words};
use crate::quantity::Category;

/// How torchtune reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "torchtune",
    framework: "torchtune",
    // Each component takes its own arguments, and recipes read what they know.
    unknown: Unknown::Drops,
    elsewhere: ELSEWHERE,
    launcher: "tune",
    loader: Loader::Interpolating,
    default: "torchtune's default",
    nested_text_is_read: false,
    order: "
        output_dir tokenizer tokenizer._component_ tokenizer.path tokenizer.max_seq_len tokenizer.prompt_template
        model model._component_ model.lora_attn_modules model.apply_lora_to_mlp model.apply_lora_to_output
        model.lora_rank model.lora_alpha model.lora_dropout model.use_dora model.quantize_base policy_model
        teacher_model checkpointer checkpointer._component_ checkpointer.checkpoint_dir resume_from_checkpoint dataset
        dataset._component_ dataset.source dataset.packed dataset.split dataset_val batch_size_val
        run_val_every_n_steps seed shuffle batch_size num_steps ppo_epochs ppo_batch_size epochs
        max_steps_per_epoch gradient_accumulation_steps clip_grad_norm optimizer optimizer._component_ optimizer.lr
        optimizer.weight_decay optimizer_in_bwd lr_scheduler lr_scheduler._component_ lr_scheduler.num_warmup_steps
        loss loss._component_ loss.beta loss.kl_coeff kl_coeff kd_loss tensor_parallel_dim context_parallel_dim device
        dtype training training.batch_size training.clip_grad_norm training.optimizer
        training.optimizer._component_ training.optimizer.lr training.loss training.seed",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::TORCHTUNE),
    read,
};

/// Names of other frameworks, and of torchtune's own arguments without their parents.
const ELSEWHERE: &[(&str, &str)] = &[
    ("alpha", "lora_alpha"),
    ("dropout", "lora_dropout"),
    ("grad_accumulation_steps", "gradient_accumulation_steps"),
    ("gradient_clipping", "clip_grad_norm"),
    ("learning_rate", "lr"),
    ("learning_rate", "optimizer.lr"),
    ("lora_alpha", "model.lora_alpha"),
    ("lora_attn_modules", "model.lora_attn_modules"),
    ("lora_dropout", "model.lora_dropout"),
    ("lora_r", "lora_rank"),
    ("lora_r", "model.lora_rank"),
    ("lora_rank", "model.lora_rank"),
    ("lr", "optimizer.lr"),
    ("max_grad_norm", "clip_grad_norm"),
    ("max_seq_len", "tokenizer.max_seq_len"),
    ("max_seq_length", "max_seq_len"),
    ("max_seq_length", "tokenizer.max_seq_len"),
    ("max_steps", "max_steps_per_epoch"),
    ("micro_batch_size", "batch_size"),
    ("num_epochs", "epochs"),
    ("num_train_epochs", "epochs"),
    ("num_warmup_steps", "lr_scheduler.num_warmup_steps"),
    ("packed", "dataset.packed"),
    ("packing", "packed"),
    ("per_device_train_batch_size", "batch_size"),
    ("r", "lora_rank"),
    ("random_seed", "seed"),
    ("rank", "lora_rank"),
    ("target_modules", "lora_attn_modules"),
    ("total_epochs", "epochs"),
    ("wandb", "metric_logger"),
    ("warmup_steps", "lr_scheduler.num_warmup_steps"),
    ("warmup_steps", "num_warmup_steps"),
    ("weight_decay", "optimizer.weight_decay"),
];

/// The recipes of a stage and a method: the beginnings of their names, and what they are called.
///
/// A file does not say which of them reads it.
const RECIPES: &[(&str, Option<bool>, &[&str], &str)] = &[
    ("kd", None, &["knowledge_distillation_"], "knowledge distillation"),
    ("ppo", None, &["ppo_"], "PPO"),
    ("grpo", None, &["grpo_", "async_grpo_"], "GRPO"),
    ("dpo", Some(false), &["full_dpo_"], "DPO of every weight"),
    ("dpo", Some(true), &["lora_dpo_"], "DPO of an adapter"),
    (
        "sft",
        Some(false),
        &[
            "full_finetune_",
            "qat_distributed",
            "qat_single_device",
            "early_exit_finetune_",
        ],
        "full fine-tuning",
    ),
    (
        "sft",
        Some(true),
        &["lora_finetune_", "qat_lora_finetune_"],
        "fine-tuning of an adapter",
    ),
];

/// Where a recipe has its keys.
struct Layout {
    batch: &'static str,
    optimizer: &'static str,
    rate: &'static str,
    decay: &'static str,
    loss: &'static str,
    beta: &'static str,
    kl: &'static str,
    clip: &'static str,
    seed: &'static str,
}

const TOP: Layout = Layout {
    batch: "batch_size",
    optimizer: "optimizer._component_",
    rate: "optimizer.lr",
    decay: "optimizer.weight_decay",
    loss: "loss._component_",
    beta: "loss.beta",
    kl: "loss.kl_coeff",
    clip: "clip_grad_norm",
    seed: "seed",
};
/// The asynchronous GRPO recipe has a mapping for each of its actors.
const ACTORS: Layout = Layout {
    batch: "training.batch_size",
    optimizer: "training.optimizer._component_",
    rate: "training.optimizer.lr",
    decay: "training.optimizer.weight_decay",
    loss: "training.loss._component_",
    beta: "training.loss.beta",
    kl: "training.loss.kl_coeff",
    clip: "training.clip_grad_norm",
    seed: "training.seed",
};

/// The class of `loss`, and the stage that it makes.
const LOSSES: &[(&str, &str)] = &[
    ("LinearCrossEntropyLoss", "sft"),
    ("CEWithChunkedOutputLoss", "sft"),
    ("CrossEntropyLoss", "sft"),
    ("DPOLoss", "dpo"),
    ("RSOLoss", "other"),
    ("IPOLoss", "ipo"),
    ("SimPOLoss", "simpo"),
    ("PPOLoss", "ppo"),
    ("GRPOLoss", "grpo"),
    ("GRPOCompletionLoss", "grpo"),
    ("GRPOSimpleLoss", "grpo"),
    ("GRPOWithChunkedOutputLoss", "grpo"),
    ("LinearGRPOLoss", "grpo"),
];

/// Numbers of LoRA; every builder has the same defaults.
const LORA: &[Row] = &[
    row("model.lora_rank", Rank, Whole, Is(8.0)),
    row("model.lora_alpha", Alpha, Real, Is(16.0)),
    row("model.lora_dropout", Dropout, Real, Is(0.0)),
];
const ACCUMULATION: Row = row("gradient_accumulation_steps", Accumulation, Whole, Is(1.0));
const LENGTH: Row = row(
    "tokenizer.max_seq_len",
    SequenceLength,
    Whole,
    Absent("without max_seq_len samples keep their length"),
)
.or_null();

/// Reads a run file of torchtune.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    // Every recipe drops the last batch, and the steps that it does not fill.
    run.facts.drops_last = true;
    let has_actors = run.entry("optimizer").is_none() && run.entry("training.optimizer").is_some();
    let layout = if has_actors { &ACTORS } else { &TOP };
    let stage = stage(run, layout, launch);
    let method = method(
        run,
        if stage == Some("ppo") {
            "policy_model._component_"
        } else {
            "model._component_"
        },
    );
    let class = run.text(layout.optimizer);
    plain::optimizer(run, (layout.optimizer, class), layout.rate, layout.decay);
    data(run, launch, stage);
    launch::parallel(run, &["tensor_parallel_dim", "context_parallel_dim"], Null::Refused);
    batch(run, layout, stage);
    match stage {
        Some("ppo") => torchtune_updates::of_num_steps(run),
        Some("grpo") if has_actors => torchtune_updates::of_actors(run),
        Some("grpo") => torchtune_updates::of_grpo(run),
        _ => torchtune_updates::of_passes(run),
    }
    clipping(run, layout, stage, method);
    in_backward(run, method);
    schedule(run);
    beta(run, layout, stage);
    presence(run, layout);
    unread(run, stage, method);
    keys::check_components(
        run,
        keys::COMPONENT,
        &keys::TORCHTUNE,
        &[keys::TORCHTUNE_COMPONENTS, keys::OPTIMIZERS],
    );
}

/// The last name of a dotted path.
fn class(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn stage(run: &mut Run<'_>, layout: &Layout, launch: Launch) -> Option<&'static str> {
    if let Some(stage) = launch.stage {
        run.tell(Category::Stage, layout.loss, one(Some(stage)), Origin::Flag("--stage"));
        return Some(stage);
    }
    if let Said::Value(_, place) = run.text("kd_loss._component_") {
        run.tell(
            Category::Stage,
            "kd_loss._component_",
            one(Some("kd")),
            Origin::Given(place),
        );
        return Some("kd");
    }
    let supply = "say --stage, as the recipe that is run will have it";
    let (stage, origin) = match run.text(layout.loss) {
        Said::Value(path, place) => match LOSSES.iter().find(|(loss, _)| *loss == class(&path)) {
            Some((_, stage)) => (Some(*stage), Origin::Given(place)),
            None => (None, unknown("ftrisk does not know this loss", supply, Some(place))),
        },
        Said::Unclear(origin) => (None, origin),
        Said::Nothing => (None, unknown("the run file names no loss", supply, None)),
    };
    run.tell(Category::Stage, layout.loss, one(stage), origin);
    stage
}

/// The tuning method, which is in the name of the model's builder, and with it the model and the adapter.
fn method(run: &mut Run<'_>, key: &'static str) -> Option<&'static str> {
    model(run, key);
    let builder = run.text(key);
    let (name, place) = match &builder {
        Said::Value(path, place) => (class(path).to_owned(), Some(*place)),
        _ => (String::new(), None),
    };
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let is_ours = builder.given().is_some_and(|path| path.starts_with("torchtune."));
    let has_adapter = begins(&["lora_", "qlora_", "dora_", "qdora_"]);
    let (base, base_origin, base_key) = match run.switch("model.quantize_base") {
        _ if begins(&["qlora_", "qdora_"]) => (Some("4bit"), by_default("the builder quantises the base to NF4"), key),
        Said::Value(true, place) if has_adapter => (Some("4bit"), Origin::Given(place), "model.quantize_base"),
        Said::Unclear(origin) if has_adapter => (None, origin, "model.quantize_base"),
        _ => (Some("none"), by_default("the builder does not quantise the base"), key),
    };
    run.tell(Category::Quantization, base_key, one(base), base_origin.clone());
    let (mut method, mut origin, mut at) = match (place, builder) {
        (Some(place), _) if has_adapter => (base.map(quantized::tuned_as), Origin::Given(place), key),
        (Some(place), _) if is_ours => (Some("full"), Origin::Given(place), key),
        (Some(place), _) => {
            let why = "the builder of the model is none of torchtune's, and may add an adapter";
            (None, unknown(why, "name one of torchtune's builders", Some(place)), key)
        }
        (None, Said::Unclear(origin)) => (None, origin, key),
        (None, _) => (
            None,
            unknown("the run file names no model", format!("write `{key}`"), None),
            key,
        ),
    };
    if has_adapter {
        if base.is_none() {
            origin = base_origin;
        }
        match run.switch("model.use_dora") {
            _ if begins(&["dora_", "qdora_"]) => method = Some("dora"),
            Said::Value(true, place) => (method, origin, at) = (Some("dora"), Origin::Given(place), "model.use_dora"),
            Said::Unclear(why) => (method, origin, at) = (None, why, "model.use_dora"),
            _ => {}
        }
    }
    run.tell(Category::Method, at, one(method), origin);
    adapter(run, method);
    method
}

/// Which weights are tuned: torchtune reads them from a folder.
fn model(run: &mut Run<'_>, builder: &'static str) {
    const FOLDERS: &[&str] = &["checkpointer.checkpoint_dir", "training.checkpointer.checkpoint_dir"];
    let folder = FOLDERS.iter().copied().find(|key| run.entry(key).is_some());
    run.named(
        Category::Model,
        folder.unwrap_or(builder),
        "the run file names no model",
    );
    let origin = by_default("torchtune reads weights from a folder, which has no revision");
    run.tell(
        Category::ModelRevision,
        folder.unwrap_or(builder),
        Words::One("main".into()),
        origin,
    );
}

fn adapter(run: &mut Run<'_>, method: Option<&str>) {
    const MODULES: &str = "model.lora_attn_modules";
    run.absent(
        LoraPlusRatio,
        "optimizer.lr",
        "torchtune has no LoRA+: A and B learn at one rate",
    );
    if method == Some("full") {
        let keys = [
            (Rank, "model.lora_rank"),
            (Alpha, "model.lora_alpha"),
            (Dropout, "model.lora_dropout"),
            (RankStabilised, "model.lora_rank"),
        ];
        plain::none_of(run, &keys, "full fine-tuning");
        let origin = by_default("full fine-tuning has no adapter");
        run.tell(Category::LoraTargets, MODULES, Words::Absent, origin);
        return;
    }
    run.numbers(LORA);
    run.nameless(
        RankStabilised,
        point(0.0),
        by_default("torchtune scales by alpha ÷ rank"),
    );
    let (mut words, mut origin) = match run.list(MODULES) {
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown(
                "the builder has no default for its modules",
                format!("write `{MODULES}`"),
                None,
            ),
        ),
    };
    for (key, name) in [
        ("model.apply_lora_to_mlp", "mlp"),
        ("model.apply_lora_to_output", "output"),
    ] {
        match (run.switch(key), &mut words) {
            (Said::Value(true, _), Words::Set(names)) => names.push(name.to_owned()),
            (Said::Unclear(why), _) => (words, origin) = (Words::Unknown, why),
            _ => {}
        }
    }
    run.tell(Category::LoraTargets, MODULES, words, origin);
}

/// The data set, or the sets in a list.
fn data(run: &mut Run<'_>, launch: Launch, stage: Option<&str>) {
    const SOURCE: &str = "dataset.source";
    let named = match run.text(SOURCE) {
        Said::Nothing => run.text("dataset._component_"),
        said => said,
    };
    let several = several(run);
    let (words, origin) = match (several, named) {
        (Some((names, place)), _) => (Words::Set(names), place),
        (None, Said::Value(name, place)) => (Words::Set(vec![name]), Origin::Given(place)),
        (None, Said::Unclear(origin)) => (Words::Unknown, origin),
        (None, Said::Nothing) => {
            let why = "the run file names no data set";
            (Words::Unknown, unknown(why, "write `dataset._component_`", None))
        }
    };
    let is_list = run.entry("dataset").is_some_and(|entry| entry.value.map().is_none());
    run.tell(Category::Dataset, SOURCE, words, origin);
    let why = "without `tokenizer.prompt_template` the tokenizer's own is used";
    run.named(Category::Template, "tokenizer.prompt_template", why);
    run.absent(
        MaxSamples,
        "dataset.split",
        "torchtune has no max_samples: every row of the split is used",
    );
    launch::world(
        run,
        launch,
        "`tune run --nproc_per_node` says how many processes there are",
    );
    let (packs, origin) = match run.switch("dataset.packed") {
        _ if is_list => (
            None,
            unknown(
                "each data set of a list says whether it is packed",
                "name one data set",
                None,
            ),
        ),
        said => said.or_default(false, DIALECT.default),
    };
    run.fact(Packs, "dataset.packed", of_switch(packs), origin);
    launch::rows(run, launch, None, packs, stage);
    run.numbers(&[LENGTH]);
}

/// The names in a list of data sets.
fn several(run: &Run<'_>) -> Option<(Vec<String>, Origin)> {
    let entry = run.entry("dataset")?;
    let Data::List(items) = &entry.value.data else {
        return None;
    };
    let name = |map: &Map| {
        let entry = map.get("source").or_else(|| map.get("_component_"))?;
        Some(entry.value.scalar()?.text.to_string())
    };
    let names: Option<Vec<String>> = items.iter().map(|item| name(item.map()?)).collect();
    Some((names?, Origin::Given(run.place(entry.value.span))))
}

/// Samples of an update. A sample of PPO and GRPO is a prompt.
fn batch(run: &mut Run<'_>, layout: &Layout, stage: Option<&str>) {
    run.nameless(GlobalBatch, None, by_default("torchtune counts batches per device"));
    plain::required(run, &row(layout.batch, PerDevice, Whole, Absent("")));
    match stage {
        Some("grpo") => {
            let rule = "the GRPO recipes do not accumulate";
            run.nameless(Accumulation, point(1.0), by_default(rule));
        }
        _ => plain::required(run, &ACCUMULATION),
    }
}

/// Clipping is off unless a norm is written, and some recipes never look for one.
fn clipping(run: &mut Run<'_>, layout: &Layout, stage: Option<&str>, method: Option<&str>) {
    let key = layout.clip;
    let is_read = match (stage, method) {
        (Some("ppo"), _) => false,
        (Some("dpo" | "ipo" | "simpo"), Some(method)) => method == "full",
        _ => true,
    };
    let is_written = run
        .entry(key)
        .is_some_and(|entry| !is_null(entry.value.scalar().map(|scalar| &*scalar.text)));
    if !is_read {
        plain::cannot_clip(run, "the recipe of this stage and method does not clip");
        return;
    }
    // The knowledge distillation recipe of one device clips, that of several does not.
    if stage == Some("kd") && is_written {
        let why = "only the single-device recipe of knowledge distillation clips";
        let origin = unknown(
            why,
            format!("leave `{key}` out where several devices train"),
            run.entry(key).map(|entry| run.place(entry.value.span)),
        );
        run.fact(ClipNorm, key, Some(ClipNorm.domain().interval), origin.clone());
        run.tell(Category::Clipping, key, Words::Unknown, origin);
        return;
    }
    let text = run
        .entry(key)
        .and_then(|entry| entry.value.scalar())
        .map(|scalar| scalar.text.to_ascii_lowercase());
    if text.is_some_and(|text| matches!(text.trim_start_matches('.'), "inf" | "infinity")) {
        plain::never_clips(run, key, "an infinite norm is logged and clips nothing");
        return;
    }
    match run.asked(&row(key, ClipNorm, Real, Absent("")).or_null()) {
        Said::Nothing => plain::never_clips(run, key, "without clip_grad_norm torchtune does not clip"),
        Said::Value(norm, place) => {
            run.fact(ClipNorm, key, point(norm), Origin::Given(place));
            run.tell(Category::Clipping, key, Words::Had(true), Origin::Given(place));
        }
        Said::Unclear(origin) => {
            run.fact(ClipNorm, key, Some(ClipNorm.domain().interval), origin.clone());
            run.tell(Category::Clipping, key, Words::Unknown, origin);
        }
    }
}

fn is_null(text: Option<&str>) -> bool {
    text.is_some_and(|text| resolve(text, DIALECT.loader) == Value::Null)
}

/// Reports keys that some recipe reads, and none of those that this run can be.
fn unread(run: &mut Run<'_>, stage: Option<&str>, method: Option<&str>) {
    let stage = match stage {
        Some("ipo" | "simpo") => Some("dpo"),
        stage => stage,
    };
    let has_adapter = method.map(|method| method != "full");
    let Some((.., recipes, called)) = RECIPES
        .iter()
        .find(|(of, adapter, ..)| Some(*of) == stage && (adapter.is_none() || *adapter == has_adapter))
    else {
        return;
    };
    let root = run.root();
    for entry in &root.entries {
        let Some(readers) = keys::TORCHTUNE.class(entry.name()) else {
            continue;
        };
        let is_read = readers
            .split(',')
            .any(|reader| reader == "config" || recipes.iter().any(|recipe| reader.starts_with(recipe)));
        // Nothing is lost with what turns something off.
        let is_off = entry.value.scalar().is_some_and(|scalar| {
            scalar.is_plain && matches!(resolve(&scalar.text, DIALECT.loader), Value::Null | Value::Bool(false))
        });
        if is_read || is_off {
            continue;
        }
        let message = format!("torchtune's recipes for {called} do not read `{}`", entry.name());
        let diagnostic = Diagnostic::new(Code::UnknownKey, message)
            .at(run.place(entry.key.span), "torchtune drops it without a word")
            .help("delete the line");
        run.diagnostics.push(diagnostic);
    }
}

/// An optimizer that steps inside the backward pass can neither accumulate nor clip.
fn in_backward(run: &mut Run<'_>, method: Option<&str>) {
    const HELP: &str = "delete it, or write optimizer_in_bwd: False";
    if method != Some("full") || !matches!(run.switch("optimizer_in_bwd"), Said::Value(true, _)) {
        return;
    }
    if plain::sole(run, Accumulation).is_some_and(|steps| steps > 1.0) {
        plain::refuse(
            run,
            "gradient_accumulation_steps",
            "cannot stand beside optimizer_in_bwd",
            HELP,
        );
    }
    let clips = run
        .facts
        .word(Category::Clipping)
        .is_some_and(|fact| fact.words != Words::Had(false));
    if clips {
        plain::refuse(run, "clip_grad_norm", "cannot stand beside optimizer_in_bwd", HELP);
    }
}

/// The rate is constant without `lr_scheduler`; torchtune has one scheduler.
fn schedule(run: &mut Run<'_>) {
    const KEY: &str = "lr_scheduler._component_";
    const WARMUP: Row = row("lr_scheduler.num_warmup_steps", WarmupSteps, Whole, Absent(""));
    const CYCLES: &str = "lr_scheduler.num_cycles";
    run.nameless(
        WarmupRatio,
        point(0.0),
        by_default("torchtune counts the warmup in steps"),
    );
    run.absent(MinLearningRate, KEY, "the schedule has no floor");
    let rule = "without lr_scheduler the rate is constant";
    match run.text(KEY) {
        Said::Nothing => {
            run.tell(Category::Scheduler, KEY, one(Some("constant")), by_default(rule));
            run.fact(WarmupSteps, WARMUP.key, point(0.0), by_default(rule));
        }
        Said::Value(path, place) => {
            let is_known = class(&path) == "get_cosine_schedule_with_warmup";
            let word = match (is_known, run.entry(CYCLES).is_none()) {
                (true, true) => "cosine",
                (true, false) => "cosine_with_restarts",
                _ => "other",
            };
            run.tell(Category::Scheduler, KEY, one(Some(word)), Origin::Given(place));
            if is_known {
                plain::required(run, &WARMUP);
            } else {
                plain::or_else(run, &WARMUP, None, "ftrisk does not know this scheduler");
            }
        }
        Said::Unclear(origin) => {
            run.tell(Category::Scheduler, KEY, Words::Unknown, origin.clone());
            run.fact(WarmupSteps, WARMUP.key, Some(WarmupSteps.domain().interval), origin);
        }
    }
}

/// The pull towards the reference model.
fn beta(run: &mut Run<'_>, layout: &Layout, stage: Option<&str>) {
    let why = "the default of this loss is not known";
    let default = Some((0.1, "torchtune's default"));
    match stage {
        Some("dpo") | None => plain::or_else(run, &row(layout.beta, PreferenceBeta, Real, Absent("")), default, why),
        Some("grpo") => plain::or_else(run, &row(layout.kl, PreferenceBeta, Real, Absent("")), default, why),
        Some("ipo" | "simpo") => plain::or_else(run, &row(layout.beta, PreferenceBeta, Real, Absent("")), None, why),
        Some("ppo") => run.absent(PreferenceBeta, "kl_coeff", "PPO pulls by kl_coeff, not by a beta"),
        Some(_) => run.absent(
            PreferenceBeta,
            layout.beta,
            "only preference tuning has a preference beta",
        ),
    }
}

/// What a run has or has not.
fn presence(run: &mut Run<'_>, layout: &Layout) {
    const EVERY: &str = "run_val_every_n_steps";
    run.numbers(&[row(layout.seed, Seed, Whole, Absent("without a seed torchtune draws one")).or_null()]);
    plain::seeded(run, layout.seed);
    let every = Ask {
        key: EVERY,
        takes: Whole,
        domain: MaxSteps.domain(),
        null: Null::IsDefault,
        usual: None,
    };
    let (words, origin) = match run.number(&every) {
        Said::Value(_, place) => {
            if run.entry("dataset_val").is_none() {
                plain::refuse(run, EVERY, "needs a dataset_val", "write `dataset_val`, or null here");
            }
            (Words::Had(true), Origin::Given(place))
        }
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => {
            let rule = "without run_val_every_n_steps nothing is evaluated, whatever dataset_val names";
            (Words::Had(false), by_default(rule))
        }
    };
    run.tell(Category::Evaluation, EVERY, words, origin);
    launch::lineage(run);
}
