//! What each row of a batch contributes: its gradient, its loss, and how the optimizer weighs the entries.
//!
//! Rows go through the model one at a time. The gradients of a batch's rows are as many forward and backward passes of
//! one row, together the compute of one update once more, and a vector as long as the adapter for each row in memory.
//! They are for evaluations, not for every update.

use super::data::encode::Encoded;
use super::engine::{Engine, targets};
use super::error::{Error, Result};
use super::lora::Adapter;
use super::optim::Moments;
use super::tensors::padded;

impl Engine {
    /// The rows of an update's batch, counted from 0; updates are counted from 1, and update 0, the base, has none.
    pub fn batch_rows(&self, update: u64) -> Vec<usize> {
        match update.checked_sub(1) {
            Some(proposal) => self.plan.batches(proposal).concat(),
            None => Vec::new(),
        }
    }

    /// The part of each of `rows` in the gradient of their batch: the gradient of the row's summed loss over the number of
    /// answer tokens of all of them, so that the parts sum to the gradient that [`Engine::propose`] takes before clipping.
    /// Each is flattened in the order of the matrices' names.
    ///
    /// # Errors
    /// A row that the data does not have; candle fails.
    pub fn sample_gradients(&self, adapter: &Adapter, rows: &[usize]) -> Result<Vec<Vec<f32>>> {
        let rows = self.encoded(rows)?;
        let answers = rows.iter().map(|row| row.trained()).sum::<usize>().max(1);
        let tracked = adapter.tracked()?;
        let part = |row: &&Encoded| {
            let hidden = self.model.hidden(&padded(&[&row.tokens])?, Some(&tracked))?;
            let targets: Vec<_> = targets(row, 0).collect();
            let loss = (self.model.loss(&hidden, &targets)? / answers as f64)?;
            let gradients = tracked.gradients(&loss.backward()?)?;
            Ok(gradients.into_values().flatten().collect())
        };
        rows.iter().map(part).collect()
    }

    /// What Adam multiplies each entry of its mean gradient by, but for the rate: 1/(√v̂ + ε), in the order of
    /// [`Engine::sample_gradients`]. All ones before the first step.
    ///
    /// A step divides by the moments after it, `proposal.moments`. Those before it would not do: B starts at zero, so in
    /// the first update no gradient reaches A, and at the second all of A would be weighed by 1/ε.
    ///
    /// # Errors
    /// Moments of other matrices than the adapter's.
    pub fn preconditioner(&self, adapter: &Adapter, moments: &Moments) -> Result<Vec<f64>> {
        let correction = 1.0 - self.optimizer.beta2.powf(moments.step as f64);
        let mut all = Vec::new();
        for (name, matrix) in adapter.matrices() {
            let count = matrix.elem_count();
            if moments.step == 0 {
                all.extend(std::iter::repeat_n(1.0, count));
                continue;
            }
            let second = moments.second.get(&name).filter(|second| second.len() == count);
            let second =
                second.ok_or_else(|| Error::new(format!("the moments of {name} are not those of its matrix")))?;
            let weight = |v: &f32| 1.0 / ((f64::from(*v) / correction).sqrt() + self.optimizer.eps);
            all.extend(second.iter().map(weight));
        }
        Ok(all)
    }

    /// The mean cross entropy of each of `rows` over its answer tokens, in nats; `None` for a row of which none is left
    /// within the cutoff. Builds no graph.
    ///
    /// # Errors
    /// A row that the data does not have; candle fails.
    pub fn row_losses(&self, adapter: &Adapter, rows: &[usize]) -> Result<Vec<Option<f64>>> {
        let adapter = adapter.detached();
        let loss = |row: &Encoded| {
            let targets: Vec<_> = targets(row, 0).collect();
            if targets.is_empty() {
                return Ok(None);
            }
            let hidden = self.model.hidden(&padded(&[&row.tokens])?, Some(&adapter))?;
            let sum = self.model.loss(&hidden, &targets)?.to_scalar::<f32>()?;
            Ok(Some(f64::from(sum) / targets.len() as f64))
        };
        self.encoded(rows)?.into_iter().map(loss).collect()
    }

    fn encoded(&self, rows: &[usize]) -> Result<Vec<&Encoded>> {
        let row = |row: &usize| {
            let missing = || Error::new(format!("row {row} of data with {}", self.rows.len()));
            self.rows.get(*row).ok_or_else(missing)
        };
        rows.iter().map(row).collect()
    }
}
