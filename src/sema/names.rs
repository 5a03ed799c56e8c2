//! Names to rows of the tables, and what a misspelled one was meant to be.

use super::Lowering;
use crate::diag::{Code, Diagnostic, closest};
use crate::quantity::{CATEGORIES, Category, CategoryKind, Direction, QUANTITIES, Quantity};
use crate::source::Span;
use crate::syntax::Name;

/// What a name in a policy can stand for.
pub(super) enum Named {
    Quantity(Quantity),
    Category(Category),
}

impl Lowering<'_> {
    /// The quantity or fact of a name; reports a name that is neither.
    pub(super) fn named(&mut self, name: &Name, statement: Span) -> Option<Named> {
        if let Some(quantity) = Quantity::named(&name.value) {
            return Some(Named::Quantity(quantity));
        }
        if let Some(category) = Category::named(&name.value) {
            return Some(Named::Category(category));
        }
        let lower = name.value.to_lowercase();
        let meant = known_elsewhere(&lower).or_else(|| closest(&lower, all_names()));
        let found = Diagnostic::new(
            Code::UnknownName,
            format!("`{}` is no quantity and no fact", name.value),
        );
        let place = self.place(name.span);
        self.report(match meant {
            Some(meant) => found
                .at(place, format!("did you mean `{meant}`?"))
                .instead(self.rewritten(statement, name.span, meant)),
            None => found
                .at(place, "unknown")
                .help("`ftrisk explain` lists every quantity and fact"),
        });
        None
    }

    /// The quantity of a name; a fact is told how it is limited.
    pub(super) fn quantity(&mut self, name: &Name, statement: Span) -> Option<Quantity> {
        match self.named(name, statement)? {
            Named::Quantity(quantity) => Some(quantity),
            Named::Category(category) => {
                let instead = match category.row().kind {
                    CategoryKind::Word(words) => {
                        let word = words
                            .iter()
                            .find(|word| ["sft", "lora", "adamw", "cosine"].contains(word))
                            .or(words.first());
                        let word = word.copied().unwrap_or("…");
                        format!("allow {} {word}", category.name())
                    }
                    CategoryKind::Presence => format!("require {}", category.name()),
                    CategoryKind::Text | CategoryKind::Set => {
                        format!("allow {} \"…\"", category.name())
                    }
                };
                self.report(
                    Diagnostic::new(
                        Code::UnknownName,
                        format!("`{}` is a word, not a number", category.name()),
                    )
                    .at(self.place(name.span), "has no size")
                    .help("say which words are accepted")
                    .instead(instead),
                );
                None
            }
        }
    }

    /// The fact of a name; a quantity is told how it is limited.
    pub(super) fn category(&mut self, name: &Name, statement: Span) -> Option<Category> {
        match self.named(name, statement)? {
            Named::Category(category) => Some(category),
            Named::Quantity(quantity) => {
                self.report(
                    Diagnostic::new(
                        Code::UnknownName,
                        format!("`{}` is a number, not a word", quantity.name()),
                    )
                    .at(self.place(name.span), "has a size")
                    .help(format!("limit it with `{} {} …`", verb(quantity), quantity.name())),
                );
                None
            }
        }
    }
}

/// The word that a limit on it begins with.
fn verb(quantity: Quantity) -> &'static str {
    match quantity.row().direction {
        Direction::Floor => "min",
        Direction::Ceiling | Direction::Both => "max",
    }
}

/// The quantity that frameworks or people call so.
fn known_elsewhere(name: &str) -> Option<&'static str> {
    QUANTITIES
        .iter()
        .map(|quantity| quantity.row())
        .find(|row| row.also.contains(&name))
        .map(|row| row.name)
}

fn all_names() -> impl Iterator<Item = &'static str> {
    QUANTITIES
        .iter()
        .map(|quantity| quantity.name())
        .chain(CATEGORIES.iter().map(|category| category.name()))
}
