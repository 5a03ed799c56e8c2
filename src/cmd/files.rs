//! Reading what the command line names.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::adapt::Beside;
use crate::builtin;
use crate::diag::{Code, Diagnostic, Severity, closest};
use crate::ir::{self, Policy};
use crate::source::{Place, SourceId, Sources, Span, sha256};

/// A probe larger than this is no probe: it is measured whole, again and again.
const MOST_PROBE_BYTES: u64 = 64 * 1024 * 1024;

/// Most run files and policies are smaller.
const USUAL_BYTES: usize = 8 * 1024;

/// A text that was read, or the finding that says why not.
pub(super) type Read<T> = Result<T, Box<Diagnostic>>;

/// Reads a policy: a file, or one inside the binary.
pub(super) fn policy(name: &str, sources: &mut Sources) -> Read<SourceId> {
    if name.starts_with(builtin::PREFIX) {
        return match builtin::policy(name) {
            Some(policy) => Ok(sources.add(name, policy.text)),
            None => {
                let names = builtin::POLICIES.iter().map(|policy| policy.name);
                let short = name.trim_start_matches(builtin::PREFIX);
                let finding = Diagnostic::new(
                    Code::CannotRead,
                    format!("no policy inside the binary is called `{short}`"),
                );
                Err(Box::new(match closest(short, names) {
                    Some(near) => finding
                        .help("did you mean")
                        .instead(format!("{}{near}", builtin::PREFIX)),
                    None => finding.help("`ftrisk policy list` names them"),
                }))
            }
        };
    }
    let said = if Path::new(name) == Path::new("-") { STDIN } else { name };
    text(Path::new(name), said, crate::syntax::MAX_BYTES, "a policy", sources).map_err(|finding| {
        let here = builtin::policy(name).filter(|_| !Path::new(name).exists());
        Box::new(match here {
            Some(policy) => finding
                .help("a policy of that name is inside the binary")
                .instead(format!("{}{}", builtin::PREFIX, policy.name)),
            None => *finding,
        })
    })
}

/// Reads a run file; `-` is standard input.
pub(super) fn run(path: &Path, sources: &mut Sources) -> Read<SourceId> {
    text(path, &said(path), crate::adapt::MAX_BYTES, "a run file", sources)
}

/// Reads what is named beside a run file; a finding says which flag named it.
pub(super) fn beside(with: &[PathBuf], facts: Option<&Path>, sources: &mut Sources) -> Read<Beside> {
    let mut read = |flag, path: &Path| {
        let (said, what) = (format!("{flag} {}", said(path)), format!("a file for {flag}"));
        text(path, &said, crate::adapt::MAX_BYTES, &what, sources)
    };
    Ok(Beside {
        overrides: None,
        with: with.iter().map(|path| read("--with", path)).collect::<Read<_>>()?,
        facts: facts.map(|path| read("--facts", path)).transpose()?,
    })
}

const STDIN: &str = "standard input";

/// What a path is called.
fn said(path: &Path) -> String {
    if path == Path::new("-") {
        STDIN.to_owned()
    } else {
        path.display().to_string()
    }
}

/// Reads a text of at most `most` bytes; `said` is what findings call it.
fn text(path: &Path, said: &str, most: usize, what: &str, sources: &mut Sources) -> Read<SourceId> {
    let bytes = if path == Path::new("-") {
        bytes(std::io::stdin().lock(), most)
    } else if is_pipe_with_a_name(path) {
        let message = format!("cannot read {said}: it is a named pipe, and to open one waits until somebody writes");
        return Err(Box::new(Diagnostic::new(Code::CannotRead, message).help(
            "write it into a file, or hand it over as `-` or, in a shell that has it, as `<(command)`",
        )));
    } else {
        // A directory opens, and only says so when it is read.
        File::open(path).and_then(|file| bytes(file, most))
    };
    let bytes = bytes.map_err(|error| cannot_read(said, &error, what))?;
    decoded(self::said(path), said, bytes, most, what, sources)
}

/// Whether to open a path may wait for ever. A pipe that this process was started with has no name in any folder: standard
/// input, and what a shell makes of `<(command)`, which ends when the command does.
#[cfg(unix)]
fn is_pipe_with_a_name(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;

    let is_pipe = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    let is_held = |real: PathBuf| ["/dev", "/proc"].iter().any(|folder| real.starts_with(folder));
    is_pipe && path.canonicalize().is_ok_and(|real| !is_held(real))
}

#[cfg(not(unix))]
fn is_pipe_with_a_name(_: &Path) -> bool {
    false
}

/// A text of at most `most` bytes, from one byte more at most.
pub(super) fn decoded(
    name: String,
    said: &str,
    bytes: Vec<u8>,
    most: usize,
    what: &str,
    sources: &mut Sources,
) -> Read<SourceId> {
    if bytes.len() > most {
        let message = format!("{said} is larger than {most} bytes, the most that ftrisk reads of {what}");
        return Err(Box::new(
            Diagnostic::new(Code::TooLarge, message).help(format!("check that it is {what}")),
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(sources.add(name, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // What is text before the fault is enough to show where it is.
            let good = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or(&[])).into_owned();
            let id = sources.add(name, good);
            let line = sources.get(id).line(at);
            let span = sources.get(id).line_span(line);
            let place = Place {
                source: id,
                span: Span::new(span.start.min(at), at),
            };
            Err(Box::new(
                Diagnostic::new(
                    Code::NotText,
                    format!("{said} is not UTF-8: byte {at}, on line {line}, begins no character"),
                )
                .at(place, "text up to here")
                .help("save it as UTF-8"),
            ))
        }
    }
}

/// At most one byte more than `most`.
pub(super) fn bytes(reader: impl std::io::Read, most: usize) -> std::io::Result<Vec<u8>> {
    // A run file or a policy is read at once; what is larger makes room as it comes.
    let mut bytes = Vec::with_capacity(most.min(USUAL_BYTES));
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cannot_read(said: &str, error: &std::io::Error, what: &str) -> Box<Diagnostic> {
    let is_folder = error.kind() == std::io::ErrorKind::IsADirectory;
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ if is_folder => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    let finding = Diagnostic::new(Code::CannotRead, format!("cannot read {said}: {why}"));
    Box::new(if is_folder {
        finding.help(format!("name {what} in it"))
    } else {
        finding.help("check the path")
    })
}

/// Compares the probes that can be read with their pins. An absent probe is no finding: training needs it, not `check`.
pub(super) fn probes(policy: &Policy, policy_file: &str, sources: &Sources) -> Vec<Diagnostic> {
    policy
        .probes
        .iter()
        .filter_map(|probe| {
            let digest = match digest(&probe.path, policy_file) {
                Ok(Some(digest)) => digest,
                Ok(None) => return None,
                Err(finding) => return Some(finding.at(probe.place, "named here")),
            };
            let pinned = probe.sha256.as_ref()?;
            (digest != *pinned).then(|| {
                let place = pin_of(sources, probe.place, pinned);
                Diagnostic::new(Code::ProbeHash, format!("{} is not the file that the policy pinned", probe.path))
                    .at(place, "the pinned hash")
                    .note(format!("the file's hash is {digest}"))
                    .help("restore the file, or, if the change is meant, write the new hash with `ftrisk pin`: runs measured on the old one are no longer comparable")
            })
        })
        .collect()
}

/// The pin inside a probe's statement.
fn pin_of(sources: &Sources, statement: Place, pinned: &str) -> Place {
    let text = sources.get(statement.source).slice(statement.span).to_ascii_lowercase();
    match text.find(pinned) {
        Some(at) => Place {
            span: Span::new(statement.span.start + at, statement.span.start + at + pinned.len()),
            ..statement
        },
        None => statement,
    }
}

/// The SHA-256 of a probe; `None` when there is no such file.
pub(super) fn digest(path: &str, policy_file: &str) -> Read<Option<String>> {
    // The hashes of the shipped ones are known: taking them again would be a third of a check.
    if let Some(probe) = builtin::probe(path) {
        return Ok(Some(probe.sha256.to_owned()));
    }
    Ok(probe(path, policy_file)?.map(|bytes| sha256(&bytes)))
}

/// The bytes of a pinned probe that is about to be measured on. `doing` and `who` say in the findings what refuses it and
/// who measures.
pub(super) fn measured_on(
    declared: &ir::Probe,
    policy_file: &str,
    [doing, who]: [&str; 2],
) -> Read<Cow<'static, [u8]>> {
    let Some(pinned) = &declared.sha256 else {
        return Err(Box::new(
            Diagnostic::new(
                Code::ProbeUnpinned,
                format!("`{}` is not pinned by its hash", declared.path),
            )
            .weighing(Severity::Error)
            .at(declared.place, format!("{doing} refuses it"))
            .help(format!(
                "`ftrisk pin {policy_file}` writes it: what is measured has to be comparable"
            )),
        ));
    };
    let Some(bytes) = probe(&declared.path, policy_file)? else {
        return Err(Box::new(
            Diagnostic::new(
                Code::CannotRead,
                format!("cannot read {}: there is no such file", declared.path),
            )
            .at(declared.place, "measured on this")
            .help(format!("{who} measures on it, so it has to be there: restore it")),
        ));
    };
    // The check compared what was there then; what is measured on is what was read now.
    if sha256(&bytes) != *pinned {
        return Err(Box::new(
            Diagnostic::new(
                Code::ProbeHash,
                format!("{} changed while the run was prepared", declared.path),
            )
            .at(declared.place, "the pinned hash")
            .help("restore the file and start again"),
        ));
    }
    Ok(bytes)
}

/// The bytes of a probe; `None` when there is no such file.
pub(super) fn probe(path: &str, policy_file: &str) -> Read<Option<Cow<'static, [u8]>>> {
    if path.starts_with(builtin::PREFIX) {
        return match builtin::probe(path) {
            Some(probe) => Ok(Some(Cow::Borrowed(probe.bytes))),
            None => {
                let names: Vec<String> = builtin::PROBES
                    .iter()
                    .map(|probe| format!("`{}{}`", builtin::PREFIX, probe.name))
                    .collect();
                Err(Box::new(
                    Diagnostic::new(
                        Code::CannotRead,
                        format!("no probe inside the binary is called `{path}`"),
                    )
                    .help(format!("there are {}", crate::diag::one_of(&names))),
                ))
            }
        };
    }
    let folder = Path::new(policy_file).parent().unwrap_or(Path::new(""));
    let file = folder.join(path);
    if !is_inside(&file, folder) {
        return Err(Box::new(
            Diagnostic::new(Code::ProbePath, format!("{path} lies outside of the policy's root"))
                .help("keep probes in the repository of the policy, so that everybody measures on the same ones"),
        ));
    }
    if is_pipe_with_a_name(&file) {
        let finding = Diagnostic::new(Code::CannotRead, format!("{path} is a named pipe"));
        return Err(Box::new(
            finding.help("a probe is read again and again: write it into a JSONL file"),
        ));
    }
    let Ok(opened) = File::open(&file) else {
        return Ok(None);
    };
    let cannot = |error: &std::io::Error| {
        let message = format!("cannot read {}: {error}", file.display());
        Box::new(Diagnostic::new(Code::CannotRead, message).help("check the path"))
    };
    let size = opened.metadata().map_err(|error| cannot(&error))?;
    if size.is_dir() {
        let finding = Diagnostic::new(Code::CannotRead, format!("{path} is a directory"));
        return Err(Box::new(finding.help("name the JSONL file")));
    }
    if size.len() > MOST_PROBE_BYTES {
        let finding = Diagnostic::new(
            Code::TooLarge,
            format!("{path} is larger than {MOST_PROBE_BYTES} bytes"),
        );
        return Err(Box::new(
            finding.help("a probe is measured whole at every evaluation: choose a part of it"),
        ));
    }
    let mut bytes = Vec::new();
    opened
        .take(MOST_PROBE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot(&error))?;
    Ok(Some(Cow::Owned(bytes)))
}

/// Whether a file lies in the policy's root.
pub(super) fn is_inside(file: &Path, folder: &Path) -> bool {
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let folder = here.canonicalize().unwrap_or_else(|_| here.to_owned());
    // What does not exist has no links to follow; its dots are resolved as written.
    let file = file
        .canonicalize()
        .unwrap_or_else(|_| resolved(&folder.join(file.strip_prefix(here).unwrap_or(file))));
    file.starts_with(root(&folder))
}

/// The root of the policies in a folder: the nearest folder above with `.git`, else the folder.
pub(super) fn root(folder: &Path) -> &Path {
    let mut above = folder.ancestors();
    above.find(|above| above.join(".git").exists()).unwrap_or(folder)
}

fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}
