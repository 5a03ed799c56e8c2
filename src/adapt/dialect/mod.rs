//! The dialects: one file each, a table of keys with the facts they set and the framework's defaults.
//!
//! A dialect that is added here is read, known to `--framework` and compared with the corpus; `detect` says which files
//! are written in it.

pub(super) mod axolotl;
mod axolotl_adapter;
mod axolotl_findings;
mod axolotl_rates;
mod axolotl_refused;
mod hf;
pub(super) mod litgpt;
pub(super) mod llama_factory;
pub(super) mod llama_factory_v1;
pub(super) mod mlx_lm;
pub(super) mod nemo;
mod nemo_draft;
mod nemo_keys;
mod nemo_multimodal;
mod nemo_parts;
pub(super) mod peft;
pub(super) mod peft_benchmark;
mod plain;
mod pydantic;
mod quantized;
mod refusals;
pub(super) mod swift;
mod swift_data;
pub(super) mod swift_megatron;
pub(super) mod torchtune;
mod torchtune_updates;
mod trainers;
pub(super) mod trl;
pub(super) mod unsloth;

use super::format::Format;

/// Every dialect, in the order in which help texts name them.
pub(super) static ALL: &[&Format] = &[
    &llama_factory::FORMAT,
    &llama_factory_v1::FORMAT,
    &axolotl::FORMAT,
    &trl::FORMAT,
    &swift::FORMAT,
    &swift_megatron::FORMAT,
    &peft::FORMAT,
    &torchtune::FORMAT,
    &unsloth::FORMAT,
    &mlx_lm::FORMAT,
    &nemo::FORMAT,
    &litgpt::FORMAT,
    &peft_benchmark::FORMAT,
];
