//! Measures on the tiny model what budgets for fine-tuning rest on: `tiny_acceptance [draw] [ONLY]`.
//!
//! Every cell is measured once and kept as a line of `docs/figures/acceptance.jsonl`; what is there is not measured again,
//! and a cell that is broken off is measured anew. `draw` measures nothing; ONLY is the beginning of the cells' names. In
//! the end, a Markdown table says what holds. It takes about a quarter of an hour on one core.

#[path = "acceptance/bench.rs"]
mod bench;
#[path = "acceptance/cells.rs"]
mod cells;
#[path = "acceptance/guarding.rs"]
mod guarding;
#[path = "acceptance/levers.rs"]
mod levers;
#[path = "acceptance/moments.rs"]
mod moments;
#[path = "acceptance/pace.rs"]
mod pace;
#[path = "acceptance/poison.rs"]
mod poison;
#[path = "acceptance/rules.rs"]
mod rules;
#[path = "acceptance/runs.rs"]
mod runs;
#[path = "acceptance/sums.rs"]
mod sums;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::time::Instant;
use std::{env, io};

use bench::Outcome;
use serde_json::Value;

const KEPT: &str = "docs/figures/acceptance.jsonl";

fn main() -> Outcome<()> {
    env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    let mut words = env::args().skip(1).peekable();
    let draw = words.next_if(|word| word == "draw").is_some();
    let only = words.next().unwrap_or_default();
    let mut kept = kept()?;
    let cells = cells::all();
    for (index, cell) in cells.iter().enumerate() {
        let name = cell.to_string();
        if draw || kept.contains_key(&name) || !name.starts_with(&only) {
            continue;
        }
        let began = Instant::now();
        let mut found = cell.measure()?;
        if let Some(found) = found.as_object_mut() {
            found.insert("cell".to_owned(), name.clone().into());
        }
        let mut file = OpenOptions::new().create(true).append(true).open(KEPT)?;
        file.write_all(format!("{found}\n").as_bytes())?;
        let seconds = began.elapsed().as_secs_f64();
        writeln!(stderr(), "{} of {}: {name}, {seconds:.1} s", index + 1, cells.len())?;
        kept.insert(name, found);
    }
    stdout().write_all(rules::page(&kept).as_bytes())?;
    Ok(())
}

/// The cells so far by name. A line that broke off counts as none.
fn kept() -> io::Result<BTreeMap<String, Value>> {
    let text = match fs::read_to_string(KEPT) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let cell = |line: &str| {
        let found: Value = serde_json::from_str(line).ok()?;
        Some((found.get("cell")?.as_str()?.to_owned(), found))
    };
    Ok(text.lines().filter_map(cell).collect())
}
