//! What the buffer has taken is booked as that, whoever knew of it and has forgotten it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::{cursor_name, let_go};
use super::destination::Destination;
use super::rig::{Rig, Running};
use super::{texts, wait_until};
use crate::books::Account;
use crate::buffer::tests::full_disk::FullDisk;

/// Segments of so much as holds one record, an eighth each.
const DISK_BYTES: u64 = 1 << 20;
/// Records that it has room for.
const ROOM: usize = 10;
const LINE_BYTES: usize = 100_000;
/// Records that an exporter may send at first, and of which the oldest in the buffer are taken last.
const GRANTED: usize = 4;
/// Records that are appended, of which some behind the first ones have to go.
const APPENDED: usize = 13;

/// A destination that takes the first so many records and is away for the others, and an exporter whose granted
/// records are in the buffer, with a gap behind them.
struct Gap {
    rig: Rig,
    destination: Destination,
    taken: Arc<AtomicUsize>,
    disk: Arc<FullDisk>,
    settings: String,
}

impl Gap {
    /// The first records are granted to an exporter that is killed then.
    async fn with_granted() -> Self {
        Self::with("drop_oldest").await
    }

    async fn with(on_full: &str) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let limit = Arc::clone(&taken);
        let judge = move |lines: &[String], _: &http::HeaderMap| {
            let number = lines[0][5..11].parse::<usize>().expect("a number");
            let is_away = number >= limit.load(Ordering::SeqCst);
            is_away.then(|| (503, Vec::new(), String::new()))
        };
        let destination = Destination::with(judge, Duration::ZERO, None).await;
        let settings = format!(
            "type: otlp, endpoint: 'http://{}', queue: {{on_full: {on_full}}}, retry: {{initial: 2ms, max: 20ms}}",
            destination.address
        );
        let disk = Arc::<FullDisk>::default();
        let mut gap = Self {
            rig: Rig::on(disk.clone(), DISK_BYTES),
            destination,
            taken,
            disk,
            settings,
        };
        gap.append(0..GRANTED);
        let running = gap.rig.start("main", &gap.settings).await;
        wait_until("they may be sent", || gap.rig.metrics.failed("main") > 0).await;
        running.kill().await;
        gap
    }

    fn append(&mut self, numbers: std::ops::Range<usize>) {
        append(&mut self.rig, numbers);
    }

    /// Appends more than there is room for: how many have gone by now, none of them granted ones.
    fn make(&mut self, numbers: std::ops::Range<usize>) -> u64 {
        let gone = self.evict(numbers);
        assert_eq!(self.rig.journal.stats().oldest_sequence, 1);
        gone
    }

    fn evict(&mut self, numbers: std::ops::Range<usize>) -> u64 {
        self.append(numbers);
        let gone = dropped(&self.rig);
        assert!(gone > 0, "{:?}", self.rig.journal.stats());
        gone
    }

    fn take(&self, records: usize) {
        self.taken.store(records, Ordering::SeqCst);
    }

    /// All is sent that is there, and the rest was `gone` to make room.
    async fn check(&self, running: Running, gone: u64) {
        let dropped = [("evicted_by_drop_oldest", gone)];
        self.check_dropped(running, &dropped).await;
    }

    async fn check_dropped(&self, running: Running, expected: &[(&str, u64)]) {
        let gone: u64 = expected.iter().map(|(_, records)| records).sum();
        self.take(APPENDED);
        self.rig.wait_until_settled("main").await;
        running.stop().await;
        let book = self.rig.book("main");
        let dropped = book.dropped.iter();
        let dropped: Vec<_> = dropped
            .map(|(reason, amount)| (&**reason, amount.records))
            .collect();
        assert_eq!(dropped, expected, "{book:?}");
        assert_eq!(book.delivered.records, APPENDED as u64 - gone);
        assert_eq!(
            self.destination.lines().len() as u64,
            APPENDED as u64 - gone
        );
    }
}

fn append(rig: &mut Rig, numbers: std::ops::Range<usize>) {
    let padding = "x".repeat(LINE_BYTES);
    for text in texts(numbers) {
        rig.append(&[text + &padding]).expect("room");
    }
}

/// How many were taken from the exporter.
fn dropped(rig: &Rig) -> u64 {
    let stats = rig.journal.stats();
    let mut cursors = stats.cursors.iter();
    let cursor = cursors.find(|cursor| cursor.name.ends_with("main"));
    cursor.expect("there").dropped_records
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_comes_to_a_gap_again_knows_what_has_taken_it() {
    let mut gap = Gap::with_granted().await;
    let opened = gap.rig.open_free("main", &gap.settings).await;
    let gone = gap.make(GRANTED..APPENDED);
    let running = Running::of("main", opened);
    // With the position behind the first record it stores that the one behind the gap may be sent.
    gap.take(1);
    wait_until("stored", || gap.rig.committed("main") == 1).await;
    gap.disk.is_full.store(true, Ordering::SeqCst);
    gap.take(APPENDED);
    let behind = GRANTED as u64 + 1;
    wait_until("it is past the gap", || {
        gap.rig.book("main").delivered.records >= behind
    })
    .await;
    running.kill().await;
    let opened = gap.rig.open_free("main", &gap.settings).await;
    assert_eq!(gap.rig.committed("main"), 1, "nothing more was stored");
    assert!(gap.rig.book("main").delivered.records <= 1);
    gap.disk.is_full.store(false, Ordering::SeqCst);
    gap.check(Running::of("main", opened), gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_before_and_goes_while_an_exporter_is_not_configured_was_evicted() {
    let mut gap = Gap::with_granted().await;
    drop(gap.rig.open_free("main", &gap.settings).await);
    let before = gap.make(GRANTED..APPENDED - 1);
    gap.rig.books.close("main");
    let gone = gap.make(APPENDED - 1..APPENDED);
    assert!(gone > before, "{gone}");
    let running = gap.rig.start("main", &gap.settings).await;
    gap.check(running, gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_evicted_stays_so_when_the_setting_changes_over_a_restart() {
    let mut gap = Gap::with_granted().await;
    drop(gap.rig.open_free("main", &gap.settings).await);
    let cursor = gap.rig.journal.cursor(&cursor_name("main")).expect("free");
    cursor.hold(0);
    let gone = gap.evict(GRANTED..APPENDED);
    drop(cursor);
    // A process that begins has empty books.
    gap.rig.books = Arc::default();
    gap.settings = gap.settings.replace("drop_oldest", "block");
    let running = gap.rig.start("main", &gap.settings).await;
    gap.check(running, gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_while_a_blocking_exporter_was_not_configured_was_evicted_also_after_a_restart() {
    let mut gap = Gap::with("block").await;
    // Nobody else has its cursor any more.
    drop(gap.rig.open_free("main", &gap.settings).await);
    gap.rig.books = Arc::default();
    let mut cursor = gap.rig.journal.cursor(&cursor_name("main")).expect("free");
    // All the room there is.
    gap.append(GRANTED..ROOM);
    let_go(&mut cursor, gap.rig.end()).expect("stored");
    drop(cursor);
    let gone = gap.evict(ROOM..APPENDED);
    gap.rig.books = Arc::default();
    let running = gap.rig.start("main", &gap.settings).await;
    let missed = (APPENDED - ROOM) as u64;
    let dropped = [("evicted_by_drop_oldest", gone), ("not_configured", missed)];
    gap.check_dropped(running, &dropped).await;
    // What is missing later is damaged again.
    let cursor = gap.rig.journal.cursor(&cursor_name("main")).expect("free");
    let account: Account = serde_json::from_slice(cursor.state()).expect("an account");
    assert!(!account.was_orphaned);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_something_was_evicted_is_stored_though_nothing_is_delivered() {
    let mut gap = Gap::with_granted().await;
    let running = gap.rig.start("main", &gap.settings).await;
    let gone = gap.make(GRANTED..APPENDED);
    let at = gap.rig.books.evicted_at("main").expect("told");
    wait_until("it is to be stored", || !gap.rig.books.is_unsaved("main")).await;
    running.kill().await;
    // A process that begins has empty books.
    gap.rig.books = Arc::default();
    let opened = gap.rig.open_free("main", &gap.settings).await;
    assert_eq!(gap.rig.books.evicted_at("main"), Some(at));
    gap.check(Running::of("main", opened), gone).await;
}

impl Gap {
    /// An exporter whose destination is not there, and which has tried each lane's first record.
    async fn away(kind: &str) -> (Rig, Running, String) {
        let mut rig = Rig::new(DISK_BYTES);
        append(&mut rig, 0..GRANTED);
        let settings = format!(
            "type: {kind}, endpoint: 'http://127.0.0.1:9', queue: {{on_full: drop_oldest}}, retry: {{initial: 60s, max: 60s}}"
        );
        let running = rig.start("main", &settings).await;
        wait_until("each lane has tried", || {
            rig.metrics.failed("main") >= GRANTED as u64
        })
        .await;
        (rig, running, settings)
    }
}

/// Appends more than there is room for: how many have gone, which are the oldest.
async fn evict_oldest(rig: &mut Rig, numbers: std::ops::Range<usize>) -> u64 {
    let appended = numbers.end as u64;
    append(rig, numbers);
    let gone = rig.journal.stats().oldest_sequence - 1;
    assert_eq!(dropped(rig), gone, "others than the oldest");
    // They are in the books at once, though nothing is sent.
    wait_until("booked", || {
        rig.book("main").held.records == appended - gone
    })
    .await;
    assert_eq!(booked(rig), [("evicted_by_drop_oldest".to_owned(), gone)]);
    gone
}

fn booked(rig: &Rig) -> Vec<(String, u64)> {
    let dropped = rig.book("main").dropped.into_iter();
    dropped
        .map(|(reason, amount)| (reason, amount.records))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_away_keeps_nothing_that_was_never_sent() {
    for kind in ["otlp", "otlphttp"] {
        let (mut rig, running, settings) = Gap::away(kind).await;
        assert!(evict_oldest(&mut rig, GRANTED..APPENDED).await > 0);
        // Neither does the next process, whose figures begin anew.
        running.stop().await;
        rig.books = Arc::default();
        let running = rig.start("main", &settings).await;
        let failed = rig.metrics.failed("main");
        wait_until("each lane has tried", || {
            rig.metrics.failed("main") >= failed + GRANTED as u64
        })
        .await;
        append(&mut rig, APPENDED..APPENDED + 2);
        let gone = rig.journal.stats().oldest_sequence - 1;
        assert_eq!(dropped(&rig), gone, "others than the oldest");
        running.kill().await;

        rig.books = Arc::default();
        let destination = Destination::start().await;
        let settings = settings.replace("127.0.0.1:9", &destination.address.to_string());
        let running = rig.start("main", &settings).await;
        rig.wait_until_settled("main").await;
        running.stop().await;
        assert_eq!(booked(&rig), [("evicted_by_drop_oldest".to_owned(), gone)]);
        let first = usize::try_from(gone).expect("few");
        let left = texts(first..APPENDED + 2).into_iter();
        let left: Vec<_> = left.map(|text| text + &"x".repeat(LINE_BYTES)).collect();
        assert_eq!(destination.lines(), left);
    }
}
