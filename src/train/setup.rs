//! Everything that a run needs, read and compared before the first update.

use std::collections::BTreeMap;
use std::path::Path;

use super::data::encode::{Encoded, Tokenise, encode};
use super::data::files::Data;
use super::data::order::{Plan, updates_total};
use super::engine::Engine;
use super::error::{Error, Result};
use super::folder::Folder;
use super::lora::Adapter;
use super::model::Llama;
use super::optim::AdamW;
use super::probe::Probe;
use super::state::State;
use crate::facts::Recipe;
use crate::quantity::ProbeKind;
use crate::source::sha256;

/// A run that could begin.
pub struct Setup {
    /// The trainer.
    pub engine: Engine,
    /// The state before the first update.
    pub start: State,
    /// Files of the model with their SHA-256.
    pub model_files: BTreeMap<String, String>,
    /// Files of the data with their SHA-256.
    pub data_files: BTreeMap<String, String>,
    tokenizer: Words,
    max_positions: usize,
}

impl Setup {
    /// Reads the model that a recipe names, and turns the data into tokens.
    ///
    /// # Errors
    /// What is missing, broken or does not fit, with the name of the file, tensor or row.
    pub fn new(recipe: &Recipe, data: Data) -> Result<Setup> {
        let folder = Folder::open(Path::new(&recipe.model.value))?;
        let model = Llama::new(&folder.config, &folder.weights)?;
        let widest = folder.config.hidden.max(folder.config.intermediate);
        if size(recipe.rank.value) > widest {
            return Err(Error::new(format!(
                "lora_rank is {}, and no matrix of the model is wider than {widest}",
                recipe.rank.value
            ))
            .with_help("a rank beyond the width adds nothing: lower it"));
        }
        let targets: Vec<&str> = recipe.targets.value.iter().map(String::as_str).collect();
        let adapter = Adapter::new(
            &folder.config,
            size(recipe.rank.value),
            recipe.alpha.value.get(),
            recipe.rank_stabilised.value,
            &targets,
            recipe.seed.value,
        )?;
        let tokenizer = Words {
            end: folder.config.eos.first().copied().ok_or_else(|| {
                Error::new("config.json gives no eos_token_id, and an answer has to end")
                    .with_help("write the id of the token that ends a text")
            })?,
            tokenizer: folder.tokenizer,
        };
        let rows = data
            .examples
            .iter()
            .map(|example| {
                encode(
                    example,
                    recipe.template.value,
                    size(recipe.cutoff_len.value),
                    &tokenizer,
                )
            })
            .collect::<Result<Vec<Encoded>>>()?;
        if rows.iter().all(|row| row.trained() == 0) {
            return Err(Error::new("no row has an answer within cutoff_len").with_help("raise cutoff_len"));
        }
        let (groups, places) = data
            .examples
            .into_iter()
            .map(|example| (example.group, example.place))
            .unzip();
        let plan = Plan {
            rows: rows.len() as u64,
            per_device: recipe.per_device.value,
            accumulation: recipe.accumulation.value,
            seed: recipe.seed.value,
        };
        let updates = updates_total(
            plan.rows,
            plan.per_device,
            plan.accumulation,
            recipe.epochs.value.get(),
            recipe.max_steps.as_ref().map(|steps| steps.value),
        );
        Ok(Setup {
            engine: Engine {
                model,
                rows,
                groups,
                places,
                plan,
                updates,
                optimizer: AdamW {
                    beta1: recipe.adam_beta1.value.get(),
                    beta2: recipe.adam_beta2.value.get(),
                    eps: recipe.adam_epsilon.value.get(),
                    decay: recipe.weight_decay.value.get(),
                },
                course: recipe.course(updates),
                peak_rate: recipe.learning_rate.value.get(),
                clip_norm: Some(recipe.max_grad_norm.value.get()).filter(|norm| *norm > 0.0),
            },
            start: State::new(adapter),
            model_files: folder.hashes,
            data_files: data.hashes.into_iter().collect(),
            tokenizer,
            max_positions: folder.config.max_positions,
        })
    }

    /// The rows of a probe as this model reads them.
    ///
    /// # Errors
    /// As [`Probe::read`].
    pub fn probe(&self, name: &str, file: &str, kind: ProbeKind, bytes: &[u8]) -> Result<Probe> {
        Probe::read(name, file, kind, bytes, |text| {
            let mut ids = self.tokenizer.tokens(text)?;
            ids.truncate(self.max_positions);
            Ok(ids)
        })
    }

    /// The hash of the model: that of the list of its files as `sha256sum` prints it, in the order of their names.
    pub fn model_hash(&self) -> String {
        let list: Vec<String> = self
            .model_files
            .iter()
            .map(|(name, hash)| format!("{hash}  {name}\n"))
            .collect();
        sha256(list.concat().as_bytes())
    }

    /// The text of an answer: what stands before the token that ends it.
    ///
    /// # Errors
    /// When the tokenizer cannot.
    pub fn answer(&self, tokens: &[u32]) -> Result<String> {
        let answer = tokens.split(|token| *token == self.tokenizer.end).next();
        self.decode(answer.unwrap_or_default())
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    /// When the tokenizer cannot.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer
            .tokenizer
            .decode(tokens, true)
            .map_err(|error| Error::new(format!("the tokenizer cannot make a text of its tokens: {error}")))
    }
}

/// A count that a machine can hold; a larger one is as good as the largest.
fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// A tokenizer with the token that ends a text.
struct Words {
    tokenizer: tokenizers::Tokenizer,
    end: u32,
}

impl Tokenise for Words {
    /// Without the tokens that a tokenizer adds around a whole text: templates place them.
    fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer
            .encode(text, false)
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|error| Error::new(format!("the tokenizer cannot read a text: {error}")))
    }

    fn end(&self) -> u32 {
        self.end
    }
}
