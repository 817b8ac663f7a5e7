//! Answers to queries, each over one cut of the store: the files of a snapshot and the rows of the head.
//!
//! Typed requests for logs and spans read segments themselves ([`search`]), samples for PromQL too: their
//! access paths are known beforehand. SQL runs as DataFusion plans on threads of its own ([`executor`]), a
//! bounded number at a time, each with a memory budget and a deadline.

#[cfg(feature = "sql")]
mod admission;
pub mod damaged;
#[cfg(feature = "sql")]
mod executor;
pub mod filter;
pub mod logs;
#[cfg(feature = "sql")]
mod memory;
mod request;
pub mod samples;
#[cfg(feature = "sql")]
mod scan;
pub mod search;
pub mod services;
#[cfg(feature = "sql")]
mod session;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(test)]
mod tests;
pub mod traces;
#[cfg(feature = "sql")]
mod whole_attributes;

#[cfg(feature = "sql")]
pub use admission::LaneStats;
#[cfg(feature = "sql")]
pub use executor::QueryStats;
#[cfg(feature = "sql")]
pub(crate) use executor::{Executor, ExecutorConfig};
pub(crate) use search::Searcher;
