//! What people see: every screen of the binary, and what bad input gets.

use super::harness::{Case, Folder, read};

/// A folder that looks like a clone, as far as commands need it.
fn clone() -> Folder {
    let folder = Folder::new();
    folder.copy("examples");
    folder
}

fn screen(args: &[&str]) -> String {
    let ran = Case::within(clone()).args(args.iter().copied()).run();
    let complaints = if ran.stderr.is_empty() {
        String::new()
    } else {
        format!("-- stderr\n{}", ran.stderr)
    };
    format!("{}{complaints}-- exit {}\n", ran.stdout, ran.code)
}

#[test]
fn a_run_inside_its_budgets() {
    insta::assert_snapshot!(screen(&[
        "check",
        "builtin:cautious-sft",
        "examples/llama-factory/inside.yaml"
    ]));
}

#[test]
fn a_run_over_several_of_them() {
    insta::assert_snapshot!(screen(&[
        "check",
        "builtin:cautious-sft",
        "examples/llama-factory/over.yaml"
    ]));
}

#[test]
fn a_run_that_a_missing_fact_decides() {
    insta::assert_snapshot!(screen(&[
        "check",
        "builtin:cautious-sft",
        "examples/llama-factory/open.yaml"
    ]));
}

#[test]
fn a_run_that_nobody_judged() {
    insta::assert_snapshot!(screen(&[
        "check",
        "builtin:cautious-sft",
        "examples/llama-factory/not-covered.yaml"
    ]));
}

#[test]
fn the_facts_of_a_run() {
    insta::assert_snapshot!(screen(&["facts", "examples/llama-factory/open.yaml"]));
}

#[test]
fn files_that_contradict_each_other() {
    let ran = Case::within(clone())
        .file("ds.json", "{\n  \"gradient_clipping\": 0.5,\n  \"zero_optimization\": {\"stage\": 2},\n  \"optimizer\": {\"type\": \"AdamW\", \"params\": {\"lr\": 2e-4}}\n}\n")
        .file("facts.yaml", "lora.rnak: 8\nepochs: 2\nupdate_scale: 1e-3\n")
        .args(["facts", "examples/llama-factory/open.yaml", "--with", "ds.json", "--facts", "facts.yaml"])
        .run()
        .code(2);
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn keys_that_no_recipe_reads() {
    let torchtune = "\
model: {_component_: torchtune.models.llama3.lora_llama3_8b, lora_attn_modules: [q_proj], lora_ranks: 8}
dataset: {_component_: torchtune.datasets.alpaca_dataset, packd: True}
optimizer: {_component_: torch.optim.AdamW, learning_rate: 3e-4}
loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}
batch_size: 2
epoch: 3
gradient_accumulation_steps: 8
warmup_steps: 100
ppo_epochs: 4
";
    let nemo = "\
recipe: TrainFinetuneRecipeForNextTokenPrediction
rng: {_target_: nemo_automodel.components.training.rng.StatefulRNG, seed: 1111}
step_scheduler: {global_batch_size: 32, local_batch_size: 8, num_epoch: 1}
model: {_target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained, pretrained_model_name_or_path: m}
dataset: {_target_: nemo_automodel.components.datasets.llm.squad.make_squad_dataset, dataset_name: rajpurkar/squad}
optimizer: {_target_: torch.optim.AdamW, lr: 1e-5}
max_grad_norm: 1.0
lora_rank: 8
";
    for (name, text) in [("torchtune.yaml", torchtune), ("nemo.yaml", nemo)] {
        let ran = Case::within(clone())
            .file(name, text)
            .args(["facts", name])
            .run()
            .code(2);
        insta::assert_snapshot!(
            format!("keys_that_no_recipe_reads_{}", name.replace(".yaml", "")),
            ran.stderr
        );
    }
}

#[test]
fn every_line_with_its_verdict() {
    let args = [
        "check",
        "-v",
        "builtin:cautious-sft",
        "examples/llama-factory/inside.yaml",
        "--world-size",
        "4",
    ];
    insta::assert_snapshot!(screen(&args));
}

#[test]
fn a_launch_outside_of_the_premise() {
    let args = [
        "check",
        "builtin:cautious-sft",
        "examples/llama-factory/inside.yaml",
        "--world-size",
        "16",
    ];
    insta::assert_snapshot!(screen(&args));
}

#[test]
fn several_run_files() {
    let args = [
        "check",
        "builtin:exploratory",
        "examples/llama-factory/inside.yaml",
        "examples/llama-factory/over.yaml",
        "examples/llama-factory/none.yaml",
    ];
    insta::assert_snapshot!(screen(&args));
}

#[test]
fn strict_makes_advice_a_limit() {
    let check = |strict: &[&str]| {
        let args = ["check", "builtin:exploratory", "examples/llama-factory/over.yaml"];
        Case::within(clone()).args(args.iter().chain(strict).copied()).run()
    };
    check(&[]).code(0).stdout_has("advice[learning_rate]");
    check(&["--strict"]).code(1).stdout_has("over[learning_rate]");
}

#[test]
fn a_paced_budget_is_said_to_be_spread_over_the_run() {
    let folder = clone();
    let policy = |paced: &str| {
        format!(
            "policy \"p\"\nprobe text general \"g.jsonl\" every 20 updates\nmax drift.total 0.05 nats on general{paced} else stop\n"
        )
    };
    folder.write("paced.riskpolicy", policy(" paced").as_bytes());
    folder.write("plain.riskpolicy", policy("").as_bytes());
    let run = "examples/llama-factory/inside.yaml";
    let asked = "read on general every 20 updates; at most 0.05 nats is asked";
    let folder = Case::within(folder)
        .args(["check", "-v", "paced.riskpolicy", run])
        .run()
        .code(0)
        .stdout_has(&format!("{asked}, spread over the run\n"))
        .folder;
    Case::within(folder)
        .args(["check", "-v", "plain.riskpolicy", run])
        .run()
        .code(0)
        .stdout_has(&format!("{asked}\n"));
    Case::new()
        .args(["explain", "drift.total"])
        .run()
        .code(0)
        .stdout_has("- `paced`: a budget that can be spread over the run");
    Case::new()
        .args(["explain", "drift.per_update"])
        .run()
        .code(0)
        .stdout_lacks("`paced`");
}

#[test]
fn json() {
    let args = [
        "check",
        "--format",
        "json",
        "builtin:cautious-sft",
        "examples/llama-factory/open.yaml",
    ];
    let text = screen(&args).replace(env!("CARGO_PKG_VERSION"), "[version]");
    insta::assert_snapshot!(text);
}

/// Twelve different mistakes: one finding each, each with the line to write instead, in one run.
#[test]
fn twelve_mistakes_are_twelve_findings() {
    let policy = r#"policy "twelve" for stage sft, method lora | qlroa
probe text general "general.jsonl" sha256 "7e0eaf489e6c1e579c22f5fca565e16cf30650167307f98bbba827a9beb3612c"
probe prompts "prompts.jsonl" sha256 "a9cc4e1bbdf10a72352ff74b4c68c7dc731a6c735d16d0f8d4bcf660684314cf"
max lora.rnak 16
max learning_rate <= 2e-4
max drift.total 0.05 on general
max diversity.entropy 4 nats
max epochs 3 while confidence.entropy above 80% of base
range batch.effective 4..128
max updates 1k
max drift.total 0.1 nats on general else scale 5 times then stop
max warmup_fraction 3%
require seed clipping
max lora.alpha 32 // twice the rank
"#;
    // Each mistaken line with what is offered instead of it, whole or in part.
    let offered = [
        (1, "policy \"twelve\" for stage sft, method lora | qlora"),
        (4, "max lora.rank 16"),
        (5, "max learning_rate 2e-4"),
        (6, "max drift.total 0.05 nats on general"),
        (7, "min diversity.entropy 4 nats"),
        (8, "max epochs 3 until confidence.entropy below 80% of base"),
        (9, "range batch.effective 4 to 128"),
        (10, "1000"),
        (11, "max drift.total 0.1 nats on general else stop"),
        (12, "min warmup_fraction 3%"),
        (13, "require seed, clipping"),
        (14, "max lora.alpha 32 # twice the rank"),
    ];
    let ran = Case::new()
        .file("p.riskpolicy", policy)
        .file("r.yaml", "")
        .args(["check", "p.riskpolicy", "r.yaml"]);
    let ran = ran.run().code(2);
    for (line, instead) in offered {
        let place = format!("p.riskpolicy:{line}:");
        assert!(
            ran.stdout.contains(&place),
            "nothing about line {line}:\n{}",
            ran.stdout
        );
        assert!(
            ran.stdout.contains(&format!("`{instead}`")),
            "`{instead}` is not offered:\n{}",
            ran.stdout
        );
    }
    assert_eq!(ran.stdout.matches("error[").count(), offered.len(), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn help_and_explanations() {
    // The gate has no `train`.
    if cfg!(feature = "train") {
        insta::assert_snapshot!("help", screen(&["--help"]));
        insta::assert_snapshot!("help_train", screen(&["train", "--help"]));
        insta::assert_snapshot!("help_probe_build", screen(&["probe", "build", "--help"]));
        insta::assert_snapshot!("help_probe_check", screen(&["probe", "check", "--help"]));
        insta::assert_snapshot!("no_command", screen(&[]));
    } else {
        insta::assert_snapshot!("help_of_the_gate", screen(&["--help"]));
        insta::assert_snapshot!("no_command_of_the_gate", screen(&[]));
    }
    insta::assert_snapshot!("help_check", screen(&["check", "--help"]));
    insta::assert_snapshot!("help_exec", screen(&["exec", "--help"]));
    insta::assert_snapshot!("help_guard", screen(&["guard", "--help"]));
    insta::assert_snapshot!("explain_quantity", screen(&["explain", "update_scale"]));
    insta::assert_snapshot!("explain_fact", screen(&["explain", "stage"]));
    insta::assert_snapshot!("explain_near", screen(&["explain", "lora_rank"]));
    insta::assert_snapshot!("policy_list", screen(&["policy", "list"]));
    insta::assert_snapshot!("wrong_flag", screen(&["check", "--wrold-size", "3", "p", "r"]));
}

#[test]
fn explain_takes_what_a_headline_shows() {
    let page = Case::new().args(["explain", "over"]).run().code(0).stdout;
    Case::new()
        .args(["explain", "over[lora.rank]"])
        .run()
        .code(0)
        .stdout_is(&page);
    Case::new()
        .args(["explain"])
        .run()
        .code(0)
        .stdout_has("drift.total")
        .stdout_has("unit-missing")
        .stdout_has("stage");
}

#[test]
fn the_version_says_what_was_built() {
    let ran = Case::new().args(["--version"]).run().code(0);
    let features = if cfg!(feature = "train") { "cli, train" } else { "cli" };
    ran.stdout_has(concat!("ftrisk ", env!("CARGO_PKG_VERSION")))
        .stdout_has(features);
}

#[test]
fn a_shipped_policy_prints_and_checks_alike() {
    let text = Case::new()
        .args(["policy", "show", "cautious-sft"])
        .run()
        .code(0)
        .stdout;
    assert_eq!(text, read("policies/cautious-sft.riskpolicy"));
    let folder = clone();
    folder.write("mine.riskpolicy", text.as_bytes());
    let run = "examples/llama-factory/open.yaml";
    let mine = Case::within(folder)
        .args(["check", "mine.riskpolicy", run])
        .run()
        .code(2)
        .stdout;
    let shipped = Case::within(clone())
        .args(["check", "builtin:cautious-sft", run])
        .run()
        .code(2)
        .stdout;
    assert_eq!(mine, shipped.replace("builtin:cautious-sft", "mine.riskpolicy"));
    Case::new()
        .args(["policy", "show", "cautious"])
        .run()
        .code(2)
        .stderr_has("cautious-sft");
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        Case::new()
            .args(["completions", shell])
            .run()
            .code(0)
            .stdout_has("world-size");
    }
}

#[test]
fn colour_is_only_for_terminals_unless_asked_for() {
    let check = |color: &str| {
        let args = [
            "check",
            "--color",
            color,
            "builtin:cautious-sft",
            "examples/llama-factory/over.yaml",
        ];
        Case::within(clone()).args(args).run().code(1)
    };
    check("auto").stdout_lacks("\u{1b}");
    check("never").stdout_lacks("\u{1b}");
    check("always").stdout_has("\u{1b}");
}

#[test]
fn pin_writes_replaces_and_leaves_alone() {
    let policy = "# kept\npolicy \"p\"\nprobe text \"a.jsonl\" every 7 updates # trailing\naudit \"b.jsonl\" sha256 \"00\"\nmax epochs 3\n";
    let a = "{\"text\":\"a\"}\n";
    let hash_a = "314d3a971f6f7c623e7dceb546ddde0687e41e9df02b0edc52ddb4a7a77f57e3";
    let ran = Case::new()
        .file("p.riskpolicy", policy)
        .file("a.jsonl", a)
        .file("b.jsonl", "")
        .args(["pin", "p.riskpolicy"])
        .run()
        .code(0);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let pinned = ran.file("p.riskpolicy");
    assert_eq!(
        pinned,
        format!(
            "# kept\npolicy \"p\"\nprobe text \"a.jsonl\" sha256 \"{hash_a}\" every 7 updates # trailing\naudit \"b.jsonl\" sha256 \"{empty}\"\nmax epochs 3\n"
        )
    );
    assert_eq!(
        ran.stdout,
        format!("{hash_a}  a.jsonl  written\n{empty}  b.jsonl  replaced\n")
    );
    let again = Case::within(ran.folder).args(["pin", "p.riskpolicy"]).run().code(0);
    again.stdout_has("a.jsonl  unchanged").stdout_has("b.jsonl  unchanged");
}

#[test]
fn pin_writes_nothing_when_a_probe_is_missing_or_the_policy_is_broken() {
    let policy = "policy \"p\"\nprobe text \"a.jsonl\"\nprobe prompts \"none.jsonl\"\nmax epochs 3\n";
    let ran = Case::new()
        .file("p.riskpolicy", policy)
        .file("a.jsonl", "")
        .args(["pin", "p.riskpolicy"])
        .run()
        .code(2);
    let ran = ran.stdout_has("there is no file none.jsonl to pin");
    assert_eq!(ran.file("p.riskpolicy"), policy);
    let broken = "policy \"p\"\nprobe text \"a.jsonl\"\nmax epochs <= 3\n";
    let ran = Case::new()
        .file("p.riskpolicy", broken)
        .file("a.jsonl", "")
        .args(["pin", "p.riskpolicy"])
        .run()
        .code(2);
    assert_eq!(ran.file("p.riskpolicy"), broken);
    Case::new()
        .args(["pin", "builtin:cautious-sft"])
        .run()
        .code(2)
        .stdout_has("policy show");
}

#[test]
fn a_probe_that_changed_fails_and_an_absent_one_does_not() {
    let policy = |hash: &str| {
        format!("policy \"p\"\nprobe text \"a.jsonl\" sha256 \"{hash}\"\nmax drift.total 1 nats\nmax epochs 9\n")
    };
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let run = read("examples/llama-factory/inside.yaml");
    let check = |probe: Option<&str>| {
        let case = Case::new()
            .file("p.riskpolicy", policy(empty))
            .file("r.yaml", &run)
            .args(["check", "p.riskpolicy", "r.yaml"]);
        match probe {
            Some(text) => case.file("a.jsonl", text).run(),
            None => case.run(),
        }
    };
    check(Some("")).code(0);
    check(None).code(0);
    check(Some("x"))
        .code(2)
        .stdout_has("error[probe-hash]")
        .stdout_has("is not the file that the policy pinned");
}

/// The table of what bad input gets: the file, and what the answer must name.
#[test]
fn bad_run_files_get_a_clear_error() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: [*g, *g, *g, *g, *g, *g, *g, *g, *g]\n";
    let with = |line: &str| format!("{}{line}\n", read("examples/llama-factory/inside.yaml"));
    let instead = |key: &str, line: &str| -> String {
        let kept = read("examples/llama-factory/inside.yaml");
        kept.lines()
            .map(|l| {
                if l.starts_with(key) {
                    format!("{line}\n")
                } else {
                    format!("{l}\n")
                }
            })
            .collect()
    };
    let cases: [(&str, String, &str); 17] = [
        ("empty", String::new(), "r.yaml"),
        ("truncated", "model_name_or_path: \"Qwen".into(), "error[yaml]"),
        ("several documents", "a: 1\n---\nb: 2\n".into(), "error[yaml]"),
        ("alias bomb", bomb.into(), "r.yaml"),
        ("open brackets", "[".repeat(100_000), "error[yaml]"),
        ("duplicate key", with("lora_rank: 16"), "error[duplicate-key]"),
        (
            "too large a number",
            instead("learning_rate", "learning_rate: 1e999"),
            "error[value-type]",
        ),
        (
            "not a number",
            instead("learning_rate", "learning_rate: .nan"),
            "error[value-type]",
        ),
        (
            "negative rank",
            instead("lora_rank", "lora_rank: -8"),
            "error[value-type]",
        ),
        (
            "variable",
            instead("learning_rate", "learning_rate: ${LR}"),
            "error[value-unresolved]",
        ),
        (
            "template",
            instead("learning_rate", "learning_rate: {{ lr }}"),
            "error[value-unresolved]",
        ),
        (
            "merge",
            "model_name_or_path: m\nadapter_name_or_path: a\nexport_dir: out\n".into(),
            "error[not-a-run]",
        ),
        (
            "chat",
            "model_name_or_path: m\ntemplate: qwen3\ninfer_backend: huggingface\n".into(),
            "error[not-a-run]",
        ),
        (
            "launcher",
            "compute_environment: LOCAL_MACHINE\ndistributed_type: FSDP\nnum_processes: 8\n".into(),
            "error[not-a-run]",
        ),
        ("a list", "- a\n- b\n".into(), "r.yaml"),
        ("tab", "a:\n\t- b\n".into(), "error[yaml]"),
        ("misspelled key", with("lora_rnak: 16"), "error[unknown-key]"),
    ];
    for (name, text, names) in cases {
        let ran = Case::new()
            .file("r.yaml", &text)
            .args(["check", "builtin:exploratory", "r.yaml"])
            .run();
        assert_eq!(ran.code, 2, "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(names), "{name}: {}", ran.stdout);
        assert!(ran.stdout.contains("help:"), "{name} has no next step: {}", ran.stdout);
        assert!(ran.stdout.len() < 5_000, "{name} is answered at length");
        assert_eq!(ran.stderr, "", "{name}");
    }
}

#[test]
fn bad_policies_get_a_clear_error() {
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("empty", Vec::new(), "error[empty-policy]"),
        ("only a header", b"policy \"p\"\n".to_vec(), "error[empty-policy]"),
        (
            "not UTF-8",
            b"policy \"p\"\nmax epochs \xff3\n".to_vec(),
            "error[not-text]",
        ),
        (
            "unknown quantity",
            b"policy \"p\"\nmax temperature 3\n".to_vec(),
            "error[unknown-name]",
        ),
        (
            "wrong unit",
            b"policy \"p\"\nmax learning_rate 3 nats\n".to_vec(),
            "error[unit-mismatch]",
        ),
        ("ten megabytes", b"max epochs 3\n".repeat(800_000), "error[too-large]"),
        ("nested braces", "{".repeat(100_000).into_bytes(), "error[syntax]"),
        (
            "nested blocks",
            "for stage sft {\n".repeat(50_000).into_bytes(),
            "error[scope]",
        ),
        (
            "a million dots",
            format!("policy \"p\"\nmax epochs 5{}\n", ".".repeat(1_000_000)).into_bytes(),
            "error[number]",
        ),
        (
            "a name of a megabyte",
            format!("policy \"p\"\nmax {} 3\n", "a".repeat(1_000_000)).into_bytes(),
            "error[unknown-name]",
        ),
        (
            "a text of a megabyte",
            format!("policy \"p\"\nallow model \"{}\n", "a".repeat(1_000_000)).into_bytes(),
            "error[syntax]",
        ),
        (
            "a hidden character",
            "policy \"p\"\nmax epochs 3 # \u{202e}\n".as_bytes().to_vec(),
            "error[hidden-text]",
        ),
    ];
    for (name, text, code) in cases {
        let ran = Case::new()
            .file("p.riskpolicy", &text)
            .file("r.yaml", "")
            .args(["check", "p.riskpolicy", "r.yaml"])
            .run();
        assert_eq!(ran.code, 2, "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(code), "{name}: {}", ran.stdout);
        assert!(ran.stdout.contains("help:"), "{name} has no next step: {}", ran.stdout);
        assert!(
            ran.stdout.len() < 40_000,
            "{name} is answered at length: {}",
            ran.stdout.len()
        );
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let missing = Case::new().args(["check", "none.riskpolicy", "r.yaml"]).run().code(2);
    missing.stdout_has("cannot read none.riskpolicy: there is no such file");
    let run = Case::new()
        .args(["check", "builtin:exploratory", "none.yaml"])
        .run()
        .code(2);
    run.stdout_has("cannot read none.yaml: there is no such file");
    let folder = Case::new()
        .file("d/x", "")
        .args(["check", "builtin:exploratory", "d"])
        .run()
        .code(2);
    folder.stdout_has("d holds no run file");
    Case::new()
        .args(["check", "cautious-sft", "r"])
        .run()
        .code(2)
        .stdout_has("`builtin:cautious-sft`");
    Case::new()
        .args(["check", "builtin:cautius-sft", "r"])
        .run()
        .code(2)
        .stdout_has("`builtin:cautious-sft`");
    let latin = Case::new()
        .file("r.yaml", b"a: caf\xe9\n")
        .args(["check", "builtin:exploratory", "r.yaml"])
        .run();
    latin.code(2).stdout_has("error[not-text]").stdout_has("on line 1");
}

#[test]
fn arguments_the_wrong_way_round_are_noticed() {
    let args = ["check", "examples/llama-factory/inside.yaml", "builtin:cautious-sft"];
    Case::within(clone())
        .args(args)
        .run()
        .code(2)
        .stderr_has("the policy comes first");
}

#[test]
fn standard_input_is_a_run_file() {
    let run = read("examples/llama-factory/over.yaml");
    let ran = Case::new()
        .stdin(run)
        .args(["check", "builtin:cautious-sft", "-"])
        .run()
        .code(1);
    ran.stdout_has("[standard input:9:12]");
}

/// The gate is the same program without the trainer, and says so to who looks for it.
#[cfg(not(feature = "train"))]
#[test]
fn the_gate_says_that_it_is_no_trainer() {
    for command in ["train", "probe"] {
        let ran = Case::new().args([command, "p.riskpolicy", "run.yaml"]).run().code(2);
        ran.stdout_is("")
            .stderr_has(&format!("this ftrisk is the gate alone, without `{command}`"))
            .stderr_has("cargo install --locked --path .");
    }
    Case::new()
        .args(["trian"])
        .run()
        .code(2)
        .stderr_has("unrecognized subcommand");
}
