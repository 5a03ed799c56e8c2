//! What every framework on top of the Hugging Face trainer shares: its words, with ours beside them, and its rules for
//! schedules and steps.
//!
//! Read against transformers 5.8, and 4.55 to 4.57 where they differ. `warmup_ratio` is a key up to 5.14, from 5.0 on under
//! a warning of its own, and gone in 5.15, where parsers refuse it before anything trains. It is no finding: every release
//! that takes it means the same by it, and none passes over it in silence.

use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::table::Missing::Is;
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Null, Row, row};
use crate::facts::Input::{ClipNorm, LearningRate, MaxSteps, MinLearningRate, PerDevice, WarmupRatio, WarmupSteps};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// `optim`, as transformers 5.8 spells it.
pub(super) const OPTIMIZERS: &[(&str, &str)] = &[
    ("adamw_torch", "adamw"),
    ("adamw_torch_fused", "adamw"),
    ("adamw_torch_xla", "adamw"),
    ("adamw_torch_npu_fused", "adamw"),
    ("adamw_apex_fused", "adamw"),
    ("adamw_anyprecision", "adamw"),
    ("adamw_bnb_8bit", "adamw_8bit"),
    ("adamw_8bit", "adamw_8bit"),
    ("adamw_torch_8bit", "adamw_8bit"),
    ("adamw_torch_4bit", "other"),
    ("paged_adamw_32bit", "paged_adamw"),
    ("paged_adamw_8bit", "paged_adamw_8bit"),
    ("adafactor", "adafactor"),
    ("lion_32bit", "lion"),
    ("lion_8bit", "lion"),
    ("paged_lion_32bit", "lion"),
    ("paged_lion_8bit", "lion"),
    ("sgd", "sgd"),
    ("galore_adamw", "galore"),
    ("galore_adamw_8bit", "galore"),
    ("galore_adafactor", "galore"),
    ("galore_adamw_layerwise", "galore"),
    ("galore_adamw_8bit_layerwise", "galore"),
    ("galore_adafactor_layerwise", "galore"),
    ("apollo_adamw", "apollo"),
    ("apollo_adamw_layerwise", "apollo"),
    ("adagrad", "other"),
    ("ademamix", "other"),
    ("ademamix_8bit", "other"),
    ("paged_ademamix_32bit", "other"),
    ("paged_ademamix_8bit", "other"),
    ("rmsprop", "other"),
    ("rmsprop_bnb", "other"),
    ("rmsprop_bnb_8bit", "other"),
    ("rmsprop_bnb_32bit", "other"),
    ("lomo", "other"),
    ("adalomo", "other"),
    ("grokadamw", "other"),
    ("schedule_free_radam", "other"),
    ("schedule_free_adamw", "other"),
    ("schedule_free_sgd", "other"),
    ("stable_adamw", "other"),
];

/// `lr_scheduler_type`, as transformers 5.8 spells it.
pub(super) const SCHEDULERS: &[(&str, &str)] = &[
    ("linear", "linear"),
    ("cosine", "cosine"),
    ("cosine_with_restarts", "cosine_with_restarts"),
    ("polynomial", "polynomial"),
    ("constant", "constant"),
    ("constant_with_warmup", "constant_with_warmup"),
    ("inverse_sqrt", "inverse_sqrt"),
    ("reduce_lr_on_plateau", "reduce_lr_on_plateau"),
    ("cosine_with_min_lr", "cosine_with_min_lr"),
    ("cosine_warmup_with_min_lr", "other"),
    ("warmup_stable_decay", "warmup_stable_decay"),
    ("greedy", "other"),
];

/// `eval_strategy`: whether held-out data are read while the run trains.
pub(super) const STRATEGIES: &[(&str, &str)] = &[("no", "no"), ("steps", "steps"), ("epoch", "epoch")];

const WARMUP_RATIO: Row = row("warmup_ratio", WarmupRatio, Real, Is(0.0)).or_null();
const WARMUP_STEPS: Row = row("warmup_steps", WarmupSteps, Real, Is(0.0));
/// Below 1 it is no number of steps but a share of all updates, so that it may have a fraction.
const ASK_WARMUP_STEPS: Ask = Ask {
    key: "warmup_steps",
    takes: Real,
    domain: Domain::reals(0.0, 9_007_199_254_740_992.0),
    null: Null::Refused,
    usual: Some(0.0),
};

/// `max_steps` wins over epochs when it is above 0; 0 is noticed only after the first update; below 0 is unset.
pub(super) fn max_steps(run: &mut Run<'_>) {
    const ANY: Domain = Domain::integers(-9_007_199_254_740_992.0, 9_007_199_254_740_992.0);
    const KEY: &str = "max_steps";
    let said = run.number(&Ask {
        key: KEY,
        takes: Whole,
        domain: ANY,
        null: Null::Refused,
        usual: Some(-1.0),
    });
    match said {
        Said::Value(steps, place) if steps > 0.0 => run.fact(MaxSteps, KEY, point(steps), Origin::Given(place)),
        Said::Value(0.0, _) => run.fact(
            MaxSteps,
            KEY,
            point(1.0),
            by_default("max_steps: 0 stops after the first update"),
        ),
        Said::Unclear(origin) => run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin),
        Said::Value(..) | Said::Nothing => {
            run.absent(MaxSteps, KEY, "no max_steps is written: num_train_epochs decides")
        }
    }
}

/// The schedule and its warm-up.
pub(super) fn schedule(run: &mut Run<'_>) {
    schedule_or(run, "linear");
}

/// The same where the framework has a default of its own.
pub(super) fn schedule_or(run: &mut Run<'_>, default: &'static str) {
    const KEY: &str = "lr_scheduler_type";
    let (word, origin) = run.word(KEY, SCHEDULERS).or_default(default, run.default());
    run.tell(Category::Scheduler, KEY, one(word), origin);
    floor(run, word);
    let (ratio, steps) = (run.asked(&WARMUP_RATIO), run.number(&ASK_WARMUP_STEPS));
    if let Some("constant" | "reduce_lr_on_plateau") = word {
        let rule = format!("{} never warms up", word.unwrap_or_default());
        run.fact(WarmupRatio, "warmup_ratio", point(0.0), by_default(rule.clone()));
        run.fact(WarmupSteps, "warmup_steps", point(0.0), by_default(rule));
        return;
    }
    match (ratio, steps) {
        // Older versions of transformers take the steps, newer ones the ratio, and a ratio of 1 as one step.
        (Said::Value(ratio, place), steps)
            if ratio >= 1.0
                || steps
                    .given()
                    .is_some_and(|steps| *steps > 0.0 && point(*steps) != point(ratio)) =>
        {
            let why = "how long this warms up depends on the version of transformers";
            let supply = "write only one of warmup_ratio and warmup_steps, the ratio below 1";
            let origin = unknown(why, supply, Some(place));
            run.fact(
                WarmupRatio,
                "warmup_ratio",
                Some(WarmupRatio.domain().interval),
                origin.clone(),
            );
            run.fact(WarmupSteps, "warmup_steps", Some(WarmupSteps.domain().interval), origin);
        }
        // Below 1 it is a share of all updates, under the other name.
        (Said::Nothing, Said::Value(share, place)) if share > 0.0 && share < 1.0 => {
            run.fact(WarmupRatio, "warmup_steps", point(share), Origin::Given(place));
            run.fact(
                WarmupSteps,
                "warmup_steps",
                point(0.0),
                by_default("below 1 it is a share of all updates"),
            );
        }
        (ratio, steps) => {
            run.set(&WARMUP_RATIO, ratio);
            run.set(&WARMUP_STEPS, steps.map(f64::floor));
        }
    }
}

/// The lowest rate of a schedule that has one.
pub(super) fn floor(run: &mut Run<'_>, scheduler: Option<&str>) {
    const KEY: &str = "lr_scheduler_kwargs.min_lr";
    let ask = Ask {
        key: KEY,
        takes: Real,
        domain: MinLearningRate.domain(),
        null: Null::IsDefault,
        usual: None,
    };
    let share = Ask {
        key: "lr_scheduler_kwargs.min_lr_rate",
        domain: Domain::RATIO,
        ..ask
    };
    let (rate, share) = (run.number(&ask), run.number(&share));
    match (scheduler, rate, share, run.facts.values(LearningRate)) {
        (Some("cosine_with_min_lr" | "other"), Said::Value(rate, place), ..) => {
            run.fact(MinLearningRate, KEY, point(rate), Origin::Given(place));
        }
        (Some("cosine_with_min_lr" | "other"), _, Said::Value(share, place), Some(peak)) => {
            let values = peak.map_rising(|peak| peak * share);
            run.fact(
                MinLearningRate,
                "lr_scheduler_kwargs.min_lr_rate",
                values,
                Origin::Given(place),
            );
        }
        (Some("cosine_with_min_lr" | "other"), Said::Unclear(origin), ..)
        | (Some("cosine_with_min_lr" | "other"), _, Said::Unclear(origin), _) => {
            run.fact(MinLearningRate, KEY, Some(MinLearningRate.domain().interval), origin);
        }
        _ => run.absent(MinLearningRate, KEY, "the schedule has no floor"),
    }
}

/// A batch that the trainer makes smaller until it fits.
pub(super) fn found_batch(run: &mut Run<'_>) {
    if let Said::Value(true, place) = run.switch("auto_find_batch_size") {
        let most = run.facts.values(PerDevice).map_or(f64::MAX, Interval::hi);
        let why = "auto_find_batch_size makes the batch smaller until it fits into memory";
        let origin = unknown(why, "write auto_find_batch_size: false", Some(place));
        run.fact(
            PerDevice,
            "per_device_train_batch_size",
            Interval::new(1.0, most),
            origin,
        );
    }
}

/// Clipping by `max_grad_norm` is off at 0.
pub(super) fn clipping(run: &mut Run<'_>) {
    clipping_by(run, "max_grad_norm");
}

/// The same under another key.
pub(super) fn clipping_by(run: &mut Run<'_>, key: &str) {
    let (words, origin) = match run.facts.number(ClipNorm).cloned() {
        Some(norm) if norm.is_known() => (Words::Had(norm.values.is_some_and(|norm| norm.lo() > 0.0)), norm.origin),
        Some(norm) => (Words::Unknown, norm.origin),
        None => (Words::Unknown, by_default("")),
    };
    run.tell(Category::Clipping, key, words, origin);
}

/// Whether held-out data are read while the run trains.
pub(super) fn evaluation(run: &mut Run<'_>) {
    let (strategy, origin) = run.word("eval_strategy", STRATEGIES).or_default("no", run.default());
    let words = strategy.map_or(Words::Unknown, |strategy| Words::Had(strategy != "no"));
    run.tell(Category::Evaluation, "eval_strategy", words, origin);
}
