//! What Axolotl's schema refuses by name: keys that are gone, and the first generation of FSDP.
//!
//! Read in the wheels of 0.19, 0.20 and 0.21 and at commit 067b021c (0.18). What all of them refuse is an error. FSDP1 is
//! gone since 0.20 and still trains in 0.19: a warning that names the release.

use super::axolotl_findings::refuse;
use super::pydantic::{is_null, is_true};
use crate::adapt::reader::Run;
use crate::adapt::scalar::{Loader, Value, resolve};
use crate::adapt::tree::{Data, Entry};
use crate::diag::{Code, Diagnostic, Severity};

/// When a key that is gone is refused.
#[derive(Clone, Copy)]
enum Refused {
    /// Where Python takes its value for true.
    True,
    /// Where it has any value.
    Written,
}
use Refused::{True, Written};

/// Keys that the schema has only in order to refuse them, with what to do.
const GONE: &[(&str, Refused, &str)] = &[
    (
        "max_packed_sequence_len",
        True,
        "write sequence_len and sample_packing: true in its place",
    ),
    ("rope_scaling", True, "write it under overrides_of_model_config"),
    ("s2_attention", True, "delete it"),
    ("flash_attn_rms_norm", True, "delete it"),
    ("dpo_use_logits_to_keep", Written, "delete it"),
    ("dpo_generate_during_eval", Written, "delete it"),
    ("dpo_norm_loss", Written, "delete it"),
    ("rpo_alpha", Written, "delete it"),
];

/// Optimizers that cannot step what FSDP2 has sharded.
const EIGHT_BITS: &[&str] = &["adamw_8bit", "adamw_bnb_8bit"];

const SINCE: &str = "Axolotl refuses this since 0.20";

/// Reports everything.
pub(super) fn report(run: &mut Run<'_>) {
    for (key, when, help) in GONE {
        let is_refused = match when {
            True => is_true(run, key),
            Written => run.entry(key).is_some() && !is_null(run, key),
        };
        if is_refused {
            always(run, key, "is gone from Axolotl", help);
        }
    }
    let is_map = run
        .entry("tokens")
        .is_some_and(|entry| matches!(entry.value.data, Data::Map(_)));
    if is_map {
        let help = "write `special_tokens` for tokens with a role, and a list for added ones";
        always(run, "tokens", "takes a list", help);
    }
    let is_compiled = scalar(run, "rl") == Some("ebft")
        && scalar(run, "ebft.mode") == Some("strided")
        && is_true(run, "torch_compile");
    if is_compiled && is_true(run, "gradient_checkpointing") {
        let why = "cannot stand beside gradient_checkpointing in strided EBFT";
        always(run, "torch_compile", why, "delete it: the kernel is compiled by itself");
    }
    sharded(run);
    versions(run);
}

/// What FSDP is not taken with, and what only its first generation knew.
fn sharded(run: &mut Run<'_>) {
    const MIGRATE: &str = "write fsdp_version: 2 and what it shards under fsdp_config, and delete `fsdp`";
    if is_true(run, "fsdp") {
        if is_true(run, "deepspeed") {
            always(run, "deepspeed", "cannot stand beside fsdp", "delete one of them");
        } else {
            since(run, "fsdp", "is how FSDP1 was asked for, which is gone", MIGRATE);
        }
    }
    let Some(config) = run.entry("fsdp_config").filter(|_| is_true(run, "fsdp_config")) else {
        return;
    };
    for entry in config.value.map().map_or(&[][..], |map| &map.entries) {
        let name = entry.name().strip_prefix("fsdp_").unwrap_or(entry.name());
        let help = match name {
            "sharding_strategy" => "write reshard_after_forward: true for FULL_SHARD, false for SHARD_GRAD_OP",
            "forward_prefetch" => "delete it",
            _ => continue,
        };
        let key = format!("fsdp_config.{}", entry.name());
        since(run, &key, "is an option of FSDP1, which is gone", help);
    }
    if is_true(run, "deepspeed") && !is_true(run, "fsdp") {
        since(
            run,
            "deepspeed",
            "cannot stand beside fsdp_config",
            "delete one of them",
        );
    }
    if scalar(run, "base_model").is_some_and(|model| model.to_lowercase().contains("falcon")) {
        since(
            run,
            "fsdp_config",
            "is not taken for Falcon models",
            "delete it, or train with deepspeed",
        );
    }
    let Some(optimizer) = scalar(run, "optimizer").filter(|word| EIGHT_BITS.contains(word)) else {
        return;
    };
    let why = format!("cannot be {optimizer} under FSDP2");
    let help = "write optimizer: adamw_torch_8bit";
    // Without a version 0.19 trains with FSDP1, which takes it.
    if ["fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version"]
        .iter()
        .any(|key| run.entry(key).is_some_and(is_two))
    {
        always(run, "optimizer", &why, help);
    } else {
        since(run, "optimizer", &why, help);
    }
}

/// A version of FSDP that is not the second.
fn versions(run: &mut Run<'_>) {
    for key in ["fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version"] {
        let is_other = run.entry(key).is_some_and(|entry| !is_two(entry));
        if is_other && !is_null(run, key) {
            since(run, key, "asks for FSDP1, which is gone", "write 2");
        }
    }
}

fn is_two(entry: &Entry) -> bool {
    let scalar = entry.value.scalar();
    scalar.is_some_and(|scalar| &*scalar.text == "2" || resolve(&scalar.text, Loader::PyYaml) == Value::Int(2))
}

fn scalar<'a>(run: &Run<'a>, key: &str) -> Option<&'a str> {
    Some(&*run.entry(key)?.value.scalar()?.text)
}

/// What every release refuses.
fn always(run: &mut Run<'_>, key: &str, why: &str, help: &str) {
    if let Some(entry) = run.entry(key) {
        let place = run.place(entry.key.span.to(entry.value.span));
        refuse(run, key, place, why, help);
    }
}

/// What releases from 0.20 on refuse.
fn since(run: &mut Run<'_>, key: &str, why: &str, help: &str) {
    if let Some(entry) = run.entry(key) {
        let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` {why}"))
            .weighing(Severity::Warning)
            .at(run.place(entry.key.span), SINCE)
            .help(format!("{help}; 0.19 takes it as it is"));
        run.diagnostics.push(diagnostic);
    }
}
