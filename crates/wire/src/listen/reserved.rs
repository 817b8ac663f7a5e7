//! Connections also when the process has used up its descriptors.
//!
//! [`SPARES`] descriptors are open for nothing but to be given up when one is needed for a connection that waits. The descriptor of
//! a connection that ends becomes a spare again in one step, so that nobody else gets it meanwhile.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use parking_lot::Mutex;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Connections that are served at once when there are no descriptors.
const SPARES: usize = 4;
const NOTHING: &str = "/dev/null";
/// Pauses after an accept has failed: until one of the connections may have ended, and for another reason.
const USED_UP_RETRY: Duration = Duration::from_millis(50);
const FAILED_RETRY: Duration = Duration::from_secs(1);

/// A listener with descriptors of its own.
pub(super) struct Reserved {
    listener: TcpListener,
    spares: Arc<Spares>,
}

/// A connection, whose descriptor becomes a spare when one is missing.
pub struct Connection {
    /// Until it is dropped.
    stream: Option<TcpStream>,
    spares: Arc<Spares>,
}

struct Spares {
    /// What a spare is a copy of; `None` when there was none at the start.
    nothing: Option<OwnedFd>,
    spares: Mutex<Vec<OwnedFd>>,
}

impl Reserved {
    pub(super) fn new(listener: TcpListener) -> Self {
        let spares = Spares {
            nothing: File::open(NOTHING).ok().map(OwnedFd::from),
            spares: Mutex::default(),
        };
        spares.fill();
        Self {
            listener,
            spares: Arc::new(spares),
        }
    }
}

impl Listener for Reserved {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        self.spares.fill();
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    // One that is closed already; serving it will tell.
                    let _closed = stream.set_nodelay(true);
                    let spares = Arc::clone(&self.spares);
                    let stream = Some(stream);
                    return (Connection { stream, spares }, from);
                }
                Err(error) if is_used_up(&error) => {
                    if !self.spares.give_up_one() {
                        sleep(USED_UP_RETRY).await;
                    }
                }
                Err(error) if is_of_connection(&error) => {}
                Err(_of_listener) => sleep(FAILED_RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn is_used_up(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    matches!(error, Some(Errno::MFILE | Errno::NFILE))
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

impl Spares {
    fn fill(&self) {
        let Some(nothing) = &self.nothing else { return };
        let mut spares = self.spares.lock();
        while spares.len() < SPARES
            && let Ok(spare) = nothing.try_clone()
        {
            spares.push(spare);
        }
    }

    /// Closes one; false when there is none.
    fn give_up_one(&self) -> bool {
        self.spares.lock().pop().is_some()
    }

    /// Makes a spare of a connection's descriptor, if one is missing.
    fn take_back(&self, stream: TcpStream) {
        let mut spares = self.spares.lock();
        let Some(nothing) = self.nothing.as_ref().filter(|_| spares.len() < SPARES) else {
            return;
        };
        let Ok(stream) = stream.into_std() else {
            return;
        };
        let mut descriptor = OwnedFd::from(stream);
        if rustix::io::dup2(nothing, &mut descriptor).is_ok() {
            spares.push(descriptor);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.spares.take_back(stream);
        }
    }
}

impl Connection {
    /// It is there until it is dropped.
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.get_mut().stream.as_mut();
        stream
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_shutdown(context))?;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
