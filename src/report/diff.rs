//! The unified diff of two versions of a text.

use std::fmt::Write as _;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// Lines that differ: from where and how many of the old text, from where and how many of the new one.
#[derive(Debug, Clone, Copy)]
struct Change {
    old: (usize, usize),
    new: (usize, usize),
}

/// The diff from `old` to `new`, as `patch` reads it; empty when they are the same.
pub fn unified(name: &str, old: &str, new: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let mut out = String::new();
    let changes = changes(&old, &new);
    if changes.is_empty() {
        return out;
    }
    let _ = writeln!(out, "--- {name}\n+++ {name}");
    let mut rest = changes.as_slice();
    while let Some(first) = rest.first() {
        // Changes whose context would touch are one hunk.
        let together = 1 + rest
            .windows(2)
            .take_while(|pair| match pair {
                [one, next] => next.old.0 - (one.old.0 + one.old.1) <= 2 * CONTEXT,
                _ => false,
            })
            .count();
        let (hunk, later) = rest.split_at(together.min(rest.len()));
        rest = later;
        written(&mut out, first, hunk, &old, &new);
    }
    out
}

fn written(out: &mut String, first: &Change, hunk: &[Change], old: &[&str], new: &[&str]) {
    let last = hunk.last().unwrap_or(first);
    let before = first.old.0.min(CONTEXT);
    let start = first.old.0 - before;
    let end = (last.old.0 + last.old.1 + CONTEXT).min(old.len());
    let after = end - (last.old.0 + last.old.1);
    let new_start = first.new.0 - before;
    let new_end = last.new.0 + last.new.1 + after;
    let _ = writeln!(
        out,
        "@@ -{} +{} @@",
        range(start, end - start),
        range(new_start, new_end - new_start)
    );
    let mut at = start;
    for change in hunk {
        lines(out, ' ', old.get(at..change.old.0));
        lines(out, '-', old.get(change.old.0..change.old.0 + change.old.1));
        lines(out, '+', new.get(change.new.0..change.new.0 + change.new.1));
        at = change.old.0 + change.old.1;
    }
    lines(out, ' ', old.get(at..end));
}

/// `12,3`; one line is `12`, and none is counted from the line before it.
fn range(start: usize, count: usize) -> String {
    match count {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{count}", start + 1),
    }
}

fn lines(out: &mut String, mark: char, lines: Option<&[&str]>) {
    for line in lines.unwrap_or_default() {
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// Where the texts differ. After a difference they meet again at the nearest pair of equal lines, which need not give the
/// shortest diff and always gives a right one.
fn changes(old: &[&str], new: &[&str]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && old.get(i) == new.get(j) {
            i += 1;
            j += 1;
            continue;
        }
        let (gone, come) = next_meeting(old.get(i..).unwrap_or_default(), new.get(j..).unwrap_or_default());
        changes.push(Change {
            old: (i, gone),
            new: (j, come),
        });
        i += gone;
        j += come;
    }
    changes
}

fn next_meeting(old: &[&str], new: &[&str]) -> (usize, usize) {
    for apart in 1..old.len() + new.len() {
        for gone in 0..=apart.min(old.len()) {
            let come = apart - gone;
            if gone < old.len() && come < new.len() && old.get(gone) == new.get(come) {
                return (gone, come);
            }
        }
    }
    (old.len(), new.len())
}

#[cfg(test)]
mod tests {
    use super::unified;

    /// Applies a diff, checking every line that it claims.
    fn applied(old: &str, diff: &str) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let (mut out, mut at) = (String::new(), 0);
        let mut lines = diff.split_inclusive('\n').skip(2).peekable();
        while let Some(line) = lines.next() {
            if let Some(head) = line.strip_prefix("@@ -") {
                let (start, count) = head
                    .split_once(' ')
                    .unwrap()
                    .0
                    .split_once(',')
                    .unwrap_or((head.split_once(' ').unwrap().0, "1"));
                let start: usize = start.parse().unwrap();
                let start = if count == "0" { start } else { start - 1 };
                out.extend(old[at..start].iter().copied());
                at = start;
                continue;
            }
            let (mark, text) = line.split_at(1);
            let cut = lines.peek().is_some_and(|next| next.starts_with('\\'));
            let text = if cut { text.trim_end_matches('\n') } else { text };
            match mark {
                "+" => out.push_str(text),
                "-" | " " => {
                    assert_eq!(old[at], text);
                    at += 1;
                    if mark == " " {
                        out.push_str(text);
                    }
                }
                _ => {}
            }
        }
        out.extend(old[at..].iter().copied());
        out
    }

    #[test]
    fn a_diff_applied_to_the_old_text_gives_the_new_one() {
        let long: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let far = long
            .replace("line 3\n", "new 3\n")
            .replace("line 30\n", "new 30\nand more\n");
        let near = long.replace("line 3\n", "new 3\n").replace("line 8\n", "");
        for (old, new) in [
            ("", "a\n"),
            ("a\n", ""),
            ("a\nb\nc\n", "a\nx\nc\n"),
            ("a\nb\nc", "a\nb\nd"),
            ("a\nb", "a\nb\n"),
            ("a\r\nb\r\n", "a\r\nc\r\nb\r\n"),
            (&long, &far),
            (&long, &near),
        ] {
            let diff = unified("f", old, new);
            assert_eq!(applied(old, &diff), new, "{diff}");
        }
        assert_eq!(unified("f", "a\n", "a\n"), "");
    }

    #[test]
    fn changes_far_apart_are_hunks_of_their_own() {
        let long: String = (0..30).map(|n| format!("{n}\n")).collect();
        let new = long.replace("\n3\n", "\nthree\n").replace("\n20\n", "\n");
        let expected = "--- run.yaml\n+++ run.yaml\n@@ -1,7 +1,7 @@\n 0\n 1\n 2\n-3\n+three\n 4\n 5\n 6\n\
                        @@ -18,7 +18,6 @@\n 17\n 18\n 19\n-20\n 21\n 22\n 23\n";
        assert_eq!(unified("run.yaml", &long, &new), expected);
    }
}
