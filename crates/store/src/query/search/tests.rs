//! Typed requests against an evaluation of the same conditions over the plain records.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use vervet_model::{Signal, UnixNanos};
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value, write_resource_logs};

use super::Answer;
use crate::fixtures::{MIDNIGHT, decoded};
use crate::flush::{PromoteConfig, PromoteKey};
use crate::query::search::aggregate::{Aggregate, AggregateGroup, NumberField};
use crate::tables::{PromotedKind, Table};
use crate::{Comparison, Direction, Field, Filter, LogRequest, LogRow, Store, StoreConfig, Test};

const MINUTE: i64 = 60_000_000_000;

#[derive(Debug, Clone)]
struct Record {
    service: String,
    severity: i32,
    time: i64,
    body: String,
    trace: Option<u8>,
    attributes: Vec<(String, Value<'static>)>,
    resource: Option<String>,
}

impl Record {
    fn level(&self) -> &'static str {
        vervet_model::Severity::from_number(self.severity).level()
    }

    fn attribute(&self, key: &str) -> Option<String> {
        let found = self.attributes.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.to_text().into_owned())
    }

    fn value(&self, field: &Field) -> Option<String> {
        match field {
            Field::Column(name) => match name.as_str() {
                "service_name" => Some(self.service.clone()),
                "environment" => Some(String::new()),
                "level" => Some(self.level().to_owned()),
                "body" => Some(self.body.clone()),
                "severity_number" => Some(self.severity.to_string()),
                "trace_id" => self.trace.map(|trace| hex::encode([trace; 16])),
                other => panic!("{other}"),
            },
            Field::Presence(name) => {
                let there = self.value(&Field::Column(name.clone())).is_some();
                Some(there.to_string())
            }
            Field::Attribute(key) => self.attribute(key),
            Field::ResourceAttribute(key) => {
                assert_eq!(key, "region");
                self.resource.clone()
            }
            Field::ResourceMetadata(name) => self.resource.clone().filter(|_| name == "region"),
            Field::Metadata(name) => {
                let resource = self.value(&Field::ResourceMetadata(name.clone()));
                resource.or_else(|| self.value(&Field::OwnMetadata(name.clone())))
            }
            Field::OwnMetadata(name) => {
                let named =
                    |(key, _): &&(String, Value<'_>)| key.replace(['.', '-', '/'], "_") == *name;
                let own = self
                    .attributes
                    .iter()
                    .filter(named)
                    .min_by_key(|(key, _)| key.clone());
                own.map(|(_, value)| value.to_text().into_owned())
            }
        }
    }

    fn fulfils(&self, filter: &Filter) -> bool {
        match filter {
            Filter::All(parts) => parts.iter().all(|part| self.fulfils(part)),
            Filter::Any(parts) => parts.iter().any(|part| self.fulfils(part)),
            Filter::Not(part) => !self.fulfils(part),
            Filter::Is(field, test) => {
                let value = self.value(field);
                let text = value.clone().unwrap_or_default();
                match test {
                    Test::Equals(expected) => text == *expected,
                    Test::Contains(part) => text.contains(part.as_str()),
                    Test::HasToken(word) => {
                        let is_word = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
                        text.match_indices(word.as_str()).any(|(at, _)| {
                            !text[..at].chars().next_back().is_some_and(is_word)
                                && !text[at + word.len()..].chars().next().is_some_and(is_word)
                        })
                    }
                    Test::Regex(pattern) => regex::Regex::new(pattern).unwrap().is_match(&text),
                    Test::Compare(comparison, number) => value
                        .and_then(|value| value.parse().ok())
                        .is_some_and(|value| comparison.holds(value, *number)),
                    Test::OneOf(ids) => {
                        value.is_some_and(|value| ids.iter().any(|id| hex::encode(id) == value))
                    }
                    Test::Exists => value.is_some(),
                }
            }
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "error", "slow", "timeout", "Größe", "a_b", "x1", "200", "é",
    ])
    .prop_map(str::to_owned)
}

/// An id that is like the others in part.
fn id(number: u8) -> String {
    format!("{number:02x}4f00c1d2{number:02x}")
}

/// Words, or a text of many numbers, which files have apart.
fn body() -> impl Strategy<Value = String> {
    let words = (
        prop::collection::vec(word(), 0..5),
        prop::sample::select(vec![" ", "=", "", "."]),
    );
    prop_oneof![
        words.prop_map(|(words, between)| words.join(between)),
        (100..200_u8, 0..40_u8)
            .prop_map(|(a, b)| format!("slow a{a:02x}f took {b} ms for {}", id(a))),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let count = prop_oneof![
        (0..5_i64).prop_map(Value::from),
        prop::sample::select(vec!["007", "x", "1.50", ""]).prop_map(Value::from),
    ];
    let attributes = (
        prop::option::weighted(0.9, count),
        prop::option::of((0..6_u8).prop_map(|n| Value::from(f64::from(n) / 2.0))),
        prop::option::of(word().prop_map(Value::from)),
        prop::option::weighted(0.1, word().prop_map(Value::from)),
        prop::option::weighted(0.3, word().prop_map(Value::from)),
    )
        .prop_map(|(count, ratio, order, other, region)| {
            [
                ("count", count),
                ("ratio", ratio),
                ("order.id", order),
                ("order-id", other),
                ("region", region),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
        });
    (
        prop::sample::select(vec!["api", "web", "job"]),
        prop::sample::select(vec![0, 5, 9, 13, 17, 21]),
        // Minutes begin often enough to be met exactly.
        prop_oneof![
            0..20 * MINUTE,
            (0..20_i64).prop_map(|minute| minute * MINUTE)
        ],
        body(),
        prop::option::of(0..6_u8),
        attributes,
        prop::option::of(word()),
    )
        .prop_map(
            |(service, severity, time, body, trace, attributes, resource)| Record {
                service: service.to_owned(),
                severity,
                time: MIDNIGHT + time,
                body,
                trace: trace.map(|trace| trace + 1),
                attributes,
                resource,
            },
        )
}

/// What texts are asked for.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        word(),
        (word(), word()).prop_map(|(a, b)| format!("{a} {b}")),
        (word(), word()).prop_map(|(a, b)| format!("={a}={b}")),
        (100..200_u8).prop_map(|a| format!("a{a:02x}f")),
        (100..200_u8).prop_map(id),
        (100..200_u8, 0..3_usize, 8..13_usize).prop_map(|(a, from, to)| id(a)
            .chars()
            .skip(from)
            .take(to)
            .collect()),
        prop::sample::select(vec![
            "took 1",
            "1 ms",
            "f took",
            "w a7",
            "slow a64f took 3 ms"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec!["api", "info", "", "3", "1.5", "true", "rro"])
            .prop_map(str::to_owned),
    ]
}

fn leaf() -> impl Strategy<Value = Filter> {
    let text_field = prop::sample::select(vec![
        Field::column("service_name"),
        Field::column("level"),
        Field::column("body"),
        Field::column("body"),
        Field::Attribute("count".to_owned()),
        Field::Attribute("ratio".to_owned()),
        Field::Attribute("order.id".to_owned()),
        Field::ResourceAttribute("region".to_owned()),
        Field::Metadata("order_id".to_owned()),
        Field::Metadata("region".to_owned()),
        Field::OwnMetadata("region".to_owned()),
        Field::OwnMetadata("order_id".to_owned()),
        Field::ResourceMetadata("region".to_owned()),
        Field::Metadata("none".to_owned()),
        Field::Presence("trace_id".to_owned()),
    ]);
    let pattern = prop::sample::select(vec![
        "^error",
        "slow.*timeout",
        r"\bx1\b",
        "(?i)ERROR",
        "time|slow",
        "^$",
        "[0-9]+",
        "a_b x1 200",
        r" error\s",
        "took [12]. ms",
        "^slow a[0-9a-f]+ took",
        "^(?s:api|web)$",
    ]);
    let comparison = prop::sample::select(vec![
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Equal,
        Comparison::GreaterOrEqual,
        Comparison::Greater,
    ]);
    let text_test = prop_oneof![
        3 => text().prop_map(Test::Equals),
        3 => text().prop_map(Test::Contains),
        1 => word().prop_map(Test::HasToken),
        1 => prop_oneof![
            (100..200_u8).prop_map(|a| format!("a{a:02x}f")),
            (0..40_u8).prop_map(|b| b.to_string()),
            (100..200_u8).prop_map(id),
            Just("took".to_owned()),
        ]
        .prop_map(Test::HasToken),
        2 => pattern.prop_map(|pattern| Test::Regex(pattern.to_owned())),
        1 => Just(Test::Exists),
        1 => (comparison.clone(), 0..4_u8).prop_map(|(c, n)| Test::Compare(c, f64::from(n))),
    ];
    prop_oneof![
        6 => (text_field, text_test).prop_map(|(field, test)| Filter::is(field, test)),
        1 => (comparison, prop::sample::select(vec![0, 9, 17, 30])).prop_map(|(c, n)| {
            Filter::is(Field::column("severity_number"), Test::Compare(c, f64::from(n)))
        }),
        1 => prop::collection::vec(1..8_u8, 0..3).prop_map(|ids| {
            let ids = ids.into_iter().map(|id| vec![id; 16]).collect();
            Filter::is(Field::column("trace_id"), Test::OneOf(ids))
        }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

/// The records, some of them in segments with promoted columns, the last ones in the head.
fn stored(dir: &tempfile::TempDir, records: &[Record], parts: usize) -> Store {
    let promoted = [
        ("count", PromotedKind::Integer),
        ("ratio", PromotedKind::Double),
        ("order.id", PromotedKind::Text),
    ];
    let store = Store::open(StoreConfig {
        promote: PromoteConfig {
            logs: promoted
                .map(|(key, kind)| PromoteKey {
                    key: key.to_owned(),
                    kind: Some(kind),
                })
                .to_vec(),
            ..PromoteConfig::default()
        },
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    let size = records.len().div_ceil(parts).max(1);
    for (sequence, part) in (1..).zip(records.chunks(size)) {
        let mut body = Vec::new();
        for record in part {
            let mut attributes = vec![KeyValue::new("service.name", record.service.clone())];
            let region = record.resource.clone();
            attributes.extend(region.map(|region| KeyValue::new("region", region)));
            let resource = Resource { attributes };
            write_resource_logs(&mut body, &resource, &Scope::default(), |writer| {
                let trace = record.trace.map(|trace| [trace; 16]);
                let attributes = record.attributes.iter();
                writer.push(&LogRecord {
                    time_unix_nano: record.time.unsigned_abs(),
                    severity_number: record.severity,
                    body: Value::from(record.body.clone()),
                    trace_id: trace.as_ref().map_or(&[], |trace| trace.as_slice()),
                    attributes: attributes
                        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
                        .collect(),
                    ..LogRecord::default()
                });
            });
        }
        store.apply(sequence, decoded(Signal::Logs, &body), None);
        if usize::try_from(sequence).unwrap() < parts {
            store.flush().unwrap();
        }
    }
    store
}

fn complete<T>(answer: Answer<T>) -> T {
    assert_eq!(answer.warnings, Vec::<String>::new());
    answer.found
}

fn times_and_bodies(rows: &[LogRow]) -> Vec<(i64, &str)> {
    rows.iter()
        .map(|row| (row.time.0, row.body.as_str()))
        .collect()
}

/// Rows of one time may come in any order.
fn same_rows(found: &[LogRow], expect: &[&Record], limit: usize) {
    let times: Vec<i64> = found.iter().map(|row| row.time.0).collect();
    let expected: Vec<i64> = expect
        .iter()
        .take(limit)
        .map(|record| record.time)
        .collect();
    assert_eq!(times, expected);
    if expect.len() <= limit {
        let mut found = times_and_bodies(found);
        let mut expect: Vec<_> = expect.iter().map(|r| (r.time, r.body.as_str())).collect();
        found.sort_unstable();
        expect.sort_unstable();
        assert_eq!(found, expect);
    }
}

type Cells = BTreeMap<(Vec<String>, i64), (u64, u64, u64, f64)>;

fn cells(groups: Vec<AggregateGroup>) -> Cells {
    let mut cells = Cells::new();
    for group in groups {
        for cell in group.cells {
            let numbers = cell.numbers.first();
            let (numbers, sum) = numbers.map_or((0, 0.0), |n| (n.count, n.sum));
            let key = (group.key.clone(), cell.start.0);
            cells.insert(key, (cell.count, cell.bytes, numbers, sum));
        }
    }
    cells
}

fn counted(records: &[&Record], start: i64, aggregate: &Aggregate) -> Cells {
    let mut cells = Cells::new();
    for record in records {
        let key = aggregate.group_by.iter();
        let key = key
            .map(|field| record.value(field).unwrap_or_default())
            .collect();
        let step = aggregate.bucket.map_or(start, |bucket| {
            let bucket = i64::try_from(bucket.as_nanos()).unwrap();
            start + (record.time - start) / bucket * bucket
        });
        let cell = cells.entry((key, step)).or_default();
        cell.0 += 1;
        cell.1 += if aggregate.bytes {
            record.body.len() as u64
        } else {
            0
        };
        if let Some(number) = aggregate.numbers.first() {
            let value = record.value(&number.field);
            if let Some(value) = value.and_then(|value| value.parse::<f64>().ok()) {
                cell.2 += 1;
                cell.3 += value;
            }
        }
    }
    cells
}

fn aggregates() -> Vec<Aggregate> {
    let level = || vec![Field::column("level"), Field::column("service_name")];
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    vec![
        Aggregate {
            group_by: level(),
            bytes: true,
            ..Aggregate::default()
        },
        Aggregate {
            group_by: vec![Field::column("level")],
            bucket: minutes(1),
            ..Aggregate::default()
        },
        Aggregate {
            group_by: level(),
            bucket: Some(Duration::from_millis(90_001)),
            ..Aggregate::default()
        },
        Aggregate {
            group_by: vec![
                Field::Attribute("count".to_owned()),
                Field::Metadata("order_id".to_owned()),
            ],
            bucket: minutes(5),
            bytes: true,
            numbers: vec![NumberField {
                field: Field::Attribute("count".to_owned()),
                quantiles: false,
            }],
            ..Aggregate::default()
        },
        Aggregate {
            numbers: vec![NumberField {
                field: Field::Attribute("ratio".to_owned()),
                quantiles: true,
            }],
            ..Aggregate::default()
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn requests_answer_as_a_look_at_every_record_would(
        mut records in prop::collection::vec(record(), 1..150),
        parts in 1..4_usize,
        filters in prop::collection::vec(filter(), 12),
        (from, length) in (-2 * MINUTE..20 * MINUTE, 0..22 * MINUTE),
        align in 0..4_u8,
        limit in prop::sample::select(vec![1, 7, 1000]),
    ) {
        // Some requests begin and end with a minute, or right behind its beginning.
        let at = |time: i64| MIDNIGHT + match align {
            0 => time / MINUTE * MINUTE,
            1 => time / MINUTE * MINUTE + 1,
            _ => time,
        };
        let (start, end) = (at(from), at(from + length));
        let dir = tempfile::tempdir().unwrap();
        let store = stored(&dir, &records, parts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for filter in filters.into_iter().chain([Filter::everything()]) {
            records.sort_by_key(|record| record.time);
            let mut expect: Vec<&Record> = records
                .iter()
                .filter(|record| (start..end).contains(&record.time) && record.fulfils(&filter))
                .collect();
            let mut request = LogRequest {
                filter,
                start: UnixNanos(start),
                end: UnixNanos(end),
                limit,
                direction: Direction::OldestFirst,
            };
            let found = complete(runtime.block_on(store.search_logs(&request)).unwrap());
            same_rows(&found, &expect, limit);
            for aggregate in aggregates() {
                let found = runtime.block_on(store.aggregate_logs(&request, &aggregate)).unwrap();
                let found = cells(complete(found));
                prop_assert_eq!(found, counted(&expect, start, &aggregate), "{:?} {:?}", request, aggregate);
            }
            request.direction = Direction::NewestFirst;
            expect.reverse();
            let found = complete(runtime.block_on(store.search_logs(&request)).unwrap());
            same_rows(&found, &expect, limit);
        }
    }
}

fn numbered(count: i64) -> Vec<Record> {
    let record = |n| Record {
        service: "api".to_owned(),
        severity: 9,
        time: MIDNIGHT + n * 1_000_000,
        body: format!("record n{n}n"),
        trace: None,
        attributes: Vec::new(),
        resource: None,
    };
    (0..count).map(record).collect()
}

fn everything() -> LogRequest {
    LogRequest {
        filter: Filter::everything(),
        start: UnixNanos(MIDNIGHT),
        end: UnixNanos(MIDNIGHT + 86_400_000_000_000),
        limit: 10_000,
        direction: Direction::OldestFirst,
    }
}

fn files(store: &Store) -> Vec<std::path::PathBuf> {
    let view = store.0.cut();
    view.snapshot
        .table(Table::Logs)
        .map(|file| file.path.to_path_buf())
        .collect()
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_is_named_and_the_rest_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(&dir, &numbered(300), 3);
    assert_eq!(
        complete(store.search_logs(&everything()).await.unwrap()).len(),
        300
    );
    let files = files(&store);
    let [damaged, gone] = files.as_slice() else {
        panic!("{files:?}");
    };
    std::fs::write(damaged, vec![0; 1000]).unwrap();
    std::fs::remove_file(gone).unwrap();
    store.0.searcher.forget();
    let answer = store.search_logs(&everything()).await.unwrap();
    assert_eq!(answer.found.len(), 100, "the head");
    assert_eq!(answer.warnings.len(), 2, "{:?}", answer.warnings);
    for path in [damaged, gone] {
        let name = path.display().to_string();
        assert!(
            answer
                .warnings
                .iter()
                .any(|warning| warning.contains(&name)),
            "{answer:?}"
        );
    }
    let counts = Aggregate {
        numbers: vec![NumberField {
            field: Field::column("severity_number"),
            quantiles: false,
        }],
        ..Aggregate::default()
    };
    let counted = store.aggregate_logs(&everything(), &counts).await.unwrap();
    assert_eq!(counted.found[0].cells[0].count, 100);
    assert_eq!(counted.warnings.len(), 2);
    let told: Vec<_> = store.damaged_segments();
    let mut expected = [damaged.clone(), gone.clone()];
    expected.sort();
    let paths: Vec<_> = told.iter().map(|segment| segment.path.clone()).collect();
    assert_eq!(paths, expected);
    for segment in told {
        let name = segment.path.display().to_string();
        assert!(segment.reason.contains(&name), "{segment:?}");
    }
    // What is put right is found again only when it is read.
    store.0.searcher.forget();
    assert!(store.damaged_segments().is_empty());
}

#[tokio::test]
async fn a_damaged_index_is_counted_and_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let records = numbered(300);
    let store = stored(&dir, &records, 2);
    let path = files(&store).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::from(bytes.clone()))
        .unwrap();
    let entries = metadata.file_metadata().key_value_metadata().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry.key == crate::segment::index::INDEX_KEY)
        .unwrap();
    let place =
        crate::segment::index::IndexPlace::from_value(entry.value.as_deref().unwrap()).unwrap();
    let needle = LogRequest {
        filter: Filter::is(Field::column("body"), Test::HasToken("n17n".to_owned())),
        ..everything()
    };
    let offset = usize::try_from(place.offset).unwrap();
    let behind = offset + 40..offset + usize::try_from(place.length).unwrap();
    for range in [offset + 8..offset + 9, behind] {
        let before = store.0.searcher.damaged_indexes();
        bytes[range.clone()].iter_mut().for_each(|byte| *byte ^= 1);
        std::fs::write(&path, &bytes).unwrap();
        store.0.searcher.forget();
        let found = complete(store.search_logs(&needle).await.unwrap());
        assert_eq!(found.len(), 1);
        let by_level = Aggregate {
            group_by: vec![Field::column("level")],
            ..Aggregate::default()
        };
        let counted = complete(
            store
                .aggregate_logs(&everything(), &by_level)
                .await
                .unwrap(),
        );
        assert_eq!(counted[0].cells[0].count, 300);
        assert!(store.0.searcher.damaged_indexes() > before);
        bytes[range].iter_mut().for_each(|byte| *byte ^= 1);
    }
}

#[tokio::test]
async fn a_request_ends_at_its_deadline_and_when_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(stored(&dir, &numbered(50), 2));
    let store = Store::open(StoreConfig {
        query_timeout: Duration::ZERO,
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    let error = store.search_logs(&everything()).await.unwrap_err();
    assert!(
        matches!(error, crate::StoreError::Timeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn answers_keep_to_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig {
        query_memory_bytes: 1_000,
        ..StoreConfig::new(dir.path())
    })
    .unwrap();
    store.apply(
        1,
        crate::fixtures::logs("api", &[(1, 9, &"x".repeat(5_000))]),
        None,
    );
    let error = store.search_logs(&everything()).await.unwrap_err();
    assert!(error.is_user_error(), "{error:?}");
    let unknown = LogRequest {
        filter: Filter::is(Field::column("nothing"), Test::Exists),
        ..everything()
    };
    assert!(
        store
            .search_logs(&unknown)
            .await
            .unwrap_err()
            .is_user_error()
    );
    let mut deep = Filter::everything();
    for _ in 0..1_000 {
        deep = Filter::Not(Box::new(deep));
    }
    let deep = LogRequest {
        filter: deep,
        ..everything()
    };
    assert!(store.search_logs(&deep).await.unwrap_err().is_user_error());
}
