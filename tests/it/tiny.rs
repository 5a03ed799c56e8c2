//! The tiny base model: its recipe, the weights that are shipped, and the run files that fine-tune it.

#[path = "../../examples/tiny/texts.rs"]
mod texts;

#[path = "../../examples/tiny/recipe.rs"]
mod recipe;

use ftrisk::train::config::Config;
use ftrisk::train::folder::Folder as ModelFolder;
use ftrisk::train::model::Llama;

use super::harness::{Case, Folder, read, repository};
use recipe::{Base, share_of_peak};
use texts::{batch, bits_per_byte, tokens, units, voices};

const BASE: &str = "examples/tiny/base";

fn config() -> Config {
    Config::read(read(format!("{BASE}/config.json")).as_bytes(), "config.json").unwrap()
}

/// The number in the row of a voice in MODEL.md.
fn stated(card: &str, voice: &str) -> f64 {
    card.lines()
        .find_map(|line| line.strip_prefix(&format!("| {voice} | "))?.strip_suffix(" |"))
        .unwrap_or_else(|| panic!("MODEL.md has no row for {voice}"))
        .parse()
        .unwrap()
}

#[test]
fn the_recipe_takes_its_first_updates_as_it_did() {
    let excerpt = read("examples/tiny/excerpt.txt");
    let training: Vec<Vec<u32>> = voices(&excerpt).iter().map(|(_, text)| tokens(units(text))).collect();
    let config = config();
    let mut base = Base::new(&config, 1).unwrap();
    let losses: Vec<f64> = (0..3)
        .map(|update| {
            let rows = batch(&training, 2, 1, update).unwrap();
            base.update(&config, &rows, 3e-3 * share_of_peak(update, 100)).unwrap()
        })
        .collect();
    for (loss, expected) in losses.iter().zip(EXPECTED) {
        assert!((loss / expected - 1.0).abs() < 1e-4, "{losses:?}");
    }
}

/// What the first updates cost, in nats a token; another kind of machine rounds differently.
const EXPECTED: [f64; 3] = [5.647_414_7, 5.233_790_9, 4.947_579_9];

#[test]
fn the_shipped_weights_are_those_of_the_card() {
    let card = read(format!("{BASE}/MODEL.md"));
    assert!(!card.contains("under way"), "the base is not trained to its end");
    let folder = ModelFolder::open(&repository().join(BASE)).unwrap();
    let hash = &folder.hashes["model.safetensors"];
    assert!(card.contains(hash.as_str()), "MODEL.md does not name {hash}");
    let size = std::fs::metadata(repository().join(BASE).join("model.safetensors"))
        .unwrap()
        .len();
    assert!(size <= 2 << 20, "{size} bytes");
    let model = Llama::new(&folder.config, &folder.weights).unwrap();
    for (voice, text) in voices(&read("examples/tiny/heldout.txt")) {
        let bits = bits_per_byte(&model, text).unwrap();
        assert!((bits - stated(&card, voice)).abs() < 2e-3, "{voice}: {bits}");
    }
}

#[test]
fn the_gate_takes_the_sound_run_and_refuses_the_narrow_one() {
    for (policy, run, rows, code) in [
        ("cautious", "sound", "600", 0),
        ("cautious", "narrow", "20", 1),
        ("lifted", "narrow", "20", 0),
        ("advise", "narrow", "20", 0),
    ] {
        let folder = Folder::new();
        folder.copy("examples/tiny/probes");
        for name in [format!("{policy}.riskpolicy"), format!("{run}.yaml")] {
            let path = format!("examples/tiny/{name}");
            folder.write(&path, read(&path).as_bytes());
        }
        Case::within(folder)
            .args([
                "check",
                &format!("examples/tiny/{policy}.riskpolicy"),
                &format!("examples/tiny/{run}.yaml"),
            ])
            .args(["--dataset-rows", rows, "--world-size", "1"])
            .run()
            .code(code);
    }
}
