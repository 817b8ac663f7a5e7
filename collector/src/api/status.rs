//! What the collector holds, and the services it has heard of: `/api/vervet/v1/{status,services}`.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use vervet_alerting::AlertState;
use vervet_error_groups::ListQuery;
use vervet_model::{Clock, Signal, SystemClock, UnixMillis, UnixNanos};
#[cfg(feature = "sql")]
use vervet_store::LaneStats;
use vervet_store::maintain::UpkeepStatus;
use vervet_store::{ServiceStats, TableStats};

use super::Shared;
use super::health::degraded;
use super::params::Params;
use super::response::{Failure, VervetFailure, add_warnings};
use crate::backup::LastBackup;
use crate::time::parse_prometheus_time;

/// Points of a service's sparkline.
const SPARKLINE_POINTS: usize = 24;
/// Rates are over at least this long.
const RATE_INTERVAL_MIN: std::time::Duration = std::time::Duration::from_secs(10);
/// The time range of a request that names none.
const RANGE_DEFAULT: std::time::Duration = std::time::Duration::from_secs(3600);
/// New error groups that are looked at to count them by service.
const NEW_GROUPS_MAX: usize = 1_000;

pub(super) async fn status(State(context): State<Shared>) -> Response {
    let stats = context.store.stats();
    let journal = context.journal.stats();
    let agents: Vec<Value> = context
        .derived
        .agents()
        .into_iter()
        .map(|agent| {
            let last_seen = agent.last_seen.to_millis().0;
            json!({"agent_id": agent.agent_id, "host_name": agent.host_name, "last_seen_unix_ms": last_seen})
        })
        .collect();
    let last = context.journal.last_sequence();
    let cursors: Vec<Value> = journal
        .cursors
        .iter()
        .map(|cursor| json!({"name": cursor.name, "records_behind": cursor.lag_records}))
        .collect();
    let [logs_rate, samples_rate, spans_rate] = context.rates.observe(
        SystemClock.now(),
        Signal::ALL.map(|signal| context.metrics.stored_total(signal)),
    );
    let problem = context.health.problem();
    let damaged = context.store.damaged_segments().into_iter();
    let data_dir = context.data_dir.clone();
    let store = context.store.clone();
    let disk = tokio::task::spawn_blocking(move || (disk_json(&data_dir), store.unclaimed())).await;
    let (disk, unclaimed) = disk.unwrap_or_default();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "environment": context.environment,
        "started_unix_ms": context.started.to_millis().0,
        "uptime_seconds": SystemClock.now().since(context.started).as_secs(),
        "ready": problem.is_none(),
        "not_ready": problem,
        "degraded": degraded(&context.store),
        "tables": {
            "logs": table_json(&stats.logs), "spans": table_json(&stats.spans),
            "samples": table_json(&stats.samples), "series": table_json(&stats.series),
        },
        "upkeep": upkeep_json(&context.store.upkeep_status()),
        "head_bytes": stats.head_bytes,
        "damaged_indexes": stats.damaged_indexes,
        "damaged_segments": damaged.map(|it| json!({"path": it.path.display().to_string(), "reason": it.reason})).collect::<Vec<_>>(),
        "journal": {
            "segments": journal.segments, "bytes": journal.disk_bytes, "bytes_max": journal.disk_bytes_max,
            "last_sequence": last, "cursors": cursors,
        },
        "records_per_second": {"logs": logs_rate, "spans": spans_rate, "samples": samples_rate},
        "queries": queries_json(&context),
        "disk": disk,
        "notifications": {
            "delivered": context.metrics.notifications.get(), "failed": context.metrics.notification_failures.get(),
            "last_failure": context.metrics.last_notification_failure(),
        },
        "unclaimed": {"files": unclaimed.0, "bytes": unclaimed.1},
        "agents": agents,
        "rule_file_errors": context.rule_errors,
    }))
    .into_response()
}

fn upkeep_json(status: &UpkeepStatus) -> Value {
    let aside = status.set_aside.iter().map(|file| json!({"path": file.path.display().to_string(), "reason": file.reason, "since_unix_ms": file.since.to_millis().0}));
    let oldest = status.oldest.iter();
    let oldest = oldest.map(|(table, time)| (table.name().to_owned(), time.to_millis().0.into()));
    json!({
        "compaction_debt": {"files": status.debt.files, "bytes": status.debt.bytes},
        "waiting_for_readers": {"files": status.waiting_files, "bytes": status.waiting_bytes},
        "unreadable_files": aside.collect::<Vec<_>>(),
        "deletions_running": status.deletions_running,
        "deleted_rows": status.deleted_rows,
        "last_run_unix_ms": status.last_run.map(|time| time.to_millis().0),
        "last_error": status.last_error,
        "oldest_unix_ms": oldest.collect::<serde_json::Map<String, Value>>(),
    })
}

fn table_json(table: &TableStats) -> Value {
    let ms = |time: Option<UnixNanos>| time.map(|time| time.to_millis().0);
    json!({
        "rows_head": table.rows_head, "rows_stored": table.rows_stored, "files": table.files, "bytes": table.bytes,
        "oldest_unix_ms": ms(table.oldest), "newest_unix_ms": ms(table.newest),
    })
}

/// Statements under way; null when this build answers none.
#[cfg(feature = "sql")]
fn queries_json(context: &Shared) -> Value {
    let stats = context.store.query_stats();
    let lane = |lane: &LaneStats| json!({"running": lane.running, "waiting": lane.waiting, "refused": lane.refused});
    json!({"light": lane(&stats.light), "heavy": lane(&stats.heavy)})
}

#[cfg(not(feature = "sql"))]
fn queries_json(_context: &Shared) -> Value {
    Value::Null
}

/// Room on the data folder's file system, and the last backup.
fn disk_json(data_dir: &std::path::Path) -> Value {
    let room = rustix::fs::statvfs(data_dir).ok();
    let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
    json!({
        "bytes": room.as_ref().map(|room| bytes(room.f_blocks, room.f_frsize)),
        "free_bytes": room.as_ref().map(|room| bytes(room.f_bavail, room.f_frsize)),
        "last_backup": LastBackup::read(data_dir),
    })
}

/// Records stored per second, between two looks at them that lie at least ten seconds apart.
pub(crate) struct Rates(Mutex<[Look; 2]>);

/// How many records of each signal had been stored.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: UnixNanos,
    totals: [u64; 3],
}

impl Rates {
    pub(crate) fn new(started: UnixNanos) -> Self {
        let look = Look {
            at: started,
            totals: [0; 3],
        };
        Self(Mutex::new([look; 2]))
    }

    /// Since the look before the last one.
    fn observe(&self, now: UnixNanos, totals: [u64; 3]) -> [f64; 3] {
        let mut looks = self.0.lock();
        let [_, newest] = *looks;
        if now.since(newest.at) >= RATE_INTERVAL_MIN {
            *looks = [newest, Look { at: now, totals }];
        }
        let [since, _] = *looks;
        let seconds = now.since(since.at).as_secs_f64();
        let mut rates = [0.0; 3];
        for ((rate, now), before) in rates.iter_mut().zip(totals).zip(since.totals) {
            *rate = ratio(now.saturating_sub(before), seconds);
        }
        rates
    }
}

pub(super) async fn services(
    State(context): State<Shared>,
    params: Params,
) -> Result<Response, VervetFailure> {
    let end = params
        .parse("end", parse_prometheus_time)?
        .map(UnixMillis::to_nanos)
        .unwrap_or_else(|| SystemClock.now());
    let start = params
        .parse("start", parse_prometheus_time)?
        .map(UnixMillis::to_nanos);
    let start = start.unwrap_or_else(|| end.saturating_sub(RANGE_DEFAULT));
    if end <= start {
        return Err(Failure::invalid("end must be after start").into());
    }
    let stats = context
        .store
        .service_stats(start, end, SPARKLINE_POINTS)
        .await?;
    let new_errors = new_errors(&context, start, end)?;
    let firing = firing_alerts(&context);
    let seconds = end.since(start).as_secs_f64();
    let service = |service: &ServiceStats| {
        let by_service =
            |counts: &HashMap<String, u64>| counts.get(&service.service_name).copied().unwrap_or(0);
        json!({
            "service_name": service.service_name,
            "environment": service.environment,
            "requests": service.requests,
            "errors": service.errors,
            "rate": ratio(service.requests, seconds),
            "error_ratio": ratio(service.errors, count(service.requests)),
            "p50_ms": service.p50_ms,
            "p99_ms": service.p99_ms,
            "log_records": service.log_records,
            "log_errors": service.log_errors,
            "new_errors": by_service(&new_errors),
            "firing_alerts": by_service(&firing),
            "last_seen_unix_ms": service.last_seen.to_millis().0,
            "sparkline": service.sparkline.iter().map(|point| point.requests).collect::<Vec<_>>(),
        })
    };
    let services: Vec<Value> = stats.iter().map(service).collect();
    let mut answer = json!({"services": services});
    add_warnings(&mut answer, &stats.warnings);
    Ok(Json(answer).into_response())
}

fn ratio(part: u64, whole: f64) -> f64 {
    if whole > 0.0 {
        count(part) / whole
    } else {
        0.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Groups first seen in the range, by service.
fn new_errors(
    context: &Shared,
    start: UnixNanos,
    end: UnixNanos,
) -> Result<HashMap<String, u64>, Failure> {
    let query = ListQuery {
        since_unix_ms: Some(start.to_millis().0),
        until_unix_ms: Some(end.to_millis().0),
        limit: NEW_GROUPS_MAX,
        ..ListQuery::default()
    };
    let mut counts = HashMap::new();
    for group in context.errors.list(&query)?.groups {
        if group.first_seen_unix_ms >= start.to_millis().0 {
            *counts.entry(group.service_name).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Firing alerts by the service they name.
fn firing_alerts(context: &Shared) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for alert in context.alerts.alerts() {
        if let Some(service) = alert
            .labels
            .get("service_name")
            .filter(|_| alert.state == AlertState::Firing)
        {
            *counts.entry(service.clone()).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_over_ten_seconds_at_least() {
        let at = |seconds| UnixNanos::default().saturating_add(Duration::from_secs(seconds));
        let rates = Rates::new(at(0));
        assert_eq!(rates.observe(at(0), [0; 3]), [0.0; 3]);
        assert_eq!(rates.observe(at(5), [50, 5, 0]), [10.0, 1.0, 0.0]);
        assert_eq!(rates.observe(at(10), [100, 10, 0]), [10.0, 1.0, 0.0]);
        // The first look is the past of these.
        assert_eq!(rates.observe(at(20), [300, 10, 0]), [20.0, 0.0, 0.0]);
        assert_eq!(rates.observe(at(21), [320, 10, 0])[0], 20.0);
    }
}
