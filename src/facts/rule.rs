//! Which rule a quantity is derived by.

use super::Input::{PreferenceBeta, Rank, Rows, WeightDecay, WorldSize};
use super::derive::Part::Of;
use super::derive::{Derived, clip_norm, learning_rate, lora_alpha, lora_scale, plain, told, update_scale};
use super::length::{
    FIRST_OF_EPOCHS, FIRST_OF_SAMPLES, FIRST_OF_UPDATES, batch_effective, epochs, first, samples, updates,
    warmup_fraction,
};
use super::{Facts, walk};
use crate::quantity::Quantity;

/// The values of a quantity that is known before training.
pub fn derive(quantity: Quantity, facts: &Facts) -> Derived {
    told(quantity, facts).unwrap_or_else(|| by_rule(quantity, facts))
}

fn by_rule(quantity: Quantity, facts: &Facts) -> Derived {
    match quantity {
        Quantity::LearningRate => learning_rate(facts),
        Quantity::LearningRateFinal => walk::last(facts),
        Quantity::LearningRateArea => walk::dose(facts),
        Quantity::WarmupFraction => warmup_fraction(facts),
        Quantity::UpdateScale => update_scale(facts),
        Quantity::MovementBound => walk::movement_bound(facts),
        Quantity::ClipNorm => clip_norm(facts),
        Quantity::WeightDecay => plain(facts, WeightDecay, &[Of(WeightDecay)]),
        Quantity::PreferenceBeta => plain(facts, PreferenceBeta, &[Of(PreferenceBeta)]),
        Quantity::BatchEffective => batch_effective(facts),
        Quantity::Epochs => first(facts, epochs, FIRST_OF_EPOCHS),
        Quantity::Updates => first(facts, updates, FIRST_OF_UPDATES),
        Quantity::Samples => first(facts, samples, FIRST_OF_SAMPLES),
        Quantity::LoraRank => plain(facts, Rank, &[Of(Rank)]),
        Quantity::LoraAlpha => lora_alpha(facts),
        Quantity::LoraScale => lora_scale(facts),
        Quantity::WorldSize => plain(facts, WorldSize, &[Of(WorldSize)]),
        Quantity::DatasetRows => plain(facts, Rows, &[Of(Rows)]),
        other => Derived::Unknown {
            why: match other.row().takes {
                "" => format!("this version of ftrisk does not derive {}", other.name()),
                takes => format!(
                    "this version of ftrisk does not derive {}; it takes {takes}",
                    other.name()
                ),
            },
        },
    }
}

/// Whether a rule for the quantity exists; the table says the same, and a test compares them.
#[cfg(test)]
fn has_rule(quantity: Quantity) -> bool {
    let facts = Facts::new("", "", crate::source::Sources::default().add("", ""));
    !matches!(derive(quantity, &facts), Derived::Unknown { why } if why.contains("does not derive"))
}

#[cfg(test)]
mod tests {
    use super::has_rule;
    use crate::quantity::{Moment, QUANTITIES, Quantity};

    #[test]
    fn the_table_and_the_rules_agree() {
        for quantity in QUANTITIES {
            if quantity.row().moment.is_before_training() {
                assert_eq!(has_rule(*quantity), quantity.row().derived, "{quantity:?}");
            } else {
                assert!(!has_rule(*quantity), "{quantity:?}");
            }
        }
        assert_eq!(Quantity::WorldSize.row().moment, Moment::Launch);
    }
}
