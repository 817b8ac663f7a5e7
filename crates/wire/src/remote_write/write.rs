//! Writes requests.

use std::collections::HashMap;

use super::{Metadata, Series, Version, field};
use crate::protobuf::Writer;

/// Appends a request of series to `out`. Of what is counted only, as many empty messages are written; metadata by version
/// 2.0 only.
pub fn write_series(version: Version, out: &mut Vec<u8>, series: &[Series<'_>]) {
    match version {
        Version::V1 => write_v1(out, series),
        Version::V2 => write_v2(out, series),
    }
}

/// Appends what version 1.0 says of a metric to `out`, which may hold series.
pub fn write_metadata(out: &mut Vec<u8>, name: &[u8], metadata: Metadata<'_>) {
    let mut message = Vec::new();
    let mut writer = Writer::new(&mut message);
    writer.varint(1, metadata.kind.number());
    writer.bytes(2, name);
    writer.bytes(4, metadata.help);
    writer.bytes(5, metadata.unit);
    Writer::new(out).bytes_always(field::V1_METADATA, &message);
}

fn write_v1(out: &mut Vec<u8>, series: &[Series<'_>]) {
    let (mut message, mut label) = (Vec::new(), Vec::new());
    for one in series {
        message.clear();
        for (name, value) in &one.labels {
            label.clear();
            let mut writer = Writer::new(&mut label);
            writer.bytes(1, name);
            writer.bytes(2, value);
            Writer::new(&mut message).bytes_always(field::LABELS, &label);
        }
        write_samples(&mut message, one);
        let mut writer = Writer::new(&mut message);
        for _ in 0..one.exemplars {
            writer.bytes_always(field::V1_EXEMPLARS, &[]);
        }
        for _ in 0..one.histograms {
            writer.bytes_always(field::V1_HISTOGRAMS, &[]);
        }
        Writer::new(out).bytes_always(field::V1_SERIES, &message);
    }
}

fn write_v2(out: &mut Vec<u8>, series: &[Series<'_>]) {
    // The first symbol is the empty one, as the protocol has it.
    let mut symbols = Symbols(HashMap::from([(&[][..], 0)]));
    Writer::new(out).bytes_always(field::V2_SYMBOLS, &[]);
    let (mut message, mut part) = (Vec::new(), Vec::new());
    for one in series {
        message.clear();
        part.clear();
        let mut references = Writer::new(&mut part);
        for (name, value) in &one.labels {
            references.bare_varint(symbols.reference(out, name));
            references.bare_varint(symbols.reference(out, value));
        }
        Writer::new(&mut message).bytes(field::LABELS, &part);
        write_samples(&mut message, one);
        for _ in 0..one.histograms {
            Writer::new(&mut message).bytes_always(field::V2_HISTOGRAMS, &[]);
        }
        for _ in 0..one.exemplars {
            Writer::new(&mut message).bytes_always(field::V2_EXEMPLARS, &[]);
        }
        if let Some(metadata) = one.metadata {
            part.clear();
            let mut writer = Writer::new(&mut part);
            writer.varint(1, metadata.kind.number());
            writer.varint(3, symbols.reference(out, metadata.help));
            writer.varint(4, symbols.reference(out, metadata.unit));
            Writer::new(&mut message).bytes_always(field::V2_METADATA, &part);
        }
        Writer::new(out).bytes_always(field::V2_SERIES, &message);
    }
}

/// The numbers of the texts that stand in a request.
struct Symbols<'s>(HashMap<&'s [u8], u64>);

impl<'s> Symbols<'s> {
    /// Appends a text that does not stand in the request yet.
    fn reference(&mut self, out: &mut Vec<u8>, text: &'s [u8]) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(text).or_insert_with(|| {
            Writer::new(out).bytes_always(field::V2_SYMBOLS, text);
            next
        })
    }
}

fn write_samples(message: &mut Vec<u8>, series: &Series<'_>) {
    let mut part = Vec::new();
    for sample in &series.samples {
        part.clear();
        let mut writer = Writer::new(&mut part);
        writer.fixed64(1, sample.value.to_bits());
        writer.varint(2, sample.time_ms.cast_unsigned());
        Writer::new(message).bytes_always(field::SAMPLES, &part);
    }
}
