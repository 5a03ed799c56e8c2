//! `docs/explanation/measured.md`: its tables, and the sentences in it that have figures.

use super::bench::Outcome;
use super::cells::{DOSES, RANKS};
use super::poison::Poison;
use super::rules::{self, Cells, means_at_part};
use super::runs::Scale;
use super::sums::{mean, spread};
use super::{cells, guarding, levers, pace};

/// Where the page is.
pub const PATH: &str = "docs/explanation/measured.md";

/// The page with its tables made anew.
pub fn page(page: &str, cells: &Cells) -> Outcome<String> {
    let page = replaced(page, "rules", &rules::table(cells))?;
    let moments = guarding::moments(cells).ok_or("moments are not measured yet")?;
    replaced(&page, "moments", &moments)
}

/// The page with another text between the marks of a table.
fn replaced(page: &str, name: &str, table: &str) -> Outcome<String> {
    let (begin, end) = marks(name);
    let parts = page
        .split_once(&begin)
        .and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let (head, tail) = parts.ok_or_else(|| format!("the page has no marks for the table of {name}"))?;
    Ok(format!("{head}{begin}\n\n{table}\n{end}{tail}"))
}

/// What stands before a table of the page, and what behind it.
fn marks(name: &str) -> (String, String) {
    (
        format!("<!-- {name}: made by `cargo run --release --example tiny_acceptance` -->"),
        format!("<!-- the end of {name} -->"),
    )
}

/// What the page says with figures outside of its tables. `None` while something is not measured.
pub fn phrases(cells: &Cells) -> Option<Vec<String>> {
    let batch = |samples| -> Option<Vec<f64>> {
        let seeds: Option<Vec<Vec<f64>>> = cells::SEEDS
            .iter()
            .map(|seed| levers::by_batch(cells, samples, *seed))
            .collect();
        Some(means(&seeds?))
    };
    let sizes = listed(levers::BATCHES.iter().map(u64::to_string));
    let ends = |values: &[f64]| Some(format!("{} to {}", places(*values.first()?), places(*values.last()?)));
    let largest = means_at_part(cells, 1)?;
    let small: Option<Vec<f64>> = [4, 2]
        .iter()
        .map(|part| Some(spread(&means_at_part(cells, *part)?)))
        .collect();
    // Of four rates, the first three and the last three are within a factor of ten.
    let near = largest.windows(DOSES.len() - 1).map(spread).fold(f64::NAN, f64::max);
    let [by_update, by_dose] = pace::worsts(cells)?.map(|worsts| listed(worsts.iter().map(|x| format!("{x:.1}"))));
    Some(vec![
        format!(
            "drift rose with the batch: {} nats for {sizes} rows (means of three seeds)",
            listed(batch(false)?.into_iter().map(places))
        ),
        format!(
            "At an equal number of samples, it fell: {}.",
            listed(batch(true)?.into_iter().map(places))
        ),
        format!(
            "drift *fell* with the rank: {} nats for ranks {} (means of two seeds)",
            listed(levers::by_rank(cells, Scale::PerRank)?.into_iter().map(places)),
            listed(RANKS.iter().map(u64::to_string))
        ),
        format!(
            "At a constant scale it rose, {}, and under alpha ÷ √rank a little, {}.",
            ends(&levers::by_rank(cells, Scale::Constant)?)?,
            ends(&levers::by_rank(cells, Scale::PerRoot)?)?
        ),
        format!(
            "to within a factor of {:.1} over thirty-fold rates",
            small?.into_iter().fold(f64::NAN, f64::max)
        ),
        format!(
            "the slowest run of {} updates stayed at {} nats while the fastest of {} reached {}",
            DOSES.first()?.1,
            places(*largest.first()?),
            DOSES.last()?.1,
            places(*largest.last()?)
        ),
        format!("Among rates up to ten times apart the factor is at most {near:.1}"),
        format!(
            "moved the model by {:.4} nats, a tenth of any limit",
            guarding::spoilt_by(cells, Poison::Shuffled)?
        ),
        format!("was {by_update}; with the share of the *dose* in place of t/N it was {by_dose}"),
    ])
}

/// A drift in nats as the sentences show it: to the thousandth.
pub fn places(value: f64) -> String {
    format!("{value:.3}")
}

/// `a, b and c`.
pub fn listed(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        words => words.concat(),
    }
}

/// The mean of each column.
fn means(rows: &[Vec<f64>]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns)
        .map(|at| mean(&rows.iter().filter_map(|row| row.get(at).copied()).collect::<Vec<f64>>()))
        .collect()
}
