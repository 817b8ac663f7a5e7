//! A gRPC request body that asks for room before its bytes are handed on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::{Buf, Bytes};
use hyper::body::Frame;
use tokio::sync::Mutex;
use tonic::Status;
use tonic::body::Body;

use super::status_of;
use crate::room::{GRPC_EXPANSION, Room};

/// The room of one request, shared by its body and its handler, one after the other.
pub(super) type SharedRoom = Arc<Mutex<Option<Box<dyn Room>>>>;

/// Counts the bytes of `body` against `room`. When they are over and compressed, asks for what decompressing them
/// is expected to take, `bytes_max` at most.
pub(super) fn counted(
    body: Body,
    room: &SharedRoom,
    is_compressed: bool,
    bytes_max: usize,
) -> Body {
    Body::new(Counted {
        inner: body,
        room: Arc::clone(room),
        is_compressed,
        bytes_max,
        received: 0,
    })
}

struct Counted {
    inner: Body,
    room: SharedRoom,
    is_compressed: bool,
    bytes_max: usize,
    received: usize,
}

impl Counted {
    fn ask(&self, bytes: usize) -> Result<(), Status> {
        // Nobody else has it while the body is read.
        let Ok(mut room) = self.room.try_lock() else {
            return Err(Status::internal("the request's room is in use"));
        };
        match room.as_mut().map(|room| room.set(bytes)) {
            Some(Err(refusal)) => Err(status_of(&refusal)),
            _ => Ok(()),
        }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            self.received = self.received.saturating_add(data.remaining());
            let asked = match self.is_compressed {
                true => self
                    .received
                    .saturating_mul(1 + GRPC_EXPANSION)
                    .min(self.received + self.bytes_max),
                false => self.received,
            };
            self.ask(asked)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }
}
