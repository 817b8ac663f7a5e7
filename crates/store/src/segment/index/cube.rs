//! Log records of a segment, counted by service, environment, level and minute.
//!
//! A request that asks for no more than these reads no rows. A minute's records that carry exactly the first
//! nanosecond of it are counted apart, so that steps which are open at their start, as those of Prometheus,
//! can be counted too.
//!
//! ```text
//! zstd of:
//!   varint groups
//!   each: service, environment, level (varint length, UTF-8), earliest and latest time (i64 LE), varint minutes
//!     each minute: varint distance to the last one (from the day's start), varint records, varint records at its
//!     first nanosecond, varint bytes of bodies, varint bytes of bodies at its first nanosecond
//! ```

use std::collections::BTreeMap;

/// Nanoseconds of a minute.
pub(crate) const MINUTE_NANOS: i64 = 60_000_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;
pub(crate) const DAY_NANOS: i64 = MINUTES_PER_DAY * MINUTE_NANOS;

/// Cells of a cube at most, and at least this many rows a cell: otherwise there is none.
const CELLS_MAX: usize = 1 << 17;
const ROWS_PER_CELL_MIN: usize = 8;
/// Decompressed at most (bytes).
const CUBE_BYTES_MAX: usize = 16 << 20;
const ZSTD_LEVEL: i32 = 3;

/// The counted columns of a record.
pub(crate) type Group<'a> = [&'a str; 3];

/// Records and the bytes of their bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    /// At its first nanosecond.
    pub(crate) first: Tally,
    /// After it.
    pub(crate) rest: Tally,
}

/// The records of one service, environment and level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CubeGroup {
    pub(crate) key: [Box<str>; 3],
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
    /// By the minute of the day.
    pub(crate) minutes: BTreeMap<u16, Minute>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cube {
    pub(crate) groups: Vec<CubeGroup>,
}

impl Cube {
    /// Counts one record, and returns the place of its group. Neighbours are mostly of one service and few levels, so
    /// the place of the `last` one is looked at first.
    pub(super) fn add(
        &mut self,
        last: usize,
        key: Group<'_>,
        time: i64,
        body_bytes: usize,
    ) -> usize {
        // From the end: levels differ most.
        let is = |group: &CubeGroup| {
            let mut both = group.key.iter().zip(key).rev();
            both.all(|(own, asked)| **own == *asked)
        };
        let found = self.groups.get(last).filter(|group| is(group));
        let found = found.map(|_group| last);
        let found = found.or_else(|| self.groups.iter().rposition(is));
        let found = found.unwrap_or_else(|| {
            self.groups.push(CubeGroup {
                key: key.map(Box::from),
                earliest: time,
                latest: time,
                minutes: BTreeMap::new(),
            });
            self.groups.len() - 1
        });
        let Some(group) = self.groups.get_mut(found) else {
            return found;
        };
        group.earliest = group.earliest.min(time);
        group.latest = group.latest.max(time);
        let of_day = time.rem_euclid(DAY_NANOS);
        let minute = u16::try_from(of_day / MINUTE_NANOS).unwrap_or(0);
        let cell = group.minutes.entry(minute).or_default();
        let tally = match of_day % MINUTE_NANOS {
            0 => &mut cell.first,
            _ => &mut cell.rest,
        };
        tally.records += 1;
        tally.bytes += body_bytes as u64;
        found
    }

    fn cells(&self) -> usize {
        self.groups.iter().map(|group| group.minutes.len()).sum()
    }

    /// Whether it has become larger than any may be.
    pub(super) fn is_too_large(&self) -> bool {
        self.cells() > CELLS_MAX
    }

    /// Whether it is small enough for all the rows of a segment. The first rows of one always have many cells:
    /// those of a service come one after the other, from its first minute to its last.
    pub(super) fn is_worth(&self, rows: usize) -> bool {
        const ALWAYS_FINE: usize = 256;
        self.cells() <= ALWAYS_FINE.max(rows / ROWS_PER_CELL_MIN)
    }

    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        varint(&mut out, self.groups.len() as u64);
        for group in &self.groups {
            for text in &group.key {
                varint(&mut out, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            out.extend_from_slice(&group.earliest.to_le_bytes());
            out.extend_from_slice(&group.latest.to_le_bytes());
            varint(&mut out, group.minutes.len() as u64);
            let mut last = 0;
            for (minute, cell) in &group.minutes {
                varint(&mut out, u64::from(minute - last));
                last = *minute;
                varint(&mut out, cell.first.records + cell.rest.records);
                varint(&mut out, cell.first.records);
                varint(&mut out, cell.first.bytes + cell.rest.bytes);
                varint(&mut out, cell.first.bytes);
            }
        }
        zstd::bulk::compress(&out, ZSTD_LEVEL)
    }

    /// `None` for anything that [`Cube::encode`] did not make.
    pub(crate) fn decode(compressed: &[u8]) -> Option<Self> {
        let bytes = zstd::bulk::decompress(compressed, CUBE_BYTES_MAX).ok()?;
        let mut reader = Reader(&bytes);
        let mut groups = Vec::new();
        for _ in 0..reader.varint()? {
            let key = [reader.text()?, reader.text()?, reader.text()?];
            let (earliest, latest) = (reader.time()?, reader.time()?);
            let mut minutes = BTreeMap::new();
            let mut minute = 0_u16;
            for _ in 0..reader.varint()? {
                minute = minute.checked_add(u16::try_from(reader.varint()?).ok()?)?;
                let (records, first_records) = (reader.varint()?, reader.varint()?);
                let (bytes, first_bytes) = (reader.varint()?, reader.varint()?);
                let cell = Minute {
                    first: Tally {
                        records: first_records,
                        bytes: first_bytes,
                    },
                    rest: Tally {
                        records: records.checked_sub(first_records)?,
                        bytes: bytes.checked_sub(first_bytes)?,
                    },
                };
                minutes.insert(minute, cell);
            }
            groups.push(CubeGroup {
                key,
                earliest,
                latest,
                minutes,
            });
        }
        reader.0.is_empty().then_some(Self { groups })
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<Box<str>> {
        let length = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok().map(Box::from)
    }

    fn time(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 20_000 * DAY_NANOS;

    proptest! {
        #[test]
        fn a_cube_reads_back(
            rows in prop::collection::vec((0..4_u8, 0..3_u8, 0..DAY_NANOS, 0..1000_usize, any::<bool>()), 0..300),
        ) {
            let mut cube = Cube::default();
            let mut last = 0;
            for (service, level, time, bytes, at_minute) in &rows {
                let time = if *at_minute { time / MINUTE_NANOS * MINUTE_NANOS } else { *time };
                let key = [&*format!("s{service}"), "", &*format!("l{level}")];
                last = cube.add(last, key, DAY + time, *bytes);
            }
            let encoded = cube.encode().unwrap();
            let decoded = Cube::decode(&encoded);
            prop_assert_eq!(decoded.as_ref(), Some(&cube));
            let cells = cube.groups.iter().flat_map(|group| group.minutes.values());
            let records: u64 = cells.map(|cell| cell.first.records + cell.rest.records).sum();
            prop_assert_eq!(records, rows.len() as u64);
        }

        #[test]
        fn damaged_bytes_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let compressed = zstd::bulk::compress(&bytes, 1).unwrap();
            let _refused_or_not = Cube::decode(&compressed);
            prop_assert_eq!(Cube::decode(&bytes), None);
        }
    }
}
