//! The rules of the house, as data, and a test that fails when the code breaks one.
//!
//! Imports run downwards only, an outside crate is named behind one door, files stay short. `docs/architecture.md`
//! explains the rooms; the tables here decide. Changing a row is fine: say why in the same commit.

mod planted;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use petgraph::algo::{astar, tarjan_scc};
use petgraph::graphmap::DiGraphMap;

use super::harness::{files, manifest, read, repository};
use scan::{Code, code, file_of, module_of, resolve};

/// Every room with the rooms it may import from. A room may only name rooms above it in this table.
const ROOMS: &[(&str, &[&str])] = &[
    // Foundation: what a text is, what a number is, what ships inside the binary.
    ("source", &[]),
    ("quantity", &[]),
    ("builtin", &[]),
    // What went wrong, as data.
    ("diag", &["source"]),
    // The language and the run; neither knows of the other.
    ("syntax", &["source", "quantity", "diag"]),
    ("ir", &["source", "quantity", "diag"]),
    ("facts", &["source", "quantity"]),
    ("sema", &["source", "quantity", "diag", "syntax", "ir"]),
    ("adapt", &["source", "quantity", "diag", "facts"]),
    // Judgement: the typed policy against the facts, whatever they were read from.
    ("check", &["source", "quantity", "diag", "ir", "facts"]),
    // Training under a policy: numbers to readings, readings to decisions, decisions to a record. No model in it.
    ("meter", &["quantity"]),
    ("guard", &["quantity", "ir", "meter"]),
    ("ledger", &["source", "quantity", "ir", "meter", "guard"]),
    // The guard for loops that are not ours; `source` for the text of the policy's lines.
    ("protocol", &["source", "quantity", "ir", "meter", "guard", "ledger"]),
    // The trainer: the run file's recipe, walked under the guard. The room with a model in it.
    (
        "train",
        &["source", "quantity", "diag", "ir", "facts", "meter", "guard", "ledger"],
    ),
    // Faces.
    // `adapt` for the page about its tables of keys; `builtin` for what is no path in a log.
    (
        "report",
        &[
            "source", "quantity", "builtin", "diag", "ir", "adapt", "meter", "guard", "ledger",
        ],
    ),
    // The guard around the weights of somebody's candle loop. It compiles and judges as a command does, because a loop
    // that embeds it has texts and no command line; `report` for what counts as passed; `train` for AdamW alone.
    (
        "embed",
        &[
            "source", "quantity", "diag", "ir", "sema", "adapt", "check", "meter", "guard", "train", "report",
        ],
    ),
    (
        "cmd",
        &[
            "source", "quantity", "builtin", "diag", "syntax", "ir", "facts", "sema", "adapt", "check", "meter",
            "guard", "ledger", "protocol", "train", "report",
        ],
    ),
    ("main", &["cmd"]),
    // Declares the rooms and imports from none.
    ("lib", &[]),
];

/// Which files may name an outside crate; a folder ends in `/`.
const CRATES: &[(&str, &[&str])] = &[
    ("pest", &["syntax/rules.rs", "syntax/build.rs", "syntax/unexpected.rs"]),
    ("pest_derive", &["syntax/rules.rs"]),
    ("miette", &["diag/render.rs"]),
    ("saphyr_parser", &["adapt/yaml.rs"]),
    (
        "serde",
        &[
            "report/facts.rs",
            "report/json.rs",
            "report/json/against.rs",
            "report/probe.rs",
            "report/train.rs",
            "ledger/entry.rs",
            "ledger/number.rs",
            "ledger/chain.rs",
            "protocol/message.rs",
            "protocol/answer.rs",
            "train/kept.rs",
        ],
    ),
    (
        "serde_json",
        &[
            "report/facts.rs",
            "report/json.rs",
            "report/probe.rs",
            "report/sarif.rs",
            "report/train.rs",
            "ledger/chain.rs",
            "protocol/message.rs",
            "protocol/answer.rs",
            "train/config.rs",
            "train/data/files.rs",
            "train/folder.rs",
            "train/kept.rs",
            "train/lora.rs",
            "train/probe.rs",
            "cmd/governed.rs",
        ],
    ),
    ("sha2", &["source.rs", "train/random.rs"]),
    ("flate2", &["meter/compression.rs"]),
    ("candle_core", &["train/", "embed/"]),
    ("candle_nn", &["train/model/"]),
    ("indicatif", &["cmd/progress.rs"]),
    ("jiff", &["ir/day.rs"]),
    ("petgraph", &["guard/plan.rs"]),
    ("rand_chacha", &["train/random.rs"]),
    ("safetensors", &["train/tensors.rs"]),
    ("signal_hook", &["cmd/signals.rs"]),
    ("tokenizers", &["train/folder.rs", "train/setup.rs"]),
    ("clap", &["cmd/"]),
    ("clap_complete", &["cmd/"]),
    ("clap_mangen", &["cmd/man.rs"]),
];

/// Which files may reach out of the process. The other rooms are pure: text and data in, data and text out.
const FACES: &[&str] = &["cmd/", "main.rs"];
/// Which files read. A model is too large to be handed over as bytes, so the trainer opens it where it is read.
const READERS: &[&str] = &["cmd/", "main.rs", "train/folder.rs", "train/data/files.rs"];
/// Which files may look at a clock: how long something took is shown, and decides nothing.
const CLOCKS: &[&str] = &["cmd/progress.rs", "cmd/governed.rs"];
/// Which file asks for the day, which decides what is still waived.
const CALENDARS: &[&str] = &["cmd/waivers.rs"];

/// Parts of the standard library behind a door.
const STD: &[(&str, &[&str])] = &[
    ("std::fs", READERS),
    ("std::io", FACES),
    ("std::env", FACES),
    ("std::process", FACES),
    // No decision depends on a clock, a judgement on no more than the day that it is given, and nothing on the network.
    ("std::time", &["cmd/progress.rs", "cmd/governed.rs", "cmd/waivers.rs"]),
    ("std::net", &[]),
];

/// Words behind a door, wherever they come from.
const WORDS: &[(&str, &[&str])] = &[
    // Their order changes from run to run, and sooner or later somebody iterates.
    ("HashMap", &[]),
    ("HashSet", &[]),
    ("SystemTime", CALENDARS),
    ("Instant", CLOCKS),
];

/// Macros behind a door. What is printed goes through `cmd::terminal`, which survives a closed pipe.
const MACROS: &[(&str, &[&str])] = &[
    ("println", FACES),
    ("print", FACES),
    ("eprintln", FACES),
    ("eprint", FACES),
    ("dbg", &[]),
    ("todo", &[]),
    ("unimplemented", &[]),
];

/// Lines of a file, its test modules not counted.
const MOST_LINES: usize = 700;

/// Marks of unfinished work, in pieces so that this file does not hold them.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Licences that the project's own licence can live with. No copyleft, no "non-commercial".
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Everything in `files`, paths from the repository on with their texts, that breaks a rule.
fn violations<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<String> {
    let mut found = Vec::new();
    let files: Vec<(&str, &str, Code)> = files
        .into_iter()
        .map(|(path, text)| (path, text, code(path, text)))
        .collect();
    let test_modules: BTreeSet<Vec<String>> = files
        .iter()
        .flat_map(|(_, _, code)| code.test_children.iter().cloned())
        .collect();
    let is_test = |module: &[String]| (1..=module.len()).any(|depth| test_modules.contains(&module[..depth]));
    let mut house: BTreeMap<Vec<String>, (String, Code)> = BTreeMap::new();
    let mut lifts = Vec::new();
    for (path, text, code) in files {
        plain(path, text, &code, &mut found);
        let Some(inside) = path.strip_prefix("src/").filter(|_| !is_test(&code.module)) else {
            continue;
        };
        doors(inside, &code, &mut found);
        edges(inside, &code, &mut found);
        if code.lines > MOST_LINES {
            found.push(format!(
                "{path}: {} lines outside tests, at most {MOST_LINES}",
                code.lines
            ));
        }
        if let Some((_, line)) = code.words.iter().find(|(word, _)| word == "unsafe_code") {
            lifts.push(format!("{path}:{line}"));
        }
        // The roots belong to no room, and both are the module without a name.
        if !code.module.is_empty() {
            house.insert(code.module.clone(), (path.to_owned(), code));
        }
    }
    if lifts.len() > 1 {
        found.push(format!(
            "more than one file lifts the ban on unsafe code: {}",
            lifts.join(", ")
        ));
    }
    circles(&house, &mut found);
    found.sort();
    found
}

/// The rules that hold for tests as well.
fn plain(path: &str, text: &str, code: &Code, found: &mut Vec<String>) {
    if !text.starts_with("//!") {
        found.push(format!(
            "{path}:1: does not begin with a `//!` that says what the file is for"
        ));
    }
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(mark) = words.find(|word| MARKS.contains(word)) {
            found.push(format!(
                "{path}:{}: {mark}: finish it, or write down what is missing",
                index + 1
            ));
        }
    }
    for (name, line) in &code.attributes {
        if name == "ignore" {
            found.push(format!("{path}:{line}: a test that is switched off tests nothing"));
        }
    }
    for (name, line) in &code.macros {
        if !path.starts_with("src/") && matches!(name.as_str(), "dbg" | "todo" | "unimplemented") {
            found.push(format!("{path}:{line}: `{name}!` is left over"));
        }
    }
}

fn is_behind(path: &str, doors: &[&str]) -> bool {
    doors.iter().any(|door| {
        if door.ends_with('/') {
            path.starts_with(door)
        } else {
            path == *door
        }
    })
}

fn doors(path: &str, code: &Code, found: &mut Vec<String>) {
    let mut report = |line: usize, what: &str, doors: &[&str]| {
        let only = if doors.is_empty() {
            "nowhere".to_owned()
        } else {
            format!("only in {}", doors.join(", "))
        };
        found.push(format!("src/{path}:{line}: `{what}` may be named {only}"));
    };
    for mention in &code.mentions {
        if resolve(mention, code).is_some() {
            continue;
        }
        let mut segments: Vec<&str> = mention.segments.iter().map(String::as_str).collect();
        // `alloc` has nothing that stands behind a door.
        if let Some(first) = segments.first_mut().filter(|first| **first == "core") {
            *first = "std";
        }
        for (name, doors) in CRATES.iter().chain(STD) {
            let door: Vec<&str> = name.split("::").collect();
            // `use std as s` and `use std::*` bring in what is behind every door of std.
            let whole = segments.strip_suffix(&["*"]).unwrap_or(&segments);
            let opens = mention.name.is_some() && door.starts_with(whole);
            if (segments.starts_with(&door) || opens) && !is_behind(path, doors) {
                report(mention.line, &mention.segments.join("::"), doors);
                break;
            }
        }
    }
    for (table, names, mark) in [(WORDS, &code.words, ""), (MACROS, &code.macros, "!")] {
        for (name, line) in names {
            if let Some((_, doors)) = table.iter().find(|(known, _)| known == name)
                && !is_behind(path, doors)
            {
                report(*line, &format!("{name}{mark}"), doors);
            }
        }
    }
}

/// The room of a path inside `src`.
fn room_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn edges(path: &str, code: &Code, found: &mut Vec<String>) {
    let from = room_of(path);
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == from) else {
        found.push(format!("src/{path}: `{from}` is not in the table of rooms"));
        return;
    };
    for mention in &code.mentions {
        let Some(place) = resolve(mention, code) else {
            continue;
        };
        let at = format!("src/{path}:{}", mention.line);
        let written = mention.segments.join("::");
        let glob = place.last().is_some_and(|last| last == "*");
        // A glob over a type's variants hides nothing; types begin with a capital.
        let over_modules = place.iter().all(|word| !word.starts_with(char::is_uppercase));
        if glob && over_modules {
            found.push(format!("{at}: `{written}` hides what it imports"));
            continue;
        }
        let Some(to) = place.first().map(String::as_str) else {
            found.push(format!("{at}: `{written}` is the whole crate, not a room"));
            continue;
        };
        if to != from && !allowed.contains(&to) {
            found.push(format!("{at}: {from} → {to} is not allowed (`{written}`)"));
        }
    }
}

/// Circles between the files of one room. A `mod.rs` is the door of its room: it passes on what its files make and may
/// hold the words they share, so its own imports from below it do not count; what it passes on counts for the file that
/// makes it.
fn circles(house: &BTreeMap<Vec<String>, (String, Code)>, found: &mut Vec<String>) {
    let mut graph: DiGraphMap<&str, usize> = DiGraphMap::new();
    for (module, (path, code)) in house {
        for mention in &code.mentions {
            let Some(place) = resolve(mention, code).filter(|place| place.first() == module.first()) else {
                continue;
            };
            let Some(to) = file_of(&place, house) else {
                continue;
            };
            let is_door = path.ends_with("/mod.rs") && module_of(to).starts_with(module);
            if to != path && !is_door && !graph.contains_edge(path, to) {
                graph.add_edge(path, to, mention.line);
            }
        }
    }
    for circle in circles_of(&graph) {
        let steps: Vec<String> = circle
            .windows(2)
            .map(|pair| format!("{}:{}", pair[0], graph.edge_weight(pair[0], pair[1]).unwrap()))
            .chain(circle.last().map(|last| (*last).to_owned()))
            .collect();
        found.push(format!("files in a circle: {}", steps.join(" → ")));
    }
}

/// The shortest way round through each node that is on a circle, every way once, its first node repeated at the end.
fn circles_of<'g, E>(graph: &DiGraphMap<&'g str, E>) -> BTreeSet<Vec<&'g str>> {
    let mut circles = BTreeSet::new();
    for start in tarjan_scc(graph).into_iter().flatten() {
        let ways = graph.neighbors(start).filter_map(|next| {
            let (_, way) = astar(graph, next, |node| node == start, |_| 1, |_| 0)?;
            Some(way)
        });
        if let Some(mut way) = ways.min_by_key(|way| (way.len(), way.clone())) {
            // The same way found from another of its nodes is told once.
            let first = (0..way.len()).min_by_key(|at| way[*at]).unwrap_or(0);
            way.rotate_left(first);
            way.extend(way.first().copied());
            circles.insert(way);
        }
    }
    circles
}

#[test]
fn the_house_keeps_its_rules() {
    let paths = [files("src", ".rs"), files("tests", ".rs")].concat();
    let texts: Vec<String> = paths.iter().map(read).collect();
    let found = violations(paths.iter().map(String::as_str).zip(texts.iter().map(String::as_str)));
    assert!(
        found.is_empty(),
        "{} rules are broken:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn the_table_of_rooms_runs_downwards_and_names_every_room() {
    let mut graph: DiGraphMap<&str, ()> = DiGraphMap::new();
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        for below in *allowed {
            let above_it = ROOMS.iter().take(index).any(|(known, _)| known == below);
            assert!(above_it, "{room} → {below}: {below} does not stand above {room}");
            graph.add_edge(room, below, ());
        }
    }
    assert_eq!(circles_of(&graph), BTreeSet::new());
    let paths = files("src", ".rs");
    let built: BTreeSet<&str> = paths
        .iter()
        .filter_map(|path| path.strip_prefix("src/"))
        .map(room_of)
        .collect();
    let listed: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(built, listed);
}

#[test]
fn every_dependency_has_a_door_and_every_door_leads_somewhere() {
    let named: BTreeSet<String> = manifest("dependencies")
        .iter()
        .map(|name| name.replace('-', "_"))
        .collect();
    let doors: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named, doors);
    for (name, doors) in CRATES.iter().chain(STD).chain(WORDS).chain(MACROS) {
        for door in *doors {
            assert!(
                repository().join("src").join(door).exists(),
                "{name}: there is no src/{door}"
            );
        }
    }
}

#[test]
fn every_crate_has_a_licence_that_ours_can_live_with() {
    let triple = {
        let said = Command::new("rustc").arg("-vV").output().expect("rustc runs").stdout;
        let said = String::from_utf8(said).unwrap();
        said.lines()
            .find_map(|line| line.strip_prefix("host: "))
            .expect("rustc names its host")
            .to_owned()
    };
    // Only what this machine builds, because nothing else has been downloaded for sure.
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            &triple,
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "{} packages are not all of them", packages.len());
    let bad: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let (name, licence, source) = (&package["name"], &package["license"], &package["source"]);
            let from_registry = source.is_null() || source.as_str().unwrap_or("").starts_with("registry+");
            let ok = from_registry && licence.as_str().is_some_and(may_be_used);
            (!ok).then(|| format!("{name}: licence {licence}, from {source}"))
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Whether one side of every `OR` of a licence expression is on the list; `/` is how older crates write `OR`.
fn may_be_used(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    let inside = |text: &str| -> bool {
        text.split(" OR ")
            .any(|side| side.split(" AND ").all(|licence| LICENCES.contains(&licence.trim())))
    };
    // `(A OR B) AND C` is the one form with brackets that crates write.
    match expression.strip_prefix('(').and_then(|rest| rest.split_once(") AND ")) {
        Some((choice, also)) => inside(choice) && inside(also),
        None => inside(expression),
    }
}

#[test]
fn licence_expressions_are_read() {
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "Apache-2.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT AND BSD-3-Clause",
    ] {
        assert!(may_be_used(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR Apache-2.0) AND GPL-3.0",
        "MIT AND (GPL-3.0 OR LGPL-2.1)",
    ] {
        assert!(!may_be_used(bad), "{bad}");
    }
}

#[test]
fn no_file_in_the_sources_is_hidden_from_the_scan() {
    // The scan maps files to modules by their names, which these would change.
    for path in files("src", ".rs") {
        let text = read(&path);
        for (word, why) in [
            ("#[path", "a module in another file"),
            ("include!", "code from another file"),
        ] {
            let code = scan::tokens(&text).iter().map(|token| token.text).collect::<String>();
            assert!(!code.contains(word), "{path}: {why}");
        }
    }
    assert!(
        !fs::read_dir(repository().join("src"))
            .unwrap()
            .any(|entry| entry.unwrap().file_name() == "bin")
    );
}
