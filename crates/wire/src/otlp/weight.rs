//! What a request weighs: how much there is in it, and what its largest record takes once it is decoded.
//!
//! An empty message takes two bytes on the wire and hundreds in memory, so neither the size of a body nor that of a
//! record says what it costs. Records are decoded one at a time, so the costliest counts. One walk over the
//! lengths, without taking memory; only records of [`WALKED_BYTES_MIN`] and more are walked to their leaves.

use vervet_model::Signal;

use super::schema::{FieldSpec, Kind, METRIC, MessageSpec, RESOURCE, SCOPE, SPAN, request};
use crate::protobuf::{DecodeError, Field, Reader};
use crate::{DECODED_BYTES_MAX, REQUEST_ITEMS_MAX};

/// A smaller record is not looked into (bytes): it takes 1 MiB at most, and there are as many of these at a time as
/// requests are being decoded.
const WALKED_BYTES_MIN: usize = 4 << 10;
/// A list that grows holds up to twice its items.
const LIST_SLACK: usize = 2;
/// Messages inside of each other, at most: what [`crate::NESTING_MAX`] levels of values take, and records.
const DEPTH_MAX: usize = 3 * crate::NESTING_MAX + 8;
/// The field of a span that holds the trace id.
const SPAN_TRACE_ID: u32 = 1;
/// A number in a packed or repeated list, decoded (bytes).
const NUMBER_BYTES: usize = 8;
/// Text that is not UTF-8 is copied, and each wrong byte becomes three.
const REPAIR_FACTOR: usize = 3;

/// What one request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Resource groups, scope groups, log records, spans, metrics and data points.
    pub items: usize,
    /// What the costliest record takes beside the body, with its resource and scope (bytes).
    pub decoded_bytes: usize,
}

/// Weighs a request of `signal`.
///
/// # Errors
/// It holds more than [`REQUEST_ITEMS_MAX`] items, a record that takes more than [`DECODED_BYTES_MAX`] once it is decoded,
/// or is malformed as far as it was read.
pub fn weigh(signal: Signal, body: &[u8]) -> Result<Weight, DecodeError> {
    let mut weight = Weight::default();
    each_item(request(signal), body, &mut weight, 0)?;
    Ok(weight)
}

/// Walks the groups down to the records: what resource or scope and the costliest record of each group take.
fn each_item(
    spec: &'static MessageSpec,
    message: &[u8],
    weight: &mut Weight,
    around: usize,
) -> Result<(), DecodeError> {
    let mut around = around;
    let mut first = true;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        let (Some(field_spec), Field::Bytes(bytes)) = (spec.numbered(number), field) else {
            continue;
        };
        let Kind::Message(inner) = field_spec.kind else {
            continue;
        };
        if std::ptr::eq(inner, &RESOURCE) || std::ptr::eq(inner, &SCOPE) {
            around = around.saturating_add(cost(inner, bytes)?);
            continue;
        }
        add_item(weight)?;
        if is_group(inner) {
            each_item(inner, bytes, weight, around)?;
        } else {
            if std::mem::take(&mut first) && std::ptr::eq(inner, &SPAN) {
                check_span(bytes)?;
            }
            if std::ptr::eq(inner, &METRIC) {
                count_points(inner, bytes, weight)?;
            }
            note(weight, around.saturating_add(cost(inner, bytes)?))?;
        }
    }
    // A resource may stand behind its records.
    note(weight, around)
}

/// Whether what stands for a span is one, as far as it tells. The requests of all signals are built alike, and what is sent
/// to the endpoint of another one fails as soon as a field has another form. Some metrics have none such as spans:
/// then their name stands for the trace id, and there are no times.
fn check_span(span: &[u8]) -> Result<(), DecodeError> {
    let (mut wrong_id, mut has_time) = (false, false);
    let mut reader = Reader::new(span);
    while let Some((number, field)) = reader.next_field()? {
        match field {
            Field::Bytes(id) if number == SPAN_TRACE_ID => wrong_id = !matches!(id.len(), 0 | 16),
            Field::Fixed64(_) => has_time = true,
            _ => {}
        }
    }
    match wrong_id && !has_time {
        true => Err(DecodeError::NoSpan),
        false => Ok(()),
    }
}

fn is_group(spec: &MessageSpec) -> bool {
    spec.view_bytes == 0
}

fn add_item(weight: &mut Weight) -> Result<(), DecodeError> {
    weight.items += 1;
    match weight.items > REQUEST_ITEMS_MAX {
        true => Err(DecodeError::TooManyItems {
            max: REQUEST_ITEMS_MAX,
        }),
        false => Ok(()),
    }
}

fn note(weight: &mut Weight, decoded_bytes: usize) -> Result<(), DecodeError> {
    weight.decoded_bytes = weight.decoded_bytes.max(decoded_bytes);
    match decoded_bytes > DECODED_BYTES_MAX {
        true => Err(DecodeError::TooHeavy {
            max: DECODED_BYTES_MAX,
        }),
        false => Ok(()),
    }
}

/// The points of a metric.
fn count_points(
    spec: &'static MessageSpec,
    record: &[u8],
    weight: &mut Weight,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(record);
    while let Some((number, field)) = reader.next_field()? {
        let (Some(kind), Field::Bytes(data)) = (spec.numbered(number), field) else {
            continue;
        };
        let Kind::Message(data_spec) = kind.kind else {
            continue;
        };
        let holds_points = data_spec
            .numbered(1)
            .is_some_and(|points| points.name == "dataPoints");
        let mut points = Reader::new(if holds_points { data } else { &[] });
        while let Some((number, _)) = points.next_field()? {
            if number == 1 {
                add_item(weight)?;
            }
        }
    }
    Ok(())
}

/// What a message takes once it is decoded, beside its own bytes.
fn cost(spec: &'static MessageSpec, message: &[u8]) -> Result<usize, DecodeError> {
    if message.len() < WALKED_BYTES_MIN {
        return Ok(0);
    }
    // Fields that are kept as they are may have to be put together.
    let kept = message.len() * LIST_SLACK + spec.view_bytes;
    Ok(kept.saturating_add(cost_at(spec, message, 0)?))
}

fn cost_at(spec: &'static MessageSpec, message: &[u8], depth: usize) -> Result<usize, DecodeError> {
    if depth > DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    let mut bytes = 0_usize;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        let Some(field_spec) = spec.numbered(number) else {
            continue;
        };
        bytes = bytes.saturating_add(match (field_spec.kind, field) {
            (Kind::Message(inner), Field::Bytes(inside)) => {
                // What is no list is part of the view it stands in.
                let view = if field_spec.list { inner.view_bytes } else { 0 };
                cost_at(inner, inside, depth + 1)?.saturating_add(view * LIST_SLACK)
            }
            (Kind::Text, Field::Bytes(text)) if std::str::from_utf8(text).is_err() => {
                text.len() * REPAIR_FACTOR
            }
            (Kind::Text | Kind::Hex | Kind::Base64, _) => 0,
            _ => cost_of_numbers(field_spec, field),
        });
        if bytes > DECODED_BYTES_MAX {
            return Ok(bytes);
        }
    }
    Ok(bytes)
}

fn cost_of_numbers(spec: &FieldSpec, field: Field<'_>) -> usize {
    let per_byte = match spec.kind {
        Kind::Fixed64 | Kind::Double | Kind::Sfixed64 => 1,
        // A varint may take one byte.
        _ => NUMBER_BYTES,
    };
    match (spec.list, field) {
        (true, Field::Bytes(packed)) => packed.len() * per_byte * LIST_SLACK,
        (true, _) => NUMBER_BYTES * LIST_SLACK,
        (false, _) => 0,
    }
}

#[cfg(test)]
mod tests;
