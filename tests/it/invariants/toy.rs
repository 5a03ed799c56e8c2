//! A model of 80 numbers, its optimizer and its meters: logits of 12 tokens in 4 contexts, W = W₀ + BA, trained by Adam.
//!
//! States are plain values, as the guard asks of a training loop. What is promised about them is measured a second time
//! here, straight from the definitions and without the meters.

use std::collections::BTreeSet;

use ftrisk::guard::{Measured, Need};
use ftrisk::meter::Reading;
use ftrisk::meter::distinct::distinct_n;
use ftrisk::meter::kl::{Logits, drift};
use ftrisk::meter::rank::effective_rank;
use ftrisk::quantity::Quantity;

use super::random::{Random, Subject};

const TOKENS: usize = 12;
const CONTEXTS: usize = 4;
const RANK: usize = 2;
const B: usize = TOKENS * RANK;
const ALL: usize = B + RANK * CONTEXTS;
const SAMPLE_WORDS: usize = 12;
const BATCH: usize = 6;

const WORDS: [&str; TOKENS] = [
    "ash", "birch", "cedar", "elm", "fir", "gum", "hazel", "ivy", "larch", "maple", "oak", "pine",
];

/// The texts of the two text probes, each the contexts of its positions.
const TEXTS: [&[&[usize]]; 2] = [&[&[0, 1], &[2]], &[&[3], &[1, 2, 0]]];

/// Weights, moments and counts between two updates.
#[derive(Debug, Clone)]
pub struct State {
    /// B (tokens × rank), then A (rank × contexts), row major.
    pub weights: [f32; ALL],
    pub first: [f64; ALL],
    pub second: [f64; ALL],
    /// Steps that the moments have seen.
    pub steps: u64,
    pub proposals: u64,
    pub commits: u64,
}

/// A proposed update.
#[derive(Debug, Clone)]
pub struct Step {
    pub deltas: [f32; ALL],
    pub first: [f64; ALL],
    pub second: [f64; ALL],
    pub rate: f64,
    pub loss: f64,
}

impl Step {
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite()
            && self.deltas.iter().all(|delta| delta.is_finite())
            && self.first.iter().chain(&self.second).all(|moment| moment.is_finite())
    }
}

impl State {
    pub fn after(&self, step: &Step, scale: f64) -> State {
        let mut weights = self.weights;
        for (weight, delta) in weights.iter_mut().zip(&step.deltas) {
            *weight += (f64::from(*delta) * scale) as f32;
        }
        State {
            weights,
            first: step.first,
            second: step.second,
            steps: self.steps + 1,
            proposals: self.proposals + 1,
            commits: self.commits + 1,
        }
    }

    pub fn skipped(&self) -> State {
        State {
            proposals: self.proposals + 1,
            ..self.clone()
        }
    }

    /// Everything but the place in the data, to the bit.
    pub fn learnt(&self) -> Vec<u64> {
        let weights = self.weights.iter().map(|weight| u64::from(weight.to_bits()));
        let moments = self.first.iter().chain(&self.second).map(|moment| moment.to_bits());
        weights.chain(moments).chain([self.steps, self.commits]).collect()
    }

    /// Everything, to the bit.
    pub fn bits(&self) -> Vec<u64> {
        let mut bits = self.learnt();
        bits.push(self.proposals);
        bits
    }
}

/// A run file, so to say, with what goes wrong in it.
#[derive(Debug, Clone)]
pub struct Toy {
    pub seed: u64,
    pub updates: u64,
    pub rate: f64,
    /// Whether the rate falls to 0 over the committed updates.
    pub linear: bool,
    /// The share of batches that are poisoned.
    pub poison: f64,
    /// The share of readings that fail, and of those that fail without a word.
    pub fails: f64,
    /// The proposal after which somebody interrupts the run.
    pub interrupted: Option<u64>,
    base: [f32; TOKENS * CONTEXTS],
    start: [f32; ALL],
}

impl Toy {
    pub fn new(seed: u64) -> Toy {
        let mut random = Random::new(seed, Subject::Settings, 0);
        let updates = match random.below(20) {
            0 => random.between(101, 140),
            1..5 => random.between(30, 60),
            _ => random.between(1, 29),
        };
        let rate = if random.chance(0.15) {
            random.magnitude(1e-6, 1e3)
        } else {
            random.magnitude(1e-3, 1.0)
        };
        let mut weights = Random::new(seed, Subject::Weights, 0);
        let spread = weights.magnitude(0.3, 3.0);
        let base = std::array::from_fn(|_| (weights.normal() * spread) as f32);
        // Where A starts near 0 the product grows by the square of a step, and drift by its fourth power.
        let spread = if weights.chance(0.3) { 1e-2 } else { 1.0 };
        let start = std::array::from_fn(|at| {
            if at < B {
                0.0
            } else {
                (weights.normal() * spread) as f32
            }
        });
        Toy {
            seed,
            updates,
            rate,
            linear: random.chance(0.3),
            poison: if random.chance(0.6) {
                random.magnitude(0.02, 0.4)
            } else {
                0.0
            },
            fails: if random.chance(0.3) {
                random.magnitude(0.003, 0.3)
            } else {
                0.0
            },
            interrupted: random.chance(0.05).then(|| random.between(1, updates)),
            base,
            start,
        }
    }

    pub fn start(&self) -> State {
        State {
            weights: self.start,
            first: [0.0; ALL],
            second: [0.0; ALL],
            steps: 0,
            proposals: 0,
            commits: 0,
        }
    }

    /// Contexts × tokens.
    fn logits(&self, state: &State) -> [f32; TOKENS * CONTEXTS] {
        let (b, a) = state.weights.split_at(B);
        std::array::from_fn(|at| {
            let (context, token) = (at / TOKENS, at % TOKENS);
            (0..RANK).fold(self.base[at], |sum, k| {
                sum + b[token * RANK + k] * a[k * CONTEXTS + context]
            })
        })
    }

    /// The rate of the next update.
    pub fn rate(&self, state: &State, halvings: u32) -> f64 {
        let course = if self.linear {
            1.0 - state.commits as f64 / self.updates as f64
        } else {
            1.0
        };
        self.rate * course * 0.5_f64.powi(halvings as i32)
    }

    /// The next update: cross entropy on the labels of the batch that the state's place in the data names.
    pub fn propose(&self, state: &State, halvings: u32) -> Step {
        let mut batch = Random::new(self.seed, Subject::Batch, state.proposals);
        let logits = self.logits(state);
        let (b, a) = state.weights.split_at(B);
        let mut gradient = [0.0_f64; ALL];
        let mut loss = 0.0;
        for _ in 0..BATCH {
            let context = batch.below(CONTEXTS as u64) as usize;
            // Two of three labels follow the context: there is something to learn.
            let noise = batch.below(TOKENS as u64) as usize;
            let label = if batch.chance(0.67) {
                (5 * context + 1) % TOKENS
            } else {
                noise
            };
            let mass = softmax(&logits[context * TOKENS..][..TOKENS]);
            loss -= mass[label].ln() / BATCH as f64;
            for (token, mass) in mass.iter().enumerate() {
                let error = (mass - f64::from(u8::from(token == label))) / BATCH as f64;
                for k in 0..RANK {
                    gradient[token * RANK + k] += error * f64::from(a[k * CONTEXTS + context]);
                    gradient[B + k * CONTEXTS + context] += error * f64::from(b[token * RANK + k]);
                }
            }
        }
        if batch.chance(self.poison) {
            let at = batch.below(ALL as u64) as usize;
            match batch.below(8) {
                0 => gradient[at] = f64::NAN,
                1 => gradient[at] = f64::INFINITY,
                // Finite, and its square is not.
                2 => gradient[at] = 1e200,
                3 | 4 => gradient = gradient.map(|g| -g),
                _ => {
                    let factor = batch.magnitude(1e3, 1e6);
                    gradient = gradient.map(|g| g * factor);
                }
            }
        }
        let rate = self.rate(state, halvings);
        let times = (state.steps + 1) as i32;
        let (correct1, correct2) = (1.0 - 0.9_f64.powi(times), 1.0 - 0.99_f64.powi(times));
        let first: [f64; ALL] = std::array::from_fn(|at| 0.9 * state.first[at] + 0.1 * gradient[at]);
        let second: [f64; ALL] = std::array::from_fn(|at| 0.99 * state.second[at] + 0.01 * gradient[at] * gradient[at]);
        let deltas =
            std::array::from_fn(|at| (-rate * (first[at] / correct1) / ((second[at] / correct2).sqrt() + 1e-8)) as f32);
        Step {
            deltas,
            first,
            second,
            rate,
            loss,
        }
    }

    /// A reading of a state by the meters; `None` when it went missing. `place` is what happened before it: failures of
    /// a meter come and go.
    pub fn read(&self, need: &Need, state: &State, before: &State, place: u64) -> Option<Measured> {
        let subject = need.quantity as u64 * 16 + need.probe.map_or(0, |probe| probe as u64 + 1);
        let mut fate = Random::new(self.seed, Subject::Meter, place * 4096 + subject);
        let reading = if fate.chance(self.fails) {
            if fate.chance(0.4) {
                return None;
            }
            Reading::NotFinite
        } else {
            self.meter(need, state, before)
        };
        Some(Measured::new(need.quantity, need.probe, reading))
    }

    fn meter(&self, need: &Need, state: &State, before: &State) -> Reading {
        match (need.quantity, need.probe) {
            (Quantity::DriftPerUpdate, Some(probe)) => self.drift(probe, &self.logits(before), &self.logits(state)),
            (Quantity::DriftTotal, Some(probe)) => self.drift(probe, &self.base, &self.logits(state)),
            (Quantity::LoraEffectiveRank, None) => {
                let (b, a) = state.weights.split_at(B);
                effective_rank(b, a, RANK)
            }
            (quantity, Some(_)) => match self.samples(state) {
                Some(samples) => {
                    let texts: Vec<String> = samples
                        .iter()
                        .map(|tokens| tokens.iter().map(|token| WORDS[*token]).collect::<Vec<_>>().join(" "))
                        .collect();
                    distinct_n(texts.iter().map(String::as_str), grams(quantity)).value
                }
                None => Reading::NotFinite,
            },
            other => panic!("{other:?} has no meter"),
        }
    }

    fn drift(&self, probe: usize, from: &[f32], to: &[f32]) -> Reading {
        let rows = |of: &[f32]| -> Vec<Vec<f32>> {
            let text = |text: &&[usize]| text.iter().flat_map(|c| of[c * TOKENS..][..TOKENS].to_vec()).collect();
            TEXTS[probe].iter().map(text).collect()
        };
        let (from, to) = (rows(from), rows(to));
        let logits = |values| Logits { vocab: TOKENS, values };
        drift(from.iter().zip(&to).map(|(from, to)| (logits(from), logits(to)))).value
    }

    /// One sample from each context, drawn with the same numbers whatever the state; `None` when nothing can be drawn.
    fn samples(&self, state: &State) -> Option<Vec<Vec<usize>>> {
        let logits = self.logits(state);
        if !logits.iter().all(|logit| logit.is_finite()) {
            return None;
        }
        let mass: Vec<Vec<f64>> = logits.chunks(TOKENS).map(softmax).collect();
        let sample = |prompt: usize| {
            let mut draws = Random::new(0, Subject::Samples, prompt as u64);
            let mut context = prompt;
            let mut tokens = Vec::new();
            for _ in 0..SAMPLE_WORDS {
                let mut left = draws.unit();
                let token = mass[context].iter().position(|mass| {
                    left -= mass;
                    left < 0.0
                });
                let token = token.unwrap_or(TOKENS - 1);
                tokens.push(token);
                context = token % CONTEXTS;
            }
            tokens
        };
        Some((0..CONTEXTS).map(sample).collect())
    }

    /// The same quantity without the meters, straight from its definition; NaN when there is no number.
    pub fn again(&self, quantity: Quantity, probe: Option<usize>, state: &State, before: &State) -> f64 {
        match (quantity, probe) {
            (Quantity::DriftPerUpdate, Some(probe)) => kl(probe, &self.logits(before), &self.logits(state)),
            (Quantity::DriftTotal, Some(probe)) => kl(probe, &self.base, &self.logits(state)),
            (Quantity::LoraEffectiveRank, None) => rank_of_two(&state.weights),
            (quantity, _) => {
                let Some(samples) = self.samples(state) else {
                    return f64::NAN;
                };
                let all: Vec<&[usize]> = samples
                    .iter()
                    .flat_map(|tokens| tokens.windows(grams(quantity)))
                    .collect();
                all.iter().collect::<BTreeSet<_>>().len() as f64 / all.len() as f64
            }
        }
    }
}

fn grams(quantity: Quantity) -> usize {
    match quantity {
        Quantity::DiversityDistinct1 => 1,
        Quantity::DiversityDistinct2 => 2,
        Quantity::DiversityDistinct3 => 3,
        other => panic!("{other:?} counts no words"),
    }
}

fn softmax(row: &[f32]) -> Vec<f64> {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = row
        .iter()
        .map(|logit| (f64::from(*logit) - f64::from(most)).exp())
        .collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|exp| exp / sum).collect()
}

/// Mean over texts of the mean over positions of Σ p (ln p − ln q).
fn kl(probe: usize, from: &[f32], to: &[f32]) -> f64 {
    let log_softmax = |row: &[f32]| -> Vec<f64> {
        let most = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = row.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
        row.iter().map(|logit| (f64::from(*logit) - most) - sum.ln()).collect()
    };
    let of_texts = TEXTS[probe].iter().map(|text| {
        let of_positions = text.iter().map(|context| {
            let p = log_softmax(&from[context * TOKENS..][..TOKENS]);
            let q = log_softmax(&to[context * TOKENS..][..TOKENS]);
            p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>()
        });
        of_positions.sum::<f64>() / text.len() as f64
    });
    of_texts.sum::<f64>() / TEXTS[probe].len() as f64
}

/// exp of the entropy of two singular values, from their closed form: σ₁² + σ₂² is the squared Frobenius norm of BA, and
/// (σ₁σ₂)² the sum of its squared 2 × 2 minors (Cauchy and Binet).
fn rank_of_two(weights: &[f32; ALL]) -> f64 {
    let (b, a) = weights.split_at(B);
    let product = |token: usize, context: usize| -> f64 {
        (0..RANK)
            .map(|k| f64::from(b[token * RANK + k]) * f64::from(a[k * CONTEXTS + context]))
            .sum()
    };
    let m: Vec<Vec<f64>> = (0..TOKENS)
        .map(|t| (0..CONTEXTS).map(|c| product(t, c)).collect())
        .collect();
    let squares: f64 = m.iter().flatten().map(|x| x * x).sum();
    let mut minors = 0.0;
    for i in 0..TOKENS {
        for j in 0..i {
            for k in 0..CONTEXTS {
                for l in 0..k {
                    minors += (m[i][k] * m[j][l] - m[i][l] * m[j][k]).powi(2);
                }
            }
        }
    }
    if squares == 0.0 {
        return 0.0;
    }
    let both = 2.0 * minors.sqrt();
    let (sum, difference) = ((squares + both).sqrt(), (squares - both).max(0.0).sqrt());
    let share = (sum + difference) / 2.0 / sum;
    let entropy = |share: f64| if share == 0.0 { 0.0 } else { -share * share.ln() };
    (entropy(share) + entropy(1.0 - share)).exp()
}
