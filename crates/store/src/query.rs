//! Answers to queries, each over one cut of the store: the files of a snapshot and the rows of the head.

pub mod logs;
pub mod samples;
pub mod services;
pub mod traces;

mod sql;
