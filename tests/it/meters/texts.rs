//! The meters on samples against nltk, sacrebleu and zlib, as `tests/reference/texts.py` asked them; and the lexicon.

use std::collections::BTreeSet;
use std::path::Path;

use ftrisk::builtin;
use ftrisk::meter::compression::compression;
use ftrisk::meter::distinct::distinct_n;
use ftrisk::meter::self_bleu::self_bleu;
use ftrisk::meter::tone::{Lexicon, absolutes};
use ftrisk::meter::words::words;
use ftrisk::meter::{Estimate, template};
use serde_json::Value;

use crate::it::harness::read;

/// A case of the fixture.
struct Case {
    name: String,
    samples: Vec<String>,
    value: Value,
}

impl Case {
    fn samples(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(String::as_str)
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        let values = self.value[key].as_array().unwrap();
        values.iter().map(|x| x.as_f64().unwrap()).collect()
    }

    /// The standard error at `place` among those of the fixture; the largest case has none.
    #[track_caller]
    fn same_error(&self, place: usize, found: &Estimate, most: f64) {
        if self.value["errors"].is_null() {
            return;
        }
        let wanted = self.numbers("errors")[place];
        let found = found.standard_error.unwrap().get();
        assert!(
            (found - wanted).abs() <= most,
            "{}: error {found} is not {wanted}",
            self.name
        );
    }
}

fn fixture() -> Value {
    serde_json::from_str(&read(Path::new("tests/reference/texts.json"))).unwrap()
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = fixture()["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| Case {
            name: value["name"].as_str().unwrap().to_owned(),
            samples: serde_json::from_value(value["samples"].clone()).unwrap(),
            value: value.clone(),
        })
        .collect();
    assert!(cases.len() >= 7);
    cases
}

#[test]
fn words_and_distinct_n_are_those_of_nltk() {
    for case in cases() {
        let counts: Vec<f64> = case.samples().map(|sample| words(sample).len() as f64).collect();
        assert_eq!(counts, case.numbers("words"), "{}", case.name);
        for (n, theirs) in (1..).zip(case.numbers("distinct")) {
            let ours = distinct_n(case.samples(), n);
            assert_eq!(ours.value.as_f64(), theirs, "{}, n = {n}", case.name);
            if n == 2 {
                case.same_error(0, &ours, 1e-12);
            }
        }
    }
}

#[test]
fn self_bleu_is_that_of_sacrebleu_and_nltk() {
    let mut by_nltk = 0;
    for case in cases() {
        let ours = self_bleu(case.samples());
        let theirs = case.numbers("bleu");
        assert_eq!(ours.prompts.len(), theirs.len());
        let mut most: f64 = 0.0;
        for ((ours, theirs), nltk) in ours
            .prompts
            .iter()
            .zip(&theirs)
            .zip(case.value["nltk"].as_array().unwrap())
        {
            most = most.max((ours.as_f64() - theirs).abs());
            if let Some(nltk) = nltk.as_f64() {
                by_nltk += 1;
                most = most.max((ours.as_f64() - nltk).abs());
            }
        }
        println!("BLEU, {}: {most:.2e} of 1e-9", case.name);
        assert!(most <= 1e-9, "{}: {most:e}", case.name);
        let mean = theirs.iter().sum::<f64>() / theirs.len() as f64;
        assert!((ours.value.as_f64() - mean).abs() <= 1e-9);
        case.same_error(1, &ours, 1e-9);
    }
    assert!(by_nltk >= 20, "nltk has compared {by_nltk}");
}

#[test]
fn compression_is_near_that_of_zlib() {
    for case in cases() {
        let [bytes, packed] = case.numbers("deflate")[..] else {
            panic!("two lengths");
        };
        let ours = compression(case.samples()).value.as_f64();
        let theirs = bytes / packed;
        println!("compression, {}: {ours:.4} beside {theirs:.4}", case.name);
        // Another compressor: 2 per cent. Of short texts it codes the tables of codes where zlib does without.
        let most = if bytes < 1000.0 { 16.0 } else { 0.02 * packed };
        assert!((bytes / ours - packed).abs() <= most, "{}", case.name);
    }
}

#[test]
fn template_share_is_that_of_groups_by_nltk() {
    for case in cases() {
        let ours = template::share(case.samples());
        let size = case.value["template"].as_u64().unwrap() as usize;
        assert_eq!(
            ours.value,
            (size as f64 / case.samples.len() as f64).into(),
            "{}",
            case.name
        );
        case.same_error(2, &ours, 1e-12);
        let phrasing = template::phrasing(case.samples());
        assert_eq!(phrasing.map_or(0, |phrasing| phrasing.samples.len()), size);
    }
}

#[test]
fn varied_texts_follow_no_template_and_filled_in_ones_do() {
    let cases = cases();
    let of = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
    assert_eq!(template::share(of("general texts").samples()).value, 0.0.into());
    assert_eq!(template::share(of("one sentence").samples()).value, 1.0.into());
    let filled = of("a template");
    assert!(template::share(filled.samples()).value.as_f64() > 0.5);
    println!("{}", template::phrasing(filled.samples()).unwrap());
}

/// The entries of the shipped lexicon of one language, or of all.
fn shipped(lang: Option<&str>) -> Vec<String> {
    let file = builtin::probe("builtin:words.jsonl").unwrap();
    let rows = std::str::from_utf8(file.bytes).unwrap().lines();
    let rows = rows.map(|row| serde_json::from_str::<Value>(row).unwrap());
    rows.filter(|row| lang.is_none_or(|lang| row["lang"] == lang))
        .map(|row| row["word"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_shipped_lexicon_is_lower_case_and_says_nothing_twice() {
    let (en, zh, all) = (shipped(Some("en")), shipped(Some("zh")), shipped(None));
    assert!(en.len() >= 60 && zh.len() >= 40 && en.len() + zh.len() == all.len());
    let read: BTreeSet<Vec<String>> = all.iter().map(|entry| words(entry)).collect();
    assert_eq!(read.len(), all.len());
    for entry in &all {
        assert!(!words(entry).is_empty() && *entry == entry.to_lowercase(), "{entry}");
    }
}

#[test]
fn the_shipped_lexicon_tells_absolute_answers_from_ordinary_texts() {
    let lexicon = Lexicon::new(shipped(None));
    for (text, share) in [
        ("That is always, without a doubt, impossible.", 5.0 / 7.0),
        ("This often helps, and sometimes it may not.", 0.0),
        ("毫无疑问，所有人都必须去。", 9.0 / 11.0),
        ("也许可以再看看，不急。", 0.0),
    ] {
        assert_eq!(absolutes([text], &lexicon).value, share.into(), "{text}");
    }
    for lang in ["en", "zh"] {
        let of = |file: &str, key: &str| {
            let rows = builtin::probe(&format!("builtin:{file}")).unwrap().bytes;
            let rows = std::str::from_utf8(rows).unwrap().lines();
            let rows: Vec<Value> = rows.map(|row| serde_json::from_str(row).unwrap()).collect();
            let texts = rows
                .iter()
                .filter(|row| row["lang"] == lang)
                .flat_map(|row| match &row[key] {
                    Value::Array(answers) => answers.iter().collect(),
                    text => vec![text],
                });
            absolutes(texts.map(|text| text.as_str().unwrap()), &lexicon)
                .value
                .as_f64()
        };
        // Half of the answers to pairs are overconfident by design.
        let (ordinary, pairs) = (of("general.jsonl", "text"), of("pairs.jsonl", "answers"));
        println!("absolutes, {lang}: {ordinary:.4} of ordinary texts, {pairs:.4} of the answers to pairs");
        assert!(ordinary < 0.01 && pairs > 2.0 * ordinary, "{ordinary} {pairs}");
    }
}

#[test]
fn the_fixture_names_the_tools_that_made_it() {
    let script = read(Path::new("tests/reference/texts.py"));
    for (package, version) in fixture()["versions"].as_object().unwrap() {
        let pin = format!("{package}=={}", version.as_str().unwrap());
        assert!(script.contains(&pin), "texts.py does not name {pin}");
    }
}
