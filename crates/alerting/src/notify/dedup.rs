//! The notification log and the decision whether to notify, as Alertmanager takes it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vervet_model::UnixMillis;

use crate::duration::millis;

const LOG_RETENTION: Duration = Duration::from_secs(120 * 3600);

/// What was last delivered for a group through one integration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    pub(crate) group_key: String,
    pub(crate) receiver: String,
    pub(crate) integration: usize,
    /// Unix milliseconds.
    pub(crate) sent_at: i64,
    /// Unix milliseconds; the entry is forgotten then, but for a live group or a held alert.
    pub(crate) expires_at: i64,
    #[serde(with = "hex_set")]
    pub(crate) firing: BTreeSet<u64>,
    #[serde(with = "hex_set")]
    pub(crate) resolved: BTreeSet<u64>,
}

/// The unix milliseconds at which an entry written at `now` is forgotten.
pub(super) fn expires_at(now: UnixMillis, repeat_interval: Duration) -> i64 {
    now.0
        .saturating_add(millis(LOG_RETENTION.min(repeat_interval.saturating_mul(2))))
}

/// Why a group is notified about, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    FirstNotification,
    NewAlertsInGroup,
    AllResolved,
    NewResolved,
    RepeatIntervalElapsed,
    /// Everything is resolved and nobody was told that it fired.
    NothingFired,
    /// The same alerts were notified about within `repeat_interval`.
    AlreadyNotified,
}

impl Decision {
    pub(crate) fn notifies(self) -> bool {
        !matches!(self, Self::NothingFired | Self::AlreadyNotified)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FirstNotification => "first notification",
            Self::NewAlertsInGroup => "new alerts in the group",
            Self::AllResolved => "all alerts resolved",
            Self::NewResolved => "more alerts resolved",
            Self::RepeatIntervalElapsed => "repeat_interval has passed",
            Self::NothingFired => "nothing fires and nothing was notified as firing",
            Self::AlreadyNotified => "already notified, repeat_interval has not passed",
        }
    }
}

/// Decides from the last log entry and the alerts now firing and resolved.
pub(super) fn decide(
    entry: Option<&LogEntry>,
    firing: &BTreeSet<u64>,
    resolved: &BTreeSet<u64>,
    send_resolved: bool,
    repeat_interval: Duration,
    now: UnixMillis,
) -> Decision {
    let Some(entry) = entry else {
        let fires = !firing.is_empty();
        return if fires {
            Decision::FirstNotification
        } else {
            Decision::NothingFired
        };
    };
    if !firing.is_subset(&entry.firing) {
        let again = !entry.firing.is_empty();
        return if again {
            Decision::NewAlertsInGroup
        } else {
            Decision::FirstNotification
        };
    }
    if firing.is_empty() {
        let told = !entry.firing.is_empty();
        return if told {
            Decision::AllResolved
        } else {
            Decision::NothingFired
        };
    }
    if send_resolved && !resolved.is_subset(&entry.resolved) {
        return Decision::NewResolved;
    }
    if entry.sent_at < now.0.saturating_sub(millis(repeat_interval)) {
        return Decision::RepeatIntervalElapsed;
    }
    Decision::AlreadyNotified
}

/// Fingerprints as lists of 16 hexadecimal digits.
mod hex_set {
    use super::{BTreeSet, Deserialize, Deserializer, Serialize, Serializer};
    use crate::notify::message::fingerprint_text;

    pub(super) fn serialize<S: Serializer>(
        set: &BTreeSet<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = set.iter().copied().map(fingerprint_text).collect();
        texts.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<u64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parsed = texts.iter().map(|text| u64::from_str_radix(text, 16));
        parsed
            .collect::<Result<_, _>>()
            .map_err(serde::de::Error::custom)
    }
}
