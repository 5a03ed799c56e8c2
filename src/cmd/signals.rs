//! Being asked to end, and being told that a file may not grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::Failure;

/// Which signal asked the run to end.
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// From here on a first Ctrl-C or SIGTERM is noted, and a second one ends the process at once.
    pub(super) fn watch() -> Result<Signals, Failure> {
        let noted = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        let failed = |error: std::io::Error| Failure(format!("cannot watch for signals: {error}"));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first time the shutdown is not armed yet.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again)).map_err(failed)?;
            flag::register(signal, Arc::clone(&again)).map_err(failed)?;
            flag::register_usize(signal, Arc::clone(&noted), signal.unsigned_abs() as usize).map_err(failed)?;
        }
        // Past a limit on file sizes the system would kill the process; noted, the write fails and says so.
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).map_err(failed)?;
        Ok(Signals(noted))
    }

    /// The signal that asked the run to end.
    pub(super) fn asked(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed))
            .ok()
            .filter(|signal| *signal != 0)
    }
}
