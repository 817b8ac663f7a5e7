//! The message of a webhook: Alertmanager's JSON, version 4.

use serde::Serialize;
use vervet_model::{Labels, UnixMillis};

use super::dispatch::DispatchAlert;
use crate::rule_file::TextMap;
use crate::snapshot::{ZERO_TIME, rfc3339};

/// One notification about one group of alerts; serialises to the body of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub receiver: String,
    /// `firing` while any alert fires, else `resolved`.
    pub status: &'static str,
    pub alerts: Vec<MessageAlert>,
    pub group_labels: TextMap,
    pub common_labels: TextMap,
    pub common_annotations: TextMap,
    #[serde(rename = "externalURL")]
    pub external_url: String,
    pub version: &'static str,
    pub group_key: String,
    /// How many alerts `max_alerts` left out.
    pub truncated_alerts: usize,
}

/// One alert of a notification. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAlert {
    pub status: &'static str,
    pub labels: TextMap,
    pub annotations: TextMap,
    pub starts_at: String,
    /// `0001-01-01T00:00:00Z` while the alert fires.
    pub ends_at: String,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    /// 16 hexadecimal digits.
    pub fingerprint: String,
}

pub(super) const FIRING: &str = "firing";
pub(super) const RESOLVED: &str = "resolved";

/// What a message says besides its alerts.
pub(super) struct Envelope<'a> {
    pub(super) receiver: &'a str,
    pub(super) group_key: &'a str,
    pub(super) group_labels: &'a Labels,
    pub(super) external_url: &'a str,
    /// 0 means no limit.
    pub(super) alerts_max: usize,
}

/// Builds the message about `alerts`, which are in the order to be sent.
pub(super) fn notification(
    envelope: &Envelope<'_>,
    alerts: &[DispatchAlert],
    now: UnixMillis,
) -> Notification {
    let shown = if envelope.alerts_max == 0 {
        alerts.len()
    } else {
        envelope.alerts_max
    };
    let truncated_alerts = alerts.len().saturating_sub(shown);
    // As in Alertmanager, what is left out counts for nothing else.
    let alerts = alerts.get(..shown).unwrap_or(alerts);
    let firing = alerts.iter().any(|alert| !alert.resolved(now));
    Notification {
        receiver: envelope.receiver.to_owned(),
        status: if firing { FIRING } else { RESOLVED },
        alerts: alerts
            .iter()
            .map(|alert| message_alert(alert, now))
            .collect(),
        group_labels: text_map(envelope.group_labels),
        common_labels: common(alerts.iter().map(|alert| text_map(&alert.labels))),
        common_annotations: common(alerts.iter().map(|alert| alert.annotations.clone())),
        external_url: envelope.external_url.to_owned(),
        version: "4",
        group_key: envelope.group_key.to_owned(),
        truncated_alerts,
    }
}

fn message_alert(alert: &DispatchAlert, now: UnixMillis) -> MessageAlert {
    let resolved = alert.resolved(now);
    MessageAlert {
        status: if resolved { RESOLVED } else { FIRING },
        labels: text_map(&alert.labels),
        annotations: alert.annotations.clone(),
        starts_at: rfc3339(alert.starts_at),
        ends_at: if resolved {
            rfc3339(alert.ends_at)
        } else {
            ZERO_TIME.to_owned()
        },
        generator_url: alert.generator_url.clone(),
        fingerprint: fingerprint_text(alert.fingerprint),
    }
}

pub(crate) fn fingerprint_text(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

pub(crate) fn text_map(labels: &Labels) -> TextMap {
    labels
        .iter()
        .map(|label| (label.name.to_string(), label.value.to_string()))
        .collect()
}

/// The entries that all maps share.
fn common(mut maps: impl Iterator<Item = TextMap>) -> TextMap {
    let first = maps.next().unwrap_or_default();
    maps.fold(first, |mut shared, map| {
        shared.retain(|name, value| map.get(name) == Some(value));
        shared
    })
}
