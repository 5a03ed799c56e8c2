//! Runs the specifications under `tests/spec`: Markdown that people read and the program must agree with.
//!
//! A page is prose with three kinds of block.
//!
//! - A `riskpolicy` block is a whole policy. A line may end in `#~ CODE`, once for each diagnostic whose primary label
//!   begins on that line (`#~ CODE CODE` for several). `#~ CODE: TEXT` asks besides that the diagnostic says TEXT: in its
//!   headline, its labels, its notes, its help or the line to write instead. What is not marked must not be reported, so
//!   a block without marks compiles without even a warning.
//! - A `yaml` block is a run file, judged by the nearest policy above it; the fence holds the flags of `ftrisk check`:
//!   `--world-size N`, `--dataset-rows N`, `--strict`. It takes marks like a policy.
//! - A `verdicts` block follows a run file: one line for each line of the policy, then `exit N`. In front of them stand
//!   findings that belong to no line. They read `within Q`, `over Q`, `later Q`, `n/a Q`, and `open Q: CONDITIONS`, where
//!   a condition is `within for FACT VALUES` or `FACT not by itself`, several joined by `; `; `open Q` alone says that no
//!   fact which somebody could supply decides it. Advice reads `advise over Q`.
//!
//! Marks are taken off before anything is read, and `sha256 "9f2c…"` becomes a hash of full length, so that pages stay
//! narrow. `FTRISK_BLESS=1` rewrites the verdicts blocks, and nothing else: marks are law, not record.

use std::fs;

use ftrisk::adapt::{self, Launch};
use ftrisk::check::{dated, judge};
use ftrisk::diag::{Code, Diagnostic, Severity, has_errors};
use ftrisk::ir::{Coverage, Day, Judgement, Level, Policy, Verdict};
use ftrisk::report::{CheckReport, RunReport};
use ftrisk::sema::compile;
use ftrisk::source::Sources;

use super::harness::{blessing, files, read, repository};

#[test]
fn the_specifications_hold() {
    let pages = files("tests/spec", ".md");
    assert!(!pages.is_empty(), "no specifications");
    let bless = blessing();
    let mut failures = Vec::new();
    for page in &pages {
        let text = read(page);
        let run = run_page(page, &text);
        if bless && run.blessed != text {
            fs::write(repository().join(page), &run.blessed).unwrap();
        }
        failures.extend(
            run.failures
                .into_iter()
                .filter(|failure| !(bless && failure.is_verdicts)),
        );
    }
    let told: Vec<String> = failures.iter().map(|failure| failure.told.clone()).collect();
    assert!(
        failures.is_empty(),
        "\n{}\n\n{} of the specifications do not hold",
        told.join("\n\n"),
        failures.len()
    );
}

/// The runner must be able to fail: each of these pages is wrong in one way.
#[test]
fn a_wrong_specification_fails() {
    let policy = "policy \"p\"\nmax lora.rank 8\n";
    let run = "model_name_or_path: some/model\nstage: sft\ndo_train: true\nfinetuning_type: lora\nlora_rank: 16\n";
    let page = |blocks: &str| {
        run_page("page.md", blocks)
            .failures
            .into_iter()
            .map(|f| f.told)
            .collect::<Vec<_>>()
    };
    let unmarked = page("```riskpolicy\npolicy \"p\"\nmax lora.rank 8 nats\n```\n");
    assert_eq!(unmarked.len(), 1, "{unmarked:?}");
    assert!(
        unmarked[0].starts_with("page.md:3: expected nothing, got unit-mismatch"),
        "{unmarked:?}"
    );
    let marked = page("```riskpolicy\npolicy \"p\"\nmax lora.rank 8 #~ direction\n```\n");
    assert!(
        marked[0].starts_with("page.md:3: expected direction, got nothing"),
        "{marked:?}"
    );
    let said = page("```riskpolicy\npolicy \"p\"\nmax lora.rank 8 nats #~ unit-mismatch: litres\n```\n");
    assert!(said[0].contains("expected unit-mismatch to say `litres`"), "{said:?}");
    let verdict = page(&format!(
        "```riskpolicy\n{policy}```\n```yaml\n{run}```\n```verdicts\nwithin lora.rank\nexit 0\n```\n"
    ));
    assert!(
        verdict.iter().any(|told| told.contains("over lora.rank")),
        "{verdict:?}"
    );
    let alone = page(&format!("```yaml\n{run}```\n"));
    assert!(alone[0].contains("no policy above"), "{alone:?}");
    let unjudged = page(&format!("```riskpolicy\n{policy}```\n```yaml\n{run}```\n"));
    assert!(unjudged[0].contains("no verdicts follow"), "{unjudged:?}");
}

/// The day on which waivers in pages hold or do not.
const TODAY: &str = "2026-11-25";

/// A fenced block of a Markdown text.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The first word of the fence.
    pub(super) language: String,
    /// The other words of the fence.
    pub(super) flags: Vec<String>,
    /// Between the fences.
    pub(super) text: String,
    /// The number of the line after the opening fence, counted from 1.
    pub(super) line: usize,
}

/// Every fenced block of a Markdown text.
pub(super) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(fence), None) => {
                let mut words = fence.split_whitespace().map(str::to_owned);
                open = Some(Block {
                    language: words.next().unwrap_or_default(),
                    flags: words.collect(),
                    text: String::new(),
                    line: index + 2,
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// The block of a page whose fence says `file=NAME`.
#[track_caller]
pub(super) fn shown_as(page: &str, name: &str) -> String {
    let flag = format!("file={name}");
    let found = blocks(&read(page))
        .into_iter()
        .find(|block| block.flags.contains(&flag));
    found.unwrap_or_else(|| panic!("{page} shows no {flag}")).text
}

/// What the command line would say about the launch, from the words of a fence.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) launch: Launch,
    pub(super) strict: bool,
}

/// Reads the flags of a fence; an unknown one is a mistake of the page.
pub(super) fn flags(words: &[String]) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().ok_or_else(|| format!("{word} needs a number"));
        match word.as_str() {
            "--strict" => flags.strict = true,
            "--world-size" => flags.launch.world_size = Some(number()?.parse().map_err(|e| format!("{word}: {e}"))?),
            "--dataset-rows" => {
                flags.launch.dataset_rows = Some(number()?.parse().map_err(|e| format!("{word}: {e}"))?)
            }
            _ => return Err(format!("{word} is no flag that a fence can hold")),
        }
    }
    Ok(flags)
}

/// A policy that was compiled, with its text.
pub(super) struct Compiled {
    pub(super) sources: Sources,
    pub(super) policy: Option<Policy>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Compiles the text of a policy.
pub(super) fn compiled(text: &str) -> Compiled {
    let mut sources = Sources::default();
    let source = sources.add("policy.riskpolicy", text);
    let mut compiled = compile(source, &sources);
    let today = Day::parse(TODAY).unwrap();
    let dated_findings = compiled.policy.iter().flat_map(|policy| dated(policy, today));
    compiled.diagnostics.extend(dated_findings);
    Compiled {
        sources,
        policy: compiled.policy,
        diagnostics: compiled.diagnostics,
    }
}

/// Judges a run file under a policy that compiled: the report of `ftrisk check`, and the texts it points at.
pub(super) fn judged(policy: &Compiled, run: &str, flags: Flags) -> (CheckReport, Sources) {
    let mut sources = policy.sources.clone();
    let source = sources.add("run.yaml", run);
    let read = adapt::read(source, &sources, flags.launch);
    let judgement = match (&policy.policy, &read.facts) {
        (Some(policy), Some(facts)) => Some(judge(policy, facts, &sources, flags.strict)),
        _ => None,
    };
    let report = CheckReport {
        policy_file: "policy.riskpolicy".into(),
        policy: policy.policy.clone(),
        diagnostics: policy.diagnostics.clone(),
        runs: vec![RunReport {
            file: "run.yaml".into(),
            framework: read.facts.as_ref().map(|facts| facts.framework),
            diagnostics: read.diagnostics,
            judgement,
        }],
        strict: flags.strict,
    };
    (report, sources)
}

/// Something that a page says and the program does not.
struct Failure {
    told: String,
    is_verdicts: bool,
}

struct Page<'p> {
    name: &'p str,
    failures: Vec<Failure>,
    /// Lines to put in place of others, by their numbers counted from 1: the first, how many, and with what.
    edits: Vec<(usize, usize, String)>,
}

struct Run {
    failures: Vec<Failure>,
    blessed: String,
}

fn run_page(name: &str, text: &str) -> Run {
    let mut page = Page {
        name,
        failures: Vec::new(),
        edits: Vec::new(),
    };
    let blocks = blocks(text);
    let mut policy: Option<(Compiled, usize)> = None;
    for (index, block) in blocks.iter().enumerate() {
        match block.language.as_str() {
            "riskpolicy" => policy = Some((page.policy(block), block.line)),
            "yaml" => {
                let Some((policy, _)) = &policy else {
                    page.fail(block.line, "a run file with no policy above it".into());
                    continue;
                };
                let recorded = blocks.get(index + 1).filter(|next| next.language == "verdicts");
                page.run_file(policy, block, recorded);
            }
            "verdicts" => {
                if index
                    .checked_sub(1)
                    .and_then(|before| blocks.get(before))
                    .is_none_or(|before| before.language != "yaml")
                {
                    page.fail(block.line, "verdicts on no run file".into());
                }
            }
            other => page.fail(block.line, format!("`{other}` is no block of a specification")),
        }
    }
    Run {
        blessed: edited(text, &page.edits),
        failures: page.failures,
    }
}

fn edited(text: &str, edits: &[(usize, usize, String)]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for (first, count, with) in edits.iter().rev() {
        lines.splice(first - 1..first - 1 + count, with.lines());
    }
    lines.join("\n") + "\n"
}

impl Page<'_> {
    fn fail(&mut self, line: usize, told: String) {
        let told = format!("{}:{line}: {told}", self.name);
        self.failures.push(Failure {
            told,
            is_verdicts: false,
        });
    }

    fn policy(&mut self, block: &Block) -> Compiled {
        let (text, marks) = unmarked(block);
        let compiled = compiled(&full_hashes(&text));
        self.compare(block, &marks, &compiled.diagnostics, &compiled.sources);
        compiled
    }

    fn run_file(&mut self, policy: &Compiled, block: &Block, recorded: Option<&Block>) {
        let flags = match flags(&block.flags) {
            Ok(flags) => flags,
            Err(told) => return self.fail(block.line - 1, told),
        };
        if has_errors(&policy.diagnostics) {
            return self.fail(block.line, "the policy above does not compile".into());
        }
        let (text, marks) = unmarked(block);
        let (report, sources) = judged(policy, &text, flags);
        let found: Vec<Diagnostic> = report.runs.iter().flat_map(|run| run.diagnostics.clone()).collect();
        self.compare(block, &marks, &found, &sources);
        let got = told(&report);
        let Some(recorded) = recorded else {
            let after = block.line + block.text.lines().count();
            self.edits.push((after + 1, 0, format!("```verdicts\n{got}```")));
            let told = format!(
                "{}:{}: no verdicts follow; got\n{}",
                self.name,
                block.line,
                indented(&got)
            );
            self.failures.push(Failure {
                told,
                is_verdicts: true,
            });
            return;
        };
        if recorded.text != got {
            self.edits
                .push((recorded.line, recorded.text.lines().count(), got.clone()));
            let told = format!(
                "{}:{}: expected\n{}\n  got\n{}",
                self.name,
                recorded.line,
                indented(&recorded.text),
                indented(&got)
            );
            self.failures.push(Failure {
                told,
                is_verdicts: true,
            });
        }
    }

    /// Compares the marks of a block with the diagnostics of its text, line by line.
    fn compare(&mut self, block: &Block, marks: &[Mark], found: &[Diagnostic], sources: &Sources) {
        let line_of = |diagnostic: &Diagnostic| {
            diagnostic
                .place()
                .map_or(1, |place| sources.get(place.source).line(place.span.start))
        };
        for line in 1..=block.text.lines().count().max(1) {
            let at = block.line + line - 1;
            let mut here: Vec<&Diagnostic> = found.iter().filter(|d| line_of(d) == line).collect();
            let mut missing: Vec<&str> = Vec::new();
            for mark in marks.iter().filter(|mark| mark.line == line) {
                let named = |d: &&Diagnostic| d.code.name() == mark.code;
                let says = |d: &&Diagnostic| mark.says.as_ref().is_none_or(|text| said(d).contains(text.as_str()));
                if let Some(index) = here.iter().position(|d| named(d) && says(d)) {
                    here.remove(index);
                } else if let Some(index) = here.iter().position(named) {
                    let got = said(here.remove(index));
                    let text = mark.says.as_deref().unwrap_or_default();
                    self.fail(
                        at,
                        format!("expected {} to say `{text}`, got\n{}", mark.code, indented(&got)),
                    );
                } else {
                    missing.push(&mark.code);
                }
            }
            if !missing.is_empty() || !here.is_empty() {
                let expected = if missing.is_empty() {
                    "nothing".to_owned()
                } else {
                    missing.join(" ")
                };
                let got: Vec<String> = here.iter().map(|d| format!("{}: {}", d.code.name(), said(d))).collect();
                let got = if got.is_empty() {
                    "nothing".to_owned()
                } else {
                    got.join("\n")
                };
                let text = block.text.lines().nth(line - 1).unwrap_or_default();
                self.fail(at, format!("expected {expected}, got {got}\n  {text}"));
            }
        }
    }
}

/// A diagnostic that a line of a block asks for.
struct Mark {
    /// The line inside the block, counted from 1.
    line: usize,
    code: String,
    says: Option<String>,
}

/// The text of a block without its marks, and the marks.
fn unmarked(block: &Block) -> (String, Vec<Mark>) {
    let mut text = String::new();
    let mut marks = Vec::new();
    for (index, line) in block.text.lines().enumerate() {
        let mut parts = line.split("#~");
        let code = parts.next().unwrap_or_default();
        let mut marked = false;
        for part in parts {
            marked = true;
            let line = index + 1;
            if let Some((code, says)) = part.split_once(':') {
                marks.push(Mark {
                    line,
                    code: code.trim().into(),
                    says: Some(says.trim().into()),
                });
            } else {
                let codes = part.split_whitespace();
                marks.extend(codes.map(|code| Mark {
                    line,
                    code: code.into(),
                    says: None,
                }));
            }
        }
        text.push_str(if marked { code.trim_end() } else { code });
        text.push('\n');
    }
    for mark in &marks {
        assert!(
            Code::named(&mark.code).is_some(),
            "line {}: `{}` is no code",
            block.line + mark.line - 1,
            mark.code
        );
    }
    (text, marks)
}

/// `sha256 "9f2c…"` as a hash of 64 digits.
fn full_hashes(text: &str) -> String {
    let mut parts = text.split("sha256 \"");
    let mut full = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        full.push_str("sha256 \"");
        match part.split_once("…\"") {
            Some((digits, rest)) if digits.chars().all(|c| c.is_ascii_hexdigit()) => {
                full.push_str(&format!("{digits:0<64}\"{rest}"));
            }
            _ => full.push_str(part),
        }
    }
    full
}

/// Everything that a diagnostic says.
pub(super) fn said(diagnostic: &Diagnostic) -> String {
    let mut said = diagnostic.message.clone();
    let labels = diagnostic.labels.iter().map(|label| &label.text);
    let rest = labels
        .chain(&diagnostic.notes)
        .chain(&diagnostic.help)
        .chain(&diagnostic.instead);
    for text in rest.filter(|text| !text.is_empty()) {
        said.push_str("\n  | ");
        said.push_str(text);
    }
    said
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The text of a verdicts block.
fn told(report: &CheckReport) -> String {
    let judgements = report.runs.iter().filter_map(|run| run.judgement.as_ref());
    let mut lines: Vec<String> = match &report.policy {
        Some(policy) => judgements
            .flat_map(|judgement| verdicts(policy, judgement, report.strict))
            .collect(),
        None => Vec::new(),
    };
    lines.push(format!("exit {}", report.exit_code()));
    lines.join("\n") + "\n"
}

fn verdicts(policy: &Policy, judgement: &Judgement, strict: bool) -> Vec<String> {
    let mut told: Vec<String> = judgement
        .findings
        .iter()
        .map(|finding| {
            let subject = finding.subject.as_deref().unwrap_or_default();
            match finding.code {
                Code::NotCovered => "not covered".to_owned(),
                Code::Over => format!("over {subject}: outside of the premise"),
                _ => format!("open {subject}: whether the run is covered"),
            }
        })
        .collect();
    if judgement.coverage == Coverage::NotCovered {
        return told;
    }
    for judged in &judgement.lines {
        let line = &policy.lines[judged.line];
        let level = if line.level == Level::Advise && !strict {
            "advise "
        } else {
            ""
        };
        let word = match &judged.verdict {
            Verdict::NotApplicable { .. } => "n/a",
            verdict => verdict.word(),
        };
        let mut text = format!("{level}{word} {}", line.subject());
        if let Verdict::Open { conditions, .. } = &judged.verdict {
            let conditions: Vec<String> = conditions
                .iter()
                .filter(|condition| condition.within.is_some() || condition.fact != line.subject())
                .map(|condition| match &condition.within {
                    Some(values) => format!("within for {} {values}", condition.fact),
                    None => format!("{} not by itself", condition.fact),
                })
                .collect();
            if !conditions.is_empty() {
                text = format!("{text}: {}", conditions.join("; "));
            }
        }
        told.push(text);
        // What is over or open is shown, and nothing else is.
        let is_shown = matches!(judged.verdict, Verdict::Over { .. } | Verdict::Open { .. });
        assert_eq!(judged.diagnostic.is_some(), is_shown, "{}", line.subject());
        let weight = judged.diagnostic.as_ref().map(|finding| finding.severity);
        let expected = if level.is_empty() {
            Severity::Error
        } else {
            Severity::Advice
        };
        assert!(weight.is_none_or(|weight| weight == expected), "{}", line.subject());
    }
    told
}
