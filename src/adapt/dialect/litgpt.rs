//! LitGPT's run files, as its commands read them.
//!
//! Read against commit 26857050. Which command runs (`finetune_lora`, `finetune_full`, `pretrain`, ...) is not in the
//! file, and is told by the keys that only one command takes; a key that the command does not take is refused.

use super::{plain, quantized};
use crate::adapt::format::Format;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default, one, point, unknown};
use crate::adapt::scalar::Loader;
use crate::adapt::table::Missing::{Absent, Is};
use crate::adapt::table::Takes::{Real, Whole};
use crate::adapt::table::{Ask, Dialect, Null, Row, Unknown, row};
use crate::adapt::tree::Map;
use crate::adapt::{Launch, keys, launch};
use crate::diag::{Code, Diagnostic};
use crate::facts::Input::{
    Accumulation, Alpha, ClipNorm, Dropout, Epochs, GlobalBatch, LoraPlusRatio, MaxSamples, MaxSteps, MinLearningRate,
    ModelParallel, Packs, PerDevice, PreferenceBeta, Rank, RankStabilised, Rows, Seed, SequenceLength, WarmupRatio,
    WarmupSteps, WorldSize,
};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain, Interval};

/// How LitGPT reads run files.
pub(in crate::adapt) static DIALECT: Dialect = Dialect {
    name: "litgpt",
    framework: "LitGPT",
    // Each command has its own; see `check_keys`.
    unknown: Unknown::Refuses,
    elsewhere: &[
        ("lr", "optimizer"),
        ("learning_rate", "optimizer"),
        ("max_grad_norm", "max_norm"),
        ("max_seq_len", "max_seq_length"),
        ("num_epochs", "epochs"),
        ("warmup_steps", "lr_warmup_steps"),
        ("batch_size", "global_batch_size"),
    ],
    launcher: "litgpt",
    loader: Loader::MoreFloats,
    default: "LitGPT's default",
    nested_text_is_read: false,
    order: "
        checkpoint_dir model_name model_config out_dir precision initial_checkpoint_dir resume quantize devices
        num_nodes lora_r lora_alpha lora_dropout lora_query lora_key lora_value lora_projection lora_mlp lora_head data
        data.class_path data.init_args train train.save_interval train.log_interval train.global_batch_size
        train.micro_batch_size train.lr_warmup_steps train.lr_warmup_fraction train.epochs train.max_tokens
        train.max_steps train.max_seq_length train.tie_embeddings train.max_norm train.min_lr eval eval.interval
        tokenizer_dir logger_name seed optimizer optimizer.class_path optimizer.init_args optimizer.init_args.lr
        optimizer.init_args.weight_decay optimizer.init_args.betas",
};

/// How files of it are read.
pub(in crate::adapt) static FORMAT: Format = Format {
    dialect: &DIALECT,
    keys: None,
    read,
};

/// Keys that every command takes.
const SHARED: &str = "
    out_dir precision devices num_nodes data train eval log optimizer logger_name seed";
const FINETUNING: &str = "checkpoint_dir access_token";
/// Keys that only `finetune_lora` takes.
const OF_LORA: &str = "
    lora_r lora_alpha lora_dropout lora_query lora_key lora_value lora_projection lora_mlp lora_head";
/// Keys that only `pretrain` takes.
const OF_PRETRAINING: &str = "model_name model_config initial_checkpoint_dir tokenizer_dir";
/// Fields of `train` and of `eval`, which every command takes.
const OF_TRAIN: &str = "
    save_interval log_interval global_batch_size micro_batch_size lr_warmup_steps lr_warmup_fraction epochs max_tokens
    max_steps max_time max_seq_length tie_embeddings max_norm min_lr";
const OF_EVAL: &str = "
    interval max_new_tokens max_iters initial_validation final_validation evaluate_example";

/// Keys of which a file has one, where nothing else says that it is LitGPT's.
const MARKS: &str =
    "checkpoint_dir initial_checkpoint_dir model_config logger_name lora_r lora_alpha lora_query lora_key";

/// Whether a file with `train` has nothing that LitGPT would not take, and something that only it has.
pub(in crate::adapt) fn has_only_its_own(map: &Map, train: &Map) -> bool {
    let is_one_of = |map: &Map, keys: &[&str]| {
        let mut names = map.entries.iter().map(|entry| entry.name());
        names.all(|name| keys.iter().any(|keys| keys.split_whitespace().any(|key| key == name)))
    };
    let all = [SHARED, FINETUNING, OF_LORA, OF_PRETRAINING, "quantize resume"];
    map.has_any(MARKS) && is_one_of(map, &all) && is_one_of(train, &[OF_TRAIN])
}

/// A command of LitGPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Lora,
    Full,
    Pretrain,
    /// One of those that fine-tune; its keys do not tell which.
    Finetune,
}

impl Command {
    fn of(run: &Run<'_>) -> Command {
        match run.told_command {
            Some("litgpt finetune_full") => return Command::Full,
            Some("litgpt pretrain") => return Command::Pretrain,
            Some(_) => return Command::Lora,
            None => {}
        }
        let root = run.root();
        if root.has_any(OF_LORA) {
            Command::Lora
        } else if root.has_any(OF_PRETRAINING) {
            Command::Pretrain
        } else if root.has_any("resume") {
            Command::Full
        } else {
            Command::Finetune
        }
    }

    fn name(self) -> &'static str {
        match self {
            Command::Lora => "finetune_lora",
            Command::Full => "finetune_full",
            Command::Pretrain => "pretrain",
            Command::Finetune => "finetune",
        }
    }

    fn keys(self) -> Vec<&'static str> {
        let own = match self {
            Command::Lora => [FINETUNING, OF_LORA, "quantize"],
            Command::Full => [FINETUNING, "resume", ""],
            Command::Pretrain => [OF_PRETRAINING, "resume", ""],
            Command::Finetune => [FINETUNING, "quantize", ""],
        };
        own.iter()
            .chain([&SHARED])
            .flat_map(|keys| keys.split_whitespace())
            .collect()
    }

    /// The default of a number of `train`: that of fine-tuning, or of pre-training.
    fn pick(self, finetuning: f64, pretraining: f64) -> f64 {
        if self == Command::Pretrain {
            pretraining
        } else {
            finetuning
        }
    }
}

/// Numbers of LoRA.
const LORA: &[Row] = &[
    row("lora_r", Rank, Whole, Is(8.0)),
    row("lora_alpha", Alpha, Whole, Is(16.0)),
    row("lora_dropout", Dropout, Real, Is(0.05)),
];
/// Which layers get an adapter, and whether they do by default.
const TARGETS: &[(&str, &str, bool)] = &[
    ("lora_query", "query", true),
    ("lora_key", "key", false),
    ("lora_value", "value", true),
    ("lora_projection", "projection", false),
    ("lora_mlp", "mlp", false),
    ("lora_head", "head", false),
];
const QUANTIZE: &[(&str, &str)] = &[
    ("bnb.nf4", "4bit"),
    ("bnb.nf4-dq", "4bit"),
    ("bnb.fp4", "4bit"),
    ("bnb.fp4-dq", "4bit"),
    ("bnb.int8-training", "8bit"),
];
const MICRO: &str = "train.micro_batch_size";
const GLOBAL: &str = "train.global_batch_size";
const STEPS: &str = "train.max_steps";

/// Reads a run file of LitGPT.
pub(in crate::adapt) fn read(run: &mut Run<'_>, launch: Launch) {
    let command = Command::of(run);
    keys::check_top(run, &command.keys());
    keys::check_nested(run, "train", OF_TRAIN);
    keys::check_nested(run, "eval", OF_EVAL);
    stage(run, command, launch);
    let quantized = method(run, command);
    optimizer(run, quantized);
    data(run, command);
    world(run, command, launch);
    batch(run, command);
    launch::rows(run, launch, None, Some(false), None);
    length(run, command);
    schedule(run, command);
    clipping(run, command);
    presence(run, command);
    refusals(run, command, quantized);
}

/// The command that launches the run, or else the rule by which its keys tell it.
fn told_or(run: &Run<'_>, rule: &str) -> Origin {
    let told = run.told_stage.map(|(_, place)| Origin::Given(place));
    told.unwrap_or_else(|| by_default(rule))
}

fn stage(run: &mut Run<'_>, command: Command, launch: Launch) {
    let (stage, origin) = match (launch.stage, command) {
        (Some(stage), _) => (stage, Origin::Flag("--stage")),
        (None, Command::Pretrain) => ("pt", told_or(run, "only `litgpt pretrain` takes these keys")),
        (None, command) => {
            let rule = format!("`litgpt {}` tunes on instructions", command.name());
            ("sft", told_or(run, &rule))
        }
    };
    run.tell(Category::Stage, "train", one(Some(stage)), origin);
}

/// The tuning method, and with it the model, the adapter and how the base is quantised; whether it is.
fn method(run: &mut Run<'_>, command: Command) -> Option<bool> {
    let model = match command {
        Command::Pretrain if run.text("initial_checkpoint_dir").given().is_some() => "initial_checkpoint_dir",
        Command::Pretrain => "model_name",
        _ => "checkpoint_dir",
    };
    run.named(Category::Model, model, "the run file names no model");
    let origin = by_default("LitGPT reads weights from a folder, which has no revision");
    run.tell(Category::ModelRevision, model, Words::One("main".into()), origin);
    let (base, base_origin) = match command {
        Command::Full | Command::Pretrain => (
            Some("none"),
            by_default(format!("`litgpt {}` does not quantise", command.name())),
        ),
        Command::Lora | Command::Finetune => {
            let is_null = run.text("quantize") == Said::Nothing;
            let said = if is_null {
                Said::Nothing
            } else {
                run.word("quantize", QUANTIZE)
            };
            said.or_default("none", DIALECT.default)
        }
    };
    run.tell(Category::Quantization, "quantize", one(base), base_origin.clone());
    let (word, origin) = match (command, base) {
        (Command::Lora, Some(base)) if quantized::tuned_as(base) == "lora" => (
            Some("lora"),
            told_or(run, "only `litgpt finetune_lora` takes these keys"),
        ),
        (Command::Lora, base) => (base.map(quantized::tuned_as), base_origin),
        (Command::Full, _) => (
            Some("full"),
            told_or(run, "only `litgpt finetune_full` takes `resume` here"),
        ),
        (Command::Pretrain, _) => (Some("full"), by_default("pre-training moves every weight")),
        (Command::Finetune, _) => {
            let why = "LitGPT's command says what is tuned, and the run file does not";
            (
                None,
                unknown(
                    why,
                    "write `lora_r` for LoRA, or `resume: false` for full fine-tuning",
                    None,
                ),
            )
        }
    };
    run.tell(Category::Method, "lora_r", one(word), origin.clone());
    run.absent(LoraPlusRatio, "lora_r", "LitGPT has no LoRA+");
    adapter(run, command, origin);
    base.map(|base| base != "none")
}

fn adapter(run: &mut Run<'_>, command: Command, open: Origin) {
    const KEYS: &[(crate::facts::Input, &str)] = &[
        (Rank, "lora_r"),
        (Alpha, "lora_alpha"),
        (Dropout, "lora_dropout"),
        (RankStabilised, "lora_r"),
    ];
    match command {
        Command::Lora => {
            run.numbers(LORA);
            run.nameless(RankStabilised, point(0.0), by_default("LitGPT scales by alpha ÷ rank"));
            targets(run);
        }
        Command::Full | Command::Pretrain => {
            plain::none_of(run, KEYS, "full fine-tuning");
            let origin = by_default("full fine-tuning has no adapter");
            run.tell(Category::LoraTargets, "lora_query", Words::Absent, origin);
        }
        Command::Finetune => {
            for (fact, key) in KEYS {
                run.fact(*fact, key, Some(fact.domain().interval), open.clone());
            }
            run.tell(Category::LoraTargets, "lora_query", Words::Unknown, open);
        }
    }
}

fn targets(run: &mut Run<'_>) {
    let mut names = Vec::new();
    let mut from = by_default(DIALECT.default);
    for (key, name, default) in TARGETS {
        match run.switch(key) {
            Said::Value(on, place) => {
                from = Origin::Given(place);
                names.extend(on.then(|| (*name).to_owned()));
            }
            Said::Nothing => names.extend(default.then(|| (*name).to_owned())),
            Said::Unclear(origin) => {
                run.tell(Category::LoraTargets, key, Words::Unknown, origin);
                return;
            }
        }
    }
    run.tell(Category::LoraTargets, "lora_query", Words::Set(names), from);
}

/// A quantised base is trained with the paged AdamW of bitsandbytes, whichever AdamW is written.
fn optimizer(run: &mut Run<'_>, quantized: Option<bool>) {
    const KEY: &str = "optimizer.class_path";
    let is_mapping = run.entry("optimizer").is_some_and(|entry| entry.value.map().is_some());
    let (key, class) = if is_mapping {
        (KEY, run.text(KEY))
    } else {
        ("optimizer", run.text("optimizer"))
    };
    let class = class.map(|name| {
        if name.contains('.') {
            name
        } else {
            format!("torch.optim.{name}")
        }
    });
    let class = match (class, quantized) {
        (Said::Value(_, place), Some(true)) => Said::Value("bitsandbytes.optim.PagedAdamW".to_owned(), place),
        (Said::Nothing, _) if !is_mapping => {
            // The name stands nowhere, so that its facts have no place either.
            let name = if quantized == Some(true) {
                "paged_adamw"
            } else {
                "adamw"
            };
            plain::optimizer(
                run,
                (key, Said::Nothing),
                "optimizer.init_args.lr",
                "optimizer.init_args.weight_decay",
            );
            let rule = "LitGPT's default, with the rate and decay of AdamW";
            run.tell(Category::Optimizer, key, one(quantized.map(|_| name)), by_default(rule));
            run.fact(
                crate::facts::Input::LearningRate,
                "optimizer.init_args.lr",
                point(1e-3),
                by_default(rule),
            );
            run.fact(
                crate::facts::Input::WeightDecay,
                "optimizer.init_args.weight_decay",
                point(0.01),
                by_default(rule),
            );
            return;
        }
        (class, _) => class,
    };
    plain::optimizer(
        run,
        (key, class),
        "optimizer.init_args.lr",
        "optimizer.init_args.weight_decay",
    );
}

fn data(run: &mut Run<'_>, command: Command) {
    const CLASS: &str = "data.class_path";
    let is_mapping = run.entry("data").is_some_and(|entry| entry.value.map().is_some());
    let key = if is_mapping { CLASS } else { "data" };
    let default = if command == Command::Pretrain {
        "litgpt.data.TinyLlama"
    } else {
        "litgpt.data.Alpaca"
    };
    let (name, origin) = run.text(key).or_default(default.into(), DIALECT.default);
    let path = run.text("data.init_args.json_path").given().cloned();
    let words = name.map_or(Words::Unknown, |name| {
        Words::Set([name].into_iter().chain(path).collect())
    });
    run.tell(Category::Dataset, key, words, origin);
    run.named(
        Category::Template,
        "data.init_args.prompt_style",
        "without a prompt_style the model's own is used",
    );
    run.absent(MaxSamples, key, "LitGPT has no max_samples: every row is used");
    let packs = command == Command::Pretrain;
    let rule = if packs {
        "pre-training reads blocks of tokens"
    } else {
        "LitGPT's fine-tuning does not pack"
    };
    run.nameless(Packs, point(f64::from(u8::from(packs))), by_default(rule));
}

/// Devices and nodes are in the file, unless it takes whatever is there.
fn world(run: &mut Run<'_>, command: Command, launch: Launch) {
    const KEY: &str = "devices";
    run.nameless(ModelParallel, None, by_default("every device takes its own batches"));
    let is_auto = run
        .entry(KEY)
        .and_then(|entry| entry.value.scalar())
        .is_some_and(|devices| matches!(&*devices.text, "auto" | "-1"));
    if is_auto || (command == Command::Pretrain && run.entry(KEY).is_none()) {
        launch::world(run, launch, "LitGPT uses every GPU it sees");
        return;
    }
    let ask = |key, usual| Ask {
        key,
        takes: Whole,
        domain: WorldSize.domain(),
        null: Null::Refused,
        usual: Some(usual),
    };
    match (run.number(&ask(KEY, 1.0)), run.number(&ask("num_nodes", 1.0))) {
        (Said::Unclear(origin), _) | (_, Said::Unclear(origin)) => {
            run.fact(WorldSize, KEY, Some(WorldSize.domain().interval), origin);
        }
        (devices, nodes) => {
            let size = devices.given().unwrap_or(&1.0) * nodes.given().unwrap_or(&1.0);
            let origin = match (devices, nodes) {
                (Said::Value(_, place), _) | (_, Said::Value(_, place)) => Origin::Given(place),
                _ => by_default(DIALECT.default),
            };
            run.fact(WorldSize, KEY, point(size), origin);
        }
    }
}

/// The samples of an update: what of `global_batch_size` divides into whole micro-batches of every device.
fn batch(run: &mut Run<'_>, command: Command) {
    run.numbers(&[
        row(MICRO, PerDevice, Whole, Is(command.pick(1.0, 4.0))),
        row(GLOBAL, GlobalBatch, Whole, Is(command.pick(16.0, 512.0))),
    ]);
    let [micro, global, world] = [PerDevice, GlobalBatch, WorldSize].map(|fact| plain::sole(run, fact));
    let (Some(micro), Some(global)) = (micro, global) else {
        run.nameless(
            Accumulation,
            None,
            by_default("it follows from the two batch sizes and the devices"),
        );
        return;
    };
    run.nameless(
        Accumulation,
        None,
        by_default("it follows from the two batch sizes and the devices"),
    );
    let Some(world) = world else {
        return;
    };
    let pieces = ((global / world).floor() / micro).floor();
    let whole = pieces * micro * world;
    if pieces < 1.0 {
        plain::refuse(
            run,
            GLOBAL,
            "is less than one micro-batch of every device",
            "raise it, or lower train.micro_batch_size",
        );
    } else if point(whole) != point(global) {
        let rule =
            format!("{world} devices take {pieces} micro-batches of {micro} each; the rest of {global} is left out");
        run.fact(GlobalBatch, GLOBAL, point(whole), by_default(rule));
    }
}

/// How long the run is: epochs, steps or, in pre-training, tokens; whichever comes first.
fn length(run: &mut Run<'_>, command: Command) {
    let long = row(
        "train.max_seq_length",
        SequenceLength,
        Whole,
        Absent("no max_seq_length is written: samples keep their length"),
    )
    .or_null();
    run.numbers(&[long]);
    let steps = row(STEPS, MaxSteps, Whole, Absent("no max_steps is written: epochs decide")).or_null();
    let said = run.asked(&steps);
    if command == Command::Pretrain {
        run.absent(Epochs, "train.epochs", "pre-training counts tokens, not passes");
        of_tokens(run, said);
        return;
    }
    run.numbers(&[row("train.epochs", Epochs, Whole, Is(5.0))]);
    match said {
        Said::Value(most, place) => {
            let passes = passes(run);
            plain::first_of(run, STEPS, most, passes, Origin::Given(place));
        }
        said => run.set(&steps, said),
    }
}

/// Updates of all epochs, where everything is known that they follow from.
fn passes(run: &Run<'_>) -> Option<f64> {
    let [epochs, rows, global] = [Epochs, Rows, GlobalBatch].map(|fact| plain::sole(run, fact));
    Some((epochs? * rows? / global?).ceil())
}

/// Pre-training ends when every device has seen its share of the tokens.
fn of_tokens(run: &mut Run<'_>, steps: Said<f64>) {
    const KEY: &str = "train.max_tokens";
    let (tokens, origin) = run
        .number(&Ask {
            key: KEY,
            takes: Whole,
            domain: Domain::COUNT,
            null: Null::Refused,
            usual: Some(3e12),
        })
        .or_default(3e12, DIALECT.default);
    let [micro, global, world, long] =
        [PerDevice, GlobalBatch, WorldSize, SequenceLength].map(|fact| plain::sole(run, fact));
    let by_tokens = match (tokens, micro, global, world, long) {
        (Some(tokens), Some(micro), Some(global), Some(world), Some(long)) => {
            let pieces = (global / world / micro).floor().max(1.0);
            Some(
                (((tokens / world).floor() / (micro * long)).floor() / pieces)
                    .floor()
                    .max(1.0),
            )
        }
        _ => None,
    };
    let domain = MaxSteps.domain().interval;
    match (steps, by_tokens) {
        (Said::Unclear(origin), _) => run.fact(MaxSteps, STEPS, Some(domain), origin),
        (Said::Value(most, place), Some(all)) if most <= all => {
            run.fact(MaxSteps, STEPS, point(most), Origin::Given(place));
        }
        (_, Some(all)) => run.fact(MaxSteps, KEY, point(all), origin),
        (most, None) => {
            let hi = most.given().copied().unwrap_or(domain.hi());
            let why = "tokens become updates by the batch, the devices and the length of a sequence";
            let origin = unknown(why, "write `train.max_seq_length`, and say --world-size N", None);
            run.fact(MaxSteps, KEY, Interval::new(domain.lo(), hi), origin);
        }
    }
}

/// A linear warmup and a cosine; only pre-training looks at `min_lr`.
fn schedule(run: &mut Run<'_>, command: Command) {
    const FLOOR: &str = "train.min_lr";
    const WARMUP: &str = "train.lr_warmup_steps";
    const SHARE: &str = "train.lr_warmup_fraction";
    let warmup = row(WARMUP, WarmupSteps, Whole, Is(command.pick(100.0, 2000.0)));
    run.nameless(WarmupRatio, point(0.0), by_default("LitGPT counts the warmup in steps"));
    if command != Command::Pretrain {
        run.numbers(&[warmup]);
        let rule = "the schedule of LitGPT's fine-tuning";
        run.tell(Category::Scheduler, WARMUP, one(Some("cosine")), by_default(rule));
        run.absent(
            MinLearningRate,
            FLOOR,
            "fine-tuning ends at a rate of 0, whatever train.min_lr says",
        );
        return;
    }
    let share = Ask {
        key: SHARE,
        takes: Real,
        domain: Domain::RATIO,
        null: Null::IsDefault,
        usual: None,
    };
    match run.number(&share) {
        Said::Value(share, place) if share > 0.0 => {
            let why = "lr_warmup_fraction is a share of a pass, and the file does not say how long a pass is";
            let origin = unknown(why, "write train.lr_warmup_steps in its place", Some(place));
            run.fact(WarmupSteps, SHARE, Some(WarmupSteps.domain().interval), origin);
        }
        Said::Unclear(origin) => run.fact(WarmupSteps, SHARE, Some(WarmupSteps.domain().interval), origin),
        _ => run.numbers(&[warmup.or_null()]),
    }
    run.numbers(&[row(FLOOR, MinLearningRate, Real, Is(4e-5))]);
    let word = match run.facts.values(MinLearningRate) {
        Some(floor) if floor.is_point() && floor.lo() <= 0.0 => Some("cosine"),
        Some(floor) if floor.is_point() => Some("cosine_with_min_lr"),
        _ => None,
    };
    let rule = by_default("the schedule of LitGPT's pre-training");
    run.tell(Category::Scheduler, FLOOR, one(word), rule);
}

fn clipping(run: &mut Run<'_>, command: Command) {
    const KEY: &str = "train.max_norm";
    if command != Command::Pretrain {
        plain::cannot_clip(run, "LitGPT's fine-tuning does not clip");
        return;
    }
    run.numbers(&[row(KEY, ClipNorm, Real, Is(1.0))]);
    let (words, origin) = match run.facts.number(ClipNorm).cloned() {
        Some(norm) if norm.is_known() => (Words::Had(true), norm.origin),
        Some(norm) => (Words::Unknown, norm.origin),
        None => (Words::Unknown, by_default("")),
    };
    run.tell(Category::Clipping, KEY, words, origin);
}

/// What a run has or has not.
fn presence(run: &mut Run<'_>, command: Command) {
    run.numbers(&[row("seed", Seed, Whole, Is(command.pick(1337.0, 42.0)))]);
    launch::seeded(run);
    let rule = "LitGPT evaluates every eval.interval updates";
    run.tell(
        Category::Evaluation,
        "eval.interval",
        Words::Had(true),
        by_default(rule),
    );
    run.absent(PreferenceBeta, "train", "only preference tuning has a preference beta");
    launch::lineage(run);
}

/// What the command refuses before it trains.
fn refusals(run: &mut Run<'_>, command: Command, quantized: Option<bool>) {
    if command != Command::Pretrain {
        for key in [
            "train.max_tokens",
            "train.max_norm",
            "train.tie_embeddings",
            "train.lr_warmup_fraction",
        ] {
            let is_null = run
                .entry(key)
                .and_then(|entry| entry.value.scalar())
                .is_none_or(|scalar| {
                    crate::adapt::scalar::resolve(&scalar.text, DIALECT.loader) == crate::adapt::scalar::Value::Null
                });
            if !is_null {
                plain::refuse(run, key, "is for pre-training alone", "delete it, or leave it empty");
            }
        }
    }
    let world = plain::sole(run, WorldSize);
    if quantized == Some(true)
        && world.is_some_and(|world| world > 1.0)
        && let Some(entry) = run.entry("quantize")
    {
        let diagnostic = Diagnostic::new(Code::ValueType, "`quantize` is for one device")
            .at(run.place(entry.value.span), "LitGPT refuses this on several")
            .help("write devices: 1, or delete `quantize`");
        run.diagnostics.push(diagnostic);
    }
}
