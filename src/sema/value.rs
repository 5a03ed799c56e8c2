//! Numbers with units to numbers in a quantity's own measure.

use super::Lowering;
use crate::diag::{Code, Diagnostic, one_of};
use crate::ir::Bound;
use crate::quantity::{Dimension, Finite, Quantity, Unit};
use crate::source::Span;
use crate::syntax;

/// A bound with what its text said.
pub(super) struct Typed {
    pub(super) bound: Bound,
    pub(super) unit: Option<Unit>,
    pub(super) of_base: bool,
}

impl Lowering<'_> {
    /// A bound in the measure of its quantity.
    pub(super) fn bound(&mut self, quantity: Quantity, bound: &syntax::Bound, statement: Span) -> Option<Typed> {
        let unit = self.unit_of(&bound.value)?;
        let of_base = bound.of_base.is_some();
        if let Some(span) = bound.of_base {
            self.base_is_possible(quantity, span, bound, statement)?;
        }
        let dimension = if of_base {
            Dimension::Ratio
        } else {
            quantity.row().dimension
        };
        self.unit_fits(quantity, dimension, unit, bound, statement)?;
        let value = self.measured(&bound.value, unit)?;
        let digits = self.text.slice(bound.value.number.span).replace('_', "");
        let mut shown = unit.map_or(digits.clone(), |unit| unit.show(&digits));
        if of_base {
            shown.push_str(" of base");
        }
        Some(Typed {
            bound: Bound { value, shown },
            unit,
            of_base,
        })
    }

    /// The unit behind a number, if it is one.
    pub(super) fn unit_of(&mut self, value: &syntax::Value) -> Option<Option<Unit>> {
        let Some(word) = &value.unit else {
            return Some(None);
        };
        if let Some(unit) = Unit::from_word(&word.value) {
            return Some(Some(unit));
        }
        let known: Vec<String> = Unit::ALL.iter().map(|unit| format!("`{}`", unit.word())).collect();
        let meant = match word.value.to_lowercase().as_str() {
            "nat" | "nats/token" | "nats_per_token" => Some(Unit::Nats),
            "bit" | "bits/token" => Some(Unit::Bits),
            "update" | "steps" | "step" => Some(Unit::Updates),
            "pct" | "percent" => Some(Unit::Percent),
            _ => None,
        };
        let found = Diagnostic::new(Code::UnitMismatch, format!("`{}` is no unit", word.value))
            .at(self.place(word.span), "unknown unit");
        let number = self.text.slice(value.number.span).to_owned();
        self.report(match meant {
            Some(unit) => found.instead(unit.show(&number)),
            None => found.help(format!(
                "units are {}; everything else is a bare number",
                one_of(&known)
            )),
        });
        None
    }

    /// Whether the unit measures the quantity; names the text to write where it does not.
    fn unit_fits(
        &mut self,
        quantity: Quantity,
        dimension: Dimension,
        unit: Option<Unit>,
        bound: &syntax::Bound,
        statement: Span,
    ) -> Option<()> {
        if unit.is_none() && dimension == Dimension::Number
            || unit.is_some_and(|unit| unit.dimension() == Some(dimension))
        {
            return Some(());
        }
        let number = self.text.slice(bound.value.number.span).to_owned();
        let name = quantity.name();
        let (wanted, instead) = match dimension {
            Dimension::Number => ("a bare number: its name is its unit".to_owned(), number),
            Dimension::Information => {
                // A share of nothing has no size in nats; only the digits can be kept.
                let number = if unit == Some(Unit::Percent) {
                    "0.05".to_owned()
                } else {
                    number
                };
                (
                    "information: `nats` or `bits` per token".to_owned(),
                    Unit::Nats.show(&number),
                )
            }
            // `1.2 of base` is 120%: nobody means a fiftieth of it.
            Dimension::Ratio if bound.of_base.is_some() && bound.value.number.value.value.get() < 10.0 => {
                let share = Finite::decimal(bound.value.number.value.value.get() * 100.0);
                (String::new(), Unit::Percent.show(&Finite::shortest(share)))
            }
            Dimension::Ratio => (
                "a share: write it with `%`".to_owned(),
                percent(&bound.value.number.value),
            ),
        };
        let wanted = if bound.of_base.is_some() {
            "a share of the base's reading: write it with `%`".to_owned()
        } else {
            wanted
        };
        let (code, message, place, label) = match (&bound.value.unit, unit) {
            (Some(word), Some(_)) => (
                Code::UnitMismatch,
                format!("`{}` does not measure {name}", word.value),
                word.span,
                format!("{name} is {wanted}"),
            ),
            _ => (
                Code::UnitMissing,
                format!("{name} needs a unit here"),
                bound.value.number.span,
                format!("{name} is {wanted}"),
            ),
        };
        self.report(
            Diagnostic::new(code, message)
                .at(self.place(place), label)
                .instead(self.rewritten(statement, bound.value.span, &instead)),
        );
        None
    }

    /// The number in the dimension's own measure. A percent sign is an exact shift of the decimal, not a division.
    pub(super) fn measured(&mut self, value: &syntax::Value, unit: Option<Unit>) -> Option<Finite> {
        let number = &value.number.value;
        let measured = match unit {
            Some(Unit::Percent) => shifted(&number.digits).and_then(Finite::new),
            Some(unit) => Finite::new(number.value.get() * unit.scale()),
            None => Some(number.value),
        };
        if measured.is_none() {
            self.report(
                Diagnostic::new(Code::Number, "this number is not finite in its unit")
                    .at(self.place(value.span), "too large"),
            );
        }
        measured
    }

    fn base_is_possible(
        &mut self,
        quantity: Quantity,
        of_base: Span,
        bound: &syntax::Bound,
        statement: Span,
    ) -> Option<()> {
        let row = quantity.row();
        if row.base {
            return Some(());
        }
        let why = if row.name.starts_with("drift.") {
            "the base's own drift is 0, and no share of 0 is a budget".to_owned()
        } else if row.moment.is_before_training() {
            format!("{} is known before training; a base has none", row.name)
        } else {
            format!("{} has no reading on the base", row.name)
        };
        let number = self.text.slice(bound.value.number.span).to_owned();
        let unit = match row.dimension {
            Dimension::Number => number,
            Dimension::Ratio => Unit::Percent.show(&number),
            Dimension::Information => "0.05 nats".to_owned(),
        };
        let found = Diagnostic::new(Code::Base, format!("`of base` means nothing for {}", row.name))
            .at(self.place(of_base), why)
            .help("give the bound itself");
        self.report(if row.moment.is_before_training() {
            // A share of nothing says nothing about the number that was meant.
            found
        } else {
            found
                .help("give the bound itself, for example")
                .instead(self.rewritten(statement, bound.span, &unit))
        });
        None
    }

    /// A whole number of at least one, without a unit or with this one.
    pub(super) fn count(&mut self, number: &syntax::Number, span: Span, of: &str) -> Option<u64> {
        let value = number.value.get();
        if value >= 1.0 && value.fract() == 0.0 && value <= 1e15 {
            return Some(value as u64);
        }
        self.report(
            Diagnostic::new(Code::Domain, format!("{of} is a whole number, at least 1"))
                .at(self.place(span), "not one"),
        );
        None
    }
}

/// The f64 nearest to the decimal, two places further right.
fn shifted(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, exponent) = digits.split_at_checked(at)?;
            (mantissa, exponent.get(1..)?.parse::<i64>().ok()?)
        }
        None => (digits, 0),
    };
    format!("{mantissa}e{}", exponent.checked_sub(2)?).parse().ok()
}

/// A bare number as the share it was probably meant to be: `0.2` is 20%, `20` is 20%.
pub(super) fn percent(number: &syntax::Number) -> String {
    let value = number.value.get();
    let share = if value.abs() <= 1.0 { value * 100.0 } else { value };
    // Two decimals are all that a suggestion needs; `0.07 * 100` must not read 7.000000000000001%.
    Unit::Percent.show(&Finite::shortest((share * 1e6).round() / 1e6))
}

#[cfg(test)]
mod tests {
    use super::shifted;

    #[test]
    fn percent_is_an_exact_shift() {
        for (digits, value) in [
            ("20", 0.2),
            ("0.1", 0.001),
            ("84.9", 0.849),
            ("5e1", 0.5),
            ("7", 0.07),
            ("1e-3", 1e-5),
        ] {
            assert_eq!(shifted(digits), Some(value), "{digits}");
        }
        // 0.29 * 100 is not 29, and 29 / 100 happens to be right; 0.57 shows why neither is the rule.
        assert_ne!(shifted("0.57"), Some(0.57 * 0.01));
        assert_eq!(shifted("0.57"), Some(0.0057));
    }
}
