//! The grammar as a parser; the only file that names pest's derive.

use pest_derive::Parser;

/// The parser of `grammar/riskpolicy.pest`.
#[derive(Parser)]
#[grammar = "grammar/riskpolicy.pest"]
pub(super) struct RiskParser;

impl Rule {
    /// How a person would name what the grammar wants here; `None` for what nobody would look for.
    pub(super) fn to_symbol(self) -> Option<&'static str> {
        Some(match self {
            Rule::name => "a name such as `lora.rank`",
            Rule::word => "a word",
            Rule::any_word | Rule::word_or_string | Rule::choice => "a word or a text in quotes",
            Rule::string => "a text in quotes",
            Rule::number | Rule::value | Rule::bound => "a number",
            Rule::unit => "a unit",
            Rule::date => "a date such as `2026-12-31`",
            Rule::pin | Rule::kw_sha256 => "`sha256`",
            Rule::every | Rule::kw_every => "`every`",
            Rule::of_base | Rule::kw_of => "`of base`",
            Rule::kw_base => "`base`",
            Rule::on | Rule::kw_on => "`on`",
            Rule::confidence => "`at … confidence`",
            Rule::kw_confidence => "`confidence`",
            Rule::paced | Rule::kw_paced => "`paced`",
            Rule::until | Rule::kw_until => "`until`",
            Rule::response | Rule::kw_else => "`else`",
            Rule::rung | Rule::action => "`scale`, `skip`, `rollback` or `stop`",
            Rule::kw_then => "`then`",
            Rule::and_slow | Rule::kw_and => "`and slow`",
            Rule::kw_slow => "`slow`",
            Rule::times | Rule::kw_times => "`times`",
            Rule::no_waiver | Rule::kw_no => "`no waiver`",
            Rule::kw_waiver => "`waiver`",
            Rule::compare => "`below`, `above`, `at least` or `at most`",
            Rule::at_least | Rule::at_most => "`at least` or `at most`",
            Rule::kw_below => "`below`",
            Rule::kw_above => "`above`",
            Rule::kw_to => "`to`",
            Rule::kw_for | Rule::scope => "`for`",
            Rule::kw_up => "`up`",
            Rule::kw_down => "`down`",
            Rule::kw_by => "`by`",
            Rule::kw_because => "`because`",
            Rule::limit | Rule::one_sided | Rule::range => "`max`, `min` or `range`",
            Rule::close => "`}`",
            Rule::EOI => "the end of the line",
            _ => return None,
        })
    }
}
