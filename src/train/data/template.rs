//! How turns become text, as LLaMA-Factory's templates `default` and `alpaca` render them.
//!
//! Read in `data/template.py` and `data/formatter.py` at commit ff6d4d12. Each piece is tokenised by itself, without
//! special tokens around it; neither template writes a beginning of sequence.

use super::{Example, Turn};
use crate::facts::Template;

/// A piece of a rendered turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text to tokenise.
    Text(String),
    /// The tokenizer's end of sequence.
    End,
}

/// A rendered turn: what is shown, and what the loss is taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The question, in the first turn after the system message.
    pub prompt: Vec<Piece>,
    /// The answer and its end.
    pub response: Vec<Piece>,
}

const ALPACA_SYSTEM: &str =
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n";

fn text(text: impl Into<String>) -> Piece {
    Piece::Text(text.into())
}

/// Renders every turn of an example.
pub fn render(template: Template, example: &Example) -> Vec<Rendered> {
    let turns = example.turns.iter().enumerate();
    turns.map(|(at, turn)| rendered(template, example, at, turn)).collect()
}

fn rendered(template: Template, example: &Example, at: usize, turn: &Turn) -> Rendered {
    let mut prompt = if at == 0 {
        system(template, &example.system)
    } else {
        Vec::new()
    };
    // The formatter fills `{{idx}}` after `{{content}}`, so that one in the content is filled as well.
    let fill =
        |before: &str, after: &str| format!("{before}{}{after}", turn.prompt).replacen("{{idx}}", &at.to_string(), 1);
    match template {
        Template::Default => prompt.extend([text(fill("Human: ", "")), Piece::End, text("\nAssistant:")]),
        Template::Alpaca => prompt.push(text(fill("### Instruction:\n", "\n\n### Response:\n"))),
    }
    let after = match template {
        Template::Default => "\n",
        Template::Alpaca => "\n\n",
    };
    let response = vec![text(turn.response.as_str()), Piece::End, text(after)];
    Rendered { prompt, response }
}

fn system(template: Template, given: &str) -> Vec<Piece> {
    match (template, given) {
        (Template::Default, "") => Vec::new(),
        (Template::Default, given) => vec![text(format!("System: {given}")), Piece::End, text("\n")],
        (Template::Alpaca, "") => vec![text(ALPACA_SYSTEM)],
        (Template::Alpaca, given) => vec![text(given)],
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, render};
    use crate::facts::Template;
    use crate::train::data::{Example, Turn};

    fn shown(template: Template, system: &str) -> Vec<(String, String)> {
        let turn = |prompt: &str, response: &str| Turn {
            prompt: prompt.into(),
            response: response.into(),
        };
        let example = Example {
            system: system.into(),
            turns: vec![turn("a", "b"), turn("c", "d")],
            ..Example::default()
        };
        let join = |pieces: Vec<Piece>| -> String {
            let shown = |piece| match piece {
                Piece::Text(text) => text,
                Piece::End => "</s>".to_owned(),
            };
            pieces.into_iter().map(shown).collect()
        };
        let turns = render(template, &example).into_iter();
        turns.map(|turn| (join(turn.prompt), join(turn.response))).collect()
    }

    #[test]
    fn default_is_human_and_assistant() {
        let second = ("Human: c</s>\nAssistant:".to_owned(), "d</s>\n".to_owned());
        let first = |system: &str| (format!("{system}Human: a</s>\nAssistant:"), "b</s>\n".to_owned());
        assert_eq!(shown(Template::Default, ""), [first(""), second.clone()]);
        assert_eq!(shown(Template::Default, "s"), [first("System: s</s>\n"), second]);
    }

    #[test]
    fn alpaca_is_instruction_and_response() {
        let of = |system: &str, prompt: &str| format!("{system}### Instruction:\n{prompt}\n\n### Response:\n");
        let second = (of("", "c"), "d</s>\n\n".to_owned());
        assert_eq!(
            shown(Template::Alpaca, ""),
            [(of(super::ALPACA_SYSTEM, "a"), "b</s>\n\n".to_owned()), second.clone()]
        );
        assert_eq!(
            shown(Template::Alpaca, "s"),
            [(of("s", "a"), "b</s>\n\n".to_owned()), second]
        );
    }
}
