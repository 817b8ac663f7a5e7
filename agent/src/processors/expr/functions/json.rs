//! JSON text to values, without more memory than the values take.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use vervet_wire::LIST_ITEMS_MAX;
use vervet_wire::otlp::{KeyValue, Value};

use super::EvalError;

/// Deepest nesting that `ParseJSON` accepts.
const DEPTH_MAX: usize = 24;
/// Values that `ParseJSON` accepts: an empty one takes two bytes of text and dozens in memory.
const VALUES_MAX: usize = LIST_ITEMS_MAX / 2;

/// Reads `text`. Of a key that stands twice the last value is kept.
pub(super) fn parse(text: &str) -> Result<Value<'static>, EvalError> {
    let left = Cell::new(VALUES_MAX);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Json {
        left: &left,
        depth: 0,
    }
    .deserialize(&mut reader)
    .and_then(|value| reader.end().map(|()| value));
    read.map_err(|_error| match left.get() {
        0 => EvalError("the JSON has too many values"),
        _ => EvalError("the text is not JSON, or nested too deeply"),
    })
}

/// One value; `left` counts down.
#[derive(Clone, Copy)]
struct Json<'c> {
    left: &'c Cell<usize>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Value<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or(0));
        if left.is_none() || self.depth > DEPTH_MAX {
            return Err(D::Error::custom("too much"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number beyond 63 bits is kept as the nearest double"
    )]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Value::Int(value),
            Err(_too_large) => Value::Double(value as f64),
        })
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::from(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        let inside = Json {
            depth: self.depth + 1,
            ..self
        };
        while let Some(value) = items.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = std::collections::BTreeMap::new();
        let inside = Json {
            depth: self.depth + 1,
            ..self
        };
        while let Some(key) = entries.next_key::<String>()? {
            map.insert(key, entries.next_value_seed(inside)?);
        }
        let entries = map.into_iter();
        Ok(Value::Map(
            entries
                .map(|(key, value)| KeyValue::new(key, value))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_before_they_are_made() {
        let list = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert!(parse(&list(VALUES_MAX - 1)).is_ok());
        let error = parse(&list(VALUES_MAX)).expect_err("too many");
        assert_eq!(error.to_string(), "the JSON has too many values");
        for bad in ["", "[1] 2", "{\"a\":}", "nul"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let twice = parse("{\"b\":1,\"a\":18446744073709551615,\"b\":null}").expect("JSON");
        let expected = [
            KeyValue::new("a", 18_446_744_073_709_551_615.0),
            KeyValue::new("b", Value::Empty),
        ];
        assert_eq!(twice, Value::Map(expected.to_vec()));
    }
}
