//! The tree: what was written, untyped, every part with its span.

use crate::quantity::Finite;
use crate::source::{Span, Spanned};

/// A name with its place.
pub type Name = Spanned<String>;

/// One policy file.
#[derive(Debug, Default, PartialEq)]
pub struct File {
    /// The header; the first one where several were written.
    pub header: Option<Header>,
    /// The statements in the order of the file.
    pub statements: Vec<Statement>,
    /// Every comment outside of texts that were not understood.
    pub comments: Vec<Comment>,
}

/// `# …`, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comment {
    /// From the `#` on.
    pub span: Span,
}

/// `policy "name" for …`
#[derive(Debug, PartialEq)]
pub struct Header {
    /// The policy's name.
    pub name: Name,
    /// The runs it speaks about; all when there is none.
    pub scope: Option<Scope>,
    /// The whole header.
    pub span: Span,
}

/// `for SELECTOR, SELECTOR`
#[derive(Debug, PartialEq)]
pub struct Scope {
    /// All of them must hold.
    pub selectors: Vec<Selector>,
    /// From `for` on.
    pub span: Span,
}

/// One condition on a run.
#[derive(Debug, PartialEq)]
pub struct Selector {
    /// The fact.
    pub name: Name,
    /// What it must be.
    pub test: SelectorTest,
    /// The whole selector.
    pub span: Span,
}

/// What a selector asks.
#[derive(Debug, PartialEq)]
pub enum SelectorTest {
    /// One of these.
    OneOf(Vec<Choice>),
    /// On this side of a number.
    Compared(Comparison, Value),
}

/// Which side of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `below`: strictly less.
    Below,
    /// `above`: strictly more.
    Above,
    /// `at least`
    AtLeast,
    /// `at most`
    AtMost,
}

/// A word, or a text in quotes that may be a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The word, or the text without quotes and escapes.
    pub text: Name,
    /// Whether it was in quotes.
    pub quoted: bool,
}

/// A number as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Its digits without `_`: what a decimal shift is applied to.
    pub digits: String,
    /// The f64 nearest to it.
    pub value: Finite,
}

impl Number {
    /// A number from its digits; `None` when it is no finite number.
    pub fn from_digits(digits: &str) -> Option<Number> {
        let value = digits.parse::<f64>().ok().and_then(Finite::new)?;
        Some(Number {
            digits: digits.to_owned(),
            value,
        })
    }
}

/// A number with the unit behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The number.
    pub number: Spanned<Number>,
    /// The word behind it, whatever it is.
    pub unit: Option<Name>,
    /// Both.
    pub span: Span,
}

/// A value, or a share of the base's reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The number.
    pub value: Value,
    /// `of base`, where it was written.
    pub of_base: Option<Span>,
    /// Both.
    pub span: Span,
}

/// One statement.
#[derive(Debug, PartialEq)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// The whole statement.
    pub span: Span,
}

/// What a statement says.
#[derive(Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every statement is a limit: a box would only add a step"
)]
pub enum StatementKind {
    /// `extends "…"`
    Extends(Extends),
    /// `assume …`
    Assume(Assume),
    /// `probe …`
    Probe(Probe),
    /// `audit "…"`: a held-back set.
    Audit {
        /// The file.
        path: Name,
        /// Its hash.
        pin: Option<Name>,
    },
    /// A condition on the run, advised or not.
    Condition {
        /// The `advise` before it.
        advised: Option<Span>,
        /// What is asked.
        condition: Condition,
    },
    /// `waive …`
    Waive(Waive),
    /// `for … { … }`
    For(ForBlock),
    /// `test "…" { … }`
    Test(Test),
}

/// `extends "…"`
#[derive(Debug, PartialEq)]
pub struct Extends {
    /// The parent.
    pub path: Name,
}

/// `assume FACT a to b`
#[derive(Debug, PartialEq)]
pub struct Assume {
    /// The launch fact.
    pub name: Name,
    /// The least value.
    pub from: Value,
    /// The largest; the least one again when only one was written.
    pub to: Option<Value>,
}

/// `probe KIND NAME "…" sha256 "…" every N updates`
#[derive(Debug, PartialEq)]
pub struct Probe {
    /// The kind, as written.
    pub kind: Name,
    /// The name; the kind is the name when there is none.
    pub name: Option<Name>,
    /// The file.
    pub path: Name,
    /// Its hash.
    pub pin: Option<Name>,
    /// Its cadence.
    pub every: Option<Value>,
}

/// What a line asks of a run.
#[derive(Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every statement is a limit: a box would only add a step"
)]
pub enum Condition {
    /// A limit on a quantity.
    Limit(Limit),
    /// `allow FACT a | b`
    Allow(Allow),
    /// `require F, G`
    Require(Require),
}

/// `allow FACT a | b`
#[derive(Debug, PartialEq)]
pub struct Allow {
    /// The fact.
    pub name: Name,
    /// What it may be.
    pub choices: Vec<Choice>,
}

/// `require F, G`
#[derive(Debug, PartialEq)]
pub struct Require {
    /// The facts.
    pub names: Vec<Name>,
}

/// Which side a limit is on.
#[derive(Debug, PartialEq)]
pub enum Side {
    /// `max Q v`
    Max(Bound),
    /// `min Q v`
    Min(Bound),
    /// `range Q a to b`
    Range(Bound, Bound),
}

/// `max|min|range Q … on P at c confidence paced until … else … no waiver`
#[derive(Debug, PartialEq)]
pub struct Limit {
    /// The quantity.
    pub name: Name,
    /// The bounds.
    pub side: Side,
    /// Which probe.
    pub on: Option<On>,
    /// The confidence asked.
    pub confidence: Option<Value>,
    /// `paced`, where it was written.
    pub paced: Option<Span>,
    /// The second limit of an `until`.
    pub until: Option<Until>,
    /// What answers a breach.
    pub response: Option<Response>,
    /// `no waiver`, where it was written.
    pub no_waiver: Option<Span>,
}

/// `on P`
#[derive(Debug, PartialEq)]
pub struct On {
    /// The probe's name.
    pub probe: Name,
    /// With the `on`.
    pub span: Span,
}

/// `until Q below v on P`
#[derive(Debug, PartialEq)]
pub struct Until {
    /// The quantity.
    pub name: Name,
    /// `below` or `above`.
    pub comparison: Comparison,
    /// The bound.
    pub bound: Bound,
    /// Which probe.
    pub on: Option<On>,
    /// From `until` on.
    pub span: Span,
}

/// `else RUNG then RUNG`
#[derive(Debug, PartialEq)]
pub struct Response {
    /// The ladder.
    pub rungs: Vec<Rung>,
    /// From `else` on.
    pub span: Span,
}

/// `ACTION and slow N times`
#[derive(Debug, PartialEq)]
pub struct Rung {
    /// What is done: `scale`, `skip`, `rollback` or `stop`.
    pub action: Name,
    /// `and slow`, where it was written.
    pub slow: Option<Span>,
    /// How often, if there is a limit.
    pub times: Option<Spanned<Number>>,
    /// The whole rung.
    pub span: Span,
}

/// `waive Q up to v for "glob" until DATE by "…" because "…"`
#[derive(Debug, PartialEq)]
pub struct Waive {
    /// The quantity.
    pub name: Name,
    /// Whether it raises a ceiling (`up`) or lowers a floor (`down`).
    pub up: bool,
    /// The relaxed bound.
    pub bound: Bound,
    /// Which run files.
    pub glob: Name,
    /// Last day, `YYYY-MM-DD`.
    pub until: Name,
    /// Who answers for it.
    pub by: Name,
    /// Why.
    pub because: Name,
}

/// `for … { … }`
#[derive(Debug, PartialEq)]
pub struct ForBlock {
    /// When the body is in force.
    pub scope: Scope,
    /// The statements inside.
    pub body: Vec<Statement>,
}

/// `test "…" { … }`
#[derive(Debug, PartialEq)]
pub struct Test {
    /// What it shows.
    pub name: Name,
    /// Its lines.
    pub lines: Vec<TestLine>,
}

/// A line of a test.
#[derive(Debug, PartialEq)]
pub enum TestLine {
    /// A run file, or one fact in place of the file's.
    Given(Vec<GivenFact>),
    /// A reading at an update, or at the end.
    Reading(Reading),
    /// What must come out.
    Expect(Expectation),
}

/// What a test starts from.
#[derive(Debug, PartialEq)]
pub enum GivenFact {
    /// A run file.
    File(Name),
    /// A fact and its number.
    Number(Name, Value),
    /// A fact and its word.
    Word(Name, Choice),
}

/// `at update N Q v on P`
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// The update; the end of the run when `None`.
    pub update: Option<Spanned<Number>>,
    /// The quantity.
    pub name: Name,
    /// What it reads.
    pub bound: Bound,
    /// On which probe.
    pub on: Option<On>,
}

/// `expect …`
#[derive(Debug, PartialEq)]
pub enum Expectation {
    /// Nothing over, nothing open.
    Within,
    /// This limit has that verdict: `over`, `open` or `later`.
    Verdict(Name, Name),
    /// The guard acts so at that update.
    Acts(Name, Spanned<Number>),
}
