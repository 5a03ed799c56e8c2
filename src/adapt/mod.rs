//! Run files become facts.
//!
//! One file a dialect, each a table of keys with the facts they set and the framework's defaults. Knows how frameworks
//! read their files; knows nothing of limits and judges nothing. It never fails on a file: what cannot be read is said
//! in diagnostics, and a file that is no training run has no facts.

mod detect;
mod dialect;
mod format;
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
mod tree;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use crate::diag::{Code, Diagnostic, sort};
use crate::facts::Facts;
use crate::source::{Place, SourceFile, SourceId, Sources, Span};
use detect::Kind;
use pages::Pages;
use reader::Run;

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

/// What a run file says.
#[derive(Debug)]
pub struct Read {
    /// What is known of the run; `None` when the file is no run that can be read.
    pub facts: Option<Facts>,
    /// What is wrong with the file, in the order of its lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a run file.
pub fn read(source: SourceId, sources: &Sources, launch: Launch) -> Read {
    let (facts, mut diagnostics) = facts_of(source, sources, launch);
    keep_some(&mut diagnostics);
    sort(&mut diagnostics);
    Read { facts, diagnostics }
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

fn facts_of(source: SourceId, sources: &Sources, launch: Launch) -> (Option<Facts>, Vec<Diagnostic>) {
    let file = sources.get(source);
    let text = file.text();
    if text.len() > MAX_BYTES {
        return (None, vec![too_large(source, file)]);
    }
    let parsed = yaml::parse(source, file);
    let mut diagnostics = parsed.problems;
    diagnostics.extend(screen::hidden_anywhere(source, text, parsed.root.is_none()));
    let Some(mut root) = parsed.root else {
        if diagnostics.is_empty() {
            diagnostics.push(empty(source));
        }
        return (None, diagnostics);
    };
    let Some(map) = root.map().filter(|map| !map.entries.is_empty()) else {
        diagnostics.push(no_mapping(Place {
            source,
            span: root.span,
        }));
        return (None, diagnostics);
    };
    let named = launch
        .framework
        .and_then(|name| dialect::ALL.iter().copied().find(|format| format.dialect.name == name));
    let format = match (named, detect::kind(map)) {
        (Some(format), _) | (None, Kind::Run(format)) => format,
        (None, other) => {
            diagnostics.push(detect::refusal(source, map, other));
            return (None, diagnostics);
        }
    };
    let pages = Pages::new(sources, source, None);
    let composed = interpolate::fill_in(&mut root, format.dialect.loader);
    diagnostics.extend(interpolate::told(pages, &composed));
    let Some(map) = root.map() else {
        return (None, diagnostics);
    };
    let mut run = Run::new(format.dialect, pages, map);
    if let Some(known) = &format.keys {
        keys::check(&mut run, known);
    }
    (format.read)(&mut run, launch);
    diagnostics.extend(screen::screen(pages, &root, composed));
    diagnostics.extend(run.diagnostics);
    (Some(run.facts), diagnostics)
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

fn no_mapping(place: Place) -> Diagnostic {
    let place = Place {
        span: Span::new(place.span.start, place.span.start),
        ..place
    };
    Diagnostic::new(Code::NotARun, "a run file is `key: value` lines, and this is none")
        .at(place, "here it starts")
        .help("check that this is the file you meant")
}
