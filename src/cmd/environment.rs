//! Settings that libraries read from the environment, and only when the process starts.

use std::env;

use crate::train::machine;

/// The name, and the value, of every setting.
///
/// The products' worker threads spin while they wait, which on a busy machine takes the time from the thread they wait
/// for. glibc gives large blocks back to the system at once, and a training step asks for the same ones again and again.
const SETTINGS: &[(&str, &str)] = &[
    ("CANDLE_BARRIER_POOL_SPIN_LIMIT", "100"),
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "2147483648"),
    ("MALLOC_TOP_PAD_", "67108864"),
];
/// How many threads compute.
const THREADS: &str = "RAYON_NUM_THREADS";
/// Says that the process was started with the settings, whatever came of them.
const DONE: &str = "FTRISK_ENVIRONMENT";

/// Starts this program again in its own place, with the settings that the user did not make. Where that cannot be done it
/// goes on without them: they change how fast a run is, and no bit of it.
pub(super) fn settle() {
    #[cfg(unix)]
    if env::var_os(DONE).is_none()
        && let Ok(program) = env::current_exe()
    {
        use std::os::unix::process::CommandExt as _;

        let missing = SETTINGS.iter().filter(|(name, _)| env::var_os(name).is_none());
        let mut again = std::process::Command::new(program);
        again.args(env::args_os().skip(1)).envs(missing.copied()).env(DONE, "1");
        // Unset, the number of processors is looked up at every product, which costs a third of a step.
        if env::var_os(THREADS).is_none() {
            again.env(THREADS, machine::threads().to_string());
        }
        let _ = again.exec();
    }
}
