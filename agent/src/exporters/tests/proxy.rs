//! Stands between an exporter and its destination and cuts connections after so many bytes, either way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes after which the next connection is cut, on the way there and on the way back.
const CUTS: [(usize, usize); 14] = [
    (0, usize::MAX),
    (usize::MAX, 0),
    (10, usize::MAX),
    (100, usize::MAX),
    (usize::MAX, 60),
    (300, usize::MAX),
    (usize::MAX, 90),
    (600, usize::MAX),
    (usize::MAX, 120),
    (1_000, usize::MAX),
    (usize::MAX, 200),
    (2_500, usize::MAX),
    (usize::MAX, 500),
    (6_000, 900),
];

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    honest: Arc<AtomicBool>,
    pub(super) connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let honest = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (is_honest, count) = (Arc::clone(&honest), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("accepts");
                let number = count.fetch_add(1, Ordering::Relaxed);
                let cut = match is_honest.load(Ordering::Relaxed) {
                    true => (usize::MAX, usize::MAX),
                    false => CUTS[number % CUTS.len()],
                };
                tokio::spawn(pass(client, to, cut));
            }
        });
        Self {
            address,
            honest,
            connections,
            task,
        }
    }

    /// Cuts nothing any more.
    pub(super) fn be_honest(&self) {
        self.honest.store(true, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, to: SocketAddr, (there, back): (usize, usize)) {
    let Ok(server) = TcpStream::connect(to).await else {
        return;
    };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    // Whichever ends first takes the other with it.
    tokio::select! {
        () = copy(client_read, server_write, there) => {}
        () = copy(server_read, client_write, back) => {}
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut left: usize) {
    let mut buffer = [0; 4_096];
    while let Ok(read) = from.read(&mut buffer).await {
        let passed = read.min(left);
        if read == 0 || to.write_all(&buffer[..passed]).await.is_err() || passed < read {
            return;
        }
        left -= passed;
    }
}
