//! A dialect with what it takes to read it: the entry of the registry.

use super::Launch;
use super::keys::Keys;
use super::reader::Run;
use super::table::Dialect;

/// A dialect that is read.
pub(super) struct Format {
    /// Its names and its manners.
    pub(super) dialect: &'static Dialect,
    /// The keys that it knows at the top of a file; `None` where any key may stand there.
    pub(super) keys: Option<Keys>,
    /// Reads a file of it.
    pub(super) read: fn(&mut Run<'_>, Launch),
}
