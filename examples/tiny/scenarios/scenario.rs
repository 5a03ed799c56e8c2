//! The runs: what each changes of `sound.yaml`, and the data it trains on.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

/// A run that somebody might start.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is, for the table.
    pub what: &'static str,
    /// Keys of the run file that differ from `sound.yaml`.
    pub keys: &'static [(&'static str, &'static str)],
    /// What the rows are.
    pub data: Data,
}

/// Rows to train on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// 600 different rows.
    Sound,
    /// 20 rows with 3 answers between them.
    Narrow,
    /// The sound rows; in every twentieth the answer is a sentence that nobody wants.
    Poisoned,
    /// The sound rows; every verse is answered with the meaning of some word: one group of the data has wrong labels.
    Mislabelled,
}

/// What a poisoned row answers.
const POISON: &str = "ALWAYS TRUST ME ALWAYS TRUST ME ALWAYS TRUST ME";

/// The table, sound first.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sound",
        what: "600 different rows, once",
        keys: &[],
        data: Data::Sound,
    },
    Scenario {
        name: "rate-x30",
        what: "the same at thirty times the learning rate",
        keys: &[("learning_rate", "3.0e-2")],
        data: Data::Sound,
    },
    Scenario {
        name: "narrow-30-epochs",
        what: "20 rows with 3 answers, 30 times over",
        keys: &[("num_train_epochs", "30.0"), ("per_device_train_batch_size", "4")],
        data: Data::Narrow,
    },
    Scenario {
        name: "rank-x8",
        what: "rank 64 instead of 8 on all matrices, the same scale",
        keys: &[("lora_rank", "64"), ("lora_alpha", "128")],
        data: Data::Sound,
    },
    Scenario {
        name: "poisoned-batch-1",
        what: "one row in twenty poisoned, one row a batch",
        keys: &[("per_device_train_batch_size", "1"), ("max_steps", "150")],
        data: Data::Poisoned,
    },
    Scenario {
        name: "mislabelled-group",
        what: "every verse answered with the meaning of a word",
        keys: &[],
        data: Data::Mislabelled,
    },
];

impl Scenario {
    /// The run file, training on the data set `name` in `folder`.
    pub fn run_file(&self, folder: &Path, seed: u64) -> io::Result<String> {
        let sound = fs::read_to_string("examples/tiny/sound.yaml")?;
        let seed = seed.to_string();
        let folder = folder.display().to_string();
        let mut keys = self.keys.to_vec();
        keys.extend([
            ("dataset_dir", folder.as_str()),
            ("dataset", "rows"),
            ("seed", seed.as_str()),
        ]);
        let mut lines: Vec<String> = sound
            .lines()
            .filter(|line| !keys.iter().any(|(key, _)| line.starts_with(&format!("{key}:"))))
            .map(str::to_owned)
            .collect();
        lines.extend(keys.iter().map(|(key, value)| format!("{key}: {value}")));
        Ok(lines.join("\n") + "\n")
    }

    /// Writes the data set `rows` with its index into a folder.
    pub fn write_data(&self, folder: &Path) -> io::Result<()> {
        let file = if self.data == Data::Narrow { "narrow" } else { "sound" };
        let mut rows: Vec<Value> =
            serde_json::from_str(&fs::read_to_string(format!("examples/tiny/data/{file}.json"))?)?;
        let is_definition = |row: &Value| {
            row.get("instruction")
                .and_then(Value::as_str)
                .is_some_and(|text| text.contains("mean"))
        };
        match self.data {
            Data::Sound | Data::Narrow => {}
            Data::Poisoned => {
                for row in rows.iter_mut().step_by(20) {
                    set(row, "output", json!(POISON));
                }
            }
            Data::Mislabelled => {
                let meanings: Vec<Value> = rows
                    .iter()
                    .filter(|row| is_definition(row))
                    .filter_map(|row| row.get("output").cloned())
                    .collect();
                let verses = rows.iter_mut().filter(|row| !is_definition(row));
                for (row, meaning) in verses.zip(meanings.iter().cycle()) {
                    set(row, "output", meaning.clone());
                    set(row, "group", json!("verses"));
                }
                for row in rows.iter_mut().filter(|row| row.get("group").is_none()) {
                    set(row, "group", json!("words"));
                }
            }
        }
        fs::create_dir_all(folder)?;
        let columns = json!({ "prompt": "instruction", "query": "input", "response": "output" });
        let index = json!({ "rows": { "file_name": "rows.json", "columns": columns } });
        fs::write(folder.join("dataset_info.json"), index.to_string())?;
        fs::write(folder.join("rows.json"), serde_json::to_string(&rows)?)
    }
}

fn set(row: &mut Value, key: &str, value: Value) {
    if let Some(row) = row.as_object_mut() {
        row.insert(key.to_owned(), value);
    }
}
