//! `ftrisk check` over many files: which files are meant, in which order they are told, in which formats, and what repairs
//! them.

use std::io::{Read as _, Write as _};
use std::process::Command;

use serde_json::Value;

use super::harness::{Case, Folder, Ran, repository};
use super::schema;

const POLICY: &str = "policy \"team\" for stage sft, method lora\nmax learning_rate 2e-4\nmax epochs 3\nmax lora.rank 16\nadvise max lora.alpha 32\nmin batch.effective 8\nmax drift.total 0.1 nats on general\nprobe text general \"general.jsonl\" sha256 \"7e0eaf489e6c1e579c22f5fca565e16cf30650167307f98bbba827a9beb3612c\"\n";

/// What a mini run file says besides its numbers.
const HEAD: &str =
    "model_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\ndataset: d\ntemplate: qwen3\n";

fn run_of(rest: &str) -> String {
    format!("{HEAD}per_device_train_batch_size: 8\n{rest}")
}

/// A folder as people have it: runs, other files with the same endings, and what nobody wants to be looked at.
fn team() -> Folder {
    let folder = Folder::new();
    let write = |name: &str, text: &str| folder.write(name, text.as_bytes());
    write("team.riskpolicy", POLICY);
    write(
        "full.riskpolicy",
        "policy \"full\" for method full\nmax learning_rate 1e-5\n",
    );
    write("runs/a.yaml", &run_of("learning_rate: 1.0e-4\nlora_rank: 8\n"));
    write("runs/b.yaml", &run_of("lora_rank: 64\nlearning_rate: 1.0e-3\n"));
    write(
        "runs/deep/c.yml",
        &format!("{HEAD}per_device_train_batch_size: 1\nlearning_rate: 1.0e-4\nlora_rank: 8\n"),
    );
    write("runs/deep/d, e.yaml", "learning_rate: 1.0e-4\nnum_train_epochs: [3\n");
    write("runs/deepspeed.json", "{\"zero_optimization\": {\"stage\": 2}}\n");
    write("runs/compose.yaml", "services:\n  web: {image: nginx}\n");
    write("runs/start.sh", "#!/bin/sh\necho \"started: $1\"\n");
    write("runs/notes.md", "learning_rate: 1\n");
    write("runs/.hidden/x.yaml", &run_of("learning_rate: 1.0\n"));
    write("runs/target/x.yaml", &run_of("learning_rate: 1.0\n"));
    write("runs/made/CACHEDIR.TAG", "");
    write("runs/made/x.yaml", &run_of("learning_rate: 1.0\n"));
    folder
}

fn check(args: &[&str]) -> Ran {
    Case::within(team()).args(["check"]).args(args.iter().copied()).run()
}

fn screen(args: &[&str]) -> String {
    let ran = check(args);
    let complaints = if ran.stderr.is_empty() {
        String::new()
    } else {
        format!("-- stderr\n{}", ran.stderr)
    };
    let text = ran.stdout.replace(env!("CARGO_PKG_VERSION"), "[version]");
    format!("{text}{complaints}-- exit {}\n", ran.code)
}

#[test]
fn a_folder_is_walked() {
    insta::assert_snapshot!(screen(&["team.riskpolicy", "runs"]));
    insta::assert_snapshot!("a_folder_verbose", screen(&["-v", "team.riskpolicy", "runs"]));
    insta::assert_snapshot!("a_folder_quiet", screen(&["-q", "team.riskpolicy", "runs"]));
}

#[test]
fn quiet_says_nothing_about_what_is_within() {
    check(&["-q", "team.riskpolicy", "runs/a.yaml", "runs/a.yaml"])
        .code(0)
        .stdout_is("");
    check(&["--quiet", "team.riskpolicy", "runs/b.yaml"]).code(1).stdout_is("2 over, 2 within, 1 advised (1 over), 1 later: decided while training under ftrisk; a plain llamafactory-cli run does not measure it\n");
}

/// What is named has to be a run; what lies in a folder may be anything, but a folder without any run is no pass.
#[test]
fn a_named_file_that_is_no_run_is_wrong_and_a_found_one_is_not() {
    check(&["team.riskpolicy", "runs/compose.yaml"])
        .code(2)
        .stdout_has("error[not-a-run]");
    check(&["team.riskpolicy", "runs/*.json"])
        .code(2)
        .stdout_has("error[not-a-run]");
    let folder = team();
    folder.write("other/compose.yaml", b"services: {}\n");
    folder.write("none/notes.md", b"");
    folder.write(
        "other/run.yaml",
        run_of("lora_rank: 8\nlearning_rate: 1.0e-4\n").as_bytes(),
    );
    let ran = Case::within(folder)
        .args(["check", "team.riskpolicy", "other"])
        .run()
        .code(0);
    let ran = ran
        .stdout_has("1 run file: 1 within budget, 0 over, 0 open or unreadable\n1 other file is no run: -v lists them");
    std::fs::remove_file(ran.folder.path().join("other/run.yaml")).unwrap();
    let ran = Case::within(ran.folder)
        .args(["check", "team.riskpolicy", "other"])
        .run()
        .code(2);
    let ran = ran.stderr_has("nothing was judged");
    let ran = Case::within(ran.folder)
        .args(["check", "team.riskpolicy", "none", "runs/a.yaml"])
        .run();
    ran.code(2).stdout_has("none holds no run file");
}

#[test]
fn a_policy_without_a_run_asks_for_one() {
    let ran = check(&["--policy", "team.riskpolicy"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.starts_with("ftrisk: no run is named"), "{}", ran.stderr);
}

#[test]
fn facts_stand_for_a_run_under_several_policies() {
    let folder = team();
    folder.write("loop.yaml", b"stage: sft\nmethod: lora\nlearning_rate: 1.0e-3\n");
    let args = [
        "check",
        "-q",
        "--policy",
        "team.riskpolicy",
        "--policy",
        "full.riskpolicy",
        "--facts",
        "loop.yaml",
    ];
    let ran = Case::within(folder).args(args).run();
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("1 over"), "{}", ran.stdout);
}

#[test]
fn a_pattern_that_the_shell_left_alone_is_expanded() {
    let files = |pattern: &str| -> Vec<String> {
        let ran = check(&["--format", "json", "team.riskpolicy", pattern]);
        let json: Value = serde_json::from_str(&ran.stdout).unwrap();
        let runs = json["runs"].as_array().unwrap();
        runs.iter()
            .map(|run| run["file"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(files("runs/?.yaml"), ["runs/a.yaml", "runs/b.yaml"]);
    assert_eq!(
        files("runs/**/*.y*ml"),
        [
            "runs/a.yaml",
            "runs/b.yaml",
            "runs/compose.yaml",
            "runs/deep/c.yml",
            "runs/deep/d, e.yaml"
        ]
    );
    assert_eq!(files("*/d*/c.yml"), ["runs/deep/c.yml"]);
    assert_eq!(files("runs/.hid*/x.yaml"), ["runs/.hidden/x.yaml"]);
    check(&["team.riskpolicy", "runs/*.toml", "runs/a.yaml"])
        .code(2)
        .stdout_has("no file matches runs/*.toml");
}

#[test]
fn results_come_in_the_order_of_the_names_whatever_takes_longest() {
    let folder = team();
    for n in 0..300 {
        // Files of very different sizes.
        let text = format!(
            "{}{}",
            run_of("learning_rate: 1.0e-4\nlora_rank: 8\n"),
            "# x\n".repeat((n * 7919) % 3000)
        );
        folder.write(&format!("lot/{n:03}.yaml"), text.as_bytes());
    }
    folder.write("lot/150.yaml", run_of("learning_rate: 1.0\nlora_rank: 8\n").as_bytes());
    let ran = Case::within(folder)
        .args(["check", "team.riskpolicy", "lot"])
        .run()
        .code(1);
    let named: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("lot/")?.split(".yaml: ").next())
        .collect();
    let expected: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    assert_eq!(named, expected);
    let ran = ran.stdout_has("learning_rate: 1 over of 300\n300 run files: 299 within budget, 1 over, 0 open");
    let ran = Case::within(ran.folder)
        .args(["check", "--fail-fast", "team.riskpolicy", "lot"])
        .run()
        .code(1);
    ran.stdout_has(
        "151 run files: 150 within budget, 1 over, 0 open or unreadable\nstopped there; 149 files were not looked at\n",
    );
}

#[test]
fn several_policies() {
    let both = ["--policy", "team.riskpolicy", "--policy", "builtin:exploratory"];
    insta::assert_snapshot!(screen(&[&both[..], &["runs/b.yaml", "runs/a.yaml"]].concat()));
    // The one that does not cover the run has nothing to say about it.
    let one = [
        "--policy",
        "full.riskpolicy",
        "--policy",
        "team.riskpolicy",
        "runs/a.yaml",
    ];
    check(&one).code(0).stdout_lacks("not-covered");
    check(&[&one[..], &["-v"]].concat())
        .code(0)
        .stdout_has("full.riskpolicy does not cover this run");
    let json: Value = serde_json::from_str(&check(&[&one[..], &["--format", "json"]].concat()).stdout).unwrap();
    assert_eq!(json["runs"][0]["policies"], serde_json::json!(["team.riskpolicy"]));
    assert_eq!(json["runs"][0]["covered"], "yes");
    // With one policy it is the plain command.
    let plain = check(&["team.riskpolicy", "runs/b.yaml"]).stdout;
    check(&["--policy", "team.riskpolicy", "runs/b.yaml"])
        .code(1)
        .stdout_is(&plain);
    // Any policy that has a mistake ends the check: what it would have refused is not known.
    let folder = team();
    folder.write("bad.riskpolicy", b"policy \"bad\"\nmax epoch 3\n");
    let bad = [
        "check",
        "--policy",
        "team.riskpolicy",
        "--policy",
        "bad.riskpolicy",
        "runs/a.yaml",
    ];
    Case::within(folder)
        .args(bad)
        .run()
        .code(2)
        .stdout_has("bad.riskpolicy judges nothing until it is repaired");
}

#[test]
fn a_run_that_no_policy_covers_says_which_were_asked() {
    let folder = team();
    folder.write(
        "dpo.yaml",
        run_of("learning_rate: 1.0e-4\n")
            .replace("stage: sft", "stage: dpo")
            .as_bytes(),
    );
    let args = [
        "check",
        "--policy",
        "full.riskpolicy",
        "--policy",
        "team.riskpolicy",
        "dpo.yaml",
    ];
    let ran = Case::within(folder).args(args).run().code(2);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn json_of_several_files() {
    insta::assert_snapshot!(screen(&[
        "--format",
        "json",
        "team.riskpolicy",
        "runs/a.yaml",
        "runs/b.yaml"
    ]));
    // Where there is one file, the exit code stands before it as it always did.
    let one = check(&["--format", "json", "team.riskpolicy", "runs/a.yaml"]).stdout;
    assert!(one.find("\"exit_code\"").unwrap() < one.find("\"policy\"").unwrap());
    let bad: Value =
        serde_json::from_str(&check(&["--format", "json", "none.riskpolicy", "runs"]).code(2).stdout).unwrap();
    assert_eq!(bad["runs"], serde_json::json!([]));
    assert_eq!(bad["exit_code"], 2);
}

/// The schema as it is published, from the crate `serde-sarif` 0.8.0.
fn sarif_schema() -> Value {
    let packed = std::fs::read(repository().join("tests/reference/sarif-2.1.0.schema.json.gz")).unwrap();
    // A header of ten bytes and no options, then DEFLATE.
    assert_eq!((&packed[..3], packed[3]), (&[0x1f, 0x8b, 8][..], 0));
    let mut text = String::new();
    flate2::read::DeflateDecoder::new(&packed[10..])
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Commands whose reports have every kind of thing in them.
const REPORTS: &[&[&str]] = &[
    &["team.riskpolicy", "runs"],
    &["team.riskpolicy", "runs/a.yaml"],
    &["team.riskpolicy", "none.yaml"],
    &["team.riskpolicy", "runs", "--world-size", "3", "--strict"],
    &[
        "--policy",
        "team.riskpolicy",
        "--policy",
        "builtin:cautious-sft",
        "runs",
    ],
    &["full.riskpolicy", "runs/a.yaml", "runs/compose.yaml"],
    &["none.riskpolicy", "runs/a.yaml"],
    &["builtin:cautious-sft", "runs/b.yaml", "--world-size", "64"],
];

#[test]
fn sarif_is_what_its_schema_asks_for() {
    insta::assert_snapshot!("sarif", screen(&["--format", "sarif", "team.riskpolicy", "runs"]));
    let schema = sarif_schema();
    for args in REPORTS {
        let ran = check(&[args, &["--format", "sarif"][..]].concat());
        let log: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(schema::violations(&log, &schema), Vec::<String>::new(), "{args:?}");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(rules[index]["id"], result["ruleId"], "{args:?}");
        }
        let mut ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rules.len(), "{args:?}");
        assert_eq!(run["invocations"][0]["exitCode"], ran.code);
        // Every verdict is in the run file, with the policy's line beside it.
        let verdicts = run["results"].as_array().unwrap().iter().filter(|result| {
            let rule = result["ruleId"].as_str().unwrap();
            rule.contains('/')
        });
        for verdict in verdicts {
            let uri = verdict["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
                .as_str()
                .unwrap();
            assert!(uri.ends_with(".yaml") || uri.ends_with(".yml"), "{uri}");
            let related = verdict["relatedLocations"].as_array().unwrap();
            let in_policy = related.iter().any(|place| {
                let uri = place["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
                uri.ends_with(".riskpolicy") || uri.starts_with("builtin:")
            });
            assert!(in_policy, "{verdict}");
        }
    }
}

#[test]
fn a_fingerprint_stays_when_lines_move_and_values_change() {
    let prints = |policy: &str, run: &str| -> Vec<String> {
        let ran = Case::new()
            .file("p.riskpolicy", policy)
            .file("r.yaml", run)
            .args(["check", "p.riskpolicy", "r.yaml", "--format", "sarif"])
            .run();
        let log: Value = serde_json::from_str(&ran.stdout).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        results
            .iter()
            .map(|result| result["partialFingerprints"]["ftrisk/v1"].to_string())
            .collect()
    };
    let before = prints(POLICY, &run_of("lora_rank: 64\nlearning_rate: 1.0e-3\n"));
    let moved = prints(
        &format!("# moved\n\n{POLICY}"),
        &format!("# moved\n{}", run_of("learning_rate: 2.0e-3\nlora_rank: 128\n")),
    );
    assert!(before.len() > 2);
    assert_eq!(before, moved);
    let mut distinct = before.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), before.len());
}

/// The schema of the JSON, in which no field is left out: what it does not name is found.
fn json_schema() -> Value {
    fn closed(schema: &mut Value) {
        if let Some(rules) = schema.as_object_mut() {
            if rules.contains_key("properties") {
                rules.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            rules.values_mut().for_each(closed);
        } else if let Some(rules) = schema.as_array_mut() {
            rules.iter_mut().for_each(closed);
        }
    }
    let text = std::fs::read_to_string(repository().join("docs/reference/check.schema.json")).unwrap();
    let mut schema = serde_json::from_str(&text).unwrap();
    closed(&mut schema);
    schema
}

#[test]
fn json_is_what_its_schema_asks_for() {
    let schema = json_schema();
    let beside: &[&str] = &["team.riskpolicy", "runs/b.yaml", "--against", "runs/a.yaml"];
    for args in REPORTS.iter().copied().chain([beside]) {
        let ran = check(&[args, &["--format", "json"][..]].concat());
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(schema::violations(&document, &schema), Vec::<String>::new(), "{args:?}");
        assert_eq!(document["exit_code"], ran.code, "{args:?}");
    }
}

#[test]
fn junit_is_what_its_schema_asks_for() {
    insta::assert_snapshot!("junit", screen(&["--format", "junit", "team.riskpolicy", "runs"]));
    if Command::new("xmllint").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: there is no xmllint to hold JUnit reports against their schema"
        );
        assert!(
            std::env::var_os("FTRISK_NO_SKIP").is_none(),
            "there is no xmllint, and FTRISK_NO_SKIP forbids to skip"
        );
        return;
    }
    let schema = repository().join("tests/reference/junit-10.xsd");
    for args in REPORTS {
        let ran = check(&[args, &["--format", "junit"][..]].concat());
        ran.folder.write("report.xml", ran.stdout.as_bytes());
        let report = ran.folder.path().join("report.xml");
        let output = Command::new("xmllint")
            .args(["--noout", "--schema"])
            .args([&schema, &report])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn github_commands() {
    insta::assert_snapshot!("github", screen(&["--format", "github", "team.riskpolicy", "runs"]));
    for args in REPORTS {
        let ran = check(&[args, &["--format", "github"][..]].concat());
        for line in ran.stdout.lines() {
            let level = line.strip_prefix("::").and_then(|rest| rest.split(' ').next());
            assert!(
                matches!(level, Some("error" | "warning" | "notice")),
                "{args:?}: {line}"
            );
        }
    }
    // A name with a comma and a colon ends no property.
    check(&["team.riskpolicy", "runs", "--format", "github"]).stdout_has("file=runs/deep/d%2C e.yaml,line=");
}

#[test]
fn a_diff_repairs_what_a_written_value_breaks_and_the_rest_is_named() {
    insta::assert_snapshot!("fix_diff", screen(&["--fix-diff", "team.riskpolicy", "runs"]));
    // The default that no line of the file writes gets one, and a misspelled key its own name.
    let run =
        format!("{HEAD}per_device_train_batch_size: 8\nlora_rnak: 32\nlearning_rate: 5e-4\nnum_train_epochs: 3.0\n");
    let policy =
        "policy \"p\" for method lora\nmax lora.rank 16\nmax learning_rate 2e-5\nmax epochs 2\nmax lora.alpha 8\n";
    let ran = Case::new()
        .file("p.riskpolicy", policy)
        .file("r.yaml", &run)
        .args(["check", "p.riskpolicy", "r.yaml", "--fix-diff"])
        .run()
        .code(1)
        .stderr_is("");
    insta::assert_snapshot!("fix_diff_of_a_misspelled_key", ran.stdout);
    assert_eq!(ran.file("r.yaml"), run, "nothing is written");
    if Command::new("patch").arg("--version").output().is_err() {
        return;
    }
    ran.folder.write("r.diff", ran.stdout.as_bytes());
    let patched = Command::new("patch")
        .args(["-p0", "-s", "-i", "r.diff"])
        .current_dir(ran.folder.path())
        .status();
    assert!(patched.unwrap().success());
    let again = Case::within(ran.folder)
        .args(["check", "p.riskpolicy", "r.yaml"])
        .run()
        .code(0);
    let nothing = Case::within(again.folder)
        .args(["check", "p.riskpolicy", "r.yaml", "--fix-diff"])
        .run();
    nothing.code(0).stdout_is("").stderr_is("");
}

#[test]
fn a_diff_keeps_the_line_ends_and_the_json_of_a_file() {
    let diff = |name: &str, text: &str| {
        let case = Case::new()
            .file("p.riskpolicy", "policy \"p\" for method lora\nmax epochs 2\n")
            .file(name, text);
        case.args(["check", "p.riskpolicy", name, "--fix-diff"]).run().stdout
    };
    let crlf = format!("{HEAD}lora_rank: 8\nlearning_rate: 1.0e-4\n").replace('\n', "\r\n");
    let patch = Case::new()
        .file("p.riskpolicy", "policy \"p\" for method lora\nmax epochs 2\n")
        .file("r.yaml", &crlf)
        .args(["check", "p.riskpolicy", "r.yaml", "--fix-diff"])
        .run();
    // The harness shows line ends as they are on every system; what was added is one line.
    assert_eq!(
        patch.stdout.matches("\n+num_train_epochs: 2\n").count(),
        1,
        "{}",
        patch.stdout
    );
    let json = "{\n  \"model_name_or_path\": \"m\",\n  \"stage\": \"sft\",\n  \"do_train\": true,\n  \"finetuning_type\": \"lora\",\n  \"num_train_epochs\": 4,\n  \"template\": \"qwen3\"\n}\n";
    let shown = diff("r.json", json);
    assert!(
        shown.contains("-  \"num_train_epochs\": 4,\n+  \"num_train_epochs\": 2,\n"),
        "{shown}"
    );
}

#[test]
fn the_command_line_is_explained_where_it_is_wrong() {
    check(&["team.riskpolicy"]).code(2).stderr_has("<RUN>...");
    check(&["--fix-diff", "--format", "json", "team.riskpolicy", "runs"])
        .code(2)
        .stderr_has("--fix-diff");
}
