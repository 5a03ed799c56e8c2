//! What the guard costs beside the training it guards, measured side by side in one run: `cargo bench --bench cost`.
//!
//! Times differ between machines and minutes; shares of a step taken in the same run differ less. Every round times each
//! thing once, in turn, so that a machine that slows down slows all of them; a cell is a median over the rounds.
//!
//! `ftrisk` starts itself again with the settings of `src/cmd/environment.rs`, above all `RAYON_NUM_THREADS`; a bench that
//! is to tell what people see is run with them.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and stops where something is missing"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use ftrisk::adapt;
use ftrisk::guard::Guard;
use ftrisk::ir::DEFAULT_CADENCE;
use ftrisk::meter::tone::Lexicon;
use ftrisk::quantity::ProbeKind;
use ftrisk::sema;
use ftrisk::source::Sources;
use ftrisk::train::data::order::Plan;
use ftrisk::train::data::{self, encode::Encoded};
use ftrisk::train::engine::Engine;
use ftrisk::train::live::Live;
use ftrisk::train::lora::Adapter;
use ftrisk::train::measure::{Meters, SAMPLE_TOKENS};
use ftrisk::train::probe::{Probe, Row};
use ftrisk::train::setup::Setup;
use ftrisk::train::state::State;

/// Rounds that count; one more before them warms the caches.
const ROUNDS: usize = 7;
/// Rows of a batch.
const BATCHES: [usize; 3] = [4, 8, 16];
/// Tokens of a row of a batch.
const ROW: usize = 225;
/// A probe has this fraction of the tokens of the batch.
const FRACTIONS: [usize; 3] = [16, 4, 1];
/// Tokens of a row of a text probe.
const PROBE_ROW: usize = 56;
/// Prompts of an evaluation, and tokens of each.
const PROMPTS: [usize; 3] = [8, 16, 32];
const PROMPT: usize = 48;

/// The text probe of each fraction, then the prompts of each number.
const FIRST_PROMPTS: usize = FRACTIONS.len();

fn main() {
    let text = std::fs::read_to_string("examples/tiny/excerpt.txt").expect("the tiny base's text");
    let bytes: Vec<u32> = text.bytes().map(u32::from).collect();
    let mut lines = vec![
        "| batch | step ms | drift, 1/16 of it | drift, 1/4 | drift, all of it | snapshot | commit | rollback |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut evaluations = vec![
        format!("| batch | prompts × tokens | ms | of a step | of a run, every {DEFAULT_CADENCE} updates |"),
        "|---|---|---|---|---|".to_owned(),
    ];
    for batch in BATCHES {
        let timed = times(&bytes, batch);
        let median = |what: &str| {
            let mut times = timed[what].clone();
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let step = median("step");
        let share = |what: &str| format!("{:.2} %", 100.0 * median(what) / step);
        let cells: Vec<String> = FRACTIONS
            .iter()
            .map(|fraction| share(&format!("drift {fraction}")))
            .chain(["snapshot", "commit", "rollback"].map(share))
            .collect();
        lines.push(format!("| {batch} × {ROW} | {step:.1} | {} |", cells.join(" | ")));
        for prompts in PROMPTS {
            let taken = median(&format!("samples {prompts}"));
            let run = 100.0 * taken / (taken + DEFAULT_CADENCE as f64 * step);
            evaluations.push(format!(
                "| {batch} × {ROW} | {prompts} × {SAMPLE_TOKENS} | {taken:.0} | {:.0} % | {run:.2} % |",
                100.0 * taken / step
            ));
        }
    }
    println!(
        "shares of a step: forward, backward and the optimizer\n\n{}\n",
        lines.join("\n")
    );
    println!("sampling at an evaluation\n\n{}", evaluations.join("\n"));
}

/// The times of everything for one size of a batch, in ms.
fn times(bytes: &[u32], batch: usize) -> BTreeMap<String, Vec<f64>> {
    let engine = engine(bytes, batch);
    let model = &engine.model;
    let probes = probes(bytes, batch * ROW);
    let mut policy = "policy \"cost\"\n".to_owned();
    for fraction in FRACTIONS {
        policy.push_str(&format!("probe text of_{fraction} \"{fraction}.jsonl\"\n"));
        policy.push_str(&format!("max drift.per_update 1 nats on of_{fraction}\n"));
    }
    let mut sources = Sources::default();
    let policy = sources.add("cost.riskpolicy", policy);
    let policy = sema::compile(policy, &sources)
        .policy
        .expect("a policy without mistakes");
    let lines: Vec<usize> = (0..policy.lines.len()).collect();
    let guard = Guard::arm(&policy, &lines, false).expect("a meter");
    let decode = |tokens: &[u32]| Ok(tokens.len().to_string());
    let lexicon = Lexicon::new([]);
    let meters = Meters::new(&engine, &probes, &decode, &lexicon, guard.needs()).expect("the base answers");

    let adapter = Adapter::new(model.config(), 8, 16.0, false, &["all"], 1).expect("an adapter");
    let mut live = Live::new(State::new(adapter));
    meters.read(&guard, |_| true, &mut live, None).expect("readings");
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for round in 0..=ROUNDS {
        let mut time = |what: String, start: Instant| {
            let taken = start.elapsed().as_secs_f64() * 1e3;
            if round > 0 {
                times.entry(what).or_default().push(taken);
            }
        };
        let start = Instant::now();
        let step = engine.propose(&live.state, 0).expect("a step");
        time("step".into(), start);

        let start = Instant::now();
        let mut kept = black_box(live.state.clone());
        time("snapshot".into(), start);
        let start = Instant::now();
        let mut next = live.after(&step, 1.0).expect("a state");
        time("commit".into(), start);

        for (probe, fraction) in FRACTIONS.into_iter().enumerate() {
            let start = Instant::now();
            let readings = meters.read(&guard, |need| need.probe == Some(probe), &mut next, Some(&live));
            black_box(readings.expect("a reading"));
            time(format!("drift {fraction}"), start);
        }
        for (probe, prompts) in (FIRST_PROMPTS..).zip(PROMPTS) {
            let start = Instant::now();
            black_box(meters.samples(probe, &next.state.adapter).expect("samples"));
            time(format!("samples {prompts}"), start);
        }

        let start = Instant::now();
        kept = black_box(kept.clone());
        time("rollback".into(), start);
        drop(kept);
        live = next;
    }
    times
}

/// The trainer of `examples/tiny/sound.yaml` with rows of one length.
fn engine(bytes: &[u32], batch: usize) -> Engine {
    let mut sources = Sources::default();
    let run = std::fs::read_to_string("examples/tiny/sound.yaml").expect("an example");
    let run = sources.add("sound.yaml", run);
    let recipe = adapt::recipe(run, &sources).recipe.expect("a recipe");
    let data = data::files::read(&recipe).expect("its data");
    let mut engine = Setup::new(&recipe, data).expect("its model").engine;
    let row = |tokens: &[u32]| Encoded {
        tokens: tokens.to_vec(),
        answers: (0..ROW).map(|position| position >= ROW / 2).collect(),
    };
    engine.rows = bytes.chunks_exact(ROW).take(batch * 4).map(row).collect();
    engine.plan = Plan {
        rows: engine.rows.len() as u64,
        per_device: batch as u64,
        ..engine.plan
    };
    engine
}

fn probes(bytes: &[u32], tokens: usize) -> BTreeMap<usize, Probe> {
    // From the end of the text, which no batch has.
    let row = |tokens: &[u32]| Row {
        id: String::new(),
        text: String::new(),
        tokens: tokens.to_vec(),
        answers: Vec::new(),
    };
    let texts = FRACTIONS.map(|fraction| {
        let count = tokens / fraction;
        bytes[bytes.len() - count..].chunks(PROBE_ROW).map(row).collect()
    });
    let prompts = PROMPTS.map(|count| bytes.rchunks_exact(PROMPT).take(count).map(row).collect());
    let kinds = [ProbeKind::Text; FRACTIONS.len()]
        .into_iter()
        .chain([ProbeKind::Prompts; PROMPTS.len()]);
    let probe = |(rows, kind): (Vec<Row>, ProbeKind)| Probe {
        name: String::new(),
        kind,
        rows,
        kept: None,
    };
    texts
        .into_iter()
        .chain(prompts)
        .zip(kinds)
        .map(probe)
        .enumerate()
        .collect()
}
