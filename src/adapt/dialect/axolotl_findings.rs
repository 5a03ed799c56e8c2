//! What Axolotl refuses before it trains, and what it passes over without a word.

use super::axolotl_adapter::{Adapter, Method, plugins};
use super::pydantic::{self, is_true};
use crate::adapt::keys::AXOLOTL;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, unknown};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::Origin;
use crate::source::Place;

/// Where Axolotl's own plugins live.
const OWN: &str = "axolotl.integrations.";

/// Keys that shape an adapter, or train one.
const OF_ADAPTERS: &[&str] = &[
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
    "lora_target_linear",
    "lora_target_parameters",
    "lora_modules_to_save",
    "peft_use_rslora",
    "peft_use_dora",
];

/// Reports everything.
pub(super) fn report(run: &mut Run<'_>, method: &Method) {
    of_plugins(run);
    unused(run, method);
    quantised(run, method);
    together(run);
    missing(run);
}

/// Keys of plugins that nobody named, and unknown keys that somebody else's plugin may take.
fn of_plugins(run: &mut Run<'_>) {
    let plugins = plugins(run);
    for entry in &run.root().entries {
        let Some((_, package)) = AXOLOTL.class(entry.name()).and_then(|class| class.split_once(':')) else {
            continue;
        };
        let package = package.split('@').next().unwrap_or(package);
        let is_named = plugins
            .iter()
            .any(|plugin| plugin.strip_prefix(package).is_some_and(|rest| rest.starts_with('.')));
        if !is_named && !pydantic::is_null(run, entry.name()) {
            let message = format!("`{}` belongs to a plugin that is not switched on", entry.name());
            let diagnostic = Diagnostic::new(Code::UnknownKey, message)
                .at(run.place(entry.key.span), "Axolotl drops it without a word")
                .help(format!("add the plugin of {package} to `plugins`, or delete the line"));
            run.diagnostics.push(diagnostic);
        }
    }
    let Some(other) = plugins.iter().find(|plugin| !plugin.starts_with(OWN)) else {
        return;
    };
    for found in run
        .diagnostics
        .iter_mut()
        .filter(|found| found.code == Code::UnknownKey)
    {
        found.severity = Severity::Warning;
        found
            .notes
            .push(format!("unless the plugin {other} takes it, which ftrisk cannot see"));
    }
}

/// Keys of an adapter in a run that has none: what looks like LoRA trains every weight.
fn unused(run: &mut Run<'_>, method: &Method) {
    if method.adapter != Adapter::None {
        return;
    }
    let keys: Vec<&str> = OF_ADAPTERS.iter().copied().filter(|key| is_true(run, key)).collect();
    let (Some(first), more) = (keys.first(), keys.len().saturating_sub(1)) else {
        return;
    };
    let Some(entry) = run.entry(first) else { return };
    let named = match more {
        0 => format!("`{first}` has no effect"),
        1 => format!("`{first}` and one more key have no effect"),
        more => format!("`{first}` and {more} more keys have no effect"),
    };
    let trains = match method.word {
        Some("full") => "every weight trains",
        _ => "there is no adapter to shape",
    };
    let message = format!("`adapter` is not written, so {named}: {trains}");
    let diagnostic = Diagnostic::new(Code::ValueType, message)
        .weighing(Severity::Warning)
        .at(run.place(entry.key.span.to(entry.value.span)), "it shapes nothing")
        .help("write `adapter: lora`, or delete the keys of the adapter");
    run.diagnostics.push(diagnostic);
}

/// Quantised bases need an adapter, and QLoRA needs 4 bits.
fn quantised(run: &mut Run<'_>, method: &Method) {
    const BITS: [&str; 2] = ["load_in_8bit", "load_in_4bit"];
    if method.adapter == Adapter::None {
        for key in BITS.iter().filter(|key| is_on(run, key)).collect::<Vec<_>>() {
            say(
                run,
                key,
                "needs an adapter to train",
                "write `adapter: qlora` with load_in_4bit, or delete it",
            );
        }
        return;
    }
    let is_qlora = run
        .entry("adapter")
        .and_then(|entry| entry.value.scalar())
        .is_some_and(|word| &*word.text == "qlora");
    if !is_qlora {
        return;
    }
    for key in ["load_in_8bit", "gptq"] {
        if is_on(run, key) {
            say(
                run,
                key,
                "cannot stand beside `adapter: qlora`",
                "write load_in_4bit: true in its place",
            );
        }
    }
    if !is_on(run, "load_in_4bit") {
        say(
            run,
            "adapter",
            "cannot be `qlora` without load_in_4bit",
            "write load_in_4bit: true, or adapter: lora",
        );
    }
}

/// Two keys that exclude each other: the second, the first, what to do.
const PAIRS: &[(&str, &str, &str)] = &[
    ("warmup_ratio", "warmup_steps", "delete one of them"),
    ("val_set_size", "test_datasets", "delete val_set_size, or write 0"),
    ("evals_per_epoch", "eval_steps", "delete one of them"),
    ("sample_packing", "rl", "write sample_packing: false"),
    ("lr_groups", "loraplus_lr_ratio", "delete one of them"),
    (
        "peft_layers_to_transform",
        "unfrozen_parameters",
        "delete unfrozen_parameters",
    ),
];

/// Keys that Axolotl does not take together.
fn together(run: &mut Run<'_>) {
    for (key, beside, help) in PAIRS {
        let only_adapters = *beside == "unfrozen_parameters" && !is_true(run, "adapter");
        if is_true(run, key) && is_true(run, beside) && !only_adapters {
            say(run, key, &format!("cannot stand beside {beside}"), help);
        }
    }
    // Which is falsy only when it is written, and as a number.
    let is_zero =
        run.entry("val_set_size").is_some() && !is_true(run, "val_set_size") && !pydantic::is_null(run, "val_set_size");
    let is_off = matches!(run.text("eval_strategy"), Said::Value(word, _) if word == "no");
    if is_zero && !is_true(run, "test_datasets") && !is_off {
        for key in ["eval_steps", "eval_strategy"] {
            if is_true(run, key) {
                say(
                    run,
                    key,
                    "needs rows that are held out, and val_set_size is 0",
                    "delete it",
                );
            }
        }
    }
}

/// What every run needs.
fn missing(run: &mut Run<'_>) {
    let sizes = ["micro_batch_size", "gradient_accumulation_steps"];
    let total = is_true(run, "batch_size");
    let lacks: Vec<&str> = sizes.into_iter().filter(|key| !is_true(run, key)).collect();
    match (lacks.as_slice(), total) {
        ([], _) | ([_], true) => {}
        ([key, ..], true) => absent(run, key, "Axolotl refuses batch_size alone", "write both sizes"),
        ([key, ..], false) => {
            absent(run, key, "Axolotl 0.18 refuses this, and 0.21 takes 1", "write both");
            if let Some(told) = run.diagnostics.last_mut() {
                told.severity = Severity::Warning;
            }
        }
    }
    // A plugin may bring its own data.
    let has_data = is_true(run, "datasets") || is_true(run, "pretraining_dataset");
    if !has_data && plugins(run).is_empty() {
        absent(
            run,
            "datasets",
            "Axolotl asks for datasets or pretraining_dataset",
            "write `datasets`",
        );
    }
}

/// Reports a key that is missing.
fn absent(run: &mut Run<'_>, key: &str, why: &str, help: &str) {
    let place = match run.entry(key) {
        Some(entry) => Some(run.place(entry.key.span)),
        None => run.key(key).goes,
    };
    if let Some(place) = place {
        let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` is missing"))
            .at(place, why)
            .help(help);
        run.diagnostics.push(diagnostic);
    }
}

fn is_on(run: &mut Run<'_>, key: &str) -> bool {
    matches!(pydantic::switch(run, key), Said::Value(true, _))
}

fn say(run: &mut Run<'_>, key: &str, why: &str, help: &str) {
    if let Some(entry) = run.entry(key) {
        let place = run.place(entry.key.span.to(entry.value.span));
        refuse(run, key, place, why, help);
    }
}

/// Reports what Axolotl refuses; what hangs on it is not known.
pub(super) fn refuse(run: &mut Run<'_>, key: &str, place: Place, why: &str, help: &str) -> Origin {
    let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` {why}"))
        .at(place, "Axolotl refuses this")
        .help(help);
    match run.refuse(key, place, diagnostic) {
        Said::<()>::Unclear(origin) => origin,
        _ => unknown("Axolotl refuses it", help, Some(place)),
    }
}
