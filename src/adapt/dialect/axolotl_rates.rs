//! How fast an Axolotl run learns: its rates, their schedule with its warm-up, and the optimizer.

use super::hf::{self, SCHEDULERS};
use super::pydantic::{self, is_true};
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Null, Row, row};
use crate::adapt::tree::Data;
use crate::facts::Input::{LearningRate, LoraPlusRatio, MaxSteps, MinLearningRate, WarmupRatio, WarmupSteps};
use crate::facts::{Derived, Facts, Input, NumberFact, Origin, derive};
use crate::quantity::{Category, Domain, Interval, Quantity};
use crate::source::Place;

const RATE: Row = row("learning_rate", LearningRate, Real, Absent(""));
const RATIO: Row = row("warmup_ratio", WarmupRatio, Real, Is(0.03)).or_null();
const STEPS: Row = row("warmup_steps", WarmupSteps, Whole, Is(0.0)).or_null();

/// Optimizers that Axolotl has beside those of transformers.
const OPTIMIZERS: &[(&str, &str)] = &[
    ("optimi_adamw", "adamw"),
    ("ao_adamw_fp8", "other"),
    ("adopt_adamw", "other"),
    ("adamc", "other"),
    ("came_pytorch", "other"),
    ("muon", "muon"),
    ("muon_8bit", "muon"),
    ("dion", "other"),
    ("polora", "other"),
    ("scao", "other"),
    ("sinkgd", "other"),
    ("flash_adamw", "adamw"),
    ("flash_adam", "adam"),
    ("flash_sgd", "sgd"),
    ("flash_sgdw", "sgd"),
    ("flash_lion", "lion"),
    ("q_galore_adamw8bit", "galore"),
];

/// The longest warm-up that Axolotl chooses itself.
const LONGEST: f64 = 100.0;

/// Reads rates, schedule and optimizer; `method` and `stage` are the words of the table of categories.
pub(super) fn read(run: &mut Run<'_>, method: Option<&str>, stage: Option<&str>) {
    peak(run, method);
    let word = schedule(run);
    if let Some("constant" | "reduce_lr_on_plateau") = word {
        let rule = format!("{} never warms up", word.unwrap_or_default());
        run.fact(WarmupRatio, RATIO.key, point(0.0), by_default(rule.clone()));
        run.fact(WarmupSteps, STEPS.key, point(0.0), by_default(rule));
    } else {
        warmup(run, stage);
    }
    let known: Vec<_> = hf::OPTIMIZERS.iter().chain(OPTIMIZERS).copied().collect();
    let (word, origin) = run.word("optimizer", &known).or_default("adamw", run.default());
    run.tell(Category::Optimizer, "optimizer", one(word), origin);
}

/// A rate of its own that some weights have.
struct Own {
    key: &'static str,
    place: Place,
    /// `None` where it is not clear.
    rate: Option<f64>,
    /// Whether such weights train for certain.
    is_certain: bool,
}

/// The highest rate of any weight, as far as the file says which train.
fn peak(run: &mut Run<'_>, method: Option<&str>) {
    let said = match pydantic::number(run, &RATE.ask()) {
        Said::Nothing => pydantic::needed(run, RATE.key, "Axolotl has no default for it"),
        said => said,
    };
    run.set(&RATE, said);
    let Some(rate) = run.facts.values(LearningRate) else {
        return;
    };
    let own = own_rates(run, rate, method);
    let Some(highest) = own.iter().max_by(|a, b| order(a).total_cmp(&order(b))) else {
        return;
    };
    let top = order(highest);
    if top <= rate.hi() {
        return;
    }
    if highest.is_certain && rate.is_point() && top < f64::MAX {
        run.fact(LearningRate, highest.key, point(top), Origin::Given(highest.place));
        return;
    }
    let why = format!(
        "`{}` is above learning_rate, for weights that may or may not train",
        highest.key
    );
    let supply = format!("write a `{}` of at most learning_rate, or leave it out", highest.key);
    let origin = unknown(why, supply, Some(highest.place));
    run.fact(LearningRate, RATE.key, Interval::new(rate.lo(), top), origin);
}

fn order(own: &Own) -> f64 {
    own.rate.unwrap_or(f64::MAX)
}

fn own_rates(run: &mut Run<'_>, rate: Interval, method: Option<&str>) -> Vec<Own> {
    let ask = |key| Ask {
        key,
        takes: Real,
        domain: Domain::reals(0.0, f64::MAX),
        null: Null::IsDefault,
        usual: None,
    };
    let is_full = method == Some("full");
    let has_plus = run.facts.values(LoraPlusRatio).is_some();
    // LoRA+ looks at neither embedding_lr nor lr_groups.
    let keys: &[&'static str] = match (has_plus, is_true(run, "embedding_lr_scale")) {
        (true, _) => &["loraplus_lr_embedding", "dion_lr"],
        (false, true) => &["embedding_lr_scale", "dion_lr"],
        (false, false) => &["embedding_lr", "dion_lr"],
    };
    let mut found = Vec::new();
    for key in keys {
        let is_dion = matches!(run.text("optimizer"), Said::Value(word, _) if word == "dion");
        if *key == "dion_lr" && !is_dion {
            continue;
        }
        let (value, place) = match pydantic::number(run, &ask(key)) {
            Said::Nothing => continue,
            Said::Value(value, place) => (Some(value), place),
            Said::Unclear(_) => match run.written(key) {
                Some(Origin::Given(place)) => (None, place),
                _ => continue,
            },
        };
        let factor = if *key == "embedding_lr_scale" { rate.hi() } else { 1.0 };
        found.push(Own {
            key,
            place,
            rate: value.map(|value| value * factor),
            is_certain: is_full || *key == "dion_lr",
        });
    }
    if !has_plus {
        found.extend(groups(run));
    }
    found
}

/// The rates of `lr_groups`.
fn groups(run: &Run<'_>) -> Vec<Own> {
    const KEY: &str = "lr_groups";
    let Some(entry) = run.entry(KEY) else { return Vec::new() };
    let Data::List(items) = &entry.value.data else {
        return Vec::new();
    };
    let rate = items.iter().map(|item| {
        let rate = item.map().and_then(|group| group.get("lr"));
        let number = rate
            .and_then(|rate| rate.value.scalar())
            .and_then(|scalar| scalar.text.trim().parse::<f64>().ok())
            .filter(|rate| rate.is_finite());
        Own {
            key: KEY,
            place: run.place(rate.map_or(item.span, |rate| rate.value.span)),
            rate: number,
            is_certain: false,
        }
    });
    rate.collect()
}

/// The schedule, in words; what Axolotl adds to a cosine makes another one of it.
fn schedule(run: &mut Run<'_>) -> Option<&'static str> {
    const KEY: &str = "lr_scheduler";
    let own = [("one_cycle", "other"), ("rex", "other")];
    let known: Vec<_> = SCHEDULERS.iter().chain(&own).copied().collect();
    let (mut word, mut origin) = pydantic::word(run, KEY, &known).or_default("cosine", run.default());
    let mut key = KEY;
    let floor = pydantic::number(
        run,
        &Ask {
            domain: Domain::RATIO,
            ..row("cosine_min_lr_ratio", MinLearningRate, Real, Absent(""))
                .or_null()
                .ask()
        },
    );
    hf::floor(run, word);
    if word == Some("cosine") {
        let bends = ["lr_quadratic_warmup"].into_iter().find(|key| is_true(run, key));
        match (bends, floor) {
            (Some(bend), _) => (word, key) = (Some("other"), bend),
            (None, Said::Unclear(why)) => (word, origin, key) = (None, why, "cosine_min_lr_ratio"),
            (None, Said::Value(share, place)) if share > 0.0 => {
                key = "cosine_min_lr_ratio";
                word = Some(if is_true(run, "cosine_constant_lr_ratio") {
                    "other"
                } else {
                    "cosine_with_min_lr"
                });
                origin = Origin::Given(place);
                let values = run
                    .facts
                    .values(LearningRate)
                    .and_then(|peak| peak.map_rising(|peak| peak * share));
                run.fact(MinLearningRate, key, values, Origin::Given(place));
            }
            _ => {}
        }
    }
    if is_true(run, "jagged_restart_steps") {
        (word, key) = (Some("other"), "jagged_restart_steps");
    }
    if let Some(given) = run.written(key).filter(|_| word == Some("other")) {
        origin = given;
    }
    run.tell(Category::Scheduler, key, one(word), origin);
    word
}

/// The warm-up, which Axolotl counts in updates before it hands it over.
fn warmup(run: &mut Run<'_>, stage: Option<&str>) {
    let (ratio, steps) = (pydantic::number(run, &RATIO.ask()), pydantic::number(run, &STEPS.ask()));
    if is_true(run, RATIO.key) && is_true(run, STEPS.key) {
        let why = "warmup_steps and warmup_ratio exclude each other";
        let place = run.entry(STEPS.key).map(|entry| run.place(entry.value.span));
        let origin = unknown(why, "delete one of them", place);
        for row in [&RATIO, &STEPS] {
            run.fact(row.fact, row.key, Some(row.fact.domain().interval), origin.clone());
        }
        return;
    }
    let base = counted_from(run, stage);
    match (ratio, steps) {
        (_, Said::Value(steps, place)) => {
            run.fact(WarmupSteps, STEPS.key, point(at_least_two(steps)), Origin::Given(place));
            let rule = "warmup_steps is written";
            run.fact(WarmupRatio, RATIO.key, point(0.0), by_default(rule));
        }
        (_, Said::Unclear(origin)) => {
            run.set(&STEPS, Said::Unclear(origin.clone()));
            run.set(&RATIO, Said::Unclear(origin));
        }
        (Said::Nothing, Said::Nothing) => unwritten(run, base),
        (Said::Value(share, place), Said::Nothing) => {
            share_of(run, share, place, base);
            run.set(&STEPS, Said::Nothing);
        }
        (unclear, Said::Nothing) => {
            run.set(&RATIO, unclear);
            run.set(&STEPS, Said::Nothing);
        }
    }
}

/// The updates from which Axolotl counts a warm-up: the smaller of max_steps and what the epochs make.
/// `None` where it counts nothing and leaves the share to transformers.
fn counted_from(run: &Run<'_>, stage: Option<&str>) -> Option<Interval> {
    if matches!(stage, Some("grpo" | "ebft")) {
        return None;
    }
    let most = run.facts.values(MaxSteps);
    if is_true(run, "streaming") || is_true(run, "pretraining_dataset") {
        return most;
    }
    // Preference tuning looks at the epochs alone.
    let is_preference = is_true(run, "rl");
    let by_epochs = match derive(Quantity::Updates, &without(&run.facts, MaxSteps)) {
        Derived::Values { values, .. } => values,
        _ => MaxSteps.domain().interval,
    };
    match most.filter(|_| !is_preference) {
        Some(most) => Interval::new(by_epochs.lo().min(most.lo()), by_epochs.hi().min(most.hi())),
        None => Some(by_epochs),
    }
}

/// The facts of the same run if it had no such number.
fn without(facts: &Facts, input: Input) -> Facts {
    let mut facts = facts.clone();
    let fact = NumberFact {
        values: None,
        origin: by_default(""),
        key: Default::default(),
    };
    facts.set(input, fact);
    facts
}

/// One update of warm-up is made two.
fn at_least_two(steps: f64) -> f64 {
    if steps == 1.0 { 2.0 } else { steps }
}

/// Axolotl's own warm-up for a run of `updates`.
fn chosen(updates: f64) -> f64 {
    at_least_two((0.03 * updates).floor().min(LONGEST))
}

/// The warm-up that nobody wrote: 3 % of the updates, rounded down, and at most 100 of them.
fn unwritten(run: &mut Run<'_>, base: Option<Interval>) {
    const RULE: &str = "Axolotl's default: 3 % of the updates, at most 100 of them";
    let Some(updates) = base else {
        run.fact(WarmupRatio, RATIO.key, point(0.03), by_default("Axolotl's default"));
        run.fact(WarmupSteps, STEPS.key, point(0.0), by_default(RULE));
        return;
    };
    let is_fixed = run.facts.values(MaxSteps).is_some();
    let open = unknown(
        "Axolotl warms up for 3 % of the updates, at most 100 of them, and how many there are is not known",
        "write warmup_ratio or warmup_steps",
        None,
    );
    let steps = Interval::new(chosen(updates.lo()), chosen(updates.hi()));
    if updates.is_point() || is_fixed {
        let origin = if steps.is_some_and(Interval::is_point) {
            by_default(RULE)
        } else {
            open
        };
        run.fact(WarmupSteps, STEPS.key, steps, origin);
        run.fact(WarmupRatio, RATIO.key, point(0.0), by_default(RULE));
        return;
    }
    // As a share: a short run rounds to nothing or to two updates, a long one is held at a hundred.
    let (lo, hi) = (updates.lo(), updates.hi());
    let least = if lo < 34.0 {
        0.0
    } else {
        (0.03 - 1.0 / lo).min(LONGEST / hi).max(0.0)
    };
    let most = if lo <= 66.0 && hi >= 34.0 {
        2.0 / lo.max(34.0)
    } else {
        0.03
    };
    run.fact(WarmupRatio, RATIO.key, Interval::new(least, most), open);
    run.fact(WarmupSteps, STEPS.key, point(0.0), by_default(RULE));
}

/// A warm-up as a share of updates that may be fewer than the run has.
fn share_of(run: &mut Run<'_>, share: f64, place: Place, base: Option<Interval>) {
    let all = run.facts.values(MaxSteps);
    let is_all = match (base, all) {
        (Some(base), Some(all)) => base == all,
        _ => true,
    };
    let (Some(base), Some(all), false) = (base, all, is_all) else {
        run.fact(WarmupRatio, RATIO.key, point(share), Origin::Given(place));
        return;
    };
    let why = "Axolotl takes warmup_ratio of the updates that num_epochs makes, where these are fewer than max_steps";
    let origin = unknown(why, "write warmup_steps", Some(place));
    let values = Interval::new(
        (share * base.lo() / all.hi()).min(1.0),
        (share * base.hi() / all.lo()).min(1.0),
    );
    run.fact(WarmupRatio, RATIO.key, values, origin);
}
