//! A limit that the guard is armed with: its bounds, its ladder, and how much of it is spent.

use super::clock::Clock;
use super::decision::{Breach, Cause, Measured};
use super::forecast::forecast;
use super::ladder::Ladder;
use super::pace::Pace;
use crate::meter::Reading;
use crate::meter::certainty::{Certainty, Test, alpha_at};
use crate::quantity::{Finite, Moment, Quantity};

/// Readings that a forecast looks back on.
const HISTORY: usize = 5;

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

/// How a limit is broken.
struct Broken {
    bound: Finite,
    is_floor: bool,
    cause: Cause,
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
    /// The confidence at which the bound must hold for the mean over the prompts that the probe stands for.
    pub confidence: Option<Finite>,
    /// How often it was judged at its confidence; nothing gives a look back.
    pub looks: u64,
    /// How its budget is spread over the run, where the policy says `paced`.
    pub pace: Option<Pace>,
    /// The latest readings at evaluations of the states that the run is made of, with their updates: what a forecast is
    /// made from.
    pub history: Vec<(u64, Finite)>,
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

    /// Whether a reading is outside of the bound, whatever the confidence; what cannot be told is.
    pub fn is_outside(&self, reading: Reading) -> bool {
        self.breaks(Some(reading)).is_some()
    }

    /// The reading that decides it.
    pub(super) fn measured<'a>(&self, readings: &'a [Measured]) -> Option<&'a Measured> {
        readings
            .iter()
            .find(|measured| measured.quantity == self.quantity && measured.probe == self.probe)
    }

    /// The breach that a reading is; `None` stands for a reading that was due and is missing.
    pub(super) fn judge(&self, update: u64, measured: Option<&Measured>) -> Option<Breach> {
        let reading = measured.map(|measured| measured.reading);
        let plain = self.breaks(reading);
        let broken = match (self.confidence, measured) {
            (Some(confidence), Some(measured)) => self.breaks_at(confidence, &measured.prompts, plain),
            _ => plain,
        };
        let Broken { bound, is_floor, cause } = broken?;
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

    /// How a reading breaks the bound; `None` stands for a reading that was due and is missing.
    fn breaks(&self, reading: Option<Reading>) -> Option<Broken> {
        let broken = |bound: Finite, is_floor, cause| Some(Broken { bound, is_floor, cause });
        let Some((min, max)) = self.bounds_now() else {
            return broken(Finite::ZERO, self.max.is_none(), Cause::NoBase);
        };
        let any = |cause| broken(max.or(min).unwrap_or(Finite::ZERO), max.is_none(), cause);
        match (reading, min, max) {
            (None, ..) => any(Cause::Missing),
            (Some(Reading::NotFinite), ..) => any(Cause::NotFinite),
            (Some(Reading::Value(value)), _, Some(max)) if value > max => broken(max, false, Cause::Outside),
            (Some(Reading::Value(value)), Some(min), _) if value < min => broken(min, true, Cause::Outside),
            _ => None,
        }
    }

    /// The same at a confidence: inside is only what is certified, and inside by its own reading as well. `plain` is what
    /// the reading alone breaks.
    fn breaks_at(&self, confidence: Finite, prompts: &[Reading], plain: Option<Broken>) -> Option<Broken> {
        let is_outside = match &plain {
            None => false,
            Some(broken) if broken.cause == Cause::Outside => true,
            // There is nothing to test, or nothing to test against.
            Some(_) => return plain,
        };
        let cause = if prompts.is_empty() {
            Cause::Missing
        } else if prompts.contains(&Reading::NotFinite) {
            Cause::NotFinite
        } else {
            match (self.certainty(confidence, prompts), is_outside) {
                (Certainty::Below, false) => return None,
                (Certainty::Below | Certainty::Above, true) => Cause::Outside,
                (Certainty::Above, false) | (Certainty::Undecided, _) => Cause::Uncertain {
                    prompts: prompts.len() as u64,
                },
            }
        };
        Some(Broken {
            bound: self.bound_now().unwrap_or(Finite::ZERO),
            is_floor: false,
            cause,
        })
    }

    /// What these prompts certify at the next look. Only ceilings are certified, so a limit with another bound, or
    /// without one, is undecided.
    pub(super) fn certainty(&self, confidence: Finite, prompts: &[Reading]) -> Certainty {
        let (Some((None, Some(bound))), Some(top)) = (self.bounds_now(), self.quantity.top()) else {
            return Certainty::Undecided;
        };
        let mut test = Test::new(
            bound.get(),
            top.get(),
            self.alpha(confidence, self.looks.saturating_add(1)),
        );
        for prompt in prompts {
            if test.tell(*prompt) != Certainty::Undecided {
                break;
            }
        }
        test.certainty()
    }

    /// How often a look may be wrong.
    pub(super) fn alpha(&self, confidence: Finite, look: u64) -> f64 {
        alpha_at(1.0 - confidence.get(), look)
    }

    /// Counts that it was judged, where that costs confidence.
    pub(super) fn count_look(&mut self) {
        if self.confidence.is_some() {
            self.looks = self.looks.saturating_add(1);
        }
    }

    /// The update at which its budget would be spent at this pace; none where the readings do not lead there. For limits
    /// on the distance from the base, whose budget is spent little by little.
    pub fn forecast(&self, clock: &Clock) -> Option<u64> {
        forecast(&self.history, self.bound_now()?, clock)
    }

    /// Notes a reading at an evaluation, for the forecast.
    pub(super) fn remember(&mut self, update: u64, reading: Reading) {
        let is_distance = matches!(self.quantity, Quantity::DriftTotal | Quantity::DriftTail);
        if let Some(value) = reading.value().filter(|_| is_distance && update > 0) {
            self.history.retain(|(earlier, _)| *earlier < update);
            self.history.push((update, value));
            let excess = self.history.len().saturating_sub(HISTORY);
            self.history.drain(..excess);
        }
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
