//! `ftrisk probe build`: draws once what drift on prompts is read along, and keeps it beside the probe.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::failed;
use crate::builtin;
use crate::cmd::args::{Color, ProbeBuildArgs};
use crate::cmd::gate::armed;
use crate::cmd::progress::Counted;
use crate::cmd::train::{Checked, checked, probe, refuse, train_input};
use crate::cmd::{Failure, Outcome, kept as place, rundir, terminal};
use crate::diag::{Code, Diagnostic, has_errors};
use crate::guard::{Look, Plan};
use crate::ir;
use crate::source::Sources;
use crate::train::kept;
use crate::train::measure::SAMPLE_TOKENS;
use crate::train::probe::Probe;
use crate::train::setup::Setup;

/// A probe whose answers are to be kept, and where.
struct Wanted<'p> {
    declared: &'p ir::Probe,
    probe: Probe,
    path: PathBuf,
}

pub(super) fn run(args: &ProbeBuildArgs, color: Color) -> Outcome {
    let mut sources = Sources::default();
    if args.policy.starts_with(builtin::PREFIX) {
        let finding = Diagnostic::new(
            Code::CannotRead,
            format!(
                "{} is inside the binary, and has no folder to keep anything in",
                args.policy
            ),
        )
        .help("print it into a file first: `ftrisk policy show NAME > my.riskpolicy`");
        return refuse(&[finding], &sources, color);
    }
    let files = (args.policy.as_str(), args.run.as_path());
    let checked = match checked("probe build", files, false, &mut sources, color)? {
        Ok(checked) => checked,
        Err(code) => return Ok(code),
    };
    let Checked {
        policy,
        read,
        data,
        later,
        ..
    } = checked;
    let prepared = armed(&policy, &later, false).and_then(|guard| {
        let (recipe, data) = match (read.recipe, data) {
            (Some(recipe), Some(data)) if !has_errors(&read.diagnostics) => (recipe, data),
            _ => return Err(read.diagnostics),
        };
        let data = data.map_err(|error| vec![train_input(&error)])?;
        let setup = Setup::new(&recipe, data).map_err(|error| vec![train_input(&error)])?;
        let kind = |index: usize| policy.probes.get(index).map(|probe| probe.kind);
        let looks = Plan::new(guard.needs(), kind).looks(|_| true);
        let read: BTreeSet<usize> = looks
            .into_iter()
            .filter_map(|look| match look {
                Look::Continuations(probe) => Some(probe),
                _ => None,
            })
            .collect();
        let mut wanted = Vec::new();
        for declared in read.into_iter().filter_map(|index| policy.probes.get(index)) {
            if let Some(path) = place::place(declared, &args.policy, &setup) {
                let probe = probe(declared, &args.policy, &setup)?;
                wanted.push(Wanted { declared, probe, path });
            }
        }
        Ok((setup, wanted))
    });
    let (setup, wanted) = match prepared {
        Ok(prepared) => prepared,
        Err(findings) => return refuse(&findings, &sources, color),
    };
    if wanted.is_empty() {
        let told = format!(
            "\nno limit of {} reads drift on prompts, so there is nothing to keep\n",
            args.policy
        );
        return terminal::print(&told).map(|()| 0);
    }

    let mut told = String::from("\n");
    for wanted in wanted {
        let prompts = wanted.probe.rows.len();
        let progress = Counted::new(prompts as u64, &format!("prompts of {}", wanted.probe.name));
        let hash = wanted.declared.sha256.as_deref().unwrap_or_default();
        let drawn = kept::draw(&setup, &wanted.probe, hash, &mut |seen| progress.at(seen as u64));
        progress.close();
        let text = match drawn {
            Ok(text) => text,
            // What a model lacks to be measured is help that somebody can follow; all else is ours.
            Err(error) if error.help.is_some() => return refuse(&[train_input(&error)], &sources, color),
            Err(error) => return Err(failed(error)),
        };
        let state = keep(&wanted.path, text.as_bytes())?;
        told.push_str(&format!(
            "{}  {state}: {} of answers of the base to the {prompts} prompts of {}, {SAMPLE_TOKENS} tokens each\n",
            wanted.path.display(),
            size(text.len()),
            wanted.probe.name,
        ));
    }
    terminal::print(&told).map(|()| 0)
}

/// Puts a file into its place, whole or not at all, whatever was there; says what became of it.
fn keep(path: &Path, bytes: &[u8]) -> Result<&'static str, Failure> {
    let state = match fs::read(path) {
        Ok(old) if old == bytes => return Ok("unchanged"),
        Ok(_) => "replaced",
        Err(_) => "written",
    };
    // Of another process no half of a file is taken over.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    rundir::put(Path::new(&beside), path, bytes)?;
    Ok(state)
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
