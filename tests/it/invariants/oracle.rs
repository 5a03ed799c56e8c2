//! What the page about the guard says that each decision is, written a second time from the readings alone.

use ftrisk::guard::{Act, Breach, Cause, Decision, Guard, LEAST_SCALE, Measured};
use ftrisk::ir::{Action, Asks, DEFAULT_CADENCE, Level, Policy, Rung, default_response};
use ftrisk::meter::Reading;
use ftrisk::quantity::{Finite, Moment, Quantity};

use super::runner::Record;

/// A limit and how often each of its rungs answered.
#[derive(Debug, Clone)]
pub struct Rule {
    pub line: usize,
    pub quantity: Quantity,
    pub probe: Option<usize>,
    min: Option<f64>,
    max: Option<f64>,
    of_base: bool,
    base: Option<f64>,
    pub advice: bool,
    pub rungs: Vec<Rung>,
    pub uses: Vec<u64>,
}

impl Rule {
    pub fn is_per_update(&self) -> bool {
        self.quantity.row().moment == Moment::Update
    }

    /// Floor and ceiling as numbers; none without the base's reading that they are shares of.
    pub fn bounds(&self) -> Option<(Option<f64>, Option<f64>)> {
        let factor = if self.of_base {
            self.base.filter(|base| *base != 0.0)?
        } else {
            1.0
        };
        Some((self.min.map(|min| min * factor), self.max.map(|max| max * factor)))
    }

    /// Whether a number is inside, to rounding. NaN never is.
    pub fn holds(&self, value: f64) -> bool {
        let rounding = match self.quantity {
            // Singular values below 1e-7 of the largest count as none.
            Quantity::LoraEffectiveRank => 1e-5,
            _ => 1e-9 * (1.0 + value.abs()),
        };
        self.bounds().is_some_and(|(min, max)| {
            value.is_finite()
                && min.is_none_or(|min| value >= min - rounding)
                && max.is_none_or(|max| value <= max + rounding)
        })
    }

    fn cause(&self, reading: Option<Reading>) -> Option<Cause> {
        let Some((min, max)) = self.bounds() else {
            return Some(Cause::NoBase);
        };
        match reading {
            None => Some(Cause::Missing),
            Some(Reading::NotFinite) => Some(Cause::NotFinite),
            Some(Reading::Value(value)) => {
                let inside = min.is_none_or(|min| value.get() >= min) && max.is_none_or(|max| value.get() <= max);
                (!inside).then_some(Cause::Outside)
            }
        }
    }

    fn breach(&self, update: u64, reading: Option<Reading>) -> Option<Breach> {
        let cause = self.cause(reading)?;
        let (min, max) = self.bounds().unwrap_or_default();
        let under = |min: f64| reading.and_then(Reading::value).is_some_and(|value| value.get() < min);
        let (bound, is_floor) = match (min, max) {
            (Some(min), None) => (min, true),
            (Some(min), Some(_)) if under(min) => (min, true),
            (_, Some(max)) => (max, false),
            (None, None) => (0.0, self.max.is_none()),
        };
        Some(Breach {
            line: self.line,
            quantity: self.quantity,
            probe: self.probe,
            reading: reading.unwrap_or(Reading::NotFinite),
            bound: Finite::new(bound).unwrap(),
            is_floor,
            cause,
            update,
            rung: (!self.advice).then(|| self.rung()),
            advice: self.advice,
        })
    }

    /// The first rung that is not used up, and which use of it is next.
    fn rung(&self) -> (Rung, u64) {
        let open = |at: &usize| self.rungs[*at].times.is_none_or(|times| self.uses[*at] < times);
        let at = (0..self.rungs.len()).find(open).unwrap();
        (self.rungs[at], self.uses[at] + 1)
    }

    pub fn reading(&self, readings: &[Measured]) -> Option<Reading> {
        let found = |measured: &&Measured| (measured.quantity, measured.probe) == (self.quantity, self.probe);
        readings.iter().find(found).map(|measured| measured.reading)
    }
}

/// All rules of a run, and what a guard has to remember.
#[derive(Debug, Clone)]
pub struct Oracle {
    pub rules: Vec<Rule>,
    cadences: Vec<u64>,
    halvings: u32,
    kept: u64,
    in_a_row: u32,
}

impl Oracle {
    pub fn new(policy: &Policy, later: &[usize], strict: bool) -> Oracle {
        let mut rules = Vec::new();
        for line in later {
            let Asks::Limit(limit) = &policy.lines[*line].asks else {
                panic!("only limits are written here")
            };
            let advises = policy.lines[*line].level == Level::Advise;
            let written = !limit.response.is_empty();
            let mut rungs = if written {
                limit.response.clone()
            } else {
                default_response(limit.quantity.row().moment)
            };
            if rungs.last().is_some_and(|rung| rung.times.is_some()) {
                rungs.push(Rung::STOP);
            }
            rules.push(Rule {
                line: *line,
                quantity: limit.quantity,
                probe: limit.probe,
                min: limit.min.as_ref().map(|bound| bound.value.get()),
                max: limit.max.as_ref().map(|bound| bound.value.get()),
                of_base: limit.of_base,
                base: None,
                advice: advises && !strict,
                uses: vec![0; rungs.len()],
                rungs,
            });
        }
        Oracle {
            rules,
            cadences: policy.probes.iter().map(|probe| probe.every).collect(),
            halvings: 0,
            kept: 0,
            in_a_row: 0,
        }
    }

    /// Whether the run may begin.
    pub fn begin(&mut self, base: &[Measured]) -> bool {
        for rule in &mut self.rules {
            rule.base = rule.reading(base).and_then(Reading::value).map(Finite::get);
        }
        let asked = self.rules.iter().filter(|rule| !rule.advice && !rule.is_per_update());
        asked.into_iter().all(|rule| rule.cause(rule.reading(base)).is_none())
    }

    fn is_evaluated(&self, probe: usize, update: u64) -> bool {
        update.is_multiple_of(self.cadences[probe])
    }

    /// The probes of enforced rules; those of advice count for advice alone.
    fn probes(&self, advice: bool) -> Vec<usize> {
        let rules = self.rules.iter().filter(|rule| advice || !rule.advice);
        rules.filter_map(|rule| rule.probe).collect()
    }

    /// Whether the readings of the second step have this one at this update.
    pub fn is_due(&self, rule: &Rule, update: u64, is_last: bool) -> bool {
        is_last || self.is_evaluated_with(rule, update) || self.is_read_with_updates(rule)
    }

    /// Whether an evaluation at this update reads it.
    pub fn is_evaluated_with(&self, rule: &Rule, update: u64) -> bool {
        let probes = self.probes(self.is_advice_alone(rule));
        match rule.probe {
            Some(probe) => self.is_evaluated(probe, update),
            None if probes.is_empty() => update.is_multiple_of(DEFAULT_CADENCE),
            None => probes.iter().any(|probe| self.is_evaluated(*probe, update)),
        }
    }

    /// Whether it is read at every update because a per-update limit reads the same probe.
    pub fn is_read_with_updates(&self, rule: &Rule) -> bool {
        let advice = self.is_advice_alone(rule);
        let shares = |other: &Rule| other.is_per_update() && other.probe == rule.probe && (advice || !other.advice);
        rule.quantity == Quantity::DriftTotal && self.rules.iter().any(shares)
    }

    /// Whether no enforced rule reads the same; where one does, advice is read when that is.
    fn is_advice_alone(&self, rule: &Rule) -> bool {
        let alike = |other: &&Rule| (other.quantity, other.probe) == (rule.quantity, rule.probe);
        self.rules.iter().filter(alike).all(|other| other.advice)
    }

    pub fn is_complete(&self, update: u64, is_last: bool) -> bool {
        let probes = self.probes(false);
        let alone = probes.is_empty() && update.is_multiple_of(DEFAULT_CADENCE);
        is_last || alone || !probes.is_empty() && probes.iter().all(|probe| self.is_evaluated(*probe, update))
    }

    /// The decision that follows from what was read.
    pub fn expect(&mut self, record: &Record) -> Decision {
        let update = record.update;
        let first = |rules: &[Rule], readings: &[Measured]| -> Vec<Breach> {
            let asked = rules.iter().filter(|rule| rule.is_per_update());
            asked
                .filter_map(|rule| rule.breach(update, rule.reading(readings)))
                .collect()
        };
        let mut breaches = first(&self.rules, &record.tries[0].1);
        let fits = |readings: &[Measured]| first(&self.rules, readings).iter().all(|breach| breach.advice);
        let mut action = match strongest(&breaches) {
            None => Act::Commit { scale: Finite::ONE },
            Some(Action::Scale) => {
                let tried = record.tries[1..].iter().filter(|(_, readings)| fits(readings));
                let largest = tried.map(|(scale, _)| *scale).fold(0.0, f64::max);
                match Finite::new(largest) {
                    Some(scale) if largest >= LEAST_SCALE => Act::Commit { scale },
                    _ => Act::Skip,
                }
            }
            Some(Action::Skip) => Act::Skip,
            Some(Action::Rollback) => Act::Rollback { to: self.kept },
            Some(Action::Stop) => Act::Stop { to: self.kept },
        };
        let mut complete = false;
        if matches!(action, Act::Commit { .. } | Act::Skip) {
            complete = self.is_complete(update, record.is_last);
            let commits = matches!(action, Act::Commit { .. });
            let second: Vec<Breach> = self
                .rules
                .iter()
                .filter(|rule| !rule.is_per_update())
                .filter_map(|rule| {
                    let reading = rule.reading(&record.readings);
                    // An unchanged state was judged where it was reached.
                    let is_due = self.is_evaluated_with(rule, update) || commits && self.is_read_with_updates(rule);
                    let must = complete && !rule.advice || is_due;
                    (reading.is_some() || must).then(|| rule.breach(update, reading))?
                })
                .collect();
            match strongest(&second) {
                None => {}
                Some(Action::Stop) => action = Act::Stop { to: self.kept },
                Some(_) => action = Act::Rollback { to: self.kept },
            }
            breaches.extend(second);
        }
        let mut slow = false;
        for breach in &breaches {
            let rule = self.rules.iter_mut().find(|rule| rule.line == breach.line).unwrap();
            if let Some((rung, _)) = breach.rung {
                let at = (0..rule.rungs.len())
                    .find(|at| rule.rungs[*at].times.is_none_or(|times| rule.uses[*at] < times))
                    .unwrap();
                rule.uses[at] += 1;
                slow |= rung.slow;
            }
        }
        self.in_a_row = if action == (Act::Commit { scale: Finite::ONE }) {
            0
        } else {
            self.in_a_row + 1
        };
        let stalled = self.in_a_row >= 100 && !matches!(action, Act::Stop { .. });
        if stalled {
            action = Act::Stop { to: self.kept };
        }
        slow &= !matches!(action, Act::Stop { .. });
        self.halvings += u32::from(slow);
        let keep = complete && matches!(action, Act::Commit { .. } | Act::Skip);
        if keep {
            self.kept = update;
        }
        Decision {
            action,
            slow,
            paced: 0,
            keep,
            stalled,
            breaches,
        }
    }

    /// Whether a guard remembers the same.
    pub fn agrees_with(&self, guard: &Guard) -> bool {
        let uses = guard
            .limits()
            .iter()
            .zip(&self.rules)
            .all(|(limit, rule)| limit.ladder.uses() == rule.uses && limit.ladder.rungs() == rule.rungs);
        uses && guard.limits().len() == self.rules.len()
            && (guard.halvings(), guard.kept(), guard.without_whole()) == (self.halvings, self.kept, self.in_a_row)
    }
}

fn strongest(breaches: &[Breach]) -> Option<Action> {
    let rank = |action: Action| match action {
        Action::Scale => 0,
        Action::Skip => 1,
        Action::Rollback => 2,
        Action::Stop => 3,
    };
    let rungs = breaches.iter().filter_map(|breach| breach.rung);
    rungs.map(|(rung, _)| rung.action).max_by_key(|action| rank(*action))
}
