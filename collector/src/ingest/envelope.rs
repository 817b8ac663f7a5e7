//! What the collector's journal holds per request. The record's kind is the signal.
//!
//! ```text
//! version        1 byte    1
//! received_at    8 bytes   little endian, nanoseconds since the epoch
//! agent_id_len   1 byte    0 when the request named no agent
//! agent_id       n bytes
//! sequence       8 bytes   little endian, the agent's journal sequence, 0 when none
//! body           the rest  the OTLP export request, uncompressed protobuf
//! ```

use bytes::{Buf, Bytes};
use vervet_journal::Record;
use vervet_model::{Signal, UnixNanos};
use vervet_wire::{OtlpRequest, Source};

const VERSION: u8 = 1;

/// One journal record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) signal: Signal,
    pub(crate) received_at: UnixNanos,
    pub(crate) source: Option<Source>,
    pub(crate) body: Bytes,
}

/// A journal record that passed its checksum is not an envelope: it was written by a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("journal record {sequence} has an unknown layout")]
pub(crate) struct EnvelopeError {
    pub(crate) sequence: u64,
}

impl Envelope {
    /// What is read back from the journal of a request; the body is shared.
    pub(crate) fn new(request: &OtlpRequest, received_at: UnixNanos) -> Self {
        Self {
            signal: request.signal,
            received_at,
            source: request.source.clone(),
            body: request.body.clone(),
        }
    }

    /// The bytes that stand before the body.
    pub(crate) fn header(request: &OtlpRequest, received_at: UnixNanos) -> Vec<u8> {
        let (agent_id, sequence) = match &request.source {
            Some(source) => (source.agent_id.as_str(), source.sequence),
            None => ("", 0),
        };
        // Longer identities are refused where they are read from the request.
        let length = u8::try_from(agent_id.len()).unwrap_or(0);
        let mut header = Vec::with_capacity(18 + agent_id.len());
        header.push(VERSION);
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
        if rest.try_get_u8().ok()? != VERSION {
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
        Some(Self {
            signal: Signal::from_u8(record.kind)?,
            received_at,
            source,
            body: rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(source: Option<Source>) {
        let body = Bytes::from_static(b"body");
        let request = OtlpRequest {
            signal: Signal::Traces,
            body: body.clone(),
            source: source.clone(),
        };
        let mut payload = Envelope::header(&request, UnixNanos(-5));
        payload.extend_from_slice(&body);
        let record = Record {
            sequence: 9,
            kind: Signal::Traces as u8,
            payload: payload.clone().into(),
        };
        let expected = Envelope {
            signal: Signal::Traces,
            received_at: UnixNanos(-5),
            source,
            body,
        };
        assert_eq!(Envelope::new(&request, UnixNanos(-5)), expected);
        assert_eq!(Envelope::parse(&record), Ok(expected));
        for length in 0..payload.len() - 4 {
            let record = Record {
                payload: payload[..length].to_vec().into(),
                ..record.clone()
            };
            assert_eq!(Envelope::parse(&record), Err(EnvelopeError { sequence: 9 }));
        }
    }

    #[test]
    fn envelopes_round_trip_and_cut_ones_are_refused() {
        round_trip(None);
        round_trip(Some(Source {
            agent_id: "node-a".to_owned(),
            sequence: 77,
        }));
    }
}
