//! Finds log records among decoded ones by what stands in them, in a fraction of the time that reading them again takes.

use arrow::array::{Array as _, AsArray as _, StringArray};
use vervet_model::Signal;

use super::Decoded;
use crate::tables::column;

impl Decoded {
    /// The numbers of the log records that have `byte` in their body or an attribute of a name that `is_name`, ascending.
    /// `None` unless all records of the request are here as they came.
    pub fn logs_with(&self, byte: u8, is_name: impl Fn(&[u8]) -> bool) -> Option<Vec<u32>> {
        let is_as_it_came = self.rejected.is_empty() && self.adjusted.is_empty();
        if self.signal != Signal::Logs || !is_as_it_came {
            return None;
        }
        let batch = self.batch()?;
        let bodies = batch.column_by_name(column::BODY)?.as_string_opt::<i32>()?;
        let attributes = batch.column_by_name(column::ATTRIBUTES)?.as_map_opt()?;
        let keys = attributes.keys().as_string_opt::<i32>()?;
        let mut found = texts_with(bodies, byte);
        let named = texts_that(keys, is_name).into_iter();
        found.extend(named.map(|entry| holder(attributes.value_offsets(), entry)));
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|row| u32::try_from(row).ok())
            .collect()
    }
}

/// The numbers of the texts that hold a byte.
fn texts_with(texts: &StringArray, byte: u8) -> Vec<usize> {
    let offsets = texts.value_offsets();
    let mut found = Vec::new();
    let mut from = offset(offsets, 0);
    let end = offset(offsets, texts.len());
    while let Some(rest) = texts.value_data().get(from..end)
        && let Some(at) = memchr::memchr(byte, rest)
    {
        let text = holder(offsets, from + at);
        found.push(text);
        from = offset(offsets, text + 1);
    }
    found
}

/// The numbers of the texts that are as asked for.
fn texts_that(texts: &StringArray, is: impl Fn(&[u8]) -> bool) -> Vec<usize> {
    let (offsets, data) = (texts.value_offsets(), texts.value_data());
    let text = |number: &usize| data.get(offset(offsets, *number)..offset(offsets, number + 1));
    (0..texts.len())
        .filter(|number| text(number).is_some_and(&is))
        .collect()
}

fn offset(offsets: &[i32], at: usize) -> usize {
    let offset = offsets.get(at).copied().unwrap_or_default();
    usize::try_from(offset).unwrap_or_default()
}

/// Which of those that begin at `offsets` holds what stands at `place`.
fn holder(offsets: &[i32], place: usize) -> usize {
    let is_before = |offset: &i32| usize::try_from(*offset).is_ok_and(|offset| offset <= place);
    offsets.partition_point(is_before).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use vervet_model::UnixNanos;
    use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value, write_resource_logs};

    use super::super::{DecodeOptions, decode};
    use super::*;

    fn decoded(records: &[(&'static str, &[&'static str])], options: &DecodeOptions) -> Decoded {
        let mut body = Vec::new();
        write_resource_logs(&mut body, &Resource::default(), &Scope::default(), |out| {
            for (text, names) in records {
                let names = names.iter();
                out.push(&LogRecord {
                    time_unix_nano: 1_700_000_000_000_000_000,
                    body: Value::from(*text),
                    attributes: names.map(|name| KeyValue::new(*name, "1")).collect(),
                    ..LogRecord::default()
                });
            }
        });
        let now = UnixNanos(1_700_000_000_000_000_000);
        decode(Signal::Logs, &body, options, now).expect("well-formed")
    }

    #[test]
    fn records_are_found_by_body_and_by_name() {
        let records: [(&str, &[&str]); 7] = [
            ("one line", &[]),
            ("two\nlines", &["a"]),
            ("", &["a", "err"]),
            ("\n\n\n", &["err", "b"]),
            ("ends\n", &[]),
            ("\nbegins", &[]),
            ("err", &["errors", ""]),
        ];
        let decoded = decoded(&records, &DecodeOptions::default());
        let found = decoded.logs_with(b'\n', |name| name == b"err");
        assert_eq!(found, Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(decoded.logs_with(b'!', |_| false), Some(vec![]));
        assert_eq!(decoded.logs_with(b'!', <[u8]>::is_empty), Some(vec![6]));
    }

    #[test]
    fn nothing_is_said_of_records_that_were_cut() {
        let options = DecodeOptions {
            body_bytes_max: 4,
            ..DecodeOptions::default()
        };
        let decoded = decoded(&[("long\nbody", &[])], &options);
        assert_eq!(decoded.logs_with(b'\n', |_| false), None);
    }
}
