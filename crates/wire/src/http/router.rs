//! `POST /v1/{logs,metrics,traces}`.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode, header};
use vervet_model::Signal;

use super::{Encoding, decompress, encode_accepted, encode_refusal, to_protobuf};
use crate::receiver::{
    AGENT_ID_KEY, Accepted, OtlpRequest, OtlpSink, Refusal, SEQUENCE_KEY, source_from,
};

/// The OTLP/HTTP endpoints in front of `sink`. Bodies over `body_bytes_max`, before or after decompression,
/// are answered with 413 and never held in memory.
pub fn router<S: OtlpSink>(sink: S, body_bytes_max: usize) -> Router {
    let endpoint = |signal| {
        post(move |State(sink): State<S>, request: Request| async move {
            export(&sink, signal, body_bytes_max, request).await
        })
    };
    Router::new()
        .route("/v1/logs", endpoint(Signal::Logs))
        .route("/v1/metrics", endpoint(Signal::Metrics))
        .route("/v1/traces", endpoint(Signal::Traces))
        .with_state(sink)
}

async fn export<S: OtlpSink>(
    sink: &S,
    signal: Signal,
    body_bytes_max: usize,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let content_type = text(&head.headers, header::CONTENT_TYPE.as_str());
    let Some(encoding) = Encoding::from_content_type(content_type) else {
        let message = "the content type must be application/x-protobuf or application/json";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
    };
    match accept(sink, signal, encoding, body_bytes_max, &head.headers, body).await {
        Ok(accepted) => answer(
            StatusCode::OK,
            encoding,
            encode_accepted(encoding, &accepted, signal),
        ),
        Err(refusal) => refuse(encoding, &refusal),
    }
}

async fn accept<S: OtlpSink>(
    sink: &S,
    signal: Signal,
    encoding: Encoding,
    body_bytes_max: usize,
    headers: &HeaderMap,
    body: Body,
) -> Result<Accepted, Refusal> {
    let too_large = Refusal::TooLarge {
        limit: body_bytes_max,
    };
    let declared = text(headers, header::CONTENT_LENGTH.as_str())
        .parse::<usize>()
        .unwrap_or(0);
    if declared > body_bytes_max {
        return Err(too_large);
    }
    let body = to_bytes(body, body_bytes_max).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        match source.is_some_and(|cause| cause.to_string().contains("length limit")) {
            true => too_large,
            false => Refusal::Invalid(format!("the body could not be read: {error}")),
        }
    })?;
    let body = decompress(
        body,
        text(headers, header::CONTENT_ENCODING.as_str()),
        body_bytes_max,
    )?;
    let body = to_protobuf(signal, encoding, body)?;
    let source = source_from(
        Some(text(headers, AGENT_ID_KEY)),
        Some(text(headers, SEQUENCE_KEY)),
    );
    sink.accept(OtlpRequest {
        signal,
        body,
        source,
    })
    .await
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn answer(status: StatusCode, encoding: Encoding, body: Bytes) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, encoding.content_type())],
        body,
    )
        .into_response()
}

/// HTTP status, gRPC code and, for what may be retried, `Retry-After` of a refusal.
fn refuse(encoding: Encoding, refusal: &Refusal) -> Response {
    const INVALID_ARGUMENT: u32 = 3;
    const RESOURCE_EXHAUSTED: u32 = 8;
    const UNAVAILABLE: u32 = 14;
    let (status, code, retry_after) = match refusal {
        Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT, None),
        Refusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED, None),
        Refusal::Overloaded { retry_after } => (
            StatusCode::TOO_MANY_REQUESTS,
            RESOURCE_EXHAUSTED,
            Some(*retry_after),
        ),
        Refusal::Unavailable { retry_after, .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            UNAVAILABLE,
            Some(*retry_after),
        ),
    };
    let mut response = answer(
        status,
        encoding,
        encode_refusal(encoding, code, &refusal.to_string()),
    );
    if matches!(refusal, Refusal::TooLarge { .. }) {
        // The rest of the body is not read, so the connection cannot carry another request.
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    if let Some(delay) = retry_after {
        let seconds = delay.max(Duration::from_secs(1)).as_secs();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
