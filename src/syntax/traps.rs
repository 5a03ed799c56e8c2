//! Forms that are wrong but easily understood, and what to say about each.
//!
//! A line to write instead is only offered after the grammar has accepted it.

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};

use super::ast::Number;
use super::rules::{RiskParser, Rule};
use crate::diag::{Code, Diagnostic, closest, one_of};
use crate::source::{Place, SourceId, Span};

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

/// Where pest stopped.
pub(super) fn error_span(error: &Error<Rule>) -> Span {
    match error.location {
        InputLocation::Pos(at) => Span::new(at, at),
        InputLocation::Span((start, end)) => Span::new(start, end),
    }
}

/// One finding for a text that is no statement: `whole` from the beginning of the statement it belongs to, `junk` from
/// where understanding ended.
pub(super) fn explain(source: SourceId, text: &str, whole: Span, junk: Span, at_top: bool) -> Diagnostic {
    let line = first_line(text, whole);
    let rest = first_line(text, junk);
    let at = |span: Span| Place { source, span };
    let code = if rest.chars().any(is_full_width) {
        Code::HiddenText
    } else {
        Code::Syntax
    };
    for trap in TRAPS {
        let Some((found, fixed)) = (trap.find)(line, junk.start.saturating_sub(whole.start)) else {
            continue;
        };
        let place = at(Span::new(whole.start + found.start, whole.start + found.end));
        let mut finding = Diagnostic::new(code, trap.message).at(place, trap.label);
        finding.help = (!trap.help.is_empty()).then(|| trap.help.to_owned());
        finding.instead = fixed.and_then(|fixed| {
            // `lora.rank <= 16` is a limit without its verb, which the sign gives away.
            accepted(&fixed).or_else(|| accepted(&format!("{}{fixed}", trap.verb)))
        });
        return finding;
    }
    unexpected(source, text, whole, junk, rest, at_top)
}

/// The text up to the end of its first line, trailing space and comment taken off.
fn first_line(text: &str, span: Span) -> &str {
    let slice = text.get(span.start..span.end).unwrap_or("");
    let line = slice.lines().next().unwrap_or("");
    line.trim_end()
}

/// The line, if the grammar takes it, in one piece.
fn accepted(line: &str) -> Option<String> {
    let line = line.trim();
    // Nobody wrote such a line by hand, and trying repairs on it would take long.
    if line.len() > 400 {
        return None;
    }
    let pairs = RiskParser::parse(Rule::alone, line).ok()?;
    // An open block closes at the end of the text; a line that is offered closes its own.
    let closing = " }".repeat(line.matches('{').count().saturating_sub(line.matches('}').count()));
    // The grammar takes any number; only one that is read as such may be offered.
    pairs
        .flatten()
        .all(|pair| pair.as_rule() != Rule::number || number(pair.as_str()).is_ok())
        .then(|| format!("{line}{closing}"))
}

type Found = (Span, Option<String>);

/// A wrong form: how it is found in a line (whose understood part ends at an offset), and what is said about it.
struct Trap {
    find: fn(&str, usize) -> Option<Found>,
    message: &'static str,
    label: &'static str,
    help: &'static str,
    /// What the line may lack in front, with its blank.
    verb: &'static str,
}

const TRAPS: &[Trap] = &[
    Trap {
        find: full_width,
        message: "full-width punctuation looks like the ASCII sign, but is another character",
        label: "full-width",
        help: "switch the keyboard to half-width",
        verb: "",
    },
    Trap {
        find: |line, _| {
            replace(
                line,
                &["<=", "≤", "=<", "<"],
                if line.starts_with("assume") { "1 to" } else { "" },
            )
        },
        message: "a limit has no operator: `max` already says at most",
        label: "not needed",
        help: "",
        verb: "max ",
    },
    Trap {
        find: |line, _| replace(line, &[">=", "≥", "=>", ">"], ""),
        message: "a limit has no operator: `min` already says at least",
        label: "not needed",
        help: "",
        verb: "min ",
    },
    Trap {
        find: |line, _| replace(line, &["==", ":=", "=", ":"], " "),
        message: "the value follows the name without a sign",
        label: "not needed",
        help: "",
        verb: "max ",
    },
    Trap {
        find: |line, _| between_numbers(line, &["...", "..", "–", "—", "-"]),
        message: "a range is written with `to`",
        label: "write `to`",
        help: "",
        verb: "range ",
    },
    Trap {
        find: |line, _| replace(line, &["//"], "#"),
        message: "a comment begins with `#`",
        label: "write `#`",
        help: "",
        verb: "",
    },
    Trap {
        find: |line, _| replace(line, &["&&"], ","),
        message: "`,` says and",
        label: "write `,`",
        help: "",
        verb: "",
    },
    Trap {
        find: |line, _| replace(line, &["||"], "|"),
        message: "a single `|` says or",
        label: "write `|`",
        help: "",
        verb: "",
    },
    Trap {
        find: as_long_as,
        message: "a limit holds `until`, which names the other side",
        label: "say `until`",
        help: "",
        verb: "",
    },
    Trap {
        find: |line, from| replace_word(line, from, &["unless"], "until"),
        message: "the word is `until`",
        label: "say `until`",
        help: "",
        verb: "",
    },
    Trap {
        find: condition_behind,
        message: "conditions on the run stand before the line: `for … { … }`",
        label: "say `for`",
        help: "put the line into a block",
        verb: "",
    },
    Trap {
        find: |line, from| replace_word(line, from, &["or"], "|"),
        message: "`|` says or",
        label: "write `|`",
        help: "",
        verb: "",
    },
    Trap {
        find: |line, from| Some((replace_word(line, from, &["not", "except", "without"], "")?.0, None)),
        message: "there is no `not`: name what is accepted",
        label: "not a word of the language",
        help: "list the words that the run may have",
        verb: "",
    },
    Trap {
        find: |line, from| replace_word(line, from, &["otherwise"], "else"),
        message: "the word is `else`",
        label: "say `else`",
        help: "",
        verb: "",
    },
    Trap {
        find: |line, from| replace_word(line, from, &["percent"], "%"),
        message: "a share is written with `%`",
        label: "write `%`",
        help: "",
        verb: "",
    },
    Trap {
        find: open_quote,
        message: "this text in quotes does not end",
        label: "opened here",
        help: "end it on the same line with `\"`",
        verb: "",
    },
    Trap {
        find: single_quotes,
        message: "texts stand in double quotes",
        label: "write `\"`",
        help: "",
        verb: "",
    },
    Trap {
        find: upper_case,
        message: "the words of the language are lower case",
        label: "upper case",
        help: "",
        verb: "",
    },
    Trap {
        find: other_verb,
        message: "no statement begins with this word",
        label: "not a word of the language",
        help: "",
        verb: "",
    },
];

/// All of these signs, longest first, outside of quotes; the fix puts `with` in their place.
fn replace(line: &str, signs: &[&str], with: &str) -> Option<Found> {
    let (code, _) = split_comment(line);
    let mut first: Option<Span> = None;
    let mut fixed = String::new();
    let mut quoted = false;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        quoted ^= c == '"';
        let sign = signs.iter().find(|sign| !quoted && rest.starts_with(**sign));
        let step = sign.map_or(c.len_utf8(), |sign| sign.len());
        let at = code.len() - rest.len();
        let (taken, after) = rest.split_at_checked(step)?;
        match sign {
            Some(_) => {
                first = first.or(Some(Span::new(at, at + step)));
                fixed.push_str(with);
            }
            None => fixed.push_str(taken),
        }
        rest = after;
    }
    first.map(|first| (first, Some(tidy(&fixed))))
}

/// The first of these words behind what was understood.
fn replace_word(line: &str, from: usize, words: &[&str], with: &str) -> Option<Found> {
    let (code, _) = split_comment(line);
    for (at, word) in words_of(code) {
        if at + word.len() > from && words.contains(&word) {
            let span = Span::new(at, at + word.len());
            let (before, after) = (code.get(..at)?, code.get(span.end..)?);
            return Some((span, Some(tidy(&format!("{before}{with}{after}")))));
        }
    }
    None
}

/// A range sign with a number on both sides; a minus there is one too.
fn between_numbers(line: &str, signs: &[&str]) -> Option<Found> {
    let code = split_comment(line).0;
    let (at, sign) = signs.iter().find_map(|sign| {
        // The words on both sides are numbers through and through: `e-4` is an exponent, `Qwen3-4B` a name.
        let is_number =
            |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && number(word.trim_end_matches('%')).is_ok();
        let found = code.match_indices(sign).find(|(at, _)| {
            let before = code
                .get(..*at)
                .unwrap_or("")
                .split_whitespace()
                .next_back()
                .unwrap_or("");
            let after = code
                .get(at + sign.len()..)
                .unwrap_or("")
                .split_whitespace()
                .next()
                .unwrap_or("");
            is_number(before) && is_number(after)
        });
        found.map(|(at, _)| (at, *sign))
    })?;
    let (before, after) = (code.get(..at)?, code.get(at + sign.len()..)?);
    Some((
        Span::new(at, at + sign.len()),
        Some(tidy(&format!("{before} to {after}"))),
    ))
}

/// `while Q above v` is `until Q below v`.
fn as_long_as(line: &str, from: usize) -> Option<Found> {
    let (span, fixed) = replace_word(line, from, &["while"], "until")?;
    Some((
        span,
        fixed.map(|fixed| fixed.split(' ').map(other_side).collect::<Vec<&str>>().join(" ")),
    ))
}

fn other_side(word: &str) -> &str {
    match word {
        "below" => "above",
        "above" => "below",
        same => same,
    }
}

/// `max lora.rank 16 for method lora`: the condition stands before the line.
fn condition_behind(line: &str, from: usize) -> Option<Found> {
    let (span, _) = replace_word(line, from, &["when", "if", "where"], "for")
        .or_else(|| replace_word(line, from.max("for".len()), &["for"], "for"))?;
    let code = split_comment(line).0;
    let (before, after) = (code.get(..span.start)?.trim(), code.get(span.end..)?.trim());
    let fixed = if before.is_empty() {
        format!("for {after}")
    } else {
        format!("for {after} {{ {before} }}")
    };
    Some((span, Some(fixed)))
}

fn full_width(line: &str, _: usize) -> Option<Found> {
    let first = line.char_indices().find(|(_, c)| is_full_width(*c))?;
    let mut fixed = String::with_capacity(line.len());
    for c in line.chars() {
        fixed.push(half_width(c));
        // The full-width comma brings its own blank.
        if matches!(c, '，' | '、') {
            fixed.push(' ');
        }
    }
    Some((Span::new(first.0, first.0 + first.1.len_utf8()), Some(tidy(&fixed))))
}

/// Full-width forms, and the quotes and stops that a Chinese keyboard types.
fn is_full_width(c: char) -> bool {
    half_width(c) != c
}

fn half_width(c: char) -> char {
    match c {
        '“' | '”' | '「' | '」' => '"',
        '‘' | '’' => '\'',
        '，' | '、' => ',',
        '。' => '.',
        '\u{3000}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

fn open_quote(line: &str, _: usize) -> Option<Found> {
    let quotes: Vec<usize> = line.match_indices('"').map(|(at, _)| at).collect();
    let last = quotes.last().filter(|_| quotes.len() % 2 == 1)?;
    Some((Span::new(*last, line.len()), Some(format!("{line}\""))))
}

fn single_quotes(line: &str, _: usize) -> Option<Found> {
    let (code, _) = split_comment(line);
    let start = code.find('\'')?;
    let end = code.get(start + 1..)?.find('\'')? + start + 2;
    Some((Span::new(start, end), Some(code.replace('\'', "\""))))
}

fn upper_case(line: &str, _: usize) -> Option<Found> {
    let (at, first) = words_of(line).next()?;
    let lower = first.to_lowercase();
    if first == lower || !STARTERS.contains(&lower.as_str()) {
        return None;
    }
    let span = Span::new(at, at + first.len());
    Some((span, Some(line.replacen(first, &lower, 1))))
}

/// A statement that begins with a word people know from elsewhere, or with a misspelled one.
fn other_verb(line: &str, _: usize) -> Option<Found> {
    let (at, first) = words_of(line).next()?;
    if at != 0 || STARTERS.contains(&first) {
        return None;
    }
    let meant = match first {
        "limit" | "cap" | "ceiling" | "maximum" | "atmost" | "budget" => "max",
        "floor" | "minimum" | "atleast" => "min",
        "between" => "range",
        "permit" | "only" => "allow",
        "must" | "need" | "needs" => "require",
        "include" | "import" | "inherit" | "extend" => "extends",
        "warn" | "suggest" | "should" => "advise",
        "except" | "exempt" | "ignore" | "waiver" => "waive",
        "name" => "policy",
        _ => closest(first, STARTERS.iter().copied())?,
    };
    let fixed = format!("{meant}{}", line.get(first.len()..)?);
    Some((Span::new(0, first.len()), Some(split_comment(&fixed).0.to_owned())))
}

const STARTERS: &[&str] = &[
    "policy", "extends", "assume", "probe", "audit", "advise", "max", "min", "range", "allow", "require", "waive",
    "for", "test",
];

fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        quoted ^= c == '"';
        if c == '#' && !quoted {
            let (code, comment) = line.split_at_checked(at).unwrap_or((line, ""));
            return (code.trim_end(), comment);
        }
    }
    (line, "")
}

fn words_of(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.')
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

/// Runs of blanks to one.
fn tidy(line: &str) -> String {
    let mut tidy = String::with_capacity(line.len());
    for c in line.chars() {
        if !(c == ' ' && tidy.ends_with(' ')) {
            tidy.push(c);
        }
    }
    tidy.replace(" ,", ",").replace(" %", "%")
}

/// What the grammar would have liked to see, where nothing better is known.
fn unexpected(source: SourceId, text: &str, whole: Span, junk: Span, rest: &str, at_top: bool) -> Diagnostic {
    let line = first_line(text, whole);
    let place = |span: Span| Place { source, span };
    let starter = words_of(line).next().map_or("", |(_, word)| word);
    if !STARTERS.contains(&starter) {
        let word_end = rest.find(char::is_whitespace).unwrap_or(rest.len()).max(1);
        let limit = accepted(&format!("max {}", split_comment(line).0)).filter(|_| line.contains(char::is_whitespace));
        let verbs = if at_top {
            one_of(STARTERS)
        } else {
            one_of(&["max", "min", "range", "allow", "require", "advise"])
        };
        let finding = Diagnostic::new(Code::Syntax, "no statement begins here")
            .at(place(clip(text, junk.start, junk.start + word_end)), "not understood");
        return match limit {
            Some(limit) => finding.help("say `max` or `min`").instead(limit),
            None => finding.help(format!("a statement begins with {verbs}")),
        };
    }
    let code = split_comment(line).0;
    let (at, wanted) = match RiskParser::parse(Rule::alone, code) {
        Ok(_) => (code.len(), Vec::new()),
        Err(error) => (error_span(&error).start, expected(&error)),
    };
    let wanted = if wanted.is_empty() {
        "another word".to_owned()
    } else {
        one_of(&wanted)
    };
    let (before, after) = code.split_at_checked(at).unwrap_or((code, ""));
    let found = after.split_whitespace().next().unwrap_or("");
    let (from, message, label) = if found.is_empty() {
        let last = before.trim_end();
        let from = last.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let message = format!("`{}` ends too early: {wanted} is missing", shortened(before.trim()));
        (
            Span::new(from, last.len()),
            message,
            format!("expected {wanted} after this"),
        )
    } else {
        let from = at + after.find(found).unwrap_or(0);
        let message = format!(
            "`{}` is not understood after `{}`",
            shortened(found),
            shortened(before.trim())
        );
        (
            Span::new(from, from + found.len()),
            message,
            format!("expected {wanted}"),
        )
    };
    let reserved = RESERVED.contains(&found) && wanted.contains("a word");
    let (message, label) = if reserved {
        (
            format!("`{found}` is a word of the language"),
            "cannot be a name".to_owned(),
        )
    } else {
        (message, label)
    };
    let finding = Diagnostic::new(Code::Syntax, message).at(
        place(clip(text, whole.start + from.start, whole.start + from.end)),
        label,
    );
    if reserved {
        let rest = after.trim_start().strip_prefix(found).unwrap_or("");
        return match accepted(&format!("{}\"{found}\"{rest}", spaced(before, found))) {
            Some(line) => finding.help("put it in quotes").instead(line),
            None => finding.help("take another name"),
        };
    }
    match repaired(before, found, after) {
        Some(line) => finding.instead(line),
        None => finding.help(format!("a line like `{}`", example(starter))),
    }
}

/// The line with one small change at the word that was not understood, if the grammar then takes it.
fn repaired(before: &str, found: &str, after: &str) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let rest = after.trim_start().strip_prefix(found)?;
    let near = closest(found, JOINTS.iter().copied());
    let swaps = near.into_iter().chain(match found {
        "and" => Some(","),
        "in" | "over" | "with" | "for" => Some("on"),
        "times" => Some("1 times"),
        _ => None,
    });
    let start = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    let (head, glued) = before.split_at_checked(start).unwrap_or((before, ""));
    let quoted = [format!("{head}\"{glued}{found}\"{rest}")];
    // `stage sft | method lora` goes on with another fact.
    let other_fact = before.rfind('|').map(|bar| {
        format!(
            "{},{} {found}{rest}",
            before.get(..bar).unwrap_or("").trim_end(),
            before.get(bar + 1..).unwrap_or("").trim_end()
        )
    });
    let joined = [",", "|", "to"]
        .into_iter()
        .map(|joint| format!("{}{joint} {found}{rest}", spaced(before, joint)));
    let after_swaps = other_fact.into_iter().chain(joined).chain(quoted);
    swaps
        .map(|swap| format!("{}{swap}{rest}", spaced(before, swap)))
        .chain(after_swaps)
        .find_map(|line| accepted(&line))
}

/// What comes before a word or a sign: a comma follows without a blank.
fn spaced(before: &str, next: &str) -> String {
    let before = before.trim_end();
    if next == "," {
        before.to_owned()
    } else {
        format!("{before} ")
    }
}

/// Text of the user's as a message can hold it.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// Words that cannot be names; `grammar/riskpolicy.pest` has the same under `keyword`, and a test compares.
const RESERVED: &[&str] = &[
    "policy",
    "extends",
    "assume",
    "probe",
    "audit",
    "advise",
    "max",
    "min",
    "range",
    "allow",
    "require",
    "waiver",
    "waive",
    "for",
    "test",
    "to",
    "of",
    "base",
    "on",
    "at",
    "confidence",
    "until",
    "below",
    "above",
    "least",
    "most",
    "else",
    "then",
    "and",
    "slow",
    "times",
    "scale",
    "skip",
    "rollback",
    "stop",
    "no",
    "up",
    "down",
    "by",
    "because",
    "every",
    "sha256",
    "given",
    "expect",
];

/// The words inside statements.
const JOINTS: &[&str] = &[
    "to",
    "of base",
    "on",
    "confidence",
    "until",
    "below",
    "above",
    "else",
    "then",
    "and slow",
    "times",
    "scale",
    "skip",
    "rollback",
    "stop",
    "no waiver",
    "waiver",
    "every",
    "sha256",
    "because",
];

/// A span that ends inside the text and covers no line end.
fn clip(text: &str, start: usize, end: usize) -> Span {
    let end = (end.min(text.len()).max(start)..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(start);
    let line_end = text.get(start..end).and_then(|slice| slice.find('\n'));
    Span::new(start, line_end.map_or(end, |at| start + at))
}

fn expected(error: &Error<Rule>) -> Vec<&'static str> {
    let ErrorVariant::ParsingError { positives, .. } = &error.variant else {
        return Vec::new();
    };
    let mut wanted: Vec<&'static str> = positives.iter().filter_map(|rule| rule.to_symbol()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn example(starter: &str) -> &'static str {
    match starter {
        "policy" => "policy \"cautious\" for stage sft, method lora | qlora",
        "extends" => "extends \"org.riskpolicy\"",
        "assume" => "assume world_size 1 to 8",
        "probe" => "probe text general \"probes/general.jsonl\" every 50 updates",
        "audit" => "audit \"probes/audit.jsonl\"",
        "advise" => "advise max lora.rank 8",
        "min" => "min diversity.distinct_2 85% of base",
        "range" => "range batch.effective 4 to 128",
        "allow" => "allow stage sft | dpo",
        "require" => "require seed, clipping",
        "waive" => {
            "waive lora.rank up to 128 for \"runs/legal/*.yaml\" until 2026-12-31 by \"@owner\" because \"reason\""
        }
        "for" => "for method lora { max lora.rank 16 }",
        "test" => "test \"name\" { given \"run.yaml\" expect within }",
        _ => "max drift.total 0.05 nats on general else stop",
    }
}

#[cfg(test)]
mod tests {
    use pest::Parser;

    use super::{RESERVED, RiskParser, Rule};

    #[test]
    fn reserved_words_are_those_of_the_grammar() {
        let grammar = include_str!("../../grammar/riskpolicy.pest");
        let start = grammar.find("keyword     = @{").expect("the rule is there");
        let rule = grammar
            .split_at(start)
            .1
            .split("!(ASCII")
            .next()
            .expect("it ends in a look-ahead");
        let words: Vec<&str> = rule.split('"').skip(1).step_by(2).collect();
        assert_eq!(words, RESERVED);
        for word in RESERVED {
            assert!(RiskParser::parse(Rule::name, word).is_err(), "{word}");
        }
    }

    #[test]
    fn every_quantity_and_fact_is_a_name() {
        use crate::quantity::{CATEGORIES, QUANTITIES};
        let names = QUANTITIES
            .iter()
            .map(|q| q.name())
            .chain(CATEGORIES.iter().map(|c| c.name()));
        for name in names {
            let whole = RiskParser::parse(Rule::name, name).is_ok_and(|pairs| pairs.as_str() == name);
            assert!(whole, "{name}");
        }
    }
}
