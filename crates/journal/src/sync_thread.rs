//! The thread behind `SyncPolicy::Interval`: syncs once per interval while the journal lives.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::core::Core;
use crate::group::GroupCommit;

/// Starts the thread. It ends at most one interval after the journal is dropped, or when a sync
/// has failed.
pub(crate) fn spawn(
    core: &Arc<Core>,
    group: &Arc<GroupCommit>,
    interval: Duration,
) -> io::Result<()> {
    let (core, group) = (Arc::downgrade(core), Arc::downgrade(group));
    std::thread::Builder::new()
        .name("journal-sync".to_owned())
        .spawn(move || while sync_once(&core, &group, interval) {})
        .map(drop)
}

fn sync_once(core: &Weak<Core>, group: &Weak<GroupCommit>, interval: Duration) -> bool {
    std::thread::sleep(interval);
    let (Some(core), Some(group)) = (core.upgrade(), group.upgrade()) else {
        return false;
    };
    match group.sync() {
        Ok(synced) => {
            if synced {
                core.notify();
            }
            true
        }
        // The writer has logged it and refuses appends from now on.
        Err(_) => false,
    }
}
