//! The agent's books as its admin listener shows them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const STATUS_PATH: &str = "/api/vervet/v1/status";
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Records and the bytes of their OTLP form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    pub records: u64,
    pub bytes: u64,
}

/// What one exporter was given of one signal, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookLine {
    pub exporter: String,
    pub signal: String,
    pub received: Amount,
    pub delivered: Amount,
    pub held: Amount,
    pub dropped: BTreeMap<String, Amount>,
}

/// The admin listener's address in the line with which an agent says that it has started.
pub fn admin_address(line: &str) -> Option<SocketAddr> {
    if !line.contains("agent started") {
        return None;
    }
    let (_, after) = line.split_once("admin")?;
    let (_, after) = after.split_once("127.0.0.1:")?;
    let port: String = after.chars().take_while(char::is_ascii_digit).collect();
    format!("127.0.0.1:{port}").parse().ok()
}

/// `/api/vervet/v1/status` of the agent whose admin listener is at `admin`.
///
/// # Errors
/// It does not answer with JSON.
pub fn status(admin: SocketAddr) -> Result<Value, String> {
    let body = get(admin, STATUS_PATH).map_err(|error| format!("{admin}: {error}"))?;
    serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
}

/// The body of a GET request, by HTTP/1.0 so that it ends with the connection.
///
/// # Errors
/// The connection fails or ends early.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((_head, body)) => Ok(body.to_owned()),
        None => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The lines of the books in a status.
///
/// # Panics
/// When the status has no books or they are not of the known shape.
pub fn lines(status: &Value) -> Vec<BookLine> {
    let amount = |value: &Value| Amount {
        records: value["records"].as_u64().unwrap(),
        bytes: value["bytes"].as_u64().unwrap(),
    };
    let line = |line: &Value| BookLine {
        exporter: line["exporter"].as_str().unwrap().to_owned(),
        signal: line["signal"].as_str().unwrap().to_owned(),
        received: amount(&line["received"]),
        delivered: amount(&line["delivered"]),
        held: amount(&line["held"]),
        dropped: line["dropped"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(reason, value)| (reason.clone(), amount(value)))
            .collect(),
    };
    let books = status["books"].as_array().unwrap();
    books.iter().map(line).collect()
}

impl BookLine {
    /// All that was dropped, whatever the reason.
    pub fn dropped_total(&self) -> Amount {
        let mut total = Amount::default();
        for amount in self.dropped.values() {
            total.records += amount.records;
            total.bytes += amount.bytes;
        }
        total
    }

    /// Whether `received = delivered + held + dropped`, in records and bytes.
    pub fn balances(&self) -> bool {
        let dropped = self.dropped_total();
        let sum = Amount {
            records: self.delivered.records + self.held.records + dropped.records,
            bytes: self.delivered.bytes + self.held.bytes + dropped.bytes,
        };
        sum == self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_balances_only_when_nothing_is_missing_in_records_or_bytes() {
        let amount =
            |records: u64, bytes: u64| serde_json::json!({"records": records, "bytes": bytes});
        let balances = |received: Value| {
            let status = serde_json::json!({"books": [{
                "exporter": "main", "signal": "logs", "received": received,
                "delivered": amount(5, 50), "held": amount(2, 20),
                "dropped": {"a": amount(1, 10), "b": amount(2, 5)},
            }]});
            lines(&status)[0].balances()
        };
        assert!(balances(amount(10, 85)));
        assert!(!balances(amount(10, 84)));
        assert!(!balances(amount(11, 85)));
    }
}
