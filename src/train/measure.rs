//! Readings of the model's behaviour: the probes through the model, its logits and samples through the meters.
//!
//! Measured on detached weights in f32. What one state answered to the text probes is kept with the state, so the
//! distribution after an update is the one before the next, and a rollback brings back what was measured there.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::error::{Error, Result};
use super::lora::Adapter;
use super::model::Llama;
use super::probe::Probe;
use super::sample;
use crate::guard::{Measured, Need};
use crate::meter::diversity::distinct_n;
use crate::meter::kl::{Logits, Moved, drift, moved};
use crate::meter::rank::effective_rank;
use crate::meter::{Estimate, Reading};
use crate::quantity::Quantity;

/// Tokens of every sample, the end-of-text token treated like any other: shorter answers would look more diverse.
pub const SAMPLE_TOKENS: usize = 96;
/// Samples are drawn with numbers of their own, so that base and tuned model, and any two runs, draw the same ones.
const SAMPLE_SEED: u64 = 0;
/// Rows of a text probe that go through the model at once.
const ROWS_AT_ONCE: usize = 16;
/// Prompts and tokens that a breach names.
const MOST_MOVED: usize = 3;

/// The logits of every row of a text probe, positions × vocabulary each.
type Answers = Arc<Vec<Vec<f32>>>;

/// What one state answered so far, by probe.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    texts: BTreeMap<usize, Answers>,
}

/// The meters of one run.
pub struct Meters<'m> {
    model: &'m Llama,
    probes: &'m BTreeMap<usize, Probe>,
    decode: &'m dyn Fn(&[u32]) -> Result<String>,
    base: Behaviour,
}

impl<'m> Meters<'m> {
    /// Meters on these probes (by their index in the policy), with the model without an adapter as the base.
    ///
    /// # Errors
    /// When the model cannot be run on a text probe.
    pub fn new(
        model: &'m Llama,
        probes: &'m BTreeMap<usize, Probe>,
        decode: &'m dyn Fn(&[u32]) -> Result<String>,
        needs: &[Need],
    ) -> Result<Self> {
        let mut meters = Meters {
            model,
            probes,
            decode,
            base: Behaviour::default(),
        };
        for need in needs {
            if let Some(probe) = need.probe.filter(|_| is_drift(need.quantity)) {
                let mut base = std::mem::take(&mut meters.base);
                meters.answer(&mut base, probe, None)?;
                meters.base = base;
            }
        }
        Ok(meters)
    }

    /// One reading of a state (`now`, with what it answered so far), `before` being the state that the update started
    /// from.
    ///
    /// # Errors
    /// When the model cannot be run; a reading that is not finite is no error.
    pub fn read(&self, need: &Need, adapter: &Adapter, now: &mut Behaviour, before: &Behaviour) -> Result<Measured> {
        let reading = match (need.quantity, need.probe) {
            (Quantity::DriftPerUpdate, Some(probe)) => {
                let now = self.answer(now, probe, Some(adapter))?;
                // At update 0 nothing was updated yet.
                match before.texts.get(&probe) {
                    Some(before) => self.drift(before, &now).value,
                    None => Reading::from(0.0),
                }
            }
            (Quantity::DriftTotal, Some(probe)) => {
                let now = self.answer(now, probe, Some(adapter))?;
                self.drift(self.base_of(probe)?, &now).value
            }
            (Quantity::LoraEffectiveRank, _) => largest_effective_rank(adapter)?,
            (quantity, Some(probe)) if grams(quantity).is_some() => {
                match (self.samples(probe, adapter)?, grams(quantity)) {
                    (Some(samples), Some(n)) => {
                        let texts: Vec<String> = samples
                            .iter()
                            .map(|tokens| (self.decode)(tokens))
                            .collect::<Result<_>>()?;
                        distinct_n(texts.iter().map(String::as_str), n)
                    }
                    _ => Reading::NotFinite,
                }
            }
            (quantity, _) => return Err(Error::new(format!("{} has no meter", quantity.name()))),
        };
        Ok(Measured::new(need.quantity, need.probe, reading))
    }

    /// What moved most between two states on a text probe: from `before` for one update, from the base else.
    pub fn moved(&self, quantity: Quantity, probe: usize, now: &Behaviour, before: &Behaviour) -> Option<Moved> {
        let from = match quantity {
            Quantity::DriftPerUpdate => before.texts.get(&probe),
            Quantity::DriftTotal => self.base.texts.get(&probe),
            _ => None,
        }?;
        let now = now.texts.get(&probe)?;
        Some(moved(self.pairs(from, now), MOST_MOVED))
    }

    /// One sample of each prompt of a probe, [`SAMPLE_TOKENS`] long; `None` when the model's logits are not finite.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn samples(&self, probe: usize, adapter: &Adapter) -> Result<Option<Vec<Vec<u32>>>> {
        let prompts: Vec<Vec<u32>> = self.probe(probe)?.rows.iter().map(|row| row.tokens.clone()).collect();
        sample::sample(self.model, Some(adapter), &prompts, SAMPLE_TOKENS, SAMPLE_SEED)
    }

    fn probe(&self, probe: usize) -> Result<&Probe> {
        self.probes
            .get(&probe)
            .ok_or_else(|| Error::new("a limit reads a probe that was not loaded"))
    }

    fn base_of(&self, probe: usize) -> Result<&Answers> {
        self.base
            .texts
            .get(&probe)
            .ok_or_else(|| Error::new("a limit reads a probe that was not measured on the base"))
    }

    fn drift(&self, from: &Answers, now: &Answers) -> Estimate {
        drift(self.pairs(from, now))
    }

    fn pairs<'a>(&self, from: &'a Answers, now: &'a Answers) -> impl Iterator<Item = (Logits<'a>, Logits<'a>)> {
        let vocab = self.model.config().vocab;
        from.iter().zip(now.iter()).map(move |(from, now)| {
            let logits = |values| Logits { vocab, values };
            (logits(from), logits(now))
        })
    }

    /// The logits of a text probe, remembered in `behaviour`.
    fn answer(&self, behaviour: &mut Behaviour, probe: usize, adapter: Option<&Adapter>) -> Result<Answers> {
        if let Some(known) = behaviour.texts.get(&probe) {
            return Ok(Arc::clone(known));
        }
        let mut answers = Vec::new();
        for rows in self.probe(probe)?.rows.chunks(ROWS_AT_ONCE) {
            let tokens: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
            let hidden = self.model.hidden(&padded(&tokens)?, adapter)?;
            for (row, tokens) in tokens.iter().enumerate() {
                let row = hidden.get(row)?.narrow(0, 0, tokens.len())?;
                answers.push(self.model.head(&row)?.flatten_all()?.to_vec1()?);
            }
        }
        let answers = Arc::new(answers);
        behaviour.texts.insert(probe, Arc::clone(&answers));
        Ok(answers)
    }
}

/// Rows of different lengths as one tensor, padded on the right, where a causal model does not see it.
///
/// # Errors
/// When candle cannot make the tensor.
pub fn padded(rows: &[&[u32]]) -> Result<Tensor> {
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let flat: Vec<u32> = rows
        .iter()
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, width - row.len())))
        .collect();
    Ok(Tensor::from_vec(flat, (rows.len(), width), &Device::Cpu)?)
}

fn is_drift(quantity: Quantity) -> bool {
    matches!(quantity, Quantity::DriftPerUpdate | Quantity::DriftTotal)
}

fn grams(quantity: Quantity) -> Option<usize> {
    match quantity {
        Quantity::DiversityDistinct1 => Some(1),
        Quantity::DiversityDistinct2 => Some(2),
        Quantity::DiversityDistinct3 => Some(3),
        _ => None,
    }
}

fn largest_effective_rank(adapter: &Adapter) -> Result<Reading> {
    let mut largest = 0.0_f64;
    for pair in adapter.pairs.values() {
        let b: Vec<f32> = pair.b.flatten_all()?.to_vec1()?;
        let a: Vec<f32> = pair.a.flatten_all()?.to_vec1()?;
        match effective_rank(&b, &a, adapter.rank) {
            Reading::Value(rank) => largest = largest.max(rank.get()),
            Reading::NotFinite => return Ok(Reading::NotFinite),
        }
    }
    Ok(Reading::from(largest))
}
