//! `name:password` between `://` and `@`.
//!
//! A password may hold what ends the host of an address (`/`, `?`, `#`), written as it is. Then two readings are possible:
//! `a:12/b@c` is a password `12/b`, or a port 12 and an `@` in the path. It is read as a password if
//! - what stands behind the colon is no port (more than digits, above 65535, a zero first), or nothing stands before it;
//! - or a host stands behind the `@`, and neither a query (`?name=`) nor a `/` just before it, and the scheme is none of the
//!   web's, where paths with `@` are usual, or the name is no host's (without a point, not `localhost`).

use std::ops::Range;

use super::work;

/// How far the `@` may be from the first `/`, `?` or `#` (bytes).
const BEYOND_HOST_MAX: usize = 256;
pub(super) const PORT_DIGITS_MAX: usize = 5;
/// Schemes whose paths may hold an `@`.
const WEB: [&[u8]; 5] = [b"http", b"https", b"ws", b"wss", b"git"];
const SCHEME_BYTES_MAX: usize = 16;

/// Where the credentials stand in the address whose `://` (or `:\/\/`) is at `keyword`.
pub(super) fn user_info(text: &[u8], keyword: Range<usize>) -> Option<Range<usize>> {
    let rest = text.get(keyword.end..)?;
    let host_end = rest.iter().take_while(|byte| !ends_host(**byte)).count();
    work::read(host_end);
    let authority = rest.get(..host_end)?;
    let colon = memchr::memchr(b':', authority)?;
    let found = |within: &[u8]| {
        let at = memchr::memrchr(b'@', within)?;
        (colon + 1 < at).then_some(keyword.end..keyword.end + at)
    };
    if authority.contains(&b'@') {
        let place = found(authority)?;
        let further = further(text, &keyword, host_end);
        return Some(further.map_or(place, |at| keyword.end..at));
    }
    if authority.first() == Some(&b'[') {
        return None;
    }
    let beyond = beyond(rest.get(host_end..rest.len().min(host_end + BEYOND_HOST_MAX))?);
    let address = rest.get(..host_end + beyond)?;
    let Some(place) = found(address) else {
        return with_blanks(text, &keyword, colon);
    };
    let (name, port) = (authority.get(..colon)?, authority.get(colon + 1..)?);
    if name.is_empty() || !is_port(port) {
        return Some(place);
    }
    let at = place.len();
    let path = address.get(host_end..at)?;
    let leads_to_host = begins_with_host(address.get(at + 1..)?);
    let is_path = path.ends_with(b"/") || has_query(path);
    let is_port = is_web(text.get(..keyword.start)?) && is_host_name(name);
    let is_password = leads_to_host && !is_path && !is_port;
    is_password.then_some(place)
}

/// Where an `@` stands behind what ends a host that begins behind another `@`: the password holds both (`a:p@ss#w@db:5432`). A host
/// with a port ends a password, one of the web's with a point does, too.
fn further(text: &[u8], keyword: &Range<usize>, host_end: usize) -> Option<usize> {
    let rest = text.get(keyword.end..)?;
    let beyond = beyond(rest.get(host_end..rest.len().min(host_end + BEYOND_HOST_MAX))?);
    let address = rest.get(..host_end + beyond)?;
    let at = memchr::memrchr(b'@', address).filter(|at| *at > host_end)?;
    let host = address
        .get(..host_end)?
        .rsplit(|byte| *byte == b'@')
        .next()?;
    let path = address.get(host_end..at)?;
    let is_host = host.contains(&b':')
        || host.is_empty()
        || (is_web(text.get(..keyword.start)?) && is_host_name(host));
    let is_path = path.ends_with(b"/") || has_query(path);
    let leads_to_host = begins_with_host(address.get(at + 1..)?);
    (leads_to_host && !is_path && !is_host).then_some(keyword.end + at)
}

/// The same for a password with a blank, a quote or a backslash in it, where a host with a port or a path follows and the scheme is none
/// of the web's. A quote that ends a text of JSON is none of a password's.
fn with_blanks(text: &[u8], keyword: &Range<usize>, colon: usize) -> Option<Range<usize>> {
    const BYTES_MAX: usize = 64;
    let rest = text.get(keyword.end..)?;
    let from = colon + 1;
    let near = rest.get(from..rest.len().min(from + BYTES_MAX))?;
    let at = memchr::memchr(b'@', near)?;
    let password = near.get(..at)?;
    let first = password.split(|byte| ends_host(*byte)).next()?;
    let ends_json = |pair: &[u8]| matches!(pair, [b'"' | b'\'', next] if *next <= b' ' || b",:;}])".contains(next));
    let is_text =
        !password.iter().any(|byte| b"\n\r".contains(byte)) && !password.windows(2).any(ends_json);
    let host = rest.get(from + at + 1..)?;
    let name = host
        .iter()
        .take(BYTES_MAX)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte));
    let leads_to_host =
        matches!(host.get(name.count()), Some(b':' | b'/')) && begins_with_host(host);
    let is_password = !first.is_empty() && !is_port(first) && is_text && leads_to_host;
    (is_password && !is_web(text.get(..keyword.start)?))
        .then_some(keyword.end..keyword.end + from + at)
}

fn ends_text(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\') || byte <= b' '
}

pub(super) fn ends_host(byte: u8) -> bool {
    ends_text(byte) || matches!(byte, b'/' | b'?' | b'#')
}

/// How many bytes belong to the address. JSON may write `\/` for `/`.
fn beyond(rest: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = rest.get(length) {
        let is_slash = *byte == b'\\' && rest.get(length + 1) == Some(&b'/');
        match is_slash {
            true => length += 2,
            false if ends_text(*byte) => break,
            false => length += 1,
        }
    }
    length
}

pub(super) fn is_port(text: &[u8]) -> bool {
    if text.len() > PORT_DIGITS_MAX || text.first() == Some(&b'0') {
        return false;
    }
    let mut number = 0;
    for byte in text {
        if !byte.is_ascii_digit() {
            return false;
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    number <= u32::from(u16::MAX)
}

/// Whether one of the web's schemes ends the text.
fn is_web(before: &[u8]) -> bool {
    let length = before
        .iter()
        .rev()
        .take(SCHEME_BYTES_MAX)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let scheme = before.get(before.len() - length..).unwrap_or_default();
    WEB.iter().any(|web| web.eq_ignore_ascii_case(scheme))
}

fn is_host_name(name: &[u8]) -> bool {
    name.contains(&b'.') || name.eq_ignore_ascii_case(b"localhost")
}

fn has_query(path: &[u8]) -> bool {
    let query = memchr::memchr(b'?', path).and_then(|at| path.get(at..));
    query.is_some_and(|query| query.contains(&b'='))
}

/// Whether a host, not a version (`1.2.3`) or a digest (`sha256:...`), begins the text.
fn begins_with_host(text: &[u8]) -> bool {
    if text.first() == Some(&b'[') {
        return true;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let length = text.iter().take_while(|byte| is_part(byte)).count();
    let (host, behind) = text.split_at_checked(length).unwrap_or_default();
    let port = behind.strip_prefix(b":").map(|port| {
        let digits = port.iter().take_while(|byte| byte.is_ascii_digit());
        let digits = digits.count();
        digits > 0 && !port.get(digits).is_some_and(u8::is_ascii_alphanumeric)
    });
    let labels: Vec<&[u8]> = host.split(|byte| *byte == b'.').collect();
    let is_number = |label: &&[u8]| !label.is_empty() && label.iter().all(u8::is_ascii_digit);
    let is_address = labels.len() == 4 && labels.iter().all(is_number);
    let is_name = labels
        .last()
        .is_some_and(|last| !is_number(last) && !last.is_empty());
    port.unwrap_or(true) && (is_address || is_name)
}
