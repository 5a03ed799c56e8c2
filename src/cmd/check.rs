//! `ftrisk check`

use super::args::{CheckArgs, Color, Format};
use super::{BAD_INPUT, Outcome, files, terminal};
use crate::adapt::{self, Launch};
use crate::report::{self, CheckReport, RunReport};
use crate::source::Sources;
use crate::{check, sema};

pub(super) fn run(args: &CheckArgs, color: Color) -> Outcome {
    if args.policy.ends_with(".yaml") || args.policy.ends_with(".yml") {
        terminal::complain(&format!(
            "the policy comes first, and {} looks like a run file: `ftrisk check POLICY RUN`",
            args.policy
        ));
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

fn report_of(args: &CheckArgs, sources: &mut Sources) -> CheckReport {
    let mut report = CheckReport {
        policy_file: args.policy.clone(),
        policy: None,
        diagnostics: Vec::new(),
        runs: Vec::new(),
        strict: args.strict,
    };
    match files::policy(&args.policy, sources) {
        Ok(source) => {
            let compiled = sema::compile(source, sources);
            report.diagnostics = compiled.diagnostics;
            report.policy = compiled.policy;
        }
        Err(finding) => report.diagnostics.push(*finding),
    }
    let Some(policy) = &report.policy else {
        return report;
    };
    report.diagnostics.extend(files::probes(policy, &args.policy, sources));
    if crate::diag::has_errors(&report.diagnostics) {
        return report;
    }
    let launch = Launch {
        world_size: args.world_size,
        dataset_rows: args.dataset_rows,
        stage: args.stage,
    };
    for path in &args.runs {
        let mut run = RunReport {
            file: path.display().to_string(),
            framework: None,
            diagnostics: Vec::new(),
            judgement: None,
        };
        match files::run(path, sources) {
            Ok(source) => {
                let read = adapt::read(source, sources, launch);
                run.diagnostics = read.diagnostics;
                if let Some(facts) = read.facts {
                    run.framework = Some(facts.framework);
                    run.judgement = Some(check::judge(policy, &facts, sources, args.strict));
                }
            }
            Err(finding) => run.diagnostics.push(*finding),
        }
        report.runs.push(run);
    }
    report
}
