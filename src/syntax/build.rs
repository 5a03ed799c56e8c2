//! Pairs of the parser to the tree.
//!
//! The grammar has already decided what is a statement; here numbers and texts get their values. A statement with a
//! malformed part is reported and left out, so later rooms never see half of one.

use pest::Parser;
use pest::iterators::{Pair, Pairs};

use super::ast::{
    Allow, Assume, Bound, Choice, Comment, Comparison, Condition, Expectation, Extends, File, ForBlock, GivenFact,
    Header, Limit, Name, Number, On, Probe, Reading, Require, Response, Rung, Scope, Selector, SelectorTest, Side,
    Statement, StatementKind, Test, TestLine, Until, Value, Waive,
};
use super::rules::{RiskParser, Rule};
use super::{number, traps, unexpected};
use crate::diag::{Code, Diagnostic};
use crate::source::{Place, SourceId, Span, Spanned};

/// The tree of a text, and one finding a mistake.
pub(super) fn build(source: SourceId, text: &str) -> (File, Vec<Diagnostic>) {
    let mut builder = Builder {
        source,
        text,
        diagnostics: Vec::new(),
        comments: Vec::new(),
    };
    // A byte order mark is no text; the spans must still count it.
    let file = match RiskParser::parse(Rule::file, text) {
        Ok(pairs) => builder.file(pairs),
        Err(error) => {
            let span = unexpected::error_span(&error);
            builder.report(
                Diagnostic::new(Code::Syntax, "this text cannot be read").at(Place { source, span }, "from here on"),
            );
            File::default()
        }
    };
    (file, builder.diagnostics)
}

struct Builder<'i> {
    source: SourceId,
    text: &'i str,
    diagnostics: Vec<Diagnostic>,
    comments: Vec<Comment>,
}

/// The parts of a rule, comments taken out.
struct Parts<'i>(std::iter::Peekable<std::vec::IntoIter<Pair<'i, Rule>>>);

impl<'i> Parts<'i> {
    fn next(&mut self) -> Option<Pair<'i, Rule>> {
        self.0.next()
    }

    /// The next part, when it is of this rule.
    fn take(&mut self, rule: Rule) -> Option<Pair<'i, Rule>> {
        self.0.next_if(|pair| pair.as_rule() == rule)
    }

    /// The next part of this rule, keywords before it passed over.
    fn find(&mut self, rule: Rule) -> Option<Pair<'i, Rule>> {
        self.0.by_ref().find(|pair| pair.as_rule() == rule)
    }
}

fn span_of(pair: &Pair<'_, Rule>) -> Span {
    let span = pair.as_span();
    Span::new(span.start(), span.end())
}

/// The span without the white space and the comments that the parser read after its last word.
fn trimmed(pair: &Pair<'_, Rule>) -> Span {
    let last = pair
        .clone()
        .into_inner()
        .filter(|inner| !matches!(inner.as_rule(), Rule::COMMENT | Rule::EOI))
        .last();
    let start = span_of(pair).start;
    match last {
        Some(last) => Span::new(start, trimmed(&last).end),
        None => Span::new(start, start + pair.as_str().trim_end().len()),
    }
}

fn name_of(pair: &Pair<'_, Rule>) -> Name {
    Spanned::new(pair.as_str().to_owned(), span_of(pair))
}

/// A word without the white space that the parser read after it.
fn word_of(pair: &Pair<'_, Rule>) -> Name {
    Spanned::new(pair.as_str().trim_end().to_owned(), trimmed(pair))
}

/// The text between quotes, escapes resolved.
fn string_of(pair: &Pair<'_, Rule>) -> Name {
    let raw = pair.as_str();
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(raw);
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        value.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    Spanned::new(value, span_of(pair))
}

impl<'i> Builder<'i> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn place(&self, span: Span) -> Place {
        Place {
            source: self.source,
            span,
        }
    }

    fn parts(&mut self, pair: Pair<'i, Rule>) -> Parts<'i> {
        let parts = self.without_comments(pair.into_inner());
        Parts(parts.into_iter().peekable())
    }

    fn without_comments(&mut self, pairs: Pairs<'i, Rule>) -> Vec<Pair<'i, Rule>> {
        pairs
            .filter(|pair| {
                let is_comment = pair.as_rule() == Rule::COMMENT;
                if is_comment {
                    self.comments.push(Comment { span: span_of(pair) });
                }
                !is_comment
            })
            .collect()
    }

    fn file(&mut self, pairs: Pairs<'i, Rule>) -> File {
        let mut header: Option<Header> = None;
        let mut first: Option<Span> = None;
        let mut parts = Vec::new();
        for file in pairs {
            for pair in self.without_comments(file.into_inner()) {
                if pair.as_rule() == Rule::header {
                    let span = trimmed(&pair);
                    let earlier = header.as_ref().map(|header| header.span);
                    let built = self.or_report(&pair, Self::header);
                    match earlier {
                        Some(earlier) => self.second_header(span, earlier),
                        None => header = built.or(header),
                    }
                    self.header_first(span, first);
                }
                first = first.or(Some(span_of(&pair)));
                parts.push(pair);
            }
        }
        let statements = self.statements(parts, true);
        let is_header = |line: &str| line.trim_start().starts_with("policy");
        let tried = self.text.lines().any(is_header)
            || self
                .diagnostics
                .iter()
                .any(|found| found.instead.as_deref().is_some_and(is_header));
        if header.is_none() && !tried && !self.text.trim().is_empty() {
            let at = first.map_or(Span::new(0, 0), |first| Span::new(first.start, first.start));
            self.report(
                Diagnostic::new(Code::Header, "this policy has no header")
                    .at(self.place(at), "a header goes here")
                    .help("begin with its name and the runs it speaks about")
                    .instead("policy \"my-policy\" for stage sft, method lora | qlora"),
            );
        }
        self.comments.sort_by_key(|comment| comment.span);
        self.comments.dedup();
        File {
            header,
            statements,
            comments: std::mem::take(&mut self.comments),
        }
    }

    fn has(&self, code: Code) -> bool {
        self.diagnostics.iter().any(|d| d.code == code)
    }

    fn second_header(&mut self, span: Span, earlier: Span) {
        self.report(
            Diagnostic::new(Code::Header, "a policy has one header")
                .at(self.place(span), "a second one")
                .at(self.place(earlier), "the first")
                .help("move what belongs to another policy into its own file"),
        );
    }

    fn header_first(&mut self, span: Span, first: Option<Span>) {
        if let Some(first) = first.filter(|_| !self.has(Code::Header)) {
            self.report(
                Diagnostic::new(Code::Header, "the header comes first in the file")
                    .at(self.place(span), "move this line up")
                    .at(self.place(first), "it belongs before this"),
            );
        }
    }

    /// Builds, and makes sure that nothing is dropped without a word.
    fn or_report<T>(
        &mut self,
        pair: &Pair<'i, Rule>,
        build: impl FnOnce(&mut Self, Pair<'i, Rule>) -> Option<T>,
    ) -> Option<T> {
        let before = self.diagnostics.len();
        let built = build(self, pair.clone());
        let mistakes = self.diagnostics.len() > before;
        if built.is_none() && !mistakes {
            let place = self.place(trimmed(pair));
            self.report(Diagnostic::new(Code::Syntax, "this statement is not understood").at(place, ""));
        }
        built.filter(|_| !mistakes)
    }

    /// The statements of a file or a block. Text that was not understood takes the statement it trails with it.
    fn statements(&mut self, pairs: Vec<Pair<'i, Rule>>, at_top: bool) -> Vec<Statement> {
        let mut statements: Vec<Statement> = Vec::new();
        // The last thing on the way: where it began and ended, and whether it became a statement.
        let mut last: Option<(Span, bool)> = None;
        for pair in pairs {
            let span = trimmed(&pair);
            match pair.as_rule() {
                Rule::EOI | Rule::close => {}
                Rule::header => last = Some((span, false)),
                Rule::stray => {
                    let trails = last.is_some_and(|(last, _)| self.on_one_line(last.end, span.start));
                    if !trails {
                        self.report(
                            Diagnostic::new(Code::Syntax, "there is no block to close here")
                                .at(self.place(span), "no `{` belongs to it")
                                .help("delete it"),
                        );
                    }
                    last = Some((span, false));
                }
                Rule::nested => {
                    self.nested(span);
                    // Its lines are read all the same: their own mistakes belong into the same run.
                    statements.extend(self.block(pair).map(|kind| Statement { kind, span }));
                    last = Some((span, false));
                }
                Rule::for_block => {
                    statements.extend(self.block(pair).map(|kind| Statement { kind, span }));
                    last = Some((span, true));
                }
                Rule::junk => {
                    let trailed = last.filter(|(last, _)| self.on_one_line(last.end, span.start));
                    if trailed.is_some_and(|(_, built)| built) {
                        statements.pop();
                    }
                    let from = trailed.map_or(span.start, |(last, _)| last.start);
                    let whole = Span::new(from, span.end);
                    let found = traps::explain(self.source, self.text, whole, span, at_top);
                    self.report(found);
                    last = Some((whole, false));
                }
                _ => {
                    let kind = self.or_report(&pair, Self::statement);
                    last = Some((span, kind.is_some()));
                    statements.extend(kind.map(|kind| Statement { kind, span }));
                }
            }
        }
        statements
    }

    fn on_one_line(&self, from: usize, to: usize) -> bool {
        self.text.get(from..to).is_some_and(|between| !between.contains('\n'))
    }

    fn nested(&mut self, span: Span) {
        let line_end = self.text.get(span.start..).and_then(|rest| rest.find('{'));
        let head = Span::new(span.start, line_end.map_or(span.end, |at| span.start + at));
        self.report(
            Diagnostic::new(Code::Scope, "a `for` cannot stand inside a `for`")
                .at(self.place(head), "the block around it is still open")
                .help("write one block with both conditions, joined by a comma")
                .instead("for method lora, dataset.rows below 1_000 { … }"),
        );
    }

    /// A block: a mistake in one of its lines costs that line.
    fn block(&mut self, pair: Pair<'i, Rule>) -> Option<StatementKind> {
        let is_nested = pair.as_rule() == Rule::nested;
        let mut parts = self.parts(pair);
        let scope = parts.take(Rule::scope)?;
        let scope = self.or_report(&scope, Self::scope)?;
        let body: Vec<_> = parts.0.collect();
        let is_closed = body
            .last()
            .is_some_and(|last| last.as_rule() == Rule::close && last.as_str() == "}");
        if !is_closed && !is_nested {
            self.report(
                Diagnostic::new(Code::Syntax, "this block is not closed")
                    .at(self.place(scope.span), "opened here")
                    .help("end it with `}`"),
            );
        }
        Some(StatementKind::For(ForBlock {
            body: self.statements(body, false),
            scope,
        }))
    }

    fn statement(&mut self, pair: Pair<'i, Rule>) -> Option<StatementKind> {
        let rule = pair.as_rule();
        let mut parts = self.parts(pair);
        Some(match rule {
            Rule::extends => StatementKind::Extends(Extends {
                path: string_of(&parts.find(Rule::string)?),
            }),
            Rule::assume => StatementKind::Assume(self.assume(parts)?),
            Rule::probe => StatementKind::Probe(self.probe(parts)?),
            Rule::audit => StatementKind::Audit {
                path: string_of(&parts.find(Rule::string)?),
                pin: self.pin(&mut parts),
            },
            Rule::advised => {
                let advise = span_of(&parts.take(Rule::kw_advise)?);
                StatementKind::Condition {
                    advised: Some(advise),
                    condition: self.condition(parts.next()?)?,
                }
            }
            Rule::waive => StatementKind::Waive(self.waive(parts)?),
            Rule::test => StatementKind::Test(self.test(parts)?),
            _ => StatementKind::Condition {
                advised: None,
                condition: self.condition_of(rule, parts)?,
            },
        })
    }

    fn condition(&mut self, pair: Pair<'i, Rule>) -> Option<Condition> {
        let rule = pair.as_rule();
        let parts = self.parts(pair);
        self.condition_of(rule, parts)
    }

    fn condition_of(&mut self, rule: Rule, mut parts: Parts<'i>) -> Option<Condition> {
        Some(match rule {
            Rule::limit => Condition::Limit(self.limit(parts)?),
            Rule::allow => Condition::Allow(Allow {
                name: name_of(&parts.find(Rule::name)?),
                choices: self.choices(parts.find(Rule::choice)?)?,
            }),
            Rule::require => Condition::Require(Require {
                names: parts
                    .0
                    .filter(|pair| pair.as_rule() == Rule::name)
                    .map(|pair| name_of(&pair))
                    .collect(),
            }),
            _ => return None,
        })
    }

    fn header(&mut self, pair: Pair<'i, Rule>) -> Option<Header> {
        let span = trimmed(&pair);
        let mut parts = self.parts(pair);
        let name = string_of(&parts.find(Rule::string)?);
        let scope = match parts.take(Rule::scope) {
            Some(scope) => Some(self.scope(scope)?),
            None => None,
        };
        Some(Header { name, scope, span })
    }

    fn scope(&mut self, pair: Pair<'i, Rule>) -> Option<Scope> {
        let span = trimmed(&pair);
        let mut selectors = Vec::new();
        for part in self.parts(pair).0.filter(|part| part.as_rule() == Rule::selector) {
            selectors.push(self.selector(part)?);
        }
        Some(Scope { selectors, span })
    }

    fn selector(&mut self, pair: Pair<'i, Rule>) -> Option<Selector> {
        let span = trimmed(&pair);
        let mut parts = self.parts(pair);
        let name = name_of(&parts.take(Rule::name)?);
        let test = match parts.take(Rule::compare) {
            None => SelectorTest::OneOf(self.choices(parts.take(Rule::choice)?)?),
            Some(compare) => {
                let mut parts = self.parts(compare);
                let comparison = comparison_of(parts.next()?.as_rule())?;
                SelectorTest::Compared(comparison, self.value(parts.find(Rule::value)?)?)
            }
        };
        Some(Selector { name, test, span })
    }

    fn choices(&mut self, pair: Pair<'i, Rule>) -> Option<Vec<Choice>> {
        let parts = self.parts(pair);
        parts.0.map(|part| self.choice(part)).collect()
    }

    fn choice(&mut self, pair: Pair<'i, Rule>) -> Option<Choice> {
        let inner = self.parts(pair).next()?;
        let quoted = inner.as_rule() == Rule::string;
        let text = if quoted { string_of(&inner) } else { name_of(&inner) };
        Some(Choice { text, quoted })
    }

    fn assume(&mut self, mut parts: Parts<'i>) -> Option<Assume> {
        let name = name_of(&parts.find(Rule::name)?);
        let from = self.value(parts.find(Rule::value)?)?;
        let to = match parts.find(Rule::value) {
            Some(to) => Some(self.value(to)?),
            None => None,
        };
        Some(Assume { name, from, to })
    }

    fn probe(&mut self, mut parts: Parts<'i>) -> Option<Probe> {
        let kind = name_of(&parts.find(Rule::word)?);
        let name = parts.take(Rule::word).map(|word| name_of(&word));
        let path = string_of(&parts.take(Rule::string)?);
        let pin = self.pin(&mut parts);
        let every = match parts.take(Rule::every) {
            Some(every) => {
                let value = self.parts(every).find(Rule::value)?;
                Some(self.value(value)?)
            }
            None => None,
        };
        Some(Probe {
            kind,
            name,
            path,
            pin,
            every,
        })
    }

    fn pin(&mut self, parts: &mut Parts<'i>) -> Option<Name> {
        let pin = parts.take(Rule::pin)?;
        Some(string_of(&self.parts(pin).find(Rule::string)?))
    }

    fn limit(&mut self, mut parts: Parts<'i>) -> Option<Limit> {
        let core = parts.next()?;
        let rule = core.as_rule();
        let mut inner = self.parts(core);
        let side_word = inner.next()?.as_rule();
        let name = name_of(&inner.take(Rule::name)?);
        let first = self.bound(inner.find(Rule::bound)?)?;
        let side = match (rule, side_word) {
            (Rule::range, _) => Side::Range(first, self.bound(inner.find(Rule::bound)?)?),
            (_, Rule::kw_max) => Side::Max(first),
            _ => Side::Min(first),
        };
        let mut limit = Limit {
            name,
            side,
            on: None,
            confidence: None,
            paced: None,
            until: None,
            response: None,
            no_waiver: None,
        };
        for part in parts.0 {
            match part.as_rule() {
                Rule::on => limit.on = Some(self.on(part)?),
                Rule::confidence => {
                    let value = self.parts(part).find(Rule::value)?;
                    limit.confidence = Some(self.value(value)?);
                }
                Rule::paced => limit.paced = Some(trimmed(&part)),
                Rule::until => limit.until = Some(self.until(part)?),
                Rule::response => limit.response = Some(self.response(part)?),
                Rule::no_waiver => limit.no_waiver = Some(trimmed(&part)),
                _ => return None,
            }
        }
        Some(limit)
    }

    fn on(&mut self, pair: Pair<'i, Rule>) -> Option<On> {
        let span = trimmed(&pair);
        let probe = name_of(&self.parts(pair).find(Rule::word)?);
        Some(On { probe, span })
    }

    fn until(&mut self, pair: Pair<'i, Rule>) -> Option<Until> {
        let span = trimmed(&pair);
        let mut parts = self.parts(pair);
        let name = name_of(&parts.find(Rule::name)?);
        let comparison = comparison_of(parts.next()?.as_rule())?;
        let bound = self.bound(parts.take(Rule::bound)?)?;
        let on = match parts.take(Rule::on) {
            Some(on) => Some(self.on(on)?),
            None => None,
        };
        Some(Until {
            name,
            comparison,
            bound,
            on,
            span,
        })
    }

    fn response(&mut self, pair: Pair<'i, Rule>) -> Option<Response> {
        let span = trimmed(&pair);
        let mut rungs = Vec::new();
        for part in self.parts(pair).0.filter(|part| part.as_rule() == Rule::rung) {
            rungs.push(self.rung(part)?);
        }
        Some(Response { rungs, span })
    }

    fn rung(&mut self, pair: Pair<'i, Rule>) -> Option<Rung> {
        let span = trimmed(&pair);
        let mut parts = self.parts(pair);
        let action = word_of(&parts.take(Rule::action)?);
        let slow = parts.take(Rule::and_slow).map(|slow| trimmed(&slow));
        let times = match parts.take(Rule::times) {
            Some(times) => {
                let number = self.parts(times).find(Rule::number)?;
                Some(self.number(&number)?)
            }
            None => None,
        };
        Some(Rung {
            action,
            slow,
            times,
            span,
        })
    }

    fn waive(&mut self, mut parts: Parts<'i>) -> Option<Waive> {
        let name = name_of(&parts.find(Rule::name)?);
        let up = parts.next()?.as_rule() == Rule::kw_up;
        let bound = self.bound(parts.find(Rule::bound)?)?;
        let glob = string_of(&parts.find(Rule::string)?);
        let until = name_of(&parts.find(Rule::date)?);
        let by = string_of(&parts.find(Rule::string)?);
        let because = string_of(&parts.find(Rule::string)?);
        Some(Waive {
            name,
            up,
            bound,
            glob,
            until,
            by,
            because,
        })
    }

    fn test(&mut self, mut parts: Parts<'i>) -> Option<Test> {
        let name = string_of(&parts.find(Rule::string)?);
        let mut lines = Vec::new();
        for part in parts.0 {
            let rule = part.as_rule();
            match rule {
                Rule::given => lines.push(TestLine::Given(self.given(part)?)),
                Rule::reading => lines.push(TestLine::Reading(self.reading(part)?)),
                Rule::expect => lines.push(TestLine::Expect(self.expect(part)?)),
                Rule::junk => {
                    let span = trimmed(&part);
                    let found = traps::explain(self.source, self.text, span, span, false);
                    self.report(found);
                }
                _ => {}
            }
        }
        Some(Test { name, lines })
    }

    fn given(&mut self, pair: Pair<'i, Rule>) -> Option<Vec<GivenFact>> {
        let mut facts = Vec::new();
        for part in self.parts(pair).0.filter(|part| part.as_rule() == Rule::fact) {
            let mut parts = self.parts(part);
            facts.push(match parts.take(Rule::string) {
                Some(file) => GivenFact::File(string_of(&file)),
                None => {
                    let name = name_of(&parts.take(Rule::name)?);
                    match parts.take(Rule::value) {
                        Some(value) => GivenFact::Number(name, self.value(value)?),
                        None => GivenFact::Word(name, self.choice(parts.next()?)?),
                    }
                }
            });
        }
        Some(facts)
    }

    fn reading(&mut self, pair: Pair<'i, Rule>) -> Option<Reading> {
        let mut parts = self.parts(pair);
        parts.take(Rule::kw_at)?;
        parts.next()?;
        let update = match parts.take(Rule::number) {
            Some(number) => Some(self.number(&number)?),
            None => None,
        };
        let name = name_of(&parts.take(Rule::name)?);
        let bound = self.bound(parts.take(Rule::bound)?)?;
        let on = match parts.take(Rule::on) {
            Some(on) => Some(self.on(on)?),
            None => None,
        };
        Some(Reading {
            update,
            name,
            bound,
            on,
        })
    }

    fn expect(&mut self, pair: Pair<'i, Rule>) -> Option<Expectation> {
        let mut parts = self.parts(pair);
        parts.take(Rule::kw_expect)?;
        let what = parts.next()?;
        Some(match what.as_rule() {
            Rule::kw_within => Expectation::Within,
            Rule::action => {
                let action = word_of(&what);
                let number = parts.find(Rule::number)?;
                Expectation::Acts(action, self.number(&number)?)
            }
            _ => Expectation::Verdict(name_of(&what), name_of(&parts.find(Rule::name)?)),
        })
    }

    fn bound(&mut self, pair: Pair<'i, Rule>) -> Option<Bound> {
        let span = trimmed(&pair);
        let mut parts = self.parts(pair);
        let value = self.value(parts.take(Rule::value)?)?;
        let of_base = parts.take(Rule::of_base).map(|of_base| trimmed(&of_base));
        Some(Bound { value, of_base, span })
    }

    fn value(&mut self, pair: Pair<'i, Rule>) -> Option<Value> {
        let span = trimmed(&pair);
        let mut parts = self.parts(pair);
        let number = self.number(&parts.take(Rule::number)?)?;
        let unit = parts.take(Rule::unit).map(|unit| name_of(&unit));
        Some(Value { number, unit, span })
    }

    fn number(&mut self, pair: &Pair<'i, Rule>) -> Option<Spanned<Number>> {
        let span = span_of(pair);
        match number::number(pair.as_str()) {
            Ok(number) => Some(Spanned::new(number, span)),
            Err(mistake) => {
                let mut found = Diagnostic::new(Code::Number, mistake.message).at(self.place(span), mistake.label);
                found.instead = mistake.instead;
                self.report(found);
                None
            }
        }
    }
}

fn comparison_of(rule: Rule) -> Option<Comparison> {
    Some(match rule {
        Rule::kw_below => Comparison::Below,
        Rule::kw_above => Comparison::Above,
        Rule::at_least => Comparison::AtLeast,
        Rule::at_most => Comparison::AtMost,
        _ => return None,
    })
}
