//! Whatever the bytes, an answer comes back.

use proptest::prelude::*;

use super::{LORA, case};

/// How many cases a campaign has; `FTRISK_CASES` makes it larger.
fn cases() -> ProptestConfig {
    let cases = std::env::var("FTRISK_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(256))
}

/// Pieces of run files, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "model_name_or_path: m\n",
        "model: m\n",
        "train_dataset: d\n",
        "stage: dpo\n",
        "pref_loss: simpo\n",
        "do_train: true\n",
        "finetuning_type: ",
        "lora\n",
        "full\n",
        "learning_rate: ",
        "1e-4\n",
        "-1\n",
        ".nan\n",
        "1e999\n",
        "${LR}\n",
        "{{ lr }}\n",
        "'1e-4'\n",
        "???\n",
        "peft_config:\n",
        "  name: lora\n",
        "  r: ",
        "16\n",
        "  - ",
        "- ",
        "&a ",
        "*a",
        "<<: *a\n",
        "!!str ",
        "!x ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "? ",
        ", ",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "\t",
        "\n",
        "\r\n",
        "# c",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\u{feff}",
        "\u{200b}",
        "\u{a0}",
        "é",
        "🚀",
        "null",
        "~",
        "yes",
        "010",
        "1:30",
        "quantization_bit: 4\n",
        "max_samples: 9\n",
        "lora_alpha: 0\n",
        "warmup_steps: 0.1\n",
        "max_steps: 0\n",
        "lr_scheduler_kwargs: {min_lr_rate: 0.1}\n",
        "  ",
        "    ",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,8}", 1 => any::<char>().prop_map(String::from)]
}

/// Reads a text and looks at everything that it says.
fn survives(text: &str) {
    let read = case(text);
    let file = read.sources.get(
        read.diagnostics
            .first()
            .and_then(|found| found.place())
            .map_or_else(|| crate::source::Sources::default().add("", ""), |place| place.source),
    );
    for found in &read.diagnostics {
        let place = found.place().unwrap();
        assert!(place.span.end <= file.text().len(), "{found:?}");
        assert!(
            place.span.is_empty() || !read.under(place).is_empty(),
            "cuts a character: {found:?}"
        );
        assert!(found.next_step().is_some(), "no next step: {found:?}");
        assert!(!found.message.is_empty());
    }
    assert!(
        read.facts.is_some() || !read.diagnostics.is_empty(),
        "refused without a word"
    );
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn pieces_of_run_files_are_survived(pieces in prop::collection::vec(piece(), 0..40)) {
        survives(&pieces.concat());
    }

    #[test]
    fn a_run_file_with_pieces_in_it_is_survived(
        pieces in prop::collection::vec(piece(), 0..8),
        at in 0..LORA.len(),
    ) {
        let mut text = LORA.to_owned();
        text.insert_str(at, &pieces.concat());
        survives(&text);
    }

    #[test]
    fn a_run_file_that_is_cut_off_is_survived(at in 0..LORA.len()) {
        survives(LORA.get(..at).unwrap_or(""));
    }
}
