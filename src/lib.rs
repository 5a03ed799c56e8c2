//! Risk budgets for fine-tuning: a policy language, and the evaluator that judges a run before it trains.
//!
//! ```text
//! policy.riskpolicy ─▶ syntax::parse ─▶ tree ─▶ sema::compile ─▶ ir::Policy ─┐
//!                                                                            ├─▶ check::judge ─▶ ir::Judgement ─▶ report
//! run.yaml ─────────▶ adapt::read ───────────▶ facts::Facts ─────────────────┘
//!
//! facts::Recipe ─▶ train::run ─ proposal ─▶ meter ─ readings ─▶ guard ─ decision ─▶ ledger, then the state
//! any other loop ◀─ lines ─▶ protocol::Session ───── readings ─▶ guard ─ decision ─▶ ledger, then the answer
//! ```
//!
//! Every room is pure but `cmd`, the only one that touches files, the terminal and the process.
//! Imports run downwards only; `tests/it/house.rs` holds the table and fails when they do not.
//! `docs/architecture.md` is the map with each room's invariants.
//!
//! | feature | brings |
//! |---|---|
//! | `cli` (default) | the `ftrisk` binary and coloured diagnostics |
//! | `train` (default) | the training engine and `ftrisk train` |
//!
//! ```
//! use ftrisk::{adapt, check, sema, source::Sources};
//!
//! let mut sources = Sources::default();
//! let policy = sources.add("small.riskpolicy", "policy \"small\"\nmax lora.rank 16\n");
//! let run = sources.add("run.yaml", "model_name_or_path: m\ndo_train: true\nlora_rank: 8\n");
//!
//! let policy = sema::compile(policy, &sources).policy.expect("it has no mistake");
//! let facts = adapt::read(run, &sources, adapt::Launch::default()).facts.expect("it is a run file");
//! let judgement = check::judge(&policy, &facts, &sources, false);
//! assert_eq!(judgement.lines[0].verdict.word(), "within");
//! ```

// pest's derive writes `::alloc::…` when pest comes without its guard of the native stack. No rule of the grammar calls
// itself, so there is nothing to guard, and asking for the stack's bounds would read /proc at every start.
extern crate alloc;

// The rooms in reading order: what a text is, what a number is, what can be wrong; then the language; then the run; then
// judgement, before training and in it; then the faces, of which `protocol` and `embed` look at other people's loops.
pub mod source;

pub mod quantity;

pub mod diag;

pub mod syntax;

pub mod ir;

pub mod sema;

pub mod facts;

pub mod adapt;

pub mod check;

pub mod meter;

pub mod guard;

pub mod ledger;

pub mod protocol;

#[cfg(feature = "train")]
pub mod train;

pub mod report;

#[cfg(feature = "train")]
pub mod embed;

pub mod builtin;

#[cfg(feature = "cli")]
pub mod cmd;
