//! What the collector's journal holds per request. The record's kind is its format (see [`Format`]).
//!
//! ```text
//! version        1 byte    1, or 2 when the body is compressed
//! received_at    8 bytes   little endian, nanoseconds since the epoch
//! agent_id_len   1 byte    0 when the request named no agent
//! agent_id       n bytes
//! sequence       8 bytes   little endian, the agent's journal sequence, 0 when none
//! of version 2:
//!   coding       1 byte    1 zstd, 2 gzip, 3 snappy
//!   body_len     4 bytes   little endian, before compression
//! body           the rest  the request, protobuf, as it came
//! ```
//!
//! A body that came compressed was decompressed before it is appended, so it can be again; writing it as it came takes
//! the disk a quarter of the bytes.

use bytes::{Buf, Bytes};
use vervet_journal::Record;
use vervet_model::UnixNanos;
use vervet_store::Format;
use vervet_wire::{Coding, Received, Refusal, Source};

use super::Request;

const VERSION_PLAIN: u8 = 1;
const VERSION_COMPRESSED: u8 = 2;

/// One journal record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) format: Format,
    pub(crate) received_at: UnixNanos,
    pub(crate) source: Option<Source>,
    pub(crate) body: Body,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Plain(Bytes),
    /// With its length before compression.
    Compressed(Received, usize),
}

impl Body {
    /// Uncompressed protobuf. It may be many times as large as the record, so one is held at a time.
    ///
    /// # Errors
    /// The bytes do not decompress to what was appended.
    pub(crate) fn protobuf(&self) -> Result<Bytes, Refusal> {
        match self {
            Self::Plain(body) => Ok(body.clone()),
            Self::Compressed(received, length) => {
                // Compression may have made a tiny body longer.
                let most = received.bytes.len().max(*length);
                let body = received.decompress(most)?;
                let is_whole = body.len() == *length;
                let wrong = || Refusal::Invalid("the body has another length".to_owned());
                is_whole.then_some(body).ok_or_else(wrong)
            }
        }
    }

    /// What it takes in memory.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Plain(body) => body.len(),
            Self::Compressed(received, _length) => received.bytes.len(),
        }
    }
}

/// A journal record that passed its checksum is not an envelope: it was written by a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("journal record {sequence} has an unknown layout")]
pub(crate) struct EnvelopeError {
    pub(crate) sequence: u64,
}

impl Envelope {
    /// What is read back from the journal of a request; the body is shared and uncompressed.
    pub(crate) fn new(request: &Request, received_at: UnixNanos) -> Self {
        Self {
            format: request.format,
            received_at,
            source: request.source.clone(),
            body: Body::Plain(request.body.clone()),
        }
    }

    /// The bytes that stand before the body, and the body as it is appended.
    pub(crate) fn parts(request: &Request, received_at: UnixNanos) -> (Vec<u8>, &[u8]) {
        let length = u32::try_from(request.body.len()).ok();
        let compressed = request.received.as_ref().zip(length);
        let version = match compressed {
            None => VERSION_PLAIN,
            Some(_) => VERSION_COMPRESSED,
        };
        let mut header = Self::header(version, request, received_at);
        let Some((received, length)) = compressed else {
            return (header, &request.body);
        };
        header.push(received.coding as u8);
        header.extend_from_slice(&length.to_le_bytes());
        (header, &received.bytes)
    }

    fn header(version: u8, request: &Request, received_at: UnixNanos) -> Vec<u8> {
        let (agent_id, sequence) = match &request.source {
            Some(source) => (source.agent_id.as_str(), source.sequence),
            None => ("", 0),
        };
        // Longer identities are refused where they are read from the request.
        let length = u8::try_from(agent_id.len()).unwrap_or(0);
        let mut header = Vec::with_capacity(23 + agent_id.len());
        header.push(version);
        header.extend_from_slice(&received_at.0.to_le_bytes());
        header.push(length);
        header.extend_from_slice(
            agent_id
                .as_bytes()
                .get(..usize::from(length))
                .unwrap_or_default(),
        );
        header.extend_from_slice(&sequence.to_le_bytes());
        header
    }

    /// # Errors
    /// The record was written by a newer version.
    pub(crate) fn parse(record: &Record) -> Result<Self, EnvelopeError> {
        Self::read(record).ok_or(EnvelopeError {
            sequence: record.sequence,
        })
    }

    fn read(record: &Record) -> Option<Self> {
        let mut rest = record.payload.clone();
        let version = rest.try_get_u8().ok()?;
        if !matches!(version, VERSION_PLAIN | VERSION_COMPRESSED) {
            return None;
        }
        let received_at = UnixNanos(rest.try_get_i64_le().ok()?);
        let length = usize::from(rest.try_get_u8().ok()?);
        if rest.len() < length {
            return None;
        }
        let agent_id = String::from_utf8(rest.split_to(length).to_vec()).ok()?;
        let sequence = rest.try_get_u64_le().ok()?;
        let source = (!agent_id.is_empty()).then_some(Source { agent_id, sequence });
        let body = if version == VERSION_COMPRESSED {
            let coding = Coding::from_u8(rest.try_get_u8().ok()?)?;
            let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
            Body::Compressed(
                Received {
                    coding,
                    bytes: rest,
                },
                length,
            )
        } else {
            Body::Plain(rest)
        };
        Some(Self {
            format: Format::from_u8(record.kind)?,
            received_at,
            source,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use vervet_model::Signal;
    use vervet_wire::compress::{Compression, Compressor};

    use super::*;

    fn record(payload: &[u8]) -> Record {
        Record {
            sequence: 9,
            kind: Signal::Traces as u8,
            payload: payload.to_vec().into(),
        }
    }

    fn round_trip(source: Option<Source>, compression: Compression) {
        let body = Bytes::from(b"body".repeat(100));
        let packed = Compressor::new(compression, None)
            .expect("a compressor")
            .pack(&body);
        let coding = packed.encoding().and_then(Coding::from_name);
        let received = coding.map(|coding| Received {
            coding,
            bytes: packed.bytes().clone(),
        });
        assert_eq!(received.is_some(), compression != Compression::None);
        let request = Request {
            format: Signal::Traces.into(),
            body: body.clone(),
            source: source.clone(),
            received,
            weight: 0,
        };
        let whole = Envelope::new(&request, UnixNanos(-5));
        let (mut payload, appended) = Envelope::parts(&request, UnixNanos(-5));
        assert_eq!(appended, packed.bytes());
        let header = payload.len();
        payload.extend_from_slice(appended);
        let parsed = Envelope::parse(&record(&payload)).expect("whole");
        assert_eq!(parsed.body.protobuf(), Ok(body.clone()));
        let body = Body::Plain(body);
        assert_eq!(Envelope { body, ..parsed }, whole);
        for length in 0..header {
            let parsed = Envelope::parse(&record(&payload[..length]));
            assert_eq!(parsed, Err(EnvelopeError { sequence: 9 }), "{length}");
        }
        if compression != Compression::None {
            let cut = Envelope::parse(&record(&payload[..payload.len() - 1])).expect("a header");
            assert!(cut.body.protobuf().is_err());
        }
    }

    #[test]
    fn envelopes_round_trip_and_cut_ones_are_refused() {
        let source = Source {
            agent_id: "node-a".to_owned(),
            sequence: 77,
        };
        for compression in [Compression::None, Compression::Zstd, Compression::Gzip] {
            round_trip(None, compression);
            round_trip(Some(source.clone()), compression);
        }
    }

    #[test]
    fn the_form_before_compression_is_read() {
        let mut payload = vec![1];
        payload.extend_from_slice(&7_i64.to_le_bytes());
        payload.extend_from_slice(b"\x01a");
        payload.extend_from_slice(&3_u64.to_le_bytes());
        payload.extend_from_slice(b"body");
        let source = Source {
            agent_id: "a".to_owned(),
            sequence: 3,
        };
        let expected = Envelope {
            format: Signal::Traces.into(),
            received_at: UnixNanos(7),
            source: Some(source),
            body: Body::Plain(Bytes::from_static(b"body")),
        };
        assert_eq!(Envelope::parse(&record(&payload)), Ok(expected));
        payload[0] = 3;
        let newer = Envelope::parse(&record(&payload));
        assert_eq!(newer, Err(EnvelopeError { sequence: 9 }));
    }

    #[test]
    fn a_body_of_another_length_than_was_noted_is_refused() {
        let body = Bytes::from(vec![0; 100_000]);
        let packed = Compressor::new(Compression::Gzip, None)
            .expect("a compressor")
            .pack(&body);
        let received = Received {
            coding: Coding::Gzip,
            bytes: packed.bytes().clone(),
        };
        let of_length = |length| Body::Compressed(received.clone(), length).protobuf();
        assert_eq!(of_length(100_000), Ok(body));
        assert!(of_length(99_999).is_err());
        assert!(of_length(100_001).is_err());
    }
}
