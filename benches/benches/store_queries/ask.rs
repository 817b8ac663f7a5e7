//! The requests, how often each is made, and what is printed of it.

use std::time::{Duration, Instant};

use vervet_benches::generate::START_UNIX_NANO;
use vervet_model::UnixNanos;
use vervet_store::{
    Aggregate, Direction, Field, Filter, LogRequest, NumberField, Store, Test, TraceQuery,
};

use super::fill::Needles;
use super::report::{Times, cpu_time, peak_mib, reset_peak, tell};

/// A request is made this often at least, and then until it took this long in all.
const RUNS_MIN: usize = 3;
const RUNS_TIME: Duration = Duration::from_secs(10);
/// From this many records on, the goals are those of the large store.
const LARGE_RECORDS: u64 = 50_000_000;
/// All records lie within.
const WINDOW: Duration = Duration::from_secs(2 * 86_400);
const MIB: f64 = 1024.0 * 1024.0;

/// Milliseconds of a warm request: of two million records, what VictoriaLogs takes on two cores; of a hundred million
/// log records or fifty million spans, what was set as a goal.
const GOALS: [(&str, Option<f64>, Option<f64>); 8] = [
    ("trace id", Some(3.0), Some(100.0)),
    ("rare word", None, Some(100.0)),
    ("word and level", Some(2.0), None),
    ("last 100 of a service", Some(133.0), Some(50.0)),
    ("count by level", Some(42.0), None),
    ("minutes by level", Some(86.0), Some(500.0)),
    ("count of a regex", Some(104.0), None),
    ("average and p99 by service", Some(490.0), None),
];
const SPAN_GOALS: [(&str, Option<f64>, Option<f64>); 1] = [("spans by trace id", None, Some(50.0))];

pub(crate) struct Asker {
    store: Store,
    runtime: tokio::runtime::Runtime,
    runs: usize,
    /// Requests are made whose name holds this.
    only: String,
    is_cold_first: bool,
    needles: Needles,
}

fn column(name: &str) -> Field {
    Field::column(name)
}

fn equals(field: Field, text: &str) -> Filter {
    Filter::is(field, Test::Equals(text.to_owned()))
}

fn body(test: Test) -> Filter {
    Filter::is(column("body"), test)
}

fn window() -> (UnixNanos, UnixNanos) {
    let start = UnixNanos(i64::try_from(START_UNIX_NANO).unwrap_or(0));
    (start, start.saturating_add(WINDOW))
}

fn asked(filter: Filter) -> LogRequest {
    let (start, end) = window();
    LogRequest {
        filter,
        start,
        end,
        limit: 100,
        direction: Direction::NewestFirst,
    }
}

fn by(name: &str) -> Aggregate {
    Aggregate {
        group_by: vec![column(name)],
        ..Aggregate::default()
    }
}

fn minutes(name: &str) -> Aggregate {
    Aggregate {
        bucket: Some(Duration::from_secs(60)),
        ..by(name)
    }
}

impl Asker {
    pub(crate) fn new(store: Store, runs: usize, needles: Needles) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            runtime: tokio::runtime::Runtime::new()?,
            runs,
            only: std::env::var("VERVET_ONLY").unwrap_or_default(),
            is_cold_first: std::env::var("VERVET_COLD").as_deref() != Ok("0"),
            needles,
        })
    }

    /// Makes all requests of what there is.
    pub(crate) fn ask(&self) -> anyhow::Result<()> {
        tell(&format!(
            "{:<38} {:>10} {:>10} {:>10} {:>8} {:>10} {:>9} {:>9}",
            "request", "cold ms", "warm ms", "p99 ms", "cpu ms", "found", "peak MiB", "goal ms"
        ));
        let stats = self.store.stats();
        if stats.logs.rows_stored > 0 {
            self.logs()?;
            self.counts()?;
            self.scans()?;
        }
        if stats.spans.rows_stored > 0 {
            self.spans()?;
        }
        Ok(())
    }

    fn goal(&self, name: &str) -> Option<f64> {
        let stats = self.store.stats();
        let of = |goals: &[(&str, Option<f64>, Option<f64>)], rows: u64| {
            let (_name, small, large) = goals.iter().find(|(known, ..)| *known == name)?;
            if rows >= LARGE_RECORDS {
                *large
            } else {
                *small
            }
        };
        of(&GOALS, stats.logs.rows_stored).or_else(|| of(&SPAN_GOALS, stats.spans.rows_stored))
    }

    /// Makes a request cold and warm by turns, and prints how long that took. The CPU time of one warm request.
    fn time(
        &self,
        name: &str,
        request: impl AsyncFn() -> anyhow::Result<usize>,
    ) -> anyhow::Result<Duration> {
        if !name.contains(&self.only) {
            return Ok(Duration::ZERO);
        }
        let once = |times: &mut Times| {
            let started = Instant::now();
            let found = self.runtime.block_on(request())?;
            times.push(started.elapsed());
            anyhow::Ok(found)
        };
        let (mut cold, mut warm) = (Times::default(), Times::default());
        let (mut found, mut runs, mut cpu) = (0, 0, Duration::ZERO);
        reset_peak();
        let began = Instant::now();
        while runs < self.runs && (runs < RUNS_MIN || began.elapsed() < RUNS_TIME) {
            if self.is_cold_first {
                self.store.forget_segments();
            }
            once(&mut cold)?;
            let before = cpu_time();
            found = once(&mut warm)?;
            cpu += cpu_time().saturating_sub(before);
            runs += 1;
        }
        let goal = self.goal(name);
        let cpu = cpu / u32::try_from(runs.max(1))?;
        tell(&format!(
            "{name:<38} {:>10.2} {:>10.2} {:>10.2} {:>8.1} {found:>10} {:>9.0} {:>9}",
            cold.quantile_ms(500),
            warm.quantile_ms(500),
            warm.quantile_ms(990),
            cpu.as_secs_f64() * 1e3,
            peak_mib(),
            goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.0}")),
        ));
        Ok(cpu)
    }

    fn search(&self, name: &str, filter: Filter) -> anyhow::Result<()> {
        let request = asked(filter);
        self.time(name, async || {
            Ok(self.store.search_logs(&request).await?.found.len())
        })?;
        Ok(())
    }

    fn count(&self, name: &str, filter: Filter, aggregate: &Aggregate) -> anyhow::Result<Duration> {
        let request = asked(filter);
        self.time(name, async || {
            let groups = self.store.aggregate_logs(&request, aggregate).await?.found;
            let cells = groups.iter().flat_map(|group| &group.cells);
            Ok(cells
                .map(|cell| usize::try_from(cell.count).unwrap_or(0))
                .sum())
        })
    }

    fn logs(&self) -> anyhow::Result<()> {
        let error = || equals(column("level"), "error");
        let word = |word: &str| body(Test::HasToken(word.to_owned()));
        let trace = Test::OneOf(vec![self.needles.log.0.to_vec()]);
        self.search("trace id", Filter::is(column("trace_id"), trace))?;
        self.search("rare word", word(&self.needles.word))?;
        self.search(
            "absent word and level",
            Filter::All(vec![word("0123456789"), error()]),
        )?;
        self.search(
            "rare word and level",
            Filter::All(vec![word(&self.needles.word), error()]),
        )?;
        self.search("word and level", Filter::All(vec![word("stock"), error()]))?;
        let payment = equals(column("service_name"), "payment");
        self.search("last 100 of a service", payment)?;
        self.search("last 100 of all", Filter::everything())?;
        let part = body(Test::Contains("99ff".to_owned()));
        self.search("last 100 with a part of a word", part)?;
        let method = Field::Attribute("http.request.method".to_owned());
        self.search("last 100 with an attribute", equals(method, "DELETE"))
    }

    fn counts(&self) -> anyhow::Result<()> {
        let host = Filter::is_not(column("host_name"), Test::Equals("worker-9".to_owned()));
        let all = Filter::everything;
        self.count("count by level", all(), &by("level"))?;
        self.count("minutes by level", all(), &minutes("level"))?;
        self.count("count by level, from rows", host.clone(), &by("level"))?;
        self.count("minutes by level, from rows", host, &minutes("level"))?;
        self.count("minutes by pod", all(), &minutes("k8s_pod_name"))?;
        let duration = NumberField {
            field: Field::Attribute("duration_ms".to_owned()),
            quantiles: true,
        };
        let by_service = Aggregate {
            numbers: vec![duration],
            ..by("service_name")
        };
        self.count("average and p99 by service", all(), &by_service)?;
        let status = Aggregate {
            group_by: vec![Field::Attribute("http.response.status_code".to_owned())],
            ..Aggregate::default()
        };
        self.count("count by an attribute", all(), &status)?;
        Ok(())
    }

    /// Counts of regular expressions that the index does not help with: all bodies are read.
    fn scans(&self) -> anyhow::Result<()> {
        const PATTERNS: [(&str, &str); 2] = [
            (
                "count of a regex",
                r"slow query [0-9a-f]+ took .* read \d{4,} rows",
            ),
            ("count of a regex without literals", r"\d{5,} [a-z]+$"),
        ];
        if !PATTERNS.iter().any(|(name, _)| name.contains(&self.only)) {
            return Ok(());
        }
        let with_bytes = Aggregate {
            bytes: true,
            ..Aggregate::default()
        };
        let groups = self
            .runtime
            .block_on(
                self.store
                    .aggregate_logs(&asked(Filter::everything()), &with_bytes),
            )?
            .found;
        let bytes: u64 = groups
            .iter()
            .flat_map(|group| &group.cells)
            .map(|cell| cell.bytes)
            .sum();
        for (name, pattern) in PATTERNS {
            let filter = body(Test::Regex(pattern.to_owned()));
            let cpu = self.count(name, filter, &Aggregate::default())?;
            if cpu > Duration::ZERO {
                let mib = bytes as f64 / MIB;
                tell(&format!(
                    "  {mib:.0} MiB of bodies, {:.0} MiB per CPU second",
                    mib / cpu.as_secs_f64()
                ));
            }
        }
        Ok(())
    }

    fn spans(&self) -> anyhow::Result<()> {
        self.time("spans by trace id", async || {
            Ok(self.store.trace(self.needles.span).await?.found.len())
        })?;
        let (start, end) = window();
        let query = TraceQuery {
            service: Some("payment".to_owned()),
            status: Some("error".to_owned()),
            start,
            end,
            limit: 20,
            ..TraceQuery::default()
        };
        self.time("newest 20 failed traces of a service", async || {
            Ok(self.store.search_traces(&query).await?.found.len())
        })?;
        self.time("services", async || {
            Ok(self.store.service_stats(start, end, 24).await?.found.len())
        })?;
        Ok(())
    }
}
