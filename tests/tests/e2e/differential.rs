//! PromQL by a real Prometheus and by the collector, over the same samples.
//!
//! Prometheus scrapes itself, the collector and, where it is installed, the node exporter, and writes all of it on to the
//! collector by remote write; both are given some series that are made up. Then both are asked the same random queries, at
//! a moment and over a range, and their answers are compared: status, type of error, series, times and values.
//!
//! `VERVET_DIFFERENTIAL_QUERIES` and `VERVET_DIFFERENTIAL_SEED` set how many, and which.

mod answers;
mod made_up;
mod prometheus;
mod queries;

use std::collections::BTreeMap;
use std::time::Duration;

use answers::Answer;
use made_up::MadeUp;
use prometheus::Prometheus;
use queries::{Catalog, Queries};

use crate::harness::{Collector, CollectorOptions, now_nanos, say, skip, turn, within};

const QUERIES: usize = 2_000;
const SEED: u64 = 42;
/// What the real targets are scraped for.
const SCRAPED: Duration = Duration::from_secs(20);
/// Everything was written on within this.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// A part of a second that no sample and no step falls on (ms): up to Prometheus 2 a range held its left end, since 3 it does not.
const OFF_BEAT_MS: i64 = 377;
/// Differences that are shown.
const SHOWN_MAX: usize = 20;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn promql_answers_as_prometheus_does() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(CollectorOptions::new(dir.path())).await;
    let prometheus = match Prometheus::start(dir.path(), &collector.api).await {
        Ok(prometheus) => prometheus,
        Err(reason) => return skip("promql_answers_as_prometheus_does", &reason),
    };
    let began_ms = now_nanos() / 1_000_000;
    let made_up = MadeUp::until(began_ms);
    let end_ms = began_ms + i64::try_from(SCRAPED.as_millis()).unwrap();
    let end_ms = end_ms / 1000 * 1000 + OFF_BEAT_MS;
    // What is older than Prometheus itself it does not write on.
    let answers_from = [
        &prometheus.api,
        &format!("http://{}", collector.api.addresses.http),
    ];
    for server in answers_from {
        prometheus.write(server, made_up.request()).await;
    }
    written_on(&answers_from, end_ms).await;

    let catalog = Catalog::read(answers_from[0], &prometheus.client).await;
    let count = number("VERVET_DIFFERENTIAL_QUERIES", QUERIES as u64);
    let seed = number("VERVET_DIFFERENTIAL_SEED", SEED);
    let mut queries = Queries::new(&catalog, seed, (made_up.first_ms(), began_ms, end_ms));
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences = Vec::new();
    for _ in 0..count {
        let query = queries.next();
        for path in query.paths() {
            let mut both = Vec::new();
            for server in &answers_from {
                both.push(Answer::get(&prometheus.client, &format!("{server}{path}")).await);
            }
            let verdict = answers::compare(&query.text, &both[0], &both[1]);
            *tally.entry(verdict.name()).or_default() += 1;
            if let answers::Verdict::Differs(how) = verdict {
                differences.push(format!("{}\n  {path}\n  {how}", query.text));
            }
        }
    }
    say(&format!(
        "{count} queries of seed {seed}, each at a moment and over a range: {tally:?}"
    ));
    for difference in differences.iter().take(SHOWN_MAX) {
        say(difference);
    }
    assert!(
        differences.is_empty(),
        "{} answers differ",
        differences.len()
    );
    let of_samples = tally.get("same samples").copied().unwrap_or(0);
    assert!(
        of_samples * 3 > usize::try_from(count).unwrap() * 2,
        "too few answers had samples: {tally:?}"
    );
}

/// Waits until both hold the same samples up to a time.
async fn written_on(servers: &[&String; 2], end_ms: i64) {
    let client = reqwest::Client::new();
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let query = queries::encoded("{__name__=~\".+\"}[1h]");
    let path = format!("/api/v1/query?query={query}&time={}", seconds(end_ms));
    let limit = SCRAPED + WRITTEN_WITHIN;
    let mut last = String::new();
    let written = within(limit, async || {
        if now_nanos() / 1_000_000 < end_ms + 1_000 {
            return None;
        }
        let mut both = Vec::new();
        for server in servers {
            both.push(Answer::get(&client, &format!("{server}{path}")).await);
        }
        let verdict = answers::compare("", &both[0], &both[1]);
        last = format!("{verdict:?}");
        matches!(verdict, answers::Verdict::Same { samples: 1.. }).then_some(())
    })
    .await;
    assert!(written.is_some(), "not all is written on: {last}");
}
