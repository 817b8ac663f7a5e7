//! Secrets in texts that were encoded once more: addresses within addresses (`redis%3A%2F%2F%3Apw%40cache`), keys in forms and in base64.

use std::ops::Range;

use vervet_wire::base64;

use super::keywords::{is_base64, is_word, run};
use super::work;

/// How far an address, or the label of a key, is read (bytes).
const BYTES_MAX: usize = 256;

/// The credentials between `%3A%2F%2F`, once or twice escaped, and `%40`.
pub(super) fn user_info(text: &[u8], sign: Range<usize>) -> Option<Range<usize>> {
    const ONCE: usize = 9;
    let near = text.get(sign.end..text.len().min(sign.end + BYTES_MAX))?;
    let ends = |byte: &u8| *byte <= b' ' || b"\"'`<>&\\|".contains(byte);
    let near = near.split(ends).next()?;
    work::read(near.len());
    let (colon, slash, at) = match sign.len() > ONCE {
        true => (&b"%253a"[..], &b"%252f"[..], &b"%2540"[..]),
        false => (&b"%3a"[..], &b"%2f"[..], &b"%40"[..]),
    };
    let authority = near.get(..position(near, slash).unwrap_or(near.len()))?;
    let at = authority
        .windows(at.len())
        .rposition(|part| part.eq_ignore_ascii_case(at))?;
    let user = position(authority, colon)?;
    (user + colon.len() < at).then_some(sign.end..sign.end + at)
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut parts = text.windows(wanted.len());
    parts.position(|part| part.eq_ignore_ascii_case(wanted))
}

/// A PEM block in a form or an address, behind `-----BEGIN%20` or `-----BEGIN+`.
pub(super) fn private_key(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const END: &[u8] = b"-----END";
    const DASHES: &[u8] = b"-----";
    let label = text.get(head.end..text.len().min(head.end + BYTES_MAX))?;
    let label = label.get(..memchr::memmem::find(label, DASHES)?)?;
    let is_key = [&b"PRIVATE%20KEY"[..], b"PRIVATE+KEY"];
    let mut is_key = is_key.iter();
    is_key.find(|key| memchr::memmem::find(label, key).is_some())?;
    let rest = text.get(head.end..)?;
    let ends = |byte: &u8| *byte <= b' ' || b"\"'&<>".contains(byte);
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let block = rest.get(..length)?;
    let end = memchr::memmem::find(block, END).and_then(|at| {
        let behind = at + END.len();
        let dashes = memchr::memmem::find(block.get(behind..)?, DASHES)?;
        Some(behind + dashes + DASHES.len())
    });
    work::read(length);
    Some(head.start..head.end + end.unwrap_or(length))
}

/// A PEM block in base64, as Kubernetes' files of settings hold it. `head` is that of `-----BEGIN`.
pub(super) fn private_key_in_base64(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    /// Of base64, which the label fits in.
    const LABEL: usize = 64;
    if text.get(head.clone())? != b"LS0tLS1CRUdJTi" {
        return None;
    }
    let label = text.get(head.start..text.len().min(head.start + LABEL))?;
    memchr::memmem::find(&decoded(label), b"PRIVATE KEY")?;
    Some(head.start..head.start + run(text, head.start, is_base64))
}

/// A private part of a key in JSON (`"kty"` stands in it, too), behind its name and a quote.
pub(super) fn of_jwk(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    const LENGTH_MIN: usize = 20;
    const LOOK: usize = 4096;
    let length = run(text, head.end, is_word);
    let end = head.end + length;
    if length < LENGTH_MIN || text.get(end) != Some(&b'"') {
        return None;
    }
    let near = text.get(head.start.saturating_sub(LOOK)..text.len().min(end + LOOK))?;
    memchr::memmem::find(near, b"\"kty\"")?;
    Some(head.end..end)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        let Some(value) = base64::digit(*byte) else {
            break;
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.extend((bits >> held & 0xff).to_be_bytes().last());
            bits &= (1 << held) - 1;
        }
    }
    out
}
