//! A model folder as Hugging Face lays it out: `config.json`, `tokenizer.json`, and the weights in one file or in shards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::config::Config;
use super::error::{Error, Result};
use super::model::Weights;
use super::tensors;
use crate::source::sha256;

/// What a model folder holds.
#[derive(Debug)]
pub struct Folder {
    /// The model's shape.
    pub config: Config,
    /// The tensors that the shape names, as f32 and finite.
    pub weights: Weights,
    /// The tokenizer, without the truncation and padding that its file may ask for.
    pub tokenizer: Tokenizer,
    /// SHA-256 in hexadecimal of each file that was read, by its name.
    pub hashes: BTreeMap<String, String>,
}

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Folder {
    /// Reads the folder at `path`.
    ///
    /// Errors, which name the file and the tensor: a file that is missing, unreadable or not well formed; a config that is
    /// not built; a tensor that is missing, of another shape than the config's, of a type that is not read or not finite, or
    /// that the config does not know; a tokenizer with ids beyond the config's vocabulary.
    pub fn open(path: &Path) -> Result<Folder> {
        let mut reader = Reader {
            path,
            hashes: BTreeMap::new(),
        };
        if !path.is_dir() {
            return Err(Error::new(format!("there is no model folder {}", path.display())));
        }
        let config = Config::read(&reader.read("config.json")?, "config.json")?;
        let tokenizer = tokenizer(&reader.read("tokenizer.json")?, &config)?;
        let weights = expected(&config, reader.weights()?)?;
        Ok(Folder {
            config,
            weights,
            tokenizer,
            hashes: reader.hashes,
        })
    }
}

struct Reader<'a> {
    path: &'a Path,
    hashes: BTreeMap<String, String>,
}

impl Reader<'_> {
    fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let path = self.path.join(name);
        if !path.exists() {
            return Err(Error::new(format!(
                "the model folder {} has no {name}",
                self.path.display()
            )));
        }
        let bytes =
            fs::read(&path).map_err(|error| Error::new(format!("{} cannot be read: {error}", path.display())))?;
        self.hashes.insert(name.to_owned(), sha256(&bytes));
        Ok(bytes)
    }

    /// Every tensor, with the file it is in.
    fn weights(&mut self) -> Result<BTreeMap<String, (String, candle_core::Tensor)>> {
        let files = if self.has(WEIGHTS) {
            BTreeSet::from([WEIGHTS.to_owned()])
        } else if self.has(INDEX) {
            shards(&self.read(INDEX)?)?
        } else {
            return Err(
                Error::new(format!("the model folder {} has no {WEIGHTS}", self.path.display())).with_help(format!(
                    "the weights are one file, {WEIGHTS}, or shards that {INDEX} lists"
                )),
            );
        };
        let mut all = BTreeMap::new();
        for file in files {
            for (name, tensor) in tensors::read(&self.read(&file)?, &file)? {
                if let Some((other, _)) = all.insert(name.clone(), (file.clone(), tensor)) {
                    return Err(Error::new(format!("tensor {name} is both in {other} and in {file}")));
                }
            }
        }
        Ok(all)
    }
}

/// The files that an index lists. Each is a name in the same folder: an index that somebody else wrote must not reach out.
fn shards(index: &[u8]) -> Result<BTreeSet<String>> {
    let index: Value =
        serde_json::from_slice(index).map_err(|error| Error::new(format!("{INDEX} is no JSON: {error}")))?;
    let map = index
        .get("weight_map")
        .and_then(Value::as_object)
        .filter(|map| !map.is_empty())
        .ok_or_else(|| Error::new(format!("{INDEX} has no weight_map")))?;
    let file = |value: &Value| match value.as_str() {
        Some(file) if file.ends_with(".safetensors") && !file.contains(['/', '\\', '\0']) => Ok(file.to_owned()),
        _ => Err(Error::new(format!(
            "{INDEX}: {value} is no safetensors file of the folder"
        ))),
    };
    map.values().map(file).collect()
}

/// The tensors that `config` names, in their shapes.
fn expected(config: &Config, mut found: BTreeMap<String, (String, candle_core::Tensor)>) -> Result<Weights> {
    let mut weights = Weights::new();
    for (name, shape) in config.shapes() {
        let (file, tensor) = found
            .remove(&name)
            .ok_or_else(|| Error::new(format!("the weights have no tensor {name}, which config.json asks for")))?;
        if tensor.dims() != shape.as_slice() {
            return Err(Error::new(format!(
                "{file}: tensor {name} has shape {:?}, and config.json gives {shape:?}",
                tensor.dims()
            )));
        }
        weights.insert(name, tensor);
    }
    // Old exports carry the rotary frequencies, and tied models sometimes their head once more.
    let is_known = |name: &str| name.ends_with(".rotary_emb.inv_freq") || (config.tied && name == "lm_head.weight");
    match found.iter().find(|(name, _)| !is_known(name)) {
        Some((name, (file, _))) => Err(Error::new(format!(
            "{file}: tensor {name} has no place in the model that config.json describes"
        ))),
        None => Ok(weights),
    }
}

fn tokenizer(bytes: &[u8], config: &Config) -> Result<Tokenizer> {
    let unreadable = |error| Error::new(format!("tokenizer.json is no tokenizer: {error}"));
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(unreadable)?;
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
    if largest as usize >= config.vocab {
        return Err(Error::new(format!(
            "tokenizer.json has token id {largest}, and config.json gives a vocabulary of {}",
            config.vocab
        )));
    }
    tokenizer.with_truncation(None).map_err(unreadable)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use candle_core::DType;
    use serde_json::json;

    use super::*;
    use crate::train::model::initial;
    use crate::train::model::tests::small;

    /// A folder that goes away with the test.
    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("ftrisk-folder-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            let scratch = Scratch(path);
            scratch.put("config.json", small().to_json().as_bytes());
            let vocab: serde_json::Map<String, Value> = (0..11u32).map(|id| (format!("t{id}"), json!(id))).collect();
            let tokenizer = json!({
                "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
                "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "t0"},
            });
            scratch.put("tokenizer.json", tokenizer.to_string().as_bytes());
            scratch.put(
                WEIGHTS,
                &tensors::write(&initial(&small(), 1).unwrap(), DType::F32).unwrap(),
            );
            scratch
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            fs::write(self.0.join(name), bytes).unwrap();
        }

        fn open(&self) -> std::result::Result<Folder, String> {
            Folder::open(&self.0).map_err(|error| error.message.replace(self.0.to_str().unwrap(), "DIR"))
        }

        fn change(&self, change: impl FnOnce(&mut Weights)) {
            let mut weights = initial(&small(), 1).unwrap();
            change(&mut weights);
            self.put(WEIGHTS, &tensors::write(&weights, DType::F32).unwrap());
        }

        /// Replaces `from` in the header by `to` of the same length.
        fn lie(&self, from: &str, to: &str) {
            let mut bytes = fs::read(self.0.join(WEIGHTS)).unwrap();
            let at = bytes
                .windows(from.len())
                .position(|window| window == from.as_bytes())
                .unwrap();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            self.put(WEIGHTS, &bytes);
        }
    }

    #[test]
    fn a_folder_gives_its_weights_and_hashes() {
        let scratch = Scratch::new("good");
        let folder = scratch.open().unwrap();
        assert_eq!(folder.config, small());
        assert_eq!(folder.weights.len(), small().shapes().len());
        let config = fs::read(scratch.0.join("config.json")).unwrap();
        assert_eq!(folder.hashes["config.json"], sha256(&config));
        assert_eq!(folder.hashes.len(), 3);
        assert_eq!(folder.tokenizer.encode("t3 t9", false).unwrap().get_ids(), [3, 9]);
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn half_precision_is_widened_exactly() {
        for dtype in [DType::F16, DType::BF16] {
            let scratch = Scratch::new(&format!("half-{dtype:?}"));
            let weights = initial(&small(), 1).unwrap();
            scratch.put(WEIGHTS, &tensors::write(&weights, dtype).unwrap());
            for (name, tensor) in scratch.open().unwrap().weights {
                let expected = weights[&name].to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
                assert_eq!(
                    tensors::numbers(&tensor).unwrap(),
                    tensors::numbers(&expected).unwrap(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn shards_are_read_through_their_index() {
        let scratch = Scratch::new("shards");
        let mut first = initial(&small(), 1).unwrap();
        let second = first.split_off("model.layers.1");
        fs::remove_file(scratch.0.join(WEIGHTS)).unwrap();
        scratch.put("a.safetensors", &tensors::write(&first, DType::F32).unwrap());
        scratch.put("b.safetensors", &tensors::write(&second, DType::F32).unwrap());
        scratch.put(
            INDEX,
            br#"{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}"#,
        );
        let folder = scratch.open().unwrap();
        assert!(folder.hashes.contains_key("b.safetensors") && folder.hashes.contains_key(INDEX));
        scratch.put(INDEX, br#"{"weight_map": {"x": "../a.safetensors"}}"#);
        assert_eq!(
            scratch.open().unwrap_err(),
            format!("{INDEX}: \"../a.safetensors\" is no safetensors file of the folder")
        );
        scratch.put(
            INDEX,
            br#"{"weight_map": {"x": "a.safetensors", "y": "c.safetensors"}}"#,
        );
        assert_eq!(scratch.open().unwrap_err(), "the model folder DIR has no c.safetensors");
    }

    #[test]
    fn missing_files_are_named() {
        for (file, message) in [
            ("config.json", "the model folder DIR has no config.json"),
            ("tokenizer.json", "the model folder DIR has no tokenizer.json"),
            (WEIGHTS, "the model folder DIR has no model.safetensors"),
        ] {
            let scratch = Scratch::new(file);
            fs::remove_file(scratch.0.join(file)).unwrap();
            assert_eq!(scratch.open().unwrap_err(), message);
        }
        let error = Folder::open(Path::new("no/such/folder")).unwrap_err();
        assert_eq!(error.message, "there is no model folder no/such/folder");
    }

    #[test]
    fn broken_weights_are_errors() {
        let scratch = Scratch::new("broken");
        let whole = fs::read(scratch.0.join(WEIGHTS)).unwrap();
        let message = |bytes: &[u8]| {
            scratch.put(WEIGHTS, bytes);
            scratch.open().unwrap_err()
        };
        assert_eq!(
            message(&whole[..whole.len() - 1]),
            "model.safetensors is cut off or has bytes too many: its header describes another number of bytes than it holds"
        );
        assert_eq!(
            message(&whole[..5]),
            "model.safetensors is cut off: 5 bytes hold no safetensors header"
        );
        assert_eq!(
            message(&[u64::MAX.to_le_bytes().as_slice(), b"{}"].concat()),
            "model.safetensors is cut off or no safetensors file: a header of 18446744073709551615 bytes, and 2 bytes follow"
        );
        assert!(message(b"\x04\0\0\0\0\0\0\0oops").starts_with("model.safetensors is no safetensors file: "));
        // Every prefix is an error and none a panic.
        for end in (0..whole.len()).step_by(37) {
            message(&whole[..end]);
        }
        scratch.put(WEIGHTS, &whole);
        scratch.lie("\"shape\":[16]", "\"shape\":[99]");
        assert_eq!(
            scratch.open().unwrap_err(),
            "model.safetensors has a header that contradicts itself: a tensor's shape and its bytes do not agree"
        );
        scratch.put(WEIGHTS, &whole);
        scratch.lie("\"F32\"", "\"I32\"");
        assert!(
            scratch
                .open()
                .unwrap_err()
                .ends_with("is of type I32, and only f32, f16 and bf16 are read")
        );
    }

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        let scratch = Scratch::new("tensors");
        let norm = "model.norm.weight";
        scratch.change(|weights| {
            weights.remove(norm);
        });
        assert_eq!(
            scratch.open().unwrap_err(),
            "the weights have no tensor model.norm.weight, which config.json asks for"
        );
        scratch.change(|weights| {
            let wide = weights["model.layers.0.self_attn.q_proj.weight"].clone();
            weights.insert(norm.to_owned(), wide);
        });
        assert_eq!(
            scratch.open().unwrap_err(),
            "model.safetensors: tensor model.norm.weight has shape [24, 16], and config.json gives [16]"
        );
        for (bad, word) in [(f64::NAN, "NaN"), (f64::NEG_INFINITY, "-inf")] {
            scratch.change(|weights| {
                let tensor = (weights[norm].clone() * bad).unwrap();
                weights.insert(norm.to_owned(), tensor);
            });
            assert_eq!(
                scratch.open().unwrap_err(),
                format!("model.safetensors: tensor model.norm.weight holds {word}")
            );
        }
        scratch.change(|weights| {
            let bias = weights[norm].clone();
            weights.insert("model.layers.0.self_attn.q_proj.bias".to_owned(), bias);
        });
        assert_eq!(
            scratch.open().unwrap_err(),
            "model.safetensors: tensor model.layers.0.self_attn.q_proj.bias has no place in the model that config.json \
             describes"
        );
    }

    #[test]
    fn a_tokenizer_must_fit_the_vocabulary() {
        let scratch = Scratch::new("tokenizer");
        let config = Config { vocab: 10, ..small() };
        scratch.put("config.json", config.to_json().as_bytes());
        assert_eq!(
            scratch.open().unwrap_err(),
            "tokenizer.json has token id 10, and config.json gives a vocabulary of 10"
        );
        scratch.put("tokenizer.json", b"{}");
        assert!(
            scratch
                .open()
                .unwrap_err()
                .starts_with("tokenizer.json is no tokenizer: ")
        );
    }
}
