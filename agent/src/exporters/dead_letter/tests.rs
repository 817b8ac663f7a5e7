use proptest::prelude::*;

use super::*;

fn letter(number: u64, payload: impl Into<Bytes>) -> Letter {
    Letter {
        exporter: "main".to_owned(),
        sequence: number,
        signal: Signal::Traces,
        at: UnixNanos(-7),
        records: 3,
        status: "InvalidArgument".to_owned(),
        reason: "no".to_owned(),
        payload: payload.into(),
    }
}

fn all(data_dir: &Path) -> Vec<Letter> {
    let mut letters = Vec::new();
    read(&data_dir.join(FOLDER), |letter| {
        letters.push(letter.expect("a letter"))
    })
    .expect("opens");
    letters
}

#[test]
fn letters_are_read_as_they_were_kept_also_after_a_restart() {
    let dir = tempfile::tempdir().expect("folder");
    let letters = DeadLetters::new(dir.path(), DeadLetterConfig::default());
    assert!(
        !dir.path().join(FOLDER).exists(),
        "made by the first letter"
    );
    letters.keep(&letter(1, "one")).expect("kept");
    drop(letters);
    let letters = DeadLetters::new(dir.path(), DeadLetterConfig::default());
    letters.keep(&letter(2, "")).expect("kept");
    drop(letters);
    assert_eq!(all(dir.path()), [letter(1, "one"), letter(2, "")]);
}

#[test]
fn the_oldest_letters_make_room_and_one_over_the_budget_is_not_kept() {
    let dir = tempfile::tempdir().expect("folder");
    let letters = DeadLetters::new(
        dir.path(),
        DeadLetterConfig {
            disk_bytes: 1 << 20,
        },
    );
    for number in 1..=40 {
        letters
            .keep(&letter(number, vec![0; 60_000]))
            .expect("kept");
        assert!(number > 10 || letters.made_room().is_none());
    }
    let over = letter(41, vec![0; 2 << 20]);
    let error = letters.keep(&over).expect_err("over the budget");
    assert!(!matches!(error, JournalError::NoSpace { .. }), "{error}");
    assert_eq!(letters.state.lock().kept, 40);
    let (at, told) = letters.made_room().expect("told");
    assert_eq!(at, letter(1, "").at);
    assert!(told.contains("had to make room for newer ones"), "{told}");
    assert!(told.ends_with("dead_letter.disk is 1.0 MiB"), "{told}");
    drop(letters);
    let kept: Vec<u64> = all(dir.path())
        .iter()
        .map(|letter| letter.sequence)
        .collect();
    assert!(kept.len() >= 10 && kept.len() < 20, "{kept:?}");
    assert_eq!(kept.last(), Some(&40));
    assert!(
        kept.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{kept:?}"
    );
}

#[test]
fn a_folder_that_cannot_be_made_costs_the_letter_only() {
    let dir = tempfile::tempdir().expect("folder");
    std::fs::write(dir.path().join(FOLDER), "a file").expect("written");
    let letters = DeadLetters::new(dir.path(), DeadLetterConfig::default());
    let mut lost = letter(1, "one");
    lost.at = UnixNanos(1_000_000_000);
    let error = letters.keep(&lost).expect_err("no folder");
    assert_eq!(letters.lost(), None);
    letters.lose(&lost, &error);
    assert_eq!(letters.state.lock().lost, 1);
    let (at, warning) = letters.lost().expect("told");
    let told = "dead letters: 1 refused requests or parts of them could not be kept and are lost, the last at 1970-01-01T00:00:01Z: ";
    assert!(warning.starts_with(told), "{warning}");
    assert_eq!(at, lost.at);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        exporter in "[a-z]{1,48}", numbers: (u64, i64, u64), status in ".{0,40}", reason in ".{0,600}",
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let status: String = status.chars().take(60).collect();
        let written = Letter {
            exporter,
            sequence: numbers.0,
            signal: Signal::Logs,
            at: UnixNanos(numbers.1),
            records: numbers.2,
            status,
            reason,
            payload: payload.into(),
        };
        let mut bytes = written.encode_header();
        bytes.extend_from_slice(&written.payload);
        let record = Record { sequence: 1, kind: Signal::Logs as u8, payload: bytes.into() };
        prop_assert_eq!(Letter::decode(record), Ok(written));
    }

    #[test]
    fn arbitrary_bytes_are_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100), kind: u8) {
        let _either = Letter::decode(Record { sequence: 1, kind, payload: bytes.into() });
    }
}
