//! The figures that pages, policies and the picture show, made again from the logs of the runs they come from.

#[expect(dead_code, reason = "the command also measures; here only its log is read")]
#[path = "../../examples/tiny/acceptance/mod.rs"]
mod acceptance;

#[expect(dead_code, reason = "the command also runs; here only its log is read")]
#[path = "../../examples/tiny/scenarios/mod.rs"]
mod scenarios;

use super::harness::read;
use super::phrases::{numbers_left, says};
use acceptance::page::{listed, page, phrases};
use acceptance::rules::{self, Cells};
use acceptance::sums::{deviation, explained, exponent, mean, spearman};
use scenarios::record::{self, Record};
use scenarios::{SEED, draw};

const PAGE: &str = "docs/explanation/scenarios.md";

fn cells() -> Cells {
    rules::read(&read("docs/figures/acceptance.jsonl"))
}

fn records() -> Vec<Record> {
    record::read(&read("docs/figures/scenarios.jsonl")).unwrap()
}

/// The runs that the figures in words are about.
struct Told(Vec<Record>);

impl Told {
    fn of(&self, name: &str) -> [&Record; 2] {
        draw::pair(&self.0, name, SEED).unwrap()
    }

    /// The guarded sound runs, whatever their seed.
    fn sound(&self, of: fn(&Record) -> f64) -> Vec<f64> {
        let runs = self
            .0
            .iter()
            .filter(|record| record.scenario == "sound" && record.governed);
        runs.map(of).collect()
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

#[test]
fn the_measured_tables_are_those_of_the_log() {
    let text = read(acceptance::page::PATH);
    // As long as the page itself: a difference is easier to find than in one string.
    let again = page(&text, &cells()).unwrap();
    for (line, again) in text.lines().zip(again.lines()) {
        assert_eq!(line, again);
    }
    assert!(text == again);
    let rules = text.lines().filter(|line| line.starts_with("| H")).count();
    assert!(rules >= 9, "{rules} rules");
}

#[test]
fn the_measured_sentences_are_those_of_the_log() {
    let text = read(acceptance::page::PATH);
    let phrases = phrases(&cells()).unwrap();
    says(&text, &phrases);
    // What is left says how the runs were set up. The costs behind it are of one machine, and the page says so.
    let (measured, costs) = text.split_once("## What the guard costs").unwrap();
    assert!(costs.contains("no log has them"));
    assert_eq!(
        numbers_left(measured, &phrases),
        SETTINGS,
        "a figure that no phrase of `page::phrases` has"
    );
}

/// The numbers in the sentences of `measured.md` that are settings of runs.
const SETTINGS: [&str; 9] = ["0.001", "0.005", "0.01", "1e-3", "3e-3", "3e-4", "4", "40", "8"];

#[test]
fn the_table_and_the_picture_are_those_of_the_log() {
    let text = read(PAGE);
    assert!(
        draw::page(&text, &records(), SEED).unwrap() == text,
        "run `tiny_scenarios draw`"
    );
    let bounds = draw::bounds(&read(scenarios::POLICY)).unwrap();
    let drawn = draw::picture(&records(), SEED, &bounds).unwrap();
    assert!(drawn == read("docs/figures/scenarios.svg"), "run `tiny_scenarios draw`");
}

#[test]
fn the_picture_has_the_bounds_of_the_policy() {
    let policy = read(scenarios::POLICY);
    let drawn = |policy: &str| draw::picture(&records(), SEED, &draw::bounds(policy).unwrap());
    let other = policy.replace("0.25 nats on general", "0.26 nats on general");
    assert_ne!(drawn(&policy).unwrap(), drawn(&other).unwrap());
    let other = policy.replace("below 85% of base", "below 84% of base");
    assert_ne!(drawn(&policy).unwrap(), drawn(&other).unwrap());
    assert!(drawn("policy \"none\"\nmax epochs 3\n").is_err());
}

#[test]
fn the_sentences_about_the_six_runs_are_those_of_the_log() {
    let told = Told(records());
    let [[fast, guarded], [narrow, held]] = ["rate-x30", "narrow-30-epochs"].map(|name| told.of(name));
    let names = ["rank-x8", "poisoned-batch-1", "mislabelled-group"];
    assert!(
        names
            .map(|name| told.of(name)[1])
            .iter()
            .all(|run| run.end == "finished")
    );
    assert!((guarded.scaled, guarded.saved_from, guarded.drift) == (20, 0, 0.0));
    assert!(fast.held_out > fast.held_out_base && narrow.held_out > narrow.held_out_base);
    assert!(narrow.loss < 0.05 && held.held_out < held.held_out_base);
    assert!((held.rolled_back, held.halvings, held.end.as_str()) == (2, 2, "stopped"));
    assert!((1.0 - narrow.distinct_2 - 1.0 / 3.0).abs() < 0.05);
    // “No further than the sound run”, to the digits of the sentence.
    let sound = told.of("sound")[1].drift;
    assert!(names.iter().all(|name| told.of(name)[0].drift < 1.1 * sound));
    assert!(
        told.0
            .iter()
            .filter(|run| run.scenario == "sound")
            .all(|run| run.end == "finished")
    );
    let pairs = read("policies/probes/pairs.jsonl").lines().count();
    let phrases = [
        format!("Without it the model drifts to {:.2} nats", fast.drift),
        format!(
            "Flips come one pair in {pairs} at a time, which is {:.0} %",
            100.0 / pairs as f64
        ),
        format!(
            "The runs are short: {} updates, {} where the batch is one row or the data are narrow",
            fast.planned, narrow.planned
        ),
        format!("with {} other seeds", told.sound(|run| run.drift).len() - 1),
    ];
    says(&read(PAGE), &phrases);
    let before = numbers_left(&read(PAGE), &phrases);
    // The sentence below the table, which is held to the byte, and ranks.
    assert_eq!(before, ["0", "0.1656", "64", "97", "distinct-2"]);
}

#[test]
fn the_comments_of_the_policies_are_those_of_the_logs() {
    let told = Told(records());
    let [fast, narrow, rank] = ["rate-x30", "narrow-30-epochs", "rank-x8"].map(|name| told.of(name)[0]);
    let drifts = told.sound(|run| run.drift);
    let cautious = [
        format!(
            "reads at most {:.4} nats at an update",
            most(&told.sound(|run| run.largest_update))
        ),
        format!(
            "ends at {:.2} to {:.2} nats over {} seeds",
            least(&drifts),
            most(&drifts),
            drifts.len()
        ),
        format!("at thirty times the rate it ends at {:.2}", fast.drift),
        format!("on narrow data at {:.2}", narrow.drift),
        format!(
            "keeps at least {:.0} % of the base's diversity",
            (100.0 * least(&told.sound(|run| run.distinct_2))).floor()
        ),
        format!("the narrow one falls to {:.0} %", 100.0 * narrow.distinct_2),
        format!("Eight times the rank at the same scale ended at {:.2} nats", rank.drift),
    ];
    let text = read(scenarios::POLICY);
    let comments: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    says(&comments.join("\n"), &cautious);
    // “In equal numbers of samples small batches drift more, in equal numbers of updates large ones do.”
    let table = rules::table(&cells());
    let batch = table.lines().find(|line| line.starts_with("| H10 ")).unwrap();
    assert!(batch.ends_with("| holds |"), "{batch}");
    let left = numbers_left(&comments.join("\n"), &cautious);
    assert_eq!(
        left,
        ["0.9"],
        "a figure that no run is held to; 0.9 M are the base's parameters"
    );

    let ends = told.0.iter().filter(|run| run.seed == SEED).map(|run| run.drift);
    let worst = format!("ended at {:.2} nats", most(&ends.collect::<Vec<f64>>()));
    let text = read("policies/exploratory.riskpolicy");
    let comments: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    says(&comments.join("\n"), std::slice::from_ref(&worst));
    assert!(numbers_left(&comments.join("\n"), &[worst]).is_empty());
}

#[test]
fn the_sums_are_what_they_are_called() {
    let points =
        |of: fn(f64) -> f64| -> Vec<(f64, f64)> { (1..=5).map(|x| (f64::from(x), of(f64::from(x)))).collect() };
    assert!((exponent(&points(|x| 7.0 * x.powf(1.5))) - 1.5).abs() < 1e-12);
    assert_eq!(spearman(&points(f64::exp)), 1.0);
    assert_eq!(spearman(&points(|x| -x)), -1.0);
    // Ties share the mean of their ranks: 1.5, 1.5, 3 against 1, 2, 3 is √3/2.
    assert!((spearman(&[(1.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) - 0.75_f64.sqrt()).abs() < 1e-12);
    assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    assert!((deviation(&[1.0, 2.0, 6.0]) - 7.0_f64.sqrt()).abs() < 1e-12);
    assert!((explained(&points(|x| 2.0 - 3.0 * x + 0.5 * x * x)) - 1.0).abs() < 1e-12);
    // Of x³ over −2…2 the slope 17/5 explains 115.6 of 130, and x² nothing.
    let cubes: Vec<(f64, f64)> = (-2..=2).map(|x| (f64::from(x), f64::from(x * x * x))).collect();
    assert!((explained(&cubes) - 115.6 / 130.0).abs() < 1e-12);
    assert_eq!(listed(["1", "2", "3"].map(str::to_owned)), "1, 2 and 3");
}
