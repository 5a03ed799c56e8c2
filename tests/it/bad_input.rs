//! What bad input gets: files and commands that are made to run away, to hide something, or to steer the terminal.
//!
//! Work is bounded by size, and no test looks at a clock: what runs away takes all memory or never ends.

use ftrisk::adapt::{self, Beside, Launch};
use ftrisk::diag::Diagnostic;
use ftrisk::diag::render::{Style, render};
use ftrisk::facts::{Facts, Words};
use ftrisk::quantity::CATEGORIES;
use ftrisk::source::Sources;
use ftrisk::{builtin, check, sema};
use proptest::prelude::*;

use super::harness::Case;
use super::properties::cases;

const LLAMA_FACTORY: &str = "model_name_or_path: m\nstage: sft\ndo_train: true\nfinetuning_type: lora\nlora_target: all\ndataset: d\ntemplate: t\ncutoff_len: 512\nlearning_rate: 1.0e-4\nquantization_bit: 4\n";
const LLAMA_FACTORY_V1: &str = "model: m\ntrain_dataset: d\nlearning_rate: 1.0e-4\npeft_config:\n  name: lora\n  r: 8\nquant_config:\n  name: bnb\n  quantization_bit: 8\n";
const AXOLOTL: &str = "base_model: m\nadapter: lora\nload_in_8bit: true\nmicro_batch_size: 1\nsequence_len: 512\ndatasets:\n  - path: d\n    type: alpaca\nlora_r: 8\nlora_target_modules: [q_proj, v_proj]\nnum_epochs: 1\nlearning_rate: 1e-4\n";
const TRL: &str = "model_name_or_path: m\ndataset_name: d\nlearning_rate: 1.0e-4\nper_device_train_batch_size: 2\nnum_train_epochs: 1\ngradient_accumulation_steps: 2\nuse_peft: true\nlr_scheduler_kwargs:\n  min_lr_rate: 0.1\n";
const SWIFT: &str =
    "model: m\ntuner_type: lora\ndataset:\n  - d#500\nlearning_rate: 1e-4\nquant_bits: 4\ntarget_modules: all-linear\n";
const MEGATRON: &str =
    "model: m\ntuner_type: lora\ndataset: d\nmicro_batch_size: 1\nglobal_batch_size: 8\nlr: 1e-4\ntrain_iters: 10\n";
const TORCHTUNE: &str = "output_dir: /tmp/out\nmodel:\n  _component_: torchtune.models.llama3_1.lora_llama3_1_8b\n  lora_rank: 8\n  lora_alpha: 16\n  lora_attn_modules: ['q_proj']\noptimizer:\n  _component_: torch.optim.AdamW\n  lr: 3e-4\ndataset:\n  _component_: torchtune.datasets.alpaca_dataset\n  source: ${output_dir}/rows\nlr_scheduler:\n  _component_: torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup\n  num_warmup_steps: 100\nepochs: 1\nbatch_size: 2\ngradient_accumulation_steps: 8\n";
const NEMO: &str = "step_scheduler:\n  global_batch_size: 8\n  local_batch_size: 1\nmodel:\n  _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained\n  pretrained_model_name_or_path: m\npeft:\n  dim: 8\noptimizer:\n  _target_: torch.optim.Adam\n  lr: 1e-5\n";
const LITGPT: &str = "checkpoint_dir: c\nlora_r: 8\nquantize: bnb.nf4\ntrain:\n  global_batch_size: 8\n  micro_batch_size: 1\n  epochs: 1\neval:\n  interval: 10\noptimizer: AdamW\n";
const MLX: &str = "model: m-4bit\ntrain: true\ndata: d\niters: 100\nlearning_rate: 1e-5\nbatch_size: 4\nlora_parameters:\n  rank: 8\n  scale: 20.0\n";
const UNSLOTH: &str = "model: m\ndata:\n  dataset: d\ntraining:\n  training_type: lora\n  max_seq_length: 512\n  load_in_4bit: true\n  learning_rate: 1e-4\n  num_epochs: 1\nlora:\n  lora_r: 8\n  lora_alpha: 8\n";
const PEFT: &str = "{\"peft_type\": \"LORA\", \"r\": 8, \"lora_alpha\": 16, \"base_model_name_or_path\": \"m\",\n \"target_modules\": [\"q_proj\"], \"rank_pattern\": {\"a.b\": 4}}\n";
const BENCHMARK: &str =
    "{\"optimizer_type\": \"AdamW\", \"optimizer_kwargs\": {\"lr\": 1e-4}, \"max_steps\": 10, \"batch_size\": 4}\n";
const SCRIPT: &str = "#!/bin/bash\nexport CUDA_VISIBLE_DEVICES=0,1\nN=2\nARGS=(--model m --dataset \"d\")\nNPROC_PER_NODE=$N swift sft \\\n  \"${ARGS[@]}\" --tuner_type lora --learning_rate 1e-4 \\\n  --gradient_accumulation_steps $((16 / N)) # so many\n";
const TRL_SCRIPT: &str = "cat <<EOF > notes\nit's\nEOF\ntrl sft --model_name_or_path m --dataset_name d --lora_r 8 \\\n --per_device_train_batch_size 2 --learning_rate=1e-4 --use_peft\n";
const FACTS: &str =
    "stage: sft\nmethod: lora\nlearning_rate: 1e-4\nlora.rank: 8\nbatch:\n  effective: 16\nworld_size: 2\n";
const ACCELERATE: &str = "compute_environment: LOCAL_MACHINE\nnum_processes: 4\nnum_machines: 1\ndistributed_type: DEEPSPEED\ndeepspeed_config:\n  gradient_accumulation_steps: 2\n  gradient_clipping: 1.0\n";
const DEEPSPEED: &str = "{\"train_micro_batch_size_per_gpu\": \"auto\", \"gradient_clipping\": 1.0,\n \"optimizer\": {\"type\": \"AdamW\", \"params\": {\"lr\": \"auto\"}}, \"zero_optimization\": {\"stage\": 2}}\n";

/// Everything that text comes in as: a file's name, its text, and what it is taken for.
const FIXTURES: &[(&str, &str, Taken)] = &[
    ("run.yaml", LLAMA_FACTORY, Taken::Run),
    ("run.yaml", LLAMA_FACTORY_V1, Taken::Run),
    ("run.yaml", AXOLOTL, Taken::Run),
    ("run.yaml", TRL, Taken::Run),
    ("run.yaml", SWIFT, Taken::Run),
    ("run.yaml", MEGATRON, Taken::Run),
    ("run.yaml", TORCHTUNE, Taken::Run),
    ("run.yaml", NEMO, Taken::Run),
    ("run.yaml", LITGPT, Taken::Run),
    ("run.yaml", MLX, Taken::Run),
    ("run.yaml", UNSLOTH, Taken::Run),
    ("adapter_config.json", PEFT, Taken::Run),
    ("training_params.json", BENCHMARK, Taken::Run),
    ("run.sh", SCRIPT, Taken::Run),
    ("run.sh", TRL_SCRIPT, Taken::Run),
    ("facts.yaml", FACTS, Taken::Facts),
    ("accelerate.yaml", ACCELERATE, Taken::With),
    ("deepspeed.json", DEEPSPEED, Taken::With),
    (
        "command line",
        "learning_rate=1e-3 lora_rank=8 kt_config={a: [1]} a.b.c=2",
        Taken::Overrides(LLAMA_FACTORY),
    ),
    (
        "command line",
        "--learning_rate 1e-3 --optimizer.lr=2 --lora_r 8 --on",
        Taken::Overrides(AXOLOTL),
    ),
    (
        "command line",
        "~lr_scheduler model.lora_rank=8 optimizer.lr=1e-3",
        Taken::Overrides(TORCHTUNE),
    ),
];

#[derive(Debug, Clone, Copy)]
enum Taken {
    Run,
    Facts,
    With,
    /// Behind this run file.
    Overrides(&'static str),
}

/// Reads a text as what it is taken for, and looks at everything that is said of it.
#[track_caller]
fn survives(name: &str, text: &str, taken: Taken) -> (Option<Facts>, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let mut beside = Beside::default();
    let run = match taken {
        Taken::Run => Some(id),
        Taken::Facts => {
            beside.facts = Some(id);
            None
        }
        Taken::With => {
            beside.with = vec![id];
            Some(sources.add("run.yaml", LLAMA_FACTORY))
        }
        Taken::Overrides(run) => {
            beside.overrides = Some(id);
            Some(sources.add("run.yaml", run))
        }
    };
    let read = adapt::read_beside(run, &sources, Launch::default(), &beside);
    let mut found = read.diagnostics.clone();
    assert!(read.facts.is_some() || !found.is_empty(), "refused without a word");
    assert!(found.len() <= 100, "{} findings", found.len());
    if let Some(facts) = &read.facts {
        let shipped = builtin::policy("builtin:cautious-sft").unwrap();
        let policy = sources.add(shipped.name, shipped.text);
        let policy = sema::compile(policy, &sources).policy.unwrap();
        let judgement = check::judge(&policy, facts, &sources, true);
        found.extend(judgement.findings);
        found.extend(judgement.lines.into_iter().filter_map(|line| line.diagnostic));
    }
    for (i, finding) in found.iter().enumerate() {
        assert!(!finding.message.is_empty());
        assert!(
            finding.message.len() < 1000,
            "a long message: {}",
            finding.message.len()
        );
        for label in &finding.labels {
            let file = sources.get(label.place.source);
            let span = label.place.span;
            assert!(
                file.text().get(span.start..span.end).is_some(),
                "{span:?} is none of {}: {finding:?}",
                file.name()
            );
        }
        if i < 20 {
            let drawn = render(finding, &sources, Style { color: false });
            assert!(
                !drawn.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')),
                "{drawn:?}"
            );
            assert!(drawn.len() < 20_000, "{} bytes are drawn", drawn.len());
        }
    }
    (read.facts, read.diagnostics)
}

#[track_caller]
fn of_run(text: &str) -> (Option<Facts>, Vec<Diagnostic>) {
    survives("run.yaml", text, Taken::Run)
}

#[track_caller]
fn of_script(text: &str) -> (Option<Facts>, Vec<Diagnostic>) {
    survives("run.sh", text, Taken::Run)
}

/// Asserts that a text is refused, and that a message says so.
#[track_caller]
fn refused((facts, found): (Option<Facts>, Vec<Diagnostic>), message: &str) {
    let told: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
    assert!(facts.is_none(), "it has facts; {told:?}");
    assert!(told.iter().any(|told| told.contains(message)), "{told:?}");
}

#[test]
fn every_fixture_is_read() {
    for (name, text, taken) in FIXTURES {
        let (facts, found) = survives(name, text, *taken);
        assert!(facts.is_some(), "{text}: {found:#?}");
    }
}

/// How many bytes of words a run's facts hold.
fn bytes_of_words(facts: &Facts) -> usize {
    let of = |words: &Words| match words {
        Words::One(word) => word.len(),
        Words::Set(words) => words.iter().map(String::len).sum(),
        _ => 0,
    };
    CATEGORIES
        .iter()
        .filter_map(|category| facts.word(*category))
        .map(|fact| of(&fact.words))
        .sum()
}

#[test]
fn what_is_repeated_counts_by_its_length() {
    const MOST: &str = "more than 100000 values, those repeated by aliases included";
    let long = "x".repeat(400_000);
    let aliases = "*k, ".repeat(50_000);
    for run in [LLAMA_FACTORY, AXOLOTL, SWIFT] {
        refused(of_run(&format!("{run}k: &k {long}\nlora_target: [{aliases}]\n")), MOST);
    }
    // As keys, as values of a merged mapping, and as facts.
    let keys = "  ? *k\n  : 1\n".repeat(30_000);
    refused(of_run(&format!("{LLAMA_FACTORY}k: &k {long}\nz:\n{keys}")), MOST);
    let merged = "- {<<: *m}\n".repeat(30_000);
    refused(
        of_run(&format!("{LLAMA_FACTORY}k: &k {long}\nm: &m {{a: *k}}\nz:\n{merged}")),
        MOST,
    );
    let facts = format!("k: &k {long}\nlora.targets: [{aliases}]\n");
    let (_, found) = survives("facts.yaml", &facts, Taken::Facts);
    assert_eq!(found[0].message, MOST);
    // A reference repeats as an alias does: what goes too far stays a placeholder.
    let references = "'${k}', ".repeat(40_000);
    let targets = TORCHTUNE.replace("['q_proj']", &format!("[{references}]"));
    let (facts, _) = of_run(&format!("{targets}k: {long}\n"));
    assert!(bytes_of_words(&facts.unwrap()) < 10_000_000);
}

#[test]
fn references_end() {
    let doubling: String = (0..60)
        .map(|i| format!("v{i}: '${{v{}}}${{v{}}}'\n", i + 1, i + 1))
        .collect();
    let around = format!(
        "k: {}${{epochs}}\nx: [{}]\n",
        "x".repeat(200_000),
        "'a${k}', ".repeat(60_000)
    );
    let nowhere = format!(
        "k: {}${{no}}\nx: [{}]\n",
        "x".repeat(400_000),
        "'${k}', ".repeat(50_000)
    );
    let wide = format!("a: '{}'\nb: '{}'\nc: 1\n", "${b}".repeat(90_000), "${c}".repeat(90_000));
    let circle = "a: ${b}\nb: ${a}\nc: ${c}\n".to_owned();
    let deep = format!("a: ${{{}a}}\n", "a.".repeat(200_000));
    for more in [doubling, around, nowhere, wide, circle, deep] {
        let (facts, _) = of_run(&format!("{TORCHTUNE}{more}"));
        assert!(facts.is_some());
    }
}

#[test]
fn merge_keys_are_merged_as_pyyaml_does_or_refused() {
    for (more, message) in [
        ("<<: x\n", "`<<` takes a mapping"),
        ("<<: [{lora_rank: 8}, x]\n", "`<<` takes a mapping"),
        // The second would win, which nobody expects.
        ("<<: {lora_rank: 8}\n<<: {lora_rank: 9}\n", "`<<` is written twice"),
    ] {
        refused(of_run(&format!("{LLAMA_FACTORY}{more}")), message);
    }
}

#[test]
fn a_tag_that_its_value_does_not_fit_is_refused() {
    for (value, message) in [
        ("!!null 8", "this is no value for the tag `!!null`"),
        ("!!bool 8", "this is no value for the tag `!!bool`"),
        ("!!int x", "this is no value for the tag `!!int`"),
        ("!!map [8]", "this is no value for the tag `!!map`"),
        ("!!timestamp 2001-01-01", "this is no value for the tag `!!timestamp`"),
        (
            "!!python/object/apply:os.system [x]",
            "no loader of run files knows the tag `!!python/object/apply:os.system`",
        ),
        ("!include x.yaml", "no loader of run files knows the tag `!include`"),
    ] {
        // Under any key: the loader fails on the whole file.
        refused(of_run(&format!("{LLAMA_FACTORY}output_dir: {value}\n")), message);
    }
    for value in ["!!int 8", "!!int \"8\"", "! 8", "!<tag:yaml.org,2002:int> 8"] {
        let (facts, found) = of_run(&format!("{LLAMA_FACTORY}lora_rank: {value}\n"));
        assert!(facts.is_some() && found.is_empty(), "{value}: {found:?}");
    }
}

#[test]
fn characters_that_loaders_refuse_or_break_lines_at_are_refused() {
    for c in ['\0', '\u{7}', '\u{1b}', '\u{7f}', '\u{9b}', '\u{ffff}'] {
        // Comments too: PyYAML looks at the whole text.
        refused(of_run(&format!("{LLAMA_FACTORY}# {c}\n")), "a control character");
        refused(of_script(&format!("{SCRIPT}# {c}\n")), "a control character");
        let overrides = format!("lora_rank={c}8");
        refused(
            survives("command line", &overrides, Taken::Overrides(LLAMA_FACTORY)),
            "a control character",
        );
    }
    for c in ['\u{85}', '\u{2028}', '\u{2029}'] {
        // To PyYAML the comment ends there, and a key stands behind it.
        let (_, found) = of_run(&format!("{LLAMA_FACTORY}lora_rank: 8 # of 16{c}learning_rate: 1.0\n"));
        assert!(
            found
                .iter()
                .any(|found| found.message.contains("ends a line for the loader")),
            "{found:?}"
        );
    }
    let (_, found) = of_run(&format!("\u{feff}\u{feff}{LLAMA_FACTORY}"));
    assert!(found.iter().any(|found| found.message.contains("U+FEFF")), "{found:?}");
    let (_, found) = of_script(&format!("\u{feff}{}", SCRIPT.trim_start_matches("#!/bin/bash\n")));
    assert!(
        !found.iter().any(|found| found.message.contains("control")),
        "{found:?}"
    );
    let wide: String = LLAMA_FACTORY.chars().flat_map(|c| [c, '\0']).collect();
    let (_, found) = of_run(&wide);
    assert_eq!(
        found[0].next_step().as_deref(),
        Some("save the file as UTF-8: this looks like UTF-16")
    );
}

#[test]
fn a_key_with_characters_that_nobody_sees_is_no_known_key() {
    let (_, found) = of_run(&format!("{LLAMA_FACTORY}\"lora_rank\\u200b\": 64\n"));
    assert!(
        found.iter().any(|found| found.message.contains("has no key")),
        "{found:?}"
    );
}

#[test]
fn a_command_is_read_to_its_end_or_not_at_all() {
    let swift = "swift sft --model m --dataset d --tuner_type lora --learning_rate 1e-4";
    let padded = format!("{swift}{} --learning_rate 0.5\n", " --seed 1".repeat(2_100));
    refused(of_script(&padded), "this command has more than 4096 words");
    refused(
        of_script(&format!("if true; then {padded}fi\n")),
        "this command has more than 4096 words",
    );
    for open in ["\"", "'", "--system \"it's", "$'"] {
        refused(
            of_script(&format!("{swift} {open}\n--learning_rate 0.5\n")),
            "a quote that is never closed",
        );
    }
    let many = format!("{swift}\n").repeat(10_000);
    refused(
        of_script(&many),
        "this script launches 10000 runs, on lines 1, 2, 3, 4, 5, 6, 7, 8, …",
    );
    let behind = "lora_rank=8 ".repeat(5_000);
    let (_, found) = survives("command line", &behind, Taken::Overrides(LLAMA_FACTORY));
    assert!(
        found
            .iter()
            .any(|found| found.message == "more than 4096 words behind the run file"),
        "{found:?}"
    );
}

#[test]
fn commands_that_could_run_away_end() {
    let swift = "swift sft --model m --dataset d --tuner_type lora";
    let litgpt = "litgpt finetune_lora m";
    let ten = |name: &str| vec![format!("*{name}"); 10].join(",");
    let bomb = format!(
        "'{{a: &a [x,x,x,x,x,x,x,x,x,x], b: &b [{}], c: &c [{}], d: &d [{}], e: [{}]}}'",
        ten("a"),
        ten("b"),
        ten("c"),
        ten("d")
    );
    let bombs: String = (0..2_000).map(|i| format!(" --k{i} {bomb}")).collect();
    for script in [
        format!("{litgpt} --{}a=1", "a.".repeat(400_000)),
        format!("tune run lora {}a=1", "a.".repeat(400_000)),
        format!("tune run lora ~{}a", "a.".repeat(400_000)),
        format!("{swift}{bombs}"),
        format!(
            "export CUDA_VISIBLE_DEVICES={}\n{}{swift}",
            "1,".repeat(200_000),
            "a\n".repeat(200_000)
        ),
        format!("A=xxxxxxxx\n{}{swift} --system $A", "A=\"$A$A\"\n".repeat(60)),
        format!("A=(x x)\n{}{swift} \"${{A[@]}}\"", "A+=(\"${A[@]}\")\n".repeat(60)),
        format!(
            "{swift} --max_steps $(({}1{}))",
            "(".repeat(200_000),
            ")".repeat(200_000)
        ),
        format!("{swift} --max_steps {}1{}", "$(".repeat(100_000), ")".repeat(100_000)),
        format!("{swift} --max_steps $(({}1))", "1+".repeat(200_000)),
        format!("{swift} {}", "<<A ".repeat(100_000)),
    ] {
        of_script(&script);
    }
    for sum in [
        "2**63",
        "9223372036854775807+1",
        "1/0",
        "99999999999999999999",
        "-9223372036854775807-2",
    ] {
        let (_, found) = of_script(&format!("{swift} --max_steps $(({sum}))\n"));
        assert_eq!(found[0].code.name(), "value-unresolved", "{sum}: {found:?}");
    }
    let (_, found) = survives(
        "command line",
        &format!("{}a=1", "a.".repeat(50_000)),
        Taken::Overrides(LLAMA_FACTORY),
    );
    assert_eq!(found[0].message, "a key that is nested more than 16 deep");
}

#[test]
fn names_of_facts_are_bounded() {
    let names: String = (0..30_000_u32)
        .map(|i| {
            let name: String = "per_device_batch_size"
                .char_indices()
                .map(|(at, c)| {
                    if i >> (at % 16) & 1 == 1 {
                        c.to_ascii_uppercase()
                    } else {
                        c
                    }
                })
                .collect();
            format!("? {name}\n: {}\n", i % 7 + 1)
        })
        .collect();
    survives("facts.yaml", &names, Taken::Facts);
    let unknown: String = (0..40_000).map(|i| format!("lora.rank{i}: 1\n")).collect();
    let (_, found) = survives("facts.yaml", &unknown, Taken::Facts);
    assert_eq!(found.iter().filter(|found| found.instead.is_some()).count(), 20);
    let inner: String = (0..20_000).map(|i| format!("a{i}: 1, ")).collect();
    let key = "x".repeat(3_000);
    let nested = format!(
        "z: {}{{{inner}}}{}\n",
        format!("{{{key}: ").repeat(100),
        "}".repeat(100)
    );
    let (_, found) = survives("facts.yaml", &nested, Taken::Facts);
    assert_eq!(
        found.iter().filter(|found| found.code.name() == "unknown-name").count(),
        1
    );
}

#[test]
fn texts_of_one_piece_end() {
    const PIECES: &[&str] = &[
        "[", "{", "[{", "{a: ", "{[", "- ", "? ", "& ", "* ", "! ", "\"", "'", "|", ">", "#", "%", "@", "`", ",", ": ",
        "~", "\t", "\r", "$", "$(", "$((", "${", "\\", "<<A ", "(", ";", "a=(", "a+=b ", "&a ", "*a ", "<<: ", "é",
        "🚀", "0", "1_", "1:", "9", "a.", "--a=", "{{", "{%",
    ];
    for piece in PIECES {
        let many = piece.repeat(50_000 / piece.len());
        let lines = format!("{piece}\n").repeat(50_000 / (piece.len() + 1));
        for (name, text, taken) in FIXTURES {
            // Alone, on lines of its own, and as the value of a key.
            match taken {
                Taken::Run if name.ends_with(".sh") => {
                    survives(name, &many, *taken);
                    survives(name, &format!("{lines}{text}"), *taken);
                }
                Taken::Run if *text == LLAMA_FACTORY => {
                    survives(name, &many, *taken);
                    survives(name, &format!("{text}learning_rate: {many}\n"), *taken);
                    survives(name, &format!("{text}x:\n{lines}"), *taken);
                }
                Taken::Overrides(_) | Taken::Facts => {
                    survives(name, &format!("{text} {many}"), *taken);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn files_that_are_no_texts_are_named() {
    let wide: Vec<u8> = "a: é\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe], wide.as_slice()].concat();
    for (bytes, words) in [
        (marked, "save it as UTF-8"),
        (b"a: gr\xf6\xdfe\n".to_vec(), "on line 1, begins no character"),
        (b"a: \xed\xa0\x80\n".to_vec(), "begins no character"),
        (vec![0; 5000], "a control character"),
        (vec![b'a'; (1 << 20) + 1], "is larger than 1048576 bytes"),
    ] {
        Case::new()
            .file("run.yaml", bytes)
            .args(["check", "builtin:cautious-sft", "run.yaml"])
            .run()
            .code(2)
            .stdout_has(words);
    }
}

#[test]
fn the_terminal_is_not_steered() {
    let ran = Case::new()
        .file(
            "run.yaml",
            format!("{LLAMA_FACTORY}\"a\\x1b[2J\\u202e\": \"\\x1b]0;title\\x07\"\noptim: \"\\x1b[8m\"\n"),
        )
        .args(["check", "builtin:cautious-sft", "run.yaml", "--color", "always"])
        .run()
        .code(2);
    Case::new()
        .file(
            "run.yaml",
            LLAMA_FACTORY.replace("template: t", "template: \"t\\n\\n  0 over\""),
        )
        .args(["facts", "run.yaml"])
        .run()
        .stdout_lacks("\n  0 over")
        .stdout_has("t\u{fffd}\u{fffd}  0 over");
    ran.stdout_lacks("\u{1b}[2J")
        .stdout_lacks("\u{1b}]0")
        .stdout_lacks("\u{202e}");
}

/// A change to a text.
#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, &'static str),
    Any(usize, char),
    Delete(usize, usize),
    Double(usize, usize),
    Swap(usize, usize),
}

const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "? ",
    ", ",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "!!null ",
    "!x ",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\t",
    "\r\n",
    "\r",
    "\u{feff}",
    "\u{200b}",
    "\u{2028}",
    "\u{a0}",
    "é",
    "🚀",
    "\0",
    "${a}",
    "${",
    "$(",
    "$((1/0))",
    "`",
    "\\",
    "\\\n",
    "<<E\n",
    "&&",
    ";",
    "(",
    ")",
    "=",
    "~",
    "--",
    "--x ",
    "1e999",
    "-1",
    "0",
    ".nan",
    ".inf",
    "1_000",
    "0x10",
    "1:30",
    "1e-4",
    "99999999999999999999999999999999999999999",
    "null",
    "true",
    "no",
    "auto",
    "{{ x }}",
    "???",
    "if ",
    "then ",
    "for ",
    "export ",
    "a+=(",
    "\n",
    "\n  ",
    "lora",
    "full",
    "adamw",
    "4",
    "8",
];

impl Edit {
    fn apply(&self, text: &str) -> String {
        let length = text.chars().count();
        let at = |n: usize| {
            let at = text.char_indices().nth(n % (length + 1));
            text.split_at(at.map_or(text.len(), |(at, _)| at))
        };
        let between = |n: usize, piece: &str| {
            let (before, after) = at(n);
            format!("{before}{piece}{after}")
        };
        let line = |n: usize| {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            lines.get(n % lines.len().max(1)).copied().unwrap_or("")
        };
        match self {
            Edit::Insert(n, piece) => between(*n, piece),
            Edit::Any(n, c) => between(*n, &c.to_string()),
            Edit::Delete(from, n) => {
                let (before, after) = at(*from);
                let rest: String = after.chars().skip(n % 9).collect();
                format!("{before}{rest}")
            }
            Edit::Double(n, to) => between(*to, line(*n)),
            Edit::Swap(a, b) => text.replacen(line(*a), line(*b), 1),
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let n = || 0..2000_usize;
    prop_oneof![
        6 => (n(), prop::sample::select(PIECES)).prop_map(|(n, piece)| Edit::Insert(n, piece)),
        1 => (n(), any::<char>()).prop_map(|(n, c)| Edit::Any(n, c)),
        3 => (n(), n()).prop_map(|(a, b)| Edit::Delete(a, b)),
        1 => (n(), n()).prop_map(|(a, b)| Edit::Double(a, b)),
        1 => (n(), n()).prop_map(|(a, b)| Edit::Swap(a, b)),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_dialect_survives_edits(
        fixture in prop::sample::select(FIXTURES),
        edits in prop::collection::vec(edit(), 1..8),
    ) {
        let (name, text, taken) = fixture;
        let text = edits.iter().fold(text.to_owned(), |text, edit| edit.apply(&text));
        survives(name, &text, taken);
    }

    #[test]
    fn any_text_is_survived_as_anything(text in any::<String>(), i in 0..FIXTURES.len()) {
        let (name, _, taken) = FIXTURES[i];
        survives(name, &text, taken);
    }
}
