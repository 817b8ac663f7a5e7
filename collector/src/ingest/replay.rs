//! Brings journalled requests that no segment holds yet back into the head, at start.

use vervet_journal::Cursor;
use vervet_model::{Clock, SystemClock};
use vervet_store::{AppliedSource, DecodeOptions, Decoded, Store};

use super::Envelope;

/// Bytes of journal records read at a time.
const READ_BYTES: usize = 4 << 20;

/// What a replay found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) requests: u64,
    pub(crate) records: u64,
    /// Records that passed their checksum and yet could not be read: a newer version wrote them.
    pub(crate) unreadable: u64,
}

/// Applies all records after the store's committed position. Blocks; runs before anything is received.
///
/// # Errors
/// The journal cannot be read or a full head cannot be flushed.
pub(crate) fn replay(
    store: &Store,
    cursor: &mut Cursor,
    options: &DecodeOptions,
) -> anyhow::Result<Replayed> {
    let stored = store.journal_position()?;
    let mut replayed = Replayed::default();
    loop {
        let records = cursor.read(READ_BYTES)?;
        if records.is_empty() {
            return Ok(replayed);
        }
        for record in records.iter().filter(|record| record.sequence > stored) {
            let envelope = match Envelope::parse(record) {
                Ok(envelope) => envelope,
                Err(error) => {
                    tracing::error!(%error, "journal record skipped");
                    replayed.unreadable += 1;
                    continue;
                }
            };
            // The request was decoded before it was appended, so this cannot fail for the same version.
            let Some(decoded) = decode(store, &envelope, options) else {
                tracing::error!(
                    sequence = record.sequence,
                    "journalled request does not decode; skipped"
                );
                replayed.unreadable += 1;
                continue;
            };
            replayed.requests += 1;
            replayed.records += decoded.records;
            let source = envelope.source.as_ref().map(|source| AppliedSource {
                agent_id: &source.agent_id,
                signal: envelope.format.signal(),
                sequence: source.sequence,
            });
            store.apply(record.sequence, decoded, source);
        }
        if store.should_flush(SystemClock.now()) {
            store.flush()?;
        }
    }
}

fn decode(store: &Store, envelope: &Envelope, options: &DecodeOptions) -> Option<Decoded> {
    let body = envelope.body.protobuf().ok()?;
    let decoded = store.decode(envelope.format, &body, options, envelope.received_at);
    decoded.ok()
}
