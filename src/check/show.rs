//! Numbers and defaults as reports show them.

use crate::diag::Diagnostic;
use crate::facts::{Input, Key, Origin};
use crate::ir::Limit;
use crate::quantity::{Dimension, Domain, Finite, Interval, Quantity, Unit};

/// Ends beyond these bound nothing that anybody would write: they are ends of the number format, not of a fact.
const TINY: f64 = 1e-12;
const HUGE: f64 = 1e12;

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

fn shown_set(values: Interval, integer: bool, show: impl Fn(f64) -> String) -> String {
    let has_start = integer || values.lo() > TINY;
    let has_end = values.hi() < HUGE;
    match (values.is_point(), has_start, has_end) {
        (true, ..) => show(values.lo()),
        (false, true, true) => format!("{} to {}", show(values.lo()), show(values.hi())),
        (false, true, false) => format!("{} or more", show(values.lo())),
        (false, false, true) => format!("up to {}", show(values.hi())),
        (false, false, false) => "not known".to_owned(),
    }
}

/// Values of a quantity in its unit, on their own side of the limit's bounds.
pub(super) fn value(quantity: Quantity, values: Interval, limit: Option<&Limit>) -> String {
    let percent = quantity.row().dimension == Dimension::Ratio;
    let show = |number: f64| {
        if number.is_infinite() {
            return "unlimited".to_owned();
        }
        let scale = if percent { 100.0 } else { 1.0 };
        let bounds = limit.and_then(|limit| {
            let ends = [limit.min.as_ref(), limit.max.as_ref()];
            ends.into_iter()
                .flatten()
                .map(|bound| bound.value.get())
                .min_by(|a, b| (a - number).abs().total_cmp(&(b - number).abs()))
        });
        let shown = Finite::decimal(number * scale);
        let bound = bounds.map_or(shown, |bound| Finite::decimal(bound * scale));
        // Counts are exact.
        if shown.fract() == 0.0 {
            Finite::shortest(shown)
        } else {
            Finite::beside(shown, bound)
        }
    };
    let text = shown_set(values, quantity.row().domain.integer, show);
    if percent { Unit::Percent.show(&text) } else { text }
}

/// Says which default applied to a key that is not written, at the place where the key would go.
pub(super) fn with_default(finding: Diagnostic, name: &str, key: &Key, origin: &Origin) -> Diagnostic {
    let Origin::Default { rule } = origin else {
        return finding;
    };
    let text = match key.name.as_deref() {
        Some(key) => format!("{key} is not written: {rule}"),
        None => format!("{name}: {rule}"),
    };
    match key.goes {
        Some(place) => finding.at(place, text),
        None => finding.note(text),
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
