//! The Prometheus HTTP API, `/api/v1`.

mod federate;
mod language;
mod server;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value as Json, json};
use vervet_model::{Clock, Labels, Matcher, SystemClock, UnixMillis};
use vervet_promql::{QueryOptions, parse_selector};
use vervet_store::Store;

use super::Shared;
use super::answer::query_answer;
use super::listed::{ListLimit, cut_answer, labels_bytes};
use super::params::Params;
use super::response::{Failure, PrometheusFailure, success, success_with};
use crate::time::{parse_duration, parse_prometheus_time};

pub(super) use federate::federate;
pub(super) use language::{format_query, parse_query, query_exemplars};
pub(super) use server::{config, runtimeinfo, targets, tsdb};

type Answer = Result<Response, PrometheusFailure>;

/// Points that one series of a range query may have, as in Prometheus.
const POINTS_MAX: u128 = 11_000;

pub(super) async fn query(State(context): State<Shared>, params: Params) -> Answer {
    let text = params.require("query", |text| Some(text.to_owned()))?;
    let at = params
        .parse("time", parse_prometheus_time)?
        .unwrap_or_else(|| SystemClock.now().to_millis());
    let limit = params.parse("limit", |text| text.parse::<usize>().ok())?;
    let options = options(&params)?;
    let mut output = context.queries.promql_instant(text, at, options).await?;
    cut_answer(&mut output.value, &mut output.warnings, limit);
    Ok(query_answer(output).await?)
}

pub(super) async fn query_range(State(context): State<Shared>, params: Params) -> Answer {
    let text = params.require("query", |text| Some(text.to_owned()))?;
    let start = params.require("start", parse_prometheus_time)?;
    let end = params.require("end", parse_prometheus_time)?;
    let step = params.require("step", parse_duration)?;
    check_range(start, end, step)?;
    let limit = params.parse("limit", |text| text.parse::<usize>().ok())?;
    let options = options(&params)?;
    let output = context
        .queries
        .promql_range(text, (start, end), step, options);
    let mut output = output.await?;
    cut_answer(&mut output.value, &mut output.warnings, limit);
    Ok(query_answer(output).await?)
}

/// `timeout` and `lookback_delta`.
fn options(params: &Params) -> Result<QueryOptions, PrometheusFailure> {
    Ok(QueryOptions {
        timeout: params.parse("timeout", parse_duration)?,
        lookback_delta: params
            .parse("lookback_delta", parse_duration)?
            .filter(|delta| !delta.is_zero()),
    })
}

/// Prometheus's own conditions and words.
pub(super) fn check_range(
    start: UnixMillis,
    end: UnixMillis,
    step: Duration,
) -> Result<(), Failure> {
    if end < start {
        return Err(Failure::invalid(
            "invalid parameter \"end\": end timestamp must not be before start time",
        ));
    }
    if step.as_millis() == 0 {
        return Err(Failure::invalid(
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if u128::from(start.0.abs_diff(end.0)) / step.as_millis() > POINTS_MAX {
        return Err(Failure::invalid(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(())
}

pub(super) async fn labels(State(context): State<Shared>, params: Params) -> Answer {
    let (selectors, start, end) = selection(&params)?;
    let limit = ListLimit::of(&params)?;
    let list = move |store: &Store| store.label_names(&selectors, start.0, end.0);
    let names = context.queries.list(list).await?;
    let names = limit.cut(names, String::len, Vec::new());
    Ok(success_with(names.items, &names.warnings))
}

pub(super) async fn label_values(
    State(context): State<Shared>,
    Path(name): Path<String>,
    params: Params,
) -> Answer {
    let (selectors, start, end) = selection(&params)?;
    let limit = ListLimit::of(&params)?;
    let list = move |store: &Store| store.label_values(&name, &selectors, start.0, end.0);
    let values = context.queries.list(list).await?;
    let values = limit.cut(values, String::len, Vec::new());
    Ok(success_with(values.items, &values.warnings))
}

pub(super) async fn series(State(context): State<Shared>, params: Params) -> Answer {
    let (selectors, start, end) = selection(&params)?;
    if selectors.is_empty() {
        return Err(Failure::invalid("no match[] parameter provided").into());
    }
    let limit = ListLimit::of(&params)?;
    let found = context.queries.series(selectors, start, end).await?;
    let found = limit.cut(found, labels_bytes, Vec::new());
    let series: Vec<Json> = found.items.iter().map(labels_json).collect();
    Ok(success_with(series, &found.warnings))
}

/// `match[]`, `start` and `end`; the times default to all of time.
fn selection(
    params: &Params,
) -> Result<(Vec<Vec<Matcher>>, UnixMillis, UnixMillis), PrometheusFailure> {
    let start = params
        .parse("start", parse_prometheus_time)?
        .unwrap_or(UnixMillis(i64::MIN));
    let end = params
        .parse("end", parse_prometheus_time)?
        .unwrap_or(UnixMillis(i64::MAX));
    let selectors = params
        .all("match[]")
        .map(parse_selector)
        .collect::<Result<_, _>>()?;
    Ok((selectors, start, end))
}

pub(super) async fn metadata(State(context): State<Shared>, params: Params) -> Answer {
    let wanted = params.get("metric");
    let limit = params
        .parse("limit", |text| text.parse::<usize>().ok())?
        .unwrap_or(usize::MAX);
    let entries = context.store.metric_metadata();
    let entries = entries
        .into_iter()
        .filter(|entry| wanted.is_none_or(|metric| metric == entry.metric))
        .take(limit);
    let metadata: serde_json::Map<String, Json> = entries
        .map(|entry| {
            (
                entry.metric,
                json!([{"type": entry.kind, "help": entry.help, "unit": entry.unit}]),
            )
        })
        .collect();
    Ok(success(metadata))
}

pub(super) async fn rules(State(context): State<Shared>) -> Response {
    success(context.alerts.snapshot())
}

pub(super) async fn alerts(State(context): State<Shared>) -> Response {
    success(json!({"alerts": context.alerts.alerts()}))
}

pub(super) async fn buildinfo() -> Response {
    success(json!({
        "version": env!("CARGO_PKG_VERSION"), "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        "application": "vervet-collector",
    }))
}

/// There are no feature flags; clients ask to learn which they may use.
pub(super) async fn flags() -> Response {
    success(json!({}))
}

pub(super) fn labels_json(labels: &Labels) -> Json {
    labels
        .iter()
        .map(|label| (label.name.to_string(), Json::from(&*label.value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_as_prometheus_does() {
        let check = |start, end, step| {
            check_range(
                UnixMillis(start),
                UnixMillis(end),
                Duration::from_millis(step),
            )
            .is_ok()
        };
        assert!(check(0, 11_000, 1));
        assert!(!check(0, 12_000_000, 1_000));
        assert!(!check(2, 1, 1));
        assert!(!check(0, 1, 0));
    }
}
