//! What the benches share: rounds in turn, figures that say how far they spread, processes with their peak memory.
//!
//! Times differ between machines and minutes; ratios taken in one run differ less. Whatever is compared is timed in turn,
//! A B A B, so that a machine that slows down slows all of it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and stops where something is missing"
)]
#![allow(dead_code, reason = "each bench takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The `ftrisk` that is measured: the one that was built beside the bench, or the one that `FTRISK_BIN` names.
pub fn ftrisk() -> PathBuf {
    std::env::var_os("FTRISK_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ftrisk").into(), PathBuf::from)
}

/// A folder that is removed again.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ftrisk-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder of its own");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Rust program that does nothing: what no process can be faster than.
pub fn empty_program(folder: &Path) -> PathBuf {
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
    empty
}

/// A copy of a program, as installing makes one. How a linker writes a file decides how the system caches it, and with that
/// a fifth of the time that a short process takes.
pub fn installed(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(program.file_name().expect("a program has a name"));
    std::fs::copy(program, &copy).expect("a copy of the program");
    copy
}

/// A command with nothing on its streams.
pub fn silent(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Milliseconds that a process takes from its start to its end.
pub fn run(mut command: Command) -> f64 {
    let start = Instant::now();
    let status = command.status().expect("it starts");
    let taken = start.elapsed().as_secs_f64() * 1e3;
    std::hint::black_box(status);
    taken
}

/// Times of one thing.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn add(&mut self, time: f64) {
        self.0.push(time);
    }

    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        Times(values.into_iter().collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    pub fn least(&self) -> f64 {
        self.sorted()[0]
    }

    pub fn median(&self) -> f64 {
        self.sorted()[self.0.len() / 2]
    }

    pub fn most(&self) -> f64 {
        self.sorted()[self.0.len() - 1]
    }

    pub fn divided(&self, by: f64) -> Times {
        Times::of(self.0.iter().map(|time| time / by))
    }

    /// The median of the ratios of each round: what was timed together is compared.
    pub fn over(&self, other: &Times) -> f64 {
        Times::of(self.0.iter().zip(&other.0).map(|(a, b)| a / b)).median()
    }
}

/// Microseconds of a call, as the times of `rounds` rounds of so many calls that a round takes a millisecond.
pub fn micros(rounds: usize, mut f: impl FnMut()) -> Times {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed().as_micros() < 1_000 {
        f();
        calls += 1;
    }
    Times::of((0..rounds).map(|_| {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    }))
}

/// A row of a table: what it is, then minimum, median and maximum.
pub fn row(name: &str, times: &Times, more: &str) {
    let [least, median, most] = [times.least(), times.median(), times.most()];
    println!("  {name:44} {least:9.2} {median:9.2} {most:9.2}  {more}");
}

/// The title of such a table.
pub fn title(name: &str) {
    println!("{name:46} {:>9} {:>9} {:>9}", "minimum", "median", "maximum");
}
