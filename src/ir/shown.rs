//! Numbers as reports show them.

use super::Limit;
use crate::quantity::{Dimension, Finite, Interval, Quantity, Unit};

/// Ends beyond these bound nothing that anybody would write: they are ends of the number format, not of a fact.
pub(crate) const TINY: f64 = 1e-12;
pub(crate) const HUGE: f64 = 1e12;

/// A set of numbers: `8`, `1 to 8`, `4 or more`, `up to 2e-4`.
pub(crate) fn shown_set(values: Interval, integer: bool, show: impl Fn(f64) -> String) -> String {
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
pub(crate) fn shown_value(quantity: Quantity, values: Interval, limit: Option<&Limit>) -> String {
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
