//! The GitHub action: what its inputs are, and its steps run as the runner would run them.

use std::process::Command;

use serde_json::{Value, json};

use super::harness::{Folder, environment, has_program, read, repository};
use super::spec::blocks;
use super::yaml;

const ACTION: &str = "action.yml";
const PAGE: &str = "docs/how-to/check-in-ci.md";
const POLICY: &str =
    "policy \"team\" for stage sft\nmax epochs 3\nadvise max lora.rank 8\nrange batch.effective 4 to 64\n";
const RUN: &str = "model_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\ntemplate: qwen3\nper_device_train_batch_size: 8\nlora_rank: 16\n";

fn action() -> Value {
    yaml::value(&read(ACTION))
}

fn steps(action: &Value) -> &Vec<Value> {
    action["runs"]["steps"].as_array().unwrap()
}

fn step<'a>(action: &'a Value, name: &str) -> &'a Value {
    let found = steps(action).iter().find(|step| step["name"] == name);
    found.unwrap_or_else(|| panic!("{ACTION} has no step {name:?}"))
}

/// The expressions `${{ … }}` of a text.
fn expressions(text: &str) -> Vec<&str> {
    let parts = text.split("${{").skip(1);
    parts.map(|part| part.split("}}").next().unwrap().trim()).collect()
}

/// A folder with a policy and runs: within, over, and open for the number of processes.
fn planted() -> Folder {
    let folder = Folder::new();
    for (name, text) in [
        ("team.riskpolicy", POLICY.to_owned()),
        ("runs/inside.yaml", format!("{RUN}num_train_epochs: 3.0\n")),
        ("over/a b.yaml", format!("{RUN}num_train_epochs: 9.0\n")),
    ] {
        folder.write(name, text.as_bytes());
    }
    folder
}

struct Ended {
    code: i32,
    log: String,
    folder: Folder,
}

/// Runs the script of a step in a folder, its variables filled in from the inputs or their defaults.
fn run(name: &str, inputs: &[(&str, &str)], variables: &[(&str, &str)], folder: Folder) -> Ended {
    let action = action();
    let step = step(&action, name);
    assert_eq!(step["shell"], "bash");
    let home = Folder::new();
    home.write("step.sh", step["run"].as_str().unwrap().as_bytes());
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
        .arg(home.path().join("step.sh"))
        .current_dir(folder.path())
        .env_clear()
        .envs(environment(&home))
        .envs(variables.iter().copied());
    for (variable, expression) in step["env"].as_object().into_iter().flatten() {
        let expression = expression.as_str().unwrap();
        let input = expressions(expression)[0].strip_prefix("inputs.").unwrap();
        assert_eq!(
            expression,
            format!("${{{{ inputs.{input} }}}}"),
            "nothing else is in it"
        );
        let given = inputs.iter().find(|(name, _)| *name == input).map(|(_, value)| *value);
        let default = action["inputs"][input]["default"].as_str();
        command.env(variable, given.or(default).unwrap_or_default());
    }
    for (input, _) in inputs {
        assert!(action["inputs"].get(input).is_some(), "{input} is no input");
    }
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        log: String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        folder,
    }
}

#[track_caller]
fn check(inputs: &[(&str, &str)], code: i32) -> Ended {
    let inputs = [&[("policy", "team.riskpolicy"), ("world-size", "1")][..], inputs].concat();
    // The last one of a name counts.
    let inputs: Vec<(&str, &str)> = inputs.into_iter().rev().collect();
    let ended = run("check", &inputs, &[], planted());
    assert_eq!(ended.code, code, "{}", ended.log);
    ended
}

fn is_skipped() -> bool {
    !has_program("bash", "to run the steps of action.yml")
}

#[test]
fn every_input_is_declared_used_and_on_the_page() {
    let action = action();
    assert_eq!(action["runs"]["using"], "composite");
    let declared: Vec<&String> = action["inputs"].as_object().unwrap().keys().collect();
    let text = read(ACTION);
    let mut used: Vec<&str> = expressions(&text)
        .into_iter()
        .filter_map(|expression| expression.strip_prefix("inputs."))
        .collect();
    used.sort_unstable();
    assert_eq!(used, declared);
    let page = read(PAGE);
    for input in declared {
        let description = action["inputs"][input]["description"].as_str().unwrap();
        assert!(description.len() > 20, "{input}");
        assert!(
            page.contains(&format!("\n| `{input}` | ")),
            "{PAGE} has no row for {input}"
        );
    }
}

#[test]
fn nothing_is_put_into_the_text_of_a_script_and_only_githubs_own_actions_are_used() {
    let action = action();
    for step in steps(&action) {
        match (step["run"].as_str(), step["uses"].as_str()) {
            (Some(script), None) => {
                assert_eq!(expressions(script), Vec::<&str>::new(), "{script}");
                assert_eq!(step["shell"], "bash", "{step}");
            }
            (None, Some(uses)) => assert!(uses.starts_with("actions/") && uses.contains('@'), "{uses}"),
            _ => panic!("{step}"),
        }
    }
}

#[test]
fn what_the_page_says_to_the_action_it_takes() {
    let action = action();
    let mut found = 0;
    for block in blocks(&read(PAGE)).iter().filter(|block| block.language == "yaml") {
        let workflow = yaml::value(&block.text);
        for job in workflow["jobs"].as_object().into_iter().flatten().map(|(_, job)| job) {
            for step in job["steps"].as_array().unwrap() {
                if !step["uses"].as_str().is_some_and(|uses| uses.contains("/ftrisk@")) {
                    continue;
                }
                found += 1;
                let with = step["with"].as_object().unwrap();
                for (input, declared) in action["inputs"].as_object().unwrap() {
                    assert!(
                        declared["required"] != json!(true) || with.contains_key(input),
                        "{step}"
                    );
                }
                for input in with.keys() {
                    assert!(action["inputs"].get(input).is_some(), "{input}: {step}");
                }
            }
        }
    }
    assert!(found >= 2, "{PAGE} uses the action {found} times");
}

#[test]
fn what_ftrisk_ends_with_the_step_ends_with() {
    if is_skipped() {
        return;
    }
    let ended = check(&[], 0);
    assert_eq!(ended.log.lines().count(), 1, "{}", ended.log);
    assert!(
        ended.log.starts_with("::notice file=runs/inside.yaml,line=7,"),
        "{}",
        ended.log
    );
    let ended = check(&[("runs", "over")], 1);
    assert!(
        ended.log.contains("::error file=over/a b.yaml,line=8,"),
        "{}",
        ended.log
    );
    // Over comes before open, and a line is a name with its spaces.
    check(&[("runs", "runs\nover/a b.yaml\n"), ("world-size", "")], 1);
    check(&[("world-size", "")], 2);
    check(&[("strict", "true")], 1);
    check(&[("policy", "team.riskpolicy\nbuiltin:exploratory\n")], 0);
    check(&[("args", "--strict\n--dataset-rows\n100\n")], 1);
    check(&[("policy", "nowhere.riskpolicy")], 2);
    check(&[("policy", "")], 2);
    check(&[("runs", "")], 2);
    check(&[("format", "pdf")], 2);
}

#[test]
fn an_input_is_neither_a_command_nor_an_option_nor_taken_for_its_opposite() {
    if is_skipped() {
        return;
    }
    for input in ["policy", "runs", "world-size", "args", "format", "output"] {
        for text in [
            "$(touch pwned)",
            "`touch pwned`",
            "; touch pwned",
            "\"; touch pwned; \"",
            "a\ntouch pwned",
        ] {
            let ended = run("check", &[(input, text)], &[], planted());
            assert!(!ended.folder.path().join("pwned").exists(), "{input}: {text}");
        }
    }
    // A file that somebody calls so would print the help and end with 0.
    for name in ["--help", "--version", "-h", "--fix-diff"] {
        let ended = check(&[("runs", &format!("runs\n{name}\n"))], 2);
        assert!(ended.log.contains(&format!("file=./{name}")), "{}", ended.log);
    }
    for text in ["yes", "True", "1", "", "::warning::x"] {
        let ended = check(&[("strict", text)], 2);
        assert_eq!(ended.log, "::error::the input strict of ftrisk is true or false\n");
    }
}

#[test]
fn a_report_goes_into_a_file() {
    if is_skipped() {
        return;
    }
    let ended = check(&[("format", "sarif"), ("runs", "over")], 1);
    let written = std::fs::read_to_string(ended.folder.path().join("ftrisk.sarif")).unwrap();
    let log: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "team/epochs");
    assert_eq!(ended.log, "ftrisk check ends with 1; the report is in ftrisk.sarif\n");
    let ended = check(&[("format", "junit"), ("output", "out of it.xml")], 0);
    let written = std::fs::read_to_string(ended.folder.path().join("out of it.xml")).unwrap();
    assert!(written.starts_with("<?xml"), "{written}");
    // What cannot be written is no pass.
    let ended = run(
        "check",
        &[("policy", "team.riskpolicy"), ("output", "no/such/x")],
        &[],
        planted(),
    );
    assert_ne!(ended.code, 0, "{}", ended.log);
}

#[test]
fn the_gate_is_built_from_the_action_itself_and_only_once() {
    if is_skipped() || !has_program("git", "to name a build") {
        return;
    }
    let named = |sources: &str| {
        let folder = Folder::new();
        let output = folder.path().join("output");
        let variables = [
            ("GITHUB_ACTION_PATH", sources),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("ImageOS", "ubuntu24"),
        ];
        let ended = run("name the build", &[], &variables, folder);
        assert_eq!(ended.code, 0, "{}", ended.log);
        std::fs::read_to_string(output).unwrap()
    };
    let here = repository().to_str().unwrap();
    let key = named(here);
    let hash = key.trim().strip_prefix("key=ftrisk-Linux-X64-ubuntu24-").unwrap();
    assert!(hash.len() >= 40 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
    assert_eq!(named(here), key);
    // A changed source is another build.
    let copy = Folder::new();
    for part in ["src", "grammar", "policies", "docs/reference/codes"] {
        copy.copy(part);
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        copy.write(file, read(file).as_bytes());
    }
    assert_eq!(named(copy.path().to_str().unwrap()), key);
    copy.write("src/main.rs", b"fn main() {}\n");
    assert_ne!(named(copy.path().to_str().unwrap()), key);

    // A stand-in for cargo writes down how it was called.
    let folder = Folder::new();
    let temporary = folder.path().to_str().unwrap().to_owned();
    let path = folder.path().join("path").to_str().unwrap().to_owned();
    folder.write(
        "env.sh",
        b"cargo() { printf '%s\\n' \"$@\" >> called; mkdir -p \"$RUNNER_TEMP/ftrisk/bin\"; }\nexport -f cargo\n",
    );
    let startup = folder.path().join("env.sh").to_str().unwrap().to_owned();
    let variables = [
        ("GITHUB_ACTION_PATH", "/the action"),
        ("GITHUB_PATH", &path),
        ("RUNNER_TEMP", &temporary),
        ("BASH_ENV", &startup),
    ];
    let ended = run("build the gate", &[], &variables, folder);
    assert_eq!(ended.code, 0, "{}", ended.log);
    let ended = run("build the gate", &[], &variables, ended.folder);
    assert_eq!(ended.code, 0, "{}", ended.log);
    let called = std::fs::read_to_string(ended.folder.path().join("called")).unwrap();
    let root = format!("{temporary}/ftrisk");
    assert_eq!(
        called.lines().collect::<Vec<_>>(),
        [
            "install",
            "--locked",
            "--profile",
            "gate",
            "--no-default-features",
            "--features",
            "cli",
            "--path",
            "/the action",
            "--root",
            &root
        ]
    );
    let path = std::fs::read_to_string(path).unwrap();
    assert_eq!(path, format!("{root}/bin\n").repeat(2));
}
