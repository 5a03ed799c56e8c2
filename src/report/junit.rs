//! JUnit XML: a suite for each run file, a case for each limit.
//!
//! The elements and attributes are those of the schema that Jenkins checks reports against; there is no time in them,
//! because two checks of the same files say the same.

use std::fmt::Write as _;

use super::many::{located, told};
use super::{CheckReport, FileReport, Under};
use crate::diag::{Diagnostic, Severity};
use crate::ir::Verdict;
use crate::source::Sources;

/// What a case came to.
enum Came<'a> {
    /// Inside, with what is to be said all the same.
    Passed(Option<&'a Diagnostic>),
    /// Over.
    Failed(&'a Diagnostic),
    /// Open, or wrong.
    Undecided(&'a Diagnostic),
    /// Not decided here, and why.
    Skipped(String),
}

struct Case<'a> {
    class: String,
    name: String,
    came: Came<'a>,
}

pub(super) fn head() -> String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ftrisk\">\n".to_owned()
}

pub(super) fn tail() -> String {
    "</testsuites>\n".to_owned()
}

/// A suite for each policy that has a mistake, and so judges nothing.
pub(super) fn policies(policies: &[CheckReport], sources: &Sources) -> Vec<String> {
    policies
        .iter()
        .filter(|report| report.judging().is_none())
        .map(|report| {
            let errors = report.diagnostics.iter().filter(|d| d.severity == Severity::Error);
            let cases: Vec<Case<'_>> = errors
                .map(|finding| Case {
                    class: "ftrisk".to_owned(),
                    name: finding.concise(sources),
                    came: Came::Undecided(finding),
                })
                .collect();
            suite(&report.policy_file, &cases, &[], sources)
        })
        .collect()
}

/// The suite of one run file.
pub(super) fn file(report: &FileReport<'_>, policies: &[CheckReport], sources: &Sources) -> String {
    let mut cases = Vec::new();
    let mistakes = report.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    cases.extend(mistakes.map(|finding| Case {
        class: "ftrisk".to_owned(),
        name: format!("{}: {}", finding.code.name(), finding.message),
        came: Came::Undecided(finding),
    }));
    if cases.is_empty() {
        cases.push(Case {
            class: "ftrisk".to_owned(),
            name: "the run file is read".to_owned(),
            came: Came::Passed(None),
        });
    }
    for under in &report.judged {
        for finding in &under.judgement.findings {
            cases.push(Case {
                class: under.policy.name.clone(),
                name: finding.kind(),
                came: came(finding),
            });
        }
        cases.extend(under.judgement.lines.iter().map(|judged| Case {
            class: under.policy.name.clone(),
            name: statement(under, judged.line, sources),
            came: match (&judged.verdict, &judged.diagnostic) {
                (Verdict::NotApplicable { because }, _) => Came::Skipped(format!("not applicable: {because}")),
                (Verdict::Within { .. }, None) => Came::Passed(judged.waived()),
                (_, Some(finding)) => came(finding),
                (
                    verdict @ (Verdict::Later { reads: words }
                    | Verdict::Over { because: words }
                    | Verdict::Open { because: words, .. }),
                    None,
                ) => Came::Skipped(format!("{}: {words}", verdict.word())),
            },
        }));
    }
    number_twins(&mut cases);
    suite(&report.file, &cases, policies, sources)
}

fn came(finding: &Diagnostic) -> Came<'_> {
    match (finding.severity, finding.code) {
        (Severity::Advice | Severity::Warning, _) => Came::Passed(Some(finding)),
        (Severity::Error, crate::diag::Code::Over) => Came::Failed(finding),
        (Severity::Error, _) => Came::Undecided(finding),
    }
}

/// A line as the policy writes it. No line number is in it: a case is followed from report to report by its name.
fn statement(under: &Under<'_>, line: usize, sources: &Sources) -> String {
    let Some(line) = under.policy.lines.get(line) else {
        return String::new();
    };
    let file = sources.get(line.place.source);
    let written: Vec<&str> = file.slice(line.place.span).split_whitespace().collect();
    written.join(" ")
}

/// Gives cases that are called alike, such as two blocks with one line, names of their own.
fn number_twins(cases: &mut [Case<'_>]) {
    let mut known: Vec<(String, String)> = Vec::new();
    for case in cases {
        let key = (case.class.clone(), case.name.clone());
        let nth = 1 + known.iter().filter(|other| **other == key).count();
        if nth > 1 {
            case.name = format!("{} ({nth})", case.name);
        }
        known.push(key);
    }
}

fn suite(name: &str, cases: &[Case<'_>], policies: &[CheckReport], sources: &Sources) -> String {
    let count = |is: fn(&Came<'_>) -> bool| cases.iter().filter(|case| is(&case.came)).count();
    let mut out = format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
        escaped(name),
        cases.len(),
        count(|came| matches!(came, Came::Failed(_))),
        count(|came| matches!(came, Came::Undecided(_))),
        count(|came| matches!(came, Came::Skipped(_))),
    );
    for case in cases {
        let _ = write!(
            out,
            "    <testcase classname=\"{}\" name=\"{}\"",
            escaped(&case.class),
            escaped(&case.name)
        );
        let inside = match &case.came {
            Came::Passed(None) => None,
            Came::Passed(Some(finding)) => Some(format!(
                "<system-out>{}</system-out>",
                escaped(&whole(finding, policies, sources))
            )),
            Came::Failed(finding) => Some(element("failure", finding, policies, sources)),
            Came::Undecided(finding) => Some(element("error", finding, policies, sources)),
            Came::Skipped(why) => Some(format!("<skipped message=\"{}\"/>", escaped(why))),
        };
        match inside {
            None => out.push_str("/>\n"),
            Some(inside) => {
                let _ = writeln!(out, ">\n      {inside}\n    </testcase>");
            }
        }
    }
    out.push_str("  </testsuite>\n");
    out
}

fn element(name: &str, finding: &Diagnostic, policies: &[CheckReport], sources: &Sources) -> String {
    format!(
        "<{name} type=\"{}\" message=\"{}\">{}</{name}>",
        escaped(&finding.kind()),
        escaped(&finding.message),
        escaped(&whole(finding, policies, sources))
    )
}

/// Where it is, what it is, and what to do.
fn whole(finding: &Diagnostic, policies: &[CheckReport], sources: &Sources) -> String {
    let (main, others) = located(finding, policies);
    let places = main.into_iter().chain(others.iter().map(|label| label.place));
    let places: Vec<String> = places
        .map(|place| {
            let column = sources.get(place.source).column(place.span.start);
            format!("at {}:{column}", sources.locate(place))
        })
        .collect();
    let mut lines = vec![told(finding)];
    lines.extend(places);
    lines.join("\n")
}

/// A text inside an element or an attribute. What XML cannot hold at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // Kept as they are they would become blanks in an attribute.
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn every_character_of_a_text_is_one_of_the_element() {
        assert_eq!(
            escaped("a<b>&\"c'\n\u{1}\u{ffff}é"),
            "a&lt;b&gt;&amp;&quot;c&apos;&#10;\u{fffd}\u{fffd}é"
        );
    }
}
