//! Forms that are wrong but easily understood, and what to say about each.
//!
//! A line to write instead is only offered after the grammar has accepted it.

use super::line::{STARTERS, first_line, split_comment, tidy, words_of};
use super::number::number;
use super::unexpected::{accepted, unexpected};
use crate::diag::{Code, Diagnostic, closest};
use crate::source::{Place, SourceId, Span};

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
        find: paced_elsewhere,
        message: "`paced` stands behind `on` and the confidence, before `until` and `else`",
        label: "not in its place",
        help: "",
        verb: "",
    },
    Trap {
        find: paced_by_another_word,
        message: "the word is `paced`",
        label: "say `paced`",
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

/// `max Q v paced on P`, `max Q v else stop paced`: the word where it does not belong, or twice.
fn paced_elsewhere(line: &str, from: usize) -> Option<Found> {
    let code = split_comment(line).0;
    let (understood, rest) = code.split_at_checked(from)?;
    let at = match words_of(rest).next() {
        Some((at, "paced")) if rest.trim_start().starts_with("paced") => from + at,
        _ => understood.trim_end().strip_suffix(" paced")?.len() + 1,
    };
    let words: Vec<&str> = code.split_whitespace().filter(|word| *word != "paced").collect();
    let next = words.iter().position(|word| matches!(*word, "until" | "else" | "no"));
    let (before, after) = words.split_at_checked(next.unwrap_or(words.len()))?;
    let fixed = accepted(&[before, &["paced"], after].concat().join(" "))?;
    Some((Span::new(at, at + "paced".len()), Some(fixed)))
}

/// `spread over the run`, as people say it: only where the next word is this one, because elsewhere it may be a name.
fn paced_by_another_word(line: &str, from: usize) -> Option<Found> {
    let (span, fixed) = replace_word(
        line,
        from,
        &["pace", "pacing", "spread", "evenly", "gradually"],
        "paced",
    )?;
    let between = line.get(from..span.start)?;
    between.trim().is_empty().then_some((span, fixed))
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
