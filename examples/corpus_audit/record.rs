//! What was counted, a line of JSON each.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// One count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    Verdicts(Verdicts),
    Limit(Limit),
    Unknown(Unknown),
    Values(Values),
    Story(Story),
    Only(Only),
}

/// What a policy says about the files of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    pub policy: String,
    pub launch: String,
    pub project: String,
    pub files: usize,
    /// Every enforced line is within or waits for a reading, and the file has no error.
    pub within: usize,
    pub over: usize,
    pub open: usize,
    /// The policy does not speak about such a run.
    pub not_covered: usize,
    /// Nothing is over or open, but the file itself has an error.
    pub faulty: usize,
}

/// How often a line of a policy has which verdict, over all files that it covers or may cover.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub policy: String,
    pub launch: String,
    /// The line in the policy's order; two lines may be about one quantity.
    pub line: usize,
    pub subject: String,
    pub advice: bool,
    pub within: usize,
    pub over: usize,
    pub open: usize,
    pub later: usize,
    pub not_applicable: usize,
    /// Files in which this line is over, and no other that is enforced.
    pub alone: usize,
}

/// In how many files a fact is missing that keeps a line or the coverage open, and what supplies it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    pub policy: String,
    pub launch: String,
    pub fact: String,
    pub supply: String,
    pub files: usize,
}

/// The values of a quantity in the files of a project that `cautious-sft` covers, with how many files have each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values {
    pub project: String,
    pub quantity: String,
    pub files: Vec<(f64, usize)>,
}

/// How many files of a project a story is about, and of how many it could be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub story: String,
    pub project: String,
    pub files: usize,
    pub of: usize,
}

/// Files of a project that are over by nothing but what they do not write: a seed or clipping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Only {
    pub project: String,
    pub by_requirement: usize,
    pub over: usize,
}

/// The records of a log.
pub fn read(text: &str) -> Outcome<Vec<Record>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The log of some records.
pub fn text(records: &[Record]) -> Outcome<String> {
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    Ok(lines?.join("\n") + "\n")
}
