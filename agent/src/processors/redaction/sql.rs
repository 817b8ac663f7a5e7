//! Passwords in statements of databases that set them: `IDENTIFIED BY 'x'`, `SET PASSWORD FOR 'a'@'%' = 'x'`.

use std::ops::Range;

use super::work;

/// How far around its words a statement is read (bytes).
const BYTES_MAX: usize = 160;
/// What such statements begin with.
const VERBS: [&[u8]; 3] = [b"create user", b"alter user", b"grant "];

/// The text in quotes behind `IDENTIFIED BY '`.
pub(super) fn identified(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    let rest = text.get(head.end..)?;
    if rest.first() == Some(&b'<') {
        return None;
    }
    let length = memchr::memchr(*text.get(head.end - 1)?, rest).unwrap_or(rest.len());
    work::read(length);
    (length > 0).then_some(head.end..head.end + length)
}

/// The word behind `IDENTIFIED BY ` of a statement, as Oracle takes it without quotes.
pub(super) fn identified_bare(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    let near = text.get(head.start.saturating_sub(BYTES_MAX)..head.start)?;
    let begins = |verb: &&[u8]| {
        let mut parts = near.windows(verb.len());
        parts.any(|part| part.eq_ignore_ascii_case(verb))
    };
    work::read(near.len());
    if !VERBS.iter().any(begins) {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_$#!@%^&*.-+".contains(byte);
    let rest = text.get(head.end..)?;
    let length = rest.iter().take(BYTES_MAX).take_while(is_part).count();
    let word = rest.get(..length)?;
    let is_keyword = [&b"password"[..], b"values", b"random"];
    let is_keyword = is_keyword
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    (length > 0 && !is_keyword).then_some(head.end..head.end + length)
}

/// The text in quotes behind `SET PASSWORD FOR name =`, in a function too.
pub(super) fn set_password(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    let rest = text.get(head.end..text.len().min(head.end + BYTES_MAX))?;
    let sign = memchr::memchr(b'=', rest)?;
    let behind = rest.get(sign + 1..)?;
    let open = memchr::memchr2(b'\'', b'"', behind)?;
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b" (_".contains(byte);
    let quote = behind.get(open)?;
    let start = head.end + sign + 1 + open + 1;
    let value = text.get(start..)?;
    let is_set = behind.get(..open)?.iter().all(is_part) && value.first() != Some(&b'<');
    let length = memchr::memchr(*quote, value).unwrap_or(value.len());
    work::read(length);
    (is_set && length > 0).then_some(start..start + length)
}
