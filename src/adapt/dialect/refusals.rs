//! Combinations that LLaMA-Factory refuses, and numbers that its older versions read as text.

use crate::adapt::reader::Run;
use crate::adapt::said::Said;
use crate::adapt::scalar::{Loader, Value, portable, resolve};
use crate::adapt::tree::{Map, Scalar};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::MaxSteps;

/// Keys whose values are text, so that a number there is no number to anybody.
const TEXTS: &[&str] = &[
    "dataset",
    "eval_dataset",
    "model_name_or_path",
    "output_dir",
    "run_name",
    "template",
];

/// Reports what LLaMA-Factory would refuse before it trains.
pub(super) fn report(run: &mut Run<'_>, method: Option<&str>) {
    const HELP: &str = "delete it, or write finetuning_type: lora";
    if matches!(method, Some("full" | "freeze" | "oft")) {
        for key in ["use_rslora", "use_dora"] {
            if is_on(run, key) {
                refuse(run, key, "is only for LoRA", HELP);
            }
        }
        if has(run, "loraplus_lr_ratio") {
            refuse(run, "loraplus_lr_ratio", "is only for LoRA", HELP);
        }
    }
    if matches!(method, Some("full" | "freeze")) && has(run, "quantization_bit") {
        refuse(run, "quantization_bit", "needs an adapter to train", HELP);
    }
    data(run);
}

/// Data that cannot be had in the way that is asked for.
fn data(run: &mut Run<'_>) {
    if is_on(run, "streaming") {
        if has(run, "max_samples") {
            refuse(
                run,
                "max_samples",
                "cannot bound data that are streamed",
                "delete it, or streaming",
            );
        }
        if run.facts.values(MaxSteps).is_none() {
            refuse(
                run,
                "streaming",
                "needs max_steps: streamed data have no end",
                "write max_steps",
            );
        }
    }
    let splits = scalar(run, "val_size").is_some_and(|size| match resolve(&size.text, Loader::OmegaConf) {
        Value::Int(size) => size > 0,
        Value::Float(size) => size > 1e-6,
        _ => false,
    });
    if splits && has(run, "eval_dataset") {
        refuse(
            run,
            "val_size",
            "cannot stand beside eval_dataset",
            "delete one of them",
        );
    }
}

fn scalar<'a>(run: &Run<'a>, key: &str) -> Option<&'a Scalar> {
    run.entry(key).and_then(|entry| entry.value.scalar())
}

fn is_on(run: &mut Run<'_>, key: &str) -> bool {
    matches!(run.switch(key), Said::Value(true, _))
}

/// Whether something stands under the key that is not `null`.
fn has(run: &Run<'_>, key: &str) -> bool {
    let is_null = |value: &Scalar| value.is_plain && resolve(&value.text, Loader::OmegaConf) == Value::Null;
    run.entry(key)
        .is_some_and(|entry| !entry.value.scalar().is_some_and(is_null))
}

fn refuse(run: &mut Run<'_>, key: &str, why: &str, help: &str) {
    if let Some(entry) = run.entry(key) {
        let place = run.place(entry.key.span.to(entry.value.span));
        let diagnostic = Diagnostic::new(Code::ValueType, format!("`{key}` {why}"))
            .at(place, "LLaMA-Factory refuses this")
            .help(help);
        run.diagnostics.push(diagnostic);
    }
}

/// Warns of numbers that older versions, which read run files with PyYAML, take for text.
pub(super) fn loader_text(run: &mut Run<'_>) {
    let root = run.root();
    let message = |text: &str| format!("older versions of LLaMA-Factory read `{text}` as text");
    texts_for_numbers(run, root, message, "a number only to newer ones");
}

/// Warns of numbers in a mapping that PyYAML takes for text, with what that means for the framework.
pub(super) fn texts_for_numbers(run: &mut Run<'_>, map: &Map, message: impl Fn(&str) -> String, label: &str) {
    for entry in map.entries.iter().filter(|entry| !TEXTS.contains(&entry.name())) {
        let Some(scalar) = entry.value.scalar().filter(|scalar| scalar.is_plain) else {
            continue;
        };
        let now = resolve(&scalar.text, Loader::OmegaConf);
        let before = resolve(&scalar.text, Loader::PyYaml);
        let is_number = matches!(now, Value::Float(number) if number.is_finite());
        let Some(written) = portable(&scalar.text).filter(|_| is_number && before == Value::Text) else {
            continue;
        };
        let place = run.place(entry.value.span);
        if place.source != run.facts.source {
            // What stands on the command line is read by other rules.
            continue;
        }
        let diagnostic = Diagnostic::new(Code::LoaderText, message(&scalar.text))
            .at(place, label)
            .help("every version reads")
            .instead(written);
        run.diagnostics.push(diagnostic);
    }
}
