//! A connection that holds a place among those of its listener.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::Limits;

/// What a client begins HTTP/2 with (bytes).
const PREFACE_BYTES: usize = 24;
/// That all places are taken is said this often.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The places of a listener.
pub(super) struct Gate {
    limits: Limits,
    places: Arc<Semaphore>,
    said_at: Mutex<Option<Instant>>,
}

/// A connection with its place.
pub struct Held<Io> {
    io: Io,
    _place: OwnedSemaphorePermit,
    /// When it ends unless it has said by then what it speaks. `None` when it has, or was answered.
    silent_until: Option<Pin<Box<Sleep>>>,
    read_bytes: usize,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            said_at: Mutex::default(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return place;
        }
        self.say_full();
        match Arc::clone(&self.places).acquire_owned().await {
            Ok(place) => place,
            // Nobody closes it.
            Err(_closed) => std::future::pending().await,
        }
    }

    fn say_full(&self) {
        let now = Instant::now();
        let mut said_at = self.said_at.lock();
        if said_at.is_none_or(|at| now - at >= SAID_AGAIN_AFTER) {
            *said_at = Some(now);
            tracing::warn!(
                connections = self.limits.connections_max,
                "a listener has all the connections it may have, others wait"
            );
        }
    }
}

impl<Io> Held<Io> {
    pub(super) fn new(io: Io, place: OwnedSemaphorePermit, limits: Limits) -> Self {
        Self {
            io,
            _place: place,
            silent_until: Some(Box::pin(sleep(limits.head_timeout))),
            read_bytes: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn get_ref(&self) -> &Io {
        &self.io
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if self.silent_until.is_some() && matches!(written, Poll::Ready(Ok(1..))) {
            self.silent_until = None;
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Held<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        let Some(silent_until) = &mut this.silent_until else {
            return read;
        };
        this.read_bytes += buffer.filled().len() - before;
        if this.read_bytes >= PREFACE_BYTES {
            this.silent_until = None;
        } else if read.is_pending() && silent_until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Held<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, parts);
        this.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

impl Connected for Held<TcpStream> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}
