//! OTLP and Prometheus remote write on the wire.
//!
//! In: request bodies of OTLP/gRPC and OTLP/HTTP (protobuf or JSON, gzip or zstd), as untrusted bytes.
//! Out: one uncompressed protobuf body per request, and borrowed views over it ([`otlp`]) from which the
//! store fills its columns and the agent's pipelines read. The same types encode: what the agent collects
//! is written straight to protobuf, no intermediate tree of messages. [`remote_write`] reads Prometheus's own protocol.
//!
//! Limits, all checked before memory is taken: a body at most [`BODY_BYTES_MAX`] before and after
//! decompression, [`REQUEST_ITEMS_MAX`] records in it, [`DECODED_BYTES_MAX`] for a decoded record, [`NESTING_MAX`] levels of
//! attribute values, [`LIST_ITEMS_MAX`] attributes of a record. What a body takes beyond its own bytes while it is
//! decompressed, turned from JSON or decoded is asked for as [`Room`] first.

pub mod base64;
pub mod compress;
pub mod grpc;
pub mod http;
pub mod listen;
pub mod otlp;
pub mod protobuf;
pub mod receiver;
pub mod remote_write;
mod room;

pub use protobuf::DecodeError;
pub use receiver::{
    Accepted, Coding, LANES, OtlpRequest, OtlpSink, Protocol, Received, Refusal, RefusedRequest,
    Source,
};
pub use room::{Room, Unlimited};

/// Largest request body, compressed and decompressed (bytes).
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// Attributes of one record, or items of one array or map. An empty one takes two bytes on the wire and fifty in memory.
pub const LIST_ITEMS_MAX: usize = 16_384;

/// Resource groups, scope groups, log records, spans, metrics and data points of one request.
pub const REQUEST_ITEMS_MAX: usize = 1 << 18;

/// What one record may take in memory once it is decoded (bytes).
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// Deepest nesting of arrays and maps inside one attribute value or log body.
pub const NESTING_MAX: usize = 32;
