//! Every trainer that is known by its command, and how each takes its own words apart: the run file, what its own
//! launcher is told, and the values that are left.
//!
//! Read against LLaMA-Factory ff6d4d12, Axolotl 067b021c, TRL f2cd5771, ms-swift 3602360a, torchtune bd2a0fc7, mlx-lm
//! d78bf58e, NeMo Automodel 36044ad3, LitGPT 26857050.

use super::shell::Word;
use super::world::{self, ACCELERATE_SWITCHES, Environment, TORCHRUN_SWITCHES, flags_of};
use super::{Form, World};

/// A trainer: what its command or its script is called, and how it is told.
pub(super) struct Trainer {
    /// Command and sub-command, or the end of a script's path or module, in dots.
    pub(super) called: &'static [&'static str],
    /// The dialect.
    pub(super) framework: &'static str,
    /// What it teaches, where the command says it.
    pub(super) stage: Option<&'static str>,
    pub(super) form: Form,
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

use Form::{Dotted, Flags, Pairs, PairsAndDeletions, Paths};

/// Every trainer that is known by its command. `rlhf` leaves the stage to `rlhf_type`.
pub(super) const TRAINERS: &[Trainer] = &[
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
        &[
            "automodel finetune",
            "automodel pretrain",
            "automodel",
            "am",
            "nemo_automodel.cli.app",
            "nemo_automodel.recipes.llm.train_ft",
            "examples.llm_finetune.finetune",
        ],
        "nemo-automodel",
        None,
        Paths,
    ),
    trainer(
        &["litgpt finetune_lora", "litgpt finetune"],
        "litgpt",
        Some("sft"),
        Paths,
    ),
    trainer(&["litgpt finetune_full"], "litgpt", Some("sft"), Paths),
    trainer(&["litgpt pretrain"], "litgpt", Some("pt"), Paths),
];

/// Recipes of torchtune that train.
const RECIPES: &[&str] = &[
    "full_finetune_single_device",
    "full_finetune_distributed",
    "lora_finetune_single_device",
    "lora_finetune_distributed",
    "lora_dpo_single_device",
    "lora_dpo_distributed",
    "full_dpo_distributed",
    "ppo_full_finetune_single_device",
    "qat_single_device",
    "qat_distributed",
    "qat_lora_finetune_distributed",
    "knowledge_distillation_single_device",
    "knowledge_distillation_distributed",
];

/// The value of a flag: what is behind its `=`, where that is in one word with it.
pub(super) fn value_of(word: &Word) -> Word {
    match word.text.split_once('=').filter(|(flag, _)| flag.starts_with('-')) {
        Some((flag, value)) => Word {
            text: value.to_owned(),
            span: word.span,
            verbatim: word.verbatim.map(|at| at + flag.len() + 1),
        },
        None => word.clone(),
    }
}

/// A command of a trainer that cannot be read: the word that stands in the way, and what to do.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) word: Word,
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) help: String,
}

fn refusal<T>(
    word: &Word,
    message: impl Into<String>,
    label: &'static str,
    help: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal {
        word: word.clone(),
        message: message.into(),
        label,
        help: help.into(),
    })
}

/// The words of a trainer, taken apart.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The run file.
    pub(super) run_file: Option<Word>,
    /// The values that it gives.
    pub(super) words: Vec<Word>,
    /// The processes, where the trainer's own launcher is told of them.
    pub(super) world: Option<World>,
    /// A flag of its own for the processes, which counts only sometimes.
    pub(super) asked: Option<Word>,
    /// What accelerate is told in a file.
    pub(super) beside: Option<Word>,
}

/// Takes the words behind a trainer's name apart. `name` is that name; `called` is how the table has it.
pub(super) fn take(
    (framework, called): (&str, &str),
    name: &Word,
    words: &[Word],
    environment: &Environment,
) -> Result<Taken, Refusal> {
    let is_command = called.contains(' ');
    match framework {
        "axolotl" => axolotl(name, words, is_command, environment),
        "torchtune" => torchtune(name, words, environment),
        "nemo-automodel" => nemo(name, words, called),
        "litgpt" => litgpt(words, called),
        "trl" => trl(words, is_command),
        "mlx-lm" => by_flag(words, &["--config", "-c"], true),
        "llama-factory" => llama_factory(words, environment),
        // Its runs on Ray have a flag for the file, all others the first word.
        "ms-swift-megatron" => {
            let taken = by_flag(words, &["--config"], false)?;
            Ok(if taken.run_file.is_some() { taken } else { first(words) })
        }
        _ => Ok(first(words)),
    }
}

fn is_file(word: &Word) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| word.text.ends_with(end)) && !word.text.starts_with('-')
}

/// The run file is the first word, if that is one.
fn first(words: &[Word]) -> Taken {
    let (run_file, words) = match words.split_first() {
        Some((file, rest)) if is_file(file) => (Some(file.clone()), rest),
        _ => (None, words),
    };
    Taken {
        run_file,
        words: words.to_vec(),
        ..Taken::default()
    }
}

/// The run file stands behind one of these flags, or after its `=` where the parser takes that.
fn by_flag(words: &[Word], flags: &[&str], takes_inline: bool) -> Result<Taken, Refusal> {
    let mut taken = Taken::default();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let is_inline = word
            .text
            .split_once('=')
            .is_some_and(|(flag, _)| flags.contains(&flag) && flag.starts_with("--"));
        if is_inline && !takes_inline {
            return refusal(
                word,
                "this trainer takes its run file as a word of its own",
                "not read as the run file",
                format!("write `{}`", word.text.replacen('=', " ", 1)),
            );
        }
        let file = match is_inline {
            true => value_of(word),
            false if flags.contains(&word.text.as_str()) => {
                let Some((file, after)) = rest.split_first() else {
                    return refusal(
                        word,
                        "no run file stands behind this flag",
                        "its value is missing",
                        "name the run file",
                    );
                };
                rest = after;
                file.clone()
            }
            false => {
                taken.words.push(word.clone());
                continue;
            }
        };
        if taken.run_file.is_some() {
            return several(&file);
        }
        taken.run_file = Some(file);
    }
    Ok(taken)
}

fn several<T>(file: &Word) -> Result<T, Refusal> {
    refusal(
        file,
        "the command names several run files",
        "a second one",
        "name one run file: ftrisk does not put several together",
    )
}

fn no_file<T>(word: &Word, trainer: &str, form: &str) -> Result<T, Refusal> {
    refusal(
        word,
        format!("{trainer} reads a run file, and this command names none where ftrisk looks for it"),
        "behind this",
        format!("write `{form}`"),
    )
}

fn llama_factory(words: &[Word], environment: &Environment) -> Result<Taken, Refusal> {
    for name in ["USE_MCA", "USE_MEGATRON_BRIDGE"] {
        if let Some(word) = environment.get(name).filter(|_| world::is_on(environment, name)) {
            let message = format!("{name} makes LLaMA-Factory train with Megatron");
            return refusal(
                word,
                message,
                "set here",
                "unset it: ftrisk does not read the arguments of Megatron",
            );
        }
    }
    // Its launcher starts itself again, with all words in one text that it splits at blanks.
    if let Some(word) = words.iter().find(|word| word.text.contains(char::is_whitespace)) {
        return refusal(
            word,
            "LLaMA-Factory splits this word at its blanks when it starts several processes",
            "what comes of it depends on the machine",
            "write it without blanks, or into the run file",
        );
    }
    Ok(first(words))
}

/// `trl` hands what its parser does not know on to accelerate.
fn trl(words: &[Word], is_command: bool) -> Result<Taken, Refusal> {
    let mut taken = by_flag(words, &["--config"], false)?;
    if is_command {
        let at = |names: &[&str]| {
            let mut pairs = words.windows(2);
            pairs.find_map(|pair| match pair {
                [flag, value] if names.contains(&flag.text.as_str()) => Some(value.clone()),
                _ => None,
            })
        };
        let counted = at(&["--num_processes", "--num-processes"]);
        taken.beside = at(&["--accelerate_config", "--config_file"]).filter(|file| counted.is_none() && is_file(file));
    }
    Ok(taken)
}

/// What Axolotl's command is told of the launch, and not of the run.
const OF_AXOLOTL_LAUNCH: &[&str] = &["--launcher", "--num-processes", "--main-process-port"];

/// `axolotl train FILE --key value -- ARGUMENT-OF-THE-LAUNCHER`; the module takes the file and values alone.
fn axolotl(name: &Word, words: &[Word], is_command: bool, environment: &Environment) -> Result<Taken, Refusal> {
    let mut taken = first(words);
    if taken.run_file.is_none() {
        return no_file(name, "Axolotl", "axolotl train RUN.yaml");
    }
    if !is_command {
        return Ok(taken);
    }
    let mut values = std::mem::take(&mut taken.words);
    let behind = match values.iter().position(|word| word.text == "--") {
        Some(at) => values.split_off(at).split_off(1),
        None => Vec::new(),
    };
    let (mut launcher, mut processes) = (None, None);
    let mut rest = values.as_slice();
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let (flag, inline) = match word.text.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word.text.as_str(), None),
        };
        if matches!(flag, "--sweep" | "--cloud" | "--use-ray") {
            return refusal(
                word,
                format!("`{flag}` starts runs that this command does not hold"),
                "several runs, or one elsewhere",
                "launch each run by itself",
            );
        }
        if flag.starts_with("--") && flag.contains('_') {
            return refusal(
                word,
                format!("`axolotl train` hands `{flag}` on to the launcher: its own flags have dashes"),
                "not a value of the run",
                format!("write {}", flag.replace('_', "-")),
            );
        }
        if !OF_AXOLOTL_LAUNCH.contains(&flag) {
            taken.words.push(word.clone());
            continue;
        }
        let value = match (inline, rest.split_first()) {
            (Some(value), _) => value,
            (None, Some((value, after))) => {
                rest = after;
                value.text.as_str()
            }
            (None, None) => "",
        };
        match flag {
            "--launcher" => launcher = Some((value, word)),
            "--num-processes" => {
                processes = value
                    .parse()
                    .ok()
                    .filter(|n| *n > 0)
                    .map(|n| World::Given(n, word.span))
            }
            _ => {}
        }
    }
    taken.world = match launcher {
        Some(("torchrun", _)) => Some(world::torchrun(&flags_of(&behind, TORCHRUN_SWITCHES).0, environment)),
        Some(("python", _)) => None,
        Some(("accelerate", _)) | None => {
            let (flags, _) = flags_of(&behind, ACCELERATE_SWITCHES);
            let by_flag = flags.contains_key("num_processes").then(|| world::accelerate(&flags));
            let world = by_flag.or(processes);
            taken.beside = flags
                .get("config_file")
                .filter(|_| world.is_none())
                .map(|file| value_of(file));
            world
        }
        Some((other, word)) => {
            let message = format!("Axolotl has no launcher `{other}`");
            return refusal(word, message, "one of accelerate, torchrun, python", "name one of them");
        }
    };
    Ok(taken)
}

/// `tune run [ARGUMENT-OF-TORCHRUN] RECIPE --config FILE key=value`.
fn torchtune(name: &Word, words: &[Word], environment: &Environment) -> Result<Taken, Refusal> {
    let form = "tune run RECIPE --config RUN.yaml";
    let (flags, rest) = flags_of(words, TORCHRUN_SWITCHES);
    let Some((recipe, behind)) = rest.split_first() else {
        return no_file(name, "torchtune", form);
    };
    if !RECIPES.contains(&recipe.text.as_str()) {
        return refusal(
            recipe,
            format!(
                "`{}` is no recipe of torchtune that ftrisk knows to train",
                super::super::words::shown(&recipe.text)
            ),
            "what it makes of its values is not known",
            "check the run file that it reads with `ftrisk check`",
        );
    }
    let mut taken = by_flag(behind, &["--config"], false)?;
    match &taken.run_file {
        None => return no_file(recipe, "torchtune", form),
        Some(file) if !is_file(file) => {
            return refusal(
                file,
                "this names a config inside of torchtune, which ftrisk does not see",
                "no file",
                format!("copy it and launch the copy: `tune cp {} RUN.yaml`", file.text),
            );
        }
        Some(_) => {}
    }
    // Without an argument for it, torchrun is not started.
    taken.world = (rest.len() < words.len()).then(|| world::torchrun(&flags, environment));
    Ok(taken)
}

/// `automodel FILE [--nproc-per-node N] --a.b value`, once `automodel finetune llm -c FILE`; recipes take `-c FILE`.
fn nemo(name: &Word, words: &[Word], called: &str) -> Result<Taken, Refusal> {
    let has_domain = called.contains(' ') && words.first().is_some_and(|word| !word.text.starts_with('-'));
    let words = words.get(usize::from(has_domain)..).unwrap_or(&[]);
    let mut taken = first(words);
    let mut values = by_flag(&taken.words, &["--config", "-c"], false)?;
    match (&taken.run_file, values.run_file.take()) {
        (Some(_), Some(other)) => return several(&other),
        (None, None) => return no_file(name, "NeMo Automodel", "automodel RUN.yaml"),
        (None, Some(file)) => taken.run_file = Some(file),
        (Some(_), None) => {}
    }
    taken.words.clear();
    let mut rest = values.words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let flag = word.text.split('=').next().unwrap_or("").replace('_', "-");
        // Its parser lets flags be cut short.
        if flag.starts_with("--n") && "--nproc-per-node".starts_with(&flag) {
            taken.asked = Some(word.clone());
            if !word.text.contains('=')
                && let Some((value, after)) = rest.split_first()
            {
                rest = after;
                taken.asked = Some(value.clone());
            }
            continue;
        }
        taken.words.push(word.clone());
    }
    Ok(taken)
}

/// `litgpt COMMAND [CHECKPOINT] --config FILE --a.b value`; what stands before the file is overridden by it.
fn litgpt(words: &[Word], called: &str) -> Result<Taken, Refusal> {
    let (positional, rest) = match words.split_first() {
        Some((first, rest)) if !first.text.starts_with('-') => (Some(first), rest),
        _ => (None, words),
    };
    let mut taken = by_flag(rest, &["--config"], true)?;
    let leads = |word: &Word| word.text == "--config" || word.text.starts_with("--config=");
    if let (true, Some(first)) = (taken.run_file.is_some(), words.first().filter(|word| !leads(word))) {
        return refusal(
            first,
            "LitGPT lets the run file override what stands before it",
            "without effect where the file has it too",
            "write `--config RUN.yaml` first, and the values behind it",
        );
    }
    for word in &taken.words {
        let flag = word.text.split('=').next().unwrap_or("");
        let is_whole = matches!(flag, "--train" | "--eval" | "--log");
        if is_whole || flag == "--optimizer" || flag.starts_with("--optimizer.") {
            return refusal(
                word,
                format!("LitGPT puts `{flag}` together by rules that ftrisk does not follow"),
                "it may name a file or a class",
                "write these values into the run file",
            );
        }
    }
    if let Some(word) = positional {
        let flag = Word {
            text: if called.ends_with("pretrain") {
                "--model_name"
            } else {
                "--checkpoint_dir"
            }
            .to_owned(),
            span: word.span,
            verbatim: None,
        };
        taken.words.splice(0..0, [flag, word.clone()]);
    }
    Ok(taken)
}
