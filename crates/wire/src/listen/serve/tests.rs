use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::http;
use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

struct Server {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(connections_max: usize, head_timeout: Duration, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let limits = Limits {
            connections_max,
            head_timeout,
        };
        let stopped = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve_http(http(listener), router, limits, stopped));
        Self {
            address,
            stop: Some(stop),
            task,
        }
    }

    async fn hello(connections_max: usize, head_timeout: Duration) -> Self {
        let router = Router::new().route("/", get(async || "hello"));
        Self::start(connections_max, head_timeout, router).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn ask(connection: &mut TcpStream) {
    connection.write_all(GET).await.unwrap();
    read_answer(connection).await;
}

async fn read_answer(connection: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert!(connection.read_buf(&mut answer).await.unwrap() > 0);
    }
}

/// Until the server closes it.
async fn end(mut connection: TcpStream) {
    let mut rest = Vec::new();
    let _reset = connection.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn connections_that_send_no_whole_head_end() {
    let server = Server::hello(64, SHORT).await;
    for begun in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0",
        b"GET /",
        b"GET / HTTP/1.1\r\nhost: a\r\n",
    ] {
        let mut connection = server.connect().await;
        connection.write_all(begun).await.unwrap();
        end(connection).await;
    }
}

#[tokio::test]
async fn connections_without_a_further_request_end() {
    let server = Server::hello(64, SHORT).await;
    let mut connection = server.connect().await;
    ask(&mut connection).await;
    end(connection).await;
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let server = Server::hello(2, LONG).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    ask(&mut first).await;
    ask(&mut second).await;
    let mut third = server.connect().await;
    third.write_all(GET).await.unwrap();
    // It is not served while the others are.
    ask(&mut first).await;
    let mut byte = [0];
    assert!(third.try_read(&mut byte).is_err(), "nobody has answered");
    drop(second);
    read_answer(&mut third).await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_at_the_end_and_idle_connections_are_not_waited_for() {
    let (begun, mut begins) = tokio::sync::mpsc::channel(1);
    let (finish, finishes) = tokio::sync::watch::channel(false);
    let router = Router::new().route(
        "/",
        get(async move || {
            begun.send(()).await.unwrap();
            let mut finishes = finishes;
            finishes.wait_for(|finish| *finish).await.unwrap();
            "hello"
        }),
    );
    let mut server = Server::start(64, LONG, router).await;
    let idle = server.connect().await;
    let mut asking = server.connect().await;
    asking.write_all(GET).await.unwrap();
    begins.recv().await.unwrap();
    drop(server.stop.take());
    end(idle).await;
    finish.send(true).unwrap();
    read_answer(&mut asking).await;
    server.task.await.unwrap();
}
