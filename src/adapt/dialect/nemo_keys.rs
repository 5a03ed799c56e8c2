//! The keys of NeMo Automodel that lead nowhere.
//!
//! Read in the wheel of 0.7.0 and at commit 36044ad3. Recipes ask for sections by name, and pass over others. A section
//! that is the fields of a class, or the arguments of what its `_target_` names, stops the recipe with a key that is
//! none of them; `recipe_args`, `clip_grad_norm` and the optimizer of draft models are read by name. What loads weights
//! (`from_pretrained`) hands on what it does not know, and is not checked.

use crate::adapt::keys::{self, NEMO, NEMO_COMPONENTS, NEMO_READ, NEMO_TYPED, OPTIMIZERS};
use crate::adapt::reader::Run;
use crate::diag::{Code, Diagnostic, Severity};

/// Names of other frameworks, and of NeMo Automodel's own keys without their parents.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    ("epochs", "num_epochs"),
    ("epochs", "step_scheduler.num_epochs"),
    ("eval_steps", "step_scheduler.val_every_steps"),
    ("eval_steps", "val_every_steps"),
    ("global_batch_size", "step_scheduler.global_batch_size"),
    ("gradient_accumulation_steps", "global_batch_size"),
    ("gradient_accumulation_steps", "step_scheduler.global_batch_size"),
    ("learning_rate", "lr"),
    ("learning_rate", "optimizer.lr"),
    ("local_batch_size", "step_scheduler.local_batch_size"),
    ("lora_alpha", "alpha"),
    ("lora_alpha", "peft.alpha"),
    ("lora_dropout", "dropout"),
    ("lora_dropout", "peft.dropout"),
    ("lora_r", "dim"),
    ("lora_r", "peft.dim"),
    ("lora_rank", "dim"),
    ("lora_rank", "peft.dim"),
    ("lr", "optimizer.lr"),
    ("max_grad_norm", "clip_grad_norm.max_norm"),
    ("max_grad_norm", "max_norm"),
    ("max_steps", "step_scheduler.max_steps"),
    ("micro_batch_size", "local_batch_size"),
    ("micro_batch_size", "step_scheduler.local_batch_size"),
    ("num_epochs", "step_scheduler.num_epochs"),
    ("num_train_epochs", "num_epochs"),
    ("num_train_epochs", "step_scheduler.num_epochs"),
    ("per_device_train_batch_size", "step_scheduler.local_batch_size"),
    ("r", "dim"),
    ("random_seed", "seed"),
    ("rank", "dim"),
    ("save_steps", "ckpt_every_steps"),
    ("save_steps", "step_scheduler.ckpt_every_steps"),
    ("warmup_steps", "lr_scheduler.lr_warmup_steps"),
    ("warmup_steps", "lr_warmup_steps"),
    ("weight_decay", "optimizer.weight_decay"),
];

/// Where shipped recipes have their seed, and no recipe looks for it.
const GENERATOR: &str = "rng";

/// Reports keys that nobody reads, and keys that stop the recipe; `is_draft` where it trains a draft model, `schedules`
/// where its `lr_scheduler` is the class and none of the recipe's own.
pub(super) fn check(run: &mut Run<'_>, is_draft: bool, schedules: bool) {
    // Held-out sets are found by how their names begin; a key behind `_` is put aside on purpose.
    let is_known = |name: &str| name.starts_with(['_']) || name.starts_with("validation_dataset") || name == GENERATOR;
    keys::check_but(run, &NEMO, is_known);
    generator(run);
    for section in NEMO_TYPED.names() {
        let fields = NEMO_TYPED.class(section).unwrap_or_default();
        if section != "lr_scheduler" || schedules {
            keys::check_typed(run, section, fields);
        }
        if section == "dataloader" {
            keys::check_typed(run, "validation_dataloader", fields);
        }
    }
    for section in NEMO_READ.names() {
        // The optimizer of other recipes is what its `_target_` names, as it may be that of a draft model.
        if section != "optimizer" || (is_draft && run.entry("optimizer._target_").is_none()) {
            keys::check_nested(run, section, NEMO_READ.class(section).unwrap_or_default());
        }
    }
    if !is_draft {
        keys::check_components(run, keys::TARGET, &NEMO, &[NEMO_COMPONENTS, OPTIMIZERS]);
    }
}

/// Recipes make their generator from `seed` at the top.
fn generator(run: &mut Run<'_>) {
    let Some(entry) = run.entry(GENERATOR) else { return };
    let message = format!("no recipe of NeMo Automodel reads `{GENERATOR}`");
    let diagnostic = Diagnostic::new(Code::UnknownKey, message)
        .weighing(Severity::Warning)
        .at(
            run.place(entry.key.span),
            "its seed has no effect: `seed` at the top counts",
        )
        .help(if run.entry("seed").is_some() {
            "delete it; `seed` is written too"
        } else {
            "write `seed` at the top in its place"
        });
    run.diagnostics.push(diagnostic);
}
