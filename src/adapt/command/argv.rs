//! A command that was already split into words, as the operating system hands it over.
//!
//! It is not made into shell text and read again: each word is what the program gets, whatever it holds. A text of the
//! command is made beside the words, so that a fact can point at where it stands.

use super::launcher::{self, Recognised};
use super::shell::{Command, Word};
use super::{LOOKED_AT, Launching, cut, quoted, refused, script};
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Span};

/// Programs that start others in ways that are not read: what each does, and what to do instead.
const BY_NAME: &[(&[&str], &str, &str)] = &[
    (
        &["env"],
        "one of its flags splits words or changes the folder",
        "write the command out: `env NAME=VALUE COMMAND`",
    ),
    (
        &["bash", "sh", "zsh", "dash", "ksh", "fish"],
        "a script may do anything, and may change between the check and the launch",
        "put `ftrisk exec POLICY --` before the command inside of it",
    ),
    (
        &[
            "srun",
            "mpirun",
            "mpiexec",
            "mlx.launch",
            "ssh",
            "sbatch",
            "ray",
            "torchx",
            "sky",
        ],
        "it starts processes elsewhere, and this command does not say how many",
        "put `ftrisk exec POLICY --` behind it, and say --world-size N",
    ),
    (
        &[
            "docker",
            "podman",
            "apptainer",
            "singularity",
            "conda",
            "mamba",
            "sudo",
            "make",
            "just",
            "xargs",
            "timeout",
        ],
        "what it runs, and with which files and environment, is not read",
        "put `ftrisk exec POLICY --` before the training command itself",
    ),
];

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
    let (shown, span) = match word {
        Some(word) => (crate::adapt::words::shown(&word.text), word.span),
        None => (String::new(), Span::default()),
    };
    let name = shown.rsplit('/').next().unwrap_or("");
    let place = Place { source, span };
    let name = if name.ends_with(".sh") { "sh" } else { name };
    let by_name = BY_NAME.iter().find(|(names, ..)| names.contains(&name));
    let message = format!("ftrisk cannot read what `{shown}` trains");
    let diagnostic = Diagnostic::new(Code::UnknownFormat, message);
    match by_name {
        Some((_, label, help)) => diagnostic.at(place, *label).help(*help),
        None => diagnostic
            .at(place, "as it is told here, no trainer that ftrisk knows")
            .note(super::LOOKED_FOR)
            .help("name the trainer's own command: `ftrisk exec POLICY -- llamafactory-cli train RUN.yaml`"),
    }
}
