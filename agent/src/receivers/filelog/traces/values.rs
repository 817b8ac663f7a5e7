//! Values that a program prints over several lines: Node's `console.log` of objects, arrays, maps and errors, `{:#?}` of
//! Rust, indented JSON.
//!
//! The first line ends in an opening bracket, what belongs to the value is indented more deeply than that line, and the
//! bracket that closes it stands below the first line's beginning. Anything else ends the record.

use super::Trace;
use super::shapes::{Shape, has, is_exception_header, is_frame, reports_error};

/// The deepest margin a value may stand at (`console.group` indents).
const MARGIN_MAX: usize = 64;
/// How much deeper, at least, what belongs to a value stands.
const DEPTH_MIN: usize = 2;

/// A value that has been opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Open {
    margin: u8,
    /// The bracket that ends it.
    close: u8,
    /// Its first entry has been seen.
    is_filled: bool,
    /// It is an error.
    pub(super) is_failure: bool,
}

/// Whether a line may open a value. One byte is looked at.
#[inline]
pub(super) fn may_open(line: &[u8]) -> bool {
    matches!(line.last(), Some(b'{' | b'['))
}

impl Open {
    /// The value that a line opens that [`may_open`] one.
    pub(super) fn new(line: &[u8]) -> Option<Self> {
        let text = line.trim_ascii_start();
        let margin = line.len() - text.len();
        let close = match line.last()? {
            b'{' => b'}',
            _ => b']',
        };
        // One column is what Next.js puts in front, not where the value stands.
        let margin = if margin == 1 { 0 } else { margin };
        let named = text.strip_prefix(b"[").unwrap_or(text);
        Some(Self {
            margin: u8::try_from(margin).ok().filter(|_| margin <= MARGIN_MAX)?,
            close,
            is_filled: false,
            is_failure: is_exception_header(named) || reports_error(text),
        })
    }

    /// Whether none of its entries has been seen.
    pub(super) fn is_empty(self) -> bool {
        !self.is_filled
    }

    /// The state after the next line, or `None` when it does not belong to the value.
    pub(super) fn next(self, shape: &Shape<'_>) -> Option<Trace> {
        let depth = shape.line.len() - shape.text.len();
        let margin = usize::from(self.margin);
        let is_inside =
            depth >= margin + DEPTH_MIN || depth > margin && shape.line.first() == Some(&b'\t');
        if is_inside {
            let belongs = self.is_filled || is_entry(shape.text);
            let is_filled = true;
            return belongs.then_some(Trace::Value(Self { is_filled, ..self }));
        }
        let is_end = depth == margin && shape.text.first() == Some(&self.close) && self.is_filled;
        is_end.then(|| self.ended(shape.text))
    }

    /// The state after the line that closes the value, behind which others may follow: `} {`, `} Error: boom`.
    fn ended(self, text: &[u8]) -> Trace {
        let again = may_open(text).then(|| Self::new(text)).flatten();
        match again {
            Some(open) => Trace::Value(Self {
                margin: self.margin,
                is_failure: self.is_failure,
                ..open
            }),
            None => Trace::ValueEnd {
                is_whole: text.len() == 1,
                is_failure: self.is_failure,
            },
        }
    }
}

/// Behind the line that closes a value may be the frames of an error that was printed with it.
pub(super) fn next_to_end(may_have_frames: bool, shape: &Shape<'_>) -> Option<Trace> {
    (may_have_frames && shape.indented && is_frame(shape.text)).then_some(Trace::Frames)
}

/// What stands first in a printed value: `a: 1,`, `'a' => 1`, `[Symbol(a)]: 1`, `<ref *1> {`, `true,`; no prose.
fn is_entry(text: &[u8]) -> bool {
    const BEGINNINGS: &[u8] = b"'\"`[<{(-\x1b";
    let Some(first) = text.first() else {
        return false;
    };
    let is_pair = || has(text, b": ") || has(text, b" => ") || text.ends_with(b":");
    let is_word = || !text.contains(&b' ');
    BEGINNINGS.contains(first)
        || first.is_ascii_digit()
        || text.ends_with(b",")
        || is_pair()
        || is_word()
}
