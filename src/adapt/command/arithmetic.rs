//! Whole-number arithmetic, as `$((…))` and `expr` have it.

/// The value of a sum; `None` where it is none, or holds what `variable` does not know.
pub(super) fn value(sum: &str, variable: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
    let mut tokens = Tokens {
        rest: sum,
        variable,
        depth: 0,
    };
    let value = tokens.sum()?;
    tokens.next_is("").then_some(value)
}

struct Tokens<'a> {
    rest: &'a str,
    variable: &'a dyn Fn(&str) -> Option<i64>,
    depth: usize,
}

impl Tokens<'_> {
    /// Passes over `sign`; over nothing where it is empty and everything was read.
    fn next_is(&mut self, sign: &str) -> bool {
        // `expr` has its signs quoted or escaped.
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\\', '\'', '"']);
        if sign.is_empty() {
            return self.rest.is_empty();
        }
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Option<i64> {
        let mut value = self.product()?;
        loop {
            if self.next_is("+") {
                value = value.checked_add(self.product()?)?;
            } else if self.next_is("-") {
                value = value.checked_sub(self.product()?)?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<i64> {
        let mut value = self.atom()?;
        loop {
            if self.next_is("*") {
                value = value.checked_mul(self.atom()?)?;
            } else if self.next_is("/") {
                value = value.checked_div(self.atom()?)?;
            } else if self.next_is("%") {
                value = value.checked_rem(self.atom()?)?;
            } else {
                return Some(value);
            }
        }
    }

    fn atom(&mut self) -> Option<i64> {
        if self.next_is("(") {
            self.depth += 1;
            let value = if self.depth > 16 { None } else { self.sum() }?;
            return self.next_is(")").then_some(value);
        }
        if self.next_is("-") {
            return self.atom_below()?.checked_neg();
        }
        self.atom_below()
    }

    /// A number or a variable.
    fn atom_below(&mut self) -> Option<i64> {
        self.next_is("$");
        let braces = self.next_is("{");
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        if braces && !self.next_is("}") {
            return None;
        }
        match word.chars().next()? {
            // A leading 0 is octal to a shell.
            '0' if word.len() > 1 => None,
            c if c.is_ascii_digit() => word.parse().ok(),
            _ => (self.variable)(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn sums_are_computed_and_nothing_else() {
        let of = |name: &str| (name == "n").then_some(4);
        for (sum, expected) in [
            ("16 / $n", Some(4)),
            ("32 / ${n} / 2", Some(4)),
            ("n + 2 * 3", Some(10)),
            ("(n + 2) * 3", Some(18)),
            ("-n + 1", Some(-3)),
            ("7 / 2", Some(3)),
            ("2 \\* 3", Some(6)),
            ("1 / 0", None),
            ("m + 1", None),
            ("010", None),
            ("1 +", None),
            ("1 2", None),
            ("", None),
            ("n > 2", None),
        ] {
            assert_eq!(value(sum, &of), expected, "{sum}");
        }
        assert_eq!(value(&"(".repeat(100_000), &of), None);
    }
}
