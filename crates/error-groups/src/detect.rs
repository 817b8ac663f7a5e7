//! Finds a stack trace inside the text of an ordinary log record.
//!
//! Runs on every log record, so a text without a line break that is followed by a frame is refused
//! after one search for line breaks.

use crate::stack::{ParsedStack, parse_stack};

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
    parse_stack(body).map(|stack| DetectedStack {
        prefix: "",
        stacktrace: body,
        stack,
    })
}
