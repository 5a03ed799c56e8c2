//! One reading of a run file with everything that is beside it.
//!
//! What the launch decides (processes, rows, the stage) is told to the dialect as a flag would be, so that it can reckon
//! with it; the rest is laid beside what it read.

use super::command::World;
use super::said::unknown;
use super::told::{self, Told};
use super::{Beside, Launch, Text, given, mapping_of, screen, with};
use crate::adapt::pages::Pages;
use crate::diag::Diagnostic;
use crate::facts::{Facts, Input, Origin, Words};
use crate::quantity::Category;
use crate::source::{SourceId, Sources};

/// Facts of a run and what is wrong with the files that they come from.
pub(super) fn facts_of(
    run: Option<Text<'_>>,
    sources: &Sources,
    launch: Launch,
    beside: &Beside,
) -> (Option<Facts>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut told = with::read(&beside.with, sources, &mut found);
    let by_name = beside.facts.map(|source| {
        let (told, problems) = facts_file(source, sources);
        found.extend(problems);
        told
    });
    told.extend(by_name.iter().flatten().cloned());
    let mut asked = asked(&told, launch);
    // A command that says it wins over a file; that they differ is found where the two are laid beside each other.
    if let Some(Text::Command(_, _, launching)) = run
        && matches!(launching.world, World::Given(..))
    {
        asked.world_size = launch.world_size;
    }
    let (facts, problems) = match (run, beside.facts) {
        (Some(run), _) => of_run(run, sources, asked, &told),
        (None, Some(source)) => (Some(hand_rolled(source, &told, launch)), Vec::new()),
        (None, None) => (None, Vec::new()),
    };
    found.extend(problems);
    let facts = facts.map(|mut facts| {
        let is_asked = launch.dataset_rows.is_none() && asked.dataset_rows.is_some() && run.is_some();
        place(&mut facts, &told, launch, asked);
        // A dialect has made of the rows what its caps leave of them.
        told.retain(|told| !(is_asked && told.number(Input::Rows).is_some()));
        found.extend(told::merge(&mut facts, &told, sources));
        given::follow(&mut facts);
        facts
    });
    (facts, found)
}

fn facts_file(source: SourceId, sources: &Sources) -> (Vec<Told>, Vec<Diagnostic>) {
    let (root, mut found) = mapping_of(source, sources);
    let Some((root, map)) = root.as_ref().and_then(|root| Some((root, root.map()?))) else {
        return (Vec::new(), found);
    };
    let (told, problems) = given::read(source, map, sources);
    found.extend(problems);
    found.extend(screen::screen(
        Pages::new(sources, source, None),
        root,
        std::collections::BTreeSet::new(),
    ));
    (told, found)
}

/// The launch with what the files say of it, where no flag does.
fn asked(told: &[Told], launch: Launch) -> Launch {
    let number = |input| told.iter().find_map(|told| told.number(input));
    Launch {
        world_size: launch.world_size.or(number(Input::WorldSize).map(|size| size as u32)),
        dataset_rows: launch.dataset_rows.or(number(Input::Rows).map(|rows| rows as u64)),
        ..launch
    }
}

/// Reads the run file; a second time with the stage that is told, where the file leaves it open.
fn of_run(run: Text<'_>, sources: &Sources, launch: Launch, told: &[Told]) -> (Option<Facts>, Vec<Diagnostic>) {
    let read = super::facts_over(run, sources, launch);
    let is_open = read.0.as_ref().is_some_and(|facts| {
        let stage = facts.word(Category::Stage);
        stage.is_none_or(|fact| fact.words == Words::Unknown)
    });
    let word = told.iter().find_map(|told| told.word(Category::Stage));
    let stage = word.and_then(stage_of).filter(|_| is_open);
    match stage {
        Some(stage) => {
            let launch = Launch {
                stage: Some(stage),
                ..launch
            };
            super::facts_over(run, sources, launch)
        }
        None => read,
    }
}

fn stage_of(word: &str) -> Option<&'static str> {
    match Category::Stage.row().kind {
        crate::quantity::CategoryKind::Word(words) => words.iter().copied().find(|known| *known == word),
        _ => None,
    }
}

/// Facts of a run that has no file but these; flags are as good as a line of it, and win.
fn hand_rolled(source: SourceId, told: &[Told], launch: Launch) -> Facts {
    let mut facts = given::nothing_but(source, told);
    let flags = [
        (Input::WorldSize, "--world-size", launch.world_size.map(f64::from)),
        (
            Input::Rows,
            "--dataset-rows",
            launch.dataset_rows.map(|rows| rows as f64),
        ),
    ];
    for (input, flag, value) in flags {
        match (facts.number(input).cloned(), value.and_then(super::said::point)) {
            (Some(fact), Some(values)) => facts.set(
                input,
                crate::facts::NumberFact {
                    values: Some(values),
                    origin: Origin::Flag(flag),
                    ..fact
                },
            ),
            (Some(fact), None) => {
                let name = fact.key.name.clone().unwrap_or_default();
                let supply = format!("write `{name}: …`, or say {flag} N");
                facts.set(
                    input,
                    crate::facts::NumberFact {
                        origin: unknown("the facts do not say it", supply, None),
                        ..fact
                    },
                );
            }
            (None, _) => {}
        }
    }
    if let (Some(stage), Some(fact)) = (launch.stage, facts.word(Category::Stage).cloned()) {
        let words = Words::One(stage.to_owned());
        let origin = Origin::Flag("--stage");
        facts.set_words(Category::Stage, crate::facts::WordFact { words, origin, ..fact });
    }
    facts
}

/// Gives what a file said its place in that file, where the dialect took it for a flag.
fn place(facts: &mut Facts, told: &[Told], launch: Launch, asked: Launch) {
    let filled = [
        (
            Input::WorldSize,
            launch.world_size.is_none() && asked.world_size.is_some(),
        ),
        (
            Input::Rows,
            launch.dataset_rows.is_none() && asked.dataset_rows.is_some(),
        ),
    ];
    for (input, is_filled) in filled {
        let told = told.iter().find(|told| told.number(input).is_some());
        let fact = facts.number(input).cloned();
        if let (true, Some(told), Some(mut fact)) = (is_filled, told, fact)
            && matches!(fact.origin, Origin::Flag(_))
        {
            fact.origin = Origin::Given(told.place);
            fact.key.name.get_or_insert_with(|| told.name.clone());
            facts.set(input, fact);
        }
    }
    let told = told.iter().find(|told| told.word(Category::Stage).is_some());
    let fact = facts.word(Category::Stage).cloned();
    if let (None, Some(told), Some(mut fact)) = (launch.stage, told, fact)
        && matches!(fact.origin, Origin::Flag(_))
    {
        fact.origin = Origin::Given(told.place);
        fact.key.name = Some(told.name.clone());
        facts.set_words(Category::Stage, fact);
    }
}
