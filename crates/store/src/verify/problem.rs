//! What can be wrong, and what it costs.

use std::error::Error;

use vervet_model::UnixNanos;

use crate::catalog::{RecordedFile, RecordedStats, StatValue};
use crate::segment::Checksum;
use crate::tables::{column, column_id};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// A file, or `catalog`.
    pub place: String,
    pub problem: Problem,
    pub cost: Cost,
}

impl Defect {
    /// A defect of the catalog as a whole; what it costs is not known.
    pub(super) fn catalog(complaint: String) -> Self {
        Self {
            place: crate::catalog::CATALOG_FILE.to_owned(),
            problem: Problem::Catalog(complaint),
            cost: Cost::default(),
        }
    }
}

/// What is lost with a file, as the catalog has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Empty when no table is concerned.
    pub table: String,
    pub rows: u64,
    /// The earliest and the latest time of the rows.
    pub time_range: Option<(UnixNanos, UnixNanos)>,
    /// Whether queries of today miss the rows; else only readers of older snapshots do.
    pub is_live: bool,
}

impl Cost {
    pub(super) fn of(file: &RecordedFile, stats: &[RecordedStats]) -> Self {
        Self {
            table: file.table.clone(),
            rows: u64::try_from(file.rows).unwrap_or(0),
            time_range: time_range(file, stats),
            is_live: file.is_live,
        }
    }
}

fn time_range(file: &RecordedFile, stats: &[RecordedStats]) -> Option<(UnixNanos, UnixNanos)> {
    let schema = file.known_table()?.schema();
    let id = column_id(schema.field_with_name(column::TIME).ok()?)?;
    let stats = stats.iter().find(|stats| stats.column_id == id)?;
    let time =
        |text: &Option<String>| match StatValue::Time(UnixNanos(0)).parse_like(text.as_ref()?)? {
            StatValue::Time(time) => Some(time),
            _ => None,
        };
    Some((time(&stats.min)?, time(&stats.max)?))
}

/// What is wrong with a file or with the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the file is missing")]
    Missing,
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    #[error("the file has {found} bytes instead of {expected}")]
    Length { expected: i64, found: u64 },
    #[error("the file does not begin and end as a Parquet file does")]
    Magic,
    #[error("the file's checksum is {found} instead of {expected}")]
    Checksum { expected: Checksum, found: Checksum },
    #[error("the metadata has {found} bytes instead of {expected}")]
    FooterLength { expected: i64, found: u32 },
    #[error("the metadata cannot be used: {0}")]
    Metadata(String),
    #[error("the column {column} is not as the table says: {reason}")]
    Column {
        column: String,
        reason: &'static str,
    },
    #[error("row group {row_group} cannot be decoded: {reason}")]
    Decode { row_group: usize, reason: String },
    #[error("the file has {found} rows instead of {expected}")]
    Rows { expected: i64, found: u64 },
    #[error("a row of row group {row_group} belongs to another day than {expected:?}")]
    Day {
        row_group: usize,
        expected: Option<i32>,
    },
    #[error("the rows of row group {row_group} are not in the order of the table")]
    Order { row_group: usize },
    #[error("{holder} claims for column {column} what the rows do not keep: {claim}")]
    Statistics {
        /// The catalog or the file.
        holder: &'static str,
        column: String,
        claim: String,
    },
    #[error("the index of the file is damaged: {0}")]
    Index(String),
    #[error("{0}")]
    Catalog(String),
}

impl Problem {
    pub(super) fn means_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// A word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::Length { .. } => "length",
            Self::Magic => "magic",
            Self::Checksum { .. } => "checksum",
            Self::FooterLength { .. } => "footer_length",
            Self::Metadata(_) => "metadata",
            Self::Column { .. } => "column",
            Self::Decode { .. } => "decode",
            Self::Rows { .. } => "rows",
            Self::Day { .. } => "day",
            Self::Order { .. } => "order",
            Self::Statistics { .. } => "statistics",
            Self::Index(_) => "index",
            Self::Catalog(_) => "catalog",
        }
    }
}

/// An error and what caused it, on one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', " ")
}
