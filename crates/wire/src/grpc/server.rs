//! The three export services.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::Mutex;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use vervet_model::Signal;

use super::body::{SharedRoom, counted};
use super::codec::BytesCodec;
use super::{source_of, status_of};
use crate::http::admit;
use crate::otlp::encode_response;
use crate::receiver::{OtlpRequest, OtlpSink};

/// The export services of all three signals. A body over `body_bytes_max`, compressed or not, is answered
/// with `RESOURCE_EXHAUSTED` before it is held in memory.
pub fn routes<S: OtlpSink>(sink: &S, body_bytes_max: usize) -> Routes {
    let export = |signal| Export {
        sink: sink.clone(),
        signal,
        body_bytes_max,
        room: SharedRoom::default(),
    };
    Routes::default()
        .add_service(Logs(export(Signal::Logs)))
        .add_service(Metrics(export(Signal::Metrics)))
        .add_service(Traces(export(Signal::Traces)))
}

/// A body over the limit is `RESOURCE_EXHAUSTED`, compressed or not; tonic says `OUT_OF_RANGE` of one that
/// comes uncompressed, which senders do not know.
fn over_the_limit_is_exhausted(mut response: http::Response<Body>) -> http::Response<Body> {
    let code = |code: Code| http::HeaderValue::from(code as i32);
    if response.headers().get(Status::GRPC_STATUS) == Some(&code(Code::OutOfRange)) {
        response
            .headers_mut()
            .insert(Status::GRPC_STATUS, code(Code::ResourceExhausted));
    }
    response
}

type ResponseFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// One signal's `Export` method.
#[derive(Clone)]
struct Export<S> {
    sink: S,
    signal: Signal,
    body_bytes_max: usize,
    /// Of the request being served.
    room: SharedRoom,
}

impl<S: OtlpSink> UnaryService<Bytes> for Export<S> {
    type Response = Bytes;
    type Future = ResponseFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let sink = self.sink.clone();
        let signal = self.signal;
        let room = Arc::clone(&self.room);
        Box::pin(async move {
            // Its body is over, so nobody else needs it.
            let mut room = room.lock().await.take().unwrap_or_else(|| sink.room());
            let held = admit(signal, request.get_ref(), &mut *room);
            held.map_err(|refusal| status_of(&refusal))?;
            let source = source_of(request.metadata()).map_err(|refusal| status_of(&refusal))?;
            let request = OtlpRequest {
                signal,
                body: request.into_inner(),
                source,
            };
            match sink.accept_held(request, room).await {
                Ok(accepted) => Ok(Response::new(encode_response(
                    accepted.rejected,
                    &accepted.message,
                ))),
                Err(refusal) => Err(status_of(&refusal)),
            }
        })
    }
}

impl<S: OtlpSink> Export<S> {
    fn serve(
        &self,
        request: http::Request<Body>,
    ) -> ResponseFuture<http::Response<Body>, Infallible> {
        let mut export = self.clone();
        Box::pin(async move {
            if !request.uri().path().ends_with("/Export") {
                return Ok(Status::unimplemented("the service has one method, Export").into_http());
            }
            let encoding = request.headers().get("grpc-encoding");
            let is_compressed = encoding.is_some_and(|encoding| encoding != "identity");
            export.room = Arc::new(Mutex::new(Some(export.sink.room())));
            let bytes_max = export.body_bytes_max;
            let request = request.map(|body| counted(body, &export.room, is_compressed, bytes_max));
            let mut grpc = Grpc::new(BytesCodec)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .max_decoding_message_size(export.body_bytes_max);
            Ok(over_the_limit_is_exhausted(
                grpc.unary(export, request).await,
            ))
        })
    }
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
            type Future = ResponseFuture<Self::Response, Infallible>;

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
