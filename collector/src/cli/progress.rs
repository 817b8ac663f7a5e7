//! How far a long command is: a bar on a terminal, a line every ten seconds elsewhere, both on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::human;

const BAR_CELLS: u64 = 30;
const BAR_INTERVAL: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shared by the threads that do the work.
pub(crate) struct Meter {
    what: &'static str,
    is_terminal: bool,
    quiet: bool,
    state: Mutex<State>,
}

struct State {
    started: Instant,
    shown: Instant,
    bytes: u64,
    bytes_done: u64,
    files: usize,
    files_done: usize,
    is_bar_shown: bool,
}

impl Meter {
    /// Shows nothing when `quiet`.
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            what,
            is_terminal: io::stderr().is_terminal(),
            quiet,
            state: Mutex::new(State {
                started: now,
                shown: now,
                bytes: 0,
                bytes_done: 0,
                files: 0,
                files_done: 0,
                is_bar_shown: false,
            }),
        }
    }

    /// The work to do.
    pub(crate) fn begin(&self, bytes: u64, files: usize) {
        let mut state = self.state.lock();
        (state.bytes, state.files) = (bytes, files);
        (state.bytes_done, state.files_done) = (0, 0);
    }

    /// Work that was done.
    pub(crate) fn advance(&self, bytes: u64, files: usize) {
        let mut state = self.state.lock();
        state.bytes_done += bytes;
        state.files_done += files;
        let interval = match self.is_terminal {
            true => BAR_INTERVAL,
            false => LINE_INTERVAL,
        };
        if !self.quiet && state.shown.elapsed() >= interval {
            state.shown = Instant::now();
            self.show(&mut state);
        }
    }

    /// Takes the bar away, so that a line can be written.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_bar_shown) {
            let _closed = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    fn show(&self, state: &mut State) {
        let text = line(self.what, state, state.started.elapsed());
        let _closed = match self.is_terminal {
            true => {
                state.is_bar_shown = true;
                let bar = bar(state.bytes_done, state.bytes);
                write!(io::stderr(), "\r\u{1b}[K{bar} {text}")
            }
            false => writeln!(io::stderr(), "{text}"),
        };
    }
}

fn bar(done: u64, all: u64) -> String {
    let filled = (done.saturating_mul(BAR_CELLS))
        .checked_div(all)
        .unwrap_or(0)
        .min(BAR_CELLS);
    let cells = |cell: &str, count: u64| cell.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}]", cells("#", filled), cells(".", BAR_CELLS - filled))
}

fn line(what: &str, state: &State, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let rate = state.bytes_done.saturating_mul(1000) / millis;
    let left = state.bytes.saturating_sub(state.bytes_done);
    let left = left.checked_div(rate).map_or(String::new(), |left| {
        format!(", {} left", human::seconds(left))
    });
    format!(
        "{what}: {} of {}, {} of {} files, {}/s{left}",
        human::bytes(state.bytes_done.min(state.bytes)),
        human::bytes(state.bytes),
        state.files_done,
        state.files,
        human::bytes(rate),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let meter = Meter::new("verify", true);
        meter.begin(30 << 20, 3);
        meter.advance(10 << 20, 1);
        let state = meter.state.lock();
        assert_eq!(
            line("verify", &state, Duration::from_secs(5)),
            "verify: 10.0 MiB of 30.0 MiB, 1 of 3 files, 2.0 MiB/s, 10s left"
        );
        assert_eq!(bar(1, 3), "[##########....................]");
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(30)));
    }
}
