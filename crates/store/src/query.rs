//! Answers to queries, each over one cut of the store: the files of a snapshot and the rows of the head.
//!
//! Searches and SQL run as DataFusion plans on threads of their own ([`executor`]), each with a memory
//! budget and a deadline. Samples for PromQL are read directly: their access path is always the same.

mod executor;
mod filters;
pub mod logs;
mod metadata;
pub mod samples;
mod scan;
pub mod services;
mod session;
mod sql;
#[cfg(test)]
mod tests;
pub mod traces;
mod whole_attributes;

pub(crate) use executor::Executor;
