//! A small OTLP/gRPC collector in front of a [`Ledger`], which can be killed at any moment.
//!
//! It acknowledges what the ledger has taken. A kill drops whatever it is doing: requests before the ledger, and
//! requests that the ledger has taken but that were not answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng as _;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tonic::transport::{Server, server::TcpIncoming};
use vervet_wire::{Accepted, BODY_BYTES_MAX, OtlpRequest, OtlpSink, Refusal, grpc};

use crate::ledger::Ledger;

/// Longest pause before a request is taken, and before it is answered (milliseconds).
const PAUSE_MILLIS_MAX: u64 = 8;
/// What senders are told while it is busy.
const RETRY_AFTER: Duration = Duration::from_millis(50);

pub(crate) struct Collector {
    sink: Sink,
    /// Holds every task of the server; `None` after a kill.
    life: Option<Runtime>,
}

#[derive(Clone)]
struct Sink {
    ledger: Arc<Ledger>,
    busy: Arc<AtomicBool>,
}

impl OtlpSink for Sink {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        if self.busy.load(Ordering::Relaxed) && rand::rng().random_bool(0.8) {
            return Err(Refusal::Overloaded {
                retry_after: RETRY_AFTER,
            });
        }
        // The moments at which a kill may find the request.
        sleep(pause()).await;
        let accepted = self.ledger.take(&request)?;
        sleep(pause()).await;
        Ok(accepted)
    }
}

fn pause() -> Duration {
    Duration::from_millis(rand::rng().random_range(0..=PAUSE_MILLIS_MAX))
}

impl Collector {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        let busy = Arc::default();
        Self {
            sink: Sink { ledger, busy },
            life: None,
        }
    }

    /// Serves on a free port.
    pub(crate) fn start(&mut self) -> SocketAddr {
        let life = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let sink = self.sink.clone();
        let address = life.block_on(async move {
            let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = incoming.local_addr().unwrap();
            let server = Server::builder().add_routes(grpc::routes(&sink, BODY_BYTES_MAX));
            tokio::spawn(server.serve_with_incoming(incoming));
            address
        });
        self.life = Some(life);
        address
    }

    pub(crate) fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.shutdown_background();
        }
    }

    /// Whether most senders are told to come back.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.sink.busy.store(busy, Ordering::Relaxed);
    }
}
