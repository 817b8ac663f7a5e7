//! `POST /v1/{logs,metrics,traces}`.
//!
//! In: one request each, untrusted; out: an uncompressed protobuf body to the sink. Decompression and JSON
//! run on blocking threads, [`CONVERSIONS_MAX`] at a time; requests beyond wait with the body as received.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use vervet_model::Signal;

use super::{
    Encoding, admit, decompress, decompress_within, encode_accepted, encode_refusal,
    to_protobuf_within,
};
use crate::receiver::{
    AGENT_ID_KEY, Coding, OtlpRequest, OtlpSink, Protocol, Received, Refusal, RefusedRequest,
    SEQUENCE_KEY, Source, source_from,
};
use crate::room::Room;

/// Bodies that are decompressed or turned from JSON at once.
pub(crate) const CONVERSIONS_MAX: usize = 4;
/// Largest JSON body, after decompression. It may take four times its length as protobuf.
pub const JSON_BYTES_MAX: usize = 8 << 20;
/// A body has to arrive within this.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The OTLP/HTTP endpoints in front of `sink`. Bodies over `body_bytes_max` (JSON: over [`JSON_BYTES_MAX`]
/// if that is less), before or after decompression, are answered with 413 and never held in memory. A body
/// that takes longer than 30 s to arrive is answered with 400.
pub fn router<S: OtlpSink>(sink: S, body_bytes_max: usize) -> Router {
    with_body_timeout(sink, body_bytes_max, BODY_TIMEOUT)
}

pub(super) fn with_body_timeout<S: OtlpSink>(
    sink: S,
    body_bytes_max: usize,
    body_timeout: Duration,
) -> Router {
    let endpoint = |signal| {
        post(
            move |State(receiver): State<Receiver<S>>, request: Request| async move {
                receiver.export(signal, request).await
            },
        )
    };
    Router::new()
        .route("/v1/logs", endpoint(Signal::Logs))
        .route("/v1/metrics", endpoint(Signal::Metrics))
        .route("/v1/traces", endpoint(Signal::Traces))
        .with_state(Receiver {
            sink,
            body_bytes_max,
            body_timeout,
            conversions: Arc::new(Semaphore::new(CONVERSIONS_MAX)),
        })
}

/// The signal whose endpoint a path is.
pub(super) fn signal_of(path: &str) -> Option<Signal> {
    match path {
        "/v1/logs" => Some(Signal::Logs),
        "/v1/metrics" => Some(Signal::Metrics),
        "/v1/traces" => Some(Signal::Traces),
        _ => None,
    }
}

/// What the endpoints share.
#[derive(Clone)]
struct Receiver<S> {
    sink: S,
    body_bytes_max: usize,
    body_timeout: Duration,
    conversions: Arc<Semaphore>,
}

impl<S: OtlpSink> Receiver<S> {
    async fn export(&self, signal: Signal, request: Request) -> Response {
        let refused = |reason, delivered| {
            self.sink.refused(RefusedRequest {
                signal,
                protocol: Protocol::Http,
                reason,
                delivered,
            });
        };
        let (head, body) = request.into_parts();
        let content_type = text(&head.headers, header::CONTENT_TYPE.as_str());
        let Some(encoding) = Encoding::from_content_type(content_type) else {
            refused("unsupported", false);
            let message = "the content type must be application/x-protobuf or application/json";
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
        };
        let form = Form {
            signal,
            encoding,
            content_encoding: text(&head.headers, header::CONTENT_ENCODING.as_str()).to_owned(),
            bytes_max: match encoding {
                Encoding::Protobuf => self.body_bytes_max,
                Encoding::Json => self.body_bytes_max.min(JSON_BYTES_MAX),
            },
        };
        let mut room = self.sink.room();
        let limits = (form.bytes_max, self.body_timeout);
        let body = match read_body(&head.headers, body, limits, &mut *room).await {
            Ok(body) => body,
            Err((reason, refusal)) => {
                refused(reason, false);
                return closing(refuse(encoding, &refusal));
            }
        };
        let (request, room) = match self.prepare(form, &head.headers, body, room).await {
            Ok(prepared) => prepared,
            Err(refusal) => {
                refused(refusal.reason(), false);
                return refuse(encoding, &refusal);
            }
        };
        match self.sink.accept_held(request, room).await {
            Ok(accepted) => answer(
                StatusCode::OK,
                encoding,
                encode_accepted(encoding, &accepted, signal),
            ),
            Err(refusal) => {
                refused(refusal.reason(), true);
                refuse(encoding, &refusal)
            }
        }
    }

    /// The request as the sink takes it.
    async fn prepare(
        &self,
        form: Form,
        headers: &HeaderMap,
        body: Bytes,
        room: Box<dyn Room>,
    ) -> Result<(OtlpRequest, Box<dyn Room>), Refusal> {
        let source = source_from(
            present(headers, AGENT_ID_KEY),
            present(headers, SEQUENCE_KEY),
        )?;
        let signal = form.signal;
        let converted = convert(&self.conversions, form, body, room).await?;
        Ok(converted.into_request(signal, source))
    }
}

/// A body as uncompressed protobuf, and the room that is held for it.
pub(crate) struct Converted {
    pub(crate) body: Bytes,
    received: Option<Received>,
    room: Box<dyn Room>,
}

impl Converted {
    pub(crate) fn into_request(
        self,
        signal: Signal,
        source: Option<Source>,
    ) -> (OtlpRequest, Box<dyn Room>) {
        let request = OtlpRequest {
            signal,
            body: self.body,
            source,
            received: self.received,
        };
        (request, self.room)
    }
}

/// How a body is written, and how large it may be.
pub(crate) struct Form {
    pub(crate) signal: Signal,
    pub(crate) encoding: Encoding,
    pub(crate) content_encoding: String,
    pub(crate) bytes_max: usize,
}

/// Reads the body, asking for room before a piece of it is kept. A refusal comes with the word for it in metrics.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    (bytes_max, timeout): (usize, Duration),
    room: &mut dyn Room,
) -> Result<Bytes, (&'static str, Refusal)> {
    let with_reason = |refusal: Refusal| (refusal.reason(), refusal);
    let declared = text(headers, header::CONTENT_LENGTH.as_str())
        .parse::<usize>()
        .unwrap_or(0);
    if declared > bytes_max {
        return Err(with_reason(Refusal::TooLarge { limit: bytes_max }));
    }
    room.set(declared).map_err(with_reason)?;
    let collected = collect(body, bytes_max, declared, room);
    let Ok(read) = tokio::time::timeout(timeout, collected).await else {
        let seconds = timeout.as_secs();
        let message = format!("the body did not arrive within {seconds} s");
        return Err(("timeout", Refusal::Invalid(message)));
    };
    read.map_err(with_reason)
}

async fn collect(
    mut body: Body,
    bytes_max: usize,
    declared: usize,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Refusal::Invalid(format!("the body could not be read: {error}")))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let bytes = whole.len() + data.len();
        if bytes > bytes_max {
            return Err(Refusal::TooLarge { limit: bytes_max });
        }
        if bytes > declared {
            room.set(bytes)?;
        }
        if whole.is_empty() {
            whole.reserve(declared.max(data.len()));
        }
        whole.extend_from_slice(data);
    }
    Ok(whole.freeze())
}

/// The body as uncompressed protobuf, in as much room as it takes. Waits for one of the `conversions` unless there is
/// nothing to convert.
pub(crate) async fn convert(
    conversions: &Arc<Semaphore>,
    form: Form,
    body: Bytes,
    mut room: Box<dyn Room>,
) -> Result<Converted, Refusal> {
    let uncompressed = matches!(form.content_encoding.trim(), "" | "identity");
    if uncompressed && form.encoding == Encoding::Protobuf {
        let body = decompress(body, "", form.bytes_max)?;
        admit(form.signal, &body, body.len(), &mut *room)?;
        return Ok(Converted {
            body,
            received: None,
            room,
        });
    }
    in_turn(conversions, move || {
        let came = body.clone();
        let mut body = decompress_within(body, &form.content_encoding, form.bytes_max, &mut *room)?;
        let received = worth_keeping(&form, came, body.len());
        body = to_protobuf_within(form.signal, form.encoding, body, &mut *room)?;
        let kept = received.as_ref().map_or(0, |received| received.bytes.len());
        admit(form.signal, &body, body.len() + kept, &mut *room)?;
        Ok(Converted {
            body,
            received,
            room,
        })
    })
    .await
}

/// Does the work on a blocking thread, once it has one of the `conversions`.
pub(super) async fn in_turn<T: Send + 'static>(
    conversions: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let stopping = || Refusal::Unavailable {
        reason: "the receiver is stopping".to_owned(),
        retry_after: Duration::from_secs(1),
    };
    let permit = Arc::clone(conversions)
        .acquire_owned()
        .await
        .map_err(|_closed| stopping())?;
    let work = tokio::task::spawn_blocking(move || {
        // Held until the work is done, even if nobody waits for it any more.
        let _permit = permit;
        work()
    });
    work.await.unwrap_or_else(|error| match error.is_panic() {
        true => Err(Refusal::Invalid("the body cannot be converted".to_owned())),
        false => Err(stopping()),
    })
}

/// The body as it `came`, if that is protobuf and shorter than without compression.
fn worth_keeping(form: &Form, came: Bytes, body_bytes: usize) -> Option<Received> {
    let coding = Coding::from_name(form.content_encoding.trim())?;
    let worth = form.encoding == Encoding::Protobuf && came.len() < body_bytes;
    worth.then_some(Received {
        coding,
        bytes: came,
    })
}

/// A header's value, if there is one. One that is not text is as good as empty.
fn present<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or_default())
}

pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    present(headers, name).unwrap_or_default()
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
        Refusal::TooLarge { .. } | Refusal::NoRoomEver { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED, None)
        }
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
    set_retry_after(&mut response, retry_after);
    response
}

/// Says when a request may be repeated, in whole seconds and at least one.
pub(super) fn set_retry_after(response: &mut Response, delay: Option<Duration>) {
    if let Some(delay) = delay {
        let seconds = delay.max(Duration::from_secs(1)).as_secs();
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

/// The rest of a body is not read, so the connection cannot carry another request.
pub(super) fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
