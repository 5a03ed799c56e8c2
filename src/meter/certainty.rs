//! Whether a mean is below a bound, told from a sample: an anytime-valid betting test.
//!
//! Somebody bets against "the mean of all prompts is at least b" with a capital of 1, prompt by prompt:
//! `K ← K · (1 + λ (b − x))`, where λ is chosen before x is seen. If the mean is at least b, the expectation of K never
//! rises, and by Ville's inequality K ever reaches 1/α with a probability of at most α. So when it does, the mean is below
//! the bound with confidence 1 − α, whenever one looks and wherever one stops. The same bet in the other direction tells
//! that the mean is above.
//!
//! Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"; the bets are their aGRAPA,
//! with one imagined prompt that read 0. The prompts are independent draws from those that the probe stands for, each
//! with a value in [0, top]: for a value without a top no finite sample could tell.

use super::Reading;

/// The share of the capital that one prompt can cost.
///
/// Near 1 a probe on which almost nothing moves is certified with the fewest prompts, and one prompt at the top costs
/// almost everything; at this share both a continuous drift and a rare flip are near their best.
const MOST: f64 = 0.9;

/// What a sample says about a mean and a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// Neither.
    Undecided,
    /// The mean is at most the bound.
    Below,
    /// The mean is above the bound.
    Above,
}

/// A test under way. What is certified stays certified, until something is told that no prompt can read.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    bound: f64,
    top: f64,
    /// ln 1/α.
    threshold: f64,
    /// Prompts told, the imagined one included.
    count: f64,
    sum: f64,
    /// Squared distances of each value from the mean so far.
    squares: f64,
    /// Logarithm of the capital of the bet that the mean is below.
    below: f64,
    /// And that it is above.
    above: f64,
    certainty: Certainty,
    /// Something was told that is no value in [0, top], or the test makes no sense: nothing is certified any more.
    is_void: bool,
}

impl Test {
    /// Of the mean of values in [0, `top`] against `bound`. Each of the two certificates is wrong with a probability of
    /// at most `alpha`. A test that makes no sense (α outside of (0, 1), a bound below 0, what is not finite) certifies
    /// nothing.
    pub fn new(bound: f64, top: f64, alpha: f64) -> Test {
        let makes_sense =
            bound >= 0.0 && bound.is_finite() && top > 0.0 && top.is_finite() && alpha > 0.0 && alpha < 1.0;
        Test {
            bound,
            top,
            threshold: -alpha.ln(),
            count: 1.0,
            sum: 0.0,
            squares: 0.0,
            below: 0.0,
            above: 0.0,
            certainty: Certainty::Undecided,
            is_void: !makes_sense,
        }
    }

    /// Takes the value of one more prompt. After a value that is not finite or not in [0, top] nothing is certain.
    pub fn tell(&mut self, x: Reading) -> Certainty {
        match x.value().map(|value| value.get()) {
            Some(value) if !self.is_void && (0.0..=self.top).contains(&value) => self.bet(value),
            _ => {
                self.is_void = true;
                self.certainty = Certainty::Undecided;
            }
        }
        self.certainty
    }

    /// What is certain so far.
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    fn bet(&mut self, value: f64) {
        if self.certainty != Certainty::Undecided {
            return;
        }
        if self.bound >= self.top {
            // No mean of such values is above it.
            self.certainty = Certainty::Below;
            return;
        }
        let stake = stake(self.bound, self.sum / self.count, self.squares / self.count);
        let is_below = stake.clamp(0.0, MOST / (self.top - self.bound));
        let is_above = (-stake).clamp(0.0, MOST / self.bound);
        self.below += (is_below * (self.bound - value)).ln_1p();
        self.above += (is_above * (value - self.bound)).ln_1p();
        self.count += 1.0;
        self.sum += value;
        self.squares += (value - self.sum / self.count).powi(2);
        if self.below >= self.threshold {
            self.certainty = Certainty::Below;
        } else if self.above >= self.threshold {
            self.certainty = Certainty::Above;
        }
    }
}

/// aGRAPA: the λ that lets the logarithm of the capital grow fastest, to second order, if values have this mean and this
/// variance. Positive is a bet that the mean is below.
fn stake(bound: f64, mean: f64, variance: f64) -> f64 {
    let distance = bound - mean;
    if distance == 0.0 {
        return 0.0;
    }
    distance / (variance + distance * distance)
}

/// The fewest prompts that can certify a mean below `bound`: so many that all read 0. `None` when no number can.
pub fn prompts_needed(bound: f64, top: f64, alpha: f64) -> Option<u64> {
    let test = Test::new(bound, top, alpha);
    if test.is_void || bound == 0.0 {
        return None;
    }
    if bound >= top {
        return Some(1);
    }
    // The mean stays 0 and so does the variance: every bet is the same.
    let growth = (stake(bound, 0.0, 0.0).min(MOST / (top - bound)) * bound).ln_1p();
    let needed = (test.threshold / growth).ceil();
    (needed < 9e15).then_some(needed as u64)
}

/// The part of `alpha` that the `look`th look of a run may spend, counted from 1: α/(k(k + 1)), which adds up to α over
/// any number of looks.
///
/// Each look is at another state of the model, so no certificate carries over from one to the next.
pub fn alpha_at(alpha: f64, look: u64) -> f64 {
    let k = look as f64;
    alpha / (k * (k + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: &mut Test, values: impl IntoIterator<Item = f64>) -> (Certainty, usize) {
        let mut told = 0;
        for value in values {
            told += 1;
            if test.tell(value.into()) != Certainty::Undecided {
                break;
            }
        }
        (test.certainty(), told)
    }

    #[test]
    fn all_zeros_have_a_closed_form() {
        // 1 + 0.9 · 0.02 / 0.08 = 1.225 for each, and 1.225^15 is the first power over 20.
        assert_eq!(prompts_needed(0.02, 0.1, 0.05), Some(15));
        // Half of α, as at the first look: 1.225^19 is the first over 40.
        assert_eq!(prompts_needed(0.02, 0.1, alpha_at(0.05, 1)), Some(19));
        assert_eq!(prompts_needed(0.02, 1.0, 0.05), Some(165));
        // The bet is 1/b where that is less: the capital doubles.
        assert_eq!(prompts_needed(0.08, 0.1, 0.05), Some(5));
        for bound in [0.001, 0.01, 0.02, 0.03, 0.049, 0.05, 0.07, 0.099] {
            for alpha in [0.5, 0.05, 0.01, 1e-6] {
                let needed = prompts_needed(bound, 0.1, alpha).unwrap() as usize;
                let told = run(&mut Test::new(bound, 0.1, alpha), std::iter::repeat_n(0.0, 100_000));
                assert_eq!(told, (Certainty::Below, needed), "{bound} {alpha}");
            }
        }
        assert_eq!(prompts_needed(0.1, 0.1, 0.05), Some(1));
        for (bound, top, alpha) in [
            (0.0, 0.1, 0.05),
            (f64::NAN, 0.1, 0.05),
            (0.02, 0.1, 0.0),
            (-0.1, 0.1, 0.05),
        ] {
            assert_eq!(prompts_needed(bound, top, alpha), None);
        }
        assert_eq!(prompts_needed(1e-300, 1.0, 0.05), None);
    }

    #[test]
    fn the_first_bets_by_hand() {
        // Bound 0.2 of 1. The first bet is 0.9/0.8; the value 0.5 makes the capital 1 − 1.125 · 0.3.
        let mut test = Test::new(0.2, 1.0, 0.05);
        test.tell(0.5.into());
        assert!((test.below - (1.0_f64 - 1.125 * 0.3).ln()).abs() < 1e-15);
        assert_eq!(test.above, 0.0);
        // Now the mean is 0.25 and the variance 0.25²/2: a bet of 0.05/(0.03125 + 0.0025) that it is above.
        test.tell(1.0.into());
        let stake = 0.05_f64 / 0.033_75;
        assert!((test.above - (stake * 0.8).ln_1p()).abs() < 1e-14);
        assert!((test.below - (1.0_f64 - 1.125 * 0.3).ln()).abs() < 1e-15);
    }

    #[test]
    fn what_no_prompt_can_read_ends_every_certificate() {
        for bad in [f64::NAN, f64::INFINITY, -1e-9, 0.100_000_1] {
            let mut test = Test::new(0.02, 0.1, 0.05);
            test.tell(bad.into());
            assert_eq!(run(&mut test, vec![0.0; 1000]), (Certainty::Undecided, 1000), "{bad}");
            let mut test = Test::new(0.02, 0.1, 0.05);
            assert_eq!(run(&mut test, vec![0.0; 1000]), (Certainty::Below, 15));
            assert_eq!(test.tell(bad.into()), Certainty::Undecided, "{bad}");
        }
        for (bound, top, alpha) in [
            (f64::NAN, 0.1, 0.05),
            (0.02, f64::INFINITY, 0.05),
            (0.02, 0.0, 0.05),
            (-0.02, 0.1, 0.05),
            (0.02, 0.1, 1.0),
            (0.02, 0.1, f64::NAN),
            (0.02, 0.1, alpha_at(0.05, 0)),
        ] {
            let mut test = Test::new(bound, top, alpha);
            assert_eq!(run(&mut test, vec![0.0; 1000]).0, Certainty::Undecided);
        }
    }

    #[test]
    fn at_the_ends_of_the_domain() {
        // Nothing is below 0; one value above it refutes it, by betting as by logic.
        assert_eq!(
            run(&mut Test::new(0.0, 0.1, 0.05), vec![0.0; 1000]).0,
            Certainty::Undecided
        );
        let mut test = Test::new(0.0, 0.1, 0.05);
        assert_eq!(run(&mut test, vec![0.01; 20]).0, Certainty::Above);
        assert_eq!(run(&mut Test::new(0.1, 0.1, 0.05), [0.1]), (Certainty::Below, 1));
        assert_eq!(run(&mut Test::new(0.02, 0.1, 0.05), vec![0.1; 100]).0, Certainty::Above);
        assert_eq!(
            run(&mut Test::new(0.02, 0.1, 0.05), vec![0.02; 5000]).0,
            Certainty::Undecided
        );
    }

    #[test]
    fn what_the_looks_spend_adds_up_to_alpha() {
        let sum: f64 = (1..=100_000).map(|look| alpha_at(0.05, look)).sum();
        assert!(sum < 0.05 && sum > 0.049_999);
    }
}
