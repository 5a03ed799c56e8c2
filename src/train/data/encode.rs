//! Rows as tokens, with the positions that the loss is taken on.
//!
//! Truncation is LLaMA-Factory's (`data/processor/supervised.py` and `infer_seqlen` of `processor_utils.py`, commit
//! ff6d4d12): turn by turn from the first, each within what is left of `cutoff_len`.

use super::Example;
use super::template::{Piece, render};
use crate::facts::Template;
use crate::train::error::Error;

/// What encoding needs of a tokenizer.
pub trait Tokenise {
    /// The tokens of a text, without special tokens around them.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails on it.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, Error>;

    /// The end of sequence.
    fn end(&self) -> u32;
}

/// A row as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// For each token whether it is part of an answer: the loss is taken where the model predicts it.
    pub answers: Vec<bool>,
}

impl Encoded {
    /// How many tokens the loss is taken on: the first of a row is never predicted.
    pub fn trained(&self) -> usize {
        self.answers.iter().skip(1).filter(|is_answer| **is_answer).count()
    }
}

/// Encodes an example within `cutoff` tokens.
///
/// # Errors
///
/// When the tokenizer fails.
pub fn encode(
    example: &Example,
    template: Template,
    cutoff: usize,
    tokeniser: &impl Tokenise,
) -> Result<Encoded, Error> {
    let mut encoded = Encoded {
        tokens: Vec::new(),
        answers: Vec::new(),
    };
    for turn in render(template, example) {
        let left = cutoff.saturating_sub(encoded.tokens.len());
        if left == 0 {
            break;
        }
        let (prompt, response) = (ids(&turn.prompt, tokeniser)?, ids(&turn.response, tokeniser)?);
        let (shown, trained) = kept(prompt.len(), response.len(), left);
        encoded.tokens.extend(prompt.into_iter().take(shown));
        encoded.tokens.extend(response.into_iter().take(trained));
        encoded.answers.extend(std::iter::repeat_n(false, shown));
        encoded.answers.extend(std::iter::repeat_n(true, trained));
    }
    Ok(encoded)
}

fn ids(pieces: &[Piece], tokeniser: &impl Tokenise) -> Result<Vec<u32>, Error> {
    let mut ids = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) if text.is_empty() => {}
            Piece::Text(text) => ids.extend(tokeniser.tokens(text)?),
            Piece::End => ids.push(tokeniser.end()),
        }
    }
    Ok(ids)
}

/// How many tokens of a question and of its answer fit into `cutoff`: a short side is kept whole, two long ones share.
fn kept(prompt: usize, response: usize, cutoff: usize) -> (usize, usize) {
    let most = if response * 2 < cutoff {
        cutoff
    } else if prompt * 2 < cutoff {
        cutoff - prompt
    } else {
        // The framework divides first; the product of whole numbers can differ from it by one.
        (cutoff as f64 * (response as f64 / (prompt + response).max(1) as f64)) as usize
    };
    let response = response.min(most);
    (prompt.min(cutoff.saturating_sub(response)), response)
}

#[cfg(test)]
mod tests {
    use super::{Encoded, Tokenise, encode, kept};
    use crate::facts::Template;
    use crate::train::data::{Example, Turn};
    use crate::train::error::Error;

    /// A token a letter; the end is 0.
    struct Letters;

    impl Tokenise for Letters {
        fn tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
            Ok(text.chars().map(u32::from).collect())
        }

        fn end(&self) -> u32 {
            0
        }
    }

    fn encoded(turns: &[(&str, &str)], cutoff: usize) -> Encoded {
        let turns = turns.iter().map(|(prompt, response)| Turn {
            prompt: (*prompt).into(),
            response: (*response).into(),
        });
        let example = Example {
            turns: turns.collect(),
            ..Example::default()
        };
        encode(&example, Template::Default, cutoff, &Letters).unwrap()
    }

    /// What is trained on, `|` for the end.
    fn trained(encoded: &Encoded) -> String {
        let answers = encoded.tokens.iter().zip(&encoded.answers).filter(|(_, is)| **is);
        answers
            .map(|(token, _)| {
                if *token == 0 {
                    '|'
                } else {
                    char::from_u32(*token).unwrap()
                }
            })
            .collect()
    }

    #[test]
    fn the_loss_is_on_every_answer() {
        let row = encoded(&[("a", "xy"), ("b", "z")], 2048);
        assert_eq!(trained(&row), "xy|\nz|\n");
        assert_eq!((row.tokens.len(), row.trained()), (20 + 4 + 20 + 3, 7));
    }

    #[test]
    fn long_rows_are_cut_as_the_framework_does() {
        // infer_seqlen of the framework: (source, target, cutoff) -> both.
        for (given, left) in [
            ((10, 5, 100), (10, 5)),
            ((100, 5, 20), (15, 5)),
            ((5, 100, 20), (5, 15)),
            ((30, 10, 20), (15, 5)),
            ((10, 10, 20), (10, 10)),
            ((3, 7, 1), (1, 0)),
        ] {
            assert_eq!(kept(given.0, given.1, given.2), left, "{given:?}");
        }
        let row = encoded(&[("a", "xy"), ("b", "z")], 24);
        assert_eq!((row.tokens.len(), trained(&row).as_str()), (24, "xy|\n"));
        assert_eq!(encoded(&[("a", "xy"), ("b", "z")], 30).tokens.len(), 30);
    }
}
