//! The values that suffice, beside every combination tried: each rule of a derivation, up to four facts missing.

use ftrisk::check::{Answer, decide, suffices};
use ftrisk::facts::{Derived, Facts, Input, Key, NumberFact, Origin, WordFact, Words, derive};
use ftrisk::quantity::{Category, Interval, QUANTITIES, Quantity};
use ftrisk::source::Sources;
use proptest::prelude::*;

use super::properties::cases;

/// Inputs that a run may leave open, with the least value and the most values that are tried of it.
const OPEN: [(Input, u32, u32); 12] = [
    (Input::PerDevice, 1, 5),
    (Input::Accumulation, 1, 5),
    (Input::GlobalBatch, 1, 7),
    (Input::ModelParallel, 1, 3),
    (Input::WorldSize, 1, 7),
    (Input::Rows, 1, 30),
    (Input::MaxSteps, 1, 25),
    (Input::Updates, 1, 25),
    (Input::WarmupSteps, 0, 9),
    (Input::Rank, 1, 9),
    (Input::AlphaPerRank, 1, 2),
    (Input::RankStabilised, 0, 2),
];

/// Numbers of a run. An input that is missing has the values from the first on, as many as the second says.
#[derive(Debug, Clone)]
struct Run {
    /// Of each of `OPEN`: whether the run has it, its least value, and how many values it may have.
    open: Vec<(bool, u32, u32)>,
    missing: Vec<prop::sample::Index>,
    rate: (f64, f64),
    alpha: (f64, f64),
    epochs: f64,
    share: f64,
    scheduler: &'static str,
    drops_last: bool,
    ends_at_first: bool,
}

fn run() -> impl Strategy<Value = Run> {
    // What is told directly wins over its rule, so that it is rare; so is what is rare in run files.
    let open: Vec<_> = OPEN
        .iter()
        .map(|(input, least, most)| {
            let had = match input {
                Input::GlobalBatch | Input::ModelParallel | Input::Updates | Input::AlphaPerRank => 0.2,
                Input::MaxSteps | Input::WarmupSteps => 0.5,
                _ => 1.0,
            };
            (prop::bool::weighted(had), *least..least + most, 2..=*most)
        })
        .collect();
    let real =
        || (0.5..4.0_f64, prop_oneof![Just(1.0), 1.0..3.0_f64]).prop_map(|(least, times)| (least, least * times));
    (
        open,
        prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        (real(), real()),
        prop_oneof![Just(0.5), Just(1.0), Just(2.5), Just(3.0)],
        prop_oneof![Just(0.0), Just(0.03), Just(0.1), Just(0.7), Just(1.0)],
        prop::sample::select(vec!["constant", "linear", "cosine", "constant_with_warmup"]),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(|(open, missing, (rate, alpha), epochs, share, scheduler, flags)| Run {
            open,
            missing,
            rate,
            alpha,
            epochs,
            share,
            scheduler,
            drops_last: flags.0,
            ends_at_first: flags.1,
        })
}

fn facts(run: &Run) -> Facts {
    let mut facts = Facts::new("test", "test-cli", Sources::default().add("run.yaml", ""));
    facts.drops_last = run.drops_last;
    facts.ends_at_first = run.ends_at_first;
    let mut set = |input, lo, hi| {
        let fact = NumberFact {
            values: Interval::new(lo, hi),
            origin: Origin::Flag("test"),
            key: Key::default(),
        };
        facts.set(input, fact);
    };
    for (at, ((input, ..), (had, least, count))) in OPEN.iter().zip(&run.open).enumerate() {
        if *had {
            let is_missing = run.missing.iter().any(|index| index.index(OPEN.len()) == at);
            let more = if is_missing { count - 1 } else { 0 };
            let most = match input {
                Input::RankStabilised => (least + more).min(1),
                _ => least + more,
            };
            set(*input, f64::from(*least), f64::from(most));
        }
    }
    set(Input::LearningRate, run.rate.0, run.rate.1);
    set(Input::Alpha, run.alpha.0, run.alpha.1);
    set(Input::Epochs, run.epochs, run.epochs);
    set(Input::WarmupRatio, run.share, run.share);
    set(Input::Beta1, 0.9, 0.9);
    set(Input::Beta2, 0.999, 0.999);
    for (category, word) in [(Category::Scheduler, run.scheduler), (Category::Optimizer, "adamw")] {
        let fact = WordFact {
            words: Words::One(word.into()),
            origin: Origin::Flag("test"),
            key: Key::default(),
        };
        facts.set_words(category, fact);
    }
    facts
}

/// The values of an input that are tried: each whole number, and of a range of others its ends and one between, because
/// every rule rises or falls in them.
fn tried(input: Input, values: Interval) -> Vec<f64> {
    if values.is_point() {
        vec![values.lo()]
    } else if matches!(input, Input::LearningRate | Input::Alpha) {
        vec![values.lo(), (values.lo() + values.hi()) / 2.0, values.hi()]
    } else {
        (values.lo() as u32..=values.hi() as u32).map(f64::from).collect()
    }
}

/// Every combination of the missing inputs' values.
fn combinations(facts: &Facts, missing: &[Input]) -> Vec<Vec<f64>> {
    missing.iter().fold(vec![Vec::new()], |so_far, input| {
        let values = tried(*input, facts.values(*input).unwrap());
        let longer = |point: &Vec<f64>| {
            let point = point.clone();
            values
                .clone()
                .into_iter()
                .map(move |value| [point.as_slice(), &[value]].concat())
        };
        so_far.iter().flat_map(longer).collect()
    })
}

/// The missing inputs that the quantity depends on: those that its rule names, and those that alone change it.
fn missing(quantity: Quantity, facts: &Facts) -> Vec<Input> {
    let whole = derive(quantity, facts);
    let named: Vec<Input> = whole.inputs().collect();
    let depends = |input: Input, values: Interval| {
        tried(input, values).into_iter().any(|value| {
            let mut one = facts.clone();
            one.narrow(input, Interval::new(value, value).unwrap());
            derive(quantity, &one) != whole
        })
    };
    let is_missing = |input: &Input| {
        facts
            .values(*input)
            .is_some_and(|values| !values.is_point() && (named.contains(input) || depends(*input, values)))
    };
    Input::ALL
        .iter()
        .chain(Input::DIRECT)
        .copied()
        .filter(is_missing)
        .collect()
}

fn at(quantity: Quantity, facts: &Facts, missing: &[Input], point: &[f64]) -> Option<f64> {
    let mut facts = facts.clone();
    for (input, value) in missing.iter().zip(point) {
        facts.narrow(*input, Interval::new(*value, *value).unwrap());
    }
    match derive(quantity, &facts) {
        // A rule that leaves an input unnamed is no single value where that one is missing.
        Derived::Values { values, .. } if values.is_point() => Some(values.lo()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_suffices_is_what_brute_force_finds(run in run(), pick in any::<prop::sample::Index>(), low in 0.0..1.0_f64, width in 0.0..1.5_f64, is_open_below in any::<bool>()) {
        let derived: Vec<Quantity> = QUANTITIES.iter().copied().filter(|quantity| quantity.row().derived).collect();
        let quantity = *pick.get(&derived);
        let facts = facts(&run);
        let Derived::Values { values: set, .. } = derive(quantity, &facts) else { return Ok(()) };
        let missing = missing(quantity, &facts);
        let points = combinations(&facts, &missing);
        let Some(values) = points.iter().map(|point| at(quantity, &facts, &missing, point)).collect::<Option<Vec<f64>>>() else { return Ok(()) };
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(set.lo() <= least && most <= set.hi(), "{quantity:?}: {set:?} does not hold {least} to {most}");
        if !least.is_finite() || !most.is_finite() { return Ok(()) }

        // A region somewhere around the values, so that all answers are common; its ends fall on values as well.
        let span = (most - least).max(most.abs() / 4.0).max(1e-9);
        let lo = least - span * 0.4 + low * span * 1.2;
        let hi = values[pick.index(values.len())].max(lo + width * span);
        let accepts = Interval::new(if is_open_below { f64::NEG_INFINITY } else { lo }, hi).unwrap();
        let inside: Vec<bool> = values.iter().map(|value| accepts.lo() <= *value && *value <= accepts.hi()).collect();
        let question = |facts: &Facts| match derive(quantity, facts) {
            Derived::Values { values, .. } if accepts.contains(values) => Answer::Within,
            Derived::Values { values, .. } if accepts.is_disjoint(values) => Answer::Over,
            _ => Answer::Mixed,
        };
        let all = decide(&facts, &missing, &question);
        if inside.iter().all(|inside| *inside) {
            prop_assert_eq!(all, Answer::Within, "{:?}", quantity);
        } else if inside.iter().any(|inside| *inside) {
            prop_assert_eq!(all, Answer::Mixed, "{:?}", quantity);
        } else {
            // Between the values that were tried of a range of real numbers there may be one that is inside.
            prop_assert!(all == Answer::Over || missing.iter().any(|input| !input.domain().integer));
        }
        for (place, input) in missing.iter().enumerate() {
            let others: Vec<Input> = missing.iter().copied().filter(|other| other != input).collect();
            let runs = suffices(&facts, *input, &others, &question).unwrap_or_else(|| panic!("{quantity:?} {input:?}: a small space is searched to its end"));
            for value in tried(*input, facts.values(*input).unwrap()) {
                let expected = points.iter().zip(&inside).all(|(point, inside)| point[place] != value || *inside);
                let found = runs.iter().any(|run| run.lo() <= value && value <= run.hi());
                prop_assert_eq!(found, expected, "{:?}: {:?} {} of {:?}", quantity, input, value, runs);
            }
            prop_assert!(runs.windows(2).all(|pair| pair[0].hi() < pair[1].lo()), "{runs:?}");
        }
    }
}
