//! Writing to the terminal, and what the terminal can show.

use std::io::{self, IsTerminal as _, Write as _};

use super::args::Color;
use super::{Failure, Outcome};
use crate::diag::render::Style;

/// How to draw on standard output.
pub(super) fn style(color: Color) -> Style {
    let terminal = io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style {
        color: match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        },
    }
}

/// Writes to standard output. A reader that has gone away (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a sentence to standard error; where even that is impossible, the exit code has to do.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "ftrisk: {message}");
}

/// The outcome of output that clap could not write.
pub(super) fn written(error: io::Error) -> Outcome {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Ok(0)
    } else {
        Err(Failure(format!("cannot write: {error}")))
    }
}

/// Writes a sentence about what is going on to standard error, which is not the result.
pub(super) fn note(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
