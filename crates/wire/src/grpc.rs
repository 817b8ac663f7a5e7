//! OTLP/gRPC without message types: bodies pass as bytes, so that nothing is decoded twice.
//!
//! [`routes`] serves the three export services in front of an [`OtlpSink`]; [`Client`] calls them.

mod client;
mod server;

pub use client::{Client, NoAnswer};
pub use server::routes;

use std::time::Duration;

use bytes::Bytes;
use tonic::{Code, Status};
use vervet_model::Signal;

use crate::protobuf::Writer;
use crate::receiver::{AGENT_ID_KEY, Refusal, SEQUENCE_KEY, Source, source_from};

const RETRY_INFO_TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The fully qualified service names of OTLP.
fn service_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "opentelemetry.proto.collector.logs.v1.LogsService",
        Signal::Metrics => "opentelemetry.proto.collector.metrics.v1.MetricsService",
        Signal::Traces => "opentelemetry.proto.collector.trace.v1.TraceService",
    }
}

fn source_of(headers: &http::HeaderMap) -> Result<Option<Source>, Refusal> {
    // A value that is not text is as good as an empty one: present and refused.
    let text = |key| {
        headers
            .get(key)
            .map(|value| value.to_str().unwrap_or_default())
    };
    source_from(text(AGENT_ID_KEY), text(SEQUENCE_KEY))
}

/// The gRPC status of a refusal. Retryable ones carry `grpc-retry-pushback-ms` and a `google.rpc.RetryInfo`, without
/// which senders take `RESOURCE_EXHAUSTED` for final.
fn status_of(refusal: &Refusal) -> Status {
    let (code, retry_after) = match refusal {
        Refusal::Invalid(_) => (Code::InvalidArgument, None),
        Refusal::TooLarge { .. } | Refusal::NoRoomEver { .. } => (Code::ResourceExhausted, None),
        Refusal::Overloaded { retry_after } => (Code::ResourceExhausted, Some(retry_after)),
        Refusal::Unavailable { retry_after, .. } => (Code::Unavailable, Some(retry_after)),
    };
    let message = refusal.to_string();
    let mut status = match retry_after {
        Some(delay) => {
            let details = retry_info(code, &message, *delay);
            Status::with_details(code, message, details)
        }
        None => Status::new(code, message),
    };
    if let Some(Ok(value)) = retry_after.map(|delay| delay.as_millis().to_string().parse()) {
        status
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", value);
    }
    status
}

/// A `google.rpc.Status` with one detail: `RetryInfo { retry_delay }`.
fn retry_info(code: Code, message: &str, delay: Duration) -> Bytes {
    let nested = |number: u32, write: &dyn Fn(&mut Writer<'_>)| {
        let mut inner = Vec::new();
        write(&mut Writer::new(&mut inner));
        let mut outer = Vec::new();
        Writer::new(&mut outer).bytes(number, &inner);
        outer
    };
    let info = nested(1, &|duration| {
        duration.varint(1, delay.as_secs());
        duration.varint(2, u64::from(delay.subsec_nanos()));
    });
    let detail = nested(3, &|any| {
        any.string(1, RETRY_INFO_TYPE);
        any.bytes(2, &info);
    });
    let mut status = Vec::new();
    let mut writer = Writer::new(&mut status);
    writer.varint(1, u64::from(code as i32 as u32));
    writer.string(2, message);
    status.extend_from_slice(&detail);
    status.into()
}

#[cfg(test)]
mod tests;
