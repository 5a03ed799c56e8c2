//! The closest name to a misspelled one, only when it is close.

/// At least this share of the longer name must agree. At two thirds `lora.rnak` still finds `lora.rank`,
/// while `batch.size` no longer finds `drift.tail`.
const MIN_SIMILARITY: f64 = 0.66;

/// The candidate closest to `name`; `None` when none is close. Ties go to the first.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // The lengths alone may rule it out, which keeps a name of a megabyte from being compared letter by letter.
        let (shorter, longer) = (name.len().min(candidate.len()), name.len().max(candidate.len()));
        if (shorter as f64) < MIN_SIMILARITY * longer as f64 / 4.0 {
            continue;
        }
        let distance = edits(name, candidate);
        let longer = name.chars().count().max(candidate.chars().count()).max(1);
        let near = 1.0 - distance as f64 / longer as f64 >= MIN_SIMILARITY;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `a`, `a or b`, `a, b or c`.
pub fn one_of<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [before @ .., last] => {
            let before: Vec<&str> = before.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", before.join(", "), last.as_ref())
        }
    }
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let width = b.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, y) in b.iter().enumerate() {
            let at = |cells: &[usize], k: usize| cells.get(k).copied().unwrap_or(0);
            let mut cost = (at(&last, j) + usize::from(x != y))
                .min(at(&last, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                cost = cost.min(at(&before_last, j - 1) + 1);
            }
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = cost;
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{closest, edits, one_of};

    #[test]
    fn counts_edits() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("rank", "rnak"), 1);
        assert_eq!(edits("epochs", "epoch"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn suggests_only_what_is_close() {
        let names = ["lora.rank", "lora.alpha", "drift.total"];
        assert_eq!(closest("lora.rnak", names), Some("lora.rank"));
        assert_eq!(closest("drift.totl", names), Some("drift.total"));
        assert_eq!(closest("temperature", names), None);
    }

    #[test]
    fn lists_alternatives() {
        assert_eq!(one_of(&["a", "b", "c"]), "a, b or c");
        assert_eq!(one_of(&["a"]), "a");
        assert_eq!(one_of::<&str>(&[]), "");
    }
}
