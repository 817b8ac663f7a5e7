//! The answers of metric queries: JSON written straight from the samples, charged to the query's memory until the
//! last byte has gone to the client. Long ones are written in pieces, on several threads.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use parking_lot::Mutex;
use vervet_model::{DoubleText, Labels};
use vervet_promql::{
    Charge, InstantSample, MemoryError, QueryError, QueryOutput, Sample, Series, Value, ValueText,
};

use crate::parallel::in_parallel;

/// The first room of a piece.
const ROOM_BYTES: usize = 4 << 10;
/// Samples of a piece, about; a piece has whole series.
const PIECE_SAMPLES: usize = 16 << 10;
/// What a sample takes as text at least, unless its time is from the first years.
const SAMPLE_BYTES: usize = 16;
/// What the memory of it is called in errors.
const WHAT: &str = "the text of the answer";
/// Threads that write one answer.
const THREADS_MAX: usize = 4;

/// The answer to a query, with what its user should know.
///
/// # Errors
/// There is no memory for the answer.
pub(super) async fn query_answer(output: QueryOutput) -> Result<Response, QueryError> {
    // A large answer takes long to write.
    let pieces = tokio::task::spawn_blocking(move || pieces(output))
        .await
        .map_err(|error| QueryError::Execution(error.to_string()))??;
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let pieces = pieces.into_iter().map(Ok::<_, io::Error>);
    let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

/// The text of an answer, in order.
fn pieces(output: QueryOutput) -> Result<Vec<Bytes>, QueryError> {
    let QueryOutput {
        value,
        warnings,
        infos,
        memory,
        ..
    } = output;
    let memory = Arc::new(Mutex::new(memory));
    let answer = Answer {
        value: &value,
        notes: [("warnings", &warnings), ("infos", &infos)],
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let written = in_parallel(cores.min(THREADS_MAX), &answer.ranges(), |range| {
        piece(&answer, range.clone(), &memory)
    })?;
    drop(value);
    let held = written.iter().map(Vec::capacity).sum();
    memory.lock().keep_only(held);
    let held = written.into_iter().map(|bytes| {
        Bytes::from_owner(Held {
            bytes,
            _memory: Arc::clone(&memory),
        })
    });
    Ok(held.collect())
}

fn piece(
    answer: &Answer<'_>,
    elements: Range<usize>,
    memory: &Mutex<Charge>,
) -> Result<Vec<u8>, QueryError> {
    let mut writer = ChargedWriter {
        bytes: Vec::new(),
        room_min: ROOM_BYTES.max(answer.samples(elements.clone()) * SAMPLE_BYTES),
        memory,
        refused: None,
    };
    let written = AnswerWriter::new(&mut writer).piece(answer, elements);
    let ChargedWriter { bytes, refused, .. } = writer;
    match (refused, written) {
        (Some(refused), _) => Err(refused.into()),
        (None, Err(error)) => Err(QueryError::Execution(error.to_string())),
        (None, Ok(())) => Ok(bytes),
    }
}

/// A piece of an answer, and the memory of the whole, on the way to the client.
struct Held {
    bytes: Vec<u8>,
    _memory: Arc<Mutex<Charge>>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is to be written.
struct Answer<'v> {
    value: &'v Value,
    /// By name.
    notes: [(&'static str, &'v [String]); 2],
}

impl Answer<'_> {
    /// Elements of a vector or matrix.
    fn elements(&self) -> usize {
        match self.value {
            Value::Vector(samples) => samples.len(),
            Value::Matrix(series) => series.len(),
            Value::Scalar(_) | Value::String { .. } => 0,
        }
    }

    fn samples(&self, elements: Range<usize>) -> usize {
        match self.value {
            Value::Matrix(series) => {
                let series = series.get(elements).unwrap_or_default();
                series.iter().map(|series| series.samples.len()).sum()
            }
            _ => elements.len(),
        }
    }

    /// The elements of each piece; at least one piece.
    fn ranges(&self) -> Vec<Range<usize>> {
        let (mut ranges, mut start, mut samples) = (Vec::new(), 0, 0);
        for element in 0..self.elements() {
            if samples >= PIECE_SAMPLES {
                ranges.push(start..element);
                (start, samples) = (element, 0);
            }
            // Labels count as well.
            samples += 1 + self.samples(element..element + 1);
        }
        ranges.push(start..self.elements());
        ranges
    }
}

/// Writes to memory that is charged before it is taken.
struct ChargedWriter<'c> {
    bytes: Vec<u8>,
    /// What is taken first.
    room_min: usize,
    memory: &'c Mutex<Charge>,
    refused: Option<MemoryError>,
}

impl io::Write for ChargedWriter<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let needed = self.bytes.len().saturating_add(more.len());
        let room = self.bytes.capacity();
        if needed > room {
            let larger = needed.max(room.saturating_mul(2)).max(self.room_min);
            let charged = self.memory.lock().grow(larger - room, WHAT);
            if let Err(error) = charged {
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

    /// `{"status": "success", "data": {"resultType": ..., "result": ...}, "warnings": [...], "infos": [...]}`: the first
    /// piece has what is before the elements, the last what is after them.
    fn piece(&mut self, answer: &Answer<'_>, elements: Range<usize>) -> io::Result<()> {
        let is_last = elements.end == answer.elements();
        if elements.start == 0 {
            let kind = answer.value.result_type();
            self.out.write_all(br#"{"status":"success","data":"#)?;
            write!(self.out, "{{\"resultType\":\"{kind}\",\"result\":")?;
        }
        self.result(answer.value, elements)?;
        if is_last {
            self.out.write_all(b"}")?;
            self.notes(answer)?;
        }
        Ok(())
    }

    fn notes(&mut self, answer: &Answer<'_>) -> io::Result<()> {
        for (name, notes) in answer.notes {
            if !notes.is_empty() {
                write!(self.out, ",\"{name}\":")?;
                serde_json::to_writer(&mut self.out, notes)?;
            }
        }
        self.out.write_all(b"}")
    }

    fn result(&mut self, value: &Value, elements: Range<usize>) -> io::Result<()> {
        match value {
            Value::Scalar(sample) => self.point(b"", *sample),
            Value::String { timestamp, value } => {
                self.scratch.clear();
                self.scratch.push(b'[');
                self.seconds(*timestamp);
                self.scratch.push(b',');
                serde_json::to_writer(&mut self.scratch, value)?;
                self.scratch.push(b']');
                self.out.write_all(&self.scratch)
            }
            Value::Vector(samples) => self.list(samples, elements, Self::instant),
            Value::Matrix(series) => self.list(series, elements, Self::series),
        }
    }

    /// Some elements of a list, with what is before the first and after the last.
    fn list<T>(
        &mut self,
        all: &[T],
        elements: Range<usize>,
        write: impl Fn(&mut Self, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_last = elements.end == all.len();
        if elements.start == 0 {
            self.out.write_all(b"[")?;
        }
        for (index, element) in elements.clone().zip(all.get(elements).unwrap_or_default()) {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            write(self, element)?;
        }
        if is_last {
            self.out.write_all(b"]")?;
        }
        Ok(())
    }

    fn instant(&mut self, element: &InstantSample) -> io::Result<()> {
        self.metric(&element.labels, "value")?;
        self.point(b"", element.sample)?;
        self.out.write_all(b"}")
    }

    fn series(&mut self, series: &Series) -> io::Result<()> {
        self.metric(&series.labels, "values")?;
        self.out.write_all(b"[")?;
        for (index, sample) in series.samples.iter().enumerate() {
            let before: &[u8] = if index > 0 { b"," } else { b"" };
            self.point(before, *sample)?;
        }
        self.out.write_all(b"]}")
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
