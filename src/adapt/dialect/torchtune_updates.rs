//! How many updates torchtune's recipes make: passes, steps, or prompts.

use super::plain;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, point, unknown};
use crate::adapt::table::Missing::Absent;
use crate::adapt::table::Takes::Whole;
use crate::adapt::table::{Ask, Null, Row, row};
use crate::facts::Input::{Accumulation, Epochs, MaxSteps, PerDevice};
use crate::facts::Origin;
use crate::quantity::Interval;

const EPOCHS: Row = row("epochs", Epochs, Whole, Absent(""));

/// Passes over the data, each of at most `max_steps_per_epoch` updates.
pub(super) fn of_passes(run: &mut Run<'_>) {
    const KEY: &str = "max_steps_per_epoch";
    plain::required(run, &EPOCHS);
    let cap = row(
        KEY,
        MaxSteps,
        Whole,
        Absent("without max_steps_per_epoch the epochs decide"),
    )
    .or_null();
    match run.asked(&cap) {
        Said::Value(most, place) => {
            let epochs = run.facts.values(Epochs).map_or(f64::MAX, Interval::hi);
            let passes = plain::updates_of_a_pass(run).map(|updates| updates * epochs);
            plain::first_of(run, KEY, most * epochs, passes, Origin::Given(place));
        }
        said => run.set(&cap, said),
    }
}

/// How often GRPO and PPO train on what was generated.
fn repeats(run: &mut Run<'_>) -> Option<f64> {
    let ask = Ask {
        key: "ppo_epochs",
        takes: Whole,
        domain: MaxSteps.domain(),
        null: Null::Refused,
        usual: Some(1.0),
    };
    run.number(&ask).given().copied()
}

/// GRPO ends after `num_steps` batches or after its epochs, whichever comes first.
pub(super) fn of_grpo(run: &mut Run<'_>) {
    const KEY: &str = "num_steps";
    plain::required(run, &EPOCHS);
    let repeats = repeats(run);
    let steps = row(KEY, MaxSteps, Whole, Absent("without num_steps the epochs decide"));
    match (run.asked(&steps), repeats) {
        (Said::Value(steps, place), Some(repeats)) => {
            let epochs = run.facts.values(Epochs).map_or(f64::MAX, Interval::hi);
            let passes = plain::updates_of_a_pass(run).filter(|_| repeats <= 1.0);
            plain::first_of(
                run,
                KEY,
                steps * repeats,
                passes.map(|pass| pass * epochs),
                Origin::Given(place),
            );
        }
        (Said::Unclear(origin), _) => run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin),
        (_, None) => {
            let origin = unknown(
                "how often a batch is trained on is not known",
                "write `ppo_epochs`",
                None,
            );
            run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin);
        }
        (said, Some(_)) => run.set(&steps, said),
    }
}

/// The asynchronous recipe has no passes: its actors run until a number of steps that is counted apart.
pub(super) fn of_actors(run: &mut Run<'_>) {
    run.absent(Epochs, "epochs", "the asynchronous recipe counts steps, not passes");
    let why = "the actors count steps apart, and ftrisk does not follow them";
    let origin = unknown(why, "leave limits on updates and samples to another recipe", None);
    run.fact(
        MaxSteps,
        "orchestration.num_steps",
        Some(MaxSteps.domain().interval),
        origin,
    );
}

/// PPO generates for `num_steps` prompts, and trains on each batch of them in parts of `ppo_batch_size`.
pub(super) fn of_num_steps(run: &mut Run<'_>) {
    const KEY: &str = "num_steps";
    run.absent(Epochs, "epochs", "PPO counts prompts in num_steps, not passes");
    let batch = plain::sole(run, PerDevice);
    let part = row("ppo_batch_size", PerDevice, Whole, Absent(""));
    let accumulation = plain::sole(run, Accumulation);
    let repeats = repeats(run);
    let steps = run.asked(&row(KEY, MaxSteps, Whole, Absent("")));
    let parts = run.asked(&part);
    // An update is taken over a part, in as many pieces as it is accumulated from.
    match (&parts, accumulation) {
        (Said::Value(size, place), Some(pieces)) if *size >= pieces => {
            let each = point((size / pieces).floor());
            run.fact(PerDevice, "ppo_batch_size", each, Origin::Given(*place));
        }
        _ => plain::required(run, &part),
    }
    match (steps, batch, parts, repeats) {
        (Said::Value(steps, place), Some(batch), Said::Value(part, _), Some(repeats)) => {
            let updates = (steps / batch).floor() * repeats * (batch / part).floor();
            run.fact(MaxSteps, KEY, point(updates.max(1.0)), Origin::Given(place));
        }
        (Said::Unclear(origin), ..) => run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin),
        _ => {
            let why = "it follows from num_steps, batch_size, ppo_batch_size and ppo_epochs";
            let origin = unknown(why, "write all four", None);
            run.fact(MaxSteps, KEY, Some(MaxSteps.domain().interval), origin);
        }
    }
}
