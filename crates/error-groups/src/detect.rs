//! Finds a stack trace inside the text of an ordinary log record.
//!
//! Runs on every log record. A text of one line is refused after one search for a line break; one
//! of several lines after a look at the beginning of each line and one search for a panic. Only
//! then is it parsed. At most [`STACK_BYTES_MAX`] bytes are looked at.

use std::sync::LazyLock;

use memchr::{memchr, memchr_iter, memmem};

use crate::occurrence::{STACK_BYTES_MAX, prefix};
use crate::stack::{ParsedStack, parse_with_start};

/// A stack trace found in a log text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedStack<'a> {
    /// The log text before the stack, without the exception's own type and message.
    pub prefix: &'a str,
    /// The stack as text, beginning with the exception's type where the language prints it first.
    pub stacktrace: &'a str,
    pub stack: ParsedStack,
}

/// The stack trace in `body`, or `None` when there is none.
pub fn detect_in_log_body(body: &str) -> Option<DetectedStack<'_>> {
    memchr(b'\n', body.as_bytes())?;
    let body = prefix(body, STACK_BYTES_MAX);
    if !looks_like_stack(body.as_bytes()) {
        return None;
    }
    let (start, stack) = parse_with_start(body, None)?;
    let (before, stacktrace) = body.split_at_checked(start)?;
    Some(DetectedStack {
        prefix: before.trim_end(),
        stacktrace: stacktrace.trim_end(),
        stack,
    })
}

/// Rust panics without a backtrace have no line that begins like a frame.
static PANICKED: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new("panicked at "));
/// Ruby's frames begin with the path of a file.
static IN: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(":in "));

fn looks_like_stack(body: &[u8]) -> bool {
    let next_line = |at: usize| body.get(at + 1..).unwrap_or_default();
    begins_frame(body)
        || memchr_iter(b'\n', body).any(|at| begins_frame(next_line(at)))
        || PANICKED.find(body).is_some()
        || IN.find(body).is_some()
}

/// Whether a line begins like a frame of any language, behind blanks or a Python group's rulers.
fn begins_frame(line: &[u8]) -> bool {
    let is_margin = |byte: &u8| matches!(byte, b' ' | b'\t' | b'|');
    let margin = line.iter().take_while(|byte| is_margin(byte)).count();
    let content = line.get(margin..).unwrap_or_default();
    match content.first() {
        Some(b'a') => content.starts_with(b"at "),
        Some(b'F') => content.starts_with(b"File \""),
        Some(b'g') => content.starts_with(b"goroutine "),
        // PHP's.
        Some(b'#') => content.starts_with(b"#0 "),
        // Go's places.
        Some(b'/') => line.first() == Some(&b'\t') && names_go_file(content),
        _ => false,
    }
}

fn names_go_file(content: &[u8]) -> bool {
    let end = memchr(b'\n', content).unwrap_or(content.len());
    let line = content.get(..end).unwrap_or_default();
    memmem::find(line, b".go:").is_some()
}

#[cfg(test)]
mod tests;
