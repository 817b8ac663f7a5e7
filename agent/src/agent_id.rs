//! Who this agent is and how it numbers what it sends: `data_dir/agent-id`.
//!
//! Collectors remember the highest number of each id and take what comes under a lower one for a repeat. So nothing new may
//! ever go under a number that was given out, whatever has become of the folder:
//! - A new journal, whose sequences start again at 1, gets a new id.
//! - So does a folder that was copied, whose original goes on under the old id. The file tells on which machine and in which
//!   folder the id is at home, as a hash of the machine's id and the folder's inode.
//! - A folder that was put back to an earlier state, as by a snapshot, looks like one after a crash. So each start lets the
//!   numbers of all that will be appended begin at the microseconds since the epoch. They are ahead of what was given out
//!   at any time before, as long as that was less than a batch a microsecond and the clock is not set back. What was appended
//!   before keeps its numbers, so that repeats are known as such.
//!
//! The file is JSON. Earlier versions wrote nothing but the id; they take this for no id and make a new one, which is right:
//! their numbers are lower.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vervet_model::UnixNanos;
use vervet_wire::{LANES, Source};
use xxhash_rust::xxh3::xxh3_64;

const FILE: &str = "agent-id";
/// Missing in most containers.
const MACHINE_ID: &str = "/etc/machine-id";
/// For its owner alone, as the other files of the data folder.
const MODE: u32 = 0o600;
/// Starts whose numbers are remembered, at most: far more than a journal holds records of.
const SHIFTS_MAX: usize = 1_024;

/// The id, and the numbers of records. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct AgentIdentity {
    id: Arc<str>,
    shifts: Arc<[Shift]>,
}

/// What the journal holds when the agent starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// It has never held anything.
    pub(crate) is_new: bool,
    /// Its oldest record, and the next that will be appended.
    pub(crate) oldest: u64,
    pub(crate) next: u64,
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    id: String,
    #[serde(flatten)]
    home: Option<Home>,
    shifts: Vec<Shift>,
}

/// Where an id is at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Home {
    /// A hash of the machine's id, where that is known.
    machine: Option<u64>,
    /// The inode of the folder.
    folder: u64,
}

/// Records from this sequence on, up to the next shift, have numbers that are so much higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Shift {
    from: u64,
    by: u64,
}

impl AgentIdentity {
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Under what the record of that sequence is sent.
    pub(crate) fn source(&self, sequence: u64) -> Source {
        Source::in_lane(&self.id, self.number(sequence))
    }

    /// The same numbers under an id of its own, which ends in `suffix`.
    pub(crate) fn in_lanes_of(&self, suffix: &str) -> Self {
        Self {
            id: format!("{}{suffix}", self.id).into(),
            shifts: Arc::clone(&self.shifts),
        }
    }

    fn number(&self, sequence: u64) -> u64 {
        let at = self.shifts.partition_point(|shift| shift.from <= sequence);
        let shift = self.shifts.get(at.saturating_sub(1));
        sequence.saturating_add(shift.map_or(0, |shift| shift.by))
    }

    /// One that numbers as the journal does.
    #[cfg(test)]
    pub(crate) fn plain(id: &str) -> Self {
        Self {
            id: id.into(),
            shifts: Arc::default(),
        }
    }
}

impl From<Stored> for AgentIdentity {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.into(),
            shifts: stored.shifts.into(),
        }
    }
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

impl Stored {
    /// A new id: nothing was given out under it.
    fn new(home: Home, held: Held, now: UnixNanos) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            home: Some(home),
            shifts: vec![Shift {
                from: 0,
                by: shift_at(held.next, now),
            }],
        }
    }

    /// `None` where it makes no sense.
    fn read(text: &[u8]) -> Option<Self> {
        let plain = || {
            let id = Uuid::parse_str(std::str::from_utf8(text).ok()?.trim()).ok()?;
            Some(Self {
                id: id.to_string(),
                home: None,
                shifts: vec![Shift { from: 0, by: 0 }],
            })
        };
        plain().or_else(|| {
            let stored: Self = serde_json::from_slice(text).ok()?;
            Uuid::parse_str(&stored.id).ok().map(|_valid| stored)
        })
    }

    /// The same at a further start.
    fn started(&self, home: Home, held: Held, now: UnixNanos) -> Self {
        // What was appended since the last start, if anything was.
        let mut shifts = self.shifts.clone();
        shifts.retain(|shift| shift.from < held.next);
        let before = self.shifts.iter().map(|shift| shift.by).max();
        let by = shift_at(held.next, now).max(before.unwrap_or(0));
        let from = held.next;
        shifts.push(Shift { from, by });
        let passed = shifts.partition_point(|shift| shift.from <= held.oldest);
        let surplus = shifts.len().saturating_sub(SHIFTS_MAX);
        shifts.drain(..passed.saturating_sub(1).max(surplus));
        Self {
            id: self.id.clone(),
            home: Some(home),
            shifts,
        }
    }
}

/// So that the number of the next record is that of the microseconds since the epoch, in the lane of its sequence.
fn shift_at(next: u64, now: UnixNanos) -> u64 {
    let micros = u64::try_from(now.0).unwrap_or(0) / 1_000;
    micros.saturating_sub(next).next_multiple_of(LANES)
}

/// The stored identity, for a journal that holds so much; a new one when there is none, or it is that of a folder this one
/// was copied from.
///
/// # Errors
/// The file cannot be read, or a new id not be written: the message names it.
pub(crate) fn load(data_dir: &Path, held: Held, now: UnixNanos) -> io::Result<AgentIdentity> {
    load_at(data_dir, Path::new(MACHINE_ID), held, now)
}

fn load_at(
    data_dir: &Path,
    machine_id: &Path,
    held: Held,
    now: UnixNanos,
) -> io::Result<AgentIdentity> {
    let path = data_dir.join(FILE);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let home = Home::of(data_dir, machine_id)?;
    let stored = match fs::read(&path) {
        Ok(text) => Stored::read(&text).or_else(|| {
            tracing::warn!(path = %path.display(), "stored agent id is invalid, making a new one");
            None
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(named(error)),
    };
    let is_copy = |stored: &Stored| stored.home.is_some_and(|stored| home.is_other(stored));
    if let Some(stored) = stored.filter(|_| !held.is_new) {
        if !is_copy(&stored) {
            let started = stored.started(home, held, now);
            return Ok(match store(data_dir, &started) {
                Ok(()) => started.into(),
                Err(error) => {
                    // Numbers that are not stored must not be given out: after the next start they would be others.
                    tracing::warn!(%error, path = %path.display(), "numbers of this start cannot be stored, going on with those of the one before");
                    stored.into()
                }
            });
        }
        tracing::warn!(
            path = %data_dir.display(),
            "the data folder was copied from another machine or folder: this agent gets an id of its own, \
             what the copied buffer holds is sent under it"
        );
    }
    let new = Stored::new(home, held, now);
    store(data_dir, &new).map_err(named)?;
    Ok(new.into())
}

fn store(data_dir: &Path, stored: &Stored) -> io::Result<()> {
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
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_all()?;
    fs::rename(&temporary, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}
