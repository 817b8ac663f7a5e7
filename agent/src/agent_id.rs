//! Who this agent is: a UUID in `data_dir/agent-id`.
//!
//! Collectors remember the highest sequence of each id. A journal that starts again counts from 1, and everything
//! it sends would be taken for repeats: so a new journal gets a new id.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use uuid::Uuid;

const FILE: &str = "agent-id";
/// For its owner alone, as the other files of the data folder.
const MODE: u32 = 0o600;

/// The stored id, or a new one when there is none or `renew` is set.
///
/// # Errors
/// The file cannot be read or written: the message names it.
pub(crate) fn load(data_dir: &Path, renew: bool) -> io::Result<String> {
    let path = data_dir.join(FILE);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if !renew {
        match fs::read(&path) {
            Ok(bytes) => match Uuid::parse_str(String::from_utf8_lossy(&bytes).trim()) {
                Ok(id) => return Ok(id.to_string()),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "stored agent id is invalid, making a new one");
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(named(error)),
        }
    }
    let id = Uuid::new_v4().to_string();
    store(data_dir, &path, &id).map_err(named)?;
    Ok(id)
}

fn store(data_dir: &Path, path: &Path, id: &str) -> io::Result<()> {
    let temporary = data_dir.join("agent-id.new");
    // One that a crash has left behind may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&temporary)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_until_it_is_renewed() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let first = load(dir.path(), false).expect("new");
        assert_eq!(load(dir.path(), false).expect("stored"), first);
        let second = load(dir.path(), true).expect("renewed");
        assert_ne!(second, first);
        assert_eq!(load(dir.path(), false).expect("stored"), second);
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("agent-id.new"), "left by a crash").expect("written");
        load(dir.path(), false).expect("new");
        let metadata = fs::metadata(dir.path().join(FILE)).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_garbled_id_is_replaced_and_an_unreadable_one_is_named() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join(FILE), b"\xff\xfe\0").expect("written");
        let new = load(dir.path(), false).expect("a new one");
        assert_eq!(load(dir.path(), false).expect("stored"), new);
        fs::remove_file(dir.path().join(FILE)).expect("removed");
        fs::create_dir(dir.path().join(FILE)).expect("created");
        let error = load(dir.path(), false).expect_err("a folder");
        assert!(error.to_string().contains("agent-id"), "{error}");
    }
}
