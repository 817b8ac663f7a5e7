//! A collector that answers as it is told, dies and comes back, and knows repeats by their sequence.

use std::collections::VecDeque;
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

/// What to do with the next request. Without an order, it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Store,
    Busy,
    /// Stored, but the sender does not learn it.
    StoreButFail,
    /// No answer before the sender's patience ends.
    Slow,
    Invalid,
    RejectOne,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    orders: VecDeque<Answer>,
    bodies: Vec<String>,
    /// The bodies of all records.
    lines: Vec<String>,
    last_sequence: u64,
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

    pub(super) fn bodies(&self) -> Vec<String> {
        self.sink.0.lock().bodies.clone()
    }

    /// The text of every record, in the order of arrival.
    pub(super) fn lines(&self) -> Vec<String> {
        self.sink.0.lock().lines.clone()
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
        let source = request.source.as_ref().expect("our agents name themselves");
        if source.sequence <= self.last_sequence {
            self.repeats += 1;
            return;
        }
        self.last_sequence = source.sequence;
        let lines = bodies(&request.body);
        self.bodies.extend(lines.first().cloned());
        self.lines.extend(lines);
    }
}

impl OtlpSink for Sink {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        let order = self.0.lock().orders.pop_front().unwrap_or(Answer::Store);
        let busy = Refusal::Overloaded {
            retry_after: Duration::from_millis(20),
        };
        match order {
            Answer::Busy => return Err(busy),
            Answer::Invalid => return Err(Refusal::Invalid("no".to_owned())),
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

/// The text of the first log record of a request.
pub(super) fn first_body(request: &[u8]) -> String {
    bodies(request).swap_remove(0)
}

fn bodies(request: &[u8]) -> Vec<String> {
    let mut bodies = Vec::new();
    for_each_log(request, |_, _, record| {
        bodies.push(record.body.to_text().into_owned())
    })
    .expect("valid");
    bodies
}
