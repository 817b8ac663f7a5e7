//! From samples to OTLP requests, and which series have ended.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use vervet_wire::otlp::{
    KeyValue, Metric, MetricData, Number, NumberPoint, PROMETHEUS_SCOPE, Resource, Scope,
    Temporality, write_resource_metrics,
};

use super::exposition::{Kind, Sample};

/// A request is closed when it is this large (bytes).
const REQUEST_BYTES: usize = 4 << 20;
/// Metrics are written out when they hold this many points.
const POINTS_HELD: usize = 4_096;
/// Prometheus's staleness marker: this very NaN.
const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// Parts name, label names and values in a series' key; no UTF-8 text contains it.
const KEY_SEPARATOR: u8 = 0xff;

/// A request and how many points it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) payload: Bytes,
    pub(super) points: u64,
}

/// The series of a target that were in its last scrape.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    /// The scrape each series was last in, by name and labels.
    last_seen: HashMap<Box<[u8]>, u64>,
    scrape: u64,
}

/// What a scrape of a target comes to.
pub(super) struct Encoder<'a> {
    labels: &'a BTreeMap<String, String>,
    honor_labels: bool,
    time_unix_nano: u64,
    resource: Resource<'a>,
    metrics: Vec<Metric<'a>>,
    points: usize,
    payload: Vec<u8>,
    payload_points: u64,
    requests: Vec<Request>,
}

impl<'a> Encoder<'a> {
    /// An encoder for one scrape at `time_unix_nano` of a target with `labels`.
    pub(super) fn new(
        labels: &'a BTreeMap<String, String>,
        honor_labels: bool,
        time_unix_nano: u64,
        resource: &'a [(String, String)],
    ) -> Self {
        let attributes = resource
            .iter()
            .map(|(key, value)| KeyValue::new(key.as_str(), value.as_str()));
        Self {
            labels,
            honor_labels,
            time_unix_nano,
            resource: Resource {
                attributes: attributes.collect(),
            },
            metrics: Vec::new(),
            points: 0,
            payload: Vec::new(),
            payload_points: 0,
            requests: Vec::new(),
        }
    }

    /// Adds the samples of a scrape, each series once, and markers for the series that are gone.
    pub(super) fn scrape(&mut self, samples: Vec<Sample<'a>>, cache: &mut SeriesCache) {
        cache.scrape += 1;
        let mut key = Vec::new();
        for sample in samples {
            let labels = self.final_labels(sample.labels);
            write_key(&mut key, &sample.name, &labels);
            // Series whose times the target sets itself end by growing old, not by a marker.
            if sample.time_unix_nano.is_none() && !cache.is_first_in_scrape(&key) {
                continue;
            }
            let point = NumberPoint {
                attributes: labels
                    .into_iter()
                    .map(|(name, value)| KeyValue::new(name, value))
                    .collect(),
                time_unix_nano: sample.time_unix_nano.unwrap_or(self.time_unix_nano),
                value: Number::Double(sample.value),
                ..NumberPoint::default()
            };
            self.push(sample.name, sample.help, sample.kind, point);
        }
        self.end_series(cache);
    }

    /// Adds markers for the series that were not in this scrape; after a failed one these are all.
    pub(super) fn end_series(&mut self, cache: &mut SeriesCache) {
        let scrape = cache.scrape;
        let ended: Vec<Box<[u8]>> = cache
            .last_seen
            .extract_if(|_, seen| *seen != scrape)
            .map(|(key, _)| key)
            .collect();
        for key in ended {
            let mut parts = key
                .split(|byte| *byte == KEY_SEPARATOR)
                .map(String::from_utf8_lossy);
            let name = parts.next().unwrap_or_default().into_owned();
            let mut attributes = Vec::new();
            while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
                attributes.push(KeyValue::new(label.into_owned(), value.into_owned()));
            }
            let point = NumberPoint {
                attributes,
                time_unix_nano: self.time_unix_nano,
                value: Number::Double(f64::from_bits(STALE_NAN_BITS)),
                ..NumberPoint::default()
            };
            self.push(Cow::Owned(name), Cow::Borrowed(""), Kind::Other, point);
        }
    }

    /// Adds a figure about the scrape itself.
    pub(super) fn report(&mut self, name: &'static str, help: &'static str, value: f64) {
        let attributes = self
            .labels
            .iter()
            .map(|(name, value)| KeyValue::new(name.as_str(), value.as_str()));
        let point = NumberPoint {
            attributes: attributes.collect(),
            time_unix_nano: self.time_unix_nano,
            value: Number::Double(value),
            ..NumberPoint::default()
        };
        self.push(Cow::Borrowed(name), Cow::Borrowed(help), Kind::Other, point);
    }

    /// The requests that hold all that was added.
    pub(super) fn finish(mut self) -> Vec<Request> {
        self.write_metrics();
        self.close_request();
        self.requests
    }

    /// The labels of a series, by name: its own and the target's. An empty value is no label.
    fn final_labels(
        &self,
        own: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    ) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        let mut labels = own;
        labels.retain(|(name, value)| !value.is_empty() && name != "__name__");
        for (name, value) in self.labels {
            match labels.iter().position(|(own, _)| own == name) {
                Some(_) if self.honor_labels => continue,
                Some(index) => {
                    let mut exported = format!("exported_{name}");
                    while labels.iter().any(|(own, _)| *own == exported) {
                        exported.insert_str(0, "exported_");
                    }
                    if let Some(label) = labels.get_mut(index) {
                        label.0 = Cow::Owned(exported);
                    }
                }
                None => {}
            }
            labels.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
        labels.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        labels
    }

    fn push(&mut self, name: Cow<'a, str>, help: Cow<'a, str>, kind: Kind, point: NumberPoint<'a>) {
        let last = self.metrics.last_mut().filter(|metric| metric.name == name);
        match last.map(|metric| &mut metric.data) {
            Some(MetricData::Gauge(points) | MetricData::Sum { points, .. }) => points.push(point),
            _ => {
                let points = vec![point];
                let data = match kind {
                    Kind::Other => MetricData::Gauge(points),
                    Kind::Counter => MetricData::Sum {
                        points,
                        temporality: Temporality::Cumulative,
                        monotonic: true,
                    },
                };
                let metric = Metric {
                    name,
                    description: help,
                    data,
                    ..Metric::default()
                };
                self.metrics.push(metric);
            }
        }
        self.points += 1;
        if self.points >= POINTS_HELD {
            self.write_metrics();
        }
    }

    fn write_metrics(&mut self) {
        if self.points == 0 {
            return;
        }
        let scope = Scope {
            name: Cow::Borrowed(PROMETHEUS_SCOPE),
            ..Scope::default()
        };
        write_resource_metrics(&mut self.payload, &self.resource, &scope, |writer| {
            self.metrics.iter().for_each(|metric| writer.push(metric));
        });
        self.payload_points += self.points as u64;
        self.points = 0;
        self.metrics.clear();
        if self.payload.len() >= REQUEST_BYTES {
            self.close_request();
        }
    }

    fn close_request(&mut self) {
        if self.payload_points > 0 {
            let payload = std::mem::take(&mut self.payload).into();
            let points = std::mem::take(&mut self.payload_points);
            self.requests.push(Request { payload, points });
        }
    }
}

impl SeriesCache {
    /// Begins a scrape that brought nothing.
    pub(super) fn nothing_scraped(&mut self) {
        self.scrape += 1;
    }

    fn is_first_in_scrape(&mut self, key: &[u8]) -> bool {
        match self.last_seen.get_mut(key) {
            Some(seen) => std::mem::replace(seen, self.scrape) != self.scrape,
            None => {
                self.last_seen.insert(key.into(), self.scrape);
                true
            }
        }
    }
}

fn write_key(key: &mut Vec<u8>, name: &str, labels: &[(Cow<'_, str>, Cow<'_, str>)]) {
    key.clear();
    key.extend_from_slice(name.as_bytes());
    for (name, value) in labels {
        for part in [name, value] {
            key.push(KEY_SEPARATOR);
            key.extend_from_slice(part.as_bytes());
        }
    }
}
