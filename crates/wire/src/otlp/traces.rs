//! `ExportTraceServiceRequest`.

use std::borrow::Cow;

use super::value::{KeyValue, read_key_value, text, write_attributes};
use super::{Resource, Scope, walk, write_group};
use crate::protobuf::{DecodeError, Reader, Writer};

/// What a span describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    fn from_number(number: u64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|index| Self::ALL.get(index).copied())
            .unwrap_or_default()
    }

    /// The lower-case name under which spans are stored and searched.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// Whether the work a span describes succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

impl StatusCode {
    fn from_number(number: u64) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// The lower-case name under which spans are stored and searched.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// One span. Times are nanoseconds since the epoch; ids are 16 and 8 bytes, the parent's empty at a root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub parent_span_id: &'a [u8],
    pub trace_state: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub kind: SpanKind,
    pub start_unix_nano: u64,
    pub end_unix_nano: u64,
    pub attributes: Vec<KeyValue<'a>>,
    pub events: Vec<SpanEvent<'a>>,
    pub links: Vec<Link<'a>>,
    pub status: StatusCode,
    pub status_message: Cow<'a, str>,
    pub flags: u32,
}

/// Something that happened during a span; exceptions are events named `exception`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpanEvent<'a> {
    pub time_unix_nano: u64,
    pub name: Cow<'a, str>,
    pub attributes: Vec<KeyValue<'a>>,
}

/// A reference to a span of this or another trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub attributes: Vec<KeyValue<'a>>,
}

/// Hands every span of an `ExportTraceServiceRequest` to `each`, in order.
///
/// # Errors
/// The request is malformed; spans before the fault have been handed out.
pub fn for_each_span<'a>(
    request: &'a [u8],
    mut each: impl FnMut(&Resource<'a>, &Scope<'a>, Span<'a>),
) -> Result<(), DecodeError> {
    walk(request, |resource, scope, span| {
        each(resource, scope, read_span(span)?);
        Ok(())
    })
}

fn read_span(message: &[u8]) -> Result<Span<'_>, DecodeError> {
    let mut span = Span::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => span.trace_id = field.bytes(number)?,
            2 => span.span_id = field.bytes(number)?,
            3 => span.trace_state = text(field.bytes(number)?),
            4 => span.parent_span_id = field.bytes(number)?,
            5 => span.name = text(field.bytes(number)?),
            6 => span.kind = SpanKind::from_number(field.varint(number)?),
            7 => span.start_unix_nano = field.fixed64(number)?,
            8 => span.end_unix_nano = field.fixed64(number)?,
            9 => span.attributes.push(read_key_value(field.bytes(number)?)?),
            11 => span.events.push(read_event(field.bytes(number)?)?),
            13 => span.links.push(read_link(field.bytes(number)?)?),
            15 => (span.status, span.status_message) = read_status(field.bytes(number)?)?,
            16 => span.flags = field.fixed32(number)?,
            _ => {}
        }
    }
    Ok(span)
}

fn read_event(message: &[u8]) -> Result<SpanEvent<'_>, DecodeError> {
    let mut event = SpanEvent::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => event.time_unix_nano = field.fixed64(number)?,
            2 => event.name = text(field.bytes(number)?),
            3 => event.attributes.push(read_key_value(field.bytes(number)?)?),
            _ => {}
        }
    }
    Ok(event)
}

fn read_link(message: &[u8]) -> Result<Link<'_>, DecodeError> {
    let mut link = Link::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => link.trace_id = field.bytes(number)?,
            2 => link.span_id = field.bytes(number)?,
            4 => link.attributes.push(read_key_value(field.bytes(number)?)?),
            _ => {}
        }
    }
    Ok(link)
}

fn read_status(message: &[u8]) -> Result<(StatusCode, Cow<'_, str>), DecodeError> {
    let mut status = (StatusCode::Unset, Cow::Borrowed(""));
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            2 => status.1 = text(field.bytes(number)?),
            3 => status.0 = StatusCode::from_number(field.varint(number)?),
            _ => {}
        }
    }
    Ok(status)
}

/// Appends spans to one resource and scope of a request.
#[derive(Debug)]
pub struct SpansWriter<'w, 'o>(&'w mut Writer<'o>);

impl SpansWriter<'_, '_> {
    pub fn push(&mut self, span: &Span<'_>) {
        self.0.message(2, |w| {
            w.bytes(1, span.trace_id);
            w.bytes(2, span.span_id);
            w.string(3, &span.trace_state);
            w.bytes(4, span.parent_span_id);
            w.string(5, &span.name);
            w.varint(6, span.kind as u64);
            w.fixed64(7, span.start_unix_nano);
            w.fixed64(8, span.end_unix_nano);
            write_attributes(w, 9, &span.attributes);
            for event in &span.events {
                w.message(11, |w| {
                    w.fixed64(1, event.time_unix_nano);
                    w.string(2, &event.name);
                    write_attributes(w, 3, &event.attributes);
                });
            }
            for link in &span.links {
                w.message(13, |w| {
                    w.bytes(1, link.trace_id);
                    w.bytes(2, link.span_id);
                    write_attributes(w, 4, &link.attributes);
                });
            }
            w.message(15, |w| {
                w.string(2, &span.status_message);
                w.varint(3, span.status as u64);
            });
            w.fixed32(16, span.flags);
        });
    }
}

/// Appends one resource's spans to the request in `out`.
pub fn write_resource_spans(
    out: &mut Vec<u8>,
    resource: &Resource<'_>,
    scope: &Scope<'_>,
    fill: impl FnOnce(&mut SpansWriter<'_, '_>),
) {
    write_group(out, resource, scope, |w| fill(&mut SpansWriter(w)));
}
