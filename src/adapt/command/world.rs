//! How many processes a command starts: what launchers and trainers make of their flags and of the environment.
//!
//! Read against torch 2.9 (`torch.distributed.run`), accelerate 1.15, DeepSpeed 0.18, and the trainers' own launchers as
//! `trainers.rs` dates them.

use std::collections::BTreeMap;

use super::World;
use super::shell::Word;

/// What a command finds in its environment.
pub(super) type Environment = BTreeMap<String, Word>;

/// Flags of a launcher with their values.
pub(super) type Given<'a> = BTreeMap<String, &'a Word>;

/// Whether a variable switches something on.
pub(super) fn is_on(environment: &Environment, name: &str) -> bool {
    environment
        .get(name)
        .is_some_and(|word| matches!(word.text.to_ascii_lowercase().as_str(), "1" | "true" | "y"))
}

/// A launcher's own flags, and what comes after them. `switches` take no value.
pub(super) fn flags_of<'a>(words: &'a [Word], switches: &[&str]) -> (Given<'a>, &'a [Word]) {
    let mut flags = BTreeMap::new();
    let mut rest = words;
    while let Some((flag, after)) = rest.split_first() {
        if !flag.text.starts_with('-') || matches!(flag.text.as_str(), "-m" | "--module") {
            break;
        }
        let (name, value) = match flag.text.split_once('=') {
            Some((name, _)) => (name, Some(flag)),
            None => (flag.text.as_str(), None),
        };
        let name = name.trim_start_matches('-').replace('-', "_");
        rest = after;
        if let Some(value) = value {
            flags.insert(name, value);
        } else if !switches.contains(&name.as_str()) {
            let Some((value, after)) = after.split_first() else {
                break;
            };
            flags.insert(name, value);
            rest = after;
        }
    }
    (flags, rest)
}

pub(super) const TORCHRUN_SWITCHES: &[&str] = &["standalone", "no_python", "run_path", "use_env", "virtual_local_rank"];
pub(super) const DEEPSPEED_SWITCHES: &[&str] = &[
    "force_multi",
    "no_local_rank",
    "no_python",
    "no_ssh",
    "no_ssh_check",
    "enable_each_rank_log",
];
pub(super) const ACCELERATE_SWITCHES: &[&str] = &[
    "multi_gpu",
    "cpu",
    "tpu",
    "use_deepspeed",
    "use_fsdp",
    "use_megatron_lm",
    "use_parallelism_config",
    "use_xpu",
    "ipex",
    "quiet",
    "q",
    "debug",
    "no_python",
    "same_network",
    "tpu_cluster",
    "tpu_use_cluster",
    "no_tpu_cluster",
    "tpu_use_sudo",
    "enable_cpu_affinity",
    "downcast_bf16",
    "dynamo_use_fullgraph",
    "dynamo_use_dynamic",
    "dynamo_use_regional_compilation",
    "fp8_use_autocast_during_eval",
];

/// A flag by its name, or by a beginning of it where the launcher's parser lets flags be cut short.
fn cut_short<'a>(flags: &Given<'a>, name: &str) -> Option<&'a Word> {
    let begins = |given: &&String| given.len() > 1 && name.starts_with(given.as_str());
    flags
        .keys()
        .rev()
        .find(begins)
        .and_then(|given| flags.get(given).copied())
}

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

pub(super) fn torchrun(flags: &Given<'_>, environment: &Environment) -> World {
    // Each flag has a variable of its own, which counts where the flag is not given.
    let flag = |name, variable| cut_short(flags, name).or_else(|| environment.get(variable));
    let each = flag("nproc_per_node", "PET_NPROC_PER_NODE");
    let nodes = flag("nnodes", "PET_NNODES");
    let is_all = each.is_some_and(|word| ["gpu", "auto"].iter().any(|all| word.text.ends_with(all)));
    let seen = visible(environment).filter(|_| is_all);
    match (seen, nodes.map_or(Some(1), count)) {
        (Some((seen, word)), Some(nodes)) => World::Given(seen.saturating_mul(nodes), word.span),
        _ => product(each, nodes, "torchrun starts one process without --nproc_per_node"),
    }
}

/// Whether torchrun is told of all nodes.
pub(super) fn counts_nodes(flags: &Given<'_>, environment: &Environment) -> bool {
    cut_short(flags, "nnodes").is_some() || environment.contains_key("PET_NNODES")
}

pub(super) fn accelerate(flags: &Given<'_>) -> World {
    let shares = |name: &&String| name.starts_with("parallelism_config_") || name.starts_with("megatron_lm_");
    if let Some(word) = flags.keys().find(shares).and_then(|name| flags.get(name)) {
        return World::Unknown("accelerate is told to share one model among processes", Some(word.span));
    }
    match flags.get("num_processes") {
        Some(word) => product(Some(word), None, ""),
        None => World::Unknown(
            "accelerate starts as many processes as its own file says, and no --num_processes is written",
            flags.get("config_file").map(|word| word.span),
        ),
    }
}

pub(super) fn deepspeed(flags: &Given<'_>) -> World {
    match cut_short(flags, "num_gpus") {
        Some(word) => product(Some(word), cut_short(flags, "num_nodes"), ""),
        None => World::Unknown(
            "deepspeed starts a process for every GPU that it finds, and no --num_gpus is written",
            None,
        ),
    }
}

/// The devices that the environment shows, if it lists any.
fn visible(environment: &Environment) -> Option<(u32, &Word)> {
    ["CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"]
        .into_iter()
        .find_map(|name| {
            let word = environment.get(name).filter(|word| word.is_known())?;
            // From the first negative number on nothing is shown.
            let shown = word
                .text
                .split(',')
                .map(str::trim)
                .take_while(|device| !device.starts_with('-'));
            let count = shown.filter(|device| !device.is_empty()).count();
            Some((u32::try_from(count).ok().filter(|count| *count > 0)?, word))
        })
}

/// Processes that a trainer starts by itself. `asked` is its own flag for them.
pub(super) fn own(framework: &str, asked: Option<&Word>, words: &[Word], environment: &Environment) -> World {
    let (each, nodes) = (environment.get("NPROC_PER_NODE"), environment.get("NNODES"));
    let worker = environment.get("WORLD_SIZE").map(|word| {
        let why = "WORLD_SIZE is set, so this command is one of several that train together";
        World::Unknown(why, Some(word.span))
    });
    match framework {
        "ms-swift" | "ms-swift-megatron" => {
            let by_ray = |word: &Word| matches!(word.text.as_str(), "--use_ray" | "--device_groups");
            match (words.iter().find(|word| by_ray(word)), each.or(nodes), worker) {
                (Some(word), ..) => World::Unknown("Ray places the processes", Some(word.span)),
                (None, None, Some(worker)) => worker,
                _ => product(each, nodes, "ms-swift starts one process without NPROC_PER_NODE"),
            }
        }
        "llama-factory" | "llama-factory-v1" => llama_factory(each, nodes, environment),
        "nemo-automodel" => nemo(asked, environment),
        _ if worker.is_some() => worker.unwrap_or(World::Default(1, "")),
        "mlx-lm" => World::Default(1, "mlx-lm starts one process without a launcher"),
        "torchtune" => World::Default(1, "tune run starts one process without an argument of torchrun"),
        _ => match visible(environment) {
            Some((1, word)) => World::Given(1, word.span),
            _ => World::Unknown("the command does not say how many processes it starts", None),
        },
    }
}

/// It starts several processes only where it sees several devices.
fn nemo(asked: Option<&Word>, environment: &Environment) -> World {
    if let Some(nodes) = environment.get("PET_NNODES") {
        return World::Unknown("the environment speaks of several nodes", Some(nodes.span));
    }
    let each = asked.map(|word| (count(word), word.span));
    match (visible(environment), each) {
        (_, Some((None, span))) => World::Unknown("the number of processes is not written as one", Some(span)),
        (_, Some((Some(1), span))) => World::Given(1, span),
        (Some((1, word)), _) => World::Given(1, word.span),
        (Some(_), Some((Some(each), span))) => World::Given(each, span),
        (Some((seen, word)), None) => World::Given(seen, word.span),
        (None, asked) => World::Unknown(
            "automodel starts several processes only where it sees several GPUs",
            asked.map(|(_, span)| span),
        ),
    }
}

/// It starts torchrun only where it sees several devices, or is made to.
fn llama_factory(each: Option<&Word>, nodes: Option<&Word>, environment: &Environment) -> World {
    for (name, why) in [
        ("USE_RAY", "Ray places the processes"),
        ("USE_KT", "KTransformers places the processes"),
        ("MAX_NNODES", "the number of nodes may change while it trains"),
    ] {
        let is_set = name == "MAX_NNODES" && environment.contains_key(name);
        if is_set || is_on(environment, name) {
            return World::Unknown(why, environment.get(name).map(|word| word.span));
        }
    }
    let is_forced = is_on(environment, "FORCE_TORCHRUN");
    match (visible(environment), each) {
        (Some((1, word)), _) if !is_forced => World::Given(1, word.span),
        (Some(_), Some(_)) => product(each, nodes, ""),
        (None, Some(_)) if is_forced => product(each, nodes, ""),
        (None, Some(word)) => World::Unknown(
            "LLaMA-Factory starts NPROC_PER_NODE processes only where it sees several GPUs, or with FORCE_TORCHRUN=1",
            Some(word.span),
        ),
        (Some((seen, word)), None) => match nodes.map_or(Some(1), count) {
            Some(nodes) => World::Given(seen.saturating_mul(nodes), word.span),
            None => World::Unknown("the number of nodes is not written as one", nodes.map(|word| word.span)),
        },
        (None, None) => World::Unknown("LLaMA-Factory uses every GPU it sees", None),
    }
}
