//! The `ftrisk` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ftrisk::cmd::run(std::env::args_os())
}
