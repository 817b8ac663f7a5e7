//! Bodies of OTLP/HTTP: content type, content encoding, and the size limit on both sides of it.

pub mod guard;
mod json;
pub mod remote_write;
pub(crate) mod router;
pub(crate) mod snappy;

pub use router::{JSON_BYTES_MAX, router};

use std::io::Read;

use bytes::Bytes;
use vervet_model::Signal;

use crate::otlp::weigh;
use crate::receiver::{Accepted, Refusal};
use crate::room::{Room, Unlimited};

/// Decompressed first, then twice as much each time.
const PIECE_BYTES: usize = 64 << 10;

/// RFC 9659 lets a content encoding ask for 2^23 bytes; be lenient, bounded.
const WINDOW_LOG_MAX: u32 = 24;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// The encoding named by a `Content-Type` header; `None` when it is neither.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Undoes the `Content-Encoding`: none, `identity`, `gzip`, `deflate` (zlib) or `zstd`.
///
/// # Errors
/// An unknown encoding or broken data is [`Refusal::Invalid`]; more than `bytes_max` after decompression is
/// [`Refusal::TooLarge`], found while decompressing.
pub fn decompress(body: Bytes, content_encoding: &str, bytes_max: usize) -> Result<Bytes, Refusal> {
    decompress_within(body, content_encoding, bytes_max, &mut Unlimited)
}

/// As [`decompress`], in `room`: it is asked for every piece before it is made, beside the compressed body, or for all of a
/// body whose size is known.
fn decompress_within(
    body: Bytes,
    content_encoding: &str,
    bytes_max: usize,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    if body.len() > bytes_max {
        return Err(Refusal::TooLarge { limit: bytes_max });
    }
    match content_encoding.trim() {
        "" | "identity" => Ok(body),
        "gzip" => read_limited(
            flate2::read::MultiGzDecoder::new(&body[..]),
            bytes_max,
            body.len(),
            room,
        ),
        "deflate" => read_limited(
            flate2::read::ZlibDecoder::new(&body[..]),
            bytes_max,
            body.len(),
            room,
        ),
        "zstd" => {
            if let Some(bytes) = content_size(&body) {
                return decompress_whole(&body, bytes, bytes_max, room);
            }
            let mut decoder =
                zstd::stream::read::Decoder::new(&body[..]).map_err(|error| broken(&error))?;
            let window = decoder.window_log_max(WINDOW_LOG_MAX);
            window.map_err(|error| broken(&error))?;
            read_limited(decoder, bytes_max, body.len(), room)
        }
        other => Err(Refusal::Invalid(format!(
            "content encoding {other:?} is not one of gzip, deflate, zstd, identity"
        ))),
    }
}

/// What a body of one zstd frame says of its size; `None` when it says nothing, or more follows.
fn content_size(body: &[u8]) -> Option<u64> {
    let bytes = zstd::zstd_safe::get_frame_content_size(body).ok()??;
    let frame = zstd::zstd_safe::find_frame_compressed_size(body).ok()?;
    (frame == body.len()).then_some(bytes)
}

/// Decompresses a body whose size is known in one piece. A body that said something else of its size is broken.
fn decompress_whole(
    body: &[u8],
    bytes: u64,
    bytes_max: usize,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    let bytes = usize::try_from(bytes).ok();
    let bytes = bytes.filter(|bytes| *bytes <= bytes_max);
    let bytes = bytes.ok_or(Refusal::TooLarge { limit: bytes_max })?;
    room.set(body.len() + bytes)?;
    let mut out = Vec::with_capacity(bytes);
    zstd::bulk::Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress_to_buffer(body, &mut out))
        .map_err(|error| broken(&error))?;
    Ok(out.into())
}

fn read_limited(
    reader: impl Read,
    bytes_max: usize,
    compressed: usize,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    let mut out = Vec::new();
    let mut reader = reader.take(bytes_max as u64 + 1);
    loop {
        if out.len() == out.capacity() {
            let capacity = (out.capacity() * 2).max(PIECE_BYTES).min(bytes_max + 1);
            room.set(compressed + capacity)?;
            out.reserve_exact(capacity.max(out.len() + 1) - out.len());
        }
        let piece = (out.capacity() - out.len()) as u64;
        let read = reader
            .by_ref()
            .take(piece)
            .read_to_end(&mut out)
            .map_err(|error| broken(&error))?;
        if out.len() > bytes_max {
            return Err(Refusal::TooLarge { limit: bytes_max });
        }
        if read == 0 {
            return Ok(out.into());
        }
    }
}

fn broken(error: &std::io::Error) -> Refusal {
    Refusal::Invalid(format!("the body does not decompress: {error}"))
}

/// Turns a decompressed body into protobuf; a JSON body follows OTLP's JSON mapping.
///
/// # Errors
/// [`Refusal::Invalid`] when JSON does not parse; protobuf passes through unchecked.
pub fn to_protobuf(signal: Signal, encoding: Encoding, body: Bytes) -> Result<Bytes, Refusal> {
    to_protobuf_within(signal, encoding, body, &mut Unlimited)
}

/// As [`to_protobuf`], in `room`: it is asked for what the protobuf takes beside the JSON before that is made.
fn to_protobuf_within(
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
    room: &mut dyn Room,
) -> Result<Bytes, Refusal> {
    match encoding {
        Encoding::Protobuf => Ok(body),
        Encoding::Json => {
            let held = body.len().saturating_mul(1 + json::SCRATCH_EXPANSION);
            room.set(held)?;
            json::to_protobuf(signal, &body, held, room)
        }
    }
}

/// Sees to it that a request can be decoded: it asks for room for what is `held` of it and for what its costliest record
/// takes.
pub(crate) fn admit(
    signal: Signal,
    body: &[u8],
    held: usize,
    room: &mut dyn Room,
) -> Result<(), Refusal> {
    let weight = weigh(signal, body)
        .map_err(|error| Refusal::Invalid(format!("the request is malformed: {error}")))?;
    room.set(held.saturating_add(weight.decoded_bytes))
}

/// The answer to an accepted request.
pub fn encode_accepted(encoding: Encoding, accepted: &Accepted, signal: Signal) -> Bytes {
    if encoding == Encoding::Protobuf {
        return crate::otlp::encode_response(accepted.rejected, &accepted.message);
    }
    let field = match signal {
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Traces => "rejectedSpans",
    };
    let body = if *accepted == Accepted::default() {
        serde_json::json!({})
    } else {
        serde_json::json!({"partialSuccess": {field: accepted.rejected.to_string(), "errorMessage": accepted.message}})
    };
    body.to_string().into()
}

/// The answer to a refused request: a `google.rpc.Status` with the gRPC `code`.
pub fn encode_refusal(encoding: Encoding, code: u32, message: &str) -> Bytes {
    match encoding {
        Encoding::Json => serde_json::json!({"code": code, "message": message})
            .to_string()
            .into(),
        Encoding::Protobuf => {
            let mut out = Vec::new();
            let mut writer = crate::protobuf::Writer::new(&mut out);
            writer.varint(1, u64::from(code));
            writer.string(2, message);
            out.into()
        }
    }
}

#[cfg(test)]
mod tests;
