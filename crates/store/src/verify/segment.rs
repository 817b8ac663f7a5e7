//! One segment, from its length to its rows.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{Problem, Progress, rows};
use crate::catalog::{RecordedFile, RecordedStats};
use crate::segment::Checksum;

const MAGIC: [u8; 4] = *b"PAR1";
/// The magic number at both ends and the length of the metadata.
const BYTES_MIN: i64 = 12;

/// What came of checking one file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) checksum_compared: bool,
    /// The first that was found: what comes after it means little.
    pub(super) problem: Option<Problem>,
}

pub(super) fn check(
    path: &Path,
    file: &RecordedFile,
    stats: &[RecordedStats],
    decode: bool,
    progress: &dyn Progress,
) -> Outcome {
    let mut outcome = Outcome::default();
    let checked = check_bytes(path, file, progress, &mut outcome).and_then(|()| {
        if decode {
            check_rows(path, file, stats, progress, &mut outcome)?;
        }
        Ok(())
    });
    outcome.problem = checked.err();
    outcome
}

fn check_bytes(
    path: &Path,
    file: &RecordedFile,
    progress: &dyn Progress,
    outcome: &mut Outcome,
) -> Result<(), Problem> {
    check_ends(path, file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error.to_string()),
    })??;
    let (found, bytes) = Checksum::of_file(path, &mut |bytes| progress.advance(bytes))
        .map_err(|error| Problem::Unreadable(error.to_string()))?;
    outcome.bytes = bytes;
    match file.checksum {
        Some(expected) if expected != found => Err(Problem::Checksum { expected, found }),
        expected => {
            outcome.checksum_compared = expected.is_some();
            Ok(())
        }
    }
}

/// Length, magic numbers, and the length of the metadata.
fn check_ends(path: &Path, recorded: &RecordedFile) -> io::Result<Result<(), Problem>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?.len();
    let expected = recorded.bytes;
    if i64::try_from(found) != Ok(expected) {
        return Ok(Err(Problem::Length { expected, found }));
    }
    if expected < BYTES_MIN {
        return Ok(Err(Problem::Magic));
    }
    let (mut head, mut length, mut tail) = ([0; 4], [0; 4], [0; 4]);
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut length)?;
    file.read_exact(&mut tail)?;
    if head != MAGIC || tail != MAGIC {
        return Ok(Err(Problem::Magic));
    }
    let found = u32::from_le_bytes(length);
    let expected = recorded.footer_bytes;
    Ok(match i64::from(found) == expected {
        true => Ok(()),
        false => Err(Problem::FooterLength { expected, found }),
    })
}

fn check_rows(
    path: &Path,
    file: &RecordedFile,
    stats: &[RecordedStats],
    progress: &dyn Progress,
    outcome: &mut Outcome,
) -> Result<(), Problem> {
    let open = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error.to_string()),
    })?;
    // A file without a checksum may hold anything, and the decoder was not written to expect that.
    let checked = catch_unwind(AssertUnwindSafe(|| {
        rows::check(open, file, stats, progress, &mut outcome.rows)
    }));
    checked.unwrap_or_else(|_panic| {
        Err(Problem::Decode {
            row_group: 0,
            reason: "the decoder gave up".to_owned(),
        })
    })
}
