//! The YAML files that the repository ships for other programs, as plain values: one document, no aliases, no tags.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The document of a text.
#[track_caller]
pub fn value(text: &str) -> Value {
    let events = Parser::new_from_str(text).map(|event| event.unwrap_or_else(|error| panic!("{error}:\n{text}")).0);
    let mut events =
        events.filter(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_) | Event::Nothing));
    let first = events.next().unwrap();
    node(first, &mut events)
}

fn node<'i>(event: Event<'i>, rest: &mut impl Iterator<Item = Event<'i>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => match text.as_ref() {
            "" | "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        },
        Event::Scalar(text, ..) => Value::from(text.as_ref()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match rest.next().unwrap() {
                    Event::SequenceEnd => return Value::Array(items),
                    event => items.push(node(event, rest)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut entries = Map::new();
            loop {
                let key = match rest.next().unwrap() {
                    Event::MappingEnd => return Value::Object(entries),
                    Event::Scalar(key, ..) => key.into_owned(),
                    other => panic!("{other:?} is no key"),
                };
                let event = rest.next().unwrap();
                let entry = node(event, rest);
                assert!(entries.insert(key.clone(), entry).is_none(), "{key} twice");
            }
        }
        other => panic!("{other:?} is not expected here"),
    }
}

#[test]
fn values_are_read() {
    let text = "# c\n- a: 1\n  b: [x, 'true', true]\n  c: |\n    one\n\n    two\n- \"\"\n";
    let expected = serde_json::json!([{"a": 1, "b": ["x", "true", true], "c": "one\n\ntwo\n"}, ""]);
    assert_eq!(value(text), expected);
}
