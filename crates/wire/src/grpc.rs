//! OTLP/gRPC without message types: bodies pass as bytes, so that nothing is decoded twice.
//!
//! [`routes`] serves the three export services in front of an [`OtlpSink`]; [`Client`] calls them.

mod client;
mod codec;
mod server;

pub use client::Client;
pub use server::routes;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use vervet_model::Signal;

use crate::receiver::{AGENT_ID_KEY, Refusal, SEQUENCE_KEY, Source, source_from};

/// The fully qualified service names of OTLP.
fn service_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "opentelemetry.proto.collector.logs.v1.LogsService",
        Signal::Metrics => "opentelemetry.proto.collector.metrics.v1.MetricsService",
        Signal::Traces => "opentelemetry.proto.collector.trace.v1.TraceService",
    }
}

fn source_of(metadata: &MetadataMap) -> Result<Option<Source>, Refusal> {
    // A value that is not text is as good as an empty one: present and refused.
    let text = |key| {
        metadata
            .get(key)
            .map(|value| value.to_str().unwrap_or_default())
    };
    source_from(text(AGENT_ID_KEY), text(SEQUENCE_KEY))
}

/// The gRPC status of a refusal. Retryable ones carry `grpc-retry-pushback-ms`.
fn status_of(refusal: &Refusal) -> Status {
    let (code, retry_after) = match refusal {
        Refusal::Invalid(_) => (Code::InvalidArgument, None),
        Refusal::TooLarge { .. } => (Code::ResourceExhausted, None),
        Refusal::Overloaded { retry_after } => (Code::Unavailable, Some(retry_after)),
        Refusal::Unavailable { retry_after, .. } => (Code::Unavailable, Some(retry_after)),
    };
    let mut status = Status::new(code, refusal.to_string());
    if let Some(Ok(value)) = retry_after.map(|delay| delay.as_millis().to_string().parse()) {
        status
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", value);
    }
    status
}

#[cfg(test)]
mod tests;
