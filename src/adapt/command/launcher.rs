//! Which trainer a command starts, how many processes of it, and what it is told.
//!
//! Launchers and wrappers are peeled off the front, one after another, until a trainer is left.

use super::shell::{Command, Word};
use super::trainers::{self, Refusal, TRAINERS, Taken, Trainer};
use super::world::{
    self, ACCELERATE_SWITCHES, DEEPSPEED_SWITCHES, Environment, TORCHRUN_SWITCHES, accelerate, deepspeed, flags_of,
    torchrun,
};
use super::{Form, Launching, World, wrappers};
use crate::source::Span;

/// What a command is.
pub(super) enum Recognised {
    /// It trains.
    Training(Box<Launching>),
    /// It starts a trainer in a way that cannot be read.
    Refused(Box<Refusal>),
    /// It starts a script whose arguments nobody knows; the script's word.
    Script(Word),
    /// It may train, and has more words than are read; its first.
    Cut(Word),
    /// It does something else: the word that says what, if there is one.
    Other(Option<Word>),
}

/// How processes are started, as far as it was peeled.
struct Started {
    /// By a launcher.
    world: Option<World>,
    /// What accelerate is told in a file.
    beside: Option<Word>,
}

/// Reads a command.
pub(super) fn recognise(command: &Command) -> Recognised {
    let mut environment = command.environment.clone();
    let mut words = command.words.as_slice();
    let mut tasks = None;
    // No launcher is started by more than a few others.
    for _ in 0..8 {
        let Some((first, rest)) = words.split_first() else {
            return Recognised::Other(None);
        };
        let name = first.text.rsplit('/').next().unwrap_or("");
        let directly = Started {
            world: tasks.map(|span| World::Unknown(TASKS, Some(span))),
            beside: None,
        };
        if let Some((trainer, called, used)) = known(name, rest) {
            let behind = rest.get(used..).unwrap_or(&[]);
            let named = rest.first().filter(|_| used > 0).unwrap_or(first);
            return launching((trainer, called), [first, named], behind, directly, &environment);
        }
        if let Some(wrapper) = wrappers::of(name, rest) {
            match wrapper.peeled(rest, &mut environment) {
                Some(behind) => words = behind,
                None => return refused_or_other(first, rest),
            }
            continue;
        }
        let (started, after) = match (name, rest.first().map(|word| word.text.as_str())) {
            ("srun", _) => match wrappers::behind_srun(rest) {
                Some((behind, is_one)) => {
                    words = behind;
                    tasks = tasks.or((!is_one).then_some(first.span));
                    continue;
                }
                None => return refused_or_other(first, rest),
            },
            ("accelerate", Some("launch")) => by_accelerate(rest.get(1..).unwrap_or(&[])),
            ("torchrun", _) => by_torchrun(rest, tasks, &environment),
            ("deepspeed", _) => by_deepspeed(rest, tasks),
            (python, _) if python.starts_with("python") => {
                return by_python(first, rest, (directly, tasks), &environment);
            }
            _ => return refused_or_other(first, rest),
        };
        return match script_of(after) {
            Some(script) => script_or(script, after, started, &environment),
            None => Recognised::Other(Some(first.clone())),
        };
    }
    Recognised::Other(words.first().cloned())
}

/// A command that nobody here reads. Where it starts a trainer all the same, that is said: what trains and was not judged
/// must not look like what does not train.
fn refused_or_other(first: &Word, rest: &[Word]) -> Recognised {
    match wrappers::not_read(first) {
        Some(refusal) if names_a_trainer(rest) => Recognised::Refused(Box::new(refusal)),
        _ => Recognised::Other(Some(first.clone())),
    }
}

/// Whether words, or the text that one of them is to another shell, start a trainer or a launcher. The name alone may be
/// that of a package that is installed.
fn names_a_trainer(words: &[Word]) -> bool {
    let mut tokens = words.iter().flat_map(|word| word.text.split_whitespace());
    while let Some(token) = tokens.next() {
        let name = token.rsplit('/').next().unwrap_or("");
        let then = tokens.clone().next().unwrap_or("");
        let is_file = [".yaml", ".yml"].iter().any(|end| then.ends_with(end));
        let is_called = |called: &&str| match called.split_once(' ') {
            Some((command, sub)) => command == name && then == sub,
            None => *called == name && (name.contains('.') || is_file),
        };
        let starts = match name {
            "torchrun" | "deepspeed" => tokens
                .clone()
                .any(|word| word.ends_with(".py") || matches!(word, "-m" | "--module")),
            "accelerate" => then == "launch",
            _ => TRAINERS.iter().any(|trainer| trainer.called.iter().any(is_called)),
        };
        if starts {
            return true;
        }
    }
    false
}

/// Why a launcher's own count is not the whole.
const TASKS: &str = "srun starts this once for each of its tasks, and which of them train together is not said here";

fn by_accelerate(words: &[Word]) -> (Started, &[Word]) {
    let (flags, after) = flags_of(words, ACCELERATE_SWITCHES);
    let is_counted = flags.contains_key("num_processes");
    let started = Started {
        world: Some(accelerate(&flags)),
        beside: flags
            .get("config_file")
            .filter(|_| !is_counted)
            .map(|file| trainers::value_of(file)),
    };
    (started, after)
}

/// `tasks` is where something starts it several times: what it is told of all nodes counts then, and nothing else.
fn by_torchrun<'a>(words: &'a [Word], tasks: Option<Span>, environment: &Environment) -> (Started, &'a [Word]) {
    let (flags, after) = flags_of(words, TORCHRUN_SWITCHES);
    let world = match tasks {
        Some(span) if !world::counts_nodes(&flags, environment) => World::Unknown(TASKS, Some(span)),
        _ => torchrun(&flags, environment),
    };
    let started = Started {
        world: Some(world),
        beside: None,
    };
    (started, after)
}

fn by_deepspeed(words: &[Word], tasks: Option<Span>) -> (Started, &[Word]) {
    let (flags, after) = flags_of(words, DEEPSPEED_SWITCHES);
    let world = tasks.map_or_else(|| deepspeed(&flags), |span| World::Unknown(TASKS, Some(span)));
    let started = Started {
        world: Some(world),
        beside: None,
    };
    (started, after)
}

/// What `python` starts: a script or a module, or a launcher as a module.
fn by_python(
    python: &Word,
    rest: &[Word],
    (directly, tasks): (Started, Option<Span>),
    environment: &Environment,
) -> Recognised {
    let mut after = rest;
    while let Some((flag, more)) = after.split_first() {
        if !flag.text.starts_with('-') || flag.text == "-m" {
            break;
        }
        after = more;
    }
    let is_module = after.first().is_some_and(|word| word.text == "-m");
    let module = after.get(1).filter(|_| is_module).map(|module| module.text.as_str());
    let behind = after.get(2..).unwrap_or(&[]);
    let (started, after) = match module {
        Some("torch.distributed.run" | "torch.distributed.launch") => by_torchrun(behind, tasks, environment),
        Some("deepspeed.launcher.runner") => by_deepspeed(behind, tasks),
        // `python -m accelerate.commands.launch` is `accelerate launch`.
        Some("accelerate.commands.launch") => by_accelerate(behind),
        _ => (directly, after),
    };
    let is_launched = started.world.is_some();
    match script_of(after) {
        Some(script) => match script_or(script, after, started, environment) {
            // Any Python may run beside the training; only a launcher says that this one trains.
            Recognised::Script(word) if !is_launched => Recognised::Other(Some(word)),
            recognised => recognised,
        },
        None => Recognised::Other(Some(python.clone())),
    }
}

/// The trainer of a command, how the table calls it, and how many words after the first name it.
fn known(name: &str, rest: &[Word]) -> Option<(&'static Trainer, &'static str, usize)> {
    let sub = rest.first().map(|word| word.text.replace('_', "-"));
    TRAINERS.iter().find_map(|trainer| {
        trainer.called.iter().find_map(|called| match called.split_once(' ') {
            Some((command, wanted)) => {
                let is_it = command == name && sub.as_deref() == Some(wanted.replace('_', "-").as_str());
                is_it.then_some((trainer, *called, 1))
            }
            None => (*called == name).then_some((trainer, *called, 0)),
        })
    })
}

/// The script or module that a launcher starts, as its path in dots, and how many words it takes.
fn script_of(words: &[Word]) -> Option<(String, usize)> {
    let first = words.first()?;
    if matches!(first.text.as_str(), "-m" | "--module") {
        return words.get(1).map(|module| (module.text.clone(), 2));
    }
    let path = first.text.strip_suffix(".py")?;
    Some((path.trim_start_matches("./").replace('/', "."), 1))
}

fn script_or(
    (script, used): (String, usize),
    words: &[Word],
    started: Started,
    environment: &Environment,
) -> Recognised {
    let rest = words.get(used..).unwrap_or(&[]);
    let Some(word) = words.get(used - 1) else {
        return Recognised::Other(None);
    };
    // A package that is run as a module is its command.
    if used == 2
        && let Some((trainer, called, subs)) = known(&script, rest)
    {
        let named = rest.first().filter(|_| subs > 0).unwrap_or(word);
        let behind = rest.get(subs..).unwrap_or(&[]);
        return launching((trainer, called), [word, named], behind, started, environment);
    }
    let is_it = |called: &str| script == called || script.ends_with(&format!(".{called}"));
    for trainer in TRAINERS {
        for called in trainer.called.iter().filter(|called| called.contains('.')) {
            let (module, sub) = called
                .split_once(' ')
                .map_or((*called, None), |(module, sub)| (module, Some(sub)));
            let names_sub = sub.is_none_or(|sub| rest.first().is_some_and(|word| word.text == sub));
            if is_it(module) && names_sub {
                let behind = rest.get(usize::from(sub.is_some())..).unwrap_or(&[]);
                return launching((trainer, called), [word, word], behind, started, environment);
            }
        }
    }
    Recognised::Script(word.clone())
}

/// `first` names the trainer, `named` what it teaches.
fn launching(
    (trainer, called): (&'static Trainer, &'static str),
    [first, named]: [&Word; 2],
    behind: &[Word],
    started: Started,
    environment: &Environment,
) -> Recognised {
    let mut framework = trainer.framework;
    if framework == "llama-factory" && environment.get("USE_V1").is_some_and(is_on) {
        framework = "llama-factory-v1";
    }
    let taken = match trainers::take((framework, called), first, behind, environment) {
        Ok(taken) => taken,
        Err(refusal) => return Recognised::Refused(Box::new(refusal)),
    };
    let Taken {
        run_file,
        words,
        world,
        asked,
        beside,
    } = taken;
    // Without a run file LLaMA-Factory parses flags as its trainers' arguments.
    let form = match (framework, &run_file) {
        ("llama-factory", None) => Form::Flags,
        _ => trainer.form,
    };
    // A trainer that is started as a script starts no processes of its own.
    let is_script = matches!(called, "llamafactory.launcher" | "src.train");
    let relaunches = if is_script { "" } else { framework };
    let world = started
        .world
        .or(world)
        .unwrap_or_else(|| world::own(relaunches, asked.as_ref(), &words, environment));
    Recognised::Training(Box::new(Launching {
        framework,
        called,
        run_file,
        beside: started.beside.or(beside),
        stage: trainer.stage.map(|stage| (stage, named.span)),
        world,
        form,
        words,
        span: first.span,
    }))
}

fn is_on(word: &Word) -> bool {
    matches!(
        word.text.to_ascii_lowercase().as_str(),
        "1" | "true" | "y" | "yes" | "on"
    )
}
