use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::catalog::SnapshotId;
use crate::tables::Layouts;

const TODAY: i32 = 100;
const MIB: u64 = 1 << 20;
const SIZES: Sizes = Sizes {
    file_bytes_min: 128 * MIB,
    file_bytes_max: 256 * MIB,
    files_min: 8,
    memory_bytes: 128 * MIB,
};

fn file(order: i64, day: i32, bytes: u64) -> DataFile {
    DataFile {
        id: FileId(order),
        table: Table::Logs,
        order,
        class: Arc::from(""),
        path: Arc::from(Path::new("f")),
        day,
        rows: 1,
        bytes,
        footer_bytes: 1,
        time_range: None,
    }
}

/// A day of files, to which flushes are added and whose runs are merged.
struct Day {
    snapshot: Snapshot,
    next: i64,
    flushed: u64,
    written: u64,
}

impl Day {
    fn new() -> Self {
        Self {
            snapshot: Snapshot {
                id: SnapshotId(1),
                layouts: Layouts::default(),
                files: Vec::new(),
            },
            next: 0,
            flushed: 0,
            written: 0,
        }
    }

    fn flush(&mut self, bytes: u64) {
        self.snapshot.files.push(file(self.next, TODAY, bytes));
        self.next += 1;
        self.flushed += bytes;
    }

    /// Merges all that is due, as if a merged file were as large as its parts together.
    fn compact(&mut self, open_day: i32) {
        while let Some(run) = next_run(&self.snapshot, open_day, &Apart::default(), SIZES) {
            let bytes = run.files.iter().map(|file| file.bytes).sum();
            let ids: HashSet<FileId> = run.files.iter().map(|file| file.id).collect();
            assert!(bytes <= SIZES.file_bytes_max && run.files.len() > 1);
            let places: Vec<usize> = self.places(&ids);
            assert!(
                places.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "{places:?}"
            );
            let merged = DataFile {
                order: run.files[0].order,
                ..file(self.next, TODAY, bytes)
            };
            self.next += 1;
            self.written += bytes;
            self.snapshot.files.retain(|file| !ids.contains(&file.id));
            self.snapshot.files.push(merged);
            self.snapshot.files.sort_by_key(|file| file.order);
        }
    }

    fn places(&self, ids: &HashSet<FileId>) -> Vec<usize> {
        let files = self.snapshot.files.iter().enumerate();
        files
            .filter(|(_place, file)| ids.contains(&file.id))
            .map(|(place, _file)| place)
            .collect()
    }

    fn amplification(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown with a digit")]
        let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
        ratio(self.written, self.flushed)
    }
}

/// A flush a minute for a day, compaction after each; then the day is over.
fn a_day(bytes: impl Fn(u64) -> u64) -> (usize, usize, f64) {
    let mut day = Day::new();
    let mut most = 0;
    for minute in 0..1_440 {
        day.flush(bytes(minute));
        day.compact(TODAY);
        most = most.max(day.snapshot.files.len());
    }
    day.compact(TODAY + 1);
    (day.snapshot.files.len(), most, day.amplification())
}

#[test]
fn a_flush_a_minute_for_a_day_ends_in_few_files() {
    let check = |bytes: u64, files_max: usize, open_max: usize, amplification_max: f64| {
        let (files, most, amplification) = a_day(|_minute| bytes);
        println!(
            "{bytes} B a flush: {files} files, {most} at most, each byte written {amplification:.1} times more"
        );
        assert!(files <= files_max, "{bytes}: {files} files");
        assert!(most <= open_max, "{bytes}: {most} files at most");
        assert!(
            amplification <= amplification_max,
            "{bytes}: {amplification}"
        );
    };
    // 1.4 MiB, 69 MiB, 1.4 GiB and 28 GiB a day; the last two cannot be fewer than 6 and 110.
    // Files below 64 KiB count as that large, so their bytes are written more often.
    check(1_000, 2, 40, 12.0);
    check(50_000, 3, 40, 5.0);
    check(1_000_000, 14, 50, 5.0);
    check(20_000_000, 230, 240, 3.0);
}

#[test]
fn files_that_are_large_enough_are_never_touched() {
    let mut day = Day::new();
    for bytes in [200 * MIB, MIB, 128 * MIB, MIB] {
        day.flush(bytes);
    }
    day.compact(TODAY + 1);
    assert_eq!(day.written, 0, "a large file stands between the small ones");
    let skip = HashSet::from([FileId(0), FileId(2)]);
    let skip = Apart {
        skip,
        ..Apart::default()
    };
    assert_eq!(next_run(&day.snapshot, TODAY + 1, &skip, SIZES), None);
}

#[test]
fn the_oldest_day_comes_first_and_tables_stay_apart() {
    let mut files: Vec<DataFile> = (0..20)
        .map(|n| file(n, TODAY - 1 + i32::from(n < 10), MIB))
        .collect();
    files.push(DataFile {
        table: Table::Spans,
        ..file(20, TODAY - 1, MIB)
    });
    files.sort_by_key(|file| (file.table, file.day, file.order));
    let snapshot = Snapshot {
        id: SnapshotId(1),
        layouts: Layouts::default(),
        files,
    };
    let run = next_run(&snapshot, TODAY + 1, &Apart::default(), SIZES).unwrap();
    assert_eq!(run.files.len(), 10);
    assert!(
        run.files
            .iter()
            .all(|file| file.day == TODAY - 1 && file.table == Table::Logs)
    );
    let debt = debt(&snapshot, TODAY + 1, &Apart::default(), SIZES);
    assert_eq!((debt.files, debt.bytes), (20, 20 * MIB));
}

#[test]
fn memory_bounds_the_files_of_a_run() {
    let mut day = Day::new();
    for _file in 0..40 {
        day.flush(4 * MIB);
    }
    let small = Sizes {
        memory_bytes: 100 * MIB,
        ..SIZES
    };
    let run = next_run(&day.snapshot, TODAY + 1, &Apart::default(), small).unwrap();
    // A file of 4 MiB takes the most that one may.
    assert!((2..=8).contains(&run.files.len()), "{}", run.files.len());
}

proptest! {
    /// Whatever the sizes: a closed day ends in few files, and no byte is written very often.
    #[test]
    fn any_sizes_end_in_few_files(sizes in prop::collection::vec(1_u64..8, 1..300), unit in prop::sample::select(vec![1_000_u64, 100_000, 3_000_000])) {
        let mut day = Day::new();
        for size in &sizes {
            // From 1 to 16,384 units.
            day.flush(unit << (2 * (size - 1)));
            day.compact(TODAY);
        }
        day.compact(TODAY + 1);
        let least = usize::try_from(day.flushed / SIZES.file_bytes_max).unwrap() + 1;
        prop_assert!(day.snapshot.files.len() <= 3 * least + 12, "{} files of {} bytes", day.snapshot.files.len(), day.flushed);
        prop_assert!(day.amplification() <= 8.0, "{}", day.amplification());
        // Nothing is left to do, and nothing is due.
        prop_assert_eq!(debt(&day.snapshot, TODAY + 1, &Apart::default(), SIZES), Debt::default());
    }
}
