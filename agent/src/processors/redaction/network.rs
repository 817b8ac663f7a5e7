//! IP addresses and phone numbers in running text.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::edges::{begins_word, behind_escape};

/// Calls `found` for every IPv4 address. The shortest has seven characters, so the search looks at one byte in seven.
pub(super) fn find_ipv4(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    const SHORTEST: usize = 7;
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let mut probe = SHORTEST - 1;
    let mut floor = 0;
    while let Some(byte) = text.get(probe) {
        if !is_part(*byte) {
            probe += SHORTEST;
            continue;
        }
        let before = text.get(floor..probe).unwrap_or_default();
        let left = before.iter().rev().take_while(|b| is_part(**b)).count();
        let after = text.get(probe..).unwrap_or_default();
        let right = after.iter().take_while(|b| is_part(**b)).count();
        let stretch = probe - left..probe + right;
        if stretch.len() >= SHORTEST
            && let Some(address) = ipv4_in(text, stretch.clone())
        {
            found(address);
        }
        floor = stretch.end;
        probe = stretch.end + SHORTEST;
    }
}

/// The stretch is one address, but for points of the sentence around it.
fn ipv4_in(text: &[u8], stretch: Range<usize>) -> Option<Range<usize>> {
    const LONGEST: usize = 15;
    let mut start = behind_escape(text, stretch.start);
    let mut address = text.get(start..stretch.end)?;
    while let [b'.', rest @ ..] = address {
        address = rest;
        start += 1;
    }
    while let [rest @ .., b'.'] = address {
        address = rest;
    }
    let range = start..start + address.len();
    let touches_word = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
    };
    if address.len() > LONGEST
        || touches_word(start.checked_sub(1)) && !begins_word(text, start)
        || touches_word(Some(range.end))
    {
        return None;
    }
    let mut parts = 0;
    for part in address.split(|b| *b == b'.') {
        if part.is_empty() || part.len() > 3 {
            return None;
        }
        let value = part.iter().fold(0_u32, |n, b| n * 10 + u32::from(b - b'0'));
        if value > 255 {
            return None;
        }
        parts += 1;
    }
    (parts == 4).then_some(range)
}

/// Calls `found` for every IPv6 address.
pub(super) fn find_ipv6(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    const LONGEST: usize = 45;
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut floor = 0;
    for colon in memchr::memchr_iter(b':', text) {
        let beside =
            [colon.checked_sub(1), Some(colon + 1)].map(|at| at.and_then(|at| text.get(at)));
        if colon < floor || !beside.into_iter().flatten().any(|b| is_part(*b)) {
            continue;
        }
        let before = text.get(floor..colon).unwrap_or_default();
        let left = before
            .iter()
            .rev()
            .take(LONGEST + 1)
            .take_while(|b| is_part(**b))
            .count();
        let after = text.get(colon..).unwrap_or_default();
        let right = after.iter().take_while(|b| is_part(**b)).count();
        floor = colon + right;
        let stretch = behind_escape(text, colon - left).min(colon)..floor;
        let before = stretch.start.checked_sub(1).and_then(|at| text.get(at));
        let touches =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if stretch.len() > LONGEST
            || touches(text.get(stretch.end))
            || touches(before) && !begins_word(text, stretch.start)
        {
            continue;
        }
        if let Some(address) = ipv6_in(text, stretch) {
            found(address);
        }
    }
}

fn ipv6_in(text: &[u8], mut stretch: Range<usize>) -> Option<Range<usize>> {
    // The colon or point of a sentence: `peer 2001:db8::1: closed.`
    loop {
        let address = std::str::from_utf8(text.get(stretch.clone())?).ok()?;
        // `abc::def` may well be a path in a program.
        let colons = address.bytes().filter(|b| *b == b':').count();
        let certain = address.bytes().any(|b| b.is_ascii_digit()) || colons > 3;
        if certain && colons >= 2 && address.parse::<Ipv6Addr>().is_ok() {
            return Some(stretch);
        }
        match address.as_bytes() {
            [.., b':' | b'.'] => stretch.end -= 1,
            _ => return None,
        }
    }
}

/// Calls `found` for every phone number: `+49 30 1234567`, `(555) 123-4567`.
pub(super) fn find_phone(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut floor = 0;
    for at in memchr::memchr2_iter(b'+', b'(', text) {
        if at < floor {
            continue;
        }
        if let Some(end) = phone_at(text, at, 1) {
            floor = end;
            found(at..end);
        }
    }
}

/// A number whose `+` is escaped: `%2B4930123456`.
pub(super) fn escaped_phone(text: &[u8], sign: Range<usize>) -> Option<Range<usize>> {
    let end = phone_at(text, sign.start, sign.len())?;
    Some(sign.start..end)
}

/// Where the number ends whose sign, of so many bytes, is at `at`.
fn phone_at(text: &[u8], at: usize, sign: usize) -> Option<usize> {
    const DIGITS_MAX: usize = 15;
    const SEPARATORS_MAX: usize = 2;
    let rest = text.get(at..)?;
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    if before == Some(&b'+') || !begins_word(text, at) {
        return None;
    }
    let digits_min = match rest {
        [b'+', b'1'..=b'9', ..] => 8,
        _ if sign > 1 && matches!(rest.get(sign), Some(b'1'..=b'9')) => 8,
        // An area code in brackets, then seven digits.
        [b'(', a, b, c, b')', ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) => 10,
        _ => return None,
    };
    let (mut digits, mut separators, mut end) = (0, 0, 0);
    // Other numbers may follow.
    let mut whole = None;
    for (index, byte) in rest.iter().enumerate().skip(sign) {
        match byte {
            b'0'..=b'9' => {
                if separators > 0 && digits >= digits_min {
                    whole = Some(at + end);
                }
                digits += 1;
                separators = 0;
                end = index + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if separators < SEPARATORS_MAX => {
                separators += 1
            }
            _ => break,
        }
        if digits > DIGITS_MAX {
            return whole;
        }
    }
    let goes_on = rest.get(end).is_some_and(|b| b.is_ascii_alphabetic());
    (digits >= digits_min && !goes_on).then_some(at + end)
}
