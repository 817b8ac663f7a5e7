//! Calls a collector's export services.
//!
//! Bodies arrive packed, so that a repeat costs no second compression, and go out as one HTTP/2 body. tonic
//! supplies the connection; the few lines of gRPC around it are here, because its own client compresses every
//! message anew with a context of its own.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Status};
use tower::{Service, ServiceExt};
use vervet_model::Signal;

use super::service_name;
use crate::compress::{Compression, Compressor, Packed};
use crate::otlp::decode_response;
use crate::receiver::{AGENT_ID_KEY, Accepted, SEQUENCE_KEY, Source};

/// Largest answer that is read (bytes).
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Flag and length before an answer's message.
const PREFIX_BYTES: usize = 5;
const ENCODING_KEY: HeaderName = HeaderName::from_static("grpc-encoding");

/// Why a call has no answer: the source of its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// There was no connection, so nothing of the request has left.
    #[error("not connected")]
    NotConnected,
    /// The request may have arrived.
    #[error("connection lost")]
    Lost,
}

impl NoAnswer {
    /// `None` when the server has answered.
    pub fn of(status: &Status) -> Option<Self> {
        let source = std::error::Error::source(status)?;
        source.downcast_ref().copied()
    }
}

/// A client of one OTLP/gRPC endpoint. Cloning shares the connection.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    compression: Compression,
}

impl Client {
    /// A client over `channel`; [`Client::export`] compresses as told.
    pub fn new(channel: Channel, compression: Option<CompressionEncoding>) -> Self {
        let compression = match compression {
            Some(CompressionEncoding::Gzip) => Compression::Gzip,
            Some(CompressionEncoding::Zstd) => Compression::Zstd,
            _ => Compression::None,
        };
        Self {
            channel,
            compression,
        }
    }

    /// Packs one request body, sends it and waits for the answer.
    ///
    /// # Errors
    /// The status the server answered with, or `UNAVAILABLE` when it could not be reached.
    pub async fn export(
        &self,
        signal: Signal,
        body: Bytes,
        source: Option<&Source>,
    ) -> Result<Accepted, Status> {
        let compressor = Compressor::new(self.compression, None);
        let packed = compressor
            .map_err(|error| Status::internal(error.to_string()))?
            .pack_message(&body);
        self.send(signal, &packed, source, &HeaderMap::new()).await
    }

    /// Sends a body that was packed as a message, with `metadata` beside it, and waits for the answer.
    ///
    /// # Errors
    /// The status the server answered with, or `UNAVAILABLE` when it could not be reached.
    pub async fn send(
        &self,
        signal: Signal,
        body: &Packed,
        source: Option<&Source>,
        metadata: &HeaderMap,
    ) -> Result<Accepted, Status> {
        let request = request(signal, body, source, metadata)?;
        let mut channel = self.channel.clone();
        let channel = channel.ready().await.map_err(|error| unreachable(&error))?;
        let answer = channel.call(request).await;
        read_answer(answer.map_err(|error| unreachable(&error))?).await
    }
}

fn request(
    signal: Signal,
    body: &Packed,
    source: Option<&Source>,
    metadata: &HeaderMap,
) -> Result<Request<Body>, Status> {
    let internal = |error: http::Error| Status::internal(error.to_string());
    let mut request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("/{}/Export", service_name(signal)))
        .body(Body::new(Full::new(body.bytes().clone())))
        .map_err(internal)?;
    let headers = request.headers_mut();
    headers.extend(metadata.clone());
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(encoding) = body.encoding() {
        headers.insert(ENCODING_KEY, HeaderValue::from_static(encoding));
    }
    if let Some(source) = source {
        let invalid = |_error| Status::invalid_argument("the agent id is not ASCII");
        let agent_id = HeaderValue::from_str(&source.agent_id).map_err(invalid)?;
        headers.insert(AGENT_ID_KEY, agent_id);
        headers.insert(SEQUENCE_KEY, source.sequence.into());
    }
    Ok(request)
}

/// The whole chain of causes: the outermost says no more than "transport error".
fn unreachable(error: &dyn std::error::Error) -> Status {
    let mut message = error.to_string();
    let mut why = NoAnswer::Lost;
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            why = NoAnswer::NotConnected;
        }
        let text = error.to_string();
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    let mut status = Status::unavailable(message);
    status.set_source(Arc::new(why));
    status
}

async fn read_answer(answer: Response<Body>) -> Result<Accepted, Status> {
    let (head, mut body) = answer.into_parts();
    // A refusal may come without a body, its status among the headers.
    if let Some(status) = Status::from_header_map(&head.headers) {
        ok(status)?;
    }
    if head.status != StatusCode::OK {
        return Err(status_of_http(head.status));
    }
    let (mut message, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreachable(&error))?;
        match frame.into_data() {
            Ok(data) if message.len() + data.len() <= ANSWER_BYTES_MAX => {
                message.extend_from_slice(&data);
            }
            Ok(_too_much) => return Err(Status::internal("the answer is too long")),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    match trailers.as_ref().and_then(Status::from_header_map) {
        Some(status) => ok(status)?,
        None if head.headers.contains_key(Status::GRPC_STATUS) => {}
        None => return Err(Status::unavailable("the answer ended without a status")),
    }
    let message = message.get(PREFIX_BYTES..).unwrap_or_default();
    let (rejected, message) =
        decode_response(message).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Accepted { rejected, message })
}

fn ok(status: Status) -> Result<(), Status> {
    match status.code() {
        Code::Ok => Ok(()),
        _ => Err(status),
    }
}

/// What an answer that is not gRPC's means (gRPC, "HTTP to gRPC Status Code Mapping").
fn status_of_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        // Beyond the mapping: a proxy that finds the body too large must not be asked for ever.
        413 => Code::ResourceExhausted,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP status {status}"))
}
