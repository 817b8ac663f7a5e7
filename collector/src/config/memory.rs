//! What the limits are when the memory is small: parts of what the process may take.
//!
//! All together they take about four fifths of it, so that a machine of 4 GiB or more has every default of
//! [`Limits`] and a container of 512 MiB lives through the same load: it refuses more.

use super::Limits;

/// Of the memory allowed: one part in so many.
const HEAD_PART: u64 = 32;
const INFLIGHT_PART: u64 = 16;
const QUERY_PART: u64 = 16;
const QUERY_CACHE_PART: u64 = 128;
const COMPACTION_PART: u64 = 32;
/// A series takes about 1 KiB, and a quarter of the memory may go to them.
const BYTES_A_SERIES: u64 = 4 << 10;
/// Samples and series of one query of metrics, and how many run at once.
const BYTES_A_SAMPLE_READ: u64 = 256;
const BYTES_A_SERIES_READ: u64 = 16 << 10;
const BYTES_A_QUERY: u64 = 256 << 20;
const QUERIES_MIN: usize = 2;

/// `limits`, and none larger than its part of `allowed` bytes.
pub(super) fn within(allowed: u64, limits: Limits) -> Limits {
    let part = |whole: usize, part: u64| whole.min(number(allowed / part));
    // A request must fit.
    let inflight = part(limits.inflight_bytes, INFLIGHT_PART).max(limits.request_bytes);
    let head_bytes = part(limits.head_bytes, HEAD_PART);
    Limits {
        inflight_bytes: inflight,
        head_bytes,
        series: part(limits.series, BYTES_A_SERIES),
        query_memory_bytes: part(limits.query_memory_bytes, QUERY_PART),
        query_cache_bytes: part(limits.query_cache_bytes, QUERY_CACHE_PART),
        query_samples: part(limits.query_samples, BYTES_A_SAMPLE_READ),
        query_series: part(limits.query_series, BYTES_A_SERIES_READ),
        queries: part(limits.queries, BYTES_A_QUERY).max(QUERIES_MIN),
        ..limits
    }
}

/// Memory of a merge.
pub(super) fn compaction_bytes(allowed: u64, default: u64) -> u64 {
    default.min(allowed / COMPACTION_PART)
}

fn number(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
