//! The counts over real run files: the page against its log, and the log against the files where they are.

#[path = "../../examples/corpus_audit/mod.rs"]
mod audit;

use super::corpus::corpus;
use super::harness::read;
use super::phrases::{numbers_left, says};
use audit::record::{self, Record};
use audit::{LOG, PAGE, PICTURE, draw, judge, page};

fn records() -> Vec<Record> {
    record::read(&read(LOG)).unwrap()
}

/// What a page says outside of its fenced blocks.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_tables_and_the_picture_are_those_of_the_log() {
    let text = read(PAGE);
    let again = page::page(&text, &records()).unwrap();
    for (line, again) in text.lines().zip(again.lines()) {
        assert_eq!(line, again, "run `corpus_audit draw`");
    }
    assert!(text == again, "run `corpus_audit draw`");
    let drawn = draw::picture(&records(), &draw::bounds().unwrap()).unwrap();
    assert!(drawn == read(PICTURE), "run `corpus_audit draw`");
}

#[test]
fn the_picture_has_the_bounds_of_the_policy() {
    let mut bounds = draw::bounds().unwrap();
    let drawn = draw::picture(&records(), &bounds).unwrap();
    for (quantity, accepts) in bounds.clone() {
        bounds.remove(&quantity);
        let is_drawn = draw::picture(&records(), &bounds).is_err();
        assert_eq!(
            is_drawn,
            ["learning_rate", "update_scale", "lora.rank", "batch.effective"].contains(&quantity.name())
        );
        bounds.insert(quantity, accepts);
    }
    assert!(drawn == draw::picture(&records(), &bounds).unwrap());
}

#[test]
fn the_sentences_are_those_of_the_log() {
    let text = prose(&read(PAGE));
    let phrases = page::phrases(&records()).unwrap();
    says(&text, &phrases);
    assert_eq!(
        numbers_left(&text, &phrases),
        SETTINGS,
        "a figure that no phrase of `page::phrases` has"
    );
}

/// The numbers in the sentences that are no counts: values of a run file, exit codes, years.
const SETTINGS: &[&str] = &["0", "1", "2", "42"];

/// A file counts once, and every file counts.
#[test]
fn the_verdicts_add_up() {
    let mut projects = 0;
    for record in records() {
        let Record::Verdicts(count) = record else { continue };
        projects += 1;
        let parts = [count.within, count.over, count.open, count.faulty, count.not_covered];
        assert_eq!(parts.iter().sum::<usize>(), count.files, "{count:?}");
        assert!(count.files > 0, "{count:?}");
    }
    assert_eq!(
        projects,
        audit::PROJECTS.len() * audit::POLICIES.len() * audit::LAUNCHES.len()
    );
}

#[test]
fn the_log_is_what_the_files_say() {
    let Some(corpus) = corpus() else { return };
    let again = record::text(&judge::audit(&corpus).unwrap()).unwrap();
    for (line, again) in read(LOG).lines().zip(again.lines()) {
        assert_eq!(line, again, "run `corpus_audit`");
    }
    assert!(again == read(LOG), "run `corpus_audit`");
}
