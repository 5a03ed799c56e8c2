//! What went wrong in the engine, as one sentence and a hint.

use std::fmt;

/// A failure of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong, lower case and without a period; names the file, the tensor or the row.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The engine's results.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Error {
            message: message.into(),
            help: None,
        }
    }

    /// The same error with a hint.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Error {
            help: Some(help.into()),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        // What follows the first line is a backtrace.
        let text = error.to_string();
        Error::new(
            text.lines()
                .next()
                .unwrap_or("the tensor library failed without a word"),
        )
    }
}
