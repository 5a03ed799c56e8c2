//! One rule a derived quantity.
//!
//! A rule maps the sets of its inputs to the set of its result. Each input enters a rule once, through a function that
//! only rises or only falls in it, so the ends of the result are attained and the set is exact, not an estimate; the
//! exceptions (the samples, the last rate, the bound of the movement) enclose a range and are exact on single values.

use super::direct::own;
use super::{Facts, Input, Words};
use crate::quantity::{Category, Finite, Interval, Quantity};

/// A piece of a derivation as people read it: `per_device × accumulation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// An input, shown by name and by value.
    Of(Input),
    /// The words between.
    Text(&'static str),
}

/// What follows from the facts for one quantity.
#[derive(Debug, Clone, PartialEq)]
pub enum Derived {
    /// The values it may have, and by which rule.
    Values {
        /// The set; exact unless an input is unknown and the rule says otherwise.
        values: Interval,
        /// The rule, and with it the inputs that were used.
        by: &'static [Part],
    },
    /// The run cannot have it.
    Absent {
        /// Why.
        why: String,
    },
    /// It cannot be derived from what is known, whatever is supplied in numbers.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Derived {
    /// The inputs that the rule used.
    pub fn inputs(&self) -> impl Iterator<Item = Input> + '_ {
        let by: &[Part] = match self {
            Derived::Values { by, .. } => by,
            _ => &[],
        };
        by.iter().filter_map(|part| match part {
            Part::Of(input) => Some(*input),
            Part::Text(_) => None,
        })
    }
}

use Input::{Alpha, AlphaPerRank, ClipNorm, LearningRate, LoraPlusRatio, LoraScale, Rank, RankStabilised, Updates};
use Part::{Of, Text};

/// What is told of a quantity, which wins over its rule.
pub(super) fn told(quantity: Quantity, facts: &Facts) -> Option<Derived> {
    let input = own(quantity)?;
    let by: &'static [Part] = match input {
        Input::FinalRate => &[Of(Input::FinalRate)],
        Input::RateArea => &[Of(Input::RateArea)],
        Input::WarmupShare => &[Of(Input::WarmupShare)],
        Input::UpdateScale => &[Of(Input::UpdateScale)],
        LoraScale => &[Of(LoraScale)],
        Updates => &[Of(Updates)],
        _ => &[Of(Input::Samples)],
    };
    facts.values(input).map(|set| values(Some(set), by))
}

pub(super) fn values(values: Option<Interval>, by: &'static [Part]) -> Derived {
    values.map_or_else(
        || Derived::Unknown {
            why: "the numbers in the run file are too large to compute with".into(),
        },
        |values| Derived::Values { values, by },
    )
}

pub(super) fn absent(facts: &Facts, input: Input) -> Derived {
    let why = match facts.number(input).map(|fact| &fact.origin) {
        Some(super::Origin::Default { rule }) => rule.clone(),
        _ => format!("this run has no {}", input.name()),
    };
    Derived::Absent { why }
}

pub(super) fn plain(facts: &Facts, input: Input, by: &'static [Part]) -> Derived {
    match facts.values(input) {
        Some(set) => values(Some(set), by),
        None => absent(facts, input),
    }
}

/// Where clipping is off, nothing bounds the gradient: the norm is infinite, not zero.
pub(super) fn clip_norm(facts: &Facts) -> Derived {
    let Some(norm) = facts.values(ClipNorm) else {
        return absent(facts, ClipNorm);
    };
    let is_off = match facts.word(Category::Clipping).map(|fact| &fact.words) {
        Some(Words::Had(had)) => !had,
        _ => norm.is_point() && norm.lo() <= 0.0,
    };
    let set = match (is_off, norm.is_point() || norm.lo() > 0.0) {
        (true, _) => Interval::new(f64::INFINITY, f64::INFINITY),
        (false, true) => Some(norm),
        // One of the values it may still have switches clipping off.
        (false, false) => Interval::new(norm.lo(), f64::INFINITY),
    };
    values(set, &[Of(ClipNorm)])
}

/// The ends of `f` over sets in which it only rises (`true`) or only falls (`false`).
pub(super) fn monotone<const N: usize>(sets: [(Interval, bool); N], f: impl Fn([f64; N]) -> f64) -> Option<Interval> {
    let least = f(sets.map(|(set, rises)| if rises { set.lo() } else { set.hi() }));
    let most = f(sets.map(|(set, rises)| if rises { set.hi() } else { set.lo() }));
    Interval::new(Finite::decimal(least), Finite::decimal(most))
}

pub(super) fn learning_rate(facts: &Facts) -> Derived {
    let Some(rate) = facts.values(LearningRate) else {
        return absent(facts, LearningRate);
    };
    match facts.values(LoraPlusRatio) {
        None => values(Some(rate), &[Of(LearningRate)]),
        Some(ratio) => values(
            monotone([(rate, true), (ratio, true)], |[rate, ratio]| rate * ratio.max(1.0)),
            &[
                Of(LearningRate),
                Text(" × "),
                Of(LoraPlusRatio),
                Text(" for the B matrices"),
            ],
        ),
    }
}

pub(super) fn lora_alpha(facts: &Facts) -> Derived {
    match (facts.values(AlphaPerRank), facts.values(Rank)) {
        (Some(multiple), Some(rank)) => values(
            monotone([(multiple, true), (rank, true)], |[m, r]| m * r),
            &[Of(AlphaPerRank), Text(" × "), Of(Rank)],
        ),
        _ => plain(facts, Alpha, &[Of(Alpha)]),
    }
}

pub(super) fn lora_scale(facts: &Facts) -> Derived {
    const BY: &[Part] = &[
        Of(Alpha),
        Text(" ÷ "),
        Of(Rank),
        Text(", or its root by "),
        Of(RankStabilised),
    ];
    stabilised_or_not(facts, known_lora_scale, BY)
}

/// A rule that asks whether LoRA is rank-stabilised, where that is not known: what it says of both.
fn stabilised_or_not(facts: &Facts, rule: fn(&Facts) -> Derived, by: &'static [Part]) -> Derived {
    let Some(either) = facts.values(RankStabilised).filter(|set| !set.is_point()) else {
        return rule(facts);
    };
    let of = |end: f64| {
        let mut one = facts.clone();
        if let Some(point) = Interval::new(end, end) {
            one.narrow(RankStabilised, point);
        }
        rule(&one)
    };
    match (of(either.lo()), of(either.hi())) {
        (Derived::Values { values: a, .. }, Derived::Values { values: b, .. }) => {
            values(Interval::new(a.lo().min(b.lo()), a.hi().max(b.hi())), by)
        }
        (other, Derived::Values { .. }) | (_, other) => other,
    }
}

fn known_lora_scale(facts: &Facts) -> Derived {
    let (Some(alpha), Some(rank)) = (facts.values(Alpha), facts.values(Rank)) else {
        return absent(facts, Rank);
    };
    if let Some(multiple) = facts.values(AlphaPerRank) {
        return scaled_by_default(facts, multiple, rank);
    }
    if is_rank_stabilised(facts) {
        values(
            monotone([(alpha, true), (rank, false)], |[a, r]| a / r.sqrt()),
            &[Of(Alpha), Text(" ÷ √"), Of(Rank)],
        )
    } else {
        values(
            monotone([(alpha, true), (rank, false)], |[a, r]| a / r),
            &[Of(Alpha), Text(" ÷ "), Of(Rank)],
        )
    }
}

/// An alpha that follows the rank by default: the rank, unknown as it may be, cancels out of alpha/r.
fn scaled_by_default(facts: &Facts, multiple: Interval, rank: Interval) -> Derived {
    if is_rank_stabilised(facts) {
        values(
            monotone([(multiple, true), (rank, true)], |[m, r]| m * r.sqrt()),
            &[Of(AlphaPerRank), Text(" × √"), Of(Rank)],
        )
    } else {
        values(Some(multiple), &[Of(AlphaPerRank)])
    }
}

fn is_rank_stabilised(facts: &Facts) -> bool {
    facts.values(RankStabilised).is_some_and(|set| set.lo() >= 1.0)
}

pub(super) fn update_scale(facts: &Facts) -> Derived {
    const BY: &[Part] = &[
        Of(LearningRate),
        Text(" × "),
        Of(Alpha),
        Text(" ÷ "),
        Of(Rank),
        Text(", or its root by "),
        Of(RankStabilised),
    ];
    stabilised_or_not(facts, known_update_scale, BY)
}

fn known_update_scale(facts: &Facts) -> Derived {
    let Derived::Values { values: rate, .. } = learning_rate(facts) else {
        return absent(facts, LearningRate);
    };
    if let Some(scale) = facts.values(LoraScale) {
        let sets = [(rate, true), (scale, true)];
        let by = &[Of(LearningRate), Text(" × "), Of(LoraScale)];
        return values(monotone(sets, |[l, s]| l * s), by);
    }
    let (Some(alpha), Some(rank)) = (facts.values(Alpha), facts.values(Rank)) else {
        return values(Some(rate), &[Of(LearningRate)]);
    };
    if let Some(multiple) = facts.values(AlphaPerRank) {
        let root = is_rank_stabilised(facts);
        let by: &'static [Part] = if root {
            &[Of(LearningRate), Text(" × "), Of(AlphaPerRank), Text(" × √"), Of(Rank)]
        } else {
            &[Of(LearningRate), Text(" × "), Of(AlphaPerRank)]
        };
        let sets = [(rate, true), (multiple, true), (rank, true)];
        return values(
            monotone(sets, |[l, m, r]| l * m * if root { r.sqrt() } else { 1.0 }),
            by,
        );
    }
    let sets = [(rate, true), (alpha, true), (rank, false)];
    let by: &'static [Part] = match (facts.values(LoraPlusRatio).is_some(), is_rank_stabilised(facts)) {
        (false, false) => &[Of(LearningRate), Text(" × "), Of(Alpha), Text(" ÷ "), Of(Rank)],
        (false, true) => &[Of(LearningRate), Text(" × "), Of(Alpha), Text(" ÷ √"), Of(Rank)],
        (true, false) => &[
            Of(LearningRate),
            Text(" × "),
            Of(LoraPlusRatio),
            Text(" × "),
            Of(Alpha),
            Text(" ÷ "),
            Of(Rank),
        ],
        (true, true) => &[
            Of(LearningRate),
            Text(" × "),
            Of(LoraPlusRatio),
            Text(" × "),
            Of(Alpha),
            Text(" ÷ √"),
            Of(Rank),
        ],
    };
    let root = is_rank_stabilised(facts);
    values(
        monotone(sets, |[l, a, r]| l * (a / if root { r.sqrt() } else { r })),
        by,
    )
}
