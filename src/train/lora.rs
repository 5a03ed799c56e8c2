//! LoRA (Hu et al. 2021): a pair of small matrices beside each adapted one, as a plain value.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};

use super::config::{Config, PROJECTIONS};
use super::error::{Error, Result};
use super::optim::Matrices;
use super::random::{Purpose, Stream};
use super::tensors;

/// What is added to the frozen weights: for each adapted module `scale · B A`.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Rows of every A, columns of every B.
    pub rank: usize,
    /// The numerator of the scale.
    pub alpha: f64,
    /// Whether the scale is alpha/√rank (Kalajdzievski 2023) and not alpha/rank.
    pub stabilised: bool,
    /// What the product is multiplied by.
    pub scale: f64,
    /// Names of the adapted projections, in the order of [`PROJECTIONS`].
    pub targets: Vec<String>,
    /// The pairs by module, such as `model.layers.0.self_attn.q_proj`.
    pub pairs: BTreeMap<String, Pair>,
}

/// The two matrices of one module.
#[derive(Debug, Clone)]
pub struct Pair {
    /// `[rank, in]`.
    pub a: Tensor,
    /// `[out, rank]`.
    pub b: Tensor,
}

/// An adapter as PEFT stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// `adapter_config.json`.
    pub config: Vec<u8>,
    /// `adapter_model.safetensors`.
    pub model: Vec<u8>,
}

/// Where PEFT keeps a module's tensors: before the module's name.
const PREFIX: &str = "base_model.model.";

impl Adapter {
    /// A fresh adapter that changes nothing: A uniform within ±1/√in, as in PEFT, and B = 0.
    ///
    /// `targets` are names of projections, or `all`. Errors: rank 0, an alpha that is not finite, a name that no layer has.
    pub fn new(
        config: &Config,
        rank: usize,
        alpha: f64,
        stabilised: bool,
        targets: &[&str],
        seed: u64,
    ) -> Result<Self> {
        let shell = Adapter::shell(rank, alpha, stabilised, targets)?;
        let mut pairs = BTreeMap::new();
        for (index, (module, [out, inner])) in shell.modules(config).into_iter().enumerate() {
            let mut stream = Stream::new(seed, Purpose::Init, 1, index as u64);
            let bound = (inner as f64).sqrt().recip();
            let count = rank.saturating_mul(inner);
            let a: Vec<f32> = (0..count)
                .map(|_| (bound * (2.0 * stream.unit() - 1.0)) as f32)
                .collect();
            let pair = Pair {
                a: Tensor::from_vec(a, (rank, inner), &Device::Cpu)?,
                b: Tensor::from_vec(vec![0f32; out.saturating_mul(rank)], (out, rank), &Device::Cpu)?,
            };
            pairs.insert(module, pair);
        }
        Ok(Adapter { pairs, ..shell })
    }

    /// Everything but the matrices.
    fn shell(rank: usize, alpha: f64, stabilised: bool, targets: &[&str]) -> Result<Adapter> {
        let known = PROJECTIONS.map(|(_, name)| name);
        if let Some(unknown) = targets.iter().find(|name| **name != "all" && !known.contains(name)) {
            return Err(
                Error::new(format!("a LoRA target `{unknown}` is no matrix of a layer")).with_help(format!(
                    "the matrices of a layer are {}, or all of them: all",
                    known.join(", ")
                )),
            );
        }
        if rank == 0 || !alpha.is_finite() || targets.is_empty() {
            return Err(Error::new(format!(
                "an adapter of rank {rank} with alpha {alpha} on {} targets adapts nothing",
                targets.len()
            )));
        }
        let divisor = if stabilised { (rank as f64).sqrt() } else { rank as f64 };
        let is_target = |name: &&str| targets.contains(&"all") || targets.contains(name);
        Ok(Adapter {
            rank,
            alpha,
            stabilised,
            scale: alpha / divisor,
            targets: known.into_iter().filter(is_target).map(str::to_owned).collect(),
            pairs: BTreeMap::new(),
        })
    }

    /// The adapted modules with `[out, in]`, layer by layer.
    fn modules(&self, config: &Config) -> Vec<(String, [usize; 2])> {
        let of_layer = |layer: usize| {
            PROJECTIONS.into_iter().filter_map(move |(block, name)| {
                let shape = config.projection(name)?;
                let is_target = self.targets.iter().any(|target| target == name);
                is_target.then(|| (format!("model.layers.{layer}.{block}.{name}"), shape))
            })
        };
        (0..config.layers).flat_map(of_layer).collect()
    }

    /// Every matrix by name, `<module>.lora_A.weight` and `<module>.lora_B.weight`, sorted.
    pub fn matrices(&self) -> BTreeMap<String, &Tensor> {
        self.pairs
            .iter()
            .flat_map(|(module, pair)| [(name_of(module, 'A'), &pair.a), (name_of(module, 'B'), &pair.b)])
            .collect()
    }

    /// The numbers of every matrix.
    pub fn values(&self) -> Result<Matrices> {
        self.matrices()
            .into_iter()
            .map(|(name, tensor)| Ok((name, tensors::numbers(tensor)?)))
            .collect()
    }

    /// The gradient of every matrix; zeros where the loss does not depend on it.
    pub fn gradients(&self, store: &GradStore) -> Result<Matrices> {
        let gradient = |(name, tensor): (String, &Tensor)| match store.get(tensor) {
            Some(gradient) => Ok((name, tensors::numbers(gradient)?)),
            None => Ok((name, vec![0.0; tensor.elem_count()])),
        };
        self.matrices().into_iter().map(gradient).collect()
    }

    /// The adapter with `change` made to every matrix.
    fn map(&self, change: impl Fn(String, &Tensor) -> Result<Tensor>) -> Result<Adapter> {
        let pairs = self.pairs.iter().map(|(module, pair)| {
            let pair = Pair {
                a: change(name_of(module, 'A'), &pair.a)?,
                b: change(name_of(module, 'B'), &pair.b)?,
            };
            Ok((module.clone(), pair))
        });
        Ok(Adapter {
            pairs: pairs.collect::<Result<_>>()?,
            ..self.clone()
        })
    }

    /// The same numbers as variables, which gradients reach.
    pub fn tracked(&self) -> Result<Adapter> {
        self.map(|_, tensor| Ok(Var::from_tensor(&tensor.detach())?.into_inner()))
    }

    /// The same numbers without a memory of how they came about; a forward pass with them builds no graph.
    pub fn detached(&self) -> Adapter {
        let pairs = self.pairs.iter().map(|(module, pair)| {
            let pair = Pair {
                a: pair.a.detach(),
                b: pair.b.detach(),
            };
            (module.clone(), pair)
        });
        Adapter {
            pairs: pairs.collect(),
            ..self.clone()
        }
    }

    /// The adapter after `scale` times `deltas`; a matrix without a delta stays as it is. Detached.
    ///
    /// Errors: a delta of another length than its matrix.
    pub fn with(&self, deltas: &Matrices, scale: f64) -> Result<Adapter> {
        self.map(|name, tensor| {
            let Some(delta) = deltas.get(&name) else {
                return Ok(tensor.detach());
            };
            let old = tensors::numbers(tensor)?;
            if old.len() != delta.len() {
                return Err(Error::new(format!(
                    "an update of {} numbers for {name}, which has {}",
                    delta.len(),
                    old.len()
                )));
            }
            let moved = |(old, delta): (&f32, &f32)| (f64::from(*old) + scale * f64::from(*delta)) as f32;
            let new: Vec<f32> = old.iter().zip(delta).map(moved).collect();
            Ok(Tensor::from_vec(new, tensor.shape(), &Device::Cpu)?)
        })
    }

    /// `W + scale · B A` for every adapted module; the other weights are passed on. Errors: a module's weight is missing.
    pub fn merge(&self, weights: &BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>> {
        let mut merged = weights.clone();
        for (module, Pair { a, b }) in &self.pairs {
            let name = format!("{module}.weight");
            let weight = merged
                .get_mut(&name)
                .ok_or_else(|| Error::new(format!("tensor {name} is missing")))?;
            *weight = (&*weight + (b.detach().matmul(&a.detach())? * self.scale)?)?.detach();
        }
        Ok(merged)
    }

    /// The two files that PEFT loads. `base` is what the base model is called in them.
    pub fn save(&self, base: &str) -> Result<Saved> {
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "use_rslora": self.stabilised,
            "target_modules": self.targets,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "use_dora": false,
            "modules_to_save": null,
            "layers_to_transform": null,
            "layers_pattern": null,
            "rank_pattern": {},
            "alpha_pattern": {},
            "revision": null,
        });
        let named = self.matrices().into_iter();
        let named = named
            .map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor.clone()))
            .collect();
        Ok(Saved {
            config: format!("{config:#}\n").into_bytes(),
            model: tensors::write(&named, DType::F32)?,
        })
    }

    /// Reads what [`Adapter::save`] or PEFT wrote, for a model of shape `config`.
    ///
    /// Errors: files that are not well formed; a setting that changes the arithmetic; a matrix that is missing, of another
    /// shape, not finite, or that nothing adapts.
    pub fn load(config: &Config, saved: &Saved) -> Result<Adapter> {
        let file = "adapter_config.json";
        let json: Value =
            serde_json::from_slice(&saved.config).map_err(|error| Error::new(format!("{file} is no JSON: {error}")))?;
        let get = |key: &str| json.get(key).filter(|value| !value.is_null());
        let wrong = |key: &str| {
            let found = get(key).unwrap_or(&Value::Null);
            Error::new(format!("{file}: {key} is {found}, which is not built"))
        };
        if get("peft_type").is_none_or(|kind| kind != "LORA") {
            return Err(wrong("peft_type"));
        }
        let off = [json!(false), json!("none"), json!([]), json!({})];
        for key in [
            "use_dora",
            "fan_in_fan_out",
            "bias",
            "modules_to_save",
            "layers_to_transform",
            "rank_pattern",
            "alpha_pattern",
            // In force only behind certain tokens, and chosen among several adapters: the tensors are those of plain LoRA.
            "alora_invocation_tokens",
            "arrow_config",
        ] {
            if get(key).is_some_and(|value| !off.contains(value)) {
                return Err(wrong(key));
            }
        }
        // The others (PiSSA, OLoRA, LoftQ, …) take something out of the base model's weights, and PEFT does so again at every
        // load: on the weights as they are in the folder, the same matrices are another model.
        let leave_the_base = [
            json!(true),
            json!(false),
            json!("gaussian"),
            json!("orthogonal"),
            json!("eva"),
        ];
        if get("init_lora_weights").is_some_and(|value| !leave_the_base.contains(value)) {
            return Err(wrong("init_lora_weights"));
        }
        let rank = get("r")
            .and_then(Value::as_u64)
            .and_then(|rank| usize::try_from(rank).ok());
        let rank = rank.ok_or_else(|| wrong("r"))?;
        let alpha = get("lora_alpha")
            .and_then(Value::as_f64)
            .ok_or_else(|| wrong("lora_alpha"))?;
        let stabilised = get("use_rslora").is_some_and(|value| *value == json!(true));
        let targets = match get("target_modules") {
            Some(Value::Array(names)) => names.iter().map(projection).collect::<Option<Vec<_>>>(),
            Some(Value::String(name)) if name == "all-linear" => Some(vec!["all"]),
            _ => None,
        };
        let targets = targets.ok_or_else(|| wrong("target_modules"))?;
        let shell = Adapter::shell(rank, alpha, stabilised, &targets)?;
        let file = "adapter_model.safetensors";
        let mut found = tensors::read(&saved.model, file)?;
        let mut take = |module: &str, letter: char, shape: [usize; 2]| {
            let name = format!("{PREFIX}{}", name_of(module, letter));
            let tensor = found
                .remove(&name)
                .ok_or_else(|| Error::new(format!("{file}: tensor {name} is missing")))?;
            match tensor.dims() == shape {
                true => Ok(tensor),
                false => Err(Error::new(format!(
                    "{file}: tensor {name} has shape {:?}, and {shape:?} is needed",
                    tensor.dims()
                ))),
            }
        };
        let mut pairs = BTreeMap::new();
        for (module, [out, inner]) in shell.modules(config) {
            let a = take(&module, 'A', [rank, inner])?;
            let b = take(&module, 'B', [out, rank])?;
            pairs.insert(module, Pair { a, b });
        }
        match found.keys().next() {
            Some(name) => Err(Error::new(format!("{file}: tensor {name} adapts nothing"))),
            None => Ok(Adapter { pairs, ..shell }),
        }
    }
}

/// The projection that an entry of `target_modules` means. PEFT spells `all-linear` out when it saves, every module by its
/// whole name; a layer that an entry does not mean is found by its missing matrices.
fn projection(target: &Value) -> Option<&str> {
    target.as_str()?.rsplit('.').next()
}

fn name_of(module: &str, letter: char) -> String {
    format!("{module}.lora_{letter}.weight")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::model::Llama;
    use crate::train::model::tests::{ROWS, filled, largest_difference, lively, logits, small, targets, tokens};

    fn loss(model: &Llama, adapter: &Adapter) -> Tensor {
        model
            .loss(&model.hidden(&tokens(&ROWS), Some(adapter)).unwrap(), &targets())
            .unwrap()
    }

    #[test]
    fn a_fresh_adapter_gives_the_logits_of_the_base() {
        let config = small();
        let model = Llama::new(&config, &lively(&config)).unwrap();
        let adapter = Adapter::new(&config, 4, 8.0, false, &["all"], 1).unwrap();
        assert_eq!(logits(&model, &ROWS, None), logits(&model, &ROWS, Some(&adapter)));
        let bound = (config.hidden as f32).sqrt().recip();
        let a = tensors::numbers(&adapter.pairs["model.layers.0.self_attn.q_proj"].a).unwrap();
        assert!(a.iter().all(|x| x.abs() <= bound) && a.iter().any(|x| x.abs() > 0.8 * bound));
    }

    #[test]
    fn merged_weights_give_the_logits_of_the_pair() {
        let config = small();
        let weights = lively(&config);
        let adapter = filled(&config);
        let apart = logits(&Llama::new(&config, &weights).unwrap(), &ROWS, Some(&adapter));
        let merged = Llama::new(&config, &adapter.merge(&weights).unwrap()).unwrap();
        let difference = largest_difference(&apart, &logits(&merged, &ROWS, None));
        assert!(difference < 1e-5, "{difference}");
        let base = logits(&Llama::new(&config, &weights).unwrap(), &ROWS, None);
        assert!(largest_difference(&apart, &base) > 0.1);
    }

    #[test]
    fn gradients_reach_the_pairs_alone_and_agree_with_differences() {
        let config = small();
        let weights = lively(&config);
        let model = Llama::new(&config, &weights).unwrap();
        let adapter = filled(&config).tracked().unwrap();
        let store = loss(&model, &adapter).backward().unwrap();
        assert!(weights.values().all(|weight| store.get(weight).is_none()));
        let gradients = adapter.gradients(&store).unwrap();
        assert_eq!(gradients.len(), 2 * 14);
        let at = |deltas: &Matrices, size: f64| {
            let moved = adapter.with(deltas, size).unwrap();
            f64::from(loss(&model, &moved).to_scalar::<f32>().unwrap())
        };
        let size = 1e-2;
        for (name, gradient) in &gradients {
            let (index, largest) = gradient
                .iter()
                .copied()
                .enumerate()
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
                .unwrap();
            let mut unit = vec![0.0; gradient.len()];
            unit[index] = 1.0;
            let unit = Matrices::from([(name.clone(), unit)]);
            // Richardson: the error of the central difference falls with the fourth power of the size.
            let slope = |size: f64| (at(&unit, size) - at(&unit, -size)) / (2.0 * size);
            let difference = (4.0 * slope(size) - slope(2.0 * size)) / 3.0;
            let error = (difference - f64::from(largest)).abs();
            assert!(
                error < 2e-2 * f64::from(largest).abs().max(0.02),
                "{name}: {largest} against {difference}"
            );
        }
        let norm = crate::train::optim::norm(&gradients);
        let slope = |size: f64| (at(&gradients, size / norm) - at(&gradients, -size / norm)) / (2.0 * size);
        let along = (4.0 * slope(size) - slope(2.0 * size)) / 3.0;
        assert!((along / norm - 1.0).abs() < 1e-3, "{along} against {norm}");
    }

    #[test]
    fn an_update_is_added_by_its_scale() {
        let adapter = filled(&small());
        let mut deltas = adapter.values().unwrap();
        deltas.values_mut().flatten().for_each(|value| *value = 0.5);
        let moved = adapter.with(&deltas, 0.5).unwrap().values().unwrap();
        for (name, values) in adapter.values().unwrap() {
            let expected: Vec<f32> = values.iter().map(|x| (f64::from(*x) + 0.25) as f32).collect();
            assert_eq!(moved[&name], expected, "{name}");
        }
        let short = Matrices::from([("model.layers.0.mlp.up_proj.lora_B.weight".to_owned(), vec![1.0])]);
        assert_eq!(
            adapter.with(&short, 1.0).unwrap_err().message,
            "an update of 1 numbers for model.layers.0.mlp.up_proj.lora_B.weight, which has 72"
        );
    }

    #[test]
    fn scales_and_targets() {
        let config = small();
        let plain = Adapter::new(&config, 4, 8.0, false, &["q_proj", "down_proj"], 1).unwrap();
        assert_eq!((plain.scale, plain.pairs.len()), (2.0, 4));
        assert_eq!(Adapter::new(&config, 4, 8.0, true, &["q_proj"], 1).unwrap().scale, 4.0);
        let error = Adapter::new(&config, 4, 8.0, false, &["q_proj", "c_attn"], 1).unwrap_err();
        assert_eq!(error.message, "a LoRA target `c_attn` is no matrix of a layer");
        let help = "the matrices of a layer are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all of them: all";
        assert_eq!(error.help.as_deref(), Some(help));
        assert!(Adapter::new(&config, 0, 8.0, false, &["all"], 1).is_err());
    }

    #[test]
    fn what_is_saved_loads_bit_for_bit() {
        let config = small();
        let adapter = filled(&config);
        let saved = adapter.save("base").unwrap();
        let loaded = Adapter::load(&config, &saved).unwrap();
        assert_eq!(loaded.values().unwrap(), adapter.values().unwrap());
        assert_eq!((loaded.scale, &loaded.targets), (adapter.scale, &adapter.targets));
        assert_eq!(loaded.save("base").unwrap(), saved);
        let names = tensors::read(&saved.model, "m").unwrap();
        assert!(names.contains_key("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"));
    }

    #[test]
    fn what_does_not_fit_is_not_loaded() {
        let config = small();
        let saved = filled(&config).save("base").unwrap();
        let with = |from: &str, to: &str| {
            let json = String::from_utf8(saved.config.clone()).unwrap().replace(from, to);
            let saved = Saved {
                config: json.into_bytes(),
                ..saved.clone()
            };
            Adapter::load(&config, &saved).unwrap_err().message
        };
        assert_eq!(
            with("\"use_dora\": false", "\"use_dora\": true"),
            "adapter_config.json: use_dora is true, which is not built"
        );
        assert_eq!(
            with("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\""),
            "adapter_config.json: init_lora_weights is \"pissa\", which is not built"
        );
        assert_eq!(
            with("\"bias\":", "\"alora_invocation_tokens\": [5], \"bias\":"),
            "adapter_config.json: alora_invocation_tokens is [5], which is not built"
        );
        assert_eq!(
            with("\"LORA\"", "\"IA3\""),
            "adapter_config.json: peft_type is \"IA3\", which is not built"
        );
        assert_eq!(
            with("\"r\": 3", "\"r\": 2"),
            "adapter_model.safetensors: tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight has shape [3, 16], \
             and [2, 16] is needed"
        );
        assert_eq!(
            with("\"q_proj\",", ""),
            "adapter_model.safetensors: tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight adapts nothing"
        );
    }
}
