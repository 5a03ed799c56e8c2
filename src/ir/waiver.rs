//! Waivers: a limit relaxed for named runs, until a day, by somebody, for a reason.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Asks, Bound, Day, Level, Limit, Policy, glob};
use crate::quantity::Quantity;
use crate::source::Place;

/// The furthest that a waiver may reach: who needs one for longer than a year needs another limit.
pub const MOST_DAYS: i64 = 366;

/// `waive Q up to v for "GLOB" until DATE by "…" because "…"`
#[derive(Debug, Clone, PartialEq)]
pub struct Waiver {
    /// Whose limits.
    pub quantity: Quantity,
    /// Whether it raises ceilings; else it lowers floors.
    pub up: bool,
    /// Where to.
    pub bound: Bound,
    /// Whether the bound is a share of the base's reading.
    pub of_base: bool,
    /// Which run files: a glob over paths from the policy's root on.
    pub runs: String,
    /// The last day on which it holds.
    pub until: Day,
    /// Who answers for it.
    pub by: String,
    /// Why.
    pub because: String,
    /// The statement.
    pub place: Place,
    /// The day in it.
    pub day: Place,
}

/// A bound that a waiver moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The waiver: an index into the policy's.
    pub waiver: usize,
    /// The bound as the limit has it.
    pub from: Bound,
    /// Whether it is the ceiling; else it is the floor.
    pub is_max: bool,
    /// Days on which the waiver still holds after this one.
    pub days_left: i64,
}

impl Waiver {
    /// Whether it relaxes a limit of that level. Only what is enforced needs it, and what is already laxer stays.
    pub fn relaxes(&self, level: Level, limit: &Limit) -> bool {
        let at = if self.up { &limit.max } else { &limit.min };
        let is_laxer = |bound: &Bound| {
            if self.up {
                self.bound.value > bound.value
            } else {
                self.bound.value < bound.value
            }
        };
        level == Level::Enforce
            && limit.quantity == self.quantity
            && limit.of_base == self.of_base
            && at.as_ref().is_some_and(is_laxer)
    }

    /// Whether it reaches further than a waiver may.
    pub fn is_too_long(&self, today: Day) -> bool {
        today.days_to(self.until) > MOST_DAYS
    }

    fn holds(&self, run: &str, today: Day) -> bool {
        (0..=MOST_DAYS).contains(&today.days_to(self.until)) && glob(&self.runs, run)
    }
}

impl Policy {
    /// The policy as it judges one run: limits that are waived for it have the waiver's bound. `run` is the path of the run
    /// file from the policy's root on, with `/` between folders; `None` for a run that has no such path, and no waiver.
    pub fn waived_for(&self, run: Option<&str>, today: Day) -> Cow<'_, Policy> {
        let holding = |(index, waiver): (usize, &Waiver)| {
            run.is_some_and(|run| waiver.holds(run, today))
                .then_some((index, waiver.clone()))
        };
        let holding: Vec<(usize, Waiver)> = self.waivers.iter().enumerate().filter_map(holding).collect();
        let mut policy = Cow::Borrowed(self);
        for (index, waiver) in holding {
            let days_left = today.days_to(waiver.until);
            for line in &mut policy.to_mut().lines {
                let level = line.level;
                match &mut line.asks {
                    Asks::Limit(limit) if waiver.relaxes(level, limit) => limit.move_bound(&waiver, index, days_left),
                    Asks::Limit(_) | Asks::Allow { .. } | Asks::Require(_) => {}
                }
            }
        }
        policy
    }
}

impl Policy {
    /// The waivers that moved a bound of it, in their order.
    pub fn applied(&self) -> Vec<usize> {
        let limits = self.lines.iter().filter_map(|line| match &line.asks {
            Asks::Limit(limit) => Some(limit),
            Asks::Allow { .. } | Asks::Require(_) => None,
        });
        let waivers: BTreeSet<usize> = limits
            .flat_map(|limit| limit.moved.iter().map(|moved| moved.waiver))
            .collect();
        waivers.into_iter().collect()
    }
}

impl Limit {
    fn move_bound(&mut self, waiver: &Waiver, index: usize, days_left: i64) {
        let end = if waiver.up { &mut self.max } else { &mut self.min };
        let Some(from) = end.replace(waiver.bound.clone()) else {
            return;
        };
        match self.moved.iter_mut().find(|moved| moved.is_max == waiver.up) {
            // A second waiver that reaches further: the limit's own bound stays what it was.
            Some(moved) => (moved.waiver, moved.days_left) = (index, days_left),
            None => self.moved.push(Moved {
                waiver: index,
                from,
                is_max: waiver.up,
                days_left,
            }),
        }
    }

    /// The limit without the waivers that moved it; `None` when none did.
    pub fn as_written(&self) -> Option<Limit> {
        if self.moved.is_empty() {
            return None;
        }
        let mut written = self.clone();
        for moved in written.moved.drain(..) {
            let end = if moved.is_max {
                &mut written.max
            } else {
                &mut written.min
            };
            *end = Some(moved.from);
        }
        Some(written)
    }
}

/// `36 days left`
pub(crate) fn days_left(days: i64) -> String {
    match days {
        0 => "last day".to_owned(),
        1 => "1 day left".to_owned(),
        _ => format!("{days} days left"),
    }
}
