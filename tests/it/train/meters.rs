//! Every quantity that training decides, read on the engine; and what comes of the readings besides decisions.

use std::collections::BTreeMap;

use ftrisk::ledger::{Action, Entry, Path};
use ftrisk::quantity::{QUANTITIES, Quantity};
use ftrisk::source::sha256;
use ftrisk::train::random::{Purpose, Stream};

use super::fixture::{case, folder, journal, run_file, updates};
use crate::it::harness::{Folder, Ran};

const PAIRS: &str = r#"{"prompt":"Is it late?","answers":["yes, so it is","no, it is not"]}
{"prompt":"Is it far?","answers":["quite far","not far at all"]}
{"prompt":"Is it so?","answers":["it may be","never, not once"]}
"#;

/// The fixture's folder with a probe of each kind that a limit is read on, and the head of a policy that declares them.
pub(super) fn probed(every: u32) -> (Folder, String) {
    let folder = folder();
    folder.write("pairs.jsonl", PAIRS.as_bytes());
    let declared = |kind: &str, name: &str, file: &str| {
        let hash = sha256(&std::fs::read(folder.path().join(file)).unwrap());
        format!("probe {kind} {name} \"{file}\" sha256 \"{hash}\" every {every} updates\n")
    };
    let head = [
        "policy \"small\" for stage sft\n".to_owned(),
        declared("text", "voices", "voices.jsonl"),
        declared("prompts", "prompts", "prompts.jsonl"),
        declared("pairs", "pairs", "pairs.jsonl"),
    ];
    (folder, head.concat())
}

fn train_under(lines: &str, keys: &[(&str, &str)]) -> Ran {
    let (folder, head) = probed(2);
    case(folder, &format!("{head}{lines}\n"), &run_file(keys)).run()
}

/// The readings of every entry, by quantity and probe.
fn readings(ran: &Ran) -> Vec<BTreeMap<(String, String), f64>> {
    let all = journal(ran.folder.path()).entries;
    let of = |readings: &[ftrisk::ledger::Reading]| {
        let read = readings.iter().map(|reading| {
            let key = (reading.quantity.clone(), reading.probe.clone().unwrap_or_default());
            (key, reading.reading().as_f64())
        });
        read.collect::<BTreeMap<_, _>>()
    };
    all.iter()
        .filter_map(|entry| match entry {
            Entry::Base(base) => Some(of(&base.readings)),
            Entry::Update(update) => Some(of(&update.readings)),
            _ => None,
        })
        .collect()
}

#[test]
fn every_quantity_is_read() {
    let measured = QUANTITIES
        .iter()
        .filter(|quantity| !quantity.row().moment.is_before_training());
    let mut lines = String::new();
    let mut wanted = Vec::new();
    for quantity in measured.clone() {
        let row = quantity.row();
        let bound = match (row.dimension, row.base) {
            (_, true) if row.direction == ftrisk::quantity::Direction::Floor => "50% of base".to_owned(),
            (_, true) => "150% of base".to_owned(),
            (ftrisk::quantity::Dimension::Information, _) => "1 nats".to_owned(),
            (ftrisk::quantity::Dimension::Ratio, _) if row.name == "drift.clipped" => "5%".to_owned(),
            (ftrisk::quantity::Dimension::Ratio, _) => "60%".to_owned(),
            (ftrisk::quantity::Dimension::Number, _) => "3".to_owned(),
        };
        let word = if row.direction == ftrisk::quantity::Direction::Floor {
            "min"
        } else {
            "max"
        };
        let probes: Vec<&str> = match row.probes {
            [] => vec![""],
            kinds => kinds
                .iter()
                .map(|kind| match kind {
                    ftrisk::quantity::ProbeKind::Text => "voices",
                    kind => kind.word(),
                })
                .collect(),
        };
        for probe in probes {
            let on = if probe.is_empty() {
                String::new()
            } else {
                format!(" on {probe}")
            };
            lines.push_str(&format!("advise {word} {} {bound}{on}\n", row.name));
            wanted.push((row.name.to_owned(), probe.to_owned()));
        }
    }
    let ran = train_under(&lines, &[("max_steps", "4"), ("lora_rank", "8")]).code(0);
    let read = readings(&ran);
    let (base, second) = (&read[0], &read[2]);
    for key in &wanted {
        let quantity = Quantity::named(&key.0).unwrap();
        let is_of_an_update = quantity.row().moment == ftrisk::quantity::Moment::Update;
        // Whether a proved bound is armed is the check's to say.
        for at in [base, second].into_iter().filter(|_| !is_of_an_update) {
            let value = at.get(key).unwrap_or_else(|| panic!("{key:?} was not read"));
            assert!(value.is_finite(), "{key:?} is {value}");
        }
    }
    let at = |readings: &BTreeMap<(String, String), f64>, name: &str, probe: &str| {
        readings[&(name.to_owned(), probe.to_owned())]
    };
    // The base does not differ from itself.
    for name in ["drift.total", "drift.tail", "drift.clipped", "drift.spread"] {
        for probe in ["voices", "prompts"] {
            assert_eq!(at(base, name, probe), 0.0, "{name} on {probe}");
            assert!(at(second, name, probe) > 0.0, "{name} on {probe}");
        }
    }
    assert_eq!(at(base, "boundary.flips", "pairs"), 0.0);
    assert_eq!(at(base, "lora.effective_rank", ""), 0.0);
    // What holds between quantities, whatever they are.
    assert!(at(second, "drift.tail", "voices") >= at(second, "drift.total", "voices"));
    assert!(at(second, "lora.stable_rank", "") <= at(second, "lora.effective_rank", "") + 1e-9);
    assert!((1.0..=8.0).contains(&at(second, "lora.effective_rank", "")));
    assert!(
        at(second, "batch.top_share", "") >= 0.25,
        "one of four samples has the largest share"
    );
    assert_eq!(at(second, "bias.amplification", ""), 1.0, "all rows are one group");
    assert!(at(base, "confidence.entropy", "voices") <= (260.0_f64).ln());

    // The path begins at the base, is never shorter than the displacement, and never gets shorter.
    let entries = journal(ran.folder.path()).entries;
    let mut walked: BTreeMap<String, f64> = BTreeMap::new();
    for update in updates(&entries) {
        for Path {
            probe,
            path,
            displacement,
        } in &update.path
        {
            let (path, displacement) = (path.0.as_f64(), displacement.0.as_f64());
            assert!(
                path >= displacement * (1.0 - 1e-12) && displacement > 0.0,
                "{probe}: {path} {displacement}"
            );
            let before = walked.insert(probe.clone(), path).unwrap_or(0.0);
            assert!(path >= before);
        }
    }
    assert_eq!(walked.keys().collect::<Vec<_>>(), ["prompts", "voices"]);
}

#[test]
fn what_a_probe_cannot_resolve_is_refused() {
    // Three pairs cannot hold 2 %, and a bound next to what the base reads is told by chance.
    for (line, said) in [
        (
            "max boundary.flips 2% else stop",
            "3 prompts of `pairs` cannot resolve this bound on boundary.flips",
        ),
        (
            "max drift.clipped 2% on voices at 95% confidence",
            "5 prompts of `voices` cannot resolve this bound on drift.clipped",
        ),
        (
            "min confidence.entropy 99.9% of base",
            "5 prompts of `voices` cannot resolve this bound on confidence.entropy",
        ),
    ] {
        let ran = train_under(line, &[]).code(2);
        assert!(ran.stdout.contains("error[probe-resolution]"), "{}", ran.stdout);
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
        assert!(ran.stdout.contains("prompts would do"), "{}", ran.stdout);
        assert!(!ran.folder.path().join("out/adapter").exists());
        let advice = train_under(
            &format!("advise {}", line.trim_end_matches(" else stop")),
            &[("max_steps", "1")],
        );
        advice.code(0);
    }
}

#[test]
fn a_refused_batch_has_its_worst_sample_named() {
    let (folder, head) = probed(2);
    // One row of four is unlike the others, and alone it moves the model further.
    let other = "ZZZZZZZZZZZZZZZZZZZZ";
    let answers = [other, other, "yes, so it is", other];
    let rows = answers.map(|answer| serde_json::json!({ "instruction": "Well?", "input": "", "output": answer }));
    folder.write("data/few.json", serde_json::to_string(&rows).unwrap().as_bytes());
    let lines = "max drift.per_update 1e-9 nats on voices else skip 2 times then stop";
    let ran = case(folder, &format!("{head}{lines}\n"), &run_file(&[])).run().code(1);
    let entries = journal(ran.folder.path()).entries;
    let updates = updates(&entries);
    assert_eq!(updates[0].decision.action, Action::Skip);
    for update in &updates {
        let suspect = update.suspect.as_ref().unwrap();
        assert!(suspect.file.ends_with("few.json"), "{suspect:?}");
        assert_eq!(suspect.row, 3, "{suspect:?}");
        assert!(suspect.alone.0.as_f64() > 0.0 && suspect.others.is_some());
    }
    assert!(ran.stderr.contains("few.json row 3 moves most"), "{}", ran.stderr);
}

#[test]
fn a_paced_budget_slows_a_run_that_would_overspend() {
    let rates = |lines: &str| {
        let ran = train_under(lines, &[("max_steps", "40"), ("learning_rate", "0.001")]);
        let entries = journal(ran.folder.path()).entries;
        let updates = updates(&entries);
        let last = updates.last().unwrap();
        let spent = last
            .readings
            .iter()
            .find(|reading| reading.quantity == "drift.total")
            .unwrap();
        (
            updates.iter().map(|update| update.rate.get()).collect::<Vec<_>>(),
            last.decision.paced,
            spent.reading().as_f64(),
        )
    };
    let (plain, paced, spent) = rates("advise max drift.total 1 nats on voices");
    assert!(plain.iter().all(|rate| *rate == 0.001) && paced == 0);
    // A budget that the run would overspend by half.
    let bound = spent / 1.5;
    let (slowed, paced, spent) = rates(&format!("max drift.total {bound:.6} nats on voices paced else stop"));
    assert_eq!(slowed[0], 0.001);
    assert!(slowed.iter().any(|rate| *rate < 0.001) && paced > 0, "{slowed:?}");
    assert!(spent <= bound, "{spent} of {bound}");
    assert_eq!(slowed.len(), 40, "it was slowed and not stopped");
}

#[test]
fn a_paced_run_says_its_clock_and_replays_by_it() {
    let lines = "max drift.total 0.001 nats on voices paced else rollback and slow 9 times then stop";
    let settings = [
        ("max_steps", "12"),
        ("learning_rate", "0.001"),
        ("lr_scheduler_type", "cosine"),
        ("warmup_steps", "3"),
    ];
    let ran = train_under(lines, &settings);
    let said = "paced limits were spread over the dose of a cosine schedule of 12 updates, 3 of them warmup\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    let entries = journal(ran.folder.path()).entries;
    let ftrisk::ledger::Entry::Start(start) = &entries[0] else {
        panic!("{:?}", entries[0])
    };
    let course = ftrisk::quantity::Course::new(ftrisk::quantity::Shape::Cosine, 12, 3);
    assert_eq!(start.clock(), ftrisk::guard::Clock::Dose(course));
    let mut sources = ftrisk::source::Sources::default();
    let policy = sources.add("p", ran.file("out/policy.riskpolicy"));
    let policy = ftrisk::sema::compile(policy, &sources).policy.unwrap();
    ftrisk::ledger::replay(&policy, &start.later, start.strict, &entries).unwrap();
}

#[test]
fn a_limit_at_a_confidence_is_certified_or_broken() {
    let (folder, head) = probed(2);
    let texts: String = (0..40)
        .map(|at| format!("{{\"text\":\"line {at} of some text\"}}\n"))
        .collect();
    folder.write("many.jsonl", texts.as_bytes());
    let hash = sha256(texts.as_bytes());
    let lines = format!(
        "probe text many \"many.jsonl\" sha256 \"{hash}\" every 2 updates\nmax drift.clipped 5% on many at 90% confidence else stop"
    );
    let policy = format!("{head}{lines}\n");
    let ran = case(
        folder,
        &policy,
        &run_file(&[("learning_rate", "1e-5"), ("max_steps", "4")]),
    )
    .run()
    .code(0);
    let entries = journal(ran.folder.path()).entries;
    let evaluated: Vec<usize> = updates(&entries)
        .iter()
        .flat_map(|update| &update.readings)
        .filter(|reading| reading.quantity == "drift.clipped")
        .map(|reading| reading.prompts.len())
        .collect();
    // Certain before the probe is used up, and in whole batches.
    assert!(
        evaluated.len() == 2 && evaluated.iter().all(|count| [16, 32].contains(count)),
        "{evaluated:?}"
    );
}

/// The seed of the order in which prompts are told, and the place of `many` among the probes of the policy.
const ORDER: (u64, u64) = (0, 3);

/// What the first update's share of flips was told of each pair, in the order in which it was told, with the share.
fn flipped(rows: &[String]) -> (Vec<f64>, f64) {
    let (folder, head) = probed(2);
    let rows: String = rows.concat();
    folder.write("many.jsonl", rows.as_bytes());
    let hash = sha256(rows.as_bytes());
    let lines = format!(
        "probe pairs many \"many.jsonl\" sha256 \"{hash}\" every 1 updates\nadvise max boundary.flips 10% on many at 90% confidence"
    );
    let ran = case(
        folder,
        &format!("{head}{lines}\n"),
        &run_file(&[("learning_rate", "0.02"), ("max_steps", "1")]),
    )
    .run()
    .code(0);
    let entries = journal(ran.folder.path()).entries;
    let reading = &updates(&entries)[0].readings[0];
    let prompts = reading.prompts.iter().map(|prompt| prompt.0.as_f64()).collect();
    (prompts, reading.reading().as_f64())
}

#[test]
fn every_prompt_of_a_share_is_evidence_in_an_order_that_is_not_the_files() {
    let mut rows: Vec<String> = (0..300)
        .map(|at| format!("{{\"prompt\":\"Number {at}?\",\"answers\":[\"yes {at}\",\"no {at}\"]}}\n"))
        .collect();
    let (told, share) = flipped(&rows);
    assert_eq!(told.len(), 300);
    assert!((told.iter().sum::<f64>() / 300.0 - share).abs() < 1e-12);
    assert!(share > 0.0 && share < 1.0, "nothing to tell an order by: {share}");
    // The order is fixed: what is told first is the same place of the file, whatever stands there.
    let mut order: Vec<usize> = (0..300).collect();
    Stream::new(ORDER.0, Purpose::Prompts, 0, ORDER.1).shuffle(&mut order);
    rows.reverse();
    let (reversed, _) = flipped(&rows);
    let of_file = |told: &[f64]| {
        let mut values = vec![f64::NAN; 300];
        order.iter().zip(told).for_each(|(row, value)| values[*row] = *value);
        values
    };
    let mut back = of_file(&reversed);
    back.reverse();
    assert_eq!(of_file(&told), back);
}

#[test]
fn a_signed_bound_is_not_taken_for_one_below_the_noise() {
    // Rounding keeps drift above 0; a gap may well be asked to be below it.
    let ran = train_under("max memorisation.gap 0 nats on voices else stop", &[("max_steps", "1")]);
    assert!(!ran.stdout.contains("probe-resolution"), "{}", ran.stdout);
    // A ceiling that nothing can keep never passes: below the noise it is refused, else the first update breaks it.
    let ran = train_under("max drift.total 1e-30 nats on voices else stop", &[("max_steps", "1")]);
    assert!(
        ran.code == 1 || ran.stdout.contains("rounding alone would break this"),
        "{}",
        ran.stdout
    );
}
