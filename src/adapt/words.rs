//! What is said about a value that the framework cannot use, and what to write instead.

use super::scalar::{Loader, Value, portable, resolve};
use super::table::{Ask, Dialect, Takes};
use crate::diag::{Code, Diagnostic, closest, one_of};
use crate::quantity::{Domain, Finite};
use crate::source::Place;

/// What is wrong with a value where a number is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Problem {
    /// A list or a mapping.
    Several,
    /// An explicit null.
    Null,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// NaN or infinite.
    NotFinite,
    /// A whole number with a decimal point.
    Point,
    /// This number, which is outside of what it can be.
    Outside(f64),
}

impl Problem {
    /// The number that a value is, or why it is none of this domain; no value is a list or a mapping.
    pub(super) fn or_number(value: Option<Value>, takes: Takes, domain: Domain) -> Result<f64, Problem> {
        match value {
            None => Err(Problem::Several),
            Some(Value::Null) => Err(Problem::Null),
            Some(Value::Bool(_)) => Err(Problem::Bool),
            Some(Value::Text) => Err(Problem::Text),
            Some(Value::Int(number)) if domain.contains(number as f64) => Ok(number as f64),
            Some(Value::Int(number)) => Err(Problem::Outside(number as f64)),
            Some(Value::Float(number)) if takes == Takes::Real && domain.contains(number) => Ok(number),
            Some(Value::Float(number)) if !number.is_finite() => Err(Problem::NotFinite),
            Some(Value::Float(number)) if domain.contains(number) => Err(Problem::Point),
            Some(Value::Float(number)) => Err(Problem::Outside(number)),
        }
    }

    fn label(self, domain: Domain) -> String {
        let is_low = |value: f64| value < domain.interval.lo();
        match self {
            Problem::Several => "these are several".into(),
            Problem::Null => "`null` is passed on, and the trainer fails on it".into(),
            Problem::Bool => "this is true or false".into(),
            Problem::Text => "this is text".into(),
            Problem::NotFinite => "this is not finite".into(),
            Problem::Point => "the point makes it no whole number".into(),
            Problem::Outside(value) if is_low(value) => "this is too small".into(),
            Problem::Outside(value) if value > domain.interval.hi() => "this is too large".into(),
            Problem::Outside(_) => "this is no whole number".into(),
        }
    }
}

/// The words of a list between commas.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A text as a message can show it: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let short: String = line.chars().take(40).collect();
    if short.len() < text.trim_end().len() {
        format!("{short}…")
    } else {
        short
    }
}

/// A number as a run file writes it, so that every loader reads it as one.
pub(super) fn written(value: f64, takes: Takes) -> String {
    let text = Finite::shortest(value);
    match takes {
        Takes::Real => portable(&text).unwrap_or(text),
        Takes::Whole => text,
    }
}

fn phrase(domain: Domain) -> String {
    let (lo, hi) = (domain.interval.lo(), domain.interval.hi());
    match (domain.integer, lo, hi) {
        (false, 0.0, 1.0) => "a number from 0 to 1".into(),
        (false, 0.0, _) => "a number of at least 0".into(),
        (false, lo, _) if lo > 0.0 => "a number above 0".into(),
        (false, ..) => "a number".into(),
        (true, lo, hi) if hi < 100.0 => format!("a whole number from {lo} to {hi}"),
        (true, lo, _) if lo >= 0.0 => format!("a whole number of at least {lo}"),
        (true, ..) => "a whole number".into(),
    }
}

/// A number that cannot be used.
pub(super) fn number(dialect: &Dialect, ask: &Ask, place: Place, text: &str, problem: Problem) -> Diagnostic {
    let phrase = phrase(ask.domain);
    let diagnostic =
        Diagnostic::new(Code::ValueType, format!("`{}` takes {phrase}", ask.key)).at(place, problem.label(ask.domain));
    if let Some(meant) = meant(ask, text) {
        let help = match problem {
            Problem::Text => "write it as a number",
            _ => "write",
        };
        return diagnostic.help(help).instead(meant);
    }
    match (problem, ask.usual) {
        (Problem::Several, _) => diagnostic.help(format!("ftrisk judges one run a file; write {phrase}")),
        (_, Some(usual)) => diagnostic
            .help(format!("write {phrase}, such as {}", dialect.default))
            .instead(written(usual, ask.takes)),
        (_, None) => diagnostic.help(format!("write {phrase}, or leave it out")),
    }
}

/// The number that somebody meant who wrote it in quotes, with a point too many or with separators.
fn meant(ask: &Ask, text: &str) -> Option<String> {
    let plain = text.trim().replace([',', ' '], "");
    let value = match resolve(&plain, Loader::OmegaConf) {
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        _ => return None,
    };
    let is_usable = value.is_finite() && ask.domain.contains(value);
    is_usable.then(|| match ask.takes {
        Takes::Real => portable(&plain).unwrap_or_else(|| written(value, Takes::Real)),
        Takes::Whole => written(value, Takes::Whole),
    })
}

/// A word that the framework does not know.
pub(super) fn word(
    dialect: &Dialect,
    key: &str,
    place: Place,
    text: &str,
    spellings: &[(&'static str, &'static str)],
) -> Diagnostic {
    let known: Vec<&str> = spellings.iter().map(|(theirs, _)| *theirs).collect();
    let bare = text.trim_matches(['"', '\'']).to_lowercase();
    let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` cannot be `{}`", shown(text)))
        .at(place, format!("{} does not know it", dialect.framework))
        .note(format!("it takes {}", some_of(&known)));
    let is_no = matches!(bare.as_str(), "no" | "off" | "false") && known.contains(&"no");
    let meant = near(&bare, known.iter().copied()).or_else(|| beginning(&bare, &known));
    match meant {
        // Without quotes `no` is false to the loader.
        _ if is_no => diagnostic.help("quote it").instead("\"no\""),
        Some(meant) => diagnostic.instead(meant),
        None => diagnostic.help(format!("write one of them, or leave it out for {}", dialect.default)),
    }
}

/// `a, b or c`, and how many more when there are many.
fn some_of(known: &[&str]) -> String {
    const SHOWN: usize = 12;
    match known.get(..SHOWN) {
        Some(first) if known.len() > SHOWN + 1 => {
            format!("{} and {} more", first.join(", "), known.len() - SHOWN)
        }
        _ => one_of(known),
    }
}

/// A word that begins as the text does, up to its last underscore: `adamw_torch` for `adamw` and for `adamw_hf`.
fn beginning<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let stem = text.rsplit_once('_').map_or(text, |(stem, _)| stem);
    let begins = |word: &&&str| stem.len() > 2 && word.starts_with(stem);
    known.iter().find(begins).copied()
}

/// The closest of many words, unless the text is too long to be a misspelled one.
pub(super) fn near<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    (text.len() <= 64).then(|| closest(text, known)).flatten()
}

/// A yes or no that is neither.
pub(super) fn switch(key: &str, place: Place, text: &str) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` takes true or false"));
    match text.to_ascii_lowercase().as_str() {
        meant @ ("true" | "false") => diagnostic
            .at(place, "text, and any text counts as true")
            .help("write it without quotes")
            .instead(meant),
        _ => diagnostic.at(place, "this is neither").help("write one of them"),
    }
}

/// A text that is none; `text` is what stands there, if it is one thing.
pub(super) fn text(key: &str, place: Place, text: Option<&str>) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` takes text"));
    match text {
        Some(text) if text.len() <= 64 && !text.contains(['"', '\\', '\n']) => diagnostic
            .at(place, "the loader reads this as something else")
            .help("quote it")
            .instead(format!("\"{text}\"")),
        _ => diagnostic.at(place, "these are several").help("write one text"),
    }
}
