//! The rules that walk the learning-rate schedule over the updates of a run.

use super::Facts;
use super::Input::{
    Accumulation, Beta1, Beta2, Epochs, GlobalBatch, LearningRate, MaxSteps, PerDevice, Rows, Updates, WorldSize,
};
use super::derive::Part::{self, Of, Text};
use super::derive::{Derived, absent, learning_rate, values};
use super::length::updates;
use super::movement::Decays;
use super::schedule::{Schedule, scaled};
use crate::quantity::Interval;

/// The parts of such a rule, with what it takes besides.
macro_rules! over_schedule {
    ($facts:expr $(, $more:expr)*) => {{
        let by: &'static [Part] = if $facts.values(Updates).is_some() {
            &[Text("the schedule over "), Of(Updates), Text(" updates at "), Of(LearningRate) $(, $more)*]
        } else if $facts.values(GlobalBatch).is_some() && $facts.values(MaxSteps).is_none() {
            &[
                Text("the schedule at "),
                Of(LearningRate),
                Text(" over "),
                Of(Epochs),
                Text(" × "),
                Of(Rows),
                Text(" ÷ "),
                Of(GlobalBatch),
                Text(" updates")
                $(, $more)*
            ]
        } else if $facts.values(MaxSteps).is_some() {
            &[Text("the schedule over "), Of(MaxSteps), Text(" updates at "), Of(LearningRate) $(, $more)*]
        } else {
            &[
                Text("the schedule at "),
                Of(LearningRate),
                Text(" over "),
                Of(Epochs),
                Text(" × "),
                Of(Rows),
                Text(" ÷ ("),
                Of(PerDevice),
                Text(" × "),
                Of(Accumulation),
                Text(" × "),
                Of(WorldSize),
                Text(") updates")
                $(, $more)*
            ]
        };
        by
    }};
}

/// The rate of the last update.
pub(super) fn last(facts: &Facts) -> Derived {
    from_schedule(facts, over_schedule!(facts), Schedule::last)
}

/// The sum of the rates.
pub(super) fn dose(facts: &Facts) -> Derived {
    from_schedule(facts, over_schedule!(facts), Schedule::area)
}

fn from_schedule(
    facts: &Facts,
    by: &'static [Part],
    read: impl Fn(&Schedule, Interval, Interval) -> Option<Interval>,
) -> Derived {
    let schedule = match Schedule::of(facts) {
        Ok(schedule) => schedule,
        Err(why) => return Derived::Unknown { why },
    };
    let Derived::Values { values: peak, .. } = learning_rate(facts) else {
        return absent(facts, LearningRate);
    };
    let count = updates(facts);
    let Derived::Values { values: all, .. } = count else {
        return count;
    };
    values(read(&schedule, peak, all), by)
}

/// How far Adam can move a weight at most.
pub(super) fn movement_bound(facts: &Facts) -> Derived {
    let decays = match Decays::of(facts) {
        Ok(decays) => decays,
        Err(why) => return Derived::Unknown { why },
    };
    let by = over_schedule!(facts, Text(", by Adam with "), Of(Beta1), Text(" and "), Of(Beta2));
    from_schedule(facts, by, |schedule, peak, updates| {
        let Some(decays) = decays else {
            let dose = schedule.area(peak, updates)?;
            return Interval::new(dose.lo(), f64::INFINITY);
        };
        let [least, most] = schedule.ends(updates);
        if least == most {
            let reach = decays.reach(&least);
            return scaled(peak, reach, reach);
        }
        // Sums of many terms, so that neighbours agree to fewer digits than a number has.
        const ROUNDING: f64 = 1e-9;
        let (low, high) = if least.warmup() == most.warmup() || schedule.has_one_share() {
            // Behind one warmup no update of a longer run has a smaller rate. Behind one share of the run a longer run has
            // smaller rates first and larger ones from then on, more in sum, and a factor never falls.
            (decays.reach(&least), decays.reach(&most))
        } else {
            // A factor is at least 1 and never falls, so that the last one encloses all.
            (least.dose(), most.dose() * decays.factor(updates.hi().max(1.0)))
        };
        scaled(
            peak,
            (low * (1.0 - ROUNDING)).max(least.dose()),
            high * (1.0 + ROUNDING),
        )
    })
}
