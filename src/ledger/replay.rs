//! Feeds the readings of a journal to a fresh guard and compares the decisions.

use std::fmt;

use super::entry::{Decision, End, Entry, Reading, Update, Why};
use crate::guard::{Act, Fit, Guard, Measured};
use crate::ir::Policy;

/// The first entry at which a replay differs from the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The entry, from 1: its line in the journal.
    pub entry: usize,
    /// What differs.
    pub why: String,
    /// The decision in the journal, where it is the decision that differs.
    pub recorded: Option<Box<Decision>>,
    /// The decision of the replay, where there is one.
    pub replayed: Option<Box<Decision>>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.entry, self.why)
    }
}

impl From<String> for Difference {
    fn from(why: String) -> Self {
        Difference {
            entry: 0,
            why,
            recorded: None,
            replayed: None,
        }
    }
}

/// Replays a journal under the policy that it was made with: `later` are the lines that the guard is armed with, `strict`
/// whether advice is enforced.
///
/// # Errors
///
/// The first difference: a decision, a scale that was tried and not asked for, an update out of order, or an end that
/// does not follow from the last decision. A journal without an `end` entry is replayed as far as it goes.
pub fn replay(policy: &Policy, later: &[usize], strict: bool, entries: &[Entry]) -> Result<(), Difference> {
    let guard = Guard::arm(policy, later, strict).map_err(|lines| {
        Difference::from(format!(
            "the policy's lines {lines:?} cannot be guarded by this version"
        ))
    })?;
    replay_with(guard, policy, later, strict, entries)
}

/// The same with a guard that is armed already.
pub(super) fn replay_with(
    guard: Guard,
    policy: &Policy,
    later: &[usize],
    strict: bool,
    entries: &[Entry],
) -> Result<(), Difference> {
    let mut run = Run {
        policy,
        guard,
        began: false,
        last: 0,
        next: 1,
        stopped: None,
    };
    for (index, entry) in entries.iter().enumerate() {
        run.entry(entry, later, strict).map_err(|difference| Difference {
            entry: index + 1,
            ..difference
        })?;
    }
    Ok(())
}

struct Run<'a> {
    policy: &'a Policy,
    guard: Guard,
    /// Whether the base was inside.
    began: bool,
    /// The number of the last proposal.
    last: u64,
    /// The number that the next proposal has.
    next: u64,
    /// Where a stop went back to.
    stopped: Option<u64>,
}

impl Run<'_> {
    fn entry(&mut self, entry: &Entry, later: &[usize], strict: bool) -> Result<(), Difference> {
        match entry {
            Entry::Start(start) if start.later != later || start.strict != strict => Err(format!(
                "the guard was armed with the lines {:?}, strict {}; this replay with {later:?}, strict {strict}",
                start.later, start.strict
            )
            .into()),
            Entry::Start(start) => {
                self.guard.spread_over(start.clock());
                Ok(())
            }
            Entry::Base(base) => {
                let readings = self.measured(&base.readings)?;
                self.began = self.guard.begin(&readings).is_ok();
                Ok(())
            }
            Entry::Update(update) => self.update(update),
            Entry::End(end) => self.end(end),
        }
    }

    fn measured(&self, readings: &[Reading]) -> Result<Vec<Measured>, Difference> {
        readings
            .iter()
            .map(|reading| reading.measured(self.policy).map_err(Difference::from))
            .collect()
    }

    fn update(&mut self, update: &Update) -> Result<(), Difference> {
        let number = update.update;
        if !self.began {
            return Err(format!("update {number} of a run that does not start").into());
        }
        if self.stopped.is_some() {
            return Err(format!("update {number} comes after the run was stopped").into());
        }
        if number != self.next {
            return Err(format!("update {number} stands where update {} is expected", self.next).into());
        }
        let replayed = self.decide(update)?;
        (self.last, self.next) = match replayed.action {
            Act::Commit { .. } | Act::Skip => (number, number + 1),
            Act::Rollback { to } => (number, to + 1),
            Act::Stop { to } => {
                self.stopped = Some(to);
                (number, number + 1)
            }
        };
        let replayed = Decision::of(&replayed, self.policy);
        if replayed == update.decision {
            return Ok(());
        }
        Err(Difference {
            recorded: Some(Box::new(update.decision.clone())),
            replayed: Some(Box::new(replayed)),
            ..format!("the decision on update {number} differs").into()
        })
    }

    fn decide(&mut self, update: &Update) -> Result<crate::guard::Decision, Difference> {
        let number = update.update;
        let readings = self.measured(&update.readings)?;
        let mut asked = Some(1.0);
        for tried in &update.tries {
            let scale = tried.scale.get();
            if asked != Some(scale) {
                return Err(format!("update {number} was measured at scale {scale}, which nothing asks for").into());
            }
            let at_scale = self.measured(&tried.readings)?;
            asked = match self.guard.fit(number, scale, &at_scale) {
                Fit::Measure { scale } => Some(scale),
                Fit::Fixed { .. } | Fit::Drop => None,
                Fit::Act(decision) => return Ok(decision),
            };
        }
        if let Some(scale) = asked.filter(|_| !update.tries.is_empty()) {
            return Err(format!("update {number} was not measured at scale {scale}").into());
        }
        Ok(self.guard.decide(number, &readings, update.complete))
    }

    fn end(&self, end: &End) -> Result<(), Difference> {
        let (why, saved) = match (self.began, self.stopped) {
            (false, _) => (Why::NotStarted, None),
            (true, Some(to)) => (Why::Stopped, Some(to)),
            // Which of the two it was is not the guard's to know.
            (true, None) if end.why == Why::Unresolved && self.last == 0 => (end.why, None),
            (true, None) if matches!(end.why, Why::Interrupted | Why::NotFinite) => (end.why, Some(self.guard.kept())),
            (true, None) => (Why::Finished, Some(self.guard.kept())),
        };
        if end.why != why {
            return Err(format!("the journal ends with {:?}; by the readings it is {why:?}", end.why).into());
        }
        if end.update != self.last {
            return Err(format!("the journal ends at update {}; its last is {}", end.update, self.last).into());
        }
        // An interrupted run may save nothing.
        let may_save_nothing = why == Why::Interrupted && end.saved_from.is_none();
        if end.saved_from != saved && !may_save_nothing {
            return Err(format!(
                "what was saved stands at {:?}; the last state inside every limit at {saved:?}",
                end.saved_from
            )
            .into());
        }
        Ok(())
    }
}
