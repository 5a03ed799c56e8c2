//! The training engine: a Llama in f32 on the processor, LoRA on top of it, and updates as values.
//!
//! Nothing is changed in place. A forward pass takes weights and an adapter and gives numbers; an optimizer step takes
//! moments, parameters and gradients and gives a proposal; [`run`] measures it, asks the guard, and takes it or not.
//! Every random number comes from a [`random::Stream`], and sums are taken in a fixed order, so that the same binary on
//! the same kind of machine gives the same bits.

pub mod behaviour;
pub mod config;
pub mod data;
pub mod engine;
pub mod error;
pub mod folder;
pub mod gradients;
pub mod kept;
pub mod live;
pub mod lora;
pub mod machine;
pub mod measure;
pub mod model;
pub mod optim;
pub mod path;
pub mod probe;
pub mod random;
pub mod run;
pub mod sample;
pub mod setup;
pub mod state;
pub mod suspect;
pub mod tensors;

pub use error::{Error, Result};
