//! E-mail addresses in running text.

use std::ops::Range;

/// Calls `found` for every address, in order. Each byte is read at most twice: a local part never reaches
/// back over an `@` or over an address found before.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for at in memchr::memchr_iter(b'@', text) {
        if at < floor {
            continue;
        }
        let address = around(text, floor, at..at + 1);
        floor = address.as_ref().map_or(at + 1, |address| address.end);
        if let Some(address) = address {
            found(address);
        }
    }
}

/// The address around an `@` that is written as `%40`.
pub(super) fn around_escaped(text: &[u8], sign: Range<usize>) -> Option<Range<usize>> {
    const LOCAL_MAX: usize = 64;
    around(text, sign.start.saturating_sub(LOCAL_MAX), sign)
}

fn around(text: &[u8], floor: usize, sign: Range<usize>) -> Option<Range<usize>> {
    let before = text.get(floor..sign.start)?;
    let local = before.iter().rev().take_while(|b| is_local(**b)).count();
    if local == 0 {
        return None;
    }
    Some(sign.start - local..sign.end + domain_len(text.get(sign.end..)?)?)
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'*')
        || byte >= 0x80
}

/// Labels with points between them; the last has two letters or more and no digit.
fn domain_len(rest: &[u8]) -> Option<usize> {
    const DOMAIN_MAX: usize = 253;
    let is_domain = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.') || **b >= 0x80;
    let run = rest.iter().take(DOMAIN_MAX).take_while(is_domain).count();
    // A point or hyphen at the end belongs to the sentence.
    let mut domain = rest.get(..run)?;
    while let [shorter @ .., b'.' | b'-'] = domain {
        domain = shorter;
    }
    // What looks like a file version (`a@1.2.3`) has no such last label; its front may be an address (`a@b.co.1`).
    loop {
        let point = memchr::memrchr(b'.', domain)?;
        let (front, last) = (domain.get(..point)?, domain.get(point + 1..)?);
        let letters = last
            .iter()
            .all(|b| b.is_ascii_alphabetic() || *b >= 0x80 || *b == b'-');
        if last.len() >= 2 && letters && !front.is_empty() {
            return Some(domain.len());
        }
        domain = front;
    }
}
