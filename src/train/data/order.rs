//! Which rows an update takes: a pure function of the seed and the number of the proposal.
//!
//! Passes, windows and their number are those of the Hugging Face trainer: rows make micro-batches, micro-batches make
//! windows of `accumulation`, and the last window of a pass may be partial. The order within a pass is this project's
//! own: no two frameworks share one.

use crate::facts::updates_of;
use crate::train::random::{Purpose, Stream};

/// The shape of a run over its data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Rows of the data, at least 1.
    pub rows: u64,
    /// Rows of a micro-batch, at least 1.
    pub per_device: u64,
    /// Micro-batches of an update, at least 1.
    pub accumulation: u64,
    /// The seed of the order.
    pub seed: u64,
}

/// Updates of a whole run: `max_steps`, else `epochs` passes, rounded up.
pub fn updates_total(rows: u64, per_device: u64, accumulation: u64, epochs: f64, max_steps: Option<u64>) -> u64 {
    max_steps.unwrap_or_else(|| {
        let window = [per_device.max(1) as f64, accumulation.max(1) as f64, 1.0];
        updates_of(epochs, rows as f64, window) as u64
    })
}

impl Plan {
    /// Updates of one pass, at least 1.
    pub fn updates_a_pass(&self) -> u64 {
        updates_total(self.rows, self.per_device, self.accumulation, 1.0, None).max(1)
    }

    /// The pass that a proposal belongs to, and its number within; all counted from 0.
    pub fn position(&self, proposal: u64) -> (u64, u64) {
        let pass = self.updates_a_pass();
        (proposal / pass, proposal % pass)
    }

    /// Passes that are over before a proposal; whole at the first proposal of each.
    pub fn epoch(&self, proposal: u64) -> f64 {
        proposal as f64 / self.updates_a_pass() as f64
    }

    /// The rows of one pass in their order.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..usize::try_from(self.rows).unwrap_or(0)).collect();
        Stream::new(self.seed, Purpose::Order, epoch, 0).shuffle(&mut rows);
        rows
    }

    /// The micro-batches of a proposal, counted from 0: row numbers, counted from 0.
    pub fn batches(&self, proposal: u64) -> Vec<Vec<usize>> {
        let (epoch, window) = self.position(proposal);
        let size = |count: u64| usize::try_from(count.max(1)).unwrap_or(usize::MAX);
        let order = self.order(epoch);
        let batches = order.chunks(size(self.per_device)).map(<[usize]>::to_vec);
        let skipped = size(self.accumulation).saturating_mul(usize::try_from(window).unwrap_or(usize::MAX));
        batches.skip(skipped).take(size(self.accumulation)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, updates_total};
    use crate::facts::{Derived, Facts, Input, Key, NumberFact, Origin, derive};
    use crate::quantity::{Finite, Quantity};
    use crate::source::Sources;

    fn plan(rows: u64, per_device: u64, accumulation: u64) -> Plan {
        Plan {
            rows,
            per_device,
            accumulation,
            seed: 42,
        }
    }

    #[test]
    fn updates_are_those_that_were_judged() {
        for rows in [1, 2, 7, 8, 9, 100, 101] {
            for (per_device, accumulation) in [(1, 1), (2, 3), (8, 1), (4, 4), (200, 2)] {
                for (epochs, max_steps) in [(3.0, None), (0.5, None), (1.1, None), (2.0, Some(5))] {
                    let mut facts = Facts::new("", "", Sources::default().add("", ""));
                    let mut set = |input, value: f64| {
                        let rule = Origin::Default { rule: String::new() };
                        let value = Finite::new(value).unwrap();
                        facts.set(input, NumberFact::known(value, rule, Key::default()));
                    };
                    set(Input::Rows, rows as f64);
                    set(Input::PerDevice, per_device as f64);
                    set(Input::Accumulation, accumulation as f64);
                    set(Input::WorldSize, 1.0);
                    set(Input::Epochs, epochs);
                    if let Some(steps) = max_steps {
                        set(Input::MaxSteps, steps as f64);
                    }
                    let Derived::Values { values, .. } = derive(Quantity::Updates, &facts) else {
                        panic!("not derived")
                    };
                    let total = updates_total(rows, per_device, accumulation, epochs, max_steps);
                    assert_eq!(values.lo(), total as f64, "{rows} {per_device} {accumulation} {epochs}");
                }
            }
        }
        assert_eq!(updates_total(10, 2, 2, 0.5, None), 2);
        assert_eq!(updates_total(10, 2, 2, 1.0, None), 3);
    }

    #[test]
    fn a_pass_takes_every_row_once_and_ends_in_a_partial_window() {
        let plan = plan(11, 2, 2);
        assert_eq!(plan.updates_a_pass(), 3);
        for epoch in 0..3 {
            let windows: Vec<_> = (0..3).map(|at| plan.batches(epoch * 3 + at)).collect();
            let sizes: Vec<Vec<usize>> = windows.iter().map(|w| w.iter().map(Vec::len).collect()).collect();
            assert_eq!(sizes, [vec![2, 2], vec![2, 2], vec![2, 1]]);
            let mut rows: Vec<usize> = windows.into_iter().flatten().flatten().collect();
            assert_eq!(rows, plan.order(epoch));
            rows.sort_unstable();
            assert_eq!(rows, (0..11).collect::<Vec<_>>());
        }
        assert_ne!(plan.order(0), plan.order(1));
        assert_eq!((plan.position(7), plan.epoch(6)), ((2, 1), 2.0));
        assert_ne!(plan.order(0), Plan { seed: 43, ..plan }.order(0));
    }
}
