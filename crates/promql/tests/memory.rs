//! The memory of queries: refused at the limits, given back, and charged for what the allocator really gives.

#![expect(
    unsafe_code,
    reason = "an allocator that counts cannot be written without"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use vervet_model::{Labels, UnixMillis};
use vervet_promql::{
    Engine, EngineOptions, ErrorType, Features, HistogramSample, HistogramSeries, MemoryError,
    NativeHistogram, QueryError, QueryOutput, Queryable, QueryableError, Sample, SelectRequest,
    Series, StartSeries, StartTime,
};

const MIB: usize = 1 << 20;
const STEP: Duration = Duration::from_secs(60);
const MINUTE: i64 = 60_000;

/// The system's allocator, which counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it is; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What work takes at its peak beyond what is held before (bytes).
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).max(0).cast_unsigned())
}

/// Series of one sample a minute; each answer is a copy, whose labels are shared as a store shares them.
struct Stored(Vec<Series>);

impl Stored {
    fn new(series: usize, minutes: i64) -> Self {
        let one = |index: usize| Series {
            labels: Labels::from_pairs([
                ("__name__", "m_total".to_owned()),
                ("group", (index % 7).to_string()),
                ("instance", format!("10.0.0.{index}:9100")),
                ("le", (index % 5).to_string()),
                ("pod", format!("checkout-{index:06}")),
            ]),
            samples: (0..minutes)
                .map(|minute| Sample {
                    timestamp: minute * MINUTE,
                    value: (index as i64 * minute % 1_000) as f64,
                })
                .collect(),
        };
        Self((0..series).map(one).collect())
    }
}

impl Queryable for Stored {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let within = |sample: &&Sample| {
            sample.timestamp >= request.start.0 && sample.timestamp <= request.end.0
        };
        let cut = |series: &Series| Series {
            labels: series.labels.clone(),
            samples: series.samples.iter().filter(within).copied().collect(),
        };
        let all = self.0.iter().map(cut);
        Ok(all.filter(|series| !series.samples.is_empty()).collect())
    }

    fn select_starts(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<StartSeries>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let starts = |series: &Series| StartSeries {
            labels: series.labels.clone(),
            starts: series
                .samples
                .iter()
                .map(|sample| sample.timestamp)
                .filter(|timestamp| window.contains(timestamp))
                .map(|timestamp| StartTime {
                    timestamp,
                    start: 1,
                })
                .collect(),
        };
        Ok(self.0.iter().map(starts).collect())
    }
}

fn engine(memory_max: usize, memory_together_max: usize) -> Engine {
    Engine::new(EngineOptions {
        memory_max,
        memory_together_max,
        features: Features::all(),
        ..EngineOptions::default()
    })
}

fn range(
    engine: &Engine,
    store: &dyn Queryable,
    query: &str,
    minutes: i64,
) -> Result<QueryOutput, QueryError> {
    engine.range(
        store,
        query,
        UnixMillis(0),
        UnixMillis((minutes - 1) * MINUTE),
        STEP,
    )
}

fn refused(error: &QueryError) -> MemoryError {
    match error {
        QueryError::Memory(error) => *error,
        other => panic!("{other}"),
    }
}

const SHAPES: [&str; 31] = [
    "m_total",
    "-m_total",
    "m_total > 50",
    "m_total * 2 + 1",
    "rate(m_total[5m])",
    "max_over_time(rate(m_total[5m])[10m:1m])",
    "sum(m_total)",
    "sum by (group) (rate(m_total[5m]))",
    "sum without (le) (m_total)",
    "avg by (instance, pod) (m_total)",
    "stddev by (group) (m_total)",
    "quantile by (group) (0.9, m_total)",
    "count_values by (group) (\"value\", m_total)",
    "topk(10, m_total)",
    "topk by (pod) (1, m_total)",
    "bottomk(100000, m_total)",
    "limit_ratio(0.5, m_total)",
    "m_total + m_total",
    "m_total + on (instance) m_total + on (instance) m_total",
    "m_total * on (group) group_left (biggest) count by (group) (m_total)",
    "m_total and m_total",
    "m_total or label_replace(m_total, \"new\", \"$1\", \"pod\", \"(.*)\")",
    "label_join(m_total, \"joined\", \"-\", \"pod\", \"instance\", \"group\")",
    "histogram_quantile(0.9, m_total)",
    "sort_desc(round(clamp(m_total, 10, 20), 5))",
    "m_total @ 60",
    "m_total smoothed",
    "rate(m_total[5m] smoothed)",
    "increase(m_total[5m] anchored)",
    "info(m_total)",
    "start_timestamp(m_total)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn what_is_charged_is_at_least_half_of_what_is_allocated(
        series in 200_usize..500,
        minutes in 2_i64..90,
    ) {
        let store = Stored::new(series, minutes);
        let engine = engine(usize::MAX, usize::MAX);
        for query in SHAPES {
            let (range, seen) = peak_of(|| range(&engine, &store, query, minutes));
            check(query, range, seen);
            let at = UnixMillis((minutes - 1) * MINUTE);
            let (instant, seen) = peak_of(|| engine.instant(&store, query, at));
            check(query, instant, seen);
        }
        assert_eq!(engine.memory_used(), 0, "all is given back");
    }
}

/// The parsed query and its errors are not counted.
const UNCOUNTED_BYTES: usize = 64 << 10;

fn check(query: &str, output: Result<QueryOutput, QueryError>, seen: usize) {
    let charged = match output {
        Ok(output) => output.memory.peak(),
        // These series are no histograms with unique buckets, or match more than once; the way there counts too.
        Err(QueryError::Execution(_)) => return,
        Err(error) => panic!("{query}: {error}"),
    };
    assert!(
        charged * 2 + UNCOUNTED_BYTES >= seen,
        "{query}: {charged} charged, {seen} allocated"
    );
    assert!(
        charged <= seen * 5 + UNCOUNTED_BYTES,
        "{query}: {charged} charged, {seen} allocated"
    );
}

/// The error of a query that must be refused for its memory, and what was allocated until then.
fn refusal(engine: &Engine, store: &Stored, query: &str) -> (QueryError, usize) {
    let (outcome, seen) = peak_of(|| range(engine, store, query, 60));
    match outcome {
        Ok(output) => panic!("{query}: is answered with {}", output.memory.peak()),
        Err(error) => (error, seen),
    }
}

#[test]
fn a_join_over_many_series_is_refused_with_the_limit_and_what_took_it() {
    let store = Stored::new(3_000, 60);
    let query = "m_total + on (instance) m_total + on (instance) m_total";
    let engine = engine(12 * MIB, 64 * MIB);
    let (error, seen) = refusal(&engine, &store, query);
    let expected = MemoryError::Query {
        what: "the series that an operator matches",
        limit: 12 * MIB,
    };
    assert_eq!(refused(&error), expected);
    assert_eq!(error.error_type(), ErrorType::Execution);
    let text = error.to_string();
    assert!(
        text.contains("12 MiB") && text.contains("matches"),
        "{text}"
    );
    assert!(seen <= 2 * 12 * MIB, "{seen} were allocated on the way");
    assert_eq!(engine.memory_used(), 0);
}

#[test]
fn hostile_queries_end_at_the_limit_and_not_beyond_it() {
    let store = Stored::new(2_000, 60);
    let read = range(&engine(usize::MAX, usize::MAX), &store, "m_total", 60).expect("valid");
    // Reading the series is allowed, what is made of them is not.
    let limit = read.memory.peak() + read.memory.peak() / 16;
    drop(read);
    let engine = engine(limit, 64 * MIB);
    for query in [
        "count_values(\"v\", m_total * 1.5)",
        "m_total or m_total or m_total",
        "m_total and m_total and m_total",
        "sum by (pod) (m_total) / on (pod) sum by (pod) (m_total)",
        "quantile by (pod) (0.5, m_total)",
        "topk by (pod) (1, m_total)",
        concat!(
            "label_join(m_total, \"a\", \"a-very-long-separator-of-texts-of-a-hundred-letters-or-so-which-takes-more-than-samples-",
            "do\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\")"
        ),
        "histogram_quantile(0.5, m_total)",
        "vector(1) + sum_over_time(vector(1)[1y:20s])",
        "max_over_time(vector(time())[10y:60s])",
        "avg_over_time(m_total[1h:10ms])",
    ] {
        let (error, seen) = refusal(&engine, &store, query);
        assert!(
            matches!(refused(&error), MemoryError::Query { .. }),
            "{query}: {error}"
        );
        assert!(seen <= 2 * limit, "{query}: {seen} were allocated");
        assert_eq!(engine.memory_used(), 0, "{query}");
    }
}

#[test]
fn answers_that_are_kept_stop_others_until_they_are_dropped() {
    let store = Stored::new(1_000, 60);
    let one = range(&engine(usize::MAX, usize::MAX), &store, "m_total", 60).expect("valid");
    let engine = engine(64 * MIB, one.memory.peak() + one.memory.held() / 2);
    let kept = range(&engine, &store, "m_total", 60).expect("alone there is room");
    let error = range(&engine, &store, "m_total", 60).expect_err("the other is kept");
    assert!(
        matches!(refused(&error), MemoryError::Together { .. }),
        "{error}"
    );
    assert_eq!(error.error_type(), ErrorType::Timeout);
    drop(kept);
    range(&engine, &store, "m_total", 60).expect("there is room again");
    assert_eq!(engine.memory_used(), 0);
}

/// A target with many info metrics, of one of which another series is the newest every minute.
struct Target {
    metrics: usize,
    minutes: i64,
}

impl Queryable for Target {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let series = |name: &str, version: String, minutes: std::ops::Range<i64>| Series {
            labels: Labels::from_pairs([
                ("__name__", name),
                ("instance", "i"),
                ("job", "j"),
                ("version", &version),
            ]),
            samples: minutes
                .map(|minute| Sample {
                    timestamp: minute * MINUTE,
                    value: 1.0,
                })
                .collect(),
        };
        let idle =
            (0..self.metrics).map(|metric| series(&format!("x{metric}_info"), String::new(), 0..1));
        let changing = (0..self.minutes)
            .map(|minute| series("x_info", format!("v{minute}"), minute..minute + 1));
        let up = series("up", String::new(), 0..self.minutes);
        let matching = |series: &Series| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
        };
        let all = idle.chain(changing).chain(std::iter::once(up));
        Ok(all.filter(matching).collect())
    }
}

#[test]
fn combinations_of_info_series_are_charged() {
    let store = Target {
        metrics: 2_000,
        minutes: 300,
    };
    let engine = engine(usize::MAX, usize::MAX);
    let query = "info(up, {__name__=~\"x.*_info\"})";
    let (output, seen) = peak_of(|| range(&engine, &store, query, store.minutes));
    let combinations = store.metrics * usize::try_from(store.minutes).expect("positive");
    assert!(seen > combinations * size_of::<usize>(), "{seen} allocated");
    check(query, output, seen);
}

/// One series of native histograms with many buckets, one an hour.
struct Buckets;

impl Queryable for Buckets {
    fn select(&self, _request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        Ok(Vec::new())
    }

    fn select_histograms(
        &self,
        _request: &SelectRequest<'_>,
    ) -> Result<Vec<HistogramSeries>, QueryableError> {
        let at = |hour: i64| HistogramSample {
            timestamp: hour * 60 * MINUTE,
            histogram: std::sync::Arc::new(NativeHistogram {
                positive: (0..640).map(|bucket| (bucket, hour as f64)).collect(),
                ..NativeHistogram::default()
            }),
        };
        Ok(vec![HistogramSeries {
            labels: Labels::from_pairs([("__name__", "m")]),
            samples: (0..25).map(at).collect(),
        }])
    }
}

#[test]
fn histograms_between_samples_are_refused_before_they_are_made() {
    let engine = Engine::new(EngineOptions {
        memory_max: 2 * MIB,
        lookback_delta: Duration::from_secs(7_200),
        features: Features::all(),
        ..EngineOptions::default()
    });
    let (outcome, seen) = peak_of(|| range(&engine, &Buckets, "m smoothed", 24 * 60));
    let error = outcome.expect_err("too many histograms");
    assert!(
        matches!(refused(&error), MemoryError::Query { .. }),
        "{error}"
    );
    assert!(seen <= 2 * 2 * MIB, "{seen} were allocated");
    // Where all steps share a histogram, it counts once.
    let early = range(&engine, &Buckets, "m smoothed @ 0", 24 * 60).expect("one histogram");
    assert_eq!(early.histograms.len(), 1);
}

/// Panics when it is asked a second time, with memory of the first answer held.
struct Faulty(Stored, parking_lot::Mutex<usize>);

impl Queryable for Faulty {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let mut asked = self.1.lock();
        *asked += 1;
        request.memory.grow(MIB, "what a store gathers")?;
        assert!(*asked < 2, "the store breaks");
        self.0.select(request)
    }
}

#[test]
fn a_query_that_panics_gives_back_what_it_held() {
    let store = Faulty(Stored::new(10, 10), parking_lot::Mutex::new(0));
    let engine = engine(8 * MIB, 8 * MIB);
    let run = || range(&engine, &store, "m_total + m_total", 10).map(|_| ());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    outcome.expect_err("the store panics");
    assert_eq!(engine.memory_used(), 0);
}

#[test]
fn what_a_store_gathers_counts_until_it_has_answered() {
    let store = Faulty(Stored::new(10, 10), parking_lot::Mutex::new(0));
    let small = engine(MIB / 2, 8 * MIB);
    let error = range(&small, &store, "m_total", 10).expect_err("no room to gather");
    let expected = MemoryError::Query {
        what: "what a store gathers",
        limit: MIB / 2,
    };
    assert_eq!(refused(&error), expected);
    *store.1.lock() = 0;
    let output = range(&engine(8 * MIB, 8 * MIB), &store, "m_total", 10).expect("valid");
    assert!(output.memory.held() < MIB / 2 && output.memory.peak() >= MIB);
}
