//! Executes the pages of the diagnostic codes: what each says is an example is one, and what it says helps does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ftrisk::diag::{CODES, Code, Diagnostic};
use ftrisk::report::reference;

use super::spec::{Block, blocks, compiled, flags, judged, said};

/// Codes about files rather than texts: their pages describe the case, and a test of its own makes it.
const ABOUT_FILES: &[Code] = &[Code::CannotRead, Code::NotText, Code::TooLarge, Code::ProbePath];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/codes")
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<String> = CODES.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(files, codes);
    for code in CODES {
        let file = fs::read_to_string(folder().join(format!("{}.md", code.name()))).unwrap();
        assert_eq!(reference::page(code.name()).as_deref(), Some(file.as_str()), "{}", code.name());
        assert_eq!(Code::named(code.name()), Some(*code));
    }
}

#[test]
fn pages_have_their_sections_and_fit_a_terminal() {
    for code in CODES {
        let (name, page) = (code.name(), code.page());
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("# ") || line.starts_with("## ")).collect();
        // Comments of policies and run files begin with `# ` as well.
        let sections: Vec<&str> = headings.iter().copied().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings.first().copied(), Some(format!("# {name}").as_str()), "{name}");
        assert_eq!(sections, ["## Why", "## Example", "## Instead"], "{name}");
        let what = page.lines().nth(2).unwrap_or_default();
        assert!(what.starts_with(char::is_uppercase) && page.starts_with(&format!("# {name}\n\n")), "{name}: {what}");
        for section in ["Why", "Example", "Instead"] {
            assert!(!text_of(page, section).trim().is_empty(), "{name}: {section} is empty");
        }
        assert!(page.lines().count() < 45, "{name} has {} lines", page.lines().count());
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
            failures.push(format!("{}: the example also triggers\n{}", code.name(), others.join("\n")));
        }
        if found.iter().all(|d| d.code != *code) {
            failures.push(format!("{}: the example does not trigger it", code.name()));
        }
        let left: Vec<String> = found_in(*code, &instead, &example).iter().map(told).collect();
        if !left.is_empty() {
            failures.push(format!("{}: what is written instead triggers\n{}", code.name(), left.join("\n")));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
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
                let policy = policy.as_ref().unwrap_or_else(|| panic!("{}: a run file and no policy", code.name()));
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

/// A folder of its own for one test, with a policy and a run file that it accepts.
struct Case {
    folder: PathBuf,
}

impl Case {
    fn new(name: &str) -> Case {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codes").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("root/.git")).unwrap();
        let case = Case { folder: folder.join("root") };
        case.write("policy.riskpolicy", POLICY).write("run.yaml", RUN);
        case
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) -> &Case {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// What `ftrisk check` prints, and its exit code.
    fn check(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = Command::new(env!("CARGO_BIN_EXE_ftrisk"))
            .args(["check", "--color", "never"])
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (text, output.status.code())
    }

    #[track_caller]
    fn triggers(&self, code: Code, arguments: &[&str]) -> String {
        let (text, exit) = self.check(arguments);
        assert!(text.contains(&format!("error[{}]", code.name())), "{arguments:?}: {text}");
        assert_eq!(text.matches("error[").count(), 1, "{arguments:?}: {text}");
        assert_eq!(exit, Some(2), "{arguments:?}: {text}");
        text
    }

    #[track_caller]
    fn is_clean(&self, arguments: &[&str]) {
        let (text, exit) = self.check(arguments);
        assert!(!text.contains("error["), "{arguments:?}: {text}");
        assert_eq!(exit, Some(0), "{arguments:?}: {text}");
    }
}

const BOTH: &[&str] = &["policy.riskpolicy", "run.yaml"];

#[test]
fn cannot_read() {
    let case = Case::new("cannot-read");
    case.is_clean(BOTH);
    for arguments in [
        &["absent.riskpolicy", "run.yaml"],
        &["policy.riskpolicy", "absent.yaml"],
        &["policy.riskpolicy", "."],
        &[".", "run.yaml"],
        &["builtin:no-such-policy", "run.yaml"],
    ] {
        case.triggers(Code::CannotRead, arguments);
    }
    case.write("probe.riskpolicy", format!("{POLICY}probe text general \"builtin:none.jsonl\" sha256 \"{}\"\n", "0".repeat(64)));
    case.triggers(Code::CannotRead, &["probe.riskpolicy", "run.yaml"]);
    // A probe that is not there yet is needed when training starts, not now.
    case.write("later.riskpolicy", format!("{POLICY}probe text general \"none.jsonl\" sha256 \"{}\"\n", "0".repeat(64)));
    case.is_clean(&["later.riskpolicy", "run.yaml"]);
}

#[test]
fn not_text() {
    let case = Case::new("not-text");
    case.write("latin1.riskpolicy", b"policy \"p\"  # r\xe9sum\xe9\nmax learning_rate 2e-4\n");
    case.write("utf8.riskpolicy", "policy \"p\"  # résumé\nmax learning_rate 2e-4\n");
    let text = case.triggers(Code::NotText, &["latin1.riskpolicy", "run.yaml"]);
    assert!(text.contains("line 1"), "{text}");
    case.is_clean(&["utf8.riskpolicy", "run.yaml"]);
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(RUN.encode_utf16().flat_map(u16::to_le_bytes));
    case.write("utf16.yaml", utf16);
    case.triggers(Code::NotText, &["policy.riskpolicy", "utf16.yaml"]);
    // A byte order mark is UTF-8 and stays unseen.
    case.write("marked.riskpolicy", format!("\u{feff}{POLICY}"));
    case.is_clean(&["marked.riskpolicy", "run.yaml"]);
}

#[test]
fn too_large() {
    let case = Case::new("too-large");
    let padded = |text: &str, bytes: usize| {
        let comment = format!("#{}\n", " ".repeat(98));
        let mut text = text.to_owned();
        while text.len() + comment.len() < bytes {
            text.push_str(&comment);
        }
        text.push_str(&"#".repeat(bytes - text.len()));
        text
    };
    let (policy, run) = (ftrisk::syntax::MAX_BYTES, ftrisk::adapt::MAX_BYTES);
    case.write("most.riskpolicy", padded(POLICY, policy)).write("most.yaml", padded(RUN, run));
    case.is_clean(&["most.riskpolicy", "most.yaml"]);
    case.write("more.riskpolicy", padded(POLICY, policy + 1)).write("more.yaml", padded(RUN, run + 1));
    case.triggers(Code::TooLarge, &["more.riskpolicy", "run.yaml"]);
    case.triggers(Code::TooLarge, &["policy.riskpolicy", "more.yaml"]);
}

/// SHA-256 of three letters, a test vector of FIPS 180-4.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn probe_hash_of_a_changed_file() {
    let case = Case::new("probe-hash");
    let probe = format!("{POLICY}probe text general \"probes/general.jsonl\" sha256 \"{ABC}\"\n");
    case.write("policy.riskpolicy", &probe).write("probes/general.jsonl", "abc");
    case.is_clean(BOTH);
    case.write("policy.riskpolicy", probe.replace(ABC, &ABC.to_uppercase()));
    case.is_clean(BOTH);
    case.write("probes/general.jsonl", "abcd");
    let text = case.triggers(Code::ProbeHash, BOTH);
    assert!(text.contains("88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"), "{text}");
}

#[test]
fn probe_path() {
    let case = Case::new("probe-path");
    let probe = |path: &str| format!("{POLICY}probe text general \"{path}\" sha256 \"{ABC}\"\n");
    let nested = ["policies/policy.riskpolicy", "run.yaml"];
    case.write("probes/general.jsonl", "abc").write("../outside.jsonl", "abc");
    // Up and down again, but inside the folder that holds `.git`.
    case.write("policies/policy.riskpolicy", probe("../probes/general.jsonl"));
    case.is_clean(&nested);
    case.write("policies/policy.riskpolicy", probe("../../outside.jsonl"));
    case.triggers(Code::ProbePath, &nested);
    case.write("policies/policy.riskpolicy", probe("../../absent.jsonl"));
    case.triggers(Code::ProbePath, &nested);
    case.write("policies/policy.riskpolicy", probe("/etc/hostname"));
    case.triggers(Code::ProbePath, &nested);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../outside.jsonl", case.folder.join("probes/link.jsonl")).unwrap();
        case.write("policies/policy.riskpolicy", probe("../probes/link.jsonl"));
        case.triggers(Code::ProbePath, &nested);
    }
}
