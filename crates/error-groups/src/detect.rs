//! Finds a stack trace inside the text of an ordinary log record.
//!
//! Runs on every log record. A text of one line is refused after one search for a line break; one
//! of several lines after one search each for what begins a frame or a panic. Only then is it
//! parsed. At most [`STACK_BYTES_MAX`] bytes are looked at.

use memchr::{memchr, memmem};

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

fn looks_like_stack(body: &[u8]) -> bool {
    memmem::find_iter(body, b"at ").any(|at| begins_line(body, at))
        || memmem::find(body, b"Traceback (most recent call last)").is_some()
        || memmem::find(body, b"goroutine ").is_some()
        || memmem::find(body, b"panicked at ").is_some()
}

/// Whether only blanks stand between the line break before `at` and `at`.
fn begins_line(body: &[u8], at: usize) -> bool {
    let before = body.get(..at).unwrap_or_default();
    before
        .iter()
        .rev()
        .find(|byte| !matches!(byte, b' ' | b'\t'))
        == Some(&b'\n')
}

#[cfg(test)]
mod tests;
