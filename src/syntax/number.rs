//! Numbers as the language reads them, and how a mistaken one should have been written.

use super::ast::Number;
use super::line::shortened;

/// What is wrong with a number.
pub(super) struct NumberMistake {
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) instead: Option<String>,
}

/// Reads a number, or says how it should have been written.
pub(super) fn number(text: &str) -> Result<Number, NumberMistake> {
    let mistake = |message: String, label, instead: Option<String>| NumberMistake {
        message,
        label,
        // Only a number that would be accepted is offered. This asks the number itself, not this function: a text may
        // hold a million mistakes.
        instead: instead.filter(|instead| {
            let first = instead
                .split(' ')
                .next()
                .unwrap_or("")
                .trim_start_matches('-')
                .replace('_', "");
            first.starts_with(|c: char| c.is_ascii_digit())
                && first.ends_with(|c: char| c.is_ascii_digit())
                && Number::from_digits(&first).is_some()
        }),
    };
    let shown = shortened(text);
    let digits = text.replace('_', "");
    if let Some(rest) = text.strip_prefix('+') {
        let message = "a number has no plus sign".to_owned();
        return Err(mistake(message, "a sign", Some(rest.to_owned())));
    }
    if let Some(rest) = digits.strip_prefix('.') {
        let message = format!("`{shown}` does not begin with a digit");
        return Err(mistake(message, "a digit is missing", Some(format!("0.{rest}"))));
    }
    if let Some(whole) = digits.strip_suffix('.') {
        let whole = whole.trim_end_matches('.');
        let message = format!("`{shown}` ends in a dot");
        return Err(mistake(message, "no digit after the dot", Some(whole.to_owned())));
    }
    let plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain && !digits.contains(".e") && !digits.contains(".E") && text.matches("..").count() == 0 {
        return Number::from_digits(&digits).ok_or_else(|| {
            let message = if digits.parse::<f64>().is_ok() {
                format!("`{shown}` is larger than any number a run can have")
            } else {
                format!("`{shown}` is not a number")
            };
            mistake(message, "write the number that is meant", None)
        });
    }
    if let Some((from, to)) = text.split_once("..") {
        let message = "a range is written with `to`".to_owned();
        return Err(mistake(
            message,
            "two numbers",
            Some(format!("{from} to {}", to.trim_start_matches(['.', '=']))),
        ));
    }
    let split = digits
        .find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'))
        .unwrap_or(digits.len());
    let (head, tail) = digits.split_at_checked(split).unwrap_or((&digits, ""));
    let factor = match tail {
        "k" | "K" => Some("000"),
        "m" | "M" => Some("000000"),
        _ => None,
    };
    if let Some(zeros) = factor.filter(|_| head.bytes().all(|b| b.is_ascii_digit())) {
        let message = format!("`{shown}` has a multiplier; numbers are written out");
        return Err(mistake(message, "a multiplier", Some(format!("{head}{zeros}"))));
    }
    let message = format!("`{shown}` is not a number");
    let apart = Number::from_digits(head).map(|_| format!("{head} {tail}"));
    Err(mistake(message, "a number and a word run together", apart))
}
