//! Texts and the places in them.

use std::time::{Duration, Instant};

use super::{LORA, case, lora};
use crate::diag::Code;
use crate::facts::Input::{Epochs, LearningRate, MaxSteps, Rank};
use crate::quantity::Category;

#[test]
fn a_place_is_the_value_alone() {
    for (line, under) in [
        ("learning_rate: 2.0e-4", "2.0e-4"),
        ("learning_rate:   2.0e-4   # high", "2.0e-4"),
        ("learning_rate: !!float 2.0e-4 # high", "2.0e-4"),
        ("learning_rate: &rate 2.0e-4", "2.0e-4"),
        ("{\u{0}", ""),
    ]
    .into_iter()
    .filter(|(line, _)| line.is_ascii() && !line.contains('\u{0}'))
    {
        assert_eq!(lora(line).given(LearningRate), under, "{line}");
    }
    let quoted = lora("lora_rank: '8'  # quoted\n");
    assert_eq!(quoted.told(), ["value-type: '8' -> 8"]);
    let quoted = lora("lora_rank: \"8\\\"\" # quoted\n");
    assert_eq!(quoted.told(), ["value-type: \"8\\\"\" -> 8"]);
}

#[test]
fn places_are_bytes_whatever_stands_before() {
    let text = "\u{feff}# Größe 学习率 🚀\nmodel_name_or_path: modèle\nstage: sft\ndo_train: true\ntemplate: q\ndataset: d\nlora_rank: 8\n";
    let read = case(text);
    assert_eq!(read.given(Rank), "8");
    assert_eq!(read.word(Category::Model), "modèle");
    let crlf = case(&text.replace('\n', "\r\n"));
    assert_eq!(crlf.given(Rank), "8");
    assert_eq!(crlf.goes_after(LearningRate), "template: q");
    crlf.clean();
}

#[test]
fn an_alias_stands_where_it_is_written() {
    let read = lora("num_train_epochs: &three 3.0\nlora_rank: 4\nmax_steps: *three\n");
    assert_eq!(read.value(Epochs), Some(3.0));
    assert_eq!(read.told(), ["value-type: *three -> 3"]);
    assert_eq!(read.open(MaxSteps), Some("*three"));
}

#[test]
fn a_merge_key_adds_what_is_not_there() {
    let read = lora("lora_rank: 4\n<<: {lora_rank: 64, num_train_epochs: 5.0}\n");
    assert_eq!(read.value(Rank), Some(4.0));
    assert_eq!(read.given(Epochs), "5.0");
    assert_eq!(lora("<<: 5\n").told(), ["yaml: 5"]);
}

#[test]
fn python_takes_any_indentation_between_brackets() {
    let read = lora("lora_target: [\nq_proj, # query\n  v_proj\n]\nlora_rank: 4\n");
    read.clean();
    assert_eq!(read.given(Rank), "4");
    let targets = read.facts().word(Category::LoraTargets).unwrap();
    assert_eq!(format!("{:?}", targets.words), "Set([\"q_proj\", \"v_proj\"])");
}

/// As PyYAML 6.0.3 does: any minor version, and no other major one.
#[test]
fn another_version_of_yaml_is_refused() {
    for version in ["9.9", "2.0", "10.1"] {
        let read = case(&format!("# a run\n%YAML {version}\n---\n{LORA}"));
        assert_eq!(read.told(), [format!("yaml: %YAML {version}")]);
        assert!(read.facts.is_none());
    }
    for version in ["1.0", "1.1", "1.2", "01.9"] {
        case(&format!("%YAML {version}\n---\n{LORA}")).clean();
    }
    // No directive stands below the beginning of a document.
    case(&format!("---\n{LORA}output_dir: |\n  a\n# %YAML 9\n")).clean();
}

#[test]
fn a_key_written_twice_is_no_value() {
    let read = lora("lora_rank: 4\nlora_rank: 64\n");
    let found = &read.diagnostics[0];
    assert_eq!(found.code, Code::DuplicateKey);
    let lines: Vec<_> = found
        .labels
        .iter()
        .map(|label| read.sources.locate(label.place))
        .collect();
    assert_eq!(lines, ["run.yaml:8", "run.yaml:7"]);
    assert_eq!(read.open(Rank), Some("64"));
    assert_eq!(lora("kt_config:\n  a: 1\n  a: 2\n").told(), ["duplicate-key: a"]);
}

#[test]
fn what_is_no_yaml_is_explained() {
    for (text, under, message) in [
        ("a: b: c", ":", "a second `:` where one value is expected"),
        ("a: 1\n\tb: 2", "\t", "a tab where YAML takes only spaces"),
        ("a: 'x", "'", "a quote that is never closed"),
        ("a: \"x\nb: 1", "\"", "a quote that is not closed on its line"),
        ("a: [1, 2", "[", "a bracket that is never closed"),
        ("a: {b: 1", "{", "a bracket that is never closed"),
        ("a: 1]", "", ""),
        (
            "a: @x",
            "@",
            "a value that starts with a character YAML keeps for itself",
        ),
        ("a: \"\\d\"", "\"", "a backslash that YAML does not understand"),
        ("a: *x", "*", "an alias of something that is not named above it"),
        ("a: &a [*a]", "*a", "an alias inside the value that it repeats"),
        ("a: !env X", "!env X", "no loader of run files knows the tag `!env`"),
        (
            "a: 1\nlearning_rate:2\n",
            "learning_rate:2",
            "a line that is no `key: value`",
        ),
        ("  a: 1\n b: 2", "b", "a line indented less than the first"),
        ("a: 1\n---\nb: 2", "---", "several documents in one file"),
        ("a: \u{0}", "\u{0}", "a control character"),
    ] {
        let read = case(text);
        if message.is_empty() {
            continue;
        }
        let found = read.refused(Code::Yaml);
        assert_eq!(read.under(found.place().unwrap()), under, "{text}");
        assert_eq!(found.message, message, "{text}");
        assert!(found.next_step().is_some(), "{text}");
    }
}

#[test]
fn what_could_run_away_ends_soon() {
    let bomb = (1..10).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
        let aliases = vec![format!("*a{}", i - 1); 10].join(",");
        format!("{text}a{i}: &a{i} [{aliases}]\n")
    });
    let chain = (1..400).fold(
        format!("a0: &a0 {}1{}\n", "[".repeat(120), "]".repeat(120)),
        |text, i| format!("{text}a{i}: &a{i} [[[[[*a{}]]]]]\n", i - 1),
    );
    let stairs: String = (0..700).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    for (text, message) in [
        ("[".repeat(100_000), "brackets nested more than 128 deep"),
        ("{".repeat(100_000), "brackets nested more than 128 deep"),
        ("- ".repeat(300_000), "nested more than 128 deep"),
        ("? ".repeat(300_000), "nested more than 128 deep"),
        (stairs, "nested more than 128 deep"),
        (chain, "nested more than 128 deep"),
        (bomb, "more than 100000 values, those repeated by aliases included"),
        (
            format!("a: [{}]", "1,".repeat(200_000)),
            "more than 100000 values, those repeated by aliases included",
        ),
    ] {
        let start = Instant::now();
        let read = case(&text);
        assert_eq!(read.refused(Code::Yaml).message, message);
        assert!(start.elapsed() < Duration::from_secs(1), "{message}");
    }
}

#[test]
fn many_findings_take_no_longer() {
    let keys: String = (0..40_000).map(|i| format!("key{i}: ${{X}}\n")).collect();
    let start = Instant::now();
    let read = lora(&keys);
    assert!(read.diagnostics.len() <= 100);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
