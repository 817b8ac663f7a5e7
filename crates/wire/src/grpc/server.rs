//! The three export services.
//!
//! tonic routes and carries; the few lines of gRPC of a unary call are here, because its own decompresses a message without
//! asking for room first. A request is one message: a flag, its length in four bytes, its body. Bodies are decompressed as
//! those of HTTP are: on blocking threads, piece by piece, each asked for.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use vervet_model::Signal;

use super::{source_of, status_of};
use crate::http::Encoding;
use crate::http::router::{CONVERSIONS_MAX, Form, convert};
use crate::otlp::encode_response;
use crate::receiver::{OtlpSink, Protocol, Refusal, RefusedRequest};
use crate::room::Room;

/// Flag and length before a message (bytes).
const PREFIX_BYTES: usize = 5;
/// A body has to arrive within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTS: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

/// The export services of all three signals. A body over `body_bytes_max`, compressed or not, is answered
/// with `RESOURCE_EXHAUSTED` before it is held in memory, one that takes longer than 30 s to arrive with
/// `DEADLINE_EXCEEDED`.
pub fn routes<S: OtlpSink>(sink: &S, body_bytes_max: usize) -> Routes {
    with_body_timeout(sink, body_bytes_max, BODY_TIMEOUT)
}

pub(super) fn with_body_timeout<S: OtlpSink>(
    sink: &S,
    body_bytes_max: usize,
    body_timeout: Duration,
) -> Routes {
    let conversions = Arc::new(Semaphore::new(CONVERSIONS_MAX));
    let export = |signal| Export {
        sink: sink.clone(),
        signal,
        body_bytes_max,
        body_timeout,
        conversions: Arc::clone(&conversions),
    };
    Routes::default()
        .add_service(Logs(export(Signal::Logs)))
        .add_service(Metrics(export(Signal::Metrics)))
        .add_service(Traces(export(Signal::Traces)))
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// One signal's `Export` method.
#[derive(Clone)]
struct Export<S> {
    sink: S,
    signal: Signal,
    body_bytes_max: usize,
    body_timeout: Duration,
    /// Bodies that are decompressed at once.
    conversions: Arc<Semaphore>,
}

impl<S: OtlpSink> Export<S> {
    fn serve(&self, request: http::Request<Body>) -> ResponseFuture {
        let export = self.clone();
        Box::pin(async move {
            let mut response = match export.answer(request).await {
                Ok(message) => response(&message),
                Err(refused) => {
                    export.sink.refused(RefusedRequest {
                        signal: export.signal,
                        protocol: Protocol::Grpc,
                        reason: refused.reason,
                        delivered: refused.delivered,
                    });
                    refused.status.into_http()
                }
            };
            response.headers_mut().insert(ACCEPTS, ACCEPTED);
            Ok(response)
        })
    }

    async fn answer(&self, request: http::Request<Body>) -> Result<Bytes, Refused> {
        if !request.uri().path().ends_with("/Export") {
            return Err(Status::unimplemented("the service has one method, Export").into());
        }
        let (head, body) = request.into_parts();
        let encoding = encoding_of(&head.headers)?;
        let source = source_of(&head.headers)?;
        let mut room = self.sink.room();
        let reading = self.read(body, &mut *room);
        let read = tokio::time::timeout(self.body_timeout, reading).await;
        let (is_compressed, message) = read.unwrap_or_else(|_elapsed| {
            let seconds = self.body_timeout.as_secs();
            let message = format!("the body did not arrive within {seconds} s");
            Err(Status::deadline_exceeded(message).into())
        })?;
        let content_encoding = match (is_compressed, encoding) {
            (false, _) => "",
            (true, "") => {
                let message = "the message says that it is compressed, the headers do not";
                return Err(Status::internal(message).into());
            }
            (true, encoding) => encoding,
        };
        let form = Form {
            signal: self.signal,
            encoding: Encoding::Protobuf,
            content_encoding: content_encoding.to_owned(),
            bytes_max: self.body_bytes_max,
        };
        let converted = convert(&self.conversions, form, message, room).await?;
        let (request, room) = converted.into_request(self.signal, source);
        let accepted = self.sink.accept_held(request, room).await;
        let accepted = accepted.map_err(|refusal| Refused {
            delivered: true,
            ..Refused::from(refusal)
        })?;
        Ok(encode_response(accepted.rejected, &accepted.message))
    }

    /// The one message of a body and whether it is compressed. Room is asked for before a piece is kept.
    async fn read(&self, mut body: Body, room: &mut dyn Room) -> Result<(bool, Bytes), Refused> {
        let limit = self.body_bytes_max;
        let not_one = || Refused::from(Status::internal("the body is not one whole message"));
        let mut whole: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let missing = PREFIX_BYTES.saturating_sub(whole.len());
            let (prefix, rest) = data.split_at(data.len().min(missing));
            whole.extend_from_slice(prefix);
            let Some(length) = length_of(&whole) else {
                continue;
            };
            if length > limit {
                return Err(Refusal::TooLarge { limit }.into());
            }
            let declared = PREFIX_BYTES + length;
            if whole.len() + rest.len() > declared {
                return Err(not_one());
            }
            if whole.capacity() < declared {
                // All of it at once, as it says; it has to arrive within the timeout.
                room.set(declared)?;
                whole.reserve_exact(declared - whole.len());
            }
            whole.extend_from_slice(rest);
        }
        let length =
            length_of(&whole).ok_or_else(|| Status::internal("the body has no message"))?;
        let flag = whole.first().copied().unwrap_or_default();
        let message = Bytes::from(whole).split_off(PREFIX_BYTES);
        match (message.len() == length, flag) {
            (true, 0 | 1) => Ok((flag == 1, message)),
            (true, _) => Err(Status::internal("the message's flag is neither 0 nor 1").into()),
            (false, _) => Err(not_one()),
        }
    }
}

/// An answer that is an error, and how it is counted.
struct Refused {
    status: Status,
    reason: &'static str,
    delivered: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: status_of(&refusal),
            reason: refusal.reason(),
            delivered: false,
        }
    }
}

/// What is wrong with the call itself.
impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let reason = match status.code() {
            Code::Unimplemented => "unsupported",
            Code::DeadlineExceeded => "timeout",
            _ => "invalid",
        };
        Self {
            status,
            reason,
            delivered: false,
        }
    }
}

/// What the message before it says of its length.
fn length_of(body: &[u8]) -> Option<usize> {
    let [_flag, length @ ..] = body.first_chunk::<PREFIX_BYTES>()?;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// The encoding that the headers name; empty for none.
fn encoding_of(headers: &HeaderMap) -> Result<&'static str, Status> {
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(""),
        Some(b"gzip") => Ok("gzip"),
        Some(b"zstd") => Ok("zstd"),
        Some(_) => Err(Status::unimplemented(
            "the message's encoding is none of identity, gzip, zstd",
        )),
    }
}

/// A message and the status that ends it.
fn response(message: &[u8]) -> Response<Body> {
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    body.extend_from_slice(&[0]);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    let ok = HeaderValue::from(Code::Ok as i32);
    trailers.insert(Status::GRPC_STATUS, ok);
    let body = Full::new(body.freeze()).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// tonic finds a service by the name of its type, so each signal has one.
macro_rules! named_service {
    ($name:ident, $service:literal) => {
        #[derive(Clone)]
        struct $name<S>(Export<S>);

        impl<S> NamedService for $name<S> {
            const NAME: &'static str = $service;
        }

        impl<S: OtlpSink> tower::Service<http::Request<Body>> for $name<S> {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = ResponseFuture;

            fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                self.0.serve(request)
            }
        }
    };
}

named_service!(Logs, "opentelemetry.proto.collector.logs.v1.LogsService");
named_service!(
    Metrics,
    "opentelemetry.proto.collector.metrics.v1.MetricsService"
);
named_service!(
    Traces,
    "opentelemetry.proto.collector.trace.v1.TraceService"
);
