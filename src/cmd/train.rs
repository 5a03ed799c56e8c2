//! `ftrisk train`: checks first, then trains inside the budgets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{Color, TrainArgs};
use super::check::is_swapped;
use super::gate::{Passed, Stopped, armed, gate};
use super::governed::{self, Governed};
use super::rundir::{Claim, RunDirectory};
use super::signals::Signals;
use super::{BAD_INPUT, Failure, Outcome, files, kept, terminal};
use crate::adapt::{self, Beside, Launch};
use crate::builtin;
use crate::diag::render::render;
use crate::diag::{Code, Diagnostic, has_errors};
use crate::facts::Recipe;
use crate::guard::{Armed, Guard};
use crate::ir::{self, Policy};
use crate::meter::tone::Lexicon;
use crate::quantity::{ProbeKind, Quantity};
use crate::report::{self, CheckReport};
use crate::source::{Place, SourceId, Sources};
use crate::train::data::files::{self as data, Data};
use crate::train::error::Error;
use crate::train::measure::Meters;
use crate::train::probe::Probe;
use crate::train::setup::Setup;

/// A finding that ends the command before the first update.
pub(super) type Refused<T> = Result<T, Vec<Diagnostic>>;

/// What is known of a run that the check lets through.
pub(super) struct Checked {
    pub(super) policy: Policy,
    pub(super) run: SourceId,
    pub(super) read: adapt::Trained,
    pub(super) data: Option<Result<Data, Error>>,
    /// The lines that wait for a reading.
    pub(super) later: Vec<usize>,
}

/// The check, and what it prints. `Err` has the code that the command ends with.
pub(super) fn checked(
    command: &str,
    files: (&str, &Path),
    strict: bool,
    sources: &mut Sources,
    color: Color,
) -> Result<Result<Checked, u8>, Failure> {
    if is_swapped(command, files.0) {
        return Ok(Err(BAD_INPUT));
    }
    let (report, outcome) = examined(files, strict, sources);
    terminal::print(&report::check_text(&report, sources, terminal::style(color), false))?;
    match outcome {
        Ok(checked) => Ok(Ok(checked)),
        Err(Stopped { code, causes, .. }) => {
            refuse(&causes, sources, color)?;
            Ok(Err(code))
        }
    }
}

/// What the recipe and its data come to.
type Found = (adapt::Trained, Option<Result<Data, Error>>);

/// The check, without a word.
pub(super) fn examined(
    files: (&str, &Path),
    strict: bool,
    sources: &mut Sources,
) -> (CheckReport, Result<Checked, Stopped<Found>>) {
    // First the check: nothing is loaded for a run that is over. How many rows a pass walks is known here without a
    // flag; what else is wrong with the data is said after the verdicts.
    let launch = |run: SourceId, sources: &Sources| {
        let read = adapt::recipe(run, sources);
        let data = read.recipe.as_ref().map(data::read);
        let rows = match &data {
            Some(Ok(data)) => Some(data.examples.len() as u64),
            _ => None,
        };
        let launch = Launch {
            world_size: Some(1),
            dataset_rows: rows,
            ..Launch::default()
        };
        (launch, (read, data))
    };
    let (report, outcome) = gate(files, &Beside::default(), strict, sources, launch);
    let outcome = match outcome {
        Ok(Passed {
            policy,
            run,
            later,
            found: (read, data),
        }) => Ok(Checked {
            policy,
            run,
            read,
            data,
            later,
        }),
        Err(mut stopped) => {
            if let (BAD_INPUT, Some((read, data))) = (stopped.code, &stopped.found) {
                // What is open may be so because the data could not be counted or the file is none that is trained, and
                // no flag of this command would help there.
                let is_told = |finding: &&Diagnostic| finding.code == Code::NotTrained;
                stopped.causes.extend(read.diagnostics.iter().filter(is_told).cloned());
                stopped
                    .causes
                    .extend(data.as_ref().and_then(|data| data.as_ref().err()).map(train_input));
            }
            Err(stopped)
        }
    };
    (report, outcome)
}

pub(super) fn run(args: &TrainArgs, color: Color) -> Outcome {
    let mut sources = Sources::default();
    let style = terminal::style(color);
    let Checked {
        policy,
        run,
        read,
        data,
        later,
    } = match checked("train", (&args.policy, &args.run), args.strict, &mut sources, color)? {
        Ok(checked) => checked,
        Err(code) => return Ok(code),
    };
    let without_effect = read.without_effect;
    let prepared = armed(&policy, &later, args.strict).and_then(|guard| {
        let recipe = match read.recipe {
            Some(recipe) if !has_errors(&read.diagnostics) => recipe,
            _ => return Err(read.diagnostics),
        };
        let out = out_of(args, &recipe)?;
        let data = match data {
            Some(data) => data.map_err(|error| vec![train_input(&error)])?,
            None => return Err(read.diagnostics),
        };
        let setup = Setup::new(&recipe, data).map_err(|error| vec![train_input(&error)])?;
        let probes = probes(&policy, &guard, &args.policy, &setup)?;
        let lexicon = lexicon(&policy, &guard, &args.policy, &setup)?;
        resolved(&policy, &guard, &probes, &setup)?;
        Ok((guard, recipe, out, setup, probes, lexicon))
    });
    let (mut guard, recipe, out, setup, probes, lexicon) = match prepared {
        Ok(prepared) => prepared,
        Err(findings) => return refuse(&findings, &sources, color),
    };
    for line in without(&without_effect) {
        terminal::note(&line);
    }
    let signals = Signals::watch()?;
    let decode = |tokens: &[u32]| setup.decode(tokens);
    let meters = Meters::new(&setup.engine, &probes, &decode, &lexicon, guard.needs())
        .map_err(|error| Failure(error.message))?;
    if let Some(finding) = kept::misdrawn(&meters, &policy, &args.policy, &setup) {
        return refuse(&[finding], &sources, color);
    }
    let directory = match RunDirectory::claim(&out) {
        Ok(directory) => directory,
        Err(Claim::Taken) => return refuse(&[taken(&out, None)], &sources, color),
        Err(Claim::Failed(failure)) => return Err(failure),
    };
    governed::run(
        Governed {
            style,
            sources: &sources,
            policy: &policy,
            run,
            later: &later,
            strict: args.strict,
            recipe: &recipe,
            setup: &setup,
            probes: &probes,
            meters: &meters,
            out: &out,
            signals: &signals,
        },
        &mut guard,
        directory,
    )
}

/// The keys that change nothing here, once, by the reason.
fn without(keys: &[(String, Place, &'static str)]) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, _, why) in keys {
        by_reason.entry(why).or_default().push(key);
    }
    by_reason
        .iter()
        .map(|(why, keys)| format!("without effect here: {} ({why})", keys.join(", ")))
        .collect()
}

pub(super) fn refuse(findings: &[Diagnostic], sources: &Sources, color: Color) -> Outcome {
    let style = terminal::style(color);
    let drawn: Vec<String> = findings.iter().map(|finding| render(finding, sources, style)).collect();
    terminal::print(&drawn.join("\n"))?;
    Ok(BAD_INPUT)
}

/// The run directory: the flag's, else the run file's.
fn out_of(args: &TrainArgs, recipe: &Recipe) -> Refused<PathBuf> {
    let (out, place) = match (&args.out, &recipe.output_dir) {
        (Some(out), _) => (out.clone(), None),
        (None, Some(out)) => (PathBuf::from(&out.value), out.place),
        (None, None) => {
            let finding = Diagnostic::new(Code::RunDirectory, "the run file names no output_dir")
                .help("write `output_dir`, or say --out DIR: a run leaves a journal and an adapter");
            return Err(vec![finding]);
        }
    };
    if RunDirectory::is_taken(&out) {
        return Err(vec![taken(&out, place)]);
    }
    Ok(out)
}

fn taken(out: &Path, place: Option<Place>) -> Diagnostic {
    let finding = Diagnostic::new(Code::RunDirectory, format!("{} already holds something", out.display()))
        .help("say --out DIR for another directory, or move this one away: a run is never written over another");
    match place {
        Some(place) => finding.at(place, "the run directory"),
        None => finding,
    }
}

pub(super) fn train_input(error: &Error) -> Diagnostic {
    let finding = Diagnostic::new(Code::TrainInput, error.message.clone());
    match &error.help {
        Some(help) => finding.help(help.clone()),
        None => finding.help("repair or restore what is named; nothing was trained"),
    }
}

/// The probes that armed limits read, by their index in the policy.
pub(super) fn probes(
    policy: &Policy,
    guard: &Guard,
    policy_file: &str,
    setup: &Setup,
) -> Refused<BTreeMap<usize, Probe>> {
    let mut probes = BTreeMap::new();
    for index in guard.limits().iter().filter_map(|limit| limit.probe) {
        if let Some(declared) = policy.probes.get(index).filter(|_| !probes.contains_key(&index)) {
            let mut probe = probe(declared, policy_file, setup)?;
            kept::load(declared, policy_file, setup, &mut probe).map_err(|finding| vec![*finding])?;
            probes.insert(index, probe);
        }
    }
    Ok(probes)
}

/// The words that tone is read by: those of the policy, where it declares some, else the shipped ones.
pub(super) fn lexicon(policy: &Policy, guard: &Guard, policy_file: &str, setup: &Setup) -> Refused<Lexicon> {
    let is_read = |limit: &Armed| limit.quantity == Quantity::ToneAbsolutes;
    if !guard.limits().iter().any(is_read) {
        return Ok(Lexicon::new([]));
    }
    let words = match policy.probes.iter().find(|probe| probe.kind == ProbeKind::Words) {
        Some(declared) => probe(declared, policy_file, setup)?,
        None => {
            let shipped = builtin::probe(builtin::WORDS).map_or(&[] as &[u8], |probe| probe.bytes);
            setup
                .probe("words", builtin::WORDS, ProbeKind::Words, shipped)
                .map_err(|error| vec![train_input(&error)])?
        }
    };
    Ok(Lexicon::new(words.rows.into_iter().map(|row| row.text)))
}

/// Refuses limits that their probes are too small to hold.
pub(super) fn resolved(policy: &Policy, guard: &Guard, probes: &BTreeMap<usize, Probe>, setup: &Setup) -> Refused<()> {
    let rows = |probe: usize| probes.get(&probe).map_or(0, |probe| probe.rows.len() as u64);
    // Before the first update, at the cadence, and after the last.
    let every = guard.needs().iter().map(|need| need.every).min().unwrap_or(1).max(1);
    let looks = setup.engine.updates() / every + 2;
    let unresolvable = guard.resolves(rows, looks);
    let findings: Vec<Diagnostic> = unresolvable
        .iter()
        .filter(|found| !found.advice)
        .filter_map(|found| report::train::unresolvable(policy, found))
        .collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// A probe as the model reads it.
pub(super) fn probe(declared: &ir::Probe, policy_file: &str, setup: &Setup) -> Refused<Probe> {
    let bytes =
        files::measured_on(declared, policy_file, ["training", "training"]).map_err(|finding| vec![*finding])?;
    setup
        .probe(&declared.name, &declared.path, declared.kind, &bytes)
        .map_err(|error| vec![train_input(&error).at(declared.place, "measured on this")])
}
