//! The guard: every optimizer update is a transaction. Propose, measure, decide, commit.
//!
//! ```text
//! begin(readings of update 0)
//! for each proposal:  fit(update, 1.0, readings) ─▶ Measure { scale }: measure there and call again
//!                                                ─▶ Fixed { scale }, Drop: measure what is due, then
//!                         decide(update, readings, complete) ─▶ Decision
//!                                                ─▶ Act(decision): the proposal is over
//! ```
//!
//! The guard knows nothing of models: it takes readings and gives decisions, so any training loop can be governed by it.
//!
//! **Invariant:** decisions are a pure function of the policy and the readings: no clock, no file, no random number.
//! **Invariant:** no committed state exceeds a limit on a quantity that is read at every update; no kept state exceeds
//! one that is read at evaluations.
//! **Invariant:** a reading that is missing or not finite, or that leaves a limit at a confidence undecided, is a breach. Advice is recorded and never acts.

mod arm;
mod certainty;
mod clock;
mod decision;
mod forecast;
mod ladder;
mod limit;
mod machine;
mod needs;
mod pace;
mod plan;
mod search;
#[cfg(test)]
mod tests;

pub use certainty::Unresolvable;
pub use clock::Clock;
pub use decision::{Act, Breach, Cause, Decision, Fit, Measured};
pub use forecast::forecast;
pub use ladder::Ladder;
pub use limit::{Armed, Spent};
pub use machine::{Guard, IN_A_ROW};
pub use needs::{Need, When};
pub use pace::{Change, Pace, allowance};
pub use plan::{Look, Plan, costs, has_meter};
pub use search::LEAST_SCALE;
