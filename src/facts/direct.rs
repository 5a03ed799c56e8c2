//! Quantities that are told as they are, without what they would be derived from.
//!
//! A quantity that one input makes is told by that input. The others have an input of their own, which no run file gives:
//! where it is set it wins over the rule, and who sets it has to see that the two agree.

use super::Input;
use crate::quantity::Quantity;

/// The input that tells a quantity; `None` where it cannot be told.
pub fn input_of(quantity: Quantity) -> Option<Input> {
    Some(match quantity {
        Quantity::LearningRate => Input::LearningRate,
        Quantity::ClipNorm => Input::ClipNorm,
        Quantity::WeightDecay => Input::WeightDecay,
        Quantity::PreferenceBeta => Input::PreferenceBeta,
        Quantity::BatchEffective => Input::GlobalBatch,
        Quantity::Epochs => Input::Epochs,
        Quantity::LoraRank => Input::Rank,
        Quantity::LoraAlpha => Input::Alpha,
        Quantity::WorldSize => Input::WorldSize,
        Quantity::DatasetRows => Input::Rows,
        other => own(other)?,
    })
}

/// The input of its own that a quantity has beside its rule.
pub(super) fn own(quantity: Quantity) -> Option<Input> {
    Some(match quantity {
        Quantity::LearningRateFinal => Input::FinalRate,
        Quantity::LearningRateArea => Input::RateArea,
        Quantity::WarmupFraction => Input::WarmupShare,
        Quantity::UpdateScale => Input::UpdateScale,
        Quantity::LoraScale => Input::LoraScale,
        Quantity::Updates => Input::Updates,
        Quantity::Samples => Input::Samples,
        _ => return None,
    })
}
