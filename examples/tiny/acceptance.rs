//! Measures on the tiny model what budgets for fine-tuning rest on: `tiny_acceptance [draw] [ONLY]`.
//!
//! Every cell is measured once and kept as a line of `docs/figures/acceptance.jsonl`; what is there is not measured again,
//! and a cell that is broken off is measured anew. `draw` measures nothing; ONLY is the beginning of the cells' names. In
//! the end it makes the tables of `docs/explanation/measured.md` again and prints the longer ones behind them, with the
//! sentences that the page has figures in. It takes about half an hour on one core.

#[path = "acceptance/mod.rs"]
mod acceptance;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::time::Instant;
use std::{env, io};

use acceptance::bench::Outcome;
use acceptance::{cells, page, rules};

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
    fs::write(page::PATH, page::page(&fs::read_to_string(page::PATH)?, &kept)?)?;
    let said = page::phrases(&kept).ok_or("the page says what is not measured yet")?;
    writeln!(
        stdout(),
        "{}\nThe page says:\n\n{}",
        rules::tables(&kept),
        said.join("\n")
    )?;
    Ok(())
}

/// The cells so far.
fn kept() -> io::Result<rules::Cells> {
    match fs::read_to_string(KEPT) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(rules::Cells::new()),
        text => Ok(rules::read(&text?)),
    }
}
