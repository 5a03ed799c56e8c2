//! Meters of weights and of gradients against numpy, scipy and opacus.

use ftrisk::meter::bias::{amplification, by_group};
use ftrisk::meter::movement::{Product, adapted, change, relative, square};
use ftrisk::meter::noise::{noise, scale};
use ftrisk::meter::rank::stable_rank;
use ftrisk::meter::top_share::top_share;
use serde_json::Value;

use super::super::harness::read;

fn expected() -> Value {
    serde_json::from_str(&read("tests/reference/weights.json")).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap()
}

fn count(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap() as usize
}

fn singles(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|x| x.as_f64().unwrap() as f32).collect()
}

fn rows(value: &Value) -> Vec<Vec<f32>> {
    value.as_array().unwrap().iter().map(singles).collect()
}

#[track_caller]
fn within(what: &str, ours: f64, theirs: f64, most: f64) {
    let difference = (ours - theirs).abs() / theirs.abs().max(f64::MIN_POSITIVE);
    // Shown by `--nocapture`: how much room a tolerance leaves.
    println!("{what}: {difference:.2e} of {most:.0e}");
    assert!(ours == theirs || difference <= most, "{what}: {ours} and {theirs}");
}

#[test]
fn the_stable_rank_is_that_of_a_dense_svd() {
    let expected = expected();
    let cases = list(&expected, "stable_rank");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let ours = stable_rank(&singles(&case["b"]), &singles(&case["a"]), count(case, "rank"));
        within("stable rank", ours.as_f64(), number(case, "value"), 1e-12);
    }
    let last = |back: usize| number(&cases[cases.len() - back], "value");
    // B = 0, and orthonormal directions of equal strength, as far as f32 holds them.
    assert!(last(2) == 0.0 && (last(1) - 4.0).abs() < 1e-6);
}

#[test]
fn movement_is_that_of_dense_matrices() {
    let expected = expected();
    let cases = list(&expected, "movement");
    assert_eq!(cases.len(), 3);
    for case in cases {
        let module = |module: &Value| {
            let of = |key: &str| singles(&module[key]);
            let (base, b, a, b2, a2) = (of("base"), of("b"), of("a"), of("b2"), of("a2"));
            let (rank, scale) = (count(module, "rank"), number(module, "scale"));
            let before = Product {
                b: &b,
                a: &a,
                rank,
                scale,
            };
            let after = Product {
                b: &b2,
                a: &a2,
                ..before
            };
            let squares = (change(before, after), adapted(&base, square(&base), before));
            within("‖ΔW‖²", squares.0, number(module, "change"), 1e-10);
            within("‖W‖²", squares.1, number(module, "weight"), 1e-13);
            squares
        };
        let ours = relative(list(case, "modules").iter().map(module)).as_f64();
        within("movement", ours, number(case, "value"), 1e-10);
    }
}

#[test]
fn noise_and_shares_are_those_of_numpy_on_the_gradients_of_opacus() {
    let expected = expected();
    let cases = list(&expected, "batches");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let parts = rows(&case["parts"]);
        let found = noise(&parts);
        // |G|² is a small difference where there is much noise: what f64 leaves of it is measured against the noise.
        within("tr Σ", found.trace, number(case, "trace"), 1e-13);
        let apart = (found.square - number(case, "square")).abs();
        assert!(apart <= 1e-14 * found.trace, "|G|²: {apart}");

        let eps = number(case, "eps");
        let second = singles(&case["second"]).into_iter();
        let weights: Vec<f64> = second.map(|v| 1.0 / (f64::from(v).sqrt() + eps)).collect();
        within(
            "top share",
            top_share(&parts, &weights).as_f64(),
            number(case, "top_share"),
            1e-13,
        );

        let groups: Vec<u64> = list(case, "groups")
            .iter()
            .map(|group| group.as_u64().unwrap())
            .collect();
        let of_groups = by_group(&parts, &weights, &groups).unwrap();
        assert_eq!(of_groups.len(), list(case, "by_group").len());
        for (ours, theirs) in of_groups.values().zip(list(case, "by_group")) {
            within("a group's amplification", *ours, theirs.as_f64().unwrap(), 1e-12);
        }
        let ours = amplification(&parts, &weights, &groups).as_f64();
        within("amplification", ours, number(case, "amplification"), 1e-12);
    }
}

#[test]
fn noise_of_a_normal_distribution_is_found() {
    let expected = expected();
    let case = &expected["normal"];
    let (mut traces, mut squares) = (0.0, 0.0);
    let batches = list(case, "batches");
    for batch in batches {
        let found = noise(&rows(batch));
        traces += found.trace;
        squares += found.square;
    }
    within("sum of tr Σ", traces, number(case, "traces"), 1e-12);
    within("sum of |G|²", squares, number(case, "squares"), 1e-12);
    // The truth is known here: both within three standard errors of it, which are known as well.
    let n = batches.len() as f64;
    let (trace, square) = (number(case, "trace"), number(case, "square"));
    let errors: Vec<f64> = list(case, "errors").iter().map(|x| x.as_f64().unwrap()).collect();
    let away = [(traces / n - trace) / errors[0], (squares / n - square) / errors[1]];
    println!("standard errors away from the truth: {away:?}");
    assert!(away.iter().all(|away| away.abs() < 3.0), "{away:?}");
    let found = scale(traces, squares).as_f64();
    // The relative errors of both together.
    let most = 3.0 * (errors[0] / trace).hypot(errors[1] / square);
    assert!((found / (trace / square) - 1.0).abs() < most, "{found}");
}

#[test]
fn the_fixture_names_the_tools_that_made_it() {
    let script = read("tests/reference/weights.py");
    for (package, version) in expected()["versions"].as_object().unwrap() {
        let pin = format!("{package}=={}", version.as_str().unwrap());
        assert!(script.contains(&pin), "{pin}");
    }
}
