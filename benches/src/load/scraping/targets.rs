//! The targets: a port and a thread for each, and one for each of their connections.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::load::http::read_fields;

pub(super) const TARGETS: usize = 100;
pub(super) const SERIES: usize = 1_000;

/// 500 series of counters, 350 of histograms, 150 gauges.
const COUNTERS: usize = 20;
const COUNTER_SERIES: usize = 25;
const HISTOGRAM_SERIES: usize = 25;
const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];
const GAUGES: usize = SERIES - COUNTERS * COUNTER_SERIES - HISTOGRAM_SERIES * (BOUNDS.len() + 2);

pub(super) struct Targets {
    targets: Vec<SocketAddr>,
    sink: SocketAddr,
}

impl Targets {
    /// Serves until the process ends.
    pub(super) fn start() -> anyhow::Result<Self> {
        let targets = (0..TARGETS).map(|_target| listen());
        Ok(Self {
            targets: targets.collect::<Result<_, _>>()?,
            sink: listen()?,
        })
    }

    /// All addresses, as YAML.
    pub(super) fn list(&self) -> String {
        let addresses = self.targets.iter().map(|at| format!("\"{at}\""));
        format!("[{}]", addresses.collect::<Vec<_>>().join(", "))
    }

    /// Where remote write is taken and thrown away.
    pub(super) fn sink(&self) -> SocketAddr {
        self.sink
    }
}

fn listen() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let scrapes = Arc::new(AtomicU64::new(1));
        for stream in listener.incoming().flatten() {
            let scrapes = Arc::clone(&scrapes);
            // A connection that breaks off is its client's.
            std::thread::spawn(move || serve(stream, &scrapes));
        }
    });
    Ok(address)
}

/// Requests of one connection. Bodies that are sent are thrown away.
fn serve(stream: TcpStream, scrapes: &AtomicU64) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_scrape = line.starts_with("GET ");
        let length = read_fields(&mut connection)? as u64;
        std::io::copy(&mut connection.by_ref().take(length), &mut std::io::sink())?;
        let answer = match is_scrape {
            true => {
                let body = body(scrapes.fetch_add(1, Ordering::Relaxed));
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            false => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        };
        connection.get_mut().write_all(answer.as_bytes())?;
    }
}

/// What a target says at its `scrape`th time.
fn body(scrape: u64) -> String {
    let mut out = String::with_capacity(128 << 10);
    // Writing to a String cannot fail.
    let _ = write(&mut out, scrape);
    out
}

fn write(out: &mut String, scrape: u64) -> std::fmt::Result {
    for family in 0..COUNTERS {
        let name = format!("http_requests_of_kind_{family}_total");
        writeln!(
            out,
            "# HELP {name} Requests of the kind.\n# TYPE {name} counter"
        )?;
        for series in 0..COUNTER_SERIES {
            let (method, code) = (["GET", "POST", "PUT"][series % 3], 200 + series % 5);
            let value = scrape * (1 + series as u64);
            writeln!(
                out,
                "{name}{{method=\"{method}\",code=\"{code}\",handler=\"/api/v1/orders/{series}\",tenant=\"shop\"}} {value}"
            )?;
        }
    }
    let name = "request_duration_seconds";
    writeln!(
        out,
        "# HELP {name} How long requests took.\n# TYPE {name} histogram"
    )?;
    for series in 0..HISTOGRAM_SERIES {
        let labels = format!("handler=\"/api/v1/orders/{series}\",method=\"GET\"");
        let mut count = 0;
        for (at, bound) in BOUNDS.iter().enumerate() {
            count += scrape * (at as u64 + 1);
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        let sum = count as f64 * 0.137;
        writeln!(
            out,
            "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}"
        )?;
    }
    writeln!(
        out,
        "# HELP queue_depth Waiting jobs.\n# TYPE queue_depth gauge"
    )?;
    for series in 0..GAUGES {
        let value = (scrape * 31 + series as u64 * 17) % 1_000;
        writeln!(
            out,
            "queue_depth{{queue=\"queue-{series}\",tenant=\"shop\"}} {value}.5"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_as_many_series_as_is_said() {
        let body = body(3);
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(samples.count(), SERIES);
        assert!(body.contains("_count{handler=\"/api/v1/orders/0\",method=\"GET\"} 234\n"));
    }
}
