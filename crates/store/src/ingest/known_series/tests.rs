use proptest::prelude::*;
use vervet_model::Signal;
use vervet_wire::otlp::{
    KeyValue, Metric, MetricData, Number, NumberPoint, PROMETHEUS_SCOPE, Resource, Scope,
    Temporality, write_resource_metrics,
};

use super::*;
use crate::fixtures::{at, store};
use crate::{SampleLimits, Store, decode};

const LIMITS: SampleLimits = SampleLimits {
    series_max: 1000,
    samples_max: 1_000_000,
    deadline: vervet_model::UnixNanos(i64::MAX),
};

/// One point: metric, attributes, seconds, value, flags.
type Point = (u8, Vec<(u8, u8)>, i64, i64, bool);
/// A request: service, scraped or not, and its points.
type Request = (u8, bool, Vec<Point>);

fn metric(name: u8) -> Metric<'static> {
    let (name, unit) = match name {
        0 => ("queue.depth", "{job}"),
        1 => ("queue.depth", "By"),
        2 => ("requests", ""),
        3 => ("", ""),
        _ => ("queue_depth", "{job}"),
    };
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: "Help.".into(),
        ..Metric::default()
    }
}

fn data(kind: u8, points: Vec<NumberPoint<'static>>) -> MetricData<'static> {
    let sum = |temporality, monotonic| MetricData::Sum {
        points: points.clone(),
        temporality,
        monotonic,
    };
    match kind {
        0 => sum(Temporality::Cumulative, true),
        1 => sum(Temporality::Delta, true),
        2 => sum(Temporality::Unspecified, false),
        _ => MetricData::Gauge(points),
    }
}

fn body((service, scraped, points): &Request) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            KeyValue::new("service.name", format!("service-{service}")),
            KeyValue::new("host.name", "node-1"),
        ],
    };
    let scope = Scope {
        name: if *scraped { PROMETHEUS_SCOPE } else { "sdk" }.into(),
        ..Scope::default()
    };
    let mut out = Vec::new();
    write_resource_metrics(&mut out, &resource, &scope, |writer| {
        for (name, attributes, seconds, value, ended) in points {
            let keys = ["pod", "a.b", "a_b", ""];
            let point = NumberPoint {
                attributes: attributes
                    .iter()
                    .map(|(key, value)| KeyValue::new(keys[usize::from(*key)], i64::from(*value)))
                    .collect(),
                time_unix_nano: at(*seconds).0.unsigned_abs(),
                value: Number::Int(*value),
                flags: u32::from(*ended),
                ..NumberPoint::default()
            };
            let kind = u8::try_from(attributes.len()).unwrap() + name;
            writer.push(&Metric {
                data: data(kind % 8, vec![point]),
                ..metric(*name)
            });
        }
    });
    out
}

fn everything(store: &Store) -> Vec<String> {
    let found = store.samples(&[], i64::MIN, i64::MAX, LIMITS);
    let mut lines: Vec<String> = found
        .unwrap()
        .iter()
        .map(|series| {
            let bits = series.samples.iter();
            let bits: Vec<_> = bits.map(|(time, value)| (*time, value.to_bits())).collect();
            format!("{} {bits:?}", series.labels)
        })
        .collect();
    lines.sort();
    lines
}

fn point() -> impl Strategy<Value = Point> {
    let attributes = prop::collection::vec((0..4_u8, 0..2_u8), 0..4);
    (
        0..5_u8,
        attributes,
        -200_000..4_000_i64,
        -3..3_i64,
        prop::bool::weighted(0.1),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The same requests, decoded with and without what the store knows, leave the same samples, answers and refusals;
    /// so do requests that were damaged on their way.
    #[test]
    fn what_is_known_changes_nothing(
        requests in prop::collection::vec((0..2_u8, any::<bool>(), prop::collection::vec(point(), 1..8)), 1..12),
        repeated in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (known, plain) = (store(&one), store(&other));
        let options = DecodeOptions::default();
        let mut bodies: Vec<Vec<u8>> = requests.iter().map(body).collect();
        for (which, place, bits) in &repeated {
            let mut again = which.get(&requests).clone();
            for point in &mut again.2 {
                point.2 += 1;
            }
            let mut again = body(&again);
            *place.get_mut(&mut again) ^= bits & (bits >> 4);
            bodies.push(again);
        }
        for (sequence, body) in (1..).zip(&bodies) {
            let decoded = (
                known.decode(Signal::Metrics, body, &options, at(3600)),
                decode(Signal::Metrics, body, &options, at(3600)),
            );
            match decoded {
                (Ok(a), Ok(b)) => {
                    prop_assert_eq!((a.records, &a.rejected), (b.records, &b.rejected));
                    prop_assert_eq!(a.metric_metadata(), b.metric_metadata());
                    let applied = known.apply(sequence, a, None);
                    prop_assert_eq!(applied, plain.apply(sequence, b, None));
                }
                // Which of several faults is met first may differ.
                (a, b) => prop_assert_eq!(a.is_err(), b.is_err()),
            }
        }
        prop_assert_eq!(everything(&known), everything(&plain));
        for store in [&known, &plain] {
            store.flush().unwrap();
        }
        prop_assert_eq!(everything(&known), everything(&plain));
        prop_assert_eq!(known.stats().series.rows_stored, plain.stats().series.rows_stored);
    }
}

#[test]
fn a_series_is_known_from_its_second_request_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let options = DecodeOptions::default();
    let request = |seconds| {
        body(&(
            0,
            false,
            vec![(0, vec![(0, 1), (1, 1), (2, 0)], seconds, 7, false)],
        ))
    };
    let known = |seconds| {
        let decoded = store.decode(Signal::Metrics, &request(seconds), &options, at(3600));
        let decoded = decoded.unwrap();
        let crate::ingest::Content::Metrics(metrics) = &decoded.content else {
            panic!("not metrics");
        };
        let is_known = |sample: &&crate::ingest::DecodedSample| {
            matches!(sample.series, crate::ingest::SampleSeries::Known(_))
        };
        let known = metrics.samples.iter().filter(is_known).count();
        store.apply(u64::try_from(seconds).unwrap(), decoded, None);
        known
    };
    assert_eq!(known(1), 0);
    assert_eq!(known(2), 1);
    // Other options may give other labels.
    let options = DecodeOptions {
        promote: vec![],
        ..DecodeOptions::default()
    };
    let decoded = store
        .decode(Signal::Metrics, &request(3), &options, at(3600))
        .unwrap();
    assert!(!decoded.metric_metadata().is_empty());
    let applied = store.apply(3, decoded, None);
    assert_eq!(applied.stored, 2);
    assert_eq!(everything(&store).len(), 3, "two and target_info");
}
