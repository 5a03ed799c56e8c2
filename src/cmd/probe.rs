//! `ftrisk probe check`: which faults the limits of a policy would notice on their probes.
//!
//! Read once on the base, then judged by the guard as an update that brought the fault would be.

use std::collections::{BTreeMap, BTreeSet};

use super::args::{Color, ProbeArgs, ProbeCheckArgs, ProbeCommand};
use super::train::{Checked, Refused, armed, checked, lexicon, probe, probes, refuse, resolved, train_input};
use super::{BAD_INPUT, Failure, Outcome, terminal};
use crate::diag::has_errors;
use crate::guard::{Fit, Guard, Measured, Need, has_meter};
use crate::ir::{Asks, Level, Limit, Line, Policy};
use crate::meter::Reading;
use crate::quantity::{Dimension, Direction, Finite, ProbeKind, Quantity};
use crate::report::train as report;
use crate::source::Sources;
use crate::train::error::Error;
use crate::train::live::Live;
use crate::train::measure::Meters;
use crate::train::measure::fault::{FAULTS, Fault};
use crate::train::probe::Probe;
use crate::train::setup::Setup;

/// A largest fault that no limit catches.
const BLIND: u8 = 1;

pub(super) fn run(args: &ProbeArgs, color: Color) -> Outcome {
    match &args.command {
        ProbeCommand::Check(args) => check(args, color),
    }
}

fn check(args: &ProbeCheckArgs, color: Color) -> Outcome {
    let mut sources = Sources::default();
    let files = (args.policy.as_str(), args.run.as_path());
    let checked = match checked("probe check", files, args.strict, &mut sources, color)? {
        Ok(checked) => checked,
        Err(code) => return Ok(code),
    };
    let Checked {
        policy,
        read,
        data,
        later,
        ..
    } = checked;
    let prepared = armed(&policy, &later, args.strict).and_then(|guard| {
        let (recipe, data) = match (read.recipe, data) {
            (Some(recipe), Some(data)) if !has_errors(&read.diagnostics) => (recipe, data),
            _ => return Err(read.diagnostics),
        };
        let data = data.map_err(|error| vec![train_input(&error)])?;
        let setup = Setup::new(&recipe, data).map_err(|error| vec![train_input(&error)])?;
        let mut probes = probes(&policy, &guard, &args.policy, &setup)?;
        resolved(&policy, &guard, &probes, &setup)?;
        declared(&policy, &args.policy, &setup, &mut probes);
        let (wide, lines) = widened(&policy, &later, &probes);
        let reader = armed(&wide, &lines, args.strict)?;
        let lexicon = lexicon(&wide, &reader, &args.policy, &setup)?;
        Ok((guard, reader, setup, probes, lexicon))
    });
    let (mut guard, reader, setup, probes, lexicon) = match prepared {
        Ok(prepared) => prepared,
        Err(findings) => return refuse(&findings, &sources, color),
    };

    let decode = |tokens: &[u32]| setup.decode(tokens);
    let meters = Meters::new(&setup.engine, &probes, &decode, &lexicon, reader.needs()).map_err(failed)?;
    let mut base = Live::new(setup.start.clone());
    base.behaviour = meters.base_behaviour().map_err(failed)?;
    let readings = meters.read(&reader, |_| true, &mut base, None).map_err(failed)?;
    if let Err(breaches) = guard.begin(&readings) {
        let nothing = report::MovedWords::default();
        let findings: Vec<_> = breaches
            .iter()
            .filter_map(|breach| {
                let limit = guard.limits().iter().find(|limit| limit.line == breach.line)?;
                Some(report::breach(breach, None, limit, &policy, &nothing))
            })
            .collect();
        refuse(&findings, &sources, color)?;
        return Ok(BAD_INPUT);
    }

    let judge = Judge {
        policy: &policy,
        guard: &guard,
        reader: &reader,
        meters: &meters,
        probes: &probes,
        base: &base,
        readings: &readings,
        broken_anyway: broken(&guard, &readings, &readings),
    };
    let mut text = String::from("\n");
    let mut blind = Vec::new();
    let mut is_blind = false;
    for sizes in FAULTS {
        let mut missed = None;
        for fault in sizes {
            let told = judge.told(fault)?;
            text.push_str(&told.text);
            let is_largest = sizes.last() == Some(&fault);
            is_blind |= is_largest && !told.is_caught;
            if !told.is_caught {
                missed = Some((fault, told.readings));
            }
        }
        blind.extend(missed.map(|(fault, readings)| judge.blind(fault, &readings)));
    }
    text.push('\n');
    for sentence in blind {
        text.push_str(&sentence);
        text.push('\n');
    }
    if is_blind {
        text.push_str("blind: a fault of the largest size is caught by no limit\n");
    } else {
        text.push_str("the largest fault of every kind is caught\n");
    }
    terminal::print(&text)?;
    Ok(if is_blind { BLIND } else { 0 })
}

fn failed(error: Error) -> Failure {
    Failure(error.message)
}

/// Adds the declared probes that no limit reads, as far as they can be measured on: what a limit on them would notice is
/// worth knowing, and what is wrong with them ends no run.
fn declared(policy: &Policy, policy_file: &str, setup: &Setup, probes: &mut BTreeMap<usize, Probe>) {
    for (index, declared) in policy.probes.iter().enumerate() {
        if declared.kind == ProbeKind::Words || probes.contains_key(&index) {
            continue;
        }
        let read: Refused<Probe> = probe(declared, policy_file, setup);
        probes.extend(read.ok().map(|probe| (index, probe)));
    }
}

/// The policy with advice on everything that a fault moves, on every probe: what has to be read to know what would have
/// noticed it. With the lines that readings decide.
fn widened(policy: &Policy, later: &[usize], probes: &BTreeMap<usize, Probe>) -> (Policy, Vec<usize>) {
    let mut wide = policy.clone();
    let mut lines = later.to_vec();
    let quantities: BTreeSet<Quantity> = FAULTS
        .iter()
        .flatten()
        .flat_map(|fault| fault.moves())
        .copied()
        .collect();
    for quantity in quantities {
        for (index, probe) in probes {
            if !has_meter(quantity, Some(probe.kind)) {
                continue;
            }
            lines.push(wide.lines.len());
            wide.lines.push(Line {
                level: Level::Advise,
                scope: Vec::new(),
                place: policy.header,
                asks: Asks::Limit(Limit {
                    quantity,
                    min: None,
                    max: Some(crate::ir::Bound {
                        value: Finite::ONE,
                        shown: String::new(),
                    }),
                    unit: None,
                    of_base: false,
                    probe: Some(*index),
                    confidence: None,
                    paced: false,
                    response: Vec::new(),
                }),
            });
        }
    }
    (wide, lines)
}

/// The lines that are broken where these are the readings of an update's state, and the update itself moved as much;
/// `still` are those of a state that nothing moved.
fn broken(guard: &Guard, readings: &[Measured], still: &[Measured]) -> BTreeSet<usize> {
    // An update at which every probe is evaluated.
    let every = guard.needs().iter().map(|need| need.every.max(1));
    let update = every.fold(1, u64::saturating_mul);
    let decide = |in_the_step: &[Measured]| {
        let mut guard = guard.clone();
        match guard.fit(update, 1.0, in_the_step) {
            Fit::Act(decision) => decision.breaches,
            Fit::Measure { .. } | Fit::Fixed { .. } | Fit::Drop => guard.decide(update, readings, true).breaches,
        }
    };
    // What an update breaks by itself may end it, so that nothing else is judged.
    let both = [decide(readings), decide(still)];
    both.iter().flatten().map(|breach| breach.line).collect()
}

/// What is known of one fault.
struct Told {
    text: String,
    is_caught: bool,
    readings: Vec<Measured>,
}

struct Judge<'j> {
    policy: &'j Policy,
    guard: &'j Guard,
    reader: &'j Guard,
    meters: &'j Meters<'j>,
    probes: &'j BTreeMap<usize, Probe>,
    base: &'j Live,
    readings: &'j [Measured],
    /// Advice that the base itself does not keep says nothing about a fault.
    broken_anyway: BTreeSet<usize>,
}

impl Judge<'_> {
    /// Plants a fault and reads what it moves; everything else reads as on the base.
    fn told(&self, fault: Fault) -> Result<Told, Failure> {
        let mut now = Live::new(self.base.state.clone());
        now.behaviour = self.meters.planted(fault, &self.base.behaviour).map_err(failed)?;
        let moves = |need: &Need| need.probe.is_some() && fault.moves().contains(&need.quantity);
        let moved = self
            .meters
            .read(self.reader, moves, &mut now, Some(self.base))
            .map_err(failed)?;
        let readings: Vec<Measured> = self
            .readings
            .iter()
            .map(|still| found(&moved, still.quantity, still.probe).unwrap_or(still).clone())
            .collect();
        let broken = broken(self.guard, &readings, self.readings);
        let (mut rows, mut by) = (Vec::new(), Vec::new());
        let mut is_caught = false;
        for limit in self.guard.limits() {
            let Some(measured) = found(&moved, limit.quantity, limit.probe) else {
                continue;
            };
            let name = self.on(limit.quantity, limit.probe);
            let asked = self.asked(limit.line);
            let is_broken = broken.contains(&limit.line) && !self.broken_anyway.contains(&limit.line);
            let verdict = match (is_broken, limit.advice) {
                (true, false) => "caught",
                (true, true) => "advice alone",
                (false, _) => "not caught",
            };
            if is_broken && !limit.advice {
                is_caught = true;
                by.push(name.clone());
            }
            rows.push([
                name,
                report::shown(asked, measured.reading, limit.bound_now()),
                asked.map(Limit::asked).unwrap_or_default(),
                verdict.to_owned(),
            ]);
        }
        let by = match (self.has_probe(fault), by.is_empty()) {
            (false, _) => format!("not caught: there is no probe of {}", kinds(fault)),
            (true, true) => "not caught".to_owned(),
            (true, false) => format!("caught by {}", by.join(", ")),
        };
        Ok(Told {
            text: format!("{}: {by}\n{}", named(fault), table(&rows)),
            is_caught,
            readings,
        })
    }

    /// The sentence about a fault that no limit catches, with a limit that would: one whose bound lies half way between
    /// what the base reads and what is read with the fault.
    fn blind(&self, fault: Fault, readings: &[Measured]) -> String {
        let told = format!("no limit of this policy would notice that {}", sentence(fault));
        if !self.has_probe(fault) {
            return format!("{told}: declare a probe of {}", kinds(fault));
        }
        for quantity in fault.moves() {
            for (index, probe) in self.probes {
                let base = found(self.readings, *quantity, Some(*index));
                let now = found(readings, *quantity, Some(*index));
                let (Some(base), Some(now)) = (base, now) else {
                    continue;
                };
                if let Some(limit) = between(*quantity, base, now.reading, probe.rows.len()) {
                    return format!("{told}: add `{limit} on {}`", probe.name);
                }
            }
        }
        format!("{told}, and nothing that is read on its probes tells it apart: they are too small for it")
    }

    fn has_probe(&self, fault: Fault) -> bool {
        self.probes.values().any(|probe| fault.probes().contains(&probe.kind))
    }

    fn asked(&self, line: usize) -> Option<&Limit> {
        match &self.policy.lines.get(line)?.asks {
            Asks::Limit(limit) => Some(limit),
            Asks::Allow { .. } | Asks::Require(_) => None,
        }
    }

    fn on(&self, quantity: Quantity, probe: Option<usize>) -> String {
        match probe.and_then(|index| self.policy.probes.get(index)) {
            Some(probe) => format!("{} on {}", quantity.name(), probe.name),
            None => quantity.name().to_owned(),
        }
    }
}

fn found(readings: &[Measured], quantity: Quantity, probe: Option<usize>) -> Option<&Measured> {
    readings
        .iter()
        .find(|measured| (measured.quantity, measured.probe) == (quantity, probe))
}

/// A limit that the base keeps and a reading breaks, if the probe can hold it: a share of its rows has to be at least one,
/// and the bound as far from the base's reading as training asks of shares of the base.
fn between(quantity: Quantity, base: &Measured, now: Reading, rows: usize) -> Option<String> {
    let (from, to) = (base.reading.value()?.get(), now.value()?.get());
    let row = quantity.row();
    let (word, is_worse) = match row.direction {
        Direction::Floor => ("min", to < from),
        Direction::Ceiling | Direction::Both => ("max", to > from),
    };
    let (scale, unit) = match row.dimension {
        Dimension::Ratio => (100.0, "%"),
        Dimension::Information => (1.0, " nats"),
        Dimension::Number => (1.0, ""),
    };
    let half = format!("{:.1e}", (from + to) / 2.0 * scale).parse::<f64>().ok()?;
    let bound = half / scale;
    let is_between = (bound > from.min(to)) && (bound < from.max(to));
    let is_held = !row.counted || bound * rows as f64 >= 1.0;
    let error = base.standard_error.map_or(0.0, Finite::get);
    let is_told_apart = !row.base || (bound - from).abs() >= 2.0 * error;
    (is_worse && is_between && is_held && is_told_apart)
        .then(|| format!("{word} {} {}{unit}", quantity.name(), Finite::shortest(half)))
}

fn percent(share: f64) -> String {
    format!("{} %", Finite::shortest((share * 1000.0).round() / 10.0))
}

/// What the table calls a fault.
fn named(fault: Fault) -> String {
    match fault {
        Fault::Shifted(by) => format!("shifted logit, by {}", Finite::shortest(by)),
        Fault::Sharpened(by) => format!("over-confidence, × {}", Finite::shortest(by)),
        Fault::Template(share) => format!("template, {} of samples", percent(share)),
        Fault::Repeated(share) => format!("repetition, {} of samples", percent(share)),
        Fault::Absolute(share) => format!("absolutes, {} of samples", percent(share)),
        Fault::Flipped(0.0) => "flipped pair, one".to_owned(),
        Fault::Flipped(share) => format!("flipped pair, {} of pairs", percent(share)),
    }
}

/// A fault as something that happened.
fn sentence(fault: Fault) -> String {
    match fault {
        Fault::Shifted(by) => format!("the commonest token's logit is larger by {}", Finite::shortest(by)),
        Fault::Sharpened(by) => format!("every logit is {} times as large", Finite::shortest(by)),
        Fault::Template(share) => format!("{} of the samples open with the same phrase", percent(share)),
        Fault::Repeated(share) => format!("{} of the samples are the same", percent(share)),
        Fault::Absolute(share) => format!("{} of the samples open with `always never`", percent(share)),
        Fault::Flipped(0.0) => "one pair's preference is flipped".to_owned(),
        Fault::Flipped(share) => format!("the preference of {} of the pairs is flipped", percent(share)),
    }
}

fn kinds(fault: Fault) -> String {
    let words: Vec<&str> = fault.probes().iter().map(|kind| kind.word()).collect();
    words.join(" or ")
}

/// Rows below a fault, in columns.
fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (name, reading, asked) = (width(0), width(1), width(2));
    let drawn = rows
        .iter()
        .map(|[of, is, asks, verdict]| format!("  {of:<name$}  {is:<reading$}  {asks:<asked$}  {verdict}\n"));
    drawn.collect()
}
