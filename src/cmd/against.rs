//! `--against`: the run that another was made from, as a run file, a run directory, or a revision of the same file.
//!
//! The revision is read with the `git` program, in the folder of the file, without a shell.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::files::{self, Read};
use super::targets::Target;
use crate::adapt::{self, Beside, Launch};
use crate::diag::{Code, Diagnostic};
use crate::facts::Facts;
use crate::source::{SourceId, Sources};

/// The run file inside a run directory.
const RUN: &str = "run.yaml";
/// The most bytes of git's complaint that are read.
const MOST_COMPLAINT: usize = 4096;

/// What `--against` names.
pub(super) enum Named {
    /// A run file.
    File(PathBuf),
    /// A revision; the run file is the same one there.
    Revision(String),
}

/// What the text names: something that is there, else a revision. `Err` says what is wrong with the command line.
pub(super) fn named(text: &str, runs: &[Target]) -> Result<Named, String> {
    let path = Path::new(text);
    let is_there = path.symlink_metadata().is_ok();
    if is_there && runs.len() > 1 {
        return Err(format!(
            "--against {text} is one parent, and there are {} run files: check them one by one, or name a git revision",
            runs.len()
        ));
    }
    if path.is_dir() {
        return Ok(Named::File(path.join(RUN)));
    }
    if is_there {
        return Ok(Named::File(path.to_owned()));
    }
    if text == "-" {
        return Err("--against reads no standard input: name a file, a run directory, or a git revision".to_owned());
    }
    if !is_revision(text) {
        return Err(format!(
            "--against {text}: there is no such file or directory, and no git revision is written so"
        ));
    }
    Ok(Named::Revision(text.to_owned()))
}

/// Whether a text can be one revision: no option, no range, no path in a revision, nothing that git does not allow.
fn is_revision(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !"\\:?*[".contains(c);
    !text.is_empty() && !text.starts_with(['-', '^']) && !text.contains("..") && text.chars().all(is_plain)
}

/// The facts of the parent of the run file at `path`, launched as the run is and with the same files beside it; values
/// behind `--` and facts by name are the run's own. Without them, the findings say why.
pub(super) fn parent(
    named: &Named,
    path: &Path,
    (launch, beside): (Launch, &Beside),
    sources: &mut Sources,
) -> Result<Facts, Vec<Diagnostic>> {
    let found = match named {
        Named::File(file) => files::run(file, sources),
        Named::Revision(revision) => at_revision(revision, path, sources),
    };
    let source = found.map_err(|finding| vec![*finding])?;
    let beside = Beside {
        with: beside.with.clone(),
        ..Beside::default()
    };
    let read = adapt::read_beside(Some(source), sources, launch, &beside);
    // What else is wrong with the parent matters to whoever checks that one.
    read.facts.ok_or(read.diagnostics)
}

/// The run file as it was at a revision.
fn at_revision(revision: &str, path: &Path, sources: &mut Sources) -> Read<SourceId> {
    if path == Path::new("-") {
        let message = format!("standard input has no revision {revision}");
        return Err(Box::new(
            Diagnostic::new(Code::CannotRead, message).help("name the run file, or a parent that is a file"),
        ));
    }
    // A link is followed: git would hand out where it leads instead of what is there.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let cannot = |message: String, git: &str, help: &str| {
        let finding = Diagnostic::new(Code::CannotRead, message);
        let finding = match git.lines().next() {
            Some(line) if !line.trim().is_empty() => finding.note(format!("git says: {}", line.trim())),
            _ => finding,
        };
        Box::new(finding.help(help))
    };
    // The revision is one word of its own and begins with no dash, so it is no option.
    let commit = format!("{revision}^{{commit}}");
    let asked = git(folder, &["rev-parse", "--verify", &commit], 256);
    let commit = match asked {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(cannot(
                format!(
                    "{revision} is no file or directory, and the program git, which would read it as a revision, is not there"
                ),
                "",
                "install git, or name a file or a run directory",
            ));
        }
        Err(error) => {
            return Err(cannot(
                format!("git cannot be run to read {revision}"),
                &error.to_string(),
                "name a file or a run directory instead",
            ));
        }
        Ok(answer) if !answer.is_good => {
            return Err(cannot(
                format!("{revision} is no file or directory, and no git revision where {name} lies"),
                &answer.complaint,
                "check the path or the revision; a shallow clone in CI has only one, so fetch the other first",
            ));
        }
        Ok(answer) => String::from_utf8_lossy(&answer.bytes).trim().to_owned(),
    };
    // No filter and no text conversion of the repository runs here, as `git show` would run it.
    let answer = git(
        folder,
        &["cat-file", "blob", &format!("{commit}:./{name}")],
        adapt::MAX_BYTES,
    );
    match answer {
        Ok(answer) if answer.is_good || answer.bytes.len() > adapt::MAX_BYTES => files::decoded(
            format!("{revision}:{name}"),
            &format!("{revision}:{name}"),
            answer.bytes,
            adapt::MAX_BYTES,
            "a run file",
            sources,
        ),
        Ok(answer) => Err(cannot(
            format!("there is no {name} at {revision}"),
            &answer.complaint,
            "a new run file has no parent there: check it without --against, or name the file that it was made from",
        )),
        Err(error) => Err(cannot(
            format!("git cannot be run to read {name} at {revision}"),
            &error.to_string(),
            "name a file or a run directory instead",
        )),
    }
}

/// What git answered.
struct Answer {
    is_good: bool,
    /// At most one byte more than were asked for.
    bytes: Vec<u8>,
    complaint: String,
}

/// Runs git in a folder and reads at most `most` bytes.
fn git(folder: &Path, args: &[&str], most: usize) -> std::io::Result<Answer> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(args);
    // The repository is the one that the file lies in, also inside a hook of another; nothing is fetched or asked.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // git complains in a line or two, so that nobody waits for the other; a longer answer is cut off.
    let bytes = match child.stdout.take() {
        Some(out) => files::bytes(out, most)?,
        None => Vec::new(),
    };
    let mut complaint = Vec::new();
    if let Some(out) = child.stderr.take() {
        out.take(MOST_COMPLAINT as u64).read_to_end(&mut complaint)?;
    }
    let is_good = child.wait()?.success();
    Ok(Answer {
        is_good,
        bytes,
        complaint: String::from_utf8_lossy(&complaint).into_owned(),
    })
}
