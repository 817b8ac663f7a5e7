//! The node agent: receivers -> buffer -> exporters.
//!
//! In: files, scrapes, the host's own figures and OTLP requests. Out: OTLP/gRPC requests to collectors.
//! Everything passes through one journal on disk: a batch exists for the agent once it is there, together
//! with the place its source resumes from, and leaves it when every exporter has delivered it.
//!
//! Invariants: no columns, no SQL and no per-record objects here (never arrow, parquet, datafusion or
//! SQLite); for every exporter and signal `received = delivered + held + dropped`, in records and bytes.

pub mod config;
pub mod formats;
pub mod metrics;
pub mod pipeline;
pub mod receivers;
