//! Where telemetry leaves: each exporter reads the journal through its own cursor, so a dead one costs disk and
//! never holds up another.
//!
//! ```text
//! journal -> engine: read ahead, pack -> lane 0..3: send, retry, split -> engine: settle in order, commit
//!                                            |
//!                                            +-> dead letters: what the destination refuses for good
//! ```
//!
//! All kinds share the [`engine`]; a kind only packs and sends ([`sender`]). A record's lane is its sequence modulo
//! [`vervet_wire::LANES`]; a lane has one request under way and keeps order, and the [`limiter`] says how many lanes
//! may be under way at once. Records are settled in the journal's order, so the cursor is always behind a prefix of
//! settled records, and what was sent beyond it when the agent died is sent again and known as a repeat by the
//! collector. Per exporter at most [`engine::READ_AHEAD_BYTES`] of packed requests wait in memory.

mod credentials;
pub mod dead_letter;
mod debug;
mod describe;
mod engine;
mod file;
mod hints;
mod lane;
mod limiter;
mod metrics;
mod otlp_grpc;
mod otlp_http;
mod retry;
mod sender;
pub mod settings;
pub(crate) mod split;
mod standing;
pub(crate) mod tls;
mod trouble;
mod under_way;

pub(crate) use engine::{CURSOR_PREFIX, Exporter, ExporterParts, book_lost, cursor_name, let_go};
pub(crate) use lane::ALIVE_INTERVAL;
pub(crate) use metrics::ExporterMetrics;
pub use sender::OpenError;
pub(crate) use standing::Standings;
pub use standing::{ExporterStanding, ExporterState, LastError, LeftOut};

#[cfg(test)]
mod tests;
