//! `ftrisk check`

use std::path::Path;

use super::args::{CheckArgs, Color, Format};
use super::{BAD_INPUT, Outcome, files, terminal};
use crate::adapt::{self, Beside, Launch};
use crate::ir::Policy;
use crate::report::{self, CheckReport, RunReport};
use crate::source::{SourceId, Sources};
use crate::{check, sema};

pub(super) fn run(args: &CheckArgs, color: Color) -> Outcome {
    if is_swapped("check", &args.policy) {
        return Ok(BAD_INPUT);
    }
    if args.runs.len() > 1 && !args.overrides.is_empty() {
        terminal::complain("values behind `--` belong to one run file, and several are named: check them one by one");
        return Ok(BAD_INPUT);
    }
    let mut sources = Sources::default();
    let report = report_of(args, &mut sources);
    let text = match args.format {
        Format::Json => report::check_json(&report, &sources),
        Format::Text => report::check_text(&report, &sources, terminal::style(color), args.verbose),
    };
    terminal::print(&text)?;
    Ok(report.exit_code())
}

/// Whether the run file was named first; says so.
pub(super) fn is_swapped(command: &str, policy: &str) -> bool {
    let is_run = policy.ends_with(".yaml") || policy.ends_with(".yml");
    if is_run {
        terminal::complain(&format!(
            "the policy comes first, and {policy} looks like a run file: `ftrisk {command} POLICY RUN`"
        ));
    }
    is_run
}

fn report_of(args: &CheckArgs, sources: &mut Sources) -> CheckReport {
    let mut report = compiled(&args.policy, args.strict, sources);
    let launch = args.launch.launch();
    let mut beside = match files::beside(&args.launch.with, args.facts.as_deref(), sources) {
        Ok(beside) => beside,
        Err(finding) => {
            report.diagnostics.push(*finding);
            return report;
        }
    };
    if !args.overrides.is_empty() {
        beside.overrides = Some(sources.add("command line", adapt::command::quoted(&args.overrides)));
    }
    if let (Some(policy), [], Some(facts)) = (report.judging(), args.runs.as_slice(), &args.facts) {
        report.runs = vec![judged(policy, facts, None, (launch, &beside), args.strict, sources)];
    } else if let Some(policy) = report.judging() {
        let runs = args.runs.iter().map(|path| match files::run(path, sources) {
            Ok(source) => judged(policy, path, Some(source), (launch, &beside), args.strict, sources),
            Err(finding) => RunReport {
                diagnostics: vec![*finding],
                ..unread(path)
            },
        });
        report.runs = runs.collect();
    }
    report
}

/// A policy with what is wrong with it and its probes, and no run yet.
pub(super) fn compiled(policy_file: &str, strict: bool, sources: &mut Sources) -> CheckReport {
    let mut report = CheckReport {
        policy_file: policy_file.to_owned(),
        policy: None,
        diagnostics: Vec::new(),
        runs: Vec::new(),
        strict,
    };
    match files::policy(policy_file, sources) {
        Ok(source) => {
            let compiled = sema::compile(source, sources);
            report.diagnostics = compiled.diagnostics;
            report.policy = compiled.policy;
        }
        Err(finding) => report.diagnostics.push(*finding),
    }
    if let Some(policy) = &report.policy {
        report.diagnostics.extend(files::probes(policy, policy_file, sources));
    }
    report
}

/// A run file under a policy, with what is beside it; without one, the facts that are.
pub(super) fn judged(
    policy: &Policy,
    path: &Path,
    source: Option<SourceId>,
    (launch, beside): (Launch, &Beside),
    strict: bool,
    sources: &Sources,
) -> RunReport {
    let read = adapt::read_beside(source, sources, launch, beside);
    let mut run = RunReport {
        diagnostics: read.diagnostics,
        ..unread(path)
    };
    if let Some(facts) = read.facts {
        run.framework = Some(facts.framework);
        run.judgement = Some(check::judge(policy, &facts, sources, strict));
    }
    run
}

fn unread(path: &Path) -> RunReport {
    RunReport {
        file: path.display().to_string(),
        framework: None,
        diagnostics: Vec::new(),
        judgement: None,
    }
}
