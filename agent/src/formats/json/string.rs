//! JSON's strings: found eight bytes at a time, copied only when something in them is escaped.

use std::borrow::Cow;

use super::Scanner;

const WORD_BYTES: usize = 8;
/// The lowest and the highest bit of each byte of a word.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

impl<'a> Scanner<'a> {
    /// A string with its quotes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.eat(b'"')?;
        let start = self.at;
        let end = start + special(self.bytes.get(start..)?);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return self.text.get(start..end).map(Cow::Borrowed);
        }
        self.escaped_string(start)
    }

    #[cold]
    fn escaped_string(&mut self, start: usize) -> Option<Cow<'a, str>> {
        let rest = self.bytes.get(start..)?;
        let end = string_end(rest)?;
        let raw = rest.get(..end)?;
        if !escapes_are_valid(raw) {
            return None;
        }
        self.at = start + end + 1;
        let mut text = Vec::with_capacity(raw.len());
        unescape(raw, &mut text);
        String::from_utf8(text).ok().map(Cow::Owned)
    }
}

/// Where the first quote, backslash or control character is; the length when there is none.
#[inline]
fn special(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<WORD_BYTES>();
    for (index, word) in words.iter().enumerate() {
        let hits = special_in_word(u64::from_le_bytes(*word));
        if hits != 0 {
            return index * WORD_BYTES + (hits.trailing_zeros() / 8) as usize;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let in_tail = tail.iter().position(is_special);
    words.len() * WORD_BYTES + in_tail.unwrap_or(tail.len())
}

/// The highest bit of each byte that is special. Above the lowest such bit there may be wrong ones.
#[inline]
fn special_in_word(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    let quote = zero(word ^ (LOW * b'"' as u64));
    let backslash = zero(word ^ (LOW * b'\\' as u64));
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

/// Where the quote that ends a string is, from the string's first byte; `None` when it does not end or holds a
/// control character.
pub(in crate::formats) fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + special(bytes.get(at..)?);
        match bytes.get(found)? {
            b'"' => return Some(found),
            b'\\' => at = found + 2,
            _control => return None,
        }
    }
}

fn escapes_are_valid(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let digits = match rest.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') if unit(rest, at).is_some() => 4,
            _ => return false,
        };
        rest = rest.get(at + 2 + digits..).unwrap_or_default();
    }
    true
}

/// Appends the inside of a JSON string with its escapes resolved; what is no valid escape, and half of a surrogate
/// pair, stays as it is.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let used = resolve(escape, out);
        rest = escape.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Resolves the escape at the beginning of `escape`: how many bytes it takes.
fn resolve(escape: &[u8], out: &mut Vec<u8>) -> usize {
    let byte = match escape.get(1) {
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'u') => return resolve_unit(escape, out),
        Some(_) | None => {
            out.push(b'\\');
            return 1;
        }
    };
    out.push(byte);
    2
}

fn resolve_unit(escape: &[u8], out: &mut Vec<u8>) -> usize {
    const ESCAPE_BYTES: usize = 6;
    let character = match unit(escape, 0) {
        Some(high @ 0xd800..=0xdbff) => match unit(escape, ESCAPE_BYTES) {
            Some(low @ 0xdc00..=0xdfff) => {
                char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            }
            _ => None,
        },
        Some(code) => char::from_u32(code),
        None => None,
    };
    let Some(character) = character else {
        out.push(b'\\');
        return 1;
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    if character as u32 > 0xffff {
        2 * ESCAPE_BYTES
    } else {
        ESCAPE_BYTES
    }
}

/// The code of `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |code, digit| {
        char::from(*digit)
            .to_digit(16)
            .map(|digit| code * 16 + digit)
    })
}
