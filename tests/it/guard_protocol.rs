//! `ftrisk guard`: what is refused before a word is said, the conversation of the reference page, and loops in Python.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use ftrisk::ledger;
use ftrisk::sema::compile;
use ftrisk::source::Sources;

use super::harness::{Case, Folder, blessing, read, repository};

const POLICY: &str = "examples/foreign_loop/policy.riskpolicy";
const RUN: &str = "examples/foreign_loop/run.yaml";
const PAGE: &str = "docs/reference/guard-protocol.md";

fn clone() -> Case {
    let folder = Folder::new();
    folder.copy("examples/foreign_loop");
    folder.copy("tests/conformance");
    Case::within(folder)
}

/// The conversation of the reference page, and the page around it.
fn transcript() -> (String, String, String) {
    let page = read(PAGE);
    let (before, rest) = page.split_once("```text\n< ").expect("the page has a conversation");
    let (shown, after) = rest.split_once("```").unwrap();
    (
        format!("{before}```text\n"),
        format!("< {shown}"),
        format!("```{after}"),
    )
}

#[test]
fn the_conversation_of_the_reference_is_what_is_said() {
    let (before, shown, after) = transcript();
    let sent: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    let ran = clone()
        .args(["guard", POLICY, RUN])
        .stdin(sent.iter().map(|line| format!("{line}\n")).collect::<String>())
        .run()
        .code(0);
    // Each message gets one answer, but the end of `hello`, which nothing was sent for.
    let mut answers = ran.stdout.lines();
    let mut found = format!("< {}\n", answers.next().unwrap_or_default());
    for (sent, answer) in sent.iter().zip(answers) {
        found.push_str(&format!("> {sent}\n< {answer}\n"));
    }
    if blessing() {
        fs::write(repository().join(PAGE), before + &found + &after).unwrap();
    } else {
        assert_eq!(found, shown, "FTRISK_BLESS=1 writes it");
    }
}

#[test]
fn a_run_is_judged_before_a_word_is_said() {
    let run = read("examples/llama-factory/over.yaml");
    let policy = |lines: &str| format!("policy \"p\" for stage sft\n{lines}\n");
    let guard = |lines: &str, more: &[&str]| {
        let case = Case::new().file("p.riskpolicy", policy(lines)).file("r.yaml", &run);
        case.args(["guard", "p.riskpolicy", "r.yaml"])
            .args(more.iter().copied())
            .run()
            .stdout_is("")
    };
    guard("max lora.rank 4", &[]).code(1).stderr_has("over[lora.rank]");
    guard("max batch.effective 128", &[])
        .code(2)
        .stderr_has("open[batch.effective]");
    // The launch's facts, which a run file does not have.
    let said = Case::new()
        .file("p.riskpolicy", policy("max batch.effective 128"))
        .file("r.yaml", &run)
        .args(["guard", "p.riskpolicy", "r.yaml", "--world-size", "1"]);
    said.run()
        .code(1)
        .stdout_has("\"type\":\"hello\"")
        .stdout_has("\"needs\":[]");
    guard("max lora.rnak 4", &[]).code(2).stderr_has("lora.rank");
    guard("advise max lora.rank 4", &["--strict"])
        .code(1)
        .stderr_has("over[lora.rank]");
    let drift = |pin: &str| format!("probe text \"a.jsonl\"{pin}\nmax drift.total 1 nats");
    guard(&drift(""), &[])
        .code(2)
        .stderr_has("error[probe-unpinned]")
        .stderr_has("guarding refuses it");
    guard(&drift(&format!(" sha256 \"{}\"", "0".repeat(64))), &[])
        .code(2)
        .stderr_has("there is no such file");
    for (args, said) in [
        (["guard", "r.yaml", "p.riskpolicy"], "the policy comes first"),
        (["guard", "p.riskpolicy", "-"], "the run file cannot"),
        (["guard", "p.riskpolicy", "nowhere.yaml"], "nowhere.yaml"),
    ] {
        let case = Case::new().file("p.riskpolicy", policy("max lora.rank 4")).args(args);
        case.run().code(2).stdout_is("").stderr_has(said);
    }
}

/// A conformance case as one input.
fn sent(case: &str) -> String {
    let text = read(format!("tests/conformance/cases/{case}.txt"));
    let sent = text.lines().filter_map(|line| line.strip_prefix("> "));
    sent.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_journal_is_whole_replays_and_is_never_written_over() {
    let guard = |case: Case| {
        case.args([
            "guard",
            "tests/conformance/conformance.riskpolicy",
            "tests/conformance/run.yaml",
            "--journal",
            "j.jsonl",
        ])
        .stdin(sent("skip"))
        .run()
    };
    let ran = guard(clone())
        .code(1)
        .stdout_has("\"exit_code\":1")
        .stderr_has("scale 2 of 2");
    let journal = ran.file("j.jsonl");
    let found = ledger::read(journal.as_bytes()).unwrap();
    assert!(ran.stdout.contains(&format!("\"journal_head\":\"{}\"", found.head)));
    let ledger::Entry::Start(start) = &found.entries[0] else {
        panic!("{:?}", found.entries)
    };
    assert_eq!((start.seed, start.probes.len(), start.later.len()), (7, 2, 4));
    let mut sources = Sources::default();
    let text = read("tests/conformance/conformance.riskpolicy");
    assert_eq!(start.policy, ftrisk::source::sha256(text.as_bytes()));
    let id = sources.add("p", text);
    let policy = compile(id, &sources).policy.unwrap();
    ledger::replay(&policy, &start.later, false, &found.entries).unwrap();

    let again = guard(Case::within(ran.folder))
        .code(2)
        .stdout_is("")
        .stderr_has("j.jsonl is there already");
    assert_eq!(again.file("j.jsonl"), journal);
    let nowhere = clone().args(["guard", POLICY, RUN, "--journal", "none/j.jsonl"]).run();
    nowhere.code(3).stdout_is("").stderr_has("cannot write none/j.jsonl");
}

#[test]
fn what_is_no_line_of_text_ends_with_2_and_a_torn_one_is_dropped() {
    let guard = |stdin: &[u8]| clone().args(["guard", POLICY, RUN]).stdin(stdin).run();
    guard(b"\xff\xfe\n").code(2).stdout_has("a line is not UTF-8");
    guard(&vec![b' '; 16 * 1024 * 1024 + 1])
        .code(2)
        .stdout_has("a line is longer than 16777216 bytes");
    guard(b"[\n").code(2).stdout_has("\"next\":\"base\"");
    guard(b"\n \n{\"type\":\"base\",\"readings\":[")
        .code(1)
        .stdout_has("\"end\":\"interrupted\"")
        .stdout_lacks("\"error\"");
}

/// Python 3, or `None` where it is not there; then `FTRISK_NO_SKIP` decides whether that is a failure.
fn python() -> Option<&'static str> {
    let found = Command::new("python3").arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some("python3");
    }
    // Past the capture of the test runner, which hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: there is no python3 to play a foreign loop");
    assert!(
        std::env::var_os("FTRISK_NO_SKIP").is_none(),
        "there is no python3, and FTRISK_NO_SKIP forbids to skip"
    );
    None
}

#[test]
fn loops_in_python_are_governed() {
    let Some(python) = python() else { return };
    let run = |script: &str, args: &[&str]| {
        let output = Command::new(python)
            .arg(repository().join(script))
            .arg(env!("CARGO_BIN_EXE_ftrisk"))
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text, complaints)
    };
    let (code, text, complaints) = run("tests/conformance/guard.py", &[]);
    assert_eq!(code, Some(0), "{text}{complaints}");
    let (code, text, complaints) = run("examples/foreign_loop.py", &[]);
    assert_eq!(code, Some(0), "{text}{complaints}");
    assert!(
        text.starts_with("finished after 56 proposals, 17 scaled, 4 halvings; saved is update 30, 0.0558 nats"),
        "{text}"
    );
    let (code, text, _) = run("examples/foreign_loop.py", &["30", "3"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("stopped after "), "{text}");
    let lines = read("examples/foreign_loop.py").lines().count();
    assert!(lines <= 80, "the example has {lines} lines");
}

#[test]
fn a_paced_limit_goes_by_the_dose_of_the_run_files_schedule() {
    let probe = "{\"text\":\"a river\"}\n";
    let policy = format!(
        "policy \"p\" for stage sft\nprobe text general \"g.jsonl\" sha256 \"{}\" every 2 updates\n\
         max drift.total 1 nats on general paced else stop\n",
        ftrisk::source::sha256(probe.as_bytes())
    );
    let run = |scheduler: &str| {
        format!(
            "model_name_or_path: any/model\nstage: sft\ndo_train: true\nfinetuning_type: lora\nlearning_rate: 1.0e-4\n\
             max_steps: 10\nlr_scheduler_type: {scheduler}\n"
        )
    };
    let drift = |value: f64| format!("[{{\"quantity\":\"drift.total\",\"probe\":\"general\",\"value\":{value}}}]");
    let mut sent = format!("{{\"type\":\"base\",\"readings\":{}}}\n", drift(0.0));
    for (update, value) in [(1, None), (2, Some(0.3))] {
        let readings = value.map_or_else(|| "[]".to_owned(), drift);
        sent += &format!("{{\"type\":\"propose\",\"update\":{update},\"scale\":1,\"readings\":[]}}\n");
        sent += &format!("{{\"type\":\"decide\",\"update\":{update},\"readings\":{readings}}}\n");
    }
    let guard = |scheduler: &str| {
        let case = Case::new().file("p.riskpolicy", &policy).file("r.yaml", run(scheduler));
        let case = case.file("g.jsonl", probe).args(["guard", "p.riskpolicy", "r.yaml"]);
        case.args(["--journal", "j.jsonl"]).stdin(sent.clone()).run().code(1)
    };
    // After two of ten updates, 19 of 55 of the dose are over.
    let by_dose = guard("linear")
        .stdout_has("\"clock\":\"the dose of a linear schedule of 10 updates\"")
        .stdout_lacks("\"rate_factor\":0.5")
        .stderr_has("paced limits were spread over the dose of a linear schedule of 10 updates");
    let journal = by_dose.file("j.jsonl");
    assert!(
        journal.contains("\"schedule\":{\"shape\":\"linear\",\"warmup\":0}"),
        "{journal}"
    );
    // A schedule that ftrisk does not compute: the updates.
    let by_updates = guard("polynomial")
        .stdout_has("\"clock\":\"10 updates\"")
        .stdout_has("\"rate_factor\":0.5");
    assert!(!by_updates.file("j.jsonl").contains("\"schedule\""));
}
