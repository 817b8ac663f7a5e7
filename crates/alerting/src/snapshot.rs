//! Read models: rules and alerts in the terms (and JSON names) of Prometheus's `/api/v1/rules` and
//! `/api/v1/alerts`. Times are RFC 3339, durations seconds.

use std::time::Duration;

use serde::{Serialize, Serializer};
use vervet_model::UnixMillis;

use crate::alert::{ActiveAlert, AlertState};
use crate::notify::text_map;
use crate::rule_file::{AlertingConfig, GroupKind, RecordingConfig, RuleConfig, TextMap};
pub use crate::rule_state::Health;
use crate::rule_state::RuleState;

/// What Go, and so Prometheus, writes for "no time".
pub(crate) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The `data` of `/api/v1/rules`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulesView {
    pub groups: Vec<GroupView>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    pub name: String,
    pub file: String,
    /// Not part of Prometheus's JSON.
    #[serde(skip)]
    pub kind: GroupKind,
    pub rules: Vec<RuleView>,
    #[serde(serialize_with = "whole_without_point")]
    pub interval: f64,
    pub limit: usize,
    #[serde(serialize_with = "whole_without_point")]
    pub evaluation_time: f64,
    pub last_evaluation: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RuleView {
    Alerting(AlertingRuleView),
    Recording(RecordingRuleView),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingRuleView {
    /// The highest state of the alerts: `firing`, `pending` or `inactive`.
    pub state: AlertState,
    pub name: String,
    pub query: String,
    #[serde(serialize_with = "whole_without_point")]
    pub duration: f64,
    #[serde(serialize_with = "whole_without_point")]
    pub keep_firing_for: f64,
    pub labels: TextMap,
    pub annotations: TextMap,
    pub alerts: Vec<AlertView>,
    pub health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(serialize_with = "whole_without_point")]
    pub evaluation_time: f64,
    pub last_evaluation: String,
    /// `alerting`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingRuleView {
    pub name: String,
    pub query: String,
    #[serde(skip_serializing_if = "TextMap::is_empty")]
    pub labels: TextMap,
    pub health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(serialize_with = "whole_without_point")]
    pub evaluation_time: f64,
    pub last_evaluation: String,
    /// `recording`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A pending or firing alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    pub labels: TextMap,
    pub annotations: TextMap,
    pub state: AlertState,
    pub active_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// As Prometheus writes it: `1e+00`.
    pub value: String,
}

pub(crate) fn rule_view(rule: &RuleState) -> RuleView {
    match &rule.config {
        RuleConfig::Alerting(config) => RuleView::Alerting(alerting_view(rule, config)),
        RuleConfig::Recording(config) => RuleView::Recording(recording_view(rule, config)),
    }
}

fn alerting_view(rule: &RuleState, config: &AlertingConfig) -> AlertingRuleView {
    AlertingRuleView {
        state: rule.state(),
        name: config.alert.clone(),
        query: config.expr.clone(),
        duration: config.hold.as_secs_f64(),
        keep_firing_for: config.keep_firing_for.as_secs_f64(),
        labels: config.labels.clone(),
        annotations: config.annotations.clone(),
        alerts: alert_views(rule),
        health: rule.health,
        last_error: rule.last_error.clone(),
        evaluation_time: rule.evaluation_time.as_secs_f64(),
        last_evaluation: time_or_zero(rule.last_evaluation),
        kind: "alerting",
    }
}

fn recording_view(rule: &RuleState, config: &RecordingConfig) -> RecordingRuleView {
    RecordingRuleView {
        name: config.record.clone(),
        query: config.expr.clone(),
        labels: config.labels.clone(),
        health: rule.health,
        last_error: rule.last_error.clone(),
        evaluation_time: rule.evaluation_time.as_secs_f64(),
        last_evaluation: time_or_zero(rule.last_evaluation),
        kind: "recording",
    }
}

/// The pending and firing alerts of a rule.
pub(crate) fn alert_views(rule: &RuleState) -> Vec<AlertView> {
    let active = rule
        .active
        .values()
        .filter(|alert| alert.state != AlertState::Inactive);
    active.map(alert_view).collect()
}

fn alert_view(alert: &ActiveAlert) -> AlertView {
    AlertView {
        labels: text_map(&alert.labels),
        annotations: alert.annotations.clone(),
        state: alert.state,
        active_at: rfc3339(alert.active_at),
        keep_firing_since: alert.keep_firing_since.map(rfc3339),
        value: crate::template::exponent_text(alert.value),
    }
}

pub(crate) fn time_or_zero(at: Option<UnixMillis>) -> String {
    at.map_or_else(|| ZERO_TIME.to_owned(), rfc3339)
}

pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Go writes 60 where Rust writes 60.0.
fn whole_without_point<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
        return serializer.serialize_i64(*value as i64);
    }
    serializer.serialize_f64(*value)
}

/// RFC 3339 in UTC with as many decimals as needed.
pub(crate) fn rfc3339(at: UnixMillis) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(timestamp) => timestamp.to_string(),
        Err(_out_of_range) => ZERO_TIME.to_owned(),
    }
}
