//! From the bytes of a file to text: the encoding decides where a line ends and how a record is decoded.
//!
//! Offsets stay byte offsets of the file; a byte order mark is passed over. Bytes that are no text become U+FFFD and
//! the record is counted.

use std::borrow::Cow;

use serde::Deserialize;

/// Bytes of the longest byte order mark.
const MARK_BYTES_MAX: usize = 3;
const REPLACEMENT: char = '\u{fffd}';

/// The setting `encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum EncodingSpec {
    /// UTF-16 when a byte order mark says so, else UTF-8.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "utf-16le")]
    Utf16Le,
    #[serde(rename = "utf-16be")]
    Utf16Be,
    #[serde(rename = "latin-1")]
    Latin1,
}

/// The encoding of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
}

/// The text of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'b> {
    pub(super) text: Cow<'b, str>,
    /// Something was no text and has been replaced.
    pub(super) replaced: bool,
}

impl EncodingSpec {
    /// The encoding of a file that begins with `beginning`, and the length of its byte order mark; `None` while
    /// there are too few bytes to tell.
    pub(super) fn resolve(self, beginning: &[u8], at_end: bool) -> Option<(Encoding, usize)> {
        const MARKS: [(&[u8], Encoding); 3] = [
            (&[0xef, 0xbb, 0xbf], Encoding::Utf8),
            (&[0xff, 0xfe], Encoding::Utf16Le),
            (&[0xfe, 0xff], Encoding::Utf16Be),
        ];
        let configured = match self {
            Self::Auto => None,
            Self::Utf8 => Some(Encoding::Utf8),
            Self::Utf16Le => Some(Encoding::Utf16Le),
            Self::Utf16Be => Some(Encoding::Utf16Be),
            Self::Latin1 => return Some((Encoding::Latin1, 0)),
        };
        let fits = |encoding: &Encoding| configured.is_none_or(|wanted| wanted == *encoding);
        for (mark, encoding) in MARKS.iter().filter(|(_, encoding)| fits(encoding)) {
            if beginning.starts_with(mark) {
                return Some((*encoding, mark.len()));
            }
            if mark.starts_with(beginning) && beginning.len() < MARK_BYTES_MAX && !at_end {
                return None;
            }
        }
        Some((configured.unwrap_or(Encoding::Utf8), 0))
    }
}

impl Encoding {
    /// Bytes of a line feed.
    pub(super) fn unit_bytes(self) -> usize {
        match self {
            Self::Utf8 | Self::Latin1 => 1,
            Self::Utf16Le | Self::Utf16Be => 2,
        }
    }

    /// The place of the first line feed; `bytes` begin at the beginning of a character.
    #[inline]
    pub(super) fn find_line_feed(self, bytes: &[u8]) -> Option<usize> {
        let feed = match self {
            Self::Utf8 | Self::Latin1 => return memchr::memchr(b'\n', bytes),
            Self::Utf16Le => [b'\n', 0],
            Self::Utf16Be => [0, b'\n'],
        };
        let (units, _) = bytes.as_chunks::<2>();
        units.iter().position(|unit| *unit == feed).map(|at| at * 2)
    }

    /// The length of a line without the carriage return at its end.
    #[inline]
    pub(super) fn without_return(self, line: &[u8]) -> usize {
        let carriage_return: &[u8] = match self {
            Self::Utf8 | Self::Latin1 => b"\r",
            Self::Utf16Le => b"\r\0",
            Self::Utf16Be => b"\0\r",
        };
        line.strip_suffix(carriage_return).unwrap_or(line).len()
    }

    /// The largest place not after `at` that does not split a character; `at`, or the unit before it, in bytes that
    /// are no text.
    pub(super) fn boundary(self, bytes: &[u8], at: usize) -> usize {
        const CHARACTER_BYTES_MAX: usize = 4;
        let is_boundary = |place: &usize| match self {
            Self::Latin1 => true,
            Self::Utf8 => bytes
                .get(*place)
                .is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000),
            Self::Utf16Le => !is_low_surrogate(bytes.get(*place + 1)),
            Self::Utf16Be => !is_low_surrogate(bytes.get(*place)),
        };
        let at = at - at % self.unit_bytes();
        (at.saturating_sub(CHARACTER_BYTES_MAX - 1)..=at)
            .rev()
            .filter(|place| (at - place).is_multiple_of(self.unit_bytes()))
            .find(is_boundary)
            .unwrap_or(at)
    }

    /// Decodes whole characters.
    pub(super) fn decode<'b>(self, bytes: Cow<'b, [u8]>) -> Text<'b> {
        match self {
            Self::Utf8 => decode_utf8(bytes),
            Self::Latin1 => Text {
                text: decode_latin1(bytes),
                replaced: false,
            },
            Self::Utf16Le => decode_utf16(&bytes, u16::from_le_bytes),
            Self::Utf16Be => decode_utf16(&bytes, u16::from_be_bytes),
        }
    }

    /// A character that ends a line.
    pub(super) fn line_feed(self) -> &'static [u8] {
        match self {
            Self::Utf8 | Self::Latin1 => b"\n",
            Self::Utf16Le => b"\n\0",
            Self::Utf16Be => b"\0\n",
        }
    }
}

fn is_low_surrogate(high_byte: Option<&u8>) -> bool {
    high_byte.is_some_and(|byte| (0xdc..0xe0).contains(byte))
}

fn decode_utf8(bytes: Cow<'_, [u8]>) -> Text<'_> {
    match bytes {
        Cow::Borrowed(bytes) => {
            // Most text is valid, and this check is many times as fast as the search for what is not.
            let (text, replaced) = match std::str::from_utf8(bytes) {
                Ok(text) => (Cow::Borrowed(text), false),
                Err(_) => (String::from_utf8_lossy(bytes), true),
            };
            Text { text, replaced }
        }
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Text {
                text: Cow::Owned(text),
                replaced: false,
            },
            Err(error) => Text {
                text: Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
                replaced: true,
            },
        },
    }
}

fn decode_latin1(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    if bytes.is_ascii() {
        return decode_utf8(bytes).text;
    }
    Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())
}

fn decode_utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Text<'static> {
    let (units, odd) = bytes.as_chunks::<2>();
    let mut replaced = !odd.is_empty();
    let characters = char::decode_utf16(units.iter().map(|bytes| unit(*bytes)));
    let mut text: String = characters
        .map(|character| {
            character.unwrap_or_else(|_unpaired| {
                replaced = true;
                REPLACEMENT
            })
        })
        .collect();
    text.extend((!odd.is_empty()).then_some(REPLACEMENT));
    Text {
        text: Cow::Owned(text),
        replaced,
    }
}

#[cfg(test)]
mod tests;
