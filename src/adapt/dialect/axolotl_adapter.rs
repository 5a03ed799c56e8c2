//! Which weights an Axolotl run trains: its adapter, the shape of it, and how the base below it is quantised.

use super::{pydantic, quantized};
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, unknown};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Row, row};
use crate::adapt::tree::Data;
use crate::facts::Input::{Alpha, Dropout, LoraPlusRatio, Rank, RankStabilised};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Interval};

/// What trains.
pub(super) struct Method {
    /// The word of the table of categories; `None` when it is not clear.
    pub(super) word: Option<&'static str>,
    /// What has the shape of the adapter, if there is one.
    pub(super) adapter: Adapter,
}

/// Who shapes the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adapter {
    /// Nobody: there is none.
    None,
    /// The `lora_*` keys.
    Lora,
    /// A plugin that trains elsewhere.
    Hatchery,
    /// Keys that we do not read, or nobody knows.
    Unknown,
}

/// `adapter`, and whether `lora_*` keys shape it.
const ADAPTERS: &[(&str, &str)] = &[
    ("lora", "lora"),
    ("qlora", "qlora"),
    ("llama-adapter", "other"),
    ("mora", "other"),
    ("mixlora", "other"),
];
const HATCHERY: &str = "axolotl.integrations.hatchery.";
/// Plugins that freeze most layers.
const SPECTRUM: &str = "axolotl.integrations.spectrum.";

const LORA: &[Row] = &[
    row("lora_dropout", Dropout, Real, Is(0.0)).or_null(),
    row(
        "loraplus_lr_ratio",
        LoraPlusRatio,
        Real,
        Absent("no loraplus_lr_ratio is written: A and B learn at one rate"),
    )
    .or_null(),
];
const RANK: Row = row("lora_r", Rank, Whole, Absent("")).or_null();
const ALPHA: Row = row("lora_alpha", Alpha, Whole, Absent("")).or_null();
const HATCHERY_RANK: Row = row("hatchery.lora_rank", Rank, Whole, Is(32.0));

/// The model, how it is quantised, and which of its weights train.
pub(super) fn method(run: &mut Run<'_>) -> Method {
    run.named(Category::Model, "base_model", "the run file names no model");
    let revision = match run.text("revision_of_model") {
        Said::Nothing => (run.text("model_revision"), "model_revision"),
        said => (said, "revision_of_model"),
    };
    let (word, origin) = revision.0.or_default("main".into(), run.default());
    run.tell(Category::ModelRevision, revision.1, one(word.as_deref()), origin);
    let bits = quantization(run);
    let (method, origin, key) = trained(run, bits);
    run.tell(Category::Method, key, one(method.word), origin);
    method
}

fn trained(run: &mut Run<'_>, bits: Option<&'static str>) -> (Method, Origin, &'static str) {
    let answer = |word, adapter, origin, key| (Method { word, adapter }, origin, key);
    let (word, place) = match adapter(run) {
        Said::Unclear(origin) => return answer(None, Adapter::Unknown, origin, "adapter"),
        Said::Nothing => {
            let (word, adapter, origin, key) = without(run);
            return answer(Some(word), adapter, origin, key);
        }
        Said::Value("other", place) => return answer(Some("other"), Adapter::Unknown, Origin::Given(place), "adapter"),
        Said::Value(word, place) => (word, place),
    };
    for (key, other) in [("relora", "other"), ("peft_use_dora", "dora")] {
        match pydantic::switch(run, key) {
            Said::Value(true, place) => return answer(Some(other), Adapter::Lora, Origin::Given(place), key),
            Said::Unclear(origin) => return answer(None, Adapter::Lora, origin, key),
            _ => {}
        }
    }
    let word = match (word, bits) {
        ("lora", Some(base)) => quantized::tuned_as(base),
        _ => word,
    };
    answer(Some(word), Adapter::Lora, Origin::Given(place), "adapter")
}

/// The word of `adapter`; one of a plugin is another.
fn adapter(run: &mut Run<'_>) -> Said<&'static str> {
    if !pydantic::is_true(run, "adapter") {
        return Said::Nothing;
    }
    let known = match run.text("adapter") {
        Said::Value(text, place) if !ADAPTERS.iter().any(|(name, _)| *name == text) => {
            // A plugin may bring an adapter under any name.
            (!plugins(run).is_empty()).then_some(Said::Value("other", place))
        }
        _ => None,
    };
    known.unwrap_or_else(|| run.word("adapter", ADAPTERS))
}

/// What trains where no adapter is written, whatever `lora_*` keys stand there.
fn without(run: &mut Run<'_>) -> (&'static str, Adapter, Origin, &'static str) {
    let named = plugins(run);
    for (start, word, adapter) in [
        (HATCHERY, "lora", Adapter::Hatchery),
        (SPECTRUM, "freeze", Adapter::None),
    ] {
        if named.iter().any(|plugin| plugin.starts_with(start))
            && let Some(origin) = run.written("plugins")
        {
            return (word, adapter, origin, "plugins");
        }
    }
    const UNFROZEN: &str = "unfrozen_parameters";
    if pydantic::is_true(run, UNFROZEN)
        && let Some(origin) = run.written(UNFROZEN)
    {
        return ("freeze", Adapter::None, origin, UNFROZEN);
    }
    let rule = "without `adapter` Axolotl trains every weight";
    ("full", Adapter::None, by_default(rule), "adapter")
}

/// How the base is quantised.
fn quantization(run: &mut Run<'_>) -> Option<&'static str> {
    let (word, origin, key) = quantized::by_name(run, "base_model")
        .map(|base| (base.word, base.origin, base.key))
        .unwrap_or_else(|| by_keys(run));
    run.tell(Category::Quantization, key, one(word), origin);
    word
}

fn by_keys(run: &mut Run<'_>) -> (Option<&'static str>, Origin, &'static str) {
    for (key, word) in [("load_in_4bit", "4bit"), ("load_in_8bit", "8bit"), ("gptq", "gptq")] {
        match pydantic::switch(run, key) {
            Said::Value(true, place) => return (Some(word), Origin::Given(place), key),
            Said::Unclear(origin) => return (None, origin, key),
            _ => {}
        }
    }
    const CONFIGS: &[(&str, &str)] = &[("Mxfp4Config", "other"), ("FineGrainedFP8Config", "fp8")];
    const CONFIG: &str = "model_quantization_config";
    let rule = "no load_in_4bit or load_in_8bit is written, and the model's name names no quantisation";
    const DEQUANTIZE: &str = "model_quantization_config_kwargs.dequantize";
    let (word, origin) = pydantic::word(run, CONFIG, CONFIGS).or_default("none", rule);
    // What is quantised only on disk trains as if it never was.
    if word.is_some_and(|word| word != "none") {
        match pydantic::switch(run, DEQUANTIZE) {
            Said::Value(true, place) => return (Some("none"), Origin::Given(place), DEQUANTIZE),
            Said::Unclear(origin) => return (None, origin, DEQUANTIZE),
            _ => {}
        }
    }
    (word, origin, if word == Some("none") { "load_in_4bit" } else { CONFIG })
}

/// Rank, alpha and targets of the adapter, where there is one.
pub(super) fn shape(run: &mut Run<'_>, method: &Method) {
    match method.adapter {
        Adapter::Lora => {
            pydantic::numbers(run, LORA);
            let said = pydantic::switch(run, "peft_use_rslora").map(|on| f64::from(u8::from(on)));
            run.set(&row("peft_use_rslora", RankStabilised, Whole, Is(0.0)), said);
            let continued = run.text("lora_model_dir");
            if let Said::Value(_, place) = continued {
                trained_on(run, Origin::Given(place));
                return;
            }
            shaped(run, &RANK, "lora_rank_pattern");
            shaped(run, &ALPHA, "lora_alpha_pattern");
            targets(run);
        }
        Adapter::Hatchery => {
            pydantic::numbers(run, &[HATCHERY_RANK]);
            open(
                run,
                "Hatchery's service decides on alpha and targets",
                &[Alpha, RankStabilised],
            );
            run.absent(Dropout, "lora_dropout", "Hatchery does not read lora_dropout");
            run.absent(LoraPlusRatio, "loraplus_lr_ratio", "Hatchery has no LoRA+");
        }
        Adapter::Unknown => {
            let why = "ftrisk does not read the shape of this adapter";
            open(run, why, &[Rank, Alpha, RankStabilised, Dropout]);
            run.absent(LoraPlusRatio, "loraplus_lr_ratio", "only LoRA has a LoRA+ ratio");
        }
        Adapter::None => {
            let phrase = match method.word {
                Some("freeze") => "freeze tuning",
                Some("full") => "full fine-tuning",
                _ => "a run without an adapter",
            };
            for (fact, key) in KEYS {
                run.absent(*fact, key, format!("{phrase} has no {}", fact.name()));
            }
            let origin = by_default(format!("{phrase} has no adapter"));
            run.tell(Category::LoraTargets, "lora_target_modules", Words::Absent, origin);
        }
    }
}

/// Facts of an adapter, with their keys.
const KEYS: &[(crate::facts::Input, &str)] = &[
    (Rank, "lora_r"),
    (Alpha, "lora_alpha"),
    (Dropout, "lora_dropout"),
    (RankStabilised, "peft_use_rslora"),
    (LoraPlusRatio, "loraplus_lr_ratio"),
];

/// Says that these facts and the targets are not known.
fn open(run: &mut Run<'_>, why: &str, facts: &[crate::facts::Input]) {
    let origin = unknown(why, "train with `adapter: lora`, whose keys ftrisk reads", None);
    for (fact, key) in KEYS.iter().filter(|(fact, _)| facts.contains(fact)) {
        run.fact(*fact, key, Some(fact.domain().interval), origin.clone());
    }
    run.tell(Category::LoraTargets, "lora_target_modules", Words::Unknown, origin);
}

/// An adapter that is trained on keeps its own shape, whatever the file says.
fn trained_on(run: &mut Run<'_>, given: Origin) {
    let place = match given {
        Origin::Given(place) => Some(place),
        _ => None,
    };
    let why = "the adapter of lora_model_dir is trained on, with its own rank, alpha and targets";
    let supply = "leave lora_model_dir out, or look into that adapter's adapter_config.json";
    let origin = unknown(why, supply, place);
    for (fact, key) in KEYS
        .iter()
        .filter(|(fact, _)| matches!(fact, Rank | Alpha | RankStabilised))
    {
        run.fact(*fact, key, Some(fact.domain().interval), origin.clone());
    }
    run.tell(Category::LoraTargets, "lora_target_modules", Words::Unknown, origin);
}

/// A number of the adapter that has no default, and that a pattern may change for some modules.
fn shaped(run: &mut Run<'_>, asked: &Row, pattern: &'static str) {
    let said = match pydantic::number(run, &asked.ask()) {
        Said::Nothing => pydantic::needed(
            run,
            asked.key,
            "Axolotl has no default, and PEFT makes no adapter without it",
        ),
        said => said,
    };
    run.set(asked, said);
    let Some(entry) = run.entry(pattern).filter(|_| pydantic::is_true(run, pattern)) else {
        return;
    };
    let keys = entry.value.map().map(|map| map.entries.len()).unwrap_or_default();
    let mut values = run.facts.values(asked.fact);
    for i in 0..keys {
        let text = entry
            .value
            .map()
            .and_then(|map| map.entries.get(i))
            .and_then(|entry| entry.value.scalar());
        let number = text.and_then(|scalar| scalar.text.trim().parse::<f64>().ok());
        values = match (values, number) {
            (Some(set), Some(number)) => Interval::new(set.lo().min(number), set.hi().max(number)),
            _ => Some(asked.fact.domain().interval),
        };
    }
    let why = format!("`{pattern}` gives some modules another one");
    let place = Some(run.place(entry.value.span));
    run.fact(
        asked.fact,
        asked.key,
        values,
        unknown(why, format!("leave `{pattern}` out"), place),
    );
}

/// `lora_target_linear` adds every linear module to those that are named; parameters of experts come on top.
fn targets(run: &mut Run<'_>) {
    const KEY: &str = "lora_target_modules";
    let linear = pydantic::switch(run, "lora_target_linear");
    let mut all: Vec<String> = Vec::new();
    let (mut key, mut origin) = (KEY, None);
    match linear {
        Said::Value(true, place) => {
            all.push("all-linear".to_owned());
            (key, origin) = ("lora_target_linear", Some(Origin::Given(place)));
        }
        Said::Unclear(why) => return run.tell(Category::LoraTargets, "lora_target_linear", Words::Unknown, why),
        _ => {}
    }
    for from in [KEY, "lora_target_parameters"] {
        if pydantic::is_null(run, from) {
            continue;
        }
        let said = match names(run, from) {
            Said::Unclear(why) => return run.tell(Category::LoraTargets, from, Words::Unknown, why),
            Said::Nothing => continue,
            Said::Value(names, place) => (names, place),
        };
        let is_all = all.first().is_some_and(|first| first == "all-linear");
        // What is a projection by its name is among the linear modules.
        let new = said
            .0
            .into_iter()
            .filter(|name| !(is_all && from == KEY && name.ends_with("_proj")));
        all.extend(new);
        if origin.is_none() {
            (key, origin) = (from, Some(Origin::Given(said.1)));
        }
    }
    let (words, origin) = match origin {
        Some(origin) if !all.is_empty() => (Words::Set(all), origin),
        _ => {
            let why = "no lora_target_* is written, and what PEFT then targets depends on the model";
            let origin = unknown(why, "write lora_target_modules or lora_target_linear: true", None);
            (Words::Unknown, origin)
        }
    };
    run.tell(Category::LoraTargets, key, words, origin);
}

/// Names in a list, or one pattern, commas and all.
fn names(run: &mut Run<'_>, key: &str) -> Said<Vec<String>> {
    if run.entry(key).is_some_and(|entry| entry.value.scalar().is_some()) {
        run.text(key).map(|pattern| vec![pattern])
    } else {
        run.list(key)
    }
}

/// The plugins that the run names.
pub(super) fn plugins(run: &Run<'_>) -> Vec<String> {
    match run.entry("plugins").map(|entry| &entry.value.data) {
        Some(Data::List(items)) => items
            .iter()
            .filter_map(|item| item.scalar().map(|scalar| scalar.text.to_string()))
            .collect(),
        _ => Vec::new(),
    }
}
