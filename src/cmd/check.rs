//! `ftrisk check`

use std::borrow::Cow;
use std::path::PathBuf;

use super::args::{CheckArgs, Color, ReportFormat};
use super::judging::{Judging, Looked, NO_RUN};
use super::targets::{self, Target};
use super::{BAD_INPUT, Outcome, against, files, fix, many, terminal, waivers};
use crate::adapt::{self, Beside};
use crate::check;
use crate::diag::render::render;
use crate::ir::Day;
use crate::report::{CheckReport, Form, Tally, Totals, Writer};
use crate::sema;
use crate::source::Sources;

pub(super) fn run(args: &CheckArgs, color: Color) -> Outcome {
    let (policies, runs) = named(args);
    if policies.iter().any(|policy| is_swapped("check", policy)) {
        return Ok(BAD_INPUT);
    }
    if runs.is_empty() && args.facts.is_none() {
        terminal::complain(
            "no run is named: `ftrisk check --policy POLICY RUN`, where RUN is a file, a folder or a pattern",
        );
        return Ok(BAD_INPUT);
    }
    let today = args.as_of.unwrap_or_else(waivers::today);
    let mut sources = Sources::default();
    let policies: Vec<CheckReport> = policies
        .iter()
        .map(|policy| compiled(policy, args.strict, today, &mut sources))
        .collect();
    let beside = match beside(args, &mut sources) {
        Ok(beside) => beside,
        Err(finding) => {
            terminal::note(render(&finding, &sources, terminal::style(color)).trim_end());
            return Ok(BAD_INPUT);
        }
    };
    let judges = policies.iter().all(|report| report.judging().is_some());
    let targets = match &args.facts {
        _ if !judges => Vec::new(),
        Some(facts) if runs.is_empty() => vec![Target::Facts(facts.clone())],
        _ => targets::of(&runs),
    };
    if targets.len() > 1 && !args.overrides.is_empty() {
        terminal::complain("values behind `--` belong to one run file, and several are named: check them one by one");
        return Ok(BAD_INPUT);
    }
    let parent = match args
        .against
        .as_deref()
        .map(|named| against::named(named, &targets))
        .transpose()
    {
        Ok(parent) => parent,
        Err(complaint) => {
            terminal::complain(&complaint);
            return Ok(BAD_INPUT);
        }
    };
    let judging = Judging {
        policies: &policies,
        sources: &sources,
        launch: args.launch.launch(),
        beside: &beside,
        parent: parent.as_ref(),
        strict: args.strict,
        today,
    };
    if args.fix_diff && judges {
        return fix::run(&judging, &targets, args.fail_fast);
    }
    let writer = Writer {
        form: form(args, color),
        policies: &policies,
        sources: &sources,
        several: targets.len() > 1 || targets.iter().any(|target| matches!(target, Target::Found(_))),
    };
    told(&judging, &writer, &targets, args.fail_fast)
}

/// What the command line says of the launch beside the run file.
fn beside(args: &CheckArgs, sources: &mut Sources) -> files::Read<Beside> {
    let mut beside = files::beside(&args.launch.start.with, args.facts.as_deref(), sources)?;
    if !args.overrides.is_empty() {
        beside.overrides = Some(sources.add("command line", adapt::command::quoted(&args.overrides)));
    }
    Ok(beside)
}

/// The policies and the runs that are named: with `--policy`, everything else is a run.
fn named(args: &CheckArgs) -> (Vec<&str>, Cow<'_, [PathBuf]>) {
    if args.policies.is_empty() {
        return (
            args.policy.iter().map(String::as_str).collect(),
            Cow::Borrowed(&args.runs),
        );
    }
    let mut policies: Vec<&str> = Vec::new();
    for policy in &args.policies {
        if !policies.contains(&policy.as_str()) {
            policies.push(policy);
        }
    }
    let runs = args.policy.iter().map(PathBuf::from).chain(args.runs.iter().cloned());
    (policies, Cow::Owned(runs.collect()))
}

fn form(args: &CheckArgs, color: Color) -> Form {
    match args.format {
        ReportFormat::Text => Form::Text {
            style: terminal::style(color),
            verbose: args.verbose,
            quiet: args.quiet,
        },
        ReportFormat::Json => Form::Json,
        ReportFormat::Sarif => Form::Sarif,
        ReportFormat::Junit => Form::Junit,
        ReportFormat::Github => Form::Github,
    }
}

/// Judges the targets and prints the report as it comes.
fn told(judging: &Judging<'_>, writer: &Writer<'_>, targets: &[Target], fail_fast: bool) -> Outcome {
    let mut totals = Totals::new(judging.policies);
    let mut printer = Printer {
        between: writer.between(),
        some: false,
    };
    let look = |target: &Target| match judging.look(target) {
        Looked::NoRun { file, why } => (vec![writer.no_run(&file, &why)], None),
        Looked::Run { report, sources, .. } => (writer.file(&report, &sources), Some(Tally::of(&report))),
    };
    // With one file its exit code is that of the whole and can stand before it.
    let only = match targets {
        [only] => Some(look(only)),
        _ => None,
    };
    let early = match &only {
        Some((_, tally)) => Some(tally.as_ref().map_or(BAD_INPUT, Tally::code)),
        None => (!writer.judges()).then_some(BAD_INPUT),
    };
    terminal::print(&writer.head(early))?;
    printer.print(&writer.about_policies())?;
    let mut tell = |(pieces, tally): (Vec<String>, Option<Tally>)| {
        printer.print(&pieces)?;
        match &tally {
            Some(tally) => totals.add(tally),
            None => totals.not_runs += 1,
        }
        Ok(!(fail_fast && tally.is_some_and(|tally| tally.code() != 0)))
    };
    match only {
        Some(only) => {
            tell(only)?;
        }
        None => {
            let looked_at = many::in_order(targets, look, tell)?;
            totals.not_checked = targets.len() - looked_at;
        }
    }
    let code = totals.exit_code();
    terminal::print(&writer.tail(&totals, code, early.is_some(), printer.some))?;
    if writer.judges() && totals.files() == 0 {
        terminal::complain(NO_RUN);
    }
    Ok(code)
}

struct Printer {
    between: &'static str,
    some: bool,
}

impl Printer {
    fn print(&mut self, pieces: &[String]) -> Result<(), super::Failure> {
        let mut text = String::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            if self.some {
                text.push_str(self.between);
            }
            self.some = true;
            text.push_str(piece);
        }
        if text.is_empty() {
            Ok(())
        } else {
            terminal::print(&text)
        }
    }
}

/// Whether the run file was named first; says so.
pub(super) fn is_swapped(command: &str, policy: &str) -> bool {
    let is_run = [".yaml", ".yml", ".json", ".sh"]
        .iter()
        .any(|end| policy.ends_with(end));
    if is_run {
        terminal::complain(&format!(
            "the policy comes first, and {policy} looks like a run file: `ftrisk {command} POLICY RUN`"
        ));
    }
    is_run
}

/// A policy with what is wrong with it, its probes and, on that day, its waivers, and no run yet.
pub(super) fn compiled(policy_file: &str, strict: bool, today: Day, sources: &mut Sources) -> CheckReport {
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
        report.diagnostics.extend(check::dated(policy, today));
        report.diagnostics.extend(files::probes(policy, policy_file, sources));
    }
    report
}
