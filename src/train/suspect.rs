//! Which sample of a refused batch it was: bisection.
//!
//! The batch is halved, each half proposes an update from the same state, and the half that breaks the limit further is
//! halved again: about two steps' work in all, spent only where a batch was refused.

use super::engine::Engine;
use super::error::Result;
use super::live::Live;
use super::measure::Meters;
use crate::guard::{Breach, Guard};
use crate::meter::Reading;

/// The sample that moves the model most against a limit, with what it would do alone, and what the others would without it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// Its row among the run's rows.
    pub row: usize,
    /// The reading of an update made of it alone.
    pub alone: Reading,
    /// The reading of an update made of the others; none where there are no others.
    pub others: Option<Reading>,
}

/// Searches the batch of the next update of `now` for the sample that breaks a per-update limit furthest; `None` for a
/// batch without rows. `halvings` are those of the rate at which the batch was proposed.
///
/// # Errors
/// When the model cannot be run.
pub fn suspect(
    engine: &Engine,
    meters: &Meters<'_>,
    (guard, halvings): (&Guard, u32),
    breach: &Breach,
    now: &Live,
) -> Result<Option<Suspect>> {
    let batch: Vec<usize> = engine.plan.batches(now.state.proposals).concat();
    let read = |rows: &[usize]| -> Result<Reading> {
        let step = engine.propose_rows(&now.state, halvings, &[rows.to_vec()])?;
        if !step.is_finite() {
            return Ok(Reading::NotFinite);
        }
        let mut next = now.after(&step, 1.0)?;
        let is_it = |need: &crate::guard::Need| need.quantity == breach.quantity && need.probe == breach.probe;
        let readings = meters.read(guard, is_it, &mut next, Some(now))?;
        Ok(readings.first().map_or(Reading::NotFinite, |measured| measured.reading))
    };
    // A limit on a quantity of an update is a ceiling; what is not finite is above everything.
    let size = |reading: Reading| reading.value().map_or(f64::INFINITY, crate::quantity::Finite::get);
    let mut left = batch.clone();
    while left.len() > 1 {
        let (one, other) = left.split_at(left.len() / 2);
        let first_is_worse = size(read(one)?) >= size(read(other)?);
        left = if first_is_worse { one.to_vec() } else { other.to_vec() };
    }
    let Some(row) = left.first().copied() else {
        return Ok(None);
    };
    let others: Vec<usize> = batch.into_iter().filter(|other| *other != row).collect();
    Ok(Some(Suspect {
        row,
        alone: read(&[row])?,
        others: if others.is_empty() { None } else { Some(read(&others)?) },
    }))
}
