//! The tiny model ready to train, and what is measured on it.

use std::error::Error;
use std::fs;

use candle_core::{Device, Tensor};
use ftrisk::meter::cross_entropy::cross_entropy;
use ftrisk::meter::kl::{Logits, drift};
use ftrisk::quantity::ProbeKind;
use ftrisk::source::Sources;
use ftrisk::train::data::encode::Encoded;
use ftrisk::train::data::files;
use ftrisk::train::engine::Engine;
use ftrisk::train::lora::Adapter;
use ftrisk::train::model::Target;
use ftrisk::train::setup::Setup;
use ftrisk::train::state::State;
use ftrisk::train::tensors;

use super::sums::{mean, root_js};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Keys of a run file that replace those of `sound.yaml`.
pub type Keys = Vec<(&'static str, String)>;

/// The logits of every snippet of the probe, positions × vocabulary each.
pub type Answers = Vec<Vec<f32>>;

const RUN: &str = "examples/tiny/sound.yaml";
const PROBE: &str = "examples/tiny/probes/voices.jsonl";
const ROWS_AT_ONCE: usize = 12;

/// A run that could begin.
pub struct Bench {
    pub engine: Engine,
    pub start: State,
    probe: Vec<Vec<u32>>,
    held: Vec<Encoded>,
}

impl Bench {
    /// The run of `sound.yaml` with other keys.
    pub fn new(keys: &Keys) -> Outcome<Bench> {
        let held = setup(&vec![("dataset", "held".to_owned())])?;
        let setup = setup(keys)?;
        let probe = setup.probe("voices", PROBE, ProbeKind::Text, &fs::read(PROBE)?)?;
        Ok(Bench {
            probe: probe.rows.into_iter().map(|row| row.tokens).collect(),
            held: held.engine.rows,
            engine: setup.engine,
            start: setup.start,
        })
    }

    /// What the model says on every `nth` snippet of the probe; without an adapter it is the base.
    pub fn answers(&self, adapter: Option<&Adapter>, nth: usize) -> Outcome<Answers> {
        let rows: Vec<&[u32]> = self.probe.iter().step_by(nth).map(Vec::as_slice).collect();
        self.answers_to(&rows, adapter)
    }

    /// What the model says along every held-out row, its question included.
    pub fn task_answers(&self, adapter: Option<&Adapter>) -> Outcome<Answers> {
        let rows: Vec<&[u32]> = self.held.iter().map(|row| row.tokens.as_slice()).collect();
        self.answers_to(&rows, adapter)
    }

    fn answers_to(&self, rows: &[&[u32]], adapter: Option<&Adapter>) -> Outcome<Answers> {
        let model = &self.engine.model;
        let mut answers = Answers::new();
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let hidden = model.hidden(&padded(rows)?, adapter)?;
            for (index, row) in rows.iter().enumerate() {
                let own = hidden.get(index)?.narrow(0, 0, row.len())?.contiguous()?;
                answers.push(tensors::numbers(&model.head(&own)?)?);
            }
        }
        Ok(answers)
    }

    /// Cross entropy in nats a token of the probe's own texts: what the base was trained to say.
    pub fn surprise(&self, answers: &Answers) -> f64 {
        let vocab = self.engine.model.config().vocab;
        let texts = self.probe.iter().zip(answers).map(|(tokens, values)| {
            let next = tokens.get(1..).unwrap_or_default();
            let values = values.get(..next.len() * vocab).unwrap_or_default();
            cross_entropy(Logits { vocab, values }, next)
        });
        mean(&texts.collect::<Vec<f64>>())
    }

    /// Forward KL in nats a token.
    pub fn kl(&self, before: &Answers, now: &Answers) -> f64 {
        let vocab = self.engine.model.config().vocab;
        let logits = |values| Logits { vocab, values };
        let pairs = before.iter().zip(now).map(|(p, q)| (logits(p), logits(q)));
        drift(pairs).value.as_f64()
    }

    /// The square root of the mean Jensen-Shannon divergence in nats: a metric.
    pub fn root_js(&self, before: &Answers, now: &Answers) -> f64 {
        root_js(before, now, self.engine.model.config().vocab)
    }

    /// Cross entropy in nats a token on the answers of the held-out rows.
    pub fn held_out(&self, adapter: &Adapter) -> Outcome<f64> {
        let (mut sum, mut count) = (0.0, 0);
        for rows in self.held.chunks(ROWS_AT_ONCE) {
            let inputs: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
            let hidden = self.engine.model.hidden(&padded(&inputs)?, Some(adapter))?;
            let targets: Vec<Target> = rows.iter().zip(0..).flat_map(|(row, at)| targets(row, at)).collect();
            count += targets.len();
            sum += f64::from(self.engine.model.loss(&hidden, &targets)?.to_scalar::<f32>()?);
        }
        Ok(sum / count as f64)
    }
}

/// The run of `sound.yaml` with other keys, loaded.
pub fn setup(keys: &Keys) -> Outcome<Setup> {
    let mut lines: Vec<String> = fs::read_to_string(RUN)?.lines().map(str::to_owned).collect();
    for (key, value) in keys {
        let (begins, line) = (format!("{key}:"), format!("{key}: {value}"));
        match lines.iter_mut().find(|line| line.starts_with(&begins)) {
            Some(old) => *old = line,
            None => lines.push(line),
        }
    }
    let mut sources = Sources::default();
    let run = sources.add("run.yaml", lines.join("\n") + "\n");
    let read = ftrisk::adapt::recipe(run, &sources);
    let recipe = read.recipe.ok_or_else(|| format!("{:?}", read.diagnostics))?;
    let data = files::read(&recipe)?;
    Ok(Setup::new(&recipe, data)?)
}

/// Rows beside each other, the short ones filled up on the right.
fn padded(rows: &[&[u32]]) -> Outcome<Tensor> {
    let time = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    let all: Vec<u32> = rows
        .iter()
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, time - row.len())))
        .collect();
    Ok(Tensor::from_vec(all, (rows.len(), time), &Device::Cpu)?)
}

fn targets(encoded: &Encoded, row: u32) -> impl Iterator<Item = Target> + '_ {
    let tokens = encoded.tokens.iter().zip(&encoded.answers).skip(1).zip(0..);
    tokens
        .filter(|((_, is_answer), _)| **is_answer)
        .map(move |((token, _), position)| Target {
            row,
            position,
            token: *token,
        })
}
