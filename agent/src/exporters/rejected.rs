//! Keeps what a destination refused for good: `data_dir/rejected/<exporter>-<sequence>-<signal>.pb` holds the
//! request, the same name with `.txt` the reason. At most [`FILES_MAX`] requests and [`BYTES_MAX`] bytes; beyond
//! that a request is only counted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vervet_model::Signal;

const FILES_MAX: usize = 1_000;
const BYTES_MAX: u64 = 64 << 20;

/// Stores one refused request. False when there is no room for it.
///
/// # Errors
/// The file system refuses.
pub(crate) fn keep(
    dir: &Path,
    exporter: &str,
    sequence: u64,
    signal: Signal,
    request: &[u8],
    reason: &str,
) -> io::Result<bool> {
    fs::create_dir_all(dir)?;
    let (mut files, mut bytes) = (0, request.len() as u64);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files += usize::from(entry.path().extension().is_some_and(|end| end == "pb"));
        bytes += entry.metadata()?.len();
    }
    if files >= FILES_MAX || bytes > BYTES_MAX {
        return Ok(false);
    }
    let path = |end: &str| -> PathBuf { dir.join(format!("{exporter}-{sequence}-{signal}.{end}")) };
    fs::write(path("pb"), request)?;
    fs::write(path("txt"), reason)?;
    Ok(true)
}
