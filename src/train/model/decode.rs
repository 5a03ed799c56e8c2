//! One position after the other: what sampling asks of a model, without a graph.
//!
//! Rows of different lengths go side by side, each at a position of its own. The adapter is added to the weights once, the
//! projections that read the same numbers are one matrix, and keys and values are written into memory that is there from
//! the start. Everything but the matrix products is a loop of one thread, so the number of threads changes nothing.

use candle_core::{CpuStorage, Layout, Shape, Tensor};

use super::lanes::{sigmoid, softmax};
use super::ops::{self, Turns};
use super::{Kept, Llama};
use crate::train::error::{Error, Result};
use crate::train::lora::{Adapter, Pair};
use crate::train::tensors::{self, padded};

/// Multiplications from which on a product is shared out over threads.
const SHARED: usize = 48 * 48 * 256;
/// Rows of a piece below which a matrix would be read too often.
const FEW: usize = 4;

/// A model with its adapter in its weights.
pub struct Decoder {
    layers: Vec<Layer>,
    embedding: Vec<f32>,
    norm: Vec<f32>,
    /// `[hidden, vocab]`.
    head: Tensor,
    shape: Sizes,
    /// What prompts go through.
    model: Llama,
    adapter: Option<Adapter>,
}

/// A layer's matrices as `[in, out]`, which a product of few rows reads without rearranging it.
struct Layer {
    input_norm: Vec<f32>,
    qkv: Tensor,
    out: Tensor,
    post_norm: Vec<f32>,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
}

#[derive(Clone, Copy)]
struct Sizes {
    hidden: usize,
    intermediate: usize,
    heads: usize,
    kv_heads: usize,
    width: usize,
    eps: f32,
}

/// Texts that a [`Decoder`] continues side by side.
pub struct Rows {
    layers: Vec<Cache>,
    turns: Turns,
    /// Positions fed so far, row by row.
    fed: Vec<usize>,
    /// Positions that a row has room for.
    room: usize,
    logits: Vec<f32>,
}

/// What one layer keeps of the positions that were fed.
struct Cache {
    /// Of every row and key head `[width, room]`: scores run along the positions.
    keys: Vec<f32>,
    /// Of every row and key head `[room, width]`.
    values: Vec<f32>,
    width: usize,
    room: usize,
}

impl Rows {
    /// The logits of every row's last position, `[rows, vocab]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }
}

impl Decoder {
    /// Adds the adapter to the weights. Takes memory for them once more.
    ///
    /// # Errors
    /// When candle fails.
    pub fn new(model: &Llama, adapter: Option<&Adapter>) -> Result<Decoder> {
        let config = model.config();
        let layers = model.layers.iter().map(|layer| Layer::new(layer, adapter));
        Ok(Decoder {
            layers: layers.collect::<Result<_>>()?,
            embedding: tensors::numbers(model.embedding.embeddings())?,
            norm: tensors::numbers(&model.norm)?,
            head: model.head.detach().t()?.contiguous()?,
            shape: Sizes {
                hidden: config.hidden,
                intermediate: config.intermediate,
                heads: config.heads,
                kv_heads: config.kv_heads,
                width: config.head_dim,
                eps: config.norm_eps as f32,
            },
            model: model.detached(),
            adapter: adapter.map(Adapter::detached),
        })
    }

    /// Feeds each of `prompts`, padded to the longest, with room for `length` tokens after it.
    ///
    /// # Errors
    /// A prompt without a token, a token outside the vocabulary, and when candle fails.
    pub fn begin(&self, prompts: &[Vec<u32>], length: usize) -> Result<Rows> {
        let config = self.model.config();
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let room = longest + length;
        let prefixes: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut kept = Vec::new();
        let hidden = self
            .model
            .run(&padded(&prefixes)?, self.adapter.as_ref(), Some(&mut kept))?;
        let mut logits = Vec::with_capacity(prompts.len() * config.vocab);
        for (row, prompt) in prompts.iter().enumerate() {
            let last = prompt.len().checked_sub(1);
            let last = last.ok_or_else(|| Error::new(format!("prompt {row} has no token to begin with")))?;
            let last = hidden.get(row)?.narrow(0, last, 1)?;
            logits.extend(tensors::numbers(&self.model.head(&last)?)?);
        }
        let layers = kept.iter().map(|kept| Cache::of(kept, prompts, room));
        Ok(Rows {
            layers: layers.collect::<Result<_>>()?,
            turns: Turns::new(0, room, config.head_dim, config.rope_theta),
            fed: prompts.iter().map(Vec::len).collect(),
            room,
            logits,
        })
    }

    /// Feeds the next token of every row.
    ///
    /// # Errors
    /// Another number of tokens than of rows, a token outside the vocabulary, a row without room, and when candle fails.
    pub fn feed(&self, rows: &mut Rows, tokens: &[u32]) -> Result<()> {
        let (hidden, shape) = (self.shape.hidden, self.shape);
        if tokens.len() != rows.fed.len() || rows.fed.iter().any(|fed| *fed >= rows.room) {
            return Err(Error::new("a decoder was fed tokens that it has no room for"));
        }
        let mut x = Vec::with_capacity(tokens.len() * hidden);
        for token in tokens {
            let start = *token as usize * hidden;
            let row = self.embedding.get(start..start + hidden);
            x.extend(row.ok_or_else(|| Error::new(format!("token {token} is outside the vocabulary")))?);
        }
        for (layer, cache) in self.layers.iter().zip(&mut rows.layers) {
            let mut qkv = product(&shape.norm(&x, &layer.input_norm), hidden, &layer.qkv)?;
            let attended = cache.attend(&mut qkv, &rows.fed, &rows.turns, shape);
            add(&mut x, &product(&attended, shape.heads * shape.width, &layer.out)?);
            let normed = shape.norm(&x, &layer.post_norm);
            let mut inner = product(&normed, hidden, &layer.gate)?;
            let up = product(&normed, hidden, &layer.up)?;
            inner.iter_mut().zip(&up).for_each(|(x, u)| *x *= sigmoid(*x) * u);
            add(&mut x, &product(&inner, shape.intermediate, &layer.down)?);
        }
        rows.logits = product(&shape.norm(&x, &self.norm), hidden, &self.head)?;
        rows.fed.iter_mut().for_each(|fed| *fed += 1);
        Ok(())
    }
}

impl Sizes {
    fn norm(self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut normed = Vec::with_capacity(x.len());
        for row in x.chunks_exact(self.hidden) {
            let inverse = ops::inverse(row, self.eps);
            normed.extend(row.iter().zip(weight).map(|(x, w)| x * inverse * w));
        }
        normed
    }
}

impl Layer {
    fn new(layer: &super::Layer, adapter: Option<&Adapter>) -> Result<Layer> {
        let joined = |names: &[&str]| -> Result<Tensor> {
            let merged = names.iter().map(|name| {
                let (module, weight) = layer.projection(name)?;
                Ok(
                    match adapter.and_then(|adapter| Some((adapter.pairs.get(module)?, adapter.scale))) {
                        Some((Pair { a, b }, scale)) => ops::merged(weight, a, b, scale)?,
                        None => weight.detach(),
                    },
                )
            });
            let merged = merged.collect::<Result<Vec<_>>>()?;
            Ok(Tensor::cat(&merged, 0)?.t()?.contiguous()?)
        };
        Ok(Layer {
            input_norm: tensors::numbers(&layer.input_norm)?,
            qkv: joined(&["q_proj", "k_proj", "v_proj"])?,
            out: joined(&["o_proj"])?,
            post_norm: tensors::numbers(&layer.post_norm)?,
            gate: joined(&["gate_proj"])?,
            up: joined(&["up_proj"])?,
            down: joined(&["down_proj"])?,
        })
    }
}

impl Cache {
    /// The keys and values of prompts.
    fn of((k, v): &Kept, prompts: &[Vec<u32>], room: usize) -> Result<Cache> {
        let (_, heads, time, width) = k.dims4()?;
        let size = prompts.len() * heads * width * room;
        let mut cache = Cache {
            keys: vec![0.0; size],
            values: vec![0.0; size],
            width,
            room,
        };
        let (k, v) = (tensors::numbers(k)?, tensors::numbers(v)?);
        let blocks = k.chunks_exact(time * width).zip(v.chunks_exact(time * width));
        for (block, (k, v)) in blocks.enumerate() {
            let length = prompts.get(block / heads.max(1)).map_or(0, Vec::len);
            let positions = k.chunks_exact(width).zip(v.chunks_exact(width)).take(length);
            for (position, (k, v)) in positions.enumerate() {
                cache.put(k, v, block, position);
            }
        }
        Ok(cache)
    }

    /// Writes a key and a value to a position of `block`, the number of the row and key head.
    fn put(&mut self, k: &[f32], v: &[f32], block: usize, position: usize) {
        let start = block * self.width * self.room;
        let keys = self.keys.iter_mut().skip(start + position).step_by(self.room);
        keys.zip(k).for_each(|(slot, k)| *slot = *k);
        let values = self.values.iter_mut().skip(start + position * self.width);
        values.zip(v).for_each(|(slot, v)| *slot = *v);
    }

    /// Turns the queries and keys of one position a row, takes in its keys and values, and attends to all of the row.
    fn attend(&mut self, qkv: &mut [f32], fed: &[usize], turns: &Turns, shape: Sizes) -> Vec<f32> {
        let Sizes {
            heads, kv_heads, width, ..
        } = shape;
        let room = self.room;
        let scale = (width as f64).sqrt().recip() as f32;
        let mut attended = Vec::with_capacity(fed.len() * heads * width);
        let mut scores = Vec::with_capacity(room);
        let rows = qkv.chunks_exact_mut((heads + 2 * kv_heads) * width);
        for (row, (qkv, fed)) in rows.zip(fed).enumerate() {
            let (qk, v) = qkv.split_at_mut((heads + kv_heads) * width);
            qk.chunks_exact_mut(width).for_each(|head| turns.turn(head, *fed, 1.0));
            let (q, k) = qk.split_at(heads * width);
            for (head, (k, v)) in k.chunks_exact(width).zip(v.chunks_exact(width)).enumerate() {
                self.put(k, v, row * kv_heads + head, *fed);
            }
            let seen = *fed + 1;
            for (head, q) in q.chunks_exact(width).enumerate() {
                let block = (row * kv_heads + head / (heads / kv_heads)) * width * room;
                let keys = self.keys.get(block..block + width * room).unwrap_or_default();
                let values = self.values.get(block..block + width * seen).unwrap_or_default();
                scores.clear();
                scores.resize(seen, 0.0);
                combine(&mut scores, q, keys, room);
                softmax(&mut scores, scale);
                let start = attended.len();
                attended.resize(start + width, 0.0);
                combine(attended.get_mut(start..).unwrap_or_default(), &scores, values, width);
            }
        }
        attended
    }
}

/// Adds `Σ weight · row` to `sums`, of the rows of a matrix with `stride` columns, of which the first are read. Eight rows
/// at a time, which saves seven of eight passes over `sums`.
fn combine(sums: &mut [f32], weights: &[f32], matrix: &[f32], stride: usize) {
    let (eights, ones) = weights.as_chunks::<8>();
    let mut rows = matrix.chunks_exact(stride.max(1));
    for [a, b, c, d, e, f, g, h] in eights {
        let mut row = || rows.next().unwrap_or_default().iter();
        let four = row().zip(row()).zip(row().zip(row()));
        let rows = four.zip(row().zip(row()).zip(row().zip(row())));
        for (sum, (((p, q), (r, s)), ((t, u), (v, w)))) in sums.iter_mut().zip(rows) {
            *sum += ((a * p + b * q) + (c * r + d * s)) + ((e * t + f * u) + (g * v + h * w));
        }
    }
    for (weight, row) in ones.iter().zip(rows) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += weight * x;
        }
    }
}

fn add(x: &mut [f32], more: &[f32]) {
    x.iter_mut().zip(more).for_each(|(x, more)| *x += more);
}

/// The product of `rows`, `inner` numbers each, with a matrix `[inner, out]`.
///
/// The library shares products of [`SHARED`] multiplications out over its threads. Products of a few rows are too short to
/// gain from it and lose by waiting, so rows go in pieces below that, where more than a few go into one.
fn product(rows: &[f32], inner: usize, matrix: &Tensor) -> Result<Vec<f32>> {
    let (count, out) = (rows.len() / inner.max(1), matrix.dims2()?.1);
    let most = (SHARED - 1) / (inner * out).max(1);
    let piece = if most < FEW {
        count
    } else {
        count.div_ceil(count.div_ceil(most).max(1))
    };
    let mut product = Vec::with_capacity(count * out);
    for piece in rows.chunks((piece * inner).max(1)) {
        let layout = Layout::contiguous(Shape::from((piece.len() / inner.max(1), inner)));
        match ops::times(&CpuStorage::F32(piece.to_vec()), &layout, matrix)? {
            (CpuStorage::F32(piece), _) => product.extend(piece),
            _ => return Err(Error::new("a product of f32 is of another type")),
        }
    }
    Ok(product)
}
