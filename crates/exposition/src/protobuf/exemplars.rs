//! Exemplars, and labels as they stand in them and in metrics.

use vervet_wire::protobuf::Reader;

use super::{ITEMS_MAX, Refused, double, text, timestamp_ms, too_many};
use crate::labels::{LabelSpan, TextSpan};
use crate::point::{Exemplar, Labels};

/// Labels put together.
#[derive(Debug, Default)]
pub(super) struct LabelRoom {
    pub(super) text: String,
    pub(super) spans: Vec<LabelSpan>,
}

impl LabelRoom {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }

    /// Appends a text.
    pub(super) fn push(&mut self, text: &str) -> TextSpan {
        let start = self.text.len();
        self.text.push_str(text);
        TextSpan::new(start, self.text.len())
    }

    pub(super) fn push_label(&mut self, name: &str, value: &str) -> Result<(), Refused> {
        if self.spans.len() >= ITEMS_MAX {
            return Err(too_many("labels"));
        }
        let (name, value) = (self.push(name), self.push(value));
        self.spans.push(LabelSpan { name, value });
        Ok(())
    }

    /// Appends the label of a `LabelPair` message.
    pub(super) fn read_label(&mut self, message: &[u8]) -> Result<(), Refused> {
        let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                1 => name = field.bytes(number)?,
                2 => value = field.bytes(number)?,
                _ => {}
            }
        }
        let (name, value) = (text(name, "label name")?, text(value, "label value")?);
        self.push_label(name, value)
    }
}

/// Exemplars put together.
#[derive(Debug, Default)]
pub(super) struct ExemplarRoom {
    labels: LabelRoom,
    values: Vec<Values>,
}

/// Of one exemplar: where its labels end, and the rest.
#[derive(Debug, Clone, Copy)]
struct Values {
    labels_end: usize,
    value: f64,
    timestamp_ms: Option<i64>,
}

impl ExemplarRoom {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.values.clear();
    }

    /// Appends the exemplar of an `Exemplar` message.
    pub(super) fn read(&mut self, message: &[u8]) -> Result<(), Refused> {
        if self.values.len() >= ITEMS_MAX {
            return Err(too_many("exemplars"));
        }
        let mut values = Values {
            labels_end: 0,
            value: 0.0,
            timestamp_ms: None,
        };
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                1 => self.labels.read_label(field.bytes(number)?)?,
                2 => values.value = double(field, number)?,
                3 => values.timestamp_ms = Some(timestamp_ms(field.bytes(number)?)?),
                _ => {}
            }
        }
        values.labels_end = self.labels.spans.len();
        self.values.push(values);
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Exemplar<'_>> {
        let mut start = 0;
        self.values.iter().map(move |values| {
            let spans = self.labels.spans.get(start..values.labels_end);
            start = values.labels_end;
            Exemplar {
                labels: Labels {
                    text: &self.labels.text,
                    spans: spans.unwrap_or_default(),
                    escaped: false,
                },
                value: values.value,
                timestamp_ms: values.timestamp_ms,
            }
        })
    }
}
