//! SARIF 2.1.0: a rule for each limit of a policy and one for each diagnostic code, a result for each finding.

use serde_json::{Value, json};

use super::json::at_depth;
use super::many::{located, told};
use super::{CheckReport, FileReport, Totals, Under, waived};
use crate::diag::{CODES, Code, Diagnostic, Label, Severity};
use crate::ir::{Asks, Judged, Level, Policy};
use crate::source::{Place, Sources, sha256};

/// Where the schema of the format is published.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name under which a result keeps its identity from one version of a file to the next.
const FINGERPRINT: &str = "ftrisk/v1";

/// The log up to its first result.
pub(super) fn head(policies: &[CheckReport], sources: &Sources) -> String {
    let mut rules = limits(policies, sources);
    rules.extend(CODES.iter().map(|code| rule_of(*code)));
    let tool = json!({
        "driver": {
            "name": "ftrisk",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        }
    });
    format!(
        "{{\n  \"$schema\": \"{SCHEMA}\",\n  \"version\": \"2.1.0\",\n  \"runs\": [\n    {{\n      \"tool\": {},\n      \"columnKind\": \"unicodeCodePoints\",\n      \"results\": [",
        at_depth(&tool, 3)
    )
}

/// The log from behind its last result. That something is over is no failure of the tool.
pub(super) fn tail(totals: &Totals, code: u8, some: bool) -> String {
    let invocations = json!([{ "executionSuccessful": true, "exitCode": code }]);
    let properties = json!({
        "runFiles": totals.files(),
        "notRuns": totals.not_runs,
        "notChecked": totals.not_checked,
    });
    format!(
        "{}],\n      \"invocations\": {},\n      \"properties\": {}\n    }}\n  ]\n}}\n",
        if some { "\n      " } else { "" },
        at_depth(&invocations, 3),
        at_depth(&properties, 3)
    )
}

/// What is wrong with the policies.
pub(super) fn policies(policies: &[CheckReport], sources: &Sources) -> Vec<String> {
    let rules = rule_ids(policies);
    let mut results = Vec::new();
    for report in policies {
        let mut seen = Vec::new();
        for finding in &report.diagnostics {
            let others = finding.labels.get(1..).unwrap_or_default().iter().collect();
            let at = At {
                file: &report.policy_file,
                main: finding.place(),
                others,
            };
            results.push(result(
                finding,
                finding.code.name(),
                Vec::new(),
                &rules,
                &at,
                sources,
                &mut seen,
            ));
        }
    }
    results
}

/// What was found in one run file.
pub(super) fn file(report: &FileReport<'_>, policies: &[CheckReport], sources: &Sources) -> Vec<String> {
    let rules = rule_ids(policies);
    let mut seen = Vec::new();
    let mut results = Vec::new();
    let mut tell = |finding: &Diagnostic, rule: &str, suppressions: Vec<Value>| {
        let (main, others) = located(finding, policies);
        let at = At {
            file: &report.file,
            main,
            others,
        };
        results.push(result(finding, rule, suppressions, &rules, &at, sources, &mut seen));
    };
    for finding in &report.diagnostics {
        tell(finding, finding.code.name(), Vec::new());
    }
    for under in &report.judged {
        for finding in &under.judgement.findings {
            tell(finding, finding.code.name(), Vec::new());
        }
        for judged in &under.judgement.lines {
            let rule = limit_id(&under.policy, judged.line);
            if let Some(finding) = &judged.diagnostic {
                tell(finding, &rule, Vec::new());
            }
            if let Some(finding) = judged.waived() {
                tell(finding, &rule, suppressions(under, judged, sources));
            }
        }
    }
    results
}

/// Who lets a finding pass, where, and why.
fn suppressions(under: &Under<'_>, judged: &Judged, sources: &Sources) -> Vec<Value> {
    let each = waived::of(under, judged).map(|(_, waiver)| {
        let (by, until) = (&waiver.by, waiver.until);
        json!({
            "kind": "external",
            "status": "accepted",
            "justification": format!("{} (by {by}, until {until})", waiver.because),
            "location": located_at(waiver.place, sources),
        })
    });
    each.collect()
}

/// The names of the rules in the order of their indices: the limits, then the codes.
fn rule_ids(policies: &[CheckReport]) -> Vec<String> {
    let limits = policies.iter().filter_map(|report| report.policy.as_ref());
    let limits = limits.flat_map(|policy| (0..policy.lines.len()).map(|index| limit_id(policy, index)));
    limits.chain(CODES.iter().map(|code| code.name().to_owned())).collect()
}

/// A rule for each line of each policy.
fn limits(policies: &[CheckReport], sources: &Sources) -> Vec<Value> {
    let mut rules = Vec::new();
    for policy in policies.iter().filter_map(|report| report.policy.as_ref()) {
        for (index, line) in policy.lines.iter().enumerate() {
            let statement = sources.get(line.place.source).slice(line.place.span);
            let written: Vec<&str> = statement.split_whitespace().collect();
            let asked = match &line.asks {
                Asks::Limit(limit) => format!("{}: {}", line.subject(), limit.asked()),
                Asks::Allow { .. } => format!("{}: one of those that are allowed", line.subject()),
                Asks::Require(_) => format!("{} is required", line.subject()),
            };
            rules.push(json!({
                "id": limit_id(policy, index),
                "name": line.subject(),
                "shortDescription": { "text": asked },
                "fullDescription": { "text": written.join(" ") },
                "help": { "text": format!("`ftrisk explain {}` says what it is.", line.subject()) },
                "defaultConfiguration": { "level": if line.level == Level::Advise { "note" } else { "error" } },
            }));
        }
    }
    rules
}

fn rule_of(code: Code) -> Value {
    json!({
        "id": code.name(),
        "shortDescription": { "text": code.summary() },
        "help": { "text": format!("`ftrisk explain {}` shows an example, and what to write instead.", code.name()) },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

/// `cautious-sft/learning_rate`; a further line of the policy about the same thing ends in `/2`. No line number is in it, so
/// that a rule stays the same one when lines move.
fn limit_id(policy: &Policy, index: usize) -> String {
    let subject = policy.lines.get(index).map_or("", |line| line.subject());
    let before = policy.lines.iter().take(index);
    let nth = 1 + before.filter(|line| line.subject() == subject).count();
    if nth == 1 {
        format!("{}/{subject}", policy.name)
    } else {
        format!("{}/{subject}/{nth}", policy.name)
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

/// Where a finding is.
struct At<'a> {
    /// The file that it is about.
    file: &'a str,
    /// The place in it.
    main: Option<Place>,
    /// Places that belong to it, such as the policy's line.
    others: Vec<&'a Label>,
}

fn result(
    finding: &Diagnostic,
    rule: &str,
    suppressions: Vec<Value>,
    rules: &[String],
    at: &At<'_>,
    sources: &Sources,
    seen: &mut Vec<String>,
) -> String {
    let location = match at.main {
        Some(place) => located_at(place, sources),
        // A finding about the whole file stands on its first line, where every viewer can show it.
        None => json!({ "physicalLocation": {
            "artifactLocation": { "uri": uri(at.file) },
            "region": { "startLine": 1 },
        }}),
    };
    let related: Vec<Value> = at
        .others
        .iter()
        .enumerate()
        .map(|(index, label)| {
            let mut location = located_at(label.place, sources);
            let text = if label.text.is_empty() {
                sources.get(label.place.source).slice(label.place.span).trim()
            } else {
                &label.text
            };
            if let Some(fields) = location.as_object_mut() {
                fields.insert("id".to_owned(), json!(index + 1));
                if !text.is_empty() {
                    fields.insert("message".to_owned(), json!({ "text": text }));
                }
            }
            location
        })
        .collect();
    let mut result = json!({
        "ruleId": rule,
        "level": level(finding.severity),
        "message": { "text": told(finding) },
        "locations": [location],
        "partialFingerprints": { FINGERPRINT: fingerprint(finding, rule, at, sources, seen) },
    });
    if let Some(fields) = result.as_object_mut() {
        if let Some(index) = rules.iter().position(|known| known == rule) {
            fields.insert("ruleIndex".to_owned(), json!(index));
        }
        if !related.is_empty() {
            fields.insert("relatedLocations".to_owned(), json!(related));
        }
        if !suppressions.is_empty() {
            fields.insert("suppressions".to_owned(), json!(suppressions));
        }
    }
    format!("\n        {}", at_depth(&result, 4))
}

/// What a result is known by: its rule, its file and, for a mistake, the text that it is about. The value of a number that
/// is over is not part of it, nor any line number: the same limit on the same file stays the same result.
fn fingerprint(finding: &Diagnostic, rule: &str, at: &At<'_>, sources: &Sources, seen: &mut Vec<String>) -> String {
    let text = match at.main {
        Some(place) if !finding.code.is_verdict() => sources.get(place.source).slice(place.span),
        _ => "",
    };
    let subject = finding.subject.as_deref().unwrap_or("");
    // Two mistakes that are alike in all of it are told apart by their order.
    let parts = [rule, &uri(at.file), subject, text].join("\n");
    let nth = 1 + seen.iter().filter(|known| **known == parts).count();
    let print = sha256(format!("{parts}\n{nth}").as_bytes());
    seen.push(parts);
    print.chars().take(32).collect()
}

fn located_at(place: Place, sources: &Sources) -> Value {
    let file = sources.get(place.source);
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(file.name()) },
        "region": {
            "startLine": file.line(place.span.start),
            "startColumn": file.column(place.span.start),
            "endLine": file.line(place.span.end),
            "endColumn": file.column(place.span.end),
        },
    }})
}

/// A path as a reference that viewers resolve against the root of the repository; a path from the root of the system as a
/// `file:` address.
fn uri(name: &str) -> String {
    if name.starts_with(crate::builtin::PREFIX) {
        return name.to_owned();
    }
    let name = if name == "-" { "standard input" } else { name };
    let name = name.replace(std::path::MAIN_SEPARATOR, "/");
    let name = name.trim_start_matches("./");
    let mut out = String::from(if name.starts_with('/') { "file://" } else { "" });
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_path_is_a_reference_that_resolves() {
        for (path, reference) in [
            ("runs/a b.yaml", "runs/a%20b.yaml"),
            ("./a.yaml", "a.yaml"),
            ("../a.yaml", "../a.yaml"),
            ("/tmp/ü.yaml", "file:///tmp/%C3%BC.yaml"),
            ("a:b.yaml", "a%3Ab.yaml"),
            ("-", "standard%20input"),
            ("builtin:cautious-sft", "builtin:cautious-sft"),
        ] {
            assert_eq!(uri(path), reference);
        }
    }
}
