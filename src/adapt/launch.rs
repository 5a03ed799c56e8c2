//! Facts of the launch: what no run file says, and what only the command line can supply.

use super::Launch;
use super::command::{self, Launching, World};
use super::reader::Run;
use super::said::{Said, by_default, point, unknown};
use super::table::{Ask, Null, Takes};
use crate::facts::Input::{MaxSamples, ModelParallel, Rows, Seed, WorldSize};
use crate::facts::{Key, Origin, WordFact, Words};
use crate::quantity::{Category, Interval};
use crate::source::{Place, SourceId};

/// Takes over what the command says that launches the run.
pub(super) fn told(run: &mut Run<'_>, launching: &Launching, command: SourceId) {
    let place = |span| Place { source: command, span };
    run.told_command = Some(launching.called);
    run.told_stage = launching.stage.map(|(stage, span)| (stage, place(span)));
    run.world = Some(match launching.world {
        World::Given(size, span) => (Some(f64::from(size)), Origin::Given(place(span))),
        World::Default(size, rule) => (Some(f64::from(size)), by_default(rule)),
        World::Unknown(why, span) => (None, unknown(why, "say --world-size N", span.map(place))),
    });
    // Run files of ms-swift and TRL may change the environment that decides. What ms-swift finds there where the command
    // says nothing is read with its other keys.
    for block in ["ENV", "env"] {
        let Some(map) = run.entry(block).and_then(|entry| entry.value.map()) else {
            continue;
        };
        let decides = map
            .entries
            .iter()
            .find(|entry| command::LOOKED_AT.contains(&entry.name()));
        let is_read = block == "ENV" && matches!(launching.world, World::Default(..));
        if let Some(entry) = decides.filter(|_| !is_read) {
            let why = format!("the run file sets {} for its launch", entry.name());
            let place = Some(run.place(entry.key.span));
            run.world = Some((None, unknown(why, "say --world-size N", place)));
        }
    }
}

/// The number of training processes; `why` says why the file leaves it open.
pub(super) fn world(run: &mut Run<'_>, launch: Launch, why: &str) {
    let domain = WorldSize.domain().interval;
    let (values, origin) = match launch.world_size {
        Some(size) => (
            point(f64::from(size).clamp(domain.lo(), domain.hi())),
            Origin::Flag("--world-size"),
        ),
        None => match run.world.clone() {
            Some((Some(size), origin)) => (point(size.clamp(domain.lo(), domain.hi())), origin),
            Some((None, origin)) => (Some(domain), origin),
            None => (Some(domain), unknown(why, "say --world-size N", None)),
        },
    };
    run.nameless(WorldSize, values, origin);
}

/// Devices that share one copy of the model, or one sequence.
pub(super) fn parallel(run: &mut Run<'_>, sizes: &[&'static str], null: Null) {
    let (mut shared, mut from) = (1.0, None);
    for key in sizes {
        let ask = Ask {
            key,
            takes: Takes::Whole,
            domain: ModelParallel.domain(),
            null,
            usual: Some(1.0),
        };
        match run.number(&ask) {
            Said::Value(size, place) if size > 1.0 => {
                shared *= size;
                from.get_or_insert((*key, Origin::Given(place)));
            }
            Said::Unclear(origin) => {
                return run.fact(ModelParallel, key, Some(ModelParallel.domain().interval), origin);
            }
            _ => {}
        }
    }
    match from {
        Some((key, origin)) => run.fact(ModelParallel, key, point(shared), origin),
        None => run.nameless(ModelParallel, None, by_default("every device takes its own batches")),
    }
}

/// Rows that one pass walks, of `sets` data sets; `packs` says whether a row is a packed sequence.
pub(super) fn rows(run: &mut Run<'_>, launch: Launch, sets: Option<usize>, packs: Option<bool>, stage: Option<&str>) {
    let domain = Rows.domain().interval;
    let cap = cap(run, sets, packs, stage).map(|(each, most)| (each, most.clamp(domain.lo(), domain.hi())));
    let counted = if packs == Some(false) {
        "say --dataset-rows N"
    } else {
        "say --dataset-rows N, counted after packing"
    };
    let flag = launch
        .dataset_rows
        .map(|rows| (rows as f64).clamp(domain.lo(), domain.hi()));
    let (values, origin) = match (flag, cap) {
        (Some(rows), Some((each, most))) if rows > most => {
            let sets = sets.unwrap_or(1);
            let of = if sets == 1 {
                "the data set".to_owned()
            } else {
                format!("each of {sets} data sets")
            };
            (
                point(most),
                by_default(format!(
                    "of the {rows} rows said, max_samples keeps at most {each} of {of}"
                )),
            )
        }
        (Some(rows), _) => (point(rows), Origin::Flag("--dataset-rows")),
        (None, Some((each, most))) => {
            let why = format!("the run file names data sets, not their rows; max_samples keeps at most {each} of each");
            (Interval::new(domain.lo(), most), unknown(why, counted, None))
        }
        (None, None) => {
            let why = "the run file names data sets, not their rows";
            (Some(domain), unknown(why, counted, None))
        }
    };
    run.nameless(Rows, values, origin);
}

/// What `max_samples` keeps of each set, and of all; `None` where it bounds nothing.
fn cap(run: &mut Run<'_>, sets: Option<usize>, packs: Option<bool>, stage: Option<&str>) -> Option<(f64, f64)> {
    let each = run.facts.values(MaxSamples).filter(|each| each.is_point())?;
    // Packing of supervised data only joins rows; that of plain text also cuts them.
    let joins_only = packs == Some(false) || (packs == Some(true) && stage.is_some_and(|stage| stage != "pt"));
    let streams = run.switch("streaming") == Said::Nothing || matches!(run.switch("streaming"), Said::Value(false, _));
    // Drawing with given odds until the largest set is used up can repeat the others without end.
    let repeats = run
        .text("mix_strategy")
        .given()
        .is_some_and(|mix| mix == "interleave_over")
        && run.entry("interleave_probs").is_some();
    // Tokenised data that are already there are used whole.
    let is_saved = run.text("tokenized_path") != Said::Nothing;
    (joins_only && streams && !repeats && !is_saved).then_some((each.hi(), each.hi() * sets? as f64))
}

/// What only the launch decides about a run's kin and company.
pub(super) fn lineage(run: &mut Run<'_>) {
    let key = Key::default();
    let parent = WordFact {
        words: Words::Had(false),
        origin: by_default("no parent run is named"),
        key: key.clone(),
    };
    let guard = WordFact {
        words: Words::Unknown,
        origin: unknown(
            "a run file does not say who watches the run",
            "train under ftrisk",
            None,
        ),
        key,
    };
    run.facts.set_words(Category::Parent, parent);
    run.facts.set_words(Category::Guard, guard);
}

/// Whether the run has a seed, from the number that was read.
pub(super) fn seeded(run: &mut Run<'_>) {
    let (words, origin) = match run.facts.number(Seed).cloned() {
        Some(seed) if seed.is_known() => (Words::Had(true), seed.origin),
        Some(seed) if seed.values.is_none() => (Words::Had(false), seed.origin),
        Some(seed) => (Words::Unknown, seed.origin),
        None => (Words::Had(false), by_default("no seed is written")),
    };
    run.tell(Category::Seed, "seed", words, origin);
}
