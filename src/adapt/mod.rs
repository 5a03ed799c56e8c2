//! Run files become facts.
//!
//! One file a dialect, each a table of keys with the facts they set and the framework's defaults. Knows how frameworks
//! read their files; knows nothing of limits and judges nothing. It never fails on a file: what cannot be read is said
//! in diagnostics, and a file that is no training run has no facts.

mod beside;
pub mod command;
mod detect;
mod dialect;
mod format;
mod given;
pub mod honoured;
mod interpolate;
mod keys;
mod launch;
mod malformed;
mod pages;
mod reader;
mod recipe;
mod said;
mod scalar;
mod screen;
mod table;
mod told;
mod tree;
mod with;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::diag::{Code, Diagnostic, sort};
use crate::facts::Facts;
use crate::source::{Place, SourceFile, SourceId, Sources, Span};
use command::{Launching, Word};
use detect::Kind;
use pages::Pages;
use reader::Run;
use scalar::{Loader, Value, resolve};
use tree::{Data, Map, Node, Scalar};

pub use recipe::{Trained, recipe};

/// The most bytes that a run file may have; callers refuse larger ones before they read them.
pub const MAX_BYTES: usize = 1 << 20;

/// The most findings that are kept of one file.
const MAX_FINDINGS: usize = 100;

/// What the command line says about the launch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Launch {
    /// `--world-size`: training processes in all.
    pub world_size: Option<u32>,
    /// `--dataset-rows`: rows that one pass walks.
    pub dataset_rows: Option<u64>,
    /// `--framework`: the framework whose run file it is, whatever it looks like; one of [`frameworks`].
    pub framework: Option<&'static str>,
    /// `--stage`: what the launch command teaches, in the words of [`Category::Stage`](crate::quantity::Category::Stage).
    pub stage: Option<&'static str>,
}

/// The frameworks whose run files are read, as `--framework` takes them.
pub fn frameworks() -> impl Iterator<Item = &'static str> {
    dialect::ALL.iter().map(|format| format.dialect.name)
}

/// Whether a text that is no well-formed run file names what only training needs, such as a learning rate and a number of
/// epochs.
pub fn names_training(text: &str) -> bool {
    detect::is_said_to_train(text)
}

/// What a run file says.
#[derive(Debug)]
pub struct Read {
    /// What is known of the run; `None` when the file is no run that can be read.
    pub facts: Option<Facts>,
    /// What is wrong with the file, in the order of its lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// What is read beside a run file, or in its place.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// `--with`: files of the launch, such as an accelerate config or a DeepSpeed file.
    pub with: Vec<SourceId>,
    /// `--facts`: facts by their names.
    pub facts: Option<SourceId>,
    /// What the command line says behind the run file: a text of words as a shell takes them.
    pub overrides: Option<SourceId>,
}

/// Reads a run file, or a script that launches a run.
pub fn read(source: SourceId, sources: &Sources, launch: Launch) -> Read {
    read_beside(Some(source), sources, launch, &Beside::default())
}

/// Reads a run file with what is beside it; without one, the facts are everything.
pub fn read_beside(run: Option<SourceId>, sources: &Sources, launch: Launch, beside: &Beside) -> Read {
    let text = run.map(|run| Text::File(run, beside.overrides));
    finish(beside::facts_of(text, sources, launch, beside))
}

/// Reads the run that a command launches: the values of the command over those of the run file, if it names one.
pub fn read_launched(
    run: Option<SourceId>,
    command: SourceId,
    launching: &Launching,
    sources: &Sources,
    launch: Launch,
    beside: &Beside,
) -> Read {
    let text = Text::Command(run, command, launching);
    finish(beside::facts_of(Some(text), sources, launch, beside))
}

/// What a run is read from.
#[derive(Clone, Copy)]
enum Text<'a> {
    /// A run file or a script, and words behind it.
    File(SourceId, Option<SourceId>),
    /// A command, and the run file that it names.
    Command(Option<SourceId>, SourceId, &'a Launching),
}

/// What a run file, or a script that launches a run, says by itself and with what stands behind it.
fn facts_over(text: Text<'_>, sources: &Sources, launch: Launch) -> (Option<Facts>, Vec<Diagnostic>) {
    let (source, overrides) = match text {
        Text::File(source, overrides) => (source, overrides),
        Text::Command(None, command, launching) => return of_command(command, launching, sources, launch),
        Text::Command(Some(run), command, launching) => {
            let told = Told {
                source: command,
                words: launching.words.clone(),
                launching: Some(launching),
            };
            return facts_of(run, Some(told), sources, launch);
        }
    };
    let file = sources.get(source);
    let text = file.text();
    let told = overrides.map(|source| Told {
        source,
        words: command::words_of(sources.get(source).text()),
        launching: None,
    });
    if let Some(control) = told
        .as_ref()
        .and_then(|told| screen::control(told.source, sources.get(told.source).text()))
    {
        return (None, vec![control]);
    }
    let is_read = text.len() <= MAX_BYTES;
    match told {
        Some(told) if is_read && command::is_script(file.name(), text) => {
            (None, vec![overridden_script(told.source, sources)])
        }
        None if is_read && command::is_script(file.name(), text) => of_script(source, sources, launch),
        told => facts_of(source, told, sources, launch),
    }
}

fn finish((facts, mut diagnostics): (Option<Facts>, Vec<Diagnostic>)) -> Read {
    keep_some(&mut diagnostics);
    sort(&mut diagnostics);
    Read { facts, diagnostics }
}

/// What a command line says behind a run file.
struct Told<'a> {
    source: SourceId,
    words: Vec<Word>,
    /// The whole command, where it is known.
    launching: Option<&'a Launching>,
}

/// A script, whose command holds the whole run or names its file.
fn of_script(source: SourceId, sources: &Sources, launch: Launch) -> (Option<Facts>, Vec<Diagnostic>) {
    let launching = match command::recognise(source, sources) {
        Ok(launching) => launching,
        Err(diagnostic) => {
            let mut diagnostics = screen::hidden_anywhere(source, sources.get(source).text(), true);
            diagnostics.push(*diagnostic);
            return (None, diagnostics);
        }
    };
    if let Some(file) = &launching.run_file {
        return (None, vec![names_a_file(source, sources, file, &launching)]);
    }
    of_command(source, &launching, sources, launch)
}

/// A command that holds the whole run.
fn of_command(
    source: SourceId,
    launching: &Launching,
    sources: &Sources,
    launch: Launch,
) -> (Option<Facts>, Vec<Diagnostic>) {
    let name = launch.framework.unwrap_or(launching.framework);
    let Some(format) = dialect::ALL.iter().copied().find(|format| format.dialect.name == name) else {
        return (None, vec![detect::not_yet(source, launching)]);
    };
    let text = sources.get(source).text();
    let edits = command::edits(
        &launching.words,
        launching.form,
        Loader::Argparse,
        format.keys.as_ref(),
        source,
    );
    let mut diagnostics = screen::hidden_anywhere(source, text, false);
    diagnostics.extend(edits.problems.iter().cloned());
    let mut map = Map::default();
    edits.apply(&mut map, 0);
    let root = Node {
        span: launching.span,
        data: Data::Map(map),
        size: 1,
        depth: 1,
    };
    let pages = Pages::new(sources, source, None);
    if let Some(map) = root.map() {
        let mut run = Run::new(format.dialect, pages, map);
        run.loader = Loader::Argparse;
        launch::told(&mut run, launching, source);
        if let Some(known) = &format.keys {
            keys::check(&mut run, known);
        }
        (format.read)(&mut run, launch);
        diagnostics.extend(screen::screen(pages, &root, BTreeSet::new()));
        diagnostics.extend(run.diagnostics);
        return (Some(run.facts), diagnostics);
    }
    (None, diagnostics)
}

/// The values are in a file that the script only names.
fn names_a_file(source: SourceId, sources: &Sources, file: &Word, launching: &Launching) -> Diagnostic {
    let place = Place {
        source,
        span: file.span,
    };
    let text = sources.get(source);
    let behind: Vec<&str> = launching.words.iter().map(|word| text.slice(word.span)).collect();
    let behind = if behind.is_empty() {
        String::new()
    } else {
        format!(" -- {}", behind.join(" "))
    };
    let name = if file.is_known() { file.text.as_str() } else { "RUN" };
    Diagnostic::new(
        Code::NotARun,
        "this script launches a run file, and holds none of its values",
    )
    .at(place, "the run file")
    .help("check that")
    .instead(format!("ftrisk check POLICY {name}{behind}"))
}

fn overridden_script(source: SourceId, sources: &Sources) -> Diagnostic {
    let span = Span::new(0, sources.get(source).text().len());
    Diagnostic::new(
        Code::NotARun,
        "values behind `--` belong to a run file, and this is a script",
    )
    .at(Place { source, span }, "nothing takes these")
    .help("write them into the script")
}

/// Drops findings that nobody would read, warnings first, and says how many.
fn keep_some(diagnostics: &mut Vec<Diagnostic>) {
    let dropped = diagnostics.len().saturating_sub(MAX_FINDINGS);
    if dropped > 0 {
        diagnostics.sort_by_key(|found| (Reverse(found.severity), found.place()));
        diagnostics.truncate(MAX_FINDINGS);
        if let Some(last) = diagnostics.pop() {
            diagnostics.push(last.note(format!("{dropped} more findings in this file are not shown")));
        }
    }
}

fn facts_of(
    source: SourceId,
    told: Option<Told<'_>>,
    sources: &Sources,
    launch: Launch,
) -> (Option<Facts>, Vec<Diagnostic>) {
    let (root, mut diagnostics) = mapping_of(source, sources);
    let Some(mut root) = root else {
        return (None, diagnostics);
    };
    let Some(map) = root.map() else {
        return (None, diagnostics);
    };
    let launching = told.as_ref().and_then(|told| told.launching);
    let named = launch
        .framework
        .or(launching.map(|launching| launching.framework))
        .and_then(|name| dialect::ALL.iter().copied().find(|format| format.dialect.name == name));
    let format = match (named, detect::kind(map)) {
        (Some(format), _) | (None, Kind::Run(format)) => format,
        (None, other) => {
            diagnostics.push(detect::refusal(source, map, other));
            return (None, diagnostics);
        }
    };
    let dialect = format.dialect;
    let pages = Pages::new(sources, source, told.as_ref().map(|told| told.source));
    if let Some(told) = &told {
        let form = launching.map_or_else(|| command::form_of(dialect.name), |launching| launching.form);
        let edits = command::edits(&told.words, form, dialect.loader, format.keys.as_ref(), told.source);
        diagnostics.extend(edits.problems.iter().cloned());
        if let Data::Map(map) = &mut root.data {
            if dialect.name == dialect::axolotl::DIALECT.name {
                diagnostics.extend(edits.kept_out(map, told.source));
            }
            edits.apply(map, pages.shift());
        }
    }
    let composed = interpolate::fill_in(&mut root, dialect.loader);
    diagnostics.extend(interpolate::told(pages, &composed));
    let Some(map) = root.map() else {
        return (None, diagnostics);
    };
    let flat = (dialect.name == dialect::swift_megatron::DIALECT.name)
        .then(|| dialect::swift_megatron::flattened(map))
        .flatten();
    let mut run = Run::new(dialect, pages, flat.as_ref().unwrap_or(map));
    if let (Some(launching), Some(told)) = (launching, &told) {
        launch::told(&mut run, launching, told.source);
    }
    if let Some(known) = &format.keys {
        keys::check(&mut run, known);
    }
    (format.read)(&mut run, launch);
    diagnostics.extend(screen::screen(pages, &root, composed));
    diagnostics.extend(run.diagnostics);
    (Some(run.facts), diagnostics)
}

/// The mapping that a file is, as a node; `None` when it is none, which is then reported.
fn mapping_of(source: SourceId, sources: &Sources) -> (Option<Node>, Vec<Diagnostic>) {
    let file = sources.get(source);
    let text = file.text();
    if text.len() > MAX_BYTES {
        return (None, vec![too_large(source, file)]);
    }
    if let Some(control) = screen::control(source, text) {
        return (None, vec![control]);
    }
    let parsed = yaml::parse(source, file);
    let mut diagnostics = parsed.problems;
    diagnostics.extend(screen::hidden_anywhere(source, text, parsed.root.is_none()));
    let Some(root) = parsed.root else {
        if diagnostics.is_empty() {
            diagnostics.push(empty(source));
        }
        return (None, diagnostics);
    };
    if root.map().is_none_or(|map| map.entries.is_empty()) {
        diagnostics.push(no_mapping(source, file, &root));
        return (None, diagnostics);
    }
    (Some(root), diagnostics)
}

fn too_large(source: SourceId, file: &SourceFile) -> Diagnostic {
    let place = Place {
        source,
        span: Span::new(0, 0),
    };
    let message = format!(
        "{} has {} bytes; a run file has at most {MAX_BYTES}",
        file.name(),
        file.text().len()
    );
    Diagnostic::new(Code::TooLarge, message)
        .at(place, "")
        .help("check that this is the file you meant")
}

fn empty(source: SourceId) -> Diagnostic {
    let span = Span::new(0, 0);
    Diagnostic::new(Code::NotARun, "this file holds nothing but comments and blanks")
        .at(Place { source, span }, "")
        .help("check that this is the file you meant, and that it was written completely")
}

fn no_mapping(source: SourceId, file: &SourceFile, root: &Node) -> Diagnostic {
    let is_null = |scalar: &Scalar| scalar.is_plain && resolve(&scalar.text, Loader::PyYaml) == Value::Null;
    if root.scalar().is_some_and(is_null) {
        return empty(source);
    }
    let span = Span::new(root.span.start, root.span.start);
    let (message, help) = match &root.data {
        Data::List(_) => (
            "this file is a list, and `key: value` lines are looked for",
            "write what belongs to one run into a file of its own, without the list around it",
        ),
        Data::Map(_) => (
            "this file is an empty mapping, and `key: value` lines are looked for",
            "check that this is the file you meant, and that it was written completely",
        ),
        Data::Scalar(_) => (
            "this file is text, and `key: value` lines are looked for",
            instead_of(file.name()),
        ),
    };
    Diagnostic::new(Code::NotARun, message)
        .at(Place { source, span }, "here it starts")
        .help(help)
}

/// What to check in place of a file that is called so.
fn instead_of(name: &str) -> &'static str {
    const OTHERS: &[(&[&str], &str)] = &[
        (
            &[".csv", ".tsv", ".txt", ".md"],
            "check the run file that names this one",
        ),
        (
            &[".toml", ".ini", ".cfg"],
            "ftrisk reads YAML and JSON: write the settings as YAML, or its facts by name for --facts FILE",
        ),
        (
            &[".py", ".ipynb"],
            "ftrisk reads no Python: check the run file or the command that starts it, or write its facts by name for --facts FILE",
        ),
    ];
    let found = OTHERS
        .iter()
        .find(|(ends, _)| ends.iter().any(|end| name.ends_with(end)));
    found.map_or("check that this is the file you meant", |(_, help)| help)
}
