//! Looking: the probes through the model.

use std::sync::Arc;

use super::{Meters, ROWS_AT_ONCE, SAMPLE_SEED, SAMPLE_TOKENS, SAMPLES_AT_START};
use crate::guard::Look;
use crate::meter::confidence::entropy;
use crate::meter::cross_entropy::cross_entropy;
use crate::meter::kl::Logits;
use crate::meter::{Reading, noise};
use crate::train::behaviour::{Behaviour, Gradients, RowLogits, Samples};
use crate::train::error::Result;
use crate::train::live::Live;
use crate::train::lora::Adapter;
use crate::train::sample;
use crate::train::tensors::padded;

/// A row of tokens and the first position whose logits are wanted.
pub(super) struct Asked {
    pub(super) tokens: Vec<u32>,
    pub(super) from: usize,
}

impl Meters<'_> {
    /// Makes a look at a state, unless it was made.
    ///
    /// # Errors
    /// When the model cannot be run, or the look is made from one that was not.
    pub(super) fn look(&self, look: Look, live: &mut Live, before: Option<&Live>) -> Result<()> {
        let behaviour = &mut live.behaviour;
        let adapter = Some(&live.state.adapter);
        match look {
            Look::Weights => {}
            Look::Texts(probe) | Look::Continuations(probe) => {
                let all = 0..self.probe(probe)?.rows.len();
                self.look_at_rows(look, behaviour, adapter, all)?;
            }
            Look::Samples(probe) if !behaviour.samples.contains_key(&probe) => {
                let samples = self.answered(probe, adapter)?;
                behaviour.samples.insert(probe, samples.map(Arc::new));
            }
            Look::AlongSamples(probe) if !behaviour.entropies.contains_key(&probe) => {
                let entropies = match behaviour.samples.get(&probe) {
                    Some(Some(samples)) => self.entropies_along(probe, &samples.tokens, adapter)?,
                    _ => vec![Reading::NotFinite],
                };
                behaviour.entropies.insert(probe, Arc::new(entropies));
            }
            Look::Answers(probe) if !behaviour.answers.contains_key(&probe) => {
                let answers = self.log_probabilities(probe, adapter)?;
                behaviour.answers.insert(probe, Arc::new(answers));
            }
            Look::Gradients if behaviour.gradients.is_none() => self.look_at_gradients(live, before)?,
            Look::TrainingLosses(probe) if !behaviour.training.contains_key(&probe) => {
                let rows = self.spread_rows(self.probe(probe)?.rows.len());
                let losses = self.engine.row_losses(&live.state.adapter, &rows)?;
                // A row of which the cutoff left no answer says nothing.
                let losses = losses.into_iter().flatten().map(Reading::from).collect();
                behaviour.training.insert(probe, Arc::new(losses));
            }
            Look::Samples(_) | Look::AlongSamples(_) | Look::Answers(_) | Look::Gradients | Look::TrainingLosses(_) => {
            }
        }
        Ok(())
    }

    /// What each sample of the batch that led here pulls at, from the state before. Before the first update it is the batch
    /// that comes first, with as many after it as one estimate of the noise takes.
    fn look_at_gradients(&self, live: &mut Live, before: Option<&Live>) -> Result<()> {
        let from = before.map_or(&live.state, |before| &before.state);
        let rows = match before {
            Some(_) => self.engine.batch_rows(live.state.proposals),
            None => self.engine.batch_rows(1),
        };
        let parts = self.engine.sample_gradients(&from.adapter, &rows)?;
        let mut noise = noise::noise(&parts);
        if before.is_none() && rows.len() < SAMPLES_AT_START {
            let more = (1..=self.engine.updates()).scan(0, |count, update| {
                let rows = self.engine.batch_rows(update);
                let is_wanted = *count < SAMPLES_AT_START;
                *count += rows.len();
                is_wanted.then_some(rows)
            });
            let rows: Vec<usize> = more.flatten().collect();
            noise = noise::noise(&self.engine.sample_gradients(&from.adapter, &rows)?);
        }
        live.noise.trace += noise.trace;
        live.noise.square += noise.square;
        let group = |row: &usize| self.engine.groups.get(*row).cloned().unwrap_or_default();
        live.behaviour.gradients = Some(Arc::new(Gradients {
            parts,
            preconditioner: self.engine.preconditioner(&from.adapter, &live.state.moments)?,
            groups: rows.iter().map(group).collect(),
        }));
        Ok(())
    }

    /// Looks at these rows of a look at logits, where that was not done yet.
    pub(super) fn look_at_rows(
        &self,
        look: Look,
        behaviour: &mut Behaviour,
        adapter: Option<&Adapter>,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<()> {
        let asked = self.asked(look)?;
        let known = behaviour.logits.entry(look).or_insert_with(|| vec![None; asked.len()]);
        let new: Vec<(usize, &Asked)> = rows
            .into_iter()
            .filter(|row| known.get(*row).is_some_and(Option::is_none))
            .filter_map(|row| Some((row, asked.get(row)?)))
            .collect();
        for rows in new.chunks(ROWS_AT_ONCE) {
            let wanted: Vec<&Asked> = rows.iter().map(|(_, asked)| *asked).collect();
            for ((row, _), logits) in rows.iter().zip(self.logits(&wanted, adapter)?) {
                if let Some(slot) = known.get_mut(*row) {
                    *slot = logits;
                }
            }
        }
        Ok(())
    }

    /// Logits of a few rows, from the first wanted position of each to its last.
    fn logits(&self, rows: &[&Asked], adapter: Option<&Adapter>) -> Result<Vec<RowLogits>> {
        let tokens: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
        let hidden = self.engine.model.hidden(&padded(&tokens)?, adapter)?;
        rows.iter()
            .enumerate()
            .map(|(index, row)| {
                let wanted = row.tokens.len().saturating_sub(row.from);
                let hidden = hidden.get(index)?.narrow(0, row.from, wanted)?;
                let logits = self.engine.model.head(&hidden)?.flatten_all()?.to_vec1()?;
                Ok(Some(Arc::new(logits)))
            })
            .collect()
    }

    /// The rows of a look.
    pub(super) fn asked(&self, look: Look) -> Result<Vec<Asked>> {
        match look {
            Look::Texts(probe) => Ok(self
                .probe(probe)?
                .rows
                .iter()
                .map(|row| Asked {
                    tokens: row.tokens.clone(),
                    from: 0,
                })
                .collect()),
            Look::Continuations(probe) => match self.continuations.get(&probe) {
                Some(answers) => self.along(probe, answers),
                None => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    /// Prompts with what follows them, and the positions that predict what follows.
    fn along(&self, probe: usize, answers: &[Vec<u32>]) -> Result<Vec<Asked>> {
        let rows = self.probe(probe)?.rows.iter().zip(answers);
        Ok(rows.map(|(row, answer)| after(&row.tokens, answer)).collect())
    }

    pub(super) fn answered(&self, probe: usize, adapter: Option<&Adapter>) -> Result<Option<Samples>> {
        let prompts: Vec<Vec<u32>> = self.probe(probe)?.rows.iter().map(|row| row.tokens.clone()).collect();
        let Some(tokens) = sample::sample(&self.engine.model, adapter, &prompts, SAMPLE_TOKENS, SAMPLE_SEED)? else {
            return Ok(None);
        };
        let texts = tokens
            .iter()
            .map(|tokens| (self.decode)(tokens))
            .collect::<Result<_>>()?;
        Ok(Some(Samples { tokens, texts }))
    }

    fn entropies_along(&self, probe: usize, answers: &[Vec<u32>], adapter: Option<&Adapter>) -> Result<Vec<Reading>> {
        let vocab = self.engine.model.config().vocab;
        let asked = self.along(probe, answers)?;
        let mut entropies = Vec::new();
        for rows in asked.chunks(ROWS_AT_ONCE) {
            let rows: Vec<&Asked> = rows.iter().collect();
            for values in self.logits(&rows, adapter)?.iter().flatten() {
                entropies.push(entropy([Logits { vocab, values }]).value);
            }
        }
        Ok(entropies)
    }

    /// The mean log-probability per token of both answers of each pair.
    fn log_probabilities(&self, probe: usize, adapter: Option<&Adapter>) -> Result<Vec<(f64, f64)>> {
        let vocab = self.engine.model.config().vocab;
        let rows = &self.probe(probe)?.rows;
        let asked: Vec<(Asked, &[u32])> = rows
            .iter()
            .flat_map(|row| {
                row.answers
                    .iter()
                    .map(|answer| (after(&row.tokens, answer), answer.as_slice()))
            })
            .collect();
        let mut found = Vec::new();
        for some in asked.chunks(ROWS_AT_ONCE) {
            let wanted: Vec<&Asked> = some.iter().map(|(asked, _)| asked).collect();
            for (values, (_, answer)) in self.logits(&wanted, adapter)?.iter().zip(some) {
                let cross = values
                    .as_ref()
                    .map_or(f64::NAN, |values| cross_entropy(Logits { vocab, values }, answer));
                found.push(-cross);
            }
        }
        Ok(found
            .chunks_exact(2)
            .map(|pair| match pair {
                [first, second] => (*first, *second),
                _ => (f64::NAN, f64::NAN),
            })
            .collect())
    }

    /// Training rows at even distances, as many as there are or are asked for.
    fn spread_rows(&self, wanted: usize) -> Vec<usize> {
        let rows = self.engine.rows.len();
        let count = wanted.min(rows);
        (0..count).map(|index| index * rows / count.max(1)).collect()
    }

    /// What the model without an adapter answers in the looks that states are compared with.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub(super) fn base(&self, looks: &[Look]) -> Result<Behaviour> {
        let mut base = Behaviour::default();
        for look in looks {
            match *look {
                Look::Texts(probe) => {
                    let all = 0..self.probe(probe)?.rows.len();
                    self.look_at_rows(*look, &mut base, None, all)?;
                }
                Look::Continuations(probe) => {
                    let rows = self.probe(probe)?.rows.len();
                    self.look_at_rows(*look, &mut base, None, 0..rows)?;
                }
                Look::Answers(probe) => {
                    base.answers
                        .insert(probe, Arc::new(self.log_probabilities(probe, None)?));
                }
                _ => {}
            }
        }
        Ok(base)
    }
}

/// A prompt with what follows it, and the positions that predict what follows. The last token predicts nothing that is
/// asked.
fn after(prompt: &[u32], answer: &[u32]) -> Asked {
    let mut tokens = [prompt, answer].concat();
    tokens.pop();
    Asked {
        tokens,
        from: prompt.len().saturating_sub(1),
    }
}
