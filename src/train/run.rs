//! The governed run: propose, measure, decide, record, act.
//!
//! A proposal is measured before it is committed, and the decision is in the journal before it takes effect. Nothing
//! here knows files, clocks or terminals: a [`Watch`] keeps the journal, shows progress and says when to stop.

use super::engine::{Engine, Step};
use super::error::Result;
use super::measure::{Behaviour, Meters};
use super::state::State;
use crate::guard::{Act, Breach, Decision, Fit, Guard, Measured, Need, When};
use crate::ir::Policy;
use crate::ledger::{self, Base, Entry, Number, Try, Update, Why};
use crate::meter::Reading;
use crate::meter::kl::Moved;
use crate::quantity::{Finite, Moment};

/// What looks at a run from outside.
pub trait Watch {
    /// Keeps an entry of the journal. Called before what it says takes effect.
    ///
    /// # Errors
    /// When the entry cannot be kept: the run ends there.
    fn record(&mut self, entry: &Entry) -> Result<()>;
    /// Something happened that people want to see.
    fn see(&mut self, event: Event<'_>);
    /// Whether somebody asked the run to end after this update.
    fn is_interrupted(&self) -> bool;
}

/// What people see of a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// The base is measured; the first update comes.
    Begins {
        /// The guard, with the base's readings.
        guard: &'a Guard,
    },
    /// From here on the time goes into this.
    Phase(Phase),
    /// An update was proposed and decided.
    Update {
        /// Its number.
        update: u64,
        /// What was proposed.
        step: &'a Step,
        /// What was decided.
        decision: &'a Decision,
        /// Whether the probes were evaluated.
        is_evaluated: bool,
        /// The guard after the decision.
        guard: &'a Guard,
    },
    /// A limit was broken.
    Breached {
        /// The breach.
        told: &'a Told,
        /// What was decided about it; none before the first update.
        decision: Option<&'a Decision>,
    },
}

/// What the time goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Forward and backward.
    Propose,
    /// What every update is measured by, and the search for a scale.
    Measure,
    /// What only evaluations read.
    Evaluate,
    /// The journal, and acting.
    Record,
}

impl Phase {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Propose => "propose",
            Phase::Measure => "measure",
            Phase::Evaluate => "evaluate",
            Phase::Record => "record",
        }
    }
}

/// A breach with what moved.
#[derive(Debug, Clone)]
pub struct Told {
    /// The breach.
    pub breach: Breach,
    /// For drift, what moved most.
    pub moved: Option<Moved>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Why.
    pub end: Why,
    /// The last evaluated state inside every limit: what may be saved.
    pub kept: State,
    /// The number of the last update that was proposed and decided.
    pub last_update: u64,
    /// Updates that were proposed in all, those that were rolled back included.
    pub proposed: u64,
}

/// A state with what it answered to the probes.
#[derive(Clone)]
struct Live {
    state: State,
    behaviour: Behaviour,
}

impl Live {
    fn after(&self, step: &Step, scale: f64) -> Result<Live> {
        Ok(Live {
            state: self.state.after(&step.proposal, scale)?,
            behaviour: Behaviour::default(),
        })
    }

    fn skipped(&self) -> Live {
        Live {
            state: self.state.skipped(),
            behaviour: self.behaviour.clone(),
        }
    }
}

/// Walks a run from a state to its end.
///
/// # Errors
/// When the engine or the journal fails; a broken limit is an [`Outcome`].
pub fn run(
    engine: &Engine,
    meters: &Meters<'_>,
    policy: &Policy,
    guard: &mut Guard,
    start: State,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    let needs = guard.needs().to_vec();
    let mut now = Live {
        state: start,
        behaviour: Behaviour::default(),
    };
    let mut run = Run {
        engine,
        meters,
        policy,
        needs: &needs,
        watch,
    };
    run.watch.see(Event::Phase(Phase::Evaluate));
    let mut readings = run.read(&mut now, &Behaviour::default(), |_| true)?;
    // What an update moves is not read where there was none; reading it remembered what the base answers.
    readings.retain(|measured| measured.quantity.row().moment != Moment::Update);
    run.watch.record(&Entry::Base(Base {
        readings: run.written(&readings),
    }))?;
    if let Err(breaches) = guard.begin(&readings) {
        run.tell(&breaches, None, &now.behaviour, &Behaviour::default());
        return run.ended(Why::NotStarted, &now.state, 0, 0);
    }
    run.watch.see(Event::Begins { guard });
    let mut kept = now.clone();
    let (mut proposed, mut last) = (0, 0);
    let mut end = Why::Finished;
    while now.state.proposals < engine.updates() {
        if run.watch.is_interrupted() {
            end = Why::Interrupted;
            break;
        }
        proposed += 1;
        let update = now.state.proposals + 1;
        let Some((decision, next)) = run.update(guard, &now)? else {
            end = Why::NotFinite;
            break;
        };
        // A rollback takes the state's own count back, but not what was proposed.
        last = update;
        match decision.action {
            Act::Commit { .. } | Act::Skip => now = next,
            Act::Rollback { .. } => now = kept.clone(),
            Act::Stop { .. } => {
                end = Why::Stopped;
                break;
            }
        }
        if decision.keep {
            kept = now.clone();
        }
    }
    guard.end();
    run.ended(end, &kept.state, last, proposed)
}

struct Run<'r, 'm> {
    engine: &'r Engine,
    meters: &'r Meters<'m>,
    policy: &'r Policy,
    needs: &'r [Need],
    watch: &'r mut dyn Watch,
}

impl Run<'_, '_> {
    /// One update: what is decided, and the state that the decision would commit. `None` when an update that is no
    /// number was not stopped by any limit.
    fn update(&mut self, guard: &mut Guard, now: &Live) -> Result<Option<(Decision, Live)>> {
        let update = now.state.proposals + 1;
        let is_last = update == self.engine.updates();
        self.watch.see(Event::Phase(Phase::Propose));
        let step = self.engine.propose(&now.state, guard.halvings())?;

        self.watch.see(Event::Phase(Phase::Measure));
        let mut tries = Vec::new();
        let mut measured: Vec<(f64, Live)> = Vec::new();
        let mut scale = 1.0;
        let fit = loop {
            let mut next = now.after(&step, scale)?;
            let readings = if step.is_finite() {
                self.read(&mut next, &now.behaviour, is_per_update)?
            } else {
                self.unreadable(is_per_update)
            };
            measured.push((scale, next));
            tries.push(Try {
                scale: Finite::new(scale).unwrap_or(Finite::ZERO),
                readings: self.written(&readings),
            });
            match guard.fit(update, scale, &readings) {
                Fit::Measure { scale: other } => scale = other,
                fit => break fit,
            }
        };
        // What broke a per-update limit is told as it was proposed, not as it was committed.
        let whole = measured
            .first()
            .map(|(_, whole)| whole.behaviour.clone())
            .unwrap_or_default();
        let mut next = match fit {
            Fit::Fixed { scale } => measured
                .into_iter()
                .find(|(tried, _)| *tried == scale)
                .map(|(_, next)| next),
            _ => None,
        }
        .unwrap_or_else(|| now.skipped());
        let (decision, readings, is_complete) = match fit {
            Fit::Act(decision) => (decision, Vec::new(), false),
            Fit::Fixed { .. } if !step.is_finite() => return Ok(None),
            Fit::Fixed { .. } | Fit::Drop | Fit::Measure { .. } => {
                let is_due = |need: &Need| guard.is_due(need, update, is_last);
                let is_complete = guard.is_complete(update, is_last);
                if self
                    .needs
                    .iter()
                    .any(|need| need.moment == When::Evaluation && is_due(need))
                {
                    self.watch.see(Event::Phase(Phase::Evaluate));
                }
                let readings = self.read(&mut next, &now.behaviour, |need| !is_per_update(need) && is_due(need))?;
                (guard.decide(update, &readings, is_complete), readings, is_complete)
            }
        };

        self.watch.see(Event::Phase(Phase::Record));
        self.watch.record(&Entry::Update(Box::new(Update {
            update,
            epoch: Finite::new(step.epoch).unwrap_or(Finite::ZERO),
            rate: Finite::new(step.rate).unwrap_or(Finite::ZERO),
            loss: Number(step.loss.into()),
            tokens: step.tokens,
            tries,
            readings: self.written(&readings),
            complete: is_complete,
            decision: ledger::Decision::of(&decision, self.policy),
        })))?;
        for breach in &decision.breaches {
            let at = if breach.quantity.row().moment == Moment::Update {
                &whole
            } else {
                &next.behaviour
            };
            self.tell(std::slice::from_ref(breach), Some(&decision), at, &now.behaviour);
        }
        self.watch.see(Event::Update {
            step: &step,
            decision: &decision,
            update,
            is_evaluated: is_complete,
            guard,
        });
        Ok(Some((decision, next)))
    }

    fn read(&self, live: &mut Live, before: &Behaviour, which: impl Fn(&Need) -> bool) -> Result<Vec<Measured>> {
        self.needs
            .iter()
            .filter(|need| which(need))
            .map(|need| self.meters.read(need, &live.state.adapter, &mut live.behaviour, before))
            .collect()
    }

    /// Readings as the journal has them.
    fn written(&self, readings: &[Measured]) -> Vec<ledger::Reading> {
        readings
            .iter()
            .map(|measured| ledger::Reading::of(measured, self.policy))
            .collect()
    }

    /// Readings of a state that holds numbers that are none: no meter can say anything about it.
    fn unreadable(&self, which: impl Fn(&Need) -> bool) -> Vec<Measured> {
        self.needs
            .iter()
            .filter(|need| which(need))
            .map(|need| Measured::new(need.quantity, need.probe, Reading::NotFinite))
            .collect()
    }

    fn tell(&mut self, breaches: &[Breach], decision: Option<&Decision>, now: &Behaviour, before: &Behaviour) {
        for breach in breaches {
            let moved = breach
                .probe
                .and_then(|probe| self.meters.moved(breach.quantity, probe, now, before));
            let told = Told {
                breach: breach.clone(),
                moved,
            };
            self.watch.see(Event::Breached { told: &told, decision });
        }
    }

    fn ended(self, end: Why, kept: &State, last_update: u64, proposed: u64) -> Result<Outcome> {
        self.watch.record(&Entry::End(ledger::End {
            why: end,
            update: last_update,
            saved_from: (end != Why::NotStarted).then_some(kept.proposals),
        }))?;
        Ok(Outcome {
            end,
            kept: kept.clone(),
            last_update,
            proposed,
        })
    }
}

/// Whether a need is read on the proposal itself, before anything is fixed.
fn is_per_update(need: &Need) -> bool {
    need.quantity.row().moment == Moment::Update
}
