use std::path::Path;
use std::sync::Arc;

use vervet_model::{Clock as _, ManualClock};

use super::*;
use crate::catalog::SnapshotId;
use crate::tables::Layouts;

const DAY: Duration = Duration::from_secs(86_400);
const TODAY: i32 = 100;

fn noon() -> UnixNanos {
    UnixNanos::default().saturating_add(DAY * 100 + DAY / 2)
}

/// Table, day, class, bytes; ids count from 0.
fn snapshot(files: &[(Table, i32, &str, u64)]) -> Snapshot {
    let file = |(id, (table, day, class, bytes)): (i64, &(Table, i32, &str, u64))| DataFile {
        id: FileId(id),
        table: *table,
        order: id,
        class: Arc::from(*class),
        path: Arc::from(Path::new("f")),
        day: *day,
        rows: 10,
        bytes: *bytes,
        footer_bytes: 1,
        time_range: None,
    };
    Snapshot {
        id: SnapshotId(1),
        layouts: Layouts::default(),
        files: (0..).zip(files).map(file).collect(),
    }
}

fn age(days: u32) -> Keep {
    Keep {
        age: Some(DAY * days),
        bytes: None,
    }
}

fn bytes(bytes: u64) -> Keep {
    Keep {
        age: None,
        bytes: Some(bytes),
    }
}

fn dropped(config: &RetentionConfig, snapshot: &Snapshot, now: UnixNanos) -> Vec<i64> {
    let (drop, retained) = config.choose(snapshot, now);
    let counted = retained.by_age.files + retained.by_size.files;
    assert_eq!(counted, drop.len() as u64);
    let mut ids: Vec<i64> = drop.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn nothing_is_dropped_that_has_no_limit() {
    let files = snapshot(&[(Table::Logs, -5_000, "", 9), (Table::Samples, 1, "", 9)]);
    assert_eq!(
        dropped(&RetentionConfig::default(), &files, noon()),
        [0_i64; 0]
    );
}

#[test]
fn a_day_goes_when_its_last_moment_is_old_enough() {
    let config = RetentionConfig {
        logs: age(2),
        ..RetentionConfig::default()
    };
    let files = snapshot(&[
        (Table::Logs, TODAY - 3, "", 1),
        (Table::Logs, TODAY - 2, "", 1),
        (Table::Logs, TODAY, "", 1),
        (Table::Logs, TODAY + 30_000, "", 1),
        (Table::Spans, 0, "", 1),
    ]);
    let clock = ManualClock::new(noon());
    // The day before the last two began 3.5 days ago and ended 2.5 days ago.
    assert_eq!(dropped(&config, &files, clock.now()), [0]);
    clock.advance(DAY / 2 - Duration::from_nanos(1));
    assert_eq!(dropped(&config, &files, clock.now()), [0]);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(dropped(&config, &files, clock.now()), [0, 1]);
    clock.advance(DAY * 40_000);
    assert_eq!(dropped(&config, &files, clock.now()), [0, 1, 2, 3]);
}

#[test]
fn an_environment_has_its_own_age_and_the_others_the_signals() {
    let config = RetentionConfig {
        logs: age(10),
        environments: BTreeMap::from([(
            "staging".to_owned(),
            EnvironmentKeep {
                logs: age(1),
                traces: bytes(1),
            },
        )]),
        ..RetentionConfig::default()
    };
    let day = TODAY - 5;
    let files = snapshot(&[
        (Table::Logs, day, "", 1),
        (Table::Logs, day, "production", 1),
        (Table::Logs, day, "staging", 1),
        (Table::Spans, day, "", 1),
    ]);
    assert_eq!(dropped(&config, &files, noon()), [2]);
    assert_eq!(config.classes(Table::Logs).collect::<Vec<_>>(), ["staging"]);
    assert_eq!(config.classes(Table::Spans).count(), 1);
    assert_eq!(config.classes(Table::Samples).count(), 0);
}

#[test]
fn by_size_whole_days_go_oldest_first_and_no_more_than_needed() {
    let config = RetentionConfig {
        logs: bytes(100),
        ..RetentionConfig::default()
    };
    let files = snapshot(&[
        (Table::Logs, TODAY - 3, "", 10),
        (Table::Logs, TODAY - 3, "", 10),
        (Table::Logs, TODAY - 2, "", 30),
        (Table::Logs, TODAY - 1, "", 40),
        (Table::Logs, TODAY, "", 45),
        (Table::Spans, TODAY - 9, "", 1_000),
    ]);
    // 135 bytes: without the oldest day 115, without the next one 85.
    assert_eq!(dropped(&config, &files, noon()), [0, 1, 2]);
    let all_fit = RetentionConfig {
        logs: bytes(135),
        ..RetentionConfig::default()
    };
    assert_eq!(dropped(&all_fit, &files, noon()), [0_i64; 0]);
}

#[test]
fn of_today_single_files_go_and_the_newest_stays() {
    let config = |limit| RetentionConfig {
        logs: bytes(limit),
        ..RetentionConfig::default()
    };
    let files = snapshot(&[
        (Table::Logs, TODAY, "", 10),
        // A clock is wrong somewhere: rows of a day to come are no reason to drop all of today.
        (Table::Logs, TODAY + 9_000, "", 10),
        (Table::Logs, TODAY, "", 10),
        (Table::Logs, TODAY - 1, "", 10),
        (Table::Logs, TODAY, "", 10),
    ]);
    assert_eq!(dropped(&config(45), &files, noon()), [3]);
    assert_eq!(dropped(&config(30), &files, noon()), [0, 3]);
    assert_eq!(dropped(&config(0), &files, noon()), [0, 1, 2, 3]);
}

#[test]
fn an_environment_with_a_size_is_counted_apart() {
    let config = RetentionConfig {
        logs: bytes(50),
        environments: BTreeMap::from([
            (
                "staging".to_owned(),
                EnvironmentKeep {
                    logs: bytes(10),
                    traces: Keep::default(),
                },
            ),
            (
                "qa".to_owned(),
                EnvironmentKeep {
                    logs: age(1),
                    traces: Keep::default(),
                },
            ),
        ]),
        ..RetentionConfig::default()
    };
    let files = snapshot(&[
        (Table::Logs, TODAY - 2, "staging", 8),
        (Table::Logs, TODAY - 1, "staging", 8),
        (Table::Logs, TODAY - 1, "qa", 25),
        (Table::Logs, TODAY - 1, "", 25),
        (Table::Logs, TODAY, "", 1),
    ]);
    // Staging has 16 of 10; the others have 51 of 50 together, and lose their oldest day.
    assert_eq!(dropped(&config, &files, noon()), [0, 2, 3]);
}

#[test]
fn series_go_with_the_samples_of_a_whole_day_only() {
    let config = RetentionConfig {
        metrics: bytes(20),
        ..RetentionConfig::default()
    };
    let files = snapshot(&[
        (Table::Samples, TODAY - 1, "", 10),
        (Table::Series, TODAY - 1, "", 10),
        (Table::Series, TODAY, "", 10),
        (Table::Samples, TODAY, "", 10),
        (Table::Samples, TODAY, "", 10),
    ]);
    assert_eq!(dropped(&config, &files, noon()), [0, 1, 3]);
}
