//! The state machine: one proposal after the other.

use super::arm;
use super::clock::Clock;
use super::decision::{Act, Breach, Cause, Decision, Fit, Measured};
use super::limit::Armed;
use super::needs::{Need, When, needs};
use super::pace::Pace;
use super::search::{Next, Search};
use crate::ir::{Action, DEFAULT_CADENCE, Policy};
use crate::quantity::Finite;

/// So many proposals in a row without one committed whole end the run.
pub const IN_A_ROW: u32 = 100;

/// The guard of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    limits: Vec<Armed>,
    needs: Vec<Need>,
    halvings: u32,
    /// What paced limits are spread by.
    clock: Clock,
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
    /// The lines that this version has no meter for ([`has_meter`](super::has_meter)), or cannot certify.
    pub fn arm(policy: &Policy, later: &[usize], strict: bool) -> Result<Guard, Vec<usize>> {
        let limits = arm::limits(policy, later, strict)?;
        Ok(Guard {
            needs: needs(&limits, policy),
            limits,
            halvings: 0,
            clock: Clock::Updates(0),
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

    /// What a limit waits for.
    fn need(&self, limit: &Armed) -> Option<&Need> {
        let is_its = |need: &&Need| (need.quantity, need.probe) == (limit.quantity, limit.probe);
        self.needs.iter().find(is_its)
    }

    /// Whether a need is read at this update. `last` is whether the run would end with it.
    pub fn is_due(&self, need: &Need, update: u64, last: bool) -> bool {
        last || need.moment == When::EveryUpdate || self.is_evaluated(need, update)
    }

    /// Whether its probe is evaluated at this update, or for a need without one any probe; advice counts for advice alone.
    fn is_evaluated(&self, need: &Need, update: u64) -> bool {
        let at = |need: &Need| update.is_multiple_of(need.every.max(1));
        let beside = |other: &&Need| other.probe.is_some() && (need.advice || !other.advice);
        at(need) || need.probe.is_none() && self.needs.iter().filter(beside).any(at)
    }

    /// Whether every probe is evaluated at this update, so that the state can become the kept one: what `decide` is told
    /// as `complete`. A probe that is read at every update is *evaluated* at its own cadence; what only advice reads does
    /// not matter. `last` as in [`is_due`](Guard::is_due).
    pub fn is_complete(&self, update: u64, last: bool) -> bool {
        let mut enforced = self.needs.iter().filter(|need| !need.advice).peekable();
        if enforced.peek().is_none() {
            return last || update.is_multiple_of(DEFAULT_CADENCE);
        }
        last || enforced.all(|need| self.is_evaluated(need, update))
    }

    /// Says how the run is planned, over which paced limits are spread. Unsaid, they are not slowed.
    pub fn spread_over(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// How the run is planned.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a limit is spread over the run.
    pub fn is_paced(&self) -> bool {
        self.limits.iter().any(|limit| limit.pace.is_some())
    }

    /// The learning rate is the schedule's × 0.5 to this power: what ladders halved, which never comes back, and what the
    /// slowest pace asks for, which may.
    pub fn halvings(&self) -> u32 {
        self.halvings.saturating_add(self.paced())
    }

    fn paced(&self) -> u32 {
        let paces = self.limits.iter().filter_map(|limit| limit.pace.as_ref());
        paces.map(Pace::halvings).max().unwrap_or(0)
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
            let measured = limit.measured(readings);
            if limit.of_base {
                limit.base = measured.and_then(|measured| measured.reading.value());
            }
            // Before training nothing answers a breach: no rung is used.
            let breach = limit.judge(0, measured).filter(|breach| !breach.advice);
            breaches.extend(breach.map(|breach| Breach { rung: None, ..breach }));
            limit.count_look();
            if let Some(measured) = measured {
                limit.spend(0, measured.reading);
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
        let breaches = self.broken(update, |_, limit| {
            limit.is_per_update().then(|| limit.measured(readings))
        });
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
        let broken = self.broken(update, |_, limit| {
            limit.is_per_update().then(|| limit.measured(readings))
        });
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
    /// a finished step 1 every per-update limit lacks its reading. A limit at a confidence is judged at the evaluations of
    /// its probe alone; the base's, before update 0, is the first look.
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
        let judged: Vec<bool> = self
            .limits
            .iter()
            .map(|limit| {
                let need = self.need(limit);
                let is_read = limit.measured(readings).is_some();
                let is_evaluated = need.is_some_and(|need| self.is_evaluated(need, update));
                // An unchanged state was judged where it was reached: after a drop only evaluations are due.
                let is_due = match &fixed {
                    Some(_) => need.is_some_and(|need| self.is_due(need, update, false)),
                    None => is_evaluated,
                };
                let must = is_due || complete && !limit.advice;
                let is_judged = match limit.confidence {
                    None => is_read || must,
                    Some(_) => complete && !limit.advice || is_evaluated,
                };
                is_judged && !limit.is_per_update()
            })
            .collect();
        let found = self.broken(update, |index, limit| {
            judged.get(index).filter(|is_judged| **is_judged)?;
            Some(limit.measured(readings))
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
            for (limit, is_judged) in self.limits.iter_mut().zip(&judged) {
                let of_its_step = if limit.is_per_update() { &at_scale } else { readings };
                if let Some(measured) = limit.measured(of_its_step)
                    && (*is_judged || limit.confidence.is_none())
                {
                    limit.spend(update, measured.reading);
                    if complete {
                        limit.remember(update, measured.reading);
                    }
                    let bound = limit.bound_now();
                    if let (Some(pace), Some(reading), Some(bound)) = (&mut limit.pace, measured.reading.value(), bound)
                    {
                        pace.tell(reading, bound, update, &self.clock);
                    }
                }
            }
        }
        for (limit, _) in self.limits.iter_mut().zip(&judged).filter(|(_, is_judged)| **is_judged) {
            limit.count_look();
        }
        self.conclude(update, action, breaches, complete)
    }

    /// The breaches of the limits for which `reading` says that they are judged, and on what.
    fn broken<'a>(&self, update: u64, reading: impl Fn(usize, &Armed) -> Option<Option<&'a Measured>>) -> Vec<Broken> {
        self.limits
            .iter()
            .enumerate()
            .filter_map(|(index, limit)| {
                let breach = limit.judge(update, reading(index, limit)?)?;
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
                limit.history.retain(|(earlier, _)| *earlier <= self.kept);
            }
        }
        Decision {
            action,
            slow,
            paced: self.paced(),
            keep,
            stalled,
            breaches: breaches.into_iter().map(|broken| broken.breach).collect(),
        }
    }
}
