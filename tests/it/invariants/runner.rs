//! The governed run of a toy, written from the page about the guard: propose, measure, decide, record, act.

use std::collections::BTreeMap;

use ftrisk::guard::{Act, Decision, Fit, Guard, Measured, Need};
use ftrisk::ir::Policy;
use ftrisk::ledger::{self, Base, End, Entry, FORMAT, Number, Start, Try, Update, Why};
use ftrisk::meter::Reading;
use ftrisk::quantity::{Finite, Moment};

use super::toy::{State, Step, Toy};

/// One proposal with everything that became of it.
#[derive(Debug, Clone)]
pub struct Record {
    pub update: u64,
    pub is_last: bool,
    pub halvings: u32,
    pub before: State,
    pub step: Step,
    /// Whether the per-update limits let nothing of it through.
    pub dropped: bool,
    pub tries: Vec<(f64, Vec<Measured>)>,
    /// What was to be read in the second step; nothing when there was none.
    pub due: Vec<Need>,
    pub readings: Vec<Measured>,
    pub complete: bool,
    pub decision: Decision,
    /// Where the run stands after it, and what is kept.
    pub after: State,
    pub kept: State,
    /// The guard after it.
    pub guard: Guard,
}

/// A run under way, or at its end.
#[derive(Debug, Clone)]
pub struct Run<'r> {
    pub toy: &'r Toy,
    pub policy: &'r Policy,
    pub guard: Guard,
    pub now: State,
    pub kept: State,
    /// Proposals so far, those that were rolled back included.
    pub proposed: u64,
    pub last: u64,
    pub base: Vec<Measured>,
    pub records: Vec<Record>,
    pub entries: Vec<Entry>,
    /// Why it ended.
    pub end: Option<Why>,
}

/// Arms a guard and walks a run from its start to its end.
pub fn run<'r>(toy: &'r Toy, policy: &'r Policy, later: &[usize], strict: bool) -> Run<'r> {
    let guard = Guard::arm(policy, later, strict).unwrap();
    let mut run = Run::new(toy, policy, guard, toy.start());
    run.entries.push(Entry::Start(Box::new(Start {
        format: FORMAT,
        ftrisk: String::new(),
        policy: String::new(),
        run: String::new(),
        model: BTreeMap::new(),
        data: BTreeMap::new(),
        probes: BTreeMap::new(),
        seed: toy.seed,
        threads: 1,
        cpu: Vec::new(),
        updates: 0,
        schedule: None,
        strict,
        later: later.to_vec(),
        waivers: Vec::new(),
    })));
    run.begin();
    run.walk();
    run
}

fn is_per_update(need: &Need) -> bool {
    need.quantity.row().moment == Moment::Update
}

impl<'r> Run<'r> {
    pub fn new(toy: &'r Toy, policy: &'r Policy, guard: Guard, state: State) -> Run<'r> {
        Run {
            toy,
            policy,
            guard,
            now: state.clone(),
            kept: state,
            proposed: 0,
            last: 0,
            base: Vec::new(),
            records: Vec::new(),
            entries: Vec::new(),
            end: None,
        }
    }

    fn begin(&mut self) {
        let needs: Vec<Need> = self
            .guard
            .needs()
            .iter()
            .filter(|need| !is_per_update(need))
            .copied()
            .collect();
        self.base = self.read(&needs, &self.now, &self.now, 0);
        self.entries.push(Entry::Base(Base {
            readings: self.written(&self.base),
        }));
        if self.guard.begin(&self.base).is_err() {
            self.ended(Why::NotStarted);
        }
    }

    /// Goes on to the end.
    pub fn walk(&mut self) {
        while self.end.is_none() {
            if self.now.proposals >= self.toy.updates {
                return self.ended(Why::Finished);
            }
            if self.toy.interrupted.is_some_and(|after| self.proposed >= after) {
                return self.ended(Why::Interrupted);
            }
            self.proposed += 1;
            self.update();
        }
    }

    fn update(&mut self) {
        let halvings = self.guard.halvings();
        let (toy, before) = (self.toy, self.now.clone());
        let update = before.proposals + 1;
        let is_last = update == toy.updates;
        let step = toy.propose(&before, halvings);
        let at_updates: Vec<Need> = self
            .guard
            .needs()
            .iter()
            .filter(|need| is_per_update(need))
            .copied()
            .collect();

        let mut tries = Vec::new();
        let mut scale = 1.0;
        let fit = loop {
            let readings = if step.is_finite() {
                let place = self.proposed * 32 + tries.len() as u64 + 1;
                self.read(&at_updates, &before.after(&step, scale), &before, place)
            } else {
                let unreadable = |need: &Need| Measured::new(need.quantity, need.probe, Reading::NotFinite);
                at_updates.iter().map(unreadable).collect()
            };
            let fit = self.guard.fit(update, scale, &readings);
            tries.push((scale, readings));
            match fit {
                Fit::Measure { scale: next } => scale = next,
                fit => break fit,
            }
            assert!(tries.len() < 16, "the search for a scale does not end: {tries:?}");
        };

        let (mut due, mut readings, mut complete) = (Vec::new(), Vec::new(), false);
        let mut next = before.skipped();
        let dropped = fit == Fit::Drop;
        let decision = match fit {
            Fit::Act(decision) => decision,
            // No limit was there to stop it.
            Fit::Fixed { .. } if !step.is_finite() => return self.ended(Why::NotFinite),
            Fit::Fixed { .. } | Fit::Drop | Fit::Measure { .. } => {
                if let Fit::Fixed { scale } = fit {
                    next = before.after(&step, scale);
                }
                let is_due = |need: &&Need| !is_per_update(need) && self.guard.is_due(need, update, is_last);
                due = self.guard.needs().iter().filter(is_due).copied().collect();
                readings = self.read(&due, &next, &before, self.proposed * 32);
                complete = self.guard.is_complete(update, is_last);
                self.guard.decide(update, &readings, complete)
            }
        };
        let tried = tries.iter().map(|(scale, readings)| Try {
            scale: Finite::new(*scale).unwrap(),
            readings: self.written(readings),
        });
        self.entries.push(Entry::Update(Box::new(Update {
            update,
            epoch: Finite::ZERO,
            rate: Finite::new(step.rate).unwrap(),
            loss: Number(step.loss.into()),
            tokens: 0,
            tries: tried.collect(),
            readings: self.written(&readings),
            complete,
            path: Vec::new(),
            suspect: None,
            decision: ledger::Decision::of(&decision, self.policy),
        })));
        self.last = update;
        match decision.action {
            Act::Commit { .. } | Act::Skip => self.now = next,
            Act::Rollback { .. } | Act::Stop { .. } => self.now = self.kept.clone(),
        }
        if decision.keep {
            self.kept = self.now.clone();
        }
        let stopped = matches!(decision.action, Act::Stop { .. });
        self.records.push(Record {
            update,
            is_last,
            halvings,
            before,
            step,
            tries,
            dropped,
            due,
            readings,
            complete,
            decision,
            after: self.now.clone(),
            kept: self.kept.clone(),
            guard: self.guard.clone(),
        });
        if stopped {
            self.ended(Why::Stopped);
        }
    }

    fn read(&self, needs: &[Need], state: &State, before: &State, place: u64) -> Vec<Measured> {
        needs
            .iter()
            .filter_map(|need| self.toy.read(need, state, before, place))
            .collect()
    }

    fn written(&self, readings: &[Measured]) -> Vec<ledger::Reading> {
        let written = |measured| ledger::Reading::of(measured, self.policy);
        readings.iter().map(written).collect()
    }

    fn ended(&mut self, why: Why) {
        self.end = Some(why);
        self.guard.end();
        self.entries.push(Entry::End(End {
            why,
            update: self.last,
            saved_from: (why != Why::NotStarted).then_some(self.kept.proposals),
        }));
    }
}
