//! Readings of the caller's model, through closures that run it.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::guard::{Measured, Need};
use crate::meter::kl::{Logits, drift};
use crate::meter::{Estimate, Reading};
use crate::quantity::Quantity;
use crate::train::{Error, Result};

/// Runs the model on a text probe: the logits of each text, positions × vocabulary.
pub(super) type Texts<'m> = Box<dyn FnMut() -> candle_core::Result<Vec<Tensor>> + 'm>;
/// Reads a quantity of the model as it is.
pub(super) type Read<'m> = Box<dyn FnMut() -> candle_core::Result<Estimate> + 'm>;

/// The logits of one text: the size of the vocabulary, and the rows one after the other.
type Answer = (usize, Vec<f32>);
/// What one state answered, by probe.
pub(super) type Answers = BTreeMap<usize, Arc<Vec<Answer>>>;

/// The meters of a run; probes by their index in the policy.
#[derive(Default)]
pub(super) struct Meters<'m> {
    pub(super) texts: BTreeMap<usize, Texts<'m>>,
    pub(super) reads: BTreeMap<(Quantity, Option<usize>), Read<'m>>,
    /// What the base answered.
    pub(super) base: Answers,
}

impl Meters<'_> {
    /// Whether there is something that reads it. A closure of the caller's goes before the drift of this room.
    pub(super) fn can_read(&self, need: &Need) -> bool {
        let by_text = need.probe.is_some_and(|probe| self.texts.contains_key(&probe));
        self.reads.contains_key(&(need.quantity, need.probe)) || (is_drift(need.quantity) && by_text)
    }

    /// Reads the model as it is. `now` has what it answered so far, `before` what it answered before the update.
    ///
    /// # Errors
    /// When the model cannot be run, or answers in another shape; a number that is not finite is a reading.
    pub(super) fn read(&mut self, need: &Need, now: &mut Answers, before: &Answers) -> Result<Measured> {
        let estimate = if let Some(read) = self.reads.get_mut(&(need.quantity, need.probe)) {
            read()?
        } else {
            let probe = need.probe.ok_or_else(|| Error::new("a reading has no meter"))?;
            let now = self.answer(probe, now)?;
            let from = if need.quantity == Quantity::DriftTotal {
                self.base.get(&probe)
            } else {
                before.get(&probe)
            };
            match from.filter(|from| from.len() == now.len()) {
                Some(from) => drift(from.iter().map(logits).zip(now.iter().map(logits))),
                None => Estimate::exact(Reading::NotFinite),
            }
        };
        Ok(Measured {
            standard_error: estimate.standard_error,
            prompts: estimate.prompts,
            ..Measured::new(need.quantity, need.probe, estimate.value)
        })
    }

    /// What the model answers to a text probe, remembered in `now`.
    pub(super) fn answer(&mut self, probe: usize, now: &mut Answers) -> Result<Arc<Vec<Answer>>> {
        if let Some(known) = now.get(&probe) {
            return Ok(Arc::clone(known));
        }
        let run = self
            .texts
            .get_mut(&probe)
            .ok_or_else(|| Error::new("a probe has no logits"))?;
        let mut answers = Vec::new();
        for tensor in run()? {
            let (_, vocab) = tensor.dims2().map_err(|_| {
                Error::new(format!(
                    "the logits of a text are positions × vocabulary, not {:?}",
                    tensor.dims()
                ))
            })?;
            answers.push((vocab, tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?));
        }
        let answers = Arc::new(answers);
        now.insert(probe, Arc::clone(&answers));
        Ok(answers)
    }
}

pub(super) fn is_drift(quantity: Quantity) -> bool {
    matches!(quantity, Quantity::DriftPerUpdate | Quantity::DriftTotal)
}

fn logits((vocab, values): &Answer) -> Logits<'_> {
    Logits { vocab: *vocab, values }
}
