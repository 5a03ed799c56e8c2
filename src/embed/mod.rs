//! A governed optimizer for any candle loop: the same guard, meters and AdamW as `ftrisk train`, around weights that are
//! yours.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use ftrisk::adapt::Launch;
//! use ftrisk::embed::{Builder, Stepped};
//!
//! let policy = "policy \"small\"\n\
//!     probe text general \"general.jsonl\" every 5 updates\n\
//!     max drift.per_update 0.001 nats on general else scale\n\
//!     max drift.total 0.1 nats on general else stop\n";
//! let run = "model_name_or_path: table\nstage: sft\ndo_train: true\n";
//!
//! // A model of one row of logits, which answers the same after every token.
//! let row = Var::zeros((1, 4), candle_core::DType::F32, &Device::Cpu)?;
//! let mut governed = Builder::new(policy, run, Launch::default())?
//!     .rate(0.1)
//!     .updates(10)
//!     .text("general", || Ok(vec![row.as_tensor().clone()]))
//!     .build(vec![row.clone()])?;
//! let mut committed = 0.0;
//! while governed.next_update().is_some() {
//!     let loss = row.narrow(1, 0, 1)?.neg()?.sum_all()?;
//!     match governed.step(&loss.backward()?)? {
//!         Stepped::Committed { scale } => committed += scale,
//!         Stepped::Skipped | Stepped::RolledBack { .. } => {}
//!         Stepped::Stopped { .. } => break,
//!     }
//! }
//! assert!(committed > 0.0 && committed < 10.0);
//! let update = governed.kept()?;
//! assert_eq!(update, 10);
//! # Ok::<(), ftrisk::train::Error>(())
//! ```
//!
//! The policy and the run file are texts; the run is judged first, as `ftrisk check` does, and refused when it is over or
//! open. What a probe's file holds, and that it is the pinned one, is the caller's to know: this room opens nothing.
//!
//! **Invariant:** after every call the variables hold a state that was committed, or the kept one: never a proposal.
//! **Invariant:** a restored state is restored to the bit: weights, moments, their step, and the number of the update.

mod builder;
mod governed;
mod meters;
mod weights;

pub use builder::Builder;
pub use governed::{Governed, Stepped};
