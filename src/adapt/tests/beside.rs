//! What lies beside a run file, and facts without one.

use crate::adapt::{Beside, Launch, read_beside};
use crate::diag::{Code, Diagnostic, Severity};
use crate::facts::{Derived, Facts, Input, Origin, Words, derive};
use crate::quantity::{Category, Quantity};
use crate::source::Sources;

const RUN: &str = "\
model_name_or_path: Qwen/Qwen3-4B
stage: sft
do_train: true
finetuning_type: lora
dataset: identity
template: qwen3
lora_rank: 8
learning_rate: 1.0e-4
per_device_train_batch_size: 2
gradient_accumulation_steps: 4
";

struct Read {
    facts: Facts,
    found: Vec<Diagnostic>,
    sources: Sources,
}

fn read(run: Option<&str>, with: &[&str], facts: Option<&str>, launch: Launch) -> Read {
    let mut sources = Sources::default();
    let run = run.map(|text| sources.add("run.yaml", text));
    let beside = Beside {
        overrides: None,
        with: with.iter().map(|text| sources.add("with", *text)).collect(),
        facts: facts.map(|text| sources.add("facts.yaml", text)),
    };
    let read = read_beside(run, &sources, launch, &beside);
    Read {
        facts: read.facts.unwrap(),
        found: read.diagnostics,
        sources,
    }
}

fn with(text: &str) -> Read {
    read(Some(RUN), &[text], None, Launch::default())
}

fn alone(facts: &str) -> Read {
    read(None, &[], Some(facts), Launch::default())
}

impl Read {
    /// Codes, the texts under their labels, and how much they weigh.
    fn told(&self) -> Vec<(Code, Vec<&str>, Severity)> {
        let under = |d: &Diagnostic| {
            let texts = d.labels.iter().map(|label| {
                let file = self.sources.get(label.place.source);
                file.slice(label.place.span)
            });
            (d.code, texts.collect(), d.severity)
        };
        self.found.iter().map(under).collect()
    }

    fn value(&self, quantity: Quantity) -> Option<f64> {
        match derive(quantity, &self.facts) {
            Derived::Values { values, .. } if values.is_point() => Some(values.lo()),
            _ => None,
        }
    }

    /// The file and the text from which an input comes.
    fn from(&self, input: Input) -> Option<(&str, &str)> {
        match &self.facts.number(input)?.origin {
            Origin::Given(place) => {
                let file = self.sources.get(place.source);
                Some((file.name(), file.slice(place.span)))
            }
            _ => None,
        }
    }
}

const ACCELERATE: &str = "\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 2
num_processes: 16
";

#[test]
fn accelerate_says_how_many_processes_there_are_in_all() {
    let read = with(ACCELERATE);
    assert_eq!(read.told(), []);
    assert_eq!(read.from(Input::WorldSize), Some(("with", "16")));
    assert_eq!(read.value(Quantity::BatchEffective), Some(128.0));
    let launch = Launch {
        world_size: Some(8),
        ..Launch::default()
    };
    let read = self::read(Some(RUN), &[ACCELERATE], None, launch);
    assert_eq!(read.told(), [(Code::Contradiction, vec!["16"], Severity::Warning)]);
    assert_eq!(read.value(Quantity::WorldSize), Some(8.0));
    let read = with(&ACCELERATE.replace("num_machines: 2", "num_machines: 3"));
    assert_eq!(read.told(), [(Code::ValueType, vec!["16", "3"], Severity::Error)]);
    let read = with(&ACCELERATE.replace("MULTI_GPU", "NO"));
    assert_eq!(read.told(), [(Code::Contradiction, vec!["16", "NO"], Severity::Error)]);
    let read = with(&format!(
        "{ACCELERATE}deepspeed_config:\n  gradient_accumulation_steps: 8\n"
    ));
    assert_eq!(read.told(), [(Code::Contradiction, vec!["8", "4"], Severity::Error)]);
    let read = with(&format!(
        "{ACCELERATE}deepspeed_config:\n  gradient_accumulation_steps: 4\n  deepspeed_config_file: z.json\n"
    ));
    assert_eq!(read.told(), [(Code::CannotRead, vec!["z.json"], Severity::Warning)]);
}

#[test]
fn no_processes_and_no_machines_are_findings() {
    for (from, to, under) in [
        ("num_machines: 2", "num_machines: 0", "0"),
        ("num_machines: 2", "num_machines: two", "two"),
        ("num_processes: 16", "num_processes: 0", "0"),
        ("num_processes: 16", "num_processes: -1", "-1"),
    ] {
        let read = with(&ACCELERATE.replace(from, to));
        assert_eq!(read.told(), [(Code::ValueType, vec![under], Severity::Error)], "{to}");
    }
    let both = with(&ACCELERATE.replace("16", "0").replace(": 2", ": 0"));
    assert_eq!(both.told().len(), 2);
}

#[test]
fn deepspeed_agrees_with_the_run_file_or_is_refused() {
    let auto = r#"{"train_micro_batch_size_per_gpu": "auto", "train_batch_size": "auto", "gradient_clipping": "auto",
        "gradient_accumulation_steps": "auto", "optimizer": {"type": "AdamW", "params": {"lr": "auto"}},
        "zero_optimization": {"stage": 2}}"#;
    let read = with(auto);
    assert_eq!(read.told(), []);
    assert_eq!(read.value(Quantity::LearningRate), Some(1e-4));
    let read =
        with("{\"zero_optimization\": {}, \"optimizer\": {\"params\": {\"lr\": 2e-4}}, \"gradient_clipping\": 0.5}");
    let shown = [
        // The run file does not write max_grad_norm: the default is where it would go.
        (Code::Contradiction, vec!["0.5", ""], Severity::Error),
        (Code::Contradiction, vec!["2e-4", "1.0e-4"], Severity::Error),
    ];
    let mut told = read.told();
    told.sort_by_key(|(_, texts, _)| texts[0]);
    assert_eq!(told, shown);
    let read = with("{\"zero_optimization\": {}, \"train_batch_size\": 32, \"gradient_accumulation_steps\": \"4\"}");
    assert_eq!(read.told(), [(Code::ValueType, vec!["\"4\""], Severity::Error)]);
    assert_eq!(read.value(Quantity::BatchEffective), Some(32.0));
    let read = with("{\"train_batch_size\": 4, \"gradient_accumulation_steps\": 4}");
    assert_eq!(
        read.told(),
        [(Code::Contradiction, vec!["4", "2", "4"], Severity::Error)]
    );
}

#[test]
fn what_a_deepspeed_file_leaves_out_is_not_what_the_run_file_says() {
    let read = with("{\"zero_optimization\": {}}");
    assert_eq!(read.told(), []);
    for input in [Input::Accumulation, Input::ClipNorm] {
        assert!(matches!(
            &read.facts.number(input).unwrap().origin,
            Origin::Unknown { .. }
        ));
    }
    assert_eq!(read.facts.word(Category::Clipping).unwrap().words, Words::Unknown);
    assert_eq!(read.value(Quantity::BatchEffective), None);
}

#[test]
fn the_schedule_of_deepspeed_takes_the_place_of_the_run_files() {
    let file = "{\"zero_optimization\": {}, \"scheduler\": {\"type\": \"WarmupLR\"}}";
    let run = format!("{RUN}lr_scheduler_type: cosine\n");
    let read = self::read(Some(&run), &[file], None, Launch::default());
    let label = vec!["cosine", "\"WarmupLR\""];
    assert_eq!(read.told(), [(Code::Contradiction, label, Severity::Warning)]);
    let word = &read.facts.word(Category::Scheduler).unwrap().words;
    assert_eq!(word, &Words::One("constant_with_warmup".into()));
    assert!(matches!(
        derive(Quantity::LearningRateArea, &read.facts),
        Derived::Unknown { .. }
    ));
}

#[test]
fn other_files_are_refused_by_name() {
    for (text, says, severity) in [
        (
            "model_type: qwen3\nhidden_size: 64\n",
            "describes a model",
            Severity::Warning,
        ),
        (RUN, "a run file of LLaMA-Factory", Severity::Error),
        ("colour: blue\n", "no file that --with reads", Severity::Error),
    ] {
        let read = with(text);
        assert_eq!(read.found.len(), 1, "{text}: {:?}", read.found);
        assert_eq!(read.found[0].code, Code::UnknownFormat);
        assert_eq!(read.found[0].severity, severity);
        assert!(read.found[0].message.contains(says), "{}", read.found[0].message);
    }
}

#[test]
fn facts_alone_are_all_that_is_known() {
    let read = alone("learning_rate: 1e-4\nlora: {rank: 8, alpha: 16}\nstage: sft\nwarmup_fraction: 3%\nseed: 7\n");
    assert_eq!(read.told(), []);
    assert_eq!(read.facts.framework, "facts");
    assert_eq!(read.value(Quantity::UpdateScale), Some(2e-4));
    assert_eq!(read.value(Quantity::WarmupFraction), Some(0.03));
    for open in [
        Quantity::ClipNorm,
        Quantity::Epochs,
        Quantity::BatchEffective,
        Quantity::Updates,
    ] {
        assert!(
            matches!(derive(open, &read.facts), Derived::Values { values, .. } if !values.is_point()),
            "{open:?}"
        );
    }
    assert!(matches!(
        derive(Quantity::PreferenceBeta, &read.facts),
        Derived::Absent { .. }
    ));
    assert_eq!(read.facts.word(Category::Seed).unwrap().words, Words::Had(true));
    assert_eq!(read.facts.word(Category::Scheduler).unwrap().words, Words::Unknown);
    let read = alone("per_device_batch_size: 2\ngradient accumulation: 4\nworld_size: 8\nclip_norm: 0\n");
    assert_eq!(read.told(), []);
    assert_eq!(read.value(Quantity::BatchEffective), Some(64.0));
    assert_eq!(read.value(Quantity::ClipNorm), Some(f64::INFINITY));
    let read = alone("method: full\nlearning_rate: 1.0e-5\n");
    assert_eq!(read.value(Quantity::UpdateScale), Some(1e-5));
}

#[test]
fn a_quantity_can_be_told_and_must_agree_with_its_rule() {
    let read = alone("update_scale: 2e-4\nbatch.effective: 64\nupdates: 100\nlearning_rate.area: 0.5\n");
    assert_eq!(read.told(), []);
    assert_eq!(read.value(Quantity::UpdateScale), Some(2e-4));
    assert_eq!(read.value(Quantity::BatchEffective), Some(64.0));
    assert_eq!(read.value(Quantity::Updates), Some(100.0));
    assert_eq!(read.value(Quantity::LearningRateArea), Some(0.5));
    let read = alone("learning_rate: 1e-4\nlora.scale: 2\n");
    assert_eq!(read.value(Quantity::UpdateScale), Some(2e-4));
    let both = "learning_rate: 1e-4\nlora.rank: 8\nlora.alpha: 16\nupdate_scale:";
    assert_eq!(alone(&format!("{both} 2e-4\n")).told(), []);
    let labels = vec!["3e-4", "1e-4", "16", "8"];
    assert_eq!(
        alone(&format!("{both} 3e-4\n")).told(),
        [(Code::Contradiction, labels, Severity::Error)]
    );
    let labels = vec!["65", "2", "4", "8"];
    let text = "per_device_batch_size: 2\ngradient_accumulation: 4\nworld_size: 8\nbatch.effective: 65\n";
    assert_eq!(alone(text).told(), [(Code::Contradiction, labels, Severity::Error)]);
}

#[test]
fn names_words_and_types_that_are_wrong_are_said_at_their_place() {
    let error = |code, text| (code, vec![text], Severity::Error);
    for (line, expected, near) in [
        ("lora.rnak: 8", error(Code::UnknownName, "lora.rnak"), Some("lora.rank")),
        ("lr: 1e-4", error(Code::UnknownName, "lr"), Some("learning_rate")),
        ("drift.total: 0.1", error(Code::UnknownName, "drift.total"), None),
        ("guard: true", error(Code::UnknownName, "guard"), None),
        ("lora.rank: 8.5", error(Code::ValueType, "8.5"), None),
        ("lora.rank: \"8\"", error(Code::ValueType, "\"8\""), Some("8")),
        ("learning_rate: 3%", error(Code::ValueType, "3%"), None),
        ("warmup_fraction: 3", error(Code::ValueType, "3"), None),
        ("learning_rate: null", error(Code::ValueType, "null"), None),
        ("stage: sfft", error(Code::UnknownWord, "sfft"), Some("sft")),
        ("packing: 2", error(Code::ValueType, "2"), None),
        ("learning_rate: ${LR}", error(Code::ValueUnresolved, "${LR}"), None),
    ] {
        let read = alone(&format!("{line}\n"));
        assert_eq!(read.told(), [expected], "{line}");
        assert_eq!(read.found[0].instead.as_deref(), near, "{line}");
    }
}

#[test]
fn facts_beside_a_run_file_supply_and_contradict() {
    let beside = |facts: &str| read(Some(RUN), &[], Some(facts), Launch::default());
    let read = beside("world_size: 4\ndataset.rows: 1000\nlearning_rate: 1e-4\nepochs: 3\n");
    assert_eq!(read.told(), []);
    assert_eq!(read.from(Input::WorldSize), Some(("facts.yaml", "4")));
    assert_eq!(read.from(Input::Rows), Some(("facts.yaml", "1000")));
    assert_eq!(read.from(Input::LearningRate), Some(("run.yaml", "1.0e-4")));
    assert_eq!(read.value(Quantity::BatchEffective), Some(32.0));
    let error = |texts: &[&'static str]| (Code::Contradiction, texts.to_vec(), Severity::Error);
    assert_eq!(beside("learning_rate: 2e-4\n").told(), [error(&["2e-4", "1.0e-4"])]);
    assert_eq!(beside("dataset: [identity]\n").told(), []);
    assert_eq!(
        beside("dataset: [identity, other]\n").told(),
        [error(&["[identity, other]", "identity"])]
    );
    // A default is what the trainer takes.
    assert_eq!(beside("epochs: 2\n").told(), [error(&["2", ""])]);
    assert_eq!(beside("stage: dpo\n").told(), [error(&["dpo", "sft"])]);
    assert_eq!(beside("method: full\n").told(), [error(&["full", "lora"])]);
    // A batch that no number of processes makes smaller.
    assert_eq!(beside("batch.effective: 4\n").told(), [error(&["4", "2", "4"])]);
    assert_eq!(
        beside("batch.effective: 64\n").value(Quantity::BatchEffective),
        Some(64.0)
    );
    let steps = format!("{RUN}max_steps: 10\n");
    let read = self::read(Some(&steps), &[], Some("epochs: 2\n"), Launch::default());
    assert!(
        read.found[0].message.contains("follows from others"),
        "{:?}",
        read.found
    );
}
