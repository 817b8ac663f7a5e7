//! The answers of metric queries: JSON written straight from the samples, charged to the query's memory until the
//! last byte has gone to the client.

use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use vervet_model::{DoubleText, Labels};
use vervet_promql::{Charge, MemoryError, QueryError, QueryOutput, Sample, Value, ValueText};

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
    let written = AnswerWriter::new(&mut writer).answer(&output);
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

/// Writes the JSON of answers as Prometheus does.
struct AnswerWriter<W> {
    out: W,
    /// The text of a sample.
    scratch: Vec<u8>,
    integer: itoa::Buffer,
    fraction: DoubleText,
    value: ValueText,
}

impl<W: io::Write> AnswerWriter<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            scratch: Vec::new(),
            integer: itoa::Buffer::new(),
            fraction: DoubleText::default(),
            value: ValueText::default(),
        }
    }

    /// `{"status": "success", "data": ..., "warnings": [...], "infos": [...]}`.
    fn answer(&mut self, output: &QueryOutput) -> io::Result<()> {
        self.out.write_all(br#"{"status":"success","data":"#)?;
        self.data(&output.value)?;
        for (name, notes) in [("warnings", &output.warnings), ("infos", &output.infos)] {
            if !notes.is_empty() {
                write!(self.out, ",\"{name}\":")?;
                serde_json::to_writer(&mut self.out, notes)?;
            }
        }
        self.out.write_all(b"}")
    }

    /// `{"resultType": ..., "result": ...}`.
    fn data(&mut self, value: &Value) -> io::Result<()> {
        let kind = value.result_type();
        write!(self.out, "{{\"resultType\":\"{kind}\",\"result\":")?;
        match value {
            Value::Scalar(sample) => self.point(b"", *sample)?,
            Value::String { timestamp, value } => {
                self.scratch.clear();
                self.scratch.push(b'[');
                self.seconds(*timestamp);
                self.scratch.push(b',');
                serde_json::to_writer(&mut self.scratch, value)?;
                self.scratch.push(b']');
                self.out.write_all(&self.scratch)?;
            }
            Value::Vector(samples) => self.list(samples, |writer, element| {
                writer.metric(&element.labels, "value")?;
                writer.point(b"", element.sample)?;
                writer.out.write_all(b"}")
            })?,
            Value::Matrix(series) => self.list(series, |writer, series| {
                writer.metric(&series.labels, "values")?;
                writer.out.write_all(b"[")?;
                for (index, sample) in series.samples.iter().enumerate() {
                    let before: &[u8] = if index > 0 { b"," } else { b"" };
                    writer.point(before, *sample)?;
                }
                writer.out.write_all(b"]}")
            })?,
        }
        self.out.write_all(b"}")
    }

    fn list<T>(
        &mut self,
        elements: &[T],
        write: impl Fn(&mut Self, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.out.write_all(b"[")?;
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            write(self, element)?;
        }
        self.out.write_all(b"]")
    }

    /// The beginning of an element, up to its samples.
    fn metric(&mut self, labels: &Labels, samples: &str) -> io::Result<()> {
        self.scratch.clear();
        self.scratch.extend_from_slice(br#"{"metric":{"#);
        for (index, label) in labels.iter().enumerate() {
            if index > 0 {
                self.scratch.push(b',');
            }
            serde_json::to_writer(&mut self.scratch, &*label.name)?;
            self.scratch.push(b':');
            serde_json::to_writer(&mut self.scratch, &*label.value)?;
        }
        self.out.write_all(&self.scratch)?;
        write!(self.out, "}},\"{samples}\":")
    }

    /// `[1.5, "0.25"]` after `before`.
    fn point(&mut self, before: &[u8], sample: Sample) -> io::Result<()> {
        self.scratch.clear();
        self.scratch.extend_from_slice(before);
        self.scratch.push(b'[');
        self.seconds(sample.timestamp);
        self.scratch.extend_from_slice(b",\"");
        let value = self.value.of(sample.value);
        self.scratch.extend_from_slice(value.as_bytes());
        self.scratch.extend_from_slice(b"\"]");
        self.out.write_all(&self.scratch)
    }

    /// Milliseconds as seconds; whole ones without a fraction, as Prometheus writes them.
    #[expect(
        clippy::cast_precision_loss,
        reason = "times in milliseconds stay below 2^53 for 285,000 years"
    )]
    fn seconds(&mut self, millis: i64) {
        let text = match millis % 1000 {
            0 => self.integer.format(millis / 1000),
            _ => self.fraction.of(millis as f64 / 1000.0),
        };
        self.scratch.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests;
