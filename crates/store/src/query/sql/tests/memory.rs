//! What a statement takes, measured: statements that make much of little are refused or answered without the process
//! growing far beyond the memory of a query. In a process of their own, because a peak is the process's.

use std::process::Command;

use super::*;

/// Memory of a query (bytes).
const QUERY_MEMORY: usize = 32 << 20;
/// What the process may grow by in all: the memory of a query, what it takes besides, threads and the allocator.
const GROWTH_MAX: u64 = 192 << 20;

/// The most memory that this process had (bytes).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes << 10
}

/// `count` queries, each of which is made of the one before it.
fn chain(count: usize, first: &str, next: impl Fn(usize) -> String, last: &str) -> String {
    let queries = (0..count).map(|i| match i {
        0 => format!("a0 AS ({first})"),
        _ => format!("a{i} AS ({})", next(i - 1)),
    });
    let queries: Vec<String> = queries.collect();
    format!("WITH {} {last}", queries.join(","))
}

fn attacks() -> Vec<String> {
    let long = "x".repeat(60_000);
    let attacks = [made_up(), wide(&long), chains(&long)].concat();
    let explained = attacks.iter().map(|sql| format!("EXPLAIN VERBOSE {sql}"));
    explained.chain(attacks.clone()).collect()
}

/// Rows, texts and types from nothing.
fn made_up() -> Vec<String> {
    [
        "SELECT length(repeat('a',1000000000))",
        "SELECT length(replace(repeat('a',1000000),'a',repeat('b',2000)))",
        "SELECT count(*) FROM (SELECT unnest(range(1,100000)) FROM generate_series(1,1000000))",
        "SELECT sum(length(repeat('abcdefghij',cast(value as bigint)))) FROM generate_series(1,100000) t(value)",
        "SELECT repeat(repeat('a',10000),100000) FROM generate_series(1,10)",
        "SELECT array_length(range(1,100000000))",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM a) SELECT count(*) FROM a",
        "WITH RECURSIVE a AS (SELECT 'x' AS n UNION ALL SELECT n||n FROM a) SELECT max(length(n)) FROM a",
        "SELECT lpad('a',1000000000), rpad('a',1000000000)",
        "SELECT CAST(NULL AS INT[1000000000])",
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
        "SELECT arrow_cast(NULL, concat('FixedSizeBinary(', '2000000000)'))",
        "SELECT approx_percentile_cont(severity_number, 0.5, 2000000000) FROM logs",
        "SELECT count(*) FROM logs GROUP BY CUBE(time, body, severity_number, service_name, trace_id, span_id, level, event_name)",
        "SELECT sum(count(*)) OVER () FROM (SELECT body, regexp_like(body, body || '(\\w{400}){9}') AS m FROM logs) GROUP BY m, body",
        "SELECT count(*) FROM logs WHERE body ~ (body || '(\\w{400}){9}')",
    ]
    .map(str::to_owned)
    .into()
}

/// Rows made wide or kept.
fn wide(long: &str) -> Vec<String> {
    let rows = "logs a, logs b";
    vec![
        format!("SELECT max(q) FROM (SELECT max(a.body) OVER () AS q FROM {rows})"),
        "SELECT array_agg(body) OVER (ORDER BY time) FROM logs".to_owned(),
        format!(
            "SELECT max(s) FROM (SELECT a.time, sum(a.severity_number) OVER () AS s FROM {rows}, logs c)"
        ),
        format!(
            "SELECT length(string_agg(a.body, '{}')) FROM {rows}",
            &long[..30_000]
        ),
        format!("SELECT cardinality(array_agg(a.body)) FROM {rows}"),
        format!("SELECT count(DISTINCT a.body || b.body) FROM {rows}"),
        format!("SELECT max('{long}' || a.body) FROM {rows}"),
        format!("SELECT max(replace(a.body, '', '{long}')) FROM {rows}"),
        format!("SELECT max(regexp_replace(a.body, '.', '{long}', 'g')) FROM {rows}"),
        format!(
            "SELECT max(regexp_replace(a.body, '(.*)', '{}')) FROM {rows}",
            "${1}".repeat(14_000)
        ),
        format!("SELECT max(concat_ws('{long}', a.body, b.body, a.body, b.body)) FROM {rows}"),
        format!(
            "SELECT max(to_char(a.time, '{}')) FROM {rows}",
            "%c".repeat(28_000)
        ),
        format!("SELECT max(translate(a.body, 'x', '{long}')) FROM {rows}"),
        format!(
            "SELECT regexp_match(a.body, '{}x*{}') FROM {rows}",
            "(".repeat(90),
            ")".repeat(90)
        ),
        format!("SELECT '{long}' AS q FROM {rows}"),
        format!("SELECT CASE WHEN a.body = 'y' THEN a.body ELSE '{long}' END FROM {rows}"),
        format!("SELECT a.body FROM {rows} ORDER BY a.body || b.body"),
    ]
}

/// Queries of `WITH`, each made of the one before it.
fn chains(long: &str) -> Vec<String> {
    let doubled = |expression: &'static str| {
        move |before: usize| format!("SELECT {expression} AS q FROM a{before}")
    };
    vec![
        chain(
            26,
            "SELECT 1 AS q",
            |i| format!("SELECT x.q FROM a{i} x, a{i} y"),
            "SELECT count(*) FROM a25",
        ),
        chain(
            300,
            "SELECT 1 AS q",
            doubled("q + q"),
            "SELECT q FROM a299 WHERE q > 5",
        ),
        chain(
            300,
            "SELECT severity_number AS q FROM logs",
            doubled("q + q"),
            "SELECT q FROM a299 WHERE q > 5",
        ),
        chain(
            40,
            "SELECT body AS q FROM logs",
            doubled("q || q"),
            "SELECT max(length(q)) FROM a39",
        ),
        chain(
            12,
            "SELECT body AS q FROM logs",
            doubled("q || q"),
            "SELECT max(length(q)) FROM a11",
        ),
        chain(
            12,
            "SELECT body AS q FROM logs",
            doubled("concat(q, q, q, q)"),
            "SELECT q FROM a11",
        ),
        chain(
            12,
            &format!("SELECT '{}' AS q", &long[..20_000]),
            doubled("q || q"),
            "SELECT q FROM a11, logs",
        ),
        chain(
            6,
            "SELECT body AS q FROM logs",
            doubled("replace(q, 'x', q)"),
            "SELECT max(length(q)) FROM a5",
        ),
        chain(
            9,
            "SELECT body AS q FROM logs",
            |i| format!("SELECT concat(x.q, y.q) AS q FROM a{i} x JOIN a{i} y ON true LIMIT 1000"),
            "SELECT max(q) FROM a5",
        ),
    ]
}

/// Reads all of an answer, as a client would that keeps nothing.
async fn run(store: &Store, sql: &str) -> Result<usize, String> {
    let limits = SqlLimits::default();
    let mut rows = store
        .sql_rows(sql, limits)
        .await
        .map_err(|error| error.to_string())?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch.map_err(|error| error.to_string())?.num_rows();
    }
    Ok(count)
}

/// Set in the process that is measured.
const MEASURED: &str = "VERVET_TEST_SQL_MEASURED";
const NAME: &str =
    "query::sql::tests::memory::no_statement_takes_much_more_than_the_memory_of_a_query";

#[test]
fn no_statement_takes_much_more_than_the_memory_of_a_query() {
    if std::env::var_os(MEASURED).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(measure());
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(MEASURED, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("all attacks ended"), "{said}");
    assert!(output.status.success(), "{said}");
}

async fn measure() {
    let dir = tempfile::tempdir().unwrap();
    drop(log_store(&dir, 300));
    let store = Store::open(StoreConfig {
        query_memory_bytes: QUERY_MEMORY,
        queries_memory_bytes: 2 * QUERY_MEMORY,
        query_timeout: Duration::from_secs(3),
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    assert_eq!(run(&store, "SELECT body FROM logs").await, Ok(300));
    let before = peak();
    let mut grown = before;
    for sql in attacks() {
        let ended = run(&store, &sql).await;
        // The kernel counts roughly: its peak may become lower.
        let now = peak().max(grown);
        let head: String = sql.chars().take(150).collect();
        let (whole, more) = (now >> 20, (now - grown) >> 20);
        println!("{whole} MiB, {more} more: {ended:.90?} {head}");
        grown = now;
        // Otherwise nothing would be measured.
        assert_ne!(ended, Err(StoreError::Busy.to_string()), "{head}");
        assert!(now < before + GROWTH_MAX, "{head}: {whole} MiB");
        // A runaway query ends at its deadline, and others are answered meanwhile.
        assert_eq!(run(&store, "SELECT 1").await, Ok(1), "after {head}");
    }
    println!("all attacks ended");
}
