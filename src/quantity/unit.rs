//! What a number after a quantity is counted in.

/// The dimension of a quantity: which unit its bounds must say, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// A bare number; the name says what is counted (`epochs 3`, `learning_rate 2e-4`).
    Number,
    /// A share, written in `%` (an exact decimal shift: `20%` is 0.20).
    Ratio,
    /// Information per token, in nats or bits.
    Information,
}

/// A unit as it can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Hundredths.
    Percent,
    /// Natural units of information.
    Nats,
    /// 1 bit = ln 2 nats.
    Bits,
    /// Optimizer updates, only after `every`.
    Updates,
}

impl Unit {
    /// Every unit, in the order that messages list them.
    pub const ALL: [Unit; 4] = [Unit::Percent, Unit::Nats, Unit::Bits, Unit::Updates];

    /// How it is written.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Percent => "%",
            Unit::Nats => "nats",
            Unit::Bits => "bits",
            Unit::Updates => "updates",
        }
    }

    /// The unit that is written so.
    pub fn from_word(word: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.word() == word)
    }

    /// What it measures; `None` for a unit that only counts a cadence.
    pub fn dimension(self) -> Option<Dimension> {
        match self {
            Unit::Percent => Some(Dimension::Ratio),
            Unit::Nats | Unit::Bits => Some(Dimension::Information),
            Unit::Updates => None,
        }
    }

    /// One of this unit in the dimension's own measure (ratio 1, nats).
    pub fn scale(self) -> f64 {
        match self {
            Unit::Percent => 0.01,
            Unit::Bits => std::f64::consts::LN_2,
            Unit::Nats | Unit::Updates => 1.0,
        }
    }

    /// A number of the dimension's own measure, shown in this unit with a space where one belongs.
    pub fn show(self, number: &str) -> String {
        match self {
            Unit::Percent => format!("{number}%"),
            _ => format!("{number} {}", self.word()),
        }
    }
}
