//! What Prometheus tells of itself, for its clients: targets, configuration, how it runs, what it holds.

use std::collections::HashMap;
use std::num::NonZero;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value as Json, json};
use vervet_model::{Clock, Labels, SystemClock, UnixNanos};
use vervet_store::Store;

use super::Answer;
use crate::api::Shared;
use crate::api::params::Params;
use crate::api::response::success;
use crate::time;

/// Entries of a list of `status/tsdb` that nobody asked for more of, as in Prometheus.
const TOP_DEFAULT: usize = 10;
/// Entries at most, as in Prometheus.
const TOP_MAX: usize = 10_000;

/// Agents scrape, the collector does not.
pub(crate) async fn targets() -> Response {
    success(json!({"activeTargets": [], "droppedTargets": []}))
}

pub(crate) async fn config(State(context): State<Shared>) -> Response {
    success(json!({"yaml": context.settings.yaml}))
}

pub(crate) async fn runtimeinfo(State(context): State<Shared>) -> Response {
    let folder = std::env::current_dir().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let started = time::text(context.started);
    success(json!({
        "startTime": started, "serverTime": time::text(SystemClock.now()), "CWD": folder.display().to_string(),
        "reloadConfigSuccess": true, "lastConfigTime": started,
        "corruptionCount": context.store.damaged_segments().len(),
        "goroutineCount": tasks, "GOMAXPROCS": processors, "GOMEMLIMIT": 0, "GOGC": "", "GODEBUG": "",
        "storageRetention": context.settings.retention,
    }))
}

pub(crate) async fn tsdb(State(context): State<Shared>, params: Params) -> Answer {
    let limit = |text: &str| {
        text.parse()
            .ok()
            .filter(|limit| (1..=TOP_MAX).contains(limit))
    };
    let limit = params.parse("limit", limit)?.unwrap_or(TOP_DEFAULT);
    let samples = context.store.stats().samples;
    let millis = |time: Option<UnixNanos>, none| time.map_or(none, |time| time.to_millis().0);
    let times = [
        millis(samples.oldest, i64::MAX),
        millis(samples.newest, i64::MIN),
    ];
    let list = move |store: &Store| {
        let series = store.series(&[], i64::MIN, i64::MAX);
        statistics(&series, limit, times)
    };
    Ok(success(context.queries.list(list).await?))
}

/// What there is most of among the labels of some series. There are no chunks in the store.
fn statistics(series: &[Labels], limit: usize, [first, last]: [i64; 2]) -> Json {
    // How many series have each value of each label.
    let mut counts: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for label in series.iter().flat_map(Labels::iter) {
        let values = counts.entry(&label.name).or_default();
        *values.entry(&label.value).or_default() += 1;
    }
    let no_metrics = HashMap::new();
    let metrics = counts.get("__name__").unwrap_or(&no_metrics);
    let metrics = metrics
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count));
    let values = counts
        .iter()
        .map(|(name, values)| ((*name).to_owned(), values.len()));
    let bytes = counts.iter().map(|(name, values)| {
        let bytes = values.iter().map(|(value, count)| value.len() * count);
        ((*name).to_owned(), bytes.sum())
    });
    let pairs = counts.iter().flat_map(|(name, values)| {
        let pair = move |(value, count): (&&str, &usize)| (format!("{name}={value}"), *count);
        values.iter().map(pair)
    });
    let distinct: usize = counts.values().map(HashMap::len).sum();
    json!({
        "headStats": {
            "numSeries": series.len(), "numLabelPairs": distinct, "chunkCount": 0, "minTime": first, "maxTime": last,
        },
        "seriesCountByMetricName": top(metrics, limit),
        "labelValueCountByLabelName": top(values, limit),
        "memoryInBytesByLabelName": top(bytes, limit),
        "seriesCountByLabelValuePair": top(pairs, limit),
    })
}

/// The largest counts with their names.
fn top(counts: impl Iterator<Item = (String, usize)>, limit: usize) -> Json {
    let mut counts: Vec<(String, usize)> = counts.collect();
    counts.sort_unstable_by(|(a, more), (b, fewer)| fewer.cmp(more).then_with(|| a.cmp(b)));
    let entries = counts.into_iter().take(limit);
    entries
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_counted_by_name_label_and_value() {
        let series = [
            [("__name__", "up"), ("job", "api")],
            [("__name__", "up"), ("job", "web")],
            [("__name__", "down"), ("job", "api")],
        ]
        .map(Labels::from_pairs);
        let told = statistics(&series, 2, [5, 7]);
        assert_eq!(
            told["headStats"],
            json!({"numSeries": 3, "numLabelPairs": 4, "chunkCount": 0, "minTime": 5, "maxTime": 7})
        );
        let entry = |name: &str, value: usize| json!({"name": name, "value": value});
        assert_eq!(
            told["seriesCountByMetricName"],
            json!([entry("up", 2), entry("down", 1)])
        );
        assert_eq!(
            told["labelValueCountByLabelName"],
            json!([entry("__name__", 2), entry("job", 2)])
        );
        assert_eq!(
            told["memoryInBytesByLabelName"],
            json!([entry("job", 9), entry("__name__", 8)])
        );
        assert_eq!(
            told["seriesCountByLabelValuePair"],
            json!([entry("__name__=up", 2), entry("job=api", 2)])
        );
        assert_eq!(
            statistics(&[], 2, [5, 7])["seriesCountByMetricName"],
            json!([])
        );
    }
}
