//! Books what a repair of the buffer has found lost: afterwards nothing in the journal tells damage from what
//! `on_full: drop_oldest` took. A gap with anything of that in it is damage as a whole, but for what accounts have as evicted:
//! no record is left in it that tells where one ends and the other begins.

use std::ops::RangeInclusive;

use vervet_journal::{Cursor, Journal, JournalError};

use super::CURSOR_PREFIX;
use crate::books::{Account, Gone, Loss};
use crate::buffer::{JournalGap, Totals, decode};

/// Enters in the account of every exporter that the sequences in `lost` went to damage, as far as it has not settled
/// them and knows of no other reason. `gaps` are those of the repaired journal, `appended` is all that it ever took.
///
/// # Errors
/// An account cannot be read or stored.
pub(crate) fn book_lost(
    journal: &Journal,
    gaps: &[JournalGap],
    appended: &Totals,
    lost: &[RangeInclusive<u64>],
) -> Result<(), JournalError> {
    let is_lost = |missing: &RangeInclusive<u64>| {
        let mut lost = lost.iter();
        lost.any(|lost| lost.start() <= missing.end() && missing.start() <= lost.end())
    };
    let damaged = |from, to| Gone {
        from,
        to,
        loss: Loss::Damage,
    };
    let gaps = gaps.iter().filter(|gap| is_lost(&gap.sequences));
    let gaps: Vec<Gone> = gaps.map(|gap| damaged(gap.from, gap.to)).collect();
    let cursors = journal.stats().cursors.into_iter();
    for cursor in cursors.filter(|cursor| cursor.name.starts_with(CURSOR_PREFIX)) {
        let mut cursor = journal.cursor(&cursor.name)?;
        // One that has no account yet begins with what is there.
        let Ok(mut account) = serde_json::from_slice::<Account>(cursor.state()) else {
            continue;
        };
        let (missing, to) = front(journal, &mut cursor, appended)?;
        let front = to.filter(|_| is_lost(&missing));
        let front = front.map(|to| damaged(account.settled(), to));
        account.add_gone(gaps.iter().copied().chain(front));
        if let Ok(state) = serde_json::to_vec(&account) {
            cursor.commit(cursor.committed(), &state)?;
        }
    }
    Ok(())
}

/// What is missing between what is committed and the first record there is, and all that was appended before that, if it
/// says.
fn front(
    journal: &Journal,
    cursor: &mut Cursor,
    appended: &Totals,
) -> Result<(RangeInclusive<u64>, Option<Totals>), JournalError> {
    let next = cursor.read(1)?.into_iter().next();
    cursor.rewind();
    let begin = cursor.committed() + 1;
    Ok(match next {
        Some(record) => {
            let decoded = decode(record.payload).ok();
            let before = decoded.map(|(header, _)| header.before);
            (begin..=record.sequence - 1, before)
        }
        None => (begin..=journal.last_sequence(), Some(*appended)),
    })
}
