//! One run of a scenario, with the guard or without, and what it left.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, process};

use ftrisk::adapt::{self, Launch};
use ftrisk::guard::{Act, Guard};
use ftrisk::ir::{Asks, Policy, Verdict};
use ftrisk::ledger::Entry;
use ftrisk::meter::tone::Lexicon;
use ftrisk::quantity::Quantity;
use ftrisk::source::Sources;
use ftrisk::train::data::files;
use ftrisk::train::live::Live;
use ftrisk::train::measure::Meters;
use ftrisk::train::probe::Probe;
use ftrisk::train::run::{self, Event, Watch};
use ftrisk::train::setup::Setup;
use ftrisk::train::state::State;
use ftrisk::{builtin, check, sema};

use super::record::{Broken, Record};
use super::scenario::Scenario;
use super::{Outcome, POLICY};

/// What every run is measured by, whatever it was held to.
const READINGS: &str = r#"policy "readings"
probe text general "builtin:general.jsonl"
probe prompts "builtin:prompts.jsonl"
probe pairs "builtin:pairs.jsonl"
advise max drift.total 1 nats on general
advise min diversity.distinct_2 50% of base
advise max boundary.flips 50%
"#;

/// Runs a scenario.
pub fn play(scenario: &Scenario, seed: u64, governed: bool) -> Outcome<Record> {
    let folder = env::temp_dir().join(format!("ftrisk-scenarios-{}", process::id()));
    scenario.write_data(&folder)?;
    let played = run_in(scenario, seed, governed, &folder);
    fs::remove_dir_all(&folder)?;
    played
}

fn run_in(scenario: &Scenario, seed: u64, governed: bool, folder: &Path) -> Outcome<Record> {
    let mut sources = Sources::default();
    let policy_text = sources.add(POLICY, fs::read_to_string(POLICY)?);
    let policy = sema::compile(policy_text, &sources)
        .policy
        .ok_or("the policy has a mistake")?;
    let run_file = sources.add("run.yaml", scenario.run_file(folder, seed)?);
    let trained = adapt::recipe(run_file, &sources);
    let recipe = trained.recipe.ok_or_else(|| format!("{:?}", trained.diagnostics))?;
    let data = files::read(&recipe)?;
    let launch = Launch {
        world_size: Some(1),
        dataset_rows: Some(data.examples.len() as u64),
        ..Launch::default()
    };
    let facts = adapt::read(run_file, &sources, launch)
        .facts
        .ok_or("the run file gives no facts")?;
    let judgement = check::judge(&policy, &facts, &sources, false);
    let quantity = |line: usize| match policy.lines.get(line).map(|line| &line.asks) {
        Some(Asks::Limit(limit)) => Some(limit.quantity),
        _ => None,
    };
    let over = judgement
        .lines
        .iter()
        .filter(|judged| matches!(judged.verdict, Verdict::Over { .. }));
    let check = over
        .filter_map(|judged| Some(quantity(judged.line)?.name().to_owned()))
        .collect();
    // The guard is armed with what the check left to readings, although the check would have refused the run: the table
    // shows what the guard does about a run that got past it.
    let later: Vec<usize> = judgement.later().filter(|_| governed).collect();

    let setup = Setup::new(&recipe, data)?;
    let lexicon = Lexicon::new(std::iter::empty());
    let decode = |tokens: &[u32]| setup.decode(tokens);
    let mut guard = Guard::arm(&policy, &later, false).map_err(|lines| format!("no meter for lines {lines:?}"))?;
    let probes = probes(&policy, &setup)?;
    let meters = Meters::new(&setup.engine, &probes, &decode, &lexicon, guard.needs())?;
    let mut story = Story::default();
    let outcome = run::run(
        &setup.engine,
        &meters,
        &policy,
        &mut guard,
        setup.start.clone(),
        &mut story,
    )?;

    let readings_text = sources.add("readings.riskpolicy", READINGS);
    let readings = sema::compile(readings_text, &sources)
        .policy
        .ok_or("the readings have a mistake")?;
    let lines: Vec<usize> = (0..readings.lines.len()).collect();
    let reader = Guard::arm(&readings, &lines, false).map_err(|lines| format!("no meter for lines {lines:?}"))?;
    let probes = self::probes(&readings, &setup)?;
    let meters = Meters::new(&setup.engine, &probes, &decode, &lexicon, reader.needs())?;
    let read = |state: &State| -> Outcome<BTreeMap<Quantity, f64>> {
        let read = meters.read(&reader, |_| true, &mut Live::new(state.clone()), None)?;
        Ok(read
            .into_iter()
            .map(|measured| (measured.quantity, measured.reading.as_f64()))
            .collect())
    };
    let (before, after) = (read(&setup.start)?, read(&outcome.kept)?);
    let of = |readings: &BTreeMap<Quantity, f64>, quantity| readings.get(&quantity).copied().unwrap_or(f64::NAN);
    Ok(Record {
        scenario: scenario.name.to_owned(),
        seed,
        governed,
        check,
        end: outcome.end.word().to_owned(),
        planned: setup.engine.updates(),
        proposed: outcome.proposed,
        saved_from: outcome.kept.proposals,
        scaled: story.scaled,
        skipped: story.skipped,
        rolled_back: story.rolled_back,
        halvings: guard.halvings().into(),
        first: story.first,
        last: story.last,
        drift: of(&after, Quantity::DriftTotal),
        distinct_2: of(&after, Quantity::DiversityDistinct2) / of(&before, Quantity::DiversityDistinct2),
        flips: of(&after, Quantity::BoundaryFlips),
        held_out: held_out(folder, scenario, seed, &outcome.kept)?,
        held_out_base: held_out(folder, scenario, seed, &setup.start)?,
        loss: story.loss,
        largest_update: story.largest_update,
    })
}

/// The probes of a policy, which are all shipped ones.
fn probes(policy: &Policy, setup: &Setup) -> Outcome<BTreeMap<usize, Probe>> {
    let read = policy.probes.iter().enumerate().map(|(index, declared)| {
        let shipped = builtin::probe(&declared.path).ok_or_else(|| format!("{} does not ship", declared.path))?;
        Ok((
            index,
            setup.probe(&declared.name, &declared.path, declared.kind, shipped.bytes)?,
        ))
    });
    read.collect()
}

/// The mean loss of a state on the rows held out of every data set, in nats a token.
fn held_out(folder: &Path, scenario: &Scenario, seed: u64, state: &State) -> Outcome<f64> {
    let text = scenario.run_file(folder, seed)?;
    let changed: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("dataset_dir:") && !line.starts_with("dataset:"))
        .collect();
    let mut sources = Sources::default();
    let file = sources.add(
        "held.yaml",
        changed.join("\n") + "\ndataset_dir: examples/tiny/data\ndataset: held\n",
    );
    let trained = adapt::recipe(file, &sources);
    let recipe = trained.recipe.ok_or_else(|| format!("{:?}", trained.diagnostics))?;
    let data = files::read(&recipe)?;
    let setup = Setup::new(&recipe, data)?;
    let rows: Vec<usize> = (0..setup.engine.rows.len()).collect();
    let losses: Vec<f64> = setup
        .engine
        .row_losses(&state.adapter, &rows)?
        .into_iter()
        .flatten()
        .collect();
    Ok(losses.iter().sum::<f64>() / losses.len() as f64)
}

/// What happened, as the journal tells it.
#[derive(Default)]
struct Story {
    scaled: u64,
    skipped: u64,
    rolled_back: u64,
    first: Option<Broken>,
    last: Option<Broken>,
    loss: f64,
    largest_update: f64,
}

impl Watch for Story {
    fn record(&mut self, _: &Entry) -> ftrisk::train::Result<()> {
        Ok(())
    }

    fn see(&mut self, event: Event<'_>) {
        let Event::Update {
            update,
            step,
            decision,
            guard,
            ..
        } = event
        else {
            return;
        };
        self.loss = step.loss;
        match decision.action {
            Act::Commit { scale } if scale.get() < 1.0 => self.scaled += 1,
            Act::Commit { .. } => {}
            Act::Skip => self.skipped += 1,
            Act::Rollback { .. } => self.rolled_back += 1,
            Act::Stop { .. } => {}
        }
        for breach in decision.breaches.iter().filter(|breach| !breach.advice) {
            let at = Broken {
                update,
                quantity: breach.quantity.name().to_owned(),
            };
            self.first.get_or_insert(at.clone());
            self.last = Some(at);
        }
        let per_update = guard
            .limits()
            .iter()
            .filter(|limit| limit.quantity == Quantity::DriftPerUpdate);
        for spent in per_update.filter_map(|limit| limit.spent) {
            self.largest_update = self.largest_update.max(spent.worst.as_f64());
        }
    }

    fn is_interrupted(&self) -> bool {
        false
    }
}
