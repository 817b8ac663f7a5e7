//! Hosts in addresses whose names are those of keys: what stands behind `https://shop.pw:` is a port.

use super::super::user_info::{PORT_DIGITS_MAX, ends_host, is_port, user_info};
use super::super::work;
use super::value;

/// What stands before host or credentials.
const SIGNS: [&[u8]; 2] = [b"://", b":\\/\\/"];
const HOST_BYTES_MAX: usize = 255;
/// How far before its `@` the credentials of an address may begin, where its port is to stay (bytes).
const CREDENTIALS_LOOK_BACK: usize = 512;

/// Whether what ends at `colon` is the host of an address, with a port behind it.
pub(super) fn is_before_port(text: &[u8], colon: usize) -> bool {
    let rest = text.get(colon..).unwrap_or_default();
    let Some(behind) = rest.strip_prefix(b":") else {
        return false;
    };
    let digits = behind.iter().take_while(|byte| byte.is_ascii_digit());
    let (port, behind) = behind.split_at(digits.take(PORT_DIGITS_MAX + 1).count());
    let ends = |byte: &u8| ends_host(*byte) || matches!(byte, b',' | b';' | b')' | b']' | b'}');
    if port.is_empty() || !is_port(port) || !behind.first().is_none_or(ends) {
        return false;
    }
    let before = text.get(..colon).unwrap_or_default();
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let host = before.iter().rev().take(HOST_BYTES_MAX).take_while(is_part);
    let before = before.get(..colon - host.count()).unwrap_or_default();
    if SIGNS.iter().any(|sign| before.ends_with(sign)) {
        return true;
    }
    before.last() == Some(&b'@') && ends_credentials(text, before.len() - 1)
}

/// Whether the `@` ends the credentials of an address, which may be covered.
fn ends_credentials(text: &[u8], at: usize) -> bool {
    let from = at.saturating_sub(CREDENTIALS_LOOK_BACK);
    let before = text.get(from..at).unwrap_or_default();
    work::read(before.len());
    SIGNS.iter().any(|sign| {
        let Some(start) = memchr::memmem::rfind(before, sign) else {
            return false;
        };
        let start = from + start;
        let behind = start + sign.len();
        let inner = text.get(behind..at).unwrap_or_default();
        let is_covered = value::begins_covered(text, behind)
            && memchr::memchr(b'>', inner) == inner.len().checked_sub(1);
        is_covered || user_info(text, start..behind).is_some_and(|place| place.end == at)
    })
}
