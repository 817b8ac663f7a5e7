//! Rows of `events`: the newest occurrences of each group, in full.

use rusqlite::{Connection, Row, params};

use super::apply::Prepared;
use super::rows::{from_json, to_json};
use super::{Result, sqlite};
use crate::fingerprint::message_of;
use crate::group::ErrorEvent;
use crate::occurrence::{
    ATTRIBUTES_MAX, FIELD_BYTES_MAX, MESSAGE_BYTES_MAX, OccurrenceSource, STACK_BYTES_MAX,
    truncated,
};
use crate::stack::{Exception, Frame};

const NS_PER_MS: i64 = 1_000_000;

/// A row of `events` about to be written.
pub(super) struct EventRow<'a> {
    pub(super) id: i64,
    pub(super) sources: i64,
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    pub(super) new: &'a Prepared<'a>,
}

const EVENT_COLUMNS: &str = "id, time_ns, sources, service_version, environment, host_name,
    exception_type, message, logger, handled, trace_id, span_id, frames, causes, stacktrace,
    attributes";

pub(super) fn insert(connection: &Connection, group_id: &str, event: &EventRow<'_>) -> Result<()> {
    let Prepared {
        occurrence,
        stack,
        fingerprint,
        ..
    } = event.new;
    let no_frames: &[Frame] = &[];
    let no_causes: &[Exception] = &[];
    let frames = stack.as_ref().map_or(no_frames, |stack| &stack.frames);
    let causes = stack.as_ref().map_or(no_causes, |stack| &stack.causes);
    let attributes: Vec<_> = occurrence
        .attributes
        .iter()
        .take(ATTRIBUTES_MAX)
        .map(|(name, value)| {
            (
                truncated(name, FIELD_BYTES_MAX),
                truncated(value, FIELD_BYTES_MAX),
            )
        })
        .collect();
    let sql = format!(
        "INSERT INTO events ({EVENT_COLUMNS}, group_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    );
    let values = params![
        event.id,
        occurrence.time.0,
        event.sources,
        event.new.service_version,
        event.new.environment,
        event.new.host_name,
        fingerprint.exception_type,
        truncated(message_of(occurrence, stack.as_ref()), MESSAGE_BYTES_MAX),
        truncated(&occurrence.logger, FIELD_BYTES_MAX),
        occurrence.handled,
        event.trace_id,
        event.span_id,
        to_json("frames", frames)?,
        to_json("causes", causes)?,
        truncated(&occurrence.stacktrace, STACK_BYTES_MAX),
        to_json("attributes", &attributes)?,
        group_id,
    ];
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(sqlite("insert an event"))?;
    Ok(())
}

/// Forgets all but the newest events of a group.
pub(super) fn trim(connection: &Connection, group_id: &str, max: usize) -> Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM events WHERE group_id = ?1 AND id IN (
                SELECT id FROM events WHERE group_id = ?1
                ORDER BY time_ns DESC, id DESC LIMIT -1 OFFSET ?2)",
        )
        .and_then(|mut statement| {
            statement.execute(params![group_id, i64::try_from(max).unwrap_or(i64::MAX)])
        })
        .map_err(sqlite("trim events"))?;
    Ok(())
}

/// The newest events of a group.
pub(super) fn load(connection: &Connection, group_id: &str, max: usize) -> Result<Vec<ErrorEvent>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE group_id = ?1
         ORDER BY time_ns DESC, id DESC LIMIT ?2"
    );
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(sqlite("load events"))?;
    statement
        .query_map(
            params![group_id, i64::try_from(max).unwrap_or(i64::MAX)],
            read,
        )
        .and_then(Iterator::collect)
        .map_err(sqlite("load events"))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ErrorEvent> {
    let time_ns: i64 = row.get(1)?;
    Ok(ErrorEvent {
        id: row.get(0)?,
        time_unix_ms: time_ns.div_euclid(NS_PER_MS),
        sources: OccurrenceSource::from_mask(row.get(2)?),
        service_version: row.get(3)?,
        environment: row.get(4)?,
        host_name: row.get(5)?,
        exception_type: row.get(6)?,
        message: row.get(7)?,
        logger: row.get(8)?,
        handled: row.get(9)?,
        trace_id: row.get(10)?,
        span_id: row.get(11)?,
        frames: from_json(row, 12)?,
        causes: from_json(row, 13)?,
        stacktrace: row.get(14)?,
        attributes: from_json(row, 15)?,
    })
}
