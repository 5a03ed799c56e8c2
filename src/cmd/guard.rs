//! `ftrisk guard`: judges a run as `train` does, then guards whatever loop is on the other side of standard input.
//!
//! Standard output belongs to the protocol; what people read goes to standard error.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;

use super::args::{Color, GuardArgs};
use super::check::is_swapped;
use super::gate::{Passed, armed, gate};
use super::{BAD_INPUT, Failure, Outcome, files, terminal};
use crate::adapt;
use crate::diag::Diagnostic;
use crate::diag::render::render;
use crate::facts::{Derived, Facts, Input, derive};
use crate::guard::Guard;
use crate::ir::Policy;
use crate::ledger::{FORMAT, Schedule, Start};
use crate::protocol::{Reply, Session};
use crate::quantity::Quantity;
use crate::report::{self, train};
use crate::source::{Sources, sha256};

/// The longest line that is read of a loop, in bytes.
const MOST_LINE: u64 = 16 * 1024 * 1024;

pub(super) fn run(args: &GuardArgs, color: Color) -> Outcome {
    if args.run == Path::new("-") {
        terminal::complain("the loop speaks on standard input, so the run file cannot: name it");
        return Ok(BAD_INPUT);
    }
    let mut sources = Sources::default();
    let style = terminal::style(color);
    let refuse = |findings: &[Diagnostic], sources: &Sources| {
        for finding in findings {
            terminal::note(render(finding, sources, style).trim_end());
        }
        Ok(BAD_INPUT)
    };

    let launch = args.launch.launch();
    if is_swapped("guard", &args.policy) {
        return Ok(BAD_INPUT);
    }
    let beside = match files::beside(&args.launch.start.with, None, &mut sources) {
        Ok(beside) => beside,
        Err(finding) => return refuse(&[*finding], &sources),
    };
    let named = (args.policy.as_str(), args.run.as_path());
    let (report, outcome) = gate(named, &beside, args.strict, &mut sources, |_, _| (launch, ()));
    terminal::note(report::check_text(&report, &sources, style, false).trim_end());
    let Passed {
        policy,
        run,
        later,
        found: (),
    } = match outcome {
        Ok(passed) => passed,
        Err(stopped) => {
            for finding in &stopped.causes {
                terminal::note(render(finding, &sources, style).trim_end());
            }
            return Ok(stopped.code);
        }
    };
    let guard = match pinned(&policy, &later, args) {
        Ok(guard) => guard,
        Err(findings) => return refuse(&findings, &sources),
    };
    let mut journal = match args.journal.as_deref().map(Kept::create).transpose() {
        Ok(journal) => journal,
        Err(Claim::Taken(path)) => {
            terminal::complain(&format!(
                "{path} is there already: a journal is never written over another"
            ));
            return Ok(BAD_INPUT);
        }
        Err(Claim::Failed(failure)) => return Err(failure),
    };

    let facts = adapt::read_beside(Some(run), &sources, launch, &beside).facts;
    let planned = facts.as_ref().and_then(planned);
    let course = facts.as_ref().and_then(Facts::course);
    let seed = facts.and_then(|facts| facts.values(Input::Seed));
    let start = Start {
        format: FORMAT,
        ftrisk: env!("CARGO_PKG_VERSION").to_owned(),
        policy: sha256(sources.get(policy.source).text().as_bytes()),
        run: sha256(sources.get(run).text().as_bytes()),
        // What the loop loads, and the machine that it runs on, are not seen from here.
        model: BTreeMap::new(),
        data: BTreeMap::new(),
        probes: policy
            .probes
            .iter()
            .filter_map(|probe| Some((probe.name.clone(), probe.sha256.clone()?)))
            .collect(),
        seed: seed.filter(|seed| seed.is_point()).map_or(0, |seed| seed.lo() as u64),
        threads: 0,
        cpu: Vec::new(),
        later,
        updates: planned.unwrap_or(0),
        schedule: course.as_ref().map(Schedule::of),
        strict: args.strict,
        waivers: policy.applied(),
    };
    let mut session = Session::new(&policy, &sources, guard, start);
    let code = converse(&mut session, journal.as_mut())?;
    if code != BAD_INPUT {
        let budgets = train::budgets(session.guard(), &policy);
        let outlook = train::outlook(&budgets, session.guard());
        terminal::note(format!("{}{outlook}", train::budget_table(&budgets)).trim_end());
    }
    Ok(code)
}

/// Line by line, until one side ends it.
fn converse(session: &mut Session<'_>, mut journal: Option<&mut Kept>) -> Outcome {
    terminal::print(&format!("{}\n", session.hello()))?;
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(MOST_LINE).read_until(b'\n', &mut line);
        read.map_err(|error| Failure(format!("cannot read standard input: {error}")))?;
        let reply = match (line.strip_suffix(b"\n"), std::str::from_utf8(&line)) {
            (None, _) if line.len() as u64 >= MOST_LINE => {
                session.refuse(&format!("a line is longer than {MOST_LINE} bytes"))
            }
            // The end, or a line that was torn when the loop died.
            (None, _) => session.close(),
            (_, Err(_)) => session.refuse("a line is not UTF-8"),
            (_, Ok(text)) if text.trim().is_empty() => Reply::default(),
            (_, Ok(text)) => session.line(text),
        };
        for line in &reply.record {
            if let Some(journal) = &mut journal {
                journal.add(line)?;
            }
        }
        for line in &reply.lines {
            terminal::print(&format!("{line}\n"))?;
        }
        if let Some(code) = reply.code {
            return Ok(code);
        }
    }
}

/// The guard for what the check left for later, with the probes that it reads there, pinned and unchanged.
fn pinned(policy: &Policy, later: &[usize], args: &GuardArgs) -> Result<Guard, Vec<Diagnostic>> {
    let guard = armed(policy, later, args.strict)?;
    for probe in guard.needs().iter().filter_map(|need| policy.probes.get(need.probe?)) {
        files::measured_on(probe, &args.policy, ["guarding", "the loop"]).map_err(|finding| vec![*finding])?;
    }
    Ok(guard)
}

/// The journal's file.
struct Kept {
    name: String,
    file: File,
}

/// Why there is no journal.
enum Claim {
    /// The file is there already.
    Taken(String),
    /// It cannot be written.
    Failed(Failure),
}

impl Kept {
    fn create(path: &Path) -> Result<Kept, Claim> {
        let name = path.display().to_string();
        match OpenOptions::new().append(true).create_new(true).open(path) {
            Ok(file) => Ok(Kept { name, file }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Claim::Taken(name)),
            Err(error) => Err(Claim::Failed(cannot_write(&name, &error))),
        }
    }

    /// A line and its end in one write.
    fn add(&mut self, line: &str) -> Result<(), Failure> {
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| cannot_write(&self.name, &error))
    }
}

fn cannot_write(name: &str, error: &io::Error) -> Failure {
    Failure(format!("cannot write {name}: {error}"))
}

/// The updates of the run, over which paced limits are spread, where they can be told beforehand.
fn planned(facts: &Facts) -> Option<u64> {
    match derive(Quantity::Updates, facts) {
        Derived::Values { values, .. } if values.is_point() => Some(values.lo() as u64),
        _ => None,
    }
}
