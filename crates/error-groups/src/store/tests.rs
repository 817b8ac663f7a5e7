use std::path::PathBuf;

use tempfile::TempDir;
use vervet_model::{SpanId, TraceId};

use super::*;
use crate::group::{GroupChangeKind, GroupState, SortBy};
use crate::occurrence::{OccurrenceSource, STACK_BYTES_MAX, TRUNCATION_MARK};

const STACK: &str = "Error: no order 17\n    at show (/app/src/orders.js:3:9)\n    \
                     at route (/app/src/routes.js:1:1)";
const OTHER_STACK: &str = "RangeError: bad\n    at sum (/app/src/cart.js:3:9)";
/// 2026-01-02T03:00:00Z
const START_MS: i64 = 1_767_322_800_000;

fn at(ms: i64) -> UnixNanos {
    UnixNanos((START_MS + ms) * 1_000_000)
}

fn store() -> (TempDir, ErrorStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = ErrorStore::open(folder.path().join("errors.db")).expect("a store");
    (folder, store)
}

/// A failure of the service `shop`, version 1.0.0, in production, `ms` after the start.
fn seen(source: OccurrenceSource, ms: i64, stacktrace: &str) -> Occurrence {
    Occurrence {
        service_version: "1.0.0".to_owned(),
        environment: "production".to_owned(),
        stacktrace: stacktrace.to_owned(),
        host_name: "node-1".to_owned(),
        ..Occurrence::new(source, at(ms), "shop")
    }
}

fn traced(source: OccurrenceSource, ms: i64, span: u8) -> Occurrence {
    Occurrence {
        trace_id: TraceId::from_bytes(&[7; 16]),
        span_id: SpanId::from_bytes(&[span; 8]),
        ..seen(source, ms, STACK)
    }
}

fn total(store: &ErrorStore) -> u64 {
    store
        .list(&ListQuery::default())
        .expect("a list")
        .groups
        .iter()
        .map(|group| group.count)
        .sum()
}

/// Applies to a fresh store, one journal entry each, and returns the total count.
fn counted(occurrences: &[Occurrence]) -> u64 {
    let (_folder, one_by_one) = store();
    for (sequence, occurrence) in (1..).zip(occurrences) {
        one_by_one
            .apply_in_time(std::slice::from_ref(occurrence), sequence)
            .expect("applied");
    }
    let (_folder, together) = store();
    together.apply_in_time(occurrences, 1).expect("applied");
    assert_eq!(
        total(&one_by_one),
        total(&together),
        "entries must not change the count"
    );
    total(&together)
}

impl ErrorStore {
    /// Applies occurrences that arrive when they happen.
    fn apply_in_time(&self, occurrences: &[Occurrence], sequence: u64) -> Result<Vec<GroupChange>> {
        let times = occurrences.iter().map(|occurrence| occurrence.time);
        self.apply(occurrences, sequence, times.max().unwrap_or(at(0)))
    }
}

use OccurrenceSource::{LogBody, LogRecord, SpanEvent};

#[test]
fn first_sighting_makes_a_group_and_the_next_is_seen() {
    let (_folder, store) = store();
    let first = store
        .apply_in_time(&[seen(SpanEvent, 0, STACK)], 1)
        .expect("applied");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].kind, GroupChangeKind::New);
    assert_eq!(first[0].title, "Error: no order 17");
    let second = store
        .apply_in_time(
            &[seen(SpanEvent, 5_000, STACK), seen(SpanEvent, 5_001, STACK)],
            2,
        )
        .expect("applied");
    assert_eq!(
        (second[0].kind, second[0].count),
        (GroupChangeKind::Seen, 2)
    );
    assert_eq!(second[0].group_id, first[0].group_id);
    assert_eq!(first[0].group_id.len(), 16);
}

#[test]
fn one_failure_in_three_places_counts_once() {
    let all = [
        traced(SpanEvent, 0, 1),
        traced(LogRecord, 400, 1),
        seen(LogBody, 900, STACK),
    ];
    assert_eq!(counted(&all), 1);
    let reversed: Vec<Occurrence> = all.iter().rev().cloned().collect();
    assert_eq!(counted(&reversed), 1);
}

#[test]
fn a_log_body_lends_its_event_the_trace_of_the_span() {
    let (_folder, store) = store();
    let changes = store
        .apply_in_time(&[seen(LogBody, 0, STACK)], 1)
        .expect("applied");
    assert_eq!(
        store
            .apply_in_time(&[traced(SpanEvent, 100, 1)], 2)
            .expect("applied"),
        []
    );
    let detail = store
        .get(&changes[0].group_id, 10)
        .expect("read")
        .expect("a group");
    assert_eq!(detail.events.len(), 1);
    assert_eq!(detail.events[0].sources, [SpanEvent, LogBody]);
    assert_eq!(
        detail.events[0].trace_id.as_deref(),
        Some("07".repeat(16).as_str())
    );
    assert_eq!(
        detail.events[0].span_id.as_deref(),
        Some("01".repeat(8).as_str())
    );
}

#[test]
fn a_record_sent_twice_within_its_span_counts_once() {
    assert_eq!(
        counted(&[traced(SpanEvent, 0, 1), traced(SpanEvent, 0, 1)]),
        1
    );
}

#[test]
fn a_log_record_without_stack_is_matched_by_its_message() {
    let mut span_event = traced(SpanEvent, 0, 1);
    span_event.message = "no order 17".to_owned();
    let mut record = traced(LogRecord, 100, 2);
    record.stacktrace.clear();
    record.exception_type = "Error".to_owned();
    record.message = "no order 17".to_owned();
    assert_eq!(counted(&[span_event, record]), 1);
}

#[test]
fn different_failures_count_apart() {
    // One kind of source without a trace.
    assert_eq!(
        counted(&[seen(LogBody, 0, STACK), seen(LogBody, 10, STACK)]),
        2
    );
    // Too far apart.
    assert_eq!(
        counted(&[seen(LogBody, 0, STACK), seen(SpanEvent, 1_001, STACK)]),
        2
    );
    assert_eq!(
        counted(&[traced(SpanEvent, 0, 1), traced(LogRecord, 1_001, 1)]),
        2
    );
    // Other traces.
    let mut other = traced(LogRecord, 0, 1);
    other.trace_id = TraceId::from_bytes(&[8; 16]);
    assert_eq!(counted(&[traced(SpanEvent, 0, 1), other]), 2);
    // Another host, another failure.
    let mut elsewhere = seen(SpanEvent, 0, STACK);
    elsewhere.host_name = "node-2".to_owned();
    assert_eq!(counted(&[seen(LogBody, 0, STACK), elsewhere]), 2);
    assert_eq!(
        counted(&[seen(LogBody, 0, STACK), seen(SpanEvent, 0, OTHER_STACK)]),
        2
    );
}

#[test]
fn sightings_pair_one_to_one() {
    // Two failures, of which sampling kept one span: two log bodies, one span event.
    let all = [
        seen(LogBody, 0, STACK),
        seen(LogBody, 10, STACK),
        seen(SpanEvent, 20, STACK),
    ];
    assert_eq!(counted(&all), 2);
    let all = [
        seen(SpanEvent, 0, STACK),
        seen(LogBody, 10, STACK),
        seen(LogBody, 20, STACK),
    ];
    assert_eq!(counted(&all), 2);
}

#[test]
fn replay_counts_nothing_twice() {
    let (folder, store) = store();
    store
        .apply_in_time(&[seen(SpanEvent, 0, STACK)], 7)
        .expect("applied");
    assert_eq!(
        store
            .apply_in_time(&[seen(SpanEvent, 0, STACK)], 7)
            .expect("no-op"),
        []
    );
    assert_eq!(
        store
            .apply_in_time(&[seen(SpanEvent, 5_000, STACK)], 6)
            .expect("no-op"),
        []
    );
    drop(store);
    let store = ErrorStore::open(folder.path().join("errors.db")).expect("reopened");
    assert_eq!(store.applied_sequence().expect("read"), 7);
    assert_eq!(
        store
            .apply_in_time(&[seen(SpanEvent, 0, STACK)], 7)
            .expect("no-op"),
        []
    );
    assert_eq!(total(&store), 1);
    store
        .apply_in_time(&[], 8)
        .expect("an entry without failures moves the position");
    assert_eq!(store.applied_sequence().expect("read"), 8);
}

#[test]
fn a_resolved_group_that_comes_back_is_a_regression() {
    let (_folder, store) = store();
    let id = store
        .apply_in_time(&[seen(SpanEvent, 0, STACK)], 1)
        .expect("applied")[0]
        .group_id
        .clone();
    store.resolve(&id, at(60_000), None).expect("resolved");

    // It happened before the resolution and arrived late.
    let late = store
        .apply_in_time(&[seen(SpanEvent, 30_000, STACK)], 2)
        .expect("applied");
    assert_eq!(late[0].kind, GroupChangeKind::Seen);
    let group = store.get(&id, 0).expect("read").expect("a group").group;
    assert_eq!(
        (group.state, group.regressed),
        (GroupState::Resolved, false)
    );

    let back = store
        .apply_in_time(&[seen(SpanEvent, 90_000, STACK)], 3)
        .expect("applied");
    assert_eq!(back[0].kind, GroupChangeKind::Regression);
    let group = store.get(&id, 0).expect("read").expect("a group").group;
    assert_eq!((group.state, group.regressed), (GroupState::Open, true));
    assert_eq!(group.regressed_at_unix_ms, Some(START_MS + 90_000));
    assert_eq!(group.count, 3);

    let again = store
        .apply_in_time(&[seen(SpanEvent, 95_000, STACK)], 4)
        .expect("applied");
    assert_eq!(again[0].kind, GroupChangeKind::Seen);
}

#[test]
fn an_older_version_is_no_regression_of_the_fixed_one() {
    let kind = |fixed_in: &str, version: &str| {
        let (_folder, store) = store();
        let mut first = seen(SpanEvent, 0, STACK);
        first.service_version = "0badf00d".to_owned();
        let id = store.apply_in_time(&[first], 1).expect("applied")[0]
            .group_id
            .clone();
        store
            .resolve(&id, at(60_000), Some(fixed_in))
            .expect("resolved");
        let mut next = seen(SpanEvent, 90_000, STACK);
        next.service_version = version.to_owned();
        store.apply_in_time(&[next], 2).expect("applied")[0].kind
    };
    assert_eq!(kind("1.2.0", "1.1.9"), GroupChangeKind::Seen);
    assert_eq!(kind("1.2.0", "v1.10.0"), GroupChangeKind::Regression);
    assert_eq!(kind("1.2.0", "1.2.0"), GroupChangeKind::Regression);
    // Commit hashes have no order: the version seen before the resolution is an old one.
    assert_eq!(kind("c0ffee", "0badf00d"), GroupChangeKind::Seen);
    assert_eq!(kind("c0ffee", "decade"), GroupChangeKind::Regression);
}

#[test]
fn states_change_and_unknown_groups_are_refused() {
    let (_folder, store) = store();
    let id = store
        .apply_in_time(&[seen(SpanEvent, 0, STACK)], 1)
        .expect("applied")[0]
        .group_id
        .clone();
    let state = || {
        store
            .get(&id, 0)
            .expect("read")
            .expect("a group")
            .group
            .state
    };
    store.ignore(&id).expect("ignored");
    let more = store
        .apply_in_time(&[seen(SpanEvent, 9_000, STACK)], 2)
        .expect("applied");
    assert_eq!(
        (more[0].kind, state()),
        (GroupChangeKind::Seen, GroupState::Ignored)
    );
    store.reopen(&id).expect("reopened");
    assert_eq!(state(), GroupState::Open);
    let unknown = store.resolve("0000", at(0), None).expect_err("refused");
    assert!(matches!(unknown, ErrorStoreError::UnknownGroup { id } if id == "0000"));
    assert_eq!(store.get("0000", 1).expect("read"), None);
}

/// Two groups of `shop`, one of `mail`, four minutes in all.
fn filled() -> (TempDir, ErrorStore) {
    let (folder, store) = store();
    let mut staging = seen(SpanEvent, 120_000, OTHER_STACK);
    staging.environment = "staging".to_owned();
    let mut other_service = seen(SpanEvent, 0, STACK);
    other_service.service_name = "mail".to_owned();
    let all = [
        seen(SpanEvent, 0, STACK),
        seen(SpanEvent, 61_000, STACK),
        seen(SpanEvent, 90_000, OTHER_STACK),
        staging,
        other_service,
    ];
    store.apply_in_time(&all, 1).expect("applied");
    (folder, store)
}

/// Lists `query` and compares service, type and count within the range.
fn check_list(query: ListQuery, expect: &[(&str, &str, u64)]) {
    let (_folder, store) = filled();
    let page = store.list(&query).expect("a list");
    assert!(page.total >= page.groups.len() as u64);
    let found = page.groups;
    let found: Vec<_> = found
        .iter()
        .map(|g| {
            (
                g.service_name.as_str(),
                g.exception_type.as_str(),
                g.count_in_range,
            )
        })
        .collect();
    assert_eq!(found, expect, "{query:?}");
}

#[test]
fn lists_filter_sort_and_count_within_a_range() {
    let all = ListQuery::default;
    let shop = || ListQuery {
        service: Some("shop".to_owned()),
        ..all()
    };
    let text = |text: &str| ListQuery {
        text: Some(text.to_owned()),
        ..shop()
    };
    let (error, range_error) = (("shop", "Error", 2), ("shop", "RangeError", 2));

    check_list(shop(), &[range_error, error]);
    check_list(
        ListQuery {
            environment: Some("staging".to_owned()),
            ..all()
        },
        &[("shop", "RangeError", 1)],
    );
    check_list(text("ORDERS.js show"), &[error]);
    check_list(text("100%"), &[]);
    check_list(
        ListQuery {
            until_unix_ms: Some(START_MS + 60_000),
            sort: SortBy::Count,
            ..shop()
        },
        &[("shop", "Error", 1)],
    );
    check_list(
        ListQuery {
            since_unix_ms: Some(START_MS + 120_000),
            ..all()
        },
        &[("shop", "RangeError", 1)],
    );
    check_list(
        ListQuery {
            limit: 1,
            offset: 1,
            ..shop()
        },
        &[error],
    );
    check_list(
        ListQuery {
            state: Some(GroupState::Resolved),
            ..all()
        },
        &[],
    );
}

#[test]
fn details_count_by_version_and_environment_and_series_by_time() {
    let (_folder, store) = store();
    let mut canary = seen(SpanEvent, 125_000, STACK);
    canary.service_version = "1.1.0".to_owned();
    let changes = store
        .apply_in_time(
            &[
                seen(SpanEvent, 0, STACK),
                seen(SpanEvent, 20_000, STACK),
                canary,
            ],
            1,
        )
        .expect("applied");
    let detail = store
        .get(&changes[0].group_id, 2)
        .expect("read")
        .expect("a group");
    let by_version: Vec<(&str, u64)> = detail
        .by_version
        .iter()
        .map(|one| (one.name.as_str(), one.count))
        .collect();
    assert_eq!(by_version, [("1.0.0", 2), ("1.1.0", 1)]);
    assert_eq!(detail.by_environment[0].count, 3);
    assert_eq!(detail.events.len(), 2, "only as many as asked for");
    assert_eq!(
        detail.events[0].time_unix_ms,
        START_MS + 125_000,
        "newest first"
    );
    assert_eq!(detail.events[0].frames[0].function, "show");
    let series: Vec<(i64, u64)> = detail
        .group
        .series
        .iter()
        .map(|p| (p.time_unix_ms - START_MS, p.count))
        .collect();
    assert_eq!(series, [(0, 2), (120_000, 1)]);
    assert_eq!(
        (
            detail.group.first_version.as_str(),
            detail.group.last_version.as_str()
        ),
        ("1.0.0", "1.1.0")
    );
    assert_eq!(detail.group.culprit, "show (src/orders.js)");
    let json = serde_json::to_value(&detail.group).expect("json");
    assert_eq!(json["first_seen_unix_ms"], START_MS);
    assert_eq!(json["state"], "open");
}

#[test]
fn recent_names_new_and_regressed_groups() {
    let (_folder, store) = store();
    let old = store
        .apply_in_time(&[seen(SpanEvent, 0, STACK)], 1)
        .expect("applied")[0]
        .group_id
        .clone();
    let new = store
        .apply_in_time(&[seen(SpanEvent, 500_000, OTHER_STACK)], 2)
        .expect("applied")[0]
        .group_id
        .clone();
    let recent = || -> Vec<String> {
        store
            .recent(at(400_000))
            .expect("a list")
            .into_iter()
            .map(|group| group.id)
            .collect()
    };
    assert_eq!(recent(), std::slice::from_ref(&new));
    store.resolve(&old, at(1_000), None).expect("resolved");
    store
        .apply_in_time(&[seen(SpanEvent, 600_000, STACK)], 3)
        .expect("applied");
    assert_eq!(recent(), [old, new]);
}

#[test]
fn only_the_newest_events_are_kept_and_all_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = StoreConfig {
        events_per_group_max: 3,
        ..StoreConfig::default()
    };
    let store = ErrorStore::open_with(folder.path().join("e.db"), config).expect("a store");
    let burst: Vec<Occurrence> = (0..50).map(|n| seen(LogBody, n * 10, STACK)).collect();
    let id = store.apply_in_time(&burst, 1).expect("applied")[0]
        .group_id
        .clone();
    store
        .apply_in_time(&[seen(LogBody, 5, STACK), seen(LogBody, 900, STACK)], 2)
        .expect("applied");
    let detail = store.get(&id, 100).expect("read").expect("a group");
    let times: Vec<i64> = detail
        .events
        .iter()
        .map(|e| e.time_unix_ms - START_MS)
        .collect();
    assert_eq!(times, [900, 490, 480]);
    assert_eq!(detail.group.count, 52);
}

#[test]
fn groups_beyond_the_limit_share_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = StoreConfig {
        groups_per_service_max: 2,
        ..StoreConfig::default()
    };
    let store = ErrorStore::open_with(folder.path().join("e.db"), config).expect("a store");
    let many: Vec<Occurrence> = (0..6)
        .map(|n| {
            seen(
                LogBody,
                0,
                &format!("Error: x\n    at f{n} (/app/src/a.js:1:1)"),
            )
        })
        .collect();
    store.apply_in_time(&many, 1).expect("applied");
    let groups = store
        .list(&ListQuery {
            sort: SortBy::Count,
            ..ListQuery::default()
        })
        .expect("list")
        .groups;
    let counts: Vec<u64> = groups.iter().map(|group| group.count).collect();
    assert_eq!(counts, [4, 1, 1]);
    assert_eq!(groups[0].title, "Other errors");
}

#[test]
fn oversized_fields_are_cut_and_marked() {
    let (_folder, store) = store();
    let mut huge = seen(
        LogBody,
        0,
        &format!("{STACK}\n{}", "é".repeat(STACK_BYTES_MAX)),
    );
    huge.message = "m".repeat(100_000);
    huge.attributes = (0..100)
        .map(|n| (format!("k{n}"), "v".repeat(5_000)))
        .collect();
    let id = store.apply_in_time(&[huge], 1).expect("applied")[0]
        .group_id
        .clone();
    let event = store
        .get(&id, 1)
        .expect("read")
        .expect("a group")
        .events
        .remove(0);
    assert!(event.stacktrace.len() <= 64 * 1024 && event.stacktrace.ends_with(TRUNCATION_MARK));
    assert!(event.message.len() <= 8 * 1024 && event.message.ends_with(TRUNCATION_MARK));
    assert_eq!(event.attributes.len(), 64);
    assert!(
        event
            .attributes
            .iter()
            .all(|(_, value)| value.len() <= 1024)
    );
}

#[test]
fn extreme_times_are_stored() {
    let (_folder, store) = store();
    let mut ends = [seen(LogBody, 0, STACK), seen(LogBody, 0, STACK)];
    ends[0].time = UnixNanos(i64::MIN);
    ends[1].time = UnixNanos(i64::MAX);
    store.apply_in_time(&ends, 1).expect("applied");
    let found = store
        .list(&ListQuery {
            since_unix_ms: Some(i64::MIN),
            until_unix_ms: Some(i64::MAX),
            ..ListQuery::default()
        })
        .expect("a list")
        .groups;
    assert_eq!(found[0].count_in_range, 2);
    assert_eq!(
        found[0].series.iter().map(|point| point.count).sum::<u64>(),
        2
    );
}

#[test]
fn pruned_counts_leave_totals() {
    let (_folder, store) = store();
    store
        .apply_in_time(&[seen(LogBody, 0, STACK), seen(LogBody, 180_000, STACK)], 1)
        .expect("applied");
    assert_eq!(store.prune_counts(at(120_000)).expect("pruned"), 1);
    let group = store
        .list(&ListQuery::default())
        .expect("a list")
        .groups
        .remove(0);
    assert_eq!((group.count, group.count_in_range), (2, 1));
}

fn file_with_version(folder: &TempDir, version: i64) -> PathBuf {
    let path = folder.path().join("errors.db");
    let connection = Connection::open(&path).expect("a file");
    connection
        .pragma_update(None, "user_version", version)
        .expect("a version");
    path
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file_with_version(&folder, 99);
    let before = std::fs::read(&path).expect("bytes");
    let Err(refused) = ErrorStore::open(&path) else {
        panic!("opened a newer schema")
    };
    assert!(matches!(
        refused,
        ErrorStoreError::NewerSchema {
            found: 99,
            known: 2,
            ..
        }
    ));
    assert!(refused.to_string().contains("schema version 99"));
    assert_eq!(std::fs::read(&path).expect("bytes"), before);
}

#[test]
fn the_file_is_durable_and_reopens() {
    let (folder, store) = store();
    {
        let connection = store.connection.lock();
        let pragma = |name: &str| -> String {
            connection
                .query_row(
                    &format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"),
                    [],
                    |r| r.get(0),
                )
                .expect("a pragma")
        };
        assert_eq!(
            (pragma("journal_mode"), pragma("synchronous")),
            ("wal".to_owned(), "2".to_owned())
        );
    }
    store
        .apply_in_time(&[seen(LogBody, 0, STACK)], 1)
        .expect("applied");
    drop(store);
    let store = ErrorStore::open(folder.path().join("errors.db")).expect("reopened");
    assert_eq!(total(&store), 1);
}

#[test]
fn a_failed_entry_leaves_nothing_behind() {
    let (_folder, store) = store();
    store
        .connection
        .lock()
        .execute_batch("DROP TABLE events")
        .expect("dropped");
    let failed = store
        .apply_in_time(&[seen(LogBody, 0, STACK)], 1)
        .expect_err("no table");
    assert!(!failed.is_retryable());
    assert_eq!(store.applied_sequence().expect("read"), 0);
    assert_eq!(
        store.list(&ListQuery::default()).expect("a list").groups,
        []
    );
}

#[test]
fn what_arrives_late_is_new_when_it_arrives() {
    const HOURS: i64 = 3_600_000;
    let (_folder, store) = store();
    let noticed = |since: i64| -> Vec<(i64, Option<i64>)> {
        let groups = store.recent(at(since)).expect("groups");
        let times = |group: &GroupSummary| {
            let since_start = |ms: i64| ms - START_MS;
            (
                since_start(group.noticed_at_unix_ms),
                group.regression_noticed_at_unix_ms.map(since_start),
            )
        };
        groups.iter().map(times).collect()
    };
    store
        .apply(&[seen(SpanEvent, 0, STACK)], 1, at(5 * HOURS))
        .expect("applied");
    assert_eq!(noticed(5 * HOURS), [(5 * HOURS, None)]);
    let id = store.recent(at(0)).expect("groups")[0].id.clone();
    // One that happened earlier still, and arrives later, is not new again.
    store
        .apply(&[seen(SpanEvent, -60_000, STACK)], 2, at(6 * HOURS))
        .expect("applied");
    assert!(noticed(5 * HOURS + 1).is_empty());
    store.resolve(&id, at(6 * HOURS), None).expect("resolved");
    store
        .apply(&[seen(SpanEvent, 7 * HOURS, STACK)], 3, at(12 * HOURS))
        .expect("applied");
    assert_eq!(
        noticed(12 * HOURS),
        [(5 * HOURS, Some(12 * HOURS))],
        "it came back, which is heard of now"
    );
    let group = store.get(&id, 1).expect("read").expect("a group").group;
    assert_eq!(group.first_seen_unix_ms, START_MS - 60_000);
    assert_eq!(group.regressed_at_unix_ms, Some(START_MS + 7 * HOURS));
    store.resolve(&id, at(13 * HOURS), None).expect("resolved");
    assert!(noticed(12 * HOURS).is_empty());
}

#[test]
fn groups_of_an_earlier_version_were_noticed_when_they_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("errors.db");
    let old = Connection::open(&path).expect("a database");
    old.execute_batch(include_str!("migrations/0001_groups.sql"))
        .expect("tables");
    old.execute_batch(
        "INSERT INTO groups VALUES ('g', 'shop', 1, 'f', 't', 'm', '[]', 'title', '', 'Error', '', 'error', NULL,
            0, 1000, 2000, '', '', 1, NULL, NULL, 1, 1500);
         PRAGMA user_version = 1;",
    )
    .expect("a group");
    drop(old);
    let store = ErrorStore::open(&path).expect("a store");
    let group = store.get("g", 1).expect("read").expect("a group").group;
    assert_eq!(group.noticed_at_unix_ms, 1000);
    assert_eq!(group.regression_noticed_at_unix_ms, Some(1500));
}
