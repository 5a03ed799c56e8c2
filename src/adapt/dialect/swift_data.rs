//! The data of an ms-swift run, and what its loader makes of texts.

use crate::adapt::Launch;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, of_switch, point, unknown};
use crate::adapt::scalar::{Loader, Value, portable, resolve};
use crate::adapt::table::Missing::Absent;
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Null, Row, row};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::{MaxSamples, Packs, Rows, SequenceLength};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

const LENGTH: Row = row(
    "max_length",
    SequenceLength,
    Whole,
    Absent("without max_length a sequence is as long as the model takes"),
);

/// Whether the stage is one of `rlhf_type`'s, or may be; one that is not known and not written is none of them.
pub(super) fn may_be(run: &Run<'_>, stage: Option<&str>, of: &[&str]) -> bool {
    stage.map_or_else(|| run.entry("rlhf_type").is_some(), |stage| of.contains(&stage))
}

/// The data sets, and how many rows of them a pass walks.
pub(super) fn data(run: &mut Run<'_>, stage: Option<&str>, launch: Launch) {
    let dataset = run.several("dataset");
    let cap = dataset.given().and_then(|sets| cap(run, sets));
    let (words, origin) = match dataset {
        Said::Value(names, place) => (Words::Set(names), Origin::Given(place)),
        Said::Unclear(origin) => (Words::Unknown, origin),
        Said::Nothing => (
            Words::Unknown,
            unknown("the run names no data set", "write `dataset`", None),
        ),
    };
    match (cap, &origin) {
        (Some(cap), Origin::Given(place)) => run.fact(MaxSamples, "dataset", point(cap), Origin::Given(*place)),
        _ => run.absent(
            MaxSamples,
            "dataset",
            "not every data set has a `#N`: no number bounds their rows",
        ),
    }
    run.tell(Category::Dataset, "dataset", words, origin);
    let why = "without `template` the model's own is used";
    run.named(Category::Template, "template", why);
    let (packs, origin) = run.switch("packing").or_default(false, run.default());
    run.fact(Packs, "packing", of_switch(packs), origin);
    run.numbers(&[LENGTH]);
    let joins_only = joins_only(run);
    rows(run, stage, cap.filter(|_| joins_only), launch);
}

/// Rows that all data sets have together, where each says how many are drawn from it: `name#500`.
fn cap(run: &Run<'_>, sets: &[String]) -> Option<f64> {
    if run.entry("cached_dataset").is_some() || sets.is_empty() {
        return None;
    }
    let of = |set: &String| set.rsplit_once('#').and_then(|(_, rows)| rows.parse::<u32>().ok());
    sets.iter().map(of).sum::<Option<u32>>().map(f64::from)
}

/// Whether nothing makes two rows out of one.
fn joins_only(run: &mut Run<'_>) -> bool {
    let splits = run
        .text("truncation_strategy")
        .given()
        .is_some_and(|how| how == "split");
    !splits && run.entry("interleave_prob").is_none()
}

fn rows(run: &mut Run<'_>, stage: Option<&str>, cap: Option<f64>, launch: Launch) {
    let domain = Rows.domain().interval;
    let said = launch
        .dataset_rows
        .map(|rows| (rows as f64).clamp(domain.lo(), domain.hi()));
    let repeats = may_be(run, stage, &["grpo", "ppo"]);
    let packs = run.facts.values(Packs).is_none_or(|packs| packs.hi() > 0.0);
    let counted = match (repeats, packs) {
        (true, _) => "say --dataset-rows N, each prompt as often as completions are sampled for it",
        (_, true) => "say --dataset-rows N, counted after packing",
        _ => "say --dataset-rows N",
    };
    let (values, origin) = match (said, cap.filter(|_| !repeats)) {
        (Some(rows), Some(most)) if rows > most => {
            let rule = format!("of the {rows} rows said, `#N` behind the data sets draws at most {most}");
            (point(most), by_default(rule))
        }
        (Some(rows), _) => (point(rows), Origin::Flag("--dataset-rows")),
        (None, Some(most)) => {
            let why = format!("the run names data sets, not their rows; `#N` behind them draws at most {most}");
            (Interval::new(domain.lo(), most.max(1.0)), unknown(why, counted, None))
        }
        (None, None) => (
            Some(domain),
            unknown("the run names data sets, not their rows", counted, None),
        ),
    };
    run.nameless(Rows, values, origin);
}

/// Rows are held out when some are split off, or when others are named.
pub(super) fn holds_out(run: &mut Run<'_>) -> Said<bool> {
    for key in ["val_dataset", "cached_val_dataset"] {
        if let Some(entry) = run.entry(key) {
            return Said::Value(true, run.place(entry.value.span));
        }
    }
    let ask = Ask {
        key: "split_dataset_ratio",
        takes: Real,
        domain: Domain::RATIO,
        null: Null::Refused,
        usual: Some(0.0),
    };
    let streams = matches!(run.switch("streaming"), Said::Value(true, _));
    run.number(&ask).map(|ratio| ratio > 0.0 && !streams)
}

/// Warns of numbers that PyYAML takes for text. ms-swift makes them numbers again; whatever else reads the file may not.
pub(super) fn loader_text(run: &mut Run<'_>) {
    let root = run.root();
    let first = root.entries.first();
    // JSON has no such texts, and its keys are in quotes.
    if first.is_some_and(|entry| entry.key.scalar().is_some_and(|key| !key.is_plain)) {
        return;
    }
    for entry in &root.entries {
        let Some(scalar) = entry.value.scalar().filter(|scalar| scalar.is_plain) else {
            continue;
        };
        let is_text = resolve(&scalar.text, Loader::PyYaml) == Value::Text;
        let is_number = matches!(resolve(&scalar.text, Loader::OmegaConf), Value::Float(number) if number.is_finite());
        let Some(written) = portable(&scalar.text).filter(|_| is_text && is_number) else {
            continue;
        };
        let diagnostic = Diagnostic::new(Code::LoaderText, format!("PyYAML reads `{}` as text", scalar.text))
            .at(
                run.place(entry.value.span),
                "ms-swift makes a number of it again; other tools may not",
            )
            .help("everyone reads")
            .instead(written);
        run.diagnostics.push(diagnostic);
    }
}
