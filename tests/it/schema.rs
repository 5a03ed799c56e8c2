//! Whether a JSON document is what a JSON Schema of draft 7 asks for, as far as published schemas that we follow use it.
//!
//! It knows every keyword that it meets or fails: a rule that is not understood must not pass for one that is kept.

use serde_json::Value;

/// Words that ask nothing of a document.
const SAYS_NOTHING: &[&str] = &["$schema", "$id", "title", "description", "default", "definitions"];

/// Everything in which the document is not what the schema asks for, with its place.
pub fn violations(document: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(document, schema, schema, "$", &mut found);
    found
}

fn holds(document: &Value, schema: &Value, root: &Value) -> bool {
    let mut found = Vec::new();
    visit(document, schema, root, "$", &mut found);
    found.is_empty()
}

fn visit(value: &Value, schema: &Value, root: &Value, at: &str, found: &mut Vec<String>) {
    let rules = schema
        .as_object()
        .unwrap_or_else(|| panic!("{at}: {schema} is no schema"));
    for (word, rule) in rules {
        let mut fail = |what: String| found.push(format!("{at}: {what}"));
        match word.as_str() {
            "$ref" => {
                let path = rule.as_str().unwrap().strip_prefix('#').unwrap();
                visit(value, root.pointer(path).unwrap(), root, at, found);
            }
            "type" => {
                let is = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "number" => value.is_number(),
                    "integer" => value.is_i64() || value.is_u64(),
                    other => panic!("{at}: type {other} is not known"),
                };
                if !is {
                    fail(format!("{value} is no {rule}"));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => fail(format!("{value} is none of {rule}")),
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                        fail(format!("{name} is missing"));
                    }
                }
            }
            "properties" | "enum" => {}
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if known.is_some_and(|known| known.contains_key(name)) {
                        continue;
                    }
                    match rule {
                        Value::Bool(true) => {}
                        Value::Bool(false) => found.push(format!("{at}: {name} is not allowed")),
                        rule => visit(inner, rule, root, &format!("{at}.{name}"), found),
                    }
                }
            }
            "items" => {
                for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                    visit(inner, rule, root, &format!("{at}[{index}]"), found);
                }
            }
            "minItems" => {
                if value
                    .as_array()
                    .is_some_and(|items| (items.len() as u64) < rule.as_u64().unwrap())
                {
                    fail(format!("fewer than {rule} items"));
                }
            }
            "uniqueItems" => {
                let items = value.as_array().into_iter().flatten();
                let mut items: Vec<String> = items.map(Value::to_string).collect();
                let count = items.len();
                items.sort();
                items.dedup();
                if rule == true && items.len() < count {
                    fail("an item twice".to_owned());
                }
            }
            "minimum" | "maximum" => {
                let (bound, number) = (
                    rule.as_f64().unwrap(),
                    value.as_f64().unwrap_or_else(|| rule.as_f64().unwrap()),
                );
                if (word == "minimum" && number < bound) || (word == "maximum" && number > bound) {
                    fail(format!("{number} is beyond the {word} {bound}"));
                }
            }
            "anyOf" => {
                if !rule.as_array().unwrap().iter().any(|choice| holds(value, choice, root)) {
                    fail("none of the choices".to_owned());
                }
            }
            "oneOf" => {
                let count = rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|choice| holds(value, choice, root))
                    .count();
                if count != 1 {
                    fail(format!("{count} of the choices"));
                }
            }
            "format" => {
                let text = value.as_str().unwrap_or("");
                let reference = text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&b));
                let is = match rule.as_str().unwrap() {
                    "uri-reference" => reference,
                    "uri" => reference && text.contains(':'),
                    other => panic!("{at}: format {other} is not known"),
                };
                if !is {
                    fail(format!("{text} is no {rule}"));
                }
            }
            known if SAYS_NOTHING.contains(&known) => {}
            other => panic!("{at}: the keyword {other} is not known"),
        }
    }
    for (name, rule) in rules.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            visit(inner, rule, root, &format!("{at}.{name}"), found);
        }
    }
}

#[test]
fn what_a_schema_forbids_is_found() {
    let schema: Value = serde_json::from_str(
        r##"{"type": "object", "required": ["a"], "additionalProperties": false,
             "definitions": {"n": {"type": "integer", "minimum": 1}},
             "properties": {"a": {"$ref": "#/definitions/n"}, "b": {"type": "array", "minItems": 1, "uniqueItems": true,
                            "items": {"enum": ["x", "y"]}}, "c": {"type": "string", "format": "uri-reference"},
                            "d": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}}}"##,
    )
    .unwrap();
    let found = |document: &str| violations(&serde_json::from_str(document).unwrap(), &schema);
    assert_eq!(
        found(r#"{"a": 1, "b": ["x"], "c": "a%20b", "d": true}"#),
        Vec::<String>::new()
    );
    for wrong in [
        "[]",
        "{}",
        r#"{"a": 0}"#,
        r#"{"a": 1.5}"#,
        r#"{"a": 1, "b": []}"#,
        r#"{"a": 1, "b": ["x", "x"]}"#,
        r#"{"a": 1, "b": ["z"]}"#,
        r#"{"a": 1, "c": "a b"}"#,
        r#"{"a": 1, "d": 1}"#,
        r#"{"a": 1, "e": 1}"#,
    ] {
        assert!(!found(wrong).is_empty(), "{wrong}");
    }
}
