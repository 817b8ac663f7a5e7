//! A rule group: when it is due, and one evaluation of its rules in order.
//!
//! Evaluations are slotted as in Prometheus: the timestamps are `offset + n * interval`, where the
//! offset comes from a hash of file and name, so that groups spread over time and a restart keeps the
//! timestamps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use vervet_model::{Clock, Labels, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

use crate::alert::{ActiveAlert, AlertState, fingerprint};
use crate::duration::millis;
use crate::manager::ManagerConfig;
use crate::notify::DispatchAlert;
use crate::rule_file::{GroupConfig, GroupKind, RuleConfig, TextMap};
use crate::rule_state::{Applied, EvalContext, EvalError, Health, RuleState, look_for_questions};
use crate::seams::{RuleQuery, SampleSink};
use crate::snapshot::{GroupView, rule_view, seconds, time_or_zero};
use crate::state::{AlertEntry, RuleEntry};
use crate::template::{Answers, Questions};

/// News about a firing alert holds for this many intervals, of at least a minute each.
const NEWS_INTERVALS: u32 = 4;
const NEWS_INTERVAL_MIN: Duration = Duration::from_secs(60);

pub(crate) struct Group {
    pub(crate) config: GroupConfig,
    pub(crate) key: String,
    interval: Duration,
    query_offset: Duration,
    evaluating: AtomicBool,
    state: Mutex<GroupState>,
}

struct GroupState {
    rules: Vec<RuleState>,
    /// The slot last evaluated, or the one that had passed when the group came up.
    last_slot: UnixMillis,
    last_evaluation: Option<UnixMillis>,
    evaluation_time: Duration,
}

/// What an evaluation of a group works with.
#[derive(Clone, Copy)]
pub(crate) struct Evaluation<'a> {
    pub(crate) query: &'a dyn RuleQuery,
    pub(crate) sink: &'a dyn SampleSink,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) settings: &'a ManagerConfig,
}

/// What an evaluation of a group led to.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    /// Whether alert state must be saved.
    pub(crate) changed: bool,
    pub(crate) failures: u64,
    /// Firing and resolved alerts.
    pub(crate) alerts: Vec<DispatchAlert>,
}

impl Group {
    pub(crate) fn new(config: GroupConfig, settings: &ManagerConfig, now: UnixMillis) -> Self {
        let key = config.key();
        let interval = config.interval.unwrap_or(settings.evaluation_interval);
        let interval = interval.max(Duration::from_millis(1));
        let group = Self {
            interval,
            query_offset: config.query_offset.unwrap_or(settings.query_offset),
            evaluating: AtomicBool::new(false),
            state: Mutex::new(GroupState {
                rules: config.rules.iter().cloned().map(RuleState::new).collect(),
                last_slot: now,
                last_evaluation: None,
                evaluation_time: Duration::ZERO,
            }),
            key,
            config,
        };
        group.state.lock().last_slot = group.slot(now);
        group
    }

    /// The latest slot that is not after `now`.
    fn slot(&self, now: UnixMillis) -> UnixMillis {
        let interval = millis(self.interval);
        let hash = xxh3_64(self.key.as_bytes()) % interval.unsigned_abs();
        let offset = i64::try_from(hash).unwrap_or(0);
        UnixMillis(now.0 - (now.0 - offset).rem_euclid(interval))
    }

    /// Claims the evaluation that is due, if there is one and none is running: its timestamp, and how
    /// many slots before it were missed.
    pub(crate) fn claim(&self, now: UnixMillis) -> Option<(UnixMillis, u64)> {
        let slot = self.slot(now);
        let mut state = self.state.lock();
        if slot <= state.last_slot || self.evaluating.swap(true, Ordering::AcqRel) {
            return None;
        }
        let slots = (slot.0 - state.last_slot.0) / millis(self.interval);
        state.last_slot = slot;
        Some((slot, u64::try_from(slots - 1).unwrap_or(0)))
    }

    pub(crate) fn next_due(&self) -> UnixMillis {
        UnixMillis(
            self.state
                .lock()
                .last_slot
                .0
                .saturating_add(millis(self.interval)),
        )
    }

    /// Evaluates every rule at `ts`, as claimed.
    pub(crate) async fn evaluate(&self, ts: UnixMillis, with: Evaluation<'_>) -> Evaluated {
        let _claim = Claim(&self.evaluating);
        let started = with.clock.now();
        let mut evaluated = Evaluated::default();
        let rules = self.config.rules.len();
        for index in 0..rules {
            let rule_started = with.clock.now();
            let (changed, error) = self.evaluate_rule(index, ts, with).await;
            evaluated.changed |= changed;
            evaluated.failures += u64::from(error.is_some());
            let took = with.clock.now().since(rule_started);
            self.note(index, ts, took, error);
        }
        let mut state = self.state.lock();
        state.last_evaluation = Some(ts);
        state.evaluation_time = with.clock.now().since(started);
        evaluated.alerts = self.news(&state.rules, ts, &with.settings.external_url);
        evaluated
    }

    /// Whether an alert came, went or changed, and what went wrong. When samples cannot be written the transition
    /// stands all the same and must be saved.
    async fn evaluate_rule(
        &self,
        index: usize,
        ts: UnixMillis,
        with: Evaluation<'_>,
    ) -> (bool, Option<EvalError>) {
        let Applied { samples, changed } = match self.apply_rule(index, ts, with).await {
            Ok(applied) => applied,
            // A limit that is exceeded drops alerts.
            Err(error) => return (matches!(error, EvalError::Limit { .. }), Some(error)),
        };
        if samples.is_empty() {
            return (changed, None);
        }
        let written = with.sink.append(samples).await;
        (changed, written.err().map(EvalError::from))
    }

    async fn apply_rule(
        &self,
        index: usize,
        ts: UnixMillis,
        with: Evaluation<'_>,
    ) -> Result<Applied, EvalError> {
        let Some(rule) = self.config.rules.get(index) else {
            return Ok(Applied::default());
        };
        let at = UnixMillis(ts.0.saturating_sub(millis(self.query_offset)));
        let settings = with.settings;
        let query = with.query.query(self.config.kind, rule.expr(), at);
        let result = tokio::time::timeout(settings.query_timeout, query)
            .await
            .map_err(|_elapsed| EvalError::Timeout(settings.query_timeout))??;
        let nothing = Answers::new();
        let mut context = EvalContext {
            ts,
            sample_time: at,
            limit: self.config.limit,
            external_url: &settings.external_url,
            external_labels: &settings.external_labels,
            answers: &nothing,
        };
        let answers = answer(rule, context, &result, with).await;
        context.answers = &answers;
        match self.state.lock().rules.get_mut(index) {
            Some(state) => state.apply(context, result),
            None => Ok(Applied::default()),
        }
    }

    fn note(&self, index: usize, ts: UnixMillis, took: Duration, error: Option<EvalError>) {
        let mut state = self.state.lock();
        let Some(rule) = state.rules.get_mut(index) else {
            return;
        };
        rule.last_evaluation = Some(ts);
        rule.evaluation_time = took;
        if let Some(error) = &error
            && rule.health != Health::Err
        {
            tracing::warn!(
                group = self.key,
                rule = rule.config.name(),
                %error,
                "rule evaluation failed"
            );
        }
        rule.health = if error.is_some() {
            Health::Err
        } else {
            Health::Ok
        };
        rule.last_error = error.map(|error| error.to_string());
    }

    /// What the notification pipeline is told: every firing alert and every one kept as resolved.
    fn news(&self, rules: &[RuleState], ts: UnixMillis, external_url: &str) -> Vec<DispatchAlert> {
        let holds = self
            .interval
            .max(NEWS_INTERVAL_MIN)
            .saturating_mul(NEWS_INTERVALS);
        let until = UnixMillis(ts.0.saturating_add(millis(holds)));
        let of_rule = |rule: &RuleState| -> Vec<DispatchAlert> {
            let url = generator_url(external_url, self.config.kind, rule.config.expr());
            rule.active
                .values()
                .filter_map(|alert| dispatch_alert(alert, until, &url))
                .collect()
        };
        rules.iter().flat_map(of_rule).collect()
    }

    /// News about what was restored.
    pub(crate) fn restored_news(&self, now: UnixMillis, external_url: &str) -> Vec<DispatchAlert> {
        self.news(&self.state.lock().rules, now, external_url)
    }

    /// The alerts of each rule, for the state document and for a group that takes over.
    pub(crate) fn rule_entries(&self) -> Vec<RuleEntry> {
        let state = self.state.lock();
        let kept = state.rules.iter().filter(|rule| !rule.active.is_empty());
        kept.map(|rule| RuleEntry {
            group: self.key.clone(),
            rule: rule.config.name().to_owned(),
            expr: rule.config.expr().to_owned(),
            labels: rule.config.labels().clone(),
            alerts: rule.active.values().map(AlertEntry::from).collect(),
        })
        .collect()
    }

    /// Gives saved alerts to the rules they belong to, and takes those entries out of `entries`. A rule
    /// whose expression was changed gets what no other rule of its name and labels claims.
    pub(crate) fn restore(&self, entries: &mut Vec<RuleEntry>) {
        let mut state = self.state.lock();
        for exact in [true, false] {
            for rule in state.rules.iter_mut().filter(|rule| rule.active.is_empty()) {
                let RuleConfig::Alerting(config) = &rule.config else {
                    continue;
                };
                let found = entries.iter().position(|entry| {
                    (&entry.group, &entry.rule, &entry.labels)
                        == (&self.key, &config.alert, &config.labels)
                        && (!exact || entry.expr == config.expr)
                });
                if let Some(found) = found {
                    let entry = entries.remove(found);
                    rule.restore(entry.alerts.into_iter().map(ActiveAlert::from));
                }
            }
        }
    }

    /// Goes on where the group of the same key was before a reload.
    pub(crate) fn take_over(&self, old_group: &Self) {
        let old = old_group.state.lock();
        let mut state = self.state.lock();
        for rule in &mut state.rules {
            let same = |known: &&RuleState| known.config == rule.config;
            if let Some(known) = old.rules.iter().find(same) {
                *rule = known.clone();
            }
        }
        if self.interval == old_group.interval {
            // Else a reload right after a slot would skip it.
            state.last_slot = old.last_slot;
        }
        state.last_evaluation = old.last_evaluation;
        state.evaluation_time = old.evaluation_time;
    }

    /// Why rules could not be evaluated the last time, with their names.
    pub(crate) fn failures(&self) -> Vec<(String, String)> {
        let state = self.state.lock();
        let failed = state.rules.iter().filter_map(|rule| {
            let error = rule.last_error.clone()?;
            Some((rule.config.name().to_owned(), error))
        });
        failed.collect()
    }

    /// The labels and annotations of alerts that fire.
    pub(crate) fn firing(&self, alertname: &str) -> Vec<(Labels, TextMap)> {
        let state = self.state.lock();
        let rules = state.rules.iter();
        let rules = rules.filter(|rule| {
            matches!(&rule.config, RuleConfig::Alerting(config) if config.alert == alertname)
        });
        let alerts = rules.flat_map(|rule| rule.active.values());
        alerts
            .filter(|alert| alert.state == AlertState::Firing)
            .map(|alert| (alert.labels.clone(), alert.annotations.clone()))
            .collect()
    }

    /// The series the group writes now.
    pub(crate) fn series(&self) -> Vec<Labels> {
        let state = self.state.lock();
        state
            .rules
            .iter()
            .flat_map(|rule| rule.series.iter().cloned())
            .collect()
    }

    pub(crate) fn view(&self) -> GroupView {
        let state = self.state.lock();
        GroupView {
            name: self.config.name.clone(),
            file: self.config.file.clone(),
            kind: self.config.kind,
            rules: state.rules.iter().map(rule_view).collect(),
            interval: seconds(self.interval),
            limit: self.config.limit,
            evaluation_time: seconds(state.evaluation_time),
            last_evaluation: time_or_zero(state.last_evaluation),
        }
    }
}

/// Asks what the templates of a rule ask, until they have all they need.
async fn answer(
    rule: &RuleConfig,
    context: EvalContext<'_>,
    result: &[(Labels, f64)],
    with: Evaluation<'_>,
) -> Answers {
    let mut questions = Questions::default();
    loop {
        look_for_questions(rule, context, result, &mut questions);
        let next = questions.next();
        if next.is_empty() {
            return questions.answers;
        }
        for query in next {
            let answer = with.query.query(GroupKind::Metrics, &query, context.ts);
            let answer = match tokio::time::timeout(with.settings.query_timeout, answer).await {
                Ok(answer) => answer.map_err(|failure| failure.message),
                Err(_elapsed) => Err("the query took too long".to_owned()),
            };
            questions.answers.insert(query, answer);
        }
    }
}

/// Gives the group free again, also when the evaluation panics or is cut off.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Ends the alerts of rules that exist no more.
pub(crate) fn orphans(entries: Vec<RuleEntry>, now: UnixMillis) -> Vec<DispatchAlert> {
    let alerts = entries
        .into_iter()
        .flat_map(|entry| entry.alerts)
        .map(ActiveAlert::from);
    let ended = alerts.filter_map(|mut alert| {
        alert.state = AlertState::Inactive;
        alert.resolved_at.get_or_insert(now);
        dispatch_alert(&alert, now, "")
    });
    ended.collect()
}

/// The firing alerts among saved ones.
pub(crate) fn firing(entries: &[RuleEntry]) -> BTreeSet<u64> {
    let alerts = entries
        .iter()
        .flat_map(|entry| entry.alerts.iter().cloned().map(ActiveAlert::from));
    alerts
        .filter(|alert| alert.state == AlertState::Firing)
        .map(|alert| fingerprint(&alert.labels))
        .collect()
}

/// `None` for an alert that never fired.
fn dispatch_alert(alert: &ActiveAlert, until: UnixMillis, url: &str) -> Option<DispatchAlert> {
    Some(DispatchAlert {
        fingerprint: fingerprint(&alert.labels),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.fired_at?,
        ends_at: alert.resolved_at.unwrap_or(until),
        generator_url: url.to_owned(),
    })
}

/// Where the web UI shows what the rule asks: the expression, or for logs the alerts.
fn generator_url(external_url: &str, kind: GroupKind, expr: &str) -> String {
    let base = external_url.trim_end_matches('/');
    if kind == GroupKind::Logs {
        return format!("{base}/alerts");
    }
    let mut url = format!("{base}/metrics?expr=");
    for byte in expr.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte));
            }
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

pub(crate) type Groups = Vec<Arc<Group>>;
