//! Which files a command line means: files, folders that are walked, patterns that the shell left alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf, is_separator};

use super::files::Read;
use crate::diag::{Code, Diagnostic};
use crate::ir::glob;

/// What run files are called.
const ENDINGS: &[&str] = &["yaml", "yml", "json", "sh"];

/// Folders that hold what was built or installed, and nothing that somebody wrote. One whose name begins with a dot is
/// passed over as well.
const PASSED_OVER: &[&str] = &[
    "__pycache__",
    "build",
    "dist",
    "node_modules",
    "site-packages",
    "target",
    "venv",
];

/// Files that say of their folder that it was made by a program.
const MADE: &[&str] = &["CACHEDIR.TAG", "pyvenv.cfg"];

/// One file to be looked at.
#[derive(Debug)]
pub(super) enum Target {
    /// Named, or matched by a pattern: it has to be a run file.
    Named(PathBuf),
    /// Found in a folder: it may be anything.
    Found(PathBuf),
    /// Facts that stand in the place of a run file.
    Facts(PathBuf),
    /// A name that leads to no file, and why not.
    Nothing(PathBuf, Box<Diagnostic>),
}

/// The files that the names mean: in the order of the command line, below a folder or behind a pattern by name. What was
/// named or found before is not found again.
pub(super) fn of(names: &[PathBuf]) -> Vec<Target> {
    let mut known: BTreeSet<PathBuf> = names.iter().cloned().collect();
    let mut targets = Vec::new();
    for name in names {
        if name == Path::new("-") || name.is_file() {
            targets.push(Target::Named(name.clone()));
        } else if name.is_dir() {
            match walked(name) {
                Ok(found) => {
                    let found = found.into_iter().filter(|path| known.insert(path.clone()));
                    targets.extend(found.map(Target::Found));
                }
                Err(finding) => targets.push(Target::Nothing(name.clone(), finding)),
            }
        } else if let Some(pattern) = name.to_str().filter(|name| is_pattern(name) && !exists(name)) {
            let found = matching(pattern);
            if found.is_empty() {
                targets.push(Target::Nothing(name.clone(), none_matches(pattern)));
            }
            let found = found.into_iter().filter(|path| known.insert(path.clone()));
            targets.extend(found.map(Target::Named));
        } else {
            // Whatever is wrong with it is said when it is read.
            targets.push(Target::Named(name.clone()));
        }
    }
    targets
}

fn exists(name: &str) -> bool {
    Path::new(name).symlink_metadata().is_ok()
}

/// The files of a folder and its folders that are called as run files are, by name.
fn walked(folder: &Path) -> Read<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            if entry.is_folder {
                if is_walked(&entry) {
                    folders.push(entry.path);
                }
            } else if is_called_a_run(&entry) {
                found.push(entry.path);
            }
        }
    }
    if found.is_empty() {
        let message = format!(
            "{} holds no run file: no *.yaml, *.yml, *.json or *.sh is in it",
            folder.display()
        );
        let finding = Diagnostic::new(Code::CannotRead, message);
        return Err(Box::new(finding.help(
            "check the path; folders that are hidden or hold what was built are passed over",
        )));
    }
    found.sort();
    Ok(found)
}

struct Entry {
    path: PathBuf,
    name: String,
    /// A folder, and no link to one: links may lead in circles.
    is_folder: bool,
}

fn entries(folder: &Path) -> Read<Vec<Entry>> {
    let cannot = |error: std::io::Error| {
        let message = format!("cannot read the folder {}: {error}", folder.display());
        Box::new(Diagnostic::new(Code::CannotRead, message).help("check who may read it"))
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let is_folder = entry.file_type().map_err(cannot)?.is_dir();
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            path: entry.path(),
            is_folder,
        });
    }
    Ok(entries)
}

fn is_walked(entry: &Entry) -> bool {
    let is_passed_over = entry.name.starts_with('.')
        || PASSED_OVER.contains(&entry.name.as_str())
        || MADE.iter().any(|mark| entry.path.join(mark).exists());
    entry.is_folder && !is_passed_over
}

fn is_called_a_run(entry: &Entry) -> bool {
    let ending = entry
        .path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    let is_called = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
    is_called && !entry.name.starts_with('.') && entry.path.is_file()
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

fn none_matches(pattern: &str) -> Box<Diagnostic> {
    let finding = Diagnostic::new(Code::CannotRead, format!("no file matches {pattern}"));
    Box::new(finding.help("check the path; `*` stops at a folder, `**` does not"))
}

/// The files that a pattern means, by name. A folder that cannot be listed holds none of them, as for a shell.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let rooted = pattern.starts_with(is_separator);
    let parts: Vec<&str> = pattern.split(is_separator).filter(|part| !part.is_empty()).collect();
    let start = if rooted { PathBuf::from("/") } else { PathBuf::new() };
    let mut found = BTreeSet::new();
    expand(&start, &parts, &mut found);
    found.into_iter().collect()
}

fn expand(folder: &Path, parts: &[&str], found: &mut BTreeSet<PathBuf>) {
    let Some((first, rest)) = parts.split_first() else {
        if folder.is_file() {
            found.insert(folder.to_owned());
        }
        return;
    };
    if !is_pattern(first) {
        let below = folder.join(first);
        if below.symlink_metadata().is_ok() {
            expand(&below, rest, found);
        }
        return;
    }
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let deep = *first == "**";
    if deep {
        expand(folder, rest, found);
    }
    for entry in entries(here).unwrap_or_default() {
        let below = folder.join(&entry.name);
        let is_hidden = entry.name.starts_with('.') && !first.starts_with('.');
        if deep && is_walked(&entry) {
            expand(&below, parts, found);
        } else if deep && rest.is_empty() && !entry.is_folder && !is_hidden {
            found.insert(below);
        } else if !deep && !is_hidden && glob(first, &entry.name) {
            expand(&below, rest, found);
        }
    }
}
