//! What a rule remembers between evaluations, and the state machine of its alerts.
//!
//! Follows Prometheus: a new result is pending from the evaluation's timestamp, fires once `for` has
//! passed, and is inactive when the result is gone (unless `keep_firing_for` holds it). A resolved alert
//! is kept for 15 minutes. An error leaves everything as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vervet_model::{Labels, LabelsBuilder, METRIC_NAME, UnixMillis};

use crate::alert::{ActiveAlert, AlertState, fingerprint};
use crate::duration::millis;
use crate::rule_file::{AlertingConfig, RuleConfig, TextMap};
use crate::seams::{QueryFailure, RuleSample, STALE_MARKER_BITS, SinkFailure};
use crate::template::{Answers, Questions, TemplateData, expand_or_explain};

#[cfg(test)]
mod tests;

const RESOLVED_RETENTION_MILLIS: i64 = 15 * 60 * 1000;
const ALERT_NAME: &str = "alertname";

/// Why an evaluation failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum EvalError {
    #[error(transparent)]
    Query(#[from] QueryFailure),
    #[error("the query took longer than {0:?}")]
    Timeout(Duration),
    #[error("the results hold the label set {0} twice after the rule's labels are applied")]
    DuplicateLabelSet(Labels),
    #[error("exceeded the limit of {limit} with {count} {what}")]
    Limit {
        limit: usize,
        count: usize,
        what: &'static str,
    },
    #[error("cannot write the samples: {0}")]
    Sink(#[from] SinkFailure),
}

/// What the last evaluation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not evaluated yet.
    Unknown,
    Ok,
    Err,
}

/// What an evaluation needs to know besides the rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvalContext<'a> {
    /// Of the evaluation, by which alerts go on.
    pub(crate) ts: UnixMillis,
    /// What the query was asked for, and what its samples are written at: `query_offset` earlier.
    pub(crate) sample_time: UnixMillis,
    pub(crate) limit: usize,
    pub(crate) external_url: &'a str,
    pub(crate) external_labels: &'a Labels,
    /// Of the queries in templates.
    pub(crate) answers: &'a Answers,
}

/// What an evaluation led to.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) samples: Vec<RuleSample>,
    /// Whether an alert came, went or changed its state: then the state must be saved.
    pub(crate) changed: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct RuleState {
    pub(crate) config: RuleConfig,
    /// By fingerprint.
    pub(crate) active: BTreeMap<u64, ActiveAlert>,
    /// The series written by the last successful evaluation.
    pub(crate) series: BTreeSet<Labels>,
    pub(crate) health: Health,
    pub(crate) last_error: Option<String>,
    pub(crate) last_evaluation: Option<UnixMillis>,
    pub(crate) evaluation_time: Duration,
}

impl RuleState {
    pub(crate) fn new(config: RuleConfig) -> Self {
        Self {
            config,
            active: BTreeMap::new(),
            series: BTreeSet::new(),
            health: Health::Unknown,
            last_error: None,
            last_evaluation: None,
            evaluation_time: Duration::ZERO,
        }
    }

    /// Takes over the alerts of a rule of the same name and labels (reload) or of the state document.
    pub(crate) fn restore(&mut self, alerts: impl IntoIterator<Item = ActiveAlert>) {
        self.active = alerts
            .into_iter()
            .map(|alert| (fingerprint(&alert.labels), alert))
            .collect();
        self.series = self
            .alert_samples(UnixMillis(0))
            .into_iter()
            .map(|s| s.labels)
            .collect();
    }

    /// Applies one result vector.
    ///
    /// # Errors
    /// Equal label sets or too many of them; but for a limit, which drops all alerts, nothing changes.
    pub(crate) fn apply(
        &mut self,
        context: EvalContext<'_>,
        result: Vec<(Labels, f64)>,
    ) -> Result<Applied, EvalError> {
        let (mut samples, changed) = match &self.config {
            RuleConfig::Recording(rule) => (
                recorded(&rule.record, &rule.labels, context, result)?,
                false,
            ),
            RuleConfig::Alerting(rule) => {
                let rule = rule.clone();
                let changed = self.apply_alerts(&rule, context, result)?;
                (self.alert_samples(context.sample_time), changed)
            }
        };
        let series: BTreeSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        samples.extend(stale_markers(
            self.series.difference(&series),
            context.sample_time,
        ));
        self.series = series;
        Ok(Applied { samples, changed })
    }

    fn apply_alerts(
        &mut self,
        rule: &AlertingConfig,
        context: EvalContext<'_>,
        result: Vec<(Labels, f64)>,
    ) -> Result<bool, EvalError> {
        let before = self.outline();
        let fresh = fresh_alerts(rule, context, result)?;
        let seen: BTreeSet<u64> = fresh.keys().copied().collect();
        for (key, alert) in fresh {
            match self.active.get_mut(&key) {
                Some(known) if known.state != AlertState::Inactive => {
                    known.value = alert.value;
                    known.annotations = alert.annotations;
                }
                _ => {
                    self.active.insert(key, alert);
                }
            }
        }
        self.active.retain(|key, alert| {
            if seen.contains(key) {
                alert.keep_firing_since = None;
            } else if !step_absent(alert, rule, context.ts) {
                return false;
            }
            step_hold(alert, rule, context.ts);
            true
        });
        let count = self
            .active
            .values()
            .filter(|a| a.state != AlertState::Inactive)
            .count();
        if context.limit > 0 && count > context.limit {
            self.active.clear();
            return Err(EvalError::Limit {
                limit: context.limit,
                count,
                what: "alerts",
            });
        }
        Ok(before != self.outline())
    }

    /// What is worth saving when it differs.
    fn outline(&self) -> Vec<(u64, AlertState, Option<UnixMillis>)> {
        let keys = self.active.iter();
        keys.map(|(key, alert)| (*key, alert.state, alert.keep_firing_since))
            .collect()
    }

    fn alert_samples(&self, ts: UnixMillis) -> Vec<RuleSample> {
        let RuleConfig::Alerting(_) = &self.config else {
            return Vec::new();
        };
        let active = self
            .active
            .values()
            .filter(|alert| alert.state != AlertState::Inactive);
        active.flat_map(|alert| state_samples(alert, ts)).collect()
    }

    /// The highest state of the rule's alerts.
    pub(crate) fn state(&self) -> AlertState {
        self.active
            .values()
            .map(|alert| alert.state)
            .max()
            .unwrap_or(AlertState::Inactive)
    }
}

/// Staleness markers for series that are no longer written.
pub(crate) fn stale_markers<'a>(
    gone: impl Iterator<Item = &'a Labels>,
    at: UnixMillis,
) -> impl Iterator<Item = RuleSample> {
    gone.map(move |labels| RuleSample {
        labels: labels.clone(),
        at,
        value: f64::from_bits(STALE_MARKER_BITS),
    })
}

/// An alert whose result is gone; false when it is to be forgotten.
fn step_absent(alert: &mut ActiveAlert, rule: &AlertingConfig, ts: UnixMillis) -> bool {
    match alert.state {
        AlertState::Pending => false,
        AlertState::Inactive => alert
            .resolved_at
            .is_some_and(|at| ts.0 - at.0 <= RESOLVED_RETENTION_MILLIS),
        AlertState::Firing => {
            if !rule.keep_firing_for.is_zero() {
                let since = *alert.keep_firing_since.get_or_insert(ts);
                if ts.0 - since.0 < millis(rule.keep_firing_for) {
                    return true;
                }
            }
            alert.state = AlertState::Inactive;
            alert.resolved_at = Some(ts);
            true
        }
    }
}

fn step_hold(alert: &mut ActiveAlert, rule: &AlertingConfig, ts: UnixMillis) {
    if alert.state == AlertState::Pending && ts.0 - alert.active_at.0 >= millis(rule.hold) {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(ts);
    }
}

fn fresh_alerts(
    rule: &AlertingConfig,
    context: EvalContext<'_>,
    result: Vec<(Labels, f64)>,
) -> Result<BTreeMap<u64, ActiveAlert>, EvalError> {
    let mut alerts = BTreeMap::new();
    for (labels, value) in result {
        let alert = fresh_alert(rule, context, &labels, value);
        let labels = alert.labels.clone();
        if alerts.insert(fingerprint(&labels), alert).is_some() {
            return Err(EvalError::DuplicateLabelSet(labels));
        }
    }
    Ok(alerts)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit a double exactly"
)]
fn template_data<'a>(context: EvalContext<'a>, labels: &'a Labels, value: f64) -> TemplateData<'a> {
    TemplateData {
        labels,
        value,
        external_url: context.external_url,
        external_labels: context.external_labels,
        seconds: context.ts.0 as f64 / 1e3,
        answers: context.answers,
    }
}

/// Notes what the templates of the alerts that this result makes ask next.
pub(crate) fn look_for_questions(
    config: &RuleConfig,
    context: EvalContext<'_>,
    result: &[(Labels, f64)],
    questions: &mut Questions,
) {
    let RuleConfig::Alerting(rule) = config else {
        return;
    };
    let texts = rule.labels.values().chain(rule.annotations.values());
    let asking: Vec<&String> = texts.filter(|text| Questions::asks(text)).collect();
    for (labels, value) in result {
        for text in &asking {
            questions.look(text, &template_data(context, labels, *value));
        }
    }
}

fn fresh_alert(
    rule: &AlertingConfig,
    context: EvalContext<'_>,
    labels: &Labels,
    value: f64,
) -> ActiveAlert {
    let data = template_data(context, labels, value);
    let expand = |texts: &TextMap| -> TextMap {
        let expanded = texts
            .iter()
            .map(|(k, v)| (k.clone(), expand_or_explain(v, &data)));
        expanded.collect()
    };
    let mut with_rule = relabelled(labels, &expand(&rule.labels));
    with_rule.set(ALERT_NAME, rule.alert.as_str());
    ActiveAlert {
        labels: with_rule.build(),
        annotations: expand(&rule.annotations),
        value,
        state: AlertState::Pending,
        active_at: context.ts,
        fired_at: None,
        resolved_at: None,
        keep_firing_since: None,
    }
}

/// The labels of a result without its metric name, with the rule's labels.
fn relabelled(labels: &Labels, rule_labels: &TextMap) -> LabelsBuilder {
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.remove(METRIC_NAME);
    for (name, value) in rule_labels {
        builder.set(name.as_str(), value.as_str());
    }
    builder
}

fn recorded(
    record: &str,
    rule_labels: &TextMap,
    context: EvalContext<'_>,
    result: Vec<(Labels, f64)>,
) -> Result<Vec<RuleSample>, EvalError> {
    let mut seen = BTreeSet::new();
    let mut samples = Vec::with_capacity(result.len());
    for (labels, value) in result {
        let mut builder = relabelled(&labels, rule_labels);
        builder.set(METRIC_NAME, record);
        let labels = builder.build();
        if !seen.insert(labels.clone()) {
            return Err(EvalError::DuplicateLabelSet(labels));
        }
        samples.push(RuleSample {
            labels,
            at: context.sample_time,
            value,
        });
    }
    let (limit, count) = (context.limit, samples.len());
    if limit > 0 && count > limit {
        return Err(EvalError::Limit {
            limit,
            count,
            what: "series",
        });
    }
    Ok(samples)
}

fn state_samples(alert: &ActiveAlert, at: UnixMillis) -> [RuleSample; 2] {
    let named = |name: &str| {
        let mut builder = LabelsBuilder::from_labels(&alert.labels);
        builder.set(METRIC_NAME, name);
        builder
    };
    let mut alerts = named("ALERTS");
    alerts.set("alertstate", alert.state.as_str());
    #[expect(
        clippy::cast_precision_loss,
        reason = "Unix seconds fit a double exactly"
    )]
    let active_at_seconds = alert.active_at.0.div_euclid(1000) as f64;
    [
        RuleSample {
            labels: alerts.build(),
            at,
            value: 1.0,
        },
        RuleSample {
            labels: named("ALERTS_FOR_STATE").build(),
            at,
            value: active_at_seconds,
        },
    ]
}
