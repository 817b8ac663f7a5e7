use vervet_model::ManualClock;

use super::super::tests::try_chain;
use super::*;
use crate::metrics::AgentMetrics;

struct Limited {
    clock: Arc<ManualClock>,
    step: RatelimitStep,
}

fn limited(settings: &str) -> Limited {
    let spec: RatelimitSpec =
        crate::config::read_document("test", settings, &NoSources).expect("a spec");
    let config = RatelimitConfig::try_from(spec).expect("valid");
    let clock = Arc::new(ManualClock::default());
    clock.set(UnixNanos(1_000_000_000_000));
    let shared: Arc<dyn Clock> = clock.clone();
    let metrics = AgentMetrics::default();
    let step = config.compile(&StepContext {
        name: "limit",
        signal: vervet_model::Signal::Logs,
        metrics: &metrics,
        clock: &shared,
        pods: &crate::kubernetes::PodDirectory::none(),
    });
    Limited { clock, step }
}

struct NoSources;

impl crate::config::substitute::Sources for NoSources {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &std::path::Path) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

fn service(name: &str) -> Resource<'static> {
    Resource {
        attributes: vec![KeyValue::new("service.name", name.to_owned())],
    }
}

impl Limited {
    /// How many of `count` records with a body of `bytes` pass.
    fn passed(&self, service_name: &str, count: usize, bytes: usize) -> usize {
        let resource = service(service_name);
        let record = LogRecord {
            body: "x".repeat(bytes).into(),
            ..LogRecord::default()
        };
        (0..count)
            .filter(|_| self.step.log(&resource, &record).is_ok())
            .count()
    }

    fn advance(&self, millis: u64) {
        let now = self
            .clock
            .now()
            .saturating_add(Duration::from_millis(millis));
        self.clock.set(now);
    }
}

#[test]
fn a_burst_passes_then_the_rate() {
    let limited = limited("{records_per_second: 5, burst: 2s}");
    assert_eq!(limited.passed("a", 100, 1), 10);
    limited.advance(1_000);
    assert_eq!(limited.passed("a", 100, 1), 5);
    limited.advance(60_000);
    assert_eq!(
        limited.passed("a", 100, 1),
        10,
        "no more than a burst is saved up"
    );
}

#[test]
fn streams_do_not_share_their_buckets() {
    let limited = limited("{records_per_second: 1, burst: 3s}");
    assert_eq!(limited.passed("a", 9, 1), 3);
    assert_eq!(limited.passed("b", 9, 1), 3);
    assert_eq!(limited.passed("a", 9, 1), 0);
}

#[test]
fn bytes_are_bounded_with_their_own_reason() {
    let limited = limited("{bytes_per_second: 1KiB, burst: 10s}");
    assert_eq!(limited.passed("a", 100, 1_000), 9);
    let record = LogRecord {
        body: "x".repeat(1_000).into(),
        ..LogRecord::default()
    };
    let reason = limited.step.log(&service("a"), &record).expect_err("over");
    assert_eq!(reason.as_str(), "limit:bytes");
    // A record larger than the bucket passes when the bucket is full, then it is in debt.
    assert_eq!(limited.passed("b", 2, 50_000), 1);
    limited.advance(30_000);
    assert_eq!(limited.passed("b", 2, 1), 0);
    limited.advance(60_000);
    assert_eq!(limited.passed("b", 2, 1), 2);
}

#[test]
fn streams_are_bounded_and_silent_ones_forgotten() {
    let limited = limited("{records_per_second: 1, burst: 2s, streams_max: 3}");
    for name in ["a", "b", "c"] {
        assert_eq!(limited.passed(name, 5, 1), 2);
    }
    // There is no place: these two share one bucket.
    assert_eq!(limited.passed("d", 5, 1), 2);
    assert_eq!(limited.passed("e", 5, 1), 0);
    limited.advance(2_000);
    assert_eq!(limited.passed("d", 5, 1), 2);
    assert_eq!(limited.passed("e", 5, 1), 2, "the silent ones made room");
    assert!(limited.step.streams.lock().buckets.len() <= 3);
}

#[test]
fn a_clock_set_back_neither_floods_nor_blocks() {
    let limited = limited("{records_per_second: 1, burst: 2s}");
    assert_eq!(limited.passed("a", 5, 1), 2);
    limited.clock.set(UnixNanos(0));
    assert_eq!(limited.passed("a", 5, 1), 0);
    limited.advance(2_000);
    assert_eq!(limited.passed("a", 5, 1), 2);
}

#[test]
fn a_metric_costs_its_points() {
    use vervet_wire::otlp::{MetricData, NumberPoint};
    let limited = limited("{records_per_second: 3, burst: 1s}");
    let metric = Metric {
        data: MetricData::Gauge(vec![NumberPoint::default(); 2]),
        ..Metric::default()
    };
    assert!(limited.step.metric(&service("a"), &metric).is_ok());
    assert!(limited.step.metric(&service("a"), &metric).is_err());
}

#[test]
fn mistakes_are_told() {
    for (settings, expected) in [
        ("burst: 1s", "say how much"),
        ("records_per_second: 0", "more than 0"),
        ("records_per_second: inf", "more than 0"),
        ("bytes_per_second: 5", "at least 1KiB"),
        ("records_per_second: 1, burst: 10ms", "at least 1s"),
        ("records_per_second: 1, streams_max: 0", "between 1 and"),
    ] {
        let error = try_chain(
            vervet_model::Signal::Logs,
            &format!("  a: {{type: ratelimit, {settings}}}"),
        );
        let error = error.expect_err(settings);
        assert!(error.contains(expected), "{settings}: {error}");
    }
}
