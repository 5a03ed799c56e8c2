//! Conditions on the run: `for`, `allow` and the header's scope.

use super::Lowering;
use super::names::Named;
use crate::diag::{Code, Diagnostic, closest, one_of};
use crate::ir::{Pattern, Selector};
use crate::quantity::{Category, CategoryKind, Finite, Interval};
use crate::source::Span;
use crate::syntax::{self, Comparison, SelectorTest};

impl Lowering<'_> {
    /// Every selector of a scope that is one.
    ///
    /// A line to write instead shows `shown`: the header, or the block's own scope.
    pub(super) fn selectors(&mut self, scope: &syntax::Scope, shown: Span) -> Vec<Selector> {
        scope
            .selectors
            .iter()
            .filter_map(|selector| self.selector(selector, shown))
            .collect()
    }

    fn selector(&mut self, selector: &syntax::Selector, scope: Span) -> Option<Selector> {
        match (self.named(&selector.name, scope)?, &selector.test) {
            (Named::Category(category), SelectorTest::OneOf(choices)) => {
                if category.row().kind == CategoryKind::Presence {
                    self.report(
                        Diagnostic::new(
                            Code::Scope,
                            format!("`{}` is had or not had; it has no words", category.name()),
                        )
                        .at(self.place(selector.span), "selects nothing")
                        .help("ask for it instead")
                        .instead(format!("require {}", category.name())),
                    );
                    return None;
                }
                Some(Selector::Word {
                    category,
                    patterns: self.patterns(category, choices, scope)?,
                })
            }
            (Named::Quantity(quantity), SelectorTest::Compared(comparison, value)) => {
                if !quantity.row().moment.is_before_training() {
                    self.report(
                        Diagnostic::new(Code::Scope, format!("`{}` is read while training", quantity.name()))
                            .at(self.place(selector.span), "not known when scopes are decided")
                            .help("select by facts of the run file or the launch; a reading is limited by a line of its own"),
                    );
                    return None;
                }
                if !quantity.row().derived {
                    self.not_built(quantity, selector.name.span);
                    return None;
                }
                let bound = syntax::Bound {
                    value: value.clone(),
                    of_base: None,
                    span: value.span,
                };
                let typed = self.bound(quantity, &bound, scope)?;
                Some(Selector::Number {
                    quantity,
                    accepts: region(*comparison, typed.bound.value)?,
                    shown: format!("{} {}", words(*comparison), typed.bound.shown),
                })
            }
            (Named::Category(category), SelectorTest::Compared(..)) => {
                self.report(
                    Diagnostic::new(Code::Scope, format!("`{}` is a word, not a number", category.name()))
                        .at(self.place(selector.span), "cannot be compared")
                        .help(format!("name the words: `for {} …`", category.name())),
                );
                None
            }
            (Named::Quantity(quantity), SelectorTest::OneOf(_)) => {
                self.report(
                    Diagnostic::new(
                        Code::Scope,
                        format!("`{}` is a number; say on which side", quantity.name()),
                    )
                    .at(self.place(selector.span), "no comparison")
                    .help(format!(
                        "write `{} below …` or `{} at least …`",
                        quantity.name(),
                        quantity.name()
                    )),
                );
                None
            }
        }
    }

    /// The words or globs that a fact may be.
    pub(super) fn patterns(
        &mut self,
        category: Category,
        choices: &[syntax::Choice],
        statement: Span,
    ) -> Option<Vec<Pattern>> {
        let before = self.diagnostics.len();
        let mut patterns = Vec::new();
        for choice in choices {
            if let CategoryKind::Word(words) = category.row().kind
                && !words.contains(&choice.text.value.as_str())
            {
                self.unknown_word(category, words, choice, statement);
            }
            patterns.push(Pattern {
                text: choice.text.value.clone(),
                glob: choice.quoted && !matches!(category.row().kind, CategoryKind::Word(_)),
            });
        }
        (!self.has_error_since(before)).then_some(patterns)
    }

    fn unknown_word(&mut self, category: Category, words: &[&'static str], choice: &syntax::Choice, statement: Span) {
        let word = &choice.text.value;
        let meant = match (category, word.as_str()) {
            (Category::Optimizer, w) if w.starts_with("adamw_torch") => Some("adamw"),
            (Category::Quantization, "bnb" | "nf4" | "4" | "int4") => Some("4bit"),
            (Category::Quantization, "8" | "int8") => Some("8bit"),
            _ => closest(word, words.iter().copied()),
        };
        let found = Diagnostic::new(Code::UnknownWord, format!("{} is never `{word}`", category.name()));
        let place = self.place(choice.text.span);
        self.report(match meant {
            Some(meant) => found
                .at(place, format!("did you mean `{meant}`?"))
                .instead(self.rewritten(statement, choice.text.span, meant)),
            None => found
                .at(place, "unknown word")
                .help(format!("{} is {}", category.name(), one_of(words))),
        });
    }
}

fn words(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Below => "below",
        Comparison::Above => "above",
        Comparison::AtLeast => "at least",
        Comparison::AtMost => "at most",
    }
}

/// The numbers on that side. The strict sides end at the neighbouring f64: nothing lies between.
fn region(comparison: Comparison, value: Finite) -> Option<Interval> {
    Some(match comparison {
        Comparison::AtMost => Interval::at_most(value),
        Comparison::AtLeast => Interval::at_least(value),
        Comparison::Below => Interval::at_most(Finite::new(value.get().next_down())?),
        Comparison::Above => Interval::at_least(Finite::new(value.get().next_up())?),
    })
}
