//! Where the value behind a key begins and ends.

use std::ops::Range;

use super::{Key, gap};

/// Words that tell how the secret after them is meant.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"digest", b"token", b"apikey"];
/// Longest name that ends the value before it (bytes).
const NAME_BYTES_MAX: usize = 64;
const WRAPPERS: [&[u8]; 2] = [b"Some(", b"Ok("];
/// Letters before the quote of a text in Python.
const PREFIX_MAX: usize = 2;
/// Quotes that may be escaped by so many backslashes.
const SLASHES_MAX: usize = 4;

/// The value of a key that begins at `at`, or on the line after.
pub(super) fn after(text: &[u8], at: usize, key: Key) -> Option<Range<usize>> {
    let at = unwrapped(text, at);
    let mark_at = at + slashes(text, at);
    // Told before anything is read to a far end, which many such values would share.
    if begins_covered(text, at) || begins_covered(text, mark_at + 1) {
        return None;
    }
    let value = match text.get(mark_at)? {
        mark @ (b'"' | b'\'') => quoted(text, *mark, mark_at > at, mark_at + 1, key),
        b'\n' | b'\r' if mark_at == at => next_line(text, at)?,
        // Of a list one item is judged: what is not found out to be secret must not be read to a far end.
        b'[' if mark_at == at && key.is_judged => first_item(text, at, key)?,
        b'[' | b'{' | b'(' if key.is_judged => return None,
        b'[' | b'{' | b'(' if mark_at == at => group(text, at)?,
        _ => plain(text, at, key)?,
    };
    let bytes = text.get(value.clone())?;
    let is_nothing = matches!(bytes, b"" | b"null" | b"nil" | b"None" | b"true" | b"false");
    (!is_nothing).then_some(value)
}

/// Passes over what languages write around a text when they print it: `Some("x")` of Rust, `b'x'` of Python.
fn unwrapped(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let inner = WRAPPERS.iter().find_map(|open| rest.strip_prefix(*open));
    let inner = inner.unwrap_or(rest);
    let is_letter = |byte: &&u8| b"brufBRUF".contains(byte);
    let letters = inner.iter().take(PREFIX_MAX).take_while(is_letter).count();
    let is_quoted = matches!(inner.get(letters), Some(b'"' | b'\'' | b'\\'));
    let prefix = if is_quoted { letters } else { 0 };
    at + (rest.len() - inner.len()) + prefix
}

fn slashes(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default().iter();
    rest.take(SLASHES_MAX)
        .take_while(|byte| **byte == b'\\')
        .count()
}

/// Whether there stands what stands for a secret already: `<key:*>`, `<key:1f3a5b7c9d0e>`.
fn begins_covered(text: &[u8], at: usize) -> bool {
    const HASH_DIGITS: usize = 12;
    let value = text.get(at..).unwrap_or_default();
    let Some(inner) = value.strip_prefix(b"<") else {
        return false;
    };
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let name = inner.iter().take(NAME_BYTES_MAX).take_while(is_name);
    match inner.get(name.count()..) {
        Some([b':', b'*', b'>', ..]) => true,
        Some([b':', shown @ ..]) => {
            let digits = shown.get(..HASH_DIGITS).unwrap_or_default();
            !digits.is_empty()
                && digits.iter().all(u8::is_ascii_hexdigit)
                && shown.get(HASH_DIGITS) == Some(&b'>')
        }
        _ => false,
    }
}

/// A value in quotes. A header goes on behind them: `Cookie: "a"; sid=b`.
fn quoted(text: &[u8], mark: u8, is_nested: bool, start: usize, key: Key) -> Range<usize> {
    // A text in quotes that are doubled: `'pwd=''x'''`.
    if let Some([first, next, ..]) = text.get(start..)
        && *first == mark
        && next.is_ascii_graphic()
        && !ends_item(*next)
    {
        let rest = text.get(start + 1..).unwrap_or_default();
        let length = memchr::memchr(mark, rest).unwrap_or(rest.len());
        return start + 1..start + 1 + length;
    }
    let end = quoted_end(text, mark, is_nested, start);
    let goes_on = key.is_header && text.get(end + 1) == Some(&b';');
    if goes_on && !is_nested {
        return start..header_end(text, end + 1);
    }
    start..end
}

fn ends_item(byte: u8) -> bool {
    b",;&|)]}\"'\\:/<>=?.#".contains(&byte)
}

/// The end of a value in quotes that begins at `start`. Within a quoted text the quotes themselves are escaped; those of
/// SQL are doubled.
fn quoted_end(text: &[u8], mark: u8, is_nested: bool, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let slashes_before = |at: usize| {
        let before = rest.get(..at).unwrap_or_default().iter().rev();
        before.take_while(|byte| **byte == b'\\').count()
    };
    let mut doubled = None;
    for at in memchr::memchr_iter(mark, rest) {
        if doubled == Some(at) {
            continue;
        }
        if is_nested {
            return start + at - slashes_before(at);
        }
        if !slashes_before(at).is_multiple_of(2) {
            continue;
        }
        if at > 0 && rest.get(at + 1) == Some(&mark) {
            doubled = Some(at + 1);
            continue;
        }
        return start + at;
    }
    text.len()
}

/// The first item of a list, which is a text.
fn first_item(text: &[u8], bracket: usize, key: Key) -> Option<Range<usize>> {
    let at = gap(text, bracket + 1);
    let mark_at = at + slashes(text, at);
    match text.get(mark_at)? {
        mark @ (b'"' | b'\'') => Some(quoted(text, *mark, mark_at > at, mark_at + 1, key)),
        b'[' | b'{' | b'(' | b'<' | b'\n' | b'\r' => None,
        _ => plain(text, at, key),
    }
}

/// What stands in brackets; to the end of the text where they are not closed.
fn group(text: &[u8], at: usize) -> Option<Range<usize>> {
    let first = gap(text, at + 1);
    let mark = first + slashes(text, first);
    if begins_covered(text, first) || begins_covered(text, mark + 1) {
        return None;
    }
    let mut depth = 0_usize;
    let mut index = at;
    let mut end = text.len();
    while let Some(byte) = text.get(index) {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b'"' => {
                let is_nested = text.get(index - 1) == Some(&b'\\');
                let close = quoted_end(text, b'"', is_nested, index + 1);
                let rest = text.get(close..).unwrap_or_default();
                index = close + memchr::memchr(b'"', rest).unwrap_or(rest.len());
            }
            _ => {}
        }
        if depth == 0 {
            end = index;
            break;
        }
        index += 1;
    }
    let inner = text.get(at + 1..end).unwrap_or_default();
    let start = at + 1 + (inner.len() - inner.trim_ascii_start().len());
    let end = start + inner.trim_ascii().len();
    // The outer quotes stay, so that JSON stays JSON.
    let open = start + slashes(text, start);
    let ends = text.get(start..end).unwrap_or_default();
    let before = ends.strip_suffix(b"\"").unwrap_or_default();
    let back = before.iter().rev().take_while(|byte| **byte == b'\\');
    let close = end.saturating_sub(1 + back.count());
    if text.get(open) == Some(&b'"') && close > open && ends.ends_with(b"\"") {
        return Some(open + 1..close);
    }
    Some(start..end)
}

/// The only word of the line after.
fn next_line(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let breaks = rest
        .iter()
        .take(2)
        .take_while(|byte| byte.is_ascii_control());
    let start = gap(text, at + breaks.count());
    let line = text.get(start..)?;
    let length = memchr::memchr(b'\n', line).unwrap_or(line.len());
    let word = line.get(..length)?.trim_ascii_end();
    let is_part = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'=');
    let is_word = word
        .first()
        .is_some_and(|byte| *byte != b'"' && *byte != b'\'');
    (is_word && word.iter().all(is_part)).then(|| start..start + word.len())
}

/// A value without quotes.
fn plain(text: &[u8], start: usize, key: Key) -> Option<Range<usize>> {
    let end = word_end(text, start);
    let word = text.get(start..end).unwrap_or_default();
    let next = gap(text, end);
    let after_scheme = SCHEMES.iter().find_map(|scheme| {
        let (head, rest) = word.split_at_checked(scheme.len())?;
        match rest {
            _ if !head.eq_ignore_ascii_case(scheme) => None,
            b"" => Some(next),
            [b'%', b'2', b'0', ..] => Some(start + scheme.len() + 3),
            _ => None,
        }
    });
    let start = after_scheme
        .filter(|next| word_end(text, *next) > *next)
        .unwrap_or(start);
    if begins_covered(text, start) {
        return None;
    }
    let is_digest = word.eq_ignore_ascii_case(b"digest");
    if key.is_header && !key.is_quoted && (key.sign == b':' || is_digest) {
        return Some(start..header_end(text, start));
    }
    let mut end = word_end(text, start);
    if key.is_judged {
        // What stands in brackets has names of its own: `token=Token{token=x}`.
        let word = text.get(start..end).unwrap_or_default();
        let bracket = word.iter().position(|byte| b"({[".contains(byte));
        end = bracket.map_or(end, |at| start + at);
    }
    while key.is_cookie && text.get(end) == Some(&b';') {
        let next = gap(text, end + 1);
        let further = word_end(text, next);
        if further == next {
            break;
        }
        end = further;
    }
    Some(start..end)
}

/// The end of a word. A comma or bar is part of it unless white space, a quote or a name (`user=`) follows.
fn word_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let ends = |(at, byte): (usize, &u8)| {
        let next = || rest.get(at + 1..).unwrap_or_default();
        match byte {
            b',' | b'|' => ends_behind_comma(next()),
            b'\\' => ends_behind_slash(next()),
            b';' | b'&' | b'"' | b'\'' | b'}' | b')' | b']' => true,
            _ => matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x1b'),
        }
    };
    start + rest.iter().enumerate().position(ends).unwrap_or(rest.len())
}

fn ends_behind_comma(rest: &[u8]) -> bool {
    if rest
        .first()
        .is_none_or(|byte| *byte <= b' ' || b"\"'\\{}[])(".contains(byte))
    {
        return true;
    }
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let name = rest.iter().take(NAME_BYTES_MAX).take_while(is_name).count();
    name > 0 && matches!(rest.get(name), Some(b'=' | b':'))
}

/// Whether a backslash begins what is not part of a value: a quote, white space or a colour.
fn ends_behind_slash(rest: &[u8]) -> bool {
    matches!(
        rest,
        [] | [b'"' | b'\'' | b'\\' | b'n' | b'r' | b't', ..]
            | [b'u', b'0', b'0', b'1' | b'0', ..]
            | [b'x', b'1', b'b', ..]
    )
}

/// The end of a header: that of the line, or of the quoted text it stands in. A quote behind `=` is part of it.
fn header_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        let slashes = slashes(text, at);
        let behind = text.get(at + slashes);
        match (byte, behind) {
            (b'\n' | b'\r', _) => break,
            (b'\\' | b'"', Some(b'"')) => {
                let opens = at > start && text.get(at - 1) == Some(&b'=');
                if !opens {
                    break;
                }
                let from = at + slashes + 1;
                let rest = text.get(from..).unwrap_or_default();
                let close = memchr::memchr2(b'"', b'\n', rest).unwrap_or(rest.len());
                at = from + close;
                if text.get(at) == Some(&b'"') {
                    at += 1;
                }
            }
            (b'\\', Some(b'n' | b'r')) => break,
            (b'\'', Some(_)) if ends_quoted(text, at) => break,
            _ => at += slashes.max(1),
        }
    }
    let value = text.get(start..at).unwrap_or_default();
    start + value.trim_ascii_end().len()
}

/// Whether the single quote at `at` ends a quoted text, as on a command line: no apostrophe.
fn ends_quoted(text: &[u8], at: usize) -> bool {
    text.get(at + 1)
        .is_none_or(|next| *next <= b' ' || b",)]}".contains(next))
}
