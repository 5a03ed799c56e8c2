//! The arguments of every command, with the help that people read.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::adapt::{self, Launch};
use crate::diag::one_of;
use crate::ir::Day;
use crate::quantity::{Category, CategoryKind};

/// What this binary was built with, as `--version` says it.
#[cfg(feature = "train")]
const FEATURES: &str = "cli, train";
#[cfg(not(feature = "train"))]
const FEATURES: &str = "cli";

/// `0.1.0 (features cli, train; x86_64 linux; release)`
fn version() -> &'static str {
    static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        format!(
            "{} (features {FEATURES}; {} {}; {profile})",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS,
        )
    });
    &VERSION
}

#[derive(Debug, Parser)]
#[command(
    name = "ftrisk",
    version = version(),
    about = "Risk budgets for fine-tuning: see the odds before the bet, and be able to stop",
    after_help = "Exit codes: 0 within budget, 1 over, 2 open or wrong input, 3 ftrisk itself failed.\nStart with `ftrisk check builtin:cautious-sft run.yaml`, or print a policy to start from: `ftrisk policy show cautious-sft`.",
    disable_help_subcommand = true
)]
pub(super) struct Cli {
    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Judge run files against a policy before anything is trained
    Check(CheckArgs),
    /// Check the run that a command launches, and launch it only when it passes
    Exec(ExecArgs),
    /// Check a run file, then train it inside the policy's budgets
    #[cfg(feature = "train")]
    Train(TrainArgs),
    /// Prepare the probes of a policy, and ask which faults its limits would notice on them
    #[cfg(feature = "train")]
    Probe(ProbeArgs),
    /// Check a run file, then guard a training loop over standard input and output
    Guard(GuardArgs),
    /// Show everything that is known of a run, and where each fact comes from
    Facts(FactsArgs),
    /// Explain a diagnostic, a quantity or a fact; without a name, list all of them
    Explain(ExplainArgs),
    /// List or print the policies inside the binary
    Policy(PolicyArgs),
    /// Write the hashes of a policy's probes into it
    Pin(PinArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, or write all of them
    Man(ManArgs),
}

/// What no run file says.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// Training processes of the launch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) world_size: Option<u32>,
    /// Rows that one pass walks, after max_samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=9_007_199_254_740_992))]
    pub(super) dataset_rows: Option<u64>,
    /// What the launch command teaches, where the run file leaves that to the command
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    pub(super) stage: Option<&'static str>,
    /// A file of the launch beside the run file: an accelerate config, a DeepSpeed file; may be said again
    #[arg(long, value_name = "FILE")]
    pub(super) with: Vec<PathBuf>,
}

impl StartArgs {
    pub(super) fn launch(&self) -> Launch {
        Launch {
            world_size: self.world_size,
            dataset_rows: self.dataset_rows,
            stage: self.stage,
            framework: None,
        }
    }
}

/// The same, and whose run files they are: a launch command says that itself.
#[derive(Debug, Args)]
pub(super) struct LaunchArgs {
    #[command(flatten)]
    pub(super) start: StartArgs,
    /// The framework whose run files these are, whatever they look like
    #[arg(long, value_name = "NAME", value_parser = framework)]
    pub(super) framework: Option<&'static str>,
}

impl LaunchArgs {
    pub(super) fn launch(&self) -> Launch {
        Launch {
            framework: self.framework,
            ..self.start.launch()
        }
    }
}

#[derive(Debug, Args)]
#[command(
    override_usage = "ftrisk check [OPTIONS] <POLICY> <RUN>... [-- <OVERRIDE>...]\n       ftrisk check [OPTIONS] --policy <POLICY>... <RUN>...",
    after_help = "Exit codes: 0 every limit within or later, 1 at least one over, 2 nothing over but something open or wrong, 3 ftrisk failed."
)]
pub(super) struct CheckArgs {
    /// A .riskpolicy file, or builtin:NAME; with --policy the first run instead
    #[arg(required_unless_present = "policies")]
    pub(super) policy: Option<String>,
    /// Run files, as the training framework reads them: files, folders, patterns such as 'runs/**/*.yaml'; `-` is standard input
    #[arg(required_unless_present_any = ["facts", "policies"], value_name = "RUN")]
    pub(super) runs: Vec<PathBuf>,
    /// A policy; may be given several times. Each that covers a run judges it
    #[arg(long = "policy", value_name = "POLICY")]
    pub(super) policies: Vec<String>,
    /// The run that this one was made from: a run file, a run directory, or a git revision of the same file
    #[arg(long, value_name = "PARENT")]
    pub(super) against: Option<String>,
    #[command(flatten)]
    pub(super) launch: LaunchArgs,
    /// Facts by name, YAML or JSON, beside a run file or in its place
    #[arg(long, value_name = "FILE")]
    pub(super) facts: Option<PathBuf>,
    /// Treat advice as limits
    #[arg(long)]
    pub(super) strict: bool,
    /// Judge waivers as on that day, year-month-day, and not as today
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(super) as_of: Option<Day>,
    /// Stop after the first run that is not within budget
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// List every line of the policy with its verdict, and files of a folder that are no runs
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Print a line for each run that is not within budget, and the counts; nothing where all are
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(super) format: ReportFormat,
    /// Print a diff that repairs what a written value breaks; no file is changed
    #[arg(long, conflicts_with_all = ["format", "quiet", "verbose"])]
    pub(super) fix_diff: bool,
    /// What the launch command says behind the run file, in the framework's own form: `learning_rate=1e-3`
    #[arg(last = true, value_name = "OVERRIDE")]
    pub(super) overrides: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: the command's own when it ran. Else 1 at least one limit over, 2 nothing over but something open or wrong, or a command that cannot be read, 3 ftrisk failed, 126 the command cannot be started, 127 there is no such command. What is said goes to standard error.\nExample: ftrisk exec builtin:cautious-sft -- llamafactory-cli train run.yaml learning_rate=1.0e-4"
)]
pub(super) struct ExecArgs {
    /// A .riskpolicy file, or builtin:NAME
    pub(super) policy: String,
    #[command(flatten)]
    pub(super) launch: StartArgs,
    /// Treat advice as limits
    #[arg(long)]
    pub(super) strict: bool,
    /// Say nothing about a run that passes
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Say how the command is read and judge it, and launch nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The launch command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[cfg(feature = "train")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the run came to its own end inside every budget, 1 a limit is over or the guard stopped the run, 2 something open or wrong, 3 ftrisk failed, 128 + the signal when interrupted. What is saved is always inside every budget."
)]
pub(super) struct TrainArgs {
    /// A .riskpolicy file, or builtin:NAME
    pub(super) policy: String,
    /// The run file, as LLaMA-Factory reads it; `-` is standard input
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    /// The run directory, in place of the run file's output_dir
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Treat advice as limits
    #[arg(long)]
    pub(super) strict: bool,
}

#[cfg(feature = "train")]
#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    #[command(subcommand)]
    pub(super) command: ProbeCommand,
}

#[cfg(feature = "train")]
#[derive(Debug, Subcommand)]
pub(super) enum ProbeCommand {
    /// Draw once what the base answers to the prompts on which drift is read, and keep it beside the probe
    Build(ProbeBuildArgs),
    /// Plant faults in what the base answers, and say which limits notice them; nothing is trained
    Check(ProbeCheckArgs),
}

#[cfg(feature = "train")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the answers are kept, or there are none to keep, 1 a limit is over, 2 something open or wrong, 3 ftrisk failed."
)]
pub(super) struct ProbeBuildArgs {
    /// A .riskpolicy file
    pub(super) policy: String,
    /// The run file, as LLaMA-Factory reads it; `-` is standard input
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
}

#[cfg(feature = "train")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the largest fault of every kind is caught by a limit, 1 one of them is caught by none or a limit is over, 2 something open or wrong, 3 ftrisk failed."
)]
pub(super) struct ProbeCheckArgs {
    /// A .riskpolicy file, or builtin:NAME
    pub(super) policy: String,
    /// The run file, as LLaMA-Factory reads it; `-` is standard input
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    /// Treat advice as limits
    #[arg(long)]
    pub(super) strict: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the loop ended its run inside every budget, 1 a limit is over, the guard stopped the run, or the loop went away, 2 something open or wrong, or a message that is none, 3 ftrisk failed."
)]
pub(super) struct GuardArgs {
    /// A .riskpolicy file, or builtin:NAME
    pub(super) policy: String,
    /// The run file, as the training framework reads it
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    #[command(flatten)]
    pub(super) launch: LaunchArgs,
    /// Treat advice as limits
    #[arg(long)]
    pub(super) strict: bool,
    /// Keep every reading and decision in a new file, a chain of hashes
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,
}

/// A word of the fact `stage`.
fn framework(text: &str) -> Result<&'static str, String> {
    let names: Vec<&'static str> = adapt::frameworks().collect();
    let found = names.iter().find(|name| **name == text).copied();
    found.ok_or_else(|| format!("it is {}", one_of(&names)))
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "it is a day of the calendar, such as 2026-12-31".to_owned())
}

fn stage(text: &str) -> Result<&'static str, String> {
    let CategoryKind::Word(words) = Category::Stage.row().kind else {
        return Err("stage has no words".to_owned());
    };
    words
        .iter()
        .find(|word| **word == text)
        .copied()
        .ok_or_else(|| format!("it is {}", one_of(words)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON document, for programs
    Json,
}

/// What `check` prints: the other programs that take it are those that stand where runs are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people
    Text,
    /// One JSON document, for programs
    Json,
    /// One SARIF 2.1.0 log, for code scanning
    Sarif,
    /// One JUnit XML document, for test reports
    Junit,
    /// Workflow commands, for annotations on GitHub
    Github,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the run was read, 2 it is wrong or unreadable, 3 ftrisk failed.")]
pub(super) struct FactsArgs {
    /// The run file, as the training framework reads it; `-` is standard input
    #[arg(required_unless_present = "facts", value_name = "RUN")]
    pub(super) run: Option<PathBuf>,
    #[command(flatten)]
    pub(super) launch: LaunchArgs,
    /// Facts by name, YAML or JSON, beside a run file or in its place
    #[arg(long, value_name = "FILE")]
    pub(super) facts: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A code such as `unit-missing`, a quantity such as `drift.total`, a fact such as `stage`
    pub(super) name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    pub(super) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Name the policies inside the binary
    List,
    /// Print one of them, to start from
    Show {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page is printed, such as `check` or `policy show`; without one, the page of ftrisk
    pub(super) command: Vec<String>,
    /// Write the page of every command into this folder, as `ftrisk-check.1`; it is made where it is missing
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PinArgs {
    /// The .riskpolicy file
    pub(super) policy: PathBuf,
}
