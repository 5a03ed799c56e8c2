//! `paced`: on what is a budget, and where something can act.

use super::{Context, Lowering};
use crate::diag::{Code, Diagnostic};
use crate::ir::{Level, can_be_paced};
use crate::quantity::{Moment, Quantity};
use crate::syntax;

impl Lowering<'_> {
    /// Whether the limit is spread over the run; reports a `paced` that means nothing.
    pub(super) fn paced(
        &mut self,
        level: Level,
        quantity: Quantity,
        limit: &syntax::Limit,
        context: Context<'_>,
    ) -> bool {
        let Some(span) = limit.paced else {
            return false;
        };
        let name = quantity.name();
        let budgets = "pace `drift.total` or `drift.tail`: the distance from the base is what a run spends";
        let (message, label, help) = match quantity.row().moment {
            moment if moment.is_before_training() => (
                format!("{name} is decided before training starts"),
                "nothing of it is spent while the run goes on",
                Some(budgets),
            ),
            _ if !can_be_paced(quantity) => (
                format!("{name} is no budget that a run spends"),
                if quantity.row().moment == Moment::Update {
                    "each update has the whole of it"
                } else {
                    "there is nothing to spread over the run"
                },
                Some(budgets),
            ),
            _ if level == Level::Advise => ("advice never acts".to_owned(), "slows no run", None),
            _ => return true,
        };
        let mut finding = Diagnostic::new(Code::Pace, message).at(self.place(span), label);
        finding.help = help.map(str::to_owned);
        self.report(finding.instead(self.rewritten(context.statement, span, "")));
        false
    }
}
