//! One line of a buffer, and the records that lines make up.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Instant;

use super::super::encoding::{Encoding, Text};
use super::super::framing::{Framing, Joining};
use super::super::traces::Trace;
use super::{LINE_WAIT, PIECE_WAIT};
use crate::formats::{RuntimeLine, unescape};

/// One line: where it lies and where its content lies.
#[derive(Debug)]
pub(super) struct Line {
    whole: Range<usize>,
    text: Range<usize>,
    runtime: Option<RuntimeLine>,
    is_blank: bool,
}

/// One record: ranges of the buffer.
#[derive(Debug)]
pub(in crate::receivers::filelog) struct Record {
    /// The first byte of its first line, and the byte after its last line.
    start: usize,
    end: usize,
    text: Range<usize>,
    /// Further text, not adjoining.
    more: Vec<Piece>,
    /// What the runtime tells of the last line.
    runtime: Option<RuntimeLine>,
    /// A piece of text is the inside of a JSON string.
    escaped: bool,
    lines: usize,
    bytes: usize,
    /// It begins and ends as a JSON object.
    is_object: bool,
    /// Something over the limit was dropped.
    is_cut: bool,
    trace: Trace,
    /// Lines that belong to this record if what follows does, which [`Trace::is_uncertain`] of.
    awaited: Vec<Line>,
    touched: Instant,
}

#[derive(Debug)]
struct Piece {
    text: Range<usize>,
    /// Goes on with the same line.
    same_line: bool,
}

/// What became of a line that was offered to a record.
pub(super) enum Appended {
    Taken {
        dropped_bytes: usize,
    },
    /// What follows tells whether it belongs to the record.
    Awaited,
    /// It begins another record; `cut` when only because the line it goes on with is over the limit.
    Refused {
        cut: bool,
    },
}

impl Line {
    pub(super) fn read(
        framing: &Framing,
        encoding: Encoding,
        buffer: &[u8],
        whole: Range<usize>,
        line_bytes: usize,
    ) -> Self {
        let start = whole.start;
        let bytes = buffer.get(start..start + line_bytes).unwrap_or_default();
        let bytes = bytes
            .get(..encoding.without_return(bytes))
            .unwrap_or_default();
        let runtime = match encoding {
            Encoding::Utf8 | Encoding::Latin1 => framing.parser().runtime().split(bytes),
            Encoding::Utf16Le | Encoding::Utf16Be => None,
        };
        let content = runtime
            .as_ref()
            .map_or(0..bytes.len(), |runtime| runtime.content.clone());
        Self {
            whole,
            text: start + content.start..start + content.end,
            runtime,
            is_blank: false,
        }
    }

    /// The content as ASCII-compatible bytes, as far as it takes to tell what kind of line it is.
    pub(super) fn content<'b>(&self, buffer: &'b [u8], encoding: Encoding) -> Cow<'b, [u8]> {
        let raw = buffer.get(self.text.clone()).unwrap_or_default();
        readable(raw, self.is_escaped(), encoding)
    }

    /// Lines are joined per stream.
    pub(super) fn stream(&self) -> usize {
        stream_of(self.runtime.as_ref())
    }

    pub(super) fn is_partial(&self) -> bool {
        self.runtime.as_ref().is_some_and(|line| line.partial)
    }

    fn is_escaped(&self) -> bool {
        self.runtime.as_ref().is_some_and(|line| line.escaped)
    }
}

/// Text in an object needs no unescaping to be told from others.
fn readable(raw: &[u8], escaped: bool, encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Utf8 | Encoding::Latin1 if !escaped || raw.first() == Some(&b'{') => {
            Cow::Borrowed(raw)
        }
        Encoding::Utf8 | Encoding::Latin1 => {
            let mut text = Vec::with_capacity(raw.len());
            unescape(raw, &mut text);
            Cow::Owned(text)
        }
        Encoding::Utf16Le | Encoding::Utf16Be => {
            let text = encoding.decode(Cow::Borrowed(raw)).text;
            Cow::Owned(text.into_owned().into_bytes())
        }
    }
}

fn stream_of(runtime: Option<&RuntimeLine>) -> usize {
    match runtime.map(|line| line.stream) {
        None => 0,
        Some("stdout") => 1,
        Some(_) => 2,
    }
}

impl Record {
    pub(super) fn new(framing: &Framing, line: Line, content: &[u8], now: Instant) -> Self {
        let trace = match framing.joining() {
            Joining::Traces => Trace::begin(content),
            _ => Trace::None,
        };
        let is_object = content.first() == Some(&b'{') && content.last() == Some(&b'}');
        Self::of(line, is_object, trace, now)
    }

    #[inline]
    fn of(line: Line, is_object: bool, trace: Trace, now: Instant) -> Self {
        Self {
            start: line.whole.start,
            end: line.whole.end,
            bytes: line.text.len(),
            escaped: line.is_escaped(),
            text: line.text,
            more: Vec::new(),
            runtime: line.runtime,
            lines: 1,
            is_object,
            is_cut: false,
            trace,
            awaited: Vec::new(),
            touched: now,
        }
    }

    /// Keeps a line until it is known whose it is.
    pub(super) fn wait_with(&mut self, line: Line, content: &[u8], now: Instant) {
        self.touched = now;
        self.awaited.push(Line {
            is_blank: content.trim_ascii().is_empty(),
            ..line
        });
    }

    /// Whether there are lines that may be records of their own.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// The lines that turned out to be records of their own, which nothing goes on with.
    pub(super) fn give_up(&mut self) -> Vec<Self> {
        let awaited = std::mem::take(&mut self.awaited);
        let filled = awaited.into_iter().filter(|line| !line.is_blank);
        let alone = |line| Self::of(line, false, Trace::None, self.touched);
        filled.map(alone).collect()
    }

    /// Takes `line` in when it belongs to this record.
    pub(super) fn append(
        &mut self,
        framing: &Framing,
        encoding: Encoding,
        buffer: &[u8],
        line: &Line,
        content: &[u8],
        now: Instant,
    ) -> Appended {
        let (limits, same_line) = (framing.limits(), self.is_partial());
        let mut bytes = self.bytes + line.text.len();
        if self.waits() {
            bytes += self
                .awaited
                .iter()
                .map(|line| line.text.len() + 1)
                .sum::<usize>();
        }
        let over = same_line && bytes > limits.line_bytes_max;
        if over && !framing.truncates() {
            return Appended::Refused { cut: true };
        }
        if !same_line {
            let lines = self.lines + self.awaited.len();
            let full = lines >= limits.record_lines_max || bytes > limits.record_bytes_max;
            if full || !self.goes_on_with(framing, encoding, buffer, content) {
                return Appended::Refused { cut: false };
            }
            match self.trace.is_uncertain() {
                // Its rest would not be awaited.
                true if line.is_partial() => return Appended::Refused { cut: false },
                true => return Appended::Awaited,
                false if self.waits() => self.take_awaited(encoding, buffer),
                false => {}
            }
        }
        self.end = line.whole.end;
        self.touched = now;
        if let (Some(known), Some(told)) = (&mut self.runtime, &line.runtime) {
            known.partial = told.partial;
        }
        if over {
            return Appended::Taken {
                dropped_bytes: line.text.len(),
            };
        }
        self.take(encoding, buffer, line, same_line);
        Appended::Taken { dropped_bytes: 0 }
    }

    /// Lines that were waited with belong to this record.
    fn take_awaited(&mut self, encoding: Encoding, buffer: &[u8]) {
        for line in std::mem::take(&mut self.awaited) {
            self.take(encoding, buffer, &line, false);
        }
    }

    fn take(&mut self, encoding: Encoding, buffer: &[u8], line: &Line, same_line: bool) {
        let adjoins = !same_line
            && self.more.is_empty()
            && encoding.unit_bytes() == 1
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
        self.is_object &= same_line;
        self.escaped |= line.is_escaped();
        self.lines += usize::from(!same_line);
        self.bytes += line.text.len() + 1;
        self.end = line.whole.end;
    }

    fn goes_on_with(
        &mut self,
        framing: &Framing,
        encoding: Encoding,
        buffer: &[u8],
        content: &[u8],
    ) -> bool {
        match framing.joining() {
            Joining::None => false,
            Joining::Start(pattern) => !pattern.is_match(content),
            Joining::Continue(pattern) => pattern.is_match(content),
            Joining::Traces => {
                let first = || self.first_line(buffer, encoding);
                let next = self.trace.next(first, content);
                self.trace = next.unwrap_or(self.trace);
                next.is_some()
            }
        }
    }

    /// Notes that text was dropped: whether it is the first of this record.
    pub(super) fn note_dropped(&mut self, bytes: usize) -> bool {
        let first = bytes > 0 && !self.is_cut;
        self.is_cut |= bytes > 0;
        first
    }

    pub(super) fn is_partial(&self) -> bool {
        self.runtime.as_ref().is_some_and(|line| line.partial)
    }

    /// Whether another line can belong to this record. An object that is closed is complete, a printed value too.
    pub(super) fn may_go_on(&self, framing: &Framing) -> bool {
        self.is_partial()
            || match framing.joining() {
                Joining::None => false,
                Joining::Traces => !(self.is_object && self.lines == 1 || self.trace.is_complete()),
                Joining::Start(_) | Joining::Continue(_) => true,
            }
    }

    fn first_line<'b>(&self, buffer: &'b [u8], encoding: Encoding) -> Cow<'b, [u8]> {
        let raw = buffer.get(self.text.clone()).unwrap_or_default();
        let end = encoding.find_line_feed(raw).unwrap_or(raw.len());
        readable(raw.get(..end).unwrap_or(raw), self.escaped, encoding)
    }

    /// When its last line was read.
    pub(in crate::receivers::filelog) fn touched(&self) -> Instant {
        self.touched
    }

    /// Whether it has waited for its next line as long as it may.
    pub(super) fn has_waited(&self, framing: &Framing, now: Instant) -> bool {
        let wait_max = framing.limits().wait_max;
        let waits_long = self.lines > 1
            || self.trace.has_begun()
            || !matches!(framing.joining(), Joining::Traces);
        let wait = if self.is_partial() {
            wait_max.max(PIECE_WAIT)
        } else if waits_long {
            wait_max
        } else {
            wait_max.min(LINE_WAIT)
        };
        now.duration_since(self.touched) > wait
    }

    pub(super) fn shift(&mut self, bytes: usize) {
        let shift = |at: &mut usize| *at = at.saturating_sub(bytes);
        shift(&mut self.start);
        shift(&mut self.end);
        let pieces = self.more.iter_mut().map(|piece| &mut piece.text);
        let awaited = self.awaited.iter_mut();
        let awaited = awaited.flat_map(|line| [&mut line.whole, &mut line.text]);
        for range in pieces.chain([&mut self.text]).chain(awaited) {
            shift(&mut range.start);
            shift(&mut range.end);
        }
    }

    /// Whether it is a stack trace of several lines.
    pub(super) fn is_trace(&self) -> bool {
        self.lines > 1 && self.trace.is_failure()
    }

    pub(in crate::receivers::filelog) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }

    pub(super) fn stream(&self) -> usize {
        stream_of(self.runtime.as_ref())
    }

    pub(in crate::receivers::filelog) fn runtime(&self) -> Option<&RuntimeLine> {
        self.runtime.as_ref()
    }

    /// The record's text, without blank lines at its end.
    pub(super) fn text<'b>(&self, buffer: &'b [u8], encoding: Encoding) -> Text<'b> {
        let first = buffer.get(self.text.clone()).unwrap_or_default();
        if self.more.is_empty() && !self.escaped {
            let mut text = encoding.decode(Cow::Borrowed(first));
            self.trim(&mut text);
            return text;
        }
        let mut joined = Vec::with_capacity(self.bytes);
        self.add(first, &mut joined);
        for piece in &self.more {
            if !piece.same_line {
                joined.extend_from_slice(encoding.line_feed());
            }
            let raw = buffer.get(piece.text.clone()).unwrap_or_default();
            self.add(raw, &mut joined);
        }
        let mut text = encoding.decode(Cow::Owned(joined));
        self.trim(&mut text);
        text
    }

    fn add(&self, raw: &[u8], joined: &mut Vec<u8>) {
        if self.escaped {
            unescape(raw, joined);
        } else {
            joined.extend_from_slice(raw);
        }
    }

    fn trim(&self, text: &mut Text<'_>) {
        if self.lines == 1 {
            return;
        }
        match &mut text.text {
            Cow::Borrowed(text) => *text = text.trim_ascii_end(),
            Cow::Owned(text) => text.truncate(text.trim_ascii_end().len()),
        }
    }
}
