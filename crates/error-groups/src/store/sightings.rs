//! Tells whether a failure was counted before, seen in another place.
//!
//! Two sightings within [`SAME_FAILURE`] of each other are one failure when
//! - both carry the same trace and span and the same fingerprint; or
//! - they come from different kinds of source, neither kind was matched before, and
//!   - both carry the same trace, and share the fingerprint, the top frame or the message; or
//!   - one of them has no trace, and service, host and fingerprint are equal. An unknown host
//!     equals any: a process rarely knows the name of its node.
//!
//! Within one kind of source and without a trace, two sightings are two failures.

use std::time::Duration;

use rusqlite::{Connection, Row, params};
use vervet_model::UnixNanos;

use super::apply::Prepared;
use super::{Result, optional, sqlite};

/// How far apart two sightings of one failure may be.
const SAME_FAILURE: Duration = Duration::from_secs(1);
/// Sightings kept; older ones cannot be matched any more.
const SIGHTINGS_MAX: i64 = 100_000;
/// Sightings of one trace that are compared.
const TRACE_CANDIDATES_MAX: i64 = 100;

/// A sighting that was counted.
pub(super) struct Known {
    pub(super) id: i64,
    /// Where it was seen so far, including now.
    pub(super) sources: i64,
}

/// The counted sighting of the failure that `new` saw again, if there is one.
pub(super) fn find(connection: &Connection, new: &Prepared<'_>) -> Result<Option<Known>> {
    if let Some(known) = find_in_trace(connection, new)? {
        return Ok(Some(known));
    }
    find_without_trace(connection, new)
}

fn find_in_trace(connection: &Connection, new: &Prepared<'_>) -> Result<Option<Known>> {
    let Some(trace_id) = &new.trace_id else {
        return Ok(None);
    };
    let (from, to) = window(new);
    let mut statement = connection
        .prepare_cached(
            "SELECT id, sources FROM sightings
             WHERE trace_id = ?1 AND time_ns BETWEEN ?2 AND ?3 AND service_name = ?4
               AND ((span_id IS ?5 AND fingerprint = ?6)
                 OR (sources & ?7 = 0
                     AND (fingerprint = ?6 OR top_frame_hash = ?8 OR message_hash = ?9)))
             ORDER BY fingerprint = ?6 DESC, span_id IS ?5 DESC, id LIMIT ?10",
        )
        .map_err(sqlite("find a sighting"))?;
    let row = statement.query_row(
        params![
            trace_id,
            from,
            to,
            new.service_name,
            new.span_id,
            new.fingerprint.full,
            new.occurrence.source.bit(),
            new.fingerprint.top_frame,
            new.fingerprint.message,
            TRACE_CANDIDATES_MAX,
        ],
        |row| known(row, new),
    );
    optional(row, "find a sighting")
}

fn find_without_trace(connection: &Connection, new: &Prepared<'_>) -> Result<Option<Known>> {
    let (from, to) = window(new);
    // The masks without this kind's bit, so that the index leads past all others.
    let bit = new.occurrence.source.bit();
    let masks: Vec<i64> = (1..8).filter(|mask| mask & bit == 0).collect();
    let mut statement = connection
        .prepare_cached(
            "SELECT id, sources FROM sightings
             WHERE group_id = ?1 AND sources IN (?2, ?3, ?4) AND time_ns BETWEEN ?5 AND ?6
               AND fingerprint = ?7
               AND (host_name = ?8 OR host_name = '' OR ?8 = '')
               AND (trace_id IS NULL OR ?9 IS NULL)
             ORDER BY host_name = ?8 DESC, abs(time_ns - ?10), id LIMIT 1",
        )
        .map_err(sqlite("find a sighting"))?;
    let row = statement.query_row(
        params![
            new.group_id,
            masks.first(),
            masks.get(1),
            masks.get(2),
            from,
            to,
            new.fingerprint.full,
            new.host_name,
            new.trace_id,
            new.occurrence.time.0.clamp(from, to),
        ],
        |row| known(row, new),
    );
    optional(row, "find a sighting")
}

fn window(new: &Prepared<'_>) -> (i64, i64) {
    let UnixNanos(from) = new.occurrence.time.saturating_sub(SAME_FAILURE);
    let UnixNanos(to) = new.occurrence.time.saturating_add(SAME_FAILURE);
    (from, to)
}

fn known(row: &Row<'_>, new: &Prepared<'_>) -> rusqlite::Result<Known> {
    let sources: i64 = row.get(1)?;
    Ok(Known {
        id: row.get(0)?,
        sources: sources | new.occurrence.source.bit(),
    })
}

/// Notes that a counted failure was seen in one more place, and what that place knew of the trace.
pub(super) fn merge(connection: &Connection, known: &Known, new: &Prepared<'_>) -> Result<()> {
    for sql in [
        "UPDATE sightings SET sources = ?2, span_id = iif(trace_id IS NULL, ?4, span_id),
            trace_id = coalesce(trace_id, ?3) WHERE id = ?1",
        "UPDATE events SET sources = ?2, span_id = iif(trace_id IS NULL, ?4, span_id),
            trace_id = coalesce(trace_id, ?3) WHERE id = ?1",
    ] {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.execute(params![known.id, known.sources, new.trace_id, new.span_id])
            })
            .map_err(sqlite("merge a sighting"))?;
    }
    Ok(())
}

/// Notes a failure that is counted now, and returns its identifier.
pub(super) fn insert(connection: &Connection, new: &Prepared<'_>) -> Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO sightings (group_id, time_ns, sources, service_name, host_name,
                fingerprint, top_frame_hash, message_hash, trace_id, span_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                new.group_id,
                new.occurrence.time.0,
                new.occurrence.source.bit(),
                new.service_name,
                new.host_name,
                new.fingerprint.full,
                new.fingerprint.top_frame,
                new.fingerprint.message,
                new.trace_id,
                new.span_id,
            ])
        })
        .map_err(sqlite("insert a sighting"))
}

/// Forgets all but the newest sightings.
pub(super) fn trim(connection: &Connection) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM sightings WHERE id <= (SELECT max(id) FROM sightings) - ?1")
        .and_then(|mut statement| statement.execute(params![SIGHTINGS_MAX]))
        .map_err(sqlite("trim sightings"))?;
    Ok(())
}
