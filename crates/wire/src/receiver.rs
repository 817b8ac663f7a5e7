//! What a receiver of OTLP hands on, whichever protocol it came by.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use vervet_model::Signal;

/// Metadata key: an agent's identity, stable per data directory.
pub const AGENT_ID_KEY: &str = "vervet-agent-id";
/// Metadata key: the journal sequence of the batch, increasing per agent and signal.
pub const SEQUENCE_KEY: &str = "vervet-sequence";
/// Longest agent identity accepted (bytes).
pub const AGENT_ID_BYTES_MAX: usize = 64;

/// Identifies a batch from one of our agents, so that a repeat is not stored twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub agent_id: String,
    pub sequence: u64,
}

/// One export request: an uncompressed protobuf body, not yet checked.
#[derive(Debug, Clone)]
pub struct OtlpRequest {
    pub signal: Signal,
    pub body: Bytes,
    pub source: Option<Source>,
}

/// The request is kept; `rejected` records of it were not, for the reason given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    pub rejected: u64,
    pub message: String,
}

/// The request is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request can never succeed. The sender drops it.
    #[error("{0}")]
    Invalid(String),
    /// The request is larger than the limit (bytes).
    #[error("the request body exceeds the limit of {limit} bytes")]
    TooLarge { limit: usize },
    /// Too much is under way. The sender retries after the delay.
    #[error("too much is waiting to be stored; retry in {} s", retry_after.as_secs())]
    Overloaded { retry_after: Duration },
    /// It cannot be stored at the moment (a full disk, a shutdown). The sender retries after the delay.
    #[error("{reason}; retry in {} s", retry_after.as_secs())]
    Unavailable {
        reason: String,
        retry_after: Duration,
    },
}

/// Takes export requests. An `Ok` promises that everything but the rejected records is durable.
pub trait OtlpSink: Clone + Send + Sync + 'static {
    fn accept(
        &self,
        request: OtlpRequest,
    ) -> impl Future<Output = Result<Accepted, Refusal>> + Send;
}

/// The source named by two metadata values, when both are present and sane.
pub fn source_from(agent_id: Option<&str>, sequence: Option<&str>) -> Option<Source> {
    let agent_id = agent_id.filter(|id| !id.is_empty() && id.len() <= AGENT_ID_BYTES_MAX)?;
    Some(Source {
        agent_id: agent_id.to_owned(),
        sequence: sequence?.parse().ok().filter(|sequence| *sequence > 0)?,
    })
}
