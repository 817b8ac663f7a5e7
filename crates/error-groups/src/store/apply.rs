//! One journal entry: parse, drop duplicates, count, and move the position.

use std::borrow::Cow;

use rusqlite::{Connection, TransactionBehavior, params};

use super::pending::Pending;
use super::{ErrorStoreError, Result, StoreConfig, sightings, sqlite};
use crate::fingerprint::{Fingerprint, fingerprint, group_id};
use crate::group::GroupChange;
use crate::occurrence::{FIELD_BYTES_MAX, Occurrence, truncated};
use crate::stack::{ParsedStack, parse_with_start};

/// An occurrence with all that follows from it alone.
pub(super) struct Prepared<'a> {
    pub(super) occurrence: &'a Occurrence,
    pub(super) stack: Option<ParsedStack>,
    pub(super) fingerprint: Fingerprint,
    pub(super) group_id: String,
    pub(super) time_ms: i64,
    pub(super) service_name: Cow<'a, str>,
    pub(super) service_version: Cow<'a, str>,
    pub(super) environment: Cow<'a, str>,
    pub(super) host_name: Cow<'a, str>,
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
}

/// Parses and names every occurrence.
pub(super) fn prepare(occurrences: &[Occurrence]) -> Vec<Prepared<'_>> {
    occurrences.iter().map(prepare_one).collect()
}

fn prepare_one(occurrence: &Occurrence) -> Prepared<'_> {
    let stack =
        parse_with_start(&occurrence.stacktrace, occurrence.language_hint).map(|(_, stack)| stack);
    let fingerprint = fingerprint(occurrence, stack.as_ref());
    let service_name = truncated(&occurrence.service_name, FIELD_BYTES_MAX);
    Prepared {
        group_id: group_id(&service_name, &fingerprint.full),
        occurrence,
        stack,
        fingerprint,
        time_ms: occurrence.time.to_millis().0,
        service_name,
        service_version: truncated(&occurrence.service_version, FIELD_BYTES_MAX),
        environment: truncated(&occurrence.environment, FIELD_BYTES_MAX),
        host_name: truncated(&occurrence.host_name, FIELD_BYTES_MAX),
        trace_id: occurrence.trace_id.map(|id| id.to_string()),
        span_id: occurrence.span_id.map(|id| id.to_string()),
    }
}

pub(super) fn applied_sequence(connection: &Connection) -> Result<u64> {
    let sequence: i64 = connection
        .query_row("SELECT sequence FROM position WHERE id = 1", [], |row| {
            row.get(0)
        })
        .map_err(sqlite("read the position"))?;
    Ok(u64::try_from(sequence).unwrap_or(0))
}

pub(super) fn apply(
    connection: &mut Connection,
    config: &StoreConfig,
    prepared: &[Prepared<'_>],
    journal_sequence: u64,
    now_ms: i64,
) -> Result<Vec<GroupChange>> {
    let too_large = |_| ErrorStoreError::SequenceTooLarge {
        sequence: journal_sequence,
    };
    let sequence = i64::try_from(journal_sequence).map_err(too_large)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite("begin to apply"))?;
    let applied = applied_sequence(&transaction)?;
    if journal_sequence <= applied {
        tracing::debug!(
            journal_sequence,
            applied,
            "journal entry was applied before"
        );
        return Ok(Vec::new());
    }
    let mut pending = Pending::new(config, now_ms);
    for new in prepared {
        match sightings::find(&transaction, new)? {
            Some(known) => {
                sightings::merge(&transaction, &known, new)?;
                pending.merge(&known, new);
            }
            None => {
                let id = sightings::insert(&transaction, new)?;
                pending.count(&transaction, id, new)?;
            }
        }
    }
    let changes = pending.store(&transaction)?;
    sightings::trim(&transaction)?;
    transaction
        .execute(
            "UPDATE position SET sequence = ?1 WHERE id = 1",
            params![sequence],
        )
        .map_err(sqlite("move the position"))?;
    transaction.commit().map_err(sqlite("commit"))?;
    Ok(changes)
}
