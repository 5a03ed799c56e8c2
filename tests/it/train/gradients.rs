//! What each row contributes to an update, against the update itself.

use std::fs;

use ftrisk::meter::bias::{amplification, by_group};
use ftrisk::meter::noise::{noise, scale};
use ftrisk::meter::top_share::top_share;
use ftrisk::train::optim::Moments;
use ftrisk::train::state::State;

use super::fixture::{Bench, folder};

/// Unclipped, so that the moments after a first step hold the gradient; rows of several lengths in two micro-batches.
const KEYS: [(&str, &str); 3] = [
    ("max_grad_norm", "0"),
    ("gradient_accumulation_steps", "2"),
    ("per_device_train_batch_size", "3"),
];

fn bench() -> Bench {
    let folder = folder();
    let row = |at: usize| {
        serde_json::json!({
            "instruction": format!("Question {at}?"),
            "input": "",
            "output": "no, not at all ".repeat(1 + at % 3),
            "group": if usize::is_multiple_of(at, 2) { serde_json::json!("even") } else { serde_json::json!(null) },
        })
    };
    let rows: Vec<_> = (0..12).map(row).collect();
    fs::write(
        folder.path().join("data/few.json"),
        serde_json::to_string(&rows).unwrap(),
    )
    .unwrap();
    Bench::within(&folder, "policy \"p\" for stage sft\n\nmax learning_rate 1\n", &KEYS)
}

/// A state whose B is not zero, so that gradients reach A too, with an optimizer that remembers nothing.
fn moved(bench: &Bench) -> State {
    let engine = &bench.setup.engine;
    let step = engine.propose(&bench.setup.start, 0).unwrap();
    let state = bench.setup.start.after(&step.proposal, 1.0).unwrap();
    State {
        moments: Moments::default(),
        ..state
    }
}

#[test]
fn the_parts_of_the_rows_sum_to_the_gradient_of_the_batch() {
    let bench = bench();
    let engine = &bench.setup.engine;
    let state = moved(&bench);
    let rows = engine.batch_rows(state.proposals + 1);
    assert_eq!(rows.len(), 6);
    let parts = engine.sample_gradients(&state.adapter, &rows).unwrap();
    let proposal = engine.propose(&state, 0).unwrap().proposal;
    // m₁ = (1 − β₁) g.
    let first = proposal.moments.first.values().flatten();
    let batch: Vec<f64> = first.map(|m| f64::from(*m) / (1.0 - engine.optimizer.beta1)).collect();
    assert!(parts.iter().all(|part| part.len() == batch.len()));
    let largest = batch.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    assert!(largest > 1e-3, "{largest}");
    let apart = batch.iter().enumerate().map(|(k, expected)| {
        let sum: f64 = parts.iter().map(|part| f64::from(part[k])).sum();
        (sum - expected).abs()
    });
    let apart = apart.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most }) / largest;
    println!("sum of the parts: {apart:.1e} of the largest entry");
    assert!(apart <= 1e-5, "{apart}");
    // Every row has its own.
    assert!(parts.iter().zip(parts.iter().skip(1)).all(|(one, other)| one != other));

    // And the meters take them.
    let preconditioner = engine.preconditioner(&state.adapter, &proposal.moments).unwrap();
    assert_eq!(preconditioner.len(), batch.len());
    // v₁ / (1 − β₂) = g², so what is left of the gradient is its sign.
    let signs = batch
        .iter()
        .zip(&preconditioner)
        .filter(|(g, _)| g.abs() > 1e-3 * largest);
    for (g, p) in signs {
        assert!(((g * p).abs() - 1.0).abs() < 1e-3, "{g} {p}");
    }
    let top = top_share(&parts, &preconditioner).as_f64();
    assert!((1.0 / 6.0..1.0).contains(&top), "{top}");
    let found = noise(&parts);
    assert!(found.trace > 0.0, "{found:?}");
    println!("noise scale: {}", scale(found.trace, found.square));
    let groups: Vec<&str> = rows.iter().map(|row| engine.groups[*row].as_str()).collect();
    let of_groups = by_group(&parts, &preconditioner, &groups).unwrap();
    assert!(of_groups.keys().eq(&["even", "few"]), "{of_groups:?}");
    let largest = amplification(&parts, &preconditioner, &groups).as_f64();
    assert!(largest >= 1.0, "{largest}");
}

#[test]
fn before_the_first_step_no_entry_is_weighed() {
    let bench = bench();
    let (engine, start) = (&bench.setup.engine, &bench.setup.start);
    let ones = engine.preconditioner(&start.adapter, &start.moments).unwrap();
    let count: usize = start.adapter.values().unwrap().values().map(Vec::len).sum();
    assert_eq!(ones, vec![1.0; count]);
    let other = Moments {
        step: 1,
        ..Moments::default()
    };
    assert!(engine.preconditioner(&start.adapter, &other).is_err());
}

#[test]
fn the_losses_of_the_rows_make_the_loss_of_the_batch() {
    let bench = bench();
    let engine = &bench.setup.engine;
    let state = moved(&bench);
    let rows = engine.batch_rows(state.proposals + 1);
    let losses = engine.row_losses(&state.adapter, &rows).unwrap();
    let (mut sum, mut tokens) = (0.0, 0.0);
    for (loss, row) in losses.iter().zip(&rows) {
        let count = engine.rows[*row].trained() as f64;
        sum += loss.unwrap() * count;
        tokens += count;
    }
    let batch = engine.propose(&state, 0).unwrap().loss;
    assert!((sum / tokens / batch - 1.0).abs() < 1e-5, "{} {batch}", sum / tokens);
    assert!(engine.row_losses(&state.adapter, &[12]).is_err());
    assert!(engine.sample_gradients(&state.adapter, &[12]).is_err());
}

#[test]
fn batches_are_those_that_the_updates_take() {
    let bench = bench();
    let engine = &bench.setup.engine;
    assert!(engine.batch_rows(0).is_empty());
    let mut both = [engine.batch_rows(1), engine.batch_rows(2)].concat();
    both.sort_unstable();
    assert_eq!(both, (0..12).collect::<Vec<_>>());
}
