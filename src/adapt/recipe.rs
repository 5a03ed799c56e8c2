//! Run files of LLaMA-Factory become recipes for this project's own trainer.
//!
//! What the judgement knows is taken from the same facts that were judged. A key that changes the run and is not
//! honoured is refused: never passed over.

use super::dialect::llama_factory;
use super::honoured::{Class, OFF, class};
use super::pages::Pages;
use super::reader::Run;
use super::said::Said;
use super::scalar::{Loader, Value, resolve};
use super::table::Takes::Real;
use super::table::{Ask, Null};
use super::tree::{Data, Entry, Node};
use super::{Launch, words, yaml};
use crate::diag::{Code, Diagnostic, has_errors, one_of, sort};
use crate::facts::{Facts, Input, Origin, Recipe, Scheduler, Template, Told, Words};
use crate::quantity::{Category, Domain, Finite};
use crate::source::{Place, SourceId, Sources, Span};

/// How a run file is to be trained.
#[derive(Debug)]
pub struct Trained {
    /// The recipe; `None` when an error among the diagnostics stands against it.
    pub recipe: Option<Recipe>,
    /// What is wrong, in the order of the lines, that of [`read`](super::read) included.
    pub diagnostics: Vec<Diagnostic>,
    /// Keys that are written and change nothing here: the key, where it stands, and why.
    pub without_effect: Vec<(String, Place, &'static str)>,
}

/// Reads how a run file is to be trained. It never fails: what this trainer does not honour is in the diagnostics.
pub fn recipe(source: SourceId, sources: &Sources) -> Trained {
    let read = super::read(source, sources, Launch::default());
    let mut trained = Trained {
        recipe: None,
        diagnostics: read.diagnostics,
        without_effect: Vec::new(),
    };
    let Some(facts) = read.facts else {
        return trained;
    };
    let file = sources.get(source);
    let parsed = yaml::parse(source, file);
    let Some(root) = parsed.root.as_ref().and_then(Node::map) else {
        return trained;
    };
    if facts.framework != llama_factory::DIALECT.framework {
        let place = Place {
            source,
            span: root.entries.first().map_or(Span::default(), |entry| entry.key.span),
        };
        let told = Diagnostic::new(
            Code::NotTrained,
            format!("run files of {} are judged, but not trained", facts.framework),
        )
        .at(place, format!("a file of {}", facts.framework))
        .help("write it as a run file of LLaMA-Factory, with model_name_or_path and dataset");
        trained.diagnostics.push(told);
        return trained;
    }
    let mut reader = Reader {
        run: Run::new(&llama_factory::DIALECT, Pages::new(sources, source, None), root),
        facts: &facts,
    };
    for entry in &root.entries {
        match class(entry.name()) {
            Class::Honoured => {}
            Class::WithoutEffect(why) => {
                let place = reader.run.place(entry.key.span);
                trained.without_effect.push((entry.name().to_owned(), place, why));
            }
            Class::Refused(why) => reader.refused(entry, why),
        }
    }
    let recipe = reader.recipe();
    for told in reader.run.diagnostics {
        let is_told = |known: &Diagnostic| known.code == told.code && known.place() == told.place();
        if !trained.diagnostics.iter().any(is_told) {
            trained.diagnostics.push(told);
        }
    }
    sort(&mut trained.diagnostics);
    trained.recipe = recipe.filter(|_| !has_errors(&trained.diagnostics));
    trained
}

struct Reader<'a> {
    run: Run<'a>,
    facts: &'a Facts,
}

const ANY_SHARE: Domain = Domain::reals(0.0, 1.0);
const EPSILON: Domain = Domain::reals(0.0, f64::MAX);

impl Reader<'_> {
    fn refuse(&mut self, place: Place, message: String, label: &str, help: &str) {
        let told = Diagnostic::new(Code::NotTrained, message).at(place, label).help(help);
        self.run.diagnostics.push(told);
    }

    /// A key that is refused unless its value switches it off.
    fn refused(&mut self, entry: &Entry, why: &str) {
        if is_off(entry) {
            return;
        }
        let name = words::shown(entry.name());
        let place = self.run.place(entry.key.span);
        let message = format!("this trainer does not honour `{name}`");
        self.refuse(place, message, why, "delete it, or train with llamafactory-cli");
    }

    /// Where a key's value stands, else where the key would go.
    fn place(&self, key: &str) -> Place {
        match self.run.entry(key) {
            Some(entry) => self.run.place(entry.value.span),
            None => self.run.key(key).goes.unwrap_or(self.run.place(Span::default())),
        }
    }

    fn missing(&mut self, key: &str, help: &str) {
        let place = self.place(key);
        self.refuse(place, format!("`{key}` is not known"), "training needs it", help);
    }

    /// An input that is known; without one the run has no such thing, or it is reported.
    fn number(&mut self, input: Input) -> Option<Told<Finite>> {
        let fact = self.facts.number(input)?;
        let values = fact.values?;
        if !values.is_point() {
            let key = fact.key.name.clone().unwrap_or_else(|| input.name().to_owned());
            let help = match &fact.origin {
                Origin::Unknown { supply, .. } => supply.clone(),
                _ => format!("write one value of `{key}`"),
            };
            self.missing(&key, &help);
            return None;
        }
        let place = match fact.origin {
            Origin::Given(place) => Some(place),
            _ => None,
        };
        Finite::new(values.lo()).map(|value| Told { value, place })
    }

    fn whole(&mut self, input: Input) -> Option<Told<u64>> {
        let told = self.number(input)?;
        // Counts lie in 0 to 2^53 by their domain, where every f64 of theirs is whole.
        let value = told.value.get();
        let is_count = value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value);
        if !is_count {
            let key = self.facts.called(input).to_owned();
            self.missing(&key, "write a whole number of at least 0");
        }
        is_count.then_some(Told {
            value: value as u64,
            place: told.place,
        })
    }

    fn constant(&mut self, key: &'static str, default: f64, domain: Domain) -> Option<Told<Finite>> {
        let ask = Ask {
            key,
            takes: Real,
            domain,
            null: Null::Refused,
            usual: Some(default),
        };
        match self.run.number(&ask) {
            Said::Nothing => Finite::new(default).map(Told::by_default),
            Said::Value(value, place) => Finite::new(value).map(|value| Told {
                value,
                place: Some(place),
            }),
            Said::Unclear(_) => None,
        }
    }

    fn text(&mut self, key: &str) -> Option<Told<String>> {
        match self.run.text(key) {
            Said::Value(value, place) => Some(Told {
                value,
                place: Some(place),
            }),
            _ => None,
        }
    }

    /// Refuses a word that a fact has and the trainer does not know.
    fn only(&mut self, category: Category, key: &str, known: &[&str]) -> Option<Told<String>> {
        let fact = self.facts.word(category)?;
        let place = match fact.origin {
            Origin::Given(place) => Some(place),
            _ => None,
        };
        match &fact.words {
            Words::One(word) if known.contains(&word.as_str()) => Some(Told {
                value: word.clone(),
                place,
            }),
            Words::One(word) => {
                let message = format!("this trainer has no {} `{}`", category.name(), words::shown(word));
                let place = place.unwrap_or_else(|| self.place(key));
                self.refuse(place, message, "not built", &format!("write {key}: {}", one_of(known)));
                None
            }
            _ => {
                self.missing(key, &format!("write {key}: {}", one_of(known)));
                None
            }
        }
    }

    /// Keys that are honoured only in one way.
    fn fixed(&mut self) {
        self.only(Category::Stage, "stage", &["sft"]);
        self.only(Category::Method, "finetuning_type", &["lora"]);
        if let Said::Value(false, place) = self.run.switch("do_train") {
            let message = "`do_train: false` trains nothing".to_owned();
            self.refuse(place, message, "switched off", "write do_train: true");
        }
        if let Said::Value(true, place) = self.run.switch("train_on_prompt") {
            let message = "the loss is on answers only".to_owned();
            self.refuse(place, message, "not built", "delete it");
        }
        if let Some(Told {
            value,
            place: Some(place),
        }) = self.constant("lora_dropout", 0.0, ANY_SHARE)
            && value != Finite::ZERO
        {
            let message = "dropout is not built yet".to_owned();
            self.refuse(
                place,
                message,
                "this would drop inputs of the adapter",
                "write lora_dropout: 0",
            );
        }
        if let Some(told) = self.text("optim")
            && !matches!(told.value.as_str(), "adamw_torch" | "adamw_torch_fused")
        {
            let message = format!("this trainer has no optimizer `{}`", words::shown(&told.value));
            let place = self.place("optim");
            self.refuse(place, message, "not built", "write optim: adamw_torch");
        }
    }

    fn template(&mut self) -> Option<Told<Template>> {
        let told = match self.run.text("template") {
            Said::Value(value, place) => Told {
                value,
                place: Some(place),
            },
            Said::Nothing => {
                self.missing("template", "say which: template: default, or template: alpaca");
                return None;
            }
            Said::Unclear(_) => return None,
        };
        let value = match told.value.as_str() {
            "default" => Template::Default,
            "alpaca" => Template::Alpaca,
            other => {
                let message = format!("this trainer has no template `{}`", words::shown(other));
                let place = self.place("template");
                self.refuse(
                    place,
                    message,
                    "not built",
                    "write template: default, or template: alpaca",
                );
                return None;
            }
        };
        Some(Told {
            value,
            place: told.place,
        })
    }

    fn names(&mut self, category: Category, key: &str) -> Option<Told<Vec<String>>> {
        let fact = self.facts.word(category)?;
        let place = match fact.origin {
            Origin::Given(place) => Some(place),
            _ => None,
        };
        match &fact.words {
            Words::Set(names) if !names.is_empty() => Some(Told {
                value: names.clone(),
                place,
            }),
            _ => {
                self.missing(key, &format!("write `{key}`"));
                None
            }
        }
    }

    fn recipe(&mut self) -> Option<Recipe> {
        self.fixed();
        let model = self.text("model_name_or_path");
        if model.is_none() {
            self.missing("model_name_or_path", "write the folder of the model");
        }
        let scheduler = self.only(
            Category::Scheduler,
            "lr_scheduler_type",
            &["linear", "cosine", "constant", "constant_with_warmup"],
        );
        let rank_stabilised = self.whole(Input::RankStabilised);
        // Each is read before the first that is missing ends it, so that one pass reports all.
        let dataset = self.names(Category::Dataset, "dataset");
        let dataset_dir = match self.run.text("dataset_dir") {
            Said::Nothing => Some(Told::by_default("data".to_owned())),
            Said::Value(value, place) => Some(Told {
                value,
                place: Some(place),
            }),
            Said::Unclear(_) => None,
        };
        let template = self.template();
        let (cutoff_len, max_samples) = (self.whole(Input::SequenceLength), self.whole(Input::MaxSamples));
        let (per_device, accumulation) = (self.whole(Input::PerDevice), self.whole(Input::Accumulation));
        let (learning_rate, epochs) = (self.number(Input::LearningRate), self.number(Input::Epochs));
        let max_steps = self.whole(Input::MaxSteps);
        let (warmup_ratio, warmup_steps) = (self.number(Input::WarmupRatio), self.whole(Input::WarmupSteps));
        let (max_grad_norm, weight_decay) = (self.number(Input::ClipNorm), self.number(Input::WeightDecay));
        let (adam_beta1, adam_beta2) = (self.number(Input::Beta1), self.number(Input::Beta2));
        let adam_epsilon = self.constant("adam_epsilon", 1e-8, EPSILON);
        let (seed, rank, alpha) = (
            self.whole(Input::Seed),
            self.whole(Input::Rank),
            self.number(Input::Alpha),
        );
        let targets = self.names(Category::LoraTargets, "lora_target");
        let output_dir = self.text("output_dir");
        let (scheduler, rank_stabilised) = (scheduler?, rank_stabilised?);
        Some(Recipe {
            model: model?,
            dataset: dataset?,
            dataset_dir: dataset_dir?,
            template: template?,
            cutoff_len: cutoff_len?,
            max_samples,
            per_device: per_device?,
            accumulation: accumulation?,
            learning_rate: learning_rate?,
            epochs: epochs?,
            max_steps,
            scheduler: Told {
                value: Scheduler::named(&scheduler.value)?,
                place: scheduler.place,
            },
            warmup_ratio: warmup_ratio?,
            warmup_steps: warmup_steps?,
            max_grad_norm: max_grad_norm?,
            weight_decay: weight_decay?,
            adam_beta1: adam_beta1?,
            adam_beta2: adam_beta2?,
            adam_epsilon: adam_epsilon?,
            seed: seed?,
            rank: rank?,
            alpha: alpha?,
            targets: targets?,
            rank_stabilised: Told {
                value: rank_stabilised.value == 1,
                place: rank_stabilised.place,
            },
            output_dir,
        })
    }
}

/// Whether a value leaves a refused key without effect.
fn is_off(entry: &Entry) -> bool {
    if entry.is_repeated {
        return false;
    }
    let scalar = match &entry.value.data {
        Data::Scalar(scalar) => scalar,
        Data::List(items) => return items.is_empty(),
        Data::Map(map) => return map.entries.is_empty(),
    };
    let read = |text: &str| resolve(text, Loader::OmegaConf);
    let value = if scalar.is_plain {
        read(&scalar.text)
    } else {
        Value::Text
    };
    let number = |value: Value| match value {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        _ => None,
    };
    match value {
        Value::Null => true,
        // `false` of a switch that is on by default is told below to be one.
        Value::Bool(on) => on == OFF.contains(&(entry.name(), "true")),
        Value::Text if scalar.text.is_empty() => true,
        _ => OFF.iter().filter(|(key, _)| *key == entry.name()).any(|(_, off)| {
            let off_value = read(off);
            match number(value) {
                Some(value) => number(off_value).is_some_and(|off| off.total_cmp(&value).is_eq()),
                None => value == Value::Text && off_value == Value::Text && *scalar.text == **off,
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Trained, recipe};
    use crate::facts::{Scheduler, Template};
    use crate::source::Sources;

    const RUN: &str = "model_name_or_path: models/tiny\nstage: sft\ndo_train: true\nfinetuning_type: lora\n\
                       dataset: a, b\ntemplate: default\n";

    fn read(text: &str) -> (Trained, Sources) {
        let mut sources = Sources::default();
        let id = sources.add("run.yaml", text);
        (recipe(id, &sources), sources)
    }

    /// What is told of a run with more lines: the text under each place.
    fn told(more: &str) -> Vec<String> {
        let (trained, sources) = read(&format!("{RUN}{more}"));
        assert_eq!(trained.recipe.is_none(), !trained.diagnostics.is_empty());
        let under = |d: &crate::diag::Diagnostic| {
            let place = d.place().unwrap();
            format!("{}: {}", d.code.name(), sources.get(place.source).slice(place.span))
        };
        trained.diagnostics.iter().map(under).collect()
    }

    #[test]
    fn a_recipe_has_the_frameworks_defaults() {
        let (trained, _) = read(RUN);
        let recipe = trained.recipe.unwrap_or_else(|| panic!("{:?}", trained.diagnostics));
        assert_eq!(recipe.dataset.value, ["a", "b"]);
        assert_eq!(recipe.dataset_dir.value, "data");
        assert_eq!(recipe.template.value, Template::Default);
        assert_eq!((recipe.cutoff_len.value, recipe.max_samples), (2048, None));
        assert_eq!((recipe.per_device.value, recipe.accumulation.value), (8, 1));
        assert_eq!(
            (recipe.learning_rate.value.get(), recipe.epochs.value.get()),
            (5e-5, 3.0)
        );
        assert_eq!((recipe.max_steps, recipe.scheduler.value), (None, Scheduler::Linear));
        assert_eq!((recipe.warmup_ratio.value.get(), recipe.warmup_steps.value), (0.0, 0));
        assert_eq!(
            (recipe.max_grad_norm.value.get(), recipe.weight_decay.value.get()),
            (1.0, 0.0)
        );
        assert_eq!(
            (recipe.adam_beta1.value.get(), recipe.adam_beta2.value.get()),
            (0.9, 0.999)
        );
        assert_eq!((recipe.adam_epsilon.value.get(), recipe.seed.value), (1e-8, 42));
        assert_eq!((recipe.rank.value, recipe.alpha.value.get()), (8, 16.0));
        assert_eq!(
            (recipe.targets.value, recipe.rank_stabilised.value),
            (vec!["all".to_owned()], false)
        );
        assert_eq!((recipe.output_dir, recipe.learning_rate.place), (None, None));
    }

    #[test]
    fn a_recipe_has_what_is_written() {
        let (trained, sources) = read(
            "model_name_or_path: m\ndo_train: true\ndataset: [x]\ndataset_dir: d\ntemplate: alpaca\ncutoff_len: 64\n\
             max_samples: 9\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 3\nlearning_rate: 1.0e-4\n\
             num_train_epochs: 1.5\nmax_steps: 7\nlr_scheduler_type: cosine\nwarmup_ratio: 0.1\nmax_grad_norm: 0\n\
             weight_decay: 0.1\nadam_beta1: 0.8\nadam_beta2: 0.95\nadam_epsilon: 1.0e-6\noptim: adamw_torch_fused\n\
             seed: 3\nlora_rank: 4\nlora_alpha: 6\nlora_target: q_proj,v_proj\nuse_rslora: true\nlora_dropout: 0.0\n\
             output_dir: out\ntrain_on_prompt: false\npacking: false\ndeepspeed: null\nval_size: 0.0\nbf16: true\n",
        );
        let recipe = trained.recipe.unwrap_or_else(|| panic!("{:?}", trained.diagnostics));
        assert_eq!(
            (recipe.dataset_dir.value.as_str(), recipe.template.value),
            ("d", Template::Alpaca)
        );
        assert_eq!((recipe.cutoff_len.value, recipe.max_samples.unwrap().value), (64, 9));
        assert_eq!((recipe.per_device.value, recipe.accumulation.value), (2, 3));
        assert_eq!((recipe.epochs.value.get(), recipe.max_steps.unwrap().value), (1.5, 7));
        assert_eq!(
            (recipe.scheduler.value, recipe.warmup_ratio.value.get()),
            (Scheduler::Cosine, 0.1)
        );
        assert_eq!(
            (recipe.max_grad_norm.value.get(), recipe.adam_beta2.value.get()),
            (0.0, 0.95)
        );
        assert_eq!(
            (recipe.seed.value, recipe.rank.value, recipe.alpha.value.get()),
            (3, 4, 6.0)
        );
        assert_eq!((recipe.targets.value.len(), recipe.rank_stabilised.value), (2, true));
        assert_eq!(recipe.output_dir.unwrap().value, "out");
        let place = recipe.learning_rate.place.unwrap();
        assert_eq!(sources.get(place.source).slice(place.span), "1.0e-4");
        let keys: Vec<_> = trained.without_effect.iter().map(|(key, ..)| key.as_str()).collect();
        assert_eq!(keys, ["bf16"]);
    }

    #[test]
    fn what_changes_the_run_and_is_not_honoured_is_refused() {
        for (line, under) in [
            ("packing: true", "packing"),
            ("neat_packing: true", "neat_packing"),
            ("deepspeed: z.json", "deepspeed"),
            ("val_size: 0.1", "val_size"),
            ("mix_strategy: interleave_under", "mix_strategy"),
            ("neftune_noise_alpha: 5", "neftune_noise_alpha"),
            ("adapter_name_or_path: a", "adapter_name_or_path"),
            ("freeze_vision_tower: false", "freeze_vision_tower"),
            ("lora_dropout: 0.1", "0.1"),
            ("train_on_prompt: true", "true"),
            ("optim: adamw_torch_xla", "adamw_torch_xla"),
            ("lr_scheduler_type: polynomial", "polynomial"),
            ("stage: pt", "pt"),
            ("finetuning_type: full", "full"),
            ("template: qwen3", "qwen3"),
        ] {
            let key = line.split(':').next().unwrap();
            let kept: String = RUN
                .lines()
                .filter(|l| !l.starts_with(key))
                .map(|l| format!("{l}\n"))
                .collect();
            let (trained, sources) = read(&format!("{kept}{line}\n"));
            assert!(trained.recipe.is_none(), "{line}");
            let found = trained.diagnostics.iter().any(|d| {
                let place = d.place().unwrap();
                d.code.name() == "not-trained" && sources.get(place.source).slice(place.span) == under
            });
            assert!(found, "{line}: {:?}", trained.diagnostics);
        }
        assert_eq!(told("adam_epsilon: true\n"), ["value-type: true"]);
        assert_eq!(
            told("mix_strategy: concat\nfreeze_vision_tower: true\nlogging_steps: 5\n"),
            [""; 0]
        );
        let (trained, _) = read(&RUN.replace("template: default\n", ""));
        assert!(trained.recipe.is_none());
        assert!(trained.diagnostics[0].help.as_deref().unwrap().starts_with("say which"));
    }

    #[test]
    fn a_file_of_v1_is_refused_in_a_sentence() {
        let (trained, _) = read("model: m\ntrain_dataset: d\npeft_config:\n  name: lora\n  r: 8\n");
        assert!(trained.recipe.is_none());
        assert!(
            trained.diagnostics.iter().any(|d| d.message.contains("v1")),
            "{:?}",
            trained.diagnostics
        );
    }
}
