//! The rules of how long a run is: its batch, its updates, its passes over the data, its samples, its warmup.

use super::Facts;
use super::Input::{
    Accumulation, Epochs, GlobalBatch, MaxSteps, ModelParallel, PerDevice, Rows, Updates, WarmupRatio, WarmupSteps,
    WorldSize,
};
use super::derive::Part::{self, Of, Text};
use super::derive::{Derived, absent, monotone, plain, told, values};
use crate::quantity::{Interval, Quantity};

/// Samples an update is taken over, as three factors: per device, accumulation, data-parallel copies.
struct Batch {
    per_device: Interval,
    accumulation: Interval,
    copies: Interval,
}

impl Batch {
    fn of(facts: &Facts) -> Option<Batch> {
        let world = facts.values(WorldSize)?;
        let shared = facts.values(ModelParallel);
        let copies = match shared {
            None => world,
            // Fewer devices than one copy needs cannot be launched; one copy is the least that can.
            Some(shared) => monotone([(world, true), (shared, false)], |[w, s]| (w / s).floor().max(1.0))?,
        };
        Some(Batch {
            per_device: facts.values(PerDevice)?,
            accumulation: facts.values(Accumulation)?,
            copies,
        })
    }
}

pub(super) fn batch_effective(facts: &Facts) -> Derived {
    if let Some(global) = facts.values(GlobalBatch) {
        return values(Some(global), &[Of(GlobalBatch)]);
    }
    let Some(batch) = Batch::of(facts) else {
        return absent(facts, PerDevice);
    };
    let sets = [
        (batch.per_device, true),
        (batch.accumulation, true),
        (batch.copies, true),
    ];
    let product = monotone(sets, |[p, a, c]| p * a * c);
    if facts.values(ModelParallel).is_some() {
        values(
            product,
            &[
                Of(PerDevice),
                Text(" × "),
                Of(Accumulation),
                Text(" × "),
                Of(WorldSize),
                Text(" ÷ "),
                Of(ModelParallel),
            ],
        )
    } else {
        values(
            product,
            &[Of(PerDevice), Text(" × "), Of(Accumulation), Text(" × "), Of(WorldSize)],
        )
    }
}

/// Updates in one pass over `rows`: a last partial accumulation window is an update too, unless it is dropped.
fn updates_a_pass(rows: f64, [per_device, accumulation, copies]: [f64; 3], drops_last: bool) -> f64 {
    if drops_last {
        (rows / (per_device * accumulation * copies)).floor()
    } else {
        ((rows / (per_device * copies)).ceil() / accumulation).ceil().max(1.0)
    }
}

/// Updates of `epochs` passes of `a_pass` updates each: a part of a pass is rounded up.
fn passes_of(epochs: f64, a_pass: f64) -> f64 {
    (epochs * a_pass).ceil()
}

/// Updates of `epochs` passes over `rows`, a last partial window of a pass included; `window` is the batch as three
/// factors: rows per device, accumulation, copies.
pub fn updates_of(epochs: f64, rows: f64, window: [f64; 3]) -> f64 {
    passes_of(epochs, updates_a_pass(rows, window, false))
}

/// The factors of a batch for counting updates; a global batch size counts as one device's.
fn window(facts: &Facts) -> Option<Batch> {
    match facts.values(GlobalBatch) {
        None => Batch::of(facts),
        Some(global) => {
            let one = Interval::new(1.0, 1.0)?;
            Some(Batch {
                per_device: global,
                accumulation: one,
                copies: one,
            })
        }
    }
}

/// How a run of `MaxSteps` or `Epochs`, whichever is over first, is derived: as it would be by each alone, and the less of
/// the two. What `max_steps` overrides has only one of them.
pub(super) fn first(facts: &Facts, rule: fn(&Facts) -> Derived, by: &'static [Part]) -> Derived {
    let has_both = facts.values(MaxSteps).is_some() && facts.values(Epochs).is_some();
    if !(facts.ends_at_first && has_both) {
        return rule(facts);
    }
    let by_steps = rule(facts);
    let mut without = facts.clone();
    without.forget(MaxSteps);
    match (by_steps, rule(&without)) {
        (Derived::Values { values: steps, .. }, Derived::Values { values: passes, .. }) => values(
            Interval::new(steps.lo().min(passes.lo()), steps.hi().min(passes.hi())),
            by,
        ),
        (other, Derived::Values { .. }) | (_, other) => other,
    }
}

pub(super) const FIRST_OF_EPOCHS: &[Part] = &[
    Of(Epochs),
    Text(", or fewer where "),
    Of(MaxSteps),
    Text(" updates are over first: samples an update "),
    Of(GlobalBatch),
    Text(", rows "),
    Of(Rows),
];
pub(super) const FIRST_OF_UPDATES: &[Part] = &[
    Of(MaxSteps),
    Text(", or fewer where "),
    Of(Epochs),
    Text(" passes are over first: samples an update "),
    Of(GlobalBatch),
    Text(", rows "),
    Of(Rows),
];
pub(super) const FIRST_OF_SAMPLES: &[Part] = FIRST_OF_UPDATES;

const FROM_MAX_STEPS: &[Part] = &[Of(MaxSteps)];
const FROM_EPOCHS: &[Part] = &[
    Of(Epochs),
    Text(" × ⌈"),
    Of(Rows),
    Text(" ÷ ("),
    Of(PerDevice),
    Text(" × "),
    Of(Accumulation),
    Text(" × "),
    Of(WorldSize),
    Text(")⌉"),
];
const FROM_EPOCHS_GLOBAL: &[Part] = &[
    Of(Epochs),
    Text(" passes of "),
    Of(Rows),
    Text(" rows in batches of "),
    Of(GlobalBatch),
];
const OVER_ROWS: &[Part] = &[
    Of(MaxSteps),
    Text(" updates of "),
    Of(PerDevice),
    Text(" × "),
    Of(Accumulation),
    Text(" × "),
    Of(WorldSize),
    Text(" samples, in passes of "),
    Of(Rows),
    Text(" rows"),
];
const OVER_ROWS_GLOBAL: &[Part] = &[
    Of(MaxSteps),
    Text(" updates of "),
    Of(GlobalBatch),
    Text(" samples, in passes of "),
    Of(Rows),
    Text(" rows"),
];

pub(super) fn updates(facts: &Facts) -> Derived {
    if let Some(told) = told(Quantity::Updates, facts) {
        return told;
    }
    if let Some(steps) = facts.values(MaxSteps) {
        return values(Some(steps), FROM_MAX_STEPS);
    }
    let (Some(epochs), Some(rows)) = (facts.values(Epochs), facts.values(Rows)) else {
        return absent(facts, Epochs);
    };
    let Some(batch) = window(facts) else {
        return absent(facts, PerDevice);
    };
    let sets = [
        (epochs, true),
        (rows, true),
        (batch.per_device, false),
        (batch.accumulation, false),
        (batch.copies, false),
    ];
    let by = if facts.values(GlobalBatch).is_some() {
        FROM_EPOCHS_GLOBAL
    } else {
        FROM_EPOCHS
    };
    values(
        monotone(sets, |[e, n, p, a, c]| {
            passes_of(e, updates_a_pass(n, [p, a, c], facts.drops_last))
        }),
        by,
    )
}

/// Samples that `steps` updates take: whole passes, and what the last one has taken so far.
///
/// Whole numbers throughout, so that rounding cannot disturb the order: with a larger batch or more rows, a run that is
/// ahead stays ahead. Divided by the rows it rises with every factor of the batch and falls with the rows.
fn taken(steps: f64, rows: f64, window: [f64; 3], drops_last: bool) -> f64 {
    let batch: f64 = window.iter().product();
    if drops_last {
        return steps * batch;
    }
    let a_pass = updates_a_pass(rows, window, false);
    let whole = (steps / a_pass).floor();
    let rest = steps - whole * a_pass;
    whole * rows + (rest * batch).min(rows)
}

/// Passes that `steps` updates make. Where partial windows are dropped, a pass is over when no whole one is left.
fn passes(steps: f64, rows: f64, window: [f64; 3], drops_last: bool) -> f64 {
    if drops_last {
        // A run with too little data for one batch never ends a pass.
        return steps / updates_a_pass(rows, window, true).max(1.0);
    }
    taken(steps, rows, window, false) / rows
}

pub(super) fn epochs(facts: &Facts) -> Derived {
    let Some(steps) = facts.values(MaxSteps) else {
        return plain(facts, Epochs, &[Of(Epochs)]);
    };
    let Some(rows) = facts.values(Rows) else {
        return absent(facts, Rows);
    };
    let Some(batch) = window(facts) else {
        return absent(facts, PerDevice);
    };
    let sets = [
        (steps, true),
        (rows, false),
        (batch.per_device, true),
        (batch.accumulation, true),
        (batch.copies, true),
    ];
    let by = if facts.values(GlobalBatch).is_some() {
        OVER_ROWS_GLOBAL
    } else {
        OVER_ROWS
    };
    values(
        monotone(sets, |[s, n, p, a, c]| passes(s, n, [p, a, c], facts.drops_last)),
        by,
    )
}

pub(super) fn samples(facts: &Facts) -> Derived {
    let Some(rows) = facts.values(Rows) else {
        return absent(facts, Rows);
    };
    if facts.drops_last {
        return samples_of_whole_batches(facts, rows);
    }
    let Some(steps) = facts.values(MaxSteps) else {
        let Some(epochs) = facts.values(Epochs) else {
            return absent(facts, Epochs);
        };
        return values(
            monotone([(epochs, true), (rows, true)], |[e, n]| e * n),
            &[Of(Epochs), Text(" × "), Of(Rows)],
        );
    };
    let Some(batch) = window(facts) else {
        return absent(facts, PerDevice);
    };
    let sets = [
        (steps, true),
        (batch.per_device, true),
        (batch.accumulation, true),
        (batch.copies, true),
    ];
    // It rises and falls with the rows, because the last update of a pass takes what is left; so a range of rows is only
    // enclosed. An update takes at most a batch, and on the average of a pass at least half of one or all rows; and the
    // passes, which only fall with the rows, times the rows are close where the range is small.
    let most = monotone(sets, |[s, p, a, c]| s * p * a * c);
    let set = most.and_then(|most| {
        if rows.is_point() {
            return monotone(sets, |[s, p, a, c]| taken(s, rows.lo(), [p, a, c], false));
        }
        if rows.lo() >= most.hi() {
            return Some(most);
        }
        let by_batches = Interval::new((most.lo() / 2.0).min(steps.lo() * rows.lo()), most.hi())?;
        let all = |rows| monotone(sets, |[s, p, a, c]| taken(s, rows, [p, a, c], false));
        let (least, most) = (all(rows.hi())?.lo(), all(rows.lo())?.hi());
        // A little more on either side than the roundings on the way.
        let times = rows.hi() / rows.lo() * (1.0 + 16.0 * f64::EPSILON);
        let by_passes = Interval::new((least / times).floor() - 1.0, (most * times).ceil() + 1.0)?;
        by_batches.intersect(by_passes)
    });
    values(set, OVER_ROWS)
}

/// Where every update is a whole batch: updates x batch. Both factors hold the batch, so a range is an enclosure only.
fn samples_of_whole_batches(facts: &Facts, rows: Interval) -> Derived {
    let (all, batch) = (updates(facts), batch_effective(facts));
    let (Derived::Values { values: all, .. }, Derived::Values { values: batch, .. }) = (all, batch) else {
        return absent(facts, PerDevice);
    };
    let product = monotone([(all, true), (batch, true)], |[u, b]| u * b);
    let most = match (facts.values(MaxSteps), facts.values(Epochs)) {
        (None, Some(epochs)) if facts.values(Updates).is_none() => epochs.hi().ceil() * rows.hi(),
        _ => f64::INFINITY,
    };
    let by = if facts.values(MaxSteps).is_some() {
        OVER_ROWS
    } else {
        FROM_EPOCHS
    };
    values(
        product.and_then(|p| Interval::new(p.lo().min(most), p.hi().min(most))),
        by,
    )
}

pub(super) fn warmup_fraction(facts: &Facts) -> Derived {
    if let Some(steps) = facts.values(WarmupSteps).filter(|steps| steps.hi() > 0.0) {
        let Derived::Values { values: all, .. } = updates(facts) else {
            return absent(facts, Epochs);
        };
        let by: &'static [Part] = if facts.values(Updates).is_some() {
            &[Of(WarmupSteps), Text(" ÷ "), Of(Updates)]
        } else if facts.values(MaxSteps).is_some() {
            &[Of(WarmupSteps), Text(" ÷ "), Of(MaxSteps)]
        } else if facts.values(GlobalBatch).is_some() {
            &[
                Of(WarmupSteps),
                Text(" ÷ updates, from "),
                Of(Epochs),
                Text(" passes of "),
                Of(Rows),
                Text(" rows in batches of "),
                Of(GlobalBatch),
            ]
        } else {
            &[
                Of(WarmupSteps),
                Text(" ÷ updates, from "),
                Of(Epochs),
                Text(", "),
                Of(Rows),
                Text(", "),
                Of(PerDevice),
                Text(", "),
                Of(Accumulation),
                Text(", "),
                Of(WorldSize),
            ]
        };
        let by_steps = monotone([(steps, true), (all, false)], |[w, n]| {
            // A run without updates never leaves its warmup.
            if n > 0.0 { (w / n).min(1.0) } else { 1.0 }
        });
        // No steps would mean the share.
        let share = facts.values(WarmupRatio).filter(|_| steps.lo() <= 0.0);
        let set = by_steps.and_then(|set| match share {
            Some(share) => Interval::new(set.lo().min(share.lo()), set.hi().max(share.hi())),
            None => Some(set),
        });
        return values(set, by);
    }
    plain(facts, WarmupRatio, &[Of(WarmupRatio)])
}

#[cfg(test)]
mod tests {
    use super::{passes, updates_a_pass};

    #[test]
    fn a_partial_window_is_an_update() {
        assert_eq!(updates_a_pass(1000.0, [1.0, 8.0, 1.0], false), 125.0);
        assert_eq!(updates_a_pass(1001.0, [1.0, 8.0, 1.0], false), 126.0);
        assert_eq!(updates_a_pass(3.0, [1.0, 8.0, 1.0], false), 1.0);
        // 17 rows on 2 devices of 4: 3 micro-batches a device, 2 windows.
        assert_eq!(updates_a_pass(17.0, [4.0, 2.0, 2.0], false), 2.0);
        assert_eq!(updates_a_pass(1001.0, [1.0, 8.0, 1.0], true), 125.0);
        assert_eq!(updates_a_pass(3.0, [1.0, 8.0, 1.0], true), 0.0);
    }

    /// Counts samples one update at a time, as the trainer walks the data.
    fn walk(steps: u32, rows: u32, per_device: u32, accumulation: u32, copies: u32) -> f64 {
        let mut taken = 0_u64;
        let mut left = rows;
        for _ in 0..steps {
            let now = left.min(per_device * accumulation * copies);
            taken += u64::from(now);
            left -= now;
            if left == 0 {
                left = rows;
            }
        }
        taken as f64 / f64::from(rows)
    }

    #[test]
    fn passes_are_what_a_walk_over_the_data_counts() {
        for rows in 1..40 {
            for steps in 0..12 {
                for (p, a, c) in [(1, 1, 1), (2, 1, 1), (1, 4, 1), (2, 2, 2), (3, 1, 5)] {
                    let expected = walk(steps, rows, p, a, c);
                    let got = passes(
                        f64::from(steps),
                        f64::from(rows),
                        [f64::from(p), f64::from(a), f64::from(c)],
                        false,
                    );
                    assert!(
                        (got - expected).abs() < 1e-9,
                        "{rows} {steps} {p} {a} {c}: {got} {expected}"
                    );
                }
            }
        }
    }
}
