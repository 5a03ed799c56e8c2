//! Limits: direction, bounds, probe, confidence, `until`.

use super::value::{Typed, percent};
use super::{Context, Lowering};
use crate::diag::{Code, Diagnostic, one_of};
use crate::ir::{Asks, Bound, Level, Limit, Line, default_response};
use crate::quantity::{Dimension, Direction, Domain, Finite, Moment, Quantity, Unit};
use crate::source::Span;
use crate::syntax::{self, Comparison, Side};

/// The two sides of a limit, typed.
struct Sides {
    min: Option<Typed>,
    max: Option<Typed>,
}

impl Lowering<'_> {
    /// Types a limit; `until` makes it two.
    pub(super) fn limit(&mut self, level: Level, limit: &syntax::Limit, context: Context<'_>) {
        let Some(quantity) = self.quantity(&limit.name, context.statement) else {
            return;
        };
        let before = self.diagnostics.len();
        if quantity.row().moment.is_before_training() && !quantity.row().derived && quantity != Quantity::ChangedLevers
        {
            self.not_built(quantity, limit.name.span);
        }
        self.direction(quantity, limit, context);
        let sides = self.sides(quantity, &limit.side, context);
        let probe = self.probe_of(quantity, limit.on.as_ref(), limit.name.span, context);
        let confidence = self.confidence(quantity, limit.confidence.as_ref(), context);
        let level = self.level(level, limit);
        let paced = self.paced(level, quantity, limit, context);
        let asked = self.response_of(level, quantity, limit, context);
        let until = limit
            .until
            .as_ref()
            .map(|until| (until, self.until(level, until, limit, context)));
        let (Some(sides), Some(probe), Some(confidence), Some(response)) = (sides, probe, confidence, asked) else {
            return;
        };
        if self.has_error_since(before) {
            return;
        }
        let unit = sides.min.as_ref().or(sides.max.as_ref()).and_then(|side| side.unit);
        let of_base = sides
            .min
            .as_ref()
            .or(sides.max.as_ref())
            .is_some_and(|side| side.of_base);
        let span = match &limit.until {
            // The clause is a line of its own, with its own underline.
            Some(until) => Span::new(context.statement.start, until.span.start),
            None => context.statement,
        };
        let trimmed = self.text.slice(span).trim_end().len();
        self.lines.push(Line {
            level,
            scope: context.scope.to_vec(),
            asks: Asks::Limit(Limit {
                quantity,
                min: sides.min.map(|side| side.bound),
                max: sides.max.map(|side| side.bound),
                unit,
                of_base,
                probe,
                confidence,
                paced,
                response,
                moved: Vec::new(),
            }),
            place: self.place(Span::new(span.start, span.start + trimmed)),
        });
        self.lines.extend(until.and_then(|(_, line)| line));
    }

    fn level(&mut self, level: Level, limit: &syntax::Limit) -> Level {
        match (level, limit.no_waiver) {
            (Level::Advise, Some(span)) => {
                self.report(
                    Diagnostic::new(Code::Response, "advice is never enforced, so there is nothing to waive")
                        .at(self.place(span), "not needed")
                        .help("take out `no waiver`, or take out `advise`"),
                );
                level
            }
            (_, Some(_)) => Level::NoWaiver,
            (level, None) => level,
        }
    }

    fn direction(&mut self, quantity: Quantity, limit: &syntax::Limit, context: Context<'_>) {
        let (written, fits) = match (&limit.side, quantity.row().direction) {
            (_, Direction::Both) => return,
            (Side::Max(_), direction) => ("max", direction == Direction::Ceiling),
            (Side::Min(_), direction) => ("min", direction == Direction::Floor),
            (Side::Range(..), _) => ("range", false),
        };
        if fits {
            return;
        }
        let ceiling = quantity.row().direction == Direction::Ceiling;
        let (only, why) = if ceiling {
            ("max", "less of it is never a risk")
        } else {
            ("min", "more of it is never a risk")
        };
        let word = Span::new(
            limit.name.span.start.saturating_sub(written.len() + 1),
            limit.name.span.start,
        );
        let word = Span::new(word.start, word.start + written.len());
        let instead = match &limit.side {
            Side::Range(from, to) => {
                let kept = if ceiling { to } else { from };
                format!("{only} {} {}", quantity.name(), self.text.slice(kept.span))
            }
            _ => format!(
                "{only} {}",
                self.rewritten(
                    context.statement,
                    Span::new(context.statement.start, limit.name.span.start),
                    ""
                )
            ),
        };
        self.report(
            Diagnostic::new(
                Code::Direction,
                format!("`{written}` makes no sense for {}", quantity.name()),
            )
            .at(self.place(word), why)
            .instead(instead),
        );
    }

    fn sides(&mut self, quantity: Quantity, side: &Side, context: Context<'_>) -> Option<Sides> {
        match side {
            Side::Max(bound) => {
                let max = self.one_side(quantity, bound, true, false, context)?;
                Some(Sides {
                    min: None,
                    max: Some(max),
                })
            }
            Side::Min(bound) => {
                let min = self.one_side(quantity, bound, false, false, context)?;
                Some(Sides {
                    min: Some(min),
                    max: None,
                })
            }
            Side::Range(from, to) => {
                let (min, max) = (
                    self.one_side(quantity, from, false, true, context),
                    self.one_side(quantity, to, true, true, context),
                );
                let (min, max) = (min?, max?);
                if min.of_base != max.of_base {
                    self.report(
                        Diagnostic::new(Code::Base, "both ends of a range are shares of the base, or neither is")
                            .at(self.place(from.span.to(to.span)), "one of each"),
                    );
                    return None;
                }
                if min.bound.value > max.bound.value {
                    self.report(
                        Diagnostic::new(
                            Code::Domain,
                            format!(
                                "no {} is from {} to {}",
                                quantity.name(),
                                min.bound.shown,
                                max.bound.shown
                            ),
                        )
                        .at(self.place(from.span.to(to.span)), "the ends are the wrong way round")
                        .instead(format!(
                            "range {} {} to {}",
                            quantity.name(),
                            max.bound.shown,
                            min.bound.shown
                        )),
                    );
                    return None;
                }
                Some(Sides {
                    min: Some(min),
                    max: Some(max),
                })
            }
        }
    }

    pub(super) fn one_side(
        &mut self,
        quantity: Quantity,
        bound: &syntax::Bound,
        is_max: bool,
        is_range: bool,
        context: Context<'_>,
    ) -> Option<Typed> {
        let typed = self.bound(quantity, bound, context.statement)?;
        if typed.of_base {
            self.base_would_pass(&typed.bound, bound, is_max)?;
        } else {
            self.in_domain(quantity, &typed.bound, bound, is_max, is_range, context)?;
        }
        Some(typed)
    }

    /// A ceiling under the base, or a floor over it, would be broken before the first update.
    fn base_would_pass(&mut self, bound: &Bound, written: &syntax::Bound, is_max: bool) -> Option<()> {
        let share = bound.value;
        let (fails, side) = if is_max {
            (share < Finite::ONE, "below")
        } else {
            (share > Finite::ONE, "above")
        };
        if !fails && share > Finite::ZERO {
            return Some(());
        }
        let message = if fails {
            format!(
                "the untouched base would break {} {}",
                if is_max { "a ceiling of" } else { "a floor of" },
                bound.shown
            )
        } else {
            format!("{} can never be broken", bound.shown)
        };
        let label = if fails {
            format!("{side} 100% of base")
        } else {
            "nothing is less".to_owned()
        };
        self.report(
            Diagnostic::new(Code::Base, message)
                .at(self.place(written.span), label)
                .help(if is_max {
                    "a ceiling of base is at least 100%"
                } else {
                    "a floor of base is above 0% and at most 100%"
                }),
        );
        None
    }

    fn in_domain(
        &mut self,
        quantity: Quantity,
        bound: &Bound,
        written: &syntax::Bound,
        is_max: bool,
        is_range: bool,
        context: Context<'_>,
    ) -> Option<()> {
        let domain = quantity.row().domain;
        let value = bound.value.get();
        let place = self.place(written.span);
        if value < domain.interval.lo() || value > domain.interval.hi() {
            let share = quantity.row().dimension == Dimension::Ratio;
            let show = |end: f64| {
                if share {
                    Unit::Percent.show(&Finite::shortest(end * 100.0))
                } else {
                    Finite::shortest(end)
                }
            };
            let (least, most) = (show(domain.interval.lo()), show(domain.interval.hi()));
            let can = if domain.interval.hi() <= Domain::WORLD.interval.hi() {
                format!("{least} to {most}")
            } else {
                format!("at least {least}")
            };
            self.report(
                Diagnostic::new(Code::Domain, format!("{} is never {}", quantity.name(), bound.shown))
                    .at(place, "outside of what it can be")
                    .help(format!(
                        "{} is {can}{}",
                        quantity.name(),
                        if domain.integer { ", in whole numbers" } else { "" }
                    )),
            );
            return None;
        }
        if domain.integer && value.fract() != 0.0 {
            let whole = if is_max { value.floor() } else { value.ceil() };
            self.report(
                Diagnostic::new(Code::Domain, format!("{} is a whole number", quantity.name()))
                    .at(place, "not one")
                    .instead(self.rewritten(context.statement, written.span, &Finite::shortest(whole))),
            );
            return None;
        }
        let slack = if is_max {
            value == domain.interval.hi()
        } else {
            value == domain.interval.lo()
        };
        // An end of a range may be slack, as long as the other one can bind.
        if slack && !is_range {
            self.report(
                Diagnostic::new(
                    Code::NeverBinds,
                    format!(
                        "{} is always {}",
                        quantity.name(),
                        if is_max {
                            format!("at most {}", bound.shown)
                        } else {
                            format!("at least {}", bound.shown)
                        }
                    ),
                )
                .at(place, "can never be broken")
                .help("write a bound that some run could break, or take the line out"),
            );
            return None;
        }
        Some(())
    }

    /// Which probe a limit reads: `Some(None)` when it needs none.
    fn probe_of(
        &mut self,
        quantity: Quantity,
        on: Option<&syntax::On>,
        name: Span,
        context: Context<'_>,
    ) -> Option<Option<usize>> {
        let kinds = quantity.row().probes;
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
        if kinds.is_empty() {
            let Some(on) = on else {
                return Some(None);
            };
            self.report(
                Diagnostic::new(Code::ProbeKind, format!("{} is read without a probe", quantity.name()))
                    .at(self.place(on.span), "not needed")
                    .instead(self.rewritten(context.statement, on.span, "")),
            );
            return None;
        }
        let fitting: Vec<usize> = (0..self.probes.len())
            .filter(|i| self.probes.get(*i).is_some_and(|probe| kinds.contains(&probe.kind)))
            .collect();
        let Some(on) = on else {
            return match fitting.as_slice() {
                [only] => Some(Some(*only)),
                [] => {
                    let kind = words.first().copied().unwrap_or("text");
                    self.report(
                        Diagnostic::new(Code::ProbeUnknown, format!("no probe for {}", quantity.name()))
                            .at(
                                self.place(name),
                                format!("is read on a probe of kind {}", one_of(&words)),
                            )
                            .help("declare one")
                            .instead(format!("probe {kind} \"probes/{kind}.jsonl\"")),
                    );
                    None
                }
                several => {
                    let names: Vec<String> = several
                        .iter()
                        .filter_map(|i| self.probes.get(*i))
                        .map(|probe| format!("`on {}`", probe.name))
                        .collect();
                    self.report(
                        Diagnostic::new(
                            Code::ProbeUnknown,
                            format!("{} can be read on several probes", quantity.name()),
                        )
                        .at(self.place(name), "on which?")
                        .help(format!("say {}", one_of(&names))),
                    );
                    None
                }
            };
        };
        match self.probes.iter().position(|probe| probe.name == on.probe.value) {
            Some(found) if fitting.contains(&found) => Some(Some(found)),
            Some(found) => {
                let declared = self.probes.get(found).map(|probe| (probe.kind.word(), probe.place));
                let kind = declared.map_or("another", |(kind, _)| kind);
                let mut finding = Diagnostic::new(
                    Code::ProbeKind,
                    format!("{} cannot be read on a probe of kind {kind}", quantity.name()),
                )
                .at(self.place(on.probe.span), format!("needs {}", one_of(&words)));
                if let Some((_, place)) = declared {
                    finding = finding.at(place, "declared here");
                }
                self.report(finding.help(format!("name a probe of kind {}, or declare one", one_of(&words))));
                None
            }
            None => {
                let names: Vec<&str> = self.probes.iter().map(|probe| probe.name.as_str()).collect();
                let meant = crate::diag::closest(&on.probe.value, names.iter().copied()).map(str::to_owned);
                let found = Diagnostic::new(Code::ProbeUnknown, format!("no probe is called `{}`", on.probe.value));
                let place = self.place(on.probe.span);
                self.report(match meant {
                    Some(meant) => found
                        .at(place, format!("did you mean `{meant}`?"))
                        .instead(self.rewritten(context.statement, on.probe.span, &meant)),
                    None => found.at(place, "unknown").help("declare it").instead(format!(
                        "probe {} {} \"probes/{}.jsonl\"",
                        words.first().copied().unwrap_or("text"),
                        on.probe.value,
                        on.probe.value
                    )),
                });
                None
            }
        }
    }

    fn confidence(
        &mut self,
        quantity: Quantity,
        confidence: Option<&syntax::Value>,
        context: Context<'_>,
    ) -> Option<Option<Finite>> {
        let Some(written) = confidence else {
            return Some(None);
        };
        if !quantity.row().bounded {
            let clause = self.confidence_clause(written, context);
            self.report(
                if quantity.row().moment.is_before_training() {
                    Diagnostic::new(
                        Code::Confidence,
                        format!("{} is known before training", quantity.name()),
                    )
                    .at(self.place(clause), "nothing is estimated")
                } else {
                    Diagnostic::new(
                        Code::Confidence,
                        format!("no finite probe can certify {}", quantity.name()),
                    )
                    .at(self.place(clause), "not a mean of bounded values over prompts")
                    .help("limit `drift.clipped`, `tone.absolutes` or `boundary.flips` at a confidence, and this one on the probe itself")
                }
                .instead(self.rewritten(context.statement, clause, "")),
            );
            return None;
        }
        let number = self.text.slice(written.number.span).to_owned();
        if self.unit_of(written)? != Some(Unit::Percent) {
            self.report(
                Diagnostic::new(Code::UnitMissing, "a confidence is a share")
                    .at(self.place(written.span), "write it with `%`")
                    .instead(self.rewritten(context.statement, written.span, &percent(&written.number.value))),
            );
            return None;
        }
        let value = self.measured(written, Some(Unit::Percent))?;
        if value.get() < 0.5 || value >= Finite::ONE {
            self.report(
                Diagnostic::new(Code::Confidence, format!("{number}% is no confidence to ask for"))
                    .at(self.place(written.span), "at least 50%, below 100%")
                    .instead(self.rewritten(context.statement, written.span, "95%")),
            );
            return None;
        }
        Some(Some(value))
    }

    /// `at 95% confidence`, from the `at` on.
    fn confidence_clause(&self, value: &syntax::Value, context: Context<'_>) -> Span {
        let before = self.text.slice(Span::new(context.statement.start, value.span.start));
        let after = self.text.slice(Span::new(value.span.end, context.statement.end));
        let start = before
            .rfind("at")
            .map_or(value.span.start, |at| context.statement.start + at);
        let end = after
            .find("confidence")
            .map_or(value.span.end, |at| value.span.end + at + "confidence".len());
        Span::new(start, end)
    }

    /// The ladder of a limit; what was written must be able to act.
    fn response_of(
        &mut self,
        level: Level,
        quantity: Quantity,
        limit: &syntax::Limit,
        context: Context<'_>,
    ) -> Option<Vec<crate::ir::Rung>> {
        let moment = quantity.row().moment;
        let Some(written) = &limit.response else {
            return Some(if level == Level::Advise {
                Vec::new()
            } else {
                default_response(moment)
            });
        };
        if level == Level::Advise {
            self.report(
                Diagnostic::new(Code::Response, "advice never acts")
                    .at(self.place(written.span), "takes no `else`")
                    .instead(self.rewritten(context.statement, written.span, "")),
            );
            return None;
        }
        if limit.until.is_some() {
            // It answers the second limit.
            return Some(Vec::new());
        }
        if moment.is_before_training() {
            self.report(
                Diagnostic::new(
                    Code::Response,
                    format!("{} is decided before training starts", quantity.name()),
                )
                .at(self.place(written.span), "nothing is running yet that could answer")
                .help("over it, the run does not start")
                .instead(self.rewritten(context.statement, written.span, "")),
            );
            return None;
        }
        self.ladder(quantity, written, context)
    }

    /// The second limit of `max epochs n until Q below b`.
    fn until(
        &mut self,
        level: Level,
        until: &syntax::Until,
        limit: &syntax::Limit,
        context: Context<'_>,
    ) -> Option<Line> {
        if limit.name.value != Quantity::Epochs.name() || !matches!(limit.side, Side::Max(_)) {
            self.report(
                Diagnostic::new(Code::Until, "only `max epochs` has an `until`")
                    .at(self.place(until.span), "a limit of its own")
                    .help("write it on its own line")
                    .instead(self.until_alone(until)),
            );
            return None;
        }
        let quantity = self.quantity(&until.name, context.statement)?;
        let row = quantity.row();
        if row.moment.is_before_training() {
            self.report(
                Diagnostic::new(Code::Until, format!("{} does not change while training", row.name))
                    .at(self.place(until.name.span), "known before the first update")
                    .help("`until` names a reading, such as `diversity.distinct_2 below 85% of base`"),
            );
            return None;
        }
        let is_max = until.comparison == Comparison::Above;
        let fits = match row.direction {
            Direction::Both => true,
            Direction::Ceiling => is_max,
            Direction::Floor => !is_max,
        };
        if !fits {
            let other = if is_max { "below" } else { "above" };
            self.report(
                Diagnostic::new(
                    Code::Direction,
                    format!(
                        "{} is no risk when it is {}",
                        row.name,
                        if is_max { "above a number" } else { "below a number" }
                    ),
                )
                .at(self.place(until.span), format!("say `{other}`"))
                .instead(self.rewritten(
                    context.statement,
                    until.span,
                    &format!(
                        "until {} {other} {}",
                        until.name.value,
                        self.text.slice(until.bound.span)
                    ),
                )),
            );
            return None;
        }
        let typed = self.one_side(quantity, &until.bound, is_max, false, context)?;
        let probe = self.probe_of(quantity, until.on.as_ref(), until.name.span, context)?;
        let response = match (&limit.response, level) {
            (_, Level::Advise) => Vec::new(),
            (Some(written), _) => self.ladder(quantity, written, context)?,
            // Reaching it is the planned end of the run, so the default is to stop even for a per-update quantity.
            (None, _) => default_response(Moment::Evaluation),
        };
        let end = limit
            .response
            .as_ref()
            .map_or(until.span, |response| until.span.to(response.span));
        let (unit, of_base) = (typed.unit, typed.of_base);
        let (min, max) = if is_max {
            (None, Some(typed.bound))
        } else {
            (Some(typed.bound), None)
        };
        Some(Line {
            level,
            scope: context.scope.to_vec(),
            asks: Asks::Limit(Limit {
                quantity,
                min,
                max,
                unit,
                of_base,
                probe,
                confidence: None,
                paced: false,
                response,
                moved: Vec::new(),
            }),
            place: self.place(end),
        })
    }

    fn until_alone(&self, until: &syntax::Until) -> String {
        let word = if until.comparison == Comparison::Above {
            "max"
        } else {
            "min"
        };
        let on = until
            .on
            .as_ref()
            .map_or(String::new(), |on| format!(" on {}", on.probe.value));
        let read =
            Quantity::named(&until.name.value).is_some_and(|quantity| !quantity.row().moment.is_before_training());
        let stop = if read { " else stop" } else { "" };
        format!(
            "{word} {} {}{on}{stop}",
            until.name.value,
            self.text.slice(until.bound.span)
        )
    }
}
