//! What the page tells of: which files a story is about, by their facts and findings and the keys that they write.

use ftrisk::adapt::Read;
use ftrisk::diag::Code;
use ftrisk::facts::{Input, Words};
use ftrisk::quantity::Category;

use super::judge::File;

/// A story: among the files of a project that it could be about, those that it is about.
pub struct Story {
    pub name: &'static str,
    pub project: &'static str,
    pub of: fn(&File, &Read) -> bool,
    pub is: fn(&File, &Read) -> bool,
}

/// The stories, and the findings that have no story but a sentence.
pub const STORIES: &[Story] = &[
    Story {
        name: "no seed",
        project: "axolotl",
        of: |_, _| true,
        is: |_, read| had(read, Category::Seed) == Some(false),
    },
    Story {
        name: "no seed",
        project: "torchtune",
        of: |_, _| true,
        is: |_, read| had(read, Category::Seed) == Some(false),
    },
    Story {
        name: "held out and never read",
        project: "axolotl",
        of: |file, _| writes(file, "val_set_size"),
        is: |_, read| had(read, Category::Evaluation) == Some(false),
    },
    Story {
        name: "once per epoch of one",
        project: "axolotl",
        of: |file, _| writes(file, "val_set_size"),
        is: |file, read| writes(file, "evals_per_epoch") && had(read, Category::Evaluation) == Some(false),
    },
    Story {
        name: "held out and never read",
        project: "torchtune",
        of: |file, _| writes(file, "dataset_val"),
        is: |_, read| had(read, Category::Evaluation) == Some(false),
    },
    Story {
        name: "a floor that nobody reads",
        project: "litgpt",
        of: |_, read| is_word(read, Category::Stage, "sft"),
        is: |file, read| writes(file, "min_lr") && values(read, Input::MinLearningRate).is_none(),
    },
    Story {
        name: "an adapter without an adapter",
        project: "axolotl",
        of: |_, read| is_word(read, Category::Method, "full"),
        is: |file, _| writes(file, "lora_r"),
    },
    Story {
        name: "a key that is dropped",
        project: "axolotl",
        of: |_, _| true,
        is: |_, read| has(read, Code::UnknownKey),
    },
    Story {
        name: "epochs and steps",
        project: "axolotl",
        of: |_, _| true,
        is: |file, read| writes(file, "num_epochs") && values(read, Input::MaxSteps) == Some(true),
    },
    Story {
        name: "epochs and steps",
        project: "nemo-automodel",
        of: |_, _| true,
        is: |file, read| writes(file, "num_epochs") && values(read, Input::MaxSteps) == Some(true),
    },
    Story {
        name: "a rate that is text",
        project: "ms-swift",
        of: |_, _| true,
        is: |_, read| has(read, Code::LoaderText),
    },
    Story {
        name: "dora",
        project: "torchtune",
        of: |_, read| is_word(read, Category::Stage, "sft"),
        is: |_, read| is_word(read, Category::Method, "dora"),
    },
    Story {
        name: "steps and no rows",
        project: "nemo-automodel",
        of: |_, _| true,
        is: |file, read| !writes(file, "num_epochs") && values(read, Input::MaxSteps) == Some(true),
    },
];

/// Whether a line of the file gives the key a value that asks for something.
fn writes(file: &File, key: &str) -> bool {
    let value = |line: &str| {
        let rest = line.trim_start().strip_prefix(key)?.strip_prefix(':')?;
        Some(rest.split('#').next().unwrap_or_default().trim().to_owned())
    };
    // A mapping begins on the next line; a placeholder says nothing yet.
    let asks = |value: String| match value.as_str() {
        "" => key == "dataset_val",
        "null" | "~" | "0" | "0.0" => false,
        value => !value.starts_with('$'),
    };
    file.text.lines().filter_map(value).any(asks)
}

fn has(read: &Read, code: Code) -> bool {
    read.diagnostics.iter().any(|found| found.code == code)
}

fn had(read: &Read, category: Category) -> Option<bool> {
    match read.facts.as_ref()?.word(category)?.words {
        Words::Had(had) => Some(had),
        _ => None,
    }
}

fn is_word(read: &Read, category: Category, word: &str) -> bool {
    let fact = read.facts.as_ref().and_then(|facts| facts.word(category));
    fact.is_some_and(|fact| fact.words == Words::One(word.to_owned()))
}

/// Whether an input is known; `None` where the run has no such thing.
fn values(read: &Read, input: Input) -> Option<bool> {
    let values = read.facts.as_ref()?.values(input)?;
    Some(values.is_point())
}
