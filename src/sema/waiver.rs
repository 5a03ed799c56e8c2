//! Waivers: what they relax, for which runs, until when.

use super::{Context, Lowering};
use crate::diag::{Code, Diagnostic};
use crate::ir::{Asks, Day, Level, Limit, Waiver};
use crate::quantity::Quantity;
use crate::source::Span;
use crate::syntax;

impl Lowering<'_> {
    /// Types a waiver. Whether it relaxes anything is asked when every limit is known.
    pub(super) fn waive(&mut self, waive: &syntax::Waive, context: Context<'_>) {
        let before = self.diagnostics.len();
        let quantity = self.quantity(&waive.name, context.statement);
        let typed = quantity.and_then(|quantity| self.one_side(quantity, &waive.bound, waive.up, false, context));
        let until = self.day(&waive.until);
        self.path(&waive.glob);
        self.said(&waive.by, "who answers for it", "by \"@ml-safety\"");
        self.said(
            &waive.because,
            "why it is needed",
            "because \"RISK-112: citation formats need room\"",
        );
        let (Some(quantity), Some(typed), Some(until)) = (quantity, typed, until) else {
            return;
        };
        if self.has_error_since(before) {
            return;
        }
        self.waivers.push(Waiver {
            quantity,
            up: waive.up,
            bound: typed.bound,
            of_base: typed.of_base,
            runs: waive.glob.value.clone(),
            until,
            by: waive.by.value.clone(),
            because: waive.because.value.clone(),
            place: self.place(context.statement),
            day: self.place(waive.until.span),
        });
    }

    fn day(&mut self, written: &syntax::Name) -> Option<Day> {
        let day = Day::parse(&written.value);
        if day.is_none() {
            self.report(
                Diagnostic::new(Code::Waiver, format!("{} is no day of the calendar", written.value))
                    .at(self.place(written.span), "no such day")
                    .help("write the last day on which the waiver holds, as year-month-day"),
            );
        }
        day
    }

    /// Refuses a pattern that no path from the policy's root on can match.
    fn path(&mut self, glob: &syntax::Name) {
        let parts: Vec<&str> = glob.value.split('/').collect();
        let why = match glob.value.as_str() {
            "" => "names no run",
            path if path.starts_with('/') => "paths do not begin at the root of the system",
            path if path.contains('\\') => "folders are parted by `/` on every system",
            _ if parts.iter().any(|part| matches!(*part, "." | ".." | "")) => "paths have no empty part, `.` or `..`",
            _ => return,
        };
        self.report(
            Diagnostic::new(Code::Waiver, "the waiver matches no run")
                .at(self.place(glob.span), why)
                .help("write the path of the run file from the policy's root on, such as \"runs/legal/*.yaml\": the root is the nearest folder above the policy with `.git`, else the policy's own"),
        );
    }

    fn said(&mut self, written: &syntax::Name, what: &str, instead: &str) {
        if written.value.trim().is_empty() {
            self.report(
                Diagnostic::new(Code::Waiver, format!("a waiver says {what}"))
                    .at(self.place(written.span), "says nothing")
                    .help(format!("write it down: `{instead}`")),
            );
        }
    }

    /// Reports each waiver that moves no bound: it would be read as if it did.
    pub(super) fn waivers_relax(&mut self) {
        let idle: Vec<Waiver> = self
            .waivers
            .iter()
            .filter(|waiver| !self.relaxes(waiver))
            .cloned()
            .collect();
        for waiver in idle {
            let finding = self.idle(&waiver);
            self.report(finding);
        }
    }

    fn limits_of(&self, quantity: Quantity) -> impl Iterator<Item = (Level, &Limit, Span)> {
        self.lines.iter().filter_map(move |line| match &line.asks {
            Asks::Limit(limit) if limit.quantity == quantity => Some((line.level, limit, line.place.span)),
            Asks::Limit(_) | Asks::Allow { .. } | Asks::Require(_) => None,
        })
    }

    fn relaxes(&self, waiver: &Waiver) -> bool {
        self.limits_of(waiver.quantity)
            .any(|(level, limit, _)| waiver.relaxes(level, limit))
    }

    fn idle(&self, waiver: &Waiver) -> Diagnostic {
        let name = waiver.quantity.name();
        let would = |level| {
            move |(own, limit, _): &(Level, &Limit, Span)| *own == level && waiver.relaxes(Level::Enforce, limit)
        };
        let finding = Diagnostic::new(Code::Waiver, format!("this waiver relaxes nothing of {name}"));
        let place = |span| self.place(span);
        if let Some((.., span)) = self.limits_of(waiver.quantity).find(would(Level::NoWaiver)) {
            return finding
                .at(waiver.place, "asks for what is refused")
                .at(place(span), "`no waiver`")
                .help("take the waiver out: whoever wrote the limit wants no exception from it");
        }
        if let Some((.., span)) = self.limits_of(waiver.quantity).find(would(Level::Advise)) {
            return finding
                .at(waiver.place, "not needed")
                .at(place(span), "advice is never enforced")
                .help("take the waiver out");
        }
        let Some((_, limit, span)) = self.limits_of(waiver.quantity).next() else {
            return finding
                .at(waiver.place, format!("no limit on {name} in this file"))
                .help("a waiver stands in the file that declares the limit: move it there, or take it out");
        };
        let (side, other) = if waiver.up {
            ("ceiling", "down")
        } else {
            ("floor", "up")
        };
        let has_side = if waiver.up {
            limit.max.is_some()
        } else {
            limit.min.is_some()
        };
        if limit.of_base != waiver.of_base {
            return finding
                .at(
                    waiver.place,
                    if waiver.of_base {
                        "a share of the base"
                    } else {
                        "not a share of the base"
                    },
                )
                .at(place(span), format!("{} is asked", limit.asked()))
                .help("write both alike");
        }
        if !has_side {
            return finding
                .at(waiver.place, format!("there is no {side} to move"))
                .at(place(span), format!("{} is asked", limit.asked()))
                .help(format!("say `{other} to`"));
        }
        finding
            .at(waiver.place, "no limit is tighter than this")
            .at(place(span), format!("{} is asked", limit.asked()))
            .help("write a laxer bound, or take the waiver out")
    }
}
