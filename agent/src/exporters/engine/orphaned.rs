//! An exporter that is not configured any more: it lets its oldest records go when room is needed, and its account says so.
//! A later start that finds them missing would take them for damaged otherwise.

use vervet_journal::{Cursor, JournalError, OnFull};

use crate::books::Account;

/// From now on the oldest records of the cursor's exporter go first.
///
/// # Errors
/// Its account cannot be stored; the records go all the same.
pub(crate) fn let_go(cursor: &mut Cursor) -> Result<(), JournalError> {
    // It outlives the handle.
    cursor.set_policy(OnFull::DropOldest);
    // One that has no account yet begins with what is there when it comes back.
    let Ok(mut account) = serde_json::from_slice::<Account>(cursor.state()) else {
        return Ok(());
    };
    if std::mem::replace(&mut account.was_orphaned, true) {
        return Ok(());
    }
    match serde_json::to_vec(&account) {
        Ok(state) => cursor.commit(cursor.committed(), &state),
        Err(_not_json) => Ok(()),
    }
}
