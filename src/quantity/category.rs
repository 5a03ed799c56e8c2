//! Facts that are words: what `for`, `allow` and `require` speak about.

/// How a categorical fact is written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategoryKind {
    /// One of the listed words.
    Word(&'static [&'static str]),
    /// Free text, matched by a glob in quotes.
    Text,
    /// A set of free words; `allow` asks for a subset.
    Set,
    /// Had or not had: only `require` speaks about it.
    Presence,
}

/// One row of the table of categorical facts.
#[derive(Debug)]
pub struct CategoryRow {
    /// The name in a policy.
    pub name: &'static str,
    /// How it is written.
    pub kind: CategoryKind,
    /// What it is, in a sentence.
    pub meaning: &'static str,
}

macro_rules! categories {
    ($($variant:ident $name:literal $kind:expr, $meaning:literal;)*) => {
        /// A fact that is a word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category { $(#[doc = concat!("`", $name, "`: ", $meaning)] $variant),* }

        /// Every categorical fact, in the order of the reference page.
        pub const CATEGORIES: &[Category] = &[$(Category::$variant),*];

        impl Category {
            /// Its row of the table.
            pub fn row(self) -> &'static CategoryRow {
                match self {
                    $(Category::$variant => {
                        static ROW: CategoryRow = CategoryRow { name: $name, kind: $kind, meaning: $meaning };
                        &ROW
                    })*
                }
            }
        }
    };
}

use CategoryKind::{Presence, Set, Text, Word};

categories! {
    Stage "stage" Word(&["pt", "sft", "rm", "prm", "ppo", "dpo", "kto", "ipo", "orpo", "simpo", "cpo", "grpo", "gdpo", "rloo", "ebft", "gkd", "kd", "other"]),
        "What the run teaches: continued pre-training, supervised fine-tuning, a reward model, or a kind of preference tuning.";
    Method "method" Word(&["full", "freeze", "lora", "qlora", "dora", "oft", "other"]),
        "Which weights move: all, some layers, or an adapter (qlora: LoRA on a base quantised to fewer than 8 bits).";
    Model "model" Text, "The base model as the run file names it.";
    ModelRevision "model_revision" Text, "The pinned revision of the base model; only a commit counts as one.";
    Optimizer "optimizer" Word(&["adamw", "adam", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adam_mini", "adafactor", "lion", "sgd", "muon", "galore", "apollo", "badam", "other"]),
        "The optimizer; spellings of one algorithm are one word.";
    Scheduler "scheduler" Word(&["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_min_lr", "cosine_with_restarts", "polynomial", "inverse_sqrt", "reduce_lr_on_plateau", "warmup_stable_decay", "other"]),
        "The shape of the learning-rate schedule.";
    Quantization "quantization" Word(&["none", "2bit", "3bit", "4bit", "8bit", "gptq", "awq", "aqlm", "fp8", "other"]),
        "How the frozen base is quantised.";
    Dataset "dataset" Set, "The data sets that the run names.";
    Template "template" Text, "The chat template.";
    LoraTargets "lora.targets" Set, "The modules that get an adapter.";
    Seed "seed" Presence, "A fixed random seed.";
    Evaluation "evaluation" Presence, "Evaluation on held-out data while training.";
    Clipping "clipping" Presence, "Gradient clipping.";
    Parent "parent" Presence, "A parent run that this one is compared with.";
    Guard "guard" Presence, "Training under the guard.";
}

impl Category {
    /// Its name in a policy.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The categorical fact of that exact name.
    pub fn named(name: &str) -> Option<Category> {
        CATEGORIES.iter().copied().find(|c| c.name() == name)
    }
}
