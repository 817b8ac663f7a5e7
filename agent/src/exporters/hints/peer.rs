//! Asks a destination that answers nothing what it speaks: with the first bytes of an HTTP/2 connection of its own,
//! to which a server of HTTP/1.1 answers in text, and one behind TLS with an alert.
//!
//! Only over plain `http`, before anything was answered, at most once in [`ASKED_AGAIN_AFTER`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{SPEAKS_HTTP, SPEAKS_TLS};

const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(1);
/// The preface of a client and its empty SETTINGS (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const HTTP_1: &[u8] = b"HTTP/";
/// Of an alert in a TLS record, whatever the version.
const TLS_ALERT: &[u8] = &[0x15, 0x03];

pub(in crate::exporters) struct Peer {
    /// Host and port, of an endpoint without TLS.
    address: Option<(String, u16)>,
    was_answered: AtomicBool,
    last: Mutex<Option<(Instant, Option<&'static str>)>>,
}

impl Peer {
    pub(in crate::exporters) fn of(endpoint: &str) -> Self {
        let uri: Option<Uri> = endpoint.parse().ok();
        let uri = uri.filter(|uri| uri.scheme_str() == Some("http"));
        let address = uri.and_then(|uri| {
            let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
            Some((host.to_owned(), uri.port_u16().unwrap_or(80)))
        });
        Self {
            address,
            was_answered: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    /// It speaks what it is asked in.
    pub(in crate::exporters) fn answered(&self) {
        self.was_answered.store(true, Ordering::Relaxed);
    }

    pub(in crate::exporters) fn was_answered(&self) -> bool {
        self.was_answered.load(Ordering::Relaxed)
    }

    /// What it speaks instead, if that can be told.
    pub(in crate::exporters) async fn hint(&self) -> Option<&'static str> {
        let address = self.address.as_ref()?;
        if self.was_answered() {
            return None;
        }
        let last = *self.last.lock();
        if let Some((_, hint)) = last.filter(|(at, _)| at.elapsed() < ASKED_AGAIN_AFTER) {
            return hint;
        }
        let asked = timeout(PATIENCE, ask(address)).await;
        let hint = match asked {
            Ok(Ok(first)) if HTTP_1.starts_with(&first) && !first.is_empty() => Some(SPEAKS_HTTP),
            Ok(Ok(first)) if first.starts_with(TLS_ALERT) => Some(SPEAKS_TLS),
            _ => None,
        };
        *self.last.lock() = Some((Instant::now(), hint));
        hint
    }
}

/// The first bytes of what it answers.
async fn ask((host, port): &(String, u16)) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect((host.as_str(), *port)).await?;
    connection.write_all(PREFACE).await?;
    let mut first = Vec::new();
    connection
        .take(HTTP_1.len() as u64)
        .read_to_end(&mut first)
        .await?;
    Ok(first)
}
