//! Which lines go on with the stack trace above them.
//!
//! A small state per record tells what may follow. Traces of JavaScript, Java, .NET, Python, Go, Rust, Ruby and PHP are
//! known, alone or below the line with which a logger reports them, statements of several lines in PostgreSQL's
//! log, printed values of several lines, and private keys. A line that begins like a new record, with `{` or a date, never continues one; a line that looks like nothing
//! of the trace ends it and begins a record of its own.
//!
//! A line below an error may be the second of its message or another program's: a stack further below decides. In the meantime
//! the state [is uncertain](Trace::is_uncertain), and the lines are records of their own if nothing of the trace follows.

mod shapes;
mod steps;
mod values;

use std::borrow::Cow;

use crate::formats::{begins_csv, is_postgres};
use shapes::{
    DOTNET_INDENT, Shape, begins_jul_message, begins_key_block, begins_level, begins_record,
    ends_key_block, has, has_error_level, has_error_word, in_key_block, is_dotnet_console,
    is_exception_header, is_frame, is_go_symbol, is_goroutine, is_jul_head, is_klog, is_klog_fatal,
    is_node_location, is_php_frame, is_pino_field, is_pino_pretty, is_python_header, is_qualified,
    is_rails_exception, is_rails_fatal, is_ruby_frame, is_timed_dotnet_console, is_zap,
    reports_error, uncoloured, untagged,
};
use values::{Open, may_open, next_to_end};

/// Lines of a message, at most, between an error's first line and its stack.
const MESSAGE_LINES_MAX: u8 = 32;

/// How far a trace has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Trace {
    /// Nothing of a trace so far.
    #[default]
    None,
    /// Node: after `file.js:10` comes the line of source,
    NodeSource,
    /// then a line with a caret,
    NodeCaret,
    /// then a blank line and the message,
    NodeMessage,
    /// which may go on below.
    NodeThrown,
    /// Lines that belong to an error's message if a stack follows: how many.
    Message(u8),
    /// A blank line below one that reports an error, which may go on with the exception.
    ReportBlank,
    /// The name of an exception, below the line that reports it.
    Header,
    /// Frames that begin with `at`, and what is indented below them.
    Frames,
    FramesBlank,
    /// `fail: Category[0]` of .NET; what belongs to it is indented.
    DotnetConsole,
    /// java.util.logging: behind date and method the level and the message are a line of their own,
    JulHead,
    /// which an exception may follow.
    JulMessage,
    /// klog: `err=<` ends a line, and those of the value are indented, up to ` >`.
    KlogValue,
    PythonFrames,
    /// After the exception line.
    PythonDone,
    /// Another exception may have been raised while this one was handled.
    PythonBlank,
    PythonChained,
    /// After pydantic's exception line, details of fields;
    PythonDetails,
    /// the name of a field if details follow.
    PythonField,
    GoPanic,
    GoFrames,
    GoBlank,
    /// zap's console: a function,
    ZapFunction,
    /// and its place.
    ZapPlace,
    RustMessage,
    RustDone,
    /// `Error: ...` as `main` of Rust reports it,
    RustError,
    /// with its causes below.
    RustCauses,
    /// Ruby: below the message may be a blank line, source and a caret.
    RubyHeader,
    RubySource,
    RubyCaret,
    RubyFrames,
    /// The exception that Rails reports, and its frames.
    Rails,
    PhpFrames,
    /// What pino-pretty writes below a message.
    Pretty,
    /// A value that is printed over several lines,
    Value(Open),
    /// to the line that closes it.
    ValueEnd {
        /// Nothing stands behind the bracket.
        is_whole: bool,
        is_failure: bool,
    },
    /// A statement of several lines.
    Postgres,
    /// A line of PostgreSQL's `csvlog`.
    PostgresCsv {
        /// A field in quotes goes on.
        is_open: bool,
    },
    /// A private key in PEM: one record, so that it can be recognised and redacted as a whole,
    KeyBlock,
    /// to its last line.
    KeyBlockDone,
}

impl Trace {
    /// Whether the record reports a failure, if it tells no level.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::Value(open) => open.is_failure,
            Self::ValueEnd { is_failure, .. } => is_failure,
            Self::None | Self::Postgres | Self::PostgresCsv { .. } => false,
            Self::DotnetConsole | Self::Pretty | Self::KlogValue => false,
            Self::JulHead | Self::JulMessage => false,
            Self::KeyBlock | Self::KeyBlockDone => false,
            _ => true,
        }
    }

    /// Whether the first line alone shows that others follow.
    pub(super) fn has_begun(self) -> bool {
        !matches!(self, Self::None | Self::Value(_)) && !self.is_uncertain()
    }

    /// Whether the last line belongs to the record only if others follow that do.
    #[inline]
    pub(super) fn is_uncertain(self) -> bool {
        matches!(
            self,
            Self::Message(_) | Self::ReportBlank | Self::PythonField
        )
    }

    /// Whether no line can follow.
    #[inline]
    pub(super) fn is_complete(self) -> bool {
        matches!(
            self,
            Self::ValueEnd {
                is_whole: true,
                is_failure: false
            } | Self::PostgresCsv { is_open: false }
        )
    }

    /// The state after the first line of a record.
    #[inline]
    pub(super) fn begin(line: &[u8]) -> Self {
        let line = uncoloured(line);
        match line.first() {
            None => Self::None,
            Some(_) if may_open(line) => Self::begin_value(line),
            Some(b'{') => Self::None,
            Some(_) if begins_key_block(line) => Self::KeyBlock,
            Some(b'T' | b' ') if is_python_header(line) => Self::PythonFrames,
            Some(b'p') if line.starts_with(b"panic: ") => Self::GoPanic,
            Some(b'f') if line.starts_with(b"fatal error: ") => Self::GoPanic,
            Some(b'g') if is_goroutine(line) => Self::GoFrames,
            Some(b't') if line.starts_with(b"thread '") && has(line, b" panicked at ") => {
                match line.ends_with(b":") {
                    true => Self::RustMessage,
                    false => Self::RustDone,
                }
            }
            Some(b'E') if line.starts_with(b"Error: ") => Self::RustError,
            Some(b'A'..=b'W') if line.ends_with(b"=<") && is_klog(line) => Self::KlogValue,
            Some(b'A'..=b'S') if is_jul_head(line) => Self::JulHead,
            Some(b't' | b'd' | b'i' | b'w' | b'f' | b'c') if is_dotnet_console(line) => {
                Self::DotnetConsole
            }
            Some(b'0'..=b'9') if begins_csv(line) => Self::begin_csv(line),
            Some(b'0'..=b'9' | b'[') if line.ends_with(b"]") && is_timed_dotnet_console(line) => {
                Self::DotnetConsole
            }
            Some(_) if line.last().is_some_and(u8::is_ascii_digit) && is_node_location(line) => {
                Self::NodeSource
            }
            Some(_) if line.ends_with(b")") && is_ruby_frame(line) => Self::RubyHeader,
            Some(_) => Self::None,
        }
    }

    fn begin_value(line: &[u8]) -> Self {
        if line.starts_with(b"panic: ") || line.starts_with(b"fatal error: ") {
            return Self::GoPanic;
        }
        if begins_csv(line) {
            return Self::begin_csv(line);
        }
        Open::new(line).map_or(Self::None, Self::Value)
    }

    fn begin_csv(line: &[u8]) -> Self {
        let quotes = memchr::memchr_iter(b'"', line).count();
        Self::PostgresCsv {
            is_open: !quotes.is_multiple_of(2),
        }
    }

    /// The state after `line`, or `None` when it begins another record. `first` gives the record's first line.
    pub(super) fn next<'f>(self, first: impl Fn() -> Cow<'f, [u8]>, line: &[u8]) -> Option<Self> {
        if let Self::PostgresCsv { is_open } = self {
            return Self::next_csv(is_open, line);
        }
        let line = uncoloured(line);
        if begins_record(line) {
            return None;
        }
        let text = line.trim_ascii_start();
        let shape = Shape {
            line,
            text,
            blank: text.is_empty(),
            indented: text.len() < line.len(),
        };
        match self {
            Self::None => Self::start(first, &shape),
            Self::NodeSource | Self::NodeCaret | Self::NodeMessage => self.next_node(&shape),
            Self::Header => {
                (self.next_frame(&shape)).or_else(|| Self::Message(0).next_message(&shape))
            }
            Self::NodeThrown => {
                (Self::Frames.next_frame(&shape)).or_else(|| Self::Message(0).next_message(&shape))
            }
            Self::Frames | Self::FramesBlank => self.next_frame(&shape),
            Self::Message(_) => self.next_message(&shape),
            Self::ReportBlank => is_exception_header(line).then_some(Self::Header),
            Self::DotnetConsole => line.starts_with(DOTNET_INDENT).then_some(self),
            Self::JulHead => begins_jul_message(line).then_some(Self::JulMessage),
            Self::JulMessage if is_exception_header(line) => Some(Self::Header),
            Self::JulMessage => None,
            Self::KlogValue => Self::next_klog(line),
            Self::PythonFrames | Self::PythonDone | Self::PythonBlank | Self::PythonChained => {
                self.next_python(&shape)
            }
            Self::PythonDetails | Self::PythonField => self.next_detail(&shape),
            Self::GoPanic | Self::GoFrames | Self::GoBlank => self.next_go(&shape),
            Self::ZapFunction => (line.first() == Some(&b'\t')).then_some(Self::ZapPlace),
            Self::ZapPlace => is_go_symbol(line).then_some(Self::ZapFunction),
            Self::RustError => {
                (self.next_rust(&shape)).or_else(|| Self::Message(0).next_message(&shape))
            }
            Self::RustMessage | Self::RustDone | Self::RustCauses => self.next_rust(&shape),
            Self::RubyHeader | Self::RubySource | Self::RubyCaret | Self::RubyFrames => {
                self.next_ruby(&shape)
            }
            Self::Rails => Self::next_rails(line),
            Self::Pretty => (line.starts_with(b"    ") && shape.is_part()).then_some(self),
            Self::PhpFrames => (shape.blank || is_php_frame(text)).then_some(self),
            // A message may end in a bracket, too: what its trace goes on with is told first.
            Self::Value(open) if open.is_empty() => {
                let first = first();
                let trace = match first.starts_with(b"Error: ") {
                    true => Self::RustError.next_rust(&shape),
                    false => Self::start_trace(|| Cow::Borrowed(&*first), &shape),
                };
                trace
                    .or_else(|| open.next(&shape))
                    .or_else(|| Self::start_message(|| Cow::Borrowed(&*first), &shape))
            }
            Self::Value(open) => open.next(&shape),
            Self::ValueEnd {
                is_whole,
                is_failure,
            } => next_to_end(!is_whole || is_failure, &shape),
            Self::PostgresCsv { .. } => None,
            Self::Postgres => (line.first() == Some(&b'\t')).then_some(self),
            Self::KeyBlock if ends_key_block(text) => Some(Self::KeyBlockDone),
            Self::KeyBlock => (shape.blank || in_key_block(text)).then_some(self),
            Self::KeyBlockDone => None,
        }
    }

    fn next_csv(is_open: bool, line: &[u8]) -> Option<Self> {
        if !is_open || begins_csv(line) {
            return None;
        }
        let quotes = memchr::memchr_iter(b'"', line).count();
        Some(Self::PostgresCsv {
            is_open: quotes.is_multiple_of(2),
        })
    }

    /// The second line of a record makes a trace of it, or may be the second of an error's message.
    #[inline]
    fn start<'f>(first: impl Fn() -> Cow<'f, [u8]>, shape: &Shape<'_>) -> Option<Self> {
        Self::start_trace(&first, shape).or_else(|| Self::start_message(first, shape))
    }

    #[inline]
    fn start_message<'f>(first: impl FnOnce() -> Cow<'f, [u8]>, shape: &Shape<'_>) -> Option<Self> {
        const LIKENESS: usize = 4;
        if begins_level(shape.line) {
            return None;
        }
        let first = first();
        if shape.blank && has_error_level(&first) {
            return Some(Self::ReportBlank);
        }
        // Lines that begin alike are a logger's.
        let is_alike = first.get(..LIKENESS) == shape.line.get(..LIKENESS);
        let may_be = !is_alike && reports_error(&first);
        may_be.then(|| Self::Message(0).next_message(shape))?
    }

    /// The second line of a record makes a trace of it, or not.
    fn start_trace<'f>(first: impl FnOnce() -> Cow<'f, [u8]>, shape: &Shape<'_>) -> Option<Self> {
        let (line, text) = (shape.line, shape.text);
        if shape.indented {
            return match text.first()? {
                b'a' | b'.' | b'-' if is_frame(text) || text.starts_with(b"---> ") => {
                    Some(Self::Frames)
                }
                b'f' if text.starts_with(b"from ") && is_ruby_frame(text) => Some(Self::RubyFrames),
                _ if line.first() == Some(&b'\t') => Self::start_tabbed(&first(), text),
                b'+' if is_python_header(line) => {
                    has_error_word(&first()).then_some(Self::PythonFrames)
                }
                _ if is_pino_field(line) => is_pino_pretty(&first()).then_some(Self::Pretty),
                _ => None,
            };
        }
        let (state, needed): (Self, fn(&[u8]) -> bool) = match text.first()? {
            b'T' if is_python_header(line) => (Self::PythonFrames, has_error_word),
            b'g' if is_goroutine(line) => (Self::GoFrames, |first| {
                has_error_word(first) || is_klog_fatal(first)
            }),
            b'A'..=b'Z' | b'[' if line.ends_with(b"):") && is_rails_exception(untagged(line)) => {
                (Self::Rails, is_rails_fatal)
            }
            b'S' | b'[' if matches!(line, b"Stack trace:" | b"[stacktrace]") => {
                (Self::PhpFrames, has_error_word)
            }
            b'#' if line.starts_with(b"#0 ") => (Self::PhpFrames, has_error_word),
            // Without a package an error may be one of its own: frames tell.
            _ if is_exception_header(line) => match is_qualified(line) {
                true => (Self::Header, has_error_level),
                false => (Self::Message(1), has_error_level),
            },
            _ if line.ends_with(b"'") && is_ruby_frame(line) => (Self::RubyFrames, has_error_word),
            _ if is_go_symbol(line) => (Self::ZapFunction, is_zap),
            _ => return None,
        };
        needed(&first()).then_some(state)
    }

    /// A statement in PostgreSQL's log, or the exception that Tomcat writes below its line.
    fn start_tabbed(first: &[u8], text: &[u8]) -> Option<Self> {
        if is_postgres(first) {
            return Some(Self::Postgres);
        }
        (is_exception_header(text) && has_error_level(first)).then_some(Self::Header)
    }
}
