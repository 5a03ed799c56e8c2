//! PEFT's adapter_config.json: the shape of an adapter, and nothing of how it is trained.
//!
//! Read against PEFT 0.21. Only the adapters of the LoRA family have a scale that is alpha over rank; what others do
//! with their numbers is their own.

use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Dialect, Missing, Row, Unknown, row};
use crate::adapt::tree::{Data, Entry};
use crate::adapt::{Launch, launch};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LearningRate, LoraPlusRatio, MaxSamples, MaxSteps,
    MinLearningRate, ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Seed, SequenceLength,
    WarmupRatio, WarmupSteps, WeightDecay,
};
use crate::facts::{Input, Origin, Words};
use crate::quantity::{Category, Interval};

/// How PEFT reads the description of an adapter.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "peft",
    framework: "PEFT",
    unknown: Unknown::Drops,
    elsewhere: &[],
    launcher: "training script's",
    loader: Loader::Json,
    default: "PEFT's default",
    nested_text_is_read: false,
    order: "
        peft_type base_model_name_or_path revision task_type r init_r rank_pattern lora_alpha alpha alpha_pattern
        lora_dropout use_rslora use_dora target_modules target_parameters",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: None,
    read,
};

/// Adapters with a rank: their type, the key of it, and its default where they have one.
const RANKED: &[(&str, &str, Option<f64>)] = &[
    ("LORA", "r", Some(8.0)),
    ("LOHA", "r", Some(8.0)),
    ("LOKR", "r", Some(8.0)),
    // What is written under `r` is not used: it starts at init_r and is cut down to target_r.
    ("ADALORA", "init_r", Some(12.0)),
    ("ADAMSS", "r", Some(100.0)),
    ("DEFT", "r", Some(8.0)),
    ("DELORA", "r", Some(8.0)),
    ("GLORA", "r", Some(8.0)),
    ("GRALORA", "r", Some(32.0)),
    ("HIRA", "r", Some(32.0)),
    ("HRA", "r", Some(8.0)),
    ("LILY", "r", Some(32.0)),
    ("MISS", "r", Some(64.0)),
    ("PEANUT", "r", Some(32.0)),
    ("POLY", "r", Some(8.0)),
    ("PSOFT", "r", Some(32.0)),
    ("PVERA", "r", Some(256.0)),
    ("RANDLORA", "r", Some(32.0)),
    ("SHADOW", "r", Some(8.0)),
    ("SHIRA", "r", Some(32.0)),
    ("SUPERTUNING", "r", None),
    ("TINYLORA", "r", Some(2.0)),
    ("UNILORA", "r", Some(4.0)),
    ("VBLORA", "r", Some(4.0)),
    ("VERA", "r", Some(256.0)),
];

/// Adapters whose scale is alpha over rank, with the key of their alpha.
const SCALED: &[(&str, &str)] = &[("LORA", "lora_alpha"), ("LOHA", "alpha"), ("LOKR", "alpha")];

/// Adapters without a rank.
const UNRANKED: &[&str] = &[
    "ADAPTION_PROMPT",
    "BEFT",
    "BOFT",
    "C3A",
    "CARTRIDGE",
    "CPT",
    "FOURIERFT",
    "FROD",
    "IA3",
    "LN_TUNING",
    "MULTITASK_PROMPT_TUNING",
    "OFT",
    "PREFIX_TUNING",
    "PROMPT_TUNING",
    "P_TUNING",
    "ROAD",
    "TRAINABLE_TOKENS",
    "WAVEFT",
];

/// Numbers of training.
const OF_TRAINING: &[Input] = &[
    LearningRate,
    MinLearningRate,
    WarmupRatio,
    WarmupSteps,
    ClipNorm,
    WeightDecay,
    PreferenceBeta,
    PerDevice,
    Accumulation,
    Epochs,
    MaxSteps,
    Packs,
    SequenceLength,
    MaxSamples,
    Seed,
];

/// Words of training.
const SAID_IN_TRAINING: &[Category] = &[
    Category::Optimizer,
    Category::Scheduler,
    Category::Dataset,
    Category::Template,
    Category::Seed,
    Category::Evaluation,
    Category::Clipping,
];

/// Reads the description of an adapter.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let silent = || {
        let why = "an adapter_config.json says nothing of training";
        unknown(why, "check the run file that trains the adapter", None)
    };
    for fact in OF_TRAINING {
        run.nameless(*fact, Some(fact.domain().interval), silent());
    }
    run.nameless(
        LoraPlusRatio,
        None,
        by_default("an adapter has no LoRA+ ratio: its optimizer has"),
    );
    run.nameless(GlobalBatch, None, by_default("no global batch size is known"));
    run.nameless(ModelParallel, None, by_default("no parallelism is known"));
    for category in SAID_IN_TRAINING {
        run.tell(*category, "peft_type", Words::Unknown, silent());
    }
    let stage = launch.stage.map_or((Words::Unknown, silent()), |stage| {
        (one(Some(stage)), Origin::Flag("--stage"))
    });
    run.tell(Category::Stage, "peft_type", stage.0, stage.1);
    launch::world(run, launch, "an adapter_config.json says nothing of the launch");
    launch::rows(run, launch, None, None, None);
    launch::lineage(run);
    base(run);
    adapter(run);
}

/// The base model, and what its name says.
fn base(run: &mut Run<'_>) {
    let why = "the adapter's base model is not written";
    run.named(Category::Model, "base_model_name_or_path", why);
    run.named(
        Category::ModelRevision,
        "revision",
        "no revision of the base is written",
    );
    let origin = unknown(
        "an adapter_config.json does not say how its base is loaded",
        "check the run file that trains the adapter",
        None,
    );
    run.tell(
        Category::Quantization,
        "base_model_name_or_path",
        Words::Unknown,
        origin,
    );
}

fn adapter(run: &mut Run<'_>) {
    const TYPE: &str = "peft_type";
    let (kind, origin) = match run.text(TYPE) {
        Said::Value(kind, place) => (kind.to_uppercase(), Origin::Given(place)),
        Said::Unclear(origin) => (String::new(), origin),
        Said::Nothing => (String::new(), unknown("`peft_type` is empty", "write it", None)),
    };
    let ranked = RANKED.iter().find(|(name, ..)| *name == kind);
    let is_lora = kind == "LORA";
    let (word, key, origin) = match (kind.as_str(), is_lora.then(|| run.switch("use_dora"))) {
        (_, Some(Said::Value(true, place))) => (Some("dora"), "use_dora", Origin::Given(place)),
        (_, Some(Said::Unclear(origin))) => (None, "use_dora", origin),
        ("LORA", _) => (Some("lora"), TYPE, origin),
        ("OFT", _) => (Some("oft"), TYPE, origin),
        ("", _) => (None, TYPE, origin),
        _ => (Some("other"), TYPE, origin),
    };
    run.tell(Category::Method, key, one(word), origin);
    targets(run);
    if UNRANKED.contains(&kind.as_str()) {
        let facts = [
            (Rank, "r"),
            (Alpha, "alpha"),
            (Dropout, "dropout"),
            (RankStabilised, "use_rslora"),
        ];
        for (fact, key) in facts {
            run.absent(fact, key, format!("{kind} has no {}", fact.name()));
        }
        return;
    }
    if is_lora {
        run.numbers(&[row("lora_dropout", Dropout, Real, Is(0.0))]);
        let stabilised = run.switch("use_rslora").map(|on| f64::from(u8::from(on)));
        run.set(&row("use_rslora", RankStabilised, Whole, Is(0.0)), stabilised);
    } else {
        run.absent(Dropout, "dropout", format!("{kind} has a dropout of its own, if any"));
        run.absent(RankStabilised, "use_rslora", "only LoRA can be rank-stabilised");
    }
    let rank = match ranked {
        Some((_, key, Some(default))) => run.asked(&rank_row(key, Is(*default))),
        Some((_, key, None)) => run.asked(&rank_row(key, Absent(""))),
        None => run.asked(&rank_row("r", Absent(""))),
    };
    match (rank, ranked) {
        (Said::Nothing, Some((_, key, Some(default)))) => {
            run.fact(Rank, key, point(*default), by_default(DIALECT.default));
        }
        (Said::Nothing, _) => {
            let why = format!("the rank of {kind} is not written, and ftrisk knows no default of it");
            let origin = unknown(why, "write `r`", None);
            run.fact(Rank, "r", Some(Rank.domain().interval), origin);
        }
        (said, ranked) => run.set(&rank_row(ranked.map_or("r", |(_, key, _)| key), Absent("")), said),
    }
    match SCALED.iter().find(|(name, _)| *name == kind) {
        Some((_, key)) => {
            run.numbers(&[row(key, Alpha, Real, Is(8.0))]);
            patterns(run);
        }
        None => {
            let why = format!("{kind} scales its update in a way of its own");
            let origin = unknown(why, "limit lora.rank and learning_rate instead", None);
            run.fact(Alpha, "alpha", Some(Alpha.domain().interval), origin);
        }
    }
}

/// `null` is as good as nothing.
fn rank_row(key: &'static str, missing: Missing) -> Row {
    row(key, Rank, Whole, missing).or_null()
}

/// The numbers of a pattern, by module; `None` where one of them is none.
fn pattern(entry: Option<&Entry>, fact: Input) -> Option<Vec<(&str, f64)>> {
    let Some(map) = entry.and_then(|entry| entry.value.map()) else {
        return Some(Vec::new());
    };
    map.entries
        .iter()
        .map(|entry| {
            let number = match resolve(&entry.value.scalar()?.text, Loader::Json) {
                Value::Int(number) => number as f64,
                Value::Float(number) => number,
                _ => return None,
            };
            fact.domain().contains(number).then(|| (entry.name(), number))
        })
        .collect()
}

/// Modules with ranks and alphas of their own. The rank is the largest; where scales differ, alpha is the range that
/// holds every scale at that rank, so that none of them is lost.
fn patterns(run: &mut Run<'_>) {
    const RANKS: &str = "rank_pattern";
    const ALPHAS: &str = "alpha_pattern";
    let (of_rank, of_alpha) = (run.entry(RANKS), run.entry(ALPHAS));
    let Some(entry) = of_rank.or(of_alpha) else { return };
    let place = run.place(entry.value.span);
    let (ranks, alphas) = (pattern(of_rank, Rank), pattern(of_alpha, Alpha));
    let (Some(ranks), Some(alphas)) = (ranks, alphas) else {
        let why = "a pattern gives a module something that is no number";
        for (fact, key) in [(Rank, RANKS), (Alpha, ALPHAS)] {
            let origin = unknown(why, "write whole numbers", Some(place));
            run.fact(fact, key, Some(fact.domain().interval), origin);
        }
        return;
    };
    let known = |fact| run.facts.values(fact).filter(|set| set.is_point()).map(Interval::lo);
    let (Some(rank), Some(alpha)) = (known(Rank), known(Alpha)) else {
        return;
    };
    if ranks.is_empty() && alphas.is_empty() {
        return;
    }
    let stabilised = run.facts.values(RankStabilised).is_none_or(|set| set.hi() > 0.0);
    let per_rank = |rank: f64| if stabilised { rank.sqrt() } else { rank };
    let scales = scales((rank, alpha), &ranks, &alphas).map(|(rank, alpha)| alpha / per_rank(rank));
    let (least, most) = scales.fold((f64::MAX, 0.0_f64), |(least, most), scale| {
        (least.min(scale), most.max(scale))
    });
    let largest = ranks.iter().fold(rank, |largest, (_, rank)| largest.max(*rank));
    if largest > rank {
        run.fact(Rank, RANKS, point(largest), Origin::Given(place));
    }
    let (low, high) = (least * per_rank(largest), most * per_rank(largest));
    let smallest = alphas.iter().fold(alpha, |smallest, (_, alpha)| smallest.min(*alpha));
    if alphas.is_empty() && point(low) == point(high) {
        return;
    }
    let why = format!("modules have scales from {least} to {most}, by rank_pattern and alpha_pattern");
    let origin = unknown(why, "give every module one rank and one alpha", Some(place));
    run.fact(Alpha, ALPHAS, Interval::new(low.min(smallest), high), origin);
}

/// Every pair of rank and alpha that a module can have.
fn scales<'a>(
    (rank, alpha): (f64, f64),
    ranks: &'a [(&'a str, f64)],
    alphas: &'a [(&'a str, f64)],
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let all_ranks = ranks.iter().map(|(_, rank)| *rank).chain([rank]);
    all_ranks.flat_map(move |rank| {
        let all_alphas = alphas.iter().map(|(_, alpha)| *alpha).chain([alpha]);
        all_alphas.map(move |alpha| (rank, alpha))
    })
}

/// A text is one name or pattern.
fn targets(run: &mut Run<'_>) {
    const KEY: &str = "target_modules";
    let is_list = run
        .entry(KEY)
        .is_some_and(|entry| matches!(entry.value.data, Data::List(_)));
    let said = if is_list {
        run.list(KEY)
    } else {
        run.text(KEY).map(|text| vec![text])
    };
    let (words, origin) = match said {
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => {
            let why = "without target_modules PEFT picks the modules by the kind of model";
            (Words::Unknown, unknown(why, "write `target_modules`", None))
        }
    };
    run.tell(Category::LoraTargets, KEY, words, origin);
}

#[cfg(test)]
mod tests {
    use super::{RANKED, SCALED, UNRANKED};

    #[test]
    fn every_kind_stands_once() {
        let mut all: Vec<&str> = RANKED
            .iter()
            .map(|(name, ..)| *name)
            .chain(UNRANKED.iter().copied())
            .collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
        for (scaled, _) in SCALED {
            assert!(RANKED.iter().any(|(name, ..)| name == scaled), "{scaled}");
        }
    }
}
