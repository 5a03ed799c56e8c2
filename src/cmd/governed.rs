//! A governed run with its journal, its progress and its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::progress::Progress;
use super::rundir::{self, RunDirectory};
use super::signals::Signals;
use super::{BAD_INPUT, Failure, Outcome, terminal};
use crate::diag::Diagnostic;
use crate::diag::render::{Style, render};
use crate::facts::Recipe;
use crate::guard::{self, Guard};
use crate::ir::Policy;
use crate::ledger::{Entry, Journal, Schedule, Start, Why};
use crate::report::train::{self as report, MovedWords, Repeated};
use crate::source::{SourceId, Sources, sha256};
use crate::train::error::{Error, Result};
use crate::train::machine;
use crate::train::measure::Meters;
use crate::train::probe::Probe;
use crate::train::run::{self, Event, Phase, Told, Unresolved, Watch};
use crate::train::setup::Setup;

/// The exit code of a run that a limit ended.
const STOPPED: u8 = 1;
/// Prompts whose samples are shown side by side at the end.
const MOST_SAMPLES: usize = 2;
/// Characters of a text that a report quotes.
const MOST_QUOTED: usize = 60;

/// What a governed run is made from.
pub(super) struct Governed<'g> {
    pub(super) style: Style,
    pub(super) sources: &'g Sources,
    pub(super) policy: &'g Policy,
    pub(super) run: SourceId,
    pub(super) later: &'g [usize],
    pub(super) strict: bool,
    pub(super) recipe: &'g Recipe,
    pub(super) setup: &'g Setup,
    pub(super) probes: &'g BTreeMap<usize, Probe>,
    pub(super) meters: &'g Meters<'g>,
    pub(super) out: &'g Path,
    pub(super) signals: &'g Signals,
}

/// Trains, and leaves the run directory.
pub(super) fn run(governed: Governed<'_>, guard: &mut Guard, directory: RunDirectory) -> Outcome {
    let policy_text = governed.sources.get(governed.policy.source).text();
    let run_text = governed.sources.get(governed.run).text();
    directory.write("policy.riskpolicy", policy_text.as_bytes())?;
    directory.write("run.yaml", run_text.as_bytes())?;

    let setup = governed.setup;
    let meters = governed.meters;
    guard.spread_over(guard::Clock::Dose(setup.engine.course));
    let mut live = Live {
        governed: &governed,
        directory,
        journal: Journal::new(),
        progress: Progress::new(setup.engine.updates()),
        clock: Clock::default(),
        failure: None,
        tokens: 0,
        limits: guard.clone(),
        breached: Vec::new(),
        unresolved: Vec::new(),
    };
    live.record(&Entry::Start(Box::new(governed.start(policy_text, run_text))))
        .map_err(|error| live.failure.take().unwrap_or_else(|| failed(error)))?;
    let ended = run::run(
        &setup.engine,
        meters,
        governed.policy,
        guard,
        setup.start.clone(),
        &mut live,
    );
    live.progress.close();
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) => return Err(live.failure.take().unwrap_or_else(|| failed(error))),
    };

    let saves = !matches!(outcome.end, Why::NotStarted | Why::Unresolved);
    if saves {
        let peft = outcome
            .kept
            .adapter
            .save(&governed.recipe.model.value)
            .map_err(failed)?;
        live.directory.write_folder(
            rundir::ADAPTER,
            &[
                ("adapter_config.json", &peft.config),
                ("adapter_model.safetensors", &peft.model),
            ],
        )?;
    }
    let code = match (outcome.end, governed.signals.asked()) {
        (Why::Finished, _) => 0,
        (Why::Unresolved, _) => BAD_INPUT,
        (Why::Interrupted, Some(signal)) => 128 + signal,
        _ => STOPPED,
    };
    let budgets = report::budgets(guard, governed.policy);
    let walked: Vec<report::Walked> = outcome
        .lengths
        .iter()
        .filter_map(|(probe, length)| {
            Some(report::Walked {
                probe: governed.policy.probes.get(*probe)?.name.clone(),
                path: length.path,
                displacement: length.displacement,
            })
        })
        .collect();
    let summary = report::TrainSummary {
        policy: &governed.policy.name,
        end: outcome.end.word(),
        exit_code: code,
        walked: &walked,
        updates: setup.engine.updates(),
        proposed: outcome.proposed,
        saved_from: saves.then_some(outcome.kept.proposals),
        halvings: guard.halvings(),
        clock: report::clock(guard),
        budgets,
        journal_head: live.journal.head().to_owned(),
    };
    live.directory
        .write(rundir::SUMMARY, report::summary_json(&summary).as_bytes())?;

    let breached = live.breached.iter().map(|told| told.told(governed.policy));
    let drawn: Vec<String> = breached
        .chain(live.unresolved)
        .map(|told| render(&told, governed.sources, governed.style))
        .collect();
    // A blank line parts the run from the check above it.
    let mut text = String::from("\n");
    for drawn in drawn {
        text.push_str(&drawn);
        text.push('\n');
    }
    text.push_str(&report::budget_table(&summary.budgets));
    text.push_str(&report::walked(summary.walked));
    text.push_str(&report::outlook(&summary.budgets, guard));
    text.push('\n');
    text.push_str(&governed.said(meters, &outcome).map_err(failed)?);
    text.push_str(&report::end(
        &summary,
        &governed.out.join(rundir::ADAPTER).display().to_string(),
    ));
    terminal::print(&text)?;
    terminal::note(&live.clock.told(live.tokens));
    Ok(code)
}

impl Governed<'_> {
    fn start(&self, policy: &str, run: &str) -> Start {
        Start {
            format: crate::ledger::FORMAT,
            ftrisk: env!("CARGO_PKG_VERSION").to_owned(),
            policy: sha256(policy.as_bytes()),
            run: sha256(run.as_bytes()),
            model: self.setup.model_files.clone(),
            data: self.setup.data_files.clone(),
            probes: self
                .policy
                .probes
                .iter()
                .filter_map(|probe| Some((probe.name.clone(), probe.sha256.clone()?)))
                .collect(),
            seed: self.recipe.seed.value,
            threads: machine::threads() as u64,
            cpu: machine::features(),
            later: self.later.to_vec(),
            updates: self.setup.engine.updates(),
            schedule: Some(Schedule::of(&self.setup.engine.course)),
            strict: self.strict,
            waivers: self.policy.applied(),
        }
    }

    /// What base and tuned model say to the same prompts.
    fn said(&self, meters: &Meters<'_>, outcome: &run::Outcome) -> Result<String> {
        let Some((index, probe)) = self
            .probes
            .iter()
            .find(|(_, probe)| probe.kind == crate::quantity::ProbeKind::Prompts)
        else {
            return Ok(String::new());
        };
        let (Some(base), Some(tuned)) = (
            meters.samples(*index, &self.setup.start.adapter)?,
            meters.samples(*index, &outcome.kept.adapter)?,
        ) else {
            return Ok(String::new());
        };
        // From the end of the list, where the data set's own format is, to the plain ones.
        let sayings = probe
            .rows
            .iter()
            .zip(base.iter().zip(&tuned))
            .rev()
            .take(MOST_SAMPLES)
            .map(|(row, (base, tuned))| {
                Ok(report::Saying {
                    prompt: end_of(&row.text),
                    base: self.setup.answer(base)?,
                    tuned: self.setup.answer(tuned)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(report::sayings(&sayings))
    }

    fn words(&self, told: &Told) -> MovedWords {
        let mut words = MovedWords {
            phrasing: told.phrasing.clone(),
            ..MovedWords::default()
        };
        let probe = told.breach.probe.and_then(|probe| self.probes.get(&probe));
        let (Some(moved), Some(probe)) = (&told.moved, probe) else {
            return words;
        };
        let token = |(token, mass): &(u32, f64)| (self.setup.decode(&[*token]).unwrap_or_default(), *mass);
        let rows = moved.prompts.iter().filter_map(|(row, drift)| {
            let row = probe.rows.get(*row)?;
            Some((format!("{} {:?}", row.id, quoted(&row.text)), *drift))
        });
        words.rows = rows.collect();
        words.gained = moved.gained.iter().map(token).collect();
        words.lost = moved.lost.iter().map(token).collect();
        words
    }
}

/// The beginning of a text.
fn quoted(text: &str) -> String {
    if text.chars().count() <= MOST_QUOTED {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MOST_QUOTED).collect();
    short.push('…');
    short
}

/// The end of a text: templates begin prompts alike.
fn end_of(text: &str) -> String {
    let count = text.chars().count();
    if count <= MOST_QUOTED {
        return text.to_owned();
    }
    std::iter::once('…')
        .chain(text.chars().skip(count - MOST_QUOTED))
        .collect()
}

fn failed(error: Error) -> Failure {
    Failure(error.message)
}

struct Live<'l, 'g> {
    governed: &'l Governed<'g>,
    directory: RunDirectory,
    journal: Journal,
    progress: Progress,
    clock: Clock,
    /// What the disk said, since the engine only knows its own errors.
    failure: Option<Failure>,
    tokens: u64,
    /// The limits as armed, for drawing.
    limits: Guard,
    breached: Vec<Repeated>,
    /// Limits that their probes cannot resolve.
    unresolved: Vec<Diagnostic>,
}

impl Watch for Live<'_, '_> {
    fn record(&mut self, entry: &Entry) -> Result<()> {
        let line = self.journal.line(entry);
        self.directory.record(&line).map_err(|failure| {
            self.failure = Some(failure);
            Error::new("the journal cannot be kept")
        })
    }

    fn see(&mut self, event: Event<'_>) {
        match event {
            Event::Phase(phase) => self.clock.enter(phase),
            Event::Begins { guard } => {
                self.limits = guard.clone();
                self.progress.begin();
            }
            Event::Breached { told, decision } => {
                if Repeated::take(&mut self.breached, &told.breach, decision) {
                    return;
                }
                let Some(limit) = self.limits.limits().iter().find(|limit| limit.line == told.breach.line) else {
                    return;
                };
                let words = self.governed.words(told);
                let drawn = report::breach(&told.breach, decision, limit, self.governed.policy, &words);
                self.progress.say(&format!("{}: {}", drawn.kind(), drawn.message));
                self.breached.push(Repeated::new(drawn, &told.breach, decision));
            }
            Event::Unresolved { found } => {
                let policy = self.governed.policy;
                let drawn = match found {
                    Unresolved::Coarse(found) => report::unresolvable(policy, &found),
                    Unresolved::Noise { line, floor } => report::below_noise(policy, line, floor),
                };
                self.unresolved.extend(drawn);
            }
            Event::Suspected { update, suspect } => {
                let places = &self.governed.setup.engine.places;
                if let Some((file, row)) = places.get(suspect.row) {
                    self.progress
                        .say(&report::suspect(update, file, *row, suspect.alone, suspect.others));
                }
            }
            Event::Update {
                update,
                step,
                is_evaluated,
                guard,
                ..
            } => {
                self.tokens += step.tokens;
                self.progress
                    .update(update, step.loss, step.tokens, is_evaluated, guard);
                let times = json!({ "update": update, "milliseconds": self.clock.update() });
                // A lost duration is no reason to lose a run.
                let _ = self.directory.time(&times.to_string());
            }
        }
    }

    fn is_interrupted(&self) -> bool {
        self.governed.signals.asked().is_some()
    }
}

/// Where the time goes.
#[derive(Default)]
struct Clock {
    now: Option<(Phase, Instant)>,
    this_update: BTreeMap<&'static str, f64>,
    all: BTreeMap<&'static str, Duration>,
}

impl Clock {
    fn enter(&mut self, phase: Phase) {
        self.leave();
        self.now = Some((phase, Instant::now()));
    }

    fn leave(&mut self) {
        if let Some((phase, since)) = self.now.take() {
            let took = since.elapsed();
            *self.all.entry(phase.word()).or_default() += took;
            *self.this_update.entry(phase.word()).or_default() += took.as_secs_f64() * 1000.0;
        }
    }

    /// The milliseconds of the update that ends here, by phase.
    fn update(&mut self) -> BTreeMap<&'static str, f64> {
        self.leave();
        std::mem::take(&mut self.this_update)
    }

    /// One line about the whole run.
    fn told(&self, tokens: u64) -> String {
        let seconds: f64 = self.all.values().map(Duration::as_secs_f64).sum();
        let parts: Vec<String> = self
            .all
            .iter()
            .map(|(phase, took)| format!("{phase} {:.0} %", 100.0 * took.as_secs_f64() / seconds.max(1e-9)))
            .collect();
        format!(
            "{seconds:.1} s, {:.0} tokens/s; {}",
            tokens as f64 / seconds.max(1e-9),
            parts.join(", ")
        )
    }
}
