//! Text from a model: a fixed number of tokens after each prompt, at temperature 1.
//!
//! A few rows go side by side: their prompts through the model at once, then a token at a time, each row at a position of
//! its own. A row's number at a position depends on the seed, the position and the row alone, so two models asked the same
//! way differ only where their distributions do.

use super::error::{Error, Result};
use super::lora::Adapter;
use super::model::{Decoder, Llama};
use super::random::{Purpose, Stream};

/// Rows that are drawn side by side: more share each reading of the weights, and fewer leave their keys and values in the
/// processor's cache.
const ROWS_AT_ONCE: usize = 6;
/// How far in cumulated probability a draw may lie from its token when it is checked: rows in another company have logits
/// that differ by rounding. A token that was exchanged is hardly ever as near.
const ROUNDING: f64 = 1e-3;

/// `length` tokens after each of `prompts`; `None` when the model gives logits that are not finite. The end of text is a
/// token like any other, so that every sample has the same length.
///
/// Errors: an empty prompt; a token outside the vocabulary.
pub fn sample(
    model: &Llama,
    adapter: Option<&Adapter>,
    prompts: &[Vec<u32>],
    length: usize,
    seed: u64,
) -> Result<Option<Vec<Vec<u32>>>> {
    sample_seen(model, adapter, prompts, length, seed, &mut |_| {})
}

/// As [`sample`]; `seen` is told how many prompts are done, after every few.
///
/// # Errors
/// As there.
pub fn sample_seen(
    model: &Llama,
    adapter: Option<&Adapter>,
    prompts: &[Vec<u32>],
    length: usize,
    seed: u64,
    seen: &mut dyn FnMut(usize),
) -> Result<Option<Vec<Vec<u32>>>> {
    let vocab = model.config().vocab;
    if let Some(row) = prompts.iter().position(Vec::is_empty) {
        return Err(Error::new(format!("prompt {row} has no token to begin with")));
    }
    if let Some(token) = prompts.iter().flatten().find(|token| **token as usize >= vocab) {
        return Err(Error::new(format!(
            "token {token} of a prompt is outside the vocabulary of {vocab}"
        )));
    }
    let decoder = Decoder::new(model, adapter)?;
    let mut samples = Vec::with_capacity(prompts.len());
    for prompts in prompts.chunks(ROWS_AT_ONCE) {
        let first = samples.len();
        let unit = |row: usize, position: usize| number(seed, first + row, position);
        match together(&decoder, prompts, length, vocab, unit)? {
            Some(drawn) => samples.extend(drawn),
            None => return Ok(None),
        }
        seen(samples.len());
    }
    Ok(Some(samples))
}

/// Whether `tokens` are what [`sample`] draws from `logits` (positions × vocabulary) after the prompt of a `row` that has
/// so many tokens: each token is the one at which its number falls, give or take `ROUNDING`.
pub fn is_sample(logits: &[f32], vocab: usize, tokens: &[u32], (row, prompt): (usize, usize), seed: u64) -> bool {
    let positions = logits.chunks_exact(vocab.max(1));
    positions.len() == tokens.len()
        && positions
            .zip(tokens)
            .enumerate()
            .all(|(step, (logits, token))| could_draw(logits, number(seed, row, prompt + step), *token))
}

/// The number that a row draws a position with.
fn number(seed: u64, row: usize, position: usize) -> f64 {
    Stream::new(seed, Purpose::Sample, position as u64, row as u64).unit()
}

/// The samples of a few rows; `unit` gives a row's number at a position.
fn together(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    length: usize,
    vocab: usize,
    unit: impl Fn(usize, usize) -> f64,
) -> Result<Option<Vec<Vec<u32>>>> {
    let mut rows = decoder.begin(prompts, length)?;
    let mut samples: Vec<Vec<u32>> = vec![Vec::with_capacity(length); prompts.len()];
    for step in 0..length {
        // The first token is drawn from what the prompt gave.
        if step > 0 {
            let last: Vec<u32> = samples.iter().filter_map(|sample| sample.last().copied()).collect();
            decoder.feed(&mut rows, &last)?;
        }
        let logits = rows.logits().chunks_exact(vocab);
        for (row, ((sample, prompt), logits)) in samples.iter_mut().zip(prompts).zip(logits).enumerate() {
            match draw(logits, unit(row, prompt.len() + step)) {
                Some(token) => sample.push(token),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(samples))
}

/// Whether `unit` falls on this token, give or take `ROUNDING`. Never when a logit is not finite.
fn could_draw(logits: &[f32], unit: f64, token: u32) -> bool {
    let weights = weights(logits).unwrap_or_default();
    let total: f64 = weights.iter().sum();
    let before: f64 = weights.iter().take(token as usize).sum();
    let Some(weight) = weights.get(token as usize) else {
        return false;
    };
    let (from, to) = (before / total, (before + weight) / total);
    (from - ROUNDING..=to + ROUNDING).contains(&unit)
}

/// The exponentials of logits, from the largest on; `None` when one is not finite.
fn weights(logits: &[f32]) -> Option<Vec<f64>> {
    if logits.iter().any(|logit| !logit.is_finite()) {
        return None;
    }
    let largest = logits.iter().fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
    Some(logits.iter().map(|logit| f64::from(logit - largest).exp()).collect())
}

/// The token at which the cumulated softmax of `logits` passes `unit`; `None` when a logit is not finite.
fn draw(logits: &[f32], unit: f64) -> Option<u32> {
    let weights = weights(logits)?;
    let mut left = unit * weights.iter().sum::<f64>();
    let passed = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    // Rounding can leave a crumb after the last token.
    Some(passed.unwrap_or(weights.len().saturating_sub(1)) as u32)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::train::model::tests::{filled, lively, small};
    use crate::train::tensors;

    #[test]
    fn a_draw_follows_the_distribution() {
        let logits = [0f32, 3f32.ln(), 0.0].map(|x| x);
        assert_eq!(draw(&logits, 0.0), Some(0));
        assert_eq!(draw(&logits, 0.19), Some(0));
        assert_eq!(draw(&logits, 0.21), Some(1));
        assert_eq!(draw(&logits, 0.79), Some(1));
        assert_eq!(draw(&logits, 0.81), Some(2));
        assert_eq!(draw(&logits, 1.0), Some(2));
        assert_eq!(draw(&[0.0, f32::NAN], 0.5), None);
    }

    #[test]
    fn a_token_is_known_by_where_its_number_falls() {
        let logits = [0f32, 3f32.ln(), 0.0];
        assert!(could_draw(&logits, 0.19, 0) && !could_draw(&logits, 0.19, 1) && !could_draw(&logits, 0.19, 2));
        assert!(could_draw(&logits, 0.2, 0) && could_draw(&logits, 0.2, 1) && !could_draw(&logits, 0.2, 2));
        assert!(!could_draw(&logits, 0.79, 3));
        assert!(!could_draw(&[0.0, f32::NAN], 0.1, 0) && !could_draw(&[], 0.1, 0));
    }

    #[test]
    fn keeping_keys_and_values_picks_the_tokens_of_a_full_pass() {
        let config = small();
        let model = Llama::new(&config, &lively(&config)).unwrap();
        let adapter = filled(&config);
        let prompts = vec![vec![1, 4, 2], vec![3], vec![9, 8, 7, 6, 5]];
        let sampled = sample(&model, Some(&adapter), &prompts, 12, 77).unwrap().unwrap();
        assert_eq!(
            sampled,
            sample(&model, Some(&adapter), &prompts, 12, 77).unwrap().unwrap()
        );
        assert_ne!(
            sampled,
            sample(&model, Some(&adapter), &prompts, 12, 78).unwrap().unwrap()
        );
        for (index, prompt) in prompts.iter().enumerate() {
            let mut row = prompt.clone();
            for _ in 0..12 {
                let tokens = Tensor::from_vec(row.clone(), (1, row.len()), &Device::Cpu).unwrap();
                let logits = model.head(&model.hidden(&tokens, Some(&adapter)).unwrap()).unwrap();
                let logits = tensors::numbers(&logits).unwrap();
                let last = &logits[(row.len() - 1) * config.vocab..];
                let unit = Stream::new(77, Purpose::Sample, row.len() as u64, index as u64).unit();
                row.push(draw(last, unit).unwrap());
            }
            assert_eq!(sampled[index], row[prompt.len()..], "row {index}");
        }
    }

    #[test]
    fn what_cannot_be_sampled_is_said() {
        let config = small();
        let model = Llama::new(&config, &lively(&config)).unwrap();
        let error = |prompt: Vec<u32>| sample(&model, None, &[vec![1], prompt], 3, 0).unwrap_err().message;
        assert_eq!(error(vec![]), "prompt 1 has no token to begin with");
        assert_eq!(error(vec![11]), "token 11 of a prompt is outside the vocabulary of 11");
        assert_eq!(sample(&model, None, &[], 3, 0), Ok(Some(vec![])));
    }

    #[test]
    fn a_model_that_is_not_finite_gives_no_text() {
        let config = small();
        let mut weights = lively(&config);
        let norm = weights.get_mut("model.norm.weight").unwrap();
        *norm = (&*norm * f64::INFINITY).unwrap();
        let model = Llama::new(&config, &weights).unwrap();
        assert_eq!(sample(&model, None, &[vec![1]], 3, 0), Ok(None));
    }
}
