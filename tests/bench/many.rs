//! Many run files in one call, whole process: `cargo bench --locked --bench many`.
//!
//! Plants run files of five frameworks with varied values, some of them over, and checks 1,000, 10,000 and 100,000 of them
//! with one `ftrisk check`. Time in proportion and memory that stays tell whether there is a size at which it would end.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench plants its own files, and stops where something is missing"
)]

mod harness;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use harness::{Folder, Times};

/// Files of a call, and rounds of it.
const SIZES: [(usize, usize); 3] = [(1_000, 31), (10_000, 7), (100_000, 3)];
/// Files of a folder: as people have them, not a hundred thousand in one.
const A_FOLDER: usize = 500;

fn main() {
    let folder = Folder::new("many");
    let mut planted = 0;
    let mut first: Option<f64> = None;
    harness::title("many run files in one call (s per 1,000)");
    for (size, rounds) in SIZES {
        while planted < size {
            plant(folder.path(), planted);
            planted += 1;
        }
        harness::run(command(folder.path()));
        let times = Times::of((0..rounds).map(|_| harness::run(command(folder.path())) / size as f64));
        let base = *first.get_or_insert(times.median());
        let more = format!(
            "{:5.2} x the first, peak {} MB, {rounds} rounds",
            times.median() / base,
            peak(folder.path()) / 1000
        );
        harness::row(&format!("{size:7} files"), &times, &more);
    }
}

fn command(folder: &Path) -> std::process::Command {
    let folder = folder.to_str().expect("a path of a bench is text");
    harness::silent(&harness::ftrisk(), &["check", "builtin:cautious-sft", folder])
}

/// The largest resident memory of such a call in kB, asked every millisecond.
fn peak(folder: &Path) -> u64 {
    let mut child = command(folder).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("it can be asked").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = now.unwrap_or(peak).max(peak);
        std::thread::sleep(Duration::from_millis(1));
    }
    peak
}

fn plant(folder: &Path, number: usize) {
    let folder = folder.join(format!("team-{}", number / A_FOLDER));
    std::fs::create_dir_all(&folder).expect("a folder below its own");
    let rank = [4, 8, 16, 16, 64][number / 5 % 5];
    let values = Values {
        number,
        rank,
        alpha: rank * 2,
        rate: ["1.0e-5", "5.0e-5", "1.0e-4", "2.0e-4", "1.0e-3"][number / 7 % 5],
        epochs: number / 11 % 4 + 1,
        accumulation: [2, 4, 8][number / 3 % 3],
        model: ["Qwen/Qwen3-4B", "meta-llama/Llama-3.1-8B", "google/gemma-3-4b-it"][number / 2 % 3],
    };
    let text = match number % 5 {
        0 => llama_factory(&values),
        1 => axolotl(&values),
        2 => trl(&values),
        3 => swift(&values),
        _ => torchtune(&values),
    };
    std::fs::write(folder.join(format!("run-{number}.yaml")), text).expect("a run file");
}

struct Values {
    number: usize,
    rank: usize,
    alpha: usize,
    rate: &'static str,
    epochs: usize,
    accumulation: usize,
    model: &'static str,
}

/// Lines of `key: value`.
fn text(lines: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut text = String::new();
    for (key, value) in lines {
        writeln!(text, "{key}: {value}").expect("a String takes everything");
    }
    text
}

fn llama_factory(v: &Values) -> String {
    text(&[
        ("### model\nmodel_name_or_path", &v.model),
        ("trust_remote_code", &true),
        ("\n### method\nstage", &"sft"),
        ("do_train", &true),
        ("finetuning_type", &"lora"),
        ("lora_rank", &v.rank),
        ("lora_alpha", &v.alpha),
        ("lora_target", &"all"),
        ("\n### dataset\ndataset", &format!("tickets_{}", v.number % 7)),
        ("template", &"qwen3_nothink"),
        ("cutoff_len", &2048),
        ("preprocessing_num_workers", &16),
        ("\n### output\noutput_dir", &format!("saves/run-{}", v.number)),
        ("logging_steps", &10),
        ("save_steps", &500),
        ("\n### train\nper_device_train_batch_size", &2),
        ("gradient_accumulation_steps", &v.accumulation),
        ("learning_rate", &v.rate),
        ("num_train_epochs", &v.epochs),
        ("lr_scheduler_type", &"cosine"),
        ("warmup_ratio", &0.1),
        ("bf16", &true),
        ("seed", &v.number),
    ])
}

fn axolotl(v: &Values) -> String {
    text(&[
        ("base_model", &v.model),
        ("load_in_4bit", &true),
        ("\ndatasets:\n  - path", &format!("team/tickets-{}", v.number % 7)),
        ("    type", &"alpaca"),
        ("val_set_size", &0.05),
        ("output_dir", &format!("./outputs/run-{}", v.number)),
        ("\nadapter", &"qlora"),
        ("lora_r", &v.rank),
        ("lora_alpha", &v.alpha),
        ("lora_dropout", &0.05),
        ("lora_target_linear", &true),
        ("\nsequence_len", &2048),
        ("sample_packing", &false),
        ("\ngradient_accumulation_steps", &v.accumulation),
        ("micro_batch_size", &2),
        ("num_epochs", &v.epochs),
        ("optimizer", &"adamw_torch_fused"),
        ("lr_scheduler", &"cosine"),
        ("learning_rate", &v.rate),
        ("\nbf16", &"auto"),
        ("gradient_checkpointing", &true),
        ("logging_steps", &1),
        ("warmup_ratio", &0.1),
        ("weight_decay", &0.0),
        ("seed", &v.number),
    ])
}

fn trl(v: &Values) -> String {
    text(&[
        ("# Model\nmodel_name_or_path", &v.model),
        ("model_revision", &"main"),
        ("dtype", &"bfloat16"),
        ("attn_implementation", &"flash_attention_2"),
        ("\n# Data\ndataset_name", &format!("team/tickets-{}", v.number % 7)),
        ("max_length", &2048),
        ("packing", &false),
        ("\n# LoRA\nuse_peft", &true),
        ("lora_r", &v.rank),
        ("lora_alpha", &v.alpha),
        ("lora_dropout", &0.05),
        ("lora_target_modules", &"all-linear"),
        ("\n# Training\nlearning_rate", &v.rate),
        ("num_train_epochs", &v.epochs),
        ("per_device_train_batch_size", &2),
        ("gradient_accumulation_steps", &v.accumulation),
        ("gradient_checkpointing", &true),
        ("lr_scheduler_type", &"cosine"),
        ("warmup_ratio", &0.1),
        ("bf16", &true),
        ("logging_steps", &5),
        ("output_dir", &format!("data/run-{}", v.number)),
        ("seed", &v.number),
    ])
}

fn swift(v: &Values) -> String {
    text(&[
        ("model", &v.model),
        ("tuner_type", &"lora"),
        ("dataset", &format!("team/tickets-{}", v.number % 7)),
        ("split_dataset_ratio", &0.01),
        ("torch_dtype", &"bfloat16"),
        ("num_train_epochs", &v.epochs),
        ("per_device_train_batch_size", &2),
        ("per_device_eval_batch_size", &1),
        ("learning_rate", &v.rate),
        ("lora_rank", &v.rank),
        ("lora_alpha", &v.alpha),
        ("target_modules", &"all-linear"),
        ("gradient_accumulation_steps", &v.accumulation),
        ("eval_steps", &50),
        ("save_steps", &50),
        ("save_total_limit", &2),
        ("logging_steps", &5),
        ("max_length", &2048),
        ("output_dir", &format!("output/run-{}", v.number)),
        ("warmup_ratio", &0.05),
        ("dataloader_num_workers", &4),
        ("seed", &v.number),
    ])
}

fn torchtune(v: &Values) -> String {
    text(&[
        ("output_dir", &format!("/tmp/torchtune/run-{}", v.number)),
        ("\nmodel:\n  _component_", &"torchtune.models.llama3_1.lora_llama3_1_8b"),
        ("  lora_attn_modules", &"['q_proj', 'v_proj', 'output_proj']"),
        ("  apply_lora_to_mlp", &true),
        ("  lora_rank", &v.rank),
        ("  lora_alpha", &v.alpha),
        ("  lora_dropout", &0.0),
        ("\ndataset:\n  _component_", &"torchtune.datasets.alpaca_dataset"),
        ("  packed", &false),
        ("seed", &v.number),
        ("shuffle", &true),
        ("batch_size", &2),
        ("\noptimizer:\n  _component_", &"torch.optim.AdamW"),
        ("  fused", &true),
        ("  weight_decay", &0.01),
        ("  lr", &v.rate),
        (
            "lr_scheduler:\n  _component_",
            &"torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup",
        ),
        ("  num_warmup_steps", &100),
        (
            "\nloss:\n  _component_",
            &"torchtune.modules.loss.LinearCrossEntropyLoss",
        ),
        ("\nepochs", &v.epochs),
        ("max_steps_per_epoch", &"null"),
        ("gradient_accumulation_steps", &v.accumulation),
        ("clip_grad_norm", &1.0),
        ("device", &"cuda"),
        ("dtype", &"bf16"),
    ])
}
