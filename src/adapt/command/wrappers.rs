//! Programs that start the command behind them: those that change nothing of it are peeled off, srun starts it several
//! times, and of the others is said why they are not read.
//!
//! The flags of srun are those of Slurm at commit 284c3b95. A wrapper's flag that is not listed is taken to stand alone: if
//! it takes a word, that word is no trainer, and the command is refused.

use super::shell::Word;
use super::trainers::Refusal;
use super::world::Environment;
use crate::adapt::words::shown;

/// A program that runs the command behind it and changes nothing of it.
pub(super) struct Wrapper {
    name: &'static str,
    /// The sub-command that runs it.
    sub: Option<&'static str>,
    /// Flags that take a word of their own; all others stand alone.
    valued: &'static [&'static str],
    /// Flags that change what is read: another folder, another environment.
    changes: &'static [&'static str],
}

const fn wrapper(name: &'static str, valued: &'static [&'static str]) -> Wrapper {
    Wrapper {
        name,
        sub: None,
        valued,
        changes: &[],
    }
}

const fn runner(name: &'static str, valued: &'static [&'static str], changes: &'static [&'static str]) -> Wrapper {
    Wrapper {
        name,
        sub: Some("run"),
        valued,
        changes,
    }
}

const CONDA: &[&str] = &["-n", "--name", "-p", "--prefix"];

const WRAPPERS: &[Wrapper] = &[
    Wrapper {
        // `-S` splits a text into words.
        changes: &["-S", "--split-string", "-C", "--chdir"],
        ..wrapper("env", &["-u", "--unset"])
    },
    wrapper("nohup", &[]),
    wrapper("exec", &["-a"]),
    wrapper("command", &[]),
    wrapper("setsid", &[]),
    wrapper("time", &["-f", "-o", "--format", "--output"]),
    wrapper("nice", &["-n", "--adjustment"]),
    wrapper("ionice", &["-c", "-n", "--class", "--classdata"]),
    wrapper("stdbuf", &["-i", "-o", "-e", "--input", "--output", "--error"]),
    wrapper("numactl", &["-N", "-m", "-C", "-i", "-p"]),
    runner(
        "uv",
        &[
            "--with",
            "--with-editable",
            "--with-requirements",
            "--extra",
            "--group",
            "--only-group",
            "--no-group",
            "--no-extra",
            "--package",
            "--project",
            "--python",
            "-p",
            "--index",
            "--default-index",
            "--index-url",
            "--extra-index-url",
            "--cache-dir",
            "--config-file",
        ],
        &["--directory", "--env-file", "-m", "--module", "-s", "--script"],
    ),
    runner("poetry", &[], &["-C", "--directory", "-P", "--project"]),
    runner("pipenv", &[], &[]),
    runner("pixi", &["-e", "--environment"], &["--manifest-path"]),
    runner("conda", CONDA, &["--cwd"]),
    runner("mamba", CONDA, &["--cwd"]),
    runner("micromamba", CONDA, &["--cwd", "-e", "--env"]),
];

/// The wrapper of this name.
pub(super) fn of(name: &str, rest: &[Word]) -> Option<&'static Wrapper> {
    WRAPPERS.iter().find(|wrapper| {
        let is_run = |sub: &str| rest.first().is_some_and(|word| word.text == sub);
        wrapper.name == name && wrapper.sub.is_none_or(is_run)
    })
}

impl Wrapper {
    /// What it runs; `None` where it is told something that is not known. `env` changes the environment on the way.
    pub(super) fn peeled<'a>(&self, words: &'a [Word], environment: &mut Environment) -> Option<&'a [Word]> {
        let is_env = self.name == "env";
        let mut rest = words.get(usize::from(self.sub.is_some())..).unwrap_or(&[]);
        while let Some((word, after)) = rest.split_first() {
            let text = word.text.as_str();
            let flag = text.split_once('=').map_or(text, |(flag, _)| flag);
            if text == "--" {
                return Some(after);
            } else if self.changes.contains(&flag) {
                return None;
            } else if self.valued.contains(&text) {
                let value = after.first()?;
                if is_env {
                    environment.remove(&value.text);
                }
                rest = after.get(1..).unwrap_or(&[]);
            } else if let (true, Some((key, value))) = (is_env, text.split_once('=')) {
                if text.starts_with("--unset=") {
                    environment.remove(value);
                } else {
                    let value = Word {
                        text: value.to_owned(),
                        span: word.span,
                        verbatim: None,
                    };
                    environment.insert(key.to_owned(), value);
                }
                rest = after;
            } else if is_env && matches!(text, "-i" | "-" | "--ignore-environment") {
                environment.clear();
                rest = after;
            } else if is_env && text.starts_with('-') {
                return None;
            } else if text.starts_with('-') {
                rest = after;
            } else {
                return Some(rest);
            }
        }
        Some(rest)
    }
}

/// Flags of srun that stand alone, or take a value only behind `=`.
const SRUN_SWITCHES: &str = "
    async bcast compress consolidate-segments contiguous debugger-test disable-status exact exclusive
    external-launcher help hold immediate interactive kill-on-bad-exit label nice no-allocate no-kill
    oom-kill-step overcommit overlap oversubscribe parsable preserve-env propagate pty quiet quit-on-interrupt
    reboot resv-ports send-libs spread-job spread-segments stepmgr test-only unbuffered usage use-min-nodes
    verbose version wait-for-children whole x11";
/// The same of one letter. Behind any other its value follows, in the same word or in the next.
const SRUN_LETTERS: &str = "EHIKOQVXZhklsuv";

/// What srun runs, and whether it says that it runs it once; `None` where it is told something that is not known.
pub(super) fn behind_srun(words: &[Word]) -> Option<(&[Word], bool)> {
    let mut is_one = false;
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let text = word.text.as_str();
        if text == "--" {
            return Some((after, is_one));
        }
        let Some(flag) = text.strip_prefix('-') else {
            return Some((rest, is_one));
        };
        let (name, value) = match (flag.starts_with('-'), text.split_once('=')) {
            (true, Some((name, value))) => (name, Some(value)),
            (true, None) => (text, None),
            (false, _) => flag
                .char_indices()
                .nth(1)
                .and_then(|(at, _)| flag.split_at_checked(at))
                .map_or((flag, None), |(letter, value)| (letter, Some(value))),
        };
        // Long names may be cut short.
        let is = |full: &str, least: usize| name.len() >= least && full.starts_with(name);
        // It changes the folder, runs several programs that a file names, or sets variables, or clears those seen here.
        let is_another = is("--chdir", 4) || name == "D" || is("--multi-prog", 4);
        let keeps = |names: &str| names.starts_with("ALL") && !names.contains('=');
        if is_another || (is("--export", 5) && !value.is_some_and(keeps)) {
            return None;
        }
        let is_switch = match name.strip_prefix("--") {
            Some(name) => SRUN_SWITCHES.split_whitespace().any(|switch| switch == name),
            None => SRUN_LETTERS.contains(name),
        };
        let (value, after) = match value {
            None if !is_switch => (
                after.first().map(|word| word.text.as_str()),
                after.get(1..).unwrap_or(&[]),
            ),
            value => (value, after),
        };
        if matches!(name, "--ntasks" | "n") {
            is_one = value == Some("1");
        }
        rest = after;
    }
    Some((rest, is_one))
}

/// Programs that start others in ways that are not read: what each does, and what to do instead.
const BY_NAME: &[(&[&str], &str, &str)] = &[
    (
        &["env"],
        "one of its flags splits words or changes the folder",
        "write the command out: `env NAME=VALUE COMMAND`",
    ),
    (
        &["bash", "sh", "zsh", "dash", "ksh", "fish"],
        "a script may do anything, and may change between the check and the launch",
        "put `ftrisk exec POLICY --` before the command inside of it",
    ),
    (
        &["srun"],
        "one of its flags changes the folder or the environment, or names a file of programs",
        "put `ftrisk exec POLICY --` behind it, and say --world-size N",
    ),
    (
        &["uv", "poetry", "pipenv", "pixi", "conda", "mamba", "micromamba"],
        "one of its flags changes the folder or the environment, or it runs nothing",
        "put `ftrisk exec POLICY --` behind it: `uv run ftrisk exec POLICY -- COMMAND`",
    ),
    (
        &[
            "mpirun",
            "mpiexec",
            "mlx.launch",
            "ssh",
            "sbatch",
            "ray",
            "torchx",
            "sky",
        ],
        "it starts processes elsewhere, and this command does not say how many",
        "put `ftrisk exec POLICY --` behind it, and say --world-size N",
    ),
    (
        &[
            "docker",
            "podman",
            "apptainer",
            "singularity",
            "sudo",
            "make",
            "just",
            "xargs",
            "timeout",
        ],
        "what it runs, and with which files and environment, is not read",
        "put `ftrisk exec POLICY --` before the training command itself",
    ),
];

/// Why a program is not read, where that is known of it.
pub(super) fn not_read(word: &Word) -> Option<Refusal> {
    let name = word.text.rsplit('/').next().unwrap_or("");
    let name = if name.ends_with(".sh") { "sh" } else { name };
    let (_, label, help) = BY_NAME.iter().find(|(names, ..)| names.contains(&name))?;
    Some(Refusal {
        word: word.clone(),
        message: message(word),
        label,
        help: (*help).to_owned(),
    })
}

/// What is said of a command that is not read.
pub(super) fn message(word: &Word) -> String {
    format!("ftrisk cannot read what `{}` trains", shown(&word.text))
}
