//! Statements that are no limits: premises, probes, scopes, and what is not built yet.

use super::{Context, Lowering};
use crate::diag::{Code, Diagnostic, closest, one_of};
use crate::ir::{Asks, Assume, DEFAULT_CADENCE, Level, Line, Probe, Selector};
use crate::quantity::{CategoryKind, Interval, Moment, ProbeKind, Quantity, Unit};
use crate::source::Span;
use crate::syntax::{self, Condition, StatementKind};

impl Lowering<'_> {
    /// Types a statement; inside a `for`, only conditions belong.
    pub(super) fn statement(&mut self, statement: &syntax::Statement, scope: &[Selector], block: Option<Span>) {
        let context = Context {
            scope,
            statement: statement.span,
        };
        // A block in a block was reported when it was read.
        let belongs = matches!(statement.kind, StatementKind::Condition { .. } | StatementKind::For(_));
        if let (Some(block), false) = (block, belongs) {
            self.report(
                Diagnostic::new(
                    Code::Scope,
                    "a `for` holds only limits, `allow`, `require` and `advise`",
                )
                .at(self.place(statement.span), "belongs outside")
                .at(self.place(block), "this block")
                .help("move the line out of the block"),
            );
            return;
        }
        match &statement.kind {
            StatementKind::Condition { advised, condition } => self.condition(*advised, condition, context),
            StatementKind::For(block) => {
                let selectors = self.selectors(&block.scope, block.scope.span);
                // Lines under a condition that is not understood would be judged for the wrong runs.
                if selectors.len() == block.scope.selectors.len() && self.can_be_in_force(&selectors, block.scope.span)
                {
                    let both = [scope, selectors.as_slice()].concat();
                    for inner in &block.body {
                        self.statement(inner, &both, Some(block.scope.span));
                    }
                }
            }
            StatementKind::Assume(assume) => self.assume(assume, context),
            StatementKind::Probe(_) => {}
            StatementKind::Extends(_) => self.later("extends", "a policy that extends another", statement.span),
            StatementKind::Waive(waive) => self.waive(waive, context),
            StatementKind::Test(_) => self.later("test", "a test of a policy", statement.span),
            StatementKind::Audit { .. } => self.later("audit", "a held-back set", statement.span),
        }
    }

    /// Whether a block speaks about any run that the policy covers.
    fn can_be_in_force(&mut self, block: &[Selector], span: Span) -> bool {
        let words = |selector: &Selector| match selector {
            Selector::Word { category, patterns } => Some((*category, patterns.clone())),
            Selector::Number { .. } => None,
        };
        for (category, inner) in block.iter().filter_map(words) {
            for (covered, outer) in self.covers.iter().filter_map(words) {
                // Globs may meet anywhere, and a set has several words; single words either are the same or are not.
                let single = matches!(category.row().kind, CategoryKind::Word(_));
                if category == covered && single && !inner.iter().any(|pattern| outer.contains(pattern)) {
                    let header: Vec<&str> = outer.iter().map(|pattern| pattern.text.as_str()).collect();
                    self.report(
                        Diagnostic::new(Code::NeverBinds, "this block is never in force")
                            .at(
                                self.place(span),
                                format!("the policy covers {} {}", category.name(), header.join(" | ")),
                            )
                            .help("widen the header, or take the block out"),
                    );
                    return false;
                }
            }
        }
        true
    }

    /// A statement that parses and would be ignored: nothing is ignored.
    fn later(&mut self, word: &str, what: &str, statement: Span) {
        let label = Span::new(statement.start, statement.start + word.len());
        self.report(
            Diagnostic::new(Code::NotBuilt, format!("`{word}` is not supported yet"))
                .at(self.place(label), format!("{what} needs a later version"))
                .help("take the statement out; nothing that a policy says is ever ignored"),
        );
    }

    /// A quantity that this version cannot derive.
    pub(super) fn not_built(&mut self, quantity: Quantity, span: Span) {
        let mut finding = Diagnostic::new(
            Code::NotBuilt,
            format!("this version does not derive {} yet", quantity.name()),
        )
        .at(self.place(span), "no verdict would be possible")
        .help("take the line out, or write it as a comment until it is supported");
        let takes = quantity.row().takes;
        if !takes.is_empty() {
            finding = finding.note(format!("it takes {takes}"));
        }
        self.report(finding);
    }

    fn condition(&mut self, advised: Option<Span>, condition: &Condition, context: Context<'_>) {
        let level = if advised.is_some() {
            Level::Advise
        } else {
            Level::Enforce
        };
        let place = self.place(context.statement);
        let scope = || context.scope.to_vec();
        match condition {
            Condition::Limit(limit) => self.limit(level, limit, context),
            Condition::Allow(allow) => {
                let Some(category) = self.category(&allow.name, context.statement) else {
                    return;
                };
                if category.row().kind == CategoryKind::Presence {
                    self.report(
                        Diagnostic::new(
                            Code::UnknownWord,
                            format!("`{}` is had or not had; it has no words", category.name()),
                        )
                        .at(place, "allows nothing")
                        .instead(format!("require {}", category.name())),
                    );
                } else if let Some(patterns) = self.patterns(category, &allow.choices, context.statement) {
                    let asks = Asks::Allow { category, patterns };
                    self.lines.push(Line {
                        level,
                        scope: scope(),
                        asks,
                        place,
                    });
                }
            }
            Condition::Require(require) => {
                for name in &require.names {
                    if let Some(category) = self.category(name, context.statement) {
                        self.lines.push(Line {
                            level,
                            scope: scope(),
                            asks: Asks::Require(category),
                            place: if require.names.len() == 1 {
                                place
                            } else {
                                self.place(name.span)
                            },
                        });
                    }
                }
            }
        }
    }

    fn assume(&mut self, assume: &syntax::Assume, context: Context<'_>) {
        let Some(quantity) = self.quantity(&assume.name, context.statement) else {
            return;
        };
        if quantity.row().moment != Moment::Launch {
            self.report(
                Diagnostic::new(Code::Assume, format!("{} may not be assumed", quantity.name()))
                    .at(self.place(assume.name.span), "not a fact of the launch")
                    .help("only `world_size` and `dataset.rows` are; limit the rest with `max`, `min` or `range`"),
            );
            return;
        }
        let ends = [Some(&assume.from), assume.to.as_ref()];
        let mut numbers = Vec::new();
        for value in ends.into_iter().flatten() {
            let bound = syntax::Bound {
                value: value.clone(),
                of_base: None,
                span: value.span,
            };
            let Some(typed) = self.bound(quantity, &bound, context.statement) else {
                return;
            };
            if !quantity.row().domain.contains(typed.bound.value.get()) {
                self.report(
                    Diagnostic::new(
                        Code::Domain,
                        format!("{} is never {}", quantity.name(), typed.bound.shown),
                    )
                    .at(self.place(value.span), "outside of what it can be"),
                );
                return;
            }
            numbers.push(typed.bound.value);
        }
        let (Some(from), Some(to)) = (numbers.first(), numbers.last()) else {
            return;
        };
        if from > to {
            self.report(
                Diagnostic::new(Code::Assume, format!("no {} is from {from} to {to}", quantity.name()))
                    .at(self.place(context.statement), "the ends are the wrong way round")
                    .instead(format!("assume {} {to} to {from}", quantity.name())),
            );
            return;
        }
        if let Some(values) = Interval::new(from.get(), to.get()) {
            let place = self.place(context.statement);
            self.assumes.push(Assume {
                quantity,
                values,
                place,
            });
        }
    }

    /// Premises on one fact hold together; ones that exclude each other refuse every launch.
    pub(super) fn assumes_agree(&mut self) {
        let mut found = Vec::new();
        for (i, later) in self.assumes.iter().enumerate() {
            for earlier in self.assumes.iter().take(i) {
                if earlier.quantity == later.quantity && earlier.values.is_disjoint(later.values) {
                    found.push(
                        Diagnostic::new(
                            Code::Assume,
                            format!("these premises about {} exclude each other", later.quantity.name()),
                        )
                        .at(later.place, "no launch is inside both")
                        .at(earlier.place, "the other one")
                        .help("keep one of them"),
                    );
                }
            }
        }
        self.diagnostics.append(&mut found);
    }

    /// Types a probe.
    pub(super) fn probe(&mut self, probe: &syntax::Probe, statement: Span) {
        let Some(kind) = ProbeKind::ALL.into_iter().find(|kind| kind.word() == probe.kind.value) else {
            let words: Vec<&str> = ProbeKind::ALL.iter().map(|kind| kind.word()).collect();
            let meant = closest(&probe.kind.value, words.iter().copied());
            let found = Diagnostic::new(Code::ProbeKind, format!("`{}` is no kind of probe", probe.kind.value));
            let place = self.place(probe.kind.span);
            self.report(match meant {
                Some(meant) => found
                    .at(place, format!("did you mean `{meant}`?"))
                    .instead(self.rewritten(statement, probe.kind.span, meant)),
                None => found
                    .at(place, "unknown kind")
                    .help(format!("a probe is {}", one_of(&words))),
            });
            return;
        };
        let name = probe.name.as_ref().unwrap_or(&probe.kind);
        let earlier = self
            .probes
            .iter()
            .find(|other| other.name == name.value || (kind == ProbeKind::Words && other.kind == kind));
        let earlier = earlier.map(|earlier| earlier.place);
        if let Some(earlier) = earlier {
            let message = if kind == ProbeKind::Words {
                "a policy has at most one lexicon".to_owned()
            } else {
                format!("two probes are called `{}`", name.value)
            };
            self.report(
                Diagnostic::new(Code::ProbeRepeated, message)
                    .at(self.place(name.span), "again")
                    .at(earlier, "the first")
                    .help("give it another name, and say `on NAME` in the limits that read it"),
            );
        }
        let sha256 = self.probe_pin(probe, statement);
        let every = match &probe.every {
            Some(every) => self.cadence(every, statement),
            None => None,
        };
        // A probe with a wrong hash or cadence is still declared: the limits that read it have made no mistake.
        if earlier.is_none() {
            self.probes.push(Probe {
                name: name.value.clone(),
                kind,
                path: probe.path.value.clone(),
                sha256,
                every: every.unwrap_or(DEFAULT_CADENCE),
                place: self.place(statement),
            });
        }
    }

    fn probe_pin(&mut self, probe: &syntax::Probe, statement: Span) -> Option<String> {
        let Some(pin) = &probe.pin else {
            self.report(
                Diagnostic::new(
                    Code::ProbeUnpinned,
                    format!("`{}` is not pinned by its hash", probe.path.value),
                )
                .at(self.place(statement), "training refuses it")
                .help(format!("`ftrisk pin {}` writes it", self.text.name())),
            );
            return None;
        };
        if pin.value.len() == 64 && pin.value.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Some(pin.value.to_ascii_lowercase());
        }
        self.report(
            Diagnostic::new(Code::ProbeHash, "a SHA-256 has 64 hexadecimal digits")
                .at(
                    self.place(pin.span),
                    format!("{} characters", pin.value.chars().count()),
                )
                .help(format!("`ftrisk pin {}` writes the right one", self.text.name())),
        );
        None
    }

    fn cadence(&mut self, every: &syntax::Value, statement: Span) -> Option<u64> {
        if self.unit_of(every)? != Some(Unit::Updates) {
            let number = self.text.slice(every.number.span).to_owned();
            self.report(
                Diagnostic::new(Code::UnitMissing, "a cadence is counted in updates")
                    .at(self.place(every.span), "every what?")
                    .instead(self.rewritten(statement, every.span, &Unit::Updates.show(&number))),
            );
            return None;
        }
        self.count(&every.number.value, every.number.span, "a cadence")
    }
}
