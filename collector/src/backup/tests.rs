use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use vervet_journal::{Cursor, Entry, Inspector, Item, Journal, JournalConfig, JournalError};
use vervet_model::{Signal, UnixNanos};
use vervet_store::catalog::{CATALOG_FILE, CatalogInspector};
use vervet_store::verify::{Defect, Progress};
use vervet_store::{DecodeOptions, Store, StoreConfig, decode};
use vervet_wire::otlp::{LogRecord, Resource, Scope, Value, write_resource_logs};

use super::*;
use crate::start::{ALERTS_FILE, ERRORS_FILE, JOURNAL_DIR};

/// 2024-10-04 00:00:00 UTC.
const MIDNIGHT: i64 = 1_728_000_000_000_000_000;
const DAY: i64 = 86_400_000_000_000;

#[derive(Default)]
struct Silent {
    bytes: AtomicU64,
}

impl Copying for Silent {
    fn begin(&self, _bytes: u64, _files: usize) {}
    fn advance(&self, bytes: u64, _files: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Progress for Silent {
    fn begin(&self, _bytes: u64, _files: usize) {}
    fn advance(&self, _bytes: u64) {}
    fn file_done(&self) {}
    fn defect(&self, _defect: &Defect) {}
}

/// A data folder that is written as a collector does, one log record per journal record.
struct Writer {
    dir: PathBuf,
    store: Store,
    journal: Journal,
    cursor: Cursor,
}

impl Writer {
    fn open(dir: &Path) -> Self {
        let config = JournalConfig {
            // A handful of records, so that segments come and go.
            segment_bytes_max: 400,
            ..JournalConfig::new(dir.join(JOURNAL_DIR))
        };
        let (journal, _report) = Journal::open(config).expect("journal");
        let cursor = journal.cursor("store").expect("cursor");
        Self {
            dir: dir.to_owned(),
            store: Store::open(StoreConfig::new(dir)).expect("store"),
            journal,
            cursor,
        }
    }

    /// Writes record `n`, durable when it returns.
    fn write(&self, n: u64) {
        let payload = format!("record {n}");
        let entry = Entry {
            kind: 1,
            parts: &[payload.as_bytes()],
        };
        let sequence = self.journal.append(&[entry]).expect("appended").last();
        let body = log_request(n);
        let decoded =
            decode(Signal::Logs, &body, &DecodeOptions::default(), at(n)).expect("decoded");
        self.store.apply(sequence.expect("one"), decoded, None);
    }

    fn flush(&mut self) {
        if let Some(report) = self.store.flush().expect("flushed") {
            self.cursor
                .commit(report.journal_position, &[])
                .expect("committed");
        }
    }

    fn fill(&mut self, records: std::ops::Range<u64>) {
        for n in records {
            self.write(n);
        }
        self.flush();
    }
}

fn at(n: u64) -> UnixNanos {
    UnixNanos(MIDNIGHT + i64::try_from(n).expect("small") * DAY / 50)
}

fn log_request(n: u64) -> Vec<u8> {
    let mut body = Vec::new();
    write_resource_logs(
        &mut body,
        &Resource::default(),
        &Scope::default(),
        |writer| {
            writer.push(&LogRecord {
                time_unix_nano: at(n).0.unsigned_abs(),
                body: Value::from(format!("record {n}")),
                ..LogRecord::default()
            });
        },
    );
    body
}

fn repository(dir: &Path) -> Repository {
    Repository::open(dir.to_str().expect("UTF-8")).expect("a place")
}

fn take_one(data: &Path, to: &Path, keep: Option<usize>) -> anyhow::Result<Taken> {
    let options = TakeOptions {
        location: to.display().to_string(),
        keep,
        ..TakeOptions::default()
    };
    take(data, &repository(to), &options, &Silent::default())
}

fn prove(from: &Path, manifest: &Manifest) -> Checked {
    let scratch = tempfile::tempdir().expect("folder");
    let silent = Silent::default();
    let checked = check(
        &repository(from),
        manifest,
        scratch.path(),
        &silent,
        &silent,
    );
    let checked = checked.expect("restored");
    assert_eq!(fs::read_dir(scratch.path()).expect("listed").count(), 0);
    checked
}

/// Numbers of the records in a folder's journal.
fn journalled(dir: &Path) -> Vec<u64> {
    let inspector = Inspector::open(dir.join(JOURNAL_DIR)).expect("journal");
    let mut found = Vec::new();
    for segment in inspector.segments().expect("listed") {
        inspector
            .read(&segment, &mut |item| -> Result<(), JournalError> {
                if let Item::Record(record) = item {
                    assert!(record.payload.starts_with(b"record "));
                    found.push(record.sequence);
                }
                Ok(())
            })
            .expect("read");
    }
    found
}

struct Folders {
    _root: tempfile::TempDir,
    data: PathBuf,
    to: PathBuf,
    back: PathBuf,
}

fn folders() -> Folders {
    let root = tempfile::tempdir().expect("folder");
    let path = |name: &str| root.path().join(name);
    let (data, to, back) = (path("data"), path("backups"), path("back"));
    fs::create_dir(&data).expect("made");
    Folders {
        _root: root,
        data,
        to,
        back,
    }
}

#[test]
fn what_is_acknowledged_is_in_a_backup_that_is_taken_meanwhile() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..10);
    let (written, stop) = (
        Arc::new(AtomicU64::new(10)),
        Arc::new(AtomicBool::new(false)),
    );
    let thread = {
        let (written, stop) = (Arc::clone(&written), Arc::clone(&stop));
        std::thread::spawn(move || {
            for n in 10.. {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                writer.write(n);
                written.store(n + 1, Ordering::Release);
                if n % 7 == 0 {
                    writer.flush();
                }
            }
        })
    };
    for round in 0..8 {
        let acknowledged = written.load(Ordering::Acquire);
        let taken = take_one(&folders.data, &folders.to, None).expect("taken");
        let back = folders.back.with_extension(round.to_string());
        restore(
            &repository(&folders.to),
            &taken.manifest,
            &back,
            &Silent::default(),
        )
        .expect("restored");
        let checked = prove(&folders.to, &taken.manifest);
        assert_eq!(checked.problems, Vec::<String>::new());
        // Segments hold what came first, the journal all that follows, without a hole.
        let catalog = CatalogInspector::open(&back).expect("catalog");
        let position = catalog.journal_position().expect("read");
        let rows: i64 = catalog
            .files()
            .expect("read")
            .iter()
            .map(|file| file.rows)
            .sum();
        assert_eq!(u64::try_from(rows), Ok(position));
        let waiting: Vec<u64> = journalled(&back)
            .into_iter()
            .filter(|sequence| *sequence > position)
            .collect();
        let last = waiting.last().copied().unwrap_or(position);
        assert_eq!(waiting, (position + 1..=last).collect::<Vec<_>>());
        assert!(last >= acknowledged, "{last} of {acknowledged}");
        assert!(last >= taken.manifest.journal_last_sequence);
    }
    stop.store(true, Ordering::Release);
    thread.join().expect("wrote");
    assert!(!folders.data.join(staging::STAGING).exists());
}

#[test]
fn a_restored_folder_goes_on_where_the_backup_ended() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..40);
    // The journal is empty now but for its place in the sequence.
    let taken = take_one(&folders.data, &folders.to, None).expect("taken");
    restore(
        &repository(&folders.to),
        &taken.manifest,
        &folders.back,
        &Silent::default(),
    )
    .expect("restored");
    let mut back = Writer::open(&folders.back);
    let before = back.store.stats().logs.rows_stored;
    assert_eq!(before, 40);
    back.fill(40..45);
    // None of them was taken for a repeat.
    assert_eq!(back.store.stats().logs.rows_stored, 45);
}

#[test]
fn segments_are_copied_once_and_swept_with_the_last_backup_that_needs_them() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..100);
    let first = take_one(&folders.data, &folders.to, None).expect("taken");
    let segments = first
        .manifest
        .counts
        .iter()
        .map(|count| count.files)
        .sum::<u64>();
    assert!(segments >= 2, "{segments}");
    assert_eq!(first.reused_files, 0);
    writer.fill(100..101);
    let second = take_one(&folders.data, &folders.to, None).expect("taken");
    assert_eq!(second.reused_files, segments);
    assert_eq!(second.manifest.rows(), 101);
    assert_eq!(second.swept_bytes, 0);
    for manifest in [&first.manifest, &second.manifest] {
        assert_eq!(prove(&folders.to, manifest).problems, Vec::<String>::new());
    }
    let third = take_one(&folders.data, &folders.to, Some(2)).expect("taken");
    assert!(third.swept_bytes > 0);
    let (left, damaged) = repository(&folders.to).backups().expect("listed");
    assert!(damaged.is_empty());
    assert_eq!(left, [second.manifest.clone(), third.manifest.clone()]);
    assert_eq!(prove(&folders.to, &second.manifest).rows, 101);
    let last = LastBackup::read(&folders.data).expect("noted");
    assert_eq!(last.id, third.manifest.id);
}

#[test]
fn an_interrupted_backup_does_not_count_and_is_continued() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..100);
    let first = take_one(&folders.data, &folders.to, None).expect("taken");
    fs::remove_file(folders.to.join(Manifest::name(&first.manifest.id))).expect("removed");
    // What a killed copy leaves beside its name.
    let object = &first.manifest.files[1].object;
    let torn = folders.to.join(format!("{object}.part"));
    fs::write(&torn, b"torn").expect("written");
    assert!(choose(&repository(&folders.to), &Choice::default()).is_err());
    let second = take_one(&folders.data, &folders.to, Some(1)).expect("taken");
    assert!(second.reused_files >= 2);
    assert_eq!(
        prove(&folders.to, &second.manifest).problems,
        Vec::<String>::new()
    );
    assert!(!torn.exists());
    assert!(
        !folders
            .to
            .join(Manifest::folder(&first.manifest.id))
            .exists()
    );
}

#[test]
fn a_damaged_segment_is_left_out_and_named() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..100);
    let file = CatalogInspector::open(&folders.data)
        .expect("catalog")
        .files()
        .expect("read")
        .remove(0);
    let path = folders.data.join("data").join(&file.relative_path);
    let mut bytes = fs::read(&path).expect("read");
    bytes[100] ^= 4;
    fs::write(&path, bytes).expect("written");
    let taken = take_one(&folders.data, &folders.to, None).expect("taken");
    assert_eq!(
        taken.manifest.damaged,
        std::slice::from_ref(&file.relative_path)
    );
    let checked = prove(&folders.to, &taken.manifest);
    assert_eq!(checked.problems.len(), 2, "{:?}", checked.problems);
    fs::remove_file(&path).expect("removed");
    let taken = take_one(&folders.data, &folders.to, None).expect("taken");
    assert_eq!(taken.manifest.damaged, [file.relative_path]);
}

#[test]
fn rot_among_the_backups_is_found() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..100);
    let taken = take_one(&folders.data, &folders.to, None).expect("taken");
    for file in &taken.manifest.files {
        let path = folders.to.join(&file.object);
        let intact = fs::read(&path).expect("read");
        let mut bytes = intact.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("written");
        let scratch = tempfile::tempdir().expect("folder");
        let silent = Silent::default();
        let checked = check(
            &repository(&folders.to),
            &taken.manifest,
            scratch.path(),
            &silent,
            &silent,
        );
        let error = format!("{:#}", checked.expect_err("damaged"));
        assert!(error.contains(&file.object), "{error}");
        fs::write(&path, intact).expect("written");
    }
    assert_eq!(
        prove(&folders.to, &taken.manifest).problems,
        Vec::<String>::new()
    );
}

#[test]
fn restoring_spares_what_is_there_and_can_be_continued() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..60);
    let taken = take_one(&folders.data, &folders.to, None).expect("taken");
    let place = repository(&folders.to);
    fs::create_dir_all(&folders.back).expect("made");
    fs::write(folders.back.join("mine"), b"x").expect("written");
    let refused = restore(&place, &taken.manifest, &folders.back, &Silent::default());
    assert!(format!("{:#}", refused.expect_err("refused")).contains("mine"));
    fs::remove_file(folders.back.join("mine")).expect("removed");
    // A file that is not there stops it in the middle.
    let lost = folders.to.join(&taken.manifest.files[0].object);
    let bytes = fs::read(&lost).expect("read");
    fs::remove_file(&lost).expect("removed");
    restore(&place, &taken.manifest, &folders.back, &Silent::default()).expect_err("absent");
    assert!(folders.back.join(INCOMPLETE).exists());
    fs::write(&lost, bytes).expect("written");
    let other = Manifest {
        id: "other".to_owned(),
        ..taken.manifest.clone()
    };
    restore(&place, &other, &folders.back, &Silent::default()).expect_err("another");
    restore(&place, &taken.manifest, &folders.back, &Silent::default()).expect("continued");
    assert!(!folders.back.join(INCOMPLETE).exists());
    restore(&place, &taken.manifest, &folders.back, &Silent::default()).expect_err("not empty");
    assert_eq!(
        Writer::open(&folders.back).store.stats().logs.rows_stored,
        60
    );
}

#[test]
fn a_moment_chooses_the_newest_backup_that_is_not_later() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..10);
    let first = take_one(&folders.data, &folders.to, None)
        .expect("taken")
        .manifest;
    writer.fill(10..20);
    let second = take_one(&folders.data, &folders.to, None)
        .expect("taken")
        .manifest;
    let place = repository(&folders.to);
    let chosen = |at: i64| {
        let choice = Choice {
            at: Some(at),
            ..Choice::default()
        };
        choose(&place, &choice).ok().map(|manifest| manifest.id)
    };
    assert_eq!(chosen(first.taken_unix_nano - 1), None);
    assert_eq!(chosen(first.taken_unix_nano), Some(first.id.clone()));
    assert_eq!(chosen(second.taken_unix_nano - 1), Some(first.id.clone()));
    assert_eq!(chosen(i64::MAX), Some(second.id.clone()));
    let by_id = Choice {
        id: Some(first.id.clone()),
        ..Choice::default()
    };
    assert_eq!(choose(&place, &by_id).expect("chosen").id, first.id);
    restore(&place, &first, &folders.back, &Silent::default()).expect("restored");
    assert_eq!(
        Writer::open(&folders.back).store.stats().logs.rows_stored,
        10
    );
}

#[test]
fn one_backup_of_a_folder_at_a_time_and_one_store_a_place() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..5);
    let lock = staging::Lock::take(&folders.data).expect("locked");
    let refused = take_one(&folders.data, &folders.to, None).expect_err("locked");
    assert!(format!("{refused:#}").contains("another backup"));
    remove_stale(&folders.data);
    drop(lock);
    take_one(&folders.data, &folders.to, None).expect("taken");
    let other = folders.back.join("other");
    fs::create_dir_all(&other).expect("made");
    let mut foreign = Writer::open(&other);
    foreign.fill(0..5);
    let refused = take_one(&foreign.dir, &folders.to, None).expect_err("foreign");
    assert!(
        format!("{refused:#}").contains("belong to store"),
        "{refused:#}"
    );
}

#[test]
fn remains_of_a_killed_backup_are_removed() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..5);
    let staging = folders.data.join(staging::STAGING);
    fs::create_dir_all(staging.join("data/logs")).expect("made");
    remove_stale(&folders.data);
    assert!(!staging.exists());
}

#[test]
fn error_groups_and_alerts_come_along() {
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..5);
    drop(vervet_error_groups::ErrorStore::open(folders.data.join(ERRORS_FILE)).expect("made"));
    fs::write(folders.data.join(ALERTS_FILE), b"{\"firing\":1}").expect("written");
    let taken = take_one(&folders.data, &folders.to, None).expect("taken");
    restore(
        &repository(&folders.to),
        &taken.manifest,
        &folders.back,
        &Silent::default(),
    )
    .expect("restored");
    assert_eq!(
        fs::read(folders.back.join(ALERTS_FILE)).expect("read"),
        b"{\"firing\":1}"
    );
    assert!(folders.back.join(ERRORS_FILE).exists());
    // Readers of the restored catalog do not wait for writers.
    let header = fs::read(folders.back.join(CATALOG_FILE)).expect("read");
    assert_eq!(header[18..20], [2, 2]);
}

#[test]
fn a_manifest_cannot_lead_out_of_the_folder() {
    let dir = Path::new("/data");
    for path in ["", "/etc/passwd", "../x", "a/../../x"] {
        assert!(below(dir, path).is_err(), "{path}");
    }
    assert_eq!(below(dir, "a/b").expect("below"), Path::new("/data/a/b"));
}

#[test]
fn linked_segments_are_the_same_file() {
    use std::os::unix::fs::MetadataExt as _;
    let folders = folders();
    let mut writer = Writer::open(&folders.data);
    writer.fill(0..60);
    let options = TakeOptions {
        link: true,
        ..TakeOptions::default()
    };
    let taken = take(
        &folders.data,
        &repository(&folders.to),
        &options,
        &Silent::default(),
    );
    let manifest = taken.expect("taken").manifest;
    let segment = manifest
        .files
        .iter()
        .find(|file| file.path.starts_with("data/"))
        .expect("a segment");
    let inode = |path: PathBuf| fs::metadata(path).expect("there").ino();
    assert_eq!(
        inode(folders.data.join(&segment.path)),
        inode(folders.to.join(&segment.object))
    );
    assert_eq!(prove(&folders.to, &manifest).problems, Vec::<String>::new());
}
