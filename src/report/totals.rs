//! The counts of a check of many files: all that is kept of a file once it was written.

use super::{CheckReport, FileReport};
use crate::ir::{Level, Verdict};

/// How often one limit is over or open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitCount {
    /// The policy as the user named it.
    pub policy_file: String,
    /// The quantity or fact.
    pub subject: String,
    /// Runs that are over it.
    pub over: usize,
    /// Runs of which it is open whether they are.
    pub open: usize,
    /// Runs for which it is in force.
    pub of: usize,
}

/// What one run file adds to the counts.
#[derive(Debug)]
pub struct Tally {
    code: u8,
    limits: Vec<LimitCount>,
}

impl Tally {
    /// The part of one file.
    pub fn of(report: &FileReport<'_>) -> Tally {
        let mut limits: Vec<LimitCount> = Vec::new();
        for under in &report.judged {
            let lines = under.judgement.lines.iter().filter_map(|judged| {
                let line = under.policy.lines.get(judged.line)?;
                let in_force = !matches!(judged.verdict, Verdict::NotApplicable { .. });
                let is_limit = line.level != Level::Advise || report.strict;
                (in_force && is_limit).then_some((line.subject(), judged.verdict.word()))
            });
            // A launch outside of a premise and a coverage that is not known have subjects; a run that nobody judged has none.
            let findings = under.judgement.findings.iter().filter_map(|finding| {
                let subject = finding.subject.as_deref()?;
                finding.code.is_verdict().then_some((subject, finding.code.name()))
            });
            for (subject, word) in lines.chain(findings) {
                // Several lines on one quantity are one limit of the run, and the worst of them is what it is.
                let known = limits
                    .iter_mut()
                    .position(|limit| limit.policy_file == under.policy_file && limit.subject == subject);
                let at = known.unwrap_or(limits.len());
                if known.is_none() {
                    limits.push(LimitCount {
                        policy_file: under.policy_file.to_owned(),
                        subject: subject.to_owned(),
                        over: 0,
                        open: 0,
                        of: 1,
                    });
                }
                if let Some(limit) = limits.get_mut(at) {
                    limit.over |= usize::from(word == "over");
                    limit.open |= usize::from(word == "open");
                }
            }
        }
        for limit in &mut limits {
            limit.open -= limit.open.min(limit.over);
        }
        Tally {
            code: report.exit_code(),
            limits,
        }
    }

    /// The exit code of the file alone.
    pub fn code(&self) -> u8 {
        self.code
    }
}

/// The counts of a whole check.
#[derive(Debug, Default)]
pub struct Totals {
    /// Run files within their budgets.
    pub within: usize,
    /// Run files that are over.
    pub over: usize,
    /// Run files that are open, wrong or unreadable.
    pub open: usize,
    /// Files below a named folder that are no runs.
    pub not_runs: usize,
    /// Files that were not looked at, because an earlier one ended the check.
    pub not_checked: usize,
    /// How often each limit is over or open.
    pub limits: Vec<LimitCount>,
}

impl Totals {
    /// Nothing yet, with the limits in the order of the policies.
    pub fn new(policies: &[CheckReport]) -> Totals {
        let mut totals = Totals::default();
        for (report, policy) in policies
            .iter()
            .filter_map(|report| Some((report, report.policy.as_ref()?)))
        {
            let limits = policy
                .lines
                .iter()
                .filter(|line| line.level != Level::Advise || report.strict);
            for line in limits {
                totals.entry(&report.policy_file, line.subject());
            }
        }
        totals
    }

    /// How many run files were judged, or should have been.
    pub fn files(&self) -> usize {
        self.within + self.over + self.open
    }

    /// Adds what one file contributes.
    pub fn add(&mut self, tally: &Tally) {
        match tally.code {
            0 => self.within += 1,
            1 => self.over += 1,
            _ => self.open += 1,
        }
        for limit in &tally.limits {
            if let Some(sum) = self.entry(&limit.policy_file, &limit.subject) {
                sum.over += limit.over;
                sum.open += limit.open;
                sum.of += limit.of;
            }
        }
    }

    fn entry(&mut self, policy_file: &str, subject: &str) -> Option<&mut LimitCount> {
        let known = self
            .limits
            .iter()
            .position(|limit| limit.subject == subject && limit.policy_file == policy_file);
        let at = known.unwrap_or(self.limits.len());
        if known.is_none() {
            self.limits.push(LimitCount {
                policy_file: policy_file.to_owned(),
                subject: subject.to_owned(),
                over: 0,
                open: 0,
                of: 0,
            });
        }
        self.limits.get_mut(at)
    }

    /// 1 when a run is over, else 2 when one is open or none was judged, else 0.
    pub fn exit_code(&self) -> u8 {
        match (self.over, self.open, self.within) {
            (1.., ..) => 1,
            (0, 1.., _) | (0, 0, 0) => 2,
            (0, 0, _) => 0,
        }
    }

    /// The limits that a run is over, or that are open for one.
    pub(super) fn broken(&self) -> impl Iterator<Item = &LimitCount> {
        self.limits.iter().filter(|limit| limit.over + limit.open > 0)
    }
}
