//! What `ftrisk probe check` says: which limits notice which planted faults, as text and as JSON.
//!
//! Fields of the JSON are only ever added within a version; docs/reference/json.md describes them.

use serde::Serialize;

use super::json::{DiagnosticJson, JSON_VERSION, PolicyJson, RunJson, diagnostic, level, policy, run};
use super::{CheckReport, FileReport, widths};
use crate::diag::Diagnostic;
use crate::ir::Level;
use crate::meter::Reading;
use crate::quantity::Finite;
use crate::source::Sources;

/// Everything that planted faults say about a policy.
#[derive(Debug, Default)]
pub struct ProbeReport {
    /// The code that the command ends with.
    pub exit_code: u8,
    /// What kept faults from being planted.
    pub findings: Vec<Diagnostic>,
    /// Every fault, from the smallest size of each kind on.
    pub faults: Vec<Planted>,
    /// For each kind the largest fault that no limit notices.
    pub blind: Vec<Blind>,
}

/// A planted fault, and what the limits read of it.
#[derive(Debug)]
pub struct Planted {
    /// Which kind it is.
    pub kind: &'static str,
    /// Its size, in the measure of its kind.
    pub size: f64,
    /// Kind and size for people.
    pub name: String,
    /// Whether it is the largest of its kind.
    pub is_largest: bool,
    /// The kinds of probe that it could be planted in, where the policy declares none of them.
    pub lacks: Option<String>,
    /// The limits that it can move.
    pub limits: Vec<Read>,
}

/// A limit beside a fault.
#[derive(Debug)]
pub struct Read {
    /// What is limited.
    pub quantity: &'static str,
    /// On which probe.
    pub probe: Option<String>,
    /// What the policy says about it.
    pub level: Level,
    /// The line of the policy, counted from 1.
    pub policy_line: usize,
    /// What is asked, in words.
    pub limit: String,
    /// What the base reads.
    pub base: Reading,
    /// What is read with the fault.
    pub reading: Reading,
    /// That in the unit of the policy.
    pub shown: String,
    /// What the guard would say.
    pub verdict: Noticed,
}

/// Whether a limit notices a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// It is broken.
    Caught,
    /// It is, and is only advice.
    AdviceAlone,
    /// It is not.
    NotCaught,
}

/// A fault that no limit notices.
#[derive(Debug)]
pub struct Blind {
    /// Which kind it is.
    pub kind: &'static str,
    /// Its size.
    pub size: f64,
    /// One sentence about it.
    pub told: String,
    /// A statement that would notice it, where one is known.
    pub instead: Option<String>,
}

impl Planted {
    /// Whether a limit that is enforced notices it.
    pub fn is_caught(&self) -> bool {
        self.limits.iter().any(|read| read.verdict == Noticed::Caught)
    }
}

impl Read {
    fn name(&self) -> String {
        match &self.probe {
            Some(probe) => format!("{} on {probe}", self.quantity),
            None => self.quantity.to_owned(),
        }
    }
}

impl Noticed {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Noticed::Caught => "caught",
            Noticed::AdviceAlone => "advice alone",
            Noticed::NotCaught => "not caught",
        }
    }
}

/// The faults as text.
pub fn text(report: &ProbeReport) -> String {
    let mut text = String::from("\n");
    for fault in &report.faults {
        let caught = fault.limits.iter().filter(|read| read.verdict == Noticed::Caught);
        let by: Vec<String> = caught.map(Read::name).collect();
        let by = match (&fault.lacks, by.is_empty()) {
            (Some(kinds), _) => format!("not caught: there is no probe of {kinds}"),
            (None, true) => "not caught".to_owned(),
            (None, false) => format!("caught by {}", by.join(", ")),
        };
        text.push_str(&format!("{}: {by}\n{}", fault.name, table(&fault.limits)));
    }
    text.push('\n');
    for blind in &report.blind {
        text.push_str(&format!("{}\n", blind.told));
    }
    let is_blind = report.faults.iter().any(|fault| fault.is_largest && !fault.is_caught());
    text.push_str(if is_blind {
        "blind: a fault of the largest size is caught by no limit\n"
    } else {
        "the largest fault of every kind is caught\n"
    });
    text
}

/// Rows below a fault, in columns.
fn table(limits: &[Read]) -> String {
    let rows: Vec<[String; 4]> = limits
        .iter()
        .map(|read| {
            let verdict = read.verdict.word().to_owned();
            [read.name(), read.shown.clone(), read.limit.clone(), verdict]
        })
        .collect();
    let [name, reading, asked, _] = widths(&rows);
    let drawn = rows
        .iter()
        .map(|[of, is, asks, verdict]| format!("  {of:<name$}  {is:<reading$}  {asks:<asked$}  {verdict}\n"));
    drawn.collect()
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    ftrisk: &'static str,
    exit_code: u8,
    policy: PolicyJson<'a>,
    run: Option<RunJson<'a>>,
    diagnostics: Vec<DiagnosticJson<'a>>,
    faults: Vec<FaultJson<'a>>,
    blind: Vec<BlindJson<'a>>,
}

#[derive(Serialize)]
struct FaultJson<'a> {
    kind: &'a str,
    size: f64,
    largest: bool,
    probed: bool,
    caught: bool,
    limits: Vec<ReadJson<'a>>,
}

#[derive(Serialize)]
struct ReadJson<'a> {
    quantity: &'a str,
    probe: Option<&'a str>,
    level: &'static str,
    policy_line: usize,
    limit: &'a str,
    base: Option<f64>,
    reading: Option<f64>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct BlindJson<'a> {
    kind: &'a str,
    size: f64,
    message: &'a str,
    instead: Option<&'a str>,
}

/// The check and the faults as one JSON document, with a line end.
pub fn json(check: &CheckReport, report: &ProbeReport, sources: &Sources) -> String {
    let checked = check.policy.as_ref().and_then(|policy| {
        let alone = check.runs.first()?;
        Some(FileReport::alone(alone, &check.policy_file, policy, check.strict))
    });
    let document = Document {
        version: JSON_VERSION,
        ftrisk: env!("CARGO_PKG_VERSION"),
        exit_code: report.exit_code,
        policy: policy(check, sources),
        run: checked.as_ref().map(|checked| run(checked, sources)),
        diagnostics: report.findings.iter().map(|d| diagnostic(d, sources)).collect(),
        faults: report
            .faults
            .iter()
            .map(|fault| FaultJson {
                kind: fault.kind,
                size: fault.size,
                largest: fault.is_largest,
                probed: fault.lacks.is_none(),
                caught: fault.is_caught(),
                limits: fault.limits.iter().map(read).collect(),
            })
            .collect(),
        blind: report
            .blind
            .iter()
            .map(|blind| BlindJson {
                kind: blind.kind,
                size: blind.size,
                message: &blind.told,
                instead: blind.instead.as_deref(),
            })
            .collect(),
    };
    // Strings and finite numbers only: there is nothing in it that JSON cannot say.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn read(read: &Read) -> ReadJson<'_> {
    let number = |reading: Reading| reading.value().map(Finite::get);
    ReadJson {
        quantity: read.quantity,
        probe: read.probe.as_deref(),
        level: level(read.level),
        policy_line: read.policy_line,
        limit: &read.limit,
        base: number(read.base),
        reading: number(read.reading),
        verdict: read.verdict.word(),
    }
}
