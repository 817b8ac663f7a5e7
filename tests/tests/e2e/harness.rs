//! What the tests share: programs, requests, waiting.

mod agent;
mod collector;
mod duckdb;
mod logs;
mod otlp;
mod s3;
mod webhook;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::sync::{Mutex, MutexGuard};
use vervet_model::{Clock as _, SystemClock};

pub(crate) use agent::Agent;
pub(crate) use collector::{Api, Collector, CollectorOptions, Standalone};
pub(crate) use duckdb::DuckDb;
pub(crate) use logs::LogLine;
pub(crate) use otlp::{Record, attribute, log_request, span_request};
pub(crate) use s3::S3;
pub(crate) use vervet_tests::{Program, binary, say};
pub(crate) use webhook::Webhook;

/// How often a condition is looked at while it is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other test of this binary runs.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    // An error means that another test did it.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    TURN.lock().await
}

/// Looks at `probe` until it gives a value.
///
/// # Panics
/// When that takes longer than `limit`.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let value = within(limit, probe).await;
    value.unwrap_or_else(|| panic!("not within {limit:?}: {what}"))
}

/// Looks at `probe` until it gives a value or `limit` is over.
pub(crate) async fn within<T>(
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let started = Instant::now();
    loop {
        let value = probe().await;
        if value.is_some() || started.elapsed() > limit {
            return value;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Says that a test cannot run on this machine.
///
/// # Panics
/// With `CI=true`.
pub(crate) fn skip(test: &str, reason: &str) {
    say(&format!("skipped: {test}: {reason}"));
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{test} must not be skipped in CI: {reason}");
}

/// The time, in nanoseconds since the epoch.
pub(crate) fn now_nanos() -> i64 {
    SystemClock.now().0
}

/// An address on loopback that nobody listens on at the moment. Its port is none that the kernel gives to clients, who
/// would take it while its program is down.
pub(crate) fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    let free = (0..100).find_map(|_| {
        let address = (Ipv4Addr::LOCALHOST, rand::rng().random_range(PORTS));
        TcpListener::bind(address).ok()?.local_addr().ok()
    });
    free.expect("one of a hundred is free")
}

/// A path below the folder of the tests.
pub(crate) fn tests_dir(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A Python with the packages of `tests/python-service/requirements.txt`, or why there is none.
pub(crate) fn python(import: &str) -> Result<String, String> {
    let python = std::env::var("VERVET_DUCKDB_PYTHON")
        .map_err(|_unset| "VERVET_DUCKDB_PYTHON is not set".to_owned())?;
    let output = std::process::Command::new(&python)
        .args(["-c", &format!("import {import}")])
        .output()
        .map_err(|error| format!("{python}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!(
            "{python}: {}",
            stderr.lines().last().unwrap_or_default()
        ));
    }
    Ok(python)
}
