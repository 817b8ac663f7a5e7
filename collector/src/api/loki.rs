//! The Loki query API, `/loki/api/v1`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value as Json, json};
use vervet_model::{Clock, Labels, LabelsBuilder, Matcher, SystemClock, UnixMillis, UnixNanos};
use vervet_store::{Direction, LogQuery, LogRow};

use super::Shared;
use super::answer::query_answer;
use super::listed::{ListLimit, labels_bytes};
use super::params::Params;
use super::prometheus::{check_range, labels_json};
use super::response::{Failure, PrometheusFailure, success_with};
use crate::logql::{self, MetricRequest, Query};
use crate::time::{parse_duration, parse_loki_time};

type Answer = Result<Response, PrometheusFailure>;

/// The header in which a client asks for another form of the answer.
const ENCODING_FLAGS: &str = "x-loki-response-encoding-flags";
const CATEGORIZE_LABELS: &str = "categorize-labels";
const LIMIT_DEFAULT: usize = 100;
/// Log records that one query may return.
const LIMIT_MAX: usize = 5_000;
/// The time range of a query that names none.
const RANGE_DEFAULT: Duration = Duration::from_secs(3600);
/// Metric queries without a step are evaluated at about this many moments.
const STEPS_DEFAULT: u32 = 250;

pub(super) async fn query_range(
    State(context): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Answer {
    let (start, end) = range(&params)?;
    match logql::parse(&params.require("query", |text| Some(text.to_owned()))?)? {
        Query::Logs(selector) => {
            let query = LogQuery {
                matchers: selector.matchers,
                filters: selector.filters,
                metadata: selector.metadata,
                trace_id: None,
                start,
                end,
                limit: limit(&params)?,
                direction: direction(&params)?,
            };
            let answer = context.store.logs(&query).await?;
            let flags = headers
                .get(ENCODING_FLAGS)
                .and_then(|flags| flags.to_str().ok())
                .unwrap_or_default();
            let result = match flags
                .split(',')
                .any(|flag| flag.trim() == CATEGORIZE_LABELS)
            {
                true => categorized_streams(answer.found),
                false => folded_streams(answer.found),
            };
            let mut data = json!({"resultType": "streams", "result": result, "stats": {}});
            if !flags.is_empty() {
                data["encodingFlags"] = json!([CATEGORIZE_LABELS]);
            }
            Ok(success_with(data, &answer.warnings))
        }
        Query::Metric(query) => {
            let step = params.parse("step", parse_duration)?;
            let step = step
                .unwrap_or_else(|| (end.since(start) / STEPS_DEFAULT).max(Duration::from_secs(1)));
            let (start, end) = aligned(start.to_millis(), end.to_millis(), step);
            check_range(start, end, step)?;
            let mut output = context
                .queries
                .logql_metric(
                    query,
                    MetricRequest {
                        start,
                        end,
                        step: Some(step),
                    },
                )
                .await?;
            // They speak of the metrics that stand in for counts.
            output.infos.clear();
            Ok(query_answer(output).await?)
        }
    }
}

pub(super) async fn query(State(context): State<Shared>, params: Params) -> Answer {
    let at = params
        .parse("time", parse_loki_time)?
        .unwrap_or_else(|| SystemClock.now());
    match logql::parse(&params.require("query", |text| Some(text.to_owned()))?)? {
        Query::Logs(_) => {
            Err(Failure::invalid("log queries are not supported as an instant query type").into())
        }
        Query::Metric(query) => {
            let at = at.to_millis();
            let mut output = context
                .queries
                .logql_metric(
                    query,
                    MetricRequest {
                        start: at,
                        end: at,
                        step: None,
                    },
                )
                .await?;
            // They speak of the metrics that stand in for counts.
            output.infos.clear();
            Ok(query_answer(output).await?)
        }
    }
}

pub(super) async fn labels(State(context): State<Shared>, params: Params) -> Answer {
    let (start, end) = range(&params)?;
    let limit = ListLimit::of(&params)?;
    let names = context
        .store
        .log_label_names(&matchers(&params)?, start, end)
        .await?;
    let names = limit.cut(names.found, String::len, names.warnings);
    Ok(success_with(names.items, &names.warnings))
}

pub(super) async fn label_values(
    State(context): State<Shared>,
    Path(name): Path<String>,
    params: Params,
) -> Answer {
    let (start, end) = range(&params)?;
    let limit = ListLimit::of(&params)?;
    let values = context
        .store
        .log_label_values(&name, &matchers(&params)?, start, end)
        .await?;
    let values = limit.cut(values.found, String::len, values.warnings);
    Ok(success_with(values.items, &values.warnings))
}

pub(super) async fn series(State(context): State<Shared>, params: Params) -> Answer {
    let (start, end) = range(&params)?;
    let limit = ListLimit::of(&params)?;
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for selector in params.all("match[]").chain(params.all("match")) {
        let Query::Logs(selector) = logql::parse(selector)? else {
            return Err(Failure::invalid("match must be a stream selector").into());
        };
        let series = context
            .store
            .log_series(&selector.matchers, start, end)
            .await?;
        warnings.extend(series.warnings);
        found.extend(series.found);
    }
    found.sort();
    found.dedup();
    let found = limit.cut(found, labels_bytes, warnings);
    let series: Vec<Json> = found.items.iter().map(labels_json).collect();
    Ok(success_with(series, &found.warnings))
}

/// The stream selector in `query`, which narrows labels and their values.
fn matchers(params: &Params) -> Result<Vec<Matcher>, PrometheusFailure> {
    let Some(query) = params.get("query") else {
        return Ok(Vec::new());
    };
    match logql::parse(query)? {
        Query::Logs(selector) => Ok(selector.matchers),
        Query::Metric(_) => Err(Failure::invalid("query must be a stream selector").into()),
    }
}

fn range(params: &Params) -> Result<(UnixNanos, UnixNanos), PrometheusFailure> {
    let end = params
        .parse("end", parse_loki_time)?
        .unwrap_or_else(|| SystemClock.now());
    let since = params
        .parse("since", parse_duration)?
        .unwrap_or(RANGE_DEFAULT);
    let start = params
        .parse("start", parse_loki_time)?
        .unwrap_or_else(|| end.saturating_sub(since));
    if end < start {
        return Err(Failure::invalid("end timestamp must not be before start time").into());
    }
    Ok((start, end))
}

fn limit(params: &Params) -> Result<usize, PrometheusFailure> {
    let limit = params
        .parse("limit", |text| text.parse().ok())?
        .unwrap_or(LIMIT_DEFAULT);
    if limit > LIMIT_MAX {
        return Err(Failure::invalid(format!(
            "max entries limit per query exceeded, limit > {LIMIT_MAX} ({limit})"
        ))
        .into());
    }
    Ok(limit)
}

fn direction(params: &Params) -> Result<Direction, PrometheusFailure> {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "backward" => Some(Direction::NewestFirst),
        "forward" => Some(Direction::OldestFirst),
        _ => None,
    };
    Ok(params
        .parse("direction", parse)?
        .unwrap_or(Direction::NewestFirst))
}

/// Moments at multiples of the step, so that a range that moves on asks for the same ones again.
fn aligned(start: UnixMillis, end: UnixMillis, step: Duration) -> (UnixMillis, UnixMillis) {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let up = |time: UnixMillis| {
        UnixMillis(
            time.0
                .div_euclid(step)
                .saturating_add(i64::from(time.0 % step != 0))
                .saturating_mul(step),
        )
    };
    (UnixMillis(start.0.div_euclid(step) * step), up(end))
}

/// For clients that ask for it: structured metadata stays with the record.
fn categorized_streams(rows: Vec<LogRow>) -> Vec<Json> {
    let mut streams: BTreeMap<_, Vec<Json>> = BTreeMap::new();
    for row in rows {
        let metadata: serde_json::Map<String, Json> = row
            .metadata
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        let value = json!([row.time.0.to_string(), row.body, {"structuredMetadata": metadata}]);
        streams.entry(row.labels).or_default().push(value);
    }
    streams_json(streams)
}

/// For all other clients, as Loki answers them: structured metadata counts as labels of the stream.
fn folded_streams(rows: Vec<LogRow>) -> Vec<Json> {
    let mut streams: BTreeMap<_, Vec<Json>> = BTreeMap::new();
    for row in rows {
        let mut labels = LabelsBuilder::from_labels(&row.labels);
        for (name, value) in row.metadata {
            if row.labels.get(&name).is_none() {
                labels.set(name, value);
            }
        }
        streams
            .entry(labels.build())
            .or_default()
            .push(json!([row.time.0.to_string(), row.body]));
    }
    streams_json(streams)
}

/// Each stream's values stay in the order of the rows.
fn streams_json(streams: BTreeMap<Labels, Vec<Json>>) -> Vec<Json> {
    streams
        .into_iter()
        .map(|(labels, values)| json!({"stream": labels_json(&labels), "values": values}))
        .collect()
}
