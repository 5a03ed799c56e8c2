//! What is measured on the tiny model, and what the measurements say.
//!
//! `tiny_acceptance` measures; the page is made from its log by [`page`] there and in `tests/it/figures.rs` alike.

pub mod bench;
pub mod cells;
mod contraction;
mod forgetting;
mod guarding;
mod levers;
mod moments;
mod pace;
pub mod page;
mod poison;
pub mod rules;
mod runs;
pub mod sums;
