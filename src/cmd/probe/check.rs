//! `ftrisk probe check`: which faults the limits of a policy would notice on their probes.
//!
//! Read once on the base, then judged by the guard as an update that brought the fault would be.

use std::collections::{BTreeMap, BTreeSet};

use super::failed;
use crate::cmd::args::{Color, Format, ProbeCheckArgs};
use crate::cmd::check::is_swapped;
use crate::cmd::gate::{Stopped, armed};
use crate::cmd::train::{
    Checked, Refused, examined, lexicon, probe as probe_of, probes, refuse, resolved, train_input,
};
use crate::cmd::{BAD_INPUT, Failure, Outcome, kept, terminal};
use crate::diag::{Diagnostic, has_errors};
use crate::guard::{Fit, Guard, Measured, Need, has_meter};
use crate::ir::{Asks, Level, Limit, Line, Policy};
use crate::meter::Reading;
use crate::quantity::{Dimension, Direction, Finite, ProbeKind, Quantity};
use crate::report::probe::{self, Blind, Noticed, Planted, ProbeReport, Read};
use crate::report::{check_text, train as report};
use crate::source::Sources;
use crate::train::live::Live;
use crate::train::measure::Meters;
use crate::train::measure::fault::{FAULTS, Fault};
use crate::train::probe::Probe;
use crate::train::setup::Setup;

/// A largest fault that no limit catches.
const BLIND: u8 = 1;

pub(super) fn run(args: &ProbeCheckArgs, color: Color) -> Outcome {
    if is_swapped("probe check", &args.policy) {
        return Ok(BAD_INPUT);
    }
    let mut sources = Sources::default();
    let (check, outcome) = examined((&args.policy, &args.run), args.strict, &mut sources);
    if args.format == Format::Text {
        terminal::print(&check_text(&check, &sources, terminal::style(color), false))?;
    }
    let report = match outcome {
        Ok(checked) => planted(args, checked, &sources)?,
        Err(Stopped { code, causes, .. }) => ProbeReport {
            exit_code: code,
            findings: causes,
            ..ProbeReport::default()
        },
    };
    match args.format {
        Format::Json => terminal::print(&probe::json(&check, &report, &sources))?,
        Format::Text if report.faults.is_empty() => {
            refuse(&report.findings, &sources, color)?;
        }
        Format::Text => terminal::print(&probe::text(&report))?,
    }
    Ok(report.exit_code)
}

/// Plants every fault, and lets the guard judge.
fn planted(args: &ProbeCheckArgs, checked: Checked, sources: &Sources) -> Result<ProbeReport, Failure> {
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
        declared(&policy, &args.policy, &setup, &mut probes)?;
        let (wide, lines) = widened(&policy, &later, &probes);
        let reader = armed(&wide, &lines, args.strict)?;
        let lexicon = lexicon(&wide, &reader, &args.policy, &setup)?;
        Ok((guard, reader, setup, probes, lexicon))
    });
    let (mut guard, reader, setup, probes, lexicon) = match prepared {
        Ok(prepared) => prepared,
        Err(findings) => return Ok(refused(findings)),
    };

    let decode = |tokens: &[u32]| setup.decode(tokens);
    let meters = Meters::new(&setup.engine, &probes, &decode, &lexicon, reader.needs()).map_err(failed)?;
    if let Some(finding) = kept::misdrawn(&meters, &policy, &args.policy, &setup) {
        return Ok(refused(vec![finding]));
    }
    let mut base = Live::new(setup.start.clone());
    base.behaviour = meters.base_behaviour().map_err(failed)?;
    let readings = meters.read(&reader, |_| true, &mut base, None).map_err(failed)?;
    if let Err(breaches) = guard.begin(&readings) {
        let nothing = report::MovedWords::default();
        let findings = breaches.iter().filter_map(|breach| {
            let limit = guard.limits().iter().find(|limit| limit.line == breach.line)?;
            Some(report::breach(breach, None, limit, &policy, &nothing))
        });
        return Ok(refused(findings.collect()));
    }

    let judge = Judge {
        policy: &policy,
        sources,
        guard: &guard,
        reader: &reader,
        meters: &meters,
        probes: &probes,
        base: &base,
        readings: &readings,
        broken_anyway: broken(&guard, &readings, &readings),
    };
    let mut report = ProbeReport::default();
    for sizes in FAULTS {
        let mut missed = None;
        for fault in sizes {
            let (told, readings) = judge.told(fault, sizes.last() == Some(&fault))?;
            if !told.is_caught() {
                missed = Some((fault, readings));
                if told.is_largest {
                    report.exit_code = BLIND;
                }
            }
            report.faults.push(told);
        }
        report
            .blind
            .extend(missed.map(|(fault, readings)| judge.blind(fault, &readings)));
    }
    Ok(report)
}

fn refused(findings: Vec<Diagnostic>) -> ProbeReport {
    ProbeReport {
        exit_code: BAD_INPUT,
        findings,
        ..ProbeReport::default()
    }
}

/// Adds the declared probes that no limit reads, as far as they can be measured on: what a limit on them would notice is
/// worth knowing, and what is wrong with them ends no run. Kept answers that do not fit are refused wherever they are.
fn declared(policy: &Policy, policy_file: &str, setup: &Setup, probes: &mut BTreeMap<usize, Probe>) -> Refused<()> {
    for (index, declared) in policy.probes.iter().enumerate() {
        if declared.kind == ProbeKind::Words || probes.contains_key(&index) {
            continue;
        }
        let read: Refused<Probe> = probe_of(declared, policy_file, setup);
        if let Ok(mut probe) = read {
            kept::load(declared, policy_file, setup, &mut probe).map_err(|finding| vec![*finding])?;
            probes.insert(index, probe);
        }
    }
    Ok(())
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
                    moved: Vec::new(),
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

struct Judge<'j> {
    policy: &'j Policy,
    sources: &'j Sources,
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
    /// Plants a fault and reads what it moves; everything else reads as on the base. Gives all those readings as well.
    fn told(&self, fault: Fault, is_largest: bool) -> Result<(Planted, Vec<Measured>), Failure> {
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
        let mut limits = Vec::new();
        for limit in self.guard.limits() {
            let Some(measured) = found(&moved, limit.quantity, limit.probe) else {
                continue;
            };
            let Some(line) = self.policy.lines.get(limit.line) else {
                continue;
            };
            let asked = match &line.asks {
                Asks::Limit(limit) => Some(limit),
                Asks::Allow { .. } | Asks::Require(_) => None,
            };
            let is_broken = broken.contains(&limit.line) && !self.broken_anyway.contains(&limit.line);
            let declared = limit.probe.and_then(|index| self.policy.probes.get(index));
            limits.push(Read {
                quantity: limit.quantity.name(),
                probe: declared.map(|probe| probe.name.clone()),
                level: line.level,
                policy_line: self.sources.get(line.place.source).line(line.place.span.start),
                limit: asked.map(Limit::asked).unwrap_or_default(),
                base: found(self.readings, limit.quantity, limit.probe)
                    .map_or(Reading::NotFinite, |still| still.reading),
                reading: measured.reading,
                shown: report::shown(asked, measured.reading, limit.bound_now()),
                verdict: match (is_broken, limit.advice) {
                    (true, false) => Noticed::Caught,
                    (true, true) => Noticed::AdviceAlone,
                    (false, _) => Noticed::NotCaught,
                },
            });
        }
        let (kind, size) = kind_and_size(fault);
        let planted = Planted {
            kind,
            size,
            name: named(fault),
            is_largest,
            lacks: (!self.has_probe(fault)).then(|| kinds(fault)),
            limits,
        };
        Ok((planted, readings))
    }

    /// A fault that no limit catches, with a limit that would: one whose bound lies half way between what the base reads
    /// and what is read with the fault.
    fn blind(&self, fault: Fault, readings: &[Measured]) -> Blind {
        let (kind, size) = kind_and_size(fault);
        let told = format!("no limit of this policy would notice that {}", sentence(fault));
        let blind = |told, instead| Blind {
            kind,
            size,
            told,
            instead,
        };
        if !self.has_probe(fault) {
            return blind(format!("{told}: declare a probe of {}", kinds(fault)), None);
        }
        for quantity in fault.moves() {
            for (index, probe) in self.probes {
                let base = found(self.readings, *quantity, Some(*index));
                let now = found(readings, *quantity, Some(*index));
                let (Some(base), Some(now)) = (base, now) else {
                    continue;
                };
                if let Some(limit) = between(*quantity, base, now.reading, probe.rows.len()) {
                    let limit = format!("{limit} on {}", probe.name);
                    return blind(format!("{told}: add `{limit}`"), Some(limit));
                }
            }
        }
        let small = format!("{told}, and nothing that is read on its probes tells it apart: they are too small for it");
        blind(small, None)
    }

    fn has_probe(&self, fault: Fault) -> bool {
        self.probes.values().any(|probe| fault.probes().contains(&probe.kind))
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

/// What programs call a fault: its kind, and its size in the measure of that kind.
fn kind_and_size(fault: Fault) -> (&'static str, f64) {
    match fault {
        Fault::Shifted(by) => ("shifted logit", by),
        Fault::Sharpened(by) => ("over-confidence", by),
        Fault::Template(share) => ("template", share),
        Fault::Repeated(share) => ("repetition", share),
        Fault::Absolute(share) => ("absolutes", share),
        Fault::Flipped(share) => ("flipped pair", share),
    }
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
