//! The payload of a journal record: a header, then the OTLP request as it was received.
//!
//! ```text
//! version        1   = 4; 1 to 3 are read too
//! receiver       1 + n   length, name
//! records        8   log records, data points or spans in the request
//! appended       8   when it was written (nanoseconds since the epoch), since version 3
//! totals       6 x 8   records and bytes of logs, metrics, traces ever appended before this record
//! positions      4   count, then for each:
//!   path         2 + n
//!   device, inode, prefix hash, offset   4 x 8
//!   prefix len   2
//!   tail hash, modified time, compressed bytes   3 x 8   } since version 2
//!   tail len     1                                       }
//!   waymarks     1   count, then for each 2 x 4: bytes back, hash; since version 4
//! request        the rest
//! ```
//! All numbers are little-endian. The journal record's kind is the signal. The totals make the books provable:
//! an exporter that reads a record knows how much there was before it, whatever became of that.

use bytes::{Buf, BufMut, Bytes};
use vervet_model::{Signal, UnixNanos};

use crate::pipeline::FilePosition;

const VERSION: u8 = 4;
/// Its positions have no waymarks.
const VERSION_WITHOUT_WAYMARKS: u8 = 3;
/// It does not say when it was written.
const VERSION_WITHOUT_TIME: u8 = 2;
/// Its positions have neither tail nor times.
const VERSION_WITHOUT_TAILS: u8 = 1;

/// An amount of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Amount {
    pub records: u64,
    /// Bytes of OTLP protobuf.
    pub bytes: u64,
}

/// Amounts by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Totals([Amount; 3]);

/// What stands before the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) receiver: String,
    pub(crate) records: u64,
    /// When it was written; `None` in records of a version that did not say.
    pub(crate) appended: Option<UnixNanos>,
    pub(crate) before: Totals,
    pub(crate) positions: Vec<FilePosition>,
}

/// The payload is not a record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is not of a known version or ends early")]
pub(crate) struct BadRecord;

impl Amount {
    pub fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl Totals {
    pub fn get(&self, signal: Signal) -> Amount {
        self.0.get(index(signal)).copied().unwrap_or_default()
    }

    /// Records of all signals.
    pub fn records(&self) -> u64 {
        self.0
            .iter()
            .map(|amount| amount.records)
            .fold(0, u64::saturating_add)
    }

    /// What stands for it in the order of the journal, in which every total only grows.
    pub(crate) fn place(&self) -> (u64, u64) {
        let bytes = self.0.iter().map(|amount| amount.bytes);
        (self.records(), bytes.fold(0, u64::saturating_add))
    }

    /// The later of two.
    pub(crate) fn later(self, other: Self) -> Self {
        if other.place() > self.place() {
            other
        } else {
            self
        }
    }

    pub fn add(&mut self, signal: Signal, amount: Amount) {
        if let Some(total) = self.0.get_mut(index(signal)) {
            total.add(amount);
        }
    }
}

fn index(signal: Signal) -> usize {
    match signal {
        Signal::Logs => 0,
        Signal::Metrics => 1,
        Signal::Traces => 2,
    }
}

/// What is noted beside the journal of all that was ever appended, so that it is known also when the records are lost.
pub(crate) fn note(totals: &Totals) -> Vec<u8> {
    let mut note = Vec::with_capacity(vervet_journal::NOTE_BYTES_MAX);
    put_totals(&mut note, totals);
    note
}

/// Nothing was noted by an append of an earlier version.
pub(super) fn read_note(note: &[u8]) -> Option<Totals> {
    take_totals(&mut Bytes::copy_from_slice(note)).ok()
}

/// Appends the header to `out`.
pub(crate) fn encode_header(
    out: &mut Vec<u8>,
    receiver: &str,
    records: u64,
    appended: UnixNanos,
    before: &Totals,
    positions: &[FilePosition],
) {
    out.put_u8(VERSION);
    let receiver = receiver.as_bytes();
    let receiver = receiver.get(..usize::from(u8::MAX)).unwrap_or(receiver);
    out.put_u8(u8::try_from(receiver.len()).unwrap_or(u8::MAX));
    out.put_slice(receiver);
    out.put_u64_le(records);
    out.put_i64_le(appended.0);
    put_totals(out, before);
    put_positions(out, positions);
}

/// Splits a payload into its header and the request.
pub(crate) fn decode(payload: Bytes) -> Result<(RecordHeader, Bytes), BadRecord> {
    let mut rest = payload;
    let version = rest.try_get_u8().map_err(|_end| BadRecord)?;
    let form = PositionForm::of_version(version)?;
    let length = rest.try_get_u8().map_err(|_end| BadRecord)?;
    let receiver = take_text(&mut rest, usize::from(length))?;
    let records = rest.try_get_u64_le().map_err(|_end| BadRecord)?;
    let appended = match version {
        VERSION | VERSION_WITHOUT_WAYMARKS => {
            Some(UnixNanos(rest.try_get_i64_le().map_err(|_end| BadRecord)?))
        }
        _ => None,
    };
    let before = take_totals(&mut rest)?;
    let positions = take_positions(&mut rest, form)?;
    Ok((
        RecordHeader {
            receiver,
            records,
            appended,
            before,
            positions,
        },
        rest,
    ))
}

pub(super) fn put_totals(out: &mut Vec<u8>, totals: &Totals) {
    for amount in &totals.0 {
        out.put_u64_le(amount.records);
        out.put_u64_le(amount.bytes);
    }
}

pub(super) fn take_totals(rest: &mut Bytes) -> Result<Totals, BadRecord> {
    let mut totals = Totals::default();
    for amount in &mut totals.0 {
        amount.records = rest.try_get_u64_le().map_err(|_end| BadRecord)?;
        amount.bytes = rest.try_get_u64_le().map_err(|_end| BadRecord)?;
    }
    Ok(totals)
}

pub(super) fn put_positions(out: &mut Vec<u8>, positions: &[FilePosition]) {
    out.put_u32_le(u32::try_from(positions.len()).unwrap_or(u32::MAX));
    for position in positions {
        put_position(out, position);
    }
}

/// A path longer than 64 KiB does not exist; it would be cut.
pub(super) fn put_position(out: &mut Vec<u8>, position: &FilePosition) {
    let path = position.path.as_bytes();
    let path = path.get(..usize::from(u16::MAX)).unwrap_or(path);
    out.put_u16_le(u16::try_from(path.len()).unwrap_or(u16::MAX));
    out.put_slice(path);
    out.put_u64_le(position.device);
    out.put_u64_le(position.inode);
    out.put_u64_le(position.prefix_hash);
    out.put_u64_le(position.offset);
    out.put_u16_le(position.prefix_len);
    out.put_u64_le(position.tail_hash);
    out.put_u64_le(position.modified_unix_nano);
    out.put_u64_le(position.compressed_bytes);
    out.put_u8(position.tail_len);
    let waymarks = position.waymarks.iter().filter(|waymark| waymark.back > 0);
    out.put_u8(u8::try_from(waymarks.clone().count()).unwrap_or(u8::MAX));
    for waymark in waymarks {
        out.put_u32_le(waymark.back);
        out.put_u32_le(waymark.hash);
    }
}

/// What [`put_position`] appends.
pub(super) fn position_bytes(position: &FilePosition) -> usize {
    let waymarks = position.waymarks.iter().filter(|waymark| waymark.back > 0);
    let path = position.path.len().min(usize::from(u16::MAX));
    2 + path + 4 * 8 + 2 + 3 * 8 + 1 + 1 + 8 * waymarks.count()
}

/// What is written of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PositionForm {
    WithoutTail,
    WithoutWaymarks,
    Whole,
}

impl PositionForm {
    pub(super) fn of_version(version: u8) -> Result<Self, BadRecord> {
        match version {
            VERSION_WITHOUT_TAILS => Ok(Self::WithoutTail),
            VERSION_WITHOUT_TIME | VERSION_WITHOUT_WAYMARKS => Ok(Self::WithoutWaymarks),
            VERSION => Ok(Self::Whole),
            _ => Err(BadRecord),
        }
    }
}

fn take_positions(rest: &mut Bytes, form: PositionForm) -> Result<Vec<FilePosition>, BadRecord> {
    let count = rest.try_get_u32_le().map_err(|_end| BadRecord)?;
    (0..count).map(|_| take_position(rest, form)).collect()
}

pub(super) fn take_position(
    rest: &mut Bytes,
    form: PositionForm,
) -> Result<FilePosition, BadRecord> {
    let length = rest.try_get_u16_le().map_err(|_end| BadRecord)?;
    let path = take_text(rest, usize::from(length))?;
    let mut number = || rest.try_get_u64_le().map_err(|_end| BadRecord);
    let (device, inode, prefix_hash, offset) = (number()?, number()?, number()?, number()?);
    let prefix_len = rest.try_get_u16_le().map_err(|_end| BadRecord)?;
    let mut position = FilePosition {
        path,
        device,
        inode,
        prefix_hash,
        prefix_len,
        offset,
        ..FilePosition::default()
    };
    if form != PositionForm::WithoutTail {
        let mut number = || rest.try_get_u64_le().map_err(|_end| BadRecord);
        position.tail_hash = number()?;
        position.modified_unix_nano = number()?;
        position.compressed_bytes = number()?;
        position.tail_len = rest.try_get_u8().map_err(|_end| BadRecord)?;
    }
    if form == PositionForm::Whole {
        let count = usize::from(rest.try_get_u8().map_err(|_end| BadRecord)?);
        let waymarks = position.waymarks.get_mut(..count).ok_or(BadRecord)?;
        for waymark in waymarks {
            waymark.back = rest.try_get_u32_le().map_err(|_end| BadRecord)?;
            waymark.hash = rest.try_get_u32_le().map_err(|_end| BadRecord)?;
        }
    }
    Ok(position)
}

pub(super) fn take_text(rest: &mut Bytes, length: usize) -> Result<String, BadRecord> {
    if rest.len() < length {
        return Err(BadRecord);
    }
    Ok(String::from_utf8_lossy(&rest.split_to(length)).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pipeline::{WAYMARKS_MAX, Waymark};

    fn position() -> impl Strategy<Value = FilePosition> {
        let numbers = (any::<[u64; 7]>(), any::<u16>(), any::<u8>());
        let waymarks = prop::collection::vec((1..u32::MAX, any::<u32>()), 0..=WAYMARKS_MAX);
        (".{0,40}", numbers, waymarks).prop_map(|(path, (numbers, prefix_len, tail_len), known)| {
            let [
                device,
                inode,
                prefix_hash,
                offset,
                tail_hash,
                modified_unix_nano,
                compressed_bytes,
            ] = numbers;
            let mut waymarks = [Waymark::default(); WAYMARKS_MAX];
            for (waymark, (back, hash)) in waymarks.iter_mut().zip(known) {
                *waymark = Waymark { back, hash };
            }
            FilePosition {
                path,
                device,
                inode,
                prefix_hash,
                prefix_len,
                offset,
                tail_hash,
                tail_len,
                modified_unix_nano,
                compressed_bytes,
                waymarks,
            }
        })
    }

    /// What a position's waymarks take.
    fn waymarks_bytes(position: &FilePosition) -> usize {
        1 + 8 * position
            .waymarks
            .iter()
            .filter(|waymark| waymark.back > 0)
            .count()
    }

    /// Records as versions 1 and 2 wrote them, byte for byte.
    #[test]
    fn records_of_earlier_versions_are_read() {
        let numbers = |numbers: &[u64]| {
            numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let common = [
            &[5][..],
            b"files",
            &numbers(&[2, 10, 1000, 0, 0, 3, 300]),
            &[1, 0, 0, 0],
        ]
        .concat();
        let position = [&[4, 0][..], b"/a.l", &numbers(&[7, 8, 9, 64]), &[16, 0]].concat();
        let tail = [numbers(&[11, 12, 13]), vec![14]].concat();
        let mut expected = FilePosition {
            path: "/a.l".to_owned(),
            device: 7,
            inode: 8,
            prefix_hash: 9,
            prefix_len: 16,
            offset: 64,
            ..FilePosition::default()
        };
        let first = [&[1][..], &common, &position, b"request"].concat();
        let (header, request) = decode(first.into()).expect("version 1");
        assert_eq!(
            (header.receiver.as_str(), header.records, &request[..]),
            ("files", 2, &b"request"[..])
        );
        assert_eq!((header.appended, header.before.records()), (None, 13));
        assert_eq!(header.positions, [expected.clone()]);
        let second = [&[2][..], &common, &position, &tail, b"request"].concat();
        let (header, request) = decode(second.into()).expect("version 2");
        (expected.tail_hash, expected.modified_unix_nano) = (11, 12);
        (expected.compressed_bytes, expected.tail_len) = (13, 14);
        assert_eq!((header.positions, header.appended), (vec![expected], None));
        assert_eq!(&request[..], b"request");
        assert_eq!(decode(vec![5; 200].into()), Err(BadRecord));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            receiver in "[a-z]{0,48}", records: u64, at: i64, amount: (u64, u64),
            positions in prop::collection::vec(position(), 0..4),
            request in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut before = Totals::default();
            before.add(Signal::Traces, Amount { records: amount.0, bytes: amount.1 });
            let mut payload = Vec::new();
            encode_header(&mut payload, &receiver, records, UnixNanos(at), &before, &positions);
            payload.extend_from_slice(&request);
            let (header, rest) = decode(payload.into()).expect("valid");
            prop_assert_eq!(&rest[..], &request[..]);
            let appended = Some(UnixNanos(at));
            prop_assert_eq!(header, RecordHeader { receiver, records, appended, before, positions });
        }

        #[test]
        fn positions_of_earlier_versions_are_read(position in position()) {
            let mut written = Vec::new();
            put_position(&mut written, &position);
            written.truncate(written.len() - waymarks_bytes(&position));
            let mut expected = FilePosition { waymarks: Default::default(), ..position };
            let mut second = Bytes::from(written.clone());
            let read = take_position(&mut second, PositionForm::WithoutWaymarks).expect("valid");
            prop_assert_eq!((read, second.len()), (expected.clone(), 0));
            written.truncate(written.len() - 25);
            let read = take_position(&mut written.into(), PositionForm::WithoutTail).expect("valid");
            (expected.tail_hash, expected.tail_len) = (0, 0);
            (expected.modified_unix_nano, expected.compressed_bytes) = (0, 0);
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn what_version_2_wrote_is_read(
            receiver in "[a-z]{0,48}", records: u64, amount: (u64, u64),
            mut positions in prop::collection::vec(position(), 0..4),
        ) {
            let mut before = Totals::default();
            before.add(Signal::Logs, Amount { records: amount.0, bytes: amount.1 });
            let mut payload = Vec::new();
            encode_header(&mut payload, &receiver, records, UnixNanos(7), &before, &[]);
            payload[0] = VERSION_WITHOUT_TIME;
            let time_at = 2 + receiver.len() + 8;
            payload.drain(time_at..time_at + 8);
            payload.truncate(payload.len() - 4);
            payload.put_u32_le(u32::try_from(positions.len()).unwrap());
            for position in &mut positions {
                put_position(&mut payload, position);
                payload.truncate(payload.len() - waymarks_bytes(position));
                position.waymarks = Default::default();
            }
            payload.extend_from_slice(b"request");
            let (header, rest) = decode(payload.into()).expect("valid");
            prop_assert_eq!(&rest[..], b"request");
            prop_assert_eq!(header, RecordHeader { receiver, records, appended: None, before, positions });
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _either = decode(bytes.into());
        }
    }
}
