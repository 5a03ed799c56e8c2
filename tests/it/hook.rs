//! The hooks that the repository offers and the one that its page shows, in planted repositories: a commit with an
//! over-budget run file is rejected, the repaired one accepted.

use std::process::Command;

use serde_json::{Value, json};

use super::harness::{Folder, environment, has_program, read};
use super::spec::shown_as;
use super::yaml;

const PAGE: &str = "docs/how-to/check-before-commit.md";
const MANIFEST: &str = ".pre-commit-hooks.yaml";
const POLICY: &str = "policy \"team\" for stage sft\nmax epochs 3\n";

fn run_of(epochs: &str) -> String {
    format!(
        "model_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\ntemplate: qwen3\nnum_train_epochs: {epochs}\n"
    )
}

fn hook(id: &str) -> Value {
    let hooks = yaml::value(&read(MANIFEST));
    let found = hooks.as_array().unwrap().iter().find(|hook| hook["id"] == id);
    found.unwrap_or_else(|| panic!("{MANIFEST} has no {id}")).clone()
}

/// A repository of somebody's, with a home of its own: neither the machine's settings nor its caches reach it.
struct Planted {
    folder: Folder,
    home: Folder,
}

impl Planted {
    fn new() -> Self {
        let planted = Planted {
            folder: Folder::new(),
            home: Folder::new(),
        };
        planted.done("git", &["init", "--quiet"]);
        planted
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        self.folder.write(name, text.as_bytes());
        self
    }

    /// Runs a program in the repository: whether it succeeds, and what it says.
    fn runs(&self, program: &str, args: &[&str]) -> (bool, String) {
        let output = Command::new(program)
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(environment(&self.home))
            .envs([
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_AUTHOR_NAME", "ftrisk test"),
                ("GIT_AUTHOR_EMAIL", "test@example.invalid"),
                ("GIT_COMMITTER_NAME", "ftrisk test"),
                ("GIT_COMMITTER_EMAIL", "test@example.invalid"),
            ])
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    #[track_caller]
    fn done(&self, program: &str, args: &[&str]) -> String {
        let (done, said) = self.runs(program, args);
        assert!(done, "{program} {args:?}: {said}");
        said
    }

    fn commits(&self) -> (bool, String) {
        self.done("git", &["add", "--all"]);
        self.runs("git", &["commit", "--message", "change"])
    }

    #[track_caller]
    fn accepts(&self) -> String {
        let (done, said) = self.commits();
        assert!(done, "the commit is rejected: {said}");
        said
    }

    #[track_caller]
    fn rejects(&self, because: &str) -> String {
        let (done, said) = self.commits();
        assert!(!done, "the commit is accepted: {said}");
        assert!(said.contains(because), "{because:?} is not in: {said}");
        said
    }

    fn count(&self) -> String {
        let (_, said) = self.runs("git", &["rev-list", "--count", "--all"]);
        said.trim().to_owned()
    }

    /// An over-budget run is rejected with its diagnostic, the repaired one is accepted.
    #[track_caller]
    fn holds(&self) {
        self.write("team.riskpolicy", POLICY)
            .write("runs/a.yaml", &run_of("9.0"));
        let said = self.rejects("over[epochs]: epochs is 9; at most 3 is asked");
        assert!(said.contains("[runs/a.yaml:6:19]"), "{said}");
        assert_eq!(self.count(), "0");
        self.write("runs/a.yaml", &run_of("3.0"));
        self.accepts();
        assert_eq!(self.count(), "1");
    }
}

fn is_skipped() -> bool {
    !has_program("git", "to commit into a planted repository")
        || !has_program("pre-commit", "to install the hooks of .pre-commit-hooks.yaml")
}

/// A repository that has the hooks, as pre-commit would clone it from somewhere else; and its commit.
fn source() -> (Planted, String) {
    let source = Planted::new();
    source.write(MANIFEST, &read(MANIFEST));
    source.accepts();
    let commit = source.done("git", &["rev-parse", "HEAD"]).trim().to_owned();
    (source, commit)
}

#[test]
fn the_hooks_differ_in_where_the_program_comes_from() {
    let (mut built, mut system) = (hook("ftrisk-check"), hook("ftrisk-check-system"));
    assert_eq!(
        (&built["language"], &system["language"]),
        (&json!("rust"), &json!("system"))
    );
    for hook in [&mut built, &mut system] {
        let hook = hook.as_object_mut().unwrap();
        hook.remove("id");
        hook.remove("language");
    }
    assert_eq!(built, system);
}

#[test]
fn the_configuration_of_the_page_holds_a_repository() {
    if is_skipped() {
        return;
    }
    let (source, commit) = source();
    source.done("pre-commit", &["validate-manifest", MANIFEST]);
    let shown = shown_as(PAGE, ".pre-commit-config.yaml");
    let planted = Planted::new();
    let here = shown
        .replace(
            "https://github.com/OWNER/ftrisk",
            source.folder.path().to_str().unwrap(),
        )
        .replace("v0.1.0", &commit);
    assert!(!here.contains("OWNER") && here.contains(&commit), "{shown}");
    planted.write(".pre-commit-config.yaml", &here);
    planted.done("pre-commit", &["validate-config"]);
    planted.done("pre-commit", &["install"]);
    planted.holds();
    // What is no run stands where no runs are, and beside them under another type.
    planted
        .write("compose.yaml", "services:\n  web: {image: nginx}\n")
        .write("runs/README.md", "# Runs\n");
    planted.accepts();
    // Beside runs it is named and refused.
    planted.write("runs/compose.yaml", "services:\n  web: {image: nginx}\n");
    planted.rejects("runs/compose.yaml");
    std::fs::remove_file(planted.folder.path().join("runs/compose.yaml")).unwrap();
    // Judged is what is committed, not what lies in the folder.
    planted.write("runs/a.yaml", &run_of("9.0"));
    planted.done("git", &["add", "--all"]);
    planted.write("runs/a.yaml", &run_of("2.0"));
    let (done, said) = planted.runs("git", &["commit", "--message", "change"]);
    assert!(!done && said.contains("epochs is 9"), "{said}");
}

#[test]
fn without_a_place_of_the_runs_every_yaml_has_to_be_one() {
    if is_skipped() {
        return;
    }
    let (source, commit) = source();
    let planted = Planted::new();
    let config =
        json!({"repos": [{"repo": source.folder.path(), "rev": commit, "hooks": [{"id": "ftrisk-check-system"}]}]});
    planted.write(".pre-commit-config.yaml", &config.to_string());
    planted.done("pre-commit", &["install"]);
    planted.rejects(".pre-commit-config.yaml");
}

#[test]
fn a_folder_is_judged_whole_when_the_policy_changes() {
    if is_skipped() {
        return;
    }
    let shown = shown_as(PAGE, "local/.pre-commit-config.yaml");
    let planted = Planted::new();
    planted.write(".pre-commit-config.yaml", &shown);
    planted.done("pre-commit", &["install"]);
    planted.holds();
    planted.write("team.riskpolicy", &POLICY.replace('3', "2"));
    planted.rejects("over[epochs]: epochs is 3; at most 2 is asked");
    planted.write("runs/a.yaml", &run_of("2.0"));
    planted.accepts();
    // A file of the folder that is no run is passed over.
    planted.write("runs/compose.yaml", "services:\n  web: {image: nginx}\n");
    planted.accepts();
}

#[cfg(unix)]
#[test]
fn the_hook_of_three_lines_judges_what_is_committed() {
    use std::os::unix::fs::PermissionsExt as _;

    if !has_program("git", "to commit into a planted repository") {
        return;
    }
    let shown = shown_as(PAGE, "pre-commit");
    assert_eq!(shown.lines().count(), 3, "{shown}");
    let planted = Planted::new();
    planted.write(".git/hooks/pre-commit", &shown);
    let path = planted.folder.path().join(".git/hooks/pre-commit");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    planted.holds();
    planted.write("team.riskpolicy", &POLICY.replace('3', "2"));
    planted.rejects("over[epochs]: epochs is 3; at most 2 is asked");
    planted.write("runs/a.yaml", &run_of("2.0"));
    planted.accepts();
    // Neither what lies in the folder and is not added, nor where `commit` is called from.
    planted.write("runs/a.yaml", &run_of("9.0"));
    planted.done("git", &["add", "--all"]);
    planted.write("runs/a.yaml", &run_of("2.0"));
    let (done, said) = planted.runs("git", &["-C", "runs", "commit", "--message", "change"]);
    assert!(!done && said.contains("epochs is 9"), "{said}");
    // With `--all` git has an index of its own for the commit.
    let (done, said) = planted.runs("git", &["commit", "--all", "--message", "change", "--allow-empty"]);
    assert!(done, "{said}");
    planted.write("runs/a.yaml", &run_of("8.0"));
    let (done, said) = planted.runs("git", &["commit", "--all", "--message", "change"]);
    assert!(!done && said.contains("epochs is 8"), "{said}");
    assert_eq!(
        std::fs::read_dir(planted.home.path().join("tmp")).unwrap().count(),
        0,
        "the hook leaves its copy behind"
    );
}

#[test]
fn the_page_names_what_the_manifest_offers() {
    let page = read(PAGE);
    for hook in yaml::value(&read(MANIFEST)).as_array().unwrap() {
        let id = hook["id"].as_str().unwrap();
        assert!(page.contains(&format!("`{id}`")), "{PAGE} does not name {id}");
    }
}
