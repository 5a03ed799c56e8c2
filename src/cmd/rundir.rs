//! The run directory: everything that a governed run leaves, written so that nothing half-written looks whole.
//!
//! The journal grows by whole lines. The adapter appears by a rename, after all of it is on the disk, and the summary
//! after the adapter: a directory with a summary is a run that ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;

/// The directory of one run, claimed by this process.
pub(super) struct RunDirectory {
    path: PathBuf,
    journal: File,
    times: File,
}

/// Why a directory could not be claimed.
pub(super) enum Claim {
    /// There is something in it.
    Taken,
    /// It cannot be written.
    Failed(Failure),
}

/// The hash-chained record of what was read and decided.
pub(super) const JOURNAL: &str = "journal.jsonl";
/// Durations: what depends on the machine stays out of the journal.
pub(super) const TIMES: &str = "times.jsonl";
/// The adapter, in PEFT's format.
pub(super) const ADAPTER: &str = "adapter";
/// What was spent of each budget, and why the run ended.
pub(super) const SUMMARY: &str = "summary.json";

impl RunDirectory {
    /// Whether there is anything at this path that a run would be mixed with.
    pub(super) fn is_taken(path: &Path) -> bool {
        match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            // A file, or a folder that may not be read: there is something. Nothing at all, or a way that leads nowhere,
            // is for `claim` to make or to fail on.
            Err(_) => path.symlink_metadata().is_ok(),
        }
    }

    /// Makes the directory and its journal, which exists once.
    pub(super) fn claim(path: &Path) -> Result<RunDirectory, Claim> {
        if Self::is_taken(path) {
            return Err(Claim::Taken);
        }
        let failed = |error: io::Error| Claim::Failed(cannot_write(path, &error));
        fs::create_dir_all(path).map_err(failed)?;
        let journal = match OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path.join(JOURNAL))
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Claim::Taken),
            other => other.map_err(failed)?,
        };
        let times = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path.join(TIMES))
            .map_err(failed)?;
        Ok(RunDirectory {
            path: path.to_owned(),
            journal,
            times,
        })
    }

    /// Adds a line to the journal, in one write.
    pub(super) fn record(&mut self, line: &str) -> Result<(), Failure> {
        append(&mut self.journal, line).map_err(|error| cannot_write(&self.path.join(JOURNAL), &error))
    }

    /// Adds a line to the times.
    pub(super) fn time(&mut self, line: &str) -> Result<(), Failure> {
        append(&mut self.times, line).map_err(|error| cannot_write(&self.path.join(TIMES), &error))
    }

    /// Writes a file whole, or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let target = self.path.join(name);
        let beside = self.path.join(format!("{name}.tmp"));
        put(&beside, &target, bytes)
    }

    /// Writes a folder of files that appears whole, or not at all.
    pub(super) fn write_folder(&self, name: &str, files: &[(&str, &[u8])]) -> Result<(), Failure> {
        let target = self.path.join(name);
        let beside = self.path.join(format!("{name}.tmp"));
        let written = fs::create_dir(&beside)
            .and_then(|()| {
                files
                    .iter()
                    .try_for_each(|(file, bytes)| whole(&beside.join(file), bytes))
            })
            .and_then(|()| fs::rename(&beside, &target));
        written.map_err(|error| {
            let _ = fs::remove_dir_all(&beside);
            cannot_write(&target, &error)
        })
    }
}

/// A line and its end in one write, so that a process that is killed leaves a whole line or none in nearly every case,
/// and readers drop what has no end.
fn append(file: &mut File, line: &str) -> io::Result<()> {
    file.write_all(format!("{line}\n").as_bytes())
}

/// Writes a file whole, or not at all: `beside` its place, then there by a rename.
pub(super) fn put(beside: &Path, target: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = whole(beside, bytes).and_then(|()| fs::rename(beside, target));
    written.map_err(|error| {
        let _ = fs::remove_file(beside);
        cannot_write(target, &error)
    })
}

fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure(format!("cannot write {}: {error}", path.display()))
}
