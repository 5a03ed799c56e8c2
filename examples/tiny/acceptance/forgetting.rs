//! What tells how much of the base a run has forgotten: how far it moved on its task, or how far its weights moved.
//!
//! Shenfeld et al. 2025, "RL's Razor": the forward KL on the *new* task predicts forgetting. Drift on the base's own texts
//! would be no prediction, it is the forgetting.

use std::fmt::Write as _;

use ftrisk::meter::movement::{self, Product};
use ftrisk::train::lora::Adapter;
use ftrisk::train::tensors::numbers;
use serde_json::{Value, json};

use super::bench::{Bench, Outcome};
use super::cells::{Cell, forgetful};
use super::rules::{self, Cells, Row, sig, yes};
use super::runs::{Run, short};
use super::sums::{explained, spearman};

const READ_AT: [u64; 3] = [10, 20, 40];

/// `reads`: update, KL from the base on held-out rows of the task, Frobenius norm of what the adapter adds to the weights,
/// and the rise of the cross entropy on the base's own texts, all in nats but the norm.
pub fn measure(run: &Run) -> Outcome<Value> {
    let bench = Bench::new(&run.keys())?;
    let (base, task) = (bench.answers(None, 1)?, bench.task_answers(None)?);
    let before = bench.surprise(&base);
    let (mut state, mut reads) = (bench.start.clone(), Vec::new());
    for update in 1..=run.updates {
        state = state.after(&bench.engine.propose(&state, 0)?.proposal, 1.0)?;
        if READ_AT.contains(&update) {
            let adapter = Some(&state.adapter);
            let kl = bench.kl(&task, &bench.task_answers(adapter)?);
            let norm = moved(&bench.start.adapter, &state.adapter)?;
            let forgot = bench.surprise(&bench.answers(adapter, 1)?) - before;
            reads.push([update as f64, kl, norm, forgot].map(short));
        }
    }
    Ok(json!({ "reads": reads }))
}

/// The Frobenius norm of the change of all adapted matrices.
fn moved(before: &Adapter, after: &Adapter) -> Outcome<f64> {
    let mut sum = 0.0;
    for (module, new) in &after.pairs {
        let old = before.pairs.get(module).ok_or("the adapters differ")?;
        let factors = |pair: &ftrisk::train::lora::Pair| -> Outcome<_> { Ok((numbers(&pair.b)?, numbers(&pair.a)?)) };
        let (old, new) = (factors(old)?, factors(new)?);
        let product = |(b, a)| Product {
            b,
            a,
            rank: after.rank,
            scale: after.scale,
        };
        sum += movement::change(product((&old.0, &old.1)), product((&new.0, &new.1)));
    }
    Ok(sum.sqrt())
}

/// KL on the task, norm and forgetting of every state that was read.
fn states(cells: &Cells) -> Option<Vec<[f64; 3]>> {
    let mut states = Vec::new();
    for run in forgetful() {
        let reads = cells
            .get(&Cell::Forgetting(run).to_string())?
            .get("reads")?
            .as_array()?;
        for read in reads {
            let [_, kl, norm, forgot] = rules::numbers(read)?.try_into().ok()?;
            states.push([kl, norm, forgot]);
        }
    }
    Some(states)
}

/// R² and rank correlation with forgetting: of KL on the task, then of the norm.
fn predicted(cells: &Cells) -> Option<[[f64; 2]; 2]> {
    let states = states(cells)?;
    let by = |predictor: fn(&[f64; 3]) -> f64| {
        let points: Vec<(f64, f64)> = states.iter().map(|state| (predictor(state), state[2])).collect();
        [explained(&points), spearman(&points)]
    };
    Some([by(|state| state[0]), by(|state| state[1])])
}

pub fn row(cells: &Cells) -> Option<Row> {
    let [[kl, _], [norm, _]] = predicted(cells)?;
    Some(Row {
        number: "H5",
        what: "forgetting, told by KL on the task and by the norm of ΔW, over rates, ranks, batches and updates",
        rule: "R² of a quadratic at least 0.9 by KL, and 0.1 above that by the norm",
        result: format!("R² {kl:.2} and {norm:.2}"),
        holds: yes(kl >= 0.9 && kl >= norm + 0.1),
    })
}

pub fn table(cells: &Cells) -> String {
    let mut text = String::from("| told by | R² of a quadratic | Spearman |\n|---|---|---|\n");
    for (name, [share, rank]) in ["KL on the task", "norm of ΔW"]
        .into_iter()
        .zip(predicted(cells).into_iter().flatten())
    {
        writeln!(text, "| {name} | {share:.3} | {rank:.3} |").ok();
    }
    text += "\n| run | update | KL on the task | norm of ΔW | forgetting |\n|---|---|---|---|---|\n";
    for (run, at) in forgetful().iter().flat_map(|run| READ_AT.map(|at| (run, at))).zip(0..) {
        if let Some([kl, norm, forgot]) = states(cells).and_then(|states| states.get(at).copied()) {
            let [kl, norm, forgot] = [kl, norm, forgot].map(sig);
            writeln!(text, "| {} | {} | {kl} | {norm} | {forgot} |", run.0, run.1).ok();
        }
    }
    text
}
