//! What arrived, by a walk that reads lengths only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vervet_model::Signal;
use vervet_wire::DecodeError;
use vervet_wire::otlp::{Value, count_records, for_each_log};
use vervet_wire::protobuf::Reader;

/// All that was acknowledged since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    pub requests: u64,
    /// Log records, spans or data points.
    pub records: u64,
    /// Of the requests, decompressed.
    pub bytes: u64,
}

/// One log record, as far as it shows how well its line was understood.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    pub body: String,
    pub severity_number: i32,
    pub time_unix_nano: u64,
    pub has_trace_id: bool,
    /// Attributes as text, the resource's not among them.
    pub attributes: BTreeMap<String, String>,
    /// How many attributes are numbers.
    pub numbers: usize,
}

impl Sample {
    /// The first record of a logs request; an empty one of an empty request.
    ///
    /// # Errors
    /// The request is malformed.
    pub(super) fn first_of(request: &[u8]) -> Result<Self, DecodeError> {
        let mut first = None;
        for_each_log(request, |_, _, record| {
            first.get_or_insert_with(|| Self {
                body: record.body.to_text().into_owned(),
                severity_number: record.severity_number,
                time_unix_nano: record.time_unix_nano,
                has_trace_id: !record.trace_id.is_empty(),
                numbers: record
                    .attributes
                    .iter()
                    .filter(|attribute| matches!(attribute.value, Value::Int(_) | Value::Double(_)))
                    .count(),
                attributes: record
                    .attributes
                    .iter()
                    .map(|attribute| {
                        (
                            attribute.key.to_string(),
                            attribute.value.to_text().into_owned(),
                        )
                    })
                    .collect(),
            });
        })?;
        Ok(first.unwrap_or_default())
    }
}

/// Records of a request. Of logs and spans only the lengths are read.
pub(super) fn count(signal: Signal, request: &[u8]) -> Result<u64, DecodeError> {
    if signal == Signal::Metrics {
        return count_records(signal, request);
    }
    let mut records = 0;
    // Resource groups are field 1 of the request, scope groups field 2 of those, records field 2 of those.
    each(request, 1, &mut |group| {
        each(group, 2, &mut |scope_group| {
            each(scope_group, 2, &mut |_record| {
                records += 1;
                Ok(())
            })
        })
    })?;
    Ok(records)
}

fn each(
    message: &[u8],
    wanted: u32,
    then: &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field()? {
        if number == wanted {
            then(field.bytes(number)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::logs::Logs;
    use crate::generate::spans::{SPANS_PER_TRACE, Spans};

    #[test]
    fn records_are_counted_without_reading_them() {
        let logs = Logs::new(5).request(1_234);
        assert_eq!(count(Signal::Logs, &logs), Ok(1_234));
        let spans = Spans::new(5).request(10);
        assert_eq!(
            count(Signal::Traces, &spans),
            Ok(10 * SPANS_PER_TRACE as u64)
        );
        assert_eq!(count(Signal::Logs, &[]), Ok(0));
        assert!(count(Signal::Logs, &logs[..logs.len() - 1]).is_err());
    }

    #[test]
    fn a_sample_is_the_first_record() {
        let request = Logs::new(5).request(10);
        let sample = Sample::first_of(&request).expect("valid");
        assert_eq!(sample.attributes.len(), 5);
        assert_eq!(sample.numbers, 3);
        assert!(sample.has_trace_id && !sample.body.is_empty(), "{sample:?}");
        assert_eq!(Sample::first_of(&[]), Ok(Sample::default()));
    }
}
