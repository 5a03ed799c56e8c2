//! The rows of a probe file, as the meters read them.

use serde_json::Value;

use super::error::{Error, Result};
use crate::quantity::ProbeKind;

/// A probe with its rows, ready to be measured on.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What limits call it.
    pub name: String,
    /// What it holds.
    pub kind: ProbeKind,
    /// Its rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// One row of a probe.
#[derive(Debug, Clone)]
pub struct Row {
    /// What reports call it: its `id`, else its line number.
    pub id: String,
    /// The text, or the prompt.
    pub text: String,
    /// The text as the model's tokens; never empty.
    pub tokens: Vec<u32>,
}

/// The key that holds what a row of this kind is measured on; `None` for kinds that no meter reads yet.
fn key_of(kind: ProbeKind) -> Option<&'static str> {
    match kind {
        ProbeKind::Text => Some("text"),
        ProbeKind::Prompts => Some("prompt"),
        ProbeKind::Pairs | ProbeKind::Words => None,
    }
}

impl Probe {
    /// Reads the rows of a JSON Lines file. `encode` turns a text into at most the tokens that the model can read.
    ///
    /// # Errors
    /// Names the file and the row: no JSON, no text under the key of the kind, a text without a token; and a file
    /// without a row, or of a kind that no meter of this version reads.
    pub fn read(
        name: &str,
        file: &str,
        kind: ProbeKind,
        bytes: &[u8],
        encode: impl Fn(&str) -> Result<Vec<u32>>,
    ) -> Result<Probe> {
        let key = key_of(kind).ok_or_else(|| {
            Error::new(format!(
                "{file}: this version reads no {} probes while training",
                kind.word()
            ))
            .with_help("leave out the limits that are read on it")
        })?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::new(format!("{file} is not UTF-8")).with_help("save it as UTF-8, and pin it again"))?;
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let at = format!("{file}, row {}", index + 1);
            let row: Value = serde_json::from_str(line).map_err(|error| {
                Error::new(format!("{at}: {error}")).with_help("a probe has one JSON object a line")
            })?;
            let text = row
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| {
                    Error::new(format!("{at}: no text under `{key}`"))
                        .with_help(format!("a {} probe has a row like {{\"{key}\": \"...\"}}", kind.word()))
                })?;
            let tokens = encode(text)?;
            if tokens.is_empty() {
                return Err(Error::new(format!("{at}: the tokenizer makes no token of this text"))
                    .with_help("take the row out, and pin the probe again"));
            }
            let id = match row.get("id") {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => format!("row {}", index + 1),
            };
            rows.push(Row {
                id,
                text: text.to_owned(),
                tokens,
            });
        }
        if rows.is_empty() {
            return Err(Error::new(format!("{file} has no usable row"))
                .with_help("a probe without rows measures nothing: restore the file"));
        }
        Ok(Probe {
            name: name.to_owned(),
            kind,
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: ProbeKind, text: &str) -> Result<Probe> {
        Probe::read("p", "p.jsonl", kind, text.as_bytes(), |text| {
            Ok(text.bytes().filter(|byte| *byte != b'?').map(u32::from).collect())
        })
    }

    #[test]
    fn rows_have_ids_and_tokens() {
        let probe = read(
            ProbeKind::Text,
            "{\"id\":\"a\",\"text\":\"hi\"}\n\n{\"text\":\"yo\"}\n{\"id\":7,\"text\":\"x\"}\n",
        )
        .unwrap();
        let ids: Vec<&str> = probe.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["a", "row 3", "7"]);
        assert_eq!(probe.rows[0].tokens, [104, 105]);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_row() {
        let said = |kind, text| read(kind, text).unwrap_err().message;
        assert_eq!(said(ProbeKind::Text, ""), "p.jsonl has no usable row");
        assert_eq!(
            said(ProbeKind::Text, "{\"text\":\"a\"}\n{\"prompt\":\"b\"}"),
            "p.jsonl, row 2: no text under `text`"
        );
        assert_eq!(
            said(ProbeKind::Prompts, "{\"prompt\":\"?\"}"),
            "p.jsonl, row 1: the tokenizer makes no token of this text"
        );
        assert!(said(ProbeKind::Text, "{").starts_with("p.jsonl, row 1: EOF"));
        assert_eq!(
            said(ProbeKind::Pairs, "{}"),
            "p.jsonl: this version reads no pairs probes while training"
        );
    }
}
