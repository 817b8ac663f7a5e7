//! Values of forms that are sent in parts: `Content-Disposition: form-data; name="password"`, an empty line and the value.

use std::ops::Range;

use memchr::memmem;

use super::super::work;

/// How far before its name a field is called one (bytes).
const LOOK_BACK: usize = 64;
/// Headers of a part behind the first.
const HEADERS_MAX: usize = 4;
/// Line ends, as they stand and escaped.
const BREAKS: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];

/// The value of the field whose name ends in what begins at `name` and, with its quotes, at `behind`.
pub(super) fn value(text: &[u8], name: usize, behind: usize) -> Option<Range<usize>> {
    let before = text.get(name.saturating_sub(LOOK_BACK)..name)?;
    memmem::find(before, b"form-data")?;
    let rest = text.get(behind..)?;
    let line_end = BREAKS.into_iter().find(|end| rest.starts_with(end))?;
    let mut start = behind + line_end.len();
    for _ in 0..HEADERS_MAX {
        let rest = text.get(start..)?;
        if rest.starts_with(line_end) {
            return content(text, start + line_end.len(), line_end);
        }
        let length = memmem::find(rest, line_end);
        work::read(length.unwrap_or(rest.len()));
        start += length? + line_end.len();
    }
    None
}

/// Up to the line that begins with two dashes, or the end of the text or the quoted text around.
fn content(text: &[u8], start: usize, line_end: &[u8]) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    if matches!(rest, [] | [b'-', b'-', ..] | [b'<', ..]) {
        return None;
    }
    let ends = memmem::find_iter(rest, line_end);
    let mut ends = ends.filter(|at| {
        let next = rest.get(at + line_end.len()..);
        next.is_none_or(|next| next.is_empty() || next.starts_with(b"--"))
    });
    let is_escaped = line_end.first() == Some(&b'\\');
    let otherwise = || match is_escaped {
        true => memchr::memchr(b'"', rest).unwrap_or(rest.len()),
        false => rest.len(),
    };
    let length = ends.next().unwrap_or_else(otherwise);
    work::read(length);
    (length > 0).then_some(start..start + length)
}
