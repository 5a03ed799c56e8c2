//! Journals of random guarded runs: what is read is what was written, and what was changed is found.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::guard::{Clock, Fit, Guard, Measured};
use crate::ir::{Asks, Policy};
use crate::meter;
use crate::quantity::{Course, Finite, Quantity, Shape};
use crate::sema::compile;
use crate::source::Sources;

const POLICY: &str = "policy \"p\"
probe text general \"g.jsonl\" every 5 updates
probe prompts \"p.jsonl\" every 10 updates
max drift.per_update 0.01 nats on general else scale 6 times then skip and slow 5 times then stop
max drift.total 0.05 nats on general else rollback and slow 4 times then stop
min diversity.distinct_2 40% of base on prompts else rollback and slow 2 times
advise max lora.effective_rank 4
";

fn policy() -> Policy {
    let mut sources = Sources::default();
    let id = sources.add("p.riskpolicy", POLICY);
    compile(id, &sources).policy.unwrap()
}

fn later(policy: &Policy) -> Vec<usize> {
    let limits = policy.lines.iter().enumerate();
    limits
        .filter(|(_, line)| matches!(line.asks, Asks::Limit(_)))
        .map(|(index, _)| index)
        .collect()
}

fn finite(value: f64) -> Finite {
    Finite::new(value).unwrap()
}

fn measured(quantity: Quantity, probe: Option<usize>, value: f64) -> Measured {
    Measured::new(quantity, probe, value.into())
}

/// The size of the whole step, drift, diversity, effective rank.
type Proposal = (f64, f64, f64, f64);

fn start(policy: &Policy) -> Entry {
    let some = |name: &str| BTreeMap::from([(name.to_owned(), "ab".repeat(32))]);
    Entry::Start(Box::new(Start {
        format: FORMAT,
        ftrisk: "0.1.0".to_owned(),
        policy: "cd".repeat(32),
        run: "ef".repeat(32),
        model: some("model.safetensors"),
        data: some("资料 \"x\".jsonl"),
        probes: some("general"),
        seed: u64::MAX,
        threads: 2,
        cpu: vec!["avx2".to_owned(), "fma".to_owned()],
        strict: false,
        waivers: Vec::new(),
        updates: 0,
        schedule: None,
        later: later(policy),
    }))
}

/// A run as a training loop would journal it.
fn journal(policy: &Policy, run: &[Proposal]) -> Vec<Entry> {
    let mut guard = Guard::arm(policy, &later(policy), false).unwrap();
    let written = |readings: &[Measured]| -> Vec<Reading> { readings.iter().map(|m| Reading::of(m, policy)).collect() };
    let mut entries = vec![start(policy)];
    let evaluation = |drift, diversity, rank| {
        vec![
            measured(Quantity::DriftTotal, Some(0), drift),
            measured(Quantity::DiversityDistinct2, Some(1), diversity),
            measured(Quantity::LoraEffectiveRank, None, rank),
        ]
    };
    let base = evaluation(0.0, 0.5, 0.0);
    guard.begin(&base).unwrap();
    entries.push(Entry::Base(Base {
        readings: written(&base),
    }));
    let (mut update, mut last, mut why) = (0, 0, Why::Finished);
    for &(size, drift, diversity, rank) in run {
        update += 1;
        last = update;
        let complete = guard.is_complete(update, false);
        let mut readings = evaluation(drift, diversity, rank);
        readings.truncate(if complete { 3 } else { 1 });
        let mut tries = Vec::new();
        let mut scale = 1.0;
        let decision = loop {
            let step = [measured(Quantity::DriftPerUpdate, Some(0), size * scale)];
            tries.push(Try {
                scale: finite(scale),
                readings: written(&step),
            });
            match guard.fit(update, scale, &step) {
                Fit::Measure { scale: next } => scale = next,
                Fit::Act(decision) => {
                    readings.clear();
                    break decision;
                }
                Fit::Fixed { .. } | Fit::Drop => break guard.decide(update, &readings, complete),
            }
        };
        let decision = Decision::of(&decision, policy);
        entries.push(Entry::Update(Box::new(Update {
            update,
            epoch: finite(update as f64 / 7.0),
            rate: finite(2e-4 * 0.5_f64.powi(guard.halvings() as i32)),
            loss: Number(size.ln().into()),
            tokens: 512,
            tries,
            readings: written(&readings),
            complete,
            path: Vec::new(),
            suspect: None,
            decision: decision.clone(),
        })));
        match decision.action {
            Action::Rollback { to } => update = to,
            Action::Stop { .. } => {
                why = Why::Stopped;
                break;
            }
            Action::Commit { .. } | Action::Skip => {}
        }
    }
    entries.push(Entry::End(End {
        why,
        update: last,
        saved_from: Some(guard.kept()),
    }));
    entries
}

fn lines(entries: &[Entry]) -> Vec<String> {
    let mut journal = Journal::new();
    entries.iter().map(|entry| journal.line(entry) + "\n").collect()
}

fn runs() -> impl Strategy<Value = Vec<Proposal>> {
    let reading = |most: f64| prop_oneof![20 => 0.0..most, 1 => Just(f64::NAN), 1 => Just(0.0)];
    prop::collection::vec((reading(0.03), reading(0.055), reading(1.0), reading(8.0)), 1..40)
}

/// A short run with a scaled step, a rollback and a reading that is not finite.
fn example() -> (Policy, Vec<Entry>) {
    let policy = policy();
    let run = [
        (0.005, 0.01, 0.5, 1.0),
        (0.04, 0.01, 0.5, 1.0),
        (0.005, 0.06, 0.5, 1.0),
        (f64::NAN, 0.01, 0.5, 1.0),
    ];
    let entries = journal(&policy, &run);
    (policy, entries)
}

#[test]
fn a_line_says_what_the_documentation_says() {
    let (_, entries) = example();
    let lines = lines(&entries);
    let without_hash = |line: &str| {
        let (prev, rest) = line.trim_end().split_once(',').unwrap();
        assert_eq!(prev.len(), "{\"prev\":\"\"".len() + 64);
        rest.to_owned()
    };
    assert!(lines[0].starts_with(&format!(
        "{{\"prev\":\"{}\",\"entry\":\"start\",\"format\":1,",
        "0".repeat(64)
    )));
    assert_eq!(
        without_hash(&lines[1]),
        r#""entry":"base","readings":[{"quantity":"drift.total","probe":"general","value":0.0},{"quantity":"diversity.distinct_2","probe":"prompts","value":0.5},{"quantity":"lora.effective_rank","value":0.0}]}"#
    );
    assert_eq!(
        without_hash(&lines[3]),
        concat!(
            r#""entry":"update","update":2,"epoch":0.2857142857142857,"rate":0.0002,"loss":-3.2188758248682006,"tokens":512,"#,
            r#""tries":[{"scale":1.0,"readings":[{"quantity":"drift.per_update","probe":"general","value":0.04}]},"#,
            r#"{"scale":0.475,"readings":[{"quantity":"drift.per_update","probe":"general","value":0.019}]},"#,
            r#"{"scale":0.2375,"readings":[{"quantity":"drift.per_update","probe":"general","value":0.0095}]}],"#,
            r#""readings":[{"quantity":"drift.total","probe":"general","value":0.01}],"complete":false,"#,
            r#""decision":{"action":"commit","scale":0.2375,"slow":false,"keep":false,"stalled":false,"#,
            r#""breaches":[{"line":0,"quantity":"drift.per_update","probe":"general","value":0.04,"bound":0.01,"floor":false,"#,
            r#""cause":"outside","rung":{"action":"scale","slow":false,"times":6,"use":1},"advice":false}]}}"#
        )
    );
    // The rollback went back to 0, so this is update 1 again.
    assert!(lines[5].contains(r#""entry":"update","update":1,"#) && lines[5].contains(r#""loss":"not finite""#));
    assert!(lines[5].contains(r#""value":"not finite""#), "{}", lines[5]);
    assert_eq!(
        without_hash(&lines[6]),
        r#""entry":"end","why":"finished","update":1,"saved_from":0}"#
    );
}

#[test]
fn a_changed_byte_a_dropped_line_and_a_swapped_pair_are_found() {
    let (_, entries) = example();
    let lines = lines(&entries);
    let text = lines.concat();
    let whole = read(text.as_bytes()).unwrap();
    // Every byte but those of the last line; the head covers that one.
    let covered = text.len() - lines.last().unwrap().len();
    for at in (0..covered).step_by(3) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        assert!(read(&bytes).is_err(), "byte {at}");
    }
    for at in covered..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        assert!(read(&bytes).is_ok_and(|read| read.head != whole.head) || read(&bytes).is_err());
    }
    for drop in 0..lines.len() - 1 {
        let mut fewer = lines.clone();
        fewer.remove(drop);
        let broken = read(fewer.concat().as_bytes()).unwrap_err();
        assert_eq!(broken.line, drop + 1, "{broken}");
        let mut swapped = lines.clone();
        swapped.swap(drop, drop + 1);
        assert!(read(swapped.concat().as_bytes()).is_err());
    }
    // Blanks would not change the meaning; they are not how it is written, and the line after would not follow.
    let spaced = text.replacen("\"entry\":", "\"entry\": ", 1);
    assert!(read(spaced.as_bytes()).is_err());
}

#[test]
fn what_cannot_stand_where_it_stands_is_found() {
    let (policy, entries) = example();
    let why = |entries: &[Entry]| read(lines(entries).concat().as_bytes()).unwrap_err();
    assert_eq!(why(&entries[1..]).line, 1);
    assert_eq!(why(&[start(&policy), start(&policy)]).line, 2);
    assert_eq!(why(&[entries[0].clone(), entries[2].clone()]).line, 2);
    let end = entries.last().unwrap();
    assert_eq!(why(&[entries[0].clone(), end.clone(), end.clone()]).line, 3);
    let mut other = entries.clone();
    if let Entry::Start(start) = &mut other[0] {
        start.format = 2;
    }
    assert!(why(&other).why.contains("format 2"));
    assert_eq!(read(b"nonsense\n").unwrap_err().line, 1);
}

#[test]
fn a_torn_last_line_is_dropped_and_told() {
    let (_, entries) = example();
    let lines = lines(&entries);
    let text = lines.concat();
    let last = lines.last().unwrap().len();
    let whole = text.len() - last;
    for torn in 1..last {
        let read = read(&text.as_bytes()[..whole + torn]).unwrap();
        assert_eq!(
            (read.torn, read.bytes, read.entries.len()),
            (torn, whole, entries.len() - 1)
        );
    }
    // Writing goes on where it was torn, and gives the same text.
    let read_back = read(&text.as_bytes()[..whole + 5]).unwrap();
    let mut journal = Journal::after(&read_back);
    assert_eq!(journal.line(entries.last().unwrap()) + "\n", lines[lines.len() - 1]);
    assert_eq!(read(b"").unwrap().entries, []);
    assert_eq!(read(b"{").unwrap().torn, 1);
}

#[test]
fn numbers_are_numbers_or_not_finite() {
    for text in ["1e999", "\"NaN\"", "null", "true", "\"\""] {
        assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
    }
    assert_eq!(serde_json::from_str::<Number>("3").unwrap().0, 3.0.into());
    assert_eq!(serde_json::from_str::<Number>("-3").unwrap().0, (-3.0).into());
    let number = Number(meter::Reading::NotFinite);
    assert_eq!(serde_json::to_string(&number).unwrap(), "\"not finite\"");
}

#[test]
fn an_end_that_does_not_follow_is_a_difference() {
    let (policy, entries) = example();
    let replay = |change: &dyn Fn(&mut End)| {
        let mut entries = entries.clone();
        if let Some(Entry::End(end)) = entries.last_mut() {
            change(end);
        }
        replay(&policy, &later(&policy), false, &entries)
    };
    assert_eq!(replay(&|_| {}), Ok(()));
    assert!(replay(&|end| end.why = Why::Stopped).is_err());
    assert!(replay(&|end| end.update = 9).is_err());
    assert!(replay(&|end| end.saved_from = Some(3)).is_err());
    assert!(replay(&|end| end.saved_from = None).is_err());
    assert_eq!(replay(&|end| end.why = Why::Interrupted), Ok(()));
    assert!(super::replay(&policy, &later(&policy), true, &entries).is_err());
    assert!(super::replay(&policy, &[0], false, &entries).is_err());
    // A missing update.
    let mut fewer = entries.clone();
    fewer.remove(2);
    assert_eq!(
        super::replay(&policy, &later(&policy), false, &fewer)
            .unwrap_err()
            .entry,
        3
    );
}

/// A run under a limit at a confidence: the base, a pass, and two prompts too few.
fn certified() -> (Policy, Guard, Vec<Entry>) {
    let mut sources = Sources::default();
    let text = "policy \"p\"\nprobe text general \"g.jsonl\" every 5 updates\nmax drift.clipped 2% at 95% confidence\n";
    let policy = compile(sources.add("p.riskpolicy", text), &sources).policy.unwrap();
    let armed = Guard::arm(&policy, &later(&policy), false).unwrap();
    let clipped = |prompts: usize, value: f64| Measured {
        standard_error: Finite::new(0.25),
        prompts: vec![value.into(); prompts],
        ..measured(Quantity::DriftClipped, Some(0), value)
    };
    let (base, pass, few) = (clipped(19, 0.0), clipped(24, 0.0), clipped(2, 0.0));
    let mut guard = armed.clone();
    guard.begin(std::slice::from_ref(&base)).unwrap();
    let mut entries = vec![start(&policy)];
    entries.push(Entry::Base(Base {
        readings: vec![Reading::of(&base, &policy)],
    }));
    for (update, measured) in [(5, pass), (10, few)] {
        for update in update - 4..=update {
            let readings = if update % 5 == 0 {
                std::slice::from_ref(&measured)
            } else {
                &[]
            };
            let complete = guard.is_complete(update, false);
            let decision = guard.decide(update, readings, complete);
            entries.push(Entry::Update(Box::new(Update {
                update,
                epoch: Finite::ZERO,
                rate: Finite::ONE,
                loss: Number(1.0.into()),
                tokens: 1,
                tries: Vec::new(),
                readings: readings.iter().map(|measured| Reading::of(measured, &policy)).collect(),
                complete,
                path: Vec::new(),
                suspect: None,
                decision: Decision::of(&decision, &policy),
            })));
        }
    }
    entries.push(Entry::End(End {
        why: Why::Stopped,
        update: 10,
        saved_from: Some(5),
    }));
    (policy, armed, entries)
}

#[test]
fn prompts_are_written_and_replay_to_the_same_certificates() {
    let (policy, armed, entries) = certified();
    let text = lines(&entries).concat();
    let read = read(text.as_bytes()).unwrap();
    assert_eq!(read.entries, entries);
    assert!(
        text.contains(r#""value":0.0,"error":0.25,"prompts":[0.0,0.0]}"#),
        "{text}"
    );
    assert!(text.contains(r#""cause":"uncertain""#));
    let replay = |entries: &[Entry]| replay::replay_with(armed.clone(), &policy, &later(&policy), false, entries);
    assert_eq!(replay(&read.entries), Ok(()));
    // A prompt fewer at the base, and the run would not have started; two more at the end, and it would have gone on.
    let mut fewer = entries.clone();
    if let Entry::Base(base) = &mut fewer[1] {
        base.readings[0].prompts.pop();
    }
    assert_eq!(replay(&fewer).unwrap_err().entry, 3);
    let mut more = entries;
    if let Entry::Update(update) = &mut more[11] {
        update.readings[0].prompts = vec![Number(0.0.into()); 28];
    }
    assert_eq!(replay(&more).unwrap_err().entry, 12);
}

#[test]
fn a_reading_without_error_and_prompts_reads_back() {
    let old = r#"{"quantity":"drift.total","probe":"general","value":0.5}"#;
    let reading: Reading = serde_json::from_str(old).unwrap();
    assert_eq!((reading.error, reading.prompts.len()), (None, 0));
    assert_eq!(serde_json::to_string(&reading).unwrap(), old);
    let measured = reading.measured(&policy()).unwrap();
    assert_eq!((measured.standard_error, measured.prompts.len()), (None, 0));
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written_and_replays(run in runs()) {
        let policy = policy();
        let entries = journal(&policy, &run);
        let text = lines(&entries).concat();
        let read = read(text.as_bytes()).unwrap();
        prop_assert_eq!((&read.entries, read.torn, read.bytes), (&entries, 0, text.len()));
        prop_assert_eq!(replay(&policy, &later(&policy), false, &read.entries), Ok(()));
    }

    #[test]
    fn every_number_reads_back_to_the_bit(bits in any::<u64>()) {
        let reading = meter::Reading::from(f64::from_bits(bits));
        let entry = Entry::Base(Base { readings: vec![Reading {
            quantity: "drift.total".to_owned(),
            probe: None,
            value: Number(reading),
            error: Some(Number(reading)),
            prompts: vec![Number(reading); 2],
        }] });
        let policy = policy();
        let text = lines(&[start(&policy), entry.clone()]).concat();
        prop_assert_eq!(&read(text.as_bytes()).unwrap().entries[1], &entry);
    }

    #[test]
    fn a_planted_reading_is_a_difference(run in runs(), which in any::<prop::sample::Index>()) {
        let policy = policy();
        let mut entries = journal(&policy, &run);
        let updates: Vec<usize> = (0..entries.len()).filter(|i| matches!(entries[*i], Entry::Update(_))).collect();
        let at = updates[which.index(updates.len())];
        let Entry::Update(update) = &mut entries[at] else { unreachable!() };
        // The whole update on the other side of its budget.
        let value = &mut update.tries[0].readings[0].value;
        let over = value.0.value().is_none_or(|value| value.get() > 0.01);
        *value = Number(if over { 0.0.into() } else { 0.02.into() });
        let difference = replay(&policy, &later(&policy), false, &entries).unwrap_err();
        prop_assert_eq!(difference.entry, at + 1);
    }
}

#[test]
fn a_journal_carries_the_clock_of_its_pace() {
    let mut sources = Sources::default();
    let text =
        "policy \"p\"\nprobe text general \"g.jsonl\" every 2 updates\nmax drift.total 1 nats on general paced\n";
    let policy = compile(sources.add("p.riskpolicy", text), &sources).policy.unwrap();
    let course = Course::new(Shape::Linear, 10, 0);
    let Entry::Start(mut start) = start(&policy) else {
        unreachable!()
    };
    (start.updates, start.schedule) = (10, Some(super::Schedule::of(&course)));
    assert_eq!(start.clock(), Clock::Dose(course));
    let mut guard = Guard::arm(&policy, &later(&policy), false).unwrap();
    guard.spread_over(start.clock());
    let drift = |value| vec![measured(Quantity::DriftTotal, Some(0), value)];
    let written = |readings: &[Measured]| readings.iter().map(|m| Reading::of(m, &policy)).collect::<Vec<_>>();
    guard.begin(&drift(0.0)).unwrap();
    let mut entries = vec![
        Entry::Start(start),
        Entry::Base(Base {
            readings: written(&drift(0.0)),
        }),
    ];
    // By dose 19 and 34 of 55 are over, by updates 2 and 4 of 10.
    let mut paced = Vec::new();
    for (update, value) in [(1, 0.1), (2, 0.3), (3, 0.4), (4, 0.7)] {
        let (readings, complete) = if update % 2 == 0 {
            (drift(value), true)
        } else {
            (Vec::new(), false)
        };
        let decision = guard.decide(update, &readings, complete);
        paced.push(decision.paced);
        entries.push(Entry::Update(Box::new(Update {
            update,
            epoch: Finite::ZERO,
            rate: Finite::ZERO,
            loss: Number(0.0.into()),
            tokens: 0,
            tries: Vec::new(),
            readings: written(&readings),
            complete,
            path: Vec::new(),
            suspect: None,
            decision: Decision::of(&decision, &policy),
        })));
    }
    assert_eq!(paced, [0, 0, 0, 1]);
    let mut journal = Journal::new();
    let text: String = entries.iter().map(|entry| journal.line(entry) + "\n").collect();
    assert!(
        text.contains("\"updates\":10,\"schedule\":{\"shape\":\"linear\",\"warmup\":0}"),
        "{text}"
    );
    let read = read(text.as_bytes()).unwrap();
    assert_eq!(read.entries, entries);
    replay(&policy, &later(&policy), false, &read.entries).unwrap();
    // By another clock it would have been slowed at update 2.
    if let Some(Entry::Start(start)) = entries.first_mut() {
        start.schedule = None;
        assert_eq!(start.clock(), Clock::Updates(10));
    }
    let difference = replay(&policy, &later(&policy), false, &entries).unwrap_err();
    assert_eq!(difference.entry, 4, "{difference}");
}
