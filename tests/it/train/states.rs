//! The states of a governed run, each made again by the engine itself: what was rolled back or dropped left no trace.

use std::collections::BTreeMap;

use ftrisk::guard::Guard;
use ftrisk::ledger::{self, Action, Entry, Why};
use ftrisk::meter::tone::Lexicon;
use ftrisk::train::error::Result;
use ftrisk::train::measure::Meters;
use ftrisk::train::optim::Matrices;
use ftrisk::train::run::{self, Event, Outcome, Watch};
use ftrisk::train::state::State;
use ftrisk::train::tensors;

use super::fixture::{Bench, policy, updates};

/// Keeps the journal in memory.
#[derive(Default)]
pub struct Memory {
    pub entries: Vec<Entry>,
    /// Interrupts the run after the first rollback.
    at_rollback: bool,
}

impl Watch for Memory {
    fn record(&mut self, entry: &Entry) -> Result<()> {
        self.entries.push(entry.clone());
        Ok(())
    }

    fn see(&mut self, _: Event<'_>) {}

    fn is_interrupted(&self) -> bool {
        self.at_rollback && count(&self.entries, |action| matches!(action, Action::Rollback { .. })) > 0
    }
}

impl Bench {
    /// The guard of the whole policy.
    pub fn guard(&self) -> Guard {
        let later: Vec<usize> = (0..self.policy.lines.len()).collect();
        Guard::arm(&self.policy, &later, false).unwrap()
    }

    /// The run to its end, and its entries but for the first, which replay to the same decisions.
    fn run(&self) -> (Outcome, Vec<Entry>) {
        self.watched(Memory::default())
    }

    fn watched(&self, mut memory: Memory) -> (Outcome, Vec<Entry>) {
        let mut guard = self.guard();
        let decode = |tokens: &[u32]| self.setup.decode(tokens);
        let lexicon = Lexicon::new([]);
        let meters = Meters::new(&self.setup.engine, &self.probes, &decode, &lexicon, guard.needs()).unwrap();
        let start = self.setup.start.clone();
        let outcome = run::run(
            &self.setup.engine,
            &meters,
            &self.policy,
            &mut guard,
            start,
            &mut memory,
        )
        .unwrap();
        let later: Vec<usize> = guard.limits().iter().map(|limit| limit.line).collect();
        ledger::replay(&self.policy, &later, false, &memory.entries).unwrap();
        (outcome, memory.entries)
    }

    /// The state that the decisions lead to without any detour: proposals that were rolled back are never made. Every
    /// proposal on the way has to be the one of the journal.
    fn walk(&self, entries: &[Entry]) -> State {
        let mut path = Vec::new();
        let mut halvings = 0;
        for update in updates(entries) {
            match update.decision.action {
                Action::Rollback { to } | Action::Stop { to } => path.truncate(usize::try_from(to).unwrap()),
                _ => path.push((halvings, update)),
            }
            halvings += u32::from(update.decision.slow);
        }
        let mut state = self.setup.start.clone();
        for (halvings, update) in path {
            let step = self.setup.engine.propose(&state, halvings).unwrap();
            assert_eq!(update.loss.0.value().unwrap().get().to_bits(), step.loss.to_bits());
            assert_eq!(update.rate.get().to_bits(), step.rate.to_bits());
            state = match update.decision.action {
                Action::Commit { scale } => state.after(&step.proposal, scale.get()).unwrap(),
                _ => state.skipped(),
            };
        }
        state
    }
}

fn bits(matrices: &Matrices) -> BTreeMap<&String, Vec<u32>> {
    let bits = |numbers: &Vec<f32>| numbers.iter().map(|number| number.to_bits()).collect();
    matrices.iter().map(|(name, numbers)| (name, bits(numbers))).collect()
}

#[track_caller]
pub fn assert_same(one: &State, other: &State) {
    assert_eq!(
        bits(&one.adapter.values().unwrap()),
        bits(&other.adapter.values().unwrap())
    );
    assert_eq!(bits(&one.moments.first), bits(&other.moments.first));
    assert_eq!(bits(&one.moments.second), bits(&other.moments.second));
    assert_eq!(one.moments.step, other.moments.step);
    assert_eq!((one.proposals, one.commits), (other.proposals, other.commits));
}

pub fn count(entries: &[Entry], is: impl Fn(&Action) -> bool) -> usize {
    let updates = updates(entries);
    updates.iter().filter(|update| is(&update.decision.action)).count()
}

#[test]
fn a_rollback_is_as_if_nothing_had_happened_at_half_the_rate() {
    let lines = "max drift.total 0.25 nats on voices else rollback and slow 3 times then stop";
    let (outcome, entries) = Bench::new(&policy(4, lines), &[]).run();
    let back = |action: &Action| matches!(action, Action::Rollback { to: 4 });
    assert!(count(&entries, back) >= 1, "{entries:?}");
    assert!(outcome.kept.proposals > 4, "{entries:?}");
    assert!(outcome.proposed > outcome.last_update);
    assert_eq!((outcome.end, outcome.last_update), (Why::Finished, 10));
    // On a model and data that were read anew: nothing can be shared with what is compared.
    let again = Bench::new(&policy(4, lines), &[]);
    assert_same(&outcome.kept, &again.walk(&entries));
}

#[test]
fn an_interruption_after_a_rollback_saves_the_state_that_was_gone_back_to() {
    let lines = "max drift.total 0.25 nats on voices else rollback and slow 3 times then stop";
    let bench = Bench::new(&policy(4, lines), &[]);
    let (outcome, entries) = bench.watched(Memory {
        at_rollback: true,
        ..Memory::default()
    });
    let rolled = updates(&entries).last().unwrap().update;
    assert_eq!((outcome.end, outcome.last_update), (Why::Interrupted, rolled));
    assert_eq!((outcome.kept.proposals, outcome.proposed), (4, rolled));
    assert_same(&outcome.kept, &bench.walk(&entries));
}

#[test]
fn moments_are_taken_over_where_at_least_half_of_an_update_is() {
    let lines = "max drift.per_update 0.001 nats on voices else scale 100 times then stop";
    let (outcome, entries) = Bench::new(&policy(4, lines), &[]).run();
    let part = |action: &Action| matches!(action, Action::Commit { scale } if scale.get() < 1.0);
    assert_eq!(count(&entries, part), 10);
    assert_same(&outcome.kept, &Bench::new(&policy(4, lines), &[]).walk(&entries));
    let most = |action: &Action| matches!(action, Action::Commit { scale } if scale.get() >= 0.5);
    assert_eq!(outcome.kept.commits, 10);
    assert_eq!(outcome.kept.moments.step, count(&entries, most) as u64);
    // At a rate at which the parts are larger, some are taken over.
    let (outcome, entries) = Bench::new(&policy(4, lines), &[("learning_rate", "0.002")]).run();
    let over = count(&entries, most) as u64;
    assert!(over > 0, "{entries:?}");
    assert_eq!(outcome.kept.moments.step, over);
}

#[test]
fn a_skipped_update_leaves_nothing_but_a_spent_batch() {
    // The warmup begins below the limit and rises beyond it; skipped updates do not move the schedule, so it stays there.
    let lines = "max drift.per_update 0.001 nats on voices else skip 100 times then stop";
    let keys = [
        ("lr_scheduler_type", "constant_with_warmup"),
        ("warmup_steps", "6"),
        ("learning_rate", "0.02"),
    ];
    let (outcome, entries) = Bench::new(&policy(5, lines), &keys).run();
    let skips = count(&entries, |action| *action == Action::Skip) as u64;
    assert!((1..10).contains(&skips), "{skips}");
    assert_eq!(outcome.kept.proposals, 10);
    assert_eq!(
        (outcome.kept.commits, outcome.kept.moments.step),
        (10 - skips, 10 - skips)
    );
    let again = Bench::new(&policy(5, lines), &keys);
    assert_same(&outcome.kept, &again.walk(&entries));

    let engine = &again.setup.engine;
    let before = engine.propose(&again.setup.start, 0).unwrap();
    let before = again.setup.start.after(&before.proposal, 1.0).unwrap();
    let skipped = before.skipped();
    assert_same(
        &skipped,
        &State {
            proposals: before.proposals + 1,
            ..before.clone()
        },
    );
    let (one, next) = (
        engine.propose(&before, 0).unwrap(),
        engine.propose(&skipped, 0).unwrap(),
    );
    assert_eq!(one.rate, next.rate);
    assert_ne!(one.loss.to_bits(), next.loss.to_bits());
    // The very batch that would have come after it.
    assert_eq!(
        engine.plan.batches(skipped.proposals),
        engine.plan.batches(before.proposals + 1)
    );
}

#[test]
fn the_first_step_drifts_by_the_square_of_the_rate() {
    let mut bench = Bench::new(&policy(4, "max drift.total 1 nats on voices"), &[]);
    let start = bench.setup.start.clone();
    assert!(bench.read(&start.adapter)["drift.total"].abs() < 1e-12);
    let rates = [2.5e-4, 5e-4, 1e-3, 2e-3];
    let mut points = Vec::new();
    for rate in rates {
        bench.setup.engine.peak_rate = rate;
        let step = bench.setup.engine.propose(&start, 0).unwrap();
        let whole = start.after(&step.proposal, 1.0).unwrap();
        points.push((rate.ln(), bench.read(&whole.adapter)["drift.total"].ln()));
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>()
        / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    assert!((slope - 2.0).abs() < 0.05, "{slope}: {points:?}");
}

#[test]
fn an_untrained_adapter_gives_the_logits_of_the_base() {
    let bench = Bench::new(&policy(4, "max drift.total 1 nats on voices"), &[]);
    let model = &bench.setup.engine.model;
    for row in &bench.probes[&0].rows {
        let tokens = ftrisk::train::tensors::padded(&[&row.tokens]).unwrap();
        let logits = |adapter| {
            let hidden = model.hidden(&tokens, adapter).unwrap();
            tensors::numbers(&model.head(&hidden).unwrap()).unwrap()
        };
        assert_eq!(logits(None), logits(Some(&bench.setup.start.adapter)), "{}", row.id);
    }
}
