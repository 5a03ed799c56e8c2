//! Six runs and what they left.
//!
//! `tiny_scenarios` runs them; the table and the picture are drawn from its log there and in `tests/it/figures.rs` alike.

pub mod draw;
pub mod play;
pub mod record;
pub mod scenario;

/// What may go wrong in any way.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The seed of the table.
pub const SEED: u64 = 42;
/// The policy that governs.
pub const POLICY: &str = "policies/cautious-sft.riskpolicy";
