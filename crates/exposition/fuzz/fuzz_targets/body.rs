//! Any bytes as a body in each format: it is read or refused, the same whole and in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vervet_exposition::{Format, Limits, NativeHistogram, ParseError, Parser, Sample, Sink};

/// Looks at everything there is to a sample, and counts.
#[derive(Default, PartialEq, Debug)]
struct Reading {
    samples: usize,
    histograms: usize,
    bytes: usize,
}

impl Sink for Reading {
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        self.samples += 1;
        if let Some(labels) = &sample.labels {
            self.bytes += labels.name().len();
            self.bytes += labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        }
        if let Some(exemplar) = &sample.exemplar {
            self.bytes += exemplar.labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        }
        Ok(())
    }

    fn histogram(&mut self, histogram: &NativeHistogram<'_>) -> Result<(), String> {
        self.histograms += 1;
        self.bytes += histogram.positive.counts.len() + histogram.negative.counts.len();
        Ok(())
    }
}

fn read(format: Format, body: &[u8], piece: usize) -> Result<Reading, ParseError> {
    let limits = Limits { line_bytes: 4_096, message_bytes: 4_096 };
    let (mut parser, mut reading) = (Parser::new(format, limits), Reading::default());
    for piece in body.chunks(piece) {
        parser.feed(piece, &mut reading)?;
    }
    parser.finish(&mut reading)?;
    Ok(reading)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, body) = input;
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let whole = read(format, body, body.len().max(1));
        assert_eq!(whole, read(format, body, usize::from(piece).max(1)));
    }
});
