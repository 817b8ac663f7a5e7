//! `ExportTraceServiceRequest`.

use std::borrow::Cow;

use super::value::{
    KeyValue, keep, push_attribute, push_item, read_key_value, text, write_attributes,
};
use super::{Resource, Scope, each_message, walk, write_group};
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

    /// `None` for a number that is not in the protocol (yet).
    fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
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
    fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Unset,
            1 => Self::Ok,
            2 => Self::Error,
            _ => return None,
        })
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

/// Most spans have 128 to 16,383 bytes.
const SPAN_LENGTH_WIDTH: usize = 2;

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
    /// Fields this view does not name, as they stand on the wire (also those of an event and a link).
    pub rest: Cow<'a, [u8]>,
}

/// What can be said of a span without decoding it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanOutline {
    pub kind: SpanKind,
    pub status: StatusCode,
    /// It has an event of the name asked for.
    pub has_event: bool,
}

impl SpanOutline {
    /// Reads kind and status of a `Span` message as [`Span::read`] does, and looks for an event by its name.
    ///
    /// # Errors
    /// It is malformed as far as it was read.
    pub fn read(message: &[u8], event_name: &str) -> Result<Self, DecodeError> {
        let mut outline = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                6 => {
                    let kind = SpanKind::from_number(field.varint(number)?);
                    outline.kind = kind.unwrap_or(outline.kind);
                }
                11 if !outline.has_event => {
                    each_message(field.bytes(number)?, 2, |name| {
                        outline.has_event |= name == event_name.as_bytes();
                        Ok(())
                    })?;
                }
                15 => {
                    if let Some((status, _message)) = read_status(field.bytes(number)?)? {
                        outline.status = status;
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }
}

/// Something that happened during a span; exceptions are events named `exception`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpanEvent<'a> {
    pub time_unix_nano: u64,
    pub name: Cow<'a, str>,
    pub attributes: Vec<KeyValue<'a>>,
    pub rest: Cow<'a, [u8]>,
}

/// A reference to a span of this or another trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub attributes: Vec<KeyValue<'a>>,
    pub rest: Cow<'a, [u8]>,
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
        each(resource, scope, Span::read(span)?);
        Ok(())
    })
}

impl<'a> Span<'a> {
    /// Reads a `Span` message.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut span = Self::default();
        span.read_again(message)?;
        Ok(span)
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
        read_span(self, message)
    }

    /// Writes the fields of a `Span` message.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.raw(&self.rest);
        w.bytes(1, self.trace_id);
        w.bytes(2, self.span_id);
        w.string(3, &self.trace_state);
        w.bytes(4, self.parent_span_id);
        w.string(5, &self.name);
        w.varint(6, self.kind as u64);
        w.fixed64(7, self.start_unix_nano);
        w.fixed64(8, self.end_unix_nano);
        write_attributes(w, 9, &self.attributes);
        for event in &self.events {
            w.message(11, |w| {
                w.raw(&event.rest);
                w.fixed64(1, event.time_unix_nano);
                w.string(2, &event.name);
                write_attributes(w, 3, &event.attributes);
            });
        }
        for link in &self.links {
            w.message(13, |w| {
                w.raw(&link.rest);
                w.bytes(1, link.trace_id);
                w.bytes(2, link.span_id);
                write_attributes(w, 4, &link.attributes);
            });
        }
        if self.status != StatusCode::Unset || !self.status_message.is_empty() {
            w.message(15, |w| {
                w.string(2, &self.status_message);
                w.varint(3, self.status as u64);
            });
        }
        w.fixed32(16, self.flags);
    }
}

fn read_span<'a>(span: &mut Span<'a>, message: &'a [u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => span.trace_id = field.bytes(number)?,
            2 => span.span_id = field.bytes(number)?,
            3 => span.trace_state = text(field.bytes(number)?),
            4 => span.parent_span_id = field.bytes(number)?,
            5 => span.name = text(field.bytes(number)?),
            6 => match SpanKind::from_number(field.varint(number)?) {
                Some(kind) => span.kind = kind,
                None => keep(&mut span.rest, message, reader.raw()),
            },
            7 => span.start_unix_nano = field.fixed64(number)?,
            8 => span.end_unix_nano = field.fixed64(number)?,
            9 => push_attribute(&mut span.attributes, field.bytes(number)?)?,
            11 => span.events.push(read_event(field.bytes(number)?)?),
            13 => span.links.push(read_link(field.bytes(number)?)?),
            15 => match read_status(field.bytes(number)?)? {
                Some(status) => (span.status, span.status_message) = status,
                None => keep(&mut span.rest, message, reader.raw()),
            },
            16 => span.flags = field.fixed32(number)?,
            _ => keep(&mut span.rest, message, reader.raw()),
        }
    }
    Ok(())
}

fn read_event(message: &[u8]) -> Result<SpanEvent<'_>, DecodeError> {
    let mut event = SpanEvent::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => event.time_unix_nano = field.fixed64(number)?,
            2 => event.name = text(field.bytes(number)?),
            3 => push_item(&mut event.attributes, read_key_value(field.bytes(number)?)?)?,
            _ => keep(&mut event.rest, message, reader.raw()),
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
            4 => push_item(&mut link.attributes, read_key_value(field.bytes(number)?)?)?,
            _ => keep(&mut link.rest, message, reader.raw()),
        }
    }
    Ok(link)
}

/// `None` when the code is not in the protocol, or nothing is said.
fn read_status(message: &[u8]) -> Result<Option<(StatusCode, Cow<'_, str>)>, DecodeError> {
    let mut status = (StatusCode::Unset, Cow::Borrowed(""));
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        match number {
            2 => status.1 = text(field.bytes(number)?),
            3 => match StatusCode::from_number(field.varint(number)?) {
                Some(code) => status.0 = code,
                None => return Ok(None),
            },
            _ => {}
        }
    }
    Ok(Some(status).filter(|(code, message)| *code != StatusCode::Unset || !message.is_empty()))
}

/// Appends spans to one resource and scope of a request.
#[derive(Debug)]
pub struct SpansWriter<'w, 'o>(&'w mut Writer<'o>);

impl SpansWriter<'_, '_> {
    pub fn push(&mut self, span: &Span<'_>) {
        self.0.message_of(2, SPAN_LENGTH_WIDTH, |w| span.write(w));
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
