//! The operations of a Llama that are not matrix products, each with its own backward pass.
//!
//! The library's own `rms_norm`, `rope` and `softmax_last_dim` end the gradient without a word, and its plain operations
//! make five passes where one is enough. Here each operation is one pass over slices, forward and backward, in a fixed
//! order. All work on contiguous f32 on the processor.

use std::sync::Arc;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor};

/// `x · Wᵀ` with `w` of `[out, in]` and `x` of `[rows, in]`.
///
/// A frozen weight gets no gradient, which saves a third of a layer's products; a weight that is a variable gets one.
pub(super) fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if w.is_variable() {
        x.matmul(&w.t()?)
    } else {
        x.contiguous()?.apply_op1(Frozen { weight: w.clone() })
    }
}

/// `x / sqrt(mean(x²) + eps) · w` over the last dimension (Zhang and Sennrich 2019).
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op2(w, RmsNorm { eps })
}

/// `silu(gate) · up` (Shazeer 2020).
pub(super) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.contiguous()?.apply_op2(&up.contiguous()?, SwiGlu)
}

/// Softmax of `scale · x` over the last dimension, where a query sees the keys up to its own position.
///
/// Rows of `x` are queries: row `r` stands at position `offset + r mod queries`. What a query does not see is 0.
pub(super) fn causal_softmax(x: &Tensor, scale: f64, queries: usize, offset: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op1(CausalSoftmax {
        scale: scale as f32,
        queries,
        offset,
    })
}

/// The sum of the cross entropies, in nats, of the rows of `logits` (`[rows, vocab]`) with their `targets`.
pub(super) fn cross_entropy(logits: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    logits.contiguous()?.apply_op1(CrossEntropy { targets })
}

/// Turns `x` of `[batch, time, heads, width]` by its positions.
pub(super) fn rotate(x: &Tensor, turns: &Arc<Turns>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Rotate {
        turns: turns.clone(),
        forward: true,
    })
}

/// The numbers of a contiguous tensor.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let whole: &[f32] = storage.as_slice()?;
    layout
        .contiguous_offsets()
        .and_then(|(start, end)| whole.get(start..end))
        .ok_or_else(|| candle_core::Error::Msg("an operation wants a contiguous tensor".to_owned()))
}

/// The same from a tensor's storage, which the backward passes hold.
fn held<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => values(storage, layout),
        _ => candle_core::bail!("an operation runs on the processor only"),
    }
}

fn last_dim(layout: &Layout) -> usize {
    // Chunks of no elements do not exist.
    layout.dims().last().copied().unwrap_or(1).max(1)
}

struct Frozen {
    weight: Tensor,
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let weight = self.weight.t()?;
        let (rows, width) = layout.shape().dims2()?;
        let (inner, out) = weight.dims2()?;
        if width != inner {
            candle_core::bail!("a layer that takes {inner} numbers got {width}");
        }
        let (held, weight_layout) = weight.storage_and_layout();
        let Storage::Cpu(weight) = &*held else {
            candle_core::bail!("an operation runs on the processor only");
        };
        let product = storage.matmul(weight, (1, rows, out, inner), layout, weight_layout)?;
        Ok((product, Shape::from((rows, out))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.matmul(&self.weight)?))
    }
}

struct RmsNorm {
    eps: f64,
}

impl RmsNorm {
    /// `1 / sqrt(mean(x²) + eps)`.
    fn inverse(&self, row: &[f32]) -> f32 {
        let square: f32 = row.iter().map(|x| x * x).sum();
        (square / row.len() as f32 + self.eps as f32).sqrt().recip()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (xs, ws) = (values(x, lx)?, values(w, lw)?);
        let mut out = Vec::with_capacity(xs.len());
        for row in xs.chunks_exact(last_dim(lx)) {
            let inverse = self.inverse(row);
            out.extend(row.iter().zip(ws).map(|(x, w)| x * inverse * w));
        }
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    /// With `n = x · inverse`: `dx = inverse · (g·w − n · mean(g·w·n))`, `dw = Σ g·n`.
    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let ((sx, lx), (sw, lw), (sg, lg)) = (
            x.storage_and_layout(),
            w.storage_and_layout(),
            grad.storage_and_layout(),
        );
        let (xs, ws, gs) = (held(&sx, lx)?, held(&sw, lw)?, held(&sg, lg)?);
        let width = last_dim(lx);
        let mut dx = Vec::with_capacity(xs.len());
        let mut dw = vec![0f32; ws.len()];
        for (row, g) in xs.chunks_exact(width).zip(gs.chunks_exact(width)) {
            let inverse = self.inverse(row);
            let along: f32 = row.iter().zip(g).zip(ws).map(|((x, g), w)| g * w * x).sum();
            let mean = along * inverse / width as f32;
            dx.extend(
                row.iter()
                    .zip(g)
                    .zip(ws)
                    .map(|((x, g), w)| inverse * (g * w - x * inverse * mean)),
            );
            for ((d, x), g) in dw.iter_mut().zip(row).zip(g) {
                *d += g * x * inverse;
            }
        }
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let dw = if w.is_variable() {
            Some(Tensor::from_vec(dw, w.shape(), w.device())?)
        } else {
            None
        };
        Ok((Some(dx), dw))
    }
}

struct SwiGlu;

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, gate: &CpuStorage, lg: &Layout, up: &CpuStorage, lu: &Layout) -> Result<(CpuStorage, Shape)> {
        let (gates, ups) = (values(gate, lg)?, values(up, lu)?);
        let out = gates.iter().zip(ups).map(|(x, u)| x * sigmoid(*x) * u).collect();
        Ok((CpuStorage::F32(out), lg.shape().clone()))
    }

    /// With `σ = sigmoid(x)`: `dx = g · u · σ · (1 + x · (1 − σ))`, `du = g · x · σ`.
    fn bwd(&self, gate: &Tensor, up: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let ((sx, lx), (su, lu), (sg, lg)) = (
            gate.storage_and_layout(),
            up.storage_and_layout(),
            grad.storage_and_layout(),
        );
        let (xs, us, gs) = (held(&sx, lx)?, held(&su, lu)?, held(&sg, lg)?);
        let (mut dgate, mut dup) = (Vec::with_capacity(xs.len()), Vec::with_capacity(xs.len()));
        for ((x, u), g) in xs.iter().zip(us).zip(gs) {
            let s = sigmoid(*x);
            dgate.push(g * u * s * (1.0 + x * (1.0 - s)));
            dup.push(g * x * s);
        }
        Ok((
            Some(Tensor::from_vec(dgate, gate.shape(), gate.device())?),
            Some(Tensor::from_vec(dup, up.shape(), up.device())?),
        ))
    }
}

struct CausalSoftmax {
    scale: f32,
    queries: usize,
    offset: usize,
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = values(storage, layout)?;
        let keys = last_dim(layout);
        let mut out = Vec::with_capacity(xs.len());
        for (index, row) in xs.chunks_exact(keys).enumerate() {
            let seen = (self.offset + index % self.queries.max(1) + 1).min(keys);
            let start = out.len();
            let largest = row.iter().take(seen).fold(f32::NEG_INFINITY, |most, x| most.max(*x));
            out.extend(row.iter().take(seen).map(|x| ((x - largest) * self.scale).exp()));
            let tail = out.get_mut(start..).unwrap_or_default();
            let inverse = tail.iter().sum::<f32>().recip();
            tail.iter_mut().for_each(|p| *p *= inverse);
            out.resize(start + keys, 0.0);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    /// `dx = scale · p · (g − Σ g·p)`; unseen keys have p = 0 and so no gradient.
    fn bwd(&self, x: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let ((sp, lp), (sg, lg)) = (res.storage_and_layout(), grad.storage_and_layout());
        let (ps, gs) = (held(&sp, lp)?, held(&sg, lg)?);
        let keys = last_dim(lp);
        let mut dx = Vec::with_capacity(ps.len());
        for (p, g) in ps.chunks_exact(keys).zip(gs.chunks_exact(keys)) {
            let along: f32 = p.iter().zip(g).map(|(p, g)| p * g).sum();
            dx.extend(p.iter().zip(g).map(|(p, g)| self.scale * p * (g - along)));
        }
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

/// The cosines and sines of the positions from `offset` on, `width / 2` a position.
pub(super) struct Turns {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Turns {
    /// Angle of pair `i` at position `p`: `p · theta^(−2i / width)` (Su et al. 2021).
    pub(super) fn new(offset: usize, time: usize, width: usize, theta: f64) -> Turns {
        let half = width / 2;
        let angles = (offset..offset + time)
            .flat_map(|position| (0..half).map(move |i| position as f64 * theta.powf(-2.0 * i as f64 / width as f64)));
        let (sin, cos) = angles.map(|angle| (angle.sin() as f32, angle.cos() as f32)).unzip();
        Turns { cos, sin, half }
    }
}

struct Rotate {
    turns: Arc<Turns>,
    /// Backwards, the turn goes the other way: a rotation's transpose is its inverse.
    forward: bool,
}

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    /// Number `i` of a head is paired with number `i + width / 2`, as in transformers' `rotate_half`.
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = values(storage, layout)?;
        let (_, _, heads, width) = layout.shape().dims4()?;
        let half = self.turns.half.max(1);
        let sign = if self.forward { 1.0 } else { -1.0 };
        let mut out = Vec::with_capacity(xs.len());
        let angles = self.turns.cos.chunks_exact(half).zip(self.turns.sin.chunks_exact(half));
        for (position, (cos, sin)) in xs.chunks_exact((heads * width).max(1)).zip(angles.cycle()) {
            for head in position.chunks_exact(width.max(1)) {
                let (low, high) = head.split_at(half.min(head.len()));
                let pairs = || low.iter().zip(high).zip(cos.iter().zip(sin));
                out.extend(pairs().map(|((a, b), (c, s))| a * c - sign * b * s));
                out.extend(pairs().map(|((a, b), (c, s))| b * c + sign * a * s));
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let back = Rotate {
            turns: self.turns.clone(),
            forward: !self.forward,
        };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

struct CrossEntropy {
    targets: Vec<u32>,
}

/// The largest of `row`, and `Σ exp(x − largest)`.
fn partition(row: &[f32]) -> (f32, f64) {
    let largest = row.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
    (largest, row.iter().map(|x| f64::from((x - largest).exp())).sum())
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let rows = values(storage, layout)?.chunks_exact(last_dim(layout));
        let mut total = 0f64;
        for (row, target) in rows.zip(&self.targets) {
            let Some(logit) = row.get(*target as usize) else {
                candle_core::bail!("target {target} is beyond the vocabulary of {}", row.len());
            };
            let (largest, sum) = partition(row);
            total += sum.ln() - f64::from(logit - largest);
        }
        Ok((CpuStorage::F32(vec![total as f32]), Shape::from(())))
    }

    /// `dx = g · (softmax(x) − [target])`.
    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let g: f32 = grad.to_scalar()?;
        let (sx, lx) = x.storage_and_layout();
        let xs = held(&sx, lx)?;
        let mut dx = Vec::with_capacity(xs.len());
        for (row, target) in xs.chunks_exact(last_dim(lx)).zip(&self.targets) {
            let start = dx.len();
            let (largest, sum) = partition(row);
            let factor = g / sum as f32;
            dx.extend(row.iter().map(|x| (x - largest).exp() * factor));
            if let Some(own) = dx.get_mut(start + *target as usize) {
                *own -= g;
            }
        }
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
