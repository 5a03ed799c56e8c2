//! What epochs on narrow data do to the breadth of the answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use ftrisk::guard::Guard;
use ftrisk::meter::tone::Lexicon;
use ftrisk::sema;
use ftrisk::source::Sources;
use ftrisk::train::live::Live;
use ftrisk::train::measure::Meters;
use ftrisk::train::state::State;
use serde_json::{Value, json};

use super::bench::{Outcome, setup};
use super::cells::{CONTRACTION_SEEDS, Cell};
use super::rules::{self, Cells, Row, yes};
use super::runs::{Run, short};
use super::sums::{deviation, mean};

const PROBE: &str = "examples/tiny/probes/prompts.jsonl";
const READINGS: &str = r#"policy "readings"
probe prompts "examples/tiny/probes/prompts.jsonl"
advise min diversity.entropy 50% of base
advise min diversity.distinct_2 50% of base
"#;

const EPOCHS: [u64; 5] = [1, 2, 4, 8, 16];
/// 20 rows, 4 at a time.
const UPDATES_AN_EPOCH: u64 = 5;
/// Student's t for 95 % with the degrees of freedom of three seeds.
const STUDENT: f64 = 4.303;

/// `base` and then `reads` after each number of epochs: entropy along the answers to the prompts, in nats a token, and
/// their distinct-2.
pub fn measure(seed: u64) -> Outcome<Value> {
    let updates = EPOCHS.iter().max().copied().unwrap_or(0) * UPDATES_AN_EPOCH;
    let run = Run {
        data: "narrow",
        seed,
        updates,
        ..Run::default()
    };
    let setup = setup(&run.keys())?;
    let mut sources = Sources::default();
    let text = sources.add("readings.riskpolicy", READINGS);
    let policy = sema::compile(text, &sources)
        .policy
        .ok_or("the readings have a mistake")?;
    let reader = Guard::arm(&policy, &[0, 1], false).map_err(|lines| format!("no meter for lines {lines:?}"))?;
    let declared = policy.probes.first().ok_or("no probe")?;
    let probe = setup.probe(&declared.name, PROBE, declared.kind, &fs::read(PROBE)?)?;
    let probes = BTreeMap::from([(0, probe)]);
    let (decode, lexicon) = (|tokens: &[u32]| setup.decode(tokens), Lexicon::new([]));
    let meters = Meters::new(&setup.engine, &probes, &decode, &lexicon, reader.needs())?;
    let read = |state: &State| -> Outcome<Vec<f64>> {
        let read = meters.read(&reader, |_| true, &mut Live::new(state.clone()), None)?;
        let quantity = |line: usize| reader.limits().get(line).map(|limit| limit.quantity);
        let of = |line| read.iter().find(|measured| Some(measured.quantity) == quantity(line));
        let values = [0, 1].map(|line| of(line).map_or(f64::NAN, |measured| short(measured.reading.as_f64())));
        Ok(values.to_vec())
    };
    let (mut state, mut reads) = (setup.start.clone(), Vec::new());
    let base = read(&state)?;
    for update in 1..=updates {
        state = state.after(&setup.engine.propose(&state, 0)?.proposal, 1.0)?;
        if EPOCHS.map(|epochs| epochs * UPDATES_AN_EPOCH).contains(&update) {
            reads.push(read(&state)?);
        }
    }
    Ok(json!({ "base": base, "reads": reads }))
}

/// A reading (0 entropy, 1 distinct-2) as shares of the base's: for each number of epochs those of the seeds.
fn shares(cells: &Cells, which: usize) -> Option<Vec<Vec<f64>>> {
    let mut shares = vec![Vec::new(); EPOCHS.len()];
    for seed in CONTRACTION_SEEDS {
        let cell = cells.get(&Cell::Contraction { seed }.to_string())?;
        let base = *rules::numbers(cell.get("base")?)?.get(which)?;
        for (shares, read) in shares.iter_mut().zip(cell.get("reads")?.as_array()?) {
            shares.push(rules::numbers(read)?.get(which)? / base);
        }
    }
    Some(shares)
}

/// Half the width of the 95 % interval of a mean over the seeds.
fn half_width(values: &[f64]) -> f64 {
    STUDENT * deviation(values) / (values.len() as f64).sqrt()
}

pub fn row(cells: &Cells) -> Option<Row> {
    let (mut shown, mut holds) = (Vec::new(), true);
    for (which, name) in ["entropy", "distinct-2"].into_iter().enumerate() {
        let shares = shares(cells, which)?;
        let (first, last) = (shares.first()?, shares.last()?);
        let (once, often) = (mean(first), mean(last));
        holds &= often + half_width(last) < once;
        shown.push(format!("{name} {:.0} % and {:.0} %", 100.0 * once, 100.0 * often));
    }
    Some(Row {
        number: "H7",
        what: "entropy and distinct-2 of the answers, of the base's, after 1 and 16 epochs of the narrow data, 3 seeds",
        rule: "the 95 % interval over seeds at 16 lies below the mean at 1",
        result: shown.join("; "),
        holds: yes(holds),
    })
}

pub fn table(cells: &Cells) -> String {
    let mut text = String::from("| of the base's | 1 | 2 | 4 | 8 | 16 |\n|---|---|---|---|---|---|\n");
    for (which, name) in ["entropy", "distinct-2"].into_iter().enumerate() {
        let shares = shares(cells, which).unwrap_or_default();
        let cell = |of: &Vec<f64>| format!("{:.1} ± {:.1} %", 100.0 * mean(of), 100.0 * half_width(of));
        let cells: Vec<String> = shares.iter().map(cell).collect();
        writeln!(text, "| {name} | {} |", cells.join(" | ")).ok();
    }
    text
}
