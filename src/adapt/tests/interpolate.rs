//! References that a loader fills in, and those that stay open.

use super::{Case, case, lora};
use crate::diag::{Code, Severity};
use crate::facts::Input::{Accumulation, Epochs, PerDevice, Seed};

fn run(more: &str) -> Case {
    case(&format!(
        "model: {{_component_: torchtune.models.qwen3.qwen3_4b_instruct}}\nloss: {{_component_: torch.nn.CrossEntropyLoss}}\n\
         dataset: {{_component_: torchtune.datasets.alpaca_dataset}}\noptimizer: {{_component_: torch.optim.AdamW, lr: 1e-5}}\n{more}"
    ))
}

#[test]
fn a_reference_is_the_value_that_it_names_at_its_own_place() {
    let read = run(
        "sizes: {small: 2}\none: ${two}\ntwo: 3\nbatch_size: ${sizes.small}\nepochs: ${one}\n\
         gradient_accumulation_steps: \"${ two }\"\nseed: ${none}\nnone: null\n",
    );
    read.clean();
    assert_eq!(
        (read.value(PerDevice), read.given(PerDevice)),
        (Some(2.0), "${sizes.small}")
    );
    assert_eq!((read.value(Epochs), read.given(Epochs)), (Some(3.0), "${one}"));
    assert_eq!(read.given(Accumulation), "\"${ two }\"");
    assert_eq!(read.value(Seed), None);
}

#[test]
fn what_cannot_be_filled_in_stays_open() {
    for value in [
        "${nowhere}",
        "${oc.env:N}",
        "${eval:'2 * ${epochs}'}",
        "${batch_size}",
        "${round}",
        "${optimizer}",
        "${.epochs}",
        "${blank}",
    ] {
        let read = run(&format!(
            "epochs: 1\ngradient_accumulation_steps: 1\nround: ${{trip}}\ntrip: ${{round}}\nblank: ???\nbatch_size: {value}\n"
        ));
        assert_eq!(read.open(PerDevice), Some(value));
        assert!(read.told().contains(&format!("value-unresolved: {value}")), "{value}");
    }
    // A key that is written twice has no value.
    let twice = run("epochs: 1\ngradient_accumulation_steps: 1\nn: 1\nn: 2\nbatch_size: ${n}\n");
    assert_eq!(twice.open(PerDevice), Some("${n}"));
}

#[test]
fn a_text_around_references_is_a_warning_once_a_file() {
    let read = run(
        "name: a\noutput_dir: /tmp/${name}\ncollate_fn: ${output_dir}/logs\ndevice: ${output_dir}\nbatch_size: 1\nepochs: 1\n\
         gradient_accumulation_steps: 1\n",
    );
    assert_eq!(read.told(), ["value-unresolved: /tmp/${name}"]);
    assert_eq!(read.diagnostics[0].severity, Severity::Warning);
    assert_eq!(read.diagnostics[0].notes, ["2 more such texts in this file"]);
    let broken = run("output_dir: ${nowhere}/logs\nbatch_size: 1\nepochs: 1\ngradient_accumulation_steps: 1\n");
    assert_eq!(broken.codes(), [Code::ValueUnresolved]);
    assert_eq!(broken.diagnostics[0].severity, Severity::Error);
}

#[test]
fn references_without_end_cost_little() {
    let chain: String = (0..2000)
        .map(|i| format!("k{i}: ${{k{}}}${{k{}}}\n", i + 1, i + 1))
        .collect();
    let read = run(&format!(
        "{chain}batch_size: 1\nepochs: 1\ngradient_accumulation_steps: 1\n"
    ));
    assert_eq!(read.value(PerDevice), Some(1.0));
}

#[test]
fn llama_factory_fills_nothing_in() {
    let read = lora("seed: 1\nmax_samples: ${seed}\n");
    assert_eq!(read.told(), ["value-unresolved: ${seed}"]);
}
