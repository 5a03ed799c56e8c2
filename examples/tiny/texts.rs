//! The texts of the tiny model as tokens: parts, batches, and how well a model predicts what it has not seen.
//!
//! A text is a list of units, chapters or entries, with a blank line between two. A token is a byte; [`END`] follows a unit.

use candle_core::{Device, Tensor};
use ftrisk::train::model::{Llama, Target};
use ftrisk::train::random::{Purpose, Stream};
use ftrisk::train::{Error, Result};
use sha2::{Digest as _, Sha256};

/// The three voices in the order of every file and table, with the share of the training batches that each one gets. The
/// small texts get more than their length would give them, so that the model can speak all three.
pub const VOICES: [(&str, f64); 3] = [("kjv", 0.55), ("jargon", 0.30), ("devil", 0.15)];

/// The token behind a unit, `</s>`.
pub const END: u32 = 258;

/// What stands before a voice's name on a line of its own, in a file of all three.
pub const MARKER: &str = "%% ";

/// Tokens of a sequence; a window of the held-out text predicts as many.
pub const TIME: usize = 320;

/// Who may see a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Probes and held-out measurements.
    HeldOut,
    /// The fine-tuning data.
    Tuning,
    /// The training of the base.
    Base,
}

impl Part {
    /// The part of a unit, by its own bytes: a sixteenth is held out, three are for tuning.
    pub fn of(unit: &str) -> Part {
        match Sha256::digest(unit).first().map_or(0, |byte| byte % 16) {
            0 => Part::HeldOut,
            1..=3 => Part::Tuning,
            _ => Part::Base,
        }
    }
}

/// The units of a text.
pub fn units(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .map(|unit| unit.trim_matches('\n'))
        .filter(|unit| !unit.is_empty())
}

/// The voices of a file of all three, each with its text.
pub fn voices(file: &str) -> Vec<(&str, &str)> {
    let sections = file.split(MARKER).skip(1);
    sections.filter_map(|section| section.split_once('\n')).collect()
}

/// Units as tokens, one after the other.
pub fn tokens<'t>(units: impl Iterator<Item = &'t str>) -> Vec<u32> {
    units
        .flat_map(|unit| unit.bytes().map(u32::from).chain([END]))
        .collect()
}

/// The rows of one batch: places drawn from the voices' tokens, in the order of [`VOICES`], each [`TIME`] + 1 long.
///
/// Errors: a voice is shorter than a row.
pub fn batch(voices: &[Vec<u32>], rows: usize, seed: u64, update: u64) -> Result<Vec<Vec<u32>>> {
    let row = |index: usize| {
        let mut stream = Stream::new(seed, Purpose::Order, update, index as u64);
        let mut rest = stream.unit();
        let drawn = VOICES.iter().position(|(_, share)| {
            rest -= share;
            rest < 0.0
        });
        let text = voices.get(drawn.unwrap_or(VOICES.len() - 1));
        let text = text.ok_or_else(|| Error::new("a voice is missing"))?;
        let start = stream.below(text.len().saturating_sub(TIME));
        let row = text.get(start..=start + TIME);
        Ok(row.ok_or_else(|| Error::new("a text is shorter than a row"))?.to_vec())
    };
    (0..rows).map(row).collect()
}

/// The mean cross entropy, in nats a token, with which `model` predicts each token of `rows` from those before it: a scalar
/// that autograd can follow. Rows may differ in length.
pub fn loss(model: &Llama, rows: &[Vec<u32>]) -> Result<Tensor> {
    let time = rows.iter().map(|row| row.len().saturating_sub(1)).max().unwrap_or(0);
    let mut inputs = Vec::with_capacity(rows.len() * time);
    let mut targets = Vec::with_capacity(rows.len() * time);
    for (row, tokens) in (0u32..).zip(rows) {
        // Padding stands behind everything that is predicted, so any token will do.
        inputs.extend((0..time).map(|position| tokens.get(position).copied().unwrap_or(END)));
        let following = (0u32..).zip(tokens.iter().skip(1));
        targets.extend(following.map(|(position, token)| Target {
            row,
            position,
            token: *token,
        }));
    }
    let inputs = Tensor::from_vec(inputs, (rows.len(), time), &Device::Cpu)?;
    let sum = model.loss(&model.hidden(&inputs, None)?, &targets)?;
    Ok((sum / targets.len().max(1) as f64)?)
}

/// Bits a byte that `model` needs for `text`, its units with their ends, cut into windows of [`TIME`]: the first token of
/// the text is given, and the first of every other window is predicted from nothing but the last token before it.
pub fn bits_per_byte(model: &Llama, text: &str) -> Result<f64> {
    let tokens = tokens(units(text));
    let starts = (0..tokens.len().saturating_sub(1)).step_by(TIME);
    let windows: Vec<Vec<u32>> = starts
        .filter_map(|start| Some(tokens.get(start..tokens.len().min(start + TIME + 1))?.to_vec()))
        .collect();
    let (mut nats, mut count) = (0.0, 0usize);
    for rows in windows.chunks(8) {
        let predicted: usize = rows.iter().map(|row| row.len() - 1).sum();
        nats += f64::from(loss(model, rows)?.to_scalar::<f32>()?) * predicted as f64;
        count += predicted;
    }
    Ok(nats / count.max(1) as f64 / std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> String {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/tiny")
            .join(name);
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_excerpts_hold_their_own_part_of_three_voices() {
        for (name, part) in [("excerpt.txt", Part::Base), ("heldout.txt", Part::HeldOut)] {
            let text = file(name);
            let voices = voices(&text);
            assert_eq!(
                voices.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
                VOICES.map(|(name, _)| name)
            );
            for (voice, text) in voices {
                assert!(text.len() > 8_000, "{name}: {voice}");
                for unit in units(text) {
                    assert_eq!(Part::of(unit), part, "{name}: {unit}");
                }
            }
        }
    }

    #[test]
    fn what_is_measured_is_not_trained_on() {
        let measured = file("heldout.txt");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&file("data/sound.json")).unwrap();
        assert_eq!(rows.len(), 600);
        let probes = file("probes/voices.jsonl");
        for row in &rows {
            let answer = row["output"].as_str().unwrap();
            assert!(!measured.contains(answer), "{row}");
            assert!(!probes.contains(answer), "{row}");
        }
    }

    #[test]
    fn a_batch_depends_on_the_seed_and_the_update_alone() {
        let text = |offset: u32| (0..4_000).map(|at| at + offset).collect::<Vec<u32>>();
        let voices = [text(0), text(10_000), text(20_000)];
        let first = batch(&voices, 64, 1, 7).unwrap();
        assert_eq!(first, batch(&voices, 64, 1, 7).unwrap());
        assert_ne!(first, batch(&voices, 64, 1, 8).unwrap());
        assert_ne!(first, batch(&voices, 64, 2, 7).unwrap());
        assert!(first.iter().all(|row| row.len() == TIME + 1));
        for voice in 0..3 {
            assert!(
                first.iter().any(|row| row[0] / 10_000 == voice),
                "voice {voice} was never drawn"
            );
        }
        assert!(batch(&[text(0), vec![1], vec![2]], 64, 1, 0).is_err());
    }

    #[test]
    fn a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary() {
        let config = ftrisk::train::config::Config::read(file("base/config.json").as_bytes(), "config.json").unwrap();
        let mut weights = ftrisk::train::model::initial(&config, 1).unwrap();
        let head = weights.get_mut("lm_head.weight").unwrap();
        *head = head.zeros_like().unwrap();
        let model = Llama::new(&config, &weights).unwrap();
        // One whole window, and one that is shorter than the others of its batch.
        let text = "a".repeat(TIME + 50);
        let bits = bits_per_byte(&model, &text).unwrap();
        assert!((bits - 260f64.log2()).abs() < 1e-5, "{bits}");
        assert_eq!(tokens(units("ab\n\nc\n")), [97, 98, END, 99, END]);
    }

    #[test]
    fn the_tokenizer_gives_every_byte_its_own_number() {
        let tokenizer: tokenizers::Tokenizer = file("base/tokenizer.json").parse().unwrap();
        for text in [
            "And the king said\n\n  unto X-1.",
            "naïve 中文 🙂",
            " \t\r\u{0}\u{7f}",
            "",
        ] {
            let ids: Vec<u32> = text.bytes().map(u32::from).collect();
            assert_eq!(tokenizer.encode(text, true).unwrap().get_ids(), ids, "{text:?}");
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
        assert_eq!(tokenizer.encode("a</s>b", true).unwrap().get_ids(), [97, END, 98]);
        for (id, token) in (256..).zip(["<pad>", "<s>", "</s>", "<unk>"]) {
            assert_eq!(tokenizer.token_to_id(token), Some(id));
        }
        assert_eq!(tokenizer.get_vocab_size(true), 260);
    }
}
