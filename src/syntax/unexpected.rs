//! What the grammar would have liked to see, and the small repair that would please it.

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};

use super::line::{STARTERS, clip, first_line, shortened, split_comment, words_of};
use super::number::number;
use super::rules::{RiskParser, Rule};
use crate::diag::{Code, Diagnostic, closest, one_of};
use crate::source::{Place, SourceId, Span};

/// Where pest stopped.
pub(super) fn error_span(error: &Error<Rule>) -> Span {
    match error.location {
        InputLocation::Pos(at) => Span::new(at, at),
        InputLocation::Span((start, end)) => Span::new(start, end),
    }
}

/// The line, if the grammar takes it, in one piece.
pub(super) fn accepted(line: &str) -> Option<String> {
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

/// What the grammar would have liked to see, where nothing better is known.
pub(super) fn unexpected(
    source: SourceId,
    text: &str,
    whole: Span,
    junk: Span,
    rest: &str,
    at_top: bool,
) -> Diagnostic {
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
    "paced",
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
    "paced",
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
