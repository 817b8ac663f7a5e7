//! Sends remote write requests over connections that stay open.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;

use super::data::Bodies;
use crate::load::http::read_fields;

const TIMEOUT: Duration = Duration::from_secs(60);
/// A request is repeated so often while the server has no room.
const REPEATS_MAX: usize = 200;
const REPEAT_DELAY: Duration = Duration::from_millis(50);

/// Sends all requests, those of each connection in order.
///
/// # Errors
/// One is refused for good.
pub(super) fn send(address: SocketAddr, bodies: &Bodies) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let senders: Vec<_> = bodies
            .iter()
            .map(|bodies| scope.spawn(move || send_in_order(address, bodies)))
            .collect();
        for sender in senders {
            let sent = sender.join();
            sent.map_err(|_panic| anyhow::anyhow!("a sender ended"))??;
        }
        Ok(())
    })
}

fn send_in_order(address: SocketAddr, bodies: &[Bytes]) -> anyhow::Result<()> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut connection = BufReader::new(stream);
    for body in bodies {
        let mut repeats = 0;
        loop {
            let (status, text) = post(&mut connection, address, body)?;
            match status {
                200..=299 => break,
                503 if repeats < REPEATS_MAX => repeats += 1,
                other => bail!("{other}: {text}"),
            }
            std::thread::sleep(REPEAT_DELAY);
        }
    }
    Ok(())
}

/// One request; the status and the text of its answer.
fn post(
    connection: &mut BufReader<TcpStream>,
    address: SocketAddr,
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    let mut request = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\n\
         Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    connection.get_mut().write_all(&request)?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("the answer begins with {line:?}"))?;
    let mut text = vec![0; read_fields(connection)?];
    connection.read_exact(&mut text)?;
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}
