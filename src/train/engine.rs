//! The trainer: a batch through the model and back, and the update that the optimizer would make of it.
//!
//! Everything here is a function of the state: the same state at the same rate proposes the same update.

use super::data::encode::Encoded;
use super::data::order::Plan;
use super::error::Result;
use super::model::{Llama, Target};
use super::optim::{self, AdamW, Matrices, Proposal};
use super::state::State;
use super::tensors::padded;
use crate::quantity::Course;

/// The model, the data and the settings of a run.
pub struct Engine {
    /// The base.
    pub model: Llama,
    /// The rows in the order of the files.
    pub rows: Vec<Encoded>,
    /// What group of the data each of the rows belongs to.
    pub groups: Vec<String>,
    /// Where each of the rows stands: its file, and its row there, counted from 1.
    pub places: Vec<(String, u64)>,
    /// Which rows make which update.
    pub plan: Plan,
    /// Updates of the whole run.
    pub updates: u64,
    /// The optimizer.
    pub optimizer: AdamW,
    /// The learning rate's course.
    pub course: Course,
    /// The learning rate at the top of the schedule.
    pub peak_rate: f64,
    /// The largest global norm of a gradient; no clipping when `None`.
    pub clip_norm: Option<f64>,
}

/// A proposed update.
#[derive(Debug)]
pub struct Step {
    /// What the optimizer would do.
    pub proposal: Proposal,
    /// Mean cross entropy over the answers' tokens of the whole batch, in nats.
    pub loss: f64,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// The learning rate.
    pub rate: f64,
    /// Passes over the data when the batch is spent.
    pub epoch: f64,
}

impl Step {
    /// Whether loss and update are made of numbers.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.proposal.is_finite()
    }
}

impl Engine {
    /// How many updates the run proposes, rolled back ones not counted twice.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The next update of a state, at `0.5^halvings` times the schedule's rate.
    ///
    /// # Errors
    /// When candle fails.
    pub fn propose(&self, state: &State, halvings: u32) -> Result<Step> {
        self.propose_rows(state, halvings, &self.plan.batches(state.proposals))
    }

    /// The update that these micro-batches of rows would make of a state: what the next one would be with another batch.
    ///
    /// # Errors
    /// When candle fails.
    pub fn propose_rows(&self, state: &State, halvings: u32, batches: &[Vec<usize>]) -> Result<Step> {
        let rows: Vec<Vec<&Encoded>> = batches
            .iter()
            .map(|micro| micro.iter().filter_map(|row| self.rows.get(*row)).collect())
            .collect();
        // One answer counts by its tokens, over the whole batch: accumulation does not change what is learnt.
        let answers = rows.iter().flatten().map(|row| row.trained()).sum::<usize>().max(1);
        let tracked = state.adapter.tracked()?;
        let mut gradients = Matrices::new();
        let mut loss = 0.0;
        let mut tokens = 0;
        for micro in &rows {
            let inputs: Vec<&[u32]> = micro.iter().map(|row| row.tokens.as_slice()).collect();
            tokens += inputs.iter().map(|row| row.len() as u64).sum::<u64>();
            let targets: Vec<Target> = micro
                .iter()
                .zip(0..)
                .flat_map(|(encoded, row)| targets(encoded, row))
                .collect();
            let hidden = self.model.hidden(&padded(&inputs)?, Some(&tracked))?;
            let sum = (self.model.loss(&hidden, &targets)? / answers as f64)?;
            loss += f64::from(sum.to_scalar::<f32>()?);
            let fresh = tracked.gradients(&sum.backward()?)?;
            if gradients.is_empty() {
                gradients = fresh;
            } else {
                for (sum, fresh) in gradients.values_mut().flatten().zip(fresh.values().flatten()) {
                    *sum += fresh;
                }
            }
        }
        if let Some(most) = self.clip_norm {
            optim::clip(&mut gradients, most);
        }
        let rate = self.peak_rate * self.course.multiplier(state.commits) * 0.5_f64.powi(halvings as i32);
        let parameters = state.adapter.values()?;
        Ok(Step {
            proposal: self.optimizer.propose(&state.moments, &parameters, &gradients, rate),
            loss,
            tokens,
            rate,
            epoch: self.plan.epoch(state.proposals + 1),
        })
    }
}

/// Where an answer's tokens are predicted: each from the position before it.
pub(super) fn targets(encoded: &Encoded, row: u32) -> impl Iterator<Item = Target> + '_ {
    encoded
        .tokens
        .iter()
        .zip(&encoded.answers)
        .skip(1)
        .zip(0..)
        .filter(|((_, is_answer), _)| **is_answer)
        .map(move |((token, _), position)| Target {
            row,
            position,
            token: *token,
        })
}
