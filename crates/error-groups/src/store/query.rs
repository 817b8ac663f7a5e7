//! Answers: lists with counts and sparklines, one group in full.

use rusqlite::{Connection, ToSql, params};

use super::events;
use super::rows::{self, GROUP_COLUMNS, GroupRow, minute};
use super::{Result, sqlite};
use crate::group::{
    CountPoint, GroupDetail, GroupPage, GroupSummary, ListQuery, NamedCount, SortBy,
};

/// Groups a list answers at most.
const LIMIT_MAX: usize = 1_000;
/// Points of a sparkline at most.
const SERIES_POINTS_MAX: i64 = 60;
/// Words of a text search that count.
const WORDS_MAX: usize = 8;
const MS_PER_MINUTE: i64 = 60_000;
/// Where the count within the asked range stands, after the columns of groups.
const COUNT_INDEX: usize = 25;

/// What part of the counts is asked for; minutes, the end excluded.
struct Range<'a> {
    from: i64,
    to: i64,
    environment: Option<&'a str>,
}

pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<GroupPage> {
    let range = Range {
        from: query.since_unix_ms.map_or(i64::MIN, minute),
        to: query
            .until_unix_ms
            .map_or(i64::MAX, |until| minute(until.saturating_add(59_999))),
        environment: query.environment.as_deref(),
    };
    let ranged = query.since_unix_ms.is_some()
        || query.until_unix_ms.is_some()
        || query.environment.is_some();
    let order = match query.sort {
        SortBy::LastSeen => "last_seen_ms DESC",
        SortBy::FirstSeen => "first_seen_ms DESC",
        SortBy::Count => "in_range DESC",
    };
    let words = search_words(query.text.as_deref().unwrap_or_default());
    let limit = i64::try_from(query.limit.min(LIMIT_MAX)).unwrap_or(i64::MAX);
    let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
    let state = query.state.map(rows::state_number);
    let mut values: Vec<&dyn ToSql> = vec![
        &range.from,
        &range.to,
        &range.environment,
        &query.service,
        &state,
        &ranged,
        &limit,
        &offset,
    ];
    let mut search = String::new();
    for word in &words {
        values.push(word);
        if is_trace_id(word) {
            search.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM events e WHERE e.group_id = g.id AND e.trace_id = ?{})",
                values.len()
            ));
            continue;
        }
        search.push_str(&format!(
            " AND instr(lower(title || ' ' || culprit || ' ' || exception_type || ' ' || message),
               ?{}) > 0",
            values.len()
        ));
    }
    let matching = format!(
        "FROM (
            SELECT *, (SELECT coalesce(sum(c.count), 0) FROM counts c WHERE c.group_id = g.id
                AND c.minute >= ?1 AND c.minute < ?2
                AND (?3 IS NULL OR c.environment = ?3)) AS in_range
            FROM groups g
            WHERE (?4 IS NULL OR service_name = ?4) AND (?5 IS NULL OR state = ?5) {search})
         WHERE (in_range > 0 OR NOT ?6)"
    );
    let page = format!(
        "SELECT {GROUP_COLUMNS}, in_range {matching} ORDER BY {order}, id LIMIT ?7 OFFSET ?8"
    );
    let groups = summaries(connection, &page, &values, &range)?;
    // The same parameters serve both statements, so the count names the page's two as well.
    let count = format!("SELECT count(*) {matching} AND ?7 >= 0 AND ?8 >= 0");
    let total = connection
        .query_row(&count, values.as_slice(), |row| row.get::<_, i64>(0))
        .map_err(sqlite("count error groups"))?;
    Ok(GroupPage {
        groups,
        total: u64::try_from(total).unwrap_or(0),
    })
}

pub(super) fn recent(connection: &Connection, since_ms: i64) -> Result<Vec<GroupSummary>> {
    let range = Range {
        from: minute(since_ms),
        to: i64::MAX,
        environment: None,
    };
    let sql = format!(
        "SELECT {GROUP_COLUMNS}, (SELECT coalesce(sum(c.count), 0) FROM counts c
                WHERE c.group_id = groups.id AND c.minute >= ?2)
         FROM groups WHERE noticed_ms >= ?1 OR (regressed AND regression_noticed_ms >= ?1)
         ORDER BY max(noticed_ms, coalesce(regression_noticed_ms, noticed_ms)) DESC, id LIMIT 1000"
    );
    summaries(connection, &sql, &[&since_ms, &range.from], &range)
}

pub(super) fn get(
    connection: &Connection,
    id: &str,
    events_max: usize,
) -> Result<Option<GroupDetail>> {
    let Some(row) = rows::load_group(connection, id)? else {
        return Ok(None);
    };
    let count = row.count;
    let range = Range {
        from: i64::MIN,
        to: i64::MAX,
        environment: None,
    };
    let (version, hashes) = (
        row.fingerprint_version,
        [&row.fingerprint, &row.top_frame_hash, &row.message_hash],
    );
    let [fingerprint, top_frame_hash, message_hash] = hashes.map(String::clone);
    let components = row.components.clone();
    let Some(group) = with_series(connection, vec![(row, count)], &range)?.pop() else {
        return Ok(None);
    };
    Ok(Some(GroupDetail {
        group,
        fingerprint_version: version,
        fingerprint,
        top_frame_hash,
        message_hash,
        components,
        by_version: counts_by(connection, "version", id)?,
        by_environment: counts_by(connection, "environment", id)?,
        events: events::load(connection, id, events_max)?,
    }))
}

/// 32 hexadecimal digits find the groups with an event of that trace.
fn is_trace_id(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Lower-case words of at least one character.
fn search_words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .take(WORDS_MAX)
        .map(str::to_ascii_lowercase)
        .collect()
}

fn summaries(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    range: &Range<'_>,
) -> Result<Vec<GroupSummary>> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(sqlite("list groups"))?;
    let found: Vec<(GroupRow, i64)> = statement
        .query_map(values, |row| {
            Ok((rows::read_group(row)?, row.get(COUNT_INDEX)?))
        })
        .and_then(Iterator::collect)
        .map_err(sqlite("list groups"))?;
    with_series(connection, found, range)
}

/// Adds environments and sparklines, all of one step so that they can be compared.
fn with_series(
    connection: &Connection,
    found: Vec<(GroupRow, i64)>,
    range: &Range<'_>,
) -> Result<Vec<GroupSummary>> {
    let first = found
        .iter()
        .map(|(row, _)| minute(row.first_seen_ms))
        .min()
        .unwrap_or(0);
    let last = found
        .iter()
        .map(|(row, _)| minute(row.last_seen_ms))
        .max()
        .unwrap_or(0);
    let from = range.from.max(first);
    let to = range.to.min(last.saturating_add(1));
    let step = to
        .saturating_sub(from)
        .max(1)
        .saturating_add(SERIES_POINTS_MAX - 1)
        / SERIES_POINTS_MAX;
    let mut result = Vec::with_capacity(found.len());
    for (row, in_range) in found {
        let series = series(connection, &row.id, range, from, to, step)?;
        let environments = environments(connection, &row.id)?;
        let mut summary = summary(row, in_range, environments);
        summary.series = series;
        summary.series_step_ms = step.saturating_mul(MS_PER_MINUTE);
        result.push(summary);
    }
    Ok(result)
}

fn series(
    connection: &Connection,
    id: &str,
    range: &Range<'_>,
    from: i64,
    to: i64,
    step: i64,
) -> Result<Vec<CountPoint>> {
    connection
        .prepare_cached(
            "SELECT (minute - ?2) / ?4 AS bucket, sum(count) FROM counts
             WHERE group_id = ?1 AND minute >= ?2 AND minute < ?3
               AND (?5 IS NULL OR environment = ?5)
             GROUP BY bucket ORDER BY bucket",
        )
        .and_then(|mut statement| {
            let values = params![id, from, to, step, range.environment];
            let point = |row: &rusqlite::Row<'_>| {
                let start = row
                    .get::<_, i64>(0)?
                    .saturating_mul(step)
                    .saturating_add(from);
                Ok(CountPoint {
                    time_unix_ms: start.saturating_mul(MS_PER_MINUTE),
                    count: unsigned(row.get(1)?),
                })
            };
            statement.query_map(values, point)?.collect()
        })
        .map_err(sqlite("read a series"))
}

fn environments(connection: &Connection, id: &str) -> Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT DISTINCT environment FROM counts WHERE group_id = ?1 ORDER BY environment",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![id], |row| row.get(0))?
                .collect()
        })
        .map_err(sqlite("read environments"))
}

/// Counts of a group by `column`, a name of ours; seen times are those of the minute's start.
fn counts_by(connection: &Connection, column: &str, id: &str) -> Result<Vec<NamedCount>> {
    let sql = format!(
        "SELECT {column}, sum(count), min(minute), max(minute) FROM counts
         WHERE group_id = ?1 GROUP BY {column} ORDER BY sum(count) DESC, {column}"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let named = |row: &rusqlite::Row<'_>| {
                Ok(NamedCount {
                    name: row.get(0)?,
                    count: unsigned(row.get(1)?),
                    first_seen_unix_ms: row.get::<_, i64>(2)?.saturating_mul(MS_PER_MINUTE),
                    last_seen_unix_ms: row.get::<_, i64>(3)?.saturating_mul(MS_PER_MINUTE),
                })
            };
            statement.query_map(params![id], named)?.collect()
        })
        .map_err(sqlite("read counts"))
}

fn summary(row: GroupRow, in_range: i64, environments: Vec<String>) -> GroupSummary {
    GroupSummary {
        id: row.id,
        service_name: row.service_name,
        title: row.title,
        culprit: row.culprit,
        exception_type: row.exception_type,
        message: row.message,
        level: row.level,
        language: row.language,
        state: row.state,
        first_seen_unix_ms: row.first_seen_ms,
        last_seen_unix_ms: row.last_seen_ms,
        first_version: row.first_version,
        last_version: row.last_version,
        resolved_at_unix_ms: row.resolved_at_ms,
        resolved_in_version: row.resolved_in_version,
        regressed: row.regressed,
        regressed_at_unix_ms: row.regressed_at_ms,
        noticed_at_unix_ms: row.noticed_ms,
        regression_noticed_at_unix_ms: row.regression_noticed_ms,
        count: unsigned(row.count),
        count_in_range: unsigned(in_range),
        environments,
        series: Vec::new(),
        series_step_ms: 0,
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
