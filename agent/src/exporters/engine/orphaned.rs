//! An exporter that is not configured any more: it keeps what it has not delivered of what was stored until then, and nothing
//! of what comes later, so that its backlog does not grow. It lets its oldest records go when room is needed. Its account says
//! both: a later start that finds them missing would take them for damaged otherwise.

use vervet_journal::{Cursor, JournalError, OnFull};

use crate::books::{Account, Place};

/// From now on the oldest records of the cursor's exporter go first, and what is stored behind `now` is not for it, unless it
/// left earlier.
///
/// # Errors
/// Its account cannot be stored; the records go all the same, and those that come now are not kept in this run.
pub(crate) fn let_go(cursor: &mut Cursor, now: Place) -> Result<(), JournalError> {
    // It outlives the handle.
    cursor.set_policy(OnFull::DropOldest);
    // One that has no account yet begins with what is there when it comes back.
    let Ok(mut account) = serde_json::from_slice::<Account>(cursor.state()) else {
        return Ok(());
    };
    let was_orphaned = std::mem::replace(&mut account.was_orphaned, true);
    let left = account.leaves(now);
    cursor.end_at(left.map(|(through, _)| through));
    let is_new = left.is_some_and(|(_, is_new)| is_new);
    if was_orphaned && !is_new {
        return Ok(());
    }
    match serde_json::to_vec(&account) {
        Ok(state) => cursor.commit(cursor.committed(), &state),
        Err(_not_json) => Ok(()),
    }
}
