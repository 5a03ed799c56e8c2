//! Counts over real run files, and the page that is made from them.
//!
//! The command makes the counts; the tables, the sentences and the picture are made from them there and in
//! `tests/it/corpus_audit.rs` alike.

pub mod draw;
pub mod judge;
pub mod page;
pub mod record;
pub mod stories;

/// What may go wrong in any way.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The counts.
pub const LOG: &str = "docs/figures/corpus-audit.jsonl";
/// The page.
pub const PAGE: &str = "docs/explanation/corpus-audit.md";
/// The picture.
pub const PICTURE: &str = "docs/figures/corpus-audit.svg";

/// The projects: their folder, and their name. Fragments that are no run by themselves are left out.
pub const PROJECTS: &[(&str, &str)] = &[
    ("nemo-automodel", "NeMo Automodel"),
    ("axolotl", "Axolotl"),
    ("torchtune", "torchtune"),
    ("llamafactory", "LLaMA-Factory"),
    ("litgpt", "LitGPT"),
    ("alignment-handbook", "alignment-handbook"),
    ("ms-swift", "ms-swift"),
    ("mlx-lm", "mlx-lm"),
    ("trl", "TRL"),
];

/// The policies that ship.
pub const POLICIES: [&str; 2] = ["cautious-sft", "exploratory"];

/// Rows of a data set where the launch says how many there are.
pub const ROWS: u64 = 10_000;

/// What the launch says beside the file.
pub const LAUNCHES: [&str; 3] = [ALONE, WITH_ROWS, EIGHT];
/// One process.
pub const ALONE: &str = "--world-size 1";
/// One process, and the rows.
pub const WITH_ROWS: &str = "--world-size 1 --dataset-rows 10000";
/// Eight processes.
pub const EIGHT: &str = "--world-size 8";
