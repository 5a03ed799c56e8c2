//! Judgement at the boundary: of two answers, does the model still prefer the one that the base preferred?

use super::{Estimate, Reading};

/// One of an item's two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The answer that stands first in the item.
    First,
    /// The other.
    Second,
}

/// The answer with the larger log-probability, mean over its tokens; `None` when both are equal or one is not finite.
///
/// A probe with an item on which the base has no preference is refused at the start: it could not say what a flip is.
pub fn preferred(first: f64, second: f64) -> Option<Answer> {
    let are_finite = first.is_finite() && second.is_finite();
    match first.partial_cmp(&second).filter(|_| are_finite)? {
        std::cmp::Ordering::Greater => Some(Answer::First),
        std::cmp::Ordering::Less => Some(Answer::Second),
        std::cmp::Ordering::Equal => None,
    }
}

/// `boundary.flips`: the share of items whose preferred answer is no longer the base's. Each item is the log-probability
/// of its first and its second answer, mean over tokens.
///
/// An item that the base preferred and that is now undecided has flipped. An item on which the base has no preference, or
/// with a number that is not finite, is not finite, and so is the share: it is never counted as kept.
///
/// Cost: one forward pass of each item with each of its two answers. Read at evaluations. Standard error: of the mean over
/// items, each 0 or 1; it is 0 when all agree, which is no proof that the next would. Not finite when there is no item, or
/// when both sides are not equally many.
pub fn flips(base: &[(f64, f64)], now: &[(f64, f64)]) -> Estimate {
    if base.len() != now.len() {
        return Estimate::exact(Reading::NotFinite);
    }
    let one = |(base, now): (&(f64, f64), &(f64, f64))| match preferred(base.0, base.1) {
        Some(answer) if now.0.is_finite() && now.1.is_finite() => {
            Reading::from(f64::from(u8::from(preferred(now.0, now.1) != Some(answer))))
        }
        _ => Reading::NotFinite,
    };
    Estimate::mean(base.iter().zip(now).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_is_preferred() {
        assert_eq!(preferred(-1.0, -2.0), Some(Answer::First));
        assert_eq!(preferred(-2.0, -1.0), Some(Answer::Second));
        assert_eq!(preferred(-1.0, -1.0), None);
        assert_eq!(preferred(0.0, -0.0), None);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((preferred(bad, -1.0), preferred(-1.0, bad)), (None, None));
        }
    }

    #[test]
    fn changed_answers_are_counted() {
        let base = [(-1.0, -2.0), (-2.0, -1.0), (-1.0, -2.0), (-1.0, -2.0)];
        // Kept though both fell; flipped; kept though closer; now undecided.
        let now = [(-5.0, -6.0), (-1.0, -2.0), (-1.0, -1.0 - f64::EPSILON), (-1.0, -1.0)];
        let found = flips(&base, &now);
        assert_eq!(found.prompts, [0.0.into(), 1.0.into(), 0.0.into(), 1.0.into()]);
        assert_eq!(found.value, 0.5.into());
        assert!((found.standard_error.unwrap().get() - (1.0_f64 / 12.0).sqrt()).abs() < 1e-15);
        assert_eq!(flips(&base, &base).value, 0.0.into());
    }

    #[test]
    fn what_cannot_be_judged_is_not_kept() {
        let good = (-1.0, -2.0);
        let tie = (-1.0, -1.0);
        assert_eq!(flips(&[tie, good], &[good, good]).value, Reading::NotFinite);
        assert_eq!(flips(&[tie], &[tie]).value, Reading::NotFinite);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for bad in [(bad, -1.0), (-1.0, bad), (bad, bad)] {
                assert_eq!(flips(&[good], &[bad]).value, Reading::NotFinite);
                assert_eq!(flips(&[bad], &[good]).value, Reading::NotFinite);
            }
        }
        assert_eq!(flips(&[], &[]).value, Reading::NotFinite);
        assert_eq!(flips(&[good], &[]).value, Reading::NotFinite);
    }
}
