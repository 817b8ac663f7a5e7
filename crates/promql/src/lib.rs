//! A PromQL engine over a [`Queryable`] store.
//!
//! In: a query text, a moment or a time range, and a store that answers selectors. Out: a [`QueryOutput`]
//! with Prometheus 3 semantics, or a [`QueryError`] that says whose fault it is. The engine does no I/O of
//! its own; it evaluates on the calling thread, or beside it when a query nests deeply. It keeps answers to range
//! queries as long as the store can tell which part of them still holds.
//!
//! The language is that of Prometheus 3 with native histograms. What Prometheus has behind flags is behind
//! [`Features`] here. The metric name is removed at the end of a query, not by each function.
//!
//! Invariants: each selector of a query reads the store once, for the whole time range; what the engine
//! does not support is an error, never a wrong answer. Limits are in [`EngineOptions`].

mod engine;
mod error;
mod eval;
mod features;
mod format;
mod functions;
mod histogram;
mod kept;
mod math;
mod native;
mod newest;
pub mod notation;
mod queryable;
mod series_store;
mod stack;
mod syntax;
mod tree;
mod value;

pub use engine::{Engine, EngineOptions, QueryOptions};
pub use error::{ErrorType, MemoryError, Position, QueryError};
pub use eval::Charge;
pub use features::Features;
pub use format::{ValueText, format_message, is_identifier};
pub use kept::KeptStats;
pub use native::{
    CUSTOM_SCHEMA, HistogramSample, HistogramSeries, Incompatible, NativeHistogram, ResetHint,
};
pub use queryable::{
    Mark, Queryable, QueryableError, STALE_NAN, Sample, SelectLimits, SelectRequest, Series,
    StartSeries, StartTime, is_stale,
};
pub use series_store::{Appended, SeriesStore};
pub use syntax::{QUERY_DEPTH_MAX, QUERY_TOKENS_MAX, parse_selector};
pub use tree::{format_query, parse_query};
pub use value::{InstantSample, QueryOutput, Value};
