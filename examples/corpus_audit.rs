//! What the shipped policies say about the run files of published projects.
//!
//! `FTRISK_CORPUS=FOLDER cargo run --example corpus_audit` judges every file below `FOLDER/configs`, one folder a project,
//! writes the counts to `docs/figures/corpus-audit.jsonl`, makes the tables and the picture of
//! `docs/explanation/corpus-audit.md` from it, and says which sentences of the page no longer hold. `draw` makes them from the counts that are there. The diagnostics of the
//! page's stories are what `ftrisk` prints about the run files on the page; `FTRISK_BLESS=1 cargo test` writes them.

#[path = "corpus_audit/mod.rs"]
mod audit;

use std::path::PathBuf;
use std::{env, fs};

use audit::{LOG, Outcome, PAGE, PICTURE, draw, judge, page, record};

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            let corpus = env::var_os("FTRISK_CORPUS").ok_or("FTRISK_CORPUS names the folder of the run files")?;
            // Relative to where the command was called, before it moves.
            let corpus = fs::canonicalize(PathBuf::from(corpus))?;
            env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
            fs::write(LOG, record::text(&judge::audit(&corpus)?)?)?;
            draw_all()
        }
        ["draw"] => {
            env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
            draw_all()
        }
        _ => Err("usage: corpus_audit [draw]".into()),
    }
}

fn draw_all() -> Outcome<()> {
    let records = record::read(&fs::read_to_string(LOG)?)?;
    fs::write(PAGE, page::page(&fs::read_to_string(PAGE)?, &records)?)?;
    fs::write(PICTURE, draw::picture(&records, &draw::bounds()?)?)?;
    let text = fs::read_to_string(PAGE)?;
    let gone: Vec<String> = page::phrases(&records)?
        .into_iter()
        .filter(|phrase| !text.contains(phrase))
        .collect();
    if gone.is_empty() {
        Ok(())
    } else {
        Err(format!("the page no longer says:\n{}", gone.join("\n")).into())
    }
}
