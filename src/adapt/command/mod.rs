//! Command lines that launch training: a script with one, or the words of one.
//!
//! A command becomes the same tree as a run file, with places in the script, and the dialect's own reader reads it.

mod arithmetic;
mod launcher;
mod overrides;
mod shell;

use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Sources, Span};
use launcher::Recognised;
pub use shell::Word;

pub(super) use overrides::edits;

/// How a trainer is told values on its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `--key value`, `--key=value`, `--key a b c`, `--switch`.
    Flags,
    /// `key=value`, `a.b=value`.
    Pairs,
    /// The same, and `~key` to take a key away.
    PairsAndDeletions,
    /// `--a.b value`, `--a__b value`.
    Dotted,
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
    /// The run file that it names.
    pub run_file: Option<Word>,
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
        && !matches!(launches(text).as_slice(), [])
}

/// The commands of a script that launch training, or might.
fn launches(text: &str) -> Vec<Recognised> {
    shell::commands(text)
        .iter()
        .map(launcher::recognise)
        .filter(|found| !matches!(found, Recognised::Other))
        .collect()
}

/// The one command of a text that launches training.
///
/// # Errors
///
/// A diagnostic says why there is none, or that there are several and where.
pub fn recognise(source: SourceId, sources: &Sources) -> Result<Launching, Box<Diagnostic>> {
    let file = sources.get(source);
    let place = |span| Place { source, span };
    let mut found = launches(file.text());
    // A script that nobody knows may do anything; one that is known trains.
    if found.iter().any(|found| matches!(found, Recognised::Training(_))) {
        found.retain(|found| matches!(found, Recognised::Training(_)));
    }
    let span_of = |found: &Recognised| match found {
        Recognised::Training(launching) => launching.span,
        Recognised::Script(word) => word.span,
        Recognised::Other => Span::default(),
    };
    if let [first, _, ..] = found.as_slice() {
        let lines: Vec<String> = found
            .iter()
            .map(|found| file.line(span_of(found).start).to_string())
            .collect();
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
        Some(Recognised::Script(word)) => {
            let shown = super::words::shown(&word.text);
            let message = format!("this launches `{shown}`, whose arguments ftrisk does not know");
            Diagnostic::new(Code::UnknownFormat, message)
                .at(place(word.span), "a script of its own")
                .help("check the run file that it reads")
        }
        _ => Diagnostic::new(Code::NotARun, "no command in this text launches training")
            .at(place(Span::default()), "")
            .note(
                "ftrisk looked for swift, megatron, llamafactory-cli, axolotl, trl, tune, automodel, litgpt and \
                 mlx_lm, behind torchrun, accelerate, deepspeed and python",
            )
            .help("check the script that launches the run, or its run file"),
    }))
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
        "axolotl" | "nemo-automodel" | "litgpt" => Form::Dotted,
        _ => Form::Flags,
    }
}
