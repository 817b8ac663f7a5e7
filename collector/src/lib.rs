//! The collector: receivers -> journal -> store <- queries; rules -> notifications.
//!
//! In: OTLP from agents and SDKs. Out: the Prometheus, Loki and Tempo query APIs, error groups, alerts and
//! the web app. [`Collector::start`] opens what is on disk, replays the journal, and only then listens.
//!
//! Invariants: an accepted request is in the journal, synced; a stored row is in head or segment, never in
//! both; at shutdown the head is flushed, so that nothing needs to be replayed.

mod api;
mod backup;
pub mod cli;
pub mod config;
mod derive;
mod derived;
mod flusher;
mod health;
mod ingest;
mod listen;
mod logql;
mod metrics;
mod parallel;
mod query;
mod rules;
pub mod standalone;
mod start;
mod time;
mod upkeep;
mod verify;

pub use config::CollectorConfig;
pub use rules::check_rules;
pub use start::{Addresses, Collector};
