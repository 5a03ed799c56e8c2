//! Reads Rust text as far as the house rules need it: which paths, macros and words stand in the code.
//!
//! Comments, strings and `#[cfg(test)]` items are taken off first. What a macro builds from pieces, and a method of a
//! type that another file implements, are not seen: the rules are about what people write, not about what they hide.

#![expect(
    clippy::string_slice,
    reason = "a cut inside a character is a mistake of the scan, and has to stop the test"
)]

use std::collections::BTreeMap;

/// A word or a symbol, with its line counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'t> {
    pub text: &'t str,
    pub line: usize,
}

impl Token<'_> {
    fn is_word(self) -> bool {
        self.text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// The code of a text, without comments, strings, characters and lifetimes.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            character_or_lifetime(rest)
        } else if first.is_alphanumeric() || first == '_' {
            // `r#mod` is a name, not the keyword.
            let prefix = if rest.starts_with("r#") { 2 } else { 0 };
            let length = prefix + word(&rest[prefix..]);
            tokens.push(Token {
                text: &rest[..length],
                line,
            });
            length
        } else if first.is_whitespace() {
            first.len_utf8()
        } else {
            let length = ["::", "->", "=>"]
                .into_iter()
                .find(|symbol| rest.starts_with(symbol))
                .map_or(first.len_utf8(), str::len);
            tokens.push(Token {
                text: &rest[..length],
                line,
            });
            length
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// `r"…"`, `br#"…"#`, `cr"…"`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        let rest = text.strip_prefix(prefix).unwrap_or("");
        rest.trim_start_matches('#').starts_with('"') && rest.starts_with(['#', '"'])
    })?;
    let hashes = text[prefix.len()..].chars().take_while(|c| *c == '#').count();
    let body = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(
        text[body..]
            .find(&close)
            .map_or(text.len(), |end| body + end + close.len()),
    )
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    let (first, second) = (characters.next(), characters.next());
    match (first, second) {
        (Some((_, '\\')), _) | (Some(_), Some((_, '\''))) => quoted(text, '\''),
        _ => 1 + word(&text[1..]),
    }
}

/// An item that only tests have.
pub struct TestItem<'t> {
    lines: usize,
    /// Its name, when it is `mod name;`, for whomever it may be.
    module: Option<&'t str>,
}

/// The tokens outside of items that only tests have, and those items.
pub fn without_tests<'t>(tokens: &[Token<'t>]) -> (Vec<Token<'t>>, Vec<TestItem<'t>>) {
    let mut kept = Vec::new();
    let mut tests = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = attribute(tokens, at);
        let texts: Vec<&str> = tokens[at..end.unwrap_or(at)].iter().map(|token| token.text).collect();
        let only_tests =
            texts.starts_with(&["#", "[", "cfg", "("]) && texts.contains(&"test") && !texts.contains(&"not");
        match end {
            Some(start) if only_tests => {
                let end = item(tokens, start);
                tests.push(TestItem {
                    lines: tokens[end - 1].line - tokens[at].line + 1,
                    module: match &tokens[start..end] {
                        // Whatever stands before `mod` is who else may see it.
                        [.., keyword, name, end] if keyword.text == "mod" && end.text == ";" => Some(name.text),
                        _ => None,
                    },
                });
                at = end;
            }
            _ => {
                kept.push(tokens[at]);
                at += 1;
            }
        }
    }
    (kept, tests)
}

/// Where an attribute that begins here ends.
fn attribute(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let opens = tokens.get(at)?.text == "#" && tokens.get(at + 1)?.text == "[";
    opens.then(|| closing(tokens, at + 1) + 1)
}

/// The token that closes the bracket at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

/// Where an item, further attributes included, ends.
fn item(tokens: &[Token<'_>], mut at: usize) -> usize {
    while let Some(end) = attribute(tokens, at) {
        at = end;
    }
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "{" => return closing(tokens, at) + 1,
            "(" | "[" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    tokens.len()
}

/// A path as written, `*` for a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Its words.
    pub segments: Vec<String>,
    /// The module it stands in.
    pub module: Vec<String>,
    /// The name it gets here, where it is imported.
    pub name: Option<String>,
    pub line: usize,
}

/// What stands in the code of one file.
#[derive(Debug, Default)]
pub struct Code {
    /// The module that the file is.
    pub module: Vec<String>,
    /// Every path of more than one word, and every import.
    pub mentions: Vec<Mention>,
    /// Names of macros that are called.
    pub macros: Vec<(String, usize)>,
    /// Every word.
    pub words: Vec<(String, usize)>,
    /// Attributes, by their first word.
    pub attributes: Vec<(String, usize)>,
    /// Lines outside of test items.
    pub lines: usize,
    /// Modules that the file declares.
    pub children: Vec<Vec<String>>,
    /// Modules in files of their own that only tests have.
    pub test_children: Vec<Vec<String>>,
}

/// Reads a file of `src`, or one that has the same rules.
pub fn code(path: &str, text: &str) -> Code {
    let all = tokens(text);
    let (tokens, tests) = without_tests(&all);
    let module = module_of(path);
    let mut code = Code {
        module: module.clone(),
        lines: text.lines().count() - tests.iter().map(|item| item.lines).sum::<usize>(),
        ..Code::default()
    };
    for name in tests.iter().filter_map(|item| item.module) {
        code.test_children
            .push(module.iter().cloned().chain([name.to_owned()]).collect());
    }
    // Inline modules that are open here, each with the brace that closes it.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        inline.retain(|(_, close)| at < *close);
        let here: Vec<String> = module
            .iter()
            .cloned()
            .chain(inline.iter().map(|(name, _)| name.clone()))
            .collect();
        let text_at = |index: usize| tokens.get(index).map_or("", |token| token.text);
        if token.text == "#" && text_at(at + 1) == "[" {
            code.attributes.push((text_at(at + 2).to_owned(), token.line));
        }
        if !token.is_word() {
            at += 1;
            continue;
        }
        code.words.push((token.text.to_owned(), token.line));
        match token.text {
            "mod" => {
                let name = text_at(at + 1).to_owned();
                code.children.push(here.iter().cloned().chain([name.clone()]).collect());
                if text_at(at + 2) == "{" {
                    inline.push((name, closing(&tokens, at + 2)));
                }
                at += 2;
            }
            // `impl Trait + use<'a>` imports nothing.
            "use" if text_at(at + 1) != "<" => {
                let mut found = Vec::new();
                let start = at + 1 + usize::from(text_at(at + 1) == "::");
                at = tree(&tokens, start, &[], &mut found);
                for (segments, name) in found {
                    for segment in &segments {
                        code.words.push((segment.clone(), token.line));
                    }
                    code.mentions.push(Mention {
                        segments,
                        module: here.clone(),
                        name: Some(name),
                        line: token.line,
                    });
                }
            }
            "crate" if at > 0 && text_at(at - 1) == "extern" => {
                code.mentions.push(Mention {
                    segments: vec![text_at(at + 1).to_owned()],
                    module: here,
                    name: Some(text_at(at + 1).to_owned()),
                    line: token.line,
                });
                at += 2;
            }
            _ => {
                if text_at(at + 1) == "!" && text_at(at + 2) != "=" {
                    code.macros.push((token.text.to_owned(), token.line));
                }
                let begins = at == 0 || !continues(&tokens, at);
                let mut segments = vec![token.text.to_owned()];
                let mut next = at + 1;
                while text_at(next) == "::" && tokens.get(next + 1).is_some_and(|token| token.is_word()) {
                    segments.push(text_at(next + 1).to_owned());
                    next += 2;
                }
                if begins && segments.len() > 1 {
                    code.mentions.push(Mention {
                        segments,
                        module: here,
                        name: None,
                        line: token.line,
                    });
                }
                at += 1;
            }
        }
    }
    code
}

/// Whether the word at `at` goes on a path or belongs to a value, so that no path begins with it.
fn continues(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|index| tokens.get(index));
    match before(1).map(|token| token.text) {
        Some(".") => true,
        // `::std::fs` begins a path, `a::b` and `<T>::b` go on with one.
        Some("::") => before(2).is_some_and(|token| token.text == ">" || token.is_word()),
        _ => false,
    }
}

/// The paths of an import that begins here, each with the name it gets; returns where the import ends.
fn tree(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<(Vec<String>, String)>) -> usize {
    let text_at = |index: usize| tokens.get(index).map_or("", |token| token.text);
    let mut path = prefix.to_vec();
    loop {
        match text_at(at) {
            "{" => {
                at += 1;
                while !matches!(text_at(at), "}" | "") {
                    at = tree(tokens, at, &path, found);
                    at += usize::from(text_at(at) == ",");
                }
                return at + 1;
            }
            "*" => {
                path.push("*".to_owned());
                found.push((path, "*".to_owned()));
                return at + 1;
            }
            word => {
                // `a::{self}` is `a`, `self::a` is a path of its own.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                at += 1;
            }
        }
        match text_at(at) {
            "::" => at += 1,
            "as" => {
                found.push((path, text_at(at + 1).to_owned()));
                return at + 2;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                found.push((path, name));
                return at;
            }
        }
    }
}

/// `src/check/solve.rs` is `check::solve`, `src/check/mod.rs` is `check`, `src/lib.rs` and `src/main.rs` are the root.
pub fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if module == ["lib"] || module == ["main"] {
        module.clear();
    }
    module
}

/// The place in the crate that a path leads to; `None` when it leaves the crate or names something local.
pub fn resolve(mention: &Mention, code: &Code) -> Option<Vec<String>> {
    let mut words = mention.segments.iter().map(String::as_str).peekable();
    let mut place = match *words.peek()? {
        // The binary sees its own library under the name of the package.
        "crate" | "ftrisk" => {
            words.next();
            Vec::new()
        }
        "self" => {
            words.next();
            mention.module.clone()
        }
        "super" => mention.module.clone(),
        first => {
            let child: Vec<String> = mention.module.iter().cloned().chain([first.to_owned()]).collect();
            if !code.children.contains(&child) {
                return None;
            }
            mention.module.clone()
        }
    };
    while words.next_if_eq(&"super").is_some() {
        place.pop();
    }
    place.extend(words.map(str::to_owned));
    Some(place)
}

/// The file that holds what a path leads to. What a `mod.rs` passes on from a file below it belongs to that file.
pub fn file_of<'f>(place: &[String], files: &'f BTreeMap<Vec<String>, (String, Code)>) -> Option<&'f str> {
    let mut place = place.to_vec();
    // Each turn follows one import; a circle of imports would not compile.
    for _ in 0..8 {
        let depth = (1..=place.len())
            .rev()
            .find(|depth| files.contains_key(&place[..*depth]))?;
        let (path, code) = files.get(&place[..depth])?;
        let passed_on = place.get(depth).and_then(|name| {
            let import = code
                .mentions
                .iter()
                .find(|m| m.name.as_ref() == Some(name) && m.module == code.module)?;
            resolve(import, code)
        });
        match passed_on {
            Some(next) => {
                let rest = place.split_off(depth + 1);
                place = next;
                place.extend(rest);
            }
            None => return Some(path),
        }
    }
    None
}
