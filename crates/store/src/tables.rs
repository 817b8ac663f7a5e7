//! The stored tables: their Arrow schemas, column ids, sort orders and the columns with file statistics.
//!
//! One schema serves the in-memory head, the Parquet files and the DuckLake catalog. Every field carries
//! its DuckLake column id as `PARQUET:field_id`, the children of maps included, because DuckDB finds the
//! columns of a file by that id. Ids are given by position, counting a map as three: itself, its key, its
//! value. The schemas are fixed for one `vervet_schema_version`: a new column goes last. Segments have further
//! columns, see [`Layout`]: those of logs and spans for attributes that many rows have, those of samples for values that
//! are decimals, and those of logs for digits of texts ([`packed`]).

mod define;
mod layout;
pub(crate) mod packed;
mod promoted;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use arrow::array::{MapBuilder, MapFieldNames, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

pub use layout::{Layout, Layouts};
pub use promoted::{Promoted, PromotedColumn, PromotedKind, PromotedValue, may_be_promoted};

/// Column names that more than one module uses.
pub mod column {
    pub const ATTRIBUTES: &str = "attributes";
    pub const BODY: &str = "body";
    pub const DAY: &str = "day";
    pub const DIVISOR: &str = "divisor";
    pub const DURATION_NS: &str = "duration_ns";
    pub const ENVIRONMENT: &str = "environment";
    pub const EVENT_NAME: &str = "event_name";
    pub const EVENTS: &str = "events";
    pub const HOST_NAME: &str = "host_name";
    pub const K8S_CONTAINER_NAME: &str = "k8s_container_name";
    pub const K8S_NAMESPACE_NAME: &str = "k8s_namespace_name";
    pub const K8S_POD_NAME: &str = "k8s_pod_name";
    pub const KIND: &str = "kind";
    pub const LABELS: &str = "labels";
    pub const LEVEL: &str = "level";
    pub const LINKS: &str = "links";
    pub const MANTISSA: &str = "mantissa";
    pub const METRIC: &str = "metric";
    pub const NAME: &str = "name";
    pub const OBSERVED_TIME: &str = "observed_time";
    pub const PARENT_SPAN_ID: &str = "parent_span_id";
    pub const RESOURCE_ATTRIBUTES: &str = "resource_attributes";
    pub const SCOPE_NAME: &str = "scope_name";
    pub const SERIES_ID: &str = "series_id";
    pub const SERVICE_NAME: &str = "service_name";
    pub const SEVERITY_NUMBER: &str = "severity_number";
    pub const SPAN_ID: &str = "span_id";
    pub const STATUS: &str = "status";
    pub const STATUS_MESSAGE: &str = "status_message";
    pub const STREAM_ID: &str = "stream_id";
    pub const TIME: &str = "time";
    pub const TRACE_ID: &str = "trace_id";
    pub const TYPE: &str = "type";
    pub const UNIT: &str = "unit";
    pub const VALUE: &str = "value";
}

/// A stored table. The numeric value is its DuckLake table id and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    Logs = 1,
    Spans = 2,
    Samples = 3,
    Series = 4,
}

static SCHEMAS: LazyLock<[SchemaRef; 4]> = LazyLock::new(|| {
    [
        define::logs(),
        define::spans(),
        define::samples(),
        define::series(),
    ]
    .map(|fields| Arc::new(Schema::new(fields)))
});

static PACKED_SAMPLES: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(define::packed_samples())));

impl Table {
    pub const ALL: [Self; 4] = [Self::Logs, Self::Spans, Self::Samples, Self::Series];

    /// The table's name in SQL, and the name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Samples => "samples",
            Self::Series => "series",
        }
    }

    /// The name in the catalog. What DuckDB finds as `logs` and `samples` are views, which put texts and values
    /// together.
    pub fn catalog_name(self) -> &'static str {
        match self {
            Self::Logs => "logs_packed",
            Self::Samples => "samples_packed",
            other => other.name(),
        }
    }

    /// The table with the given name in a catalog of this or of an earlier version.
    pub fn from_catalog_name(name: &str) -> Option<Self> {
        let named = |table: &Self| table.catalog_name() == name || table.name() == name;
        Self::ALL.into_iter().find(named)
    }

    /// The table with the given name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The table with the given id.
    pub fn from_id(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.id() == id)
    }

    /// The table's id in the catalog.
    pub fn id(self) -> i64 {
        i64::from(self as u8)
    }

    /// The fixed columns: the schema of every batch of this table in the head, and the beginning of every
    /// [`Layout`].
    pub fn schema(self) -> SchemaRef {
        let [logs, spans, samples, series] = &*SCHEMAS;
        Arc::clone(match self {
            Self::Logs => logs,
            Self::Spans => spans,
            Self::Samples => samples,
            Self::Series => series,
        })
    }

    /// The columns of a segment, but for promoted ones: the fixed columns and, of `samples`, two more. Made by
    /// [`shred`](crate::segment::shred).
    pub fn segment_schema(self) -> SchemaRef {
        match self {
            Self::Samples => Arc::clone(&PACKED_SAMPLES),
            other => other.schema(),
        }
    }

    /// The columns that rows of a segment are sorted by, all ascending.
    pub fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Logs => &[column::SERVICE_NAME, column::STREAM_ID, column::TIME],
            Self::Spans => &[column::SERVICE_NAME, column::NAME, column::TIME],
            Self::Samples => &[column::METRIC, column::SERIES_ID, column::TIME],
            Self::Series => &[column::METRIC, column::SERIES_ID],
        }
    }

    /// The columns whose minimum and maximum per file the catalog keeps. Not trace ids: they are random, so
    /// every file spans nearly all of them.
    pub fn stats_columns(self) -> &'static [&'static str] {
        match self {
            Self::Logs => &[
                column::DAY,
                column::TIME,
                column::SEVERITY_NUMBER,
                column::SERVICE_NAME,
                column::STREAM_ID,
            ],
            Self::Spans => &[
                column::DAY,
                column::TIME,
                column::DURATION_NS,
                column::SERVICE_NAME,
                column::NAME,
            ],
            Self::Samples => &[column::DAY, column::METRIC, column::SERIES_ID, column::TIME],
            Self::Series => &[column::DAY, column::METRIC, column::SERIES_ID],
        }
    }

    /// A builder whose array has exactly the type of the map column `name` of this table, or `None` when
    /// the table has no such map column.
    pub fn map_builder(self, name: &str) -> Option<MapBuilder<StringBuilder, StringBuilder>> {
        self.map_builder_in(name, StringBuilder::new(), StringBuilder::new())
    }

    /// As [`Table::map_builder`], from builders of keys and values.
    pub(crate) fn map_builder_in(
        self,
        name: &str,
        keys: StringBuilder,
        values: StringBuilder,
    ) -> Option<MapBuilder<StringBuilder, StringBuilder>> {
        let schema = self.schema();
        let (entries, key, value) = map_fields(schema.field_with_name(name).ok()?)?;
        let names = MapFieldNames {
            entry: entries.name().clone(),
            key: key.name().clone(),
            value: value.name().clone(),
        };
        Some(
            MapBuilder::new(Some(names), keys, values)
                .with_keys_field(Arc::clone(key))
                .with_values_field(Arc::clone(value)),
        )
    }
}

/// The DuckLake column id of a field, absent on the entries of a map.
pub fn column_id(field: &Field) -> Option<i64> {
    field
        .metadata()
        .get(PARQUET_FIELD_ID_META_KEY)?
        .parse()
        .ok()
}

/// The entries, key and value fields of a map column.
pub(crate) fn map_fields(field: &Field) -> Option<(&Arc<Field>, &Arc<Field>, &Arc<Field>)> {
    let DataType::Map(entries, _sorted) = field.data_type() else {
        return None;
    };
    let DataType::Struct(children) = entries.data_type() else {
        return None;
    };
    match children.as_ref() {
        [key, value] => Some((entries, key, value)),
        _ => None,
    }
}
