//! `ftrisk exec`: reads a launch command as a run, judges it, and becomes the command only if it passes.
//!
//! Standard output is the command's alone; what people read goes to standard error.

use std::ffi::OsString;
use std::path::Path;

use super::args::{Color, ExecArgs};
use super::check::compiled;
use super::judging::alone;
use super::{BAD_INPUT, Outcome, files, terminal, waivers};
use crate::adapt;
use crate::adapt::command::{Argv, Launching, Word, World};
use crate::diag::render::render;
use crate::diag::{Code, Diagnostic};
use crate::facts::Input;
use crate::ir::Day;
use crate::quantity::Interval;
use crate::report::{self, CheckReport};
use crate::source::{Place, SourceId, Sources};

/// The code for a command that cannot be started, and for one that is not there, as shells have them.
const NOT_STARTED: u8 = 126;
const NOT_FOUND: u8 = 127;

const NOT_LAUNCHED: &str = "nothing was launched";

/// The files that the judgement rests on and the command will read again, with what was read of them.
type Read = Vec<(String, SourceId)>;

pub(super) fn run(args: &ExecArgs, color: Color) -> Outcome {
    let style = terminal::style(color);
    let words: Result<Vec<String>, OsString> = args.command.iter().cloned().map(OsString::into_string).collect();
    let words = match words {
        Ok(words) => words,
        Err(word) => {
            let shown = word.to_string_lossy();
            terminal::complain(&format!("cannot read the command: `{shown}` is not UTF-8"));
            return Ok(BAD_INPUT);
        }
    };
    if args.policy == "-" || args.launch.with.iter().any(|path| path == Path::new("-")) {
        terminal::complain("standard input belongs to the command: name a file");
        return Ok(BAD_INPUT);
    }
    let today = waivers::today();
    let mut sources = Sources::default();
    let mut report = compiled(&args.policy, args.strict, today, &mut sources);
    let mut read = Read::new();
    if report.judging().is_some() {
        match judged((args, today), &words, &mut report, &mut read, &mut sources) {
            Ok(told) if args.dry_run => terminal::note(&told),
            Ok(_) => {}
            Err(finding) => {
                terminal::note(render(&finding, &sources, style).trim_end());
                terminal::note(NOT_LAUNCHED);
                return Ok(BAD_INPUT);
            }
        }
    }
    let code = report.exit_code();
    if code != 0 || !args.quiet {
        terminal::note(report::check_text(&report, &sources, style, false).trim_end());
    }
    if code != 0 || args.dry_run {
        terminal::note(NOT_LAUNCHED);
        return Ok(code);
    }
    if let Some(finding) = changed(&read, &sources) {
        terminal::note(render(&finding, &sources, style).trim_end());
        terminal::note(NOT_LAUNCHED);
        return Ok(BAD_INPUT);
    }
    launch(&args.command)
}

/// Reads the command and what it names, and judges the run; says how it was read.
fn judged(
    (args, today): (&ExecArgs, Day),
    words: &[String],
    report: &mut CheckReport,
    read: &mut Read,
    sources: &mut Sources,
) -> Result<String, Box<Diagnostic>> {
    let argv = Argv::new(words, |name| std::env::var(name).ok());
    let command = sources.add("command", argv.text());
    let launching = argv.launching(command)?;
    contradicts(args, &launching, command)?;
    let run_file = launching
        .run_file
        .as_ref()
        .map(|word| regular(word, command))
        .transpose()?;
    let mut with = args.launch.with.clone();
    // What the command says on its own is read unless the user says something else.
    if let Some(beside) = launching.beside.as_ref().filter(|_| with.is_empty()) {
        with.push(regular(beside, command)?.into());
    }
    let run = run_file.map(|path| files::run(Path::new(path), sources)).transpose()?;
    let beside = files::beside(&with, None, sources)?;
    read.extend(run_file.map(str::to_owned).into_iter().zip(run));
    let names = with.iter().map(|path| path.display().to_string());
    read.extend(names.zip(beside.with.iter().copied()));

    let found = adapt::read_launched(run, command, &launching, sources, args.launch.launch(), &beside);
    let mut told = launching.told();
    if let Some(facts) = &found.facts {
        let world = facts.values(Input::WorldSize).filter(|world| world.is_point());
        told.push_str(&match world.map(Interval::lo) {
            Some(1.0) => "; 1 process".to_owned(),
            Some(size) => format!("; {size} processes"),
            None => "; how many processes is not known".to_owned(),
        });
    }
    if let Some(run_file) = run_file {
        waivers::apply(report, Path::new(run_file), today);
    }
    let name = Path::new(run_file.unwrap_or("command"));
    let judged = report
        .judging()
        .map(|policy| alone(policy, name, found, args.strict, sources));
    report.runs = judged.into_iter().collect();
    Ok(told)
}

/// Refuses a flag that says something else than the command.
fn contradicts(args: &ExecArgs, launching: &Launching, command: SourceId) -> Result<(), Box<Diagnostic>> {
    let finding = |flag: String, span, label: String| {
        let place = Place { source: command, span };
        let finding = Diagnostic::new(Code::Contradiction, format!("`{flag}` is not what the command says"));
        Err(Box::new(
            finding
                .at(place, label)
                .help(format!("leave `{flag}` out, or repair the command")),
        ))
    };
    match (args.launch.world_size, launching.world) {
        (Some(said), World::Given(size, span)) if said != size => {
            return finding(format!("--world-size {said}"), span, format!("this starts {size}"));
        }
        _ => {}
    }
    match (args.launch.stage, launching.stage) {
        (Some(said), Some((stage, span))) if said != stage => {
            finding(format!("--stage {said}"), span, format!("this teaches {stage}"))
        }
        _ => Ok(()),
    }
}

/// A file that can be read twice: once here, once by the command.
fn regular(word: &Word, command: SourceId) -> Result<&str, Box<Diagnostic>> {
    let path = word.text();
    let is_special = path == "-" || std::fs::metadata(path).is_ok_and(|found| !found.is_file());
    if !is_special {
        return Ok(path);
    }
    let place = Place {
        source: command,
        span: word.span(),
    };
    let message = format!("{path} is no regular file, so what is checked may not be what is launched");
    let finding = Diagnostic::new(Code::CannotRead, message);
    Err(Box::new(
        finding
            .at(place, "the command would read it again")
            .help("write the run into a file"),
    ))
}

/// A file that is no longer what was judged.
fn changed(read: &Read, sources: &Sources) -> Option<Diagnostic> {
    let is_other = |(path, source): &&(String, SourceId)| {
        !std::fs::read(path).is_ok_and(|bytes| bytes == sources.get(*source).text().as_bytes())
    };
    let (path, _) = read.iter().find(is_other)?;
    let message = format!("{path} changed while it was checked");
    Some(Diagnostic::new(Code::CannotRead, message).help("launch it again when nobody writes to it"))
}

/// Becomes the command, which keeps the process and with it signals, streams, terminal and exit code.
#[cfg(unix)]
fn launch(command: &[OsString]) -> Outcome {
    use std::os::unix::process::CommandExt as _;

    let Some((program, arguments)) = command.split_first() else {
        return Ok(BAD_INPUT);
    };
    let error = std::process::Command::new(program).args(arguments).exec();
    Ok(not_started(program, &error))
}

/// Runs the command to its end: there is nothing to become here.
#[cfg(not(unix))]
fn launch(command: &[OsString]) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(BAD_INPUT);
    };
    match std::process::Command::new(program).args(arguments).status() {
        Ok(status) => Ok(status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(super::FAILED)),
        Err(error) => Ok(not_started(program, &error)),
    }
}

fn not_started(program: &OsString, error: &std::io::Error) -> u8 {
    let shown = program.to_string_lossy();
    if error.kind() == std::io::ErrorKind::NotFound {
        terminal::complain(&format!(
            "the run passes, and there is no command `{shown}`: check PATH"
        ));
        return NOT_FOUND;
    }
    terminal::complain(&format!("the run passes, and `{shown}` cannot be started: {error}"));
    NOT_STARTED
}

#[cfg(test)]
mod tests {
    use super::{Sources, changed};

    #[test]
    fn a_file_that_changed_after_it_was_read_is_found() {
        let path = std::env::temp_dir().join(format!("ftrisk-exec-{}.yaml", std::process::id()));
        let name = path.display().to_string();
        std::fs::write(&path, "lora_rank: 8\n").unwrap();
        let mut sources = Sources::default();
        let read = vec![(name.clone(), sources.add(name, "lora_rank: 8\n"))];
        assert!(changed(&read, &sources).is_none());
        std::fs::write(&path, "lora_rank: 64\n").unwrap();
        assert!(
            changed(&read, &sources)
                .unwrap()
                .message
                .contains("changed while it was checked")
        );
        std::fs::remove_file(&path).unwrap();
        assert!(changed(&read, &sources).is_some());
    }
}
