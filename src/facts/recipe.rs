//! How a run is to be trained, for a trainer that trains it itself.
//!
//! Plain data: what [`Facts`](super::Facts) holds as sets for the judgement stands here as one value each, with what a
//! judgement never asks for (folders, the optimizer's constants). Knows no file format and no engine.

use crate::quantity::Finite;
use crate::source::Place;

/// A value of the run file, and where it is written; `None` where a default applies.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub place: Option<Place>,
}

impl<T> Told<T> {
    /// A value that nobody wrote.
    pub fn by_default(value: T) -> Self {
        Told { value, place: None }
    }
}

/// How turns of a conversation become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// `Human: …` and `Assistant:`.
    Default,
    /// `### Instruction:` and `### Response:`.
    Alpaca,
}

/// The course of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// From the peak to nothing on a line.
    Linear,
    /// From the peak to nothing on half a cosine.
    Cosine,
    /// The peak throughout, without a warmup.
    Constant,
    /// The peak after a warmup.
    ConstantWithWarmup,
}

impl Scheduler {
    /// How run files write it.
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Linear => "linear",
            Scheduler::Cosine => "cosine",
            Scheduler::Constant => "constant",
            Scheduler::ConstantWithWarmup => "constant_with_warmup",
        }
    }

    /// The scheduler of that name.
    pub fn named(name: &str) -> Option<Self> {
        [
            Scheduler::Linear,
            Scheduler::Cosine,
            Scheduler::Constant,
            Scheduler::ConstantWithWarmup,
        ]
        .into_iter()
        .find(|scheduler| scheduler.name() == name)
    }
}

/// Supervised fine-tuning with LoRA and AdamW, in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The folder of the model.
    pub model: Told<String>,
    /// Names of data sets, in the order in which they are joined.
    pub dataset: Told<Vec<String>>,
    /// The folder that holds `dataset_info.json`.
    pub dataset_dir: Told<String>,
    /// How turns become text.
    pub template: Told<Template>,
    /// The most tokens of a row.
    pub cutoff_len: Told<u64>,
    /// The most rows of each data set, its first ones; `None` takes all.
    pub max_samples: Option<Told<u64>>,
    /// Rows of one forward pass.
    pub per_device: Told<u64>,
    /// Forward passes of one update.
    pub accumulation: Told<u64>,
    /// The peak of the learning rate.
    pub learning_rate: Told<Finite>,
    /// Passes over the data; may have a fraction.
    pub epochs: Told<Finite>,
    /// Updates in all; it wins over `epochs`.
    pub max_steps: Option<Told<u64>>,
    /// The course of the learning rate.
    pub scheduler: Told<Scheduler>,
    /// Warmup as a share of all updates, 0 to 1; without effect beside `warmup_steps` above 0.
    pub warmup_ratio: Told<Finite>,
    /// Warmup in updates.
    pub warmup_steps: Told<u64>,
    /// The largest norm of a gradient; 0 clips nothing.
    pub max_grad_norm: Told<Finite>,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: Told<Finite>,
    /// Decay of AdamW's first moment.
    pub adam_beta1: Told<Finite>,
    /// Decay of AdamW's second moment.
    pub adam_beta2: Told<Finite>,
    /// What AdamW adds to the root of the second moment.
    pub adam_epsilon: Told<Finite>,
    /// The seed of everything random.
    pub seed: Told<u64>,
    /// The adapter's rank.
    pub rank: Told<u64>,
    /// The adapter's alpha.
    pub alpha: Told<Finite>,
    /// Modules that the adapter is put on; `all` means every linear one of the layers.
    pub targets: Told<Vec<String>>,
    /// Whether alpha is divided by the root of the rank instead of the rank.
    pub rank_stabilised: Told<bool>,
    /// Where results go.
    pub output_dir: Option<Told<String>>,
}
