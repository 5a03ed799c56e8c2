//! Conversations without a process: the cases of `tests/conformance`, and loops that say anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::guard::Guard;
use crate::ir::{Asks, Policy};
use crate::ledger::{Entry, FORMAT, Schedule, Start, read, replay};
use crate::quantity::{Course, Shape};
use crate::sema::compile;
use crate::source::Sources;

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn policy() -> (Policy, Sources) {
    named("conformance")
}

fn named(name: &str) -> (Policy, Sources) {
    let mut sources = Sources::default();
    let text = std::fs::read_to_string(conformance().join(format!("{name}.riskpolicy"))).unwrap();
    let id = sources.add(format!("{name}.riskpolicy"), text);
    (compile(id, &sources).policy.unwrap(), sources)
}

fn later(policy: &Policy) -> Vec<usize> {
    let lines = policy.lines.iter().enumerate();
    lines
        .filter(|(_, line)| matches!(line.asks, Asks::Limit(_)))
        .map(|(index, _)| index)
        .collect()
}

fn session<'p>(policy: &'p Policy, sources: &'p Sources) -> Session<'p> {
    let later = later(policy);
    let start = Start {
        format: FORMAT,
        ftrisk: "0.1.0".to_owned(),
        policy: "ab".repeat(32),
        run: "cd".repeat(32),
        model: BTreeMap::new(),
        data: BTreeMap::new(),
        probes: BTreeMap::new(),
        seed: 7,
        threads: 0,
        cpu: Vec::new(),
        strict: false,
        waivers: Vec::new(),
        // As `tests/conformance/run.yaml` has it.
        updates: 10,
        schedule: Some(Schedule::of(&Course::new(Shape::Linear, 10, 0))),
        later: later.clone(),
    };
    Session::new(policy, sources, Guard::arm(policy, &later, false).unwrap(), start)
}

/// The journal of a session is whole, and replaying it gives the same decisions.
fn replays(policy: &Policy, record: &[String]) -> Vec<Entry> {
    let text: String = record.iter().map(|line| format!("{line}\n")).collect();
    let read = read(text.as_bytes()).unwrap();
    replay(policy, &later(policy), false, &read.entries).unwrap();
    read.entries
}

/// Whether an answer has everything that is expected of it; as in `tests/conformance/guard.py`.
fn fits(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .all(|(key, expected)| found.get(key).is_some_and(|found| fits(expected, found))),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(expected, found)| fits(expected, found))
        }
        (Value::Number(expected), Value::Number(found)) => expected.as_f64() == found.as_f64(),
        (Value::String(expected), Value::String(found)) => match expected.strip_suffix('*') {
            Some(beginning) => found.starts_with(beginning),
            None => expected == found,
        },
        _ => expected == found,
    }
}

#[test]
fn the_cases_go_as_they_are_written_and_their_journals_replay() {
    let mut played = 0;
    for entry in std::fs::read_dir(conformance().join("cases")).unwrap() {
        let path = entry.unwrap().path();
        let case = std::fs::read_to_string(&path).unwrap();
        let (policy, sources) = named(
            case.lines()
                .find_map(|line| line.strip_prefix("with "))
                .unwrap_or("conformance"),
        );
        let mut session = session(&policy, &sources);
        let mut said = std::collections::VecDeque::from([session.hello()]);
        let (mut record, mut code) = (Vec::new(), None);
        for (index, line) in case.lines().enumerate() {
            let at = format!("{}:{}", path.display(), index + 1);
            let mut take = |reply: Reply| {
                record.extend(reply.record);
                said.extend(reply.lines);
                code = reply.code;
            };
            if let Some(sent) = line.strip_prefix("> ") {
                take(session.line(sent));
            } else if let Some(expected) = line.strip_prefix("< ") {
                let found = said.pop_front().unwrap_or_else(|| panic!("{at}: nothing is said"));
                let parsed: Value = serde_json::from_str(&found).unwrap();
                assert!(
                    fits(&serde_json::from_str(expected).unwrap(), &parsed),
                    "{at}: the guard says {found}"
                );
            } else if line == "close" {
                take(session.close());
            } else if let Some(expected) = line.strip_prefix("exit ") {
                assert_eq!(code.map(|code| code.to_string()).as_deref(), Some(expected), "{at}");
            } else {
                assert!(line.starts_with('#') || line.starts_with("with "), "{at}");
            }
        }
        assert!(said.is_empty() && code.is_some(), "{}: {said:?}", path.display());
        assert_eq!(session.close(), Reply::default(), "nothing follows the end");
        let entries = replays(&policy, &record);
        // What broke the protocol ended nothing in order; neither did what never began.
        let ended = matches!(entries.last(), Some(Entry::End(_)));
        assert_eq!(ended, code != Some(2) && !record.is_empty(), "{}", path.display());
        played += 1;
    }
    assert!(played >= 20, "{played}");
}

#[test]
fn numbers_come_back_to_the_bit_and_summaries_name_the_head_of_the_journal() {
    let (policy, sources) = policy();
    let mut session = session(&policy, &sources);
    let value = 0.1 + 0.2 - 0.3 + f64::MIN_POSITIVE;
    let base = json!({"type": "base", "readings": [
        {"quantity": "drift.total", "probe": "general", "value": value},
        {"quantity": "lora.effective_rank", "value": 1},
        {"quantity": "diversity.distinct_2", "probe": "prompts", "value": 0.5, "error": 0.01, "prompts": [0.4, 0.6]}]});
    let mut record = session.line(&base.to_string()).record;
    let end = session.line("{\"type\":\"end\"}");
    record.extend(end.record);
    let entries = replays(&policy, &record);
    let Entry::Base(base) = &entries[1] else {
        panic!("{entries:?}")
    };
    assert_eq!(base.readings[0].reading(), value.into());
    let summary: Value = serde_json::from_str(&end.lines[0]).unwrap();
    let head = crate::source::sha256(record.last().unwrap().as_bytes());
    assert_eq!(summary["journal_head"], json!(head));
    assert_eq!(summary["end"], json!("finished"));
}

/// What no per-update limit is there to stop ends the run, as in training.
#[test]
fn a_loss_that_is_not_finite_ends_a_run_that_measures_nothing_of_an_update() {
    let mut sources = Sources::default();
    let id = sources.add("p", "policy \"p\"\nmax lora.effective_rank 4 else stop\n");
    let policy = compile(id, &sources).policy.unwrap();
    let mut session = session(&policy, &sources);
    let mut record = session
        .line("{\"type\":\"base\",\"readings\":[{\"quantity\":\"lora.effective_rank\",\"value\":1}]}")
        .record;
    let reply = session.line("{\"type\":\"propose\",\"update\":1,\"scale\":1,\"readings\":[],\"loss\":\"Infinity\"}");
    assert_eq!(reply.code, Some(1));
    assert!(reply.lines[0].contains("\"action\":\"stop\""), "{reply:?}");
    assert!(reply.lines[1].contains("\"end\":\"not_finite\""), "{reply:?}");
    record.extend(reply.record);
    replays(&policy, &record);
}

/// What a loop may say: sense and nonsense.
fn said() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        6 => (0.0..0.08_f64).prop_map(|x| json!(x)),
        1 => Just(json!("NaN")),
        1 => Just(Value::Null),
    ];
    let reading = (0..4_usize, number).prop_map(|(which, value)| {
        let (quantity, probe) = [
            ("drift.per_update", Some("general")),
            ("drift.total", Some("general")),
            ("lora.effective_rank", None),
            ("diversity.distinct_2", Some("prompts")),
        ][which];
        json!({"quantity": quantity, "probe": probe, "value": value})
    });
    let readings = prop::collection::vec(reading, 0..4);
    prop_oneof![
        1 => ".{0,40}",
        1 => Just("{\"type\":\"end\"}".to_owned()),
        4 => (prop_oneof![Just("base"), Just("propose"), Just("decide")], 0..4_u64, 0.0..2.0_f64, readings).prop_map(
            |(kind, update, scale, readings)| json!({"type": kind, "update": update, "scale": scale, "readings": readings}).to_string()
        ),
    ]
}

proptest! {
    #[test]
    fn whatever_a_loop_says_there_is_an_answer_or_an_end(lines in prop::collection::vec(said(), 1..12)) {
        let (policy, sources) = policy();
        let mut session = session(&policy, &sources);
        for line in lines {
            let reply = session.line(&line);
            prop_assert!(!reply.lines.is_empty());
            for line in &reply.lines {
                prop_assert!(serde_json::from_str::<Value>(line).is_ok() && !line.contains('\n'));
            }
            if reply.code.is_some() {
                break;
            }
        }
    }

    /// A loop that keeps to the protocol, with any readings: it always gets on, and its journal replays.
    #[test]
    fn an_honest_loop_gets_to_its_end(
        steps in prop::collection::vec((0.0..0.05_f64, 0.2..3.0_f64, 0.0..0.07_f64, 0.3..0.6_f64, 0..12_u8), 1..40),
        close in any::<bool>(),
    ) {
        let (policy, sources) = policy();
        let mut session = session(&policy, &sources);
        let value = |quantity: &str, total: f64, distinct: f64| match quantity {
            "drift.total" => json!(total),
            "diversity.distinct_2" => json!(distinct),
            _ => json!(1),
        };
        let answer_to = |due: &Value, total: f64, distinct: f64| -> Vec<Value> {
            let due = due.as_array().unwrap().iter();
            due.map(|due| {
                let mut reading = due.clone();
                reading["value"] = value(due["quantity"].as_str().unwrap(), total, distinct);
                reading
            }).collect()
        };
        let hello: Value = serde_json::from_str(&session.hello()).unwrap();
        let mut reply = session.line(&json!({"type": "base", "readings": answer_to(&hello["due"], 0.0, 0.5)}).to_string());
        let mut record = reply.record.clone();
        let mut update = json!(1);
        for (size, power, total, distinct, loss) in steps {
            if update.is_null() || reply.code.is_some() {
                break;
            }
            let mut scale = 1.0;
            let answer: Value = loop {
                let step = size * f64::powf(scale, power);
                let loss = if loss == 0 { Value::Null } else { json!(2.0) };
                let readings = json!([{"quantity": "drift.per_update", "probe": "general", "value": step}]);
                reply = session.line(&json!({"type": "propose", "update": update, "scale": scale, "loss": loss, "readings": readings}).to_string());
                record.extend(reply.record.clone());
                let answer: Value = serde_json::from_str(&reply.lines[0]).unwrap();
                match answer["type"].as_str().unwrap() {
                    "measure" => scale = answer["scale"].as_f64().unwrap(),
                    "decision" => break answer,
                    "fixed" | "drop" => {
                        let readings = answer_to(&answer["due"], total, distinct);
                        reply = session.line(&json!({"type": "decide", "update": update, "readings": readings}).to_string());
                        record.extend(reply.record.clone());
                        break serde_json::from_str(&reply.lines[0]).unwrap();
                    }
                    other => prop_assert!(false, "{} {:?}", other, reply),
                }
            };
            prop_assert_eq!(&answer["type"], "decision");
            if answer["action"] == "commit" && answer["scale"] == 1.0 {
                prop_assert!(size <= 0.01 && loss > 0 && total <= 0.05);
            }
            update = answer["next"].clone();
        }
        if reply.code.is_none() {
            reply = if close { session.close() } else { session.line("{\"type\":\"end\"}") };
            prop_assert_eq!(reply.code, Some(u8::from(close)));
            record.extend(reply.record);
        }
        replays(&policy, &record);
    }
}
