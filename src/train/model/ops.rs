//! The operations of a Llama that are not matrix products, each with its own backward pass.
//!
//! The library's own `rms_norm`, `rope` and `softmax_last_dim` end the gradient without a word, and its plain operations
//! make five passes where one is enough. Here each operation is one pass over slices, forward and backward, in a fixed
//! order. All work on contiguous f32 on the processor.

use std::sync::Arc;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor};

use super::lanes::{exp, largest, sigmoid, softmax, sum};

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

/// `x · (W + scale · B A)ᵀ` with `a` of `[rank, in]` and `b` of `[out, rank]`: a frozen weight with LoRA on it.
///
/// Adding the product to the weight takes `rank · in · out` multiplications whatever the number of rows; carrying the pair
/// beside the weight takes fewer only for less than about a hundred rows, and several more passes over memory always.
pub(super) fn adapted(x: &Tensor, weight: &Tensor, a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
    let weight = weight.detach();
    x.contiguous()?.apply_op3(a, b, Adapted { weight, scale })
}

/// `W + scale · B A`.
pub(super) fn merged(weight: &Tensor, a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
    weight.detach() + (b.detach().matmul(&a.detach())? * scale)?
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
/// Rows of `x` are queries: row `r` stands at position `r mod queries`. What a query does not see is 0.
pub(super) fn causal_softmax(x: &Tensor, scale: f64, queries: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op1(CausalSoftmax {
        scale: scale as f32,
        queries,
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
        times(storage, layout, &self.weight.t()?)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.matmul(&self.weight)?))
    }
}

/// The product of rows with a matrix `[in, out]`.
pub(super) fn times(rows: &CpuStorage, layout: &Layout, matrix: &Tensor) -> Result<(CpuStorage, Shape)> {
    let (count, width) = layout.shape().dims2()?;
    let (inner, out) = matrix.dims2()?;
    if width != inner {
        candle_core::bail!("a layer that takes {inner} numbers got {width}");
    }
    let (held, matrix_layout) = matrix.storage_and_layout();
    let Storage::Cpu(matrix) = &*held else {
        candle_core::bail!("an operation runs on the processor only");
    };
    let product = rows.matmul(matrix, (1, count, out, inner), layout, matrix_layout)?;
    Ok((product, Shape::from((count, out))))
}

struct Adapted {
    weight: Tensor,
    scale: f64,
}

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "adapted-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let tensor = |storage: &CpuStorage, layout: &Layout| {
            Tensor::from_slice(values(storage, layout)?, layout.shape(), self.weight.device())
        };
        let weight = merged(&self.weight, &tensor(a, la)?, &tensor(b, lb)?, self.scale)?;
        times(x, lx, &weight.t()?)
    }

    /// With `W' = W + s · B A`, made anew rather than kept: `dx = g W'`, `dA = s · (g B)ᵀ x`, `dB = s · gᵀ (x Aᵀ)`.
    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (x, a, b) = (x.detach(), a.detach(), b.detach());
        let dx = grad.matmul(&merged(&self.weight, &a, &b, self.scale)?)?;
        let da = (grad.matmul(&b)? * self.scale)?.t()?.matmul(&x)?;
        let db = grad.t()?.matmul(&(x.matmul(&a.t()?)? * self.scale)?)?;
        Ok((Some(dx), Some(da), Some(db)))
    }
}

struct RmsNorm {
    eps: f64,
}

/// `1 / sqrt(mean(x²) + eps)`.
pub(super) fn inverse(row: &[f32], eps: f32) -> f32 {
    let square = sum(row, row, |x, y| x * y);
    (square / row.len() as f32 + eps).sqrt().recip()
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (xs, ws) = (values(x, lx)?, values(w, lw)?);
        let mut out = Vec::with_capacity(xs.len());
        for row in xs.chunks_exact(last_dim(lx)) {
            let inverse = inverse(row, self.eps as f32);
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
            let inverse = inverse(row, self.eps as f32);
            let weighted: Vec<f32> = g.iter().zip(ws).map(|(g, w)| g * w).collect();
            let mean = sum(row, &weighted, |x, g| x * g) * inverse / width as f32;
            let both = row.iter().zip(&weighted);
            dx.extend(both.map(|(x, g)| inverse * (g - x * inverse * mean)));
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
        let (mut dgate, mut dup) = (vec![0f32; xs.len()], vec![0f32; xs.len()]);
        let both = dgate.iter_mut().zip(&mut dup);
        for ((dgate, dup), ((x, u), g)) in both.zip(xs.iter().zip(us).zip(gs)) {
            let s = sigmoid(*x);
            *dgate = g * u * s * (1.0 + x * (1.0 - s));
            *dup = g * x * s;
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
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = values(storage, layout)?;
        let keys = last_dim(layout);
        let mut out = vec![0f32; xs.len()];
        let rows = xs.chunks_exact(keys).zip(out.chunks_exact_mut(keys));
        for (index, (row, out)) in rows.enumerate() {
            let seen = index % self.queries.max(1) + 1;
            let (Some(row), Some(out)) = (row.get(..seen), out.get_mut(..seen)) else {
                candle_core::bail!("a query sees {seen} keys, and there are {keys}");
            };
            out.copy_from_slice(row);
            softmax(out, self.scale);
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
            let along = sum(p, g, |p, g| p * g);
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

    /// Turns a head that stands at `place`, counted from the first position; backwards when `sign` is −1.
    ///
    /// Number `i` of a head is paired with number `i + width / 2`, as in transformers' `rotate_half`.
    pub(super) fn turn(&self, head: &mut [f32], place: usize, sign: f32) {
        let at = place * self.half..(place + 1) * self.half;
        let (Some(cos), Some(sin)) = (self.cos.get(at.clone()), self.sin.get(at)) else {
            return;
        };
        let (low, high) = head.split_at_mut(self.half.min(head.len()));
        for ((a, b), (c, s)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
            (*a, *b) = (*a * c - sign * *b * s, *b * c + sign * *a * s);
        }
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

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = values(storage, layout)?;
        let (_, _, heads, width) = layout.shape().dims4()?;
        let half = self.turns.half.max(1);
        let sign = if self.forward { 1.0 } else { -1.0 };
        let mut out = xs.to_vec();
        let positions = self.turns.cos.len() / half;
        for (index, position) in out.chunks_exact_mut((heads * width).max(1)).enumerate() {
            for head in position.chunks_exact_mut(width.max(1)) {
                self.turns.turn(head, index % positions.max(1), sign);
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
    let most = largest(row);
    (most, row.iter().map(|x| f64::from(exp(x - most))).sum())
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
            dx.extend(row.iter().map(|x| exp(x - largest) * factor));
            if let Some(own) = dx.get_mut(start + *target as usize) {
                *own -= g;
            }
        }
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
