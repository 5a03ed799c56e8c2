//! Where the time goes, measured side by side in one run: `cargo bench --locked`.
//!
//! Times differ between machines and minutes; ratios taken in one run differ less. Whole processes are timed in turn,
//! A B A B, so that a machine that slows down slows both. `FTRISK_REGORUS` may name a command that judges an equivalent
//! Rego rule; it is timed beside them.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and stops where something is missing"
)]

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use ftrisk::source::Sources;
use ftrisk::{adapt, builtin, check, sema};

fn main() {
    let policy = builtin::policy("cautious-sft").expect("shipped").text;
    let run = std::fs::read_to_string("examples/llama-factory/over.yaml").expect("an example");

    println!("in one process, median of 2,000 (µs)");
    let compile = median(2_000, || {
        let mut sources = Sources::default();
        let id = sources.add("p", policy);
        black_box(sema::compile(id, &sources));
    });
    println!("  parse and compile cautious-sft         {compile:8.1}");
    let read = median(2_000, || {
        let mut sources = Sources::default();
        let id = sources.add("r", run.as_str());
        black_box(adapt::read(id, &sources, adapt::Launch::default()));
    });
    println!(
        "  read a run file of {} lines            {read:8.1}",
        run.lines().count()
    );
    let mut sources = Sources::default();
    let id = sources.add("p", policy);
    let compiled = sema::compile(id, &sources).policy.expect("shipped policies compile");
    let id = sources.add("r", run.as_str());
    let facts = adapt::read(id, &sources, adapt::Launch::default())
        .facts
        .expect("a run file");
    let judge = median(2_000, || {
        black_box(check::judge(&compiled, &facts, &sources, false));
    });
    println!("  judge it                               {judge:8.1}");

    println!("generated policies (µs a line; linear when it stays the same)");
    for lines in [1_000, 10_000] {
        let text = generated(lines);
        let time = median(9, || {
            let mut sources = Sources::default();
            let id = sources.add("g", text.as_str());
            black_box(sema::compile(id, &sources));
        });
        println!(
            "  {lines:6} lines, {:4} kB                  {:8.2}",
            text.len() / 1000,
            time / lines as f64
        );
    }

    processes();
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

/// `ftrisk check` of one file as a whole process, beside a Rust program that does nothing.
fn processes() {
    let folder = std::env::temp_dir().join(format!("ftrisk-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of its own");
    let source = folder.join("empty.rs");
    std::fs::write(&source, "fn main() {}\n").expect("a source file");
    let empty = folder.join("empty");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let built = Command::new(rustc)
        .args(["-O", "-C", "strip=symbols", "-o"])
        .arg(&empty)
        .arg(&source)
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "the empty program does not build"
    );

    let check = |run: &'static str| -> Box<dyn Fn() -> Command> {
        Box::new(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ftrisk"));
            command.args(["check", "builtin:cautious-sft", run]);
            command
        })
    };
    let mut commands: Vec<(String, Box<dyn Fn() -> Command>)> = vec![
        ("an empty Rust program".into(), Box::new(move || Command::new(&empty))),
        (
            "ftrisk check, a file that passes".into(),
            check("examples/llama-factory/inside.yaml"),
        ),
        (
            "ftrisk check, five limits over".into(),
            check("examples/llama-factory/over.yaml"),
        ),
    ];
    if let Ok(line) = std::env::var("FTRISK_REGORUS") {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let name = Path::new(&words[0])
            .file_name()
            .map_or(words[0].clone(), |n| n.to_string_lossy().into_owned());
        commands.push((
            name,
            Box::new(move || {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }),
        ));
    }
    let mut times = vec![Vec::new(); commands.len()];
    for round in 0..45 {
        for ((_, command), times) in commands.iter().zip(&mut times) {
            let start = Instant::now();
            let status = command()
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("it starts");
            black_box(status);
            // The first rounds warm the caches.
            if round >= 5 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    println!("whole processes, in turn, median of 40 (ms)");
    for ((name, _), times) in commands.iter().zip(&mut times) {
        println!("  {name:36}   {:8.2}", middle(times));
    }
    std::fs::remove_dir_all(&folder).expect("its own folder");
}

/// Median time of `f` in microseconds.
fn median(times: usize, mut f: impl FnMut()) -> f64 {
    f();
    let mut taken: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    middle(&mut taken)
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
