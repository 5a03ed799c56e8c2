//! Numbers and defaults as reports show them.

use crate::diag::Diagnostic;
use crate::facts::{Input, Key, Origin, Stands};
use crate::ir::{HUGE, TINY, shown_set};
use crate::quantity::{Domain, Finite, Interval};

pub(super) use crate::ir::shown_value as value;

/// A set of plain numbers: `8`, `1 to 8`, `4 or more`, `up to 2e-4`.
pub(super) fn set(domain: Domain, values: Interval) -> String {
    // An end that was found by trying f64s is shown as the decimal it stands for.
    shown_set(values, domain.integer, |end| Finite::shortest(Finite::decimal(end)))
}

/// Values of an input: a switch as a word.
pub(super) fn input(input: Input, values: Interval) -> String {
    match input {
        Input::Packs | Input::RankStabilised if values.is_point() => {
            (if values.lo() > 0.0 { "yes" } else { "no" }).to_owned()
        }
        _ => set(input.domain(), values),
    }
}

/// Says which default applied to a key that is not written, at the place where the key would go, or to one that is null.
pub(super) fn with_default(finding: Diagnostic, name: &str, key: &Key, origin: &Origin) -> Diagnostic {
    let Origin::Default { rule } = origin else {
        return finding;
    };
    let text = match (key.name.as_deref(), key.stands) {
        (Some(key), Stands::Nothing) => format!("{key} is not written: {rule}"),
        (_, Stands::Null(_)) => key.explains(rule),
        _ => format!("{name}: {rule}"),
    };
    match (key.goes, key.stands) {
        (Some(place), _) | (None, Stands::Null(place)) => finding.at(place, text),
        _ => finding.note(text),
    }
}

/// A number as every YAML loader reads it: some take `2e-4` for text.
pub(super) fn portable(value: Finite) -> String {
    let text = value.to_string();
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}

/// Whether a number is one that somebody would write into a run file.
pub(super) fn is_writable(value: Finite) -> bool {
    value == Finite::ZERO || (TINY..HUGE).contains(&value.get())
}
