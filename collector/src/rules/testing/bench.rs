//! The store and the engine of one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use vervet_alerting::duration::format_duration;
use vervet_alerting::rule_test::{InputSeries, TestFile, TestGroup};
use vervet_alerting::{
    BoxFuture, GroupKind, QueryFailure, RuleQuery, RuleSample, SampleSink, SinkFailure,
};
use vervet_model::{Labels, UnixMillis};
use vervet_promql::notation::{histogram_text, parse_points, parse_series, placed};
use vervet_promql::{
    Appended, Engine, EngineOptions, Features, HistogramSample, HistogramSeries, NativeHistogram,
    QueryOutput, Queryable, QueryableError, Sample, SelectRequest, Series, SeriesStore, ValueText,
    is_stale,
};

/// An element of the answer to an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) histogram: Option<Arc<NativeHistogram>>,
}

/// What rules and expressions are evaluated over.
pub(super) struct Bench {
    engine: Engine,
    store: RwLock<SeriesStore>,
    /// What is later has not happened yet (milliseconds since the epoch).
    reached: AtomicI64,
}

impl Bench {
    /// A store with the series of a test.
    ///
    /// # Errors
    /// A series that cannot be read, with its line.
    pub(super) fn new(
        file: &TestFile,
        test: &TestGroup,
        features: Features,
    ) -> Result<Arc<Self>, (u64, String)> {
        let mut store = SeriesStore::default();
        for series in &test.input_series {
            if let Err(reason) = add(&mut store, series, test) {
                let reason = format!("input series {:?}: {reason}", series.series);
                return Err((series.line, reason));
            }
        }
        let options = EngineOptions {
            subquery_step_default: file.evaluation_interval,
            features,
            ..EngineOptions::default()
        };
        Ok(Arc::new(Self {
            engine: Engine::new(options),
            store: RwLock::new(store),
            reached: AtomicI64::new(i64::MIN),
        }))
    }

    /// Lets the time go on.
    pub(super) fn reach(&self, at: UnixMillis) {
        self.reached.store(at.0, Ordering::Relaxed);
    }

    fn ask(&self, expr: &str, at: UnixMillis) -> Result<QueryOutput, String> {
        let until = self.reached.load(Ordering::Relaxed);
        let past = Past {
            store: &self.store.read(),
            until,
        };
        let output = self.engine.instant(&past, expr, at);
        output.map_err(|error| error.to_string())
    }

    /// What an expression gives.
    ///
    /// # Errors
    /// It is invalid, or gives neither a scalar nor an instant vector.
    pub(super) fn samples(&self, expr: &str, at: UnixMillis) -> Result<Vec<Element>, String> {
        let output = self.ask(expr, at)?;
        let floats = super::super::vector(output.value).map_err(|_failure| {
            "the result is neither an instant vector nor a scalar".to_owned()
        })?;
        let float = |(labels, value)| Element {
            labels,
            value,
            histogram: None,
        };
        let histogram = |series: HistogramSeries| {
            let sample = series.samples.into_iter().next()?;
            Some(Element {
                labels: series.labels,
                value: 0.0,
                histogram: Some(sample.histogram),
            })
        };
        let histograms = output.histograms.into_iter().filter_map(histogram);
        Ok(floats.into_iter().map(float).chain(histograms).collect())
    }

    /// Every series and its samples.
    pub(super) fn dump(&self) -> String {
        let until = self.reached.load(Ordering::Relaxed);
        let mut text = String::new();
        for (labels, samples, histograms) in self.store.read().iter() {
            text.push_str(&format!("{labels}\n"));
            let float = |sample: &Sample| {
                (
                    sample.timestamp,
                    ValueText::default().of(sample.value).to_owned(),
                )
            };
            let histogram =
                |sample: &HistogramSample| (sample.timestamp, histogram_text(&sample.histogram));
            let samples = samples.iter().map(float);
            let mut all: Vec<_> = samples.chain(histograms.iter().map(histogram)).collect();
            all.sort_by_key(|(time, _)| *time);
            for (time, value) in all.into_iter().filter(|(time, _)| *time <= until) {
                text.push_str(&format!("  {value} @[{time}]\n"));
            }
        }
        text
    }
}

fn add(store: &mut SeriesStore, series: &InputSeries, test: &TestGroup) -> Result<(), String> {
    let (labels, rest) = parse_series(&series.series)?;
    if !rest.trim().is_empty() {
        return Err(format!("unexpected {:?} after the labels", rest.trim()));
    }
    let points = parse_points(&series.values)?;
    let (samples, histograms) = placed(&points, test.start.0, millis(test.interval));
    store.add(labels, samples, histograms);
    Ok(())
}

impl RuleQuery for Bench {
    fn query<'a>(
        &'a self,
        _kind: GroupKind,
        expr: &'a str,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<(Labels, f64)>, QueryFailure>> {
        let answer = self.ask(expr, at);
        let answer = answer.map_err(|message| QueryFailure { message });
        let answer = answer.and_then(|output| super::super::vector(output.value));
        Box::pin(std::future::ready(answer))
    }
}

impl SampleSink for Bench {
    fn append(&self, samples: Vec<RuleSample>) -> BoxFuture<'_, Result<(), SinkFailure>> {
        let until = self.reached.load(Ordering::Relaxed);
        let mut store = self.store.write();
        let mut problem = None;
        for RuleSample { labels, at, value } in samples {
            let sample = Sample {
                timestamp: at.0,
                value,
            };
            let series = labels.to_string();
            let what = match store.append(labels, sample, until) {
                Appended::Added => continue,
                // The end of a series that goes on by other means is no mistake.
                _ if is_stale(value) => continue,
                Appended::Duplicate => "has another value at this time already",
                Appended::OutOfOrder => "has a later sample already",
            };
            problem.get_or_insert_with(|| format!("{series} {what}"));
        }
        let appended = match problem {
            None => Ok(()),
            Some(message) => Err(SinkFailure { message }),
        };
        Box::pin(std::future::ready(appended))
    }
}

/// A store in which the future has not happened yet.
struct Past<'a> {
    store: &'a SeriesStore,
    until: i64,
}

impl Past<'_> {
    fn clipped<'r>(&self, request: &SelectRequest<'r>) -> SelectRequest<'r> {
        SelectRequest {
            end: UnixMillis(request.end.0.min(self.until)),
            ..*request
        }
    }
}

impl Queryable for Past<'_> {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        self.store.select(&self.clipped(request))
    }

    fn select_histograms(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<HistogramSeries>, QueryableError> {
        self.store.select_histograms(&self.clipped(request))
    }
}

/// Whole milliseconds, saturating.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds as Prometheus writes a duration.
pub(super) fn duration(millis: i64) -> String {
    format_duration(Duration::from_millis(millis.unsigned_abs()))
}
