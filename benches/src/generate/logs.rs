//! Logs of web services: one line of JSON as the pino library writes it, or an OTLP log record.
//!
//! A line has 12 fields and about 380 bytes. Trace ids are random, times grow, numbers span five orders of
//! magnitude, and of a hundred records 93 are informational, 5 are warnings and 2 are errors.

use std::io::Write as _;

use vervet_wire::otlp::{KeyValue, LogRecord, Scope, Value, write_resource_logs};

use super::{Pod, Random, START_UNIX_NANO, pods, resource};

/// Groups of records in a request, each of another pod, as an agent batches them.
const PODS_PER_REQUEST: usize = 4;
/// From the last line of a group to its being read.
const READ_DELAY_NANO: u64 = 1_000_000;

const LEVELS: [Level; 3] = [
    Level {
        pino: 30,
        severity_number: 9,
        text: "info",
    },
    Level {
        pino: 40,
        severity_number: 13,
        text: "warn",
    },
    Level {
        pino: 50,
        severity_number: 17,
        text: "error",
    },
];
const METHODS: [&str; 6] = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const ROUTES: [&str; 10] = [
    "/api/v2/orders",
    "/api/v2/customers",
    "/api/v2/products",
    "/api/v2/baskets",
    "/api/v2/payments",
    "/api/v2/shipments",
    "/api/v2/reviews",
    "/api/v2/recommendations",
    "/internal/cache/entries",
    "/internal/sessions",
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pino: u64,
    severity_number: i32,
    pub(super) text: &'static str,
}

/// One thing that a service wrote down.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) time_unix_nano: u64,
    pub(super) level: Level,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) status: i64,
    pub(super) duration_us: u64,
    pub(super) message: String,
}

/// Writes log lines and requests without end.
#[derive(Debug, Clone)]
pub struct Logs {
    random: Random,
    now_unix_nano: u64,
    /// Nanoseconds between records, besides the random ones.
    pace: u64,
    pods: Vec<Pod>,
    next_pod: usize,
}

impl Logs {
    pub fn new(seed: u64) -> Self {
        Self::spread(seed, 0)
    }

    /// Records that lie further apart, by this many nanoseconds.
    pub fn spread(seed: u64, pace: u64) -> Self {
        let mut random = Random::new(seed);
        let pods = pods(&mut random);
        Self {
            random,
            now_unix_nano: START_UNIX_NANO,
            pace,
            pods,
            next_pod: 0,
        }
    }

    /// Appends one line of the first pod's log, the line feed included.
    pub fn write_line(&mut self, out: &mut Vec<u8>) {
        let event = self.event();
        write_line(&event, self.pod(), out);
    }

    /// An export request with `records` log records of four pods.
    pub fn request(&mut self, records: usize) -> Vec<u8> {
        self.request_and_lines(records, &mut Vec::new())
    }

    /// The same, and the same records as lines.
    pub fn request_and_lines(&mut self, records: usize, lines: &mut Vec<u8>) -> Vec<u8> {
        let mut out = Vec::with_capacity(records * 512);
        for group in 0..PODS_PER_REQUEST {
            let share =
                records / PODS_PER_REQUEST + usize::from(group < records % PODS_PER_REQUEST);
            let events: Vec<Event> = (0..share).map(|_| self.event()).collect();
            let pod = &self.pods[self.next_pod];
            self.next_pod = (self.next_pod + 1) % self.pods.len();
            for event in &events {
                write_line(event, pod, lines);
            }
            let read_unix_nano = self.now_unix_nano + READ_DELAY_NANO;
            let scope = Scope {
                name: "pino".into(),
                ..Scope::default()
            };
            write_resource_logs(&mut out, &resource(pod), &scope, |writer| {
                for event in &events {
                    writer.push(&record(event, pod, read_unix_nano));
                }
            });
        }
        out
    }

    /// The pod that lines are of.
    pub(super) fn pod(&self) -> &Pod {
        &self.pods[0]
    }

    pub(super) fn event(&mut self) -> Event {
        let random = &mut self.random;
        self.now_unix_nano += self.pace + random.skewed(22);
        let level = match random.below(100) {
            0..93 => LEVELS[0],
            93..98 => LEVELS[1],
            _ => LEVELS[2],
        };
        let status = match level.pino {
            30 => random.pick(&[200, 200, 200, 201, 204, 304]),
            40 => random.pick(&[400, 401, 404, 409, 429]),
            _ => random.pick(&[500, 502, 503, 504]),
        };
        let path = format!(
            "{}/{}?expand=items&page={}",
            random.pick(&ROUTES),
            10_000_000 + random.below(90_000_000),
            random.skewed(10)
        );
        Event {
            time_unix_nano: self.now_unix_nano,
            level,
            trace_id: random.trace_id(),
            span_id: random.span_id(),
            method: random.pick(&METHODS),
            path,
            status,
            duration_us: random.skewed(23),
            message: message(random, level),
        }
    }
}

/// A line as the pino library writes it.
fn write_line(event: &Event, pod: &Pod, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        out,
        r#"{{"level":{},"time":{},"pid":{},"hostname":"{}","service":"{}","trace_id":"{:032x}","span_id":"{:016x}","method":"{}","path":"{}","status":{},"duration_ms":{}.{:03},"msg":"{}"}}"#,
        event.level.pino,
        event.time_unix_nano / 1_000_000,
        pod.pid,
        pod.name,
        pod.service,
        u128::from_be_bytes(event.trace_id),
        u64::from_be_bytes(event.span_id),
        event.method,
        event.path,
        event.status,
        event.duration_us / 1000,
        event.duration_us % 1000,
        event.message,
    );
}

fn message(random: &mut Random, level: Level) -> String {
    let (id, count) = (random.bits() >> 24, random.skewed(14));
    match (level.pino, random.below(4)) {
        (30, 0) => format!(
            "order {id:010x} accepted for customer {count}, waiting for the payment provider to confirm"
        ),
        (30, 1) => {
            format!(
                "cache miss for key product:{id:010x}, loaded {count} rows from the primary in one batch"
            )
        }
        (30, 2) => format!(
            "request completed, session {id:010x} sent {count} bytes to the client and stays open"
        ),
        (30, _) => format!(
            "published event {id:010x} to topic order-events partition {}, waiting for two replicas",
            count % 48
        ),
        (40, 0 | 1) => {
            format!("slow query {id:010x} took longer than expected and read {count} rows")
        }
        (40, _) => format!(
            "retrying call to the payment provider, reference {id:010x}, attempt {}",
            count % 5
        ),
        (_, 0 | 1) => {
            format!("upstream closed the connection of request {id:010x} after {count} bytes")
        }
        (_, _) => format!("could not reserve stock for order {id:010x}: {count} items are missing"),
    }
}

/// A record as an agent sends it that reads many lines at once.
fn record<'e>(event: &'e Event, pod: &'e Pod, read_unix_nano: u64) -> LogRecord<'e> {
    LogRecord {
        time_unix_nano: event.time_unix_nano,
        observed_time_unix_nano: read_unix_nano,
        severity_number: event.level.severity_number,
        severity_text: event.level.text.into(),
        body: Value::from(event.message.as_str()),
        attributes: vec![
            KeyValue::new("process.pid", i64::try_from(pod.pid).unwrap_or(0)),
            KeyValue::new("http.request.method", event.method),
            KeyValue::new("url.path", event.path.as_str()),
            KeyValue::new("http.response.status_code", event.status),
            KeyValue::new("duration_ms", event.duration_us as f64 / 1000.0),
        ],
        trace_id: &event.trace_id,
        span_id: &event.span_id,
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use vervet_model::Signal;
    use vervet_wire::otlp::count_records;

    use super::*;

    #[test]
    fn lines_have_twelve_fields_and_the_size_of_real_ones() {
        let mut logs = Logs::new(1);
        let mut out = Vec::new();
        (0..5_000).for_each(|_| logs.write_line(&mut out));
        let text = String::from_utf8(out).expect("UTF-8");
        for line in text.lines() {
            let fields: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(fields.as_object().expect("an object").len(), 12, "{line}");
        }
        let mean = text.len() / 5_000;
        assert!((360..=400).contains(&mean), "{mean} bytes a line");
    }

    #[test]
    fn requests_hold_what_was_asked_for_and_repeat_from_the_seed() {
        let body = Logs::new(3).request(1_001);
        assert_eq!(count_records(Signal::Logs, &body), Ok(1_001));
        assert_eq!(body, Logs::new(3).request(1_001));
        assert_ne!(body, Logs::new(4).request(1_001));
    }
}
