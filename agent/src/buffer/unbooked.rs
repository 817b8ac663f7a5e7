//! Sequences that a repair has found lost, or is about to, from before anything is taken out until the books of all
//! exporters have them: the repaired journal does not tell them from what `on_full: drop_oldest` took.
//!
//! The file `data_dir/unbooked-damage.json` holds them. Whoever opens the buffer next, a repair or an agent, books them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const FILE: &str = "unbooked-damage.json";
/// For its owner alone, as the other files of the data folder.
const MODE: u32 = 0o600;

/// What is to be booked; nothing where there is no file.
///
/// # Errors
/// The file cannot be read, or makes no sense.
pub(crate) fn load(data_dir: &Path) -> io::Result<Vec<RangeInclusive<u64>>> {
    match fs::read(data_dir.join(FILE)) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Replaces what is to be booked, durably.
///
/// # Errors
/// The file cannot be written; what it held before stands.
pub(crate) fn keep(data_dir: &Path, lost: &[RangeInclusive<u64>]) -> io::Result<()> {
    let path = data_dir.join(FILE);
    if lost.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(data_dir)?.sync_all(),
        };
    }
    let temporary = path.with_extension("tmp");
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(MODE);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(&serde_json::to_vec(lost)?)?;
        file.sync_all()
    });
    if written.is_err() {
        // Best effort: the next one writes over it.
        fs::remove_file(&temporary).ok();
        return written;
    }
    fs::rename(&temporary, &path)?;
    File::open(data_dir)?.sync_all()
}
