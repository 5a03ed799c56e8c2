//! The entries of the journal, as they are written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::number::{Number, finite};
use crate::guard;
use crate::ir::{self, Policy};
use crate::meter;
use crate::quantity::{self, Course, Finite, Quantity};

/// The version of the format, in the first entry.
pub const FORMAT: u32 = 1;

/// One entry. The field `entry` says which kind it is: `start`, `base`, `update` or `end`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The first: what the run is made of.
    Start(Box<Start>),
    /// The readings before update 0.
    Base(Base),
    /// One proposal and its decision.
    Update(Box<Update>),
    /// The last, when the run ended in order.
    End(End),
}

/// What the run is made of. Hashes are SHA-256 in hex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The version of the format: [`FORMAT`].
    pub format: u32,
    /// The version of ftrisk that wrote it.
    pub ftrisk: String,
    /// Hash of the policy.
    pub policy: String,
    /// Hash of the run file.
    pub run: String,
    /// Hash of each file of the model, by name.
    pub model: BTreeMap<String, String>,
    /// Hash of each data file, by name.
    pub data: BTreeMap<String, String>,
    /// Hash of each probe, by its name in the policy.
    pub probes: BTreeMap<String, String>,
    /// The seed of the run.
    pub seed: u64,
    /// Threads that computed.
    pub threads: u64,
    /// Features of the processor that change how numbers are computed.
    pub cpu: Vec<String>,
    /// Updates that the run plans; left out where nobody said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub updates: u64,
    /// The schedule of those updates, whose dose paced limits are spread by; left out where it is not known, and they are
    /// spread over the updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Whether advice was enforced.
    pub strict: bool,
    /// The policy's lines, counted from 0, that the judgement left to readings: what the guard is armed with.
    pub later: Vec<usize>,
    /// The policy's waivers, counted from 0, that moved a bound for this run on the day it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<usize>,
}

/// A schedule of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// How the rate goes on after the warmup.
    pub shape: Shape,
    /// Updates of the warmup.
    pub warmup: u64,
}

/// How the rate goes on after the warmup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// At the peak.
    Constant,
    /// To nothing on a line.
    Linear,
    /// To nothing on half a cosine.
    Cosine,
}

/// The readings before update 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Every armed quantity but those of an update.
    pub readings: Vec<Reading>,
}

/// One proposal and its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Its number, from 1; goes back with a rollback.
    pub update: u64,
    /// Passes over the data so far.
    #[serde(with = "finite")]
    pub epoch: Finite,
    /// The learning rate of the proposal, halvings included.
    #[serde(with = "finite")]
    pub rate: Finite,
    /// Training loss of the batch in nats per token, before the update.
    pub loss: Number,
    /// Tokens of the batch, prompts included.
    pub tokens: u64,
    /// The per-update quantities at each scale that was tried, the whole update first.
    pub tries: Vec<Try>,
    /// Everything else that was read, on the state that would be committed.
    pub readings: Vec<Reading>,
    /// Whether every probe was evaluated, so that the state could become the kept one.
    pub complete: bool,
    /// How far the run has walked on each probe that was read, and how far it stands from the base. It decides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Path>,
    /// The sample that moves the model most, where nothing of the batch's update was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Suspect>,
    /// What the guard decided.
    pub decision: Decision,
}

/// Readings at one scale of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The part of the update that was measured.
    #[serde(with = "finite")]
    pub scale: Finite,
    /// The per-update quantities there.
    pub readings: Vec<Reading>,
}

/// Two lengths on a probe, in √nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// The probe's name.
    pub probe: String,
    /// The sum of the root-JS distances between the states that were read; nothing gives it back.
    pub path: Number,
    /// The root-JS distance from the base; never longer than the path.
    pub displacement: Number,
}

/// A sample of a refused batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The file that it stands in.
    pub file: String,
    /// Its row there, counted from 1.
    pub row: u64,
    /// What the limit that refused the batch reads of an update made of it alone.
    pub alone: Number,
    /// What it reads of an update made of the other samples; left out where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Number>,
}

/// A reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The quantity's name.
    pub quantity: String,
    /// The probe's name; left out for a quantity without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// The number in the quantity's own measure, or "not finite".
    pub value: Number,
    /// Its standard error over prompts; left out where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Number>,
    /// The value of each prompt, in the order in which they were evaluated; left out where no limit asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Number>,
}

/// What the guard decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What was done.
    #[serde(flatten)]
    pub action: Action,
    /// Whether the learning rate is halved from here on.
    pub slow: bool,
    /// Halvings that pace asks for from here on; left out where it asks for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paced: u64,
    /// Whether the state became the kept one.
    pub keep: bool,
    /// Whether the run ended because too many proposals in a row were not committed whole.
    pub stalled: bool,
    /// The limits that were broken, advice included.
    pub breaches: Vec<Breach>,
}

/// What was done with a proposal: the field `action`, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Committed, whole or in part.
    Commit {
        /// The part of the update.
        #[serde(with = "finite")]
        scale: Finite,
    },
    /// Dropped.
    Skip,
    /// Back to the kept state.
    Rollback {
        /// Its update.
        to: u64,
    },
    /// Back to the kept state, and the run ended.
    Stop {
        /// Its update.
        to: u64,
    },
}

/// A limit that a reading broke.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The policy's line, counted from 0.
    pub line: usize,
    /// The quantity's name.
    pub quantity: String,
    /// The probe's name; left out for a quantity without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// The reading that broke it.
    pub value: Number,
    /// The bound in the quantity's own measure; for `of base`, already multiplied.
    #[serde(with = "finite")]
    pub bound: Finite,
    /// Whether the bound is a floor.
    pub floor: bool,
    /// Why it is broken.
    pub cause: Cause,
    /// The rung that was used; left out for advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// Whether the limit is advice.
    pub advice: bool,
}

/// Why a limit is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The reading is outside of the bound.
    Outside,
    /// The reading is not finite.
    NotFinite,
    /// The reading was due and not there.
    Missing,
    /// There is no base reading to take a share of.
    NoBase,
    /// The prompts do not certify that the limit holds at its confidence.
    Uncertain,
}

/// A use of a rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Its word in the policy.
    pub action: RungAction,
    /// Whether it says `and slow`.
    pub slow: bool,
    /// How many uses it allows; left out when it is never left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Which use of it this was, from 1.
    #[serde(rename = "use")]
    pub number: u64,
}

/// A rung's word in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungAction {
    /// `scale`
    Scale,
    /// `skip`
    Skip,
    /// `rollback`
    Rollback,
    /// `stop`
    Stop,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub why: Why,
    /// The number of the last proposal; 0 when there was none.
    pub update: u64,
    /// The update of the state that was saved; left out when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_from: Option<u64>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its own end.
    Finished,
    /// The guard stopped it.
    Stopped,
    /// It was outside before update 0, so it did not start.
    NotStarted,
    /// A probe cannot resolve a limit, so it did not start.
    Unresolved,
    /// An update was made of something else than numbers, and no limit was there to stop it.
    NotFinite,
    /// Somebody interrupted it.
    Interrupted,
}

/// For fields that are left out where they say nothing.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Why {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Why::Finished => "finished",
            Why::Stopped => "stopped",
            Why::NotStarted => "not started",
            Why::Unresolved => "refused",
            Why::NotFinite => "ended by an update that is not finite",
            Why::Interrupted => "interrupted",
        }
    }
}

impl Schedule {
    /// As the journal writes it.
    pub fn of(course: &Course) -> Self {
        Schedule {
            shape: match course.shape() {
                quantity::Shape::Constant => Shape::Constant,
                quantity::Shape::Linear => Shape::Linear,
                quantity::Shape::Cosine => Shape::Cosine,
            },
            warmup: course.warmup(),
        }
    }
}

impl Start {
    /// The clock of the guard: the dose where the schedule is known, else the updates.
    pub fn clock(&self) -> guard::Clock {
        let Some(Schedule { shape, warmup }) = self.schedule else {
            return guard::Clock::Updates(self.updates);
        };
        let shape = match shape {
            Shape::Constant => quantity::Shape::Constant,
            Shape::Linear => quantity::Shape::Linear,
            Shape::Cosine => quantity::Shape::Cosine,
        };
        guard::Clock::Dose(Course::new(shape, self.updates, warmup))
    }
}

impl Reading {
    /// As the journal of a run under `policy` writes it.
    pub fn of(measured: &guard::Measured, policy: &Policy) -> Self {
        Reading {
            quantity: measured.quantity.name().to_owned(),
            probe: probe_name(measured.probe, policy),
            value: Number(measured.reading),
            error: measured.standard_error.map(|error| Number(error.into())),
            prompts: measured.prompts.iter().copied().map(Number).collect(),
        }
    }

    /// What the guard was given; `Err` says which name the policy or this version does not know.
    pub fn measured(&self, policy: &Policy) -> Result<guard::Measured, String> {
        let quantity =
            Quantity::named(&self.quantity).ok_or_else(|| format!("there is no quantity `{}`", self.quantity))?;
        let probe = match &self.probe {
            None => None,
            Some(name) => Some(
                policy
                    .probes
                    .iter()
                    .position(|probe| probe.name == *name)
                    .ok_or_else(|| format!("the policy has no probe `{name}`"))?,
            ),
        };
        Ok(guard::Measured {
            standard_error: self.error.and_then(|error| error.0.value()),
            prompts: self.prompts.iter().map(|prompt| prompt.0).collect(),
            ..guard::Measured::new(quantity, probe, self.reading())
        })
    }

    /// The result.
    pub fn reading(&self) -> meter::Reading {
        self.value.0
    }
}

fn probe_name(probe: Option<usize>, policy: &Policy) -> Option<String> {
    let index = probe?;
    // A number cannot be a probe's name, so one outside of the policy cannot be taken for another.
    Some(
        policy
            .probes
            .get(index)
            .map_or_else(|| index.to_string(), |probe| probe.name.clone()),
    )
}

impl Decision {
    /// As the journal of a run under `policy` writes it.
    pub fn of(decision: &guard::Decision, policy: &Policy) -> Self {
        Decision {
            action: match decision.action {
                guard::Act::Commit { scale } => Action::Commit { scale },
                guard::Act::Skip => Action::Skip,
                guard::Act::Rollback { to } => Action::Rollback { to },
                guard::Act::Stop { to } => Action::Stop { to },
            },
            slow: decision.slow,
            paced: decision.paced.into(),
            keep: decision.keep,
            stalled: decision.stalled,
            breaches: decision
                .breaches
                .iter()
                .map(|breach| Breach::of(breach, policy))
                .collect(),
        }
    }
}

impl Breach {
    /// As the journal of a run under `policy` writes it.
    pub fn of(breach: &guard::Breach, policy: &Policy) -> Self {
        Breach {
            line: breach.line,
            quantity: breach.quantity.name().to_owned(),
            probe: probe_name(breach.probe, policy),
            value: Number(breach.reading),
            bound: breach.bound,
            floor: breach.is_floor,
            cause: match breach.cause {
                guard::Cause::Outside => Cause::Outside,
                guard::Cause::NotFinite => Cause::NotFinite,
                guard::Cause::Missing => Cause::Missing,
                guard::Cause::NoBase => Cause::NoBase,
                guard::Cause::Uncertain { .. } => Cause::Uncertain,
            },
            rung: breach.rung.map(|(rung, number)| Rung {
                action: match rung.action {
                    ir::Action::Scale => RungAction::Scale,
                    ir::Action::Skip => RungAction::Skip,
                    ir::Action::Rollback => RungAction::Rollback,
                    ir::Action::Stop => RungAction::Stop,
                },
                slow: rung.slow,
                times: rung.times,
                number,
            }),
            advice: breach.advice,
        }
    }
}
