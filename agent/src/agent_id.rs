//! Who this agent is: a UUID in `data_dir/agent-id`.
//!
//! Collectors remember the highest sequence of each id. A journal that starts again counts from 1, and everything
//! it sends would be taken for repeats: so a new journal gets a new id.
//!
//! So does a copied one, whose original goes on under the old id: `data_dir/agent-home` tells on which machine and in which
//! folder the id is at home, as a hash of the machine's id and the folder's inode. What both copies share, as a snapshot of
//! a disk put back on its machine does, cannot be told.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

const FILE: &str = "agent-id";
const HOME: &str = "agent-home";
/// Missing in most containers.
const MACHINE_ID: &str = "/etc/machine-id";
/// For its owner alone, as the other files of the data folder.
const MODE: u32 = 0o600;

/// Where an id is at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Home {
    /// A hash of the machine's id, where that is known.
    machine: Option<u64>,
    /// The inode of the folder.
    folder: u64,
}

impl Home {
    fn of(data_dir: &Path, machine_id: &Path) -> io::Result<Self> {
        let machine = fs::read(machine_id).ok();
        let machine = machine.filter(|id| !id.trim_ascii().is_empty());
        Ok(Self {
            machine: machine.map(|id| xxh3_64(id.trim_ascii())),
            folder: fs::metadata(data_dir)?.ino(),
        })
    }

    /// What one of the two does not know is no difference.
    fn is_other(self, stored: Self) -> bool {
        let machines = self.machine.zip(stored.machine);
        self.folder != stored.folder || machines.is_some_and(|(own, stored)| own != stored)
    }
}

/// The stored id, or a new one when there is none, it is that of a folder this one was copied from, or `renew` is set.
///
/// # Errors
/// The file cannot be read or written: the message names it.
pub(crate) fn load(data_dir: &Path, renew: bool) -> io::Result<String> {
    load_at(data_dir, Path::new(MACHINE_ID), renew)
}

fn load_at(data_dir: &Path, machine_id: &Path, renew: bool) -> io::Result<String> {
    let home = Home::of(data_dir, machine_id)?;
    // One that cannot be read is made anew, as that of an agent that stored none.
    let stored = fs::read(data_dir.join(HOME)).ok();
    let stored = stored.and_then(|text| serde_json::from_slice::<Home>(&text).ok());
    let is_copy = stored.is_some_and(|stored| home.is_other(stored));
    if is_copy {
        tracing::warn!(
            path = %data_dir.display(),
            "the data folder was copied from another machine or folder: this agent gets an id of its own, \
             what the copied buffer holds is sent under it"
        );
    }
    let id = load_id(data_dir, renew || is_copy)?;
    if stored != Some(home) {
        let text = serde_json::to_vec(&home)?;
        store(data_dir, HOME, &text).map_err(named(&data_dir.join(HOME)))?;
    }
    Ok(id)
}

fn load_id(data_dir: &Path, renew: bool) -> io::Result<String> {
    let path = data_dir.join(FILE);
    if !renew {
        match fs::read(&path) {
            Ok(bytes) => match Uuid::parse_str(String::from_utf8_lossy(&bytes).trim()) {
                Ok(id) => return Ok(id.to_string()),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "stored agent id is invalid, making a new one");
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(named(&path)(error)),
        }
    }
    let id = Uuid::new_v4().to_string();
    store(data_dir, FILE, id.as_bytes()).map_err(named(&path))?;
    Ok(id)
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn store(data_dir: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let temporary = data_dir.join(format!("{name}.new"));
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
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, data_dir.join(name))?;
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
    fn a_copied_folder_gets_an_id_of_its_own() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| dir.path().join(name);
        let copy = |from: &str, to: &str| {
            fs::create_dir(path(to)).expect("created");
            for file in [FILE, HOME] {
                fs::copy(path(from).join(file), path(to).join(file)).expect("copied");
            }
        };
        let machine = |name: &str| {
            fs::write(path(name), format!("{name}\n")).expect("written");
            path(name)
        };
        let (one, other) = (machine("one"), machine("other"));
        fs::create_dir(path("data")).expect("created");
        let load =
            |folder: &str, machine: &Path| load_at(&path(folder), machine, false).expect("an id");
        let first = load("data", &one);
        assert_eq!(load("data", &one), first);
        assert_eq!(load("data", &path("unknown")), first);
        assert_eq!(load("data", &one), first);

        copy("data", "copy");
        let of_copy = load("copy", &one);
        assert_ne!(of_copy, first, "another folder");
        assert_eq!(load("copy", &one), of_copy);
        assert_ne!(load("copy", &other), of_copy, "another machine");
        assert_eq!(load("data", &one), first);
    }

    #[test]
    fn an_id_of_an_agent_that_stored_no_home_is_kept() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let first = load(dir.path(), false).expect("new");
        fs::remove_file(dir.path().join(HOME)).expect("stored");
        assert_eq!(load(dir.path(), false).expect("stored"), first);
        fs::write(dir.path().join(HOME), "garbled").expect("written");
        assert_eq!(load(dir.path(), false).expect("stored"), first);
        assert_eq!(load(dir.path(), false).expect("stored"), first);
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
