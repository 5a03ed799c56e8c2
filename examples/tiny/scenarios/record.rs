//! What one run left, a line of JSON each.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// A broken limit.
#[derive(Clone, Serialize, Deserialize)]
pub struct Broken {
    pub update: u64,
    pub quantity: String,
}

/// One run.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    pub scenario: String,
    pub seed: u64,
    pub governed: bool,
    /// The limits that `check` finds over, by quantity.
    pub check: Vec<String>,
    /// How it ended, in a word.
    pub end: String,
    /// Updates of the whole run as planned, those proposed, and the one that the saved state stands at.
    pub planned: u64,
    pub proposed: u64,
    pub saved_from: u64,
    /// What the guard did: how often it scaled, skipped, went back, and halved the rate.
    pub scaled: u64,
    pub skipped: u64,
    pub rolled_back: u64,
    pub halvings: u64,
    /// The first breach and the last.
    pub first: Option<Broken>,
    pub last: Option<Broken>,
    /// Of what is saved: forward KL from the base on `general` in nats, distinct-2 in shares of the base's, flipped pairs
    /// as a share, loss on rows held out in nats, and the largest per-update drift committed.
    pub drift: f64,
    pub distinct_2: f64,
    pub flips: f64,
    pub held_out: f64,
    /// The base's loss on rows held out.
    pub held_out_base: f64,
    /// The last training loss.
    pub loss: f64,
    /// The largest drift of one committed update, where it was read.
    pub largest_update: f64,
}

/// The records of a log.
pub fn read(text: &str) -> Outcome<Vec<Record>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}
