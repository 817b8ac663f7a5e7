//! Native histograms as exponential histograms of OTLP.
//!
//! A schema is a scale, and a bucket of Prometheus is the one before it of OTLP. Buckets of OTLP lie in a row: where there
//! are too many between the first and the last of a side, two become one until they fit.

use vervet_exposition::{Buckets, Count, Counts, NativeHistogram};
use vervet_wire::protobuf::Writer;

/// Buckets of a side.
const BUCKETS_MAX: i64 = 4_096;
/// OTLP's coarsest scale.
const SCALE_MIN: i32 = -10;
/// The schemas with exponential buckets.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
/// Doubles below hold all integers.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A histogram put into rows; its room is used again.
#[derive(Debug, Default)]
pub(super) struct Rows {
    count: u64,
    zero_count: u64,
    scale: i32,
    positive: Row,
    negative: Row,
}

#[derive(Debug, Default)]
struct Row {
    offset: i32,
    counts: Vec<u64>,
}

impl Rows {
    /// Takes in a histogram; `None` when OTLP has no form for it: it may fall, or has bounds or counts of its own kind.
    pub(super) fn fill(&mut self, histogram: &NativeHistogram<'_>) -> Option<()> {
        if histogram.is_gauge || !SCHEMAS.contains(&histogram.schema) {
            return None;
        }
        self.count = whole(histogram.count)?;
        self.zero_count = whole(histogram.zero_count)?;
        let (positive, negative) = (histogram.positive, histogram.negative);
        let ranges = [range(positive), range(negative)];
        let mut merged = 0;
        let is_wide = |merged: u32| {
            let mut ranges = ranges.iter().flatten();
            ranges.any(|(first, last)| (last >> merged) - (first >> merged) >= BUCKETS_MAX)
        };
        while is_wide(merged) {
            merged += 1;
        }
        self.scale = histogram.schema - i32::try_from(merged).ok()?;
        if self.scale < SCALE_MIN {
            return None;
        }
        self.positive.fill(positive, ranges[0], merged)?;
        self.negative.fill(negative, ranges[1], merged)
    }

    /// Writes the fields of a point but its flags.
    pub(super) fn write(
        &self,
        w: &mut Writer<'_>,
        histogram: &NativeHistogram<'_>,
        start_unix_nano: u64,
        time_unix_nano: u64,
    ) {
        w.fixed64(2, start_unix_nano);
        w.fixed64(3, time_unix_nano);
        w.fixed64(4, self.count);
        w.fixed64_always(5, histogram.sum.to_bits());
        w.sint32(6, self.scale);
        w.fixed64(7, self.zero_count);
        self.positive.write(w, 8);
        self.negative.write(w, 9);
        w.fixed64(14, histogram.zero_threshold.to_bits());
    }
}

impl Row {
    fn fill(&mut self, buckets: Buckets<'_>, range: Option<(i64, i64)>, merged: u32) -> Option<()> {
        self.counts.clear();
        self.offset = 0;
        let Some((first, last)) = range else {
            return Some(());
        };
        let (first, last) = (first >> merged, last >> merged);
        self.offset = i32::try_from(first).ok()?;
        self.counts
            .resize(usize::try_from(last - first + 1).ok()?, 0);
        for (at, place) in places(buckets).enumerate() {
            let count = match buckets.counts {
                Counts::Integer(counts) => u64::try_from(*counts.get(at)?).ok()?,
                Counts::Float(counts) => whole(Count::Float(*counts.get(at)?))?,
            };
            let place = usize::try_from((place >> merged) - first).ok()?;
            let bucket = self.counts.get_mut(place)?;
            *bucket = bucket.checked_add(count)?;
        }
        Some(())
    }

    fn write(&self, w: &mut Writer<'_>, field: u32) {
        if self.counts.is_empty() {
            return;
        }
        w.message_of(field, 2, |w| {
            w.sint32(1, self.offset);
            w.packed_varint(2, &self.counts);
        });
    }
}

/// The places of buckets as OTLP counts them.
fn places(buckets: Buckets<'_>) -> impl Iterator<Item = i64> {
    let mut next = -1_i64;
    buckets.spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    })
}

/// The first and the last place.
fn range(buckets: Buckets<'_>) -> Option<(i64, i64)> {
    let mut next = -1_i64;
    let mut range: Option<(i64, i64)> = None;
    for span in buckets.spans {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        if span.length > 0 {
            let start = range.map_or(first, |(start, _)| start);
            range = Some((start, next - 1));
        }
    }
    range
}

/// A count that is a whole number.
fn whole(count: Count) -> Option<u64> {
    match count {
        Count::Integer(count) => Some(count),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and within the range"
        )]
        Count::Float(count) if count.fract() == 0.0 && (0.0..=INTEGER_MAX).contains(&count) => {
            Some(count as u64)
        }
        Count::Float(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use vervet_exposition::Span;

    use super::*;

    fn histogram<'a>(schema: i32, spans: &'a [Span], counts: &'a [i64]) -> NativeHistogram<'a> {
        NativeHistogram {
            series: b"h",
            labels: None,
            timestamp_ms: None,
            start_ms: None,
            is_gauge: false,
            schema,
            count: Count::Integer(9),
            sum: 1.5,
            zero_threshold: 0.001,
            zero_count: Count::Integer(2),
            positive: Buckets {
                spans,
                counts: Counts::Integer(counts),
            },
            negative: Buckets {
                spans: &[],
                counts: Counts::Integer(&[]),
            },
            exemplars: &[],
        }
    }

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    #[test]
    fn spans_become_one_row() {
        let mut rows = Rows::default();
        let spans = [span(-2, 2), span(3, 1)];
        rows.fill(&histogram(3, &spans, &[1, 2, 4]))
            .expect("it has a form");
        // The bucket of index 1 of Prometheus is that of index 0 here.
        assert_eq!((rows.scale, rows.positive.offset), (3, -3));
        assert_eq!(rows.positive.counts, [1, 2, 0, 0, 0, 4]);
        assert!(rows.negative.counts.is_empty());
        assert_eq!((rows.count, rows.zero_count), (9, 2));
        // The room is used again.
        rows.fill(&histogram(0, &[span(1, 1)], &[5]))
            .expect("it has a form");
        assert_eq!(
            (rows.positive.offset, rows.positive.counts.as_slice()),
            (0, [5].as_slice())
        );
    }

    #[test]
    fn buckets_far_apart_are_merged_until_they_fit() {
        let mut rows = Rows::default();
        let spans = [span(1, 2), span(9_000, 2)];
        rows.fill(&histogram(8, &spans, &[1, 2, 3, 4]))
            .expect("it has a form");
        assert_eq!(rows.scale, 6);
        assert!(rows.positive.counts.len() <= 4_096);
        assert_eq!(rows.positive.counts.iter().sum::<u64>(), 10);
        // The places 0 and 1, and 9,002 and 9,003, of which four become one.
        assert_eq!(rows.positive.counts.first(), Some(&3));
        assert_eq!(rows.positive.counts.last(), Some(&7));
        let too_far = [span(1, 1), span(i32::MAX, 1)];
        assert_eq!(rows.fill(&histogram(-4, &too_far, &[1, 1])), None);
    }

    #[test]
    fn what_otlp_has_no_form_for_is_told() {
        let mut rows = Rows::default();
        let mut gauge = histogram(0, &[], &[]);
        gauge.is_gauge = true;
        assert_eq!(rows.fill(&gauge), None);
        assert_eq!(rows.fill(&histogram(-53, &[], &[])), None);
        let mut float = histogram(0, &[], &[]);
        float.count = Count::Float(1.5);
        assert_eq!(rows.fill(&float), None);
        float.count = Count::Float(3.0);
        assert_eq!(rows.fill(&float), Some(()));
        assert_eq!(rows.count, 3);
    }
}
