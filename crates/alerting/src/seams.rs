//! What the caller injects: how to query and where to write samples.

use std::future::Future;
use std::pin::Pin;

use vervet_model::{Labels, UnixMillis};

use crate::rule_file::GroupKind;

/// A future that an object-safe trait can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The bits of the NaN that Prometheus writes when a series ends.
pub const STALE_MARKER_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A query failed; the rule keeps its state and tries again at the next evaluation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryFailure {
    /// Shown to the user as the rule's `lastError`.
    pub message: String,
}

/// Samples could not be written; they are lost for this evaluation, alert state is not touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkFailure {
    pub message: String,
}

/// Evaluates an instant query. Implementations bound time, memory and the number of rows themselves;
/// the manager gives up on a query after `ManagerConfig::query_timeout`.
pub trait RuleQuery: Send + Sync + 'static {
    /// An instant vector: one label set and value a series. A scalar result is one entry with
    /// empty labels.
    fn query<'a>(
        &'a self,
        kind: GroupKind,
        expr: &'a str,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<(Labels, f64)>, QueryFailure>>;
}

/// One sample of a recording rule, of `ALERTS` or of `ALERTS_FOR_STATE`.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSample {
    /// Includes `__name__`.
    pub labels: Labels,
    pub at: UnixMillis,
    /// A staleness marker when its bits are [`STALE_MARKER_BITS`].
    pub value: f64,
}

/// Takes the samples that rules produce.
pub trait SampleSink: Send + Sync + 'static {
    /// Stores samples of one rule at one timestamp. Later rules of the group may read them, so they
    /// should be visible to queries when the future ends.
    fn append(&self, samples: Vec<RuleSample>) -> BoxFuture<'_, Result<(), SinkFailure>>;
}
