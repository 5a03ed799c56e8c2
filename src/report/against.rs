//! A run beside its parent, as people read it.

use std::fmt::Write as _;

use super::widths;
use crate::ir::{Change, Comparable, Comparison, How, Side, another};
use crate::quantity::Lever;
use crate::source::Sources;

/// At most so many characters of a value in its column; the JSON has them all.
const WIDEST: usize = 40;

/// What differs, as a block of lines that ends in an empty one.
pub(super) fn text(against: &Comparison, sources: &Sources) -> String {
    let mut out = format!(
        "against {}: {}\n",
        sources.get(against.parent).name(),
        headline(against)
    );
    for apart in &against.apart {
        let perhaps = if apart.is_known { "" } else { ", not known" };
        let _ = writeln!(
            out,
            "  {}: {} → {}{perhaps}",
            apart.category.name(),
            short(&apart.old),
            short(&apart.new)
        );
    }
    let rows = |is_written: bool| -> Vec<[String; 5]> {
        let changes = against
            .changes
            .iter()
            .filter(|change| change.is_written() == is_written);
        changes.map(row).collect()
    };
    let (written, moved) = (rows(true), rows(false));
    let all: Vec<[String; 5]> = written.iter().chain(&moved).cloned().collect();
    let [a, b, c, d, _] = widths(&all);
    for (title, rows) in [("", written), ("not written, but moved:\n", moved)] {
        if !rows.is_empty() {
            out.push_str(title);
        }
        for [lever, name, sides, factor, why] in rows {
            let line = format!("  {lever:a$}  {name:b$}  {sides:c$}  {factor:d$}  {why}");
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out.push('\n');
    out
}

/// `2 of 4 levers changed, step and reach`
fn headline(against: &Comparison) -> String {
    let apart = |is_known: bool| {
        let mut what: Vec<&str> = Vec::new();
        for apart in against.apart.iter().filter(|apart| apart.is_known == is_known) {
            what.push(another(apart.category));
        }
        what.join(", ")
    };
    match against.comparable() {
        Comparable::No => return format!("not comparable, {}", apart(true)),
        Comparable::Unknown => return format!("not known whether comparable, perhaps {}", apart(false)),
        Comparable::Yes => {}
    }
    let (changed, unsure) = (against.changed(), against.unsure());
    let perhaps = match unsure.as_slice() {
        [] => String::new(),
        levers => format!("; perhaps also {}", words(levers)),
    };
    match changed.as_slice() {
        [] if against.changes.is_empty() => "nothing changed".to_owned(),
        [] => format!("no lever changed{perhaps}"),
        levers => format!("{} of 4 levers changed, {}{perhaps}", levers.len(), words(levers)),
    }
}

fn words(levers: &[Lever]) -> String {
    let words: Vec<&str> = levers.iter().map(|lever| lever.word()).collect();
    words.join(", ")
}

fn row(change: &Change) -> [String; 5] {
    let why = match &change.how {
        How::Written => String::new(),
        How::Unsure { why, .. } => format!("not known: {why}"),
        How::Moved { why } => why.clone(),
    };
    [
        lever(change).to_owned(),
        change.called().to_owned(),
        format!(
            "{} → {}",
            side(&change.old, change.is_written()),
            side(&change.new, change.is_written())
        ),
        change.factor.map_or_else(String::new, |factor| format!("×{factor}")),
        why,
    ]
}

fn lever(change: &Change) -> &'static str {
    change.lever.map_or("beside", Lever::word)
}

fn side(side: &Side, is_written: bool) -> String {
    let shown = short(&side.shown);
    // What is not written on one side of a written change is that side's default.
    if is_written && !side.is_written && side.shown != "none" {
        format!("{shown} (default)")
    } else {
        shown
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    let start: String = text.chars().take(WIDEST - 1).collect();
    format!("{start}…")
}
