//! What one judgement costs inside a process, and what comes before it: `cargo bench --locked --bench speed`.
//!
//! The policy and the run files are those of `rules/`, twenty limits and thirty lines, and a shipped policy with the run
//! files of the examples.

#![expect(clippy::expect_used, reason = "a bench stops where something is missing")]

mod harness;

use std::hint::black_box;

use ftrisk::adapt::{self, Launch};
use ftrisk::source::Sources;
use ftrisk::{builtin, check, sema};

use harness::{micros, row, title};

const ROUNDS: usize = 301;

fn main() {
    let twenty = read("tests/bench/rules/limits.riskpolicy");
    let shipped = builtin::policy("cautious-sft").expect("shipped").text;
    stages("twenty limits, inside", &twenty, "tests/bench/rules/inside.yaml");
    stages("twenty limits, four over", &twenty, "tests/bench/rules/over.yaml");
    stages("cautious-sft, open", shipped, "examples/llama-factory/inside.yaml");
    stages("cautious-sft, over", shipped, "examples/llama-factory/over.yaml");
    stages(
        "cautious-sft, nearly empty",
        shipped,
        "tests/bench/rules/adapter_config.json",
    );

    title("a generated policy (µs a line)");
    for lines in [1_000, 10_000] {
        let text = generated(lines);
        let times = micros(9, || {
            let mut sources = Sources::default();
            let id = sources.add("g", text.as_str());
            black_box(sema::compile(id, &sources));
        });
        let name = format!("{lines} lines, {} kB", text.len() / 1000);
        row(&name, &times.divided(lines as f64), "");
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).expect("a file of the repository")
}

/// The stages of a check one by one.
fn stages(name: &str, policy: &str, run: &str) {
    title(&format!("{name} (µs)"));
    let text = read(run);
    let compile = micros(ROUNDS, || {
        let mut sources = Sources::default();
        let id = sources.add("p", policy);
        black_box(sema::compile(id, &sources));
    });
    row("parse and compile the policy", &compile, "");
    let launch = Launch {
        world_size: Some(1),
        ..Launch::default()
    };
    let reading = micros(ROUNDS, || {
        let mut sources = Sources::default();
        let id = sources.add("r", text.as_str());
        black_box(adapt::read(id, &sources, launch));
    });
    row("read the run file", &reading, "");
    let mut sources = Sources::default();
    let id = sources.add("p", policy);
    let compiled = sema::compile(id, &sources).policy.expect("it compiles");
    let id = sources.add("r", text.as_str());
    for (name, launch) in [
        ("judge it, world size known", launch),
        ("judge it, world size open", Launch::default()),
    ] {
        let facts = adapt::read(id, &sources, launch).facts.expect("a run file");
        let judge = micros(ROUNDS, || {
            black_box(check::judge(&compiled, &facts, &sources, false));
        });
        row(name, &judge, "");
    }
}

/// A policy of that many lines that all say something.
fn generated(lines: usize) -> String {
    let mut text = "policy \"generated\"\n".to_owned();
    for i in 1..lines {
        let line = match i % 3 {
            0 => format!("for model \"family-{i}/*\" {{ max lora.rank {} }}\n", i % 60 + 1),
            1 => format!(
                "for model \"family-{i}/*\" {{ range batch.effective 4 to {} }}\n",
                i % 200 + 8
            ),
            _ => format!(
                "for model \"family-{i}/*\", stage sft {{ max learning_rate {}e-5 }}\n",
                i % 90 + 1
            ),
        };
        text.push_str(&line);
    }
    text
}
