//! Sentences of a page, held against phrases that are made from a log.

/// A text with single blanks, and without the marks of comments and Markdown.
fn plain(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "#");
    words.collect::<Vec<_>>().join(" ").replace("**", "")
}

#[track_caller]
pub fn says(text: &str, phrases: &[String]) {
    let text = plain(text);
    for phrase in phrases {
        assert!(text.contains(&plain(phrase)), "no longer so: {phrase}");
    }
}

/// The words with a digit that are left of a text without its tables, its phrases and its code.
pub fn numbers_left(text: &str, phrases: &[String]) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('|') && !line.starts_with("<!--"));
    let code = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let mut text = plain(&lines.map(code).collect::<Vec<_>>().join(" "));
    for phrase in phrases {
        text = text.replace(&plain(&code(phrase)), " ");
    }
    let words = text
        .split_whitespace()
        .map(|word| word.trim_matches(['.', ',', ':', ';', '(', ')']));
    let mut left: Vec<String> = words
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    left.sort();
    left.dedup();
    left
}
