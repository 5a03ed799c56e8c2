//! How a loader turns a plain scalar into a value.
//!
//! The same text is a number to one loader and text to another: `1e-4` is a float to OmegaConf and a string to PyYAML.
//! The rules were measured (PyYAML 6.0.3, OmegaConf 2.3 and 2.4); the table is in the tests below.

use std::borrow::Cow;

/// The library with which a framework reads its run files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loader {
    /// PyYAML with more spellings of floats, and without dates.
    OmegaConf,
    /// OmegaConf, where the framework also has it fill in references to other keys: `${output_dir}`.
    Interpolating,
    /// PyYAML with a second rule for floats after its own, which mlx-lm and LitGPT's jsonargparse share.
    MoreFloats,
    /// YAML 1.1.
    PyYaml,
    /// YAML 1.1, and what is text after it once more as a Python literal: `1e-8` is a number, `none` is nothing.
    PyYamlThenPython,
    /// YAML 1.1 whose values become words of a command line, each of which its argument's type reads again.
    Argparse,
    /// YAML 1.1 into a parser that knows the type of each key, and makes numbers and switches of texts.
    Typed,
    /// JSON.
    Json,
}

/// What a loader makes of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number; what does not fit is cut to the largest that does.
    Int(i128),
    /// Any other number, infinities and NaN included.
    Float(f64),
    /// Text: the scalar as it is written.
    Text,
}

/// What `loader` makes of a plain scalar.
pub(super) fn resolve(text: &str, loader: Loader) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        "none" | "None" if loader == Loader::PyYamlThenPython => Value::Null,
        _ => float(text, loader)
            .map(Value::Float)
            .or_else(|| integer(text).map(Value::Int))
            .unwrap_or(Value::Text),
    }
}

/// The word that PyYAML's value becomes on a command line; a word that never was YAML stays as it is.
pub(super) fn word_of(text: &str, is_plain: bool) -> Cow<'_, str> {
    if !is_plain {
        return Cow::Borrowed(text);
    }
    match resolve(text, Loader::PyYaml) {
        Value::Null => Cow::Borrowed("None"),
        Value::Bool(true) => Cow::Borrowed("True"),
        Value::Bool(false) => Cow::Borrowed("False"),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Float(_) | Value::Text => Cow::Borrowed(text),
    }
}

/// What Python's `int` and `float` make of a text, whichever of them takes it.
pub(super) fn number_of(word: &str) -> Value {
    let (negative, digits) = sign_of(word.trim());
    let groups = |digits: &str| {
        digits
            .split('_')
            .all(|group| !group.is_empty() && is_ascii_digits(group))
    };
    if groups(digits) {
        let size = number(digits, 10).unwrap_or(0);
        return Value::Int(if negative { -size } else { size });
    }
    let sign = if negative { -1.0 } else { 1.0 };
    match digits.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Value::Float(sign * f64::INFINITY),
        "nan" => return Value::Float(f64::NAN),
        _ => {}
    }
    let parts = digits.split(['.', 'e', 'E', '+', '-']);
    let is_spelled =
        parts.clone().all(|part| part.is_empty() || groups(part)) && parts.clone().any(|part| !part.is_empty());
    let value: Option<f64> = digits.replace('_', "").parse().ok().filter(|_| is_spelled);
    value.map_or(Value::Text, |value| Value::Float(sign * value))
}

/// What `string_to_bool` of transformers makes of a word.
pub(super) fn bool_of(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" | "t" | "y" | "1" => Some(true),
        "no" | "false" | "f" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn is_ascii_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

/// The same number in a spelling that every loader reads as a number: `1e-4` becomes `1.0e-4`.
pub(super) fn portable(text: &str) -> Option<String> {
    let text = text.trim().replace('_', "");
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text.as_str(), None),
    };
    let (sign, digits) = sign_of(mantissa);
    let digits = match digits.split_once('.') {
        None => format!("{digits}.0"),
        Some((whole, part)) => format!("{}.{}", or_zero(whole), or_zero(part)),
    };
    let exponent = match exponent {
        None => String::new(),
        Some(exponent) if exponent.starts_with(['-', '+']) => format!("e{exponent}"),
        Some(exponent) => format!("e+{exponent}"),
    };
    let written = format!("{}{digits}{exponent}", if sign { "-" } else { "" });
    let is_number = |loader| matches!(resolve(&written, loader), Value::Float(x) if x.is_finite());
    (is_number(Loader::PyYaml) && is_number(Loader::OmegaConf)).then_some(written)
}

fn or_zero(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
}

/// Whether there is a minus, and what follows the sign.
fn sign_of(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = sign_of(text);
    let size = if let Some(bits) = digits.strip_prefix("0b") {
        number(bits, 2)
    } else if let Some(hex) = digits.strip_prefix("0x") {
        number(hex, 16)
    } else if digits.contains(':') {
        sixties(digits)
    } else if let Some(octal) = digits.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        // PyYAML reads `0_` as 0.
        number(octal, 8).or_else(|| octal.chars().all(|c| c == '_').then_some(0))
    } else if digits.starts_with(|c: char| c.is_ascii_digit()) {
        number(digits, 10)
    } else {
        None
    }?;
    Some(if negative { -size } else { size })
}

/// Digits of a radix with underscores among them.
fn number(digits: &str, radix: u32) -> Option<i128> {
    let mut seen = false;
    let mut value = 0_i128;
    for c in digits.chars().filter(|c| *c != '_') {
        seen = true;
        value = value
            .saturating_mul(i128::from(radix))
            .saturating_add(i128::from(c.to_digit(radix)?));
    }
    seen.then_some(value)
}

/// `1:30` is 90.
fn sixties(digits: &str) -> Option<i128> {
    let mut parts = digits.split(':');
    let first = parts.next().filter(|first| !first.starts_with(['0', '_']))?;
    let mut value = number(first, 10)?;
    for part in parts {
        value = value.saturating_mul(60).saturating_add(i128::from(sixtieth(part)?));
    }
    Some(value)
}

fn sixtieth(part: &str) -> Option<u8> {
    let is_written = part.chars().all(|c| c.is_ascii_digit()) && matches!(part.len(), 1 | 2);
    part.parse().ok().filter(|value| is_written && *value < 60)
}

fn float(text: &str, loader: Loader) -> Option<f64> {
    let (negative, digits) = sign_of(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return (digits == text).then_some(f64::NAN),
        _ => {}
    }
    if digits.contains(':') {
        return float_of_sixties(digits).map(|value| sign * value);
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let is_spelled = match mantissa.split_once('.') {
        // A leading point takes no sign, and its exponent needs one, whoever reads it.
        Some(("", part)) => digits == text && starts_with_digit(part) && exponent.is_none_or(is_signed),
        Some((whole, part)) => {
            starts_with_digit(whole)
                && is_digits(part)
                && exponent.is_none_or(|exponent| is_signed(exponent) || reads_bare(whole, loader))
        }
        None => exponent.is_some() && reads_bare(mantissa, loader),
    };
    let exponent_is_digits = exponent.is_none_or(|exponent| {
        let (_, digits) = sign_of(exponent);
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
    });
    if !is_spelled || !exponent_is_digits {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// Whether the loader takes an exponent without a sign, or a mantissa without a point.
fn reads_bare(whole: &str, loader: Loader) -> bool {
    let is_grouped = whole
        .split('_')
        .all(|group| !group.is_empty() && group.chars().all(|c| c.is_ascii_digit()));
    match loader {
        Loader::PyYaml | Loader::Argparse | Loader::Typed => false,
        Loader::OmegaConf | Loader::Interpolating | Loader::PyYamlThenPython | Loader::Json => is_grouped,
        Loader::MoreFloats => starts_with_digit(whole),
    }
}

fn is_signed(exponent: &str) -> bool {
    exponent.starts_with(['-', '+'])
}

fn is_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || c == '_')
}

fn starts_with_digit(text: &str) -> bool {
    is_digits(text) && text.starts_with(|c: char| c.is_ascii_digit())
}

/// `1:30.5` is 90.5.
fn float_of_sixties(digits: &str) -> Option<f64> {
    let (rest, part) = digits.split_once('.').filter(|(_, part)| is_digits(part))?;
    let mut parts = rest.split(':');
    let first = parts.next().filter(|first| starts_with_digit(first))?;
    let mut value: f64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        value = value * 60.0 + f64::from(sixtieth(part)?);
    }
    let part: f64 = format!("0.{}", or_zero(&part.replace('_', ""))).parse().ok()?;
    Some(value + part)
}

#[cfg(test)]
mod tests {
    use super::Value::{Bool, Float, Int, Null, Text};
    use super::{Loader, Value, bool_of, number_of, portable, resolve, word_of};

    fn check(text: &str, py: Value, omega: Value) {
        assert_eq!(resolve(text, Loader::PyYaml), py, "PyYAML: {text}");
        assert_eq!(resolve(text, Loader::OmegaConf), omega, "OmegaConf: {text}");
    }

    #[test]
    fn both_loaders_agree() {
        for (text, value) in [
            ("1.0e-4", Float(1e-4)),
            ("1.e-5", Float(1e-5)),
            (".5e-3", Float(5e-4)),
            (".5e3", Text),
            ("no", Bool(false)),
            ("off", Bool(false)),
            ("yes", Bool(true)),
            ("On", Bool(true)),
            ("y", Text),
            ("TRUE", Bool(true)),
            ("1:30", Int(90)),
            ("1:30.5", Float(90.5)),
            ("190:20:30", Int(685_230)),
            ("0:0", Text),
            ("010", Int(8)),
            ("0o17", Text),
            ("08", Text),
            ("09.5", Float(9.5)),
            ("1_000", Int(1000)),
            ("1__0", Int(10)),
            ("_1", Text),
            ("None", Text),
            ("none", Text),
            ("null", Null),
            ("~", Null),
            ("", Null),
            ("0x1F", Int(31)),
            ("0b11", Int(3)),
            ("0x", Text),
            ("-5", Int(-5)),
            ("+5", Int(5)),
            ("00", Int(0)),
            ("0_", Int(0)),
            (".inf", Float(f64::INFINITY)),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("+.Inf", Float(f64::INFINITY)),
            ("inf", Text),
            ("nan", Text),
            ("1.", Float(1.0)),
            (".", Text),
            ("+", Text),
            (".5", Float(0.5)),
            ("5e", Text),
            ("2001-12-14", Text),
            ("1,000", Text),
            ("1.0e+4", Float(1e4)),
            ("1_e3", Text),
            ("1.2.3", Text),
            ("+.5", Text),
            ("-.5e-3", Text),
            ("._5", Text),
            (".e5", Text),
            ("1e-4_", Text),
            ("1e5.", Text),
            ("'1e-4'", Text),
            ("1_0.5", Float(10.5)),
        ] {
            check(text, value, value);
        }
        assert!(matches!(resolve(".nan", Loader::PyYaml), Float(x) if x.is_nan()));
        assert!(matches!(resolve(".NaN", Loader::OmegaConf), Float(x) if x.is_nan()));
    }

    #[test]
    fn only_omegaconf_reads_a_number() {
        for (text, value) in [
            ("1e-4", 1e-4),
            ("2E-5", 2e-5),
            ("1.0e4", 1e4),
            ("0.1e5", 1e4),
            ("1e+4", 1e4),
            ("12e03", 12e3),
            ("-1e-4", -1e-4),
            ("1e999", f64::INFINITY),
        ] {
            check(text, Text, Float(value));
        }
    }

    #[test]
    fn a_second_rule_for_floats_reads_what_omegaconf_reads_and_more() {
        for (text, value) in [("1e-4", 1e-4), ("2E-5", 2e-5), ("1.0e4", 1e4), ("1_e3", 1e3)] {
            assert_eq!(resolve(text, Loader::MoreFloats), Float(value), "{text}");
        }
        for (text, value) in [("010", Int(8)), ("no", Bool(false)), ("1e", Text), ("none", Text)] {
            assert_eq!(resolve(text, Loader::MoreFloats), value, "{text}");
        }
        assert_eq!(resolve("1_e3", Loader::Interpolating), Text);
    }

    #[test]
    fn a_word_of_a_command_is_read_by_the_type_of_its_argument() {
        for (word, value) in [
            ("8", Int(8)),
            ("-1", Int(-1)),
            (" 1_000 ", Int(1000)),
            ("1e-4", Float(1e-4)),
            (".5", Float(0.5)),
            ("5.", Float(5.0)),
            ("8.0", Float(8.0)),
            ("1_0.5", Float(10.5)),
            ("inf", Float(f64::INFINITY)),
            ("010", Int(10)),
            ("0x10", Text),
            ("1__0", Text),
            ("1e", Text),
            ("", Text),
            (".", Text),
            ("None", Text),
            ("_1", Text),
            ("1_e3", Text),
            ("1_.5", Text),
            ("much", Text),
        ] {
            assert_eq!(number_of(word), value, "{word}");
        }
        for (yaml, word) in [
            ("null", "None"),
            ("no", "False"),
            ("010", "8"),
            ("1e-4", "1e-4"),
            ("x", "x"),
        ] {
            assert_eq!(word_of(yaml, true), word);
            assert_eq!(word_of(yaml, false), yaml);
        }
        assert_eq!(
            [bool_of("Y"), bool_of("False"), bool_of("on")],
            [Some(true), Some(false), None]
        );
    }

    #[test]
    fn a_typed_parser_makes_switches_of_texts() {
        for (text, on) in [("Yes", Some(true)), ("f", Some(false)), ("on", None), ("", None)] {
            assert_eq!(bool_of(text), on, "{text}");
        }
        assert_eq!(resolve("1e-4", Loader::Typed), Text);
        assert_eq!(resolve("1e-4", Loader::Json), Float(1e-4));
    }

    #[test]
    fn a_huge_whole_number_is_cut() {
        let digits = "9".repeat(400);
        assert_eq!(resolve(&digits, Loader::OmegaConf), Int(i128::MAX));
        assert_eq!(resolve(&format!("-{digits}"), Loader::PyYaml), Int(-i128::MAX));
    }

    #[test]
    fn a_portable_spelling_is_a_number_to_everyone() {
        for (text, written) in [
            ("1e-4", "1.0e-4"),
            ("2E-5", "2.0e-5"),
            ("1.0e4", "1.0e+4"),
            ("1e4", "1.0e+4"),
            ("1.e4", "1.0e+4"),
            ("-1e-4", "-1.0e-4"),
            ("5", "5.0"),
        ] {
            assert_eq!(portable(text).as_deref(), Some(written), "{text}");
        }
        for text in ["1e999", "abc", "", ".nan", "1e", "0x10"] {
            assert_eq!(portable(text), None, "{text}");
        }
    }
}
