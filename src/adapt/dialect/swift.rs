//! ms-swift's run files and command lines, as its `swift pt`, `sft` and `rlhf` read them.
//!
//! Read against ms-swift 4.6.0 (and commit 3602360a) with transformers 4.57 to 5.20. A run file becomes the words of a
//! command line, each of which the type of its argument reads again, so that a number in quotes is a number, and `null`
//! is the text `None`.

use super::hf::{self, OPTIMIZERS, STRATEGIES};
use super::swift_data::{data, holds_out, loader_text, may_be};
use super::{plain, quantized};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::{Launch, keys, launch};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::{
    Accumulation, Alpha, Beta1, Beta2, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSteps,
    PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, WarmupRatio, WarmupSteps, WeightDecay, WorldSize,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How ms-swift reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "ms-swift",
    framework: "ms-swift",
    unknown: Unknown::Refuses,
    elsewhere: ELSEWHERE,
    launcher: "swift",
    loader: Loader::Argparse,
    default: "ms-swift's default",
    nested_text_is_read: false,
    order: "
        model model_revision quant_method quant_bits tuner_type rlhf_type lora_rank lora_alpha lora_dropout
        target_modules use_rslora use_dora lorap_lr_ratio beta dataset val_dataset split_dataset_ratio streaming
        template max_length packing per_device_train_batch_size gradient_accumulation_steps learning_rate
        num_train_epochs max_steps lr_scheduler_type lr_scheduler_kwargs warmup_ratio warmup_steps optim optimizer
        weight_decay max_grad_norm seed eval_strategy eval_steps output_dir deepspeed sequence_parallel_size",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: Some(keys::SWIFT),
    read,
};

/// What other frameworks, and older versions, call things.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    ("base_model", "model"),
    ("cutoff_len", "max_length"),
    ("evaluation_strategy", "eval_strategy"),
    ("finetuning_type", "tuner_type"),
    ("learning_rate", "lr"),
    ("lora_r", "lora_rank"),
    ("lora_target", "target_modules"),
    ("lora_target_modules", "target_modules"),
    ("loraplus_lr_ratio", "lorap_lr_ratio"),
    ("lr", "learning_rate"),
    ("max_seq_length", "max_length"),
    ("model_id_or_path", "model"),
    ("model_name_or_path", "model"),
    ("quantization_bit", "quant_bits"),
    ("sft_type", "tuner_type"),
    ("train_type", "tuner_type"),
];

/// Numbers that every run has.
const ALWAYS: &[Row] = &[
    row("per_device_train_batch_size", PerDevice, Whole, Is(1.0)),
    row("num_train_epochs", Epochs, Real, Is(3.0)),
    row("weight_decay", WeightDecay, Real, Is(0.1)),
    row("max_grad_norm", ClipNorm, Real, Is(1.0)),
    row("adam_beta1", Beta1, Real, Is(0.9)),
    row("adam_beta2", Beta2, Real, Is(0.95)),
    row("seed", Seed, Whole, Is(42.0)),
];
/// Numbers of LoRA.
const LORA: &[Row] = &[
    row("lora_rank", Rank, Whole, Is(8.0)),
    row("lora_alpha", Alpha, Real, Is(32.0)),
    row("lora_dropout", Dropout, Real, Is(0.05)),
];
const LORA_PLUS: Row = row(
    "lorap_lr_ratio",
    LoraPlusRatio,
    Real,
    Absent("no lorap_lr_ratio is written: A and B learn at one rate"),
);
const ACCUMULATION: Row = row("gradient_accumulation_steps", Accumulation, Whole, Is(1.0));
const BETA: Row = row("beta", PreferenceBeta, Real, Is(0.1));

const TUNERS: &[(&str, &str)] = &[
    ("lora", "lora"),
    ("full", "full"),
    ("longlora", "other"),
    ("adalora", "other"),
    ("llamapro", "other"),
    ("adapter", "other"),
    ("vera", "other"),
    ("boft", "other"),
    ("fourierft", "other"),
    ("reft", "other"),
    ("bone", "other"),
    ("ia3", "other"),
    ("lora_llm", "other"),
    ("dummy", "other"),
];
/// Tuners that are LoRA and something beside it.
const IS_LORA: &[&str] = &["lora_llm", "longlora"];
const STAGES: &[(&str, &str)] = &[
    ("dpo", "dpo"),
    ("orpo", "orpo"),
    ("simpo", "simpo"),
    ("kto", "kto"),
    ("cpo", "cpo"),
    ("rm", "rm"),
    ("ppo", "ppo"),
    ("grpo", "grpo"),
    ("gkd", "gkd"),
];
/// Optimizers of ms-swift's own, with the word of our table; "" where `optim` still decides.
const PLUGINS: &[(&str, &str)] = &[
    ("default", ""),
    ("lorap", ""),
    ("multimodal", ""),
    ("galore", "galore"),
    ("muon", "muon"),
    ("muonclip", "muon"),
];

/// Reads a run of `swift pt`, `sft` or `rlhf`.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let stage = stage(run, launch);
    model(run, "tuner_type");
    let method = method(run, "lora", TUNERS);
    run.numbers(ALWAYS);
    rate(run, "learning_rate", method, &["vit_lr", "aligner_lr"]);
    world(run, launch);
    data(run, stage, launch);
    batch(run, stage);
    steps(run);
    adapter(run, method);
    beta(run, stage);
    hf::schedule_or(run, "cosine");
    warmup(run);
    optimizer(run);
    launch::parallel(run, &["sequence_parallel_size", "deepspeed_autotp_size"], Null::Refused);
    launch::seeded(run);
    evaluation(run);
    clipping(run, "max_grad_norm");
    launch::lineage(run);
    loader_text(run);
}

/// `rlhf_type` says what is taught; without it the sub-command does, which a file does not hold.
pub(super) fn stage(run: &mut Run<'_>, launch: Launch) -> Option<&'static str> {
    const KEY: &str = "rlhf_type";
    let (word, origin) = match (launch.stage, run.word(KEY, STAGES), run.told_stage) {
        (Some(stage), ..) => (Some(stage), Origin::Flag("--stage")),
        (_, Said::Unclear(origin), _) => (None, origin),
        // `sft` and `pt` have no such key, and are refused with it.
        (_, Said::Value(word, place), Some(("rlhf", _)) | None) => (Some(word), Origin::Given(place)),
        (_, Said::Nothing, Some(("rlhf", _))) => (Some("dpo"), by_default(run.default())),
        (_, _, Some((told, place))) => (Some(told), Origin::Given(place)),
        (_, Said::Nothing, None) => {
            let why = "the sub-command says what is taught, and the run file does not";
            let supply = "say --stage sft or pt, as the command `swift sft` or `swift pt` will have it";
            (None, unknown(why, supply, None))
        }
    };
    run.tell(Category::Stage, KEY, one(word), origin);
    word
}

/// The model and its revision.
pub(super) fn model(run: &mut Run<'_>, near: &str) {
    run.named(Category::Model, "model", "the run names no model");
    let rule = "without model_revision the newest is taken";
    let (revision, origin) = run.text("model_revision").or_default("master".into(), rule);
    let key = if run.entry("model_revision").is_some() {
        "model_revision"
    } else if run.entry("model").is_some() {
        "model"
    } else {
        near
    };
    run.tell(Category::ModelRevision, key, one(revision.as_deref()), origin);
}

/// The tuning method, and how the base is quantised.
pub(super) fn method(
    run: &mut Run<'_>,
    default: &'static str,
    tuners: &[(&'static str, &'static str)],
) -> Option<&'static str> {
    const KEY: &str = "tuner_type";
    let (word, mut origin) = run.word(KEY, tuners).or_default(default, run.default());
    let (mut method, mut key) = (word, KEY);
    let (base, base_origin, base_key) = quantization(run);
    match word {
        Some("lora") => match run.switch("use_dora") {
            Said::Value(true, place) => (method, origin, key) = (Some("dora"), Origin::Given(place), "use_dora"),
            Said::Unclear(why) => (method, origin, key) = (None, why, "use_dora"),
            _ if base.map(quantized::tuned_as) != Some("lora") => {
                (method, origin, key) = (base.map(quantized::tuned_as), base_origin, base_key);
            }
            _ => {}
        },
        Some("full") => {
            for freezes in [
                "freeze_parameters",
                "freeze_parameters_regex",
                "freeze_parameters_ratio",
            ] {
                if let Some(given) = run.written(freezes) {
                    let is_none = freezes.ends_with("ratio") && run.text(freezes).given().is_some_and(|t| t == "0");
                    if !is_none {
                        (method, origin, key) = (Some("freeze"), given, freezes);
                    }
                }
            }
        }
        _ => {}
    }
    run.tell(Category::Method, key, one(method), origin);
    method
}

fn quantization(run: &mut Run<'_>) -> (Option<&'static str>, Origin, &'static str) {
    const BITS: &str = "quant_bits";
    const METHOD: &str = "quant_method";
    const WIDTHS: &[(&str, &str)] = &[
        ("1", "other"),
        ("2", "2bit"),
        ("3", "3bit"),
        ("4", "4bit"),
        ("8", "8bit"),
        ("float8", "fp8"),
    ];
    const METHODS: &[(&str, &str)] = &[
        ("bnb", "bits"),
        ("hqq", "bits"),
        ("eetq", "bits"),
        ("quanto", "bits"),
        ("fp8", "fp8"),
    ];
    let marked = run.text("model");
    let marked = match &marked {
        Said::Value(name, place) => quantized::marked(name).map(|word| (word, *place)),
        _ => None,
    };
    let (word, origin, key) = match (marked, run.word(METHOD, METHODS), run.word(BITS, WIDTHS)) {
        (_, Said::Unclear(origin), _) => (None, origin, METHOD),
        (_, _, Said::Unclear(origin)) => (None, origin, BITS),
        (Some((word, place)), ..) => (Some(word), Origin::Given(place), "model"),
        (_, Said::Value("fp8", place), _) => (Some("fp8"), Origin::Given(place), METHOD),
        (_, Said::Value(_, place), Said::Nothing) => {
            let diagnostic = Diagnostic::new(Code::ValueType, "`quant_method` needs `quant_bits`")
                .at(place, "ms-swift refuses it alone")
                .help("write quant_bits: 4, or delete it");
            match run.refuse::<()>(METHOD, place, diagnostic) {
                Said::Unclear(origin) => (None, origin, METHOD),
                _ => (None, by_default(""), METHOD),
            }
        }
        // Without a method ms-swift takes bnb.
        (_, _, Said::Value(word, place)) => (Some(word), Origin::Given(place), BITS),
        (_, _, Said::Nothing) => {
            let rule = "no quant_bits is written, and the model's name names no quantisation";
            (Some("none"), by_default(rule), BITS)
        }
    };
    run.tell(Category::Quantization, key, one(word), origin.clone());
    (word, origin, key)
}

/// ms-swift always hands over a `warmup_ratio`, 0 without the key, and transformers 5 put it in the place of
/// `warmup_steps` for as long as they had both; without it, and before 5, the steps count.
fn warmup(run: &mut Run<'_>) {
    const STEPS: &str = "warmup_steps";
    let is_given = |fact, run: &Run<'_>| {
        let number = run.facts.number(fact).filter(|number| number.is_known())?;
        match number.origin {
            Origin::Given(place) => number.values.filter(|values| values.lo() > 0.0).map(|_| place),
            _ => None,
        }
    };
    let written = |key| {
        run.entry(key)
            .and_then(|entry| entry.value.scalar()?.text.trim().parse::<f64>().ok())
    };
    let (ratio, steps) = (written("warmup_ratio").unwrap_or(0.0), written(STEPS).unwrap_or(0.0));
    if ratio > 0.0 && steps > 0.0 {
        plain::refuse(run, STEPS, "cannot stand beside warmup_ratio", "keep one of the two");
    } else if ratio >= 1.0 {
        plain::refuse(
            run,
            "warmup_ratio",
            "is below 1",
            "write warmup_steps for a number of updates",
        );
    } else if let Some(place) = is_given(WarmupSteps, run).or_else(|| is_given(WarmupRatio, run))
        && ratio <= 0.0
    {
        let why = "with some versions of transformers 5 ms-swift drops warmup_steps";
        let origin = unknown(why, "write warmup_ratio in its place", Some(place));
        for (fact, key) in [(WarmupRatio, "warmup_ratio"), (WarmupSteps, STEPS)] {
            run.fact(fact, key, Some(fact.domain().interval), origin.clone());
        }
    }
}

/// The peak rate: that of the whole model, or a larger one that a part of it has.
pub(super) fn rate(run: &mut Run<'_>, key: &'static str, method: Option<&str>, parts: &[&'static str]) {
    let missing = match method {
        Some("full" | "freeze") => Is(1e-5),
        _ => Is(1e-4),
    };
    let row = row(key, LearningRate, Real, missing);
    match run.asked(&row) {
        Said::Nothing if method.is_none() => {
            let origin = unknown("the default depends on the method", format!("write `{key}`"), None);
            run.fact(LearningRate, key, Interval::new(1e-5, 1e-4), origin);
        }
        Said::Nothing => {
            let rule = format!("{} (1e-5 for full fine-tuning, 1e-4 otherwise)", run.default());
            let Is(rate) = missing else { return };
            run.fact(LearningRate, key, point(rate), by_default(rule));
        }
        said => run.set(&row, said),
    }
    for part in parts {
        let ask = Ask {
            key: part,
            takes: Real,
            domain: Domain::reals(0.0, f64::MAX),
            null: Null::Refused,
            usual: None,
        };
        let so_far = run.facts.values(LearningRate).map_or(0.0, Interval::hi);
        match run.number(&ask) {
            Said::Value(rate, place) if rate > so_far => {
                run.fact(LearningRate, part, point(rate), Origin::Given(place));
            }
            Said::Unclear(origin) => {
                run.fact(LearningRate, part, Some(LearningRate.domain().interval), origin);
            }
            _ => {}
        }
    }
}

/// Processes: from the command, from `ENV`, or from the environment of the launch, which nobody sees.
pub(super) fn world(run: &mut Run<'_>, launch: Launch) {
    let why = "ms-swift starts NPROC_PER_NODE × NNODES processes, as the environment of the launch says";
    let is_open = run
        .world
        .as_ref()
        .is_none_or(|(_, origin)| matches!(origin, Origin::Default { .. }));
    if is_open {
        let count = |run: &mut Run<'_>, key| {
            run.number(&Ask {
                key,
                takes: Whole,
                domain: Domain::WORLD,
                null: Null::Refused,
                usual: None,
            })
        };
        let (each, nodes) = (count(run, "ENV.NPROC_PER_NODE"), count(run, "ENV.NNODES"));
        match (each, nodes) {
            (Said::Value(each, place), nodes) => {
                let nodes = nodes.given().copied().unwrap_or(1.0);
                run.world = Some((Some(each * nodes), Origin::Given(place)));
            }
            (Said::Nothing, Said::Value(nodes, place)) => run.world = Some((Some(nodes), Origin::Given(place))),
            (Said::Unclear(origin), _) | (_, Said::Unclear(origin)) => run.world = Some((None, origin)),
            _ => {}
        }
    }
    launch::world(run, launch, why);
}

/// Without accumulation ms-swift aims at 16 samples an update.
fn batch(run: &mut Run<'_>, stage: Option<&str>) {
    run.nameless(GlobalBatch, None, by_default("ms-swift counts batches per device"));
    const KEY: &str = "gradient_accumulation_steps";
    match (run.asked(&ACCUMULATION), stage) {
        (Said::Nothing, Some("grpo")) => {
            run.fact(Accumulation, KEY, point(1.0), by_default("ms-swift's default for GRPO"))
        }
        (Said::Nothing, _) => {
            let (Some(each), Some(world)) = (run.facts.values(PerDevice), run.facts.values(WorldSize)) else {
                return;
            };
            let accumulation = |each: f64, world: f64| (16.0 / each / world).ceil().max(1.0);
            let (least, most) = (accumulation(each.hi(), world.hi()), accumulation(each.lo(), world.lo()));
            let least = if may_be(run, stage, &["grpo"]) { 1.0 } else { least };
            let rule = "16 ÷ (per_device_train_batch_size × processes), rounded up, by ms-swift's default";
            let origin = if least < most {
                unknown(
                    format!("it is {rule}"),
                    format!("write `{KEY}`, or say --world-size N"),
                    None,
                )
            } else {
                by_default(rule)
            };
            run.fact(Accumulation, KEY, Interval::new(least, most), origin);
        }
        (said, _) => run.set(&ACCUMULATION, said),
    }
}

/// `max_epochs` ends a run early, whatever else its length follows from.
fn steps(run: &mut Run<'_>) {
    hf::max_steps(run);
    let ask = Ask {
        key: "max_epochs",
        takes: Whole,
        domain: Epochs.domain(),
        null: Null::Refused,
        usual: None,
    };
    match (run.number(&ask), run.facts.values(MaxSteps), run.facts.values(Epochs)) {
        (Said::Value(_, place), Some(steps), _) => {
            let why = "max_epochs can end the run before max_steps does";
            let origin = unknown(why, "delete `max_epochs`", Some(place));
            run.fact(MaxSteps, "max_steps", Interval::new(1.0, steps.hi()), origin);
        }
        (Said::Value(most, place), None, epochs) if epochs.is_none_or(|epochs| epochs.hi() > most) => {
            run.fact(Epochs, "max_epochs", point(most), Origin::Given(place));
        }
        (Said::Unclear(origin), ..) => {
            run.fact(Epochs, "max_epochs", Some(Epochs.domain().interval), origin.clone());
            run.fact(MaxSteps, "max_epochs", Some(MaxSteps.domain().interval), origin);
        }
        _ => {}
    }
}

/// Rank, alpha and targets of the adapter, where there is one.
pub(super) fn adapter(run: &mut Run<'_>, method: Option<&str>) {
    let phrase = match method {
        Some("full") => "full fine-tuning",
        Some("freeze") => "training of some weights",
        Some("other")
            if !run
                .text("tuner_type")
                .given()
                .is_some_and(|tuner| IS_LORA.contains(&tuner.as_str())) =>
        {
            "this tuner"
        }
        _ => {
            run.numbers(LORA);
            let stabilised = run.switch("use_rslora").map(|on| f64::from(u8::from(on)));
            run.set(&row("use_rslora", RankStabilised, Whole, Is(0.0)), stabilised);
            targets(run);
            let is_chosen = run
                .text("optimizer")
                .given()
                .is_some_and(|optimizer| optimizer != "lorap");
            let plus = if is_chosen {
                Said::Nothing
            } else {
                run.asked(&LORA_PLUS)
            };
            run.set(&LORA_PLUS, plus);
            continued(run);
            return;
        }
    };
    for (fact, key) in [
        (Rank, "lora_rank"),
        (Alpha, "lora_alpha"),
        (Dropout, "lora_dropout"),
        (RankStabilised, "use_rslora"),
        (LoraPlusRatio, "lorap_lr_ratio"),
    ] {
        run.absent(fact, key, format!("{phrase} has no {}", fact.name()));
    }
    let origin = by_default(format!("{phrase} has no LoRA targets"));
    run.tell(Category::LoraTargets, "target_modules", Words::Absent, origin);
}

fn targets(run: &mut Run<'_>) {
    let (said, key) = match run.several("target_regex") {
        Said::Nothing => (run.several("target_modules"), "target_modules"),
        regex => (regex, "target_regex"),
    };
    let (words, origin) = said.or_default(vec!["all-linear".into()], run.default());
    run.tell(
        Category::LoraTargets,
        key,
        words.map_or(Words::Unknown, Words::Set),
        origin,
    );
}

/// An adapter that is trained on keeps its own shape, whatever the run says.
fn continued(run: &mut Run<'_>) {
    let Some(entry) = run.entry("adapters") else { return };
    let origin = unknown(
        "the adapter of `adapters` is trained on, with its own rank, alpha and targets",
        "merge it into the model first, or look into its adapter_config.json",
        Some(run.place(entry.value.span)),
    );
    for (fact, key) in [
        (Rank, "lora_rank"),
        (Alpha, "lora_alpha"),
        (RankStabilised, "use_rslora"),
    ] {
        run.fact(fact, key, Some(fact.domain().interval), origin.clone());
    }
    run.tell(Category::LoraTargets, "target_modules", Words::Unknown, origin);
}

/// The pull towards the reference; each kind of preference tuning has a default of its own.
pub(super) fn beta(run: &mut Run<'_>, stage: Option<&str>) {
    let default = match stage {
        Some("ppo") => return run.absent(PreferenceBeta, "beta", "PPO steers by kl_coef, not by beta"),
        Some("pt" | "sft" | "rm") => {
            return run.absent(PreferenceBeta, "beta", "only preference tuning has a preference beta");
        }
        Some("grpo") => 0.04,
        Some("gkd") => 0.5,
        Some("simpo") => 2.0,
        Some(_) => 0.1,
        None => {
            let said = run.asked(&BETA);
            if said == Said::Nothing {
                let origin = unknown("the default depends on the stage", "write `beta`, or say --stage", None);
                return run.fact(PreferenceBeta, "beta", Interval::new(0.04, 2.0), origin);
            }
            return run.set(&BETA, said);
        }
    };
    run.numbers(&[BETA.or(default)]);
}

fn optimizer(run: &mut Run<'_>) {
    let (mut word, mut origin) = run.word("optim", OPTIMIZERS).or_default("adamw", run.default());
    let mut key = "optim";
    match (run.text("optimizer"), run.switch("use_galore")) {
        (Said::Value(name, place), _) => {
            let known = PLUGINS
                .iter()
                .find(|(theirs, _)| *theirs == name)
                .map(|(_, ours)| *ours);
            match known {
                Some("") => {}
                Some(ours) => (word, origin, key) = (Some(ours), Origin::Given(place), "optimizer"),
                None => (word, origin, key) = (Some("other"), Origin::Given(place), "optimizer"),
            }
        }
        (Said::Unclear(why), _) => (word, origin, key) = (None, why, "optimizer"),
        (_, Said::Unclear(why)) => (word, origin, key) = (None, why, "use_galore"),
        (_, Said::Value(true, place)) => (word, origin, key) = (Some("galore"), Origin::Given(place), "use_galore"),
        _ => {}
    }
    run.tell(Category::Optimizer, key, one(word), origin);
}

/// Clipping is off at 0.
pub(super) fn clipping(run: &mut Run<'_>, key: &str) {
    let fact = run.facts.number(ClipNorm).cloned();
    let (words, origin) = match fact {
        Some(fact) if fact.is_known() => (Words::Had(fact.values.is_some_and(|norm| norm.lo() > 0.0)), fact.origin),
        Some(fact) => (Words::Unknown, fact.origin),
        None => (Words::Unknown, by_default("")),
    };
    run.tell(Category::Clipping, key, words, origin);
}

/// Evaluation follows the saving, unless there is nothing to evaluate on.
fn evaluation(run: &mut Run<'_>) {
    let asked = match run.word("eval_strategy", STRATEGIES) {
        Said::Nothing => run.word("save_strategy", SAVES),
        said => said,
    };
    let held = match run.several("eval_dataset") {
        Said::Value(_, place) => Said::Value(true, place),
        _ => holds_out(run),
    };
    let rule = "nothing is held out: split_dataset_ratio is 0 and no val_dataset is named";
    let (words, origin) = match (asked, held) {
        (Said::Unclear(origin), _) | (_, Said::Unclear(origin)) => (Words::Unknown, origin),
        (Said::Value("no", place), _) => (Words::Had(false), Origin::Given(place)),
        (_, Said::Value(held, place)) => (Words::Had(held), Origin::Given(place)),
        (_, Said::Nothing) => (Words::Had(false), by_default(rule)),
    };
    run.tell(Category::Evaluation, "split_dataset_ratio", words, origin);
}

/// `save_strategy`, which `eval_strategy` follows; `best` needs evaluations.
const SAVES: &[(&str, &str)] = &[("no", "no"), ("steps", "steps"), ("epoch", "epoch"), ("best", "steps")];
