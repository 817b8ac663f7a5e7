//! What logs and spans share: attributes as map columns, resources read once per group, counts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, MapBuilder, StringBuilder};
use vervet_model::UnixNanos;
use vervet_wire::otlp::{KeyValue, NumberText, Resource, Value};

use super::seen_keys::SeenKeys;
use super::{DecodeOptions, adjustment};
use crate::tables::{Table, column};

/// The service of a resource that names none, as OpenTelemetry SDKs call it.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// The older name of `deployment.environment.name`, which many SDKs still send.
const OLD_ENVIRONMENT: &str = "deployment.environment";

pub(super) type TextMapBuilder = MapBuilder<StringBuilder, StringBuilder>;

/// Counts by name.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(super) fn add(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(name).or_default() += count;
        }
    }

    pub(super) fn into_vec(self) -> Vec<(&'static str, u64)> {
        self.0.into_iter().collect()
    }
}

/// Whether two resources have the same attributes in the same order. Attributes that lie at the same
/// place of the request are not compared byte by byte, so the usual case costs two words each.
pub(super) fn same_resource(a: &Resource<'_>, b: &Resource<'_>) -> bool {
    a.attributes.len() == b.attributes.len()
        && a.attributes
            .iter()
            .zip(&b.attributes)
            .all(|(a, b)| same_text(&a.key, &b.key) && same_value(&a.value, &b.value))
}

fn same_text(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}

fn same_value(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => same_text(a, b),
        (a, b) => a == b,
    }
}

/// The first attribute of that name as text, empty when there is none.
pub(super) fn attribute_text<'v>(attributes: &'v [KeyValue<'_>], key: &str) -> Cow<'v, str> {
    vervet_wire::otlp::find(attributes, key)
        .map(Value::to_text)
        .unwrap_or_default()
}

pub(super) fn service_name(attributes: &[KeyValue<'_>], options: &DecodeOptions) -> String {
    let name = attribute_text(attributes, "service.name");
    let name = if name.is_empty() {
        UNKNOWN_SERVICE
    } else {
        &name
    };
    truncated(name, options.label_value_bytes_max).to_owned()
}

pub(super) fn environment(attributes: &[KeyValue<'_>], options: &DecodeOptions) -> String {
    let mut name = attribute_text(attributes, "deployment.environment.name");
    if name.is_empty() {
        name = attribute_text(attributes, OLD_ENVIRONMENT);
    }
    truncated(&name, options.label_value_bytes_max).to_owned()
}

/// `text` cut to at most `bytes_max` bytes at a character boundary.
pub(super) fn truncated(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or(text)
}

/// Attributes of a resource as they are stored: unique keys, limited in number and length.
pub(super) fn stored_attributes<'v>(
    attributes: &'v [KeyValue<'_>],
    leave_out: &[&str],
    options: &DecodeOptions,
    adjusted: &mut Tally,
) -> Vec<(&'v str, Cow<'v, str>)> {
    let mut stored: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(attributes.len());
    for attribute in attributes {
        let key = truncated(&attribute.key, options.label_name_bytes_max);
        if leave_out.contains(&key) || stored.iter().any(|(known, _value)| *known == key) {
            continue;
        }
        if stored.len() >= options.attributes_max {
            adjusted.add(adjustment::ATTRIBUTES_DROPPED, 1);
            break;
        }
        let mut value = attribute.value.to_text();
        if value.len() > options.attribute_value_bytes_max {
            adjusted.add(adjustment::ATTRIBUTE_TRUNCATED, 1);
            value = Cow::Owned(truncated(&value, options.attribute_value_bytes_max).to_owned());
        }
        stored.push((key, value));
    }
    stored
}

/// Appends the attributes of a record to its row's map, as [`stored_attributes`] gives them, without closing it.
/// Returns their bytes.
pub(super) fn append_attributes(
    builder: &mut TextMapBuilder,
    attributes: &[KeyValue<'_>],
    keys: &mut SeenKeys,
    options: &DecodeOptions,
    adjusted: &mut Tally,
) -> usize {
    keys.clear();
    let mut bytes = 0;
    for (index, attribute) in attributes.iter().enumerate() {
        let key = truncated(&attribute.key, options.label_name_bytes_max);
        let known = |index: usize| {
            let known = attributes.get(index);
            known.is_some_and(|known| truncated(&known.key, options.label_name_bytes_max) == key)
        };
        if keys.has(key, known) {
            continue;
        }
        if keys.len() >= options.attributes_max {
            adjusted.add(adjustment::ATTRIBUTES_DROPPED, 1);
            break;
        }
        keys.add(key, index);
        builder.keys().append_value(key);
        bytes += key.len() + append_value(builder.values(), &attribute.value, options, adjusted);
    }
    bytes
}

/// Appends a value in the form of [`Value::to_text`]. Returns its bytes.
fn append_value(
    builder: &mut StringBuilder,
    value: &Value<'_>,
    options: &DecodeOptions,
    adjusted: &mut Tally,
) -> usize {
    let before = builder.values_slice().len();
    let mut number = NumberText::default();
    let text = number
        .of(value)
        .map_or_else(|| value.to_text(), Cow::Borrowed);
    let cut = truncated(&text, options.attribute_value_bytes_max);
    if cut.len() < text.len() {
        adjusted.add(adjustment::ATTRIBUTE_TRUNCATED, 1);
    }
    builder.append_value(cut);
    builder.values_slice().len() - before
}

/// A builder of the attributes of `table`, with room for so many entries.
pub(super) fn map_builder(table: Table, entries: usize, text_bytes: usize) -> TextMapBuilder {
    let texts = || StringBuilder::with_capacity(entries, text_bytes);
    // Every table that is filled from here has the column; without it `finish` would fail.
    table
        .map_builder_in(column::ATTRIBUTES, texts(), texts())
        .unwrap_or_else(|| TextMapBuilder::new(None, texts(), texts()))
}

/// Appends the entries of one row's map, without closing it. Returns their bytes.
pub(super) fn append_entries<K: AsRef<str>, V: AsRef<str>>(
    builder: &mut TextMapBuilder,
    entries: impl IntoIterator<Item = (K, V)>,
) -> usize {
    let mut bytes = 0;
    for (key, value) in entries {
        let (key, value) = (key.as_ref(), value.as_ref());
        builder.keys().append_value(key);
        builder.values().append_value(value);
        bytes += key.len() + value.len();
    }
    bytes
}

/// Gives back what builders reserved and did not use: most of the memory of a small request.
pub(super) fn shrink(columns: &mut [ArrayRef]) {
    for column in columns {
        if let Some(array) = Arc::get_mut(column) {
            array.shrink_to_fit();
        }
    }
}

/// A time on the wire, `None` when unset. Times after 2262 become the latest there is.
pub(super) fn wire_time(unix_nano: u64) -> Option<UnixNanos> {
    (unix_nano != 0).then(|| UnixNanos(i64::try_from(unix_nano).unwrap_or(i64::MAX)))
}

/// Whether a record may have this time.
pub(super) fn in_range(time: UnixNanos, options: &DecodeOptions, received_at: UnixNanos) -> bool {
    time >= options.time_min && time <= received_at.saturating_add(options.future_max)
}

/// The time to store: `time`, or the time of receipt when it is out of range, with the original as text.
pub(super) fn checked_time(
    time: UnixNanos,
    options: &DecodeOptions,
    received_at: UnixNanos,
) -> (UnixNanos, Option<String>) {
    if in_range(time, options, received_at) {
        (time, None)
    } else {
        (received_at, Some(time.0.to_string()))
    }
}
