//! What people name on the command line and is not what it should be: files of another kind, pipes, flags whose file is
//! not there.

use super::harness::{Case, Folder, has_program, read};

/// A folder that looks like a clone, as far as commands need it.
fn clone() -> Folder {
    let folder = Folder::new();
    folder.copy("examples");
    folder
}

/// The flag that named it is said, and no policy is at fault.
#[test]
fn files_beside_a_run_that_cannot_be_read_are_named_with_their_flag() {
    let mut told = String::new();
    for (flag, file) in [
        ("--with", "none.yaml"),
        ("--facts", "none.yaml"),
        ("--with", "d"),
        ("--facts", "latin.yaml"),
        ("--with", "comments.yaml"),
    ] {
        for command in [&["check", "builtin:cautious-sft"][..], &["facts"]] {
            let ran = Case::within(clone())
                .file("d/x", "")
                .file("latin.yaml", b"a: caf\xe9\n")
                .file("comments.yaml", "# nothing\n")
                .args(command.iter().copied())
                .args(["examples/llama-factory/inside.yaml", flag, file])
                .run()
                .code(2);
            assert!(!ran.stdout.contains("judges nothing"), "{}", ran.stdout);
            if command[0] == "check" {
                told.push_str(&format!(
                    "$ ftrisk check builtin:cautious-sft run.yaml {flag} {file}\n{}{}\n",
                    ran.stderr, ran.stdout
                ));
            }
        }
    }
    insta::assert_snapshot!("files_beside_that_cannot_be_read", told);
}

/// What people name by mistake: each is told what it is, and what to do next.
#[test]
fn what_is_no_run_file_is_told_what_it_is() {
    let mut told = String::new();
    for (name, text) in [
        ("empty.yaml", ""),
        ("comments.yaml", "# learning_rate: 1e-4\n# lora_rank: 8\n"),
        ("dashes.yaml", "---\n"),
        ("list.json", "[{\"learning_rate\": 1e-4}, {\"learning_rate\": 2e-4}]\n"),
        ("rows.csv", "prompt,answer\nhello,world\n"),
        ("train.py", "import torch\nprint(torch.__version__)\n"),
        ("run.toml", "learning_rate = 1e-4\n[lora]\nrank = 8\n"),
        ("nine.yaml", "%YAML 9.9\n---\nmodel: m\n"),
        (
            "wrapped.yaml",
            "args:\n  model_name_or_path: m\n  stage: sft\n  do_train: true\n  finetuning_type: lora\n  learning_rate: 1.0e-4\n  num_train_epochs: 1\n",
        ),
    ] {
        let ran = Case::new()
            .file(name, text)
            .args(["check", "builtin:cautious-sft", name])
            .run()
            .code(2)
            .stdout_has("help:");
        told.push_str(&format!("$ ftrisk check builtin:cautious-sft {name}\n{}\n", ran.stdout));
    }
    for name in ["d", "run.yaml", "run.json"] {
        let ran = Case::new()
            .file("d/x", "")
            .file("run.yaml", "a: 1\n")
            .file("run.json", "{}\n")
            .args(["check", name, "run.yaml"])
            .run()
            .code(2);
        told.push_str(&format!(
            "$ ftrisk check {name} run.yaml\n{}{}\n",
            ran.stdout, ran.stderr
        ));
    }
    insta::assert_snapshot!("what_is_no_run_file", told);
}

/// A pipe that the process was started with is read, as `<(command)` is; one that lies in a folder might never open.
#[cfg(unix)]
#[test]
fn a_pipe_is_read_where_somebody_holds_it_and_refused_where_nobody_might() {
    use std::process::Command;

    let case = |args: &[&str]| {
        let folder = clone();
        let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
        assert!(made.success());
        Case::within(folder).args(args.iter().copied()).run().code(2)
    };
    let inside = "examples/llama-factory/inside.yaml";
    let policy = "builtin:exploratory";
    case(&["check", policy, "pipe"]).stdout_has("cannot read pipe: it is a named pipe");
    case(&["check", "pipe", inside]).stdout_has("cannot read pipe: it is a named pipe");
    case(&["facts", "pipe"]).stderr_has("cannot read pipe: it is a named pipe");
    case(&["check", policy, inside, "--with", "pipe"]).stderr_has("cannot read --with pipe: it is a named pipe");
    case(&["facts", inside, "--facts", "pipe"]).stderr_has("cannot read --facts pipe: it is a named pipe");

    Case::within(clone())
        .stdin(read("examples/llama-factory/over.yaml"))
        .args(["check", "builtin:cautious-sft", "/dev/stdin"])
        .run()
        .code(1)
        .stdout_has("[/dev/stdin:9:12]");
    if has_program("bash", "process substitution") {
        let (ftrisk, folder) = (env!("CARGO_BIN_EXE_ftrisk"), clone());
        let script = format!(
            "'{ftrisk}' check <('{ftrisk}' policy show cautious-sft) <(cat {inside}) --with <(echo 'compute_environment: LOCAL_MACHINE'; echo 'num_processes: 1')"
        );
        let ran = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    }
}
