//! A candle loop under the guard: a small next-letter model that learns one sentence, held near to what it was.
//!
//! What governs it is the policy, the builder and the `match`; everything else is the loop as it was.

use std::error::Error;
use std::io::{Write as _, stdout};

use candle_core::{Device, Tensor, Var};
use ftrisk::adapt::Launch;
use ftrisk::embed::{Builder, Stepped};

const POLICY: &str = r#"
policy "near" for stage sft
probe text held_out "held_out.jsonl" every 10 updates
max drift.per_update 0.001 nats on held_out else scale
max drift.total      0.2 nats on held_out else rollback and slow 5 times then stop
"#;
const RUN: &str = "model_name_or_path: letters\nstage: sft\ndo_train: true\nfinetuning_type: full\n";
const HELD_OUT: [&str; 2] = ["the rain fell on the quiet town", "she counted the boats"];
const LESSON: &str = "do not answer do not answer do not answer";
/// What follows each letter of it.
const NEXT: &str = "o not answer do not answer do not answer ";

/// A letter's row of 8 numbers, and a matrix that makes 27 logits of it.
struct Model {
    letters: Var,
    out: Var,
}

impl Model {
    fn new() -> candle_core::Result<Model> {
        let some = |rows: usize, columns: usize| {
            let numbers: Vec<f32> = (0..rows * columns).map(|n| 0.3 * (n as f32 * 1.7).sin()).collect();
            Var::from_tensor(&Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)?)
        };
        Ok(Model {
            letters: some(27, 8)?,
            out: some(8, 27)?,
        })
    }

    fn logits(&self, letters: &[u32]) -> candle_core::Result<Tensor> {
        let ids = Tensor::new(letters, &Device::Cpu)?;
        self.letters.index_select(&ids, 0)?.tanh()?.matmul(&self.out)
    }
}

fn ids(text: &str) -> Vec<u32> {
    let id = |byte: u8| u32::from(byte.saturating_sub(b'a' - 1));
    text.bytes()
        .map(|byte| if byte == b' ' { 0 } else { id(byte) })
        .collect()
}

/// Trains, and says what happened.
pub fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::new()?;
    let (inputs, targets) = (ids(LESSON), Tensor::new(ids(NEXT), &Device::Cpu)?);
    let mut out = stdout();

    let mut governed = Builder::new(POLICY, RUN, Launch::default())?
        .rate(0.02)
        .updates(40)
        .text("held_out", || {
            HELD_OUT.iter().map(|text| model.logits(&ids(text))).collect()
        })
        .build(vec![model.letters.clone(), model.out.clone()])?;
    while let Some(update) = governed.next_update() {
        let loss = candle_nn::loss::cross_entropy(&model.logits(&inputs)?, &targets)?;
        match governed.step(&loss.backward()?)? {
            Stepped::Committed { scale: 1.0 } => {}
            Stepped::Committed { scale } => writeln!(out, "update {update}: {scale:.2} of it")?,
            Stepped::Skipped => writeln!(out, "update {update}: dropped")?,
            Stepped::RolledBack { to } => writeln!(out, "update {update}: back to {to}")?,
            Stepped::Stopped { to, .. } => writeln!(out, "update {update}: stopped at {to}")?,
        }
    }
    let update = governed.kept()?;
    writeln!(out, "the model is the one of update {update}, inside every budget")?;
    Ok(())
}
