//! Which trainer a command starts, how many processes of it, and what it is told.
//!
//! Launchers are peeled off the front, one after another, until a trainer is left.

use std::collections::BTreeMap;

use super::shell::{Command, Word};
use super::{Form, Launching, World};

/// A trainer: what its command or its script is called, and how it is told.
struct Trainer {
    /// Command and sub-command, or the end of a script's path or module, in dots.
    called: &'static [&'static str],
    /// The dialect.
    framework: &'static str,
    /// What it teaches, where the command says it.
    stage: Option<&'static str>,
    form: Form,
}

const fn trainer(
    called: &'static [&'static str],
    framework: &'static str,
    stage: Option<&'static str>,
    form: Form,
) -> Trainer {
    Trainer {
        called,
        framework,
        stage,
        form,
    }
}

use Form::{Dotted, Flags, Pairs, PairsAndDeletions};

/// Every trainer that is known by its command. `rlhf` leaves the stage to `rlhf_type`.
const TRAINERS: &[Trainer] = &[
    trainer(&["swift sft", "swift.cli.sft"], "ms-swift", Some("sft"), Flags),
    trainer(&["swift pt", "swift.cli.pt"], "ms-swift", Some("pt"), Flags),
    trainer(&["swift rlhf", "swift.cli.rlhf"], "ms-swift", Some("rlhf"), Flags),
    trainer(
        &["megatron sft", "swift.cli._megatron.sft"],
        "ms-swift-megatron",
        Some("sft"),
        Flags,
    ),
    trainer(
        &["megatron pt", "swift.cli._megatron.pt"],
        "ms-swift-megatron",
        Some("pt"),
        Flags,
    ),
    trainer(
        &["megatron rlhf", "swift.cli._megatron.rlhf"],
        "ms-swift-megatron",
        Some("rlhf"),
        Flags,
    ),
    trainer(
        &["llamafactory-cli train", "lmf train", "llamafactory.cli train"],
        "llama-factory",
        None,
        Pairs,
    ),
    trainer(&["llamafactory.launcher", "src.train"], "llama-factory", None, Pairs),
    trainer(
        &["llamafactory-cli sft", "lmf sft"],
        "llama-factory-v1",
        Some("sft"),
        Pairs,
    ),
    trainer(
        &["llamafactory-cli dpo", "lmf dpo"],
        "llama-factory-v1",
        Some("dpo"),
        Pairs,
    ),
    trainer(
        &["llamafactory-cli rm", "lmf rm"],
        "llama-factory-v1",
        Some("rm"),
        Pairs,
    ),
    trainer(&["axolotl train", "axolotl.cli.train"], "axolotl", None, Dotted),
    trainer(&["trl sft", "trl.scripts.sft"], "trl", Some("sft"), Flags),
    trainer(&["trl dpo", "trl.scripts.dpo"], "trl", Some("dpo"), Flags),
    trainer(&["trl kto", "trl.scripts.kto"], "trl", Some("kto"), Flags),
    trainer(&["trl grpo", "trl.scripts.grpo"], "trl", Some("grpo"), Flags),
    trainer(&["trl rloo", "trl.scripts.rloo"], "trl", Some("rloo"), Flags),
    trainer(&["trl reward", "trl.scripts.reward"], "trl", Some("rm"), Flags),
    trainer(&["tune run"], "torchtune", None, PairsAndDeletions),
    trainer(&["mlx_lm.lora", "mlx_lm lora"], "mlx-lm", None, Flags),
    trainer(
        &["automodel finetune", "automodel pretrain"],
        "nemo-automodel",
        None,
        Dotted,
    ),
    trainer(
        &["litgpt finetune_lora", "litgpt finetune"],
        "litgpt",
        Some("sft"),
        Dotted,
    ),
    trainer(&["litgpt finetune_full", "litgpt pretrain"], "litgpt", None, Dotted),
];

/// What a command is.
pub(super) enum Recognised {
    /// It trains.
    Training(Box<Launching>),
    /// It starts a script whose arguments nobody knows; the script's word.
    Script(Word),
    /// It does something else.
    Other,
}

/// How processes are started, as far as it was peeled.
enum Started {
    Directly,
    By(World),
}

/// Reads a command.
pub(super) fn recognise(command: &Command) -> Recognised {
    let mut environment = command.environment.clone();
    let mut words = command.words.as_slice();
    let mut started = Started::Directly;
    // No launcher is started by more than a few others.
    for _ in 0..8 {
        let Some((first, rest)) = words.split_first() else {
            return Recognised::Other;
        };
        let name = first.text.rsplit('/').next().unwrap_or("");
        if let Some((trainer, used)) = known(name, rest) {
            let words = rest.get(used..).unwrap_or(&[]).to_vec();
            return Recognised::Training(Box::new(launching(trainer, first, rest, words, started, &environment)));
        }
        match (name, rest.first().map(|word| word.text.as_str())) {
            ("env" | "nohup" | "exec" | "time" | "command", _) => {
                words = rest;
                while let Some((set, after)) = words.split_first() {
                    let Some((key, _)) = set.text.split_once('=').filter(|_| name == "env") else {
                        break;
                    };
                    let skipped = key.len() + 1;
                    let value = Word {
                        text: set.text.get(skipped..).unwrap_or("").to_owned(),
                        span: set.span,
                        verbatim: None,
                    };
                    environment.insert(key.to_owned(), value);
                    words = after;
                }
            }
            ("uv" | "poetry" | "pipenv", Some("run")) => words = rest.get(1..).unwrap_or(&[]),
            ("accelerate", Some("launch")) => {
                let (flags, after) = flags_of(rest.get(1..).unwrap_or(&[]), ACCELERATE_SWITCHES);
                started = Started::By(accelerate(&flags));
                words = after;
                if let Some(script) = script_of(words) {
                    return script_or(script, words, started, &environment);
                }
            }
            ("torchrun", _) => {
                let (flags, after) = flags_of(rest, TORCHRUN_SWITCHES);
                started = Started::By(torchrun(&flags, &environment));
                words = after;
                if let Some(script) = script_of(words) {
                    return script_or(script, words, started, &environment);
                }
            }
            ("deepspeed", _) => {
                let (flags, after) = flags_of(rest, DEEPSPEED_SWITCHES);
                started = Started::By(deepspeed(&flags));
                words = after;
                if let Some(script) = script_of(words) {
                    return script_or(script, words, started, &environment);
                }
            }
            (python, _) if python.starts_with("python") => {
                let mut after = rest;
                while let Some((flag, more)) = after.split_first() {
                    if !flag.text.starts_with('-') || flag.text == "-m" {
                        break;
                    }
                    after = more;
                }
                let module = after
                    .get(1)
                    .filter(|_| after.first().is_some_and(|word| word.text == "-m"));
                if let Some(module) = module
                    && matches!(
                        module.text.as_str(),
                        "torch.distributed.run" | "torch.distributed.launch"
                    )
                {
                    let (flags, rest) = flags_of(after.get(2..).unwrap_or(&[]), TORCHRUN_SWITCHES);
                    started = Started::By(torchrun(&flags, &environment));
                    return match script_of(rest) {
                        Some(script) => script_or(script, rest, started, &environment),
                        None => Recognised::Other,
                    };
                }
                // `python -m accelerate.commands.launch` is `accelerate launch`.
                if module.is_some_and(|module| module.text == "accelerate.commands.launch") {
                    let (flags, rest) = flags_of(after.get(2..).unwrap_or(&[]), ACCELERATE_SWITCHES);
                    started = Started::By(accelerate(&flags));
                    return match script_of(rest) {
                        Some(script) => script_or(script, rest, started, &environment),
                        None => Recognised::Other,
                    };
                }
                return match script_of(after) {
                    Some(script) => match script_or(script, after, started, &environment) {
                        // Any Python may run beside the training; only a launcher says that this one trains.
                        Recognised::Script(_) => Recognised::Other,
                        recognised => recognised,
                    },
                    None => Recognised::Other,
                };
            }
            _ => return Recognised::Other,
        }
    }
    Recognised::Other
}

/// The trainer of a command, and how many words after the first name it.
fn known(name: &str, rest: &[Word]) -> Option<(&'static Trainer, usize)> {
    let sub = rest.first().map(|word| word.text.replace('_', "-"));
    TRAINERS.iter().find_map(|trainer| {
        trainer.called.iter().find_map(|called| match called.split_once(' ') {
            Some((command, wanted)) => {
                let is_it = command == name && sub.as_deref() == Some(wanted.replace('_', "-").as_str());
                is_it.then_some((trainer, 1))
            }
            None => (*called == name).then_some((trainer, 0)),
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
    environment: &BTreeMap<String, Word>,
) -> Recognised {
    let rest = words.get(used..).unwrap_or(&[]);
    let is_it = |called: &str| script == called || script.ends_with(&format!(".{called}"));
    let Some(word) = words.get(used - 1) else {
        return Recognised::Other;
    };
    for trainer in TRAINERS {
        for called in trainer.called.iter().filter(|called| called.contains('.')) {
            let (module, sub) = called
                .split_once(' ')
                .map_or((*called, None), |(module, sub)| (module, Some(sub)));
            let names_sub = sub.is_none_or(|sub| rest.first().is_some_and(|word| word.text == sub));
            if is_it(module) && names_sub {
                let words = rest.get(usize::from(sub.is_some())..).unwrap_or(&[]).to_vec();
                return Recognised::Training(Box::new(launching(trainer, word, rest, words, started, environment)));
            }
        }
    }
    Recognised::Script(word.clone())
}

fn launching(
    trainer: &'static Trainer,
    first: &Word,
    rest: &[Word],
    mut words: Vec<Word>,
    started: Started,
    environment: &BTreeMap<String, Word>,
) -> Launching {
    let mut framework = trainer.framework;
    if framework == "llama-factory" && environment.get("USE_V1").is_some_and(is_on) {
        framework = "llama-factory-v1";
    }
    let mut form = trainer.form;
    let run_file = take_run_file(framework, &mut words);
    // Without a run file LLaMA-Factory parses flags as its trainers' arguments.
    if run_file.is_none() && framework == "llama-factory" {
        form = Flags;
    }
    let world = match started {
        Started::By(world) => world,
        Started::Directly => own_world(framework, &words, environment),
    };
    let named = rest.first().filter(|_| !first.text.contains(".py"));
    Launching {
        framework,
        run_file,
        stage: trainer
            .stage
            .map(|stage| (stage, named.map_or(first.span, |word| word.span))),
        world,
        form,
        words,
        span: first.span,
    }
}

/// Takes the run file out of the words.
fn take_run_file(framework: &str, words: &mut Vec<Word>) -> Option<Word> {
    let is_file = |word: &Word| [".yaml", ".yml", ".json"].iter().any(|end| word.text.ends_with(end));
    let flag = match framework {
        "ms-swift-megatron" | "torchtune" | "trl" | "mlx-lm" | "nemo-automodel" | "litgpt" => words
            .iter()
            .position(|word| matches!(word.text.as_str(), "--config" | "-c")),
        _ => None,
    };
    if let Some(at) = flag {
        let file = words.get(at + 1).cloned();
        words.drain(at..words.len().min(at + 2));
        return file;
    }
    let first = words
        .first()
        .filter(|word| is_file(word) && !word.text.starts_with('-'))?
        .clone();
    words.remove(0);
    Some(first)
}

fn is_on(word: &Word) -> bool {
    matches!(
        word.text.to_ascii_lowercase().as_str(),
        "1" | "true" | "y" | "yes" | "on"
    )
}

/// Flags of a launcher with their values.
type Given<'a> = BTreeMap<String, &'a Word>;

/// A launcher's own flags, and what comes after them. `switches` take no value.
fn flags_of<'a>(words: &'a [Word], switches: &[&str]) -> (Given<'a>, &'a [Word]) {
    let mut flags = BTreeMap::new();
    let mut rest = words;
    while let Some((flag, after)) = rest.split_first() {
        if !flag.text.starts_with('-') || matches!(flag.text.as_str(), "-m" | "--module") {
            break;
        }
        let name = flag.text.trim_start_matches('-').replace('-', "_");
        if let Some((name, _)) = name.split_once('=') {
            flags.insert(name.to_owned(), flag);
            rest = after;
        } else if switches.contains(&name.as_str()) {
            rest = after;
        } else {
            let Some((value, after)) = after.split_first() else {
                break;
            };
            flags.insert(name, value);
            rest = after;
        }
    }
    (flags, rest)
}

const TORCHRUN_SWITCHES: &[&str] = &["standalone", "no_python", "run_path", "use_env"];
const DEEPSPEED_SWITCHES: &[&str] = &[
    "force_multi",
    "no_local_rank",
    "no_python",
    "no_ssh",
    "no_ssh_check",
    "enable_each_rank_log",
];
const ACCELERATE_SWITCHES: &[&str] = &[
    "multi_gpu",
    "cpu",
    "tpu",
    "use_deepspeed",
    "use_fsdp",
    "use_megatron_lm",
    "use_xpu",
    "ipex",
    "quiet",
    "q",
    "debug",
    "no_python",
    "same_network",
    "tpu_use_cluster",
    "no_tpu_cluster",
    "tpu_use_sudo",
    "enable_cpu_affinity",
];

/// The whole number that a word holds, after `=` where it is a flag with its value.
fn count(word: &Word) -> Option<u32> {
    let text = word.text.split_once('=').map_or(word.text.as_str(), |(_, value)| value);
    text.trim().parse().ok().filter(|count| *count > 0)
}

/// The product of two counts that may not be written, each 1 without.
fn product(each: Option<&Word>, nodes: Option<&Word>, rule: &'static str) -> World {
    let counts = [each, nodes].map(|word| word.map_or(Some(1), count));
    match (counts, each.or(nodes)) {
        ([Some(each), Some(nodes)], Some(word)) => World::Given(each.saturating_mul(nodes), word.span),
        (_, None) => World::Default(1, rule),
        ([None, _], Some(word)) => World::Unknown("the number of processes is not written as one", Some(word.span)),
        ([_, None], _) => World::Unknown("the number of nodes is not written as one", nodes.map(|word| word.span)),
    }
}

fn torchrun(flags: &Given<'_>, environment: &BTreeMap<String, Word>) -> World {
    let each = flags.get("nproc_per_node").copied();
    let is_all = each.is_some_and(|word| ["gpu", "auto"].iter().any(|all| word.text.ends_with(all)));
    let seen = visible(environment).filter(|_| is_all);
    let nodes = flags.get("nnodes").copied();
    match (seen, nodes.map_or(Some(1), count)) {
        (Some((seen, word)), Some(nodes)) => World::Given(seen.saturating_mul(nodes), word.span),
        _ => product(each, nodes, "torchrun starts one process without --nproc_per_node"),
    }
}

fn accelerate(flags: &Given<'_>) -> World {
    match flags.get("num_processes") {
        Some(word) => product(Some(word), None, ""),
        None => World::Unknown(
            "accelerate starts as many processes as its own file says, and no --num_processes is written",
            flags.get("config_file").map(|word| word.span),
        ),
    }
}

fn deepspeed(flags: &Given<'_>) -> World {
    match flags.get("num_gpus") {
        Some(word) => product(Some(word), flags.get("num_nodes").copied(), ""),
        None => World::Unknown(
            "deepspeed starts a process for every GPU that it finds, and no --num_gpus is written",
            None,
        ),
    }
}

/// The devices that the environment shows, if it lists any.
fn visible(environment: &BTreeMap<String, Word>) -> Option<(u32, &Word)> {
    ["CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"]
        .into_iter()
        .find_map(|name| {
            let word = environment.get(name).filter(|word| word.is_known())?;
            let count = word.text.split(',').filter(|device| !device.trim().is_empty()).count();
            Some((u32::try_from(count).ok().filter(|count| *count > 0)?, word))
        })
}

/// Processes that a trainer starts by itself.
fn own_world(framework: &str, words: &[Word], environment: &BTreeMap<String, Word>) -> World {
    let (each, nodes) = (environment.get("NPROC_PER_NODE"), environment.get("NNODES"));
    match framework {
        "ms-swift" | "ms-swift-megatron" => {
            let by_ray = |word: &Word| matches!(word.text.as_str(), "--use_ray" | "--device_groups");
            match words.iter().find(|word| by_ray(word)) {
                Some(word) => World::Unknown("Ray places the processes", Some(word.span)),
                None => product(each, nodes, "ms-swift starts one process without NPROC_PER_NODE"),
            }
        }
        "llama-factory" | "llama-factory-v1" => match (each, visible(environment), nodes.map_or(Some(1), count)) {
            (Some(_), ..) => product(each, nodes, ""),
            (None, Some((seen, word)), Some(nodes)) => World::Given(seen.saturating_mul(nodes), word.span),
            _ => World::Unknown("LLaMA-Factory uses every GPU it sees", None),
        },
        "mlx-lm" => World::Default(1, "mlx-lm starts one process without a launcher"),
        _ => match visible(environment) {
            Some((1, word)) => World::Given(1, word.span),
            _ => World::Unknown("the command does not say how many processes it starts", None),
        },
    }
}
