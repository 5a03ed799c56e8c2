//! One update of the tiny base's training, and the course of its learning rate.

use candle_core::{Device, Tensor, Var};
use ftrisk::train::config::Config;
use ftrisk::train::model::{Llama, Weights, initial};
use ftrisk::train::optim::{AdamW, Matrices, Moments, clip};
use ftrisk::train::{Error, Result, tensors};

use super::texts::loss;

/// The share of the updates in which the rate climbs.
pub const WARMUP: f64 = 0.03;
/// The rate at the end, as a share of the peak.
const FLOOR: f64 = 0.02;
/// The optimizer.
pub const ADAM: AdamW = AdamW {
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-8,
    decay: 0.02,
};

/// Linear to the peak, then half a cosine down to the floor; updates count from 0.
pub fn share_of_peak(update: u64, updates: u64) -> f64 {
    let (at, all) = (update as f64 + 1.0, updates as f64);
    let warmup = (WARMUP * all).max(1.0);
    if at <= warmup {
        return at / warmup;
    }
    let way = (at - warmup) / (all - warmup).max(1.0);
    FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + (std::f64::consts::PI * way).cos())
}

/// Every weight of the model, under training.
pub struct Base {
    /// The weights by their names.
    pub params: Matrices,
    moments: Moments,
}

impl Base {
    /// Random weights.
    pub fn new(config: &Config, seed: u64) -> Result<Base> {
        let weights = initial(config, seed)?;
        let numbers = |(name, tensor): (String, Tensor)| Ok((name, tensors::numbers(&tensor)?));
        Ok(Base {
            params: weights.into_iter().map(numbers).collect::<Result<_>>()?,
            moments: Moments::default(),
        })
    }

    /// One update at a learning rate; gives the loss before it, in nats a token.
    pub fn update(&mut self, config: &Config, rows: &[Vec<u32>], rate: f64) -> Result<f64> {
        let shapes = config.shapes();
        let mut vars = Weights::new();
        for (name, values) in &self.params {
            let shape = shapes
                .get(name)
                .ok_or_else(|| Error::new(format!("{name} has no shape")))?;
            let tensor = Tensor::from_vec(values.clone(), shape.as_slice(), &Device::Cpu)?;
            vars.insert(name.clone(), Var::from_tensor(&tensor)?.into_inner());
        }
        let loss = loss(&Llama::new(config, &vars)?, rows)?;
        let store = loss.backward()?;
        let mut grads = Matrices::new();
        for (name, var) in &vars {
            let grad = store
                .get(var)
                .ok_or_else(|| Error::new(format!("no gradient reaches {name}")))?;
            grads.insert(name.clone(), tensors::numbers(grad)?);
        }
        clip(&mut grads, 1.0);
        let proposal = ADAM.propose(&self.moments, &self.params, &grads, rate);
        self.moments = proposal.moments;
        for (name, delta) in &proposal.deltas {
            for (param, delta) in self.params.get_mut(name).into_iter().flatten().zip(delta) {
                *param += delta;
            }
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}
