//! `ftrisk train` from end to end, on a model of its own that is small enough to be trained in a second.

// Signals and limits of the shell.
#[cfg(unix)]
mod ends;
mod fixture;
mod gradients;
mod input;
mod invariants;
mod meters;
mod probe;
mod states;

use std::fs;

use ftrisk::ledger::{self, Action, Entry, RungAction, Why};
use ftrisk::meter::tone::Lexicon;
use ftrisk::source::Sources;
use ftrisk::train::live::Live;
use ftrisk::train::lora::{Adapter, Saved};
use ftrisk::train::measure::Meters;
use ftrisk::train::state::State;

use super::harness::Ran;
use fixture::{Bench, case, config, folder, journal, policy, run_file, summary, train, updates};

/// Everything that the guard can do, one after the other, at the rate of the fixture.
const LADDER: &str =
    "max drift.per_update 0.0001 nats on voices else scale 3 times then rollback and slow 2 times then stop
max drift.total 0.1 nats on voices else rollback and slow 2 times then stop
min diversity.distinct_2 50% of base";

/// The same limits by word only.
const ADVICE: &str = "advise max drift.per_update 0.0001 nats on voices
advise max drift.total 0.1 nats on voices";

fn adapter(ran: &Ran) -> Vec<u8> {
    fs::read(ran.folder.path().join("out/adapter/adapter_model.safetensors")).unwrap()
}

/// What was done with each proposal, in order.
fn actions(ran: &Ran) -> Vec<Action> {
    let journal = journal(ran.folder.path());
    let updates = updates(&journal.entries).into_iter();
    updates.map(|update| update.decision.action.clone()).collect()
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let run = |threads: &str, seed: &str| {
        case(folder(), &policy(2, LADDER), &run_file(&[("seed", seed)]))
            .env("RAYON_NUM_THREADS", threads)
            .run()
            .code(1)
    };
    let one = run("1", "7");
    let journal_of = |ran: &Ran| ran.file("out/journal.jsonl");
    let again = run("1", "7");
    assert_eq!(journal_of(&one), journal_of(&again));
    assert_eq!(one.file("out/summary.json"), again.file("out/summary.json"));
    assert_eq!(adapter(&one), adapter(&again));
    assert_eq!(one.stdout, again.stdout);

    // Threads are told by the first entry and decide nothing. Each line holds the hash of the one before it, so entries
    // are compared and not lines.
    let two = run("2", "7");
    let entries = |ran: &Ran| {
        let mut entries = journal(ran.folder.path()).entries;
        let Entry::Start(start) = &mut entries[0] else {
            panic!("{entries:?}")
        };
        let threads = std::mem::take(&mut start.threads);
        (threads, entries)
    };
    assert_eq!((entries(&one).0, entries(&two).0), (1, 2));
    assert_eq!(entries(&one).1, entries(&two).1);
    assert_eq!(adapter(&one), adapter(&two));

    let other = run("1", "8");
    assert_ne!(adapter(&one), adapter(&other));
    assert_ne!(entries(&one).1[2..], entries(&other).1[2..]);
}

#[test]
fn a_run_that_is_too_fast_is_scaled_rolled_back_and_stopped() {
    let ran = train(&policy(2, LADDER), &run_file(&[])).code(1);
    let done = actions(&ran);
    // Each rung in its turn: scaled as often as allowed, then back to the last evaluation twice, then ended there.
    let scaled = |action: &Action| matches!(action, Action::Commit { scale } if scale.get() < 1.0);
    assert!(done[..3].iter().all(scaled), "{done:?}");
    let back = Action::Rollback { to: 2 };
    assert_eq!(done[3..], [back.clone(), back, Action::Stop { to: 2 }], "{done:?}");

    let read = journal(ran.folder.path());
    let updates = updates(&read.entries);
    let rates: Vec<f64> = updates.iter().map(|update| update.rate.get()).collect();
    assert_eq!(rates, [0.01, 0.01, 0.01, 0.01, 0.005, 0.0025]);
    assert_eq!(
        updates.iter().map(|update| update.update).collect::<Vec<_>>(),
        [1, 2, 3, 4, 3, 3]
    );
    let rungs = updates.iter().map(|update| {
        let rung = update.decision.breaches[0].rung.as_ref().unwrap();
        (rung.action, rung.number)
    });
    assert_eq!(
        rungs.collect::<Vec<_>>(),
        [
            (RungAction::Scale, 1),
            (RungAction::Scale, 2),
            (RungAction::Scale, 3),
            (RungAction::Rollback, 1),
            (RungAction::Rollback, 2),
            (RungAction::Stop, 1),
        ]
    );
    let summary = summary(ran.folder.path());
    assert_eq!(summary["end"], "stopped");
    assert_eq!(
        (summary["exit_code"].as_u64(), summary["saved_from"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!(
        (summary["halvings"].as_u64(), summary["proposed"].as_u64()),
        (Some(2), Some(6))
    );

    // Measured afresh from what is on the disk, the adapter is inside, and reads what the journal says it read.
    let kept = updates.iter().rfind(|update| update.decision.keep).unwrap();
    let saved = Saved {
        config: fs::read(ran.folder.path().join("out/adapter/adapter_config.json")).unwrap(),
        model: adapter(&ran),
    };
    let recorded: Vec<(String, f64)> = kept
        .readings
        .iter()
        .map(|reading| (reading.quantity.clone(), reading.reading().value().unwrap().get()))
        .collect();
    let bench = Bench::within(&ran.folder, &policy(2, LADDER), &[]);
    let adapter = Adapter::load(&config(), &saved).unwrap();
    let measured = bench.read(&adapter);
    assert_eq!(recorded[0].0, "drift.total");
    assert!(recorded[0].1 > 0.0 && recorded[0].1 < 0.1, "{recorded:?}");
    for (quantity, recorded) in recorded {
        let measured = measured[&quantity];
        assert!((measured - recorded).abs() < 1e-6, "{quantity}: {measured} {recorded}");
    }
    assert!(measured["diversity.distinct_2"] > 0.5);
}

#[test]
fn advice_watches_the_same_run_end_outside() {
    let ran = train(&policy(2, ADVICE), &run_file(&[]))
        .code(0)
        .stdout_has("advice: recorded");
    let whole = |action: &Action| matches!(action, Action::Commit { scale } if scale.get() == 1.0);
    let done = actions(&ran);
    assert!(done.len() == 10 && done.iter().all(whole), "{done:?}");
    let read = journal(ran.folder.path());
    let last = *updates(&read.entries).last().unwrap();
    assert!(last.readings[0].reading().value().unwrap().get() > 0.1);
    let breaches = &last.decision.breaches;
    assert!(breaches.len() == 2 && breaches.iter().all(|breach| breach.advice && breach.rung.is_none()));
    assert_eq!(summary(ran.folder.path())["saved_from"], 10);

    // Enforced by the flag, every update is scaled, and nothing comes near the second line.
    let strict = case(folder(), &policy(2, ADVICE), &run_file(&[]))
        .args(["--strict"])
        .run()
        .code(0);
    let done = actions(&strict);
    assert!(done.len() == 10 && !done.iter().any(whole), "{done:?}");
    let read = journal(strict.folder.path());
    let last = *updates(&read.entries).last().unwrap();
    assert!(last.readings[0].reading().value().unwrap().get() < 0.1);
    assert!(last.decision.breaches.iter().all(|breach| !breach.advice));
}

#[test]
fn a_journal_is_whole_and_replays_to_the_same_decisions() {
    for (lines, code, why) in [(LADDER, 1, Why::Stopped), (ADVICE, 0, Why::Finished)] {
        let text = policy(2, lines);
        let ran = train(&text, &run_file(&[])).code(code);
        let read = journal(ran.folder.path());
        assert_eq!(read.torn, 0);
        assert_eq!(summary(ran.folder.path())["journal_head"], read.head);
        assert!(matches!(read.entries.last(), Some(Entry::End(end)) if end.why == why));
        let Some(Entry::Start(start)) = read.entries.first() else {
            panic!("{:?}", read.entries.first())
        };
        // What the run was made of is there by its hashes, under names that another folder would have as well.
        let sha256 = |name: &str| ftrisk::source::sha256(&fs::read(ran.folder.path().join(name)).unwrap());
        assert_eq!(start.model["model.safetensors"], sha256("base/model.safetensors"));
        assert_eq!(start.data["data/few.json"], sha256("data/few.json"));
        assert_eq!(start.probes["voices"], sha256("voices.jsonl"));
        assert_eq!(
            (start.policy.clone(), start.run.clone()),
            (sha256("p.riskpolicy"), sha256("run.yaml"))
        );
        assert_eq!(ran.file("out/policy.riskpolicy"), text);

        let mut sources = Sources::default();
        let policy = sources.add("p.riskpolicy", text);
        let policy = ftrisk::sema::compile(policy, &sources).policy.unwrap();
        ledger::replay(&policy, &start.later, start.strict, &read.entries).unwrap();
        // Not by saying yes to everything: a reading that was changed changes the decision.
        let mut changed = read.entries.clone();
        let Some(Entry::Update(update)) = changed.get_mut(2) else {
            panic!("{:?}", changed.get(2))
        };
        update.tries[0].readings[0].value = ledger::Number(0.0.into());
        ledger::replay(&policy, &start.later, start.strict, &changed).unwrap_err();
    }
}

/// What people see of a run under guard. Numbers that may differ between kinds of machine are not held.
#[test]
fn the_output_of_a_governed_run() {
    let ran = train(&policy(2, LADDER), &run_file(&[("bf16", "true")])).code(1);
    // On a slow machine progress is told more often than at evaluations.
    let told = ran
        .stderr
        .lines()
        .filter(|line| !line.starts_with("update ") || line.starts_with("update 2/"));
    let told: String = told.map(|line| format!("{line}\n")).collect();
    let shown = format!("{}-- stderr\n{told}-- exit {}\n", ran.stdout, ran.code);
    let masks = [
        (r"(moved most on ).*", "$1[rows]"),
        (r"(next-token mass gained: ).*", "$1[tokens]"),
        (r"(?m)^(  (?:base |tuned) ).*", "$1[sample]"),
        (r"\b\d+(?:\.\d+)?e-\d+\b|\b\d+\.\d+\b", "[number]"),
        (r"\[number\] % of the update", "[share] of the update"),
        (r"\b\d+ tokens/s", "[speed]"),
        (r"(?m)^\[number\] s, .*", "[times]"),
        (r"(base reads|the bound is) [^ ,\n]+", "$1 [number]"),
        (
            r"(?m)(diversity.distinct_2 on prompts  +at least 50% of base).*",
            "$1  [samples]",
        ),
        (r"distinct_2 [0-9.]+ at least", "distinct_2 [number] at least"),
        (r"sha256 \x22[0-9a-f]{64}\x22", "sha256 [hash]"),
        // Columns are as wide as their numbers.
        (r"(\S)  +", "$1  "),
    ];
    insta::with_settings!({filters => masks.to_vec()}, { insta::assert_snapshot!(shown) });
}

impl Bench {
    /// Every quantity of the policy, read afresh on an adapter.
    fn read(&self, adapter: &Adapter) -> std::collections::BTreeMap<String, f64> {
        let guard = self.guard();
        let decode = |tokens: &[u32]| self.setup.decode(tokens);
        let lexicon = Lexicon::new([]);
        let meters = Meters::new(&self.setup.engine, &self.probes, &decode, &lexicon, guard.needs()).unwrap();
        let mut live = Live::new(State::new(adapter.clone()));
        let read = meters.read(&guard, |_| true, &mut live, None).unwrap();
        read.into_iter()
            .map(|measured| {
                (
                    measured.quantity.name().to_owned(),
                    measured.reading.value().unwrap().get(),
                )
            })
            .collect()
    }
}
