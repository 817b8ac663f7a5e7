//! One alert of one rule.

use vervet_model::{Labels, UnixMillis};

use crate::rule_file::TextMap;

/// Where an alert stands, in Prometheus's words.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Resolved, or never active.
    Inactive,
    /// Active, but not yet for as long as `for` demands.
    Pending,
    Firing,
}

impl AlertState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An alert as its rule knows it. A resolved one is `Inactive` with `resolved_at` set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActiveAlert {
    /// With the rule's labels and `alertname`.
    pub(crate) labels: Labels,
    pub(crate) annotations: TextMap,
    pub(crate) value: f64,
    pub(crate) state: AlertState,
    pub(crate) active_at: UnixMillis,
    pub(crate) fired_at: Option<UnixMillis>,
    pub(crate) resolved_at: Option<UnixMillis>,
    pub(crate) keep_firing_since: Option<UnixMillis>,
}

/// Prometheus's and Alertmanager's fingerprint of a label set: FNV-1a over each name and value, each
/// followed by the byte 255.
pub(crate) fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    const SEPARATOR: u8 = 255;
    let bytes = labels.iter().flat_map(|label| {
        let name = label.name.bytes().chain([SEPARATOR]);
        name.chain(label.value.bytes()).chain([SEPARATOR])
    });
    bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}
