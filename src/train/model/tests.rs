//! The model against plain operations, finite differences and its own invariants.

use candle_core::{D, Var};

use super::*;
use crate::meter::kl::{Logits, forward_kl};
pub(crate) use crate::train::config::tests::small;
use crate::train::tensors::numbers;

pub(crate) fn tokens(rows: &[&[u32]]) -> Tensor {
    let flat: Vec<u32> = rows.concat();
    Tensor::from_vec(flat, (rows.len(), rows[0].len()), &Device::Cpu).unwrap()
}

/// Weights ten times as wide as usual: a small model whose attention and norms matter.
pub(crate) fn lively(config: &Config) -> Weights {
    let weights = initial(config, 1).unwrap();
    let wide = |(name, tensor): (String, Tensor)| match tensor.rank() {
        1 => (name, (tensor * 1.1).unwrap()),
        _ => (name, (tensor * 12.0).unwrap()),
    };
    weights.into_iter().map(wide).collect()
}

/// An adapter with numbers in both matrices.
pub(crate) fn filled(config: &Config) -> Adapter {
    let adapter = Adapter::new(config, 3, 6.0, false, &["all"], 5).unwrap();
    let mut stream = Stream::new(9, Purpose::Init, 0, 0);
    let mut deltas = adapter.values().unwrap();
    for value in deltas.values_mut().flatten() {
        *value = (0.2 * stream.normal()) as f32;
    }
    adapter.with(&deltas, 1.0).unwrap()
}

pub(crate) fn logits(model: &Llama, rows: &[&[u32]], adapter: Option<&Adapter>) -> Vec<f32> {
    let hidden = model.hidden(&tokens(rows), adapter).unwrap();
    numbers(&model.head(&hidden).unwrap()).unwrap()
}

pub(crate) fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub(crate) const ROWS: [&[u32]; 2] = [&[1, 5, 3, 9, 2, 7], &[4, 4, 10, 0, 8, 6]];

pub(crate) fn targets() -> Vec<Target> {
    let target = |(row, position, token)| Target { row, position, token };
    [(0, 1, 9), (0, 4, 7), (1, 0, 4), (1, 3, 8), (1, 5, 3)]
        .map(target)
        .to_vec()
}

/// The whole forward pass once more, in plain differentiable operations, with keys repeated and a mask added.
fn plain(
    config: &Config,
    weights: &Weights,
    adapter: Option<&Adapter>,
    tokens: &Tensor,
) -> candle_core::Result<Tensor> {
    let (batch, time) = tokens.dims2()?;
    let (width, heads, kv) = (config.head_dim, config.heads, config.kv_heads);
    let norm = |x: &Tensor, w: &Tensor| -> candle_core::Result<Tensor> {
        let mean = (x.sqr()?.mean_keepdim(D::Minus1)? + config.norm_eps)?;
        x.broadcast_div(&mean.sqrt()?)?.broadcast_mul(w)
    };
    let linear = |x: &Tensor, module: String| {
        let base = x.broadcast_matmul(&weights[&format!("{module}.weight")].t()?)?;
        match adapter.and_then(|adapter| Some((adapter.pairs.get(&module)?, adapter.scale))) {
            Some((Pair { a, b }, scale)) => base + (x.broadcast_matmul(&a.t()?)?.broadcast_matmul(&b.t()?)? * scale)?,
            None => Ok(base),
        }
    };
    let mut cos = Vec::new();
    let mut sin = Vec::new();
    for position in 0..time {
        for i in (0..width / 2).chain(0..width / 2) {
            let angle = position as f32 / 10_000f32.powf(2.0 * i as f32 / width as f32);
            cos.push(angle.cos());
            sin.push(angle.sin());
        }
    }
    let cos = Tensor::from_vec(cos, (time, width), &Device::Cpu)?;
    let sin = Tensor::from_vec(sin, (time, width), &Device::Cpu)?;
    let rotate = |x: &Tensor| -> candle_core::Result<Tensor> {
        let (low, high) = (x.narrow(3, 0, width / 2)?, x.narrow(3, width / 2, width / 2)?);
        let half = Tensor::cat(&[&high.neg()?, &low], 3)?;
        x.broadcast_mul(&cos)? + half.broadcast_mul(&sin)?
    };
    let mask: Vec<f32> = (0..time * time)
        .map(|i| if i % time > i / time { -1e9 } else { 0.0 })
        .collect();
    let mask = Tensor::from_vec(mask, (time, time), &Device::Cpu)?;
    let mut x = weights["model.embed_tokens.weight"].index_select(&tokens.flatten_all()?, 0)?;
    x = x.reshape((batch, time, config.hidden))?;
    for layer in 0..config.layers {
        let at = |name: &str| format!("model.layers.{layer}.{name}");
        let scale = |name: &str| &weights[&format!("{}.weight", at(name))];
        let h = norm(&x, scale("input_layernorm"))?;
        let split = |name: &str, count: usize| -> candle_core::Result<Tensor> {
            let y = linear(&h, at(name))?
                .reshape((batch, time, count, width))?
                .transpose(1, 2)?;
            let y = y
                .contiguous()?
                .unsqueeze(2)?
                .broadcast_as((batch, count, heads / count, time, width))?;
            y.reshape((batch, heads, time, width))
        };
        let (q, k) = (
            rotate(&split("self_attn.q_proj", heads)?)?,
            rotate(&split("self_attn.k_proj", kv)?)?,
        );
        let scores = (q.matmul(&k.t()?.contiguous()?)? * (1.0 / (width as f64).sqrt()))?.broadcast_add(&mask)?;
        let e = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let p = e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?;
        let mixed = p.matmul(&split("self_attn.v_proj", kv)?)?.transpose(1, 2)?;
        x = (x + linear(&mixed.reshape((batch, time, heads * width))?, at("self_attn.o_proj"))?)?;
        let h = norm(&x, scale("post_attention_layernorm"))?;
        let inner = (linear(&h, at("mlp.gate_proj"))?.silu()? * linear(&h, at("mlp.up_proj"))?)?;
        x = (x + linear(&inner, at("mlp.down_proj"))?)?;
    }
    norm(&x, &weights["model.norm.weight"])
}

#[test]
fn the_forward_pass_agrees_with_plain_operations() {
    let config = small();
    let weights = lively(&config);
    let fused = Llama::new(&config, &weights)
        .unwrap()
        .hidden(&tokens(&ROWS), None)
        .unwrap();
    let plain = plain(&config, &weights, None, &tokens(&ROWS)).unwrap();
    let difference = largest_difference(&numbers(&fused).unwrap(), &numbers(&plain).unwrap());
    assert!(difference < 2e-5, "{difference}");
}

#[test]
fn the_gradients_of_weights_agree_with_plain_operations() {
    for tied in [false, true] {
        let config = Config { tied, ..small() };
        let weights: Weights = lively(&config)
            .into_iter()
            .filter(|(name, _)| !tied || name != "lm_head.weight")
            .map(|(name, tensor)| (name, Var::from_tensor(&tensor).unwrap().into_inner()))
            .collect();
        let model = Llama::new(&config, &weights).unwrap();
        let loss = model
            .loss(&model.hidden(&tokens(&ROWS), None).unwrap(), &targets())
            .unwrap();
        let head = if tied {
            "model.embed_tokens.weight"
        } else {
            "lm_head.weight"
        };
        let logits = plain(&config, &weights, None, &tokens(&ROWS)).unwrap();
        let logits = logits.broadcast_matmul(&weights[head].t().unwrap()).unwrap();
        let total = logits.exp().unwrap().sum_keepdim(2).unwrap().log().unwrap();
        let logs = logits.broadcast_sub(&total).unwrap();
        let mut sum = Tensor::new(0f32, &Device::Cpu).unwrap();
        for t in targets() {
            let row = logs.get(t.row as usize).unwrap().get(t.position as usize).unwrap();
            sum = (sum - row.get(t.token as usize).unwrap()).unwrap();
        }
        let (fused, plain) = (loss.to_scalar::<f32>().unwrap(), sum.to_scalar::<f32>().unwrap());
        assert!((fused - plain).abs() < 1e-4, "{fused} {plain}");
        let (fused, plain) = (loss.backward().unwrap(), sum.backward().unwrap());
        for (name, weight) in &weights {
            let fused = numbers(fused.get(weight).unwrap()).unwrap();
            let plain = numbers(plain.get(weight).unwrap()).unwrap();
            let size = plain.iter().fold(0f32, |most, x| most.max(x.abs()));
            let difference = largest_difference(&fused, &plain);
            assert!(
                size > 1e-4 && difference < 1e-4 * size,
                "{name}: {difference} of {size}"
            );
        }
    }
}

#[test]
fn a_pair_beside_the_weight_gives_the_same_drift_and_gradients() {
    for kv_heads in [1, 4] {
        let config = Config { kv_heads, ..small() };
        let weights = lively(&config);
        let model = Llama::new(&config, &weights).unwrap();
        let adapter = filled(&config).tracked().unwrap();
        let merged = model.hidden(&tokens(&ROWS), Some(&adapter)).unwrap();
        let beside = plain(&config, &weights, Some(&adapter), &tokens(&ROWS)).unwrap();
        let of = |hidden: &Tensor| numbers(&model.head(hidden).unwrap()).unwrap();
        let base = of(&model.hidden(&tokens(&ROWS), None).unwrap());
        let (left, right) = (of(&merged), of(&beside));
        let kl = |before: &[f32], now: &[f32]| {
            let logits = |values| Logits {
                vocab: config.vocab,
                values,
            };
            forward_kl(logits(before), logits(now))
        };
        let drift = kl(&base, &left);
        assert!(drift > 0.1, "{drift}");
        assert!((drift - kl(&base, &right)).abs() < 1e-6 && kl(&left, &right).abs() < 1e-9);
        let gradients = |hidden: &Tensor| {
            let loss = model.loss(hidden, &targets()).unwrap();
            adapter.gradients(&loss.backward().unwrap()).unwrap()
        };
        let (left, right) = (gradients(&merged), gradients(&beside));
        for (name, left) in &left {
            let size = left.iter().fold(0f32, |most, x| most.max(x.abs()));
            let difference = largest_difference(left, &right[name]);
            assert!(
                size > 1e-4 && difference < 1e-4 * size,
                "{name}: {difference} of {size}"
            );
        }
    }
}

#[test]
fn padding_on_the_right_changes_nothing_before_it() {
    let config = small();
    let model = Llama::new(&config, &lively(&config)).unwrap();
    let adapter = filled(&config);
    let short = logits(&model, &[&[1, 5, 3]], Some(&adapter));
    let padded = logits(&model, &[&[1, 5, 3, 0, 0], &[2, 2, 2, 2, 2]], Some(&adapter));
    let difference = largest_difference(&short, &padded[..short.len()]);
    assert!(difference < 1e-5, "{difference}");
    // What pads makes no difference at all.
    let other = logits(&model, &[&[1, 5, 3, 9, 4], &[2, 2, 2, 2, 2]], Some(&adapter));
    assert_eq!(padded[..short.len()], other[..short.len()]);
}

#[test]
fn rotated_products_depend_on_the_distance_alone() {
    let mut stream = Stream::new(1, Purpose::Init, 0, 0);
    let mut row = || (0..8).map(|_| stream.normal() as f32).collect::<Vec<_>>();
    let (q, k) = (row(), row());
    let at = |values: &[f32], position: usize| {
        let x = Tensor::from_vec(values.to_vec(), (1, 1, 1, 8), &Device::Cpu).unwrap();
        let turns = Arc::new(Turns::new(position, 1, 8, 10_000.0));
        numbers(&ops::rotate(&x, &turns).unwrap()).unwrap()
    };
    let product = |i: usize, j: usize| at(&q, i).iter().zip(at(&k, j)).map(|(a, b)| a * b).sum::<f32>();
    assert!((product(7, 3) - product(24, 20)).abs() < 1e-5);
    assert!((product(7, 3) - product(8, 3)).abs() > 1e-2);
    // Pair 0 turns by the position itself: number 0 goes with number 4.
    let turned = at(&q, 2);
    assert!((turned[0] - (q[0] * 2f32.cos() - q[4] * 2f32.sin())).abs() < 1e-6);
    assert!((turned[4] - (q[4] * 2f32.cos() + q[0] * 2f32.sin())).abs() < 1e-6);
    assert_eq!(at(&q, 0), q);
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let config = small();
    let mut weights = initial(&config, 1).unwrap();
    let wide = Config { vocab: 12, ..small() };
    assert_eq!(
        Llama::new(&wide, &weights).unwrap_err().message,
        "tensor lm_head.weight has shape [11, 16], and config.json gives [12, 16]"
    );
    weights.remove("model.layers.1.mlp.up_proj.weight");
    assert_eq!(
        Llama::new(&config, &weights).unwrap_err().message,
        "tensor model.layers.1.mlp.up_proj.weight is missing"
    );
}

#[test]
fn a_target_outside_the_batch_or_the_vocabulary_is_an_error() {
    let config = small();
    let model = Llama::new(&config, &lively(&config)).unwrap();
    let hidden = model.hidden(&tokens(&ROWS), None).unwrap();
    let error = |row, position, token| {
        model
            .loss(&hidden, &[Target { row, position, token }])
            .unwrap_err()
            .message
    };
    assert_eq!(
        error(0, 6, 1),
        "target at row 0, position 6 is outside a batch of 2 rows of 6 tokens"
    );
    assert_eq!(error(0, 0, 11), "target 11 is beyond the vocabulary of 11");
}

#[test]
fn initial_weights_are_those_of_their_seed() {
    let config = small();
    let values = |seed| numbers(&initial(&config, seed).unwrap()["model.embed_tokens.weight"]).unwrap();
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let deviation = (values(1).iter().map(|x| x * x).sum::<f32>() / values(1).len() as f32).sqrt();
    assert!((deviation - 0.02).abs() < 0.004, "{deviation}");
}

#[test]
fn the_same_graph_gives_the_same_bits() {
    let config = small();
    let model = Llama::new(&config, &lively(&config)).unwrap();
    let gradients = || {
        let adapter = filled(&config).tracked().unwrap();
        let loss = model.loss(&model.hidden(&tokens(&ROWS), Some(&adapter)).unwrap(), &targets());
        adapter.gradients(&loss.unwrap().backward().unwrap()).unwrap()
    };
    assert_eq!(gradients(), gradients());
}
