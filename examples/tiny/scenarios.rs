//! Six runs on the tiny base, each ungoverned and governed under `policies/cautious-sft.riskpolicy`.
//!
//! `cargo run --release --example tiny_scenarios` runs what `docs/figures/scenarios.jsonl` does not have yet, line by line,
//! and draws the table and the picture from it. `run NAME SEED` runs one scenario with another seed and prints its lines;
//! `draw` only draws.

#[path = "scenarios/mod.rs"]
mod scenarios;

use std::io::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

use scenarios::record::{self, Record};
use scenarios::scenario::SCENARIOS;
use scenarios::{Outcome, POLICY, SEED, draw, play};

/// The seeds on which the sound run must not be stopped.
const SOUND_SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

fn main() -> Outcome<()> {
    // Paths in run files are relative to the repository.
    env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            run_missing()?;
            draw_all()
        }
        ["draw"] => draw_all(),
        ["run", name, seed] => {
            let scenario = SCENARIOS
                .iter()
                .find(|scenario| scenario.name == *name)
                .ok_or_else(|| format!("no scenario `{name}`"))?;
            for governed in [false, true] {
                let record = play::play(scenario, seed.parse()?, governed)?;
                writeln!(io::stdout(), "{}", serde_json::to_string(&record)?)?;
            }
            Ok(())
        }
        _ => Err("usage: tiny_scenarios [draw | run NAME SEED]".into()),
    }
}

fn log() -> PathBuf {
    PathBuf::from("docs/figures/scenarios.jsonl")
}

fn records() -> Outcome<Vec<Record>> {
    match fs::read_to_string(log()) {
        Ok(text) => record::read(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Every cell of the table, and the sound run under guard once more on each of twenty seeds.
fn run_missing() -> Outcome<()> {
    let known = records()?;
    let table = SCENARIOS
        .iter()
        .flat_map(|scenario| [false, true].map(|governed| (scenario, SEED, governed)));
    let seeds = SCENARIOS
        .iter()
        .take(1)
        .flat_map(|scenario| SOUND_SEEDS.map(move |seed| (scenario, seed, true)));
    for (scenario, seed, governed) in table.chain(seeds) {
        let is_known = |record: &Record| {
            (record.scenario == scenario.name, record.seed, record.governed) == (true, seed, governed)
        };
        if known.iter().any(is_known) {
            continue;
        }
        let guard = if governed { "governed" } else { "ungoverned" };
        writeln!(io::stderr(), "{}, seed {seed}, {guard}", scenario.name)?;
        let record = play::play(scenario, seed, governed)?;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(log())?;
        writeln!(file, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}

fn draw_all() -> Outcome<()> {
    let records = records()?;
    let page = "docs/explanation/scenarios.md";
    fs::write(page, draw::page(&fs::read_to_string(page)?, &records, SEED)?)?;
    fs::write(
        "docs/figures/scenarios.svg",
        draw::picture(&records, SEED, &draw::bounds(&fs::read_to_string(POLICY)?)?)?,
    )?;
    Ok(())
}
