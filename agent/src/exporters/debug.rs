//! Shows what passes on stderr, for people who look for something.
//!
//! At most `records_per_second` lines a second; what is not shown is counted, and the next line says how many that
//! were. Everything counts as delivered.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};
use vervet_model::Signal;
use vervet_wire::otlp::count_records;
use vervet_wire::{Accepted, BODY_BYTES_MAX, compress::Packed};

use super::describe::for_each_detail;
use super::retry::{Failure, Reach, Verdict};
use super::settings::{DebugExporterConfig, Verbosity};
use crate::buffer::blocking;

/// Longest text shown of one record (bytes).
const TEXT_BYTES_MAX: usize = 4 << 10;

pub(super) struct DebugSender {
    config: DebugExporterConfig,
    lines: Arc<Mutex<Lines>>,
}

/// Counts the lines of the current second.
struct Lines {
    since: Instant,
    shown: u32,
    left_out: u64,
}

impl DebugSender {
    pub(super) fn new(config: DebugExporterConfig) -> Self {
        let lines = Lines {
            since: Instant::now(),
            shown: 0,
            left_out: 0,
        };
        Self {
            config,
            lines: Arc::new(Mutex::new(lines)),
        }
    }

    pub(super) async fn send(&self, signal: Signal, body: &Packed) -> Result<Accepted, Failure> {
        let (config, lines, body) = (self.config.clone(), Arc::clone(&self.lines), body.clone());
        blocking(move || {
            let body = body
                .unpack(BODY_BYTES_MAX)
                .map_err(|error| refused(&error))?;
            let mut out = String::new();
            lines
                .lock()
                .show(&config, Instant::now(), signal, &body, &mut out)?;
            // Whoever closed stderr wants to see nothing.
            let _closed = std::io::stderr().lock().write_all(out.as_bytes());
            Ok(Accepted::default())
        })
        .await
    }
}

impl Lines {
    fn show(
        &mut self,
        config: &DebugExporterConfig,
        now: Instant,
        signal: Signal,
        body: &[u8],
        out: &mut String,
    ) -> Result<(), Failure> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.shown = 0;
        }
        let max = config.records_per_second;
        match config.verbosity {
            Verbosity::Basic => {
                let records = count_records(signal, body).map_err(|error| refused(&error))?;
                let text = format!("{records} records, {} bytes", body.len());
                self.line(max, signal, &text, out);
            }
            Verbosity::Detailed => {
                for_each_detail(signal, body, |text| self.line(max, signal, text, out))
                    .map_err(|error| refused(&error))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, max: u32, signal: Signal, text: &str, out: &mut String) {
        if self.shown >= max {
            self.left_out += 1;
            return;
        }
        self.shown += 1;
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            out.push_str(&format!("debug: {left_out} lines not shown\n"));
        }
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        let (shown, rest) = text.split_at(end);
        let dots = if rest.is_empty() { "" } else { "..." };
        out.push_str(&format!("{signal}: {shown}{dots}\n"));
    }
}

pub(super) fn refused(error: &dyn std::fmt::Display) -> Failure {
    Failure {
        verdict: Verdict::Rejected,
        reach: Reach::Answered,
        status: "malformed".to_owned(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value, write_resource_logs};

    use super::*;

    fn request(texts: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |w| {
            for text in texts {
                w.push(&LogRecord {
                    body: Value::from(*text),
                    ..LogRecord::default()
                });
            }
        });
        body
    }

    #[test]
    fn a_detailed_line_tells_all_that_is_known_of_a_record() {
        let attribute = |key: &'static str, value: &'static str| KeyValue {
            key: key.into(),
            value: Value::from(value),
        };
        let resource = Resource {
            attributes: vec![attribute("service.name", "shop")],
        };
        let mut body = Vec::new();
        write_resource_logs(&mut body, &resource, &Scope::default(), |w| {
            w.push(&LogRecord {
                time_unix_nano: 1_500_000_000,
                severity_number: 17,
                body: Value::from("it failed"),
                attributes: vec![attribute("code", "7")],
                trace_id: &[1; 16],
                ..LogRecord::default()
            });
        });
        let mut shown = Vec::new();
        for_each_detail(Signal::Logs, &body, |line| shown.push(line.to_owned())).expect("valid");
        assert_eq!(
            shown,
            [
                "1970-01-01T00:00:01.5Z ERROR it failed {code=\"7\"} trace_id=01010101010101010101010101010101 resource={service.name=\"shop\"}"
            ]
        );
    }

    #[test]
    fn what_is_over_the_rate_is_counted_and_said() {
        let config = |verbosity| DebugExporterConfig {
            verbosity,
            records_per_second: 2,
        };
        let start = Instant::now();
        let mut lines = DebugSender::new(config(Verbosity::Basic)).lines;
        let lines = Arc::get_mut(&mut lines).expect("one").get_mut();
        lines.since = start;
        let mut show = |verbosity, millis, texts: &[&str]| {
            let mut out = String::new();
            let now = start + Duration::from_millis(millis);
            lines
                .show(
                    &config(verbosity),
                    now,
                    Signal::Logs,
                    &request(texts),
                    &mut out,
                )
                .expect("valid");
            out
        };
        let shown = show(Verbosity::Detailed, 0, &["a\nb", "c", "d", "e"]);
        assert_eq!(shown, "logs: a\\nb\nlogs: c\n");
        assert_eq!(show(Verbosity::Basic, 999, &["f"]), "");
        let shown = show(Verbosity::Basic, 1_000, &["g", "h"]);
        assert!(
            shown.starts_with("debug: 3 lines not shown\nlogs: 2 records, "),
            "{shown}"
        );
        let long = "ü".repeat(TEXT_BYTES_MAX);
        assert!(show(Verbosity::Detailed, 1_000, &[&long]).len() < TEXT_BYTES_MAX + 32);
    }
}
