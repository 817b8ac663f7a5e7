//! The journal's side of an exporter: its cursor, and what makes parcels of records.

use std::ops::RangeInclusive;
use std::sync::Arc;

use vervet_journal::{Cursor, CursorStats, Journal, JournalError, OnFull};
use vervet_model::Signal;

use super::super::lane::Parcel;
use super::super::sender::{OpenError, Packer};
use super::window::Contents;
use crate::books::{Account, Gone, Loss};
use crate::budget::MemoryPermit;
use crate::buffer::{Amount, JournalGap, Totals, decode};
use crate::pipeline::SignalSet;

/// Everything here blocks.
pub(super) struct Source {
    cursor: Cursor,
    packer: Packer,
    signals: SignalSet,
    /// Sequences that were stored while the exporter was not configured.
    missed: Vec<RangeInclusive<u64>>,
}

/// One record, read.
pub(super) struct Item {
    pub(super) sequence: u64,
    /// `None` when it cannot be read.
    pub(super) contents: Option<Contents>,
    /// `None` when it is not for this exporter.
    pub(super) parcel: Option<Parcel>,
    /// It would be, but came while the exporter was not configured.
    pub(super) is_missed: bool,
    /// It was there still when it had been read.
    pub(super) is_on_disk: bool,
}

/// What came of a job.
pub(super) enum Done {
    Read {
        items: Vec<Item>,
        /// Everything up to here was read, or is not there any more.
        through: u64,
    },
    ReadFailed(JournalError),
    /// The memory budget has none for a read.
    NoRoom,
    Committed {
        result: Result<Stored, CommitError>,
        /// What was to be sent and is not on disk any more, in order.
        gone: Vec<u64>,
    },
}

/// What is on disk now.
pub(super) struct Stored {
    /// The sequence that is committed.
    pub(super) through: u64,
    /// Up to where records may be sent.
    pub(super) sent_through: u64,
    /// All that the account has settled.
    pub(super) settled: Totals,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error("the account cannot be encoded")]
    Encode(#[source] serde_json::Error),
    #[error(transparent)]
    Journal(JournalError),
}

impl Source {
    pub(super) fn new(
        cursor: Cursor,
        packer: Packer,
        signals: SignalSet,
        missed: Vec<RangeInclusive<u64>>,
    ) -> Self {
        Self {
            cursor,
            packer,
            signals,
            missed,
        }
    }

    /// Reads and packs the next records, about `bytes` of them, for which there is `room`. When there are none, there
    /// are none up to `booked`.
    pub(super) fn read(
        mut self,
        bytes: usize,
        booked: u64,
        room: Option<MemoryPermit>,
    ) -> (Self, Done) {
        let records = match self.cursor.read(bytes) {
            Ok(records) => records,
            Err(error) => return (self, Done::ReadFailed(error)),
        };
        let through = records.last().map_or(booked, |record| record.sequence);
        // One at a time, so that a payload goes before the next is packed.
        let items = records.into_iter().map(|record| {
            let decoded = (Signal::from_u8(record.kind), decode(record.payload));
            let (Some(signal), Ok((header, request))) = decoded else {
                return Item {
                    sequence: record.sequence,
                    contents: None,
                    parcel: None,
                    is_missed: false,
                    is_on_disk: true,
                };
            };
            let is_ours = self.signals.contains(signal);
            let mut missed = self.missed.iter();
            let is_missed = is_ours && missed.any(|missed| missed.contains(&record.sequence));
            let contents = Contents {
                signal,
                amount: Amount {
                    records: header.records,
                    bytes: request.len() as u64,
                },
                before: header.before,
            };
            let parcel = (is_ours && !is_missed).then(|| Parcel {
                sequence: record.sequence,
                signal,
                end: contents.end(),
                body: self.packer.pack(&request),
                room: None,
            });
            Item {
                sequence: record.sequence,
                contents: Some(contents),
                parcel,
                is_missed,
                is_on_disk: true,
            }
        });
        let mut items: Vec<Item> = items.collect();
        for item in &mut items {
            item.is_on_disk = self.cursor.is_on_disk(item.sequence);
        }
        if let Some(room) = room {
            share_room(room, &mut items);
        }
        (self, Done::Read { items, through })
    }

    /// Stores the position and the account. Of the `unsent` records those that are gone are told.
    pub(super) fn commit(
        mut self,
        through: u64,
        account: &Account,
        unsent: &[u64],
    ) -> (Self, Done) {
        let sent_through = account.sent_through;
        let unsent = unsent.iter().copied();
        let gone = unsent
            .filter(|sequence| !self.cursor.is_on_disk(*sequence))
            .collect();
        let result = serde_json::to_vec(account)
            .map_err(CommitError::Encode)
            .and_then(|state| {
                let committed = self.cursor.commit(through, &state);
                committed.map_err(CommitError::Journal)
            });
        let result = result.map(|()| Stored {
            through,
            sent_through,
            settled: account.settled(),
        });
        (self, Done::Committed { result, gone })
    }
}

/// Keeps of the room what the packed bodies need, until the last of them is answered.
fn share_room(mut room: MemoryPermit, items: &mut [Item]) {
    let parcels = items.iter_mut().filter_map(|item| item.parcel.as_mut());
    let parcels: Vec<&mut Parcel> = parcels.collect();
    let bytes = parcels.iter().map(|parcel| parcel.body.bytes().len()).sum();
    room.shrink_to(bytes);
    // A single record that is larger has been read already, and is there with or without it.
    let _grown = room.try_grow_to(bytes);
    let room = Arc::new(room);
    for parcel in parcels {
        parcel.room = Some(Arc::clone(&room));
    }
}

/// What an exporter cannot have any more: all between what it has settled and the first record there is, as far as the
/// journal's `gaps` do not say more.
pub(super) fn gone(
    cursor: &mut Cursor,
    account: &Account,
    appended: &Totals,
    gaps: &[JournalGap],
    may_have_lost: bool,
) -> Result<Vec<Gone>, JournalError> {
    let gaps = gaps.iter().map(|gap| Gone {
        from: gap.from,
        to: gap.to,
        loss: match may_have_lost && gap.is_between_segments {
            true => Loss::Evicted,
            false => Loss::Damage,
        },
    });
    let mut gone: Vec<Gone> = gaps.collect();
    // Before the journal may let go of it.
    let is_there = cursor.is_on_disk(cursor.committed() + 1);
    let next = cursor.read(1)?.into_iter().next();
    cursor.rewind();
    let before = match next {
        Some(record) => decode(record.payload).ok().map(|(header, _)| header.before),
        None => Some(*appended),
    };
    if let Some(to) = before {
        // Only what may be given up for lack of room can have been.
        let is_damaged = !may_have_lost || is_there;
        gone.push(Gone {
            from: account.settled(),
            to,
            loss: if is_damaged {
                Loss::Damage
            } else {
                Loss::Evicted
            },
        });
    }
    Ok(gone)
}

/// The cursor of an exporter with its account, and whether it is new. A new one begins behind all that was appended before:
/// what was stored for others, maybe with other processors, is not for it. Its account is stored with it, so that after a
/// crash it is known to be one that goes on.
pub(super) fn open_cursor(
    journal: &Journal,
    name: &str,
    (appended, through): (&Totals, u64),
) -> Result<(Cursor, Account, bool), OpenError> {
    let is_there = |cursor: &CursorStats| cursor.name == name;
    // Where nothing tells which there had been, it may have been there.
    if journal.lacks_cursors() || journal.stats().cursors.iter().any(is_there) {
        let mut cursor = journal.cursor(name)?;
        // Nothing is taken until the book is there to tell it to, and all that comes is for it again.
        cursor.set_policy(OnFull::Block);
        cursor.end_at(None);
        let account = account(&mut cursor, appended)?;
        return Ok((cursor, account, false));
    }
    let mut account = Account::starting_after(appended);
    account.has_own_lanes = through > 0;
    let state = serde_json::to_vec(&account).map_err(OpenError::Account)?;
    let cursor = journal.cursor_behind(name, through, &state)?;
    Ok((cursor, account, true))
}

/// Stores at once from where on an exporter that is back is given what comes: after a crash that would be later.
pub(super) fn store_return(cursor: &mut Cursor, account: &Account) -> bool {
    let Ok(state) = serde_json::to_vec(account) else {
        return false;
    };
    let stored = cursor.commit(cursor.committed(), &state);
    if let Err(error) = &stored {
        tracing::warn!(%error, cursor = cursor.name(), "that the exporter is back could not be stored, trying again");
    }
    stored.is_ok()
}

/// The stored account; for a cursor without one, as damage may leave it, one that starts with what the journal holds, stored
/// at once: an exporter that never gets to settle anything must know later what was dropped from it.
fn account(cursor: &mut Cursor, appended: &Totals) -> Result<Account, JournalError> {
    match serde_json::from_slice(cursor.state()) {
        Ok(account) => return Ok(account),
        Err(error) if !cursor.state().is_empty() => {
            tracing::error!(%error, cursor = cursor.name(), "account cannot be read, starting a new one");
        }
        Err(_no_state) => {}
    }
    let oldest = cursor.read(1)?.into_iter().next();
    cursor.rewind();
    let before = oldest
        .and_then(|record| decode(record.payload).ok())
        .map(|(header, _)| header.before);
    let account = Account::starting_after(&before.unwrap_or(*appended));
    if let Ok(state) = serde_json::to_vec(&account)
        && let Err(error) = cursor.commit(cursor.committed(), &state)
    {
        tracing::warn!(%error, cursor = cursor.name(), "new account could not be stored, trying again later");
    }
    Ok(account)
}
