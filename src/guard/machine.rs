//! The state machine: one proposal after the other.

use super::arm;
use super::decision::{Act, Breach, Cause, Decision, Fit, Measured};
use super::limit::Armed;
use super::needs::{Need, When, needs};
use super::search::{Next, Search};
use crate::ir::{Action, DEFAULT_CADENCE, Policy};
use crate::meter::Reading;
use crate::quantity::Finite;

/// So many proposals in a row without one committed whole end the run.
pub const IN_A_ROW: u32 = 100;

/// The guard of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    limits: Vec<Armed>,
    needs: Vec<Need>,
    halvings: u32,
    kept: u64,
    without_whole: u32,
    proposal: Option<Proposal>,
}

/// A proposal between its first reading and its decision. Nothing of it counts before the decision.
#[derive(Debug, Clone, PartialEq)]
struct Proposal {
    update: u64,
    breaches: Vec<Broken>,
    state: State,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    Searching {
        search: Search,
        /// The readings at the largest scale so far that fits.
        best: Vec<Measured>,
    },
    Fixed {
        scale: Finite,
        readings: Vec<Measured>,
    },
    Dropped,
}

/// A breach and the limit, by its place among the armed.
#[derive(Debug, Clone, PartialEq)]
struct Broken {
    limit: usize,
    breach: Breach,
}

/// The strongest of the rungs that breaches are on; advice is on none.
fn strongest(broken: &[Broken]) -> Option<Action> {
    broken
        .iter()
        .filter_map(|broken| broken.breach.rung)
        .map(|(rung, _)| rung.action)
        .max()
}

impl Guard {
    /// Arms with the limits of `policy` among the lines `later`, which are the lines that the judgement left to
    /// readings. `strict` makes advice a limit, with the default response.
    ///
    /// # Errors
    ///
    /// The lines that this version has no meter for ([`has_meter`](super::has_meter)); confidence is not built.
    pub fn arm(policy: &Policy, later: &[usize], strict: bool) -> Result<Guard, Vec<usize>> {
        let limits = arm::limits(policy, later, strict)?;
        Ok(Guard {
            needs: needs(&limits, policy),
            limits,
            halvings: 0,
            kept: 0,
            without_whole: 0,
            proposal: None,
        })
    }

    /// The limits, in the order of the policy's lines.
    pub fn limits(&self) -> &[Armed] {
        &self.limits
    }

    /// What has to be read, each quantity once a probe.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// Whether a need is read at this update. `last` is whether the run would end with it.
    pub fn is_due(&self, need: &Need, update: u64, last: bool) -> bool {
        let at_its_cadence = update.is_multiple_of(need.every.max(1));
        let with_any_probe = || {
            need.probe.is_none()
                && self
                    .needs
                    .iter()
                    .any(|other| other.probe.is_some() && update.is_multiple_of(other.every.max(1)))
        };
        last || need.moment == When::EveryUpdate || at_its_cadence || with_any_probe()
    }

    /// Whether every probe is evaluated at this update, so that the state can become the kept one: what `decide` is told
    /// as `complete`. A probe that is read at every update is *evaluated* at its own cadence. `last` as in
    /// [`is_due`](Guard::is_due).
    pub fn is_complete(&self, update: u64, last: bool) -> bool {
        let evaluated = |need: &Need| {
            let need = Need {
                moment: When::Evaluation,
                ..*need
            };
            self.is_due(&need, update, last)
        };
        if self.needs.is_empty() {
            return last || update.is_multiple_of(DEFAULT_CADENCE);
        }
        self.needs.iter().all(evaluated)
    }

    /// The learning rate is the schedule's × 0.5 to this power.
    pub fn halvings(&self) -> u32 {
        self.halvings
    }

    /// The update that the kept state stands at; 0 is the state before training.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Proposals since the last one that was committed whole; at [`IN_A_ROW`] the run ends.
    pub fn without_whole(&self) -> u32 {
        self.without_whole
    }

    /// Before update 0: takes the base's readings and judges them. Quantities of an update are not read here.
    ///
    /// # Errors
    ///
    /// The enforced limits that are broken, a missing reading and a base of 0 included: a run that starts outside does
    /// not start.
    pub fn begin(&mut self, readings: &[Measured]) -> Result<(), Vec<Breach>> {
        let mut breaches = Vec::new();
        for limit in self.limits.iter_mut().filter(|limit| !limit.is_per_update()) {
            let reading = limit.reading(readings);
            if limit.of_base {
                limit.base = reading.and_then(|reading| reading.value());
            }
            // Before training nothing answers a breach: no rung is used.
            let breach = limit.judge(0, reading).filter(|breach| !breach.advice);
            breaches.extend(breach.map(|breach| Breach { rung: None, ..breach }));
            if let Some(reading) = reading {
                limit.spend(0, reading);
            }
            limit.kept = limit.spent;
        }
        if breaches.is_empty() { Ok(()) } else { Err(breaches) }
    }

    /// The run ends here, at the kept state: what was spent after it is taken back.
    pub fn end(&mut self) {
        for limit in &mut self.limits {
            limit.spent = limit.kept;
        }
    }

    /// Step 1 of a proposal: the per-update limits fix how much of it would be committed.
    ///
    /// Called with the readings at scale 1 first, then with those at each scale it asks for. A scale that was not asked
    /// for begins the proposal anew, without readings unless the scale is 1.
    pub fn fit(&mut self, update: u64, scale: f64, readings: &[Measured]) -> Fit {
        match self.proposal.take() {
            Some(Proposal {
                update: under_way,
                breaches,
                state: State::Searching { search, best },
            }) if under_way == update && search.scale() == scale => {
                self.go_on(update, breaches, search, best, readings)
            }
            _ => self.propose(update, if scale == 1.0 { readings } else { &[] }),
        }
    }

    /// The reading of the whole update.
    fn propose(&mut self, update: u64, readings: &[Measured]) -> Fit {
        let breaches = self.broken(update, |limit| limit.is_per_update().then(|| limit.reading(readings)));
        let (state, fit) = match strongest(&breaches) {
            None => (
                State::Fixed {
                    scale: Finite::ONE,
                    readings: readings.to_vec(),
                },
                Fit::Fixed { scale: 1.0 },
            ),
            Some(Action::Scale) => {
                let enforced = breaches.iter().filter(|broken| !broken.breach.advice);
                let search = Search::begin(enforced.map(|Broken { breach, .. }| {
                    let is_ceiling = breach.cause == Cause::Outside && !breach.is_floor;
                    let reading = breach.reading.value().filter(|_| is_ceiling)?;
                    Some(breach.bound.get() / reading.get())
                }));
                let scale = search.scale();
                let best = Vec::new();
                (State::Searching { search, best }, Fit::Measure { scale })
            }
            Some(Action::Skip) => (State::Dropped, Fit::Drop),
            Some(Action::Rollback) => {
                let to = self.kept;
                return Fit::Act(self.conclude(update, Act::Rollback { to }, breaches, false));
            }
            Some(Action::Stop) => {
                let to = self.kept;
                return Fit::Act(self.conclude(update, Act::Stop { to }, breaches, false));
            }
        };
        self.proposal = Some(Proposal {
            update,
            breaches,
            state,
        });
        fit
    }

    /// A reading of part of the update.
    fn go_on(
        &mut self,
        update: u64,
        breaches: Vec<Broken>,
        mut search: Search,
        mut best: Vec<Measured>,
        readings: &[Measured],
    ) -> Fit {
        let broken = self.broken(update, |limit| limit.is_per_update().then(|| limit.reading(readings)));
        let fits = broken.iter().all(|broken| broken.breach.advice);
        if fits {
            best = readings.to_vec();
        }
        let (state, fit) = match search.tell(fits) {
            Next::Measure(scale) => (State::Searching { search, best }, Fit::Measure { scale }),
            Next::Fixed(scale) => match Finite::new(scale) {
                Some(exact) => (
                    State::Fixed {
                        scale: exact,
                        readings: best,
                    },
                    Fit::Fixed { scale },
                ),
                None => (State::Dropped, Fit::Drop),
            },
            Next::Drop => (State::Dropped, Fit::Drop),
        };
        self.proposal = Some(Proposal {
            update,
            breaches,
            state,
        });
        fit
    }

    /// Step 2: judges everything else that was read, on the state that would be committed (after `Fixed`) or on the
    /// unchanged one (after `Drop`, when an evaluation is due), and decides.
    ///
    /// `complete` says that every probe was evaluated ([`is_complete`](Guard::is_complete)): then every armed limit must
    /// have its reading here, and the state may become the kept one. Per-update quantities are not judged again. Without
    /// a finished step 1 every per-update limit lacks its reading.
    pub fn decide(&mut self, update: u64, readings: &[Measured], complete: bool) -> Decision {
        if self.proposal.as_ref().is_none_or(|proposal| proposal.update != update)
            && let Fit::Act(decision) = self.propose(update, &[])
        {
            return decision;
        }
        let (mut breaches, fixed) = match self.proposal.take() {
            Some(Proposal {
                breaches,
                state: State::Fixed { scale, readings },
                ..
            }) => (breaches, Some((scale, readings))),
            Some(Proposal { breaches, .. }) => (breaches, None),
            None => (Vec::new(), None),
        };
        let at_every_update = |limit: &Armed| {
            self.needs.iter().any(|need| {
                (need.quantity, need.probe) == (limit.quantity, limit.probe) && need.moment == When::EveryUpdate
            })
        };
        let found = self.broken(update, |limit| {
            let reading = limit.reading(readings);
            let is_due = complete || (fixed.is_some() && at_every_update(limit));
            (!limit.is_per_update() && (reading.is_some() || is_due)).then_some(reading)
        });
        let action = match (strongest(&found), &fixed) {
            (None, Some((scale, _))) => Act::Commit { scale: *scale },
            (None, None) => Act::Skip,
            (Some(Action::Stop), _) => Act::Stop { to: self.kept },
            (Some(_), _) => Act::Rollback { to: self.kept },
        };
        breaches.extend(found);
        if matches!(action, Act::Commit { .. } | Act::Skip) {
            let at_scale = fixed.map(|(_, readings)| readings).unwrap_or_default();
            for limit in &mut self.limits {
                let of_its_step = if limit.is_per_update() { &at_scale } else { readings };
                if let Some(reading) = limit.reading(of_its_step) {
                    limit.spend(update, reading);
                }
            }
        }
        self.conclude(update, action, breaches, complete)
    }

    /// The breaches of the limits for which `reading` says that they are judged, and on what.
    fn broken(&self, update: u64, reading: impl Fn(&Armed) -> Option<Option<Reading>>) -> Vec<Broken> {
        self.limits
            .iter()
            .enumerate()
            .filter_map(|(index, limit)| {
                let breach = limit.judge(update, reading(limit)?)?;
                Some(Broken { limit: index, breach })
            })
            .collect()
    }

    /// Counts, and makes the decision.
    fn conclude(&mut self, update: u64, action: Act, breaches: Vec<Broken>, complete: bool) -> Decision {
        let mut action = action;
        let mut slow = false;
        for Broken { limit, breach } in &breaches {
            if let (Some((rung, _)), Some(limit)) = (breach.rung, self.limits.get_mut(*limit)) {
                limit.ladder.count_use();
                slow |= rung.slow;
            }
        }
        self.without_whole = match action {
            Act::Commit { scale } if scale == Finite::ONE => 0,
            _ => self.without_whole.saturating_add(1),
        };
        let stalled = self.without_whole >= IN_A_ROW && !matches!(action, Act::Stop { .. });
        if stalled {
            action = Act::Stop { to: self.kept };
        }
        let ends = matches!(action, Act::Stop { .. });
        // There is no rate left to halve.
        slow &= !ends;
        if slow {
            self.halvings = self.halvings.saturating_add(1);
        }
        let stays = matches!(action, Act::Commit { .. } | Act::Skip);
        let keep = complete && stays;
        if keep {
            self.kept = update;
        }
        for limit in &mut self.limits {
            if keep {
                limit.kept = limit.spent;
            } else if !stays {
                limit.spent = limit.kept;
            }
        }
        Decision {
            action,
            slow,
            keep,
            stalled,
            breaches: breaches.into_iter().map(|broken| broken.breach).collect(),
        }
    }
}
