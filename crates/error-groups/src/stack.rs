//! Stack traces: text as a language prints it in, [`ParsedStack`] out.
//!
//! Read are V8 (Node.js, Next.js, browsers of that family), Python, Java, .NET, PHP, Ruby, Go (panics and zap's) and Rust panics.
//! Frames are ordered from the crash outwards, whatever order the language prints. At most
//! [`FRAMES_MAX`] frames and [`CAUSES_MAX`] causes are kept; text beyond
//! [`STACK_BYTES_MAX`] is not read. One pass over the lines, no backtracking.

use serde::{Deserialize, Serialize};

use crate::occurrence::{FIELD_BYTES_MAX, MESSAGE_BYTES_MAX, STACK_BYTES_MAX, prefix, truncated};

mod header;
mod paths;

mod dotnet;
mod go;
mod java;
mod javascript;
mod php;
mod python;
mod ruby;
mod rust;

pub(crate) use javascript::is_bundle;

#[cfg(test)]
mod tests;

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
    Dotnet,
    Php,
    Ruby,
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
    parse_with_start(text, None).map(|(_, stack)| stack)
}

/// As [`parse_stack`], with `hint` read first, and with the byte offset in `text` at which the
/// stack (its exception type where that is printed first) begins.
pub(crate) fn parse_with_start(text: &str, hint: Option<Language>) -> Option<(usize, ParsedStack)> {
    let text = prefix(text, STACK_BYTES_MAX);
    let order = [
        Language::Python,
        Language::Go,
        Language::Rust,
        Language::Java,
        Language::Javascript,
        Language::Dotnet,
        Language::Php,
        Language::Ruby,
    ];
    hint.into_iter().chain(order).find_map(|language| {
        let (start, chain) = match language {
            Language::Javascript => javascript::parse(text),
            Language::Python => python::parse(text),
            Language::Java => java::parse(text),
            Language::Go => go::parse(text),
            Language::Rust => rust::parse(text),
            Language::Dotnet => dotnet::parse(text),
            Language::Php => php::parse(text),
            Language::Ruby => ruby::parse(text),
        }?;
        Some((start, into_stack(language, chain)?))
    })
}

/// The reported exception first, its causes after it.
fn into_stack(language: Language, chain: Vec<Exception>) -> Option<ParsedStack> {
    let mut chain = chain.into_iter().map(limited);
    let reported = chain.next()?;
    Some(ParsedStack {
        language,
        exception_type: reported.exception_type,
        message: reported.message,
        frames: reported.frames,
        causes: chain.take(CAUSES_MAX).collect(),
    })
}

/// Cuts texts, and frames in the middle.
fn limited(mut exception: Exception) -> Exception {
    let cut = |text: &mut String, bytes_max: usize| {
        if text.len() > bytes_max {
            *text = truncated(text, bytes_max).into_owned();
        }
    };
    cut(&mut exception.exception_type, FIELD_BYTES_MAX);
    cut(&mut exception.message, MESSAGE_BYTES_MAX);
    if exception.frames.len() > FRAMES_MAX {
        let far = exception
            .frames
            .split_off(exception.frames.len() - FRAMES_MAX / 2);
        exception.frames.truncate(FRAMES_MAX / 2);
        exception.frames.extend(far);
    }
    for frame in &mut exception.frames {
        cut(&mut frame.function, FIELD_BYTES_MAX);
        cut(&mut frame.module, FIELD_BYTES_MAX);
        cut(&mut frame.file, FIELD_BYTES_MAX);
    }
    exception
}

/// The lines of `text`, each with its byte offset, without line ends.
fn lines_with_offset(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = offset;
        offset += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

/// `file:line:column` or `file:line` apart; numbers are 0 when they are not there.
fn split_location(location: &str) -> (&str, u32, u32) {
    let number_after_colon = |text: &'_ str| -> Option<(usize, u32)> {
        let (head, digits) = text.rsplit_once(':')?;
        Some((head.len(), digits.parse().ok()?))
    };
    let Some((end, last)) = number_after_colon(location) else {
        return (location, 0, 0);
    };
    let head = location.get(..end).unwrap_or_default();
    match number_after_colon(head) {
        Some((end, line)) => (head.get(..end).unwrap_or_default(), line, last),
        None => (head, last, 0),
    }
}
