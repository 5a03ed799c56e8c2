//! One planted violation of each kind: every rule of the house must be able to fail.

use super::{MARKS, MOST_LINES, violations};

/// A small tree without a fault; each test breaks one thing in it.
fn clean() -> Vec<(&'static str, String)> {
    [
        ("src/main.rs", "//! The binary.\nfn main() { ftrisk::cmd::run(std::env::args_os()); }\n"),
        ("src/lib.rs", "//! The library.\npub mod check;\npub mod cmd;\n"),
        ("src/source.rs", "//! Texts.\npub struct Span(usize);\nimpl Span { fn new() -> Self { Self(0) } }\n"),
        (
            "src/check/mod.rs",
            "//! Judges.\nmod number;\nmod solve;\npub use solve::decide;\nuse crate::ir::Policy;\nstruct Case;\nfn go() { number::of(); }\n",
        ),
        ("src/check/number.rs", "//! Numbers.\nuse super::{Case, decide};\npub(super) fn of() { decide(); }\n"),
        ("src/check/solve.rs", "//! Conditions.\nuse crate::facts::{Facts, Input};\npub fn decide() {}\n"),
        ("src/syntax/rules.rs", "//! Rules.\nuse pest_derive::Parser;\n#[derive(Parser)]\nstruct P;\n"),
        ("src/cmd/terminal.rs", "//! Prints.\nuse std::io::{self, Write as _};\nfn f() { println!(\"x\"); }\n"),
        ("tests/it/one.rs", "//! Tests.\nuse std::collections::HashMap;\n#[test]\nfn t() { println!(\"x\"); }\n"),
    ]
    .map(|(path, text)| (path, text.to_owned()))
    .into()
}

/// What is found when a text is added to a file of the clean tree, or a file to the tree.
fn planted(path: &'static str, text: &str) -> Vec<String> {
    let mut tree = clean();
    match tree.iter_mut().find(|(known, _)| *known == path) {
        Some((_, known)) => known.push_str(text),
        None => tree.push((path, text.to_owned())),
    }
    violations(tree.iter().map(|(path, text)| (*path, text.as_str())))
}

#[track_caller]
fn finds(path: &'static str, text: &str, expected: &[&str]) {
    assert_eq!(planted(path, text), expected);
}

#[test]
fn a_clean_tree_has_nothing_to_report() {
    finds("src/source.rs", "", &[]);
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let upward = |line| {
        [format!(
            "src/check/solve.rs:{line}: check → cmd is not allowed (`crate::cmd::run`)"
        )]
    };
    for text in [
        "use crate::cmd::run;\n",
        "pub(crate) use crate::cmd::run as go;\n",
        "use crate::{facts::Facts as F, cmd::{run}};\n",
        "fn f() { crate::cmd::run(); }\n",
        "fn f(x: Option<crate::cmd::run>) {}\n",
        "fn f(x: &'static crate::cmd::run) -> char { 'x' }\n",
        "#[derive(crate::cmd::run)]\nstruct S;\n",
        "#[cfg(feature = \"cli\")]\nuse crate::cmd::run;\n",
        "#[cfg(not(test))]\nuse crate::cmd::run;\n",
        "mod deep { fn f() { crate::cmd::run() } }\n",
        "/* a comment */ use /* another */ crate::cmd::run; // and one\n",
        "const A: &str = r#\"\"\"#; use crate::cmd::run; const B: &str = \"\\\"\";\n",
    ] {
        let line = 4 + text.lines().position(|line| line.contains("cmd")).unwrap();
        assert_eq!(planted("src/check/solve.rs", text), upward(line), "{text}");
    }
    finds(
        "src/check/solve.rs",
        "use super::super::cmd::run;\nmod deep { use super::super::super::cmd; }\n",
        &[
            "src/check/solve.rs:4: check → cmd is not allowed (`super::super::cmd::run`)",
            "src/check/solve.rs:5: check → cmd is not allowed (`super::super::super::cmd`)",
        ],
    );
    finds(
        "src/main.rs",
        "use ftrisk::check::go;\n",
        &["src/main.rs:3: main → check is not allowed (`ftrisk::check::go`)"],
    );
    finds(
        "src/lib.rs",
        "pub use check::go;\n",
        &["src/lib.rs:4: lib → check is not allowed (`check::go`)"],
    );
}

#[test]
fn an_import_that_hides_its_room_is_found() {
    finds(
        "src/source.rs",
        "use crate::*;\n",
        &["src/source.rs:4: `crate::*` hides what it imports"],
    );
    finds(
        "src/source.rs",
        "use crate as c;\n",
        &["src/source.rs:4: `crate` is the whole crate, not a room"],
    );
    finds(
        "src/check/number.rs",
        "use super::solve::*;\n",
        &["src/check/number.rs:4: `super::solve::*` hides what it imports"],
    );
    finds("src/check/number.rs", "use crate::ir::Level::*;\n", &[]);
    finds(
        "src/attic/mod.rs",
        "//! Old things.\n",
        &["src/attic/mod.rs: `attic` is not in the table of rooms"],
    );
    finds(
        "src/check/solve.rs",
        "use crate::attic::x;\n",
        &["src/check/solve.rs:4: check → attic is not allowed (`crate::attic::x`)"],
    );
}

#[test]
fn files_in_a_circle_are_found_and_the_way_round_is_shown() {
    finds(
        "src/check/solve.rs",
        "use super::number::of;\n",
        &["files in a circle: src/check/number.rs:2 → src/check/solve.rs:4 → src/check/number.rs"],
    );
    // By a path in a body, through a third file, and through what the door passes on.
    let mut tree = clean();
    tree.push((
        "src/check/words.rs",
        "//! Words.\nfn f() { crate::check::number::of(); }\npub fn g() {}\n".to_owned(),
    ));
    tree[5].1.push_str("fn f() { super::words::g() }\n");
    let found = violations(tree.iter().map(|(path, text)| (*path, text.as_str())));
    assert_eq!(
        found,
        [
            "files in a circle: src/check/number.rs:2 → src/check/solve.rs:4 → src/check/words.rs:2 → src/check/number.rs"
        ]
    );
    // Two ways round at once: repairing one must not be what shows the other.
    let mut tree = clean();
    tree[4]
        .1
        .push_str("use super::words::g;\nuse super::solve::decide as d;\n");
    tree[5].1.push_str("use super::number::of;\n");
    tree.push(("src/check/words.rs", "//! Words.\nuse super::number::of;\n".to_owned()));
    assert_eq!(
        violations(tree.iter().map(|(path, text)| (*path, text.as_str()))).len(),
        2
    );
    // A door may use what is below it, and what is below it the words of the door.
    finds("src/check/mod.rs", "use number::of;\n", &[]);
}

#[test]
fn a_crate_behind_another_door_is_found() {
    let only = "may be named only in diag/render.rs";
    finds(
        "src/check/solve.rs",
        "use miette::Report;\n",
        &[&format!("src/check/solve.rs:4: `miette::Report` {only}")],
    );
    finds(
        "src/check/solve.rs",
        "fn f() { ::miette::set_hook(); }\n",
        &[&format!("src/check/solve.rs:4: `miette::set_hook` {only}")],
    );
    finds(
        "src/check/solve.rs",
        "use miette as m;\n",
        &[&format!("src/check/solve.rs:4: `miette` {only}")],
    );
    finds(
        "src/check/solve.rs",
        "extern crate miette;\n",
        &[&format!("src/check/solve.rs:4: `miette` {only}")],
    );
    finds(
        "src/check/solve.rs",
        "#[derive(miette::Diagnostic)]\nstruct S;\n",
        &[&format!("src/check/solve.rs:4: `miette::Diagnostic` {only}")],
    );
    finds(
        "src/syntax/build.rs",
        "//! Builds.\nuse pest::Parser;\nuse pest_derive::Parser as P;\n",
        &["src/syntax/build.rs:3: `pest_derive::Parser` may be named only in syntax/rules.rs"],
    );
}

#[test]
fn reaching_out_of_the_process_is_found() {
    let faces = "may be named only in cmd/, main.rs";
    // A file of a room that reads may open files, and the rest of std stays shut.
    let readers = "may be named only in cmd/, main.rs, train/folder.rs, train/data/files.rs";
    for (text, what) in [("use std::*;\n", "std::*"), ("use std as s;\n", "std")] {
        assert_eq!(
            planted("src/check/solve.rs", text),
            [format!("src/check/solve.rs:4: `{what}` {readers}")],
            "{text}"
        );
    }
    finds(
        "src/check/solve.rs",
        "//! Solves.\nuse std::fs;\nuse std::time::Instant;\n",
        &[
            "src/check/solve.rs:5: `std::fs` may be named only in cmd/, main.rs, train/folder.rs, train/data/files.rs",
            "src/check/solve.rs:6: `Instant` may be named only in cmd/progress.rs, cmd/governed.rs",
            "src/check/solve.rs:6: `std::time::Instant` may be named only in cmd/progress.rs, cmd/governed.rs, cmd/waivers.rs",
        ],
    );
    for (text, what) in [
        ("use std::{fmt, io::Read};\n", "std::io::Read"),
        ("fn f() { std::env::var(\"X\"); }\n", "std::env::var"),
        ("fn f() -> ! { ::std::process::exit(1) }\n", "std::process::exit"),
        ("fn f() { println!(\"x\"); }\n", "println!"),
        ("fn f() { eprint! { \"x\" } }\n", "eprint!"),
    ] {
        assert_eq!(
            planted("src/check/solve.rs", text),
            [format!("src/check/solve.rs:4: `{what}` {faces}")],
            "{text}"
        );
    }
    let clocks = "only in cmd/progress.rs, cmd/governed.rs";
    for (text, what, doors) in [
        (
            "use core::time::Duration;\n",
            "core::time::Duration",
            "only in cmd/progress.rs, cmd/governed.rs, cmd/waivers.rs",
        ),
        ("use std::collections::HashMap;\n", "HashMap", "nowhere"),
        ("fn f(x: std::collections::HashSet<u8>) {}\n", "HashSet", "nowhere"),
        ("fn f() { Instant::now(); }\n", "Instant", clocks),
    ] {
        let found = [format!("src/cmd/terminal.rs:4: `{what}` may be named {doors}")];
        assert_eq!(planted("src/cmd/terminal.rs", text), found, "{text}");
    }
}

#[test]
fn unfinished_and_switched_off_work_is_found() {
    finds(
        "src/cmd/terminal.rs",
        "fn f() { todo!() }\n",
        &["src/cmd/terminal.rs:4: `todo!` may be named nowhere"],
    );
    finds(
        "tests/it/one.rs",
        "fn f() { dbg!(1); }\n",
        &["tests/it/one.rs:5: `dbg!` is left over"],
    );
    finds(
        "tests/it/one.rs",
        "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n",
        &["tests/it/one.rs:6: a test that is switched off tests nothing"],
    );
    for mark in MARKS {
        let expected = format!("src/source.rs:4: {mark}: finish it, or write down what is missing");
        finds("src/source.rs", &format!("// {mark}: more\n"), &[&expected]);
        finds(
            "src/source.rs",
            &format!("// {mark}S and {mark}_x are other words\n"),
            &[],
        );
    }
}

#[test]
fn a_file_without_its_purpose_is_found() {
    let expected = "does not begin with a `//!` that says what the file is for";
    finds(
        "src/ir.rs",
        "pub struct Policy;\n",
        &[&format!("src/ir.rs:1: {expected}")],
    );
    finds(
        "tests/it/two.rs",
        "// A comment.\n//! Late.\n",
        &[&format!("tests/it/two.rs:1: {expected}")],
    );
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let lines = |count: usize| "fn f() {}\n".repeat(count);
    let whole = format!("//! Long.\n{}", lines(MOST_LINES));
    finds(
        "src/ir.rs",
        &whole,
        &["src/ir.rs: 701 lines outside tests, at most 700"],
    );
    let tests = format!(
        "//! Long.\n{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        lines(MOST_LINES - 1),
        lines(300)
    );
    finds("src/ir.rs", &tests, &[]);
    finds("tests/it/two.rs", &whole, &[]);
}

#[test]
fn a_file_of_tests_is_a_test_only_when_it_is_declared_as_one() {
    let mut tree = clean();
    tree.push((
        "src/check/tests.rs",
        "//! Tests.\nuse crate::cmd::run;\nuse super::number::of;\n".to_owned(),
    ));
    tree[3].1.push_str("mod tests;\n");
    let found = violations(tree.iter().map(|(path, text)| (*path, text.as_str())));
    assert_eq!(
        found,
        ["src/check/tests.rs:2: check → cmd is not allowed (`crate::cmd::run`)"]
    );
    tree[3].1 = tree[3].1.replace("mod tests;", "#[cfg(test)]\nmod tests;");
    tree.push((
        "src/check/tests/deep.rs",
        "//! Tests.\nuse crate::cmd::run;\n".to_owned(),
    ));
    assert_eq!(
        violations(tree.iter().map(|(path, text)| (*path, text.as_str()))),
        Vec::<String>::new()
    );
}

#[test]
fn a_second_lift_of_the_ban_on_unsafe_code_is_found() {
    let lift = "#![expect(unsafe_code, reason = \"a system call\")]\n";
    finds("src/cmd/terminal.rs", lift, &[]);
    let mut tree = clean();
    tree[2].1.push_str(lift);
    tree[7].1.push_str(lift);
    let found = violations(tree.iter().map(|(path, text)| (*path, text.as_str())));
    assert_eq!(
        found,
        ["more than one file lifts the ban on unsafe code: src/source.rs:4, src/cmd/terminal.rs:4"]
    );
}

#[test]
fn what_is_only_mentioned_is_not_reported() {
    for text in [
        "// crate::cmd::run, println!(), use miette::Report;\n",
        "/* /* HashMap */ use std::fs; */\n",
        "/// [`crate::cmd`] prints with `println!`.\nfn f() {}\n",
        "const A: &str = \"crate::cmd::run; println!() \\\" todo!()\";\n",
        "const A: &str = r##\"use std::fs; \"# dbg!()\"##;\n",
        "const A: &[u8] = b\"std::fs::read\";\nconst B: char = '\"';\nconst C: char = '\\'';\nconst D: &str = \"std::fs\";\n",
        "#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::cmd::run;\n    fn f() { println!(\"{}\", std::fs::read()); }\n}\n",
        "#[cfg(test)]\nuse crate::cmd::run;\n#[cfg(all(test, unix))]\n#[inline]\nfn f(a: [u8; 2]) { todo!() }\nfn g() {}\n",
        // Names that only look alike.
        "fn f(print: bool) { if print != true { g(miette, time::of(print)) } }\n",
        "fn f() { self.println(); x.std::<u8>(); a::std::fs(); <T>::std::env(); }\n",
        "fn r#mod() {}\nfn f<'std>(x: &'std str) -> impl Sized + use<'std> { x }\n",
    ] {
        assert_eq!(planted("src/source.rs", text), Vec::<String>::new(), "{text}");
    }
}
