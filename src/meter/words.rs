//! What counts as a word, the same for every meter on samples.

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

/// Words as one line: a space between them, but for two characters of a script that has none.
pub fn line(words: &[String]) -> String {
    let is_alone = |word: &String| word.chars().all(|c| is_in(UNSPACED, c));
    let mut line = String::new();
    let mut before: Option<&String> = None;
    for word in words {
        if before.is_some_and(|before| !is_alone(before) || !is_alone(word)) {
            line.push(' ');
        }
        line.push_str(word);
        before = Some(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn words_as_a_line() {
        for text in ["", "i am a helpful assistant", "我很乐意为你", "用 rust 写 2 行代码"] {
            assert_eq!(line(&words(text)), text);
        }
    }
}
