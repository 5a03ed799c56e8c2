//! What answers a breach: a ladder whose every rung can act and can be reached.

use super::{Context, Lowering};
use crate::diag::{Code, Diagnostic};
use crate::ir::{Action, Rung};
use crate::quantity::{Moment, Quantity};
use crate::source::Span;
use crate::syntax;

impl Lowering<'_> {
    /// The ladder that was written, for a quantity that is read while training.
    pub(super) fn ladder(
        &mut self,
        quantity: Quantity,
        response: &syntax::Response,
        context: Context<'_>,
    ) -> Option<Vec<Rung>> {
        let before = self.diagnostics.len();
        let mut ladder: Vec<Rung> = Vec::new();
        let mut ended: Option<Span> = None;
        for written in &response.rungs {
            if let Some(end) = ended {
                self.report(
                    Diagnostic::new(Code::Response, "this rung is never reached")
                        .at(self.place(written.span), "comes after the end")
                        .at(self.place(end), "this rung is never left")
                        .help(if ladder.last().is_some_and(|rung| rung.action == Action::Stop) {
                            "`stop` ends the run: put it last"
                        } else {
                            "say how many times the rung before it is used, or leave this one out"
                        }),
                );
                break;
            }
            if let Some(rung) = self.rung(quantity, written, response.span, context) {
                if rung.times.is_none() {
                    ended = Some(written.span);
                }
                ladder.push(rung);
            }
        }
        // After the last rung that can be left comes stop.
        if ladder.last().is_some_and(|rung| rung.times.is_some()) {
            ladder.push(Rung::STOP);
        }
        (!self.has_error_since(before)).then_some(ladder)
    }

    fn rung(&mut self, quantity: Quantity, rung: &syntax::Rung, ladder: Span, context: Context<'_>) -> Option<Rung> {
        let action = match rung.action.value.as_str() {
            "scale" => Action::Scale,
            "skip" => Action::Skip,
            "rollback" => Action::Rollback,
            _ => Action::Stop,
        };
        let times = match &rung.times {
            Some(times) => Some(self.count(&times.value, times.span, "how often a rung is used")?),
            None => None,
        };
        let word = &rung.action.value;
        let at_updates = quantity.row().moment == Moment::Update;
        let instead = |new: &str| self.rewritten(context.statement, rung.span, new);
        let found = match action {
            Action::Scale | Action::Skip if !at_updates => Some((
                format!("`{word}` cannot act on {}", quantity.name()),
                format!(
                    "{} judges what is committed; only a per-update limit can shrink an update",
                    quantity.name()
                ),
                Some(self.rewritten(context.statement, ladder, "else stop")),
            )),
            Action::Rollback if rung.slow.is_none() || times.is_none() => Some((
                "`rollback` needs `and slow` and a count".to_owned(),
                "the same batches at the same rate would break the same budget again".to_owned(),
                Some(instead(&format!("rollback and slow {} times", times.unwrap_or(2)))),
            )),
            Action::Stop if rung.slow.is_some() || times.is_some() => Some((
                "`stop` ends the run, once and at any rate".to_owned(),
                "nothing comes after it".to_owned(),
                Some(instead("stop")),
            )),
            _ => None,
        };
        if let Some((message, label, instead)) = found {
            let mut finding = Diagnostic::new(Code::Response, message).at(self.place(rung.span), label);
            finding.instead = instead;
            self.report(finding);
            return None;
        }
        Some(Rung {
            action,
            slow: rung.slow.is_some(),
            times,
        })
    }
}
