use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use vervet_wire::otlp::SpanKind;

use super::*;
use crate::fixtures::{TestSpan, at, logs_of, spans};
use crate::maintain::{CompactionConfig, UpkeepConfig};
use crate::tables::Table;
use crate::{Direction, LogQuery, PromoteConfig, PromoteKey, StoreConfig};

const LATER: i64 = 10 * 86_400;

fn config(dir: &tempfile::TempDir) -> StoreConfig {
    StoreConfig {
        upkeep: UpkeepConfig {
            compaction: CompactionConfig {
                files_min: 2,
                ..CompactionConfig::default()
            },
            reader_grace: Duration::ZERO,
            ..UpkeepConfig::default()
        },
        ..StoreConfig::new(dir.path())
    }
}

fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(config(dir)).unwrap()
}

/// All bodies by time, read as a query reads them.
fn bodies(store: &Store) -> Vec<String> {
    let query = LogQuery {
        matchers: Vec::new(),
        filters: Vec::new(),
        metadata: Vec::new(),
        trace_id: None,
        start: at(-86_400),
        end: at(86_400),
        limit: 100_000,
        direction: Direction::OldestFirst,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let rows = runtime.unwrap().block_on(store.logs(&query)).unwrap();
    rows.into_iter().map(|row| row.body).collect()
}

fn of_user(user: &str) -> DeleteWhere {
    DeleteWhere {
        logs: true,
        attributes: BTreeMap::from([("user.id".to_owned(), user.to_owned())]),
        ..DeleteWhere::default()
    }
}

fn finish(store: &Store) -> DeleteJob {
    let cancel = Cancel::default();
    while store.delete_step(at(LATER), &cancel).unwrap().is_some() {}
    store.delete_jobs().pop().unwrap()
}

fn put(store: &Store, sequence: u64, records: &[(i64, &'static str, &str)]) {
    store.apply(sequence, logs_of("api", "production", records), None);
}

#[test]
fn rows_that_are_meant_go_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    put(&store, 1, &[(1, "ann", "a1"), (2, "bob", "b2")]);
    store.flush().unwrap();
    put(&store, 2, &[(3, "ann", "a3"), (4, "ann", "a4")]);
    store.flush().unwrap();
    put(&store, 3, &[(5, "bob", "b5")]);
    store.flush().unwrap();
    // Neither in a file nor flushed by anybody else.
    put(&store, 4, &[(6, "ann", "a6"), (7, "eve", "e7")]);
    let job = store.delete_where(&of_user("ann"), at(LATER)).unwrap();
    assert_eq!(job.state, JobState::Running);
    put(&store, 5, &[(8, "ann", "later")]);
    let job = finish(&store);
    let at_unix_nano = at(LATER).0;
    assert_eq!(job.state, JobState::Finished { at_unix_nano });
    let report = job.report;
    assert_eq!((report.rows_deleted, report.files_read), (4, 4));
    assert_eq!((report.files_rewritten, report.files_dropped), (2, 1));
    assert!(report.bytes_after < report.bytes_before && report.bytes_after > 0);
    assert_eq!(bodies(&store), ["b2", "b5", "e7", "later"]);
    store.flush().unwrap();
    assert_eq!(store.stats().logs.rows_stored, 4);
    let reclaimed = store.reclaim(at(i64::from(u32::MAX))).unwrap();
    assert_eq!((reclaimed.files, reclaimed.waiting_files), (3, 0));
    assert_eq!(bodies(&store), ["b2", "b5", "e7", "later"]);
}

#[test]
fn each_part_of_a_condition_narrows() {
    let check = |condition: DeleteWhere, left: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        let api = [(1, "ann", "card one"), (2, "bob", "card two")];
        store.apply(1, logs_of("api", "production", &api), None);
        store.apply(2, logs_of("api", "staging", &[(3, "ann", "three")]), None);
        store.apply(3, logs_of("web", "production", &[(4, "ann", "four")]), None);
        let condition = DeleteWhere {
            logs: true,
            ..condition
        };
        store.delete_where(&condition, at(LATER)).unwrap();
        finish(&store);
        assert_eq!(bodies(&store), left, "{condition:?}");
    };
    let text = |text: &str| Some(text.to_owned());
    let attribute = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let none = DeleteWhere::default;
    check(
        DeleteWhere {
            service: text("api"),
            ..none()
        },
        &["four"],
    );
    check(
        DeleteWhere {
            service: text("api"),
            environment: text("staging"),
            ..none()
        },
        &["card one", "card two", "four"],
    );
    check(
        DeleteWhere {
            body_contains: text("card"),
            ..none()
        },
        &["three", "four"],
    );
    check(
        DeleteWhere {
            attributes: attribute("service.name", "web"),
            ..none()
        },
        &["card one", "card two", "three"],
    );
    check(
        DeleteWhere {
            attributes: attribute("team", "shop"),
            start_unix_nano: Some(at(2).0),
            end_unix_nano: Some(at(4).0),
            ..none()
        },
        &["card one", "four"],
    );
    check(
        DeleteWhere {
            service: text("nobody"),
            ..none()
        },
        &["card one", "card two", "three", "four"],
    );
    check(
        DeleteWhere {
            trace_id: text("000000000000000000000000000000ff"),
            ..none()
        },
        &["card one", "card two", "three", "four"],
    );
}

#[test]
fn spans_go_by_service_and_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let span = |trace, seconds| TestSpan {
        trace,
        id: 1,
        parent: None,
        name: "work",
        kind: SpanKind::Server,
        seconds,
        millis: 1,
        failed: false,
    };
    store.apply(1, spans("api", &[span(1, 1), span(2, 2), span(2, 3)]), None);
    put(&store, 2, &[(1, "ann", "log")]);
    let condition = DeleteWhere {
        traces: true,
        service: Some("api".to_owned()),
        trace_id: Some("02".repeat(16)),
        ..DeleteWhere::default()
    };
    store.delete_where(&condition, at(LATER)).unwrap();
    assert_eq!(finish(&store).report.rows_deleted, 2);
    let stats = store.stats();
    assert_eq!((stats.spans.rows_stored, stats.logs.rows_stored), (1, 1));
}

#[test]
fn conditions_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let check = |condition: DeleteWhere, word: &str| {
        let error = store.delete_where(&condition, at(LATER)).unwrap_err();
        assert!(
            error.is_user_error() && error.to_string().contains(word),
            "{error}"
        );
    };
    check(DeleteWhere::default(), "signal");
    let everything = DeleteWhere {
        logs: true,
        start_unix_nano: Some(0),
        ..DeleteWhere::default()
    };
    check(everything.clone(), "must name");
    let with = |service: &str| DeleteWhere {
        service: Some(service.to_owned()),
        ..everything.clone()
    };
    check(with(""), "must name");
    let backwards = DeleteWhere {
        end_unix_nano: Some(0),
        ..with("api")
    };
    check(backwards, "after the start");
    let no_trace = DeleteWhere {
        trace_id: Some("xyz".to_owned()),
        ..with("api")
    };
    check(no_trace, "hexadecimal");
    let body_of_spans = DeleteWhere {
        traces: true,
        body_contains: Some("x".to_owned()),
        ..with("api")
    };
    check(body_of_spans, "no body");
    assert_eq!(store.delete_jobs(), []);
}

#[test]
fn a_job_goes_on_after_a_restart_and_counts_each_row_once() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(&dir);
        for sequence in 1..=4 {
            put(&store, sequence, &[(1, "ann", "a"), (2, "bob", "b")]);
            store.flush().unwrap();
        }
        store.delete_where(&of_user("ann"), at(LATER)).unwrap();
        for _file in 0..2 {
            store.delete_step(at(LATER), &Cancel::default()).unwrap();
        }
        assert_eq!(store.delete_jobs()[0].report.rows_deleted, 2);
    }
    let store = open(&dir);
    let resumed = &store.delete_jobs()[0];
    assert_eq!(
        (resumed.report.rows_deleted, resumed.report.files_read),
        (2, 2)
    );
    let job = finish(&store);
    assert_eq!((job.report.rows_deleted, job.report.files_read), (4, 4));
    assert_eq!(bodies(&store), ["b"; 4]);
    drop(store);
    assert_eq!(open(&dir).delete_jobs(), [job]);
}

#[test]
fn a_value_in_a_column_of_its_own_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig {
        promote: PromoteConfig {
            logs: vec![PromoteKey {
                key: "user.id".to_owned(),
                kind: None,
            }],
            ..PromoteConfig::default()
        },
        ..config(&dir)
    })
    .unwrap();
    put(&store, 1, &[(1, "7", "seven"), (2, "8", "eight")]);
    store.flush().unwrap();
    let layout = store.0.cut().snapshot.layout(Table::Logs).clone();
    assert!(layout.promoted().find("user.id").is_some());
    store.delete_where(&of_user("7"), at(LATER)).unwrap();
    assert_eq!(finish(&store).report.rows_deleted, 1);
    assert_eq!(bodies(&store), ["eight"]);
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_job_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for sequence in 1..=2 {
        put(&store, sequence, &[(1, "ann", "a")]);
        store.flush().unwrap();
    }
    fs::write(&store.0.cut().snapshot.files[0].path, "damaged").unwrap();
    store.delete_where(&of_user("ann"), at(LATER)).unwrap();
    let job = finish(&store);
    assert!(matches!(job.state, JobState::Incomplete { .. }), "{job:?}");
    assert_eq!(
        (job.report.rows_deleted, job.report.files_unreadable),
        (1, 1)
    );
}

#[test]
fn work_that_is_called_off_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    put(&store, 1, &[(1, "ann", "a"), (2, "bob", "b")]);
    let job = store.delete_where(&of_user("ann"), at(LATER)).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(store.delete_step(at(LATER), &cancel).unwrap(), None);
    assert_eq!(store.delete_jobs(), [job]);
    assert_eq!(bodies(&store), ["a", "b"]);
}

const USERS: [&str; 3] = ["ann", "bob", "eve"];

/// What happens to a store, in order.
#[derive(Debug, Clone)]
enum Event {
    Put(usize),
    Flush,
    Delete(usize),
    Step,
    Compact,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..USERS.len()).prop_map(Event::Put),
        2 => Just(Event::Flush),
        1 => (0..USERS.len()).prop_map(Event::Delete),
        2 => Just(Event::Step),
        2 => Just(Event::Compact),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens while jobs run: a job deletes what was there when it was entered, and nothing else.
    #[test]
    fn a_job_deletes_what_was_there_and_nothing_else(events in events()) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(&dir);
        // Number and user of each row, and whether it is to be deleted.
        let mut rows: Vec<(String, &str, bool)> = Vec::new();
        let mut sequence = 0;
        for event in events {
            match event {
                Event::Put(user) => {
                    sequence += 1;
                    let body = format!("{sequence:04}");
                    let seconds = i64::try_from(sequence).unwrap();
                    put(&store, sequence, &[(seconds, USERS[user], &body)]);
                    rows.push((body, USERS[user], false));
                }
                Event::Flush => {
                    store.flush().unwrap();
                }
                Event::Delete(user) => {
                    store.delete_where(&of_user(USERS[user]), at(LATER)).unwrap();
                    for row in rows.iter_mut().filter(|row| row.1 == USERS[user]) {
                        row.2 = true;
                    }
                }
                Event::Step => {
                    store.delete_step(at(LATER), &Cancel::default()).unwrap();
                }
                Event::Compact => {
                    store.compact(at(LATER), &Cancel::default()).unwrap();
                }
                // A restart replays the journal; here everything is flushed before.
                Event::Restart => {
                    store.flush().unwrap();
                    drop(store);
                    store = open(&dir);
                }
            }
        }
        while store.delete_step(at(LATER), &Cancel::default()).unwrap().is_some() {}
        while store.compact(at(LATER), &Cancel::default()).unwrap().is_some() {}
        let left: Vec<_> = rows.iter().filter(|row| !row.2).map(|row| row.0.clone()).collect();
        prop_assert_eq!(bodies(&store), left);
        let deleted = store.delete_jobs().iter().map(|job| job.report.rows_deleted).sum::<u64>();
        prop_assert_eq!(deleted, rows.iter().filter(|row| row.2).count() as u64);
    }
}
