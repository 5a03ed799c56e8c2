//! The journal of a run: a hash-chained record of readings and decisions, and the proof that replaying it gives the same
//! decisions.
//!
//! One JSON object a line, no clock, no host, no duration. The fields of each entry are those of the types here.
//!
//! What the chain proves: nothing was changed, lost or swapped by accident. It carries no signature, so it proves nothing
//! against somebody who rewrites all of it; the last line is covered only by a head hash that is kept elsewhere.
//!
//! **Invariant:** fields are only ever added within a format version, and an entry reads back as it was written, every
//! f64 to the bit.

mod chain;
mod entry;
mod number;
mod replay;
#[cfg(test)]
mod tests;

pub use chain::{Broken, Journal, Read, read};
pub use entry::{
    Action, Base, Breach, Cause, Decision, End, Entry, FORMAT, Path, Reading, Rung, RungAction, Schedule, Shape, Start,
    Suspect, Try, Update, Why,
};
pub use number::Number;
pub use replay::{Difference, replay};
