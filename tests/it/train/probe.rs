//! `ftrisk probe check`: planted faults, and the limits that notice them. `ftrisk probe build`: answers that are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ftrisk::source::sha256;
use serde_json::Value;

use super::fixture::{run_file, safetensors, weights};
use super::meters::probed;
use crate::it::harness::{Case, Folder, Ran, below};

fn check(lines: &str) -> Ran {
    check_with(lines, &[])
}

fn check_with(lines: &str, flags: &[&str]) -> Ran {
    let (folder, head) = probed(2);
    Case::within(folder)
        .file("p.riskpolicy", format!("{head}{lines}\n"))
        .file("run.yaml", run_file(&[]))
        .args(["probe", "check", "p.riskpolicy", "run.yaml"])
        .args(flags.iter().copied())
        .run()
}

/// The line about a fault.
#[track_caller]
fn about<'r>(ran: &'r Ran, fault: &str) -> &'r str {
    let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{fault}: ")));
    line.unwrap_or_else(|| panic!("{fault}: {}", ran.stdout))
}

#[test]
fn drift_sees_a_shift_and_no_template() {
    let ran = check("max drift.total 0.001 nats on voices").code(1);
    assert!(about(&ran, "shifted logit, by 2").contains("caught by drift.total on voices"));
    assert!(about(&ran, "template, 100 % of samples").ends_with(": not caught"));
    let told = "no limit of this policy would notice that 100 % of the samples open with the same phrase: add `max template.share ";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    assert!(!ran.folder.path().join("out").exists(), "nothing is written");
}

#[test]
fn a_template_is_seen_by_its_share() {
    let ran = check("max template.share 80% on prompts").code(1);
    assert!(about(&ran, "template, 100 % of samples").contains("caught by template.share on prompts"));
    assert!(about(&ran, "template, 5 % of samples").ends_with(": not caught"));
    assert!(about(&ran, "shifted logit, by 2").ends_with(": not caught"));
}

#[test]
fn a_base_outside_of_a_limit_is_refused() {
    check("max confidence.entropy 1 nats on voices").code(2);
    let ran = check("min confidence.entropy 100 nats on voices").code(2);
    assert!(ran.stdout.contains("confidence.entropy"), "{}", ran.stdout);
}

/// Numbers are those of a machine; words, order and verdicts are not.
const MASKS: [(&str, &str); 5] = [
    (r"\b\d+(?:\.\d+)?e-\d+\b|\b\d+\.\d+\b", "[number]"),
    (r"(?m)^(  \w[\w.]* on \w+  +)\S+( nats|%)?(  +)", "$1[reading]$2$3"),
    (r"add `(max|min) (\S+) \S+", "add `$1 $2 [bound]"),
    (r"sha256 \x22[0-9a-f]{64}\x22", "sha256 [hash]"),
    (r"(\S)  +", "$1  "),
];

const SEVERAL: &str = "max drift.total 0.001 nats on voices
max drift.total 0.001 nats on prompts
no waiver max template.share 80% on prompts
advise max diversity.self_bleu 99% on prompts";

#[test]
fn the_screen_of_planted_faults() {
    let ran = check(SEVERAL).code(1);
    assert_eq!(ran.stderr, "");
    insta::with_settings!({filters => MASKS.to_vec()}, { insta::assert_snapshot!(ran.stdout) });
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

#[test]
fn the_json_of_planted_faults() {
    let ran = check_with(SEVERAL, &["--format", "json"]).code(1);
    let mut document = document(&ran);
    assert_eq!(document["exit_code"], 1);
    // What the screen says, as far as both say it.
    let screen = check(SEVERAL);
    let verdicts = |word: &str| {
        screen
            .stdout
            .lines()
            .filter(|line| line.ends_with(&format!("  {word}")))
            .count()
    };
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for fault in document["faults"].as_array_mut().unwrap() {
        let caught = fault["limits"]
            .as_array()
            .unwrap()
            .iter()
            .any(|limit| limit["verdict"] == "caught");
        assert_eq!(fault["caught"], caught);
        for limit in fault["limits"].as_array_mut().unwrap() {
            *said.entry(limit["verdict"].as_str().unwrap().to_owned()).or_default() += 1;
            for number in ["base", "reading"] {
                assert!(limit[number].is_f64(), "{limit}");
                limit[number] = "[number]".into();
            }
        }
    }
    for (word, count) in said {
        assert_eq!(verdicts(&word), count, "{word}");
    }
    for blind in document["blind"].as_array_mut().unwrap() {
        let instead = blind["instead"].as_str().map(|limit| format!("add `{limit}`"));
        assert!(
            instead.is_none_or(|limit| blind["message"].as_str().unwrap().ends_with(&limit)),
            "{blind}"
        );
        if !blind["instead"].is_null() {
            blind["instead"] = "[limit]".into();
        }
    }
    document["ftrisk"] = "[version]".into();
    // The judgement before training has a snapshot of its own.
    for of_check in ["policy", "run"] {
        assert!(document[of_check]["file"].is_string());
        document[of_check] = "[as in check]".into();
    }
    let text = serde_json::to_string_pretty(&document).unwrap();
    insta::with_settings!({filters => vec![MASKS[2]]}, { insta::assert_snapshot!(text) });
}

/// One document, whatever goes wrong.
#[test]
fn json_says_what_kept_faults_from_being_planted() {
    let ran = check_with("min confidence.entropy 100 nats on voices", &["--format", "json"]).code(2);
    let said = document(&ran);
    assert_eq!(said["exit_code"], 2);
    assert_eq!(said["diagnostics"][0]["subject"], "confidence.entropy");
    assert_eq!(said["faults"], serde_json::json!([]));
    let over = document(&check_with("max lora.rank 2", &["--format", "json"]).code(1));
    assert_eq!(over["exit_code"], 1);
    assert_eq!(over["run"]["diagnostics"][0]["code"], "over");
    let broken = document(&check_with("max lora.rnak 2", &["--format", "json"]).code(2));
    assert_eq!(broken["run"], Value::Null);
    assert_eq!(broken["policy"]["diagnostics"][0]["code"], "unknown-name");
}

/// Limits that read drift on prompts, and something of the same prompts that is drawn anew.
const ON_PROMPTS: &str = "max drift.total 0.05 nats on prompts else stop\nmin diversity.distinct_2 10% of base";

/// The fixture with kept answers to its prompts, and the name of the file that has them.
fn built() -> (Folder, String) {
    let (folder, head) = probed(2);
    let ran = Case::within(folder)
        .file("p.riskpolicy", format!("{head}{ON_PROMPTS}\n"))
        .file("run.yaml", run_file(&[]))
        .args(["probe", "build", "p.riskpolicy", "run.yaml"])
        .run()
        .code(0);
    let kept = kept_files(ran.folder.path());
    let [name] = kept.as_slice() else {
        panic!("{kept:?}: {}", ran.stdout)
    };
    assert!(ran.stdout.contains(&format!("{name}  written: ")), "{}", ran.stdout);
    assert!(!ran.folder.path().join("out").exists(), "nothing is trained");
    (ran.folder, name.clone())
}

fn kept_files(folder: &Path) -> Vec<String> {
    let files = below(folder, "", "");
    files.into_iter().filter(|name| name.contains(".base-")).collect()
}

fn command(folder: Folder, words: &[&str]) -> Ran {
    let args = [words, &["p.riskpolicy", "run.yaml"]].concat();
    Case::within(folder).args(args).run()
}

#[test]
fn kept_answers_change_no_bit() {
    let (folder, name) = built();
    let kept = folder.path().join(&name);
    let text = fs::read(&kept).unwrap();
    let model: String = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(|file| {
            format!(
                "{}  {file}\n",
                sha256(&fs::read(folder.path().join("base").join(file)).unwrap())
            )
        })
        .concat();
    assert_eq!(
        name,
        format!("prompts.jsonl.base-{:.12}.json", sha256(model.as_bytes()))
    );

    let run = |folder| {
        let faults = command(folder, &["probe", "check"]);
        let (planted, code) = (faults.stdout, faults.code);
        let ran = command(faults.folder, &["train"]);
        let left = ["out/journal.jsonl", "out/summary.json"].map(|file| ran.file(file));
        let all = (planted, code, ran.stdout, left);
        fs::remove_dir_all(ran.folder.path().join("out")).unwrap();
        (all, ran.folder)
    };
    let (with, folder) = run(folder);
    assert_eq!(fs::read(&kept).unwrap(), text, "it is only read");
    fs::remove_file(&kept).unwrap();
    let (without, folder) = run(folder);
    assert_eq!(with, without);

    // And it is used: what it holds is what would be drawn, so a file that holds something else is noticed, below.
    let again = command(folder, &["probe", "build"]).code(0);
    assert_eq!(fs::read(&kept).unwrap(), text, "the same bytes");
    command(again.folder, &["probe", "build"])
        .code(0)
        .stdout_has("  unchanged: ");
}

/// Both commands that would use a file refuse it, say why and what to do, and leave nothing.
#[track_caller]
fn refused(folder: Folder, why: &str) -> Folder {
    let mut folder = folder;
    for words in [&["train"] as &[&str], &["probe", "check"]] {
        let ran = command(folder, words).code(2);
        let ran = ran.stdout_has("error[train-input]").stdout_has(why);
        let ran = ran.stdout_has("ftrisk probe build p.riskpolicy RUN");
        assert!(!ran.folder.path().join("out").exists());
        folder = ran.folder;
    }
    folder
}

#[test]
fn kept_answers_that_do_not_fit_are_refused() {
    let (mut folder, name) = built();
    let kept = folder.path().join(&name);
    let text = fs::read_to_string(&kept).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = whole.clone();
        change(&mut changed);
        changed.to_string().into_bytes()
    };
    // Somebody who changes an answer and its hash as well.
    let forged = |answers: &mut Value| {
        answers["answers"][1][5] = ((answers["answers"][1][5].as_u64().unwrap() + 100) % 256).into();
        let rows = answers["answers"].as_array().unwrap().iter();
        let tokens = rows.flat_map(|row| row.as_array().unwrap());
        let bytes: Vec<u8> = tokens
            .flat_map(|token| (token.as_u64().unwrap() as u32).to_le_bytes())
            .collect();
        answers["sha256"] = sha256(&bytes).into();
    };
    let cases: [(Vec<u8>, &str); 14] = [
        (
            with(&|kept| kept["model"] = "0".repeat(64).into()),
            "was made with another model",
        ),
        (
            with(&|kept| kept["probe"] = "0".repeat(64).into()),
            "was made for other prompts",
        ),
        (
            with(&|kept| kept["seed"] = 1.into()),
            "was made with other settings: 96 tokens from seed 1",
        ),
        (
            with(&|kept| kept["tokens"] = 95.into()),
            "was made with other settings: 95 tokens",
        ),
        (with(&|kept| kept["format"] = 2.into()), "has format 2"),
        (
            with(&|kept| kept["ftrisk"] = "9.9.9".into()),
            "was made by ftrisk 9.9.9",
        ),
        (
            with(&|kept| kept["cpu"] = serde_json::json!(["abacus"])),
            "on another kind of machine, with abacus",
        ),
        (with(&|kept| kept["more"] = 1.into()), "is damaged: unknown field"),
        (
            with(&|kept| kept["answers"][0][0] = 259.into()),
            "is damaged: its answers are not those",
        ),
        (
            with(&|kept| kept["answers"][0][0] = 260.into()),
            "a token that the model has not",
        ),
        (
            with(&|kept| drop(kept["answers"][2].as_array_mut().unwrap().pop())),
            "the answer to t-2 has 95 tokens",
        ),
        (
            with(&|kept| drop(kept["answers"].as_array_mut().unwrap().pop())),
            "2 answers to 3 prompts",
        ),
        (with(&forged), "has an answer to t-1 that the base would not give"),
        (text.as_bytes()[..text.len() / 2].to_vec(), "is damaged: "),
    ];
    for (bytes, why) in cases {
        fs::write(&kept, bytes).unwrap();
        folder = refused(folder, why);
    }
    for bytes in [
        b"" as &[u8],
        b"\xff\xfe",
        b"[]",
        &b"[".repeat(100_000),
        &b" ".repeat(1_000_000),
    ] {
        fs::write(&kept, bytes).unwrap();
        folder = refused(folder, "is damaged: ");
    }
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    folder = refused(folder, "cannot be read");
    fs::remove_dir(&kept).unwrap();
    // What is wrong is replaced, and then fits.
    fs::write(&kept, "{}").unwrap();
    let ran = command(folder, &["probe", "build"]).code(0).stdout_has("  replaced: ");
    assert_eq!(fs::read_to_string(&kept).unwrap(), text);
    assert_eq!(kept_files(ran.folder.path()), [name]);
}

/// A model that was trained on has another name for its answers; under the name of this one they are refused.
#[test]
fn answers_of_another_model_are_its_own() {
    let (folder, of_the_first) = built();
    let mut other = weights();
    let norm = other.get_mut("model.norm.weight").unwrap();
    *norm = (&*norm * 1.5).unwrap();
    folder.write("base/model.safetensors", &safetensors(&other));
    let ran = command(folder, &["probe", "build"]).code(0);
    let both = kept_files(ran.folder.path());
    let [one, two] = both.as_slice() else {
        panic!("{both:?}")
    };
    let of_the_second = if *one == of_the_first { two } else { one };
    let path = ran.folder.path().to_owned();
    fs::copy(path.join(&of_the_first), path.join(of_the_second)).unwrap();
    let folder = refused(ran.folder, "was made with another model");
    // Without it there are only those of another model, which nobody asks.
    fs::remove_file(path.join(of_the_second)).unwrap();
    let ran = command(folder, &["train"]);
    assert!(ran.code < 2, "{}", ran.stdout);
}

#[test]
fn a_probe_that_was_pinned_anew_has_no_answers_yet() {
    let (folder, name) = built();
    folder.write(
        "prompts.jsonl",
        b"{\"prompt\":\"Say something:\"}\n{\"prompt\":\"What is a hill?\"}\n",
    );
    let ran = Case::within(folder).args(["pin", "p.riskpolicy"]).run().code(0);
    let folder = refused(ran.folder, &format!("{name} was made for other prompts"));
    let ran = command(folder, &["probe", "build"]).code(0).stdout_has("  replaced: ");
    assert!(command(ran.folder, &["train"]).code < 2);
}

#[test]
fn only_what_drift_is_read_along_is_kept() {
    let (folder, head) = probed(2);
    let lines = "max drift.total 0.05 nats on voices\nmin diversity.distinct_2 10% of base";
    let case = |folder, policy: &str, text: &str| {
        let case = Case::within(folder).file("run.yaml", run_file(&[]));
        case.file("p.riskpolicy", text)
            .args(["probe", "build", policy, "run.yaml"])
            .run()
    };
    let ran = case(folder, "p.riskpolicy", &format!("{head}{lines}\n")).code(0);
    let ran = ran.stdout_has("no limit of p.riskpolicy reads drift on prompts");
    assert!(kept_files(ran.folder.path()).is_empty());
    // A policy inside the binary has no folder; what is over is not loaded.
    let ran = case(ran.folder, "builtin:exploratory", "")
        .code(2)
        .stdout_has("policy show");
    case(
        ran.folder,
        "p.riskpolicy",
        &format!("{head}{ON_PROMPTS}\nmax lora.rank 2\n"),
    )
    .code(1);
}

#[cfg(unix)]
#[test]
fn answers_that_cannot_be_kept_are_a_failure() {
    let (folder, name) = built();
    let kept = folder.path().join(name);
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    let ran = command(folder, &["probe", "build"]).code(3).stderr_has("cannot write");
    assert!(below(ran.folder.path(), "", ".tmp").is_empty());
}
