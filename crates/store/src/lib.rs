//! Where telemetry is kept and found again: recent rows in memory, older ones in Parquet segments under a
//! DuckLake catalog.
//!
//! In: export requests, decoded in parallel by [`decode`] and applied in journal order by
//! [`Store::apply`]; [`Store::flush`] moves the head into segments. Out: log rows, traces, samples and SQL
//! results.
//!
//! Invariants: a query sees one cut, so an applied row is in its answer exactly once, be it in the head or
//! in a segment. Segments, journal position and agent sequences are committed together, so that a journal
//! replayed after a crash stores every row once. A flush that fails loses nothing and is tried again.
//!
//! Limits: see [`StoreConfig`] and [`DecodeOptions`].

pub mod backup;
pub mod catalog;
mod columns;
mod commit;
pub mod error;
#[cfg(test)]
mod fixtures;
pub mod flush;
mod head;
pub mod ingest;
pub mod maintain;
pub mod query;
pub mod segment;
mod store;
pub mod tables;
pub mod verify;

pub use error::StoreError;
pub use flush::{FlushReport, PromoteConfig, PromoteKey};
pub use ingest::{DecodeOptions, Decoded, Format, decode};
pub use maintain::{Cancel, UpkeepConfig};
pub use query::damaged::DamagedSegment;
pub use query::filter::{Comparison, Field, Filter, Test};
pub use query::logs::{
    Direction, GroupBy, LineFilter, LineFilterOp, LogCount, LogCountSeries, LogMeasure, LogQuery,
    LogRequest, LogRow,
};
pub use query::samples::{SampleLimits, SeriesSamples};
pub use query::search::Answer;
pub use query::search::aggregate::{Aggregate, AggregateCell, AggregateGroup, NumberField};
pub use query::search::page_cache::PageCacheStats;
pub use query::search::sketch::NumberSummary;
pub use query::services::{ServiceStats, SparkPoint};
#[cfg(feature = "sql")]
pub use query::sql::{SqlEncoder, SqlFormat, SqlLimits, SqlRows};
pub use query::traces::{ServiceSpans, SpanBrief, SpanRequest, SpanRow, TraceQuery, TraceSummary};
#[cfg(feature = "sql")]
pub use query::{LaneStats, QueryStats};
pub use segment::Checksum;
pub use store::{Applied, AppliedSource, Store, StoreConfig, StoreStats, TableStats};
