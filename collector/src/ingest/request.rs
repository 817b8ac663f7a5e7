//! A request on its way to the journal, and what becomes of it.

use bytes::Bytes;
use vervet_store::Format;
use vervet_wire::http::remote_write::WriteRequest;
use vervet_wire::{Accepted, OtlpRequest, Received, Source};

/// A request of any protocol.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) format: Format,
    /// Uncompressed protobuf.
    pub(crate) body: Bytes,
    pub(crate) source: Option<Source>,
    /// The body as it came, when that was compressed and shorter.
    pub(crate) received: Option<Received>,
    /// What reading it takes beside these (bytes), where that was weighed.
    pub(super) weight: usize,
}

/// What became of a request that is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Records that are stored.
    pub(crate) stored: u64,
    pub(crate) accepted: Accepted,
}

impl Request {
    /// What the bodies take in memory, and reading them (bytes).
    pub(super) fn held_bytes(&self) -> usize {
        let received = self.received.as_ref();
        self.body.len() + received.map_or(0, |received| received.bytes.len()) + self.weight
    }
}

impl From<OtlpRequest> for Request {
    fn from(request: OtlpRequest) -> Self {
        Self {
            format: request.signal.into(),
            body: request.body,
            source: request.source,
            received: request.received,
            weight: 0,
        }
    }
}

impl From<WriteRequest> for Request {
    fn from(request: WriteRequest) -> Self {
        let is_shorter = request.received.bytes.len() < request.body.len();
        Self {
            format: Format::RemoteWrite(request.version),
            body: request.body,
            source: None,
            received: is_shorter.then_some(request.received),
            weight: request.weight,
        }
    }
}
