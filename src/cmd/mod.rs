//! The command line: the only room that touches files, the terminal and the process.

mod against;
mod args;
mod check;
#[cfg(feature = "train")]
mod environment;
mod exec;
mod explain;
mod facts;
mod files;
mod fix;
mod gate;
#[cfg(feature = "train")]
mod governed;
mod guard;
mod judging;
#[cfg(feature = "train")]
mod kept;
mod man;
mod many;
mod pin;
mod policy;
#[cfg(feature = "train")]
mod probe;
#[cfg(feature = "train")]
mod progress;
#[cfg(feature = "train")]
mod rundir;
#[cfg(feature = "train")]
mod signals;
mod targets;
mod terminal;
#[cfg(feature = "train")]
mod train;
mod waivers;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// What a command ended with: the code of design §9, or a failure of ftrisk itself.
type Outcome = Result<u8, Failure>;

/// ftrisk itself failed: exit 3.
#[derive(Debug)]
struct Failure(String);

/// The exit code for what ftrisk itself could not do.
const FAILED: u8 = 3;
/// The exit code for input that is wrong or leaves something open.
const BAD_INPUT: u8 = 2;

/// Runs the command that the arguments name and returns its exit code. A panic is turned into 3.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let outcome = std::panic::catch_unwind(|| dispatch(arguments));
    let code = match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(Failure(message))) => {
            terminal::complain(&message);
            FAILED
        }
        Err(_) => {
            terminal::complain("this is a defect of ftrisk: please report it with the files that led here");
            FAILED
        }
    };
    ExitCode::from(code)
}

/// A command that only a binary with the trainer has.
#[cfg(not(feature = "train"))]
fn of_the_trainer(error: &clap::Error) -> Option<&'static str> {
    use clap::error::{ContextKind, ContextValue};

    let Some(ContextValue::String(asked)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    ["train", "probe"].into_iter().find(|command| command == asked)
}

fn dispatch(arguments: Vec<OsString>) -> Outcome {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            #[cfg(not(feature = "train"))]
            if let Some(command) = of_the_trainer(&error) {
                terminal::complain(&format!(
                    "this ftrisk is the gate alone, without `{command}`: \
                     `cargo install --locked --path .` in a checkout installs the whole"
                ));
                return Ok(BAD_INPUT);
            }
            // Help and version are asked for; everything else is a wrong command line. clap's own code for it is 2 too.
            let code = if error.use_stderr() { BAD_INPUT } else { 0 };
            return error.print().map(|()| code).or_else(terminal::written);
        }
    };
    match cli.command {
        Command::Check(args) => check::run(&args, cli.color),
        Command::Exec(args) => exec::run(&args, cli.color),
        #[cfg(feature = "train")]
        Command::Train(args) => {
            environment::settle();
            train::run(&args, cli.color)
        }
        #[cfg(feature = "train")]
        Command::Probe(args) => {
            environment::settle();
            probe::run(&args, cli.color)
        }
        Command::Guard(args) => guard::run(&args, cli.color),
        Command::Facts(args) => facts::run(&args, cli.color),
        Command::Explain(args) => explain::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Pin(args) => pin::run(&args, cli.color),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ftrisk", &mut script);
            terminal::print(&String::from_utf8_lossy(&script)).map(|()| 0)
        }
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}
