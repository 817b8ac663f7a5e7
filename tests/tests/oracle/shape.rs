//! How lines stand in a file.

use rand::Rng as _;

use crate::line::Line;

/// Container runtimes cut lines into pieces of this size; short here, so that it happens often.
const CRI_PIECE_BYTES: usize = 300;
/// Of so many lines the first begins a trace, which the others go on with.
const TRACE_LINES: u64 = 7;
/// Lines longer than this are no part of a trace.
const TRACE_LINE_BYTES_MAX: usize = 4_000;
/// What stands in front of the first line of a trace, and of the others.
const TRACE_HEAD: &str = "oracle.OracleError: ";
const TRACE_FRAME: &str = "\tat ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    /// As container runtimes write them; long ones in pieces.
    Cri,
    /// UTF-16 behind a byte order mark.
    Utf16(Order),
    /// As lines of stack traces, several of which are one record.
    Traces,
}

/// Which byte of two comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// What a line of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Head,
    Frame,
}

impl Shape {
    pub(crate) fn format(self) -> &'static str {
        match self {
            Self::Plain | Self::Utf16(_) => "plain, multiline: none",
            Self::Cri => "cri, multiline: none",
            Self::Traces => "plain, multiline: auto",
        }
    }

    /// What every file begins with.
    pub(crate) fn mark(self) -> Vec<u8> {
        match self {
            Self::Utf16(order) => order.encode("\u{feff}"),
            Self::Plain | Self::Cri | Self::Traces => Vec::new(),
        }
    }

    /// A line as it stands in the file, line feed included.
    pub(crate) fn line(self, line: &Line) -> Vec<u8> {
        self.pieces(line).concat()
    }

    /// The same for a text that is no numbered line.
    pub(crate) fn text(self, text: &str, writer: usize) -> Vec<u8> {
        match self {
            Self::Plain | Self::Traces => [text.as_bytes(), b"\n"].concat(),
            Self::Utf16(order) => order.encode(&format!("{text}\n")),
            Self::Cri => cri_pieces(text, writer).concat(),
        }
    }

    /// A line in the pieces that programs write one after the other.
    pub(crate) fn pieces(self, line: &Line) -> Vec<Vec<u8>> {
        match self {
            Self::Cri => cri_pieces(&line.text(), line.writer),
            Self::Traces => vec![self.text(&dress(line), line.writer)],
            Self::Plain | Self::Utf16(_) => vec![self.text(&line.text(), line.writer)],
        }
    }

    /// Bytes of a line feed.
    pub(crate) fn feed_bytes(self) -> usize {
        match self {
            Self::Utf16(_) => 2,
            Self::Plain | Self::Cri | Self::Traces => 1,
        }
    }

    /// The lines that a record's body is made of, without what makes them part of a trace.
    pub(crate) fn lines_of(self, body: &str) -> Vec<(Part, &str)> {
        match self {
            Self::Traces => body.split('\n').map(undress).collect(),
            Self::Plain | Self::Cri | Self::Utf16(_) => vec![(Part::Whole, body)],
        }
    }
}

impl Order {
    fn encode(self, text: &str) -> Vec<u8> {
        let units = text.encode_utf16();
        let bytes = units.map(|unit| match self {
            Self::Little => unit.to_le_bytes(),
            Self::Big => unit.to_be_bytes(),
        });
        bytes.flatten().collect()
    }
}

fn cri_pieces(text: &str, writer: usize) -> Vec<Vec<u8>> {
    let stream = ["stdout", "stderr"][writer % 2];
    let pieces = text.as_bytes().chunks(CRI_PIECE_BYTES);
    let last = pieces.len() - 1;
    let piece = |(index, piece): (usize, &[u8])| {
        let tag = if index == last { "F" } else { "P" };
        let head = format!("2026-01-02T03:04:05.{index:09}Z {stream} {tag} ");
        [head.as_bytes(), piece, b"\n"].concat()
    };
    pieces.enumerate().map(piece).collect()
}

fn dress(line: &Line) -> String {
    let text = line.text();
    if text.len() > TRACE_LINE_BYTES_MAX {
        return text;
    }
    let front = match line.number % TRACE_LINES {
        0 => TRACE_HEAD,
        _ => TRACE_FRAME,
    };
    format!("{front}{text}")
}

fn undress(text: &str) -> (Part, &str) {
    let frame = text.strip_prefix(TRACE_FRAME);
    // The white space in front of a record is not kept.
    let frame = frame.or_else(|| text.strip_prefix(TRACE_FRAME.trim_start()));
    match (text.strip_prefix(TRACE_HEAD), frame) {
        (Some(text), _) => (Part::Head, text),
        (None, Some(text)) => (Part::Frame, text),
        (None, None) => (Part::Whole, text),
    }
}

/// Lists as one, each in its order, mixed at random.
pub(crate) fn mixed(lists: Vec<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut mixed = Vec::new();
    while !lists.is_empty() {
        let at = rand::rng().random_range(0..lists.len());
        match lists[at].next() {
            Some(piece) => mixed.push(piece),
            None => drop(lists.swap_remove(at)),
        }
    }
    mixed
}
