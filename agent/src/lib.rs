//! The node agent: receivers -> buffer -> exporters.
//!
//! In: files, scrapes, the host's own figures and OTLP requests. Out: OTLP/gRPC requests to collectors.
//! Everything passes through one journal on disk: a batch exists for the agent once it is there, together
//! with the place its source resumes from, and leaves it when every exporter has delivered it.
//!
//! Invariants: no columns, no SQL and no per-record objects here (never arrow, parquet, datafusion or
//! SQLite); for every exporter and signal `received = delivered + held + dropped`, in records and bytes.

mod admin;
mod agent;
mod agent_id;
pub mod allocator;
mod books;
pub mod budget;
mod buffer;
pub mod cli;
pub mod config;
pub mod explain;
pub mod exporters;
pub mod figures;
pub mod formats;
mod health;
pub mod http;
pub mod kubernetes;
pub mod metrics;
pub mod pipeline;
pub mod printable;
pub mod processors;
pub mod receivers;
mod reloads;
mod resource;
mod stops;
pub mod tap;
pub mod telemetry;

pub use admin::{ExporterStatus, Status};
pub use agent::{
    Agent, AgentOptions, Changes, Diff, ReloadError, RunningAgent, StartError, Stopped,
};
pub use books::{BookLine, PipelineLine, ReceiverLine};
pub use buffer::{Amount, Totals};
pub use config::AgentConfig;
pub use exporters::{ExporterState, LastError, LeftOut, OpenError};
pub use health::STUCK_AFTER;
pub use reloads::ReloadStatus;
pub use stops::{LostAtStops, LostLine};
