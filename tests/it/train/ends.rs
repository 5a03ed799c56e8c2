//! How a run ends when it does not come to its own end: killed, interrupted, or out of room.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ftrisk::ledger::{self, Entry, Why};

use super::super::harness::Folder;
use super::fixture::{Bench, case, config, folder, journal, policy, run_file, summary, updates};

/// Nothing that a run of the fixture reaches.
const WIDE: &str = "max drift.per_update 10 nats on voices\nmax drift.total 10 nats on voices";

/// Starts to train, with what is printed in files, and waits until the journal has so many lines.
#[track_caller]
fn started(folder: &Folder, policy: &str, run: &str, lines: usize) -> Child {
    folder.write("p.riskpolicy", policy.as_bytes());
    folder.write("run.yaml", run.as_bytes());
    let mut child = Command::new(env!("CARGO_BIN_EXE_ftrisk"))
        .args(["train", "p.riskpolicy", "run.yaml"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(File::create(folder.path().join("stdout")).unwrap())
        .stderr(File::create(folder.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let journal = folder.path().join("out/journal.jsonl");
    let began = Instant::now();
    loop {
        let found = fs::read(&journal).unwrap_or_default();
        if found.iter().filter(|byte| **byte == b'\n').count() >= lines {
            return child;
        }
        let ended = child.try_wait().unwrap();
        let said = || fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
        assert!(ended.is_none(), "ended before line {lines}: {ended:?} {}", said());
        assert!(began.elapsed() < Duration::from_secs(15), "no line {lines}: {}", said());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing there that somebody could take for a run that ended.
#[track_caller]
fn assert_unfinished(out: &Path) {
    for name in ["adapter", "adapter.tmp", "summary.json", "summary.json.tmp"] {
        assert!(!out.join(name).exists(), "{name}");
    }
}

#[test]
fn a_killed_run_leaves_a_whole_journal_and_nothing_that_looks_finished() {
    let count = std::env::var("FTRISK_KILLS").ok().and_then(|count| count.parse().ok());
    let instants = [1, 2, 3, 5, 9].into_iter().chain(10..);
    for lines in instants.take(count.unwrap_or(5)) {
        let folder = folder();
        let mut child = started(&folder, &policy(2, WIDE), &run_file(&[("max_steps", "100000")]), lines);
        child.kill().unwrap();
        child.wait().unwrap();
        let read = journal(folder.path());
        assert!(read.entries.len() >= lines, "{} of {lines}", read.entries.len());
        assert!(matches!(read.entries.first(), Some(Entry::Start(_))));
        assert!(!matches!(read.entries.last(), Some(Entry::End(_))));
        assert_unfinished(&folder.path().join("out"));
    }
}

/// Killed while it saves: what is there is whole, and the summary does not come before the adapter.
#[test]
fn a_run_that_is_killed_while_it_saves_leaves_whole_files_only() {
    for wait in [0, 1, 2, 4] {
        let folder = folder();
        // Start, base, two updates and the end.
        let run = run_file(&[("max_steps", "2")]);
        let mut child = started(&folder, &policy(2, WIDE), &run, 5);
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let out = folder.path().join("out");
        assert!(matches!(journal(folder.path()).entries.last(), Some(Entry::End(_))));
        if out.join("summary.json").exists() {
            assert_eq!(summary(folder.path())["end"], "finished");
            assert!(out.join("adapter").exists());
        }
        if out.join("adapter").exists() {
            load(&out);
        }
    }
}

/// The saved adapter, which has to be whole.
#[track_caller]
fn load(out: &Path) -> ftrisk::train::lora::Adapter {
    let file = |name: &str| fs::read(out.join("adapter").join(name)).unwrap();
    let saved = ftrisk::train::lora::Saved {
        config: file("adapter_config.json"),
        model: file("adapter_model.safetensors"),
    };
    ftrisk::train::lora::Adapter::load(&config(), &saved).unwrap()
}

#[test]
fn an_interrupted_run_saves_what_was_inside() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder();
        let mut child = started(&folder, &policy(2, WIDE), &run_file(&[("max_steps", "100000")]), 6);
        let sent = Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");

        let read = journal(folder.path());
        let last = updates(&read.entries).last().unwrap().update;
        let Some(Entry::End(end)) = read.entries.last() else {
            panic!("{:?}", read.entries.last())
        };
        // Evaluated every second update: what is saved is the last of them, not what stood when the signal came.
        let kept = last - last % 2;
        assert_eq!(
            (end.why, end.update, end.saved_from),
            (Why::Interrupted, last, Some(kept))
        );
        let summary = summary(folder.path());
        assert_eq!(
            (summary["end"].as_str(), summary["exit_code"].as_i64()),
            (Some("interrupted"), Some(code.into()))
        );
        assert_eq!(
            (summary["saved_from"].as_u64(), &summary["journal_head"]),
            (Some(kept), &read.head.into())
        );
        let recorded = updates(&read.entries)
            .iter()
            .find(|update| update.update == kept)
            .map(|update| update.readings[0].reading().value().unwrap().get());
        let adapter = load(&folder.path().join("out"));
        let measured = Bench::within(&folder, &policy(2, WIDE), &[]).read(&adapter)["drift.total"];
        assert!((measured - recorded.unwrap()).abs() < 1e-6, "{measured} {recorded:?}");
    }
}

/// Runs the shell's words before the command, which is on the last line.
fn in_a_shell(before: &str, after: &str, folder: &Folder, args: &str) -> (Option<i32>, String, String) {
    folder.write("p.riskpolicy", policy(2, WIDE).as_bytes());
    folder.write("run.yaml", run_file(&[]).as_bytes());
    let script = format!("{before}\nexec \"$0\" train p.riskpolicy run.yaml {args} {after}");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_ftrisk")])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A limit on the size of files stands for a full disk: the write fails in the same place.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_in_a_sentence() {
    // In blocks of 512 bytes: before the first file, in the journal's first line and in a later one, in the adapter.
    for (blocks, name, entries) in [
        (0, "policy.riskpolicy", 0),
        (1, "journal.jsonl", 0),
        (6, "journal.jsonl", 2),
        (30, "adapter", 13),
    ] {
        let folder = folder();
        let (code, out, complaint) = in_a_shell(&format!("ulimit -f {blocks}"), "", &folder, "");
        assert_eq!(code, Some(3), "{blocks}: {out}{complaint}");
        let last = complaint.lines().last().unwrap_or_default();
        assert!(
            last.starts_with(&format!("ftrisk: cannot write out/{name}: ")),
            "{blocks}: {complaint}"
        );
        assert!(
            !complaint.contains("panic") && !complaint.contains("defect"),
            "{complaint}"
        );
        let out = folder.path().join("out");
        assert_unfinished(&out);
        // A line that did not fit is torn, and reading drops it.
        let read = ledger::read(&fs::read(out.join("journal.jsonl")).unwrap()).unwrap();
        assert!(
            read.entries.len() >= entries,
            "{blocks}: {} entries",
            read.entries.len()
        );
        assert!(!out.join("policy.riskpolicy.tmp").exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nowhere_to_write_is_a_failure_of_ftrisk() {
    let folder = folder();
    let (code, _, complaint) = in_a_shell("", "> /dev/full", &folder, "");
    assert_eq!(code, Some(3), "{complaint}");
    assert!(complaint.contains("cannot write to standard output"), "{complaint}");
    assert!(!folder.path().join("out").exists());
    let (code, _, complaint) = in_a_shell("", "", &folder, "--out /proc/out");
    assert_eq!(code, Some(3), "{complaint}");
    assert!(complaint.contains("cannot write /proc/out: "), "{complaint}");
}

#[test]
fn a_base_that_is_outside_is_not_trained() {
    let lines = "min diversity.distinct_2 101%";
    let ran = case(folder(), &policy(2, lines), &run_file(&[])).run();
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let lines = "min diversity.distinct_1 99%";
    let ran = case(folder(), &policy(2, lines), &run_file(&[]))
        .run()
        .code(1)
        .stdout_has("before the first update")
        .stdout_has("the run does not start")
        .stdout_has("nothing was trained and nothing is saved");
    let read = journal(ran.folder.path());
    assert_eq!(read.entries.len(), 3);
    assert!(matches!(&read.entries[2], Entry::End(end) if end.why == Why::NotStarted && end.saved_from.is_none()));
    assert!(!ran.folder.path().join("out/adapter").exists());
    assert!(summary(ran.folder.path())["saved_from"].is_null());
}
