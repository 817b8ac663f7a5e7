//! End to end, against the real binaries: what a user sends, and what comes back by the public APIs.
//!
//! Each test starts the programs it needs as child processes on free ports with a data folder of its own.
//! Tests run one at a time ([`harness::turn`]), because several of them measure. What the machine lacks
//! (Node, Python with DuckDB, Chromium, promtool, Prometheus, the right to mount) is reported as `skipped: <test>: <reason>`,
//! and fails with `CI=true`.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail them by a panic"
)]

mod alert_rules;
mod bad_files;
mod bad_input;
mod browser;
mod crash_agent;
mod crash_collector;
mod differential;
mod duckdb;
mod full_disk;
mod harness;
mod operate;
mod plain_files;
mod prometheus_clients;
mod promtool;
mod services;
mod small_memory;
