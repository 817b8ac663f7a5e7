//! A TCP proxy whose misbehaviour is switched while it runs.
//!
//! Every connection is passed on to the upstream address; what happens to its bytes follows the [`Mode`] of the
//! moment, also for connections that were made under another one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Bytes moved at once.
const CHUNK_BYTES: usize = 16 << 10;
/// With a limited rate a chunk holds a fiftieth of a second's bytes.
const CHUNKS_PER_SECOND: u64 = 50;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Connections are taken and kept, nothing moves.
    Stall,
    /// Requests pass, answers do not: the other end works but is not heard.
    StallAnswers,
    /// A new connection is reset at once, and so is an open one as soon as it is used.
    Refuse,
    /// A connection is reset after so many bytes in both directions, counted from its beginning.
    ResetAfter(u64),
    /// So many bytes a second and direction.
    Throttle(u64),
    /// The answering direction is closed in order, the other one stays open.
    HalfClose,
}

/// The proxy. It ends when dropped, and so do its connections.
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    upstream: Arc<Mutex<SocketAddr>>,
    connections: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

enum End {
    /// The sender has sent everything.
    Closed,
    Reset,
}

impl Proxy {
    /// Listens on a free port of loopback. Must be called within a runtime.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (mode, _) = watch::channel(Mode::Pass);
        let upstream = Arc::new(Mutex::new(upstream));
        let connections = Arc::new(AtomicU64::new(0));
        let address = listener.local_addr()?;
        let listening = tokio::spawn(listen(
            listener,
            mode.subscribe(),
            Arc::clone(&upstream),
            Arc::clone(&connections),
        ));
        Ok(Self {
            address,
            mode,
            upstream,
            connections,
            listening,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Where new connections go.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        *self.upstream.lock() = upstream;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    mode: watch::Receiver<Mode>,
    upstream: Arc<Mutex<SocketAddr>>,
    connections: Arc<AtomicU64>,
) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        while open.try_join_next().is_some() {}
        let (mode, upstream) = (mode.clone(), *upstream.lock());
        open.spawn(async move {
            // An upstream that is away looks to the client like a connection that breaks.
            let _broken = connection(client, upstream, mode).await;
        });
    }
}

async fn connection(
    mut client: TcpStream,
    upstream: SocketAddr,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    if *mode.borrow() == Mode::Refuse {
        return client.set_zero_linger();
    }
    let mut server = match TcpStream::connect(upstream).await {
        Ok(server) => server,
        Err(error) => {
            client.set_zero_linger()?;
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let moved = AtomicU64::new(0);
    let reset = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let requests = pump(
            client_read,
            server_write,
            Direction::Requests,
            mode.clone(),
            &moved,
        );
        let answers = pump(server_read, client_write, Direction::Answers, mode, &moved);
        tokio::pin!(requests, answers);
        // Either direction may end in order, and the other goes on; a reset ends both.
        match tokio::select! {
            end = &mut requests => (end, true),
            end = &mut answers => (end, false),
        } {
            (Ok(End::Closed), true) => !matches!(answers.await, Ok(End::Closed)),
            (Ok(End::Closed), false) => !matches!(requests.await, Ok(End::Closed)),
            _ => true,
        }
    };
    if reset {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut mode: watch::Receiver<Mode>,
    moved: &AtomicU64,
) -> io::Result<End> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut closed, mut ended) = (false, false);
    loop {
        let now = *mode.borrow_and_update();
        let answers = direction == Direction::Answers;
        match now {
            Mode::Stall => {
                let _gone = mode.changed().await;
                continue;
            }
            Mode::StallAnswers if answers => {
                let _gone = mode.changed().await;
                continue;
            }
            Mode::ResetAfter(bytes) if moved.load(Ordering::Relaxed) >= bytes => {
                return Ok(End::Reset);
            }
            Mode::HalfClose if answers && !closed => {
                to.shutdown().await?;
                closed = true;
            }
            _ => {}
        }
        if ended {
            if !closed {
                to.shutdown().await?;
            }
            return Ok(End::Closed);
        }
        let room = match now {
            Mode::Throttle(rate) => usize::try_from(rate / CHUNKS_PER_SECOND).unwrap_or(usize::MAX),
            Mode::ResetAfter(bytes) => {
                usize::try_from(bytes - moved.load(Ordering::Relaxed).min(bytes))
                    .unwrap_or(usize::MAX)
            }
            _ => CHUNK_BYTES,
        };
        let space = &mut chunk[..room.clamp(1, CHUNK_BYTES)];
        let read = tokio::select! {
            read = from.read(space) => read?,
            changed = mode.changed() => match changed {
                Ok(()) => continue,
                Err(_proxy_dropped) => return Ok(End::Reset),
            },
        };
        if *mode.borrow() == Mode::Refuse {
            return Ok(End::Reset);
        }
        moved.fetch_add(read as u64, Ordering::Relaxed);
        ended = read == 0;
        if !closed && !ended {
            to.write_all(&chunk[..read]).await?;
        }
        if let Mode::Throttle(_) = now {
            sleep(Duration::from_secs(1) / u32::try_from(CHUNKS_PER_SECOND).unwrap()).await;
        }
    }
}

#[cfg(test)]
mod tests;
