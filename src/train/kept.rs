//! What the base answered, once, to the prompts of a probe, kept in a file for the runs to come.
//!
//! Drift on prompts is read along these answers, and drawing them a token at a time is most of what a run waits for before
//! its first update. Kept are the answers alone: what drift compares with is the base's whole distribution along them,
//! which is one forward pass, and for a vocabulary of 150 000 tokens would be 58 MB a prompt.
//!
//! A file is used only where drawing would give the same: it names everything that the answers depend on. And since it is
//! no part of the policy, it is not believed either: a reader compares each token with the distribution that it is said
//! to be drawn from ([`Meters::misdrawn`](super::measure::Meters::misdrawn)).

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::machine;
use super::measure::{SAMPLE_SEED, SAMPLE_TOKENS};
use super::probe::Probe;
use super::sample;
use super::setup::Setup;
use crate::source::sha256;

/// The version of the format.
const FORMAT: u32 = 1;
/// Characters of the model's hash in a file's name.
const SHORT: usize = 12;
/// Bytes of a token in the file, at most, and of everything else.
const TOKEN_BYTES: u64 = 11;
const OTHER_BYTES: u64 = 64 * 1024;

/// The file, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u32,
    /// The version of ftrisk that drew.
    ftrisk: String,
    /// What of the processor decides bits.
    cpu: Vec<String>,
    /// The hash of the model's files.
    model: String,
    /// The hash of the probe's file.
    probe: String,
    /// The seed of the draws, at temperature 1.
    seed: u64,
    /// Tokens of every answer.
    tokens: usize,
    /// The hash of the answers' tokens.
    sha256: String,
    /// The answers, in the order of the probe's rows.
    answers: Vec<Vec<u32>>,
}

/// What the file is called that keeps the answers to a probe of this name: beside `prompts.jsonl`,
/// `prompts.jsonl.base-` with the first 12 digits of the model's hash.
pub fn file_name(probe_file: &str, setup: &Setup) -> String {
    let model = setup.model_hash();
    format!("{probe_file}.base-{}.json", model.get(..SHORT).unwrap_or(&model))
}

/// The largest file that can hold answers to so many prompts, in bytes.
pub fn most_bytes(rows: usize) -> u64 {
    let tokens = (rows as u64).saturating_mul(SAMPLE_TOKENS as u64 + 1);
    tokens.saturating_mul(TOKEN_BYTES).saturating_add(OTHER_BYTES)
}

/// Draws the base's answers to a probe whose file has this hash, and gives the file that keeps them. `seen` is told how
/// many prompts are answered.
///
/// # Errors
/// When the model cannot be run, or gives logits that are not finite.
pub fn draw(setup: &Setup, probe: &Probe, probe_hash: &str, seen: &mut dyn FnMut(usize)) -> Result<String> {
    let prompts: Vec<Vec<u32>> = probe.rows.iter().map(|row| row.tokens.clone()).collect();
    let answers = sample::sample_seen(&setup.engine.model, None, &prompts, SAMPLE_TOKENS, SAMPLE_SEED, seen)?
        .ok_or_else(|| {
            Error::new(format!(
                "what the model answers to the prompts of {} is not finite",
                probe.name
            ))
            .with_help("a model that gives no numbers cannot be measured or trained: restore it")
        })?;
    let kept = Kept::of(setup, probe_hash, answers);
    let text =
        serde_json::to_string(&kept).map_err(|error| Error::new(format!("the answers cannot be kept: {error}")))?;
    Ok(text + "\n")
}

/// The answers that a file keeps for a probe whose file has this hash.
///
/// # Errors
/// What does not fit: a file that is damaged, or made by another version, on another kind of machine, with another model,
/// other prompts or other settings. The message follows the file's name.
pub fn read(bytes: &[u8], setup: &Setup, probe: &Probe, probe_hash: &str) -> Result<Vec<Vec<u32>>> {
    let damaged = |what: String| Error::new(format!("is damaged: {what}"));
    // Of another format no more is asked than which.
    #[derive(Deserialize)]
    struct Versioned {
        format: u32,
    }
    let Versioned { format } = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if format != FORMAT {
        return Err(Error::new(format!(
            "has format {format}, and this version of ftrisk reads {FORMAT}"
        )));
    }
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    let here = Kept::of(setup, probe_hash, Vec::new());
    let differs = |what: &str| Err(Error::new(format!("was made {what}")));
    if kept.model != here.model {
        return differs("with another model");
    }
    if kept.probe != here.probe {
        return differs("for other prompts");
    }
    if (kept.seed, kept.tokens) != (here.seed, here.tokens) {
        return differs(&format!(
            "with other settings: {} tokens from seed {}, and {} from {} are asked",
            kept.tokens, kept.seed, here.tokens, here.seed
        ));
    }
    if kept.ftrisk != here.ftrisk {
        return differs(&format!("by ftrisk {}, and this is {}", kept.ftrisk, here.ftrisk));
    }
    if kept.cpu != here.cpu {
        return differs(&format!(
            "on another kind of machine, with {} where this one has {}",
            features(&kept.cpu),
            features(&here.cpu)
        ));
    }
    if kept.answers.len() != probe.rows.len() {
        return Err(damaged(format!(
            "it has {} answers to {} prompts",
            kept.answers.len(),
            probe.rows.len()
        )));
    }
    let vocab = setup.engine.model.config().vocab;
    for (row, answer) in probe.rows.iter().zip(&kept.answers) {
        if answer.len() != kept.tokens {
            let what = format!("the answer to {} has {} tokens", row.id, answer.len());
            return Err(damaged(what));
        }
        if answer.iter().any(|token| *token as usize >= vocab) {
            return Err(damaged(format!(
                "the answer to {} has a token that the model has not",
                row.id
            )));
        }
    }
    if digest(&kept.answers) != kept.sha256 {
        return Err(damaged("its answers are not those that it was written with".to_owned()));
    }
    Ok(kept.answers)
}

impl Kept {
    /// What would be written here.
    fn of(setup: &Setup, probe_hash: &str, answers: Vec<Vec<u32>>) -> Kept {
        Kept {
            format: FORMAT,
            ftrisk: env!("CARGO_PKG_VERSION").to_owned(),
            cpu: machine::features(),
            model: setup.model_hash(),
            probe: probe_hash.to_owned(),
            seed: SAMPLE_SEED,
            tokens: SAMPLE_TOKENS,
            sha256: digest(&answers),
            answers,
        }
    }
}

/// SHA-256 of all tokens, four bytes each, the lowest first. Every answer has the same length, which is known apart.
fn digest(answers: &[Vec<u32>]) -> String {
    let bytes: Vec<u8> = answers.iter().flatten().flat_map(|token| token.to_le_bytes()).collect();
    sha256(&bytes)
}

fn features(cpu: &[String]) -> String {
    if cpu.is_empty() {
        "none of its features".to_owned()
    } else {
        cpu.join(" and ")
    }
}
