//! From a buffer of bytes to records: lines, what a container runtime wraps around them, lines it cut into pieces, and
//! records of several lines.
//!
//! Records are ranges of the buffer and come out in the order they began. The two streams of a container
//! are joined apart from each other, so records may overlap in the file; they are only handed out up to a
//! place that no record reaches across, which is what makes one offset enough to resume.
//!
//! Limits: those of [`Framing`] a line and a record; a record that may be the beginning of a trace waits
//! [`LINE_WAIT`] for the next line, a piece of a line [`PIECE_WAIT`] for the rest. Blank lines outside of records of several lines are no records. A restart in
//! the middle of a line over the limit begins a record there.

mod record;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use vervet_model::Severity;

use super::encoding::{Encoding, Text};
use super::framing::Framing;
use crate::formats::{Detector, LogFormat, Parsed};
pub(super) use record::Record;
use record::{Appended, Line};

/// How long a line that may be the beginning of a trace waits for the next, at most.
const LINE_WAIT: Duration = Duration::from_millis(400);
/// How long the rest of a line is waited for that a container runtime cut into pieces, at least: handed out in pieces, a
/// secret across a cut is not found.
pub(super) const PIECE_WAIT: Duration = Duration::from_secs(10);
/// Bytes that overlapping records may hold up before all are handed out as they are.
const HELD_BYTES_MAX: usize = 4 << 20;
/// The file itself, and a container's two streams.
const STREAMS: usize = 3;
const STREAM_NAMES: [&str; STREAMS] = ["", "stdout", "stderr"];

/// What one scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scanned {
    pub(super) lines: u64,
    /// Pieces cut off lines over the limit.
    pub(super) split: u64,
    /// Lines over the limit whose rest was dropped.
    pub(super) truncated: u64,
    /// Bytes dropped of them.
    pub(super) dropped_bytes: u64,
    /// Lines that are no records because nothing stands in them.
    pub(super) blank: u64,
}

/// Records in the order they began.
pub(super) type Records = VecDeque<Record>;

/// The records of one file that have not been handed out.
#[derive(Debug)]
pub(super) struct Lines {
    framing: Framing,
    /// `None` until the first bytes of the file are there.
    encoding: Option<Encoding>,
    /// Everything before this place of the buffer belongs to a record, is blank or was dropped.
    scanned: usize,
    records: Records,
    /// The record that may go on, per stream.
    open: [Option<usize>; STREAMS],
    detectors: [Detector; STREAMS],
    /// What follows up to a line feed is the rest of a line over the limit.
    dropping: bool,
    /// The first byte of a character was taken for the end of the file; the second may follow all the same.
    is_halfway: bool,
}

impl Lines {
    /// For a file read from its first byte.
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            encoding: None,
            scanned: 0,
            records: Records::new(),
            open: [None; STREAMS],
            detectors: [Detector::default(); STREAMS],
            dropping: false,
            is_halfway: false,
        }
    }

    /// For a file read from somewhere else; its first bytes tell its encoding.
    pub(super) fn resume(framing: Framing, beginning: &[u8]) -> Self {
        let encoding = framing.encoding().resolve(beginning, true);
        Self {
            encoding: encoding.map(|(encoding, _)| encoding),
            ..Self::new(framing)
        }
    }

    /// The last place not after `offset` of the file at which a character can begin.
    pub(super) fn align(&self, offset: u64) -> u64 {
        let unit = self.encoding.map_or(1, Encoding::unit_bytes) as u64;
        offset - offset % unit
    }

    /// Takes the lines of `buffer` that are new since the last scan. At the end of a file that will not grow
    /// the last line needs no line feed.
    pub(super) fn scan(&mut self, buffer: &[u8], at_end: bool, now: Instant) -> Scanned {
        let mut scanned = Scanned::default();
        let Some(encoding) = self.encoding_of(buffer, at_end) else {
            return scanned;
        };
        let (unit, line_bytes_max) = (encoding.unit_bytes(), self.framing.limits().line_bytes_max);
        if self.is_halfway && self.scanned < buffer.len() {
            self.scanned += 1;
            self.is_halfway = false;
        }
        while let Some(rest) = buffer.get(self.scanned..).filter(|rest| !rest.is_empty()) {
            // Whole characters; a line feed may be cut in two.
            let whole_bytes = rest.len() - rest.len() % unit;
            if self.dropping && !at_end && whole_bytes == 0 {
                break;
            }
            if self.dropping {
                let known = rest.get(..whole_bytes).filter(|_| !at_end);
                self.drop_rest(encoding, known.unwrap_or(rest), &mut scanned);
                continue;
            }
            let window = rest.get(..line_bytes_max + unit).unwrap_or(rest);
            // What stands behind the limit tells whether a character ends there.
            let is_long = rest.len() >= line_bytes_max + unit;
            let (line_bytes, whole_bytes) = match encoding.find_line_feed(window) {
                Some(at) => (at, at + unit),
                None if is_long || (at_end && rest.len() > line_bytes_max) => {
                    let cut = encoding.boundary(rest, line_bytes_max);
                    self.dropping = self.framing.truncates();
                    scanned.truncated += u64::from(self.dropping);
                    scanned.split += u64::from(!self.dropping);
                    (cut, cut)
                }
                None if at_end => {
                    self.is_halfway = whole_bytes < rest.len();
                    (rest.len(), rest.len())
                }
                None => break,
            };
            let whole = self.scanned..self.scanned + whole_bytes;
            self.take(encoding, buffer, whole, line_bytes, now, &mut scanned);
            self.scanned += whole_bytes;
            scanned.lines += 1;
        }
        if self.scanned > HELD_BYTES_MAX {
            self.close_all();
        }
        scanned
    }

    /// The encoding, once the file's first bytes tell it; passes over a byte order mark.
    fn encoding_of(&mut self, buffer: &[u8], at_end: bool) -> Option<Encoding> {
        if self.encoding.is_none() {
            let (encoding, mark) = self.framing.encoding().resolve(buffer, at_end)?;
            self.encoding = Some(encoding);
            self.scanned = mark.min(buffer.len());
        }
        self.encoding
    }

    /// Passes over the rest of a line over the limit.
    fn drop_rest(&mut self, encoding: Encoding, rest: &[u8], scanned: &mut Scanned) {
        let end = encoding.find_line_feed(rest);
        let dropped = end.unwrap_or(rest.len());
        scanned.dropped_bytes += dropped as u64;
        self.scanned += end.map_or(dropped, |end| end + encoding.unit_bytes());
        self.dropping = end.is_none();
        self.is_halfway = end.is_none() && !dropped.is_multiple_of(encoding.unit_bytes());
    }

    fn take(
        &mut self,
        encoding: Encoding,
        buffer: &[u8],
        whole: Range<usize>,
        line_bytes: usize,
        now: Instant,
        scanned: &mut Scanned,
    ) {
        let line = Line::read(&self.framing, encoding, buffer, whole, line_bytes);
        let content = line.content(buffer, encoding);
        let stream = line.stream();
        let open = self.open.get(stream).copied().flatten();
        if let Some(record) = open.and_then(|index| self.records.get_mut(index)) {
            match record.append(&self.framing, encoding, buffer, &line, &content, now) {
                Appended::Refused { cut } => {
                    scanned.split += u64::from(cut);
                    if record.waits() {
                        self.release(stream);
                    }
                }
                Appended::Awaited => return record.wait_with(line, &content, now),
                Appended::Taken { dropped_bytes } => {
                    let first = record.note_dropped(dropped_bytes);
                    scanned.dropped_bytes += dropped_bytes as u64;
                    scanned.truncated += u64::from(first);
                    if !record.may_go_on(&self.framing) {
                        self.set_open(stream, None);
                    }
                    return;
                }
            }
            self.set_open(stream, None);
        }
        if content.trim_ascii().is_empty() && !line.is_partial() {
            scanned.blank += 1;
            return;
        }
        let record = Record::new(&self.framing, line, &content, now);
        let goes_on = record.may_go_on(&self.framing);
        self.records.push_back(record);
        self.set_open(stream, goes_on.then(|| self.records.len() - 1));
    }

    fn set_open(&mut self, stream: usize, index: Option<usize>) {
        if let Some(open) = self.open.get_mut(stream) {
            *open = index;
        }
    }

    /// The record of a stream that may go on.
    fn open(&self, stream: usize) -> Option<&Record> {
        let index = self.open.get(stream).copied().flatten();
        index.and_then(|index| self.records.get(index))
    }

    /// Ends a stream's record. Lines that it waited with become records, each in its place.
    #[inline]
    fn close(&mut self, stream: usize) {
        if self.open(stream).is_some_and(Record::waits) {
            self.release(stream);
        }
        self.set_open(stream, None);
    }

    #[cold]
    fn release(&mut self, stream: usize) {
        let index = self.open.get(stream).copied().flatten();
        let record = index.and_then(|index| self.records.get_mut(index));
        for record in record.map(Record::give_up).unwrap_or_default() {
            let before = |other: &Record| other.start() < record.start();
            let at = self.records.iter().rposition(before).map_or(0, |at| at + 1);
            self.records.insert(at, record);
            for open in self.open.iter_mut().flatten() {
                *open += usize::from(*open >= at);
            }
        }
    }

    /// Ends the records that have waited long enough for more.
    pub(super) fn expire(&mut self, now: Instant) {
        for stream in 0..STREAMS {
            let record = self.open(stream);
            if record.is_some_and(|record| record.has_waited(&self.framing, now)) {
                self.close(stream);
            }
        }
    }

    /// Ends every record.
    pub(super) fn close_all(&mut self) {
        for stream in 0..STREAMS {
            self.close(stream);
        }
    }

    /// Ends every record whose last line is whole.
    pub(super) fn close_whole(&mut self) {
        for stream in 0..STREAMS {
            if !self.open(stream).is_some_and(Record::is_partial) {
                self.close(stream);
            }
        }
    }

    /// Whether what follows is the rest of a line over the limit.
    pub(super) fn is_dropping(&self) -> bool {
        self.dropping
    }

    /// Whether any record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records can be handed out, and the place in the buffer they reach to.
    pub(super) fn ready(&self) -> (usize, usize) {
        let (mut ready, mut end) = ((0, 0), 0);
        for (index, record) in self.records.iter().enumerate() {
            if record.start() >= end {
                ready = (index, record.start());
            }
            if self.open.contains(&Some(index)) {
                return ready;
            }
            end = end.max(record.end());
        }
        (self.records.len(), self.scanned)
    }

    /// Takes the next record off; `count` of [`Lines::ready`] tells how often.
    pub(super) fn pop(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        for open in &mut self.open {
            *open = open.and_then(|index| index.checked_sub(1));
        }
        Some(record)
    }

    /// A record's text, decoded, without blank lines at its end.
    pub(super) fn text<'b>(&self, record: &Record, buffer: &'b [u8]) -> Text<'b> {
        record.text(buffer, self.encoding.unwrap_or(Encoding::Utf8))
    }

    /// What a record's text says, and what the container runtime told of it. A trace that tells no level is an error.
    pub(super) fn parse<'t>(
        &mut self,
        record: &Record,
        text: &'t str,
        observed_unix_nano: u64,
    ) -> Parsed<'t> {
        let parser = self.framing.parser();
        let mut none = Detector::default();
        let detector = self.detectors.get_mut(record.stream());
        let mut parsed = parser.parse(text, detector.unwrap_or(&mut none), observed_unix_nano);
        parser.add_runtime(&mut parsed, record.runtime());
        if record.is_trace() && parsed.severity == Severity::UNSPECIFIED {
            parsed.severity = Severity::ERROR;
        }
        parsed
    }

    /// The format the last record of a record's stream was read as, with `auto`.
    pub(super) fn latest(&self, record: &Record) -> LogFormat {
        let detector = self.detectors.get(record.stream());
        detector.map_or(LogFormat::Auto, Detector::latest)
    }

    /// The formats of the streams, as far as they have been detected; a file without container runtime has one
    /// stream, whose name is empty.
    #[cfg(test)]
    pub(super) fn detected(&self) -> impl Iterator<Item = (&'static str, LogFormat)> + '_ {
        STREAM_NAMES
            .into_iter()
            .zip(&self.detectors)
            .filter_map(|(stream, detector)| Some((stream, detector.settled()?)))
    }

    /// What of [`Lines::detected`] is new since the last call.
    pub(super) fn news(&mut self) -> impl Iterator<Item = (&'static str, LogFormat)> + '_ {
        let detects = self.framing.detects();
        STREAM_NAMES
            .into_iter()
            .zip(self.detectors.iter_mut().filter(move |_| detects))
            .filter_map(|(stream, detector)| Some((stream, detector.take_news()?)))
    }

    /// Takes `room` for its records where that is larger than its own.
    pub(super) fn borrow(&mut self, room: &mut Records) {
        if self.records.capacity() < room.capacity() {
            room.clear();
            room.append(&mut self.records);
            std::mem::swap(room, &mut self.records);
        }
    }

    /// Gives the room back unless more than `rest_max` records are left, which move to a room as small.
    pub(super) fn give_back(&mut self, room: &mut Records, rest_max: usize) {
        if self.records.len() <= rest_max && self.records.capacity() > room.capacity() {
            let mut rest = Records::with_capacity(self.records.len());
            rest.append(&mut self.records);
            *room = std::mem::replace(&mut self.records, rest);
        }
    }

    /// The first `bytes` of the buffer are gone.
    pub(super) fn shift(&mut self, bytes: usize) {
        self.scanned = self.scanned.saturating_sub(bytes);
        for record in &mut self.records {
            record.shift(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
