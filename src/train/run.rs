//! The governed run: propose, measure, decide, record, act.
//!
//! A proposal is measured before it is committed, and the decision is in the journal before it takes effect. Nothing
//! here knows files, clocks or terminals: a [`Watch`] keeps the journal, shows progress and says when to stop.

use std::collections::BTreeMap;

use super::behaviour::Behaviour;
use super::engine::{Engine, Step};
use super::error::Result;
use super::live::Live;
use super::measure::Meters;
use super::path::{Length, Path};
use super::state::State;
use super::suspect::{self, Suspect};
use crate::guard::{Act, Armed, Breach, Decision, Fit, Guard, Measured, Need, Unresolvable, When};
use crate::ir::Policy;
use crate::ledger::{self, Base, Entry, Number, Try, Update, Why};
use crate::meter::Reading;
use crate::meter::kl::Moved;
use crate::meter::template::Phrasing;
use crate::quantity::{Finite, Moment, Quantity};

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
    /// A limit asks for more than its probe can tell: the run is refused, unless the limit is advice.
    Unresolved {
        /// What is too fine.
        found: Unresolved,
    },
    /// Nothing of a batch's update was committed, and this sample of it moves the model most.
    Suspected {
        /// The update.
        update: u64,
        /// The sample.
        suspect: &'a Suspect,
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
    /// Which sample of a refused batch it was.
    Search,
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
            Phase::Search => "search",
            Phase::Record => "record",
        }
    }
}

/// Why a limit cannot be resolved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unresolved {
    /// Its probe is too small to tell the bound from what the base reads.
    Coarse(Unresolvable),
    /// The base, read twice, differs by more than the bound.
    Noise {
        /// The limit: an index into the policy's lines.
        line: usize,
        /// What two readings differ by, in nats.
        floor: Finite,
    },
}

/// A breach with what moved.
#[derive(Debug, Clone)]
pub struct Told {
    /// The breach.
    pub breach: Breach,
    /// For drift, what moved most.
    pub moved: Option<Moved>,
    /// For templates, the phrasing of most samples.
    pub phrasing: Option<Phrasing>,
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
    /// How far the run walked, and how far from the base what is kept stands, by probe.
    pub lengths: BTreeMap<usize, Length>,
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
    let mut now = Live::new(start);
    let mut run = Run {
        engine,
        meters,
        policy,
        watch,
        path: Path::new(&Behaviour::default()),
        refused: None,
    };
    run.watch.see(Event::Phase(Phase::Evaluate));
    let mut readings = meters.read(guard, |_| true, &mut now, None)?;
    // What an update moves is not read where there was none; reading it remembered what the base answers.
    readings.retain(|measured| measured.quantity.row().moment != Moment::Update);
    run.watch.record(&Entry::Base(Base {
        readings: run.written(&readings),
    }))?;
    if let Err(breaches) = guard.begin(&readings) {
        run.tell(&breaches, None, &now.behaviour, &Behaviour::default());
        return run.ended(Why::NotStarted, &now.state, 0, 0);
    }
    if !run.resolves(guard, &readings)? {
        return run.ended(Why::Unresolved, &now.state, 0, 0);
    }
    run.watch.see(Event::Begins { guard });
    run.path = Path::new(&now.behaviour);
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
            Act::Rollback { .. } => {
                now = kept.clone();
                run.path.back(meters, &now.behaviour);
            }
            Act::Stop { .. } => {
                run.path.back(meters, &kept.behaviour);
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
    watch: &'r mut dyn Watch,
    path: Path,
    /// The last update whose batch was refused and searched: a rollback brings the same batch again.
    refused: Option<u64>,
}

impl Run<'_, '_> {
    /// One update: what is decided, and the state that the decision would commit. `None` when an update that is no
    /// number was not stopped by any limit.
    fn update(&mut self, guard: &mut Guard, now: &Live) -> Result<Option<(Decision, Live)>> {
        let update = now.state.proposals + 1;
        let is_last = update == self.engine.updates();
        self.watch.see(Event::Phase(Phase::Propose));
        // A decision may slow the run; what is searched later was proposed at this rate.
        let halvings = guard.halvings();
        let step = self.engine.propose(&now.state, halvings)?;

        self.watch.see(Event::Phase(Phase::Measure));
        let mut tries = Vec::new();
        let mut measured: Vec<(f64, Live)> = Vec::new();
        let mut scale = 1.0;
        let fit = loop {
            let mut next = now.after(&step, scale)?;
            let readings = if step.is_finite() {
                self.meters.read(guard, is_per_update, &mut next, Some(now))?
            } else {
                unreadable(guard)
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
                if guard
                    .needs()
                    .iter()
                    .any(|need| need.moment == When::Evaluation && is_due(need))
                {
                    self.watch.see(Event::Phase(Phase::Evaluate));
                }
                let due = |need: &Need| !is_per_update(need) && is_due(need);
                let readings = self.meters.read(guard, due, &mut next, Some(now))?;
                (guard.decide(update, &readings, is_complete), readings, is_complete)
            }
        };

        let suspect = self.suspect(guard, &decision, (update, halvings), now)?;
        self.watch.see(Event::Phase(Phase::Record));
        if matches!(decision.action, Act::Commit { .. } | Act::Skip) {
            self.path.walk(self.meters, &next.behaviour);
        }
        self.watch.record(&Entry::Update(Box::new(Update {
            update,
            epoch: Finite::new(step.epoch).unwrap_or(Finite::ZERO),
            rate: Finite::new(step.rate).unwrap_or(Finite::ZERO),
            loss: Number(step.loss.into()),
            tokens: step.tokens,
            tries,
            readings: self.written(&readings),
            complete: is_complete,
            path: self.lengths(),
            suspect: suspect.as_ref().map(|suspect| self.named(suspect)),
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
        if let Some(suspect) = &suspect {
            self.watch.see(Event::Suspected { update, suspect });
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

    /// Whether the probes can tell what the limits ask, now that the base was read; says what they cannot.
    fn resolves(&mut self, guard: &Guard, readings: &[Measured]) -> Result<bool> {
        let mut resolves = true;
        for found in guard.too_coarse(readings, |probe| self.meters.rows(probe)) {
            resolves &= found.advice;
            let found = Unresolved::Coarse(found);
            self.watch.see(Event::Unresolved { found });
        }
        let mut floors: BTreeMap<usize, Option<Finite>> = BTreeMap::new();
        for limit in guard.limits().iter().filter(|limit| is_drift(limit) && !limit.advice) {
            let (Some(bound), Some(probe)) = (limit.bound_now(), limit.probe) else {
                continue;
            };
            let floor = match floors.get(&probe) {
                Some(floor) => *floor,
                None => *floors.entry(probe).or_insert(self.meters.noise_floor(probe)?),
            };
            if let Some(floor) = floor.filter(|floor| *floor > bound) {
                resolves = false;
                let line = limit.line;
                let found = Unresolved::Noise { line, floor };
                self.watch.see(Event::Unresolved { found });
            }
        }
        Ok(resolves)
    }

    /// The sample that moves the model most, where per-update limits let nothing of the update through. Searched once for
    /// each batch: when a rollback brings it again, it is known.
    fn suspect(
        &mut self,
        guard: &Guard,
        decision: &Decision,
        (update, halvings): (u64, u32),
        now: &Live,
    ) -> Result<Option<Suspect>> {
        let is_per_update = |breach: &&Breach| !breach.advice && breach.quantity.row().moment == Moment::Update;
        let breach = decision.breaches.iter().find(is_per_update);
        let is_committed = matches!(decision.action, Act::Commit { .. });
        let Some(breach) = breach.filter(|_| !is_committed && self.refused != Some(update)) else {
            return Ok(None);
        };
        self.refused = Some(update);
        self.watch.see(Event::Phase(Phase::Search));
        suspect::suspect(self.engine, self.meters, (guard, halvings), breach, now)
    }

    fn named(&self, suspect: &Suspect) -> ledger::Suspect {
        let (file, row) = self.engine.places.get(suspect.row).cloned().unwrap_or_default();
        ledger::Suspect {
            file,
            row,
            alone: Number(suspect.alone),
            others: suspect.others.map(Number),
        }
    }

    /// The path as the journal has it.
    fn lengths(&self) -> Vec<ledger::Path> {
        let lengths = self.path.lengths().iter();
        lengths
            .map(|(probe, length)| ledger::Path {
                probe: self
                    .policy
                    .probes
                    .get(*probe)
                    .map_or_else(String::new, |probe| probe.name.clone()),
                path: Number(length.path.into()),
                displacement: Number(length.displacement.into()),
            })
            .collect()
    }

    /// Readings as the journal has them.
    fn written(&self, readings: &[Measured]) -> Vec<ledger::Reading> {
        readings
            .iter()
            .map(|measured| ledger::Reading::of(measured, self.policy))
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
                phrasing: breach
                    .probe
                    .filter(|_| breach.quantity == Quantity::TemplateShare)
                    .and_then(|probe| now.phrasing(probe)),
            };
            self.watch.see(Event::Breached { told: &told, decision });
        }
    }

    fn ended(self, end: Why, kept: &State, last_update: u64, proposed: u64) -> Result<Outcome> {
        self.watch.record(&Entry::End(ledger::End {
            why: end,
            update: last_update,
            saved_from: (!matches!(end, Why::NotStarted | Why::Unresolved)).then_some(kept.proposals),
        }))?;
        Ok(Outcome {
            end,
            kept: kept.clone(),
            last_update,
            proposed,
            lengths: self.path.lengths().clone(),
        })
    }
}

/// Readings of a proposal that holds numbers that are none: no meter can say anything about it.
fn unreadable(guard: &Guard) -> Vec<Measured> {
    guard
        .needs()
        .iter()
        .filter(|need| is_per_update(need))
        .map(|need| Measured::new(need.quantity, need.probe, Reading::NotFinite))
        .collect()
}

/// Whether a limit is a ceiling on a forward KL, which rounding alone keeps above 0.
fn is_drift(limit: &Armed) -> bool {
    matches!(
        limit.quantity,
        Quantity::DriftPerUpdate | Quantity::DriftTotal | Quantity::DriftTail | Quantity::DriftSpread
    )
}

/// Whether a need is read on the proposal itself, before anything is fixed.
fn is_per_update(need: &Need) -> bool {
    need.quantity.row().moment == Moment::Update
}
