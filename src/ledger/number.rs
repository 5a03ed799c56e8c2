//! Numbers in the journal: as JSON numbers that read back to the bit, and the string "not finite" for the rest.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::meter::Reading;
use crate::quantity::Finite;

const NOT_FINITE: &str = "not finite";

/// A reading as JSON: a number, or "not finite".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub Reading);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Reading::Value(value) => serializer.serialize_f64(value.get()),
            Reading::NotFinite => serializer.serialize_str(NOT_FINITE),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl NumberVisitor {
    fn finite<E: Error>(value: f64) -> Result<Number, E> {
        let value = Finite::new(value).ok_or_else(|| E::custom("the number is out of range"))?;
        Ok(Number(Reading::Value(value)))
    }
}

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number or \"{NOT_FINITE}\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        Self::finite(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Self::finite(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Self::finite(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
        if value == NOT_FINITE {
            Ok(Number(Reading::NotFinite))
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(value), &self))
        }
    }
}

/// For fields that are always finite: `#[serde(with = "finite")]`.
pub(super) mod finite {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Number;
    use crate::meter::Reading;
    use crate::quantity::Finite;

    /// As a JSON number.
    pub fn serialize<S: Serializer>(value: &Finite, serializer: S) -> Result<S::Ok, S::Error> {
        Number(Reading::Value(*value)).serialize(serializer)
    }

    /// From a JSON number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Finite, D::Error> {
        let Number(reading) = Number::deserialize(deserializer)?;
        reading.value().ok_or_else(|| D::Error::custom("a number is expected"))
    }
}
