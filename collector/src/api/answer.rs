//! The answers of metric queries: JSON written straight from the samples, charged to the query's memory until the
//! last byte has gone to the client.

use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::ser::{Serialize, SerializeMap, SerializeTuple, Serializer};
use vervet_model::Labels;
use vervet_promql::{
    Charge, InstantSample, MemoryError, QueryError, QueryOutput, Sample, Series, Value,
    format_value,
};

/// The first room of an answer.
const ROOM_BYTES: usize = 4 << 10;

/// The answer to a query, with what its user should know.
///
/// # Errors
/// There is no memory for the answer.
pub(super) async fn query_answer(output: QueryOutput) -> Result<Response, QueryError> {
    // A large answer takes long to write.
    let body = tokio::task::spawn_blocking(move || body(output))
        .await
        .map_err(|error| QueryError::Execution(error.to_string()))??;
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn body(output: QueryOutput) -> Result<Bytes, QueryError> {
    let mut writer = ChargedWriter {
        bytes: Vec::new(),
        memory: &output.memory,
        refused: None,
    };
    let written = serde_json::to_writer(&mut writer, &Answer(&output));
    let ChargedWriter { bytes, refused, .. } = writer;
    match (refused, written) {
        (Some(refused), _) => return Err(refused.into()),
        (None, Err(error)) => return Err(QueryError::Execution(error.to_string())),
        (None, Ok(())) => {}
    }
    let QueryOutput { value, memory, .. } = output;
    drop(value);
    memory.keep_only(bytes.capacity());
    Ok(Bytes::from_owner(Held {
        bytes,
        _memory: memory,
    }))
}

/// An answer, and the memory it is charged with, on the way to the client.
struct Held {
    bytes: Vec<u8>,
    _memory: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes to memory that is charged before it is taken.
struct ChargedWriter<'c> {
    bytes: Vec<u8>,
    memory: &'c Charge,
    refused: Option<MemoryError>,
}

impl io::Write for ChargedWriter<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let needed = self.bytes.len().saturating_add(more.len());
        let room = self.bytes.capacity();
        if needed > room {
            let larger = needed.max(room.saturating_mul(2)).max(ROOM_BYTES);
            if let Err(error) = self.memory.grow(larger - room, "the text of the answer") {
                self.refused = Some(error);
                return Err(io::Error::other(error));
            }
            self.bytes.reserve_exact(larger - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `{"status": "success", "data": ..., "warnings": [...], "infos": [...]}`.
struct Answer<'a>(&'a QueryOutput);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        answer.serialize_entry("status", "success")?;
        answer.serialize_entry("data", &Data(&self.0.value))?;
        for (name, notes) in [("warnings", &self.0.warnings), ("infos", &self.0.infos)] {
            if !notes.is_empty() {
                answer.serialize_entry(name, notes)?;
            }
        }
        answer.end()
    }
}

/// `{"resultType": ..., "result": ...}`.
struct Data<'a>(&'a Value);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_map(Some(2))?;
        data.serialize_entry("resultType", self.0.result_type())?;
        data.serialize_entry("result", &Content(self.0))?;
        data.end()
    }
}

struct Content<'a>(&'a Value);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Scalar(sample) => Point(sample).serialize(serializer),
            Value::String { timestamp, value } => {
                (Seconds(*timestamp), value).serialize(serializer)
            }
            Value::Vector(samples) => serializer.collect_seq(samples.iter().map(Instant)),
            Value::Matrix(series) => serializer.collect_seq(series.iter().map(Points)),
        }
    }
}

struct Instant<'a>(&'a InstantSample);

impl Serialize for Instant<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut element = serializer.serialize_map(Some(2))?;
        element.serialize_entry("metric", &LabelSet(&self.0.labels))?;
        element.serialize_entry("value", &Point(&self.0.sample))?;
        element.end()
    }
}

struct Points<'a>(&'a Series);

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut element = serializer.serialize_map(Some(2))?;
        element.serialize_entry("metric", &LabelSet(&self.0.labels))?;
        element.serialize_entry("values", &List(&self.0.samples))?;
        element.end()
    }
}

struct List<'a>(&'a [Sample]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Point))
    }
}

/// `[1.5, "0.25"]`.
struct Point<'a>(&'a Sample);

impl Serialize for Point<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Seconds(self.0.timestamp))?;
        pair.serialize_element(&format_value(self.0.value))?;
        pair.end()
    }
}

struct LabelSet<'a>(&'a Labels);

impl Serialize for LabelSet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|label| (&*label.name, &*label.value)))
    }
}

/// Milliseconds as seconds; whole ones without a fraction, as Prometheus writes them.
struct Seconds(i64);

impl Serialize for Seconds {
    #[expect(
        clippy::cast_precision_loss,
        reason = "times in milliseconds stay below 2^53 for 285,000 years"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1000 {
            0 => serializer.serialize_i64(self.0 / 1000),
            _ => serializer.serialize_f64(self.0 as f64 / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests;
