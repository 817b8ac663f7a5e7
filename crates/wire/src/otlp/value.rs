//! Attribute values.

use std::borrow::Cow;

use super::number::NumberText;
use crate::protobuf::{DecodeError, Reader, Writer, varint_width};
use crate::{LIST_ITEMS_MAX, NESTING_MAX};

/// A value of OpenTelemetry's `AnyValue`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<'a> {
    #[default]
    Empty,
    String(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Cow<'a, [u8]>),
    Array(Vec<Value<'a>>),
    Map(Vec<KeyValue<'a>>),
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyValue<'a> {
    pub key: Cow<'a, str>,
    pub value: Value<'a>,
}

impl<'a> KeyValue<'a> {
    pub fn new(key: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::String(Cow::Borrowed(value))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::String(Cow::Owned(value))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(value: Cow<'a, str>) -> Self {
        Self::String(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> KeyValue<'a> {
    /// Reads a `KeyValue` message.
    ///
    /// # Errors
    /// It is malformed, or nested deeper than [`NESTING_MAX`].
    pub fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        read_key_value(message)
    }

    /// Writes the fields of a `KeyValue` message.
    pub fn write(&self, w: &mut Writer<'_>) {
        write_key_value(w, self);
    }
}

/// The value of the first attribute named `key`.
pub fn find<'v, 'a>(attributes: &'v [KeyValue<'a>], key: &str) -> Option<&'v Value<'a>> {
    attributes
        .iter()
        .find(|attribute| attribute.key == key)
        .map(|attribute| &attribute.value)
}

impl<'a> Value<'a> {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as text, as labels and stored attributes hold it: strings as they are, scalars in their
    /// plain form, bytes as hexadecimal digits, arrays and maps as JSON.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::String(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(_) | Self::Double(_) => {
                let mut text = NumberText::default();
                Cow::Owned(text.of(self).unwrap_or_default().to_owned())
            }
            Self::Bytes(bytes) => Cow::Owned(hex::encode(bytes)),
            Self::Array(_) | Self::Map(_) => {
                let mut out = String::new();
                self.write_json(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Appends the value as JSON; non-finite numbers become `null`.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Empty => out.push_str("null"),
            Self::Double(value) if !value.is_finite() => out.push_str("null"),
            Self::Bool(_) | Self::Int(_) | Self::Double(_) => out.push_str(&self.to_text()),
            Self::String(text) => write_json_string(out, text),
            Self::Bytes(_) => write_json_string(out, &self.to_text()),
            Self::Array(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write_json(out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, entry) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_json_string(out, &entry.key);
                    out.push(':');
                    entry.value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends `text` as a JSON string with quotes.
fn write_json_string(out: &mut String, text: &str) {
    match serde_json::to_string(text) {
        Ok(quoted) => out.push_str(&quoted),
        Err(_a_string_always_serialises) => out.push_str("\"\""),
    }
}

/// UTF-8 text of a field; invalid sequences are replaced.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_invalid) => String::from_utf8_lossy(bytes),
    }
}

/// Most records have that many attributes or fewer.
const RECORD_ATTRIBUTES: usize = 16;

/// As [`push_item`], for the attributes of a record, of which one is decoded at a time.
pub(super) fn push_attribute<'a>(
    attributes: &mut Vec<KeyValue<'a>>,
    message: &'a [u8],
) -> Result<(), DecodeError> {
    if attributes.capacity() == 0 {
        attributes.reserve(RECORD_ATTRIBUTES);
    }
    push_item(attributes, read_key_value(message)?)
}

/// Adds `raw`, the last field read from `message`, to the fields of it that are kept as they are. They are
/// borrowed as long as they stand side by side.
pub(super) fn keep<'a>(rest: &mut Cow<'a, [u8]>, message: &'a [u8], raw: &'a [u8]) {
    if rest.is_empty() {
        *rest = Cow::Borrowed(raw);
        return;
    }
    if let Cow::Borrowed(kept) = rest {
        let start = kept.as_ptr().addr() - message.as_ptr().addr();
        let joined = message.get(start..start + kept.len() + raw.len());
        if kept.as_ptr_range().end == raw.as_ptr()
            && let Some(joined) = joined
        {
            *rest = Cow::Borrowed(joined);
            return;
        }
    }
    rest.to_mut().extend_from_slice(raw);
}

/// Adds an item to a list that a sender fills.
pub(super) fn push_item<T>(items: &mut Vec<T>, item: T) -> Result<(), DecodeError> {
    if items.len() >= LIST_ITEMS_MAX {
        return Err(DecodeError::TooMany {
            max: LIST_ITEMS_MAX,
        });
    }
    items.push(item);
    Ok(())
}

pub(super) fn read_key_value(message: &[u8]) -> Result<KeyValue<'_>, DecodeError> {
    match read_plain(message) {
        Some(attribute) => Ok(attribute),
        None => read_key_value_at(message, 0),
    }
}

/// An attribute as it is nearly always written: a short key, then a short text or a number, and nothing else.
#[inline]
fn read_plain(message: &[u8]) -> Option<KeyValue<'_>> {
    const KEY: u8 = 0x0a;
    const VALUE: u8 = 0x12;
    const STRING: u8 = 0x0a;
    const BOOL: u8 = 0x10;
    const INT: u8 = 0x18;
    const DOUBLE: u8 = 0x21;
    /// A length of one byte.
    const SHORT_MAX: u8 = 0x7f;
    let [KEY, key_bytes @ ..=SHORT_MAX, rest @ ..] = message else {
        return None;
    };
    let (key, value) = rest.split_at_checked(usize::from(*key_bytes))?;
    let [VALUE, value_bytes @ ..=SHORT_MAX, value @ ..] = value else {
        return None;
    };
    if value.len() != usize::from(*value_bytes) {
        return None;
    }
    let value = match value {
        [STRING, bytes @ ..=SHORT_MAX, string @ ..] if string.len() == usize::from(*bytes) => {
            Value::String(text(string))
        }
        [INT, varint @ ..] => Value::Int(whole_varint(varint)?.cast_signed()),
        [DOUBLE, bits @ ..] => Value::Double(f64::from_le_bytes(bits.try_into().ok()?)),
        [BOOL, bit @ 0..=1] => Value::Bool(*bit == 1),
        _ => return None,
    };
    Some(KeyValue {
        key: text(key),
        value,
    })
}

/// The number that all of `bytes` are; those of ten bytes, which are negative mostly, are left to [`Reader`].
fn whole_varint(bytes: &[u8]) -> Option<u64> {
    const BYTES_MAX: usize = 9;
    let (last @ ..=0x7f, before) = bytes.split_last()? else {
        return None;
    };
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let mut higher = before.iter().rev();
    higher.try_fold(u64::from(*last), |value, byte| {
        (byte & 0x80 != 0).then(|| value << 7 | u64::from(byte & 0x7f))
    })
}

fn read_key_value_at(message: &[u8], depth: usize) -> Result<KeyValue<'_>, DecodeError> {
    let mut key = Cow::Borrowed("");
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => key = text(field.bytes(number)?),
            2 if !matches!(value, Value::Empty) => {
                return Err(DecodeError::Repeated { field: number });
            }
            2 => value = read_value_at(field.bytes(number)?, depth)?,
            _ => {}
        }
    }
    Ok(KeyValue { key, value })
}

pub(super) fn read_value(message: &[u8]) -> Result<Value<'_>, DecodeError> {
    read_value_at(message, 0)
}

fn read_value_at(message: &[u8], depth: usize) -> Result<Value<'_>, DecodeError> {
    if depth > NESTING_MAX {
        return Err(DecodeError::TooDeep);
    }
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        value = match number {
            1 => Value::String(text(field.bytes(number)?)),
            2 => Value::Bool(field.varint(number)? != 0),
            3 => Value::Int(field.varint(number)?.cast_signed()),
            4 => Value::Double(f64::from_bits(field.fixed64(number)?)),
            5 => Value::Array(read_list(field.bytes(number)?, |item| {
                read_value_at(item, depth + 1)
            })?),
            6 => Value::Map(read_list(field.bytes(number)?, |item| {
                read_key_value_at(item, depth + 1)
            })?),
            7 => Value::Bytes(Cow::Borrowed(field.bytes(number)?)),
            _ => continue,
        };
    }
    Ok(value)
}

/// The items (field 1) of an `ArrayValue` or `KeyValueList`.
fn read_list<'a, T>(
    message: &'a [u8],
    read: impl Fn(&'a [u8]) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        if number == 1 {
            push_item(&mut items, read(field.bytes(number)?)?)?;
        }
    }
    Ok(items)
}

pub(super) fn write_attributes(w: &mut Writer<'_>, field: u32, attributes: &[KeyValue<'_>]) {
    for attribute in attributes {
        match length_of(&attribute.value) {
            Some(length) => write_flat(w, field, attribute, length),
            None => w.message_of(field, 2, |w| write_key_value(w, attribute)),
        }
    }
}

/// Writes an attribute whose value takes `value_length` bytes: nothing has to be moved.
fn write_flat(w: &mut Writer<'_>, field: u32, attribute: &KeyValue<'_>, value_length: usize) {
    let key_length = match attribute.key.len() {
        0 => 0,
        some => bytes_length(some),
    };
    w.message_head(field, key_length + bytes_length(value_length));
    w.string(1, &attribute.key);
    w.message_head(2, value_length);
    write_value(w, &attribute.value);
}

fn write_key_value(w: &mut Writer<'_>, attribute: &KeyValue<'_>) {
    w.string(1, &attribute.key);
    write_value_message(w, 2, &attribute.value);
}

/// An `AnyValue` as a field.
pub(super) fn write_value_message(w: &mut Writer<'_>, field: u32, value: &Value<'_>) {
    match length_of(value) {
        Some(length) => {
            w.message_head(field, length);
            write_value(w, value);
        }
        None => w.message_of(field, 2, |w| write_value(w, value)),
    }
}

/// The bytes of an `AnyValue`, unless others are nested in it.
fn length_of(value: &Value<'_>) -> Option<usize> {
    Some(match value {
        Value::Empty => 0,
        Value::String(text) => bytes_length(text.len()),
        Value::Bool(_) => 2,
        Value::Int(value) => 1 + varint_width(value.cast_unsigned()),
        Value::Double(_) => 9,
        Value::Bytes(bytes) => bytes_length(bytes.len()),
        Value::Array(_) | Value::Map(_) => return None,
    })
}

/// The bytes of a field that holds `length` bytes and has a number below 16.
fn bytes_length(length: usize) -> usize {
    1 + varint_width(length as u64) + length
}

pub(super) fn write_value(w: &mut Writer<'_>, value: &Value<'_>) {
    match value {
        Value::Empty => {}
        Value::String(text) => w.bytes_always(1, text.as_bytes()),
        Value::Bool(value) => w.varint_always(2, u64::from(*value)),
        Value::Int(value) => w.varint_always(3, value.cast_unsigned()),
        Value::Double(value) => w.fixed64_always(4, value.to_bits()),
        Value::Array(values) => w.message_of(5, 2, |w| {
            for value in values {
                write_value_message(w, 1, value);
            }
        }),
        Value::Map(entries) => w.message_of(6, 2, |w| write_attributes(w, 1, entries)),
        Value::Bytes(bytes) => w.bytes_always(7, bytes),
    }
}

#[cfg(test)]
mod tests;
