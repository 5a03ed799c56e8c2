//! Files that are no run, or none that we read.

use super::super::MAX_BYTES;
use super::{case, lora};
use crate::diag::{Code, Severity};

#[test]
fn a_file_without_keys_is_no_run() {
    for text in ["", "\n\n", "# nothing\n", "- a\n- b\n", "hello", "{}", "null", "~"] {
        assert!(case(text).refused(Code::NotARun).help.is_some(), "{text:?}");
    }
}

#[test]
fn a_file_that_trains_nothing_is_no_run() {
    for (text, key) in [
        (
            "compute_environment: LOCAL_MACHINE\nnum_processes: 8\n",
            "compute_environment",
        ),
        ("distributed_type: FSDP\nmixed_precision: bf16\n", "distributed_type"),
        ("{\"zero_optimization\": {\"stage\": 3}}", "\"zero_optimization\""),
        ("model_name_or_path: m\ntemplate: t\nexport_dir: x\n", "export_dir"),
        (
            "model_name_or_path: m\ntemplate: t\ninfer_backend: vllm\n",
            "infer_backend",
        ),
        (
            "model_name_or_path: m\ntemplate: t\ndo_predict: true\nper_device_eval_batch_size: 1\n",
            "do_predict",
        ),
        (
            "model_name_or_path: m\ntemplate: t\ndo_train: false\nlearning_rate: 1.0e-4\n",
            "do_train",
        ),
        ("model: m\nsample_backend: hf\n", "model"),
        ("model: m\npeft_config: {name: lora, export_dir: x}\n", "peft_config"),
        (
            "base_model: m\nadapter: lora\nmerge_lora: true\nlora_model_dir: x\n",
            "merge_lora",
        ),
        ("base_model: m\nadapter: lora\nload_in_8bit: true\n", "base_model"),
        ("top.model_name: m\ntrain.lora_rank: 8\n", "top.model_name"),
        ("\"<|end|>\": \"The end\"\n", "\"<|end|>\""),
    ] {
        let read = case(text);
        let found = read.refused(Code::NotARun);
        assert_eq!(read.under(found.place().unwrap()), key, "{text}");
        assert!(found.help.is_some());
    }
}

#[test]
fn a_layout_of_ones_own_is_of_no_framework() {
    for own in [
        "lr: 1\nepochs: 3\nbatch_size: 8\n",
        // It borrows a name from Axolotl.
        "base_model: m\nepochs: 3\nlr: 1\ntrain_file: x\nnum_epochs: 2\nrank: 8\n",
        // Sections that Unsloth has too, with keys that it has not, or none that is its alone.
        "model: m\ntraining: {learning_rate: 1.0e-5, batch_size: 4, num_epochs: 3}\nlora: {lora_r: 8}\n",
        "model: m\ntraining: {random_seed: 1, learning_rate: 1.0e-5, num_train_epochs: 3, weight_decay: 0.1}\nlora: {r: 8, alpha: 16}\n",
        "model: m\nlora_r: 8\ntraining: {random_seed: 1, learning_rate: 1.0e-5, num_epochs: 3}\n",
    ] {
        let found = case(own);
        let message = &found.refused(Code::UnknownFormat).message;
        assert!(
            message.contains("of no framework that ftrisk knows"),
            "{own}: {message}"
        );
    }
}

#[test]
fn placeholders_of_no_framework_are_not_our_business() {
    let read = case("output_dir: /tmp\nmine:\n  lr: ${rate}\n  epochs: 3\n  batch_size: 8\n");
    assert_eq!(read.codes(), [Code::UnknownFormat]);
}

#[test]
fn a_file_that_forgets_do_train_is_read_all_the_same() {
    let read = case("model_name_or_path: m\ntemplate: t\ndataset: d\nlearning_rate: 1.0e-4\n");
    assert!(read.facts.is_some());
    assert_eq!(read.told(), ["not-a-run:  -> do_train: true"]);
    assert_eq!(read.diagnostics[0].severity, Severity::Warning);
}

#[test]
fn a_file_that_is_too_large_is_not_parsed() {
    let read = case(&"#".repeat(MAX_BYTES + 1));
    assert!(read.refused(Code::TooLarge).message.contains("1048577 bytes"));
}

#[test]
fn what_nobody_sees_is_shown() {
    let read = lora("lora_rank: 8 # \u{202e}evil\nlearning\u{200b}_rate: 1.0e-4\n");
    assert_eq!(
        read.told(),
        [
            "hidden-text: \u{202e} -> ".trim_end_matches(" -> "),
            "hidden-text: \u{200b}"
        ]
    );
    let space = lora("lora_rank:\u{a0}8\n");
    assert_eq!(space.refused(Code::HiddenText).instead.as_deref(), Some(" "));
    // Joiners in prose are not hidden.
    lora("default_system: \"👩\u{200d}🔬 {{name}}\"\n").clean();
}

#[test]
fn placeholders_are_no_values() {
    let read = lora(
        "learning_rate: ${LR}\nlora_rank: {{ rank }}\nlora_alpha: '{{ alpha }}'\nnum_train_epochs: ???\nmax_steps: $N\noutput_dir: saves/${NAME}\nreport_to: [wandb, \"${X}\"]\n",
    );
    assert_eq!(
        read.told(),
        [
            "value-unresolved: ${LR}",
            "value-unresolved: {{ rank }}",
            "value-unresolved: '{{ alpha }}'",
            "value-unresolved: ???",
            "value-unresolved: $N",
            "value-unresolved: saves/${NAME}",
            "value-unresolved: \"${X}\"",
        ]
    );
    use crate::facts::Input::{Alpha, Epochs, LearningRate, MaxSteps, Rank};
    for (input, under) in [
        (LearningRate, "${LR}"),
        (Rank, "{{ rank }}"),
        (Alpha, "'{{ alpha }}'"),
        (Epochs, "???"),
        (MaxSteps, "$N"),
    ] {
        assert_eq!(read.open(input), Some(under));
    }
    let template = case("model_name_or_path: m\nlearning_rate: {{ lr }}e-4\n");
    let found = template.refused(Code::ValueUnresolved);
    assert_eq!(template.under(found.place().unwrap()), "{{ lr }}");
    case("model_name_or_path: m\n{% if big %}\nlora_rank: 8\n{% endif %}\n").refused(Code::ValueUnresolved);
}

#[test]
fn a_run_that_does_not_name_its_model_is_still_ours() {
    let read = case("model_name: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\ndataset: d\ntemplate: t\n");
    assert_eq!(read.told(), ["unknown-key: model_name -> model_name_or_path"]);
    assert_eq!(
        read.words(crate::quantity::Category::Model),
        &crate::facts::Words::Unknown
    );
}

#[test]
fn a_json_run_is_read_as_yaml() {
    let text = r#"{"model_name_or_path": "m", "stage": "sft", "do_train": true, "dataset": "d", "template": "t",
        "lora_rank": 16}"#;
    assert_eq!(case(text).given(crate::facts::Input::Rank), "16");
}

#[test]
fn of_many_findings_some_are_kept_and_the_rest_counted() {
    let open: String = (0..150).map(|i| format!("  kt_{i}: ${{X}}\n")).collect();
    let read = lora(&format!("learning_rate: 1e-4\nkt_config:\n{open}lora_rank: -1\n"));
    assert_eq!(read.diagnostics.len(), 100);
    assert!(
        !read.codes().contains(&Code::LoaderText),
        "a warning pushed an error out"
    );
    let notes: Vec<_> = read.diagnostics.iter().flat_map(|found| &found.notes).collect();
    assert_eq!(notes, ["52 more findings in this file are not shown"]);
}

#[test]
fn a_run_one_level_too_deep_is_named_with_its_key() {
    for (text, key, framework) in [
        (
            "args:\n  model: m\n  tuner_type: lora\n  dataset: d\n  learning_rate: 1e-4\n  lora_rank: 8\n  num_train_epochs: 1\n",
            "args",
            "ms-swift",
        ),
        // Two names of training alone do not tell a layout of one's own from what trains nothing.
        (
            "args:\n  model_name_or_path: m\n  stage: sft\n  do_train: true\n  finetuning_type: lora\n  learning_rate: 1.0e-4\n",
            "args",
            "LLaMA-Factory",
        ),
        (
            "name: x\ntraining_args:\n  model_name_or_path: m\n  learning_rate: 1e-4\n  num_train_epochs: 1\n  weight_decay: 0.1\n",
            "training_args",
            "TRL",
        ),
    ] {
        let read = case(text);
        let found = read.refused(Code::UnknownFormat);
        assert_eq!(read.under(found.place().unwrap()), key);
        assert_eq!(
            found.message,
            format!("under `{key}` stands a run of {framework}, whose own command reads keys at the top alone")
        );
    }
}

#[test]
fn what_is_no_mapping_is_called_what_it_is() {
    for (text, message) in [
        (
            "[{\"a\": 1}]",
            "this file is a list, and `key: value` lines are looked for",
        ),
        ("a,b\n1,2\n", "this file is text, and `key: value` lines are looked for"),
        (
            "{}",
            "this file is an empty mapping, and `key: value` lines are looked for",
        ),
        ("---\n", "this file holds nothing but comments and blanks"),
        ("--- # begin\n...\n", "this file holds nothing but comments and blanks"),
    ] {
        assert_eq!(case(text).refused(Code::NotARun).message, message, "{text:?}");
    }
}
