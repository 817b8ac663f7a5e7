//! A collector that answers as it is told, dies and comes back, and knows repeats by their lane and sequence.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use vervet_wire::otlp::for_each_log;
use vervet_wire::{Accepted, OtlpRequest, OtlpSink, Refusal, grpc};

const BODY_BYTES_MAX: usize = 1 << 20;
/// A record that no request may hold.
pub(super) const POISON: &str = "poison";

/// What to do with the next request. Without an order, it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Store,
    Busy,
    /// Stored, but the sender does not learn it.
    StoreButFail,
    /// No answer before the sender's patience ends.
    Slow,
    RejectOne,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    orders: VecDeque<Answer>,
    /// The bodies of all records.
    lines: Vec<String>,
    highest: HashMap<String, u64>,
    repeats: usize,
}

pub(super) struct TestCollector {
    address: SocketAddr,
    sink: Sink,
    server: Option<Runtime>,
}

impl TestCollector {
    pub(super) fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let mut collector = Self {
            address,
            sink: Sink::default(),
            server: None,
        };
        collector.come_back();
        collector
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn will_answer(&self, orders: impl IntoIterator<Item = Answer>) {
        self.sink.0.lock().orders.extend(orders);
    }

    /// Closes every connection without a word.
    pub(super) fn die(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }

    pub(super) fn come_back(&mut self) {
        let server = Runtime::new().expect("runtime");
        let _entered = server.enter();
        let incoming = TcpIncoming::bind(self.address).expect("the port is free");
        let routes = grpc::routes(&self.sink, BODY_BYTES_MAX);
        server.spawn(
            Server::builder()
                .add_routes(routes)
                .serve_with_incoming(incoming),
        );
        drop(_entered);
        self.server = Some(server);
    }

    /// The text of every record, numbers in order: requests may overtake each other.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.sink.0.lock().lines.clone();
        lines.sort_by_key(|line| (line.len(), line.clone()));
        lines
    }

    pub(super) fn repeats(&self) -> usize {
        self.sink.0.lock().repeats
    }
}

impl Drop for TestCollector {
    fn drop(&mut self) {
        self.die();
    }
}

impl Stored {
    fn store(&mut self, request: &OtlpRequest) {
        // Pieces of a request that was refused as a whole name no source.
        if let Some(source) = &request.source {
            let highest = |identity: &str| self.highest.get(identity).copied().unwrap_or(0);
            if source.is_repeat(highest) {
                self.repeats += 1;
                return;
            }
            self.highest
                .insert(source.agent_id.clone(), source.sequence);
        }
        self.lines.extend(bodies(&request.body));
    }
}

impl OtlpSink for Sink {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        if bodies(&request.body).iter().any(|text| text == POISON) {
            return Err(Refusal::Invalid("no".to_owned()));
        }
        let order = self.0.lock().orders.pop_front().unwrap_or(Answer::Store);
        let busy = Refusal::Overloaded {
            retry_after: Duration::from_millis(20),
        };
        match order {
            Answer::Busy => return Err(busy),
            Answer::Slow => tokio::time::sleep(Duration::from_secs(60)).await,
            Answer::Store | Answer::StoreButFail | Answer::RejectOne => {}
        }
        self.0.lock().store(&request);
        match order {
            Answer::StoreButFail => Err(busy),
            Answer::RejectOne => Ok(Accepted {
                rejected: 1,
                message: "too old".to_owned(),
            }),
            _ => Ok(Accepted::default()),
        }
    }
}

/// The texts of the log records of a request.
pub(super) fn bodies(request: &[u8]) -> Vec<String> {
    let mut bodies = Vec::new();
    for_each_log(request, |_, _, record| {
        bodies.push(record.body.to_text().into_owned())
    })
    .expect("valid");
    bodies
}
