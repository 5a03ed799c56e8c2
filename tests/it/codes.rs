//! Executes the pages of the diagnostic codes: what each says is an example is one, and what it says helps does.

use std::collections::BTreeSet;

use ftrisk::builtin;
use ftrisk::diag::{CODES, Code, Diagnostic};
use ftrisk::report::reference;

use super::harness::{Case, Folder, files, read};
use super::spec::{Block, blocks, compiled, flags, judged, said};

/// Codes about files rather than texts, and of `train` alone: their pages describe the case, and a test of its own makes it.
const ABOUT_FILES: &[Code] = &[
    Code::CannotRead,
    Code::NotText,
    Code::TooLarge,
    Code::ProbePath,
    Code::Contradiction,
    Code::NotTrained,
    Code::TrainInput,
    Code::ProbeResolution,
    Code::RunDirectory,
];

const PAGES: &str = "docs/reference/codes";

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages: BTreeSet<String> = files(PAGES, ".md")
        .iter()
        .filter_map(|path| Some(path.rsplit_once('/')?.1.strip_suffix(".md")?.to_owned()))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<String> = CODES.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(pages, codes);
    for code in CODES {
        let page = read(format!("{PAGES}/{}.md", code.name()));
        assert_eq!(reference::page(code.name()), Some(page), "{}", code.name());
        assert_eq!(Code::named(code.name()), Some(*code));
    }
}

#[test]
fn pages_have_their_sections_and_fit_a_terminal() {
    for code in CODES {
        let (name, page) = (code.name(), code.page());
        // Comments of policies and run files begin with `# ` as well, but never with two.
        let sections: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(sections, ["## Why", "## Example", "## Instead"], "{name}");
        let what = page
            .strip_prefix(&format!("# {name}\n\n"))
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        assert!(
            what.starts_with(|c: char| c.is_uppercase() || c == '`') && what.ends_with('.'),
            "{name}: {what:?}"
        );
        for section in ["Why", "Example", "Instead"] {
            assert!(!text_of(page, section).trim().is_empty(), "{name}: {section} is empty");
        }
        assert!(page.lines().count() <= 45, "{name} has {} lines", page.lines().count());
        for line in page.lines() {
            assert!(line.chars().count() <= 100, "{name}: {line}");
        }
        let has_text = blocks(page).iter().any(|block| block.language == "riskpolicy");
        assert_eq!(has_text, !ABOUT_FILES.contains(code), "{name}: an example or none");
    }
}

#[test]
fn examples_trigger_their_code_and_the_repaired_ones_nothing() {
    let mut failures = Vec::new();
    for code in CODES.iter().filter(|code| !ABOUT_FILES.contains(code)) {
        let example = blocks(&text_of(code.page(), "Example"));
        let instead = blocks(&text_of(code.page(), "Instead"));
        let found = found_in(*code, &example, &example);
        let others: Vec<String> = found.iter().filter(|d| d.code != *code).map(told).collect();
        if !others.is_empty() {
            failures.push(format!(
                "{}: the example also triggers\n{}",
                code.name(),
                others.join("\n")
            ));
        }
        if found.iter().all(|d| d.code != *code) {
            failures.push(format!("{}: the example does not trigger it", code.name()));
        }
        let left: Vec<String> = found_in(*code, &instead, &example).iter().map(told).collect();
        if !left.is_empty() {
            failures.push(format!(
                "{}: what is written instead triggers\n{}",
                code.name(),
                left.join("\n")
            ));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

/// Who copies an example gets a policy whose probes are the shipped ones.
#[test]
fn pins_in_the_pages_are_those_of_the_shipped_probes() {
    let mut seen = 0;
    for code in CODES {
        for block in blocks(code.page()) {
            for probe in compiled(&block.text)
                .policy
                .into_iter()
                .flat_map(|policy| policy.probes)
            {
                let Some(shipped) = builtin::probe(&probe.path).filter(|_| probe.sha256.is_some()) else {
                    continue;
                };
                assert_eq!(
                    probe.sha256.as_deref(),
                    Some(shipped.sha256),
                    "{}: {}",
                    code.name(),
                    probe.path
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no page shows a pinned probe");
}

/// The part of a page under a heading.
fn text_of(page: &str, section: &str) -> String {
    let heading = format!("\n## {section}\n");
    let after = page.split_once(&heading).map_or("", |(_, after)| after);
    after.split("\n## ").next().unwrap_or_default().to_owned()
}

/// What the blocks of a section trigger; a run file is judged by the policy above it, if need be that of the example.
fn found_in(code: Code, section: &[Block], example: &[Block]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let is_policy = |block: &&Block| block.language == "riskpolicy";
    let mut policy = example.iter().find(is_policy).map(|block| compiled(&block.text));
    for block in section {
        match block.language.as_str() {
            "riskpolicy" => {
                let new = compiled(&block.text);
                found.extend(new.diagnostics.clone());
                policy = Some(new);
            }
            "yaml" => {
                let policy = policy
                    .as_ref()
                    .unwrap_or_else(|| panic!("{}: a run file and no policy", code.name()));
                let flags = flags(&block.flags).unwrap_or_else(|told| panic!("{}: {told}", code.name()));
                let (report, _) = judged(policy, &block.text, flags);
                for run in report.runs {
                    found.extend(run.diagnostics);
                    let Some(judgement) = run.judgement else { continue };
                    found.extend(judgement.findings);
                    found.extend(judgement.lines.into_iter().filter_map(|line| line.diagnostic));
                }
            }
            other => panic!("{}: a block of {other:?}", code.name()),
        }
    }
    assert!(!section.is_empty(), "{}: a section without a text", code.name());
    found
}

fn told(diagnostic: &Diagnostic) -> String {
    format!("  {}: {}", diagnostic.kind(), said(diagnostic))
}

const POLICY: &str = "policy \"p\"\nmax learning_rate 2e-4\n";
const RUN: &str = "model_name_or_path: Qwen/Qwen3-4B\nstage: sft\ndo_train: true\nfinetuning_type: lora\n\
                   dataset: identity\ntemplate: qwen3\noutput_dir: out\nlearning_rate: 1.0e-4\n";
const BOTH: &[&str] = &["policy.riskpolicy", "run.yaml"];
/// SHA-256 of the three letters that it is named after, a test vector of FIPS 180-4.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A policy with one probe.
fn policy_with(probe: &str, hash: &str) -> String {
    format!("{POLICY}probe text general \"{probe}\" sha256 \"{hash}\"\n")
}

/// The real binary on a policy, a run file that it accepts, and what else is put beside them.
fn check(arguments: &[&str], beside: &[(&str, &[u8])]) -> Case {
    let folder = Folder::new();
    folder.write("policy.riskpolicy", POLICY.as_bytes());
    folder.write("run.yaml", RUN.as_bytes());
    for (name, bytes) in beside {
        folder.write(name, bytes);
    }
    Case::within(folder).args(["check"]).args(arguments.iter().copied())
}

#[track_caller]
fn triggers(code: Code, case: Case) -> String {
    let ran = case
        .run()
        .code(2)
        .stdout_has(&format!("error[{}]", code.name()))
        .stderr_is("");
    assert_eq!(ran.stdout.matches("error[").count(), 1, "{}", ran.stdout);
    ran.stdout
}

#[track_caller]
fn is_clean(case: Case) {
    case.run().code(0).stdout_lacks("error[").stderr_is("");
}

#[test]
fn cannot_read() {
    is_clean(check(BOTH, &[]));
    for arguments in [
        &["absent.riskpolicy", "run.yaml"],
        &["policy.riskpolicy", "absent.yaml"],
        &["policy.riskpolicy", "runs/*.yaml"],
        &[".", "run.yaml"],
        &["builtin:no-such-policy", "run.yaml"],
    ] {
        triggers(Code::CannotRead, check(arguments, &[]));
    }
    let inside = policy_with("builtin:none.jsonl", ABC);
    triggers(
        Code::CannotRead,
        check(BOTH, &[("policy.riskpolicy", inside.as_bytes())]),
    );
    // A probe that is not there yet is needed when training starts, not now.
    let later = policy_with("none.jsonl", ABC);
    is_clean(check(BOTH, &[("policy.riskpolicy", later.as_bytes())]));
}

#[test]
fn not_text() {
    let told = triggers(
        Code::NotText,
        check(
            BOTH,
            &[(
                "policy.riskpolicy",
                b"policy \"p\"  # r\xe9sum\xe9\nmax learning_rate 2e-4\n",
            )],
        ),
    );
    assert!(told.contains("line 1"), "{told}");
    let utf8 = "policy \"p\"  # résumé\nmax learning_rate 2e-4\n";
    is_clean(check(BOTH, &[("policy.riskpolicy", utf8.as_bytes())]));
    let utf16: Vec<u8> = "\u{feff}"
        .chars()
        .chain(RUN.chars())
        .flat_map(|c| (c as u16).to_le_bytes())
        .collect();
    triggers(Code::NotText, check(BOTH, &[("run.yaml", &utf16)]));
    // A byte order mark is UTF-8 and stays unseen.
    let run = format!("\u{feff}{RUN}");
    is_clean(check(BOTH, &[("run.yaml", run.as_bytes())]));
}

/// The text and comments up to so many bytes.
fn padded(text: &str, bytes: usize) -> String {
    let comment = format!("#{}\n", " ".repeat(98));
    let mut text = text.to_owned();
    while text.len() + comment.len() < bytes {
        text.push_str(&comment);
    }
    text.push_str(&"#".repeat(bytes.saturating_sub(text.len())));
    text
}

#[test]
fn too_large() {
    let (most, more) = (ftrisk::syntax::MAX_BYTES, ftrisk::syntax::MAX_BYTES + 1);
    is_clean(check(BOTH, &[("policy.riskpolicy", padded(POLICY, most).as_bytes())]));
    triggers(
        Code::TooLarge,
        check(BOTH, &[("policy.riskpolicy", padded(POLICY, more).as_bytes())]),
    );
    let (most, more) = (ftrisk::adapt::MAX_BYTES, ftrisk::adapt::MAX_BYTES + 1);
    is_clean(check(BOTH, &[("run.yaml", padded(RUN, most).as_bytes())]));
    triggers(
        Code::TooLarge,
        check(BOTH, &[("run.yaml", padded(RUN, more).as_bytes())]),
    );
}

#[test]
fn probe_hash_of_a_changed_file() {
    for hash in [ABC.to_owned(), ABC.to_uppercase()] {
        let policy = policy_with("probes/general.jsonl", &hash);
        let case = |probe: &str| {
            check(
                BOTH,
                &[
                    ("policy.riskpolicy", policy.as_bytes()),
                    ("probes/general.jsonl", probe.as_bytes()),
                ],
            )
        };
        is_clean(case("abc"));
        let told = triggers(Code::ProbeHash, case("abcd"));
        // SHA-256 of `abcd`, from coreutils.
        assert!(
            told.contains("88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"),
            "{told}"
        );
    }
}

#[test]
fn probe_path() {
    let case = |probe: &str| {
        let policy = policy_with(probe, ABC);
        check(
            &["root/policies/policy.riskpolicy", "run.yaml"],
            &[
                ("root/.git/HEAD", b""),
                ("root/probes/general.jsonl", b"abc"),
                ("outside.jsonl", b"abc"),
                ("root/policies/policy.riskpolicy", policy.as_bytes()),
            ],
        )
    };
    // Up and down again, but inside of the folder that holds `.git`.
    is_clean(case("../probes/general.jsonl"));
    for outside in ["../../outside.jsonl", "../../absent.jsonl", "/etc/hostname"] {
        triggers(Code::ProbePath, case(outside));
    }
    #[cfg(unix)]
    {
        let linked = case("../probes/link.jsonl");
        std::os::unix::fs::symlink("../../outside.jsonl", linked.path().join("root/probes/link.jsonl")).unwrap();
        triggers(Code::ProbePath, linked);
    }
}

/// What `train` finds before it loads a model, on a run file with these lines in place of `template: qwen3`.
#[cfg(feature = "train")]
fn train(lines: &str, beside: &[(&str, &[u8])]) -> Case {
    let folder = Folder::new();
    folder.write("policy.riskpolicy", POLICY.as_bytes());
    folder.write("run.yaml", RUN.replace("template: qwen3\n", lines).as_bytes());
    for (name, bytes) in beside {
        folder.write(name, bytes);
    }
    Case::within(folder).args(["train", "policy.riskpolicy", "run.yaml"])
}

#[cfg(feature = "train")]
#[test]
fn not_trained() {
    for lines in [
        "template: qwen3\n",
        "template: default\nneftune_noise_alpha: 5\n",
        "template: alpaca\npacking: true\n",
    ] {
        triggers(Code::NotTrained, train(lines, &[]));
    }
    // The gate judges the file as its own framework trains it.
    is_clean(check(BOTH, &[]));
}

#[cfg(feature = "train")]
#[test]
fn train_input() {
    let told = triggers(Code::TrainInput, train("template: default\n", &[]));
    assert!(told.contains("dataset_info.json"), "{told}");
    let index: &[u8] = br#"{"identity": {"file_name": "identity.json"}}"#;
    let rows: &[u8] = br#"[{"instruction": "Who are you?", "input": "", "output": " "}]"#;
    let told = triggers(
        Code::TrainInput,
        train(
            "template: default\n",
            &[("data/dataset_info.json", index), ("data/identity.json", rows)],
        ),
    );
    assert!(told.contains("row 1"), "{told}");
}

#[cfg(feature = "train")]
#[test]
fn run_directory() {
    let told = triggers(
        Code::RunDirectory,
        train("template: default\n", &[("out/journal.jsonl", b"")]),
    );
    assert!(told.contains("out already holds something"), "{told}");
    let elsewhere = train("template: default\n", &[("out/journal.jsonl", b"")]).args(["--out", "other"]);
    triggers(Code::TrainInput, elsewhere);
}
