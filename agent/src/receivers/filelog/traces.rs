//! Which lines go on with the stack trace above them.
//!
//! A small state per record tells what may follow; JavaScript, Java, .NET, Python, Go and Rust traces are
//! known. A line that begins like a new record, with `{` or a date, never continues one.

use std::borrow::Cow;

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
    /// then a blank line and the message.
    NodeMessage,
    /// Frames that begin with `at`.
    Frames,
    PythonFrames,
    /// After the exception line; another exception may have been raised while this one was handled.
    PythonDone,
    GoPanic,
    GoFrames,
    RustMessage,
    RustDone,
}

impl Trace {
    /// The state after the first line of a record.
    pub(super) fn begin(line: &[u8]) -> Self {
        match line.first() {
            Some(b'T' | b' ') if is_python_header(line) => Self::PythonFrames,
            Some(b'p') if line.starts_with(b"panic: ") => Self::GoPanic,
            Some(b'f') if line.starts_with(b"fatal error: ") => Self::GoPanic,
            Some(b'g') if is_goroutine(line) => Self::GoFrames,
            Some(b't') if line.starts_with(b"thread '") && has(line, b" panicked at ") => {
                if line.ends_with(b":") {
                    Self::RustMessage
                } else {
                    Self::RustDone
                }
            }
            Some(b'/' | b'f' | b'n') if is_node_location(line) => Self::NodeSource,
            _ => Self::None,
        }
    }

    /// The state after `line`, or `None` when it begins another record. `first` gives the record's first line.
    pub(super) fn next<'f>(
        self,
        first: impl FnOnce() -> Cow<'f, [u8]>,
        line: &[u8],
    ) -> Option<Self> {
        if begins_record(line) {
            return None;
        }
        let text = line.trim_ascii_start();
        let (blank, indented) = (text.is_empty(), text.len() < line.len());
        if indented && is_frame(text) {
            return Some(match self {
                Self::PythonFrames | Self::PythonDone | Self::RustDone | Self::GoFrames => self,
                _ => Self::Frames,
            });
        }
        match self {
            Self::None if is_python_header(line) => {
                has_error_word(&first()).then_some(Self::PythonFrames)
            }
            Self::None => is_goroutine(line).then_some(Self::GoFrames),
            Self::NodeSource => Some(Self::NodeCaret),
            Self::NodeCaret => {
                let caret =
                    text.first() == Some(&b'^') && text.iter().all(|b| matches!(b, b'^' | b' '));
                caret.then_some(Self::NodeMessage)
            }
            Self::NodeMessage if blank => Some(self),
            Self::NodeMessage => Some(Self::Frames),
            Self::Frames => {
                let belongs = blank
                    || indented
                    || matches!(text, b"}" | b"]" | b"},")
                    || starts_with_any(text, &[b"Caused by: ", b"Node.js v"]);
                belongs.then_some(self)
            }
            Self::PythonFrames if blank || indented => Some(self),
            Self::PythonFrames => Some(Self::PythonDone),
            Self::PythonDone if is_python_header(line) => Some(Self::PythonFrames),
            Self::PythonDone => {
                let chained: [&[u8]; 2] = [
                    b"During handling of the above ",
                    b"The above exception was ",
                ];
                (blank || indented || starts_with_any(text, &chained)).then_some(self)
            }
            Self::GoPanic | Self::GoFrames => self.next_go(text, blank || indented),
            Self::RustMessage => Some(Self::RustDone),
            Self::RustDone => {
                let tail: [&[u8]; 2] = [b"note: ", b"stack backtrace:"];
                (indented || starts_with_any(text, &tail)).then_some(self)
            }
        }
    }

    fn next_go(self, text: &[u8], blank_or_indented: bool) -> Option<Self> {
        if is_goroutine(text) || text.starts_with(b"runtime stack:") {
            return Some(Self::GoFrames);
        }
        let belongs = blank_or_indented
            || match self {
                Self::GoPanic => starts_with_any(text, &[b"[signal ", b"panic: ", b"runtime: "]),
                _ => {
                    text.ends_with(b")")
                        || starts_with_any(text, &[b"created by ", b"exit status ", b"..."])
                }
            };
        belongs.then_some(self)
    }
}

/// Text that a logger begins a record with.
fn begins_record(line: &[u8]) -> bool {
    let date = || {
        let year = line
            .get(..4)
            .is_some_and(|year| year.iter().all(u8::is_ascii_digit));
        year && matches!(line.get(4), Some(b'-' | b'/')) && line.get(7) == line.get(4)
    };
    match line.first() {
        Some(b'{') => true,
        Some(byte) => byte.is_ascii_digit() && date(),
        None => false,
    }
}

/// `at f (file.js:1:2)`, `at com.example.A.b(A.java:1)`, `... 12 more`
fn is_frame(text: &[u8]) -> bool {
    text.starts_with(b"at ") || (text.starts_with(b"... ") && text.ends_with(b" more"))
}

fn is_python_header(line: &[u8]) -> bool {
    line.starts_with(b"Traceback (most recent call last):")
        || line.starts_with(b"  + Exception Group Traceback (most recent call last):")
}

fn is_goroutine(line: &[u8]) -> bool {
    line.starts_with(b"goroutine ") && line.ends_with(b"]:")
}

/// `/app/server.js:10`, which Node writes above the source of an uncaught error.
fn is_node_location(line: &[u8]) -> bool {
    const LONGEST: usize = 512;
    let digits = line
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let Some(path) = line
        .get(..line.len() - digits)
        .and_then(|path| path.strip_suffix(b":"))
    else {
        return false;
    };
    let is_script = [&b".js"[..], b".mjs", b".cjs", b".ts"]
        .iter()
        .any(|end| path.ends_with(end));
    digits > 0 && line.len() < LONGEST && (is_script || path.starts_with(b"node:"))
}

fn has_error_word(line: &[u8]) -> bool {
    let words: [&[u8]; 6] = [
        b"ERROR",
        b"rror",
        b"CRITICAL",
        b"FATAL",
        b"xception",
        b"WARNING",
    ];
    words.iter().any(|word| has(line, word))
}

fn has(line: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(line, word).is_some()
}

fn starts_with_any(text: &[u8], beginnings: &[&[u8]]) -> bool {
    beginnings
        .iter()
        .any(|beginning| text.starts_with(beginning))
}
