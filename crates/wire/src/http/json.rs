//! OTLP JSON to protobuf in one pass, without a tree of messages in between.
//!
//! In: untrusted JSON. Out: the same request in protobuf; every field that is present is written, also when it is
//! zero. Follows OTLP's mapping: names in lower camel case, ids as hexadecimal digits, other bytes as base64, 64-bit
//! numbers as texts or numbers, enums as numbers; `null` is as good as absent, fields nobody knows are passed over.
//!
//! Memory: the output, grown by doubling, asked for as room before it is taken and at most [`EXPANSION_MAX`] times the
//! input; and one text with escapes at a time. Depth: the parser's limit of 128 levels.

mod number;
mod scalar;
mod skipped;

use std::fmt;

use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use vervet_model::Signal;

use crate::otlp::schema::{self, FieldSpec, Kind, MessageSpec};
use crate::protobuf::{Open, Writer};
use crate::receiver::Refusal;
use crate::room::Room;
use skipped::Skipped;

/// A number of two bytes (`0,`) becomes eight.
const EXPANSION_MAX: usize = 4;
/// What a text with escapes is put together in, in multiples of the input: its buffer grows by doubling.
pub(crate) const SCRATCH_EXPANSION: usize = 2;
/// The output begins with this, and is always so far ahead of what a field's key and length take (bytes).
const OUTPUT_BYTES_MIN: usize = 4 << 10;
const HEAD_BYTES_MAX: usize = 64;

/// Turns a request of `signal` into protobuf within `room`, of which `held` bytes are taken.
///
/// # Errors
/// [`Refusal::Invalid`] when it is not OTLP JSON, or what `room` answers.
pub(crate) fn to_protobuf(
    signal: Signal,
    json: &[u8],
    held: usize,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    let mut output = Output {
        out: Vec::new(),
        room,
        held,
        bytes_max: json.len().saturating_mul(EXPANSION_MAX) + OUTPUT_BYTES_MIN,
        refusal: None,
    };
    let fields = Message {
        spec: schema::request(signal),
        to: &mut output,
    };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = reader
        .deserialize_map(fields)
        .and_then(|()| reader.end())
        .map_err(|error| Refusal::Invalid(format!("the body is not OTLP JSON: {error}")));
    match output.refusal.take() {
        Some(refusal) => Err(refusal),
        None => read.map(|()| output.out.into()),
    }
}

/// Where the protobuf is written.
struct Output<'r> {
    out: Vec<u8>,
    room: &'r mut dyn Room,
    held: usize,
    bytes_max: usize,
    /// Why it ended early, if not because of the JSON.
    refusal: Option<Refusal>,
}

impl Output<'_> {
    /// Sees to it that `bytes` and a key can be written without growing.
    fn ensure<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        let needed = self.out.len() + bytes + HEAD_BYTES_MAX;
        if needed <= self.out.capacity() {
            return Ok(());
        }
        let capacity = (self.out.capacity() * 2).max(needed).max(OUTPUT_BYTES_MIN);
        if needed > self.bytes_max + HEAD_BYTES_MAX {
            return Err(E::custom("it grows too large"));
        }
        // Old and new stand side by side while one is copied into the other.
        let asked = self.held + self.out.capacity() + capacity;
        if let Err(refusal) = self.room.set(asked) {
            self.refusal = Some(refusal);
            return Err(E::custom("there is no room for it"));
        }
        self.out.reserve_exact(capacity - self.out.len());
        Ok(())
    }

    fn open<E: de::Error>(&mut self, number: u32, width: usize) -> Result<Open, E> {
        self.ensure(0)?;
        Ok(Writer::new(&mut self.out).open(number, width))
    }

    fn close<E: de::Error>(&mut self, open: Open) -> Result<(), E> {
        self.ensure(0)?;
        Writer::new(&mut self.out).close(open);
        Ok(())
    }
}

/// What the requests of the signals hold.
const GROUPS: [&str; 3] = ["resourceLogs", "resourceMetrics", "resourceSpans"];

/// The fields of one message.
struct Message<'o, 'r> {
    spec: &'static MessageSpec,
    to: &'o mut Output<'r>,
}

impl<'de> Visitor<'de> for Message<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.spec))? {
            match field {
                Some(field) => map.next_value_seed(Slot {
                    field,
                    place: Place::Field,
                    to: self.to,
                })?,
                None => map.next_value_seed(Skipped)?,
            }
        }
        Ok(())
    }
}

/// The name of a field.
struct Name(&'static MessageSpec);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static FieldSpec>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static FieldSpec>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let field = self.0.named(name);
        if field.is_none() && GROUPS.contains(&name) {
            // Passed over, all of the request would be lost without a word.
            return Err(E::custom(format!(
                "{name} belongs to the endpoint of another signal"
            )));
        }
        Ok(field)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    /// An item of a list whose items have keys.
    Item,
    /// An item of a packed list.
    Packed,
}

/// One value, and where it goes.
struct Slot<'o, 'r> {
    field: &'static FieldSpec,
    place: Place,
    to: &'o mut Output<'r>,
}

impl Slot<'_, '_> {
    fn wrong<E: de::Error>(&self, unexpected: de::Unexpected<'_>) -> E {
        E::invalid_type(unexpected, self)
    }

    fn is_list(&self) -> bool {
        self.field.list && self.place == Place::Field
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.field.kind {
            _ if self.is_list() => "a list",
            Kind::Message(_) => "an object",
            Kind::Text => "a text",
            Kind::Hex => "hexadecimal digits",
            Kind::Base64 => "base64",
            Kind::Bool => "true or false",
            Kind::Double => "a number",
            _ => "a whole number",
        };
        write!(f, "{what} for {}", self.field.name)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        match self.place {
            Place::Field => Ok(()),
            Place::Item | Place::Packed => Err(self.wrong(de::Unexpected::Unit)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(spec) = self.field.kind else {
            return Err(self.wrong(de::Unexpected::Map));
        };
        if self.is_list() {
            return Err(self.wrong(de::Unexpected::Map));
        }
        let open = self.to.open(self.field.number, 2)?;
        Message { spec, to: self.to }.visit_map(map)?;
        self.to.close(open)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if !self.is_list() {
            return Err(self.wrong(de::Unexpected::Seq));
        }
        let packs = !matches!(self.field.kind, Kind::Message(_) | Kind::Text);
        let (place, open) = match packs {
            true => (Place::Packed, Some(self.to.open(self.field.number, 1)?)),
            false => (Place::Item, None),
        };
        let field = self.field;
        while items
            .next_element_seed(Slot {
                field,
                place,
                to: self.to,
            })?
            .is_some()
        {}
        match open {
            Some(open) => self.to.close(open),
            None => Ok(()),
        }
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool if !self.is_list() => {
                self.to.ensure(1)?;
                Writer::new(&mut self.to.out).varint_always(self.field.number, u64::from(value));
                Ok(())
            }
            _ => Err(self.wrong(de::Unexpected::Bool(value))),
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value), de::Unexpected::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value), de::Unexpected::Signed(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.float(value)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }
}

#[cfg(test)]
mod tests;
