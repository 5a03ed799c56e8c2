//! Sets of values a fact may still have, and the regions that limits accept.
//!
//! IEEE rounding is monotone, so an interval whose ends are computed by the same floating-point steps as a single
//! value encloses every value computed so: no outward rounding is needed for an exact verdict.

use super::Finite;

/// A closed interval; an end may be infinite, never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    lo: f64,
    hi: f64,
}

impl Interval {
    /// Everything.
    pub const ALL: Interval = Interval {
        lo: f64::NEG_INFINITY,
        hi: f64::INFINITY,
    };

    /// From `lo` to `hi`, in either order; `None` when one is NaN.
    pub fn new(lo: f64, hi: f64) -> Option<Self> {
        (!lo.is_nan() && !hi.is_nan()).then(|| Interval {
            lo: lo.min(hi),
            hi: lo.max(hi),
        })
    }

    /// The set of one number.
    pub fn point(value: Finite) -> Self {
        Interval {
            lo: value.get(),
            hi: value.get(),
        }
    }

    /// Everything up to and including `hi`.
    pub fn at_most(hi: Finite) -> Self {
        Interval {
            hi: hi.get(),
            ..Self::ALL
        }
    }

    /// Everything from `lo` on, itself included.
    pub fn at_least(lo: Finite) -> Self {
        Interval {
            lo: lo.get(),
            ..Self::ALL
        }
    }

    /// The smallest number in it.
    pub fn lo(self) -> f64 {
        self.lo
    }

    /// The largest number in it.
    pub fn hi(self) -> f64 {
        self.hi
    }

    /// Whether it holds a single number.
    pub fn is_point(self) -> bool {
        self.lo == self.hi
    }

    /// Whether every number of `other` is in it.
    pub fn contains(self, other: Interval) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    /// Whether they share no number.
    pub fn is_disjoint(self, other: Interval) -> bool {
        self.hi < other.lo || other.hi < self.lo
    }

    /// The numbers in both.
    pub fn intersect(self, other: Interval) -> Option<Interval> {
        (!self.is_disjoint(other)).then(|| Interval {
            lo: self.lo.max(other.lo),
            hi: self.hi.min(other.hi),
        })
    }

    /// The image under a function that never falls.
    pub fn map_rising(self, f: impl Fn(f64) -> f64) -> Option<Interval> {
        Interval::new(f(self.lo), f(self.hi))
    }
}

/// The numbers a fact can have at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Domain {
    /// Its ends.
    pub interval: Interval,
    /// Whether only whole numbers belong to it.
    pub integer: bool,
}

impl Domain {
    /// Whole numbers from one up to 2^53, the last one up to which every whole number is an f64.
    pub const COUNT: Domain = Domain::integers(1.0, 9_007_199_254_740_992.0);
    /// Training processes of one launch.
    pub const WORLD: Domain = Domain::integers(1.0, 65_536.0);
    /// Shares of a whole.
    pub const RATIO: Domain = Domain::reals(0.0, 1.0);

    /// Whole numbers from `lo` to `hi`.
    pub const fn integers(lo: f64, hi: f64) -> Self {
        Domain {
            interval: Interval { lo, hi },
            integer: true,
        }
    }

    /// Numbers from `lo` to `hi`.
    pub const fn reals(lo: f64, hi: f64) -> Self {
        Domain {
            interval: Interval { lo, hi },
            integer: false,
        }
    }

    /// Whether a number belongs to it.
    pub fn contains(self, value: f64) -> bool {
        (!self.integer || value.fract() == 0.0) && self.interval.lo <= value && value <= self.interval.hi
    }
}
