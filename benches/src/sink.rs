//! A destination that costs next to nothing: takes OTLP/gRPC, counts, acknowledges at once.
//!
//! It runs as a process of its own (`vervet-benches sink`), so that the CPU time of the agent that sends to it
//! is the agent's alone. In: export requests, which it decompresses and walks down to the single records without
//! reading them. Out: two lines on standard output, `grpc ADDRESS` and `http ADDRESS`; at the latter address
//! `GET /totals` answers with [`Totals`] and `GET /sample` with the first log record of the last request,
//! both as JSON.

mod totals;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Server;
use vervet_wire::{Accepted, BODY_BYTES_MAX, OtlpRequest, OtlpSink, Refusal, grpc, listen};

pub use totals::{Sample, Totals};

/// Longest request to the HTTP address (bytes).
const HTTP_REQUEST_BYTES_MAX: usize = 4 << 10;

const CONNECTIONS_MAX: usize = 64;

/// Counts what it is given.
#[derive(Debug, Clone, Default)]
struct Counting(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    totals: Totals,
    last_logs: Bytes,
}

impl OtlpSink for Counting {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        let records = totals::count(request.signal, &request.body)
            .map_err(|error| Refusal::Invalid(error.to_string()))?;
        let mut seen = self.0.lock();
        seen.totals.requests += 1;
        seen.totals.records += records;
        seen.totals.bytes += request.body.len() as u64;
        if request.signal == vervet_model::Signal::Logs {
            seen.last_logs = request.body;
        }
        Ok(Accepted::default())
    }
}

/// Serves until the process is ended.
///
/// # Errors
/// The address cannot be listened on.
pub fn run(listen: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(listen))
}

async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let sink = Counting::default();
    let cannot = || format!("cannot listen on {listen}");
    let grpc = TcpListener::bind(listen).await.with_context(cannot)?;
    let http = TcpListener::bind((listen.ip(), 0))
        .await
        .with_context(cannot)?;
    let grpc_address = grpc.local_addr()?;
    let limits = listen::Limits::new(CONNECTIONS_MAX);
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "grpc {grpc_address}\nhttp {}", http.local_addr()?)?;
        out.flush()?;
    }
    tokio::select! {
        served = Server::builder().add_routes(grpc::routes(&sink, BODY_BYTES_MAX)).serve_with_incoming(listen::grpc(grpc, limits)) => {
            served.context("the gRPC server failed")
        }
        never = answer_all(http, sink.clone()) => never,
    }
}

/// One request after the other: there is one client.
async fn answer_all(listener: TcpListener, sink: Counting) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away before its answer is no reason to end.
        let _ = answer(stream, &sink).await;
    }
}

async fn answer(mut stream: TcpStream, sink: &Counting) -> anyhow::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        anyhow::ensure!(
            head.len() < HTTP_REQUEST_BYTES_MAX,
            "the request is too long"
        );
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let (status, body) = match head.split(|byte| *byte == b' ').nth(1) {
        Some(b"/totals") => ("200 OK", serde_json::to_string(&sink.0.lock().totals)?),
        Some(b"/sample") => {
            let request = sink.0.lock().last_logs.clone();
            (
                "200 OK",
                serde_json::to_string(&Sample::first_of(&request)?)?,
            )
        }
        _ => ("404 Not Found", String::new()),
    };
    let answer = format!("HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}
