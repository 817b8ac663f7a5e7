//! Answers to queries, each over one cut of the store: the files of a snapshot and the rows of the head.
//!
//! Typed requests for logs and spans read segments themselves ([`search`]), samples for PromQL too: their
//! access paths are known beforehand. SQL runs as DataFusion plans on threads of its own ([`executor`]), with a
//! memory budget and a deadline.

mod executor;
pub mod filter;
pub mod logs;
mod request;
pub mod samples;
#[cfg(feature = "sql")]
mod scan;
pub mod search;
pub mod services;
#[cfg(feature = "sql")]
mod session;
#[cfg(feature = "sql")]
mod sql;
#[cfg(test)]
mod tests;
pub mod traces;
#[cfg(feature = "sql")]
mod whole_attributes;

pub(crate) use executor::Executor;
pub(crate) use search::Searcher;
