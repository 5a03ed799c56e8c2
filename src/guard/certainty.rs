//! What a probe can tell: when its prompts are enough, and whether it is large enough at all.

use super::decision::Measured;
use super::limit::Armed;
use super::machine::Guard;
use crate::meter::Reading;
use crate::meter::certainty::{Certainty, prompts_needed};
use crate::quantity::{Finite, Quantity};

/// How many standard errors of the base's reading a bound must be away from it.
const APART: f64 = 2.0;

/// A limit that its probe is too small to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unresolvable {
    /// The limit: an index into the policy's lines.
    pub line: usize,
    /// How many prompts would do; `None` where no number would, or none can be told.
    pub needed: Option<u64>,
    /// How many the probe has.
    pub has: u64,
    /// Whether the limit is advice: then this is told and nothing is refused.
    pub advice: bool,
}

impl Guard {
    /// Whether a limit needs each prompt's value in [`Measured::prompts`].
    pub fn asks_prompts(&self, quantity: Quantity, probe: Option<usize>) -> bool {
        self.limits_on(quantity, probe).any(|limit| limit.confidence.is_some())
    }

    /// Whether these prompts decide every armed limit on the quantity and probe at its next look, so that no more of them
    /// has to be evaluated. Never true where a limit without a confidence speaks about the probe as a whole, where the
    /// base's reading of the whole probe is still wanted, or where there is no limit.
    ///
    /// Ask it as often as wanted: stopping when it is true costs no confidence.
    pub fn is_certain(&self, quantity: Quantity, probe: Option<usize>, prompts: &[Reading]) -> bool {
        let mut limits = self.limits_on(quantity, probe).peekable();
        limits.peek().is_some()
            && limits.all(|limit| {
                let certainty = limit.confidence.map(|confidence| limit.certainty(confidence, prompts));
                matches!(certainty, Some(Certainty::Below | Certainty::Above))
            })
    }

    fn limits_on(&self, quantity: Quantity, probe: Option<usize>) -> impl Iterator<Item = &Armed> {
        let limits = self.limits().iter();
        limits.filter(move |limit| (limit.quantity, limit.probe) == (quantity, probe))
    }

    /// The limits whose probe is too small to hold them, whatever it reads: those at a confidence that not even zeros on
    /// all of its prompts would certify at look number `looks`, the last that the run plans, counted from 1 before update
    /// 0; and shares of the probe's rows whose bound is less than one row. `prompts_of` has the rows of each probe, an
    /// index into the policy's probes.
    ///
    /// Asked before [`begin`](Guard::begin); shares of the base are then left out, because their bound is not known yet.
    /// Evaluations after a rollback are looks beyond the plan.
    pub fn resolves(&self, prompts_of: impl Fn(usize) -> u64, looks: u64) -> Vec<Unresolvable> {
        let unresolvable = |limit: &Armed| {
            let bound = limit.bound_now()?.get();
            let has = limit.probe.map_or(0, &prompts_of);
            let needed = match limit.confidence {
                Some(confidence) => {
                    let top = limit.quantity.top().map_or(f64::NAN, Finite::get);
                    prompts_needed(bound, top, limit.alpha(confidence, looks))
                }
                None if limit.quantity.row().counted && bound > 0.0 => Some(rows_for(bound)),
                None => return None,
            };
            needed
                .is_none_or(|needed| has < needed)
                .then_some(limit.too_small(needed, has))
        };
        self.limits().iter().filter_map(unresolvable).collect()
    }

    /// The limits that are shares of the base's reading with a bound so near to it that the probe cannot tell the two
    /// apart: less than two standard errors of the base's reading away. `readings` are those that
    /// [`begin`](Guard::begin) was given; one without a standard error tells nothing apart.
    pub fn too_coarse(&self, readings: &[Measured], prompts_of: impl Fn(usize) -> u64) -> Vec<Unresolvable> {
        let too_coarse = |limit: &Armed| {
            let (bound, base) = (limit.bound_now()?.get(), limit.base?.get());
            let has = limit.probe.map_or(0, &prompts_of);
            let error = limit.measured(readings).and_then(|measured| measured.standard_error);
            let Some(error) = error.map(Finite::get) else {
                return Some(limit.too_small(None, has));
            };
            let apart = (bound - base).abs();
            if apart > 0.0 && apart >= APART * error {
                return None;
            }
            // The standard error falls with the root of the number of prompts.
            let needed = (has as f64 * (APART * error / apart).powi(2)).ceil();
            Some(limit.too_small((needed < 9e15).then_some(needed as u64), has))
        };
        let of_base = self.limits().iter().filter(|limit| limit.of_base);
        of_base.filter_map(too_coarse).collect()
    }
}

impl Armed {
    fn too_small(&self, needed: Option<u64>, has: u64) -> Unresolvable {
        Unresolvable {
            line: self.line,
            needed,
            has,
            advice: self.advice,
        }
    }
}

/// The fewest rows of which one is a share inside the bound.
fn rows_for(bound: f64) -> u64 {
    let rows = (1.0 / bound).ceil();
    // The quotient was rounded, and the guard compares 1/rows with the bound.
    if 1.0 / (rows - 1.0) <= bound {
        rows as u64 - 1
    } else {
        rows as u64
    }
}
