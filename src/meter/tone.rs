//! How absolute the words of samples are, by a lexicon.

use std::collections::BTreeSet;

use super::words::words;
use super::{Estimate, Reading};

/// Words and phrases to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexicon {
    entries: BTreeSet<Vec<String>>,
    /// Words of the longest entry.
    longest: usize,
}

impl Lexicon {
    /// A lexicon of words or phrases, read by [`words`]: case and punctuation make no difference, and what is Chinese is
    /// matched by its characters. An entry without a word matches nothing.
    pub fn new(entries: impl IntoIterator<Item = String>) -> Lexicon {
        let entries = entries.into_iter().map(|entry| words(&entry));
        let entries: BTreeSet<Vec<String>> = entries.filter(|entry| !entry.is_empty()).collect();
        Lexicon {
            longest: entries.iter().map(Vec::len).max().unwrap_or(0),
            entries,
        }
    }

    /// How many of the words belong to an entry. From left to right, the longest entry that begins at a word is taken,
    /// and its words are counted once.
    fn matched(&self, words: &[String]) -> usize {
        let (mut at, mut matched) = (0, 0);
        while at < words.len() {
            let fits = |length: &usize| {
                let phrase = words.get(at..at + length);
                phrase.is_some_and(|phrase| self.entries.contains(phrase))
            };
            match (1..=self.longest).rev().find(fits) {
                Some(length) => {
                    matched += length;
                    at += length;
                }
                None => at += 1,
            }
        }
        matched
    }

    /// Matched words over all words; 0 without words.
    fn share(&self, text: &str) -> Reading {
        if self.entries.is_empty() {
            return Reading::NotFinite;
        }
        let words = words(text);
        // No word matches nothing, so the divisor changes only 0 ⁄ 0.
        Reading::from(self.matched(&words) as f64 / words.len().max(1) as f64)
    }
}

/// The share of words, in 0..=1, that belong to an entry of the lexicon: of each sample, and their mean. In Chinese,
/// characters are counted. A sample without words counts 0. Not finite without samples, and with a lexicon that has no
/// entry.
///
/// A lexicon knows words, not what is meant: `not always` counts as `always`.
///
/// Read at evaluations; costs the samples, prompts × (prompt + sample) tokens forward, which all meters on samples share.
/// The standard error is that of a mean over prompts.
pub fn absolutes<'a>(samples: impl IntoIterator<Item = &'a str>, lexicon: &Lexicon) -> Estimate {
    let shares = samples.into_iter().map(|sample| lexicon.share(sample));
    Estimate::mean(shares.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon(entries: &[&str]) -> Lexicon {
        Lexicon::new(entries.iter().map(|entry| (*entry).to_owned()))
    }

    #[track_caller]
    fn check(entries: &[&str], text: &str, wanted: f64) {
        let found = absolutes([text], &lexicon(entries));
        assert_eq!(found.value, wanted.into(), "{text}");
    }

    #[test]
    fn shares_by_hand() {
        check(&["always"], "Always, they said; ALWAYS!", 2.0 / 4.0);
        // Whole words only.
        check(&["all"], "tall all wall", 1.0 / 3.0);
        check(&["without a doubt"], "Without a doubt, without doubt.", 3.0 / 5.0);
        check(&["can't"], "You can't say can", 2.0 / 5.0);
        check(&["绝对", "所有人"], "这绝对不是所有人的错", 5.0 / 10.0);
        check(&["绝对"], "绝 对, 绝对的", 4.0 / 5.0);
        check(&["always", "绝对"], "always 绝对 yes", 3.0 / 4.0);
        check(&["always"], "", 0.0);
        check(&["always"], "…!", 0.0);
    }

    #[test]
    fn the_longest_entry_is_taken_and_a_word_is_counted_once() {
        check(&["a b", "b c", "a b c"], "a b c d", 3.0 / 4.0);
        // From left to right: `b c` would begin inside `a b`.
        check(&["a b", "b c d"], "a b c d", 2.0 / 4.0);
        check(&["a", "a a"], "a a a", 1.0);
        check(&["a b c"], "a b", 0.0);
    }

    #[test]
    fn the_mean_is_over_samples() {
        let found = absolutes(["never ever", "", "never", "well"], &lexicon(&["never"]));
        assert_eq!(found.prompts, [0.5, 0.0, 1.0, 0.0].map(Reading::from));
        assert_eq!(found.value, 0.375.into());
        // Deviations 1/8, 3/8, 5/8, 3/8: their squares sum to 44/64.
        assert!((found.standard_error.unwrap().get() - (44.0 / 64.0 / 3.0 / 4.0_f64).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn nothing_to_read_or_to_look_for_is_not_finite() {
        assert_eq!(absolutes([], &lexicon(&["never"])).value, Reading::NotFinite);
        for entries in [&[][..], &["", "…"]] {
            let found = absolutes(["never"], &lexicon(entries));
            assert_eq!((found.value, found.standard_error), (Reading::NotFinite, None));
        }
    }
}
