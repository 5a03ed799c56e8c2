//! The rows of a probe file, as the meters read them.

use serde_json::Value;

use super::error::{Error, Result};
use crate::meter::words::words;
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
    /// What the base answered to its prompts, where that is kept; otherwise it is drawn.
    pub kept: Option<Vec<Vec<u32>>>,
}

/// One row of a probe.
#[derive(Debug, Clone)]
pub struct Row {
    /// What reports call it: its `id`, else its line number.
    pub id: String,
    /// The text, the prompt, or the word.
    pub text: String,
    /// The text as the model's tokens; never empty, but for words, which no model reads.
    pub tokens: Vec<u32>,
    /// The tokens of both answers of a pair, in the order of the file; of other kinds none.
    pub answers: Vec<Vec<u32>>,
}

/// The key that holds what a row of this kind is measured on.
fn key_of(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Text => "text",
        ProbeKind::Prompts | ProbeKind::Pairs => "prompt",
        ProbeKind::Words => "word",
    }
}

/// A row as the help shows it.
fn shape_of(kind: ProbeKind) -> String {
    let answers = match kind {
        ProbeKind::Pairs => ", \"answers\": [\"...\", \"...\"]",
        ProbeKind::Text | ProbeKind::Prompts | ProbeKind::Words => "",
    };
    format!(
        "a {} probe has a row like {{\"{}\": \"...\"{answers}}}",
        kind.word(),
        key_of(kind)
    )
}

impl Probe {
    /// Reads the rows of a JSON Lines file. `encode` turns a text into at most the tokens that the model can read.
    ///
    /// # Errors
    /// Names the file and the row: no JSON, no text under the key of the kind, a text without a token, a pair without
    /// two answers that differ, an entry of a lexicon without a word; and a file without a row.
    pub fn read(
        name: &str,
        file: &str,
        kind: ProbeKind,
        bytes: &[u8],
        encode: impl Fn(&str) -> Result<Vec<u32>>,
    ) -> Result<Probe> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::new(format!("{file} is not UTF-8")).with_help("save it as UTF-8, and pin it again"))?;
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                rows.push(Row::read(
                    &format!("{file}, row {}", index + 1),
                    index,
                    kind,
                    line,
                    &encode,
                )?);
            }
        }
        if rows.is_empty() {
            return Err(Error::new(format!("{file} has no usable row"))
                .with_help("a probe without rows measures nothing: restore the file"));
        }
        Ok(Probe {
            name: name.to_owned(),
            kind,
            rows,
            kept: None,
        })
    }
}

impl Row {
    /// One line of the file; `at` names it.
    fn read(
        at: &str,
        index: usize,
        kind: ProbeKind,
        line: &str,
        encode: impl Fn(&str) -> Result<Vec<u32>>,
    ) -> Result<Row> {
        let row: Value = serde_json::from_str(line)
            .map_err(|error| Error::new(format!("{at}: {error}")).with_help("a probe has one JSON object a line"))?;
        let key = key_of(kind);
        let text = row
            .get(key)
            .and_then(text_of)
            .ok_or_else(|| Error::new(format!("{at}: no text under `{key}`")).with_help(shape_of(kind)))?;
        let tokens = |text: &str| {
            let tokens = encode(text)?;
            if tokens.is_empty() {
                return Err(Error::new(format!("{at}: the tokenizer makes no token of this text"))
                    .with_help("take the row out, and pin the probe again"));
            }
            Ok(tokens)
        };
        if kind == ProbeKind::Words && words(text).is_empty() {
            return Err(Error::new(format!("{at}: `{key}` holds neither a letter nor a digit"))
                .with_help("take the row out, and pin the probe again"));
        }
        Ok(Row {
            id: match row.get("id") {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => format!("row {}", index + 1),
            },
            text: text.to_owned(),
            tokens: match kind {
                ProbeKind::Words => Vec::new(),
                ProbeKind::Text | ProbeKind::Prompts | ProbeKind::Pairs => tokens(text)?,
            },
            answers: match kind {
                ProbeKind::Pairs => answers(at, &row)?.into_iter().map(tokens).collect::<Result<_>>()?,
                ProbeKind::Text | ProbeKind::Prompts | ProbeKind::Words => Vec::new(),
            },
        })
    }
}

/// The two answers of a pair; of two that are the same none can be preferred.
fn answers<'v>(at: &str, row: &'v Value) -> Result<[&'v str; 2]> {
    let given = row.get("answers").and_then(Value::as_array).map(Vec::as_slice);
    let [first, second] = given
        .and_then(|given| match given {
            [first, second] => Some([text_of(first)?, text_of(second)?]),
            _ => None,
        })
        .ok_or_else(|| {
            Error::new(format!("{at}: no two texts under `answers`")).with_help(shape_of(ProbeKind::Pairs))
        })?;
    if first == second {
        return Err(Error::new(format!("{at}: both answers are the same"))
            .with_help("take the row out, and pin the probe again"));
    }
    Ok([first, second])
}

fn text_of(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
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
    fn pairs_have_two_answers_and_words_need_no_model() {
        let probe = read(ProbeKind::Pairs, "{\"prompt\":\"hi\",\"answers\":[\"no\",\"y\"]}").unwrap();
        assert_eq!(probe.rows[0].text, "hi");
        assert_eq!(probe.rows[0].tokens, [104, 105]);
        assert_eq!(probe.rows[0].answers, [vec![110, 111], vec![121]]);
        let probe = read(ProbeKind::Words, "{\"lang\":\"en\",\"word\":\"no one\"}").unwrap();
        assert_eq!((probe.rows[0].text.as_str(), probe.rows[0].tokens.len()), ("no one", 0));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_row() {
        let said = |kind, text: &str| read(kind, text).unwrap_err().message;
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
        let pair = |answers: &str| said(ProbeKind::Pairs, &format!("{{\"prompt\":\"q\",\"answers\":{answers}}}"));
        for answers in [
            "null",
            "\"ab\"",
            "[]",
            "[\"a\"]",
            "[\"a\",\"\"]",
            "[\"a\",1]",
            "[\"a\",\"b\",\"c\"]",
        ] {
            assert_eq!(
                pair(answers),
                "p.jsonl, row 1: no two texts under `answers`",
                "{answers}"
            );
        }
        assert_eq!(pair("[\"a\",\"a\"]"), "p.jsonl, row 1: both answers are the same");
        assert_eq!(
            pair("[\"a\",\"?\"]"),
            "p.jsonl, row 1: the tokenizer makes no token of this text"
        );
        assert_eq!(
            said(ProbeKind::Words, "{\"word\":\"...\"}"),
            "p.jsonl, row 1: `word` holds neither a letter nor a digit"
        );
        let help = read(ProbeKind::Pairs, "{}").unwrap_err().help.unwrap();
        assert_eq!(
            help,
            "a pairs probe has a row like {\"prompt\": \"...\", \"answers\": [\"...\", \"...\"]}"
        );
    }
}
