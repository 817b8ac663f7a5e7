//! JSON lines, read straight into attribute values that borrow from the line.
//!
//! Objects and arrays nested deeper than [`DEPTH_MAX`] become their JSON text; a whole number that does
//! not fit 64 bits with sign becomes text, too.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use vervet_wire::otlp::{KeyValue, Value};

use super::{Parsed, fields};

/// Levels of values kept apart below the top.
const DEPTH_MAX: usize = 16;

/// Reads `line`; `None` when it is not one JSON object.
pub(super) fn parse(line: &str) -> Option<Parsed<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let value = Seed { depth: 0 }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Value::Map(entries) => Some(fields::assemble(line, entries)),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Seed {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(value).map_or_else(|_large| Value::from(value.to_string()), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Double(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::from(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        if self.depth >= DEPTH_MAX {
            let tree = serde_json::Value::deserialize(SeqAccessDeserializer::new(items))?;
            return Ok(Value::from(tree.to_string()));
        }
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Seed {
            depth: self.depth + 1,
        })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value<'de>, A::Error> {
        if self.depth >= DEPTH_MAX {
            let tree = serde_json::Value::deserialize(MapAccessDeserializer::new(entries))?;
            return Ok(Value::from(tree.to_string()));
        }
        const FIELDS_USUAL: usize = 8;
        let mut fields = Vec::with_capacity(FIELDS_USUAL);
        while let Some(key) = entries.next_key_seed(Key)? {
            let value = entries.next_value_seed(Seed {
                depth: self.depth + 1,
            })?;
            fields.push(KeyValue { key, value });
        }
        Ok(Value::Map(fields))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}
