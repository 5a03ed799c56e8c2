//! What must always hold, over random policies, runs and texts.

use std::fmt::Write as _;

use ftrisk::check::{Answer, decide, judge, suffices};
use ftrisk::facts::{Derived, Facts, Input, Key, NumberFact, Origin, WordFact, Words, derive};
use ftrisk::ir::Verdict;
use ftrisk::quantity::{Category, Finite, Interval, Quantity};
use ftrisk::sema::compile;
use ftrisk::source::{SourceId, Sources};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// How many random cases: few by default, more where the environment says so.
pub fn cases() -> Config {
    let cases = std::env::var("FTRISK_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200);
    Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    }
}

fn interval(lo: u32, hi: u32) -> Interval {
    Interval::new(f64::from(lo), f64::from(hi)).unwrap()
}

fn number(values: Interval) -> NumberFact {
    NumberFact {
        values: Some(values),
        origin: Origin::Unknown {
            why: "not said".into(),
            supply: "say it".into(),
            place: None,
        },
        key: Key::default(),
    }
}

/// A run whose world size and rows are ranges small enough to count through.
#[derive(Debug, Clone)]
struct Run {
    per_device: u32,
    accumulation: u32,
    world: (u32, u32),
    rows: (u32, u32),
    epochs: f64,
    max_steps: Option<u32>,
    warmup: Option<u32>,
    warmup_share: f64,
    scheduler: &'static str,
    drops_last: bool,
    copies_share: Option<u32>,
}

fn run() -> impl Strategy<Value = Run> {
    let sizes = (1..5_u32, 1..6_u32, 1..9_u32, 0..6_u32, 1..40_u32, 0..30_u32);
    let schedule = (
        prop_oneof![Just(0.5), Just(1.0), Just(2.5), Just(3.0)],
        prop::option::of(1..40_u32),
        prop::option::of(0..12_u32),
        prop_oneof![Just(0.0), Just(0.03), Just(0.1), Just(1.0)],
        prop_oneof![
            Just("constant"),
            Just("linear"),
            Just("cosine"),
            Just("constant_with_warmup")
        ],
        any::<bool>(),
        prop::option::of(1..3_u32),
    );
    (sizes, schedule).prop_map(|((p, a, w, w_more, r, r_more), s)| Run {
        per_device: p,
        accumulation: a,
        world: (w, w + w_more),
        rows: (r, r + r_more),
        epochs: s.0,
        max_steps: s.1,
        warmup: s.2,
        warmup_share: s.3,
        scheduler: s.4,
        drops_last: s.5,
        copies_share: s.6,
    })
}

fn facts(run: &Run) -> Facts {
    let mut facts = Facts::new("test", "test-cli", Sources::default().add("run.yaml", ""));
    facts.drops_last = run.drops_last;
    let mut set = |input, values| facts.set(input, number(values));
    set(Input::LearningRate, Interval::point(Finite::new(1e-3).unwrap()));
    set(Input::PerDevice, interval(run.per_device, run.per_device));
    set(Input::Accumulation, interval(run.accumulation, run.accumulation));
    set(Input::WorldSize, interval(run.world.0, run.world.1));
    set(Input::Rows, interval(run.rows.0, run.rows.1));
    set(Input::Epochs, Interval::point(Finite::new(run.epochs).unwrap()));
    set(
        Input::WarmupRatio,
        Interval::point(Finite::new(run.warmup_share).unwrap()),
    );
    if let Some(steps) = run.max_steps {
        set(Input::MaxSteps, interval(steps, steps));
    }
    if let Some(steps) = run.warmup {
        set(Input::WarmupSteps, interval(steps, steps));
    }
    if let Some(shared) = run.copies_share {
        set(Input::ModelParallel, interval(shared, shared));
    }
    let scheduler = WordFact {
        words: Words::One(run.scheduler.into()),
        origin: Origin::Flag("test"),
        key: Key::default(),
    };
    facts.set_words(Category::Scheduler, scheduler);
    facts
}

const DERIVED: [Quantity; 8] = [
    Quantity::BatchEffective,
    Quantity::Epochs,
    Quantity::Updates,
    Quantity::Samples,
    Quantity::WarmupFraction,
    Quantity::LearningRateArea,
    Quantity::LearningRateFinal,
    Quantity::DatasetRows,
];

fn answer(quantity: Quantity, accepts: Interval, facts: &Facts) -> Answer {
    match derive(quantity, facts) {
        Derived::Values { values, .. } if accepts.contains(values) => Answer::Within,
        Derived::Values { values, .. } if accepts.is_disjoint(values) => Answer::Over,
        _ => Answer::Mixed,
    }
}

/// The value at one world size and one number of rows.
fn at(quantity: Quantity, whole: &Facts, world: u32, rows: u32) -> f64 {
    let mut facts = whole.clone();
    facts.narrow(Input::WorldSize, interval(world, world));
    facts.narrow(Input::Rows, interval(rows, rows));
    match derive(quantity, &facts) {
        Derived::Values { values, .. } => {
            assert!(values.is_point(), "{quantity:?} at one point is {values:?}");
            values.lo()
        }
        other => panic!("{quantity:?}: {other:?}"),
    }
}

proptest! {
    #![proptest_config(cases())]

    /// The set evaluator says what counting through every value says; and so do the conditions it states.
    #[test]
    fn sets_agree_with_brute_force(run in run(), pick in 0..DERIVED.len(), low in 0.0..1.0_f64, width in 0.0..1.5_f64) {
        let quantity = DERIVED[pick];
        let facts = facts(&run);
        let worlds: Vec<u32> = (run.world.0..=run.world.1).collect();
        let rows: Vec<u32> = (run.rows.0..=run.rows.1).collect();
        let values: Vec<Vec<f64>> = worlds.iter().map(|w| rows.iter().map(|r| at(quantity, &facts, *w, *r)).collect()).collect();
        let all = values.iter().flatten();
        let least = all.clone().copied().fold(f64::INFINITY, f64::min);
        let most = all.clone().copied().fold(f64::NEG_INFINITY, f64::max);
        // The derived set encloses every value.
        if let Derived::Values { values, .. } = derive(quantity, &facts) {
            prop_assert!(values.lo() <= least && most <= values.hi(), "{values:?} does not hold {least} to {most}");
        }
        // A region somewhere around the values, so that all three answers are common.
        let span = (most - least).max(most.abs() / 4.0).max(1e-9);
        let lo = least - span * 0.4 + low * span * 1.2;
        let accepts = Interval::new(lo, lo + width * span).unwrap();
        let inside = |value: f64| accepts.lo() <= value && value <= accepts.hi();
        let expected = if all.clone().all(|v| inside(*v)) {
            Answer::Within
        } else if all.clone().all(|v| !inside(*v)) {
            Answer::Over
        } else {
            Answer::Mixed
        };
        let missing = [Input::WorldSize, Input::Rows];
        let question = |facts: &Facts| answer(quantity, accepts, facts);
        prop_assert_eq!(decide(&facts, &missing, &question), expected);

        let by_world: Vec<u32> = worlds.iter().zip(&values).filter(|(_, row)| row.iter().all(|v| inside(*v))).map(|(w, _)| *w).collect();
        let by_rows: Vec<u32> = rows.iter().enumerate().filter(|(i, _)| values.iter().all(|row| inside(row[*i]))).map(|(_, r)| *r).collect();
        for (input, other, expected) in [(Input::WorldSize, Input::Rows, by_world), (Input::Rows, Input::WorldSize, by_rows)] {
            let runs = suffices(&facts, input, &[other], &question).expect("a small space is searched to its end");
            let listed: Vec<u32> = runs.iter().flat_map(|run| run.lo() as u32..=run.hi() as u32).collect();
            prop_assert_eq!(listed, expected, "{:?}", input);
        }
    }

    /// The order of a policy's lines never changes a verdict.
    #[test]
    fn order_never_matters(run in run(), keys in prop::collection::vec(any::<u32>(), LINES.len())) {
        let facts = facts(&run);
        let mut order: Vec<usize> = (0..LINES.len()).collect();
        let before = verdicts(&order, &facts);
        order.sort_by_key(|i| keys[*i]);
        prop_assert_eq!(verdicts(&order, &facts), before);
    }

    /// Whatever the bytes, a policy is read without a panic, and every place lies in the text.
    #[test]
    fn no_text_breaks_the_parser(text in text()) {
        let mut sources = Sources::default();
        let source = sources.add("x.riskpolicy", text.as_str());
        let compiled = compile(source, &sources);
        for diagnostic in &compiled.diagnostics {
            for label in &diagnostic.labels {
                prop_assert!(text.get(label.place.span.start..label.place.span.end).is_some(), "{diagnostic:?}");
            }
            prop_assert!(!diagnostic.message.is_empty());
        }
        prop_assert!(compiled.policy.is_some() || !compiled.diagnostics.is_empty(), "dropped without a word");
    }

    /// A line to write instead is a statement that parses, wherever a whole line is offered.
    #[test]
    fn what_is_offered_instead_parses(text in mutated()) {
        let mut sources = Sources::default();
        let source = sources.add("x.riskpolicy", text.as_str());
        for diagnostic in compile(source, &sources).diagnostics {
            let Some(instead) = diagnostic.instead.filter(|line| line.starts_with("max ") || line.starts_with("min ") || line.starts_with("range ")) else {
                continue;
            };
            let mut again = Sources::default();
            let id = again.add("y.riskpolicy", format!("policy \"x\"\n{instead}\n"));
            let parsed = ftrisk::syntax::parse(id, &again);
            prop_assert!(parsed.diagnostics.is_empty(), "{instead}: {:?}", parsed.diagnostics);
        }
    }
}

const LINES: [&str; 12] = [
    "assume world_size 1 to 6",
    "assume dataset.rows 3 to 50",
    "max learning_rate 1e-3",
    "max updates 12",
    "max epochs 3",
    "range batch.effective 4 to 32",
    "for dataset.rows below 20 { max epochs 2 }",
    "for scheduler cosine | linear { min warmup_fraction 3% }",
    "max learning_rate.area 0.02",
    "advise max samples 60",
    "allow scheduler cosine | constant",
    "require seed",
];

/// The verdicts of the lines in their own order, whatever order they were written in.
fn verdicts(order: &[usize], facts: &Facts) -> Vec<(String, Verdict)> {
    let mut text = "policy \"x\"\n".to_owned();
    for i in order {
        let _ = writeln!(text, "{}", LINES[*i]);
    }
    let mut sources = Sources::default();
    let source = sources.add("x.riskpolicy", text);
    let compiled = compile(source, &sources);
    let policy = compiled.policy.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    let judgement = judge(&policy, facts, &sources, false);
    let mut verdicts: Vec<(String, Verdict)> = judgement
        .lines
        .into_iter()
        .map(|judged| {
            let place = policy.lines[judged.line].place;
            (sources.get(source).slice(place.span).to_owned(), judged.verdict)
        })
        .collect();
    verdicts.sort_by(|a, b| a.0.cmp(&b.0));
    verdicts
}

/// Words of the language in any order, with strays between, and arbitrary text.
fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "policy",
        "\"x\"",
        "for",
        "stage",
        "sft",
        "|",
        ",",
        "{",
        "}",
        "max",
        "min",
        "range",
        "lora.rank",
        "16",
        "0.05",
        "nats",
        "%",
        "of base",
        "on",
        "general",
        "else",
        "scale",
        "then",
        "stop",
        "until",
        "at 95% confidence",
        "paced",
        "\n",
        "#c",
        "//",
        "<=",
        "“",
        "\u{202e}",
        "1e999",
        "-3",
        ".5",
        "16.",
        "probe text general \"a\"",
        "advise",
        "allow",
        "require",
        "seed",
        "waive",
        "test",
        "expect",
        "given",
        "\"",
        "\\",
        "assume",
        "world_size",
        "1 to 8",
        "\u{feff}",
        "extends",
        "日本",
        "drift.total",
    ]);
    prop_oneof![
        prop::collection::vec(word, 0..60).prop_map(|words| words.join(" ")),
        any::<String>(),
        mutated(),
    ]
}

const SAMPLE: &str = include_str!("../../policies/cautious-sft.riskpolicy");

/// A real policy with a few characters changed.
fn mutated() -> impl Strategy<Value = String> {
    prop::collection::vec((0..SAMPLE.len(), "[ -~\n“，%0-9]{0,3}", 0..4_usize), 1..4).prop_map(|edits| {
        let mut text = SAMPLE.to_owned();
        for (at, with, cut) in edits {
            let floor = |at: usize| {
                (0..=at.min(text.len()))
                    .rev()
                    .find(|i| text.is_char_boundary(*i))
                    .unwrap_or(0)
            };
            let (start, end) = (floor(at), floor(at + cut).max(floor(at)));
            text.replace_range(start..end, &with);
        }
        text
    })
}

/// The tree of a source must not depend on what else is in the store.
#[test]
fn ids_of_another_store_are_empty() {
    let mut sources = Sources::default();
    let _: SourceId = sources.add("a", "text");
    let other = Sources::default();
    let id = sources.add("b", "text");
    assert_eq!(other.get(id).text(), "");
}
