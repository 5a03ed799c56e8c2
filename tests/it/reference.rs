//! The engine and the meters against other people's implementations: transformers, PEFT, PyTorch, numpy and scipy.
//!
//! What they computed stands in `tests/reference`, beside the scripts that made it.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ftrisk::meter::distinct::distinct_n;
use ftrisk::meter::kl::{Logits, forward_kl};
use ftrisk::meter::rank::effective_rank;
use ftrisk::train::folder::Folder;
use ftrisk::train::lora::{Adapter, Saved};
use ftrisk::train::model::{Llama, Target};
use ftrisk::train::optim::{AdamW, Matrices, Moments, clip};
use ftrisk::train::tensors;
use ftrisk::train::tensors::padded;
use serde_json::{Value, json};

use super::harness::{self, read, repository};

fn folder() -> PathBuf {
    repository().join("tests/reference/llama")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(Path::new("tests/reference").join(name))).unwrap()
}

/// All numbers in a value, however deep, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn singles(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|x| x as f32).collect()
}

/// The adapter as PEFT saved it.
fn saved() -> Saved {
    Saved {
        config: bytes("adapter/adapter_config.json"),
        model: bytes("adapter/adapter_model.safetensors"),
    }
}

/// The model and its adapter.
fn loaded() -> (Llama, Adapter) {
    let folder = Folder::open(&folder()).unwrap();
    let model = Llama::new(&folder.config, &folder.weights).unwrap();
    (model, Adapter::load(&folder.config, &saved()).unwrap())
}

fn rows(expected: &Value) -> Vec<Vec<u32>> {
    serde_json::from_value(expected["rows"].clone()).unwrap()
}

fn tokens(expected: &Value) -> Tensor {
    let rows = rows(expected);
    padded(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()
}

fn targets(expected: &Value) -> Vec<Target> {
    let targets: Vec<(u32, u32, u32)> = serde_json::from_value(expected["targets"].clone()).unwrap();
    let target = |(row, position, token)| Target { row, position, token };
    targets.into_iter().map(target).collect()
}

/// The logits of every position that is no padding.
fn logits(model: &Llama, adapter: Option<&Adapter>, expected: &Value) -> Vec<f64> {
    let all = model
        .head(&model.hidden(&tokens(expected), adapter).unwrap())
        .unwrap()
        .to_vec3::<f32>()
        .unwrap();
    let real = all
        .into_iter()
        .zip(rows(expected))
        .flat_map(|(row, tokens)| row.into_iter().take(tokens.len()));
    real.flatten().map(f64::from).collect()
}

/// The largest difference between as many numbers on both sides.
#[track_caller]
fn apart(ours: impl IntoIterator<Item = f64>, theirs: impl IntoIterator<Item = f64>) -> f64 {
    let (ours, theirs): (Vec<f64>, Vec<f64>) = (ours.into_iter().collect(), theirs.into_iter().collect());
    assert!(!ours.is_empty());
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(&theirs).map(|(x, y)| (x - y).abs());
    // `f64::max` would pass over a NaN.
    differences.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most })
}

fn wide(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().map(|x| f64::from(*x))
}

#[track_caller]
fn within(what: &str, difference: f64, most: f64) {
    // Shown by `--nocapture`: how much room a tolerance leaves.
    println!("{what}: {difference:.2e} of {most:.0e}");
    assert!(difference <= most, "{what}: {difference:e} is more than {most:e}");
}

#[test]
fn logits_are_those_of_transformers_and_peft() {
    let expected = json("llama/expected.json");
    let (model, adapter) = loaded();
    let (base, tuned) = (numbers(&expected["base"]), numbers(&expected["adapted"]));
    let effect = apart(base.iter().copied(), tuned.iter().copied());
    assert!(effect > 0.1, "an adapter that moves logits by {effect} shows nothing");
    within("logits", apart(logits(&model, None, &expected), base), 1e-5);
    within(
        "logits with the adapter",
        apart(logits(&model, Some(&adapter), &expected), tuned),
        1e-5,
    );
}

#[test]
fn both_forms_of_the_rotary_base_are_read() {
    let expected = json("llama/expected.json");
    let parameters = |config: &mut Value, theta: Value| {
        let config = config.as_object_mut().unwrap();
        assert!(config.remove("rope_parameters").is_some(), "transformers 5 writes it");
        config.insert("rope_theta".to_owned(), theta);
    };
    let theirs = numbers(&expected["base"]);
    // transformers 4 has the base in the open; another base is another model, so the fixture shows that it is found.
    for (theta, is_same) in [(json!(500.0), true), (json!(10_000.0), false)] {
        let copy = harness::Folder::new();
        let mut config: Value = serde_json::from_slice(&bytes("config.json")).unwrap();
        parameters(&mut config, theta);
        copy.write("config.json", config.to_string().as_bytes());
        for file in ["tokenizer.json", "model.safetensors"] {
            copy.write(file, &bytes(file));
        }
        let folder = Folder::open(copy.path()).unwrap();
        let model = Llama::new(&folder.config, &folder.weights).unwrap();
        let difference = apart(logits(&model, None, &expected), theirs.iter().copied());
        assert_eq!(difference < 1e-5, is_same, "{difference}");
    }
}

#[test]
fn what_is_saved_is_what_peft_saved() {
    let theirs = saved();
    let (model, adapter) = loaded();
    let ours = adapter.save("llama").unwrap();
    let (found, wanted) = (
        tensors::read(&ours.model, "ours").unwrap(),
        tensors::read(&theirs.model, "theirs").unwrap(),
    );
    assert!(found.keys().eq(wanted.keys()));
    for (name, tensor) in &wanted {
        assert_eq!(found[name].dims(), tensor.dims(), "{name}");
        assert_eq!(
            tensors::numbers(&found[name]).unwrap(),
            tensors::numbers(tensor).unwrap(),
            "{name}"
        );
    }
    // Loaded again it is the same adapter; tests/reference/peft_loads.py asks PEFT.
    let again = Adapter::load(model.config(), &ours).unwrap();
    assert_eq!(again.save("llama").unwrap(), ours);
    if let Some(place) = std::env::var_os("FTRISK_SAVE_ADAPTER").map(PathBuf::from) {
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("adapter_config.json"), &ours.config).unwrap();
        std::fs::write(place.join("adapter_model.safetensors"), &ours.model).unwrap();
    }
}

#[test]
fn loss_gradients_and_steps_are_those_of_torch() {
    let expected = json("llama/expected.json");
    let theirs = tensors::read(&bytes("expected.safetensors"), "expected.safetensors").unwrap();
    let (model, mut adapter) = loaded();
    let (tokens, targets) = (tokens(&expected), targets(&expected));
    let setting = |key: &str| expected["adamw"][key].as_f64().unwrap();
    let optimizer = AdamW {
        decay: setting("decay"),
        ..AdamW::default()
    };
    let (losses, norms) = (numbers(&expected["losses"]), numbers(&expected["norms"]));
    assert_eq!((losses.len(), norms.len()), (3, 3));
    let mut moments = Moments::default();
    for step in 0..3 {
        let tracked = adapter.tracked().unwrap();
        let hidden = model.hidden(&tokens, Some(&tracked)).unwrap();
        let loss = model.loss(&hidden, &targets).unwrap();
        let value = f64::from(loss.to_scalar::<f32>().unwrap());
        within("loss", (value / losses[step] - 1.0).abs(), 1e-5);
        let mut gradients = tracked.gradients(&loss.backward().unwrap()).unwrap();
        assert_eq!(2 * gradients.len(), theirs.len());
        if step == 0 {
            let theirs: Matrices = gradients
                .keys()
                .map(|name| {
                    let gradient = &theirs[&format!("gradient.{name}")];
                    (name.clone(), tensors::numbers(gradient).unwrap())
                })
                .collect();
            let largest = theirs.values().flatten().fold(0f32, |most, x| most.max(x.abs()));
            let difference = apart(
                gradients.values().flat_map(|ours| wide(ours)),
                theirs.values().flat_map(|theirs| wide(theirs)),
            );
            within("gradients", difference / f64::from(largest), 1e-4);
        }
        let norm = clip(&mut gradients, setting("norm"));
        within("norm", (norm / norms[step] - 1.0).abs(), 1e-5);
        let proposal = optimizer.propose(&moments, &adapter.values().unwrap(), &gradients, setting("rate"));
        adapter = adapter.with(&proposal.deltas, 1.0).unwrap();
        moments = proposal.moments;
        let mut most = 0f64;
        for (name, ours) in adapter.values().unwrap() {
            let after = theirs[&format!("after.{name}")].get(step).unwrap();
            most = most.max(apart(wide(&ours), wide(&tensors::numbers(&after).unwrap())));
        }
        within("matrices after a step", most, 1e-6);
    }
}

#[test]
fn effective_rank_is_that_of_a_dense_svd() {
    let expected = json("meters.json");
    let cases = expected["rank"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let rank = case["rank"].as_u64().unwrap() as usize;
        let ours = effective_rank(&singles(&case["b"]), &singles(&case["a"]), rank).as_f64();
        within(
            "effective rank",
            (ours - case["value"].as_f64().unwrap()).abs(),
            1e-9 * rank as f64,
        );
    }
}

#[test]
fn forward_kl_is_that_of_scipy() {
    let expected = json("meters.json");
    let cases = expected["kl"].as_array().unwrap();
    assert!(cases.len() >= 4);
    for case in cases {
        let vocab = case["vocab"].as_u64().unwrap() as usize;
        let (before, now) = (singles(&case["before"]), singles(&case["now"]));
        let logits = |values| Logits { vocab, values };
        let (ours, theirs) = (
            forward_kl(logits(&before), logits(&now)),
            case["value"].as_f64().unwrap(),
        );
        within("forward KL", (ours - theirs).abs() / theirs.max(1.0), 1e-13);
    }
}

#[test]
fn distinct_n_is_that_of_five_lines_of_python() {
    let expected = json("meters.json");
    let samples: Vec<&str> = expected["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| sample.as_str().unwrap())
        .collect();
    for (n, theirs) in (1..).zip(numbers(&expected["distinct"])) {
        assert_eq!(distinct_n(samples.iter().copied(), n).value.as_f64(), theirs, "n = {n}");
    }
}

#[test]
fn the_fixtures_name_the_tools_that_made_them() {
    // A script that is run again with other packages must say so in its own header.
    for (script, fixture) in [("llama_lora.py", "llama/expected.json"), ("meters.py", "meters.json")] {
        let text = read(Path::new("tests/reference").join(script));
        for (package, version) in json(fixture)["versions"].as_object().unwrap() {
            let pin = format!("{package}=={}", version.as_str().unwrap());
            assert!(text.contains(&pin), "{script} does not name {pin}");
        }
    }
}
