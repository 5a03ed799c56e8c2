//! Completions in the shells that are there, manual pages in the programs that show them, and the lines of the page that
//! install both.

use std::process::Command;

use super::harness::{Case, Folder, below, environment, has_program};
use super::spec::shown_as;

const PAGE: &str = "docs/how-to/install-completions-and-man-pages.md";

/// Runs a script in a shell with a home of its own; what it prints.
#[track_caller]
fn said(shell: &str, args: &[&str], script: &str, home: &Folder) -> String {
    let output = Command::new(shell)
        .args(args)
        .args(["-c", script])
        .current_dir(home.path())
        .env_clear()
        .envs(environment(home))
        .env("TERM", "dumb")
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{shell}: {script}\n{complaints}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A home after the lines of the page that install something.
fn installed(shell: &str, what: &str) -> Folder {
    let home = Folder::new();
    said(shell, &[], &shown_as(PAGE, what), &home);
    home
}

#[test]
fn bash_completes() {
    if !has_program("bash", "to complete in") {
        return;
    }
    let home = installed("bash", "bash");
    // The words so far; the last one is being completed, as bash calls the function for it.
    let complete = |words: &[&str]| {
        let (before, last) = (words[words.len() - 2], words[words.len() - 1]);
        let script = format!(
            "source .local/share/bash-completion/completions/ftrisk; complete -p ftrisk > bound; \
             COMP_WORDS=({}); COMP_CWORD={}; _ftrisk ftrisk '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1
        );
        said("bash", &["--noprofile", "--norc"], &script, &home)
    };
    assert_eq!(complete(&["ftrisk", "ch"]), "check\n");
    assert_eq!(complete(&["ftrisk", "check", "--format", "s"]), "sarif\n");
    let bound = std::fs::read_to_string(home.path().join("bound")).unwrap();
    assert!(bound.contains("-F _ftrisk ftrisk"), "{bound}");
}

#[test]
fn zsh_completes() {
    if !has_program("zsh", "to complete in") {
        return;
    }
    let home = installed("zsh", "zsh");
    home.write(".zshrc", shown_as(PAGE, ".zshrc").as_bytes());
    // The function is bound to the command, and it can be read.
    let script = "source .zshrc; print -- $_comps[ftrisk]; autoload +X -Uz _ftrisk; functions _ftrisk";
    let found = said("zsh", &["-f"], script, &home);
    assert!(found.starts_with("_ftrisk\n") && found.contains("sarif"), "{found}");
}

#[test]
fn fish_completes() {
    if !has_program("fish", "to complete in") {
        return;
    }
    let home = installed("fish", "fish");
    let found = said("fish", &[], "complete -C 'ftrisk ch'", &home);
    assert!(found.starts_with("check\tJudge run files"), "{found}");
    let found = said("fish", &[], "complete -C 'ftrisk check --format s'", &home);
    assert!(found.starts_with("sarif\t"), "{found}");
}

fn pages() -> Folder {
    let ran = Case::new()
        .args(["man", "--dir", "a/man1"])
        .run()
        .code(0)
        .stdout_is("")
        .stderr_is("");
    ran.folder
}

#[test]
fn every_command_has_a_page_and_it_is_the_one_that_is_printed() {
    let folder = pages();
    let names = below(folder.path(), "a/man1", "");
    assert_eq!(names.len(), if cfg!(feature = "train") { 16 } else { 12 }, "{names:?}");
    for name in &names {
        let title = name
            .strip_prefix("a/man1/")
            .and_then(|name| name.strip_suffix(".1"))
            .unwrap();
        let written = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let words = title.split('-').skip(1);
        let ran = Case::new().args(["man"]).args(words).run().code(0);
        assert_eq!(ran.stdout, written, "{name}");
        let heading = format!(
            ".TH {} 1 \" \" \"ftrisk {}\" ftrisk\n",
            title.to_uppercase(),
            env!("CARGO_PKG_VERSION")
        );
        assert!(written.contains(&heading), "{written}");
        // `exec` ends with the code of what it launched.
        let first = if title == "ftrisk-exec" { "the command" } else { "0 " };
        let status = format!("\n.SH \"EXIT STATUS\"\n{first}");
        assert!(written.contains(&status), "{written}");
        assert!(written.contains("3 ftrisk "), "{written}");
        assert!(!written.contains("Exit codes"), "{written}");
        // Every page but the first leads to it, and it leads to the commands.
        assert_eq!(written.contains("\nftrisk(1)\n"), title != "ftrisk", "{written}");
        if title != "ftrisk" && title.matches('-').count() == 1 {
            let first = std::fs::read_to_string(folder.path().join("a/man1/ftrisk.1")).unwrap();
            assert!(
                first.contains(&format!("\n{}(1)\n", title.replace('-', "\\-"))),
                "{first}"
            );
        }
    }
    let page = Case::new().args(["man", "facts"]).run().code(0).stdout;
    insta::assert_snapshot!("man_facts", page.replace(env!("CARGO_PKG_VERSION"), "[version]"));
}

#[test]
fn a_command_that_is_none_is_named() {
    for (words, complaint) in [
        (&["chekc"][..], "ftrisk: `chekc` is no command of `ftrisk`: say check, "),
        (
            &["policy", "x"],
            "ftrisk: `x` is no command of `ftrisk policy`: say list or show\n",
        ),
        (
            &["policy", "show", "x"],
            "ftrisk: `x` is no command of `ftrisk policy show`: it has none\n",
        ),
        (&["check", "--dir", "x"], "cannot be used with"),
    ] {
        let ran = Case::new().args(["man"]).args(words.iter().copied()).run().code(2);
        ran.stdout_is("").stderr_has(complaint);
    }
    let ran = Case::new()
        .file("full", "")
        .args(["man", "--dir", "full"])
        .run()
        .code(3);
    ran.stderr_has("cannot write full/ftrisk.1: ");
}

#[test]
fn programs_that_show_manual_pages_take_them_without_a_warning() {
    let folder = pages();
    let names = below(folder.path(), "a/man1", "");
    if has_program("mandoc", "to read manual pages") {
        for name in &names {
            // Warnings of mandoc are about a date that is not there and about empty lines.
            let args = ["-Tlint", "-W", "error", name];
            let output = Command::new("mandoc")
                .args(args)
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
    // A `man` that is there without a formatter shows nothing.
    if has_program("man", "to show manual pages") && has_program("groff", "to set manual pages") {
        let home = installed("sh", "man");
        said("sh", &[], "mkdir -p .local/bin", &home);
        // The two ways of the page to be found.
        let ways = ["PATH=\"$HOME/.local/bin:$PATH\"".to_owned(), shown_as(PAGE, ".profile")];
        for name in &names {
            let name = name
                .strip_prefix("a/man1/")
                .and_then(|name| name.strip_suffix(".1"))
                .unwrap();
            for way in &ways {
                let shown = said("sh", &[], &format!("{way}\nman --warnings {name}"), &home);
                assert!(shown.contains("EXIT STATUS"), "{name}: {shown}");
            }
        }
    }
}
