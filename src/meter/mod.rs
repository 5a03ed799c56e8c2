//! Meters: slices of numbers and texts in, readings out.
//!
//! Every meter is a pure function with a fixed order of additions in f64, so that the same bits give the same reading on
//! any number of threads. Knows quantities' formulas; knows no model, no policy and no file.
//!
//! **Invariant:** what is not finite, or was measured on shapes that do not fit, is [`Reading::NotFinite`], never a small
//! value: a meter that fails is a breach.

pub mod bias;
pub mod calibration;
pub mod certainty;
pub mod compression;
pub mod confidence;
pub mod cross_entropy;
pub mod distinct;
mod estimate;
pub mod flips;
pub mod floor;
pub mod gap;
pub mod js;
pub mod kl;
pub mod movement;
pub mod noise;
pub mod quantile;
pub mod rank;
mod reading;
pub mod self_bleu;
pub mod spread;
mod square;
pub mod template;
pub mod tone;
pub mod top_share;
pub mod words;

pub use estimate::Estimate;
pub use reading::Reading;
