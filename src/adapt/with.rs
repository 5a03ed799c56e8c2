//! Files of the launch beside a run file: an accelerate config, a DeepSpeed file.
//!
//! Read against transformers 5.8.0 and accelerate 1.15.0: `num_processes` is the total over all machines, each of which
//! starts an equal share. transformers fills `"auto"` of a DeepSpeed file in from its own arguments, and refuses other
//! values that differ from them. The optimizer and the schedule of a DeepSpeed file take the place of its own.

use super::pages::Pages;
use super::scalar::{Loader, Value, resolve};
use super::table::{Ask, Dialect, Null, Takes, Unknown};
use super::told::{Told, What};
use super::tree::{Entry, Map};
use super::words::{self, Problem, shown};
use super::{detect, mapping_of, screen};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::{Input, Words};
use crate::quantity::{Category, Domain, Quantity};
use crate::source::{Place, SourceId, Sources};

const LAUNCH: &str = "correct the one that is wrong: each trains another run";
const AUTO: &str = "write \"auto\" there, which takes the run file's: transformers refuses two that differ";

/// A kind of file that is read beside a run file.
struct Kind {
    dialect: Dialect,
    /// Numbers with their keys, and the quantity where one is told whole.
    numbers: &'static [(&'static str, Input, Option<Quantity>)],
    help: &'static str,
}

const fn dialect(name: &'static str, loader: Loader) -> Dialect {
    Dialect {
        name,
        framework: name,
        unknown: Unknown::Drops,
        elsewhere: &[],
        launcher: name,
        loader,
        default: "its default",
        nested_text_is_read: false,
        order: "",
    }
}

static ACCELERATE: Kind = Kind {
    dialect: dialect("accelerate", Loader::PyYaml),
    numbers: &[
        ("num_processes", Input::WorldSize, None),
        (
            "deepspeed_config.gradient_accumulation_steps",
            Input::Accumulation,
            None,
        ),
        ("fsdp_config.gradient_accumulation_steps", Input::Accumulation, None),
        ("deepspeed_config.gradient_clipping", Input::ClipNorm, None),
    ],
    help: LAUNCH,
};

static DEEPSPEED: Kind = Kind {
    dialect: dialect("DeepSpeed", Loader::OmegaConf),
    numbers: &[
        ("train_micro_batch_size_per_gpu", Input::PerDevice, None),
        ("gradient_accumulation_steps", Input::Accumulation, None),
        ("train_batch_size", Input::GlobalBatch, Some(Quantity::BatchEffective)),
        ("gradient_clipping", Input::ClipNorm, None),
        ("optimizer.params.lr", Input::LearningRate, None),
        ("optimizer.params.weight_decay", Input::WeightDecay, None),
        ("scheduler.params.warmup_max_lr", Input::LearningRate, None),
    ],
    help: AUTO,
};

/// Keys that no default of the run file reaches where a DeepSpeed file leaves them out: why, and the next step.
const ABSENT: &[(&str, Input, &str, &str)] = &[
    (
        "gradient_accumulation_steps",
        Input::Accumulation,
        "this DeepSpeed file has no gradient_accumulation_steps, and accelerate then takes 1",
        "write \"gradient_accumulation_steps\": \"auto\" in the DeepSpeed file",
    ),
    (
        "gradient_clipping",
        Input::ClipNorm,
        "this DeepSpeed file has no gradient_clipping, and DeepSpeed then clips nothing",
        "write \"gradient_clipping\": \"auto\" in the DeepSpeed file",
    ),
];

/// `optimizer.type` of DeepSpeed, in its own spelling, with our words.
const OPTIMIZERS: &[(&str, &str)] = &[
    ("adamw", "adamw"),
    ("adam", "adamw"),
    ("lion", "lion"),
    ("muon", "muon"),
];
/// `scheduler.type` of DeepSpeed; each walks a formula of its own.
const SCHEDULERS: &[(&str, &str)] = &[
    ("WarmupLR", "constant_with_warmup"),
    ("WarmupDecayLR", "linear"),
    ("WarmupCosineLR", "cosine"),
];

/// What the files tell.
pub(super) fn read(files: &[SourceId], sources: &Sources, found: &mut Vec<Diagnostic>) -> Vec<Told> {
    let mut told = Vec::new();
    let mut named = Vec::new();
    let mut has_deepspeed = false;
    for source in files {
        let (root, problems) = mapping_of(*source, sources);
        found.extend(problems);
        let Some(map) = root.as_ref().and_then(|root| root.map()) else {
            continue;
        };
        let mut file = File {
            pages: Pages::new(sources, *source, None),
            map,
            told: &mut told,
            found,
        };
        if is_accelerate(map) {
            file.numbers(&ACCELERATE);
            file.processes();
            named.extend(file.named());
        } else if is_deepspeed(map) {
            has_deepspeed = true;
            file.numbers(&DEEPSPEED);
            file.absent();
            file.in_the_place_of("optimizer.type", Category::Optimizer, OPTIMIZERS);
            file.in_the_place_of("scheduler.type", Category::Scheduler, SCHEDULERS);
        } else {
            file.refuse(*source);
        }
        if let Some(root) = &root {
            found.extend(screen::screen(
                Pages::new(sources, *source, None),
                root,
                std::collections::BTreeSet::new(),
            ));
        }
    }
    found.extend(named.into_iter().filter(|_| !has_deepspeed));
    told
}

fn is_accelerate(map: &Map) -> bool {
    const BESIDE: &str = "num_processes mixed_precision num_machines fsdp_config deepspeed_config";
    map.get("compute_environment").is_some()
        || (map.get("distributed_type").is_some() && map.has_any(BESIDE))
        || (map.get("num_processes").is_some() && map.get("num_machines").is_some())
}

fn is_deepspeed(map: &Map) -> bool {
    map.has_any("zero_optimization train_micro_batch_size_per_gpu train_batch_size")
}

struct File<'a> {
    pages: Pages<'a>,
    map: &'a Map,
    told: &'a mut Vec<Told>,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> File<'a> {
    fn entry(&self, key: &str) -> Option<&'a Entry> {
        let mut map = self.map;
        let mut rest = key;
        while let Some((parent, child)) = rest.split_once('.') {
            map = map.map(parent)?;
            rest = child;
        }
        map.get(rest).filter(|entry| !entry.is_repeated)
    }

    fn place(&self, entry: &Entry) -> Place {
        self.pages.place(entry.value.span)
    }

    fn text(&self, key: &str) -> Option<(&'a str, Place)> {
        let entry = self.entry(key)?;
        Some((&*entry.value.scalar()?.text, self.place(entry)))
    }

    fn numbers(&mut self, kind: &'static Kind) {
        for (key, input, quantity) in kind.numbers {
            if let Some((number, place)) = self.number(kind, key, input.domain()) {
                self.tell(key, place, What::Number(*input, *quantity, number), kind.help);
            }
        }
    }

    /// The number under a key, where the file writes one; what is no such number is reported.
    fn number(&mut self, kind: &Kind, key: &'static str, domain: Domain) -> Option<(f64, Place)> {
        let entry = self.entry(key)?;
        let place = self.place(entry);
        let scalar = entry.value.scalar();
        let text = scalar.map_or("", |scalar| &scalar.text);
        if text == "auto" || screen::is_placeholder(entry.name(), &entry.value, self.pages) {
            return None;
        }
        let value = scalar.map(|scalar| match scalar.is_plain {
            true => resolve(&scalar.text, kind.dialect.loader),
            false => Value::Text,
        });
        // A whole number may be written with a point.
        let problem = match Problem::or_number(value, Takes::Real, domain) {
            Ok(number) => return Some((number, place)),
            Err(Problem::Null) => return None,
            Err(problem) => problem,
        };
        let ask = Ask {
            key,
            takes: if domain.integer { Takes::Whole } else { Takes::Real },
            domain,
            null: Null::IsDefault,
            usual: None,
        };
        self.found
            .push(words::number(&kind.dialect, &ask, place, text, problem));
        None
    }

    fn tell(&mut self, key: &str, place: Place, what: What, help: &'static str) {
        self.told.push(Told {
            name: key.to_owned(),
            place,
            what,
            help,
        });
    }

    /// What DeepSpeed does by itself where its file leaves a key out, whatever the run file says.
    fn absent(&mut self) {
        let Some(first) = self.map.entries.first() else {
            return;
        };
        let place = self.pages.place(first.key.span);
        for (key, input, why, supply) in ABSENT {
            if self.map.get(key).is_none() {
                self.tell(key, place, What::Open(*input, why, supply), AUTO);
            }
        }
    }

    /// Every machine starts an equal share of the processes, and without distribution there is one.
    fn processes(&mut self) {
        let machines = self.number(&ACCELERATE, "num_machines", Domain::COUNT);
        // Without a finding: it was asked for before.
        let told = self.told.iter().rev().find(|told| told.name == "num_processes");
        let Some((What::Number(_, _, all), place)) = told.map(|told| (&told.what, told.place)) else {
            return;
        };
        let all = *all;
        if let Some((machines, of)) = machines.filter(|(machines, _)| all % machines != 0.0) {
            let message = format!("{all} processes are no equal share for {machines} machines");
            let finding = Diagnostic::new(Code::ValueType, message).at(place, "the total over all machines");
            let finding = finding.at(of, "each starts as many as the others");
            self.found.push(finding.help("write a multiple of num_machines"));
        }
        if let Some(("NO", of)) = self.text("distributed_type").filter(|_| all > 1.0) {
            let finding = Diagnostic::new(
                Code::Contradiction,
                "num_processes asks for several processes, and distributed_type for none",
            );
            let finding = finding.at(place, "several").at(of, "one process is started");
            self.found
                .push(finding.help("write distributed_type: MULTI_GPU, or num_processes: 1"));
        }
    }

    /// The DeepSpeed file that an accelerate config names.
    fn named(&self) -> Option<Diagnostic> {
        let (text, place) = self.text("deepspeed_config.deepspeed_config_file")?;
        let message = format!("{} is named here and not read", shown(text));
        let finding = Diagnostic::new(Code::CannotRead, message).weighing(Severity::Warning);
        let finding = finding.at(place, "what it says of the run is not known");
        Some(finding.help(format!("say --with {} as well", shown(text))))
    }

    fn in_the_place_of(&mut self, key: &str, category: Category, known: &[(&str, &str)]) {
        let Some((text, place)) = self.text(key) else {
            return;
        };
        let is_optimizer = category == Category::Optimizer;
        let same = |theirs: &str| theirs == text || (is_optimizer && theirs.eq_ignore_ascii_case(text));
        let ours = known
            .iter()
            .find(|(theirs, _)| same(theirs))
            .map_or("other", |(_, ours)| ours);
        let what = What::Instead(category, Words::One(ours.to_owned()));
        self.tell(key, place, what, "leave it out of one of the two files");
    }

    fn refuse(&mut self, source: SourceId) {
        let span = self
            .map
            .entries
            .first()
            .map_or_else(Default::default, |entry| entry.key.span);
        let place = Place { source, span };
        let name = self.pages.file().name();
        let shape = ["model_type", "architectures"]
            .into_iter()
            .find(|key| self.map.get(key).is_some());
        if let Some(entry) = shape.and_then(|key| self.map.get(key)) {
            let message = format!("{name} describes a model: nothing that is judged depends on its shape yet");
            let finding = Diagnostic::new(Code::UnknownFormat, message).weighing(Severity::Warning);
            let at = self.pages.place(entry.key.span);
            self.found
                .push(finding.at(at, "a key of a model's config.json").help("leave it out"));
            return;
        }
        let is = match detect::kind(self.map) {
            detect::Kind::Run(format) => format!("a run file of {}", format.dialect.framework),
            _ => "no file that --with reads".to_owned(),
        };
        let finding = Diagnostic::new(Code::UnknownFormat, format!("{name} is {is}")).at(place, "it starts here");
        self.found.push(finding.help(
            "--with reads an accelerate config, a DeepSpeed file and a model's config.json; the run file goes without a flag, and facts by name with --facts",
        ));
    }
}
