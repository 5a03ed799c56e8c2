//! A governed optimizer: propose, measure, decide, act, with the caller's variables set in place.

use candle_core::backprop::GradStore;

use super::meters::{Answers, Meters, is_drift};
use super::weights::{State, Weights};
use crate::guard::{Act, Decision, Fit, Guard, Measured, Need};
use crate::meter::Reading;
use crate::quantity::Moment;
use crate::train::optim::{self, AdamW, Moments, Proposal};
use crate::train::{Error, Result};

/// How the optimizer goes.
pub(super) struct Settings {
    pub(super) optimizer: AdamW,
    pub(super) rate: f64,
    pub(super) clip: Option<f64>,
    pub(super) updates: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            optimizer: AdamW::default(),
            rate: 1e-3,
            clip: None,
            updates: u64::MAX,
        }
    }
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stepped {
    /// The variables moved by `scale` times the update.
    Committed {
        /// 1 is the whole of it.
        scale: f64,
    },
    /// The update was dropped: variables, moments and their step are as before.
    Skipped,
    /// The variables hold the kept state again.
    RolledBack {
        /// Its update: data go on with the one after it.
        to: u64,
    },
    /// The variables hold the kept state again, and the run is over.
    Stopped {
        /// Its update.
        to: u64,
        /// Whether an update that is not made of numbers ended it, which no limit was there to answer.
        not_finite: bool,
    },
}

/// An optimizer under guard.
pub struct Governed<'m> {
    guard: Guard,
    settings: Settings,
    weights: Weights,
    meters: Meters<'m>,
    now: State,
    kept: State,
    is_over: bool,
    decision: Option<Decision>,
}

impl<'m> Governed<'m> {
    /// Measures the base.
    pub(super) fn begin(
        mut guard: Guard,
        settings: Settings,
        weights: Weights,
        mut meters: Meters<'m>,
    ) -> Result<Governed<'m>> {
        let needs = guard.needs().to_vec();
        let mut answers = Answers::new();
        for need in needs.iter().filter(|need| is_drift(need.quantity)) {
            if let Some(probe) = need.probe.filter(|probe| meters.texts.contains_key(probe)) {
                meters.answer(probe, &mut answers)?;
            }
        }
        meters.base = answers.clone();
        let before = Answers::new();
        let readings = needs
            .iter()
            .filter(|need| !is_per_update(need))
            .map(|need| meters.read(need, &mut answers, &before))
            .collect::<Result<Vec<Measured>>>()?;
        guard.begin(&readings).map_err(|breaches| {
            let breach = |breach: &crate::guard::Breach| {
                format!(
                    "{} is {} before the first update",
                    breach.quantity.name(),
                    breach.reading
                )
            };
            let breaches: Vec<String> = breaches.iter().map(breach).collect();
            Error::new(format!("the run does not start: {}", breaches.join(", ")))
                .with_help("the untouched model is outside already: choose limits that it meets")
        })?;
        let now = State {
            parameters: weights.values()?,
            moments: Moments::default(),
            proposals: 0,
            answers,
        };
        Ok(Governed {
            guard,
            settings,
            weights,
            meters,
            kept: now.clone(),
            now,
            is_over: false,
            decision: None,
        })
    }

    /// The number of the update to propose next, from 1, which is also the place in the data: it goes back with a
    /// rollback. `None` when the run is over.
    pub fn next_update(&self) -> Option<u64> {
        let next = self.now.proposals.saturating_add(1);
        (!self.is_over && next <= self.settings.updates).then_some(next)
    }

    /// The learning rate of the next update before halvings: a schedule is the caller's.
    pub fn set_rate(&mut self, rate: f64) {
        self.settings.rate = rate;
    }

    /// The guard as it stands: limits with what is spent, ladders, halvings.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What was decided about the last update, breaches included.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// AdamW's moments as they stand, by the place of the variable.
    pub fn moments(&self) -> &Moments {
        &self.now.moments
    }

    /// Ends the run at the last evaluated state inside every limit: the variables hold it, and its update is returned.
    ///
    /// # Errors
    ///
    /// When candle cannot set a variable.
    pub fn kept(&mut self) -> Result<u64> {
        self.go_back()?;
        self.is_over = true;
        self.guard.end();
        Ok(self.kept.proposals)
    }

    /// Proposes the update that AdamW makes of these gradients, and does with it what the guard decides.
    ///
    /// # Errors
    ///
    /// When the run is over, or the model cannot be run; then the variables are as before.
    pub fn step(&mut self, gradients: &GradStore) -> Result<Stepped> {
        let Some(update) = self.next_update() else {
            return Err(Error::new("the run is over").with_help("loop while `next_update` names one"));
        };
        let stepped = self.propose(update, gradients);
        if stepped.is_err() {
            self.weights.set(&self.now.parameters)?;
        }
        stepped
    }

    fn propose(&mut self, update: u64, gradients: &GradStore) -> Result<Stepped> {
        let mut gradients = self.weights.gradients(gradients)?;
        if let Some(most) = self.settings.clip {
            optim::clip(&mut gradients, most);
        }
        let halvings = i32::try_from(self.guard.halvings()).unwrap_or(i32::MAX);
        let rate = self.settings.rate * 0.5_f64.powi(halvings);
        let proposal = self
            .settings
            .optimizer
            .propose(&self.now.moments, &self.now.parameters, &gradients, rate);

        let mut tried: Vec<(f64, Answers)> = Vec::new();
        let mut scale = 1.0;
        let fit = loop {
            let mut answers = Answers::new();
            let readings = if proposal.is_finite() {
                self.weights.set(&self.now.moved(&proposal.deltas, scale))?;
                self.read(is_per_update, &mut answers)?
            } else {
                self.unreadable()
            };
            tried.push((scale, answers));
            match self.guard.fit(update, scale, &readings) {
                Fit::Measure { scale: other } => scale = other,
                fit => break fit,
            }
        };
        let mut next = match fit {
            Fit::Act(decision) => return self.act(decision, None),
            Fit::Fixed { .. } if !proposal.is_finite() => {
                self.go_back()?;
                (self.is_over, self.decision) = (true, None);
                self.guard.end();
                return Ok(Stepped::Stopped {
                    to: self.kept.proposals,
                    not_finite: true,
                });
            }
            Fit::Fixed { scale } => self.after(proposal, scale, tried),
            Fit::Drop | Fit::Measure { .. } => State {
                proposals: update,
                ..self.now.clone()
            },
        };
        self.weights.set(&next.parameters)?;
        let is_last = update == self.settings.updates;
        let guard = self.guard.clone();
        let is_due = |need: &Need| !is_per_update(need) && guard.is_due(need, update, is_last);
        let readings = self.read(is_due, &mut next.answers)?;
        let complete = self.guard.is_complete(update, is_last);
        let decision = self.guard.decide(update, &readings, complete);
        self.act(decision, Some(next))
    }

    /// The state after a part of a proposal, with what it answered when that part was tried. The moments are those of
    /// the whole proposal, as in training.
    fn after(&self, proposal: Proposal, scale: f64, tried: Vec<(f64, Answers)>) -> State {
        let answers = tried.into_iter().find(|(at, _)| *at == scale);
        State {
            parameters: self.now.moved(&proposal.deltas, scale),
            moments: proposal.moments,
            proposals: self.now.proposals.saturating_add(1),
            answers: answers.map(|(_, answers)| answers).unwrap_or_default(),
        }
    }

    fn act(&mut self, decision: Decision, next: Option<State>) -> Result<Stepped> {
        let stepped = match decision.action {
            Act::Commit { scale } => Stepped::Committed { scale: scale.get() },
            Act::Skip => Stepped::Skipped,
            Act::Rollback { to } => Stepped::RolledBack { to },
            Act::Stop { to } => Stepped::Stopped { to, not_finite: false },
        };
        match (decision.action, next) {
            (Act::Commit { .. } | Act::Skip, Some(next)) => self.now = next,
            _ => self.go_back()?,
        }
        if decision.keep {
            self.kept = self.now.clone();
        }
        if matches!(decision.action, Act::Stop { .. }) {
            self.is_over = true;
            self.guard.end();
        }
        self.decision = Some(decision);
        Ok(stepped)
    }

    fn go_back(&mut self) -> Result<()> {
        self.now = self.kept.clone();
        self.weights.set(&self.now.parameters)
    }

    fn read(&mut self, which: impl Fn(&Need) -> bool, answers: &mut Answers) -> Result<Vec<Measured>> {
        let needs = self.guard.needs().iter().filter(|need| which(need));
        needs
            .map(|need| self.meters.read(need, answers, &self.now.answers))
            .collect()
    }

    /// Readings of an update that is not made of numbers: the model is not run on it.
    fn unreadable(&self) -> Vec<Measured> {
        let needs = self.guard.needs().iter().filter(|need| is_per_update(need));
        needs
            .map(|need| Measured::new(need.quantity, need.probe, Reading::NotFinite))
            .collect()
    }
}

/// Whether a need is read on the proposal itself, before anything is fixed.
fn is_per_update(need: &Need) -> bool {
    need.quantity.row().moment == Moment::Update
}
