//! The shape of a model, from its `config.json`.
//!
//! Llama only, and only what the engine computes: a key that would change the arithmetic in a way that is not built is
//! refused by its name, because a model that is nearly right trains into something that is quietly wrong.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::{Error, Result};

/// The matrices of a layer that LoRA can adapt, each in its block.
pub const PROJECTIONS: [(&str, &str); 7] = [
    ("self_attn", "q_proj"),
    ("self_attn", "k_proj"),
    ("self_attn", "v_proj"),
    ("self_attn", "o_proj"),
    ("mlp", "gate_proj"),
    ("mlp", "up_proj"),
    ("mlp", "down_proj"),
];

/// More layers than any model has.
const MOST_LAYERS: usize = 10_000;

/// The shape of a Llama.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward block.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head, even.
    pub head_dim: usize,
    /// Number of token ids.
    pub vocab: usize,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Positions the model was made for.
    pub max_positions: usize,
    /// The token a text begins with.
    pub bos: Option<u32>,
    /// The tokens a text may end with.
    pub eos: Vec<u32>,
}

impl Config {
    /// Reads `config.json`; `file` is its name in messages.
    ///
    /// Errors: no JSON object; another architecture; a key that changes the arithmetic; a size that is missing, zero or does
    /// not divide.
    pub fn read(bytes: &[u8], file: &str) -> Result<Config> {
        let json: Value =
            serde_json::from_slice(bytes).map_err(|error| Error::new(format!("{file} is no JSON: {error}")))?;
        let keys = Keys { json: &json, file };
        keys.refuse_what_is_not_built()?;
        let heads = keys.size("num_attention_heads", None)?;
        let hidden = keys.size("hidden_size", None)?;
        let head_dim = keys.size("head_dim", hidden.checked_div(heads))?;
        let config = Config {
            hidden,
            intermediate: keys.size("intermediate_size", None)?,
            layers: keys.size("num_hidden_layers", None)?,
            heads,
            kv_heads: keys.size("num_key_value_heads", Some(heads))?,
            head_dim,
            vocab: keys.size("vocab_size", None)?,
            norm_eps: keys.positive(keys.get("rms_norm_eps"), "rms_norm_eps", 1e-6)?,
            rope_theta: keys.positive(
                keys.get("rope_theta")
                    .or_else(|| keys.get("rope_parameters")?.get("rope_theta")),
                "rope_theta",
                10_000.0,
            )?,
            tied: keys.flag("tie_word_embeddings")?,
            max_positions: keys.size("max_position_embeddings", Some(2048))?,
            bos: keys.tokens("bos_token_id")?.first().copied(),
            eos: keys.tokens("eos_token_id")?,
        };
        let refuse = |what: String| Err(Error::new(format!("{file}: {what}")));
        if !config.heads.is_multiple_of(config.kv_heads) {
            return refuse(format!(
                "num_attention_heads {} is no multiple of num_key_value_heads {}",
                config.heads, config.kv_heads
            ));
        }
        if !config.head_dim.is_multiple_of(2) {
            return refuse(format!(
                "head_dim {} is odd, and rotary positions turn pairs",
                config.head_dim
            ));
        }
        if config.heads.checked_mul(config.head_dim).is_none() {
            return refuse("num_attention_heads times head_dim is beyond every size".to_owned());
        }
        // Names are made for every layer before a weight is looked at.
        if config.layers > MOST_LAYERS {
            return refuse(format!(
                "num_hidden_layers {} is more than {MOST_LAYERS}",
                config.layers
            ));
        }
        Ok(config)
    }

    /// `config.json` as transformers reads it.
    pub fn to_json(&self) -> String {
        let value = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab,
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tied,
            "max_position_embeddings": self.max_positions,
            "hidden_act": "silu",
            "attention_bias": false,
            "mlp_bias": false,
            "bos_token_id": self.bos,
            "eos_token_id": match self.eos.as_slice() { [] => Value::Null, [one] => json!(one), more => json!(more) },
            "torch_dtype": "float32",
        });
        format!("{value:#}\n")
    }

    /// `[out, in]` of a projection; `None` for a name that is not in [`PROJECTIONS`].
    pub fn projection(&self, name: &str) -> Option<[usize; 2]> {
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        Some(match name {
            "q_proj" => [queries, self.hidden],
            "k_proj" | "v_proj" => [keys, self.hidden],
            "o_proj" => [self.hidden, queries],
            "gate_proj" | "up_proj" => [self.intermediate, self.hidden],
            "down_proj" => [self.hidden, self.intermediate],
            _ => return None,
        })
    }

    /// The name and shape of every tensor of the model.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::from([
            ("model.embed_tokens.weight".to_owned(), vec![self.vocab, self.hidden]),
            ("model.norm.weight".to_owned(), vec![self.hidden]),
        ]);
        if !self.tied {
            shapes.insert("lm_head.weight".to_owned(), vec![self.vocab, self.hidden]);
        }
        for layer in 0..self.layers {
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                shapes.insert(format!("model.layers.{layer}.{norm}.weight"), vec![self.hidden]);
            }
            for (block, name) in PROJECTIONS {
                if let Some(shape) = self.projection(name) {
                    shapes.insert(format!("model.layers.{layer}.{block}.{name}.weight"), shape.to_vec());
                }
            }
        }
        shapes
    }
}

/// The keys of a `config.json`; `null` counts as absent.
struct Keys<'a> {
    json: &'a Value,
    file: &'a str,
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, what: &str) -> Error {
        Error::new(format!("{}: {key} {what}", self.file))
    }

    fn refuse_what_is_not_built(&self) -> Result<()> {
        if !self.json.is_object() {
            return Err(Error::new(format!("{} is no JSON object", self.file)));
        }
        let only_llama = |found: String| {
            Err(self
                .wrong("architectures", &format!("is {found}, which is not built"))
                .with_help("this version trains models of the Llama architecture (LlamaForCausalLM)"))
        };
        match self.get("architectures") {
            Some(Value::Array(names)) if names.iter().all(|name| name == "LlamaForCausalLM") && !names.is_empty() => {}
            Some(other) => return only_llama(other.to_string()),
            None if self.get("model_type").is_some_and(|kind| kind == "llama") => {}
            None => return only_llama("not given".to_owned()),
        }
        if let Some(kind) = self.get("model_type").filter(|kind| *kind != "llama") {
            return Err(self.wrong("model_type", &format!("is {kind}, which is not built")));
        }
        let allowed: [(&str, &[Value]); 5] = [
            ("hidden_act", &[json!("silu"), json!("swish")]),
            ("attention_bias", &[json!(false)]),
            ("mlp_bias", &[json!(false)]),
            ("partial_rotary_factor", &[json!(1), json!(1.0)]),
            ("attention_dropout", &[json!(0), json!(0.0)]),
        ];
        for (key, values) in allowed {
            if let Some(found) = self.get(key).filter(|found| !values.contains(found)) {
                return Err(self.wrong(key, &format!("is {found}, which is not built")));
            }
        }
        for key in ["rope_scaling", "rope_parameters"] {
            let Some(rope) = self.get(key) else { continue };
            let kind = rope.get("rope_type").or_else(|| rope.get("type"));
            if kind.is_some_and(|kind| kind != "default") || (kind.is_none() && rope.get("factor").is_some()) {
                return Err(self.wrong(key, "scales the rotary positions, which is not built"));
            }
        }
        if self.get("quantization_config").is_some() {
            return Err(self.wrong("quantization_config", "is given, and quantised weights are not built"));
        }
        Ok(())
    }

    fn size(&self, key: &str, otherwise: Option<usize>) -> Result<usize> {
        let size = match self.get(key) {
            Some(value) => value.as_u64().and_then(|size| usize::try_from(size).ok()),
            None => Some(otherwise.ok_or_else(|| self.wrong(key, "is missing"))?),
        };
        // Beyond 2^31 products of two sizes leave the address space, and no model is that wide.
        size.filter(|size| (1..1 << 31).contains(size))
            .ok_or_else(|| self.wrong(key, "is no whole number from 1 to 2^31"))
    }

    fn positive(&self, value: Option<&Value>, key: &str, otherwise: f64) -> Result<f64> {
        value
            .map_or(Some(otherwise), Value::as_f64)
            .filter(|number| number.is_finite() && *number > 0.0)
            .ok_or_else(|| self.wrong(key, "is no positive number"))
    }

    fn flag(&self, key: &str) -> Result<bool> {
        self.get(key)
            .map_or(Some(false), Value::as_bool)
            .ok_or_else(|| self.wrong(key, "is neither true nor false"))
    }

    fn tokens(&self, key: &str) -> Result<Vec<u32>> {
        let token = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let tokens = match self.get(key) {
            None => Some(Vec::new()),
            Some(Value::Array(ids)) => ids.iter().map(token).collect(),
            Some(id) => token(id).map(|id| vec![id]),
        };
        tokens.ok_or_else(|| self.wrong(key, "is no token id"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two layers with grouped heads.
    pub(crate) fn small() -> Config {
        Config {
            hidden: 16,
            intermediate: 24,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 6,
            vocab: 11,
            norm_eps: 1e-5,
            rope_theta: 10_000.0,
            tied: false,
            max_positions: 64,
            bos: Some(1),
            eos: vec![2],
        }
    }

    fn with(key: &str, value: Value) -> Result<Config> {
        let mut json: Value = serde_json::from_str(&small().to_json()).unwrap();
        json[key] = value;
        Config::read(json.to_string().as_bytes(), "config.json")
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(Config::read(small().to_json().as_bytes(), "config.json"), Ok(small()));
    }

    #[test]
    fn defaults_are_those_of_transformers() {
        let config = with("head_dim", Value::Null).unwrap();
        assert_eq!(config.head_dim, 4);
        assert_eq!(with("num_key_value_heads", Value::Null).unwrap().kv_heads, 4);
        let nested = json!({"rope_type": "default", "rope_theta": 500000.0});
        let mut json: Value = serde_json::from_str(&small().to_json()).unwrap();
        json["rope_theta"] = Value::Null;
        json["rope_parameters"] = nested;
        let config = Config::read(json.to_string().as_bytes(), "config.json").unwrap();
        assert_eq!(config.rope_theta, 500_000.0);
        assert_eq!(with("eos_token_id", json!([2, 3])).unwrap().eos, [2, 3]);
    }

    #[test]
    fn what_is_not_built_is_refused_by_its_key() {
        for (key, value, message) in [
            (
                "architectures",
                json!(["Qwen2ForCausalLM"]),
                "config.json: architectures is [\"Qwen2ForCausalLM\"], which is not built",
            ),
            (
                "model_type",
                json!("mistral"),
                "config.json: model_type is \"mistral\", which is not built",
            ),
            (
                "hidden_act",
                json!("gelu"),
                "config.json: hidden_act is \"gelu\", which is not built",
            ),
            (
                "attention_bias",
                json!(true),
                "config.json: attention_bias is true, which is not built",
            ),
            (
                "mlp_bias",
                json!(true),
                "config.json: mlp_bias is true, which is not built",
            ),
            (
                "rope_scaling",
                json!({"rope_type": "llama3", "factor": 8.0}),
                "config.json: rope_scaling scales the rotary positions, which is not built",
            ),
            (
                "rope_parameters",
                json!({"rope_type": "yarn"}),
                "config.json: rope_parameters scales the rotary positions, which is not built",
            ),
            (
                "quantization_config",
                json!({}),
                "config.json: quantization_config is given, and quantised weights are not built",
            ),
            (
                "hidden_size",
                json!(0),
                "config.json: hidden_size is no whole number from 1 to 2^31",
            ),
            (
                "hidden_size",
                json!("big"),
                "config.json: hidden_size is no whole number from 1 to 2^31",
            ),
            ("vocab_size", Value::Null, "config.json: vocab_size is missing"),
            (
                "num_key_value_heads",
                json!(3),
                "config.json: num_attention_heads 4 is no multiple of num_key_value_heads 3",
            ),
            (
                "head_dim",
                json!(5),
                "config.json: head_dim 5 is odd, and rotary positions turn pairs",
            ),
            (
                "rms_norm_eps",
                json!(-1.0),
                "config.json: rms_norm_eps is no positive number",
            ),
            (
                "tie_word_embeddings",
                json!("yes"),
                "config.json: tie_word_embeddings is neither true nor false",
            ),
            ("bos_token_id", json!(-1), "config.json: bos_token_id is no token id"),
        ] {
            assert_eq!(with(key, value).unwrap_err().message, message);
        }
        assert_eq!(
            Config::read(b"[]", "config.json").unwrap_err().message,
            "config.json is no JSON object"
        );
    }

    #[test]
    fn shapes_name_every_tensor() {
        let shapes = small().shapes();
        assert_eq!(shapes.len(), 3 + 2 * 9);
        assert_eq!(shapes["model.layers.1.self_attn.k_proj.weight"], [12, 16]);
        assert_eq!(shapes["model.layers.0.self_attn.o_proj.weight"], [16, 24]);
        assert!(!Config { tied: true, ..small() }.shapes().contains_key("lm_head.weight"));
    }
}
