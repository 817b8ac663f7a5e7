//! How long typed requests take over generated logs and spans: cold, with nothing of the segments in memory but
//! what the operating system keeps of the files, and warm.
//!
//! `VERVET_RECORDS` sets the number of log records (two million by default), of which there are as many spans;
//! `VERVET_RUNS` how often each request is made (9). Records are spread over ten hours. Printed are medians.

use std::time::{Duration, Instant};

use vervet_benches::generate::START_UNIX_NANO;
use vervet_benches::generate::logs::Logs;
use vervet_benches::generate::spans::{SPANS_PER_TRACE, Spans};
use vervet_model::{Signal, TraceId, UnixNanos};
use vervet_store::{
    Aggregate, DecodeOptions, Direction, Field, Filter, LogRequest, NumberField, PromoteConfig,
    PromoteKey, Store, StoreConfig, Test, decode,
};

const SEED: u64 = 11;
const RECORDS_DEFAULT: usize = 2_000_000;
const RUNS_DEFAULT: usize = 9;
const REQUEST_RECORDS: usize = 1_000;
/// A flush at least this often (records), so that the head stays small.
const FLUSH_RECORDS: usize = 400_000;
const HOURS: u64 = 10;

fn main() -> anyhow::Result<()> {
    let records = setting("VERVET_RECORDS", RECORDS_DEFAULT);
    let runs = setting("VERVET_RUNS", RUNS_DEFAULT);
    let runtime = tokio::runtime::Runtime::new()?;
    let dir =
        tempfile::tempdir_in(std::env::var("VERVET_WORK_DIR").unwrap_or_else(|_| ".".into()))?;
    let mut store = Store::open(StoreConfig {
        promote: promoted(),
        ..StoreConfig::new(dir.path())
    })?;
    let ids = fill(&mut store, records)?;
    tell(&sizes(&store, records));
    let bench = Bench {
        store,
        runtime,
        runs,
    };
    tell("request                                   cold ms    warm ms     found");
    bench.logs(&ids)?;
    bench.counts()?;
    bench.spans(&ids)
}

/// The attributes that usage would promote after two flushes, from the first one on.
fn promoted() -> PromoteConfig {
    let key = |key: &str| PromoteKey {
        key: key.to_owned(),
        kind: None,
    };
    PromoteConfig {
        logs: [
            "process.pid",
            "http.request.method",
            "url.path",
            "http.response.status_code",
            "duration_ms",
        ]
        .map(key)
        .to_vec(),
        ..PromoteConfig::default()
    }
}

fn setting(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

fn tell(line: &str) {
    use std::io::Write as _;
    let _closed = writeln!(std::io::stdout().lock(), "{line}");
}

/// Trace ids from the middle of what was stored.
struct Ids {
    log: TraceId,
    span: TraceId,
}

fn fill(store: &mut Store, records: usize) -> anyhow::Result<Ids> {
    let pace = HOURS * 3_600_000_000_000 / records.max(1) as u64;
    let options = DecodeOptions::default();
    let received_at = UnixNanos(i64::try_from(START_UNIX_NANO)?.saturating_add(86_400_000_000_000));
    let mut logs = Logs::spread(SEED, pace);
    let mut spans = Spans::new(SEED);
    let (mut sequence, mut since_flush) = (0, 0);
    let mut ids = None;
    let started = Instant::now();
    for stored in (0..records).step_by(REQUEST_RECORDS) {
        let requests = [
            (Signal::Logs, logs.request(REQUEST_RECORDS)),
            (
                Signal::Traces,
                spans.request(REQUEST_RECORDS / SPANS_PER_TRACE),
            ),
        ];
        if ids.is_none() && stored * 2 >= records {
            let [(_, log), (_, span)] = &requests;
            ids = Some(Ids {
                log: a_trace_id(log, Signal::Logs),
                span: a_trace_id(span, Signal::Traces),
            });
        }
        for (signal, body) in requests {
            sequence += 1;
            store.apply(
                sequence,
                decode(signal, &body, &options, received_at)?,
                None,
            );
        }
        since_flush += REQUEST_RECORDS;
        if since_flush >= FLUSH_RECORDS {
            store.flush()?;
            since_flush = 0;
        }
    }
    store.flush()?;
    tell(&format!(
        "stored in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    ids.ok_or_else(|| anyhow::anyhow!("no records"))
}

/// The trace id of the first record of a request.
fn a_trace_id(body: &[u8], signal: Signal) -> TraceId {
    let mut found = None;
    let note = |id: &[u8], found: &mut Option<TraceId>| {
        if found.is_none() {
            *found = TraceId::from_bytes(id);
        }
    };
    let read = match signal {
        Signal::Logs => vervet_wire::otlp::for_each_log(body, |_, _, record| {
            note(record.trace_id, &mut found);
        }),
        _ => vervet_wire::otlp::for_each_span(body, |_, _, span| note(span.trace_id, &mut found)),
    };
    assert!(read.is_ok(), "a generated request is valid");
    found.unwrap_or_default()
}

fn sizes(store: &Store, records: usize) -> String {
    let stats = store.stats();
    let each = |bytes: u64, rows: u64| bytes as f64 / rows.max(1) as f64;
    format!(
        "{records} log records: {} files, {:.1} bytes each; {} spans: {} files, {:.1} bytes each",
        stats.logs.files,
        each(stats.logs.bytes, stats.logs.rows_stored),
        stats.spans.rows_stored,
        stats.spans.files,
        each(stats.spans.bytes, stats.spans.rows_stored),
    )
}

struct Bench {
    store: Store,
    runtime: tokio::runtime::Runtime,
    runs: usize,
}

fn column(name: &str) -> Field {
    Field::column(name)
}

fn equals(field: Field, text: &str) -> Filter {
    Filter::is(field, Test::Equals(text.to_owned()))
}

fn asked(filter: Filter) -> LogRequest {
    let start = i64::try_from(START_UNIX_NANO).unwrap_or(0);
    LogRequest {
        filter,
        start: UnixNanos(start),
        end: UnixNanos(start + 86_400_000_000_000),
        limit: 100,
        direction: Direction::NewestFirst,
    }
}

impl Bench {
    /// Makes a request cold and warm, and prints the medians.
    fn time(
        &self,
        name: &str,
        request: impl AsyncFn() -> anyhow::Result<usize>,
    ) -> anyhow::Result<()> {
        let once = || {
            let started = Instant::now();
            let found = self.runtime.block_on(request())?;
            anyhow::Ok((started.elapsed(), found))
        };
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        let mut found = 0;
        for _ in 0..self.runs {
            self.store.forget_segments();
            cold.push(once()?.0);
            let (time, rows) = once()?;
            warm.push(time);
            found = rows;
        }
        let [cold, warm] = [median(cold), median(warm)].map(|time| time.as_secs_f64() * 1e3);
        tell(&format!("{name:<38} {cold:>10.2} {warm:>10.2} {found:>9}"));
        Ok(())
    }

    fn search(&self, name: &str, request: &LogRequest) -> anyhow::Result<()> {
        self.time(name, async || {
            Ok(self.store.search_logs(request).await?.found.len())
        })
    }

    fn count(&self, name: &str, filter: Filter, aggregate: &Aggregate) -> anyhow::Result<()> {
        let request = asked(filter);
        self.time(name, async || {
            let groups = self.store.aggregate_logs(&request, aggregate).await?.found;
            let cells = groups.iter().flat_map(|group| &group.cells);
            Ok(cells
                .map(|cell| usize::try_from(cell.count).unwrap_or(0))
                .sum())
        })
    }

    fn logs(&self, ids: &Ids) -> anyhow::Result<()> {
        let body = |test| Filter::is(column("body"), test);
        let trace = Test::OneOf(vec![ids.log.0.to_vec()]);
        self.search("trace id", &asked(Filter::is(column("trace_id"), trace)))?;
        let absent = Test::HasToken("0123456789".to_owned());
        self.search(
            "absent word and level",
            &asked(Filter::All(vec![
                body(absent),
                equals(column("level"), "error"),
            ])),
        )?;
        let word = Test::HasToken("stock".to_owned());
        self.search(
            "word and level",
            &asked(Filter::All(vec![
                body(word),
                equals(column("level"), "error"),
            ])),
        )?;
        self.search(
            "last 100 of a service",
            &asked(equals(column("service_name"), "payment")),
        )?;
        self.search("last 100 of all", &asked(Filter::everything()))?;
        let text = Test::Contains("99ff".to_owned());
        self.search("last 100 with a part of a word", &asked(body(text)))?;
        let path = Field::Attribute("http.request.method".to_owned());
        self.search("last 100 with an attribute", &asked(equals(path, "DELETE")))
    }

    fn counts(&self) -> anyhow::Result<()> {
        let by = |name: &str| Aggregate {
            group_by: vec![column(name)],
            ..Aggregate::default()
        };
        let minutes = |name: &str| Aggregate {
            bucket: Some(Duration::from_secs(60)),
            ..by(name)
        };
        let regex = |text: &str| Filter::is(column("body"), Test::Regex(text.to_owned()));
        let host = Filter::is_not(column("host_name"), Test::Equals("worker-9".to_owned()));
        self.count("count by level", Filter::everything(), &by("level"))?;
        self.count("minutes by level", Filter::everything(), &minutes("level"))?;
        self.count("count by level, from rows", host.clone(), &by("level"))?;
        self.count("minutes by level, from rows", host, &minutes("level"))?;
        self.count(
            "minutes by pod",
            Filter::everything(),
            &minutes("k8s_pod_name"),
        )?;
        self.count(
            "count of a regex",
            regex(r"slow query [0-9a-f]+ took .* read \d{4,} rows"),
            &Aggregate::default(),
        )?;
        self.count(
            "count of a regex without literals",
            regex(r"\d{5,} [a-z]+$"),
            &Aggregate::default(),
        )?;
        let duration = NumberField {
            field: Field::Attribute("duration_ms".to_owned()),
            quantiles: true,
        };
        let by_service = Aggregate {
            numbers: vec![duration],
            ..by("service_name")
        };
        self.count(
            "average and p99 by service",
            Filter::everything(),
            &by_service,
        )?;
        let status = Aggregate {
            group_by: vec![Field::Attribute("http.response.status_code".to_owned())],
            ..Aggregate::default()
        };
        self.count("count by an attribute", Filter::everything(), &status)
    }

    fn spans(&self, ids: &Ids) -> anyhow::Result<()> {
        self.time("spans by trace id", async || {
            Ok(self.store.trace(ids.span).await?.found.len())
        })?;
        let start = UnixNanos(i64::try_from(START_UNIX_NANO)?);
        let end = start.saturating_add(Duration::from_secs(86_400));
        let query = vervet_store::TraceQuery {
            service: Some("payment".to_owned()),
            status: Some("error".to_owned()),
            start,
            end,
            limit: 20,
            ..vervet_store::TraceQuery::default()
        };
        self.time("newest 20 failed traces of a service", async || {
            Ok(self.store.search_traces(&query).await?.found.len())
        })?;
        self.time("services", async || {
            Ok(self.store.service_stats(start, end, 24).await?.found.len())
        })
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
