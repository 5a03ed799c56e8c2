//! The documents say what the program does: their commands are run, their policies compiled, their links followed.
//!
//! How a block is fenced decides what happens to it:
//!
//! - `console`: lines that begin with `$ ` are commands, the lines below are what they print, standard error last. A line
//!   `…` stands for any lines, `[exit 1]` below the output for an exit code other than 0.
//! - `bash` with a name is a script or a file of somebody's shell; `hook` and `shells` run them, in a home of their own.
//! - `sh`: commands alone, for copying; they are run, and must end with 0 or 1.
//! - `riskpolicy` compiles (a missing hash is only a warning), `riskpolicy broken` does not. `riskpolicy part` is some lines of a
//!   policy: a header and probes are put above them.
//! - `yaml run` is a run file and is read without an error.
//! - `file=NAME`, behind any of them, puts the text where the commands of the same page find it.
//!
//! Commands run in a folder with copies of `examples` and `policies`, one folder a page. `FTRISK_BLESS=1` writes what
//! they print, and the generated pages, into the documents.

mod console;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use ftrisk::adapt::{self, Launch};
use ftrisk::builtin::{POLICIES, PROBES};
use ftrisk::diag::{Diagnostic, has_errors};
use ftrisk::report::reference;
use ftrisk::source::Sources;

use super::harness::{Folder, blessing, files, manifest, read, repository};
use super::spec::{Block, blocks, compiled};

/// Every page for people. Specifications are executed by a test of their own.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = fs::read_dir(repository())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    for folder in ["docs", "examples", "grammar", "policies"] {
        pages.extend(files(folder, ".md"));
    }
    pages.sort();
    pages
}

/// The pages of the codes say in fences of their own what is an example of what; `codes` runs them.
fn is_about_a_code(page: &str) -> bool {
    page.starts_with("docs/reference/codes/")
}

/// Fences whose text is only shown.
const SHOWN: &[&str] = &["text", "yaml", "json", "toml", "rust", "pest", "python"];

#[test]
fn what_the_documents_show_is_what_happens() {
    let mut failures = Vec::new();
    for page in pages() {
        let text = read(&page);
        let checked = checked(&page, &text);
        if blessing() && checked.blessed != text {
            fs::write(repository().join(&page), checked.blessed).unwrap();
            failures.extend(checked.failures.into_iter().filter(|failure| !failure.is_output));
        } else {
            failures.extend(checked.failures);
        }
    }
    let told: Vec<&str> = failures.iter().map(|failure| failure.told.as_str()).collect();
    assert!(
        told.is_empty(),
        "\n{}\n\n{} blocks are wrong",
        told.join("\n\n"),
        told.len()
    );
}

struct Failure {
    told: String,
    /// Whether writing down what a command prints repairs it.
    is_output: bool,
}

struct Checked {
    failures: Vec<Failure>,
    blessed: String,
}

fn checked(page: &str, text: &str) -> Checked {
    let mut failures = Vec::new();
    let mut edits = Vec::new();
    let mut folder = Folder::new();
    folder.copy("examples");
    folder.copy("policies");
    for block in blocks(text) {
        let flags: Vec<&str> = block.flags.iter().map(String::as_str).collect();
        let (names, flags): (Vec<&str>, Vec<&str>) = flags.into_iter().partition(|flag| flag.starts_with("file="));
        let is_named = !names.is_empty();
        for name in names.into_iter().filter_map(|flag| flag.strip_prefix("file=")) {
            folder.write(name, block.text.as_bytes());
        }
        let mut is_output = false;
        let told = match (block.language.as_str(), flags.as_slice()) {
            ("console", []) => {
                let run = console::run(&block.text, folder);
                folder = run.folder;
                if run.blessed != block.text {
                    edits.push((block.line - 1, block.text.lines().count(), run.blessed));
                }
                is_output = run.is_output;
                run.told
            }
            ("sh", []) => {
                let run = console::run_silently(&block.text, folder);
                folder = run.folder;
                run.told
            }
            _ if is_about_a_code(page) => None,
            ("riskpolicy", []) => compiles(&block.text),
            ("riskpolicy", ["part"]) => compiles(&whole(&block.text)),
            ("riskpolicy", ["broken"]) => compiles(&block.text).is_none().then(|| "it compiles".to_owned()),
            ("yaml", ["run"]) => is_read(&block.text),
            ("bash", []) if is_named => None,
            (language, []) if SHOWN.contains(&language) => None,
            (language, flags) => Some(format!("nobody knows what a block `{language} {}` is", flags.join(" "))),
        };
        if let Some(told) = told {
            failures.push(Failure {
                told: format!("{page}:{}: {told}", block.line),
                is_output,
            });
        }
    }
    for (index, line) in text.lines().enumerate() {
        let fence = line
            .trim_start()
            .strip_prefix("```")
            .filter(|_| line.starts_with(' '))
            .unwrap_or("");
        if ["console", "sh", "riskpolicy"]
            .iter()
            .any(|language| fence.starts_with(language))
        {
            failures.push(Failure {
                told: format!(
                    "{page}:{}: an indented block is not executed; move it to the margin",
                    index + 1
                ),
                is_output: false,
            });
        }
    }
    Checked {
        failures,
        blessed: edited(text, edits),
    }
}

/// A text with lines replaced: from which on, how many, by what. The edits come in the order of the text.
fn edited(text: &str, edits: Vec<(usize, usize, String)>) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (start, count, new) in edits.into_iter().rev() {
        lines.splice(start..start + count, [new]);
    }
    lines.concat()
}

/// Some lines of a policy as a whole one.
fn whole(part: &str) -> String {
    let mut policy = String::from("policy \"part\" for stage sft | dpo\n");
    if !part.contains("probe ") {
        for kind in ["text general", "prompts", "pairs"] {
            policy.push_str(&format!("probe {kind} \"a.jsonl\" sha256 \"{}\"\n", "0".repeat(64)));
        }
    }
    policy + part
}

fn listed(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let lines: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.concise(sources))
        .collect();
    lines.join("\n")
}

fn compiles(policy: &str) -> Option<String> {
    let compiled = compiled(policy);
    compiled
        .policy
        .is_none()
        .then(|| listed(&compiled.diagnostics, &compiled.sources))
}

fn is_read(run: &str) -> Option<String> {
    let mut sources = Sources::default();
    let source = sources.add("run.yaml", run);
    let read = adapt::read(source, &sources, Launch::default());
    let wrong = has_errors(&read.diagnostics) || read.facts.is_none();
    wrong.then(|| listed(&read.diagnostics, &sources))
}

#[test]
fn every_shipped_policy_compiles_says_its_purpose_and_is_inside_the_binary() {
    let mut shipped: BTreeMap<&str, &str> = POLICIES.iter().map(|policy| (policy.name, policy.text)).collect();
    for path in files("policies", ".riskpolicy") {
        let text = read(&path);
        let found = compiled(&text);
        assert_eq!(listed(&found.diagnostics, &found.sources), "", "{path}");
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("# ") && first.ends_with('.') && first.len() > 20,
            "{path} begins with {first:?}"
        );
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        assert_eq!(
            shipped.remove(name),
            Some(text.as_str()),
            "{path} is not in src/builtin.rs"
        );
        assert!(
            text.contains(&format!("\npolicy \"{name}\"")),
            "{path} names itself otherwise"
        );
    }
    assert_eq!(shipped, BTreeMap::new(), "policies without a file");
    let probes: BTreeSet<String> = PROBES
        .iter()
        .map(|probe| format!("policies/probes/{}", probe.name))
        .collect();
    assert_eq!(
        files("policies/probes", ".jsonl").into_iter().collect::<BTreeSet<_>>(),
        probes
    );
}

#[test]
fn every_dependency_is_listed_with_its_reason() {
    let page = read("docs/dependencies.md");
    for (heading, section) in [
        ("In the program", "dependencies"),
        ("Only in tests", "dev-dependencies"),
    ] {
        let part = page.split("\n## ").find(|part| part.starts_with(heading)).unwrap_or("");
        let rows: Vec<Vec<&str>> = part
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        let listed: Vec<String> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
        assert_eq!(listed, manifest(section), "docs/dependencies.md, {heading}");
        for row in rows {
            assert!(
                row.last().is_some_and(|why| row.len() > 1 && why.len() > 15),
                "{row:?} gives no reason"
            );
        }
    }
}

#[test]
fn generated_pages_are_what_the_tables_say() {
    for (path, text) in [
        ("docs/reference/quantities.md", reference::quantities()),
        ("docs/reference/codes/README.md", reference::codes()),
        ("docs/reference/train-keys.md", reference::train_keys()),
    ] {
        if blessing() {
            fs::write(repository().join(path), &text).unwrap();
        }
        let page = fs::read_to_string(repository().join(path)).unwrap_or_default();
        assert!(
            page == text,
            "{path} is not what the tables say: FTRISK_BLESS=1 writes it"
        );
    }
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_linked() {
    let mut broken = Vec::new();
    let mut linked = BTreeSet::new();
    for page in pages() {
        for (line, target) in links(&read(&page)) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = if path.is_empty() {
                page.clone()
            } else {
                beside(&page, path)
            };
            if !repository().join(&to).exists() {
                broken.push(format!("{page}:{line}: there is no {to}"));
            } else if !anchor.is_empty() && !anchors(&read(&to)).contains(anchor) {
                broken.push(format!("{page}:{line}: {to} has no heading #{anchor}"));
            }
            if to != page {
                linked.insert(to);
            }
        }
    }
    for page in files("docs", ".md") {
        if !linked.contains(&page) {
            broken.push(format!("{page}: no other page links to it"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Lines outside of fenced blocks, with their numbers, code between backticks taken out.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        let spoken = || line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        (!fence && !fenced).then(|| (index + 1, spoken()))
    })
}

/// The targets of relative links.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        for part in line.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                links.push((number, target.to_owned()));
            }
        }
    }
    links
}

/// The path that a link of a page leads to.
fn beside(page: &str, path: &str) -> String {
    let mut to = PathBuf::from(page);
    to.pop();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => {
                to.pop();
            }
            Component::CurDir => {}
            other => to.push(other),
        }
    }
    to.to_string_lossy().replace('\\', "/")
}

/// The names that the headings of a page have in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    text.lines()
        .filter(|line| {
            fenced ^= line.trim_start().starts_with("```");
            !fenced && line.starts_with('#')
        })
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            let kept = kept
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn the_test_command_of_the_readme_is_the_one_that_is_automated() {
    let command = "cargo test --locked";
    for (path, what) in [("README.md", "sh"), (".ci/run", "")] {
        let text = read(path);
        let lines = match what {
            "" => text.clone(),
            language => blocks(&text)
                .into_iter()
                .filter(|block| block.language == language)
                .map(|block: Block| block.text)
                .collect::<Vec<_>>()
                .concat(),
        };
        assert!(
            lines.lines().any(|line| line.trim().ends_with(command)),
            "{path} does not run `{command}`"
        );
    }
}

fn failures(text: &str) -> Vec<String> {
    checked("page.md", text)
        .failures
        .into_iter()
        .map(|failure| failure.told)
        .collect()
}

#[test]
fn a_wrong_page_is_reported_and_a_right_one_is_not() {
    let policy = "policy \"p\"\nmax lora.rank 8\n";
    let right = format!(
        "Text.\n```riskpolicy file=p.riskpolicy\n{policy}```\n```riskpolicy broken\nmax\n```\n```riskpolicy part\nmax drift.total 1 nats on general\n```\n\
         ```yaml run\nmodel_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\n```\n```text\nanything\n```\n\
         ```sh\n# a comment\ncargo test --locked\nftrisk policy list\n```\n\
         ```console\n$ ftrisk check p.riskpolicy nowhere.yaml\n…\n[exit 2]\n\n$ ftrisk explain nothing-like-this > out\n…\n[exit 2]\n```\n"
    );
    assert_eq!(failures(&right), Vec::<String>::new());
    for (wrong, expected) in [
        (
            "```riskpolicy\npolicy \"p\"\nmax lora.rank\n```\n",
            "page.md:2: policy.riskpolicy:2:",
        ),
        (
            "```riskpolicy broken\npolicy \"p\"\nmax lora.rank 8\n```\n",
            "page.md:2: it compiles",
        ),
        (
            "```riskpolicy part\nmax drift.total 1 on general\n```\n",
            "page.md:2: policy.riskpolicy:5:17: error[unit-missing]",
        ),
        (
            "```yaml run\nmodel_name_or_path: m\ndo_train: true\nfinetuning_type: lora\nno_such_key: 1\n```\n",
            "page.md:2: run.yaml:4:1: error[unknown-key]",
        ),
        ("```bash\nls\n```\n", "page.md:2: nobody knows what a block `bash `"),
        (
            "```yaml runn\nls\n```\n",
            "page.md:2: nobody knows what a block `yaml runn`",
        ),
        (
            "- a list\n  ```console\n  $ ftrisk\n  ```\n",
            "page.md:2: an indented block",
        ),
        (
            "```sh\nftrisk check nowhere.riskpolicy run.yaml\n```\n",
            "page.md:2: `ftrisk check nowhere.riskpolicy run.yaml` ends with 2",
        ),
        (
            "```sh\nrm -r .\n```\n",
            "page.md:2: `rm -r .` is no command that the tests know",
        ),
        (
            "```console\nftrisk\n```\n",
            "page.md:2: the block does not begin with a command",
        ),
        (
            "```console\n$ ftrisk policy show nothing\n```\n",
            "page.md:2: `ftrisk policy show nothing` prints otherwise",
        ),
    ] {
        let found = failures(wrong);
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert!(found[0].starts_with(expected), "{wrong}: {found:?}");
    }
}

#[test]
fn blessing_writes_what_is_printed_and_nothing_else() {
    let page = "A.\n```console\n$ ftrisk policy show x\nold\n$ ftrisk policy list\n…\n```\nB.\n```sh\nftrisk policy list\n```\n";
    let blessed = checked("page.md", page).blessed;
    let expected = "A.\n```console\n$ ftrisk policy show x\nftrisk: no policy inside the binary is called `x`; `ftrisk policy list` names them\n[exit 2]\n$ ftrisk policy list\n…\n```\nB.\n```sh\nftrisk policy list\n```\n";
    assert_eq!(blessed, expected);
    assert_eq!(checked("page.md", &blessed).blessed, blessed);
    assert_eq!(failures(&blessed), Vec::<String>::new());
}

#[test]
fn links_and_anchors_are_read_as_they_are_shown() {
    let text =
        "[a](b.md#c) ![d](../e.svg \"f\") `[no](x)` [web](https://example.org) [here](#top)\n```text\n[no](y)\n```\n";
    let targets: Vec<String> = links(text).into_iter().map(|(_, target)| target).collect();
    assert_eq!(targets, ["b.md#c", "../e.svg", "#top"]);
    assert_eq!(beside("docs/how-to/a.md", "../reference/./b.md"), "docs/reference/b.md");
    let headings = anchors("# A `b.c` and D!\n```sh\n# no heading\n```\n### learning_rate.final\n");
    assert_eq!(
        headings.into_iter().collect::<Vec<_>>(),
        ["a-bc-and-d", "learning_ratefinal"]
    );
}
