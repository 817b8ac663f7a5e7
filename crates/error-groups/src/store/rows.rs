//! Rows of `groups`, written and read in one place each.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::apply::Prepared;
use super::{ErrorStoreError, Result, optional, sqlite};
use crate::fingerprint::{Component, FINGERPRINT_VERSION, message_of};
use crate::group::GroupState;
use crate::occurrence::{MESSAGE_BYTES_MAX, truncated};
use crate::stack::Language;

const TITLE_BYTES_MAX: usize = 256;
const MS_PER_MINUTE: i64 = 60_000;

pub(super) fn minute(time_ms: i64) -> i64 {
    time_ms.div_euclid(MS_PER_MINUTE)
}

/// A row of `groups`.
pub(super) struct GroupRow {
    pub(super) id: String,
    pub(super) service_name: String,
    pub(super) fingerprint_version: u32,
    pub(super) fingerprint: String,
    pub(super) top_frame_hash: String,
    pub(super) message_hash: String,
    pub(super) components: Vec<Component>,
    pub(super) title: String,
    pub(super) culprit: String,
    pub(super) exception_type: String,
    pub(super) message: String,
    pub(super) level: String,
    pub(super) language: Option<Language>,
    pub(super) state: GroupState,
    pub(super) first_seen_ms: i64,
    pub(super) last_seen_ms: i64,
    pub(super) first_version: String,
    pub(super) last_version: String,
    pub(super) count: i64,
    pub(super) resolved_at_ms: Option<i64>,
    pub(super) resolved_in_version: Option<String>,
    pub(super) regressed: bool,
    pub(super) regressed_at_ms: Option<i64>,
    pub(super) noticed_ms: i64,
    pub(super) regression_noticed_ms: Option<i64>,
}

/// The columns of `groups` in the order of [`read_group`].
pub(super) const GROUP_COLUMNS: &str = "id, service_name, fingerprint_version, fingerprint,
    top_frame_hash, message_hash, components, title, culprit, exception_type, message, level,
    language, state, first_seen_ms, last_seen_ms, first_version, last_version, count,
    resolved_at_ms, resolved_in_version, regressed, regressed_at_ms, noticed_ms, regression_noticed_ms";

impl GroupRow {
    /// The group that begins with `new`, not counting it yet.
    pub(super) fn new(new: &Prepared<'_>, now_ms: i64) -> Self {
        let message = message_of(new.occurrence, new.stack.as_ref());
        Self {
            id: new.group_id.clone(),
            service_name: new.service_name.clone().into_owned(),
            fingerprint_version: FINGERPRINT_VERSION,
            fingerprint: new.fingerprint.full.clone(),
            top_frame_hash: new.fingerprint.top_frame.clone(),
            message_hash: new.fingerprint.message.clone(),
            components: new.fingerprint.components.clone(),
            title: title(&new.fingerprint.exception_type, message),
            culprit: culprit(new),
            exception_type: new.fingerprint.exception_type.clone(),
            message: truncated(message, MESSAGE_BYTES_MAX).into_owned(),
            level: "error".to_owned(),
            language: new.stack.as_ref().map(|stack| stack.language),
            state: GroupState::Open,
            first_seen_ms: new.time_ms,
            last_seen_ms: new.time_ms,
            first_version: new.service_version.clone().into_owned(),
            last_version: new.service_version.clone().into_owned(),
            count: 0,
            resolved_at_ms: None,
            resolved_in_version: None,
            regressed: false,
            regressed_at_ms: None,
            noticed_ms: now_ms,
            regression_noticed_ms: None,
        }
    }

    /// The group of a service that takes the failures beyond its limit of groups.
    pub(super) fn overflow(id: String, new: &Prepared<'_>, now_ms: i64) -> Self {
        let rule = Component {
            kind: "rule".to_owned(),
            value: "service has too many error groups".to_owned(),
        };
        Self {
            id,
            title: "Other errors".to_owned(),
            culprit: String::new(),
            exception_type: String::new(),
            message: "Beyond the limit of error groups of this service".to_owned(),
            components: vec![rule],
            ..Self::new(new, now_ms)
        }
    }
}

fn title(exception_type: &str, message: &str) -> String {
    let line = message
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let title = match (exception_type, line) {
        ("", "") => "Unknown error".to_owned(),
        ("", line) => line.to_owned(),
        (exception_type, "") => exception_type.to_owned(),
        (exception_type, line) => format!("{exception_type}: {line}"),
    };
    truncated(&title, TITLE_BYTES_MAX).into_owned()
}

/// Where it happened: the counted frame nearest the crash, else the route, else the logger.
fn culprit(new: &Prepared<'_>) -> String {
    let frames = new.stack.as_ref().map_or(&[][..], |stack| &stack.frames);
    let frame = frames
        .iter()
        .find(|frame| frame.in_app)
        .or_else(|| frames.first());
    let culprit = match frame {
        Some(frame) if frame.function.is_empty() => frame.module.clone(),
        Some(frame) => format!("{} ({})", frame.function, frame.module),
        None => new
            .occurrence
            .attribute("http.route")
            .unwrap_or(&new.occurrence.logger)
            .to_owned(),
    };
    truncated(&culprit, TITLE_BYTES_MAX).into_owned()
}

pub(super) fn load_group(connection: &Connection, id: &str) -> Result<Option<GroupRow>> {
    let sql = format!("SELECT {GROUP_COLUMNS} FROM groups WHERE id = ?1");
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(sqlite("load a group"))?;
    optional(statement.query_row(params![id], read_group), "load a group")
}

pub(super) fn count_groups(connection: &Connection, service_name: &str) -> Result<usize> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM groups WHERE service_name = ?1")
        .and_then(|mut statement| statement.query_row(params![service_name], |row| row.get(0)))
        .map_err(sqlite("count groups"))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

pub(super) fn read_group(row: &Row<'_>) -> rusqlite::Result<GroupRow> {
    let language: Option<String> = row.get(12)?;
    Ok(GroupRow {
        id: row.get(0)?,
        service_name: row.get(1)?,
        fingerprint_version: row.get(2)?,
        fingerprint: row.get(3)?,
        top_frame_hash: row.get(4)?,
        message_hash: row.get(5)?,
        components: from_json(row, 6)?,
        title: row.get(7)?,
        culprit: row.get(8)?,
        exception_type: row.get(9)?,
        message: row.get(10)?,
        level: row.get(11)?,
        language: language.as_deref().and_then(language_from),
        state: state_from(row.get(13)?),
        first_seen_ms: row.get(14)?,
        last_seen_ms: row.get(15)?,
        first_version: row.get(16)?,
        last_version: row.get(17)?,
        count: row.get(18)?,
        resolved_at_ms: row.get(19)?,
        resolved_in_version: row.get(20)?,
        regressed: row.get(21)?,
        regressed_at_ms: row.get(22)?,
        noticed_ms: row.get(23)?,
        regression_noticed_ms: row.get(24)?,
    })
}

pub(super) fn save_group(connection: &Connection, row: &GroupRow) -> Result<()> {
    let sql = format!(
        "INSERT INTO groups ({GROUP_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
            ?19, ?20, ?21, ?22, ?23, ?24, ?25)
         ON CONFLICT (id) DO UPDATE SET level = excluded.level, state = excluded.state,
            first_seen_ms = excluded.first_seen_ms, last_seen_ms = excluded.last_seen_ms,
            first_version = excluded.first_version, last_version = excluded.last_version,
            count = excluded.count, regressed = excluded.regressed,
            regressed_at_ms = excluded.regressed_at_ms,
            regression_noticed_ms = excluded.regression_noticed_ms"
    );
    let components = to_json("components", &row.components)?;
    let values = params![
        row.id,
        row.service_name,
        row.fingerprint_version,
        row.fingerprint,
        row.top_frame_hash,
        row.message_hash,
        components,
        row.title,
        row.culprit,
        row.exception_type,
        row.message,
        row.level,
        row.language.and_then(language_name),
        state_number(row.state),
        row.first_seen_ms,
        row.last_seen_ms,
        row.first_version,
        row.last_version,
        row.count,
        row.resolved_at_ms,
        row.resolved_in_version,
        row.regressed,
        row.regressed_at_ms,
        row.noticed_ms,
        row.regression_noticed_ms,
    ];
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(sqlite("save a group"))?;
    Ok(())
}

pub(super) fn to_json<T: Serialize + ?Sized>(column: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|source| ErrorStoreError::Json { column, source })
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))
}

pub(super) fn state_number(state: GroupState) -> i64 {
    match state {
        GroupState::Open => 0,
        GroupState::Resolved => 1,
        GroupState::Ignored => 2,
    }
}

fn state_from(number: i64) -> GroupState {
    match number {
        1 => GroupState::Resolved,
        2 => GroupState::Ignored,
        _ => GroupState::Open,
    }
}

const LANGUAGES: [(Language, &str); 8] = [
    (Language::Javascript, "javascript"),
    (Language::Python, "python"),
    (Language::Java, "java"),
    (Language::Go, "go"),
    (Language::Rust, "rust"),
    (Language::Dotnet, "dotnet"),
    (Language::Php, "php"),
    (Language::Ruby, "ruby"),
];

fn language_name(language: Language) -> Option<&'static str> {
    LANGUAGES
        .iter()
        .find(|(known, _)| *known == language)
        .map(|(_, name)| *name)
}

fn language_from(name: &str) -> Option<Language> {
    LANGUAGES
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(language, _)| *language)
}
