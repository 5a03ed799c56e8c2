//! From texts and closures to a governed run: compiled, judged, armed, and the base measured.

use candle_core::{Tensor, Var};

use super::governed::{Governed, Settings};
use super::meters::Meters;
use super::weights::Weights;
use crate::adapt::{self, Launch};
use crate::diag::{Diagnostic, Severity, has_errors};
use crate::guard::{Clock, Guard};
use crate::ir::{Judgement, Policy};
use crate::meter::Estimate;
use crate::quantity::{Course, Quantity};
use crate::report::{RunReport, train::not_measured};
use crate::source::Sources;
use crate::train::optim::AdamW;
use crate::train::{Error, Result};
use crate::{check, sema};

/// A governed run in the making.
pub struct Builder<'m> {
    policy: Policy,
    sources: Sources,
    later: Vec<usize>,
    strict: bool,
    settings: Settings,
    /// The schedule, where the loop says which.
    course: Option<Course>,
    meters: Meters<'m>,
    /// The first closure that was given for something the policy does not have.
    wrong: Option<Error>,
}

impl<'m> Builder<'m> {
    /// Compiles a policy and judges a run file under it, both as texts.
    ///
    /// # Errors
    ///
    /// What is wrong with either, and every line that is over or open, one a line of the message.
    pub fn new(policy: &str, run: &str, launch: Launch) -> Result<Self> {
        Builder::judged(policy, run, launch, false)
    }

    /// The same with advice as limits.
    ///
    /// # Errors
    ///
    /// As [`new`](Builder::new).
    pub fn strict(policy: &str, run: &str, launch: Launch) -> Result<Self> {
        Builder::judged(policy, run, launch, true)
    }

    fn judged(policy: &str, run: &str, launch: Launch, strict: bool) -> Result<Self> {
        let mut sources = Sources::default();
        let policy = sources.add("the policy", policy);
        let run = sources.add("the run file", run);
        let compiled = sema::compile(policy, &sources);
        let Some(policy) = compiled.policy.filter(|_| !has_errors(&compiled.diagnostics)) else {
            return Err(told("the policy is wrong", &compiled.diagnostics, &sources));
        };
        let read = adapt::read(run, &sources, launch);
        let judgement = read
            .facts
            .as_ref()
            .map(|facts| check::judge(&policy, facts, &sources, strict));
        let report = RunReport {
            file: "the run file".to_owned(),
            framework: read.facts.as_ref().map(|facts| facts.framework),
            diagnostics: read.diagnostics,
            judgement,
        };
        let lines = || report.judgement.iter().flat_map(|judgement| &judgement.lines);
        let headline = match report.exit_code(&policy, strict) {
            0 => None,
            1 => Some("the run is over a limit before it trains"),
            _ => Some("the run cannot be judged"),
        };
        if let Some(headline) = headline {
            let mut findings = report.diagnostics.clone();
            findings.extend(report.judgement.iter().flat_map(|found| found.findings.clone()));
            findings.extend(lines().filter_map(|judged| judged.diagnostic.clone()));
            return Err(told(headline, &findings, &sources));
        }
        let later = report.judgement.iter().flat_map(Judgement::later).collect();
        Ok(Builder {
            policy,
            sources,
            later,
            strict,
            settings: Settings::default(),
            course: None,
            meters: Meters::default(),
            wrong: None,
        })
    }

    /// The optimizer; AdamW's defaults otherwise.
    #[must_use]
    pub fn optimizer(mut self, optimizer: AdamW) -> Self {
        self.settings.optimizer = optimizer;
        self
    }

    /// The learning rate, 1e-3 otherwise; [`Governed::set_rate`] changes it on the way.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.settings.rate = rate;
        self
    }

    /// The largest global norm of a gradient; no clipping otherwise.
    #[must_use]
    pub fn clip(mut self, norm: f64) -> Self {
        self.settings.clip = Some(norm);
        self
    }

    /// Updates of the whole run: the last is evaluated. Without it the run has no end of its own. Takes the place of a
    /// [`course`](Builder::course).
    #[must_use]
    pub fn updates(mut self, updates: u64) -> Self {
        self.settings.updates = updates;
        self.course = None;
        self
    }

    /// The schedule that the loop will follow with [`Governed::set_rate`], which says how many updates there are as well.
    /// Limits that are `paced` are spread by its dose, and over the updates without it.
    #[must_use]
    pub fn course(mut self, course: Course) -> Self {
        self.settings.updates = course.updates();
        self.course = Some(course);
        self
    }

    /// How the model answers to a text probe: the logits of each of its texts, positions × vocabulary. `drift.per_update`
    /// and `drift.total` are read from them. Called while the variables hold what is to be measured.
    #[must_use]
    pub fn text(mut self, probe: &str, logits: impl FnMut() -> candle_core::Result<Vec<Tensor>> + 'm) -> Self {
        if let Some(Some(probe)) = self.find(Some(probe)) {
            self.meters.texts.insert(probe, Box::new(logits));
        }
        self
    }

    /// How another quantity is read, on a probe or without one, while the variables hold what is to be measured.
    #[must_use]
    pub fn reading(
        mut self,
        quantity: Quantity,
        probe: Option<&str>,
        read: impl FnMut() -> candle_core::Result<Estimate> + 'm,
    ) -> Self {
        if let Some(probe) = self.find(probe) {
            self.meters.reads.insert((quantity, probe), Box::new(read));
        }
        self
    }

    fn find(&mut self, name: Option<&str>) -> Option<Option<usize>> {
        let Some(name) = name else { return Some(None) };
        let found = self.policy.probes.iter().position(|probe| probe.name == name);
        if found.is_none() && self.wrong.is_none() {
            self.wrong = Some(Error::new(format!("the policy has no probe `{name}`")));
        }
        found.map(Some)
    }

    /// Arms the guard and measures the base, which is what `vars` hold now. The order of `vars` is the order in which
    /// the norm of a gradient is summed: give them in a fixed one for the same bits.
    ///
    /// # Errors
    ///
    /// A limit that nothing reads, a variable that is not f32, a model that cannot be run, or a base that is outside.
    pub fn build(self, vars: Vec<Var>) -> Result<Governed<'m>> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let mut guard = Guard::arm(&self.policy, &self.later, self.strict).map_err(|lines| {
            let findings: Vec<Diagnostic> = lines
                .iter()
                .filter_map(|line| not_measured(&self.policy, *line))
                .collect();
            told("a limit has no meter", &findings, &self.sources)
        })?;
        guard.spread_over(match (self.course, self.settings.updates) {
            (Some(course), _) => Clock::Dose(course),
            // Without an end there is nothing to be spread over.
            (None, u64::MAX) => Clock::Updates(0),
            (None, updates) => Clock::Updates(updates),
        });
        let unread: Vec<String> = guard
            .needs()
            .iter()
            .filter(|need| !self.meters.can_read(need))
            .map(
                |need| match need.probe.and_then(|probe| self.policy.probes.get(probe)) {
                    Some(probe) => format!("{} on {}", need.quantity.name(), probe.name),
                    None => need.quantity.name().to_owned(),
                },
            )
            .collect();
        if !unread.is_empty() {
            return Err(Error::new(format!("nothing reads {}", unread.join(", "))).with_help(
                "give `text` the logits of the probe, or `reading` the quantity; or take the limit out of the policy",
            ));
        }
        Governed::begin(guard, self.settings, Weights::new(vars)?, self.meters)
    }
}

fn told(headline: &str, findings: &[Diagnostic], sources: &Sources) -> Error {
    // A warning is no reason, and a message is no report.
    let reasons = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let lines: Vec<String> = reasons.map(|finding| finding.concise(sources)).collect();
    Error::new(format!("{headline}\n{}", lines.join("\n")))
}
