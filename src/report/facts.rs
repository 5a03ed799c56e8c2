//! What `ftrisk facts` prints: every fact of a run with its value and where it comes from.
//!
//! In JSON, fields are only ever added within a version; docs/reference/json.md describes them.

use std::fmt::Write as _;

use serde::Serialize;

use super::widths;
use crate::ir::{From, Known, KnownFact};
use crate::source::{Place, Sources};

/// The version of the JSON format.
pub const FACTS_VERSION: u32 = 1;

/// The facts as text.
pub fn text(known: &Known, sources: &Sources) -> String {
    let file = sources.get(known.source).name();
    let mut out = match known.framework {
        // No framework reads them: they are the facts.
        "facts" => format!("facts of {file}\n"),
        framework => format!("{file}, as {framework} reads it\n"),
    };
    for (title, is_named) in [("What a policy can name", true), ("What that is derived from", false)] {
        let rows: Vec<[String; 3]> = known
            .facts
            .iter()
            .filter(|fact| fact.is_named == is_named)
            .map(|fact| [fact.name.to_owned(), shown(fact), from(fact, sources)])
            .collect();
        let [name, value, _] = widths(&rows);
        let _ = write!(out, "\n{title}\n\n");
        for [fact, is, why] in &rows {
            let _ = writeln!(out, "  {fact:name$}  {is:value$}  {why}");
        }
    }
    out
}

/// At most so many characters of a value in its column; the JSON has them all.
const WIDEST: usize = 36;

fn shown(fact: &KnownFact) -> String {
    let text = match (&fact.from, fact.shown.as_str()) {
        (From::Absent(_), _) => "none",
        (From::Unknown { .. }, "") => "not known",
        (_, text) => text,
    };
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    let short: String = text.chars().take(WIDEST - 1).collect();
    format!("{short}…")
}

fn from(fact: &KnownFact, sources: &Sources) -> String {
    let key = fact.key.as_deref().unwrap_or(fact.name);
    match &fact.from {
        From::Given(place) => format!("{}, {key}", sources.locate(*place)),
        From::Flag(flag) => format!("by {flag}"),
        From::Default(rule) => format!("default: {rule}"),
        From::Assumed(place) => format!("assumed, {}", sources.locate(*place)),
        From::Derived { rule, missing } if missing.is_empty() => rule.clone(),
        From::Derived { rule, missing } => {
            // Where a number is missing, the rule in numbers says nothing that the rule in names does not.
            let names = rule.split_once(" = ").map_or(rule.as_str(), |(names, _)| names);
            let how: Vec<&str> = missing.iter().map(|(_, supply)| supply.as_str()).collect();
            format!("{names}; {}", how.join("; "))
        }
        From::Absent(why) => why.clone(),
        From::Unknown { why, supply, place } => {
            let at = place.map_or(String::new(), |place| format!("{}: ", sources.locate(place)));
            match supply.as_str() {
                "" => format!("{at}{why}"),
                supply => format!("{at}{why}; {supply}"),
            }
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    ftrisk: &'static str,
    file: &'a str,
    framework: &'static str,
    facts: Vec<FactJson<'a>>,
}

#[derive(Serialize)]
struct FactJson<'a> {
    name: &'static str,
    named: bool,
    /// The two ends of the values it may have, the same twice for one; an end that is not finite is null.
    values: Option<[Option<f64>; 2]>,
    words: &'a [String],
    shown: &'a str,
    key: Option<&'a str>,
    origin: &'static str,
    place: Option<PlaceJson<'a>>,
    why: Option<&'a str>,
    supply: Vec<&'a str>,
}

#[derive(Serialize)]
struct PlaceJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
}

/// The facts as one JSON document, with a line end.
pub fn json(known: &Known, sources: &Sources) -> String {
    let report = Report {
        version: FACTS_VERSION,
        ftrisk: env!("CARGO_PKG_VERSION"),
        file: sources.get(known.source).name(),
        framework: known.framework,
        facts: known.facts.iter().map(|fact| fact_json(fact, sources)).collect(),
    };
    let mut text = serde_json::to_string_pretty(&report).unwrap_or_default();
    text.push('\n');
    text
}

fn fact_json<'a>(fact: &'a KnownFact, sources: &'a Sources) -> FactJson<'a> {
    let at = |place: Place| {
        let file = sources.get(place.source);
        PlaceJson {
            file: file.name(),
            line: file.line(place.span.start),
            column: file.column(place.span.start),
        }
    };
    let (place, why, supply) = match &fact.from {
        From::Given(place) | From::Assumed(place) => (Some(at(*place)), None, Vec::new()),
        From::Flag(flag) => (None, Some(*flag), Vec::new()),
        From::Default(rule) | From::Absent(rule) => (None, Some(rule.as_str()), Vec::new()),
        From::Derived { rule, missing } => (
            None,
            Some(rule.as_str()),
            missing.iter().map(|(_, supply)| supply.as_str()).collect(),
        ),
        From::Unknown { why, supply, place } => (place.map(at), Some(why.as_str()), vec![supply.as_str()]),
    };
    FactJson {
        name: fact.name,
        named: fact.is_named,
        values: fact
            .values
            .map(|values| [values.lo(), values.hi()].map(|end| Some(end).filter(|end| end.is_finite()))),
        words: &fact.words,
        shown: &fact.shown,
        key: fact.key.as_deref(),
        origin: fact.from.word(),
        place,
        why,
        supply,
    }
}
