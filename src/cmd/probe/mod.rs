//! `ftrisk probe`: about the probes of a policy, with the base that they are measured on.

mod build;
mod check;

use super::args::{Color, ProbeArgs, ProbeCommand};
use super::{Failure, Outcome};
use crate::train::error::Error;

pub(super) fn run(args: &ProbeArgs, color: Color) -> Outcome {
    match &args.command {
        ProbeCommand::Build(args) => build::run(args, color),
        ProbeCommand::Check(args) => check::run(args, color),
    }
}

fn failed(error: Error) -> Failure {
    Failure(error.message)
}
