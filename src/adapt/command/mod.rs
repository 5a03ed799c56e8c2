//! Command lines that launch training: a script with one, or the words of one.
//!
//! A command becomes the same tree as a run file, with places in the script, and the dialect's own reader reads it.

mod argv;
mod arithmetic;
mod launcher;
mod overrides;
mod shell;
mod trainers;
mod world;
mod wrappers;

use crate::adapt::screen;
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Sources, Span};
pub use argv::Argv;
use launcher::Recognised;
use shell::MAX_WORDS;
pub use shell::Word;
use trainers::Refusal;

pub(super) use overrides::edits;

/// Variables that decide which trainer runs and in how many processes; no other one is looked at.
pub(super) const LOOKED_AT: &[&str] = &[
    "ASCEND_RT_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "FORCE_TORCHRUN",
    "MAX_NNODES",
    "NNODES",
    "NPROC_PER_NODE",
    "PET_NNODES",
    "PET_NPROC_PER_NODE",
    "RAY_SWIFT_ARGS",
    "USE_KT",
    "USE_MCA",
    "USE_MEGATRON_BRIDGE",
    "USE_RAY",
    "USE_V1",
    "WORLD_SIZE",
];

/// How a trainer is told values on its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `--key value`, `--key=value`, `--key a b c`, `--switch`.
    Flags,
    /// `key=value`, `a.b=value`.
    Pairs,
    /// The same, and `~key` to take a key away.
    PairsAndDeletions,
    /// `--a.b value`, `--a__b value`, with dashes in the place of underscores.
    Dotted,
    /// `--a.b value`, each name as it stands.
    Paths,
}

/// The number of processes, as a command says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// So many, because of what stands there.
    Given(u32, Span),
    /// So many, by this rule.
    Default(u32, &'static str),
    /// Not known, because of this, and because of what stands there.
    Unknown(&'static str, Option<Span>),
}

/// A command that launches training.
#[derive(Debug, Clone)]
pub struct Launching {
    /// The framework, as `--framework` calls it; not every one of them is read.
    pub framework: &'static str,
    /// The command or module, as the table of trainers calls it.
    pub(super) called: &'static str,
    /// The run file that it names.
    pub run_file: Option<Word>,
    /// The file in which accelerate is told how many processes to start, where no flag says it.
    pub beside: Option<Word>,
    /// What its sub-command teaches (`rlhf` for all kinds of preference tuning), and where it says so.
    pub stage: Option<(&'static str, Span)>,
    /// How many processes it starts.
    pub world: World,
    /// How values are written.
    pub(super) form: Form,
    /// The values that it gives.
    pub(super) words: Vec<Word>,
    /// Where the trainer is named.
    pub(super) span: Span,
}

impl Launching {
    /// The reading in a few words.
    pub fn told(&self) -> String {
        let mut told = format!("read as a run of {}", self.framework);
        if let Some(file) = &self.run_file {
            told.push_str(&format!(": {}", file.text));
        }
        if !self.words.is_empty() {
            let words: Vec<String> = self.words.iter().map(|word| word.text.clone()).collect();
            let then = if self.run_file.is_some() { ", then " } else { ": " };
            told.push_str(&format!("{then}{}", quoted(&words)));
        }
        told
    }
}

impl Word {
    /// What the command gets.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it is written.
    pub fn span(&self) -> Span {
        self.span
    }
}

/// Whether a text is a shell script and no run file.
pub(super) fn is_script(name: &str, text: &str) -> bool {
    if name.ends_with(".sh") || name.ends_with(".bash") {
        return true;
    }
    if let Some(first) = text.strip_prefix("#!").and_then(|rest| rest.lines().next()) {
        return first.contains("sh");
    }
    if [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
        return false;
    }
    // A run file has a colon behind its first word.
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_key = |line: &str| line.split_whitespace().next().is_some_and(|word| word.ends_with(':'));
    lines
        .next()
        .is_some_and(|line| !is_key(line) && !line.starts_with(['{', '-']))
        && !matches!(launches(text).0.as_slice(), [])
}

/// The commands of a script that launch training, or might; and where a shell stops because something is never closed.
fn launches(text: &str) -> (Vec<Recognised>, Option<Span>) {
    let mut found = Vec::new();
    let unclosed = shell::commands(text, &mut |command| match launcher::recognise(command) {
        Recognised::Other(_) => {}
        _ if command.is_cut => {
            found.extend(command.words.first().cloned().map(Recognised::Cut));
        }
        recognised => found.push(recognised),
    });
    (found, unclosed)
}

/// A command with more words than are read.
fn cut(word: &Word, source: SourceId) -> Diagnostic {
    let place = Place {
        source,
        span: word.span,
    };
    let message = format!("this command has more than {MAX_WORDS} words, and ftrisk reads none that long");
    Diagnostic::new(Code::TooLarge, message)
        .at(place, "it starts here")
        .help("check the run file that the command reads, or write the values into one")
}

/// The one command of a text that launches training.
///
/// # Errors
///
/// A diagnostic says why there is none, or that there are several and where.
pub fn recognise(source: SourceId, sources: &Sources) -> Result<Launching, Box<Diagnostic>> {
    let file = sources.get(source);
    let place = |span| Place { source, span };
    if let Some(control) = screen::control(source, file.text()) {
        return Err(Box::new(control));
    }
    let (mut found, unclosed) = launches(file.text());
    if let Some(span) = unclosed {
        return Err(Box::new(
            Diagnostic::new(
                Code::NotARun,
                "a quote that is never closed: a shell runs nothing behind it",
            )
            .at(place(span), "opened here")
            .help("close it; the script may have been cut off"),
        ));
    }
    // A script that nobody knows may do anything; one that is known trains.
    if found.iter().any(|found| !matches!(found, Recognised::Script(_))) {
        found.retain(|found| !matches!(found, Recognised::Script(_)));
    }
    let span_of = |found: &Recognised| match found {
        Recognised::Training(launching) => launching.span,
        Recognised::Refused(refusal) => refusal.word.span,
        Recognised::Script(word) | Recognised::Cut(word) => word.span,
        Recognised::Other(_) => Span::default(),
    };
    if let [first, _, ..] = found.as_slice() {
        const SHOWN: usize = 8;
        let mut lines: Vec<String> = found
            .iter()
            .take(SHOWN)
            .map(|found| file.line(span_of(found).start).to_string())
            .collect();
        if found.len() > SHOWN {
            lines.push("…".to_owned());
        }
        let message = format!(
            "this script launches {} runs, on lines {}",
            found.len(),
            lines.join(", ")
        );
        return Err(Box::new(
            Diagnostic::new(Code::NotARun, message)
                .at(place(span_of(first)), "the first is here")
                .help("give each a script of its own, and check them one by one"),
        ));
    }
    Err(Box::new(match found.pop() {
        Some(Recognised::Training(launching)) => return Ok(*launching),
        Some(Recognised::Refused(refusal)) => refused(*refusal, source),
        Some(Recognised::Script(word)) => script(&word, source),
        Some(Recognised::Cut(word)) => cut(&word, source),
        _ => Diagnostic::new(Code::NotARun, "no command in this text launches training")
            .at(place(Span::default()), "")
            .note(LOOKED_FOR)
            .help("check the script that launches the run, or its run file"),
    }))
}

/// What a command is searched for.
const LOOKED_FOR: &str = "ftrisk looked for swift, megatron, llamafactory-cli, axolotl, trl, tune, automodel, litgpt and \
    mlx_lm, behind torchrun, accelerate, deepspeed, python and srun, and behind env, nohup, time, uv run, conda run and others that change nothing";

/// A trainer that is started in a way that cannot be read.
fn refused(refusal: Refusal, source: SourceId) -> Diagnostic {
    let place = Place {
        source,
        span: refusal.word.span,
    };
    Diagnostic::new(Code::UnknownFormat, refusal.message)
        .at(place, refusal.label)
        .help(refusal.help)
}

/// A script that a launcher starts and nobody knows.
fn script(word: &Word, source: SourceId) -> Diagnostic {
    let place = Place {
        source,
        span: word.span,
    };
    let shown = super::words::shown(&word.text);
    let message = format!("this launches `{shown}`, whose arguments ftrisk does not know");
    Diagnostic::new(Code::UnknownFormat, message)
        .at(place, "a script of its own")
        .help("check the run file that it reads")
}

/// Words as a shell takes them, so that a command that was already split can be read again.
pub fn quoted(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let each = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    each.collect::<Vec<_>>().join(" ")
}

/// The words of a text that is what comes after a run file.
pub(super) fn words_of(text: &str) -> Vec<Word> {
    shell::words(text)
}

/// The form of values behind the run file of a framework.
pub(super) fn form_of(framework: &str) -> Form {
    match framework {
        "llama-factory" | "llama-factory-v1" => Form::Pairs,
        "torchtune" => Form::PairsAndDeletions,
        "axolotl" => Form::Dotted,
        "nemo-automodel" | "litgpt" => Form::Paths,
        _ => Form::Flags,
    }
}
