//! TRL's trainers: which of them can read a run file, and their defaults where these differ.
//!
//! Read against TRL 0.15 to 1.16 and alignment-handbook at 925acdfe. The trainer is not in the file: the sub-command or
//! the script decides. What the file says of it is in the keys that not every trainer's config has.

use crate::adapt::keys::TRL;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, unknown};
use crate::adapt::tree::Map;
use crate::diag::one_of;
use crate::facts::{Key, Origin, WordFact, Words};
use crate::quantity::Category;

/// A trainer with what it does without being told.
#[derive(Debug)]
pub(super) struct Trainer {
    /// Its config class, as the list of keys has it.
    class: &'static str,
    /// What it teaches.
    pub(super) stage: &'static str,
    /// `learning_rate`.
    pub(super) rate: f64,
    /// `beta`; several where versions differ, none where it has no such key.
    pub(super) beta: &'static [f64],
    /// `max_length`, where it has one.
    pub(super) length: Option<f64>,
    /// Words that `loss_type` takes; none where any does.
    losses: &'static [&'static str],
    /// Who runs it.
    runner: Runner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    /// A sub-command of `trl`.
    Command,
    /// A sub-command of `trl`, and a script of alignment-handbook.
    Both,
    /// A script of alignment-handbook, or one's own.
    Handbook,
    /// A script of one's own.
    Script,
}

use Runner::{Both, Command, Handbook, Script};

const SFT_LOSSES: &[&str] = &["nll", "dft", "chunked_nll"];
const DPO_LOSSES: &[&str] = &[
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_pair",
    "aot_unpaired",
    "discopop",
    "apo_zero",
    "apo_down",
    "sft",
];
const KTO_LOSSES: &[&str] = &["kto", "apo_zero_unpaired"];
const GRPO_LOSSES: &[&str] = &["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"];

const fn trainer(class: &'static str, stage: &'static str, rate: f64, beta: &'static [f64], runner: Runner) -> Trainer {
    Trainer {
        class,
        stage,
        rate,
        beta,
        length: Some(1024.0),
        losses: &[],
        runner,
    }
}

static TRAINERS: &[Trainer] = &[
    Trainer {
        losses: SFT_LOSSES,
        ..trainer("SFTConfig", "sft", 2e-5, &[], Both)
    },
    Trainer {
        losses: DPO_LOSSES,
        ..trainer("DPOConfig", "dpo", 1e-6, &[0.1], Both)
    },
    Trainer {
        losses: KTO_LOSSES,
        ..trainer("KTOConfig", "kto", 1e-6, &[0.1], Command)
    },
    trainer("RewardConfig", "rm", 1e-4, &[], Command),
    Trainer {
        length: None,
        losses: GRPO_LOSSES,
        ..trainer("GRPOConfig", "grpo", 1e-6, &[0.0, 0.04], Command)
    },
    Trainer {
        length: None,
        ..trainer("RLOOConfig", "rloo", 1e-6, &[0.05], Command)
    },
    trainer("ORPOConfig", "orpo", 1e-6, &[0.1], Handbook),
    trainer("CPOConfig", "cpo", 1e-6, &[0.1], Script),
    Trainer {
        length: None,
        ..trainer("PPOConfig", "ppo", 3e-6, &[], Script)
    },
    trainer("PRMConfig", "prm", 1e-5, &[], Script),
    trainer("GKDConfig", "gkd", 2e-5, &[0.5], Script),
];

/// The trainers that can read the file.
///
/// Those that a command runs come first; a trainer that needs a script of one's own is thought of only where none of
/// them takes every key.
pub(super) fn of(run: &mut Run<'_>, flag: Option<&str>) -> Vec<&'static Trainer> {
    if let Some(stage) = flag {
        let stage = match stage {
            "pt" => "sft",
            "ipo" => "dpo",
            "simpo" => "cpo",
            stage => stage,
        };
        return TRAINERS.iter().filter(|trainer| trainer.stage == stage).collect();
    }
    let root = run.root();
    let is_handbook = has_class(root, "alignment-handbook");
    let is_near = |trainer: &&Trainer| match trainer.runner {
        Both => true,
        Command => !is_handbook,
        Handbook => is_handbook,
        Script => false,
    };
    let fits = |trainer: &&Trainer| takes(root, trainer.class);
    let mut found: Vec<&Trainer> = TRAINERS.iter().filter(is_near).filter(fits).collect();
    if found.is_empty() {
        found = TRAINERS.iter().filter(fits).collect();
    }
    if let Said::Value(losses, _) = run.list("loss_type") {
        let knows = |trainer: &&&Trainer| losses.iter().all(|loss| trainer.losses.contains(&loss.as_str()));
        let known: Vec<&Trainer> = found.iter().filter(knows).copied().collect();
        if !known.is_empty() {
            found = known;
        }
    }
    found
}

/// Says which stage it is.
pub(super) fn tell(run: &mut Run<'_>, trainers: &[&Trainer], flag: Option<&str>) {
    let (words, origin) = match (flag, trainers) {
        (Some(stage), _) => (one(Some(stage)), Origin::Flag("--stage")),
        (None, [only]) => match (only.stage, run.list("loss_type")) {
            ("dpo", Said::Value(losses, place)) if losses == ["ipo"] => (one(Some("ipo")), Origin::Given(place)),
            ("cpo", Said::Value(losses, place)) if losses == ["simpo"] => (one(Some("simpo")), Origin::Given(place)),
            (stage, _) => {
                let rule = format!(
                    "of TRL's trainers only that of {} takes these keys",
                    stage.to_uppercase()
                );
                let told = run.told_stage.map(|(_, place)| Origin::Given(place));
                (one(Some(stage)), told.unwrap_or_else(|| by_default(rule)))
            }
        },
        (None, several) => (Words::Unknown, open("which trainer reads the file", several)),
    };
    // No key of the file gives it, and none would.
    let key = Key::default();
    run.facts.set_words(Category::Stage, WordFact { words, origin, key });
}

/// The origin of what depends on the trainer.
pub(super) fn open(what: &str, trainers: &[&Trainer]) -> Origin {
    let stages: Vec<&str> = trainers.iter().map(|trainer| trainer.stage).collect();
    let supply = match stages.as_slice() {
        [] => "say --stage, as the launch command will have it".to_owned(),
        stages => format!("say --stage {}, as the launch command will have it", one_of(stages)),
    };
    unknown(format!("{what} depends on the command, not on the file"), supply, None)
}

/// What all of the trainers have in common, if they do.
pub(super) fn common<T: PartialEq>(trainers: &[&'static Trainer], of: impl Fn(&'static Trainer) -> T) -> Option<T> {
    let (first, rest) = trainers.split_first()?;
    let value = of(first);
    rest.iter().all(|trainer| of(trainer) == value).then_some(value)
}

/// Whether a trainer's config takes every key that only trainers' configs take.
fn takes(map: &Map, class: &str) -> bool {
    map.entries.iter().all(|entry| match TRL.class(entry.name()) {
        None => true,
        Some(cell) => is_beside(cell) || cell.split(',').any(|name| name == class),
    })
}

/// Whether a key is taken whichever the trainer is.
fn is_beside(cell: &str) -> bool {
    const BESIDE: &[&str] = &[
        "TrainingArguments",
        "ModelConfig",
        "ScriptArguments",
        "DatasetMixtureConfig",
        "alignment-handbook",
        "TrlParser",
        "accelerate",
    ];
    cell.split('@').next().is_some_and(|class| BESIDE.contains(&class))
}

/// Whether a key of this class is written.
pub(super) fn has_class(map: &Map, class: &str) -> bool {
    map.entries
        .iter()
        .filter_map(|entry| TRL.class(entry.name()))
        .any(|cell| cell.split('@').next() == Some(class))
}
