//! How much of what a model says is said once: distinct n-grams over all n-grams (Li et al. 2016).

use std::collections::{BTreeMap, BTreeSet};

use super::words::words;
use super::{Estimate, Reading};

/// Distinct n-grams of [`words`] over all n-grams, over all samples together; no n-gram spans two samples. 0 when there
/// is none, which is what a floor must refuse.
///
/// The number depends on how much text there is: compare only samples of the same number and length.
///
/// Read at evaluations; costs the samples, prompts × (prompt + sample) tokens forward, which all meters on samples share.
/// The standard error is the jackknife's over samples.
pub fn distinct_n<'a>(samples: impl IntoIterator<Item = &'a str>, n: usize) -> Estimate {
    let samples: Vec<Vec<String>> = samples.into_iter().map(words).collect();
    // There are no n-grams of nothing, as there are none longer than every sample.
    let n = if n == 0 { usize::MAX } else { n };
    let sets: Vec<BTreeSet<&[String]>> = samples.iter().map(|words| words.windows(n).collect()).collect();
    let totals: Vec<u64> = samples.iter().map(|words| words.windows(n).len() as u64).collect();
    let mut holders: BTreeMap<&[String], u64> = BTreeMap::new();
    for gram in sets.iter().flatten() {
        *holders.entry(gram).or_default() += 1;
    }
    // What leaves with a sample: the n-grams that no other sample has, and all of its own.
    let leaves: Vec<(u64, u64)> = sets
        .iter()
        .zip(&totals)
        .map(|(set, total)| {
            let alone = set.iter().filter(|gram| holders.get(**gram) == Some(&1)).count();
            (alone as u64, *total)
        })
        .collect();
    let (distinct, total) = (holders.len() as u64, totals.iter().sum::<u64>());
    Estimate::jackknife(share(distinct, total), samples.len(), |i| {
        let (alone, own) = leaves.get(i).copied().unwrap_or_default();
        share(distinct - alone, total - own)
    })
}

fn share(distinct: u64, total: u64) -> Reading {
    Reading::from(if total == 0 {
        0.0
    } else {
        distinct as f64 / total as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct(samples: &[&str], n: usize) -> f64 {
        distinct_n(samples.iter().copied(), n).value.as_f64()
    }

    #[test]
    fn distinct_over_all() {
        assert_eq!(distinct(&["a b c"], 1), 1.0);
        assert_eq!(distinct(&["a b a b"], 1), 0.5);
        // ab, ba, ab.
        assert_eq!(distinct(&["a b a b"], 2), 2.0 / 3.0);
        assert_eq!(distinct(&["a b a b"], 3), 1.0);
        // Case and punctuation make no difference.
        assert_eq!(distinct(&["A, b", "a b!"], 2), 0.5);
        // 好 and 天 come twice; no pair spans two samples.
        assert_eq!(distinct(&["好好学习", "天天向上"], 1), 6.0 / 8.0);
        assert_eq!(distinct(&["好好学习", "好好学习"], 2), 0.5);
    }

    #[test]
    fn one_sentence_repeated_is_one_part_in_so_many() {
        let samples = vec!["I am a helpful assistant."; 50];
        for n in 1..=3 {
            assert_eq!(distinct(&samples, n), 1.0 / 50.0);
        }
    }

    #[test]
    fn nothing_said_is_no_diversity() {
        assert_eq!(distinct(&[], 1), 0.0);
        assert_eq!(distinct(&["", "!"], 1), 0.0);
        assert_eq!(distinct(&["one"], 2), 0.0);
        assert_eq!(distinct(&["one two"], 0), 0.0);
    }

    #[test]
    fn the_standard_error_is_that_of_leaving_out_each_sample() {
        let samples = ["a b a c", "b a", "", "c c c d a", "a b"];
        for n in 0..=3 {
            let error = distinct_n(samples, n).standard_error;
            let naive = Estimate::jackknife(distinct(&samples, n).into(), samples.len(), |i| {
                let left = samples.iter().enumerate().filter(|(j, _)| *j != i);
                distinct_n(left.map(|(_, sample)| *sample), n).value
            });
            assert_eq!(error, naive.standard_error, "n = {n}");
        }
        assert_eq!(distinct_n(["a b"], 1).standard_error, None);
    }
}
