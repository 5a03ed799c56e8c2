//! Runs the commands of a block and compares what they print.

use ftrisk::ir::glob;

use crate::it::harness::{Case, Folder, below};

/// Commands that a document shows and a test does not run, by how they begin, with the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo test", "the suite does not run itself"),
    (
        "cargo install",
        "it writes into the reader's home; `.ci/run` builds the same code",
    ),
    ("cargo build", "the tests run the binary that was built for them"),
    ("cargo clippy", ".ci/run does"),
    ("cargo fmt", ".ci/run does"),
    ("cargo insta", "a tool of its own"),
    (".ci/run", "it runs the tests"),
    ("git", "the reader's repository"),
    (
        "python3 examples/tiny/texts.py",
        "it fetches packages of a Linux distribution",
    ),
    ("llamafactory-cli", "the reader's training framework"),
    (
        "ftrisk train",
        "it trains for minutes, and what it prints depends on the machine",
    ),
    (
        "ftrisk probe build",
        "it loads a model, and hashes depend on the machine",
    ),
    (
        "ftrisk probe check",
        "it loads a model, and what it prints depends on the machine",
    ),
    ("cargo run --release --locked -- train", "the same"),
    (
        "cargo run --release --locked --example tiny_base",
        "it trains for half an hour; a test repeats its first updates",
    ),
];

/// What only a binary with the trainer prints so; the tests of the gate, which has none, pass over it.
const OF_THE_TRAINER: &[&str] = &[
    "ftrisk --help",
    "ftrisk train --help",
    "ftrisk probe build --help",
    "ftrisk probe check --help",
];

/// Whether a command is shown and not run.
fn is_only_shown(command: &str) -> bool {
    if OF_THE_TRAINER.contains(&command) {
        return cfg!(not(feature = "train"));
    }
    NOT_RUN
        .iter()
        .any(|(start, _)| format!("{command} ").starts_with(&format!("{start} ")))
}

/// What a block did.
pub struct Run {
    pub folder: Folder,
    /// What is wrong.
    pub told: Option<String>,
    /// Whether writing down what was printed repairs it.
    pub is_output: bool,
    /// The block with the output that the commands have.
    pub blessed: String,
}

/// A command with the lines below it.
struct Step<'b> {
    command: String,
    expected: Vec<&'b str>,
}

/// Runs a `console` block.
pub fn run(block: &str, mut folder: Folder) -> Run {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut told = None;
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.to_owned(),
                expected: Vec::new(),
            }),
            (None, Some(step)) => {
                // A command goes on below a backslash.
                if step.command.ends_with('\\') {
                    step.command.push('\n');
                    step.command.push_str(line);
                } else {
                    step.expected.push(line.trim_end());
                }
            }
            (None, None) => {
                told = Some("the block does not begin with a command (`$ ftrisk …`)".to_owned());
                break;
            }
        }
    }
    let mut blessed = String::new();
    let mut is_output = told.is_none();
    for step in &steps {
        let expected = trimmed(&step.expected);
        let (actual, after) = match execute(&step.command, folder) {
            (Executed::Ended { code, output }, folder) => {
                let mut lines: Vec<String> = output.lines().map(|line| line.trim_end().to_owned()).collect();
                while lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                if code != 0 {
                    lines.push(format!("[exit {code}]"));
                }
                (Some(lines), folder)
            }
            (Executed::NotRun, folder) => (None, folder),
            (Executed::NotUnderstood(why), folder) => {
                told.get_or_insert(format!("`{}` {why}", step.command));
                is_output = false;
                (None, folder)
            }
        };
        folder = after;
        let actual = actual.filter(|actual| !matches(&expected, actual));
        if let Some(actual) = &actual {
            let shown = format!(
                "`{}` prints otherwise\n-- the page\n{}\n-- the program\n{}",
                step.command,
                expected.join("\n"),
                actual.join("\n")
            );
            told.get_or_insert(shown);
        }
        blessed.push_str(&format!("$ {}\n", step.command));
        let gap = step.expected.len() - expected.len();
        let shown: Vec<&str> = match &actual {
            Some(actual) => actual.iter().map(String::as_str).collect(),
            None => expected,
        };
        for line in shown.into_iter().chain(std::iter::repeat_n("", gap)) {
            blessed.push_str(line);
            blessed.push('\n');
        }
    }
    if steps.is_empty() {
        blessed = block.to_owned();
    }
    Run {
        folder,
        told,
        is_output,
        blessed,
    }
}

/// Runs an `sh` block: what is printed is not shown, so all there is to check is that nothing is refused.
pub fn run_silently(block: &str, mut folder: Folder) -> Run {
    let mut told = None;
    for command in block.replace("\\\n", " ").lines().map(str::trim) {
        if command.is_empty() || command.starts_with('#') {
            continue;
        }
        let (executed, after) = execute(command, folder);
        folder = after;
        match executed {
            Executed::Ended { code, output } if code > 1 => {
                told.get_or_insert(format!("`{command}` ends with {code}\n{output}"));
            }
            Executed::NotUnderstood(why) => {
                told.get_or_insert(format!("`{command}` {why}"));
            }
            Executed::Ended { .. } | Executed::NotRun => {}
        }
    }
    Run {
        folder,
        told,
        is_output: false,
        blessed: block.to_owned(),
    }
}

/// Without the empty lines at the end.
fn trimmed<'l>(lines: &[&'l str]) -> Vec<&'l str> {
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    lines[..end].to_vec()
}

/// Whether lines are as expected, where `…` stands for any lines.
fn matches(expected: &[&str], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((&"…", rest)) => (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..])),
        Some((line, rest)) => actual.first().is_some_and(|first| first == line) && matches(rest, &actual[1..]),
    }
}

enum Executed {
    Ended { code: i32, output: String },
    NotRun,
    NotUnderstood(String),
}

/// Runs one command line: words, quotes, `*`, `< FILE`, `> FILE` and variables in front.
fn execute(line: &str, folder: Folder) -> (Executed, Folder) {
    let not = |why: &str, folder| (Executed::NotUnderstood(why.to_owned()), folder);
    let Some(mut words) = words(&line.replace("\\\n", " ")) else {
        return not("has a quote that is not closed", folder);
    };
    let mut variables = Vec::new();
    while let Some((name, value)) = words.first().and_then(|word| word.text.split_once('='))
        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    {
        variables.push((name.to_owned(), value.to_owned()));
        words.remove(0);
    }
    let spoken: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let command = spoken.join(" ");
    if is_only_shown(&command) {
        return (Executed::NotRun, folder);
    }
    // `cargo run … -- ARGUMENTS` would build once more what was built for the tests.
    let arguments = match spoken.as_slice() {
        ["ftrisk", ..] => 1,
        ["cargo", "run", options @ ..] => match options.iter().position(|word| *word == "--") {
            Some(at) => at + 3,
            None => return not("gives ftrisk no arguments", folder),
        },
        _ => return not("is no command that the tests know", folder),
    };
    let mut case = Case::within(folder);
    let mut output = None;
    let mut words = words.into_iter().skip(arguments);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            ">" | "<" if !word.quoted => {
                let Some(file) = words.next() else {
                    return not("names no file behind the arrow", case.into_folder());
                };
                if word.text == ">" {
                    output = Some(file.text);
                } else {
                    let content = std::fs::read(case.path().join(&file.text));
                    let Ok(content) = content else {
                        return not(&format!("reads {}, which is not there", file.text), case.into_folder());
                    };
                    case = case.stdin(content);
                }
            }
            "|" | "&&" | ";" | ">>" if !word.quoted => {
                return not("is more than one command", case.into_folder());
            }
            text if text.contains('*') && !word.quoted => {
                let names = matching(text, case.path());
                if names.is_empty() {
                    return not(&format!("names {text}, which matches no file"), case.into_folder());
                }
                case = case.args(names);
            }
            _ => case = case.args([word.text]),
        }
    }
    for (name, value) in variables {
        case = case.env(&name, &value);
    }
    let ran = case.run();
    let mut printed = ran.stdout;
    if let Some(name) = output {
        ran.folder.write(&name, printed.as_bytes());
        printed.clear();
    }
    printed.push_str(&ran.stderr);
    let ended = Executed::Ended {
        code: ran.code,
        output: printed,
    };
    (ended, ran.folder)
}

struct Word {
    text: String,
    quoted: bool,
}

/// The words of a command line, quotes and a comment at its end taken off.
fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert(Word {
                    text: String::new(),
                    quoted: true,
                })
                .quoted = true;
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word
                .get_or_insert(Word {
                    text: String::new(),
                    quoted: false,
                })
                .text
                .push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The files of a folder that a pattern matches, sorted as a shell would.
fn matching(pattern: &str, folder: &std::path::Path) -> Vec<String> {
    below(folder, "", "")
        .into_iter()
        .filter(|name| glob(pattern, name))
        .collect()
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    let read = |line| words(line).map(|words| words.into_iter().map(|word| word.text).collect::<Vec<_>>());
    assert_eq!(
        read("a 'b c' d\"e f\"  # g"),
        Some(vec!["a".into(), "b c".into(), "de f".into()])
    );
    assert_eq!(read("a '' b#c"), Some(vec!["a".into(), String::new(), "b#c".into()]));
    assert_eq!(read("a 'b"), None);
}

#[test]
fn any_lines_stand_for_any_lines_and_no_others() {
    let actual: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    for expected in [
        vec!["a", "b", "c"],
        vec!["…"],
        vec!["a", "…"],
        vec!["…", "c"],
        vec!["a", "…", "b", "c"],
    ] {
        assert!(matches(&expected, &actual), "{expected:?}");
    }
    for expected in [
        vec![],
        vec!["a", "b"],
        vec!["…", "b"],
        vec!["a", "…", "d"],
        vec!["b", "…"],
    ] {
        assert!(!matches(&expected, &actual), "{expected:?}");
    }
}

#[test]
fn commands_see_the_files_of_their_page() {
    let folder = || {
        let folder = Folder::new();
        folder.write("a/one.yaml", b"x: 1\n");
        folder.write("a/two.yaml", b"x: 1\n");
        folder
    };
    let output = |line| match execute(line, folder()).0 {
        Executed::Ended { output, .. } => output,
        Executed::NotRun => "not run".to_owned(),
        Executed::NotUnderstood(why) => why,
    };
    let both = output("cargo run --release --locked -- check builtin:cautious-sft a/*.yaml");
    assert!(both.contains("a/one.yaml") && both.contains("a/two.yaml"), "{both}");
    assert!(output("ftrisk check builtin:cautious-sft - < a/one.yaml").contains("standard input"));
    assert_eq!(output("ftrisk policy list > out"), "");
    let (_, after) = execute("ftrisk policy list > out", folder());
    assert!(
        std::fs::read_to_string(after.path().join("out"))
            .unwrap()
            .contains("cautious-sft")
    );
    assert_eq!(output("FTRISK_BLESS=1 cargo test --locked"), "not run");
    assert_eq!(output("ftrisk train p.riskpolicy run.yaml"), "not run");
    assert_eq!(output("ftrisk train --help") == "not run", cfg!(not(feature = "train")));
    for (line, why) in [
        ("ftrisk policy list | head", "is more than one command"),
        ("ftrisk check p a/*.yml", "names a/*.yml, which matches no file"),
        ("ftrisk check p - < b", "reads b, which is not there"),
        ("cargo run", "gives ftrisk no arguments"),
        ("cargo testing", "is no command that the tests know"),
        ("ftrisk 'a", "has a quote that is not closed"),
    ] {
        assert_eq!(output(line), why, "{line}");
    }
}
