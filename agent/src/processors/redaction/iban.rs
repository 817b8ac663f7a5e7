//! International bank account numbers in running text.
//!
//! The shortest has [`CHARACTERS_MIN`] characters of `A-Z0-9`, so the search looks at one byte in 15 and reads on only
//! where that byte fits.

use std::ops::Range;

use super::edges::begins_word;

const CHARACTERS_MIN: usize = 15;

/// Countries and the lengths of their numbers (ISO 13616 registry).
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Calls `found` for every account number in `text`, in order.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut probe = CHARACTERS_MIN - 1;
    let mut floor = 0;
    while let Some(byte) = text.get(probe) {
        if !is_part(*byte) {
            probe += CHARACTERS_MIN;
            continue;
        }
        let before = text.get(floor..probe).unwrap_or_default();
        let left = before.iter().rev().take_while(|b| is_part(**b)).count();
        let after = text.get(probe..).unwrap_or_default();
        let right = after.iter().take_while(|b| is_part(**b)).count();
        let stretch = probe - left..probe + right;
        in_stretch(text, stretch.clone(), &mut found);
        floor = stretch.end;
        probe = stretch.end + CHARACTERS_MIN;
    }
}

fn is_part(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'-' | b'%')
}

fn in_stretch(text: &[u8], stretch: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    let mut at = stretch.start;
    while at + CHARACTERS_MIN <= stretch.end {
        match end_of_number(text, at, stretch.end) {
            Some(end) => {
                found(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
}

/// The end of the account number that begins at `start`, if one does.
fn end_of_number(text: &[u8], start: usize, limit: usize) -> Option<usize> {
    let rest = text.get(start..limit)?;
    let [a @ b'A'..=b'Z', b @ b'A'..=b'Z', b'0'..=b'9', ..] = rest else {
        return None;
    };
    if !begins_word(text, start) {
        return None;
    }
    let (_, length) = LENGTHS.iter().find(|(country, _)| **country == [*a, *b])?;
    let mut remainder = Remainder::default();
    let (mut taken, mut at) = (0, 0);
    while taken < *length {
        let byte = *rest.get(at)?;
        if byte.is_ascii_alphanumeric() {
            remainder.push(taken, byte);
            taken += 1;
            at += 1;
        } else {
            // One separator at a time, as banks print them.
            let separator = rest.get(at..)?;
            at += if separator.starts_with(b"%20") { 3 } else { 1 };
            rest.get(at).filter(|b| b.is_ascii_alphanumeric())?;
        }
    }
    let end = start + at;
    let goes_on = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (!goes_on && remainder.is_valid()).then_some(end)
}

/// The number modulo 97, read from its fifth character on, the first four last; letters count from 10.
#[derive(Debug, Default)]
struct Remainder {
    head: [u8; 4],
    rest: u32,
}

impl Remainder {
    fn push(&mut self, index: usize, byte: u8) {
        match self.head.get_mut(index) {
            Some(slot) => *slot = byte,
            None => self.rest = add(self.rest, byte),
        }
    }

    fn is_valid(&self) -> bool {
        let digits = self.head.iter().skip(2).all(u8::is_ascii_digit);
        digits && self.head.iter().fold(self.rest, |r, b| add(r, *b)) == 1
    }
}

fn add(remainder: u32, byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => {
            (remainder * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97
        }
    }
}
