//! A limit that the guard is armed with: its bounds, its ladder, and how much of it is spent.

use super::decision::{Breach, Cause, Measured};
use super::ladder::Ladder;
use crate::meter::Reading;
use crate::quantity::{Finite, Moment, Quantity};

/// Readings of the states that the run is made of. A rollback takes back what it takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The reading of the latest committed state that was read.
    pub last: Reading,
    /// The one closest to the bound or furthest beyond: the largest for a ceiling, the smallest for a floor, what is not
    /// finite above all.
    pub worst: Reading,
    /// The update of the worst reading.
    pub at_update: u64,
}

/// A limit under guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// Its line: an index into the policy's lines.
    pub line: usize,
    /// What is read.
    pub quantity: Quantity,
    /// On which probe: an index into the policy's probes.
    pub probe: Option<usize>,
    /// The floor, inclusive; a share of the base's reading when `of_base`.
    pub min: Option<Finite>,
    /// The ceiling, inclusive; a share of the base's reading when `of_base`.
    pub max: Option<Finite>,
    /// Whether the bounds are shares of the base's reading.
    pub of_base: bool,
    /// Whether it is recorded only.
    pub advice: bool,
    /// What answers a breach, with the uses so far; advice never uses it.
    pub ladder: Ladder,
    /// The base's reading, taken before update 0, where bounds are shares of it.
    pub base: Option<Finite>,
    /// How much of it is spent; none before the first reading.
    pub spent: Option<Spent>,
    /// What was spent at the kept state.
    pub(super) kept: Option<Spent>,
}

impl Armed {
    /// Whether it is a per-update limit: one that fixes the scale of a proposal.
    pub fn is_per_update(&self) -> bool {
        self.quantity.row().moment == Moment::Update
    }

    /// The floor and the ceiling in the quantity's own measure; none while a base reading is wanted and not there.
    pub fn bounds_now(&self) -> Option<(Option<Finite>, Option<Finite>)> {
        if !self.of_base {
            return Some((self.min, self.max));
        }
        let base = self.base.filter(|base| base.get() != 0.0)?;
        let of = |share: Option<Finite>| match share {
            None => Some(None),
            Some(share) => Finite::new(share.get() * base.get()).map(Some),
        };
        Some((of(self.min)?, of(self.max)?))
    }

    /// The ceiling in the quantity's own measure, or the floor where there is no ceiling.
    pub fn bound_now(&self) -> Option<Finite> {
        let (min, max) = self.bounds_now()?;
        max.or(min)
    }

    /// Whether a reading breaks it; what cannot be told does.
    pub fn is_outside(&self, reading: Reading) -> bool {
        self.judge(0, Some(reading)).is_some()
    }

    /// The reading that decides it.
    pub(super) fn reading(&self, readings: &[Measured]) -> Option<Reading> {
        readings
            .iter()
            .find(|measured| measured.quantity == self.quantity && measured.probe == self.probe)
            .map(|measured| measured.reading)
    }

    /// The breach that a reading is; `None` stands for a reading that was due and is missing.
    pub(super) fn judge(&self, update: u64, reading: Option<Reading>) -> Option<Breach> {
        let (bound, is_floor, cause) = match self.bounds_now() {
            None => (Finite::ZERO, self.max.is_none(), Cause::NoBase),
            Some((min, max)) => {
                let any = (max.or(min).unwrap_or(Finite::ZERO), max.is_none());
                match reading {
                    None => (any.0, any.1, Cause::Missing),
                    Some(Reading::NotFinite) => (any.0, any.1, Cause::NotFinite),
                    Some(Reading::Value(value)) => match (min, max) {
                        (_, Some(max)) if value > max => (max, false, Cause::Outside),
                        (Some(min), _) if value < min => (min, true, Cause::Outside),
                        _ => return None,
                    },
                }
            }
        };
        Some(Breach {
            line: self.line,
            quantity: self.quantity,
            probe: self.probe,
            reading: reading.unwrap_or(Reading::NotFinite),
            bound,
            is_floor,
            cause,
            update,
            rung: (!self.advice).then(|| self.ladder.next_use()),
            advice: self.advice,
        })
    }

    /// Notes the reading of a state that the run now stands on.
    pub(super) fn spend(&mut self, update: u64, reading: Reading) {
        let ceiling = self.max.is_some();
        let is_worse = |old: Reading| match (reading, old) {
            (_, Reading::NotFinite) => false,
            (Reading::NotFinite, _) => true,
            (Reading::Value(new), Reading::Value(old)) => (ceiling && new > old) || (!ceiling && new < old),
        };
        self.spent = Some(match self.spent {
            Some(spent) if !is_worse(spent.worst) => Spent { last: reading, ..spent },
            _ => Spent {
                last: reading,
                worst: reading,
                at_update: update,
            },
        });
    }
}
