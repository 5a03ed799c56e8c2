//! Data sets as LLaMA-Factory names them: entries of `dataset_info.json`, each a file of JSON rows.
//!
//! The one file of this room that reads files. Followed in `data/parser.py`, `data/loader.py` and `data/converter.py`
//! at commit ff6d4d12, for the `alpaca` form; what is not read is refused by the name of its key. Stricter in one
//! place: a row without an answer is an error here, where the framework drops it or trains on nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Example, Turn};
use crate::diag::{closest, one_of};
use crate::facts::Recipe;
use crate::source::sha256;
use crate::train::error::Error;

/// The index of a folder of data sets.
const INDEX: &str = "dataset_info.json";
/// The column that names a row's group; the framework passes over it.
const GROUP: &str = "group";
/// Keys of an entry that are read, or that say what holds anyway.
const KEYS: &[(&str, Option<&str>)] = &[
    ("file_name", None),
    ("columns", None),
    ("formatting", Some("alpaca")),
    ("ranking", Some("false")),
    ("split", Some("train")),
    // Only the `sharegpt` form reads tags.
    ("tags", None),
];

/// The rows of a run, and the files they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Rows of all sets, in the order of the sets and of their files.
    pub examples: Vec<Example>,
    /// Path and SHA-256, in lower-case hexadecimal, of each file that was read, the index first.
    pub hashes: Vec<(String, String)>,
}

/// Reads the data sets of a recipe.
///
/// # Errors
///
/// A file that cannot be read or is no JSON, a data set that the index does not have, an entry of a kind that is not
/// read, a row that cannot be trained on, and no row at all. Each names the file, and the row counted from 1.
pub fn read(recipe: &Recipe) -> Result<Data, Error> {
    let folder = Path::new(&recipe.dataset_dir.value);
    let mut data = Data {
        examples: Vec::new(),
        hashes: Vec::new(),
    };
    let path = folder.join(INDEX);
    let index = load(&path, &mut data.hashes)?;
    let shown = path.display().to_string();
    let index: BTreeMap<String, Value> =
        serde_json::from_str(&index).map_err(|error| Error::new(format!("{shown}: {error}")))?;
    let most = recipe
        .max_samples
        .as_ref()
        .map_or(usize::MAX, |most| usize::try_from(most.value).unwrap_or(usize::MAX));
    for name in &recipe.dataset.value {
        let entry = index.get(name).ok_or_else(|| unknown(name, &shown, &index))?;
        let set = Set::of(name, entry, &shown)?;
        let path = folder.join(&set.file);
        let text = load(&path, &mut data.hashes)?;
        let file = path.display().to_string();
        let rows = parse(&text, &file)?;
        set.has_columns(&rows, &file)?;
        for (at, row) in rows.iter().take(most).enumerate() {
            let example = set.example(row).map_err(|error| Error {
                message: format!("{file}: row {}: {}", at + 1, error.message),
                ..error
            })?;
            data.examples.push(Example {
                place: (file.clone(), at as u64 + 1),
                ..example
            });
        }
    }
    if data.examples.is_empty() {
        let names = recipe.dataset.value.join(", ");
        return Err(Error::new(format!("no row to train on in {names}")).with_help("check the data and max_samples"));
    }
    Ok(data)
}

/// The text of a file; its hash is added to those known.
fn load(path: &Path, hashes: &mut Vec<(String, String)>) -> Result<String, Error> {
    let shown = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| {
        Error::new(format!("cannot read {shown}: {error}"))
            .with_help("dataset_dir names the folder of dataset_info.json")
    })?;
    if hashes.iter().all(|(known, _)| *known != shown) {
        hashes.push((shown.clone(), sha256(&bytes)));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(format!("{shown} is not UTF-8 text")))
}

fn unknown(name: &str, index: &str, known: &BTreeMap<String, Value>) -> Error {
    const SHOWN: usize = 12;
    let error = Error::new(format!("{index} has no data set `{name}`"));
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    match closest(name, names.iter().copied()) {
        Some(meant) => error.with_help(format!("did you mean `{meant}`? It has {}", some(&names, SHOWN))),
        None if names.is_empty() => error.with_help("add an entry with `file_name`"),
        None => error.with_help(format!("it has {}", some(&names, SHOWN))),
    }
}

fn some(names: &[&str], most: usize) -> String {
    match names.get(..most) {
        Some(first) if names.len() > most => format!("{} and {} more", first.join(", "), names.len() - most),
        _ => names.join(", "),
    }
}

/// Rows of a list, or one on each line.
fn parse(text: &str, file: &str) -> Result<Vec<Map<String, Value>>, Error> {
    let text = text.trim_start_matches('\u{feff}');
    let no_json = |line: usize, error: serde_json::Error| Error::new(format!("{file}: line {line}: {error}"));
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| no_json(error.line(), error));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| serde_json::from_str(line).map_err(|error| no_json(at + 1, error)))
        .collect()
}

/// An entry of the index.
struct Set {
    name: String,
    file: String,
    prompt: Option<String>,
    query: Option<String>,
    response: Option<String>,
    system: Option<String>,
    history: Option<String>,
}

impl Set {
    fn of(name: &str, entry: &Value, index: &str) -> Result<Set, Error> {
        let wrong = |what: String| Error::new(format!("{index}: data set `{name}`: {what}"));
        let Some(entry) = entry.as_object() else {
            return Err(wrong("this is no mapping".into()));
        };
        for (key, value) in entry.iter().filter(|(_, value)| !value.is_null()) {
            let Some((_, only)) = KEYS.iter().find(|(known, _)| known == key) else {
                let help = "name a local file by `file_name`, with alpaca's columns";
                return Err(wrong(format!("`{key}` is not read")).with_help(help));
            };
            let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(only) = only.filter(|only| *only != written) {
                return Err(wrong(format!("`{key}` can only be {only}, not {written}")));
            }
        }
        let file = entry.get("file_name").and_then(Value::as_str).map(str::to_owned);
        let file = file.ok_or_else(|| wrong("it has no `file_name`".into()))?;
        let usual = |name: &str| Some(name.to_owned());
        let mut set = Set {
            name: name.to_owned(),
            file,
            prompt: usual("instruction"),
            query: usual("input"),
            response: usual("output"),
            system: None,
            history: None,
        };
        let columns = entry.get("columns").filter(|columns| !columns.is_null());
        if let Some(columns) = columns {
            let Some(columns) = columns.as_object() else {
                return Err(wrong("`columns` is no mapping".into()));
            };
            // With `columns`, a column that is not named is not there: no default stands in for it.
            (set.prompt, set.query, set.response) = (None, None, None);
            for (column, of) in columns.iter().filter(|(_, of)| !of.is_null()) {
                let of = of.as_str().map(str::to_owned);
                let of = Some(of.ok_or_else(|| wrong(format!("column `{column}` is no text")))?);
                match column.as_str() {
                    "prompt" => set.prompt = of,
                    "query" => set.query = of,
                    "response" => set.response = of,
                    "system" => set.system = of,
                    "history" => set.history = of,
                    other => {
                        let known = one_of(&["prompt", "query", "response", "system", "history"]);
                        return Err(wrong(format!("column `{other}` is not read")).with_help(format!("name {known}")));
                    }
                }
            }
        }
        if set.response.is_none() {
            return Err(wrong("its columns name no `response`".into()));
        }
        Ok(set)
    }

    /// The columns that are read.
    fn columns(&self) -> impl Iterator<Item = &String> {
        let columns = [&self.prompt, &self.query, &self.response, &self.system, &self.history];
        columns.into_iter().flatten()
    }

    /// A column that no row has is one that somebody misspelled.
    fn has_columns(&self, rows: &[Map<String, Value>], file: &str) -> Result<(), Error> {
        for column in self.columns() {
            if !rows.is_empty() && !rows.iter().any(|row| row.contains_key(column)) {
                let error = Error::new(format!("{file}: no row has a column `{column}`"));
                return Err(error.with_help(format!("name the file's columns under `columns` in {INDEX}")));
            }
        }
        Ok(())
    }

    fn example(&self, row: &Map<String, Value>) -> Result<Example, Error> {
        let mut turns = Vec::new();
        if let Some(history) = self
            .history
            .as_ref()
            .and_then(|column| row.get(column))
            .and_then(Value::as_array)
        {
            for turn in history {
                let Some([Value::String(prompt), Value::String(response)]) = turn.as_array().map(Vec::as_slice) else {
                    return Err(Error::new("a turn of the history is no pair of texts"));
                };
                turns.push(Turn {
                    prompt: prompt.clone(),
                    response: response.clone(),
                });
            }
        }
        let asked = [text(row, self.prompt.as_deref())?, text(row, self.query.as_deref())?];
        let asked: Vec<&str> = asked.into_iter().filter(|part| !part.is_empty()).collect();
        let response = text(row, self.response.as_deref())?;
        if response.trim().is_empty() {
            let column = self.response.as_deref().unwrap_or_default();
            return Err(Error::new(format!("`{column}` holds no answer")).with_help("remove the row, or answer it"));
        }
        turns.push(Turn {
            prompt: asked.join("\n"),
            response: response.to_owned(),
        });
        let system = text(row, self.system.as_deref())?.to_owned();
        let group = self.group(row);
        Ok(Example {
            system,
            turns,
            group,
            ..Example::default()
        })
    }

    /// Never refuses a row: what stands in a column that is not trained on is no reason not to train.
    fn group(&self, row: &Map<String, Value>) -> String {
        let of_row = row.get(GROUP).filter(|_| self.columns().all(|column| column != GROUP));
        match of_row {
            Some(Value::String(group)) if !group.is_empty() => group.clone(),
            Some(group @ (Value::Number(_) | Value::Bool(_))) => group.to_string(),
            _ => self.name.clone(),
        }
    }
}

/// The text of a column; empty where the row has none.
fn text<'a>(row: &'a Map<String, Value>, column: Option<&str>) -> Result<&'a str, Error> {
    let Some(column) = column else { return Ok("") };
    match row.get(column) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Error::new(format!("`{column}` is no text"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Set, parse};

    fn of(entry: &serde_json::Value) -> Result<Set, String> {
        Set::of("d", entry, "i").map_err(|error| error.message)
    }

    /// The prompt and the response of each turn, the system message first.
    fn shown(entry: &serde_json::Value, row: &str) -> Result<Vec<String>, String> {
        let set = of(entry)?;
        let rows = parse(row, "f").map_err(|error| error.message)?;
        set.has_columns(&rows, "f").map_err(|error| error.message)?;
        let example = set.example(&rows[0]).map_err(|error| error.message)?;
        let turns = example.turns.into_iter().flat_map(|turn| [turn.prompt, turn.response]);
        Ok([example.system].into_iter().chain(turns).collect())
    }

    #[test]
    fn rows_are_read_as_the_framework_reads_them() {
        let plain = json!({"file_name": "d.json"});
        let row = r#"[{"instruction": "a", "input": "b", "output": "c"}]"#;
        assert_eq!(shown(&plain, row).unwrap(), ["", "a\nb", "c"]);
        let row = r#"{"instruction": "a", "input": null, "output": "c"}"#;
        assert_eq!(shown(&plain, row).unwrap(), ["", "a", "c"]);
        let named = json!({"file_name": "d", "formatting": "alpaca",
            "columns": {"prompt": "p", "response": "r", "system": "s", "history": "h"}});
        let row = r#"{"p": "a", "input": "no", "r": "c", "s": "t", "h": [["x", "y"]]}"#;
        assert_eq!(shown(&named, row).unwrap(), ["t", "x", "y", "a", "c"]);
    }

    #[test]
    fn a_row_belongs_to_its_group_or_to_its_set() {
        let group = |entry: &serde_json::Value, row: &str| {
            let rows = parse(row, "f").unwrap();
            of(entry).unwrap().example(&rows[0]).unwrap().group
        };
        let plain = json!({"file_name": "d.json"});
        for (column, expected) in [
            ("", "d"),
            (r#", "group": "poems""#, "poems"),
            (r#", "group": 7"#, "7"),
            (r#", "group": null"#, "d"),
            (r#", "group": """#, "d"),
            (r#", "group": ["poems"]"#, "d"),
        ] {
            let row = format!(r#"{{"instruction": "a", "input": "", "output": "c"{column}}}"#);
            assert_eq!(group(&plain, &row), expected, "{column}");
            // And what is trained on is the same.
            assert_eq!(shown(&plain, &row).unwrap(), ["", "a", "c"]);
        }
        // A file that has its questions in a column of that name has no groups.
        let asked = json!({"file_name": "d", "columns": {"prompt": "group", "response": "r"}});
        assert_eq!(group(&asked, r#"{"group": "a", "r": "c"}"#), "d");
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        for (entry, told) in [
            (json!({"hf_hub_url": "a/b"}), "`hf_hub_url` is not read"),
            (
                json!({"file_name": "d", "formatting": "sharegpt"}),
                "`formatting` can only be alpaca, not sharegpt",
            ),
            (
                json!({"file_name": "d", "ranking": true}),
                "`ranking` can only be false, not true",
            ),
            (json!({"file_name": "d", "num_samples": 3}), "`num_samples` is not read"),
            (
                json!({"file_name": "d", "columns": {"images": "i"}}),
                "column `images` is not read",
            ),
            (json!({"columns": {"response": "r"}}), "it has no `file_name`"),
            (
                json!({"file_name": "d", "columns": {"prompt": "p"}}),
                "its columns name no `response`",
            ),
        ] {
            assert_eq!(of(&entry).err().unwrap(), format!("i: data set `d`: {told}"));
        }
        let plain = json!({"file_name": "d"});
        for (row, told) in [
            (
                r#"{"instruction": "a", "input": "", "output": " "}"#,
                "`output` holds no answer",
            ),
            (
                r#"{"instruction": "a", "input": "", "output": 3}"#,
                "`output` is no text",
            ),
            (
                r#"{"instruction": "a", "output": "b"}"#,
                "f: no row has a column `input`",
            ),
        ] {
            assert_eq!(shown(&plain, row).unwrap_err(), told);
        }
        assert!(shown(&plain, "{}\n{").unwrap_err().starts_with("f: line 2: "));
    }

    #[test]
    fn sets_are_joined_and_their_files_hashed() {
        let folder = std::env::temp_dir().join(format!("ftrisk-data-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write(
            "dataset_info.json",
            r#"{"one": {"file_name": "1.jsonl"}, "two": {"file_name": "2.json"}}"#,
        );
        let row = |answer: &str| format!(r#"{{"instruction": "q", "input": "", "output": "{answer}"}}"#);
        write("1.jsonl", &format!("{}\n{}\n{}\n", row("a"), row("b"), row("")));
        write("2.json", &format!("[{}]", row("c")));
        let run = |names: &str, more: &str| {
            let mut sources = crate::source::Sources::default();
            let text = format!(
                "model_name_or_path: m\ndo_train: true\ndataset: {names}\ndataset_dir: {}\ntemplate: default\n{more}",
                folder.display()
            );
            let id = sources.add("run.yaml", text);
            super::read(&crate::adapt::recipe(id, &sources).recipe.unwrap())
        };
        let data = run("one, two", "max_samples: 2\n").unwrap();
        let answers: Vec<_> = data.examples.iter().map(|row| row.turns[0].response.as_str()).collect();
        assert_eq!((answers, data.hashes.len()), (vec!["a", "b", "c"], 3));
        let groups: Vec<_> = data.examples.iter().map(|row| row.group.as_str()).collect();
        assert_eq!(groups, ["one", "one", "two"]);
        assert_eq!(data.hashes[0].1.len(), 64);
        let told = run("one", "").unwrap_err().message;
        assert!(told.ends_with("1.jsonl: row 3: `output` holds no answer"), "{told}");
        let told = run("tow", "").unwrap_err();
        assert!(told.message.ends_with("has no data set `tow`"), "{told:?}");
        assert!(told.help.unwrap().to_lowercase().ends_with("it has one, two"));
        std::fs::remove_file(folder.join("2.json")).unwrap();
        assert!(run("two", "").unwrap_err().message.starts_with("cannot read "));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
