//! Which of two encodings is smaller for integers, judged by a sample.
//!
//! Differences serve values that grow or lie close to their neighbours: their size is that of the widest of 32. Values
//! from a wide range, most of them small, take less as they are: zstd sees their zeros, and how often other bytes are there.

use arrow::array::Int64Array;

/// Values that are looked at.
const SAMPLE_MAX: usize = 4_096;
/// Fewer say nothing.
const SAMPLE_MIN: usize = 256;
/// Values that share a width as differences.
const WIDTH_VALUES: usize = 32;
/// Bits that a value takes beyond what its bytes say, each for itself: zstd does not know which byte of a value it sees.
const MIXED_BITS: f64 = 4.0;

/// Whether values as they are take less than differences.
pub(super) fn lie_apart(values: &Int64Array) -> bool {
    let sample: Vec<i64> = values.iter().flatten().take(SAMPLE_MAX).collect();
    sample.len() >= SAMPLE_MIN && difference_bits(&sample) > byte_bits(&sample) + MIXED_BITS
}

/// Bits of a value as a difference.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn difference_bits(values: &[i64]) -> f64 {
    let pairs = values.iter().zip(values.iter().skip(1));
    let differences: Vec<i64> = pairs.map(|(a, b)| b.wrapping_sub(*a)).collect();
    let bits: u64 = differences
        .chunks(WIDTH_VALUES)
        .map(|chunk| {
            let least = chunk.iter().min().copied().unwrap_or(0);
            let most = chunk.iter().max().copied().unwrap_or(0);
            let width = u64::BITS - most.wrapping_sub(least).cast_unsigned().leading_zeros();
            u64::from(width) * chunk.len() as u64
        })
        .sum();
    bits as f64 / differences.len().max(1) as f64
}

/// Bits of a value of which each byte is told by how often it stands there.
fn byte_bits(values: &[i64]) -> f64 {
    (0..8).map(|byte| entropy(values, 8 * byte)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn entropy(values: &[i64], shift: u32) -> f64 {
    let mut counts = [0_u32; 256];
    for value in values {
        let [byte, ..] = (value >> shift).to_le_bytes();
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let all = values.len() as f64;
    let parts = counts.iter().filter(|count| **count > 0);
    parts
        .map(|count| {
            let part = f64::from(*count) / all;
            -part * part.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> impl Iterator<Item = u64> {
        let mut state = 7_u64;
        std::iter::repeat_with(move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        })
    }

    fn check(values: impl Iterator<Item = u64>, expect: bool) {
        let values: Vec<i64> = values.take(2_000).map(u64::cast_signed).collect();
        assert_eq!(
            lie_apart(&Int64Array::from(values.clone())),
            expect,
            "{:?}",
            values.get(..20)
        );
    }

    #[test]
    fn values_of_a_wide_range_lie_apart_and_counters_do_not() {
        check(random().map(|n| (n >> 5) >> (n % 22)), true);
        check(
            random().scan(0, |sum, n| {
                Some({
                    *sum += n % 1_000;
                    *sum
                })
            }),
            false,
        );
        check(std::iter::repeat(200), false);
        check(random().take(100), false);
    }
}
