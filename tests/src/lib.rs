//! What the tests of the whole share: child processes ([`process`]), a network that misbehaves on demand
//! ([`proxy`]), a small volume ([`Tmpfs`]) and the agent's books ([`books`]).
//!
//! The tests themselves are `tests/oracle` (nothing is lost, whatever happens to files, agent and network),
//! `tests/e2e` (the real binaries by their public APIs), `tests/tidy` (house rules) and `browser` (the web app).

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail them by a panic"
)]

pub mod books;
pub mod process;
pub mod proxy;
mod tmpfs;

pub use process::{Program, binary};
pub use tmpfs::Tmpfs;

use std::io::Write as _;

/// Prints a line past the capture of the test runner.
pub fn say(line: &str) {
    let _closed = writeln!(std::io::stderr(), "{line}");
}
