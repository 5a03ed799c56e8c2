//! What one state answered so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::guard::Look;
use crate::meter::Reading;
use crate::meter::kl::Logits;
use crate::meter::template::{self, Phrasing};

/// Logits along a row of tokens, positions × vocabulary; none while the row was not looked at.
pub(in crate::train) type RowLogits = Option<Arc<Vec<f32>>>;

/// What one state answered so far. It stays with the state, so the distribution after an update is the one before the
/// next, and a rollback brings back what was measured there.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// By look, for every row of its probe.
    pub(in crate::train) logits: BTreeMap<Look, Vec<RowLogits>>,
    /// By probe: the answers as tokens and as text; `None` when the model's logits were not finite.
    pub(in crate::train) samples: BTreeMap<usize, Option<Arc<Samples>>>,
    /// By probe: the mean entropy along each answer, in nats.
    pub(in crate::train) entropies: BTreeMap<usize, Arc<Vec<Reading>>>,
    /// By probe: the mean log-probability per token of the two answers of each pair.
    pub(in crate::train) answers: BTreeMap<usize, Arc<Vec<(f64, f64)>>>,
    /// Of the batch of the update that led here.
    pub(in crate::train) gradients: Option<Arc<Gradients>>,
    /// By probe: the mean cross entropy of each training row that stands beside it, in nats.
    pub(in crate::train) training: BTreeMap<usize, Arc<Vec<Reading>>>,
}

/// One answer to every prompt of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::train) struct Samples {
    pub(in crate::train) tokens: Vec<Vec<u32>>,
    pub(in crate::train) texts: Vec<String>,
}

/// What each sample of a batch pulls at, and how the optimizer weighs it.
#[derive(Debug, Clone)]
pub(in crate::train) struct Gradients {
    /// One row of numbers for each sample, in the order of the matrices' names.
    pub(in crate::train) parts: Vec<Vec<f32>>,
    /// The diagonal of the optimizer's preconditioner.
    pub(in crate::train) preconditioner: Vec<f64>,
    /// The data group of each sample.
    pub(in crate::train) groups: Vec<String>,
}

impl Behaviour {
    /// The logits of each row of a look that both states were asked about, as (this state's, the other's).
    pub(in crate::train) fn beside<'b>(
        &'b self,
        other: &'b Behaviour,
        look: Look,
        vocab: usize,
    ) -> impl Iterator<Item = (Logits<'b>, Logits<'b>)> {
        let rows = |behaviour: &'b Behaviour| behaviour.logits.get(&look).map(Vec::as_slice).unwrap_or_default();
        let logits = move |row: &'b RowLogits| row.as_ref().map(|values| Logits { vocab, values });
        rows(self)
            .iter()
            .zip(rows(other))
            .filter_map(move |(one, other)| Some((logits(one)?, logits(other)?)))
    }

    /// The logits of each row that was looked at.
    pub(in crate::train) fn rows(&self, look: Look, vocab: usize) -> impl Iterator<Item = Logits<'_>> {
        let rows = self.logits.get(&look).map(Vec::as_slice).unwrap_or_default();
        rows.iter().flatten().map(move |values| Logits { vocab, values })
    }

    /// The phrasing that most of the answers to a probe's prompts have in common.
    pub(in crate::train) fn phrasing(&self, probe: usize) -> Option<Phrasing> {
        let samples = self.samples.get(&probe)?.as_ref()?;
        template::phrasing(samples.texts.iter().map(String::as_str))
    }

    /// The same answers of a state that another batch led to.
    pub fn without_batch(&self) -> Behaviour {
        Behaviour {
            gradients: None,
            ..self.clone()
        }
    }

    /// One row of a look that both states were asked about.
    pub(in crate::train) fn row_beside<'b>(
        &'b self,
        other: &'b Behaviour,
        look: Look,
        row: usize,
        vocab: usize,
    ) -> Option<(Logits<'b>, Logits<'b>)> {
        let logits = |behaviour: &'b Behaviour| {
            let values = behaviour.logits.get(&look)?.get(row)?.as_ref()?;
            Some(Logits { vocab, values })
        };
        Some((logits(self)?, logits(other)?))
    }

    /// Takes over what another state said along texts.
    pub(in crate::train) fn take_logits(&mut self, other: &Behaviour) {
        for (look, rows) in &other.logits {
            self.logits.insert(*look, rows.clone());
        }
    }

    /// Whether every row was answered in this look.
    pub(in crate::train) fn has(&self, look: Look) -> bool {
        self.logits
            .get(&look)
            .is_some_and(|rows| rows.iter().all(Option::is_some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phrasing_is_that_of_the_answers_of_a_probe() {
        let answers = ["Once upon a time a king", "Once upon a time a cat", "No."];
        let samples = Samples {
            tokens: Vec::new(),
            texts: answers.map(str::to_owned).into(),
        };
        let behaviour = Behaviour {
            samples: BTreeMap::from([(1, Some(Arc::new(samples))), (2, None)]),
            ..Behaviour::default()
        };
        let found = behaviour.phrasing(1).unwrap();
        assert_eq!(
            (found.to_string().as_str(), found.samples),
            ("once upon a time a …", vec![0, 1])
        );
        assert_eq!(behaviour.phrasing(2), None);
        assert_eq!(behaviour.phrasing(0), None);
    }
}
