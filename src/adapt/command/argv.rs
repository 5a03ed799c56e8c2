//! A command that was already split into words, as the operating system hands it over.
//!
//! It is not made into shell text and read again: each word is what the program gets, whatever it holds. A text of the
//! command is made beside the words, so that a fact can point at where it stands.

use super::launcher::{self, Recognised};
use super::shell::{Command, Word};
use super::{LOOKED_AT, Launching, cut, quoted, refused, script, wrappers};
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Span};

/// A command with what its environment says of a launch.
#[derive(Debug)]
pub struct Argv {
    text: String,
    command: Command,
}

impl Argv {
    /// Writes a command down. `variable` looks a variable up in the environment that the command will have.
    pub fn new(words: &[String], variable: impl Fn(&str) -> Option<String>) -> Argv {
        let mut argv = Argv {
            text: String::new(),
            command: Command::default(),
        };
        for name in LOOKED_AT {
            if let Some(value) = variable(name) {
                argv.text.push_str(name);
                argv.text.push('=');
                let word = argv.push(&value);
                argv.command.environment.insert((*name).to_owned(), word);
            }
        }
        for word in words {
            let word = argv.push(word);
            argv.command.words.push(word);
        }
        argv
    }

    /// Writes a word behind the others, as a shell would take it.
    fn push(&mut self, word: &str) -> Word {
        let shown = quoted(&[word.to_owned()]);
        let start = self.text.len();
        self.text.push_str(&shown);
        let span = Span::new(start, self.text.len());
        self.text.push(' ');
        let quotes = usize::from(shown != word);
        Word {
            text: word.to_owned(),
            span,
            verbatim: (shown.len() == word.len() + 2 * quotes).then_some(start + quotes),
        }
    }

    /// The command as one line.
    pub fn text(&self) -> &str {
        self.text.trim_end()
    }

    /// The run that it launches; `source` holds [`Argv::text`].
    ///
    /// # Errors
    ///
    /// A diagnostic says which word cannot be read, and what was looked for.
    pub fn launching(&self, source: SourceId) -> Result<Launching, Box<Diagnostic>> {
        let word = match launcher::recognise(&self.command) {
            Recognised::Training(launching) => return Ok(*launching),
            Recognised::Refused(refusal) => return Err(Box::new(refused(*refusal, source))),
            Recognised::Script(word) => return Err(Box::new(script(&word, source))),
            Recognised::Other(Some(word)) if word.text.ends_with(".py") => return Err(Box::new(script(&word, source))),
            Recognised::Cut(word) => return Err(Box::new(cut(&word, source))),
            Recognised::Other(word) => word,
        };
        Err(Box::new(unknown(word.as_ref(), source)))
    }
}

fn unknown(word: Option<&Word>, source: SourceId) -> Diagnostic {
    let empty = Word {
        text: String::new(),
        span: Span::default(),
        verbatim: None,
    };
    let word = word.unwrap_or(&empty);
    if let Some(refusal) = wrappers::not_read(word) {
        return refused(refusal, source);
    }
    let place = Place {
        source,
        span: word.span,
    };
    Diagnostic::new(Code::UnknownFormat, wrappers::message(word))
        .at(place, "as it is told here, no trainer that ftrisk knows")
        .note(super::LOOKED_FOR)
        .help("name the trainer's own command: `ftrisk exec POLICY -- llamafactory-cli train RUN.yaml`")
}
