//! `ftrisk check` of one run file as a whole process, beside an empty Rust program and two general policy engines that
//! judge the same file by equivalent rules: `cargo bench --locked --bench process`.
//!
//! The rules are in `rules/`: twenty limits, each on one key of a file of thirty lines. Before anything is timed, every
//! tool has to accept the file that is inside and reject the one that is over. A tool that is not on `PATH` is skipped and
//! named. They are installed with
//!
//! ```text
//! cargo install regorus --example regorus
//! cargo install cfn-guard
//! ```

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and stops where something is missing"
)]

mod harness;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{Folder, Times};

/// Rounds that count; some before them warm the caches. On a machine that does other things, the minima tell more than the
/// medians.
const ROUNDS: usize = 101;
const WARMUP: usize = 10;

const RULES: &str = "tests/bench/rules";

/// A program and how it is asked about a run file.
struct Tool {
    name: &'static str,
    program: PathBuf,
    arguments: fn(run: &str) -> Vec<String>,
    accepts: fn(&Output) -> bool,
}

fn main() {
    let folder = Folder::new("process");
    let mut tools = vec![
        Tool {
            name: "an empty Rust program",
            program: harness::empty_program(folder.path()),
            arguments: |_| Vec::new(),
            accepts: |_| true,
        },
        Tool {
            name: "ftrisk check",
            program: harness::ftrisk(),
            arguments: |run| words("check tests/bench/rules/limits.riskpolicy", run),
            accepts: |output| output.status.code() == Some(0),
        },
    ];
    tools.extend(engine(
        "regorus",
        |run| words("eval -d tests/bench/rules/limits.rego data.bench.deny -i", run),
        |output| String::from_utf8_lossy(&output.stdout).contains("\"value\": []"),
    ));
    tools.extend(engine(
        "cfn-guard",
        |run| words("validate -r tests/bench/rules/limits.guard -d", run),
        |output| output.status.success(),
    ));
    let (inside, over) = (format!("{RULES}/inside.yaml"), format!("{RULES}/over.yaml"));
    let installed = Folder::new("installed");
    for tool in &mut tools {
        tool.program = harness::installed(&tool.program, installed.path());
    }
    for tool in &tools[1..] {
        assert!(accepts(tool, &inside), "{} rejects {inside}", tool.name);
        assert!(!accepts(tool, &over), "{} accepts {over}", tool.name);
    }
    let lines = std::fs::read_to_string(&inside).expect("the run file").lines().count();
    println!("a run file of {lines} lines under twenty limits, whole processes in turn, {ROUNDS} rounds, ms");
    compare(&tools, "inside", &inside);
    compare(&tools, "four limits over", &over);
}

fn words(arguments: &str, run: &str) -> Vec<String> {
    arguments.split(' ').chain([run]).map(str::to_owned).collect()
}

/// Another engine, where it is installed.
fn engine(name: &'static str, arguments: fn(&str) -> Vec<String>, accepts: fn(&Output) -> bool) -> Option<Tool> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    if program.is_none() {
        println!("SKIPPED: {name} is not on PATH (how to install it: tests/bench/process.rs)");
    }
    Some(Tool {
        name,
        program: program?,
        arguments,
        accepts,
    })
}

fn command(tool: &Tool, run: &str) -> Command {
    let arguments = (tool.arguments)(run);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    harness::silent(Path::new(&tool.program), &arguments)
}

fn accepts(tool: &Tool, run: &str) -> bool {
    let output = Command::new(&tool.program).args((tool.arguments)(run)).output();
    (tool.accepts)(&output.expect("it starts"))
}

fn compare(tools: &[Tool], name: &str, run: &str) {
    let mut times = vec![Times::default(); tools.len()];
    for round in 0..WARMUP + ROUNDS {
        for (tool, times) in tools.iter().zip(&mut times) {
            let taken = harness::run(command(tool, run));
            if round >= WARMUP {
                times.add(taken);
            }
        }
    }
    harness::title(name);
    for (tool, of) in tools.iter().zip(&times) {
        let ratio = format!(
            "{:5.2} x empty ({:.2} by the minima), ftrisk is {:.2} of it ({:.2})",
            of.over(&times[0]),
            of.least() / times[0].least(),
            times[1].over(of),
            times[1].least() / of.least(),
        );
        harness::row(tool.name, of, &ratio);
    }
}
