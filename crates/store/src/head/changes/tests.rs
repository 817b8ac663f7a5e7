use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fixtures::{at, at_ms, gauge, logs};
use crate::maintain::{Cancel, Keep, RetentionConfig, UpkeepConfig};
use crate::{Store, StoreConfig};

proptest! {
    #[test]
    fn it_is_never_later_than_the_earliest_change_and_hardly_earlier(
        times in prop::collection::vec(-100_000_i64..100_000, 0..60),
    ) {
        let mut changes = Changes::default();
        for time in &times {
            changes.note(*time);
        }
        for mark in 0..=times.len() {
            let earliest = times.iter().skip(mark).min();
            let told = changes.since(mark as u64);
            match earliest {
                None => prop_assert_eq!(told, i64::MAX),
                Some(earliest) => {
                    prop_assert!(told <= *earliest, "{told} of {earliest}");
                    prop_assert!(told > earliest - SPAN_MS, "{told} of {earliest}");
                }
            }
        }
    }
}

#[test]
fn of_too_old_a_mark_everything_may_have_changed() {
    let mut changes = Changes::default();
    let first = changes.mark();
    let span = |number: usize| i64::try_from(number).unwrap_or(0) * SPAN_MS;
    for number in 0..CHANGES_MAX {
        changes.note(span(number));
    }
    assert_eq!(changes.since(first), 0);
    changes.note(span(CHANGES_MAX));
    assert_eq!(changes.since(first), i64::MIN);
    assert_eq!(changes.since(first + 1), SPAN_MS);
}

#[test]
fn a_change_of_all_times_is_one() {
    let mut changes = Changes::default();
    changes.note(5 * SPAN_MS);
    let mark = changes.mark();
    assert_eq!(changes.since(mark), i64::MAX);
    changes.note(i64::MIN);
    assert_eq!(changes.since(mark), i64::MIN);
    let mark = changes.mark();
    changes.note(7 * SPAN_MS + 1);
    assert_eq!(changes.since(mark), 7 * SPAN_MS);
}

#[test]
fn samples_that_come_and_go_are_changes_and_where_they_lie_is_none() {
    const DAY: i64 = 86_400;
    let dir = tempfile::tempdir().unwrap();
    let retention = RetentionConfig {
        metrics: Keep {
            age: Some(Duration::from_secs(2 * DAY.unsigned_abs())),
            bytes: None,
        },
        ..RetentionConfig::default()
    };
    let upkeep = UpkeepConfig {
        retention,
        ..UpkeepConfig::default()
    };
    let store = Store::open(StoreConfig {
        upkeep,
        ..StoreConfig::new(dir.path())
    });
    let store = store.unwrap();
    let start = store.samples_mark();
    store.apply(1, gauge(&[("a", 30, 1.0), ("b", 20, 1.0)]), None);
    assert_eq!(store.samples_changed_since(start), at_ms(20));
    let first = store.samples_mark();
    store.apply(2, gauge(&[("a", DAY + 60, 1.0)]), None);
    assert_eq!(store.samples_changed_since(first), at_ms(DAY + 60));
    assert_eq!(store.samples_changed_since(start), at_ms(20));
    let second = store.samples_mark();
    store.apply(3, logs("api", &[(0, 9, "no sample")]), None);
    store.flush().unwrap().unwrap();
    store.apply(4, gauge(&[("a", DAY + 70, 1.0)]), None);
    store.flush().unwrap().unwrap();
    assert_eq!(store.samples_changed_since(second), at_ms(DAY + 70));
    let third = store.samples_mark();
    let cancel = Cancel::default();
    let merged = std::iter::from_fn(|| store.compact(at(9 * DAY), &cancel).unwrap()).count();
    assert!(merged > 0);
    assert_eq!(store.samples_changed_since(third), i64::MAX);
    store.retain(at(3 * DAY)).unwrap();
    assert_eq!(store.samples_changed_since(third), at_ms(20));
}
