//! How many samples follow one pattern: they open alike, or repeat the same phrase.

use std::collections::BTreeMap;
use std::fmt;

use super::words::{line, words};
use super::{Estimate, Reading};

/// Samples open alike when their first so many words are the same.
pub const OPENING: usize = 4;
/// Samples repeat a phrase when so many words in a row are the same, wherever they stand.
pub const PHRASE: usize = 8;

/// The share of samples, in 0..=1, in the largest group that has one phrasing in common. Groups are
///
/// - the samples with the same first [`OPENING`] of [`words`]; a shorter sample opens with all of its words, so it opens
///   like those that are the same, and samples without words open alike;
/// - the samples that contain the same [`PHRASE`] words in a row, each sample once; a shorter one contains none.
///
/// A group has at least two samples: 0 when no two have a phrasing in common, 1 when all say the same. A pattern with a
/// blank that is filled in counts by what stands around the blank. Not finite for fewer than two samples.
///
/// Read at evaluations; costs the samples, prompts × (prompt + sample) tokens forward, which all meters on samples share.
/// The standard error is the jackknife's over samples: for one largest group that of its share. It does not know that
/// the group was chosen because it is the largest.
pub fn share<'a>(samples: impl IntoIterator<Item = &'a str>) -> Estimate {
    let texts: Vec<Vec<String>> = samples.into_iter().map(words).collect();
    let groups = largest(&texts);
    let size = groups.first().map_or(0, |group| group.samples.len());
    // How many of the largest groups a sample is in: without one that is in all of them, the largest is one smaller.
    let mut within = vec![0_usize; texts.len()];
    for sample in groups.iter().flat_map(|group| &group.samples) {
        if let Some(count) = within.get_mut(*sample) {
            *count += 1;
        }
    }
    Estimate::jackknife(of(size, texts.len()), texts.len(), |i| {
        let in_all = within.get(i) == Some(&groups.len()) && !groups.is_empty();
        of(size - usize::from(in_all), texts.len() - 1)
    })
}

fn of(size: usize, samples: usize) -> Reading {
    Reading::from(match (size, samples) {
        (_, 0 | 1) => f64::NAN,
        (0 | 1, _) => 0.0,
        (size, samples) => size as f64 / samples as f64,
    })
}

/// A phrasing that samples have in common. Shown as its words with `…` where a sample may say more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrasing {
    /// Its words, as many as the samples have in common from its first on.
    pub words: Vec<String>,
    /// Whether the samples open with it; else it stands anywhere in them.
    pub opens: bool,
    /// Which samples have it, in their order; at least two.
    pub samples: Vec<usize>,
}

impl fmt::Display for Phrasing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.opens { "" } else { "… " };
        write!(f, "{before}{} …", line(&self.words))
    }
}

/// The phrasing of the largest group of [`share`]; of groups of one size an opening before a phrase, then what comes
/// first in the samples. `None` when no two samples have one in common.
pub fn phrasing<'a>(samples: impl IntoIterator<Item = &'a str>) -> Option<Phrasing> {
    let texts: Vec<Vec<String>> = samples.into_iter().map(words).collect();
    let group = largest(&texts)
        .into_iter()
        .min_by_key(|group| (!group.opens, group.samples.first().copied(), group.start))?;
    let first = texts.get(*group.samples.first()?)?;
    let is_common = |phrase: &[String]| {
        let mut texts = group.samples.iter().filter_map(|sample| texts.get(*sample));
        texts.all(|text| match group.opens {
            true => text.starts_with(phrase),
            false => text.windows(phrase.len()).any(|words| words == phrase),
        })
    };
    let mut words = group.words;
    for end in group.start + words.len() + 1..=first.len() {
        match first.get(group.start..end).filter(|longer| is_common(longer)) {
            Some(longer) => words = longer,
            None => break,
        }
    }
    Some(Phrasing {
        words: words.to_vec(),
        opens: group.opens,
        samples: group.samples,
    })
}

/// Samples with one phrasing.
struct Group<'a> {
    opens: bool,
    words: &'a [String],
    /// Where the phrasing begins in the first of the samples.
    start: usize,
    samples: Vec<usize>,
}

/// All groups of the largest size; none when no group has two samples.
fn largest(texts: &[Vec<String>]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(bool, &[String]), Group<'_>> = BTreeMap::new();
    for (sample, text) in texts.iter().enumerate() {
        let opening = text.get(..OPENING).unwrap_or(text);
        let phrases = text.windows(PHRASE).enumerate();
        for (opens, start, words) in
            std::iter::once((true, 0, opening)).chain(phrases.map(|(start, words)| (false, start, words)))
        {
            let group = groups.entry((opens, words)).or_insert_with(|| Group {
                opens,
                words,
                start,
                samples: Vec::new(),
            });
            if group.samples.last() != Some(&sample) {
                group.samples.push(sample);
            }
        }
    }
    let size = groups.values().map(|group| group.samples.len()).max().unwrap_or(0);
    let groups = groups.into_values();
    groups
        .filter(|group| size >= 2 && group.samples.len() == size)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[&str]) -> f64 {
        share(samples.iter().copied()).value.as_f64()
    }

    fn named(samples: &[&str]) -> String {
        phrasing(samples.iter().copied()).map_or_else(String::new, |phrasing| phrasing.to_string())
    }

    #[test]
    fn samples_that_open_alike() {
        let samples = ["I'd be happy to help.", "i d be HAPPY, but no", "I'd be glad", "No."];
        assert_eq!(of(&samples), 0.5);
        assert_eq!(named(&samples), "i d be happy …");
        // Three words are no opening.
        assert_eq!(of(&["a b c d", "a b c e", "a b c"]), 0.0);
        assert_eq!(of(&["我很乐意帮忙", "我很乐意。", "不"]), 2.0 / 3.0);
        assert_eq!(named(&["我很乐意帮忙", "我很乐意。", "不"]), "我很乐意 …");
    }

    #[test]
    fn short_samples_open_with_all_they_have() {
        assert_eq!(of(&["Yes.", "yes", "Yes it is", "No."]), 0.5);
        assert_eq!(named(&["Yes.", "yes", "Yes it is", "No."]), "yes …");
        assert_eq!(of(&["", "!", "a b", "c"]), 0.5);
        assert_eq!(of(&["a b c d", "a b c d"]), 1.0);
    }

    #[test]
    fn samples_that_repeat_a_phrase() {
        let samples = [
            "x as an ai model i can not do that y",
            "and as an ai model i can not do that",
            "as an ai model i can not",
            "as an ai model i can not do no as an ai model i can not do",
        ];
        // Seven words are common to all four, eight to three; the third opens like the fourth.
        assert_eq!(of(&samples), 0.75);
        let found = phrasing(samples).unwrap();
        assert_eq!((found.opens, &found.samples[..]), (false, &[0, 1, 3][..]));
        assert_eq!(found.to_string(), "… as an ai model i can not do …");
        assert_eq!(named(&samples[..2]), "… as an ai model i can not do that …");
        // One sample that repeats itself is one sample.
        assert_eq!(of(&["a b c d e f g h a b c d e f g h", "x"]), 0.0);
    }

    #[test]
    fn of_two_groups_as_large_the_opening_is_named_and_the_first() {
        let samples = [
            "q 1 2 3 4 5 6 7 8",
            "r 1 2 3 4 5 6 7 8",
            "e f g h",
            "e f g h i",
            "a b c d",
            "a b c d",
        ];
        assert_eq!(named(&samples), "e f g h …");
        assert_eq!(named(&samples[..2]), "… 1 2 3 4 5 6 7 8 …");
    }

    #[test]
    fn the_same_everywhere_is_all_and_nothing_in_common_is_none() {
        let same = ["I am a helpful assistant, and I am here to help you."; 50];
        assert_eq!(of(&same), 1.0);
        assert_eq!(
            named(&same[..2]),
            "i am a helpful assistant and i am here to help you …"
        );
        assert_eq!(share(same).standard_error.unwrap().get(), 0.0);
        assert_eq!(of(&["a", "b", "c"]), 0.0);
        assert_eq!(phrasing(["a", "b", "c"]), None);
        for samples in [&[][..], &["a b c d"]] {
            let found = share(samples.iter().copied());
            assert_eq!((found.value, found.standard_error), (Reading::NotFinite, None));
        }
    }

    #[test]
    fn the_standard_error_is_that_of_leaving_out_each_sample() {
        // One group of three among eight: the standard error of a share.
        let samples = ["a b c d", "a b c d e", "a b c d", "1", "2", "3", "4", "5"];
        let found = share(samples);
        assert!((found.standard_error.unwrap().get() - (3.0 / 8.0 * 5.0 / 8.0 / 7.0_f64).sqrt()).abs() < 1e-15);
        for samples in [
            &samples[..],
            // Two groups as large with a sample in common; one pair, which leaves with either.
            &["a b c d 1 2 3 4 5 6 7 8", "a b c d", "x 1 2 3 4 5 6 7 8", "y"],
            &["a", "a", "b"],
            &["a", "a", "b", "b", "c"],
        ] {
            let found = share(samples.iter().copied());
            let naive = Estimate::jackknife(found.value, samples.len(), |i| {
                let left = samples.iter().enumerate().filter(|(j, _)| *j != i);
                share(left.map(|(_, sample)| *sample)).value
            });
            assert_eq!(found.standard_error, naive.standard_error);
            assert!(found.standard_error.is_some());
        }
        assert_eq!(share(["a", "a"]).standard_error, None);
    }
}
