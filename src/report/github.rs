//! Workflow commands, which GitHub shows beside the lines of a change.

use super::many::{located, told};
use super::{CheckReport, FileReport, waived};
use crate::diag::{Diagnostic, Severity};
use crate::source::{Place, Sources};

/// What is wrong with the policies.
pub(super) fn policies(policies: &[CheckReport], sources: &Sources) -> Vec<String> {
    policies
        .iter()
        .flat_map(|report| {
            let findings = report.diagnostics.iter();
            findings.map(|finding| command(finding, &report.policy_file, finding.place(), sources))
        })
        .collect()
}

/// What was found in one run file.
pub(super) fn file(report: &FileReport<'_>, policies: &[CheckReport], sources: &Sources) -> Vec<String> {
    let waived = report.judged.iter().flat_map(|under| {
        let lines = under.judgement.lines.iter();
        lines.filter_map(|judged| waived::finding(under, judged, sources))
    });
    let shown = report.shown().into_iter().cloned().chain(waived);
    shown
        .map(|finding| {
            let (place, _) = located(&finding, policies);
            command(&finding, &report.file, place, sources)
        })
        .collect()
}

fn command(finding: &Diagnostic, file: &str, place: Option<Place>, sources: &Sources) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "notice",
    };
    let mut properties = vec![("file", file.to_owned())];
    if let Some(place) = place {
        let text = sources.get(place.source);
        let (line, column) = (text.line(place.span.start), text.column(place.span.start));
        let (end_line, end_column) = (text.line(place.span.end), text.column(place.span.end));
        properties.push(("line", line.to_string()));
        properties.push(("endLine", end_line.to_string()));
        properties.push(("col", column.to_string()));
        // Columns are only looked at where the place is on one line; the last one belongs to it.
        if end_line == line {
            properties.push(("endColumn", end_column.saturating_sub(1).max(column).to_string()));
        }
    }
    properties.push(("title", finding.kind()));
    let properties: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value, true)))
        .collect();
    format!(
        "::{level} {}::{}\n",
        properties.join(","),
        escaped(&told(finding), false)
    )
}

/// What would end a command, a property or an escape, as an escape.
fn escaped(text: &str, in_property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if in_property {
        text.replace(':', "%3A").replace(',', "%2C")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_in_a_text_ends_its_command() {
        assert_eq!(
            escaped("100% a,b: c\r\n::error::d", false),
            "100%25 a,b: c%0D%0A::error::d"
        );
        assert_eq!(escaped("100% a,b:c\n", true), "100%25 a%2Cb%3Ac%0A");
        assert_eq!(escaped("%0A", true), "%250A");
    }
}
