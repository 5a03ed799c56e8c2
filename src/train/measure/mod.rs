//! Readings of a state: what was looked at, through the meters.
//!
//! Measured on detached weights in f32. `look.rs` runs the model, `behaviour.rs` keeps what it said with the state.

pub mod fault;
mod look;
mod weights;

use std::collections::BTreeMap;

use self::weights::Frozen;
use super::behaviour::{Behaviour, Gradients};
use super::engine::Engine;
use super::error::{Error, Result};
use super::live::Live;
use super::lora::Adapter;
use super::probe::{Probe, Row};
use super::random::{Purpose, Stream};
use super::sample;
use crate::guard::{Guard, Look, Measured, Need, Plan};
use crate::meter::cross_entropy::cross_entropy;
use crate::meter::kl::{Logits, Moved, drift, moved};
use crate::meter::tone::Lexicon;
use crate::meter::{
    Estimate, Reading, bias, calibration, compression, confidence, distinct, flips, gap, js, noise, quantile, rank,
    self_bleu, spread, template, tone, top_share,
};
use crate::quantity::{Finite, ProbeKind, Quantity};

/// Tokens of every sample, the end-of-text token treated like any other: shorter answers would look more diverse.
pub const SAMPLE_TOKENS: usize = 96;
/// Samples are drawn with numbers of their own, so that base and tuned model, and any two runs, draw the same ones.
pub(in crate::train) const SAMPLE_SEED: u64 = 0;
/// Rows that go through the model at once.
const ROWS_AT_ONCE: usize = 16;
/// Samples of the first estimate of the gradient's noise; of fewer the noise would often drown the signal altogether.
const SAMPLES_AT_START: usize = 32;
/// Prompts and tokens that a breach names.
const MOST_MOVED: usize = 3;

/// The meters of one run.
pub struct Meters<'m> {
    engine: &'m Engine,
    probes: &'m BTreeMap<usize, Probe>,
    decode: &'m dyn Fn(&[u32]) -> Result<String>,
    lexicon: &'m Lexicon,
    plan: Plan,
    /// The order in which prompts are evaluated where an evaluation may end early, by probe.
    orders: BTreeMap<usize, Vec<usize>>,
    /// What the base answered to the prompts on whose continuations drift is read, by probe.
    continuations: BTreeMap<usize, Vec<Vec<u32>>>,
    base: Behaviour,
    frozen: Frozen,
}

impl<'m> Meters<'m> {
    /// Meters for these readings on these probes (by their index in the policy); the model without an adapter is the base.
    ///
    /// # Errors
    /// When the model cannot be run on a probe.
    pub fn new(
        engine: &'m Engine,
        probes: &'m BTreeMap<usize, Probe>,
        decode: &'m dyn Fn(&[u32]) -> Result<String>,
        lexicon: &'m Lexicon,
        needs: &[Need],
    ) -> Result<Self> {
        let plan = Plan::new(needs, |probe| probes.get(&probe).map(|probe| probe.kind));
        let looks = plan.looks(|_| true);
        let orders = probes.iter().map(|(index, probe)| {
            let mut order: Vec<usize> = (0..probe.rows.len()).collect();
            Stream::new(SAMPLE_SEED, Purpose::Prompts, 0, *index as u64).shuffle(&mut order);
            (*index, order)
        });
        let mut meters = Meters {
            engine,
            probes,
            decode,
            lexicon,
            plan,
            orders: orders.collect(),
            continuations: BTreeMap::new(),
            base: Behaviour::default(),
            frozen: Frozen::default(),
        };
        if needs.iter().any(|need| need.quantity == Quantity::MovementRelative) {
            meters.frozen = Frozen::of(&engine.model)?;
        }
        for look in &looks {
            let Look::Continuations(probe) = look else {
                continue;
            };
            let answers = match &meters.probe(*probe)?.kept {
                Some(kept) => Some(kept.clone()),
                None => meters.answered(*probe, None)?.map(|samples| samples.tokens),
            };
            if let Some(answers) = answers {
                meters.continuations.insert(*probe, answers);
            }
        }
        meters.base = meters.base(&looks)?;
        Ok(meters)
    }

    /// The readings of a state that are `due` among those that the guard needs, `before` being the state that its update
    /// started from.
    ///
    /// # Errors
    /// When the model cannot be run; a reading that is not finite is no error.
    pub fn read(
        &self,
        guard: &Guard,
        due: impl Fn(&Need) -> bool,
        now: &mut Live,
        before: Option<&Live>,
    ) -> Result<Vec<Measured>> {
        // What may be decided by a part of its prompts comes last: it reuses what the others looked at.
        let ends_early = |need: &Need| need.quantity == Quantity::DriftClipped;
        for look in self.plan.looks(|need| due(need) && !ends_early(need)) {
            self.look(look, now, before)?;
        }
        let mut readings = Vec::new();
        for need in guard.needs().iter().filter(|need| due(need)) {
            let estimate = match (need.probe, drift_look(need, self.probes)) {
                (Some(probe), Some(look)) if ends_early(need) => self.clipped(guard, probe, look, now)?,
                _ => self.estimate(need, now, before)?,
            };
            readings.push(Measured {
                quantity: need.quantity,
                probe: need.probe,
                reading: estimate.value,
                standard_error: estimate.standard_error,
                prompts: match need.probe {
                    Some(_) if !guard.asks_prompts(need.quantity, need.probe) => Vec::new(),
                    // They were evaluated in that order.
                    Some(_) if ends_early(need) => estimate.prompts,
                    Some(probe) => self.shuffled(probe, estimate.prompts),
                    None => Vec::new(),
                },
            });
        }
        Ok(readings)
    }

    /// Clipped drift, prompt by prompt in the probe's fixed random order, until the guard is certain of its limits.
    fn clipped(&self, guard: &Guard, probe: usize, look: Look, now: &mut Live) -> Result<Estimate> {
        let vocab = self.vocab();
        let order = self.orders.get(&probe).map(Vec::as_slice).unwrap_or_default();
        let mut prompts = Vec::new();
        for rows in order.chunks(ROWS_AT_ONCE) {
            let adapter = &now.state.adapter;
            self.look_at_rows(look, &mut now.behaviour, Some(adapter), rows.iter().copied())?;
            for row in rows {
                let pair = now.behaviour.row_beside(&self.base, look, *row, vocab);
                prompts.push(pair.map_or(Reading::NotFinite, |(now, base)| js::clipped([(base, now)]).value));
            }
            if guard.is_certain(Quantity::DriftClipped, Some(probe), &prompts) {
                break;
            }
        }
        Ok(Estimate::mean(prompts))
    }

    /// The values of prompts in the probe's fixed random order: a file may have its prompts by subject or language, and what
    /// they certify about others holds for a sample.
    fn shuffled(&self, probe: usize, prompts: Vec<Reading>) -> Vec<Reading> {
        match self.orders.get(&probe) {
            Some(order) if order.len() == prompts.len() => {
                order.iter().filter_map(|row| prompts.get(*row).copied()).collect()
            }
            _ => prompts,
        }
    }

    /// One reading, from what was looked at.
    fn estimate(&self, need: &Need, now: &Live, before: Option<&Live>) -> Result<Estimate> {
        let vocab = self.vocab();
        let behaviour = &now.behaviour;
        let drift_from = |from: &Behaviour| match drift_look(need, self.probes) {
            Some(look) => drift(behaviour.beside(from, look, vocab).map(|(now, from)| (from, now))),
            None => Estimate::exact(Reading::NotFinite),
        };
        let samples = || need.probe.and_then(|probe| behaviour.samples.get(&probe)?.as_deref());
        let of_samples = |meter: &dyn Fn(&[&str]) -> Estimate| match samples() {
            Some(samples) => meter(&samples.texts.iter().map(String::as_str).collect::<Vec<_>>()),
            None => Estimate::exact(Reading::NotFinite),
        };
        let of_texts = |meter: &dyn Fn(&mut dyn Iterator<Item = Logits<'_>>) -> Estimate| match need.probe {
            Some(probe) => meter(&mut behaviour.rows(Look::Texts(probe), vocab)),
            None => Estimate::exact(Reading::NotFinite),
        };
        let of_gradients = |meter: &dyn Fn(&Gradients) -> Reading| match &behaviour.gradients {
            Some(gradients) => Estimate::exact(meter(gradients)),
            None => Estimate::exact(Reading::NotFinite),
        };
        Ok(match need.quantity {
            // At update 0 nothing was updated yet.
            Quantity::DriftPerUpdate => match before {
                Some(before) => drift_from(&before.behaviour),
                None => Estimate::exact(0.0.into()),
            },
            Quantity::DriftTotal => drift_from(&self.base),
            Quantity::DriftTail => quantile::tail(&drift_from(&self.base).prompts),
            Quantity::DriftSpread => spread::spread(&drift_from(&self.base).prompts),
            Quantity::MovementRelative => match before {
                Some(before) => Estimate::exact(self.frozen.movement(&before.state.adapter, &now.state.adapter)?),
                None => Estimate::exact(0.0.into()),
            },
            Quantity::LoraEffectiveRank => Estimate::exact(weights::largest(&now.state.adapter, rank::effective_rank)?),
            Quantity::LoraStableRank => Estimate::exact(weights::largest(&now.state.adapter, rank::stable_rank)?),
            Quantity::DiversityDistinct1 => of_samples(&|texts| distinct::distinct_n(texts.iter().copied(), 1)),
            Quantity::DiversityDistinct2 => of_samples(&|texts| distinct::distinct_n(texts.iter().copied(), 2)),
            Quantity::DiversityDistinct3 => of_samples(&|texts| distinct::distinct_n(texts.iter().copied(), 3)),
            Quantity::DiversitySelfBleu => of_samples(&|texts| self_bleu::self_bleu(texts.iter().copied())),
            Quantity::DiversityCompression => of_samples(&|texts| compression::compression(texts.iter().copied())),
            Quantity::TemplateShare => of_samples(&|texts| template::share(texts.iter().copied())),
            Quantity::ToneAbsolutes => of_samples(&|texts| tone::absolutes(texts.iter().copied(), self.lexicon)),
            Quantity::DiversityEntropy => {
                let entropies = need.probe.and_then(|probe| behaviour.entropies.get(&probe));
                Estimate::mean(entropies.map(|entropies| entropies.to_vec()).unwrap_or_default())
            }
            Quantity::ConfidenceTop1 => of_texts(&|texts| confidence::top1(texts)),
            Quantity::ConfidenceEntropy => of_texts(&|texts| confidence::entropy(texts)),
            Quantity::ConfidenceEce => match need.probe {
                Some(probe) => calibration::ece(self.predicted(probe, behaviour)?),
                None => Estimate::exact(Reading::NotFinite),
            },
            Quantity::MemorisationGap => match need.probe {
                Some(probe) => {
                    let held_out: Vec<Reading> = self
                        .predicted(probe, behaviour)?
                        .map(|(logits, next)| cross_entropy(logits, next).into())
                        .collect();
                    let training = behaviour.training.get(&probe).map(|losses| losses.as_slice());
                    gap::memorisation_gap(&held_out, training.unwrap_or_default())
                }
                None => Estimate::exact(Reading::NotFinite),
            },
            Quantity::BoundaryFlips => {
                let answers = |of: &Behaviour| need.probe.and_then(|probe| of.answers.get(&probe).cloned());
                match (answers(&self.base), answers(behaviour)) {
                    (Some(base), Some(now)) => flips::flips(&base, &now),
                    _ => Estimate::exact(Reading::NotFinite),
                }
            }
            Quantity::BatchNoiseScale => Estimate::exact(noise::scale(now.noise.trace, now.noise.square)),
            Quantity::BatchTopShare => {
                of_gradients(&|gradients| top_share::top_share(&gradients.parts, &gradients.preconditioner))
            }
            Quantity::BiasAmplification => of_gradients(&|gradients| {
                let groups: Vec<&str> = gradients.groups.iter().map(String::as_str).collect();
                bias::amplification(&gradients.parts, &gradients.preconditioner, &groups)
            }),
            quantity => return Err(Error::new(format!("{} has no meter", quantity.name()))),
        })
    }

    /// The logits that predict each next token of the texts of a probe, with those tokens.
    fn predicted<'b>(
        &'b self,
        probe: usize,
        behaviour: &'b Behaviour,
    ) -> Result<impl Iterator<Item = (Logits<'b>, &'b [u32])>> {
        let vocab = self.vocab();
        let rows = &self.probe(probe)?.rows;
        Ok(behaviour
            .rows(Look::Texts(probe), vocab)
            .zip(rows)
            .filter_map(move |(logits, row)| {
                let next = row.tokens.get(1..).filter(|next| !next.is_empty())?;
                let values = logits.values.get(..next.len() * vocab)?;
                Some((Logits { vocab, values }, next))
            }))
    }

    /// The first kept answer that the base would not give: its probe, and its row there.
    pub fn misdrawn(&self) -> Option<(usize, &Row)> {
        let vocab = self.vocab();
        self.probes.iter().find_map(|(index, probe)| {
            let (answers, logits) = (
                probe.kept.as_ref()?,
                self.base.logits.get(&Look::Continuations(*index))?,
            );
            let rows = probe.rows.iter().zip(answers.iter().zip(logits)).enumerate();
            let mut wrong = rows.filter(|(place, (row, (answer, logits)))| {
                let logits = logits.as_ref().map(|logits| logits.as_slice()).unwrap_or_default();
                !sample::is_sample(logits, vocab, answer, (*place, row.tokens.len()), SAMPLE_SEED)
            });
            wrong.next().map(|(_, (row, _))| (*index, row))
        })
    }

    /// Rows of a probe.
    pub fn rows(&self, probe: usize) -> u64 {
        self.probes.get(&probe).map_or(0, |probe| probe.rows.len() as u64)
    }

    /// How far two readings of the base lie apart, in nats, where the model is run on one row at a time and not on many:
    /// what rounding alone makes of nothing. `None` where drift is not read on the probe.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn noise_floor(&self, probe: usize) -> Result<Option<Finite>> {
        let look = self
            .probes
            .get(&probe)
            .and_then(|declared| look_of(probe, declared.kind));
        let Some(look) = look.filter(|look| self.base.has(*look)) else {
            return Ok(None);
        };
        let mut again = Behaviour::default();
        for row in 0..self.probe(probe)?.rows.len() {
            self.look_at_rows(look, &mut again, None, [row])?;
        }
        let apart = drift(
            again
                .beside(&self.base, look, self.vocab())
                .map(|(again, base)| (base, again)),
        );
        Ok(Finite::new(apart.value.as_f64().abs()))
    }

    /// The length of the move between two states, in √nats, on every text or prompts probe that both were asked about:
    /// one leg of the path.
    pub fn legs(&self, from: &Behaviour, to: &Behaviour) -> BTreeMap<usize, Reading> {
        let vocab = self.vocab();
        let drifts = self.probes.iter().filter_map(|(index, probe)| {
            let look = look_of(*index, probe.kind)?;
            let both = from.has(look) && to.has(look);
            both.then(|| (*index, js::root_js(from.beside(to, look, vocab))))
        });
        drifts.collect()
    }

    /// The root-JS distance from the base: what the path is never shorter than.
    pub fn displacement(&self, now: &Behaviour) -> BTreeMap<usize, Reading> {
        self.legs(&self.base, now)
    }

    /// What moved most between two states on a probe: from `before` for one update, from the base else.
    pub fn moved(&self, quantity: Quantity, probe: usize, now: &Behaviour, before: &Behaviour) -> Option<Moved> {
        let from = match quantity {
            Quantity::DriftPerUpdate => before,
            Quantity::DriftTotal | Quantity::DriftTail | Quantity::DriftClipped | Quantity::DriftSpread => &self.base,
            _ => return None,
        };
        let look = look_of(probe, self.probes.get(&probe)?.kind)?;
        let pairs = || now.beside(from, look, self.vocab()).map(|(now, from)| (from, now));
        pairs().next()?;
        Some(moved(pairs(), MOST_MOVED))
    }

    /// One sample of each prompt of a probe, [`SAMPLE_TOKENS`] long; `None` when the model's logits are not finite.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn samples(&self, probe: usize, adapter: &Adapter) -> Result<Option<Vec<Vec<u32>>>> {
        Ok(self.answered(probe, Some(adapter))?.map(|samples| samples.tokens))
    }

    fn vocab(&self) -> usize {
        self.engine.model.config().vocab
    }

    fn probe(&self, probe: usize) -> Result<&Probe> {
        self.probes
            .get(&probe)
            .ok_or_else(|| Error::new("a limit reads a probe that was not loaded"))
    }
}

/// Where drift is read on a probe of this kind.
fn look_of(probe: usize, kind: ProbeKind) -> Option<Look> {
    match kind {
        ProbeKind::Text => Some(Look::Texts(probe)),
        ProbeKind::Prompts => Some(Look::Continuations(probe)),
        ProbeKind::Pairs | ProbeKind::Words => None,
    }
}

fn drift_look(need: &Need, probes: &BTreeMap<usize, Probe>) -> Option<Look> {
    let probe = need.probe?;
    look_of(probe, probes.get(&probe)?.kind)
}
