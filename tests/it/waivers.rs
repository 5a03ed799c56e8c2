//! Waivers: which runs they let pass, until when, and how that is told.

use std::time::{SystemTime, UNIX_EPOCH};

use ftrisk::ir::{Asks, Day, Level, Limit, Policy};
use ftrisk::sema::compile;
use ftrisk::source::Sources;
use proptest::prelude::*;
use serde_json::Value;

use super::harness::{Case, Folder, Ran, read};
use super::schema;

const POLICY: &str = "policy \"team\" for stage sft, method lora
max lora.rank 16
max learning_rate 2e-4
range batch.effective 4 to 128
waive lora.rank up to 64 for \"runs/legal/*.yaml\" until 2026-12-31 by \"@ml-safety\" because \"RISK-112: citation formats need room\"
";

/// The day on which these tests judge.
const DAY: &str = "2026-11-25";

fn run_of(rank: u32) -> String {
    format!(
        "model_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\ndataset: d\ntemplate: qwen3\nper_device_train_batch_size: 8\nlearning_rate: 1.0e-4\nlora_rank: {rank}\n"
    )
}

/// A repository with runs of two teams.
fn repository(policy: &str) -> Folder {
    let folder = Folder::new();
    folder.write(".git/HEAD", b"ref: refs/heads/main\n");
    folder.write("policies/team.riskpolicy", policy.as_bytes());
    folder.write("runs/legal/a.yaml", run_of(32).as_bytes());
    folder.write("runs/legal/small.yaml", run_of(8).as_bytes());
    folder.write("runs/legal/deep/a.yaml", run_of(32).as_bytes());
    folder.write("runs/a.yaml", run_of(32).as_bytes());
    folder
}

fn check_on(day: &str, policy: &str, args: &[&str]) -> Ran {
    let case = Case::within(repository(policy)).args(["check", "--world-size", "1", "--as-of", day]);
    case.args(args.iter().copied()).run()
}

fn check(args: &[&str]) -> Ran {
    let all: Vec<&str> = std::iter::once("policies/team.riskpolicy")
        .chain(args.iter().copied())
        .collect();
    check_on(DAY, POLICY, &all)
}

fn holds(schema: &str, document: &Value) {
    let schema: Value = serde_json::from_str(&read(schema)).unwrap();
    assert_eq!(schema::violations(document, &schema), Vec::<String>::new());
}

/// A day so many days from the real one.
fn from_today(days: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Day::of_unix(now.checked_add_signed(days * 86_400).unwrap()).to_string()
}

#[test]
fn a_waiver_lets_its_runs_pass_and_is_shown() {
    let ran = check(&["runs/legal/a.yaml"]).code(0);
    insta::assert_snapshot!("waived", ran.stdout);
    insta::assert_snapshot!("waived_listed", check(&["runs/legal/a.yaml", "-v"]).code(0).stdout);
    insta::assert_snapshot!("waived_not_needed", check(&["runs/legal/small.yaml"]).code(0).stdout);
    let others = check(&["runs/a.yaml"])
        .code(1)
        .stdout_has("lora.rank is 32; at most 16 is asked");
    assert!(!others.stdout.contains("waive"), "{}", others.stdout);
    // One star stops at a folder.
    check(&["runs/legal/deep/a.yaml"]).code(1);
}

#[test]
fn a_run_that_breaks_the_waived_bound_is_over() {
    let policy = POLICY.replace("up to 64", "up to 24");
    let ran = check_on(DAY, &policy, &["policies/team.riskpolicy", "runs/legal/a.yaml"]).code(1);
    insta::assert_snapshot!("waived_and_over", ran.stdout);
}

#[test]
fn a_waiver_holds_until_its_last_day() {
    let on = |day| check_on(day, POLICY, &["policies/team.riskpolicy", "runs/legal/a.yaml"]);
    on("2026-12-30").code(0).stdout_has("(waived from 16, 1 day left)");
    on("2026-12-31").code(0).stdout_has("(waived from 16, last day)");
    insta::assert_snapshot!("waived_expired", on("2027-01-01").code(1).stdout);
    // A year and a day ahead it is no exception any more, and the policy judges nothing until it is repaired.
    on("2025-12-30").code(0);
    insta::assert_snapshot!("waived_too_long", on("2025-12-29").code(2).stdout);
    on("2026-02-30").code(2).stderr_has("it is a day of the calendar");
}

#[test]
fn paths_are_those_from_the_root_whatever_the_way_to_the_file() {
    let within = |args: &[&str]| check(args).code(0);
    within(&["./runs/../runs/legal/a.yaml"]);
    let folder = repository(POLICY);
    let absolute = folder.path().join("runs/legal/a.yaml").display().to_string();
    let check = |case: Case, policy: &str, run: &str| {
        case.args(["check", "--world-size", "1", "--as-of", DAY, policy, run])
            .run()
    };
    let ran = check(Case::within(folder), "policies/team.riskpolicy", &absolute).code(0);
    drop(ran);
    // Standard input is no file of the repository, and neither is one beside it.
    check(
        Case::within(repository(POLICY)).stdin(run_of(32)),
        "policies/team.riskpolicy",
        "-",
    )
    .code(1);
    let outside = Folder::new();
    outside.write("runs/legal/a.yaml", run_of(32).as_bytes());
    let outside_run = outside.path().join("runs/legal/a.yaml").display().to_string();
    check(
        Case::within(repository(POLICY)),
        "policies/team.riskpolicy",
        &outside_run,
    )
    .code(1);
    // A policy without a repository around it is its own root.
    let lone = Folder::new();
    lone.write("team.riskpolicy", POLICY.as_bytes());
    lone.write("runs/legal/a.yaml", run_of(32).as_bytes());
    check(Case::within(lone), "team.riskpolicy", "runs/legal/a.yaml").code(0);
}

#[cfg(unix)]
#[test]
fn a_link_is_where_it_leads() {
    let folder = repository(POLICY);
    std::os::unix::fs::symlink(
        folder.path().join("runs/a.yaml"),
        folder.path().join("runs/legal/link.yaml"),
    )
    .unwrap();
    let case = Case::within(folder).args(["check", "--world-size", "1", "--as-of", DAY]);
    case.args(["policies/team.riskpolicy", "runs/legal/link.yaml"])
        .run()
        .code(1);
}

#[test]
fn both_ends_of_a_range_can_be_moved_and_the_furthest_waiver_counts() {
    let waive = |what: &str| format!("waive {what} for \"runs/**\" until 2026-12-31 by \"@a\" because \"b\"\n");
    let policy = format!(
        "{POLICY}{}{}{}",
        waive("batch.effective down to 2"),
        waive("batch.effective up to 256"),
        waive("batch.effective up to 512")
    );
    let ran = check_on(DAY, &policy, &["policies/team.riskpolicy", "runs/legal/a.yaml", "-v"]).code(0);
    ran.stdout_has("8; 2 to 512 (waived from 4 and 128, 36 days left) is asked");
}

#[test]
fn programs_read_what_was_waived_for_whom_and_why() {
    let ran = check(&["runs/legal/a.yaml", "runs/a.yaml", "--format", "json"]).code(1);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    holds("docs/reference/check.schema.json", &report);
    let runs = &report["runs"];
    let line = |run: &Value| {
        run["lines"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["subject"] == "lora.rank")
            .unwrap()
            .clone()
    };
    assert_eq!(line(&runs[0])["verdict"], "within");
    assert_eq!(
        line(&runs[0])["waivers"],
        serde_json::json!([{
            "from": "16", "to": "64", "without": "over", "until": "2026-12-31", "days_left": 36,
            "by": "@ml-safety", "because": "RISK-112: citation formats need room", "policy_line": 5,
        }])
    );
    assert_eq!(runs[0]["counts"]["waived"], 1);
    assert_eq!(line(&runs[1])["verdict"], "over");
    assert_eq!(line(&runs[1])["waivers"], serde_json::json!([]));

    let ran = check(&["runs/legal/a.yaml", "runs/legal/small.yaml", "--format", "sarif"]).code(0);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "the run that does not need it has no result");
    assert_eq!(results[0]["ruleId"], "team/lora.rank");
    assert_eq!(results[0]["level"], "error");
    assert_eq!(
        results[0]["suppressions"],
        serde_json::json!([{
            "kind": "external", "status": "accepted",
            "justification": "RISK-112: citation formats need room (by @ml-safety, until 2026-12-31)",
            "location": { "physicalLocation": {
                "artifactLocation": { "uri": "policies/team.riskpolicy" },
                "region": { "startLine": 5, "startColumn": 1, "endLine": 5, "endColumn": POLICY.lines().nth(4).unwrap().chars().count() + 1 },
            }},
        }])
    );
    // The same result as without the waiver: whoever tracks it sees it open or suppressed, and not come and go.
    let policy = POLICY.lines().take(4).collect::<Vec<_>>().join("\n");
    let ran = check_on(
        DAY,
        &policy,
        &["policies/team.riskpolicy", "runs/legal/a.yaml", "--format", "sarif"],
    )
    .code(1);
    let open: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        open["runs"][0]["results"][0]["partialFingerprints"],
        results[0]["partialFingerprints"]
    );
    assert_eq!(open["runs"][0]["results"][0].get("suppressions"), None);

    let ran = check(&["runs/legal/a.yaml", "--format", "github"]).code(0);
    insta::assert_snapshot!("waived_github", ran.stdout);
    let ran = check(&["runs/legal/a.yaml", "--format", "junit"]).code(0);
    ran.stdout_has("failures=\"0\"")
        .stdout_has("lora.rank is 32; at most 16 is asked");
}

/// `exec`, and what comes before training, go by the real day.
#[test]
fn a_launch_and_a_guard_take_the_waivers_of_the_day() {
    let until = |day: &str| POLICY.replace("2026-12-31", day);
    let dry = |policy: &str, run: &str| {
        let case = Case::within(repository(policy)).args([
            "exec",
            "--world-size",
            "1",
            "--dry-run",
            "policies/team.riskpolicy",
        ]);
        case.args(["--", "llamafactory-cli", "train", run]).run()
    };
    dry(&until(&from_today(0)), "runs/legal/a.yaml")
        .code(0)
        .stderr_has("(waived from 16, last day)");
    dry(&until(&from_today(30)), "runs/a.yaml").code(1);
    dry(&until(&from_today(-1)), "runs/legal/a.yaml")
        .code(1)
        .stderr_has("warning[waiver-expired]");
    dry(&until(&from_today(367)), "runs/legal/a.yaml")
        .code(2)
        .stderr_has("at most 366 days ahead; this one is 367");

    let policy = format!(
        "{}waive drift.total up to 2 nats for \"runs/legal/*\" until {} by \"@a\" because \"b\"\n",
        "policy \"g\" for stage sft\nprobe text p \"p.jsonl\" sha256 \"PIN\"\nmax lora.rank 64\nmax drift.total 1 nats on p\n",
        from_today(30)
    );
    let probe = "{\"text\": \"a\"}\n";
    let policy = policy.replace("PIN", &ftrisk::source::sha256(probe.as_bytes()));
    let guard = |run: &str| {
        let folder = repository(&policy);
        folder.write("policies/p.jsonl", probe.as_bytes());
        let case = Case::within(folder).args(["guard", "policies/team.riskpolicy", run, "--world-size", "1"]);
        case.args(["--journal", "j.jsonl"])
            .stdin("{\"type\":\"base\",\"readings\":[{\"quantity\":\"drift.total\",\"probe\":\"p\",\"value\":0}]}\n")
            .run()
    };
    let start = |ran: &Ran| -> Value {
        let journal = ran.file("j.jsonl");
        serde_json::from_str(journal.lines().next().unwrap()).unwrap()
    };
    let waived = guard("runs/legal/a.yaml").stdout_has("at most 2 nats (waived from 1 nats, 30 days left)");
    assert!(
        start(&waived).to_string().contains("\"waivers\":[0]"),
        "{}",
        start(&waived)
    );
    let held = guard("runs/a.yaml").stdout_has("at most 1 nats");
    assert!(!start(&held).to_string().contains("waivers"), "{}", start(&held));
}

/// The limits of a policy.
fn limits(policy: &Policy) -> Vec<&Limit> {
    let asked = policy.lines.iter().map(|line| &line.asks);
    asked
        .filter_map(|asks| match asks {
            Asks::Limit(limit) => Some(limit),
            Asks::Allow { .. } | Asks::Require(_) => None,
        })
        .collect()
}

proptest! {
    /// Whatever is waived, no limit becomes tighter, none that may not be waived moves, and the limit as it was written is
    /// still there.
    #[test]
    fn a_waiver_only_relaxes((low, width) in (256..512_u32, 0..64_u32), waived in proptest::collection::vec(("up|down", 1..256_u32), 1..5)) {
        let high = low + width;
        let waived = waived.into_iter().map(|(way, by)| { let to = if way == "up" { high + by } else { low - by }; (way, to) });
        let waived: Vec<(String, u32)> = waived.collect();
        let mut text = format!("policy \"p\"\nmax lora.rank 8\nrange batch.effective {low} to {high}\n");
        for (way, bound) in &waived {
            text.push_str(&format!("waive batch.effective {way} to {bound} for \"r\" until 2026-12-31 by \"a\" because \"b\"\n"));
        }
        let mut sources = Sources::default();
        let source = sources.add("p.riskpolicy", text);
        let policy = compile(source, &sources).policy.unwrap();
        let day = Day::parse(DAY).unwrap();
        for run in [None, Some("s")] {
            let untouched = policy.waived_for(run, day);
            prop_assert_eq!(untouched.as_ref(), &policy);
        }
        let relaxed = policy.waived_for(Some("r"), day);
        let mut moved = 0;
        for ((was, is), line) in limits(&policy).into_iter().zip(limits(&relaxed)).zip(&policy.lines) {
            prop_assert_eq!(&is.as_written().unwrap_or_else(|| is.clone()), was);
            prop_assert!(is.accepts().contains(was.accepts()));
            moved += is.moved.len();
            prop_assert!(is.moved.is_empty() || line.level == Level::Enforce);
        }
        prop_assert!(moved > 0);
        let furthest = |to: &str, from: u32, further: fn(f64, f64) -> f64| {
            let bounds = waived.iter().filter(|(way, _)| way == to);
            bounds.map(|(_, bound)| f64::from(*bound)).fold(f64::from(from), further)
        };
        let last = limits(&relaxed).last().unwrap().accepts();
        prop_assert_eq!(last.hi(), furthest("up", high, f64::max));
        prop_assert_eq!(last.lo(), furthest("down", low, f64::min));
    }
}
