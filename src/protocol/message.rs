//! What a training loop says.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::guard::Measured;
use crate::ir::Policy;
use crate::ledger::{self, Number};
use crate::meter;
use crate::quantity::Finite;

/// A message. A field that is not known here is an error: it may be a misspelt reading.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    /// The readings before update 0.
    Base { readings: Vec<Reading> },
    /// The per-update readings of an update that is not committed yet, at one scale.
    Propose {
        update: u64,
        scale: f64,
        readings: Vec<Reading>,
        /// Whether the run ends with this update.
        #[serde(default)]
        last: bool,
        /// For the journal. One that is not finite makes the update so.
        #[serde(default, deserialize_with = "told")]
        loss: Option<Value>,
        /// For the journal: the learning rate, halvings included.
        #[serde(default)]
        rate: Option<f64>,
        /// For the journal: tokens of the batch.
        #[serde(default)]
        tokens: Option<u64>,
        /// For the journal: passes over the data so far.
        #[serde(default)]
        epoch: Option<f64>,
    },
    /// What was due on the state that would be committed, or on the unchanged one.
    Decide { update: u64, readings: Vec<Reading> },
    /// The run is at its end.
    End {},
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a sentence.
    pub(super) fn read(line: &str) -> Result<Message, String> {
        serde_json::from_str(line).map_err(|error| format!("this is no message of the protocol: {error}"))
    }

    /// The word in `type`.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Message::Base { .. } => "base",
            Message::Propose { .. } => "propose",
            Message::Decide { .. } => "decide",
            Message::End {} => "end",
        }
    }
}

/// One reading.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    quantity: String,
    #[serde(default)]
    probe: Option<String>,
    value: Value,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    prompts: Vec<Value>,
}

impl Reading {
    /// As the guard takes it. A mean over prompts of which one is not finite is not finite, whatever the loop made of it.
    pub(super) fn measured(&self, policy: &Policy) -> Result<Measured, String> {
        let named = ledger::Reading {
            quantity: self.quantity.clone(),
            probe: self.probe.clone(),
            value: Number(self.value.0),
            error: self.error.map(|error| Number(error.0)),
            prompts: self.prompts.iter().map(|prompt| Number(prompt.0)).collect(),
        };
        let mut measured = named.measured(policy)?;
        if measured.standard_error.is_some_and(|error| error < Finite::ZERO) {
            return Err(format!("the standard error of {} is negative", self.quantity));
        }
        if measured.prompts.contains(&meter::Reading::NotFinite) {
            measured.reading = meter::Reading::NotFinite;
        }
        Ok(measured)
    }
}

/// A number, or the mark of one that is not finite: `null`, `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(pub(super) meter::Reading);

/// `null` is a value here, not the absence of one: it is how many languages write NaN.
fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value(meter::Reading::NotFinite))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        match value {
            "NaN" | "Infinity" | "-Infinity" => Ok(Value(meter::Reading::NotFinite)),
            _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
        }
    }
}
