//! The largest part of an update that fits, to a factor of two.
//!
//! A small step moves the distribution by its square (forward KL has no linear term), so the first guess is close; what
//! is committed was measured all the same.

/// The smallest part of an update that is worth committing.
pub const LEAST_SCALE: f64 = 1.0 / 64.0;

/// Kept below the guess, because the law is not exact.
const MARGIN: f64 = 0.95;

/// What to do after a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// Measure at this scale.
    Measure(f64),
    /// Commit this much.
    Fixed(f64),
    /// Nothing in [1/64, 1) fits.
    Drop,
}

/// A line search under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    at: f64,
    /// The largest scale so far that fits.
    best: Option<f64>,
    /// Whether a larger scale, at most twice this one, was measured and does not fit.
    failed: bool,
}

impl Search {
    /// Begins after the whole update did not fit. `ratios` has bound / reading of each breached limit, `None` where the
    /// reading says nothing about a scale.
    pub(super) fn begin(ratios: impl IntoIterator<Item = Option<f64>>) -> Self {
        let guess = ratios
            .into_iter()
            .map(|ratio| match ratio {
                Some(ratio) if (0.0..1.0).contains(&ratio) => MARGIN * ratio.sqrt(),
                _ => 0.5,
            })
            .fold(MARGIN, f64::min);
        Search {
            at: guess.max(LEAST_SCALE),
            best: None,
            failed: false,
        }
    }

    /// The scale that is to be measured.
    pub(super) fn scale(&self) -> f64 {
        self.at
    }

    /// Goes on, knowing whether the scale that was measured fits.
    ///
    /// Where a smaller part never moves more than a larger one, what is fixed is at least half of the largest part that
    /// fits, and `Drop` means that none does.
    pub(super) fn tell(&mut self, fits: bool) -> Next {
        let next = if fits {
            self.best = Some(self.at);
            let double = 2.0 * self.at;
            if double >= 1.0 || self.failed {
                return Next::Fixed(self.at);
            }
            double
        } else if let Some(best) = self.best {
            return Next::Fixed(best);
        } else if self.at > LEAST_SCALE {
            self.failed = true;
            (self.at / 2.0).max(LEAST_SCALE)
        } else {
            return Next::Drop;
        };
        self.at = next;
        Next::Measure(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches with `fits`; how much is fixed, and how many measurements it took.
    fn run(ratio: Option<f64>, fits: impl Fn(f64) -> bool) -> (Option<f64>, usize) {
        let mut search = Search::begin([ratio]);
        for measurements in 1..20 {
            let at = search.scale();
            assert!((LEAST_SCALE..1.0).contains(&at), "{at}");
            match search.tell(fits(at)) {
                Next::Measure(next) => assert_eq!(next, search.scale()),
                Next::Fixed(scale) => return (Some(scale), measurements),
                Next::Drop => return (None, measurements),
            }
        }
        panic!("the search does not end");
    }

    #[test]
    fn the_quadratic_law_needs_one_measurement_or_two() {
        for over in [1.01, 1.5, 3.0, 3.6] {
            let (fixed, measurements) = run(Some(1.0 / over), |s| over * s * s <= 1.0);
            assert_eq!(measurements, 1);
            assert!((fixed.unwrap() - MARGIN / f64::sqrt(over)).abs() < 1e-12);
        }
        // Below a half the double is tried as well.
        let (fixed, measurements) = run(Some(1.0 / 16.0), |s| 16.0 * s * s <= 1.0);
        assert_eq!((fixed, measurements), (Some(MARGIN / 4.0), 2));
    }

    #[test]
    fn a_reading_that_says_nothing_begins_at_a_half() {
        for ratio in [None, Some(f64::NAN), Some(-1.0), Some(2.0)] {
            assert_eq!(Search::begin([ratio]).scale(), 0.5);
        }
        assert_eq!(Search::begin([None, Some(0.01)]).scale(), MARGIN * 0.1);
        assert_eq!(Search::begin([Some(0.0)]).scale(), LEAST_SCALE);
        assert_eq!(Search::begin([Some(1e-9)]).scale(), LEAST_SCALE);
    }

    #[test]
    fn the_smallest_part_is_tried_before_the_update_is_dropped() {
        assert_eq!(run(None, |s| s <= LEAST_SCALE).0, Some(LEAST_SCALE));
        assert_eq!(run(Some(0.5), |s| s <= LEAST_SCALE).0, Some(LEAST_SCALE));
        assert_eq!(run(None, |_| false).0, None);
    }

    proptest! {
        /// The largest part that fits is at `edge`, whatever law the reading follows and whatever the guess.
        #[test]
        fn at_least_half_of_the_largest_part_that_fits(
            edge in 0.0_f64..1.0,
            ratio in prop_oneof![Just(None), (0.0_f64..1.0).prop_map(Some)],
        ) {
            let (fixed, _) = run(ratio, |s| s <= edge);
            match fixed {
                Some(scale) => {
                    prop_assert!(scale <= edge);
                    prop_assert!(2.0 * scale >= 1.0 || 2.0 * scale > edge, "{} of {}", scale, edge);
                }
                None => prop_assert!(edge < LEAST_SCALE),
            }
        }
    }
}
