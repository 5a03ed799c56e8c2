//! The real binary in a fresh folder: `Case::new().file("run.yaml", "…").args(["check", "p", "run.yaml"]).run().code(0)`.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository, with line ends as they are on every system.
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.replace("\r\n", "\n")
}

/// Every file of the repository below a folder whose name ends so, as sorted paths from the repository on, with `/`.
pub fn files(folder: &str, ending: &str) -> Vec<String> {
    below(repository(), folder, ending)
}

/// Every file below a folder of `root` whose name ends so, as sorted paths from `root` on, with `/`.
pub fn below(root: &Path, folder: &str, ending: &str) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, ending: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            // What Cargo builds in a package of its own, such as the fuzz targets, is not ours to read.
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                walk(root, &path, ending, found);
            } else if path.is_file() && path.to_string_lossy().ends_with(ending) {
                let relative = path.strip_prefix(root).unwrap();
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut found = Vec::new();
    walk(root, &root.join(folder), ending, &mut found);
    found.sort();
    found
}

/// The crates that a section of Cargo.toml names, in its order.
pub fn manifest(section: &str) -> Vec<String> {
    let text = read("Cargo.toml");
    let section = text
        .split("\n[")
        .find_map(|part| part.strip_prefix(&format!("{section}]\n")))
        .unwrap_or("");
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
        .collect()
}

/// Whether generated files and expected outputs are to be written instead of compared.
pub fn blessing() -> bool {
    std::env::var_os("FTRISK_BLESS").is_some_and(|value| value == "1")
}

/// Whether a program that a machine may lack is there. Where it is not, that is said, and `FTRISK_NO_SKIP` decides whether it
/// is a failure.
#[track_caller]
pub fn has_program(name: &str, purpose: &str) -> bool {
    let found = Command::new(name).arg("--version").stdin(Stdio::null()).output();
    // mandoc knows no such option; that it was started is enough.
    if found.is_ok() {
        return true;
    }
    // Past the capture of the test runner, which hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: there is no {name} {purpose}");
    assert!(
        std::env::var_os("FTRISK_NO_SKIP").is_none(),
        "there is no {name}, and FTRISK_NO_SKIP forbids to skip"
    );
    false
}

/// The variables of a program of somebody else's that calls the binary: a home of its own, which has a folder for what is
/// temporary, and the binary before everything else on the path.
pub fn environment(home: &Folder) -> Vec<(&'static str, OsString)> {
    let temporary = home.path().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_ftrisk")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(binary).chain(std::env::split_paths(&path)));
    vec![
        ("HOME", home.path().into()),
        ("TMPDIR", temporary.into()),
        ("PATH", path.unwrap()),
    ]
}

/// A folder of its own, removed when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ftrisk-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        // The resolved path, so that what the binary prints does not depend on links in it.
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Copies a folder of the repository, as far as it exists.
    pub fn copy(&self, folder: &str) {
        for file in files(folder, "") {
            self.write(&file, &fs::read(repository().join(&file)).unwrap());
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system; a test has nothing to say about it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One run of the binary, to be.
#[derive(Debug)]
pub struct Case {
    folder: Folder,
    args: Vec<String>,
    stdin: Vec<u8>,
    env: Vec<(String, String)>,
}

impl Case {
    /// Without arguments, in an empty folder.
    pub fn new() -> Self {
        Case::within(Folder::new())
    }

    /// In a folder that is there already.
    pub fn within(folder: Folder) -> Self {
        Case {
            folder,
            args: Vec::new(),
            stdin: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Where it will run.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder back instead of running.
    pub fn into_folder(self) -> Folder {
        self.folder
    }

    /// Puts a file into the folder.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.folder.write(name, content.as_ref());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// What stands on standard input; nothing by default.
    #[must_use]
    pub fn stdin(mut self, content: impl AsRef<[u8]>) -> Self {
        self.stdin = content.as_ref().to_vec();
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrisk"));
        command.args(&self.args).current_dir(self.folder.path());
        // NO_COLOR, COLUMNS, RUST_BACKTRACE and their like change what is printed: only what a process cannot start
        // without on some system is passed on, and the file that coverage tools write to.
        command.env_clear();
        for name in ["PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let content = self.stdin;
        // On a thread of its own: a large input and a large output would otherwise wait for each other. A command that
        // does not read its input closes it, which is no fault.
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&content);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes| {
            String::from_utf8(bytes)
                .expect("the output is UTF-8")
                .replace("\r\n", "\n")
        };
        Ran {
            command: format!("ftrisk {}", self.args.join(" ")),
            code: output.status.code().expect("ended by itself, not by a signal"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            folder: self.folder,
        }
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    command: String,
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// Where it ran.
    pub folder: Folder,
}

impl Ran {
    /// Asks for an exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of {}", self.shown());
        self
    }

    /// Asks for a text in standard output.
    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "{text:?} is not in the output of {}",
            self.shown()
        );
        self
    }

    /// Asks for a text to be absent from standard output.
    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text),
            "{text:?} is in the output of {}",
            self.shown()
        );
        self
    }

    /// Asks for a whole standard output.
    #[track_caller]
    pub fn stdout_is(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "output of {}", self.shown());
        self
    }

    /// Asks for a text in standard error.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} is not in the complaints of {}",
            self.shown()
        );
        self
    }

    /// Asks for a whole standard error.
    #[track_caller]
    pub fn stderr_is(self, text: &str) -> Self {
        assert_eq!(self.stderr, text, "complaints of {}", self.shown());
        self
    }

    /// A file of the folder as the run left it.
    #[track_caller]
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn shown(&self) -> String {
        format!(
            "`{}`\n-- exit {}\n-- stdout\n{}\n-- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

const POLICY: &str = "policy \"p\" for stage sft\nmax epochs 3\n";

#[test]
fn runs_see_their_files_and_input_and_leave_nothing() {
    let ran = Case::new()
        .file("deep/p.riskpolicy", POLICY)
        .args(["check", "deep/p.riskpolicy", "-"])
        .stdin("- not\n- a run\n")
        .run()
        .code(2)
        .stdout_has("standard input")
        .stdout_lacks("\u{1b}")
        .stderr_is("");
    assert_eq!(ran.file("deep/p.riskpolicy"), POLICY);
    let path = ran.folder.path().to_owned();
    assert!(path.is_dir());
    drop(ran);
    assert!(!path.exists());
}

#[test]
fn variables_reach_the_binary_only_when_they_are_set_here() {
    let check = || {
        Case::new()
            .file("p", "policy \"p\" for stage sft\nmax epoch 3\n")
            .args(["check", "p", "r"])
    };
    let plain = check().run().code(2).stdout;
    let narrow = check().env("COLUMNS", "40").run().code(2);
    // Without a terminal the width is fixed, whatever a shell exports.
    narrow.stdout_is(&plain);
    Case::new()
        .args(["explain", "nothing-of-that-kind"])
        .run()
        .code(2)
        .stdout_is("")
        .stderr_has("no diagnostic");
}

#[test]
fn a_wrong_expectation_is_reported_with_the_command() {
    let failure = std::panic::catch_unwind(|| Case::new().args(["--version"]).run().code(1)).unwrap_err();
    let message = failure.downcast::<String>().unwrap();
    assert!(
        message.contains("`ftrisk --version`\n-- exit 0\n-- stdout\nftrisk "),
        "{message}"
    );
}
