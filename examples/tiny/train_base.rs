//! Trains the tiny base from scratch: `tiny_base TEXTS OUT [--updates N] [--rate R] [--rows N] [--seed N]`.
//!
//! TEXTS is the folder that `texts.py` wrote; OUT holds `config.json` and gets `model.safetensors` (f16) and `MODEL.md`, again
//! and again while the training goes on. The same arguments give the same weights on the same kind of machine.

mod recipe;
mod texts;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, error, f64, fs};

use candle_core::{DType, Device, Tensor};
use ftrisk::train::config::Config;
use ftrisk::train::model::Llama;
use ftrisk::train::optim::Matrices;
use ftrisk::train::tensors;
use recipe::{ADAM, Base, WARMUP, share_of_peak};
use safetensors::tensor::{Dtype, TensorView, serialize};
use sha2::{Digest as _, Sha256};
use texts::{Part, VOICES, batch, bits_per_byte, tokens, units, voices};

type Outcome<T> = Result<T, Box<dyn error::Error>>;

/// How often the weights so far are measured and saved.
const SAVE_EVERY: Duration = Duration::from_secs(180);
struct Arguments {
    texts: PathBuf,
    out: PathBuf,
    updates: u64,
    rate: f64,
    rows: usize,
    seed: u64,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    let config = Config::read(&fs::read(arguments.out.join("config.json"))?, "config.json")?;
    let held_out = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny/heldout.txt"))?;
    let mut training = Vec::new();
    for (name, _) in VOICES {
        let text = fs::read_to_string(arguments.texts.join(name).with_extension("txt"))?;
        training.push(tokens(units(&text).filter(|unit| Part::of(unit) == Part::Base)));
    }
    let mut base = Base::new(&config, arguments.seed)?;
    let (began, mut saved, mut smooth) = (Instant::now(), Instant::now(), f64::NAN);
    for update in 0..arguments.updates {
        let rows = batch(&training, arguments.rows, arguments.seed, update)?;
        let rate = arguments.rate * share_of_peak(update, arguments.updates);
        let now = base.update(&config, &rows, rate)? / f64::consts::LN_2;
        let done = update + 1;
        smooth += (now - smooth) * (done as f64).recip().max(0.02);
        let seconds = began.elapsed().as_secs_f64();
        if done % 20 == 0 {
            let speed = (done as usize * arguments.rows * texts::TIME) as f64 / seconds;
            writeln!(
                stdout(),
                "{done:6} of {}  rate {rate:.2e}  {smooth:.4} bits a byte  {speed:.0} tokens a second  {seconds:.0} s",
                arguments.updates
            )?;
        }
        if done == arguments.updates || saved.elapsed() >= SAVE_EVERY {
            let bits = save(&arguments, &config, &base.params, &held_out, done)?;
            writeln!(stdout(), "saved; held out: {bits}")?;
            saved = Instant::now();
        }
    }
    Ok(())
}

fn arguments() -> Outcome<Arguments> {
    let mut words = env::args().skip(1);
    let usage = "usage: tiny_base TEXTS OUT [--updates N] [--rate R] [--rows N] [--seed N]";
    let mut arguments = Arguments {
        texts: words.next().ok_or(usage)?.into(),
        out: words.next().ok_or(usage)?.into(),
        updates: 4200,
        rate: 3e-3,
        rows: 6,
        seed: 1,
    };
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(usage)?;
        match flag.as_str() {
            "--updates" => arguments.updates = value.parse()?,
            "--rate" => arguments.rate = value.parse()?,
            "--rows" => arguments.rows = value.parse()?,
            "--seed" => arguments.seed = value.parse()?,
            _ => return Err(usage.into()),
        }
    }
    Ok(arguments)
}

/// The parameters as a safetensors file of f16.
fn half(params: &Matrices, shapes: &BTreeMap<String, Vec<usize>>) -> Outcome<Vec<u8>> {
    let mut halves = Vec::new();
    for (name, values) in params {
        let shape = shapes.get(name).ok_or_else(|| format!("{name} has no shape"))?;
        let mut bytes = Vec::new();
        let tensor = Tensor::new(values.as_slice(), &Device::Cpu)?;
        tensor.to_dtype(DType::F16)?.write_bytes(&mut bytes)?;
        halves.push((name.as_str(), shape.clone(), bytes));
    }
    let mut views = Vec::new();
    for (name, shape, bytes) in &halves {
        views.push((*name, TensorView::new(Dtype::F16, shape.clone(), bytes)?));
    }
    Ok(serialize(views, Some([("format".to_owned(), "pt".to_owned())].into()))?)
}

/// Writes the weights as f16 and what they are; gives the bits a byte of the weights as written.
fn save(arguments: &Arguments, config: &Config, params: &Matrices, held_out: &str, done: u64) -> Outcome<String> {
    let bytes = half(params, &config.shapes())?;
    let model = Llama::new(config, &tensors::read(&bytes, "model.safetensors")?)?;
    let (mut rows, mut words) = (String::new(), String::new());
    for (voice, text) in voices(held_out) {
        let bits = bits_per_byte(&model, text)?;
        writeln!(rows, "| {voice} | {bits:.4} |")?;
        write!(words, "{voice} {bits:.4} ")?;
    }
    let count: usize = params.values().map(Vec::len).sum();
    let Arguments {
        updates,
        rate,
        rows: batch,
        seed,
        ..
    } = arguments;
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let progress = if done == *updates {
        String::new()
    } else {
        format!("This is a state under way: update {done} of {updates}.\n\n")
    };
    let page = format!(
        "# The tiny base\n\n\
        A byte-level Llama of {count} parameters in three voices: the King James Bible, the Jargon File and the Devil's \
        Dictionary. It was trained from scratch by `examples/tiny/train_base.rs` and knows nothing but these texts; \
        [LICENSES.md](../LICENSES.md) says where they are from.\n\n\
        {progress}\
        | held-out text | bits a byte |\n|---|---|\n{rows}\n\
        Measured on `examples/tiny/heldout.txt` with the weights in `model.safetensors`, which are f16.\n\n\
        | | |\n|---|---|\n\
        | updates | {done} of {batch} rows of {time} bytes |\n\
        | peak learning rate | {rate:e}, cosine, warm-up {warmup} |\n\
        | AdamW | betas {beta1}, {beta2}; decay {decay}; clipped at 1 |\n\
        | seed | {seed} |\n\
        | sha256 of `model.safetensors` | `{hash}` |\n\n\
        Recipe:\n\n\
        ```sh\n\
        python3 examples/tiny/texts.py target/tiny-texts\n\
        cargo run --release --locked --example tiny_base -- target/tiny-texts examples/tiny/base \
        --updates {updates} --rate {rate} --rows {batch} --seed {seed}\n\
        ```\n\n\
        Another kind of machine rounds differently and gives other weights that are as good.\n",
        time = texts::TIME,
        warmup = WARMUP,
        beta1 = ADAM.beta1,
        beta2 = ADAM.beta2,
        decay = ADAM.decay,
    );
    // Written beside and renamed, so that a reader never sees half a file.
    for (name, content) in [("model.safetensors", bytes.as_slice()), ("MODEL.md", page.as_bytes())] {
        let beside = arguments.out.join(format!("{name}.new"));
        fs::write(&beside, content)?;
        fs::rename(beside, arguments.out.join(name))?;
    }
    Ok(words)
}
