use proptest::prelude::*;

use super::*;

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

/// Series as values that own their texts: labels, samples, histograms, exemplars, and for version 2.0 what it is.
type Owned = (
    Vec<(String, String)>,
    Vec<(i64, u64)>,
    u64,
    u64,
    Option<(u64, String, String)>,
);

fn borrowed(owned: &Owned, version: Version) -> Series<'_> {
    let (labels, samples, histograms, exemplars, metadata) = owned;
    let metadata = metadata.as_ref().map(|(kind, help, unit)| Metadata {
        kind: Kind::from_number(*kind),
        help: help.as_bytes(),
        unit: unit.as_bytes(),
    });
    Series {
        labels: labels
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect(),
        samples: samples
            .iter()
            .map(|(time_ms, bits)| Sample {
                time_ms: *time_ms,
                value: f64::from_bits(*bits),
            })
            .collect(),
        histograms: *histograms,
        exemplars: *exemplars,
        metadata: metadata.filter(|_| version == Version::V2),
    }
}

/// What tells two series apart, NaNs by their bits.
type Parts = (Vec<(String, String)>, Vec<(i64, u64)>, u64, u64);

fn parts(series: &Series<'_>) -> Parts {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let labels = series.labels.iter();
    let samples = series.samples.iter();
    (
        labels.map(|(n, v)| (text(n), text(v))).collect(),
        samples.map(|s| (s.time_ms, s.value.to_bits())).collect(),
        series.histograms,
        series.exemplars,
    )
}

fn owned() -> impl Strategy<Value = Owned> {
    let metadata = (0..9_u64, "[a-c]{0,2}", "[a-c]{0,2}");
    (
        prop::collection::vec(("[a-e_]{0,3}", "\\PC{0,4}"), 0..5),
        prop::collection::vec((any::<i64>(), any::<u64>()), 0..4),
        0..2_u64,
        0..2_u64,
        prop::option::of(metadata),
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in prop::collection::vec(owned(), 0..6)) {
        for version in VERSIONS {
            let series: Vec<_> = all.iter().map(|owned| borrowed(owned, version)).collect();
            let mut body = Vec::new();
            write_series(version, &mut body, &series);
            let mut read = Vec::new();
            for_each(version, &body, |item| {
                let Item::Series(series) = item else { return };
                read.push((parts(series), series.metadata));
            })
            .expect("well-formed");
            let expected: Vec<_> = series.iter().map(|s| (parts(s), s.metadata)).collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn nothing_that_is_read_was_not_weighed(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for version in VERSIONS {
            let mut largest = 0;
            let read = for_each(version, &body, |item| {
                if let Item::Series(series) = item {
                    largest = largest.max(series.labels.len() + series.samples.len());
                }
            });
            let weight = weigh(version, &body);
            prop_assert!(read.is_err() || weight.is_ok(), "{read:?} {weight:?}");
            prop_assert!(read.is_err() || weight.unwrap_or(0) >= largest * ITEM_BYTES);
        }
    }
}

fn one(labels: &[(&'static str, &'static str)]) -> Series<'static> {
    let labels = labels.iter();
    Series {
        labels: labels.map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect(),
        samples: vec![Sample {
            time_ms: 1,
            value: 2.0,
        }],
        ..Series::default()
    }
}

#[test]
fn metadata_of_version_1_stands_beside_the_series() {
    let mut body = Vec::new();
    write_series(Version::V1, &mut body, &[one(&[("__name__", "up")])]);
    let metadata = Metadata {
        kind: Kind::Gauge,
        help: b"Whether it answers.",
        unit: b"",
    };
    write_metadata(&mut body, b"up", metadata);
    let mut seen = Vec::new();
    for_each(Version::V1, &body, |item| {
        seen.push(match item {
            Item::Series(series) => (series.samples.len(), None),
            Item::Metadata(name, metadata) => (0, Some((name.to_vec(), metadata.kind))),
        });
    })
    .expect("well-formed");
    assert_eq!(seen, [(1, None), (0, Some((b"up".to_vec(), Kind::Gauge)))]);
}

#[test]
fn symbols_that_stand_behind_the_series_are_found() {
    let mut body = Vec::new();
    write_series(Version::V2, &mut body, &[one(&[("a", "b")])]);
    let mut reader = Reader::new(&body);
    let (mut symbols, mut series) = (Vec::new(), Vec::new());
    while let Some((number, _field)) = reader.next_field().expect("well-formed") {
        match number {
            field::V2_SYMBOLS => symbols.extend_from_slice(reader.raw()),
            _ => series.extend_from_slice(reader.raw()),
        }
    }
    series.extend_from_slice(&symbols);
    let mut labels = Vec::new();
    for_each(Version::V2, &series, |item| {
        if let Item::Series(series) = item {
            labels.extend(series.labels.iter().copied());
        }
    })
    .expect("well-formed");
    assert_eq!(labels, [(&b"a"[..], &b"b"[..])]);
}

#[test]
fn references_that_point_nowhere_and_odd_ones_are_errors() {
    let read = |references: &[u8]| {
        let mut message = vec![0x0a, u8::try_from(references.len()).expect("short")];
        message.extend_from_slice(references);
        let mut body = vec![0x22, 0, 0x22, 1, b'a', 0x2a];
        body.push(u8::try_from(message.len()).expect("short"));
        body.extend_from_slice(&message);
        for_each(Version::V2, &body, |_item| {})
    };
    assert_eq!(read(&[1, 1]), Ok(()));
    assert_eq!(read(&[1, 1, 0]), Err(DecodeError::OddLabels));
    let symbol = |reference| DecodeError::Symbol {
        reference,
        symbols: 2,
    };
    assert_eq!(read(&[1, 2]), Err(symbol(2)));
    assert_eq!(read(&[0xff; 9]), Err(DecodeError::Truncated));
}

#[test]
fn what_cannot_be_kept_at_a_time_is_not_read() {
    let too_many = Err(DecodeError::TooManyItems { max: ITEMS_MAX });
    let weight = Ok(ITEMS_MAX * ITEM_BYTES * LIST_SLACK);
    let symbols = |count| [0x22, 0].repeat(count);
    assert_eq!(weigh(Version::V2, &symbols(ITEMS_MAX)), weight);
    assert_eq!(weigh(Version::V2, &symbols(ITEMS_MAX + 1)), too_many);
    let of_series = |version, message: &[u8]| {
        let number = match version {
            Version::V1 => field::V1_SERIES,
            Version::V2 => field::V2_SERIES,
        };
        let mut body = Vec::new();
        crate::protobuf::Writer::new(&mut body).bytes_always(number, message);
        weigh(version, &body)
    };
    for version in VERSIONS {
        let samples = |count| [0x12, 0].repeat(count);
        assert_eq!(of_series(version, &samples(ITEMS_MAX)), weight);
        assert_eq!(of_series(version, &samples(ITEMS_MAX + 1)), too_many);
    }
    let references = |count| {
        let mut message = Vec::new();
        let packed = vec![0; count];
        crate::protobuf::Writer::new(&mut message).bytes_always(field::LABELS, &packed);
        message
    };
    assert_eq!(of_series(Version::V2, &references(ITEMS_MAX)), weight);
    assert_eq!(of_series(Version::V2, &references(ITEMS_MAX + 1)), too_many);
    // Many series are no more than the largest of them.
    let many = [0x0a, 2, 0x12, 0].repeat(ITEMS_MAX);
    assert_eq!(weigh(Version::V1, &many), Ok(ITEM_BYTES * LIST_SLACK));
}
