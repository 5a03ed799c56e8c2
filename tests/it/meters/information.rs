//! The meters on logits against numpy, scipy, netcal and mpmath, whose results `tests/reference/information.py` wrote.

use std::path::Path;

use ftrisk::meter::calibration::ece;
use ftrisk::meter::confidence::{entropy, top1};
use ftrisk::meter::cross_entropy::cross_entropy;
use ftrisk::meter::floor::translated;
use ftrisk::meter::gap::memorisation_gap;
use ftrisk::meter::js::{CLIP, clipped, js, root_js};
use ftrisk::meter::kl::Logits;
use ftrisk::meter::quantile::tail;
use ftrisk::meter::spread::spread;
use ftrisk::meter::{Estimate, Reading};
use serde_json::Value;

use super::super::harness::read;

fn expected() -> Value {
    serde_json::from_str(&read(Path::new("tests/reference/information.json"))).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn singles(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|x| x as f32).collect()
}

fn tokens(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn readings(value: &Value) -> Vec<Reading> {
    numbers(value).into_iter().map(Reading::from).collect()
}

fn cases<'v>(expected: &'v Value, name: &str, least: usize) -> &'v [Value] {
    let cases = expected[name].as_array().unwrap();
    assert!(cases.len() >= least, "{name}");
    cases
}

fn logits<'a>(case: &Value, values: &'a [f32]) -> Logits<'a> {
    let vocab = case["vocab"].as_u64().unwrap() as usize;
    Logits { vocab, values }
}

fn error(estimate: &Estimate) -> f64 {
    estimate.standard_error.unwrap().get()
}

#[track_caller]
fn within(what: &str, ours: f64, theirs: f64, most: f64) {
    let apart = (ours - theirs).abs();
    println!("{what}: {apart:.2e} of {most:.0e}");
    assert!(
        apart <= most,
        "{what}: {ours} and {theirs} are more than {most:e} apart"
    );
}

#[test]
fn jensen_shannon_is_that_of_scipy_and_small_ones_that_of_fifty_digits() {
    let expected = expected();
    let mut smallest = 1.0_f64;
    for case in cases(&expected, "js", 8) {
        let (before, now) = (singles(&case["before"]), singles(&case["now"]));
        let ours = js(logits(case, &before), logits(case, &now));
        let exact = number(&case["exact"]);
        smallest = smallest.min(exact);
        within("JS over mpmath's", ours / exact, 1.0, 1e-12);
        // scipy's `jensenshannon` returns the root, so the fixture has its square. scipy subtracts before it adds up, so
        // that it is right only to about 1e-16 of 1, whatever the size of the divergence.
        within("JS of scipy", ours, number(&case["scipy"]), 2e-15);
    }
    assert!(smallest < 1e-13, "{smallest}");
}

#[test]
fn clipped_and_distance_are_those_of_the_same_numbers() {
    let expected = expected();
    let of_vocab: Vec<(&Value, Vec<f32>, Vec<f32>)> = cases(&expected, "js", 8)
        .iter()
        .map(|case| (case, singles(&case["before"]), singles(&case["now"])))
        .collect();
    let pairs = || {
        of_vocab
            .iter()
            .map(|(case, before, now)| (logits(case, before), logits(case, now)))
    };
    let exact: Vec<f64> = of_vocab.iter().map(|(case, ..)| number(&case["exact"])).collect();
    let n = exact.len() as f64;
    let shares: Vec<f64> = exact.iter().map(|x| (x / std::f64::consts::LN_2).min(CLIP)).collect();
    assert!(shares.contains(&CLIP) && shares.iter().any(|share| *share < CLIP));
    let found = clipped(pairs());
    within("clipped", found.value.as_f64(), shares.iter().sum::<f64>() / n, 1e-15);
    assert_eq!(found.prompts.len(), shares.len());
    within(
        "distance",
        root_js(pairs()).as_f64(),
        (exact.iter().sum::<f64>() / n).sqrt(),
        1e-14,
    );
}

#[test]
fn tails_are_those_of_numpy() {
    let expected = expected();
    let all = readings(&expected["drifts"]);
    for case in cases(&expected, "tail", 8) {
        let n = case["n"].as_u64().unwrap() as usize;
        assert_eq!(tail(&all[..n]).value.as_f64(), number(&case["value"]), "{n}");
    }
}

#[test]
fn spreads_are_those_of_numpy() {
    let expected = expected();
    let all = readings(&expected["drifts"]);
    for case in cases(&expected, "spread", 3) {
        let n = case["n"].as_u64().unwrap() as usize;
        let found = spread(&all[..n]);
        within("spread", found.value.as_f64(), number(&case["value"]), 1e-14);
        within("its standard error", error(&found), number(&case["error"]), 1e-13);
    }
}

#[test]
fn confidence_and_loss_are_those_of_scipy() {
    let expected = expected();
    for case in cases(&expected, "confidence", 4) {
        let prompts: Vec<Vec<f32>> = case["prompts"].as_array().unwrap().iter().map(singles).collect();
        let all = || prompts.iter().map(|values| logits(case, values));
        for (name, found) in [("top1", top1(all())), ("entropy", entropy(all()))] {
            within(name, found.value.as_f64(), number(&case[name]), 1e-13);
            within(
                "its standard error",
                error(&found),
                number(&case[format!("{name}_error")]),
                1e-13,
            );
        }
        let next = case["next"].as_array().unwrap().iter().map(tokens);
        for ((values, next), loss) in prompts.iter().zip(next).zip(numbers(&case["losses"])) {
            within(
                "cross-entropy",
                cross_entropy(logits(case, values), &next),
                loss,
                1e-13 * loss.max(1.0),
            );
        }
    }
}

#[test]
fn calibration_is_that_of_netcal_less_an_exact_null() {
    let expected = expected();
    for case in cases(&expected, "ece", 3) {
        let prompts: Vec<(Vec<f32>, Vec<u32>)> = case["prompts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|prompt| (singles(&prompt["logits"]), tokens(&prompt["next"])))
            .collect();
        let found = ece(prompts
            .iter()
            .map(|(values, next)| (logits(case, values), next.as_slice())));
        let (numpy, netcal, null) = (number(&case["numpy"]), number(&case["netcal"]), number(&case["null"]));
        // Both put a confidence into the bin whose upper end it is, and none of these lies on one.
        within("ECE of netcal and of numpy", netcal, numpy, 1e-12);
        within(
            "ECE less its null",
            found.value.as_f64(),
            (numpy - null).max(0.0),
            1e-12,
        );
        // Theirs has each leave-one-out null exactly, ours scales the whole one.
        let theirs = number(&case["error"]);
        within("its standard error", error(&found) / theirs, 1.0, 0.02);
    }
}

#[test]
fn gaps_are_those_of_numpy() {
    let expected = expected();
    for case in cases(&expected, "gap", 2) {
        let found = memorisation_gap(&readings(&case["held_out"]), &readings(&case["training"]));
        within("gap", found.value.as_f64(), number(&case["value"]), 1e-14);
        within("its standard error", error(&found), number(&case["error"]), 1e-14);
    }
}

#[test]
fn mass_that_moved_is_within_what_nats_are_translated_to() {
    let expected = expected();
    let mut closest = 0.0_f64;
    for case in cases(&expected, "moved", 8) {
        let (variation, bound) = (number(&case["variation"]), number(&case["bound"]));
        let ours = translated(Reading::from(number(&case["kl"]))).as_f64();
        within("bound", ours, bound, 1e-14);
        assert!(variation <= ours, "{variation} of {ours}");
        closest = closest.max(variation / ours);
    }
    assert!(closest > 0.99, "none of these comes near the bound: {closest}");
}

#[test]
fn the_script_names_the_versions_of_its_packages() {
    let script = read(Path::new("tests/reference/information.py"));
    for (package, version) in expected()["versions"].as_object().unwrap() {
        let pin = format!("{package}=={}", version.as_str().unwrap());
        assert!(script.contains(&pin), "information.py does not name {pin}");
    }
}
