//! Which rows a deletion is about.

use std::collections::BTreeMap;

use arrow::array::{Array, BooleanArray, RecordBatch};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use vervet_model::{TraceId, UnixNanos};

use crate::StoreError;
use crate::catalog::DataFile;
use crate::columns::attributes::Attributes;
use crate::columns::{Columns, map_entries};
use crate::tables::{Layout, Table, column};

/// Attributes of a resource that have columns of their own, with these columns. Spans have the first two.
const COLUMN_OF_ATTRIBUTE: [(&str, &str); 6] = [
    ("service.name", column::SERVICE_NAME),
    ("deployment.environment.name", column::ENVIRONMENT),
    ("host.name", column::HOST_NAME),
    ("k8s.namespace.name", column::K8S_NAMESPACE_NAME),
    ("k8s.pod.name", column::K8S_POD_NAME),
    ("k8s.container.name", column::K8S_CONTAINER_NAME),
];

/// Log records and spans for which all that is said holds. Something must be said besides the time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteWhere {
    /// Whether log records are meant.
    pub logs: bool,
    /// Whether spans are meant.
    pub traces: bool,
    /// Inclusive, nanoseconds.
    pub start_unix_nano: Option<i64>,
    /// Exclusive, nanoseconds.
    pub end_unix_nano: Option<i64>,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// Attributes of the record, the span or its resource, with their values as text.
    pub attributes: BTreeMap<String, String>,
    /// A text in the body of a log record; case-sensitive.
    pub body_contains: Option<String>,
}

impl DeleteWhere {
    /// # Errors
    /// [`StoreError::Invalid`] says what is wrong.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let invalid = |reason: &str| {
            Err(StoreError::Invalid {
                reason: reason.to_owned(),
            })
        };
        if !self.logs && !self.traces {
            return invalid("no signal is named: logs, traces or both");
        }
        let blank = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
        if blank(&self.service)
            && blank(&self.environment)
            && blank(&self.trace_id)
            && blank(&self.body_contains)
            && self.attributes.is_empty()
        {
            return invalid(
                "a deletion must name a service, an environment, a trace, an attribute or a text",
            );
        }
        if self.traces && self.body_contains.is_some() {
            return invalid("spans have no body; leave traces out or body_contains");
        }
        if self.body_contains.as_deref() == Some("") {
            return invalid("body_contains is empty");
        }
        if let Some(id) = &self.trace_id
            && TraceId::from_hex(id).is_none()
        {
            return invalid("trace_id must be 32 hexadecimal digits");
        }
        if let (Some(start), Some(end)) = (self.start_unix_nano, self.end_unix_nano)
            && start >= end
        {
            return invalid("the end must be after the start");
        }
        Ok(())
    }

    pub(super) fn tables(&self) -> Vec<Table> {
        let wanted = [(self.logs, Table::Logs), (self.traces, Table::Spans)];
        let wanted = wanted.into_iter().filter(|(wanted, _table)| *wanted);
        wanted.map(|(_wanted, table)| table).collect()
    }

    /// Whether a file can hold a row that is meant, by its times.
    pub(super) fn may_hold(&self, file: &DataFile) -> bool {
        let Some((first, last)) = file.time_range else {
            return true;
        };
        self.start_unix_nano.is_none_or(|start| last.0 >= start)
            && self.end_unix_nano.is_none_or(|end| first.0 < end)
    }
}

/// A condition ready to be asked.
pub(super) struct Prepared<'a> {
    condition: &'a DeleteWhere,
    trace_id: Option<TraceId>,
    body: Option<Finder<'a>>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(condition: &'a DeleteWhere) -> Self {
        let id = condition.trace_id.as_deref();
        Self {
            condition,
            trace_id: id.and_then(TraceId::from_hex),
            body: condition
                .body_contains
                .as_deref()
                .map(|text| Finder::new(text.as_bytes())),
        }
    }

    /// The columns of `layout` that are needed to decide.
    pub(super) fn columns(&self, layout: &Layout) -> Vec<String> {
        let mut names = vec![column::TIME.to_owned()];
        let condition = self.condition;
        for (asked, name) in [
            (condition.service.is_some(), column::SERVICE_NAME),
            (condition.environment.is_some(), column::ENVIRONMENT),
            (condition.trace_id.is_some(), column::TRACE_ID),
            (condition.body_contains.is_some(), column::BODY),
        ] {
            names.extend(asked.then(|| name.to_owned()));
        }
        if !condition.attributes.is_empty() {
            names.extend([column::ATTRIBUTES, column::RESOURCE_ATTRIBUTES].map(str::to_owned));
            let promoted = layout.promoted().columns().iter();
            names.extend(promoted.map(|column| column.name.clone()));
            let own = condition.attributes.keys();
            let own = own.filter_map(|key| column_of(layout.table(), key));
            names.extend(own.map(str::to_owned));
        }
        names.sort();
        names.dedup();
        names
    }

    /// For each row whether it stays.
    ///
    /// # Errors
    /// A column is missing or of another type.
    pub(super) fn stays(
        &self,
        batch: &RecordBatch,
        layout: &Layout,
    ) -> Result<BooleanArray, StoreError> {
        let columns = Columns::new(layout.table().name(), batch);
        let mut meant = self.times(columns)?;
        let condition = self.condition;
        for (value, name) in [
            (&condition.service, column::SERVICE_NAME),
            (&condition.environment, column::ENVIRONMENT),
        ] {
            if let Some(value) = value {
                let texts = columns.text(name)?;
                narrow(&mut meant, |row| texts.value(row) == value);
            }
        }
        if let Some(id) = self.trace_id {
            let ids = columns.binary(column::TRACE_ID)?;
            narrow(&mut meant, |row| {
                ids.is_valid(row) && ids.value(row) == id.0
            });
        }
        if let Some(finder) = &self.body {
            let bodies = columns.text(column::BODY)?;
            narrow(&mut meant, |row| {
                finder.find(bodies.value(row).as_bytes()).is_some()
            });
        }
        if !condition.attributes.is_empty() {
            self.narrow_by_attributes(&mut meant, columns, layout)?;
        }
        Ok(meant.into_iter().map(|meant| Some(!meant)).collect())
    }

    fn times(&self, columns: Columns<'_>) -> Result<Vec<bool>, StoreError> {
        let start = UnixNanos(self.condition.start_unix_nano.unwrap_or(i64::MIN));
        let end = self.condition.end_unix_nano.map(UnixNanos);
        let within = |time: &i64| {
            let time = UnixNanos(*time);
            time >= start && end.is_none_or(|end| time < end)
        };
        let times = columns.nanos(column::TIME)?;
        Ok(times.values().iter().map(within).collect())
    }

    fn narrow_by_attributes(
        &self,
        meant: &mut [bool],
        columns: Columns<'_>,
        layout: &Layout,
    ) -> Result<(), StoreError> {
        let own = Attributes::new(columns, layout)?;
        let resource = columns.map(column::RESOURCE_ATTRIBUTES)?;
        for (key, value) in &self.condition.attributes {
            if let Some(name) = column_of(layout.table(), key) {
                let texts = columns.text(name)?;
                narrow(meant, |row| texts.value(row) == value);
                continue;
            }
            narrow(meant, |row| {
                let of_row = own.entries(row);
                let in_own = of_row.iter().any(|(k, v)| k == key && v == value);
                in_own
                    || map_entries(resource, row)
                        .iter()
                        .any(|(k, v)| k == key && v == value)
            });
        }
        Ok(())
    }
}

/// Keeps of the rows that are meant those for which `holds` says so.
fn narrow(meant: &mut [bool], mut holds: impl FnMut(usize) -> bool) {
    for (row, meant) in meant.iter_mut().enumerate() {
        *meant = *meant && holds(row);
    }
}

/// The column that holds a resource attribute of that name.
fn column_of(table: Table, key: &str) -> Option<&'static str> {
    let (_key, name) = COLUMN_OF_ATTRIBUTE
        .iter()
        .find(|(known, _)| *known == key)?;
    table
        .schema()
        .field_with_name(name)
        .ok()
        .map(|_field| *name)
}
