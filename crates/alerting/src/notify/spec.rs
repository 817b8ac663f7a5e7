//! The notification settings as written in configuration, in Alertmanager's words.

use std::fmt;

use serde::{Deserialize, Serialize};
use vervet_model::{MatchOp, Matcher, MatcherError};

use crate::duration::PromDuration;

/// `route` and `receivers` of an Alertmanager configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifySpec {
    /// The root route; it takes every alert that no child takes.
    #[serde(default)]
    pub route: RouteSpec,
    #[serde(default)]
    pub receivers: Vec<ReceiverSpec>,
}

/// A route. What a child leaves out it inherits from its parent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// Label names; `...` means every label. Default `alertname`, `service_name`,
    /// `deployment_environment_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    /// Default 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<PromDuration>,
    /// Default 5 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<PromDuration>,
    /// Default 4 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<PromDuration>,
    /// `severity="critical"`, `team=~"a|b"`; all must match. Not allowed on the root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<String>,
    /// Whether later siblings are tried after this route matched.
    #[serde(rename = "continue")]
    pub go_on: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSpec>,
}

/// A named set of targets; none means that notifications end here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverSpec {
    pub name: String,
    #[serde(default)]
    pub webhook_configs: Vec<WebhookSpec>,
}

/// A webhook that takes Alertmanager's JSON, version 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    pub url: String,
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// Alerts in one notification; the rest is counted in `truncatedAlerts`. 0 means no limit.
    #[serde(default)]
    pub max_alerts: usize,
}

fn yes() -> bool {
    true
}

/// The name of the receiver that exists without any configuration; it has no target.
const DEFAULT_RECEIVER: &str = "default";

impl Default for NotifySpec {
    fn default() -> Self {
        Self {
            route: RouteSpec {
                receiver: Some(DEFAULT_RECEIVER.to_owned()),
                ..RouteSpec::default()
            },
            receivers: vec![ReceiverSpec {
                name: DEFAULT_RECEIVER.to_owned(),
                webhook_configs: Vec::new(),
            }],
        }
    }
}

/// The notification settings are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifySpecError {
    #[error("the root route names no receiver")]
    NoReceiver,
    #[error("a route names the receiver {0:?}, which is not defined")]
    UnknownReceiver(String),
    #[error("two receivers are named {0:?}")]
    DuplicateReceiver(String),
    #[error("the root route takes every alert and cannot have matchers")]
    RootMatchers,
    #[error("{0} of a route is 0")]
    ZeroInterval(&'static str),
    #[error(
        "the webhook of receiver {receiver:?} has the url {url:?}; it must start with http:// or https://"
    )]
    Url { receiver: String, url: String },
    #[error("{0:?} is not a matcher; write it like severity=\"critical\"")]
    Matcher(String),
    #[error(transparent)]
    MatcherRegex(#[from] MatcherError),
}

/// All that is invalid in notification settings, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySpecErrors(pub Vec<NotifySpecError>);

impl fmt::Display for NotifySpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let between = if index > 0 { "; " } else { "" };
            write!(f, "{between}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotifySpecErrors {}

/// Reads one matcher: name, operator, value with or without double quotes.
pub(super) fn parse_matcher(text: &str) -> Result<Matcher, NotifySpecError> {
    let error = || NotifySpecError::Matcher(text.to_owned());
    let name_end = text.find(['=', '!']).ok_or_else(error)?;
    let (name, rest) = text.split_at(name_end);
    let operators = [
        MatchOp::Regex,
        MatchOp::NotRegex,
        MatchOp::NotEqual,
        MatchOp::Equal,
    ];
    let (op, value) = operators
        .into_iter()
        .find_map(|op| {
            rest.strip_prefix(op.as_str())
                .map(|value| (op, value.trim()))
        })
        .ok_or_else(error)?;
    let value = match value.strip_prefix('"') {
        Some(_) => serde_json::from_str(value).map_err(|_| error())?,
        None => value.to_owned(),
    };
    let name = name.trim();
    if name.is_empty() {
        Err(error())
    } else {
        Ok(Matcher::new(name, op, value)?)
    }
}
