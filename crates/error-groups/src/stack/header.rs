//! Finds `Type: message` before the frames, also behind log text on the same line.

/// How many lines before the first frame are searched: messages may have several lines.
const HEADER_LINES_MAX: usize = 60;

/// Where the exception begins in the text, and what it says.
pub(super) struct Header {
    /// Byte offset of the type within the text.
    pub(super) start: usize,
    pub(super) exception_type: String,
    pub(super) message: String,
}

/// Reads the header at the end of `before`, the text up to the first frame.
///
/// The nearest line that names an error type wins; failing that, the first line when it looks like
/// `Name: message`; failing that, all of it is the message.
pub(super) fn find(before: &str) -> Header {
    let mut end = before.trim_end().len();
    for _ in 0..HEADER_LINES_MAX {
        let Some(head) = before.get(..end) else { break };
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let line = head.get(start..).unwrap_or_default();
        if let Some((at, name_len)) = error_type_in(line) {
            return split(before, start + at, name_len);
        }
        if start == 0 {
            break;
        }
        end = start - 1;
    }
    let start = before.len() - before.trim_start().len();
    let first = before.get(start..).unwrap_or_default();
    match first_name(first) {
        Some(name_len) => split(before, start, name_len),
        None => Header {
            start,
            exception_type: String::new(),
            message: first.trim().to_owned(),
        },
    }
}

/// Splits `Type [CODE]: message` that begins at `start`, with a type of `name_len` bytes.
fn split(before: &str, start: usize, name_len: usize) -> Header {
    let name_end = start + name_len;
    let rest = before.get(name_end..).unwrap_or_default();
    let message = without_code(rest).unwrap_or(rest);
    Header {
        start,
        exception_type: before.get(start..name_end).unwrap_or_default().to_owned(),
        message: message
            .strip_prefix(':')
            .unwrap_or(message)
            .trim()
            .to_owned(),
    }
}

/// Offset and length of the first error type in `line` that a colon, a bracketed code or the end
/// of the line follows.
fn error_type_in(line: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(rest) = line.get(from..) {
        let skipped = rest.find(is_name_start)?;
        let start = from + skipped;
        let name = line.get(start..)?;
        let len = name.find(|c| !is_name(c)).unwrap_or(name.len());
        let name = name.get(..len)?;
        let after = line.get(start + len..)?;
        if is_error_name(name) && ends_name(after) {
            return Some((start, len));
        }
        from = start + len;
    }
    None
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$'
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.')
}

fn is_error_name(name: &str) -> bool {
    ["Error", "Exception", "Throwable", "Fault"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn ends_name(after: &str) -> bool {
    let after = without_code(after).unwrap_or(after);
    after.trim_end().is_empty() || after.starts_with(": ") || after.trim_end() == ":"
}

/// The text after ` [ERR_SOME_CODE]`, which Node.js puts between type and message.
fn without_code(after: &str) -> Option<&str> {
    let (code, rest) = after.strip_prefix(" [")?.split_once(']')?;
    (!code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .then_some(rest)
}

/// The length of a capitalised name before `: ` or the end of the first line.
fn first_name(text: &str) -> Option<usize> {
    let len = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let after = text.get(len..)?.lines().next().unwrap_or_default();
    (text.starts_with(|c: char| c.is_ascii_uppercase()) && ends_name(after)).then_some(len)
}
