//! Meters: slices of numbers and texts in, readings out.
//!
//! Every meter is a pure function with a fixed order of additions in f64, so that the same bits give the same reading on
//! any number of threads. Knows quantities' formulas; knows no model, no policy and no file.
//!
//! **Invariant:** what is not finite, or was measured on shapes that do not fit, is [`Reading::NotFinite`], never a small
//! value: a meter that fails is a breach.

pub mod diversity;
mod estimate;
pub mod kl;
pub mod rank;
mod reading;

pub use estimate::Estimate;
pub use reading::Reading;
