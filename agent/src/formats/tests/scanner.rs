//! The scanner against `serde_json`.

use super::*;

fn as_json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Empty => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => rounded(*value),
        Value::String(text) => text.as_ref().into(),
        Value::Bytes(_) => unreachable!("JSON has no bytes"),
        Value::Array(values) => values.iter().map(as_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.to_string(), as_json(&entry.value)))
            .collect(),
    }
}

/// `serde_json` is not exact in the last digit.
fn rounded(value: f64) -> serde_json::Value {
    format!("{value:.9e}").into()
}

/// What `serde_json` reads, with the numbers that become text as text.
fn reference(text: &str) -> Option<serde_json::Value> {
    let mut value = serde_json::from_str(text).ok()?;
    fn soften(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Number(number) if number.is_u64() && !number.is_i64() => {
                *value = number.to_string().into();
            }
            serde_json::Value::Number(number) if number.is_f64() => {
                *value = rounded(number.as_f64().expect("a double"));
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(soften),
            serde_json::Value::Object(entries) => entries.values_mut().for_each(soften),
            _ => {}
        }
    }
    soften(&mut value);
    Some(value)
}

fn scanned(text: &str) -> Option<serde_json::Value> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let (value, end) = json::value_at(text)?;
    text[end..].trim().is_empty().then(|| as_json(&value))
}

#[test]
fn what_is_not_json_is_not_read() {
    for bad in [
        "",
        "{",
        "}",
        "{]",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "tru",
        "nulll",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}}",
        "NaN",
        "[\"a\":1]",
    ] {
        assert_eq!(scanned(bad), None, "{bad}");
        assert!(
            serde_json::from_str::<serde_json::Value>(bad).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn numbers_are_typed_or_kept_as_text() {
    for (text, expected) in [
        ("0", Value::Int(0)),
        ("-7", Value::Int(-7)),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("9223372036854775808", Value::from("9223372036854775808")),
        (
            "99999999999999999999999",
            Value::from("99999999999999999999999"),
        ),
        ("1.5", Value::Double(1.5)),
        ("-0", Value::Double(-0.0)),
        ("1e3", Value::Double(1000.0)),
        ("1E-2", Value::Double(0.01)),
        ("1e999", Value::from("1e999")),
    ] {
        assert_eq!(json::value_at(text), Some((expected, text.len())), "{text}");
    }
}

#[test]
fn escapes_are_resolved() {
    for (text, expected) in [
        (r#""a\"b\\c\/d\n\t\r\b\f""#, "a\"b\\c/d\n\t\r\u{8}\u{c}"),
        (r#""\u00e9\ud83d\ude00""#, "é😀"),
        // Half of a pair stays as it is.
        (r#""\ud83d!\ude00""#, r"\ud83d!\ude00"),
        (r#""\ud83d\u0041""#, r"\ud83dA"),
    ] {
        let value = Value::from(expected);
        assert_eq!(json::value_at(text), Some((value, text.len())), "{text}");
    }
}

#[test]
fn deep_values_are_their_text() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
    for good in [r#"{"a": [1, {"b":{}}] }"#, "[]", "1", r#""]""#] {
        let text = deep(good);
        let (mut value, end) = json::value_at(&text).expect(good);
        let mut levels = 0;
        while let Value::Array(mut values) = value {
            value = values.pop().expect("one value");
            levels += 1;
        }
        assert_eq!((levels, end), (16, text.len()));
        assert_eq!(value, Value::from(&text[16..text.len() - 16]));
    }
    for bad in [r#"{"a" [1]}"#, "[1,]", "{1:2}", "[}"] {
        assert_eq!(json::value_at(&deep(bad)), None, "{bad}");
    }
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e9..1e9_f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn values_are_read_as_they_were_written(value in values(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        }
        .expect("JSON");
        prop_assert_eq!(scanned(&text), reference(&text), "{}", text);
    }

    #[test]
    fn broken_text_is_refused_alike(
        text in r#"(\{"|"|\}|\[|\]|,|:|\\|\\u00e9|\\n|[0-9]|-|\.|e|true|null| |a|é|\t){0,24}"#,
    ) {
        prop_assert_eq!(scanned(&text), reference(&text), "{}", text);
    }

    #[test]
    fn cut_and_changed_text_is_refused_alike(value in values(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let mut text = serde_json::to_string(&value).expect("JSON").into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) {
            // Numbers out of range, and halves of surrogate pairs, are text here and errors there.
            match reference(&text) {
                Some(_) if byte.is_ascii_digit() => prop_assert!(scanned(&text).is_some(), "{}", text),
                Some(expected) => prop_assert_eq!(scanned(&text), Some(expected), "{}", text),
                None => {}
            }
        }
    }
}
