//! The Llama architecture (Touvron et al. 2023): a forward pass that autograd can follow.
//!
//! Weights are tensors under their Hugging Face names. Where a weight is a variable, gradients reach it (training from
//! scratch); otherwise they reach the [`Adapter`]'s matrices alone.

mod decode;
mod lanes;
mod ops;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Module as _, Tensor};
use candle_nn::Embedding;

use super::config::{Config, PROJECTIONS};
use super::error::{Error, Result};
use super::lora::{Adapter, Pair};
use super::random::{Purpose, Stream};
pub use decode::Decoder;
use ops::Turns;

/// Tensors under their Hugging Face names.
pub type Weights = BTreeMap<String, Tensor>;

/// A model: its shape and its weights. Tensors are shared, so a clone is cheap.
#[derive(Debug, Clone)]
pub struct Llama {
    config: Config,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Tensor,
    /// `[vocab, hidden]`; the embedding itself where the head is tied.
    head: Tensor,
}

#[derive(Debug, Clone)]
struct Layer {
    input_norm: Tensor,
    post_norm: Tensor,
    /// By the projection's name, with the module's whole name.
    projections: BTreeMap<&'static str, (String, Tensor)>,
}

/// Keys and values of one layer, each `[batch, kv heads, time, head width]`.
type Kept = (Tensor, Tensor);

/// A token to predict: the position whose hidden state predicts it, and the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Row of the batch.
    pub row: u32,
    /// Position in the row; its hidden state predicts the token that follows.
    pub position: u32,
    /// The token that follows.
    pub token: u32,
}

/// Random weights to train from: normal with standard deviation 0.02, norms 1. The same for the same seed.
pub fn initial(config: &Config, seed: u64) -> Result<Weights> {
    let tensors = config.shapes().into_iter().enumerate().map(|(index, (name, shape))| {
        let count = shape.iter().product();
        let mut stream = Stream::new(seed, Purpose::Init, 0, index as u64);
        let values: Vec<f32> = match shape.len() {
            1 => vec![1.0; count],
            _ => (0..count).map(|_| (0.02 * stream.normal()) as f32).collect(),
        };
        Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?))
    });
    tensors.collect()
}

impl Llama {
    /// Takes the tensors that `config` names out of `weights`; others are not looked at.
    ///
    /// Errors: a tensor is missing, or its shape is not the one that `config` gives it.
    pub fn new(config: &Config, weights: &Weights) -> Result<Llama> {
        for (name, expected) in config.shapes() {
            let found = get(weights, &name)?;
            if found.dims() != expected.as_slice() {
                return Err(Error::new(format!(
                    "tensor {name} has shape {:?}, and config.json gives {expected:?}",
                    found.dims()
                )));
            }
        }
        let layer = |index: usize| {
            let norm = |name: &str| get(weights, &format!("model.layers.{index}.{name}.weight"));
            let projections = PROJECTIONS.into_iter().map(|(block, name)| {
                let module = format!("model.layers.{index}.{block}.{name}");
                let weight = get(weights, &format!("{module}.weight"))?;
                Ok((name, (module, weight)))
            });
            Ok(Layer {
                input_norm: norm("input_layernorm")?,
                post_norm: norm("post_attention_layernorm")?,
                projections: projections.collect::<Result<_>>()?,
            })
        };
        let embedding = get(weights, "model.embed_tokens.weight")?;
        Ok(Llama {
            config: config.clone(),
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
            norm: get(weights, "model.norm.weight")?,
            head: match config.tied {
                true => embedding.clone(),
                false => get(weights, "lm_head.weight")?,
            },
            embedding: Embedding::new(embedding, config.hidden),
        })
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The matrices that adapters stand beside, `[out, in]` each, by module.
    pub fn projections(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let layers = self.layers.iter().flat_map(|layer| layer.projections.values());
        layers.map(|(module, weight)| (module.as_str(), weight))
    }

    /// The same model with weights that no gradient reaches: a forward pass with it builds no graph.
    pub fn detached(&self) -> Llama {
        let layers = self.layers.iter().map(|layer| Layer {
            input_norm: layer.input_norm.detach(),
            post_norm: layer.post_norm.detach(),
            projections: layer
                .projections
                .iter()
                .map(|(name, (module, weight))| (*name, (module.clone(), weight.detach())))
                .collect(),
        });
        Llama {
            config: self.config.clone(),
            embedding: Embedding::new(self.embedding.embeddings().detach(), self.config.hidden),
            layers: layers.collect(),
            norm: self.norm.detach(),
            head: self.head.detach(),
        }
    }

    /// The hidden states `[batch, time, hidden]` after the last norm, of `tokens` `[batch, time]` (u32).
    ///
    /// Rows may be padded on the right with any token: a position sees only what stands before it.
    pub fn hidden(&self, tokens: &Tensor, adapter: Option<&Adapter>) -> Result<Tensor> {
        self.run(tokens, adapter, None)
    }

    /// The logits `[.., vocab]` of hidden states `[.., hidden]`.
    pub fn head(&self, hidden: &Tensor) -> Result<Tensor> {
        let mut shape = hidden.dims().to_vec();
        let rows = hidden.reshape(((), self.config.hidden))?;
        if let Some(last) = shape.last_mut() {
            *last = self.config.vocab;
        }
        Ok(ops::linear(&rows, &self.head)?.reshape(shape)?)
    }

    /// The sum over `targets` of the cross entropy, in nats: a scalar that autograd can follow. The head is computed only at
    /// the targets' positions. 0 for no targets.
    ///
    /// Errors: a target outside `hidden` (`[batch, time, hidden]`) or the vocabulary.
    pub fn loss(&self, hidden: &Tensor, targets: &[Target]) -> Result<Tensor> {
        let (batch, time, width) = hidden.dims3()?;
        let row_of = |target: &Target| {
            let inside = (target.row as usize) < batch && (target.position as usize) < time;
            let row = target.row as usize * time + target.position as usize;
            inside.then_some(row as u32).ok_or_else(|| {
                Error::new(format!(
                    "target at row {}, position {} is outside a batch of {batch} rows of {time} tokens",
                    target.row, target.position
                ))
            })
        };
        let rows: Vec<u32> = targets.iter().map(row_of).collect::<Result<_>>()?;
        if rows.is_empty() {
            return Ok(Tensor::new(0f32, hidden.device())?);
        }
        let rows = Tensor::new(rows, hidden.device())?;
        let hidden = hidden.reshape((batch * time, width))?.index_select(&rows, 0)?;
        let tokens = targets.iter().map(|target| target.token).collect();
        Ok(ops::cross_entropy(&self.head(&hidden)?, tokens)?)
    }

    fn run(&self, tokens: &Tensor, adapter: Option<&Adapter>, mut kept: Option<&mut Vec<Kept>>) -> Result<Tensor> {
        let (batch, time) = tokens.dims2()?;
        let config = &self.config;
        let turns = Arc::new(Turns::new(0, time, config.head_dim, config.rope_theta));
        let norm = |x: &Tensor, weight: &Tensor| ops::rms_norm(x, weight, config.norm_eps);
        let mut x = self.embedding.forward(&tokens.flatten_all()?)?;
        for layer in &self.layers {
            let project = |name: &str, x: &Tensor| layer.project(name, x, adapter);
            let normed = norm(&x, &layer.input_norm)?;
            let heads = |name: &str, count: usize| -> Result<Tensor> {
                Ok(project(name, &normed)?.reshape((batch, time, count, config.head_dim))?)
            };
            let q = ops::rotate(&heads("q_proj", config.heads)?, &turns)?;
            let k = ops::rotate(&heads("k_proj", config.kv_heads)?, &turns)?;
            let v = heads("v_proj", config.kv_heads)?;
            let (k, v) = (k.transpose(1, 2)?.contiguous()?, v.transpose(1, 2)?.contiguous()?);
            let attended = self.attend(&q, &k, &v)?;
            if let Some(kept) = kept.as_deref_mut() {
                kept.push((k, v));
            }
            x = (x + project("o_proj", &attended)?)?;
            let normed = norm(&x, &layer.post_norm)?;
            let inner = ops::swiglu(&project("gate_proj", &normed)?, &project("up_proj", &normed)?)?;
            x = (x + project("down_proj", &inner)?)?;
        }
        Ok(norm(&x, &self.norm)?.reshape((batch, time, config.hidden))?)
    }

    /// Causal attention of queries `[batch, time, heads, width]` over keys and values `[batch, kv heads, time, width]`;
    /// gives `[batch · time, heads · width]`.
    ///
    /// The heads that share keys stand next to each other, so one product of a `[heads / kv heads · time, width]` matrix
    /// serves them all and no key is repeated.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (batch, time, heads, width) = q.dims4()?;
        let kv_heads = self.config.kv_heads;
        let grouped = (batch, kv_heads, heads / kv_heads * time, width);
        let q = q.transpose(1, 2)?.reshape(grouped)?;
        let scores = q.matmul(&k.transpose(2, 3)?)?;
        let shares = ops::causal_softmax(&scores, (width as f64).sqrt().recip(), time)?;
        let mixed = shares.matmul(v)?.reshape((batch, heads, time, width))?;
        Ok(mixed.transpose(1, 2)?.reshape((batch * time, heads * width))?)
    }
}

impl Layer {
    /// A projection's module and weight.
    fn projection(&self, name: &str) -> Result<(&str, &Tensor)> {
        let found = self
            .projections
            .get(name)
            .map(|(module, weight)| (module.as_str(), weight));
        found.ok_or_else(|| Error::new(format!("a layer has no {name}")))
    }

    /// A projection of `x` (`[rows, in]`), with what the adapter adds to it. A weight with an adapter on it is frozen.
    fn project(&self, name: &str, x: &Tensor, adapter: Option<&Adapter>) -> Result<Tensor> {
        let (module, weight) = self.projection(name)?;
        match adapter.and_then(|adapter| Some((adapter.pairs.get(module)?, adapter.scale))) {
            Some((Pair { a, b }, scale)) => Ok(ops::adapted(x, weight, a, b, scale)?),
            None => Ok(ops::linear(x, weight)?),
        }
    }
}

fn get(weights: &Weights, name: &str) -> Result<Tensor> {
    weights
        .get(name)
        .cloned()
        .ok_or_else(|| Error::new(format!("tensor {name} is missing")))
}

#[cfg(test)]
pub(crate) mod tests;
