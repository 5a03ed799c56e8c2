//! The guard in other people's training loops: readings in, decisions out, one JSON object a line.
//!
//! ```text
//! hello ─▶ base ─▶ ready
//! for each update:  propose ─▶ measure: propose again at that scale
//!                           ─▶ fixed, drop: decide ─▶ decision
//!                           ─▶ decision
//! end ─▶ summary
//! ```
//!
//! `docs/reference/guard-protocol.md` has every field. A [`Session`] is a state machine over lines: text in, lines out.
//!
//! **Invariant:** pure. The same lines give the same answers and the same journal; who carries them is somebody else's
//! business.
//! **Invariant:** a message that is wrong ends the session and changes no decision. What is due and does not come is a
//! breach, and so is every number that is not finite.

mod answer;
mod message;
mod session;
#[cfg(test)]
mod tests;

pub use session::{Reply, Session};

/// The version of the protocol, in the first line. Within one, fields are only ever added.
pub const PROTOCOL: u32 = 1;
