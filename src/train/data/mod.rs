//! Training data: rows as the run file names them, as tokens, in the order in which a run takes them.
//!
//! `files` reads, and nothing else here touches a file. `template` and `encode` follow LLaMA-Factory (read at commit
//! ff6d4d12), so that the same run file trains on the same tokens; `order` is a pure function of the seed and the number
//! of the proposal.

pub mod encode;
pub mod files;
pub mod order;
pub mod template;

/// One question with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What the user says.
    pub prompt: String,
    /// What the assistant answers.
    pub response: String,
}

/// A row of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Example {
    /// The system message; empty takes that of the template.
    pub system: String,
    /// The turns, the row's own question last.
    pub turns: Vec<Turn>,
    /// What the row is counted under when groups of the data are compared: its `group`, else the name of its data set.
    /// Nothing is trained on it.
    pub group: String,
    /// Where it stands: the file, and the row in it, counted from 1.
    pub place: (String, u64),
}
