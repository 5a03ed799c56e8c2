//! Globs over names and paths.

/// Whether `text` matches `pattern`: `*` stops at `/`, `**` does not, `?` is one character but `/`. Every other
/// character stands for itself.
///
/// Takes time proportional to the product of the lengths, whatever the pattern.
pub fn glob(pattern: &str, text: &str) -> bool {
    // Most patterns are a name and a star.
    let (name, pattern) = pattern.split_at(pattern.find(['*', '?']).unwrap_or(pattern.len()));
    let Some(text) = text.strip_prefix(name) else {
        return false;
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // reached[i]: the pattern read so far matches the first i characters.
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    let mut at = 0;
    while let Some(&c) = pattern.get(at) {
        let deep = c == '*' && pattern.get(at + 1) == Some(&'*');
        at += if deep { 2 } else { 1 };
        let mut next = vec![false; text.len() + 1];
        let mut open = false;
        for (i, slot) in next.iter_mut().enumerate() {
            let here = reached.get(i).copied().unwrap_or(false);
            let before = i.checked_sub(1).and_then(|i| text.get(i)).copied();
            let came = i.checked_sub(1).and_then(|i| reached.get(i)).copied().unwrap_or(false);
            *slot = match c {
                '*' => {
                    open = here || (open && (deep || before != Some('/')));
                    open
                }
                '?' => came && before.is_some_and(|b| b != '/'),
                _ => came && before == Some(c),
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        for (pattern, text, matches) in [
            ("Qwen/*", "Qwen/Qwen3-4B", true),
            ("Qwen/*", "Qwen/a/b", false),
            ("Qwen/**", "Qwen/a/b", true),
            ("google/gemma-3*", "google/gemma-3-4b-it", true),
            ("google/gemma-3*", "google/gemma-2", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("Qwen/a", "Qwen/ab", false),
            ("Qwen/a", "Qwen/", false),
            ("é?", "éa", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("**/x", "a/b/x", true),
            ("*a*a*a*a*b", &"a".repeat(2000), false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
