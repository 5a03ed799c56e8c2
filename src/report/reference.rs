//! Reference pages from the tables: what `ftrisk explain` prints and what stands in docs/reference.

use std::fmt::Write as _;

use crate::adapt::honoured;
use crate::diag::{CODES, Code, closest};
use crate::guard::{costs, has_meter};
use crate::ir::can_be_paced;
use crate::quantity::{CATEGORIES, Category, CategoryKind, Dimension, Direction, ProbeKind, QUANTITIES, Quantity, Row};

/// The page about a code, a quantity or a fact.
pub fn page(name: &str) -> Option<String> {
    Code::named(name)
        .map(|code| code.page().to_owned())
        .or_else(|| Quantity::named(name).map(|quantity| quantity_entry(quantity, "# ")))
        .or_else(|| Category::named(name).map(|category| category_entry(category, "# ")))
}

/// The known name closest to one that has no page.
pub fn nearest(name: &str) -> Option<&'static str> {
    let also = QUANTITIES
        .iter()
        .map(|quantity| quantity.row())
        .find(|row| row.also.contains(&name))
        .map(|row| row.name);
    also.or_else(|| closest(name, all_names()))
}

/// Everything that has a page, by kind.
pub fn index() -> String {
    let mut out = String::from("Quantities (limited with max, min, range):\n");
    for quantity in QUANTITIES {
        let _ = writeln!(
            out,
            "  {:25} {}",
            quantity.name(),
            first_sentence(quantity.row().meaning)
        );
    }
    out.push_str("\nFacts (limited with allow, require; selected with for):\n");
    for category in CATEGORIES {
        let _ = writeln!(
            out,
            "  {:25} {}",
            category.name(),
            first_sentence(category.row().meaning)
        );
    }
    out.push_str("\nDiagnostics:\n");
    for code in CODES {
        let _ = writeln!(out, "  {:25} {}", code.name(), code.summary());
    }
    out
}

/// docs/reference/quantities.md
pub fn quantities() -> String {
    let mut out = String::from(
        "# Quantities and facts\n\nWhat a policy can speak about. This page is made from the table in `src/quantity`; `ftrisk explain NAME` prints one entry.\n\n## Quantities\n\n| name | written in | limit | known | this version |\n|---|---|---|---|---|\n",
    );
    for quantity in QUANTITIES {
        let row = quantity.row();
        let _ = writeln!(
            out,
            "| [`{}`](#{}) | {} | {} | {} | {} |",
            row.name,
            anchor(row.name),
            unit(row),
            sides(row),
            row.moment.words(),
            status(*quantity),
        );
    }
    out.push('\n');
    for quantity in QUANTITIES {
        out.push_str(&quantity_entry(*quantity, "### "));
        out.push('\n');
    }
    out.push_str("## Facts\n\n");
    for category in CATEGORIES {
        out.push_str(&category_entry(*category, "### "));
        out.push('\n');
    }
    out
}

/// docs/reference/codes/README.md
pub fn codes() -> String {
    let mut out = String::from(
        "# Diagnostics\n\nEvery message of ftrisk has a code. This page is made from the table in `src/diag/code.rs`; `ftrisk explain CODE` prints the page of one.\n\n| code | means |\n|---|---|\n",
    );
    for code in CODES {
        let _ = writeln!(out, "| [`{0}`]({0}.md) | {1} |", code.name(), code.summary());
    }
    out
}

/// docs/reference/train-keys.md
pub fn train_keys() -> String {
    let mut out = String::from(
        "# What `ftrisk train` does with each key\n\nEvery key of LLaMA-Factory's run files is honoured, without effect, or refused. This page is made from the tables in `src/adapt/honoured.rs`; [which values of a key are honoured](train.md#the-run-file) is said there.\n\n## Honoured\n\n",
    );
    let listed = |keys: &str| {
        let keys: Vec<String> = keys.split_whitespace().map(|key| format!("`{key}`")).collect();
        keys.join(", ")
    };
    let _ = writeln!(out, "{}", listed(honoured::HONOURED));
    out.push_str("\n## Without effect\n\nThe run would be the same without them. Those of a file are listed when training starts.\n\n| because | keys |\n|---|---|\n");
    for (why, keys) in honoured::WITHOUT_EFFECT {
        let _ = writeln!(out, "| {why} | {} |", listed(keys));
    }
    out.push_str("\n## Refused\n\nThey would change the run in a way that is not built. A key that is in none of these lists is refused as well.\n\n| what holds instead | keys |\n|---|---|\n");
    for (why, keys) in honoured::REFUSED {
        let _ = writeln!(out, "| {why} | {} |", listed(keys));
    }
    let off: Vec<String> = honoured::OFF
        .iter()
        .map(|(key, value)| format!("`{key}: {value}`"))
        .collect();
    let _ = writeln!(
        out,
        "\nA refused key is allowed with a value that switches it off: `null`, `false`, an empty text, list or mapping, and {}.",
        off.join(", ")
    );
    out
}

fn quantity_entry(quantity: Quantity, heading: &str) -> String {
    let row = quantity.row();
    let mut out = format!("{heading}{}\n\n{}\n\n", row.name, row.meaning);
    let mut item = |what: &str, value: &str| {
        let _ = writeln!(out, "- {what}: {value}");
    };
    item("written in", unit(row));
    item("limit", sides(row));
    item("lever", row.lever.word());
    item("known", row.moment.words());
    if !row.probes.is_empty() {
        let kinds: Vec<&str> = row.probes.iter().map(|kind| kind.word()).collect();
        item("read on a probe of kind", &kinds.join(" or "));
    }
    if row.base {
        item("`of base`", "a bound can be a share of the base's reading");
    }
    if row.bounded {
        item(
            "`at … confidence`",
            "can be certified, because it is a mean over prompts of bounded values",
        );
    }
    if can_be_paced(quantity) {
        item("`paced`", "a budget that can be spread over the run");
    }
    if !row.moment.is_before_training() {
        let kinds: Vec<Option<ProbeKind>> = match row.probes {
            [] => vec![None],
            kinds => kinds.iter().copied().map(Some).collect(),
        };
        for kind in kinds {
            let on = kind.map_or_else(String::new, |kind| format!(" on a probe of kind {}", kind.word()));
            item(&format!("cost of a reading{on}"), &costs(quantity, kind).join("; "));
        }
        item("standard error", row.error);
    }
    item("source", row.source);
    item("this version", &status(quantity));
    out
}

fn category_entry(category: Category, heading: &str) -> String {
    let row = category.row();
    let mut out = format!("{heading}{}\n\n{}\n\n", row.name, row.meaning);
    let how = match row.kind {
        CategoryKind::Word(words) => format!(
            "one of {}",
            words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        CategoryKind::Text => "a text; a glob in quotes matches it".to_owned(),
        CategoryKind::Set => "a set of words; `allow` asks for a subset, a glob in quotes matches one".to_owned(),
        CategoryKind::Presence => "had or not had: `require` asks for it".to_owned(),
    };
    let _ = writeln!(out, "- {how}");
    out
}

fn unit(row: &Row) -> &'static str {
    match row.dimension {
        Dimension::Number => "a bare number",
        Dimension::Ratio => "`%`",
        Dimension::Information => "`nats` or `bits` (per token)",
    }
}

fn sides(row: &Row) -> &'static str {
    match row.direction {
        Direction::Ceiling => "`max`",
        Direction::Floor => "`min`",
        Direction::Both => "`max`, `min`, `range`",
    }
}

fn status(quantity: Quantity) -> String {
    let row = quantity.row();
    if quantity == Quantity::ChangedLevers {
        return "judged by `check` where `--against` names a parent".to_owned();
    }
    if row.moment.is_before_training() {
        return if row.derived {
            "judged by `check`"
        } else {
            "not derived yet"
        }
        .to_owned();
    }
    let kinds = row.probes.iter().filter(|kind| has_meter(quantity, Some(**kind)));
    let kinds: Vec<&str> = kinds.map(|kind| kind.word()).collect();
    match kinds.as_slice() {
        [] if !has_meter(quantity, None) => {
            "left for training by `check`; `train` has no meter for it and refuses it".to_owned()
        }
        [] => "left for training by `check`, enforced by `train`".to_owned(),
        kinds => format!(
            "left for training by `check`, enforced by `train` on a probe of kind {}",
            kinds.join(" or ")
        ),
    }
}

fn anchor(name: &str) -> String {
    name.replace('.', "")
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").and_then(|end| text.get(..=end)).unwrap_or(text)
}

fn all_names() -> impl Iterator<Item = &'static str> {
    QUANTITIES
        .iter()
        .map(|quantity| quantity.name())
        .chain(CATEGORIES.iter().map(|category| category.name()))
        .chain(CODES.iter().map(|code| code.name()))
}
