//! How the base model of a run is quantised: by its name, and by LLaMA-Factory's keys.

use crate::adapt::reader::Run;
use crate::adapt::said::{Said, by_default};
use crate::adapt::table::Takes::Whole;
use crate::adapt::table::{Ask, Null};
use crate::adapt::words::near;
use crate::diag::{Code, Diagnostic, one_of};
use crate::facts::{Origin, Words};
use crate::quantity::{Category, Domain};

/// What is known of the base.
pub(super) struct Base {
    /// The word of the table of categories; `None` when it is not clear.
    pub(super) word: Option<&'static str>,
    /// Where from.
    pub(super) origin: Origin,
    /// The key that says so.
    pub(super) key: &'static str,
}

/// Marks in the name of a model that was quantised before.
const MARKS: &[(&str, &str)] = &[
    ("gptq", "gptq"),
    ("awq", "awq"),
    ("aqlm", "aqlm"),
    ("bnb-4bit", "4bit"),
    ("bnb-8bit", "8bit"),
];

/// Methods that quantise while the model is loaded; any other name quantises nothing.
const METHODS: &[&str] = &["bnb", "hqq", "eetq"];

const BITS: Ask = Ask {
    key: "quantization_bit",
    takes: Whole,
    domain: Domain::integers(1.0, 8.0),
    null: Null::IsDefault,
    usual: None,
};

/// The method that LoRA is on a base: QLoRA where it has fewer than 8 bits, as in its paper (NF4, arXiv 2305.14314). On
/// 8 bits it is LoRA, whatever the framework calls it: PEFT and Axolotl keep the two apart, and so do the policies.
pub(super) fn tuned_as(base: &str) -> &'static str {
    match base {
        "none" | "8bit" | "fp8" => "lora",
        _ => "qlora",
    }
}

/// Reads how the base is quantised, and says so.
pub(super) fn base(run: &mut Run<'_>) -> Base {
    let base = by_name(run, "model_name_or_path").unwrap_or_else(|| by_bits(run));
    let words = base.word.map_or(Words::Unknown, |word| Words::One(word.to_owned()));
    run.tell(Category::Quantization, base.key, words, base.origin.clone());
    base
}

/// A checkpoint that was quantised before, by its name; it wins over what the run file asks for.
pub(super) fn by_name(run: &mut Run<'_>, key: &'static str) -> Option<Base> {
    let Said::Value(name, place) = run.text(key) else {
        return None;
    };
    let word = marked(&name)?;
    Some(Base {
        word: Some(word),
        origin: Origin::Given(place),
        key,
    })
}

/// How a model is quantised whose name says so.
pub(super) fn marked(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let is_word = |mark: &str| {
        name.match_indices(mark).any(|(at, _)| {
            let before = name.get(..at).and_then(|text| text.chars().next_back());
            let after = name.get(at + mark.len()..).and_then(|text| text.chars().next());
            [before, after].iter().all(|c| c.is_none_or(|c| !c.is_alphanumeric()))
        })
    };
    MARKS.iter().find(|(mark, _)| is_word(mark)).map(|(_, word)| *word)
}

fn by_bits(run: &mut Run<'_>) -> Base {
    const KEY: &str = "quantization_bit";
    let base = |word, origin| Base { word, origin, key: KEY };
    let (bits, place) = match run.number(&BITS) {
        Said::Value(bits, place) => (bits, place),
        Said::Unclear(origin) => return base(None, origin),
        Said::Nothing => {
            let rule = "no quantization_bit is written, and the model's name names no quantisation";
            return base(Some("none"), by_default(rule));
        }
    };
    if let Some(unclear) = unknown_method(run) {
        return unclear;
    }
    let word = match bits {
        2.0 => "2bit",
        3.0 => "3bit",
        4.0 => "4bit",
        8.0 => "8bit",
        _ => "other",
    };
    base(Some(word), Origin::Given(place))
}

/// LLaMA-Factory passes over a method that it does not know, and trains on an unquantised model.
fn unknown_method(run: &mut Run<'_>) -> Option<Base> {
    const KEY: &str = "quantization_method";
    let unclear = |origin| {
        Some(Base {
            word: None,
            origin,
            key: KEY,
        })
    };
    match run.text(KEY) {
        Said::Unclear(origin) => unclear(origin),
        Said::Value(method, place) if !METHODS.contains(&method.as_str()) => {
            let message = format!("`{KEY}` takes {} while training", one_of(METHODS));
            let diagnostic =
                Diagnostic::new(Code::ValueType, message).at(place, "with this the model is not quantised at all");
            let meant = near(&method, METHODS.iter().copied()).or((method == "bitsandbytes").then_some("bnb"));
            let diagnostic = match meant {
                Some(meant) => diagnostic.instead(meant),
                None => diagnostic.help("write one of them, or delete quantization_bit"),
            };
            match run.refuse::<()>(KEY, place, diagnostic) {
                Said::Unclear(origin) => unclear(origin),
                _ => None,
            }
        }
        _ => None,
    }
}
