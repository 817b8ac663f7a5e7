//! `ExportLogsServiceRequest`.

use std::borrow::Cow;

use super::value::{
    KeyValue, Value, keep, push_attribute, read_value, text, write_attributes, write_value_message,
};
use super::{Resource, Scope, walk, write_group};
use crate::protobuf::{DecodeError, Reader, Writer};

/// Most log records have 128 to 16,383 bytes.
const RECORD_LENGTH_WIDTH: usize = 2;

/// One log record. Times are nanoseconds since the epoch, 0 meaning unset; ids are 16 and 8 bytes or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogRecord<'a> {
    pub time_unix_nano: u64,
    pub observed_time_unix_nano: u64,
    pub severity_number: i32,
    pub severity_text: Cow<'a, str>,
    pub body: Value<'a>,
    pub attributes: Vec<KeyValue<'a>>,
    pub dropped_attributes_count: u32,
    pub flags: u32,
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub event_name: Cow<'a, str>,
    /// Fields this view does not name, as they stand on the wire.
    pub rest: Cow<'a, [u8]>,
}

/// Hands every log record of an `ExportLogsServiceRequest` to `each`, in order.
///
/// # Errors
/// The request is malformed; records before the fault have been handed out.
pub fn for_each_log<'a>(
    request: &'a [u8],
    mut each: impl FnMut(&Resource<'a>, &Scope<'a>, LogRecord<'a>),
) -> Result<(), DecodeError> {
    walk(request, |resource, scope, record| {
        each(resource, scope, LogRecord::read(record)?);
        Ok(())
    })
}

impl<'a> LogRecord<'a> {
    /// Reads a `LogRecord` message.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut record = Self::default();
        record.read_again(message)?;
        Ok(record)
    }

    /// Reads another message into the room of this one, which is lost.
    ///
    /// # Errors
    /// It is malformed; what was read of it stays.
    pub fn read_again(&mut self, message: &'a [u8]) -> Result<(), DecodeError> {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Self {
            attributes,
            ..Self::default()
        };
        read_log_record(self, message)
    }

    /// Writes the fields of a `LogRecord` message.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        w.fixed64(1, self.time_unix_nano);
        w.varint(2, i64::from(self.severity_number).cast_unsigned());
        w.string(3, &self.severity_text);
        if self.body != Value::Empty {
            write_value_message(w, 5, &self.body);
        }
        write_attributes(w, 6, &self.attributes);
        w.varint(7, u64::from(self.dropped_attributes_count));
        w.fixed32(8, self.flags);
        w.bytes(9, self.trace_id);
        w.bytes(10, self.span_id);
        w.fixed64(11, self.observed_time_unix_nano);
        w.string(12, &self.event_name);
    }
}

fn read_log_record<'a>(record: &mut LogRecord<'a>, message: &'a [u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => record.time_unix_nano = field.fixed64(number)?,
            2 => record.severity_number = read_enum(field.varint(number)?),
            3 => record.severity_text = text(field.bytes(number)?),
            5 if !matches!(record.body, Value::Empty) => {
                return Err(DecodeError::Repeated { field: number });
            }
            5 => {
                record.body = read_value(field.bytes(number)?)?;
                if matches!(record.body, Value::Empty) {
                    // Present, though it says nothing, or nothing known here.
                    keep(&mut record.rest, message, reader.raw());
                }
            }
            6 => push_attribute(&mut record.attributes, field.bytes(number)?)?,
            7 => {
                record.dropped_attributes_count =
                    u32::try_from(field.varint(number)?).unwrap_or(u32::MAX)
            }
            8 => record.flags = field.fixed32(number)?,
            9 => record.trace_id = field.bytes(number)?,
            10 => record.span_id = field.bytes(number)?,
            11 => record.observed_time_unix_nano = field.fixed64(number)?,
            12 => record.event_name = text(field.bytes(number)?),
            _ => keep(&mut record.rest, message, reader.raw()),
        }
    }
    Ok(())
}

/// An enum as protobuf writes it: a 32-bit number, sign-extended to 64 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an enum is the low 32 bits of its varint"
)]
fn read_enum(varint: u64) -> i32 {
    varint as i32
}

/// Appends log records to one resource and scope of a request.
#[derive(Debug)]
pub struct LogRecordsWriter<'w, 'o>(&'w mut Writer<'o>);

impl LogRecordsWriter<'_, '_> {
    pub fn push(&mut self, record: &LogRecord<'_>) {
        self.0
            .message_of(2, RECORD_LENGTH_WIDTH, |w| record.write(w));
    }
}

/// Appends one resource's log records to the request in `out`. Calls add up: an export request is the
/// concatenation of its resource groups.
pub fn write_resource_logs(
    out: &mut Vec<u8>,
    resource: &Resource<'_>,
    scope: &Scope<'_>,
    fill: impl FnOnce(&mut LogRecordsWriter<'_, '_>),
) {
    write_group(out, resource, scope, |w| fill(&mut LogRecordsWriter(w)));
}
