//! `POST /api/v1/write`: Prometheus remote write 1.0 and 2.0, compressed with snappy or zstd.
//!
//! What cannot be taken at the moment is answered with 503 and never with 429, which Prometheus takes for "drop it" by
//! default.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tokio::sync::Semaphore;
use vervet_model::Signal;

use super::router::{
    BODY_TIMEOUT, CONVERSIONS_MAX, closing, in_turn, read_body, set_retry_after, text,
};
use super::{decompress_within, snappy};
use crate::receiver::{Coding, OtlpSink, Protocol, Received, Refusal, RefusedRequest};
use crate::remote_write::{HeaderError, Version, weigh};
use crate::room::Room;

const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// One request: an uncompressed body, whose items were counted.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    pub version: Version,
    pub body: Bytes,
    /// The body as it came.
    pub received: Received,
    /// What reading it takes beside these (bytes).
    pub weight: usize,
}

/// What became of a request that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples that are durable.
    pub samples: u64,
    /// Why others are not, empty when all are.
    pub message: String,
}

/// Takes remote write requests.
pub trait WriteSink: OtlpSink {
    fn write(
        &self,
        request: WriteRequest,
        room: Box<dyn Room>,
    ) -> impl Future<Output = Result<Written, Refusal>> + Send;
}

/// The endpoint in front of `sink`. Bodies over `body_bytes_max`, before or after decompression, are answered with 413
/// and never held in memory.
pub fn router<S: WriteSink>(sink: S, body_bytes_max: usize) -> Router {
    let write = |State(receiver): State<Receiver<S>>, request: Request| async move {
        receiver.write(request).await
    };
    Router::new()
        .route("/api/v1/write", post(write))
        .with_state(Receiver {
            sink,
            body_bytes_max,
            conversions: Arc::new(Semaphore::new(CONVERSIONS_MAX)),
        })
}

#[derive(Clone)]
struct Receiver<S> {
    sink: S,
    body_bytes_max: usize,
    conversions: Arc<Semaphore>,
}

impl<S: WriteSink> Receiver<S> {
    async fn write(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let (version, coding) = match form(&head.headers) {
            Ok(form) => form,
            Err(error) => {
                self.refused("unsupported", false);
                return (StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()).into_response();
            }
        };
        let mut room = self.sink.room();
        let limits = (self.body_bytes_max, BODY_TIMEOUT);
        let body = match read_body(&head.headers, body, limits, &mut *room).await {
            Ok(body) => body,
            Err((reason, refusal)) => {
                self.refused(reason, false);
                return closing(refuse(version, &passing(refusal)));
            }
        };
        let received = Received {
            coding,
            bytes: body,
        };
        let (request, room) = match self.prepare(version, received, room).await {
            Ok(prepared) => prepared,
            Err(refusal) => {
                self.refused(refusal.reason(), false);
                return refuse(version, &refusal);
            }
        };
        match self.sink.write(request, room).await {
            Ok(written) => answer(version, written),
            Err(refusal) => {
                self.refused(refusal.reason(), true);
                refuse(version, &refusal)
            }
        }
    }

    /// Decompresses a body and weighs it, in as much room as it takes.
    async fn prepare(
        &self,
        version: Version,
        received: Received,
        mut room: Box<dyn Room>,
    ) -> Result<(WriteRequest, Box<dyn Room>), Refusal> {
        let bytes_max = self.body_bytes_max;
        in_turn(&self.conversions, move || {
            let came = received.bytes.clone();
            let body = match received.coding {
                Coding::Snappy => snappy::decompress_within(&came, bytes_max, &mut *room)?,
                other => decompress_within(came, other.name(), bytes_max, &mut *room)?,
            };
            let weight = weigh(version, &body)
                .map_err(|error| Refusal::Invalid(format!("the request is malformed: {error}")))?;
            let held = body.len() + received.bytes.len();
            room.set(held.saturating_add(weight))?;
            let request = WriteRequest {
                version,
                body,
                received,
                weight,
            };
            Ok((request, room))
        })
        .await
    }

    fn refused(&self, reason: &'static str, delivered: bool) {
        self.sink.refused(RefusedRequest {
            signal: Signal::Metrics,
            protocol: Protocol::RemoteWrite,
            reason,
            delivered,
        });
    }
}

/// How a body is written and compressed. Senders of old said neither.
fn form(headers: &HeaderMap) -> Result<(Version, Coding), HeaderError> {
    let version = Version::from_content_type(text(headers, header::CONTENT_TYPE.as_str()))?;
    let coding = text(headers, header::CONTENT_ENCODING.as_str()).trim();
    match coding.to_ascii_lowercase().as_str() {
        "" | "snappy" => Ok((version, Coding::Snappy)),
        "zstd" => Ok((version, Coding::Zstd)),
        _ => Err(HeaderError::Encoding(coding.to_owned())),
    }
}

/// 204 when all samples are stored; 400 when some never can be: a sender that repeated them would repeat the others too.
fn answer(version: Version, written: Written) -> Response {
    let mut response = match written.message.is_empty() {
        true => StatusCode::NO_CONTENT.into_response(),
        false => (StatusCode::BAD_REQUEST, written.message).into_response(),
    };
    tell_written(version, &mut response, written.samples);
    response
}

/// What version 2.0 wants to know with every answer.
fn tell_written(version: Version, response: &mut Response, samples: u64) {
    if version == Version::V2 {
        let headers = response.headers_mut();
        headers.insert(SAMPLES_WRITTEN, samples.into());
        headers.insert(HISTOGRAMS_WRITTEN, 0.into());
        headers.insert(EXEMPLARS_WRITTEN, 0.into());
    }
}

/// A body that did not arrive may arrive when it is sent again.
fn passing(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid(reason) => Refusal::Unavailable {
            reason,
            retry_after: Duration::from_secs(1),
        },
        other => other,
    }
}

fn refuse(version: Version, refusal: &Refusal) -> Response {
    let (status, retry_after) = match refusal {
        Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, None),
        Refusal::TooLarge { .. } | Refusal::NoRoomEver { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, None)
        }
        Refusal::Overloaded { retry_after } | Refusal::Unavailable { retry_after, .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(*retry_after))
        }
    };
    let mut response = (status, refusal.to_string()).into_response();
    set_retry_after(&mut response, retry_after);
    tell_written(version, &mut response, 0);
    response
}

#[cfg(test)]
mod tests;
