//! What a receiver of OTLP hands on, whichever protocol it came by.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use vervet_model::Signal;

use crate::http::{decompress, snappy};
use crate::room::{Room, Unlimited};

/// Metadata key: an agent's identity, stable per data directory.
pub const AGENT_ID_KEY: &str = "vervet-agent-id";
/// Metadata key: the number of the batch, increasing per agent and signal.
pub const SEQUENCE_KEY: &str = "vervet-sequence";
/// Longest agent identity accepted (bytes).
pub const AGENT_ID_BYTES_MAX: usize = 64;

/// Lanes in which an agent's batches travel: batch `s` goes in lane `s % LANES`, in order within the lane and in any
/// order between lanes. Part of the protocol: a receiver compares a batch with its own lane only.
pub const LANES: u64 = 4;
/// Stands between an agent's id and the lane.
const LANE_MARK: char = '#';

/// Identifies a batch from one of our agents, so that a repeat is not stored twice.
///
/// `agent_id` is `ID#LANE`. A sender that never has two batches under way may say `ID` alone, as agents did before
/// there were lanes. To a receiver that knows no lanes each lane is an agent of its own, which loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub agent_id: String,
    pub sequence: u64,
}

impl Source {
    /// Batch `sequence` of an agent, in its lane.
    pub fn in_lane(agent_id: &str, sequence: u64) -> Self {
        Self {
            agent_id: format!("{agent_id}{LANE_MARK}{}", sequence % LANES),
            sequence,
        }
    }

    /// The agent's id without the lane.
    pub fn agent(&self) -> &str {
        self.agent_id
            .split_once(LANE_MARK)
            .map_or(&self.agent_id, |(agent, _lane)| agent)
    }

    /// Whether the batch was stored before, given the highest sequence that was stored under an identity (0 for
    /// none). Lanes and the bare identity know of each other, so that neither an upgrade nor a step back of the
    /// agent stores anything twice: under the bare identity batches came in order, so it vouches for all lanes.
    pub fn is_repeat(&self, highest: impl Fn(&str) -> u64) -> bool {
        let other = match self.agent_id.split_once(LANE_MARK) {
            Some((agent, _lane)) => highest(agent),
            None => highest(&Self::in_lane(&self.agent_id, self.sequence).agent_id),
        };
        self.sequence <= highest(&self.agent_id).max(other)
    }
}

/// One export request: an uncompressed protobuf body, not yet checked.
#[derive(Debug, Clone)]
pub struct OtlpRequest {
    pub signal: Signal,
    pub body: Bytes,
    pub source: Option<Source>,
    /// The body as it came, when that was compressed protobuf and shorter.
    pub received: Option<Received>,
}

impl OtlpRequest {
    /// What the bodies take in memory (bytes).
    pub fn held_bytes(&self) -> usize {
        let received = self.received.as_ref();
        self.body.len() + received.map_or(0, |received| received.bytes.len())
    }
}

/// How a body is compressed. The numbers stand in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Coding {
    Zstd = 1,
    Gzip = 2,
    /// Of remote write only.
    Snappy = 3,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Snappy];

    /// The name in HTTP's `Content-Encoding` and in gRPC.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
        }
    }

    /// The coding of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.name() == name)
    }

    /// The coding of that number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| *coding as u8 == number)
    }
}

/// A compressed body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub coding: Coding,
    pub bytes: Bytes,
}

impl Received {
    /// The body that these bytes were.
    ///
    /// # Errors
    /// They are damaged, or the body is larger than `bytes_max`.
    pub fn decompress(&self, bytes_max: usize) -> Result<Bytes, Refusal> {
        match self.coding {
            Coding::Snappy => snappy::decompress(&self.bytes, bytes_max),
            other => decompress(self.bytes.clone(), other.name(), bytes_max),
        }
    }
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
    /// To read the request takes more memory than the setting `setting` ever gives to one (bytes).
    #[error(
        "a request whose reading takes {bytes} bytes of memory exceeds the {limit} that one may take ({setting})"
    )]
    NoRoomEver {
        bytes: usize,
        limit: usize,
        setting: &'static str,
    },
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

impl Refusal {
    /// The word for it in metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::TooLarge { .. } | Self::NoRoomEver { .. } => "too_large",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Grpc,
    Http,
    RemoteWrite,
}

impl Protocol {
    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::RemoteWrite => "remote_write",
        }
    }
}

/// A request that was answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRequest {
    pub signal: Signal,
    pub protocol: Protocol,
    /// As [`Refusal::reason`]; or `unsupported` (content type, encoding or method), `timeout` (the body did not
    /// arrive in time), `host` (a name that is not served), `site` (a page of another site asked).
    pub reason: &'static str,
    /// Whether it had reached [`OtlpSink::accept_held`].
    pub delivered: bool,
}

/// Takes export requests. An `Ok` promises that everything but the rejected records is durable.
pub trait OtlpSink: Clone + Send + Sync + 'static {
    fn accept(
        &self,
        request: OtlpRequest,
    ) -> impl Future<Output = Result<Accepted, Refusal>> + Send;

    /// Room for a request that begins to arrive. Unlimited by default.
    fn room(&self) -> Box<dyn Room> {
        Box::new(Unlimited)
    }

    /// Told once of every request that is answered with an error, whoever refused it. For counting.
    fn refused(&self, _request: RefusedRequest) {}

    /// As [`Self::accept`], with the room that the request is held in; it is given back when the answer is known.
    fn accept_held(
        &self,
        request: OtlpRequest,
        room: Box<dyn Room>,
    ) -> impl Future<Output = Result<Accepted, Refusal>> + Send {
        async move {
            let answer = self.accept(request).await;
            drop(room);
            answer
        }
    }
}

/// The source named by two metadata values; `None` when neither is present.
///
/// # Errors
/// [`Refusal::Invalid`] when one is present without the other, the agent id is empty or longer than
/// [`AGENT_ID_BYTES_MAX`], or the sequence is not a number of 1 to 2^63 - 1 (what a database column holds).
pub fn source_from(
    agent_id: Option<&str>,
    sequence: Option<&str>,
) -> Result<Option<Source>, Refusal> {
    if agent_id.is_none() && sequence.is_none() {
        return Ok(None);
    }
    let agent_id = agent_id
        .filter(|id| !id.is_empty() && id.len() <= AGENT_ID_BYTES_MAX)
        .ok_or_else(|| {
            Refusal::Invalid(format!(
                "{AGENT_ID_KEY} must have 1 to {AGENT_ID_BYTES_MAX} bytes"
            ))
        })?;
    let sequence = sequence
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|sequence| *sequence > 0 && i64::try_from(*sequence).is_ok())
        .ok_or_else(|| {
            Refusal::Invalid(format!(
                "{SEQUENCE_KEY} must be a number of 1 to {}",
                i64::MAX
            ))
        })?;
    Ok(Some(Source {
        agent_id: agent_id.to_owned(),
        sequence,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_whole_or_absent() {
        assert_eq!(source_from(None, None), Ok(None));
        for sequence in [1, 7, i64::MAX.unsigned_abs()] {
            let expected = Source {
                agent_id: "node-1".to_owned(),
                sequence,
            };
            let source = source_from(Some("node-1"), Some(&sequence.to_string()));
            assert_eq!(source, Ok(Some(expected)));
        }
    }

    #[test]
    fn a_batch_is_compared_with_its_lane_and_with_what_came_before_lanes() {
        let stored = [("a", 10), ("a#0", 16), ("a#1", 13), ("b", 99)];
        let highest = |id: &str| {
            let found = stored.iter().find(|(known, _)| *known == id);
            found.map_or(0, |(_, sequence)| *sequence)
        };
        let repeat = |source: Source| source.is_repeat(highest);
        for sequence in 1..=20 {
            let in_lane = match sequence % LANES {
                0 => 16,
                1 => 13,
                _ => 10,
            };
            let bare = Source {
                agent_id: "a".to_owned(),
                sequence,
            };
            assert_eq!(repeat(bare), sequence <= in_lane, "bare {sequence}");
            let laned = Source::in_lane("a", sequence);
            assert_eq!(laned.agent(), "a");
            assert_eq!(repeat(laned), sequence <= in_lane, "in lane {sequence}");
        }
    }

    #[test]
    fn a_nonsense_source_is_invalid() {
        let long = "a".repeat(AGENT_ID_BYTES_MAX + 1);
        let invalid = |agent_id, sequence| {
            let source = source_from(agent_id, sequence);
            assert!(matches!(source, Err(Refusal::Invalid(_))), "{source:?}");
        };
        for agent_id in [None, Some(""), Some(&*long)] {
            invalid(agent_id, Some("1"));
        }
        for sequence in ["", "0", "-1", "x", "9223372036854775808"] {
            invalid(Some("node-1"), Some(sequence));
        }
        invalid(Some("node-1"), None);
    }
}
