//! Decisions over sets of values, and the values that would decide.
//!
//! A question is answered over a whole set at once where the answer is the same for all of it; where it is not, one
//! missing fact is split in two and both halves are asked. Whole numbers end at single values, and so do f64s, because
//! halving walks along their bit patterns: the ends of a solution are exact, and nothing needs a rule to be monotone.

use crate::facts::{Facts, Input};
use crate::quantity::{Finite, Interval};

/// The answer to a question about a set of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Inside, for every value of the set.
    Within,
    /// Outside, for every value of the set.
    Over,
    /// Neither was shown for the whole set.
    Mixed,
}

/// Sets that are looked at before a question is left open. Twice the largest world: even a rule that is not monotone in
/// the world size is enumerated to the end.
/// Several missing facts share them, so that a file of placeholders is answered as fast as any other.
const MOST_CELLS: usize = 140_000;

/// An input that has more than one value left.
pub type Missing = Input;

/// A question: sound on every set, and never `Mixed` on single values.
type Question<'a> = &'a dyn Fn(&Facts) -> Answer;

/// The answer for every combination of the missing inputs' values.
pub fn decide(facts: &Facts, missing: &[Missing], question: Question<'_>) -> Answer {
    // Most questions are settled as a whole, and then nothing has to be copied.
    let whole = question(facts);
    if whole != Answer::Mixed || missing.is_empty() {
        return whole;
    }
    let mut search = Search {
        facts: facts.clone(),
        question,
        cells: 0,
        most: MOST_CELLS / missing.len().max(1),
    };
    search.decide(missing)
}

/// The values of `input` for which the answer is `Within` whatever the other missing inputs are, as maximal runs in
/// rising order; `None` when the search was given up.
pub fn suffices(facts: &Facts, input: Input, others: &[Missing], question: Question<'_>) -> Option<Vec<Interval>> {
    let whole = facts.values(input)?;
    let mut search = Search {
        facts: facts.clone(),
        question,
        cells: 0,
        most: MOST_CELLS / (others.len() + 1),
    };
    let mut found = Vec::new();
    search.collect(input, whole, others, &mut found)?;
    Some(joined(input, found))
}

struct Search<'a> {
    facts: Facts,
    question: Question<'a>,
    cells: usize,
    most: usize,
}

impl Search<'_> {
    fn decide(&mut self, missing: &[Missing]) -> Answer {
        self.cells += 1;
        let answer = (self.question)(&self.facts);
        if answer != Answer::Mixed || self.cells > self.most {
            return answer;
        }
        // Two corners that disagree settle it; most sets that are mixed at all are mixed there.
        if let (Some(low), Some(high)) = (self.corner(missing, false), self.corner(missing, true))
            && low != high
        {
            return Answer::Mixed;
        }
        let Some((input, left, right)) = missing.iter().find_map(|input| {
            let (left, right) = halves(*input, self.facts.values(*input)?)?;
            Some((*input, left, right))
        }) else {
            return Answer::Mixed;
        };
        let whole = self.facts.values(input);
        self.facts.narrow(input, left);
        let first = self.decide(missing);
        let second = if first == Answer::Mixed {
            first
        } else {
            self.facts.narrow(input, right);
            self.decide(missing)
        };
        if let Some(whole) = whole {
            self.facts.narrow(input, whole);
        }
        if first == second { first } else { Answer::Mixed }
    }

    /// The answer with every missing input at its least or its largest value.
    fn corner(&mut self, missing: &[Missing], high: bool) -> Option<Answer> {
        let before: Vec<(Input, Interval)> = missing
            .iter()
            .filter_map(|input| Some((*input, self.facts.values(*input)?)))
            .collect();
        for (input, values) in &before {
            let end = if high { values.hi() } else { values.lo() };
            self.facts.narrow(*input, Interval::new(end, end)?);
        }
        self.cells += 1;
        let answer = (self.question)(&self.facts);
        for (input, values) in before {
            self.facts.narrow(input, values);
        }
        (answer != Answer::Mixed).then_some(answer)
    }

    fn collect(&mut self, input: Input, cell: Interval, others: &[Missing], found: &mut Vec<Interval>) -> Option<()> {
        self.facts.narrow(input, cell);
        self.cells += 1;
        if self.cells > self.most {
            return None;
        }
        match (self.question)(&self.facts) {
            Answer::Within => found.push(cell),
            Answer::Over => {}
            Answer::Mixed => {
                // One choice of the others that is outside for the whole cell rules the cell out.
                let ruled_out = [false, true]
                    .into_iter()
                    .any(|high| !others.is_empty() && self.corner(others, high) == Some(Answer::Over));
                if ruled_out {
                    return Some(());
                }
                match halves(input, cell) {
                    Some((left, right)) => {
                        self.collect(input, left, others, found)?;
                        self.collect(input, right, others, found)?;
                    }
                    None => {
                        if self.decide(others) == Answer::Within {
                            found.push(cell);
                        }
                    }
                }
            }
        }
        Some(())
    }
}

/// The two halves of a set of an input's values; `None` when it holds one.
fn halves(input: Input, cell: Interval) -> Option<(Interval, Interval)> {
    if cell.is_point() {
        return None;
    }
    let (left, right) = if input.domain().integer {
        let middle = cell.lo() + ((cell.hi() - cell.lo()) / 2.0).floor();
        (middle, middle + 1.0)
    } else {
        // Bit patterns of non-negative f64s are ordered as the numbers are.
        let (lo, hi) = (cell.lo().max(0.0).to_bits(), cell.hi().max(0.0).to_bits());
        let middle = lo + (hi - lo) / 2;
        (f64::from_bits(middle), f64::from_bits(middle + 1))
    };
    Some((Interval::new(cell.lo(), left)?, Interval::new(right, cell.hi())?))
}

/// Neighbouring cells as one.
fn joined(input: Input, cells: Vec<Interval>) -> Vec<Interval> {
    let mut runs: Vec<Interval> = Vec::new();
    for cell in cells {
        match runs.last_mut() {
            Some(last) if next_after(input, last.hi()) >= cell.lo() => {
                if let Some(longer) = Interval::new(last.lo(), cell.hi()) {
                    *last = longer;
                }
            }
            _ => runs.push(cell),
        }
    }
    runs
}

fn next_after(input: Input, value: f64) -> f64 {
    if input.domain().integer {
        value + 1.0
    } else {
        value.next_up()
    }
}

/// Those of the inputs that have more than one value left.
pub(super) fn missing_of(facts: &Facts, inputs: impl Iterator<Item = Input>) -> Vec<Input> {
    let mut missing: Vec<Input> = inputs
        .filter(|input| facts.values(*input).is_some_and(|values| !values.is_point()))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The value of a solution that is nearest to `current`: a whole number where one will do, else in as few digits as stay
/// inside.
pub(super) fn nearest(runs: &[Interval], current: Finite) -> Option<Finite> {
    let distance = |value: f64| (value - current.get()).abs();
    let run = runs.iter().min_by(|a, b| {
        let near = |run: &Interval| distance(current.get().clamp(run.lo(), run.hi()));
        near(a).total_cmp(&near(b))
    })?;
    let end = current.get().clamp(run.lo(), run.hi());
    let whole = Some(end.trunc()).filter(|whole| *whole >= 1.0);
    whole
        .into_iter()
        .chain((1..17).filter_map(|digits| format!("{end:.digits$e}").parse::<f64>().ok()))
        .chain([end])
        .find(|short| run.lo() <= *short && *short <= run.hi())
        .and_then(Finite::new)
}
