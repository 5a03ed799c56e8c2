//! The file beside a probe that keeps what the base answered to it: where it is, and who refuses it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::files;
use crate::builtin;
use crate::diag::{Code, Diagnostic};
use crate::ir::{self, Policy};
use crate::quantity::ProbeKind;
use crate::train::error::Error;
use crate::train::kept;
use crate::train::measure::Meters;
use crate::train::probe::Probe;
use crate::train::setup::Setup;

/// Beside the probe's own file; for a probe inside the binary, beside the policy. A policy inside the binary has no
/// place.
pub(super) fn place(declared: &ir::Probe, policy_file: &str, setup: &Setup) -> Option<PathBuf> {
    if policy_file.starts_with(builtin::PREFIX) {
        return None;
    }
    let folder = Path::new(policy_file).parent().unwrap_or(Path::new(""));
    // A file of the same name may lie beside the policy, and is another probe.
    let file = match declared.path.strip_prefix(builtin::PREFIX) {
        Some(name) => format!("builtin-{name}"),
        None => declared.path.clone(),
    };
    Some(folder.join(kept::file_name(&file, setup)))
}

/// Gives a probe of prompts the answers that are kept for it, if any are. What is there and does not fit is refused.
pub(super) fn load(declared: &ir::Probe, policy_file: &str, setup: &Setup, probe: &mut Probe) -> files::Read<()> {
    let Some(path) = place(declared, policy_file, setup).filter(|_| declared.kind == ProbeKind::Prompts) else {
        return Ok(());
    };
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    if path.symlink_metadata().as_ref().err().is_some_and(absent) {
        return Ok(());
    }
    let hash = declared.sha256.as_deref().unwrap_or_default();
    let answers = bytes(&path, policy_file, probe.rows.len()).and_then(|bytes| kept::read(&bytes, setup, probe, hash));
    match answers {
        Ok(answers) => {
            probe.kept = Some(answers);
            Ok(())
        }
        Err(error) => Err(Box::new(unfit(&path, &error.message, declared, policy_file))),
    }
}

fn bytes(path: &Path, policy_file: &str, rows: usize) -> Result<Vec<u8>, Error> {
    let cannot = |error: io::Error| Error::new(format!("cannot be read: {error}"));
    let folder = Path::new(policy_file).parent().unwrap_or(Path::new(""));
    if !files::is_inside(path, folder) {
        return Err(Error::new("lies outside of the policy's root"));
    }
    let most = kept::most_bytes(rows);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(format!("is damaged: it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// The finding about kept answers that the base would not give.
pub(super) fn misdrawn(meters: &Meters<'_>, policy: &Policy, policy_file: &str, setup: &Setup) -> Option<Diagnostic> {
    let (index, row) = meters.misdrawn()?;
    let declared = policy.probes.get(index)?;
    let path = place(declared, policy_file, setup)?;
    let what = format!("has an answer to {} that the base would not give", row.id);
    Some(unfit(&path, &what, declared, policy_file))
}

fn unfit(path: &Path, what: &str, declared: &ir::Probe, policy_file: &str) -> Diagnostic {
    Diagnostic::new(Code::TrainInput, format!("{} {what}", path.display()))
        .at(declared.place, "what the base answered to this is kept there")
        .help(format!(
            "make it anew with `ftrisk probe build {policy_file} RUN`, or remove it: then the answers are drawn again at every start"
        ))
}
