//! `ftrisk pin`

use std::path::Path;

use super::args::{Color, PinArgs};
use super::{BAD_INPUT, Failure, Outcome, files, terminal};
use crate::diag::render::render;
use crate::diag::{Code, Diagnostic, has_errors};
use crate::source::{Place, Sources, Span};
use crate::syntax::{self, Name, StatementKind};

/// A probe or audit file with the place where its hash is, or goes.
struct Pinned {
    path: Name,
    hash: Span,
    written: Option<String>,
}

pub(super) fn run(args: &PinArgs, color: Color) -> Outcome {
    let mut sources = Sources::default();
    let name = args.policy.display().to_string();
    let source = match files::policy(&name, &mut sources) {
        Ok(source) if name.starts_with(crate::builtin::PREFIX) => {
            let finding = Diagnostic::new(Code::CannotRead, "a policy inside the binary cannot be changed")
                .at(
                    Place {
                        source,
                        span: Span::new(0, 0),
                    },
                    "",
                )
                .help("print it into a file first: `ftrisk policy show NAME > my.riskpolicy`");
            return report(&[finding], &sources, color);
        }
        Ok(source) => source,
        Err(finding) => return report(&[*finding], &sources, color),
    };
    let parsed = syntax::parse(source, &sources);
    if has_errors(&parsed.diagnostics) {
        return report(&parsed.diagnostics, &sources, color);
    }
    let mut text = sources.get(source).text().to_owned();
    let mut told = String::new();
    let mut findings = Vec::new();
    // From the end on, so that earlier spans stay true.
    for pinned in pins(&parsed.file).into_iter().rev() {
        let place = Place {
            source,
            span: pinned.path.span,
        };
        match files::digest(&pinned.path.value, &name) {
            Ok(Some(digest)) => {
                let state = match &pinned.written {
                    Some(old) if *old == digest => "unchanged",
                    Some(_) => "replaced",
                    None => "written",
                };
                told.insert_str(0, &format!("{digest}  {}  {state}\n", pinned.path.value));
                let quoted = if pinned.written.is_some() {
                    format!("\"{digest}\"")
                } else {
                    format!(" sha256 \"{digest}\"")
                };
                text.replace_range(pinned.hash.start..pinned.hash.end, &quoted);
            }
            Ok(None) => findings.insert(
                0,
                Diagnostic::new(
                    Code::CannotRead,
                    format!("there is no file {} to pin", pinned.path.value),
                )
                .at(place, "named here")
                .help("paths are relative to the policy's folder"),
            ),
            Err(finding) => findings.insert(0, finding.at(place, "named here")),
        }
    }
    if !findings.is_empty() {
        return report(&findings, &sources, color);
    }
    if told.is_empty() {
        return terminal::print(&format!("{name} has no probe to pin\n")).map(|()| 0);
    }
    if text != sources.get(source).text() {
        replace(&args.policy, &text)?;
    }
    terminal::print(&told).map(|()| 0)
}

/// Every probe and audit of a policy, in the order of the file.
fn pins(file: &syntax::File) -> Vec<Pinned> {
    file.statements
        .iter()
        .filter_map(|statement| match &statement.kind {
            StatementKind::Probe(probe) => Some((&probe.path, &probe.pin)),
            StatementKind::Audit { path, pin } => Some((path, pin)),
            _ => None,
        })
        .map(|(path, pin)| Pinned {
            path: path.clone(),
            hash: pin
                .as_ref()
                .map_or(Span::new(path.span.end, path.span.end), |pin| pin.span),
            written: pin.as_ref().map(|pin| pin.value.clone()),
        })
        .collect()
}

/// Writes beside the file and renames, so that a full disk or a kill leaves the old policy whole.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut beside = target.clone().into_os_string();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = std::path::PathBuf::from(beside);
    let written = std::fs::write(&beside, text)
        .and_then(|()| std::fs::metadata(&target).and_then(|old| std::fs::set_permissions(&beside, old.permissions())))
        .and_then(|()| std::fs::rename(&beside, &target));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        Failure(format!("cannot write {}: {error}", path.display()))
    })
}

fn report(findings: &[Diagnostic], sources: &Sources, color: Color) -> Outcome {
    let style = terminal::style(color);
    let drawn: Vec<String> = findings.iter().map(|finding| render(finding, sources, style)).collect();
    terminal::print(&drawn.join("\n"))?;
    Ok(BAD_INPUT)
}
