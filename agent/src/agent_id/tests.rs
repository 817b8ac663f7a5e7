use std::time::Duration;

use super::*;

const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);
const NOW_MICROS: u64 = 1_700_000_000_000_000;

fn later(seconds: u64) -> UnixNanos {
    let nanos = Duration::from_secs(seconds).as_nanos();
    UnixNanos(NOW.0 + i64::try_from(nanos).expect("small"))
}

/// A journal from which nothing was deleted.
fn holding(records: u64) -> Held {
    Held {
        is_new: records == 0,
        oldest: 1,
        next: records + 1,
    }
}

fn stored(dir: &Path) -> Vec<u8> {
    fs::read(dir.join(FILE)).expect("stored")
}

#[test]
fn the_id_stays_until_the_journal_is_a_new_one() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let load = |records| {
        let identity = load(dir.path(), holding(records), NOW).expect("an id");
        identity.id().to_string()
    };
    let first = load(0);
    assert_eq!(load(1), first);
    let second = load(0);
    assert_ne!(second, first);
    assert_eq!(load(1), second);
}

#[test]
fn a_copied_folder_gets_an_id_of_its_own() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| dir.path().join(name);
    let machine = |name: &str| {
        fs::write(path(name), format!("{name}\n")).expect("written");
        path(name)
    };
    let (one, other) = (machine("one"), machine("other"));
    fs::create_dir(path("data")).expect("created");
    let load = |folder: &str, machine: &Path| {
        let identity = load_at(&path(folder), machine, holding(7), NOW).expect("an id");
        identity.id().to_string()
    };
    let first = load("data", &one);
    assert_eq!(load("data", &one), first);
    assert_eq!(load("data", &path("unknown")), first);
    assert_eq!(load("data", &one), first);

    fs::create_dir(path("copy")).expect("created");
    fs::copy(path("data").join(FILE), path("copy").join(FILE)).expect("copied");
    let of_copy = load("copy", &one);
    assert_ne!(of_copy, first, "another folder");
    assert_eq!(load("copy", &one), of_copy);
    assert_ne!(load("copy", &other), of_copy, "another machine");
    assert_eq!(load("data", &one), first);
}

#[test]
fn what_is_appended_after_a_snapshot_was_put_back_has_numbers_nobody_has_given_out() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let start = |records, now| load(dir.path(), holding(records), now).expect("an id");
    start(0, NOW);
    let before = start(9, later(10));
    let snapshot = stored(dir.path());
    // It goes on, and is started once more.
    let lost = start(5_000, later(20));
    assert!(lost.number(5_001) > before.number(5_000));
    fs::write(dir.path().join(FILE), snapshot).expect("put back");
    let back = start(20, later(21));
    assert_eq!(back.id(), before.id());
    assert!(back.number(21) > lost.number(900_000));
    for record in 1..=20 {
        assert_eq!(
            back.number(record),
            before.number(record),
            "known as a repeat"
        );
    }
}

#[test]
fn numbers_grow_from_start_to_start_and_keep_to_their_lanes() {
    let dir = tempfile::tempdir().expect("temporary folder");
    // The clock is set back once.
    let starts = [(3, 0), (3, 1), (17, 2), (18, 1), (900, 60)];
    for (records, seconds) in starts {
        let identity = load(dir.path(), holding(records), later(seconds)).expect("an id");
        let numbers: Vec<u64> = (1..=1_000).map(|record| identity.number(record)).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
        for (record, number) in (1..).zip(&numbers) {
            assert_eq!(record % LANES, number % LANES);
        }
        let source = identity.source(1);
        assert_eq!(
            (source.agent(), source.sequence),
            (&**identity.id(), numbers[0])
        );
    }
}

#[test]
fn starts_of_which_no_record_is_left_are_forgotten() {
    let home = Home {
        machine: None,
        folder: 7,
    };
    let mut stored = Stored::new(home, holding(0), NOW);
    for start in 1..3_000 {
        let held = Held {
            is_new: false,
            oldest: start.max(20) - 19,
            next: start + 1,
        };
        stored = stored.started(home, held, later(start));
        assert!(stored.shifts.len() <= 21, "{}", stored.shifts.len());
    }
    // However many records there are.
    for start in 3_000..5_000 {
        stored = stored.started(home, holding(start), later(start));
    }
    assert_eq!(stored.shifts.len(), SHIFTS_MAX);
}

#[test]
fn an_id_of_an_earlier_version_keeps_its_numbers_and_takes_no_new_file_for_its_own() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let id = Uuid::new_v4().to_string();
    fs::write(dir.path().join(FILE), format!("{id}\n")).expect("written");
    let identity = load(dir.path(), holding(8), NOW).expect("an id");
    assert_eq!(&**identity.id(), id);
    assert_eq!((identity.number(1), identity.number(8)), (1, 8));
    assert!((NOW_MICROS..NOW_MICROS + LANES).contains(&identity.number(9)));
    let text = String::from_utf8(stored(dir.path())).expect("text");
    assert!(Uuid::parse_str(text.trim()).is_err());
}

#[test]
fn numbers_that_cannot_be_stored_are_not_given_out() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let first = load(dir.path(), holding(8), NOW).expect("an id");
    fs::create_dir(dir.path().join("agent-id.new")).expect("created");
    let second = load(dir.path(), holding(9), later(1)).expect("the same id");
    assert_eq!(second.id(), first.id());
    assert_eq!(second.number(10), first.number(10));
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("agent-id.new"), "left by a crash").expect("written");
    load(dir.path(), holding(0), NOW).expect("new");
    let metadata = fs::metadata(dir.path().join(FILE)).expect("a file");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_garbled_id_is_replaced_and_an_unreadable_one_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let load = || load(dir.path(), holding(1), NOW);
    fs::write(dir.path().join(FILE), b"\xff\xfe\0").expect("written");
    let new = load().expect("a new one").id().to_string();
    assert_eq!(&**load().expect("stored").id(), new);
    fs::remove_file(dir.path().join(FILE)).expect("removed");
    fs::create_dir(dir.path().join(FILE)).expect("created");
    let error = load().expect_err("a folder");
    assert!(error.to_string().contains("agent-id"), "{error}");
}
