//! Sends export requests over OTLP/gRPC, several at a time, as a fleet of agents does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use vervet_model::Signal;
use vervet_wire::grpc::Client;

/// Connections, each with one request under way.
pub(super) const IN_FLIGHT: usize = 8;
/// No request is begun after this.
const TIMEOUT: Duration = Duration::from_secs(35);
/// Pause before a request is repeated that the collector had no room for.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// A request and how many records it has.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) records: u64,
}

/// What was acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) records: u64,
    /// Uncompressed.
    pub(super) bytes: u64,
    pub(super) retries: u64,
    pub(super) elapsed: Duration,
}

/// Sends the requests in order, until all are acknowledged or the time is up.
///
/// # Errors
/// A request was refused for good, or in part.
pub(super) fn send_all(
    address: SocketAddr,
    signal: Signal,
    requests: Vec<Request>,
) -> anyhow::Result<Sent> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..IN_FLIGHT {
            let channel = Channel::from_shared(format!("http://{address}"))?
                .connect()
                .await?;
            clients.push(Client::new(channel, Some(CompressionEncoding::Zstd)));
        }
        let shared = Arc::new((requests, AtomicUsize::new(0)));
        let started = Instant::now();
        let mut senders = tokio::task::JoinSet::new();
        for client in clients {
            let shared = Arc::clone(&shared);
            senders.spawn(async move {
                send_some(&client, signal, &shared.0, &shared.1, started).await
            });
        }
        let mut total = Sent::default();
        while let Some(sent) = senders.join_next().await {
            let sent = sent??;
            total.records += sent.records;
            total.bytes += sent.bytes;
            total.retries += sent.retries;
        }
        total.elapsed = started.elapsed();
        Ok(total)
    })
}

async fn send_some(
    client: &Client,
    signal: Signal,
    requests: &[Request],
    next: &AtomicUsize,
    started: Instant,
) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    while started.elapsed() < TIMEOUT {
        let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        sent.retries += send_one(client, signal, request, started).await?;
        sent.records += request.records;
        sent.bytes += request.body.len() as u64;
    }
    Ok(sent)
}

/// Sends until acknowledged; returns how often it had to be repeated.
async fn send_one(
    client: &Client,
    signal: Signal,
    request: &Request,
    started: Instant,
) -> anyhow::Result<u64> {
    let mut retries = 0;
    loop {
        match client.export(signal, request.body.clone(), None).await {
            Ok(accepted) => {
                anyhow::ensure!(
                    accepted.rejected == 0,
                    "{} records were rejected: {}",
                    accepted.rejected,
                    accepted.message
                );
                return Ok(retries);
            }
            Err(status)
                if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
                    && started.elapsed() < TIMEOUT * 2 =>
            {
                retries += 1;
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Err(status) => return Err(status).context("a request was refused"),
        }
    }
}
