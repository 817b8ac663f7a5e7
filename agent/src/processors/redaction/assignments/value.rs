//! Where the value behind a key begins and ends.

use std::ops::Range;

use super::super::judged;
use super::super::names::Secrecy;
use super::super::work;
use super::wrappers::unwrapped;
use super::{Key, gap, quotes};

/// Words that tell how the secret after them is meant.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"digest", b"token", b"apikey"];
/// Longest name that ends the value before it (bytes).
const NAME_BYTES_MAX: usize = 64;
/// Signs behind that of a block.
const BLOCK_SIGNS_MAX: usize = 2;
/// Longest group that is judged (bytes).
const GROUP_BYTES_MAX: usize = 512;
/// Quotes that may be escaped by so many backslashes.
const SLASHES_MAX: usize = 4;

/// The value of a key that begins at `at`, or on the line after.
pub(super) fn after(text: &[u8], at: usize, key: Key) -> Option<Range<usize>> {
    let at = unwrapped(text, at);
    let mark_at = at + slashes(text, at);
    let rest = text.get(at..)?;
    let escaped = quotes::escaped(rest);
    let open = escaped.map_or(mark_at + 1, |quote| at + quote.len());
    // Told before anything is read to a far end, which many such values would share.
    if begins_covered(text, at) || begins_covered(text, open) {
        return None;
    }
    let value = match escaped {
        Some(quote) => quotes::between(text, open, quote),
        None => bare(text, at, mark_at, key)?,
    };
    let bytes = text.get(value.clone())?;
    let is_nothing = matches!(bytes, b"" | b"null" | b"nil" | b"None" | b"true" | b"false");
    (!is_nothing).then_some(value)
}

/// The value that begins at `at`, whose first sign behind backslashes is at `mark_at`.
fn bare(text: &[u8], at: usize, mark_at: usize, key: Key) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let value = match text.get(mark_at)? {
        mark if mark_at == at && is_tripled(rest, *mark) => {
            quotes::between(text, at + 3, rest.get(..3)?)
        }
        mark @ (b'"' | b'\'' | b'`') => quoted(text, *mark, mark_at > at, mark_at + 1, key),
        _ if line_break(rest).is_some() => next_line(text, at, key)?,
        b'|' | b'>' if block_start(text, at).is_some() => block(text, block_start(text, at)?)?,
        // Of a list one item is judged: what is not found out to be secret must not be read to a far end.
        b'[' | b'{' if mark_at == at && key.secrecy == Secrecy::Likely => likely_group(text, at)?,
        b'[' if mark_at == at && key.secrecy.is_judged() => {
            judged_group(text, at).or_else(|| first_item(text, at, key))?
        }
        b'{' if mark_at == at && key.secrecy.is_judged() => judged_group(text, at)?,
        b'[' | b'{' | b'(' if key.secrecy.is_judged() => return None,
        b'{' if mark_at == at && is_hash(rest) => plain(text, at, key)?,
        b'[' | b'{' | b'(' if mark_at == at => group(text, at)?,
        _ => plain(text, at, key)?,
    };
    Some(value)
}

fn slashes(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default().iter();
    rest.take(SLASHES_MAX)
        .take_while(|byte| **byte == b'\\')
        .count()
}

/// Whether a text begins with the name of a hash and one, as LDAP writes passwords: `{SSHA}...`.
fn is_hash(text: &[u8]) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-./".contains(byte);
    let name = text
        .iter()
        .skip(1)
        .take(NAME_BYTES_MAX)
        .take_while(is_part)
        .count();
    let behind = text.get(1 + name..).unwrap_or_default();
    name > 0
        && matches!(behind, [b'}', next, ..] if next.is_ascii_alphanumeric() || b"$+/".contains(next))
}

/// Whether a text begins with a quote three times, as in Python and TOML, and has three that close.
fn is_tripled(text: &[u8], mark: u8) -> bool {
    let marks = [mark; 3];
    let inner = text.strip_prefix(&marks).unwrap_or_default();
    if !matches!(mark, b'"' | b'\'') || inner.is_empty() {
        return false;
    }
    let close = memchr::memmem::find(inner, &marks);
    work::read(close.unwrap_or(inner.len()));
    close.is_some()
}

/// Where the first line of one of YAML's blocks begins, whose sign (`|`, `>-`) is at `at`.
fn block_start(text: &[u8], at: usize) -> Option<usize> {
    let sign = text.get(at + 1..)?;
    let is_part = |byte: &&u8| b"+-0123456789".contains(byte);
    let length = sign
        .iter()
        .take(BLOCK_SIGNS_MAX)
        .take_while(is_part)
        .count();
    let line_end = at + 1 + length;
    Some(line_end + line_break(text.get(line_end..)?)?)
}

/// The lines of a block that begins at `first`: those with the indent of its first line.
fn block(text: &[u8], first: usize) -> Option<Range<usize>> {
    let rest = text.get(first..)?;
    let indent = rest.iter().take_while(|byte| **byte == b' ').count();
    let indent = rest.get(..indent).filter(|indent| !indent.is_empty())?;
    let start = first + indent.len();
    if begins_covered(text, start) {
        return None;
    }
    let lines = rest.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.take_while(|line| line.starts_with(indent));
    let end = first + lines.map(<[u8]>::len).sum::<usize>();
    work::read(end - first);
    let lines = text.get(start..end)?.trim_ascii_end();
    (!lines.is_empty()).then_some(start..start + lines.len())
}

/// Whether there stands what stands for a secret already: `<key:*>`, `<key:1f3a5b7c9d0e>`.
pub(super) fn begins_covered(text: &[u8], at: usize) -> bool {
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
        work::read(length);
        return start + 1..start + 1 + length;
    }
    let end = quoted_end(text, mark, is_nested, start);
    work::read(end.saturating_sub(start));
    let goes_on = key.is_header && text.get(end + 1) == Some(&b';');
    if goes_on && !is_nested {
        return start..header_end(text, end + 1, false);
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
    let (mut index, mut end) = (at, text.len());
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
    work::read(end - at);
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

/// What is in a group of at most [`GROUP_BYTES_MAX`], if one of the words in it looks like a secret.
fn judged_group(text: &[u8], at: usize) -> Option<Range<usize>> {
    let near = text.get(..text.len().min(at + GROUP_BYTES_MAX))?;
    let place = group(near, at)?;
    let is_closed = place.end < near.len();
    (is_closed && holds_secret(near.get(place.clone())?)).then_some(place)
}

/// Whether one of the words of a group looks like a secret.
pub(super) fn holds_secret(group: &[u8]) -> bool {
    let is_end = |byte: &u8| !byte.is_ascii_graphic() || b"\"'\\,:=(){}[]".contains(byte);
    let mut words = group.split(is_end);
    words.any(|word| judged::looks_secret(word, false))
}

/// What is in a list of texts, or in a map to texts: no list of maps, whose entries have keys of their own, and no counts.
fn likely_group(text: &[u8], at: usize) -> Option<Range<usize>> {
    let first = gap(text, at + 1);
    let is_list = text.get(at) == Some(&b'[');
    let inner = text.get(first..text.len().min(first + GROUP_BYTES_MAX))?;
    let is_text = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'"' | b'\'' | b'\\');
    let holds_texts = match is_list {
        true => inner.first().is_some_and(is_text),
        false => {
            let mut pairs = inner.windows(3);
            pairs.any(|pair| {
                matches!(
                    pair,
                    [b':', b'"' | b'\'' | b'\\', _] | [b':', b' ', b'"' | b'\'' | b'\\']
                )
            })
        }
    };
    holds_texts.then(|| group(text, at))?
}

/// The length of the line end that a text begins with, also where it is escaped.
fn line_break(text: &[u8]) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n' | b'\r', ..] => Some(1),
        [b'\\', b'r', b'\\', b'n', ..] => Some(4),
        [b'\\', b'n' | b'r', ..] => Some(2),
        _ => None,
    }
}

/// The line that a text begins with, raw or escaped.
fn line(text: &[u8], is_raw: bool) -> &[u8] {
    let mut signs = memchr::memchr_iter(b'\\', text);
    let end = match is_raw {
        true => memchr::memchr2(b'\n', b'\r', text),
        false => signs.find(|at| line_break(text.get(*at..).unwrap_or_default()).is_some()),
    };
    let line = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    work::read(line.len());
    line.trim_ascii_end()
}

/// The only word of the line after, or the quoted text that it begins with and that ends it or an item.
fn next_line(text: &[u8], at: usize, key: Key) -> Option<Range<usize>> {
    let length = line_break(text.get(at..)?)?;
    let start = unwrapped(text, gap(text, at + length));
    let is_raw = length == 1 || text.get(at) == Some(&b'\r');
    let line = line(text.get(start..)?, is_raw);
    let slashes = slashes(text, start);
    if let Some(mark @ (b'"' | b'\'')) = line.get(slashes) {
        let whole = text.get(..start + line.len())?;
        let value = quoted(whole, *mark, slashes > 0, start + slashes + 1, key);
        let behind = whole.get(value.end + slashes + 1..)?;
        let ends = matches!(behind, [] | [b',' | b'}' | b']' | b')' | b';' | b'\\', ..]);
        return (ends && !begins_covered(text, value.start)).then_some(value);
    }
    let is_part = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'=');
    let word = if is_raw {
        line
    } else {
        line.split(|byte| *byte == b'"').next()?
    };
    (!word.is_empty() && word.iter().all(is_part)).then(|| start..start + word.len())
}

/// A value without quotes.
fn plain(text: &[u8], start: usize, key: Key) -> Option<Range<usize>> {
    let is_judged = key.secrecy.is_judged();
    // The bracket of a hash ends nothing.
    let hash = if is_hash(text.get(start..)?) {
        memchr::memchr(b'}', text.get(start..)?)? + 1
    } else {
        0
    };
    let end = word_end(text, start + hash, is_judged);
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
        .filter(|next| word_end(text, *next, is_judged) > *next)
        .unwrap_or(start);
    if begins_covered(text, start) {
        return None;
    }
    let is_digest = word.eq_ignore_ascii_case(b"digest");
    if key.is_header && !key.is_quoted && (key.sign == b':' || is_digest) {
        return Some(start..header_end(text, start, key.is_item));
    }
    let mut end = word_end(text, start + hash, is_judged);
    while key.is_cookie && text.get(end) == Some(&b';') {
        let next = gap(text, end + 1);
        let further = word_end(text, next, is_judged);
        if further == next {
            break;
        }
        end = further;
    }
    Some(start..end)
}

/// The end of a word. A comma or bar is part of it unless white space, a quote or a name (`user=`) follows.
///
/// What stands in brackets has names of its own, which a judged value ends before: `token=Token{token=x}`.
fn word_end(text: &[u8], start: usize, is_judged: bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let ends = |(at, byte): (usize, &u8)| {
        let next = || rest.get(at + 1..).unwrap_or_default();
        match byte {
            b'(' | b'{' | b'[' => is_judged,
            b',' | b'|' => ends_behind_comma(next()),
            b'\\' => ends_behind_slash(next()),
            b';' | b'&' | b'"' | b'\'' | b'}' | b')' | b']' => true,
            // No token has these in it.
            b'<' | b'>' | b'`' | 0..=0x20 | 0x80.. => {
                is_judged || matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x1b')
            }
            _ => false,
        }
    };
    let length = rest.iter().enumerate().position(ends);
    let length = length.unwrap_or(rest.len());
    work::read(length);
    start + length
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
/// That of an item in a map without quotes ends before the next item (`, via: [a]`) or what closes the map.
fn header_end(text: &[u8], start: usize, is_item: bool) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        let slashes = slashes(text, at);
        let behind = text.get(at + slashes);
        match (byte, behind) {
            (b'\n' | b'\r', _) => break,
            (b',', _) if is_item && begins_item(text, at + 1) => break,
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
    work::read(at - start);
    let value = text.get(start..at).unwrap_or_default().trim_ascii_end();
    let closing = value
        .iter()
        .rev()
        .take_while(|byte| is_item && b"})]".contains(byte));
    start + value.len() - closing.count()
}

/// Whether a name and a colon begin at `at`, behind a space.
fn begins_item(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let name = rest.strip_prefix(b" ").unwrap_or(rest);
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let length = name.iter().take(NAME_BYTES_MAX).take_while(is_part).count();
    length > 0 && name.get(length) == Some(&b':')
}

/// Whether the single quote at `at` ends a quoted text, as on a command line: no apostrophe.
fn ends_quoted(text: &[u8], at: usize) -> bool {
    text.get(at + 1)
        .is_none_or(|next| *next <= b' ' || b",)]}".contains(next))
}
