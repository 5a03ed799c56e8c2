//! How much of what a model says is said once: distinct n-grams over all n-grams (Li et al. 2016).

use std::collections::BTreeSet;

use super::Reading;

/// Scripts that put no space between words: each character is counted as a word.
const UNSPACED: &[(char, char)] = &[
    // Thai and Lao.
    ('\u{0e00}', '\u{0eff}'),
    // Burmese and Khmer.
    ('\u{1000}', '\u{109f}'),
    ('\u{1780}', '\u{17ff}'),
    // The iteration mark and zero of Han, then Hiragana, Katakana and their extensions.
    ('\u{3005}', '\u{3007}'),
    ('\u{3041}', '\u{30ff}'),
    ('\u{31f0}', '\u{31ff}'),
    // Han: extension A, the common block, compatibility forms, and the planes that hold nothing else.
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{f900}', '\u{faff}'),
    ('\u{20000}', '\u{3ffff}'),
    // Half-width Katakana.
    ('\u{ff66}', '\u{ff9f}'),
];

/// Combining marks that Unicode does not call alphabetic and that stand inside words all the same.
const INSIDE: &[(char, char)] = &[('\u{0300}', '\u{036f}'), ('\u{200c}', '\u{200d}')];

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The words of a text: lower-case runs of letters and digits; in a script without spaces between words (Han, Kana,
/// Thai, Lao, Burmese, Khmer) each letter is a word.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        let alone = is_in(UNSPACED, c);
        if c.is_alphanumeric() && !alone || !word.is_empty() && is_in(INSIDE, c) {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if alone && c.is_alphanumeric() {
            words.push(c.to_string());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Distinct n-grams of [`words`] over all n-grams, over all samples together; no n-gram spans two samples. 0 when there
/// is none, which is what a floor must refuse.
///
/// The number depends on how much text there is: compare only samples of the same number and length.
pub fn distinct_n<'a>(samples: impl IntoIterator<Item = &'a str>, n: usize) -> Reading {
    let samples: Vec<Vec<String>> = samples.into_iter().map(words).collect();
    let mut distinct: BTreeSet<&[String]> = BTreeSet::new();
    let mut total = 0_u64;
    if n > 0 {
        for gram in samples.iter().flat_map(|words| words.windows(n)) {
            distinct.insert(gram);
            total += 1;
        }
    }
    if total == 0 {
        return Reading::from(0.0);
    }
    Reading::from(distinct.len() as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct(samples: &[&str], n: usize) -> f64 {
        distinct_n(samples.iter().copied(), n).as_f64()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        for (text, expected) in [
            ("", &[][..]),
            ("… — !", &[]),
            ("Hello, WORLD 42!", &["hello", "world", "42"]),
            ("don't", &["don", "t"]),
            ("我爱你。", &["我", "爱", "你"]),
            ("用 Rust写2行代码", &["用", "rust", "写", "2", "行", "代", "码"]),
            ("カタカナ", &["カ", "タ", "カ", "ナ"]),
            ("Über straße", &["über", "straße"]),
            // The accent as a character of its own does not break the word.
            ("cafe\u{301}s", &["cafe\u{301}s"]),
            ("한국어 문장", &["한국어", "문장"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
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
}
