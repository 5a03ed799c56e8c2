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

/// One value for each of some inputs.
type Point = Vec<(Input, Interval)>;

/// The answer for every combination of the missing inputs' values.
pub fn decide(facts: &Facts, missing: &[Missing], question: Question<'_>) -> Answer {
    // Most questions are settled as a whole, and then nothing has to be copied.
    let whole = question(facts);
    if whole != Answer::Mixed || missing.is_empty() {
        return whole;
    }
    let holds = |rule: Answer| {
        let mut search = Search::new(facts, question, MOST_CELLS / missing.len());
        search.exception(missing, rule).is_none()
    };
    [Answer::Within, Answer::Over]
        .into_iter()
        .find(|rule| holds(*rule))
        .unwrap_or(Answer::Mixed)
}

/// The values of `input` for which the answer is `Within` whatever the other missing inputs are, as maximal runs in
/// rising order; `None` when the search was given up.
pub fn suffices(facts: &Facts, input: Input, others: &[Missing], question: Question<'_>) -> Option<Vec<Interval>> {
    let whole = facts.values(input)?;
    let mut search = Search::new(facts, question, MOST_CELLS / (others.len() + 1));
    let mut found = Vec::new();
    search.collect(input, whole, others, &mut found)?;
    Some(joined(input, found))
}

struct Search<'a> {
    facts: Facts,
    question: Question<'a>,
    cells: usize,
    most: usize,
    /// The choice of the other inputs that was outside last: it mostly rules out the neighbours as well.
    outside: Option<Point>,
}

impl<'a> Search<'a> {
    fn new(facts: &Facts, question: Question<'a>, most: usize) -> Self {
        Search {
            facts: facts.clone(),
            question,
            cells: 0,
            most,
            outside: None,
        }
    }

    fn ask(&mut self) -> Answer {
        self.cells += 1;
        (self.question)(&self.facts)
    }

    fn ask_at(&mut self, point: &[(Input, Interval)]) -> Answer {
        let before = self.values(point.iter().map(|(input, _)| *input));
        self.narrow(point);
        let answer = self.ask();
        self.narrow(&before);
        answer
    }

    fn narrow(&mut self, to: &[(Input, Interval)]) {
        for (input, values) in to {
            self.facts.narrow(*input, *values);
        }
    }

    fn values(&self, inputs: impl Iterator<Item = Input>) -> Point {
        inputs
            .filter_map(|input| Some((input, self.facts.values(input)?)))
            .collect()
    }

    /// The corner at which every missing input has its least or its largest value.
    fn corner(&self, missing: &[Missing], high: bool) -> Point {
        let mut corner = self.values(missing.iter().copied());
        for (_, values) in &mut corner {
            let end = if high { values.hi() } else { values.lo() };
            *values = Interval::new(end, end).unwrap_or(*values);
        }
        corner
    }

    /// A point at which the answer is not `rule`, or where that could not be shown; `None` where it is `rule` everywhere.
    fn exception(&mut self, missing: &[Missing], rule: Answer) -> Option<Point> {
        let answer = self.ask();
        if answer == rule {
            return None;
        }
        let low = self.corner(missing, false);
        if answer != Answer::Mixed || self.cells > self.most {
            return Some(low);
        }
        // Most sets that have an exception have it at a corner.
        for corner in [&low, &self.corner(missing, true)] {
            let answer = self.ask_at(corner);
            if answer != Answer::Mixed && answer != rule {
                return Some(corner.clone());
            }
        }
        // What has few values is tried to the end first: an uneven rule is even again in what remains.
        let whole = self.values(missing.iter().copied());
        let narrowest = whole
            .iter()
            .filter_map(|(input, values)| Some((*input, *values, halves(*input, *values)?)))
            .min_by_key(|(input, values, _)| steps(*input, *values));
        let Some((input, whole, (left, right))) = narrowest else {
            return Some(low);
        };
        let found = [left, right].into_iter().find_map(|half| {
            self.facts.narrow(input, half);
            self.exception(missing, rule)
        });
        self.facts.narrow(input, whole);
        found
    }

    fn collect(&mut self, input: Input, cell: Interval, others: &[Missing], found: &mut Vec<Interval>) -> Option<()> {
        self.facts.narrow(input, cell);
        let mut answer = self.ask();
        if answer == Answer::Mixed && !others.is_empty() {
            answer = self.whatever(others);
        }
        if self.cells > self.most {
            return None;
        }
        match (answer, halves(input, cell)) {
            (Answer::Within, _) => found.push(cell),
            (Answer::Mixed, Some((left, right))) => {
                self.collect(input, left, others, found)?;
                self.collect(input, right, others, found)?;
            }
            (Answer::Over, _) | (Answer::Mixed, None) => {}
        }
        Some(())
    }

    /// `Within` where the answer is that whatever the others are, `Over` where one choice of them is outside.
    fn whatever(&mut self, others: &[Missing]) -> Answer {
        if let Some(outside) = self.outside.take() {
            let answer = self.ask_at(&outside);
            self.outside = Some(outside);
            if answer != Answer::Within {
                return answer;
            }
        }
        let Some(exception) = self.exception(others, Answer::Within) else {
            return Answer::Within;
        };
        let answer = self.ask_at(&exception);
        self.outside = Some(exception);
        answer
    }
}

/// The two halves of a set of an input's values; `None` when it holds one.
fn halves(input: Input, cell: Interval) -> Option<(Interval, Interval)> {
    if cell.is_point() {
        return None;
    }
    let half = steps(input, cell) / 2;
    let (left, right) = if input.domain().integer {
        let middle = cell.lo() + half as f64;
        (middle, middle + 1.0)
    } else {
        let middle = cell.lo().max(0.0).to_bits() + half;
        (f64::from_bits(middle), f64::from_bits(middle + 1))
    };
    Some((Interval::new(cell.lo(), left)?, Interval::new(right, cell.hi())?))
}

/// Steps from the least value of a cell to its largest.
fn steps(input: Input, cell: Interval) -> u64 {
    if input.domain().integer {
        (cell.hi() - cell.lo()) as u64
    } else {
        // Bit patterns of non-negative f64s are ordered as the numbers are.
        cell.hi().max(0.0).to_bits() - cell.lo().max(0.0).to_bits()
    }
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
