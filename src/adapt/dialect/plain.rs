//! What frameworks that stand on PyTorch or MLX alone share: optimizers by the name of their class, keys that must be
//! there, and runs that end at whichever of two bounds comes first.
//!
//! Defaults were read in PyTorch 2.9, bitsandbytes 0.48, torchao 0.14, Transformer Engine 2, flashoptim 0.1 and NeMo
//! Automodel 0.7.
//!
//! A rate that is missing is the default of the optimizer's class, as the framework makes the class without it; where
//! the framework itself asks for the rate, it is required.

use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::table::Row;
use crate::adapt::table::Takes::Real;
use crate::adapt::table::{Missing, row};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::{
    Accumulation, ClipNorm, LearningRate, MaxSteps, ModelParallel, PerDevice, Rows, Seed, WeightDecay, WorldSize,
};
use crate::facts::{Input, Origin, Words};
use crate::quantity::{Category, Interval};

/// An optimizer: the package, the class, our word, and the defaults of its learning rate and weight decay.
type Optimizer = (&'static str, &'static str, &'static str, f64, f64);

const OPTIMIZERS: &[Optimizer] = &[
    ("torch", "AdamW", "adamw", 1e-3, 0.01),
    ("torch", "Adam", "adam", 1e-3, 0.0),
    ("torch", "SGD", "sgd", 1e-3, 0.0),
    ("torch", "Adafactor", "adafactor", 1e-2, 0.0),
    ("torch", "Muon", "muon", 1e-3, 0.1),
    ("bitsandbytes", "AdamW", "adamw", 1e-3, 0.01),
    ("bitsandbytes", "AdamW32bit", "adamw", 1e-3, 0.01),
    ("bitsandbytes", "AdamW8bit", "adamw_8bit", 1e-3, 0.01),
    ("bitsandbytes", "PagedAdamW", "paged_adamw", 1e-3, 0.01),
    ("bitsandbytes", "PagedAdamW32bit", "paged_adamw", 1e-3, 0.01),
    ("bitsandbytes", "PagedAdamW8bit", "paged_adamw_8bit", 1e-3, 0.01),
    ("bitsandbytes", "Adam", "adam", 1e-3, 0.0),
    ("bitsandbytes", "Lion", "lion", 1e-4, 0.0),
    ("bitsandbytes", "Lion8bit", "lion", 1e-4, 0.0),
    ("torchao", "AdamW8bit", "adamw_8bit", 1e-3, 0.01),
    ("torchao", "AdamW4bit", "other", 1e-3, 0.01),
    ("torchao", "AdamWFp8", "other", 1e-3, 0.01),
    ("transformer_engine", "FusedAdam", "adamw", 1e-3, 0.0),
    ("flashoptim", "FlashAdamW", "adamw", 1e-3, 0.01),
    // NeMo Automodel's own, and what it makes of Dion's.
    ("nemo_automodel", "AdamConfig", "adam", 1e-4, 0.01),
    ("nemo_automodel", "AdamWConfig", "adamw", 1e-4, 0.01),
    ("nemo_automodel", "FusedAdamConfig", "adamw", 1e-4, 0.01),
    ("nemo_automodel", "FlashAdamWConfig", "adamw", 1e-4, 0.01),
    ("nemo_automodel", "MuonConfig", "muon", 5e-4, 0.0),
    ("dion", "Muon", "muon", 5e-4, 0.0),
];

/// Sets the optimizer that a class is, and with it the learning rate and the weight decay; `class` is a dotted path.
pub(super) fn optimizer(
    run: &mut Run<'_>,
    (key, class): (&'static str, Said<String>),
    rate: &'static str,
    decay: &'static str,
) {
    let name = class.given().cloned();
    let known = name.as_deref().and_then(|path| {
        let package = path.split('.').next().unwrap_or(path);
        let class = path.rsplit('.').next().unwrap_or(path);
        OPTIMIZERS.iter().find(|(of, is, ..)| *of == package && *is == class)
    });
    let (word, origin) = match class {
        Said::Value(_, place) => (
            Some(known.map_or("other", |(_, _, word, ..)| *word)),
            Origin::Given(place),
        ),
        Said::Unclear(origin) => (None, origin),
        Said::Nothing => (
            None,
            unknown("the run file names no optimizer", format!("write `{key}`"), None),
        ),
    };
    run.tell(Category::Optimizer, key, one(word), origin);
    let class = known.map_or("", |(_, class, ..)| class);
    let of_class = format!("the default of {class}");
    let rule = |value: f64| (value, of_class.as_str());
    let why = "the optimizer's own default is not known";
    or_else(
        run,
        &row(rate, LearningRate, Real, Missing::Absent("")),
        known.map(|found| rule(found.3)),
        why,
    );
    or_else(
        run,
        &row(decay, WeightDecay, Real, Missing::Absent("")),
        known.map(|found| rule(found.4)),
        why,
    );
}

/// Sets the fact of a row; without the key it is this default, or not known because of `why`.
pub(super) fn or_else(run: &mut Run<'_>, row: &Row, default: Option<(f64, &str)>, why: &str) {
    match (run.asked(row), default) {
        (Said::Nothing, Some((value, rule))) => run.fact(row.fact, row.key, point(value), by_default(rule)),
        (Said::Nothing, None) => {
            let origin = unknown(why, format!("write `{}`", row.key), None);
            run.fact(row.fact, row.key, Some(row.fact.domain().interval), origin);
        }
        (said, _) => run.set(row, said),
    }
}

/// Sets the fact of a row whose key has to be there: the framework fails without it.
pub(super) fn required(run: &mut Run<'_>, row: &Row) {
    if run.asked(row) == Said::Nothing {
        missing(run, row.key);
    }
    or_else(run, row, None, "the framework has no default for it");
}

/// Reports a key that has to be there and is not.
pub(super) fn missing(run: &mut Run<'_>, key: &str) {
    if let Some(goes) = run.key(key).goes {
        let framework = run.facts.framework;
        let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` is missing"))
            .at(goes, "it would go here")
            .help(format!("write it; {framework} has no default for it, and fails"));
        run.diagnostics.push(diagnostic);
    }
}

/// Says that nothing is clipped, and that no key would change it.
pub(super) fn cannot_clip(run: &mut Run<'_>, rule: &str) {
    run.nameless(ClipNorm, point(0.0), by_default(rule));
    run.tell_nameless(Category::Clipping, Words::Had(false), by_default(rule));
}

/// Says that nothing is clipped: no norm bounds the gradient.
pub(super) fn never_clips(run: &mut Run<'_>, key: &str, rule: &str) {
    run.fact(ClipNorm, key, point(0.0), by_default(rule));
    run.tell(Category::Clipping, key, Words::Had(false), by_default(rule));
}

/// Says whether the run is seeded, where no seed means a random one.
pub(super) fn seeded(run: &mut Run<'_>, key: &str) {
    let (words, origin) = match run.facts.number(Seed).cloned() {
        Some(seed) if seed.is_known() => (Words::Had(true), seed.origin),
        Some(seed) if seed.values.is_none() => (Words::Had(false), seed.origin),
        Some(seed) => (Words::Unknown, seed.origin),
        None => (Words::Had(false), by_default("no seed is written")),
    };
    run.tell(Category::Seed, key, words, origin);
}

/// Says that the run has none of these numbers.
pub(super) fn none_of(run: &mut Run<'_>, facts: &[(Input, &str)], phrase: &str) {
    for (fact, key) in facts {
        run.absent(*fact, key, format!("{phrase} has no {}", fact.name()));
    }
}

/// The one value of a number.
pub(super) fn sole(run: &Run<'_>, fact: Input) -> Option<f64> {
    run.facts
        .values(fact)
        .filter(|values| values.is_point())
        .map(Interval::lo)
}

/// Updates of a pass that drops what fills no window, where everything is known that it follows from.
pub(super) fn updates_of_a_pass(run: &Run<'_>) -> Option<f64> {
    let shared = match run.facts.values(ModelParallel) {
        None => 1.0,
        Some(_) => sole(run, ModelParallel)?,
    };
    let copies = (sole(run, WorldSize)? / shared).floor().max(1.0);
    let window = sole(run, PerDevice)? * sole(run, Accumulation)? * copies;
    Some((sole(run, Rows)? / window).floor())
}

/// A bound on the updates, beside the passes: whichever comes first ends the run.
///
/// `bound` is what the bound allows in all, `passes` what the passes make, where that is known. While it is not, the
/// run may end earlier than the bound says.
pub(super) fn first_of(run: &mut Run<'_>, key: &'static str, bound: f64, passes: Option<f64>, given: Origin) {
    let domain = MaxSteps.domain().interval;
    let bound = bound.clamp(domain.lo(), domain.hi());
    match passes {
        Some(passes) if passes <= bound => run.absent(MaxSteps, key, format!("the passes end before `{key}` does")),
        Some(_) => run.fact(MaxSteps, key, point(bound), given),
        None => {
            let why = format!("the passes may end before `{key}` does");
            let place = match given {
                Origin::Given(place) => Some(place),
                _ => None,
            };
            let origin = unknown(why, "say --dataset-rows N and --world-size N", place);
            run.fact(MaxSteps, key, Interval::new(domain.lo(), bound), origin);
        }
    }
}

/// Reports a value that is written and that the framework refuses.
pub(super) fn refuse(run: &mut Run<'_>, key: &str, why: &str, help: &str) {
    if let Some(entry) = run.entry(key) {
        let place = run.place(entry.key.span.to(entry.value.span));
        let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` {why}"))
            .at(place, format!("{} refuses this", run.facts.framework))
            .help(help);
        run.diagnostics.push(diagnostic);
    }
}
