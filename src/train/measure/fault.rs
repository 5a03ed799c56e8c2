//! Planted faults: what a limit would read if the model answered a little wrong.
//!
//! A fault is planted in what was answered and not in the weights, so its size is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Meters;
use crate::guard::Look;
use crate::meter::Reading;
use crate::meter::confidence::entropy;
use crate::meter::kl::Logits;
use crate::quantity::{ProbeKind, Quantity};
use crate::train::behaviour::{Behaviour, RowLogits, Samples};
use crate::train::error::Result;

/// What a template opens with.
const PHRASE: &str = "Of course, here is";
/// Words of a sample that the phrase replaces.
const PHRASE_WORDS: usize = 4;
/// What absolute samples open with.
const ABSOLUTES: &str = "always never";

/// A fault with its size. Shares are of a probe's rows, rounded up, and never less than one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// So much is added to the logit of the probe's commonest next token, at every position.
    Shifted(f64),
    /// Every logit is multiplied by it.
    Sharpened(f64),
    /// The first four words of this share of the samples are one phrase.
    Template(f64),
    /// This share of the samples is the first sample.
    Repeated(f64),
    /// This share of the samples opens with `always` and `never`.
    Absolute(f64),
    /// In this share of the pairs the other answer is preferred; 0 is one pair.
    Flipped(f64),
}

/// Every fault that is planted: a line for each kind, from the smallest size on.
pub const FAULTS: [[Fault; 3]; 6] = [
    [Fault::Shifted(0.1), Fault::Shifted(0.5), Fault::Shifted(2.0)],
    [Fault::Sharpened(1.1), Fault::Sharpened(1.5), Fault::Sharpened(2.0)],
    [Fault::Template(0.05), Fault::Template(0.2), Fault::Template(1.0)],
    [Fault::Repeated(0.05), Fault::Repeated(0.2), Fault::Repeated(1.0)],
    [Fault::Absolute(0.05), Fault::Absolute(0.2), Fault::Absolute(1.0)],
    [Fault::Flipped(0.0), Fault::Flipped(0.05), Fault::Flipped(0.2)],
];

impl Fault {
    /// Kinds of probe that it is planted in.
    pub fn probes(self) -> &'static [ProbeKind] {
        match self {
            Fault::Shifted(_) | Fault::Sharpened(_) => &[ProbeKind::Text, ProbeKind::Prompts],
            Fault::Template(_) | Fault::Repeated(_) | Fault::Absolute(_) => &[ProbeKind::Prompts],
            Fault::Flipped(_) => &[ProbeKind::Pairs],
        }
    }

    /// What it can move, those that are made to show it first. Not the memorisation gap, of which a model with the fault
    /// would move both sides.
    pub fn moves(self) -> &'static [Quantity] {
        use Quantity as Q;
        match self {
            Fault::Shifted(_) => &[
                Q::DriftTotal,
                Q::DriftTail,
                Q::DriftClipped,
                Q::DriftPerUpdate,
                Q::DriftSpread,
                Q::ConfidenceTop1,
                Q::ConfidenceEntropy,
                Q::ConfidenceEce,
                Q::DiversityEntropy,
            ],
            Fault::Sharpened(_) => &[
                Q::ConfidenceEntropy,
                Q::ConfidenceTop1,
                Q::DiversityEntropy,
                Q::ConfidenceEce,
                Q::DriftTotal,
                Q::DriftTail,
                Q::DriftClipped,
                Q::DriftPerUpdate,
                Q::DriftSpread,
            ],
            Fault::Template(_) | Fault::Repeated(_) => &[
                Q::TemplateShare,
                Q::DiversitySelfBleu,
                Q::DiversityDistinct2,
                Q::DiversityDistinct3,
                Q::DiversityDistinct1,
                Q::DiversityCompression,
                Q::ToneAbsolutes,
            ],
            Fault::Absolute(_) => &[
                Q::ToneAbsolutes,
                Q::TemplateShare,
                Q::DiversitySelfBleu,
                Q::DiversityDistinct2,
                Q::DiversityDistinct3,
                Q::DiversityDistinct1,
                Q::DiversityCompression,
            ],
            Fault::Flipped(_) => &[Q::BoundaryFlips],
        }
    }

    /// Which of so many rows it is planted in: evenly spread.
    fn rows(self, count: usize) -> Vec<usize> {
        let share = match self {
            Fault::Shifted(_) | Fault::Sharpened(_) => 1.0,
            Fault::Template(share) | Fault::Repeated(share) | Fault::Absolute(share) | Fault::Flipped(share) => share,
        };
        let planted = ((share * count as f64).ceil() as usize).clamp(1, count.max(1));
        (0..planted.min(count)).map(|row| row * count / planted).collect()
    }

    fn logits(self, values: &[f32], vocab: usize, token: usize) -> Vec<f32> {
        match self {
            Fault::Shifted(by) => {
                let mut shifted = values.to_vec();
                for logit in shifted.iter_mut().skip(token).step_by(vocab.max(1)) {
                    *logit += by as f32;
                }
                shifted
            }
            Fault::Sharpened(by) => values.iter().map(|logit| logit * by as f32).collect(),
            _ => values.to_vec(),
        }
    }

    fn samples(self, samples: &Samples) -> Samples {
        let mut planted = samples.clone();
        let first = samples.texts.first().cloned().unwrap_or_default();
        for row in self.rows(samples.texts.len()) {
            if let Some(text) = planted.texts.get_mut(row) {
                *text = match self {
                    Fault::Template(_) => std::iter::once(PHRASE)
                        .chain(text.split_whitespace().skip(PHRASE_WORDS))
                        .collect::<Vec<_>>()
                        .join(" "),
                    Fault::Repeated(_) => first.clone(),
                    Fault::Absolute(_) => format!("{ABSOLUTES} {text}"),
                    Fault::Shifted(_) | Fault::Sharpened(_) | Fault::Flipped(_) => continue,
                };
            }
        }
        planted
    }
}

impl Meters<'_> {
    /// What the base answers, as far as it is known: a state without a trained adapter need not be asked again. The
    /// continuations are samples of the base.
    ///
    /// # Errors
    /// When the tokenizer cannot make texts of the samples.
    pub fn base_behaviour(&self) -> Result<Behaviour> {
        let mut base = self.base.clone();
        for (probe, tokens) in &self.continuations {
            let texts = tokens.iter().map(|tokens| (self.decode)(tokens));
            let samples = Samples {
                tokens: tokens.clone(),
                texts: texts.collect::<Result<_>>()?,
            };
            base.samples.insert(*probe, Some(Arc::new(samples)));
        }
        Ok(base)
    }

    /// The same answers with a fault in them. A fault of the logits changes the entropies along the base's own samples
    /// where logits along them are known: [`Look::Continuations`].
    ///
    /// # Errors
    /// When a look is on a probe that was not loaded.
    pub fn planted(&self, fault: Fault, base: &Behaviour) -> Result<Behaviour> {
        let vocab = self.vocab();
        let mut planted = base.clone();
        match fault {
            Fault::Shifted(_) | Fault::Sharpened(_) => {
                for (look, rows) in &mut planted.logits {
                    let token = self.commonest(*look)?;
                    let change = |row: &RowLogits| {
                        let values = row.as_ref()?;
                        Some(Arc::new(fault.logits(values, vocab, token)))
                    };
                    *rows = rows.iter().map(change).collect();
                }
                for (probe, entropies) in &mut planted.entropies {
                    if let Some(rows) = planted.logits.get(&Look::Continuations(*probe)) {
                        let of = |row: &RowLogits| match row {
                            Some(values) => entropy([Logits { vocab, values }]).value,
                            None => Reading::NotFinite,
                        };
                        *entropies = Arc::new(rows.iter().map(of).collect());
                    }
                }
            }
            Fault::Template(_) | Fault::Repeated(_) | Fault::Absolute(_) => {
                for samples in planted.samples.values_mut().flatten() {
                    *samples = Arc::new(fault.samples(samples));
                }
            }
            Fault::Flipped(_) => {
                for pairs in planted.answers.values_mut() {
                    let mut flipped = pairs.to_vec();
                    for row in fault.rows(flipped.len()) {
                        if let Some(pair) = flipped.get_mut(row) {
                            *pair = (pair.1, pair.0);
                        }
                    }
                    *pairs = Arc::new(flipped);
                }
            }
        }
        Ok(planted)
    }

    /// The token that follows most often in the rows of a look; of several the first.
    fn commonest(&self, look: Look) -> Result<usize> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for asked in self.asked(look)? {
            for token in asked.tokens.iter().skip(asked.from + 1) {
                *counts.entry(*token).or_default() += 1;
            }
        }
        let most = counts
            .into_iter()
            .max_by_key(|(token, count)| (*count, std::cmp::Reverse(*token)));
        Ok(most.map_or(0, |(token, _)| token as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_and_never_none() {
        assert_eq!(Fault::Template(0.05).rows(3), [0]);
        assert_eq!(Fault::Template(0.2).rows(10), [0, 5]);
        assert_eq!(Fault::Flipped(0.0).rows(10), [0]);
        assert_eq!(Fault::Repeated(1.0).rows(3), [0, 1, 2]);
        assert!(Fault::Repeated(1.0).rows(0).is_empty());
    }

    #[test]
    fn samples_are_changed_as_said() {
        let samples = Samples {
            tokens: Vec::new(),
            texts: vec!["a b c d e".to_owned(), "f".to_owned()],
        };
        let texts = |fault: Fault| fault.samples(&samples).texts;
        assert_eq!(
            texts(Fault::Template(1.0)),
            ["Of course, here is e", "Of course, here is"]
        );
        assert_eq!(texts(Fault::Repeated(1.0)), ["a b c d e", "a b c d e"]);
        assert_eq!(texts(Fault::Absolute(0.5)), ["always never a b c d e", "f"]);
    }

    #[test]
    fn a_shift_adds_to_one_token_of_each_position() {
        assert_eq!(
            Fault::Shifted(2.0).logits(&[0.0; 6], 3, 1),
            [0.0, 2.0, 0.0, 0.0, 2.0, 0.0]
        );
        assert_eq!(Fault::Sharpened(2.0).logits(&[1.0, -1.0], 2, 0), [2.0, -2.0]);
    }

    /// With p the token's share: the shift makes of every other share p' = p / (1 + p (e^δ - 1)), so
    /// KL = ln(1 + p (e^δ - 1)) - δ p.
    #[test]
    fn a_shift_is_as_far_as_its_closed_form() {
        let base = [0.0, 1.0, -2.0, 0.5, 0.5, 3.0];
        for by in [0.1, 0.5, 2.0] {
            let now = Fault::Shifted(by).logits(&base, 3, 1);
            let closed = base.chunks(3).map(|logits| {
                let sum: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
                let p = f64::from(logits[1]).exp() / sum;
                (1.0 + p * (by.exp() - 1.0)).ln() - by * p
            });
            let closed = closed.sum::<f64>() / 2.0;
            let logits = |values| Logits { vocab: 3, values };
            let read = crate::meter::kl::drift([(logits(&base), logits(&now))]).value.as_f64();
            assert!((read - closed).abs() < 1e-6, "{by}: {read} {closed}");
        }
    }
}
