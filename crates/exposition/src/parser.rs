//! From pieces of a body to statements and messages.

use crate::error::{Fault, ParseError};
use crate::lines::Lines;
use crate::negotiate::Format;
use crate::point::Sink;
use crate::protobuf::Messages;
use crate::{openmetrics, text};

/// What a part of a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of a line of text, with those that a quote goes over.
    pub line_bytes: usize,
    /// Of a protobuf message: a family with all its series.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes: 1 << 20,
            message_bytes: 32 << 20,
        }
    }
}

/// Reads one body.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    limits: Limits,
    /// The beginning of a line or message that goes on in the next piece.
    carry: Vec<u8>,
    /// Where the line in `carry` is with its quotes, when one of them goes over its end.
    quotes: Option<Quotes>,
    lines: Lines,
    lines_read: u64,
    messages: Messages,
}

impl Parser {
    pub fn new(format: Format, limits: Limits) -> Self {
        Self {
            format,
            limits,
            carry: Vec::new(),
            quotes: None,
            lines: Lines::default(),
            lines_read: 0,
            messages: Messages::default(),
        }
    }

    /// Whether classic buckets are handed out of histograms of protobuf that are native, too. By default they are not.
    pub fn with_classic_of_native(mut self, wanted: bool) -> Self {
        self.messages.classic_of_native = wanted;
        self
    }

    /// Whether native histograms are handed out; otherwise they count as classic ones. By default they are.
    pub fn with_native(mut self, wanted: bool) -> Self {
        self.messages.native = wanted;
        self
    }

    /// Reads the next piece of the body.
    ///
    /// # Errors
    /// The body is malformed or too long in a part; the parser is of no use any more.
    pub fn feed<S: Sink>(&mut self, piece: &[u8], sink: &mut S) -> Result<(), ParseError> {
        match self.format {
            Format::Protobuf => self.feed_messages(piece, sink),
            Format::Text | Format::OpenMetrics => self.feed_lines(piece, sink),
        }
    }

    /// Reads what is left when the body has ended.
    ///
    /// # Errors
    /// It is malformed, or ends too early.
    pub fn finish<S: Sink>(mut self, sink: &mut S) -> Result<(), ParseError> {
        let rest = std::mem::take(&mut self.carry);
        match self.format {
            Format::Text if rest.is_empty() => Ok(()),
            Format::Text => match self.statement(&rest, sink)? {
                Read::Whole => Ok(()),
                Read::OpenQuote => Err(self.open_quote(&rest)),
            },
            Format::OpenMetrics if rest.is_empty() && self.lines.ended => Ok(()),
            Format::OpenMetrics if rest == b"# EOF" || self.lines.ended => {
                self.statement(&rest, sink).map(|_read| ())
            }
            Format::OpenMetrics => Err(ParseError::NoEof),
            Format::Protobuf if rest.is_empty() => Ok(()),
            Format::Protobuf => Err(ParseError::MessageCutOff {
                message: self.messages.read + 1,
            }),
        }
    }

    fn feed_lines<S: Sink>(&mut self, mut piece: &[u8], sink: &mut S) -> Result<(), ParseError> {
        while !piece.is_empty() {
            let end = match &mut self.quotes {
                Some(quotes) => quotes.line_end(piece),
                None => memchr::memchr(b'\n', piece),
            };
            let (line, rest) = match end {
                Some(end) => (piece.get(..end), piece.get(end + 1..)),
                None => (Some(piece), None),
            };
            let line = line.unwrap_or_default();
            if self.carry.len() + line.len() > self.limits.line_bytes {
                return Err(ParseError::LineTooLong {
                    line: self.lines_read + 1,
                    max: self.limits.line_bytes,
                });
            }
            let Some(rest) = rest else {
                self.carry.extend_from_slice(line);
                return Ok(());
            };
            piece = rest;
            if self.carry.is_empty() {
                let read = self.statement(line, sink)?;
                self.go_on(read, line)?;
            } else {
                let mut statement = std::mem::take(&mut self.carry);
                statement.extend_from_slice(line);
                let read = self.statement(&statement, sink)?;
                self.go_on(read, &statement)?;
                if self.quotes.is_none() {
                    statement.clear();
                    self.carry = statement;
                }
            }
        }
        Ok(())
    }

    /// Counts the lines of a statement, or keeps it when it goes on in the next line.
    fn go_on(&mut self, read: Read, statement: &[u8]) -> Result<(), ParseError> {
        match read {
            Read::Whole => {
                // Only a statement with quotes over lines has more than one.
                let broken = match self.quotes.take() {
                    Some(_) => memchr::memchr_iter(b'\n', statement).count() as u64,
                    None => 0,
                };
                self.lines_read += 1 + broken;
            }
            Read::OpenQuote if self.quotes.is_some() => return Err(self.open_quote(statement)),
            Read::OpenQuote => {
                self.carry.clear();
                self.carry.extend_from_slice(statement);
                self.carry.push(b'\n');
                self.quotes = Some(Quotes {
                    open: true,
                    escaped: false,
                });
            }
        }
        Ok(())
    }

    fn statement<S: Sink>(&mut self, statement: &[u8], sink: &mut S) -> Result<Read, ParseError> {
        let read = match self.format {
            Format::OpenMetrics => openmetrics::statement(&mut self.lines, statement, sink),
            Format::Text | Format::Protobuf => text::statement(&mut self.lines, statement, sink),
        };
        let line = self.lines_read + 1;
        match read {
            Ok(()) => Ok(Read::Whole),
            Err(Fault::OpenQuote) => Ok(Read::OpenQuote),
            Err(Fault::AfterEof) => Err(ParseError::AfterEof { line }),
            Err(Fault::Malformed(message)) => Err(ParseError::Line { line, message }),
        }
    }

    fn open_quote(&self, statement: &[u8]) -> ParseError {
        let open = memchr::memrchr(b'"', statement).unwrap_or(0);
        let message = match Fault::expected("expected label value", statement, open) {
            Fault::Malformed(message) => message,
            Fault::OpenQuote | Fault::AfterEof => String::new(),
        };
        ParseError::Line {
            line: self.lines_read + 1,
            message,
        }
    }

    fn feed_messages<S: Sink>(&mut self, mut piece: &[u8], sink: &mut S) -> Result<(), ParseError> {
        let max = self.limits.message_bytes;
        while !self.carry.is_empty() {
            // What is missing of the length, then of the message.
            let missing = match self.messages.frame(&self.carry, max)? {
                Some(frame) => frame.end.saturating_sub(self.carry.len()),
                None => 1,
            };
            if missing == 0 {
                let carry = std::mem::take(&mut self.carry);
                self.messages.take(&carry, max, sink)?;
                break;
            }
            let taken = missing.min(piece.len());
            if taken == 0 {
                return Ok(());
            }
            let (taken, rest) = piece.split_at(taken);
            self.carry.extend_from_slice(taken);
            piece = rest;
        }
        let rest = self.messages.take(piece, max, sink)?;
        self.carry.extend_from_slice(rest);
        Ok(())
    }
}

/// What came of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Whole,
    /// A quote is open at its end.
    OpenQuote,
}

/// Follows the quotes of a statement over the ends of lines.
#[derive(Debug, Clone, Copy)]
struct Quotes {
    open: bool,
    /// The last byte was a backslash in quotes.
    escaped: bool,
}

impl Quotes {
    /// The first line break that stands outside of quotes.
    fn line_end(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            match (byte, self.open) {
                _ if self.escaped => self.escaped = false,
                (b'\\', true) => self.escaped = true,
                (b'"', _) => self.open = !self.open,
                (b'\n', false) => return Some(at),
                _ => {}
            }
        }
        None
    }
}
