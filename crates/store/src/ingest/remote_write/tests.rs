use proptest::prelude::*;
use vervet_model::UnixNanos;
use vervet_wire::protobuf::Writer;
use vervet_wire::remote_write::{Kind, write_metadata, write_series};

use super::*;
use crate::fixtures::{at, at_ms, store};
use crate::ingest::metrics::STALE_NAN;
use crate::{Format, SampleLimits, Store, decode};

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];
const LIMITS: SampleLimits = SampleLimits {
    series_max: 1000,
    samples_max: 1_000_000,
    deadline: UnixNanos(i64::MAX),
};

/// Labels and samples, these as seconds and values.
type Plain<'p> = (&'p [(&'p str, &'p str)], &'p [(i64, f64)]);

fn series<'p>((labels, samples): Plain<'p>) -> Series<'p> {
    let labels = labels.iter();
    let samples = samples.iter();
    Series {
        labels: labels.map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect(),
        samples: samples
            .map(|(seconds, value)| Sample {
                time_ms: at_ms(*seconds),
                value: *value,
            })
            .collect(),
        ..Series::default()
    }
}

fn body(version: Version, all: &[Series<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    write_series(version, &mut body, all);
    body
}

/// Decodes as the store does and without what it knows, and applies the one to it.
fn take(store: &Store, sequence: u64, version: Version, body: &[u8]) -> Decoded {
    let (format, options) = (Format::RemoteWrite(version), DecodeOptions::default());
    let decoded = store.decode(format, body, &options, at(3600)).unwrap();
    let plain = decode(format, body, &options, at(3600)).unwrap();
    assert_eq!(
        (decoded.records, &decoded.rejected, &decoded.adjusted),
        (plain.records, &plain.rejected, &plain.adjusted)
    );
    let applied = store.apply(sequence, decoded, None);
    assert_eq!(applied.stored, plain.records);
    plain
}

/// All samples of the store, by labels, times in seconds and values by their bits.
fn everything(store: &Store) -> Vec<(String, Vec<(i64, u64)>)> {
    let found = store.samples(&[], i64::MIN, i64::MAX, LIMITS).unwrap();
    let mut found: Vec<_> = found
        .iter()
        .map(|series| {
            let samples = series.samples.iter();
            let samples = samples.map(|(time, value)| ((time - at_ms(0)) / 1000, value.to_bits()));
            (series.labels.to_string(), samples.collect())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn samples_are_stored_as_they_came_be_the_series_known_or_not() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        // Labels out of order, one without a value, a name of UTF-8, and a marker of staleness.
        let up = [("job", "node"), ("__name__", "up"), ("empty", "")];
        let utf8 = [("__name__", "größe.a"), ("an attribute", "é")];
        let first = [
            series((&up, &[(1, 1.0), (2, f64::NEG_INFINITY)])),
            series((&utf8, &[(1, 0.1)])),
        ];
        take(&store, 1, version, &body(version, &first));
        let second = [
            series((&up, &[(3, STALE_NAN)])),
            series((&utf8, &[(2, 5e-324)])),
        ];
        take(&store, 2, version, &body(version, &second));
        let expected = [
            (
                r#"{"größe.a", "an attribute"="é"}"#.to_owned(),
                vec![(1, 0.1_f64.to_bits()), (2, 5e-324_f64.to_bits())],
            ),
            (
                r#"up{job="node"}"#.to_owned(),
                vec![
                    (1, 1.0_f64.to_bits()),
                    (2, f64::NEG_INFINITY.to_bits()),
                    (3, STALE_NAN.to_bits()),
                ],
            ),
        ];
        let mut names: Vec<_> = everything(&store).into_iter().map(|(_, s)| s).collect();
        names.sort_by_key(Vec::len);
        assert_eq!(names, expected.map(|(_, samples)| samples), "{version:?}");
        store.flush().unwrap();
        assert_eq!(everything(&store).len(), 2);
    }
}

#[test]
fn what_cannot_be_stored_is_counted_by_reason_and_the_rest_is_stored() {
    let long_value = "v".repeat(5_000);
    let many: Vec<(String, String)> = (0..70).map(|n| (format!("l{n}"), "x".into())).collect();
    let mut many: Vec<_> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    many.push(("__name__", "wide"));
    let one: &[(i64, f64)] = &[(1, 1.0)];
    let now = 3_600;
    let tomorrow = now + 2 * 86_400;
    let cases: [(Plain<'_>, &str, u64); 9] = [
        (
            (&[("__name__", "m"), ("__name__", "n")], one),
            reason::INVALID_LABEL,
            1,
        ),
        ((&[("job", "a")], one), reason::INVALID_METRIC_NAME, 1),
        ((&[("__name__", "")], one), reason::INVALID_METRIC_NAME, 1),
        (
            (&[("__name__", "m"), ("", "a")], one),
            reason::INVALID_LABEL,
            1,
        ),
        (
            (
                &[("__name__", "m"), ("a", "1"), ("a", "2")],
                &[(1, 1.0), (2, 2.0)],
            ),
            reason::INVALID_LABEL,
            2,
        ),
        (
            (&[("__name__", "m"), ("a", &long_value)], one),
            reason::LABEL_TOO_LONG,
            1,
        ),
        (
            (&[("__name__", &long_value)], one),
            reason::LABEL_TOO_LONG,
            1,
        ),
        ((&many, one), reason::TOO_MANY_LABELS, 1),
        (
            (&[("__name__", "m")], &[(tomorrow, 1.0)]),
            reason::TIMESTAMP_OUT_OF_RANGE,
            1,
        ),
    ];
    for version in VERSIONS {
        for (plain, reason, count) in cases {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            let good = series((&[("__name__", "good")], one));
            let sent = body(version, &[good.clone(), series(plain), good]);
            let decoded = take(&store, 1, version, &sent);
            assert_eq!(decoded.records, 2, "{reason}");
            assert_eq!(decoded.rejected, [(reason, count)]);
            assert_eq!(everything(&store).len(), 1);
        }
    }
}

#[test]
fn texts_that_are_referred_to_very_often_are_not_copied() {
    let text = vec![b'x'; 16 << 20];
    let mut long = series((&[("__name__", "m"), ("l", "x")], &[(1, 1.0)]));
    long.labels[1].1 = &text;
    let mut unit = series((&[("__name__", "m")], &[(1, 1.0)]));
    unit.metadata = Some(Metadata {
        kind: Kind::Gauge,
        help: &text,
        unit: &text,
    });
    let dir = tempfile::tempdir().unwrap();
    let mut sent = body(Version::V2, &[long, unit]);
    // The name, and then the long text, the fifth symbol, so often that it were 4 TiB if it was written out.
    let mut references = vec![1, 2];
    references.resize(260_000, 4);
    let mut wide = Vec::new();
    let mut writer = Writer::new(&mut wide);
    writer.bytes(1, &references);
    writer.message(2, |sample| sample.varint(2, at_ms(1).unsigned_abs()));
    Writer::new(&mut sent).bytes(5, &wide);
    assert!(sent.len() < 17 << 20);
    let decoded = take(&store(&dir), 1, Version::V2, &sent);
    assert_eq!(
        decoded.rejected,
        [(reason::LABEL_TOO_LONG, 1), (reason::TOO_MANY_LABELS, 1)]
    );
    let [known] = decoded.metric_metadata() else {
        panic!("{:?}", decoded.metric_metadata());
    };
    assert_eq!(known.unit, "");
    assert!(known.help.len() < 10_000);
    assert!(decoded.memory_bytes() < 100_000);
}

#[test]
fn labels_that_are_not_utf8_are_refused() {
    let mut wrong = series((&[("__name__", "m")], &[(1, 1.0)]));
    wrong.labels.push((b"a", b"\xff"));
    let dir = tempfile::tempdir().unwrap();
    let decoded = take(&store(&dir), 1, Version::V1, &body(Version::V1, &[wrong]));
    assert_eq!(decoded.rejected, [(reason::INVALID_LABEL, 1)]);
}

#[test]
fn native_histograms_are_refused_and_exemplars_left_out_by_count() {
    for version in VERSIONS {
        let mut one = series((&[("__name__", "m")], &[(1, 1.0)]));
        (one.histograms, one.exemplars) = (3, 2);
        let dir = tempfile::tempdir().unwrap();
        let decoded = take(&store(&dir), 1, version, &body(version, &[one]));
        assert_eq!(decoded.rejected, [(reason::NATIVE_HISTOGRAM, 3)]);
        assert_eq!(decoded.adjusted, [(adjustment::EXEMPLARS_DROPPED, 2)]);
        assert_eq!(decoded.records, 1);
    }
}

#[test]
fn what_a_metric_is_is_known_by_the_name_of_its_family() {
    let metadata = Metadata {
        kind: Kind::Histogram,
        help: b"How long it took.",
        unit: b"seconds",
    };
    let name = "request_duration_seconds";
    let mut sent = [
        body(Version::V1, &[series((&[("__name__", "m")], &[(1, 1.0)]))]),
        Vec::new(),
    ];
    write_metadata(&mut sent[0], name.as_bytes(), metadata);
    let bucket = format!("{name}_bucket");
    let labels = [("__name__", bucket.as_str()), ("le", "+Inf")];
    let mut of_v2 = series((&labels, &[(1, 1.0)]));
    of_v2.metadata = Some(metadata);
    sent[1] = body(Version::V2, &[of_v2]);
    for (version, sent) in VERSIONS.into_iter().zip(sent) {
        let dir = tempfile::tempdir().unwrap();
        let decoded = take(&store(&dir), 1, version, &sent);
        let [known] = decoded.metric_metadata() else {
            panic!("{:?}", decoded.metric_metadata());
        };
        assert_eq!(known.metric, name);
        assert_eq!(
            (known.kind.as_str(), known.unit.as_str()),
            ("histogram", "seconds")
        );
        assert_eq!(known.help, "How long it took.");
    }
}

#[test]
fn a_request_grows_no_further_than_it_may() {
    let options = DecodeOptions {
        decoded_bytes_max: 10_000,
        ..DecodeOptions::default()
    };
    let mut sent = Vec::new();
    for number in 0..1_000 {
        let name = format!("metric_{number}");
        let metadata = Metadata {
            kind: Kind::Gauge,
            ..Metadata::default()
        };
        write_metadata(&mut sent, name.as_bytes(), metadata);
    }
    let format = Format::RemoteWrite(Version::V1);
    let decoded = decode(format, &sent, &options, at(0)).unwrap();
    assert!((1..100).contains(&decoded.metric_metadata().len()));
    let names: Vec<String> = (0..1_000)
        .map(|number| format!("metric_{number}"))
        .collect();
    let labels: Vec<_> = names
        .iter()
        .map(|name| [("__name__", name.as_str())])
        .collect();
    let all: Vec<_> = labels.iter().map(|l| series((l, &[(0, 1.0)]))).collect();
    let decoded = decode(format, &body(Version::V1, &all), &options, at(0)).unwrap();
    let refused = 1_000 - decoded.records;
    assert!((1..100).contains(&decoded.records));
    assert_eq!(decoded.rejected, [(reason::REQUEST_TOO_LARGE, refused)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_known_changes_nothing(
        requests in prop::collection::vec(
            (any::<bool>(), prop::collection::vec((0..3_usize, 0..3_usize, 0..100_i64), 1..6)),
            1..8,
        ),
    ) {
        let texts = ["", "a", "b"];
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (known, plain) = (store(&one), store(&other));
        let options = DecodeOptions::default();
        for (sequence, (is_v2, all)) in (1..).zip(&requests) {
            let version = VERSIONS[usize::from(*is_v2)];
            let labels: Vec<_> = all
                .iter()
                .map(|(name, value, _)| [("__name__", texts[*name]), ("l", texts[*value])])
                .collect();
            let samples: Vec<_> = all.iter().map(|(_, value, at)| [(*at, *value as f64)]).collect();
            let all: Vec<_> = labels.iter().zip(&samples).map(|(l, s)| series((l, s))).collect();
            let sent = body(version, &all);
            let format = Format::RemoteWrite(version);
            let a = known.decode(format, &sent, &options, at(3600)).unwrap();
            let b = decode(format, &sent, &options, at(3600)).unwrap();
            prop_assert_eq!((a.records, &a.rejected), (b.records, &b.rejected));
            prop_assert_eq!(known.apply(sequence, a, None), plain.apply(sequence, b, None));
        }
        prop_assert_eq!(everything(&known), everything(&plain));
    }
}
