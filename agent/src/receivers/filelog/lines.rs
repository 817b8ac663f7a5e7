//! From a buffer of bytes to records: lines, the container runtime's prefix, lines it cut into pieces, and
//! stack traces.
//!
//! Records are ranges of the buffer and come out in the order they began. The two streams of a container
//! are joined apart from each other, so records may overlap in the file; they are only handed out up to a
//! place that no record reaches across, which is what makes one offset enough to resume.
//!
//! Limits: a record holds at most [`RECORD_LINES_MAX`] lines or [`RECORD_BYTES_MAX`] (a single line may be
//! longer), and waits for more lines at most [`TRACE_WAIT`] within a trace, [`LINE_WAIT`] otherwise. Blank
//! lines outside of traces are no records.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::traces::Trace;
use super::{LINE_BYTES_MAX, LogFormat, Multiline};
use crate::formats::split_cri;

/// Lines of one record.
const RECORD_LINES_MAX: usize = 500;
/// Bytes of one record of several lines.
const RECORD_BYTES_MAX: usize = 256 << 10;
/// How long a trace waits for its next line.
const TRACE_WAIT: Duration = Duration::from_secs(1);
/// How long a line that may be the beginning of a trace waits for the next.
const LINE_WAIT: Duration = Duration::from_millis(400);
/// Bytes that overlapping records may hold up before all are handed out as they are.
const HELD_BYTES_MAX: usize = 4 << 20;

/// How lines are taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) format: LogFormat,
    pub(super) multiline: Multiline,
}

/// What one scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scanned {
    pub(super) lines: u64,
    /// Pieces cut off lines over the limit.
    pub(super) split: u64,
}

/// The records of one file that have not been handed out.
#[derive(Debug)]
pub(super) struct Lines {
    framing: Framing,
    /// Everything before this place of the buffer belongs to a record or is blank.
    scanned: usize,
    records: VecDeque<Record>,
    /// The record that may go on, per stream.
    open: [Option<usize>; 3],
}

/// One record: ranges of the buffer.
#[derive(Debug)]
pub(super) struct Record {
    /// The first byte of its first line, and the byte after its last line.
    start: usize,
    end: usize,
    text: Range<usize>,
    /// Further text, not adjoining.
    more: Vec<Piece>,
    pub(super) cri: Option<CriFields>,
    lines: usize,
    bytes: usize,
    /// The runtime cut the last line; the rest follows.
    partial: bool,
    trace: Trace,
    touched: Instant,
}

#[derive(Debug)]
struct Piece {
    text: Range<usize>,
    /// Goes on with the same line.
    same_line: bool,
}

/// What the container runtime tells of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CriFields {
    pub(super) time_unix_nano: u64,
    pub(super) stream: &'static str,
}

/// One line: where it lies and where its content lies.
struct Line {
    whole: Range<usize>,
    text: Range<usize>,
    cri: Option<CriFields>,
    partial: bool,
}

impl Lines {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            scanned: 0,
            records: VecDeque::new(),
            open: [None; 3],
        }
    }

    /// Takes the lines of `buffer` that are new since the last scan. At the end of a file that will not grow
    /// the last line needs no line feed.
    pub(super) fn scan(&mut self, buffer: &[u8], at_end: bool, now: Instant) -> Scanned {
        let mut scanned = Scanned::default();
        while let Some(rest) = buffer.get(self.scanned..).filter(|rest| !rest.is_empty()) {
            let window = rest.get(..=LINE_BYTES_MAX).unwrap_or(rest);
            let (line_bytes, whole_bytes) = match memchr::memchr(b'\n', window) {
                Some(at) => (at, at + 1),
                None if rest.len() > LINE_BYTES_MAX => {
                    let cut = character_boundary(rest, LINE_BYTES_MAX);
                    scanned.split += 1;
                    (cut, cut)
                }
                None if at_end => (rest.len(), rest.len()),
                None => break,
            };
            let whole = self.scanned..self.scanned + whole_bytes;
            self.take(buffer, whole, line_bytes, now);
            self.scanned += whole_bytes;
            scanned.lines += 1;
        }
        if self.scanned > HELD_BYTES_MAX {
            self.close_all();
        }
        scanned
    }

    fn take(&mut self, buffer: &[u8], whole: Range<usize>, line_bytes: usize, now: Instant) {
        let line = self.line(buffer, whole, line_bytes);
        let text = buffer.get(line.text.clone()).unwrap_or_default();
        let stream = match line.cri.map(|cri| cri.stream) {
            None => 0,
            Some("stdout") => 1,
            Some(_) => 2,
        };
        let open = self.open.get(stream).copied().flatten();
        if let Some(record) = open.and_then(|index| self.records.get_mut(index)) {
            if record.append(buffer, &line, text, self.framing.multiline, now) {
                if !record.may_go_on(buffer, self.framing.multiline) {
                    self.set_open(stream, None);
                }
                return;
            }
            self.set_open(stream, None);
        }
        if text.trim_ascii().is_empty() && !line.partial {
            return;
        }
        let record = Record::new(line, text, now);
        let goes_on = record.may_go_on(buffer, self.framing.multiline);
        self.records.push_back(record);
        self.set_open(stream, goes_on.then(|| self.records.len() - 1));
    }

    fn line(&self, buffer: &[u8], whole: Range<usize>, line_bytes: usize) -> Line {
        let mut text = whole.start..whole.start + line_bytes;
        let bytes = buffer.get(text.clone()).unwrap_or_default();
        if bytes.last() == Some(&b'\r') {
            text.end -= 1;
        }
        let runtime = matches!(self.framing.format, LogFormat::Auto | LogFormat::Cri);
        let Some(cri) = runtime.then(|| split_cri(bytes)).flatten() else {
            return Line {
                whole,
                text,
                cri: None,
                partial: false,
            };
        };
        text.start = (text.start + cri.content_at).min(text.end);
        let fields = CriFields {
            time_unix_nano: cri.time_unix_nano,
            stream: cri.stream,
        };
        Line {
            whole,
            text,
            cri: Some(fields),
            partial: cri.partial,
        }
    }

    fn set_open(&mut self, stream: usize, index: Option<usize>) {
        if let Some(open) = self.open.get_mut(stream) {
            *open = index;
        }
    }

    /// Ends the records that have waited long enough for more.
    pub(super) fn expire(&mut self, now: Instant) {
        for open in &mut self.open {
            let record = open.and_then(|index| self.records.get(index));
            if record.is_some_and(|record| now.duration_since(record.touched) > record.patience()) {
                *open = None;
            }
        }
    }

    /// Ends every record.
    pub(super) fn close_all(&mut self) {
        self.open = [None; 3];
    }

    /// Whether any record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records can be handed out, and the place in the buffer they reach to.
    pub(super) fn ready(&self) -> (usize, usize) {
        let (mut ready, mut end) = ((0, 0), 0);
        for (index, record) in self.records.iter().enumerate() {
            if record.start >= end {
                ready = (index, record.start);
            }
            if self.open.contains(&Some(index)) {
                return ready;
            }
            end = end.max(record.end);
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

    /// The first `bytes` of the buffer are gone.
    pub(super) fn shift(&mut self, bytes: usize) {
        self.scanned = self.scanned.saturating_sub(bytes);
        for record in &mut self.records {
            record.shift(bytes);
        }
    }
}

impl Record {
    fn new(line: Line, text: &[u8], now: Instant) -> Self {
        Self {
            start: line.whole.start,
            end: line.whole.end,
            bytes: line.text.len(),
            text: line.text,
            more: Vec::new(),
            cri: line.cri,
            lines: 1,
            partial: line.partial,
            trace: Trace::begin(text),
            touched: now,
        }
    }

    /// Takes `line` in when it belongs to this record.
    fn append(
        &mut self,
        buffer: &[u8],
        line: &Line,
        text: &[u8],
        multiline: Multiline,
        now: Instant,
    ) -> bool {
        let same_line = self.partial;
        if same_line {
            if self.bytes + text.len() > LINE_BYTES_MAX {
                return false;
            }
        } else {
            let full = self.lines >= RECORD_LINES_MAX || self.bytes + text.len() > RECORD_BYTES_MAX;
            if multiline == Multiline::None || full {
                return false;
            }
            match self.trace.next(self.first_line(buffer), text) {
                Some(trace) => self.trace = trace,
                None => return false,
            }
        }
        let adjoins = !same_line
            && self.more.is_empty()
            && self.text.end + 1 == line.text.start
            && buffer.get(self.text.end) == Some(&b'\n');
        if adjoins {
            self.text.end = line.text.end;
        } else {
            self.more.push(Piece {
                text: line.text.clone(),
                same_line,
            });
        }
        self.end = line.whole.end;
        self.lines += usize::from(!same_line);
        self.bytes += text.len() + 1;
        self.partial = line.partial;
        self.touched = now;
        true
    }

    /// Whether another line can belong to this record. An object that is closed is complete.
    fn may_go_on(&self, buffer: &[u8], multiline: Multiline) -> bool {
        if self.partial {
            return true;
        }
        let last = self.more.last().map_or(&self.text, |piece| &piece.text);
        let last_byte = buffer.get(last.clone()).and_then(<[u8]>::last);
        let is_object = buffer.get(self.text.start) == Some(&b'{') && last_byte == Some(&b'}');
        multiline == Multiline::Auto && !(is_object && self.lines == 1)
    }

    fn first_line<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        let text = buffer.get(self.text.clone()).unwrap_or_default();
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        text.get(..end).unwrap_or(text)
    }

    fn patience(&self) -> Duration {
        let waits_long = self.partial || self.lines > 1 || self.trace != Trace::None;
        if waits_long { TRACE_WAIT } else { LINE_WAIT }
    }

    fn shift(&mut self, bytes: usize) {
        let shift = |at: &mut usize| *at = at.saturating_sub(bytes);
        shift(&mut self.start);
        shift(&mut self.end);
        for range in self
            .more
            .iter_mut()
            .map(|piece| &mut piece.text)
            .chain([&mut self.text])
        {
            shift(&mut range.start);
            shift(&mut range.end);
        }
    }

    /// The record's text, without blank lines at its end.
    pub(super) fn text<'b>(&self, buffer: &'b [u8]) -> Cow<'b, [u8]> {
        let first = buffer.get(self.text.clone()).unwrap_or_default();
        if self.lines == 1 && self.more.is_empty() {
            return Cow::Borrowed(first);
        }
        if self.more.is_empty() {
            return Cow::Borrowed(first.trim_ascii_end());
        }
        let mut joined = Vec::with_capacity(self.bytes);
        joined.extend_from_slice(first);
        for piece in &self.more {
            if !piece.same_line {
                joined.push(b'\n');
            }
            joined.extend_from_slice(buffer.get(piece.text.clone()).unwrap_or_default());
        }
        if self.lines > 1 {
            joined.truncate(joined.trim_ascii_end().len());
        }
        Cow::Owned(joined)
    }
}

/// The largest place not after `at` that does not split a character; `at` itself in text that is not UTF-8.
fn character_boundary(bytes: &[u8], at: usize) -> usize {
    const CHARACTER_BYTES_MAX: usize = 4;
    let is_boundary = |place: &usize| {
        bytes
            .get(*place)
            .is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000)
    };
    (at.saturating_sub(CHARACTER_BYTES_MAX - 1)..=at)
        .rev()
        .find(is_boundary)
        .unwrap_or(at)
}

#[cfg(test)]
mod tests;
