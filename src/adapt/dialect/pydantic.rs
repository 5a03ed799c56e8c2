//! Values as pydantic's lax mode makes them of what PyYAML has read.
//!
//! PyYAML reads `1e-4` as text, and pydantic makes a number of it where its field is one: such a value does no harm.
//! Read against pydantic 2.13.

use crate::adapt::reader::Run;
use crate::adapt::said::{Said, unknown};
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::table::{Ask, Row, Takes};
use crate::adapt::tree::{Data, Scalar};
use crate::diag::{Code, Diagnostic};

/// The number under a key.
pub(super) fn number(run: &mut Run<'_>, ask: &Ask) -> Said<f64> {
    if let Some(entry) = run.entry(ask.key)
        && !entry.is_repeated
        && let Some(value) = entry.value.scalar().and_then(|scalar| converted(scalar, ask.takes))
        && ask.domain.contains(value)
    {
        return Said::Value(value, run.place(entry.value.span));
    }
    run.number(ask)
}

/// The number that pydantic makes of a scalar which is none yet, or not of the kind that is asked for.
fn converted(scalar: &Scalar, takes: Takes) -> Option<f64> {
    let text = scalar.text.trim();
    let value = match resolve(text, Loader::PyYaml) {
        Value::Float(value) if scalar.is_plain => value,
        Value::Text => text.parse().ok()?,
        _ if !scalar.is_plain => text.parse().ok()?,
        _ => return None,
    };
    let is_whole = value.fract() == 0.0 && !text.contains(['e', 'E']);
    (value.is_finite() && (takes == Takes::Real || is_whole)).then_some(value)
}

/// Sets the facts of a table.
pub(super) fn numbers(run: &mut Run<'_>, rows: &[Row]) {
    for row in rows {
        let said = number(run, &row.ask());
        run.set(row, said);
    }
}

/// The yes or no under a key.
pub(super) fn switch(run: &mut Run<'_>, key: &str) -> Said<bool> {
    if let Some(entry) = run.entry(key)
        && !entry.is_repeated
        && let Some(scalar) = entry.value.scalar()
    {
        let place = run.place(entry.value.span);
        match scalar.text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => return Said::Value(true, place),
            "false" | "f" | "no" | "n" | "off" | "0" => return Said::Value(false, place),
            _ => {}
        }
    }
    run.switch(key)
}

/// The word under a key; `null` is no word.
pub(super) fn word(run: &mut Run<'_>, key: &str, spellings: &[(&'static str, &'static str)]) -> Said<&'static str> {
    if is_null(run, key) {
        return Said::Nothing;
    }
    run.word(key, spellings)
}

/// Whether a key is written with `null` as its value.
pub(super) fn is_null(run: &Run<'_>, key: &str) -> bool {
    let scalar = run.entry(key).and_then(|entry| entry.value.scalar());
    scalar.is_some_and(|scalar| scalar.is_plain && resolve(&scalar.text, Loader::PyYaml) == Value::Null)
}

/// Whether Python takes what PyYAML has read for true, as checks before the conversion do.
pub(super) fn is_true(run: &Run<'_>, key: &str) -> bool {
    run.entry(key).is_some_and(|entry| match &entry.value.data {
        Data::List(items) => !items.is_empty(),
        Data::Map(map) => !map.entries.is_empty(),
        Data::Scalar(scalar) if !scalar.is_plain => !scalar.text.is_empty(),
        Data::Scalar(scalar) => match resolve(&scalar.text, Loader::PyYaml) {
            Value::Null => false,
            Value::Bool(value) => value,
            Value::Int(value) => value != 0,
            Value::Float(value) => value != 0.0,
            Value::Text => true,
        },
    })
}

/// Reports a key that is missing or null where the schema needs a value.
pub(super) fn needed<T>(run: &mut Run<'_>, key: &'static str, why: &str) -> Said<T> {
    let place = match run.entry(key) {
        Some(entry) => Some(run.place(entry.value.span)),
        None => run.key(key).goes,
    };
    let Some(place) = place else {
        return Said::Unclear(unknown(
            format!("`{key}` is not written"),
            format!("write `{key}`"),
            None,
        ));
    };
    let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` needs a value"))
        .at(place, why)
        .help(format!("write `{key}`"));
    run.refuse(key, place, diagnostic)
}
